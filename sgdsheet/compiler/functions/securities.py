"""Securities without coupons: discounted ones, those that pay all interest at their end, and treasury bills."""

from __future__ import annotations

import torch
from torch import Tensor

from sgdsheet.compiler.functions.day_counts import days_between, days_in_year, is_day, whole
from sgdsheet.compiler.functions.formulas import failing, inside
from sgdsheet.compiler.functions.scheduled import Terms, giving, scheduled
from sgdsheet.sheet.workbook import ExcelError


@giving(1)
def _term(settlement: float, maturity: float, basis: float) -> Terms:
    """The years between two dates, by a way to count days."""
    first, last, way = whole(settlement), whole(maturity), whole(basis)
    if not 0 <= way <= 4 or not is_day(first) or not is_day(last) or first >= last:
        return ExcelError.NUM
    return (days_between(first, last, way) / days_in_year(first, last, way),)


@scheduled(
    "DISC",
    schedule=_term,
    fixed=[0, 1, 4],
    optional=[0.0],
    examples={"DISC(DATE(2018,7,1),DATE(2048,1,1),97.975,100,1)": 0.000686384169121348},
)
def disc(price: Tensor, redemption: Tensor, years: Tensor) -> Tensor:
    """The discount rate of a security."""
    possible = (price > 0.0) & (redemption > 0.0)
    return failing(~possible, (1.0 - price / inside(possible, redemption)) / years)


@scheduled(
    "INTRATE",
    schedule=_term,
    fixed=[0, 1, 4],
    optional=[0.0],
    examples={"INTRATE(DATE(2008,2,15),DATE(2008,5,15),1000000,1014420,2)": 0.05768},
)
def intrate(invested: Tensor, redemption: Tensor, years: Tensor) -> Tensor:
    """The interest rate of a security that is paid for at once."""
    possible = (invested > 0.0) & (redemption > 0.0)
    return failing(~possible, (redemption / inside(possible, invested) - 1.0) / years)


@scheduled(
    "RECEIVED",
    schedule=_term,
    fixed=[0, 1, 4],
    optional=[0.0],
    examples={"RECEIVED(DATE(2008,2,15),DATE(2008,5,15),1000000,0.0575,2)": 1014584.6544071021},
)
def received(invested: Tensor, discount: Tensor, years: Tensor) -> Tensor:
    """What a fully invested security pays at its end."""
    possible = (invested > 0.0) & (discount > 0.0) & (discount * years < 1.0)
    return failing(~possible, invested / (1.0 - inside(possible, discount * years, 0.5)))


@scheduled(
    "PRICEDISC",
    schedule=_term,
    fixed=[0, 1, 4],
    optional=[0.0],
    examples={"PRICEDISC(DATE(2008,2,16),DATE(2008,3,1),0.0525,100,2)": 99.7958333333333},
)
def pricedisc(discount: Tensor, redemption: Tensor, years: Tensor) -> Tensor:
    """The price of a discounted security."""
    possible = (discount > 0.0) & (redemption > 0.0)
    return failing(~possible, redemption * (1.0 - discount * years))


@scheduled(
    "YIELDDISC",
    schedule=_term,
    fixed=[0, 1, 4],
    optional=[0.0],
    examples={"YIELDDISC(DATE(2008,2,16),DATE(2008,3,1),99.795,100,2)": 0.0528225719868},
)
def yielddisc(price: Tensor, redemption: Tensor, years: Tensor) -> Tensor:
    """The yield of a discounted security."""
    possible = (price > 0.0) & (redemption > 0.0)
    return failing(~possible, (redemption / inside(possible, price) - 1.0) / years)


# --- with interest at maturity ----------------------------------------------------------------------------


@giving(3)
def _issued(settlement: float, maturity: float, issue: float, basis: float) -> Terms:
    """Years from the issue to the maturity, from the issue to the settlement, and from there to the maturity."""
    at, last, first, way = whole(settlement), whole(maturity), whole(issue), whole(basis)
    if not 0 <= way <= 4 or not all(map(is_day, (at, last, first))) or not first <= at < last:
        return ExcelError.NUM
    year = days_in_year(first, at, way)
    life, before = days_between(first, last, way), days_between(first, at, way)
    return life / year, before / year, (life - before) / year


