"""What the cells held before, and where they are now."""
