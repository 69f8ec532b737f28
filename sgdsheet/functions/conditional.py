"""Sums, counts and means of the cells that meet a condition."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence

import torch

from sgdsheet.compiler.builder import Builder
from sgdsheet.compiler.tensors import Kind, Value
from sgdsheet.errors import FormulaError
from sgdsheet.functions import operators
from sgdsheet.functions.registry import Context, Derivative, OverSamples, Takes, function
from sgdsheet.syntax import Affine, Area, Node

_CRITERION = re.compile(r"(<=|>=|<>|<|>|=)?(.*)", re.DOTALL)


def _matches(context: Context, area: Node, wanted: Node) -> Value:
    """Which cells of a range meet a criterion such as 5, "male", ">0.5", "<>x" or "a*"."""
    builder = context.builder
    cells = _range(context, area)
    criterion = context.lower(wanted, array=context.array)
    if criterion.is_array:
        raise FormulaError("has several criteria where one fits", remedy="Give one criterion")
    if criterion.constant and not criterion.axes:
        return _met_by(builder, cells, _criterion(builder, criterion))
    if criterion.only(Kind.NUMBER, Kind.BLANK):
        equal = builder.elementwise(torch.eq, _as_numbers(builder, cells), criterion, kind=Kind.BOOLEAN)
        return _both(builder, equal, _alike(builder, cells, Kind.NUMBER, equality=True))
    if not criterion.constant:
        raise FormulaError("has a criterion that depends on a parameter", remedy="Use a fixed criterion")
    return _met_one_by_one(builder, cells, criterion)


def _both(builder: Builder, left: Value, right: Value) -> Value:
    return builder.elementwise(torch.logical_and, left, right, kind=Kind.BOOLEAN)


def _met_one_by_one(builder: Builder, cells: Value, criterion: Value) -> Value:
    """A criterion that differs from copy to copy of the formula: each is for the cells of its copies."""
    kinds = criterion.kind_tensor().to(builder.dtype)
    different = torch.unique(torch.stack([criterion.tensor.to(builder.dtype), kinds], -1).reshape(-1, 2), dim=0)
    found = builder.boolean(False)
    for number, kind in different:
        same = Value((criterion.tensor == number) & (kinds == kind), criterion.axes, criterion.sizes, Kind.BOOLEAN)
        met = _met_by(builder, cells, _criterion(builder, Value(number, kinds=Kind(int(kind)), wide=True)))
        found = builder.elementwise(torch.logical_or, found, _both(builder, same, met), kind=Kind.BOOLEAN)
    return found


def _criterion(builder: Builder, criterion: Value) -> str | float | bool | None:
    """A single criterion as Python has it; a blank one means 0, and an error is None: no cell meets it."""
    if criterion.kinds is Kind.TEXT:
        return builder.texts[int(criterion.tensor)]
    if criterion.kinds is Kind.ERROR:
        return None
    return bool(criterion.tensor) if criterion.kinds is Kind.BOOLEAN else float(criterion.tensor)


def _met_by(builder: Builder, cells: Value, criterion: str | float | bool | None) -> Value:
    """The cells that meet one criterion."""
    if not isinstance(criterion, str):
        return _compared(builder, cells, "=", criterion)
    match = _CRITERION.fullmatch(criterion)
    assert match is not None
    sign, operand = match[1] or "=", match[2]
    number = builder.numbers(builder.text(operand))
    if not number.has(Kind.ERROR):
        return _compared(builder, cells, sign, float(number.tensor))
    if operand.casefold() in ("true", "false"):
        return _compared(builder, cells, sign, operand.casefold() == "true")
    return _compared_with_text(builder, cells, sign, operand, spelled=bool(match[1]))


def _compared(builder: Builder, cells: Value, sign: str, operand: float | bool | None) -> Value:
    """Comparison with a number or boolean: other kinds are unlike it; numeric text is like its number."""
    if operand is None:
        return Value(torch.zeros(cells.sizes, dtype=torch.bool), cells.axes, cells.sizes, Kind.BOOLEAN)
    kind = Kind.BOOLEAN if isinstance(operand, bool) else Kind.NUMBER
    compared = operators.COMPARE[sign]
    numbers, alike = _as_numbers(builder, cells), _alike(builder, cells, kind, equality=sign in ("=", "<>"))
    result = builder.elementwise(compared, numbers, builder.number(float(operand)), kind=Kind.BOOLEAN)
    if sign == "<>":
        unlike = Value(~alike.tensor, cells.axes, cells.sizes, Kind.BOOLEAN)
        return builder.elementwise(torch.logical_or, result, unlike, kind=Kind.BOOLEAN)
    return _both(builder, result, alike)


def _as_numbers(builder: Builder, cells: Value) -> Value:
    """The cells as numbers, whatever is none as 0."""
    if cells.has(Kind.TEXT) and cells.constant:
        return builder.cleaned(builder.numbers(cells))
    return Value(builder.stored(cells).data, cells.axes, cells.sizes)


def _alike(builder: Builder, cells: Value, kind: Kind, *, equality: bool) -> Value:
    kinds = cells.kind_tensor()
    found = kinds == kind
    if equality and kind is Kind.NUMBER and cells.constant and cells.has(Kind.TEXT):
        found = found | ((kinds == Kind.TEXT) & (builder.numbers(cells).kind_tensor() == Kind.NUMBER))
    return Value(found, cells.axes, cells.sizes, Kind.BOOLEAN)


def _compared_with_text(builder: Builder, cells: Value, sign: str, operand: str, *, spelled: bool) -> Value:
    """Comparison with text: by pattern for = and <>, else by the alphabet. `""` and `"="` mean blank."""
    kinds = cells.kind_tensor()
    if cells.has(Kind.TEXT) and not cells.constant:
        raise FormulaError("looks for text that depends on a parameter", remedy="Keep text out of the way to the loss")
    if operand == "":
        empty = kinds == Kind.BLANK
        if not spelled:
            empty = empty | _where_text(builder, cells, lambda text: text == "")
        found = ~empty if sign == "<>" else empty
    elif sign in ("=", "<>"):
        pattern = _pattern(operand)
        found = _where_text(builder, cells, lambda text: pattern.fullmatch(text) is not None)
        found = ~found if sign == "<>" else found
    else:
        folded = operand.casefold()
        compared = {"<": str.__lt__, "<=": str.__le__, ">": str.__gt__, ">=": str.__ge__}[sign]
        found = _where_text(builder, cells, lambda text: compared(text.casefold(), folded))
    return Value(found, cells.axes, cells.sizes, Kind.BOOLEAN)


def _where_text(builder: Builder, cells: Value, test: Callable[[str], bool]) -> torch.Tensor:
    """Which cells are text that passes a test."""
    is_text = cells.kind_tensor() == Kind.TEXT
    if not cells.constant or not bool(is_text.any()):
        return torch.zeros(cells.sizes, dtype=torch.bool)
    passing = torch.tensor([test(text) for text in builder.texts])
    codes = torch.where(is_text, cells.tensor.to(builder.dtype), 0.0).long()
    return is_text & passing[codes]


def _pattern(text: str) -> re.Pattern[str]:
    """Excel's wildcards: * and ?, and ~ in front of one that means itself."""
    parts = re.findall(r"~[*?~]|[*?]|[^*?~]+|~", text)
    translated = {"*": ".*", "?": "."}
    regular = "".join(
        translated.get(part) or re.escape(part[1:] if part[0] == "~" and part[1:] else part) for part in parts
    )
    return re.compile(regular, re.IGNORECASE | re.DOTALL)


