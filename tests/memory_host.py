"""A spreadsheet program in memory, for tests: it shows nothing, and calculates with a function that is given to it."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import wraps
from typing import Concatenate, ParamSpec, TypeVar

from sgdsheet.hosts import refusals
from sgdsheet.hosts.base import ReportSheet, Tone
from sgdsheet.sheet.references import Cell, Range
from sgdsheet.sheet.workbook import DefinedName, Sheet, Value, Workbook

P = ParamSpec("P")
T = TypeVar("T")

Calculate = Callable[[Workbook], None]
"""Brings the values of all formula cells up to date."""


def _in_turn(method: Callable[Concatenate[MemoryHost, P], T]) -> Callable[Concatenate[MemoryHost, P], T]:
    """As one call of a spreadsheet program: no edit comes in between."""

    @wraps(method)
    def alone(self: MemoryHost, /, *arguments: P.args, **options: P.kwargs) -> T:
        with self.turn:
            return method(self, *arguments, **options)

    return alone


class MemoryHost:
    """An open workbook. What a person sees and does are attributes: `status_bar`, `messages`, `selected`, `closed`.

    A test that edits the workbook while something runs holds `turn` for it.
    """

    def __init__(self, workbook: Workbook, calculate: Calculate, key: str = "") -> None:
        self.workbook = workbook
        self.turn = threading.RLock()
        self._calculate = calculate
        self._key = key or workbook.name
        self.closed = False
        self.status_bar = ""
        self.messages: list[str] = []
        self.tones: list[Tone] = []
        """Those of the messages."""
        self.selected: tuple[Range, ...] = ()
        self.report_sheets: dict[str, ReportSheet] = {}
        self.is_quiet = False
        self.writes = 0
        self._used: dict[str, Sheet] = {}

    @property
    def key(self) -> str:
        return self._key

    @_in_turn
    def read(self) -> Workbook:
        book = self._open()
        self._calculate(book)  # a person's edit was followed by that
        return replace(book, sheets={name: _copy(sheet) for name, sheet in book.sheets.items()}, names=[*book.names])

    def read_part(self, choose: Callable[[Workbook], Sequence[Range] | None]) -> Workbook:
        """As a program that need not give more: only the chosen cells."""
        book = self.read()
        outline = replace(book, sheets={name: Sheet(name, protected=it.protected) for name, it in book.sheets.items()})
        areas = choose(outline)
        if areas is None:
            return book
        for name, sheet in book.sheets.items():
            chosen = {place for area in areas if area.sheet == name for place in area.positions()}
            sheet.values = {place: value for place, value in sheet.values.items() if place in chosen}
            sheet.formulas = {place: formula for place, formula in sheet.formulas.items() if place in chosen}
        return book

    @_in_turn
    def write(self, values: Mapping[Cell, Value]) -> None:
        refusals.refuse_unusable(values.items())
        for cell in values:
            self._refuse(cell)
        for cell, value in values.items():
            contents = self.sheet(cell.sheet).values
            if value == "":
                contents.pop((cell.row, cell.column), None)
            else:
                contents[cell.row, cell.column] = value
        self.writes += 1
        self._calculate(self.workbook)

    @_in_turn
    def replace_formulas(self, values: Mapping[Cell, Value]) -> None:
        refusals.refuse_unusable(values.items())
        for cell in values:
            self._refuse(cell, replace=True)
        for cell in values:
            self.sheet(cell.sheet).formulas.pop(cell[1:], None)
        self.write(values)

    @_in_turn
    def recalculate(self) -> None:
        self._calculate(self._open())

    @_in_turn
    def exchange(self, values: Mapping[Cell, Value]) -> dict[Cell, Value]:
        found = {cell: self.sheet(cell.sheet).values.get((cell.row, cell.column)) for cell in values}
        self.write(values)
        return {cell: value for cell, value in found.items() if value is not None}

    @_in_turn
    def read_values(self, areas: Sequence[Range]) -> dict[Cell, Value]:
        self._calculate(self._open())
        sheets = {area: self.sheet(area.sheet).values for area in areas}
        return {
            cell: values[cell.row, cell.column]
            for area, values in sheets.items()
            for cell in area.cells()
            if (cell.row, cell.column) in values
        }

    @_in_turn
    def read_formulas(self, areas: Sequence[Range]) -> dict[Cell, str]:
        found = {}
        for area in areas:
            for (row, column), formula in self.sheet(area.sheet).formulas.items():
                cell = Cell(area.sheet, row, column)
                if area.contains(Range.of_cell(cell)):
                    away = (row - formula.row, column - formula.column)
                    found[cell] = f"={formula.text}" + (f" as of {away}" if any(away) else "")
        return found

    @_in_turn
    def sheet_now(self, name: str) -> str | None:
        used = self._used.get(name)
        return next((now for now, sheet in self._open().sheets.items() if sheet is used), None)

    def status(self, text: str) -> None:
        self._open()
        self.status_bar = text

    def message(self, text: str, tone: Tone = Tone.INFO) -> None:
        self._open()
        self.tones.append(tone)
        self.messages.append(text)

    def selection(self) -> tuple[Range, ...]:
        self._open()
        return self.selected

    @_in_turn
    def define_name(self, name: str, areas: Sequence[Range]) -> None:
        book, sheet, folded = self._open(), self.sheet(areas[0].sheet).name, name.casefold()
        book.names = [item for item in book.names if (item.name.casefold(), item.sheet) != (folded, sheet)]
        book.names.append(DefinedName(name, ",".join(str(area) for area in areas), sheet))

    @_in_turn
    def put_sheet(self, sheet: ReportSheet) -> None:
        book = self._open()
        if sheet.name in book.sheets and sheet.name not in self.report_sheets:
            raise refusals.report_sheet_taken(sheet.name)
        book.sheets.pop(sheet.name, None)
        book.sheets[sheet.name] = Sheet(sheet.name)
        self.report_sheets[sheet.name] = replace(sheet, rows=[])
        self.append(sheet.name, 1, sheet.rows)
        if sheet.front:
            book.active = sheet.name

    @_in_turn
    def append(self, name: str, first_row: int, rows: Sequence[Sequence[Value | None]]) -> None:
        sheet = self.sheet(name)
        if name not in self.report_sheets:
            raise refusals.report_sheet_taken(name)
        for row, line in enumerate(rows, first_row):
            sheet.values.update({(row, column): value for column, value in enumerate(line, 1) if value is not None})
        own = self.report_sheets[name]
        self.report_sheets[name] = replace(own, rows=[*own.rows[: first_row - 1], *rows])

    def quiet(self, on: bool) -> None:
        self.is_quiet = on

    def close(self) -> None:
        self.status_bar = ""
        self.is_quiet = False

    @_in_turn
    def sheet(self, name: str) -> Sheet:
        """A sheet as it is now: a test may change it, as a person would. Raises BookClosedError."""
        sheet = self._open().sheet(name)
        if sheet is None:
            raise refusals.no_sheet(name)
        self._used[name] = sheet
        return sheet

    def _open(self) -> Workbook:
        if self.closed:
            raise refusals.book_closed(self._key)
        return self.workbook

    def _refuse(self, cell: Cell, *, replace: bool = False) -> None:
        """Raise HostError for a cell that must not be written to."""
        sheet = self.sheet(cell.sheet)
        if sheet.protected:
            raise refusals.protected_sheet(cell)
        formula = sheet.formulas.get((cell.row, cell.column))
        if formula is not None and formula.array is None and not replace:
            raise refusals.formula_cell(cell)
        arrays = [Range(sheet.name, *item.array) for item in sheet.formulas.values() if item.array is not None]
        if any(area.contains(Range.of_cell(cell)) for area in arrays):
            raise refusals.array_cell(cell)
        if any(area.contains(Range.of_cell(cell)) and area.first != cell for area in sheet.merged):
            raise refusals.merged_cell(cell)


def _copy(sheet: Sheet) -> Sheet:
    return replace(sheet, values=dict(sheet.values), formulas=dict(sheet.formulas), merged=[*sheet.merged])
