"""Linear models with whole numbers, solved by branch and bound."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Generator
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import scipy  # type: ignore[import-untyped]  # its parts are imported when they are used
import torch
from numpy.typing import NDArray

from sgdsheet.errors import TrainingError
from sgdsheet.problem.definition import Direction
from sgdsheet.train.constrained.constraints import Discrete
from sgdsheet.train.constrained.exact import linear_program
from sgdsheet.train.constrained.flat_functions import FlatModel, Floats
from sgdsheet.train.constrained.impossible import endless_way, unlimited
from sgdsheet.train.discrete.conflict import excluding
from sgdsheet.train.discrete.highs import (
    INFEASIBLE,
    OPTIMAL,
    STOPPED,
    UNBOUNDED,
    IntegerProgram,
    cost_factor,
    highs,
    in_thread,
    lowest_cost,
    narrowed,
    with_whole_fixed,
)
from sgdsheet.train.discrete.incumbent import Incumbent
from sgdsheet.train.discrete.looks import OUT_OF_TIME, PROVED, UNPROVED, Limits, Look, in_words
from sgdsheet.train.discrete.points import infeasible

_ROWS_AT_ONCE = 256
"""Constraints of which the coefficients are calculated in one backward pass."""

_FIRST_SLICE, _LONGER = 2.0, 3.0
"""Seconds of the first attempt, and how many times longer each next one is: HiGHS shows nothing on its way."""

_NODES, _MORE_NODES, _MOST_NODES = 1_000, 5, 25_000
"""Nodes of the first attempt where there is no time limit, how many times as many each next one has, and the last."""

_FINE, _COARSE = 1e-6, 1e-4
"""Differences of costs that HiGHS does not see, as shares of what they usually are: it is asked again without the
largest, if there are more; nothing is proved any more."""

_TOO_LARGE = 1e6
"""How many times larger than another one a factor in a constraint is that HiGHS's tolerances are not made for."""

_SECONDS_TO_BLAME = 10.0
"""Seconds for finding out whether constraints or the loss make a model impossible."""


def solve_integer_linear(
    flat: FlatModel, discrete: Discrete, limits: Limits, programme: IntegerProgram
) -> Generator[Look, None, None]:
    """The best point of a linear model with whole numbers; the model holds the best one so far at every yield.

    `programme` is the model as a linear programme, as `programme_of` has it, or one with more variables. Raises
    TrainingError if no point meets the constraints, or the loss has no limit.
    """
    yield from _Search(flat, discrete, limits, programme).run()


# --- the model as a linear programme ------------------------------------------------------------------------


def programme_of(flat: FlatModel, discrete: Discrete) -> IntegerProgram:
    """The linear programme that a model is, if loss and constraints are linear.

    The coefficients are derivatives, and the constants come from the point within the bounds that is nearest to 0.
    """
    origin = flat.clipped(np.zeros(len(flat.lower)))
    base = flat.at(origin)
    slopes = _slopes(flat, flat.model)
    rows, split = coefficients(flat), flat.split
    limits = rows @ origin - base.residuals
    direction = flat.model.problem.direction
    sign = -1.0 if direction is Direction.MAXIMISE else 1.0
    found = IntegerProgram(
        len(origin),
        sign * slopes,
        sign * (base.loss - float(slopes @ origin)),
        rows,
        np.concatenate([np.full(split, -np.inf), limits[split:]]),
        limits,
        flat.lower,
        flat.upper,
        discrete.whole,
    )
    if direction is Direction.VALUE:
        found = with_distance(found, flat.model.problem.target)
    for group in discrete.permutations:
        found = with_permutation(found, group)
    return found


def _slopes(flat: FlatModel, function: Callable[[], torch.Tensor]) -> Floats:
    """The gradient [parameters] of a scalar, at the present parameters."""
    with torch.enable_grad():
        parts = torch.autograd.grad(function(), flat.tensors, materialize_grads=True)
    return np.asarray(torch.cat([part.reshape(-1).double().cpu() for part in parts]).numpy())


