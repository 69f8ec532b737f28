"""The registry of Excel functions: one declaration each, read by compiler, documentation and tests.

    @function("SUMSQ", arguments=(1, 255), takes=Takes.RANGES, examples={"SUMSQ(3,4)": 25})
    def sumsq(context: Context, *arguments: Value) -> Value: ...

The docstring's first line is the help text. `examples` maps formulas to Excel's result; tests evaluate each
of them, and compare the gradient with central differences where `derivative` says that there is one.

A function of our own, which Excel does not have, is an `own_function`: it says its arguments by name, because the
add-ins offer it to people (see `sgdsheet.apps.udf.declarations`).
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import Enum
from typing import Any, Protocol

import torch

from sgdsheet.compiler.functions.vanishing import vanishes
from sgdsheet.compiler.ir.builder import Builder
from sgdsheet.compiler.ir.values import UNSETTLED, Fault, Kind, Value
from sgdsheet.compiler.ir.varying import varying
from sgdsheet.errors import FormulaError
from sgdsheet.sheet.syntax import Area, ArrayConstant, Call, Node, Shared, Text, Union, children, walk


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
    NONE = "none: it may not stand between parameters and loss"


class OverSamples(Enum):
    """What becomes of a function of all samples where only the samples of a batch are evaluated."""

    UNKNOWN = "such a formula cannot be trained in batches"
    ELEMENTWISE = "each sample has its own value"
    ROWS = "each sample has its own value, if it is a row of several cells"
    FIRST = "each sample has its own value; only the first argument is of the samples"
    PRODUCT = "as FIRST; if the first argument turns the samples, the sum over the batch, scaled up"
    TURNED = "the samples side by side, which only PRODUCT takes"
    SUM = "the sum over the batch, scaled up"
    MEAN = "the mean over the batch"
    MEAN_OF_ROWS = "the mean over the batch, if each sample is a row of several cells"
    EXTREME = "that of the batch; other values beside the samples are welcome"
    COUNT = "how many samples there are, in all"
    WIDTH = "the same for any samples"

    @property
    def is_each(self) -> bool:
        """Whether each sample has its own value."""
        return self in (OverSamples.ELEMENTWISE, OverSamples.ROWS) or self.is_of_first

    @property
    def is_of_first(self) -> bool:
        """Whether each sample has its own value, and only the first argument is of the samples."""
        return self in (OverSamples.FIRST, OverSamples.PRODUCT)

    @property
    def is_reduced(self) -> bool:
        """Whether it is calculated over the batch in place of all samples."""
        return self in (OverSamples.SUM, OverSamples.MEAN, OverSamples.MEAN_OF_ROWS, OverSamples.EXTREME)

    @property
    def is_by_rows(self) -> bool:
        """Whether it takes a single column as one vector, that is, all samples together."""
        return self in (OverSamples.ROWS, OverSamples.MEAN_OF_ROWS)

    @property
    def is_size(self) -> bool:
        """Whether it depends on how many cells there are, and not on what they hold."""
        return self in (OverSamples.COUNT, OverSamples.WIDTH)


class Multiplies(Enum):
    """How the two arguments of a function are multiplied, where it is a product of weights and data."""

    ELEMENTS = "element by element"
    MATRICES = "as matrices"


class Context(Protocol):
    """What a function may use while a block is lowered."""

    @property
    def builder(self) -> Builder:
        """What records the operations."""
        ...

    @property
    def date1904(self) -> bool:
        """Whether the workbook counts days from 1904."""
        ...

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

    def filled(self, *nodes: Node) -> list[Node]:
        """Arguments with whole columns and rows cut to what is filled, all of them alike; others as they are."""
        ...

    def visible(self, area: Area, *, shown_only: bool, but_calls: Collection[str]) -> Area:
        """A reference without the rows that a filter hides, without all hidden rows if `shown_only`, and without the
        cells that are calls of some functions."""
        ...

    def filtered(self, area: Area) -> bool:
        """Whether a filter hides some rows of a reference, or nobody knows."""
        ...

    def formulas(self, area: Area) -> Value:
        """The formulas of cells as texts that begin with =; an empty text where there is none."""
        ...

    def sheet_numbers(self) -> tuple[int, Mapping[str, int]]:
        """The number of the formula's own sheet, and those of all sheets by name in capitals, from 1 on."""
        ...

    def part(self, node: Node, row: int, column: int) -> Node | None:
        """One row and column (from 1, 0 for all) of a reference; None if `node` is none."""
        ...


