"""Objectives that have no optimum unless something limits their parameters, found by looking along straight ways."""

from __future__ import annotations

import math
from collections.abc import Iterator
from itertools import pairwise

import torch
from torch import Tensor

from sgdsheet.compiler.model import SheetModel
from sgdsheet.errors import ProblemError
from sgdsheet.problem.definition import Direction
from sgdsheet.sheet.references import Cell

_FAR = (0.1, 1.0, 10.0, 100.0)
"""How far from the start the gradient is looked at, in sizes of the parameters."""

_RAY = (10.0, 1e3, 1e5)
"""How far along its gradient the objective is looked at, in sizes of the parameters."""

_FACTORS = (1.5, 3.0, 10.0, 100.0, 1000.0)
"""How many times a parameter is taken, or which part of it, to see whether its objective has an optimum between."""

_MORE = 1e-9
"""The share by which an objective has to be better to be so for certain."""

_MOST_ALONE = 24
"""Parameters up to which each is moved alone."""

_REMEDY = (
    "Limit them: name cells with comparisons, such as =F6<=F7, sgd_constraints, or set them up in Excel's Solver,"
    " whose models are read from the file"
)


def refuse_without_optimum(model: SheetModel, *, is_fit: bool) -> None:
    """Raise ProblemError for a loss without a gradient, and for one that only ever gets better.

    A sum of squares or logarithms (`is_fit`) has an optimum even where each of its parameters alone has none.
    """
    loss = model.problem.loss
    start = _gradient(model)
    if not bool(start.isfinite().all()):
        raise ProblemError("its gradient is not finite", cell=loss, remedy="Start from other parameters")
    if not bool(start.any()):
        raise ProblemError("its gradient is zero", cell=loss, remedy="Start from other parameters")
    if _is_linear(model, start):
        cause = "it is linear in its parameters: without constraints it has no optimum"
    elif _grows(_gains(model, start, _RAY)):
        cause = "it gets better without end along its gradient: without constraints it has no optimum"
    elif not is_fit and _only_gets_better(model, start):
        cause = "it only gets better the farther each of its parameters goes: without constraints it has no optimum"
    else:
        return
    raise ProblemError(cause, cell=loss, remedy=_REMEDY)


def cells_without_end(model: SheetModel) -> list[Cell]:
    """The parameters each of which alone makes the objective better without end, at least in proportion."""
    if model.problem.parameter_count > _MOST_ALONE:
        return []
    start = _gradient(model)
    cells = [cell for area, _ in model.ranges() for cell in area.cells()]
    return [cell for cell, alone in zip(cells, _each_alone(start), strict=True) if _grows(_gains(model, alone, _RAY))]


def grows_with_scale(model: SheetModel) -> bool:
    """Whether the objective gets better and better as all parameters become larger together.

    So it does for a Sharpe ratio of weights that need not come to 1: its optimum is without end.
    """
    before = [tensor.detach().clone() for _, tensor in model.ranges()]
    found: list[float] = []
    with torch.no_grad():
        for times in (1.0, *_RAY):
            for (_, tensor), old in zip(model.ranges(), before, strict=True):
                tensor.copy_(old * times)
            found.append(float(model.objective()))
        for (_, tensor), old in zip(model.ranges(), before, strict=True):
            tensor.copy_(old)
    return all(
        math.isfinite(nearer) and math.isfinite(farther) and nearer - farther > _MORE * abs(nearer)
        for nearer, farther in pairwise(found)
    )


def _each_alone(gradient: Tensor) -> Iterator[Tensor]:
    """The gradient [parameters] with all but one of its numbers 0, for each of them."""
    for place in range(len(gradient)):
        alone = torch.zeros_like(gradient)
        alone[place] = gradient[place]
        yield alone


def _only_gets_better(model: SheetModel, start: Tensor) -> bool:
    """Whether each parameter alone makes the objective better and better: outwards, or through 0 to the other side."""
    present = torch.cat([tensor.detach().flatten() for _, tensor in model.ranges()])
    if len(present) > _MOST_ALONE or not bool(present.all()):
        return False
    better = _better(model) * start.sign()
    for place, alone in enumerate(_each_alone(start)):
        if not bool(alone.any()):
            continue
        outwards = float(better[place] * present[place]) > 0
        size = abs(float(present[place]))
        steps = [size * (factor - 1 if outwards else 1 - 1 / factor) for factor in _FACTORS]
        steps += [] if outwards else [2 * size, 10 * size]
        gains = [0.0, *_gains(model, alone, steps, relative=False)]
        if not all(math.isfinite(gain) for gain in gains) or not all(one < two for one, two in pairwise(gains)):
            return False
    return True


def _better(model: SheetModel) -> float:
    """The sign of the direction, along the gradient of the loss, in which the objective gets better."""
    return -1.0 if model.problem.direction is Direction.MINIMISE else 1.0


def _gains(
    model: SheetModel, gradient: Tensor, ways: tuple[float, ...] | list[float], *, relative: bool = True
) -> list[float]:
    """How much better the objective is so far along the sign of a gradient [parameters], in sizes of the parameters.

    The ways are distances where they are not `relative`. The parameters end where they began.
    """
    direction = (_better(model) * gradient).sign().split([tensor.numel() for _, tensor in model.ranges()])
    gains: list[float] = []
    before = [tensor.detach().clone() for _, tensor in model.ranges()]
    with torch.no_grad():
        start = float(model.objective())
        for way in ways:
            for (_, tensor), old, part in zip(model.ranges(), before, direction, strict=True):
                size = old.abs().clamp(min=1.0) if relative else torch.ones_like(old)
                tensor.copy_(old + part.reshape(old.shape) * size * way)
            gains.append(start - float(model.objective()))
        for (_, tensor), old in zip(model.ranges(), before, strict=True):
            tensor.copy_(old)
    return gains


def _grows(gains: list[float]) -> bool:
    """Whether what is gained along a ray grows without end, at least in proportion."""
    return all(
        math.isfinite(gain) and gain > 0.5 * (far / near) * less > 0
        for (near, less), (far, gain) in pairwise(zip(_RAY, gains, strict=True))
    )


def _gradient(model: SheetModel) -> Tensor:
    """The gradient of the loss [parameters]; 0 for those that it does not depend on."""
    tensors = [tensor for _, tensor in model.ranges()]
    parts = torch.autograd.grad(model(), tensors, allow_unused=True)
    return torch.cat(
        [
            (torch.zeros_like(tensor) if part is None else part).flatten()
            for part, tensor in zip(parts, tensors, strict=True)
        ]
    )


def _is_linear(model: SheetModel, start: Tensor) -> bool:
    """Whether the gradient is the same near and far."""
    generator = torch.Generator().manual_seed(0)
    largest = float(start.abs().max())
    try:
        for far in _FAR:
            with torch.no_grad():
                for _, tensor in model.ranges():
                    size = tensor.abs().clamp(min=1.0) * far
                    draw = torch.rand(tensor.shape, generator=generator, dtype=tensor.dtype)
                    tensor.add_(size * (2 * draw - 1))
            there = _gradient(model)
            if not bool(((there - start).abs() <= 1e-9 * largest).all()):
                return False
    finally:
        model.reset_parameters()
    return True
