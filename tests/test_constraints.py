"""Bounds and constraints: workbooks that were set up for Excel's Solver reach their known optimum."""

from __future__ import annotations

import time
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy.optimize import least_squares, linprog

import sgdsheet
from sgdsheet.compiler.model import SheetModel
from sgdsheet.errors import DataError, ProblemError, TrainingError
from sgdsheet.problem.definition import clipped_by_solver_neg, find_problem
from sgdsheet.train.constrained import solve as constrained
from sgdsheet.train.constrained.constraints import compile_constraints
from sgdsheet.train.constrained.solve import OPTIMAL, OUT_OF_STEPS, Progress, solve
from tests import solver_models as models
from tests.errors import refusal
from tests.hock_schittkowski import CASES, Case
from tests.solver_models import AT_LEAST, AT_MOST, EQUAL, MAX, MIN, VALUE

CLOSE = 1e-6


def solved(model: SheetModel, **options: Any) -> Progress:
    """Solve and return the last progress; bounds and constraints hold."""
    constraints = compile_constraints(model)
    assert constraints is not None
    last = list(solve(model, constraints, **options))[-1]
    assert last.loss == model().item()
    x = np.array(list(model.parameter_cells().values()))
    assert (x >= constraints.bounds.lower.numpy()).all()
    assert (x <= constraints.bounds.upper.numpy()).all()
    violations = constraints.violations(constraints.residuals().detach())
    assert last.violation == float(violations.max()) if len(violations) else last.violation == 0
    assert (violations <= CLOSE * constraints.magnitudes).all()
    return last


def parameters(model: SheetModel) -> list[float]:
    return list(model.parameter_cells().values())


def but(model: dict[str, Any], **changes: Any) -> dict[str, Any]:
    """A model with some changes; cells and constraints are added."""
    cells = {**model["cells"], **changes.pop("cells", {})}
    constraints = [*model.get("constraints", ()), *changes.pop("constraints", ())]
    return {**model, "cells": cells, "constraints": constraints, **changes}


def quadratic(constraints: Any, **more: Any) -> dict[str, Any]:
    """(A1 - 3)^2 + (B1 + 2)^2 from (1, 1)."""
    cells = {"A1": [[1, 1]], "A2": "=(A1-3)^2+(B1+2)^2"}
    return {"cells": cells, "loss": "A2", "params": "A1:B1", "constraints": constraints, **more}


# --- textbook models ----------------------------------------------------------------------------------------

TEXTBOOK = {
    "product mix": (models.PRODUCT_MIX, 36.0, [2, 6]),
    "box": (models.BOX, 4.0, [2, 2, 1]),
    "box from zero": (but(models.BOX, cells={"A1": [[0, 0, 0]]}), 4.0, [2, 2, 1]),
    "Rosenbrock in the unit disk": (models.ROSENBROCK, 0.0456748087191604, [0.7864151541, 0.6176983125]),
    "Rosenbrock in a larger disk": (but(models.ROSENBROCK, cells={"A4": 4}), 0.0, [1, 1]),
    "HS71": (models.HS71, 17.0140172891563, [1, 4.7429996, 3.8211500, 1.3794083]),
    "goal": (models.GOAL, 100.0, [2**0.1 - 1]),
}


