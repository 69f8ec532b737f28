"""Kinks in functions that are not linear: a linear programme at each point, within a trust region.

Fletcher and Sainz de la Maza, “Nonlinear programming and nonsmooth optimization by successive linear programming”,
Mathematical Programming 43 (1989); for minimax and sums of absolute values it is Madsen's method (1975). Where as many
parts meet as there are parameters, it converges quadratically; elsewhere other methods have to finish.
"""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass

import numpy as np
import scipy  # type: ignore[import-untyped]  # its parts are imported when they are used

from sgdsheet.train.constrained.flat_functions import Floats, Point, objective_alone
from sgdsheet.train.constrained.kinkless_model import KinklessModel

_STATIONARY = 1e-10
"""What a linear programme may still gain within the whole trust region, as a share of the objective, at an optimum."""

_SMALLEST_RADIUS = 1e-9
_MOST_FAILURES = 12
"""Steps in a row that gain almost nothing, after which others have to finish."""

_FIRST_PENALTY = 10.0


@dataclass(frozen=True, slots=True)
class _Linear:
    """A linear model of the problem around a point: its derivatives there."""

    costs: Floats
    rows: scipy.sparse.csr_array
    residuals: Floats
    z: Floats
    widths: Floats
    """How far each of the sheet's parameters [own] may go in a trust region of radius 1."""


@dataclass(slots=True)
class SequentialLinear:
    """The method, from the sheet's present parameters. `optimal` is set when no step gains anything, to first order."""

    flat: KinklessModel
    optimal: bool = False
    _penalty: float = _FIRST_PENALTY

    def points(self, start: Floats) -> Generator[Point, None, Point]:
        """Yields the point after every step, and returns the last. `start` are all parameters."""
        flat, radius, idle = self.flat, 1.0, 0
        here = flat.at(flat.settled(flat.clipped(start)))
        size = flat.gradient(here.x, objective_alone)[1]
        self._penalty = _FIRST_PENALTY * max(1.0, float(np.abs(size).max(initial=0.0)))
        model = self._linear(here)
        while radius > _SMALLEST_RADIUS and idle < _MOST_FAILURES:
            step, gain = self._step(model, radius)
            merit = self._merit(here)
            if gain <= _STATIONARY * (1 + abs(merit)):
                gain = gain if radius >= 1 else self._step(model, 1.0)[1]
                self.optimal = here.excess <= 1e-8 and gain <= _STATIONARY * (1 + abs(merit))
                return here
            there = flat.at(flat.settled(flat.clipped(here.x + step)))
            ratio = (merit - self._merit(there)) / gain if there.finite else -1.0
            if ratio < 0.25:
                radius = 0.25 * min(radius, self._length(model, step))
            elif ratio > 0.75 and self._length(model, step) > 0.9 * radius:
                radius *= 2.0
            if ratio > 1e-4:
                idle = idle + 1 if gain < 1e-6 * (1 + abs(merit)) and ratio < 0.9 else 0
                here = there
                model = self._linear(here)
                yield here
        return here

    def _length(self, model: _Linear, step: Floats) -> float:
        return float((np.abs(step[: self.flat.own]) / model.widths).max(initial=0.0))

    def _merit(self, point: Point) -> float:
        """The objective, and a price for what violates the sheet's constraints."""
        return point.objective + self._penalty * float(self.flat.own_violations(point.residuals).sum())

    def _linear(self, here: Point) -> _Linear:
        flat, own = self.flat, self.flat.own
        rows = flat.sparse_jacobian(here.x)
        costs = flat.gradient(here.x, objective_alone)[1]
        columns = scipy.sparse.linalg.norm(rows[:, :own], axis=0) if rows.shape[0] else np.zeros(own)
        spread = float(np.linalg.norm(here.x[own:])) if len(here.x) > own else 1.0
        reach = np.where(columns > 0, max(spread, 1e-8) / np.maximum(columns, 1e-300), 1.0)
        widths = np.maximum(np.minimum(reach, 1e3 * (1 + np.abs(here.x[:own]))), 1e-6 * (1 + np.abs(here.x[:own])))
        return _Linear(costs, rows, here.residuals, here.x, widths)

    def _step(self, model: _Linear, radius: float) -> tuple[Floats, float]:
        """The best step [all parameters] of the linear model within the trust region, and what it gains there."""
        flat, own, split = self.flat, self.flat.own, self.flat.split
        lower, upper = flat.lower - model.z, flat.upper - model.z
        lower[:own] = np.maximum(lower[:own], -radius * model.widths)
        upper[:own] = np.minimum(upper[:own], radius * model.widths)
        sheet = flat.own_rows()  # the constraints of the sheet may be violated, at a price
        loose, tight = np.flatnonzero(sheet[:split]), np.arange(split, flat.count)
        slack = len(loose) + 2 * len(tight)
        above = _columns(split, loose, -1.0, slack, 0)
        equal = _columns(len(tight), np.arange(len(tight)), 1.0, slack, len(loose)) + _columns(
            len(tight), np.arange(len(tight)), -1.0, slack, len(loose) + len(tight)
        )
        result = scipy.optimize.linprog(
            np.concatenate([model.costs, np.full(slack, self._penalty)]),
            A_ub=scipy.sparse.hstack([model.rows[:split], above], format="csr") if split else None,
            b_ub=-model.residuals[:split] if split else None,
            A_eq=scipy.sparse.hstack([model.rows[split:], equal], format="csr") if len(tight) else None,
            b_eq=-model.residuals[split:] if len(tight) else None,
            bounds=np.column_stack(
                [
                    np.concatenate([np.minimum(lower, 0.0), np.zeros(slack)]),
                    np.concatenate([np.maximum(upper, 0.0), np.full(slack, np.inf)]),
                ]
            ),
            method="highs",
        )
        if result.status != 0:
            return np.zeros(len(model.z)), 0.0
        now = self._penalty * float(flat.own_violations(model.residuals).sum())
        return np.asarray(result.x[: len(model.z)]), now - float(result.fun)


def _columns(rows: int, places: np.ndarray, value: float, width: int, first: int) -> scipy.sparse.csr_array:
    """A matrix [rows, width] with one number in each of these rows, one column after the other from `first` on."""
    entries = (np.full(len(places), value), (places, first + np.arange(len(places))))
    return scipy.sparse.csr_array(scipy.sparse.coo_array(entries, shape=(rows, width)))
