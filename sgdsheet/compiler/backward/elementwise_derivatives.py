"""Derivatives of operations on single numbers, and on pairs of them."""

from __future__ import annotations

import math
import operator
from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from sgdsheet.compiler.backward.batched_forms import elementwise
from sgdsheet.compiler.backward.derivative_table import Pullback, Rule, derivative, values, without_gradient
from sgdsheet.compiler.backward.tape import Operand, Tape, aten

Found = tuple[Tensor, Pullback | None]

Local = Callable[[Tape, Tensor, Tensor], Tensor]
"""The derivative of an elementwise operation from its operand x and its result y."""


def _each(*targets: Any) -> Callable[[Rule], Rule]:
    """Declare the rule of an operation on numbers one by one, which is the same for many starts at once."""
    elementwise(*(target for target in targets if callable(target)))
    return derivative(*targets)


def _factor(function: Callable[[Tensor], Tensor], local: Local, *targets: Any) -> None:
    """Declare y = f(x) whose gradient is that of y, times a factor."""

    @_each(function, *targets)
    def rule(tape: Tape, x: Operand) -> Found:
        y = tape(function, x.value)
        return y, lambda g: tape.give(x, lambda: tape.product(g, local(tape, x.value, y)))


def _divisor(function: Callable[[Tensor], Tensor], local: Local) -> None:
    """Declare y = f(x) whose gradient is that of y, by a divisor."""

    @_each(function)
    def rule(tape: Tape, x: Operand) -> Found:
        y = tape(function, x.value)
        return y, lambda g: tape.give(x, lambda: tape(torch.div, g, local(tape, x.value, y)))


def _one_plus_square(tape: Tape, x: Tensor, factor: float) -> Tensor:
    return tape(torch.add, tape.scaled(tape(torch.mul, x, x), factor), _number(1.0, x))


def _number(number: float, like: Tensor) -> Tensor:
    return torch.tensor(number, dtype=like.dtype)


_factor(torch.exp, lambda tape, x, y: y)
_factor(torch.expm1, lambda tape, x, y: tape(torch.add, y, _number(1.0, y)))
_factor(torch.abs, lambda tape, x, y: tape(torch.sign, x), "abs")
_factor(torch.deg2rad, lambda tape, x, y: _number(math.pi / 180, x))
_factor(torch.rad2deg, lambda tape, x, y: _number(180 / math.pi, x))
_factor(torch.special.ndtri, lambda tape, x, y: _density(tape, y))
_factor(torch.sin, lambda tape, x, y: tape(torch.cos, x))
_factor(torch.cos, lambda tape, x, y: tape(torch.neg, tape(torch.sin, x)))
_factor(torch.tan, lambda tape, x, y: _one_plus_square(tape, y, 1.0))
_factor(torch.sinh, lambda tape, x, y: tape(torch.cosh, x))
_factor(torch.cosh, lambda tape, x, y: tape(torch.sinh, x))
_factor(torch.square, lambda tape, x, y: tape.scaled(x, 2.0))
_factor(torch.lgamma, lambda tape, x, y: tape(torch.digamma, x))
_factor(torch.erf, lambda tape, x, y: _bell(tape, x, 2 / math.sqrt(math.pi)))
_factor(torch.erfc, lambda tape, x, y: _bell(tape, x, -2 / math.sqrt(math.pi)))
_divisor(torch.log, lambda tape, x, y: x)
_divisor(torch.log1p, lambda tape, x, y: tape(torch.add, x, _number(1.0, x)))
_divisor(torch.log10, lambda tape, x, y: tape.scaled(x, math.log(10)))
_divisor(torch.log2, lambda tape, x, y: tape.scaled(x, math.log(2)))
_divisor(torch.sqrt, lambda tape, x, y: tape.scaled(y, 2.0))
_divisor(torch.atan, lambda tape, x, y: _one_plus_square(tape, x, 1.0))
_divisor(torch.atanh, lambda tape, x, y: _one_plus_square(tape, x, -1.0))
_divisor(torch.asin, lambda tape, x, y: tape(torch.sqrt, _one_plus_square(tape, x, -1.0)))
_divisor(torch.acos, lambda tape, x, y: tape(torch.neg, tape(torch.sqrt, _one_plus_square(tape, x, -1.0))))
_divisor(torch.acosh, lambda tape, x, y: tape(torch.sqrt, _square_less_one(tape, x)))
_divisor(torch.asinh, lambda tape, x, y: tape(torch.sqrt, _one_plus_square(tape, x, 1.0)))


