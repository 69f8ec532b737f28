"""Put values into the XML of a worksheet and leave every other byte as it is."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import TypeVar

from sgdsheet.hosts.xlsx.edit import ATTRIBUTE, PartEditor, Span
from sgdsheet.hosts.xlsx.xml import Part, cell_column, escape, expect_worksheet, row_number
from sgdsheet.sheet.references import Range, address, parse_range
from sgdsheet.sheet.workbook import ExcelError, Position, Value

T = TypeVar("T")

# The newer error values have no spelling of their own in a file: Excel saves them as #VALUE! with metadata.
_SAVED_ERRORS = frozenset(("#NULL!", "#DIV/0!", "#VALUE!", "#REF!", "#NAME?", "#NUM!", "#N/A", "#GETTING_DATA"))


@dataclass(frozen=True, slots=True)
class Replaced:
    """Cells whose formula gives way to their new value.

    `sharing` are the other cells of formulas that are shared with one of these and written there alone: they get the
    text of their own.
    """

    cells: frozenset[Position] = frozenset()
    sharing: Mapping[Position, str] = field(default_factory=dict)


def patch_sheet(part: Part, values: Mapping[Position, Value | None], replaced: Replaced | None = None) -> bytes:
    """The worksheet part with these values. Formulas (but those `replaced`), styles and everything else stay.

    None takes the saved value of a formula away.
    """
    patcher = _Patcher(part, values, replaced or Replaced())
    patcher.run()
    return patcher.result()


@dataclass(slots=True)
class _Target:
    """A cell that gets a value."""

    attributes: dict[str, str]
    column: int
    value: Value | None
    formula_end: int = 0
    contents: list[Span] = field(default_factory=list)


class _Patcher(PartEditor):
    """Walks through the part once. What is wanted waits in stacks, the next row or cell on top."""

    def __init__(self, part: Part, values: Mapping[Position, Value | None], replaced: Replaced) -> None:
        super().__init__(part)
        self._replaced = replaced
        self._rows: list[tuple[int, list[tuple[int, Value | None]]]] = []
        for (row, column), value in sorted(values.items(), key=lambda item: item[0], reverse=True):
            if not self._rows or self._rows[-1][0] != row:
                self._rows.append((row, []))
            self._rows[-1][1].append((column, value))
        self._cells: list[tuple[int, Value | None]] = []
        self._arrays: list[Range] = []  # those that reach the current row
        self._row, self._row_text, self._column = 0, "0", 0
        self._sheet_span = self._row_span = self._cell_span = self._inner_span = Span(b"", 0, 0, is_empty=False)
        self._after = 0  # where a cell can be added to the current row
        self._target: _Target | None = None
        self._shared = False  # whether the last formula shares its text with others

    def run(self) -> None:
        self._parser.StartElementHandler = self._root
        self._walk()
        if self._rows:
            raise self._part.error("has no sheetData element to put cells into")

    def _root(self, tag: str, attributes: dict[str, str]) -> None:
        spell = expect_worksheet(self._part, tag)
        self._c, self._v, self._f, self._is = spell("c"), spell("v"), spell("f"), spell("is")
        self._row_tag, self._data_tag = spell("row"), spell("sheetData")
        self._parser.StartElementHandler = self._start
        self._parser.EndElementHandler = self._end

    def _start(self, tag: str, attributes: dict[str, str]) -> None:
        if tag == self._c:
            if self._cells or self._replaced.sharing:
                self._start_cell(attributes)
        elif tag == self._f:
            self._shared = attributes.get("t") == "shared"
            if attributes.get("t") == "array":
                self._arrays.append(parse_range(attributes.get("ref", ""), ""))
        elif tag == self._row_tag:
            self._start_row(attributes)
        elif tag == self._data_tag:
            self._sheet_span = self._here()
        wanted = self._target is not None and tag in (self._v, self._is, self._f)
        if wanted or (tag == self._f and self._shares):
            self._inner_span = self._here()

    def _end(self, tag: str) -> None:
        if tag == self._c:
            if self._target is not None or self._cells or self._replaced.sharing:
                self._end_cell()
        elif tag == self._row_tag:
            if self._cells:
                span, cells = self._row_span, self._cells[::-1]
                if content := self._new_cells(self._row, cells, span):
                    self.append(span, content, self._after)
                self._cells = []
        elif tag == self._data_tag:
            if content := self._new_rows(self._rows[::-1], self._sheet_span):
                self.append(self._sheet_span, content, self._parser.CurrentByteIndex)
            self._rows = []
        elif tag == self._f and self._shares:
            self._close(self._inner_span)
            self._write_formula(self._inner_span, self._replaced.sharing[self._row, self._column])
        elif self._target is not None and tag in (self._v, self._is, self._f):
            self._close(self._inner_span)
            if tag == self._f and (self._row, self._target.column) in self._replaced.cells:
                self.replace(self._inner_span.start, self._inner_span.end, b"")
            elif tag == self._f:
                self._target.formula_end = self._inner_span.end
            else:
                self._target.contents.append(self._inner_span)

    def _start_row(self, attributes: dict[str, str]) -> None:
        number = row_number(attributes.get("r"), self._row)
        if number <= self._row:
            raise ValueError(f"row {number} after row {self._row}")
        self._row, self._row_text, self._column = number, str(number), 0
        if self._arrays:
            self._arrays = [area for area in self._arrays if area.bottom >= number]
        if not self._rows or self._rows[-1][0] > number:
            return
        span = self._row_span = self._here()
        if missing := _take_before(self._rows, number):
            self.insert(span.start, self._new_rows(missing, span))
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
            self.insert(span.start, self._new_cells(self._row, missing, span))
        if self._cells and self._cells[-1][0] == column:
            self._target = _Target(attributes, column, self._cells.pop()[1])

    def _end_cell(self) -> None:
        span, target = self._cell_span, self._target
        self._close(span)
        self._after = span.end
        if target is None:
            return
        if target.value is None:
            self._empty_cell(span, target)
        else:
            calculated = bool(target.formula_end) or self._spilled(self._row, target.column)
            self._edit_cell(span, target, target.value, _kind(target.value, calculated))
        self._target = None

    @property
    def _shares(self) -> bool:
        """Whether the formula of the current cell is written in a cell that loses it."""
        return self._shared and (self._row, self._column) in self._replaced.sharing

    def _write_formula(self, span: Span, text: str) -> None:
        name = span.name
        self.replace(span.start, span.end, b"<%s>%s</%s>" % (name, escape(text), name))
        if self._target is not None:
            self._target.formula_end = span.end

    def _empty_cell(self, span: Span, target: _Target) -> None:
        """Take a cell's value away, and the type that it had."""
        tag = self.source(span)
        plain = _retag(tag, "n")
        if plain != tag:
            self.replace(span.start, span.tag_end, plain)
        for old in target.contents:
            self.replace(old.start, old.end, b"")

    def _edit_cell(self, span: Span, target: _Target, value: Value, kind: str) -> None:
        """Give a cell its value."""
        same_tag = kind == target.attributes.get("t", "n") and "vm" not in target.attributes
        if same_tag and kind == "n" and target.contents and self._has_number(target.contents[0], value):
            return
        tag = self.source(span) if same_tag else _retag(self.source(span), kind)
        content = _content(value, kind, span.prefix)
        if span.is_empty:
            opening = tag.removesuffix(b"/>").rstrip() + b">"
            self.replace(span.start, span.tag_end, opening + content + b"</" + span.name + b">")
            return
        if not same_tag:
            self.replace(span.start, span.tag_end, tag)
        if not target.contents:
            self.insert(target.formula_end or span.tag_end, content)
            return
        old, *others = target.contents
        if kind != "inlineStr" and old.name.endswith(b"v") and not old.is_empty:
            self.replace(old.tag_end, old.inner_end, _text(value))
        else:
            self.replace(old.start, old.end, content)
        for other in others:
            self.replace(other.start, other.end, b"")

    def _has_number(self, content: Span, value: Value) -> bool:
        """Whether the number is there already, maybe spelled with more digits: then it stays as it is."""
        try:
            return float(self._data[content.tag_end : content.inner_end]) == value
        except ValueError:
            return False

    def _spilled(self, row: int, column: int) -> bool:
        return any(area.contains(Range("", row, column, row, column)) for area in self._arrays)

    def _new_rows(self, rows: Iterable[tuple[int, list[tuple[int, Value | None]]]], near: Span) -> bytes:
        tag = near.prefix + b"row"
        return b"".join(
            b'<%s r="%d">%s</%s>' % (tag, row, self._new_cells(row, cells[::-1], near), tag) for row, cells in rows
        )

    def _new_cells(self, row: int, cells: Iterable[tuple[int, Value | None]], near: Span) -> bytes:
        prefix, new = near.prefix, []
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


def _retag(tag: bytes, kind: str) -> bytes:
    """A cell's start tag with another type, and without the metadata of a rich value."""

    def keep(match: re.Match[bytes]) -> bytes:
        return b"" if match[1] in (b"t", b"vm") else match[0]

    tag = ATTRIBUTE.sub(keep, tag)
    if kind == "n":
        return tag
    end = len(tag) - (2 if tag.endswith(b"/>") else 1)
    return tag[:end].rstrip() + b' t="%s"' % kind.encode() + tag[end:]