class ArgumentKind(Enum):
    """What a person gives to a function of our own."""

    ARRAY = "array"
    """Cells or an array, taken whole."""
    SCALAR = "scalar"
    """One value."""
    REFERENCE = "reference"
    """Cells of the workbook: which they are matters, not only what they hold."""


@dataclass(frozen=True, slots=True)
class Argument:
    """An argument of a function of our own, as a function wizard shows it."""

    name: str
    help: str
    kind: ArgumentKind = ArgumentKind.ARRAY
    optional: bool = False


@dataclass(frozen=True, slots=True)
class Function:
    """One Excel function."""

    name: str
    category: str
    help: str
    arguments: tuple[int, int]
    takes: Takes
    derivative: Derivative
    examples: Mapping[str, float | str | bool]
    evaluate: Callable[[Context, Call], Value]
    zero_arguments: frozenset[int]
    """Positions of arguments through which no gradient flows (the condition of IF)."""
    fixed_arguments: frozenset[int]
    """Positions of arguments that must not depend on a parameter (the key of a lookup)."""
    reference_arguments: frozenset[int]
    """Positions of arguments of which it asks where their cells are, not only what they hold (ROW)."""
    range_arguments: frozenset[int]
    """Positions of arguments that must be ranges: one that INDEX or IF picks is found before the program is made."""
    single_arguments: frozenset[int]
    """Positions of arguments of a function of ranges that are single values: an array there gives as many results."""
    gives_range: bool
    """Whether it picks a whole range where one is wanted: `SUM(INDEX(A1:C9,0,2))`."""
    skips_blanks: bool
    """Whether blank cells at the end of a range that is an argument make no difference."""
    over_samples: OverSamples
    """What it does to samples of which only a batch is there."""
    additive: bool
    """Whether the mean of its values over parts of the samples is its value over all (sums being scaled up)."""
    sums_squares: bool = False
    """Whether it is a sum of squares, as losses are."""
    multiplies: Multiplies | None = None
    """How it multiplies, if it is a product of its two arguments."""
    chooses: bool = False
    """Whether its result may jump where a number that it compares passes another one."""
    tells_row: bool = False
    """Whether it tells where its formula or its argument stands, which is another number for each sample."""
    gives_value: bool = False
    """Whether it gives one value, whatever it is given; only told of functions of our own."""
    inexact: float = 0.0
    """How far Excel's own results are from the exact ones, relatively: it stops its search for a root early."""
    described: tuple[Argument, ...] = ()
    """The arguments by name; only of functions of our own."""
    areas_apart: bool = False
    """Whether several ranges in brackets are as many arguments, where it does not take ranges as they stand."""
    takes_function: int | None = None
    """The argument that may be a function itself, by its name alone: `GROUPBY(A1:A9,B1:B9,SUM)`."""
    picks_area: bool = False
    """Whether it picks one of several ranges in brackets."""
    reads_for: frozenset[str] = frozenset()
    """First arguments for which it reads the range beside them; for other texts it asks only where that is."""
    names: tuple[str, ...] = ()
    """What its arguments are called; the last one is repeated."""
    note: str = ""
    """What is refused, or differs from Excel, in a sentence."""

    @property
    def signature(self) -> str:
        """How it is called: `LEFT(text, [count])`, with brackets around what may be left out."""
        least, most = self.arguments
        listed = list(self.names[:most])
        shown = [name if place < least else f"[{name}]" for place, name in enumerate(listed)]
        return f"{self.name}({', '.join([*shown, '…'] if most > len(listed) else shown)})"

    @property
    def takes_areas_apart(self) -> bool:
        """Whether `(A1:A3,C1:C3)` may stand for several of its arguments."""
        return self.areas_apart or (self.takes is Takes.RANGES and self.arguments[1] >= _ANY_NUMBER)

    @property
    def takes_areas(self) -> bool:
        """Whether it takes `(A1:A3,C1:C3)` as one argument."""
        return self.picks_area or self.takes is Takes.RANGES


