"""What is proved of a function of the parameters, and how it follows from what is proved of its parts.

The rules are those of disciplined convex programming (Grant, Boyd and Ye, “Disciplined convex programming”, in Global
Optimization: From Theory to Implementation, 2006): what they do not prove may be true all the same.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass, replace
from enum import IntEnum

_INFINITE = math.inf


class Smoothness(IntEnum):
    """How rough a function is, from smooth to stepped; `UNKNOWN` is one that no rule is known for."""

    SMOOTH = 0
    UNKNOWN = 1
    KINKED = 2
    STEPPED = 3


@dataclass(frozen=True, slots=True)
class Traits:
    """What is proved of each number of a tensor, as a function of the parameters, wherever it is no error.

    `degree` is that of a polynomial (0 constant, 1 linear, 2 quadratic), None of what is none or of a higher degree.
    Each number lies between `low` and `high`. `log_convex`: it is positive and its logarithm is convex. `squares`: it
    is a sum of squares of linear functions, perhaps plus a positive constant. `piecewise`: it is piecewise linear.
    """

    degree: int | None
    convex: bool = False
    concave: bool = False
    low: float = -_INFINITE
    high: float = _INFINITE
    smoothness: Smoothness = Smoothness.SMOOTH
    log_convex: bool = False
    squares: bool = False
    piecewise: bool = False

    @property
    def constant(self) -> bool:
        return self.degree == 0

    @property
    def linear(self) -> bool:
        """Whether the function is linear (strictly speaking affine), or constant."""
        return self.degree in (0, 1)


def number(value: float) -> Traits:
    """A constant."""
    return constant_between(value, value)


def constant_between(low: float, high: float) -> Traits:
    """Constants of which the smallest and the largest are known. NaN stands for an error, of which nothing is said."""
    low, high = (-_INFINITE if math.isnan(low) else low), (_INFINITE if math.isnan(high) else high)
    return Traits(0, True, True, low, high, log_convex=low > 0, squares=low >= 0, piecewise=True)


def parameters_between(low: float, high: float) -> Traits:
    """Parameters, between bounds."""
    return Traits(1, True, True, low, high, piecewise=True)


def smooth(low: float = -_INFINITE, high: float = _INFINITE) -> Traits:
    """A smooth function of which nothing else is known."""
    return Traits(None, low=low, high=high)


def joined(parts: Iterable[Traits]) -> Traits:
    """What is true of all parts, for instance of numbers side by side."""
    found: Traits | None = None
    for part in parts:
        found = part if found is None else _both(found, part)
    return number(0.0) if found is None else found


def _both(one: Traits, two: Traits) -> Traits:
    return Traits(
        None if one.degree is None or two.degree is None else max(one.degree, two.degree),
        one.convex and two.convex,
        one.concave and two.concave,
        min(one.low, two.low),
        max(one.high, two.high),
        max(one.smoothness, two.smoothness),
        one.log_convex and two.log_convex,
        one.squares and two.squares,
        one.piecewise and two.piecewise,
    )


# --- sums and products --------------------------------------------------------------------------------------


def added(one: Traits, two: Traits) -> Traits:
    """A sum."""
    return replace(_both(one, two), low=_plus(one.low, two.low, -1), high=_plus(one.high, two.high, 1))


def _plus(one: float, two: float, side: int) -> float:
    total = one + two
    return side * _INFINITE if math.isnan(total) else total


def summed(terms: Traits) -> Traits:
    """A sum of some, nobody knows how many, numbers of a tensor."""
    low, high = (terms.low if terms.low >= 0 else -_INFINITE), (terms.high if terms.high <= 0 else _INFINITE)
    return replace(terms, low=low, high=high)


def negated(item: Traits) -> Traits:
    """A function with the other sign."""
    return replace(
        item,
        convex=item.concave,
        concave=item.convex,
        low=-item.high,
        high=-item.low,
        log_convex=False,
        squares=False,
    )


def multiplied(one: Traits, two: Traits) -> Traits:
    """A product of two different functions."""
    if two.constant and not one.constant:
        one, two = two, one
    if one.constant:
        return _scaled(two, one)
    degrees = None if one.degree is None or two.degree is None else one.degree + two.degree
    low, high = _range_of_product(one, two)
    return Traits(
        degrees if degrees is not None and degrees <= 2 else None,
        low=low,
        high=high,
        smoothness=max(one.smoothness, two.smoothness),
        log_convex=one.log_convex and two.log_convex,
    )


def _range_of_product(one: Traits, two: Traits) -> tuple[float, float]:
    found = [
        0.0 if left == 0 or right == 0 else left * right
        for left in (one.low, one.high)
        for right in (two.low, two.high)
    ]
    return min(found), max(found)


def _scaled(item: Traits, factor: Traits) -> Traits:
    """A function times constants that may differ from number to number."""
    low, high = _range_of_product(item, factor)
    up, down = factor.low >= 0, factor.high <= 0
    return Traits(
        item.degree,
        item.linear or (up and item.convex) or (down and item.concave),
        item.linear or (up and item.concave) or (down and item.convex),
        low,
        high,
        item.smoothness,
        item.log_convex and factor.low > 0,
        item.squares and up,
        item.piecewise,
    )


def squared(item: Traits) -> Traits:
    """A function times itself."""
    squares = _composed(item, convex=True, rising=item.low >= 0, falling=item.high <= 0)
    nearest = max(item.low, -item.high, 0.0)
    farthest = max(abs(item.low), abs(item.high))
    return replace(
        squares,
        degree=2 if item.degree == 1 else 0 if item.constant else None,
        low=nearest * nearest,
        high=farthest * farthest,
        squares=item.linear,
        log_convex=item.log_convex,
    )


# --- functions of one argument ------------------------------------------------------------------------------


def _composed(
    item: Traits, *, convex: bool = False, concave: bool = False, rising: bool = False, falling: bool = False
) -> Traits:
    """A function of a function: its curvature by the rule of composition. The outer one is smooth."""
    kept, turned = (
        (item.convex and rising) or (item.concave and falling),
        ((item.concave and rising) or (item.convex and falling)),
    )
    return Traits(
        None,
        convex and (item.linear or kept),
        concave and (item.linear or turned),
        smoothness=item.smoothness,
    )


def composed(
    item: Traits,
    *,
    convex: bool = False,
    concave: bool = False,
    rising: bool = False,
    falling: bool = False,
    low: float = -_INFINITE,
    high: float = _INFINITE,
) -> Traits:
    """A smooth function of a function, of which curvature, direction and range are known."""
    if item.constant:
        return constant_between(low, high)
    found = _composed(item, convex=convex, concave=concave, rising=rising, falling=falling)
    return replace(found, low=low, high=high)


def kinked(
    parts: Iterable[Traits], *, convex: bool, rising: bool, low: float, high: float, falling: bool = False
) -> Traits:
    """A maximum (convex) or minimum (not) of parts, or the like: kinked, piecewise linear where the parts are."""
    found = joined(parts)
    if found.constant:
        return constant_between(low, high)
    curved = _composed(found, convex=convex, concave=not convex, rising=rising, falling=falling)
    return replace(
        curved,
        low=low,
        high=high,
        smoothness=max(found.smoothness, Smoothness.KINKED),
        piecewise=found.piecewise,
        log_convex=convex and rising and found.log_convex,
    )


def stepped(parts: Iterable[Traits], low: float = -_INFINITE, high: float = _INFINITE) -> Traits:
    """What jumps, such as a comparison or a rounded number."""
    found = joined(parts)
    return (
        constant_between(low, high)
        if found.constant
        else Traits(None, low=low, high=high, smoothness=Smoothness.STEPPED)
    )


def unknown(parts: Iterable[Traits]) -> Traits:
    """What no rule is known for."""
    found = joined(parts)
    if found.constant:
        return constant_between(-_INFINITE, _INFINITE)
    return Traits(None, smoothness=max(found.smoothness, Smoothness.UNKNOWN))


def any_smooth(parts: Iterable[Traits], low: float = -_INFINITE, high: float = _INFINITE) -> Traits:
    """A smooth function of some parts, of which only the range is known."""
    found = joined(parts)
    if found.constant:
        return constant_between(low, high)
    return Traits(None, low=low, high=high, smoothness=found.smoothness)
