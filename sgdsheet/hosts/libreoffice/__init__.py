"""Workbooks that are open in LibreOffice Calc, through an agent under LibreOffice's own Python."""

from sgdsheet.hosts.libreoffice.libreoffice_host import Channel, LibreOfficeHost, connect, open_books

__all__ = ["Channel", "LibreOfficeHost", "connect", "open_books"]
