"""IronCalc as a second opinion on small sheets."""

from __future__ import annotations

import math
from typing import Any

import ironcalc

from sgdsheet.sheet.formula import formula_text
from sgdsheet.sheet.references import Cell, parse_range
from sgdsheet.sheet.workbook import ExcelError, Value, Workbook
from tests.sheets import HOME


def calculated(workbook: Workbook, *targets: str) -> dict[Cell, Any]:
    """What IronCalc makes of cells: numbers, texts, booleans, and None for errors."""
    model = ironcalc.create("test", "en", "UTC", "en")
    numbers = {}
    for position, (name, sheet) in enumerate(workbook.sheets.items()):
        if position:
            model.add_sheet(name)
        numbers[name] = position
        for (row, column), value in sheet.values.items():
            if (row, column) not in sheet.formulas:
                model.set_user_input(position, row, column, _typed(value))
    for name, sheet in workbook.sheets.items():
        for (row, column), formula in sheet.formulas.items():
            text = "=" + formula_text(formula, row, column)
            if formula.array is None:
                model.set_user_input(numbers[name], row, column, text)
            else:
                top, left, bottom, right = formula.array
                model.set_user_array_formula(numbers[name], top, left, right - left + 1, bottom - top + 1, text)
    model.evaluate()
    found: dict[Cell, Any] = {}
    for target in targets:
        for cell in parse_range(target, HOME).cells():
            value = model.get_cell_value(numbers[cell.sheet], cell.row, cell.column)
            found[cell] = None if isinstance(value, str) and value.startswith("#") else value
    return found


def _typed(value: Value) -> str:
    if isinstance(value, str):
        return f"'{value}"
    return str(value).upper() if isinstance(value, bool) else str(value)


def agree(found: dict[Cell, Any], other: dict[Cell, Any], tolerance: float = 1e-9) -> None:
    """Compare our values with the oracle's."""
    for cell, expected in other.items():
        value = found[cell]
        if expected is None:
            assert isinstance(value, ExcelError), (cell, value)
        elif isinstance(expected, (int, float)) and not isinstance(value, (str, ExcelError)):
            assert math.isclose(value, expected, rel_tol=tolerance, abs_tol=tolerance), (
                cell,
                value,
                expected,
            )
        else:
            assert value == expected or (value == 0 and expected is None), (cell, value, expected)
