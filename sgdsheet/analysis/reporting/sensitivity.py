"""What the answer depends on: shadow prices and reduced costs, or Lagrange multipliers and reduced gradients."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import scipy  # type: ignore[import-untyped]  # its parts are imported when they are used
from numpy.typing import NDArray

from sgdsheet.analysis.reporting.ranging import Ranging, ranging
from sgdsheet.problem.definition import Direction
from sgdsheet.problem.solver_names import Constraint, Relation
from sgdsheet.sheet.references import Cell
from sgdsheet.train.constrained.exact import linear_program
from sgdsheet.train.constrained.flat_functions import FlatModel, Point, objective_alone
from sgdsheet.train.constrained.kinkless_model import KinklessModel, kinkless
from sgdsheet.train.constrained.problem_kind import problem_kind
from sgdsheet.train.solution import Solution

Floats = NDArray[np.float64]

_BALANCED = 1e-4
"""Share of the gradient that constraints and bounds need not balance at what counts as an optimum."""

_LISTED = 6


@dataclass(frozen=True, slots=True)
class Range:
    """How much a number may rise and fall; infinite where nothing limits it, None where it is not known."""

    rise: float | None = None
    fall: float | None = None


@dataclass(frozen=True, slots=True)
class VariableSensitivity:
    """One parameter: `gradient` is its reduced cost or reduced gradient, `coefficient` that of a linear objective."""

    cell: Cell
    value: float
    gradient: float
    coefficient: float | None = None
    allowable: Range = Range()


@dataclass(frozen=True, slots=True)
class ConstraintSensitivity:
    """One constraint: what the loss gains per unit of the right side, and how far that holds."""

    cell: Cell
    constraint: Constraint
    price: float
    allowable: Range = Range()


@dataclass(frozen=True, slots=True)
class Sensitivity:
    """Sensitivities in the units of the loss; `linear` ones are from a linear programme's final basis."""

    linear: bool
    variables: tuple[VariableSensitivity, ...]
    constraints: tuple[ConstraintSensitivity, ...]
    notes: list[str] = field(default_factory=list)


def sensitivity(solution: Solution) -> Sensitivity | str:
    """The sensitivities at the parameters as they are; a sentence if there are none, empty without constraints."""
    constraints, problem = solution.constraints, solution.model.problem
    if constraints is None or not (constraints.labels or constraints.bounds.count) or solution.partial:
        return ""
    if problem.direction is Direction.VALUE:
        return ""
    kinds = (Relation.INTEGER, Relation.BINARY, Relation.ALL_DIFFERENT)
    if any(item.relation in kinds for item in problem.constraints):
        return "Some variables are whole numbers, which small changes do not move: there are no sensitivities."
    flat = FlatModel(solution.model, constraints)
    x = flat.get()
    program = linear_program(flat, x)
    found = ranging(program, x) if program is not None else None
    flat.set(x)
    if program is not None and found is not None:
        return _of_basis(flat, x, program.costs, found)
    if program is not None:
        return "These values are not the optimum of the linear programme: there are no sensitivities."
    kind = problem_kind(solution.model, constraints)
    smooth = kinkless(solution.model, constraints, kind)
    if smooth is not None and smooth.linear:
        prices = _without_kinks(flat, smooth)
        flat.set(x)
        return prices or "These values are not the optimum of the linear programme: there are no sensitivities."
    result = _of_gradients(flat, flat.at(x))
    if isinstance(result, str) and kind.kinked:
        return "The optimum may be at a kink, as of ABS or MAX, where there are no multipliers."
    return result


def _without_kinks(flat: FlatModel, smooth: KinklessModel) -> Sensitivity | None:
    """What is linear but for its kinks: the sheet's part of the sensitivities of its linear programme."""
    z = smooth.get()
    program = linear_program(smooth, z)
    found = ranging(program, z) if program is not None else None
    if found is None:
        return None
    sign = _sign(flat)
    variables = tuple(
        VariableSensitivity(cell, float(value), _plain(sign * one))
        for cell, value, one in zip(flat.cells, z, found.reduced, strict=False)
    )
    constraints = []
    for label, amount in zip(flat.constraints.labels, found.prices[smooth.own_rows()].tolist(), strict=True):
        price = -sign * amount if label.constraint.relation is Relation.AT_LEAST else sign * amount
        constraints.append(ConstraintSensitivity(label.cell, label.constraint, _plain(price)))
    notes = ["The problem is linear but for its kinks: these are the prices of its linear programme."]
    if found.degenerate.any():
        notes.append("The optimum is degenerate: prices are those of one of several bases.")
    return Sensitivity(False, variables, tuple(constraints), notes)


def _sign(flat: FlatModel) -> float:
    """What turns the objective's units into the loss cell's."""
    return -1.0 if flat.model.problem.direction is Direction.MAXIMISE else 1.0


