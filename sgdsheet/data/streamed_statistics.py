"""What sums up a column of samples that do not fit into memory: counts, means, variances, extremes, in one pass.

Each process takes the samples of its share of the blocks, and what they found is put together.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace

import torch
from torch import Tensor

from sgdsheet.compiler.frontend.blocks import Block, bounding_range, single_copies
from sgdsheet.compiler.functions.one_pass import NOTHING, ONE_PASS, Moments
from sgdsheet.data.arrays import SampleData
from sgdsheet.data.column_statistics import original_sheet
from sgdsheet.data.distributed import all_of
from sgdsheet.errors import FormulaError
from sgdsheet.sheet.references import Cell, Range
from sgdsheet.sheet.syntax import Area, Call, Node, Number, transform, walk

Cells = Callable[[Sequence[Range]], Callable[[Sequence[Tensor]], Tensor]]
"""Gives, for columns of samples, a function from a batch [samples, ...] to their cells [samples, columns]."""


def without_samples(
    blocks: Sequence[Block], rows: Range, samples: Sequence[Range], cells: Cells, portions: Iterable[SampleData]
) -> list[Block]:
    """Blocks that sum up columns of samples, cell by cell, with numbers in the place of what reads samples.

    `samples` are the cells that hold one value per sample. FormulaError, with the cell, for what a pass over the
    samples cannot calculate.
    """
    alone = [copy for block in blocks for copy in single_copies(block)]
    wanted = list(dict.fromkeys(area for block in alone for _, area in _summed(block, rows, samples)))
    known = dict(zip(wanted, _moments(wanted, cells, portions), strict=True)) if wanted else {}
    return [_filled(block, known, rows, samples) for block in alone]


def _summed(block: Block, rows: Range, samples: Sequence[Range]) -> list[tuple[Call, Range]]:
    """The calls in a block that sum up columns of samples, each with its columns."""
    found = []
    for call in walk(block.tree):
        if isinstance(call, Call) and call.name in ONE_PASS and len(call.arguments) == 1:
            area = call.arguments[0]
            if isinstance(area, Area):
                read = bounding_range(area, 1, 1)
                if (read.top, read.bottom) == (rows.top, rows.bottom) and any(map(read.intersection, samples)):
                    found.append((call, read))
    return found


def _filled(block: Block, known: Mapping[Range, Moments], rows: Range, samples: Sequence[Range]) -> Block:
    from_calls = {id(call): area for call, area in _summed(block, rows, samples)}

    def change(node: Node) -> Node | None:
        area = from_calls.get(id(node))
        if area is None or not isinstance(node, Call):
            return None
        moments = known[area]
        try:
            number = ONE_PASS[node.name](moments)
        except ZeroDivisionError:
            number = math.nan
        if not math.isfinite(number):
            cause = f"{node.name} of the column is not a number for all samples"
            raise FormulaError(cause, cell=_shown(block), remedy="Check the formula of the column")
        return Number(number)

    tree = transform(block.tree, change)
    for part in walk(tree):
        if isinstance(part, Area) and any(map(bounding_range(part, 1, 1).intersection, samples)):
            raise FormulaError(
                "the formula needs all samples at once, which do not fit into memory",
                cell=_shown(block),
                remedy=f"Use {', '.join(list(ONE_PASS)[:6])}, VAR or STDEV of a column, or write its value down",
            )
    return replace(block, tree=tree)


def _shown(block: Block) -> Cell:
    """The cell of the formula that a block is a part of."""
    return block.range.first._replace(sheet=original_sheet(block.range.sheet))


def _moments(areas: Sequence[Range], cells: Cells, portions: Iterable[SampleData]) -> list[Moments]:
    """What is known of the numbers in each area, of all processes."""
    of_portion = cells(areas)
    widths = [area.width for area in areas]
    found = [NOTHING] * len(areas)
    for portion in portions:
        parts = of_portion(portion.slice(0, portion.count)).double().split(widths, dim=1)
        found = [known.with_(_of(part)) for known, part in zip(found, parts, strict=True)]
    own = torch.tensor([[*_numbers(item)] for item in found], dtype=torch.float64).reshape(-1)
    total = [NOTHING] * len(areas)
    for values in all_of(own):
        others = [Moments(*each) for each in values.reshape(-1, 6).tolist()]
        total = [one.with_(other) for one, other in zip(total, others, strict=True)]
    return total


def _numbers(item: Moments) -> tuple[float, ...]:
    return item.rows, item.count, item.mean, item.squares, item.least, item.most


def _of(part: Tensor) -> Moments:
    flat = part.reshape(-1)
    mean = flat.mean()
    squares = (flat - mean).square().sum()
    return Moments(len(part), len(flat), float(mean), float(squares), float(flat.min()), float(flat.max()))
