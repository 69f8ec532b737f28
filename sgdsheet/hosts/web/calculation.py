"""What follows from a change of an open workbook: formulas that depend on it are calculated anew.

The compiler's own evaluator does it. It is loaded, and torch with it, when something is to be calculated first.
"""

from __future__ import annotations

import importlib
from collections.abc import Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from sgdsheet.errors import CircularReference, SgdSheetError
from sgdsheet.hosts.web.book_events import BookEvents, Event
from sgdsheet.hosts.web.cell_store import CellStore
from sgdsheet.hosts.web.edit_history import Content
from sgdsheet.hosts.web.unsaved import Unsaved
from sgdsheet.sheet.appearance import LooseFormula
from sgdsheet.sheet.references import Cell, Range, areas_of_cells, without
from sgdsheet.sheet.workbook import Formula, Position, Value, Workbook

if TYPE_CHECKING:
    from sgdsheet.compiler.recalculator import Recalculated, Recalculator

_RECALCULATOR, _LOOSE_FORMULAS = "sgdsheet.compiler.recalculator", "sgdsheet.compiler.loose_formulas"


class Calculation:
    """Writes to the cells of an open workbook, and calculates what depends on them. Its caller keeps others away."""

    def __init__(self, workbook: Workbook, store: CellStore, unsaved: Unsaved, events: BookEvents) -> None:
        self._workbook, self._store, self._unsaved, self._events = workbook, store, unsaved, events
        self._recalculator: Recalculator | None = None
        self._uncalculated: list[tuple[Range, str]] = []

    @property
    def uncalculated(self) -> list[tuple[Range, str]]:
        """The areas that show their last value because they cannot be calculated, each with the reason."""
        return list(self._uncalculated)

    @property
    def is_ready(self) -> bool:
        """Whether what calculates is loaded."""
        return self._recalculator is not None

    def loose_values(self, sheet: str, formulas: Sequence[LooseFormula]) -> list[dict[Position, Value]]:
        """What formulas that stand in no cell come to, at the cells of a sheet that they are wanted at."""
        self._store.settle()
        module: Any = importlib.import_module(_LOOSE_FORMULAS)
        found: list[dict[Position, Value]] = module.loose_values(self._workbook, sheet, formulas)
        return found

    def calculator(self) -> Recalculator:
        """What calculates; with the first call, what has no value yet is calculated."""
        if self._recalculator is None:
            module: Any = importlib.import_module(_RECALCULATOR)
            found: Recalculator = module.Recalculator(self._workbook)
            self._recalculator = found
            stale, self._workbook.stale = self._workbook.stale, False
            if stale:
                self._clear(_placeholders(self._workbook))
            missing = found.missing(everything=stale)
            self._take(missing)
            self._unsaved.calculated.update(missing.areas)
        return self._recalculator

    def write(self, values: Mapping[Cell, Value], areas: Sequence[Range], *, going_on: bool) -> None:
        """Write to cells without formulas, and recalculate: quickly, if the same cells were written before."""
        calculator = self.calculator()
        are_numbers = all(type(value) is float for value in values.values())
        numbers = np.fromiter(values.values(), dtype=np.float64) if are_numbers else np.zeros(0)
        if are_numbers and (found := calculator.repeated(tuple(values), numbers)) is not None:
            self._store.set(values)
            self._store.put(found)
            self._unsaved.edited.update(areas)
            self._told(areas, [result.area for result in found])
            return
        self._store.settle()
        old = {cell: self._workbook.sheets[cell.sheet].values.get(cell[1:]) for cell in values}
        self._store.set({cell: None if value == "" else value for cell, value in values.items()})
        try:
            result = calculator.changed(values.keys(), self._clear)
        except BaseException:
            self._store.set(old)
            calculator.forget()
            raise
        self._take(result)
        if are_numbers and (again := calculator.worth_recording(values.keys(), surely=going_on)):
            self._store.settle()
            if all(type(self._workbook.sheets[cell.sheet].values.get(cell[1:])) is float for cell in again):
                calculator.record(again)
        self._unsaved.edited.update(areas)
        self._told(areas, result.areas)

    def write_numbers(self, cells: tuple[Cell, ...], areas: Sequence[Range], numbers: NDArray[np.float64]) -> bool:
        """Write numbers again to cells that were written before, all those of `areas`, and recalculate.

        False, and nothing was changed, where `write` has to do it.
        """
        found = self.calculator().repeated(cells, numbers)
        if found is None:
            return False
        self._store.set_numbers(areas, numbers, found)
        self._unsaved.edited.update(areas)
        self._told(areas, [result.area for result in found])
        return True

    def apply(self, changes: Mapping[Cell, Content], *, typed_in: bool = False) -> None:
        """Let cells hold other contents, and recalculate. Raises SgdSheetError and changes nothing if that fails."""
        calculator = self.calculator()
        self._store.settle()
        old = {cell: self._store.content(cell) for cell in changes}
        self._unsaved.held(old)
        formulas = any(isinstance(item, Formula) for contents in (old, changes) for item in contents.values())
        self._hold(changes)
        try:
            if formulas:
                found = calculator.formulas_changed(changes.keys(), self._clear)
                self._refuse_circle(changes, found)
            else:
                found = calculator.changed(changes.keys(), self._clear)
            self._take(found)
            if typed_in and formulas:
                self._store.settle()
                calculator.refuse_arrays((cell for cell, item in changes.items() if isinstance(item, Formula)), found)
        except BaseException:
            self._hold(old)
            self._take(calculator.formulas_changed(changes.keys(), self._clear))
            raise
        areas = areas_of_cells(changes)
        self._unsaved.edited.update(areas)
        self._told(areas, found.areas)

    def mentioned(self, word: str) -> None:
        """Recalculate the formulas that mention a name or a sheet, whose meaning has changed."""
        calculator, folded = self.calculator(), word.casefold()
        cells = [
            Cell(name, *place)
            for name, sheet in self._workbook.sheets.items()
            for place, formula in sheet.formulas.items()
            if folded in formula.text.casefold()
        ]
        self._store.settle()
        calculator.forget()
        if cells:
            self._clear([Range.of_cell(cell) for cell in cells])
            found = calculator.formulas_changed(cells, self._clear)
            self._take(found)
            self._told((), found.areas)

    def snapshot(self) -> Workbook:
        """The workbook as it is now. Cells whose value is out of date, and cannot be calculated, have none."""
        self.calculator()
        self._store.settle()
        sheets = {
            name: replace(sheet, values=dict(sheet.values), formulas=dict(sheet.formulas), merged=[*sheet.merged])
            for name, sheet in self._workbook.sheets.items()
        }
        return replace(self._workbook, sheets=sheets, names=[*self._workbook.names])

    def look_for_uncalculable(self, turn: AbstractContextManager[object]) -> None:
        """Find the cells that cannot be calculated. Edits wait only while `turn` is held. Raises SgdSheetError."""
        with turn:
            workbook, version = self.snapshot(), self._events.version
        module: Any = importlib.import_module(_RECALCULATOR)
        unknown = module.Recalculator(workbook).uncalculable()
        with turn:
            changed = self._events.changed_since(version)
            if changed is None:
                return
            known = [*(area for area, _ in self._uncalculated), *(area for _, area in changed)]
            found = [(part, why) for area, why in unknown for part in without([area], known)]
            self._uncalculated += found
        if found:
            self._events.tell(Event("uncalculated", tuple(area for area, _ in found)))

    # --- helpers ------------------------------------------------------------------------------------------

    def _hold(self, contents: Mapping[Cell, Content]) -> None:
        values: dict[Cell, Value | None] = {}
        for cell, content in contents.items():
            formulas = self._workbook.sheets[cell.sheet].formulas
            if isinstance(content, Formula):
                formulas[cell[1:]] = content
                values[cell] = None
            else:
                formulas.pop(cell[1:], None)
                values[cell] = content
        self._store.set(values)

    def _refuse_circle(self, changes: Mapping[Cell, Content], found: Recalculated) -> None:
        """Raise CircularReference if one of these formulas is part of a circle."""
        typed_in = [Range.of_cell(cell) for cell, content in changes.items() if isinstance(content, Formula)]
        for area, error in found.affected:
            if isinstance(error, CircularReference) and any(area.intersection(cell) for cell in typed_in):
                raise error

    def _clear(self, areas: Sequence[Range]) -> None:
        self._store.mark_outdated(areas)

    def _take(self, found: Recalculated) -> None:
        """Take the results of a recalculation."""
        self._store.put(found.results)
        self._store.mark_outdated(area for area, _ in found.affected)
        if self._uncalculated or found.affected or found.kept:
            changed = found.areas
            kept = [(part, why) for area, why in self._uncalculated for part in without([area], changed)]
            affected = [(area, _reason(error)) for area, error in found.affected]
            fresh = [(part, why) for area, why in found.kept for part in without([area], [old for old, _ in kept])]
            self._uncalculated = [*kept, *affected, *fresh]

    def _told(self, written: Iterable[Range], calculated: Iterable[Range]) -> None:
        self._unsaved.dirty = True
        areas = [*written, *calculated]
        self._unsaved.calculated.update(areas)
        self._events.cells_changed(areas)


def _placeholders(workbook: Workbook) -> list[Range]:
    """The formula cells of a workbook that asks to be calculated which hold what stands for no value."""
    return [
        Range(sheet.name, *place, *place)
        for sheet in workbook.sheets.values()
        for place in sheet.formulas
        if (value := sheet.values.get(place)) in (0.0, "") and not isinstance(value, bool)
    ]


def _reason(error: SgdSheetError) -> str:
    return f"{error.cell}: {error.cause}" if error.cell is not None else error.cause
