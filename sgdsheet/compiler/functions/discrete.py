"""Discrete distributions: binomial, Poisson, negative binomial, hypergeometric; and how many arrangements there are."""

from __future__ import annotations

import math

import scipy  # type: ignore[import-untyped]  # its parts are imported when they are used
import torch
from torch import Tensor

from sgdsheet.compiler.functions.formulas import failing, formula, inside
from sgdsheet.compiler.functions.plain import Grid, is_number, plain
from sgdsheet.compiler.functions.special import betainc
from sgdsheet.errors import FormulaError
from sgdsheet.sheet.workbook import ExcelError


def _log_choose(n: Tensor, k: Tensor) -> Tensor:
    return torch.lgamma(n + 1.0) - torch.lgamma(k + 1.0) - torch.lgamma(n - k + 1.0)


@formula(
    "BINOM.DIST",
    also=["BINOMDIST"],
    flags=[3],
    fixed=[0, 1],
    examples={
        "BINOM.DIST(6,10,0.5,FALSE)": 0.205078125,
        "BINOM.DIST(6,10,0.5,TRUE)": 0.828125,
        "BINOM.DIST(11,10,0.5,TRUE)": "#NUM!",
    },
)
def binom_dist(successes: Tensor, trials: Tensor, probability: Tensor, cumulative: bool) -> Tensor:
    """Probability of a number of successes in independent trials."""
    k, n = torch.trunc(successes), torch.trunc(trials)
    possible = (k >= 0.0) & (k <= n) & (probability >= 0.0) & (probability <= 1.0)
    between = possible & (probability > 0.0) & (probability < 1.0)
    k, n, p = inside(possible, k, 0.0), inside(possible, n), inside(between, probability, 0.5)
    if cumulative:
        some = k < n
        below = betainc(torch.where(some, n - k, 1.0), k + 1.0, 1.0 - p, p)
        edge = torch.where((probability > 0.5) & some, 0.0, 1.0)
        return failing(~possible, torch.where(between, torch.where(some, below, 1.0), edge))
    found = torch.exp(_log_choose(n, k) + k * torch.log(p) + (n - k) * torch.log1p(-p))
    edge = torch.where(torch.where(probability > 0.5, k == n, k == 0.0), 1.0, 0.0)
    return failing(~possible, torch.where(between, found, edge))


@formula(
    "POISSON.DIST",
    also=["POISSON"],
    flags=[2],
    fixed=[0],
    examples={
        "POISSON.DIST(2,5,TRUE)": math.exp(-5) * (1 + 5 + 12.5),
        "POISSON.DIST(2,5,FALSE)": math.exp(-5) * 12.5,
    },
)
def poisson_dist(events: Tensor, mean: Tensor, cumulative: bool) -> Tensor:
    """Probability of a number of events where so many are expected."""
    k = torch.trunc(events)
    possible = (k >= 0.0) & (mean >= 0.0)
    positive = possible & (mean > 0.0)
    k, mean = inside(possible, k, 0.0), inside(positive, mean)
    if cumulative:
        return failing(~possible, torch.where(positive, torch.special.gammaincc(k + 1.0, mean), 1.0))
    found = torch.exp(k * torch.log(mean) - mean - torch.lgamma(k + 1.0))
    return failing(~possible, torch.where(positive, found, torch.where(k == 0.0, 1.0, 0.0)))


@formula(
    "NEGBINOM.DIST",
    flags=[3],
    fixed=[0, 1],
    examples={"NEGBINOM.DIST(10,5,0.25,TRUE)": 0.3135141, "NEGBINOM.DIST(10,5,0.25,FALSE)": 0.0550487},
)
def negbinom_dist(failures: Tensor, successes: Tensor, probability: Tensor, cumulative: bool) -> Tensor:
    """Probability of a number of failures before a number of successes."""
    f, s = torch.trunc(failures), torch.trunc(successes)
    possible = (f >= 0.0) & (s >= 1.0) & (probability > 0.0) & (probability < 1.0)
    f, s, p = inside(possible, f), inside(possible, s), inside(possible, probability, 0.5)
    if cumulative:
        return failing(~possible, betainc(s, f + 1.0, p, 1.0 - p))
    return failing(~possible, torch.exp(_log_choose(f + s - 1.0, f) + s * torch.log(p) + f * torch.log1p(-p)))