@pytest.mark.parametrize("name", TEXTBOOK)
@pytest.mark.parametrize("polished", [True, False], ids=["", "unpolished"])
def test_textbook(name: str, polished: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    if not polished:
        monkeypatch.setattr(constrained, "polish", lambda *arguments: None)
        monkeypatch.setattr(constrained, "solve_if_linear", lambda *arguments: None)
    model, loss, expected = TEXTBOOK[name]
    compiled = models.model(tmp_path, **model)
    last = solved(compiled)
    assert last.outcome == OPTIMAL or not polished
    assert abs(last.loss - loss) <= CLOSE
    assert np.allclose(parameters(compiled), expected, atol=1e-4)


@pytest.mark.parametrize("name", CASES)
def test_hock_schittkowski(name: str, tmp_path: Path) -> None:
    case: Case = CASES[name]
    last = solved(models.model(tmp_path, **case.model()))
    assert last.outcome == OPTIMAL
    assert abs(last.loss - case.optimum) <= CLOSE * max(1.0, abs(case.optimum))


def test_transport(tmp_path: Path) -> None:
    cells = models.TRANSPORT["cells"]
    costs, supply, demand = np.array(cells["B2"]), np.array(cells["H6"]), np.array(cells["B10"][0])
    sums = np.concatenate([np.kron(np.eye(3), np.ones(5)), -np.kron(np.ones(3), np.eye(5))])
    expected = linprog(costs.ravel(), A_ub=sums, b_ub=np.concatenate([supply, -demand]))
    model = models.model(tmp_path, **models.TRANSPORT)
    last = solved(model)
    assert last.loss == pytest.approx(expected.fun, abs=CLOSE) == 3720
    sent = np.array(parameters(model)).reshape(3, 5)
    assert np.allclose(sent.sum(0), demand)
    assert (sent.sum(1) <= supply + 1e-9).all()


def test_portfolio(tmp_path: Path) -> None:
    cells = models.PORTFOLIO["cells"]
    covariance, returns = np.array(cells["D2"]), np.array(cells["B2"])
    rows = np.stack([np.ones(4), returns])  # no weight is 0: Lagrange's equations are linear
    system = np.block([[2 * covariance, rows.T], [rows, np.zeros((2, 2))]])
    weights = np.linalg.solve(system, [0, 0, 0, 0, 1, 0.11])[:4]
    assert (weights > 0).all()
    model = models.model(tmp_path, **models.PORTFOLIO)
    last = solved(model)
    assert abs(last.loss - weights @ covariance @ weights) <= 1e-9
    assert np.allclose(parameters(model), weights, atol=1e-5)


DECAY = {
    "free": ((0, 10), (0, 5), (-1, 1)),
    "rate at its upper bound": ((0, 10), (0, 0.4), (-1, 1)),
    "offset at its lower bound": ((0, 10), (0, 5), (0.6, 1)),
    "offset fixed": ((0, 10), (0, 5), (0.3, 0.3)),
}


@pytest.mark.parametrize("name", DECAY)
def test_curve_fitting(name: str, tmp_path: Path) -> None:
    times = np.linspace(0, 8, 25)
    noise = np.random.default_rng(3).normal(size=25) * 0.02
    data = 3 * np.exp(-0.7 * times) + 0.5 + noise
    rows = [
        [t, y, f"=E$1*EXP(-E$2*A{i})+E$3", f"=(C{i}-B{i})^2"]
        for i, (t, y) in enumerate(zip(times, data, strict=True), 1)
    ]
    bounds = DECAY[name]
    constraints = [(f"E{i}", AT_LEAST, float(low)) for i, (low, _) in enumerate(bounds, 1)]
    constraints += [(f"E{i}", AT_MOST, float(high)) for i, (_, high) in enumerate(bounds, 1)]
    model = models.model(
        tmp_path,
        {"A1": rows, "E1": [1, 0.2, 0.7], "E5": "=SUM(D1:D25)"},
        "E5",
        "E1:E3",
        constraints=constraints,
    )
    last = solved(model)
    widened = np.array([(low, high + 1e-12 * (low == high)) for low, high in bounds]).T
    expected = least_squares(
        lambda p: p[0] * np.exp(-p[1] * times) + p[2] - data,
        np.clip([1, 0.2, 0.7], widened[0] + 1e-13, widened[1] - 1e-13),
        bounds=widened,
        xtol=1e-15,
        ftol=1e-15,
        gtol=1e-15,
    )
    assert last.outcome == OPTIMAL
    assert last.loss <= 2 * expected.cost + 1e-9
    assert abs(last.loss - 2 * expected.cost) <= CLOSE
    assert np.allclose(parameters(model), expected.x, atol=1e-4)


# --- size ---------------------------------------------------------------------------------------------------


def chain(folder: Path, count: int, *constraints: Any) -> tuple[SheetModel, np.ndarray[Any, Any]]:
    """The sum of (x_i - t_i)^2 + 3 (x_i+1 - x_i)^2 with -1 <= x <= 1, and the t."""
    wanted = np.random.default_rng(0).normal(size=count) * 2
    last = count - 1
    rows = [[0.0, value] for value in wanted.tolist()]
    squares = f"SUMPRODUCT((A1:A{count}-B1:B{count})^2)+3*SUMPRODUCT((A2:A{count}-A1:A{last})^2)"
    cells = {"A1": rows, "E1": f"={squares}", "E2": f"=SUM(A1:A{count})"}
    bounds = [(f"A1:A{count}", AT_MOST, 1), (f"A1:A{count}", AT_LEAST, -1)]
    return models.model(folder, cells, "E1", f"A1:A{count}", MIN, [*bounds, *constraints]), wanted


@pytest.mark.parametrize("count", [2_000, 50_000])
def test_many_bounded_parameters(count: int, tmp_path: Path) -> None:
    model, wanted = chain(tmp_path, count)
    started = time.process_time()
    last = solved(model)
    assert time.process_time() - started < 90
    x = np.array(parameters(model))
    steps = np.diff(x)
    slopes = 2 * (x - wanted) + 6 * (np.append(0, steps) - np.append(steps, 0))
    assert np.abs(np.clip(x - slopes, -1, 1) - x).max() <= 1e-6  # the problem is convex: this proves the optimum
    assert last.outcome == OPTIMAL
    assert last.loss == pytest.approx(((x - wanted) ** 2).sum() + 3 * (steps**2).sum(), rel=1e-12)


def test_many_parameters_and_a_constraint(tmp_path: Path) -> None:
    model, wanted = chain(tmp_path, 2_000, ("E2", EQUAL, 200))
    last = solved(model)
    x = np.array(parameters(model))
    steps = np.diff(x)
    slopes = 2 * (x - wanted) + 6 * (np.append(0, steps) - np.append(steps, 0))
    inside = np.abs(x) < 1 - 1e-6
    price = slopes[inside].mean()  # one multiplier for all parameters
    assert np.abs(np.clip(x - slopes + price, -1, 1) - x).max() <= 1e-4
    assert last.outcome == OPTIMAL
    assert abs(x.sum() - 200) <= CLOSE * 200


def test_large_linear_programme(tmp_path: Path) -> None:
    plants, shops = 40, 60
    costs = np.random.default_rng(1).integers(1, 30, (plants, shops)).astype(float)
    ends = "".join(f"{a}{b}," for a in ("", "A", "B") for b in "ABCDEFGHIJKLMNOPQRSTUVWXYZ").split(",")[:shops]
    cells: dict[str, Any] = {
        "A1": costs.tolist(),
        "A101": np.zeros((plants, shops)).tolist(),
        "CA101": [f"=SUM(A{row}:BH{row})" for row in range(101, 101 + plants)],
        "A201": [[f"=SUM({column}101:{column}140)" for column in ends]],
        "A300": "=SUMPRODUCT(A1:BH40,A101:BH140)",
    }
    constraints = [("CA101:CA140", AT_MOST, 200.0), ("A201:BH201", AT_LEAST, 100.0)]
    last = solved(models.model(tmp_path, cells, "A300", "A101:BH140", constraints=constraints))
    sums = np.concatenate([np.kron(np.eye(plants), np.ones(shops)), -np.kron(np.ones(plants), np.eye(shops))])
    limits = np.concatenate([np.full(plants, 200.0), np.full(shops, -100.0)])
    assert last.iterations == 1
    assert last.loss == pytest.approx(linprog(costs.ravel(), A_ub=sums, b_ub=limits).fun, abs=CLOSE)


# --- how constraints are read -------------------------------------------------------------------------------


def test_bounds_in_the_order_of_the_parameters(tmp_path: Path) -> None:
    cells = {"A1": [[1, 1, 5, 7], [1, 1, 2, 3]], "F1": 9, "A4": "=SUMSQ(A1:D2)", "I1": 6}
    constraints = [
        ("A1:B2", AT_MOST, 3),
        ("B2", AT_LEAST, "I1"),
        ("D1:D2", AT_MOST, "F1"),
        ("D2", EQUAL, 8),
    ]
    workbook = models.workbook(tmp_path, cells, "A4", "D1:D2,A1,B2", constraints=constraints, neg=2)
    model = SheetModel(workbook, find_problem(workbook))
    with refusal(ProblemError, cell="Model!B2", cause=r"^the lower bound 6 \(.*2\) is above the upper bound 3 \(.*1\)"):
        compile_constraints(model)
    workbook.sheets[models.SHEET].values[1, 9] = -6.0
    constraints_model = compile_constraints(model)
    assert constraints_model is not None
    inf = float("inf")
    assert constraints_model.bounds.lower.tolist() == [-inf, 8, -inf, -6]
    assert constraints_model.bounds.upper.tolist() == [9, 8, 3, 3]
    assert constraints_model.bounds.count == 4
    assert not constraints_model.labels


def test_residuals_are_in_the_units_of_the_sheet(tmp_path: Path) -> None:
    cells = {"A1": [[2, 3]], "A2": "=A1^2+B1", "B2": "=A1*B1", "A3": "=A1-B1", "C1": [[10, 20]]}
    constraints = [("A2:B2", AT_MOST, "C1:D1"), ("A3", EQUAL, 1), ("B1", AT_LEAST, "A1"), ("A2", AT_LEAST, 8)]
    model = models.model(tmp_path, cells, "B2", "A1:B1", constraints=constraints)
    found = compile_constraints(model)
    assert found is not None
    assert found.residuals().tolist() == [7 - 10, 6 - 20, 2 - 3, 8 - 7, -1 - 1]
    assert found.violations(found.residuals()).tolist() == [0, 0, 0, 1, 2]
    assert found.magnitudes.tolist() == [10, 20, 1, 8, 1]
    cells_of = [str(label.cell) for label in found.labels]
    assert cells_of == ["Model!A2", "Model!B2", "Model!B1", "Model!A2", "Model!A3"]
    assert len(found.equalities) == 1


@pytest.mark.parametrize(("neg", "expected"), [(None, [3, 0]), (1, [3, 0]), (2, [3, -2]), (7, [3, -2])])
def test_variables_are_not_negative_by_default(neg: int | None, expected: list[float], tmp_path: Path) -> None:
    more = {} if neg is None else {"neg": neg}
    model = models.model(tmp_path, **quadratic([("A1", AT_MOST, 50)], **more))
    solved(model)
    assert np.allclose(parameters(model), expected, atol=CLOSE)


def test_an_explicit_lower_bound_counts(tmp_path: Path) -> None:
    model = models.model(tmp_path, **quadratic([("B1", AT_LEAST, -1)]))
    solved(model)
    assert np.allclose(parameters(model), [3, -1])


def test_parameters_that_solver_would_clip(tmp_path: Path) -> None:
    cells = {"A1": [[-1, 1, -2, -3]], "A2": "=SUMSQ(A1:D1)"}
    book = models.workbook(tmp_path, cells, "A2", "A1:D1", constraints=[("C1", AT_LEAST, -5)])
    assert [str(cell) for cell in clipped_by_solver_neg(find_problem(book), book)] == ["Model!A1", "Model!D1"]
    book = models.workbook(tmp_path, cells, "A2", "A1:D1", neg=2)
    assert clipped_by_solver_neg(find_problem(book), book) == []


def test_no_constraints_at_all(tmp_path: Path) -> None:
    assert compile_constraints(models.model(tmp_path, **quadratic([], neg=2))) is None


def test_stale_constraints_are_ignored(tmp_path: Path) -> None:
    model = quadratic([("A1", AT_MOST, 2), ("A1", AT_MOST, 1)], num=1)
    compiled = models.model(tmp_path, **model)
    solved(compiled)
    assert parameters(compiled)[0] == pytest.approx(2)


def test_parameters_may_limit_each_other(tmp_path: Path) -> None:
    model = models.model(tmp_path, **quadratic([("A1", AT_MOST, "B1")], neg=2))
    assert solved(model).loss == pytest.approx(12.5, abs=CLOSE)
    assert np.allclose(parameters(model), [0.5, 0.5], atol=1e-5)


def test_a_parameter_that_only_a_constraint_reads(tmp_path: Path) -> None:
    cells = {"A1": [[1, 1, 0]], "A2": "=C1*1", "A3": "=A1*(4-A1)-C1", "A4": "=10-A1*B1-C1"}
    constraints = [("A3:A4", AT_LEAST, 0), ("B1", AT_LEAST, 1)]
    assert solved(models.model(tmp_path, cells, "A2", "A1:C1", MAX, constraints)).loss == pytest.approx(4, abs=CLOSE)


def test_several_areas_on_both_sides(tmp_path: Path) -> None:
    cells = {"A1": [[0, 0, 0]], "A2": "=SUMSQ(A1-5,B1-5,C1-5)", "E1": [[1, 2, 3]]}
    model = models.model(tmp_path, cells, "A2", "A1:C1", constraints=[("A1,B1:C1", AT_MOST, "E1,F1:G1")])
    solved(model)
    assert parameters(model) == pytest.approx([1, 2, 3])


REFUSED = {
    "int": (("A1:D1", 4, "integer"), "D1", r"^Solver's constraint 1 wants whole numbers here \(int\), and this is no"),
    "bin": (("A3", 5, "binary"), "A3", r"wants only 0 and 1 here \(bin\)"),
    "alldifferent": (("A3:A4", 6, "AllDifferent"), "A3", r"a different whole number in each cell"),
    "formula": (
        ("A3", 1, "Model!$A$1*2"),
        "A3",
        r"^the right side of Solver's constraint 1 \(Model!\$A\$1\*2\) is neither",
    ),
    "counts": (("A1:C1", 1, "F1:F2"), "A1:C1", r"compares 3 cells with the 2 of Model!F1:F2"),
    "nothing": (("F1", 1, 3), "F1", r"^Solver's constraint 1 needs a number here, and the cell holds nothing"),
    "text": (("A3", 1, "F2"), "F2", r"^Solver's constraint 1 needs a number here, and the cell holds text"),
    "constant": (
        ("F3", 1, 3),
        "F3",
        r"^Solver's constraint 1 \(.*\) does not hold \(4 against 3\), and no parameter",
    ),
    "contradiction": (
        ("B1", 1, -2),
        "B1",
        r"^the lower bound 0 \(.*Non-Negative.*\) is above the upper bound -2",
    ),
}


@pytest.mark.parametrize("name", REFUSED)
def test_refused(name: str, tmp_path: Path) -> None:
    constraint, cell, cause = REFUSED[name]
    cells = {**models.BOX["cells"], "F2": "text", "F3": 4}
    model = models.model(tmp_path, cells, "A2", "A1:C1", MAX, [constraint])  # still fit to be inspected
    with refusal(ProblemError, cell=f"Model!{cell}", cause=cause) as caught:
        compile_constraints(model)
    assert "\n" not in str(caught.value)


def test_a_constraint_that_holds_anyway_is_dropped(tmp_path: Path) -> None:
    model = models.model(tmp_path, **but(models.BOX, cells={"F1": 2}, constraints=[("F1", AT_MOST, 3)]))
    found = compile_constraints(model)
    assert found is not None
    assert len(found.labels) == 1


# --- what can go wrong --------------------------------------------------------------------------------------

IMPOSSIBLE = {
    "linear": (but(models.PRODUCT_MIX, constraints=[("D7", AT_LEAST, 20)]), "D7", "violated by "),
    "smooth": (but(models.HS71, constraints=[("A4", AT_MOST, 30)]), "A4", r" violated by 6\.4$"),
}


@pytest.mark.parametrize("name", IMPOSSIBLE)
def test_infeasible(name: str, tmp_path: Path) -> None:
    description, cell, cause = IMPOSSIBLE[name]
    model = models.model(tmp_path, **description)
    start = parameters(model)
    with refusal(TrainingError, cell=f"Model!{cell}", cause=cause) as caught:
        solved(model)
    assert "\n" not in str(caught.value)
    assert parameters(model) == start


UNLIMITED = {
    "linear": but(models.PRODUCT_MIX, params="B2:C2", num=0),
    "bounded": {"cells": {"A1": [[1, 1]], "A2": "=A1^2*B1"}, "loss": "A2", "params": "A1:B1", "kind": MAX},
    "constrained": {
        "cells": {"A1": [[1, 1]], "A2": "=A1+2*B1", "A3": "=A1-B1"},
        "loss": "A2",
        "params": "A1:B1",
        "kind": MAX,
        "constraints": [("A3", AT_MOST, 1)],
    },
}


@pytest.mark.parametrize("name", UNLIMITED)
def test_no_limit(name: str, tmp_path: Path) -> None:
    model = models.model(tmp_path, **UNLIMITED[name])
    with refusal(TrainingError, cell=f"Model!{UNLIMITED[name]['loss']}", cause="the loss can grow without limit"):
        solved(model)
    assert all(abs(value) <= 1 for value in parameters(model))


def test_a_line_search_may_leave_the_domain(tmp_path: Path) -> None:
    cells = {"A1": [[3, 1]], "A2": "=A1-10*LN(A1-2)+B1", "A3": "=SQRT(A1)+LN(B1)"}
    model = models.model(tmp_path, cells, "A2", "A1:B1", constraints=[("A3", AT_LEAST, 2)], neg=2)
    assert solved(model).outcome == OPTIMAL
    cells = {"A1": [[5, 5]], "A2": "=A1-LN(A1)+100*B1-LN(4*B1)"}
    model = models.model(tmp_path, cells, "A2", "A1:B1")  # the minimum is near the edge of the domain
    assert solved(model).loss == pytest.approx(2 - np.log(0.04), abs=CLOSE)


def test_a_start_without_a_value(tmp_path: Path) -> None:
    cells = {"A1": [[0, 1]], "A2": "=A1^2+B1^2", "A3": "=LN(A1-1)"}
    with refusal(TrainingError, cell="Model!A3", cause=r"A3.*is not a finite number at the start"):
        solved(models.model(tmp_path, cells, "A2", "A1:B1", constraints=[("A3", AT_LEAST, 2)]))
    with refusal(DataError, cell="Model!A3"):
        solved(models.model(tmp_path, cells, "A3", "A1", constraints=[]))


def test_what_only_looks_linear(tmp_path: Path) -> None:
    cells = {"A1": [[2, 2]], "A2": "=MAX(0,3-A1)^2+A1+B1", "A3": "=A1+B1"}
    model = models.model(tmp_path, cells, "A2", "A1:B1", constraints=[("A3", AT_LEAST, 2)])
    assert solved(model).loss == pytest.approx(2.75, abs=CLOSE)  # linear only where A1 is above 3


def test_deterministic(tmp_path: Path) -> None:
    first, second = (models.model(tmp_path, **models.HS71) for _ in range(2))
    assert solved(first) == solved(second)
    assert parameters(first) == parameters(second)


def test_solving_again_stays_there(tmp_path: Path) -> None:
    model = models.model(tmp_path, **models.PORTFOLIO)
    once = solved(model)
    again = solved(model)
    assert again.outcome == OPTIMAL
    assert again.loss == pytest.approx(once.loss, abs=1e-9)


def test_progress(tmp_path: Path) -> None:
    model = models.model(tmp_path, **models.HS71)
    constraints = compile_constraints(model)
    assert constraints is not None
    for progress in islice(solve(model, constraints), 5):
        assert progress.loss == model().item()
        violations = constraints.violations(constraints.residuals().detach())
        assert progress.violation == float(violations.max())
        assert not progress.outcome
    assert list(solve(model, constraints, max_steps=3))[-1].outcome == OUT_OF_STEPS


def test_closing_keeps_the_best_point(tmp_path: Path) -> None:
    model, _ = chain(tmp_path, 50)
    constraints = compile_constraints(model)
    assert constraints is not None
    steps = solve(model, constraints)
    losses = [progress.loss for progress in islice(steps, 6)]
    steps.close()  # type: ignore[attr-defined]
    assert model().item() == min(losses) < losses[0]


def test_goal_that_cannot_be_reached(tmp_path: Path) -> None:
    cells = {"A1": 1, "A2": "=4+(A1-2)^2"}
    model = models.model(tmp_path, cells, "A2", "A1", VALUE, [("A1", AT_MOST, 9)], val=3)
    assert solved(model).loss == pytest.approx(4, abs=CLOSE)


UNITS = {
    "alike": (1.0, 1.0),
    "far apart": (1e-4, 1e6),
    "the other way round": (1e6, 1e-4),
    "one of them tiny": (1e-6, 1e3),
}
ROWS = {"": (1.0, 1.0), "rows far apart": (1e-4, 1e6), "tiny rows": (1e-8, 1e8), "a row of 1e-12": (1e-12, 1.0)}
IN_UNITS = {
    "disk": ("=(U-2)^2+(V-1)^2", (3.0, 0.5), ("U^2/4+V^2", AT_MOST, 1.0), ("U-2*V", EQUAL, -1.0), 1.3934649807),
    "exponential": ("=EXP(U)+EXP(2*V)+U*V", (3.0, 0.5), ("U*V", AT_LEAST, 0.5), ("LN(1+U^2)+V", AT_LEAST, 1.2), None),
    "valley": ("=100*(V-U^2)^2+(1-U)^2", (0.2, 1.0), ("U^2+V^2", AT_MOST, 1.0), ("U*V", AT_LEAST, 0.1), 0.0456748087),
}


@pytest.mark.parametrize("rows", ROWS)
@pytest.mark.parametrize("units", UNITS)
@pytest.mark.parametrize("name", IN_UNITS)
def test_units_make_no_difference(name: str, units: str, rows: str, tmp_path: Path) -> None:
    """Parameters of 1e-4 and 1e6, and constraints of 1e-12 and 1e6: the optimum is that of numbers around 1."""
    objective, start, one, two, optimum = IN_UNITS[name]

    def written(text: str) -> str:
        return text.replace("U", f"(A1/{UNITS[units][0]!r})").replace("V", f"(A2/{UNITS[units][1]!r})")

    cells = {"A1": start[0] * UNITS[units][0], "A2": start[1] * UNITS[units][1], "C1": written(objective)}
    constraints = []
    for number, ((text, relation, right), factor) in enumerate(zip((one, two), ROWS[rows], strict=True), 1):
        cells[f"D{number}"] = f"={factor!r}*({written(text)})"
        constraints.append((f"D{number}", relation, factor * right))
    model = models.model(tmp_path, cells, "C1", "A1:A2", MIN, constraints, neg=2)
    session = sgdsheet.Session(model, trust_formulas=True)
    session.run()
    u, v = (value / unit for value, unit in zip(parameters(model), UNITS[units], strict=True))
    assert session.stopped == "converged"
    if optimum is not None:
        assert session.loss == pytest.approx(optimum, abs=1e-8)
    else:  # both constraints hold with equality
        assert (u * v, np.log(1 + u**2) + v) == (pytest.approx(0.5, rel=1e-7), pytest.approx(1.2, rel=1e-7))


def test_a_small_constraint_is_not_violated_by_its_own_size(tmp_path: Path) -> None:
    """A millionth is much for numbers of a hundred millionth."""
    cells = {"A1": [[3.0], [1.0]], "C1": "=(A1-2)^2+(A2-1)^2", "D1": "=(A1^2+A2^2)/100000000"}
    model = models.model(tmp_path, cells, "C1", "A1:A2", MIN, [("D1", AT_MOST, 1e-8)], neg=2)
    last = solved(model)
    assert last.outcome == OPTIMAL
    assert parameters(model) == pytest.approx([2 / 5**0.5, 1 / 5**0.5], rel=1e-7)
    magnitude = float(compile_constraints(model).magnitudes[0])
    assert 1e-8 <= magnitude < 1e-5


def test_bounds_and_magnitudes_that_are_far_apart(tmp_path: Path) -> None:
    """Parameters of 240 and 5.5e-4 between bounds, with a loss that is no sum of squares."""
    x = [50.0 * row for row in range(1, 19)]
    cells = {
        "A1": [[500.0], [1e-4]],
        "C1": [[item, 240 * (1 - np.exp(-5.5e-4 * item))] for item in x],
        **{f"E{row}": f"=LN(COSH(D{row}-$A$1*(1-EXP(-$A$2*C{row}))))" for row in range(1, 19)},
        "F1": "=SUM(E1:E18)",
    }
    limits = [("A1", AT_MOST, 1000), ("A2", AT_MOST, 0.1)]
    model = models.model(tmp_path, cells, "F1", "A1:A2", constraints=limits)
    assert solved(model).outcome == OPTIMAL
    assert parameters(model) == pytest.approx([240, 5.5e-4], rel=1e-6)
