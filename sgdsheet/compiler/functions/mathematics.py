"""Math and trigonometry."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from sys import float_info

import torch
from torch import Tensor

from sgdsheet.compiler.functions import operators
from sgdsheet.compiler.functions.registry import (
    Context,
    Derivative,
    elementwise,
    flat,
    flat_at_zero,
    function,
    guarded,
)
from sgdsheet.compiler.ir.values import Fault, Kind, Value
from sgdsheet.errors import FormulaError


def _declare(
    name: str,
    operation: Callable[..., Tensor],
    help_text: str,
    examples: Mapping[str, float],
    derivative: Derivative = Derivative.SMOOTH,
) -> None:
    elementwise(name, operation, help_text, examples=examples, derivative=derivative, module=__name__)


_declare("ABS", torch.abs, "Absolute value.", {"ABS(-2.5)": 2.5, "ABS(3)": 3}, Derivative.KINKED)
_declare("SIN", torch.sin, "Sine of an angle in radians.", {"SIN(1)": math.sin(1)})
_declare("COS", torch.cos, "Cosine of an angle in radians.", {"COS(1)": math.cos(1)})
_declare("TAN", torch.tan, "Tangent of an angle in radians.", {"TAN(1)": math.tan(1)})
_declare("ATAN", torch.atan, "Angle in radians with this tangent.", {"ATAN(2)": math.atan(2)})
_declare("TANH", torch.tanh, "Hyperbolic tangent.", {"TANH(0.7)": math.tanh(0.7), "TANH(0)": 0})
_declare("ASINH", torch.asinh, "Inverse hyperbolic sine.", {"ASINH(0.7)": math.asinh(0.7)})
_declare("RADIANS", torch.deg2rad, "Radians of an angle in degrees.", {"RADIANS(180)": math.pi})
_declare("DEGREES", torch.rad2deg, "Degrees of an angle in radians.", {"DEGREES(1)": math.degrees(1)})
_declare("INT", torch.floor, "Next whole number downwards.", {"INT(-1.5)": -2, "INT(1.5)": 1}, Derivative.ZERO)


def _declare_within(
    name: str,
    operation: Callable[..., Tensor],
    limits: Mapping[Callable[..., Tensor], float],
    help_text: str,
    examples: Mapping[str, float],
    bound: Callable[..., Value] = guarded,
) -> None:
    """A function with an error (and an infinite derivative) beyond some limits, as `{torch.gt: 0}`.

    At the limits themselves ASIN, ACOS and ACOSH have a value and an infinite derivative: `bound` is `flat` there.
    """

    def within(context: Context, value: Value) -> Value:
        for inside, limit in limits.items():
            value = bound(context.builder, inside, value, limit)
        return context.builder.elementwise(operation, value)

    within.__doc__ = help_text
    function(name, arguments=(1, 1), examples=examples)(within)


_LARGEST = math.log(float_info.max)
"""The largest argument of EXP: the result of a larger one is more than a number can hold."""


@function("EXP", arguments=(1, 1), examples={"EXP(1)": math.e, "EXP(-2)": math.exp(-2)})
def exp(context: Context, value: Value) -> Value:
    """e to the power of a number."""
    return context.builder.elementwise(torch.exp, guarded(context.builder, torch.le, value, _LARGEST))


_declare_within(
    "SINH",
    torch.sinh,
    {torch.ge: -_LARGEST, torch.le: _LARGEST},
    "Hyperbolic sine.",
    {"SINH(0.7)": math.sinh(0.7)},
)
_declare_within(
    "COSH",
    torch.cosh,
    {torch.ge: -_LARGEST, torch.le: _LARGEST},
    "Hyperbolic cosine.",
    {"COSH(0.7)": math.cosh(0.7)},
)
_declare_within(
    "ASIN",
    torch.asin,
    {torch.gt: -1, torch.lt: 1},
    "Angle in radians with this sine.",
    {"ASIN(0.5)": math.asin(0.5), "ASIN(1)": math.pi / 2},
    flat,
)
_declare_within(
    "ACOS",
    torch.acos,
    {torch.gt: -1, torch.lt: 1},
    "Angle in radians with this cosine.",
    {"ACOS(0.5)": math.acos(0.5)},
    flat,
)
_declare_within(
    "ACOSH", torch.acosh, {torch.gt: 1}, "Inverse hyperbolic cosine.", {"ACOSH(1.7)": math.acosh(1.7)}, flat
)
_declare_within(
    "ATANH",
    torch.atanh,
    {torch.gt: -1, torch.lt: 1},
    "Inverse hyperbolic tangent.",
    {"ATANH(0.7)": math.atanh(0.7)},
)
_declare_within(
    "GAMMALN",
    torch.lgamma,
    {torch.gt: 0},
    "Natural logarithm of the gamma function.",
    {"GAMMALN(4.5)": math.lgamma(4.5)},
)


@function(
    "SIGN",
    arguments=(1, 1),
    derivative=Derivative.ZERO,
    examples={"SIGN(-3)": -1, "SIGN(0)": 0, "SIGN(2)": 1},
)
def sign(context: Context, value: Value) -> Value:
    """-1, 0 or 1."""
    builder = context.builder
    return builder.spoiled(builder.elementwise(torch.sign, value), builder.errors_of(value))  # torch: sign(nan) is 0


@function("SQRT", arguments=(1, 1), examples={"SQRT(9)": 3, "SQRT(2)": math.sqrt(2)})
def sqrt(context: Context, value: Value) -> Value:
    """Square root."""
    return context.builder.elementwise(torch.sqrt, flat_at_zero(context.builder, value))


def _logarithm(context: Context, operation: Callable[..., Tensor], value: Value) -> Value:
    builder = context.builder
    if not builder.domains.at_least(value.data) > 0:
        value = guarded(builder, torch.gt, value, 0.0)
    return builder.elementwise(operation, value)


@function("LN", arguments=(1, 1), examples={"LN(2)": math.log(2), "LN(1)": 0})
def ln(context: Context, value: Value) -> Value:
    """Natural logarithm."""
    return _logarithm(context, torch.log, value)


@function("LOG10", arguments=(1, 1), examples={"LOG10(1000)": 3, "LOG10(2)": math.log10(2)})
def log10(context: Context, value: Value) -> Value:
    """Logarithm to base 10."""
    return _logarithm(context, torch.log10, value)


@function("LOG", arguments=(1, 2), examples={"LOG(100)": 2, "LOG(8,2)": 3})
def log(context: Context, value: Value, base: Value | None = None) -> Value:
    """Logarithm to a base, 10 unless given."""
    if base is None or (base.constant and not base.axes and float(base.tensor) == 10):
        return log10(context, value)  # exact for powers of 10, which ln(1000)/ln(10) is not
    return operators.divide(context.builder, ln(context, value), ln(context, base))


@function("POWER", arguments=(2, 2), examples={"POWER(2,3)": 8, "POWER(2,-0.5)": 2**-0.5})
def power(context: Context, base: Value, exponent: Value) -> Value:
    """A number to a power."""
    return operators.power(context.builder, base, exponent)


@function("ATAN2", arguments=(2, 2), examples={"ATAN2(1,2)": math.atan2(2, 1)})
def atan2(context: Context, x: Value, y: Value) -> Value:
    """Angle of the point (x, y) in radians."""
    builder = context.builder
    size = operators.add(builder, *(builder.elementwise(torch.abs, value) for value in (x, y)))
    nowhere = builder.elementwise(torch.eq, size, builder.number(0.0), kind=Kind.BOOLEAN)
    if x.constant and y.constant:
        angle = builder.elementwise(torch.atan2, y, x)
        return builder.with_errors(builder.spoiled(angle, builder.cleaned(nowhere), Fault.DIV0), (x, y))
    still = builder.where(nowhere, builder.number(torch.nan), x)
    return builder.elementwise(torch.atan2, y, still)


@function("PI", arguments=(0, 0), examples={"PI()": math.pi})
def pi(context: Context) -> Value:
    """The number pi."""
    return context.builder.number(math.pi)


@function("MOD", arguments=(2, 2), examples={"MOD(-3,2)": 1, "MOD(7.5,2)": 1.5}, derivative=Derivative.KINKED)
def mod(context: Context, number: Value, divisor: Value) -> Value:
    """Remainder of a division, with the sign of the divisor."""
    builder = context.builder
    whole = builder.elementwise(torch.floor, operators.divide(builder, number, divisor))
    return operators.subtract(builder, number, operators.multiply(builder, divisor, whole))


_NUDGE = 1 + 1e-15
_MOST_DIGITS = 30


def _rounded(context: Context, number: Value, digits: Value | None, rounding: str) -> Value:
    """Round the size of the number and put its sign back; Excel rounds what it shows with 15 digits."""
    builder = context.builder
    digits = digits if digits is not None else builder.number(0.0)
    if digits.constant and bool((builder.cleaned(digits).tensor.abs() > _MOST_DIGITS).any()):
        raise FormulaError("rounds to more digits than a number has", remedy=f"Give at most {_MOST_DIGITS} digits")
    scale = operators.power(builder, builder.number(10.0), builder.elementwise(torch.trunc, digits))
    size = operators.multiply(builder, builder.elementwise(torch.abs, number), scale)
    nudge = builder.number(1 / _NUDGE if rounding == "up" else _NUDGE)
    size = operators.multiply(builder, size, nudge)
    if rounding == "half up":
        size = operators.add(builder, size, builder.number(0.5))
    whole = builder.elementwise(torch.ceil if rounding == "up" else torch.floor, size)
    signed = operators.multiply(builder, builder.elementwise(torch.sign, number), whole)
    return operators.divide(builder, signed, scale)


@function(
    "ROUND",
    arguments=(2, 2),
    derivative=Derivative.ZERO,
    examples={"ROUND(1.005,2)": 1.01, "ROUND(-2.5,0)": -3, "ROUND(1234,-2)": 1200},
)
def round_half_away(context: Context, number: Value, digits: Value) -> Value:
    """Rounded to so many digits, halves away from zero."""
    return _rounded(context, number, digits, "half up")


@function("ROUNDDOWN", arguments=(2, 2), derivative=Derivative.ZERO, examples={"ROUNDDOWN(-2.57,1)": -2.5})
def round_down(context: Context, number: Value, digits: Value) -> Value:
    """Rounded towards zero."""
    return _rounded(context, number, digits, "down")


@function("ROUNDUP", arguments=(2, 2), derivative=Derivative.ZERO, examples={"ROUNDUP(2.51,1)": 2.6})
def round_up(context: Context, number: Value, digits: Value) -> Value:
    """Rounded away from zero."""
    return _rounded(context, number, digits, "up")


@function("TRUNC", arguments=(1, 2), derivative=Derivative.ZERO, examples={"TRUNC(-2.57)": -2, "TRUNC(2.57,1)": 2.5})
def trunc(context: Context, number: Value, digits: Value | None = None) -> Value:
    """Cut off after so many digits."""
    return _rounded(context, number, digits, "down")
