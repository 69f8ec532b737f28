"""OpenDocument spreadsheets (.ods): read as data, and patched in place like an .xlsx."""
