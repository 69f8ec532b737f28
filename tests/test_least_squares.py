"""Fitting a curve: least squares wherever a sheet writes it, to the last digits, and only where it suits."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from scipy.optimize import least_squares, lsq_linear

from sgdsheet.compiler.model import SheetModel
from sgdsheet.train.constrained.solver_steps import STEP, in_steps
from sgdsheet.train.least_squares import LeastSquares
from sgdsheet.train.session import Session
from tests.cli_books import run
from tests.shared_data import shared_data
from tests.test_endings import FORMULAS, digits, nist
from tests.training_books import model, values, write

COUNT = 30
LAST = COUNT + 1
START = [500.0, 1e-4]
NAMES = {"sgd_params": "A1:A2", "sgd_loss": "Z1"}


def data() -> np.ndarray[Any, Any]:
    """x, y and a weight, of a curve whose parameters are six orders of magnitude apart."""
    generator = np.random.default_rng(3)
    x = np.linspace(50, 900, COUNT)
    y = 240 * (1 - np.exp(-5.5e-4 * x)) + 0.1 * generator.normal(size=COUNT)
    return np.column_stack([x, y, generator.uniform(0.5, 2, COUNT)])


def cells(loss: str, **more: Any) -> dict[str, Any]:
    return {
        "A1:A2": [[value] for value in START],
        f"C2:E{LAST}": data().tolist(),
        f"F2:F{LAST}": "=$A$1*(1-EXP(-$A$2*C{r}))",
        f"G2:G{LAST}": "=D{r}-F{r}",
        f"H2:H{LAST}": "=G{r}^2",
        "Z1": loss,
        **more,
    }


def sheet(folder: Path, loss: str = "=SUM(H2:H31)", **more: Any) -> SheetModel:
    return model(folder, cells(loss, **more), NAMES)


def by_scipy(weighted: bool) -> list[float]:
    """The minimum from a start nearby, with a tolerance of SciPy's own."""
    x, y, weights = data().T

    def residuals(p: Any) -> Any:
        found = y - p[0] * (1 - np.exp(-p[1] * x))
        return found * np.sqrt(weights) if weighted else found

    def jacobian(p: Any) -> Any:
        found = np.column_stack([-(1 - np.exp(-p[1] * x)), -p[0] * x * np.exp(-p[1] * x)])
        return found * np.sqrt(weights)[:, None] if weighted else found

    found = least_squares(residuals, [240, 5.5e-4], jacobian, x_scale="jac", xtol=1e-15, ftol=None, gtol=None)
    return [float(item) for item in found.x]


FORMS = {
    "squares in cells": "=SUM(H2:H31)",
    "sum of squares": "=SUMSQ(G2:G31)",
    "differences": "=SUMXMY2(D2:D31,F2:F31)",
    "mean": "=AVERAGE(H2:H31)",
    "root of the mean": "=SQRT(AVERAGE(H2:H31))",
    "half of it, and a constant": "=SUMSQ(G2:G31)/2+7",
    "in two parts": "=SUM(H2:H15)+SUMSQ(G16:G31)",
    "weights": "=SUMPRODUCT(E2:E31,H2:H31)",
    "an array formula": "{=SUM((D2:D31-F2:F31)^2)}",
}


@pytest.mark.parametrize("form", FORMS)
def test_whatever_the_sheet_looks_like(form: str, tmp_path: Path) -> None:
    trained = sheet(tmp_path, FORMS[form])
    session = Session(trained)
    session.run()
    assert session.plan.optimizer_name == "least squares"
    assert session.plan.why == "a sum of squares"
    assert (session.stopped, session.reason) == ("converged", "")
    assert values(trained) == pytest.approx(by_scipy(form == "weights"), rel=1e-7)
    assert session.best_step == session.steps_taken


@shared_data("nist")
@pytest.mark.parametrize("start", [1, 2])
@pytest.mark.parametrize("name", FORMULAS)
def test_certified_digits(name: str, start: int) -> None:
    trained, certified = nist(name, start)
    session = Session(trained)
    session.run()
    assert session.stopped == "converged"
    assert digits(values(trained), certified) >= 8


@pytest.mark.parametrize(
    ("loss", "options", "name"),
    [
        ("=SUM(H2:H31)", {"optimizer": "lbfgs"}, "lbfgs"),
        ("=SUM(H2:H31)", {"optimizer": "adam"}, "adam"),
        ("=SUM(H2:H31)+ABS(A1)", {}, "sequential linear programming"),
        ("=SUM(H2:H31)+LN(A1)", {}, "lbfgs"),
        ("=MAX(H2:H31)", {}, "sequential linear programming"),
        ("=SUM(H2:H2)", {}, "lbfgs"),  # fewer residuals than parameters
    ],
)
def test_where_it_does_not_suit(loss: str, options: dict[str, Any], name: str, tmp_path: Path) -> None:
    assert Session(sheet(tmp_path, loss), **options).plan.optimizer_name == name


