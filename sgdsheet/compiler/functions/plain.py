"""Functions of constants, written in plain Python: texts, dates, bases, and whatever else has no useful derivative.

    @plain("LEFT", examples={'LEFT("Sale Price",4)': "Sale"})
    def left(text: str, count: float = 1.0) -> str: ...

The annotations say what an argument is read as: `float`, `str` and `bool` as arithmetic, `&` and IF read a cell (an
error is then the result), `Cell` as it stands, `Grid` whole ranges and arrays as they stand. The result is a cell,
or the rows of an array. Excel's errors are returned as values. An argument that depends on a parameter is refused,
unless the function of numbers has a twin of torch operations (`tensors`) for it.
"""

from __future__ import annotations

import inspect
import itertools
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, TypeGuard, TypeVar, get_args, get_type_hints

import torch

from sgdsheet.compiler.functions.formulas import applied
from sgdsheet.compiler.functions.operators import texts_of
from sgdsheet.compiler.functions.registry import Context, Derivative, OverSamples, Takes, function, stands_whole
from sgdsheet.compiler.ir.builder import Builder
from sgdsheet.compiler.ir.values import UNSETTLED, Fault, Kind, Value, fault_of
from sgdsheet.compiler.ir.varying import varying
from sgdsheet.errors import FormulaError
from sgdsheet.sheet.excel_calendar import FROM_1904, Calendar
from sgdsheet.sheet.syntax import Area, Node, Omitted
from sgdsheet.sheet.workbook import ExcelError

Cell = float | str | bool | ExcelError | None
"""What a cell holds; None is blank."""

_F = TypeVar("_F", bound=Callable[..., Any])

Rows = Sequence[Sequence[Cell]]
"""An array, row by row."""


@dataclass(frozen=True, slots=True)
class Grid:
    """The cells of a range or array; `direct` tells a value that stands in the formula itself from one in cells."""

    rows: tuple[tuple[Cell, ...], ...]
    direct: bool = False

    @property
    def height(self) -> int:
        return len(self.rows)

    @property
    def width(self) -> int:
        return len(self.rows[0])

    def cells(self) -> Iterator[Cell]:
        """All cells, row by row."""
        return itertools.chain.from_iterable(self.rows)

    def numbers(self) -> list[float]:
        """The numbers among the cells: text, logical values and blanks do not count."""
        return [item for item in self.cells() if is_number(item)]

    def error(self) -> ExcelError | None:
        """The first error among the cells."""
        return next((item for item in self.cells() if isinstance(item, ExcelError)), None)


_DAY = "a day of the workbook's calendar"
Day = Annotated[float, _DAY]
"""A number that is a date: as an argument or a result, it counts from 1900 here, also where the workbook counts from
1904. A function that needs the workbook's calendar for something else has a keyword `calendar`."""

Days = Annotated[Grid, _DAY]
"""A range of dates."""


def is_number(item: object) -> TypeGuard[float]:
    """Whether a cell holds a number: TRUE and FALSE are none."""
    return isinstance(item, float)


