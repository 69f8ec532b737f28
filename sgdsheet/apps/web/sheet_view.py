"""The cells that a page shows: what stands in them as text, and of which kind it is."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sgdsheet.sheet.references import MAX_COLUMN, MAX_ROW, Range
from sgdsheet.sheet.workbook import ExcelError, Position, Value

MOST_CELLS = 60_000
"""Cells that a page can look at, at once."""

Entry = tuple[str, str, int]
"""Text, kind and style of a cell as the page gets them."""


def area_of(sheet: str, corners: Any) -> Range:
    """The area that a page asks for, clipped to the grid. Raises ValueError for what is none, or too large."""
    if not isinstance(corners, list) or len(corners) != 4 or not all(type(number) is int for number in corners):
        raise ValueError("an area is a list of four whole numbers")
    top, left, bottom, right = corners
    area = Range(sheet, max(1, top), max(1, left), min(MAX_ROW, bottom), min(MAX_COLUMN, right))
    if area.height < 1 or area.width < 1:
        raise ValueError("the area is empty")
    return area


def kind_of(value: Value) -> str:
    """The letter that the page has for a kind of value."""
    if isinstance(value, bool):
        return "b"
    if isinstance(value, ExcelError):
        return "e"
    return "t" if isinstance(value, str) else "n"


def entries(values: Mapping[Position, Value]) -> dict[Position, Entry]:
    """The cells with something in them."""
    return {at: (general(value), kind_of(value), 0) for at, value in values.items()}


def general(value: Value) -> str:
    """A value without a number format: up to 11 characters of a number, as Excel shows it."""
    if isinstance(value, bool):
        return "TRUE" if value else "FALSE"
    if isinstance(value, float):
        return f"{value:.10g}"
    return str(value)
