"""Conditions."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import torch
from torch import Tensor

from sgdsheet.compiler.functions.places import Placer, Places, gives_reference, no_reference
from sgdsheet.compiler.functions.registry import Context, Derivative, OverSamples, Takes, function, refuse_unsettled
from sgdsheet.compiler.ir.builder import Builder
from sgdsheet.compiler.ir.values import Fault, Kind, Value
from sgdsheet.errors import FormulaError
from sgdsheet.sheet.syntax import Binary, Boolean, Node, Number, Omitted


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
    value = context.lower(high, array=context.array)
    if value.kinds is not Kind.NUMBER:
        return None
    # At 0 itself clamp_min has derivative 1 and relu 0: IF(x<0,0,x) takes x there, IF(x>0,x,0) takes 0.
    if below == strict:
        return context.builder.elementwise(torch.clamp_min, value, context.builder.number(0.0))
    return context.builder.elementwise(torch.relu, value)


@function(
    "IF",
    chooses=True,
    over_samples=OverSamples.ELEMENTWISE,
    arguments=(2, 3),
    takes=Takes.FORMULAS,
    derivative=Derivative.KINKED,
    zero_arguments=[0],
    examples={"IF(2>1,3,4)": 3, "IF(FALSE,1,5)": 5, "IF(1>2,7)": False, "IF(2>1,,5)": 0, "IF(3>2,4,1/0)": 4},
)
def if_(context: Context, condition: Node, chosen: Node, other: Node | None = None) -> Value:
    """One value where a condition holds, another where it does not."""
    clamped = _clamp(context, condition, chosen, other)
    if clamped is not None:
        return clamped
    return chosen_by(context, condition, chosen, lambda: _branch(context, other))


@gives_reference("IF", references=[1, 2])
def _if(placer: Placer, arguments: Sequence[Node]) -> Places:
    condition, *branches = arguments
    return _taken(placer, condition, branches[0], lambda: _other(placer, branches[1:]))


@gives_reference("IFS", references=lambda position, _: position % 2 == 1)
def _ifs(placer: Placer, arguments: Sequence[Node]) -> Places:
    condition, result, *rest = arguments

    def otherwise() -> Places:
        if rest:
            return _ifs(placer, rest)
        _, fault = placer.truths(condition)
        return Places.errors(torch.full_like(fault, int(Fault.NA)))

    return _taken(placer, condition, result, otherwise)


def _other(placer: Placer, branch: Sequence[Node]) -> Places:
    if not branch:
        raise no_reference(Boolean(False))
    return placer.places(branch[0])


def _taken(placer: Placer, condition: Node, node: Node, otherwise: Callable[[], Places]) -> Places:
    """The reference of the branch that each copy takes; one that none takes is not looked at."""
    holds, fault = placer.truths(condition)
    holds = holds & (fault == 0)
    if bool(holds.all()):
        found = placer.places(node)
    elif bool((holds | (fault != 0)).logical_not().any()):
        found = otherwise()
        found = placer.places(node).where(holds, found) if bool(holds.any()) else found
    else:
        found = placer.places(node)
    return Places.errors(fault).where(fault != 0, found)


def chosen_by(context: Context, condition: Node, chosen: Node, otherwise: Callable[[], Value]) -> Value:
    """The value of a branch; a branch that no copy of the formula takes is not even looked at."""
    builder = context.builder
    tested = builder.truths(context.lower(condition, array=context.array))
    test, errors = builder.conditions(tested), builder.errors_of(builder.numbers(tested))
    if errors is None and builder.always(test, lambda holds: holds):
        return _over(builder, test, _branch(context, chosen))
    if errors is None and builder.always(test, torch.logical_not):
        return _over(builder, test, otherwise())
    return builder.spoiled(builder.where(test, _branch(context, chosen), otherwise()), errors)


def _over(builder: Builder, test: Value, branch: Value) -> Value:
    test, branch = builder.fitted(test, branch)
    axes, sizes = builder.union_axes([test, branch])
    return builder.spoiled(builder.expanded(branch, axes, sizes), builder.errors_of(builder.numbers(test)))


@function(
    "IFS",
    chooses=True,
    over_samples=OverSamples.ELEMENTWISE,
    arguments=(2, 254),
    takes=Takes.FORMULAS,
    derivative=Derivative.KINKED,
    zero_arguments=range(0, 254, 2),
    examples={"IFS(1>2,3,2>1,4)": 4},
)
def ifs(context: Context, *arguments: Node) -> Value:
    """The value behind the first condition that holds."""
    if len(arguments) % 2:
        raise FormulaError("calls IFS with a condition and no value", remedy="Mend the formula")
    if not arguments:
        return context.builder.error(Fault.NA)
    condition, chosen, *rest = arguments
    return chosen_by(context, condition, chosen, lambda: ifs(context, *rest))


@function(
    "IFERROR",
    over_samples=OverSamples.ELEMENTWISE,
    arguments=(2, 2),
    takes=Takes.FORMULAS,
    derivative=Derivative.KINKED,
    examples={"IFERROR(1/0,7)": 7, "IFERROR(2,7)": 2},
)
def iferror(context: Context, value: Node, instead: Node) -> Value:
    """A value, or another one where the first is an error."""
    builder = context.builder
    tried = context.lower(value, array=context.array)
    errors = builder.errors_of(tried)
    if errors is None:
        return tried
    other = _branch(context, instead)
    if not errors.constant and other.has(Kind.TEXT):
        other = builder.numbers(other)  # text instead of an error, perhaps: to the loss it is an error all the same
    return builder.where(errors, other, tried)


def _tested(context: Context, arguments: tuple[Value, ...], neutral: bool) -> tuple[list[Value], list[Value]]:
    """The arguments of AND and its like as conditions, and their errors, for each copy of the formula.

    In cells and arrays text and blanks do not count: they become `neutral`. Where nothing counts, that is an error.
    """
    builder = context.builder
    tests: list[Value] = []
    errors: list[Value] = []
    counts = builder.boolean(False)
    for value in arguments:
        counted, ignored = _counted(builder, value)
        there = Value(torch.tensor(True) if ignored is None else ~ignored, *_place(value, ignored), Kind.BOOLEAN)
        some = builder.reduced_bits(torch.any, there)
        counts = builder.elementwise(torch.logical_or, counts, some, kind=Kind.BOOLEAN)
        found = builder.errors_of(builder.numbers(counted))
        errors += [] if found is None else [builder.any_error(found)]
        test = builder.conditions(counted)
        if ignored is not None:
            test = replace(test, data=builder.call(torch.where, ignored, torch.tensor(neutral), test.data))
        tests.append(test)
    if not bool(counts.tensor.all()):
        nothing = torch.where(counts.tensor, 0.0, Fault.VALUE.nan).to(builder.dtype)
        errors.append(Value(nothing, counts.axes, counts.sizes))
    return tests, errors


def _place(value: Value, ignored: Tensor | None) -> tuple[str, tuple[int, ...]]:
    return ("", ()) if ignored is None else (value.axes, value.sizes)


def _counted(builder: Builder, value: Value) -> tuple[Value, Tensor | None]:
    """The value without what does not count, and where that is; None if all of it counts."""
    if not (value.reference or value.is_array):
        return builder.truths(value), None
    if not value.reference:  # in a formula's cell all of these count
        refuse_unsettled(builder, value)
    kinds = value.kind_tensor()
    ignored = (kinds == Kind.TEXT) | (kinds == Kind.BLANK)
    if not bool(ignored.any()):
        return value, None
    zeroed = replace(value, data=builder.call(torch.where, ignored, 0.0, builder.stored(value).data))
    return zeroed.with_kinds(torch.where(ignored, int(Kind.BLANK), kinds).to(torch.uint8)), ignored


def _logical(context: Context, arguments: tuple[Value, ...], *, every: bool) -> Value:
    """AND and OR: all arguments count, so an error in any of them is an error."""
    builder = context.builder
    operation = torch.logical_and if every else torch.logical_or
    result = builder.boolean(every)
    tests, errors = _tested(context, arguments, every)
    for value in tests:
        test = builder.reduced_bits(torch.all if every else torch.any, value)
        result = builder.elementwise(operation, result, test, kind=Kind.BOOLEAN)
    return _with(builder, result, errors)


def _with(builder: Builder, result: Value, errors: list[Value]) -> Value:
    for error in reversed(errors):
        result = builder.spoiled(result, error)
    return result


@function(
    "AND",
    over_samples=OverSamples.EXTREME,
    arguments=(1, 255),
    takes=Takes.RANGES,
    derivative=Derivative.ZERO,
    examples={"AND(1>0,2)*1": 1, "AND(TRUE,0)*1": 0},
)
def and_(context: Context, *arguments: Value) -> Value:
    """Whether all conditions hold."""
    return _logical(context, arguments, every=True)


@function(
    "OR",
    over_samples=OverSamples.EXTREME,
    arguments=(1, 255),
    takes=Takes.RANGES,
    derivative=Derivative.ZERO,
    examples={"OR(1<0,2)*1": 1, "OR(FALSE,0)*1": 0},
)
def or_(context: Context, *arguments: Value) -> Value:
    """Whether any condition holds."""
    return _logical(context, arguments, every=False)


@function(
    "XOR",
    arguments=(1, 255),
    takes=Takes.RANGES,
    derivative=Derivative.ZERO,
    examples={"XOR(TRUE,TRUE,1>0)*1": 1},
)
def xor(context: Context, *arguments: Value) -> Value:
    """Whether an odd number of conditions hold."""
    builder, result = context.builder, context.builder.boolean(False)
    tests, errors = _tested(context, arguments, False)
    for test in tests:
        summed = builder.reduce(torch.sum, builder.numbers(test))
        odd = builder.elementwise(torch.remainder, summed, builder.number(2.0))
        result = builder.elementwise(torch.logical_xor, result, builder.conditions(odd), kind=Kind.BOOLEAN)
    return _with(builder, result, errors)


@function(
    "NOT",
    arguments=(1, 1),
    takes=Takes.FORMULAS,
    derivative=Derivative.ZERO,
    examples={"NOT(0)*1": 1, "NOT(2>1)*1": 0},
)
def not_(context: Context, argument: Node) -> Value:
    """The opposite of a condition."""
    builder = context.builder
    value = builder.truths(context.lower(argument, array=context.array))
    opposite = builder.elementwise(torch.logical_not, builder.conditions(value), kind=Kind.BOOLEAN)
    return builder.spoiled(opposite, builder.errors_of(builder.numbers(value)))


@function("TRUE", arguments=(0, 0), derivative=Derivative.ZERO, examples={"TRUE()*1": 1})
def true(context: Context) -> Value:
    """The logical value TRUE."""
    return context.builder.boolean(True)


@function("FALSE", arguments=(0, 0), derivative=Derivative.ZERO, examples={"FALSE()*1": 0})
def false(context: Context) -> Value:
    """The logical value FALSE."""
    return context.builder.boolean(False)
