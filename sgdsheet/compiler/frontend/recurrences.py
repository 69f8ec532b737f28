"""Columns whose rows depend on the rows above, found among blocks that read each other.

Such as h[t] = a + b·h[t-1] filled down, or the level, trend and season of a forecast, which read each other. They are
calculated as one operation, see `ir/scan.py`; what is no such recurrence is taken apart (`ordering`).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

from sgdsheet.compiler.frontend.block_table import BlockIndex
from sgdsheet.compiler.frontend.blocks import Block, Recurrence
from sgdsheet.compiler.frontend.ordering import split_cycle, strongly_connected
from sgdsheet.sheet.syntax import Area, Picked, SheetSpan, Union, walk

_FEWEST = 16
"""Rows from which one operation for all is faster than an operation for each."""

_MOST = 12
"""Columns that are calculated together: the system to be solved grows with their square."""


def as_recurrence(group: Sequence[Block]) -> list[Block] | None:
    """The blocks of a cycle in an order of calculation, those of a recurrence marked; None if it is none.

    Where columns do not begin and end in the same rows, the rows that they share are the recurrence.
    """
    for down in (True, False):
        lines = [line for block in group for line in _lines(block, down=down)]
        first = max(_span(line, down=down)[0] for line in lines)
        last = min(_span(line, down=down)[1] for line in lines)
        if last - first + 1 < _FEWEST or len(lines) > _MOST or len({line.range.sheet for line in lines}) > 1:
            continue
        if any(line.array or line.height > 1 or line.width > 1 or line.reads_unseen for line in lines):
            return None
        parts = [_between(line, first, last, down=down) for line in lines]
        found = _ordered(Recurrence(tuple(parts), down))
        if found is None:
            continue
        before = [_between(line, 1, first - 1, down=down) for line in lines if _span(line, down=down)[0] < first]
        after = [_between(line, last + 1, 1 << 21, down=down) for line in lines if _span(line, down=down)[1] > last]
        return [*_sequence(before), *found.members, *_sequence(after)]
    return None


def _ordered(found: Recurrence) -> Recurrence | None:
    """The recurrence with its members in the order of calculation within a row, and marked; None if it is none."""
    reads: list[set[int]] = []
    try:
        for block in found.members:
            if any(isinstance(part, (Picked, SheetSpan, Union)) for part in walk(block.tree)) or block.deciders:
                return None
            areas = [part for part in walk(block.tree) if isinstance(part, Area)]
            lagged = [item for area in areas for item in found.reads(block, area) or ()]
            reads.append({place for place, lag in lagged if lag == 0})
    except ValueError:
        return None
    order: list[int] = []
    while len(order) < len(reads):
        ready = [place for place, needed in enumerate(reads) if place not in order and needed <= set(order)]
        if not ready:
            return None
        order += ready
    ordered = Recurrence((), found.down)
    ordered.members = tuple(replace(found.members[place], recurrence=ordered) for place in order)
    return ordered


def _lines(block: Block, *, down: bool) -> Iterator[Block]:
    """The columns of a block, or its rows."""
    if block.parts:
        for part in block.parts:
            yield from _lines(part, down=down)
        return
    own = block.range
    count, size = (block.columns, block.width) if down else (block.rows, block.height)
    for place in range(count):
        if down:
            left = own.left + place * size
            yield block.trimmed(own._replace(left=left, right=left + size - 1))
        else:
            top = own.top + place * size
            yield block.trimmed(own._replace(top=top, bottom=top + size - 1))


def _span(line: Block, *, down: bool) -> tuple[int, int]:
    return (line.range.top, line.range.bottom) if down else (line.range.left, line.range.right)


def _between(line: Block, first: int, last: int, *, down: bool) -> Block:
    own = line.range
    start, end = _span(line, down=down)
    start, end = max(start, first), min(end, last)
    area = own._replace(top=start, bottom=end) if down else own._replace(left=start, right=end)
    return line.trimmed(area)


def _sequence(blocks: list[Block]) -> list[Block]:
    """Blocks in an order of calculation, taken apart where they read each other."""
    found: list[Block] = []
    for group, is_cycle in strongly_connected(blocks, BlockIndex(blocks).read_by):
        found += split_cycle(group) if is_cycle else group
    return found


def taken_apart(members: Sequence[Block]) -> list[Block]:
    """The cells of a recurrence one by one, in an order of calculation."""
    return split_cycle([replace(block, recurrence=None) for block in members])
