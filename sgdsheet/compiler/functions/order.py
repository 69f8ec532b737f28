"""Order statistics: the median, the largest and smallest, percentiles and ranks."""

from __future__ import annotations

import math
from collections import Counter

import torch
from torch import Tensor

from sgdsheet.compiler.functions.formulas import failing
from sgdsheet.compiler.functions.moments import size_of
from sgdsheet.compiler.functions.plain import Grid, is_number, plain
from sgdsheet.compiler.functions.range_numbers import over_numbers, over_numbers_at
from sgdsheet.compiler.functions.registry import Derivative
from sgdsheet.compiler.ir.values import Fault
from sgdsheet.sheet.workbook import ExcelError


def _ascending(numbers: Tensor, counts: Tensor) -> Tensor:
    """The numbers in order, those that do not count behind them."""
    return torch.sort(torch.where(counts, numbers, math.inf), -1)[0]


def _places(numbers: Tensor) -> Tensor:
    """0, 1, 2 … along the numbers."""
    return torch.cumsum(torch.ones_like(numbers), -1) - 1.0


def _at(ordered: Tensor, place: Tensor) -> Tensor:
    """The number at a place from 0 on."""
    return torch.sum(torch.where(_places(ordered) == torch.unsqueeze(place, -1), ordered, 0.0), -1)


def _between(ordered: Tensor, place: Tensor, size: Tensor) -> Tensor:
    """Between the numbers on both sides of a place from 0 on that is no whole number."""
    low = torch.floor(place)
    high = torch.minimum(low + 1.0, size - 1.0)
    first, second = _at(ordered, low), _at(ordered, high)
    return first + (place - low) * (second - first)


def _share(numbers: Tensor, counts: Tensor, share: Tensor | float, *, inclusive: bool) -> Tensor:
    size = size_of(numbers, counts)
    place = share * (size - 1.0) if inclusive else share * (size + 1.0) - 1.0
    place = _snapped(place)
    possible = (place >= 0.0) & (place <= size - 1.0) & (size > 0.0)
    return failing(~possible, _between(_ascending(numbers, counts), torch.where(possible, place, 0.0), size))


def _snapped(place: Tensor) -> Tensor:
    """A place that misses a whole number by rounding only is that number."""
    near = torch.round(place)
    return torch.where(torch.abs(place - near) < 1e-9, near, place)


@over_numbers(
    "MEDIAN",
    derivative=Derivative.KINKED,
    examples={"MEDIAN({1,2,3,4,5})": 3, "MEDIAN({1,2,3,4,5,6})": 3.5, 'MEDIAN({"x"},"x")': "#VALUE!"},
)
def median(numbers: Tensor, counts: Tensor) -> Tensor:
    """The number in the middle."""
    return _share(numbers, counts, 0.5, inclusive=True)


@over_numbers_at("LARGE", examples={"LARGE({3,5,3,5,4},3)": 4, "LARGE({3,4,5},4)": "#NUM!"})
def large(numbers: Tensor, counts: Tensor, place: Tensor) -> Tensor:
    """The largest number but so many."""
    size, whole = size_of(numbers, counts), torch.ceil(place)  # as Excel saved it: 1.0000000001 is 2, 0.99 is none
    possible = (place >= 1.0) & (whole <= size)
    return failing(~possible, _at(_ascending(numbers, counts), torch.where(possible, size - whole, 0.0)))


@over_numbers_at("SMALL", whole=True, examples={"SMALL({1,4,8,3,7,12,54,8,23},2)": 3})
def small(numbers: Tensor, counts: Tensor, place: Tensor) -> Tensor:
    """The smallest number but so many."""
    possible = (place >= 1.0) & (place <= size_of(numbers, counts))
    return failing(~possible, _at(_ascending(numbers, counts), torch.where(possible, place - 1.0, 0.0)))


@over_numbers_at(
    "PERCENTILE.INC",
    also=["PERCENTILE"],
    examples={"PERCENTILE.INC({1,3,2,4},0.3)": 1.9, "PERCENTILE.INC({4},2)": "#NUM!"},
)
def percentile_inc(numbers: Tensor, counts: Tensor, share: Tensor) -> Tensor:
    """The number below which a share of the numbers lies, the ends included."""
    possible = (share >= 0.0) & (share <= 1.0)
    return failing(~possible, _share(numbers, counts, torch.where(possible, share, 0.0), inclusive=True))


