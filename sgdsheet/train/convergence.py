"""Whether a run has come to a minimum: a criterion that holds, or words for what is missing.

That nothing moves any more proves nothing: a line search gives up in a narrow valley, too. For least squares the
criterion is the relative offset, how much of the residuals a linear model of them could still explain, together with
the step that would: Bates and Watts, “A relative offset orthogonality convergence criterion for nonlinear least
squares”, Technometrics 23 (1981). For other losses it is Newton's step and what it would gain, and where the second
derivatives are too many, the gradient scaled by the parameters and the loss (Dennis and Schnabel, Numerical Methods for
Unconstrained Optimization and Nonlinear Equations, 1983, chapter 7).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import scipy  # type: ignore[import-untyped]  # its parts are imported when they are used
import torch
from numpy.typing import NDArray
from torch import Tensor

from sgdsheet.train.jacobian_products import JacobianProducts
from sgdsheet.train.least_squares import columns_of
from sgdsheet.train.runaway import runaway
from sgdsheet.train.second_derivatives import Vector, flattened, gradient_of, hessian_of

_OFFSET = 1e-4
"""Share of the residuals that a linear model of them may still explain."""

_STEP = 1e-4
"""The step to the minimum, as a share of each parameter or its standard error, that may be left."""

_EXACT_STEP = 1e-8
"""The step to the minimum, as a share, that may be left where the residuals are 0 but for rounding: their offset says
nothing there."""

_PERFECT = 1e-24
"""A sum of squares below this share of that at the start is 0 but for rounding."""

_GAIN = 1e-12
"""Share of the loss that Newton's step may still gain."""

_MOST_GAIN = 1e3
"""Share of the loss from which a gain along straight directions is none that anybody believes."""

_SCALED_GRADIENT = 1e-8
"""Share of the loss that moving one parameter by its own size may gain, to first order."""

_FLAT = 1e-12
"""Curvatures, and singular values, below this share of the largest are rounding errors."""

_DOWNWARD = 1e-6
"""A direction counts as curved downwards from this share of the largest curvature."""

_UPWARD = 1e-6
"""Curvature, as a share of those along the parameters, from which the loss is sure to curve upwards."""

_MOST_PARAMETERS = 200
"""Parameters up to which second derivatives are calculated."""

_MOST_NUMBERS = 5_000_000
"""Entries of a Jacobian up to which it is calculated."""

_MOST_IN_PRODUCTS, _ITERATIONS = 5_000, 400
"""Parameters up to which a large Jacobian is multiplied, and how often."""

_AT_BOUND = 1e-10
"""Distance from a bound, relative to the parameter, up to which it is at the bound."""

_FAR_AWAY = 100
"""How many times as large as at the start, or as 1, a parameter is that has run away."""

_WEAK, _LOADS, _DIGITS = 1e-6, 1e-2, 6
"""Directions are weak whose singular value, of the scaled Jacobian, is less than this share of the largest; a parameter
belongs to one where it changes, relative to its size, by this share of what another one does; what fits as well does so
to this many digits."""

_NAMED = 3
"""Cells that a sentence names."""

_NOT_YET = "no step brings anything any more, but this is no minimum"


@dataclass(frozen=True, slots=True)
class Verdict:
    """Whether the criterion holds; where not, `reason` says what is in the way."""

    converged: bool
    reason: str = ""
    endless: bool = False
    """Whether there is no finite optimum: the loss gets better for ever as parameters grow."""


@dataclass(frozen=True, slots=True)
class Place:
    """The parameters at which a run ended, and what has to become small as a function of them.

    `objective` calculates what has to become small, a scalar, from the parameters as they are. `residuals`, if the
    problem is one of least squares, calculates them [residuals] from parameters that it is given. `start` are the
    parameters at the start. `lower` and `upper` [parameters] are bounds, in the order of the parameters.
    """

    parameters: Sequence[Tensor]
    objective: Callable[[], Tensor]
    start: Sequence[Tensor]
    residuals: Callable[..., Tensor] | None = None
    lower: Vector | None = None
    upper: Vector | None = None
    size: int = 0
    """How many numbers one evaluation reads."""
    cells: Sequence[object] = ()
    """The parameters' cells, in their order, by which a verdict calls them."""


def judge(place: Place) -> Verdict:
    """Whether the parameters are at a minimum. They stay as they are."""
    found = _by_criteria(place)
    count = sum(tensor.numel() for tensor in place.parameters)
    if count > _MOST_PARAMETERS or place.size * count > 200 * _MOST_NUMBERS:
        return found
    lost = runaway(place.objective, place.parameters, flattened(place.start), place.lower, place.upper)
    return found if lost is None else Verdict(False, lost.in_words(place.cells), endless=True)


