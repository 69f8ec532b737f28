"""Notices what a person changes while a model is trained: data, settings and formulas, a few areas at a time."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from time import perf_counter

from sgdsheet.hosts.base import LiveHost
from sgdsheet.live.prepared import Prepared
from sgdsheet.references import Cell, Range
from sgdsheet.workbook import Value

_SHARE = 0.08
"""Of the time, what reading the data again and again may take."""

_LARGEST = 4_000
"""Cells that are read at once."""


@dataclass(slots=True)
class _Part:
    """One area, read as values or as formulas, and what it held when it was last looked at."""

    area: Range
    formulas: bool
    seen: Mapping[Cell, Value] | None = None


class Watch:
    """Reads what a model was made from, in turns, within a share of the time."""

    def __init__(self, prepared: Prepared, clock: Callable[[], float] = perf_counter) -> None:
        model, problem = prepared.model(), prepared.problem
        lowered = [block.range for block in model.blocks]
        read = [area for block in model.blocks for area in block.reads()]
        read += [Range(cell.sheet, cell.row, cell.column - 1, cell.row, cell.column) for cell in _cells(prepared)]
        read += [problem.valid] if problem.valid is not None else []
        own = [*problem.parameters, *lowered]
        self._skipped = {cell for area in own for cell in area.cells()}
        kept = [area for area in _outermost(read) if not any(other.contains(area) for other in own)]
        self._workbook = prepared.workbook
        self._parts = [_Part(piece, False) for area in kept for piece in _pieces(area)]
        self._parts += [_Part(piece, True) for area in _outermost(lowered) for piece in _pieces(area)]
        self._turn = 0
        self._clock = clock
        self._credit, self._last = 0.0, clock()

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
        if before is None and part.formulas:  # the program writes them in its own way
            return False
        return found != (self._compiled(part.area) if before is None else before)

    def _compiled(self, area: Range) -> dict[Cell, Value]:
        """The values from which the model was compiled."""
        sheet = self._workbook.sheet(area.sheet)
        values = sheet.values if sheet is not None else {}
        cells = ((cell, values.get(cell[1:])) for cell in area.cells() if cell not in self._skipped)
        return {cell: value for cell, value in cells if value is not None}


def _cells(prepared: Prepared) -> Iterable[Cell]:
    return (row.cell for row in prepared.problem.settings)


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
