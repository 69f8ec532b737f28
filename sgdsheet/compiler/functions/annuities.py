"""Loans and annuities: payments, present and future values, interest and principal.

Money that is received is positive, money that is paid negative. All agree on

    present · (1+rate)^n + payment · (1 + rate·due) · ((1+rate)^n - 1) / rate + future = 0

where `due` is 1 if payments are made at the beginning of each period.
"""

from __future__ import annotations

import torch
from torch import Tensor

from sgdsheet.compiler.functions.formulas import ZERO, failing, formula, inside
from sgdsheet.compiler.ir.values import Fault

_SMALL = 1e-9
"""A rate below which the series of the annuity's factor is exact."""

_LOAN = "0.08/12,10,10000"


def growth(rate: Tensor, periods: Tensor) -> Tensor:
    """(1+rate)^periods."""
    return torch.exp(periods * torch.log1p(rate))


def annuity(rate: Tensor, periods: Tensor) -> Tensor:
    """((1+rate)^n - 1) / rate: the number of periods where the rate is 0."""
    small = torch.abs(rate) < _SMALL
    safe = torch.where(small, 1.0, rate)
    series = periods + periods * (periods - 1.0) * 0.5 * torch.where(small, rate, 0.0)
    return torch.where(small, series, torch.expm1(periods * torch.log1p(safe)) / safe)


def _due(kind: Tensor) -> Tensor:
    """1 for payments at the beginning of a period, which any number but 0 says."""
    return torch.where(kind != 0.0, 1.0, 0.0)


def _payment(rate: Tensor, periods: Tensor, present: Tensor, future: Tensor, due: Tensor) -> Tensor:
    factor = (1.0 + rate * due) * annuity(rate, periods)
    possible = factor != 0.0
    found = -(present * growth(rate, periods) + future) / inside(possible, factor)
    return failing(~possible, found)


def _future(rate: Tensor, periods: Tensor, payment: Tensor, present: Tensor, due: Tensor) -> Tensor:
    return -(present * growth(rate, periods) + payment * (1.0 + rate * due) * annuity(rate, periods))


@formula(
    "PMT",
    fixed=[4],
    examples={
        f"PMT({_LOAN})": -1037.0320893591606,
        "PMT(0,10,1000)": -100,
        "PMT(0.06/12,216,0,50000)": -129.0811608679975,
    },
)
def pmt(rate: Tensor, periods: Tensor, present: Tensor, future: Tensor = ZERO, kind: Tensor = ZERO) -> Tensor:
    """The payment of a loan."""
    possible = rate > -1.0
    return failing(~possible, _payment(inside(possible, rate, 0.5), periods, present, future, _due(kind)))


@formula(
    "FV",
    fixed=[4],
    examples={
        "FV(0.06/12,10,-200,-500,1)": 2581.40337406,
        "FV(0,3,-5)": 15,
        "FV(0.12/12,12,-1000)": 12682.503013196976,
    },
)
def fv(rate: Tensor, periods: Tensor, payment: Tensor, present: Tensor = ZERO, kind: Tensor = ZERO) -> Tensor:
    """The future value of an investment."""
    possible = rate > -1.0
    return failing(~possible, _future(inside(possible, rate, 0.5), periods, payment, present, _due(kind)))


@formula("PV", fixed=[4], examples={"PV(0.08/12,12*20,500)": -59777.145851188, "PV(0,3,-5)": 15})
def pv(rate: Tensor, periods: Tensor, payment: Tensor, future: Tensor = ZERO, kind: Tensor = ZERO) -> Tensor:
    """The present value of an investment."""
    possible = rate > -1.0
    rate = inside(possible, rate, 0.5)
    found = -(future + payment * (1.0 + rate * _due(kind)) * annuity(rate, periods)) / growth(rate, periods)
    return failing(~possible, found)


@formula("NPER", fixed=[4], examples={"NPER(0.12/12,-100,-1000,10000,1)": 59.6738656742946, "NPER(0,-10,100)": 10})
def nper(rate: Tensor, payment: Tensor, present: Tensor, future: Tensor = ZERO, kind: Tensor = ZERO) -> Tensor:
    """The number of periods of an investment."""
    level = payment * (1.0 + rate * _due(kind)) + present * rate
    paid = level != 0.0
    share = (present + future) / inside(paid, level)
    small = torch.abs(rate) < _SMALL
    possible = paid & (rate > -1.0) & (share * rate < 1.0)
    series = -share * (1.0 + torch.where(small, rate, 0.0) * (share + 1.0) * 0.5)
    whole = possible & ~small
    found = torch.log1p(-inside(whole, share * rate, 0.5)) / torch.log1p(inside(whole, rate, 0.5))
    return failing(~possible, torch.where(small, series, found))


