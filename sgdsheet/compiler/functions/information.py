"""What a cell holds: a number, a text, nothing."""

from __future__ import annotations

from collections.abc import Mapping

import torch

from sgdsheet.compiler.functions.registry import Context, Derivative, OverSamples, Takes, function
from sgdsheet.compiler.ir.builder import Builder
from sgdsheet.compiler.ir.values import Fault, Kind, Value
from sgdsheet.errors import FormulaError
from sgdsheet.sheet.syntax import Area, Node, Omitted, Picked, Union


def _is_of(builder: Builder, value: Value, kinds: tuple[Kind, ...]) -> Value:
    """Which cells are of some kinds; an error that only shows while the program runs is none of them."""
    held = torch.isin(value.kind_tensor(), torch.tensor(kinds, dtype=torch.uint8))
    found = Value(held, value.axes, value.sizes, Kind.BOOLEAN)
    if value.constant or (errors := builder.errors_of(value)) is None:
        return found
    right = builder.elementwise(torch.logical_not, builder.conditions(errors), kind=Kind.BOOLEAN)
    return builder.elementwise(torch.logical_and, found, right, kind=Kind.BOOLEAN)


def _declare(name: str, help_text: str, examples: Mapping[str, bool], *kinds: Kind, opposite: bool = False) -> None:
    def implementation(context: Context, argument: Node) -> Value:
        builder = context.builder
        found = _is_of(builder, context.lower(argument, array=context.array), kinds)
        return builder.elementwise(torch.logical_not, found, kind=Kind.BOOLEAN) if opposite else found

    implementation.__doc__ = help_text
    function(
        name,
        arguments=(1, 1),
        takes=Takes.FORMULAS,
        derivative=Derivative.ZERO,
        over_samples=OverSamples.ELEMENTWISE,
        examples=examples,
    )(implementation)


_declare("ISNUMBER", "Whether something is a number.", {"ISNUMBER(4)": True, 'ISNUMBER("4")': False}, Kind.NUMBER)
_declare(
    "ISTEXT", "Whether something is a text.", {'ISTEXT("a")': True, "ISTEXT(B1)": True, "ISTEXT(A1)": False}, Kind.TEXT
)
_declare(
    "ISNONTEXT",
    "Whether something is no text.",
    {'ISNONTEXT("a")': False, "ISNONTEXT(Y1)": True},
    Kind.TEXT,
    opposite=True,
)
_declare(
    "ISLOGICAL",
    "Whether something is TRUE or FALSE.",
    {"ISLOGICAL(TRUE)": True, 'ISLOGICAL("TRUE")': False},
    Kind.BOOLEAN,
)
_declare(
    "ISBLANK", "Whether a cell is blank.", {"ISBLANK(Y1)": True, "ISBLANK(A1)": False, 'ISBLANK("")': False}, Kind.BLANK
)


@function(
    "N",
    arguments=(1, 1),
    takes=Takes.FORMULAS,
    over_samples=OverSamples.ELEMENTWISE,
    examples={"N(7)": 7, 'N("7")': 0, "N(TRUE)": 1},
)
def n(context: Context, argument: Node) -> Value:
    """A value as a number: TRUE is 1, a text is 0; of a range, its first cell."""
    builder = context.builder
    node = argument.first_cell() if isinstance(argument, Area) else argument
    value = context.lower(node, array=context.array)
    kinds = value.kind_tensor()
    is_text = Value(kinds == Kind.TEXT, value.axes, value.sizes, Kind.BOOLEAN)
    if not bool(is_text.tensor.any()):
        return builder.numbers(value)
    cleaned = torch.where(is_text.tensor, int(Kind.NUMBER), kinds).to(torch.uint8)
    data = builder.call(torch.where, is_text.tensor, 0.0, builder.stored(value).data)
    return builder.numbers(Value(data, value.axes, value.sizes).with_kinds(cleaned))


def _parity(context: Context, number: Value, wanted: float) -> Value:
    builder = context.builder
    whole = builder.elementwise(torch.abs, builder.elementwise(torch.trunc, number))
    rest = builder.elementwise(torch.remainder, whole, builder.number(2.0))
    found = builder.elementwise(torch.eq, rest, builder.number(wanted), kind=Kind.BOOLEAN)
    return builder.spoiled(found, builder.errors_of(number))


