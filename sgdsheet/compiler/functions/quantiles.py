"""Inverses of the gamma, χ², Student, F and beta distributions, with derivatives in the share and the parameters.

The quantile is found by Newton's method, kept in a bracket, for the log-odds of the share: these are nearly straight in
the logarithm of the quantile. Its derivatives are those of the implicit function, see `roots`: distribution and density
are differentiable in their shapes.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor

from sgdsheet.compiler.functions.formulas import ONE, ZERO, failing, formula, inside
from sgdsheet.compiler.functions.special import betainc_both, gammainc_both
from sgdsheet.compiler.ir.tracing import is_constant

_MOST_DEGREES = 1e10
_STEPS = 16
"""Steps of Newton's method, before the last two: 14 are enough for shapes of 0.05 to 2,000 and shares from 1e-12 on."""

_LOWEST = -700.0
"""The logarithm of the smallest quantile."""

Shares = Callable[[Tensor], tuple[Tensor, Tensor, Tensor]]
"""What lies below and above a place, and the density there with respect to it."""


def _place(shares: Shares, exact: Shares, odds: Tensor, start: Tensor, low: Tensor, high: Tensor) -> Tensor:
    """Where the log-odds of what lies below are `odds`: found with `shares`, whose arguments are detached; `exact`
    gives the derivatives."""
    wanted = odds.detach()

    def distance(at: Tensor, of: Shares, aim: Tensor) -> tuple[Tensor, Tensor]:
        below, above, density = of(at)
        slope = density / (below * above)
        return torch.log(below) - torch.log(above) - aim, slope

    place = torch.minimum(torch.maximum(start, low), high)
    for _ in range(_STEPS):
        found, slope = distance(place, shares, wanted)
        low, high = torch.where(found < 0.0, place, low), torch.where(found >= 0.0, place, high)
        moved = place - found / slope
        fits = (moved > low) & (moved < high)
        # Where the step is as small as rounding it may miss the bracket: stay.
        small = torch.abs(moved - place) <= 1e-14 * (1.0 + torch.abs(place))
        place = torch.where(fits | small, moved, (low + high) * 0.5)
    place = place.detach()
    for _ in range(2):
        found, slope = distance(place, exact, odds)
        usable = (slope > 0.0) & torch.isfinite(slope)
        place = place - torch.where(usable, found, 0.0) / inside(usable, slope)
    return place


# --- gamma ------------------------------------------------------------------------------------------------


def _gamma_quantile(below: Tensor, above: Tensor, shape: Tensor) -> Tensor:
    """The value of a gamma distribution with scale 1, below which `below` lies and above which `above` does."""
    fixed, still = is_constant(shape), shape.detach()

    def shares(a: Tensor, is_fixed: bool) -> Shares:
        def at(place: Tensor) -> tuple[Tensor, Tensor, Tensor]:
            x = torch.exp(place)
            lower, upper = gammainc_both(a, x, is_fixed)
            return lower, upper, torch.exp(a * place - x - torch.lgamma(a))

        return at

    # P(a, x) ≤ x^a / Γ(a + 1), and Wilson and Hilferty's approximation.
    low = torch.maximum((torch.log(below.detach()) + torch.lgamma(still + 1.0)) / still, still * 0.0 + _LOWEST)
    normal = torch.special.ndtri(below.detach())
    root = 1.0 - 1.0 / (9.0 * still) + normal / (3.0 * torch.sqrt(still))
    start = torch.where(root > 0.3, torch.log(still) + 3.0 * torch.log(inside(root > 0.3, root)), low + 0.01)
    high = torch.log(still + 40.0 * torch.sqrt(still) + 750.0)
    odds = torch.log(below) - torch.log(above)
    return torch.exp(_place(shares(still, True), shares(shape, fixed), odds, start, low - 0.01, high))