def coefficients(flat: FlatModel) -> scipy.sparse.csr_array:
    """The derivatives of the residuals [residuals, parameters], at the present parameters."""
    columns = sum(tensor.numel() for tensor in flat.tensors)
    if not flat.count:
        return scipy.sparse.csr_array((0, columns))
    with torch.enable_grad():
        residuals = flat.constraints.residuals()
    found = []
    for start in range(0, flat.count, _ROWS_AT_ONCE):
        size = min(_ROWS_AT_ONCE, flat.count - start)
        chosen = torch.zeros(size, flat.count, dtype=residuals.dtype)
        chosen[torch.arange(size), start + torch.arange(size)] = 1.0
        parts = torch.autograd.grad(
            residuals, flat.tensors, chosen, retain_graph=True, is_grads_batched=True, materialize_grads=True
        )
        dense = torch.cat([part.reshape(size, -1).double().cpu() for part in parts], dim=1)
        found.append(scipy.sparse.csr_array(dense.numpy()))
    return scipy.sparse.vstack(found, format="csr")


def with_distance(found: IntegerProgram, target: float) -> IntegerProgram:
    """Minimise the distance of the loss from a target: a variable that is not below it on either side."""
    slopes, offset = found.costs, found.constant - target
    extra = scipy.sparse.csr_array(np.stack([slopes, -slopes]))
    return replace(
        found,
        costs=np.append(np.zeros(len(slopes)), 1.0),
        constant=0.0,
        rows=_bordered(found.rows, 1, scipy.sparse.hstack([extra, scipy.sparse.csr_array([[-1.0], [-1.0]])])),
        low=np.append(found.low, [-np.inf, -np.inf]),
        high=np.append(found.high, [-offset, offset]),
        lower=np.append(found.lower, 0.0),
        upper=np.append(found.upper, np.inf),
        whole=np.append(found.whole, False),
    )


def with_permutation(found: IntegerProgram, group: NDArray[np.int64]) -> IntegerProgram:
    """Variables that are 1 where a parameter of the group has a number, and 0 elsewhere: each number once."""
    size, before = len(group), len(found.costs)
    values = np.arange(1.0, size + 1)
    one = scipy.sparse.csr_array(np.ones((1, size)))
    eye = scipy.sparse.eye_array(size, format="csr")
    places = scipy.sparse.csr_array((-np.ones(size), (np.arange(size), group)), shape=(size, before))
    rows = [
        scipy.sparse.hstack([places, scipy.sparse.kron(eye, values[None, :])]),  # parameter i = sum of k z_ik
        scipy.sparse.hstack([scipy.sparse.csr_array((size, before)), scipy.sparse.kron(eye, one)]),  # one number each
        scipy.sparse.hstack([scipy.sparse.csr_array((size, before)), scipy.sparse.kron(one, eye)]),  # each number once
    ]
    right = np.concatenate([np.zeros(size), np.ones(2 * size)])
    count = size * size
    return replace(
        found,
        costs=np.append(found.costs, np.zeros(count)),
        rows=_bordered(found.rows, count, scipy.sparse.vstack(rows)),
        low=np.append(found.low, right),
        high=np.append(found.high, right),
        lower=np.append(found.lower, np.zeros(count)),
        upper=np.append(found.upper, np.ones(count)),
        whole=np.append(found.whole, np.ones(count, np.bool_)),
    )


def _bordered(rows: scipy.sparse.csr_array, columns: int, below: Any) -> scipy.sparse.csr_array:
    """Rows with new columns of zeros, and more rows below them."""
    wider = scipy.sparse.hstack([rows, scipy.sparse.csr_array((rows.shape[0], columns))])
    return scipy.sparse.csr_array(scipy.sparse.vstack([wider, below], format="csr"))


# --- the search ---------------------------------------------------------------------------------------------


