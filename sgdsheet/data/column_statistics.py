"""What samples have in common: cells, and parts of formulas, that sum up the data alone, such as the mean of a column.

They are calculated over the whole source, once. A part of a sample's formula (`=C4-AVERAGE(C$4:C$15)`) gets a cell of
its own for that, on a sheet that only the compiled program has.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from sgdsheet.compiler.frontend.blocks import Block, bounding_range
from sgdsheet.compiler.functions.registry import over_samples
from sgdsheet.sheet.references import Range
from sgdsheet.sheet.syntax import Affine, Area, Call, Node, transform, walk

_STATISTIC = "\0statistic "
"""Words in the name of a sheet that only the program has; the number after them is that of a part of a formula, with
its own cell there."""


def with_own_cells(
    blocks: Sequence[Block],
    statistics: Sequence[Block],
    rows: Range,
    samples: Sequence[Range],
    trained: Sequence[Range],
) -> list[Block]:
    """The blocks with every sum over the samples' data in a cell of its own; `statistics` are cells already.

    `samples` are the cells that hold one value per sample and depend on no parameter, `trained` those that depend on
    one.
    """
    found, moved = list[Block](), 0
    for block in blocks:
        if block in statistics:
            found.append(block)
            continue
        own: list[Block] = []

        def change(node: Node, block: Block = block, own: list[Block] = own, above: int = moved) -> Node | None:
            if not isinstance(node, Call) or not _sums_up(node, block, rows, samples, trained):
                return None
            own.append(_cell(node, block, above + len(own) + 1))
            return _reference(own[-1])

        tree = transform(block.tree, change)
        moved += len(own)
        found += [*own, replace(block, tree=tree) if own else block]
    return found


def is_own_cell(area: Range) -> bool:
    """Whether cells are on a sheet that only the compiled program has."""
    return _STATISTIC in area.sheet


def original_sheet(sheet: str) -> str:
    """The sheet of the formula that a cell of its own was made for; of any other sheet itself."""
    return sheet.partition(_STATISTIC)[0]


def _sums_up(call: Call, block: Block, rows: Range, samples: Sequence[Range], trained: Sequence[Range]) -> bool:
    if over_samples(call).is_each:  # gives each sample a value of its own
        return False
    areas = [part for part in walk(call) if isinstance(part, Area)]
    reads = [bounding_range(area, block.rows, block.columns) for area in areas]
    if any(area.top.down or area.bottom.down for area in areas) and block.rows > 1:
        return False
    if any(own.intersection(read) for read in reads for own in trained):
        return False
    return any(
        (read.top, read.bottom) == (rows.top, rows.bottom) and any(area.intersection(read) for area in samples)
        for read in reads
    )


def _cell(call: Call, block: Block, number: int) -> Block:
    """A block of its own for a part of a block's formula; one cell per column of the block.

    It lies where the formula does, on a sheet of its own: what is wrong with it is said of the formula's cell.
    """
    own = block.range
    area = Range(f"{own.sheet}{_STATISTIC}{number}", own.top, own.left, own.top, own.left + block.columns - 1)
    return replace(block, range=area, rows=1, height=1, width=1, tree=call, parts=())


def _reference(block: Block) -> Area:
    row, column = Affine(block.range.top), Affine(block.range.left, across=1 if block.columns > 1 else 0)
    return Area(block.range.sheet, row, column, row, column)
