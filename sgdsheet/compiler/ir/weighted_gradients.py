"""Gradients of a weighted sum: the product of a Jacobian's transpose with a vector."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor


def weighted_gradients(
    outputs: Tensor | Sequence[Tensor], sources: Sequence[Tensor], weights: Tensor | Sequence[Tensor], **options: Any
) -> tuple[Tensor, ...]:
    """What `torch.autograd.grad(outputs, sources, weights, **options)` gives: to be called with autograd.

    That function loads sympy when it is given weights, which takes longer than most runs.
    """
    first, second = ([item] if isinstance(item, Tensor) else item for item in (outputs, weights))
    with torch.enable_grad():
        sums = [torch.sum(output * weight) for output, weight in zip(first, second, strict=True)]
        found: tuple[Tensor, ...] = torch.autograd.grad(torch.stack(sums).sum(), sources, **options)
    return found
