"""A training as the open workbook sees it."""