def _square_less_one(tape: Tape, x: Tensor) -> Tensor:
    return tape(torch.sub, tape(torch.mul, x, x), _number(1.0, x))


def _bell(tape: Tape, x: Tensor, factor: float) -> Tensor:
    return tape.scaled(tape(torch.exp, tape(torch.neg, tape(torch.mul, x, x))), factor)


def _density(tape: Tape, quantile: Tensor) -> Tensor:
    """The derivative of a quantile of the normal distribution: one over the density there."""
    half_square = tape.scaled(tape(torch.mul, quantile, quantile), 0.5)
    return tape.scaled(tape(torch.exp, half_square), math.sqrt(2 * math.pi))


@_each(torch.neg, operator.neg)
def _neg(tape: Tape, x: Operand) -> Found:
    return tape(torch.neg, x.value), lambda g: tape.give(x, lambda: g, factor=-1.0)


@_each(torch.tanh)
def _tanh(tape: Tape, x: Operand) -> Found:
    y = tape(torch.tanh, x.value)
    return y, lambda g: tape.give(x, lambda: tape(aten.tanh_backward.default, g, y))


@_each(torch.sigmoid)
def _sigmoid(tape: Tape, x: Operand) -> Found:
    y = tape(torch.sigmoid, x.value)
    return y, lambda g: tape.give(x, lambda: tape(aten.sigmoid_backward.default, g, y))


@_each(F.logsigmoid)
def _logsigmoid(tape: Tape, x: Operand) -> Found:
    """Its derivative is sigmoid(-x)."""
    y = tape(F.logsigmoid, x.value)
    return y, lambda g: tape.give(x, lambda: tape.product(g, tape(torch.sigmoid, tape(torch.neg, x.value))))


@_each(torch.relu)
def _relu(tape: Tape, x: Operand) -> Found:
    y = tape(torch.clamp_min, x.value, 0)
    return y, lambda g: tape.give(x, lambda: tape(aten.threshold_backward.default, g, y, 0))


@_each(torch.clamp_min)
def _clamp_min(tape: Tape, x: Operand, least: Any) -> Found:
    """The gradient counts where x ≥ least, which is where x is above the number before that."""
    if isinstance(least, Operand):
        return _larger(tape, x, least)
    below = float(torch.nextafter(_number(least, x.value), _number(-math.inf, x.value)))
    y = tape(torch.clamp_min, x.value, least)
    return y, lambda g: tape.give(x, lambda: tape(aten.threshold_backward.default, g, x.value, below))


@_each(torch.clamp_max)
def _clamp_max(tape: Tape, x: Operand, most: float) -> Found:
    y, limit = tape(torch.clamp_max, x.value, most), _number(most, x.value)
    return y, lambda g: tape.give(x, lambda: _where(tape, tape(torch.le, x.value, limit), g, None))


@_each(torch.clamp)
def _clamp(tape: Tape, x: Operand, min: float | None = None, max: float | None = None) -> Found:
    """The gradient counts where x is one of the limits or between them."""
    y = tape(torch.clamp, x.value, min, max)

    def back(g: Tensor) -> None:
        tape.give(x, lambda: _where(tape, tape(torch.eq, x.value, y), g, None))

    return y, back


def _where(tape: Tape, condition: Tensor, chosen: Tensor | None, other: Tensor | None) -> Tensor:
    """torch.where with 0 in place of None."""
    zero = torch.zeros((), dtype=(chosen if chosen is not None else other).dtype)  # type: ignore[union-attr]
    return tape(torch.where, condition, zero if chosen is None else chosen, zero if other is None else other)


