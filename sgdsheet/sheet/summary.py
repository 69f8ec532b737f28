"""How large the sheets of a workbook are, and what they hold."""

from __future__ import annotations

from dataclasses import dataclass

from sgdsheet.sheet.workbook import Sheet, Workbook


@dataclass(frozen=True, slots=True)
class SheetSummary:
    """The used part of a sheet in rows and columns from A1 on, and how many cells hold a formula or a typed number."""

    name: str
    rows: int
    columns: int
    formulas: int
    numbers: int


def summaries(workbook: Workbook) -> list[SheetSummary]:
    """All sheets, in their order."""
    return [_summary(sheet) for sheet in workbook.sheets.values()]


def _summary(sheet: Sheet) -> SheetSummary:
    rows, columns = sheet.extent
    formulas = len(sheet.formulas)
    filled = set(sheet.formulas)
    for (row, column), formula in sheet.formulas.items():
        if formula.array is not None and formula.array[:2] == (row, column):
            top, left, bottom, right = formula.array
            places = {(y, x) for y in range(top, bottom + 1) for x in range(left, right + 1)}
            formulas += len(places - sheet.formulas.keys())
            filled |= places
    numbers = sum(type(value) is float and place not in filled for place, value in sheet.values.items())
    return SheetSummary(sheet.name, rows, columns, formulas, numbers)
