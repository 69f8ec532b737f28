"""The numbers of ranges as vectors, for formulas of torch operations over them.

    @over_numbers("GEOMEAN", examples={…})
    def geomean(numbers: Tensor, counts: Tensor) -> Tensor: ...

`numbers` has the numbers of each copy of the formula along its last dimension, `counts` tells which of them count: in
cells and arrays text, logical values and blanks do not. What does not count is 0.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from typing import Any, TypeVar

import torch
from torch import Tensor

from sgdsheet.compiler.functions.registry import Context, Derivative, Takes, function, masked, numbers_of
from sgdsheet.compiler.ir.builder import Builder
from sgdsheet.compiler.ir.values import UNSETTLED, Fault, Kind, Value
from sgdsheet.compiler.ir.varying import varying
from sgdsheet.errors import FormulaError

_F = TypeVar("_F", bound=Callable[..., Tensor])


def over_numbers(
    name: str,
    *,
    examples: Mapping[str, float | str | bool],
    also: Sequence[str] = (),
    derivative: Derivative = Derivative.SMOOTH,
    counts_all: bool = False,
) -> Callable[[_F], _F]:
    """Declare a function of all numbers among its arguments, as AVERAGE is one.

    `also` are older names. With `counts_all` texts in cells count as 0 and TRUE as 1, as AVERAGEA has it.
    """

    def declare(implementation: _F) -> _F:
        def evaluate(context: Context, *arguments: Value) -> Value:
            builder = context.builder
            if counts_all:
                arguments = tuple(_everything(builder, value) for value in arguments)
            return applied(builder, implementation, [gathered_numbers(builder, arguments)], arguments)

        _declare(name, also, evaluate, implementation, (1, 255), Takes.RANGES, derivative, examples, ["numbers"])
        return implementation

    return declare


def over_numbers_at(
    name: str,
    *,
    examples: Mapping[str, float | str | bool],
    also: Sequence[str] = (),
    derivative: Derivative = Derivative.KINKED,
    first: int = 0,
    fixed: Collection[int] = (1,),
    arguments: tuple[int, int] = (2, 2),
    whole: bool = False,
    inexact: float = 0.0,
) -> Callable[[_F], _F]:
    """Declare a function of the numbers of one range, the argument `first`, and of other numbers, as LARGE is one.

    The `fixed` ones must not depend on a parameter. With `whole` the others must be whole numbers: programs differ in
    how they round them.
    """

    def declare(implementation: _F) -> _F:
        def evaluate(context: Context, *given: Value) -> Value:
            builder = context.builder
            read = [value if i == first else builder.numbers(value) for i, value in enumerate(given)]
            others = [value for i, value in enumerate(read) if i != first]
            for position in fixed:
                if position < len(given) and not given[position].constant:
                    cause = f"calls {name} with a position that depends on"
                    raise varying(builder, cause, given[position], remedy="Use a fixed value there")
            if whole and any(_is_between(builder.cleaned(value)) for value in others if value.constant):
                raise FormulaError(f"calls {name} with a position that is no whole number", remedy="Round it")
            return applied(builder, implementation, [gathered_numbers(builder, [given[first]])], read, others)

        names = _others(implementation, 2)
        names.insert(first, "numbers")
        _declare(
            name,
            also,
            evaluate,
            implementation,
            arguments,
            Takes.RANGES,
            derivative,
            examples,
            names,
            fixed,
            inexact,
            scalars=[place for place in range(arguments[1]) if place != first],
        )
        return implementation

    return declare


def _others(implementation: Callable[..., Tensor], count: int) -> list[str]:
    """What the arguments behind the first ones of an implementation are called."""
    return list(inspect.signature(implementation).parameters)[count:]


def _is_between(value: Value) -> bool:
    """Whether some number of a constant is not whole."""
    return bool((value.tensor != value.tensor.round()).any())


def over_pairs(
    name: str, *, examples: Mapping[str, float | str | bool], also: Sequence[str] = (), at: bool = False
) -> Callable[[_F], _F]:
    """Declare a function of pairs of numbers, of which both count or none, as CORREL is one.

    With `at` there is a number before the two ranges. Ranges of different sizes are #N/A.
    """

    def declare(implementation: _F) -> _F:
        def evaluate(context: Context, *given: Value) -> Value:
            builder = context.builder
            one, two = given[-2:]
            others = [builder.numbers(value) for value in given[:-2]]
            if one.size("h") * one.size("w") != two.size("h") * two.size("w"):
                return builder.error(Fault.NA)
            pairs = [gathered_numbers(builder, [_as_cells(value)], keep=True) for value in (one, two)]
            return applied(builder, implementation, _in_pairs(builder, pairs), [*others, one, two], others)

        count = 3 if at else 2
        names = [*_others(implementation, 3), *list(inspect.signature(implementation).parameters)[:2]]
        _declare(
            name,
            also,
            evaluate,
            implementation,
            (count, count),
            Takes.ARRAYS,
            Derivative.SMOOTH,
            examples,
            names,
            scalars=[0] if at else [],
        )
        return implementation

    return declare


def _declare(
    name: str,
    also: Sequence[str],
    evaluate: Callable[..., Value],
    implementation: Callable[..., Tensor],
    arguments: tuple[int, int],
    takes: Takes,
    derivative: Derivative,
    examples: Mapping[str, float | str | bool],
    names: Sequence[str],
    fixed: Collection[int] = (),
    inexact: float = 0.0,
    scalars: Collection[int] = (),
) -> None:
    evaluate.__doc__, evaluate.__module__ = implementation.__doc__, implementation.__module__
    for written in (name, *also):
        function(
            written,
            arguments=arguments,
            takes=takes,
            derivative=derivative,
            fixed_arguments=fixed,
            inexact=inexact,
            names=names,
            scalars=scalars,
            examples={text.replace(f"{name}(", f"{written}("): result for text, result in examples.items()},
        )(evaluate)


# --- the numbers ------------------------------------------------------------------------------------------


Sample = tuple[Value, Tensor]
"""Numbers along the axis k, and which of them count."""


def gathered_numbers(builder: Builder, arguments: Iterable[Value], *, keep: bool = False) -> Sample:
    """All numbers among the arguments, side by side. With `keep` a range without any numbers keeps its places."""
    values = list(arguments)
    found = [(builder.cleaned(value), counts) for value, counts in numbers_of(builder, values)]
    if not found and keep:
        found = [(_zeros(builder, value), _nowhere(value)) for value in values]
    if not found:
        return Value(torch.zeros(1, dtype=builder.dtype), "k", (1,)), torch.zeros(1, dtype=torch.bool)
    copies = [_copies(value) for value, _ in found] + [_copies(counts) for _, counts in found if counts is not None]
    axes, sizes = builder.union_axes(copies)
    data, kept = [], []
    for value, counts in found:
        whole = builder.expanded(
            masked(builder, value, counts, 0.0), axes + "hw", (*sizes, value.size("h"), value.size("w"))
        )
        length = value.size("h") * value.size("w")
        data.append(builder.method("reshape", whole.data, (*sizes, length)))
        mask = Value(torch.tensor(True)) if counts is None else counts
        kept.append(builder.expanded(mask, axes + "hw", whole.sizes).tensor.reshape(*sizes, length))
    joined = data[0] if len(data) == 1 else builder.call(torch.cat, data, -1)
    mask_ = torch.cat(kept, -1)
    return Value(joined, axes + "k", (*sizes, mask_.shape[-1])), mask_


def only_numbers(value: Value) -> bool:
    """Whether all cells are numbers, or errors. FormulaError where that is so for some copies of the formula only: each
    of them has a result of its own."""
    if value.has(*UNSETTLED):
        raise FormulaError(
            "asks whether cells hold numbers, which a parameter decides",
            remedy="Let both branches of the IF give numbers",
        )
    kinds = value.kind_tensor()
    return not true_of_all((kinds != Kind.NUMBER) & (kinds != Kind.ERROR), value.axes)


def true_of_all(found: Tensor, axes: str) -> bool:
    """Whether something is found in every copy of the formula; FormulaError if it is in some of them only.

    `found` has the dimensions `axes`, of which R and C are the copies'.
    """
    over = [place for place, axis in enumerate(axes) if axis not in "RC"]
    copies = found.to(torch.uint8).amax(over) if over and found.numel() else found
    if bool(copies.any()) and not bool(copies.all()):
        raise FormulaError("is an error in some of its copies only", remedy="Mend the cells that these copies read")
    return bool(copies.any())


def _copies(value: Value) -> Value:
    """The shape of a value, without the axes of its array."""
    pairs = [(axis, size) for axis, size in zip(value.axes, value.sizes, strict=True) if axis in "RC"]
    return Value(torch.tensor(0.0), "".join(axis for axis, _ in pairs), tuple(size for _, size in pairs))


def _zeros(builder: Builder, value: Value) -> Value:
    return Value(torch.zeros(value.sizes, dtype=builder.dtype), value.axes, value.sizes)


def _nowhere(value: Value) -> Value:
    return Value(torch.zeros(value.sizes, dtype=torch.bool), value.axes, value.sizes, Kind.BOOLEAN)


def _as_cells(value: Value) -> Value:
    """A single value as it would be in a cell: text and logical values do not count."""
    return Value(value.data, value.axes, value.sizes, value.kinds, True, value.wide)


def _everything(builder: Builder, value: Value) -> Value:
    """As AVERAGEA and its like see a range: texts are 0, TRUE is 1; blanks do not count."""
    if not (value.reference or value.is_array):
        return value
    kinds = value.kind_tensor()
    if not bool(((kinds == Kind.TEXT) | (kinds == Kind.BOOLEAN)).any()):
        return value
    stored = builder.stored(value)
    data = builder.call(torch.where, kinds == Kind.TEXT, 0.0, stored.data)
    counted = torch.where((kinds == Kind.TEXT) | (kinds == Kind.BOOLEAN), int(Kind.NUMBER), kinds).to(torch.uint8)
    return Value(data, value.axes, value.sizes, reference=True).with_kinds(counted)


def _in_pairs(builder: Builder, samples: Sequence[Sample]) -> list[Sample]:
    """Two samples with the places that count in both; a number whose partner does not count is 0."""
    (one, ones), (two, twos) = samples
    if one.axes == two.axes:
        both = ones & twos
        axes = one.axes
    else:
        axes, sizes = builder.union_axes([one, two])
        both = builder.expanded(Value(ones, one.axes, one.sizes), axes, sizes).tensor
        both = both & builder.expanded(Value(twos, two.axes, two.sizes), axes, sizes).tensor
        one, two = builder.expanded(one, axes, sizes), builder.expanded(two, axes, sizes)
    if not bool(both.all()):
        one, two = (
            Value(builder.call(torch.where, both, item.data, 0.0), axes, tuple(both.shape)) for item in (one, two)
        )
    return [(one, both), (two, both)]


def applied(
    builder: Builder,
    operation: Callable[..., Any],
    samples: Sequence[Sample],
    arguments: Sequence[Value],
    others: Sequence[Value] = (),
) -> Value:
    """What a formula makes of samples and of other numbers; the first error among all arguments is its error, but for
    arrays of other numbers, each of which has a result of its own.

    The formula gets the numbers of each sample, which of them count (once), and the others.
    """
    alone = [Value(item.data, item.axes[:-1], item.sizes[:-1]) for item, _ in samples]
    axes, sizes = builder.union_axes([*alone, *others])
    numbers = [builder.aligned(item, axes + "k") for item, _ in samples]
    item, mask = samples[0]
    counts = builder.aligned(Value(mask, item.axes, item.sizes), axes + "k")
    rest = [builder.aligned(builder.cleaned(value), axes) for value in others]
    data = builder.call(operation, *numbers, counts, *rest)
    data = builder.method("expand", data, sizes) if axes else data
    result = builder.checked(builder.count(Value(data, axes, sizes)))
    for value in reversed(arguments):
        errors = builder.errors_of(value if value.is_array or value.reference else builder.numbers(value))
        if errors is not None:
            whole = value.is_array and not any(value is other for other in others)
            result = builder.spoiled(result, builder.any_error(errors) if whole else errors)
    return result
