"""The parameters as the sheet shows them, and what a person has made of them since."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from time import monotonic

from sgdsheet.hosts.base import LiveHost
from sgdsheet.live.run.prepared import Prepared
from sgdsheet.sheet.agreement import LEAST, same_number
from sgdsheet.sheet.references import Cell
from sgdsheet.sheet.workbook import ExcelError, Value

_AGAIN = 1.0
"""Seconds after which all numbers are written, also those that are the same: the program then says whether it still
takes them, or the cells are protected by now, or merged."""


class ShownParameters:
    """The cells of a model's parameters with the numbers that were last put there or found there."""

    def __init__(self, prepared: Prepared) -> None:
        values = prepared.start_values()
        self.cells, self.numbers = list(values), list(values.values())
        self._perhaps: list[Sequence[float]] = []
        """What writes that failed may have put into some of the cells."""
        self._typed: dict[Cell, Value] = {}
        """What was overwritten before it could be read, and is to be put back."""
        self._before: dict[Cell, Value] = {}
        """What stood in the cells before the last write, if that passed for our own."""
        self._all_at = monotonic()

    def untouched(self, found: Mapping[Cell, Value]) -> set[Cell]:
        """The cells that still hold what was written."""
        return {cell for place, cell in enumerate(self.cells) if self._is_ours(found.get(cell), place)}

    def edits(self, numbers: Sequence[float]) -> dict[int, float]:
        """By place, the numbers that are not what was written; none if these are other parameters altogether."""
        if len(numbers) != len(self.numbers):
            return {}
        return {place: number for place, number in enumerate(numbers) if not self._is_ours(number, place)}

    def write(self, host: LiveHost, numbers: Sequence[float]) -> bool:
        """Put other numbers there; whether a person was quicker, whose values are then back in the cells."""
        if self.give_back(host):
            return True
        if not all(map(math.isfinite, numbers)):
            return False
        every = bool(self._perhaps) or monotonic() - self._all_at >= _AGAIN
        if every:
            self._all_at = monotonic()
        pairs = enumerate(zip(numbers, self.numbers, strict=True))
        places = [place for place, (new, old) in pairs if new != old or every]
        return bool(places) and self._exchange(host, {place: numbers[place] for place in places})

    def replace(self, host: LiveHost, values: Mapping[Cell, float]) -> bool:
        """The same for some of the cells."""
        return bool(values) and self._exchange(
            host, {place: values[cell] for place, cell in enumerate(self.cells) if cell in values}
        )

    def rename(self, sheets: Mapping[str, str]) -> None:
        """Sheets have other names now."""
        self.cells = [cell._replace(sheet=sheets.get(cell.sheet, cell.sheet)) for cell in self.cells]
        self._typed = {cell._replace(sheet=sheets.get(cell.sheet, cell.sheet)): v for cell, v in self._typed.items()}
        self._before = {}

    def give_back(self, host: LiveHost) -> bool:
        """Put back what a person has typed and we have overwritten; whether there was something."""
        if not self._typed:
            return False
        host.write(self._typed)
        self._typed = {}
        return True

    def retract(self, host: LiveHost, now: Prepared) -> bool:
        """Put back what stood in cells that are no parameters now, if they were overwritten; whether there were any.

        The parameters had moved before the last write, then, and what stood in their place passed for our own
        number: an empty cell does where that was 0.
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
        self._perhaps.append(numbers)
        found = host.exchange({self.cells[place]: number for place, number in new.items()})
        self._before = {}
        for place in new:  # in the milliseconds since the cells were read
            cell, value = self.cells[place], found.get(self.cells[place])
            if self._is_ours(value, place):
                self._before[cell] = "" if value is None else value
            elif not isinstance(value, ExcelError):
                self._typed[cell] = "" if value is None else value
        self.numbers, self._perhaps = numbers, []
        return self.give_back(host)

    def _is_ours(self, value: Value | None, place: int) -> bool:
        return any(is_written(value, numbers[place]) for numbers in (self.numbers, *self._perhaps))


def is_written(value: Value | None, written: float) -> bool:
    """Whether a cell still holds what was written; an empty cell counts as 0."""
    if value is None:
        value = 0.0
    if isinstance(value, bool) or not isinstance(value, float):
        return False
    return same_number(value, written, least=LEAST)  # not all programs keep all digits
