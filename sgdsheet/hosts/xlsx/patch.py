"""Put values into the XML of a worksheet and leave every other byte as it is.

Expat tells where in the part each element starts; the edits are cut into the bytes at those places.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import TypeVar

from sgdsheet.hosts.xlsx.xml import (
    Part,
    cell_column,
    escape,
    expect_worksheet,
    new_parser,
    row_number,
    run_parser,
)
from sgdsheet.sheet.references import Range, address, parse_range
from sgdsheet.sheet.workbook import ExcelError, Position, Value

T = TypeVar("T")

_TAG = re.compile(rb"""<[^<>"']*(?:"[^"]*"[^<>"']*|'[^']*'[^<>"']*)*>""")
_QUALIFIED = re.compile(rb"<([^\s/>]+)")
_ATTRIBUTE = re.compile(rb"""\s+([^\s=]+)\s*=\s*("[^"]*"|'[^']*')""")

# The newer error values have no spelling of their own in a file: Excel saves them as #VALUE! with metadata.
_SAVED_ERRORS = frozenset(("#NULL!", "#DIV/0!", "#VALUE!", "#REF!", "#NAME?", "#NUM!", "#N/A", "#GETTING_DATA"))

Edit = tuple[int, int, bytes]
"""Replace the bytes from start to end."""


def patch_sheet(part: Part, values: Mapping[Position, Value | None]) -> bytes:
    """The worksheet part with these values. Formulas, styles and everything else stay.

    None takes the saved value of a formula away.
    """
    head = part.data[:4]
    if b"\0" in head or head.startswith((b"\xff\xfe", b"\xfe\xff")):
        raise part.error("is written in UTF-16, which can be read but not changed")
    pieces: list[bytes] = []
    position = 0
    for start, end, new in _Patcher(part, values).run():
        pieces += (part.data[position:start], new)
        position = end
    pieces.append(part.data[position:])
    return b"".join(pieces)


@dataclass(slots=True)
class _Span:
    """An element: where it starts, where its start tag ends, and where it ends itself."""

    start: int
    tag_end: int
    end: int = 0


@dataclass(slots=True)
class _Target:
    """A cell that gets a value."""

    attributes: dict[str, str]
    column: int
    value: Value | None
    formula_end: int = 0
    contents: list[_Span] = field(default_factory=list)


class _Patcher:
    """Walks through the part once. What is wanted waits in stacks, the next row or cell on top."""

    def __init__(self, part: Part, values: Mapping[Position, Value | None]) -> None:
        self._part = part
        self._data = part.data
        self._rows: list[tuple[int, list[tuple[int, Value | None]]]] = []
        for (row, column), value in sorted(values.items(), key=lambda item: item[0], reverse=True):
            if not self._rows or self._rows[-1][0] != row:
                self._rows.append((row, []))
            self._rows[-1][1].append((column, value))
        self._cells: list[tuple[int, Value | None]] = []
        self._edits: list[Edit] = []
        self._arrays: list[Range] = []
        self._row, self._row_text, self._column = 0, "0", 0
        self._sheet_span = self._row_span = self._cell_span = self._inner_span = _Span(0, 0)
        self._after = 0  # where a cell can be added to the current row
        self._target: _Target | None = None
        self._parser = new_parser(part)

    def run(self) -> list[Edit]:
        self._parser.StartElementHandler = self._root
        run_parser(self._parser, self._part)
        if self._rows:
            raise self._part.error("has no sheetData element to put cells into")
        return self._edits

    def _root(self, tag: str, attributes: dict[str, str]) -> None:
        spell = expect_worksheet(self._part, tag)
        self._c, self._v, self._f, self._is = spell("c"), spell("v"), spell("f"), spell("is")
        self._row_tag, self._data_tag = spell("row"), spell("sheetData")
        self._parser.StartElementHandler = self._start
        self._parser.EndElementHandler = self._end

    def _start(self, tag: str, attributes: dict[str, str]) -> None:
        if tag == self._c:
            if self._cells:
                self._start_cell(attributes)
        elif tag == self._f and attributes.get("t") == "array":
            self._arrays.append(parse_range(attributes.get("ref", ""), ""))
        elif tag == self._row_tag:
            self._start_row(attributes)
        elif tag == self._data_tag:
            self._sheet_span = self._here()
        if self._target is not None and tag in (self._v, self._is, self._f):
            self._inner_span = self._here()

    def _end(self, tag: str) -> None:
        if tag == self._c:
            if self._target is not None or self._cells:
                self._end_cell()
        elif tag == self._row_tag:
            if self._cells:
                span, cells = self._row_span, self._cells[::-1]
                self._add(self._new_cells(self._row, cells, span), span, self._after)
                self._cells = []
        elif tag == self._data_tag:
            rows = self._new_rows(self._rows[::-1], self._sheet_span)
            self._add(rows, self._sheet_span, self._parser.CurrentByteIndex)
            self._rows = []
        elif self._target is not None and tag in (self._v, self._is, self._f):
            self._close(self._inner_span)
            if tag == self._f:
                self._target.formula_end = self._inner_span.end
            else:
                self._target.contents.append(self._inner_span)

    def _start_row(self, attributes: dict[str, str]) -> None:
        number = row_number(attributes.get("r"), self._row)
        if number <= self._row:
            raise ValueError(f"row {number} after row {self._row}")
        self._row, self._row_text, self._column = number, str(number), 0
        if not self._rows or self._rows[-1][0] > number:
            return
        span = self._row_span = self._here()
        if missing := _take_before(self._rows, number):
            self._edits.append((span.start, span.start, self._new_rows(missing, span)))
        if self._rows and self._rows[-1][0] == number:
            self._cells = self._rows.pop()[1]
        self._after = span.tag_end

    def _start_cell(self, attributes: dict[str, str]) -> None:
        reference = attributes.get("r")
        column = self._column + 1 if reference is None else cell_column(reference, self._row_text)
        if column <= self._column:
            raise ValueError(f"cell {address(self._row, column)} is out of order")
        self._column = column
        span = self._cell_span = self._here()
        if missing := _take_before(self._cells, column):
            self._edits.append((span.start, span.start, self._new_cells(self._row, missing, span)))
        if self._cells and self._cells[-1][0] == column:
            self._target = _Target(attributes, column, self._cells.pop()[1])

    def _end_cell(self) -> None:
        span, target = self._cell_span, self._target
        self._close(span)
        self._after = span.end
        if target is not None:
            calculated = bool(target.formula_end) or self._spilled(self._row, target.column)
            if target.value is None:
                self._edits += _emptied(self._data, span, target)
                self._target = None
                return
            self._edits += _edit_cell(self._data, span, target, _kind(target.value, calculated))
            self._target = None

    def _spilled(self, row: int, column: int) -> bool:
        here = Range("", row, column, row, column)
        return any(area.contains(here) for area in self._arrays)

    def _here(self) -> _Span:
        start = self._parser.CurrentByteIndex
        tag = _TAG.match(self._data, start)
        if tag is None:
            raise ValueError(f"no tag at byte {start}")
        return _Span(start, tag.end())

    def _close(self, span: _Span) -> None:
        if _is_empty(self._data, span):
            span.end = span.tag_end
        else:
            span.end = self._data.index(b">", self._parser.CurrentByteIndex) + 1

    def _add(self, content: bytes, parent: _Span, at: int) -> None:
        if not content:
            return
        if _is_empty(self._data, parent):
            closing = b"</" + _qualified(self._data, parent) + b">"
            self._edits.append((parent.tag_end - 2, parent.tag_end, b">" + content + closing))
        else:
            self._edits.append((at, at, content))

    def _new_rows(self, rows: Iterable[tuple[int, list[tuple[int, Value | None]]]], near: _Span) -> bytes:
        tag = _prefix(self._data, near) + b"row"
        return b"".join(
            b'<%s r="%d">%s</%s>' % (tag, row, self._new_cells(row, cells[::-1], near), tag) for row, cells in rows
        )

    def _new_cells(self, row: int, cells: Iterable[tuple[int, Value | None]], near: _Span) -> bytes:
        prefix, new = _prefix(self._data, near), []
        for column, value in cells:
            if value is None:
                continue
            kind = _kind(value, self._spilled(row, column))
            mark = b"" if kind == "n" else b' t="%s"' % kind.encode()
            content = _content(value, kind, prefix)
            new.append(b'<%sc r="%s"%s>%s</%sc>' % (prefix, address(row, column).encode(), mark, content, prefix))
        return b"".join(new)


def _take_before(stack: list[tuple[int, T]], limit: int) -> list[tuple[int, T]]:
    taken = []
    while stack and stack[-1][0] < limit:
        taken.append(stack.pop())
    return taken


def _emptied(data: bytes, span: _Span, target: _Target) -> list[Edit]:
    """The edits that take a cell's value away, and the type that it had."""
    tag = data[span.start : span.tag_end]
    plain = _retag(tag, "n")
    edits = [(span.start, span.tag_end, plain)] if plain != tag else []
    return edits + [(old.start, old.end, b"") for old in target.contents]


def _edit_cell(data: bytes, span: _Span, target: _Target, kind: str) -> list[Edit]:
    """The edits that give a cell its value, in the order of their places."""
    assert target.value is not None
    old_kind = target.attributes.get("t", "n")
    same_tag = kind == old_kind and "vm" not in target.attributes
    if same_tag and kind == "n" and target.contents and _same_number(data, target.contents[0], target.value):
        return []
    tag = data[span.start : span.tag_end] if same_tag else _retag(data[span.start : span.tag_end], kind)
    content = _content(target.value, kind, _prefix(data, span))
    if _is_empty(data, span):
        opening = tag.removesuffix(b"/>").rstrip() + b">"
        return [(span.start, span.tag_end, opening + content + b"</" + _qualified(data, span) + b">")]
    edits = [] if same_tag else [(span.start, span.tag_end, tag)]
    if not target.contents:
        at = target.formula_end or span.tag_end
        return [*edits, (at, at, content)]
    old = target.contents[0]
    if kind != "inlineStr" and _qualified(data, old).endswith(b"v") and not _is_empty(data, old):
        edits.append((old.tag_end, data.rindex(b"<", old.tag_end, old.end), _text(target.value)))
    else:
        edits.append((old.start, old.end, content))
    return edits + [(other.start, other.end, b"") for other in target.contents[1:]]


def _kind(value: Value, calculated: bool) -> str:
    """The cell type for a value; text that a formula made is of another type than text that was typed."""
    if isinstance(value, bool):
        return "b"
    if isinstance(value, ExcelError):
        return "e"
    if isinstance(value, str):
        return "str" if calculated else "inlineStr"
    return "n"


def _text(value: Value) -> bytes:
    if isinstance(value, bool):
        return b"1" if value else b"0"
    if isinstance(value, ExcelError):
        return escape(value.value if value.value in _SAVED_ERRORS else "#VALUE!")
    if isinstance(value, str):
        return escape(value)
    return repr(float(value)).removesuffix(".0").encode()


def _content(value: Value, kind: str, prefix: bytes) -> bytes:
    text = _text(value)
    if kind != "inlineStr":
        return b"<%sv>%s</%sv>" % (prefix, text, prefix)
    space = b' xml:space="preserve"' if text != text.strip() else b""
    return b"<%sis><%st%s>%s</%st></%sis>" % (prefix, prefix, space, text, prefix, prefix)


def _same_number(data: bytes, span: _Span, value: Value) -> bool:
    """Whether the number is there already, maybe spelled with more digits: then it stays as it is."""
    try:
        return float(data[span.tag_end : data.rindex(b"<", span.start, span.end)]) == value
    except ValueError:
        return False


def _retag(tag: bytes, kind: str) -> bytes:
    """A cell's start tag with another type, and without the metadata of a rich value."""

    def keep(match: re.Match[bytes]) -> bytes:
        return b"" if match[1] in (b"t", b"vm") else match[0]

    tag = _ATTRIBUTE.sub(keep, tag)
    if kind == "n":
        return tag
    end = len(tag) - (2 if tag.endswith(b"/>") else 1)
    return tag[:end].rstrip() + b' t="%s"' % kind.encode() + tag[end:]


def _is_empty(data: bytes, span: _Span) -> bool:
    return data[span.tag_end - 2 : span.tag_end] == b"/>"


def _qualified(data: bytes, span: _Span) -> bytes:
    match = _QUALIFIED.match(data, span.start)
    return match[1] if match else b""


def _prefix(data: bytes, span: _Span) -> bytes:
    before, colon, _ = _qualified(data, span).rpartition(b":")
    return before + colon
