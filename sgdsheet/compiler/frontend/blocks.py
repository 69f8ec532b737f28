"""Fill-downs as blocks: rectangles of cells that have the same formula in relative form."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace

from sgdsheet.compiler.functions.places import calculated
from sgdsheet.compiler.functions.registry import areas_read
from sgdsheet.errors import SgdSheetError
from sgdsheet.sheet.formula import formula_text
from sgdsheet.sheet.references import Range
from sgdsheet.sheet.syntax import Area, Node, NotSupported, Picked, transform, walk
from sgdsheet.sheet.workbook import Formula


@dataclass(eq=False, slots=True)
class Block:
    """`rows` x `columns` copies of one formula; each fills `height` x `width` cells (1x1 but for arrays).

    `tree` is the formula with its references as `Area`s; `array` tells an array formula from a plain one.
    `error` is set instead of `tree` where the formula could not be understood. `deciders` are parts of the formula that
    decided where its calculated references lie, as the distance in an OFFSET that has become an `Area`.
    """

    range: Range
    rows: int
    columns: int
    height: int
    width: int
    tree: Node
    array: bool
    formula: Formula
    parts: tuple[Block, ...] = ()
    error: SgdSheetError | None = None
    deciders: tuple[Node, ...] = ()
    recurrence: Recurrence | None = field(default=None, repr=False)
    """The columns that this one is calculated with, row by row; None for a block that does not read its own cells."""
    _reads: tuple[Range, ...] | None = field(default=None, init=False, repr=False)

    @property
    def text(self) -> str:
        """The formula as the block's first cell shows it, without `=`."""
        return formula_text(self.formula, self.range.top, self.range.left)

    @property
    def name(self) -> str:
        return self.range.identifier

    @property
    def is_open(self) -> bool:
        """Whether it has references whose place has not been calculated yet."""
        return next(calculated(self.tree), None) is not None

    @property
    def reads_unseen(self) -> bool:
        """Whether the formula may read cells that nobody can tell."""
        unseen = (isinstance(part, NotSupported) and part.unseen for part in walk(self.tree))
        return self.error is not None or any(unseen) or self.is_open

    def reads(self) -> tuple[Range, ...]:
        """The cells that the block reads, as rectangles around each reference."""
        if self._reads is None:
            trees = (self.tree, *self.deciders)
            self._reads = tuple(area for tree in trees for area in areas_of(tree, self))
        return self._reads

    def trimmed(self, wanted: Range) -> Block:
        """The block cut down to the copies that cover `wanted`."""
        own = self.range
        first_row, first_column = (
            (wanted.top - own.top) // self.height,
            (wanted.left - own.left) // self.width,
        )
        last_row, last_column = (
            (wanted.bottom - own.top) // self.height,
            (wanted.right - own.left) // self.width,
        )
        rows, columns = last_row - first_row + 1, last_column - first_column + 1
        if (rows, columns) == (self.rows, self.columns):
            return self
        top, left = own.top + first_row * self.height, own.left + first_column * self.width
        area = Range(own.sheet, top, left, top + rows * self.height - 1, left + columns * self.width - 1)

        def shift(node: Node) -> Node | None:
            if isinstance(node, Picked):
                lines = node.places[first_row : last_row + 1]
                picked = Picked(node.sheet, tuple(line[first_column : last_column + 1] for line in lines))
                return picked if rows > 1 or columns > 1 else picked.area
            if not isinstance(node, Area):
                return None
            moved = [
                axis._replace(base=axis.at(first_row, first_column))
                for axis in (node.top, node.left, node.bottom, node.right)
            ]
            return Area.between(node.sheet, *moved)

        deciders = tuple(transform(part, shift) for part in self.deciders)
        return replace(
            self,
            range=area,
            rows=rows,
            columns=columns,
            tree=transform(self.tree, shift),
            parts=(),
            deciders=deciders,
            recurrence=None,
        )


