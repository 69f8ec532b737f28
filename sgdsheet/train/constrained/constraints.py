"""Bounds and constraints as tensors: what the parameters and the cells that depend on them have to keep to.

A constraint whose left side is a parameter and whose right side does not depend on any is a *bound*. The
others become *residuals*: g(x) <= 0 for inequalities and h(x) = 0 for equalities, in the sheet's own units.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, fx

from sgdsheet.compiler.frontend.planning import Plan
from sgdsheet.compiler.ir.recording import Data
from sgdsheet.compiler.ir.values import Kind
from sgdsheet.compiler.model import SheetModel
from sgdsheet.compiler.program import Program, build_program
from sgdsheet.compiler.structure.function_analysis import Limits
from sgdsheet.compiler.structure.function_kind import FunctionKind, function_kinds
from sgdsheet.errors import ProblemError
from sgdsheet.problem.definition import Problem, explicit_lower_bounds, refuse_unsupported
from sgdsheet.problem.solver_names import KINDS_OF_NUMBERS, Constraint, Relation
from sgdsheet.sheet.references import Cell, Range, identifiers

HOLDS = 1e-6
"""A constraint holds if it is violated by at most so much, relative to its numbers."""

_PROBES, _SLACK = 4, 10.0
"""Points around the start at which the sizes of small residuals are measured, and how much larger these may be."""

_SOLVER_NEG = "Solver's “Make Unconstrained Variables Non-Negative”"

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]
Booleans = NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Bounds:
    """The smallest and the largest value of each parameter [parameters], in the order of the parameter cells."""

    lower: Tensor
    upper: Tensor

    @property
    def count(self) -> int:
        """How many parameters have a bound."""
        return int((self.lower.isfinite() | self.upper.isfinite()).sum())

    def by_name(self, parameters: Mapping[str, Tensor]) -> Limits:
        """The bounds of each parameter tensor, flat, by its name; `parameters` are all of them, in their order."""
        found, at = {}, 0
        for name, tensor in parameters.items():
            found[name] = self.lower[at : at + tensor.numel()], self.upper[at : at + tensor.numel()]
            at += tensor.numel()
        return found


@dataclass(frozen=True, slots=True)
class Discrete:
    """Which parameters take whole numbers only.

    `whole` [parameters] tells it of each; `permutations` are groups of them, by their numbers, that hold 1 to their
    count, each once.
    """

    whole: Booleans
    permutations: tuple[Integers, ...] = ()


@dataclass(frozen=True, slots=True)
class Residual:
    """One residual: the cell on the left and the constraint that it belongs to."""

    cell: Cell
    constraint: Constraint

    def __str__(self) -> str:
        return f"{self.constraint.name}, {self.constraint},"


@dataclass(frozen=True, slots=True)
class ConstraintModel:
    """Bounds, and residuals [residuals] in the order g then h, differentiable in the model's parameters."""

    bounds: Bounds
    inequalities: tuple[Residual, ...]
    equalities: tuple[Residual, ...]
    magnitudes: Tensor
    """How large the numbers are that each residual compares: what a violation is relative to. It is less than 1 only
    where all that is compared is so small."""
    program: fx.GraphModule | None = None
    discrete: Discrete | None = None
    """None where all parameters may be any number."""
    kinds: tuple[tuple[Constraint, FunctionKind], ...] = ()
    """Each constraint with residuals, and the kind of these."""

    @property
    def labels(self) -> tuple[Residual, ...]:
        """The cell and the constraint of each residual, inequalities first."""
        return self.inequalities + self.equalities

    def residuals(self) -> Tensor:
        """All residuals [residuals] at the present parameters: g, which must not be positive, then h, to be 0."""
        if self.program is None:
            return self.magnitudes.new_zeros(0)
        found: Tensor = self.program()
        return found

    def violations(self, residuals: Tensor) -> Tensor:
        """How much each constraint [residuals] is violated, in the sheet's units; 0 where it holds."""
        split = len(self.inequalities)
        return torch.cat([residuals[:split].clamp(min=0), residuals[split:].abs()])


def compile_constraints(model: SheetModel) -> ConstraintModel | None:
    """The bounds and constraints of the model's problem; None if it has none.

    Raises ProblemError for constraints that contradict each other, cannot be kept, or cannot be read.
    """
    problem = model.problem
    if not problem.constraints and not problem.non_negative:
        return None
    refuse_unsupported(problem, model.unused)
    targets = [area for constraint in problem.constraints for area in constraint.ranges]
    plan = model.planner.plan(targets)
    program = build_program(model.workbook, problem.parameters, plan, dtype=model.dtype, shared=model.shared_parameters)
    return _Compiler(problem, plan, program, model.unused).compiled()


