"""Functions of numbers that are formulas of torch operations, with the derivative that torch gives them.

    @formula("EXPON.DIST", also=["EXPONDIST"], flags=[2], examples={…})
    def expon_dist(x: Tensor, rate: Tensor, cumulative: bool) -> Tensor: ...

The arguments come as tensors that broadcast; the result has an error where it is no number, #NUM! unless `failing` says
another. An argument with the default None may be left out. Outside of its domain a formula must not have an infinite
derivative: take `inside` values before `failing`.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any, TypeVar

import torch
from torch import Tensor

from sgdsheet.compiler.functions.registry import Context, Derivative, function
from sgdsheet.compiler.ir.values import Fault, Value
from sgdsheet.compiler.ir.varying import varying
from sgdsheet.errors import FormulaError

ZERO, ONE = torch.tensor(0.0), torch.tensor(1.0)
"""Defaults of arguments."""

_F = TypeVar("_F", bound=Callable[..., Tensor])


def formula(
    name: str,
    *,
    examples: Mapping[str, float | str | bool],
    also: Sequence[str] = (),
    flags: Collection[int] = (),
    fixed: Collection[int] = (),
    booleans: bool = True,
    derivative: Derivative = Derivative.SMOOTH,
    inexact: float = 0.0,
    note: str = "",
) -> Callable[[_F], _F]:
    """Declare a function of numbers. `also` are older names of the same function.

    `flags` are the positions of arguments that are TRUE or FALSE; the formula gets them as such. `fixed` are those that
    must not depend on a parameter: there is no derivative with respect to them. Without `booleans`, TRUE is #VALUE!.
    """

    def declare(implementation: _F) -> _F:
        parameters = list(inspect.signature(implementation).parameters.values())
        least = sum(item.default is item.empty for item in parameters)

        def evaluate(context: Context, *values: Value) -> Value:
            missing = (item.default for item in parameters[len(values) :] if item.default is not None)
            defaults = [context.builder.number(float(item)) for item in missing]
            return applied(context, name, implementation, [*values, *defaults], flags, fixed)

        evaluate.__doc__, evaluate.__module__ = implementation.__doc__, implementation.__module__
        for written in (name, *also):
            function(
                written,
                arguments=(least, len(parameters)),
                derivative=derivative,
                conditions=flags,
                booleans=booleans,
                fixed_arguments=[*flags, *fixed],
                inexact=inexact,
                names=[item.name.strip("_").replace("_", " ") for item in parameters],
                note=note,
                examples={text.replace(f"{name}(", f"{written}("): result for text, result in examples.items()},
            )(evaluate)
        return implementation

    return declare


def applied(
    context: Context,
    name: str,
    implementation: Callable[..., Tensor],
    values: Sequence[Value],
    flags: Collection[int] = (),
    fixed: Collection[int] = (),
) -> Value:
    """A formula applied to the arguments of the function `name`, with its flags as Python's own truth values."""
    builder = context.builder
    for position in flags:
        if (spoiled := _spoiled(context, values[position], values[:position])) is not None:
            return spoiled
    for position in fixed:
        if not values[position].constant:
            cause = f"calls {name} with an argument that must be fixed and depends on"
            raise varying(builder, cause, values[position], remedy="Use a fixed value there")
    known = {position: is_set(context, values[position]) for position in flags}

    def calculated(*tensors: Any) -> Tensor:
        rest = iter(tensors)
        return implementation(*(known[i] if i in known else next(rest) for i in range(len(values))))

    given = [value for i, value in enumerate(values) if i not in known]
    result = builder.elementwise(calculated, *given)
    for value in given:  # a comparison with an error is false: the formula may take another branch
        errors = None if value.constant else builder.errors_of(value)
        result = builder.spoiled(result, errors)
    return result


def is_set(context: Context, flag: Value) -> bool:
    """Whether an argument is TRUE, as “cumulative” is: the same for all copies of the formula."""
    found = context.builder.conditions(flag)
    if not found.constant or (found.axes and bool((found.tensor != found.tensor.reshape(-1)[0]).any())):
        raise FormulaError("does not say TRUE or FALSE for “cumulative”", remedy="Write TRUE or FALSE there")
    return bool(found.tensor.reshape(-1)[0])


def _spoiled(context: Context, flag: Value, before: Sequence[Value]) -> Value | None:
    """The result if a flag is an error in all copies: that, or the first error of the arguments before it."""
    builder = context.builder
    errors = builder.errors_of(flag)
    if errors is None:
        return None
    if not (errors.constant and bool(errors.tensor.isnan().all())):
        raise FormulaError("has an error for “cumulative” in some copies", remedy="Write TRUE or FALSE there")
    result = builder.spoiled(builder.number(0.0), errors)
    for value in reversed(before):
        result = builder.spoiled(result, builder.errors_of(value))
    return result


def failing(condition: Tensor, result: Tensor, fault: Fault = Fault.NUM) -> Tensor:
    """The result with an error where the condition holds."""
    return torch.where(condition, fault.nan, result)


def inside(condition: Tensor, value: Tensor, otherwise: float = 1.0) -> Tensor:
    """The value where the condition holds, and another number, with which one can calculate, elsewhere."""
    return torch.where(condition, value, otherwise)
