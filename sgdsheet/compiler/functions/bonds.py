"""Bonds with coupons: prices, yields, durations, accrued interest.

A price is a sum of discounted coupons. A yield is the root of an equation: it is found without derivatives, and its
derivative is that of the equation (implicit differentiation).
"""

from __future__ import annotations

import torch
from torch import Tensor

from sgdsheet.compiler.functions.day_counts import (
    FREQUENCIES,
    coupon_days,
    coupons_left,
    days_between,
    days_since_coupon,
    is_day,
    is_month_end,
    months_later,
    us_days,
    whole,
)
from sgdsheet.compiler.functions.formulas import failing, inside
from sgdsheet.compiler.functions.roots import newton
from sgdsheet.compiler.functions.scheduled import COUPONS, Terms, giving, scheduled
from sgdsheet.errors import FormulaError
from sgdsheet.sheet.workbook import ExcelError

EARLY = 1e-7
"""How far Excel's yields are from the exact ones, relatively: it stops its search early."""

_PERIODS = "DATE(2008,2,15),DATE(2017,11,15)"
_LIFE = "DATE(2018,7,1),DATE(2048,1,1)"


def _is_possible(first: int, last: int, coupons: int, way: int) -> bool:
    return is_day(first) and is_day(last) and first < last and coupons in FREQUENCIES and 0 <= way <= 4


@giving(4)
def _coupons(settlement: float, maturity: float, frequency: float, basis: float) -> Terms:
    """How many coupons are left, the shares of the period until the next and since the last one, coupons a year."""
    first, last, coupons, way = whole(settlement), whole(maturity), whole(frequency), whole(basis)
    if not _is_possible(first, last, coupons, way):
        return ExcelError.NUM
    days, before = coupon_days(first, last, coupons, way), days_since_coupon(first, last, coupons, way)
    return float(coupons_left(first, last, coupons)), (days - before) / days, before / days, float(coupons)


