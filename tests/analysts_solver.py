"""Analysts' models as Excel's Solver leaves them, each with its optimum as SciPy finds it by hand.

Nothing of the models' optima comes from sgdsheet: they are linear and integer programmes for HiGHS, closed forms,
smooth problems for SciPy with derivatives by differences, or all points tried.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import permutations
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import (
    Bounds,
    LinearConstraint,
    least_squares,
    linear_sum_assignment,
    linprog,
    milp,
    minimize,
    minimize_scalar,
)
from scipy.stats import norm

from tests.solver_models import (
    ALL_DIFFERENT,
    AT_LEAST,
    AT_MOST,
    BINARY,
    EQUAL,
    INTEGER,
    MAX,
    MIN,
    VALUE,
)

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class SolverBook:
    """A model: cells, Solver's names, the optimum, and how a run says that it is one."""

    cells: dict[str, Any]
    loss: str
    params: str
    kind: int
    constraints: list[tuple[str, int, Any]]
    optimum: float
    ending: str
    names: dict[str, Any] = field(default_factory=dict)
    close: float = 1e-8
    """Relative difference from the optimum that is allowed."""


def column(values: Any) -> list[list[float]]:
    return [[float(item)] for item in np.asarray(values).reshape(-1)]


def table(values: Any) -> list[list[float]]:
    return [[float(item) for item in row] for row in np.asarray(values)]


def filled(formula: str, first: int, last: int) -> list[list[str]]:
    """A formula with the row in the place of {r}, filled down."""
    return [[formula.replace("{r}", str(row))] for row in range(first, last + 1)]


LINEAR = "a bound by linear duality proves it"
PROVED = "proved by"
MINIMUM = "converged"


# --- linear -------------------------------------------------------------------------------------------------


def blending() -> SolverBook:
    """Feed from six ingredients: four nutrients between limits, shares that add up to 1."""
    costs = np.array([0.32, 0.41, 0.27, 1.1, 0.55, 0.18])
    content = np.array(
        [[9, 44, 12, 60, 35, 3], [3.4, 3.1, 2.1, 2.5, 3.8, 0.5], [0.02, 0.3, 0.05, 5, 0.25, 36], [2, 6, 9, 1, 12, 0.1]]
    )
    low, high = np.array([18, 2.8, 0.8, 0]), np.array([24, 9, 1.4, 6])
    cells = {
        "A1": [["ingredient", "share", "cost", "protein", "energy", "calcium", "fibre"]],
        "A2": [[f"no. {n + 1}", 0, costs[n], *content[:, n]] for n in range(6)],
        "A8": [["mix", "=SUM(B2:B7)", None, *(f"=SUMPRODUCT($B2:$B7,{c}2:{c}7)" for c in "DEFG")]],
        "C9": [["least", *low], ["most", *high]],
        "B12": "=SUMPRODUCT(B2:B7,C2:C7)",
    }
    constraints = [("B8", EQUAL, 1), ("D8:G8", AT_LEAST, "D9:G9"), ("D8:G8", AT_MOST, "D10:G10")]
    found = linprog(costs, A_ub=np.vstack([content, -content]), b_ub=np.r_[high, -low], A_eq=[[1] * 6], b_eq=[1])
    return SolverBook(cells, "B12", "B2:B7", MIN, constraints, found.fun, LINEAR, {"eng": 2})


def transport() -> SolverBook:
    """Four factories, six shops, with lanes that are closed (a price of 999) and more supply than demand."""
    random = np.random.default_rng(1)
    costs = random.integers(2, 30, (4, 6)).astype(float)
    costs[1, 2] = costs[3, 4] = 999
    supply, demand = np.array([90, 120, 75, 110.0]), np.array([50, 40, 75, 60, 55, 45.0])
    cells = {
        "B2": table(costs),
        "B8": table(np.zeros((4, 6))),
        "H8": filled("=SUM(B{r}:G{r})", 8, 11),
        "I8": column(supply),
        "B12": [[f"=SUM({c}8:{c}11)" for c in "BCDEFG"]],
        "B13": [demand.tolist()],
        "B15": "=SUMPRODUCT(B2:G5,B8:G11)",
    }
    constraints = [("H8:H11", AT_MOST, "I8:I11"), ("B12:G12", EQUAL, "B13:G13")]
    rows = np.kron(np.eye(4), np.ones(6))
    found = linprog(costs.ravel(), A_ub=rows, b_ub=supply, A_eq=np.kron(np.ones(4), np.eye(6)), b_eq=demand)
    return SolverBook(cells, "B15", "B8:G11", MIN, constraints, found.fun, LINEAR, {"eng": 2})


