"""The operators between values: `+ - * / ^ &`, comparisons, `-x` and `x%`."""

from __future__ import annotations

import operator
from collections.abc import Callable
from dataclasses import replace

import torch
from torch import Tensor

from sgdsheet.compiler.functions.registry import flat_at_zero, guarded
from sgdsheet.compiler.ir.builder import Builder
from sgdsheet.compiler.ir.numerals import number_text
from sgdsheet.compiler.ir.values import Fault, Kind, Value
from sgdsheet.compiler.ir.varying import varying
from sgdsheet.errors import FormulaError

_NUMBERS = "Compare numbers with numbers"
_NO_TEXT = "Keep text out of the way to the loss"


def add(builder: Builder, left: Value, right: Value) -> Value:
    return builder.elementwise(operator.add, builder.numbers(left), builder.numbers(right))


def subtract(builder: Builder, left: Value, right: Value) -> Value:
    return builder.elementwise(operator.sub, builder.numbers(left), builder.numbers(right))


_CANCELLED = 2.0**-50
"""Share of the larger operand up to which Excel takes the last sum or difference of a formula for 0: four units of the
last place. Excel zeroes 2 of them, as in 0.5-0.4-0.1, and keeps the 13 of 115-113.2-1.8."""


def cancelled(builder: Builder, value: Value, left: Value, right: Value) -> Value:
    """A constant sum or difference, with 0 for what only rounding has left of its operands."""
    if not value.constant or builder.dtype is not torch.float64:
        return value
    operands = (builder.numbers(left), builder.numbers(right))
    larger = builder.elementwise(lambda one, two: torch.maximum(one.abs(), two.abs()), *operands)
    limit = builder.expanded(larger, value.axes, value.sizes).tensor * _CANCELLED
    nothing = value.tensor.abs() <= limit
    return replace(value, data=torch.where(nothing, 0.0, value.tensor)) if bool(nothing.any()) else value


def multiply(builder: Builder, left: Value, right: Value) -> Value:
    return builder.elementwise(operator.mul, builder.numbers(left), builder.numbers(right))


def divide(builder: Builder, left: Value, right: Value) -> Value:
    """Division; by zero it is an error."""
    left, right = builder.numbers(left), builder.numbers(right)
    if right.constant or not builder.domains.at_least(right.data) > 0:
        right = guarded(builder, torch.ne, right, 0.0, Fault.DIV0)
    return builder.elementwise(operator.truediv, left, right)


def power(builder: Builder, left: Value, right: Value) -> Value:
    """`left ^ right`; 0^0 is an error as in Excel, and so is 0 to a negative power."""
    left, right = builder.numbers(left), builder.numbers(right)
    if left.constant and right.constant:
        return _constant_power(builder, left, right)
    exponent = float(right.tensor) if right.constant and right.only(Kind.NUMBER) and not right.axes else None
    if exponent == 0.5:
        return builder.elementwise(torch.sqrt, flat_at_zero(builder, left))
    if exponent is None:
        base = _flat_where_undefined(builder, left, right)
        result = builder.elementwise(operator.pow, base, _flat_exponent(builder, left, right))
        result = builder.spoiled(result, _zero_to_nothing(builder, left, right))
        # To torch, anything to the power of 0 is 1, and 1 to any power.
        return builder.spoiled(builder.spoiled(result, builder.errors_of(right)), builder.errors_of(left))
    if exponent == 0:
        one = builder.expanded(builder.number(1.0), left.axes, left.sizes)
        return builder.spoiled(builder.spoiled(one, _zero_to_nothing(builder, left, right)), builder.errors_of(left))
    if exponent < 0:
        left = guarded(builder, torch.ne, left, 0.0)
    elif exponent < 1 or exponent != int(exponent):
        left = flat_at_zero(builder, left)
    return builder.elementwise(operator.pow, left, right)


def _constant_power(builder: Builder, left: Value, right: Value) -> Value:
    result = builder.elementwise(torch.pow, left, right)
    _refuse_odd_roots(builder.cleaned(left).tensor, builder.cleaned(right).tensor)
    zero = builder.elementwise(torch.eq, left, builder.number(0.0), kind=Kind.BOOLEAN)
    for compared, fault in ((torch.eq, Fault.NUM), (torch.lt, Fault.DIV0)):
        exponent = builder.elementwise(compared, right, builder.number(0.0), kind=Kind.BOOLEAN)
        both = builder.elementwise(torch.logical_and, *map(builder.cleaned, (zero, exponent)), kind=Kind.BOOLEAN)
        result = builder.spoiled(result, both, fault)
    return builder.with_errors(result, (left, right))


def _refuse_odd_roots(base: Tensor, exponent: Tensor) -> None:
    """(-8)^(1/3) is -2 in some spreadsheets and an error in others."""
    if not bool((base < 0).any()):
        return
    order = 1 / exponent[(exponent != exponent.trunc()) & (exponent != 0)]
    odd = ((order - order.round()).abs() < 1e-9 * order.abs()) & (order.round().remainder(2) == 1)
    if bool(odd.any()):
        raise FormulaError("takes an odd root of a negative number", remedy="Write it as -(x)^(1/3)")


