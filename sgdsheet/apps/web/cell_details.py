"""What there is to know of one cell: its formula as it is written, the cells that this reads, its part in the model."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import fields, is_dataclass
from typing import Any

from sgdsheet.errors import SgdSheetError
from sgdsheet.hosts.web.typed_text import DAYS_TO_1904, typed
from sgdsheet.problem.definition import Problem
from sgdsheet.sheet.defined_names import areas_of
from sgdsheet.sheet.displayed_text import is_date
from sgdsheet.sheet.excel_calendar import date_parts
from sgdsheet.sheet.formula import parse
from sgdsheet.sheet.references import Cell, Range
from sgdsheet.sheet.syntax import Axis, Name, Reference
from sgdsheet.sheet.workbook import Formula, Value, Workbook

_MOST_REFERENCES = 40


def input_text(value: Value | None, code: str, *, date1904: bool = False) -> str:
    """A value as a person types it: a number with all its digits, a date as a date, a share as percent.

    Whatever would be read as another value is not shown so: of a date with parts of a second there is the number, and
    a text that looks like a number has an apostrophe before it, as in Excel.
    """
    if value is None or value == "":
        return ""
    if isinstance(value, bool):
        return "TRUE" if value else "FALSE"
    if isinstance(value, str):
        return value if _reads(value, value, date1904) else f"'{value}"
    if not isinstance(value, float):
        return str(value)
    number = repr(value).removesuffix(".0") if abs(value) < 1e15 else f"{value:.17g}"
    return next((text for text in _nicer(value, code, date1904) if _reads(text, value, date1904)), number)


def _nicer(value: float, code: str, date1904: bool) -> Iterator[str]:
    """A number as a date or as percent, where its format shows it so."""
    day = value + DAYS_TO_1904 if date1904 else value
    if is_date(code) and (parts := date_parts(day)) is not None and day >= 1:
        seconds = round((day - int(day)) * 86_400)
        text = "{:04d}-{:02d}-{:02d}".format(*parts)
        yield f"{text} {seconds // 3600:02d}:{seconds // 60 % 60:02d}:{seconds % 60:02d}" if seconds else text
    elif code.rstrip().endswith("%") and 1e-6 < abs(value) < 1e9:
        yield from (f"{value * 100:.{digits}g}%" for digits in range(13, 18))


def _reads(text: str, value: str | float, date1904: bool) -> bool:
    """Whether a text that is typed means a value; a number to the millisecond, if it is a day."""
    try:
        found = typed(text, 1, 1, date1904=date1904)
    except SgdSheetError:
        return False
    if isinstance(found, float) and isinstance(value, float) and not text.endswith("%"):
        return abs(found - value) * 86_400_000 < 1
    return type(found) is type(value) and found == value


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
