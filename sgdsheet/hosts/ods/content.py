"""The vocabulary of `content.xml`: names of elements and attributes, and how values are spelled in them."""

from __future__ import annotations

import re
from datetime import date, timedelta

from sgdsheet.hosts.xlsx.file_formula import IMPOSSIBLE
from sgdsheet.sheet.references import Range
from sgdsheet.sheet.workbook import ExcelError, Value

_NAMESPACE = "urn:oasis:names:tc:opendocument:xmlns"
OFFICE, TABLE, TEXT = f"{_NAMESPACE}:office:1.0", f"{_NAMESPACE}:table:1.0", f"{_NAMESPACE}:text:1.0"
EXTENSION = "urn:org:documentfoundation:names:experimental:calc:xmlns:calcext:1.0"


EXCELS_PREFIX, EXCELS = "msoxl", "http://schemas.microsoft.com/office/excel/formula"
"""The prefix of formulas in Excel's notation, and the namespace that it stands for."""
DECLARED = "xmlns"
"""What stands for a namespace in the names of attributes that say what a prefix means."""


def _spelled(namespace: str, name: str) -> str:
    """A name as the parser gives it."""
    return f"{namespace} {name}"


EXCELS_DECLARED = _spelled(DECLARED, EXCELS_PREFIX)
SPREADSHEET, SHEET = _spelled(OFFICE, "spreadsheet"), _spelled(TABLE, "table")
ROW, CELL, COVERED = _spelled(TABLE, "table-row"), _spelled(TABLE, "table-cell"), _spelled(TABLE, "covered-table-cell")
NAMES, NAMED_RANGE = _spelled(TABLE, "named-expressions"), _spelled(TABLE, "named-range")
NAMED_EXPRESSION, DATABASE_RANGE = _spelled(TABLE, "named-expression"), _spelled(TABLE, "database-range")
CALCULATION_SETTINGS = _spelled(TABLE, "calculation-settings")
NULL_DATE = _spelled(TABLE, "null-date")
PARAGRAPH, SPACES, TAB, LINE_BREAK = (_spelled(TEXT, name) for name in ("p", "s", "tab", "line-break"))

NAME, FORMULA, PROTECTED = _spelled(TABLE, "name"), _spelled(TABLE, "formula"), _spelled(TABLE, "protected")
VISIBILITY, COUNT = _spelled(TABLE, "visibility"), _spelled(TEXT, "c")
ROWS_REPEATED, COLUMNS_REPEATED = _spelled(TABLE, "number-rows-repeated"), _spelled(TABLE, "number-columns-repeated")
ROWS_SPANNED, COLUMNS_SPANNED = _spelled(TABLE, "number-rows-spanned"), _spelled(TABLE, "number-columns-spanned")
MATRIX_ROWS = _spelled(TABLE, "number-matrix-rows-spanned")
MATRIX_COLUMNS = _spelled(TABLE, "number-matrix-columns-spanned")
CELL_RANGE, EXPRESSION = _spelled(TABLE, "cell-range-address"), _spelled(TABLE, "expression")
TARGET_RANGE, HEADER = _spelled(TABLE, "target-range-address"), _spelled(TABLE, "contains-header")
AS_SHOWN = _spelled(TABLE, "precision-as-shown")
NULL_DATE_VALUE = _spelled(TABLE, "date-value")
TYPE, VALUE = _spelled(OFFICE, "value-type"), _spelled(OFFICE, "value")
DATE, TIME = _spelled(OFFICE, "date-value"), _spelled(OFFICE, "time-value")
BOOLEAN, STRING = _spelled(OFFICE, "boolean-value"), _spelled(OFFICE, "string-value")
EXTENDED_TYPE = _spelled(EXTENSION, "value-type")

NUMBERS = ("float", "percentage", "currency")
"""Types of cells whose number stands in `office:value`."""

_DATE = re.compile(r"(-?\d{1,5})-(\d\d)-(\d\d)(?:T(\d\d):(\d\d):(\d\d(?:[.,]\d+)?))?Z?", re.ASCII)
_DURATION = re.compile(r"(-?)P(?:(\d+)D)?(?:T(?:(\d+)H)?(?:(\d+)M)?(?:(\d+(?:[.,]\d+)?)S)?)?", re.ASCII)
_DAYS_IN_400_YEARS = 146_097
_ERRORS = {
    "Err:502": ExcelError.VALUE,
    "Err:503": ExcelError.NUM,
    "Err:504": ExcelError.REF,
    "Err:519": ExcelError.VALUE,
    "Err:521": ExcelError.NULL,
    "Err:523": ExcelError.NUM,
    "Err:524": ExcelError.REF,
    "Err:525": ExcelError.NAME,
    "Err:532": ExcelError.DIV0,
}


