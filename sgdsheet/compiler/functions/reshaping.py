"""Dynamic arrays: arrays put together, cut, laid out anew (their numbers may depend on parameters), and sorted."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence

import torch

from sgdsheet.compiler.functions.plain import Cell, Grid, is_number, plain
from sgdsheet.compiler.functions.registry import Context, Derivative, Takes, fixed, function
from sgdsheet.compiler.ir.builder import Builder
from sgdsheet.compiler.ir.values import Fault, Kind, Value, refuse_large
from sgdsheet.errors import FormulaError
from sgdsheet.sheet.formula import TRIMMING
from sgdsheet.sheet.syntax import Call, Node, Number, Omitted
from sgdsheet.sheet.workbook import ExcelError

_NOTHING = -1
"""In the place of a position: no cell, but what fills an array up."""


def _number(context: Context, node: Node | None, default: float | None) -> float | None:
    """A fixed argument that is one number; the default if it is left out."""
    if node is None or isinstance(node, Omitted):
        return default
    value = context.builder.numbers(fixed(context, node))
    if value.axes or value.has(Kind.ERROR):
        raise FormulaError("says the size of an array with something that is no single number", remedy="Write a number")
    return float(value.tensor)


def _whole(builder: Builder, value: Value) -> Value:
    """An array with both of its axes, for all copies of the formula alike."""
    copies = "".join(axis for axis in "RC" if axis in value.axes)
    sizes = (*(value.size(axis) for axis in copies), value.size("h"), value.size("w"))
    return builder.expanded(builder.stored(value), copies + "hw", sizes)


def _laid_out(builder: Builder, value: Value, places: Sequence[Sequence[int]], pad: Value | None = None) -> Value:
    """The cells of an array at these places (row by row, from 0 on), as a new array; `pad` where there is none."""
    height, width = len(places), len(places[0])
    refuse_large(height * width)
    whole = _whole(builder, value)
    shape = (*whole.sizes[:-2], -1)
    index = torch.tensor(places, dtype=torch.long)
    flat = builder.method("reshape", whole.data, shape)
    data = builder.call(torch.index_select, flat, len(shape) - 1, index.clamp_min(0).reshape(-1))
    kept = [(axis, size) for axis, size in (("h", height), ("w", width)) if size > 1]
    axes = whole.axes[:-2] + "".join(axis for axis, _ in kept)
    sizes = (*whole.sizes[:-2], *(size for _, size in kept))
    kinds = whole.kind_tensor().reshape(shape)[..., index.clamp_min(0).reshape(-1)].reshape(sizes)
    found = Value(builder.method("reshape", data, sizes), axes, sizes, reference=not kept).with_kinds(kinds)
    missing = index == _NOTHING
    if not bool(missing.any()):
        return found
    assert pad is not None
    mask = Value(
        missing.reshape(tuple(size for _, size in kept)), axes[len(shape) - 1 :], sizes[len(shape) - 1 :], Kind.BOOLEAN
    )
    return builder.where(mask, pad, found)


def _array(context: Context, node: Node) -> Value:
    (cut,) = context.filled(node)
    return context.lower(cut, array=True)


def _grid(value: Value) -> list[list[int]]:
    """The places of an array's cells, row by row."""
    width = value.size("w")
    return [[row * width + column for column in range(width)] for row in range(value.size("h"))]


def _declare(
    name: str,
    arguments: tuple[int, int],
    examples: Mapping[str, float | str | bool],
    fixed_arguments: Sequence[int],
    areas_apart: bool = False,
) -> Callable[[Callable[..., Value]], Callable[..., Value]]:
    return function(
        name,
        arguments=arguments,
        takes=Takes.FORMULAS,
        fixed_arguments=fixed_arguments,
        derivative=Derivative.SMOOTH,
        examples=examples,
        areas_apart=areas_apart,
    )


@plain(
    "SEQUENCE",
    left_out_is_default=True,
    examples={
        "SUM(SEQUENCE(4,5))": 210,
        "INDEX(SEQUENCE(2,3,10,5),2,1)": 25,
        "SUM(SEQUENCE(3))": 6,
        "SEQUENCE(-1)": "#VALUE!",
    },
)
def sequence(
    rows: float, columns: float = 1.0, start: float = 1.0, step: float = 1.0
) -> list[list[float]] | ExcelError:
    """Numbers one after the other."""
    height, width = math.trunc(rows), math.trunc(columns)
    if height < 1 or width < 1:
        return ExcelError.CALC if min(height, width) == 0 else ExcelError.VALUE
    refuse_large(height * width)
    return [[start + step * (row * width + column) for column in range(width)] for row in range(height)]


