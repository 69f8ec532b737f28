"""Small things that are done with lists of parameters."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor


def put(targets: Sequence[Tensor], values: Sequence[Tensor]) -> None:
    """Overwrite tensors, parameters among them."""
    with torch.no_grad():
        for target, value in zip(targets, values, strict=True):
            target.copy_(value)


def copies(tensors: Sequence[Tensor]) -> list[Tensor]:
    """Values that later changes do not touch."""
    return [tensor.detach().clone() for tensor in tensors]


def norm_of_gradient(parameters: Sequence[Tensor]) -> float:
    """Euclidean length of the gradient that backward left."""
    parts = [torch.linalg.vector_norm(parameter.grad) for parameter in parameters if parameter.grad is not None]
    return float(torch.linalg.vector_norm(torch.stack(parts)).item()) if parts else 0.0