def multi_period() -> SolverBook:
    """Production over eight months with overtime and stock that is carried over, down the rows."""
    demand = np.array([120, 90, 180, 210, 160, 240, 130, 170.0])
    cells = {
        "A1": [["normal", "overtime", "stock", "demand", "cost"]],
        "A2": table(np.zeros((8, 2))),
        "C1": "stock",
        "C2": "=20+A2+B2-D2",
        "C3": filled("=C{p}+A{r}+B{r}-D{r}", 3, 9),
        "D2": column(demand),
        "E2": filled("=11*A{r}+16*B{r}+1.5*C{r}", 2, 9),
        "G1": "=SUM(E2:E9)",
    }
    cells["C3"] = [[row[0].replace("{p}", str(number))] for number, row in enumerate(cells["C3"], 2)]
    constraints = [("A2:A9", AT_MOST, 150), ("B2:B9", AT_MOST, 40), ("C2:C9", AT_LEAST, 10)]
    add = np.tril(np.ones((8, 8)))
    base = 20 - np.cumsum(demand)
    costs = np.r_[11 + 1.5 * add.sum(0), 16 + 1.5 * add.sum(0)]
    found = linprog(costs, A_ub=-np.hstack([add, add]), b_ub=base - 10, bounds=[(0, 150)] * 8 + [(0, 40)] * 8)
    return SolverBook(cells, "G1", "A2:B9", MIN, constraints, found.fun + 1.5 * base.sum(), LINEAR)


# --- whole numbers ------------------------------------------------------------------------------------------


def staffing() -> SolverBook:
    """Nurses who work five days in a row; each day needs so many."""
    need = np.array([17, 13, 15, 19, 14, 16, 11.0])
    works = np.array([[1 if (day - start) % 7 < 5 else 0 for start in range(7)] for day in range(7)])
    cells = {
        "B1": [[0] * 7],
        "B3": table(works),
        "I3": filled("=SUMPRODUCT(B{r}:H{r},$B$1:$H$1)", 3, 9),
        "J3": column(need),
        "B12": "=SUM(B1:H1)",
    }
    constraints = [("I3:I9", AT_LEAST, "J3:J9"), ("B1:H1", INTEGER, "integer")]
    found = milp(np.ones(7), constraints=LinearConstraint(works, need, np.inf), integrality=np.ones(7))
    return SolverBook(cells, "B12", "B1:H1", MIN, constraints, found.fun, PROVED, {"eng": 2})


def facilities() -> SolverBook:
    """Warehouses that cost a fee once they are opened (bin), and flows from them."""
    random = np.random.default_rng(2)
    costs, fees = random.uniform(1, 9, (4, 7)).round(2), np.array([210, 150, 180, 260.0])
    need, room = random.integers(10, 40, 7).astype(float), np.array([120, 90, 110, 160.0])
    cells = {
        "B2": table(costs),
        "B8": table(np.zeros((4, 7))),
        "J8": column(np.zeros(4)),
        "K8": column(fees),
        "L8": column(room),
        "M8": filled("=SUM(B{r}:H{r})", 8, 11),
        "N8": filled("=J{r}*L{r}", 8, 11),
        "B12": [[f"=SUM({c}8:{c}11)" for c in "BCDEFGH"]],
        "B13": [need.tolist()],
        "B15": "=SUMPRODUCT(B2:H5,B8:H11)+SUMPRODUCT(J8:J11,K8:K11)",
    }
    constraints = [("M8:M11", AT_MOST, "N8:N11"), ("B12:H12", AT_LEAST, "B13:H13"), ("J8:J11", BINARY, "binary")]
    rows = np.hstack([np.kron(np.eye(4), np.ones(7)), -np.diag(room)])
    meets = np.hstack([np.kron(np.ones(4), np.eye(7)), np.zeros((7, 4))])
    found = milp(
        np.r_[costs.ravel(), fees],
        constraints=[LinearConstraint(rows, -np.inf, 0), LinearConstraint(meets, need, np.inf)],
        integrality=np.r_[np.zeros(28), np.ones(4)],
        bounds=Bounds(0, np.r_[np.full(28, np.inf), np.ones(4)]),
    )
    return SolverBook(cells, "B15", "B8:H11,J8:J11", MIN, constraints, found.fun, PROVED)


