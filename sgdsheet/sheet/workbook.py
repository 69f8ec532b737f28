"""A workbook as plain data: what every host reads and the compiler works on. No I/O here."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from enum import Enum
from itertools import islice, takewhile
from operator import itemgetter
from pathlib import Path
from typing import NamedTuple

from sgdsheet.sheet.charts import Chart, UndrawnChart
from sgdsheet.sheet.references import Cell, Range


class ExcelError(Enum):
    """Excel's error values. They are data, never Python exceptions."""

    NULL = "#NULL!"
    DIV0 = "#DIV/0!"
    VALUE = "#VALUE!"
    REF = "#REF!"
    NAME = "#NAME?"
    NUM = "#NUM!"
    NA = "#N/A"
    SPILL = "#SPILL!"
    CALC = "#CALC!"
    GETTING_DATA = "#GETTING_DATA"
    FIELD = "#FIELD!"
    BLOCKED = "#BLOCKED!"
    CONNECT = "#CONNECT!"
    BUSY = "#BUSY!"
    UNKNOWN = "#UNKNOWN!"
    EXTERNAL = "#EXTERNAL!"
    PYTHON = "#PYTHON!"

    def __str__(self) -> str:
        return self.value


Value = float | str | bool | ExcelError
"""What a cell that is not empty holds. Dates are serial numbers; whole numbers are floats."""

Position = tuple[int, int]
"""Row and column of a cell within its sheet, from 1."""

_COLUMN = itemgetter(1)


@dataclass(frozen=True, slots=True)
class Formula:
    """A formula as it is written (without `=`) for the cell at (`row`, `column`).

    Cells that share a formula by fill-down share this object, so its own position may be another cell's.
    `array` is the area that an array formula fills, corners (top, left, bottom, right); `dynamic` tells a
    dynamic array from a Ctrl+Shift+Enter one.
    """

    text: str
    row: int
    column: int
    array: tuple[int, int, int, int] | None = None
    dynamic: bool = False


@dataclass(slots=True)
class Sheet:
    """One worksheet: saved values, formulas, and what must not be written to.

    `hidden_rows` is None where a host does not tell which rows are hidden, by a filter or a person; `filtered_rows` are
    those of them that a filter hides, None where that is not known.
    """

    name: str
    values: dict[Position, Value] = field(default_factory=dict)
    formulas: dict[Position, Formula] = field(default_factory=dict)
    merged: list[Range] = field(default_factory=list)
    protected: bool = False
    hidden_rows: set[int] | None = field(default_factory=set)
    filtered_rows: set[int] | None = field(default_factory=set)

    def filter_rows(self, area: Range) -> None:
        """Take note of a filter over an area, whose first row is its header: it hides the hidden rows there."""
        hidden = self.hidden_rows or set()
        rows = {row for row in hidden if area.top < row <= area.bottom}
        self.filtered_rows = rows | (self.filtered_rows or set())

    @property
    def extent(self) -> Position:
        """Last row and last column that hold anything; (0, 0) for an empty sheet."""
        parts = [part for part in (self.values, self.formulas) if part]
        row = max((max(part)[0] for part in parts), default=0)
        return row, max((max(map(_COLUMN, part)) for part in parts), default=0)


@dataclass(frozen=True, slots=True)
class DefinedName:
    """A defined name; `sheet` is the sheet it is scoped to, None for the whole workbook."""

    name: str
    text: str
    sheet: str | None = None
    hidden: bool = False


@dataclass(frozen=True, slots=True)
class Table:
    """A table (list object): its whole area, its column names, and how many rows are header and totals."""

    name: str
    area: Range
    columns: tuple[str, ...]
    header_rows: int = 1
    totals_rows: int = 0

    @property
    def body(self) -> Range:
        """The data rows."""
        area = self.area
        return area._replace(top=area.top + self.header_rows, bottom=area.bottom - self.totals_rows)


@dataclass(slots=True)
class Link:
    """Another workbook that formulas refer to, `[1]Sheet1!A1` to the first, and what this one saved of its cells."""

    name: str
    sheets: dict[str, Sheet] = field(default_factory=dict)
    names: list[DefinedName] = field(default_factory=list)


class _NameIndex(NamedTuple):
    """The defined names of a list by their names without regard to case."""

    names: list[DefinedName]
    size: int
    items: dict[str, dict[str | None, DefinedName]]
    """The names of each spelling by their sheet; None for the workbook's."""
    spellings: list[str]
    """All spellings in order."""

    @classmethod
    def of(cls, names: list[DefinedName]) -> _NameIndex:
        items: dict[str, dict[str | None, DefinedName]] = {}
        for item in names:
            items.setdefault(item.name.casefold(), {}).setdefault(item.sheet, item)
        return cls(names, len(names), items, sorted(items))

    def fits(self, names: list[DefinedName]) -> bool:
        """Whether it is of this list, to which nothing was added: nobody exchanges an item of a list of names."""
        return self.names is names and self.size == len(names)


