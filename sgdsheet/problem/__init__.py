"""What to minimise by changing which cells, and how: the names on the sheet, Solver's names, settings."""
