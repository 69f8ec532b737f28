"""The values of a workbook's formulas, worked out while it is built: by a calculation engine that is not ours."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import formualizer

from sgdsheet.sheet.references import address

Place = tuple[str, int, int]
"""A sheet, and a row and a column that count from 1."""

_DIGITS = 12  # which come out the same on every machine


def calculated(cells: Mapping[Place, float | str], wanted: Iterable[Place]) -> dict[Place, float | str]:
    """What the formulas at `wanted` come to; `cells` has every number, text and formula (with `=`) of the workbook.

    Raises ValueError, with the cell, where that is an error: an example must not ship one.
    """
    engine = formualizer.Workbook()
    for (name, row, column), content in cells.items():
        engine.add_sheet(name)
        sheet = engine.sheet(name)
        if isinstance(content, str) and content.startswith("="):
            sheet.set_formula(row, column, content)
        else:
            sheet.set_value(row, column, content)
    engine.evaluate_all()
    found: dict[Place, float | str] = {}
    for place in wanted:
        name, row, column = place
        value = engine.get_value(name, row, column)
        if isinstance(value, bool) or not isinstance(value, int | float | str):
            raise ValueError(f"{name}!{address(row, column)}: {cells[place]} comes to {value}")
        found[place] = value if isinstance(value, str) else float(f"{value:.{_DIGITS}g}")
    return found
