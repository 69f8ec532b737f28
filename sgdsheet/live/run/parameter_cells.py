"""The cells of the parameters: what a run has written there, and what a person has typed over it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from time import monotonic

import numpy as np
from numpy.typing import NDArray

from sgdsheet.hosts.base import ArrayHost, LiveHost
from sgdsheet.live.run.trainable import Trainable
from sgdsheet.sheet.agreement import LEAST, same_number
from sgdsheet.sheet.held_numbers import HeldNumbers, held_numbers
from sgdsheet.sheet.references import Cell, Range
from sgdsheet.sheet.workbook import ExcelError, Value

_WRITE_ALL = 1.0
"""Seconds after which all numbers are written, also those that have not changed: only so does the program refuse where
the cells have been protected or merged meanwhile."""

_NOTHING = np.zeros(0, dtype=np.intp), HeldNumbers(np.zeros(0), {}), np.zeros(0, dtype=np.intp)


class ParameterCells:
    """The `cells` of a model's parameters, and the `numbers` [cells] that were last written to them or read from them.

    Every method that takes a host raises HostError if the spreadsheet program refuses.
    """

    def __init__(self, trainable: Trainable) -> None:
        values = trainable.start_values()
        self.cells, self.numbers = list(values), np.array(list(values.values()), dtype=np.float64)
        self._areas, self._all = trainable.problem.parameters, np.arange(len(values))
        self._failed_writes: list[NDArray[np.float64]] = []
        """The numbers of writes that failed: they may stand in some of the cells."""
        self._typed: dict[Cell, Value] = {}
        """What a person typed in the moment before a write, which has overwritten it; it is to be put back."""
        self._last = _NOTHING
        """The places of the cells that the last write has overwritten and that seemed to hold our own numbers; what
        they held, and where it is among that."""
        self._all_written_at = monotonic()

    def untouched(self, found: Mapping[Cell, Value]) -> set[Cell]:
        """The cells that still hold what was written."""
        ours = self._ours(held_numbers(map(found.get, self.cells)))
        return {self.cells[place] for place in np.flatnonzero(ours).tolist()}

    def look(self, host: LiveHost, also: Sequence[Range]) -> tuple[bool, Mapping[Cell, Value]]:
        """Whether all cells still hold what was written, and what other areas hold; empty cells are left out."""
        if isinstance(host, ArrayHost):
            held, found = host.read_numbers(self._areas), host.read_values(also)
        else:
            found = host.read_values([*self._areas, *also])
            held = held_numbers(map(found.get, self.cells))
        return bool(self._ours(held).all()), found

    def edits(self, numbers: NDArray[np.float64]) -> dict[int, float]:
        """The numbers, among those that were read, that are not what was written, by their place among the parameters.

        Empty if there are more or fewer numbers than parameters: then these are other parameters.
        """
        if len(numbers) != len(self.numbers):
            return {}
        other = np.flatnonzero(~self._ours(HeldNumbers(numbers, {}))).tolist()
        return {place: float(numbers[place]) for place in other}

    def write(self, host: LiveHost, numbers: Sequence[float]) -> bool:
        """Write new numbers to the cells. True if a person has typed something just before: that is put back there."""
        if self.give_back(host):
            return True
        new = np.asarray(numbers, dtype=np.float64)
        if not np.isfinite(new).all():
            return False
        every = bool(self._failed_writes) or monotonic() - self._all_written_at >= _WRITE_ALL
        if every:
            self._all_written_at = monotonic()
        changed = new != self.numbers
        if not every and not changed.any():
            return False
        whole = every or isinstance(host, ArrayHost)
        return self._exchange(host, self._all if whole else np.flatnonzero(changed), new)

    def replace(self, host: LiveHost, values: Mapping[Cell, float]) -> bool:
        """Write new numbers to some of the cells; returns the same as `write`."""
        places = [place for place, cell in enumerate(self.cells) if cell in values]
        new = self.numbers.copy()
        new[places] = [values[self.cells[place]] for place in places]
        return bool(places) and self._exchange(host, np.array(places), new)

    def rename(self, sheets: Mapping[str, str]) -> None:
        """Take note that sheets have new names, given by their old ones."""
        self._areas = tuple(area._replace(sheet=sheets.get(area.sheet, area.sheet)) for area in self._areas)
        self.cells = [cell._replace(sheet=sheets.get(cell.sheet, cell.sheet)) for cell in self.cells]
        self._typed = {cell._replace(sheet=sheets.get(cell.sheet, cell.sheet)): v for cell, v in self._typed.items()}
        self._last = _NOTHING

    def give_back(self, host: LiveHost) -> bool:
        """Put back what a person has typed and a write has overwritten; whether there was anything."""
        if not self._typed:
            return False
        host.write(self._typed)
        self._typed = {}
        return True

    def retract(self, host: LiveHost, now: Trainable) -> bool:
        """Put back what the last write has overwritten in cells that are no parameters `now`; whether there were any.

        A person had moved the parameters just before that write, and what stood in their old place was taken for our
        own number. An empty cell is, for example, where that number was 0.
        """
        parameters = now.start_values()
        wrong = {
            cell: value
            for cell, number, value in self._overwritten
            if cell not in parameters and value != number and now.holds(cell, number)
        }
        if wrong:
            host.write(wrong)
        return bool(wrong)

    def _exchange(self, host: LiveHost, places: NDArray[np.intp], new: NDArray[np.float64]) -> bool:
        """Write numbers of all cells [cells] to those at some places; returns the same as `write`."""
        numbers = self.numbers.copy()
        numbers[places] = new[places]
        self._failed_writes.append(numbers)
        if isinstance(host, ArrayHost) and len(places) == len(numbers):
            held = host.exchange_numbers(self._areas, numbers)
        else:
            pairs = zip(places.tolist(), numbers[places].tolist(), strict=True)
            found = host.exchange({self.cells[place]: number for place, number in pairs})
            held = held_numbers(found.get(self.cells[place]) for place in places.tolist())
        ours = self._ours(held, places)  # the others were typed in the milliseconds since the cells were read
        for at in np.flatnonzero(~ours).tolist():
            value = held.value(at)
            if not isinstance(value, ExcelError):
                self._typed[self.cells[places[at]]] = "" if value is None else value
        self._last = places[ours], held, np.flatnonzero(ours)
        self.numbers, self._failed_writes = numbers, []
        return self.give_back(host)

    @property
    def _overwritten(self) -> Iterator[tuple[Cell, float, Value]]:
        """Cells that the last write has overwritten, their number, and what stood there and seemed to be our own."""
        places, held, among = self._last
        for place, at in zip(places.tolist(), among.tolist(), strict=True):
            value = held.value(at)
            yield self.cells[place], float(self.numbers[place]), "" if value is None else value

    def _ours(self, held: HeldNumbers, places: NDArray[np.intp] | None = None) -> NDArray[np.bool_]:
        """Which cells, all or those at some places, hold what was written to them, or what may have been."""
        known = [numbers if places is None else numbers[places] for numbers in (self.numbers, *self._failed_writes)]
        found: NDArray[np.bool_] = np.any([held.agree(numbers, LEAST) for numbers in known], axis=0)
        return found


def is_written(value: Value | None, written: float) -> bool:
    """Whether a cell's value is the number that was written there; an empty cell (None) counts as 0."""
    if value is None:
        value = 0.0
    if isinstance(value, bool) or not isinstance(value, float):
        return False
    return same_number(value, written, least=LEAST)  # not all programs keep all digits
