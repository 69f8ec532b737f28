"""Kinks in functions that are not linear: a linear programme at each point, within a trust region, and Newton's step.

Fletcher and Sainz de la Maza, “Nonlinear programming and nonsmooth optimization by successive linear programming”,
Mathematical Programming 43 (1989); for minimax and sums of absolute values it is Madsen's method (1975). Where as many
parts meet as there are parameters, linear steps converge quadratically; elsewhere the step along the kinks does, with
the parts held together that the linear programme has found to meet (`kink_newton`).

Most parts of kinks are far from being met: a linear programme begins with those that are near, and takes up what its
solution violates until nothing is violated.
"""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass

import numpy as np
import scipy  # type: ignore[import-untyped]  # its parts are imported when they are used
from numpy.typing import NDArray

from sgdsheet.train.constrained.flat_functions import Floats, Point, objective_alone
from sgdsheet.train.constrained.kink_newton import Prices, step_along_kinks
from sgdsheet.train.constrained.kinkless_model import KinklessModel

_STATIONARY = 1e-10
"""What a linear programme may still gain within the whole trust region, as a share of the objective, at an optimum."""

_SMALLEST_RADIUS = 1e-9
_MOST_FAILURES = 12
"""Steps in a row that gain almost nothing, after which others have to finish."""

_REMEMBERED = 1e-3
"""Share of the objective at the start that counts as its size, where it has become smaller than that."""

_FIRST_PENALTY = 10.0


_TIGHT = {"presolve": False, "primal_feasibility_tolerance": 1e-10, "dual_feasibility_tolerance": 1e-10}
"""HiGHS's options. Its presolve takes a hundred times as long as the rest where one variable is in most rows."""

_NEAR = 0.05
"""How near to its variable a part of a kink is with which a linear programme begins, as a share of how they spread."""

_MOST_ADDED = 40
"""Rounds in which a linear programme takes up what was violated; then it takes all."""


@dataclass(frozen=True, slots=True)
class _Linear:
    """A linear model of the problem around a point: its derivatives there."""

    costs: Floats
    rows: scipy.sparse.csr_array
    residuals: Floats
    z: Floats
    spread: float
    """How large the variables in the place of kinks are: programmes count in it."""
    widths: Floats
    """How far each of the sheet's parameters [own] may go in a trust region of radius 1."""


@dataclass(frozen=True, slots=True)
class _Step:
    """The best step [all parameters] of a linear model within a trust region, what it gains, and the prices."""

    step: Floats
    gain: float
    prices: Prices | None = None


