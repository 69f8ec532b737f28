"""In which order blocks are calculated, and blocks that read each other taken apart until there is one."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence

from sgdsheet.compiler.frontend.block_table import BlockIndex
from sgdsheet.compiler.frontend.blocks import Block, single_copies
from sgdsheet.errors import CircularReference
from sgdsheet.sheet.references import Range, address, rectangles


def strongly_connected(
    roots: Iterable[Block], reads: Callable[[Block], Iterable[Block]]
) -> Iterator[tuple[list[Block], bool]]:
    """The strongly connected components of a graph: what is read comes first, each with whether it is a cycle.

    Tarjan, “Depth-first search and linear graph algorithms”, SIAM Journal on Computing 1 (1972), without recursion.
    """
    order: dict[int, int] = {}
    low: dict[int, int] = {}
    stack: list[Block] = []
    on_stack: set[int] = set()
    for root in roots:
        if id(root) in order:
            continue
        work = [(root, iter(list(reads(root))))]
        order[id(root)] = low[id(root)] = len(order)
        stack.append(root)
        on_stack.add(id(root))
        loops: set[int] = set()
        while work:
            block, following = work[-1]
            for other in following:
                if other is block:
                    loops.add(id(block))
                if id(other) not in order:
                    order[id(other)] = low[id(other)] = len(order)
                    stack.append(other)
                    on_stack.add(id(other))
                    work.append((other, iter(list(reads(other)))))
                    break
                if id(other) in on_stack:
                    low[id(block)] = min(low[id(block)], order[id(other)])
            else:
                work.pop()
                if work:
                    parent = work[-1][0]
                    low[id(parent)] = min(low[id(parent)], low[id(block)])
                if low[id(block)] == order[id(block)]:
                    group = []
                    while True:
                        member = stack.pop()
                        on_stack.discard(id(member))
                        group.append(member)
                        if member is block:
                            break
                    yield group, len(group) > 1 or id(block) in loops


def circular(cells: Sequence[Block]) -> CircularReference:
    """The error for formulas that depend on themselves."""
    ordered = sorted(cells, key=lambda block: (block.range.sheet, block.range.top, block.range.left))
    first = ordered[0]
    names = [
        address(block.range.top, block.range.left) if block.range.sheet == first.range.sheet else str(block.range.first)
        for block in ordered
    ]
    listed = ", ".join(names[:6]) + (", …" if len(names) > 6 else "")
    cause = f"the formulas in {listed} depend on each other in a circle"
    if len(names) == 1:
        cause = "the formula depends on its own cell"
    return CircularReference(
        cause,
        cell=first.range.first,
        remedy="Let it read other cells" if len(names) == 1 else "Let one of them read other cells",
    )


def split_cycle(group: list[Block]) -> list[Block]:
    """Take blocks that read each other apart, far enough to have an order.

    First merged siblings into their parts, then everything into single copies, which are put together again
    level by level: a running total becomes one block per row.
    """
    parts = [part for block in group for part in (block.parts or (block,))]
    if len(parts) > len(group):
        ordered: list[Block] = []
        for sub, is_cycle in strongly_connected(parts, BlockIndex(parts).read_by):
            ordered += _levels(sub) if is_cycle else sub
        return ordered
    return _levels(group)


def _levels(group: list[Block]) -> list[Block]:
    copies = {id(copy): (copy, block) for block in group for copy in single_copies(block)}
    reads = BlockIndex(copy for copy, _ in copies.values()).read_by
    level: dict[int, int] = {}
    members: dict[tuple[int, int], list[Block]] = defaultdict(list)
    for found, is_cycle in strongly_connected([copy for copy, _ in copies.values()], reads):
        if is_cycle:
            raise circular(found)
        copy = found[0]
        level[id(copy)] = 1 + max((level[id(other)] for other in reads(copy)), default=0)
        members[level[id(copy)], id(copies[id(copy)][1])].append(copy)
    ordered = []
    for (_, source), found in sorted(members.items(), key=lambda item: item[0][0]):
        whole = next(block for block in group if id(block) == source)
        ordered += _regrouped(whole, found)
    return ordered


def _regrouped(whole: Block, copies: list[Block]) -> list[Block]:
    """Copies of one block that are on one level, as rectangles again."""
    if whole.parts or len(copies) == 1:
        return copies
    places = rectangles([(copy.range.top, copy.range.left) for copy in copies], whole.height, whole.width)
    return [
        whole.trimmed(
            Range(whole.range.sheet, top, left, top + rows * whole.height - 1, left + columns * whole.width - 1)
        )
        for top, left, rows, columns in places
    ]
