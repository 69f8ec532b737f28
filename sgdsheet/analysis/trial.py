"""Candidates for a model are tried before anybody is told of them: only what can be trained is offered."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from itertools import islice

from sgdsheet.analysis.no_optimum import cells_without_end, grows_with_scale, refuse_without_optimum
from sgdsheet.compiler.calculated_references import block_table
from sgdsheet.compiler.candidates.missing_losses import MissingLoss, missing_losses_of
from sgdsheet.compiler.candidates.ranking import Candidate, candidates_of
from sgdsheet.compiler.candidates.wanted_values import WantedValue, wanted_values_of
from sgdsheet.compiler.frontend.block_table import BlockTable
from sgdsheet.compiler.frontend.dependence import unreached
from sgdsheet.compiler.frontend.planning import Planner
from sgdsheet.compiler.model import SheetModel
from sgdsheet.compiler.proof import required
from sgdsheet.errors import ProblemError, SgdSheetError
from sgdsheet.problem.definition import Direction, Problem, find_problem
from sgdsheet.sheet.references import Cell, Range, without
from sgdsheet.sheet.workbook import Workbook
from sgdsheet.train.goals import goals_of
from sgdsheet.train.session import Session

MOST_OFFERED = 5
"""Candidates that are offered at most."""

_MOST_TRIED = 12
_MOST_GOALS = 3
_MORE = 1.1
"""How many times its present value a result is to be in an example."""

_STEPS_TO_GOAL = 50
_MOST_CELLS = 3_000_000
"""Cells of all candidates together that are tried, so that a large workbook takes no longer than a person waits."""


@dataclass(frozen=True, slots=True)
class Declined:
    """A candidate that cannot be trained, and why."""

    candidate: Candidate
    error: SgdSheetError


@dataclass(frozen=True, slots=True)
class Goal:
    """A result with a value that it reaches, as was tried, by changing one number; `others` may be changed instead."""

    cell: Cell
    label: str
    present: float
    value: float
    changed: Cell
    others: tuple[Cell, ...]


@dataclass(slots=True)
class Suggestions:
    """Models that a workbook seems to hold: those that can be trained, the best first, and those that cannot.

    Where none can be trained, `missing` are losses to write with which one could, and where there are none of these
    either, `goals` are results that can reach a value.
    """

    offered: list[Candidate] = field(default_factory=list)
    declined: list[Declined] = field(default_factory=list)
    missing: list[MissingLoss] = field(default_factory=list)
    goals: list[Goal] = field(default_factory=list)


def suggestions(
    workbook: Workbook, sheet: str | None = None, *, most: int = MOST_OFFERED, table: BlockTable | None = None
) -> Suggestions:
    """Find candidates on all sheets (or on one) and try them, until `most` can be trained."""
    table = table or block_table(workbook)
    found = tried(workbook, candidates_of(workbook, sheet, table=table), table, most)
    if not found.offered:
        found.missing = _missing(workbook, table, sheet)
        found.goals = [] if found.missing else _goals(workbook, table, sheet)
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


def _goals(workbook: Workbook, table: BlockTable, sheet: str | None) -> list[Goal]:
    """Results that reach a value: 0 for a balance, else an example a little above what they are."""
    found = []
    for item in islice(wanted_values_of(workbook, table, sheet), _MOST_GOALS):
        with suppress(SgdSheetError):
            found.append(_reached(workbook, table, item))
    return found


def _reached(workbook: Workbook, table: BlockTable, item: WantedValue) -> Goal:
    """The first of the item's inputs that makes its cell reach the value. Raises ProblemError if none does."""

    def model_of(inputs: Sequence[Cell], value: float) -> SheetModel:
        params = ",".join(str(Range.of_cell(cell)) for cell in inputs)
        target = (str(item.cell), value)
        return SheetModel(
            workbook, find_problem(workbook, item.cell.sheet, None, params, targets=[target]), table=table
        )

    model = model_of(item.inputs, 0.0)
    required(model)
    present = float(model().detach())
    value = 0.0 if item.is_balance and present else float(f"{present * _MORE:.2g}") or 1.0
    inputs = [cell for cell, slope in model.gradients().items() if slope]
    for cell in sorted(inputs, key=item.inputs.index):
        one = model_of([cell], value)
        for _ in Session(one, steps=_STEPS_TO_GOAL):
            pass
        if all(goal.reached for goal in goals_of(one)):
            return Goal(item.cell, item.label, present, value, cell, tuple(other for other in inputs if other != cell))
    raise ProblemError("no number that it reads makes it reach the value", cell=item.cell, remedy="Want another value")


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
    """The candidate, without the parameters that have no gradient, or that would move without end.

    Raises what training it would raise.
    """
    model = SheetModel(workbook, _problem(workbook, candidate, table), table=table)
    required(model)
    loss = float(model().detach())
    if not math.isfinite(loss):
        raise model.explain_bad_loss()
    endless = [Range.of_cell(cell) for cell in cells_without_end(model)]
    left = without(model.problem.parameters, endless) if endless else ()
    if left:
        model = SheetModel(workbook, replace(model.problem, parameters=left), table=table)
    refuse_without_optimum(model, is_fit=candidate.is_fit)
    return replace(candidate, parameters=model.problem.parameters, remark=_remark(model))


def _remark(model: SheetModel) -> str:
    """What a person should know: parameters that would run on without end, shares that would not remain shares."""
    found = []
    if grows_with_scale(model):
        found.append(
            "it gets better the larger all of them become: they run on without end unless something limits them"
        )
    shares = list(model.parameter_cells().values())
    if len(shares) > 1 and all(0 < share < 1 for share in shares) and math.isclose(math.fsum(shares), 1.0):
        found.append(
            "they come to 1 together now, and nothing keeps it so: if they are shares, compare the cell of their sum"
            " with 1, as in =B9=1, in a cell that you name sgd_constraints"
        )
    return "; ".join(found)


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
