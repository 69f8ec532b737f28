"""The cells of the parameters: what a run has written there, and what a person has typed over it."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from time import monotonic

from sgdsheet.hosts.base import LiveHost
from sgdsheet.live.run.trainable import Trainable
from sgdsheet.sheet.agreement import LEAST, same_number
from sgdsheet.sheet.references import Cell
from sgdsheet.sheet.workbook import ExcelError, Value

_WRITE_ALL = 1.0
"""Seconds after which all numbers are written, also those that have not changed: only so does the program refuse where
the cells have been protected or merged meanwhile."""


class ParameterCells:
    """The `cells` of a model's parameters, and the `numbers` that were last written to them or read from them.

    Every method that takes a host raises HostError if the spreadsheet program refuses.
    """

    def __init__(self, trainable: Trainable) -> None:
        values = trainable.start_values()
        self.cells, self.numbers = list(values), list(values.values())
        self._failed_writes: list[Sequence[float]] = []
        """The numbers of writes that failed: they may stand in some of the cells."""
        self._typed: dict[Cell, Value] = {}
        """What a person typed in the moment before a write, which has overwritten it; it is to be put back."""
        self._before: dict[Cell, Value] = {}
        """What the last write has overwritten in the cells that seemed to hold our own numbers."""
        self._all_written_at = monotonic()

    def untouched(self, found: Mapping[Cell, Value]) -> set[Cell]:
        """The cells that still hold what was written."""
        return {cell for place, cell in enumerate(self.cells) if self._is_ours(found.get(cell), place)}

    def edits(self, numbers: Sequence[float]) -> dict[int, float]:
        """The numbers, among those that were read, that are not what was written, by their place among the parameters.

        Empty if there are more or fewer numbers than parameters: then these are other parameters.
        """
        if len(numbers) != len(self.numbers):
            return {}
        return {place: number for place, number in enumerate(numbers) if not self._is_ours(number, place)}

    def write(self, host: LiveHost, numbers: Sequence[float]) -> bool:
        """Write new numbers to the cells. True if a person has typed something just before: that is put back there."""
        if self.give_back(host):
            return True
        if not all(map(math.isfinite, numbers)):
            return False
        every = bool(self._failed_writes) or monotonic() - self._all_written_at >= _WRITE_ALL
        if every:
            self._all_written_at = monotonic()
        pairs = enumerate(zip(numbers, self.numbers, strict=True))
        places = [place for place, (new, old) in pairs if new != old or every]
        return bool(places) and self._exchange(host, {place: numbers[place] for place in places})

    def replace(self, host: LiveHost, values: Mapping[Cell, float]) -> bool:
        """Write new numbers to some of the cells; returns the same as `write`."""
        return bool(values) and self._exchange(
            host, {place: values[cell] for place, cell in enumerate(self.cells) if cell in values}
        )

    def rename(self, sheets: Mapping[str, str]) -> None:
        """Take note that sheets have new names, given by their old ones."""
        self.cells = [cell._replace(sheet=sheets.get(cell.sheet, cell.sheet)) for cell in self.cells]
        self._typed = {cell._replace(sheet=sheets.get(cell.sheet, cell.sheet)): v for cell, v in self._typed.items()}
        self._before = {}

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
        parameters, numbers = now.start_values(), dict(zip(self.cells, self.numbers, strict=True))
        wrong = {
            cell: value
            for cell, value in self._before.items()
            if cell not in parameters and value != numbers[cell] and now.holds(cell, numbers[cell])
        }
        if wrong:
            host.write(wrong)
        return bool(wrong)

    def _exchange(self, host: LiveHost, new: Mapping[int, float]) -> bool:
        numbers = [new.get(place, old) for place, old in enumerate(self.numbers)]
        self._failed_writes.append(numbers)
        found = host.exchange({self.cells[place]: number for place, number in new.items()})
        self._before = {}
        for place in new:  # in the milliseconds since the cells were read
            cell, value = self.cells[place], found.get(self.cells[place])
            if self._is_ours(value, place):
                self._before[cell] = "" if value is None else value
            elif not isinstance(value, ExcelError):
                self._typed[cell] = "" if value is None else value
        self.numbers, self._failed_writes = numbers, []
        return self.give_back(host)

    def _is_ours(self, value: Value | None, place: int) -> bool:
        return any(is_written(value, numbers[place]) for numbers in (self.numbers, *self._failed_writes))


def is_written(value: Value | None, written: float) -> bool:
    """Whether a cell's value is the number that was written there; an empty cell (None) counts as 0."""
    if value is None:
        value = 0.0
    if isinstance(value, bool) or not isinstance(value, float):
        return False
    return same_number(value, written, least=LEAST)  # not all programs keep all digits