@function(
    "ISEVEN",
    arguments=(1, 1),
    booleans=False,
    derivative=Derivative.ZERO,
    examples={"ISEVEN(-1)": False, "ISEVEN(2.5)": True, "ISEVEN(TRUE)": "#VALUE!"},
)
def iseven(context: Context, number: Value) -> Value:
    """Whether the whole part of a number is even."""
    return _parity(context, number, 0.0)


@function(
    "ISODD",
    arguments=(1, 1),
    booleans=False,
    derivative=Derivative.ZERO,
    examples={"ISODD(-1)": True, "ISODD(2.5)": False, "ISODD(TRUE)": "#VALUE!"},
)
def isodd(context: Context, number: Value) -> Value:
    """Whether the whole part of a number is odd."""
    return _parity(context, number, 1.0)


@function(
    "ISREF",
    arguments=(1, 1),
    reference_arguments=[0],
    takes=Takes.FORMULAS,
    derivative=Derivative.ZERO,
    examples={"ISREF(A1)": True, 'ISREF("a")': False},
)
def isref(context: Context, argument: Node) -> Value:
    """Whether something is a reference."""
    return context.builder.boolean(isinstance(argument, (Area, Picked, Union)))


_TYPES = {Kind.NUMBER: 1.0, Kind.BLANK: 1.0, Kind.TEXT: 2.0, Kind.BOOLEAN: 4.0, Kind.ERROR: 16.0}


@function(
    "TYPE",
    arguments=(1, 1),
    takes=Takes.FORMULAS,
    derivative=Derivative.ZERO,
    examples={'TYPE("Smith")': 2, "TYPE(2)": 1, "TYPE({1,2;3,4})": 64, "TYPE(TRUE)": 4},
)
def type_(context: Context, argument: Node) -> Value:
    """The kind of a value: 1 number, 2 text, 4 logical, 16 error, 64 array."""
    builder = context.builder
    value = context.lower(argument, array=context.array or not isinstance(argument, Area))
    if value.is_array:
        return builder.number(64.0)
    if not value.constant and builder.errors_of(value) is not None:
        raise FormulaError("asks for the kind of something that may be an error", remedy="Use ISERROR")
    kinds = [_TYPES[Kind(kind)] for kind in value.kind_tensor().flatten().tolist()]
    return Value(torch.tensor(kinds, dtype=builder.dtype).reshape(value.sizes), value.axes, value.sizes)


@function(
    "COUNTBLANK",
    range_arguments=[0],
    arguments=(1, 1),
    takes=Takes.FORMULAS,
    derivative=Derivative.ZERO,
    examples={"COUNTBLANK(A1:A6)": 2, "COUNTBLANK(A1:C4)": 0},
)
def countblank(context: Context, area: Node) -> Value:
    """How many cells are blank or hold an empty text."""
    builder = context.builder
    if not isinstance(area, Area):
        raise FormulaError("counts blanks in something that is no range", remedy="Refer to cells")
    (cut,) = context.filled(area)
    cells = context.lower(cut, array=True)
    empty = cells.kind_tensor() == Kind.BLANK
    if cells.constant and cells.has(Kind.TEXT):
        empty = empty | ((cells.kind_tensor() == Kind.TEXT) & (cells.tensor == builder.text_code("")))
    counted = builder.reduce(torch.sum, Value(empty.to(builder.dtype), cells.axes, cells.sizes))
    unread = _size(context, area) - _size(context, cut)
    return builder.elementwise(torch.add, counted, builder.number(float(unread)))


def _size(context: Context, area: Node) -> int:
    height, width = context.shape(area) or (1, 1)
    return height * width


@function(
    "SHEETS",
    arguments=(0, 1),
    takes=Takes.FORMULAS,
    derivative=Derivative.ZERO,
    examples={"SHEETS()": 1, "SHEETS(A1)": 1, 'SHEETS("a")': "#N/A"},
)
def sheets(context: Context, reference: Node | None = None) -> Value:
    """How many sheets a reference has; without one, the workbook."""
    if reference is None or isinstance(reference, Omitted):
        return context.builder.number(float(len(context.sheet_numbers()[1])))
    return context.builder.number(1.0) if isinstance(reference, Area) else context.builder.error(Fault.NA)
