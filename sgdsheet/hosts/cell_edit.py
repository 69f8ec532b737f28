"""What a person can do to a cell of a file, beyond a new value: type something else into it, or clear it.

A new value alone leaves a formula as it is; every edit takes the place of whatever stood in the cell. The format of the
cell stays.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from sys import float_info

from sgdsheet.sheet.references import MAX_COLUMN, MAX_ROW, Cell
from sgdsheet.sheet.workbook import ExcelError, Position, Value

MAX_TEXT = 32_767
"""Characters that Excel allows in a cell."""


@dataclass(frozen=True, slots=True)
class Constant:
    """A number, a text or a boolean that was typed.

    `number_format` is the format of a date or time, such as `yyyy-mm-dd`, in the notation of files; a cell gets it if
    it has none but General.
    """

    value: Value
    number_format: str | None = None


@dataclass(frozen=True, slots=True)
class FormulaEdit:
    """A formula as Excel shows it, without `=`, and what it gives; None where that could not be calculated."""

    text: str
    value: Value | None = None


@dataclass(frozen=True, slots=True)
class Cleared:
    """The cell is emptied."""


CellEdit = Constant | FormulaEdit | Cleared

Change = Value | CellEdit | None
"""A new value for a cell, or an edit of it; None takes the saved value of a formula away."""

Changes = Mapping[str, Mapping[Position, Change]]
"""Changes of cells by the name of the sheet."""


def value_of(change: Change) -> Value | None:
    """The value that a changed cell has in the end; None for one that is left without."""
    if isinstance(change, Constant | FormulaEdit):
        return change.value
    return None if isinstance(change, Cleared) else change


def with_value(before: Change, value: Value) -> Change:
    """What becomes of a cell that was changed before and now gets a value, as by a calculation."""
    if isinstance(before, FormulaEdit):
        return FormulaEdit(before.text, value)
    if isinstance(before, Constant):
        return Constant(value, before.number_format)
    return Constant(value) if isinstance(before, Cleared) else value


def without_result(before: Change) -> Change:
    """What becomes of a cell whose formula cannot be calculated."""
    if isinstance(before, FormulaEdit):
        return FormulaEdit(before.text)
    return before if isinstance(before, Constant | Cleared) else None


def gives_way(change: Change) -> Change:
    """A new value that takes the place of the cell's formula."""
    return change if change is None or isinstance(change, Constant | FormulaEdit | Cleared) else Constant(change)


def has_edits(changes: Mapping[Position, Change]) -> bool:
    """Whether some cell gets more than a new value."""
    return any(isinstance(item, Constant | FormulaEdit | Cleared) for item in changes.values())


def asks_for_calculation(changes: Mapping[Position, Change]) -> bool:
    """Whether some formula is left without a result."""
    return any(item is None or (isinstance(item, FormulaEdit) and item.value is None) for item in changes.values())


def impossible(cell: Cell, value: Value) -> str | None:
    """Why a value cannot stand in a cell of a file, if so."""
    if not (1 <= cell.row <= MAX_ROW and 1 <= cell.column <= MAX_COLUMN):
        return "the cell lies outside the grid"
    if isinstance(value, str):
        if any("\ud800" <= letter <= "\udfff" for letter in value):
            return "the text holds surrogates, halves of characters"
        if len(value.encode("utf-16-le")) > 2 * MAX_TEXT:
            return f"the text is longer than {MAX_TEXT:,} characters"
    elif not isinstance(value, ExcelError) and not abs(value) <= float_info.max:  # false for NaN, too
        return f"{value} is not a number that a cell can hold"
    return None
