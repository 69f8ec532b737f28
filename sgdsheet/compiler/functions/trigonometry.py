"""The rarer functions of trigonometry, the gamma function, sums of series."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from sgdsheet.compiler.functions.formulas import failing, formula, inside
from sgdsheet.compiler.ir.values import Fault

_LARGEST_ANGLE = 2.0**27
"""The size of a number from which on Excel gives #NUM!."""


def _inverse_of(operation: Tensor) -> Tensor:
    possible = operation != 0.0
    return failing(~possible, 1.0 / inside(possible, operation), Fault.DIV0)


def _angle(angle: Tensor, found: Tensor) -> Tensor:
    return failing(torch.abs(angle) >= _LARGEST_ANGLE, found)


@formula("SEC", examples={"SEC(45)": 1 / math.cos(45)})
def sec(angle: Tensor) -> Tensor:
    """Secant of an angle in radians."""
    return _angle(angle, 1.0 / torch.cos(angle))


@formula("CSC", examples={"CSC(15)": 1 / math.sin(15), "CSC(0)": "#DIV/0!"})
def csc(angle: Tensor) -> Tensor:
    """Cosecant of an angle in radians."""
    return _angle(angle, _inverse_of(torch.sin(angle)))


@formula("COT", examples={"COT(30)": 1 / math.tan(30), "COT(0)": "#DIV/0!"})
def cot(angle: Tensor) -> Tensor:
    """Cotangent of an angle in radians."""
    return _angle(angle, _inverse_of(torch.tan(angle)))


@formula("SECH", examples={"SECH(1.5)": 1 / math.cosh(1.5)})
def sech(x: Tensor) -> Tensor:
    """Hyperbolic secant."""
    falling = torch.exp(-torch.abs(x))
    return 2.0 * falling / (1.0 + falling * falling)


@formula("CSCH", examples={"CSCH(1.5)": 1 / math.sinh(1.5), "CSCH(0)": "#DIV/0!"})
def csch(x: Tensor) -> Tensor:
    """Hyperbolic cosecant."""
    small = torch.abs(x) < 300.0
    near = _inverse_of(torch.sinh(inside(small, x)))
    return torch.where(small, near, 2.0 * torch.sign(x) * torch.exp(-torch.abs(x)))


@formula("COTH", examples={"COTH(2)": 1 / math.tanh(2), "COTH(0)": "#DIV/0!"})
def coth(x: Tensor) -> Tensor:
    """Hyperbolic cotangent."""
    return _inverse_of(torch.tanh(x))


@formula("ACOT", examples={"ACOT(2)": math.atan(0.5), "ACOT(-1)": 0.75 * math.pi})
def acot(x: Tensor) -> Tensor:
    """Angle in radians, between 0 and pi, with this cotangent."""
    return math.pi / 2 - torch.atan(x)


@formula("ACOTH", examples={"ACOTH(6)": math.atanh(1 / 6), "ACOTH(1)": "#NUM!"})
def acoth(x: Tensor) -> Tensor:
    """Inverse hyperbolic cotangent."""
    possible = torch.abs(x) > 1.0
    return failing(~possible, torch.atanh(1.0 / inside(possible, x, 2.0)))


@formula("SQRTPI", examples={"SQRTPI(1)": math.sqrt(math.pi), "SQRTPI(-1)": "#NUM!"})
def sqrtpi(x: Tensor) -> Tensor:
    """Square root of a number times pi."""
    positive = x > 0.0
    found = torch.where(positive, torch.sqrt(inside(positive, x) * math.pi), 0.0)
    return failing(x < 0.0, found)


@formula("GAMMALN.PRECISE", examples={"GAMMALN.PRECISE(4.5)": math.lgamma(4.5), "GAMMALN.PRECISE(0)": "#NUM!"})
def gammaln_precise(x: Tensor) -> Tensor:
    """Natural logarithm of the gamma function."""
    possible = x > 0.0
    return failing(~possible, torch.lgamma(inside(possible, x)))


@formula("GAMMA", examples={"GAMMA(2.5)": math.gamma(2.5), "GAMMA(-3.75)": math.gamma(-3.75), "GAMMA(0)": "#NUM!"})
def gamma(x: Tensor) -> Tensor:
    """Gamma function."""
    possible = (x > 0.0) | (x != torch.floor(x))
    safe = inside(possible, x)
    negative_sign = (safe < 0.0) & (torch.remainder(torch.floor(safe), 2.0) == 1.0)
    return failing(~possible, torch.exp(torch.lgamma(safe)) * torch.where(negative_sign, -1.0, 1.0))