@formula(
    "GAMMA.INV",
    also=["GAMMAINV"],
    examples={"GAMMA.INV(0.068094,9,2)": 10.0000112, "GAMMA.INV(0.068094,9,0)": "#NUM!", "GAMMA.INV(0,9,2)": 0},
)
def gamma_inv(probability: Tensor, shape: Tensor, scale: Tensor) -> Tensor:
    """The value below which a share of a gamma distribution lies."""
    possible = (probability >= 0.0) & (probability < 1.0) & (shape > 0.0) & (scale > 0.0)
    some = possible & (probability > 0.0)
    share, a = inside(some, probability, 0.5), inside(possible, shape) if not is_constant(shape) else shape
    if is_constant(shape):
        a = torch.where(shape > 0.0, shape, 1.0)
    found = _gamma_quantile(share, 1.0 - share, a) * scale
    return failing(~possible, torch.where(some, found, 0.0))


def _degrees(freedom: Tensor) -> Tensor:
    whole = torch.trunc(freedom)
    return torch.where((whole >= 1.0) & (whole <= _MOST_DEGREES), whole, 1.0)


def _are_degrees(freedom: Tensor) -> Tensor:
    return (torch.trunc(freedom) >= 1.0) & (torch.trunc(freedom) <= _MOST_DEGREES)


@formula("CHISQ.INV", fixed=[1], examples={"CHISQ.INV(0.93,1)": 3.283020287, "CHISQ.INV(0.6,2)": 1.832581464})
def chisq_inv(probability: Tensor, freedom: Tensor) -> Tensor:
    """The value below which a share of a χ² distribution lies."""
    possible = (probability >= 0.0) & (probability < 1.0) & _are_degrees(freedom)
    some = possible & (probability > 0.0)
    share = inside(some, probability, 0.5)
    found = 2.0 * _gamma_quantile(share, 1.0 - share, _degrees(freedom) * 0.5)
    return failing(~possible, torch.where(some, found, 0.0))


@formula("CHISQ.INV.RT", also=["CHIINV"], fixed=[1], examples={"CHISQ.INV.RT(0.050001,10)": 18.306973})
def chisq_inv_rt(probability: Tensor, freedom: Tensor) -> Tensor:
    """The value above which a share of a χ² distribution lies."""
    possible = (probability > 0.0) & (probability <= 1.0) & _are_degrees(freedom)
    some = possible & (probability < 1.0)
    share = inside(some, probability, 0.5)
    found = 2.0 * _gamma_quantile(1.0 - share, share, _degrees(freedom) * 0.5)
    return failing(~possible, torch.where(some, found, 0.0))


# --- beta -------------------------------------------------------------------------------------------------


def _beta_quantile(below: Tensor, above: Tensor, a: Tensor, b: Tensor) -> Tensor:
    """The log-odds of the value of a beta distribution below which `below` lies and above which `above` does."""

    def shares(one: Tensor, two: Tensor, roughly: bool) -> Shares:
        constant = torch.lgamma(one + two) - torch.lgamma(one) - torch.lgamma(two)

        def at(place: Tensor) -> tuple[Tensor, Tensor, Tensor]:
            x, rest = torch.sigmoid(place), torch.sigmoid(-place)
            lower, upper = betainc_both(one, two, x, rest, roughly=roughly)
            slope = constant + one * torch.nn.functional.logsigmoid(place)
            return lower, upper, torch.exp(slope + two * torch.nn.functional.logsigmoid(-place))

        return at

    first, second = a.detach(), b.detach()
    normal = torch.special.ndtri(below.detach())
    spread = torch.sqrt(1.0 / first + 1.0 / second)
    start = torch.log(first) - torch.log(second) + normal * spread
    bound = start * 0.0 - _LOWEST
    odds = torch.log(below) - torch.log(above)
    return _place(shares(first, second, True), shares(a, b, False), odds, start, -bound, bound)


@formula(
    "BETA.INV",
    also=["BETAINV"],
    examples={
        "BETA.INV(0.6854705810546875,8,10,1,3)": 2,
        "BETA.INV(0.3,1,3)": 1 - 0.7 ** (1 / 3),
        "BETA.INV(0,2,3)": "#NUM!",
    },
)
def beta_inv(probability: Tensor, a: Tensor, b: Tensor, low: Tensor = ZERO, high: Tensor = ONE) -> Tensor:
    """The value below which a share of a beta distribution lies."""
    possible = (probability > 0.0) & (probability < 1.0) & (a > 0.0) & (b > 0.0) & (low < high)
    share = inside(possible, probability, 0.5)
    place = _beta_quantile(share, 1.0 - share, inside(possible, a), inside(possible, b))
    return failing(~possible, low + (high - low) * torch.sigmoid(place))


