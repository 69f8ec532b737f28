"""Which parameters the loss depends on, read off the formulas: without a slope a parameter cannot be trained."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from sgdsheet.blocks import Block, bounding_range
from sgdsheet.errors import ProblemError
from sgdsheet.formula import Area, Binary, Call, Node, Unary
from sgdsheet.functions import REGISTRY
from sgdsheet.functions.operators import COMPARISONS
from sgdsheet.functions.registry import Derivative
from sgdsheet.planning import Plan
from sgdsheet.problem import Problem
from sgdsheet.references import Cell, Range


@dataclass(slots=True)
class _Reached:
    """Rectangles that the loss reads."""

    areas: list[Range] = field(default_factory=list)

    def add(self, area: Range) -> None:
        if not any(known.contains(area) for known in self.areas):
            self.areas.append(area)

    def touches(self, area: Range) -> bool:
        return any(known.intersection(area) for known in self.areas)

    def has(self, cell: Cell) -> bool:
        return self.touches(Range.of_cell(cell))


def check_reach(problem: Problem, plan: Plan) -> None:
    """Raise ProblemError for the first parameter cell on which the loss does not depend, or only in steps."""
    smooth, any_way = _Reached(), _Reached()
    loss = Range.of_cell(problem.loss)
    smooth.add(loss)
    any_way.add(loss)
    steps: dict[Range, tuple[Block, str]] = {}
    for block in reversed(plan.blocks):
        reached = any_way.touches(block.range)
        smoothly = smooth.touches(block.range)
        for area, culprit in _reads(block.tree, ""):
            found = bounding_range(area, block.rows, block.columns)
            if reached:
                any_way.add(found)
            if smoothly and not culprit:
                smooth.add(found)
            elif culprit:
                steps.setdefault(found, (block, culprit))
    for area in problem.parameters:
        if any(known.contains(area) for known in smooth.areas):
            continue
        for cell in area.cells():
            if not smooth.has(cell):
                raise _unreached(problem, cell, any_way.has(cell), steps)


def _unreached(
    problem: Problem, cell: Cell, in_steps: bool, steps: dict[Range, tuple[Block, str]]
) -> ProblemError:
    if not in_steps:
        return ProblemError(
            f"the loss {problem.loss} does not depend on this parameter",
            cell=cell,
            remedy="Use it in a formula, or leave it out of the parameters",
        )
    found = next(((block, name) for area, (block, name) in steps.items() if area.intersection(Range.of_cell(cell))), None)
    where = f" ({found[1]} in {found[0].range.first})" if found else ""
    return ProblemError(
        f"the loss depends on this parameter only in steps{where}, so it has no slope",
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
                stops = found is not None and (
                    found.derivative is Derivative.ZERO or position in found.zero_arguments
                )
                yield from _reads(argument, culprit or (node.name if stops else ""))
        case _:
            return