@dataclass(eq=False, slots=True)
class Recurrence:
    """Columns of the same rows (or rows of the same columns), in the order of calculation within a row.

    `down` tells columns from rows. `reads` says what a reference of a member means where it is to the members: which
    member, and how many rows above, from the upper end of the reference to the lower one.
    """

    members: tuple[Block, ...]
    down: bool

    @property
    def rows(self) -> int:
        """How many rows the columns have."""
        first = self.members[0]
        return first.rows if self.down else first.columns

    def reads(self, block: Block, area: Area) -> list[tuple[int, int]] | None:
        """Which members a reference is to, each with the rows above; None for a reference to other cells.

        Raises ValueError for a reference of which only a part is to the members, or in another way.
        """
        seen = bounding_range(area, block.rows, block.columns)
        touched = [place for place, other in enumerate(self.members) if seen.intersection(other.range)]
        if not touched:
            return None
        if self.down:
            start, end = area.top, area.bottom
            steps = (start.down, end.down, area.left.down, area.right.down)
        else:
            start, end = area.left, area.right
            steps = (start.across, end.across, area.top.across, area.bottom.across)
        if len(touched) > 1 or steps != (1, 1, 0, 0) or not self._is_one_line(seen):
            raise ValueError
        own = block.range.top if self.down else block.range.left
        nearest, farthest = own - end.base, own - start.base
        if nearest < 0 or start.base < 1:
            raise ValueError
        return [(touched[0], lag) for lag in range(farthest, nearest - 1, -1)]

    def _is_one_line(self, seen: Range) -> bool:
        return (seen.width if self.down else seen.height) == 1


def columns_with(block: Block) -> tuple[Block, ...]:
    """The columns of the block's recurrence; the block alone if it is in none."""
    return (block,) if block.recurrence is None else block.recurrence.members


def areas_of(node: Node, block: Block) -> Iterator[Range]:
    """The cells that a part of a block's formula reads, as rectangles around each reference."""
    for area in areas_read(node):
        yield bounding_range(area, block.rows, block.columns)


def bounding_range(area: Area, rows: int, columns: int) -> Range:
    """The smallest rectangle around what all copies read."""
    corners = [(i, j) for i in {0, rows - 1} for j in {0, columns - 1}]
    # Ends that move apart may cross: of `A1:A$5` filled down the sixth copy reads A5:A6.
    down = [axis.at(i, j) for i, j in corners for axis in (area.top, area.bottom)]
    across = [axis.at(i, j) for i, j in corners for axis in (area.left, area.right)]
    return Range(area.sheet, max(1, min(down)), max(1, min(across)), max(down), max(across))


def single_copies(block: Block) -> list[Block]:
    """One block per copy of the formula."""
    if block.parts:
        return [copy for part in block.parts for copy in single_copies(part)]
    if block.rows == block.columns == 1:
        return [block]
    own = block.range
    found = []
    for top in range(own.top, own.bottom + 1, block.height):
        for left in range(own.left, own.right + 1, block.width):
            cell = Range(own.sheet, top, left, top + block.height - 1, left + block.width - 1)
            found.append(block.trimmed(cell))
    return found


def halves(block: Block) -> list[Block]:
    """The block in two, each with a half of its rows, or of its columns if it has one row of copies."""
    area = block.range
    if block.rows > 1:
        middle = area.top + block.rows // 2 * block.height
        parts = area._replace(bottom=middle - 1), area._replace(top=middle)
    else:
        middle = area.left + block.columns // 2 * block.width
        parts = area._replace(right=middle - 1), area._replace(left=middle)
    return [block.trimmed(part) for part in parts]


def uncrossed(block: Block) -> list[Block]:
    """The block, in pieces where the ends of a range cross: of `A1:A$5` filled down the sixth copy reads A5:A6."""
    for area in (part for part in walk(block.tree) if isinstance(part, Area)):
        for start, end in ((area.top, area.bottom), (area.left, area.right)):
            length, down, across = (last - first for first, last in zip(start, end, strict=True))
            if length + min(0, down * (block.rows - 1)) + min(0, across * (block.columns - 1)) >= 0:
                continue
            if down < 0 and across < 0:
                return single_copies(block)
            own, copies = block.range, length // -min(down, across) + 1  # so many before they cross
            row, column = own.top + copies * block.height, own.left + copies * block.width
            parts = (
                (own._replace(bottom=row - 1), own._replace(top=row))
                if down < 0
                else (own._replace(right=column - 1), own._replace(left=column))
            )
            return [piece for part in parts for piece in uncrossed(block.trimmed(part))]
    return [block]
