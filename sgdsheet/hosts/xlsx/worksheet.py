"""One worksheet part, read in a single pass: plain rows by regular expressions (`plain_rows`), the others by expat.

Expat's callbacks beat lxml's iterparse and ElementTree here, and a large sheet is never a tree in memory.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date

from sgdsheet.errors import FileError
from sgdsheet.hosts.xlsx.plain_rows import Layout, Row, layout_of, plain_row, unescaped
from sgdsheet.hosts.xlsx.what_if import MOST_CELLS, table_formulas
from sgdsheet.hosts.xlsx.xml import (
    Part,
    cell_column,
    expect_worksheet,
    new_parser,
    plain_column,
    row_number,
    run_parser,
    truth,
    unescape,
)
from sgdsheet.sheet.formula import filled_down
from sgdsheet.sheet.references import MAX_COLUMN, MAX_ROW, Cell, Range, parse_range
from sgdsheet.sheet.workbook import ExcelError, Formula, Position, Sheet, Value
from sgdsheet.system.long_work import done

_ROWS = 1_000
"""Rows after which it is said how much is read."""
_DATE = re.compile(r"(?:(\d{4})-(\d\d)-(\d\d))?T?(?:(\d\d):(\d\d)(?::(\d\d(?:\.\d+)?))?)?Z?", re.ASCII)


FILTER_CRITERIA = ("filters", "customFilters", "dynamicFilter", "top10", "colorFilter", "iconFilter")
"""Elements of a filter that hides rows."""

_MOST_MISSES = 8
"""Formulas of a column that are none filled down, after which not every one is tried."""


class _Column:
    """A column of plain rows: the formula that was written out last, and how it reads in other rows.

    `layout` and `offsets` are those of `filled_down`, and empty where entities stand for parts of the text. A formula
    that is the one above, filled down, is the same object: that saves memory, and the compiler finds the copies fast.
    """

    __slots__ = ("_misses", "_whole", "formula", "layout", "number", "offsets")

    def __init__(self, number: int) -> None:
        self.number, self._misses = number, 0
        self.formula = Formula("", 0, 0)
        self.layout = ""
        self.offsets: tuple[int, ...] = ()
        self._whole: tuple[str, tuple[int, ...]] = "", ()

    def read(self, row: int, text: str) -> Formula:
        """A formula that may be another one than that above."""
        layout, offsets = self._whole
        if text == layout % tuple([row + offset for offset in offsets]):  # it has entities in it
            return self.formula
        self._misses += 1
        formula = Formula(text, row, self.number)
        if self._misses <= _MOST_MISSES or row % _MOST_MISSES == 0:
            self.formula = formula
            self._whole = filled_down(text, row)
            self.layout, self.offsets = ("", ()) if any(mark in text for mark in "&<>") else self._whole
        return formula


@dataclass(frozen=True, slots=True)
class Context:
    """What cells refer to outside of their sheet."""

    strings: Sequence[str] = ()
    dynamic: frozenset[str] = frozenset()
    """Values of the `cm` attribute that mark a dynamic array."""
    date1904: bool = False


def read_sheet(name: str, part: Part, context: Context) -> Sheet:
    """Read a worksheet part."""
    return _Reader(name, part, context).run()


class _Reader:
    def __init__(self, name: str, part: Part, context: Context) -> None:
        self._sheet = Sheet(name)
        self._hidden = self._sheet.hidden_rows
        self._part = part
        self._context = context
        self._row, self._row_text, self._column = 0, "0", 0
        self._cell: dict[str, str] = {}
        self._pieces: list[str] = []
        self._value: str | None = None
        self._formula: dict[str, str] | None = None
        self._formula_text = ""
        self._phonetic = False
        self._filter: Range | None = None
        self._filters: list[Range] = []
        self._filter_mode = self._in_views = False
        self._shared: dict[str, Formula] = {}
        self._waiting: list[tuple[Position, str]] = []
        self._columns: dict[str, _Column] = {}
        self._in_tables = 0  # cells of what-if data tables

    def run(self) -> Sheet:
        layout = layout_of(self._part.data)
        if layout is None:
            self._parse(self._part)
        else:
            self._parse(replace(self._part, data=layout.around))
            self._read_rows(layout)
        for area in self._filters:
            self._sheet.filter_rows(area)
        if self._filter_mode and not self._filters:
            self._sheet.filtered_rows = None  # an advanced filter leaves no trace of where it is
        for position, index in self._waiting:
            if index not in self._shared:
                raise self._error(position, "shares a formula that is missing")
            self._sheet.formulas[position] = self._shared[index]
        return self._sheet

    def _parse(self, part: Part) -> None:
        """Read the whole part, or a worksheet made of some of its rows."""
        self._parser = new_parser(part)
        self._parser.StartElementHandler = self._root
        run_parser(self._parser, part)

    def _root(self, tag: str, attributes: dict[str, str]) -> None:
        spell = expect_worksheet(self._part, tag)
        self._c, self._v, self._f, self._t = spell("c"), spell("v"), spell("f"), spell("t")
        self._row_tag, self._is, self._phonetic_tag = spell("row"), spell("is"), spell("rPh")
        self._merge, self._protection = spell("mergeCell"), spell("sheetProtection")
        self._filter_tag, self._properties, self._views = (
            spell("autoFilter"),
            spell("sheetPr"),
            spell("customSheetViews"),
        )
        self._criteria = {spell(name) for name in FILTER_CRITERIA}
        self._parser.StartElementHandler = self._start
        self._parser.EndElementHandler = self._end
        self._parser.CharacterDataHandler = self._pieces.append

    # The handlers run several times per cell: one test per frequent tag, no indirection.

    def _start(self, tag: str, attributes: dict[str, str]) -> None:
        self._pieces.clear()
        if tag == self._c:
            self._cell = attributes
            self._value = self._formula = None
        elif tag == self._f:
            self._formula = attributes
        elif tag == self._row_tag:
            self._row = row_number(attributes.get("r"), self._row)
            self._row_text = str(self._row)
            self._column = 0
            if self._hidden is not None and truth(attributes.get("hidden")):
                self._hidden.add(self._row)
        elif tag == self._is:
            self._value = ""
        elif tag == self._phonetic_tag:
            self._phonetic = True
        elif tag == self._merge:
            self._sheet.merged.append(parse_range(attributes.get("ref", ""), self._sheet.name))
        elif tag == self._protection:
            self._sheet.protected = truth(attributes.get("sheet"))
        elif tag == self._filter_tag:
            self._filter = None if self._in_views else parse_range(attributes.get("ref", ""), self._sheet.name)
        elif tag in self._criteria:
            if self._filter is not None and self._filter not in self._filters:
                self._filters.append(self._filter)
        elif tag == self._properties:
            self._filter_mode = truth(attributes.get("filterMode"))
        elif tag == self._views:
            self._in_views, self._filter = True, None

    def _end(self, tag: str) -> None:
        if tag == self._v:
            self._value = "".join(self._pieces)
        elif tag == self._c:
            self._finish_cell()
        elif tag == self._f:
            self._formula_text = "".join(self._pieces)
        elif tag == self._t:
            if not self._phonetic:
                self._value = (self._value or "") + "".join(self._pieces)
        elif tag == self._phonetic_tag:
            self._phonetic = False

    def _finish_cell(self) -> None:
        cell = self._cell
        reference = cell.get("r")
        if reference is None:
            self._column += 1
            if self._column > MAX_COLUMN:
                raise ValueError(f"row {self._row} has too many cells")
        else:
            self._column = cell_column(reference, self._row_text)
        position = (self._row, self._column)
        if self._formula is not None:
            self._read_formula(position, self._formula)
        text = self._value
        if text is None:
            return
        kind = cell.get("t")
        if kind == "inlineStr" or (kind == "str" and not text):  # a formula may give the empty text
            self._sheet.values[position] = unescape(text)
        elif text:
            value = self._convert(position, kind, text)
            if value is not None:
                self._sheet.values[position] = value

    def _convert(self, position: Position, kind: str | None, text: str) -> Value | None:
        try:
            if kind is None or kind == "n":
                return _number(text)
            if kind == "s":
                return self._context.strings[_index(text)]
            if kind == "str":
                return unescape(text)
            if kind == "b":
                return {"1": True, "0": False, "true": True, "false": False}[text.strip()]
            if kind == "e":
                return _error_value(text.strip())
            if kind == "d":
                return _serial(text.strip(), self._context.date1904)
        except (ValueError, LookupError):
            raise self._error(position, f"has a value that cannot be read: {text[:40]!r}") from None
        raise self._error(position, f"is of an unknown type: {kind!r}")

    def _read_formula(self, position: Position, attributes: dict[str, str]) -> None:
        text = self._formula_text.removeprefix("=")
        kind = attributes.get("t")
        if kind == "dataTable":
            area = parse_range(attributes.get("ref", ""), self._sheet.name)
            self._in_tables += area.size
            if self._in_tables > MOST_CELLS:
                raise ValueError(f"what-if data tables of more than {MOST_CELLS:,} cells")
            self._sheet.formulas.update(table_formulas(area, attributes))
            return
        if kind == "shared":
            self._read_shared(position, attributes, text)
        elif text.strip():
            array = None
            if kind == "array":
                area = parse_range(attributes.get("ref", ""), self._sheet.name)
                array = (area.top, area.left, area.bottom, area.right)
            dynamic = array is not None and self._cell.get("cm") in self._context.dynamic
            self._sheet.formulas[position] = Formula(text, *position, array, dynamic)

    def _read_shared(self, position: Position, attributes: dict[str, str], text: str) -> None:
        index = attributes.get("si", "")
        if text.strip():
            formula = Formula(text, *position)
            self._sheet.formulas[position] = formula
            if "ref" in attributes or index not in self._shared:
                self._shared[index] = formula
        elif index in self._shared:
            self._sheet.formulas[position] = self._shared[index]
        else:
            self._waiting.append((position, index))

    # --- plain rows ---

    def _read_rows(self, layout: Layout) -> None:
        """Read the rows in their order; those in a line that are not plain are parsed together."""
        waiting: tuple[int, int] | None = None
        for count, (start, end) in enumerate(layout.rows()):
            if not count % _ROWS:
                done(start / len(layout.data))
            row = plain_row(layout.data[start:end])
            if row is not None and waiting is not None:
                self._parse(replace(self._part, data=layout.alone(*waiting)))
                waiting = None
            if row is None or not self._read_plain(row):
                waiting = (waiting[0] if waiting else start), end
        if waiting is not None:
            self._parse(replace(self._part, data=layout.alone(*waiting)))

    def _read_plain(self, row: Row) -> bool:
        """Read a plain row; False if something in it is for the parser to say."""
        number, digits = row.number, row.digits
        if number > MAX_ROW:
            return False
        values, formulas, columns = self._sheet.values, self._sheet.formulas, self._columns
        try:
            # Runs once per cell: what is frequent stands first, and calls nothing of ours.
            for letters, own_row, words, is_inline, kind, text, area, index, shared, value, has_value in row.cells:
                if own_row != digits:
                    return False
                column = columns.get(letters) or self._column_of(letters)
                position = (number, column.number)
                if text:
                    if text == column.layout % tuple([number + offset for offset in column.offsets]):
                        formulas[position] = column.formula
                    else:
                        formulas[position] = column.read(number, unescaped(text).removeprefix("="))
                elif index:
                    known = None if shared else self._shared.get(index)
                    if known is not None:
                        formulas[position] = known
                    else:
                        attributes = {"si": index, "ref": area} if area else {"si": index}
                        self._read_shared(position, attributes, unescaped(shared).removeprefix("="))
                if not has_value:
                    if is_inline:
                        values[position] = unescape(unescaped(words))
                    continue
                if kind == "" or kind == "n":
                    if value:
                        found = float(value)
                        if found - found != 0.0 or "_" in value:
                            return False
                        values[position] = found
                elif value or kind == "str":
                    converted = self._convert(position, kind, unescaped(value)) if value else ""
                    if converted is not None:
                        values[position] = converted
        except (ValueError, LookupError, FileError):
            return False
        self._row, self._row_text, self._column = number, digits, 0
        if row.hidden and self._hidden is not None:
            self._hidden.add(number)
        return True

    def _column_of(self, letters: str) -> _Column:
        column = self._columns[letters] = _Column(plain_column(letters))
        return column

    def _error(self, position: Position, cause: str) -> FileError:
        return self._part.error(f"is damaged: the cell {cause}", cell=Cell(self._sheet.name, *position))


def _number(text: str) -> float | None:
    try:
        number = float(text)
    except ValueError:
        if text.isspace():
            return None
        raise
    if number - number != 0.0 or "_" in text:  # not finite, or Python's digit grouping
        raise ValueError(text)
    return number


def _index(text: str) -> int:
    index = int(text)
    if index < 0:
        raise IndexError(index)
    return index


def _error_value(text: str) -> ExcelError:
    try:
        return ExcelError(text)
    except ValueError:
        return ExcelError.UNKNOWN


def _serial(text: str, date1904: bool) -> float:
    """ISO 8601 date, time or both as Excel's serial number."""
    match = _DATE.fullmatch(text)
    if match is None or not (match[1] or match[4]):
        raise ValueError(text)
    year, month, day, hours, minutes, seconds = match.groups(default="0")
    serial = 0
    if match[1]:
        serial = date(int(year), int(month), int(day)).toordinal()
        serial -= date(1904, 1, 1).toordinal() if date1904 else date(1899, 12, 30).toordinal()
        if not date1904 and serial < 61:
            serial -= 1  # Excel counts a 29 February 1900
    return serial + (int(hours) * 3600 + int(minutes) * 60 + float(seconds)) / 86400
