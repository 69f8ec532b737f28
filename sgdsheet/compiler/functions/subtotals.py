"""SUBTOTAL and AGGREGATE: the usual functions of ranges, without rows that are hidden and without other subtotals.

SUBTOTAL never counts rows that a filter hides, and with a code from 101 on no hidden row.
"""

from __future__ import annotations

from collections.abc import Sequence

from sgdsheet.compiler.functions.lookup import fixed_number
from sgdsheet.compiler.functions.registry import REGISTRY, Context, Derivative, Takes, function
from sgdsheet.compiler.ir.values import Fault, Value
from sgdsheet.errors import FormulaError
from sgdsheet.sheet.syntax import Area, Call, Node, Text

_SIMPLE = (
    *("AVERAGE", "COUNT", "COUNTA", "MAX", "MIN", "PRODUCT", "STDEV.S", "STDEV.P", "SUM", "VAR.S", "VAR.P"),
    *("MEDIAN", "MODE.SNGL"),
)
_AT = ("LARGE", "SMALL", "PERCENTILE.INC", "QUARTILE.INC", "PERCENTILE.EXC", "QUARTILE.EXC")

_IGNORE_ERRORS = frozenset({2, 3, 6, 7})
_SEE_SUBTOTALS = frozenset({4, 5, 6, 7})
"""AGGREGATE's options in which other subtotals count like any cell."""

_SHOWN_ONLY = frozenset({1, 3, 5, 7})
"""AGGREGATE's options that leave out hidden rows."""

_NAMES = ("SUBTOTAL", "AGGREGATE")


def _areas(references: Sequence[Node]) -> list[Area]:
    """The ranges of a subtotal; FormulaError if something is none."""
    areas = [node for node in references if isinstance(node, Area)]
    if len(areas) < len(references):
        raise FormulaError("has a subtotal of something that is no range", remedy="Refer to cells")
    return areas


@function(
    "SUBTOTAL",
    range_arguments=range(1, 255),
    areas_apart=True,
    arguments=(2, 255),
    takes=Takes.FORMULAS,
    derivative=Derivative.KINKED,
    fixed_arguments=[0],
    examples={
        "SUBTOTAL(9,A1:A4)": 100,
        "SUBTOTAL(101,A1:A4)": 25,
        "SUBTOTAL(4,A1:A4,C1:C4)": 40,
        "SUBTOTAL(12,A1)": "#VALUE!",
    },
)
def subtotal(context: Context, code: Node, *references: Node) -> Value:
    """The sum, mean, … of cells by a number: 1 AVERAGE, 2 COUNT, 3 COUNTA, 4 MAX, 5 MIN, 9 SUM and others."""
    number = int(fixed_number(context, code, 0.0))
    shown_only = number > 100
    number -= 100 if shown_only else 0
    if not 1 <= number <= 11:
        return context.builder.error(Fault.VALUE)
    areas = [context.visible(area, shown_only=shown_only, but_calls=_NAMES) for area in _areas(references)]
    return _called(context, _SIMPLE[number - 1], areas)


def _called(context: Context, name: str, arguments: Sequence[Node]) -> Value:
    return REGISTRY[name].evaluate(context, Call(name, tuple(arguments)))


@function(
    "AGGREGATE",
    range_arguments=range(2, 253),
    areas_apart=True,
    arguments=(3, 255),
    takes=Takes.FORMULAS,
    derivative=Derivative.KINKED,
    fixed_arguments=[0, 1],
    examples={
        "AGGREGATE(9,4,A1:A4)": 100,
        "AGGREGATE(14,6,A1:A4,C1)": 40,
        "AGGREGATE(12,4,A1:A4)": 25,
        "AGGREGATE(4,6,{1,5,3})": 5,
        "AGGREGATE(20,4,A1)": "#VALUE!",
    },
)
def aggregate(context: Context, code: Node, options: Node, *arguments: Node) -> Value:
    """The sum, median, largest, … of cells by a number (up to 19), with options of what is ignored."""
    number, way = int(fixed_number(context, code, 0.0)), int(fixed_number(context, options, 0.0))
    if not 1 <= number <= len(_SIMPLE) + len(_AT) or not 0 <= way <= 7:
        return context.builder.error(Fault.VALUE)
    at = number > len(_SIMPLE)
    if at and len(arguments) != 2:
        return context.builder.error(Fault.VALUE)
    ranges = arguments[:1] if at else arguments
    calls = () if way in _SEE_SUBTOTALS else _NAMES
    ranges = tuple(_part(context, node, way in _SHOWN_ONLY, calls) for node in ranges)
    if way in _IGNORE_ERRORS:
        ranges = tuple(Call("IFERROR", (node, Text(""))) for node in ranges)  # a text does not count
    name = _AT[number - len(_SIMPLE) - 1] if at else _SIMPLE[number - 1]
    rest = arguments[1:] if at else ()
    return context.lower(Call(name, (*ranges, *rest)), array=context.array or way in _IGNORE_ERRORS)


def _part(context: Context, node: Node, shown_only: bool, calls: Sequence[str]) -> Node:
    """An argument of AGGREGATE without what its option leaves out; an array is taken whole."""
    if not isinstance(node, Area):
        return node
    if not shown_only and context.filtered(node):
        raise FormulaError("aggregates rows that a filter hides, or may hide", remedy="Use option 5, or show the rows")
    return context.visible(node, shown_only=shown_only, but_calls=calls)
