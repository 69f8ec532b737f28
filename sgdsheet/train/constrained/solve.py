"""Training under bounds and constraints: what a workbook that was set up for Excel's Solver asks for.

Linear programmes are solved outright. Bounds alone need L-BFGS-B. Other constraints are moved into the
objective by an augmented Lagrangian, and what comes out is polished where the problem is small.
"""

from __future__ import annotations

from collections.abc import Generator, Iterator
from dataclasses import dataclass, field

import numpy as np
import torch
from torch import Tensor

from sgdsheet.compiler.model import SheetModel
from sgdsheet.errors import SgdSheetError, TrainingError
from sgdsheet.train.constrained.augmented_lagrangian import Lagrangian, row_scales
from sgdsheet.train.constrained.balanced_units import in_balanced_units
from sgdsheet.train.constrained.constraints import HOLDS, ConstraintModel
from sgdsheet.train.constrained.curvature_scales import curvature_scales
from sgdsheet.train.constrained.exact import (
    BALANCED,
    Infeasible,
    Unbounded,
    linear_program,
    polish,
    solve_if_linear,
    unbalanced,
)
from sgdsheet.train.constrained.flat_functions import FlatModel, Floats, Point, Scalar, objective_alone
from sgdsheet.train.constrained.impossible import WITHOUT_LIMIT, endless_way, infeasible, unlimited
from sgdsheet.train.constrained.kinkless_model import KinklessModel, kinkless
from sgdsheet.train.constrained.lbfgsb import Descended, descend
from sgdsheet.train.constrained.problem_kind import problem_kind
from sgdsheet.train.constrained.sequential_linear import SequentialLinear

OPTIMAL = "optimal"
STALLED = "stalled"
OUT_OF_STEPS = "out of steps"

HIGHS, DESCENT = "HiGHS", "constrained L-BFGS-B"
"""What finds the optima of linear programmes, and of others."""

SEQUENTIAL, QUADRATIC = "sequential linear programming", "sequential quadratic programming"
"""What finds the optima of problems with kinks: where enough parts meet at a kink, and along them."""

DUALITY = "a bound by linear duality proves it"
SUBGRADIENT = "no direction leads to a better one, also at the kinks"
"""Why a point is an optimum."""

_MOST_ROUNDS = 60
"""Rounds of the augmented Lagrangian, at most."""

_MOST_IDLE = 3
"""Rounds without progress after which there are no more."""

_ROUNDS_TO_SCALE = 4
"""Rounds at the start after which the objective may be scaled anew."""

_ALIKE = 1e-6
"""Relative difference of objectives that the tolerance of the constraints explains."""

_LARGEST_PENALTY = 1e9
"""The weight of violations beyond which there are no more rounds."""

_LAST_GRADIENT = 1e-10
"""How flat the augmented Lagrangian has to be in the end, where the objective's gradient was 1 at the start."""

_FLAT = 1e-6
"""The gradient from which a point counts as an optimum, should rounding keep the descent from getting lower."""

_MOST_POLISHES = 6
"""Attempts to polish a point, at most."""

_MOST_POLISHED = 1000
"""Variables and rows up to which a problem without its kinks is polished."""

_MOST_DENSE = 6000
"""Variables and rows up to which a problem without its kinks is descended, where all derivatives are written down."""

_NUDGE = 0.1
"""Size of a move away from a point whose gradient is 0, as a share of the parameters."""

_LEAST_GRADIENT = 1e-3
"""A gradient below this part of the objective says nothing about its scale: the start may be an optimum."""


@dataclass(frozen=True, slots=True)
class Progress:
    """A solution after so many iterations.

    `loss` is the value of the loss cell, `violation` that of the constraint that is violated most, in the sheet's own
    units. `outcome` is empty but for the last one: “optimal”, “stalled” (no better point was found, and it is not sure
    that there is none) or “out of steps”. Then `method` is what found the point, and `proof` why it is an optimum;
    empty where that has to be judged by the derivatives.
    """

    iterations: int
    loss: float
    violation: float
    outcome: str = ""
    method: str = ""
    proof: str = ""
    promised: float = 0.0
    """What may still be gained at a point that is no optimum, to first order; 0 where nobody knows."""


def solve(
    model: SheetModel, constraints: ConstraintModel, *, max_steps: int = 10_000, tolerance: float = 1e-8
) -> Iterator[Progress]:
    """Move the model's parameters to the best values that bounds and constraints allow.

    Yields after every step; at each yield the model holds the parameters of that step, and after the last
    one (or when the generator is closed) the best ones found. `tolerance` is how much a constraint may be
    violated, relative to its numbers. Raises TrainingError, with the parameters back at
    the start, if the constraints cannot be met, naming the one that is violated most, or if the loss has no
    limit.
    """
    flat = FlatModel(model, constraints)
    smooth = kinkless(model, constraints, problem_kind(model, constraints))
    return (_Solution(flat, max_steps, tolerance) if smooth is None else _Kinked(smooth, max_steps, tolerance)).run()


