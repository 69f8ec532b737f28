"""What sums up a column of samples that do not fit into memory: counts, means, variances, extremes, in one pass.

Each process takes the samples of its share of the blocks, and what they found is put together.

Source: Chan, Golub and LeVeque, “Algorithms for computing the sample variance: analysis and recommendations”, The
American Statistician 37 (1983), for means and variances of parts put together.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from sgdsheet.compiler.frontend.blocks import Block, bounding_range, single_copies
from sgdsheet.data.arrays import SampleData
from sgdsheet.data.column_statistics import original_sheet
from sgdsheet.data.distributed import all_of
from sgdsheet.errors import FormulaError
from sgdsheet.sheet.references import Cell, Range
from sgdsheet.sheet.syntax import Area, Call, Node, Number, transform, walk


@dataclass(frozen=True, slots=True)
class Moments:
    """What is known of some numbers."""

    count: float
    mean: float
    squares: float
    """The sum of squared distances from the mean."""
    least: float
    most: float

    def with_(self, other: Moments) -> Moments:
        """Those of these numbers and others together."""
        count = self.count + other.count
        if not count:
            return self
        apart = other.mean - self.mean
        return Moments(
            count,
            self.mean + apart * other.count / count,
            self.squares + other.squares + apart * apart * self.count * other.count / count,
            min(self.least, other.least),
            max(self.most, other.most),
        )


NOTHING = Moments(0.0, 0.0, 0.0, math.inf, -math.inf)


def _variance(found: Moments, less: int) -> float:
    return found.squares / (found.count - less)


_KINDS: Mapping[str, Callable[[Moments], float]] = {
    "AVERAGE": lambda found: found.mean,
    "SUM": lambda found: found.mean * found.count,
    "COUNT": lambda found: found.count,
    "ROWS": lambda found: found.count,
    "MIN": lambda found: found.least,
    "MAX": lambda found: found.most,
    "DEVSQ": lambda found: found.squares,
    "SUMSQ": lambda found: found.squares + found.mean * found.mean * found.count,
    "VAR": lambda found: _variance(found, 1),
    "VAR.S": lambda found: _variance(found, 1),
    "VARP": lambda found: _variance(found, 0),
    "VAR.P": lambda found: _variance(found, 0),
    "STDEV": lambda found: math.sqrt(_variance(found, 1)),
    "STDEV.S": lambda found: math.sqrt(_variance(found, 1)),
    "STDEVP": lambda found: math.sqrt(_variance(found, 0)),
    "STDEV.P": lambda found: math.sqrt(_variance(found, 0)),
}
"""Functions that a pass over the samples can calculate."""

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
        if isinstance(call, Call) and call.name in _KINDS and len(call.arguments) == 1:
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
        if node.name == "ROWS":
            moments = Moments(moments.count / area.width, 0.0, 0.0, 0.0, 0.0)
        try:
            number = _KINDS[node.name](moments)
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
                remedy=f"Use one of {', '.join(list(_KINDS)[:6])}, VAR and STDEV of a column, or write its value down",
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
        others = [Moments(*each) for each in values.reshape(-1, 5).tolist()]
        total = [one.with_(other) for one, other in zip(total, others, strict=True)]
    return total


def _numbers(item: Moments) -> tuple[float, ...]:
    return item.count, item.mean, item.squares, item.least, item.most


def _of(part: Tensor) -> Moments:
    flat = part.reshape(-1)
    mean = flat.mean()
    squares = (flat - mean).square().sum()
    return Moments(len(flat), float(mean), float(squares), float(flat.min()), float(flat.max()))
