"""Values of whole areas as arrays, turned into cells' values only where somebody looks at them."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sgdsheet.sheet.references import Range
from sgdsheet.sheet.workbook import Position, Value


@dataclass(frozen=True, slots=True)
class BlockValues:
    """The values of an area: numbers [rows, columns], and what else than numbers they stand for.

    `kinds` [rows, columns] goes with `decode`, which makes a cell's value of its number and kind; None where all are
    finite numbers.
    """

    area: Range
    numbers: NDArray[np.float64]
    kinds: NDArray[np.uint8] | None = None
    decode: Callable[[float, int], Value] | None = None

    def values_in(self, area: Range) -> Iterable[tuple[Position, Value]]:
        """The cells' values in a part of the area."""
        own = self.area
        rows = slice(area.top - own.top, area.bottom - own.top + 1)
        columns = slice(area.left - own.left, area.right - own.left + 1)
        numbers = self.numbers[rows, columns].ravel().tolist()
        if self.kinds is None or self.decode is None:
            return zip(area.positions(), numbers, strict=True)
        kinds = self.kinds[rows, columns].ravel().tolist()
        return zip(area.positions(), map(self.decode, numbers, kinds), strict=True)
