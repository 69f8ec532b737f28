"""Workbooks that are open in this process, for commands of training: a live host as those of spreadsheet programs."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from sgdsheet.errors import one_line
from sgdsheet.hosts import refusals
from sgdsheet.hosts.base import ReportSheet, Tone
from sgdsheet.hosts.web import open_books as registry
from sgdsheet.hosts.web.book_events import Event
from sgdsheet.hosts.web.open_book import OpenBook
from sgdsheet.sheet.formula import formula_text
from sgdsheet.sheet.held_numbers import HeldNumbers
from sgdsheet.sheet.references import Cell, Range
from sgdsheet.sheet.workbook import ExcelError, Sheet, Value, Workbook

_PROGRAM = "the browser"


class WebHost:
    """A workbook that is open in this process."""

    def __init__(self, book: OpenBook) -> None:
        self._book = book
        self._quiet = False
        self._used: dict[str, Sheet] = {}
        self._read: tuple[Workbook, int] | None = None
        """What was read last, and what `edits` was then."""

    @property
    def key(self) -> str:
        return self._book.key

    def read(self) -> Workbook:
        with self._book.turn:
            found = self._book.snapshot()
            self._read = found, self._book.edits
        return found

    def read_part(self, choose: Callable[[Workbook], Sequence[Range] | None]) -> Workbook:
        return self.read()

    def write(self, values: Mapping[Cell, Value]) -> None:
        self._use(cell.sheet for cell in values)
        self._book.write(values, going_on=self._quiet)

    def exchange(self, values: Mapping[Cell, Value]) -> dict[Cell, Value]:
        """Write, and tell what stood there at that moment: nobody can type in between."""
        with self._book.turn:
            self._use(cell.sheet for cell in values)
            return self._book.write(values, going_on=self._quiet)

    def exchange_numbers(self, areas: Sequence[Range], numbers: NDArray[np.float64]) -> HeldNumbers:
        """Write, and tell what stood there at that moment: nobody can type in between."""
        with self._book.turn:
            self._use(area.sheet for area in areas)
            return self._book.write_numbers(tuple(areas), numbers, going_on=self._quiet)

    @property
    def edits(self) -> int:
        return self._book.edits

    def edits_when_read(self, workbook: Workbook) -> int | None:
        return self._read[1] if self._read is not None and self._read[0] is workbook else None

    def read_numbers(self, areas: Sequence[Range]) -> HeldNumbers:
        with self._book.turn:
            self._use(area.sheet for area in areas)
            return self._book.numbers_in(areas)

    def recalculate(self) -> None:
        """What the file has saved of formulas stays until something that they need changes."""

    def replace_formulas(self, values: Mapping[Cell, Value]) -> None:
        self._book.replace_formulas(values)

    def read_values(self, areas: Sequence[Range]) -> dict[Cell, Value]:
        with self._book.turn:
            self._use(area.sheet for area in areas)
            return {
                Cell(area.sheet, *place): value
                for area in areas
                for place, value in self._book.calculated_in(area).items()
            }

    def read_formulas(self, areas: Sequence[Range]) -> dict[Cell, str]:
        found = {}
        with self._book.turn:
            for area in areas:
                formulas = self._use([area.sheet])[0].formulas
                inside = (
                    formulas
                    if area.size > len(formulas)
                    else [place for place in area.positions() if place in formulas]
                )
                for place in inside:
                    cell = Cell(area.sheet, *place)
                    if area.contains(Range.of_cell(cell)):
                        found[cell] = f"={formula_text(formulas[place], *place)}"
        return found

    def sheet_now(self, name: str) -> str | None:
        with self._book.turn:
            used = self._used.get(name)
            return next((now for now, sheet in self._book.workbook.sheets.items() if sheet is used), None)

    def status(self, text: str) -> None:
        self._book.refuse_closed()
        self._book.status = one_line(text)
        self._book.events.tell(Event("status", text=self._book.status))

    def message(self, text: str, tone: Tone = Tone.INFO) -> None:
        self._book.refuse_closed()
        self._book.events.tell(Event("message", text=text))

    def selection(self) -> tuple[Range, ...]:
        self._book.refuse_closed()
        return self._book.selected

    def define_name(self, name: str, areas: Sequence[Range]) -> None:
        self._book.define_name(name, areas)

    def put_sheet(self, sheet: ReportSheet) -> None:
        self._book.put_sheet(replace(sheet, rows=_shown(sheet.rows)))

    def append(self, name: str, first_row: int, rows: Sequence[Sequence[Value | None]]) -> None:
        self._book.append(name, first_row, _shown(rows))

    def quiet(self, on: bool) -> None:
        self._quiet = on
        if not on:
            self._book.command_ended()

    def close(self) -> None:
        if not self._book.closed and self._book.status:
            self.status("")
        self.quiet(False)

    def _use(self, names: Iterable[str]) -> list[Sheet]:
        """The sheets of these names, which are known from now on. Raises BookClosedError."""
        found = []
        for name in dict.fromkeys(names):
            sheet = self._book.sheet(name)
            self._used[name] = sheet
            found.append(sheet)
        return found


def connect(book: str, where: str = "") -> WebHost:
    """Connect to a workbook that is open in this process, by its key. Raises BookClosedError."""
    found = registry.find(book)
    if not isinstance(found, OpenBook):
        raise refusals.not_open(book, _PROGRAM)
    return WebHost(found)


def open_books(where: str = "") -> list[str]:
    """The keys of the workbooks that are open in this process."""
    return registry.keys()


def _shown(rows: Sequence[Sequence[Value | None]]) -> list[list[Value | None]]:
    """Rows of what a cell can hold."""
    return [[_held(value) for value in row] for row in rows]


def _held(value: Value | None) -> Value | None:
    strange = isinstance(value, ExcelError) or (isinstance(value, float) and not math.isfinite(value))
    return str(value) if strange else float(value) if type(value) is int else value
