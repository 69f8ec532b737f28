"""Continuous distributions that take incomplete gamma and beta functions: gamma, χ², Student's t, F, beta.

Their inverses are in `quantiles`.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from sgdsheet.compiler.functions.formulas import ONE, ZERO, failing, formula, inside
from sgdsheet.compiler.functions.special import betainc, gammainc
from sgdsheet.compiler.ir.tracing import is_constant

_MOST_DEGREES = 1e10


def _gamma_below(x: Tensor, shape: Tensor, fixed: bool) -> Tensor:
    """The gamma distribution with scale 1, below x; 0 at 0."""
    positive = x > 0.0
    return torch.where(positive, gammainc(shape, inside(positive, x), fixed), 0.0)


def _gamma_density(x: Tensor, shape: Tensor) -> Tensor:
    """Its density; infinite at 0 for a shape below 1."""
    positive = x > 0.0
    safe = inside(positive, x)
    found = torch.exp((shape - 1.0) * torch.log(safe) - safe - torch.lgamma(shape))
    at_zero = torch.where(shape > 1.0, 0.0, torch.where(shape == 1.0, 1.0, torch.nan))
    return torch.where(positive, found, at_zero)


@formula(
    "GAMMA.DIST",
    also=["GAMMADIST"],
    flags=[3],
    examples={
        "GAMMA.DIST(10.00001131,9,2,TRUE)": 0.068094,
        "GAMMA.DIST(10.00001131,9,2,FALSE)": 0.032639,
        "GAMMA.DIST(-1,9,2,TRUE)": "#NUM!",
    },
)
def gamma_dist(x: Tensor, shape: Tensor, scale: Tensor, cumulative: bool) -> Tensor:
    """Gamma distribution."""
    fixed = is_constant(shape)
    possible = (x >= 0.0) & (shape > 0.0) & (scale > 0.0)
    if not fixed:
        shape = inside(possible, shape)
    x, scale = inside(possible, x), inside(possible, scale)
    if fixed:
        shape = torch.where(shape > 0.0, shape, 1.0)
    if cumulative:
        return failing(~possible, _gamma_below(x / scale, shape, fixed))
    return failing(~possible, _gamma_density(x / scale, shape) / scale)


def _degrees(freedom: Tensor) -> Tensor:
    return torch.trunc(freedom)


@formula(
    "CHISQ.DIST",
    flags=[2],
    fixed=[1],
    examples={"CHISQ.DIST(0.5,1,TRUE)": 0.520499877813047, "CHISQ.DIST(2,3,FALSE)": 0.207553748710297},
)
def chisq_dist(x: Tensor, freedom: Tensor, cumulative: bool) -> Tensor:
    """χ² distribution."""
    freedom = _degrees(freedom)
    possible = (x >= 0.0) & (freedom >= 1.0) & (freedom <= _MOST_DEGREES)
    x, freedom = inside(possible, x), inside(possible, freedom)
    half = x * 0.5
    below = _gamma_below(half, freedom * 0.5, True) if cumulative else _gamma_density(half, freedom * 0.5) * 0.5
    return failing(~possible, below)


@formula("CHISQ.DIST.RT", also=["CHIDIST"], fixed=[1], examples={"CHISQ.DIST.RT(18.307,10)": 0.0500005890913981})
def chisq_dist_rt(x: Tensor, freedom: Tensor) -> Tensor:
    """χ² distribution above a value."""
    freedom = _degrees(freedom)
    possible = (x >= 0.0) & (freedom >= 1.0) & (freedom <= _MOST_DEGREES)
    x, freedom = inside(possible, x), inside(possible, freedom)
    positive = x > 0.0
    above = torch.special.gammaincc(freedom * 0.5, inside(positive, x) * 0.5)
    return failing(~possible, torch.where(positive, above, 1.0))


# --- Student's t ------------------------------------------------------------------------------------------


def _t_tail(x: Tensor, freedom: Tensor) -> Tensor:
    """The share of Student's distribution that lies above x ≥ 0."""
    at_zero = x == 0.0
    safe = torch.where(at_zero, 1.0, x)
    half = freedom * 0.5
    square = safe * safe
    tail = 0.5 * betainc(half, torch.full_like(half, 0.5), freedom / (freedom + square), square / (freedom + square))
    # At 0 the share is a half, and it falls with the density: betainc's own derivative is infinite there.
    slope = torch.exp(torch.lgamma(half + 0.5) - torch.lgamma(half)) / torch.sqrt(freedom * math.pi)
    return torch.where(at_zero, 0.5 - slope * x, tail)


