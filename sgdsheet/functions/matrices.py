"""Matrices and their shapes, and picking from ranges."""

from __future__ import annotations

import operator
from dataclasses import replace

import torch

from sgdsheet.compiler.builder import Builder
from sgdsheet.compiler.contraction import contract
from sgdsheet.compiler.tensors import Kind, Value
from sgdsheet.errors import FormulaError
from sgdsheet.functions.registry import Context, Derivative, OverSamples, Takes, fixed, function
from sgdsheet.syntax import Node, Omitted

_SWAP = {"h": "w", "w": "h"}


@function(
    "MMULT",
    arguments=(2, 2),
    takes=Takes.ARRAYS,
    examples={"SUM(MMULT({1,2;3,4},{5;6}))": 56, "MMULT({1,2},{3;4})": 11},
)
def mmult(context: Context, left: Value, right: Value) -> Value:
    """Matrix product."""
    builder = context.builder
    if left.size("w") != right.size("h"):
        shapes = " and ".join(f"{value.size('h')}x{value.size('w')}" for value in (left, right))
        raise FormulaError(f"multiplies matrices that do not fit ({shapes})", remedy="Mend the ranges of MMULT")
    left, right = builder.numbers(left), builder.numbers(right)
    # The inner axis gets a name of its own, k, so that it is neither left's rows nor right's columns.
    product = contract(builder, left.renamed({"w": "k"}), right.renamed({"h": "k"}), "k")
    return builder.canonical(product)


@function(
    "TRANSPOSE",
    arguments=(1, 1),
    takes=Takes.ARRAYS,
    examples={"SUM(TRANSPOSE({1,2;3,4})*{1,10;100,1000})": 4231},
)
def transpose(context: Context, array: Value) -> Value:
    """Rows become columns."""
    return context.builder.canonical(array.renamed(_SWAP))


@function(
    "ROWS",
    over_samples=OverSamples.SIZE,
    arguments=(1, 1),
    takes=Takes.FORMULAS,
    derivative=Derivative.ZERO,
    examples={"ROWS({1,2;3,4;5,6})": 3},
)
def rows(context: Context, array: Node) -> Value:
    """How many rows a range has."""
    return context.builder.number(float(_shape(context, array)[0]))


@function(
    "COLUMNS",
    over_samples=OverSamples.SIZE,
    arguments=(1, 1),
    takes=Takes.FORMULAS,
    derivative=Derivative.ZERO,
    examples={"COLUMNS({1,2,3})": 3},
)
def columns(context: Context, array: Node) -> Value:
    """How many columns a range has."""
    return context.builder.number(float(_shape(context, array)[1]))


def _shape(context: Context, node: Node) -> tuple[int, int]:
    shape = context.shape(node)
    if shape is not None:
        return shape
    value = context.lower(node, array=True)
    return value.size("h"), value.size("w")


@function("ROW", arguments=(0, 1), takes=Takes.FORMULAS, derivative=Derivative.ZERO, examples={"ROW(B7)": 7})
def row(context: Context, reference: Node | None = None) -> Value:
    """Row number of a cell."""
    return context.position(reference)[0]


@function("COLUMN", arguments=(0, 1), takes=Takes.FORMULAS, derivative=Derivative.ZERO, examples={"COLUMN(B7)": 2})
def column(context: Context, reference: Node | None = None) -> Value:
    """Column number of a cell."""
    return context.position(reference)[1]


@function(
    "INDEX",
    arguments=(2, 3),
    takes=Takes.FORMULAS,
    fixed_arguments=[1, 2],
    gives_range=True,
    examples={"INDEX({1,2;3,4},2,1)": 3, "INDEX({5,6,7},2)": 6, "SUM(INDEX({1,2;3,4},0,2))": 6},
)
def index(context: Context, array: Node, row_node: Node, column_node: Node | None = None) -> Value:
    """The element at a row and column of a range; row or column 0 means all of it."""
    builder = context.builder
    height, width = _shape(context, array)
    rows_, columns_ = _place(context, row_node), _place(context, column_node)
    if column_node is None:
        if height == 1:
            rows_, columns_ = builder.number(1.0), rows_
        else:
            columns_ = builder.number(1.0 if width == 1 else 0.0)
    for place, limit in ((rows_, height), (columns_, width)):
        number = builder.cleaned(place).tensor  # where the position is an error, so is the result
        if not bool(((number >= 0) & (number <= limit)).all()):
            raise FormulaError(
                f"calls INDEX with a position outside of its {height}x{width} range",
                remedy="Mend the position",
            )
    if rows_.only(Kind.NUMBER) and columns_.only(Kind.NUMBER) and not (rows_.axes or columns_.axes):
        part = context.part(array, int(rows_.tensor), int(columns_.tensor))
        if part is not None:
            return context.lower(part, array=context.array)
    value = context.lower(array, array=True)
    for axis, place in (("h", rows_), ("w", columns_)):
        value = gathered(builder, value, axis, place)
    return value


def _place(context: Context, node: Node | None) -> Value:
    builder = context.builder
    if node is None or isinstance(node, Omitted):
        return builder.number(0.0)
    place = builder.numbers(fixed(context, node))
    return replace(place, data=place.tensor.trunc())


def gathered(builder: Builder, value: Value, axis: str, place: Value) -> Value:
    """One position (from 1) along `axis` for each copy of the formula; 0 means all of them."""
    errors = builder.errors_of(place)
    numbers = builder.cleaned(place).tensor
    if bool((numbers == 0).any()) and not bool((numbers == 0).all()):
        raise FormulaError("calls INDEX with 0 here and there", remedy="Mend the position")
    if bool((numbers == 0).all()) or axis not in value.axes:
        return builder.spoiled(value, errors)
    found = _taken(builder, value, axis, replace(place, data=(numbers - 1).long()))
    return builder.spoiled(builder.canonical(found), errors)


def _taken(builder: Builder, value: Value, axis: str, place: Value) -> Value:
    at = value.axes.index(axis)
    where, before, after = place.tensor, value.sizes[:at], value.sizes[at + 1 :]
    if not place.axes:
        data = builder.method("select", value.data, at, int(where))
        axes = value.axes.replace(axis, "")
        return value.picked(data, axes, before + after, lambda kinds: kinds.select(at, int(where)))
    if len(place.axes) == 1 and place.axes not in value.axes:
        picks = (slice(None),) * at + (where,)
        data = builder.call(operator.getitem, value.data, picks)
        axes, sizes = value.axes.replace(axis, place.axes), before + place.sizes + after
        return value.picked(data, axes, sizes, lambda kinds: kinds[picks])
    if axis in place.axes:
        raise FormulaError("calls INDEX with several positions", remedy="Refer to the cells directly")
    return _taken_along(builder, value, axis, place)


def _taken_along(builder: Builder, value: Value, axis: str, place: Value) -> Value:
    """Where each copy has both its own range and its own position."""
    axes, sizes = builder.union_axes([value, place])
    at = axes.index(axis)
    whole = builder.expanded(value, axes, sizes)
    one = (*sizes[:at], 1, *sizes[at + 1 :])
    where = builder.expanded(Value(place.tensor, place.axes, place.sizes), axes, sizes).tensor.narrow(at, 0, 1)
    data = builder.method("select", builder.call(torch.take_along_dim, whole.data, where.expand(one), at), at, 0)
    return whole.picked(
        data,
        axes.replace(axis, ""),
        (*sizes[:at], *sizes[at + 1 :]),
        lambda kinds: torch.take_along_dim(kinds, where.expand(one), at).select(at, 0),
    )
