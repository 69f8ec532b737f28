"""What there is to know of one cell: its formula as it is written, the cells that this reads, its part in the model."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import fields, is_dataclass
from typing import Any

from sgdsheet.errors import SgdSheetError
from sgdsheet.problem.definition import Problem
from sgdsheet.sheet.defined_names import areas_of
from sgdsheet.sheet.displayed_text import is_date
from sgdsheet.sheet.excel_calendar import date_parts
from sgdsheet.sheet.formula import parse
from sgdsheet.sheet.references import Cell, Range
from sgdsheet.sheet.syntax import Axis, Name, Reference
from sgdsheet.sheet.workbook import Formula, Value, Workbook

_MOST_REFERENCES = 40


def input_text(value: Value | None, code: str) -> str:
    """A value as a person types it: a number with all its digits, a date as a date, a share as percent."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "TRUE" if value else "FALSE"
    if isinstance(value, str):
        return value
    if not isinstance(value, float):
        return str(value)
    if is_date(code) and (parts := date_parts(value)) is not None and value >= 1:
        seconds = round((value - int(value)) * 86_400)
        day = "{:04d}-{:02d}-{:02d}".format(*parts)
        return f"{day} {seconds // 3600:02d}:{seconds // 60 % 60:02d}:{seconds % 60:02d}" if seconds else day
    if code.rstrip().endswith("%") and 1e-6 < abs(value) < 1e9:
        return f"{value * 100:.13g}%"
    return repr(value).removesuffix(".0") if abs(value) < 1e15 else f"{value:.17g}"


def references(workbook: Workbook, formula: Formula, cell: Cell) -> list[dict[str, Any]]:
    """The areas that a formula names, in its order, each once."""
    try:
        tree = parse(formula.text, formula.row, formula.column)
    except SgdSheetError:
        return []
    found = list(dict.fromkeys(_areas(workbook, tree, cell)))
    return [{"sheet": area.sheet, "area": list(area[1:])} for area in found[:_MOST_REFERENCES]]


def role(problem: Problem | None, cell: Cell) -> str | None:
    """The part that a cell has in the model of its sheet."""
    if problem is None:
        return None
    own = Range.of_cell(cell)
    if cell == problem.loss:
        return "loss"
    if cell == problem.metric:
        return "metric"
    parts = (("parameter", problem.parameters), ("data", (problem.data,)), ("prediction", problem.outputs))
    return next((name for name, areas in parts if any(area is not None and area.contains(own) for area in areas)), None)


def _areas(workbook: Workbook, node: object, cell: Cell) -> Iterator[Range]:
    """The areas in a syntax tree, as the formula in `cell` means them."""
    if isinstance(node, Reference):
        sheet = workbook.sheet(node.sheet) if node.sheet is not None else None
        name = sheet.name if sheet is not None else node.sheet or cell.sheet
        rows = sorted((_at(node.top, cell.row), _at(node.bottom, cell.row)))
        columns = sorted((_at(node.left, cell.column), _at(node.right, cell.column)))
        if rows[0] >= 1 and columns[0] >= 1:
            yield Range(name, rows[0], columns[0], rows[1], columns[1])
    elif isinstance(node, Name):
        yield from _named(workbook, node.name, cell.sheet)
    elif isinstance(node, tuple):
        for item in node:
            yield from _areas(workbook, item, cell)
    elif is_dataclass(node):
        for field in fields(node):
            yield from _areas(workbook, getattr(node, field.name), cell)


def _named(workbook: Workbook, name: str, sheet: str) -> list[Range]:
    found = workbook.defined_name(name, sheet)
    if found is None:
        return []
    try:
        return list(areas_of(workbook, found.text, sheet, name))
    except SgdSheetError:
        return []


def _at(axis: Axis, here: int) -> int:
    return here + axis.value if axis.relative else axis.value
