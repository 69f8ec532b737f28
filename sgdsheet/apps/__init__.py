"""What a person calls: the command line, the add-in for Excel, the extension for LibreOffice, functions, examples."""