def _of_basis(flat: FlatModel, x: Floats, costs: Floats, found: Ranging) -> Sensitivity:
    sign = _sign(flat)
    variables = []
    for place, cell in enumerate(flat.cells):
        allowable = Range(_known(found.cost_rises[place]), _known(found.cost_falls[place]))
        if sign < 0:
            allowable = Range(allowable.fall, allowable.rise)
        variables.append(
            VariableSensitivity(
                cell, float(x[place]), _plain(sign * found.reduced[place]), _plain(sign * costs[place]), allowable
            )
        )
    constraints = []
    for place, label in enumerate(flat.constraints.labels):
        allowable = Range(_known(found.limit_rises[place]), _known(found.limit_falls[place]))
        price = sign * found.prices[place]
        if label.constraint.relation is Relation.AT_LEAST:  # whose residual is the right side minus the left one
            allowable, price = Range(allowable.fall, allowable.rise), -price
        constraints.append(ConstraintSensitivity(label.cell, label.constraint, _plain(price), allowable))
    notes = []
    names = [str(cell) for cell in flat.cells] + [str(label.cell) for label in flat.constraints.labels]
    if found.degenerate.any():
        notes.append(
            f"The optimum is degenerate at {_listed(names, found.degenerate)}: more constraints hold with equality "
            "than determine it. Prices and ranges are those of one of several bases, and may differ in another program."
        )
    elif found.alternative.any():
        notes.append(f"There are other optima: {_listed(names, found.alternative)} can change at the same objective.")
    if any(item.allowable.rise is None for item in variables):
        notes.append("No ranges: these values are no vertex, or there are too many constraints.")
    return Sensitivity(True, tuple(variables), tuple(constraints), notes)


def _listed(names: list[str], chosen: NDArray[np.bool_]) -> str:
    found = list(dict.fromkeys(names[place] for place in np.flatnonzero(chosen)))
    return ", ".join(found[:_LISTED]) + (", …" if len(found) > _LISTED else "")


def _of_gradients(flat: FlatModel, point: Point) -> Sensitivity | str:
    """Lagrange multipliers and reduced gradients, by the conditions of Karush, Kuhn and Tucker."""
    x, sign, split = point.x, _sign(flat), flat.split
    _, gradient = flat.gradient(x, objective_alone)
    rows = flat.jacobian(x)
    active = np.ones(flat.count, dtype=bool)
    active[:split] = point.residuals[:split] >= -1e-6 * flat.magnitudes[:split]
    reach = 1e-7 * (1 + np.abs(x))
    low, high = x - flat.lower <= reach, flat.upper - x <= reach
    multipliers = np.zeros(flat.count)
    size = float(np.linalg.norm(gradient))
    unit = np.eye(len(x))
    places = np.flatnonzero(active)
    equal = places[places >= split]
    columns = np.concatenate([rows[places], -rows[equal], -unit[low], unit[high]])
    lengths = np.maximum(np.linalg.norm(columns, axis=1), 1e-300)
    unique = True
    if size > 0 and len(columns):
        scaled = columns / lengths[:, None]
        shares, rest = scipy.optimize.nnls(scaled.T, -gradient / size)
        if rest > _BALANCED:
            return "The values are no optimum: its conditions do not hold, so there are no multipliers."
        used = shares > 0
        unique = int(np.linalg.matrix_rank(scaled[used])) == int(used.sum()) and _independent(scaled, len(equal))
        shares[used] = np.linalg.lstsq(scaled[used].T, -gradient / size, rcond=None)[0]
        amounts = shares * size / lengths
        multipliers[places] = amounts[: len(places)]
        multipliers[equal] -= amounts[len(places) : len(places) + len(equal)]
    reduced = gradient + multipliers @ rows if flat.count else gradient
    reduced = np.where(low | high, reduced, 0.0)
    variables = tuple(
        VariableSensitivity(cell, float(value), _plain(sign * one))
        for cell, value, one in zip(flat.cells, x, reduced, strict=True)
    )
    constraints = []
    for label, amount in zip(flat.constraints.labels, multipliers.tolist(), strict=True):
        price = -sign * amount if label.constraint.relation is not Relation.AT_LEAST else sign * amount
        constraints.append(ConstraintSensitivity(label.cell, label.constraint, _plain(price)))
    notes = []
    if not unique:
        names = [str(flat.constraints.labels[place].cell) for place in places]
        notes.append(
            f"The multipliers are not unique: of {', '.join(names[:_LISTED])} and the bounds, more hold with equality "
            "than determine the optimum."
        )
    return Sensitivity(False, variables, tuple(constraints), notes)


def _independent(scaled: Floats, doubled: int) -> bool:
    """Whether the gradients of what holds with equality are independent; equalities are there twice."""
    return int(np.linalg.matrix_rank(scaled)) == len(scaled) - doubled


def _known(value: float) -> float | None:
    return None if np.isnan(value) else float(value)


def _plain(value: float) -> float:
    """A number without the sign of a zero."""
    return float(value) + 0.0
