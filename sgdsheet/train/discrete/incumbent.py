"""The best point so far of a search for whole numbers, and what a point needs to take its place."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from sgdsheet.train.constrained.constraints import HOLDS, Discrete
from sgdsheet.train.constrained.flat_functions import FlatModel, Floats, Point


@dataclass(slots=True)
class Incumbent:
    """What a search for whole numbers has found: the best point that it was offered; None as long as none will do."""

    flat: FlatModel
    discrete: Discrete
    best: Point | None = field(init=False, default=None)

    def rounded(self, x: Floats) -> Floats:
        """A point [parameters] with whole numbers where they have to be, within the bounds."""
        inside = self.flat.clipped(x)
        return np.where(self.discrete.whole, np.round(inside), inside) + 0.0

    def offer(self, x: Floats) -> None:
        """Keep a point [parameters] if it meets the constraints, and is better than the best."""
        point = self.flat.at(x)
        permuted = all(
            np.array_equal(np.sort(x[group]), np.arange(1.0, len(group) + 1)) for group in self.discrete.permutations
        )
        feasible = point.finite and point.excess <= HOLDS and permuted
        if feasible and (self.best is None or point.objective < self.best.objective):
            self.best = point
