"""Statistical tests of ranges of constants."""

from __future__ import annotations

import math
import statistics

import scipy  # type: ignore[import-untyped]  # its parts are imported when they are used

from sgdsheet.compiler.functions.plain import Grid, is_number, plain
from sgdsheet.sheet.workbook import ExcelError


def _pairs(one: Grid, two: Grid) -> list[tuple[float, float]] | ExcelError:
    """The pairs of numbers, in their order; #N/A for ranges of different sizes, before an error in them."""
    if one.height * one.width != two.height * two.width:
        return ExcelError.NA
    if error := one.error() or two.error():
        return error
    found = zip(one.cells(), two.cells(), strict=True)
    return [(x, y) for x, y in found if is_number(x) and is_number(y)]


@plain(
    "CHISQ.TEST",
    arrays=True,
    examples={
        "CHISQ.TEST({58,35;11,25;10,23},{45.35,47.65;17.56,18.44;16.09,16.91})": 0.000308192,
        "CHISQ.TEST({1;2.1},{1,2.2})": 0.9462473587,
    },
)
def chisq_test(actual: Grid, expected: Grid) -> float | ExcelError:
    """Probability that observations agree with what is expected (χ² test)."""
    pairs = _pairs(actual, expected)
    if isinstance(pairs, ExcelError):
        return pairs
    rows, columns = actual.height, actual.width
    freedom = (rows - 1) * (columns - 1) if rows > 1 and columns > 1 else rows * columns - 1
    if freedom < 1:
        return ExcelError.NA
    if not pairs or any(e == 0 for _, e in pairs):
        return ExcelError.DIV0
    statistic = math.fsum((o - e) ** 2 / e for o, e in pairs)
    return (
        ExcelError.NUM if any(e < 0 for _, e in pairs) else float(scipy.special.gammaincc(freedom / 2, statistic / 2))
    )


@plain(
    "CHITEST", arrays=True, examples={"CHITEST({58,35;11,25;10,23},{45.35,47.65;17.56,18.44;16.09,16.91})": 0.000308192}
)
def chitest(actual: Grid, expected: Grid) -> float | ExcelError:
    """Probability that observations agree with what is expected (χ² test)."""
    return chisq_test(actual, expected)


@plain("F.TEST", arrays=True, examples={"F.TEST({6,7,9,15,21},{20,28,31,38,40})": 0.64831785})
def f_test(one: Grid, two: Grid) -> float | ExcelError:
    """Probability, on both sides, that two variances are the same."""
    if error := one.error() or two.error():
        return error
    first, second = one.numbers(), two.numbers()
    if min(len(first), len(second)) < 2:
        return ExcelError.DIV0
    spread, other = statistics.variance(first), statistics.variance(second)
    if spread == 0 or other == 0:
        return ExcelError.DIV0
    below = scipy.special.fdtr(len(first) - 1, len(second) - 1, spread / other)
    return float(2 * min(below, 1 - below))


@plain("FTEST", arrays=True, examples={"FTEST({6,7,9,15,21},{20,28,31,38,40})": 0.64831785})
def ftest(one: Grid, two: Grid) -> float | ExcelError:
    """Probability, on both sides, that two variances are the same."""
    return f_test(one, two)


_T_TEST = "{3,4,5,8,9,1,2,4,5},{6,19,3,2,14,4,5,17,1}"


@plain("T.TEST", arrays=True, examples={f"T.TEST({_T_TEST},2,1)": 0.196016})
def t_test(one: Grid, two: Grid, tails: float, kind: float) -> float | ExcelError:
    """Probability that two means are the same: of pairs (1), of equal (2) or unequal variances (3)."""
    sides, way = math.trunc(tails), math.trunc(kind)
    error = one.error() or two.error()
    if error is not None and (way != 1 or sides not in (1, 2)):
        return error
    if sides not in (1, 2) or way not in (1, 2, 3):
        return ExcelError.NUM
    found = _paired(one, two) if way == 1 else _unpaired(one.numbers(), two.numbers(), way == 2)
    if isinstance(found, ExcelError):
        return found
    statistic, freedom = found
    return float(sides * scipy.special.stdtr(freedom, -abs(statistic)))


def _paired(one: Grid, two: Grid) -> tuple[float, float] | ExcelError:
    pairs = _pairs(one, two)
    if isinstance(pairs, ExcelError):
        return pairs
    apart = [x - y for x, y in pairs]
    spread = statistics.stdev(apart) if len(apart) > 1 else 0.0
    if spread == 0:
        return ExcelError.DIV0
    return statistics.fmean(apart) / (spread / math.sqrt(len(apart))), len(apart) - 1.0


def _unpaired(first: list[float], second: list[float], alike: bool) -> tuple[float, float] | ExcelError:
    n, m = len(first), len(second)
    if min(n, m) < 2:
        return ExcelError.DIV0
    spread, other = statistics.variance(first), statistics.variance(second)
    apart = statistics.fmean(first) - statistics.fmean(second)
    if spread + other == 0:
        return ExcelError.DIV0
    if alike:
        pooled = ((n - 1) * spread + (m - 1) * other) / (n + m - 2)
        return apart / math.sqrt(pooled * (1 / n + 1 / m)), n + m - 2.0
    one, two = spread / n, other / m
    return apart / math.sqrt(one + two), (one + two) ** 2 / (one**2 / (n - 1) + two**2 / (m - 1))


@plain("TTEST", arrays=True, examples={f"TTEST({_T_TEST},2,1)": 0.196016})
def ttest(one: Grid, two: Grid, tails: float, kind: float) -> float | ExcelError:
    """Probability that two means are the same: of pairs (1), of equal (2) or unequal variances (3)."""
    return t_test(one, two, tails, kind)


@plain(
    "Z.TEST",
    skips_blanks=True,
    examples={"Z.TEST({3,6,7,8,6,5,4,2,1,9},4)": 0.090574, "Z.TEST({3,6,7,8,6,5,4,2,1,9},6)": 0.863043},
)
def z_test(grid: Grid, mean: float, deviation: float | None = None) -> float | ExcelError:
    """Probability that the mean of a sample is larger than the observed one."""
    if error := grid.error():
        return error
    numbers = grid.numbers()
    if not numbers:
        return ExcelError.NA
    if deviation is None:
        if len(numbers) < 2:
            return ExcelError.DIV0
        deviation = statistics.stdev(numbers)
        if deviation == 0:
            return ExcelError.DIV0
    if deviation <= 0:
        return ExcelError.NUM
    z = (statistics.fmean(numbers) - mean) / (deviation / math.sqrt(len(numbers)))
    return 0.5 * math.erfc(z / math.sqrt(2))


@plain("ZTEST", skips_blanks=True, examples={"ZTEST({3,6,7,8,6,5,4,2,1,9},4)": 0.090574})
def ztest(grid: Grid, mean: float, deviation: float | None = None) -> float | ExcelError:
    """Probability that the mean of a sample is larger than the observed one."""
    return z_test(grid, mean, deviation)


@plain("CONFIDENCE.T", examples={"CONFIDENCE.T(0.05,1,50)": 0.284196855})
def confidence_t(alpha: float, deviation: float, size: float) -> float | ExcelError:
    """Half the width of the confidence interval of a mean, by Student's t distribution."""
    count = math.trunc(size)
    if not 0 < alpha < 1 or deviation <= 0 or count < 1:
        return ExcelError.NUM
    if count == 1:
        return ExcelError.DIV0
    return float(-scipy.special.stdtrit(count - 1, alpha / 2) * deviation / math.sqrt(count))
