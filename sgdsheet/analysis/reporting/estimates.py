"""How sure fitted parameters are: standard errors, confidence intervals and the figures that go with a fit.

Least squares: the covariance of the estimates is s² (J'J)⁻¹ with the Jacobian J of the residuals at the minimum and
s² = RSS / (n - p), and intervals are those of Student's t (Bates and Watts, Nonlinear Regression Analysis and Its
Applications, 1988, chapter 2). Likelihoods: the covariance is the inverse of the observed information, and intervals
are those of the normal distribution (Efron and Hinkley, Biometrika 65, 1978). AIC and BIC count the variance of the
residuals as a parameter, as R does.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import scipy  # type: ignore[import-untyped]  # its parts are imported when they are used
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Booleans = NDArray[np.bool_]

CONFIDENCE = 0.95
"""The probability with which an interval holds the true value."""

ON_BOUND, UNKNOWN, NO_FREEDOM = "on a bound", "not determined", "no degrees of freedom"

_RANK = 1e-12
"""Singular values below this share of the largest are 0 but for rounding."""

_FLAT = 1e-10
"""Second derivatives along a direction below this share of the largest are 0 but for rounding."""

_ROUNDING = 1e-29
"""Share of the observations' sum of squares up to which that of the residuals is nothing but rounding."""

_SHARE = 1e-6
"""The part of a direction without information from which a parameter belongs to it."""


@dataclass(frozen=True, slots=True)
class Estimate:
    """One parameter. What is not known is None, and `missing` says why: “on a bound”, “not determined”, ….

    `statistic` is the value in standard errors, t for least squares and z for likelihoods; `p_value` the probability
    of one at least as far from 0 if the true value were 0; `low` and `high` bound the 95 % confidence interval.
    """

    value: float
    standard_error: float | None = None
    statistic: float | None = None
    p_value: float | None = None
    low: float | None = None
    high: float | None = None
    missing: str = ""


@dataclass(frozen=True, slots=True)
class FitStatistics:
    """The figures of a fit; None where one is not known.

    `estimates` are in the order of the parameters; `count` is the number of observations, `rank` that of parameters
    that were estimated, `freedom` the degrees of freedom. `rss` is the sum of squares of the residuals, `deviation`
    the standard error of the regression. With `centred`, R² compares with the mean of the observed values, else with 0.
    `correlation` [parameters, parameters] is that of the estimates, NaN where it is not known. `observed`, `fitted` and
    `residuals` [observations] are in the sheet's units.
    """

    method: str
    estimates: tuple[Estimate, ...]
    correlation: Floats
    count: int | None
    rank: int
    freedom: int | None = None
    rss: float | None = None
    deviation: float | None = None
    r_squared: float | None = None
    adjusted: float | None = None
    centred: bool = True
    log_likelihood: float | None = None
    aic: float | None = None
    bic: float | None = None
    observed: Floats | None = None
    fitted: Floats | None = None
    residuals: Floats | None = None
    weighted: bool = False
    exact: bool = False
    """Whether the residuals are 0 but for rounding."""
    groups: tuple[tuple[int, ...], ...] = ()
    """The places of parameters that can change together without changing anything; one that does nothing is alone."""


@dataclass(frozen=True, slots=True)
class Covariance:
    """The inverse of an information matrix [parameters, parameters], NaN for parameters that it says nothing about.

    `rank` is the number of directions with information. `unknown` [parameters] tells which parameters could move
    without changing anything; `groups` are the places of those that move together.
    """

    matrix: Floats
    rank: int
    unknown: Booleans
    groups: tuple[tuple[int, ...], ...] = ()


def covariance(root: Floats, free: Booleans, active: Floats | None = None) -> Covariance:
    """The inverse of root' root, for the `free` parameters [parameters] along active constraints.

    `root` [rows, parameters] is a Jacobian, or a root of a Hessian. `active` [constraints, parameters] are gradients of
    constraints that hold with equality: they are taken to hold exactly, and take away their directions.
    """
    count = root.shape[1]
    matrix, unknown = np.full((count, count), np.nan), np.zeros(count, dtype=bool)
    places = np.flatnonzero(free)
    if not len(places):
        return Covariance(matrix, 0, unknown)
    columns = root[:, places]
    lengths = np.linalg.norm(columns, axis=0)
    lengths[lengths == 0] = 1.0
    basis = _tangents(active[:, places] / lengths if active is not None else None, len(places))
    _, sizes, right = np.linalg.svd(columns / lengths @ basis, full_matrices=True)
    padded = np.zeros(basis.shape[1])
    padded[: len(sizes)] = sizes
    kept = padded > _RANK * padded.max(initial=0.0)
    along = basis @ right.T
    spread = along[:, kept] / padded[kept] / lengths[:, None]
    loose = np.linalg.norm(along[:, ~kept], axis=1) > _SHARE
    found = spread @ spread.T
    found[loose, :] = found[:, loose] = np.nan
    matrix[np.ix_(places, places)] = found
    unknown[places] = loose
    groups = tuple(tuple(places[list(group)].tolist()) for group in _together(along[:, ~kept]))
    return Covariance(matrix, int(kept.sum()), unknown, groups)


