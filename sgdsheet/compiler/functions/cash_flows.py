"""Series of payments: net present values, internal rates of return, and what interest adds up to.

A rate is the root of an equation, with the derivatives of the implicit function.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping

import torch
from torch import Tensor

from sgdsheet.compiler.functions.annuities import annuity, growth
from sgdsheet.compiler.functions.formulas import ZERO, failing, formula, inside
from sgdsheet.compiler.functions.moments import size_of
from sgdsheet.compiler.functions.plain import plain
from sgdsheet.compiler.functions.range_numbers import applied, gathered_numbers, over_numbers_at
from sgdsheet.compiler.functions.registry import Context, Derivative, Takes, function
from sgdsheet.compiler.functions.roots import Equation, newton, searched, settled
from sgdsheet.compiler.functions.scheduled import Terms, giving, scheduled
from sgdsheet.compiler.ir.values import Fault, Kind, Value
from sgdsheet.compiler.ir.varying import varying
from sgdsheet.errors import FormulaError
from sgdsheet.sheet.workbook import ExcelError

_EARLY = 1e-7
"""Excel's documentation: its rates are accurate within 0.00001 percent."""

_LOWEST = -0.99
"""A rate of an annuity below is none, but a search that has lost its way."""

_GUESS = torch.tensor(0.1)


def _place(counts: Tensor, numbers: Tensor) -> Tensor:
    """The period of each payment, from 0 on: what does not count takes none."""
    return torch.cumsum(torch.where(counts, torch.ones_like(numbers), 0.0), -1) - 1.0


def _present(numbers: Tensor, counts: Tensor, growth: Tensor) -> Tensor:
    """The present value of payments at the ends of periods in which money grows so much."""
    discount = torch.pow(torch.unsqueeze(growth, -1), -1.0 - _place(counts, numbers))
    return torch.sum(torch.where(counts, numbers * discount, 0.0), -1)


@function(
    "NPV",
    arguments=(2, 255),
    scalars=[0],
    takes=Takes.RANGES,
    examples={
        "NPV(0.1,-10000,3000,4200,6800)": 1188.443412336,
        "NPV(0.08,{8000,9200,10000,12000,14500})-40000": 1922.0615549,
        "NPV(-1,5)": "#DIV/0!",
    },
)
def npv(context: Context, rate: Value, *payments: Value) -> Value:
    """The present value of payments at the ends of periods."""
    builder = context.builder
    sample, number = gathered_numbers(builder, payments), builder.numbers(rate)
    return applied(builder, _net_present, [sample], [number, *payments], [number])


def _net_present(numbers: Tensor, counts: Tensor, rate: Tensor) -> Tensor:
    growth = 1.0 + rate
    possible = growth != 0.0
    return failing(~possible, _present(numbers, counts, inside(possible, growth)), Fault.DIV0)


@over_numbers_at(
    "IRR",
    derivative=Derivative.SMOOTH,
    inexact=_EARLY,
    fixed=(1,),
    arguments=(1, 2),
    examples={
        "IRR({-70000,12000,15000,18000,21000})": -0.0212448482734,
        "IRR({-70000,12000,15000,18000,21000,26000})": 0.0866309480365,
        "IRR({-70000,12000,15000},-0.1)": -0.4435069413347,
        "IRR({1,2})": "#NUM!",
    },
)
def irr(numbers: Tensor, counts: Tensor, guess: Tensor = _GUESS) -> Tensor:
    """The rate at which the present value of payments is 0."""
    places = _place(counts, numbers)
    both = torch.any(numbers > 0.0, -1) & torch.any(numbers < 0.0, -1)

    def value(rate: Tensor, amounts: Tensor) -> tuple[Tensor, Tensor]:
        discount = torch.exp(-places * torch.unsqueeze(torch.log1p(rate), -1))
        terms = torch.where(counts, amounts * discount, 0.0)
        return torch.sum(terms, -1), -torch.sum(places * terms, -1) / (1.0 + rate)

    return failing(~both, _root(value, numbers, guess + numbers[..., 0] * 0.0))


