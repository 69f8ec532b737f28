"""Formulas that stand in no cell, such as those of conditional formats: what they come to at some cells of a sheet."""

from __future__ import annotations

import re
import time
from collections.abc import Sequence
from dataclasses import replace

from sgdsheet.compiler.recalculator import Recalculator
from sgdsheet.errors import FormulaError
from sgdsheet.sheet.appearance import LooseFormula
from sgdsheet.sheet.formula import moved
from sgdsheet.sheet.references import MAX_COLUMN, column_letters
from sgdsheet.sheet.workbook import Formula, Position, Value, Workbook

_COLUMN = re.compile(r"\bCOLUMN\(\s*\)", re.IGNORECASE)
_TODAY = re.compile(r"\b(TODAY|NOW)\(\s*\)", re.IGNORECASE)
_EPOCH, _EPOCH_1904 = 25_569, 24_107
"""The first of January 1970, in days of a workbook."""


def loose_values(workbook: Workbook, sheet: str, formulas: Sequence[LooseFormula]) -> list[dict[Position, Value]]:
    """What formulas come to at the cells of a sheet that each is wanted at.

    References move as they do when a formula is filled into these cells. All is calculated from the values that the
    workbook has; its own formulas are not. Cells at which a formula cannot be calculated are left out.
    """
    own = workbook.sheets[sheet]
    first = max(own.extent[1], 1) + 1
    placed: dict[Position, Formula] = {}
    starts = []
    for item in formulas:
        starts.append(first)
        right = first
        text = _with_time(item.text, date1904=workbook.date1904)
        for row, column in (place for area in item.areas for place in area.positions()):
            at = first + column
            if at > MAX_COLUMN:
                continue
            try:
                filled = moved(text, *item.home, row, column)
            except FormulaError:  # a reference leaves the grid
                continue
            placed[row, at] = Formula(_COLUMN.sub(f"COLUMN({column_letters(column)}{row})", filled), row, at)
            right = max(right, at)
        first = right + 2  # a gap, so that two formulas are not taken for one
    sheets = {name: replace(known, formulas={}) for name, known in workbook.sheets.items()}
    sheets[sheet] = replace(own, formulas=placed, values=dict(own.values))
    scratch = replace(workbook, sheets=sheets, charts=[], stale=False)
    found: list[dict[Position, Value]] = [{} for _ in formulas]
    for result in Recalculator(scratch).missing().results:
        number = max(place for place, start in enumerate(starts) if result.area.left > start)
        for (row, column), value in result.values_in(result.area):
            found[number][row, column - starts[number]] = value
    return found


def _with_time(text: str, *, date1904: bool) -> str:
    """A formula with the present day, or moment, in the place of what asks for it."""
    if not _TODAY.search(text):
        return text
    now = time.time() + time.localtime().tm_gmtoff
    moment = now / 86_400 + (_EPOCH_1904 if date1904 else _EPOCH)
    return _TODAY.sub(lambda match: repr(moment) if match[1].upper() == "NOW" else str(int(moment)), text)