@dataclass(slots=True)
class SequentialLinear:
    """The method, from the sheet's present parameters. `optimal` is set when no step gains anything, to first order.

    `promised` is what the linear model still promised to gain at the end, to first order.
    """

    flat: KinklessModel
    optimal: bool = False
    promised: float = 0.0
    _penalty: float = _FIRST_PENALTY
    _largest: float = 0.0
    """How far apart the variables have been at most."""
    _first: float = 0.0
    """The objective at the start, without its sign."""
    _met: NDArray[np.bool_] | None = None
    """Which inequalities [inequalities] linear programmes have needed so far."""

    def points(self, start: Floats) -> Generator[Point, None, Point]:
        """Yields the point after every step, and returns the last. `start` are all parameters."""
        flat, radius, idle = self.flat, 1.0, 0
        here = flat.at(flat.settled(flat.clipped(start)))
        gradient = flat.gradient(here.x, objective_alone)[1]
        self._penalty = _FIRST_PENALTY * max(1.0, float(np.abs(gradient).max(initial=0.0)))
        model = self._linear(here)
        while radius > _SMALLEST_RADIUS and idle < _MOST_FAILURES:
            found = self._step(model, radius)
            merit = self._merit(here)
            size = self._size_of(merit)
            if found.gain <= _STATIONARY * size:
                break
            there = flat.at(flat.settled(flat.clipped(here.x + found.step)))
            ratio = (merit - self._merit(there)) / found.gain if there.finite else -1.0
            if ratio < 0.25:
                radius = 0.25 * min(radius, self._length(model, found.step))
            elif ratio > 0.75 and self._length(model, found.step) > 0.9 * radius:
                radius *= 2.0
            along = self._along(here, model, found)
            reached = self._merit(there) if ratio > 1e-4 else merit
            if along is not None and self._merit(along) < reached:
                there, ratio = along, 1.0
                gained = merit - self._merit(along)
                idle = idle + 1 if gained <= 1e-14 * size else 0
            elif ratio > 1e-4:
                idle = idle + 1 if found.gain < 1e-6 * size and ratio < 0.9 else 0
            if ratio > 1e-4:
                here = there
                model = self._linear(here)
                yield here
        self.promised = self._step(model, 1.0).gain
        self.optimal = here.excess <= 1e-8 and self.promised <= _STATIONARY * self._size_of(self._merit(here))
        return here

    def _along(self, here: Point, model: _Linear, found: _Step) -> Point | None:
        """The point after Newton's step along the kinks at which the linear programme ends; None if there is none."""
        if found.prices is None:
            return None
        step = step_along_kinks(self.flat, here, found.prices, model.widths)
        if step is None:
            return None
        own = self.flat.own
        x = np.concatenate([here.x[:own] + step, here.x[own:]])
        point = self.flat.at(self.flat.settled(self.flat.clipped(x)))
        return point if point.finite else None

    def _length(self, model: _Linear, step: Floats) -> float:
        return float((np.abs(step[: self.flat.own]) / model.widths).max(initial=0.0))

    def _size_of(self, merit: float) -> float:
        """The size of the objective that gains are compared with: its value, or a little of what it was at first."""
        self._first = self._first or abs(merit)
        return max(abs(merit), _REMEMBERED * self._first) or 1.0

    def _merit(self, point: Point) -> float:
        """The objective, and a price for what violates the sheet's constraints."""
        return point.objective + self._penalty * float(self.flat.own_violations(point.residuals).sum())

    def _linear(self, here: Point) -> _Linear:
        flat, own = self.flat, self.flat.own
        rows = flat.sparse_jacobian(here.x)
        costs = flat.gradient(here.x, objective_alone)[1]
        columns = scipy.sparse.linalg.norm(rows[:, :own], axis=0) if rows.shape[0] else np.zeros(own)
        kinks = np.abs(here.x[own:])
        spread = float(np.linalg.norm(kinks)) if len(kinks) else 1.0
        self._largest = max(self._largest, spread)
        spread = max(spread, 1e-8 * self._largest) or 1.0
        reach = np.where(columns > 0, spread / np.maximum(columns, 1e-300), 1.0)
        sizes = np.abs(here.x[:own])
        widths = np.maximum(np.minimum(reach, 1e3 * (1 + sizes)), 1e-6 * sizes)
        typical = max(float(kinks.mean()) if len(kinks) else 1.0, 1e-8 * self._largest) or 1.0
        return _Linear(costs, rows, here.residuals, here.x, typical, widths)

    # --- linear programmes --------------------------------------------------------------------------------

    def _step(self, model: _Linear, radius: float) -> _Step:
        """The best step of the linear model within the trust region."""
        split = self.flat.split
        chosen = self._first_rows(model)
        for _ in range(_MOST_ADDED):
            found = self._solved(model, radius, np.flatnonzero(chosen))
            if found is None:
                break
            above = model.rows[:split] @ found.step + model.residuals[:split]
            left = ~chosen & (above > 1e-11 * (model.spread + np.abs(model.residuals[:split])))
            if not left.any():
                self._met = chosen
                return found
            chosen |= left & (above >= 0.1 * above[left].max())
        return self._solved(model, radius, np.arange(split)) or _Step(np.zeros(len(model.z)), 0.0)

    def _first_rows(self, model: _Linear) -> NDArray[np.bool_]:
        """The inequalities [inequalities] with which a linear programme begins: those that are nearly met, and others
        that were needed before."""
        split = self.flat.split
        near = model.residuals[:split]
        size = float(np.abs(near).mean()) if split else 0.0
        found = self.flat.own_rows()[:split] | (near >= -_NEAR * size)
        if self._met is not None and self._met.sum() < split:
            found |= self._met
        return np.asarray(found)

    def _solved(self, model: _Linear, radius: float, chosen: NDArray[np.int64]) -> _Step | None:
        """The best step of the linear model, as far as some of its inequalities go; None if HiGHS has none."""
        flat, own, split = self.flat, self.flat.own, self.flat.split
        count = len(model.z)
        lower, upper = flat.lower - model.z, flat.upper - model.z
        lower[:own] = np.maximum(lower[:own], -radius * model.widths)
        upper[:own] = np.minimum(upper[:own], radius * model.widths)
        sheet = flat.own_rows()  # the constraints of the sheet may be violated, at a price
        used = np.concatenate([chosen, np.arange(split, flat.count)])
        columns = np.concatenate([model.widths, np.full(count - own, model.spread)])
        rows = 1 / np.where(sheet, flat.magnitudes, model.spread)[used]
        costs = model.costs * columns
        size = float(np.abs(costs).max(initial=0.0)) or 1.0
        matrix = scipy.sparse.diags_array(rows) @ model.rows[used] @ scipy.sparse.diags_array(columns)
        right = -model.residuals[used] * rows
        loose, tight = np.flatnonzero(sheet[chosen]), np.arange(flat.count - split)
        slack = len(loose) + 2 * len(tight)
        above = _columns(len(chosen), loose, -1.0, slack, 0)
        equal = _columns(len(tight), tight, 1.0, slack, len(loose)) + _columns(
            len(tight), tight, -1.0, slack, len(loose) + len(tight)
        )
        own_rows = np.concatenate([loose, *(2 * [len(chosen) + tight])])
        result = scipy.optimize.linprog(
            np.concatenate([costs, self._penalty / rows[own_rows]]) / size,
            A_ub=scipy.sparse.hstack([matrix[: len(chosen)], above], format="csr") if len(chosen) else None,
            b_ub=right[: len(chosen)] if len(chosen) else None,
            A_eq=scipy.sparse.hstack([matrix[len(chosen) :], equal], format="csr") if len(tight) else None,
            b_eq=right[len(chosen) :] if len(tight) else None,
            bounds=np.column_stack(
                [
                    np.concatenate([np.minimum(lower, 0.0) / columns, np.zeros(slack)]),
                    np.concatenate([np.maximum(upper, 0.0) / columns, np.full(slack, np.inf)]),
                ]
            ),
            method="highs",
            options=_TIGHT,
        )
        if result.status != 0:
            return None
        prices = np.zeros(flat.count)
        marginals = [result.ineqlin.marginals] if len(chosen) else []
        marginals += [result.eqlin.marginals] if len(tight) else []
        prices[used] = -np.concatenate([*marginals, np.zeros(0)]) * rows * size
        limits = (flat.lower - model.z >= lower - 1e-15), (flat.upper - model.z <= upper + 1e-15)
        low = np.where(limits[0], np.maximum(result.lower.marginals[:count], 0.0), 0.0) * size / columns
        high = np.where(limits[1], np.maximum(-result.upper.marginals[:count], 0.0), 0.0) * size / columns
        now = self._penalty * float(flat.own_violations(model.residuals).sum())
        step = np.asarray(result.x[:count]) * columns
        return _Step(step, now - float(result.fun) * size, Prices(prices, low, high))


def _columns(rows: int, places: np.ndarray, value: float, width: int, first: int) -> scipy.sparse.csr_array:
    """A matrix [rows, width] with one number in each of these rows, one column after the other from `first` on."""
    entries = (np.full(len(places), value), (places, first + np.arange(len(places))))
    return scipy.sparse.csr_array(scipy.sparse.coo_array(entries, shape=(rows, width)))
