"""Sums, counts and means of the cells that meet a condition."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from enum import Enum, auto

import torch
from torch import Tensor

from sgdsheet.compiler.functions import operators
from sgdsheet.compiler.functions.registry import Context, Derivative, OverSamples, Takes, function, refuse_unsettled
from sgdsheet.compiler.functions.wildcards import has_wildcards, matching, pattern, text_codes
from sgdsheet.compiler.ir.builder import Builder
from sgdsheet.compiler.ir.values import Fault, Kind, Value, fault_codes
from sgdsheet.compiler.ir.varying import varying
from sgdsheet.errors import FormulaError
from sgdsheet.sheet.syntax import Affine, Area, Binary, Call, Node, Shared
from sgdsheet.sheet.workbook import ExcelError

_FAULTS = {str(error): Fault[error.name] for error in ExcelError}
_CRITERION = re.compile(r"(<=|>=|<>|<|>|=)?(.*)", re.DOTALL)


def _matches(context: Context, cells: Value, wanted: Node) -> Value:
    """Which cells meet a criterion such as 5, "male", ">0.5", "<>x" or "a*"; an error is met by the same error."""
    builder = context.builder
    later = _compared_later(context, cells, wanted)
    if later is not None:
        return later
    criterion = context.lower(wanted, array=context.array)
    if criterion.only(Kind.NUMBER, Kind.BLANK):
        met = _compared(builder, cells, "=", criterion, Kind.NUMBER)
        return met if criterion.constant else _without_errors(builder, met, cells, criterion)
    if not criterion.constant:
        raise varying(builder, "has a criterion that depends on", criterion, remedy="Use a fixed criterion")
    return _met(builder, cells, criterion)


def _without_errors(builder: Builder, met: Value, cells: Value, criterion: Value) -> Value:
    """What meets a criterion that depends on a parameter: where it is an error, only cells with the same one would."""
    errors = builder.errors_of(criterion)
    if errors is None:
        return met
    if cells.has(Kind.ERROR):
        raise varying(builder, "has a criterion beside cells with errors that depends on", criterion, remedy="Fix it")
    sound = builder.elementwise(torch.logical_not, builder.conditions(errors), kind=Kind.BOOLEAN)
    return _both(builder, met, sound)


def _compared_later(context: Context, cells: Value, wanted: Node) -> Value | None:
    """Which cells meet a criterion such as `">"&B1`, where the number depends on a parameter; None for others."""
    parts = _joined_parts(wanted)
    if len(parts) != 2:
        return None
    builder = context.builder
    sign, number = (context.lower(part, array=context.array) for part in parts)
    if number.constant or not number.only(Kind.NUMBER) or not sign.constant or not sign.only(Kind.TEXT):
        return None
    signs = {builder.texts[int(code)] or "=" for code in sign.tensor.flatten().tolist()}
    if len(signs) > 1 or not signs <= set(operators.COMPARE):
        return None
    written = builder.elementwise(_as_written, number) if builder.dtype == torch.float64 else number
    return _without_errors(builder, _compared(builder, cells, signs.pop(), written, Kind.NUMBER), cells, number)


def _joined_parts(wanted: Node) -> Sequence[Node]:
    """The two parts of a criterion such as `">"&B1`; others are one part."""
    node = wanted.meaning if isinstance(wanted, Shared) else wanted
    if isinstance(node, Binary) and node.operator == "&":
        return node.left, node.right
    if isinstance(node, Call) and node.name == "CONCATENATE" and len(node.arguments) == 2:
        return node.arguments
    return (wanted,)


def _as_written(number: Tensor) -> Tensor:
    """A number with the 15 digits that `&` writes of it."""
    size = torch.abs(number)
    digits = 14 - torch.floor(torch.log10(torch.where(size > 0, size, 1.0)))
    shift = digits.clamp(-_EXACT_POWER, _EXACT_POWER)
    left, right = _power_of_ten(shift.clamp(min=0)), _power_of_ten((-shift).clamp(min=0))
    written = torch.floor(size / right * left + 0.5) / left * right
    return torch.sign(number) * torch.where(size > 0, written, 0.0)


_EXACT_POWER = 22
"""Powers of 10 up to this one are exact in float64."""


def _power_of_ten(exponent: Tensor) -> Tensor:
    """10 to a whole power from 0 to 22, exactly, which `pow` need not be."""
    result = exponent * 0.0 + 1.0
    for place in range(5):
        half = torch.floor(exponent / 2)
        result = torch.where(exponent > 2 * half, result * 10.0 ** (2**place), result)
        exponent = half
    return result


def _both(builder: Builder, left: Value, right: Value) -> Value:
    return builder.elementwise(torch.logical_and, left, right, kind=Kind.BOOLEAN)


def _either(builder: Builder, left: Value, right: Value) -> Value:
    return builder.elementwise(torch.logical_or, left, right, kind=Kind.BOOLEAN)


class _How(Enum):
    """What cells are compared with."""

    NUMBER = auto()
    BOOLEAN = auto()
    TEXT = auto()
    PATTERN = auto()
    FAULT = auto()
    """An error, also one that is written as a text: `"#N/A"`."""
    NOTHING = auto()
    """Blank cells or empty text: `""`."""
    BLANK = auto()
    """Blank cells only: `"="`."""


def _met(builder: Builder, cells: Value, criterion: Value) -> Value:
    """The cells that meet a fixed criterion, which may differ from copy to copy of the formula.

    All criteria of one sort are met or not at once: the copies of `SUMIF(A:A,D2,B:B)` differ in a number only.
    """
    kinds = criterion.kind_tensor()
    operand = torch.where(kinds == Kind.ERROR, fault_codes(criterion.tensor), criterion.tensor.to(builder.dtype))
    pairs = torch.stack([operand.to(builder.dtype), kinds.to(builder.dtype)], -1)
    different, inverse = torch.unique(pairs.reshape(-1, 2), dim=0, return_inverse=True)
    sorts: dict[tuple[str, _How], dict[int, float | str]] = {}
    for index, (number, kind) in enumerate(different.tolist()):
        sign, how, meant = _parsed(builder, number, Kind(int(kind)))
        sorts.setdefault((sign, how), {})[index] = meant
    found = Value(torch.zeros(cells.sizes, dtype=torch.bool), cells.axes, cells.sizes, Kind.BOOLEAN)
    for (sign, how), operands in sorts.items():
        numbers = torch.zeros(len(different), dtype=builder.dtype)
        members = list(operands)
        numbers[members] = _numbers(builder, sign, how, list(operands.values()))
        spread = Value(numbers[inverse].reshape(criterion.sizes), criterion.axes, criterion.sizes)
        met = _met_sort(builder, cells, sign, how, spread, list(operands.values()))
        if len(members) == len(different):
            return met
        chosen = torch.zeros(len(different), dtype=torch.bool)
        chosen[members] = True
        theirs = Value(chosen[inverse].reshape(criterion.sizes), criterion.axes, criterion.sizes, Kind.BOOLEAN)
        found = _either(builder, found, _both(builder, theirs, met))
    return found


def _parsed(builder: Builder, number: float, kind: Kind) -> tuple[str, _How, float | str]:
    """The sign of a criterion, what it compares with, and the operand itself; a blank criterion means 0."""
    if kind is not Kind.TEXT:
        return "=", {Kind.BOOLEAN: _How.BOOLEAN, Kind.ERROR: _How.FAULT}.get(kind, _How.NUMBER), number
    match = _CRITERION.fullmatch(builder.texts[int(number)])
    assert match is not None
    sign, operand = match[1] or "=", match[2]
    parsed = builder.numbers(builder.text(operand))
    if not parsed.has(Kind.ERROR):
        return sign, _How.NUMBER, float(parsed.tensor)
    if operand.casefold() in ("true", "false"):
        return sign, _How.BOOLEAN, float(operand.casefold() == "true")
    if operand == "":
        return sign, _How.BLANK if match[1] else _How.NOTHING, operand
    if sign in ("=", "<>") and operand.upper() in _FAULTS:
        return sign, _How.FAULT, float(_FAULTS[operand.upper()])
    return sign, _How.PATTERN if sign in ("=", "<>") and has_wildcards(operand) else _How.TEXT, operand


def _numbers(builder: Builder, sign: str, how: _How, operands: Sequence[float | str]) -> torch.Tensor:
    """The operands of criteria of one sort as numbers: for patterns their positions."""
    if how is _How.TEXT:
        codes = torch.tensor([builder.text_code(str(operand)) for operand in operands])
        return builder.ranks()[codes]
    if how in (_How.NUMBER, _How.BOOLEAN, _How.FAULT):
        return torch.tensor([float(operand) for operand in operands], dtype=builder.dtype)
    return torch.arange(len(operands), dtype=builder.dtype)


def _met_sort(
    builder: Builder, cells: Value, sign: str, how: _How, numbers: Value, operands: Sequence[float | str]
) -> Value:
    """The cells that meet criteria of one sort. `numbers` has the operand of each copy, see `_numbers`."""
    if how in (_How.NUMBER, _How.BOOLEAN):
        return _compared(builder, cells, sign, numbers, Kind[how.name])
    if cells.has(Kind.TEXT) and not cells.constant:
        raise varying(builder, "looks for text that depends on", cells, remedy="Keep text out of the way to the loss")
    if how is _How.FAULT and not cells.constant:
        if builder.errors_of(cells) is not None:
            raise varying(builder, "looks for an error in what depends on", cells, remedy="Look for it with ISERROR")
        cells = Value(torch.zeros(cells.sizes, dtype=builder.dtype), cells.axes, cells.sizes)
    if how in (_How.NOTHING, _How.BLANK):
        return _compared_with_nothing(builder, cells, sign, text_too=how is _How.NOTHING)
    is_text = Value(cells.kind_tensor() == Kind.TEXT, cells.axes, cells.sizes, Kind.BOOLEAN)
    if how is _How.FAULT:
        met = _faulty(builder, cells, numbers)
    elif not bool(is_text.tensor.any()):
        met = Value(torch.zeros_like(is_text.tensor), cells.axes, cells.sizes, Kind.BOOLEAN)
    elif how is _How.TEXT:
        if sign not in ("=", "<>"):
            builder.check_order(replace(cells, reference=False), *[builder.text(str(operand)) for operand in operands])
        places = Value(builder.ranks()[text_codes(cells)], cells.axes, cells.sizes)
        compared = operators.COMPARE["=" if sign == "<>" else sign]
        met = _both(builder, builder.elementwise(compared, places, numbers, kind=Kind.BOOLEAN), is_text)
    else:
        met = matching(builder, cells, numbers, [pattern(str(operand)) for operand in operands])
    return replace(met, data=~met.tensor) if sign == "<>" else met


def _faulty(builder: Builder, cells: Value, faults: Value) -> Value:
    """Which constant cells hold these errors."""
    codes = torch.where(cells.kind_tensor() == Kind.ERROR, fault_codes(cells.tensor), 0).to(builder.dtype)
    return builder.elementwise(torch.eq, Value(codes, cells.axes, cells.sizes), faults, kind=Kind.BOOLEAN)


def _compared(builder: Builder, cells: Value, sign: str, operand: Value, kind: Kind) -> Value:
    """Comparison with numbers or booleans: other kinds are unlike them.

    Numeric text is equal to its number, and yet it is counted as unlike it by `"<>5"`.
    """
    numbers, alike = _as_numbers(builder, cells), _alike(builder, cells, kind, equality=sign == "=")
    result = builder.elementwise(operators.COMPARE[sign], numbers, operand, kind=Kind.BOOLEAN)
    return (
        _either(builder, result, replace(alike, data=~alike.tensor)) if sign == "<>" else _both(builder, result, alike)
    )


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


def _compared_with_nothing(builder: Builder, cells: Value, sign: str, *, text_too: bool) -> Value:
    """Blank cells, and with `text_too` those with the text "" as well."""
    kinds = cells.kind_tensor()
    if sign not in ("=", "<>"):  # nothing is less than nothing, or more
        return Value(torch.zeros(cells.sizes, dtype=torch.bool), cells.axes, cells.sizes, Kind.BOOLEAN)
    found = kinds == Kind.BLANK
    if text_too and cells.has(Kind.TEXT):
        found = found | ((kinds == Kind.TEXT) & (text_codes(cells) == builder.text_code("")))
    return Value(~found if sign == "<>" else found, cells.axes, cells.sizes, Kind.BOOLEAN)


_APART = {"h": "k", "w": "l"}
"""Other names for the axes of the cells that are searched, where the criteria are an array themselves."""


def _range(context: Context, node: Node, apart: bool) -> Value:
    """The cells of a range; with `apart` their axes are k and l, and those of the criteria h and w."""
    if not isinstance(node, Area):
        raise FormulaError("has a criterion for something that is not a range", remedy="Refer to cells")
    cells = context.lower(node, array=True)
    refuse_unsettled(context.builder, cells)
    return cells.renamed(_APART) if apart else cells


def _apart(context: Context, criteria: Sequence[Node]) -> bool:
    """Whether some criterion is an array, as in `SUMPRODUCT(1/COUNTIF(A1:A9,A1:A9))`: one result for each."""
    parts = [part for wanted in criteria for part in _joined_parts(wanted)]
    return any(context.lower(part, array=context.array).is_array for part in parts)


def _axes(apart: bool) -> str:
    """The axes of the cells that are searched."""
    return "kl" if apart else "hw"


def _all_met(context: Context, pairs: Sequence[Node], *beside: Node) -> tuple[Value, list[Node], Value]:
    """Which cells meet all criteria of `range, criterion, range, criterion …`.

    Also the ranges `beside` them, and how many blank cells below or right of all these meet them, too: whole columns
    are read only as far as something stands in them.
    """
    if len(pairs) % 2:
        raise FormulaError("has a range without a criterion", remedy="Mend the formula")
    areas, criteria = pairs[::2], pairs[1::2]
    cut, apart = context.filled(*areas, *beside), _apart(context, criteria)
    cells = [_range(context, area, apart) for area in cut[: len(areas)]]
    builder = context.builder
    unread = _size(context, areas[0]) - _size(context, cut[0])
    blanks = builder.number(0.0)
    if unread:
        blank = Value(torch.zeros((), dtype=builder.dtype), kinds=Kind.BLANK, reference=True)
        met = _met_by_all(context, [blank] * len(areas), criteria)
        blanks = operators.multiply(builder, builder.numbers(met), builder.number(float(unread)))
    return _met_by_all(context, cells, criteria), cut[len(areas) :], blanks


def _met_by_all(context: Context, ranges: Sequence[Value], criteria: Sequence[Node]) -> Value:
    result = _matches(context, ranges[0], criteria[0])
    for cells, wanted in zip(ranges[1:], criteria[1:], strict=True):
        result = _both(context.builder, result, _matches(context, cells, wanted))
    return result


def _without_padding(context: Context, count: Value, pairs: Sequence[Node]) -> Value:
    """A count without the blank cells by which a range that grows from copy to copy was lengthened to the longest."""
    area, builder = pairs[0], context.builder
    if not isinstance(area, Area) or all(
        (end.down, end.across) == (start.down, start.across)
        for start, end in ((area.top, area.bottom), (area.left, area.right))
    ):
        return count
    cells = context.lower(area, array=True)
    corners = (
        area.first_cell(),
        Area(area.sheet, area.bottom, area.right, area.bottom, area.right),
    )
    (top, left), (bottom, right) = (context.position(corner) for corner in corners)
    sides = [
        builder.elementwise(lambda last, first: (last - first).abs() + 1.0, last, first)
        for last, first in ((bottom, top), (right, left))
    ]
    own = operators.multiply(builder, *sides)
    padding = operators.subtract(builder, builder.number(float(cells.size("h") * cells.size("w"))), own)
    if not bool((padding.tensor > 0).any()):
        return count
    blank = Value(torch.zeros((), dtype=builder.dtype), kinds=Kind.BLANK, reference=True)
    met = builder.numbers(_met_by_all(context, [blank] * (len(pairs) // 2), pairs[1::2]))
    return operators.subtract(builder, count, operators.multiply(builder, met, padding))


def _misfit(context: Context, areas: Sequence[Node]) -> bool:
    """Whether ranges that belong together are of different sizes."""
    return len({context.shape(area) for area in areas}) > 1


def _size(context: Context, area: Node) -> int:
    height, width = context.shape(area) or (1, 1)
    return height * width


def _sum_and_count(context: Context, pairs: Sequence[Node], area: Node) -> tuple[Value, Value]:
    """Sum and number of the numbers among the cells for which all criteria are met."""
    builder = context.builder
    if _misfit(context, (*pairs[::2], area)):
        return builder.error(Fault.VALUE), builder.number(1.0)
    met, (beside,), _ = _all_met(context, pairs, area)
    apart = _apart(context, pairs[1::2])
    cells, over = _range(context, beside, apart), _axes(apart)
    kinds = cells.kind_tensor()
    numeric = (kinds == Kind.NUMBER) | (kinds == Kind.ERROR)
    counted = _both(builder, met, Value(numeric, cells.axes, cells.sizes, Kind.BOOLEAN))
    clean = torch.where(kinds == Kind.ERROR, int(Kind.ERROR), int(Kind.NUMBER)).to(torch.uint8)
    numbers = builder.stored(cells).with_kinds(clean)
    chosen = builder.where(counted, numbers, builder.number(0.0))
    return builder.reduce(torch.sum, chosen, over), builder.reduce(torch.sum, builder.numbers(counted), over)


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
    skips_blanks=True,
    chooses=True,
    range_arguments=[0, 2],
    over_samples=OverSamples.SUM,
    arguments=(2, 3),
    takes=Takes.FORMULAS,
    zero_arguments=[1],
    examples={'SUMIF(A1:A4,">15")': 90, 'SUMIF(B1:B4,"f*",A1:A4)': 50, "SUMIF(C1:C4,1,A1:A4)": 80},
)
def sumif(context: Context, area: Node, wanted: Node, summed: Node | None = None) -> Value:
    """Sum of the cells that meet a criterion, or of the cells beside them."""
    return _sum_and_count(context, (area, wanted), area if summed is None else _like(summed, area))[0]


@function(
    "SUMIFS",
    skips_blanks=True,
    chooses=True,
    range_arguments=[0, *range(1, 255, 2)],
    over_samples=OverSamples.SUM,
    arguments=(3, 255),
    takes=Takes.FORMULAS,
    zero_arguments=range(1, 255),
    examples={'SUMIFS(A1:A4,B1:B4,"male",C1:C4,">0")': 50},
)
def sumifs(context: Context, summed: Node, *pairs: Node) -> Value:
    """Sum of the cells for which all criteria are met."""
    return _sum_and_count(context, pairs, summed)[0]


@function(
    "COUNTIF",
    skips_blanks=True,
    chooses=True,
    range_arguments=[0],
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
    skips_blanks=True,
    chooses=True,
    range_arguments=range(0, 254, 2),
    over_samples=OverSamples.SUM,
    arguments=(2, 254),
    takes=Takes.FORMULAS,
    derivative=Derivative.ZERO,
    examples={'COUNTIFS(B1:B4,"male",A1:A4,">=20")': 1},
)
def countifs(context: Context, *pairs: Node) -> Value:
    """How many cells meet all criteria."""
    builder = context.builder
    if _misfit(context, pairs[::2]):
        return builder.error(Fault.VALUE)
    met, _, blanks = _all_met(context, pairs)
    over = _axes(_apart(context, pairs[1::2]))
    count = operators.add(builder, builder.reduce(torch.sum, builder.numbers(met), over), blanks)
    return _without_padding(context, count, pairs)


@function(
    "AVERAGEIF",
    skips_blanks=True,
    chooses=True,
    range_arguments=[0, 2],
    over_samples=OverSamples.MEAN,
    additive=False,  # more samples meet the criteria in one part than in another
    arguments=(2, 3),
    takes=Takes.FORMULAS,
    zero_arguments=[1],
    examples={'AVERAGEIF(B1:B4,"FEMALE",A1:A4)': 25},
)
def averageif(context: Context, area: Node, wanted: Node, averaged: Node | None = None) -> Value:
    """Mean of the cells that meet a criterion, or of the cells beside them."""
    beside = area if averaged is None else _like(averaged, area)
    return operators.divide(context.builder, *_sum_and_count(context, (area, wanted), beside))


@function(
    "AVERAGEIFS",
    skips_blanks=True,
    range_arguments=[0, *range(1, 255, 2)],
    over_samples=OverSamples.MEAN,
    additive=False,  # more samples meet the criteria in one part than in another
    arguments=(3, 255),
    takes=Takes.FORMULAS,
    zero_arguments=range(1, 255),
    examples={'AVERAGEIFS(A1:A4,C1:C4,1,A1:A4,"<40")': 20},
)
def averageifs(context: Context, averaged: Node, *pairs: Node) -> Value:
    """Mean of the cells for which all criteria are met."""
    return operators.divide(context.builder, *_sum_and_count(context, pairs, averaged))


def _extreme_of_met(context: Context, area: Node, pairs: Sequence[Node], *, largest: bool) -> Value:
    """The largest or smallest number among the cells for which all criteria are met; 0 if there is none."""
    builder = context.builder
    if _misfit(context, (*pairs[::2], area)):
        return builder.error(Fault.VALUE)
    met, (beside,), _ = _all_met(context, pairs, area)
    apart = _apart(context, pairs[1::2])
    cells, over = _range(context, beside, apart), _axes(apart)
    kinds = cells.kind_tensor()
    numeric = Value((kinds == Kind.NUMBER) | (kinds == Kind.ERROR), cells.axes, cells.sizes, Kind.BOOLEAN)
    counted = _both(builder, met, numeric)
    clean = torch.where(kinds == Kind.ERROR, int(Kind.ERROR), int(Kind.NUMBER)).to(torch.uint8)
    beyond = builder.number(torch.finfo(builder.dtype).max * (-1.0 if largest else 1.0))
    chosen = builder.where(counted, builder.stored(cells).with_kinds(clean), beyond)
    found = builder.reduce(torch.amax if largest else torch.amin, chosen, over)
    some = builder.reduced_bits(torch.any, counted, over[::-1])
    if builder.always(some, lambda there: there):
        return found
    errors = builder.errors_of(found)
    return builder.spoiled(builder.where(some, builder.cleaned(found), builder.number(0.0)), errors)


@function(
    "MAXIFS",
    range_arguments=[0, *range(1, 253, 2)],
    arguments=(3, 253),
    takes=Takes.FORMULAS,
    derivative=Derivative.KINKED,
    zero_arguments=range(1, 253),
    examples={
        'MAXIFS(A1:A4,B1:B4,"female")': 30,
        'MAXIFS(A1:A4,B1:B4,"none")': 0,
        'MAXIFS(A1:A4,C1:C4,1,A1:A4,"<40")': 30,
    },
)
def maxifs(context: Context, area: Node, *pairs: Node) -> Value:
    """Largest of the cells for which all criteria are met."""
    return _extreme_of_met(context, area, pairs, largest=True)


@function(
    "MINIFS",
    range_arguments=[0, *range(1, 253, 2)],
    arguments=(3, 253),
    takes=Takes.FORMULAS,
    derivative=Derivative.KINKED,
    zero_arguments=range(1, 253),
    examples={'MINIFS(A1:A4,B1:B4,"female")': 20, 'MINIFS(A1:A4,A1:A4,">15")': 20},
)
def minifs(context: Context, area: Node, *pairs: Node) -> Value:
    """Smallest of the cells for which all criteria are met."""
    return _extreme_of_met(context, area, pairs, largest=False)
