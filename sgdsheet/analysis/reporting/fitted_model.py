"""The statistics of a trained model: what kind of fit it is, and the numbers that `estimates` needs."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import torch
from numpy.typing import NDArray
from torch import fx

from sgdsheet.analysis.reporting.estimates import (
    ON_BOUND,
    FitStatistics,
    inverse,
    least_squares_statistics,
    likelihood_statistics,
)
from sgdsheet.analysis.reporting.likelihood import Likelihood, likelihood_of
from sgdsheet.compiler.model import SheetModel
from sgdsheet.sheet.references import Cell
from sgdsheet.train.constrained.constraints import HOLDS
from sgdsheet.train.constrained.flat_functions import FlatModel
from sgdsheet.train.constrained.problem_kind import problem_kind
from sgdsheet.train.least_squares import columns_of
from sgdsheet.train.residuals import Regression, regression_of
from sgdsheet.train.solution import Solution, flat

Floats = NDArray[np.float64]
Booleans = NDArray[np.bool_]

MOST_PARAMETERS = 200
"""Parameters up to which there are statistics."""

_MOST_NUMBERS = 5_000_000
"""Entries of a Jacobian up to which there are statistics."""

_POLISH = 5
"""Newton's steps towards the minimum itself, at most."""

_VALLEY, _CLOSE = 1e-6, 1e-9
"""Curvatures below this share of the largest may be those along a valley; a share of the objective that is rounding."""

_LOOSE = "can change together without changing "

_AT_BOUND = 1e-9
"""Distance from a bound, relative to the parameter, up to which it is at the bound."""


@dataclass(frozen=True, slots=True)
class FittedModel:
    """The statistics of a model, the cells of its parameters, and what a reader has to know about them.

    `statistics` is None where there are none; `notes` say why, if the loss is of a kind that has some.
    """

    cells: tuple[Cell, ...]
    statistics: FitStatistics | None = None
    notes: list[str] = field(default_factory=list)


def fitted_model(solution: Solution) -> FittedModel:
    """The statistics of least squares, or of a likelihood, at the parameters as they are."""
    model = solution.model
    found = FittedModel(tuple(cell for area, _ in model.ranges() for cell in area.cells()))
    goal = bool(model.problem.targets)  # what cells miss of their values are no observations
    if solution.partial or goal or len(found.cells) > MOST_PARAMETERS:
        return found
    regression = regression_of(solution.module, solution.names, model.problem, solution.parameters)
    likelihood = likelihood_of(solution) if regression is None else ""
    if regression is None and likelihood == "":
        found.notes.extend(_loose_together(solution))
    if isinstance(likelihood, str) and likelihood:
        found.notes.append(f"No standard errors: {likelihood}.")
    if regression is None and isinstance(likelihood, str):
        return found
    if any(item.dtype != torch.float64 for item in solution.parameters):
        found.notes.append("No standard errors: float32 has too few digits for them; train in float64.")
        return found
    if not solution.verdict.converged:
        because = solution.verdict.reason.rpartition(": ")[2]
        found.notes.append(f"No standard errors: the parameters are not at a minimum{f' ({because})' * bool(because)}.")
        return found
    free, active = _free(solution), _active(solution, found.notes)
    if regression is not None:
        statistics = _least_squares(solution, regression, free, active, found.notes)
    else:
        assert isinstance(likelihood, Likelihood)
        statistics = _maximum_likelihood(solution, likelihood, free, active, found.notes)
    if statistics is not None:
        _explain(found, statistics)
    return FittedModel(found.cells, statistics, found.notes)


def _least_squares(
    solution: Solution, regression: Regression, free: Booleans, active: Floats | None, notes: list[str]
) -> FitStatistics | None:
    count = len(regression.weights)
    if count * len(free) > _MOST_NUMBERS:
        return None
    if int((regression.weights > 0).sum()) <= int(free.sum()) - (0 if active is None else len(active)):
        return None  # it goes through all points, or solves equations: there is nothing to estimate from
    if regression.penalised:
        notes.append("No standard errors: some of the squares are a penalty, which shrinks the estimates.")
        return None
    try:
        residuals, columns = columns_of(regression.residuals, [item.detach() for item in solution.parameters])
        _, before = columns_of(regression.residuals, [item.detach() for item in _elsewhere(solution)])
    except (RuntimeError, NotImplementedError):  # nobody can list which operations have no such derivative
        return None
    if not bool(torch.isfinite(columns).all()):
        return None
    jacobian = columns.double().numpy()
    linear = bool(np.allclose(before.double().numpy(), jacobian, rtol=1e-9, atol=1e-12 * np.abs(jacobian).max()))
    weights = regression.weights.double().numpy()
    found = least_squares_statistics(
        solution.values,
        residuals.double().numpy(),
        jacobian,
        weights=weights,
        observed=None if regression.observed is None else regression.observed.double().numpy(),
        signs=regression.signs.double().numpy(),
        free=free,
        active=active,
        linear=linear,
    )
    if found.weighted:
        notes.append(
            "The residuals are weighted. The weights are taken as relative: a weight is inversely proportional to the "
            "variance of its observation, and the size of that variance is estimated."
        )
    if found.exact:
        notes.append("The model goes through all observations, but for rounding: there is no deviation to estimate.")
    elif found.r_squared is None:
        notes.append("No R²: the formulas do not show which numbers were observed, or they are all the same.")
    elif not found.centred:
        notes.append("The model has no constant term: R² compares with 0, not with the mean, as LINEST does.")
    return found


