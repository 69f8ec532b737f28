"""Functions of money at dates: plain Python for the dates, torch for the rest, with its derivative.

    @scheduled("DISC", schedule=term, fixed=[0, 1, 4], examples={…})
    def disc(price: Tensor, redemption: Tensor, years: Tensor) -> Tensor: ...

The `fixed` arguments (dates, frequency, basis) must not depend on a parameter. `schedule` makes a few numbers of them,
or an error; the formula gets the other arguments as tensors, and those numbers behind them.
"""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any, TypeVar

import torch
from torch import Tensor

from sgdsheet.compiler.functions.plain import cells_of
from sgdsheet.compiler.functions.registry import Context, OverSamples, Takes, function
from sgdsheet.compiler.ir.builder import Builder
from sgdsheet.compiler.ir.values import Fault, Kind, Value
from sgdsheet.compiler.ir.varying import varying
from sgdsheet.errors import FormulaError
from sgdsheet.sheet.syntax import Node
from sgdsheet.sheet.workbook import ExcelError

_F = TypeVar("_F", bound=Callable[..., Tensor])

_OTHER_CALENDAR = "calculates with dates, which this workbook counts from 1904"

COUPONS = 480
"""The most periods of a bond: quarterly coupons of 120 years."""

Terms = tuple[float, ...] | ExcelError
"""What a schedule makes of dates."""


def scheduled(
    name: str,
    *,
    schedule: Callable[..., Terms],
    fixed: Collection[int],
    examples: Mapping[str, float | str | bool],
    optional: Sequence[float] = (),
    periods: int = 0,
    dates: bool = True,
    booleans: bool = False,
    inexact: float = 0.0,
    note: str = "",
    refuse: Callable[[Builder, Sequence[Value], Tensor], None] | None = None,
) -> Callable[[_F], _F]:
    """Declare a function of money at dates. `optional` are the values of the last arguments where these are left out.

    `dates` says that the fixed ones are dates. With `booleans`, TRUE and FALSE are 1 and 0, and not #VALUE!. With
    `periods`, the most there can be, the first number of the schedule counts periods, and the formula's keyword
    `numbers` is 0, 1, 2, … for the longest of the copies; then `refuse` gets all arguments and these, and raises where
    the result is not known.
    """

    def declare(implementation: _F) -> _F:
        total = len(inspect.signature(implementation).parameters) - _count_of(schedule) - bool(periods) + len(fixed)

        def evaluate(context: Context, *nodes: Node) -> Value:
            builder = context.builder
            if dates and context.date1904:
                raise FormulaError(_OTHER_CALENDAR, remedy="Count from 1900")
            values = [_number(context, node, booleans=booleans) for node in nodes]
            missing = total - len(nodes)
            values += [builder.number(item) for item in optional[len(optional) - missing :]]
            given = [value for position, value in enumerate(values) if position in fixed]
            if any(not value.constant for value in given):
                what = "dates" if dates else "periods"
                cause = f"calls {name} with {what} that depend on"
                raise varying(builder, cause, *given, remedy=f"Use fixed {what} there")
            known = _terms(builder, schedule, given)
            numbers = _periods(builder, known[0], periods) if periods else known[0].tensor
            if refuse is not None:
                refuse(builder, values, numbers)

            def applied(*tensors: Any) -> Tensor:
                return implementation(*tensors, numbers=numbers) if periods else implementation(*tensors)

            others = [value for position, value in enumerate(values) if position not in fixed]
            result = builder.elementwise(applied, *others, *known)
            for value in reversed(values):
                result = builder.spoiled(result, builder.errors_of(value))
            return result

        evaluate.__doc__, evaluate.__module__ = implementation.__doc__, implementation.__module__
        function(
            name,
            arguments=(total - len(optional), total),
            takes=Takes.FORMULAS,
            over_samples=OverSamples.ELEMENTWISE,
            fixed_arguments=fixed,
            inexact=inexact,
            names=_names(schedule, implementation, fixed, total),
            note=note,
            examples=examples,
        )(evaluate)
        return implementation

    return declare


def _names(
    schedule: Callable[..., Terms], implementation: Callable[..., Tensor], fixed: Collection[int], total: int
) -> list[str]:
    """What the arguments are called: those of the schedule and of the formula, in their order."""
    dates, others = (iter(inspect.signature(item).parameters) for item in (schedule, implementation))
    return [next(dates if place in fixed else others).replace("_", " ") for place in range(total)]


def _number(context: Context, node: Node, *, booleans: bool) -> Value:
    """An argument as a number; to most of these functions TRUE and FALSE are #VALUE!."""
    value = context.lower(node, array=context.array)
    number = context.builder.numbers(value)
    if booleans or not value.has(Kind.BOOLEAN):
        return number
    truths = Value(value.kind_tensor() == Kind.BOOLEAN, value.axes, value.sizes, Kind.BOOLEAN)
    return context.builder.spoiled(number, truths, Fault.VALUE)


def _periods(builder: Builder, counts: Value, limit: int) -> Tensor:
    """0, 1, 2, … up to the most periods; in a program for any samples, as many as there can be."""
    most = math.ceil(float(builder.cleaned(counts).tensor.max()))
    if most > limit:
        raise FormulaError(f"has {most:,} periods, and {limit:,} can be handled", remedy="Check its dates")
    return torch.arange(limit if builder.generic else most, dtype=builder.dtype)


def _count_of(schedule: Callable[..., Terms]) -> int:
    found: int = schedule.terms  # type: ignore[attr-defined]
    return found


def giving(count: int) -> Callable[[Callable[..., Terms]], Callable[..., Terms]]:
    """Say how many numbers a schedule gives."""

    def mark(schedule: Callable[..., Terms]) -> Callable[..., Terms]:
        schedule.terms = count  # type: ignore[attr-defined]
        return schedule

    return mark


def _terms(builder: Builder, schedule: Callable[..., Terms], dates: Sequence[Value]) -> list[Value]:
    """The numbers of a schedule for each copy of the formula, as constants."""
    count = _count_of(schedule)
    axes, sizes = builder.union_axes(dates)
    columns = [cells_of(builder, builder.expanded(value, axes, sizes)) for value in dates]
    known: dict[tuple[Any, ...], Terms] = {}
    rows: list[Terms] = []
    for given in zip(*columns, strict=True):
        if given not in known:
            known[given] = _called(schedule, given)
        rows.append(known[given])
    failed = torch.tensor(
        [Fault[row.name].nan if isinstance(row, ExcelError) else 0.0 for row in rows], dtype=builder.dtype
    )
    wrong = Value(failed.reshape(sizes), axes, sizes)
    found = []
    for place in range(count):
        numbers = [1.0 if isinstance(row, ExcelError) else row[place] for row in rows]
        value = Value(torch.tensor(numbers, dtype=builder.dtype).reshape(sizes), axes, sizes)
        found.append(builder.spoiled(value, wrong) if bool(failed.isnan().any()) else value)
    return found


def _called(schedule: Callable[..., Terms], given: Sequence[Any]) -> Terms:
    if error := next((item for item in given if isinstance(item, ExcelError)), None):
        return error
    try:
        return schedule(*(float(item) for item in given))
    except (OverflowError, ZeroDivisionError):
        return ExcelError.NUM