def _flat_where_undefined(builder: Builder, left: Value, right: Value) -> Value:
    """The base of a power with derivative 0 where a power has none: at 0 and below, but for whole exponents."""
    whole_exponents = builder.always(right, lambda exponent: (exponent == exponent.trunc()) & (exponent > 0))
    if left.constant or whole_exponents or builder.domains.at_least(left.data) > 0:
        return left
    positive = builder.elementwise(torch.gt, left, builder.number(0.0), kind=Kind.BOOLEAN)
    whole = Value(builder.call(torch.eq, right.data, builder.call(torch.trunc, right.data)), right.axes, right.sizes)
    # Whole exponents are fine for negative numbers, and those above 0 for 0 as well.
    not_zero = builder.elementwise(torch.ne, left, builder.number(0.0), kind=Kind.BOOLEAN)
    above = Value(builder.call(torch.gt, right.data, 0), right.axes, right.sizes)
    defined = builder.elementwise(torch.logical_and, whole, builder.elementwise(torch.logical_or, not_zero, above))
    kept = builder.elementwise(torch.logical_or, positive, defined, kind=Kind.BOOLEAN)
    return builder.where(kept, left, Value(builder.method("detach", left.data), left.axes, left.sizes, left.kinds))


def _flat_exponent(builder: Builder, left: Value, right: Value) -> Value:
    """The exponent with derivative 0 where the base is not positive: there is only a power at whole exponents."""
    positive = builder.always(left, lambda base: base > 0)
    if right.constant or positive or builder.domains.at_least(left.data) > 0:
        return right
    kept = builder.elementwise(torch.gt, left, builder.number(0.0), kind=Kind.BOOLEAN)
    still = Value(builder.method("detach", right.data), right.axes, right.sizes, right.kinds)
    return builder.where(kept, right, still)


def _zero_to_nothing(builder: Builder, left: Value, right: Value) -> Value | None:
    """Where a power is 0^0 or 0 to something negative; None if it is nowhere."""
    if builder.always(left, lambda base: base != 0) or builder.domains.at_least(left.data) > 0:
        return None
    if builder.always(right, lambda exponent: exponent > 0) or builder.domains.at_least(right.data) > 0:
        return None
    zero = Value(builder.call(torch.eq, left.data, 0), left.axes, left.sizes, Kind.BOOLEAN)
    nothing = Value(builder.call(torch.le, right.data, 0), right.axes, right.sizes, Kind.BOOLEAN)
    return builder.elementwise(torch.logical_and, zero, nothing, kind=Kind.BOOLEAN)


def negate(builder: Builder, operand: Value) -> Value:
    return builder.elementwise(operator.neg, builder.numbers(operand))


def percent(builder: Builder, operand: Value) -> Value:
    return builder.elementwise(operator.truediv, builder.numbers(operand), builder.number(100.0))


def concatenate(builder: Builder, left: Value, right: Value) -> Value:
    """`&` of constants."""
    if not (left.constant and right.constant):
        raise varying(builder, "joins text that depends on", left, right, remedy=_NO_TEXT)
    axes, sizes = builder.union_axes([left, right])
    parts = [texts_of(builder, builder.expanded(builder.cleaned(value), axes, sizes)) for value in (left, right)]
    codes = [builder.text_code(one + two) for one, two in zip(*parts, strict=True)]
    joined = Value(torch.tensor(codes, dtype=builder.dtype).reshape(sizes), axes, sizes, Kind.TEXT)
    return builder.with_errors(joined, (left, right))


def texts_of(builder: Builder, value: Value) -> list[str]:
    """The texts that `&` makes of the values of a constant without errors."""
    kinds = value.kind_tensor().flatten().tolist()
    found = []
    for kind, number in zip(kinds, value.tensor.flatten().tolist(), strict=True):
        if kind == Kind.TEXT:
            found.append(builder.texts[int(number)])
        elif kind == Kind.BOOLEAN:
            found.append("TRUE" if number else "FALSE")
        elif kind == Kind.BLANK:
            found.append("")
        else:
            found.append(number_text(number))
    return found


COMPARE: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
    "=": torch.eq,
    "<>": torch.ne,
    "<": torch.lt,
    "<=": torch.le,
    ">": torch.gt,
    ">=": torch.ge,
}


def compare(builder: Builder, sign: str, left: Value, right: Value) -> Value:
    """Excel's comparison: numbers < text < booleans, text in any case, blank like 0, "" or FALSE."""
    if sign not in ("=", "<>"):
        builder.check_order(left, right)
    if left.constant and right.constant:
        return _compare_constants(builder, sign, left, right)
    operation = COMPARE[sign]
    ranks = [_rank(left, right), _rank(right, left)]
    if ranks[0] is None or ranks[1] is None:
        cause = "compares cells of different kinds with something that depends on"
        raise varying(builder, cause, left, right, remedy=_NUMBERS)
    if ranks[0] != ranks[1]:
        outcome = bool(operation(torch.tensor(ranks[0]), torch.tensor(ranks[1])))
        result = builder.expanded(builder.boolean(outcome), *builder.union_axes([left, right]))
    elif ranks[0] == 1:
        result = _compare_texts(builder, sign, left, right)
    else:
        result = builder.elementwise(operation, builder.numbers(left), builder.numbers(right), kind=Kind.BOOLEAN)
    for value in (right, left):
        result = builder.spoiled(result, builder.errors_of(value))
    return result


