"""Convex models with whole numbers: linear models that touch them from below, until they meet.

Duran and Grossmann, “An outer-approximation algorithm for a class of mixed-integer nonlinear programs”, Mathematical
Programming 36 (1986). A convex function lies above each of its tangents. HiGHS finds the best point of the tangents,
which is not worse than any point of the model; there, and where the other numbers are best for its whole ones, new
tangents are added.
"""

from __future__ import annotations

import math
import time
from collections.abc import Generator
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import scipy  # type: ignore[import-untyped]  # its parts are imported when they are used
import torch
from numpy.typing import NDArray

from sgdsheet.errors import SgdSheetError, TrainingError
from sgdsheet.problem.definition import Direction
from sgdsheet.train.constrained.constraints import Bounds, Discrete
from sgdsheet.train.constrained.flat_functions import FlatModel, Floats, Point, objective_alone
from sgdsheet.train.constrained.solve import solve
from sgdsheet.train.discrete.conflict import excluding
from sgdsheet.train.discrete.highs import INFEASIBLE, OPTIMAL, STOPPED, IntegerProgram, in_thread, lowest_cost
from sgdsheet.train.discrete.incumbent import Incumbent
from sgdsheet.train.discrete.integer_linear import coefficients, with_permutation
from sgdsheet.train.discrete.looks import OUT_OF_TIME, PROVED, UNPROVED, Limits, Look, in_words

_STEPS = 500
"""Steps of descent to the best other numbers for some whole ones, at most."""

_ROUNDING = 1e-6
"""Differences from the best possible that the tolerances of HiGHS explain, as a share of the scale of the objective."""

_MOST_IDLE = 3
"""Rounds with whole numbers met before that bring nothing, after which there are no more."""


def approximate(
    flat: FlatModel, discrete: Discrete, linear: NDArray[np.bool_], limits: Limits
) -> Generator[Look, None, None]:
    """The best point of a convex model with whole numbers; the model holds the best one so far at every yield.

    The objective and the inequalities are convex, and the equalities linear. `linear` [residuals] tells which residuals
    are. Raises TrainingError if no point meets the constraints.
    """
    yield from _Approximation(flat, discrete, linear, limits).run()


