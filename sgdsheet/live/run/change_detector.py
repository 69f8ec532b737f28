"""Notices that a person changes data, settings or formulas while their model is trained."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from time import perf_counter

from sgdsheet.hosts.base import ArrayHost, LiveHost
from sgdsheet.live.run.trainable import Trainable
from sgdsheet.problem.definition import settings_areas
from sgdsheet.sheet.formula import formula_text
from sgdsheet.sheet.references import Cell, Range
from sgdsheet.sheet.workbook import Sheet, Value

_SHARE = 0.08
"""Share of the time that reading the model's cells again and again may take."""

_CELLS_AT_ONCE = 4_000
"""Cells that one call reads, so that no call takes long."""

_MOST_SETTINGS = 200
"""Cells of an area of settings up to which it is read at every refresh; a larger one has its turn like the data."""

_MOST_CREDIT = 0.5
"""Seconds of reading that may be saved up while there was nothing to read."""

_PAUSE = 10.0
"""After a changed workbook was read again, nothing is read for so many times as long as that took: a person who has
changed one cell is likely to change more.
"""


@dataclass(slots=True)
class _Part:
    """An area that is read by one call, as values or as formulas. `seen` is what was read last; None before that."""

    area: Range
    formulas: bool
    seen: Mapping[Cell, Value] | None = None


class ChangeDetector:
    """Reads the cells that a model was compiled from, part after part, within a share of the time.

    `settings` are the areas of settings that the caller has to read at every refresh, since they are small. An area
    that contains a formula is none of them: the formula may have another value each time (RAND), so the area is read
    in its turn, like the data.
    """

    def __init__(self, trainable: Trainable, clock: Callable[[], float] = perf_counter) -> None:
        model, problem = trainable.model(), trainable.problem
        lowered = [block.range for block in model.blocks]
        read = [area for block in model.blocks for area in block.reads()]
        settings = settings_areas(trainable.workbook, problem.sheet)
        read += settings
        read += [problem.valid] if problem.valid is not None else []
        own = [*problem.parameters, *lowered]
        self._skipped = {cell for area in own for cell in area.cells()}
        kept = [area for area in _outermost(read) if not any(other.contains(area) for other in own)]
        self._workbook = trainable.workbook
        self._parts = [_Part(piece, False) for area in kept for piece in _pieces(area)]
        self._parts += [_Part(piece, True) for area in _outermost(lowered) for piece in _pieces(area)]
        self.settings = [area for area in settings if area.size <= _MOST_SETTINGS and not self._formulas(area)]
        self._setting_cells = {cell for area in self.settings for cell in area.cells()} - self._skipped
        self._settings = {cell: value for area in self.settings for cell, value in self._compiled(area).items()}
        self._next_part = 0
        self._edits, self._unread = -1, 0
        """What a host that knows of edits has counted last, and the parts that have not been read since."""
        self._clock = clock
        self._credit, self._last = 0.0, clock()

    def settings_changed(self, found: Mapping[Cell, Value]) -> bool:
        """Whether `settings` hold other values than at the last call; `found` has what they hold now, and more."""
        now = {cell: value for cell, value in found.items() if cell in self._setting_cells}
        before, self._settings = self._settings, now
        return now != before

    def changed(self, host: LiveHost) -> bool:
        """Read as many parts as there is time for; whether one of them holds something else than when it was read last.

        Where the host knows of every edit, nothing is read as long as there was none since it has read the workbook.
        Raises HostError if the spreadsheet program refuses.
        """
        if isinstance(host, ArrayHost) and host.edits != self._edits:
            if self._edits < 0:
                known = host.edits_when_read(self._workbook)
                self._edits = -1 if known is None else known
            if host.edits != self._edits:
                self._edits, self._unread = host.edits, len(self._parts)
        now = self._clock()
        self._credit = min(_MOST_CREDIT, self._credit + _SHARE * (now - self._last))
        self._last = now
        for _ in range(self._unread if isinstance(host, ArrayHost) else len(self._parts)):
            if self._credit <= 0:
                return False
            started = self._clock()
            part = self._parts[self._next_part % len(self._parts)]
            self._next_part += 1
            self._unread -= 1
            different = self._differs(host, part)
            self._credit -= self._clock() - started
            if different:
                return True
        return False

    def charge(self, seconds: float) -> None:
        """Read nothing for a while, because reading the changed workbook again took so many seconds."""
        self._credit -= _SHARE * _PAUSE * seconds

    def _differs(self, host: LiveHost, part: _Part) -> bool:
        """Whether the part holds something else than when it was read last, or else when the model was compiled."""
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
        """The formulas from which the model was compiled, as the cells show them.

        The other cells of an array formula are left out.
        """
        formulas = self._sheet(area).formulas
        cells = ((cell, formulas.get(cell[1:])) for cell in area.cells())
        return {
            cell: formula_text(item, *cell[1:])
            for cell, item in cells
            if item is not None and (item.array is None or (item.row, item.column) == cell[1:])
        }

    def _sheet(self, area: Range) -> Sheet:
        return self._workbook.sheet(area.sheet) or Sheet(area.sheet)


def _plain(formula: str) -> str:
    """The formula without its `=`, or without the braces around an array formula."""
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
    rows = max(1, _CELLS_AT_ONCE // area.width)
    return [
        area._replace(top=top, bottom=min(area.bottom, top + rows - 1))
        for top in range(area.top, area.bottom + 1, rows)
    ]
