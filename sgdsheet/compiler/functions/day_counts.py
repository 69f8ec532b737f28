"""Days between dates and coupon dates, as Excel's functions of securities count them.

A basis is a way to count: 0 US (NASD) 30/360, 1 actual/actual, 2 actual/360, 3 actual/365, 4 European 30/360. Excel's
documentation leaves the ends of months open; the rules here are those of the free F# library ExcelFinancialFunctions
(Bolognese, 2009), which records what Excel gives for hundreds of thousands of arguments.
"""

from __future__ import annotations

import math

from sgdsheet.sheet.excel_calendar import date_parts, days_in_month, is_leap, serial_of

FREQUENCIES = (1, 2, 4)
"""Coupons a year."""


def is_day(serial: float) -> bool:
    """Whether a number is a date."""
    return date_parts(serial) is not None


def parts_of(serial: int) -> tuple[int, int, int]:
    """Year, month and day of a date that there is."""
    parts = date_parts(serial)
    assert parts is not None
    return parts


def is_month_end(serial: int) -> bool:
    year, month, day = parts_of(serial)
    return day == days_in_month(year, month)


def months_later(serial: int, months: int, *, to_end: bool) -> int:
    """A date some months later: the same day of the month (or its last one), or the last day of the month."""
    year, month, day = parts_of(serial)
    total = year * 12 + month - 1 + months
    year, month = total // 12, total % 12 + 1
    last = days_in_month(year, month)
    found = serial_of(year, month, last if to_end else min(day, last))
    if found is None:
        raise OverflowError("the date is beyond Excel's calendar")
    return found


def us_days(start: int, end: int, *, both: bool = False) -> int:
    """Days by the US rule of 30 days a month; `both` moves the end of a month at the end date whatever the start is."""
    (y1, m1, d1), (y2, m2, d2) = parts_of(start), parts_of(end)
    february = tuple(part[1] == 2 and part[2] == days_in_month(*part[:2]) for part in ((y1, m1, d1), (y2, m2, d2)))
    if february[1] and (february[0] or both):
        d2 = 30
    if d2 == 31 and (d1 >= 30 or both):
        d2 = 30
    if d1 == 31 or february[0]:
        d1 = 30
    return (y2 - y1) * 360 + (m2 - m1) * 30 + d2 - d1


def european_days(start: int, end: int) -> int:
    """Days by the European rule of 30 days a month."""
    (y1, m1, d1), (y2, m2, d2) = parts_of(start), parts_of(end)
    return (y2 - y1) * 360 + (m2 - m1) * 30 + min(d2, 30) - min(d1, 30)


def days_between(start: int, end: int, basis: int) -> int:
    """Days between two dates."""
    if basis == 0:
        return us_days(start, end)
    return european_days(start, end) if basis == 4 else end - start


def days_in_year(start: int, end: int, basis: int) -> float:
    """Days of a year; of actual years, those that the time between two dates touches, on the average."""
    if basis != 1:
        return 365.0 if basis == 3 else 360.0
    one, two = parts_of(start), parts_of(end)
    within = one[0] == two[0] or (two[0] == one[0] + 1 and one[1:] >= two[1:])
    if not within:
        years = range(one[0], two[0] + 1)
        return sum(366 if is_leap(year) else 365 for year in years) / len(years)
    if one[0] == two[0]:
        return 366.0 if is_leap(one[0]) else 365.0
    leap = (is_leap(one[0]) and one[1] <= 2) or (is_leap(two[0]) and two[1:] >= (2, 29))
    return 366.0 if leap else 365.0


# --- coupons ----------------------------------------------------------------------------------------------


def coupon_dates(settlement: int, maturity: int, frequency: int) -> tuple[int, int]:
    """The coupon dates before (or on) a settlement and after it, counted back from the maturity."""
    return _around(maturity, settlement, -(12 // frequency), to_end=is_month_end(maturity))


def _around(start: int, target: int, months: int, *, to_end: bool) -> tuple[int, int]:
    """The first date of a series that reaches a target, and the one before it. Each is counted from the one before it:
    a 31 that has become a 28 stays one, unless the series is of ends of months."""
    front = trailing = start
    while front > target if months < 0 else front < target:
        trailing, front = front, months_later(front, months, to_end=to_end)
    return front, trailing


def coupons_left(settlement: int, maturity: int, frequency: int) -> int:
    """How many coupons are paid between a settlement and the maturity."""
    before, _ = coupon_dates(settlement, maturity, frequency)
    one, two = parts_of(before), parts_of(maturity)
    return ((two[0] - one[0]) * 12 + two[1] - one[1]) * frequency // 12


def coupon_days(settlement: int, maturity: int, frequency: int, basis: int) -> float:
    """Days of the coupon period in which a settlement lies."""
    if basis == 1:
        before, after = coupon_dates(settlement, maturity, frequency)
        return float(after - before)
    return (365 if basis == 3 else 360) / frequency


def days_since_coupon(settlement: int, maturity: int, frequency: int, basis: int) -> float:
    """Days from the coupon date before a settlement."""
    return float(days_between(coupon_dates(settlement, maturity, frequency)[0], settlement, basis))


def days_to_coupon(settlement: int, maturity: int, frequency: int, basis: int) -> float:
    """Days from a settlement to the next coupon date."""
    before, after = coupon_dates(settlement, maturity, frequency)
    if basis == 0:
        return float(us_days(before, after, both=True) - us_days(before, settlement))
    return float(days_between(settlement, after, basis))


def whole(number: float) -> int:
    """A date, basis or frequency without its fraction."""
    return math.floor(number)