def test_each_step_is_shown_and_the_last_is_the_best(tmp_path: Path) -> None:
    trained = sheet(tmp_path)
    losses = [step.loss for step in Session(trained)]
    assert len(losses) > 4
    assert min(losses) == pytest.approx(losses[-1], rel=1e-9)
    assert float(trained().detach()) <= losses[-1] * (1 + 1e-9)


def test_steps_are_the_limit(tmp_path: Path) -> None:
    session = Session(sheet(tmp_path), steps=2)
    session.run()
    assert (session.steps_taken, session.stopped) == (2, "steps")
    assert session.loss < session.loss_start


def test_restarts_are_polished_with_it(tmp_path: Path) -> None:
    trained = sheet(tmp_path, **{"A1:A2": [[300.0], [1e-3]]})
    session = Session(trained, restarts=3, steps=5, seed=1)
    session.run()
    assert values(trained) == pytest.approx(by_scipy(False), rel=1e-7)
    assert session.stopped == "converged"


def test_parameters_that_do_the_same(tmp_path: Path) -> None:
    """No single minimum, and no failure: any of them will do."""
    line = {f"F2:F{LAST}": "=($A$1+$A$2)*C{r}", "A1:A2": [[0.0], [1.0]]}
    session = Session(sheet(tmp_path, **line))
    session.run()
    x, y, _ = data().T
    slope = float(x @ y / (x @ x))
    assert sum(values(session.model)) == pytest.approx(slope, rel=1e-9)


def test_bounds() -> None:
    """A linear problem, whose minimum within bounds another method of SciPy's finds."""
    generator = np.random.default_rng(0)
    matrix, target = generator.normal(size=(20, 3)), generator.normal(size=20)
    lower, upper = np.array([0.1, -1.0, -np.inf]), np.array([1.0, 0.05, 2.0])
    parameters = [torch.tensor([0.5, 0.0, 0.0], dtype=torch.float64)]
    rows, wanted = torch.from_numpy(matrix), torch.from_numpy(target)
    fit = LeastSquares(lambda p: rows @ p - wanted, parameters, lower, upper)
    assert fit.suits()
    *_, found = fit.steps()
    expected = lsq_linear(matrix, target, (lower, upper), tol=1e-14).x
    assert found == pytest.approx(expected, abs=1e-7)
    fixed = LeastSquares(fit.residuals, parameters, lower, np.array([0.1, 0.05, 2.0]))
    assert not fixed.suits(), "a parameter without room"


def test_a_start_without_residuals_is_left_to_others() -> None:
    parameters = [torch.tensor([-1.0], dtype=torch.float64)]
    assert not LeastSquares(lambda p: torch.log(p).expand(4), parameters).suits()


def test_a_way_over_points_without_a_loss() -> None:
    """A step beyond where the logarithm ends is not taken."""
    x = torch.linspace(1, 3, 20, dtype=torch.float64)
    fit = LeastSquares(lambda p: p[1] * torch.log(x - p[0]) - torch.log(x - 0.5), [torch.zeros(2).double()])
    *_, found = fit.steps()
    assert found == pytest.approx([0.5, 1.0], abs=1e-8)


def test_the_solvers_thread_ends_with_its_steps() -> None:
    def solve(ask: Any) -> None:
        for number in range(1000):
            ask("value", number)
            ask(STEP, number)

    before = threading.active_count()
    steps = in_steps(solve, lambda kind, item: item)
    assert [next(steps), next(steps)] == [0, 1]
    steps.close()
    assert threading.active_count() == before
    with pytest.raises(ZeroDivisionError):
        list(in_steps(lambda ask: ask("value", 0), lambda kind, item: 1 / item))


def test_it_is_said(tmp_path: Path) -> None:
    path = write(tmp_path / "curve.xlsx", cells("=SUM(H2:H31)"), NAMES)
    done = run("train", path)
    assert "least squares (chosen: a sum of squares)" in done.out
    assert "learning rate" not in done.out
    as_json = run("train", path, "-o", tmp_path / "copy.xlsx", "--json").json
    assert (as_json["optimizer"], as_json["stopped"]) == ("least squares", "converged")
