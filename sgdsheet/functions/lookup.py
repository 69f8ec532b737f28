"""Looking things up: the key is fixed, what is found may depend on parameters."""

from __future__ import annotations

import math

import torch

from sgdsheet.errors import FormulaError
from sgdsheet.functions import operators
from sgdsheet.functions.logical import chosen_by
from sgdsheet.functions.picking import gathered
from sgdsheet.functions.registry import Context, Derivative, OverSamples, Takes, fixed, function
from sgdsheet.syntax import Binary, Node, Number
from sgdsheet.tensors.builder import Builder
from sgdsheet.tensors.values import Kind, Value
from sgdsheet.tensors.varying import varying


@function(
    "CHOOSE",
    over_samples=OverSamples.ELEMENTWISE,
    arguments=(2, 254),
    takes=Takes.FORMULAS,
    derivative=Derivative.KINKED,
    zero_arguments=[0],
    gives_range=True,
    examples={"CHOOSE(2,5,6,7)": 6, "CHOOSE(1.9,5,6)": 5, "SUM(CHOOSE(1,A1:A4,C1:C4))": 100},
)
def choose(context: Context, index: Node, *choices: Node) -> Value:
    """The choice with a number."""

    def from_(position: int) -> Value:
        if position > len(choices):
            return context.builder.error()
        below_next = Binary("<", index, Number(float(position + 1)))
        return chosen_by(context, below_next, choices[position - 1], lambda: from_(position + 1))

    too_small = Binary("<", index, Number(1.0))
    error = Binary("/", Number(1.0), Number(0.0))
    return chosen_by(context, too_small, error, lambda: from_(1))


@function(
    "SWITCH",
    over_samples=OverSamples.ELEMENTWISE,
    arguments=(3, 254),
    takes=Takes.FORMULAS,
    derivative=Derivative.KINKED,
    zero_arguments=[0, *range(1, 254, 2)],
    examples={"SWITCH(2,1,5,2,6)": 6, 'SWITCH("b","a",5,"c",6,7)': 7},
)
def switch(context: Context, value: Node, *pairs: Node) -> Value:
    """The result behind the first value that is equal, or the last argument."""
    if not pairs:
        return context.builder.error()
    if len(pairs) == 1:
        return context.lower(pairs[0], array=context.array)
    wanted, result, *rest = pairs
    return chosen_by(context, Binary("=", value, wanted), result, lambda: switch(context, value, *rest))


def _position(context: Context, key: Value, cells: Value, mode: int) -> Value:
    """Where the key stands in a row or column, from 1. Mode 0: exactly; 1 or -1: last at most or least."""
    builder = context.builder
    if not cells.constant or not key.constant:
        raise varying(builder, "looks something up by a value that depends on", cells, key, remedy="Use fixed values")
    along = "h" if "h" in cells.axes else "w"
    if key.is_array or ("h" in cells.axes and "w" in cells.axes):
        raise FormulaError("looks something up in more than one row or column", remedy="Look in one")
    if mode == 0 and _has_wildcards(builder, key):
        raise FormulaError("looks up text with wildcards", remedy="Look for the whole text")
    key = _with_zeros(key)
    met = operators.compare(builder, {0: "=", 1: "<=", -1: ">="}[mode], cells, key)
    axes, sizes = builder.union_axes([cells, key])
    same = builder.elementwise(torch.eq, _ranks(cells), _ranks(key), kind=Kind.BOOLEAN)
    found = builder.elementwise(torch.logical_and, builder.conditions(met), same, kind=Kind.BOOLEAN)
    hits = builder.expanded(found, axes, sizes).tensor
    if along not in axes:
        place = torch.where(hits, 1.0, torch.nan).to(builder.dtype)
        return builder.checked(Value(place, axes, sizes))
    at = axes.index(along)
    count = torch.arange(1, hits.shape[at] + 1).reshape([-1 if axis == along else 1 for axis in axes])
    places = torch.where(hits, count, 0) if mode else torch.where(hits, -count, -hits.shape[at] - 1)
    best = places.amax(dim=at).abs()
    missing = (best == 0) | (best > hits.shape[at])
    data = torch.where(missing, torch.nan, best.to(builder.dtype))
    return builder.checked(Value(data, axes.replace(along, ""), (*sizes[:at], *sizes[at + 1 :])))


def _has_wildcards(builder: Builder, key: Value) -> bool:
    codes = key.tensor[key.kind_tensor() == Kind.TEXT].tolist()
    return any(set("*?~") & set(builder.texts[int(code)]) for code in codes)


def _with_zeros(key: Value) -> Value:
    """A blank key is the number 0; an error (told from cells with one) is found nowhere."""
    kinds = key.kind_tensor()
    kinds = torch.where(kinds == Kind.BLANK, int(Kind.NUMBER), kinds)
    return key.with_kinds(torch.where(kinds == Kind.ERROR, int(Kind.BLANK), kinds).to(torch.uint8))