@_each(torch.where)
def _choose(tape: Tape, condition: Operand, first: Any, second: Any) -> Found:
    first, second = (
        tape.pair(first, second)
        if isinstance(first, Operand) or isinstance(second, Operand)
        else (Operand(torch.tensor(item), False) for item in (first, second))
    )

    def back(g: Tensor) -> None:
        tape.give(first, lambda: _where(tape, condition.value, g, None))
        tape.give(second, lambda: _where(tape, condition.value, None, g))

    return tape(torch.where, condition.value, first.value, second.value), back


# --- pairs ------------------------------------------------------------------------------------------------


def _pairs(rule: Rule) -> Rule:
    """A rule for two operands, for an operation of which one may be a plain number."""

    def with_numbers(tape: Tape, first: Any, second: Any) -> Found:
        return rule(tape, *tape.pair(first, second))

    return with_numbers


@_each(operator.add, torch.add)
@_pairs
def _add(tape: Tape, a: Operand, b: Operand) -> Found:
    def back(g: Tensor) -> None:
        tape.give(a, lambda: g)
        tape.give(b, lambda: g)

    return tape(torch.add, a.value, b.value), back


@_each(operator.sub, torch.sub)
@_pairs
def _sub(tape: Tape, a: Operand, b: Operand) -> Found:
    def back(g: Tensor) -> None:
        tape.give(a, lambda: g)
        tape.give(b, lambda: g, factor=-1.0)

    return tape(torch.sub, a.value, b.value), back


@_each(operator.mul, torch.mul)
@_pairs
def _mul(tape: Tape, a: Operand, b: Operand) -> Found:
    def back(g: Tensor) -> None:
        for each, other in ((a, b), (b, a)):
            factor = tape.uniform(other.value) if other.value.dtype == g.dtype else None
            if factor is None:
                tape.give(each, lambda other=other: tape.product(g, other.value))  # type: ignore[misc]
            else:
                tape.give(each, lambda: g, factor=factor)

    return tape(torch.mul, a.value, b.value), back


@_each(operator.truediv, torch.div)
@_pairs
def _div(tape: Tape, a: Operand, b: Operand) -> Found:
    quotient = tape(torch.div, a.value, b.value)

    def back(g: Tensor) -> None:
        share = tape(torch.div, g, b.value)
        tape.give(a, lambda: share)
        tape.give(b, lambda: tape.product(share, quotient), factor=-1.0)

    return quotient, back


@_each(operator.pow, torch.pow)
def _pow(tape: Tape, base: Any, exponent: Any) -> Found:
    if not isinstance(exponent, Operand):
        return _power(tape, base, exponent)
    a, b = tape.pair(base, exponent)
    y = tape(torch.pow, a.value, b.value)

    def of_base() -> Tensor:
        less = tape(torch.sub, b.value, _number(1.0, b.value))
        local = tape.product(b.value, tape(torch.pow, a.value, less))
        return _where(tape, tape(torch.eq, b.value, _number(0.0, b.value)), None, local)

    def of_exponent() -> Tensor:
        zero = _number(0.0, a.value)
        flat = tape(torch.logical_and, tape(torch.eq, a.value, zero), tape(torch.ge, b.value, zero))
        return _where(tape, flat, None, tape(torch.mul, y, tape(torch.log, a.value)))

    def back(g: Tensor) -> None:
        tape.give(a, lambda: tape.product(g, of_base()))
        tape.give(b, lambda: tape.product(g, of_exponent()))

    return y, back


def _power(tape: Tape, x: Operand, exponent: float) -> Found:
    """x to a fixed power."""

    def local() -> Tensor:
        if exponent == 0:
            return torch.zeros((), dtype=x.value.dtype)
        lower = x.value if exponent == 2 else tape(torch.pow, x.value, exponent - 1)
        return tape.scaled(lower, float(exponent))

    def back(g: Tensor) -> None:
        if exponent == 2 and (number := tape.uniform(g)) is not None:
            tape.give(x, lambda: x.value, factor=2 * number)
        else:
            tape.give(x, lambda: tape.product(g, local()))

    y = tape(torch.mul, x.value, x.value) if exponent == 2 else tape(torch.pow, x.value, exponent)
    return y, back


