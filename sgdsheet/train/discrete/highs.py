"""HiGHS, the solver for linear programmes with whole numbers, in a thread of its own.

Huangfu and Hall, “Parallelizing the dual revised simplex method”, Mathematical Programming Computation 10 (2018).
"""

from __future__ import annotations

import math
from collections.abc import Generator
from dataclasses import dataclass, replace
from threading import Thread
from typing import Any

import numpy as np
import scipy  # type: ignore[import-untyped]  # its parts are imported when they are used
from numpy.typing import NDArray

from sgdsheet.train.constrained.flat_functions import Floats

OPTIMAL, STOPPED, INFEASIBLE, UNBOUNDED = 0, 1, 2, 3
"""The statuses of scipy.optimize.milp; others are trouble."""

_TROUBLE, _NODES_USED = 4, "Solution limit reached"
"""What SciPy makes of a limit of nodes that is reached: a status for trouble, and HiGHS's own words."""

PATIENCE = 0.25
"""Seconds between two looks at the solver."""

_MARGIN = 1e-6
"""How far beyond a limit, relative to its numbers, values are kept: constraints and rounding have tolerances."""

_GAP = 1e-9
"""The gap at which HiGHS may stop, where none is set; its own default would be a hundred thousand times that."""


@dataclass(frozen=True, slots=True)
class IntegerProgram:
    """A linear model: minimise `costs` · x + `constant`, with low <= rows · x <= high and lower <= x <= upper.

    The first variables are the parameters; behind them stand those that say which of them has which number in a
    permutation, and the distance from the target where a value is to be reached. `whole` [variables] tells which take
    whole numbers only; those from the first to before the second place of `implied` are whole as soon as these are. The
    first rows are the constraints of the sheet, in the order of their residuals.
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
    implied: tuple[int, int] = (0, 0)


def in_thread(
    program: IntegerProgram, seconds: float, gap: float, nodes: int | None = None
) -> Generator[None, None, Any]:
    """Run HiGHS, and yield every now and then; returns SciPy's result for the scaled programme.

    It ends after so many seconds, or `nodes` of its tree. Nothing can end HiGHS before: it is left to itself if nobody
    waits for it any more.
    """
    scaled, results = _scaled(program), list[Any]()
    options: dict[str, float] = {"time_limit": seconds, "mip_rel_gap": max(gap, _GAP)}
    if nodes is not None:
        options["node_limit"] = nodes
    thread = Thread(target=lambda: results.append(highs(scaled, options)), name="HiGHS", daemon=True)
    thread.start()
    while True:
        thread.join(PATIENCE)
        if not thread.is_alive():
            break
        yield
    (result,) = results
    if isinstance(result, Exception):
        raise result
    if result.status == _TROUBLE and _NODES_USED in result.message:
        result.status = STOPPED
    return result


def is_infeasible(program: IntegerProgram, seconds: float) -> bool:
    """Whether it is proved within so many seconds that no point meets the constraints, whatever it costs."""
    free = replace(program, costs=np.zeros(len(program.costs)))
    result = highs(_scaled(free), {"time_limit": seconds})
    return not isinstance(result, Exception) and result.status == INFEASIBLE


def lowest_cost(program: IntegerProgram, result: Any) -> float | None:
    """What no point costs less than, as a result of `in_thread` proves; None if it proves nothing."""
    bound = result.mip_dual_bound
    if bound is None or not math.isfinite(bound):
        return None
    return float(bound) / cost_factor(program) + program.constant


def with_whole_fixed(program: IntegerProgram, x: Floats) -> Floats | None:
    """The best other variables for the whole numbers of a point [variables], to the last digits; None if it fails."""
    whole = np.round(x)
    equal = program.low == program.high
    result = scipy.optimize.linprog(
        program.costs * cost_factor(program),
        A_ub=program.rows[~equal],
        b_ub=program.high[~equal],
        A_eq=program.rows[equal],
        b_eq=program.high[equal],
        bounds=np.column_stack(
            [np.where(program.whole, whole, program.lower), np.where(program.whole, whole, program.upper)]
        ),
        method="highs",
        options={"primal_feasibility_tolerance": 1e-10, "dual_feasibility_tolerance": 1e-10},
    )
    return np.asarray(result.x, dtype=np.float64) if result.status == 0 else None


def narrowed(programme: IntegerProgram, limit: float) -> IntegerProgram:
    """The programme without values of whole numbers that by themselves break a constraint, or cost more than `limit`.

    `limit` is the cost of a point that is known, infinite where none is. What is fixed leaves the costs and the rows:
    beside a number like 1E9 that forbids something, HiGHS does not tell apart all others.
    """
    every = scipy.sparse.coo_array(scipy.sparse.vstack([programme.rows, scipy.sparse.csr_array(programme.costs[None])]))
    every.eliminate_zeros()
    whole = programme.whole.copy()
    whole[slice(*programme.implied)] = True
    lower, upper = programme.lower.copy(), programme.upper.copy()
    ends = np.append(programme.high, limit - programme.constant), -np.append(programme.low, -np.inf)
    for sign, high in zip((1.0, -1.0), ends, strict=True):
        factors, (rows, columns) = sign * every.data, every.coords
        least = factors * np.where(factors > 0, programme.lower[columns], programme.upper[columns])
        least = np.bincount(rows, least, len(high))
        left = np.maximum(high - least, 0.0) + _MARGIN * (1 + np.abs(high) + np.abs(least))
        with np.errstate(over="ignore"):
            reach = np.floor(left[rows] / np.abs(factors))
        rising = whole[columns] & (factors > 0) & np.isfinite(reach)
        falling = whole[columns] & (factors < 0) & np.isfinite(reach)
        np.minimum.at(upper, columns[rising], np.ceil(programme.lower[columns[rising]]) + reach[rising])
        np.maximum.at(lower, columns[falling], np.floor(programme.upper[columns[falling]]) - reach[falling])
    fixed = lower == upper
    known = np.where(fixed, lower, 0.0)
    gone = programme.rows @ known
    return replace(
        programme,
        costs=np.where(fixed, 0.0, programme.costs),
        constant=programme.constant + float(programme.costs @ known),
        rows=scipy.sparse.csr_array(programme.rows @ scipy.sparse.diags_array(np.where(fixed, 0.0, 1.0))),
        low=programme.low - gone,
        high=programme.high - gone,
        lower=lower,
        upper=upper,
    )


def cost_factor(programme: IntegerProgram) -> float:
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
    return replace(programme, costs=programme.costs * cost_factor(programme), rows=rows, low=low, high=high)


def highs(programme: IntegerProgram, options: dict[str, float]) -> Any:
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