@over_numbers_at(
    "PERCENTILE.EXC",
    examples={
        "PERCENTILE.EXC({1,2,3,6,6,6,7,8,9},0.25)": 2.5,
        "PERCENTILE.EXC({1,2,3,6,6,6,7,8,9},0.01)": "#NUM!",
    },
)
def percentile_exc(numbers: Tensor, counts: Tensor, share: Tensor) -> Tensor:
    """The number below which a share of the numbers lies, the ends excluded."""
    return _share(numbers, counts, share, inclusive=False)


def _quarter(numbers: Tensor, counts: Tensor, quart: Tensor, *, inclusive: bool) -> Tensor:
    whole = torch.trunc(quart)
    possible = (whole >= 0.0) & (whole <= 4.0) if inclusive else (whole >= 1.0) & (whole <= 3.0)
    return failing(~possible, _share(numbers, counts, torch.where(possible, whole, 2.0) / 4.0, inclusive=inclusive))


@over_numbers_at("QUARTILE.INC", also=["QUARTILE"], examples={"QUARTILE.INC({1,2,4,7,8,9,10,12},1)": 3.5})
def quartile_inc(numbers: Tensor, counts: Tensor, quart: Tensor) -> Tensor:
    """A quartile of the numbers, the ends included."""
    return _quarter(numbers, counts, quart, inclusive=True)


@over_numbers_at("QUARTILE.EXC", examples={"QUARTILE.EXC({6,7,15,36,39,40,41,42,43,47,49},1)": 15})
def quartile_exc(numbers: Tensor, counts: Tensor, quart: Tensor) -> Tensor:
    """A quartile of the numbers, the ends excluded."""
    return _quarter(numbers, counts, quart, inclusive=False)


@over_numbers_at("TRIMMEAN", examples={"TRIMMEAN({4,5,6,7,2,3,4,5,1,2,3},0.2)": 3.7777777777777777})
def trimmean(numbers: Tensor, counts: Tensor, share: Tensor) -> Tensor:
    """The mean without a share of the numbers at both ends."""
    size = size_of(numbers, counts)
    possible = (share >= 0.0) & (share < 1.0) & (size > 0.0)
    cut = torch.floor(torch.where(possible, share, 0.0) * size / 2.0 + 1e-9)
    ordered = _ascending(numbers, counts)
    place = _places(ordered)
    cut_, size_ = torch.unsqueeze(cut, -1), torch.unsqueeze(size, -1)
    kept = torch.where((place >= cut_) & (place < size_ - cut_), ordered, 0.0)
    return failing(~possible, torch.sum(kept, -1) / torch.where(possible, size - 2.0 * cut, 1.0))


def _rank(numbers: Tensor, counts: Tensor, number: Tensor, order: Tensor, *, mean: bool) -> Tensor:
    wanted = torch.unsqueeze(number, -1)
    higher, lower, same = (
        size_of(numbers, relation(numbers, wanted) & counts) for relation in (torch.gt, torch.lt, torch.eq)
    )
    place = torch.where(order == 0.0, higher, lower) + 1.0
    if mean:
        place = place + (same - 1.0) / 2.0
    return failing(same == 0, place, Fault.NA)


_NO_ORDER = torch.tensor(0.0, dtype=torch.float64)


@over_numbers_at(
    "RANK.EQ",
    also=["RANK"],
    first=1,
    fixed=(2,),
    arguments=(2, 3),
    derivative=Derivative.ZERO,
    examples={"RANK.EQ(3.5,{7;3.5;3.5;1;2},1)": 3, "RANK.EQ(7,{7;3.5;3.5;1;2})": 1, "RANK.EQ(9,{7;3})": "#N/A"},
)
def rank_eq(numbers: Tensor, counts: Tensor, number: Tensor, order: Tensor = _NO_ORDER) -> Tensor:
    """The place of a number among others, from the largest."""
    return _rank(numbers, counts, number, order, mean=False)


@over_numbers_at(
    "RANK.AVG",
    first=1,
    fixed=(2,),
    arguments=(2, 3),
    derivative=Derivative.ZERO,
    examples={"RANK.AVG(94,{89;88;92;101;94;97;95})": 4, "RANK.AVG(3.5,{7;3.5;3.5;1;2})": 2.5},
)
def rank_avg(numbers: Tensor, counts: Tensor, number: Tensor, order: Tensor = _NO_ORDER) -> Tensor:
    """The place of a number among others, from the largest; equal ones share the mean of theirs."""
    return _rank(numbers, counts, number, order, mean=True)


# --- of constants -----------------------------------------------------------------------------------------


def _position(grid: Grid, number: float) -> float | ExcelError:
    """How many numbers lie below a number, with the fraction of the way to the next; #N/A outside of them."""
    numbers = sorted(grid.numbers())
    if not numbers:
        return ExcelError.NUM
    if not numbers[0] <= number <= numbers[-1]:
        return ExcelError.NA
    below = sum(item < number for item in numbers)
    if number in numbers:
        return float(below)
    return below - 1 + (number - numbers[below - 1]) / (numbers[below] - numbers[below - 1])


