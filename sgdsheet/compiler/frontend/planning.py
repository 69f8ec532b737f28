"""Which blocks lie between the parameters and some target cells, and in which order to evaluate them.

Everything else is constant: the saved values are used, and calculated only where the file has none.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field

from sgdsheet.compiler.frontend.blocks import Block, single_copies
from sgdsheet.compiler.frontend.grouping import SheetBlocks
from sgdsheet.errors import CircularReference
from sgdsheet.sheet.references import Range, RangeIndex, address, rectangles
from sgdsheet.sheet.workbook import Workbook

_MOST_SEARCHED = 20_000
"""Cells of a recursion that has saved values, up to which it is looked at whether it is a circle."""


@dataclass(slots=True)
class BlockIndex:
    """Finds the blocks that overlap a range."""

    _index: RangeIndex[Block] = field(default_factory=RangeIndex)

    def add(self, block: Block) -> None:
        self._index.add(block.range, block)

    def overlapping(self, wanted: Range) -> list[Block]:
        return [block for _, block in self._index.overlapping(wanted)]


def strongly_connected(
    roots: Iterable[Block], reads: Callable[[Block], Iterable[Block]]
) -> Iterator[tuple[list[Block], bool]]:
    """Tarjan's algorithm without recursion: groups, first what is read, and whether each is a cycle."""
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


@dataclass(slots=True)
class Plan:
    """Blocks in order. `depends` are those that depend on a parameter; the others had no saved values.

    `circles` are blocks that have no order, and why, where the others are wanted all the same.
    """

    blocks: list[Block]
    depends: set[int]
    circles: list[tuple[Block, CircularReference]] = field(default_factory=list)

    def is_live(self, block: Block) -> bool:
        """Whether the block depends on a parameter."""
        return id(block) in self.depends


