"""Spreadsheet values as tensors with named axes, and the operations on them: run at once, or recorded as a program."""
