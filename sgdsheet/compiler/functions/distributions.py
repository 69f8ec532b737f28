"""The normal distribution."""

from __future__ import annotations

import math

import torch

from sgdsheet.compiler.functions import operators
from sgdsheet.compiler.functions.mathematics import exp
from sgdsheet.compiler.functions.registry import Context, function, guarded
from sgdsheet.compiler.ir.values import Value
from sgdsheet.errors import FormulaError

_PHI_1 = 0.5 * math.erfc(-1 / math.sqrt(2))


def _spoiled(context: Context, cumulative: Value, *others: Value) -> Value | None:
    """The result if “cumulative” is an error in all copies: that, or the first error of the arguments before it."""
    builder = context.builder
    errors = builder.errors_of(cumulative)
    if errors is None or not (errors.constant and bool(errors.tensor.isnan().all())):
        return None
    result = builder.spoiled(builder.number(0.0), errors)
    for value in reversed(others):
        result = builder.spoiled(result, builder.errors_of(value))
    return result


def _is_cumulative(context: Context, cumulative: Value) -> bool:
    flag = context.builder.conditions(cumulative)
    if not flag.constant or flag.axes:
        raise FormulaError("does not say TRUE or FALSE for “cumulative”", remedy="Write TRUE or FALSE there")
    return bool(flag.tensor)


@function(
    "NORM.S.DIST",
    arguments=(2, 2),
    fixed_arguments=[1],
    conditions=[1],
    examples={
        "NORM.S.DIST(1,TRUE)": _PHI_1,
        "NORM.S.DIST(1,FALSE)": math.exp(-0.5) / math.sqrt(2 * math.pi),
    },
)
def norm_s_dist(context: Context, z: Value, cumulative: Value) -> Value:
    """Standard normal distribution: below a value, or its density there."""
    builder = context.builder
    if (spoiled := _spoiled(context, cumulative, z)) is not None:
        return spoiled
    if _is_cumulative(context, cumulative):
        scaled = operators.multiply(builder, z, builder.number(-math.sqrt(0.5)))
        return operators.multiply(builder, builder.elementwise(torch.erfc, scaled), builder.number(0.5))
    square = operators.multiply(builder, operators.power(builder, z, builder.number(2.0)), builder.number(-0.5))
    return operators.multiply(builder, exp(context, square), builder.number(1 / math.sqrt(2 * math.pi)))


@function(
    "NORM.DIST",
    arguments=(4, 4),
    fixed_arguments=[3],
    conditions=[3],
    examples={
        "NORM.DIST(5,3,2,TRUE)": _PHI_1,
        "NORM.DIST(5,3,2,FALSE)": math.exp(-0.5) / math.sqrt(2 * math.pi) / 2,
    },
)
def norm_dist(context: Context, x: Value, mean: Value, deviation: Value, cumulative: Value) -> Value:
    """Normal distribution with a mean and a standard deviation."""
    builder = context.builder
    if (spoiled := _spoiled(context, cumulative, x, mean, deviation)) is not None:
        return spoiled
    deviation = guarded(builder, torch.gt, deviation, 0.0)
    z = operators.divide(builder, operators.subtract(builder, x, mean), deviation)
    result = norm_s_dist(context, z, cumulative)
    return result if _is_cumulative(context, cumulative) else operators.divide(builder, result, deviation)