def _root(equation: Equation, amounts: Tensor, guess: Tensor) -> Tensor:
    """The rate at which `equation(rate, amounts)` is 0, by Newton's method from a guess."""
    fixed = [amounts.detach()]
    rate = searched(equation, guess, fixed)
    result = settled(equation, rate, [amounts])
    if isinstance(result, Tensor) and not bool(result.isfinite().all()):
        starts = (-0.9, -0.5, -0.1, 0.0, 0.5, 2.0)
        others = (settled(equation, searched(equation, guess * 0.0 + start, fixed), fixed) for start in starts)
        if any(bool((other.isfinite() & ~result.isfinite()).any()) for other in others):
            raise FormulaError("finds no rate from the guess, and there is one", remedy="Give another guess")
    return result


# --- at dates ---------------------------------------------------------------------------------------------


def _at_dates(
    name: str, examples: Mapping[str, float | str | bool], rate_first: bool
) -> Callable[[Callable[..., Tensor]], Callable[..., Tensor]]:
    """Declare a function of payments at fixed dates, and of a rate before or a guess behind them."""

    def declare(implementation: Callable[..., Tensor]) -> Callable[..., Tensor]:
        def evaluate(context: Context, *given: Value) -> Value:
            builder = context.builder
            payments, dates = given[1:3] if rate_first else given[:2]
            others = [builder.numbers(value) for value in (given[:1] if rate_first else given[2:])]
            if payments.size("h") * payments.size("w") != dates.size("h") * dates.size("w"):
                return builder.error(Fault.NUM)
            if any(value.has(Kind.TEXT, Kind.BOOLEAN, Kind.BLANK) for value in (payments, dates)):
                raise FormulaError("has payments or dates that are no numbers", remedy="Fill the ranges with numbers")
            if rate_first and given[0].constant and bool((builder.numbers(given[0]).tensor <= 0).any()):
                raise FormulaError(
                    "discounts by a rate of 0 or less, which programs treat differently", remedy="Add up"
                )
            if not dates.constant:
                raise varying(builder, f"calls {name} with dates that depend on", dates, remedy="Use fixed dates")
            if any(number < 1 for number in builder.numbers(dates).tensor.flatten().tolist()):
                return builder.error(Fault.NUM)
            samples = [gathered_numbers(builder, [value]) for value in (payments, dates)]
            ordered = [*others, payments, dates] if rate_first else [payments, dates, *others]
            return applied(builder, implementation, samples, ordered, others)

        evaluate.__doc__, evaluate.__module__ = implementation.__doc__, implementation.__module__
        dates = 2 if rate_first else 1
        function(
            name,
            arguments=(3, 3) if rate_first else (2, 3),
            takes=Takes.ARRAYS,
            scalars=[0] if rate_first else [2],
            fixed_arguments=[dates] if rate_first else [1, 2],
            inexact=0.0 if rate_first else _EARLY,
            names=("rate", "payments", "dates") if rate_first else ("payments", "dates", "guess"),
            examples=examples,
        )(evaluate)
        return implementation

    return declare


def _years(dates: Tensor) -> Tensor:
    """Years of 365 days since the first date."""
    whole = torch.floor(dates)
    return (whole - whole[..., :1]) / 365.0


_PAYMENTS = "{-10000;2750;4250;3250;2750},{39448;39508;39751;39859;39904}"


@_at_dates(
    "XNPV",
    {f"XNPV(0.09,{_PAYMENTS})": 2086.647602031535},
    rate_first=True,
)
def xnpv(numbers: Tensor, dates: Tensor, counts: Tensor, rate: Tensor) -> Tensor:
    """The present value of payments at dates."""
    possible = rate >= 0.0
    years = _years(dates)
    discount = torch.exp(-years * torch.unsqueeze(torch.log1p(inside(possible, rate)), -1))
    late = torch.any(years < 0.0, -1)
    return failing(late | ~possible, torch.sum(numbers * discount, -1))


