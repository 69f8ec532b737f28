"""Sums of absolute values, minimax and the like: their optimum, as SciPy's linear programming finds it by hand."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import pairwise
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from scipy.optimize import linprog, minimize
from torch.fx import GraphModule

from sgdsheet.analysis.diagnosis import diagnose
from sgdsheet.analysis.reporting.sensitivity import Sensitivity, sensitivity
from sgdsheet.compiler.model import SheetModel
from sgdsheet.compiler.passes.shapes import note_shapes
from sgdsheet.compiler.structure.function_kind import function_kinds
from sgdsheet.compiler.structure.joined_choices import with_joined_choices
from sgdsheet.errors import TrainingError
from sgdsheet.train.constrained.constraints import no_constraints
from sgdsheet.train.constrained.kinkless_model import kinkless
from sgdsheet.train.constrained.problem_kind import problem_kind
from sgdsheet.train.constrained.solve import HIGHS, SEQUENTIAL
from sgdsheet.train.session import Session
from tests import solver_models as models
from tests.errors import refusal
from tests.sheets import Cells, compiled
from tests.solver_models import AT_LEAST, AT_MOST, EQUAL, MAX, MIN

Floats = NDArray[np.float64]

RANDOM = np.random.default_rng(14)
X = np.sort(RANDOM.uniform(0, 10, 40))
Y = 3 - 0.7 * X + RANDOM.standard_t(2, 40)
LINE = np.column_stack([np.ones(40), X])


def points(**cells: Any) -> dict[str, Any]:
    """Points, of which some lie far off, and in C the distances of a line through H1 and H2 from them."""
    return {
        "A1:A40": X[:, None].tolist(),
        "B1:B40": Y[:, None].tolist(),
        "H1": 0.0,
        "H2": 0.0,
        "C1:C40": "=$H$1+$H$2*A1-B1",
        **cells,
    }


def trained(cells: Cells, params: str = "H1:H2", **settings: Any) -> Session:
    session = Session(compiled(cells, params), **settings)
    session.run()
    return session


def parameters(model: SheetModel) -> list[float]:
    return list(model.parameter_cells().values())


def quantile_regression(share: float) -> float:
    """The lowest sum of pinball losses: the least c u + (1 - c) v over LINE b + u - v = Y with u, v >= 0."""
    costs = np.concatenate([[0, 0], np.full(40, share), np.full(40, 1 - share)])
    equal = np.hstack([LINE, np.eye(40), -np.eye(40)])
    found = linprog(costs, A_eq=equal, b_eq=Y, bounds=[(None, None)] * 2 + [(0, None)] * 80)
    return float(found.fun)


def chebyshev() -> float:
    """The least largest distance: t >= LINE b - Y and t >= Y - LINE b."""
    ones = np.ones((40, 1))
    above = np.vstack([np.hstack([LINE, -ones]), np.hstack([-LINE, -ones])])
    found = linprog([0, 0, 1], A_ub=above, b_ub=np.concatenate([Y, -Y]), bounds=[(None, None)] * 3)
    return float(found.fun)


LEAST_ABSOLUTE = {
    "a column of ABS": {"D1:D40": "=ABS(C1)", "Z1": "=SUM(D1:D40)"},
    "SUMPRODUCT": {"Z1": "=SUMPRODUCT(ABS(C1:C40))"},
    "IF": {"D1:D40": "=IF(C1<0,-C1,C1)", "Z1": "=SUM(D1:D40)"},
    "MAX of both": {"D1:D40": "=MAX(C1,-C1)", "Z1": "=SUM(D1:D40)"},
    "scaled": {"D1:D40": "=ABS(C1)*2", "Z1": "=SUM(D1:D40)/2"},
    "two parts": {"D1:D40": "=MAX(0,C1)", "E1:E40": "=MIN(0,C1)", "Z1": "=SUM(D1:D40)-SUM(E1:E40)"},
}


@pytest.mark.parametrize("cells", LEAST_ABSOLUTE.values(), ids=list(LEAST_ABSOLUTE))
def test_least_absolute_deviations(cells: dict[str, str]) -> None:
    session = trained(points(**cells))
    assert session.loss == pytest.approx(2 * quantile_regression(0.5), rel=1e-10)
    assert (session.stopped, session.plan.optimizer_name) == ("converged", HIGHS)
    assert session.ending == "converged: a bound by linear duality proves it"


MINIMAX = {
    "a column of ABS": {"D1:D40": "=ABS(C1)", "Z1": "=MAX(D1:D40)"},
    "MAX and MIN": {"Z1": "=MAX(MAX(C1:C40),-MIN(C1:C40))"},
    "several ranges": {"Z1": "=MAX(C1:C20,C21:C40,D1)", "D1": "=MAX(D2:D41)", "D2:D41": "=-C1"},
}


@pytest.mark.parametrize("cells", MINIMAX.values(), ids=list(MINIMAX))
def test_minimax(cells: dict[str, str]) -> None:
    session = trained(points(**cells))
    assert session.loss == pytest.approx(chebyshev(), rel=1e-10)
    assert (session.stopped, session.plan.optimizer_name) == ("converged", HIGHS)


@pytest.mark.parametrize("share", [0.1, 0.5, 0.9])
@pytest.mark.parametrize(
    "formula", ["=IF(C1<0,-$J$1*C1,(1-$J$1)*C1)", "=MAX(-$J$1*C1,(1-$J$1)*C1)", "=(1-$J$1)*MAX(C1,0)-$J$1*MIN(C1,0)"]
)
def test_quantile_regression(share: float, formula: str) -> None:
    session = trained(points(J1=share, Z1="=AVERAGE(D1:D40)", **{"D1:D40": formula}))
    assert session.loss == pytest.approx(quantile_regression(share) / 40, rel=1e-10)
    assert session.plan.optimizer_name == HIGHS
    below = sum(value < 0 for value in Y - LINE @ parameters(session.model))
    assert abs(below - 40 * share) <= 2


IN_CELLS = {
    "IF times x": "=IF(C1>0,0.8,-0.2)*C1",
    "x times IF": "=C1*IF(C1>=0,0.8,-0.2)",
    "x written twice": "=IF($H$1+$H$2*A1>B1,0.8,-0.2)*($H$1+$H$2*A1-B1)",
    "x written in two ways": "=IF(B1<$H$1+$H$2*A1,0.8,-0.2)*($H$1-B1+A1*$H$2)",
    "turned round": "=IF(-2*C1>=0,-0.2,0.8)*C1",
    "a fraction": "=IF(C1>0,4,-1)*C1/5",
    "a difference": "=(0.8-IF(C1<0,1,0))*C1",
    "IF in IF": "=IF(C1>0,0.8,IF(C1<0,-0.2,0))*C1",
    "two IFs": "=IF(C1>0,0.8*C1,0)+IF(C1<=0,-0.2*C1,0)",
    "AND": "=IF(AND(C1>0),0.8,-0.2)*C1",
    "NOT": "=IF(NOT(C1>0),-0.2,0.8)*C1",
    "a truth value": "=C1*(0.8-(C1<0))",
    "truth values": "=(C1>0)*0.8*C1-(C1<=0)*0.2*C1",
    "truth values without 0": "=(C1>0)*0.8*C1-(C1<0)*0.2*C1",
    "SIGN": "=C1*(0.3+0.5*SIGN(C1))",
    "a weight of ABS": "=IF(C1>0,0.8,0.2)*ABS(C1)",
    "ABS in branches": "=IF(C1>0,0.8*ABS(C1),0.2*ABS(C1))",
}
"""The loss of a quantile regression for a share of 0.2, as people write it: the same numbers by other formulas."""

IN_SUMS = {
    "SUMPRODUCT of truth values": {"Z1": "=SUMPRODUCT((C1:C40>0)*0.8*C1:C40-(C1:C40<=0)*0.2*C1:C40)"},
    "SUMPRODUCT of IF": {"Z1": "=SUMPRODUCT(IF(C1:C40>0,0.8,-0.2),C1:C40)"},
    "SUMPRODUCT of weights": {"D1:D40": "=IF(C1>0,0.8,-0.2)", "Z1": "=SUMPRODUCT(D1:D40,C1:C40)"},
    "two of them": {"Z1": "=0.8*SUMPRODUCT(--(C1:C40>0),C1:C40)-0.2*SUMPRODUCT(--(C1:C40<=0),C1:C40)"},
    "SUMIF": {"Z1": '=0.8*SUMIF(C1:C40,">0")-0.2*SUMIF(C1:C40,"<0")'},
}


@pytest.mark.parametrize(
    "cells",
    [*({"D1:D40": formula, "Z1": "=SUM(D1:D40)"} for formula in IN_CELLS.values()), *IN_SUMS.values()],
    ids=[*IN_CELLS, *IN_SUMS],
)
def test_quantile_regression_as_people_write_it(cells: dict[str, str]) -> None:
    session = trained(points(**cells))
    assert session.loss == pytest.approx(quantile_regression(0.2), rel=1e-10)
    assert session.plan.optimizer_name == HIGHS
    assert session.ending == "converged: a bound by linear duality proves it"


@pytest.mark.parametrize("share", [0.1, 0.5, 0.8])
@pytest.mark.parametrize("count", [50, 2000])
def test_quantile_regression_with_groups_and_weights(count: int, share: float) -> None:
    """Without intercept, with a 0 or 1 in each row of two columns, and with weights of which some are 0."""
    random = np.random.default_rng(count)
    group = random.integers(0, 2, count)
    x = np.column_stack([group, 1 - group, random.uniform(-1, 1, count)]).astype(float)
    y = x @ [1.0, 2.0, -3.0] + random.standard_t(2, count)
    weight = random.integers(0, 3, count).astype(float)
    cells = {
        f"A1:C{count}": x.tolist(),
        f"D1:D{count}": y[:, None].tolist(),
        f"E1:E{count}": weight[:, None].tolist(),
        "H1:H3": [[0.0]] * 3,
        "J1": share,
        f"F1:F{count}": "=E1*IF(D1>$H$1*A1+$H$2*B1+$H$3*C1,$J$1,$J$1-1)*(D1-$H$1*A1-$H$2*B1-$H$3*C1)",
        "Z1": f"=SUM(F1:F{count})",
    }
    session = trained(cells, "H1:H3")
    costs = np.concatenate([np.zeros(3), share * weight, (1 - share) * weight])
    equal = np.hstack([x, np.eye(count), -np.eye(count)])
    found = linprog(costs, A_eq=equal, b_eq=y, bounds=[(None, None)] * 3 + [(0, None)] * (2 * count))
    assert session.loss == pytest.approx(found.fun, rel=1e-10)
    assert (session.stopped, session.plan.optimizer_name) == ("converged", HIGHS)


def test_quantile_of_a_curve() -> None:
    """Of a constant that is squared: where the sorted numbers say, and the ending says what is known of it."""
    values = np.sort(RANDOM.uniform(1, 9, 41))
    cells = {"A1:A41": values[:, None].tolist(), "H1": 1.0, "H2": 0.0, "D1:D41": "=IF(A1>$H$1^2,0.8,-0.2)*(A1-$H$1^2)"}
    session = trained({**cells, "Z1": "=SUM(D1:D41)+ABS(H2)"})
    assert parameters(session.model)[0] ** 2 == pytest.approx(values[int(0.8 * 41)], rel=1e-9)
    assert session.ending == "converged: no direction leads to a better one, also at the kinks"


def test_expectiles_are_smooth() -> None:
    """Squares with two weights have no kink: the mean where the weighted squares on both sides balance."""
    session = trained(points(**{"D1:D40": "=IF(C1>0,0.8,0.2)*C1^2", "Z1": "=SUM(D1:D40)"}))
    assert session.stopped == "converged"
    residuals = LINE @ parameters(session.model) - Y
    balance = LINE.T @ (np.where(residuals > 0, 0.8, 0.2) * residuals)
    assert np.abs(balance).max() < 1e-5 * np.abs(residuals).sum()


PARTS = ["C1", "0.8", "-0.2", "2", "A1", "SIGN(C1)", "ABS(C1)", "MAX(C1,0)", "IF(C1>1,C1,1)", "IF(2*C1<>0,1,0)"]
PARTS += ["(C1>0)", "(C1<=0)", "(C1<0)", "(C1>=0)", "(C1=0)", "IF(C1>0,0.8,-0.2)", "IF(-C1>0,C1,2)"]
PARTS += ["IF(C1<1,C1,IF(C1<2,2*C1-1,3*C1-3))", "IF(C1>1,3,IF(C1>-1,C1,1))", "(AND(C1>0,C1<=1)*C1)", "IF(C1=1,C1,1)"]


def some_formula(random: Random, depth: int) -> str:
    if depth == 0:
        return random.choice(PARTS)
    kind = random.random()
    if kind < 0.8:
        return f"({some_formula(random, depth - 1)}{random.choice('+-**')}{some_formula(random, depth - 1)})"
    if kind < 0.9:
        relation = random.choice([">", "<", ">=", "<="])
        return f"IF(C1{relation}0,{some_formula(random, depth - 1)},{some_formula(random, depth - 1)})"
    return f"(-{some_formula(random, depth - 1)}/4)"


def test_random_formulas_with_conditions() -> None:
    """What is said of them is true of their numbers, and they are the same in the program that is analysed."""
    random = Random(5)
    joined, tiny = 0, np.array([1e-10, 0])
    for _ in range(150):
        formula = f"={some_formula(random, random.choice([1, 2, 2, 3]))}"
        data = {"A1:A4": [[1.0], [0.0], [2.0], [-1.0]], "H1": 0.0, "H2": 0.0, "C1:C4": "=$H$1+$H$2*A1"}
        cells = {**data, "D1:D4": formula, "Z1": "=SUM(D1:D4)+H1+H2"}
        model = compiled(cells, "H1:H2")
        module = model.lowered.module([model.loss_node])
        note_shapes(module)
        made = with_joined_choices(module)
        if made is module:
            continue
        joined += 1
        kind = function_kinds(model.lowered, [model.loss_node], {})[0]

        def at(point: Floats, program: GraphModule = made) -> float:
            with torch.no_grad():
                for tensor in program.parameters():
                    tensor.copy_(torch.tensor(point).reshape(tensor.shape))
                return float(program()[0])

        points = [np.array([random.choice([-1, 0, 0.5, 1, random.gauss(0, 1)]) for _ in range(2)]) for _ in range(20)]
        for one, two in pairwise(points):
            assert at(one) == pytest.approx(at(one, module), abs=1e-9), formula
            above = (at(one) + at(two)) / 2 - at((one + two) / 2)
            assert not (kind.convex and above < -1e-9), formula
            assert not (kind.concave and above > 1e-9), formula
            assert kind.stepped or at(one + tiny) == pytest.approx(at(one - tiny), abs=1e-6), formula
            assert kind.low <= at(one) <= kind.high, formula
    assert joined > 15


def test_many_points() -> None:
    """2,000 points: as many variables, and twice as many rows."""
    random = np.random.default_rng(1)
    x = random.uniform(0, 1, (2000, 3))
    y = x @ [1.0, -2.0, 3.0] + random.laplace(size=2000)
    cells = {
        "A1:C2000": x.tolist(),
        "D1:D2000": y[:, None].tolist(),
        "H1:H3": [[0.0], [0.0], [0.0]],
        "E1:E2000": "=ABS($H$1*A1+$H$2*B1+$H$3*C1-D1)",
        "Z1": "=SUM(E1:E2000)",
    }
    session = trained(cells, "H1:H3")
    equal = np.hstack([x, np.eye(2000), -np.eye(2000)])
    costs = np.concatenate([np.zeros(3), np.ones(4000)])
    found = linprog(costs, A_eq=equal, b_eq=y, bounds=[(None, None)] * 3 + [(0, None)] * 4000)
    assert session.loss == pytest.approx(found.fun, rel=1e-10)


def test_huber_is_smooth() -> None:
    """It needs no variables, and ends as any smooth loss does."""
    huber = "=IF(ABS(C1)<=1.35,C1^2/2,1.35*(ABS(C1)-0.675))"
    session = trained(points(Z1="=SUM(D1:D40)", **{"D1:D40": huber}))
    assert session.plan.optimizer_name == "lbfgs"
    assert session.stopped == "converged"

    def loss(b: Floats) -> float:
        r = np.abs(LINE @ b - Y)
        return float(np.where(r <= 1.35, r**2 / 2, 1.35 * (r - 0.675)).sum())

    assert session.loss == pytest.approx(minimize(loss, [3, -0.7], tol=1e-12).fun, rel=1e-9)


# --- constraints --------------------------------------------------------------------------------------------


def solver(tmp_path: Path, objective: str, constraints: Any, **more: Any) -> Session:
    """Three amounts in A1:A3 of at least 0."""
    cells = {"A1": [[1.0], [1.0], [1.0]], "D1": "=A1+A2+A3", "D2": "=MAX(2*A1,A2)+A3", "C1": objective}
    found = models.workbook(tmp_path, cells, "C1", "A1:A3", constraints=constraints, **more)
    session = Session(models.compile(found))
    session.run()
    return session


def test_maximin_allocation(tmp_path: Path) -> None:
    """10 units for three people, of whom each gets 1, 2 and 4 from one: the poorest gets as much as possible."""
    session = solver(tmp_path, "=MIN(A1,2*A2,4*A3)", [("D1", AT_MOST, 10)], kind=MAX)
    assert session.loss == pytest.approx(10 / (1 + 1 / 2 + 1 / 4), rel=1e-12)
    assert (session.stopped, session.plan.optimizer_name, session.constraints_hold) == ("converged", HIGHS, True)


def test_kinks_in_constraints(tmp_path: Path) -> None:
    session = solver(tmp_path, "=3*A1+2*A2+A3", [("D2", AT_MOST, 8)], kind=MAX)
    costs, rows = [-3, -2, -1], [[2, 0, 1], [0, 1, 1]]
    assert session.loss == pytest.approx(-linprog(costs, A_ub=rows, b_ub=[8, 8]).fun, rel=1e-12)
    assert session.plan.optimizer_name == HIGHS


def test_a_kink_on_the_wrong_side(tmp_path: Path) -> None:
    """MAX(2 A1, A2) + A3 >= 8 does not allow a convex set: variables cannot stand for its kinks."""
    session = solver(tmp_path, "=A1+A2+A3", [("D2", AT_LEAST, 8)], kind=MIN)
    assert session.plan.optimizer_name != HIGHS
    assert session.constraints_hold
    session = solver(tmp_path, "=A1+A2+A3", [("D2", EQUAL, 8)], kind=MIN)
    assert session.constraints_hold


def test_what_cannot_be_met_is_named(tmp_path: Path) -> None:
    with refusal(TrainingError, cell="Model!D2", cause="cannot be met"):
        solver(tmp_path, "=ABS(A1-3)+A2+A3", [("D2", AT_MOST, 1), ("A1", AT_LEAST, 2)])


def test_without_limit(tmp_path: Path) -> None:
    with refusal(TrainingError, cell="Model!C1", cause="can fall without limit"):
        solver(tmp_path, "=ABS(A1-3)-A2", [])


# --- not linear ---------------------------------------------------------------------------------------------


# Charalambous and Bandler's problems, and others whose optimum is known in closed form.
NONLINEAR = {
    "CB2": ("=MAX(H1^2+H2^4,(2-H1)^2+(2-H2)^2,2*EXP(H2-H1))", (1.0, -0.1), 1.9522244938706594),
    "CB3": ("=MAX(H1^4+H2^2,(2-H1)^2+(2-H2)^2,2*EXP(H2-H1))", (2.0, 2.0), 2.0),
    "LQ": ("=MAX(-H1-H2,-H1-H2+H1^2+H2^2-1)", (-0.5, -0.5), -(2**0.5)),
    "Mifflin 1": ("=-H1+20*MAX(H1^2+H2^2-1,0)", (0.8, 0.6), -1.0),
    "Rosenbrock in ABS": ("=10*ABS(H2-H1^2)+ABS(1-H1)", (-1.2, 1.0), 0.0),
    "a lasso": ("=(H1-3)^2+(H2-0.4)^2+ABS(H1)+ABS(H2)", (0.0, 1.0), 2.75 + 0.16),
    "a smooth valley": ("=(H1-3)^2/2+MAX(H2,1-H2,0)^2", (0.0, 1.0), 0.25),
}


@pytest.mark.parametrize("name", NONLINEAR)
def test_nonlinear(name: str) -> None:
    formula, start, optimum = NONLINEAR[name]
    session = trained({"H1": start[0], "H2": start[1], "Z1": formula})
    assert session.loss == pytest.approx(optimum, rel=1e-8, abs=1e-8)
    assert session.stopped == "converged"
    assert session.plan.solved is not None
    assert session.reason == "no direction leads to a better one, also at the kinks"


def test_minimax_of_a_curve() -> None:
    x = np.linspace(0, 4, 30)
    y = 2.5 * np.exp(-0.8 * x) + 0.05 * np.sin(20 * x)
    cells = {
        "A1:A30": x[:, None].tolist(),
        "B1:B30": y[:, None].tolist(),
        "H1": 1.0,
        "H2": -0.3,
        "C1:C30": "=ABS($H$1*EXP($H$2*A1)-B1)",
        "Z1": "=MAX(C1:C30)",
    }
    session = trained(cells)
    options = {"xatol": 1e-12, "fatol": 1e-14, "maxfev": 10_000}
    by_hand = minimize(
        lambda b: np.abs(b[0] * np.exp(b[1] * x) - y).max(), [2.5, -0.8], method="Nelder-Mead", options=options
    )
    assert session.loss <= by_hand.fun * (1 + 1e-10)
    assert (session.stopped, session.plan.optimizer_name) == ("converged", SEQUENTIAL)


def lowest(loss: Callable[[Floats], float], near: Sequence[float]) -> float:
    """SciPy's minimum near a point, by a method that knows no gradient."""
    best = np.array(near)
    for _ in range(6):
        options = {"xatol": 1e-13, "fatol": 1e-15, "maxiter": 20_000, "maxfev": 20_000}
        best = minimize(loss, best, method="Nelder-Mead", options=options).x
    return float(loss(best))


