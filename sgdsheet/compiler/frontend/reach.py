"""Which parameters the loss depends on, read off the formulas: without a gradient there is no training."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from sgdsheet.compiler.frontend.blocks import Block, bounding_range
from sgdsheet.compiler.frontend.planning import Plan
from sgdsheet.compiler.functions import REGISTRY
from sgdsheet.compiler.functions.operators import COMPARISONS
from sgdsheet.compiler.functions.registry import Derivative, Takes
from sgdsheet.errors import ProblemError
from sgdsheet.problem.definition import Problem
from sgdsheet.sheet.references import Cell, Range, RangeIndex
from sgdsheet.sheet.syntax import Area, Binary, Call, Node, Unary


@dataclass(slots=True)
class _Reach:
    """What the loss reads: blocks, and parts of the parameters."""

    parameters: Sequence[Range]
    index: RangeIndex[Block]
    blocks: set[int] = field(default_factory=set)
    parts: set[Range] = field(default_factory=set)

    def add(self, area: Range) -> None:
        self.blocks.update(id(block) for _, block in self.index.overlapping(area))
        self.parts.update(part for known in self.parameters if (part := known.intersection(area)) is not None)

    def gap(self, area: Range) -> Cell | None:
        """The first cell of a parameter range that is not reached."""
        if area in self.parts:
            return None
        reached = bytearray(area.size)
        for part in filter(area.contains, self.parts):
            for row in range(part.top, part.bottom + 1):
                start = (row - area.top) * area.width + part.left - area.left
                reached[start : start + part.width] = b"\1" * part.width
        place = reached.find(0)
        down, across = divmod(place, area.width)
        return None if place < 0 else Cell(area.sheet, area.top + down, area.left + across)

    def has(self, cell: Cell) -> bool:
        return any(part.intersection(Range.of_cell(cell)) for part in self.parts)


def check_reach(problem: Problem, plan: Plan) -> None:
    """Raise ProblemError for the first parameter cell on which the loss does not depend, or only in steps.

    It is enough if a constraint depends on it. Where a formula may read cells that nobody can see nothing is
    said: that formula is an error of its own.
    """
    index: RangeIndex[Block] = RangeIndex()
    for block in plan.blocks:
        index.add(block.range, block)
    smooth, any_way = _Reach(problem.parameters, index), _Reach(problem.parameters, index)
    for root in (Range.of_cell(problem.loss), *problem.constrained):
        smooth.add(root)
        any_way.add(root)
    steps: dict[Range, tuple[Block, str]] = {}
    for block in reversed(plan.blocks):
        if id(block) in any_way.blocks and block.reads_unseen:
            return
        for area, culprit in _reads(block.tree, ""):
            found = bounding_range(area, block.rows, block.columns)
            if id(block) in any_way.blocks:
                any_way.add(found)
            if id(block) in smooth.blocks and not culprit:
                smooth.add(found)
            elif culprit:
                steps.setdefault(found, (block, culprit))
    for parameters in problem.parameters:
        cell = smooth.gap(parameters)
        if cell is not None:
            raise _unreached(problem, cell, any_way.has(cell), steps)


def _unreached(problem: Problem, cell: Cell, in_steps: bool, steps: dict[Range, tuple[Block, str]]) -> ProblemError:
    if not in_steps:
        return ProblemError(
            f"the loss {problem.loss} does not depend on this parameter",
            cell=cell,
            remedy="Use it in a formula, or leave it out of the parameters",
        )
    found = next(
        ((block, name) for area, (block, name) in steps.items() if area.intersection(Range.of_cell(cell))),
        None,
    )
    where = f" ({found[1]} in {found[0].range.first})" if found else ""
    return ProblemError(
        f"the loss depends on this parameter only in steps{where}, so it has no gradient",
        cell=cell,
        remedy="Use a smooth formula instead, or leave it out of the parameters",
    )


def _reads(node: Node, culprit: str) -> Iterator[tuple[Area, str]]:
    """All references of a tree, each with the name of the function that stops its gradient, if any."""
    match node:
        case Area():
            yield node, culprit
        case Binary():
            stop = culprit or ("a comparison" if node.operator in COMPARISONS else "")
            yield from _reads(node.left, stop)
            yield from _reads(node.right, stop)
        case Unary():
            yield from _reads(node.operand, culprit)
        case Call():
            found = REGISTRY.get(node.name)
            for position, argument in enumerate(node.arguments):
                stops = found is not None and (found.derivative is Derivative.ZERO or position in found.zero_arguments)
                yield from _reads(argument, culprit or (node.name if stops else ""))
        case _:
            return


def calculated_areas(node: Node, calculated: bool = True) -> Iterator[Area]:
    """The references in which text is an error: operands of `+` and arguments of EXP, not of SUM."""
    match node:
        case Area():
            if calculated:
                yield node
        case Binary():
            inside = node.operator != "&" and node.operator not in COMPARISONS
            yield from calculated_areas(node.left, inside)
            yield from calculated_areas(node.right, inside)
        case Unary():
            yield from calculated_areas(node.operand, node.operator != "@" or calculated)
        case Call():
            found = REGISTRY.get(node.name)
            for position, argument in enumerate(node.arguments):
                skipped = found is None or found.skips_blanks or position in found.zero_arguments
                chosen = found is not None and found.takes is Takes.FORMULAS
                own = calculated if chosen else not skipped
                yield from calculated_areas(argument, own and not (skipped and isinstance(argument, Area)))
        case _:
            return
