"""Dates and times as serial numbers: 1 is 1 January 1900, and 60 is 29 February 1900, a day that only Excel knows."""

from __future__ import annotations

import math
import re
from dataclasses import replace

from sgdsheet.compiler.functions.plain import Cell, Day, Days, Grid, plain
from sgdsheet.compiler.ir.numerals import text_number
from sgdsheet.errors import FormulaError
from sgdsheet.sheet.excel_calendar import (
    LAST,
    SECONDS,
    Calendar,
    date_in_text,
    date_parts,
    days_in_month,
    is_leap,
    moment_in_text,
    serial_of,
    time_in_text,
    weekday_of,
    without_year,
)
from sgdsheet.sheet.workbook import ExcelError


def _known(number: int | None) -> float | ExcelError:
    return ExcelError.NUM if number is None else float(number)


@plain("DATE", examples={"DATE(2008,1,2)": 39449, "DATE(108,1,2)": 39449, "DATE(2008,14,-15)": 39829})
def date_(year: float, month: float, day: float) -> Day | ExcelError:
    """The serial number of a date."""
    whole = math.floor(year)
    if not 0 <= whole < 10_000 or abs(month) > 120_000 or abs(day) > 4_000_000:
        return ExcelError.NUM
    return _known(serial_of(whole + 1900 if whole < 1900 else whole, math.floor(month), math.floor(day)))


@plain("YEAR", examples={"YEAR(39634)": 2008})
def year(serial: Day) -> float | ExcelError:
    """The year of a date."""
    parts = date_parts(serial)
    return ExcelError.NUM if parts is None else float(parts[0])


@plain("MONTH", examples={"MONTH(DATE(2011,4,15))": 4, "MONTH(-1)": "#NUM!"})
def month(serial: Day) -> float | ExcelError:
    """The month of a date, 1 to 12."""
    parts = date_parts(serial)
    return ExcelError.NUM if parts is None else float(parts[1])


@plain("DAY", examples={"DAY(DATE(2011,4,15))": 15, "DAY(60)": 29})
def day(serial: Day) -> float | ExcelError:
    """The day of the month of a date."""
    parts = date_parts(serial)
    return ExcelError.NUM if parts is None else float(parts[2])


def _shifted(start: float, months: float, *, end: bool) -> float | ExcelError:
    parts = date_parts(start)
    if parts is None or abs(months) > 120_000:
        return ExcelError.NUM
    total = parts[0] * 12 + parts[1] - 1 + math.trunc(months)
    year_, month_ = total // 12, total % 12 + 1
    if not 1900 <= year_ <= 9999:
        return ExcelError.NUM
    last = days_in_month(year_, month_)
    return _known(serial_of(year_, month_, last if end else min(parts[2], last)))


@plain(
    "EDATE",
    booleans=False,
    examples={"EDATE(DATE(2011,1,15),1)": 40589, "EDATE(DATE(2011,3,31),-1)": 40602},
)
def edate(start: Day, months: float) -> Day | ExcelError:
    """The same day some months later."""
    return _shifted(start, months, end=False)


@plain(
    "EOMONTH",
    booleans=False,
    examples={"EOMONTH(DATE(2011,1,1),1)": 40602, "EOMONTH(DATE(2011,1,1),-3)": 40482},
)
def eomonth(start: Day, months: float) -> Day | ExcelError:
    """The last day of a month some months later."""
    return _shifted(start, months, end=True)


@plain(
    "WEEKDAY",
    examples={"WEEKDAY(DATE(2008,2,14))": 5, "WEEKDAY(DATE(2008,2,14),2)": 4, "WEEKDAY(DATE(2008,2,14),3)": 3},
)
def weekday(serial: Day, kind: float = 1.0) -> float | ExcelError:
    """The day of the week as a number; from Sunday = 1 unless another count is chosen."""
    number, way = math.floor(serial), int(kind)
    if not 0 <= number <= LAST:
        return ExcelError.NUM
    if way == 3:
        return float((number - 2) % 7)
    first = {1: 1, 2: 2, **{code: code - 9 for code in range(11, 18)}}.get(way)
    return ExcelError.NUM if first is None else float((number - first) % 7 + 1)


