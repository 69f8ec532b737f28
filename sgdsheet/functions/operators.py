"""The operators between values: `+ - * / ^ &`, comparisons, `-x` and `x%`."""

from __future__ import annotations

import math
import operator
from collections.abc import Callable

import torch
from torch import Tensor

from sgdsheet.errors import FormulaError
from sgdsheet.functions.registry import flat_at_zero, guarded
from sgdsheet.tensors import Builder, Kind, Value


def add(builder: Builder, left: Value, right: Value) -> Value:
    return builder.elementwise(operator.add, builder.numbers(left), builder.numbers(right))


def subtract(builder: Builder, left: Value, right: Value) -> Value:
    return builder.elementwise(operator.sub, builder.numbers(left), builder.numbers(right))


def multiply(builder: Builder, left: Value, right: Value) -> Value:
    return builder.elementwise(operator.mul, builder.numbers(left), builder.numbers(right))


def divide(builder: Builder, left: Value, right: Value) -> Value:
    """Division; by zero it is an error, so the result is NaN."""
    left, right = builder.numbers(left), builder.numbers(right)
    if right.constant:
        divisor = torch.where(right.tensor == 0, torch.nan, right.tensor)
        return builder.elementwise(operator.truediv, left, Value(divisor, right.axes, right.sizes, right.kinds))
    divisor_value = guarded(builder, torch.ne, right)
    if builder.guarded and not left.constant:
        # The slope with respect to the numerator is 1/divisor: it must not leak either.
        inside = builder.elementwise(torch.ne, right, builder.number(0.0), kind=Kind.BOOLEAN)
        left = builder.where(inside, left, builder.number(math.nan))
    return builder.elementwise(operator.truediv, left, divisor_value)


def power(builder: Builder, left: Value, right: Value) -> Value:
    """`left ^ right`; 0^0 is an error as in Excel."""
    left, right = builder.numbers(left), builder.numbers(right)
    if left.constant and right.constant:
        result = builder.elementwise(torch.pow, left, right)
        zero = builder.elementwise(lambda x, y: torch.eq(_tensor(x), 0) & torch.eq(_tensor(y), 0), left, right)
        data = torch.where(zero.tensor.bool() | result.tensor.isinf(), torch.nan, result.tensor)
        return Value(data, result.axes, result.sizes, result.kinds)
    exponent = float(right.tensor) if right.constant and not right.axes else None
    if exponent == 0.5:
        return builder.elementwise(torch.sqrt, flat_at_zero(builder, left))
    if exponent is None or exponent < 1 or exponent != int(exponent):
        left = flat_at_zero(builder, left) if exponent is None or exponent > 0 else guarded(builder, torch.ne, left)
    return builder.elementwise(operator.pow, left, right)


def _tensor(value: Tensor | float) -> Tensor:
    return value if isinstance(value, Tensor) else torch.tensor(value)


def negate(builder: Builder, operand: Value) -> Value:
    return builder.elementwise(operator.neg, builder.numbers(operand))


def percent(builder: Builder, operand: Value) -> Value:
    return builder.elementwise(operator.truediv, builder.numbers(operand), builder.number(100.0))


def concatenate(builder: Builder, left: Value, right: Value) -> Value:
    """`&` of constants."""
    if not (left.constant and right.constant):
        raise FormulaError("joins text that depends on a parameter", remedy="Keep text out of the way to the loss")
    axes, sizes = builder.union_axes([left, right])
    first, second = builder.expanded(left, axes, sizes), builder.expanded(right, axes, sizes)
    texts = [
        builder.text_code(one + two) for one, two in zip(_texts(builder, first), _texts(builder, second), strict=True)
    ]
    return Value(torch.tensor(texts, dtype=builder.dtype).reshape(sizes), axes, sizes, Kind.TEXT)


def _texts(builder: Builder, value: Value) -> list[str]:
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
            found.append(f"{number:.15g}")
    return found


_COMPARISONS: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
    "=": torch.eq,
    "<>": torch.ne,
    "<": torch.lt,
    "<=": torch.le,
    ">": torch.gt,
    ">=": torch.ge,
}


def compare(builder: Builder, sign: str, left: Value, right: Value) -> Value:
    """Excel's comparison: numbers < text < booleans, text without regard to case, blank like 0, "" or FALSE."""
    numeric = (Kind.NUMBER, Kind.BLANK, Kind.ERROR)
    if all(not value.has(Kind.TEXT, Kind.BOOLEAN) for value in (left, right)):
        return builder.elementwise(_COMPARISONS[sign], left, right, kind=Kind.BOOLEAN)
    if left.kinds is Kind.BOOLEAN and right.kinds is Kind.BOOLEAN:
        return builder.elementwise(_COMPARISONS[sign], builder.numbers(left), builder.numbers(right), kind=Kind.BOOLEAN)
    if left.constant and right.constant:
        return _compare_constants(builder, sign, left, right)
    if left.kinds is Kind.TEXT and right.kinds is Kind.TEXT and sign in ("=", "<>"):
        return builder.elementwise(_COMPARISONS[sign], left, right, kind=Kind.BOOLEAN)
    if isinstance(left.kinds, Kind) and isinstance(right.kinds, Kind):
        ranks = [_RANKS[Kind.NUMBER if kind in numeric else kind] for kind in (left.kinds, right.kinds)]
        if ranks[0] != ranks[1]:
            outcome = bool(_COMPARISONS[sign](torch.tensor(ranks[0]), torch.tensor(ranks[1])))
            return builder.boolean(outcome)
        return builder.elementwise(_COMPARISONS[sign], builder.numbers(left), builder.numbers(right), kind=Kind.BOOLEAN)
    raise FormulaError(
        "compares text with something that depends on a parameter", remedy="Compare numbers with numbers"
    )


_RANKS = {Kind.NUMBER: 0, Kind.TEXT: 1, Kind.BOOLEAN: 2}


def _compare_constants(builder: Builder, sign: str, left: Value, right: Value) -> Value:
    axes, sizes = builder.union_axes([left, right])
    first, second = builder.expanded(left, axes, sizes), builder.expanded(right, axes, sizes)
    order = {text: rank for rank, text in enumerate(sorted(text.casefold() for text in [*builder.texts, ""]))}
    places = [order[text.casefold()] for text in builder.texts]
    ranks, numbers = [], []
    for value, other in ((first, second), (second, first)):
        kinds, others = value.kind_tensor(), other.kind_tensor()
        blank = kinds == Kind.BLANK
        rank = torch.where(kinds == Kind.TEXT, 1, torch.where(kinds == Kind.BOOLEAN, 2, 0))
        rank = torch.where(blank & (others == Kind.TEXT), 1, torch.where(blank & (others == Kind.BOOLEAN), 2, rank))
        data = value.tensor.to(builder.dtype).clone()
        is_text = kinds == Kind.TEXT
        data[is_text] = torch.tensor([places[int(code)] for code in data[is_text]], dtype=builder.dtype)
        data[blank & (others == Kind.TEXT)] = order[""]
        ranks.append(rank)
        numbers.append(data)
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


BINARY: dict[str, Callable[[Builder, Value, Value], Value]] = {
    "+": add,
    "-": subtract,
    "*": multiply,
    "/": divide,
    "^": power,
    "&": concatenate,
}
UNARY: dict[str, Callable[[Builder, Value], Value]] = {"-": negate, "%": percent}
COMPARISONS = frozenset(_COMPARISONS)
