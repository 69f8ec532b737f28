"""Twelve models as analysts build them in a sheet, each beside the same model in NumPy and SciPy.

The sheet and the NumPy model have nothing in common but the data: SciPy's optimum of the one is what training the other
has to reach.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import optimize, stats

Vector = NDArray[np.float64]


@dataclass(frozen=True)
class AnalystModel:
    """A sheet with its loss and its parameters, in the order of the vector that `objective` takes.

    `exact` is the optimum in closed form, where there is one.
    """

    cells: dict[str, Any]
    params: str
    objective: Callable[[Vector], float]
    start: list[float]
    loss: str = "D1"
    names: dict[str, str] = field(default_factory=dict)
    settings: dict[str, Any] = field(default_factory=dict)
    exact: list[float] | None = None
    near: list[float] | None = None
    """Where SciPy looks for the optimum, if not at the start."""
    office: bool = True
    """Whether LibreOffice knows all its functions."""


def column(values: Any) -> list[list[float]]:
    return [[round(float(item), 6)] for item in values]


def numbers(cells: list[list[float]]) -> Vector:
    return np.array([row[0] for row in cells])


def _normal() -> AnalystModel:
    """A likelihood of returns, by NORM.DIST for one half of them and by NORMDIST, its old name, for the other."""
    data = column(np.random.default_rng(1).normal(0.8, 1.7, 40))
    x = numbers(data)

    def objective(p: Vector) -> float:
        return -float(stats.norm.logpdf(x, p[0], p[1]).sum())

    cells = {
        "B1:B2": [[0.3], [1.2]],
        "F2:F41": data,
        "G2:G21": "=LN(_xlfn.NORM.DIST(F{r},$B$1,$B$2,FALSE))",
        "G22:G41": "=LN(NORMDIST(F{r},$B$1,$B$2,FALSE))",
        "D1": "=-SUM(G2:G41)",
    }
    return AnalystModel(cells, "B1:B2", objective, [0.3, 1.2], exact=[float(x.mean()), float(x.std())])


def _poisson() -> AnalystModel:
    """Counts that grow with a cause, by the old name POISSON."""
    random = np.random.default_rng(2)
    cause = column(random.uniform(0, 2, 50))
    counts = column(random.poisson(np.exp(0.4 + 0.7 * numbers(cause))))
    x, y = numbers(cause), numbers(counts)

    def objective(p: Vector) -> float:
        return -float(stats.poisson.logpmf(y, np.exp(p[0] + p[1] * x)).sum())

    cells = {
        "B1:B2": [[0.1], [0.1]],
        "F2:F51": cause,
        "G2:G51": counts,
        "H2:H51": "=EXP($B$1+$B$2*F{r})",
        "I2:I51": "=LN(POISSON(G{r},H{r},FALSE))",
        "D1": "=-SUM(I2:I51)",
    }
    return AnalystModel(cells, "B1:B2", objective, [0.1, 0.1])


def _garch() -> AnalystModel:
    """GARCH(1,1) with a variance for each day, which depends on the day before."""
    random, variance, returns = np.random.default_rng(3), 1.0, []
    for _ in range(200):
        returns.append(random.normal(0, math.sqrt(variance)))
        variance = 0.1 + 0.15 * returns[-1] ** 2 + 0.75 * variance
    data = column(returns)
    r = numbers(data)

    def objective(p: Vector) -> float:
        omega, alpha, beta = p
        if min(p) <= 0 or alpha + beta >= 1.5:
            return math.inf
        h, total = float(r.var()), 0.0
        for value in r:
            total += 0.5 * (math.log(2 * math.pi * h) + value * value / h)
            h = omega + alpha * value * value + beta * h
        return total

    cells = {
        "B1:B3": [[0.2], [0.1], [0.7]],
        "F2:F201": data,
        "G2": "=VARP(F2:F201)",
        "G3:G201": "=$B$1+$B$2*F{p}^2+$B$3*G{p}",
        "H2:H201": "=0.5*(LN(2*PI()*G{r})+F{r}^2/G{r})",
        "D1": "=SUM(H2:H201)",
    }
    return AnalystModel(cells, "B1:B3", objective, [0.2, 0.1, 0.7])


def _holt_winters() -> AnalystModel:
    """Additive Holt-Winters with four seasons; the errors of one step are minimised."""
    random, season = np.random.default_rng(4), [3.0, -1.0, -4.0, 2.0]
    sales, level, trend, seasonal = [], 20.0, 0.4, list(season)
    for i in range(44):
        error = float(random.normal(0, 1.0))
        sales.append(level + trend + seasonal[i % 4] + error)
        level, trend = level + trend + 0.5 * error, trend + 0.12 * error
        seasonal[i % 4] += 0.25 * error
    data = column(sales)
    y = numbers(data)

    def objective(p: Vector) -> float:
        alpha, beta, gamma = p
        level, trend = float(y[:4].mean()), 0.0
        seasonal, total = [float(item) - level for item in y[:4]], 0.0
        for i in range(4, len(y)):
            total += (y[i] - (level + trend + seasonal[i - 4])) ** 2
            before = level
            level = alpha * (y[i] - seasonal[i - 4]) + (1 - alpha) * (level + trend)
            trend = beta * (level - before) + (1 - beta) * trend
            seasonal.append(gamma * (y[i] - level) + (1 - gamma) * seasonal[i - 4])
        return float(total)

    cells = {
        "B1:B3": [[0.3], [0.1], [0.1]],
        "F2:F45": data,
        "G5": "=AVERAGE(F2:F5)",
        "H5": 0,
        "I2:I5": "=F{r}-$G$5",
        "G6:G45": "=$B$1*(F{r}-I{s})+(1-$B$1)*(G{p}+H{p})",
        "H6:H45": "=$B$2*(G{r}-G{p})+(1-$B$2)*H{p}",
        "I6:I45": "=$B$3*(F{r}-G{r})+(1-$B$3)*I{s}",
        "J6:J45": "=G{p}+H{p}+I{s}",
        "D1": "=SUMXMY2(F6:F45,J6:J45)",
    }
    return AnalystModel(cells, "B1:B3", objective, [0.3, 0.1, 0.1])


def _logistic() -> AnalystModel:
    """Logistic regression by SUMPRODUCT."""
    random = np.random.default_rng(5)
    inputs = [[1.0, *map(float, row)] for row in random.normal(0, 1, (60, 2)).round(4)]
    x = np.array(inputs)
    bought = column(random.uniform(0, 1, 60) < 1 / (1 + np.exp(-x @ np.array([0.3, 1.2, -0.8]))))
    y = numbers(bought)

    def objective(p: Vector) -> float:
        z = x @ p
        return float(np.mean(np.logaddexp(0, z) - y * z))

    cells = {
        "B1:D1": [[0.0, 0.0, 0.0]],
        "F2:H61": inputs,
        "I2:I61": bought,
        "J2:J61": "=1/(1+EXP(-SUMPRODUCT(F{r}:H{r},$B$1:$D$1)))",
        "K2:K61": "=-(I{r}*LN(J{r})+(1-I{r})*LN(1-J{r}))",
        "D3": "=AVERAGE(K2:K61)",
    }
    return AnalystModel(cells, "B1:D1", objective, [0.0, 0.0, 0.0], loss="D3")


def _linest() -> AnalystModel:
    """The exponent at which LINEST leaves the smallest standard error."""
    x = np.arange(1.0, 13.0)
    data = column(2.0 + 0.7 * x**1.6 + np.random.default_rng(6).normal(0, 0.4, 12))
    y = numbers(data)

    def objective(p: Vector) -> float:
        fitted = stats.linregress(x ** p[0], y)
        residuals = y - fitted.intercept - fitted.slope * x ** p[0]
        return float(np.sqrt((residuals**2).sum() / (len(x) - 2)))

    cells = {
        "B1": 1.0,
        "F2:F13": column(x),
        "G2:G13": data,
        "H2:H13": "=F{r}^$B$1",
        "D1": "=INDEX(LINEST(G2:G13,H2:H13,TRUE,TRUE),3,2)",
    }
    return AnalystModel(cells, "B1", objective, [1.0])


def _internal_rate() -> AnalystModel:
    """The price at which an investment returns 11 %."""
    flows = [120.0, 180.0, 260.0, 310.0, 240.0]

    def worth(rate: float) -> float:
        return sum(flow / (1 + rate) ** year for year, flow in enumerate(flows, start=1))

    def objective(p: Vector) -> float:
        return float((100 * optimize.brentq(lambda rate: worth(rate) - p[0], -0.9, 9.0, xtol=1e-15) - 11.0) ** 2)

    cells = {
        "B1": 700.0,
        "F2": "=-B1",
        "F3:F7": column(flows),
        "D1": "=(100*IRR(F2:F7)-11)^2",
    }
    return AnalystModel(cells, "B1", objective, [700.0], exact=[worth(0.11)])


def _yield_curve() -> AnalystModel:
    """Nelson-Siegel's curve through yields."""
    years = [0.25, 0.5, 1, 2, 3, 5, 7, 10, 20, 30]
    t = np.array(years)

    def curve(p: Vector) -> Vector:
        slope = (1 - np.exp(-t / p[3])) / (t / p[3])
        return np.asarray(p[0] + p[1] * slope + p[2] * (slope - np.exp(-t / p[3])))

    data = column(curve(np.array([4.3, -2.1, 1.5, 1.8])) + np.random.default_rng(7).normal(0, 0.03, 10))
    y = numbers(data)

    def objective(p: Vector) -> float:
        return float(((y - curve(p)) ** 2).sum())

    cells = {
        "B1:B4": [[4.0], [-1.0], [0.5], [1.0]],
        "F2:F11": [[year] for year in years],
        "G2:G11": data,
        "H2:H11": "=(1-EXP(-F{r}/tau))/(F{r}/tau)",
        "I2:I11": "=$B$1+$B$2*H{r}+$B$3*(H{r}-EXP(-F{r}/tau))",
        "D1": "=SUMXMY2(G2:G11,I2:I11)",
    }
    near = [4.3, -2.1, 1.5, 1.8]
    return AnalystModel(cells, "B1:B4", objective, [4.0, -1.0, 0.5, 1.0], names={"tau": "B4"}, near=near)