@formula("NEGBINOMDIST", fixed=[0, 1], examples={"NEGBINOMDIST(10,5,0.25)": 0.0550487})
def negbinomdist(failures: Tensor, successes: Tensor, probability: Tensor) -> Tensor:
    """Probability of a number of failures before a number of successes."""
    return negbinom_dist(failures, successes, probability, False)


@plain(
    "HYPGEOM.DIST",
    examples={"HYPGEOM.DIST(1,4,8,20,TRUE)": 0.465428277, "HYPGEOM.DIST(1,4,8,20,FALSE)": 0.363261094},
)
def hypgeom_dist(found: float, drawn: float, marked: float, size: float, cumulative: bool) -> float | ExcelError:
    """Probability of a number of successes in a sample that is drawn from a population."""
    k, n, good, whole = map(math.trunc, (found, drawn, marked, size))
    if not 0 <= k <= min(n, good) or k < n - whole + good or not 0 < n <= whole or not 0 < good <= whole:
        return ExcelError.NUM
    ways = range(max(0, n - whole + good), k + 1) if cumulative else (k,)
    total = sum(math.comb(good, item) * math.comb(whole - good, n - item) for item in ways)
    return total / math.comb(whole, n)


@plain("HYPGEOMDIST", examples={"HYPGEOMDIST(1,4,8,20)": 0.363261094})
def hypgeomdist(found: float, drawn: float, marked: float, size: float) -> float | ExcelError:
    """Probability of a number of successes in a sample that is drawn from a population."""
    return hypgeom_dist(found, drawn, marked, size, False)


@plain(
    "BINOM.DIST.RANGE",
    examples={"BINOM.DIST.RANGE(60,0.75,48)": 0.083974967, "BINOM.DIST.RANGE(60,0.75,45,50)": 0.523629793},
)
def binom_dist_range(trials: float, probability: float, low: float, high: float | None = None) -> float | ExcelError:
    """Probability that the number of successes lies between two numbers."""
    n, first = math.trunc(trials), math.trunc(low)
    last = first if high is None else math.trunc(high)
    if n < 0 or not 0 <= probability <= 1 or not 0 <= first <= last <= n:
        return ExcelError.NUM
    return float(sum(_binomial(n, k, probability) for k in range(first, last + 1)))


def _binomial(n: int, k: int, p: float) -> float:
    if p in (0.0, 1.0):
        return float(k == n * int(p))
    logarithm = math.lgamma(n + 1) - math.lgamma(k + 1) - math.lgamma(n - k + 1)
    return math.exp(logarithm + k * math.log(p) + (n - k) * math.log1p(-p))


@plain("BINOM.INV", examples={"BINOM.INV(6,0.5,0.75)": 4})
def binom_inv(trials: float, probability: float, alpha: float) -> float | ExcelError:
    """The smallest number of successes whose cumulative probability reaches a value."""
    n = math.trunc(trials)
    if n < 0 or n > 1_000_000 or not 0 <= probability <= 1 or not 0 <= alpha <= 1:
        return ExcelError.NUM
    if alpha in (0, 1):
        raise FormulaError("asks for the successes of a probability of 0 or 1", remedy="Use one in between")
    low, high = 0, n
    while low < high:
        middle = (low + high) // 2
        if scipy.special.bdtr(middle, n, probability) >= alpha:
            high = middle
        else:
            low = middle + 1
    return float(low)


@plain("CRITBINOM", examples={"CRITBINOM(6,0.5,0.75)": 4})
def critbinom(trials: float, probability: float, alpha: float) -> float | ExcelError:
    """The smallest number of successes whose cumulative probability reaches a value."""
    return binom_inv(trials, probability, alpha)


