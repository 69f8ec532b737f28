"""LAMBDA, and the functions that call one for each cell of an array, written out.

`MAP(A1:A2, LAMBDA(x, x^2))` becomes the array `{A1^2; A2^2}`, which the compiler knows. Arrays must be cells or
constants: of what is calculated nobody knows the size before the formula is calculated.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from itertools import count

from sgdsheet.compiler.functions import REGISTRY
from sgdsheet.compiler.ir.values import MOST_CELLS
from sgdsheet.errors import FormulaError
from sgdsheet.sheet.syntax import (
    ArrayConstant,
    Axis,
    Binary,
    Boolean,
    Call,
    Chain,
    Element,
    ErrorConstant,
    Fold,
    Name,
    Node,
    NotSupported,
    Number,
    Omitted,
    Reference,
    Shared,
    StepVariable,
    TableReference,
    Text,
    Unary,
    walk,
)

_MOST = 5_000
"""Cells for each of which a LAMBDA is written out."""

_FEWEST = 16
"""Steps from which on they are one operation, if that can be."""

_numbers = count()
"""The numbers of the variables of folds."""

_LONG = 100
"""Steps of a recursion from which on each is a part of its own: formulas within formulas have a depth."""

_Rows = list[list[Node]]


class TooLarge(FormulaError):
    """A formula that grows too large once its names are written out, unless what stands twice in it is shared."""


def is_lambda(node: Node) -> bool:
    """Whether it is LAMBDA with parameters and a body."""
    return isinstance(node, Call) and node.name == "LAMBDA" and bool(node.arguments)


def applied(function: Node, arguments: Sequence[Node]) -> Node:
    """The call of a LAMBDA as the LET that it is; a parameter in brackets may be left out."""
    if not isinstance(function, Call) or not is_lambda(function):
        return NotSupported("", "calls something that is no LAMBDA", "Mend the formula", unseen=True)
    *parameters, body = function.arguments
    optional = [_optional(item) for item in parameters]
    names = [item if name is None else name for item, name in zip(parameters, optional, strict=True)]
    missing = names[len(arguments) :]
    wrong = len(arguments) > len(names) or any(name is None for name in optional[len(arguments) :])
    if wrong or not all(isinstance(item, Name) for item in names):
        return NotSupported("", "calls a LAMBDA with the wrong number of arguments", "Mend the formula", unseen=True)
    pairs = zip(names, [*arguments, *(Omitted() for _ in missing)], strict=True)
    return Call("LET", (*(item for pair in pairs for item in pair), body)) if names else body


def _optional(parameter: Node) -> Name | None:
    """The parameter that is written `[x]`, which reads like a column of a table."""
    if not isinstance(parameter, TableReference) or parameter.table is not None or parameter.items:
        return None
    return Name(parameter.first) if parameter.first is not None else None


Measure = Callable[[Node], tuple[int, int] | None]
"""Tells how many rows and columns a calculated array has, if that is certain."""


def expanded(call: Call, resolve: Callable[[Node], Node], measure: Measure) -> Node | None:
    """MAP, REDUCE, SCAN, BYROW, BYCOL or MAKEARRAY written out; None for any other call.

    `resolve` makes of a part of the formula the cells that it means.
    """
    write = _WRITERS.get(call.name)
    if write is None or len(call.arguments) < 2:
        return None
    *given, function = call.arguments
    return write([_sized(resolve(item), measure) for item in given], lambda *items: resolve(applied(function, items)))


def _sized(array: Node, measure: Measure) -> Node:
    """A calculated array, such as SEQUENCE(5), as an array of its cells, if its size is known."""
    if not isinstance(array, (Call, Binary, Unary, Shared)):
        return array
    shape = measure(array)
    if shape is None or shape[0] * shape[1] > _MOST:
        return array
    height, width = shape
    shared = array if isinstance(array, Shared) else Shared(array)
    return _array([[Element(shared, height, width, i, j) for j in range(1, width + 1)] for i in range(1, height + 1)])


_Body = Callable[..., Node]


def _cells(array: Node) -> _Rows | None:
    """The cells of an array, row by row; None if its size is not known."""
    if isinstance(array, ArrayConstant):
        return [list(row) for row in array.rows]
    if isinstance(array, (Number, Text, Boolean, ErrorConstant)):
        return [[array]]
    if not isinstance(array, Reference):
        return None
    ends = (array.top, array.bottom), (array.left, array.right)
    if any(first.relative != last.relative or last.value < first.value for first, last in ends):
        return None
    height, width = (last.value - first.value + 1 for first, last in ends)
    if height * width > _MOST:
        return None

    def cell(row: int, column: int) -> Node:
        top, left = _moved(array.top, row), _moved(array.left, column)
        return replace(array, top=top, bottom=top, left=left, right=left)

    return [[cell(row, column) for column in range(width)] for row in range(height)]


def _moved(axis: Axis, by: int) -> Axis:
    return axis._replace(value=axis.value + by)


def _refused() -> Node:
    return NotSupported(
        "",
        "calls a LAMBDA for each cell of an array whose size is not known, or large",
        "Put the array into cells",
        True,
    )


def _array(rows: _Rows) -> Node:
    return ArrayConstant(tuple(map(tuple, rows)))


def _map(given: Sequence[Node], body: _Body) -> Node:
    known = [cells for array in given if (cells := _cells(array)) is not None]
    if len(known) < len(given) or len({(len(rows), len(rows[0])) for rows in known}) > 1:
        return _refused()
    height, width = len(known[0]), len(known[0][0])
    return _array([[body(*(rows[i][j] for rows in known)) for j in range(width)] for i in range(height)])


def _fold(given: Sequence[Node], body: _Body) -> list[Node] | None:
    """What a LAMBDA makes of the first value and each cell in turn."""
    cells = _cells(given[-1])
    if len(given) != 2 or cells is None or isinstance(given[0], Omitted):
        return None
    found = [given[0]]
    for cell in (cell for row in cells for cell in row):
        found.append(body(found[-1], cell))
        if len(found) > _LONG and not isinstance(found[-1], Shared):
            raise TooLarge("the formula has too many steps", remedy="Put them into cells")
    return found


def _folded(given: Sequence[Node], body: _Body, *, every: bool) -> Fold | None:
    """The steps as one part of the formula, if there are many, and all that is done with a cell is to calculate."""
    start, array = given if len(given) == 2 else (Omitted(), Omitted())
    if isinstance(start, Omitted) or not isinstance(array, Reference):
        return None
    ends = (array.top, array.bottom), (array.left, array.right)
    if any(first.relative != last.relative or last.value < first.value for first, last in ends):
        return None
    height, width = (last.value - first.value + 1 for first, last in ends)
    if not _FEWEST <= height * width <= MOST_CELLS:
        return None
    total, item = StepVariable(next(_numbers)), StepVariable(next(_numbers))
    step = body(total, item)
    return Fold(start, array, step, total, item, height, width, every) if all(map(_calculates, walk(step))) else None


def _calculates(part: Node) -> bool:
    """Whether a part of a formula works on values alone, whatever cells they come from."""
    if isinstance(part, Call):
        found = REGISTRY.get(part.name)
        asks = found is None or found.reference_arguments or found.range_arguments or found.fixed_arguments
        return found is not None and not (asks or found.gives_range or found.tells_row or found.takes_function)
    if isinstance(part, Binary):
        return part.operator not in (":", " ", ",")
    if isinstance(part, Unary):
        return part.operator not in ("#", "@")
    return isinstance(part, (Number, Boolean, Reference, StepVariable))


def _reduce(given: Sequence[Node], body: _Body) -> Node:
    folded = _folded(given, body, every=False)
    if folded is not None:
        return folded
    found = _fold(given, body)
    if found is None:
        return _refused()
    steps = tuple(step for step in found if isinstance(step, Shared))
    return Chain(steps) if steps and steps[-1] is found[-1] else found[-1]


def _scan(given: Sequence[Node], body: _Body) -> Node:
    folded = _folded(given, body, every=True)
    if folded is not None:
        return folded
    found, cells = _fold(given, body), _cells(given[-1])
    if found is None or cells is None:
        return _refused()
    width = len(cells[0])
    return _array([found[1 + row * width : 1 + (row + 1) * width] for row in range(len(cells))])


def _line(array: Node, number: int, *, row: bool) -> Node:
    """One row or column of a range or of an array."""
    if isinstance(array, Reference):
        if row:
            top = _moved(array.top, number)
            return replace(array, top=top, bottom=top)
        left = _moved(array.left, number)
        return replace(array, left=left, right=left)
    cells = _cells(array)
    assert cells is not None
    return _array([cells[number]] if row else [[line[number]] for line in cells])


def _by_row(given: Sequence[Node], body: _Body) -> Node:
    cells = _cells(given[0])
    if len(given) != 1 or cells is None:
        return _refused()
    return _array([[body(_line(given[0], number, row=True))] for number in range(len(cells))])


def _by_column(given: Sequence[Node], body: _Body) -> Node:
    cells = _cells(given[0])
    if len(given) != 1 or cells is None:
        return _refused()
    return _array([[body(_line(given[0], number, row=False)) for number in range(len(cells[0]))]])


def _make(given: Sequence[Node], body: _Body) -> Node:
    sizes = [int(item.value) for item in given if isinstance(item, Number)]
    if len(given) != 2 or len(sizes) != 2 or min(sizes) < 1 or sizes[0] * sizes[1] > _MOST:
        return _refused()
    rows, columns = (range(1, size + 1) for size in sizes)
    return _array([[body(Number(float(row)), Number(float(column))) for column in columns] for row in rows])


_WRITERS: dict[str, Callable[[Sequence[Node], _Body], Node]] = {
    "MAP": _map,
    "REDUCE": _reduce,
    "SCAN": _scan,
    "BYROW": _by_row,
    "BYCOL": _by_column,
    "MAKEARRAY": _make,
}
