"""What learners run into, with the numbers that have to come out."""

from __future__ import annotations

import json
import math
import shutil
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import openpyxl
import pytest
import torch

import sgdsheet
from sgdsheet.apps.cli import main
from sgdsheet.compiler.model import SheetModel
from sgdsheet.train.session import Session
from tests.shared_data import GOLDEN, SOLVED, shared_data
from tests.training_books import (
    FOURTH_POWER,
    ROOT,
    fourth_power,
    line,
    losses,
    model,
    polynomial,
    put,
    titanic_features,
    values,
    write,
)


def golden(name: str) -> Any:
    return json.loads((GOLDEN / f"{name}.json").read_text(encoding="utf-8"))


# --- gradients that nobody sets to zero -----------------------------------------------------------------

ACCUMULATED: list[dict[str, Any]] = [
    {"optimizer": "accumulate"},
    {"optimizer": "sgd", "zero_gradients": "no"},
]


@pytest.mark.parametrize("options", ACCUMULATED, ids=["accumulate", "sgd"])
def test_accumulated_gradients(tmp_path: Path, options: dict[str, Any]) -> None:
    found = losses(fourth_power(tmp_path, 1), lr=0.01, steps=30, **options)
    assert [round(loss, 2) for loss in found[:10]] == [
        64,
        52.67,
        24.08,
        0.57,
        64.82,
        30.03,
        3.97,
        37.33,
        58.30,
        64.21,
    ]
    assert max(found[20:]) > 50  # it never settles


def test_zeroed_gradients(tmp_path: Path) -> None:
    trained = fourth_power(tmp_path, 1)
    found = losses(trained, lr=0.01, steps=30)
    assert [round(loss, 2) for loss in found[:8]] == [64, 52.67, 37.20, 20.35, 7.53, 1.68, 0.23, 0.02]
    assert values(trained) == [pytest.approx(3, abs=1e-6)]


@shared_data("golden", "workbooks", "titanic.csv")
@pytest.mark.parametrize(
    ("key", "options"),
    [
        *(("accumulated_x0_1_lr_.01", options) for options in ACCUMULATED),
        ("zeroed_x0_1_lr_.01", {"optimizer": "sgd"}),
    ],
)
def test_fourth_power_trace(tmp_path: Path, key: str, options: dict[str, Any]) -> None:
    """Each step's loss, where x went, and how long the gradient was that took it there."""
    trained, trace = fourth_power(tmp_path, 1), golden("xsq9")[key]
    session = Session(trained, lr=0.01, steps=len(trace), measure_gradient=True, **options)
    for step, (loss, x, gradient) in zip(session, trace, strict=True):
        assert step.loss == pytest.approx(loss, rel=1e-9, abs=1e-9)
        assert values(trained)[0] == pytest.approx(x, rel=1e-9)
        assert step.gradient_norm == pytest.approx(abs(gradient), rel=1e-9, abs=1e-9)


@shared_data("golden", "workbooks", "titanic.csv")
@pytest.mark.parametrize(
    ("key", "options"),
    [*(("accumulated_200_f64", item) for item in ACCUMULATED), ("zeroed_f64", {"optimizer": "sgd"})],
)
def test_the_notebooks_quadratic(tmp_path: Path, key: str, options: dict[str, Any]) -> None:
    known = golden("nb04_quadratic")
    trace = known[key] if key == "accumulated_200_f64" else known[key][0]
    trained = polynomial(tmp_path, known["x"], known["y"], known["init"], error="=ABS(E{r}-D{r})")
    found = losses(trained, lr=known["lr"], steps=len(trace), **options)
    assert found == pytest.approx(trace, abs=1e-9)
    expected = [2.4219, 2.4010, 2.3802, 2.3594] if key == "zeroed_f64" else [2.42, 2.40, 2.36, 2.30, 2.21, 2.11]
    assert found[: len(expected)] == pytest.approx(expected, abs=0.005)


# --- learning rate --------------------------------------------------------------------------------------


