"""Problems that have no solution, and why: constraints that exclude each other, a loss that gets better without end."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import scipy  # type: ignore[import-untyped]  # its parts are imported when they are used
import torch
from torch import Tensor

from sgdsheet.errors import TrainingError
from sgdsheet.problem.definition import Direction
from sgdsheet.sheet.references import Cell
from sgdsheet.train.constrained.exact import LinearProgram
from sgdsheet.train.constrained.flat_functions import FlatModel, Floats, Point

_LOOSEN = "Loosen a constraint, or start from other values"

WITHOUT_LIMIT = 1e20
"""An objective below minus this, in terms of what it is at the start, falls without limit."""

_NAMED = 3
"""Constraints and cells that a message names."""

_ALSO = 1e-3
"""Share of the largest violation from which another constraint counts as violated, too."""

_MOVES = 1e-3
"""Share of the largest movement from which a parameter is part of a way without end."""


def infeasible(flat: FlatModel, point: Point) -> TrainingError:
    """The error for constraints that exclude each other, from the point where their violations are smallest.

    There the pushes of the constraints balance, so those that are violated, and the bounds that hold against them, are
    those that exclude each other.
    """
    shares = flat.violations(point.residuals) / flat.magnitudes
    worst = int(np.argmax(shares))
    order = [int(place) for place in np.argsort(-shares) if shares[place] > _ALSO * shares[worst]]
    others = [place for place in order if place != worst]
    violated = float(flat.violations(point.residuals)[worst])
    return excluded(flat, worst, others, _bounds_in_the_way(flat, point), violated)


def excluded(
    flat: FlatModel, worst: int, others: Sequence[int], bounds: Sequence[Cell], violated: float, *, whole: bool = False
) -> TrainingError:
    """The error for a constraint, by the place of its residual, that other ones and the bounds of cells exclude.

    `violated` is by how much it is violated at best. With `whole`, other numbers than whole ones would meet them all.
    """
    label = flat.constraints.labels[worst]
    named = [f"{item.constraint.name} ({item.cell})" for item in (flat.constraints.labels[place] for place in others)]
    more = len(named) > _NAMED
    named = named[:_NAMED]
    if bounds:
        named.append(f"the bound{'s' * (len(bounds) > 1)} of {_listed(bounds)}")
    if more:
        named.append("others")
    together = f" together with {' and '.join(named)}" if named else "" if whole else " together with the others"
    numbers = " by whole numbers" if whole else ""
    return TrainingError(
        f"{label} cannot be met{numbers}{together}: at best it is violated by {violated:.6g}",
        cell=label.cell,
        remedy="Loosen a constraint, or allow other numbers" if whole else _LOOSEN,
    )


def _bounds_in_the_way(flat: FlatModel, point: Point) -> list[Cell]:
    """The parameters that would have to pass a bound for the violations to get smaller."""
    sizes = torch.from_numpy(flat.magnitudes)

    def squares(_: Tensor, residuals: Tensor) -> Tensor:
        return (flat.constraints.violations(residuals) / sizes.to(residuals)).square().sum()

    _, gradient = flat.gradient(point.x, squares)
    reach = 1e-7 * (1 + np.abs(point.x))
    low, high = point.x - flat.lower <= reach, flat.upper - point.x <= reach
    push = np.where(low & (gradient > 0) | high & (gradient < 0), np.abs(gradient), 0.0)
    if not push.any():
        return []
    order = np.argsort(-push)
    return [flat.cells[place] for place in order if push[place] > _ALSO * push.max()]


def unlimited(flat: FlatModel, way: Floats | None) -> TrainingError:
    """The error for a loss that gets better without end; `way` [parameters] is how far each parameter moves."""
    problem = flat.model.problem
    grows = problem.direction is Direction.MAXIMISE
    cells: list[Cell] = []
    if way is not None and np.isfinite(way).all() and way.any():
        lengths = np.abs(way)
        order = np.argsort(-lengths, kind="stable")
        cells = [flat.cells[place] for place in order if lengths[place] > _MOVES * lengths.max()]
    through = f" by {_listed(cells)}" if cells else ""
    return TrainingError(
        f"the loss can {'grow' if grows else 'fall'} without limit{through}",
        cell=problem.loss,
        remedy="Add the bound or constraint that is missing, or change the direction",
    )


def endless_way(program: LinearProgram) -> Floats | None:
    """A direction [parameters] in which a linear programme gets better for ever; None if there is none."""
    count, split = len(program.costs), program.split
    lower = np.where(np.isfinite(program.lower), 0.0, -1.0)
    upper = np.where(np.isfinite(program.upper), 0.0, 1.0)
    rows = program.rows
    result = scipy.optimize.linprog(
        program.costs,
        A_ub=rows[:split] if split else None,
        b_ub=np.zeros(split) if split else None,
        A_eq=rows[split:] if split < rows.shape[0] else None,
        b_eq=np.zeros(rows.shape[0] - split) if split < rows.shape[0] else None,
        bounds=np.column_stack([lower, upper]),
        method="highs",
    )
    return np.asarray(result.x, dtype=np.float64) if result.status == 0 and count and result.x.any() else None


def _listed(cells: Sequence[Cell]) -> str:
    names = [str(cell) for cell in cells[:_NAMED]]
    if len(cells) > _NAMED:
        return ", ".join(names) + ", …"
    return " and ".join([", ".join(names[:-1]), names[-1]]) if len(names) > 1 else names[0]
