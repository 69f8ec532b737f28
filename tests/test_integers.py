"""Whole numbers (int, bin, alldifferent) from Solver's names and from the sheet's own, against other ways to solve."""

from __future__ import annotations

import itertools
import re
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy.optimize import linear_sum_assignment

import sgdsheet
from sgdsheet.compiler.model import SheetModel, compile
from sgdsheet.errors import ProblemError, SettingError, TrainingError
from sgdsheet.hosts.file import FileHost
from sgdsheet.train.discrete import integer_linear
from tests import solver_models as models
from tests.errors import ANYWHERE, refusal
from tests.solver_models import ALL_DIFFERENT, AT_LEAST, AT_MOST, BINARY, EQUAL, INTEGER, MAX, MIN, VALUE
from tests.training_books import model as model_of


def solved(model: SheetModel, **options: Any) -> sgdsheet.Session:
    """A finished run of a search; all constraints hold, and the loss is that of the compiled program."""
    session = sgdsheet.Session(model, trust_formulas=True, **options)
    session.run()
    assert session.loss == model().item()
    assert session.constraints_hold
    return session


def numbers(model: SheetModel) -> list[float]:
    return list(model.parameter_cells().values())


def knapsack(seed: int, count: int) -> tuple[dict[str, Any], int]:
    """Items of random weights and values, and the best value, by dynamic programming."""
    random = np.random.default_rng(seed)
    weights = random.integers(5, 60, count)
    values = weights + random.integers(1, 20, count)
    room = int(weights.sum() // 3)
    best = np.zeros(room + 1, dtype=int)
    for weight, value in zip(weights, values, strict=True):
        best[weight:] = np.maximum(best[weight:], best[: room + 1 - weight] + value)
    last = count + 1
    model = {
        "cells": {
            "A2": [[0, float(weight), float(value)] for weight, value in zip(weights, values, strict=True)],
            "E1": f"=SUMPRODUCT(A2:A{last},C2:C{last})",
            "E2": f"=SUMPRODUCT(A2:A{last},B2:B{last})",
            "E3": float(room),
        },
        "loss": "E1",
        "params": f"A2:A{last}",
        "kind": MAX,
        "constraints": [("E2", AT_MOST, "E3"), (f"A2:A{last}", BINARY, "binary")],
    }
    return model, int(best[-1])


# --- linear models ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", range(4))
def test_knapsack(seed: int, tmp_path: Path) -> None:
    model, best = knapsack(seed, 25)
    compiled = models.model(tmp_path, **model)
    session = solved(compiled)
    assert session.loss == best
    assert session.stopped == "optimal"
    assert session.loss_bound == pytest.approx(best, abs=1e-6)
    assert set(numbers(compiled)) <= {0.0, 1.0}


def assignment(costs: np.ndarray) -> dict[str, Any]:
    """Who does what: one job for each person, by 0 and 1."""
    size = len(costs)
    last = "BCDEFGHIJKLMN"[size - 1]
    return {
        "cells": {
            "B2": costs.tolist(),
            "B22": [[0.0] * size for _ in range(size)],
            "P22": [[f"=SUM(B{22 + row}:{last}{22 + row})"] for row in range(size)],
            "B40": [[f"=SUM({column}22:{column}{21 + size})" for column in "BCDEFGHIJKLMN"[:size]]],
            "A1": f"=SUMPRODUCT(B2:{last}{1 + size},B22:{last}{21 + size})",
        },
        "loss": "A1",
        "params": f"B22:{last}{21 + size}",
        "constraints": [
            (f"P22:P{21 + size}", EQUAL, 1),
            (f"B40:{last}40", EQUAL, 1),
            (f"B22:{last}{21 + size}", BINARY, "binary"),
        ],
    }


def test_assignment(tmp_path: Path) -> None:
    costs = np.random.default_rng(5).integers(10, 99, (7, 7)).astype(float)
    session = solved(models.model(tmp_path, **assignment(costs)))
    assert session.loss == costs[linear_sum_assignment(costs)].sum()
    assert session.stopped == "optimal"


def test_alldifferent_in_a_linear_model(tmp_path: Path) -> None:
    """The largest weight gets the smallest number: the rearrangement inequality."""
    weights = [3.0, 9.0, 1.0, 7.0, 5.0]
    cells = {"A1": [[1, 1, 1, 1, 1]], "A2": [weights], "A4": "=SUMPRODUCT(A1:E1,A2:E2)"}
    model = models.model(tmp_path, cells, "A4", "A1:E1", MIN, [("A1:E1", ALL_DIFFERENT, "AllDifferent")])
    assert solved(model).loss == sum(n * w for n, w in zip(range(1, 6), sorted(weights, reverse=True), strict=True))
    assert numbers(model) == [4, 1, 5, 2, 3]


def test_some_whole_numbers(tmp_path: Path) -> None:
    """Machines are bought whole, hours are not: every number of machines is tried here."""
    cells = {"A1": [[0, 0]], "A2": "=500*A1+7.3*B1", "A3": "=B1-40*A1", "A4": "=B1", "A5": 137.5}
    constraints = [("A3", AT_MOST, 0), ("A4", AT_LEAST, "A5"), ("A1", INTEGER, "integer")]
    model = models.model(tmp_path, cells, "A2", "A1:B1", MIN, constraints)
    best = min(500 * count + 7.3 * 137.5 for count in range(100) if 40 * count >= 137.5)
    assert solved(model).loss == pytest.approx(best, rel=1e-12)
    assert numbers(model)[0] == 4.0


def test_a_value_to_be_reached(tmp_path: Path) -> None:
    """As near to 1,000 as coins of 70 and 110 come: all pairs are tried here."""
    cells = {"A1": [[0, 0]], "A2": "=70*A1+110*B1"}
    model = models.model(tmp_path, cells, "A2", "A1:B1", VALUE, [("A1:B1", INTEGER, "integer")], val=1005)
    session = solved(model)
    best = min(abs(70 * a + 110 * b - 1005) for a, b in itertools.product(range(16), range(12)))
    assert abs(session.loss - 1005) == best
    assert session.stopped == "optimal"


def test_bounds_of_whole_numbers_are_rounded_inwards(tmp_path: Path) -> None:
    cells = {"A1": [[0, 0]], "A2": "=A1+B1"}
    constraints = [("A1:B1", AT_MOST, 3.7), ("B1", AT_MOST, 2.9999999999), ("A1:B1", INTEGER, "integer")]
    model = models.model(tmp_path, cells, "A2", "A1:B1", MAX, constraints)
    solved(model)
    assert numbers(model) == [3.0, 3.0]  # a rounding error below 3 is 3


def test_large_bounds_are_kept(tmp_path: Path) -> None:
    bounds = [("A1:B1", AT_MOST, 1e12), ("A1:B1", AT_LEAST, -1e12)]
    model = models.model(tmp_path, SUM, "A6", "A1:B1", MIN, [*bounds, WHOLE])
    solved(model)
    assert numbers(model) == [-1e12, 1e12]


@pytest.mark.parametrize("factor", [1e-7, 1.0, 1e9])
def test_the_size_of_the_numbers_does_not_matter(factor: float, tmp_path: Path) -> None:
    """HiGHS stops at an absolute difference of a millionth, which is all there is of small numbers."""
    model, best = knapsack(9, 20)
    cells = {**model["cells"], "E1": f"=SUMPRODUCT(A2:A21,C2:C21)*{factor!r}"}
    session = solved(models.model(tmp_path, **{**model, "cells": cells}))
    assert session.loss == pytest.approx(best * factor, rel=1e-12)


# --- names on the sheet -------------------------------------------------------------------------------------


def named(path: Path, cells: dict[str, Any], **names: str) -> SheetModel:
    """The model of a sheet with names of our own."""
    texts = {name: f"Model!{text}" for name, text in names.items()}
    return compile(FileHost(models.write(path / "named.xlsx", cells, texts)).read(), trust_formulas=True)


def test_names_of_our_own(tmp_path: Path) -> None:
    model = named(
        tmp_path,
        {
            "A1": [[0, 0]],
            "A3": "=-3*A1-5*B1",
            "A5": [["=A1*2", 9], ["=3*A1+2*B1", 19]],
            "D5": [["=A5<=B5"], ["=B6>=A6"], ["=4.2>=B1"], ["=A1>=0"], ["=B1>=0"]],
        },
        sgd_loss="$A$3",
        sgd_params="$A$1:$B$1",
        sgd_integer="$A$1:$B$1",
        sgd_constraints="$D$5:$D$9",
    )
    session = solved(model)
    best = max(3 * a + 5 * b for a in range(5) for b in range(5) if 2 * a <= 9 and 3 * a + 2 * b <= 19)
    assert session.loss == -best
    assert session.stopped == "optimal"


def test_permutations_by_a_name_of_our_own(tmp_path: Path) -> None:
    cells = {"A1": [[1, 1, 1]], "A2": "=A1-2*B1+C1*3"}
    model = named(tmp_path, cells, sgd_loss="$A$2", sgd_params="$A$1:$C$1", sgd_alldifferent="$A$1:$C$1")
    solved(model)
    assert numbers(model) == [2.0, 3.0, 1.0]


@pytest.mark.parametrize(
    ("formula", "cause"),
    [
        ("=A1+B1", r"wants comparisons by <=, >= or =, and this is =A1\+B1"),
        ("=A1<B1", "wants comparisons"),
        ("=SUM(A1:B1)<=3", r"compares SUM\(A1:B1\), which is neither"),
        ("=1<=2", "compares two numbers"),
    ],
)
def test_constraints_that_are_none(formula: str, cause: str, tmp_path: Path) -> None:
    cells = {"A1": [[1, 1]], "A2": "=A1-B1", "D1": formula}
    with refusal(ProblemError, cell="Model!D1", cause=cause):
        named(tmp_path, cells, sgd_loss="$A$2", sgd_params="$A$1:$B$1", sgd_constraints="$D$1")


# --- what can be wrong --------------------------------------------------------------------------------------

SUM = {"A1": [[0, 0]], "A3": "=3*A1+5*B1", "A4": "=A1+B1", "A5": "=2*A1+2*B1", "A6": "=A1-B1"}
SUM |= {"A7": "=(A1-400.5)^2+(B1-300.5)^2", "A8": "=A1^2+B1^2"}
WHOLE = ("A1:B1", INTEGER, "integer")


IMPOSSIBLE = {
    "an odd sum of even numbers": (
        "A3",
        [("A4", AT_MOST, 10), ("A5", EQUAL, 7)],
        ("A5", r"A5 = 7, cannot be met by whole numbers: at best it is violated by 1", "allow other numbers"),
    ),
    "whole numbers between two lines": (
        "A3",
        [("A6", AT_LEAST, 0.2), ("A6", AT_MOST, 0.8), ("A4", AT_MOST, 10)],
        ("A6", r"by whole numbers together with Solver's constraint [12] \(Model!A6\): at best .* 0.2", "allow other"),
    ),
    "whatever the numbers are": (
        "A3",
        [("A4", AT_MOST, 3), ("A5", AT_LEAST, 9)],
        ("A5", r"A5 >= 9, cannot be met together with Solver's constraint 1 \(Model!A4\): at best .* 3$", "Loosen"),
    ),
    "bounds": (
        "A3",
        [("A1:B1", AT_MOST, 2), ("A4", AT_LEAST, 7), ("A6", AT_MOST, 9)],
        ("A4", r"A4 >= 7, cannot be met together with the bounds of Model!A1 and Model!B1: .* 3$", "Loosen"),
    ),
    "a convex model": (
        "A7",
        [("A1:B1", AT_MOST, 1000), ("A8", AT_MOST, 30), ("A4", AT_LEAST, 9)],
        ("A[48]", r"cannot be met together with Solver's constraint [23] \(Model!A[48]\): at best", "Loosen"),
    ),
    "a convex model of whole numbers": (
        "A7",
        [("A1:B1", AT_MOST, 1000), ("A8", AT_MOST, 52), ("A6", EQUAL, 1), ("A4", AT_LEAST, 9.2)],
        ("A[468]", r"cannot be met by whole numbers together with .*Solver's constraint \d", "allow other numbers"),
    ),
}


@pytest.mark.parametrize("name", IMPOSSIBLE)
def test_what_whole_numbers_exclude_is_named(name: str, tmp_path: Path) -> None:
    loss, constraints, (cell, cause, remedy) = IMPOSSIBLE[name]
    model = models.model(tmp_path, SUM, loss, "A1:B1", MIN if loss == "A7" else MAX, [*constraints, WHOLE])
    before = numbers(model)
    with refusal(TrainingError, cell=ANYWHERE, cause=cause, remedy=remedy) as caught:
        sgdsheet.Session(model, trust_formulas=True).run()
    assert re.fullmatch(f"Model!{cell}", str(caught.value.cell))
    assert numbers(model) == before


def test_without_limit(tmp_path: Path) -> None:
    model = models.model(tmp_path, SUM, "A3", "A1:B1", MAX, [("A6", AT_MOST, 10), WHOLE])
    cause = "the loss can grow without limit by Model!A1 and Model!B1"
    with refusal(TrainingError, cell="Model!A3", cause=cause):
        sgdsheet.Session(model, trust_formulas=True).run()


def test_no_whole_number_between_the_bounds(tmp_path: Path) -> None:
    bounds = [("A1", AT_LEAST, 1.2), ("A1", AT_MOST, 1.8), WHOLE]
    model = models.model(tmp_path, SUM, "A3", "A1:B1", MIN, bounds)
    with refusal(ProblemError, cell="Model!A1", cause="no whole number lies between the bounds"):
        sgdsheet.Session(model, trust_formulas=True)


@pytest.mark.parametrize("options", [{"optimizer": "adam"}, {"restarts": 3}])
def test_what_cannot_keep_whole_numbers(options: dict[str, Any], tmp_path: Path) -> None:
    model = models.model(tmp_path, SUM, "A3", "A1:B1", MIN, [("A4", AT_LEAST, 3), WHOLE])
    with refusal(SettingError, cell="Model", cause="cannot keep parameters whole numbers"):
        sgdsheet.Session(model, trust_formulas=True, **options)


def test_an_unused_variable_may_be_whole(tmp_path: Path) -> None:
    """Solver leaves it alone, and so do we."""
    model = models.model(tmp_path, SUM, "A3", "A1:C1", MIN, [("A4", AT_LEAST, 3), ("A1:C1", INTEGER, "integer")])
    assert solved(model).loss == 9


def test_integers_that_solver_was_told_to_ignore(tmp_path: Path) -> None:
    constraints = [("A5", AT_MOST, 7), ("A1:B1", INTEGER, "integer")]
    model = models.model(tmp_path, SUM, "A3", "A1:B1", MAX, constraints, rlx=1)
    assert solved(model).loss == pytest.approx(17.5)


# --- time ---------------------------------------------------------------------------------------------------


def hard() -> dict[str, Any]:
    """A knapsack with many sacks, which takes HiGHS much longer than a test may."""
    random = np.random.default_rng(0)
    rows, columns = 30, 200
    weights = random.integers(1, 100, (rows, columns)).astype(float)
    return {
        "cells": {
            "A1": [[0.0] * columns],
            "A2": [random.integers(1, 100, columns).astype(float).tolist()],
            "A5": weights.tolist(),
            "A50": [
                [f"=SUMPRODUCT(A$1:GR$1,A{5 + row}:GR{5 + row})", float(weights[row].sum() // 3)] for row in range(rows)
            ],
            "A3": "=SUMPRODUCT(A1:GR1,A2:GR2)",
        },
        "loss": "A3",
        "params": "A1:GR1",
        "kind": MAX,
        "constraints": [("A50:A79", AT_MOST, "B50:B79"), ("A1:GR1", BINARY, "binary")],
    }


def test_the_time_limit_says_how_good_the_best_is(tmp_path: Path) -> None:
    model = models.model(tmp_path, **hard())
    started = time.monotonic()
    session = solved(model, time_limit=1)
    assert time.monotonic() - started < 60
    assert session.stopped == "time"
    assert session.loss_bound is not None
    assert 0 < session.loss < session.loss_bound < 1.1 * session.loss
    assert "within" in session.ending
    assert "of the best possible" in session.ending


def test_solver_s_own_time_limit_and_tolerance(tmp_path: Path) -> None:
    session = solved(models.model(tmp_path, **hard(), tim=30, tol=0.04))
    assert session.stopped == "best found"
    assert "which the gap of 4 % allows" in session.ending
    assert session.seconds < 25


def test_stopped_by_a_person_it_keeps_the_best(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(integer_linear, "_FIRST_SLICE", 0.5)
    model = models.model(tmp_path, **hard())
    session = sgdsheet.Session(model, trust_formulas=True, time_limit=20)
    steps = iter(session)
    found = next(step.loss for step in steps if step.loss > 0)
    steps.close()  # type: ignore[attr-defined]
    assert session.loss >= found > 0
    assert set(numbers(model)) <= {0.0, 1.0}


# --- linear or not ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("formula", "method"),
    [
        ("=2*A1-B1/4+SUM(A1:B1)+AVERAGE(A1:B1)+7", "branch and bound (HiGHS)"),
        ("=SUMPRODUCT(A1:B1,D1:E1)+SUM(MMULT(A1:B1,D2:D3))", "branch and bound (HiGHS)"),
        ("=SUMSQ(A1:B1)", "outer approximation (HiGHS)"),
        ("=A1*B1", "enumeration"),
        ("=A1^3", "outer approximation (HiGHS)"),
        ("=-A1^3", "enumeration"),
        ("=A1+MIN(0,B1-1000)", "enumeration"),
        ("=IF(A1>1000,A1,2*A1)+B1", "enumeration"),
        ("=A1+ROUND(B1,9)", "enumeration"),
        ("=A1/(B1+1)", "enumeration"),
    ],
)
def test_what_counts_as_linear(formula: str, method: str, tmp_path: Path) -> None:
    """It is proved from the operations: a kink that lies outside of what is tried counts as well."""
    cells = {"A1": [[1, 1]], "D1": [[2, 3], [4, 5], [6, 7]], "G1": formula + "+B1*0.001"}
    constraints = [("A1:B1", AT_MOST, 1500), WHOLE]
    session = sgdsheet.Session(models.model(tmp_path, cells, "G1", "A1:B1", MIN, constraints), trust_formulas=True)
    assert session.plan.optimizer_name == method


# --- convex models ------------------------------------------------------------------------------------------


def portfolio(count: int, seed: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Covariances, returns and prices of shares."""
    random = np.random.default_rng(seed)
    factors = random.normal(size=(count, 3))
    covariances = np.round(factors @ factors.T + np.diag(random.uniform(0.5, 2, count)), 3)
    return covariances, np.round(random.uniform(0.02, 0.15, count), 3), random.integers(2, 9, count).astype(float)


def test_a_portfolio_of_whole_lots(tmp_path: Path) -> None:
    """The least variance of what can be bought with 30, for a return of 2 at least; all baskets are tried here."""
    covariances, returns, prices = portfolio(5, 3)
    cells = {
        "A1": [[0.0, one, two] for one, two in zip(returns * 10, prices, strict=True)],
        "E1": covariances.tolist(),
        "K1": "=SUMPRODUCT(MMULT(E1:I5,A1:A5),A1:A5)",
        "K2": "=SUMPRODUCT(A1:A5,B1:B5)",
        "K3": "=SUMPRODUCT(A1:A5,C1:C5)",
    }
    bounds = [("A1:A5", AT_MOST, 12), ("A1:A5", INTEGER, "integer")]
    model = models.model(tmp_path, cells, "K1", "A1:A5", MIN, [("K2", AT_LEAST, 5), ("K3", AT_MOST, 40), *bounds])
    session = solved(model)
    lots = np.array(list(itertools.product(range(13), repeat=5)), dtype=float)
    fits = (lots @ (returns * 10) >= 5 - 1e-9) & (lots @ prices <= 40)
    best = np.einsum("ni,ij,nj->n", lots[fits], covariances, lots[fits]).min()
    assert session.plan.optimizer_name == "outer approximation (HiGHS)"
    assert session.loss == pytest.approx(best, rel=1e-9)
    assert session.stopped == "optimal"
    assert session.loss_bound == pytest.approx(best, rel=1e-5)


def few_shares(count: int, most: int) -> tuple[dict[str, Any], np.ndarray]:
    """Shares of a portfolio of a few papers: weights, and 0 or 1 for each paper that is held, at least 5 % of it."""
    covariances, _, _ = portfolio(count, 8)
    last = "EFGHIJKLMN"[count - 1]
    cells = {
        "A1": [[1.0 / count, 1.0] for _ in range(count)],
        "C1": [[f"=B{row}-A{row}", f"=A{row}-0.05*B{row}"] for row in range(1, count + 1)],
        "E1": covariances.tolist(),
        "P1": f"=SUMPRODUCT(MMULT(E1:{last}{count},A1:A{count}),A1:A{count})",
        "P2": f"=SUM(A1:A{count})",
        "P3": f"=SUM(B1:B{count})",
    }
    constraints = [
        ("P2", EQUAL, 1), ("P3", AT_MOST, most), (f"C1:D{count}", AT_LEAST, 0), (f"B1:B{count}", BINARY, "binary")
    ]  # fmt: skip
    model = {"cells": cells, "loss": "P1", "params": f"A1:B{count}", "constraints": constraints}
    return model, covariances


def test_a_portfolio_of_few_papers(tmp_path: Path) -> None:
    """Each choice of three papers is solved here, by Lagrange's equations."""
    model, covariances = few_shares(7, 3)
    compiled = models.model(tmp_path, **model)
    session = solved(compiled)
    best = np.inf
    for chosen in itertools.chain.from_iterable(itertools.combinations(range(7), size) for size in (1, 2, 3)):
        part = covariances[np.ix_(chosen, chosen)]
        weights = np.linalg.solve(part, np.ones(len(chosen)))
        weights /= weights.sum()
        if (weights >= 0.05).all():
            best = min(best, float(weights @ part @ weights))
    assert session.loss == pytest.approx(best, rel=1e-5)
    assert session.stopped == "optimal"


def test_a_convex_constraint(tmp_path: Path) -> None:
    """As much as fits into a ball; all points are tried here."""
    cells = {"A1": [[0, 0, 0, 0]], "A2": "=3*A1+2*B1-C1+4*D1", "A3": "=SUMSQ(A1:D1)+EXP(A1/10)"}
    constraints = [("A3", AT_MOST, 700), ("A1:D1", AT_MOST, 40), ("A1:D1", INTEGER, "integer")]
    session = solved(models.model(tmp_path, cells, "A2", "A1:D1", MAX, constraints))
    points = np.array(list(itertools.product(range(28), range(28), range(1), range(28))), dtype=float)
    inside = (points**2).sum(axis=1) + np.exp(points[:, 0] / 10) <= 700
    assert session.plan.optimizer_name == "outer approximation (HiGHS)"
    assert session.loss == (points[inside] @ [3, 2, -1, 4]).max()
    assert session.stopped == "optimal"


def test_the_nearest_point_of_a_lattice(tmp_path: Path) -> None:
    """Least squares in whole numbers: rounding the solution without them is worse."""
    random = np.random.default_rng(1)
    matrix, right = np.round(random.normal(size=(9, 6)), 2), np.round(random.normal(size=9) * 20, 1)
    cells = {
        "A1": [[0.0] * 6],
        "A3": [[*row, value, f"=SUMPRODUCT(A{3 + at}:F{3 + at},A$1:F$1)"] for at, (row, value) in
               enumerate(zip(matrix.tolist(), right.tolist(), strict=True))],
        "J1": "=SUMXMY2(G3:G11,H3:H11)",
    }  # fmt: skip
    constraints = [("A1:F1", AT_LEAST, -70), ("A1:F1", AT_MOST, 70), ("A1:F1", INTEGER, "integer")]
    session = solved(models.model(tmp_path, cells, "J1", "A1:F1", MIN, constraints))
    near = np.round(np.linalg.lstsq(matrix, right, rcond=None)[0])
    around = near + np.array(list(itertools.product(range(-4, 5), repeat=6)), dtype=float)
    best = ((around @ matrix.T - right) ** 2).sum(axis=1).min()
    assert session.loss == pytest.approx(best, rel=1e-9)
    assert session.loss < ((matrix @ near - right) ** 2).sum() * (1 - 1e-9)
    assert session.stopped == "optimal"


def test_a_loss_that_a_spreadsheet_does_not_show_is_refused(tmp_path: Path) -> None:
    """0.1*3 is a little more than 0.3 to a processor, and equal to Excel, which shows another loss then."""
    cells = {"A1": 2, "B1": "=IF(0.1*A1>0.3,0,1000)+(A1-3.2)^2", "C1": "=A1<=3", "C2": "=A1>=0"}
    names = {"sgd_params": "A1", "sgd_loss": "B1", "sgd_integer": "A1", "sgd_constraints": "C1:C2"}
    made = model_of(tmp_path, cells, names)
    with refusal(TrainingError, cell="Model!B1", cause="takes numbers for equal"):
        sgdsheet.Session(made).run()
    assert numbers(made) == [2.0]
    session = sgdsheet.Session(model_of(tmp_path, {**cells, "B1": "=IF(0.1*A1>0.25,0,1000)+(A1-3.2)^2"}, names))
    assert session.run() == pytest.approx(0.04)


def test_the_best_point_is_kept_where_nothing_can_be_proved(tmp_path: Path) -> None:
    """Of a parameter without bounds: what the search with a population has found is the result."""
    cells = {"A1": 1, "B1": "=IF(A1<=5,0,1000)+(A1-3.2)^2"}
    made = model_of(tmp_path, cells, {"sgd_params": "A1", "sgd_loss": "B1", "sgd_integer": "A1"})
    session = sgdsheet.Session(made)
    assert session.run() == pytest.approx(0.04)
    assert session.stopped == "best found"
    assert numbers(made) == [3.0]
