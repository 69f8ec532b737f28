"""What depends on what, read off the formulas of blocks in the order of calculation.

Which blocks some cells reach, how cells depend on the samples, and which parameters the loss has a gradient for.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from enum import IntEnum

from sgdsheet.compiler.frontend.block_table import BlockIndex
from sgdsheet.compiler.frontend.blocks import Block, bounding_range, columns_with
from sgdsheet.compiler.functions import REGISTRY
from sgdsheet.compiler.functions.operators import COMPARISONS
from sgdsheet.compiler.functions.registry import Derivative, over_samples
from sgdsheet.errors import ProblemError
from sgdsheet.problem.definition import Problem
from sgdsheet.sheet.references import Cell, Range, rectangles, without
from sgdsheet.sheet.syntax import Area, Binary, Call, Node, Shared, Unary, children, walk

# --- on some cells ----------------------------------------------------------------------------------------


def depends(block: Block, read: Sequence[Block], sources: Sequence[Range], reached: set[int]) -> bool:
    """Whether a block depends on some cells: by itself, or by one of the blocks `read` whose ids are in `reached`."""
    return (
        block.reads_unseen
        or any(id(other) in reached for other in read)
        or any(area.intersection(source) for area in block.reads() for source in sources)
    )


def reached(blocks: Sequence[Block], sources: Sequence[Range]) -> set[int]:
    """The ids of the blocks that depend on some cells, directly or by way of others."""
    index, found = BlockIndex(blocks), set[int]()
    for block in blocks:
        together = columns_with(block)
        if any(depends(other, index.read_by(other), sources, found) for other in together):
            found.update(map(id, together))
    return found


def read_by(readers: Sequence[Block], blocks: Sequence[Block]) -> list[Block]:
    """The blocks among these that some readers read, directly or by way of others of them."""
    index, found, waiting = BlockIndex(blocks), set[int](), list(readers)
    while waiting:
        new = [block for block in index.read_by(waiting.pop()) if id(block) not in found]
        found.update(map(id, new))
        waiting += new
    return [block for block in blocks if id(block) in found]


# --- on the samples ---------------------------------------------------------------------------------------


class OnSamples(IntEnum):
    """How a cell depends on the samples. Ordered: a formula does at least as its parts do."""

    FIXED = 0
    PER_SAMPLE = 1
    ADDITIVE = 2
    """Depends on the samples through sums and averages alone: its mean over parts of the samples is its value over all.
    """
    OTHERWISE = 3


_Known = Sequence[tuple[Range, OnSamples]]


def on_samples(cell: Cell, blocks: Sequence[Block], data: Sequence[Range]) -> OnSamples:
    """How a cell depends on the samples.

    `data` are the cells that the source fills; `blocks` all that depend on them or on a parameter.
    """
    known = [(area, OnSamples.PER_SAMPLE) for area in data]
    for block in blocks:
        decided = any(_of_formula(node, block, known) is not OnSamples.FIXED for node in block.deciders)
        known.append((block.range, OnSamples.OTHERWISE if decided else _of_formula(block.tree, block, known)))
    return _of_area(Range.of_cell(cell), known)


def _of_area(area: Range, known: _Known) -> OnSamples:
    return max((how for other, how in known if other.intersection(area)), default=OnSamples.FIXED)


def _of_formula(node: Node, block: Block, known: _Known) -> OnSamples:
    if isinstance(node, Area):
        return _of_area(bounding_range(node, block.rows, block.columns), known)
    if isinstance(node, Shared):
        fixed = all(
            _of_area(bounding_range(part, block.rows, block.columns), known) is OnSamples.FIXED
            for part in walk(node)
            if isinstance(part, Area)
        )
        return OnSamples.FIXED if fixed else OnSamples.OTHERWISE
    parts = [_of_formula(part, block, known) for part in children(node)]
    most = max(parts, default=OnSamples.FIXED)
    if isinstance(node, Call) and most is OnSamples.PER_SAMPLE:
        return _of_call(node, block, known)
    if most is not OnSamples.ADDITIVE:
        return most
    match node:
        case Unary():
            linear = True
        case Binary(operator="+" | "-"):
            linear = OnSamples.PER_SAMPLE not in parts
        case Binary(operator="*"):
            linear = OnSamples.FIXED in parts
        case Binary(operator="/"):
            linear = parts[1] is OnSamples.FIXED
        case _:
            linear = False
    return OnSamples.ADDITIVE if linear else OnSamples.OTHERWISE


def _of_call(call: Call, block: Block, known: _Known) -> OnSamples:
    """What a function makes of cells that are each for one sample."""
    over = over_samples(call)
    if over.is_size:
        return OnSamples.FIXED
    several = any(
        bounding_range(part, 1, 1).height > 1 and _of_formula(part, block, known) is OnSamples.PER_SAMPLE
        for part in walk(call)
        if isinstance(part, Area)
    )
    if not several or over.is_each:
        return OnSamples.PER_SAMPLE
    return OnSamples.ADDITIVE if REGISTRY[call.name].additive else OnSamples.OTHERWISE


# --- with a gradient --------------------------------------------------------------------------------------


@dataclass(slots=True)
class _Reach:
    """What the loss reads: blocks, and parts of the parameters."""

    parameters: Sequence[Range]
    index: BlockIndex
    blocks: set[int] = field(default_factory=set)
    parts: set[Range] = field(default_factory=set)

    def add(self, area: Range) -> None:
        self.blocks.update(map(id, self.index.overlapping(area)))
        self.parts.update(part for known in self.parameters if (part := known.intersection(area)) is not None)

    def gaps(self, area: Range) -> list[Range]:
        """The cells of a parameter range that are not reached, as ranges."""
        if area in self.parts:
            return []
        reached = bytearray(area.size)
        for part in filter(area.contains, self.parts):
            for row in range(part.top, part.bottom + 1):
                start = (row - area.top) * area.width + part.left - area.left
                reached[start : start + part.width] = b"\1" * part.width
        places = [divmod(place, area.width) for place, there in enumerate(reached) if not there]
        return [
            Range(
                area.sheet, area.top + down, area.left + across, area.top + down + rows - 1, area.left + across + n - 1
            )
            for down, across, rows, n in rectangles(places)
        ]


@dataclass(frozen=True, slots=True)
class Unreached:
    """Parameter cells without a way to the loss and the constraints: `unused` without any, `stepped` with jumps only.

    `steps` are what is read in jumps, each with the block that reads it and what makes the jump.
    """

    unused: tuple[Range, ...] = ()
    stepped: tuple[Range, ...] = ()
    steps: dict[Range, tuple[Block, str]] = field(default_factory=dict)


def unreached(problem: Problem, blocks: Sequence[Block]) -> Unreached:
    """The parameter cells that no gradient can reach.

    It is enough if a constraint depends on a cell. Where a formula may read cells that nobody can see nothing is
    said: that formula is an error of its own.
    """
    index = BlockIndex(blocks)
    smooth, any_way = _Reach(problem.parameters, index), _Reach(problem.parameters, index)
    for root in (Range.of_cell(problem.loss), *problem.constrained):
        smooth.add(root)
        any_way.add(root)
    steps: dict[Range, tuple[Block, str]] = {}
    for block in _against_the_order(blocks):
        if id(block) in any_way.blocks and block.reads_unseen:
            return Unreached()
        decided = (item for node in block.deciders for item in _reads(node, "a reference that is calculated"))
        for area, culprit in (*_reads(block.tree, ""), *decided):
            found = bounding_range(area, block.rows, block.columns)
            if id(block) in any_way.blocks:
                any_way.add(found)
            if id(block) in smooth.blocks and not culprit:
                smooth.add(found)
            elif culprit:
                steps.setdefault(found, (block, culprit))
    unused = tuple(part for area in problem.parameters for part in any_way.gaps(area))
    jumping = tuple(part for area in problem.parameters for part in smooth.gaps(area))
    return Unreached(unused, without(jumping, unused), steps)


def _against_the_order(blocks: Sequence[Block]) -> Iterator[Block]:
    """Blocks from the last to the first; those of a recurrence so often that each has heard of the others."""
    for block in reversed(blocks):
        together = columns_with(block)
        if len(together) == 1:
            yield block
        elif block is together[-1]:
            for _ in together:
                yield from reversed(together)


def check_reach(problem: Problem, blocks: Sequence[Block]) -> ProblemError | None:
    """The error for the first parameter cell on which the loss depends only in steps; None if there is none.

    It is for those that need a gradient. Raises ProblemError for a parameter on which the loss does not depend.
    """
    found = unreached(problem, blocks)
    for area in problem.parameters:
        if cells := [part.first for part in found.unused if area.contains(part)]:
            raise ProblemError(
                f"the loss {problem.loss} does not depend on this parameter",
                cell=min(cells),
                remedy="Use it in a formula, or leave it out of the parameters",
            )
    stepped = [part.first for area in problem.parameters for part in found.stepped if area.contains(part)]
    return _stepped(stepped[0], found.steps) if stepped else None


def _stepped(cell: Cell, steps: dict[Range, tuple[Block, str]]) -> ProblemError:
    found = next(
        ((block, name) for area, (block, name) in steps.items() if area.intersection(Range.of_cell(cell))),
        None,
    )
    where = f" ({found[1]} in {found[0].range.first})" if found else ""
    return ProblemError(
        f"the loss depends on this parameter only in steps{where}, so it has no gradient",
        cell=cell,
        remedy="Use a smooth formula instead, or the optimizer evolutionary",
    )


def _reads(node: Node, culprit: str) -> Iterator[tuple[Area, str]]:
    """All references of a tree, each with the name of the function that stops its gradient, if any."""
    seen: set[tuple[int, str]] = set()
    waiting = [(node, culprit)]
    while waiting:
        part, stopped = waiting.pop()
        match part:
            case Area():
                yield part, stopped
            case Shared() if (id(part), stopped) in seen:
                pass
            case Shared():
                seen.add((id(part), stopped))
                waiting.append((part.meaning, stopped))
            case Binary():
                stop = stopped or ("a comparison" if part.operator in COMPARISONS else "")
                waiting += ((part.right, stop), (part.left, stop))
            case Call():
                found = REGISTRY.get(part.name)
                stops = [
                    found is not None and (found.derivative is Derivative.ZERO or position in found.zero_arguments)
                    for position in range(len(part.arguments))
                ]
                pairs = zip(part.arguments, stops, strict=True)
                waiting += reversed([(item, stopped or (part.name if stop else "")) for item, stop in pairs])
            case _:
                waiting += reversed([(item, stopped) for item in children(part)])
