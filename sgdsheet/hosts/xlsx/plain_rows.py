"""Rows of a worksheet that are written as most programs write them, read by regular expressions.

A large sheet is rows of cells without anything unusual. Such a row is matched as a whole, so that nothing in it is
passed over, and read without an event per element, which is several times faster. Every other row is left to the parser
(`worksheet`), with all its rules and messages.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import NamedTuple

_FORMULA = r'<f(?: aca="false")?>([^<]+)</f>|<f t="shared"(?: ref="([A-Z0-9:]+)")? si="(\d+)"(?:/>|>([^<]*)</f>)'
_INLINE = r' t="inlineStr"><is><t(?: xml:space="preserve")?>([^<]*)(</t>)</is></c>'
CELL = re.compile(
    r'<c r="([A-Z]{1,3})([1-9]\d{0,6})"(?: s="\d+")?'
    rf"(?:{_INLINE}|"
    r'(?: t="(n|s|str|b|e)")?'
    rf"(?:/>|>(?:{_FORMULA})?(?:<v>([^<]*)(</v>))?</c>))",
    re.ASCII,
)
"""A cell: its column and row; its text, where that stands within it; or its type, its formula, or the area, index and
text of a shared one, and its value."""
_USUAL = "spans|s|customFormat|ht|hidden|customHeight|outlineLevel|collapsed|thickTop|thickBot|x14ac:dyDescent"
_ROW = re.compile(
    rf'<row r="([1-9]\d{{0,6}})"((?: (?:{_USUAL})="[\w.: -]*")*)>',
    re.ASCII,
)
_HIDDEN = re.compile(r' hidden="(?:1|true)"')
_ROOT = re.compile(rb"<worksheet(?:\s[^<>]*)?>")
_ENCODING = re.compile(rb"""<\?xml[^>]*encoding\s*=\s*["']([^"']*)["']""")
_UNUSUAL = b"<sheetData", b"<!", b"<?"
"""What begins comments, processing instructions and unparsed text: a sheet that has some is left to the parser."""
_CONTROL = bytes(set(range(32)) - {9, 10})
"""Bytes that XML forbids, and the carriage return, which it takes for a line feed."""
_ENTITY = re.compile(r"&(?:(amp|lt|gt|quot|apos);)?")
_ENTITIES = {"amp": "&", "lt": "<", "gt": ">", "quot": '"', "apos": "'"}
_END = "</row>"


class Layout(NamedTuple):
    """The parts of a worksheet: all up to its rows, its rows, all behind them; and its root's start tag."""

    data: bytes
    start: int
    end: int
    root_end: int

    @property
    def around(self) -> bytes:
        """The worksheet without its rows."""
        return self.data[: self.start] + self.data[self.end :]

    def alone(self, start: int, end: int) -> bytes:
        """A worksheet with nothing but some of the rows."""
        return self.data[: self.root_end] + b"<sheetData>" + self.data[start:end] + b"</sheetData></worksheet>"

    def rows(self) -> Iterator[tuple[int, int]]:
        """Where each row stands, as far as its end tag tells; and what is left behind the last."""
        start = self.start
        find, end = self.data.find, self.end
        while (place := find(b"</row>", start, end)) >= 0:
            yield start, place + len(_END)
            start = place + len(_END)
        if start < end:
            yield start, end


class Row(NamedTuple):
    """A plain row: its number, as a number and as text, whether it is hidden, and the text of its cells."""

    number: int
    digits: str
    hidden: bool
    cells: list[tuple[str, ...]]


def layout_of(data: bytes) -> Layout | None:
    """Where the rows of a worksheet are; None if it is to be parsed as a whole."""
    if b"\0" in data[:4] or data.startswith((b"\xff\xfe", b"\xfe\xff")):
        return None
    start = data.find(b"<sheetData>") + len(b"<sheetData>")
    end = data.find(b"</sheetData>", start)
    head = data[: max(start, 0)]
    encoding, root = _ENCODING.match(head.removeprefix(b"\xef\xbb\xbf")), _ROOT.search(head)
    usual = root is not None and (encoding is None or encoding[1].lower() in (b"utf-8", b"us-ascii"))
    if (
        start < len(b"<sheetData>")
        or end < 0
        or not usual
        or any(data.find(mark, start, end) >= 0 for mark in _UNUSUAL)
    ):
        return None
    assert root is not None
    if data.find(b" x14ac:", start, end) >= 0 and b" xmlns:x14ac=" not in root[0]:
        return None
    if b"<!" in head or head.count(b"<worksheet") > 1:
        return None
    return Layout(data, start, end, root.end())


def plain_row(data: bytes) -> Row | None:
    """A row, if it is written as most programs write rows."""
    if len(data) != len(data.translate(None, _CONTROL)):
        return None
    try:
        text = data.decode()
    except UnicodeDecodeError:
        return None
    head = _ROW.match(text)
    if head is None or "]]>" in text:
        return None
    body = text[head.end() :]
    if CELL.sub("", body) != _END:
        return None
    attributes = head[2]
    if attributes.count("=") > 1 and len(set(re.findall(r" ([\w:]+)=", attributes))) != attributes.count("="):
        return None
    return Row(int(head[1]), head[1], _HIDDEN.search(attributes) is not None, CELL.findall(body))


def unescaped(text: str) -> str:
    """Text without entities. Raises KeyError for one that is none of the five of XML."""
    return _ENTITY.sub(lambda match: _ENTITIES[match[1]], text) if "&" in text else text
