"""The learning rate finder: its suggestions bring the loss down."""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import cache
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

import sgdsheet
from sgdsheet.analysis.diagnosis.lr_finder import find_learning_rate
from sgdsheet.apps.cli import main
from sgdsheet.compiler.model import SheetModel
from sgdsheet.errors import SettingError
from sgdsheet.problem.optimizers import OPTIMIZERS, Family
from tests.cli_books import run
from tests.errors import refusal
from tests.shared_data import SOLVED, shared_data
from tests.sheets import compiled
from tests.training_books import write

ROOT = Path(__file__).parent.parent
QUADRATIC = ROOT / "workbooks" / "quadratic.xlsx"
TITANIC = ROOT / "workbooks" / "titanic.xlsx"
SWEPT = [row.name for row in OPTIMIZERS.values() if row.family is Family.GRADIENT and not row.accumulates]


loaded = cache(sgdsheet.load)


def sheet(path: Path, name: str) -> Callable[[], SheetModel]:
    return lambda: sgdsheet.compile(loaded(path), name)


def fourth_power(x: float) -> Callable[[], SheetModel]:
    return lambda: compiled({"A1": x, "Z1": "=(A1^2-9)^2"}, "A1")


@pytest.mark.parametrize(
    ("make", "expected"),
    [
        (sheet(QUADRATIC, "raw"), 1e-5),
        (sheet(QUADRATIC, "centred"), 0.3),
        (sheet(TITANIC, "linear"), 0.2),
        (sheet(TITANIC, "nnet"), 0.2),
        (fourth_power(1.0), 0.01),
        (fourth_power(2.0), 0.01),
    ],
    ids=["raw", "centred", "linear", "nnet", "from 1", "from 2"],
)
def test_suggestion_brings_the_loss_down(make: Callable[[], SheetModel], expected: float) -> None:
    model = make()
    before = model.parameter_cells()
    found = find_learning_rate(model)
    assert model.parameter_cells() == before
    assert all(tensor.grad is None for tensor in model.parameters())
    assert expected / 2 <= found.suggestion <= expected * 1.01
    assert found.stable_rate is not None
    assert found.suggestion <= 0.5 * found.stable_rate
    losses = [step.loss for step in sgdsheet.Session(model, optimizer="sgd", lr=found.suggestion, steps=50)]
    assert all(after <= before for before, after in pairwise(losses))
    assert losses[-1] < 0.9 * losses[0]


@shared_data("workbooks")
def test_at_a_minimum() -> None:
    found = find_learning_rate(sgdsheet.compile(sgdsheet.load(SOLVED), "linear"))
    assert found.suggestion == 0.1
    assert found.stable_rate == pytest.approx(0.2093, rel=0.001)


@pytest.mark.parametrize("optimizer", SWEPT)
def test_every_optimizer(optimizer: str) -> None:
    model = sheet(TITANIC, "nnet")()
    found = find_learning_rate(model, optimizer)
    assert found.suggestion > 0
    assert len(found.rates) == len(found.losses)
    session = sgdsheet.Session(model, optimizer=optimizer, lr=found.suggestion, steps=50)
    losses = [step.loss for step in session]
    assert losses[-1] < losses[0]


@pytest.mark.parametrize("optimizer", ["lbfgs", "accumulate", "nonsense"])
def test_optimizers_without_a_sweep(optimizer: str) -> None:
    with refusal(SettingError, cause=optimizer):
        find_learning_rate(fourth_power(2.0)(), optimizer)


def test_nothing_moves() -> None:
    found = find_learning_rate(fourth_power(0.0)())
    assert not found.moves
    assert found.suggestion == 0.01


def test_range_of_rates() -> None:
    found = find_learning_rate(fourth_power(2.0)(), lowest=1e-4, highest=1e-3)
    assert found.rates[0] == pytest.approx(1e-4)
    assert found.rates[-1] == pytest.approx(1e-3)
    assert 1e-4 <= found.suggestion <= 1e-3
    with refusal(SettingError, cause="lowest"):
        find_learning_rate(fourth_power(2.0)(), lowest=1.0, highest=0.1)


def test_without_curvature() -> None:
    """The mean absolute error is a cone: no largest stable rate, so the sweep decides."""
    cells = {"A1": 1.0, "A2": 1.0, "C1": [[1.0], [2.0], [4.0]], "D1:D3": "=ABS($A$1*C1+$A$2-3*C1-7)"}
    found = find_learning_rate(compiled({**cells, "Z1": "=AVERAGE(D1:D3)"}, "A1:A2"))
    assert found.stable_rate is None
    assert 1e-4 < found.suggestion < 1


def test_command(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    picture = tmp_path / "rates.png"
    main(["find-lr", str(QUADRATIC), "--sheet", "raw", "--plot", str(picture)])
    shown = capsys.readouterr().out
    assert "learning rate 1e-05 for sgd" in shown
    assert "stable below 3.54e-05" in shown
    assert "↑ suggestion" in shown
    assert picture.stat().st_size > 1000


@pytest.mark.parametrize("optimizer", SWEPT)
def test_no_momentum(optimizer: str) -> None:
    """Nesterov's momentum cannot be 0 in torch."""
    found = run("find-lr", QUADRATIC, "-s", "centred", "--optimizer", optimizer, "--momentum", 0, "--json")
    assert (found.status, found.err) == (0, "")
    if optimizer in ("momentum", "nesterov"):
        assert found.json | {"optimizer": ""} == run("find-lr", QUADRATIC, "-s", "centred", "--json").json | {
            "optimizer": ""
        }


def test_command_json(capsys: pytest.CaptureFixture[str]) -> None:
    main(["find-lr", str(QUADRATIC), "--sheet", "centred", "--json"])
    found = json.loads(capsys.readouterr().out)
    assert found["suggestion"] == 0.3
    assert found["stable_rate"] == pytest.approx(0.87, rel=0.001)
    assert len(found["rates"]) == len(found["losses"])
    assert found["plot"] is None


def test_data_from_a_file(tmp_path: Path) -> None:
    """The rate is for the data that the model is trained on, not for the few rows that the sheet shows."""
    x = np.random.default_rng(0).normal(size=500) * 10
    np.savez(tmp_path / "data.npz", x=x, y=3 * x + 1)
    cells = {
        "A1:B1": [["x", "y"]],
        "A2:B4": [[0.1, 1.3], [0.2, 1.6], [0.3, 1.9]],
        "C2:C4": "=($E$1*A{r}+$E$2-B{r})^2",
        "E1:E2": [[0.0], [0.0]],
        "E4": "=AVERAGE(C2:C4)",
        "G1": "data.npz",
    }
    names = {"sgd_loss": "E4", "sgd_params": "E1:E2", "sgd_data": "A2:C4", "sgd_source": "G1"}
    book = write(tmp_path / "book.xlsx", cells, names)
    del names["sgd_source"]
    few = run("find-lr", write(tmp_path / "few.xlsx", cells, names), "--json").json
    many = run("find-lr", book, "--json").json
    assert many["loss_start"] == pytest.approx(float(((3 * x + 1) ** 2).mean()), rel=1e-5)
    assert many["suggestion"] < 1 / float((x**2).mean()) < few["suggestion"]
