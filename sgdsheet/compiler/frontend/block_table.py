"""The blocks of a workbook and what each of them reads. They follow from its formulas, names and tables alone."""

from __future__ import annotations

from collections.abc import Iterable

from sgdsheet.compiler.frontend.blocks import Block
from sgdsheet.compiler.frontend.grouping import blocks_of
from sgdsheet.compiler.frontend.resolve import Resolver
from sgdsheet.sheet.references import Range, RangeIndex
from sgdsheet.sheet.workbook import Workbook


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


class BlockTable(BlockIndex):
    """The blocks of a workbook, sheet by sheet when they are first asked for.

    Every question about the workbook can share one table, whatever the parameters are and the cells hold. It must be
    made anew when formulas, names or tables change.
    """

    def __init__(self, workbook: Workbook) -> None:
        super().__init__()
        self._workbook = workbook
        self._sheets: dict[str, list[Block]] = {}
        self._reads: dict[int, list[Block]] = {}

    def of_sheet(self, name: str) -> list[Block]:
        """All blocks of a sheet; none if there is no such sheet."""
        if name not in self._sheets:
            sheet = self._workbook.sheets.get(name)
            self._sheets[name] = [] if sheet is None else blocks_of(sheet, Resolver(self._workbook))
            for block in self._sheets[name]:
                self.add(block)
        return self._sheets[name]

    def overlapping(self, wanted: Range) -> list[Block]:
        self.of_sheet(wanted.sheet)
        return super().overlapping(wanted)

    def read_by(self, block: Block) -> list[Block]:
        if id(block) not in self._reads:
            self._reads[id(block)] = super().read_by(block)
        return self._reads[id(block)]
