"""First and second derivatives of an objective, at the parameters as they are."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

Vector = NDArray[np.float64]


def flattened(tensors: Sequence[Tensor]) -> Vector:
    """Tensors as one vector of numbers."""
    return np.asarray(torch.cat([tensor.detach().reshape(-1) for tensor in tensors]).cpu().double().numpy())


def gradient_of(objective: Callable[[], Tensor], parameters: Sequence[Tensor]) -> tuple[float, Tensor, Vector]:
    """The objective, and its gradient [parameters]: with a graph for second derivatives, and as numbers."""
    value = objective()
    if not value.requires_grad:
        nothing = torch.cat([torch.zeros_like(tensor).reshape(-1) for tensor in parameters])
        return float(value.detach()), nothing, flattened([nothing])
    parts = torch.autograd.grad(value, list(parameters), create_graph=True, materialize_grads=True)
    whole = torch.cat([part.reshape(-1) for part in parts])
    return float(value.detach()), whole, flattened([whole])


def hessian_of(graph: Tensor, parameters: Sequence[Tensor], free: NDArray[np.bool_]) -> NDArray[np.float64] | None:
    """The second derivatives [free, free] by the free parameters, from the gradient [parameters] with its graph.

    None where they cannot be calculated.
    """
    places = np.flatnonzero(free)
    if not graph.requires_grad:
        return np.zeros((len(places), len(places)))
    rows = []
    try:
        for index in places.tolist():
            parts = torch.autograd.grad(graph[index], list(parameters), retain_graph=True, materialize_grads=True)
            rows.append(flattened(parts)[places])
    except (RuntimeError, NotImplementedError):
        return None
    found = np.stack(rows) if rows else np.zeros((0, 0))
    return (found + found.T) / 2 if np.isfinite(found).all() else None
