"""Linear models with whole numbers, solved by branch and bound: HiGHS.

Huangfu and Hall, “Parallelizing the dual revised simplex method”, Mathematical Programming Computation 10 (2018).
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Generator
from dataclasses import dataclass, replace
from threading import Thread
from typing import Any

import numpy as np
import scipy  # type: ignore[import-untyped]  # its parts are imported when they are used
import torch
from numpy.typing import NDArray

from sgdsheet.errors import TrainingError
from sgdsheet.problem.definition import Direction
from sgdsheet.train.constrained.constraints import HOLDS, Discrete
from sgdsheet.train.constrained.flat_functions import FlatModel, Floats, Point
from sgdsheet.train.discrete.looks import OUT_OF_TIME, PROVED, UNPROVED, Limits, Look, in_words

_ROWS_AT_ONCE = 256
"""Constraints of which the coefficients are calculated in one backward pass."""

_FIRST_SLICE, _LONGER = 2.0, 3.0
"""Seconds of the first attempt, and how many times longer each next one is: HiGHS shows nothing on its way."""

_PATIENCE = 0.25
"""Seconds between two looks at the solver."""

_GAP = 1e-9
"""The gap at which HiGHS may stop, where none is set; its own default would be a hundred thousand times that."""

_SECONDS_TO_BLAME = 10.0
"""Seconds for finding out which constraint cannot be met."""

_OPTIMAL, _OUT_OF_TIME, _INFEASIBLE, _UNBOUNDED = 0, 1, 2, 3  # the statuses of scipy.optimize.milp


@dataclass(frozen=True, slots=True)
class IntegerProgram:
    """A linear model: minimise `costs` · x + `constant`, with low <= rows · x <= high and lower <= x <= upper.

    The first variables are the parameters; behind them stand those that say which of them has which number in a
    permutation, and the distance from the target where a value is to be reached. `whole` [variables] tells which take
    whole numbers only. `labelled` is how many rows are constraints of the sheet, in the order of their residuals.
    """

    parameters: int
    costs: Floats
    constant: float
    rows: scipy.sparse.csr_array
    low: Floats
    high: Floats
    lower: Floats
    upper: Floats
    whole: NDArray[np.bool_]
    labelled: int


def solve_integer_linear(flat: FlatModel, discrete: Discrete, limits: Limits) -> Generator[Look, None, None]:
    """The best point of a linear model with whole numbers; the model holds the best one so far at every yield.

    Raises TrainingError if no point meets the constraints, or the loss has no limit.
    """
    yield from _Search(flat, discrete, limits, programme_of(flat, discrete)).run()


# --- the model as a linear programme ------------------------------------------------------------------------


def programme_of(flat: FlatModel, discrete: Discrete) -> IntegerProgram:
    """The linear programme that a model is, if loss and constraints are linear.

    The coefficients are derivatives, and the constants the values where all parameters are 0.
    """
    zero = np.zeros(len(flat.lower))
    base = flat.at(zero)
    slopes = _slopes(flat, flat.model)
    rows, split = _coefficients(flat), flat.split
    low = np.concatenate([np.full(split, -np.inf), -base.residuals[split:]])
    direction = flat.model.problem.direction
    sign = -1.0 if direction is Direction.MAXIMISE else 1.0
    found = IntegerProgram(
        len(zero),
        sign * slopes,
        sign * base.loss,
        rows,
        low,
        -base.residuals,
        flat.lower,
        flat.upper,
        discrete.whole,
        flat.count,
    )
    if direction is Direction.VALUE:
        found = _with_distance(found, flat.model.problem.target)
    for group in discrete.permutations:
        found = _with_permutation(found, group)
    return found


def _slopes(flat: FlatModel, function: Callable[[], torch.Tensor]) -> Floats:
    """The gradient [parameters] of a scalar, at the present parameters."""
    with torch.enable_grad():
        parts = torch.autograd.grad(function(), flat.tensors, materialize_grads=True)
    return np.asarray(torch.cat([part.reshape(-1).double().cpu() for part in parts]).numpy())


def _coefficients(flat: FlatModel) -> scipy.sparse.csr_array:
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


def _with_distance(found: IntegerProgram, target: float) -> IntegerProgram:
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


def _with_permutation(found: IntegerProgram, group: NDArray[np.int64]) -> IntegerProgram:
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
class _Search:
    flat: FlatModel
    discrete: Discrete
    limits: Limits
    programme: IntegerProgram
    best: Point | None = None
    bound: float | None = None

    def run(self) -> Generator[Look, None, None]:
        flat = self.flat
        start = flat.get()
        self._offer(self._rounded(start))
        try:
            outcome, reason = yield from self._sliced()
        except TrainingError:
            self.best = None
            raise
        finally:
            flat.set(start if self.best is None else self.best.x)
        if self.best is None:
            raise TrainingError(
                f"no point that meets all constraints was found in {self.limits.seconds:g} seconds",
                cell=flat.model.problem.loss,
                remedy="Raise the time limit, or loosen a constraint",
            )
        yield self._look(outcome, reason)

    def _look(self, outcome: str = "", reason: str = "") -> Look:
        point = self.best
        if point is None:
            point = self.flat.at(self.flat.get())
        else:
            self.flat.set(point.x)
        return Look(point.loss, point.violation, self.bound, outcome, reason)

    def _rounded(self, x: Floats) -> Floats:
        """A point with whole numbers where they have to be, within the bounds."""
        inside = self.flat.clipped(x)
        return np.where(self.discrete.whole, np.round(inside), inside) + 0.0

    def _offer(self, x: Floats) -> None:
        """Keep a point if it meets the constraints, and is better than the best."""
        point = self.flat.at(x)
        permuted = all(
            np.array_equal(np.sort(x[group]), np.arange(1.0, len(group) + 1)) for group in self.discrete.permutations
        )
        feasible = point.finite and point.excess <= HOLDS and permuted
        if feasible and (self.best is None or point.objective < self.best.objective):
            self.best = point

    def _sliced(self) -> Generator[Look, None, tuple[str, str]]:
        """Solve, in attempts that get longer, as long as there is time."""
        ends, slice_ = time.monotonic() + self.limits.seconds, _FIRST_SLICE
        while True:
            left = ends - time.monotonic()
            seconds = left if left < 2 * slice_ else slice_
            result = yield from self._attempt(max(seconds, 0.01))
            if result.status in (_INFEASIBLE, _UNBOUNDED) or (result.status != _OUT_OF_TIME and result.x is None):
                self._refuse(result.status)
            self._take(result)
            if result.status == _OPTIMAL and self.best is not None:
                return self._proved()
            if seconds >= left:
                return OUT_OF_TIME, self._after_time()
            slice_ *= _LONGER
            yield self._look()

    def _attempt(self, seconds: float) -> Generator[Look, None, Any]:
        """One run of HiGHS in a thread; it is left to itself if nobody waits for it any more."""
        scaled, results = _scaled(self.programme), []
        options = {"time_limit": seconds, "mip_rel_gap": max(self.limits.gap, _GAP)}
        thread = Thread(target=lambda: results.append(_milp(scaled, options)), name="HiGHS", daemon=True)
        thread.start()
        while True:
            thread.join(_PATIENCE)
            if not thread.is_alive():
                break
            yield self._look()
        (result,) = results
        if isinstance(result, BaseException):
            raise result
        return result

    def _take(self, result: Any) -> None:
        """Take up the solver's point and bound, in the units of the sheet."""
        if result.x is not None:
            self._offer(self._rounded(np.asarray(result.x)[: self.programme.parameters]))
            exact = self._completed(np.asarray(result.x))
            if exact is not None:
                self._offer(exact)
        bound = result.mip_dual_bound
        if bound is not None and math.isfinite(bound):
            lowest = bound / _factor(self.programme) + self.programme.constant
            self.bound = self._as_loss(lowest)

    def _as_loss(self, lowest: float) -> float:
        problem = self.flat.model.problem
        if problem.direction is Direction.MAXIMISE:
            return -lowest
        if problem.direction is Direction.VALUE:
            return problem.target + max(lowest, 0.0)
        return lowest

    def _completed(self, x: Floats) -> Floats | None:
        """The other parameters for the whole numbers of a solution, to the last digits; None if they fail."""
        programme = self.programme
        if programme.whole[: programme.parameters].all():
            return None
        whole = np.round(x)
        lower = np.where(programme.whole, whole, programme.lower)
        upper = np.where(programme.whole, whole, programme.upper)
        equal = programme.low == programme.high
        result = scipy.optimize.linprog(
            programme.costs * _factor(programme),
            A_ub=programme.rows[~equal],
            b_ub=programme.high[~equal],
            A_eq=programme.rows[equal],
            b_eq=programme.high[equal],
            bounds=np.column_stack([lower, upper]),
            method="highs",
            options={"primal_feasibility_tolerance": 1e-10, "dual_feasibility_tolerance": 1e-10},
        )
        return self._rounded(np.asarray(result.x)[: programme.parameters]) if result.status == 0 else None

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
        if abs(loss - bound) <= self._rounding():
            return PROVED, "proved by branch and bound (HiGHS)"
        said = f", which the gap of {100 * self.limits.gap:g} % allows" if self.limits.gap else ""
        return UNPROVED, in_words(loss, bound) + said

    def _rounding(self) -> float:
        """Differences between the sheet's loss and HiGHS's bound that rounding and its tolerances explain."""
        assert self.best is not None
        terms = np.abs(self.programme.costs[: len(self.best.x)]) @ np.abs(self.best.x)
        return float(1e-7 * (terms + abs(self.programme.constant))) + 2e-6 / _factor(self.programme)

    def _after_time(self) -> str:
        after = f"after {self.limits.seconds:g} seconds"
        if self.best is None or self.bound is None:
            return after
        return f"{in_words(*self._distance())} {after}"

    # --- what can be wrong --------------------------------------------------------------------------------

    def _refuse(self, status: int) -> None:
        if status != _INFEASIBLE:
            bare = replace(self.programme, costs=np.zeros(len(self.programme.costs)))
            result = _milp(bare, {"time_limit": _SECONDS_TO_BLAME})
            if not isinstance(result, Exception) and result.status in (_OPTIMAL, _OUT_OF_TIME):
                raise unlimited(self.flat)
        raise self._infeasible()

    def _infeasible(self) -> TrainingError:
        """The error that names the constraint that is violated most where violations are as small as they can be."""
        flat, programme = self.flat, self.programme
        remedy = "Loosen a constraint, or allow other numbers"
        if not flat.count:
            return TrainingError("no whole numbers meet the constraints", cell=flat.model.problem.loss, remedy=remedy)
        sizes = np.append(flat.magnitudes, np.zeros(programme.rows.shape[0] - flat.count))
        slack = scipy.sparse.diags_array(sizes, format="csr")[:, : flat.count]
        count = len(programme.costs)
        loosened = IntegerProgram(
            count,
            np.concatenate([np.zeros(count), np.ones(2 * flat.count)]),
            0.0,
            scipy.sparse.csr_array(scipy.sparse.hstack([programme.rows, -slack, slack], format="csr")),
            programme.low,
            programme.high,
            np.append(programme.lower, np.zeros(2 * flat.count)),
            np.append(programme.upper, np.full(2 * flat.count, np.inf)),
            np.append(programme.whole, np.zeros(2 * flat.count, np.bool_)),
            programme.labelled,
        )
        result = _milp(loosened, {"time_limit": _SECONDS_TO_BLAME})
        if isinstance(result, Exception) or result.x is None:
            return TrainingError("no whole numbers meet the constraints", cell=flat.model.problem.loss, remedy=remedy)
        point = flat.at(self._rounded(np.asarray(result.x)[: programme.parameters]))
        violated = flat.violations(point.residuals)
        worst = int(np.argmax(violated / flat.magnitudes))
        label = flat.constraints.labels[worst]
        return TrainingError(
            f"{label} cannot be met together with the other constraints: at best it is violated by "
            f"{violated[worst]:.6g}",
            cell=label.cell,
            remedy=remedy,
        )


