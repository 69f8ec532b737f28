"""The blocks of a workbook and what each of them reads.

They follow from its formulas, names and tables, and from the cells that decide where calculated references lie.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace

from sgdsheet.compiler.frontend.blocks import Block, areas_of
from sgdsheet.compiler.frontend.grouping import blocks_of
from sgdsheet.compiler.frontend.resolve import Resolver
from sgdsheet.compiler.functions.places import calculated, deciding
from sgdsheet.errors import FormulaError
from sgdsheet.sheet.references import Range, RangeIndex
from sgdsheet.sheet.syntax import Node
from sgdsheet.sheet.workbook import Workbook
from sgdsheet.system.long_work import kept


class BlockIndex:
    """Finds the blocks that overlap a range."""

    def __init__(self, blocks: Iterable[Block] = ()) -> None:
        self._index: RangeIndex[Block] = RangeIndex()
        for block in blocks:
            self.add(block)

    def add(self, block: Block) -> None:
        self._index.add(block.range, block)

    def overlapping(self, wanted: Range) -> list[Block]:
        return [block for _, block in self._index.overlapping(wanted)]

    def read_by(self, block: Block) -> list[Block]:
        """The blocks that a block reads from."""
        return list({id(other): other for read in block.reads() for other in self.overlapping(read)}.values())


Measured = Callable[[Workbook, Node, str, int, int], tuple[int, int] | None]
Settle = Callable[[Workbook, "BlockTable", Block], list[Block]]


def _circle(block: Block) -> FormulaError:
    return FormulaError(
        "the formula refers to cells that depend on the reference itself",
        cell=block.range.first,
        remedy="Let fixed cells decide where it refers to, or calculate the workbook in a spreadsheet and save it",
    )


class BlockTable(BlockIndex):
    """The blocks of a workbook, sheet by sheet when they are first asked for.

    Every question about the workbook can share one table, whatever the parameters are. It must be made anew when
    formulas, names or tables change, or cells that decide where a calculated reference lies.

    `settle` makes of a block with calculated references blocks without them. It may ask the table for the blocks that
    these references depend on. `measure` tells the size of a calculated array.
    """

    def __init__(self, workbook: Workbook, settle: Settle, measure: Measured) -> None:
        super().__init__()
        self._workbook = workbook
        self._settle = settle
        self._measure = measure
        self._sheets: dict[str, list[Block]] = {}
        self._reads: dict[int, list[Block]] = {}
        self._open: list[Block] = []
        """Blocks that have calculated references still; those that are being settled among them."""
        self._depth = 0

    def of_sheet(self, name: str) -> list[Block]:
        """All blocks of a sheet; none if there is no such sheet."""
        if name not in self._sheets:
            sheet = self._workbook.sheets.get(name)
            resolver = Resolver(self._workbook, lambda *place: self._measure(self._workbook, *place))
            found = [] if sheet is None else blocks_of(sheet, resolver)
            with kept():  # a table with some of the blocks would be taken for one with all of them
                self._take(name, found)
        return self._sheets[name]

    def remade(self, workbook: Workbook, changed: Iterable[Range]) -> BlockTable:
        """The table for a workbook that differs in the values of some cells only: this one, if they decide nothing."""
        blocks = (block for name in self._workbook.sheets for block in self.of_sheet(name))
        decided = [area for block in blocks for part in block.deciders for area in areas_of(part, block)]
        if any(area.intersection(other) for area in changed for other in decided):
            return BlockTable(workbook, self._settle, self._measure)
        return self

    def _take(self, name: str, found: list[Block]) -> None:
        """Enter the blocks of a sheet."""
        self._sheets[name] = []
        waiting = [block for block in found if block.error is None and block.is_open]
        self._open += waiting
        for block in found:
            if block not in waiting:
                self._enter(block)
        if waiting:
            self._settle_open()
        self._sheets[name].sort(key=lambda block: (block.range.top, block.range.left))

    def _enter(self, block: Block) -> None:
        self._sheets[block.range.sheet].append(block)
        self.add(block)

    def _settle_open(self) -> None:
        """Settle blocks in an order in which each finds the values that it needs."""
        self._depth += 1
        settling: set[int] = set()
        try:
            while True:
                ready = next(
                    (block for block in self._open if id(block) not in settling and self._is_ready(block)), None
                )
                if ready is None:
                    break
                settling.add(id(ready))
                settled = self._settle(self._workbook, self, ready)
                self._open = [block for block in self._open if block is not ready]
                for block in settled:
                    self._enter(block)
        finally:
            self._depth -= 1
        if not self._depth:
            for block in self._open:
                self._enter(replace(block, tree=Node(), error=_circle(block)))
            self._open = []

    def _is_ready(self, block: Block) -> bool:
        """Whether the cells that decide where its references lie can be calculated, or have saved values."""
        seen: set[int] = set()
        waiting = [area for part in calculated(block.tree) for node in deciding(part) for area in areas_of(node, block)]
        while waiting:
            area = waiting.pop()
            if any(other.range.intersection(area) and self._lacks_values(other) for other in self._open):
                return False
            for other in self.overlapping(area):
                if id(other) not in seen and self._lacks_values(other):
                    seen.add(id(other))
                    waiting += other.reads()
        return True

    def _lacks_values(self, block: Block) -> bool:
        return self._workbook.stale or not self._workbook.has_values(block.range)

    def overlapping(self, wanted: Range) -> list[Block]:
        self.of_sheet(wanted.sheet)
        return super().overlapping(wanted)

    def read_by(self, block: Block) -> list[Block]:
        if self._open:  # some blocks are missing still
            return super().read_by(block)
        if id(block) not in self._reads:
            self._reads[id(block)] = super().read_by(block)
        return self._reads[id(block)]