def _elsewhere(solution: Solution) -> list[torch.Tensor]:
    """Other parameters than the present ones, to see whether the model is linear."""
    random = torch.Generator().manual_seed(0)
    found = []
    for item in solution.parameters:
        shift = torch.rand(item.shape, generator=random, dtype=torch.float64).to(item)
        found.append(item.detach() + (0.1 * item.detach().abs() + 0.01) * (0.5 + shift))
    return found


def _maximum_likelihood(
    solution: Solution, likelihood: Likelihood, free: Booleans, active: Floats | None, notes: list[str]
) -> FitStatistics | None:
    at_minimum = _second_derivatives(solution, free if active is None else None)
    if at_minimum is None:
        return None
    objective, information = likelihood.factor * at_minimum.objective, likelihood.factor * at_minimum.matrix
    found = likelihood_statistics(
        solution.values, -objective, information, count=likelihood.count, free=free, active=active
    )
    if found is None:
        notes.append("No standard errors: the likelihood does not curve downwards here in every direction.")
        return None
    times = "" if likelihood.factor == 1 else f" The log-likelihood is {_times(likelihood)} the loss."
    notes.append(f"The loss is taken as a likelihood, because “{likelihood.label}” stands beside it.{times}")
    notes.append("Standard errors are from the inverse of the observed information, intervals from the normal curve.")
    if likelihood.count is None:
        notes.append("No BIC: the formula of the loss does not show how many observations there are.")
    return found


@dataclass(frozen=True, slots=True)
class _Curved:
    """What has to become small, its gradient [parameters], and its second derivatives [parameters, parameters]."""

    objective: float
    gradient: Floats
    matrix: Floats


def _second_derivatives(solution: Solution, free: Booleans | None = None) -> _Curved | None:
    """The second derivatives at the minimum; None where they cannot be calculated.

    Where it is told which parameters are `free`, Newton's steps lead from the parameters as they are to the point
    itself: in a valley, what is left of the gradient would look like curvature along it.
    """
    module, names, model = solution.module, list(solution.names), solution.model
    parameters = [item.detach().clone().requires_grad_() for item in solution.parameters]
    found = _derivatives(module, names, model, parameters)
    for _ in range(_POLISH if free is not None and found is not None else 0):
        assert found is not None
        assert free is not None
        moved = _after_newton(parameters, found, free)
        after = _derivatives(module, names, model, moved)
        if after is None or not _length(after, free) < 0.5 * _length(found, free):
            break
        if not after.objective <= found.objective + _CLOSE * abs(found.objective):
            break
        parameters, found = moved, after
    return found


def _derivatives(
    module: fx.GraphModule, names: list[str], model: SheetModel, parameters: list[torch.Tensor]
) -> _Curved | None:
    with torch.enable_grad():
        values = dict(zip(names, parameters, strict=True))
        objective = model.as_objective(torch.func.functional_call(module, values, ()))
        if not objective.requires_grad:
            size = sum(item.numel() for item in parameters)
            return _Curved(float(objective), np.zeros(size), np.zeros((size, size)))
        parts = torch.autograd.grad(objective, parameters, create_graph=True, materialize_grads=True)
        gradient = torch.cat([part.reshape(-1) for part in parts])
        rows = []
        try:
            for item in gradient.unbind() if gradient.requires_grad else ():
                rows.append(flat(torch.autograd.grad(item, parameters, retain_graph=True, materialize_grads=True)))
        except (RuntimeError, NotImplementedError):  # nobody can list which operations have no such derivative
            return None
    matrix = np.stack(rows) if rows else np.zeros((len(gradient), len(gradient)))
    slopes = flat([gradient])
    if not np.isfinite(matrix).all() or not np.isfinite(slopes).all():
        return None
    return _Curved(float(objective.detach()), slopes, (matrix + matrix.T) / 2)


