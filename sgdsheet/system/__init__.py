"""What the operating system gives: files that are complete or untouched, processes, memory, optional packages."""
