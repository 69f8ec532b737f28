"""Cutting formulas down to a batch.

A block that is filled down along the samples keeps as many rows as the batch has; what sums or averages over
the samples does so over the batch, sums being scaled up. A formula that ties samples together cannot be cut:
it is refused, with its cell, for a silent other loss would be worse.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

from sgdsheet.compiler.frontend.blocks import Block, areas_of, bounding_range
from sgdsheet.compiler.functions import REGISTRY
from sgdsheet.compiler.functions.registry import OverSamples, Takes, over_samples
from sgdsheet.errors import FormulaError
from sgdsheet.sheet.references import Range
from sgdsheet.sheet.syntax import Area, Binary, Call, Node, Number, Picked, Shared, Unary, transform, walk

Home = Callable[[str], str]
"""Gives, for the name of a sheet, the name of the sheet where its samples lie in the program."""


def _as_it_is(sheet: str) -> str:
    return sheet


def _heaps_arguments(call: Call) -> bool:
    """Whether a function puts all its arguments into one heap, as SUM does and SUMIF does not."""
    return REGISTRY[call.name].takes is Takes.RANGES and over_samples(call) is not OverSamples.EXTREME


def _is_wide(node: Node) -> bool:
    """Whether a formula surely gives several columns."""
    match node:
        case Area():
            return node.left != node.right
        case Binary():
            return _is_wide(node.left) or _is_wide(node.right)
        case Unary():
            return _is_wide(node.operand)
        case Call() if over_samples(node).is_of_first:
            return _is_wide(node.arguments[1])
        case Call() if over_samples(node).is_each:
            return any(_is_wide(item) for item in node.arguments)
        case _:
            return False


def cut_blocks(
    blocks: Sequence[Block],
    parameters: Sequence[Range],
    rows: Range,
    size: int,
    home: Home = _as_it_is,
    data: Sequence[Range] = (),
    total: int | None = None,
    *,
    judged: str | None = None,
) -> Iterator[Block]:
    """The blocks for `size` of the samples. Raises FormulaError, with its cell, if a formula ties them.

    `home` names the sheet on which the samples of a sheet lie from now on: there may be more of them than there
    is room on their own. `data` are columns of the samples over which sums and averages are cut as well: unless
    given, what sums up data alone does so over all samples. `total` is how many samples there are, if not as many as
    rows: sums over a batch are scaled up to it. `judged` names a sheet where the data of the samples of this batch lie:
    what a formula that is no sample's own sums up of data alone, such as the weights that the loss divides by, is over
    them as well.
    """
    along = along_samples(blocks, rows)
    for block in blocks:
        start = along.get(id(block))
        own = judged if start is None else None
        cutter = _Cutter(block, along, blocks, parameters, rows, size, home, data, total or rows.height, own)
        yield cutter.cut(start)


def spans_samples(area: Area, rows: Range) -> bool:
    """Whether an area that stands still is exactly the rows of all samples."""
    return area.sheet == rows.sheet and (area.top.base, area.bottom.base) == (rows.top, rows.bottom)


def along_samples(blocks: Sequence[Block], rows: Range) -> dict[int, int]:
    """The blocks that have one row per sample, and the row of their first sample."""
    along: dict[int, int] = {}
    for block in blocks:
        own = block.range
        if own.height != rows.height:
            continue
        slides = any(
            isinstance(part, Area) and part.top.down == 1 and _is_along(part.sheet, part.top.base, blocks, along, rows)
            for part in walk(block.tree)
        )
        if (own.sheet == rows.sheet and own.top == rows.top) or slides:
            along[id(block)] = own.top
    return along


def _is_along(sheet: str, top: int, blocks: Sequence[Block], along: dict[int, int], rows: Range) -> bool:
    if sheet == rows.sheet and top == rows.top:
        return True
    return any(block.range.sheet == sheet and along.get(id(block)) == top for block in blocks)


@dataclass(slots=True)
class _Cutter:
    """Cuts one block down. `blocks` are all that depend on a parameter."""

    block: Block
    along: dict[int, int]
    blocks: Sequence[Block]
    parameters: Sequence[Range]
    rows: Range
    size: int
    home: Home
    data: Sequence[Range]
    total: int
    judged: str | None = None

    def cut(self, start: int | None) -> Block:
        block = self.block
        self._refuse_found()
        if start is None:
            self._refuse_parts()
            return replace(block, tree=self._reduced(block.tree))
        own = block.range._replace(bottom=start + self.size - 1)
        moved = own._replace(sheet=self.home(own.sheet))
        if block.height == self.rows.height and block.rows == 1:
            return replace(block, range=moved, height=self.size, tree=self._array(block.tree))
        for part in walk(block.tree):
            if isinstance(part, Area):
                self._refuse_ties(part)
        trimmed = block.trimmed(own)
        return replace(trimmed, range=moved, tree=transform(self._reduced(trimmed.tree), self._own_row))

    # --- what cannot be cut -----------------------------------------------------------------------------

    def _refuse_found(self) -> None:
        """Refuse references that the samples decide about: another batch would have others."""
        read = [area for node in self.block.deciders for area in areas_of(node, self.block)]
        of_samples = any(area.intersection(self.rows) for area in read)
        parts = list(walk(self.block.tree))
        if of_samples or any(isinstance(part, Picked) for part in parts):
            raise self._tied("refers to other cells for each sample")
        if any(isinstance(part, Shared) for part in parts):
            raise self._tied("calls LAMBDA again and again")

    def _tied(self, cause: str, block: Block | None = None) -> FormulaError:
        return FormulaError(
            f"the formula {cause}, so it cannot be trained in batches",
            cell=(block or self.block).range.first,
            remedy="Let each sample's row read only its own row, or train on all rows at once",
        )

    def _refuse_ties(self, area: Area) -> None:
        """A sample's formula may read its own row, and all rows together, but not another row's result."""
        read = bounding_range(area, self.block.rows, self.block.columns)
        if area.top.down and any(own.intersection(read) for own in self.parameters):
            raise self._tied("has parameters of its own row")
        for other in self.blocks:
            if not other.range.intersection(read):
                continue
            start = self.along.get(id(other))
            own_row = area.top == area.bottom and area.top.down == 1 and area.top.base == start
            if (start is not None or area.top.down) and not own_row and not self._spans(area):
                raise self._tied("reads the result of another sample")

    def _refuse_parts(self) -> None:
        """Refuse a formula that is no sample's own and reads some of the samples only: a batch has others."""
        for part in walk(self.block.tree):
            if not isinstance(part, Area):
                continue
            read = bounding_range(part, self.block.rows, self.block.columns)
            all_rows = read.top <= self.rows.top and read.bottom >= self.rows.bottom
            known = [other.range for other in self.blocks] + list(self.parameters)
            if read.intersection(self.rows) and not all_rows and not any(own.intersection(read) for own in known):
                raise self._tied("uses some of the samples only", self._reader())

    def _reader(self) -> Block:
        """The formula that is the reason why this block is there for some of the samples only."""
        found = self.block
        while True:
            readers = (other for other in self.blocks if any(read.intersection(found.range) for read in other.reads()))
            reader = next((other for other in readers if other is not found), None)
            if reader is None or id(reader) in self.along:
                return found
            if reader.rows != found.rows:
                return reader
            found = reader

    # --- what is read -----------------------------------------------------------------------------------

    def _bounds(self, area: Area) -> Range:
        return bounding_range(area, 1, 1)

    def _spans(self, area: Area) -> bool:
        """Whether the area is exactly all samples: their rows, or the results of formulas with one row for each."""
        slides = self.block.rows > 1 and (area.top.down or area.bottom.down)
        if slides or any(own.contains(self._bounds(area)) for own in self.parameters):
            return False
        if spans_samples(area, self.rows):
            return True
        is_as_high = area.bottom.base - area.top.base + 1 == self.rows.height
        return is_as_high and _is_along(area.sheet, area.top.base, self.blocks, self.along, self.rows)

    def _is_live(self, node: Node) -> bool:
        """Whether a part of the formula depends on a parameter."""
        reads = [self._bounds(part) for part in walk(node) if isinstance(part, Area)]
        known = [*(other.range for other in self.blocks), *self.parameters, *self.data]
        return any(own.intersection(read) for own in known for read in reads)

    def _per_sample(self, node: Node) -> bool:
        """Whether an area holds all samples: their results (an error if only some of them) or their data."""
        found = False
        for part in walk(node):
            if not isinstance(part, Area) or (self.block.rows > 1 and part.top == part.bottom and part.top.down):
                continue
            read = self._bounds(part)
            spans = self._spans(part)
            if not spans and any(id(other) in self.along and other.range.intersection(read) for other in self.blocks):
                raise self._tied("reads the results of some of the samples")
            found = found or spans
        return found

    # --- the formula for a batch ------------------------------------------------------------------------

    def _reduced(self, node: Node) -> Node:
        """Sums and averages over the samples, made to be over the batch."""

        if self._per_sample(self._summed_up(node)):
            raise self._tied("uses the results of all samples other than by SUM, AVERAGE and their like")
        return transform(node, self._summed)

    def _summed_up(self, node: Node) -> Node:
        """The formula with 0 for what sums or averages over the samples, and for what is constant."""

        def change(part: Node) -> Node | None:
            constant = isinstance(part, Call) and not over_samples(part).is_each and not self._is_live(part)
            return Number(0.0) if constant or self._summed(part) is not None else None

        return transform(node, change)

    def _summed(self, part: Node) -> Node | None:
        """A sum or an average over the samples as one over the batch; None for every other formula."""
        if not isinstance(part, Call):
            return None
        over = over_samples(part)
        if over.is_size:
            counted = over is OverSamples.COUNT and self._per_sample(part.arguments[0])
            return Number(float(self.total)) if counted else part
        if not self._is_live(part):
            return self._judged(part, self.judged) if self.judged and over.is_reduced else None
        arguments = [self._summed_up(item) for item in part.arguments]
        per_sample = [self._per_sample(item) for item in arguments]
        if not any(per_sample):
            return None
        if over is OverSamples.PRODUCT:
            return self._product(part)
        if over.is_of_first and any(per_sample[1:]):
            raise self._tied("multiplies the samples with each other")
        if over.is_by_rows and per_sample[0] and not _is_wide(part.arguments[0]):
            raise self._tied(f"uses {part.name} on a column of samples")
        if not over.is_reduced:
            return None
        compared = per_sample if _heaps_arguments(part) else per_sample[:1]
        if over is not OverSamples.EXTREME and not all(compared):
            raise self._tied("mixes samples and other values in one sum")
        cut = Call(part.name, tuple(self._array(item) for item in part.arguments), of_batch=True)
        return Binary("*", cut, self._scale) if over is OverSamples.SUM else cut

    def _judged(self, part: Call, sheet: str) -> Node | None:
        """A sum or an average of data alone over the samples that are judged; None if it is not over all samples."""
        areas = [node for node in walk(part) if isinstance(node, Area)]
        if not areas or not all(spans_samples(area, self.rows) for area in areas):
            return None

        def moved(node: Node) -> Node | None:
            if not isinstance(node, Area):
                return None
            return replace(node, sheet=sheet, bottom=node.bottom._replace(base=node.top.base + self.size - 1))

        cut = transform(part, moved)
        return Binary("*", cut, self._scale) if over_samples(part) is OverSamples.SUM else cut

    @property
    def _scale(self) -> Number:
        return Number(self.total / self.size)

    def _product(self, product: Call) -> Node | None:
        """MMULT(TRANSPOSE(samples), samples) is a sum over the samples; MMULT(samples, others) is not."""
        left, right = product.arguments
        if not self._per_sample(right):
            return None
        turned = isinstance(left, Call) and over_samples(left) is OverSamples.TURNED
        if isinstance(left, Call) and turned and self._per_sample(left.arguments[0]):
            factors = replace(left, arguments=(self._array(left.arguments[0]),)), self._array(right)
            return Binary("*", replace(product, arguments=factors), self._scale)
        raise self._tied("multiplies the samples with each other")

    def _array(self, node: Node) -> Node:
        """A formula with one row per sample, for the batch's rows."""

        def change(part: Node) -> Node | None:
            if isinstance(part, Area):
                return self._shortened(part)
            if not isinstance(part, Call):
                return None
            summed = self._summed(part)
            if summed is not None:
                return summed
            if over_samples(part).is_reduced and not self._is_live(part):
                return part  # over data alone: of all samples
            if over_samples(part).is_of_first:
                return Call(part.name, (self._array(part.arguments[0]), *part.arguments[1:]))
            if over_samples(part) not in (OverSamples.ELEMENTWISE, OverSamples.ROWS) and self._per_sample(part):
                raise self._tied(f"uses {part.name} on the samples")
            return None

        return transform(node, change)

    def _own_row(self, node: Node) -> Node | None:
        """The formula with what a sample reads of its own row moved to where its samples lie."""
        if isinstance(node, Area) and node.top == node.bottom and node.top.down == 1:
            return replace(node, sheet=self.home(node.sheet))
        return None

    def _shortened(self, area: Area) -> Area:
        if self._spans(area):
            bottom = area.bottom._replace(base=area.top.base + self.size - 1)
            return replace(area, sheet=self.home(area.sheet), bottom=bottom)
        if not area.top.down and area.bottom.base - area.top.base + 1 == self.rows.height:
            raise self._tied("reads rows that are not those of the samples")
        return area
