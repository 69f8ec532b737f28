"""Statistics of ranges."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from sgdsheet.compiler.functions import operators
from sgdsheet.compiler.functions.registry import (
    Context,
    Derivative,
    OverSamples,
    Takes,
    count_of,
    counted,
    flat_at_zero,
    function,
    masked,
    numbers_of,
    refuse_unsettled,
    zero_without_numbers,
)
from sgdsheet.compiler.functions.sums import sumsq, total
from sgdsheet.compiler.ir.builder import Builder
from sgdsheet.compiler.ir.values import Fault, Kind, Value


@function(
    "AVERAGE",
    over_samples=OverSamples.MEAN,
    arguments=(1, 255),
    takes=Takes.RANGES,
    examples={"AVERAGE(1,2,6)": 3, 'AVERAGE({1,3,"x",TRUE})': 2},
)
def average(context: Context, *arguments: Value) -> Value:
    """Arithmetic mean of numbers."""
    builder = context.builder
    if len(arguments) == 1 and arguments[0].kinds is Kind.NUMBER and arguments[0].is_array:
        return builder.reduce(torch.mean, arguments[0])
    return operators.divide(builder, total(context, *arguments), count_of(builder, arguments))


@function(
    "COUNT",
    over_samples=OverSamples.SUM,
    arguments=(1, 255),
    takes=Takes.RANGES,
    derivative=Derivative.ZERO,
    examples={'COUNT(1,{2,"x"})': 2},
)
def count(context: Context, *arguments: Value) -> Value:
    """How many numbers there are."""
    builder = context.builder
    result = builder.number(0.0)
    for value in arguments:
        counts = counted(builder, value)
        if not value.constant and (errors := builder.errors_of(value)) is not None:
            counts = builder.where(errors, builder.number(0.0), counts)
        result = operators.add(builder, result, builder.reduce(torch.sum, counts))
    return result


@function(
    "COUNTA",
    over_samples=OverSamples.SUM,
    arguments=(1, 255),
    takes=Takes.RANGES,
    derivative=Derivative.ZERO,
    examples={'COUNTA(1,{2,"x"})': 3},
)
def counta(context: Context, *arguments: Value) -> Value:
    """How many values there are that are not blank."""
    builder = context.builder
    result = builder.number(0.0)
    refuse_unsettled(builder, *(value for value in arguments if not value.reference))  # a formula's cell is no blank
    for value in arguments:
        filled = Value((value.kind_tensor() != Kind.BLANK).to(builder.dtype), value.axes, value.sizes)
        result = operators.add(builder, result, builder.reduce(torch.sum, filled))
    return result


def _extreme(
    context: Context,
    arguments: tuple[Value, ...],
    reduction: Callable[..., Tensor],
    pairwise: Callable[[Tensor, Tensor], Tensor],
    side: float,
) -> Value:
    """`side` is on which side of all numbers a cell is put that does not count."""
    builder, result = context.builder, None
    nothing = side * torch.finfo(builder.dtype).max
    for value, counts in numbers_of(builder, arguments, choices=True):
        part = builder.reduce(reduction, masked(builder, value, counts, nothing))
        result = part if result is None else _larger(builder, result, part, pairwise)
    return zero_without_numbers(builder, result, arguments)


def _larger(builder: Builder, left: Value, right: Value, pairwise: Callable[[Tensor, Tensor], Tensor]) -> Value:
    """The larger (or smaller) of two; against a number it is a clamp, whose derivative at 0 is relu's."""
    if left.constant and right.constant:
        return builder.elementwise(pairwise, left, right)
    for one, other in ((left, right), (right, left)):
        if one.constant and not one.axes and one.kinds is Kind.NUMBER:
            limit = float(one.tensor)
            if pairwise is torch.maximum:
                if limit == 0:
                    return builder.elementwise(torch.relu, other)
                return builder.elementwise(torch.clamp_min, other, one)
            return builder.elementwise(torch.clamp_max, other, one)
    return builder.elementwise(pairwise, left, right)


@function(
    "MAX",
    over_samples=OverSamples.EXTREME,
    arguments=(1, 255),
    takes=Takes.RANGES,
    derivative=Derivative.KINKED,
    examples={"MAX(0,-2)": 0, "MAX({1,5;3,2})": 5, "MAX(2,7,3)": 7},
)
def maximum(context: Context, *arguments: Value) -> Value:
    """Largest number."""
    return _extreme(context, arguments, torch.amax, torch.maximum, -1.0)


@function(
    "MIN",
    over_samples=OverSamples.EXTREME,
    arguments=(1, 255),
    takes=Takes.RANGES,
    derivative=Derivative.KINKED,
    examples={"MIN(4,-2)": -2, "MIN({1,5;3,2})": 1},
)
def minimum(context: Context, *arguments: Value) -> Value:
    """Smallest number."""
    return _extreme(context, arguments, torch.amin, torch.minimum, 1.0)


@function(
    "DEVSQ",
    over_samples=OverSamples.SUM,
    additive=False,  # the deviations are from the mean of all
    arguments=(1, 255),
    takes=Takes.RANGES,
    sums_squares=True,
    examples={"DEVSQ({1,2,6})": 14},
)
def devsq(context: Context, *arguments: Value) -> Value:
    """Sum of squared deviations from the mean."""
    builder = context.builder
    nothing = operators.compare(builder, "=", count_of(builder, arguments), builder.number(0.0))
    squares = _squared_deviations(context, arguments)
    never = nothing.constant and not bool(nothing.tensor.any())
    return squares if never else builder.spoiled(squares, nothing, Fault.NUM)


def _squared_deviations(context: Context, arguments: tuple[Value, ...]) -> Value:
    builder = context.builder
    mean = operators.divide(builder, total(context, *arguments), count_of(builder, arguments))
    parts = []
    for value, counts in numbers_of(builder, arguments, choices=True):
        deviation = operators.subtract(builder, value, mean)
        parts.append(masked(builder, deviation, counts, 0.0))
    return sumsq(context, *parts)


def _variance(context: Context, arguments: tuple[Value, ...], missing: float) -> Value:
    builder = context.builder
    count_ = operators.subtract(builder, count_of(builder, arguments), builder.number(missing))
    divisor = builder.elementwise(torch.clamp_min, count_, builder.number(0.0))  # of no or one number: #DIV/0!
    return operators.divide(builder, _squared_deviations(context, arguments), divisor)


def _declare_variance(name: str, help_text: str, missing: float, example: float) -> None:
    def variance(context: Context, *arguments: Value) -> Value:
        return _variance(context, arguments, missing)

    def deviation(context: Context, *arguments: Value) -> Value:
        return context.builder.elementwise(torch.sqrt, flat_at_zero(context.builder, variance(context, *arguments)))

    variance.__doc__, deviation.__doc__ = f"Variance of {help_text}.", f"Standard deviation of {help_text}."
    root = name.replace("VAR", "STDEV")
    for declared, implementation, result in ((name, variance, example), (root, deviation, example**0.5)):
        function(
            declared,
            arguments=(1, 255),
            takes=Takes.RANGES,
            over_samples=OverSamples.MEAN,
            additive=False,
            examples={f"{declared}({{1,2,6}})": result},
        )(implementation)


_declare_variance("VAR.S", "a sample", 1.0, 7.0)
_declare_variance("VAR", "a sample", 1.0, 7.0)
_declare_variance("VAR.P", "a whole population", 0.0, 14 / 3)
_declare_variance("VARP", "a whole population", 0.0, 14 / 3)