@pytest.mark.parametrize("loss", ["=SUM(D1:D500)", "=MAX(D1:D500)"])
def test_many_kinks_in_a_curve(loss: str) -> None:
    random = np.random.default_rng(3)
    t = np.linspace(0.1, 10, 500)
    noise = random.standard_t(1.5, 500) if "SUM" in loss else random.uniform(-1, 1, 500)
    y = 5 * np.exp(-0.4 * t) + 1 + 0.1 * noise
    cells = {
        "A1:A500": t[:, None].tolist(),
        "B1:B500": y[:, None].tolist(),
        "H1:H3": [[1.0], [1.0], [0.0]],
        "D1:D500": "=ABS($H$1*EXP(-$H$2*A1)+$H$3-B1)",
        "Z1": loss,
    }
    session = trained(cells, "H1:H3")
    size = np.sum if "SUM" in loss else np.max
    best = lowest(lambda b: float(size(np.abs(b[0] * np.exp(-b[1] * t) + b[2] - y))), [5, 0.4, 1])
    assert session.loss == pytest.approx(best, rel=1e-9)
    assert session.ending == "converged: no direction leads to a better one, also at the kinks"


@pytest.mark.parametrize("loss", ["=SUM(D1:D40)", "=MAX(D1:D40)"])
@pytest.mark.parametrize(("x_unit", "y_unit"), [(1e6, 1e6), (1e-6, 1e6), (1e6, 1e-6), (1e4, 1e-4)])
def test_units_make_no_difference(x_unit: float, y_unit: float, loss: str) -> None:
    random = np.random.default_rng(0)
    t = np.linspace(0.1, 10, 40)
    y = 5 * np.exp(-0.4 * t) + 1 + 0.1 * random.standard_t(2, 40)
    cells = {
        "A1:A40": (t * x_unit)[:, None].tolist(),
        "B1:B40": (y * y_unit)[:, None].tolist(),
        "H1:H3": [[y_unit], [1 / x_unit], [0.0]],
        "D1:D40": "=ABS($H$1*EXP(-$H$2*A1)+$H$3-B1)",
        "Z1": loss,
    }
    session = trained(cells, "H1:H3")
    size = np.sum if "SUM" in loss else np.max
    best = lowest(lambda b: float(size(np.abs(b[0] * np.exp(-b[1] * t) + b[2] - y))), [5, 0.4, 1])
    assert session.loss == pytest.approx(best * y_unit, rel=1e-8, abs=0)
    assert session.stopped == "converged"


