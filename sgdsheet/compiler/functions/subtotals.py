"""SUBTOTAL and AGGREGATE: the usual functions of ranges, without rows that are hidden and without other subtotals.

Where there are hidden rows or other subtotals among the cells the formula is refused: which of the rows a filter hides,
and which a person, the file does not tell for sure.
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

_NAMES = ("SUBTOTAL", "AGGREGATE")


def _check(context: Context, references: Sequence[Node], *, subtotals: bool) -> None:
    """Refuse hidden rows, and other subtotals where these must not count."""
    for node in references:
        if not isinstance(node, Area):
            raise FormulaError("has a subtotal of something that is no range", remedy="Refer to cells")
        if context.has_hidden_rows(node):
            raise FormulaError("has a subtotal of rows that are hidden, or may be", remedy="Show them, or use SUM")
        if subtotals and context.reads_call(node, _NAMES):
            raise FormulaError("has a subtotal of cells that are subtotals", remedy="Add up the parts with SUM")


@function(
    "SUBTOTAL",
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
    number -= 100 if number > 100 else 0
    if not 1 <= number <= 11:
        return context.builder.error(Fault.VALUE)
    _check(context, references, subtotals=True)
    return _called(context, _SIMPLE[number - 1], references)


def _called(context: Context, name: str, arguments: Sequence[Node]) -> Value:
    return REGISTRY[name].evaluate(context, Call(name, tuple(arguments)))


@function(
    "AGGREGATE",
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
    areas = [node for node in ranges if isinstance(node, Area)]
    _check(context, areas, subtotals=way not in _SEE_SUBTOTALS)
    if way in _IGNORE_ERRORS:
        ranges = tuple(Call("IFERROR", (node, Text(""))) for node in ranges)  # a text does not count
    name = _AT[number - len(_SIMPLE) - 1] if at else _SIMPLE[number - 1]
    rest = arguments[1:] if at else ()
    return context.lower(Call(name, (*ranges, *rest)), array=context.array or way in _IGNORE_ERRORS)
