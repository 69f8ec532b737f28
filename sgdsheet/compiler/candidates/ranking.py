"""Candidates for a model: a cell that looks like a loss, with the numbers that look like its parameters."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from sgdsheet.compiler.calculated_references import block_table
from sgdsheet.compiler.candidates.inputs import Input, inputs_of, joined, upstream
from sgdsheet.compiler.candidates.labels import Labels
from sgdsheet.compiler.candidates.objectives import Objective, objectives_of
from sgdsheet.compiler.frontend.block_table import BlockTable
from sgdsheet.compiler.frontend.blocks import Block
from sgdsheet.problem.solver_names import Direction
from sgdsheet.sheet.formula import formula_text
from sgdsheet.sheet.references import Cell, Range
from sgdsheet.sheet.workbook import Workbook

_LEAST = 3.5
"""A cell that looks less like a loss than this is not named."""

_SURE = 1.0
"""The least score of numbers that are taken for parameters."""

_MORE_THAN_PARTS = 0.1
"""How much likelier a gain is than the likeliest of its parts."""

_MOST_LOOKED_AT = 24
"""Cells whose inputs are looked for."""

_MOST_AREAS, _MOST_PARAMETERS = 24, 100_000
"""More than this many parameter areas or cells make no command that a person would copy."""


@dataclass(frozen=True, slots=True)
class Candidate:
    """A model that the workbook seems to hold: nobody has tried yet whether it can be trained."""

    loss: Cell
    label: str
    formula: str
    parameters: tuple[Range, ...]
    data: tuple[Range, ...]
    direction: Direction
    cells: int
    """Formula cells that flow into the loss."""
    score: float
    is_fit: bool
    """Whether the loss sums up squares, logarithms or their like, and so has an optimum by itself."""
    remark: str = ""
    """What a person should know before training it."""

    @property
    def parameter_count(self) -> int:
        return sum(area.size for area in self.parameters)


def candidates_of(
    workbook: Workbook, sheet: str | None = None, *, table: BlockTable | None = None
) -> Iterator[Candidate]:
    """Candidates on all sheets, or on one, the best first. `table` are the workbook's blocks, if they are known."""
    table, labels = table or block_table(workbook), Labels(workbook)
    sheets = tuple(workbook.sheets) if sheet is None else (sheet,)
    likely = [item for item in objectives_of(workbook, table, labels, sheets) if item.score >= _LEAST]
    found: list[tuple[Candidate, list[Block]]] = []
    for objective in likely[:_MOST_LOOKED_AT]:
        blocks = upstream(table, Range.of_cell(objective.cell))
        candidate = candidate_of(workbook, labels, objective, blocks)
        if candidate is not None:
            found.append((candidate, blocks))
    yield from _distinct(sorted(found, key=lambda pair: -_score_with_parts(pair[0], pair[1], found)))


def _score_with_parts(
    candidate: Candidate, blocks: Sequence[Block], others: Sequence[tuple[Candidate, list[Block]]]
) -> float:
    """The score; a gain is likelier than what it is made of, as a Sharpe ratio is than the volatility in it."""
    if candidate.direction is not Direction.MAXIMISE:
        return candidate.score
    parts = (
        other.score + _MORE_THAN_PARTS
        for other, _ in others
        if other.loss != candidate.loss
        and set(other.parameters) <= set(candidate.parameters)
        and any(block.range.contains(Range.of_cell(other.loss)) for block in blocks)
    )
    return max([candidate.score, *parts])


def candidate_of(
    workbook: Workbook, labels: Labels, objective: Objective, blocks: Sequence[Block], *, only_sure: bool = False
) -> Candidate | None:
    """The model of an objective, into which `blocks` flow, if some of their numbers may be parameters.

    With `only_sure`, numbers that merely look less like data than others are none.
    """
    inputs = inputs_of(workbook, blocks, labels, gain=objective.direction is Direction.MAXIMISE)
    chosen = [item for item in inputs if item.score >= _SURE] if only_sure else _chosen(inputs)
    parameters = joined(chosen)
    count = sum(area.size for area in parameters)
    if not parameters or len(parameters) > _MOST_AREAS or count > _MOST_PARAMETERS:
        return None
    data = joined([item for item in inputs if item not in chosen and item.is_data])
    cells = sum(block.range.size for block in blocks)
    sure = max(item.score for item in chosen)
    flow = min(2.0, 0.4 * cells.bit_length() / 2)
    formula = workbook.sheets[objective.cell.sheet].formulas.get(objective.cell[1:])
    return Candidate(
        objective.cell,
        objective.label,
        formula_text(formula, *objective.cell[1:]) if formula is not None else objective.block.text,
        tuple(parameters),
        tuple(data),
        objective.direction,
        cells,
        objective.score + flow + min(sure, 3.0),
        objective.is_fit,
    )


def _chosen(inputs: Sequence[Input]) -> list[Input]:
    """The inputs that look like parameters; where none do, those that look least like data."""
    chosen = [item for item in inputs if item.score >= _SURE]
    if chosen:
        return chosen
    rest = [
        item for item in inputs if item.series == 1 and (item.area.height > 1 < item.area.width or not item.is_data)
    ]
    best = max((item.score for item in rest), default=0.0)
    return [item for item in rest if item.score == best and best > -4.0]


def _distinct(candidates: Sequence[tuple[Candidate, list[Block]]]) -> Iterator[Candidate]:
    """The best candidate for each set of parameters: MSE and RMSE of one fit are one model, and so are its parts."""
    better: list[tuple[Candidate, list[Block]]] = []
    for candidate, blocks in candidates:
        loss, own = Range.of_cell(candidate.loss), set(candidate.parameters)
        part = any(
            all(any(area.contains(one) for area in other.parameters) for one in own)
            and any(block.range.contains(loss) for block in behind)
            for other, behind in better
        )
        if not part and not any(own == set(other.parameters) for other, _ in better):
            better.append((candidate, blocks))
            yield candidate
