"""Our own functions on plain values, as the add-ins call them: the same declarations as within models.

A `Grid` is a list of rows of cell values; None is an empty cell. Whole arrays go in and come out. What is wrong
with a call is an SgdSheetError; what is wrong with one number is an Excel error in its place.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

import torch

from sgdsheet.compiler.functions import REGISTRY
from sgdsheet.compiler.functions.registry import ArgumentKind
from sgdsheet.compiler.ir.builder import Builder
from sgdsheet.compiler.ir.values import MOST_CELLS, Fault, Kind, fault_of
from sgdsheet.compiler.ir.values import Value as Array
from sgdsheet.errors import DataError, FormulaError, UnsupportedFunction
from sgdsheet.sheet.syntax import Area, Call, Name, Node, Omitted
from sgdsheet.sheet.workbook import ExcelError, Value

Grid = list[list["Value | None"]]


def calculate(name: str, arguments: Sequence[Grid | None]) -> Grid:
    """What a function such as SGD_RELU gives for these arguments; None is one that was left out."""
    function = REGISTRY.get(name)
    if function is None or not name.startswith("SGD_"):
        raise UnsupportedFunction(name, f"{name} is no function of sgdsheet")
    least, most = function.arguments
    if not least <= len(arguments) <= most or None in arguments[:least]:
        raise FormulaError(f"{name} needs {least} arguments" if least == most else f"{name} needs {least} to {most}")
    for argument, given in zip(function.described, arguments, strict=False):
        if argument.kind is ArgumentKind.SCALAR and given is not None and (len(given), len(given[0])) != (1, 1):
            raise DataError(f"{argument.name} has to be one cell", remedy="Give it a single value")
    builder = Builder()
    values = {str(position): to_array(builder, grid) for position, grid in enumerate(arguments) if grid is not None}
    keys = [str(position) for position in range(len(arguments))]
    call = Call(name, tuple(Name(key) if key in values else Omitted() for key in keys))
    try:
        with torch.no_grad():
            return to_grid(builder, function.evaluate(_PlainContext(builder, values), call))
    except FormulaError as error:  # as in a model, where the cell stands in front
        raise FormulaError(f"the formula {error.cause}", remedy=error.remedy) from error


def to_array(builder: Builder, grid: Grid) -> Array:
    """Cells as a constant, with their kinds."""
    height, width = len(grid), len(grid[0]) if grid else 0
    if not height or not width or any(len(row) != width for row in grid):
        raise DataError("an array has rows of different lengths, or none", remedy="Give it a rectangle of cells")
    if height * width > MOST_CELLS:
        raise DataError(f"an array has {height * width:,} cells, more than can be handled", remedy="Use fewer")
    numbers, kinds = [], []
    for row in grid:
        for value in row:
            number, kind = _stored(builder, value)
            numbers.append(number)
            kinds.append(kind)
    axes = "".join(axis for axis, size in (("h", height), ("w", width)) if size > 1)
    sizes = tuple(size for size in (height, width) if size > 1)
    data = torch.tensor(numbers, dtype=builder.dtype).reshape(sizes)
    found = Array(data, axes, sizes, reference=True)
    return found.with_kinds(torch.tensor(kinds, dtype=torch.uint8).reshape(sizes))


def _stored(builder: Builder, value: Value | None) -> tuple[float, Kind]:
    if value is None:
        return 0.0, Kind.BLANK
    if isinstance(value, bool):
        return float(value), Kind.BOOLEAN
    if isinstance(value, str):
        return builder.text_code(value), Kind.TEXT
    if isinstance(value, ExcelError):
        return Fault[value.name].nan, Kind.ERROR
    return float(value), Kind.NUMBER


def to_grid(builder: Builder, array: Array) -> Grid:
    """A constant as rows of cell values."""
    whole = builder.expanded(builder.canonical(builder.stored(array)), "hw", (array.size("h"), array.size("w")))
    rows = zip(whole.tensor.tolist(), whole.kind_tensor().tolist(), strict=True)
    return [[_cell(builder, *pair) for pair in zip(*row, strict=True)] for row in rows]


def _cell(builder: Builder, number: float, kind: int) -> Value:
    if kind == Kind.TEXT:
        return builder.texts[int(number)]
    if not math.isfinite(number):
        return ExcelError[fault_of(number).name]
    return bool(number) if kind == Kind.BOOLEAN else number


@dataclass(slots=True)
class _PlainContext:
    """What a function sees of its call: arguments that are there already, under the names 0, 1, 2 …"""

    _builder: Builder
    values: dict[str, Array]

    @property
    def builder(self) -> Builder:
        return self._builder

    @property
    def array(self) -> bool:
        return True

    @property
    def date1904(self) -> bool:
        return False

    def lower(self, node: Node, *, array: bool) -> Array:
        if isinstance(node, Name):
            return self.values[node.name]
        return Array(torch.zeros((), dtype=self._builder.dtype), kinds=Kind.BLANK)

    def shape(self, node: Node) -> tuple[int, int] | None:
        return None

    def position(self, node: Node | None) -> tuple[Array, Array]:
        raise FormulaError("there are no cells here")

    def filled(self, *nodes: Node) -> list[Node]:
        return list(nodes)

    def visible(self, area: Area, *, shown_only: bool, but_calls: Collection[str]) -> Area:
        raise FormulaError("asks which rows are hidden", remedy="Use SUM")

    def filtered(self, area: Area) -> bool:
        return True

    def formulas(self, area: Area) -> Array:
        raise FormulaError("asks for the formula of a cell", remedy="Write it down")

    def sheet_numbers(self) -> tuple[int, Mapping[str, int]]:
        raise FormulaError("asks for the number of a sheet", remedy="Write it down")

    def part(self, node: Node, row: int, column: int) -> Node | None:
        return None
