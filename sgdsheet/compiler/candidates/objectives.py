"""Cells that look like a loss: by the words beside them, by their formula, and by what reads them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice

from sgdsheet.compiler.candidates import vocabulary
from sgdsheet.compiler.candidates.labels import Labels, words_of
from sgdsheet.compiler.frontend.block_table import BlockTable
from sgdsheet.compiler.frontend.blocks import Block
from sgdsheet.compiler.functions.registry import OverSamples, declared
from sgdsheet.problem.solver_names import Direction
from sgdsheet.sheet.references import Cell, Range
from sgdsheet.sheet.syntax import Area, Binary, Call, Node, Number, Unary, children
from sgdsheet.sheet.workbook import ExcelError, Workbook

_MOST_COPIES = 12
"""Cells that a formula was filled into, up to which each may be a loss of its own."""

_MOST_SUMMANDS = 50
"""Blocks behind a sum that are looked at."""

_FIT = 2.5
"""The least score of a formula that sums up squares, logarithms or their like."""

_DESCRIPTIVE = ("statistics", "moments", "order")
"""The categories of functions that describe a list of numbers."""

_LOSSES = "losses"
"""The category of functions that are losses."""


@dataclass(frozen=True, slots=True)
class Objective:
    """A cell that looks like a loss, and how much so."""

    cell: Cell
    block: Block
    label: str
    direction: Direction
    score: float
    is_fit: bool = False
    """Whether the formula sums up squares, logarithms or their like, and so has an optimum by itself."""


def objectives_of(workbook: Workbook, table: BlockTable, labels: Labels, sheets: tuple[str, ...]) -> list[Objective]:
    """The cells of some sheets that look like a loss, the likeliest first."""
    blocks = [block for name in workbook.sheets for block in table.of_sheet(name)]
    readers: Counter[int] = Counter()
    for block in blocks:
        for other in table.read_by(block):
            if other is not block:
                readers[id(other)] += block.range.size
    found: list[Objective] = []
    for block in blocks:
        if block.range.sheet in sheets and block.error is None and block.range.size <= _MOST_COPIES:
            found += _in_block(workbook, table, labels, block, readers[id(block)])
    return sorted(found, key=lambda item: -item.score)


def _in_block(workbook: Workbook, table: BlockTable, labels: Labels, block: Block, readers: int) -> Iterator[Objective]:
    if block.height * block.width > 1 or (block.range.size > 1 and readers):  # what was filled down and is summed up
        return
    shape, minus = shape_score(block, table), negated(block.tree)
    values = workbook.sheets[block.range.sheet].values
    of_data = _reads_ranges_of_data(block, table)
    for cell in block.range.cells():
        value = values.get(cell[1:])
        if isinstance(value, str | bool | ExcelError):
            continue
        label = labels.of_cell(cell) or labels.row_title(cell) or labels.heading(cell)
        words, gain = label_score(labels, cell)
        if of_data and (words <= 0.0 or _is_descriptive(block.tree)):
            continue
        place = 1.5 if readers == 0 else 0.5 if readers <= 3 else -1.5
        alone = 1.0 if block.range.size == 1 else 0.0
        maximise = gain and not minus
        direction = Direction.MAXIMISE if maximise else Direction.MINIMISE
        yield Objective(cell, block, label, direction, words + shape + place + alone, shape >= _FIT)


def _reads_ranges_of_data(block: Block, table: BlockTable) -> bool:
    """Whether a formula reads nothing but ranges of typed numbers, as a mean or a deviation of data does."""
    areas = list(block.reads())
    typed = not any(other is not block for area in areas for other in table.overlapping(area))
    return bool(areas) and typed and all(area.size > 1 for area in areas)


def _is_descriptive(node: Node) -> bool:
    """Whether a formula describes numbers, whatever it is called: nobody minimises the deviation of data by them."""
    found = declared(node)
    return found is not None and found.category in _DESCRIPTIVE


# --- words ------------------------------------------------------------------------------------------------


def label_score(labels: Labels, cell: Cell) -> tuple[float, bool]:
    """What the words beside a cell say, and whether it is something to make as large as possible.

    A total is that of what stands above it: the “Total” under “Profit” is a profit.
    """
    texts = (labels.left(cell), labels.name(Range.of_cell(cell)), labels.above(cell), labels.row_title(cell))
    so_far = 0.0
    for text, weight in zip((*texts, labels.heading(cell)), (4.0, 4.0, 3.0, 1.5, 1.5), strict=True):
        words = words_of(text)
        known = set(words)
        gain = bool(known & vocabulary.GAIN) and not known & vocabulary.NEGATIVE
        if known & vocabulary.VETO:
            return so_far or -weight, False
        if known >= vocabulary.R_SQUARED:
            return so_far or -weight / 2, False
        if known & vocabulary.GAIN or known & vocabulary.LOSS:
            return so_far + weight, gain and not known & vocabulary.LOSS
        if known & vocabulary.SQUARE:
            return so_far + weight, False
        if known & vocabulary.OTHER:
            return so_far or -weight / 2, False
        if known & vocabulary.NEUTRAL:
            so_far = so_far or weight / 3
    return so_far, False


# --- formulas ---------------------------------------------------------------------------------------------


def shape_score(block: Block, table: BlockTable) -> float:
    """How much a formula looks like a loss: a sum of squares most, then sums of other functions, then any sum."""
    behind = (other for area in block.reads() for other in table.overlapping(area) if other is not block)
    summands = [other.tree for other in islice(behind, _MOST_SUMMANDS) if other.error is None]
    score = _shape(block.tree, max(map(_summand_score, summands), default=0.0))
    return -3.0 if score is None else score


def _shape(node: Node, behind: float) -> float | None:
    """The score of a part of a formula, where cells that are summed have the score `behind`; None for a constant."""
    match node:
        case Area():
            return 0.0
        case Call():
            return _shape_of_call(node, behind)
        case Binary(operator="^") if (inner := _shape(node.left, behind)) is not None:
            return max(inner, 1.5)
        case _:
            scores = [score for part in children(node) if (score := _shape(part, behind)) is not None]
            return max(scores, default=None)


def _shape_of_call(call: Call, behind: float) -> float | None:
    found = declared(call)
    if found is not None and found.over_samples.is_size:  # the count in SUM(…)/COUNT(…)
        return None
    if found is not None and (found.sums_squares or found.category == _LOSSES):
        return 3.5
    if found is not None and found.over_samples.is_reduced:
        return 0.5 + max([behind, *map(_summand_score, call.arguments)])
    scores = [score for part in call.arguments if (score := _shape(part, behind)) is not None]
    return max(scores, default=None)


def _summand_score(node: Node) -> float:
    """How much what is summed looks like a loss: squares most, then logarithms, distances and their like."""
    best = 0.0
    for part in (node, *children(node)):
        while isinstance(part, Unary):
            part = part.operand
        match part:
            case Binary(operator="^", right=Number(value=2.0)):
                best = max(best, 3.0)
            case Binary(operator="*") if part.left == part.right:
                best = max(best, 3.0)
            case Call():
                found = declared(part)
                if found is not None and (found.over_samples is OverSamples.ELEMENTWISE or found.category == _LOSSES):
                    best = max(best, 2.0)
    return best


def negated(node: Node) -> bool:
    """Whether a minus stands before a formula, as in =-SUM(…)/COUNT(…)."""
    match node:
        case Unary(operator="-"):
            return not negated(node.operand)
        case Unary():
            return negated(node.operand)
        case Binary(operator="*" | "/"):
            return negated(node.left) != negated(node.right)
        case _:
            return isinstance(node, Number) and node.value < 0
