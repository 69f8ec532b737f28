"""One rule for when two values of a cell are the same, up to rounding."""

from __future__ import annotations

from sgdsheet.sheet.workbook import ExcelError, Value

ROUNDING = 1e-9
"""Relative distance that may come from adding in another order, or from digits that a program does not keep."""

SINGLE = 1e-4
"""The same where one of two losses is calculated in float32."""

LEAST = 1e-6
"""Size below which a number is compared as if it were so large: what is left of a difference is only rounding."""

_CLASSIC = frozenset(
    {
        *(ExcelError.NULL, ExcelError.DIV0, ExcelError.VALUE, ExcelError.REF, ExcelError.NAME, ExcelError.NUM),
        *(ExcelError.NA, ExcelError.GETTING_DATA),
    }
)


def same_number(one: float, other: float, relative: float = ROUNDING, least: float = 0.0) -> bool:
    """Whether two numbers differ by no more than this share of the larger one, which counts as `least` at least.

    False if one of them is not a number.
    """
    return one == other or abs(one - other) <= relative * max(abs(one), abs(other), least)


def same_value(one: Value, other: Value, relative: float = ROUNDING, least: float = 0.0) -> bool:
    """Whether two values are of one kind and the same; text without regard to capitals, as Excel compares it."""
    if isinstance(one, bool) or isinstance(other, bool):
        return one is other
    if isinstance(one, (int, float)) and isinstance(other, (int, float)):
        return same_number(one, other, relative, least)
    if isinstance(one, str) and isinstance(other, str):
        return one.casefold() == other.casefold()
    if isinstance(one, ExcelError) and isinstance(other, ExcelError):
        return saved_as(one) is saved_as(other)
    return False


def saved_as(error: ExcelError) -> ExcelError:
    """The error that a file has for it: the newer ones are saved as #VALUE!, with metadata beside it."""
    return error if error in _CLASSIC else ExcelError.VALUE
