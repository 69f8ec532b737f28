"""Depreciation by the French accounting system, with a first period that may be short.

The rules that Excel's documentation leaves open are those of ExcelFinancialFunctions, see `day_counts`.
"""

from __future__ import annotations

import math

from sgdsheet.compiler.functions.day_counts import days_between, is_day, parts_of, whole
from sgdsheet.compiler.functions.plain import plain
from sgdsheet.sheet.excel_calendar import is_leap, serial_of
from sgdsheet.sheet.workbook import ExcelError

_ASSET = "2400,DATE(2008,8,19),DATE(2008,12,31),300"


def _without_leap_day(day: int, basis: int) -> int:
    """The 28 February in the place of the 29 of a leap year, where actual days are counted."""
    year, month, number = parts_of(day)
    if basis in (1, 3) and is_leap(year) and month == 2 and number >= 28:
        return serial_of(year, 2, 28) or day
    return day


def _is_possible(cost: float, bought: int, first: int, salvage: float, period: float, rate: float, basis: int) -> bool:
    dates = is_day(bought) and is_day(first) and bought < first
    return dates and 0 <= salvage < cost and period >= 0 and rate > 0 and basis in (0, 1, 3, 4)


def _first(cost: float, bought: int, first: int, salvage: float, rate: float, basis: int) -> tuple[float, bool]:
    """The depreciation of the first period, and whether that period is a part of a year."""
    year = (366 if is_leap(parts_of(bought)[0]) else 365) if basis == 1 else 365 if basis == 3 else 360
    days = days_between(_without_leap_day(bought, basis), _without_leap_day(first, basis), basis)
    found = days / year * rate * cost
    return min(found or cost * rate, cost - salvage), bool(found)


@plain("AMORLINC", dates=True, booleans=False, examples={f"AMORLINC({_ASSET},1,0.15,1)": 360})
def amorlinc(
    cost: float, bought: float, first: float, salvage: float, period: float, rate: float, basis: float = 0.0
) -> float | ExcelError:
    """Depreciation of a period, in equal parts."""
    start, end, way = whole(bought), whole(first), whole(basis)
    if not _is_possible(cost, start, end, salvage, period, rate, way):
        return ExcelError.NUM
    if period > math.ceil(1 / rate):
        return 0.0
    found, _ = _first(cost, start, end, salvage, rate, way)
    left = cost - salvage - found
    for _ in range(math.floor(period)):
        found = min(rate * cost, left)
        left -= found
    return found


def _rounded(number: float) -> float:
    """A number rounded half up to a whole one, after its thirteenth digit."""
    return math.floor(round(number, 13) + 0.5)


@plain(
    "AMORDEGRC",
    dates=True,
    booleans=False,
    examples={
        f"AMORDEGRC({_ASSET},1,0.15,1)": 776,
        "AMORDEGRC(100,DATE(1998,2,28),DATE(2000,2,29),10,0,0.15,0)": 75,
        "AMORDEGRC(100,DATE(1998,2,28),DATE(2000,2,29),10,2,0.15,0)": 6,
        "AMORDEGRC(100,DATE(1998,2,28),DATE(2000,2,29),10,1,0.3,1)": 5,
        "AMORDEGRC(100,DATE(1998,2,28),DATE(2000,2,29),10,10,0.07,4)": 2,
        "AMORDEGRC(100,DATE(1998,2,28),DATE(2000,2,29),50,1,0.15,3)": 19,
    },
)
def amordegrc(
    cost: float, bought: float, first: float, salvage: float, period: float, rate: float, basis: float = 0.0
) -> float | ExcelError:
    """Depreciation of a period in whole units, faster for assets that live long."""
    start, end, way = whole(bought), whole(first), whole(basis)
    if not _is_possible(cost, start, end, salvage, period, rate, way):
        return ExcelError.NUM
    years = 1 / rate
    if years <= 3 or 4 <= years <= 5:
        return ExcelError.NUM
    life = math.ceil(years)
    if period > life:
        return 0.0
    faster = rate * (2.5 if life > 6 else 2.0 if life >= 5 else 1.5)
    found, is_part = _first(cost, start, end, salvage, faster, way)
    found = _rounded(found)
    left, life = cost - found, life + is_part
    for number in range(2, math.floor(period) + 2):
        last_but_one = life - number == 2
        found = (0.5 if last_but_one else faster) * left if left >= salvage else 0.0
        faster = 1.0 if last_but_one else faster
        left -= found
    return _rounded(found)
