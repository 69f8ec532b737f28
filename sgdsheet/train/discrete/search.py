"""Which search a model needs, and the search."""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass
from enum import Enum

from sgdsheet.compiler.model import SheetModel
from sgdsheet.errors import ProblemError
from sgdsheet.problem.solver_names import KINDS_OF_NUMBERS
from sgdsheet.train.constrained.constraints import ConstraintModel
from sgdsheet.train.constrained.flat_functions import FlatModel
from sgdsheet.train.discrete.degree import degree_of
from sgdsheet.train.discrete.integer_linear import solve_integer_linear
from sgdsheet.train.discrete.looks import Limits, Look


class Method(Enum):
    """The searches, by what people call them."""

    BRANCH_AND_BOUND = "branch and bound (HiGHS)"


@dataclass(frozen=True, slots=True)
class Search:
    """A search, and why it was chosen, in words."""

    method: Method
    why: str


def chosen_search(model: SheetModel, constraints: ConstraintModel | None) -> Search | None:
    """The search that a model needs; None where descent along a gradient does."""
    if constraints is None or constraints.discrete is None:
        return None
    if is_linear(model, constraints):
        return Search(Method.BRANCH_AND_BOUND, "a linear model with whole numbers")
    raise ProblemError(
        "whole numbers are wanted here, and the loss or a constraint is not linear",
        cell=next(item.left for item in model.problem.constraints if item.relation in KINDS_OF_NUMBERS),
        remedy="Make the model linear, or replace the constraint by bounds and round afterwards",
    )


def is_linear(model: SheetModel, constraints: ConstraintModel) -> bool:
    """Whether the loss and all constraints are linear: proved from the operations in their programs."""
    residuals = constraints.program
    return degree_of(model.program) <= 1 and (residuals is None or degree_of(residuals) <= 1)


def search(
    model: SheetModel, constraints: ConstraintModel, chosen: Search, limits: Limits
) -> Generator[Look, None, None]:
    """Search for the best point. Whenever it yields, and when it is closed, the model holds the best one so far.

    Raises TrainingError if no point meets the constraints, or the loss has no limit; then the parameters are as before.
    """
    flat = FlatModel(model, constraints)
    assert constraints.discrete is not None
    yield from solve_integer_linear(flat, constraints.discrete, limits)