@_at_dates("XIRR", {f"XIRR({_PAYMENTS},0.1)": 0.3733625335}, rate_first=False)
def xirr(numbers: Tensor, dates: Tensor, counts: Tensor, guess: Tensor = _GUESS) -> Tensor:
    """The rate at which the present value of payments at dates is 0."""
    years = _years(dates)
    both = torch.any(numbers > 0.0, -1) & torch.any(numbers < 0.0, -1) & ~torch.any(years < 0.0, -1)

    def value(rate: Tensor, amounts: Tensor) -> tuple[Tensor, Tensor]:
        terms = amounts * torch.exp(-years * torch.unsqueeze(torch.log1p(rate), -1))
        return torch.sum(terms, -1), -torch.sum(years * terms, -1) / (1.0 + rate)

    return failing(~both, _root(value, numbers, guess + numbers[..., 0] * 0.0))


@over_numbers_at(
    "MIRR",
    fixed=(),
    arguments=(3, 3),
    derivative=Derivative.SMOOTH,
    examples={
        "MIRR({-120000,39000,30000,21000,37000,46000},0.1,0.12)": 0.126094130366,
        "MIRR({-100,-50},0.1,0.12)": -1,
        "MIRR({100,50},0.1,0.12)": "#DIV/0!",
    },
)
def mirr(numbers: Tensor, counts: Tensor, cost: Tensor, gain: Tensor) -> Tensor:
    """The rate of return where what comes in is invested at another rate than what goes out is paid for."""
    size = size_of(numbers, counts)
    gains, costs = torch.where(numbers > 0.0, numbers, 0.0), torch.where(numbers < 0.0, numbers, 0.0)
    spends = torch.any(costs < 0.0, -1) & (cost > -1.0) & (gain > -1.0) & (size > 1.0)
    possible = spends & torch.any(gains > 0.0, -1)
    cost, gain = inside(possible, cost), inside(possible, gain)
    earned = _present(gains, counts, 1.0 + gain) * torch.exp(size * torch.log1p(gain))
    paid = -_present(costs, counts, 1.0 + cost) * (1.0 + cost)
    growth = torch.log(inside(possible, earned) / inside(possible, paid)) / inside(possible, size - 1.0)
    return failing(~spends, torch.where(possible, torch.expm1(growth), -1.0), Fault.DIV0)


@formula(
    "RATE", inexact=_EARLY, fixed=[4, 5], examples={"RATE(4*12,-200,8000)": 0.007701472488235, "RATE(10,-100,1000)": 0}
)
def rate_(
    periods: Tensor,
    payment: Tensor,
    present: Tensor,
    future: Tensor = ZERO,
    kind: Tensor = ZERO,
    guess: Tensor = _GUESS,
) -> Tensor:
    """The interest rate of a period of an annuity."""
    due = torch.where(kind != 0.0, 1.0, 0.0)

    def value(rate: Tensor, n: Tensor, paid: Tensor, start: Tensor, end: Tensor) -> tuple[Tensor, Tensor]:
        small = torch.abs(rate) < 1e-7
        safe = torch.where(small, 1.0, rate)
        grown = torch.exp(n * torch.log1p(rate))
        factor = torch.where(small, n + n * (n - 1.0) * 0.5 * rate, torch.expm1(n * torch.log1p(safe)) / safe)
        steeper = torch.where(small, n * (n - 1.0) * 0.5, (n * grown / (1.0 + safe) - factor) / safe)
        total = start * grown + paid * (1.0 + rate * due) * factor + end
        return total, start * n * grown / (1.0 + rate) + paid * (due * factor + (1.0 + rate * due) * steeper)

    start = guess + (periods + payment + present + future).detach() * 0.0
    found = newton(value, start, (periods, payment, present, future))
    return failing(found <= _LOWEST, found)


@over_numbers_at(
    "FVSCHEDULE",
    first=1,
    fixed=(),
    derivative=Derivative.SMOOTH,
    examples={"FVSCHEDULE(1,{0.09,0.11,0.1})": 1.33089},
)
def fvschedule(numbers: Tensor, counts: Tensor, principal: Tensor) -> Tensor:
    """The future value of a principal at a series of interest rates."""
    return principal * torch.prod(1.0 + numbers, -1)


