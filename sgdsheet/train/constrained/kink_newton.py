"""Newton's step along kinks: with the parts that meet at each kink held together, the rest of a problem is smooth.

A linear programme has told which parts meet (those with a price). Of each kink, one of these parts stands for it, and
the others must be equal to it: equations between smooth functions of the sheet's parameters. Fletcher and Sainz de la
Maza, “Nonlinear programming and nonsmooth optimization by successive linear programming”, Mathematical Programming 43
(1989), take this second step, too; for why such a step converges quadratically see Womersley and Fletcher, “An
algorithm for composite nonsmooth optimization problems”, Journal of Optimization Theory and Applications 48 (1986).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from sgdsheet.train.constrained.flat_functions import Floats, Point
from sgdsheet.train.constrained.kinkless_model import KinklessModel

MOST_PARAMETERS = 100
"""Parameters of a sheet up to which the step is taken: each costs a backward pass for second derivatives."""

_PRICED = 1e-7
"""Share of the largest price from which a part counts as one that meets others."""

_FLAT = 1e-10
"""Share of the largest curvature, or derivative, below which there is none."""


@dataclass(frozen=True, slots=True)
class Prices:
    """What the best step of a linear model would gain if a limit were looser.

    `rows` [residuals] are those of the residuals, `low` and `high` [all parameters] those of the bounds.
    """

    rows: Floats
    low: Floats
    high: Floats


def step_along_kinks(flat: KinklessModel, here: Point, prices: Prices, widths: Floats) -> Floats | None:
    """The step [own] of the sheet's parameters to where a parabola along the kinks is lowest; None if there is none.

    `here` is a point whose variables are at their kinks, `widths` [own] the sizes of usual steps.
    """
    own = flat.own
    if own > MOST_PARAMETERS:
        return None
    held = np.maximum(prices.low, prices.high)[:own] > 0
    free = np.flatnonzero(~held)
    if not len(free):
        return None
    priced = np.abs(prices.rows) > _PRICED * float(np.abs(prices.rows).max(initial=0.0))
    standing, rest = _standing(flat, here, prices, priced)
    found = _derivatives(flat, here, standing, np.flatnonzero(rest), prices.rows)
    if found is None:
        return None
    slopes, curvature, gaps, ties = found
    sizes = widths[free]
    step = _lowest(
        slopes[free] * sizes, curvature[np.ix_(free, free)] * np.outer(sizes, sizes), gaps, ties[:, free] * sizes
    )
    whole = np.zeros(own)
    whole[free] = step * sizes
    return whole if np.isfinite(whole).all() else None


def _standing(
    flat: KinklessModel, here: Point, prices: Prices, priced: NDArray[np.bool_]
) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    """Which row stands for each variable [variables], and which others [residuals] count; -1 is the variable's bound.

    It is the row with the highest price, and where none has one, that of the part which the kink is equal to.
    """
    own, (places, _) = flat.own, flat.owners
    tied = np.flatnonzero(places >= 0)
    columns = places[tied] - own
    variables = len(here.x) - own
    standing = np.full(variables, -1)
    order = np.lexsort((here.residuals[tied], np.where(priced[tied], prices.rows[tied], 0.0)))
    standing[columns[order]] = tied[order]  # the last one of each counts
    at_bound = np.maximum(prices.low, prices.high)[own:]
    weakest = np.where(standing >= 0, prices.rows[standing], 0.0)
    unpriced = (weakest <= 0) & (standing >= 0)
    x, reach = here.x[own:], 1e-12 * (1 + np.abs(here.x[own:]))
    there = (np.abs(x - flat.lower[own:]) <= reach) | (np.abs(x - flat.upper[own:]) <= reach)
    apart = np.where(standing >= 0, here.residuals[standing], 0.0) < -reach
    standing[(at_bound > weakest) | (unpriced & there & apart)] = -1
    rest = priced.copy()
    rest[standing[standing >= 0]] = False
    return standing, rest


def _derivatives(
    flat: KinklessModel, here: Point, standing: NDArray[np.int64], rest: NDArray[np.int64], prices: Floats
) -> tuple[Floats, Floats, Floats, Floats] | None:
    """The objective's gradient [own], the Lagrangian's curvature [own, own], the gaps [rest] and theirs [rest, own]."""
    flat.set(here.x)
    _, signs = flat.owners
    tensors, units = flat.base.tensors, flat.units[: flat.own]
    inner = np.where(standing >= 0, standing, 0)
    by_row = torch.from_numpy(standing >= 0)
    turned = torch.from_numpy(np.where(standing >= 0, signs[inner], 0.0))
    at = torch.from_numpy(inner)
    with torch.enable_grad():
        try:
            values = torch.from_numpy(here.x[flat.own :] * flat.units[flat.own :])
            for _ in range(flat.depth):
                _, rows = flat.with_variables(values)
                values = torch.where(by_row, values - turned * rows[at], values)
            objective, rows = flat.with_variables(values)
            slopes = _gradient(objective, tensors)
            chosen = torch.from_numpy(rest)
            lagrangian = objective + (rows[chosen] * torch.from_numpy(prices[rest])).sum()
            curvature = _rows_of(_gradient(lagrangian, tensors), tensors)
            ties = _rows_of(rows[chosen], tensors)
        except (RuntimeError, NotImplementedError):  # nobody can list which operations have no such derivative
            return None
    found = (
        slopes.detach().numpy() * units,
        (curvature + curvature.T).numpy() / 2 * np.outer(units, units),
        rows[chosen].detach().numpy(),
        ties.numpy() * units,
    )
    return found if all(np.isfinite(item).all() for item in found) else None


def _gradient(scalar: Tensor, tensors: Sequence[Tensor]) -> Tensor:
    parts = torch.autograd.grad(scalar, tensors, create_graph=True, materialize_grads=True)
    return torch.cat([part.reshape(-1).double() for part in parts])


def _rows_of(vector: Tensor, tensors: Sequence[Tensor]) -> Tensor:
    """The derivatives [numbers of the vector, own] of each number of a vector."""
    width = sum(tensor.numel() for tensor in tensors)
    found = [
        torch.cat(
            [part.reshape(-1) for part in torch.autograd.grad(item, tensors, retain_graph=True, materialize_grads=True)]
        )
        if item.requires_grad
        else torch.zeros(width, dtype=torch.float64)
        for item in vector.unbind()
    ]
    return torch.stack(found) if found else torch.zeros(0, width, dtype=torch.float64)


def _lowest(slopes: Floats, curvature: Floats, gaps: Floats, ties: Floats) -> Floats:
    """The step [parameters] that closes the gaps, and along what they leave free goes to the bottom of the parabola."""
    closing, along = np.zeros(len(slopes)), np.eye(len(slopes))
    if len(gaps):
        left, sizes, right = np.linalg.svd(ties)
        rank = int((sizes > _FLAT * sizes.max(initial=0.0)).sum())
        closing = right[:rank].T @ ((left[:, :rank].T @ -gaps) / sizes[:rank])
        along = right[rank:].T
    if not along.shape[1]:
        return closing
    bends, ways = np.linalg.eigh(along.T @ curvature @ along)
    largest = float(np.abs(bends).max())
    if largest == 0.0:
        return closing
    bends = np.maximum(np.abs(bends), _FLAT * largest)
    return np.asarray(closing - along @ (ways @ ((ways.T @ (along.T @ (slopes + curvature @ closing))) / bends)))
