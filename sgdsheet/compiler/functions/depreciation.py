"""Depreciation: what an asset loses in value in a period, or over any part of its life."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from sgdsheet.compiler.functions.formulas import failing, formula, inside
from sgdsheet.compiler.functions.scheduled import Terms, giving, scheduled
from sgdsheet.compiler.ir.builder import Builder
from sgdsheet.compiler.ir.values import Fault, Value
from sgdsheet.compiler.ir.varying import varying
from sgdsheet.errors import FormulaError
from sgdsheet.sheet.workbook import ExcelError


@formula("SLN", examples={"SLN(30000,7500,10)": 2250, "SLN(1,1,0)": "#DIV/0!"})
def sln(cost: Tensor, salvage: Tensor, life: Tensor) -> Tensor:
    """Straight-line depreciation."""
    possible = life != 0.0
    return failing(~possible, (cost - salvage) / inside(possible, life), Fault.DIV0)


@formula(
    "SYD", fixed=[3], examples={"SYD(30000,7500,10,1)": 4090.909090909091, "SYD(30000,7500,10,10)": 409.0909090909091}
)
def syd(cost: Tensor, salvage: Tensor, life: Tensor, period: Tensor) -> Tensor:
    """Sum-of-years'-digits depreciation."""
    possible = (life > 0.0) & (period > 0.0) & (period <= life)
    safe = inside(possible, life)
    return failing(~possible, (cost - salvage) * (life - period + 1.0) * 2.0 / (safe * (safe + 1.0)))


def _refuse_parts(period: float) -> None:
    """How programs depreciate over a part of a period differs."""
    if period != math.trunc(period):
        raise FormulaError("depreciates over a part of a period", remedy="Use whole periods")


@giving(2)
def _whole(period: float, months: float = 12.0) -> Terms:
    """The number of the period, and the months of the first year."""
    month = math.trunc(months)
    if period <= 0 or not 1 <= month <= 12:
        return ExcelError.NUM
    _refuse_parts(period)
    return period, float(month)


@giving(2)
def _first_or_whole(period: float) -> Terms:
    """The number of the period; a part of the first one is all of it."""
    if period <= 0:
        return ExcelError.NUM
    _refuse_parts(max(period, 1.0))
    return period, max(period, 1.0)


@scheduled(
    "DB",
    schedule=_whole,
    fixed=[3, 4],
    optional=[12.0],
    dates=False,
    booleans=True,
    examples={"DB(1000000,100000,6,1,7)": 186083.3333333333, "DB(1000000,100000,6,7,7)": 15845.098473848071},
    note="The rate is rounded to three digits, so that only the cost moves the result a little.",
)
def db(cost: Tensor, salvage: Tensor, life: Tensor, period: Tensor, months: Tensor) -> Tensor:
    """Fixed-declining-balance depreciation."""
    last = torch.where(months == 12.0, life, life + 1.0)
    possible = (cost >= 0.0) & (salvage >= 0.0) & (life > 0.0) & (period <= last)
    some = possible & (cost > 0.0)
    share = torch.pow(inside(some, salvage) / inside(some, cost), 1.0 / inside(some, life))
    rate = torch.floor((1.0 - share) * 1000.0 + 0.5) / 1000.0
    first = cost * rate * months / 12.0
    later = (cost - first) * torch.pow(1.0 - rate, torch.clamp(period - 2.0, min=0.0)) * rate
    later = torch.where(period > torch.trunc(life), later * (12.0 - months) / 12.0, later)
    found = torch.where(some, torch.where(period == 1.0, first, later), 0.0)
    return failing(~possible, found)


@scheduled(
    "DDB",
    schedule=_first_or_whole,
    fixed=[3],
    optional=[2.0],
    dates=False,
    booleans=True,
    examples={
        "ROUND(DDB(2400,300,10*365,1),2)": 1.32,
        "DDB(2400,300,10,1,2)": 480,
        "ROUND(DDB(2400,300,10,10),2)": 22.12,
        "DDB(100,50,12.7,0.3,4.5)": 35.43307086614,
    },
)
def ddb(cost: Tensor, salvage: Tensor, life: Tensor, factor: Tensor, given: Tensor, period: Tensor) -> Tensor:
    """Double-declining-balance depreciation."""
    possible = (cost >= 0.0) & (salvage >= 0.0) & (life > 0.0) & (factor > 0.0) & (given <= life)
    left = 1.0 - torch.clamp(inside(possible, factor) / inside(possible, life), max=1.0)
    before, after = cost * torch.pow(left, period - 1.0), cost * torch.pow(left, period)
    return failing(~possible, torch.relu(before - torch.maximum(after, salvage)))


_DAYS_OF_A_LIFE = 10_000
"""Periods over which VDB depreciates, at most: the days of 27 years."""


@giving(3)
def _span(start: float, end: float, no_switch: float = 0.0) -> Terms:
    """The end and the start of a span, and 1 if it is depreciated straight-line as soon as that is more."""
    if not 0 <= start <= end:
        return ExcelError.NUM
    return end, start, float(not no_switch)