# --- of constants -----------------------------------------------------------------------------------------


@giving(4)
def _span(periods: float, first: float, last: float, kind: float) -> Terms:
    """The periods of a loan, those before a span and up to its end, and 1 if it is paid in advance."""
    start, end = math.trunc(first), math.trunc(last)
    if periods <= 0 or start < 1 or end < start or end > periods or kind not in (0, 1):
        return ExcelError.NUM
    return periods, start - 1.0, float(end), kind


def _left(rate: Tensor, payment: Tensor, present: Tensor, number: Tensor, due: Tensor) -> Tensor:
    """What is left of a loan after so many payments, the first of which is made at once if `due` is 1."""
    later = torch.where(number > 0.0, number - due, 0.0)
    start = present + torch.where(number > 0.0, due, 0.0) * payment
    return start * growth(rate, later) + payment * annuity(rate, later)


def _paid_back(
    rate: Tensor, present: Tensor, periods: Tensor, before: Tensor, last: Tensor, due: Tensor
) -> tuple[Tensor, Tensor]:
    """What is paid back in a span of a loan, and what is paid in it altogether."""
    payment = -present * growth(rate, periods) / annuity(rate, periods) / (1.0 + rate * due)
    back = _left(rate, payment, present, last, due) - _left(rate, payment, present, before, due)
    return back, payment * (last - before)


@scheduled(
    "CUMIPMT",
    schedule=_span,
    fixed=[1, 3, 4, 5],
    dates=False,
    examples={
        "CUMIPMT(0.09/12,30*12,125000,13,24,0)": -11135.23213075,
        "CUMIPMT(0.09/12,30*12,125000,1,1,0)": -937.5,
    },
)
def cumipmt(rate: Tensor, present: Tensor, periods: Tensor, before: Tensor, last: Tensor, due: Tensor) -> Tensor:
    """The interest that is paid on a loan between two periods."""
    possible = (rate > 0.0) & (present > 0.0)
    back, paid = _paid_back(inside(possible, rate), present, periods, before, last, due)
    return failing(~possible, paid - back)


@scheduled(
    "CUMPRINC",
    schedule=_span,
    fixed=[1, 3, 4, 5],
    dates=False,
    examples={
        "CUMPRINC(0.09/12,30*12,125000,13,24,0)": -934.1071234,
        "CUMPRINC(0.09/12,30*12,125000,1,1,0)": -68.27827118,
    },
)
def cumprinc(rate: Tensor, present: Tensor, periods: Tensor, before: Tensor, last: Tensor, due: Tensor) -> Tensor:
    """What is paid back on a loan between two periods."""
    possible = (rate > 0.0) & (present > 0.0)
    return failing(~possible, _paid_back(inside(possible, rate), present, periods, before, last, due)[0])


@plain("DOLLARDE", booleans=False, examples={"DOLLARDE(1.02,16)": 1.125, "DOLLARDE(1.1,32)": 1.3125})
def dollarde(price: float, fraction: float) -> float | ExcelError:
    """A price with a fraction behind the point as a decimal number."""
    parts = math.trunc(fraction)
    if fraction < 0:
        return ExcelError.NUM
    if parts == 0:
        return ExcelError.DIV0
    whole = math.trunc(price)
    return whole + (price - whole) * math.pow(10, math.ceil(math.log10(parts))) / parts


@plain("DOLLARFR", booleans=False, examples={"DOLLARFR(1.125,16)": 1.02, "DOLLARFR(1.125,32)": 1.04})
def dollarfr(price: float, fraction: float) -> float | ExcelError:
    """A decimal price with a fraction behind the point."""
    parts = math.trunc(fraction)
    if fraction < 0:
        return ExcelError.NUM
    if parts == 0:
        return ExcelError.DIV0
    whole = math.trunc(price)
    return whole + (price - whole) * parts / math.pow(10, math.ceil(math.log10(parts)))
