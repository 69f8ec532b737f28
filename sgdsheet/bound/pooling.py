"""How cells depend on the samples: not at all, by sums and averages alone, or in another way."""

from __future__ import annotations

from collections.abc import Sequence
from enum import IntEnum

from sgdsheet.compiler.blocks import Block, bounding_range
from sgdsheet.functions import REGISTRY
from sgdsheet.functions.registry import OverSamples
from sgdsheet.references import Cell, Range
from sgdsheet.syntax import Area, Binary, Call, Node, Unary, children, walk


class _How(IntEnum):
    FIXED = 0
    ADDITIVE = 1
    OTHERWISE = 2


def tells_samples_apart(cell: Cell, samples: Sequence[Range]) -> bool:
    """Whether a cell is one of those that every sample has its own of."""
    return any(area.contains(Range.of_cell(cell)) for area in samples)


def is_additive(cell: Cell, blocks: Sequence[Block], samples: Sequence[Range]) -> bool:
    """Whether a cell's mean over parts of the samples is its value over all.

    `samples` are the cells that every sample has its own of; `blocks` all that depend on them or on a parameter, in
    order.
    """
    known: list[tuple[Range, _How]] = [(area, _How.OTHERWISE) for area in samples]
    for block in blocks:
        if not any(area.contains(block.range) for area in samples):
            known.append((block.range, _how(block.tree, block, known, samples)))
    own = Range.of_cell(cell)
    return all(how is not _How.OTHERWISE for area, how in known if area.intersection(own))


def _how(node: Node, block: Block, known: Sequence[tuple[Range, _How]], samples: Sequence[Range]) -> _How:
    def of(part: Node) -> _How:
        return _how(part, block, known, samples)

    match node:
        case Area():
            read = bounding_range(node, block.rows, block.columns)
            return max((how for area, how in known if area.intersection(read)), default=_How.FIXED)
        case Call() if _adds_up(node) and _reads(node, block, samples):
            return _How.ADDITIVE
        case Unary(operator="+" | "-"):
            return of(node.operand)
        case Binary(operator="+" | "-"):
            return max(of(node.left), of(node.right))
        case Binary(operator="*"):
            left, right = of(node.left), of(node.right)
            return max(left, right) if _How.FIXED in (left, right) else _How.OTHERWISE
        case Binary(operator="/"):
            return of(node.left) if of(node.right) is _How.FIXED else _How.OTHERWISE
        case _:
            return max((_How.OTHERWISE for part in children(node) if of(part) is not _How.FIXED), default=_How.FIXED)


def _adds_up(call: Call) -> bool:
    function = REGISTRY.get(call.name)
    if function is None:
        return False
    mean = call.name == "AVERAGE" or call.name.startswith("SGD_")  # AVERAGEIF averages over some, VAR is no average
    return function.over_samples is OverSamples.SUM or (mean and "MEAN" in function.over_samples.name)


def _reads(call: Call, block: Block, samples: Sequence[Range]) -> bool:
    """Whether the samples are what a sum is over."""
    reads = [bounding_range(part, block.rows, block.columns) for part in walk(call) if isinstance(part, Area)]
    return any(area.intersection(read) for area in samples for read in reads)
