"""Multiply and sum: what SUMPRODUCT and MMULT are, as matrix products where the axes allow it."""

from __future__ import annotations

import math
from dataclasses import replace

import torch

from sgdsheet.compiler.ir.builder import Builder
from sgdsheet.compiler.ir.recording import Data
from sgdsheet.compiler.ir.values import Kind, Value, refuse_large
from sgdsheet.errors import FormulaError

_MOST_PRODUCTS = 20_000_000_000
"""Multiplications of one matrix product, at most: so many take seconds."""


def contract(builder: Builder, left: Value, right: Value, over: str) -> Value:
    """Multiply values and sum over some axes: a matrix product where the axes allow it.

    Raises FormulaError for products that are too many to be calculated.
    """
    errors = [builder.errors_of(value) for value in (left, right)]
    if any(errors):
        result = contract(builder, builder.cleaned(left), builder.cleaned(right), over)
        for found in reversed(errors):
            result = result if found is None else builder.spoiled(result, builder.any_error(found, over))
        return result
    common = "".join(axis for axis in over if axis in left.axes and axis in right.axes)
    builder.union_axes([_only(left, common), _only(right, common)])
    alone = "".join(axis for axis in over if axis not in common)
    left, right = builder.reduce(torch.sum, left, alone), builder.reduce(torch.sum, right, alone)
    shared = set(left.axes) & set(right.axes) - set(over)
    if shared or not common:
        return builder.reduce(torch.sum, builder.elementwise(torch.mul, left, right), over)
    return _matrix_product(builder, left, right, common)


def _matrix_product(builder: Builder, left: Value, right: Value, over: str) -> Value:
    kept = [
        [(axis, size) for axis, size in zip(value.axes, value.sizes, strict=True) if axis not in over]
        for value in (left, right)
    ]
    axes = "".join(axis for part in kept for axis, _ in part)
    sizes = tuple(size for part in kept for _, size in part)
    refuse_large(math.prod(sizes))
    products = math.prod(sizes) * math.prod(left.size(axis) for axis in over)
    if products > _MOST_PRODUCTS:
        raise FormulaError(
            f"multiplies {products:,} pairs of numbers at once, and {_MOST_PRODUCTS:,} can be handled",
            remedy="Use smaller ranges",
        )
    if len(over) == 1 and len(kept[0]) <= 1 and len(kept[1]) <= 1:
        first = _ordered(builder, left, kept[0], over, last=True)
        second = _ordered(builder, right, kept[1], over, last=False)
        return builder.count(Value(builder.call(torch.matmul, first, second), axes, sizes))
    dims = ([left.axes.index(axis) for axis in over], [right.axes.index(axis) for axis in over])
    return builder.count(Value(builder.call(torch.tensordot, left.data, right.data, dims=dims), axes, sizes))


def _ordered(builder: Builder, value: Value, kept: list[tuple[str, int]], over: str, *, last: bool) -> Data:
    """A matrix with the axis to be summed at the end (left factor) or at the start (right factor)."""
    order = kept[0][0] + over if kept and last else over + (kept[0][0] if kept else "")
    if order == value.axes:
        return value.data
    return builder.method("t", value.data)


def _only(value: Value, axes: str) -> Value:
    pairs = [(axis, size) for axis, size in zip(value.axes, value.sizes, strict=True) if axis in axes]
    return replace(value, axes="".join(a for a, _ in pairs), sizes=tuple(s for _, s in pairs), kinds=Kind.NUMBER)