_ANY_NUMBER = 254
"""Arguments of functions that take any number of them."""

REGISTRY: dict[str, Function] = {}


EXAMPLE_CELLS: Mapping[str, Sequence[float | str]] = {
    "A1:A4": (10, 20, 30, 40),
    "B1:B4": ("male", "female", "female", "male"),
    "C1:C4": (1, 0, 1, 1),
}
"""The cells that the examples refer to."""


def declared(node: Node) -> Function | None:
    """The function that a part of a formula calls; None if it calls none that is supported."""
    return REGISTRY.get(node.name) if isinstance(node, Call) else None


def areas_read(node: Node) -> Iterator[Area]:
    """The references of a formula whose cells it reads: those of ROW and ROWS are only asked where they are."""
    asked = {
        id(part)
        for call in walk(node)
        if (function := declared(call)) is not None and (function.reference_arguments or function.reads_for)
        for position, part in enumerate(children(call))
        if position in _asked(function, call) and isinstance(part, Area)
    }
    for part in walk(node):
        if isinstance(part, Area) and id(part) not in asked:
            yield part


def _asked(function: Function, call: Node) -> frozenset[int]:
    """The positions of the arguments of which a call asks only where they are."""
    match children(call):
        case (Text(value=what), *_) if function.reads_for and what.lower() not in function.reads_for:
            return function.range_arguments
    return function.reference_arguments


def over_samples(node: Node) -> OverSamples:
    """What a part of a formula does to the samples, if it is a call of a function."""
    found = declared(node)
    return found.over_samples if found is not None else OverSamples.UNKNOWN


def is_smooth(node: Node) -> bool:
    """Whether a part calls a function of single numbers whose result has no jumps, but roundings."""
    found = declared(node)
    return found is not None and found.takes is Takes.SCALARS and found.derivative is Derivative.SMOOTH


def inexact(tree: Node) -> float:
    """How far Excel's result of a formula may be from the exact one because of a function that it calls."""
    return max((found.inexact for part in walk(tree) if (found := declared(part)) is not None), default=0.0)


