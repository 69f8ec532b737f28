"""The normal distribution, and others that are built from it."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from sgdsheet.compiler.functions.formulas import failing, formula, inside

_PHI_1 = 0.5 * math.erfc(-1 / math.sqrt(2))
_DENSITY_1 = math.exp(-0.5) / math.sqrt(2 * math.pi)
_ROOT_HALF = math.sqrt(0.5)
_LOG_ROOT_TWO_PI = 0.5 * math.log(2 * math.pi)


def below(z: Tensor) -> Tensor:
    """The standard normal distribution function."""
    return torch.erfc(z * -_ROOT_HALF) * 0.5


def density(z: Tensor) -> Tensor:
    """The standard normal density."""
    return torch.exp(z * z * -0.5) * (1 / math.sqrt(2 * math.pi))


def quantile(p: Tensor) -> Tensor:
    """The inverse of the standard normal distribution function; an error outside of (0, 1)."""
    possible = (p > 0.0) & (p < 1.0)
    return failing(~possible, torch.special.ndtri(inside(possible, p, 0.5)))


@formula(
    "NORM.S.DIST",
    flags=[1],
    examples={"NORM.S.DIST(1,TRUE)": _PHI_1, "NORM.S.DIST(1,FALSE)": _DENSITY_1},
)
def norm_s_dist(z: Tensor, cumulative: bool) -> Tensor:
    """Standard normal distribution: below a value, or its density there."""
    return below(z) if cumulative else density(z)


@formula("NORMSDIST", examples={"NORMSDIST(1)": _PHI_1})
def normsdist(z: Tensor) -> Tensor:
    """Standard normal distribution below a value."""
    return below(z)


@formula(
    "NORM.DIST",
    also=["NORMDIST"],
    flags=[3],
    examples={"NORM.DIST(5,3,2,TRUE)": _PHI_1, "NORM.DIST(5,3,2,FALSE)": _DENSITY_1 / 2},
)
def norm_dist(x: Tensor, mean: Tensor, deviation: Tensor, cumulative: bool) -> Tensor:
    """Normal distribution with a mean and a standard deviation."""
    possible = deviation > 0.0
    deviation = inside(possible, deviation)
    z = (x - mean) / deviation
    return failing(~possible, below(z) if cumulative else density(z) / deviation)


@formula(
    "NORM.S.INV",
    also=["NORMSINV"],
    examples={"NORM.S.INV(0.908789)": 1.33333467304411, "NORM.S.INV(0.5)": 0, "IFERROR(NORM.S.INV(1),-9)": -9},
)
def norm_s_inv(probability: Tensor) -> Tensor:
    """The value below which a share of the standard normal distribution lies."""
    return quantile(probability)


@formula("NORM.INV", also=["NORMINV"], examples={"NORM.INV(0.908789,40,1.5)": 42.0000020095662})
def norm_inv(probability: Tensor, mean: Tensor, deviation: Tensor) -> Tensor:
    """The value below which a share of a normal distribution lies."""
    return failing(deviation <= 0.0, mean + deviation * quantile(probability))


@formula("PHI", examples={"PHI(0.75)": 0.301137432154804})
def phi(z: Tensor) -> Tensor:
    """Density of the standard normal distribution."""
    return density(z)


@formula("GAUSS", examples={"GAUSS(2)": 0.5 * math.erf(2 / math.sqrt(2))})
def gauss(z: Tensor) -> Tensor:
    """Probability that a standard normal value lies between 0 and this one."""
    return torch.erf(z * _ROOT_HALF) * 0.5


@formula(
    "LOGNORM.DIST",
    flags=[3],
    examples={"LOGNORM.DIST(4,3.5,1.2,TRUE)": 0.0390835557068005, "LOGNORM.DIST(4,3.5,1.2,FALSE)": 0.0176175966818192},
)
def lognorm_dist(x: Tensor, mean: Tensor, deviation: Tensor, cumulative: bool) -> Tensor:
    """Distribution of a number whose logarithm is normal."""
    possible = (x > 0.0) & (deviation > 0.0)
    x, deviation = inside(possible, x), inside(possible, deviation)
    z = (torch.log(x) - mean) / deviation
    return failing(~possible, below(z) if cumulative else density(z) / (deviation * x))


@formula("LOGNORMDIST", examples={"LOGNORMDIST(4,3.5,1.2)": 0.0390835557068005})
def lognormdist(x: Tensor, mean: Tensor, deviation: Tensor) -> Tensor:
    """Distribution of a number whose logarithm is normal, below a value."""
    return lognorm_dist(x, mean, deviation, True)


@formula("LOGNORM.INV", also=["LOGINV"], examples={"LOGNORM.INV(0.039084,3.5,1.2)": 4.00002521868063})
def lognorm_inv(probability: Tensor, mean: Tensor, deviation: Tensor) -> Tensor:
    """The value below which a share of a lognormal distribution lies."""
    return torch.exp(norm_inv(probability, mean, deviation))


@formula("STANDARDIZE", examples={"STANDARDIZE(42,40,1.5)": 4 / 3})
def standardize(x: Tensor, mean: Tensor, deviation: Tensor) -> Tensor:
    """How many standard deviations a value lies from the mean."""
    possible = deviation > 0.0
    return failing(~possible, (x - mean) / inside(possible, deviation))


@formula("FISHER", examples={"FISHER(0.75)": math.atanh(0.75)})
def fisher(x: Tensor) -> Tensor:
    """Fisher's transformation of a correlation."""
    possible = (x > -1.0) & (x < 1.0)
    return failing(~possible, torch.atanh(inside(possible, x, 0.0)))


