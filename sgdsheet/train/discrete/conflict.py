"""Which constraints of a linear model exclude each other: a set of them of which none can be left out.

Chinneck and Dravnieks, “Locating minimal infeasible constraint sets in linear programs”, ORSA Journal on Computing 3
(1991): the deletion filter.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, field, replace

import numpy as np
import scipy  # type: ignore[import-untyped]  # its parts are imported when they are used
from numpy.typing import NDArray

from sgdsheet.errors import TrainingError
from sgdsheet.train.constrained.constraints import Discrete
from sgdsheet.train.constrained.flat_functions import FlatModel, Floats
from sgdsheet.train.constrained.impossible import excluded
from sgdsheet.train.discrete.highs import IntegerProgram, highs, is_infeasible
from sgdsheet.train.discrete.points import infeasible

_SECONDS, _SECONDS_EACH = 10.0, 2.0
"""Seconds for all attempts to leave something out, and for one."""

_MOST_BOUNDS = 40
"""Parameters whose bounds are left out one by one, at most."""


def excluding(
    flat: FlatModel, discrete: Discrete, programme: IntegerProgram, owners: NDArray[np.int64]
) -> TrainingError:
    """The error for a linear programme that has no point: it names constraints and bounds that exclude each other.

    `owners` [rows] are the places of the residuals that the rows stand for, and -1 where a row stands for none.
    """
    return _Conflict(flat, discrete, programme, owners).error()


@dataclass(slots=True)
class _Conflict:
    flat: FlatModel
    discrete: Discrete
    programme: IntegerProgram
    owners: NDArray[np.int64]
    ends: float = field(init=False)

    def __post_init__(self) -> None:
        self.ends = time.monotonic() + _SECONDS

    def error(self) -> TrainingError:
        loosest = self._loosest() if self.flat.count else None
        if loosest is None:
            return infeasible(self.flat, self.flat.at(self.flat.clipped(np.zeros(len(self.flat.lower)))))
        whole = not is_infeasible(self._other_numbers(), self._left())
        programme = self.programme if whole else self._other_numbers()
        violated = self.flat.violations(self.flat.at(loosest).residuals)
        shares = violated / self.flat.magnitudes
        kept = self._kept_constraints(programme, shares)
        if not kept:
            return infeasible(self.flat, self.flat.at(loosest))
        worst = max(kept, key=lambda place: shares[place])
        others = [place for place in kept if place != worst]
        return excluded(
            self.flat,
            worst,
            others,
            [self.flat.cells[place] for place in self._kept_bounds(programme, kept)],
            float(violated[worst]),
            whole=whole,
        )

    def _left(self) -> float:
        return max(min(_SECONDS_EACH, self.ends - time.monotonic()), 0.01)

    def _other_numbers(self) -> IntegerProgram:
        """The programme where numbers need not be whole."""
        return replace(self.programme, whole=np.zeros(len(self.programme.whole), np.bool_))

    def _loosest(self) -> Floats | None:
        """The point [parameters] where the sum of the violations, relative to their numbers, is smallest."""
        flat, programme = self.flat, self.programme
        rows = len(self.owners)
        sizes = np.where(self.owners >= 0, flat.magnitudes[np.maximum(self.owners, 0)], 0.0)
        slack = scipy.sparse.diags_array(sizes, format="csr")
        count = len(programme.costs)
        loosened = IntegerProgram(
            programme.parameters,
            np.concatenate([np.zeros(count), np.ones(2 * rows)]),
            0.0,
            scipy.sparse.csr_array(scipy.sparse.hstack([programme.rows, -slack, slack], format="csr")),
            programme.low,
            programme.high,
            np.append(programme.lower, np.zeros(2 * rows)),
            np.append(programme.upper, np.full(2 * rows, np.inf)),
            np.append(programme.whole, np.zeros(2 * rows, np.bool_)),
        )
        result = highs(loosened, {"time_limit": _SECONDS})
        if isinstance(result, Exception) or result.x is None:
            return None
        found = np.asarray(result.x)[: programme.parameters]
        return flat.clipped(np.where(self.discrete.whole, np.round(found), found))

    def _kept_constraints(self, programme: IntegerProgram, shares: Floats) -> list[int]:
        """The constraints, by the places of their residuals, without any one of which there would be a point."""
        kept = np.ones(self.flat.count, np.bool_)
        for place in np.argsort(shares, kind="stable"):  # those that hold are left out first
            kept[place] = False
            if time.monotonic() >= self.ends or not is_infeasible(self._with(programme, kept), self._left()):
                kept[place] = True
        return [int(place) for place in np.flatnonzero(kept)]

    def _with(self, programme: IntegerProgram, kept: NDArray[np.bool_]) -> IntegerProgram:
        chosen = (self.owners < 0) | kept[np.maximum(self.owners, 0)]
        return replace(programme, rows=programme.rows[chosen], low=programme.low[chosen], high=programme.high[chosen])

    def _kept_bounds(self, programme: IntegerProgram, kept: list[int]) -> list[int]:
        """The parameters without whose bounds the constraints that are kept would have a point."""
        chosen = np.zeros(self.flat.count, np.bool_)
        chosen[kept] = True
        programme = self._with(programme, chosen)
        read = np.zeros(len(programme.costs), np.bool_)
        read[programme.rows.indices] = True
        limited = np.isfinite(programme.lower) | np.isfinite(programme.upper)
        own = np.arange(len(read)) < programme.parameters
        places = np.flatnonzero(read & limited & own)
        without = self._unbounded(programme, places)
        if is_infeasible(without, self._left()):
            return []
        found = [int(place) for place in places]
        for place in places if len(places) <= _MOST_BOUNDS else ():
            attempt = self._unbounded(programme, np.array([place]))
            if time.monotonic() < self.ends and is_infeasible(attempt, self._left()):
                programme = attempt
                found.remove(int(place))
        return found

    def _unbounded(self, programme: IntegerProgram, places: NDArray[np.int64]) -> IntegerProgram:
        lower, upper = programme.lower.copy(), programme.upper.copy()
        lower[places], upper[places] = -np.inf, np.inf
        return replace(programme, lower=lower, upper=upper)
