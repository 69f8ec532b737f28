"""Have a workbook calculated when it is opened, because some of its formulas could not be calculated here.

Their saved values are taken away (see `patch`), so that nobody takes them for results; LibreOffice calculates such
cells when it opens the file. Excel calculates all cells of a workbook that asks for it by `fullCalcOnLoad`, and drops
the mark when it saves. Google Sheets calculates everything that it imports.
"""

from __future__ import annotations

from sgdsheet.hosts.xlsx.edit import Document
from sgdsheet.hosts.xlsx.xml import Part

_MARK = b'fullCalcOnLoad="1"'
_BEFORE = (
    *("fileVersion", "fileSharing", "workbookPr", "workbookProtection", "bookViews", "sheets", "functionGroups"),
    *("externalReferences", "definedNames"),
)
"""The elements of a workbook that have to stand before `calcPr`."""


def ask_for_calculation(part: Part) -> bytes:
    """The workbook part with the mark; all else stays byte for byte."""
    book = Document(part)
    settings = book.root.child("calcPr")
    if settings is None:
        last = next(child for child in reversed(book.root.children) if child.tag in _BEFORE)
        book.insert(last.end, b"<%scalcPr %s/>" % (last.prefix, _MARK))
    elif "fullCalcOnLoad" in settings.attributes:
        book.set(settings, "fullCalcOnLoad", b"1")
    else:
        book.insert(settings.start + len(b"<calcPr") + len(settings.prefix), b" " + _MARK)
    return book.result()