def test_explosion(tmp_path: Path) -> None:
    trained = fourth_power(tmp_path, 2)
    session = Session(trained, lr=0.1, steps=1000)
    steps = list(session)
    found = [step.loss for step in steps]
    assert found[:3] == pytest.approx([25, 729, 1.19e7], rel=0.002)
    assert session.stopped == "diverged"
    assert session.reason.startswith("the loss became inf at step ")
    assert all(math.isfinite(loss) for loss in found)
    assert session.steps_taken == len(steps) < 10
    assert session.loss == 25.0
    assert values(trained) == [2.0]


def test_explosion_never_reaches_the_workbook(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    names = {"sgd_loss": "A2", "sgd_params": "A1"}
    path = write(tmp_path / "book.xlsx", {"A1": 2, "A2": FOURTH_POWER}, names)
    main(["train", str(path), "--lr", "0.1", "--in-place", "--json"])
    report = json.loads(capsys.readouterr().out)
    assert report["loss"] == report["loss_start"] == 25
    assert report["stopped"] == "diverged"
    assert "inf" in report["stopped_because"]
    sheet = openpyxl.load_workbook(path, data_only=True).active
    assert [sheet["A1"].value, sheet["A2"].value] == [2, 25]


@pytest.mark.parametrize(("rate", "settles"), [(0.0270, True), (0.0285, False)])
def test_largest_rate_near_the_minimum(tmp_path: Path, rate: float, settles: bool) -> None:
    """The second derivative at 3 is 72, so 2/72 = 0.0278 is the end."""
    found = losses(fourth_power(tmp_path, 3.001), lr=rate, steps=400)
    assert (found[-1] < 1e-9) == settles


# --- the quadratic that is stuck ------------------------------------------------------------------------


def roller_coaster(sheet: str) -> SheetModel:
    """The example workbook with the notebook's numbers in the data cells."""
    known = golden("fastbook_quad")
    book = sgdsheet.load(ROOT / "workbooks" / "quadratic.xlsx")
    for row, speed in enumerate(known["speed"], 8):
        book.sheets["raw"].values[row, 2] = speed
        book.sheets["centred"].values[row, 3] = speed
    for column, start in enumerate(known["init"], 6):
        book.sheets["raw"].values[6, column] = start
    return sgdsheet.compile(book, sheet, trust_formulas=True)  # the saved values are those of other data


@shared_data("golden", "workbooks", "titanic.csv")
def test_stuck_quadratic() -> None:
    known = golden("fastbook_quad")
    found = losses(roller_coaster("raw"), lr=1e-5, steps=50)
    assert found == pytest.approx(known["trace_f64"], abs=1e-9)
    assert [round(loss, 2) for loss in found[:7]] == [
        25823.81,
        5435.54,
        1577.45,
        847.38,
        709.22,
        683.08,
        678.12,
    ]
    trained = roller_coaster("raw")
    Session(trained, lr=1e-5, steps=11).run()
    assert values(trained) == pytest.approx(known["params_f64_step11"], abs=1e-9)


@shared_data("golden", "workbooks", "titanic.csv")
def test_centred_quadratic() -> None:
    trained = roller_coaster("centred")
    session = Session(trained, lr=0.5, steps=100, start="zeros")
    assert session.run() <= 7.33


@shared_data("golden", "workbooks", "titanic.csv")
@pytest.mark.parametrize("sheet", ["raw", "centred"])
def test_least_squares_of_the_quadratic(sheet: str) -> None:
    known = golden("fastbook_quad")
    fit = np.polynomial.Polynomial.fit(known["time"], known["speed"], 2)
    best = float(np.mean((fit(np.array(known["time"])) - known["speed"]) ** 2))
    assert best == pytest.approx(7.305, abs=0.001)
    session = Session(roller_coaster(sheet), optimizer="auto", steps=1000)
    assert session.run() == pytest.approx(best, abs=1e-9)
    assert session.stopped == "converged"


# --- dead units -----------------------------------------------------------------------------------------


def test_dead_relu(tmp_path: Path) -> None:
    """y = c·relu(a·x+b)+d: once a·x+b is below 0 for all x, only d moves."""
    cells = {
        "A1:D1": [[1, -10, 1, 1]],
        "A3:A7": [[1], [2], [3], [4], [5]],
        "B3:B7": "=$C$1*MAX(0,$A$1*A{r}+$B$1)+$D$1",
        "C3:C7": "=(B{r}-2*A{r})^2",
        "F1": "=AVERAGE(C3:C7)",
    }
    trained = model(tmp_path, cells, {"sgd_loss": "F1", "sgd_params": "A1:D1"})
    assert list(trained.gradients().values()) == [0, 0, 0, pytest.approx(-10)]
    for name in ("sgd", "adam", "lbfgs"):
        put(trained, [[1, -10, 1, 1]])
        session = Session(trained, optimizer=name, lr=0.1 if name != "lbfgs" else 1.0, steps=300)
        assert session.run() == pytest.approx(8, abs=1e-6)  # the variance of 2, 4, …, 10
        assert values(trained)[:3] == [1, -10, 1]


def titanic(sheet: str) -> SheetModel:
    return sgdsheet.compile(sgdsheet.load(SOLVED), sheet)


def excel(name: str) -> np.ndarray[Any, np.dtype[np.float64]]:
    found: np.ndarray[Any, np.dtype[np.float64]] = np.load(GOLDEN / "titanic_xl.npz")[name]
    return found


@shared_data("golden", "workbooks", "titanic.csv")
@pytest.mark.parametrize(("dead", "loss"), [([0], 0.35285), ([0, 1], 0.404494)])
def test_dead_units_on_the_titanic(dead: list[int], loss: float) -> None:
    trained, start = titanic("nnet"), excel("nnet_init").copy()
    start[dead, -1] = -10
    put(trained, [start])
    assert float(trained().detach()) == pytest.approx(loss, abs=5e-6 if loss < 0.4 else 5e-7)
    slopes = np.reshape(list(trained.gradients().values()), (2, 10))
    assert not slopes[dead].any()
    if len(dead) == 2:
        assert float(trained().detach()) == pytest.approx(float(excel("y").mean()), abs=1e-15)
        assert Session(trained, lr=0.1, steps=50).run() == pytest.approx(loss, abs=5e-7)
    else:
        Session(trained, lr=0.1, steps=200).run()
        assert np.array_equal(np.reshape(values(trained), (2, 10))[0], start[0])


# --- local minima ---------------------------------------------------------------------------------------


@shared_data("golden", "workbooks", "titanic.csv")
def test_restarts_on_the_titanic() -> None:
    trained = titanic("nnet")
    session = Session(trained, restarts=300, seed=0)
    assert session.run() <= 0.1295
    assert session.loss >= 0.1289
    spread = session.distribution
    assert spread is not None
    assert spread.starts == len(spread.losses) == 300
    assert spread.minima > 10
    assert spread.losses[0] < 0.13
    assert spread.losses[-1] == pytest.approx(0.404494, abs=1e-5)


@shared_data("golden", "workbooks", "titanic.csv")
def test_without_restarts_never_worse() -> None:
    trained = titanic("nnet")
    before = float(trained().detach())
    assert Session(trained).run() <= before  # Solver's answer, a local minimum
    put(trained, [excel("nnet_init")])
    session = Session(trained)
    assert session.run() < session.loss_start


# --- the linear sheet -----------------------------------------------------------------------------------


@shared_data("golden", "workbooks", "titanic.csv")
def test_titanic_linear_descent() -> None:
    trained = titanic("linear")
    put(trained, [excel("linear_init")])
    assert float(trained().detach()) == pytest.approx(0.9526760201487143, abs=1e-12)
    found = losses(trained, optimizer="sgd", lr=0.1, steps=1001)
    assert found[:4] == pytest.approx([0.95268, 0.30826, 0.27515, 0.25144], abs=1e-5)
    assert found[10] == pytest.approx(0.18515, abs=1e-5)
    assert found[100] == pytest.approx(0.15229, abs=1e-5)
    assert found[1000] == pytest.approx(0.144255, abs=1e-6)


@shared_data("golden", "workbooks", "titanic.csv")
@pytest.mark.parametrize("optimizer", ["lbfgs", "auto"])
def test_titanic_linear_least_squares(optimizer: str) -> None:
    x, y = excel("X"), excel("y")
    weights = np.linalg.lstsq(x, y, rcond=None)[0]
    best = float(np.mean((x @ weights - y) ** 2))
    assert best == pytest.approx(0.1442271493, abs=1e-10)
    trained = titanic("linear")
    put(trained, [excel("linear_init")])
    assert Session(trained, optimizer=optimizer).run() == pytest.approx(best, abs=1e-9)


# --- the network of the well-known notebook -------------------------------------------------------------

COLUMNS = "ABCDEFGHIJKL"


def notebook_sheet(folder: Path, key: str) -> tuple[SheetModel, dict[str, Any]]:
    """All 891 people on a sheet with raw and scaled columns, marked as training or validation rows."""
    known = golden("titanic05")
    features, survived = titanic_features()
    last, weights = len(features) + 3, known[key]["init"]
    features[:, 3] = np.expm1(features[:, 3])  # the fare itself: the sheet takes the logarithm
    marked = set(known["val_idx"])
    cells: dict[str, Any] = {
        "Data!A1": [["age", "siblings", "parents", "fare", *(["is"] * 8)]],
        f"Data!A4:L{last}": features.tolist(),
        f"D4:D{last}": "=LN(Data!D{r}+1)/Data!$D$2",
        "Data!D2": f"=LN(MAX(D4:D{last})+1)",
        f"N4:N{last}": survived[:, None].tolist(),
        f"O4:O{last}": [[index in marked] for index in range(len(features))],
        f"AL4:AL{last}": "=ABS(AK{r}-N{r})",
        f"AM4:AM{last}": "=IF((AK{r}>0.5)=(N{r}=1),1,0)",
        "N1": f"=AVERAGE(AL4:AL{last})",
        "O1": f"=AVERAGE(AM4:AM{last})",
    }
    for column in COLUMNS.replace("D", ""):
        cells[f"Data!{column}2"] = f"=MAX({column}4:{column}{last})"
        cells[f"{column}4:{column}{last}"] = f"=Data!{column}{{r}}/Data!{column}$2"
    if len(weights) == 1:
        cells["Net!A2:L2"] = [np.ravel(weights[0]).tolist()]
        total = "SUMPRODUCT(A{r}:L{r},Net!$A$2:$L$2)"
        params = "Net!A2:L2"
    else:
        cells["Net!A2:T13"], cells["Net!V2:V21"], cells["Net!X2"] = weights[0], weights[1], weights[2]
        for index in range(20):
            hidden, own = cell_column(15 + index), cell_column(index)
            cells[f"{hidden}4:{hidden}{last}"] = f"=MAX(0,MMULT($A{{r}}:$L{{r}},Net!{own}$2:{own}$13))"
        total = "MMULT(P{r}:AI{r},Net!$V$2:$V$21)+Net!$X$2"
        params = "Net!A2:T13,Net!V2:V21,Net!X2"
    cells[f"AK4:AK{last}"] = f"={total}" if key == "linear" else f"=1/(1+EXP(-({total})))"
    names = {"sgd_loss": "N1", "sgd_metric": "O1", "sgd_params": params}
    names |= {"sgd_data": f"A4:O{last}", "sgd_valid": f"O4:O{last}"}
    return model(folder, cells, names), known[key]


def cell_column(index: int) -> str:
    """A, B, …, Z, AA, …"""
    return (chr(64 + index // 26) if index >= 26 else "") + chr(65 + index % 26)


@shared_data("golden", "workbooks", "titanic.csv")
@pytest.mark.parametrize("key", ["nn20_lr20", "linear", "sigmoid"])
def test_titanic_notebook(tmp_path: Path, key: str) -> None:
    trained, known = notebook_sheet(tmp_path, key)
    session = Session(trained, optimizer="sgd", lr=known["lr"], epochs=known["epochs"])
    found = []
    accuracy = None
    for step in session:
        found.append(step.loss)
        accuracy = step.metric
    assert found == pytest.approx(known["loss_trace_f64"], abs=1e-6)
    assert session.epochs_done == known["epochs"]
    assert accuracy == pytest.approx(known["val_acc"], abs=1e-12)
    if key == "nn20_lr20":
        assert round(session.valid_metric or 0.0, 4) == 0.8258


# --- overfitting ----------------------------------------------------------------------------------------


def noisy_points() -> tuple[list[float], list[float], list[bool]]:
    """20 points of a parabola with noise, every third for validation."""
    random = np.random.default_rng(3)
    x = np.linspace(-1, 1, 24)
    y = 3 * x**2 + x + 0.4 * random.standard_normal(len(x))
    return x.tolist(), y.tolist(), [index % 3 == 1 for index in range(len(x))]


def overfit(folder: Path, degree: int) -> SheetModel:
    x, y, valid = noisy_points()
    return polynomial(folder, x, y, [0.0] * (degree + 1), valid=valid)


def test_overfitting(tmp_path: Path) -> None:
    ended = {}
    for degree in (1, 2, 15):
        session = Session(overfit(tmp_path, degree), steps=3000)
        steps = list(session)
        training, validation = [step.loss for step in steps], [step.valid_loss or math.nan for step in steps]
        assert all(after <= before for before, after in pairwise(training))
        ended[degree] = (training[-1], session.valid_loss or math.nan)
        if degree == 15:
            assert ended[15][1] > 1.5 * min(validation)  # it was better once
    assert ended[1][0] > ended[2][0] > ended[15][0]
    assert ended[2][1] < ended[1][1]
    assert ended[2][1] < ended[15][1]


def test_early_stopping(tmp_path: Path) -> None:
    trained = overfit(tmp_path, 15)
    session = Session(trained, steps=3000, early_stopping=20)
    seen = []
    for step in session:
        seen.append((step.valid_loss, values(trained)))
    best = min(range(len(seen)), key=lambda index: seen[index][0] or math.inf)
    assert (session.stopped, session.reason) == ("early", "validation got no better for 20 epochs")
    assert session.steps_taken == len(seen) == best + 21
    assert session.valid_loss == seen[best][0]
    assert values(trained) == seen[best][1]


# --- a line ---------------------------------------------------------------------------------------------


def test_linear_regression(tmp_path: Path) -> None:
    generator = torch.Generator().manual_seed(42)
    x = torch.rand(100, generator=generator, dtype=torch.float64)
    y = 3 * x + 2 + torch.rand(100, generator=generator, dtype=torch.float64)
    trained = line(tmp_path, x.tolist(), y.tolist(), (-1.0, 1.0))
    found = losses(trained, optimizer="sgd", lr=0.1, steps=100)

    weights = torch.tensor([-1.0, 1.0], dtype=torch.float64, requires_grad=True)
    expected = []
    for _ in range(100):
        loss = ((weights[0] * x + weights[1] - y) ** 2).mean()
        loss.backward()
        expected.append(loss.item())
        with torch.no_grad():
            assert weights.grad is not None
            weights -= 0.1 * weights.grad
            weights.grad.zero_()
    assert found == pytest.approx(expected, abs=1e-12)
    assert values(trained) == pytest.approx(weights.tolist(), abs=1e-12)

    tens = found[::10]
    assert all(after < before for before, after in pairwise(tens))
    assert 5 < tens[0] < 14
    assert 0.06 < tens[-1] < 0.14  # the noise has variance 1/12; the slope is not quite there yet
    Session(trained).run()
    slope, intercept = values(trained)
    assert slope == pytest.approx(3, abs=4 * 0.1)  # the estimate's deviation is 0.1 for 100 points
    assert intercept == pytest.approx(2.5, abs=4 * 0.06)


def test_the_committed_workbook_is_not_touched(tmp_path: Path) -> None:
    """Training writes a copy next to the book unless told otherwise."""
    book = tmp_path / "quadratic.xlsx"
    shutil.copy(ROOT / "workbooks" / "quadratic.xlsx", book)
    before = book.read_bytes()
    main(["train", str(book), "--sheet", "centred", "--steps", "3", "--json"])
    assert book.read_bytes() == before
    assert (tmp_path / "quadratic-trained.xlsx").exists()
