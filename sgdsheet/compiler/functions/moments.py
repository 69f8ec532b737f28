"""Means, deviations and moments of the numbers of ranges."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from sgdsheet.compiler.functions.formulas import failing
from sgdsheet.compiler.functions.range_numbers import over_numbers
from sgdsheet.compiler.functions.registry import Derivative
from sgdsheet.compiler.ir.values import Fault


def size_of(numbers: Tensor, counts: Tensor) -> Tensor:
    """How many numbers count, as a number of the same type."""
    return torch.sum(torch.where(counts, torch.ones_like(numbers), 0.0), -1)


def mean_of(numbers: Tensor, counts: Tensor) -> Tensor:
    """Their mean; of none it is 0."""
    return torch.sum(numbers, -1) / torch.clamp_min(size_of(numbers, counts), 1.0)


def deviations(numbers: Tensor, counts: Tensor) -> Tensor:
    """Their deviations from the mean, 0 where nothing counts."""
    return torch.where(counts, numbers - torch.unsqueeze(mean_of(numbers, counts), -1), 0.0)


def _moment(numbers: Tensor, counts: Tensor, power: int, missing: float) -> Tensor:
    """The sum of the deviations to a power, in standard deviations."""
    size, apart = size_of(numbers, counts), deviations(numbers, counts)
    variance = torch.sum(apart * apart, -1) / torch.clamp_min(size - missing, 1.0)
    spread = torch.sqrt(torch.where(variance > 0.0, variance, 1.0))
    total = torch.sum((apart / torch.unsqueeze(spread, -1)) ** power, -1)
    return failing(variance <= 0.0, total, Fault.DIV0)


@over_numbers("AVEDEV", derivative=Derivative.KINKED, examples={"AVEDEV({4,5,6,7,5,4,3})": 1.020408163265306})
def avedev(numbers: Tensor, counts: Tensor) -> Tensor:
    """Mean distance from the mean."""
    found = mean_of(torch.abs(deviations(numbers, counts)), counts)
    return failing(size_of(numbers, counts) == 0.0, found)


@over_numbers("GEOMEAN", examples={"GEOMEAN({4,5,8,7,11,4,3})": 5.476986969656962, "GEOMEAN({1,0})": "#NUM!"})
def geomean(numbers: Tensor, counts: Tensor) -> Tensor:
    """Geometric mean."""
    possible = torch.all((numbers > 0.0) | ~counts, -1) & torch.any(counts, -1)
    logarithms = torch.where(counts & (numbers > 0.0), torch.log(torch.where(numbers > 0.0, numbers, 1.0)), 0.0)
    return failing(~possible, torch.exp(mean_of(logarithms, counts)))


@over_numbers("HARMEAN", examples={"HARMEAN({4,5,8,7,11,4,3})": 5.028375962061728, "HARMEAN({1,-1})": "#NUM!"})
def harmean(numbers: Tensor, counts: Tensor) -> Tensor:
    """Harmonic mean."""
    possible = torch.all((numbers > 0.0) | ~counts, -1) & torch.any(counts, -1)
    inverses = torch.where(counts & (numbers > 0.0), 1.0 / torch.where(numbers > 0.0, numbers, 1.0), 0.0)
    mean = mean_of(inverses, counts)
    return failing(~possible, 1.0 / torch.where(mean > 0.0, mean, 1.0))


@over_numbers("SKEW", examples={"SKEW({3,4,5,2,3,4,5,6,4,7})": 0.359543071406797, "SKEW({1,2})": "#DIV/0!"})
def skew(numbers: Tensor, counts: Tensor) -> Tensor:
    """Skewness of a sample."""
    size = size_of(numbers, counts)
    factor = size / torch.where(size > 2.0, (size - 1.0) * (size - 2.0), 1.0)
    return failing(size < 3.0, factor * _moment(numbers, counts, 3, 1.0), Fault.DIV0)


@over_numbers("SKEW.P", examples={"SKEW.P({3,4,5,2,3,4,5,6,4,7})": 0.303193339354144})
def skew_p(numbers: Tensor, counts: Tensor) -> Tensor:
    """Skewness of a whole population."""
    size = size_of(numbers, counts)
    return failing(size < 3.0, _moment(numbers, counts, 3, 0.0) / torch.clamp_min(size, 1.0), Fault.DIV0)


@over_numbers("KURT", examples={"KURT({3,4,5,2,3,4,5,6,4,7})": -0.151799637208424})
def kurt(numbers: Tensor, counts: Tensor) -> Tensor:
    """Excess kurtosis of a sample."""
    n = size_of(numbers, counts)
    n = torch.where(n > 3.0, n, 4.0)
    factor = n * (n + 1.0) / ((n - 1.0) * (n - 2.0) * (n - 3.0))
    found = factor * _moment(numbers, counts, 4, 1.0) - 3.0 * (n - 1.0) ** 2 / ((n - 2.0) * (n - 3.0))
    return failing(size_of(numbers, counts) < 4.0, found, Fault.DIV0)


# --- with texts as 0 and TRUE as 1 ------------------------------------------------------------------------


@over_numbers("AVERAGEA", counts_all=True, examples={'AVERAGEA({10,7,9,2,"x"})': 5.6})
def averagea(numbers: Tensor, counts: Tensor) -> Tensor:
    """Arithmetic mean, with texts as 0 and TRUE as 1."""
    return failing(size_of(numbers, counts) == 0.0, mean_of(numbers, counts), Fault.DIV0)


def _variance(numbers: Tensor, counts: Tensor, missing: float) -> Tensor:
    size, apart = size_of(numbers, counts), deviations(numbers, counts)
    possible = size > missing
    return failing(~possible, torch.sum(apart * apart, -1) / torch.where(possible, size - missing, 1.0), Fault.DIV0)


def _root(variance: Tensor) -> Tensor:
    return torch.where(variance > 0.0, torch.sqrt(torch.where(variance > 0.0, variance, 1.0)), variance * 0.0)


@over_numbers("VARA", counts_all=True, examples={'VARA({1,2,TRUE,"x"})': 2 / 3})
def vara(numbers: Tensor, counts: Tensor) -> Tensor:
    """Variance of a sample, with texts as 0 and TRUE as 1."""
    return _variance(numbers, counts, 1.0)


@over_numbers("VARPA", counts_all=True, examples={'VARPA({1,2,TRUE,"x"})': 0.5})
def varpa(numbers: Tensor, counts: Tensor) -> Tensor:
    """Variance of a whole population, with texts as 0 and TRUE as 1."""
    return _variance(numbers, counts, 0.0)


@over_numbers("STDEVA", counts_all=True, examples={'STDEVA({1,2,TRUE,"x"})': (2 / 3) ** 0.5})
def stdeva(numbers: Tensor, counts: Tensor) -> Tensor:
    """Standard deviation of a sample, with texts as 0 and TRUE as 1."""
    return _root(_variance(numbers, counts, 1.0))


@over_numbers("STDEVPA", counts_all=True, examples={'STDEVPA({1,2,TRUE,"x"})': 0.5**0.5})
def stdevpa(numbers: Tensor, counts: Tensor) -> Tensor:
    """Standard deviation of a whole population, with texts as 0 and TRUE as 1."""
    return _root(_variance(numbers, counts, 0.0))


@over_numbers(
    "MAXA", counts_all=True, derivative=Derivative.KINKED, examples={"MAXA({0,0.2,0.5,TRUE})": 1, "MAXA({-2,-1})": -1}
)
def maxa(numbers: Tensor, counts: Tensor) -> Tensor:
    """Largest number, with texts as 0 and TRUE as 1."""
    found = torch.amax(torch.where(counts, numbers, -math.inf), -1)
    return torch.where(torch.any(counts, -1), found, 0.0)


@over_numbers(
    "MINA", counts_all=True, derivative=Derivative.KINKED, examples={"MINA({FALSE,0.2,0.5})": 0, "MINA({2,1})": 1}
)
def mina(numbers: Tensor, counts: Tensor) -> Tensor:
    """Smallest number, with texts as 0 and TRUE as 1."""
    found = torch.amin(torch.where(counts, numbers, math.inf), -1)
    return torch.where(torch.any(counts, -1), found, 0.0)