def _by_criteria(place: Place) -> Verdict:
    """Whether the criteria for a minimum hold, as far as they see: a loss that is flat far away meets them, too."""
    value, graph, gradient = gradient_of(place.objective, place.parameters)
    if not math.isfinite(value) or not np.isfinite(gradient).all():
        return Verdict(False, "the gradient is not finite")
    values = flattened(place.parameters)
    free = ~_held(place, values, gradient)
    if not gradient[free].any():
        return _stationary(place, value, graph, free)
    if len(values) > _MOST_PARAMETERS or place.size * len(values) > 200 * _MOST_NUMBERS:
        return _by_products(place, values, free) or _by_gradient(place, value, gradient, values, free)
    jacobian = _jacobian(place, len(values))
    if jacobian is not None:
        lost = _run_away(place, jacobian[1], values, free)
        if lost is not None:
            return lost
        found = _by_offset(place, *jacobian, values, free)
        if found.converged:
            return _not_downward(hessian_of(graph, place.parameters, free))
        return Verdict(True) if _is_strict(place, value, graph, gradient, values, free) else found
    return _by_newton(place, value, graph, gradient, values, free)


# --- the criteria -----------------------------------------------------------------------------------------


def _by_offset(
    place: Place, residuals: Vector, jacobian: NDArray[np.float64], values: Vector, free: NDArray[np.bool_]
) -> Verdict:
    """Least squares: the relative offset, and the Gauss-Newton step."""
    total = float(residuals @ residuals)
    if total <= _PERFECT * _squares(place.residuals, place.start):
        return Verdict(True)
    columns = jacobian[:, free]
    lengths = np.linalg.norm(columns, axis=0)
    magnitudes = np.abs(values[free])
    reach = _FLAT * float((magnitudes * lengths).max(initial=0.0))
    lengths[lengths == 0] = 1.0
    left, sizes, right = np.linalg.svd(columns / lengths, full_matrices=False)
    kept = sizes > _FLAT * sizes.max(initial=0.0)
    along, spread = left.T[kept] @ residuals, right.T[:, kept] / sizes[kept]
    offset = float(np.linalg.norm(along)) / math.sqrt(total)
    step = np.abs(spread @ along) / lengths
    freedom = max(1, len(residuals) - int(kept.sum()))
    deviation = math.sqrt(max(total - float(along @ along), 0.0) / freedom)
    errors = deviation * np.linalg.norm(spread, axis=1) / lengths
    settled = offset <= _OFFSET and bool((step <= _STEP * np.maximum(magnitudes, errors)).all())
    exact = bool((step <= np.maximum(_EXACT_STEP * magnitudes, reach / lengths)).all())
    if settled or exact:
        return Verdict(True)
    weak = sizes[kept] < _WEAK * sizes.max(initial=0.0)
    strong_step = np.abs(spread[:, ~weak] @ along[~weak]) / lengths
    reached = float(np.linalg.norm(along[~weak])) <= _OFFSET * math.sqrt(total)
    if weak.any() and reached and bool((strong_step <= _STEP * np.maximum(magnitudes, errors)).all()):
        loads = np.abs(right.T[:, kept][:, weak]).max(axis=1) / lengths / np.maximum(magnitudes, _FLAT)
        loose = np.flatnonzero(free)[loads > _LOADS * loads.max()]
        return Verdict(
            False,
            f"the data hardly determine {_listed(place, loose, values)}, as other values of "
            f"{'it' if len(loose) == 1 else 'these together'} fit as well to {_DIGITS} digits; "
            "fix one of them, give bounds, or try restarts",
        )
    return Verdict(False, f"{_NOT_YET}: the relative offset is {offset:.2g}")


def _listed(place: Place, chosen: NDArray[np.int64], values: Vector) -> str:
    """Some parameters by their cells, with their values."""
    names = [f"{place.cells[index]} ({values[index]:.3g})" for index in chosen[:_NAMED] if place.cells]
    if not names:
        return "a parameter" if len(chosen) == 1 else "parameters"
    return ", ".join(names) + (", …" if len(chosen) > _NAMED else "")


