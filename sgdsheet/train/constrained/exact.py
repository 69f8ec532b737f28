"""Solving to the last digits: linear programmes outright, small smooth problems once a point is near.

Linear programmes are solved by HiGHS (Huangfu and Hall, “Parallelizing the dual revised simplex method”, Mathematical
Programming Computation 10, 2018), others by sequential least squares programming (Kraft, “A software package for
sequential quadratic programming”, DFVLR-FB 88-28, 1988).
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass

import numpy as np
import scipy  # type: ignore[import-untyped]  # its parts are imported when they are used

from sgdsheet.train.constrained.flat_functions import FlatModel, Floats, Point, objective_alone

_SMALL = 60
"""Parameters, and also constraints, up to which dense methods are quick."""

BALANCED = 1e-6
"""Part of the objective's gradient that the active constraints need not balance."""


class Infeasible(Exception):
    """A linear programme without a feasible point."""


class Unbounded(Exception):
    """A linear programme whose objective falls without limit."""


# --- linear programmes --------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class LinearProgram:
    """Minimise `costs` · x where `rows` x <= `limits` (the first `split` rows) or = `limits` (the others), in bounds.

    `costs` [parameters] are the derivatives of the objective, `rows` [residuals, parameters] those of the residuals,
    whose values are `rows` x - `limits`. `lower` and `upper` [parameters] are infinite where there is no bound.
    """

    costs: Floats
    rows: scipy.sparse.csr_array
    limits: Floats
    split: int
    lower: Floats
    upper: Floats


def linear_program(flat: FlatModel, x: Floats) -> LinearProgram | None:
    """The problem as a linear programme, looked at around `x` [parameters]; None if it is none, or too large.

    That it is linear is proved from its operations: see `problem_kind`.
    """
    if flat.count > flat.most_rows or not flat.linear:
        return None
    base = flat.at(x)
    _, costs = flat.gradient(x, objective_alone)
    rows = flat.sparse_jacobian(x)
    return LinearProgram(costs, rows, rows @ x - base.residuals, flat.split, flat.lower, flat.upper)


def solve_if_linear(flat: FlatModel, x: Floats) -> Point | None:
    """The optimum of a linear programme; None if the problem is none, or HiGHS does not succeed.

    `x` [parameters] is where it is looked at. Raises Infeasible or Unbounded.
    """
    program = linear_program(flat, x)
    solution = _highs(program) if program is not None else None
    if program is None or solution is None:
        return None
    base, found = flat.at(x), flat.at(flat.clipped(solution))
    foretold = base.objective + float(program.costs @ (found.x - x))
    residuals = base.residuals + program.rows @ (found.x - x)
    size = 1 + abs(foretold) + float(np.abs(program.costs) @ np.abs(found.x))
    same = abs(found.objective - foretold) <= 1e-9 * size
    wrong = np.abs(residuals - found.residuals).max(initial=0.0) > 1e-7 * _largest(program.limits)
    if not found.finite or not same or wrong:
        return None  # HiGHS and the sheet do not agree: numbers of very different sizes
    return found


def _largest(numbers: Floats) -> float:
    return max(1.0, float(np.abs(numbers).max(initial=0.0)))


def _highs(program: LinearProgram) -> Floats | None:
    split, rows, limits = program.split, program.rows, program.limits
    bounds = np.column_stack([program.lower, program.upper])
    tight = {"primal_feasibility_tolerance": 1e-10, "dual_feasibility_tolerance": 1e-10}
    for presolve in (True, False):
        result = scipy.optimize.linprog(
            program.costs,
            A_ub=rows[:split] if split else None,
            b_ub=limits[:split] if split else None,
            A_eq=rows[split:] if split < len(limits) else None,
            b_eq=limits[split:] if split < len(limits) else None,
            bounds=bounds,
            method="highs",
            options={**tight, "presolve": presolve},
        )
        if result.status == 0:
            return np.asarray(result.x, dtype=np.float64)
        if result.status == 2:
            raise Infeasible
        if result.status == 3:
            raise Unbounded
    return None


# --- small smooth problems ----------------------------------------------------------------------------------


def polish(flat: FlatModel, near: Point, scale: float, tolerance: float, most: int = _SMALL) -> Point | None:
    """The optimum near a point, by sequential quadratic programming; None if that does not find one.

    `scale` is what the objective is multiplied by, `tolerance` the relative violation that is allowed, and `most` the
    number of parameters, and of constraints, up to which it is tried.
    """
    if len(near.x) > most or flat.count > most:
        return None
    sizes = flat.magnitudes
    split = flat.split

    def part(kind: str, chosen: slice, sign: float) -> dict[str, object]:
        return {
            "type": kind,
            "fun": lambda x: sign * (flat.at(x).residuals / sizes)[chosen],
            "jac": lambda x: sign * (flat.jacobian(x) / sizes[:, None])[chosen],
        }

    parts = [part("ineq", slice(0, split), -1.0)] if split else []
    parts += [part("eq", slice(split, None), 1.0)] if split < flat.count else []

    def objective(x: Floats) -> tuple[float, Floats]:
        value, gradients = flat.gradient(x, objective_alone)
        return scale * value, scale * gradients

    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore", RuntimeWarning)  # of points that scipy moves back into the bounds
        result = scipy.optimize.minimize(
            objective,
            near.x,
            jac=True,
            method="SLSQP",
            bounds=np.column_stack([flat.lower, flat.upper]),
            constraints=parts,
            options={"ftol": 1e-16, "maxiter": 100},
        )
    if not np.isfinite(result.x).all():
        return None
    found = flat.at(flat.clipped(np.asarray(result.x, dtype=np.float64)))
    if not found.finite or found.excess > tolerance:
        return None
    return found if unbalanced(flat, found) <= BALANCED else None


def unbalanced(flat: FlatModel, point: Point) -> float:
    """The part of the objective's gradient that the active constraints do not balance: from 0, at an optimum, to 1.

    By the conditions of Karush, Kuhn and Tucker, the gradient is a combination of the gradients of equalities and, with
    the right sign, of the inequalities and bounds that hold with equality. The best combination comes from non-negative
    least squares (Lawson and Hanson, Solving Least Squares Problems, 1974).
    """
    x = point.x
    _, gradients = flat.gradient(x, objective_alone)
    rows = flat.jacobian(x)
    split = flat.split
    near = 1e-6 * flat.magnitudes
    active = rows[:split][point.residuals[:split] >= -near[:split]]
    unit = np.eye(len(x))
    reach = 1e-7 * (1 + np.abs(x))
    at_lower, at_upper = unit[x - flat.lower <= reach], unit[flat.upper - x <= reach]
    columns = np.concatenate([active, rows[split:], -rows[split:], -at_lower, at_upper])
    lengths = np.linalg.norm(columns, axis=1)
    columns = columns[lengths > 0] / lengths[lengths > 0, None]
    size = float(np.linalg.norm(gradients))
    if size == 0.0 or not len(columns):
        return 1.0 if size > 0.0 else 0.0
    _, rest = scipy.optimize.nnls(columns.T, -gradients / size)
    return float(rest)
