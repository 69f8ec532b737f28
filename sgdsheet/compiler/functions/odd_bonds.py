"""Bonds whose first or last coupon period is longer or shorter than the others."""

from __future__ import annotations

import torch
from torch import Tensor

from sgdsheet.compiler.functions.bonds import EARLY, coupon_factors
from sgdsheet.compiler.functions.day_counts import (
    FREQUENCIES,
    coupon_dates,
    coupon_days,
    coupons_left,
    days_between,
    is_day,
    is_month_end,
    months_later,
    parts_of,
    us_days,
    whole,
)
from sgdsheet.compiler.functions.formulas import failing, inside
from sgdsheet.compiler.functions.roots import newton
from sgdsheet.compiler.functions.scheduled import COUPONS, Terms, giving, scheduled
from sgdsheet.sheet.workbook import ExcelError

_ODD_FIRST = "DATE(2008,11,11),DATE(2021,3,1),DATE(2008,10,15),DATE(2009,3,1)"
_ODD_LAST = "DATE(2008,2,7),DATE(2008,6,15),DATE(2007,10,15)"


def _positive(start: int, end: int, basis: int) -> int:
    return max(days_between(start, end, basis), 0)


@giving(5)
def _odd_first(settlement: float, maturity: float, issue: float, first: float, frequency: float, basis: float) -> Terms:
    """Coupons after the first one, periods until it, its share of a coupon, the share that has accrued, coupons a
    year."""
    at, last, start, paid = (whole(item) for item in (settlement, maturity, issue, first))
    coupons, way = whole(frequency), whole(basis)
    if coupons not in FREQUENCIES or not 0 <= way <= 4 or not all(map(is_day, (at, last, start, paid))):
        return ExcelError.NUM
    if not start < at < paid < last or coupon_dates(paid, last, coupons)[0] != paid:
        return ExcelError.NUM
    days = coupon_days(at, paid, coupons, way)
    if _positive(start, paid, way) < days:
        shares = (_positive(at, paid, way), _positive(start, paid, way), _positive(start, at, way))
        ahead, whole_coupon, accrued = (item / days for item in shares)
        return float(coupons_left(at, last, coupons) - 1), ahead, whole_coupon, accrued, float(coupons)
    periods, late, whole_coupon, accrued = coupons_left(start, paid, coupons), paid, 0.0, 0.0
    for number in range(periods, 0, -1):
        early = months_later(late, -(12 // coupons), to_end=False)
        length = _positive(early, late, way) if way == 1 else days
        whole_coupon += (length if number > 1 else _positive(start, late, way)) / length
        accrued += _positive(max(start, early), min(at, late), way) / length
        late = early
    before, after = coupon_dates(at, paid, coupons)
    left = _positive(at, after, way) if way in (2, 3) else days - days_between(before, at, way)
    ahead = left / days + _periods_between(at, paid, coupons)
    return float(coupons_left(paid, last, coupons)), ahead, whole_coupon, accrued, float(coupons)


def _periods_between(settlement: int, first: int, frequency: int) -> int:
    """Whole coupon periods between a settlement and a coupon date."""
    months, to_end = 12 // frequency, is_month_end(first)
    if not to_end:
        _, month, day = parts_of(first)
        longer = month != 2 and day > 28
        to_end = longer and is_month_end(settlement)
    start = months_later(settlement, 0, to_end=to_end)
    found = int(settlement < start)
    here = months_later(start, months, to_end=to_end)
    while here < first:
        here = months_later(here, months, to_end=to_end)
        found += 1
    return found


def _worth(
    coupon: Tensor,
    rate: Tensor,
    redemption: Tensor,
    count: Tensor,
    ahead: Tensor,
    share: Tensor,
    numbers: Tensor,
) -> tuple[Tensor, Tensor]:
    """The price with what has accrued, of a first coupon that is a share of the others; and its derivative in the rate
    of a period."""
    total, timed, _ = coupon_factors(rate, count, ahead + 1.0, numbers)
    growth = torch.log1p(rate)
    one, last = torch.exp(-ahead * growth), torch.exp(-(ahead + count) * growth)
    worth = redemption * last + coupon * share * one + coupon * total
    timed = redemption * last * (ahead + count) + coupon * share * one * ahead + coupon * timed
    return worth, -timed / (1.0 + rate)


@scheduled(
    "ODDFPRICE",
    schedule=_odd_first,
    fixed=[0, 1, 2, 3, 7, 8],
    optional=[0.0],
    periods=COUPONS,
    examples={f"ODDFPRICE({_ODD_FIRST},0.0785,0.0625,100,2,1)": 113.597717474079},
)
def oddfprice(
    rate: Tensor,
    yielded: Tensor,
    redemption: Tensor,
    count: Tensor,
    ahead: Tensor,
    share: Tensor,
    accrued: Tensor,
    frequency: Tensor,
    *,
    numbers: Tensor,
) -> Tensor:
    """The price of a bond with an odd first period."""
    possible = (rate >= 0.0) & (yielded >= 0.0) & (redemption > 0.0)
    coupon = 100.0 * rate / frequency
    worth, _ = _worth(coupon, inside(possible, yielded) / frequency, redemption, count, ahead, share, numbers)
    return failing(~possible, worth - coupon * accrued)


@scheduled(
    "ODDFYIELD",
    schedule=_odd_first,
    fixed=[0, 1, 2, 3, 7, 8],
    optional=[0.0],
    periods=COUPONS,
    inexact=EARLY,
    examples={f"ODDFYIELD({_ODD_FIRST},0.0575,84.5,100,2,0)": 0.0772455415972},
)
def oddfyield(
    rate: Tensor,
    price: Tensor,
    redemption: Tensor,
    count: Tensor,
    ahead: Tensor,
    share: Tensor,
    accrued: Tensor,
    frequency: Tensor,
    *,
    numbers: Tensor,
) -> Tensor:
    """The yield of a bond with an odd first period."""
    possible = (rate >= 0.0) & (price > 0.0) & (redemption > 0.0)
    coupon, redemption = 100.0 * rate / frequency, inside(possible, redemption, 100.0)
    paid = inside(possible, price, 100.0) + coupon * accrued

    def value(found: Tensor, amount: Tensor, end: Tensor, wanted: Tensor) -> tuple[Tensor, Tensor]:
        worth, slope = _worth(amount, found, end, count, ahead, share, numbers)
        return worth - wanted, slope

    start = 0.05 / frequency + (paid + redemption).detach() * 0.0
    return failing(~possible, newton(value, start, (coupon, redemption, paid)) * frequency)


# --- an odd last period -----------------------------------------------------------------------------------


@giving(4)
def _odd_last(settlement: float, maturity: float, interest: float, frequency: float, basis: float) -> Terms:
    """Coupons in the last period, those that have accrued, those that are left, coupons a year."""
    at, last, start = whole(settlement), whole(maturity), whole(interest)
    coupons, way = whole(frequency), whole(basis)
    if coupons not in FREQUENCIES or not 0 <= way <= 4 or not all(map(is_day, (at, last, start))):
        return ExcelError.NUM
    if not start < at < last:
        return ExcelError.NUM
    periods, early = coupons_left(start, last, coupons), start
    in_all = behind = left = 0.0
    for number in range(1, periods + 1):
        late = months_later(early, 12 // coupons, to_end=False)
        length = _long(early, late, way)
        days = length if number < periods else _long(early, last, way)
        in_all += days / length
        behind += (days if late < at else _positive(early, at, way) if early < at else 0) / length
        left += _positive(max(at, early), min(last, late), way) / length
        early = late
    return in_all, behind, left, float(coupons)


def _long(start: int, end: int, basis: int) -> int:
    """Days of a coupon period."""
    return max(us_days(start, end, both=True), 0) if basis == 0 else _positive(start, end, basis)


@scheduled(
    "ODDLPRICE",
    schedule=_odd_last,
    fixed=[0, 1, 2, 6, 7],
    optional=[0.0],
    examples={f"ODDLPRICE({_ODD_LAST},0.0375,0.0405,100,2,0)": 99.8782860147213},
)
def oddlprice(
    rate: Tensor, yielded: Tensor, redemption: Tensor, whole_: Tensor, behind: Tensor, left: Tensor, frequency: Tensor
) -> Tensor:
    """The price of a bond with an odd last period."""
    possible = (rate >= 0.0) & (yielded >= 0.0) & (redemption > 0.0)
    coupon = 100.0 * rate / frequency
    found = (redemption + coupon * whole_) / (1.0 + left * inside(possible, yielded) / frequency)
    return failing(~possible, found - behind * coupon)


@scheduled(
    "ODDLYIELD",
    schedule=_odd_last,
    fixed=[0, 1, 2, 6, 7],
    optional=[0.0],
    examples={
        "ODDLYIELD(DATE(2008,4,20),DATE(2008,6,15),DATE(2007,12,24),0.0375,99.875,100,2,0)": 0.0451922356291692,
    },
)
def oddlyield(
    rate: Tensor, price: Tensor, redemption: Tensor, whole_: Tensor, behind: Tensor, left: Tensor, frequency: Tensor
) -> Tensor:
    """The yield of a bond with an odd last period."""
    possible = (rate >= 0.0) & (price > 0.0) & (redemption > 0.0)
    coupon = 100.0 * rate / frequency
    paid = inside(possible, price, 100.0) + behind * coupon
    return failing(~possible, (redemption + coupon * whole_ - paid) / paid * frequency / left)
