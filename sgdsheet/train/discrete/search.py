"""Which search a model needs, and the search."""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass, replace
from enum import Enum

import numpy as np
from numpy.typing import NDArray

from sgdsheet.compiler.model import SheetModel
from sgdsheet.problem.optimizers import AUTO, OPTIMIZERS, Family
from sgdsheet.problem.settings import Settings
from sgdsheet.train.constrained.constraints import ConstraintModel, no_constraints
from sgdsheet.train.constrained.flat_functions import FlatModel
from sgdsheet.train.constrained.problem_kind import ProblemKind, problem_kind
from sgdsheet.train.discrete.enumeration import MOST_POINTS, enumerate_points
from sgdsheet.train.discrete.evolution import evolve
from sgdsheet.train.discrete.highs import IntegerProgram
from sgdsheet.train.discrete.integer_linear import programme_of, solve_integer_linear
from sgdsheet.train.discrete.interval_search import branch_by_intervals
from sgdsheet.train.discrete.looks import Limits, Look
from sgdsheet.train.discrete.outer_approximation import approximate
from sgdsheet.train.discrete.points import box_of
from sgdsheet.train.discrete.value_variables import tabulated_programme

_FEW_POINTS = 100_000
"""Points that are all tried, also where the model is convex."""

_MOST_PARAMETERS = 200
"""Parameters up to which a loss that has no gradient is searched unasked."""

_MOST_NUMBERS = 2_000_000_000
"""Numbers that are read, for all points together, where every point is tried."""


class Method(Enum):
    """The searches, by what people call them."""

    BRANCH_AND_BOUND = "branch and bound (HiGHS)"
    APPROXIMATION = "outer approximation (HiGHS)"
    ENUMERATION = "enumeration"
    INTERVALS = "branch and bound (intervals)"
    EVOLUTION = "evolutionary"


@dataclass(frozen=True, slots=True)
class Search:
    """A search, and why it was chosen, in words."""

    method: Method
    why: str = ""
    programme: IntegerProgram | None = None
    """The linear model that stands for one that is not linear."""


def chosen_search(model: SheetModel, constraints: ConstraintModel | None, settings: Settings) -> Search | None:
    """The search that a model needs, or that was asked for; None where descent along a gradient does."""
    discrete = constraints.discrete if constraints is not None else None
    if settings.optimizer != AUTO:
        asked = OPTIMIZERS[settings.optimizer].family is Family.POPULATION
        return Search(Method.EVOLUTION) if asked or discrete is not None else None
    if constraints is not None and discrete is not None:
        return _for_whole_numbers(model, constraints)
    if model.stepped is not None and model.problem.parameter_count <= _MOST_PARAMETERS:
        return Search(Method.EVOLUTION, f"the loss depends on {model.stepped.cell} only in steps")
    if model.problem.solver.evolutionary and not _is_linear(problem_kind(model, constraints)):
        return Search(Method.EVOLUTION, "as in Solver")
    return None


def _for_whole_numbers(model: SheetModel, constraints: ConstraintModel) -> Search:
    kind = problem_kind(model, constraints)
    if _is_linear(kind):
        return Search(Method.BRANCH_AND_BOUND, "a linear model with whole numbers")
    flat = FlatModel(model, constraints)
    count = box_of(flat, constraints.discrete, flat.get()).count()
    convex = replace(kind, whole=0).convex
    if convex and count > _FEW_POINTS:
        return Search(Method.APPROXIMATION, "a convex model with whole numbers")
    if count <= MOST_POINTS and count * model.numbers_read() <= _MOST_NUMBERS:
        return Search(Method.ENUMERATION, f"a model that is not linear, with {int(count):,} points of whole numbers")
    assert constraints.discrete is not None
    programme = tabulated_programme(flat, constraints.discrete)
    if programme is not None:
        return Search(Method.BRANCH_AND_BOUND, "a model that is linear in the values of its whole numbers", programme)
    method = Method.EVOLUTION if constraints.discrete.permutations else Method.INTERVALS
    return Search(method, "a model that is not linear, with whole numbers")


def _is_linear(kind: ProblemKind) -> bool:
    """Whether the function that the loss cell calculates is proved to be linear, and so are all constraints."""
    return kind.objective.linear and kind.linear_constraints


def _linear_residuals(constraints: ConstraintModel) -> NDArray[np.bool_]:
    """Which residuals [residuals] are proved to be linear."""
    kinds = dict(constraints.kinds)
    return np.array([kinds[label.constraint].linear for label in constraints.labels], dtype=np.bool_)


def search(
    model: SheetModel, constraints: ConstraintModel | None, chosen: Search, limits: Limits
) -> Generator[Look, None, None]:
    """Search for the best point. Whenever it yields, and when it is closed, the model holds the best one so far.

    Raises TrainingError if no point meets the constraints, or the loss has no limit; then the parameters are as before.
    """
    constraints = no_constraints(model) if constraints is None else constraints
    flat, discrete = FlatModel(model, constraints), constraints.discrete
    if chosen.method is Method.EVOLUTION:
        yield from evolve(flat, discrete, limits)
        return
    assert discrete is not None
    if chosen.method is Method.ENUMERATION:
        yield from enumerate_points(flat, discrete, limits)
    elif chosen.method is Method.APPROXIMATION:
        yield from approximate(flat, discrete, _linear_residuals(constraints), limits)
    elif chosen.method is Method.INTERVALS:
        yield from branch_by_intervals(flat, discrete, _linear_residuals(constraints), limits)
    else:
        programme = chosen.programme or programme_of(flat, discrete)
        yield from solve_integer_linear(flat, discrete, limits, programme)