@dataclass(slots=True)
class _Approximation(Incumbent):
    linear: NDArray[np.bool_]
    limits: Limits
    start: Floats = field(init=False)
    ends: float = field(init=False)
    lowest: float = -math.inf
    """What no objective can be lower than."""
    scale: float = 1.0
    relaxed: Floats | None = None
    """The best point without regard to whole numbers; half-way to it tangents lie deeper."""
    tangents: list[tuple[Floats, float, float, int]] = field(default_factory=list)
    """Rows of tangents: their gradients [parameters], the factor of the scaled objective, the upper limit, and the
    place of the residual (-1: of the objective)."""
    met: set[bytes] = field(default_factory=set)
    """The whole numbers of the points that HiGHS has found so far."""

    def __post_init__(self) -> None:
        self.start = self.flat.get()
        self.ends = time.monotonic() + self.limits.seconds

    def run(self) -> Generator[Look, None, None]:
        try:
            self.offer(self.rounded(self.start))
            relaxed = self._descended(self.start, self.flat.lower, self.flat.upper)
            if relaxed is None:
                relaxed = self.flat.at(self.flat.clipped(self.start))
            self.relaxed = relaxed.x
            self.scale = self._scale_of(relaxed)
            self._touch(relaxed)
            outcome, reason = yield from self._rounds()
        except TrainingError:
            self.best = None
            raise
        finally:
            self.flat.set(self.start if self.best is None else self.best.x)
        yield replace(self._look(), outcome=outcome, reason=reason)

    def _look(self) -> Look:
        point = self.best if self.best is not None else self.flat.at(self.start)
        self.flat.set(point.x)
        bound = self._as_loss(self.lowest) if math.isfinite(self.lowest) else None
        return Look(point.loss, point.violation, bound)

    def _as_loss(self, objective: float) -> float:
        return -objective if self.flat.model.problem.direction is Direction.MAXIMISE else objective

    # --- rounds -------------------------------------------------------------------------------------------

    def _rounds(self) -> Generator[Look, None, tuple[str, str]]:
        frame, idle = self._frame(), 0
        while True:
            left = self.ends - time.monotonic()
            if left <= 0:
                return OUT_OF_TIME, self._said(f"after {self.limits.seconds:g} seconds")
            result = yield from self._master(frame, left)
            if result.status not in (OPTIMAL, STOPPED) or (result.status == OPTIMAL and result.x is None):
                return self._without_master(frame, result.status)
            before = (self.lowest, self._lowest_known())
            lowest = lowest_cost(self._program(frame), result)
            self.lowest = max(self.lowest, lowest * self.scale) if lowest is not None else self.lowest
            if result.x is not None:
                self._try(np.asarray(result.x)[: len(self.start)])
            if self._met():
                return self._proved()
            seen = result.x is None or not self._is_new(np.asarray(result.x))
            idle = idle + 1 if seen and before == (self.lowest, self._lowest_known()) else 0
            if idle >= _MOST_IDLE and self.best is not None:
                return UNPROVED, self._said("as near as tangents come")
            yield self._look()

    def _is_new(self, x: Floats) -> bool:
        """Whether these whole numbers have not been met before."""
        key = np.round(x[: len(self.start)][self.discrete.whole]).tobytes()
        before = len(self.met)
        self.met.add(key)
        return len(self.met) > before

    def _lowest_known(self) -> float:
        return self.best.objective if self.best is not None else math.inf

    def _try(self, x: Floats) -> None:
        """Take up a point of the tangents: its whole numbers with the best others, and new tangents there."""
        point = self.flat.at(self.rounded(x))
        self._touch(self.flat.at(self.flat.clipped(x)))
        if self.relaxed is not None:
            self._touch(self.flat.at((self.flat.clipped(x) + self.relaxed) / 2))
        self.offer(point.x)
        if self.discrete.whole.all():
            return
        whole = self.discrete.whole
        lower, upper = np.where(whole, point.x, self.flat.lower), np.where(whole, point.x, self.flat.upper)
        found = self._descended(point.x, lower, upper)
        if found is not None:
            self._touch(found)
            self.offer(np.where(whole, point.x, found.x))

    def _met(self) -> bool:
        if self.best is None:
            return False
        gap = self.best.objective - self.lowest
        allowed = max(_ROUNDING * self.scale, 1e-9 * abs(self.best.objective))
        return gap <= max(allowed, self.limits.gap * abs(self.best.objective))

    def _proved(self) -> tuple[str, str]:
        assert self.best is not None
        exact = self.best.objective - self.lowest <= max(_ROUNDING * self.scale, 1e-9 * abs(self.best.objective))
        if exact:
            return PROVED, "proved by outer approximation (HiGHS): the model is convex"
        return UNPROVED, self._said(f"which the gap of {100 * self.limits.gap:g} % allows")

    def _said(self, more: str) -> str:
        if self.best is None or not math.isfinite(self.lowest):
            return more
        return f"{in_words(self.best.loss, self._as_loss(self.lowest))}, {more}"

    def _without_master(self, frame: IntegerProgram, status: int) -> tuple[str, str]:
        """No point of the tangents: there is none of the model either, or the rounding of tangents has cut it off."""
        if self.best is not None:
            return UNPROVED, "the bound was lost by rounding"
        if status == INFEASIBLE:
            owners = np.full(frame.rows.shape[0], -1)
            linear = np.flatnonzero(self.linear)
            owners[: len(linear)] = linear
            owners = np.append(owners, [place for *_, place in self.tangents]).astype(np.int64)
            raise excluding(self.flat, self.discrete, self._program(frame), owners)
        raise TrainingError(
            "the linear model that bounds this one has no limit",
            cell=self.flat.model.problem.loss,
            remedy="Give bounds to the parameters",
        )

    # --- the tangents -------------------------------------------------------------------------------------

    def _scale_of(self, relaxed: Point) -> float:
        """The size of the objective's gradients: what tangents are divided by, for HiGHS's tolerances."""
        gradients = [self.flat.gradient(x, objective_alone)[1] for x in (relaxed.x, self.flat.clipped(self.start))]
        size = max(float(np.abs(gradient).max(initial=0.0)) for gradient in gradients)
        size = max(size, 1e-3 * abs(relaxed.objective))
        return 2.0 ** math.frexp(size)[1] if size > 0 and math.isfinite(size) else 1.0

    def _touch(self, point: Point) -> None:
        """Add the tangents of the objective and of the constraints that are not linear, at a point."""
        if not point.finite:
            return
        value, gradients = self.flat.gradient(point.x, objective_alone)
        if np.isfinite(gradients).all():
            gradients = gradients / self.scale
            self.tangents.append((gradients, -1.0, float(gradients @ point.x) - value / self.scale, -1))
        if not self.linear.all():
            rows = coefficients(self.flat)
            for place in np.flatnonzero(~self.linear):
                row = np.asarray(rows[[place], :].todense()).reshape(-1)
                limit = float(row @ point.x) - float(point.residuals[place])
                self.tangents.append((row, 0.0, limit, int(place)))

    def _frame(self) -> IntegerProgram:
        """The linear constraints. Behind the parameters stands the scaled objective, the variable to be minimised."""
        flat, count = self.flat, len(self.start)
        origin = flat.clipped(np.zeros(count))
        residuals = flat.at(origin).residuals
        rows = coefficients(flat)
        limits = rows @ origin - residuals
        low = np.where(np.arange(flat.count) < flat.split, -np.inf, limits)
        kept = self.linear
        wider = scipy.sparse.hstack([rows[kept], scipy.sparse.csr_array((int(kept.sum()), 1))], format="csr")
        found = IntegerProgram(
            count,
            np.append(np.zeros(count), 1.0),
            0.0,
            scipy.sparse.csr_array(wider),
            low[kept],
            limits[kept],
            np.append(flat.lower, -np.inf),
            np.append(flat.upper, np.inf),
            np.append(self.discrete.whole, False),
        )
        for group in self.discrete.permutations:
            found = with_permutation(found, group)
        return found

    def _program(self, frame: IntegerProgram) -> IntegerProgram:
        """The linear constraints with all tangents so far."""
        width, count = len(frame.costs), len(self.start)
        extra = np.zeros((len(self.tangents), width))
        for number, (gradients, factor, _, _) in enumerate(self.tangents):
            extra[number, :count], extra[number, count] = gradients, factor
        high = np.array([limit for _, _, limit, _ in self.tangents])
        return replace(
            frame,
            rows=scipy.sparse.csr_array(scipy.sparse.vstack([frame.rows, scipy.sparse.csr_array(extra)], format="csr")),
            low=np.append(frame.low, np.full(len(high), -np.inf)),
            high=np.append(frame.high, high),
        )

    def _master(self, frame: IntegerProgram, seconds: float) -> Generator[Look, None, Any]:
        running = in_thread(self._program(frame), seconds, self.limits.gap)
        while True:
            try:
                next(running)
            except StopIteration as ended:
                return ended.value
            yield self._look()

    # --- points -------------------------------------------------------------------------------------------

    def _descended(self, x: Floats, lower: Floats, upper: Floats) -> Point | None:
        """The optimum between bounds [parameters] without regard to whole numbers; None if there is none."""
        flat = self.flat
        dtype = flat.constraints.bounds.lower.dtype
        bounds = Bounds(torch.from_numpy(lower.copy()).to(dtype), torch.from_numpy(upper.copy()).to(dtype))
        flat.set(np.clip(x, lower, upper))
        try:
            for _ in solve(flat.model, replace(flat.constraints, bounds=bounds, discrete=None), max_steps=_STEPS):
                if time.monotonic() >= self.ends:
                    break
        except SgdSheetError:
            return None
        return flat.at(np.clip(flat.get(), lower, upper))