def _compare_texts(builder: Builder, sign: str, left: Value, right: Value) -> Value:
    """Texts of which one depends on a parameter (`IF(p>0,"a","b")`): only equality can be told."""
    if sign not in ("=", "<>"):
        raise varying(builder, "compares text that depends on", left, right, remedy=_NUMBERS)
    blank = [builder.text("") if value.kinds is Kind.BLANK else value for value in (left, right)]
    ranked = [_ranked(builder, value) for value in blank]
    return builder.elementwise(COMPARE[sign], *ranked, kind=Kind.BOOLEAN)


def _ranked(builder: Builder, value: Value) -> Value:
    """Texts as numbers that are equal where the texts differ in case only."""
    ranks = builder.ranks()
    if value.constant:
        return replace(value, data=ranks[value.tensor.long()], kinds=Kind.NUMBER)
    places = builder.method("to", value.data, torch.long)
    return replace(value, data=builder.call(operator.getitem, ranks, places), kinds=Kind.NUMBER)


def _rank(value: Value, other: Value) -> int | None:
    """Place of the value's kind in Excel's order of kinds; None where its cells differ in that, or may do so."""
    ranks = {Kind.NUMBER: 0, Kind.ERROR: 0, Kind.TEXT: 1, Kind.BOOLEAN: 2}
    found = {Kind(kind) for kind in value.kind_tensor().unique().tolist()}
    others = {Kind(kind) for kind in other.kind_tensor().unique().tolist()}
    if found & {Kind.MAYBE_FALSE, Kind.MAYBE_TRUE} or (
        Kind.MAYBE_BLANK in found and others & {Kind.TEXT, Kind.BOOLEAN}
    ):
        return None
    if Kind.BLANK in found:
        found = found - {Kind.BLANK} | ({Kind.NUMBER} if others == {Kind.BLANK} else others)
    places = {ranks.get(kind, 0) for kind in found}
    return places.pop() if len(places) == 1 else None


def _compare_constants(builder: Builder, sign: str, left: Value, right: Value) -> Value:
    axes, sizes = builder.union_axes([left, right])
    first, second = builder.expanded(left, axes, sizes), builder.expanded(right, axes, sizes)
    nothing, places = builder.text_code(""), builder.ranks()
    ranks, numbers = [], []
    for value, other in ((first, second), (second, first)):
        kinds, others = value.kind_tensor(), other.kind_tensor()
        blank = kinds == Kind.BLANK
        rank = torch.where(kinds == Kind.TEXT, 1, torch.where(kinds == Kind.BOOLEAN, 2, 0))
        rank = torch.where(blank & (others == Kind.TEXT), 1, torch.where(blank & (others == Kind.BOOLEAN), 2, rank))
        data = value.tensor.to(builder.dtype).clone()
        is_text = kinds == Kind.TEXT
        data[is_text] = places[data[is_text].long()]
        data[blank & (others == Kind.TEXT)] = places[nothing]
        ranks.append(rank)
        numbers.append(data)
    numbers[0] = _snapped(numbers[0], numbers[1])
    equal = (ranks[0] == ranks[1]) & (numbers[0] == numbers[1])
    less = (ranks[0] < ranks[1]) | ((ranks[0] == ranks[1]) & (numbers[0] < numbers[1]))
    outcome = {
        "=": equal,
        "<>": ~equal,
        "<": less,
        "<=": less | equal,
        ">": ~(less | equal),
        ">=": ~less,
    }[sign]
    result = Value(outcome, axes, sizes, Kind.BOOLEAN)
    return builder.with_errors(result, (first, second))


def _snapped(numbers: Tensor, others: Tensor) -> Tensor:
    """The numbers, with the other one's where both have the same 15 digits: Excel takes 0.1+0.2 and 0.3 for equal."""
    close = (numbers != others) & ((numbers - others).abs() <= 1e-14 * others.abs())
    if not bool(close.any()):
        return numbers
    same = [
        f"{one:.14e}" == f"{two:.14e}" for one, two in zip(numbers[close].tolist(), others[close].tolist(), strict=True)
    ]
    found = numbers.clone()
    found[close] = torch.where(torch.tensor(same), others[close], numbers[close])
    return found


BINARY: dict[str, Callable[[Builder, Value, Value], Value]] = {
    "+": add,
    "-": subtract,
    "*": multiply,
    "/": divide,
    "^": power,
    "&": concatenate,
}
UNARY: dict[str, Callable[[Builder, Value], Value]] = {"-": negate, "%": percent}
COMPARISONS = frozenset(COMPARE)