def _f_quantile(below: Tensor, above: Tensor, first: Tensor, second: Tensor) -> Tensor:
    one, two = _degrees(first), _degrees(second)
    return two / one * torch.exp(_beta_quantile(below, above, one * 0.5, two * 0.5))


@formula("F.INV", fixed=[1, 2], examples={"F.INV(0.01,6,4)": 0.10930991, "F.INV(0,6,4)": 0})
def f_inv(probability: Tensor, first: Tensor, second: Tensor) -> Tensor:
    """The value below which a share of an F distribution lies."""
    possible = (probability >= 0.0) & (probability < 1.0) & _are_degrees(first) & _are_degrees(second)
    some = possible & (probability > 0.0)
    share = inside(some, probability, 0.5)
    return failing(~possible, torch.where(some, _f_quantile(share, 1.0 - share, first, second), 0.0))


@formula("F.INV.RT", also=["FINV"], fixed=[1, 2], examples={"F.INV.RT(0.01,6,4)": 15.20686486, "F.INV.RT(1,6,4)": 0})
def f_inv_rt(probability: Tensor, first: Tensor, second: Tensor) -> Tensor:
    """The value above which a share of an F distribution lies."""
    possible = (probability > 0.0) & (probability <= 1.0) & _are_degrees(first) & _are_degrees(second)
    some = possible & (probability < 1.0)
    share = inside(some, probability, 0.5)
    # 1/X is F distributed, too, and has the share in its lower tail, where the smallest shares have all their digits.
    found = 1.0 / _f_quantile(share, 1.0 - share, second, first)
    return failing(~possible, torch.where(some, found, 0.0))


# --- Student's t ------------------------------------------------------------------------------------------

_NEAR = 1e-7
"""So near to a share of a half the quantile is straight, to the last digit."""


def _t_quantile(tails: Tensor, between: Tensor, freedom: Tensor) -> Tensor:
    """The value t > 0 beyond which, on both sides, `tails` lies; `between` lies between -t and t."""
    half = freedom * 0.5
    density = torch.exp(torch.lgamma(half + 0.5) - torch.lgamma(half)) / torch.sqrt(freedom * math.pi)
    near = between < _NEAR
    beyond, within = inside(~near, tails, 0.5), inside(~near, between, 0.5)
    place = _beta_quantile(beyond, within, half, torch.full_like(half, 0.5))
    return torch.where(near, between * 0.5 / density, torch.sqrt(freedom) * torch.exp(-0.5 * place))


@formula(
    "T.INV",
    fixed=[1],
    examples={"T.INV(0.75,2)": 0.816496581, "T.INV(0.25,2)": -0.816496581, "T.INV(0.5,2)": 0, "T.INV(0,2)": "#NUM!"},
)
def t_inv(probability: Tensor, freedom: Tensor) -> Tensor:
    """The value below which a share of Student's t distribution lies."""
    possible = (probability > 0.0) & (probability < 1.0) & (torch.trunc(freedom) >= 1.0)
    share = inside(possible, probability, 0.5)
    upper = share > 0.5
    tails = 2.0 * torch.where(upper, 1.0 - share, share)
    found = _t_quantile(tails, torch.where(upper, 2.0 * share - 1.0, 1.0 - 2.0 * share), _degrees(freedom))
    return failing(~possible, torch.where(upper, found, -found))


@formula("T.INV.2T", also=["TINV"], fixed=[1], examples={"T.INV.2T(0.546449,60)": 0.606533076, "T.INV.2T(1,60)": 0})
def t_inv_2t(probability: Tensor, freedom: Tensor) -> Tensor:
    """The value beyond which, on both sides, a share of Student's t distribution lies."""
    possible = (probability > 0.0) & (probability <= 1.0) & (torch.trunc(freedom) >= 1.0)
    share = inside(possible, probability, 0.5)
    return failing(~possible, _t_quantile(share, 1.0 - share, _degrees(freedom)))
