"""A model and its constraints as functions of one flat numpy vector: what scipy's methods work on."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import scipy  # type: ignore[import-untyped]  # its parts are imported when they are used
import torch
from numpy.typing import NDArray
from torch import Tensor

from sgdsheet.compiler.model import SheetModel
from sgdsheet.errors import TrainingError
from sgdsheet.train.constrained.constraints import ConstraintModel
from sgdsheet.train.constrained.problem_kind import problem_kind

Floats = NDArray[np.float64]

_ROWS_AT_ONCE = 64
"""Rows of a Jacobian that are calculated by one backward pass over a batch of vectors."""

Scalar = Callable[[Tensor, Tensor], Tensor]
"""Gives a scalar from the objective, a scalar, and the residuals [residuals]."""


@dataclass(frozen=True, slots=True)
class Point:
    """Parameters `x` [parameters], and the loss, objective and `residuals` [residuals] there.

    `violation` is that of the constraint that is violated most, in the sheet's units; `excess` that as a share of its
    numbers.
    """

    x: Floats
    loss: float
    objective: float
    residuals: Floats
    violation: float
    excess: float

    @property
    def finite(self) -> bool:
        return bool(np.isfinite(self.objective) and np.isfinite(self.residuals).all())

    def better_than(self, other: Point, tolerance: float) -> bool:
        """Whether the point is feasible with a lower objective than another, or else violates constraints less.

        `tolerance` is the `excess` up to which a point is feasible.
        """
        if self.excess <= tolerance and other.excess <= tolerance:
            return self.objective < other.objective
        return self.excess < other.excess


class FlatModel:
    """Values and derivatives at a vector [parameters] of all parameters, in the order of the parameter cells.

    The vector counts in `units` [parameters], which are powers of 2, so that nothing is rounded; 1 unless they are
    given. `lower` and `upper` [parameters] are the bounds, in these units, `magnitudes` [residuals] the sizes that
    violations are relative to.
    """

    most_rows = 5_000
    """Constraints of a linear programme, at most; each costs one backward pass."""

    def __init__(self, model: SheetModel, constraints: ConstraintModel, units: Floats | None = None) -> None:
        self.model = model
        self.constraints = constraints
        self.tensors = [tensor for _, tensor in model.ranges()]
        self.cells = [cell for area, _ in model.ranges() for cell in area.cells()]
        self.units: Floats = np.ones(len(constraints.bounds.lower)) if units is None else units
        self.lower: Floats = constraints.bounds.lower.double().numpy() / self.units
        self.upper: Floats = constraints.bounds.upper.double().numpy() / self.units
        self.magnitudes: Floats = constraints.magnitudes.double().numpy()
        self.split = len(constraints.inequalities)
        self.count = len(self.magnitudes)
        """How many residuals there are; the first `split` are inequalities."""

    @cached_property
    def linear(self) -> bool:
        """Whether the problem is proved to be a linear programme."""
        return problem_kind(self.model, self.constraints).linear

    def objective(self) -> Tensor:
        """What has to become small, at the present parameters: a scalar with a graph for backward."""
        return self.model.objective()

    def residuals(self) -> Tensor:
        """All residuals [residuals] at the present parameters, with a graph for backward."""
        return self.constraints.residuals()

    def get(self) -> Floats:
        """The present parameters [parameters]."""
        found: Floats = torch.cat([tensor.detach().reshape(-1).double().cpu() for tensor in self.tensors]).numpy()
        return found / self.units

    def set(self, x: Floats) -> None:
        """Give the parameters other values [parameters]."""
        start, x = 0, x * self.units
        with torch.no_grad():
            for tensor in self.tensors:
                part = x[start : start + tensor.numel()]
                tensor.copy_(torch.from_numpy(part).reshape(tensor.shape))
                start += tensor.numel()

    def clipped(self, x: Floats) -> Floats:
        """The nearest point [parameters] within the bounds."""
        found: Floats = np.clip(x, self.lower, self.upper)
        return found

    def violations(self, residuals: Floats) -> Floats:
        """How much each constraint [residuals] is violated, in the sheet's units; 0 where it holds."""
        return np.concatenate([np.maximum(residuals[: self.split], 0.0), np.abs(residuals[self.split :])])

    def at(self, x: Floats) -> Point:
        """Values at a point; the parameters stay there."""
        self.set(x)
        with torch.no_grad():
            loss = self.model().double()
            residuals: Floats = self.residuals().double().numpy()
        violated = self.violations(residuals)
        return Point(
            x.copy(),
            float(loss),
            float(self.model.as_objective(loss)),
            residuals,
            float(violated.max(initial=0.0)),
            float((violated / self.magnitudes).max(initial=0.0)),
        )

    def gradient(self, x: Floats, scalar: Scalar) -> tuple[float, Floats]:
        """The value of a scalar at a point, and its gradient [parameters] there."""
        self.set(x)
        with torch.enable_grad():
            value = scalar(self.objective(), self.residuals())
            gradients = torch.autograd.grad(value, self.tensors, allow_unused=True)
        return float(value.detach()), self._joined(gradients)

    def checked_gradients(self, start: Point) -> Floats:
        """The objective's gradient [parameters] at the start.

        Raises TrainingError or DataError, with the cell, if anything there is not finite.
        """
        if not np.isfinite(start.loss):
            self.set(start.x)
            raise self.model.explain_bad_loss()
        for label, residual in zip(self.constraints.labels, start.residuals.tolist(), strict=True):
            if not np.isfinite(residual):
                cause = f"{label} is not a finite number at the start"
                raise TrainingError(cause, cell=label.cell, remedy="Start from other values")
        _, gradients = self.gradient(start.x, objective_alone)
        for cell, gradient, value in zip(self.cells, gradients.tolist(), start.x.tolist(), strict=True):
            if not np.isfinite(gradient):
                cause = f"the loss has no finite gradient here (the cell starts at {value:g})"
                raise TrainingError(cause, cell=cell, remedy="Start from another value")
        return gradients

    def rows(self, x: Floats) -> Iterator[Floats]:
        """The gradients [parameters] of the residuals, one after the other."""
        self.set(x)
        with torch.enable_grad():
            residuals = self.residuals()
        for item in residuals.unbind():
            gradients = torch.autograd.grad(item, self.tensors, retain_graph=True, allow_unused=True)
            yield self._joined(gradients)

    def jacobian(self, x: Floats) -> Floats:
        """The derivatives of all residuals [residuals, parameters]."""
        rows = list(self.rows(x))
        return np.stack(rows) if rows else np.zeros((0, len(x)))

    def sparse_jacobian(self, x: Floats) -> scipy.sparse.csr_array:
        """The derivatives of all residuals [residuals, parameters], most of which may be 0."""
        self.set(x)
        with torch.enable_grad():
            residuals = self.residuals()
        return self.derivatives(residuals, np.arange(len(residuals)))

    def derivatives(self, residuals: Tensor, chosen: NDArray[np.int64]) -> scipy.sparse.csr_array:
        """The derivatives [chosen, parameters] of some of the residuals, which have a graph for backward."""
        columns = sum(tensor.numel() for tensor in self.tensors)
        found = [scipy.sparse.csr_array((0, columns))]
        for start in range(0, len(chosen), _ROWS_AT_ONCE):
            places = torch.from_numpy(chosen[start : start + _ROWS_AT_ONCE])
            units = torch.zeros(len(places), len(residuals), dtype=residuals.dtype)
            units[torch.arange(len(places)), places] = 1.0
            parts = torch.autograd.grad(
                residuals, self.tensors, units, retain_graph=True, is_grads_batched=True, materialize_grads=True
            )
            dense = torch.cat([part.reshape(len(places), -1).double().cpu() for part in parts], dim=1)
            found.append(scipy.sparse.csr_array(dense.numpy() * self.units))
        return scipy.sparse.vstack(found, format="csr")

    def _joined(self, gradients: tuple[Tensor | None, ...]) -> Floats:
        parts = [
            (torch.zeros_like(tensor) if gradient is None else gradient).reshape(-1).double().cpu()
            for gradient, tensor in zip(gradients, self.tensors, strict=True)
        ]
        found: Floats = torch.cat(parts).numpy()
        return found * self.units


def objective_alone(objective: Tensor, residuals: Tensor) -> Tensor:
    """The objective without regard to constraints."""
    return objective
