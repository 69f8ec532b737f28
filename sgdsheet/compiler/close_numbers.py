"""Numbers that a spreadsheet takes for equal, because only their last digits differ, and a recorded program does not.

To Excel 0.1*3 and 0.3 are equal in comparisons, which look at 15 digits, and so does it take the last sum or difference
of a formula for 0. One operation at a time, constants are calculated so; a program is asked whether it came near it.
"""

from __future__ import annotations

import operator
from collections.abc import Sequence
from typing import Any

import torch
from torch import fx

from sgdsheet.compiler.program import Program

COMPARING = frozenset((torch.eq, torch.ne, torch.lt, torch.le, torch.gt, torch.ge))
ADDING = frozenset((operator.add, operator.sub))
_CLOSE = 1e-14
"""Share of a number by which two may differ that a spreadsheet takes for equal: 15 digits are the same."""


def told_apart(graph: fx.Graph, operation: object, operands: Sequence[Any]) -> list[fx.Node]:
    """A node that is 0 where each two numbers that are compared, added or subtracted are equal or clearly others.

    It is infinite where some are so close that a spreadsheet takes them for equal. There is none where one of the two
    is 0, which only 0 is equal to.
    """
    if any(not isinstance(item, fx.Node) and item == 0 for item in operands):
        return []
    one, other = operands
    distance = graph.call_function(operator.add if operation is operator.add else operator.sub, (one, other))
    size = graph.call_function(torch.abs, tuple(item for item in operands if isinstance(item, fx.Node))[:1])
    far = graph.call_function(torch.abs, (distance,))
    close = graph.call_function(torch.le, (far, graph.call_function(operator.mul, (size, _CLOSE))))
    apart = graph.call_function(torch.gt, (far, 0.0))
    both = graph.call_function(torch.logical_and, (close, apart))
    return [graph.call_method("sum", (graph.call_function(torch.where, (both, torch.inf, 0.0)),))]


def compares_close_numbers(program: Program) -> bool:
    """Whether a comparison at the present parameters is one of numbers that a spreadsheet takes for equal."""
    pairs = [node.args for node in program.builder.graph.nodes if node.target in COMPARING]
    pairs = [pair for pair in pairs if all(isinstance(item, fx.Node) or item != 0 for item in pair)]
    nodes = list(dict.fromkeys(item for pair in pairs for item in pair if isinstance(item, fx.Node)))
    if not nodes:
        return False
    with torch.no_grad():
        known = dict(zip(nodes, program.module(nodes)(), strict=True))
    for pair in pairs:
        one, other = (torch.as_tensor(known.get(item, item), dtype=torch.float64) for item in pair)
        if bool(((one != other) & ((one - other).abs() <= _CLOSE * one.abs())).any()):
            return True
    return False
