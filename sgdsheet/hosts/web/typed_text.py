"""What a text that somebody types into a cell means: a number, a date, TRUE, an error, a formula, or just text.

It is read as Excel reads it in its American settings, which is what workbook files are written in.
"""

from __future__ import annotations

import math
import re
from datetime import date

from sgdsheet.errors import FormulaError, quoted
from sgdsheet.sheet.excel_calendar import days_in_month, moment_in_text, serial_of, time_in_text
from sgdsheet.sheet.formula import parse
from sgdsheet.sheet.syntax import Name, walk
from sgdsheet.sheet.workbook import ExcelError, Formula, Value

_NUMBER = re.compile(
    r"(?P<sign>[+-]?)\s*(?P<money>[$€£¥]?)\s*(?P<digits>(?:\d{1,3}(?:,\d{3})+|\d+)(?:\.\d*)?|\.\d+)"
    r"(?P<power>[eE][+-]?\d{1,4})?\s*(?P<percent>%?)"
)
_FRACTION = re.compile(r"(?P<sign>[+-]?)(?P<whole>\d{1,9}) (?P<top>\d{1,5})/(?P<bottom>\d{1,5})")
_MONTH_FIRST = re.compile(r"(?P<month>\d{1,2})/(?P<day>\d{1,2})(?:/(?P<year>\d{4}|\d{2}))?")
_ERRORS = {error.value: error for error in ExcelError}
_TRUTHS = {"TRUE": True, "FALSE": False}
_OPEN = {"(": ")", "{": "}"}
_QUOTED = re.compile(r'"(?:[^"]|"")*"|\'(?:[^\']|\'\')*\'')
DAYS_TO_1904 = 1_462
"""Days from 1 January 1900 to the first day of workbooks that count from 1904."""

_WORDS = re.compile(
    r"""
    "(?:[^"]|"")*" | '(?:[^']|'')*'! | \[(?:[^\[\]]|\[[^\[\]]*\])*\]     # texts, quoted sheets, columns of tables
    | (?<![\w.$!'])(?:true|false)(?![\w.(!])
    | [^\W\d][\w.]*(?=\()                                              # a function
    | (?<![\w.])\$?[a-z]{1,3}\$?[0-9]{1,7}(?![\w.(!])                      # a cell
    | (?<![\w.$])\$?[a-z]{1,3}:\$?[a-z]{1,3}(?![\w.(!])                    # whole columns
    """,
    re.VERBOSE | re.IGNORECASE,
)
_CLOCK = re.compile(r"\d{1,2}:\d{1,2}(?P<seconds>:\d{1,2})? ?(?P<half>[AaPp][Mm])?$")

Typed = Value | Formula | None
"""What was typed: a value, a formula, or nothing, which clears the cell."""


def typed(text: str, row: int, column: int, *, date1904: bool = False) -> Typed:
    """What a text means that is typed into the cell at `row`, `column`. Raises FormulaError for an unreadable formula.

    A text that begins with an apostrophe is a text whatever follows.
    """
    if text.startswith("'"):
        return text[1:] or None
    plain = text.strip()
    if not plain:
        return None if text == plain else text
    if plain.startswith("=") and len(plain) > 1:
        return _formula(plain[1:].strip(), row, column)
    value = _value(plain, date1904)
    if value is not None:
        return value
    if plain[0] in "+-@" and len(plain) > 1:
        return _signed_formula(plain.removeprefix("@"), row, column) or text
    return text


def number_format(text: str) -> str | None:
    """The format that a cell without one gets when this is typed into it, as files have it; None for none.

    It is for texts that `typed` takes for numbers.
    """
    plain = text.strip()
    if _number(plain) is not None:
        return _format_of_number(plain)
    if _fraction(plain) is not None:
        return "# ?/?" if len(plain.partition("/")[2]) == 1 else "# ??/??"
    clock = _CLOCK.search(plain)
    time = "" if clock is None else "h:mm" + (":ss" if clock["seconds"] else "") + (" AM/PM" if clock["half"] else "")
    day = plain if clock is None else plain[: clock.start()].strip()
    if not day:
        return time or None
    date = "yyyy-mm-dd" if re.match(r"\d{4}-", day) else "d-mmm-yy" if re.search("[A-Za-z]", day) else "mm-dd-yy"
    return f"{'m/d/yy' if date == 'mm-dd-yy' else date} {time}" if time else date