def function(
    name: str,
    *,
    arguments: tuple[int, int],
    takes: Takes = Takes.SCALARS,
    derivative: Derivative = Derivative.SMOOTH,
    examples: Mapping[str, float | str | bool],
    zero_arguments: Iterable[int] = (),
    fixed_arguments: Iterable[int] = (),
    reference_arguments: Iterable[int] = (),
    range_arguments: Iterable[int] = (),
    conditions: Collection[int] = (),
    scalars: Collection[int] = (),
    booleans: bool = True,
    gives_range: bool = False,
    skips_blanks: bool | None = None,
    over_samples: OverSamples | None = None,
    additive: bool = True,
    sums_squares: bool = False,
    multiplies: Multiplies | None = None,
    chooses: bool = False,
    tells_row: bool = False,
    gives_value: bool = False,
    inexact: float = 0.0,
    described: Sequence[Argument] = (),
    areas_apart: bool = False,
    picks_area: bool = False,
    takes_function: int | None = None,
    reads_for: Iterable[str] = (),
    names: Sequence[str] = (),
    note: str = "",
) -> Callable[[Callable[..., Value]], Callable[..., Value]]:
    """Declare an Excel function. `arguments` are the smallest and the largest number of them.

    `conditions` are the positions of scalar arguments that are TRUE or FALSE: texts there are read as IF reads them.
    `scalars` are those of single values of a function that takes ranges, as the place of LARGE: a plain formula takes
    the cell of a range that stands in its own row or column.
    Without `booleans`, TRUE and FALSE are #VALUE! to a function of single values, as to those of the old ToolPak.
    `additive` is for sums and means over samples. `areas_apart` says that several ranges in brackets are as many
    arguments, `picks_area` that it takes one of them. `takes_function` is the argument that may be a function itself.
    `reads_for` are the texts as first argument for which it reads a range, and does not only ask where that is.
    `names` are what the arguments are called, if not as those of the implementation; `note` says what is refused, or
    differs from Excel.
    """
    over = over_samples or (OverSamples.ELEMENTWISE if takes is Takes.SCALARS else OverSamples.UNKNOWN)
    sums_up = over in (OverSamples.SUM, OverSamples.MEAN, OverSamples.MEAN_OF_ROWS)

    def declare(implementation: Callable[..., Value]) -> Callable[..., Value]:
        if name in REGISTRY:
            raise ValueError(f"{name} is declared twice")
        skips = takes is Takes.RANGES if skips_blanks is None else skips_blanks
        REGISTRY[name] = Function(
            name=name,
            category=implementation.__module__.rpartition(".")[2],
            help=(implementation.__doc__ or "").partition("\n")[0],
            arguments=arguments,
            takes=takes,
            derivative=derivative,
            examples=examples,
            evaluate=_evaluator(implementation, takes, skips, conditions, frozenset(scalars), booleans),
            zero_arguments=frozenset(zero_arguments) | frozenset(fixed_arguments),
            fixed_arguments=frozenset(fixed_arguments),
            reference_arguments=frozenset(reference_arguments),
            range_arguments=frozenset(range_arguments),
            single_arguments=frozenset(scalars),
            gives_range=gives_range,
            skips_blanks=skips,
            over_samples=over,
            additive=sums_up and additive,
            sums_squares=sums_squares,
            multiplies=multiplies,
            chooses=chooses,
            tells_row=tells_row,
            gives_value=gives_value,
            inexact=inexact,
            described=tuple(described),
            areas_apart=areas_apart,
            picks_area=picks_area,
            takes_function=takes_function,
            reads_for=frozenset(reads_for),
            names=tuple(names) or _names_of(implementation, described),
            note=note,
        )
        return implementation

    return declare


def _names_of(implementation: Callable[..., Any], described: Sequence[Argument]) -> tuple[str, ...]:
    """What the arguments of an implementation are called; a wrapper's are those of what it wraps."""
    if described:
        return tuple(argument.name for argument in described)
    parameters = inspect.signature(implementation).parameters.values()
    return tuple(
        item.name.strip("_").replace("_", " ")
        for item in parameters
        if item.kind is not item.KEYWORD_ONLY and item.name != "context"
    )


def own_function(
    name: str, described: Sequence[Argument], **options: Any
) -> Callable[[Callable[..., Value]], Callable[..., Value]]:
    """Declare a function that Excel does not have. It takes arrays whole, as the add-ins give them to it."""
    required = sum(not argument.optional for argument in described)
    options.setdefault("takes", Takes.ARRAYS)
    return function(name, arguments=(required, len(described)), described=described, **options)


def fixed(context: Context, node: Node, *, array: bool | None = None) -> Value:
    """An argument that must not depend on a parameter."""
    value = context.lower(node, array=context.array if array is None else array)
    if not value.constant:
        cause = "looks something up by a value that depends on"
        raise varying(context.builder, cause, value, remedy="Use a fixed value")
    return value


