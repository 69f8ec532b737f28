"""Excel's calendar, and dates and times in texts.

Day 1 is 1 January 1900, and day 60 is 29 February 1900, which only Excel has.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, timedelta

LAST = 2_958_465
"""31 December 9999."""

SECONDS = 86_400
"""Seconds of a day."""

FROM_1904 = 1462.0
"""The number of 1 January 1904."""

_LEAP_1900 = 60


@dataclass(frozen=True, slots=True)
class Calendar:
    """How a workbook counts days and writes dates.

    `origin` is the day that it counts from, 0 or 1462 for 1904. `day_first` says whether 2/1/2024 is 2 January; None if
    nobody knows.
    """

    origin: float = 0.0
    day_first: Callable[[], bool | None] = lambda: None


_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")


def date_parts(serial: float) -> tuple[int, int, int] | None:
    """Year, month and day of a serial number; None where there is no such day."""
    number = math.floor(serial)
    if not 0 <= number <= LAST:
        return None
    if number in (0, _LEAP_1900):
        return (1900, 1, 0) if number == 0 else (1900, 2, 29)
    found = date(1899, 12, 31 if number < _LEAP_1900 else 30) + timedelta(days=number)
    return found.year, found.month, found.day


def serial_of(year: int, month: int, day: int) -> int | None:
    """The serial number of a day; months and days may be too many or too few. None beyond Excel's calendar."""
    year, month = year + (month - 1) // 12, (month - 1) % 12 + 1
    if not 1900 <= year <= 9999:
        return None
    first = (date(year, month, 1) - date(1899, 12, 30)).days
    first -= first < _LEAP_1900 + 1
    found = first + day - 1
    return found if 0 <= found <= LAST else None


def days_in_month(year: int, month: int) -> int:
    """The days of a month, as Excel counts them."""
    return 29 if month == 2 and is_leap(year) else (31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31)[month - 1]


def is_leap(year: int) -> bool:
    """Whether a year has a 29 February: 1900 has one in Excel."""
    return year == 1900 or (year % 4 == 0 and (year % 100 != 0 or year % 400 == 0))


def weekday_of(serial: float) -> int:
    """The day of the week, 0 for Monday, as Excel counts them."""
    return (math.floor(serial) - 2) % 7


# --- in texts ---------------------------------------------------------------------------------------------

_DATES = (
    re.compile(r"(?P<y>\d{4})[-/](?P<m>\d{1,2})[-/](?P<d>\d{1,2})"),
    re.compile(r"(?P<d>\d{1,2})[- /](?P<m>[A-Za-z]{3,9})[- /,]+(?P<y>\d{4}|\d{2})"),
    re.compile(r"(?P<m>[A-Za-z]{3,9})[- ](?P<d>\d{1,2}),? +(?P<y>\d{4})"),
)
_TIME = re.compile(r"(?P<h>\d{1,2}):(?P<m>\d{1,2})(?::(?P<s>\d{1,2}))? ?(?P<half>[AaPp][Mm])?")
ORDERED_DATE = re.compile(r"(?P<one>\d{1,2})(?P<mark>[-/])(?P<two>\d{1,2})(?P=mark)(?P<year>\d{4}|\d{2})")
"""A date whose order of day and month depends on the country."""
_BOTH = re.compile(r"(?P<day>.*\d)[ T]+(?P<time>\d{1,2}:.*)")
_NO_YEAR = re.compile(r"\d{1,2}[- /]?(?P<m>[A-Za-z]{3,9})|(?P<n>[A-Za-z]{3,9})[- /]\d{1,2}")


def _month_number(text: str) -> int | None:
    if text.isdigit():
        return int(text) if 1 <= int(text) <= 12 else None
    short = text.casefold()[:3]
    return _MONTHS.index(short) + 1 if short in _MONTHS else None


def date_in_text(text: str, day_first: bool | None = None) -> float | None:
    """The day that a text says which means the same everywhere; None if it says none, NaN if that day is none.

    With `day_first` known, also what means another day in other countries, as 2/1/2024.
    """
    match = next((match for form in _DATES if (match := form.fullmatch(text.strip())) is not None), None)
    if match is None and (match := ORDERED_DATE.fullmatch(text.strip())) is not None:
        one, two = match["one"], match["two"]
        if day_first is None and one != two:
            return None
        return _day(match["year"], int(two) if day_first else int(one), int(one) if day_first else int(two))
    if match is None:
        return None
    return _day(match["y"], _month_number(match["m"]), int(match["d"]))


def _day(year_text: str, month: int | None, day: int) -> float:
    """The number of a day; NaN if there is no such day."""
    year = int(year_text)
    if len(year_text) == 2:
        year += 2000 if year < 30 else 1900
    if month is None or not 1 <= month <= 12 or not 1 <= day <= days_in_month(year, month):
        return math.nan
    found = serial_of(year, month, day)
    return math.nan if found is None else float(found)


def time_in_text(text: str) -> float | None:
    """The fraction of a day that a text says; None if it says none, or says it in an unusual way."""
    match = _TIME.fullmatch(text.strip())
    if match is None:
        return None
    hours, minutes, seconds = int(match["h"]), int(match["m"]), int(match["s"] or 0)
    if match["half"]:
        if not 0 <= hours <= 12:
            return math.nan
        hours = hours % 12 + (12 if match["half"].upper() == "PM" else 0)
    if minutes > 59 or seconds > 59 or hours > 23:
        return None
    return (hours * 3600 + minutes * 60 + seconds) / SECONDS


def moment_in_text(text: str, day_first: bool | None = None) -> float | None:
    """The number of a date, of a time, or of both with a space between; None if a text says none of them for sure."""
    if (found := date_in_text(text, day_first)) is not None:
        return found
    if (found := time_in_text(text)) is not None:
        return found
    if (split := _BOTH.fullmatch(text.strip())) is None:
        return None
    first, second = date_in_text(split["day"], day_first), time_in_text(split["time"])
    return first + second if first is not None and second is not None else None


def without_year(text: str) -> bool:
    """Whether a text says a day and a month in letters, but no year: it is that of the clock."""
    match = _NO_YEAR.fullmatch(text.strip())
    return match is not None and _month_number(match["m"] or match["n"]) is not None
