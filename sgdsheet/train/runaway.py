"""Losses without a finite optimum: they get better for ever, ever more slowly, as parameters grow.

So it is with the likelihood of a logistic, probit or multinomial regression whose data are separated, completely or in
part (Albert and Anderson, “On the existence of maximum likelihood estimates in logistic regression models”, Biometrika
71, 1984), and with curves of which the data determine no more than an asymptote. Near a minimum Newton's steps become
short at once, ever shorter near one that is flat; where there is none, they go on in one direction, and are as long as
before: one unit of the exponent after another for an exponential, half of the parameter itself for a power of it.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from sgdsheet.train.second_derivatives import Vector, flattened, gradient_of, hessian_of
from sgdsheet.train.tensors import put

_STEPS, _FEWEST = 8, 5
"""Newton's steps that are taken, and after how many finite ones their course tells something."""

_PACE = 0.5
"""The share of the first step, at least, that every later one is long; near a minimum like that of x⁴, a step is two
thirds of the one before."""

_MORE_STEPS, _SLOWEST = 40, 0.2
"""Further steps that have to find no minimum either, and the share of the first step that the last of them is long, at
least: towards a minimum like that of x¹², each is only a little shorter than the one before."""

_NO_STEP = 1e-6
"""A step of this share of the parameter is none: so near, other criteria take it for the minimum."""

_FLAT = 1e-10
"""Curvatures below this share of the largest are rounding errors."""

_AT_BOUND = 1e-10
"""Distance from a bound, relative to the parameter, up to which it is at the bound."""

_ROUNDING = 1e-13
"""Share of the objective by which it may rise in a step."""

_BACK = (1.0, 0.5, 0.25)
"""Where the steps begin: at the parameters, or at these shares of the way to them, where nothing is finite at the end,
or so flat that no digit of a derivative is left."""

_LISTED = 4
"""Cells that a sentence names."""


@dataclass(frozen=True, slots=True)
class Runaway:
    """Parameters that grow for ever: their places, their values, and how far the last of Newton's steps takes them."""

    places: NDArray[np.int64]
    values: Vector
    steps: Vector
    accelerating: bool
    """Whether the steps get longer, as where a curve only comes nearer to an asymptote."""

    def in_words(self, cells: Sequence[object]) -> str:
        """Why there is no finite optimum, and what to do about it."""
        order = np.argsort(-np.abs(self.steps), kind="stable")
        named = [
            f"{cells[self.places[place]]} ({self.values[place]:.4g}) {'rises' if self.steps[place] > 0 else 'falls'}"
            for place in order[:_LISTED]
        ]
        more = len(order) - len(named)
        listed = " and ".join([", ".join(named[:-1]), named[-1]] if len(named) > 1 else named)
        also = f", and {more} more with them" if more else ""
        cause = (
            "the data do not determine how far"
            if self.accelerating
            else "as a likelihood does where these parameters separate the data, or some of them, without an error"
        )
        return (
            f"the loss gets better for ever, ever more slowly, while {listed}{also} ({cause}); "
            "give bounds or a penalty, or leave these parameters out"
        )


def runaway(
    objective: Callable[[], Tensor],
    parameters: Sequence[Tensor],
    start: Vector,
    lower: Vector | None = None,
    upper: Vector | None = None,
) -> Runaway | None:
    """The parameters that Newton's steps drive away at a constant pace; None where there are none.

    `objective` calculates what has to become small from the parameters as they are; they are the same afterwards.
    `start` [parameters] are the parameters at the start. Those with bounds, `lower` and `upper` [parameters], stay as
    they are where they are at one, and run away from the side that has none only.
    """
    end = flattened(parameters)
    low = np.full(len(end), -np.inf) if lower is None else lower
    high = np.full(len(end), np.inf) if upper is None else upper
    reach = _AT_BOUND * (1 + np.abs(end))
    free = (end - low > reach) & (high - end > reach)
    if not free.any() or np.array_equal(start, end) or any(item.dtype != torch.float64 for item in parameters):
        return None
    kept = [tensor.detach().clone() for tensor in parameters]
    try:
        for share in _BACK:
            found = _walk(objective, parameters, start + share * (end - start), free)
            if found is None:
                continue
            lost, steps, accelerating = found
            endless = np.isinf(np.where(steps > 0, high[lost], low[lost])).all()
            return Runaway(lost, end[lost], steps, accelerating) if len(lost) and endless else None
    finally:
        put(parameters, kept)
    return None