def no_constraints(model: SheetModel) -> ConstraintModel:
    """Bounds that are infinite, and no constraints: what a model has that nobody has restricted."""
    free = torch.full((model.problem.parameter_count,), torch.inf, dtype=model.dtype)
    return ConstraintModel(Bounds(-free, free), (), (), torch.zeros(0, dtype=model.dtype))


@dataclass(frozen=True, slots=True)
class _Part:
    """The residuals of one constraint."""

    data: Data
    labels: list[Residual]
    magnitudes: Floats


@dataclass(slots=True)
class _Compiler:
    """Sorts constraints, cell by cell, into bounds, residuals and those that hold anyway."""

    problem: Problem
    plan: Plan
    program: Program
    unused: tuple[Range, ...]
    lower: Floats = field(init=False)
    upper: Floats = field(init=False)
    lower_from: Integers = field(init=False)
    upper_from: Integers = field(init=False)
    residuals: dict[bool, list[_Part]] = field(init=False)
    """Inequalities under False, equalities under True."""
    whole: Booleans = field(init=False)
    permutations: list[Integers] = field(init=False)
    _live: list[Range] = field(init=False)

    def __post_init__(self) -> None:
        count = self.problem.parameter_count
        self.lower, self.upper = np.full(count, -np.inf), np.full(count, np.inf)
        self.lower_from, self.upper_from = np.full(count, -1), np.full(count, -1)
        self.residuals = {False: [], True: []}
        self.whole, self.permutations = np.zeros(count, np.bool_), []
        self._live = [*self.problem.parameters, *(block.range for block in self.plan.live)]

    def compiled(self) -> ConstraintModel:
        for number, constraint in enumerate(self.problem.constraints):
            if constraint.relation in KINDS_OF_NUMBERS:
                self._restrict(number, constraint)
            else:
                self._sort(number, constraint)
        self._apply_solver_neg()
        self._check_bounds()
        self._round_bounds()
        dtype = self.program.builder.dtype
        bounds = Bounds(torch.from_numpy(self.lower).to(dtype), torch.from_numpy(self.upper).to(dtype))
        return self._built(bounds)

    def _restrict(self, number: int, constraint: Constraint) -> None:
        """Parameters that take whole numbers only, and the bounds that come with it."""
        found = self._positions(constraint.left)
        positions = found[found >= 0]
        different = constraint.relation is Relation.ALL_DIFFERENT
        if constraint.relation is Relation.BINARY or different:
            least, most = (1.0, float(constraint.left.size)) if different else (0.0, 1.0)
            self._bound(number, Relation.AT_LEAST, positions, np.full(len(positions), least))
            self._bound(number, Relation.AT_MOST, positions, np.full(len(positions), most))
        if self.problem.solver.relaxed:
            return
        self.whole[positions] = True
        if different:
            twice = np.isin(found, [-1, *(item for group in self.permutations for item in group)])
            if twice.any():
                at = int(np.flatnonzero(twice)[0])
                why = "is alldifferent twice" if found[at] >= 0 else "is alldifferent, and nothing depends on it"
                raise ProblemError(
                    f"the cell {why}", cell=_nth(constraint.left, at), remedy=f"Leave it out of {constraint.name}"
                )
            self.permutations.append(positions)

    def _sort(self, number: int, constraint: Constraint) -> None:
        left, right = constraint.left, constraint.right
        assert not isinstance(right, str)  # refused before
        name = constraint.name
        left_data, left_live = self._side(left, name, is_left=True)
        if isinstance(right, Range):
            right_data, right_live = self._side(right, name)
        else:
            right_data, right_live = (
                torch.tensor([right], dtype=self.program.builder.dtype),
                np.zeros(1, np.bool_),
            )
        positions = self._positions(left)
        right_live = np.broadcast_to(right_live, left.size)
        bounds = (positions >= 0) & ~right_live
        alive = (left_live | right_live) & ~bounds
        rest = ~alive & ~bounds
        if bounds.any() or rest.any():
            numbers = np.broadcast_to(self._now(right_data), left.size)
            self._bound(number, constraint.relation, positions[bounds], numbers[bounds])
            self._check_rest(constraint, rest, self._now(left_data), numbers)
        if alive.any():
            self._add_residual(constraint, alive, left_data, right_data, right_live)

    def _side(self, area: Range, name: str, *, is_left: bool = False) -> tuple[Data, Booleans]:
        """The cells of one side as a flat vector, and which of them depend on a parameter."""
        builder = self.program.builder
        builder.area = area
        value = self.program.regions.read(area)
        kinds = value.kind_tensor().reshape(-1).tolist()
        for cell, kind in zip(area.cells(), kinds, strict=True):
            if kind in (Kind.TEXT, Kind.ERROR) or (kind == Kind.BLANK and is_left):
                what = {Kind.TEXT: "text", Kind.ERROR: "an error"}.get(Kind(kind), "nothing")
                raise ProblemError(
                    f"{name} needs a number here, and the cell holds {what}",
                    cell=cell,
                    remedy="Put a number or a formula there, or set the constraint again",
                )
        data = builder.method("reshape", builder.numbers(value).data, (-1,))
        live = np.zeros((area.height, area.width), np.bool_)
        if isinstance(data, fx.Node):
            for source in self._live:
                if common := area.intersection(source):
                    live[_within(common, area)] = True
        return data, live.reshape(-1)

    def _positions(self, area: Range) -> Integers:
        """Which parameter each cell is, counted over all parameter cells; -1 for other cells."""
        found = np.full((area.height, area.width), -1)
        start = 0
        for parameters in self.problem.parameters:
            if common := area.intersection(parameters):
                numbers = start + np.arange(parameters.size).reshape(parameters.height, parameters.width)
                found[_within(common, area)] = numbers[_within(common, parameters)]
            start += parameters.size
        return found.reshape(-1)

    def _now(self, data: Data) -> Floats:
        """The present values of cells."""
        with torch.no_grad():
            values = data if isinstance(data, Tensor) else self.program.module(data)()
        found: Floats = values.detach().double().numpy()
        return found

    def _bound(self, number: int, relation: Relation, positions: Integers, values: Floats) -> None:
        if relation is not Relation.AT_MOST:
            tighter = values > self.lower[positions]
            self.lower[positions[tighter]] = values[tighter]
            self.lower_from[positions[tighter]] = number
        if relation is not Relation.AT_LEAST:
            tighter = values < self.upper[positions]
            self.upper[positions[tighter]] = values[tighter]
            self.upper_from[positions[tighter]] = number

    def _check_rest(self, constraint: Constraint, rest: Booleans, left: Floats, right: Floats) -> None:
        """Constraints between constants: nothing can mend one that does not hold."""
        excess = left - right
        if constraint.relation is Relation.EQUAL:
            excess = np.abs(excess)
        elif constraint.relation is Relation.AT_LEAST:
            excess = -excess
        bad = rest & ~(excess <= HOLDS * np.maximum(1.0, np.abs(right)))
        if bad.any():
            first = int(np.flatnonzero(bad)[0])
            raise ProblemError(
                f"{constraint.name} ({constraint}) does not hold ({left[first]:g} against {right[first]:g}), "
                "and no parameter can change that",
                cell=_nth(constraint.left, first),
                remedy="Let the cell depend on the parameters, or delete the constraint",
            )

    def _add_residual(
        self, constraint: Constraint, alive: Booleans, left: Data, right: Data, right_live: Booleans
    ) -> None:
        """left - right, or right - left for >=, of the cells that depend on parameters."""
        builder = self.program.builder
        if constraint.relation is Relation.AT_LEAST:
            data = builder.call(torch.sub, right, left)
        else:
            data = builder.call(torch.sub, left, right)
        chosen = np.flatnonzero(alive)
        if len(chosen) < len(alive):
            data = builder.call(torch.index_select, data, 0, torch.from_numpy(chosen))
        cells = list(constraint.left.cells())
        labels = [Residual(cells[index], constraint) for index in chosen.tolist()]
        sizes = np.where(right_live, 0.0, np.abs(self._now(right)))[chosen]
        self.residuals[constraint.relation is Relation.EQUAL].append(_Part(data, labels, sizes))

    def _apply_solver_neg(self) -> None:
        if not self.problem.non_negative:
            return
        free = np.ones(len(self.lower), np.bool_)
        for area in explicit_lower_bounds(self.problem):
            positions = self._positions(area)
            free[positions[positions >= 0]] = False
        self.lower[free] = 0.0

    def _check_bounds(self) -> None:
        bad = np.flatnonzero(self.lower > self.upper)
        if not len(bad):
            return
        number = int(bad[0])

        def source(origins: Integers) -> str:
            at = int(origins[number])
            return self.problem.constraints[at].name if at >= 0 else _SOLVER_NEG

        raise ProblemError(
            f"the lower bound {self.lower[number]:g} ({source(self.lower_from)}) is above "
            f"the upper bound {self.upper[number]:g} ({source(self.upper_from)})",
            cell=self._cell(number),
            remedy="Change one of them",
        )

    def _round_bounds(self) -> None:
        """The bounds of whole numbers are whole; one must lie between them."""
        lower, upper = np.ceil(self.lower - HOLDS), np.floor(self.upper + HOLDS)
        empty = np.flatnonzero(self.whole & (lower > upper))
        if len(empty):
            at = int(empty[0])
            raise ProblemError(
                f"no whole number lies between the bounds {self.lower[at]:g} and {self.upper[at]:g}",
                cell=self._cell(at),
                remedy="Change the bounds",
            )
        self.lower = np.where(self.whole, lower, self.lower)
        self.upper = np.where(self.whole, upper, self.upper)

    def _cell(self, number: int) -> Cell:
        return [cell for area in self.problem.parameters for cell in area.cells()][number]

    def _built(self, bounds: Bounds) -> ConstraintModel:
        inequalities, equalities = self.residuals[False], self.residuals[True]
        parts = inequalities + equalities
        labels = [tuple(label for part in side for label in part.labels) for side in (inequalities, equalities)]
        sizes = np.concatenate([part.magnitudes for part in parts]) if parts else np.zeros(0)
        discrete = Discrete(self.whole, tuple(self.permutations)) if self.whole.any() else None
        if not parts:
            return ConstraintModel(bounds, (), (), torch.zeros(0, dtype=bounds.lower.dtype), discrete=discrete)
        builder = self.program.builder
        kinds = function_kinds(self.program, [part.data for part in parts], self._limits(bounds))
        data = builder.call(torch.cat, [part.data for part in parts]) if len(parts) > 1 else parts[0].data
        named = tuple((part.labels[0].constraint, kind) for part, kind in zip(parts, kinds, strict=True))
        module = self.program.module(data)
        if (sizes < 1.0).any():
            sizes = np.where(sizes < 1.0, np.maximum(sizes, self._sizes_of_small(bounds, module)), sizes)
        magnitudes = torch.from_numpy(sizes).to(bounds.lower.dtype)
        return ConstraintModel(bounds, labels[0], labels[1], magnitudes, module, discrete, named)

    def _sizes_of_small(self, bounds: Bounds, module: fx.GraphModule) -> Floats:
        """How large the numbers of each residual are [residuals], 1 at most: by how they change around the start.

        What compares numbers of a billionth must not be violated by a millionth.
        """
        parameters = [self.program.parameters[name] for name in identifiers(self.problem.parameters)]
        start = torch.cat([tensor.detach().reshape(-1).double() for tensor in parameters])
        widths = (bounds.upper - bounds.lower).double().cpu() / 2
        reach = torch.where(widths.isfinite() & (widths > 0), widths, torch.where(start != 0, start.abs(), 1.0))
        generator = torch.Generator().manual_seed(0)
        with torch.no_grad():
            here, changes = module().double(), []
            for _ in range(_PROBES):
                aside = start + reach * (2 * torch.rand(len(start), generator=generator, dtype=torch.float64) - 1)
                self._put(parameters, aside)
                changes.append((module().double() - here).abs())
            self._put(parameters, start)
        found = torch.stack(changes).cpu()
        largest = torch.where(found.isfinite(), found, 1.0).amax(dim=0).numpy()
        return np.where(largest > 0, np.minimum(_SLACK * largest, 1.0), 1.0)

    @staticmethod
    def _put(parameters: Sequence[Tensor], values: Tensor) -> None:
        sizes = [tensor.numel() for tensor in parameters]
        for tensor, part in zip(parameters, values.split(sizes), strict=True):
            tensor.copy_(part.reshape(tensor.shape))

    def _limits(self, bounds: Bounds) -> Limits:
        return bounds.by_name({name: self.program.parameters[name] for name in identifiers(self.problem.parameters)})


def _within(part: Range, whole: Range) -> tuple[slice, slice]:
    """The rows and columns of a part of an area in an array of the area's cells."""
    top, left = part.top - whole.top, part.left - whole.left
    return slice(top, top + part.height), slice(left, left + part.width)


def _nth(area: Range, number: int) -> Cell:
    return Cell(area.sheet, area.top + number // area.width, area.left + number % area.width)
