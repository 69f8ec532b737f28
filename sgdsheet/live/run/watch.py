"""Notices what a person changes while a model is trained: data, settings and formulas."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from time import perf_counter

from sgdsheet.hosts.base import LiveHost
from sgdsheet.live.run.prepared import Prepared
from sgdsheet.problem.definition import settings_areas
from sgdsheet.sheet.agreement import LEAST, RUNNING, same_number, share_for
from sgdsheet.sheet.references import Cell, Range
from sgdsheet.sheet.workbook import Sheet, Value

_SHARE = 0.08
"""Of the time, what reading the data again and again may take."""

_LARGEST = 4_000
"""Cells that are read at once."""

_FEW = 200
"""Cells with settings that are read at every refresh."""

_FALSE_ALARMS = 2
"""After so many the loss is no longer compared: some sheets calculate with RAND, or otherwise than we do."""


class Agreement:
    """Whether the loss cell shows what the model has for the parameters that were written last.

    Where a formula or a number has been changed, it does not.
    """

    def __init__(self, precision: str | None) -> None:
        self.step: int | None = None
        """At which the parameters were so."""
        self._share = share_for(precision, RUNNING)
        self._false_alarms = 0

    def holds(self, shown: Value | None, known: tuple[int, float] | None) -> bool:
        """False only if the loss is known, and the cell shows another."""
        if known is None or known[0] != self.step or not math.isfinite(known[1]):
            return True
        if self._false_alarms >= _FALSE_ALARMS:
            return True
        return isinstance(shown, float) and same_number(shown, known[1], self._share, LEAST)

    def was_false_alarm(self) -> None:
        """Nothing had been changed."""
        self._false_alarms += 1


@dataclass(slots=True)
class _Part:
    """One area, read as values or as formulas, and what it held when it was last looked at."""

    area: Range
    formulas: bool
    seen: Mapping[Cell, Value] | None = None


class Watch:
    """Reads what a model was made from, in turns, within a share of the time.

    `settings` are few, and are to be read at every refresh by others. A formula among them may have another value
    each time, so then they have their turn like all else.
    """

    def __init__(self, prepared: Prepared, clock: Callable[[], float] = perf_counter) -> None:
        model, problem = prepared.model(), prepared.problem
        lowered = [block.range for block in model.blocks]
        read = [area for block in model.blocks for area in block.reads()]
        settings = settings_areas(prepared.workbook, problem.sheet)
        read += settings
        read += [problem.valid] if problem.valid is not None else []
        own = [*problem.parameters, *lowered]
        self._skipped = {cell for area in own for cell in area.cells()}
        kept = [area for area in _outermost(read) if not any(other.contains(area) for other in own)]
        self._workbook = prepared.workbook
        self._parts = [_Part(piece, False) for area in kept for piece in _pieces(area)]
        self._parts += [_Part(piece, True) for area in _outermost(lowered) for piece in _pieces(area)]
        self.settings = [area for area in settings if area.size <= _FEW and not self._formulas(area)]
        self._setting_cells = {cell for area in self.settings for cell in area.cells()} - self._skipped
        self._settings = {cell: value for area in self.settings for cell, value in self._compiled(area).items()}
        self._turn = 0
        self._clock = clock
        self._credit, self._last = 0.0, clock()

    def settings_changed(self, found: Mapping[Cell, Value]) -> bool:
        """Whether the settings are others than they were before; `found` is what now stands in some cells."""
        now = {cell: value for cell, value in found.items() if cell in self._setting_cells}
        before, self._settings = self._settings, now
        return now != before

    def changed(self, host: LiveHost) -> bool:
        """Look at as many areas as there is time for; whether one holds something else than before."""
        now = self._clock()
        self._credit = min(0.5, self._credit + _SHARE * (now - self._last))
        self._last = now
        for _ in range(len(self._parts)):
            if self._credit <= 0:
                return False
            started = self._clock()
            part = self._parts[self._turn % len(self._parts)]
            self._turn += 1
            different = self._look(host, part)
            self._credit -= self._clock() - started
            if different:
                return True
        return False

    def charge(self, seconds: float) -> None:
        """Time that was spent because something had changed."""
        self._credit -= _SHARE * 10 * seconds

    def _look(self, host: LiveHost, part: _Part) -> bool:
        read = host.read_formulas if part.formulas else host.read_values
        found: dict[Cell, Value] = dict(read([part.area]))
        if not part.formulas:
            found = {cell: value for cell, value in found.items() if cell not in self._skipped}
        before, part.seen = part.seen, found
        if before is None:
            before = self._formulas(part.area) if part.formulas else self._compiled(part.area)
            if part.formulas:
                found = {cell: _plain(str(text)) for cell, text in found.items() if cell in before}
        return found != before

    def _compiled(self, area: Range) -> dict[Cell, Value]:
        """The values from which the model was compiled."""
        values = self._sheet(area).values
        cells = ((cell, values.get(cell[1:])) for cell in area.cells() if cell not in self._skipped)
        return {cell: value for cell, value in cells if value is not None}

    def _formulas(self, area: Range) -> dict[Cell, Value]:
        """The formulas from which the model was compiled, without those that are noted for another cell."""
        formulas = self._sheet(area).formulas
        cells = ((cell, formulas.get(cell[1:])) for cell in area.cells())
        return {cell: item.text for cell, item in cells if item is not None and (item.row, item.column) == cell[1:]}

    def _sheet(self, area: Range) -> Sheet:
        return self._workbook.sheet(area.sheet) or Sheet(area.sheet)


def _plain(formula: str) -> str:
    """Without the `=`, or the braces around an array formula."""
    return formula[2:-1] if formula.startswith("{=") else formula.removeprefix("=")


def _outermost(areas: Iterable[Range]) -> list[Range]:
    """The areas that lie in no other one."""
    found: list[Range] = []
    for area in sorted(set(areas), key=lambda item: -item.size):
        if not any(other.contains(area) for other in found):
            found.append(area)
    return found


def _pieces(area: Range) -> list[Range]:
    """The area in slices of rows that are quick to read."""
    rows = max(1, _LARGEST // area.width)
    return [
        area._replace(top=top, bottom=min(area.bottom, top + rows - 1))
        for top in range(area.top, area.bottom + 1, rows)
    ]