def _walk(
    objective: Callable[[], Tensor], parameters: Sequence[Tensor], x: Vector, free: NDArray[np.bool_]
) -> tuple[NDArray[np.int64], Vector, bool] | None:
    """The places that run away from a point [parameters], their last steps, and whether these get longer.

    None where nothing can be told from there.
    """
    x, course, before = x.copy(), list[Vector](), math.inf
    running = free.copy()
    for _ in range(_STEPS + 1):
        _set(parameters, x)
        value, step, _ = _newton(objective, parameters, free)
        if step is None or not math.isfinite(value):
            break
        if value > before + _ROUNDING * abs(before):
            return np.zeros(0, np.int64), np.zeros(0), False
        before = value
        course.append(step)
        running &= np.abs(step) > _NO_STEP * np.abs(x)
        running &= step * course[0] > 0
        if len(course) > 2:  # the first step may lead elsewhere
            running &= np.abs(step) >= _PACE * np.abs(course[1])
        if not running.any():
            return np.zeros(0, np.int64), np.zeros(0), False
        x = x + step
    if len(course) < _FEWEST:
        return None
    lost = np.flatnonzero(running)
    if len(course) > _STEPS and not _goes_on(objective, parameters, x, free, lost, course):
        return np.zeros(0, np.int64), np.zeros(0), False
    growth = np.abs(course[-1][lost]) / np.abs(course[1][lost])
    return lost, course[-1][lost], bool(np.median(growth) > 2)


def _goes_on(
    objective: Callable[[], Tensor],
    parameters: Sequence[Tensor],
    x: Vector,
    free: NDArray[np.bool_],
    lost: NDArray[np.int64],
    course: Sequence[Vector],
) -> bool:
    """Whether no minimum comes after a point [parameters] to which Newton's steps have led, of the places `lost`.

    Towards that of eˣ - 1000 x, too, they are as long as before, until they are there. Where derivatives have no digits
    left on the way, nothing comes.
    """
    rank, last = 0, course[-1]
    for _ in range(_MORE_STEPS):
        _set(parameters, x)
        value, step, curved = _newton(objective, parameters, free)
        if step is None or not math.isfinite(value) or curved < rank:
            return True
        if (np.abs(step[lost]) < _PACE * np.abs(last[lost])).all():
            return False
        rank, last, x = curved, step, x + step
    return bool((np.abs(last[lost]) >= _SLOWEST * np.abs(course[1][lost])).any())


def _newton(
    objective: Callable[[], Tensor], parameters: Sequence[Tensor], free: NDArray[np.bool_]
) -> tuple[float, Vector | None, int]:
    """The objective, Newton's step [parameters], and in how many directions something curves.

    The step is None where it curves downwards, or nothing curves at all.
    """
    value, graph, gradient = gradient_of(objective, parameters)
    if not math.isfinite(value) or not np.isfinite(gradient).all():
        return value, None, 0
    hessian = hessian_of(graph, parameters, free)
    if hessian is None or not (np.diag(hessian) >= 0).all() or not hessian.any():
        return value, None, 0
    diagonal = np.diag(hessian)
    scales = np.where(diagonal > 0, 1 / np.sqrt(np.where(diagonal > 0, diagonal, 1.0)), 0.0)
    curvatures, directions = np.linalg.eigh(hessian * np.outer(scales, scales))
    along = directions.T @ (scales * gradient[free])
    largest = float(curvatures[-1])
    if curvatures[0] < -1e-6 * largest:
        return value, None, 0
    kept = curvatures > _FLAT * largest
    step = np.zeros(len(gradient))
    step[free] = -scales * (directions[:, kept] @ (along[kept] / curvatures[kept]))
    return value, step, int(kept.sum())


def _set(parameters: Sequence[Tensor], x: Vector) -> None:
    sizes = [tensor.numel() for tensor in parameters]
    parts = np.split(x, np.cumsum(sizes)[:-1])
    put(parameters, [torch.from_numpy(part).reshape(own.shape) for part, own in zip(parts, parameters, strict=True)])
