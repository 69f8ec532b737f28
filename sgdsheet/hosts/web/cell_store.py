"""The values of an open workbook's cells: those that stand in its sheets, and results that nobody has looked at yet.

Training writes its parameters many times a second, and each time all that depends on them is calculated anew: tens of
thousands of cells, of which a page shows a thousand. What was calculated stays an array until it is looked at.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from sgdsheet.hosts.web.edit_history import Content
from sgdsheet.sheet.block_values import BlockValues
from sgdsheet.sheet.held_numbers import HeldNumbers, held_numbers
from sgdsheet.sheet.references import Cell, Range
from sgdsheet.sheet.workbook import Position, Value, Workbook

T = TypeVar("T")


class StoredValues:
    """The values of cells at one moment: what is calculated or written later is not seen."""

    def __init__(self, store: CellStore, pending: Mapping[Range, BlockValues]) -> None:
        self._store, self._pending = store, pending

    def __call__(self, area: Range) -> dict[Position, Value]:
        """The values that cells show; empty ones are left out."""
        return self._store.values_in(area, pending=self._pending)

    def array(self, area: Range) -> NDArray[np.float64] | None:
        """The numbers [rows, columns] of an area, where they stand in one array of nothing but numbers; else None."""
        own = self._store.around(area, self._pending)
        if own is None or (result := self._pending[own]).kinds is not None:
            return None
        rows = slice(area.top - own.top, area.bottom - own.top + 1)
        return result.numbers[rows, area.left - own.left : area.right - own.left + 1]


class CellStore:
    """The values of a workbook's cells. One thread changes them at a time; any thread may read them meanwhile.

    Some cells are outdated: they cannot be calculated although something that they depend on has changed. They show
    their last value, which the workbook does not hold any more, so that nothing is calculated from it.
    """

    def __init__(self, workbook: Workbook) -> None:
        self.workbook = workbook
        self._outdated: dict[str, dict[Position, Value | None]] = {}
        self._pending: dict[Range, BlockValues] = {}
        self._written: set[Range] = set()
        """The areas among those that are pending which are no results: numbers were written there."""
        self._around: dict[Range, Range] = {}
        """The areas that are pending in which others lie, as far as they were asked for."""
        self._lock = threading.Lock()

    def at_once(self) -> StoredValues:
        """The values that cells show now, to be looked at one after the other."""
        with self._lock:
            return StoredValues(self, dict(self._pending))

    def around(self, area: Range, pending: Mapping[Range, BlockValues]) -> Range | None:
        """The area of results in which an area lies whose cells show nothing else; None if there is none."""
        with self._lock:
            if self._outdated.get(area.sheet):
                return None
            own = self._around.get(area)
            if own not in pending:
                own = next((other for other in pending if other.contains(area)), None)
                if own is not None:
                    self._around[area] = own
            return own

    def values_in(
        self, area: Range, *, outdated: bool = True, pending: Mapping[Range, BlockValues] | None = None
    ) -> dict[Position, Value]:
        """The values that cells show; empty ones are left out, and those that are `outdated` if they are not wanted.

        `pending` are results of a moment ago that are looked at in place of those that there are now.
        """
        with self._lock:
            found = self._values_in(area, self._pending if pending is None else pending)
            if outdated and (old := self._outdated.get(area.sheet)):
                found.update((place, value) for place, value in _within(area, old) if value is not None)
        return found

    def value_of(self, cell: Cell) -> Value | None:
        """The value that a cell shows; None if it is empty."""
        return self.values_in(Range.of_cell(cell)).get((cell.row, cell.column))

    def content(self, cell: Cell) -> Content:
        """The formula or the value that a cell holds; None if it is empty. Raises KeyError for an unknown sheet."""
        formula = self.workbook.sheets[cell.sheet].formulas.get(cell[1:])
        return formula if formula is not None else self.value_of(cell)

    def numbers_in(self, areas: Sequence[Range]) -> HeldNumbers:
        """What the cells of areas hold, as arrays; those that are outdated count as empty."""
        with self._lock:
            known = [self._pending.get(area) for area in areas]
            if all(result is not None and result.kinds is None for result in known):
                return HeldNumbers(np.concatenate([result.numbers.ravel() for result in known if result]), {})
            values = [(area, self._values_in(area, self._pending)) for area in areas]
            return held_numbers(own.get(place) for area, own in values for place in area.positions())

    def set_numbers(self, areas: Sequence[Range], numbers: NDArray[np.float64], results: Iterable[BlockValues]) -> None:
        """Let the cells of areas, which hold numbers already, hold others [cells], and take the results of them."""
        ends = np.cumsum([area.size for area in areas])
        parts = np.split(numbers + 0.0, ends[:-1])  # no cell holds -0
        shaped = zip(areas, parts, strict=True)
        written = [BlockValues(area, part.reshape(area.height, area.width)) for area, part in shaped]
        self.put([*written, *results])
        with self._lock:
            self._written.update(areas)

    def settle_written(self) -> None:
        """Put the numbers that were written as arrays into the workbook's sheets."""
        with self._lock:
            if self._written:
                self._settle()

    def set(self, values: Mapping[Cell, Value | None]) -> None:
        """Let cells hold values; None empties a cell."""
        with self._lock:
            if self._written:
                self._settle()
            for cell, value in values.items():
                held = self.workbook.sheets[cell.sheet].values
                if value is None:
                    held.pop(cell[1:], None)
                else:
                    held[cell[1:]] = value
                if cell.sheet in self._outdated:
                    self._outdated[cell.sheet].pop(cell[1:], None)

    def put(self, results: Iterable[BlockValues]) -> None:
        """Take results. Where the same areas were calculated before, they take the place of those."""
        results = list(results)
        with self._lock:
            if not all(result.area in self._pending for result in results):
                self._settle()
            self._pending.update((result.area, result) for result in results)
            for result in results:
                if old := self._outdated.get(result.area.sheet):
                    for place in result.area.positions():
                        old.pop(place, None)
            self._outdated = {name: dict(old) for name, old in self._outdated.items() if old}

    def mark_outdated(self, areas: Iterable[Range]) -> None:
        """Let cells show what they hold, and nothing be calculated from it any more."""
        with self._lock:
            self._settle()
            for area in areas:
                values = self.workbook.sheets[area.sheet].values
                old = self._outdated.setdefault(area.sheet, {})
                for place in area.positions():
                    if place not in old:
                        old[place] = values.pop(place, None)

    def settle(self) -> None:
        """Put all results into the workbook's sheets."""
        with self._lock:
            self._settle()

    def _settle(self) -> None:
        for area, result in self._pending.items():
            self.workbook.sheets[area.sheet].values.update(result.values_in(area))
        self._pending, self._written, self._around = {}, set(), {}

    def _values_in(self, area: Range, pending: Mapping[Range, BlockValues]) -> dict[Position, Value]:
        sheet = self.workbook.sheets.get(area.sheet)
        if sheet is None:
            return {}
        name, top, left, bottom, right = area
        parts = []
        for own, result in pending.items():
            if own[0] == name and own[1] <= bottom and own[2] <= right and own[3] >= top and own[4] >= left:
                if own[1] <= top and own[2] <= left and own[3] >= bottom and own[4] >= right:
                    return dict(result.values_in(area))  # no other one overlaps it
                parts.append((own, result))
        found = dict(_within(area, sheet.values))
        for own, result in parts:
            if (part := own.intersection(area)) is not None:
                found.update(result.values_in(part))
        return found


def _within(area: Range, held: Mapping[Position, T]) -> Iterator[tuple[Position, T]]:
    """What is held within an area: by looking at each of its cells, or at all that is held."""
    if area.size <= len(held):
        return ((place, held[place]) for place in area.positions() if place in held)
    top, left, bottom, right = area[1:]
    return (item for item in held.items() if top <= item[0][0] <= bottom and left <= item[0][1] <= right)
