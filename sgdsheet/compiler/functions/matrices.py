"""Matrices and their shapes, and picking from ranges."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import torch

from sgdsheet.compiler.functions.picking import gathered, picked_at
from sgdsheet.compiler.functions.places import Placer, Places, chosen, gives_reference, whole_numbers
from sgdsheet.compiler.functions.places import picked as picked_place
from sgdsheet.compiler.functions.registry import (
    Context,
    Derivative,
    Multiplies,
    OverSamples,
    Takes,
    function,
    refuse_unsettled,
)
from sgdsheet.compiler.ir.builder import Builder
from sgdsheet.compiler.ir.contraction import contract
from sgdsheet.compiler.ir.values import Fault, Kind, Value
from sgdsheet.errors import FormulaError
from sgdsheet.sheet.syntax import ErrorConstant, Node, Omitted, Union
from sgdsheet.sheet.workbook import ExcelError

_SWAP = {"h": "w", "w": "h"}


@function(
    "MMULT",
    over_samples=OverSamples.PRODUCT,
    multiplies=Multiplies.MATRICES,
    arguments=(2, 2),
    takes=Takes.ARRAYS,
    examples={"SUM(MMULT({1,2;3,4},{5;6}))": 56, "MMULT({1,2},{3;4})": 11},
)
def mmult(context: Context, left: Value, right: Value) -> Value:
    """Matrix product."""
    builder = context.builder
    if left.size("w") != right.size("h"):
        return builder.error(Fault.VALUE)
    refuse_unsettled(builder, left, right)
    strange = builder.boolean(False)
    factors = []
    for value in (left, right):
        numeric = torch.isin(value.kind_tensor(), torch.tensor([Kind.NUMBER, Kind.ERROR], dtype=torch.uint8))
        if not bool(numeric.all()):
            others = builder.reduced_bits(torch.any, Value(~numeric, value.axes, value.sizes, Kind.BOOLEAN))
            strange = builder.elementwise(torch.logical_or, strange, others, kind=Kind.BOOLEAN)
            kinds = torch.where(numeric, value.kind_tensor(), int(Kind.NUMBER)).to(torch.uint8)
            value = builder.stored(value).with_kinds(kinds)
        factors.append(value)
    if bool(strange.tensor.all()):
        return builder.error(Fault.VALUE)
    # The inner axis gets a name of its own, k, so that it is neither left's rows nor right's columns.
    product = contract(builder, factors[0].renamed({"w": "k"}), factors[1].renamed({"h": "k"}), "k")
    product = builder.canonical(product)
    return builder.spoiled(product, strange, Fault.VALUE) if bool(strange.tensor.any()) else product


@function(
    "TRANSPOSE",
    over_samples=OverSamples.TURNED,
    arguments=(1, 1),
    takes=Takes.ARRAYS,
    examples={"SUM(TRANSPOSE({1,2;3,4})*{1,10;100,1000})": 4231},
)
def transpose(context: Context, array: Value) -> Value:
    """Rows become columns."""
    return context.builder.canonical(array.renamed(_SWAP))


@function(
    "ROWS",
    over_samples=OverSamples.COUNT,
    arguments=(1, 1),
    reference_arguments=[0],
    takes=Takes.FORMULAS,
    derivative=Derivative.ZERO,
    examples={"ROWS({1,2;3,4;5,6})": 3},
)
def rows(context: Context, array: Node) -> Value:
    """How many rows a range has."""
    return _length(context, array, 0)


@function(
    "COLUMNS",
    over_samples=OverSamples.WIDTH,
    arguments=(1, 1),
    reference_arguments=[0],
    takes=Takes.FORMULAS,
    derivative=Derivative.ZERO,
    examples={"COLUMNS({1,2,3})": 3},
)
def columns(context: Context, array: Node) -> Value:
    """How many columns a range has."""
    return _length(context, array, 1)


def _length(context: Context, array: Node, way: int) -> Value:
    """How many rows (way 0) or columns an argument has; an error that is no array is the result."""
    length = context.builder.number(float(_shape(context, array)[way]))
    if context.shape(array) is not None:
        return length
    value = context.lower(array, array=True)
    single = not (value.is_array or value.reference)
    return context.builder.spoiled(length, context.builder.errors_of(value)) if single else length


def _shape(context: Context, node: Node) -> tuple[int, int]:
    shape = context.shape(node)
    if shape is not None:
        return shape
    value = context.lower(node, array=True)
    return value.size("h"), value.size("w")


@function(
    "ROW",
    arguments=(0, 1),
    reference_arguments=[0],
    takes=Takes.FORMULAS,
    derivative=Derivative.ZERO,
    tells_row=True,
    examples={"ROW(B7)": 7},
)
def row(context: Context, reference: Node | None = None) -> Value:
    """Row number of a cell."""
    return context.position(reference)[0]


@function(
    "COLUMN",
    arguments=(0, 1),
    reference_arguments=[0],
    takes=Takes.FORMULAS,
    derivative=Derivative.ZERO,
    examples={"COLUMN(B7)": 2},
)
def column(context: Context, reference: Node | None = None) -> Value:
    """Column number of a cell."""
    return context.position(reference)[1]


@function(
    "INDEX",
    arguments=(2, 4),
    names=("array", "row", "column", "area"),
    picks_area=True,
    takes=Takes.FORMULAS,
    derivative=Derivative.KINKED,
    zero_arguments=[1, 2],
    gives_range=True,
    examples={"INDEX({1,2;3,4},2,1)": 3, "INDEX({5,6,7},2)": 6},
)
def index(
    context: Context, array: Node, row_node: Node, column_node: Node | None = None, number: Node | None = None
) -> Value:
    """The element at a row and column of a range, or of one of several; row or column 0 means all of it."""
    array = _area(context, array, number)
    if context.shape(array) is None:
        single = context.lower(array, array=True)
        if single.only(Kind.ERROR) and not single.is_array:
            return single
    height, width = _shape(context, array)
    rows_, columns_ = (_in_common(context.builder, _place(context, node)) for node in (row_node, column_node))
    if column_node is None and min(height, width) > 1 and context.shape(array) is not None:
        return _without_column(context.builder, rows_)
    if not (rows_.constant and columns_.constant):
        return _at_run_time(context, array, rows_, columns_ if column_node is not None else None)
    builder = context.builder
    if column_node is None:
        if height == 1:
            rows_, columns_ = builder.number(1.0), rows_
        else:
            columns_ = builder.number(1.0 if width == 1 else 0.0)
    errors = [builder.errors_of(place) for place in (columns_, rows_)]  # which go before a position that is not there
    rows_, columns_ = _within(builder, rows_, height), _within(builder, columns_, width)
    if rows_.only(Kind.NUMBER) and columns_.only(Kind.NUMBER) and not (rows_.axes or columns_.axes):
        part = context.part(array, int(rows_.tensor), int(columns_.tensor))
        if part is not None:
            return context.lower(part, array=context.array)
    (cut,) = context.filled(array)
    heights, widths = _shape(context, cut)
    highest = [float(builder.cleaned(place).tensor.max()) for place in (rows_, columns_)]
    enough = highest[0] <= heights and highest[1] <= widths
    value = context.lower(cut if enough else array, array=True)
    pairs = [("h", rows_), ("w", columns_)]
    turned = "w" in rows_.axes and "h" in columns_.axes
    if turned:  # rows side by side and columns below each other: the other way round
        pairs = [(axis, place.renamed(_TURNED)) for axis, place in pairs]
    elif "w" in rows_.axes:  # the columns of the range go before the positions side by side come
        pairs.reverse()
    for axis, place in pairs:
        value = gathered(builder, value, axis, place)
    value = builder.canonical(value.renamed(_TURNED)) if turned else value
    for found in errors:
        value = builder.spoiled(value, found)
    return value


def _in_common(builder: Builder, place: Value) -> Value:
    """A position that is the same number for all copies of the formula, as one number; other samples have others."""
    if builder.generic or not (
        place.constant and place.axes and set(place.axes) <= set("RC") and place.only(Kind.NUMBER)
    ):
        return place
    first = place.tensor.reshape(-1)[0]
    return Value(first) if bool((place.tensor == first).all()) else place


def _without_column(builder: Builder, place: Value) -> Value:
    """The #REF! that Excel saved for one number and a range of several rows and columns."""
    found = builder.spoiled(builder.number(0.0), builder.boolean(True), Fault.REF)
    if not place.constant:
        return found
    wrong = Value(builder.cleaned(place).tensor < 0, place.axes, place.sizes, Kind.BOOLEAN)
    return builder.spoiled(builder.spoiled(found, wrong, Fault.VALUE), builder.errors_of(place))


