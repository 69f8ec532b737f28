"""Put values and formulas into the XML of a worksheet and leave every other byte as it is."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from itertools import takewhile
from typing import NamedTuple, TypeVar

from sgdsheet.errors import FormulaError
from sgdsheet.hosts.cell_edit import Change, Cleared, Constant, FormulaEdit, value_of
from sgdsheet.hosts.xlsx.edit import ATTRIBUTE, PartEditor, Span, with_edits
from sgdsheet.hosts.xlsx.excerpt import excerpt
from sgdsheet.hosts.xlsx.what_if import filled_by_table
from sgdsheet.hosts.xlsx.xml import Part, cell_column, escape, escape_formula, expect_worksheet, row_number, truth
from sgdsheet.sheet.references import Cell, Range, address, parse_range
from sgdsheet.sheet.workbook import ExcelError, Position, Value

T = TypeVar("T")

# The newer error values have no spelling of their own in a file: Excel saves them as #VALUE! with metadata.
_SAVED_ERRORS = frozenset(("#NULL!", "#DIV/0!", "#VALUE!", "#REF!", "#NAME?", "#NUM!", "#N/A", "#GETTING_DATA"))


class Shares(NamedTuple):
    """What a formula becomes that was written in a cell that loses it, for this and other cells.

    It gets a text of its own, and with an `area` (such as `B3:B9`) it is the one in which the others stand now.
    """

    text: str
    area: str = ""


StyleOf = Callable[[int, str], int]
"""The cell format like another one, but with a number format if that has none."""


def patch_sheet(
    part: Part,
    changes: Mapping[Position, Change],
    sharing: Mapping[Position, Shares] | None = None,
    style_of: StyleOf = lambda style, code: style,
    sheet: str = "",
) -> bytes:
    """The worksheet part with these changes. Styles, formulas that are not edited, and everything else stay.

    `sharing` are formulas whose text stood in a cell that loses it; `sheet` is what errors call the sheet.
    """
    sharing = sharing or {}
    cut = excerpt(part.data, {row for row, _ in (*changes, *sharing)})
    if cut is None:
        patcher = _Patcher(part, changes, sharing, style_of, sheet)
        patcher.run()
        return patcher.result()
    patcher = _Patcher(replace(part, data=cut.data), changes, sharing, style_of, sheet)
    patcher.run()
    edits = ((cut.place(start), end - start, new) for start, end, new in patcher.edits())
    return with_edits(part.data, ((start, start + length, new) for start, length, new in edits))


@dataclass(slots=True)
class _Target:
    """A cell that is changed."""

    attributes: dict[str, str]
    column: int
    change: Change
    formula: Span | None = None
    formula_end: int = 0
    contents: list[Span] = field(default_factory=list)


class _Columns(NamedTuple):
    """Columns that have a format, which cells get that are not in the file yet."""

    first: int
    last: int
    style: int


class _Patcher(PartEditor):
    """Walks through the part once. What is wanted waits in stacks, the next row or cell on top."""

    def __init__(
        self,
        part: Part,
        changes: Mapping[Position, Change],
        sharing: Mapping[Position, Shares],
        style_of: StyleOf,
        sheet: str,
    ) -> None:
        super().__init__(part)
        self._sheet = sheet
        self._sharing, self._style_of = sharing, style_of
        self._rows: list[tuple[int, list[tuple[int, Change]]]] = []
        for (row, column), change in sorted(changes.items(), key=lambda item: item[0], reverse=True):
            if not self._rows or self._rows[-1][0] != row:
                self._rows.append((row, []))
            self._rows[-1][1].append((column, change))
        self._cells: list[tuple[int, Change]] = []
        self._arrays: list[Range] = []  # those that reach the current row
        self._what_if: list[Range] = []
        self._columns: list[_Columns] = []
        self._row, self._row_text, self._column = 0, "0", 0
        self._sheet_span = self._row_span = self._cell_span = self._inner_span = Span(b"", 0, 0, is_empty=False)
        self._dimension: tuple[Span, str] | None = None
        self._row_attributes: dict[str, str] = {}
        self._new: list[Position] = []  # the cells that are not in the file yet
        self._after = 0  # where a cell can be added to the current row
        self._target: _Target | None = None
        self._shared = ""  # the number of the text that the last formula shares with others

    def run(self) -> None:
        self._parser.StartElementHandler = self._root
        self._walk()
        if self._rows:
            raise self._part.error("has no sheetData element to put cells into")
        if self._dimension is not None and self._new:
            self._enlarge(*self._dimension)

    def _root(self, tag: str, attributes: dict[str, str]) -> None:
        spell = expect_worksheet(self._part, tag)
        self._c, self._v, self._f, self._is = spell("c"), spell("v"), spell("f"), spell("is")
        self._row_tag, self._data_tag = spell("row"), spell("sheetData")
        self._dimension_tag, self._columns_tag = spell("dimension"), spell("col")
        self._parser.StartElementHandler = self._start
        self._parser.EndElementHandler = self._end

    def _start(self, tag: str, attributes: dict[str, str]) -> None:
        if tag == self._c:
            if self._cells or self._sharing:
                self._start_cell(attributes)
        elif tag == self._f:
            kind = attributes.get("t")
            self._shared = attributes.get("si", "0") if kind == "shared" else ""
            if kind in ("array", "dataTable"):
                area = parse_range(attributes.get("ref", ""), "")
                (self._arrays if kind == "array" else self._what_if).append(area)
        elif tag == self._row_tag:
            self._start_row(attributes)
        elif tag == self._data_tag:
            self._sheet_span = self._here()
        elif tag == self._dimension_tag:
            self._dimension = self._here(), attributes.get("ref", "")
        elif tag == self._columns_tag:
            first, last, style = (int(attributes.get(name, "0")) for name in ("min", "max", "style"))
            if style:
                self._columns.append(_Columns(first, last, style))
        wanted = self._target is not None and tag in (self._v, self._is, self._f)
        if wanted or (tag == self._f and self._shares is not None):
            self._inner_span = self._here()

    def _end(self, tag: str) -> None:
        if tag == self._c:
            if self._target is not None or self._cells or self._sharing:
                self._end_cell()
        elif tag == self._row_tag:
            if self._cells:
                span, cells = self._row_span, self._cells[::-1]
                if content := self._new_cells(self._row, cells, span):
                    self.append(span, content, self._after)
                self._cells = []
            if self._row_attributes and self._new:
                self._widen(self._row_attributes)
            self._row_attributes = {}
        elif tag == self._data_tag:
            if content := self._new_rows(self._rows[::-1], self._sheet_span):
                self.append(self._sheet_span, content, self._parser.CurrentByteIndex)
            self._rows = []
        elif tag == self._f and (shares := self._shares) is not None:
            self._close(self._inner_span)
            self._write_formula(self._inner_span, shares)
        elif self._target is not None and tag in (self._v, self._is, self._f):
            self._close(self._inner_span)
            if tag == self._f:
                self._target.formula, self._target.formula_end = self._inner_span, self._inner_span.end
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
            self._cells, self._row_attributes = self._rows.pop()[1], attributes
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
        change = target.change
        if isinstance(change, Constant | FormulaEdit | Cleared):
            self._refuse_what_if(self._row, target.column)
            self._replace_formula(span, target, change)
        value = value_of(change)
        if value is None:
            self._empty_cell(span, target)
        else:
            self._edit_cell(span, target, value, self._kind(change, target))
        self._target = None

    def _kind(self, change: Change, target: _Target) -> str:
        """The type of a cell with its new value."""
        if isinstance(change, Constant | FormulaEdit):
            return _kind(value_of(change), isinstance(change, FormulaEdit))
        return _kind(value_of(change), bool(target.formula_end) or self._spilled(self._row, target.column))

    @property
    def _shares(self) -> Shares | None:
        """What the formula of the current cell becomes whose text was written in a cell that loses it."""
        return self._sharing.get((self._row, self._column)) if self._shared else None

    def _write_formula(self, span: Span, shares: Shares) -> None:
        name, shared = span.name, b""
        if shares.area:
            shared = b' t="shared" ref="%s" si="%s"' % (shares.area.encode(), self._shared.encode())
        self.replace(span.start, span.end, b"<%s%s>%s</%s>" % (name, shared, escape_formula(shares.text), name))
        if self._target is not None:
            self._target.formula_end = span.end

    def _replace_formula(self, span: Span, target: _Target, change: Constant | FormulaEdit | Cleared) -> None:
        """Take a cell's formula away, and put another one in its place."""
        new = _formula(change, span.prefix) if not span.is_empty else b""
        if target.formula is not None:
            self.replace(target.formula.start, target.formula.end, new)
        elif new:
            self.insert(span.tag_end, new)
            target.formula_end = span.tag_end
        if target.formula is not None and not new:
            target.formula_end = 0

    def _empty_cell(self, span: Span, target: _Target) -> None:
        """Take a cell's value away, and the type that it had."""
        tag = self.source(span)
        plain = self._tag(tag, target, "n")
        if span.is_empty and isinstance(target.change, FormulaEdit):
            self._open(span, plain, _formula(target.change, span.prefix))
        elif plain != tag:
            self.replace(span.start, span.tag_end, plain)
        for old in target.contents:
            self.replace(old.start, old.end, b"")

    def _edit_cell(self, span: Span, target: _Target, value: Value, kind: str) -> None:
        """Give a cell its value."""
        tag = self._tag(self.source(span), target, kind)
        same_tag = tag == self.source(span)
        if same_tag and kind == "n" and target.contents and self._has_number(target.contents[0], value):
            return
        content = _content(value, kind, span.prefix)
        if span.is_empty:
            self._open(span, tag, _formula(target.change, span.prefix) + content)
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

    def _open(self, span: Span, tag: bytes, content: bytes) -> None:
        """Give contents to a cell that is written without."""
        opening = tag.removesuffix(b"/>").rstrip() + b">"
        self.replace(span.start, span.tag_end, opening + content + b"</" + span.name + b">")

    def _tag(self, tag: bytes, target: _Target, kind: str) -> bytes:
        """The cell's start tag for a value of this type; as it is where nothing of it changes."""
        edited = isinstance(target.change, Constant | FormulaEdit | Cleared)
        gone = {"vm", "cm"} if edited else {"vm"}
        if kind != target.attributes.get("t", "n") or not gone.isdisjoint(target.attributes):
            tag = _retag(tag, kind, gone)
        code = target.change.number_format if isinstance(target.change, Constant) else None
        if code is not None:
            old = int(target.attributes.get("s", "0"))
            if (new := self._style_of(old, code)) != old:
                tag = _restyled(tag, new)
        return tag

    def _has_number(self, content: Span, value: Value) -> bool:
        """Whether the number is there already, maybe spelled with more digits: then it stays as it is."""
        try:
            return float(self._data[content.tag_end : content.inner_end]) == value
        except ValueError:
            return False

    def _spilled(self, row: int, column: int) -> bool:
        return any(area.contains(Range("", row, column, row, column)) for area in self._arrays)

    def _refuse_what_if(self, row: int, column: int) -> None:
        here = Range("", row, column, row, column)
        if any(area.contains(here) for area in self._what_if):
            raise filled_by_table(Cell(self._sheet, row, column))

    # --- cells that are not in the file yet ---

    def _new_rows(self, rows: Iterable[tuple[int, list[tuple[int, Change]]]], near: Span) -> bytes:
        tag, new = near.prefix + b"row", []
        for row, cells in rows:
            if content := self._new_cells(row, cells[::-1], near):
                new.append(b'<%s r="%d">%s</%s>' % (tag, row, content, tag))
        return b"".join(new)

    def _new_cells(self, row: int, cells: Iterable[tuple[int, Change]], near: Span) -> bytes:
        prefix, new = near.prefix, []
        for column, change in cells:
            value, formula = value_of(change), _formula(change, prefix)
            if value is None and not formula:
                continue
            self._refuse_what_if(row, column)
            kind = "n"
            if value is not None:
                edited = isinstance(change, Constant | FormulaEdit)
                kind = _kind(value, bool(formula) or (not edited and self._spilled(row, column)))
            style = self._style(row, column, change)
            look = b' s="%d"' % style if style else b""
            mark = b"" if kind == "n" else b' t="%s"' % kind.encode()
            content = formula + (b"" if value is None else _content(value, kind, prefix))
            name = address(row, column).encode()
            new.append(b'<%sc r="%s"%s%s>%s</%sc>' % (prefix, name, look, mark, content, prefix))
            self._new.append((row, column))
        return b"".join(new)

    def _style(self, row: int, column: int, change: Change) -> int:
        """The format of a new cell: that of its row, or of its column, as Excel gives it."""
        attributes = self._row_attributes if row == self._row else {}
        if truth(attributes.get("customFormat")):
            style = int(attributes.get("s", "0"))
        else:
            style = next((item.style for item in self._columns if item.first <= column <= item.last), 0)
        code = change.number_format if isinstance(change, Constant) else None
        return style if code is None else self._style_of(style, code)

    def _widen(self, attributes: dict[str, str]) -> None:
        """Have the row say from which to which column it has cells, where it says so."""
        newest = takewhile(lambda place: place[0] == self._row, reversed(self._new))  # rows come in their order
        columns = [column for _, column in newest]
        first, _, last = attributes.get("spans", "").partition(":")
        if not columns or not (first.isdecimal() and last.isdecimal()):
            return
        old = int(first), int(last)
        new = min(old[0], *columns), max(old[1], *columns)
        if new != old:
            self._set(self._row_span, b"spans", b"%d:%d" % new)

    def _enlarge(self, span: Span, text: str) -> None:
        """Have the sheet say which area its cells cover, where it says so."""
        try:
            area = parse_range(text, "")
        except FormulaError:
            return
        rows, columns = zip(*self._new, strict=True)
        top, left = min(area.top, *rows), min(area.left, *columns)
        new = Range("", top, left, max(area.bottom, *rows), max(area.right, *columns))
        if new != area:
            self._set(span, b"ref", new.a1.encode())

    def _set(self, span: Span, name: bytes, value: bytes) -> None:
        """Change an attribute of a start tag."""
        for match in ATTRIBUTE.finditer(self.source(span)):
            if match[1] == name:
                start, end = (span.start + place for place in match.span(2))
                self.replace(start + 1, end - 1, value)


