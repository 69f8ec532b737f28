"""Errors as values: making them, asking for them, putting something in their place."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import torch

from sgdsheet.compiler.functions.missing import keys_of
from sgdsheet.compiler.functions.registry import Context, Derivative, OverSamples, Takes, function
from sgdsheet.compiler.ir.builder import Builder
from sgdsheet.compiler.ir.values import Fault, Kind, Value, fault_codes
from sgdsheet.errors import FormulaError
from sgdsheet.sheet.syntax import Node, Omitted

_NONE = 0
"""The number that stands for no error, in the place of a fault."""


def _faults(builder: Builder, value: Value) -> Value:
    """Which error each cell holds, as the number of its fault.

    While a program runs nobody knows which error a number is that depends on a parameter, only that it is one.
    """
    errors = builder.errors_of(value)
    if errors is None:
        return builder.expanded(builder.number(_NONE), value.axes, value.sizes)
    if not value.constant:
        raise FormulaError(
            "asks which error something is that depends on a parameter", remedy="Use IFERROR or ISERROR there"
        )
    codes = torch.where(errors.tensor.isnan(), fault_codes(errors.tensor), _NONE)
    return Value(codes.to(builder.dtype), errors.axes, errors.sizes)


def _compared(builder: Builder, faults: Value, compare: Callable[..., torch.Tensor], fault: int) -> Value:
    return builder.elementwise(compare, faults, builder.number(float(fault)), kind=Kind.BOOLEAN)


@function("NA", arguments=(0, 0), derivative=Derivative.ZERO, examples={"IFNA(NA(),3)": 3})
def na(context: Context) -> Value:
    """The error #N/A: no value is available."""
    return context.builder.error(Fault.NA)


@function(
    "IFNA",
    over_samples=OverSamples.ELEMENTWISE,
    arguments=(2, 2),
    takes=Takes.FORMULAS,
    derivative=Derivative.KINKED,
    examples={'IFNA(MATCH("x",{"a","b"},0),9)': 9, "IFNA(4,9)": 4},
)
def ifna(context: Context, value: Node, instead: Node) -> Value:
    """A value, or another one where the first is #N/A."""
    builder = context.builder
    tried = context.lower(value, array=context.array)
    missing = _missing(context, value, tried)
    if missing.constant and not bool(missing.tensor.any()):
        return tried
    other = builder.number(0.0) if isinstance(instead, Omitted) else context.lower(instead, array=context.array)
    if not missing.constant and other.has(Kind.TEXT):
        other = builder.numbers(other)  # as IFERROR does
    return builder.where(missing, other, tried)


def _missing(context: Context, node: Node, value: Value) -> Value:
    """Which entries of a node's value are #N/A.

    Of what depends on a parameter that is known of look-ups which can fail in no other way than that nothing is found:
    all errors but those of the key.
    """
    builder = context.builder
    errors, keys = builder.errors_of(value), None if value.constant else keys_of(context, node)
    if keys is None or errors is None or errors.constant:
        return _is_missing(builder, value)
    missing = errors
    for key in keys:
        others = builder.errors_of(context.lower(key, array=context.array))
        if others is not None:
            fine = builder.elementwise(torch.logical_not, builder.conditions(others), kind=Kind.BOOLEAN)
            missing = builder.elementwise(torch.logical_and, missing, fine, kind=Kind.BOOLEAN)
    return missing


def _asks(
    name: str, tells: Callable[[Context, Node, Value], Value], help_text: str, examples: Mapping[str, float]
) -> None:
    """Declare a function that asks whether something is an error of a kind."""

    def implementation(context: Context, value: Node) -> Value:
        return tells(context, value, context.lower(value, array=context.array))

    implementation.__doc__ = help_text
    function(
        name,
        over_samples=OverSamples.ELEMENTWISE,
        arguments=(1, 1),
        takes=Takes.FORMULAS,
        derivative=Derivative.ZERO,
        examples=examples,
    )(implementation)


def _is_error(context: Context, node: Node, value: Value) -> Value:
    builder = context.builder
    errors = builder.errors_of(value)
    if errors is None:
        return Value(torch.zeros(value.sizes, dtype=torch.bool), value.axes, value.sizes, Kind.BOOLEAN)
    return builder.conditions(errors)


def _is_missing(builder: Builder, value: Value) -> Value:
    return _compared(builder, _faults(builder, value), torch.eq, Fault.NA)


def _is_other_error(context: Context, node: Node, value: Value) -> Value:
    builder = context.builder
    faults = _faults(builder, value)
    some, other = _compared(builder, faults, torch.ne, _NONE), _compared(builder, faults, torch.ne, Fault.NA)
    return builder.elementwise(torch.logical_and, some, other, kind=Kind.BOOLEAN)


_asks("ISERROR", _is_error, "Whether something is an error.", {"ISERROR(1/0)*1": 1, "ISERROR(2)*1": 0})
_asks(
    "ISERR",
    _is_other_error,
    "Whether something is an error other than #N/A.",
    {"ISERR(#DIV/0!)*1": 1, "ISERR(NA())*1": 0},
)
_asks("ISNA", _missing, "Whether something is #N/A.", {"ISNA(NA())*1": 1, "ISNA(#DIV/0!)*1": 0})


@function(
    "ERROR.TYPE",
    over_samples=OverSamples.ELEMENTWISE,
    arguments=(1, 1),
    takes=Takes.FORMULAS,
    derivative=Derivative.ZERO,
    examples={"ERROR.TYPE(#DIV/0!)": 2, "ERROR.TYPE(NA())": 7, "IFERROR(ERROR.TYPE(5),-1)": -1},
)
def error_type(context: Context, value: Node) -> Value:
    """The number of an error: 1 is #NULL!, 2 #DIV/0!, 3 #VALUE!, 4 #REF!, 5 #NAME?, 6 #NUM!, 7 #N/A."""
    builder = context.builder
    faults = _faults(builder, context.lower(value, array=context.array))
    return builder.spoiled(faults, _compared(builder, faults, torch.eq, _NONE), Fault.NA)
