"""Candidates for a model are tried before anybody is told of them: only what can be trained is offered."""

from __future__ import annotations

import math
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass, field, replace
from itertools import pairwise

import torch

from sgdsheet.compiler.calculated_references import block_table
from sgdsheet.compiler.candidates.missing_losses import MissingLoss, missing_losses_of
from sgdsheet.compiler.candidates.ranking import Candidate, candidates_of
from sgdsheet.compiler.frontend.block_table import BlockTable
from sgdsheet.compiler.frontend.dependence import unreached
from sgdsheet.compiler.frontend.planning import Planner
from sgdsheet.compiler.model import SheetModel
from sgdsheet.compiler.proof import required
from sgdsheet.errors import ProblemError, SgdSheetError
from sgdsheet.problem.definition import Direction, Problem, find_problem
from sgdsheet.sheet.references import Range, without
from sgdsheet.sheet.workbook import Workbook

MOST_OFFERED = 5
"""Candidates that are offered at most."""

_MOST_TRIED = 12
_MOST_CELLS = 3_000_000
"""Cells of all candidates together that are tried, so that a large workbook takes no longer than a person waits."""

_FAR = (0.1, 1.0, 10.0, 100.0)
"""How far from the start the gradient is looked at, in sizes of the parameters."""


_RAY = (10.0, 1e3, 1e5)
"""How far along its gradient the objective is looked at, in sizes of the parameters."""


@dataclass(frozen=True, slots=True)
class Declined:
    """A candidate that cannot be trained, and why."""

    candidate: Candidate
    error: SgdSheetError


@dataclass(slots=True)
class Suggestions:
    """Models that a workbook seems to hold: those that can be trained, the best first, and those that cannot.

    Where none can be trained, `missing` are losses to write with which one could.
    """

    offered: list[Candidate] = field(default_factory=list)
    declined: list[Declined] = field(default_factory=list)
    missing: list[MissingLoss] = field(default_factory=list)


def suggestions(
    workbook: Workbook, sheet: str | None = None, *, most: int = MOST_OFFERED, table: BlockTable | None = None
) -> Suggestions:
    """Find candidates on all sheets (or on one) and try them, until `most` can be trained."""
    table = table or block_table(workbook)
    found = tried(workbook, candidates_of(workbook, sheet, table=table), table, most)
    if not found.offered:
        found.missing = _missing(workbook, table, sheet)
    return found


def _missing(workbook: Workbook, table: BlockTable, sheet: str | None) -> list[MissingLoss]:
    """Losses to write that can be trained, one of each sheet."""
    found: dict[str, MissingLoss] = {}
    for item in missing_losses_of(workbook, table, sheet):
        if item.cell.sheet in found:
            continue
        written = item.written(workbook)
        with suppress(SgdSheetError):
            candidate = trained_once(written, item.candidate, block_table(written))
            found[item.cell.sheet] = replace(item, candidate=candidate)
    return list(found.values())


def tried(workbook: Workbook, candidates: Iterable[Candidate], table: BlockTable, most: int) -> Suggestions:
    """Try candidates in their order."""
    found, cells = Suggestions(), 0
    for number, candidate in enumerate(candidates):
        if len(found.offered) == most or number == _MOST_TRIED or cells > _MOST_CELLS:
            break
        cells += candidate.cells
        try:
            found.offered.append(trained_once(workbook, candidate, table))
        except SgdSheetError as error:
            found.declined.append(Declined(candidate, error))
    return found


def trained_once(workbook: Workbook, candidate: Candidate, table: BlockTable) -> Candidate:
    """The candidate, without the parameters that have no gradient. Raises what training it would raise."""
    problem = _problem(workbook, candidate, table)
    model = SheetModel(workbook, problem, table=table)
    required(model)
    loss = float(model().detach())
    if not math.isfinite(loss):
        raise model.explain_bad_loss()
    _check_gradient(model)
    return replace(candidate, parameters=problem.parameters)


def _problem(workbook: Workbook, candidate: Candidate, table: BlockTable) -> Problem:
    """What the command's options make of the candidate, without parameters that only have jumps."""
    problem = find_problem(
        workbook,
        candidate.loss.sheet,
        str(candidate.loss),
        ",".join(map(str, candidate.parameters)),
        maximize=candidate.direction is Direction.MAXIMISE,
    )
    plan = Planner(workbook, problem.parameters, table).plan([Range.of_cell(problem.loss)])
    found = unreached(problem, plan.blocks)
    parameters = without(problem.parameters, (*found.unused, *found.stepped))
    if not parameters:
        raise ProblemError("its inputs have no gradient", cell=problem.loss, remedy="Use smooth formulas")
    return replace(problem, parameters=parameters)


def _check_gradient(model: SheetModel) -> None:
    """Refuse a loss without a gradient, and one that only ever falls: without constraints it has no minimum."""
    loss = model.problem.loss
    start = _gradient(model)
    if not bool(start.isfinite().all()):
        raise ProblemError("its gradient is not finite", cell=loss, remedy="Start from other parameters")
    if not bool(start.any()):
        raise ProblemError("its gradient is zero", cell=loss, remedy="Start from other parameters")
    if _is_linear(model, start):
        raise ProblemError(
            "it is linear in its parameters: without constraints it has no optimum",
            cell=loss,
            remedy="Set them up in Excel's Solver: sgdsheet reads its models from the file",
        )
    if _is_unbounded(model, start):
        raise ProblemError(
            "it gets better without end along its gradient: without constraints it has no optimum",
            cell=loss,
            remedy="Set them up in Excel's Solver: sgdsheet reads its models from the file",
        )


def _is_unbounded(model: SheetModel, start: torch.Tensor) -> bool:
    """Whether the objective gets better and better, at least in proportion, along its gradient at the start."""
    sign = -1.0 if model.problem.direction is Direction.MINIMISE else 1.0
    direction = sign * start
    gains: list[float] = []
    before = float(model.objective().detach())
    for far in _RAY:
        with torch.no_grad():
            for (_, tensor), part in zip(model.ranges(), direction.split(_sizes(model)), strict=True):
                tensor.add_(part.sign().reshape(tensor.shape) * tensor.abs().clamp(min=1.0) * far)
            gains.append(before - float(model.objective()))
        model.reset_parameters()
    return all(
        math.isfinite(gain) and gain > 0.5 * (far / near) * less > 0
        for (near, less), (far, gain) in pairwise(zip(_RAY, gains, strict=True))
    )


def _sizes(model: SheetModel) -> list[int]:
    return [tensor.numel() for _, tensor in model.ranges()]


def _gradient(model: SheetModel) -> torch.Tensor:
    tensors = [tensor for _, tensor in model.ranges()]
    parts = torch.autograd.grad(model(), tensors, allow_unused=True)
    return torch.cat(
        [
            (torch.zeros_like(tensor) if part is None else part).flatten()
            for part, tensor in zip(parts, tensors, strict=True)
        ]
    )


def _is_linear(model: SheetModel, start: torch.Tensor) -> bool:
    """Whether the gradient is the same near and far."""
    generator = torch.Generator().manual_seed(0)
    largest = float(start.abs().max())
    try:
        for far in _FAR:
            with torch.no_grad():
                for _, tensor in model.ranges():
                    size = tensor.abs().clamp(min=1.0) * far
                    draw = torch.rand(tensor.shape, generator=generator, dtype=tensor.dtype)
                    tensor.add_(size * (2 * draw - 1))
            there = _gradient(model)
            if not bool(((there - start).abs() <= 1e-9 * largest).all()):
                return False
    finally:
        model.reset_parameters()
    return True
