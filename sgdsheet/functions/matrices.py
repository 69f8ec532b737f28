"""Matrices and their shapes, and picking from ranges."""

from __future__ import annotations

import operator

import torch

from sgdsheet.contraction import contract
from sgdsheet.errors import FormulaError
from sgdsheet.functions.registry import Context, Derivative, Takes, function
from sgdsheet.syntax import Node, Omitted
from sgdsheet.tensors import Builder, Kind, Value

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


@function("TRANSPOSE", arguments=(1, 1), takes=Takes.ARRAYS, examples={"SUM(TRANSPOSE({1,2;3,4})*{1,10;100,1000})": 4231})
def transpose(context: Context, array: Value) -> Value:
    """Rows become columns."""
    return context.builder.canonical(array.renamed(_SWAP))


@function("ROWS", arguments=(1, 1), takes=Takes.FORMULAS, derivative=Derivative.ZERO, examples={"ROWS({1,2;3,4;5,6})": 3})
def rows(context: Context, array: Node) -> Value:
    """How many rows a range has."""
    return context.builder.number(float(_shape(context, array)[0]))


@function("COLUMNS", arguments=(1, 1), takes=Takes.FORMULAS, derivative=Derivative.ZERO, examples={"COLUMNS({1,2,3})": 3})
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
        if bool((place.tensor > limit).any()) or bool((place.tensor < 0).any()):
            raise FormulaError(
                f"calls INDEX with a position outside of its {height}x{width} range", remedy="Mend the position"
            )
    if rows_.tensor.dim() == 0 and columns_.tensor.dim() == 0:
        picked = context.pick(array, int(rows_.tensor), int(columns_.tensor))
        if picked is not None:
            return picked
    value = context.lower(array, array=True)
    for axis, place in (("h", rows_), ("w", columns_)):
        value = _gather(builder, value, axis, place)
    return value


def _place(context: Context, node: Node | None) -> Value:
    builder = context.builder
    if node is None or isinstance(node, Omitted):
        return builder.number(0.0)
    place = builder.numbers(context.lower(node, array=context.array))
    if not place.constant or place.has(Kind.ERROR):
        raise FormulaError("calls INDEX with a position that depends on a parameter", remedy="Use a fixed position")
    return Value(place.tensor.trunc(), place.axes, place.sizes)


def _gather(builder: Builder, value: Value, axis: str, place: Value) -> Value:
    """Take one position along `axis` for each copy of the formula."""
    if bool((place.tensor == 0).all()):
        return value
    if axis not in value.axes:
        return value
    at = value.axes.index(axis)
    if place.tensor.dim() == 0:
        data = builder.call(torch.select, value.data, at, int(place.tensor) - 1)
        kinds = value.kinds.select(at, int(place.tensor) - 1) if isinstance(value.kinds, torch.Tensor) else value.kinds
        axes, sizes = value.axes.replace(axis, ""), value.sizes[:at] + value.sizes[at + 1 :]
        return Value(data, axes, sizes, kinds, value.reference)
    if len(place.axes) != 1 or place.axes in value.axes or isinstance(value.kinds, torch.Tensor):
        raise FormulaError("calls INDEX in a way that is not supported", remedy="Refer to the cells directly")
    where = (place.tensor - 1).long()
    data = builder.call(operator.getitem, value.data, (slice(None),) * at + (where,))
    axes = value.axes.replace(axis, place.axes)
    sizes = value.sizes[:at] + place.sizes + value.sizes[at + 1 :]
    return builder.canonical(Value(data, axes, sizes, value.kinds, value.reference))