def _lags() -> AnalystModel:
    """An autoregression whose lags stand in cells, by OFFSET."""
    random, series = np.random.default_rng(8), [1.0, 0.4, 0.8]
    for _ in range(60):
        series.append(0.5 + 0.5 * series[-1] - 0.3 * series[-3] + float(random.normal(0, 0.3)))
    data = column(series)
    y = numbers(data)

    def objective(p: Vector) -> float:
        errors = y[3:] - (p[0] + p[1] * y[2:-1] + p[2] * y[:-3])
        return float((errors**2).mean())

    design = np.column_stack([np.ones(len(y) - 3), y[2:-1], y[:-3]])
    exact, *_ = np.linalg.lstsq(design, y[3:], rcond=None)
    cells = {
        "B1:B3": [[0.0], [0.1], [0.1]],
        "B5:B6": [[1], [3]],
        "F2:F64": data,
        "G5:G64": "=$B$1+$B$2*OFFSET(F{r},-$B$5,0)+$B$3*OFFSET(F{r},-$B$6,0)",
        "H5:H64": "=(F{r}-G{r})^2",
        "D1": "=AVERAGE(OFFSET(H5,0,0,COUNT(H:H),1))",
    }
    return AnalystModel(cells, "B1:B3", objective, [0.0, 0.1, 0.1], exact=list(map(float, exact)))


