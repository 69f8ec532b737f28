"""What sums up numbers that come a few at a time: counts, means, variances and extremes, in one pass.

Source: Chan, Golub and LeVeque, “Algorithms for computing the sample variance: analysis and recommendations”, The
American Statistician 37 (1983), for means and variances of parts put together.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Moments:
    """What is known of some numbers."""

    rows: float
    """Rows of the cells that they stand in."""
    count: float
    mean: float
    squares: float
    """The sum of squared distances from the mean."""
    least: float
    most: float

    def with_(self, other: Moments) -> Moments:
        """What is known of these numbers and others together."""
        count = self.count + other.count
        if not count:
            return self
        apart = other.mean - self.mean
        return Moments(
            self.rows + other.rows,
            count,
            self.mean + apart * other.count / count,
            self.squares + other.squares + apart * apart * self.count * other.count / count,
            min(self.least, other.least),
            max(self.most, other.most),
        )


NOTHING = Moments(0.0, 0.0, 0.0, 0.0, math.inf, -math.inf)


def _variance(found: Moments, less: int) -> float:
    return found.squares / (found.count - less)


ONE_PASS: Mapping[str, Callable[[Moments], float]] = {
    "AVERAGE": lambda found: found.mean,
    "SUM": lambda found: found.mean * found.count,
    "COUNT": lambda found: found.count,
    "ROWS": lambda found: found.rows,
    "MIN": lambda found: found.least,
    "MAX": lambda found: found.most,
    "DEVSQ": lambda found: found.squares,
    "SUMSQ": lambda found: found.squares + found.mean * found.mean * found.count,
    "VAR": lambda found: _variance(found, 1),
    "VAR.S": lambda found: _variance(found, 1),
    "VARP": lambda found: _variance(found, 0),
    "VAR.P": lambda found: _variance(found, 0),
    "STDEV": lambda found: math.sqrt(_variance(found, 1)),
    "STDEV.S": lambda found: math.sqrt(_variance(found, 1)),
    "STDEVP": lambda found: math.sqrt(_variance(found, 0)),
    "STDEV.P": lambda found: math.sqrt(_variance(found, 0)),
}
"""Functions that a pass over the samples can calculate."""