def error_value(text: str) -> ExcelError:
    """The error that a cell shows. LibreOffice writes some as a number, and all in the language of its user."""
    try:
        return ExcelError(text)
    except ValueError:
        return _ERRORS.get(text, ExcelError.UNKNOWN)


def days(text: str, date1904: bool) -> float:
    """A date, with or without a time, as Excel's serial number."""
    match = _DATE.fullmatch(text)
    if match is None:
        raise ValueError(text)
    year, month, day, hours, minutes, seconds = match.groups(default="0")
    origin = date(1904, 1, 1) if date1904 else date(1899, 12, 30)
    cycle, rest = divmod(int(year) - 1, 400)  # Python knows the years 1 to 9999, LibreOffice others as well
    whole = date(rest + 1, int(month), int(day)).toordinal() + cycle * _DAYS_IN_400_YEARS - origin.toordinal()
    return whole + _part_of_day(hours, minutes, seconds)


def duration(text: str) -> float:
    """A time, such as PT12H30M00S, as a part of a day, or as days."""
    match = _DURATION.fullmatch(text)
    if match is None or len(text) < 3:
        raise ValueError(text)
    sign, whole, hours, minutes, seconds = match.groups(default="0")
    found = int(whole) + _part_of_day(hours, minutes, seconds)
    return -found if sign == "-" else found


def _part_of_day(hours: str, minutes: str, seconds: str) -> float:
    return (int(hours) * 3600 + int(minutes) * 60 + float(seconds.replace(",", "."))) / 86400


def is_impossible(value: Value | None) -> bool:
    """Whether a value is a text with characters that XML cannot hold, such as a vertical tab."""
    return isinstance(value, str) and IMPOSSIBLE.search(value) is not None


def value_type(value: Value) -> str:
    """The type of a cell that gets this value."""
    if isinstance(value, bool):
        return "boolean"
    return "string" if isinstance(value, (str, ExcelError)) else "float"


def shown(value: Value) -> str:
    """What the cell says until a program shows it in its own way."""
    if isinstance(value, bool):
        return str(value).upper()
    return str(value) if isinstance(value, (str, ExcelError)) else number(value)


def number(value: float) -> str:
    """A number in full."""
    return repr(float(value)).removesuffix(".0")


def typed(value: Value, number_format: str | None) -> tuple[str, str, str] | None:
    """How a date, time or percentage that was typed is written: its type, the attribute that holds it, and its text.

    None for whatever is no such thing, or would be another number when it is read again. Days count from 1899.
    """
    code = (number_format or "").lower()
    if isinstance(value, str | bool | ExcelError) or not code:
        return None
    if "%" in code:
        return "percentage", VALUE, number(value)
    seconds = round(value * 86400)
    if "y" in code or "d" in code:
        day, rest = divmod(seconds, 86400)
        if not 0 <= day < 2_900_000:
            return None
        text = (date(1899, 12, 30) + timedelta(days=day)).isoformat()
        text += f"T{_clock(rest, ':', ':', '')}" if rest else ""
        return ("date", DATE, text) if days(text, date1904=False) == value else None
    if "h" in code or "s" in code:
        text = f"PT{_clock(seconds, 'H', 'M', 'S')}"
        return ("time", TIME, text) if value >= 0 and duration(text) == value else None
    return None


def _clock(seconds: int, *marks: str) -> str:
    """Hours, minutes and seconds with what stands behind each."""
    parts = (seconds // 3600, seconds // 60 % 60, seconds % 60)
    return "".join(f"{part:02}{mark}" for part, mark in zip(parts, marks, strict=True))


def place(area: Range) -> str:
    """An area as a name has it: `$'my sheet'.$A$1:.$B$2`."""
    sheet, _, cells = area.absolute.rpartition("!")
    start, colon, end = cells.partition(":")
    return f"${sheet}.{start}" + (f":.{end}" if colon else "")
