"""OFFSET and INDIRECT, and TAKE and DROP as corners: cells that are found before the program is put together."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import torch
from torch import Tensor

from sgdsheet.compiler.functions.places import Placer, Places, gives_reference, whole_numbers
from sgdsheet.compiler.functions.registry import Context, Takes, function
from sgdsheet.compiler.ir.values import Fault, Value
from sgdsheet.errors import FormulaError
from sgdsheet.sheet.syntax import Node, Omitted


def _unsettled() -> FormulaError:
    return FormulaError("refers to cells that cannot be told", remedy="Refer to the cells directly")


@function(
    "OFFSET",
    arguments=(3, 5),
    names=("reference", "rows", "columns", "height", "width"),
    takes=Takes.FORMULAS,
    fixed_arguments=[1, 2, 3, 4],
    gives_range=True,
    examples={
        "OFFSET(A1,2,0)": 30,
        "SUM(OFFSET(A1,1,0,2,1))": 50,
        "SUM(OFFSET(C1:C2,0,-2))": 30,
        "OFFSET(A1,-1,0)": "#REF!",
    },
)
def offset(context: Context, *arguments: Node) -> Value:
    """The cells at a distance from others: so many rows down and columns to the right, of that height and width."""
    raise _unsettled()


@gives_reference("OFFSET", references=[0], always=True)
def _offset(placer: Placer, arguments: Sequence[Node]) -> Places:
    area, (down, across, *size) = placer.places(arguments[0]), arguments[1:]
    zero = torch.zeros_like(area.top)
    rows, row_fault = whole_numbers(placer, down, zero)
    columns, column_fault = whole_numbers(placer, across, zero)
    height, height_fault = whole_numbers(placer, size[0] if size else None, area.height)
    width, width_fault = whole_numbers(placer, size[1] if len(size) > 1 else None, area.width)
    found = area
    for fault in (row_fault, column_fault, height_fault, width_fault):
        found = found.failing(fault)
    found = found.failing(((height == 0) | (width == 0)) * int(Fault.REF))
    top, left = area.top + rows, area.left + columns
    # A negative height counts from the first cell upwards.
    found = replace(
        found,
        top=torch.where(height < 0, top + height + 1, top),
        bottom=torch.where(height < 0, top, top + height - 1),
        left=torch.where(width < 0, left + width + 1, left),
        right=torch.where(width < 0, left, left + width - 1),
    )
    return found.inside()


@function(
    "INDIRECT",
    arguments=(1, 2),
    names=("text", "in A1"),
    takes=Takes.FORMULAS,
    fixed_arguments=[0, 1],
    gives_range=True,
    examples={
        'INDIRECT("A3")': 30,
        'SUM(INDIRECT("A"&1&":A2"))': 30,
        'INDIRECT("R2C1",FALSE)': 20,
        'INDIRECT("x y")': "#REF!",
    },
)
def indirect(context: Context, *arguments: Node) -> Value:
    """The cells that a text refers to."""
    raise _unsettled()


@gives_reference("INDIRECT", always=True)
def _indirect(placer: Placer, arguments: Sequence[Node]) -> Places:
    text, *notation = arguments
    if not notation or isinstance(notation[0], Omitted):
        return placer.written(text, not notation)
    in_a1, fault = placer.truths(notation[0])
    return placer.written(text, True).where(in_a1, placer.written(text, False)).failing(fault)


# --- ends of ranges ---------------------------------------------------------------------------------------


@gives_reference("TAKE", references=[0])
def _take(placer: Placer, arguments: Sequence[Node]) -> Places:
    return _kept(placer, arguments, drop=False)


@gives_reference("DROP", references=[0])
def _drop(placer: Placer, arguments: Sequence[Node]) -> Places:
    return _kept(placer, arguments, drop=True)


def _kept(placer: Placer, arguments: Sequence[Node], *, drop: bool) -> Places:
    """The cells that TAKE and DROP leave of a range."""
    area = placer.places(arguments[0])
    rows, columns = arguments[1], arguments[2] if len(arguments) > 2 else None
    top, bottom, row_fault = _part(placer, rows, area.height, drop=drop)
    left, right, column_fault = _part(placer, columns, area.width, drop=drop)
    found = replace(
        area,
        top=area.top + top,
        bottom=area.top + bottom,
        left=area.left + left,
        right=area.left + right,
    )
    return found.failing(row_fault).failing(column_fault)


def _part(placer: Placer, node: Node | None, size: Tensor, *, drop: bool) -> tuple[Tensor, Tensor, Tensor]:
    """The first and the last row or column that are left, from 0, and the faults: #CALC! where none is left."""
    number, fault = whole_numbers(placer, node, torch.zeros_like(size) if drop else size)
    kept = size - number.abs() if drop else torch.minimum(number.abs(), size)
    from_start = number < 0 if drop else number > 0
    first = torch.where(from_start, 0, size - kept)
    none = torch.where((fault == 0) & (kept < 1), int(Fault.CALC), fault)
    return first, first + kept - 1, none
