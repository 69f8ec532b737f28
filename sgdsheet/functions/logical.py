"""Conditions."""

from __future__ import annotations

import torch

from sgdsheet.formula import Binary, Node, Number, Omitted
from sgdsheet.functions.registry import Context, Derivative, Takes, function
from sgdsheet.tensors import Builder, Kind, Value


def _branch(context: Context, node: Node | None) -> Value:
    if node is None:
        return context.builder.boolean(False)
    if isinstance(node, Omitted):
        return context.builder.number(0.0)
    return context.lower(node, array=context.array)


def _clamp(context: Context, condition: Node, chosen: Node, other: Node | None) -> Value | None:
    """`IF(x<0,0,x)` and its like as the one operation that it is, with the derivative of the branch taken."""
    if not isinstance(condition, Binary) or condition.operator not in ("<", "<=", ">", ">="):
        return None
    if condition.right != Number(0.0) or other is None:
        return None
    below, strict = condition.operator.startswith("<"), len(condition.operator) == 1
    low, high = (chosen, other) if below else (other, chosen)
    if low != Number(0.0) or high != condition.left:
        return None
    value = context.builder.numbers(context.lower(high, array=context.array))
    # At 0 itself clamp_min has slope 1 and relu slope 0: IF(x<0,0,x) takes x there, IF(x>0,x,0) takes 0.
    if below == strict:
        return context.builder.elementwise(torch.clamp_min, value, context.builder.number(0.0))
    return context.builder.elementwise(torch.relu, value)


@function(
    "IF",
    arguments=(2, 3),
    takes=Takes.FORMULAS,
    derivative=Derivative.KINKED,
    selects=True,
    zero_arguments=[0],
    examples={"IF(2>1,3,4)": 3, "IF(FALSE,1,5)": 5, "IF(1>2,7)": 0, "IF(2>1,,5)": 0, "IF(3>2,4,1/0)": 4},
)
def if_(context: Context, condition: Node, chosen: Node, other: Node | None = None) -> Value:
    """One value where a condition holds, another where it does not."""
    clamped = _clamp(context, condition, chosen, other)
    if clamped is not None:
        return clamped
    builder = context.builder
    test = builder.conditions(context.lower(condition, array=context.array))
    if test.constant and test.kinds is Kind.BOOLEAN:
        if bool(test.tensor.all()):
            return _over(builder, test, _branch(context, chosen))
        if not bool(test.tensor.any()):
            return _over(builder, test, _branch(context, other))
    return _where(builder, test, _branch(context, chosen), _branch(context, other))


def _over(builder: Builder, test: Value, branch: Value) -> Value:
    axes, sizes = builder.union_axes([test, branch])
    return builder.expanded(branch, axes, sizes)


def _where(builder: Builder, test: Value, chosen: Value, other: Value) -> Value:
    """`torch.where`, with an error where the condition is one."""
    if not test.has(Kind.ERROR):
        return builder.where(test, chosen, other)
    clean = Value(builder.call(torch.eq, test.data, 1.0), test.axes, test.sizes, Kind.BOOLEAN)
    return builder.with_errors(builder.where(clean, chosen, other), [test])


@function(
    "IFS",
    arguments=(2, 254),
    takes=Takes.FORMULAS,
    derivative=Derivative.KINKED,
    selects=True,
    zero_arguments=range(0, 254, 2),
    examples={"IFS(1>2,3,2>1,4)": 4},
)
def ifs(context: Context, *arguments: Node) -> Value:
    """The value behind the first condition that holds."""
    builder, result = context.builder, context.builder.error()
    for condition, chosen in reversed(list(zip(arguments[::2], arguments[1::2], strict=True))):
        test = builder.conditions(context.lower(condition, array=context.array))
        if test.constant and test.kinds is Kind.BOOLEAN and bool(test.tensor.all()):
            result = _over(builder, test, _branch(context, chosen))
        elif not (test.constant and test.kinds is Kind.BOOLEAN and not bool(test.tensor.any())):
            result = _where(builder, test, _branch(context, chosen), result)
    return result


