"""What many cells hold, as one array of numbers with exceptions: quick where there are thousands of cells."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sgdsheet.sheet.agreement import ROUNDING
from sgdsheet.sheet.workbook import Value


@dataclass(frozen=True, slots=True)
class HeldNumbers:
    """What cells hold, in an order that is known.

    `numbers` [cells] has 0 for an empty cell, and NaN for one that holds something else than a number; `others` tells
    by its place what such a cell holds, None if it is empty.
    """

    numbers: NDArray[np.float64]
    others: Mapping[int, Value | None]

    def value(self, place: int) -> Value | None:
        """What one cell holds; None if it is empty."""
        return self.others[place] if place in self.others else float(self.numbers[place])

    def agree(self, numbers: NDArray[np.float64], least: float) -> NDArray[np.bool_]:
        """Which of the cells hold these numbers [cells], up to rounding; `least` is as in `agreement.same_number`."""
        size = np.maximum(np.maximum(np.abs(self.numbers), np.abs(numbers)), least)
        with np.errstate(invalid="ignore"):  # infinity less infinity
            away = np.abs(self.numbers - numbers)
            close: NDArray[np.bool_] = (self.numbers == numbers) | ((away <= ROUNDING * size) & (away < np.inf))
        return close


def held_numbers(values: Iterable[Value | None]) -> HeldNumbers:
    """What cells hold, of their values one after the other; None stands for an empty cell."""
    values = list(values)
    others = {place: value for place, value in enumerate(values) if type(value) is not float}
    numbers = np.array([value if type(value) is float else np.nan for value in values], dtype=np.float64)
    numbers[[place for place, value in others.items() if value is None]] = 0.0
    return HeldNumbers(numbers, others)