def plain(
    name: str,
    *,
    examples: Mapping[str, float | str | bool],
    arrays: bool = False,
    skips_blanks: bool = False,
    most: int = 255,
    left_out_is_default: bool = False,
    booleans: bool = True,
    dates: bool = False,
    inexact: float = 0.0,
    note: str = "",
    tensors: Callable[..., torch.Tensor] | None = None,
    derivative: Derivative = Derivative.NONE,
    zero_arguments: Sequence[int] = (),
    takes_function: int | None = None,
    first_cells: bool = False,
) -> Callable[[_F], _F]:
    """Declare a function of constants. `arrays` says that expressions in its arguments are array expressions.

    `skips_blanks` says that blank cells at the end of its ranges make no difference; `most` is the largest number of
    arguments of a function that takes any number. `left_out_is_default` is for the newer functions: to the others, an
    argument of which only the comma is there is blank. Without `booleans`, TRUE and FALSE are #VALUE! where a number is
    wanted. `dates` says that it calculates with dates and is refused where the workbook counts from 1904; one whose
    dates are annotated as `Day` is not. `inexact` is how far Excel's results are from the exact ones, `note` what is
    refused or differs from Excel. `tensors` calculates the same from tensors that broadcast, as those of `formulas` do,
    where an argument depends on a parameter; then `derivative` and `zero_arguments` tell of its gradient.
    `takes_function` is the place of a text that may be written as the name of a function, without quotes. With
    `first_cells` the first cell of a range is taken, wherever the formula stands.
    """

    def declare(implementation: _F) -> _F:
        declared = inspect.signature(implementation).parameters.values()
        parameters = [item for item in declared if item.kind is not item.KEYWORD_ONLY]
        hints = get_type_hints(implementation)
        marked = get_type_hints(implementation, include_extras=True)
        dates_at = [place for place, item in enumerate(parameters) if _is_day(marked[item.name])]
        days = _Days(dates_at, _is_day(marked.get("return")), len(parameters) < len(declared))
        repeated = any(item.kind is item.VAR_POSITIONAL for item in parameters)
        least = sum(item.default is item.empty and item.kind is not item.VAR_POSITIONAL for item in parameters)
        wanted = [_read_as(hints[item.name]) for item in parameters]
        defaults = [item.default for item in parameters] if left_out_is_default else []
        shape = _Shape(name, implementation, wanted, arrays, skips_blanks, defaults, booleans, dates, days, tensors)

        def evaluate(context: Context, *arguments: Node) -> Value:
            if first_cells:
                arguments = tuple(node.first_cell() if isinstance(node, Area) else node for node in arguments)
            return _evaluated(context, shape, arguments)

        evaluate.__doc__, evaluate.__module__ = implementation.__doc__, implementation.__module__
        elementwise = Grid not in wanted
        function(
            name,
            arguments=(max(least, 1) if repeated else least, most if repeated else len(parameters)),
            takes=Takes.FORMULAS,
            derivative=derivative,
            examples=examples,
            zero_arguments=zero_arguments,
            fixed_arguments=range(255) if tensors is None else (),
            skips_blanks=skips_blanks,
            scalars=[place for place, kind in enumerate(wanted) if kind is not Grid],
            inexact=inexact,
            names=[item.name.strip("_").replace("_", " ") for item in parameters],
            note=note,
            takes_function=takes_function,
            over_samples=OverSamples.ELEMENTWISE if elementwise else OverSamples.UNKNOWN,
        )(evaluate)
        return implementation

    return declare


@dataclass(frozen=True, slots=True)
class _Days:
    """Which arguments of a function are dates, whether its result is one, and whether it takes the `calendar`."""

    arguments: Sequence[int]
    result: bool
    calendar: bool


def _is_day(hint: Any) -> bool:
    return any(_DAY in getattr(part, "__metadata__", ()) for part in (hint, *get_args(hint)))


@dataclass(frozen=True, slots=True)
class _Shape:
    """How a plain function is called."""

    name: str
    implementation: Callable[..., Any]
    wanted: Sequence[Any]
    arrays: bool
    skips_blanks: bool
    defaults: Sequence[Any]
    booleans: bool
    dates: bool
    days: _Days
    tensors: Callable[..., torch.Tensor] | None = None

    def kind_of(self, position: int) -> Any:
        """What the argument at a position is read as; the last ones are repeated."""
        return self.wanted[min(position, len(self.wanted) - 1)]

    def has_default(self, position: int, node: Node) -> bool:
        """Whether an argument that is left out means the default, and there is one."""
        known = position < len(self.defaults) and self.defaults[position] is not inspect.Parameter.empty
        return known and isinstance(node, Omitted)


def _read_as(hint: Any) -> Any:
    """What an argument is read as, if it is there."""
    if hint == Cell:
        return Cell
    given = [part for part in get_args(hint) if part is not type(None)]
    return given[0] if given else hint