@pytest.mark.parametrize("count", [60, 800])
def test_curvature_along_many_kinks(count: int) -> None:
    """Least absolute deviations with a penalty for large coefficients: most directions have kinks, and some a curve."""
    random = np.random.default_rng(4)
    x, weight = random.normal(size=(count, 4)), count / 20
    y = x @ [1, -1, 0.5, 0] + random.standard_t(2, count)
    cells = {
        "A1:D" + str(count): x.tolist(),
        f"E1:E{count}": y[:, None].tolist(),
        "H1:H4": [[0.0]] * 4,
        f"F1:F{count}": "=ABS(A1*$H$1+B1*$H$2+C1*$H$3+D1*$H$4-E1)",
        "Z1": f"=SUMSQ(H1:H4)*{weight}+SUM(F1:F{count})",
    }
    session = trained(cells, "H1:H4")

    def dual(a: Floats) -> tuple[float, Floats]:
        """What no loss can be below is the largest of y a - |x' a|² / (4 weight) with all |a| <= 1, turned round."""
        pull = x.T @ a
        return float(pull @ pull / (4 * weight) - y @ a), x @ pull / (2 * weight) - y

    options = {"ftol": 0, "gtol": 1e-12, "maxiter": 50_000, "maxfun": 200_000, "maxcor": 50}
    found = minimize(dual, np.zeros(count), jac=True, method="L-BFGS-B", bounds=[(-1, 1)] * count, options=options)
    assert session.loss == pytest.approx(-found.fun, rel=1e-8)
    assert session.ending == "converged: no direction leads to a better one, also at the kinks"
    assert session.steps_taken < 30


