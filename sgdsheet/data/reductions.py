"""How cells depend on the samples: not at all, each for one sample, by sums and averages alone, or in another way."""

from __future__ import annotations

from collections.abc import Sequence
from enum import IntEnum

from sgdsheet.compiler.frontend.blocks import Block, bounding_range
from sgdsheet.compiler.functions import REGISTRY
from sgdsheet.compiler.functions.registry import OverSamples
from sgdsheet.sheet.references import Cell, Range
from sgdsheet.sheet.syntax import Area, Binary, Call, Node, Unary, children, walk


class _How(IntEnum):
    """Ordered: a formula depends on the samples at least as its parts do."""

    FIXED = 0
    PER_SAMPLE = 1
    ADDITIVE = 2
    OTHERWISE = 3


_Known = Sequence[tuple[Range, _How]]


def tells_samples_apart(cell: Cell, samples: Sequence[Range]) -> bool:
    """Whether a cell is one of those that every sample has its own of."""
    return any(area.contains(Range.of_cell(cell)) for area in samples)


def is_additive(cell: Cell, blocks: Sequence[Block], data: Sequence[Range]) -> bool:
    """Whether a cell's mean over parts of the samples is its value over all.

    `data` are the cells that the source fills; `blocks` all that depend on them or on a parameter, in order.
    """
    known = [(area, _How.PER_SAMPLE) for area in data]
    for block in blocks:
        known.append((block.range, _how(block.tree, block, known)))
    own = Range.of_cell(cell)
    return all(how in (_How.FIXED, _How.ADDITIVE) for area, how in known if area.intersection(own))


def _how(node: Node, block: Block, known: _Known) -> _How:
    if isinstance(node, Area):
        read = bounding_range(node, block.rows, block.columns)
        return max((how for area, how in known if area.intersection(read)), default=_How.FIXED)
    parts = [_how(part, block, known) for part in children(node)]
    most = max(parts, default=_How.FIXED)
    if isinstance(node, Call) and most is _How.PER_SAMPLE:
        return _of_call(node, block, known)
    if most is not _How.ADDITIVE:
        return most
    match node:
        case Unary():
            linear = True
        case Binary(operator="+" | "-"):
            linear = _How.PER_SAMPLE not in parts
        case Binary(operator="*"):
            linear = _How.FIXED in parts
        case Binary(operator="/"):
            linear = parts[1] is _How.FIXED
        case _:
            linear = False
    return _How.ADDITIVE if linear else _How.OTHERWISE


def _of_call(call: Call, block: Block, known: _Known) -> _How:
    """What a function makes of cells that are each for one sample."""
    function = REGISTRY.get(call.name)
    over = function.over_samples if function is not None else OverSamples.UNKNOWN
    if over is OverSamples.SIZE:
        return _How.FIXED
    several = any(
        bounding_range(part, 1, 1).height > 1 and _how(part, block, known) is _How.PER_SAMPLE
        for part in walk(call)
        if isinstance(part, Area)
    )
    if not several or over in (OverSamples.ELEMENTWISE, OverSamples.ROWS, OverSamples.FIRST):
        return _How.PER_SAMPLE
    if over is OverSamples.SUM and call.name != "DEVSQ":  # whose deviations are from the mean of all
        return _How.ADDITIVE
    if over in (OverSamples.MEAN, OverSamples.MEAN_OF_ROWS) and (
        call.name == "AVERAGE" or call.name.startswith("SGD_")
    ):
        return _How.ADDITIVE
    return _How.OTHERWISE