def knapsack() -> SolverBook:
    """Projects within a budget over two years; two exclude each other, and one needs another."""
    gain = np.array([14, 19, 8, 11, 22, 7, 16, 9.5, 12, 5])
    first = np.array([12, 54, 6, 6, 30, 6, 48, 36, 18, 9.0])
    second = np.array([3, 7, 6, 2, 35, 6, 4, 3, 3, 8.0])
    cells = {
        "A2": [[0, *row] for row in zip(gain.tolist(), first.tolist(), second.tolist(), strict=True)],
        "F2": "=SUMPRODUCT($A$2:$A$11,B2:B11)",
        "F3": [["=SUMPRODUCT($A$2:$A$11,C2:C11)", 90], ["=SUMPRODUCT($A$2:$A$11,D2:D11)", 45]],
        "F5": [["=A3+A6", 1], ["=A8-A4", 0]],
    }
    constraints = [("F3:F6", AT_MOST, "G3:G6"), ("A2:A11", BINARY, "binary")]
    rows = np.vstack([first, second, np.eye(10)[1] + np.eye(10)[4], np.eye(10)[6] - np.eye(10)[2]])
    found = milp(
        -gain, constraints=LinearConstraint(rows, -np.inf, [90, 45, 1, 0]), integrality=np.ones(10), bounds=Bounds(0, 1)
    )
    return SolverBook(cells, "F2", "A2:A11", MAX, constraints, -found.fun, PROVED)


def assignment() -> SolverBook:
    """Seven swimmers, seven tasks."""
    costs = np.random.default_rng(3).uniform(30, 80, (7, 7)).round(1)
    cells = {
        "B2": table(costs),
        "B11": table(np.zeros((7, 7))),
        "I11": filled("=SUM(B{r}:H{r})", 11, 17),
        "B18": [[f"=SUM({c}11:{c}17)" for c in "BCDEFGH"]],
        "B20": "=SUMPRODUCT(B2:H8,B11:H17)",
    }
    constraints = [("I11:I17", EQUAL, 1), ("B18:H18", EQUAL, 1), ("B11:H17", BINARY, "binary")]
    best = float(costs[linear_sum_assignment(costs)].sum())
    return SolverBook(cells, "B20", "B11:H17", MIN, constraints, best, PROVED)


def round_trip() -> SolverBook:
    """Eight towns, each once: distances by INDEX at the order of the towns (alldifferent)."""
    places = np.random.default_rng(4).uniform(0, 100, (8, 2)).round(1)
    distances = np.linalg.norm(places[:, None] - places[None], axis=2)
    cells = {
        "A1": table(distances),
        "A11": column(range(1, 9)),
        "B11": filled("=INDEX($A$1:$H$8,A{r},A{n})", 11, 18),
        "K1": "=SUM(B11:B18)",
    }
    cells["B11"] = [[row[0].replace("{n}", str(11 + (n + 1) % 8))] for n, row in enumerate(cells["B11"])]
    best = min(
        sum(distances[a, b] for a, b in zip((0, *order), (*order, 0), strict=True))
        for order in permutations(range(1, 8))
    )
    constraints: list[tuple[str, int, Any]] = [("A11:A18", ALL_DIFFERENT, "alldifferent")]
    return SolverBook(cells, "K1", "A11:A18", MIN, constraints, best, "all 40,320 points were tried", {"eng": 3})


def scheduling() -> SolverBook:
    """The order of seven jobs on one machine that makes the least weighted lateness: VLOOKUP, running sums and MAX."""
    hours, due = [4, 7, 3, 6, 5, 2, 8], [9, 12, 8, 30, 16, 20, 24]
    weight = [2, 1, 3, 1, 2, 1, 2]
    cells = {
        "F2": [[n + 1, hours[n], due[n], weight[n]] for n in range(7)],
        "A2": column(range(1, 8)),
        "B2": [["=VLOOKUP(A2,$F$2:$I$8,2,FALSE)"]],
        "B3": [[f"=B{r - 1}+VLOOKUP(A{r},$F$2:$I$8,2,FALSE)"] for r in range(3, 9)],
        "C2": filled("=MAX(0,B{r}-VLOOKUP(A{r},$F$2:$I$8,3,FALSE))*VLOOKUP(A{r},$F$2:$I$8,4,FALSE)", 2, 8),
        "D1": "=SUM(C2:C8)",
    }

    def late(order: tuple[int, ...]) -> float:
        ends = np.cumsum([hours[job] for job in order])
        return float(sum(weight[job] * max(0, end - due[job]) for job, end in zip(order, ends, strict=True)))

    best = min(late(order) for order in permutations(range(7)))
    constraints: list[tuple[str, int, Any]] = [("A2:A8", ALL_DIFFERENT, "alldifferent")]
    return SolverBook(cells, "D1", "A2:A8", MIN, constraints, best, "all 5,040 points were tried", {"eng": 3})


