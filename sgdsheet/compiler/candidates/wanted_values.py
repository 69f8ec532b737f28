"""Results that may be wanted at a value, in workbooks where nothing looks like a loss: goal seek.

Where a budget, a loan or a plan has nothing to make small or large, a person still asks for which price the profit is
0, or which deposit gives 100,000 in the end.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from sgdsheet.compiler.candidates import vocabulary
from sgdsheet.compiler.candidates.inputs import Input, inputs_of, is_setting, upstream
from sgdsheet.compiler.candidates.labels import Labels, words_of
from sgdsheet.compiler.frontend.block_table import BlockTable
from sgdsheet.compiler.frontend.blocks import Block
from sgdsheet.sheet.references import Cell, Range
from sgdsheet.sheet.syntax import Area, Binary, Node
from sgdsheet.sheet.workbook import Workbook

_MOST_RESULTS, _MOST_INPUTS = 4, 4
"""Results that are looked at, and inputs of each that are named."""

_MOST_ALIKE = 4
"""Results that one formula was filled into, at most."""

_MOST_COPIES = 2
"""Copies of a formula, each reading its own cell, up to which a number is one of its own and not a row of data."""


@dataclass(frozen=True, slots=True)
class WantedValue:
    """A result that could reach a value by changing one of the numbers `inputs`, the likeliest first."""

    cell: Cell
    label: str
    is_balance: bool
    """Whether it is a difference whose zero means something: the profit at which a plan breaks even."""
    inputs: tuple[Cell, ...]


def wanted_values_of(workbook: Workbook, table: BlockTable, sheet: str | None = None) -> Iterator[WantedValue]:
    """The results of all sheets, or of one, that nothing reads, with the typed numbers that decide them."""
    labels = Labels(workbook)
    sheets = tuple(workbook.sheets) if sheet is None else (sheet,)
    blocks = [block for name in workbook.sheets for block in table.of_sheet(name)]
    read = {id(other) for block in blocks for other in table.read_by(block) if other is not block}
    results: list[tuple[int, WantedValue]] = []
    for block in blocks:
        if id(block) in read or block.range.size > _MOST_ALIKE or block.error is not None:
            continue
        if block.range.sheet in sheets:
            alone = (block.trimmed(Range.of_cell(cell)) for cell in block.range.cells())
            results += filter(None, (_wanted(workbook, table, labels, one) for one in alone))
    results.sort(key=lambda item: -item[0])
    yield from (item for _, item in results[:_MOST_RESULTS])


def _wanted(workbook: Workbook, table: BlockTable, labels: Labels, block: Block) -> tuple[int, WantedValue] | None:
    """A block's cell as a wanted value, with the number of formulas behind it."""
    cell = block.range.first
    label = labels.left(cell) or labels.name(block.range) or labels.row_title(cell)
    value = workbook.sheets[cell.sheet].values.get(cell[1:])
    if not label or (value is not None and type(value) is not float):
        return None
    blocks = upstream(table, block.range)
    terms = set(_terms(block.tree))
    found = [
        (_word_score(labels, cell), cell)
        for item in inputs_of(workbook, blocks, labels)
        if item.series <= _MOST_COPIES and not item.is_data and _is_single(item)
        for cell in item.area.cells()
        if cell not in terms and (labels.left(cell) or labels.name(Range.of_cell(cell)))
    ]
    inputs = [cell for score, cell in sorted(found, key=lambda pair: (-pair[0], pair[1])) if score >= 0]
    if not inputs:
        return None
    size = sum(item.range.size for item in blocks)
    return size, WantedValue(cell, label, _is_balance(block.tree, label), tuple(inputs[:_MOST_INPUTS]))


def _is_single(item: Input) -> bool:
    """Whether formulas read these numbers one by one, and not as a range."""
    return all(reading.length == 1 for reading in item.readings)


def _terms(node: Node) -> Iterator[Cell]:
    """The cells that a formula only adds or subtracts: what is wanted of it can be had by subtracting, too."""
    match node:
        case Binary(operator="+" | "-"):
            yield from _terms(node.left)
            yield from _terms(node.right)
        case Area() if node.top.base == node.bottom.base and node.left.base == node.right.base:
            yield Cell(node.sheet, node.top.base, node.left.base)


def _word_score(labels: Labels, cell: Cell) -> int:
    """How much a number's label says that a person decides it: 1, 0, or -1 for a setting such as a number of steps."""
    label = labels.left(cell) or labels.name(Range.of_cell(cell))
    if is_setting(((label, 1.0),)):
        return -1
    return int(bool(set(words_of(label)) & (vocabulary.PARAMETER | vocabulary.PRICE | vocabulary.DECIDED)))


def _is_balance(node: Node, label: str) -> bool:
    words = set(words_of(label))
    return isinstance(node, Binary) and node.operator == "-" and bool(words & (vocabulary.GAIN | vocabulary.LOSS))
