"""Workbooks as plain data: cells and ranges, values, formulas and their syntax trees, defined names, charts."""