def unlimited(flat: FlatModel) -> TrainingError:
    """The error for a loss that gets better without end."""
    grows = flat.model.problem.direction is Direction.MAXIMISE
    return TrainingError(
        f"the loss can {'grow' if grows else 'fall'} without limit",
        cell=flat.model.problem.loss,
        remedy="Add the bound or constraint that is missing, or change the direction",
    )


# --- HiGHS --------------------------------------------------------------------------------------------------


def _factor(programme: IntegerProgram) -> float:
    """A power of two by which the costs become some hundreds: HiGHS stops at differences of a millionth."""
    largest = float(np.abs(programme.costs).max(initial=0.0))
    return 2.0 ** (10 - math.frexp(largest)[1]) if largest > 0.0 else 1.0


def _scaled(programme: IntegerProgram) -> IntegerProgram:
    """Multiply rows and costs so that their numbers are of the size that HiGHS's tolerances are meant for."""
    largest = np.asarray(abs(programme.rows).max(axis=1).todense()).reshape(-1) if programme.rows.shape[0] else None
    rows, low, high = programme.rows, programme.low, programme.high
    if largest is not None:
        factors = 2.0 ** -np.frexp(np.where(largest > 0.0, largest, 1.0))[1].astype(np.float64)
        rows = scipy.sparse.csr_array(scipy.sparse.diags_array(factors) @ rows)
        low, high = low * factors, high * factors
    return replace(programme, costs=programme.costs * _factor(programme), rows=rows, low=low, high=high)


def _milp(programme: IntegerProgram, options: dict[str, float]) -> Any:
    """Run HiGHS; what goes wrong there is returned, because nobody may wait in this thread."""
    try:
        return scipy.optimize.milp(
            programme.costs,
            integrality=programme.whole.astype(np.int64),
            bounds=scipy.optimize.Bounds(programme.lower, programme.upper),
            constraints=scipy.optimize.LinearConstraint(programme.rows, programme.low, programme.high)
            if programme.rows.shape[0]
            else None,
            options=options,
        )
    except Exception as error:
        return error
