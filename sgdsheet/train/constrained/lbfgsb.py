"""L-BFGS-B, the quasi-Newton method for bounded variables, as a generator of its steps.

Byrd, Lu, Nocedal and Zhu, “A limited memory algorithm for bound constrained optimization”, SIAM Journal on Scientific
Computing 16 (1995), in scipy's implementation.
"""

from __future__ import annotations

from collections.abc import Callable, Generator
from dataclasses import dataclass
from typing import Any

import numpy as np
import scipy  # type: ignore[import-untyped]  # its parts are imported when they are used
from numpy.typing import NDArray

from sgdsheet.train.constrained.solver_steps import STEP, Ask, in_steps

Floats = NDArray[np.float64]
Evaluate = Callable[[Floats], tuple[float, Floats]]

_MEMORY = 20
"""Pairs of steps and gradient changes that stand for the curvature."""

_RESTARTS = 10
"""Descents, at most: each begins where the line search of the one before has failed."""


@dataclass(frozen=True, slots=True)
class Descended:
    """The end of a descent: the point [parameters], its value and the largest component of its projected gradient."""

    x: Floats
    value: float
    gradient: float


def descend(
    evaluate: Evaluate, start: Floats, lower: Floats, upper: Floats, *, tolerance: float
) -> Generator[Floats, None, Descended]:
    """Minimise within bounds [parameters]; yields the point [parameters] after each step.

    `evaluate` gives the value and the gradient [parameters] at a point. Ends where the largest gradient is below
    `tolerance` (relative to the scale of `evaluate`) or where the value cannot be lowered any more: when the line
    search fails the curvature is forgotten and the descent begins anew.
    """
    guarded = _Guarded(evaluate)
    x = np.clip(start, lower, upper)
    value, gradients = guarded(x)
    for _ in range(_RESTARTS):
        before = value
        result = yield from _run(guarded, x, lower, upper, tolerance)
        x = np.clip(np.asarray(result.x, dtype=np.float64), lower, upper)
        value, gradients = guarded(x)
        if projected_gradient(x, gradients, lower, upper) <= tolerance or not before - value > 1e-15 * abs(value):
            break
    return Descended(x, value, projected_gradient(x, gradients, lower, upper))


def projected_gradient(x: Floats, gradients: Floats, lower: Floats, upper: Floats) -> float:
    """The largest component of the gradient [parameters] along which the bounds let a parameter move."""
    return float(np.abs(np.clip(x - gradients, lower, upper) - x).max(initial=0.0))


@dataclass(slots=True)
class _Guarded:
    """A function, but where it is not finite a bowl around the last good point: it sends the line search back."""

    evaluate: Evaluate
    _good: tuple[Floats, float] | None = None

    def __call__(self, x: Floats) -> tuple[float, Floats]:
        value, gradients = self.evaluate(x)
        if np.isfinite(value) and np.isfinite(gradients).all():
            self._good = (x.copy(), value)
            return value, gradients
        if self._good is None:
            return value, gradients
        centre, lowest = self._good
        way = x - centre
        height = max(1.0, abs(lowest))
        return lowest + height, way * (2 * height / max(float(way @ way), 1e-300))


def _run(
    evaluate: Evaluate, start: Floats, lower: Floats, upper: Floats, tolerance: float
) -> Generator[Floats, None, Any]:
    """Run scipy's loop so that the curvature lives on between the steps that are shown."""
    options = {"maxcor": _MEMORY, "ftol": 0.0, "gtol": tolerance, "maxiter": 10**9, "maxfun": 10**9, "maxls": 40}

    def solve(ask: Ask) -> Any:
        return scipy.optimize.minimize(
            lambda x: ask("value", x.copy()),
            start,
            jac=True,
            method="L-BFGS-B",
            bounds=np.column_stack([lower, upper]),
            callback=lambda x: ask(STEP, x.copy()),
            options=options,
        )

    return (yield from in_steps(solve, lambda _, x: evaluate(x)))