def _categories() -> AnalystModel:
    """Prices by region and size: each row finds its region's parameter by INDEX and MATCH."""
    random, regions = np.random.default_rng(9), ["north", "south", "east", "west"]
    where = [regions[i % 4] for i in random.integers(0, 4, 48)]
    size = column(random.uniform(40, 120, 48))
    level = {"north": 12.0, "south": 30.0, "east": -5.0, "west": 4.0}
    price = column([level[name] for name in where] + 1.5 * numbers(size) + random.normal(0, 3, 48))
    x, y = numbers(size), numbers(price)
    picks = np.array([regions.index(name) for name in where])

    def objective(p: Vector) -> float:
        return float(np.sqrt(((y - p[picks] - p[4] * x) ** 2).mean()))

    design = np.column_stack([*(picks == number for number in range(4)), x])
    exact, *_ = np.linalg.lstsq(design, y, rcond=None)
    cells = {
        "A1:A4": [[name] for name in regions],
        "B1:B5": [[0.0], [0.0], [0.0], [0.0], [1.0]],
        "E2:E49": [[name] for name in where],
        "F2:F49": size,
        "G2:G49": price,
        "H2:H49": "=INDEX($B$1:$B$4,MATCH(E{r},$A$1:$A$4,0))+$B$5*F{r}",
        "D1": "=SQRT(SUMXMY2(G2:G49,H2:H49)/COUNT(G2:G49))",
    }
    return AnalystModel(cells, "B1:B5", objective, [0.0, 0.0, 0.0, 0.0, 1.0], exact=list(map(float, exact)))