# --- smooth -------------------------------------------------------------------------------------------------


def portfolio() -> SolverBook:
    """The least variance for a wanted return, from twelve months of returns by COVARIANCE.S, no share above 40 %."""
    returns = (np.random.default_rng(5).normal(0.01, 0.04, (24, 5)) + np.linspace(0, 0.01, 5)).round(4)
    covariance = np.cov(returns.T)
    means = returns.mean(0)
    letters = "BCDEF"
    cells = {
        "B2": table(returns),
        "B27": [[f"=AVERAGE({c}2:{c}25)" for c in letters]],
        "B29": [[f"=COVARIANCE.S({a}$2:{a}$25,{b}$2:{b}$25)" for a in letters] for b in letters],
        "B36": [[0.2] * 5],
        "B38": [["=SUM(B36:F36)", "=SUMPRODUCT(B36:F36,B27:F27)"]],
        "B39": "=SQRT(SUMPRODUCT(MMULT(B36:F36,B29:F33),B36:F36))",
    }
    for row in cells["B29"]:
        row[:] = [text.replace("COVARIANCE.S", "_xlfn.COVARIANCE.S") for text in row]
    wanted = float(np.sort(means)[-3:].mean())
    found = minimize(
        lambda w: 1e4 * w @ covariance @ w,
        np.full(5, 0.2),
        jac=lambda w: 2e4 * covariance @ w,
        method="SLSQP",
        bounds=[(0, 0.4)] * 5,
        constraints=[
            {"type": "eq", "fun": lambda w: w.sum() - 1},
            {"type": "ineq", "fun": lambda w: 1e2 * (w @ means - wanted)},
        ],
        options={"ftol": 1e-15, "maxiter": 500},
    )
    constraints = [("B38", EQUAL, 1), ("C38", AT_LEAST, wanted), ("B36:F36", AT_MOST, 0.4)]
    return SolverBook(cells, "B39", "B36:F36", MIN, constraints, math.sqrt(found.fun / 1e4), MINIMUM, close=1e-7)


def tangency() -> SolverBook:
    """The highest Sharpe ratio: the shares are proportional to the inverse covariance times the excess returns."""
    covariance = np.array([[0.04, 0.006, 0.002], [0.006, 0.0225, 0.004], [0.002, 0.004, 0.01]])
    means, free = np.array([0.11, 0.08, 0.06]), 0.02
    cells = {
        "A1": table(covariance),
        "E1": column(means),
        "F1": column([0.3, 0.3, 0.4]),
        "A5": "=SUMPRODUCT(E1:E3,F1:F3)",
        "A6": "=SQRT(SUMPRODUCT(MMULT(A1:C3,F1:F3),F1:F3))",
        "A7": f"=(A5-{free})/A6",
        "A8": "=SUM(F1:F3)",
    }
    excess = means - free
    best = math.sqrt(excess @ np.linalg.solve(covariance, excess))
    return SolverBook(cells, "A7", "F1:F3", MAX, [("A8", EQUAL, 1)], best, MINIMUM)


