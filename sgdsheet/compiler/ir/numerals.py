"""Numbers in texts, and texts of numbers, as arithmetic and `&` see them."""

from __future__ import annotations

import math
import re

from sgdsheet.errors import FormulaError
from sgdsheet.sheet.excel_calendar import Calendar, moment_in_text

_NUMBER = re.compile(r"[+-]?\s*[$]?\s*(?:\d+|\d{1,3}(?:,\d{3})+)?(?:\.\d*)?(?:[eE][+-]?\d+)?\s*(%?)")
_MONTH = r"(?:jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec)[a-z]*"
_TIME = r"\d{1,2}:\d{1,2}(?::\d{1,2}(?:\.\d*)?)?(?: ?[ap]m?)?|\d{1,2} [ap]m?"
_DAY = (
    r"\d{1,4}[-/]\d{1,2}(?:[-/]\d{1,4})?|\d{1,2}\.\d{1,2}\.\d{2,4}"
    rf"|\d{{1,2}}[-/ ]?{_MONTH}(?:[-/ ,]+\d{{2,4}})?|{_MONTH}[-/ ]\d{{1,4}}(?:[-/ ,]+\d{{2,4}})?"
)
_DATE = re.compile(rf"(?:{_DAY})(?:[ T](?:{_TIME}))?|{_TIME}|[+-]?\d+ \d+/\d+", re.IGNORECASE)
_BEFORE = re.compile(r"\d{1,2}([-/])\d{1,2}\1(?:0\d|1[0-8])\d\d")
"""A date before 1900, whatever the order of day and month: Excel's calendar does not have it."""

_LONGEST = 255
"""Characters of a text up to which it may be a number."""


def text_number(text: str, *, calendar: Calendar | None = None) -> float | None:
    """The number that arithmetic reads from a text (`"5"`, `" 1,000.5 "`, `"$3"`, `"(2)"`, `"12%"`), else None.

    With a `calendar` that counts from 1900 also those of dates and times that mean the same everywhere
    (`"2011-08-22 16:48"`), or whose order of day and month it knows. Raises FormulaError for what else may be a date, a
    time or a fraction: which, depends on the country.
    """
    text = text.strip(" ")
    if not text or len(text) > _LONGEST:
        return None
    negative = text.startswith("(") and text.endswith(")")
    body = text[1:-1] if negative else text
    match = _NUMBER.fullmatch(body)
    digits = re.split("[eE]", body)[0]  # "E8" is no number
    if match is None or not any(letter.isdigit() for letter in digits) or not body.isascii():
        if _BEFORE.fullmatch(text):
            return None
        if _DATE.fullmatch(text):
            moment = None
            if calendar is not None and not calendar.origin:
                moment = moment_in_text(text)
                moment = moment_in_text(text, calendar.day_first()) if moment is None else moment
            if moment is not None:
                return None if math.isnan(moment) else moment
            raise FormulaError(
                f"calculates with the text “{text}”, which may be a date, a time or a fraction",
                remedy="Put a number there",
            )
        return None
    if negative and body[0] in "+-":
        return None
    plain = re.sub(r"[$,%\s]", "", body)
    number = float(plain) / (100 if match[1] else 1)
    return (-number if negative else number) if abs(number) < float("inf") else None


def number_text(number: float) -> str:
    """A number as `&` writes it: up to 15 digits, without an exponent as far as Excel does.

    Raises FormulaError below 0.0001, where Excel's choice between digits and exponent is not known.
    """
    if 0 < abs(number) < 1e-4:
        raise FormulaError("joins a very small number to a text", remedy="Round it, or write it as a text")
    text = f"{number:.15g}"
    if "e" not in text:
        return "0" if text == "-0" else text
    return f"{float(text):.0f}" if abs(number) < 1e20 else text.replace("e", "E")