@plain(
    "PROB",
    arrays=True,
    examples={"PROB({0,1,2,3},{0.2,0.3,0.1,0.4},2)": 0.1, "PROB({0,1,2,3},{0.2,0.3,0.1,0.4},1,3)": 0.8},
)
def prob(values: Grid, chances: Grid, low: float, high: float | None = None) -> float | ExcelError:
    """Probability that a value lies between two bounds, by a table of probabilities."""
    if error := values.error() or chances.error():
        return error
    pairs = list(zip(values.cells(), chances.cells(), strict=False))
    if values.height * values.width != chances.height * chances.width:
        return ExcelError.NA
    known = [(x, p) for x, p in pairs if is_number(x) and is_number(p)]
    if any(not 0 <= p <= 1 for _, p in known) or abs(sum(p for _, p in known) - 1) > 1e-10:
        return ExcelError.NUM
    last = low if high is None else high
    return math.fsum(p for x, p in known if low <= x <= last)


# --- how many arrangements there are ----------------------------------------------------------------------


def _chosen(number: float, chosen: float) -> tuple[int, int] | None:
    n, k = math.trunc(number), math.trunc(chosen)
    return None if n < 0 or k < 0 or n < k or n > 1e15 else (n, k)


@plain("COMBIN", examples={"COMBIN(8,2)": 28, "COMBIN(2,3)": "#NUM!"})
def combin(number: float, chosen: float) -> float | ExcelError:
    """How many ways there are to choose some of several things."""
    pair = _chosen(number, chosen)
    return ExcelError.NUM if pair is None or min(pair[1], pair[0] - pair[1]) > 2000 else float(math.comb(*pair))


@plain("COMBINA", examples={"COMBINA(4,3)": 20, "COMBINA(10,3)": 220, "COMBINA(0,0)": 1})
def combina(number: float, chosen: float) -> float | ExcelError:
    """How many ways there are to choose some of several things, each as often as wanted."""
    n, k = math.trunc(number), math.trunc(chosen)
    if n < 0 or k < 0 or (n == 0 and k > 0):
        return ExcelError.NUM
    return 1.0 if k == 0 else combin(n + k - 1.0, float(k))


@plain("PERMUT", examples={"PERMUT(100,3)": 970200, "PERMUT(3,2)": 6})
def permut(number: float, chosen: float) -> float | ExcelError:
    """How many ways there are to choose some of several things in an order."""
    pair = _chosen(number, chosen)
    return ExcelError.NUM if pair is None or pair[1] > 200 else float(math.perm(*pair))


@plain("PERMUTATIONA", examples={"PERMUTATIONA(3,2)": 9, "PERMUTATIONA(2,2)": 4})
def permutationa(number: float, chosen: float) -> float | ExcelError:
    """How many ways there are to choose some of several things in an order, each as often as wanted."""
    n, k = math.trunc(number), math.trunc(chosen)
    return ExcelError.NUM if n < 0 or k < 0 else math.pow(n, k)


@plain("FACT", examples={"FACT(5)": 120, "FACT(1.9)": 1, "FACT(0)": 1, "FACT(-1)": "#NUM!"})
def fact(number: float) -> float | ExcelError:
    """Factorial."""
    return ExcelError.NUM if number < 0 or number >= 171 else float(math.factorial(math.trunc(number)))


@plain("FACTDOUBLE", booleans=False, examples={"FACTDOUBLE(6)": 48, "FACTDOUBLE(7)": 105})
def factdouble(number: float) -> float | ExcelError:
    """The product of every second number down to 1 or 2."""
    n = math.trunc(number)
    if n < -1 or n > 300:
        return ExcelError.NUM
    return float(math.prod(range(n, 0, -2))) if n > 0 else 1.0


@plain("MULTINOMIAL", booleans=False, examples={"MULTINOMIAL(2,3,4)": 1260})
def multinomial(*numbers: Grid) -> float | ExcelError:
    """The factorial of a sum divided by the factorials of its terms."""
    if error := next((found for grid in numbers if (found := grid.error())), None):
        return error
    cells = [cell for grid in numbers for cell in grid.cells() if cell is not None]
    if not all(is_number(cell) for cell in cells):
        return ExcelError.VALUE
    whole = [math.trunc(cell) for cell in cells if is_number(cell)]
    if any(item < 0 for item in whole) or sum(whole) > 1000:
        return ExcelError.NUM
    return float(math.factorial(sum(whole)) // math.prod(map(math.factorial, whole)))