@scheduled(
    "PRICEMAT",
    schedule=_issued,
    fixed=[0, 1, 2, 5],
    optional=[0.0],
    examples={"PRICEMAT(DATE(2008,2,15),DATE(2008,4,13),DATE(2007,11,11),0.061,0.061,0)": 99.98449888},
)
def pricemat(rate: Tensor, yielded: Tensor, life: Tensor, before: Tensor, left: Tensor) -> Tensor:
    """The price of a security that pays all its interest at maturity."""
    possible = (rate >= 0.0) & (yielded >= 0.0)
    found = (100.0 + life * rate * 100.0) / (1.0 + left * inside(possible, yielded)) - before * rate * 100.0
    return failing(~possible, found)


@scheduled(
    "YIELDMAT",
    schedule=_issued,
    fixed=[0, 1, 2, 5],
    optional=[0.0],
    examples={"YIELDMAT(DATE(2008,3,15),DATE(2008,11,3),DATE(2007,11,8),0.0625,100.0123,0)": 0.060954333691538},
)
def yieldmat(rate: Tensor, price: Tensor, life: Tensor, before: Tensor, left: Tensor) -> Tensor:
    """The yield of a security that pays all its interest at maturity."""
    possible = (rate >= 0.0) & (price > 0.0)
    paid = inside(possible, price) / 100.0 + before * rate
    return failing(~possible, (1.0 + life * rate - paid) / inside(paid != 0.0, paid) / left)


@giving(1)
def _accrued_at_end(issue: float, settlement: float, basis: float) -> Terms:
    return _term(issue, settlement, basis)


@scheduled(
    "ACCRINTM",
    schedule=_accrued_at_end,
    fixed=[0, 1, 4],
    optional=[1000.0, 0.0],
    examples={"ACCRINTM(DATE(2008,4,1),DATE(2008,6,15),0.1,1000,3)": 20.5479452054795},
)
def accrintm(rate: Tensor, par: Tensor, years: Tensor) -> Tensor:
    """The interest that has accrued of a security that pays all its interest at maturity."""
    return failing(~((rate > 0.0) & (par > 0.0)), par * rate * years)


# --- treasury bills ---------------------------------------------------------------------------------------


@giving(1)
def _bill(settlement: float, maturity: float) -> Terms:
    """The days of a treasury bill, of which there are at most those of a year."""
    first, last = whole(settlement), whole(maturity)
    if not is_day(first) or not is_day(last) or not 0 < last - first <= 366:
        return ExcelError.NUM
    if last - first == 366 and days_in_year(first, last, 1) != 366.0:
        return ExcelError.NUM
    return (float(last - first),)


@scheduled(
    "TBILLPRICE",
    schedule=_bill,
    fixed=[0, 1],
    examples={"TBILLPRICE(DATE(2008,3,31),DATE(2008,6,1),0.09)": 98.45},
)
def tbillprice(discount: Tensor, days: Tensor) -> Tensor:
    """The price of a treasury bill."""
    possible = (discount > 0.0) & (discount * days < 360.0)
    return failing(~possible, 100.0 * (1.0 - discount * days / 360.0))


@scheduled(
    "TBILLYIELD",
    schedule=_bill,
    fixed=[0, 1],
    examples={"TBILLYIELD(DATE(2008,3,31),DATE(2008,6,1),98.45)": 0.0914169629},
)
def tbillyield(price: Tensor, days: Tensor) -> Tensor:
    """The yield of a treasury bill."""
    possible = price > 0.0
    price = inside(possible, price)
    return failing(~possible, (100.0 - price) / price * 360.0 / days)


@scheduled(
    "TBILLEQ",
    schedule=_bill,
    fixed=[0, 1],
    examples={"TBILLEQ(DATE(2008,3,31),DATE(2008,6,1),0.0914)": 0.094151494},
)
def tbilleq(discount: Tensor, days: Tensor) -> Tensor:
    """The yield of a treasury bill like that of a bond; of more than half a year, with interest paid twice."""
    price = 1.0 - discount * days / 360.0
    long = days > 182.0
    share = days / torch.where(days == 366.0, 366.0, 365.0)
    half = torch.where(long, 2.0 * share - 1.0, 1.0)
    root = share * share - half * (1.0 - 1.0 / inside(price > 0.0, price))
    possible = (discount > 0.0) & (price > 0.0) & (~long | (root >= 0.0))
    short = 365.0 * discount / inside(possible, 360.0 - discount * days)
    twice = 2.0 * (torch.sqrt(inside(possible & (root > 0.0), root)) - share) / half
    return failing(~possible, torch.where(long, twice, short))