def _t_below(x: Tensor, freedom: Tensor) -> Tensor:
    tail = _t_tail(torch.abs(x), freedom)
    at_zero_or_above = x >= 0.0
    sign = torch.where(at_zero_or_above, 1.0, -1.0)
    return torch.where(x == 0.0, 1.0 - _t_tail(x, freedom), 0.5 + sign * (0.5 - tail))


def _t_density(x: Tensor, freedom: Tensor) -> Tensor:
    half = freedom * 0.5
    logarithm = torch.lgamma(half + 0.5) - torch.lgamma(half) - 0.5 * torch.log(freedom * math.pi)
    return torch.exp(logarithm - (half + 0.5) * torch.log1p(x * x / freedom))


@formula(
    "T.DIST",
    flags=[2],
    fixed=[1],
    examples={
        "T.DIST(60,1,TRUE)": 0.994695326367377,
        "T.DIST(8,3,FALSE)": 0.000736906520946,
        "T.DIST(-1,5,TRUE)": 0.1816087338,
        "T.DIST(0,5,TRUE)": 0.5,
    },
)
def t_dist(x: Tensor, freedom: Tensor, cumulative: bool) -> Tensor:
    """Student's t distribution: below a value, or its density there."""
    freedom = _degrees(freedom)
    possible = freedom >= 1.0
    freedom = inside(possible, freedom)
    return failing(~possible, _t_below(x, freedom) if cumulative else _t_density(x, freedom))


@formula("T.DIST.RT", fixed=[1], examples={"T.DIST.RT(1.959999998,60)": 0.027322465})
def t_dist_rt(x: Tensor, freedom: Tensor) -> Tensor:
    """Student's t distribution above a value."""
    freedom = _degrees(freedom)
    possible = freedom >= 1.0
    return failing(~possible, _t_below(-x, inside(possible, freedom)))


@formula("T.DIST.2T", fixed=[1], examples={"T.DIST.2T(1.959999998,60)": 0.05464493})
def t_dist_2t(x: Tensor, freedom: Tensor) -> Tensor:
    """Student's t distribution beyond a value on both sides."""
    freedom = _degrees(freedom)
    possible = (freedom >= 1.0) & (x >= 0.0)
    freedom, x = inside(possible, freedom), inside(possible, x)
    return failing(~possible, _t_tail(x, freedom) * 2.0)


@formula("TDIST", fixed=[1, 2], examples={"TDIST(1.959999998,60,2)": 0.05464493, "TDIST(1,5,3)": "#NUM!"})
def tdist(x: Tensor, freedom: Tensor, tails: Tensor) -> Tensor:
    """Student's t distribution beyond a value, on one side or on both."""
    freedom, tails = _degrees(freedom), torch.trunc(tails)
    possible = (freedom >= 1.0) & (x >= 0.0) & ((tails == 1.0) | (tails == 2.0))
    freedom, x = inside(possible, freedom), inside(possible, x)
    return failing(~possible, _t_tail(x, freedom) * tails)


# --- F and beta -------------------------------------------------------------------------------------------


def _f_share(x: Tensor, first: Tensor, second: Tensor) -> Tensor:
    """The F distribution below x > 0."""
    whole = first * x + second
    return betainc(first * 0.5, second * 0.5, first * x / whole, second / whole)


def _f_possible(x: Tensor, first: Tensor, second: Tensor) -> Tensor:
    most = (first < _MOST_DEGREES) & (second < _MOST_DEGREES)
    return (x >= 0.0) & (first >= 1.0) & (second >= 1.0) & most


