"""Workbooks that are open in Excel, through xlwings."""

from sgdsheet.hosts.excel.excel_host import ExcelHost, connect, open_books

__all__ = ["ExcelHost", "connect", "open_books"]
