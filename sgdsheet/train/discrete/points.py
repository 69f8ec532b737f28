"""Points of a search: where it looks, what stands for a point, and the best one so far."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sgdsheet.errors import TrainingError
from sgdsheet.train.constrained.constraints import HOLDS, Discrete
from sgdsheet.train.constrained.flat_functions import FlatModel, Floats, Point
from sgdsheet.train.discrete.population import Population

_WIDE = 10.0
"""How far from its start a parameter without bounds is searched, as a multiple of its size and at least of 1."""

_INFEASIBLE = 1e30
"""What a violation is multiplied by where it takes the place of the objective: any such point is worse than all that
meet the constraints (Deb, “An efficient constraint handling method for genetic algorithms”, 2000)."""


@dataclass(frozen=True, slots=True)
class Box:
    """Where a search looks: `lower` and `upper` [parameters]; `derived` are the parameters whose bounds nobody gave.

    `whole` [parameters] tells of which only whole numbers, and `permutations` which parameters are one.
    """

    lower: Floats
    upper: Floats
    derived: NDArray[np.bool_]
    whole: NDArray[np.bool_]
    permutations: tuple[NDArray[np.int64], ...] = ()

    @property
    def permuted(self) -> NDArray[np.bool_]:
        """Which parameters belong to a permutation [parameters]."""
        found = np.zeros(len(self.lower), np.bool_)
        for group in self.permutations:
            found[group] = True
        return found

    def count(self) -> float:
        """How many points there are; infinite where a parameter may be any number, or has no bounds."""
        single = ~self.permuted
        if not (self.whole | ~single).all() or self.derived[single].any():
            return math.inf
        with np.errstate(over="ignore"):
            found = float(np.prod(self.upper[single] - self.lower[single] + 1.0))
        for group in self.permutations:
            found *= math.gamma(len(group) + 1.0) if len(group) < 170 else math.inf
        return found

    def decoded(self, encoded: Floats) -> Floats:
        """Points [points, parameters] from what stands for them: a permutation is the order of its numbers.

        Bean, “Genetic algorithms and random keys for sequencing and optimization”, ORSA Journal on Computing 6 (1994).
        """
        found = np.where(self.whole, np.round(encoded), encoded)
        for group in self.permutations:
            found[:, group] = np.argsort(np.argsort(encoded[:, group], axis=1, kind="stable"), axis=1) + 1.0
        return np.where(self.permuted, found, np.clip(found, self.lower, self.upper)) + 0.0


def box_of(flat: FlatModel, discrete: Discrete | None, start: Floats) -> Box:
    """The box of a model: its bounds, and where one is missing a wide one around the start [parameters]."""
    whole = np.zeros(len(start), np.bool_) if discrete is None else discrete.whole
    reach = _WIDE * np.maximum(1.0, np.abs(start))
    lower = np.where(np.isfinite(flat.lower), flat.lower, np.minimum(start, flat.upper) - reach)
    upper = np.where(np.isfinite(flat.upper), flat.upper, np.maximum(start, flat.lower) + reach)
    derived = ~(np.isfinite(flat.lower) & np.isfinite(flat.upper))
    lower, upper = np.where(whole, np.ceil(lower), lower), np.where(whole, np.floor(upper), upper)
    return Box(lower, upper, derived, whole, () if discrete is None else discrete.permutations)


@dataclass(slots=True)
class Best:
    """The best point that was evaluated so far; `tolerance` is how much its constraints may be violated, relatively."""

    population: Population
    box: Box
    tolerance: float = HOLDS
    x: Floats | None = None
    energy: float = math.inf

    def energies(self, points: Floats) -> Floats:
        """What has to become small [points]: the objective, or a large multiple of the violation."""
        objectives, violations = self.population.objectives(points)
        flat = self.population.flat
        outside = np.maximum(flat.lower - points, 0.0) + np.maximum(points - flat.upper, 0.0)
        violations = violations + np.where(outside > HOLDS, outside, 0.0).sum(axis=1)
        energies = np.where(violations > self.tolerance, _INFEASIBLE * violations, objectives)
        place = int(np.argmin(energies))
        if self.x is None or energies[place] < self.energy:
            self.x, self.energy = points[place].copy(), float(energies[place])
        return energies

    @property
    def feasible(self) -> bool:
        """Whether a point within the constraints is known."""
        return self.energy < _INFEASIBLE * self.tolerance

    def point(self) -> Point:
        """The best point, evaluated by the compiled programs themselves."""
        assert self.x is not None
        return self.population.flat.at(self.x)


def infeasible(flat: FlatModel, point: Point) -> TrainingError:
    """The error for a search that has met no point within the constraints: it names the one that is violated most."""
    violated = flat.violations(point.residuals)
    if not violated.any():
        return TrainingError(
            "no whole numbers within the bounds meet the constraints",
            cell=flat.model.problem.loss,
            remedy="Change a bound, or allow other numbers",
        )
    worst = int(np.argmax(violated / flat.magnitudes))
    label = flat.constraints.labels[worst]
    return TrainingError(
        f"no point that meets all constraints was found: in the best, {label} is violated by {violated[worst]:.6g}",
        cell=label.cell,
        remedy="Loosen a constraint, give bounds, or start from other values",
    )


def meets(point: Point) -> bool:
    """Whether a point can be calculated and meets all constraints."""
    return point.finite and point.excess <= HOLDS
