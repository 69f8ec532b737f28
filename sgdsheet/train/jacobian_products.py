"""A Jacobian that is never written down: its products with vectors, from two backward passes."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from sgdsheet.compiler.ir.weighted_gradients import weighted_gradients

Floats = NDArray[np.float64]

_PROBES = 12
"""Random vectors from which the lengths of the columns are estimated."""


class JacobianProducts:
    """The Jacobian J [residuals, parameters] of residuals at a point, as the products J·v and J'·u.

    J'·u is a backward pass. It is linear in u, and so J·v is the backward pass of that one.
    """

    def __init__(self, residuals: Callable[..., Tensor], parameters: Sequence[Tensor]) -> None:
        with torch.enable_grad():
            self._places = [tensor.detach().requires_grad_() for tensor in parameters]
            self._found = residuals(*self._places)
            self._vector = torch.zeros_like(self._found, requires_grad=True)
            self._parts = weighted_gradients(
                self._found, self._places, self._vector, create_graph=True, materialize_grads=True
            )

    @property
    def shape(self) -> tuple[int, int]:
        """How many residuals and parameters there are."""
        return self._found.numel(), sum(place.numel() for place in self._places)

    def forward(self, direction: Floats) -> Floats:
        """J·v [residuals] for a direction v [parameters]."""
        pieces = torch.from_numpy(np.array(direction, dtype=np.float64)).split([item.numel() for item in self._places])
        pairs = [
            (part, piece.reshape(part.shape))
            for part, piece in zip(self._parts, pieces, strict=True)
            if part.requires_grad
        ]
        if not pairs:
            return np.zeros(self.shape[0])
        parts, weights = zip(*pairs, strict=True)
        (found,) = weighted_gradients(parts, [self._vector], weights, retain_graph=True, materialize_grads=True)
        return np.asarray(found.numpy())

    def adjoint(self, weights: Floats) -> Floats:
        """J'·u [parameters] for weights u [residuals]."""
        vector = torch.from_numpy(np.array(weights, dtype=np.float64))
        parts = weighted_gradients(self._found, self._places, vector, retain_graph=True, materialize_grads=True)
        return np.asarray(torch.cat([part.reshape(-1) for part in parts]).numpy())

    def lengths(self) -> Floats:
        """The lengths of the columns [parameters], estimated: products with random signs have them on average."""
        random = np.random.default_rng(0)
        squares = [self.adjoint(random.choice((-1.0, 1.0), self.shape[0])) ** 2 for _ in range(_PROBES)]
        return np.asarray(np.sqrt(np.mean(squares, axis=0)))