def _book_value(cost: Tensor, salvage: Tensor, rate: Tensor, periods: Tensor) -> Tensor:
    """What is left of a cost after so many whole periods of a declining balance."""
    return torch.maximum(cost * torch.pow(1.0 - rate, periods), torch.minimum(salvage, cost))


def _declining(cost: Tensor, salvage: Tensor, rate: Tensor, time: Tensor) -> Tensor:
    """Declining-balance depreciation up to a time; within a period it is even."""
    whole = torch.floor(time)
    before, after = (_book_value(cost, salvage, rate, whole + step) for step in (0.0, 1.0))
    return cost - before + (before - after) * (time - whole)


def _switching(cost: Tensor, salvage: Tensor, rate: Tensor, left: Tensor, time: Tensor, numbers: Tensor) -> Tensor:
    """Depreciation up to a time, straight-line over the time that is `left` as soon as that is more.

    Once it is more it stays so, hence the periods in which it is not are counted; `numbers` are 0, 1, … for the longest
    time.
    """
    asset, rest, share, whole, end = (torch.unsqueeze(item.detach(), -1) for item in (cost, salvage, rate, left, time))
    before, after = (_book_value(asset, rest, share, numbers + step) for step in (0.0, 1.0))
    even = (before - rest) > (before - after) * (whole - numbers)
    slow = torch.where((numbers < end) & ~even, 1.0, 0.0).sum(-1)
    declined = torch.minimum(slow, time)
    book = _book_value(cost, salvage, rate, slow)
    straight = (book - salvage) / inside(left > slow, left - slow)
    return torch.where(time > slow, cost - book + straight * (time - slow), _declining(cost, salvage, rate, declined))


def _depreciated(cost: Tensor, salvage: Tensor, life: Tensor, start: Tensor, rate: Tensor, numbers: Tensor) -> Tensor:
    """Depreciation up to the start of a span, straight-line as soon as that is more: periods begin where it says."""
    part = start - torch.floor(start)
    first = _switching(cost, salvage, rate, life, part, numbers)
    return first + _switching(cost - first, salvage, rate, life - part, start - part, numbers)


def _is_late(cost: Tensor, salvage: Tensor, life: Tensor, start: Tensor, factor: Tensor, numbers: Tensor) -> Tensor:
    """Whether a span starts within a period late in the life, where programs differ."""
    rate = torch.clamp(factor / life, max=1.0)
    rest = cost - _depreciated(cost, salvage, life, start, rate, numbers)
    late = (start != torch.floor(start)) & (factor > 1.0) & (start >= life / 2.0) & (start < life)
    return late & (_declining(rest, salvage, rate, torch.ones_like(rest)) > (rest - salvage) / (life - start))


def _refuse_late_parts(builder: Builder, values: Sequence[Value], numbers: Tensor) -> None:
    cost, salvage, life, start, _, factor, no_switch = (builder.cleaned(value) for value in values)
    parts = builder.elementwise(lambda time, fixed: (time != torch.floor(time)) & (fixed == 0.0), start, no_switch)
    if not bool(parts.tensor.any()):
        return
    given = (cost, salvage, life, start, factor)
    if not all(value.constant for value in given):
        raise varying(builder, "starts within a period, and calls VDB with", *given, remedy="Start with a whole period")

    def judged(cost: Tensor, salvage: Tensor, life: Tensor, start: Tensor, factor: Tensor, no_switch: Tensor) -> Tensor:
        return _is_late(cost, salvage, life, start, factor, numbers) & (no_switch == 0.0)

    late = builder.elementwise(judged, *given, no_switch)
    if bool(late.tensor.any()):
        raise FormulaError("starts within a period late in the life", remedy="Start with a whole period")


@scheduled(
    "VDB",
    schedule=_span,
    fixed=[3, 4, 6],
    optional=[2.0, 0.0],
    dates=False,
    booleans=True,
    periods=_DAYS_OF_A_LIFE,
    refuse=_refuse_late_parts,
    examples={
        "ROUND(VDB(2400,300,10*365,0,1),2)": 1.32,
        "ROUND(VDB(2400,300,10,0,1),2)": 480,
        "ROUND(VDB(2400,300,10*12,6,18),2)": 396.31,
        "ROUND(VDB(2400,300,10,0,0.875,1.5),2)": 315,
    },
)
def vdb(
    cost: Tensor,
    salvage: Tensor,
    life: Tensor,
    factor: Tensor,
    end: Tensor,
    start: Tensor,
    switching: Tensor,
    *,
    numbers: Tensor,
) -> Tensor:
    """Declining-balance depreciation over any time, straight-line as soon as that is more."""
    possible = (cost >= 0.0) & (salvage >= 0.0) & (life > 0.0) & (end <= life) & (factor >= 0.0)
    life = inside(possible, life)
    rate = torch.clamp(inside(possible, factor) / life, max=1.0)
    before = _depreciated(cost, salvage, life, start, rate, numbers)
    switched = _switching(cost - before, salvage, rate, life - start, end - start, numbers)
    plainly = _declining(cost, salvage, rate, end) - _declining(cost, salvage, rate, start)
    return failing(~possible, torch.where(switching != 0.0, switched, plainly))