def _after_newton(parameters: list[torch.Tensor], found: _Curved, free: Booleans) -> list[torch.Tensor]:
    """The parameters after Newton's step in those that are free, which stays across a valley."""
    places = np.flatnonzero(free)
    scales = _scales(found, free)
    scaled = found.matrix[np.ix_(places, places)] * np.outer(scales, scales)
    step = np.zeros(len(free))
    step[places] = -scales * (np.linalg.pinv(scaled, rcond=_VALLEY, hermitian=True) @ (scales * found.gradient[places]))
    moved, at = [], 0
    for item in parameters:
        part = torch.from_numpy(step[at : at + item.numel()]).reshape(item.shape).to(item)
        moved.append((item.detach() + part).requires_grad_())
        at += item.numel()
    return moved


def _length(found: _Curved, free: Booleans) -> float:
    """The length of the gradient, in units in which each second derivative is 1."""
    return float(np.linalg.norm(_scales(found, free) * found.gradient[free]))


def _scales(found: _Curved, free: Booleans) -> Floats:
    diagonal = np.abs(np.diag(found.matrix)[free])
    return np.asarray(1 / np.sqrt(np.where(diagonal > 0, diagonal, 1.0)))


def _times(likelihood: Likelihood) -> str:
    return f"{likelihood.factor:g} times" if likelihood.factor != 0.5 else "half of"


def _free(solution: Solution) -> Booleans:
    """Which parameters [parameters] are not at a bound."""
    values = solution.values
    free = np.ones(len(values), dtype=bool)
    if solution.constraints is not None:
        bounds, reach = solution.constraints.bounds, _AT_BOUND * (1 + np.abs(values))
        free &= values - bounds.lower.double().numpy() > reach
        free &= bounds.upper.double().numpy() - values > reach
    return free


def _active(solution: Solution, notes: list[str]) -> Floats | None:
    """The gradients [constraints, parameters] of the constraints that hold with equality; None if there are none."""
    if solution.constraints is None or not solution.constraints.labels:
        return None
    flat_model = FlatModel(solution.model, solution.constraints)
    x = flat_model.get()
    residuals, rows = flat_model.at(x).residuals, flat_model.jacobian(x)
    near = np.abs(residuals) <= HOLDS * flat_model.magnitudes
    near[flat_model.split :] = True
    if near.any():
        notes.append(
            f"{_number(int(near.sum()), 'constraint')} with equality: the standard errors take it for certain that "
            "they do, in every sample."
        )
    return rows[near]


def _number(count: int, noun: str) -> str:
    return f"One {noun} holds" if count == 1 else f"{count:,} {noun}s hold"


def _explain(found: FittedModel, statistics: FitStatistics) -> None:
    """Say which parameters have no standard error, and why."""
    pairs = list(zip(found.cells, statistics.estimates, strict=True))
    bound = [cell for cell, item in pairs if item.missing == ON_BOUND]
    if bound:
        found.notes.append(
            f"{_listed(bound)} {'is' if len(bound) == 1 else 'are'} on a bound and taken as fixed: no standard error."
        )
    for group in statistics.groups:
        cells = [found.cells[place] for place in group]
        if len(cells) == 1:
            what, it, so = "does nothing here", "it", "Leave it out of the parameters"
        else:
            what, it, so = _LOOSE + "any fitted value", "them", "Fix one of them, or leave it out"
        found.notes.append(f"{_listed(cells)} {what}, so the data do not determine {it}: no standard error. {so}.")


def _loose_together(solution: Solution) -> list[str]:
    """A sentence for each group of parameters that the loss, of whatever kind, does not tell apart at its minimum."""
    constraints = solution.constraints
    kind = problem_kind(solution.model, constraints).objective
    precise = all(item.dtype == torch.float64 for item in solution.parameters)
    if kind.stepped_cells or kind.kinked_cells or not precise or (constraints is not None and constraints.labels):
        return []
    if not solution.verdict.converged:
        return []
    free = _free(solution)
    curved = _second_derivatives(solution, free)
    known = inverse(curved.matrix, free) if curved is not None else None
    cells = [cell for area, _ in solution.model.ranges() for cell in area.cells()]
    return [
        f"{_listed([cells[place] for place in group])} {_LOOSE}the loss: their values are not determined. "
        "Fix one of them, or leave it out."
        for group in (known.groups if known is not None else ())
        if len(group) > 1
    ]


def _listed(cells: list[Cell], most: int = 6) -> str:
    names = [str(cell) for cell in cells[:most]]
    if len(cells) > most:
        return ", ".join(names) + ", …"
    return " and ".join([", ".join(names[:-1]), names[-1]]) if len(names) > 1 else names[0]