def inventory() -> SolverBook:
    """Order quantities of six articles: Harris' formula under a limit of room for half of each order."""
    demand, fixed = np.array([1200, 400, 3000, 90, 650, 15000.0]), np.array([40, 25, 60, 15, 30, 80.0])
    holding, room = np.array([2.5, 6, 0.8, 40, 3.5, 0.12]), np.array([0.4, 1.2, 0.15, 5, 0.6, 0.02])
    cells = {
        "A2": [
            [d, f, h, v, 100.0, f"=A{r}/E{r}*B{r}+E{r}/2*C{r}", f"=E{r}/2*D{r}"]
            for r, (d, f, h, v) in enumerate(zip(demand, fixed, holding, room, strict=True), 2)
        ],
        "F9": "=SUM(F2:F7)",
        "G9": "=SUM(G2:G7)",
    }

    def quantities(price: float) -> Floats:
        return np.asarray(np.sqrt(2 * demand * fixed / (holding + price * room)))

    low, high, limit = 0.0, 1e4, 180.0
    for _ in range(200):
        middle = (low + high) / 2
        low, high = (middle, high) if quantities(middle) @ room / 2 > limit else (low, middle)
    q = quantities(high)
    best = float((demand / q * fixed + q / 2 * holding).sum())
    constraints = [("G9", AT_MOST, limit), ("E2:E7", AT_LEAST, 1)]
    return SolverBook(cells, "F9", "E2:E7", MIN, constraints, best, MINIMUM)


def pricing() -> SolverBook:
    """Prices of three products with constant elasticity and cross effects, and a plant of limited capacity."""
    cells = {
        "A2": [["base", "price0", "elasticity", "cost", "price", "units", "profit"]],
        "A3": [
            [800, 20, -2.1, 11, 20, "=A3*(E3/B3)^C3*(E4/B4)^0.3", "=(E3-D3)*F3"],
            [500, 35, -1.7, 14, 35, "=A4*(E4/B4)^C4*(E3/B3)^0.2", "=(E4-D4)*F4"],
            [300, 60, -1.4, 20, 60, "=A5*(E5/B5)^C5", "=(E5-D5)*F5"],
        ],
        "F7": "=SUM(F3:F5)",
        "G7": "=SUM(G3:G5)",
    }

    def units(p: Floats) -> Floats:
        return np.array(
            [
                800 * (p[0] / 20) ** -2.1 * (p[1] / 35) ** 0.3,
                500 * (p[1] / 35) ** -1.7 * (p[0] / 20) ** 0.2,
                300 * (p[2] / 60) ** -1.4,
            ]
        )

    costs = np.array([11, 14, 20.0])
    found = minimize(
        lambda p: -((p - costs) * units(p)).sum() / 1e4,
        [20, 35, 60],
        method="SLSQP",
        bounds=[(5, 100)] * 3,
        constraints=[{"type": "ineq", "fun": lambda p: (1300 - units(p).sum()) / 1e3}],
        options={"ftol": 1e-15, "maxiter": 1000},
    )
    constraints = [("F7", AT_MOST, 1300), ("E3:E5", AT_LEAST, 5), ("E3:E5", AT_MOST, 100)]
    return SolverBook(cells, "G7", "E3:E5", MAX, constraints, -1e4 * found.fun, MINIMUM, close=1e-6)


def newsvendor() -> SolverBook:
    """An order under normal demand: the profit by NORM.S.DIST; the critical ratio is the known answer."""

    price, cost, salvage, mean, width = 25.0, 11.0, 4.0, 520.0, 90.0
    cells = {
        "A1": [
            ["price", price],
            ["cost", cost],
            ["salvage", salvage],
            ["mean", mean],
            ["width", width],
            ["order", 500],
        ],
        "B8": "=(B6-B4)/B5",
        "B9": "=B5*(_xlfn.NORM.S.DIST(B8,FALSE)-B8*(1-_xlfn.NORM.S.DIST(B8,TRUE)))",
        "B10": "=(B1-B3)*(B4-B9)-(B2-B3)*B6",
    }
    z = norm.ppf((price - cost) / (price - salvage))
    best = (price - cost) * mean - (price - salvage) * width * norm.pdf(z)
    return SolverBook(cells, "B10", "B6", MAX, [], float(best), MINIMUM)


# --- fits ---------------------------------------------------------------------------------------------------