def _ends(count: float | None, length: int) -> range | None:
    """The positions that TAKE takes: the first, or of a negative number the last; None if there are none."""
    if count is None:
        return range(length)
    whole = math.trunc(count)
    if whole == 0:
        return None
    return range(min(whole, length)) if whole > 0 else range(max(length + whole, 0), length)


def _cut(context: Context, array: Node, rows: Node, columns: Node | None, *, drop: bool) -> Value:
    value = _array(context, array)
    picked = []
    for node, axis in ((rows, "h"), (columns, "w")):
        length, count = value.size(axis), _number(context, node, None)
        if drop:
            whole = math.trunc(count or 0.0)
            found: range | None = range(whole, length) if whole >= 0 else range(length + whole)
        else:
            found = _ends(count, length)
        if not found:
            return context.builder.error(Fault.CALC)
        picked.append(found)
    places = _grid(value)
    return _laid_out(context.builder, value, [[places[row][column] for column in picked[1]] for row in picked[0]])


@_declare("TAKE", (2, 3), {"SUM(TAKE({1,2;3,4;5,6},2))": 10, "SUM(TAKE({1,2;3,4;5,6},-1,1))": 5}, [1, 2])
def take(context: Context, array: Node, rows: Node, columns: Node | None = None) -> Value:
    """The first, or the last, rows and columns of an array."""
    return _cut(context, array, rows, columns, drop=False)


@_declare("DROP", (2, 3), {"SUM(DROP({1,2;3,4;5,6},2))": 11, "SUM(DROP({1,2;3,4;5,6},-1,1))": 6}, [1, 2])
def drop(context: Context, array: Node, rows: Node, columns: Node | None = None) -> Value:
    """An array without its first, or its last, rows and columns."""
    return _cut(context, array, rows, columns, drop=True)


def _chosen(context: Context, array: Node, numbers: Sequence[Node], axis: str) -> Value:
    value, builder = _array(context, array), context.builder
    length, picked = value.size(axis), []
    for node in numbers:
        wanted = builder.numbers(fixed(context, node, array=True))
        if wanted.has(Kind.ERROR) or set(wanted.axes) & set("RC"):
            raise FormulaError("picks rows or columns by something that is no number", remedy="Write numbers")
        for number in wanted.tensor.flatten().tolist():
            place = math.trunc(number)
            if place == 0 or abs(place) > length:
                return builder.error(Fault.VALUE)
            picked.append(place - 1 if place > 0 else length + place)
    places = _grid(value)
    if axis == "h":
        return _laid_out(builder, value, [places[row] for row in picked])
    return _laid_out(builder, value, [[row[column] for column in picked] for row in places])


@_declare(
    "CHOOSECOLS",
    (2, 254),
    {"SUM(CHOOSECOLS({1,2,3;4,5,6},3,1,1))": 19, "SUM(CHOOSECOLS({1,2,3;4,5,6},-1))": 9},
    range(1, 254),
)
def choosecols(context: Context, array: Node, *columns: Node) -> Value:
    """Some columns of an array."""
    return _chosen(context, array, columns, "w")


@_declare("CHOOSEROWS", (2, 254), {"SUM(CHOOSEROWS({1,2;3,4;5,6},1,-1))": 14}, range(1, 254))
def chooserows(context: Context, array: Node, *rows: Node) -> Value:
    """Some rows of an array."""
    return _chosen(context, array, rows, "h")


def _filled_span(there: torch.Tensor, ends: int) -> range:
    """The places between the first and the last filled one; `ends` are Excel's: 1 leading, 2 trailing, 3 both."""
    filled = torch.nonzero(there).flatten().tolist()
    if not filled:
        return range(0)
    return range(filled[0] if ends & 1 else 0, (filled[-1] if ends & 2 else len(there) - 1) + 1)


@_declare("TRIMRANGE", (1, 3), {"ROWS(TRIMRANGE(A1:A9))": 4, "COLUMNS(TRIMRANGE(A1:E4,3,2))": 3}, [1, 2])
def trimrange(context: Context, array: Node, rows: Node | None = None, columns: Node | None = None) -> Value:
    """A range without the empty rows and columns at its ends."""
    (cut,) = context.filled(array)
    value, builder = _array(context, cut), context.builder
    ends = [_number(context, node, 3.0) for node in (rows, columns)]
    if any(end not in (0.0, 1.0, 2.0, 3.0) for end in ends) or set(value.axes) & set("RC"):
        cause = "trims a range in a way that is not known, or another one in each row"
        raise FormulaError(cause, remedy="Write 0 to 3")
    if cut != array and not all(int(end or 0.0) & 2 for end in ends):
        raise FormulaError("leaves the empty end of whole rows or columns", remedy="Name the range, or trim its end")
    filled = (value.kind_tensor() != Kind.BLANK).reshape(value.size("h"), value.size("w"))
    down, across = (_filled_span(filled.any(over), int(end or 0.0)) for over, end in ((1, ends[0]), (0, ends[1])))
    if not down or not across:
        return builder.error(Fault.REF)
    places = _grid(value)
    return _laid_out(builder, value, [[places[row][column] for column in across] for row in down])