def coupon_factors(rate: Tensor, count: Tensor, start: Tensor, numbers: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Discount factors of `count` payments, the first one `start` periods away: their sum, their sum times when they
    come, and the last one. `rate` is that of a period, and `numbers` are 0, 1, … for the longest bond."""
    growth = torch.log1p(rate)
    times = torch.unsqueeze(start, -1) + numbers
    factors = torch.exp(-times * torch.unsqueeze(growth, -1))
    there = numbers < torch.unsqueeze(count, -1)
    kept = torch.where(there, factors, 0.0)
    return torch.sum(kept, -1), torch.sum(kept * times, -1), torch.exp(-(start + count - 1.0) * growth)


def _price(
    coupon: Tensor, rate: Tensor, redemption: Tensor, count: Tensor, ahead: Tensor, behind: Tensor, numbers: Tensor
) -> Tensor:
    """The price without what has accrued, of coupons and a rate of a period."""
    total, _, last = coupon_factors(rate, count, ahead, numbers)
    single = (redemption + coupon) / (1.0 + ahead * rate)
    return torch.where(count == 1.0, single, redemption * last + coupon * total) - coupon * behind


@scheduled(
    "PRICE",
    schedule=_coupons,
    fixed=[0, 1, 5, 6],
    optional=[0.0],
    periods=COUPONS,
    examples={
        f"PRICE({_PERIODS},0.0575,0.065,100,2,0)": 94.6343616213221,
        f"PRICE({_PERIODS},0.0575,-0.065,100,2,0)": "#NUM!",
    },
)
def price(
    rate: Tensor,
    yielded: Tensor,
    redemption: Tensor,
    count: Tensor,
    ahead: Tensor,
    behind: Tensor,
    frequency: Tensor,
    *,
    numbers: Tensor,
) -> Tensor:
    """The price of a bond for 100 of its face value."""
    possible = (rate >= 0.0) & (yielded >= 0.0) & (redemption > 0.0)
    coupon = 100.0 * rate / frequency
    found = _price(coupon, inside(possible, yielded) / frequency, redemption, count, ahead, behind, numbers)
    return failing(~possible, found)


@scheduled(
    "YIELD",
    schedule=_coupons,
    fixed=[0, 1, 5, 6],
    optional=[0.0],
    periods=COUPONS,
    inexact=EARLY,
    examples={"YIELD(DATE(2008,2,15),DATE(2016,11,15),0.0575,95.04287,100,2,0)": 0.0650000068807},
)
def yield_(
    rate: Tensor,
    price: Tensor,
    redemption: Tensor,
    count: Tensor,
    ahead: Tensor,
    behind: Tensor,
    frequency: Tensor,
    *,
    numbers: Tensor,
) -> Tensor:
    """The yield of a bond."""
    possible = (rate >= 0.0) & (price > 0.0) & (redemption > 0.0)
    coupon, price = 100.0 * rate / frequency, inside(possible, price, 100.0)
    redemption = inside(possible, redemption, 100.0)
    paid = price + behind * coupon
    single = (redemption + coupon - paid) / paid / ahead * frequency

    def value(found: Tensor, *given: Tensor) -> tuple[Tensor, Tensor]:
        amount, end, wanted = given
        total, timed, last = coupon_factors(found, count, ahead, numbers)
        worth = end * last + amount * total - wanted
        return worth, -(end * last * (ahead + count - 1.0) + amount * timed) / (1.0 + found)

    start = 0.05 / frequency + (price + coupon).detach() * 0.0
    several = newton(value, start, (coupon, redemption, paid))
    return failing(~possible, torch.where(count == 1.0, single, several * frequency))


def _duration(
    rate: Tensor, yielded: Tensor, count: Tensor, ahead: Tensor, frequency: Tensor, numbers: Tensor
) -> Tensor:
    """Macaulay's duration in years."""
    total, timed, last = coupon_factors(yielded / frequency, count, ahead, numbers)
    coupon = 100.0 * rate / frequency
    worth = 100.0 * last + coupon * total
    return (100.0 * last * (ahead + count - 1.0) + coupon * timed) / worth / frequency


@scheduled(
    "DURATION",
    schedule=_coupons,
    fixed=[0, 1, 4, 5],
    optional=[0.0],
    periods=COUPONS,
    examples={f"DURATION({_LIFE},0.08,0.09,2,1)": 10.9191452815919},
)
def duration(
    rate: Tensor, yielded: Tensor, count: Tensor, ahead: Tensor, behind: Tensor, frequency: Tensor, *, numbers: Tensor
) -> Tensor:
    """Macaulay's duration of a bond, in years."""
    possible = (rate >= 0.0) & (yielded >= 0.0)
    return failing(~possible, _duration(rate, inside(possible, yielded), count, ahead, frequency, numbers))


@scheduled(
    "MDURATION",
    schedule=_coupons,
    fixed=[0, 1, 4, 5],
    optional=[0.0],
    periods=COUPONS,
    examples={"MDURATION(DATE(2008,1,1),DATE(2016,1,1),0.08,0.09,2,1)": 5.73566981391884},
)
def mduration(
    rate: Tensor, yielded: Tensor, count: Tensor, ahead: Tensor, behind: Tensor, frequency: Tensor, *, numbers: Tensor
) -> Tensor:
    """The modified duration of a bond, in years."""
    possible = (rate >= 0.0) & (yielded >= 0.0)
    yielded = inside(possible, yielded)
    found = _duration(rate, yielded, count, ahead, frequency, numbers) / (1.0 + yielded / frequency)
    return failing(~possible, found)


# --- accrued interest -------------------------------------------------------------------------------------


@giving(1)
def _accrued(issue: float, first: float, settlement: float, frequency: float, basis: float, from_issue: float) -> Terms:
    """The coupons that have accrued, divided by the coupons a year."""
    start, next_, at = whole(issue), whole(first), whole(settlement)
    coupons, way = whole(frequency), whole(basis)
    if not _is_possible(start, at, coupons, way) or not is_day(next_):
        return ExcelError.NUM
    if at > next_:
        raise FormulaError(
            "accrues interest beyond the first coupon date, where programs differ",
            remedy="Give the next coupon date as the first one",
        )
    months, to_end = 12 // coupons, is_month_end(next_)
    before = months_later(next_, -months, to_end=to_end)
    total = days_between(max(start, before), at, way) / coupon_days(before, next_, coupons, way)
    while before > start:
        after, before = before, months_later(before, -months, to_end=to_end)
        if start <= before:
            total += 1.0 if from_issue else 0.0
        else:
            total += _part(start, before, after, coupons, way)
    return (total / coupons,)


def _part(start: int, before: int, after: int, frequency: int, basis: int) -> float:
    """The share of a coupon period that is left at a date within it."""
    if basis == 0:
        return us_days(start, after) / us_days(before, after, both=True)
    if basis == 3:
        return (after - start) * frequency / 365
    whole_period = us_days(before, after) if basis == 2 else days_between(before, after, basis)
    return days_between(start, after, basis) / whole_period


@scheduled(
    "ACCRINT",
    schedule=_accrued,
    fixed=[0, 1, 2, 5, 6, 7],
    optional=[0.0, 1.0],
    examples={
        "ACCRINT(DATE(2008,3,1),DATE(2008,8,31),DATE(2008,5,1),0.1,1000,2,0)": 16.6666666666667,
        "ACCRINT(DATE(2008,3,5),DATE(2008,8,31),DATE(2008,5,1),0.1,1000,2,0,0)": 15.5555555555556,
        "ACCRINT(DATE(2008,4,5),DATE(2008,8,31),DATE(2008,5,1),0.1,1000,2,0,1)": 7.22222222222222,
    },
)
def accrint(rate: Tensor, par: Tensor, share: Tensor) -> Tensor:
    """The interest that has accrued since a security was issued."""
    return failing(~((rate > 0.0) & (par > 0.0)), par * rate * share)