def _evaluated(context: Context, shape: _Shape, arguments: Sequence[Node]) -> Value:
    """Call the function once for each different set of arguments among the copies of the formula."""
    builder = context.builder
    if shape.dates and context.date1904:
        raise FormulaError("calculates with dates, which this workbook counts from 1904", remedy="Count from 1900")
    values = [_lowered(context, shape, position, node) for position, node in enumerate(arguments)]
    if shape.tensors is not None and not all(value.constant for value in values):
        return _calculated(context, shape, shape.tensors, values, arguments)
    scalars = [value for position, value in enumerate(values) if shape.kind_of(position) is not Grid]
    grids = [_only_copies(value) for position, value in enumerate(values) if shape.kind_of(position) is Grid]
    axes, sizes = builder.union_axes([*scalars, *grids])
    columns = [
        _grids(builder, value, axes, sizes)
        if shape.kind_of(position) is Grid
        else _scalars(builder, value, shape.kind_of(position), axes, sizes, booleans=shape.booleans)
        for position, value in enumerate(values)
    ]
    for position, node in enumerate(arguments):
        if shape.has_default(position, node):
            columns[position] = [shape.defaults[position]] * len(columns[position])
    known: dict[tuple[object, ...], Any] = {}
    results = []
    for given in zip(*columns, strict=True) if columns else [()]:
        key = tuple((type(item), id(item) if isinstance(item, Grid) else item) for item in given)
        if key not in known:
            error = next((item for item in given if isinstance(item, _Failed)), None)
            known[key] = error.error if error is not None else _called(shape, given, builder.calendar)
        results.append(known[key])
    return _packed(builder, results, axes, sizes)


def _calculated(
    context: Context,
    shape: _Shape,
    tensors: Callable[..., torch.Tensor],
    values: Sequence[Value],
    nodes: Sequence[Node],
) -> Value:
    """What the function's twin of torch operations gives, where an argument depends on a parameter."""
    builder = context.builder
    if not shape.booleans:
        for value in values:
            if value.has(Kind.BOOLEAN, *UNSETTLED):
                cause = f"calls {shape.name} with something that may be TRUE or FALSE and depends on"
                raise varying(builder, cause, *values, remedy="Use numbers there")
    defaults = {
        position: builder.number(float(shape.defaults[position]))
        for position, node in enumerate(nodes)
        if shape.has_default(position, node)
    }
    given = [defaults.get(position, builder.numbers(value)) for position, value in enumerate(values)]
    return applied(context, shape.name, tensors, builder.fitted(*given))


def _called(shape: _Shape, given: Sequence[Any], calendar: Calendar) -> Any:
    if calendar.origin:
        given = [_from_1904(item) if place in shape.days.arguments else item for place, item in enumerate(given)]
    options = {"calendar": calendar} if shape.days.calendar else {}
    try:
        result = shape.implementation(*given, **options)
    except (OverflowError, ZeroDivisionError):
        return ExcelError.NUM
    if calendar.origin and shape.days.result and is_number(result):
        return result - FROM_1904 if result >= FROM_1904 else ExcelError.NUM
    return result


def _from_1904(item: Any) -> Any:
    """A date that counts from 1904, or a range of them, as it counts from 1900; what is before both stays there."""
    if isinstance(item, Grid):
        return Grid(tuple(tuple(map(_from_1904, row)) for row in item.rows), item.direct)
    return item + FROM_1904 if is_number(item) and item >= 0 else item


def _lowered(context: Context, shape: _Shape, position: int, node: Node) -> Value:
    """An argument's values, which must be constant unless there is a twin for others."""
    if shape.kind_of(position) is Grid:
        if shape.skips_blanks and isinstance(node, Area):
            (node,) = context.filled(node)
        value = context.lower(node, array=context.array or shape.arrays or stands_whole(node))
    else:
        value = context.lower(node, array=context.array)
    if not value.constant and shape.tensors is None:
        cause = f"calls {shape.name} with something that depends on"
        raise varying(context.builder, cause, value, remedy="Use a fixed value there")
    return value


def _only_copies(value: Value) -> Value:
    """A value without the axes of its array: one for each copy of the formula."""
    pairs = [(axis, size) for axis, size in zip(value.axes, value.sizes, strict=True) if axis in "RC"]
    sizes = tuple(size for _, size in pairs)
    return Value(torch.zeros(sizes), "".join(axis for axis, _ in pairs), sizes)


# --- from values to cells ---------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Failed:
    """An argument that is an error."""

    error: ExcelError


def cells_of(builder: Builder, value: Value) -> list[Cell]:
    """The cells of a constant, in the order of its axes."""
    found: list[Cell] = []
    kinds = value.kind_tensor().flatten().tolist()
    for kind, number in zip(kinds, value.tensor.flatten().tolist(), strict=True):
        if kind == Kind.TEXT:
            found.append(builder.texts[int(number)])
        elif kind == Kind.BOOLEAN:
            found.append(bool(number))
        elif kind == Kind.ERROR:
            found.append(ExcelError[fault_of(number).name])
        else:
            found.append(None if kind == Kind.BLANK else float(number))
    return found