@plain(
    "WEEKNUM",
    booleans=False,
    examples={"WEEKNUM(DATE(2012,3,9))": 10, "WEEKNUM(DATE(2012,3,9),2)": 11, "WEEKNUM(DATE(2012,1,1),21)": 52},
)
def weeknum(serial: Day, kind: float = 1.0) -> float | ExcelError:
    """The number of the week in its year; the first week is that with 1 January (kind 21: ISO's week)."""
    way = int(kind)
    if way == 21:
        return isoweeknum(serial)
    parts = date_parts(serial)
    first = {1: 1, 2: 2, **{code: code - 9 for code in range(11, 18)}}.get(way)
    if parts is None or first is None:
        return ExcelError.NUM
    new_year = serial_of(parts[0], 1, 1)
    assert new_year is not None
    return float((math.floor(serial) - new_year + (new_year - first) % 7) // 7 + 1)


@plain("ISOWEEKNUM", examples={"ISOWEEKNUM(DATE(2012,3,9))": 10})
def isoweeknum(serial: Day) -> float | ExcelError:
    """The number of the week by ISO 8601: the first week has the year's first Thursday."""
    if not 0 <= serial < LAST + 1:
        return ExcelError.NUM
    if serial < 1:
        raise FormulaError("asks for the ISO week of a day before 1900", remedy="Use a later date")
    thursday = math.floor(serial) - weekday_of(serial) + 3
    parts = date_parts(thursday)
    if parts is None or thursday < 1:
        return 52.0  # a Sunday, by Excel's calendar: 1 January 1900
    new_year = serial_of(parts[0], 1, 1)
    assert new_year is not None
    return float((thursday - new_year) // 7 + 1)


def _seconds(serial: float) -> int | None:
    """The second of the day, to the nearest one."""
    if not 0 <= serial < LAST + 1:
        return None
    exact = (serial - math.floor(serial)) * SECONDS
    if 0.4994 < exact % 1 < 0.500_001:  # Excel's “nearly a half” is not known closer than that
        raise FormulaError("asks for the time of day of half a second", remedy="Round it to whole seconds")
    return round(exact) % SECONDS


@plain("HOUR", examples={"HOUR(0.75)": 18, "HOUR(40741.322916666664)": 7})
def hour(serial: Day) -> float | ExcelError:
    """The hour of a time, 0 to 23."""
    seconds = _seconds(serial)
    return ExcelError.NUM if seconds is None else float(seconds // 3600)


@plain("MINUTE", examples={"MINUTE(TIME(12,45,0))": 45})
def minute(serial: Day) -> float | ExcelError:
    """The minute of a time, 0 to 59."""
    seconds = _seconds(serial)
    return ExcelError.NUM if seconds is None else float(seconds // 60 % 60)


@plain("SECOND", examples={"SECOND(TIME(4,48,18))": 18})
def second(serial: Day) -> float | ExcelError:
    """The second of a time, 0 to 59."""
    seconds = _seconds(serial)
    return ExcelError.NUM if seconds is None else float(seconds % 60)


@plain("TIME", examples={"TIME(12,0,0)": 0.5, "TIME(16,48,10)": 60490 / 86400, "TIME(27,0,0)": 0.125})
def time(hours: float, minutes: float, seconds: float) -> float | ExcelError:
    """A time of day as a fraction of a day."""
    parts = [math.floor(item) for item in (hours, minutes, seconds)]
    total = parts[0] * 3600 + parts[1] * 60 + parts[2]
    return ExcelError.NUM if total < 0 or max(parts) > 32767 else total % SECONDS / SECONDS


@plain("DAYS", examples={"DAYS(DATE(2021,3,15),DATE(2021,2,1))": 42})
def days(end: Day, start: Day) -> float | ExcelError:
    """How many days lie between two dates."""
    if date_parts(end) is None or date_parts(start) is None:
        return ExcelError.NUM
    return float(math.floor(end) - math.floor(start))


@plain(
    "DAYS360",
    examples={"DAYS360(DATE(2011,1,30),DATE(2011,2,1))": 1, "DAYS360(DATE(2011,1,1),DATE(2011,12,31))": 360},
)
def days360(start: Day, end: Day, european: bool = False) -> float | ExcelError:
    """The days between two dates in a year of twelve months of 30 days."""
    one, two = date_parts(start), date_parts(end)
    if one is None or two is None:
        return ExcelError.NUM
    first, last = one[2], two[2]
    if european:
        first, last = min(first, 30), min(last, 30)
    else:
        first = 30 if first == days_in_month(*one[:2]) else first
        last = 30 if last == 31 and first >= 30 else last
    return float((two[0] - one[0]) * 360 + (two[1] - one[1]) * 30 + last - first)


@plain(
    "DATEDIF",
    examples={
        'DATEDIF(DATE(2001,1,1),DATE(2003,1,1),"Y")': 2,
        'DATEDIF(DATE(2001,6,1),DATE(2002,8,15),"D")': 440,
        'DATEDIF(DATE(2001,6,1),DATE(2002,8,15),"YD")': 75,
    },
)
def datedif(start: Day, end: Day, unit: str) -> float | ExcelError:
    """The days, months or years between two dates."""
    one, two, way = date_parts(start), date_parts(end), unit.upper()
    if one is None or two is None or math.floor(start) > math.floor(end):
        return ExcelError.NUM
    months = (two[0] - one[0]) * 12 + two[1] - one[1] - (two[2] < one[2])
    if way == "D":
        return float(math.floor(end) - math.floor(start))
    if way in ("M", "Y", "YM"):
        return float({"M": months, "Y": months // 12, "YM": months % 12}[way])
    if way == "MD":
        before = days_in_month(two[0] - (two[1] == 1), (two[1] - 2) % 12 + 1)
        return float(two[2] - one[2] + (before if two[2] < one[2] else 0))
    if way == "YD":
        later = serial_of(one[0] + (two[1:] < one[1:]), two[1], two[2])
        return ExcelError.NUM if later is None else float(later - math.floor(start))
    return ExcelError.NUM


@plain(
    "YEARFRAC",
    booleans=False,
    examples={
        "YEARFRAC(DATE(2012,1,1),DATE(2012,7,30))": 209 / 360,
        "YEARFRAC(DATE(2012,1,1),DATE(2012,7,30),1)": 211 / 366,
        "YEARFRAC(DATE(2012,1,1),DATE(2012,7,30),3)": 211 / 365,
    },
)
def yearfrac(start: Day, end: Day, basis: float = 0.0) -> float | ExcelError:
    """The years between two dates, as a fraction, by one of five ways to count days."""
    way = math.trunc(basis)
    if not 0 <= way <= 4 or date_parts(start) is None or date_parts(end) is None:
        return ExcelError.NUM
    return year_fraction(start, end, way)


def year_fraction(start: float, end: float, basis: int) -> float:
    """The years between two dates that there are. Basis 0: US 30/360, 1: actual, 2: actual/360, 3: actual/365, 4:
    European 30/360."""
    first, last = sorted((math.floor(start), math.floor(end)))
    one, two = date_parts(first), date_parts(last)
    assert one is not None
    assert two is not None
    if basis == 0:
        return us_days(one, two) / 360
    if basis == 4:
        return ((two[0] - one[0]) * 360 + (two[1] - one[1]) * 30 + min(two[2], 30) - min(one[2], 30)) / 360
    return (last - first) / (_year_length(one, two) if basis == 1 else 360 if basis == 2 else 365)


def us_days(one: tuple[int, int, int], two: tuple[int, int, int]) -> int:
    """The days between two dates by the US rule of 30 days a month."""
    first, last = one[2], two[2]
    ends = [part[1] == 2 and part[2] == days_in_month(*part[:2]) for part in (one, two)]
    if all(ends):
        last = 30
    if ends[0]:
        first = 30
    if last == 31 and first >= 30:
        last = 30
    return (two[0] - one[0]) * 360 + (two[1] - one[1]) * 30 + last - min(first, 30)


def _year_length(one: tuple[int, int, int], two: tuple[int, int, int]) -> float:
    """The days of a year between two dates, on the average; 1900 has 365 of them here."""
    within = one[0] == two[0] or (one[0] + 1 == two[0] and one[1:] >= two[1:])
    if not within:
        years = range(one[0], two[0] + 1)
        return sum(366 if _is_long(item) else 365 for item in years) / len(years)
    if one[0] == two[0]:
        return 366.0 if _is_long(one[0]) else 365.0
    leap = (_is_long(one[0]) and one[1:] <= (2, 29)) or (_is_long(two[0]) and two[1:] >= (2, 29))
    return 366.0 if leap else 365.0


def _is_long(year: int) -> bool:
    return is_leap(year) and year != 1900


# --- working days -----------------------------------------------------------------------------------------


def _weekend(code: Cell) -> frozenset[int] | ExcelError:
    """The days off in a week, 0 for Monday, by Excel's number or a text such as "0000011"."""
    if code is None or code == 0.0:
        return ExcelError.NUM
    if isinstance(code, str):
        fits = re.fullmatch("[01]{7}", code) is not None
        return frozenset(day for day in range(7) if code[day] == "1") if fits else ExcelError.VALUE
    if isinstance(code, (bool, ExcelError)):
        return code if isinstance(code, ExcelError) else ExcelError.VALUE
    number = math.trunc(code)
    if number != code:
        raise FormulaError("names days off by a number that is not whole", remedy="Use a whole number")
    if 1 <= number <= 7:
        return frozenset({(number + 4) % 7, (number + 5) % 7})
    return frozenset({(number - 12) % 7}) if 11 <= number <= 17 else ExcelError.NUM


def _free_days(holidays: Grid | None, weekend: frozenset[int], calendar: Calendar) -> frozenset[int] | ExcelError:
    """The holidays that are no days of the weekend."""
    found = set()
    for cell in holidays.cells() if holidays is not None else ():
        if isinstance(cell, str):
            cell = text_number(cell, calendar=replace(calendar, origin=0.0))
            if cell is None:
                return ExcelError.VALUE
        if isinstance(cell, (bool, ExcelError)):
            return cell if isinstance(cell, ExcelError) else ExcelError.VALUE
        if cell is not None and weekday_of(cell) not in weekend:
            found.add(math.floor(cell))
    return frozenset(found)


def _count_days(start: float, end: float, code: Cell, holidays: Grid | None, calendar: Calendar) -> float | ExcelError:
    weekend = _weekend(code)
    if isinstance(weekend, ExcelError):
        return weekend
    free = _free_days(holidays, weekend, calendar)
    if isinstance(free, ExcelError):
        return free
    if date_parts(start) is None or date_parts(end) is None:
        return ExcelError.NUM
    first, last = sorted((math.floor(start), math.floor(end)))
    weeks, rest = divmod(last - first + 1, 7)
    count = weeks * (7 - len(weekend)) + sum(weekday_of(last - back) not in weekend for back in range(rest))
    count -= sum(first <= item <= last for item in free)
    return float(count if start <= end else -count)


def _days_later(
    start: float, count: float, code: Cell, holidays: Grid | None, calendar: Calendar
) -> float | ExcelError:
    weekend = _weekend(code)
    if isinstance(weekend, ExcelError):
        return weekend
    free = _free_days(holidays, weekend, calendar)
    if isinstance(free, ExcelError):
        return free
    if len(weekend) == 7:
        return ExcelError.VALUE
    here, left, step = math.floor(start), abs(math.trunc(count)), 1 if count > 0 else -1
    if date_parts(here) is None or left > LAST:
        return ExcelError.NUM
    while left:
        here += step
        if date_parts(here) is None:
            return ExcelError.NUM
        left -= weekday_of(here) not in weekend and here not in free
    return float(here)


@plain(
    "NETWORKDAYS",
    booleans=False,
    examples={
        "NETWORKDAYS(DATE(2012,10,1),DATE(2013,3,1))": 110,
        "NETWORKDAYS(DATE(2012,10,1),DATE(2013,3,1),DATE(2012,11,22))": 109,
    },
)
def networkdays(start: Day, end: Day, holidays: Days | None = None, *, calendar: Calendar) -> float | ExcelError:
    """How many working days there are between two dates, both included."""
    return _count_days(start, end, 1.0, holidays, calendar)


@plain(
    "NETWORKDAYS.INTL",
    booleans=False,
    left_out_is_default=True,
    examples={
        "NETWORKDAYS.INTL(DATE(2006,1,1),DATE(2006,1,31))": 22,
        'NETWORKDAYS.INTL(DATE(2006,1,1),DATE(2006,2,1),"0010001",{38719;38733})': 20,
        'NETWORKDAYS.INTL(DATE(2006,1,1),DATE(2006,2,1),7,{"2006/1/2","2006/1/16"})': 22,
    },
)
def networkdays_intl(
    start: Day, end: Day, weekend: Cell = 1.0, holidays: Days | None = None, *, calendar: Calendar
) -> float | ExcelError:
    """How many working days there are between two dates, with other days off."""
    return _count_days(start, end, weekend, holidays, calendar)


@plain(
    "WORKDAY",
    booleans=False,
    examples={
        "WORKDAY(DATE(2008,10,1),151)": 39933,
        "WORKDAY(DATE(2008,10,1),151,{39778;39786;39834})": 39938,
    },
)
def workday(start: Day, count: float, holidays: Days | None = None, *, calendar: Calendar) -> Day | ExcelError:
    """The date some working days later."""
    return _days_later(start, count, 1.0, holidays, calendar)


@plain(
    "WORKDAY.INTL",
    booleans=False,
    left_out_is_default=True,
    examples={"WORKDAY.INTL(DATE(2012,1,1),90,11)": 41013, "WORKDAY.INTL(DATE(2012,1,1),30,17)": 40944},
)
def workday_intl(
    start: Day, count: float, weekend: Cell = 1.0, holidays: Days | None = None, *, calendar: Calendar
) -> Day | ExcelError:
    """The date some working days later, with other days off."""
    return _days_later(start, count, weekend, holidays, calendar)


# --- from texts -------------------------------------------------------------------------------------------


@plain("DATEVALUE", examples={'DATEVALUE("22-AUG-2011")': 40777, 'DATEVALUE("2011/02/23")': 40597})
def datevalue(text: str, *, calendar: Calendar) -> Day | ExcelError:
    """The serial number of a date in a text that means the same everywhere, or as the workbook shows it is meant."""
    found = date_in_text(text)
    if found is None:
        moment = moment_in_text(text)
        moment = moment_in_text(text, calendar.day_first()) if moment is None else moment
        if moment is not None:
            return ExcelError.VALUE if math.isnan(moment) else float(math.floor(moment))
        if without_year(text):
            raise FormulaError("reads a date without its year, which is that of today", remedy="Use DATE")
        if re.search(r"\d[-/. ]\d", text):
            raise FormulaError("reads a date whose order of day and month differs by country", remedy="Use DATE")
        return ExcelError.VALUE
    return ExcelError.VALUE if math.isnan(found) else found


@plain("TIMEVALUE", examples={'TIMEVALUE("2:24 AM")': 0.1, 'TIMEVALUE("22-Aug-2011 6:35 AM")': 0.274305555555556})
def timevalue(text: str, *, calendar: Calendar) -> float | ExcelError:
    """The fraction of a day of a time in a text."""
    found = time_in_text(text)
    if found is None and (moment := moment_in_text(text, calendar.day_first())) is not None:
        found = moment if math.isnan(moment) else time_in_text(text.strip().partition(" ")[2]) or 0.0
    if found is None:
        if ":" in text:
            raise FormulaError("reads a time that is written in an unusual way", remedy="Use TIME")
        return ExcelError.VALUE
    return ExcelError.VALUE if math.isnan(found) else found