def _take_before(stack: list[tuple[int, T]], limit: int) -> list[tuple[int, T]]:
    taken = []
    while stack and stack[-1][0] < limit:
        taken.append(stack.pop())
    return taken


def _formula(change: Change, prefix: bytes) -> bytes:
    """The element of a formula that is put into a cell."""
    if not isinstance(change, FormulaEdit):
        return b""
    return b"<%sf>%s</%sf>" % (prefix, escape_formula(change.text), prefix)


def _kind(value: Value | None, calculated: bool) -> str:
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


def _retag(tag: bytes, kind: str, gone: Iterable[str]) -> bytes:
    """A cell's start tag with another type, and without some other attributes, such as those of a rich value."""
    without = {b"t", *(name.encode() for name in gone)}
    tag = ATTRIBUTE.sub(lambda match: b"" if match[1] in without else match[0], tag)
    return tag if kind == "n" else _with(tag, b't="%s"' % kind.encode())


def _restyled(tag: bytes, style: int) -> bytes:
    """A cell's start tag with another format."""
    tag = ATTRIBUTE.sub(lambda match: b"" if match[1] == b"s" else match[0], tag)
    return _with(tag, b's="%d"' % style)


def _with(tag: bytes, attribute: bytes) -> bytes:
    end = len(tag) - (2 if tag.endswith(b"/>") else 1)
    return tag[:end].rstrip() + b" " + attribute + tag[end:]