@dataclass(slots=True)
class _Solution:
    flat: FlatModel
    max_steps: int
    tolerance: float
    steps: int = 0
    scale: float = 1.0
    """What the objective is multiplied by, so that its gradient at the start is about 1."""
    best: Point | None = None
    polish_from: float = 1e-2
    """Relative violation from which it is worth while to polish."""
    polishes: int = 0
    method: str = DESCENT
    proof: str = ""
    promised: float = 0.0
    start: Floats = field(init=False)
    """The parameters at the start [parameters]."""

    def run(self) -> Generator[Progress, None, None]:
        start = self.start = self.flat.get()
        try:
            first = self._first(start)
            outcome = yield from self._solved(first)
        except SgdSheetError:
            self.best = None
            self.flat.set(start)
            raise
        finally:
            if self.best is not None:
                self.flat.set(self.best.x)
        best = self.best
        assert best is not None
        yield Progress(self.steps, best.loss, best.violation, outcome, self.method, self.proof, self.promised)

    def _first(self, start: Floats) -> Point:
        """The start, moved into the bounds; it has to have a loss."""
        flat = self.flat
        first = flat.at(flat.clipped(start))
        gradients = flat.checked_gradients(first)
        self.best = first
        steepest = float(np.abs(gradients).max(initial=0.0))
        if steepest == 0.0:
            return self._nudged(first)
        self.scale = self._scale_at(first, gradients)
        return first

    def _nudged(self, flat_spot: Point) -> Point:
        """A point nearby: where the gradient is 0, as of a product at 0, an optimum looks like a saddle."""
        flat, x = self.flat, flat_spot.x
        aside = _NUDGE * (1 + np.abs(x)) * np.random.default_rng(0).random(len(x))
        for sign in (1.0, -1.0):
            found = flat.at(flat.clipped(x + sign * aside))
            _, gradients = flat.gradient(found.x, objective_alone)
            steepest = float(np.abs(gradients).max(initial=0.0))
            if found.finite and np.isfinite(steepest) and steepest > 0.0:
                self.scale = self._scale_at(found, gradients)
                return found
        return flat_spot

    def _solved(self, first: Point) -> Generator[Progress, None, str]:
        try:
            linear = solve_if_linear(self.flat, first.x)
        except Infeasible:
            linear = None  # unless a feasible point is found after all, this raises
            if (yield from self._least_violation(first)) is None:
                return OUT_OF_STEPS
        except Unbounded:
            program = linear_program(self.flat, first.x)
            raise unlimited(self.flat, endless_way(program) if program is not None else None) from None
        if linear is not None and linear.excess <= max(self.tolerance, 1e-9):
            self.best = linear
            self.steps += 1
            self.method, self.proof = HIGHS, DUALITY
            return OPTIMAL
        if not self.flat.count:
            return (yield from self._bounded(first))
        return (yield from self._augmented(self._balanced(first)))

    def _balanced(self, first: Point) -> Point:
        """The start in units that suit the problem, as all that follows is."""
        self.flat.set(first.x)
        flat = in_balanced_units(self.flat)
        if flat is self.flat:
            return first
        self.flat, self.start = flat, self.start / flat.units
        assert self.best is not None
        self.best = flat.at(self.best.x / flat.units)
        first = flat.at(first.x / flat.units)
        self.scale = self._scale_at(first, flat.gradient(first.x, objective_alone)[1])
        return first

    def _scale_at(self, point: Point, gradients: Floats) -> float:
        """What the objective is multiplied by, so that its gradient there is about 1."""
        steepest = float(np.abs(gradients).max(initial=0.0))
        return 1.0 / max(steepest, _LEAST_GRADIENT * max(abs(point.objective), 1e-3))

    # --- bounds only ----------------------------------------------------------------------------------------

    def _bounded(self, first: Point) -> Generator[Progress, None, str]:
        self.flat.set(first.x)
        units = np.array(curvature_scales(self.flat.model.objective, self.flat.tensors))
        scale = self.scale
        if len(units):
            _, gradients = self.flat.gradient(first.x, objective_alone)
            scale = 1.0 / max(float(np.abs(gradients * units).max()), _LEAST_GRADIENT * max(abs(first.objective), 1e-3))
        ended = yield from self._descend(first.x, objective_alone, scale, 1e-12, units if len(units) else None)
        if ended is None:
            return OUT_OF_STEPS
        return OPTIMAL if ended.gradient <= _FLAT else STALLED

    def _descend(
        self, x: Floats, scalar: Scalar, scale: float, tolerance: float, units: Floats | None = None
    ) -> Generator[Progress, None, Descended | None]:
        """Minimise a scalar, in `units` of the parameters [parameters], if there are some; None if steps ran out."""
        flat = self.flat
        sizes = np.ones_like(x) if units is None else units

        def evaluate(there: Floats) -> tuple[float, Floats]:
            value, gradients = flat.gradient(flat.clipped(there * sizes), scalar)
            return scale * value, scale * gradients * sizes

        points = descend(evaluate, x / sizes, flat.lower / sizes, flat.upper / sizes, tolerance=tolerance)
        try:
            while self.steps < self.max_steps:
                try:
                    there = flat.clipped(next(points) * sizes)
                except StopIteration as ended:
                    last: Descended = ended.value
                    result = Descended(flat.clipped(last.x * sizes), last.value, last.gradient)
                    self._note(flat.at(result.x))
                    return result
                self.steps += 1
                point = flat.at(there)
                yield self._note(point)
                if self._limitless(point):
                    return Descended(there, point.objective, np.inf)
        finally:
            points.close()
        return None

    def _note(self, point: Point) -> Progress:
        """Remember the best point so far."""
        if point.finite and (self.best is None or point.better_than(self.best, self.tolerance)):
            self.best = point
        if point.excess <= self.tolerance and self._limitless(point):
            raise self._unlimited(point)
        return Progress(self.steps, point.loss, point.violation)

    # --- constraints ----------------------------------------------------------------------------------------

    def _augmented(self, first: Point, *, again: bool = True) -> Generator[Progress, None, str]:
        """Rounds of descent, each followed by a better guess of what the constraints cost."""
        lagrangian = Lagrangian(self.flat.split, self.scale, row_scales(self.flat, first))
        point, there, gradient, before, idle, runaway = first, first, 1e-2, np.inf, 0, False
        for number in range(_MOST_ROUNDS):
            if lagrangian.penalty > _LARGEST_PENALTY or idle >= _MOST_IDLE:
                break
            ended = yield from self._descend(point.x, lagrangian, 1.0, gradient)
            if ended is None:
                return OUT_OF_STEPS
            there = self.flat.at(ended.x)
            runaway = not there.finite or self._limitless(there)
            if runaway:
                lagrangian.penalty *= 10.0
                continue
            unmet = lagrangian.update(there.residuals)
            if number < _ROUNDS_TO_SCALE:
                self._rescale(there, lagrangian)
            if self._polished(there):
                return OPTIMAL
            moved = abs(there.objective - point.objective) * self.scale
            steady = moved <= 1e-11 * (1 + abs(there.objective) * self.scale)
            idle = idle + 1 if gradient <= _LAST_GRADIENT and np.array_equal(there.x, point.x) else 0
            point = there
            if there.excess <= self.tolerance and steady and gradient <= _LAST_GRADIENT and ended.gradient <= _FLAT:
                self.best = there
                return OPTIMAL
            if unmet > 0.25 * before and there.excess > self.tolerance:
                lagrangian.penalty *= 10.0
            before, gradient = unmet, max(0.1 * gradient, _LAST_GRADIENT)
        if runaway:
            raise self._unlimited(there)
        return (yield from self._stalled(point, again))

    def _rescale(self, there: Point, lagrangian: Lagrangian) -> None:
        """Weigh the objective by its gradient here, where that has become much larger than at the start."""
        _, gradients = self.flat.gradient(there.x, objective_alone)
        ratio = 1.0 / max(self.scale * float(np.abs(gradients).max(initial=0.0)), 1e-10)
        if ratio < 0.1:
            lagrangian.rescale(ratio)
            self.scale *= ratio

    def _polished(self, there: Point) -> bool:
        """Whether the last digits could be got by a method for small problems."""
        if there.excess > self.polish_from or self.polishes == _MOST_POLISHES:
            return False
        self.polishes += 1
        self.polish_from = 0.1 * there.excess
        found = polish(self.flat, there, self.scale, self.tolerance)
        if found is None or not self._acceptable(found, there):
            return False
        self.best = found
        return True

    def _acceptable(self, found: Point, there: Point) -> bool:
        """A polished point is not worse than a feasible one, nor much worse than a nearly feasible one."""
        known = [(there.objective, _ALIKE if there.excess <= self.tolerance else 0.1)]
        if self.best is not None and self.best.excess <= self.tolerance:
            known.append((self.best.objective, _ALIKE))
        scale = self.scale
        return all((found.objective - one) * scale <= margin * (1 + abs(one) * scale) for one, margin in known)

    def _stalled(self, point: Point, again: bool) -> Generator[Progress, None, str]:
        """No optimum came out: because nothing is feasible, or from an unlucky start, or nearly one did."""
        assert self.best is not None
        if self.best.excess > HOLDS:
            feasible = yield from self._least_violation(self.best)
            if feasible is None:
                return OUT_OF_STEPS
            if again:
                return (yield from self._augmented(feasible, again=False))
        elif point.excess <= HOLDS and point.objective < self.best.objective:
            self.best = point
        return STALLED

    def _least_violation(self, start: Point) -> Generator[Progress, None, Point | None]:
        """A feasible point; None if the steps ran out. Raises TrainingError if there is none in reach."""
        flat = self.flat
        sizes = torch.from_numpy(flat.magnitudes)

        def squares(_: Tensor, residuals: Tensor) -> Tensor:
            return (flat.constraints.violations(residuals) / sizes.to(residuals)).square().sum()

        ended = yield from self._descend(start.x, squares, 1.0, 1e-12)
        if ended is None:
            return None
        found = flat.at(ended.x)
        if found.excess <= HOLDS:
            return found
        raise infeasible(flat, found)

    # --- what can be wrong ----------------------------------------------------------------------------------

    def _limitless(self, point: Point) -> bool:
        return point.objective * self.scale < -WITHOUT_LIMIT

    def _unlimited(self, point: Point) -> TrainingError:
        return unlimited(self.flat, point.x - self.start)