def _together(directions: Floats) -> list[list[int]]:
    """Which rows of orthonormal directions [parameters, directions] belong together, and to no others.

    Two do if their entries in the projection on the directions are not 0: where a direction is a sum of parts that are
    free on their own, these are told apart.
    """
    projection = np.abs(directions @ directions.T)
    linked = projection > _SHARE
    left, found = set(np.flatnonzero(np.linalg.norm(directions, axis=1) > _SHARE).tolist()), []
    while left:
        group, reached = set[int](), {min(left)}
        while reached:
            group |= reached
            reached = {int(other) for place in reached for other in np.flatnonzero(linked[place])} & left - group
        left -= group
        found.append(sorted(group))
    return found


def _tangents(active: Floats | None, count: int) -> Floats:
    """Orthonormal directions [parameters, directions] in which no active constraint changes."""
    if active is None or not len(active):
        return np.eye(count)
    lengths = np.linalg.norm(active, axis=1)
    _, sizes, right = np.linalg.svd(active[lengths > 0] / lengths[lengths > 0, None], full_matrices=True)
    rank = int((sizes > 1e-9 * sizes.max(initial=0.0)).sum())
    return np.asarray(right[rank:].T)


def least_squares_statistics(
    values: Floats,
    residuals: Floats,
    jacobian: Floats,
    *,
    weights: Floats | None = None,
    observed: Floats | None = None,
    signs: Floats | None = None,
    free: Booleans | None = None,
    active: Floats | None = None,
    linear: bool = False,
) -> FitStatistics:
    """The statistics of a fit by least squares at its minimum.

    `values` [parameters] are the estimates, `residuals` [observations] the roots of the `weights` times observed minus
    fitted values (where `signs` is negative: fitted minus observed), `jacobian` [observations, parameters] their
    derivatives. Observations of weight 0 do not count. Parameters that are not `free` are held where they are;
    `active` [constraints, parameters] are the gradients of constraints that hold with equality. Of a `linear` model
    without a constant term R² compares with 0, as LINEST does, else with the mean.
    """
    weights = np.ones(len(residuals)) if weights is None else weights
    signs = np.ones(len(residuals)) if signs is None else signs
    free = np.ones(len(values), dtype=bool) if free is None else free
    used = weights > 0
    residuals, jacobian, weights, signs = residuals[used], jacobian[used], weights[used], signs[used]
    roots, count = np.sqrt(weights), len(residuals)
    found = covariance(jacobian, free, active)
    rss, freedom = float(residuals @ residuals), count - found.rank
    exact = observed is not None and rss <= _ROUNDING * float(weights @ observed[used] ** 2)
    variance = (0.0 if exact else rss / freedom) if freedom > 0 else math.nan
    matrix = found.matrix * variance
    plain = signs * residuals / roots
    observed = observed[used] if observed is not None else None
    likelihood = aic = bic = None
    if rss > 0 and count and not exact:
        likelihood = 0.5 * (float(np.log(weights).sum()) - count * (math.log(2 * math.pi * rss / count) + 1))
        aic = 2 * (found.rank + 1) - 2 * likelihood
        bic = math.log(count) * (found.rank + 1) - 2 * likelihood
    centred = not linear or _has_constant(jacobian[:, free], roots)
    r_squared = _r_squared(observed, weights, rss, centred=centred)
    adjusted = None
    if r_squared is not None and freedom > 0:
        adjusted = 1 - (1 - r_squared) * (count - int(centred)) / freedom
    return FitStatistics(
        "least squares",
        _estimates(values, matrix, free, found.unknown, freedom),
        _correlation(matrix),
        count,
        found.rank,
        freedom,
        rss,
        math.sqrt(variance) if freedom > 0 else None,
        r_squared,
        adjusted,
        centred,
        likelihood,
        aic,
        bic,
        observed,
        observed - plain if observed is not None else None,
        plain,
        bool((weights != 1).any()),
        exact,
        found.groups,
    )