def _run_away(place: Place, jacobian: NDArray[np.float64], values: Vector, free: NDArray[np.bool_]) -> Verdict | None:
    """Parameters that went so far from the start that they do nothing any more; None where there are none.

    There the loss is flat, as it is at a minimum; it is none, as other values of theirs are better or worse.
    """
    far = np.abs(values) > _FAR_AWAY * (1 + np.abs(flattened(place.start)))
    lost = np.flatnonzero(free & far & ~jacobian.any(axis=0))
    if not len(lost) or _squares(place.residuals, place.parameters) <= _PERFECT * _squares(
        place.residuals, place.start
    ):
        return None
    before = _jacobian(place, len(values), place.start)
    lost = lost[before[1][:, lost].any(axis=0)] if before is not None else lost
    if not len(lost):
        return None
    they = "it does" if len(lost) == 1 else "they do"
    where = _listed(place, lost, values)
    return Verdict(False, f"{where} went to where {they} nothing any more; start closer, or set bounds")


def _is_strict(
    place: Place, value: float, graph: Tensor, gradient: Vector, values: Vector, free: NDArray[np.bool_]
) -> bool:
    """Whether the loss curves upwards in all directions, and Newton's step is next to nothing.

    Where residuals stay large, their own curvature makes a minimum in directions that their Jacobian knows nothing of,
    and the relative offset is then the rounding of these.
    """
    hessian = hessian_of(graph, place.parameters, free)
    if hessian is None or not (np.diag(hessian) > 0).all():
        return False
    scales = 1 / np.sqrt(np.diag(hessian))
    curvatures, directions = np.linalg.eigh(hessian * np.outer(scales, scales))
    if float(curvatures[0]) < _UPWARD:
        return False
    along = directions.T @ (scales * gradient[free])
    step = np.abs(scales * (directions @ (along / curvatures)))
    gain = 0.5 * float(np.sum(along**2 / curvatures))
    errors = scales * np.sqrt(
        abs(value) * (directions**2 @ (1 / curvatures))
    )  # the size of one that is 0 at the minimum
    return gain <= _GAIN * abs(value) and bool((step <= 0.01 * _STEP * np.maximum(np.abs(values[free]), errors)).all())


def _by_products(place: Place, values: Vector, free: NDArray[np.bool_]) -> Verdict | None:
    """Least squares with a Jacobian too large to be written down: the relative offset, and the Gauss-Newton step.

    None where they are not known, or the criterion does not hold: then the gradient may tell more.
    """
    if place.residuals is None or len(values) > _MOST_IN_PRODUCTS:
        return None
    try:
        with torch.no_grad():
            residuals = flattened([place.residuals(*[tensor.detach() for tensor in place.parameters])])
        products = JacobianProducts(place.residuals, [tensor.detach() for tensor in place.parameters])
        lengths = products.lengths()
    except (RuntimeError, NotImplementedError):  # nobody can list which operations have no such derivative
        return None
    if len(residuals) < len(values) or not np.isfinite(lengths).all():
        return None
    scales = np.where(free & (lengths > 0), 1 / np.where(lengths > 0, lengths, 1.0), 0.0)
    operator = scipy.sparse.linalg.LinearOperator(
        (len(residuals), len(values)),
        matvec=lambda v: products.forward(np.ravel(v) * scales),
        rmatvec=lambda u: products.adjoint(np.ravel(u)) * scales,
        dtype=np.float64,
    )
    step = scipy.sparse.linalg.lsmr(operator, residuals, atol=1e-8, btol=1e-8, maxiter=_ITERATIONS)[0]
    size = float(np.linalg.norm(residuals))
    offset = float(np.linalg.norm(operator.matvec(step))) / size if size > 0 else 0.0
    reach = _STEP * float(np.linalg.norm(np.where(scales > 0, values * lengths, 0.0)))
    settled = offset <= _OFFSET and float(np.linalg.norm(step)) <= reach
    return Verdict(True) if settled else None


def _by_newton(
    place: Place, value: float, graph: Tensor, gradient: Vector, values: Vector, free: NDArray[np.bool_]
) -> Verdict:
    """Any smooth loss: Newton's step, and what it would gain."""
    hessian = hessian_of(graph, place.parameters, free)
    if hessian is None:
        return _by_gradient(place, value, gradient, values, free)
    diagonal = np.abs(np.diag(hessian))
    widest = float(np.abs(hessian).max(initial=0.0))
    if widest == 0.0:
        return _kinked()
    scales = 1 / np.sqrt(np.maximum(diagonal, _FLAT * widest))
    curvatures, directions = np.linalg.eigh(hessian * np.outer(scales, scales))
    largest = float(np.abs(curvatures).max())
    if float(curvatures[0]) < -_DOWNWARD * largest:
        return _saddle()
    along = directions.T @ (scales * gradient[free])
    upward = np.maximum(curvatures, _FLAT * largest)
    gain = 0.5 * float(np.sum(along**2 / upward))
    step = np.abs(scales * (directions @ (along / upward)))
    small = gain <= _GAIN * abs(value)
    near = bool((step <= 0.01 * _STEP * np.abs(values[free])).all())
    if small or near:
        return Verdict(True)
    straight = curvatures < _FLAT * largest
    if 0.5 * float(np.sum((along**2 / upward)[straight])) > 0.5 * gain > _MOST_GAIN * abs(value):
        return _kinked()  # a gradient that no curvature brings to an end
    return Verdict(False, f"{_NOT_YET}: about {gain:.2g} is left to gain along flat directions")


