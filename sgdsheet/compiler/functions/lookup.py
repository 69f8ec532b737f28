"""Looking things up: the cells that are searched are fixed, the key and what is found may depend on parameters."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import torch

from sgdsheet.compiler.functions.logical import chosen_by
from sgdsheet.compiler.functions.picking import gathered
from sgdsheet.compiler.functions.places import (
    Placer,
    Places,
    chosen,
    gives_reference,
    is_reference,
    no_reference,
    picked,
    whole_numbers,
)
from sgdsheet.compiler.functions.plain import Cell, plain
from sgdsheet.compiler.functions.registry import Context, Derivative, OverSamples, Takes, fixed, function
from sgdsheet.compiler.functions.searching import Way, ascends_strictly, find
from sgdsheet.compiler.ir.values import Fault, Kind, Value
from sgdsheet.compiler.ir.varying import varying
from sgdsheet.errors import FormulaError
from sgdsheet.sheet.references import MAX_COLUMN, MAX_ROW, column_letters, quote_sheet
from sgdsheet.sheet.syntax import Area, Binary, Call, ErrorConstant, Node, Number, Omitted, Picked, Union
from sgdsheet.sheet.workbook import ExcelError


@function(
    "CHOOSE",
    chooses=True,
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
    index = Binary("*", index, Number(1.0))  # TRUE is 1 here

    def from_(position: int) -> Value:
        if position > len(choices):
            return context.builder.error(Fault.VALUE)
        below_next = Binary("<", index, Number(float(position + 1)))
        return chosen_by(context, below_next, choices[position - 1], lambda: from_(position + 1))

    too_small = Binary("<", index, Number(1.0))
    return chosen_by(context, too_small, ErrorConstant(ExcelError.VALUE), lambda: from_(1))


@gives_reference("CHOOSE", references=lambda position, _: position > 0)
def _choose(placer: Placer, arguments: Sequence[Node]) -> Places:
    number, *choices = arguments
    return chosen(placer, whole_numbers(placer, Binary("*", number, Number(1.0)), torch.zeros(())), choices)


@function(
    "SWITCH",
    chooses=True,
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
        return context.builder.error(Fault.NA)
    if len(pairs) == 1:
        return context.lower(pairs[0], array=context.array)
    wanted, result, *rest = pairs
    return chosen_by(context, Binary("=", value, wanted), result, lambda: switch(context, value, *rest))


@gives_reference(
    "SWITCH", references=lambda position, count: position > 0 and (position % 2 == 0 or position == count - 1)
)
def _switch(placer: Placer, arguments: Sequence[Node]) -> Places:
    value, *pairs = arguments
    if len(pairs) < 2:
        if pairs:
            return placer.places(pairs[0])
        _, fault = placer.numbers(value)
        return Places.errors(torch.full_like(fault, int(Fault.NA)))
    wanted, result, *rest = pairs
    same, fault = placer.truths(Binary("=", value, wanted))
    found = placer.places(result).where(same, _switch(placer, [value, *rest]))
    return Places.errors(fault).where(fault != 0, found)


def _mode(context: Context, node: Node | None, default: int) -> int:
    """The sign of an argument that says how to match."""
    return int(torch.sign(torch.tensor(fixed_number(context, node, default))))


def fixed_number(context: Context, node: Node | None, default: float) -> float:
    """A fixed argument that is one number."""
    if node is None:
        return default
    return _single(context.builder.numbers(fixed(context, node)))


def _single(value: Value) -> float:
    if value.axes or not bool(value.tensor.isfinite()):
        raise FormulaError("has an option that is no single number", remedy="Write a fixed number")
    return float(value.tensor)


@function(
    "MATCH",
    arguments=(2, 3),
    takes=Takes.FORMULAS,
    derivative=Derivative.ZERO,
    zero_arguments=[0],
    fixed_arguments=[1, 2],
    examples={"MATCH(30,A1:A4,0)": 3, "MATCH(35,A1:A4)": 3, 'MATCH("FEMALE",B1:B4,0)': 2},
)
def match(context: Context, key: Node, area: Node, mode: Node | None = None) -> Value:
    """Where a key stands in a row or column."""
    (cut,) = context.filled(area)
    way = {0: Way.PATTERN, 1: Way.ASCENDING, -1: Way.DESCENDING}[_mode(context, mode, 1)]
    return find(context.builder, context.lower(key, array=context.array), fixed(context, cut, array=True), way)


def _looked_up(context: Context, key: Node, table: Node, number: Node, about: Node | None, axis: str) -> Value:
    """VLOOKUP (axis h) and HLOOKUP: what stands beside the key in the column or row with a number."""
    builder = context.builder
    (table,) = context.filled(table)
    across = "w" if axis == "h" else "h"
    shape, value = context.shape(table), None
    if shape is None:
        value = context.lower(table, array=True)
        shape = value.size("h"), value.size("w")
    limit = shape[0 if axis == "w" else 1]
    keys = _line(context, table, value, across, 1)
    truth = None if about is None else builder.numbers(builder.truths(fixed(context, about)))
    way = Way.ASCENDING if truth is None or _single(truth) else Way.PATTERN
    wanted = context.lower(key, array=context.array)
    place = find(builder, wanted, keys, way)
    numbers = builder.numbers(fixed(context, number))
    floors = replace(numbers, data=builder.cleaned(numbers).tensor.floor())
    for outside, fault in ((floors.tensor > limit, Fault.REF), (floors.tensor < 1, Fault.VALUE)):
        wrong = Value(outside, floors.axes, floors.sizes, Kind.BOOLEAN)
        place = builder.spoiled(place, wrong, fault) if bool(outside.any()) else place
    wrong_number = builder.errors_of(numbers)  # an argument that is an error goes before one that does not fit
    if wrong_number is not None:
        place = builder.spoiled(place, builder.conditions(wrong_number), Fault.REF)
    place = builder.spoiled(place, builder.errors_of(wanted))
    taken = floors.tensor.clamp(1, limit)
    if floors.axes and bool((taken != taken.reshape(-1)[0]).any()):
        whole = value if value is not None else context.lower(table, array=True)
        beside = gathered(builder, whole, across, replace(floors, data=taken, kinds=Kind.NUMBER))
        return gathered(builder, beside, axis, place)
    beside = _line(context, table, value, across, int(taken.reshape(-1)[0]))
    return gathered(builder, _beside_numbers(beside, keys, axis, place), axis, place)


def _beside_numbers(beside: Value, keys: Value, axis: str, place: Value) -> Value:
    """What stands beside cells that are searched for a number which a parameter decides.

    What stands beside texts, such as a header, is never found: it counts as a number.
    """
    if place.constant or not beside.constant or beside.axes != axis or keys.axes != axis:
        return beside
    found = keys.kind_tensor() == Kind.NUMBER
    if len(found) != beside.size(axis):
        return beside
    kinds = torch.where(found, beside.kind_tensor(), int(Kind.NUMBER)).to(torch.uint8)
    return replace(beside, data=torch.where(found, beside.tensor, 0)).with_kinds(kinds)


def _line(context: Context, table: Node, value: Value | None, across: str, number: int) -> Value:
    """One column (across w) or row of a table, from 1."""
    if value is None:
        part = context.part(table, *((0, number) if across == "w" else (number, 0)))
        assert part is not None
        return context.lower(part, array=True)
    return gathered(context.builder, value, across, context.builder.number(float(number)))


@function(
    "VLOOKUP",
    arguments=(3, 4),
    takes=Takes.FORMULAS,
    zero_arguments=[0],
    fixed_arguments=[2, 3],
    examples={"VLOOKUP(30,A1:C4,3,FALSE)": 1, "VLOOKUP(35,A1:C4,1)": 30},
)
def vlookup(context: Context, key: Node, table: Node, column: Node, about: Node | None = None) -> Value:
    """What stands in a column of the row whose first cell is the key."""
    return _looked_up(context, key, table, column, about, "h")


@function(
    "HLOOKUP",
    arguments=(3, 4),
    takes=Takes.FORMULAS,
    zero_arguments=[0],
    fixed_arguments=[2, 3],
    examples={"HLOOKUP(10,A1:C4,2,FALSE)": 20},
)
def hlookup(context: Context, key: Node, table: Node, row: Node, about: Node | None = None) -> Value:
    """What stands in a row of the column whose first cell is the key."""
    return _looked_up(context, key, table, row, about, "w")


_MATCH_MODES = {0.0: Way.EXACT, -1.0: Way.BELOW, 1.0: Way.ABOVE, 2.0: Way.PATTERN}
_SEARCH_MODES = {1.0: False, -1.0: True}
"""Whether a search mode wants the last match, not the first. The modes 2 and -2 bisect."""


def _ways(
    context: Context, name: str, key: Value, keys: Value, match_mode: Node | None, search_mode: Node | None
) -> tuple[Way, bool]:
    """How XLOOKUP and XMATCH match, and whether the last match is wanted."""
    matching, searching = (None if isinstance(mode, Omitted) else mode for mode in (match_mode, search_mode))
    way, mode = _MATCH_MODES.get(fixed_number(context, matching, 0.0)), fixed_number(context, searching, 1.0)
    bisects = abs(mode) == 2 and way is not Way.PATTERN and ascends_strictly(context.builder, keys, down=mode < 0)
    last = False if bisects else _SEARCH_MODES.get(mode)
    if way is None or last is None:
        raise FormulaError(
            f"calls {name} with a way to match or to search that is not supported",
            remedy="Match by 0, -1, 1 or 2, and search by 1 or -1, or by 2 or -2 in cells that are in order",
        )
    if key.has(Kind.BLANK):
        raise FormulaError(f"calls {name} with a key that is blank", remedy="Look for something")
    return way, last


@function(
    "XLOOKUP",
    arguments=(3, 6),
    takes=Takes.FORMULAS,
    zero_arguments=[0],
    fixed_arguments=[1, 4, 5],
    examples={
        'XLOOKUP("female",B1:B4,A1:A4)': 20,
        'XLOOKUP("none",B1:B4,A1:A4,9)': 9,
        "XLOOKUP(25,{10,20,30},{1,2,3},0,-1)": 2,
        "XLOOKUP(25,{10,20,30},{1,2,3},0,1)": 3,
        'XLOOKUP("m*",B1:B4,A1:A4,0,2,-1)': 40,
        "XLOOKUP(25,{10,20,30},{1,2,3},0,-1,2)": 2,
    },
)
def xlookup(
    context: Context,
    key: Node,
    area: Node,
    results: Node,
    missing: Node | None = None,
    match_mode: Node | None = None,
    search_mode: Node | None = None,
) -> Value:
    """What stands beside a key."""
    builder = context.builder
    area, results = context.filled(area, results)
    keys, wanted = fixed(context, area, array=True), context.lower(key, array=context.array)
    way, last = _ways(context, "XLOOKUP", wanted, keys, match_mode, search_mode)
    place = find(builder, wanted, keys, way, last=last)
    along, beside = "h" if "h" in keys.axes else "w", context.lower(results, array=True)
    if keys.is_array and keys.size(along) != beside.size(along):
        return builder.error(Fault.VALUE)
    found = gathered(builder, _beside_numbers(beside, keys, along, place), along, place)
    # A key that is itself an error is not missing: the result is that error.
    errors = builder.errors_of(builder.spoiled(place, builder.errors_of(wanted)))
    if errors is None or missing is None or isinstance(missing, Omitted):
        return found
    unfound = builder.where(errors, context.lower(missing, array=context.array), found)
    return builder.spoiled(unfound, builder.errors_of(wanted))


@gives_reference("XLOOKUP", references=[2, 3])
def _xlookup(placer: Placer, arguments: Sequence[Node]) -> Places:
    key, area, results, *options = arguments
    missing = options[0] if options and not isinstance(options[0], Omitted) else None
    if not is_reference(area):
        raise no_reference(area)
    keys, found = placer.places(area), placer.places(results)
    place, fault = whole_numbers(placer, Call("XMATCH", (key, area, *options[1:])), keys.top)
    place = torch.where(fault == 0, place, 1)
    zero = torch.zeros_like(place)
    down = keys.width == 1
    found = picked(found, torch.where(down, place, zero), torch.where(down, zero, place)).failing(fault)
    return found if missing is None else placer.places(missing).where(fault == int(Fault.NA), found)


@function(
    "XMATCH",
    arguments=(2, 4),
    takes=Takes.FORMULAS,
    derivative=Derivative.ZERO,
    zero_arguments=[0],
    fixed_arguments=[1, 2, 3],
    examples={
        "XMATCH(30,A1:A4)": 3,
        "XMATCH(35,A1:A4,1)": 4,
        "XMATCH(35,A1:A4,-1)": 3,
        "XMATCH(20,{40,30,20,10},0,-2)": 3,
        'XMATCH("m*",B1:B4,2,-1)': 4,
    },
)
def xmatch(
    context: Context, key: Node, area: Node, match_mode: Node | None = None, search_mode: Node | None = None
) -> Value:
    """Where a key stands in a row or column."""
    (area,) = context.filled(area)
    keys, wanted = fixed(context, area, array=True), context.lower(key, array=context.array)
    way, last = _ways(context, "XMATCH", wanted, keys, match_mode, search_mode)
    return find(context.builder, wanted, keys, way, last=last)


@function(
    "LOOKUP",
    arguments=(2, 3),
    takes=Takes.FORMULAS,
    zero_arguments=[0],
    fixed_arguments=[1],
    examples={
        "LOOKUP(4.19,{4.14;4.19;5.17},{1;2;3})": 2,
        "LOOKUP(35,A1:A4,C1:C4)": 1,
        "LOOKUP(0,{4.14;4.19},{1;2})": "#N/A",
        'LOOKUP("C",{"a","b","c","d";1,2,3,4})': 3,
    },
)
def lookup(context: Context, key: Node, vector: Node, results: Node | None = None) -> Value:
    """What stands beside the last cell that is not above a key, in cells that ascend."""
    builder = context.builder
    if results is not None:
        vector, results = context.filled(vector, results)
    keys = context.lower(vector, array=True)
    if results is None and keys.size("h") > 1 and keys.size("w") > 1:
        along, across = ("w", "h") if keys.size("w") > keys.size("h") else ("h", "w")
        beside = gathered(builder, keys, across, builder.number(float(keys.size(across))))
        keys = gathered(builder, keys, across, builder.number(1.0))
    else:
        along = "h" if "h" in keys.axes else "w"
        beside = keys if results is None else context.lower(results, array=True)
        other = "h" if "h" in beside.axes else "w"
        if beside.size(other) < keys.size(along) or (beside.size("h") > 1 and beside.size("w") > 1):
            raise FormulaError("looks up in fewer cells than it searches", remedy="Make the ranges the same size")
        along = other if beside.is_array else along
    if not keys.constant:
        raise varying(builder, "looks something up in cells that depend on", keys, remedy="Use fixed cells to search")
    return gathered(builder, beside, along, find(builder, context.lower(key, array=context.array), keys, Way.ASCENDING))


@function(
    "AREAS",
    arguments=(1, 1),
    reference_arguments=[0],
    picks_area=True,
    takes=Takes.FORMULAS,
    derivative=Derivative.ZERO,
    examples={"AREAS(B1:B4)": 1, "AREAS((A1,B1:B4))": 2},
)
def areas(context: Context, reference: Node) -> Value:
    """How many ranges a reference has."""
    if not isinstance(reference, (Area, Picked, Union)):
        raise FormulaError("counts the ranges of something that is no reference", remedy="Refer to cells")
    return context.builder.number(float(len(reference.areas) if isinstance(reference, Union) else 1))


@plain("HYPERLINK", examples={'HYPERLINK("#A1","top")': "top", 'HYPERLINK("#A1")': "#A1"})
def hyperlink(address: str, shown: Cell = None) -> Cell:
    """A link, which shows its text or its address."""
    return address if shown is None else shown


@plain(
    "ADDRESS",
    left_out_is_default=True,
    examples={
        "ADDRESS(2,3)": "$C$2",
        "ADDRESS(2,3,2)": "C$2",
        "ADDRESS(2,3,2,FALSE)": "R2C[3]",
        'ADDRESS(2,3,1,FALSE,"EXCEL SHEET")': "'EXCEL SHEET'!R2C3",
    },
)
def address(row: float, column: float, kind: float = 1.0, letters: bool = True, sheet: str | None = None) -> Cell:
    """The address of a cell as a text."""
    line, place, way = int(row), int(column), int(kind)
    if not 1 <= line <= MAX_ROW or not 1 <= place <= MAX_COLUMN or not 1 <= way <= 8:
        return ExcelError.VALUE
    fixed_row, fixed_column = way in (1, 2, 5, 6), way in (1, 3, 5, 7)  # Excel takes 5 to 8 for 1 to 4
    if letters:
        found = f"{'$' * fixed_column}{column_letters(place)}{'$' * fixed_row}{line}"
    else:
        found = f"R{line if fixed_row else f'[{line}]'}C{place if fixed_column else f'[{place}]'}"
    return found if sheet is None else f"{quote_sheet(sheet)}!{found}" if sheet else f"!{found}"
