"""One rule for when two values of a cell are the same, up to rounding: what a workbook holds, and what is calculated.

Two numbers are the same where they differ by no more than a share of the larger one. The shares that anybody uses, and
why, stand here.
"""

from __future__ import annotations

import math

from sgdsheet.sheet.workbook import ExcelError, Value

ROUNDING = 1e-9
"""Share that may come from adding in another order, or from digits that a program does not keep."""

SINGLE = 1e-4
"""Share where one of the numbers is calculated in float32: a loss adds up the rounding (6e-8) of many samples."""

RUNNING = 1e-7
"""Share for a loss that is looked at many times a second while its model is trained: wider than `ROUNDING`, since a
false alarm costs a new reading of the whole workbook, and what a person changes shows more than this."""

ACCUMULATED = 1e-6
"""Share for a loss of which every cell on the way follows from the saved ones: their rounding may add up, in a model
that is very sensitive to it."""

JUMP = 1e-7
"""Share of the largest number that a formula reads. Where its result is further off than this, that is no rounding,
however sensitive the formula: it has jumped, and another formula might jump just as well."""

NEGLIGIBLE = 1e-12
"""Share of the largest number on the way to a loss that is nothing beside it: a difference of large numbers."""

REACHED = 1e-10
"""Share, of 1 at least, by which a cell may miss the value that it is to reach and counts as having reached it."""

LEAST = 1e-6
"""Size below which a loss or a parameter is compared as if it were so large: its last digits are only rounding."""

LEAST_IN_CELL = 1.0
"""Size below which the loss of a function in a cell is compared as if it were so large: where it disagrees, all is
compiled again, which is slow."""

SINGLE_LEAST = 0.01
"""Share of the largest number of a block: in float32, a smaller number is compared as if it were so large."""

_CLASSIC = frozenset(
    {
        *(ExcelError.NULL, ExcelError.DIV0, ExcelError.VALUE, ExcelError.REF, ExcelError.NAME, ExcelError.NUM),
        *(ExcelError.NA, ExcelError.GETTING_DATA),
    }
)


def same_number(one: float, other: float, relative: float = ROUNDING, least: float = 0.0) -> bool:
    """Whether two numbers differ by no more than this share of the larger one, which counts as `least` at least.

    False if one of them is not a number, or infinite and the other is not.
    """
    return one == other or abs(one - other) <= relative * max(abs(one), abs(other), least) < math.inf


def share_for(precision: str | None, double: float = ROUNDING) -> float:
    """The share for numbers that are calculated in this precision: `SINGLE` for float32, else that for `double`."""
    return SINGLE if precision == "float32" else double


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


def written_by_office(held: Value, value: Value) -> bool:
    """Whether LibreOffice may have saved this value so: it has no booleans, and few kinds of errors in files.

    To LibreOffice, TRUE is the number 1 in a format that shows it as TRUE: in any other format, and in most cells of an
    .ods, 1 is saved. Its own errors, such as Err:502 of SQRT(-16), are saved as #VALUE!, whatever Excel has there, and
    #NAME? where it does not know a function.
    """
    if held is ExcelError.NAME:
        return value is not ExcelError.NAME
    if isinstance(value, bool):
        return type(held) is float and held == float(value)
    return isinstance(value, ExcelError) and held is ExcelError.VALUE and value is not ExcelError.VALUE


def saved_as(error: ExcelError) -> ExcelError:
    """The error that a file has for it: the newer ones are saved as #VALUE!, with metadata beside it."""
    return error if error in _CLASSIC else ExcelError.VALUE