def _evaluator(
    implementation: Callable[..., Value],
    takes: Takes,
    skips_blanks: bool,
    conditions: Collection[int],
    scalars: Collection[int],
    booleans: bool,
) -> Callable[[Context, Call], Value]:
    def evaluate(context: Context, call: Call) -> Value:
        if takes is Takes.FORMULAS:
            return implementation(context, *call.arguments)
        if takes is Takes.SCALARS:
            values = [context.lower(item, array=context.array) for item in call.arguments]
            values = context.builder.fitted(*values) if values else values
            for position in conditions:
                values[position] = context.builder.truths(values[position])
            numbers = [context.builder.numbers(value) for value in values]
            if not booleans:
                pairs = zip(numbers, values, strict=True)
                numbers = [_without_truths(context, number, value) for number, value in pairs]
            return implementation(context, *numbers)
        # A range is taken whole; of a calculation with ranges, SUM sees one row's result and SUMPRODUCT all.
        arrays = context.array or takes is Takes.ARRAYS
        arguments = _filled(context, call.arguments, arrays) if skips_blanks else call.arguments
        values = [
            context.lower(call.arguments[position], array=context.array)
            if position in scalars
            else context.lower(item, array=arrays or stands_whole(item))
            for position, item in enumerate(arguments)
        ]
        return implementation(context, *values)

    return evaluate


def _without_truths(context: Context, number: Value, value: Value) -> Value:
    """A number, #VALUE! where TRUE or FALSE stood."""
    if not value.has(Kind.BOOLEAN):
        return number
    truths = Value(value.kind_tensor() == Kind.BOOLEAN, value.axes, value.sizes, Kind.BOOLEAN)
    return context.builder.spoiled(number, truths, Fault.VALUE)


def _filled(context: Context, arguments: Sequence[Node], arrays: bool) -> Sequence[Node]:
    """Without the cells of whole columns that nothing stands in, where these make no difference."""
    if not arrays:
        return [context.filled(item)[0] if isinstance(item, Area) else item for item in arguments]

    def holds_something(area: Area) -> bool:
        value = context.lower(area, array=False)
        if not value.constant:
            return False
        empty = (value.kind_tensor() == Kind.TEXT) & (value.tensor == context.builder.text_code(""))
        zero = (value.kind_tensor() != Kind.TEXT) & (value.tensor == 0)
        return not bool((empty | zero).any())

    if all(vanishes(item, holds_something) for item in arguments):
        return context.filled(*arguments)
    return arguments


def stands_whole(node: Node) -> bool:
    """Whether an argument is a range or an array, which is taken whole where one is wanted."""
    if isinstance(node, Shared):
        return stands_whole(node.meaning)
    found = declared(node)
    if found is not None and found.name in _BRANCHES:
        return _gives_one_of_its_ranges(node)
    return (found is not None and found.gives_range) or isinstance(node, (Area, ArrayConstant, Union))


_BRANCHES: dict[str, Callable[[int, int], bool]] = {
    "IF": lambda place, _: place > 0,
    "IFS": lambda place, _: place % 2 == 1,
    "SWITCH": lambda place, count: place > 0 and (place % 2 == 0 or (place == count - 1 and count % 2 == 0)),
}
"""Functions that choose one of several references, and which of their arguments these are."""


def _gives_one_of_its_ranges(node: Node) -> bool:
    """Whether a choice is between ranges by single values: `IF(A1>2,B1:B3,C1:C3)` is one of these ranges."""
    node = node.meaning if isinstance(node, Shared) else node
    if not isinstance(node, Call):
        return False
    several = False
    for place, part in enumerate(node.arguments):
        branch = _BRANCHES[node.name](place, len(node.arguments))
        if branch and (isinstance(part, Area) or (isinstance(part, Call) and part.name in _BRANCHES)):
            several = several or isinstance(part, Area) or _gives_one_of_its_ranges(part)
        elif any(isinstance(item, Area) and not _is_single(item) for item in walk(part)):
            return False
    return several


def _is_single(area: Area) -> bool:
    return area.top == area.bottom and area.left == area.right


