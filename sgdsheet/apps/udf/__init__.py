"""What user-defined functions calculate, without a spreadsheet program: for Excel's (`udfs.py`) and LibreOffice's."""