def _range(context: Context, node: Node) -> Value:
    if not isinstance(node, Area):
        raise FormulaError("has a criterion for something that is not a range", remedy="Refer to cells")
    return context.lower(node, array=True)


def _all_met(context: Context, pairs: Sequence[Node]) -> Value:
    if len(pairs) % 2:
        raise FormulaError("has a range without a criterion", remedy="Mend the formula")
    builder, result = context.builder, None
    for area, wanted in zip(pairs[::2], pairs[1::2], strict=True):
        met = _matches(context, area, wanted)
        result = met if result is None else _both(builder, result, met)
    assert result is not None
    return result


def _sum_and_count(context: Context, met: Value, area: Node) -> tuple[Value, Value]:
    """Sum and number of the numbers among the cells that meet the criteria."""
    builder = context.builder
    cells = _range(context, area)
    kinds = cells.kind_tensor()
    numeric = (kinds == Kind.NUMBER) | (kinds == Kind.ERROR)
    counted = _both(builder, met, Value(numeric, cells.axes, cells.sizes, Kind.BOOLEAN))
    clean = torch.where(kinds == Kind.ERROR, int(Kind.ERROR), int(Kind.NUMBER)).to(torch.uint8)
    numbers = builder.stored(cells).with_kinds(clean)
    chosen = builder.where(counted, numbers, builder.number(0.0))
    return builder.reduce(torch.sum, chosen), builder.reduce(torch.sum, builder.numbers(counted))