def _scan() -> AnalystModel:
    """Exponential smoothing in one cell, by LET, LAMBDA and SCAN."""
    random, level, sales = np.random.default_rng(10), 10.0, []
    for _ in range(40):
        error = float(random.normal(0, 1))
        sales.append(level + error)
        level += 0.6 * error
    data = column(sales)
    y = numbers(data)

    def objective(p: Vector) -> float:
        level, total = p[1], 0.0
        for value in y:
            total += (value - level) ** 2
            level += p[0] * (value - level)
        return float(total)

    smoothed = "_xlfn.SCAN($B$2,F2:F40,_xlfn.LAMBDA(_xlpm.s,_xlpm.y,_xlpm.s+$B$1*(_xlpm.y-_xlpm.s)))"
    cells = {
        "B1:B2": [[0.2], [8.0]],
        "F2:F41": data,
        "D1": f"{{=_xlfn.LET(_xlpm.l,{smoothed},(F2-$B$2)^2+SUMXMY2(F3:F41,_xlpm.l))}}",
    }
    return AnalystModel(cells, "B1:B2", objective, [0.2, 8.0], office=False)


def _implied_volatility() -> AnalystModel:
    """Black and Scholes' prices of options: a smile of implied volatilities through market prices."""
    strikes, spot, rate, years = [80.0, 90.0, 95.0, 100.0, 105.0, 110.0, 125.0], 100.0, 0.03, 0.75
    k = np.array(strikes)

    def prices(p: Vector) -> Vector:
        money = np.log(k / spot)
        sigma = p[0] + p[1] * money + p[2] * money**2
        one = (np.log(spot / k) + (rate + sigma**2 / 2) * years) / (sigma * np.sqrt(years))
        two = one - sigma * np.sqrt(years)
        return np.asarray(spot * stats.norm.cdf(one) - k * np.exp(-rate * years) * stats.norm.cdf(two))

    market = column(prices(np.array([0.22, -0.15, 0.4])) + np.random.default_rng(11).normal(0, 0.02, 7))
    y = numbers(market)

    def objective(p: Vector) -> float:
        return float(((y - prices(p)) ** 2).sum())

    cells = {
        "B1:B3": [[0.3], [0.0], [0.0]],
        "B5:B7": [[spot], [rate], [years]],
        "F2:F8": [[strike] for strike in strikes],
        "G2:G8": market,
        "H2:H8": "=$B$1+$B$2*LN(F{r}/$B$5)+$B$3*LN(F{r}/$B$5)^2",
        "I2:I8": "=(LN($B$5/F{r})+($B$6+H{r}^2/2)*$B$7)/(H{r}*SQRT($B$7))",
        "J2:J8": "=$B$5*NORMSDIST(I{r})-F{r}*EXP(-$B$6*$B$7)*_xlfn.NORM.S.DIST(I{r}-H{r}*SQRT($B$7),TRUE)",
        "D1": "=SUMXMY2(G2:G8,J2:J8)",
    }
    return AnalystModel(cells, "B1:B3", objective, [0.3, 0.0, 0.0])


def _bass() -> AnalystModel:
    """Bass' diffusion of a new product: sales of a year depend on all before it."""
    random, total, sales = np.random.default_rng(12), 0.0, []
    for _ in range(16):
        sales.append((0.02 + 0.42 * total / 500) * (500 - total))
        total += sales[-1]
    data = column(np.array(sales) + random.normal(0, 1.5, 16))
    y = numbers(data)

    def objective(p: Vector) -> float:
        total, error = 0.0, 0.0
        for value in y:
            sold = (p[0] + p[1] * total / p[2]) * (p[2] - total)
            error += (value - sold) ** 2
            total += sold
        return float(error)

    cells = {
        "B1:B3": [[0.01], [0.3], [450.0]],
        "F2:F17": data,
        "G2:G17": "=($B$1+$B$2*SUM(H$1:H{p})/$B$3)*($B$3-SUM(H$1:H{p}))",
        "H1": 0,
        "H2:H17": "=G{r}",
        "D1": "=SUMXMY2(F2:F17,G2:G17)",
    }
    return AnalystModel(cells, "B1:B3", objective, [0.01, 0.3, 450.0])


MODELS: dict[str, Callable[[], AnalystModel]] = {
    "normal likelihood": _normal,
    "Poisson likelihood": _poisson,
    "GARCH": _garch,
    "Holt-Winters": _holt_winters,
    "logistic regression": _logistic,
    "LINEST in the loss": _linest,
    "internal rate of return": _internal_rate,
    "yield curve": _yield_curve,
    "OFFSET lags": _lags,
    "INDEX and MATCH into parameters": _categories,
    "SCAN": _scan,
    "implied volatility": _implied_volatility,
    "Bass diffusion": _bass,
}
