"""Losses that nobody has written yet: cells hold how far predictions are from data, and nothing sums them up.

Then the formula is missing, and not the model: it is proposed, with an empty cell for it.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import islice

from sgdsheet.compiler.candidates import vocabulary
from sgdsheet.compiler.candidates.inputs import typed_numbers, upstream
from sgdsheet.compiler.candidates.labels import Labels, words_of
from sgdsheet.compiler.candidates.objectives import Objective
from sgdsheet.compiler.candidates.ranking import Candidate, candidate_of
from sgdsheet.compiler.frontend.block_table import BlockTable
from sgdsheet.compiler.frontend.blocks import Block, bounding_range
from sgdsheet.compiler.functions.registry import Derivative, declared
from sgdsheet.problem.solver_names import Direction
from sgdsheet.sheet.references import Cell, Range
from sgdsheet.sheet.syntax import Area, Binary, Call, Node, Number, Unary
from sgdsheet.sheet.workbook import Formula, Sheet, Workbook

_LEAST_CELLS, _MOST_CELLS = 2, 100_000
"""How many differences a proposed loss sums up."""

_MOST_PROPOSED = 6
"""Proposals that are made of one workbook."""

_FARTHEST = 64
"""Rows or columns between predictions and the data beside them."""

_DOWN = 40
"""Rows below an area in which an empty cell is looked for."""


@dataclass(frozen=True, slots=True)
class MissingLoss:
    """A loss to write: its formula (without `=`) for an empty cell, and the model that the workbook then holds.

    `predictions` are differences from data where `data` is None, else what is calculated beside `data`.
    """

    formula: str
    predictions: Range
    data: Range | None
    label: str
    candidate: Candidate

    @property
    def cell(self) -> Cell:
        """The empty cell for the formula."""
        return self.candidate.loss

    def written(self, workbook: Workbook) -> Workbook:
        """The workbook with the formula in its cell; the other stays as it is."""
        sheet = workbook.sheets[self.cell.sheet]
        formula = Formula(self.formula, self.cell.row, self.cell.column)
        changed = replace(sheet, formulas={**sheet.formulas, self.cell[1:]: formula})
        return replace(workbook, sheets={**workbook.sheets, sheet.name: changed})


def missing_losses_of(workbook: Workbook, table: BlockTable, sheet: str | None = None) -> list[MissingLoss]:
    """Proposals for all sheets, or for one: differences first, then predictions that stand beside data."""
    labels = Labels(workbook)
    names = tuple(workbook.sheets) if sheet is None else (sheet,)
    blocks = [
        block
        for name in names
        for block in table.of_sheet(name)
        if block.error is None and _LEAST_CELLS <= block.range.size <= _MOST_CELLS and not block.recurrence
    ]
    found = list(islice(_differences(workbook, table, labels, blocks), _MOST_PROPOSED))
    return found + list(islice(_beside_data(workbook, table, labels, blocks), _MOST_PROPOSED - len(found)))


# --- differences that stand in cells ----------------------------------------------------------------------


def _differences(workbook: Workbook, table: BlockTable, labels: Labels, blocks: list[Block]) -> Iterator[MissingLoss]:
    for block in blocks:
        difference, is_square = _difference(block.tree)
        if difference is None or not _is_from_data(workbook, table, block, difference):
            continue
        formula = f"{'SUM' if is_square else 'SUMSQ'}({block.range.a1})"
        proposal = _proposal(workbook, table, labels, block, formula, None)
        if proposal is not None:
            yield proposal


def _difference(node: Node) -> tuple[Binary | None, bool]:
    """The difference that a formula comes to, and whether it was squared already."""
    match node:
        case Binary(operator="-"):
            return node, False
        case Binary(operator="^", right=Number(value=2.0)):
            return _difference(node.left)[0], True
        case Unary(operator="-" | "+"):
            return _difference(node.operand)
        case Call(arguments=(argument,)) if (found := declared(node)) and found.derivative is Derivative.KINKED:
            return _difference(argument)[0], False  # ABS, whose squares are those of the difference
    return None, False


def _is_from_data(workbook: Workbook, table: BlockTable, block: Block, difference: Binary) -> bool:
    """Whether one side is typed numbers, its own of each copy, and the other is calculated."""
    typed = [_typed(workbook, block, side) for side in (difference.left, difference.right)]
    if typed[0] == typed[1]:
        return False
    data, other = (difference.left, difference.right) if typed[0] else (difference.right, difference.left)
    assert isinstance(data, Area)
    if bounding_range(data, block.rows, block.columns).size < block.range.size:
        return False  # one number for all: a deviation from a limit or a mean
    if not isinstance(other, Area):
        return True
    return bool(table.overlapping(bounding_range(other, block.rows, block.columns)))


def _typed(workbook: Workbook, block: Block, side: Node) -> bool:
    if not isinstance(side, Area) or side.sheet not in workbook.sheets:
        return False
    return _holds_typed_numbers(workbook.sheets[side.sheet], bounding_range(side, block.rows, block.columns))


def _holds_typed_numbers(sheet: Sheet, area: Range) -> bool:
    return area.size <= _MOST_CELLS and len(typed_numbers(sheet, area)) == area.size


# --- predictions beside data ------------------------------------------------------------------------------


def _beside_data(workbook: Workbook, table: BlockTable, labels: Labels, blocks: list[Block]) -> Iterator[MissingLoss]:
    for block in blocks:
        if not _says(labels, block.range, vocabulary.PREDICTION):
            continue
        for data in _shifted(block.range, workbook.sheets[block.range.sheet].extent):
            if not _holds_typed_numbers(workbook.sheets[data.sheet], data):
                continue
            if not _says(labels, data, vocabulary.TARGET):
                continue
            formula = f"SUMXMY2({block.range.a1},{data.a1})"
            proposal = _proposal(workbook, table, labels, block, formula, data)
            if proposal is not None:
                yield proposal
                break


def _says(labels: Labels, area: Range, words: frozenset[str]) -> bool:
    """Whether the closest text of an area has one of these words."""
    texts = labels.of_area(area, in_rows=area.height == 1)
    return bool(texts) and bool(set(words_of(texts[0][0])) & words)


def _shifted(area: Range, extent: tuple[int, int]) -> Iterator[Range]:
    """The areas of the same shape in the same rows, then in the same columns, the nearest first."""
    for far in range(1, _FARTHEST):
        for step in (-far, far):
            if area.left + step >= 1 and area.right + step <= extent[1] and abs(step) >= area.width:
                yield area._replace(left=area.left + step, right=area.right + step)
    for far in range(1, _FARTHEST):
        for step in (-far, far):
            if area.top + step >= 1 and area.bottom + step <= extent[0] and abs(step) >= area.height:
                yield area._replace(top=area.top + step, bottom=area.bottom + step)


# --- the model that they make -----------------------------------------------------------------------------


def _proposal(
    workbook: Workbook, table: BlockTable, labels: Labels, block: Block, formula: str, data: Range | None
) -> MissingLoss | None:
    """The proposal, where numbers flow into the predictions that look like parameters for certain."""
    cell = _empty_cell(workbook.sheets[block.range.sheet], block.range)
    label = labels.of_cell(block.range.first)
    if not set(words_of(label)) & (vocabulary.LOSS | vocabulary.PREDICTION):
        label = ""  # of something beside it
    objective = Objective(cell, block, label, Direction.MINIMISE, 0.0, is_fit=True)
    candidate = candidate_of(workbook, labels, objective, upstream(table, block.range), only_sure=True)
    if candidate is None:
        return None
    return MissingLoss(formula, block.range, data, label, replace(candidate, formula=formula))


def _empty_cell(sheet: Sheet, area: Range) -> Cell:
    """An empty cell below an area, with nothing beside it; at worst, one below everything."""
    taken = (sheet.values.keys(), sheet.formulas.keys())
    for row in range(area.bottom + 2, area.bottom + 2 + _DOWN):
        around = [(row + down, area.right + across) for down in (-1, 0, 1) for across in (-1, 0, 1)]
        merged = any(other.top <= row <= other.bottom for other in sheet.merged)
        if not merged and not any(place in cells for place in around for cells in taken):
            return Cell(sheet.name, row, area.right)
    return Cell(sheet.name, sheet.extent[0] + 2, area.right)
