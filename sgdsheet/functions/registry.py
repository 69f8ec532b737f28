"""The registry of Excel functions: one declaration each, read by compiler, documentation and tests.

    @function("SUMSQ", arguments=(1, 255), takes=Takes.RANGES, examples={"SUMSQ(3,4)": 25})
    def sumsq(context: Context, *arguments: Value) -> Value: ...

The docstring's first line is the help text. `examples` maps formulas to Excel's result; tests evaluate each of
them, and compare the gradient with central differences where `derivative` says that there is one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Protocol

import torch

from sgdsheet.formula import Area, ArrayConstant, Call, Node
from sgdsheet.tensors import Builder, Kind, Value


class Takes(Enum):
    """How a function wants its arguments."""

    SCALARS = "scalars"
    """Single numbers; over an array it works element by element."""
    RANGES = "ranges"
    """Whole ranges as they stand, with text and blanks."""
    ARRAYS = "arrays"
    """Whole ranges, and expressions in the arguments are array expressions (SUMPRODUCT)."""
    FORMULAS = "formulas"
    """The arguments before evaluation: the function decides what to evaluate (IF)."""


class Derivative(Enum):
    """What the gradient through a function is."""

    SMOOTH = "exact"
    KINKED = "exact, of the branch taken"
    ZERO = "zero"


class Context(Protocol):
    """What a function may use while a block is lowered."""

    builder: Builder

    def lower(self, node: Node, *, array: bool) -> Value:
        """Evaluate an argument."""
        ...

    @property
    def array(self) -> bool:
        """Whether the call stands in an array expression."""
        ...

    def shape(self, node: Node) -> tuple[int, int] | None:
        """Rows and columns of an argument that is a reference, else None."""
        ...

    def position(self, node: Node | None) -> tuple[Value, Value]:
        """Row and column numbers of a reference (of the formula's own cell for None)."""
        ...

    def pick(self, node: Node, row: int, column: int) -> Value | None:
        """One row and column (from 1, 0 for all) of a reference; None if `node` is none."""
        ...


@dataclass(frozen=True, slots=True)
class Function:
    """One Excel function."""

    name: str
    category: str
    help: str
    arguments: tuple[int, int]
    takes: Takes
    derivative: Derivative
    examples: Mapping[str, float]
    evaluate: Callable[[Context, Call], Value]
    selects: bool
    """Whether it hides values, and with them errors, that it does not choose."""
    zero_arguments: frozenset[int]
    """Positions of arguments through which no gradient flows (the condition of IF)."""


REGISTRY: dict[str, Function] = {}


def function(
    name: str,
    *,
    arguments: tuple[int, int],
    takes: Takes = Takes.SCALARS,
    derivative: Derivative = Derivative.SMOOTH,
    examples: Mapping[str, float],
    selects: bool = False,
    zero_arguments: Iterable[int] = (),
) -> Callable[[Callable[..., Value]], Callable[..., Value]]:
    """Declare an Excel function. `arguments` are the smallest and the largest number of them."""

    def declare(implementation: Callable[..., Value]) -> Callable[..., Value]:
        if name in REGISTRY:
            raise ValueError(f"{name} is declared twice")
        REGISTRY[name] = Function(
            name=name,
            category=implementation.__module__.rpartition(".")[2],
            help=(implementation.__doc__ or "").partition("\n")[0],
            arguments=arguments,
            takes=takes,
            derivative=derivative,
            examples=examples,
            evaluate=_evaluator(implementation, takes),
            selects=selects,
            zero_arguments=frozenset(zero_arguments),
        )
        return implementation

    return declare


def _evaluator(implementation: Callable[..., Value], takes: Takes) -> Callable[[Context, Call], Value]:
    def evaluate(context: Context, call: Call) -> Value:
        if takes is Takes.FORMULAS:
            return implementation(context, *call.arguments)
        if takes is Takes.SCALARS:
            values = [context.lower(item, array=context.array) for item in call.arguments]
            return implementation(context, *[context.builder.numbers(value) for value in values])
        # A range is taken whole; of a calculation with ranges, SUM sees one row's result and SUMPRODUCT all.
        arrays = context.array or takes is Takes.ARRAYS
        whole = (Area, ArrayConstant)
        values = [context.lower(item, array=arrays or isinstance(item, whole)) for item in call.arguments]
        return implementation(context, *values)

    return evaluate


def elementwise(
    name: str,
    operation: Callable[..., torch.Tensor],
    help_text: str,
    *,
    examples: Mapping[str, float],
    arguments: tuple[int, int] = (1, 1),
    derivative: Derivative = Derivative.SMOOTH,
    module: str,
) -> None:
    """Declare a function that is one torch operation on numbers."""

    def implementation(context: Context, *values: Value) -> Value:
        return context.builder.elementwise(operation, *values)

    implementation.__doc__ = help_text
    implementation.__module__ = module
    function(name, arguments=arguments, derivative=derivative, examples=examples)(implementation)


def guarded(builder: Builder, inside: Callable[..., torch.Tensor], value: Value) -> Value:
    """The value with NaN where `inside(value, 0)` is false, so that no infinite slope leaks out of a hidden error.

    Only in sheets with an IF or the like: elsewhere an error reaches the loss anyway.
    """
    if value.constant or not builder.guarded:
        return value
    kept = builder.call(inside, value.data, 0)
    return Value(builder.call(torch.where, kept, value.data, torch.nan), value.axes, value.sizes, value.kinds)


def flat_at_zero(builder: Builder, value: Value) -> Value:
    """The value with slope 0 where it is 0 or less: a square root's slope there is infinite."""
    if value.constant:
        return value
    kept = builder.call(torch.gt, value.data, 0)
    still = builder.method("detach", value.data)
    return Value(builder.call(torch.where, kept, value.data, still), value.axes, value.sizes, value.kinds)


def numbers_of(builder: Builder, values: Iterable[Value]) -> Iterator[tuple[Value, torch.Tensor | None]]:
    """The numbers among the arguments of SUM and its like, each with a mask of the cells that count.

    In cells and arrays only numbers count; a text or logical value given directly is taken as a number.
    The mask is None where everything counts; a value of which nothing counts is left out.
    """
    for value in values:
        if not (value.reference or value.is_array):
            yield builder.numbers(value), None
        elif isinstance(value.kinds, torch.Tensor):
            counts = (value.kinds == Kind.NUMBER) | (value.kinds == Kind.ERROR)
            clean = torch.where(value.kinds == Kind.ERROR, int(Kind.ERROR), int(Kind.NUMBER)).to(torch.uint8)
            number = Value(value.data, value.axes, value.sizes, clean, value.reference)
            yield builder.numbers(number), (None if bool(counts.all()) else counts)
        elif value.kinds in (Kind.NUMBER, Kind.ERROR):
            yield value, None