def trimming(call: Call) -> Call:
    """The call of TRIMRANGE that an operator such as `:.` stands for; any other call as it is."""
    ends = TRIMMING.get(call.name)
    if ends is None or len(call.arguments) != 1:
        return call
    return Call("TRIMRANGE", (*call.arguments, Number(float(ends)), Number(float(ends))))


def _line(context: Context, array: Node, ignore: Node | None, by_column: Node | None) -> tuple[Value, list[int]]:
    """An array and the places of its cells one after the other, without blanks and errors if they are to be ignored."""
    value = _array(context, array)
    places = _grid(value)
    order = [
        place for line in (zip(*places, strict=True) if _number(context, by_column, 0.0) else places) for place in line
    ]
    way = math.trunc(_number(context, ignore, 0.0) or 0.0)
    if not 0 <= way <= 3:
        raise FormulaError("ignores something by a number that is not 0 to 3", remedy="Use 0, 1, 2 or 3")
    ignored = {1: [Kind.BLANK], 2: [Kind.ERROR], 3: [Kind.BLANK, Kind.ERROR]}.get(way, [])
    if ignored:
        if set(value.axes) & set("RC") or (Kind.ERROR in ignored and not value.constant):
            raise FormulaError("leaves out blanks or errors that are not known", remedy="Keep them")
        kinds = _whole(context.builder, value).kind_tensor().flatten().tolist()
        order = [place for place in order if kinds[place] not in ignored]
    return value, order


@_declare("TOCOL", (1, 3), {"INDEX(TOCOL({1,2;3,4}),3,1)": 3, "INDEX(TOCOL({1,2;3,4},0,TRUE),3,1)": 2}, [1, 2])
def tocol(context: Context, array: Node, ignore: Node | None = None, by_column: Node | None = None) -> Value:
    """The cells of an array one below the other."""
    value, order = _line(context, array, ignore, by_column)
    return (
        _laid_out(context.builder, value, [[place] for place in order]) if order else context.builder.error(Fault.CALC)
    )


@_declare("TOROW", (1, 3), {"INDEX(TOROW({1,2;3,4}),1,3)": 3, "SUM(TOROW({1,2;3,4})*{1,2,3,4})": 30}, [1, 2])
def torow(context: Context, array: Node, ignore: Node | None = None, by_column: Node | None = None) -> Value:
    """The cells of an array side by side."""
    value, order = _line(context, array, ignore, by_column)
    return _laid_out(context.builder, value, [order]) if order else context.builder.error(Fault.CALC)


def _wrapped(context: Context, vector: Node, count: Node, pad: Node | None, *, by_rows: bool) -> Value:
    builder, value = context.builder, _array(context, vector)
    if value.size("h") > 1 and value.size("w") > 1:
        return builder.error(Fault.VALUE)
    length, size = value.size("h") * value.size("w"), math.trunc(_number(context, count, 1.0) or 0.0)
    if size < 1:
        return builder.error(Fault.NUM)
    lines = [[*range(start, min(start + size, length))] for start in range(0, length, size)]
    width = min(size, length) if len(lines) == 1 else size
    lines = [line + [_NOTHING] * (width - len(line)) for line in lines]
    filler = builder.error(Fault.NA) if pad is None or isinstance(pad, Omitted) else context.lower(pad, array=False)
    return _laid_out(builder, value, lines if by_rows else [list(line) for line in zip(*lines, strict=True)], filler)


@_declare("WRAPROWS", (2, 3), {"INDEX(WRAPROWS({1,2,3,4,5},2),2,1)": 3, "SUM(WRAPROWS({1,2,3},2,0))": 6}, [1])
def wraprows(context: Context, vector: Node, count: Node, pad: Node | None = None) -> Value:
    """A line of cells, wrapped into rows."""
    return _wrapped(context, vector, count, pad, by_rows=True)