def _interest(rate: Tensor, period: Tensor, periods: Tensor, present: Tensor, future: Tensor, kind: Tensor) -> Tensor:
    """The interest in a period: that of what is left after the period before."""
    due = _due(kind)
    payment = _payment(rate, periods, present, future, due)
    before = _future(rate, period - 1.0 - due, payment, present + payment * due, due * 0.0)
    found = before * rate
    return torch.where((due == 1.0) & (period == 1.0), 0.0, found)


def _in_term(rate: Tensor, period: Tensor, periods: Tensor) -> Tensor:
    return (period >= 1.0) & (period < periods + 1.0) & (periods > 0.0) & (rate > -1.0)


@formula("IPMT", fixed=[1, 5], examples={"IPMT(0.1/12,1,3*12,8000)": -200 / 3, "IPMT(0.1,3,3,8000)": -292.447129909366})
def ipmt(
    rate: Tensor,
    period: Tensor,
    periods: Tensor,
    present: Tensor,
    future: Tensor = ZERO,
    kind: Tensor = ZERO,
) -> Tensor:
    """The interest that a payment of a loan holds."""
    possible = _in_term(rate, period, periods)
    return failing(~possible, _interest(inside(possible, rate, 0.5), period, periods, present, future, kind))


@formula(
    "PPMT",
    fixed=[1, 5],
    examples={"PPMT(0.1/12,1,2*12,2000)": -75.6231860083, "PPMT(0.08,10,10,200000)": -27598.0534624214},
)
def ppmt(
    rate: Tensor,
    period: Tensor,
    periods: Tensor,
    present: Tensor,
    future: Tensor = ZERO,
    kind: Tensor = ZERO,
) -> Tensor:
    """The part of a payment that pays the loan back."""
    possible = _in_term(rate, period, periods)
    rate = inside(possible, rate, 0.5)
    payment = _payment(rate, periods, present, future, _due(kind))
    return failing(~possible, payment - _interest(rate, period, periods, present, future, kind))


@formula("ISPMT", examples={"ISPMT(0.1/12,1,3*12,8000000)": -64814.81481481481})
def ispmt(rate: Tensor, period: Tensor, periods: Tensor, present: Tensor) -> Tensor:
    """The interest of a period where the principal is paid back evenly."""
    possible = periods != 0.0
    return failing(~possible, present * rate * (period / inside(possible, periods) - 1.0), Fault.DIV0)


@formula("EFFECT", fixed=[1], booleans=False, examples={"EFFECT(0.0525,4)": 0.053542667370758, "EFFECT(0,4)": "#NUM!"})
def effect(nominal_rate: Tensor, periods: Tensor) -> Tensor:
    """The effective interest rate of a year."""
    count = torch.trunc(periods)
    possible = (nominal_rate > 0.0) & (count >= 1.0)
    rate, count = inside(possible, nominal_rate), inside(possible, count)
    return failing(~possible, torch.expm1(count * torch.log1p(rate / count)))


@formula("NOMINAL", fixed=[1], booleans=False, examples={"NOMINAL(0.053543,4)": 0.052500319868356})
def nominal(effective: Tensor, periods: Tensor) -> Tensor:
    """The nominal interest rate of a year."""
    count = torch.trunc(periods)
    possible = (effective > 0.0) & (count >= 1.0)
    rate, count = inside(possible, effective), inside(possible, count)
    return failing(~possible, count * torch.expm1(torch.log1p(rate) / count))


@formula("RRI", examples={"RRI(96,10000,11000)": 0.0009933})
def rri(periods: Tensor, present: Tensor, future: Tensor) -> Tensor:
    """The interest rate by which an investment grows."""
    possible = (periods > 0.0) & (present != 0.0) & (future / inside(present != 0.0, present) > 0.0)
    ratio = inside(possible, future) / inside(possible, present)
    return failing(~possible, torch.expm1(torch.log(ratio) / inside(possible, periods)))


@formula("PDURATION", examples={"PDURATION(0.025,2000,2200)": 3.859866162622652})
def pduration(rate: Tensor, present: Tensor, future: Tensor) -> Tensor:
    """The periods until an investment has grown to a value."""
    possible = (rate > 0.0) & (present > 0.0) & (future > 0.0)
    rate, present, future = (inside(possible, item) for item in (rate, present, future))
    return failing(~possible, torch.log(future / present) / torch.log1p(rate))
