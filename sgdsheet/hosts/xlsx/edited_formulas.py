"""What edits of some cells mean for others: copies that shared a formula's text, spilled arrays, the list of formulas.

An edit that Excel would refuse is refused here: a part of an array formula, a cell that is hidden in a merged area, the
header of a table, whose text stands in formulas.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import NamedTuple

from sgdsheet.errors import FileError
from sgdsheet.hosts.cell_edit import CellEdit, Change, Cleared, Constant, FormulaEdit
from sgdsheet.hosts.xlsx.edit import Document
from sgdsheet.hosts.xlsx.file_formula import in_file
from sgdsheet.hosts.xlsx.patch import Shares
from sgdsheet.hosts.xlsx.what_if import filled_by_table, fills
from sgdsheet.hosts.xlsx.xml import Part
from sgdsheet.sheet.formula import moved
from sgdsheet.sheet.references import Cell, Range, address
from sgdsheet.sheet.workbook import Formula, Position, Sheet, Table, Workbook


@dataclass(frozen=True, slots=True)
class Plan:
    """What has to be done to a sheet, and which of its cells have a formula only before or only afterwards."""

    changes: Mapping[Position, Change]
    sharing: Mapping[Position, Shares] = field(default_factory=dict)
    vanished: frozenset[Position] = frozenset()
    appeared: bool = False

    @property
    def has_dates(self) -> bool:
        """Whether cells may need the format of a date."""
        return any(isinstance(item, Constant) and item.number_format for item in self.changes.values())


class _Area(NamedTuple):
    """A rectangle without its sheet."""

    top: int
    left: int
    bottom: int
    right: int

    @property
    def size(self) -> int:
        return Range("", *self).size

    def among(self, values: Collection[Position]) -> Iterator[Position]:
        """The cells that lie in the area, which may be as large as the sheet."""
        if self.size <= len(values):
            return (place for place in Range("", *self).positions() if place in values)
        return (at for at in values if self.top <= at[0] <= self.bottom and self.left <= at[1] <= self.right)


def planned(book: Workbook, name: str, changes: Mapping[Position, Change]) -> Plan:
    """What edits of a sheet mean for its other cells. Raises SgdSheetError for what cannot be done."""
    sheet = book.sheets[name]
    edits = {place: item for place, item in changes.items() if isinstance(item, Constant | FormulaEdit | Cleared)}
    if not edits:
        return Plan(changes)
    tables = [table for table in book.tables.values() if table.area.sheet == name]
    index = _Index(edits)
    _refuse_merged(sheet, edits, index)
    _refuse_headers(sheet, tables, edits, index)
    if (place := next((place for place in edits if fills(sheet.formulas.get(place))), None)) is not None:
        raise filled_by_table(Cell(name, *place))
    spilled, filled = _spilled(sheet, edits, index)
    in_tables = {place: table.name for table in tables for place in index.inside(_Area(*table.area[1:]))}
    written = {
        place: FormulaEdit(in_file(item.text, Cell(name, *place), in_tables.get(place), book), item.value)
        for place, item in edits.items()
        if isinstance(item, FormulaEdit)
    }
    before = (sheet.formulas.keys() & edits.keys()) | filled
    return Plan(
        {**changes, **spilled, **written},
        _sharing(sheet, edits),
        frozenset(before - written.keys()),
        bool(written.keys() - sheet.formulas.keys()),
    )


def ground(book: Workbook) -> Workbook:
    """What `planned` needs of a workbook: without the values of most cells, which take most of the memory."""

    def lean(sheet: Sheet) -> Sheet:
        areas = [_Area(*table.area[1:]) for table in book.tables.values() if table.area.sheet == sheet.name]
        areas = [line for area in areas for line in (area._replace(bottom=area.top), area._replace(top=area.bottom))]
        areas += [_Area(*formula.array) for formula in sheet.formulas.values() if formula.array is not None]
        if sum(area.size for area in areas) > len(sheet.values):
            return sheet
        places = {place for area in areas for place in Range("", *area).positions()}
        return replace(sheet, values={place: value for place, value in sheet.values.items() if place in places})

    return replace(book, sheets={name: lean(sheet) for name, sheet in book.sheets.items()})


def with_sheets(book: Workbook, names: Iterable[str]) -> Workbook:
    """The workbook with sheets that are about to be added: formulas may refer to them."""
    new = {name: Sheet(name) for name in names if book.sheet(name) is None}
    return replace(book, sheets={**book.sheets, **new})


class _Index:
    """The edited cells, to be found by area."""

    def __init__(self, places: Iterable[Position]) -> None:
        self._columns: dict[int, list[int]] = defaultdict(list)
        for row, column in sorted(places):
            self._columns[row].append(column)
        self._rows = sorted(self._columns)

    def inside(self, area: _Area) -> Iterator[Position]:
        first, last = bisect_left(self._rows, area.top), bisect_right(self._rows, area.bottom)
        for row in self._rows[first:last]:
            columns = self._columns[row]
            for column in columns[bisect_left(columns, area.left) : bisect_right(columns, area.right)]:
                yield row, column


# --- what is refused --------------------------------------------------------------------------------------


def _refuse_merged(sheet: Sheet, edits: Mapping[Position, CellEdit], index: _Index) -> None:
    for area in sheet.merged:
        for place in index.inside(_Area(*area[1:])):
            if place != (area.top, area.left) and not isinstance(edits[place], Cleared):
                raise FileError(
                    f"the cell is merged with others and is not the first of them ({area.a1})",
                    cell=Cell(sheet.name, *place),
                    remedy="Split the merged cells",
                )


def _refuse_headers(sheet: Sheet, tables: Iterable[Table], edits: Mapping[Position, CellEdit], index: _Index) -> None:
    for table in tables:
        area = table.area
        header = area._replace(bottom=area.top + table.header_rows - 1)
        totals = area._replace(top=area.bottom - table.totals_rows + 1)
        for what, rows in (("header", header), ("totals row", totals)):
            for place in index.inside(_Area(*rows[1:])):
                edit = edits[place]
                if not (isinstance(edit, Constant) and edit.value == sheet.values.get(place)):
                    raise FileError(
                        f"the cell is in the {what} of the table {table.name}, which formulas refer to",
                        cell=Cell(sheet.name, *place),
                        remedy="Change it in Excel",
                    )


def _spilled(
    sheet: Sheet, edits: Mapping[Position, CellEdit], index: _Index
) -> tuple[dict[Position, Cleared], set[Position]]:
    """The other cells of dynamic arrays whose formula is replaced, which become empty; and the edited cells of arrays.

    The calculation chain has all cells that an array formula fills.
    """
    found: dict[Position, Cleared] = {}
    filled: set[Position] = set()
    for anchor, formula in sheet.formulas.items():
        if formula.array is None or formula.array == (*anchor, *anchor):
            continue
        area = _Area(*formula.array)
        touched = list(index.inside(area))
        if not touched:
            continue
        filled.update(touched)
        if anchor in edits and formula.dynamic:
            found.update((place, Cleared()) for place in area.among(sheet.values) if place not in edits)
        elif len(touched) < area.size:
            raise FileError(
                f"an array formula fills this cell ({Range(sheet.name, *area).a1})",
                cell=Cell(sheet.name, *next((place for place in touched if place != anchor), anchor)),
                remedy="Change all its cells at once",
            )
    return found, filled


# --- shared formulas --------------------------------------------------------------------------------------


def _sharing(sheet: Sheet, edits: Collection[Position]) -> dict[Position, Shares]:
    """What the formulas become that shared their text with one that was written in a cell that is edited.

    The next of them takes the text over for all, if it is the first cell of the area that they lie in now, as Excel
    writes it; else each gets its own.
    """
    lost = {
        id(formula)
        for place in edits
        if (formula := sheet.formulas.get(place)) is not None and (formula.row, formula.column) == place
    }
    groups: dict[int, list[tuple[Position, Formula]]] = defaultdict(list)
    for place, formula in sheet.formulas.items():
        if id(formula) in lost and place not in edits:
            groups[id(formula)].append((place, formula))
    found: dict[Position, Shares] = {}
    for members in groups.values():
        members.sort(key=_place)
        rows, columns = zip(*map(_place, members), strict=True)
        area = Range("", min(rows), min(columns), max(rows), max(columns))
        first, formula = members[0]
        if len(members) > 1 and first == (area.top, area.left):
            found[first] = Shares(_as_in(formula, first), area.a1)
        else:
            found.update((place, Shares(_as_in(formula, place))) for place, _ in members)
    return found


def _place(member: tuple[Position, Formula]) -> Position:
    return member[0]


def _as_in(formula: Formula, place: Position) -> str:
    return moved(formula.text, formula.row, formula.column, *place)


# --- the list of all formulas -----------------------------------------------------------------------------


def chain_without(part: Part, cells: Mapping[str, Collection[Position]]) -> bytes | None:
    """The calculation chain without some cells, given by the id of their sheet; None if nothing is left of it.

    An entry without a sheet is on that of the entry before it: where that one goes, the next one says it.
    """
    chain = Document(part)
    gone = {(sheet, address(*place)) for sheet, places in cells.items() for place in places}
    sheet = before = ""
    left = 0
    for entry in chain.root.children:
        sheet = entry.attributes.get("i", sheet)
        if (sheet, entry.attributes.get("r", "")) in gone:
            chain.remove(entry)
            continue
        if "i" not in entry.attributes and sheet != before:
            chain.insert(entry.start + 1 + len(entry.name), b' i="%s"' % sheet.encode())
        before = sheet
        left += 1
    return chain.result() if left else None
