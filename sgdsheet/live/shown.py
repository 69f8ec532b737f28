"""The parameters as the sheet shows them, and what a person has made of them since."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Protocol, runtime_checkable

from sgdsheet.hosts.base import LiveHost
from sgdsheet.live.prepared import Prepared
from sgdsheet.references import Cell
from sgdsheet.workbook import ExcelError, Value

_TOLERANCE = 1e-9
"""Relative distance below which a value is the one that was written: not all programs keep all digits."""


@runtime_checkable
class Exchanging(Protocol):
    """A host that tells what stood in the cells that it writes to, so that nothing a person types gets lost."""

    def exchange(self, values: Mapping[Cell, Value]) -> dict[Cell, Value]:
        """Write, and return what stood in the cells at that moment; empty ones are left out."""
        ...


class ShownParameters:
    """The cells of a model's parameters with the numbers that were last put there or found there."""

    def __init__(self, prepared: Prepared) -> None:
        values = prepared.start_values()
        self.cells, self.numbers = list(values), list(values.values())

    def untouched(self, found: Mapping[Cell, Value]) -> set[Cell]:
        """The cells that still hold what was written."""
        pairs = zip(self.cells, self.numbers, strict=True)
        return {cell for cell, number in pairs if _is_written(found.get(cell), number)}

    def edits(self, numbers: Sequence[float]) -> dict[int, float]:
        """By place, the numbers that are not what was written; none if these are other parameters altogether."""
        if len(numbers) != len(self.numbers):
            return {}
        pairs = enumerate(zip(numbers, self.numbers, strict=True))
        return {place: new for place, (new, old) in pairs if not _is_written(new, old)}

    def write(self, host: LiveHost, numbers: list[float]) -> bool:
        """Put other numbers there; whether a person was quicker, whose values are then back in the cells."""
        old = dict(zip(self.cells, self.numbers, strict=True))
        new: dict[Cell, Value] = {
            cell: number for cell, number in zip(self.cells, numbers, strict=True) if number != old[cell]
        }
        if not new or not all(map(math.isfinite, numbers)):
            return False
        if isinstance(host, Exchanging):
            found = host.exchange(new)
        else:
            host.write(new)
            found = dict(old)
        self.numbers = numbers
        typed = {cell: found.get(cell, "") for cell in new if not _is_written(found.get(cell), old[cell])}
        if typed:  # in the milliseconds since the cells were read
            host.write({cell: value for cell, value in typed.items() if not isinstance(value, ExcelError)})
        return bool(typed)


def _is_written(value: Value | None, written: float) -> bool:
    """Whether a cell still holds what was written; an empty cell counts as 0."""
    if value is None:
        value = 0.0
    if isinstance(value, bool) or not isinstance(value, float):
        return False
    return abs(value - written) <= _TOLERANCE * max(1e-6, abs(written))