def _format_of_number(plain: str) -> str | None:
    cents = "." in plain
    if "%" in plain:
        return "0.00%" if cents else "0%"
    money = next((sign for sign in "$€£¥" if sign in plain), "")
    if money or "," in plain:
        return f"{money}#,##0{'.00' if cents else ''}"
    return "0.00E+00" if "e" in plain.lower() else None


def _value(plain: str, date1904: bool) -> Value | None:
    upper = plain.upper()
    if upper in _TRUTHS:
        return _TRUTHS[upper]
    if upper in _ERRORS:
        return _ERRORS[upper]
    number = _number(plain)
    if number is None:
        number = _fraction(plain)
    if number is None:
        number = _moment(plain, date1904)
    return number


def _number(plain: str) -> float | None:
    negative = plain.startswith("(") and plain.endswith(")")
    match = _NUMBER.fullmatch(plain[1:-1].strip() if negative else plain)
    if match is None or (negative and match["sign"]) or (not plain.isascii() and not match["money"]):
        return None
    number = float(match["digits"].replace(",", "") + (match["power"] or ""))
    if match["percent"]:
        number /= 100
    if not math.isfinite(number):
        return None
    return -number if (negative or match["sign"] == "-") and number else number


def _fraction(plain: str) -> float | None:
    match = _FRACTION.fullmatch(plain)
    if match is None or not int(match["bottom"]):
        return None
    number = int(match["whole"]) + int(match["top"]) / int(match["bottom"])
    return -number if match["sign"] == "-" else number


def _moment(plain: str, date1904: bool) -> float | None:
    """The number of a date, of a time, or of both."""
    known = moment_in_text(plain)
    if known is None:
        day, space, time = plain.partition(" ")
        first, second = _american(day), time_in_text(time) if space else 0.0
        known = None if first is None or second is None else first + second
    if known is None or math.isnan(known):
        return None
    return known - DAYS_TO_1904 if date1904 and known >= DAYS_TO_1904 else known


def _american(text: str) -> float | None:
    """The day of a date such as 11/29/2026, or 11/29 of this year; None if the text is none."""
    match = _MONTH_FIRST.fullmatch(text)
    if match is None:
        return None
    month, day = int(match["month"]), int(match["day"])
    year = date.today().year if match["year"] is None else int(match["year"])
    if match["year"] is not None and len(match["year"]) == 2:
        year += 2000 if year < 30 else 1900
    if not 1 <= month <= 12 or not 1 <= day <= days_in_month(year, month):
        return None
    found = serial_of(year, month, day)
    return None if found is None else float(found)


def _formula(text: str, row: int, column: int) -> Formula:
    """The formula of a text (without `=`) that the parser can read. Raises FormulaError."""
    if missing := _missing(text):
        raise FormulaError(f"the formula {quoted('=' + text)} is not complete", remedy=f"Add the missing {missing}")
    parse(text, row, column)
    return Formula(_spelled(text), row, column)


def _signed_formula(text: str, row: int, column: int) -> Formula | None:
    """The formula of a text that begins with a sign, such as `+A1*2`; None if it is none, as in `- see below`."""
    try:
        tree = parse(text, row, column)
    except FormulaError:
        return None
    return None if any(isinstance(part, Name) for part in walk(tree)) else Formula(_spelled(text), row, column)


def _spelled(text: str) -> str:
    """A formula with functions, cells and TRUE in capitals, as spreadsheets write them."""

    def capitals(match: re.Match[str]) -> str:
        word = match.group()
        return word if word[0] in "\"'[" else word.upper()

    return _WORDS.sub(capitals, text)


def _missing(text: str) -> str:
    """The bracket or quotation mark that a formula lacks; empty if it lacks none."""
    bare = _QUOTED.sub("", text)
    if '"' in bare:
        return "quotation mark"
    waiting: list[str] = []
    for letter in bare:
        if letter in _OPEN:
            waiting.append(_OPEN[letter])
        elif waiting and letter == waiting[-1]:
            waiting.pop()
    return f"“{waiting[-1]}”" if waiting else ""
