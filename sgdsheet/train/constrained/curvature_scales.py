"""Units for parameters of different magnitudes, from the curvatures of the loss: what L-BFGS takes its steps in.

In these units the loss curves alike along every parameter, as scaling by the columns of the Jacobian does for least
squares (Moré, “The Levenberg-Marquardt algorithm: implementation and theory”, 1978).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import torch
from torch import Tensor

MOST_PARAMETERS = 100
"""Parameters up to which second derivatives are calculated: each costs a backward pass."""

_WORTH = 100.0
"""Ratio of the largest to the smallest unit from which steps are taken in units of their own."""

_FLAT = 1e-20
"""Curvatures below this share of the largest are 0 but for rounding."""


def curvature_scales(objective: Callable[[], Tensor], parameters: Sequence[Tensor]) -> list[float]:
    """The unit of each parameter [parameters]; empty where they are much alike, or nothing is known.

    A unit is as long as the step to the minimum of the parabolas along the parameters, taken together, would have it:
    in these units that step has the length 1. `objective` calculates what has to become small, a scalar.
    """
    if sum(parameter.numel() for parameter in parameters) > MOST_PARAMETERS:
        return []
    with torch.enable_grad():
        try:
            value = objective()
            parts = torch.autograd.grad(value, list(parameters), create_graph=True, materialize_grads=True)
            gradient = torch.cat([part.reshape(-1) for part in parts])
            bends = diagonal(gradient, parameters)
        except (RuntimeError, NotImplementedError):  # nobody can list which operations have no such derivative
            return []
    slopes = gradient.detach().double()
    if not bool(torch.isfinite(bends).all() & torch.isfinite(slopes).all()):
        return []
    sizes = bends.abs()
    flat = sizes <= _FLAT * float(sizes.max())
    if bool(flat.all()):
        return []
    lengths = 1 / torch.sqrt(torch.where(flat, 1.0, sizes))
    lengths[flat] = float(lengths[~flat].median())
    step = math.sqrt(float(((slopes * lengths)[~flat]).square().sum()))
    if float(lengths.max() / lengths.min()) < _WORTH or not 0 < step < math.inf:
        return []
    return [float(item) for item in (lengths * step).tolist()]


def diagonal(gradient: Tensor, parameters: Sequence[Tensor]) -> Tensor:
    """The second derivatives [parameters] along each parameter, from the gradient [parameters] with its graph."""
    found: list[Tensor] = []
    at = 0
    for parameter in parameters:
        for place in range(parameter.numel()):
            item = gradient[at + place]
            if not item.requires_grad:
                found.append(torch.zeros((), dtype=torch.float64))
                continue
            row = torch.autograd.grad(item, parameter, retain_graph=True, materialize_grads=True)[0]
            found.append(row.reshape(-1)[place].double())
        at += parameter.numel()
    return torch.stack(found)