@dataclass(slots=True)
class Planner:
    """Plans programs over one workbook and one set of parameters."""

    workbook: Workbook
    parameters: Sequence[Range]
    sheets: SheetBlocks = field(init=False)
    _index: BlockIndex = field(default_factory=BlockIndex)
    _indexed: set[str] = field(default_factory=set)
    _reads: dict[int, list[Block]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.sheets = SheetBlocks(self.workbook)

    def blocks_of(self, wanted: Range) -> list[Block]:
        """The blocks that fill some of these cells."""
        if wanted.sheet not in self._indexed:
            self._indexed.add(wanted.sheet)
            for block in self.sheets.of_sheet(wanted.sheet):
                self._index.add(block)
        return self._index.overlapping(wanted)

    def reads(self, block: Block) -> list[Block]:
        """The blocks that a block reads from."""
        if id(block) not in self._reads:
            found = {id(other): other for read in block.reads() for other in self.blocks_of(read)}
            self._reads[id(block)] = list(found.values())
        return self._reads[id(block)]

    def plan(self, targets: Sequence[Range]) -> Plan:
        """The blocks needed for the target cells."""
        roots = [block for target in targets for block in self.blocks_of(target)]
        ordered, depends = self._ordered(roots)
        return self._demanded(ordered, depends, targets)

    def plan_known(self, targets: Sequence[Range]) -> Plan:
        """What `plan` leaves out: the blocks needed for the targets that are constant and have saved values."""
        roots = [block for target in targets for block in self.blocks_of(target)]
        ordered, depends = self._ordered(roots)
        whole = self._demanded(ordered, depends, targets, constants=True)
        known = [b for b in whole.blocks if not whole.is_live(b) and not self._lacks_values(b.range)]
        return Plan(known, set())

    def plan_dependents(self) -> Plan:
        """All blocks of the workbook that depend on a parameter, and what they need."""
        everything = [block for name in self.workbook.sheets for block in self._of_sheet(name)]
        ordered, depends = self._ordered(everything)
        return self._demanded(ordered, depends, [block.range for block in ordered if id(block) in depends])

    def plan_everything(self, sheets: Iterable[str] | None = None) -> Plan:
        """All blocks of some sheets (of the workbook), in order, also those that have saved values."""
        names = set(self.workbook.sheets if sheets is None else sheets)
        everything = [block for name in self.workbook.sheets if name in names for block in self._of_sheet(name)]
        circles: list[tuple[Block, CircularReference]] = []
        ordered, depends = self._ordered(everything, circles)
        return Plan([block for block in ordered if block.range.sheet in names], depends, circles)

    def _of_sheet(self, name: str) -> list[Block]:
        last_row, last_column = self.workbook.sheets[name].extent
        return self.blocks_of(Range(name, 1, 1, max(last_row, 1), max(last_column, 1)))

    def _ordered(
        self, roots: Iterable[Block], circles: list[tuple[Block, CircularReference]] | None = None
    ) -> tuple[list[Block], set[int]]:
        """All blocks that the roots need, in order, and the ids of those that depend on a parameter.

        Blocks in a circle are entered in `circles`, if given, and left out; else they raise CircularReference.
        """
        depends: set[int] = set()
        ordered: list[Block] = []
        for group, is_cycle in strongly_connected(roots, self.reads):
            live = any(
                block.reads_unseen
                or any(id(other) in depends for other in self.reads(block))
                or any(self._touches_parameter(read) for read in block.reads())
                for block in group
            )
            whole = group
            small = circles is not None and sum(block.range.size for block in group) <= _MOST_SEARCHED
            if is_cycle and (small or live or any(self._lacks_values(block.range) for block in group)):
                try:
                    group = split_cycle(group)
                except CircularReference as error:
                    if circles is None:
                        raise
                    circles += [(block, error) for block in group]
                    group = []
            if live:
                depends.update(id(block) for block in [*whole, *group])  # readers know the blocks before the split
            ordered += group
        return ordered, depends

    def _touches_parameter(self, read: Range) -> bool:
        return any(read.intersection(area) for area in self.parameters)

    def _lacks_values(self, area: Range) -> bool:
        """Whether the saved results of some formula cells are missing, or not to be trusted."""
        return self.workbook.stale or not self.workbook.has_values(area)

    def _demanded(
        self, ordered: list[Block], depends: set[int], targets: Sequence[Range], *, constants: bool = False
    ) -> Plan:
        """Cut each block down to what is needed of it, and leave out what is constant, unless `constants` are wanted.

        Those with saved values are left out as a rule: the values are used.
        """
        index = BlockIndex()
        for block in ordered:
            index.add(block)
        wanted: dict[int, Range] = {}

        def want(area: Range) -> None:
            for block in index.overlapping(area):
                part = block.range.intersection(area)
                assert part is not None
                known = wanted.get(id(block))
                wanted[id(block)] = part if known is None else known.bounding_box(part)

        for target in targets:
            want(target)
        kept: list[tuple[Block, bool]] = []
        for block in reversed(ordered):
            part = wanted.get(id(block))
            if part is None:
                continue
            if id(block) not in depends and not constants and not self._lacks_values(part):
                continue
            trimmed = block.trimmed(part)
            for read in trimmed.reads():
                want(read)
            kept.append((trimmed, id(block) in depends))
        return self._live_again([block for block, _ in reversed(kept)], constants=constants)

    def _live_again(self, blocks: list[Block], *, constants: bool = False) -> Plan:
        """Cut down, a block may no longer depend on a parameter: keep it only for want of saved values."""
        live = BlockIndex()
        kept, depends = [], set()
        for block in blocks:
            reads = list(block.reads())
            if block.reads_unseen or any(self._touches_parameter(read) or live.overlapping(read) for read in reads):
                live.add(block)
                depends.add(id(block))
                kept.append(block)
            elif constants or self._lacks_values(block.range):
                kept.append(block)
        return Plan(kept, depends)


def split_cycle(group: list[Block]) -> list[Block]:
    """Take blocks that read each other apart, far enough to have an order.

    First merged siblings into their parts, then everything into single copies, which are put together again
    level by level: a running total becomes one block per row.
    """
    parts = [part for block in group for part in (block.parts or (block,))]
    if len(parts) > len(group):
        ordered: list[Block] = []
        for sub, is_cycle in strongly_connected(parts, _reader(parts)):
            ordered += _levels(sub) if is_cycle else sub
        return ordered
    return _levels(group)


def _reader(blocks: Sequence[Block]) -> Callable[[Block], list[Block]]:
    index = BlockIndex()
    for block in blocks:
        index.add(block)

    def reads(block: Block) -> list[Block]:
        found = {id(other): other for read in block.reads() for other in index.overlapping(read)}
        return list(found.values())

    return reads


def _levels(group: list[Block]) -> list[Block]:
    copies = {id(copy): (copy, block) for block in group for copy in single_copies(block)}
    reads = _reader([copy for copy, _ in copies.values()])
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