def _scalars(
    builder: Builder, value: Value, wanted: Any, axes: str, sizes: tuple[int, ...], *, booleans: bool
) -> list[Any]:
    """One argument for each result, read as what the function wants."""
    if wanted is float:
        truths = Value(value.kind_tensor() == Kind.BOOLEAN, value.axes, value.sizes, Kind.BOOLEAN)
        value = builder.numbers(value)
        if not booleans and bool(truths.tensor.any()):
            value = builder.spoiled(value, truths, Fault.VALUE)
    elif wanted is bool:
        value = builder.numbers(builder.truths(value))
    read = cells_of(builder, value)
    if wanted is str:
        texts = iter(texts_of(builder, builder.cleaned(value)))
        read = [item if isinstance(item, ExcelError) else text for item, text in zip(read, texts, strict=True)]
    if wanted is not Cell:
        read = [_Failed(item) if isinstance(item, ExcelError) else item for item in read]  # type: ignore[misc]
    if wanted is bool:
        read = [item if isinstance(item, _Failed) else bool(item) for item in read]
    if value.axes == axes:
        return read
    places = Value(torch.arange(len(read)).reshape(value.sizes), value.axes, value.sizes)
    order = builder.expanded(places, axes, sizes).tensor.flatten().tolist()
    return [read[place] for place in order]


def _grids(builder: Builder, value: Value, axes: str, sizes: tuple[int, ...]) -> list[Grid]:
    """One range for each result; results that read the same one share it."""
    direct = not (value.reference or value.is_array)
    copies = _only_copies(value)
    own = copies.axes + "hw"
    shape = (*copies.sizes, value.size("h"), value.size("w"))
    cells = cells_of(builder, builder.expanded(builder.stored(value), own, shape))
    height, width = shape[-2:]
    found = []
    for start in range(0, len(cells), height * width):
        lines = (cells[start + row * width : start + (row + 1) * width] for row in range(height))
        found.append(Grid(tuple(map(tuple, lines)), direct))
    places = Value(torch.arange(len(found)).reshape(copies.sizes), copies.axes, copies.sizes)
    order = builder.expanded(places, axes, sizes).tensor.flatten().tolist()
    return [found[place] for place in order]


# --- and back ---------------------------------------------------------------------------------------------


def _packed(builder: Builder, results: Sequence[Any], axes: str, sizes: tuple[int, ...]) -> Value:
    if not any(isinstance(item, (list, tuple)) for item in results):
        return value_of_cells(builder, results, axes, sizes)
    rows = [item if isinstance(item, (list, tuple)) else [[item]] for item in results]
    shapes = {(len(item), len(item[0])) for item in rows}
    if len(shapes) > 1 or "h" in axes or "w" in axes:
        raise FormulaError("gives arrays of several sizes at once", remedy="Enter it cell by cell")
    ((height, width),) = shapes
    pairs = [(axis, size) for axis, size in (("h", height), ("w", width)) if size > 1]
    flat = [cell for item in rows for row in item for cell in row]
    found = value_of_cells(
        builder, flat, axes + "".join(axis for axis, _ in pairs), (*sizes, *(size for _, size in pairs))
    )
    return found if pairs else Value(found.data, found.axes, found.sizes, found.kinds, True, found.wide)


def value_of_cells(builder: Builder, cells: Sequence[Cell], axes: str, sizes: tuple[int, ...]) -> Value:
    """Cells, in the order of the axes, as a constant."""
    numbers, kinds = [], []
    for cell in cells:
        number, kind = _stored(builder, cell)
        numbers.append(number)
        kinds.append(int(kind))
    data = torch.tensor(numbers, dtype=builder.dtype).reshape(sizes)
    found = Value(data, axes, sizes).with_kinds(torch.tensor(kinds, dtype=torch.uint8).reshape(sizes))
    return builder.canonical(found)


def _stored(builder: Builder, cell: Cell) -> tuple[float, Kind]:
    if cell is None:
        return 0.0, Kind.BLANK
    if isinstance(cell, bool):
        return float(cell), Kind.BOOLEAN
    if isinstance(cell, str):
        return builder.text_code(cell), Kind.TEXT
    if isinstance(cell, ExcelError):
        return Fault[cell.name].nan, Kind.ERROR
    number = float(cell)
    return (number, Kind.NUMBER) if math.isfinite(number) else (Fault.NUM.nan, Kind.ERROR)