def _ranks(value: Value) -> Value:
    """Keys match cells of their own kind only."""
    return Value(value.kind_tensor().to(torch.int64), value.axes, value.sizes)


def _mode(context: Context, node: Node | None, default: int) -> int:
    if node is None:
        return default
    value = context.builder.numbers(fixed(context, node))
    if value.axes or value.has(Kind.ERROR):
        raise FormulaError("has a way to match that is no number", remedy="Use 0 to find the key exactly")
    return int(torch.sign(value.tensor))


@function(
    "MATCH",
    arguments=(2, 3),
    takes=Takes.FORMULAS,
    derivative=Derivative.ZERO,
    fixed_arguments=[0, 1, 2],
    examples={"MATCH(30,A1:A4,0)": 3, "MATCH(35,A1:A4)": 3, 'MATCH("FEMALE",B1:B4,0)': 2},
)
def match(context: Context, key: Node, area: Node, mode: Node | None = None) -> Value:
    """Where a key stands in a row or column."""
    return _position(context, fixed(context, key), fixed(context, area, array=True), _mode(context, mode, 1))


def _part(context: Context, table: Node, *, row: int | None = None, column: int | None = None) -> Value:
    """One row or column of a table, from 1."""
    shape, found = context.shape(table), context.part(table, row or 0, column or 0)
    if shape is None or found is None:
        raise FormulaError("looks something up in what is not a range", remedy="Refer to cells")
    for name, number, limit in (("row", row, shape[0]), ("column", column, shape[1])):
        if number is not None and not 1 <= number <= limit:
            raise FormulaError(
                f"takes {name} {number} of a table with {limit} {name}{'s' * (limit > 1)}",
                remedy=f"Give the number of a {name} inside of the table",
            )
    return context.lower(found, array=True)


def _number(context: Context, node: Node) -> int:
    value = context.builder.numbers(fixed(context, node))
    if value.axes or not bool(value.tensor.isfinite()):
        raise FormulaError("has a column number that differs from cell to cell", remedy="Write a fixed number")
    return math.floor(float(value.tensor))


@function(
    "VLOOKUP",
    arguments=(3, 4),
    takes=Takes.FORMULAS,
    fixed_arguments=[0, 2, 3],
    examples={"VLOOKUP(30,A1:C4,3,FALSE)": 1, "VLOOKUP(35,A1:C4,1)": 30},
)
def vlookup(context: Context, key: Node, table: Node, column: Node, about: Node | None = None) -> Value:
    """What stands in a column of the row whose first cell is the key."""
    keys = _part(context, table, column=1)
    mode = 1 if about is None else abs(_mode(context, about, 1))
    place = _position(context, fixed(context, key), keys, mode)
    return gathered(context.builder, _part(context, table, column=_number(context, column)), "h", place)


@function(
    "HLOOKUP",
    arguments=(3, 4),
    takes=Takes.FORMULAS,
    fixed_arguments=[0, 2, 3],
    examples={"HLOOKUP(10,A1:C4,2,FALSE)": 20},
)
def hlookup(context: Context, key: Node, table: Node, row: Node, about: Node | None = None) -> Value:
    """What stands in a row of the column whose first cell is the key."""
    keys = _part(context, table, row=1)
    mode = 1 if about is None else abs(_mode(context, about, 1))
    place = _position(context, fixed(context, key), keys, mode)
    return gathered(context.builder, _part(context, table, row=_number(context, row)), "w", place)


@function(
    "XLOOKUP",
    arguments=(3, 5),
    takes=Takes.FORMULAS,
    fixed_arguments=[0, 1, 4],
    examples={'XLOOKUP("female",B1:B4,A1:A4)': 20, 'XLOOKUP("none",B1:B4,A1:A4,9)': 9},
)
def xlookup(
    context: Context,
    key: Node,
    area: Node,
    results: Node,
    missing: Node | None = None,
    mode: Node | None = None,
) -> Value:
    """What stands beside a key."""
    builder = context.builder
    keys = fixed(context, area, array=True)
    if _mode(context, mode, 0) != 0:
        raise FormulaError("calls XLOOKUP with another match mode than 0", remedy="Look for the exact key")
    place = _position(context, fixed(context, key), keys, 0)
    along, beside = "h" if "h" in keys.axes else "w", context.lower(results, array=True)
    if keys.is_array and keys.size(along) != beside.size(along):
        shapes = " and ".join(f"{value.size('h')}x{value.size('w')}" for value in (keys, beside))
        raise FormulaError(f"looks something up in ranges that do not fit ({shapes})", remedy="Mend the ranges")
    found = gathered(builder, beside, along, place)
    errors = builder.errors_of(place)
    if errors is None or missing is None:
        return found
    return builder.where(errors, context.lower(missing, array=context.array), found)
