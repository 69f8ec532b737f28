"""How the loss curves at the present parameters, and what that means for gradient descent.

Along a direction with curvature λ, plain gradient descent with learning rate r multiplies the distance from the minimum
by 1 − rλ per step. So it is stable below 2/λ of the steepest direction, and the flattest one needs about 1/(rλ) steps
to come two thirds of the way. The ratio of the two is the condition number. See LeCun, Bottou, Orr and Müller,
“Efficient BackProp”, in Neural Networks: Tricks of the Trade (1998). A curvature has the units of the loss, divided by
the square of those of the parameters.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
import scipy  # type: ignore[import-untyped]  # its parts are imported when they are used
import torch
from numpy.typing import NDArray
from torch import Tensor

from sgdsheet.compiler.model import SheetModel
from sgdsheet.sheet.references import Cell
from sgdsheet.train.session import threads

MOST_EXACT = 200
"""Parameters up to which the whole matrix of second derivatives is computed."""

_ZERO = 1e-12
"""Curvatures below this share of the largest are rounding errors."""

_SMALL = 30  # a matrix of this size is cheaper than an iteration

Vector = NDArray[np.float64]


class Hessian:
    """The matrix [parameters, parameters] of second derivatives of `model.objective()`, as products with vectors.

    `gradient` and all vectors [parameters] are flat, in the order of the cells of `model.ranges()`. A product takes one
    backward pass through the gradient: Pearlmutter, “Fast exact multiplication by the Hessian”, Neural Computation 6
    (1994).
    """

    def __init__(self, model: SheetModel) -> None:
        self._parameters = [tensor for _, tensor in model.ranges()]
        self.size = sum(tensor.numel() for tensor in self._parameters)
        self.objective = model.objective()
        self._gradient = self._flat_gradient(self.objective, create_graph=True)
        self.gradient: Vector = _numbers(self._gradient)

    def _flat_gradient(self, of: Tensor, *, create_graph: bool = False) -> Tensor:
        if not of.requires_grad:
            return self._parameters[0].new_zeros(self.size)
        gradients = torch.autograd.grad(
            of, self._parameters, create_graph=create_graph, retain_graph=True, materialize_grads=True
        )
        return torch.cat([gradient.reshape(-1) for gradient in gradients])

    def product(self, vector: Vector) -> Vector:
        """The matrix times a vector [parameters]."""
        direction = torch.from_numpy(vector.reshape(-1).copy()).to(self._gradient)
        return _numbers(self._flat_gradient(self._gradient @ direction))

    def matrix(self) -> NDArray[np.float64]:
        """The whole matrix [parameters, parameters], symmetric; it takes a backward pass for each row."""
        rows = np.stack([_numbers(self._flat_gradient(item)) for item in self._gradient.unbind()])
        return np.asarray((rows + rows.T) / 2)


def _numbers(tensor: Tensor) -> Vector:
    return np.asarray(tensor.detach().cpu().double().numpy())


@dataclass(frozen=True, slots=True, eq=False)
class Spectrum:
    """The curvatures of the loss at some parameters.

    `eigenvalues` [parameters] ascend; the columns of `vectors` [parameters, parameters] are their directions.
    `diagonal` [parameters] is the curvature along each parameter by itself, and `gradient` [parameters] the gradient,
    both in the order of `cells`.
    """

    cells: list[Cell]
    eigenvalues: Vector
    vectors: NDArray[np.float64]
    diagonal: Vector
    gradient: Vector

    @property
    def largest(self) -> float:
        return float(self.eigenvalues[-1])

    @property
    def lowest(self) -> float:
        """The lowest curvature. If it is negative, the loss curves downwards in that direction: this is no minimum."""
        return float(self.eigenvalues[0])

    @property
    def smallest(self) -> float:
        """The smallest curvature above 0 (and above rounding); NaN if there is none."""
        positive = self.eigenvalues[self.eigenvalues > _ZERO * max(abs(self.largest), abs(self.lowest))]
        return float(positive[0]) if len(positive) else math.nan

    @property
    def condition(self) -> float:
        """The condition number: the largest curvature over the smallest one above 0."""
        return self.largest / self.smallest

    @property
    def stable_rate(self) -> float:
        """The learning rate above which plain gradient descent diverges; infinite if nothing curves upwards."""
        return _stable(self.largest)

    def steps(self, learning_rate: float | None = None) -> float:
        """Steps of plain gradient descent that come 1 − 1/e of the way, about two thirds, along the flattest direction.

        They are taken with the largest stable learning rate, unless another is given.
        """
        return 1 / ((learning_rate or self.stable_rate) * self.smallest)

    @property
    def steepest_cell(self) -> Cell:
        return self.cells[int(np.argmax(self.diagonal))]

    @property
    def flattest_cell(self) -> Cell:
        """The parameter with the smallest curvature that is not 0."""
        return self.cells[int(np.argmin(np.where(self._curved, np.abs(self.diagonal), np.inf)))]

    @property
    def diagonal_ratio(self) -> float:
        """The largest curvature along a single parameter over the smallest one that is not 0; NaN if all are 0."""
        curved = np.abs(self.diagonal[self._curved])
        return float(curved.max() / curved.min()) if len(curved) else math.nan

    @property
    def _curved(self) -> NDArray[np.bool_]:
        return np.asarray(np.abs(self.diagonal) > _ZERO * np.abs(self.diagonal).max(initial=0.0))

    @property
    def potential(self) -> float:
        """How much lower the minimum of the parabola is that has this gradient and these curvatures: ½ gᵀH⁻¹g.

        In the units of the loss. Directions that do not curve upwards are left out.
        """
        along = self.vectors.T @ self.gradient
        upward = self.eigenvalues > _ZERO * max(self.largest, 0.0)
        return float(0.5 * np.sum(along[upward] ** 2 / self.eigenvalues[upward]))


def spectrum(model: SheetModel) -> Spectrum:
    """All curvatures, exactly; NaN where second derivatives are not finite.

    Raises ValueError for more than `MOST_EXACT` parameters: it takes one double backward pass for each.
    """
    hessian = Hessian(model)
    if hessian.size > MOST_EXACT:
        raise ValueError(f"{hessian.size} parameters are too many for an exact spectrum")
    matrix = hessian.matrix()
    cells = [cell for area, _ in model.ranges() for cell in area.cells()]
    if not np.isfinite(matrix).all():
        nothing = np.full(len(cells), np.nan)
        return Spectrum(cells, nothing, np.full_like(matrix, np.nan), nothing, hessian.gradient)
    eigenvalues, vectors = np.linalg.eigh(matrix)
    return Spectrum(cells, eigenvalues, vectors, np.diag(matrix).copy(), hessian.gradient)


def largest_eigenvalue(model: SheetModel, *, tolerance: float = 1e-6) -> float:
    """The curvature of the steepest direction, to a relative `tolerance`; NaN where it cannot be computed.

    By Lanczos iterations: Lehoucq, Sorensen and Yang, ARPACK Users' Guide (1998).
    """
    return _extreme_eigenvalue(model, "LA", tolerance)


def lowest_eigenvalue(model: SheetModel, *, tolerance: float = 1e-3) -> float:
    """The lowest curvature, to a relative `tolerance`; NaN where it cannot be computed.

    It is negative where the loss curves downwards in some direction.
    """
    return _extreme_eigenvalue(model, "SA", tolerance)


def _extreme_eigenvalue(model: SheetModel, which: str, tolerance: float) -> float:
    hessian = Hessian(model)
    start = np.random.default_rng(0).standard_normal(hessian.size)
    probe = hessian.product(start)
    if not np.isfinite(probe).all():
        return math.nan
    if not probe.any():
        return 0.0
    if hessian.size <= _SMALL:
        return float(np.linalg.eigvalsh(hessian.matrix())[-1 if which == "LA" else 0])
    operator = scipy.sparse.linalg.LinearOperator(
        (hessian.size, hessian.size), matvec=hessian.product, dtype=np.float64
    )
    try:
        with threads(torch.get_num_threads(), solving=True):
            found = scipy.sparse.linalg.eigsh(
                operator, k=1, which=which, v0=start, tol=tolerance, return_eigenvectors=False, maxiter=100
            )
    except scipy.sparse.linalg.ArpackError:  # also if it does not converge
        return math.nan
    return float(found[0])


def stable_rate(model: SheetModel) -> float:
    """The learning rate above which plain gradient descent diverges from here; infinite on a plane."""
    return _stable(largest_eigenvalue(model))


def _stable(curvature: float) -> float:
    return math.inf if curvature <= 0 else 2 / curvature


def stable_rate_ahead(model: SheetModel, *, steps: int = 40) -> float:
    """The learning rate above which plain gradient descent diverges here or anywhere on the way down from here.

    The loss may be steeper at the minimum than where training starts. So this follows the gradient in at most `steps`
    careful steps, over each of which the curvature hardly changes. The parameters stay as they are. It takes a largest
    eigenvalue for each step: for few parameters.
    """
    with kept_parameters(model):
        curvature = largest = largest_eigenvalue(model)
        unchanged = 0
        for _ in range(steps):
            moved = _careful_step(model, curvature)
            if not math.isfinite(moved):
                break
            unchanged = unchanged + 1 if math.isclose(moved, curvature, rel_tol=1e-9) else 0
            curvature, largest = moved, max(largest, moved)
            if unchanged == 3:  # a parabola: it is the same everywhere
                break
    return _stable(largest)


def _careful_step(model: SheetModel, curvature: float) -> float:
    """Move by one step that does not jump over the valley; returns the curvature there, NaN if there is no such."""
    tensors = [tensor for _, tensor in model.ranges()]
    objective = model.objective()
    gradients = torch.autograd.grad(objective, tensors, materialize_grads=True)
    size = math.sqrt(sum(float(gradient.square().sum()) for gradient in gradients))
    if size == 0 or not math.isfinite(size):
        return math.nan
    rate = 0.5 / curvature if curvature > 0 else 1 / size
    before = [tensor.detach().clone() for tensor in tensors]
    for _ in range(20):
        with torch.no_grad():
            for tensor, start, gradient in zip(tensors, before, gradients, strict=True):
                tensor.copy_(start - rate * gradient)
            lower = bool(model.objective() <= objective)
        found = largest_eigenvalue(model) if lower else math.nan
        if lower and rate * found <= 1:
            return found
        rate /= 2
    return math.nan


@contextmanager
def kept_parameters(model: SheetModel) -> Iterator[None]:
    """A context in which parameters and gradients may be changed: at its end they are as they were."""
    tensors = [tensor for _, tensor in model.ranges()]
    before = [(tensor.detach().clone(), tensor.grad) for tensor in tensors]
    try:
        yield
    finally:
        with torch.no_grad():
            for tensor, (values, gradient) in zip(tensors, before, strict=True):
                tensor.copy_(values)
                tensor.grad = gradient
