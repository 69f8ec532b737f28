"""How far a linear programme's numbers may change before its optimum moves to other variables: from the final basis.

The textbook's sensitivity analysis (Bradley, Hax and Magnanti, Applied Mathematical Programming, 1977, chapter 3), for
variables with bounds on both sides.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import scipy  # type: ignore[import-untyped]  # its parts are imported when they are used
from numpy.typing import NDArray

from sgdsheet.train.constrained.exact import LinearProgram

Floats = NDArray[np.float64]
Booleans = NDArray[np.bool_]
Integers = NDArray[np.int64]

_MOST_ROWS, _MOST_COLUMNS = 1_000, 5_000
"""Constraints, and parameters and constraints together, up to which a basis is taken apart."""

_AT = 1e-7
"""Distance from a bound, relative to the numbers, up to which a variable is at the bound."""

_ZERO = 1e-9
"""Reduced costs below this share of the largest cost are 0."""


@dataclass(frozen=True, slots=True)
class Ranging:
    """Sensitivities of a linear programme that is minimised.

    `reduced` [parameters] is what the objective gains per unit of a parameter beyond its bound, `prices` [constraints]
    per unit of a limit. The others are how much each cost [parameters] may rise and fall before the basis is no longer
    optimal, and each limit [constraints] before it is no longer feasible: infinite where nothing limits it, NaN where
    it is not known. `degenerate` [parameters + constraints] are basic variables at a bound, the constraints by their
    slack; `alternative` [parameters + constraints] are those that can move without changing the objective.
    """

    reduced: Floats
    cost_rises: Floats
    cost_falls: Floats
    prices: Floats
    limit_rises: Floats
    limit_falls: Floats
    degenerate: Booleans
    alternative: Booleans


def ranging(program: LinearProgram, x: Floats) -> Ranging | None:
    """The sensitivities at an optimum x [parameters]; None if HiGHS does not find that optimum again."""
    count, rows = len(x), len(program.limits)
    prices = _prices(program, x)
    if prices is None:
        return None
    unknown = np.full(count, np.nan), np.full(rows, np.nan)
    nothing = np.zeros(count + rows, dtype=bool)
    if rows > _MOST_ROWS or count + rows > _MOST_COLUMNS:
        reduced = program.costs - program.rows.T @ prices
        return Ranging(reduced, unknown[0], unknown[0], prices, unknown[1], unknown[1], nothing, nothing)
    table = _Table(program, x, prices)
    basis = table.basis()
    if basis is None:
        return Ranging(table.costs_left(prices)[:count], unknown[0], unknown[0], prices, *unknown[1:] * 2,
                       nothing, nothing)  # fmt: skip
    return table.ranged(basis)


def _prices(program: LinearProgram, x: Floats) -> Floats | None:
    """What the objective gains per unit of each limit [constraints]; None if `x` is no optimum."""
    split, total = program.split, len(program.limits)
    result = scipy.optimize.linprog(
        program.costs,
        A_ub=program.rows[:split] if split else None,
        b_ub=program.limits[:split] if split else None,
        A_eq=program.rows[split:] if split < total else None,
        b_eq=program.limits[split:] if split < total else None,
        bounds=np.column_stack([program.lower, program.upper]),
        method="highs-ds",
    )
    if result.status != 0:
        return None
    size = 1 + float(np.abs(program.costs) @ np.abs(x))
    if not abs(float(program.costs @ x) - float(result.fun)) <= 1e-6 * size:
        return None
    parts = [result.ineqlin.marginals if split else [], result.eqlin.marginals if split < total else []]
    return np.concatenate([np.asarray(part, dtype=np.float64) for part in parts])


class _Table:
    """The programme with a slack per constraint: [rows | 1] · [x, slack] = limits, everything between bounds."""

    def __init__(self, program: LinearProgram, x: Floats, prices: Floats) -> None:
        rows, count = len(program.limits), len(x)
        self.count = count
        self.matrix = np.hstack([program.rows.toarray(), np.eye(rows)])
        self.costs = np.concatenate([program.costs, np.zeros(rows)])
        self.values = np.concatenate([x, program.limits - program.rows @ x])
        top = np.full(rows, np.inf)
        top[program.split :] = 0.0
        self.lower = np.concatenate([program.lower, np.zeros(rows)])
        self.upper = np.concatenate([program.upper, top])
        sizes = np.concatenate([1 + np.abs(x), 1 + np.abs(program.limits)])
        self.at_lower = self.values - self.lower <= _AT * sizes
        self.at_upper = self.upper - self.values <= _AT * sizes
        self.fixed = self.lower == self.upper
        left = self.costs_left(prices)
        self.zero = _ZERO * max(float(np.abs(self.costs).max(initial=0.0)), 1e-300)
        self.free_to_move = (np.abs(left) <= 1e3 * self.zero) & ~self.fixed

    def costs_left(self, prices: Floats) -> Floats:
        """The costs [parameters + constraints] that the prices leave: those of nonbasic variables."""
        return np.asarray(self.costs - self.matrix.T @ prices)

    def basis(self) -> Integers | None:
        """The numbers of the basic variables [constraints]; None if the point is no vertex."""
        between = np.flatnonzero(~self.at_lower & ~self.at_upper)
        chosen: list[int] = []
        for candidates in (between, np.flatnonzero(self.free_to_move), np.flatnonzero(self.fixed)):
            wanted = [int(item) for item in candidates if item not in set(chosen)]
            chosen += self._independent(chosen, wanted)
            if candidates is between and len(chosen) < len(between):
                return None  # on an edge or a face between vertices
            if len(chosen) == len(self.matrix):
                break
        return np.array(chosen, dtype=np.int64) if len(chosen) == len(self.matrix) else None

    def _independent(self, chosen: Sequence[int], wanted: Sequence[int]) -> list[int]:
        """The wanted columns that are independent of the chosen ones and of each other."""
        room = len(self.matrix) - len(chosen)
        if not wanted or not room:
            return []
        columns = self.matrix[:, list(wanted)]
        columns = columns / np.maximum(np.linalg.norm(columns, axis=0), 1e-300)
        if chosen:
            base, _ = np.linalg.qr(self.matrix[:, list(chosen)])
            columns = columns - base @ (base.T @ columns)
        _, triangle, order = scipy.linalg.qr(columns, mode="economic", pivoting=True)
        rank = int((np.abs(np.diag(triangle)) > 1e-9).sum())
        return [wanted[item] for item in order[: min(rank, room)]]

    def ranged(self, basis: Integers) -> Ranging | None:
        """The sensitivities from a basis; None if that is not optimal after all."""
        inverse = np.linalg.inv(self.matrix[:, basis])
        prices = self.costs[basis] @ inverse
        left = self.costs_left(prices)
        left[np.abs(left) <= self.zero] = 0.0
        left[basis] = 0.0
        nonbasic = np.ones(len(self.costs), dtype=bool)
        nonbasic[basis] = False
        moving = nonbasic & ~self.fixed
        wrong = moving & ((self.at_lower & (left < 0) & ~self.at_upper) | (self.at_upper & (left > 0) & ~self.at_lower))
        if wrong.any():
            return None
        rises, falls = self._cost_ranges(basis, inverse, left, nonbasic)
        up, down = self._limit_ranges(basis, inverse)
        degenerate = np.zeros(len(self.costs), dtype=bool)
        degenerate[basis] = (self.at_lower | self.at_upper)[basis]
        count = self.count
        return Ranging(left[:count], rises[:count], falls[:count], prices, up, down, degenerate, moving & (left == 0.0))

    def _cost_ranges(self, basis: Integers, inverse: Floats, left: Floats, nonbasic: Booleans) -> tuple[Floats, Floats]:
        """How much each cost may rise and fall [parameters + constraints]."""
        rises, falls = np.full(len(left), np.inf), np.full(len(left), np.inf)
        low, high = nonbasic & self.at_lower & ~self.fixed, nonbasic & self.at_upper & ~self.fixed
        falls[low & ~high], rises[high & ~low] = left[low & ~high], -left[high & ~low]
        moving = np.flatnonzero(low | high)
        rows = inverse @ self.matrix[:, moving]
        upwards = np.where(low[moving], 1.0, -1.0)
        for place, row in zip(basis.tolist(), rows * upwards, strict=True):
            reach = left[moving] * upwards  # not negative
            positive, negative = row > 1e-11, row < -1e-11
            rises[place] = float((reach[positive] / row[positive]).min(initial=np.inf))
            falls[place] = float((reach[negative] / -row[negative]).min(initial=np.inf))
        return rises, falls

    def _limit_ranges(self, basis: Integers, inverse: Floats) -> tuple[Floats, Floats]:
        """How much each limit may rise and fall [constraints]."""
        above = np.maximum(self.upper[basis] - self.values[basis], 0.0)
        below = np.maximum(self.values[basis] - self.lower[basis], 0.0)
        above[self.at_upper[basis]] = below[self.at_lower[basis]] = 0.0
        ups, downs = [], []
        for column in inverse.T:
            positive, negative = column > 1e-11, column < -1e-11
            rates, falling = column[positive], -column[negative]
            ups.append(min(_least(above[positive], rates), _least(below[negative], falling)))
            downs.append(min(_least(below[positive], rates), _least(above[negative], falling)))
        return np.array(ups, dtype=np.float64), np.array(downs, dtype=np.float64)


def _least(room: Floats, rates: Floats) -> float:
    return float((room / rates).min(initial=np.inf))
