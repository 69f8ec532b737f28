"""The values of an open workbook's cells: those that stand in its sheets, and results that nobody has looked at yet.

Training writes its parameters many times a second, and each time all that depends on them is calculated anew: tens of
thousands of cells, of which a page shows a thousand. What was calculated stays an array until it is looked at.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable, Mapping

from sgdsheet.sheet.block_values import BlockValues
from sgdsheet.sheet.references import Cell, Range
from sgdsheet.sheet.workbook import Position, Value, Workbook


class CellStore:
    """The values of a workbook's cells. One thread changes them at a time; any thread may read them meanwhile.

    `outdated` are cells that cannot be calculated although something that they depend on has changed: they show their
    last value, which the workbook does not hold any more, so that nothing is calculated from it.
    """

    def __init__(self, workbook: Workbook) -> None:
        self.workbook = workbook
        self.outdated: dict[Cell, Value | None] = {}
        self._pending: dict[Range, BlockValues] = {}
        self._lock = threading.Lock()

    def values_in(self, area: Range, *, outdated: bool = True) -> dict[Position, Value]:
        """The values that cells show; empty ones are left out, and those that are `outdated` if they are not wanted."""
        with self._lock:
            found = self._values_in(area)
            for cell, value in self.outdated.items() if outdated else ():
                if cell.sheet == area.sheet and value is not None and _inside(area, cell[1:]):
                    found[cell[1:]] = value
        return found

    def value_of(self, cell: Cell) -> Value | None:
        """The value that a cell shows; None if it is empty."""
        return self.values_in(Range.of_cell(cell)).get((cell.row, cell.column))

    def set(self, values: Mapping[Cell, Value | None]) -> None:
        """Let cells hold values; None empties a cell."""
        with self._lock:
            for cell, value in values.items():
                held = self.workbook.sheets[cell.sheet].values
                if value is None:
                    held.pop(cell[1:], None)
                else:
                    held[cell[1:]] = value
                if self.outdated:
                    self.outdated.pop(cell, None)

    def put(self, results: Iterable[BlockValues]) -> None:
        """Take results. Where the same areas were calculated before, they take the place of those."""
        results = list(results)
        with self._lock:
            if not all(result.area in self._pending for result in results):
                self._settle()
            self._pending.update((result.area, result) for result in results)
            if self.outdated:
                for cell in [cell for cell in self.outdated if any(_holds(result.area, cell) for result in results)]:
                    del self.outdated[cell]

    def mark_outdated(self, areas: Iterable[Range]) -> None:
        """Let cells show what they hold, and nothing be calculated from it any more."""
        with self._lock:
            self._settle()
            for area in areas:
                values = self.workbook.sheets[area.sheet].values
                for place in area.positions():
                    cell = Cell(area.sheet, *place)
                    if cell not in self.outdated:
                        self.outdated[cell] = values.pop(place, None)

    def settle(self) -> None:
        """Put all results into the workbook's sheets."""
        with self._lock:
            self._settle()

    def renamed(self, old: str, new: str) -> None:
        """Take note that a sheet, whose results are settled, bears another name."""
        with self._lock:
            self.outdated = {
                cell._replace(sheet=new) if cell.sheet == old else cell: value for cell, value in self.outdated.items()
            }

    def _settle(self) -> None:
        for area, result in self._pending.items():
            self.workbook.sheets[area.sheet].values.update(result.values_in(area))
        self._pending = {}

    def _values_in(self, area: Range) -> dict[Position, Value]:
        sheet = self.workbook.sheets.get(area.sheet)
        if sheet is None:
            return {}
        values = sheet.values
        if area.size <= len(values):
            found = {place: value for place in area.positions() if (value := values.get(place)) is not None}
        else:
            found = {place: value for place, value in values.items() if _inside(area, place)}
        for own, result in self._pending.items():
            if (part := own.intersection(area)) is not None:
                found.update(result.values_in(part))
        return found


def _inside(area: Range, place: Position) -> bool:
    return area.top <= place[0] <= area.bottom and area.left <= place[1] <= area.right


def _holds(area: Range, cell: Cell) -> bool:
    return area.sheet == cell.sheet and _inside(area, cell[1:])