@_declare("WRAPCOLS", (2, 3), {"INDEX(WRAPCOLS({1,2,3,4,5},2),1,2)": 3, "SUM(WRAPCOLS({1,2,3},2,0))": 6}, [1])
def wrapcols(context: Context, vector: Node, count: Node, pad: Node | None = None) -> Value:
    """A line of cells, wrapped into columns."""
    return _wrapped(context, vector, count, pad, by_rows=False)


@_declare("EXPAND", (2, 4), {"SUM(EXPAND({1,2;3,4},3,3,0))": 10, "INDEX(EXPAND({1,2;3,4},3),2,2)": 4}, [1, 2])
def expand(context: Context, array: Node, rows: Node, columns: Node | None = None, pad: Node | None = None) -> Value:
    """An array made larger."""
    builder, value = context.builder, _array(context, array)
    height = math.trunc(_number(context, rows, value.size("h")) or 0.0)
    width = math.trunc(_number(context, columns, value.size("w")) or 0.0)
    if height < value.size("h") or width < value.size("w"):
        return builder.error(Fault.VALUE)
    refuse_large(height * width)
    places = [row + [_NOTHING] * (width - len(row)) for row in _grid(value)]
    places += [[_NOTHING] * width for _ in range(height - len(places))]
    filler = builder.error(Fault.NA) if pad is None or isinstance(pad, Omitted) else context.lower(pad, array=False)
    return _laid_out(builder, value, places, filler)


def _stacked(context: Context, arrays: Sequence[Node], axis: str) -> Value:
    """Arrays side by side (axis w) or one below the other; what is missing of the smaller ones is #N/A."""
    builder, other = context.builder, "h" if axis == "w" else "w"
    values = [_array(context, node) for node in arrays]
    longest = max(value.size(other) for value in values)
    if any(set(value.axes) & set("RC") for value in values):
        raise FormulaError("stacks other arrays in each cell", remedy="Enter it cell by cell")
    wholes = [builder.lengthened(_whole(builder, value), other, longest) for value in values]
    at = 0 if axis == "h" else 1
    data = builder.call(torch.cat, [value.data for value in wholes], at)
    kinds = torch.cat([value.kind_tensor() for value in wholes], at)
    sizes = (int(kinds.shape[0]), int(kinds.shape[1]))
    kept = [(name, size) for name, size in zip("hw", sizes, strict=True) if size > 1]
    shape = tuple(size for _, size in kept)
    found = Value(builder.method("reshape", data, shape), "".join(name for name, _ in kept), shape, reference=not kept)
    return found.with_kinds(kinds.reshape(shape))


@_declare("HSTACK", (1, 254), {"SUM(HSTACK({1;2},{3;4})*{1,10})": 73, "INDEX(HSTACK({1,2},3),1,3)": 3}, [], True)
def hstack(context: Context, *arrays: Node) -> Value:
    """Arrays side by side."""
    return _stacked(context, arrays, "w")


@_declare("VSTACK", (1, 254), {"SUM(VSTACK({1,2},{3,4})*{1;10})": 73, "INDEX(VSTACK({1;2},3),3,1)": 3}, [], True)
def vstack(context: Context, *arrays: Node) -> Value:
    """Arrays one below the other."""
    return _stacked(context, arrays, "h")


# --- of constants -----------------------------------------------------------------------------------------


def order_key(cell: Cell) -> tuple[int, float, str]:
    """Excel's order of cells: numbers, texts without regard to case, FALSE, TRUE, errors, blanks."""
    if cell is None:
        return 4, 0.0, ""
    if isinstance(cell, ExcelError):
        return 3, 0.0, ""
    if isinstance(cell, bool):
        return 2, float(cell), ""
    return (1, 0.0, cell.casefold()) if isinstance(cell, str) else (0, cell, "")


def _plain_texts(cells: Sequence[Cell]) -> None:
    """Refuse texts whose order depends on the country."""
    texts = {cell for cell in cells if isinstance(cell, str)}
    strange = next(
        (
            text
            for text in texts
            if not all(letter.isascii() and (letter.isalnum() or letter == " ") for letter in text)
        ),
        None,
    )
    if strange is not None and len(texts) > 1:
        raise FormulaError(f"sorts the text “{strange}”, whose place differs by country", remedy="Sort plain texts")


def sorted_places(lines: Sequence[Sequence[Cell]], keys: Sequence[Sequence[Cell]], signs: Sequence[int]) -> list[int]:
    """The order of lines by several keys; blanks come last either way."""
    order = list(range(len(lines)))
    for key, sign in reversed(list(zip(keys, signs, strict=True))):
        _plain_texts(key)
        filled = [place for place in order if key[place] is not None]
        filled.sort(key=lambda place: order_key(key[place]), reverse=sign < 0)
        order = filled + [place for place in order if key[place] is None]
    return order