def elementwise(
    name: str,
    operation: Callable[..., torch.Tensor],
    help_text: str,
    *,
    examples: Mapping[str, float | str | bool],
    arguments: tuple[int, int] = (1, 1),
    names: Sequence[str] = ("number",),
    derivative: Derivative = Derivative.SMOOTH,
    module: str,
) -> None:
    """Declare a function that is one torch operation on numbers."""

    def implementation(context: Context, *values: Value) -> Value:
        return context.builder.elementwise(operation, *values)

    implementation.__doc__ = help_text
    implementation.__module__ = module
    function(name, arguments=arguments, names=names, derivative=derivative, examples=examples)(implementation)


def guarded(
    builder: Builder,
    inside: Callable[..., torch.Tensor],
    value: Value,
    limit: float,
    fault: Fault = Fault.NUM,
) -> Value:
    """The value with an error where `inside(value, limit)` is false.

    An operation whose derivative is infinite there then passes no gradient on, should an IF hide the error: 0 * inf
    is NaN.
    """
    if value.constant:
        outside = ~inside(builder.cleaned(value).tensor, limit)
        if not bool(outside.any()):
            return value
        wrong = Value(outside, value.axes, value.sizes, Kind.BOOLEAN)
        return builder.spoiled(builder.spoiled(value, wrong, fault), builder.errors_of(value))
    kept = builder.call(inside, value.data, limit)
    return Value(builder.call(torch.where, kept, value.data, torch.nan), value.axes, value.sizes, value.kinds)


def flat_at_zero(builder: Builder, value: Value) -> Value:
    """The value with derivative 0 where it is 0 or less: a square root's derivative there is infinite."""
    if value.constant or builder.domains.at_least(value.data) > 0:
        return value
    return flat(builder, torch.gt, value, 0.0)


def flat(builder: Builder, inside: Callable[..., torch.Tensor], value: Value, limit: float) -> Value:
    """The value with derivative 0 where `inside(value, limit)` is false."""
    if value.constant:
        return value
    kept = builder.call(inside, value.data, limit)
    still = builder.method("detach", value.data)
    return Value(builder.call(torch.where, kept, value.data, still), value.axes, value.sizes, value.kinds)


def numbers_of(
    builder: Builder, values: Iterable[Value], *, choices: bool = False, zeros: bool = False
) -> Iterator[tuple[Value, Value | None]]:
    """The numbers among the arguments of SUM and its like, each with a mask of the cells that count.

    In cells and arrays only numbers count; a text or logical value given directly is taken as a number.
    The mask is None where everything counts; a value of which nothing counts is left out.
    With `choices` the mask may depend on a parameter, where that decides between a number and TRUE, FALSE or nothing;
    else FormulaError is raised for such cells. `zeros` says that a 0 makes no difference to the function.
    """
    for value in values:
        if value.has(*UNSETTLED):
            yield _chosen_numbers(builder, value, choices, zeros)
        elif not (value.reference or value.is_array):
            yield builder.numbers(value), None
        elif isinstance(value.kinds, torch.Tensor):
            counts = (value.kinds == Kind.NUMBER) | (value.kinds == Kind.ERROR)
            clean = torch.where(value.kinds == Kind.ERROR, int(Kind.ERROR), int(Kind.NUMBER)).to(torch.uint8)
            number = Value(value.data, value.axes, value.sizes, clean, value.reference)
            whole = not builder.generic and bool(counts.all())
            yield builder.numbers(number), None if whole else Value(counts, value.axes, value.sizes, Kind.BOOLEAN)
        elif value.kinds in (Kind.NUMBER, Kind.ERROR):
            yield value, None