def test_where_no_variables_can_stand_for_kinks_it_is_no_saddle() -> None:
    """A weight that jumps where its factor is 0, by two conditions, makes a kink that no rule sees."""
    cells = points(**{"D1:D40": "=IF(AND($H$1+$H$2*A1>B1,$H$2<9),0.8,-0.2)*($H$1+$H$2*A1-B1)", "Z1": "=SUM(D1:D40)"})
    session = trained(cells)
    assert session.stopped == "stalled"
    assert session.reason.endswith(
        "no derivative tells whether this is a minimum: Sheet1!D1:D40 may jump or have kinks"
    )


def test_constraints_of_a_nonlinear_one(tmp_path: Path) -> None:
    """The nearest point, by the sum of distances, to (3, 4, 0) in the unit ball: (3/5, 4/5, 0) is not it."""
    cells = {"A1": [[0.1], [0.1], [0.1]], "D1": "=A1^2+A2^2+A3^2", "C1": "=ABS(A1-3)+ABS(A2-4)+ABS(A3)"}
    found = models.workbook(tmp_path, cells, "C1", "A1:A3", constraints=[("D1", AT_MOST, 1)], neg=2)
    session = Session(models.compile(found))
    session.run()
    assert session.loss == pytest.approx(7 - 2**0.5, rel=1e-9)
    assert session.stopped == "converged"
    assert session.constraints_hold


