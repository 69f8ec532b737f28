"""Sums and products of ranges."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import torch
from torch import Tensor

from sgdsheet.compiler.functions import operators
from sgdsheet.compiler.functions.registry import (
    Context,
    Multiplies,
    OverSamples,
    Takes,
    function,
    masked,
    numbers_of,
    refuse_unsettled,
    zero_without_numbers,
)
from sgdsheet.compiler.ir.builder import Builder
from sgdsheet.compiler.ir.contraction import contract
from sgdsheet.compiler.ir.values import UNSETTLED, Fault, Kind, Value
from sgdsheet.sheet.syntax import Binary, Call, Node


def total(context: Context, *arguments: Value) -> Value:
    """Sum of the numbers among the arguments."""
    builder, result = context.builder, None
    for value, counts in numbers_of(builder, arguments, choices=True, zeros=True):
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


@function(
    "SUMSQ",
    over_samples=OverSamples.SUM,
    arguments=(1, 255),
    takes=Takes.RANGES,
    sums_squares=True,
    examples={"SUMSQ(3,4)": 25},
)
def sumsq(context: Context, *arguments: Value) -> Value:
    """Sum of squares."""
    builder = context.builder
    squares = []
    for value, counts in numbers_of(builder, arguments, choices=True, zeros=True):
        square = operators.power(builder, value, builder.number(2.0))
        squares.append(masked(builder, square, counts, 0.0))
    return total(context, *squares) if squares else builder.number(0.0)


@function("PRODUCT", arguments=(1, 255), takes=Takes.RANGES, examples={"PRODUCT(2,3,4)": 24})
def product(context: Context, *arguments: Value) -> Value:
    """Product of numbers."""
    builder, result = context.builder, None
    for value, counts in numbers_of(builder, arguments, choices=True):
        value = masked(builder, value, counts, 1.0)
        for axis in "wh":
            value = builder.reduce(torch.prod, value, axis)
        result = value if result is None else operators.multiply(builder, result, value)
    return zero_without_numbers(builder, result, arguments)


def _as_numbers(context: Context, value: Value) -> Value:
    """As SUMPRODUCT sees an array: whatever is not a number is 0."""
    builder = context.builder
    if not isinstance(value.kinds, Tensor) and not value.only(*UNSETTLED):
        if value.kinds.name in ("NUMBER", "ERROR"):
            return value
        return Value(torch.zeros(value.sizes, dtype=builder.dtype), value.axes, value.sizes)
    cells = Value(value.data, value.axes, value.sizes, value.kinds, True)
    known = next(numbers_of(builder, [cells], choices=True, zeros=True), None)
    if known is None:
        return Value(torch.zeros(value.sizes, dtype=builder.dtype), value.axes, value.sizes)
    return masked(builder, *known, 0.0)


@function(
    "SUMPRODUCT",
    multiplies=Multiplies.ELEMENTS,
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
        return builder.error(Fault.VALUE)
    *others, last = [_as_numbers(context, value) for value in arrays]
    for value in arrays:
        if value.size("h") == value.size("w") == 1 and value.has(Kind.TEXT):  # only in a range, a text counts as 0
            is_text = Value(value.kind_tensor() == Kind.TEXT, value.axes, value.sizes, Kind.BOOLEAN)
            last = builder.spoiled(last, is_text, Fault.VALUE)
    if not others:
        return builder.reduce(torch.sum, last)
    first = others[0]
    for value in others[1:]:
        first = operators.multiply(builder, first, value)
    return contract(builder, first, last, "hw")


def _pairwise(context: Context, left: Value, right: Value, combined: Callable[[Builder, Value, Value], Value]) -> Value:
    """Sum over the pairs of which both are numbers, #DIV/0! if there is none.

    Arrays of another shape are paired in the order of their elements; of another number of elements, they do not fit.
    """
    builder = context.builder
    if left.size("h") * left.size("w") != right.size("h") * right.size("w"):
        return builder.error(Fault.NA)
    if left.size("h") != right.size("h"):
        left, right = (_in_a_column(builder, value) for value in (left, right))
    refuse_unsettled(builder, left, right)
    counts: Value | None = None
    for value in (left, right):
        kinds = value.kind_tensor()
        numeric = (kinds == Kind.NUMBER) | (kinds == Kind.ERROR)
        if not bool(numeric.all()):
            mask = Value(numeric, value.axes, value.sizes, Kind.BOOLEAN)
            counts = mask if counts is None else builder.elementwise(torch.logical_and, counts, mask, kind=Kind.BOOLEAN)
    first, second = _as_numbers(context, left), _as_numbers(context, right)
    if counts is not None:  # an error beside a blank does not count, either
        first, second = (builder.where(counts, value, builder.number(0.0)) for value in (first, second))
    found = builder.reduce(torch.sum, combined(builder, first, second))
    if counts is None or builder.generic:  # one of many batches of samples may have no pair
        return found
    some = builder.reduced_bits(torch.any, counts)
    if bool(some.tensor.all()):
        return found
    return builder.spoiled(found, Value(~some.tensor, some.axes, some.sizes, Kind.BOOLEAN), Fault.DIV0)


def _in_a_column(builder: Builder, value: Value) -> Value:
    """An array with its elements one below the other, row by row."""
    copies = [(axis, size) for axis, size in zip(value.axes, value.sizes, strict=True) if axis not in "hw"]
    axes, sizes = "".join(axis for axis, _ in copies), tuple(size for _, size in copies)
    height, width = value.size("h"), value.size("w")
    whole = builder.expanded(builder.stored(value), f"{axes}hw", (*sizes, height, width))
    column = (*sizes, height * width)
    kinds = whole.kinds.reshape(column) if isinstance(whole.kinds, Tensor) else whole.kinds
    data = builder.method("reshape", whole.data, column)
    return replace(whole, data=data, axes=f"{axes}h", sizes=column, kinds=kinds)


def _square(builder: Builder, value: Value) -> Value:
    return operators.power(builder, value, builder.number(2.0))


def _squared_difference(builder: Builder, left: Value, right: Value) -> Value:
    return _square(builder, operators.subtract(builder, left, right))


def _sum_of_squares(builder: Builder, left: Value, right: Value) -> Value:
    return operators.add(builder, _square(builder, left), _square(builder, right))


def _difference_of_squares(builder: Builder, left: Value, right: Value) -> Value:
    return operators.subtract(builder, _square(builder, left), _square(builder, right))


@function(
    "SUMXMY2",
    over_samples=OverSamples.SUM,
    arguments=(2, 2),
    takes=Takes.ARRAYS,
    skips_blanks=True,
    sums_squares=True,
    examples={"SUMXMY2({1,2},{4,6})": 25},
)
def sumxmy2(context: Context, left: Value, right: Value) -> Value:
    """Sum of the squared differences of matching elements."""
    return _pairwise(context, left, right, _squared_difference)


@function(
    "SUMX2PY2",
    over_samples=OverSamples.SUM,
    arguments=(2, 2),
    takes=Takes.ARRAYS,
    skips_blanks=True,
    sums_squares=True,
    examples={"SUMX2PY2({1,2},{4,6})": 57},
)
def sumx2py2(context: Context, left: Value, right: Value) -> Value:
    """Sum of the squares of two arrays."""
    return _pairwise(context, left, right, _sum_of_squares)


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
    return _pairwise(context, left, right, _difference_of_squares)


@function(
    "PERCENTOF",
    arguments=(2, 2),
    takes=Takes.FORMULAS,
    examples={"PERCENTOF({1,2},{1,2,3,4})": 0.3, "PERCENTOF(A1:A2,A1:A4)": 0.3},
)
def percentof(context: Context, part: Node, whole: Node) -> Value:
    """The sum of a part as a share of the sum of all."""
    shares = Binary("/", Call("SUM", (part,)), Call("SUM", (whole,)))
    return context.lower(shares, array=context.array)