@formula(
    "F.DIST",
    flags=[3],
    fixed=[1, 2],
    examples={"F.DIST(15.2069,6,4,TRUE)": 0.990000043003, "F.DIST(15.2069,6,4,FALSE)": 0.00122379170971},
)
def f_dist(x: Tensor, first: Tensor, second: Tensor, cumulative: bool) -> Tensor:
    """F distribution: below a value, or its density there."""
    first, second = _degrees(first), _degrees(second)
    possible = _f_possible(x, first, second)
    calculable = possible & (x > 0.0)
    one, two = inside(possible, first), inside(possible, second)
    safe = inside(calculable, x)
    if cumulative:
        return failing(~possible, torch.where(calculable, _f_share(safe, one, two), 0.0))
    logarithm = torch.lgamma((one + two) * 0.5) - torch.lgamma(one * 0.5) - torch.lgamma(two * 0.5)
    logarithm = logarithm + one * 0.5 * torch.log(one / two) + (one * 0.5 - 1.0) * torch.log(safe)
    found = torch.exp(logarithm - (one + two) * 0.5 * torch.log1p(one * safe / two))
    at_zero = torch.where(one > 2.0, 0.0, torch.where(one == 2.0, 1.0, torch.nan))
    return failing(~possible, torch.where(calculable, found, at_zero))


@formula("F.DIST.RT", also=["FDIST"], fixed=[1, 2], examples={"F.DIST.RT(2,6,4)": 0.26171875})
def f_dist_rt(x: Tensor, first: Tensor, second: Tensor) -> Tensor:
    """F distribution above a value."""
    first, second = _degrees(first), _degrees(second)
    possible = _f_possible(x, first, second)
    calculable = possible & (x > 0.0)
    one, two, safe = inside(possible, first), inside(possible, second), inside(calculable, x)
    whole = two + one * safe
    above = betainc(two * 0.5, one * 0.5, two / whole, one * safe / whole)
    return failing(~possible, torch.where(calculable, above, 1.0))


@formula(
    "BETA.DIST",
    flags=[3],
    examples={
        "BETA.DIST(2,8,10,TRUE,1,3)": 0.685470581054687,
        "BETA.DIST(2,8,10,FALSE,1,3)": 1.48376464843750,
    },
)
def beta_dist(x: Tensor, a: Tensor, b: Tensor, cumulative: bool, low: Tensor = ZERO, high: Tensor = ONE) -> Tensor:
    """Beta distribution between two bounds."""
    return _beta(x, a, b, cumulative, low, high)


@formula("BETADIST", examples={"BETADIST(2,8,10,1,3)": 0.685470581054687})
def betadist(x: Tensor, a: Tensor, b: Tensor, low: Tensor = ZERO, high: Tensor = ONE) -> Tensor:
    """Beta distribution between two bounds, below a value."""
    return _beta(x, a, b, True, low, high)


def _beta(x: Tensor, a: Tensor, b: Tensor, cumulative: bool, low: Tensor, high: Tensor) -> Tensor:
    width = high - low
    possible = (a > 0.0) & (b > 0.0) & (x >= low) & (x <= high) & (width > 0.0)
    width = inside(possible, width)
    share, rest = (x - low) / width, (high - x) / width
    between = possible & (share > 0.0) & (share < 1.0)
    share, rest = inside(between, share, 0.5), inside(between, rest, 0.5)
    a, b = inside(possible, a), inside(possible, b)
    if cumulative:
        return failing(~possible, torch.where(between, betainc(a, b, share, rest), torch.where(x >= high, 1.0, 0.0)))
    logarithm = torch.lgamma(a + b) - torch.lgamma(a) - torch.lgamma(b)
    found = torch.exp(logarithm + (a - 1.0) * torch.log(share) + (b - 1.0) * torch.log(rest)) / width
    # At a bound the density is 0, unless it grows beyond all limits or begins there.
    at_bound = torch.where(torch.where(x <= low, a, b) > 1.0, 0.0, torch.nan)
    return failing(~possible, torch.where(between, found, at_bound))