def _chosen_numbers(builder: Builder, value: Value, choices: bool, zeros: bool) -> tuple[Value, Value | None]:
    """The numbers of a value of which a parameter decides whether cells hold one, and which count."""
    kinds = value.kind_tensor()
    numeric = (kinds == Kind.NUMBER) | (kinds == Kind.ERROR) | (kinds >= Kind.MAYBE_BLANK)
    clean = torch.where(kinds == Kind.ERROR, int(Kind.ERROR), int(Kind.NUMBER)).to(torch.uint8)
    number = Value(value.data, value.axes, value.sizes, reference=value.reference).with_kinds(clean)
    if zeros and not value.has(Kind.MAYBE_TRUE):
        return number, None if bool(numeric.all()) else Value(numeric, value.axes, value.sizes, Kind.BOOLEAN)
    left_out = builder.no_number(value) if choices else None
    if left_out is None or not (value.reference or value.is_array):
        raise unsettled(builder, value)
    counts = builder.elementwise(torch.logical_not, left_out, kind=Kind.BOOLEAN)
    if bool(numeric.all()):
        return number, counts
    known = Value(numeric, value.axes, value.sizes, Kind.BOOLEAN)
    return number, builder.elementwise(torch.logical_and, counts, known, kind=Kind.BOOLEAN)


def unsettled(builder: Builder, *values: Value) -> FormulaError:
    """The error for a function that treats TRUE, FALSE and blanks other than numbers, of cells that may be either."""
    cause = "asks whether cells hold a number, TRUE, FALSE or nothing, which depends on"
    return varying(builder, cause, *values, remedy="Let both branches of the IF give numbers")


def refuse_unsettled(builder: Builder, *values: Value) -> None:
    """FormulaError if a parameter decides whether cells hold a number or TRUE, FALSE or nothing."""
    found = [value for value in values if value.has(*UNSETTLED)]
    if found:
        raise unsettled(builder, *found)


def masked(builder: Builder, value: Value, counts: Value | None, otherwise: float) -> Value:
    """The value with `otherwise` in the cells that do not count; a mask of None counts all."""
    if counts is None:
        return value
    axes, sizes = builder.union_axes([value, counts])
    whole = builder.expanded(value, axes, sizes)
    return replace(whole, data=builder.call(torch.where, builder.aligned(counts, axes), whole.data, otherwise))


def count_of(builder: Builder, arguments: Iterable[Value]) -> Value:
    """How many numbers there are, for each copy of the formula. An error that only shows while the program runs counts,
    too. A constant, unless a parameter decides between numbers and what is none."""
    result = builder.number(0.0)
    for value in arguments:
        result = builder.elementwise(torch.add, result, _how_many(builder, value))
    return result


def _how_many(builder: Builder, value: Value) -> Value:
    """How many numbers there are in an argument of COUNT, for each copy of the formula."""
    if value.only(Kind.NUMBER):
        return builder.number(float(value.size("h") * value.size("w")))
    count = builder.reduce(torch.sum, counted(builder, value))
    builder.counts_samples = builder.counts_samples or (builder.of_batch and not count.constant)
    return count


def counted(builder: Builder, value: Value) -> Value:
    """1 for each number in an argument of COUNT, 0 for what is none."""
    if value.has(*UNSETTLED):
        _, counts = _chosen_numbers(builder, value, choices=True, zeros=False)
        assert counts is not None
        return builder.numbers(counts)
    if not (value.reference or value.is_array):
        numbers = builder.numbers(value) if value.constant else value
        there = numbers.kind_tensor() != Kind.ERROR
    else:
        there = value.kind_tensor() == Kind.NUMBER
    return Value(there.to(builder.dtype), value.axes, value.sizes)


def zero_without_numbers(builder: Builder, result: Value | None, arguments: Iterable[Value]) -> Value:
    """MAX and its like of cells without any number are 0."""
    if result is None:
        return builder.number(0.0)
    nothing = builder.elementwise(torch.eq, count_of(builder, arguments), builder.number(0.0), kind=Kind.BOOLEAN)
    empty = builder.elementwise(torch.logical_and, nothing, _without_errors(result), kind=Kind.BOOLEAN)
    never = empty.constant and not bool(empty.tensor.any())
    return result if never else builder.where(empty, builder.number(0.0), result)


def _without_errors(value: Value) -> Value:
    return Value(value.kind_tensor() != Kind.ERROR, value.axes, value.sizes, Kind.BOOLEAN)