def _by_gradient(place: Place, value: float, gradient: Vector, values: Vector, free: NDArray[np.bool_]) -> Verdict:
    """Many parameters: the gradient, scaled by the parameters and the loss."""
    if place.residuals is not None:
        total = _squares(place.residuals, place.parameters)
        if total <= _PERFECT * _squares(place.residuals, place.start):
            return Verdict(True)
    largest = float((np.abs(gradient) * np.maximum(np.abs(values), 1.0))[free].max(initial=0.0))
    if largest <= _SCALED_GRADIENT * abs(value):
        return Verdict(True)
    return Verdict(False, f"{_NOT_YET}: the scaled gradient is {largest / max(abs(value), 1e-300):.2g}")


def _stationary(place: Place, value: float, graph: Tensor, free: NDArray[np.bool_]) -> Verdict:
    """A gradient of exactly 0 is a minimum, or a saddle, or a plateau where nothing depends on the parameters."""
    if not free.any():
        return Verdict(True)  # all parameters are held at bounds
    if len(free) > _MOST_PARAMETERS:
        return Verdict(True)
    hessian = hessian_of(graph, place.parameters, free)
    if value != 0 and hessian is not None and not hessian.any():
        return Verdict(False, "no parameter changes the loss around here: a plateau")
    return _not_downward(hessian)


def _not_downward(hessian: NDArray[np.float64] | None) -> Verdict:
    """No gradient is left: a minimum, unless the loss curves downwards."""
    if hessian is None:
        return Verdict(True)
    diagonal = np.abs(np.diag(hessian))
    scales = 1 / np.sqrt(np.maximum(diagonal, max(_FLAT * float(diagonal.max(initial=0.0)), 1e-300)))
    curvatures = np.linalg.eigvalsh(hessian * np.outer(scales, scales))
    return _saddle() if float(curvatures[0]) < -_DOWNWARD * float(np.abs(curvatures).max()) else Verdict(True)


def _kinked() -> Verdict:
    return Verdict(False, "the gradient does not vanish here: the loss may have a kink, as those of ABS and MAX")


def _saddle() -> Verdict:
    return Verdict(False, "a saddle or a top, from which the loss falls in some direction")


# --- derivatives ------------------------------------------------------------------------------------------


def _squares(residuals: Callable[..., Tensor] | None, parameters: Sequence[Tensor]) -> float:
    """The sum of the squares of the residuals at some parameters; NaN where it cannot be calculated."""
    if residuals is None:
        return math.nan
    with torch.no_grad():
        return float(residuals(*[tensor.detach() for tensor in parameters]).square().sum())


def _held(place: Place, values: Vector, gradient: Vector) -> NDArray[np.bool_]:
    """Which parameters [parameters] are at a bound beyond which the loss would fall."""
    reach = _AT_BOUND * (1 + np.abs(values))
    held = np.zeros(len(values), dtype=bool)
    if place.lower is not None:
        held |= (values - place.lower <= reach) & (gradient > 0)
    if place.upper is not None:
        held |= (place.upper - values <= reach) & (gradient < 0)
    return held


def _jacobian(
    place: Place, count: int, at: Sequence[Tensor] | None = None
) -> tuple[Vector, NDArray[np.float64]] | None:
    """The residuals [residuals] and their Jacobian [residuals, parameters], at the present parameters or others.

    None where they are unknown or too many.
    """
    if place.residuals is None:
        return None
    parameters = [tensor.detach() for tensor in (place.parameters if at is None else at)]
    try:
        with torch.no_grad():
            size = place.residuals(*parameters).numel()
        if size * count > _MOST_NUMBERS or size * count**2 > 400 * _MOST_NUMBERS:
            return None
        residuals, columns = columns_of(place.residuals, parameters)
    except (RuntimeError, NotImplementedError):  # nobody can list which operations have no such derivative
        return None
    found = flattened([columns]).reshape(size, count)
    return (flattened([residuals]), found) if np.isfinite(found).all() else None