_TURNED = {"h": "w", "w": "h"}


def _area(context: Context, array: Node, number: Node | None) -> Node:
    """The range with a number, of several."""
    areas = array.areas if isinstance(array, Union) else (array,)
    if number is None:
        return areas[0]
    place = _place(context, number)
    if not place.constant or place.axes:
        raise FormulaError("calls INDEX with an area that is no single number", remedy="Write a fixed number")
    found = int(context.builder.cleaned(place).tensor)
    if place.has(Kind.ERROR) or not 1 <= found <= len(areas):
        return ErrorConstant(ExcelError.REF)
    return areas[found - 1]


@gives_reference("INDEX", references=[0])
def _index(placer: Placer, arguments: Sequence[Node]) -> Places:
    area, row_node, *rest = arguments
    if isinstance(area, Union):
        one = torch.ones_like(placer.places(area.areas[0]).top)
        number = whole_numbers(placer, rest[1] if len(rest) > 1 else None, one)
        found = chosen(placer, number, area.areas)
        found = found.failing((found.fault == int(Fault.VALUE)) * int(Fault.REF))
    else:
        found = placer.places(area)
    zero = torch.zeros_like(found.top)
    rows_, row_fault = whole_numbers(placer, row_node, zero)
    columns_, column_fault = whole_numbers(placer, rest[0] if rest else None, zero)
    if not rest:
        flat = (found.height == 1) & (found.width > 1)
        rows_, columns_ = torch.where(flat, zero, rows_), torch.where(flat, rows_, zero)
        square = (found.height > 1) & (found.width > 1)
        found = found.failing(torch.where(square, torch.where(rows_ < 0, int(Fault.VALUE), int(Fault.REF)), 0))
    return picked_place(found, rows_, columns_).failing(row_fault).failing(column_fault)