@formula("FISHERINV", examples={"FISHERINV(0.972955)": math.tanh(0.972955)})
def fisherinv(y: Tensor) -> Tensor:
    """The inverse of Fisher's transformation."""
    return torch.tanh(y)


@formula(
    "CONFIDENCE.NORM", also=["CONFIDENCE"], fixed=[2], examples={"CONFIDENCE.NORM(0.05,2.5,50)": 0.692951912174839}
)
def confidence_norm(alpha: Tensor, deviation: Tensor, size: Tensor) -> Tensor:
    """Half the width of the confidence interval of a mean whose standard deviation is known."""
    size = torch.trunc(size)
    possible = (alpha > 0.0) & (alpha < 1.0) & (deviation > 0.0) & (size >= 1.0)
    result = -quantile(inside(possible, alpha, 0.5) * 0.5) * deviation / torch.sqrt(inside(possible, size))
    return failing(~possible, result)


@formula("ERF.PRECISE", examples={"ERF.PRECISE(0.745)": math.erf(0.745)})
def erf_precise(x: Tensor) -> Tensor:
    """The error function."""
    return torch.erf(x)


@formula("ERFC", also=["ERFC.PRECISE"], booleans=False, examples={"ERFC(1)": math.erfc(1)})
def erfc(x: Tensor) -> Tensor:
    """The complementary error function."""
    return torch.erfc(x)


@formula(
    "EXPON.DIST",
    also=["EXPONDIST"],
    flags=[2],
    examples={
        "EXPON.DIST(0.2,10,TRUE)": 1 - math.exp(-2),
        "EXPON.DIST(0.2,10,FALSE)": 10 * math.exp(-2),
    },
)
def expon_dist(x: Tensor, rate: Tensor, cumulative: bool) -> Tensor:
    """Exponential distribution."""
    possible = (x >= 0.0) & (rate > 0.0)
    x, rate = inside(possible, x), inside(possible, rate)
    result = -torch.expm1(-rate * x) if cumulative else rate * torch.exp(-rate * x)
    return failing(~possible, result)


@formula(
    "WEIBULL.DIST",
    also=["WEIBULL"],
    flags=[3],
    examples={
        "WEIBULL.DIST(105,20,100,TRUE)": 0.929581390069277,
        "WEIBULL.DIST(105,20,100,FALSE)": 0.0355888640245043,
    },
)
def weibull_dist(x: Tensor, shape: Tensor, scale: Tensor, cumulative: bool) -> Tensor:
    """Weibull distribution, of the time until something fails."""
    possible = (x >= 0.0) & (shape > 0.0) & (scale > 0.0)
    calculable = possible & (x > 0.0)
    at_zero = torch.where(shape > 1.0, 0.0, torch.where(shape == 1.0, 1.0 / inside(possible, scale), torch.nan))
    x, shape, scale = (inside(calculable, item) for item in (x, shape, scale))
    power = torch.exp(shape * torch.log(x / scale))
    result = -torch.expm1(-power) if cumulative else shape / x * power * torch.exp(-power)
    if cumulative:
        return failing(~possible, torch.where(calculable, result, 0.0))
    return failing(~possible, torch.where(calculable, result, at_zero))


@formula("ERF", booleans=False, examples={"ERF(0.745)": math.erf(0.745), "ERF(0.5,1)": math.erf(1) - math.erf(0.5)})
def erf(lower: Tensor, upper: Tensor | None = None) -> Tensor:
    """The error function, or its increase between two values."""
    return torch.erf(lower) if upper is None else torch.erf(upper) - torch.erf(lower)