def _cut_off(share: float, digits: float) -> float | ExcelError:
    if digits < 1:
        return ExcelError.NUM
    scale = math.pow(10, math.trunc(digits))
    return math.floor(share * scale + 1e-9) / scale


@plain(
    "PERCENTRANK.INC",
    skips_blanks=True,
    examples={
        "PERCENTRANK.INC({13,12,11,8,4,3,2,1,1,1},2)": 0.333,
        "PERCENTRANK.INC({13,12,11,8,4,3,2,1,1,1},5)": 0.583,
    },
)
def percentrank_inc(grid: Grid, number: float, digits: float = 3.0) -> float | ExcelError:
    """The share of the numbers that lie below a number, the ends included."""
    if error := grid.error():
        return error
    place, size = _position(grid, number), len(grid.numbers())
    if isinstance(place, ExcelError):
        return place
    return _cut_off(1.0 if size == 1 else place / (size - 1), digits)


@plain("PERCENTRANK", skips_blanks=True, examples={"PERCENTRANK({13,12,11,8,4,3,2,1,1,1},4)": 0.555})
def percentrank(grid: Grid, number: float, digits: float = 3.0) -> float | ExcelError:
    """The share of the numbers that lie below a number, the ends included."""
    return percentrank_inc(grid, number, digits)


@plain(
    "PERCENTRANK.EXC",
    skips_blanks=True,
    examples={
        "PERCENTRANK.EXC({1,2,3,6,6,6,7,8,9},7)": 0.7,
        "PERCENTRANK.EXC({1,2,3,6,6,6,7,8,9},5.43)": 0.381,
    },
)
def percentrank_exc(grid: Grid, number: float, digits: float = 3.0) -> float | ExcelError:
    """The share of the numbers that lie below a number, the ends excluded."""
    if error := grid.error():
        return error
    place = _position(grid, number)
    return place if isinstance(place, ExcelError) else _cut_off((place + 1) / (len(grid.numbers()) + 1), digits)


def _modes(grids: tuple[Grid, ...]) -> list[float] | ExcelError:
    """The numbers that occur most often, in the order in which they come.

    A single value that is no number is #VALUE!, as Excel saved it of texts and blank cells; in ranges it is skipped.
    """
    for grid in grids:
        single = next(grid.cells()) if grid.height * grid.width == 1 else 0.0
        if error := grid.error() or (None if is_number(single) else ExcelError.VALUE):
            return error
    times = Counter(number for grid in grids for number in grid.numbers())
    most = max(times.values(), default=0)
    return [number for number, count in times.items() if count == most] if most > 1 else ExcelError.NA


@plain(
    "MODE.SNGL", skips_blanks=True, arrays=True, examples={"MODE.SNGL({5.6,4,4,3,2,4})": 4, "MODE.SNGL({1,2})": "#N/A"}
)
def mode_sngl(*grids: Grid) -> float | ExcelError:
    """The number that occurs most often."""
    found = _modes(grids)
    return found if isinstance(found, ExcelError) else found[0]


@plain(
    "MODE",
    skips_blanks=True,
    arrays=True,
    examples={"MODE({5.6,4,4,3,2,4})": 4},
)
def mode(*grids: Grid) -> float | ExcelError:
    """The number that occurs most often."""
    return mode_sngl(*grids)


@plain("MODE.MULT", skips_blanks=True, arrays=True, examples={"SUM(MODE.MULT({1,2,3,4,3,2,1,2,3,5,6,1}))": 6})
def mode_mult(*grids: Grid) -> list[list[float]] | ExcelError:
    """All numbers that occur most often, one below the other."""
    found = _modes(grids)
    return found if isinstance(found, ExcelError) else [[number] for number in found]


@plain("FREQUENCY", arrays=True, examples={"INDEX(FREQUENCY({79,85,78,85,50,81,95,88,97},{70,79,89}),2)": 2})
def frequency(numbers: Grid, bins: Grid) -> list[list[float]] | ExcelError:
    """How many numbers there are up to each of several bounds, and beyond the last."""
    if error := numbers.error() or bins.error():
        return error
    bounds = bins.numbers() or [0.0]
    found = [0.0] * (len(bounds) + 1)
    ordered = sorted((bound, place) for place, bound in enumerate(bounds))
    for number in numbers.numbers():
        found[next((place for bound, place in ordered if number <= bound), len(bounds))] += 1
    return [[count] for count in found]
