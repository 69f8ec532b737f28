"""Constraints moved into the objective: what they cost is learned round by round."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import torch
from torch import Tensor

from sgdsheet.train.constrained.flat_functions import FlatModel, Floats, Point

FIRST_PENALTY = 10.0
"""The weight of violations in the first round."""

_PROBES = 4
"""Random directions in which the lengths of the residuals' gradients are estimated."""


@dataclass(slots=True)
class Lagrangian:
    """The augmented Lagrangian of the scaled objective and residuals: a scalar to be made small without constraints.

    Rockafellar, “The multiplier method of Hestenes and Powell applied to convex programming”, Journal of Optimization
    Theory and Applications 12 (1973). The first `split` residuals are inequalities, the others equalities; `rows`
    [residuals] is what each is multiplied by, `multipliers` [residuals] are their prices in the units of the objective
    times `scale`.
    """

    split: int
    scale: float
    rows: Floats
    penalty: float = FIRST_PENALTY
    multipliers: Floats = field(init=False)

    def __post_init__(self) -> None:
        self.multipliers = np.zeros(len(self.rows))

    def __call__(self, objective: Tensor, residuals: Tensor) -> Tensor:
        rho = self.penalty
        scaled = residuals * torch.from_numpy(self.rows).to(residuals)
        shifted = torch.from_numpy(self.multipliers).to(residuals) + rho * scaled
        shifted = torch.cat([shifted[: self.split].clamp(min=0), shifted[self.split :]])
        constant = float(self.multipliers @ self.multipliers)
        return self.scale * objective + (shifted.square().sum() - constant) / (2 * rho)

    def rescale(self, ratio: float) -> None:
        """Multiply the weight of the objective, and with it the multipliers, which are prices in its units."""
        self.scale *= ratio
        self.multipliers *= ratio

    def update(self, residuals: Floats) -> float:
        """Set new multipliers from the residuals [residuals]; returns how far the constraints are from being met.

        That is the largest violation, or the largest slack of a constraint that still has a price, in scaled units.
        """
        scaled = residuals * self.rows
        unmet = np.abs(scaled)
        unmet[: self.split] = np.abs(np.maximum(scaled, -self.multipliers / self.penalty)[: self.split])
        self.multipliers = np.clip(self.multipliers + self.penalty * scaled, -1e12, 1e12)
        self.multipliers[: self.split] = np.maximum(self.multipliers[: self.split], 0.0)
        return float(unmet.max(initial=0.0))


def row_scales(flat: FlatModel, point: Point) -> Floats:
    """What to multiply each residual by [residuals]: one over the length of its gradient, but at most 10.

    It is more only where all the numbers of a residual are small. The lengths are estimated from differences in a few
    random directions.
    """
    random = np.random.default_rng(0)
    squares = np.zeros(flat.count)
    size = 1e-6 * (1 + float(np.abs(point.x).max()))
    for _ in range(_PROBES):
        step = size * random.standard_normal(len(point.x))
        change = flat.at(point.x + step).residuals - flat.at(point.x - step).residuals
        squares += (change / (2 * size)) ** 2 / _PROBES
    lengths = np.sqrt(np.where(np.isfinite(squares), squares, 1.0))
    return 1.0 / np.maximum(lengths, 0.1 * np.minimum(flat.magnitudes, 1.0))