@_each(torch.maximum)
def _larger(tape: Tape, a: Operand, b: Operand) -> Found:
    return _extreme(tape, torch.maximum, a, b)


@_each(torch.minimum)
def _smaller(tape: Tape, a: Operand, b: Operand) -> Found:
    return _extreme(tape, torch.minimum, a, b)


def _extreme(tape: Tape, function: Callable[[Tensor, Tensor], Tensor], a: Operand, b: Operand) -> Found:
    """The gradient goes to the one that is chosen; of two that are equal, half to each."""
    below, above = (torch.lt, torch.gt) if function is torch.maximum else (torch.gt, torch.lt)

    def back(g: Tensor) -> None:
        halved = tape(torch.where, tape(torch.eq, a.value, b.value), tape.scaled(g, 0.5), g)
        tape.give(a, lambda: _where(tape, tape(below, a.value, b.value), None, halved))
        tape.give(b, lambda: _where(tape, tape(above, a.value, b.value), None, halved))

    return tape(function, a.value, b.value), back


@_each(torch.atan2)
def _atan2(tape: Tape, y: Operand, x: Operand) -> Found:
    def back(g: Tensor) -> None:
        squares = tape(torch.add, tape(torch.mul, x.value, x.value), tape(torch.mul, y.value, y.value))
        share = tape(torch.div, g, squares)
        tape.give(y, lambda: tape(torch.mul, share, x.value))
        tape.give(x, lambda: tape(torch.mul, share, y.value), factor=-1.0)

    return tape(torch.atan2, y.value, x.value), back


@_each(torch.remainder)
@_pairs
def _remainder(tape: Tape, a: Operand, b: Operand) -> Found:
    def back(g: Tensor) -> None:
        tape.give(a, lambda: g)
        tape.give(b, lambda: tape.product(g, tape(torch.div, a.value, b.value, rounding_mode="floor")), factor=-1.0)

    return tape(torch.remainder, a.value, b.value), back


# --- steps ------------------------------------------------------------------------------------------------


def _flat(function: Callable[..., Tensor]) -> None:
    """Declare an operation whose derivative is 0 wherever it has one."""

    @_each(function)
    def rule(tape: Tape, x: Operand, *others: Any, **options: Any) -> Found:
        zero = torch.zeros((), dtype=x.value.dtype).expand(x.value.shape)
        return tape(function, x.value, *values(others), **options), lambda g: tape.give(x, lambda: zero)


for _stepped in (torch.floor, torch.ceil, torch.trunc, torch.round, torch.sign):
    _flat(_stepped)

for _function in (
    *(torch.eq, torch.ne, torch.lt, torch.le, torch.gt, torch.ge, torch.isnan, torch.isfinite, torch.isinf),
    *(torch.logical_and, torch.logical_or, torch.logical_not, torch.logical_xor),
):
    elementwise(_function)
    without_gradient(_function, _function)

for _function in (torch.any, torch.all):
    without_gradient(_function, _function)


def _compared(function: Callable[..., Tensor], *targets: Any) -> None:
    """Declare an operator of two operands whose result has no gradient."""
    elementwise(function)

    @derivative(*targets)
    def rule(tape: Tape, first: Any, second: Any) -> Found:
        return tape(function, *values(tape.pair(first, second))), None


_compared(torch.eq, operator.eq)
_compared(torch.ne, operator.ne)
_compared(torch.lt, operator.lt)
_compared(torch.le, operator.le)
_compared(torch.gt, operator.gt)
_compared(torch.ge, operator.ge)
_compared(torch.bitwise_and, operator.and_)
_compared(torch.bitwise_or, operator.or_)
elementwise(torch.bitwise_not)
without_gradient(torch.bitwise_not, operator.invert)
without_gradient(torch.argmax, torch.argmax)


@derivative(torch.ones_like)
def _ones_like(tape: Tape, x: Operand) -> Found:
    return torch.ones((), dtype=x.value.dtype).expand(x.value.shape), None


@derivative(torch.full_like)
def _full_like(tape: Tape, x: Operand, number: float) -> Found:
    return _number(number, x.value).expand(x.value.shape), None