def likelihood_statistics(
    values: Floats,
    log_likelihood: float,
    information: Floats,
    *,
    count: int | None,
    free: Booleans | None = None,
    active: Floats | None = None,
) -> FitStatistics | None:
    """The statistics of a fit by maximum likelihood; None if the information is that of no maximum.

    `information` [parameters, parameters] are the second derivatives of the negative log-likelihood there, `count` the
    number of observations, if that is known. `free` and `active` are as for least squares.
    """
    free = np.ones(len(values), dtype=bool) if free is None else free
    found = inverse(information, free, active)
    if found is None:
        return None
    aic = 2 * found.rank - 2 * log_likelihood
    return FitStatistics(
        "maximum likelihood",
        _estimates(values, found.matrix, free, found.unknown, None),
        _correlation(found.matrix),
        count,
        found.rank,
        log_likelihood=log_likelihood,
        aic=aic,
        bic=math.log(count) * found.rank - 2 * log_likelihood if count else None,
        groups=found.groups,
    )


def inverse(information: Floats, free: Booleans, active: Floats | None = None) -> Covariance | None:
    """The inverse of a matrix of second derivatives [parameters, parameters], as `covariance` has it of its root.

    None if it curves downwards in some direction.
    """
    places = np.flatnonzero(free)
    scales = np.sqrt(np.maximum(np.abs(np.diag(information)[places]), 1e-300))
    basis = _tangents(active[:, places] / scales if active is not None else None, len(places))
    along = basis.T @ (information[np.ix_(places, places)] / np.outer(scales, scales)) @ basis
    sizes, directions = np.linalg.eigh((along + along.T) / 2)
    if len(sizes) and sizes[0] < -1e-8 * float(np.abs(sizes).max()):
        return None
    sizes[sizes < _FLAT * sizes.max(initial=0.0)] = 0.0  # the root would make much of their rounding
    root = np.zeros((len(sizes), len(free)))
    root[:, places] = np.sqrt(sizes)[:, None] * (basis @ directions).T * scales
    return covariance(root, free, active)


def _estimates(
    values: Floats, matrix: Floats, free: Booleans, unknown: Booleans, freedom: int | None
) -> tuple[Estimate, ...]:
    """Each parameter with its interval: of Student's t with that many degrees of freedom, else of the normal."""
    found = []
    share, special = 0.5 + CONFIDENCE / 2, scipy.special
    for place, value in enumerate(values.tolist()):
        variance = float(matrix[place, place])
        if not free[place] or unknown[place] or not variance >= 0:
            missing = ON_BOUND if not free[place] else UNKNOWN if unknown[place] or freedom is None else NO_FREEDOM
            found.append(Estimate(value, missing=missing))
            continue
        error = math.sqrt(variance)
        reach = error * float(special.ndtri(share) if freedom is None else special.stdtrit(freedom, share))
        statistic = value / error if error > 0 else None
        tail = None
        if statistic is not None:
            tail = 2 * float(
                special.ndtr(-abs(statistic)) if freedom is None else special.stdtr(freedom, -abs(statistic))
            )
        found.append(Estimate(value, error, statistic, tail, value - reach, value + reach))
    return tuple(found)


def _correlation(matrix: Floats) -> Floats:
    with np.errstate(all="ignore"):
        errors = np.sqrt(np.diag(matrix))
        found = np.clip(matrix / np.outer(errors, errors), -1.0, 1.0)
    known = np.flatnonzero(np.isfinite(np.diag(found)))
    found[known, known] = 1.0
    return np.asarray(found)


def _has_constant(jacobian: Floats, roots: Floats) -> bool:
    """Whether some combination of the parameters adds the same to every fitted value."""
    if not jacobian.shape[1]:
        return False
    lengths = np.linalg.norm(jacobian, axis=0)
    scaled = jacobian / np.where(lengths > 0, lengths, 1.0)
    rest = roots - scaled @ np.linalg.lstsq(scaled, roots, rcond=None)[0]
    return bool(np.linalg.norm(rest) <= 1e-8 * np.linalg.norm(roots))


def _r_squared(observed: Floats | None, weights: Floats, rss: float, *, centred: bool) -> float | None:
    if observed is None or not len(observed):
        return None
    middle = float(weights @ observed) / float(weights.sum()) if centred else 0.0
    total = float(weights @ (observed - middle) ** 2)
    return 1 - rss / total if total > 0 else None
