"""The gradient, and findings about it: where it explodes, and where it is too small to get on."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from sgdsheet.analysis.diagnosis.curvature import Spectrum, Vector, lowest_eigenvalue
from sgdsheet.analysis.diagnosis.findings import WARNING, Finding, ranges_of, short
from sgdsheet.compiler.model import SheetModel
from sgdsheet.sheet.references import Cell

_EXPLODES = 1e3  # a gradient that is so many times larger than the parameters explodes
_TINY = 1e-4  # a gradient below this share of the loss is tiny
_STALLED = 1e-2  # share of what is left to gain that a run has to gain per quarter, else it crawls
_WORTHWHILE = 0.1  # share of the loss that has to be left to gain for a finding
_SHORTEST = 20  # steps
_MOST_PRODUCTS = 5_000  # parameters up to which a few products with second derivatives are cheap


@dataclass(frozen=True, slots=True)
class Gradients:
    """The gradient `flat` [parameters] of the objective (what has to become small).

    It is that at the parameters `values` [parameters], both in the order of `cells`. `objective` is the value there.
    """

    model: SheetModel
    cells: list[Cell]
    values: Vector
    flat: Vector
    objective: float

    @classmethod
    def of(cls, model: SheetModel, loss: Tensor | None = None) -> Gradients:
        """The gradient at the present parameters, of the model's loss or of another loss that is given."""
        pairs = list(model.ranges())
        tensors = [tensor for _, tensor in pairs]
        objective = model.objective() if loss is None else model.as_objective(loss)
        found = tuple(torch.zeros_like(tensor) for tensor in tensors)
        if objective.requires_grad:
            found = torch.autograd.grad(objective, tensors, materialize_grads=True)
        cells = [cell for area, _ in pairs for cell in area.cells()]
        return cls(model, cells, _flat(tensors), _flat(found), objective.item())

    @property
    def norm(self) -> float:
        return _length(self.flat)

    @property
    def zero_cells(self) -> list[Cell]:
        """The parameters whose gradient is exactly 0."""
        return [cell for cell, gradient in zip(self.cells, self.flat.tolist(), strict=True) if gradient == 0]


def _length(vector: Vector) -> float:
    """The Euclidean length of a vector [parameters], also where the squares of its numbers overflow."""
    return math.hypot(*vector.tolist())


def _flat(tensors: Sequence[Tensor]) -> Vector:
    return np.asarray(torch.cat([tensor.detach().reshape(-1) for tensor in tensors]).cpu().double().numpy())


def explosions(gradients: Gradients, curvature: Spectrum | None) -> Iterator[Finding]:
    """A gradient that is no number, or that throws the parameters far away."""
    largest = int(np.argmax(np.nan_to_num(np.abs(gradients.flat), nan=np.inf)))
    cell, gradient, value = gradients.cells[largest], float(gradients.flat[largest]), float(gradients.values[largest])
    if not math.isfinite(gradient):
        message = (
            f"The gradient at {cell} is not a finite number, although the loss is one."
            " Look for divisions by nearly 0 and for powers and exponentials of large numbers."
        )
        yield Finding("exploding gradient", WARNING, (str(cell),), message)
        return
    ratio = gradients.norm / max(1.0, _length(gradients.values))
    if ratio < _EXPLODES:
        return
    rate = "a much smaller learning rate"
    if curvature is not None and 0 < curvature.stable_rate < math.inf:
        rate = f"a learning rate below {short(curvature.stable_rate)}"
    message = (
        f"The gradient is {short(ratio)} times as large as the parameters: one step of plain gradient descent"
        f" with learning rate 0.01 would throw {cell} from {short(value)} to {short(value - 0.01 * gradient)}."
        f" Scale the inputs, start from other values, or use {rate}."
    )
    yield Finding("exploding gradient", WARNING, (str(cell),), message)


def plateaus(gradients: Gradients, curvature: Spectrum | None, history: Sequence[float]) -> Iterator[Finding]:
    """Places where training crawls although this is no minimum."""
    loss, (area, *_) = gradients.model.problem.loss, ranges_of(gradients.cells)
    size = max(1.0, _length(gradients.values))
    if curvature is not None and _is_stalled(history, curvature.potential, gradients.objective):
        quarter = len(history) // 4
        message = (
            f"The loss has changed by only {short(abs(history[-1 - quarter] - history[-1]))} in the last"
            f" {quarter:,} steps, but this is no minimum: about {short(curvature.potential)} is left to gain"
            " along flat directions. Scale the inputs, or use L-BFGS."
        )
        yield Finding("plateau", WARNING, (str(loss),), message)
    elif 0 < gradients.norm * size < _TINY * abs(gradients.objective):
        shape = _shape_here(gradients, curvature, size)
        if shape:
            message = (
                f"The gradient of the loss is tiny ({short(gradients.norm)}), but this is no minimum: {shape}."
                " Start from other values, or use restarts or momentum."
            )
            yield Finding("plateau", WARNING, (str(area),), message)


def _is_stalled(history: Sequence[float], potential: float, objective: float) -> bool:
    """Whether a run gained next to nothing in its last quarter of what a parabola would still give."""
    if len(history) < _SHORTEST or potential < _WORTHWHILE * abs(objective):
        return False
    return abs(history[-1 - len(history) // 4] - history[-1]) < _STALLED * potential


def _shape_here(gradients: Gradients, curvature: Spectrum | None, size: float) -> str:
    """What the loss looks like where its gradient is tiny; empty at a minimum."""
    if curvature is None and len(gradients.cells) > _MOST_PRODUCTS:
        return ""
    lowest = curvature.lowest if curvature is not None else lowest_eigenvalue(gradients.model)
    flat = _TINY * abs(gradients.objective) / size**2
    if lowest < -flat:
        return "a saddle, from which the loss falls in some direction"
    if curvature is not None and curvature.largest < flat:
        return "a plateau, flat in every direction"
    return ""
