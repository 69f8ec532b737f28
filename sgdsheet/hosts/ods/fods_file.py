"""A flat OpenDocument spreadsheet (.fods): one XML document that is read and patched as the content of an .ods is."""

from __future__ import annotations

import re
from html import unescape

from sgdsheet.hosts.ods.ods_file import GENERATOR, OdsFile
from sgdsheet.hosts.xlsx.package import is_from_office
from sgdsheet.hosts.xlsx.xml import Node, Part, read_tree
from sgdsheet.sheet.workbook import Workbook

_BEGINNING = re.compile(
    rb"(?:\xef\xbb\xbf)?\s*(?:<\?xml[^>]*>\s*)?(?:<!--.*?-->\s*)*<(?:[\w.-]+:)?document\s", re.DOTALL
)
_FIRST = 4_000
"""Bytes in which the first element of a document begins."""
_ACTIVE = re.compile(rb'config:name="ActiveTable"[^>]*>([^<]*)<')


def is_flat_document(data: bytes) -> bool:
    """Whether the bytes are an OpenDocument document in one piece of XML."""
    return _BEGINNING.match(data[:_FIRST]) is not None and b"opendocument" in data[:_FIRST]


class FodsFile(OdsFile):
    """The document as the content, the settings and the description of a spreadsheet, all in one."""

    ending = ".fods"

    def __init__(self, name: str, data: bytes) -> None:
        self._document = Part(name, "the document", data)
        self._book: Workbook | None = None

    @property
    def data(self) -> bytes:
        return self._document.data

    def _content(self) -> Part:
        return self._document

    def _part(self, name: str) -> Part | None:
        return None

    def _settings(self) -> Node | None:
        """The settings, which stand in the document itself."""
        data = self._document.data
        start, end = data.find(b"<office:settings"), data.find(b"</office:settings>")
        head = data[: data.find(b">", data.find(b"<office:document")) + 1]
        if start < 0 or end < start:
            return None
        piece = head + data[start:end] + b"</office:settings></office:document>"
        return read_tree(Part(self._document.book, "the settings", piece))

    def _with_content(self, content: bytes) -> bytes:
        return content

    def _is_from_office(self) -> bool:
        return is_from_office(self._document.data, GENERATOR)

    def _active(self, book: Workbook) -> str | None:
        found = _ACTIVE.search(self._document.data)
        name = unescape(found[1].decode(errors="replace")) if found else ""
        return name if name in book.sheets else None