@dataclass(slots=True)
class _Search(Incumbent):
    limits: Limits
    programme: IntegerProgram
    start: Floats = field(init=False)
    bound: float | None = None
    size: float = 0.0
    """The sizes of the terms of the costs, added up, at the best point."""
    solved: IntegerProgram = field(init=False)
    """The programme that HiGHS solves: that of the model, without values that cannot be in a better point."""

    def __post_init__(self) -> None:
        self.start, self.solved = self.flat.get(), self.programme

    def run(self) -> Generator[Look, None, None]:
        flat = self.flat
        self.offer(self.rounded(self.start))
        try:
            outcome, reason = yield from self._sliced()
        except TrainingError:
            self.best = None
            raise
        finally:
            flat.set(self.start if self.best is None else self.best.x)
        if self.best is None:
            raise TrainingError(
                f"no point that meets all constraints was found {reason}",
                cell=flat.model.problem.loss,
                remedy="Raise the time limit, or loosen a constraint",
            )
        yield self._look(outcome, reason)

    def _look(self, outcome: str = "", reason: str = "") -> Look:
        point = self.best if self.best is not None else self.flat.at(self.start)
        self.flat.set(point.x)
        return Look(point.loss, point.violation, self.bound, outcome, reason)

    def _sliced(self) -> Generator[Look, None, tuple[str, str]]:
        """Solve, in attempts that get longer, as long as there is time."""
        timed = self.limits.timed
        ends, slice_, nodes = time.monotonic() + self.limits.seconds, _FIRST_SLICE, _NODES
        narrow = True
        while True:
            left = ends - time.monotonic()
            seconds = left if left < 2 * slice_ or not timed else slice_
            self.solved = self._narrowed() if narrow else self.programme
            result = yield from self._attempt(max(seconds, 0.01), None if timed else nodes)
            if result.status == INFEASIBLE and narrow and self.best is not None:
                narrow = False  # the best point holds within its tolerances only
                continue
            if result.status in (INFEASIBLE, UNBOUNDED) or (result.status != STOPPED and result.x is None):
                self._refuse(result.status)
            self._take(result)
            if result.status == OPTIMAL and self.best is None:
                raise self._not_so_in_the_sheet(np.asarray(result.x)[: self.programme.parameters])
            if result.status == OPTIMAL:
                if narrow and self._coarseness() > _FINE and cost_factor(self._narrowed()) > cost_factor(self.solved):
                    continue  # the point that was found leaves out costs beside which others were nothing
                return self._proved()
            if not timed and nodes >= _MOST_NODES and time.monotonic() < ends:
                return UNPROVED, self._after(f"after {nodes:,} nodes")
            if time.monotonic() >= ends or (timed and seconds >= left):
                return OUT_OF_TIME, self._after(f"after {self.limits.seconds:g} seconds")
            slice_, nodes = slice_ * _LONGER, nodes * _MORE_NODES
            yield self._look()

    def _narrowed(self) -> IntegerProgram:
        """The programme without values that cannot be in a better point than the best."""
        return narrowed(self.programme, self.best.objective if self.best is not None else math.inf)

    def _attempt(self, seconds: float, nodes: int | None) -> Generator[Look, None, Any]:
        running = in_thread(self.solved, seconds, self.limits.gap, nodes)
        while True:
            try:
                next(running)
            except StopIteration as ended:
                return ended.value
            yield self._look()

    def _take(self, result: Any) -> None:
        """Take up the solver's point and bound, in the units of the sheet."""
        if result.x is not None:
            self.size = float(np.abs(self.programme.costs) @ np.abs(result.x))
            self.offer(self.rounded(np.asarray(result.x)[: self.programme.parameters]))
            if not self.discrete.whole.all():
                exact = with_whole_fixed(self.programme, np.asarray(result.x))
                if exact is not None:
                    self.offer(self.rounded(exact[: self.programme.parameters]))
        lowest = lowest_cost(self.solved, result)
        self.bound = self._as_loss(lowest) if lowest is not None else self.bound

    def _as_loss(self, lowest: float) -> float:
        problem = self.flat.model.problem
        if problem.direction is Direction.MAXIMISE:
            return -lowest
        if problem.direction is Direction.VALUE:
            return problem.target + max(lowest, 0.0)
        return lowest

    def _distance(self) -> tuple[float, float]:
        """The loss and what it may be at best; of a value to be reached, the distances from it."""
        assert self.best is not None
        assert self.bound is not None
        problem = self.flat.model.problem
        if problem.direction is Direction.VALUE:
            return abs(self.best.loss - problem.target), self.bound - problem.target
        return self.best.loss, self.bound

    def _proved(self) -> tuple[str, str]:
        if self.bound is None:
            return UNPROVED, "HiGHS has given no bound"
        loss, bound = self._distance()
        if self._coarseness() > _COARSE:
            largest = float(np.abs(self.solved.costs).max())
            return UNPROVED, f"beside costs of {largest:.3g}, HiGHS does not tell apart what others cost"
        if abs(loss - bound) <= self._rounding():
            return PROVED, "proved by branch and bound (HiGHS)"
        said = f", which the gap of {100 * self.limits.gap:g} % allows" if self.limits.gap else ""
        return UNPROVED, in_words(loss, bound) + said

    def _rounding(self) -> float:
        """Differences between the sheet's loss and HiGHS's bound that rounding and its tolerances explain."""
        return 1e-7 * (self.size + abs(self.programme.constant)) + self._resolution()

    def _resolution(self) -> float:
        """Differences of costs that HiGHS does not see."""
        return 2e-6 / cost_factor(self.solved) if self.solved.costs.any() else 0.0

    def _coarseness(self) -> float:
        """Differences of costs that HiGHS does not see, as a share of what the best point costs, or a usual one."""
        costs = np.abs(self.solved.costs[self.solved.costs != 0.0])
        return self._resolution() / max(self.size, float(np.median(costs))) if len(costs) else 0.0

    def _after(self, after: str) -> str:
        if self.best is None or self.bound is None:
            return after
        return f"{in_words(*self._distance())} {after}"

    # --- what can be wrong --------------------------------------------------------------------------------

    def _not_so_in_the_sheet(self, x: Floats) -> TrainingError:
        """The error for a point [parameters] that HiGHS calls feasible, and the sheet does not.

        HiGHS takes a number for a whole one if it is nearly so: a billion times that is much.
        """
        flat = self.flat
        point = flat.at(self.rounded(x))
        worst = int(np.argmax(flat.violations(point.residuals) / flat.magnitudes)) if flat.count else -1
        factors = np.abs(self.solved.rows[[worst], :].data) if worst >= 0 else np.zeros(0)
        factors = factors[factors > 0]
        if not len(factors) or factors.max() < _TOO_LARGE * factors.min():
            return infeasible(flat, point)
        label = flat.constraints.labels[worst]
        return TrainingError(
            f"no point that meets all constraints was found, but there may be one: {label} has a factor "
            f"{factors.max():.4g}, beside which HiGHS does not tell a whole number from one that is nearly whole",
            cell=label.cell,
            remedy="Put a number there that is no larger than it has to be, or give a value that meets all constraints",
        )

    def _refuse(self, status: int) -> None:
        if status != INFEASIBLE:
            bare = replace(self.programme, costs=np.zeros(len(self.programme.costs)))
            result = highs(bare, {"time_limit": _SECONDS_TO_BLAME})
            if not isinstance(result, Exception) and result.status in (OPTIMAL, STOPPED):
                linear = linear_program(self.flat, self.start)
                raise unlimited(self.flat, endless_way(linear) if linear is not None else None)
        rows = np.arange(self.programme.rows.shape[0])
        owners = np.where(rows < self.flat.count, rows, -1)
        raise excluding(self.flat, self.discrete, self.programme, owners)