@pytest.mark.parametrize(
    "formula",
    [
        "=ABS(ABS(H1)-1)+H2^2",  # grows and falls with the inner one
        "=MAX(0,H1)*H2+H1^2+H2^2",  # H2 has either sign
        "=(MAX(0,H1)-2)^2+H2^2",
        "=-ABS(H1)+H2^2+H1^2",
        "=MAX(H2,1-H2)^2+H1^2",  # the square falls below 0, and nothing says that the maximum is not there
        "=ROUND(H1,0)+ABS(H2)+H1^2",
        "=LARGE(H1:H2,2)+H1^2+H2^2",
    ],
)
def test_where_variables_cannot_stand_for_kinks(formula: str) -> None:
    model = compiled({"H1": 0.3, "H2": 0.2, "Z1": formula}, "H1:H2")
    constraints = no_constraints(model)
    assert kinkless(model, constraints, problem_kind(model, constraints)) is None


def test_derivatives() -> None:
    """Those that are known beforehand are those that a backward pass gives."""
    formulas = [
        "=SUMPRODUCT(ABS(C1:C40))",
        "=MAX(C1:C40)-MIN(C1:C40)",
        "=SUM(D1:D40)^2+MAX(E1:E2)",
        "=MAX(D1:D40,E1:E2)+EXP(H1)",
    ]
    for formula in formulas:
        model = compiled(points(Z1=formula, **{"D1:D40": "=MAX(0,C1)", "E1:E2": "=ABS(H1)"}), "H1:H2")
        constraints = no_constraints(model)
        flat = kinkless(model, constraints, problem_kind(model, constraints))
        assert flat is not None
        x = flat.get()
        np.testing.assert_allclose(flat.sparse_jacobian(x).toarray(), flat.jacobian(x), atol=1e-12)