@dataclass(slots=True)
class Workbook:
    """All that a host read. Sheets by name in tab order; names and tables looked up without regard to case.

    A `stale` workbook asks to be recalculated when it is opened: its saved results may be out of date, or
    placeholders that a program wrote which cannot calculate. `charts` are those that a file host found. `folder` is
    where it lies: names of data files are relative to it. With `date1904` it
    counts days from 1904, as on old Macs. `from_office` says that LibreOffice calculated its saved values: it has no
    booleans, and saves many errors as #VALUE! (`agreement.written_by_office`). With `as_displayed`, its program rounds
    each number to what its format shows, and calculates on with that (“precision as displayed”, “as shown”).
    """

    name: str
    sheets: dict[str, Sheet] = field(default_factory=dict)
    names: list[DefinedName] = field(default_factory=list)
    tables: dict[str, Table] = field(default_factory=dict)
    links: list[Link] = field(default_factory=list)
    charts: list[Chart] = field(default_factory=list)
    undrawn_charts: list[UndrawnChart] = field(default_factory=list)
    active: str | None = None
    stale: bool = False
    folder: Path | None = None
    date1904: bool = False
    as_displayed: bool = False
    from_office: bool = False
    _index: _NameIndex | None = field(default=None, init=False, repr=False, compare=False)

    def sheet(self, name: str) -> Sheet | None:
        """Sheet by name, without regard to case."""
        if name in self.sheets:
            return self.sheets[name]
        folded = name.casefold()
        return next((sheet for key, sheet in self.sheets.items() if key.casefold() == folded), None)

    def link(self, sheet: str) -> Link | None:
        """The other workbook that `[1]Sheet1` names a sheet of; None if it is none that was saved."""
        number, mark, _ = sheet.removeprefix("[").partition("]")
        known = sheet.startswith("[") and mark and number.isdecimal() and 1 <= int(number) <= len(self.links)
        return self.links[int(number) - 1] if known else None

    def cells_of(self, name: str) -> Sheet | None:
        """A sheet by its exact name; `[1]Sheet1` is one of another workbook, as it was saved."""
        link = self.link(name)
        return self.sheets.get(name) if link is None else link.sheets.get(name.partition("]")[2])

    def trimmed(self, areas: Iterable[Range]) -> list[Range]:
        """The ranges that lie on existing sheets, without what is past the sheets' ends."""
        found = []
        for area in areas:
            if (sheet := self.sheet(area.sheet)) is not None:
                rows, columns = sheet.extent
                bottom, right = min(area.bottom, rows), min(area.right, columns)
                if area.top <= bottom and area.left <= right:
                    found.append(Range(sheet.name, area.top, area.left, bottom, right))
        return found

    def has_values(self, area: Range) -> bool:
        """Whether all cells of an area (of a sheet that is there) have a saved value."""
        return all(map(self.sheets[area.sheet].values.__contains__, area.positions()))

    def unknown_to_its_program(self, sheet: str) -> set[tuple[int, int]]:
        """The formulas whose saved value is #NAME?: the program that saved them may not have known a function."""
        found, formulas = self.sheets[sheet], self.sheets[sheet].formulas
        return {place for place, value in found.values.items() if value is ExcelError.NAME and place in formulas}

    def has_results(self, area: Range) -> bool:
        """Whether the saved values of formulas can be used: they are there, and no placeholders of a stale workbook."""
        if not self.stale:
            return self.has_values(area)
        values = self.sheets[area.sheet].values
        return all(values.get(place) not in (None, 0.0, "") for place in area.positions())

    def with_values(self, values: Mapping[Cell, Value]) -> Workbook:
        """A workbook with other values in some cells; this one stays as it is."""
        sheets = dict(self.sheets)
        for cell, value in values.items():
            known = sheets[cell.sheet]
            if known is self.sheets[cell.sheet]:
                known = sheets[cell.sheet] = replace(known, values=dict(known.values))
            known.values[cell.row, cell.column] = value
        return replace(self, sheets=sheets)

    def defined_name(self, name: str, sheet: str) -> DefinedName | None:
        """The name as a formula on `sheet` sees it: the sheet's own before the workbook's."""
        same = self._indexed().items.get(name.casefold(), {})
        return same.get(sheet) or same.get(None)

    def names_beginning(self, start: str) -> list[str]:
        """The spellings of names that begin with a text, all of it without regard to case."""
        spellings, start = self._indexed().spellings, start.casefold()
        first = bisect_left(spellings, start)
        return list(takewhile(lambda item: item.startswith(start), islice(spellings, first, None)))

    def _indexed(self) -> _NameIndex:
        if self._index is None or not self._index.fits(self.names):
            self._index = _NameIndex.of(self.names)
        return self._index

    def table(self, name: str) -> Table | None:
        """Table by name, without regard to case."""
        folded = name.casefold()
        return next((table for key, table in self.tables.items() if key.casefold() == folded), None)
