"""Sums and products of ranges."""

from __future__ import annotations

import torch
from torch import Tensor

from sgdsheet.errors import FormulaError
from sgdsheet.functions import operators
from sgdsheet.functions.registry import Context, OverSamples, Takes, function, masked, numbers_of, zero_without_numbers
from sgdsheet.tensors.contraction import contract
from sgdsheet.tensors.values import Value


def total(context: Context, *arguments: Value) -> Value:
    """Sum of the numbers among the arguments."""
    builder, result = context.builder, None
    for value, counts in numbers_of(builder, arguments):
        part = builder.reduce(torch.sum, masked(builder, value, counts, 0.0))
        result = part if result is None else operators.add(builder, result, part)
    return result if result is not None else builder.number(0.0)


@function(
    "SUM",
    over_samples=OverSamples.SUM,
    arguments=(1, 255),
    takes=Takes.RANGES,
    examples={"SUM(1,2.5,TRUE)": 4.5, 'SUM({1,2;3,"x"})': 6},
)
def sum_(context: Context, *arguments: Value) -> Value:
    """Sum of numbers."""
    return total(context, *arguments)


@function("SUMSQ", over_samples=OverSamples.SUM, arguments=(1, 255), takes=Takes.RANGES, examples={"SUMSQ(3,4)": 25})
def sumsq(context: Context, *arguments: Value) -> Value:
    """Sum of squares."""
    builder = context.builder
    squares = []
    for value, counts in numbers_of(builder, arguments):
        square = operators.power(builder, value, builder.number(2.0))
        squares.append(masked(builder, square, counts, 0.0))
    return total(context, *squares) if squares else builder.number(0.0)


@function("PRODUCT", arguments=(1, 255), takes=Takes.RANGES, examples={"PRODUCT(2,3,4)": 24})
def product(context: Context, *arguments: Value) -> Value:
    """Product of numbers."""
    builder, result = context.builder, None
    for value, counts in numbers_of(builder, arguments):
        value = masked(builder, value, counts, 1.0)
        for axis in "wh":
            value = builder.reduce(torch.prod, value, axis)
        result = value if result is None else operators.multiply(builder, result, value)
    return zero_without_numbers(builder, result, arguments)


def _as_numbers(context: Context, value: Value) -> Value:
    """As SUMPRODUCT sees an array: whatever is not a number is 0."""
    builder = context.builder
    if not isinstance(value.kinds, Tensor):
        if value.kinds.name in ("NUMBER", "ERROR"):
            return value
        return Value(torch.zeros(value.sizes, dtype=builder.dtype), value.axes, value.sizes)
    known = next(numbers_of(builder, [Value(value.data, value.axes, value.sizes, value.kinds, True)]), None)
    if known is None:
        return Value(torch.zeros(value.sizes, dtype=builder.dtype), value.axes, value.sizes)
    return masked(builder, *known, 0.0)


@function(
    "SUMPRODUCT",
    over_samples=OverSamples.SUM,
    arguments=(1, 255),
    takes=Takes.ARRAYS,
    skips_blanks=True,
    examples={
        "SUMPRODUCT({1,2,3},{4,5,6})": 32,
        "SUMPRODUCT({1,2}*{3,4})": 11,
        'SUMPRODUCT({1,"x"},{5,6})': 5,
    },
)
def sumproduct(context: Context, *arrays: Value) -> Value:
    """Sum of the products of matching elements."""
    builder = context.builder
    if len({(value.size("h"), value.size("w")) for value in arrays}) > 1:
        shapes = " and ".join(f"{value.size('h')}x{value.size('w')}" for value in arrays)
        raise FormulaError(f"multiplies arrays of different sizes ({shapes})", remedy="Make them the same size")
    *others, last = [_as_numbers(context, value) for value in arrays]
    if not others:
        return builder.reduce(torch.sum, last)
    first = others[0]
    for value in others[1:]:
        first = operators.multiply(builder, first, value)
    return contract(builder, first, last, "hw")


def _pairwise(context: Context, left: Value, right: Value, sign: int) -> Value:
    builder = context.builder
    first = operators.power(builder, _as_numbers(context, left), builder.number(2.0))
    second = operators.power(builder, _as_numbers(context, right), builder.number(2.0))
    combined = (operators.add if sign > 0 else operators.subtract)(builder, first, second)
    return builder.reduce(torch.sum, combined)


@function(
    "SUMXMY2",
    over_samples=OverSamples.SUM,
    arguments=(2, 2),
    takes=Takes.ARRAYS,
    skips_blanks=True,
    examples={"SUMXMY2({1,2},{4,6})": 25},
)
def sumxmy2(context: Context, left: Value, right: Value) -> Value:
    """Sum of the squared differences of matching elements."""
    builder = context.builder
    difference = operators.subtract(builder, _as_numbers(context, left), _as_numbers(context, right))
    return builder.reduce(torch.sum, operators.power(builder, difference, builder.number(2.0)))


@function(
    "SUMX2PY2",
    over_samples=OverSamples.SUM,
    arguments=(2, 2),
    takes=Takes.ARRAYS,
    skips_blanks=True,
    examples={"SUMX2PY2({1,2},{4,6})": 57},
)
def sumx2py2(context: Context, left: Value, right: Value) -> Value:
    """Sum of the squares of two arrays."""
    return _pairwise(context, left, right, 1)


@function(
    "SUMX2MY2",
    over_samples=OverSamples.SUM,
    arguments=(2, 2),
    takes=Takes.ARRAYS,
    skips_blanks=True,
    examples={"SUMX2MY2({1,2},{4,6})": -47},
)
def sumx2my2(context: Context, left: Value, right: Value) -> Value:
    """Sum of the differences of the squares of two arrays."""
    return _pairwise(context, left, right, -1)
