"""Determinants and inverses of matrices, unit matrices, power series."""

from __future__ import annotations

import torch
from torch import Tensor

from sgdsheet.compiler.functions.formulas import failing, inside
from sgdsheet.compiler.functions.plain import plain
from sgdsheet.compiler.functions.range_numbers import only_numbers, true_of_all
from sgdsheet.compiler.functions.registry import Context, Takes, function
from sgdsheet.compiler.ir.builder import Builder
from sgdsheet.compiler.ir.values import MOST_CELLS, Fault, Kind, Value
from sgdsheet.errors import FormulaError
from sgdsheet.sheet.workbook import ExcelError

_MOST = 2_000
"""Rows of a matrix that is inverted."""


def _square(builder: Builder, array: Value) -> Value | None:
    """The matrix with both of its axes; None if it is not square, or holds something that is no number."""
    height = array.size("h")
    if height != array.size("w") or not only_numbers(array):
        return None
    if height > _MOST:
        raise FormulaError(f"inverts a matrix of more than {_MOST:,} rows", remedy="Use a smaller one")
    copies = "".join(axis for axis in "RC" if axis in array.axes)
    sizes = (*(array.size(axis) for axis in copies), height, height)
    return builder.expanded(builder.cleaned(array), copies + "hw", sizes)


def _spoiled(builder: Builder, result: Value, array: Value) -> Value:
    errors = builder.errors_of(array)
    return result if errors is None else builder.spoiled(result, builder.any_error(errors))


@function(
    "MDETERM",
    arguments=(1, 1),
    takes=Takes.ARRAYS,
    examples={
        "MDETERM({1,3,8,5;1,3,6,1;1,1,1,0;7,3,10,2})": 88,
        "MDETERM({3,6;1,1})": -3,
        "MDETERM({1,2,3})": "#VALUE!",
    },
)
def mdeterm(context: Context, array: Value) -> Value:
    """Determinant of a matrix."""
    builder = context.builder
    square = _square(builder, array)
    if square is None:
        return builder.error(Fault.VALUE)
    result = Value(builder.call(torch.linalg.det, square.data), square.axes[:-2], square.sizes[:-2])
    return _spoiled(builder, builder.checked(result), array)


def _inverse(matrix: Tensor) -> Tensor:
    found: Tensor = torch.linalg.inv_ex(matrix)[0]
    return found


@function(
    "MINVERSE",
    arguments=(1, 1),
    takes=Takes.ARRAYS,
    examples={"INDEX(MINVERSE({4,-1;2,0}),1,2)": 0.5, "INDEX(MINVERSE({1,2,1;3,4,-1;0,2,0}),1,1)": 0.25},
)
def minverse(context: Context, array: Value) -> Value:
    """Inverse of a matrix."""
    builder = context.builder
    square = _square(builder, array)
    if square is None:
        return builder.error(Fault.VALUE)
    if isinstance(square.data, Tensor):
        singular = torch.linalg.inv_ex(square.data)[1] != 0
        condition = torch.linalg.cond(square.data)
        if true_of_all(singular, square.axes[:-2]):
            return builder.error(Fault.NUM)
        if bool((condition > 1e14).any()):
            raise FormulaError("inverts a matrix that is hardly invertible", remedy="Change the matrix")
    result = Value(builder.call(_inverse, square.data), square.axes, square.sizes)
    return _spoiled(builder, _without_single(builder, result), array)


def _without_single(builder: Builder, value: Value) -> Value:
    """Axes of length 1 are left out."""
    pairs = [(axis, size) for axis, size in zip(value.axes, value.sizes, strict=True) if axis in "RC" or size > 1]
    sizes = tuple(size for _, size in pairs)
    return Value(builder.method("reshape", value.data, sizes), "".join(axis for axis, _ in pairs), sizes)


@plain("MUNIT", examples={"SUM(MUNIT(3))": 3, "INDEX(MUNIT(2),1,2)": 0, "MUNIT(0)": "#VALUE!"})
def munit(size: float) -> list[list[float]] | ExcelError:
    """A unit matrix."""
    count = int(size)
    if count < 1:
        return ExcelError.VALUE
    if count * count > MOST_CELLS:
        raise FormulaError(f"makes a unit matrix of {count:,} rows", remedy="Use a smaller one")
    return [[float(row == column) for column in range(count)] for row in range(count)]


@function(
    "SERIESSUM",
    scalars=[0, 1, 2],
    arguments=(4, 4),
    takes=Takes.RANGES,
    fixed_arguments=[1, 2],
    examples={"SERIESSUM(3.14159265358979/4,0,2,{1,-0.5,0.041666666666666664,-0.001388888888888889})": 0.707103215},
)
def seriessum(context: Context, x: Value, first: Value, step: Value, coefficients: Value) -> Value:
    """Sum of a power series."""
    builder = context.builder
    if not coefficients.only(Kind.NUMBER) or any(value.axes for value in (x, first, step)):
        raise FormulaError("adds up a series of something else than numbers", remedy="Use single numbers")
    height, width = coefficients.size("h"), coefficients.size("w")
    order = torch.arange(height * width, dtype=builder.dtype).reshape(height, width)
    places = Value(order, "hw", (height, width))
    whole = builder.expanded(coefficients, coefficients.axes, coefficients.sizes)
    pairs = [(axis, size) for axis, size in (("h", height), ("w", width)) if size > 1]
    places = Value(
        order.reshape(tuple(size for _, size in pairs)),
        "".join(axis for axis, _ in pairs),
        tuple(size for _, size in pairs),
    )

    def terms(base: Tensor, start: Tensor, wide: Tensor, factors: Tensor, place: Tensor) -> Tensor:
        exponent = start + wide * place
        possible = (base != 0.0) | (exponent > 0.0)
        return failing(~possible, factors * torch.pow(inside(possible, base), exponent))

    numbers = [builder.numbers(value) for value in (x, first, step)]
    return builder.reduce(torch.sum, builder.elementwise(terms, *numbers, whole, places))