@function(
    "IFERROR",
    arguments=(2, 2),
    takes=Takes.FORMULAS,
    derivative=Derivative.KINKED,
    selects=True,
    examples={"IFERROR(1/0,7)": 7, "IFERROR(2,7)": 2},
)
def iferror(context: Context, value: Node, instead: Node) -> Value:
    """A value, or another one where the first is an error."""
    builder = context.builder
    tried = context.lower(value, array=context.array)
    if tried.kinds is Kind.TEXT or tried.kinds is Kind.BOOLEAN:
        return tried
    number = builder.numbers(tried)
    finite = Value(builder.call(torch.isfinite, number.data), number.axes, number.sizes, Kind.BOOLEAN)
    if finite.constant and bool(finite.tensor.all()):
        return tried
    clean = Value(number.data, number.axes, number.sizes)
    return builder.where(finite, clean, builder.numbers(_branch(context, instead)))


def _logical(context: Context, arguments: tuple[Value, ...], *, every: bool) -> Value:
    builder, result = context.builder, None
    for value in arguments:
        if value.reference and value.kinds in (Kind.TEXT, Kind.BLANK):
            continue
        test = builder.conditions(value)
        counts = value.kind_tensor() if value.reference and isinstance(value.kinds, torch.Tensor) else None
        if counts is not None:
            ignored = (counts == Kind.TEXT) | (counts == Kind.BLANK)
            data = builder.call(torch.where, ignored, torch.tensor(every), test.data)
            test = Value(data, test.axes, test.sizes, Kind.BOOLEAN)
        for axis in "wh":
            test = _reduced(builder, test, axis, every=every)
        operation = torch.logical_and if every else torch.logical_or
        result = test if result is None else _pair(builder, operation, result, test)
    return result if result is not None else builder.error()


def _reduced(builder: Builder, test: Value, axis: str, *, every: bool) -> Value:
    reduced = builder.reduce(torch.all if every else torch.any, test, axis)
    return Value(reduced.data, reduced.axes, reduced.sizes, Kind.BOOLEAN)


def _pair(builder: Builder, operation: object, left: Value, right: Value) -> Value:
    axes, sizes = builder.union_axes([left, right])
    assert callable(operation)
    data = builder.call(operation, builder.aligned(left, axes), builder.aligned(right, axes))
    return Value(data, axes, sizes, Kind.BOOLEAN)


@function(
    "AND", arguments=(1, 255), takes=Takes.RANGES, derivative=Derivative.ZERO, examples={"AND(1>0,2)*1": 1, "AND(TRUE,0)*1": 0}
)
def and_(context: Context, *arguments: Value) -> Value:
    """Whether all conditions hold."""
    return _logical(context, arguments, every=True)


@function("OR", arguments=(1, 255), takes=Takes.RANGES, derivative=Derivative.ZERO, examples={"OR(1<0,2)*1": 1, "OR(FALSE,0)*1": 0})
def or_(context: Context, *arguments: Value) -> Value:
    """Whether any condition holds."""
    return _logical(context, arguments, every=False)


@function("XOR", arguments=(1, 255), takes=Takes.RANGES, derivative=Derivative.ZERO, examples={"XOR(TRUE,TRUE,1>0)*1": 1})
def xor(context: Context, *arguments: Value) -> Value:
    """Whether an odd number of conditions hold."""
    builder, result = context.builder, context.builder.boolean(False)
    for value in arguments:
        test = builder.conditions(value)
        summed = builder.reduce(torch.sum, builder.numbers(test))
        odd = Value(builder.call(torch.eq, builder.call(torch.remainder, summed.data, 2), 1), summed.axes, summed.sizes, Kind.BOOLEAN)
        result = _pair(builder, torch.logical_xor, result, odd)
    return result


@function("NOT", arguments=(1, 1), takes=Takes.FORMULAS, derivative=Derivative.ZERO, examples={"NOT(0)*1": 1, "NOT(2>1)*1": 0})
def not_(context: Context, argument: Node) -> Value:
    """The opposite of a condition."""
    builder = context.builder
    test = builder.conditions(context.lower(argument, array=context.array))
    return Value(builder.call(torch.logical_not, test.data), test.axes, test.sizes, Kind.BOOLEAN)


@function("TRUE", arguments=(0, 0), derivative=Derivative.ZERO, examples={"TRUE()*1": 1})
def true(context: Context) -> Value:
    """The logical value TRUE."""
    return context.builder.boolean(True)


@function("FALSE", arguments=(0, 0), derivative=Derivative.ZERO, examples={"FALSE()*1": 0})
def false(context: Context) -> Value:
    """The logical value FALSE."""
    return context.builder.boolean(False)