@dataclass(slots=True)
class _Kinked(_Solution):
    """The solution of a problem without its kinks."""

    def _solved(self, first: Point) -> Generator[Progress, None, str]:
        flat = self.flat
        assert isinstance(flat, KinklessModel)
        try:
            linear = solve_if_linear(flat, first.x)
        except Infeasible:
            yield from self._explain(flat)
            linear = None
        except Unbounded:
            program = linear_program(flat, first.x)
            way = endless_way(program) if program is not None else None
            raise unlimited(flat.base, way[: flat.own] if way is not None else None) from None
        if linear is not None and linear.excess <= max(self.tolerance, 1e-9) and self._agrees(linear):
            self.best = linear
            self.steps += 1
            self.method, self.proof = HIGHS, DUALITY
            return OPTIMAL
        descent = SequentialLinear(flat)
        points = descent.points(first.x)
        self.method = SEQUENTIAL
        point = first
        while self.steps < self.max_steps:
            try:
                point = next(points)
            except StopIteration as ended:
                point = ended.value
                break
            self.steps += 1
            yield self._note(point)
        if self.steps >= self.max_steps:
            return OUT_OF_STEPS
        if descent.optimal:
            found = polish(flat, point, self.scale, self.tolerance)
            better = found is not None and found.finite and found.objective <= point.objective
            self.best, self.proof = found if better and found is not None else point, SUBGRADIENT
            return OPTIMAL
        self.promised = descent.promised
        return (yield from self._finished(flat, point))

    def _finished(self, flat: KinklessModel, point: Point) -> Generator[Progress, None, str]:
        """What the linear steps leave: curvature along the kinks."""
        found = polish(flat, point, self.scale, self.tolerance, _MOST_POLISHED)
        if found is not None and self._acceptable(found, point):
            self.best, self.method, self.proof = found, QUADRATIC, SUBGRADIENT
            return OPTIMAL
        if len(point.x) + flat.count > _MOST_DENSE:
            self.best = point
            return STALLED
        self.method = DESCENT
        outcome = yield from self._augmented(point)
        assert self.best is not None
        found = flat.at(flat.settled(self.best.x))
        self.best = min(found, point, key=lambda item: (item.excess > HOLDS, item.objective))
        if outcome == OUT_OF_STEPS:
            return outcome
        if unbalanced(flat, self.best) <= BALANCED:
            self.proof = SUBGRADIENT
            return OPTIMAL
        return STALLED

    def _unlimited(self, point: Point) -> TrainingError:
        assert isinstance(self.flat, KinklessModel)
        return unlimited(self.flat.base, (point.x - self.start)[: self.flat.own])

    def _agrees(self, point: Point) -> bool:
        """Whether the sheet's own objective is what the linear programme has found."""
        loss = float(self.flat.model.as_objective(point.loss))
        return abs(loss - point.objective) <= 1e-9 * (1 + abs(loss) + float(np.abs(point.x).max(initial=0.0)))

    def _explain(self, flat: KinklessModel) -> Generator[Progress, None, None]:
        """Raise TrainingError with the constraint that cannot be met; if one can be after all, come back."""
        sheet = _Solution(flat.base, self.max_steps, self.tolerance)
        yield from sheet._least_violation(flat.base.at(flat.base.clipped(flat.base.get())))
