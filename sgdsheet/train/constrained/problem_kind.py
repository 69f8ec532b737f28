"""What kind of problem a model is: its objective and each of its constraints, and what follows for solving it."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Any

from sgdsheet.compiler.model import SheetModel
from sgdsheet.compiler.structure.function_kind import FunctionKind, function_kinds
from sgdsheet.errors import SgdSheetError
from sgdsheet.problem.definition import Direction
from sgdsheet.problem.solver_names import Constraint, Relation
from sgdsheet.sheet.references import Cell
from sgdsheet.train.constrained.constraints import ConstraintModel, compile_constraints

_LISTED = 6
"""Constraints that are described one by one."""


_OPTIMUM = {
    Direction.MINIMISE: ("minimum", "minima", "lowest", "valley"),
    Direction.MAXIMISE: ("maximum", "maxima", "highest", "hill"),
}
"""What a run looks for, how several of them are called, which of them is the best, and the shape that has one only."""


@dataclass(frozen=True, slots=True)
class ConstraintKind:
    """A constraint, and the kind of its left side minus its right side (for >=, its right side minus its left)."""

    constraint: Constraint
    kind: FunctionKind

    @property
    def convex(self) -> bool:
        """Whether what it allows is proved to be a convex set."""
        return self.kind.linear if self.constraint.relation is Relation.EQUAL else self.kind.convex

    @property
    def left(self) -> FunctionKind:
        """The kind of the left side minus the right side, whichever relation it is."""
        if self.constraint.relation is not Relation.AT_LEAST:
            return self.kind
        return replace(self.kind, convex=self.kind.concave, concave=self.kind.convex)


@dataclass(frozen=True, slots=True)
class ProblemKind:
    """The kind of an objective, the function that the loss cell calculates, and of its constraints.

    Constraints that only bound a parameter are not among `constraints`.
    """

    loss: Cell
    direction: Direction
    objective: FunctionKind
    constraints: tuple[ConstraintKind, ...] = ()
    whole: int = 0
    """How many parameters take whole numbers only."""
    targets: int = 0
    """How many cells are to reach values, if these are several: then the objective is what they miss, squared."""

    @property
    def linear(self) -> bool:
        """Whether it is proved to be a linear programme, whole numbers apart."""
        return self.objective.linear and self.linear_constraints and self.direction is not Direction.VALUE

    @property
    def linear_constraints(self) -> bool:
        """Whether all constraints are proved to be linear."""
        return all(item.kind.linear for item in self.constraints)

    @property
    def convex(self) -> bool:
        """Whether it is proved that every local optimum is a global one."""
        if self.whole:
            return False
        towards = {
            Direction.MINIMISE: self.objective.convex,
            Direction.MAXIMISE: self.objective.concave,
            Direction.VALUE: self.objective.linear,
        }
        return towards[self.direction] and all(item.convex for item in self.constraints)

    @property
    def loss_bound(self) -> float | None:
        """What no loss can be better than, by interval arithmetic over the formulas; None where nothing is proved."""
        sides = {Direction.MINIMISE: self.objective.low, Direction.MAXIMISE: self.objective.high}
        found = sides.get(self.direction, math.inf)
        return found if math.isfinite(found) else None

    @property
    def stepped(self) -> bool:
        """Whether the objective or a constraint may jump."""
        return self.objective.stepped or any(item.kind.stepped for item in self.constraints)

    @property
    def kinked(self) -> bool:
        """Whether the objective or a constraint has kinks."""
        return bool(self.objective.kinked_cells or any(item.kind.kinked_cells for item in self.constraints))

    @property
    def name(self) -> str:
        """What problems of this kind are called."""
        return f"{self._continuous_name}, whole numbers" if self.whole else self._continuous_name

    @property
    def _continuous_name(self) -> str:
        """The name, whole numbers apart."""
        if self.linear:
            return "linear programme"
        if self.direction is not Direction.VALUE and self.objective.degree == 2 and self.linear_constraints:
            return "quadratic, convex" if self.convex else "quadratic"
        if self.objective.piecewise and all(item.kind.piecewise for item in self.constraints) and not self.stepped:
            return "piecewise linear, convex" if self.convex else "piecewise linear"
        if self.stepped:
            return "stepped"
        rough = "kinked" if self.kinked else "nonlinear"
        return f"{rough}, convex" if self.convex else rough

    def lines(self) -> list[str]:
        """The findings in sentences: one about the objective, and one about all or some constraints."""
        what = f"The objective {self.loss}" if self.targets == 0 else f"What {self.targets} cells miss, squared,"
        found = [f"{what} is {self.objective}{self._optima()}."]
        if self.whole:
            found.append(f"{self.whole:,} parameter{'s take' if self.whole > 1 else ' takes'} whole numbers only.")
        if not self.constraints:
            return found
        if self.linear_constraints:
            return [*found, "All constraints are linear."]
        others = [item for item in self.constraints if not item.kind.linear]
        found += [
            f"{item.constraint.name[0].upper()}{item.constraint.name[1:]} ({item.constraint}) is {item.left}."
            for item in others[:_LISTED]
        ]
        rest = len(others) - _LISTED
        if rest > 0:
            found.append(f"{rest:,} more constraints are not linear.")
        elif len(others) < len(self.constraints):
            found.append("The other constraints are linear.")
        return found

    def _optima(self) -> str:
        """What follows for the optimum that a run finds: whether it is the best there is."""
        if self.direction not in _OPTIMUM:
            return ""
        one, several, best, shape = _OPTIMUM[self.direction]
        if self.convex:
            single = "" if self.objective.linear else f"there is one {shape}, so "
            return f": {single}a {one} that is found is the {best} there is"
        if self.objective.linear or self.stepped or self.whole or self.targets:
            return ""
        return f": there may be several {several}, of which a run finds one"

    def as_dict(self) -> dict[str, Any]:
        """The findings as plain data."""
        return {
            "kind": self.name,
            "lines": self.lines(),
            "linear": self.linear,
            "whole_numbers": self.whole,
            "convex": self.convex,
            "objective": {"cell": str(self.loss), **self.objective.as_dict()},
            "constraints": [
                {"name": item.constraint.name, "constraint": str(item.constraint), **item.left.as_dict()}
                for item in self.constraints
            ],
        }


def problem_kind(model: SheetModel, constraints: ConstraintModel | None) -> ProblemKind:
    """The kind of a model's problem; `constraints` as `compile_constraints` gives them.

    What is said of it is proved by rules, never tried out: see `compiler.structure`.
    """
    problem = model.problem
    bounds = constraints.bounds if constraints is not None else None
    limits = bounds.by_name({name: model.shared_parameters[name] for name in model.parameter_names}) if bounds else {}
    objective = function_kinds(model.lowered, [model.loss_node], limits)[0]
    found = constraints.kinds if constraints is not None else ()
    discrete = constraints.discrete if constraints is not None else None
    whole = int(discrete.whole.sum()) if discrete is not None else 0
    found_kinds = tuple(ConstraintKind(*pair) for pair in found)
    return ProblemKind(problem.loss, problem.direction, objective, found_kinds, whole, len(problem.targets))


def kind_of(model: SheetModel) -> ProblemKind:
    """The kind of a model's problem, for `inspect`, `check` and reports; the parameters stay as they are.

    Of constraints that are refused, such as those that contradict each other, nothing is said here.
    """
    try:
        constraints = compile_constraints(model)
    except SgdSheetError:  # training says why
        constraints = None
    return problem_kind(model, constraints)