def _like(area: Node, shape: Node) -> Node:
    """SUMIF takes the first cell of its third argument, and the size of its first."""
    if not isinstance(area, Area) or not isinstance(shape, Area):
        return area

    def end(start: Affine, first: Affine, last: Affine) -> Affine:
        return Affine(
            start.base + last.base - first.base,
            start.down + last.down - first.down,
            start.across + last.across - first.across,
        )

    return Area(
        area.sheet,
        area.top,
        area.left,
        end(area.top, shape.top, shape.bottom),
        end(area.left, shape.left, shape.right),
    )


@function(
    "SUMIF",
    over_samples=OverSamples.SUM,
    arguments=(2, 3),
    takes=Takes.FORMULAS,
    zero_arguments=[1],
    examples={'SUMIF(A1:A4,">15")': 90, 'SUMIF(B1:B4,"f*",A1:A4)': 50, "SUMIF(C1:C4,1,A1:A4)": 80},
)
def sumif(context: Context, area: Node, wanted: Node, summed: Node | None = None) -> Value:
    """Sum of the cells that meet a criterion, or of the cells beside them."""
    met = _matches(context, area, wanted)
    return _sum_and_count(context, met, area if summed is None else _like(summed, area))[0]


@function(
    "SUMIFS",
    over_samples=OverSamples.SUM,
    arguments=(3, 255),
    takes=Takes.FORMULAS,
    zero_arguments=range(1, 255),
    examples={'SUMIFS(A1:A4,B1:B4,"male",C1:C4,">0")': 50},
)
def sumifs(context: Context, summed: Node, *pairs: Node) -> Value:
    """Sum of the cells for which all criteria are met."""
    return _sum_and_count(context, _all_met(context, pairs), summed)[0]


@function(
    "COUNTIF",
    over_samples=OverSamples.SUM,
    arguments=(2, 2),
    takes=Takes.FORMULAS,
    derivative=Derivative.ZERO,
    examples={'COUNTIF(B1:B4,"<>male")': 2},
)
def countif(context: Context, area: Node, wanted: Node) -> Value:
    """How many cells meet a criterion."""
    return countifs(context, area, wanted)


@function(
    "COUNTIFS",
    over_samples=OverSamples.SUM,
    arguments=(2, 254),
    takes=Takes.FORMULAS,
    derivative=Derivative.ZERO,
    examples={'COUNTIFS(B1:B4,"male",A1:A4,">=20")': 1},
)
def countifs(context: Context, *pairs: Node) -> Value:
    """How many cells meet all criteria."""
    builder = context.builder
    return builder.reduce(torch.sum, builder.numbers(_all_met(context, pairs)))


@function(
    "AVERAGEIF",
    over_samples=OverSamples.MEAN,
    arguments=(2, 3),
    takes=Takes.FORMULAS,
    zero_arguments=[1],
    examples={'AVERAGEIF(B1:B4,"FEMALE",A1:A4)': 25},
)
def averageif(context: Context, area: Node, wanted: Node, averaged: Node | None = None) -> Value:
    """Mean of the cells that meet a criterion, or of the cells beside them."""
    met = _matches(context, area, wanted)
    return operators.divide(
        context.builder, *_sum_and_count(context, met, area if averaged is None else _like(averaged, area))
    )


@function(
    "AVERAGEIFS",
    over_samples=OverSamples.MEAN,
    arguments=(3, 255),
    takes=Takes.FORMULAS,
    zero_arguments=range(1, 255),
    examples={'AVERAGEIFS(A1:A4,C1:C4,1,A1:A4,"<40")': 20},
)
def averageifs(context: Context, averaged: Node, *pairs: Node) -> Value:
    """Mean of the cells for which all criteria are met."""
    return operators.divide(context.builder, *_sum_and_count(context, _all_met(context, pairs), averaged))