def dose_response() -> SolverBook:
    """Four-parameter logistic through assay data, with bounds on the plateaus."""
    dose = np.array([0.03, 0.1, 0.3, 1, 3, 10, 30, 100, 300.0])
    random = np.random.default_rng(6)
    y = (4 + (98 - 4) / (1 + (dose / 7.5) ** -1.3) + random.normal(0, 1.5, 9)).round(2)
    cells = {
        "A2": column(dose),
        "B2": column(y),
        "C2": filled("=$F$1+($F$2-$F$1)/(1+(A{r}/$F$3)^-$F$4)", 2, 10),
        "E1": [["bottom", 0], ["top", 110], ["EC50", 1], ["slope", 1]],
        "F6": "=SUMXMY2(B2:B10,C2:C10)",
    }

    def misses(p: Floats) -> Floats:
        return np.asarray(p[0] + (p[1] - p[0]) / (1 + (dose / p[2]) ** -p[3]) - y)

    found = least_squares(
        misses,
        [4, 95, 7, 1.3],
        bounds=([0, 0, 1e-3, 0.1], [20, 100, 1e3, 5]),
        x_scale="jac",
        xtol=1e-15,
        ftol=1e-15,
        gtol=1e-15,
    )
    constraints = [
        ("F1", AT_LEAST, 0), ("F1", AT_MOST, 20), ("F2", AT_MOST, 100), ("F3", AT_LEAST, 0.001), ("F3", AT_MOST, 1000),
        ("F4", AT_LEAST, 0.1), ("F4", AT_MOST, 5),
    ]  # fmt: skip
    return SolverBook(cells, "F6", "F1:F4", MIN, constraints, 2 * found.cost, MINIMUM)


def logistic() -> SolverBook:
    """A logistic regression as a log-likelihood that is maximised, coefficients of either sign (neg 2)."""
    random = np.random.default_rng(7)
    x = random.normal(0, 1, (60, 2)).round(3)
    x[:, 1] = (x[:, 1] * 12000 + 45000).round(0)
    y = (random.uniform(0, 1, 60) < 1 / (1 + np.exp(-(0.3 + 0.9 * x[:, 0] - 1.1 * (x[:, 1] - 45000) / 12000)))).astype(
        float
    )
    cells = {
        "A2": table(np.column_stack([y, x])),
        "D2": filled("=$H$1+$H$2*B{r}+$H$3*C{r}", 2, 61),
        "E2": filled("=1/(1+EXP(-D{r}))", 2, 61),
        "F2": filled("=IF(A{r}=1,LN(E{r}),LN(1-E{r}))", 2, 61),
        "H1": column([0, 0, 0]),
        "H5": "=SUM(F2:F61)",
    }
    design = np.column_stack([np.ones(60), x[:, 0], (x[:, 1] - 45000) / 12000])

    def loss(b: Floats) -> float:
        z = design @ b
        return float(np.sum(np.logaddexp(0, z) - y * z))

    found = minimize(loss, np.zeros(3), method="BFGS", options={"gtol": 1e-9})
    return SolverBook(cells, "H5", "H1:H3", MAX, [], -found.fun, MINIMUM, {"neg": 2})


def yield_curve() -> SolverBook:
    """Nelson and Siegel's curve through yields, root mean squared error, time constant between bounds."""
    years = np.array([0.25, 0.5, 1, 2, 3, 5, 7, 10, 20, 30])
    y = np.array([5.31, 5.28, 5.02, 4.61, 4.38, 4.21, 4.24, 4.26, 4.52, 4.41])
    shape = "(1-EXP(-A{r}/$F$4))/(A{r}/$F$4)"
    cells = {
        "A2": column(years),
        "B2": column(y),
        "C2": filled(f"=$F$1+$F$2*{shape}+$F$3*({shape}-EXP(-A{{r}}/$F$4))", 2, 11),
        "D2": filled("=(B{r}-C{r})^2", 2, 11),
        "F1": column([4, 1, 0, 1]),
        "F6": "=SQRT(AVERAGE(D2:D11))",
    }

    def squares(tau: float) -> float:
        part = (1 - np.exp(-years / tau)) / (years / tau)
        design = np.column_stack([np.ones(10), part, part - np.exp(-years / tau)])
        rest = y - design @ np.linalg.lstsq(design, y, rcond=None)[0]
        return float(np.mean(rest**2))

    grid = np.geomspace(0.2, 10, 400)
    place = int(np.argmin([squares(tau) for tau in grid]))
    near = grid[max(place - 1, 0)], grid[min(place + 1, 399)]
    found = minimize_scalar(squares, bounds=near, method="bounded", options={"xatol": 1e-12})
    constraints = [("F4", AT_LEAST, 0.2), ("F4", AT_MOST, 10)]
    return SolverBook(cells, "F6", "F1:F4", MIN, constraints, math.sqrt(found.fun), MINIMUM, {"neg": 2})