@plain(
    "SORT",
    left_out_is_default=True,
    examples={
        "INDEX(SORT({3;1;2}),1)": 1,
        "INDEX(SORT({3;1;2},1,-1),1)": 3,
        "INDEX(SORT({3,1;1,2},2),1,1)": 3,
        "INDEX(SORT({3,1,2},1,1,TRUE),3)": 3,
    },
)
def sort(
    array: Grid, index: float = 1.0, order: float = 1.0, by_column: bool = False
) -> list[tuple[Cell, ...]] | ExcelError:
    """The rows of an array in order."""
    if order not in (1.0, -1.0):
        return ExcelError.VALUE
    lines = list(zip(*array.rows, strict=True)) if by_column else list(array.rows)
    place = math.trunc(index)
    if not 1 <= place <= len(lines[0]):
        return ExcelError.VALUE
    ordered = [lines[at] for at in sorted_places(lines, [[line[place - 1] for line in lines]], [int(order)])]
    return list(zip(*ordered, strict=True)) if by_column else ordered


@plain("SORTBY", examples={"INDEX(SORTBY({1;2;3},{30;10;20}),1)": 2, "INDEX(SORTBY({1;2;3},{30;10;20},-1),1)": 1})
def sortby(array: Grid, *others: Grid) -> list[tuple[Cell, ...]] | ExcelError:
    """The rows of an array in the order of other columns."""
    if not others:
        raise FormulaError("calls SORTBY with one argument", remedy="Name the cells to sort by")
    keys: list[Grid] = []
    signs: list[int] = []
    for place, grid in enumerate(others):
        if place % 2:
            first = next(grid.cells())
            if not is_number(first) or math.trunc(first) not in (1, -1):
                return ExcelError.VALUE
            signs[-1] = math.trunc(first)
        else:
            keys.append(grid)
            signs.append(1)
    across = keys[0].height == 1 and array.height != 1
    lines = list(zip(*array.rows, strict=True)) if across else list(array.rows)
    if array.height == 1 and keys[0].height == 1:
        lines, across = list(zip(*array.rows, strict=True)), True
    cells = [list(grid.cells()) for grid in keys]
    if any(len(key) != len(lines) for key in cells):
        return ExcelError.VALUE
    ordered = [lines[at] for at in sorted_places(lines, cells, signs)]
    return list(zip(*ordered, strict=True)) if across else ordered


@plain(
    "UNIQUE",
    left_out_is_default=True,
    examples={"SUM(UNIQUE({1;2;2;3}))": 6, "SUM(UNIQUE({1;2;2;3},FALSE,TRUE))": 4, "COLUMNS(UNIQUE({1,2,2},TRUE))": 2},
)
def unique(array: Grid, by_column: bool = False, once: bool = False) -> list[tuple[Cell, ...]] | ExcelError:
    """The different rows of an array."""
    lines = list(zip(*array.rows, strict=True)) if by_column else list(array.rows)
    groups: dict[tuple[object, ...], list[tuple[Cell, ...]]] = {}
    for line in lines:
        key = tuple((type(cell), cell.casefold() if isinstance(cell, str) else cell) for cell in line)
        groups.setdefault(key, []).append(line)
    kept = [group[0] for group in groups.values() if len(group) == 1 or not once]
    if not kept:
        return ExcelError.CALC
    return list(zip(*kept, strict=True)) if by_column else kept


@plain(
    "FILTER",
    arrays=True,
    examples={
        "SUM(FILTER(A1:A4,A1:A4>15))": 90,
        'FILTER({1;2},{0;0},"none")': "none",
        "SUM(FILTER({1,2,3},{1,0,1}))": 4,
    },
)
def filter_(array: Grid, include: Grid, empty: Cell = ExcelError.CALC) -> list[tuple[Cell, ...]] | Cell:
    """The rows of an array for which a condition holds."""
    if error := include.error():
        return error
    marks = list(include.cells())
    if any(isinstance(mark, str) for mark in marks) or min(include.height, include.width) != 1:
        return ExcelError.VALUE
    across = include.width == array.width and include.height == 1 and (array.height != 1 or include.width > 1)
    lines = list(zip(*array.rows, strict=True)) if across else list(array.rows)
    if len(marks) != len(lines):
        return ExcelError.VALUE
    kept = [line for line, mark in zip(lines, marks, strict=True) if mark]
    if not kept:
        return empty
    return list(zip(*kept, strict=True)) if across else kept