def _within(builder: Builder, place: Value, limit: int) -> Value:
    """A fixed position with an error where there is no such row or column."""
    number = builder.cleaned(place).tensor
    for outside, fault in ((number > limit, Fault.REF), (number < 0, Fault.VALUE)):
        if bool(outside.any()):
            known = builder.errors_of(place)
            wrong = Value(outside, place.axes, place.sizes, Kind.BOOLEAN)
            place = builder.spoiled(builder.spoiled(place, wrong, fault), known)
    return place


def _at_run_time(context: Context, array: Node, row_place: Value, column_place: Value | None) -> Value:
    """INDEX where data or parameters decide the position."""
    builder = context.builder
    value = context.lower(array, array=True)
    if column_place is None:
        single = value.size("h") == 1
        if not single and value.size("w") > 1:
            raise FormulaError(
                "calls INDEX for a whole row that data or parameters decide", remedy="Give the column, too"
            )
        pairs = [("w" if single else "h", row_place)]
    else:
        pairs = [("h", row_place), ("w", column_place)]
    sizes = {"h": value.size("h"), "w": value.size("w")}
    for axis, place in pairs:
        if place.constant:
            value = gathered(builder, value, axis, _within(builder, place, sizes[axis]))
        else:
            value = picked_at(builder, value, axis, place)
    return value


def _place(context: Context, node: Node | None) -> Value:
    builder = context.builder
    if node is None or isinstance(node, Omitted):
        return builder.number(0.0)
    place = builder.numbers(context.lower(node, array=context.array))
    if not place.constant:
        return replace(place, data=builder.call(torch.trunc, place.data))
    return replace(place, data=place.tensor.trunc())