# --- kinks --------------------------------------------------------------------------------------------------


def minimax_site() -> SolverBook:
    """Where the farthest of twelve towns is nearest: the smallest circle around points."""
    towns = np.random.default_rng(8).uniform(0, 60, (12, 2)).round(1)
    cells = {
        "A2": table(towns),
        "C2": filled("=SQRT((A{r}-$F$1)^2+(B{r}-$G$1)^2)", 2, 13),
        "F1": [[10, 10]],
        "F3": "=MAX(C2:C13)",
    }
    best = math.inf  # the smallest circle goes through two or three of the points
    centres = [(a + b) / 2 for a in towns for b in towns]
    for i in range(12):
        for j in range(i):
            for k in range(j):
                rows = 2 * np.array([towns[j] - towns[i], towns[k] - towns[i]])
                if abs(np.linalg.det(rows)) > 1e-9:
                    right = (towns[[j, k]] ** 2).sum(1) - (towns[i] ** 2).sum()
                    centres.append(np.linalg.solve(rows, right))
    best = min(float(np.linalg.norm(towns - centre, axis=1).max()) for centre in centres)
    return SolverBook(cells, "F3", "F1:G1", MIN, [], best, MINIMUM)


def least_absolute() -> SolverBook:
    """Least absolute deviations of a line in two causes with outliers, the mean of the errors."""
    random = np.random.default_rng(9)
    x = random.uniform(0, 10, (80, 2)).round(2)
    y = (4 + x @ [1.2, -0.7] + random.standard_t(1.5, 80)).round(2)
    cells = {
        "A2": table(np.column_stack([x, y])),
        "D2": filled("=ABS($H$1+$H$2*A{r}+$H$3*B{r}-C{r})", 2, 81),
        "H1": column([0, 0, 0]),
        "H5": "=AVERAGE(D2:D81)",
    }
    design = np.column_stack([np.ones(80), x])
    found = linprog(
        np.r_[np.zeros(3), np.ones(160)],
        A_eq=np.hstack([design, np.eye(80), -np.eye(80)]),
        b_eq=y,
        bounds=[(None, None)] * 3 + [(0, None)] * 160,
    )
    return SolverBook(cells, "H5", "H1:H3", MIN, [], found.fun / 80, LINEAR, {"neg": 2})


def robust_growth() -> SolverBook:
    """A saturating curve by least absolute deviations: kinks in a problem that is not linear."""
    t = np.arange(1, 26.0)
    random = np.random.default_rng(10)
    y = (50 * (1 - np.exp(-0.18 * t)) + random.standard_t(1.5, 25)).round(2)
    cells = {
        "A2": column(t),
        "B2": column(y),
        "C2": filled("=$F$1*(1-EXP(-$F$2*A{r}))", 2, 26),
        "D2": filled("=ABS(B{r}-C{r})", 2, 26),
        "F1": column([30, 0.1]),
        "F4": "=SUM(D2:D26)",
    }

    def of_rate(rate: float) -> float:
        """The best height is a weighted median."""
        shape = 1 - np.exp(-rate * t)
        return min(float(np.abs(y - height * shape).sum()) for height in y / shape)

    grid = np.linspace(0.02, 1, 2000)
    place = int(np.argmin([of_rate(rate) for rate in grid]))
    found = minimize_scalar(
        of_rate, bounds=(grid[place - 1], grid[place + 1]), method="bounded", options={"xatol": 1e-13}
    )
    return SolverBook(cells, "F4", "F1:F2", MIN, [], float(found.fun), MINIMUM, close=1e-6)


# --- a value ------------------------------------------------------------------------------------------------


def loan() -> SolverBook:
    """The yearly rate at which a loan of 250,000 over 25 years costs 1,500 a month."""
    cells = {"A1": 0.05, "A2": "=-PMT(A1/12,300,250000)"}
    return SolverBook(cells, "A2", "A1", VALUE, [("A1", AT_MOST, 1)], 1500.0, MINIMUM, {"val": 1500})


BOOKS: dict[str, Callable[[], SolverBook]] = {
    make.__name__: make
    for make in (
        *(blending, transport, multi_period, staffing, facilities, knapsack, assignment, round_trip, scheduling),
        *(portfolio, tangency, inventory, pricing, newsvendor, dose_response, logistic, yield_curve),
        *(minimax_site, least_absolute, robust_growth, loan),
    )
}