def test_an_optimizer_that_was_chosen_is_taken() -> None:
    session = trained(points(**LEAST_ABSOLUTE["SUMPRODUCT"]), optimizer="adam", steps=5)
    assert session.plan.optimizer_name == "adam"


def test_restarts() -> None:
    session = trained({"H1": 3.0, "H2": 1.0, "Z1": "=ABS(H1^2-2)+ABS(H2-1)+0.1*ABS(H1+2)"}, restarts=5, seed=1)
    assert session.loss == pytest.approx(0.1 * (2 - 2**0.5), abs=1e-8)
    assert session.distribution is not None


def test_the_start_is_a_kink() -> None:
    """ABS(x) at 0 has the gradient 0, and at a corner the optimizers of smooth functions stop."""
    session = trained({"H1": 0.0, "H2": 0.0, "Z1": "=ABS(H1)+ABS(H2)+MAX(1-H1-H2,0)*3"})
    assert session.loss == pytest.approx(1.0, rel=1e-12)
    session = trained({"H1": 0.0, "H2": 0.0, "Z1": "=ABS(H1)+ABS(H2)"})
    assert (session.loss, session.stopped) == (0.0, "converged")


# --- what is said afterwards --------------------------------------------------------------------------------


def test_shadow_prices(tmp_path: Path) -> None:
    """One unit more for three people of whom each gets 1, 2 and 4 from one: the poorest gets 1 / 1.75 more."""
    session = solver(tmp_path, "=MIN(A1,2*A2,4*A3)", [("D1", AT_MOST, 10)], kind=MAX)
    found = sensitivity(session.solution())
    assert isinstance(found, Sensitivity)
    assert [item.price for item in found.constraints] == [pytest.approx(1 / 1.75)]
    assert [item.gradient for item in found.variables] == pytest.approx([0, 0, 0], abs=1e-12)
    session = solver(tmp_path, "=3*A1+2*A2+A3", [("D2", AT_MOST, 8)], kind=MAX)
    found = sensitivity(session.solution())
    assert isinstance(found, Sensitivity)
    assert [item.price for item in found.constraints] == [pytest.approx(3.5)]
    assert [item.gradient for item in found.variables] == pytest.approx([0, 0, -2.5], abs=1e-12)


def test_a_gradient_of_0_at_a_kink_is_no_finding() -> None:
    """Of the distances, as many pull H1 up as down: its gradient is 0, and it is at the optimum."""
    cells = {"A1:A4": [[1.0], [2.0], [4.0], [7.0]], "H1": 3.0, "H2": 0.0}
    kinked = compiled({**cells, "Z1": "=SUMPRODUCT(ABS(A1:A4-H1))+ABS(H2)+ABS(H1-3)"}, "H1:H2")
    assert all(value == 0 for value in kinked.gradients().values())
    assert not [item for item in diagnose(kinked) if item.kind == "zero gradient"]
    flat = compiled({**cells, "Z1": "=MAX(0,H1-5)+(H2-1)^2"}, "H1:H2")
    assert [item.cells for item in diagnose(flat) if item.kind == "zero gradient"] == [("Sheet1!H1",)]
