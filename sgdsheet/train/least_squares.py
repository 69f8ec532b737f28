"""Fitting a curve: the trust-region method for least squares on the exact Jacobian of the compiled program.

Branch, Coleman and Li, “A subspace, interior, and conjugate gradient method for large-scale bound-constrained
minimization problems”, SIAM Journal on Scientific Computing 21 (1999), in SciPy's implementation, with the parameters
scaled by the columns of the Jacobian (Moré, “The Levenberg-Marquardt algorithm: implementation and theory”, 1978).
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import scipy  # type: ignore[import-untyped]  # its parts are imported when they are used
import torch
from numpy.typing import NDArray
from torch import Tensor

from sgdsheet.compiler.ir.weighted_gradients import weighted_gradients
from sgdsheet.train.constrained.solver_steps import STEP, Ask, in_steps
from sgdsheet.train.jacobian_products import JacobianProducts

Floats = NDArray[np.float64]
Residuals = Callable[..., Tensor]
"""Calculates the residuals [residuals] from the parameters, tensors shaped like their ranges."""

_TOLERANCE = 1e-15
"""The share of the parameters below which a step is nothing but rounding. The sum of squares is no criterion: it stands
still while the parameters still gain half of their digits."""

_MOST_EVALUATIONS = 50_000
"""How often the residuals are calculated at most: where rounding keeps every step from being taken, SciPy would try
shorter ones for ever."""

_MOST_FOR_EQUATIONS = 300
"""How often equations are calculated at most: where there is no solution, steps may get ever shorter."""

_NUDGE = 0.1
"""How far equations are moved away from a start where no derivative says which way to go, as a share of a parameter."""

_REFINEMENTS = 10
SUM_ROUNDING = 1e-11
"""Share of the sum of squares by which a Gauss-Newton step may raise it and still be one towards the minimum."""

_MOST_PARAMETERS = 200
_MOST_NUMBERS = 5_000_000
"""Parameters, and entries of the Jacobian, up to which it is written down; beyond, there are only products with it."""

_MOST_IN_PRODUCTS = 5_000
"""Parameters up to which a step costs less than it brings."""

_LARGE_TOLERANCE = 1e-10
"""As `_TOLERANCE`, where the steps themselves are found by iteration."""

_ITERATIONS = 100
"""Products with the Jacobian for one step, at most."""


@dataclass(slots=True)
class LeastSquares:
    """A problem of least squares: its residuals as a function of one vector of all parameters, between bounds.

    `parameters` are what the residuals are calculated from, in this order; the solver moves them. `lower` and `upper`
    [parameters] are their bounds, infinite where there is none.
    """

    residuals: Residuals
    parameters: Sequence[Tensor]
    lower: Floats | None = None
    upper: Floats | None = None
    equations: bool = False
    """Whether the residuals can be made 0, as those of equations: then there may be fewer of them than parameters."""
    large: bool = False
    """Whether the Jacobian is too large to be written down."""
    _products: JacobianProducts | None = None

    @property
    def count(self) -> int:
        """How many parameters there are."""
        return sum(tensor.numel() for tensor in self.parameters)

    def suits(self) -> bool:
        """Whether the method can be used: enough residuals, not too many, a Jacobian, and room between the bounds."""
        if self.count > _MOST_IN_PRODUCTS or any(tensor.dtype != torch.float64 for tensor in self.parameters):
            return False
        if self.lower is not None and self.upper is not None and not (self.lower < self.upper).all():
            return False
        if self.count == 0:
            return False
        x = self.present()
        try:
            found = self.values(x)
            fewest = 1 if self.equations else self.count
            if fewest > len(found) or not np.isfinite(found).all():
                return False
            self.large = self.count > _MOST_PARAMETERS or self.count * len(found) > _MOST_NUMBERS
            columns = self.products(x).lengths() if self.large else self.jacobian(x)
            somewhere = bool(columns.any()) or self.equations  # at a saddle no direction is better than another
            return bool(np.isfinite(columns).all()) and somewhere
        except (RuntimeError, NotImplementedError):  # nobody can list which operations have no such derivative
            return False

    def steps(self) -> Generator[Floats, None, None]:
        """Move from the present parameters: yields the point [parameters] after each step.

        Ends at once where the sum of squares is not finite, and early where a Jacobian is not.
        """
        bounds = (-np.inf if self.lower is None else self.lower, np.inf if self.upper is None else self.upper)
        start = np.clip(self._start(), *bounds)
        visited: list[Floats] = []
        with np.errstate(all="ignore"):
            first = self.values(start)
            if not np.isfinite(first @ first):
                return

        options: dict[str, Any] = {"x_scale": "jac", "xtol": _TOLERANCE}
        if self.large:
            lengths = self.products(start).lengths()
            options = {"x_scale": 1 / np.where(lengths > 0, lengths, 1.0), "xtol": _LARGE_TOLERANCE}
            options |= {"tr_solver": "lsmr", "tr_options": {"maxiter": _ITERATIONS, "atol": 1e-10, "btol": 1e-10}}

        def solve(ask: Ask) -> object:
            def jacobian(x: Floats) -> object:
                if visited:  # SciPy wants the derivatives at the points that it has moved to, and nowhere else
                    ask(STEP, x.copy())
                visited.append(x.copy())
                return self._operator(ask, x.copy()) if self.large else ask("jacobian", x.copy())

            with np.errstate(all="ignore"):  # steps to where nothing can be calculated are taken back
                return scipy.optimize.least_squares(
                    lambda x: ask("values", x.copy()),
                    start,
                    jac=jacobian,
                    bounds=bounds,
                    method="trf",
                    ftol=None,
                    gtol=None,
                    max_nfev=_MOST_FOR_EQUATIONS if self.equations else _MOST_EVALUATIONS,
                    **options,
                )

        try:
            result = yield from in_steps(solve, lambda kind, x: getattr(self, kind)(x))
        except (ValueError, np.linalg.LinAlgError):  # of a Jacobian with what is not a number in it
            return
        if self.large:
            return
        found = self._refined(np.asarray(result.x, dtype=np.float64))
        if not np.array_equal(found, visited[-1]):
            yield found

    def _start(self) -> Floats:
        """The present parameters [parameters], or a place nearby where there are derivatives."""
        start = self.present()
        if not self.equations or self.large or self.jacobian(start).any():
            return start
        aside = _NUDGE * (1 + np.abs(start)) * (0.5 + np.random.default_rng(0).random(len(start)))
        found = start + aside
        return found if np.isfinite(self.values(found)).all() else start

    def _operator(self, ask: Ask, x: Floats) -> object:
        """The Jacobian at a point as SciPy wants it: a linear operator, whose products the other thread calculates."""
        ask("products", x)
        return scipy.sparse.linalg.LinearOperator(
            (len(ask("values", x)), self.count),
            matvec=lambda v: ask("forward", np.ravel(v)),
            rmatvec=lambda u: ask("adjoint", np.ravel(u)),
            dtype=np.float64,
        )

    def products(self, x: Floats) -> JacobianProducts:
        """The Jacobian at a vector, for the products that are asked for next."""
        self._products = JacobianProducts(self.residuals, self.shaped(x))
        return self._products

    def forward(self, direction: Floats) -> Floats:
        """The Jacobian times a direction [parameters]: [residuals]."""
        assert self._products is not None
        return self._products.forward(direction)

    def adjoint(self, weights: Floats) -> Floats:
        """The transposed Jacobian times weights [residuals]: [parameters]."""
        assert self._products is not None
        return self._products.adjoint(weights)

    def _refined(self, x: Floats) -> Floats:
        """A minimum [parameters] to the last digits: Gauss and Newton's steps, as long as they get shorter.

        A trust region asks for a lower sum of squares, which rounding hides near the minimum.
        """
        shortest = np.inf
        for _ in range(_REFINEMENTS):
            residuals, columns = self.values(x), self.jacobian(x)
            lengths = np.linalg.norm(columns, axis=0)
            if not lengths.all() or not np.isfinite(columns).all():
                break
            step = -np.linalg.lstsq(columns / lengths, residuals, rcond=None)[0] / lengths
            length = float(np.linalg.norm(step * lengths))
            moved = x + step
            inside = (self.lower is None or (moved > self.lower).all()) and (
                self.upper is None or (moved < self.upper).all()
            )
            if not inside or not length < shortest:
                break
            after = self.values(moved)
            with np.errstate(over="ignore"):  # a step to where the residuals are huge is not taken
                lower = after @ after <= (1 + SUM_ROUNDING) * (residuals @ residuals)
            if not lower:
                break
            x, shortest = moved, length
        return x

    # --- the residuals of a vector ----------------------------------------------------------------------

    def present(self) -> Floats:
        """The parameters as they are [parameters]."""
        return np.asarray(torch.cat([tensor.detach().reshape(-1) for tensor in self.parameters]).double().numpy())

    def shaped(self, x: Floats) -> list[Tensor]:
        """A vector [parameters] as tensors like the parameters."""
        flat, found, at = torch.from_numpy(np.array(x, dtype=np.float64)), [], 0
        for tensor in self.parameters:
            found.append(flat[at : at + tensor.numel()].reshape(tensor.shape))
            at += tensor.numel()
        return found

    def values(self, x: Floats) -> Floats:
        """The residuals [residuals] at a vector. Where one is not a number, the solver takes its step back."""
        with torch.no_grad():
            return np.asarray(self.residuals(*self.shaped(x)).numpy())

    def jacobian(self, x: Floats) -> Floats:
        """Their derivatives [residuals, parameters]."""
        return np.asarray(columns_of(self.residuals, self.shaped(x))[1].numpy())


def columns_of(residuals: Residuals, parameters: Sequence[Tensor]) -> tuple[Tensor, Tensor]:
    """The residuals [residuals] and their Jacobian [residuals, parameters].

    Where the residuals are many and the parameters few, a second backward pass is cheaper than one per residual: the
    product of the Jacobian's transpose with a vector is linear in that vector, and its derivative is the Jacobian.
    """
    with torch.enable_grad():
        places = [tensor.detach().requires_grad_() for tensor in parameters]
        found = residuals(*places)
        vector = torch.zeros_like(found, requires_grad=True)
        parts = weighted_gradients(found, places, vector, create_graph=True, materialize_grads=True)
        columns = [
            torch.autograd.grad(item, vector, retain_graph=True, materialize_grads=True)[0]
            for item in torch.cat([part.reshape(-1) for part in parts]).unbind()
        ]
    return found.detach(), torch.stack(columns, dim=1)
