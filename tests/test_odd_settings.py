"""Every optimizer with every setting at odd values: a clear line, or a result that holds. Never a traceback."""

from __future__ import annotations

import math
from itertools import product
from pathlib import Path

import pytest

from sgdsheet.analysis.diagnosis.lr_finder import find_learning_rate
from sgdsheet.compiler.model import SheetModel
from sgdsheet.errors import SgdSheetError
from sgdsheet.problem.optimizers import AUTO, OPTIMIZERS
from sgdsheet.problem.settings import DECLARATIONS, combine
from sgdsheet.train.session import Session
from tests.cli_books import line_book, run
from tests.training_books import polynomial

ODD = {
    "optimizer": ["SGD ", "l-bfgs", "nobody", "", 7.0, True],
    "learning_rate": [5e-324, 1e-300, 1e300, 1.7e308, 0.0, -1.0, math.inf, math.nan, "1e400", True],
    "momentum": [0.0, 0.5, 0.999999, 1.0, 1.0000001, -0.5, math.nan, "1"],
    "weight_decay": [0.0, 1e-300, 1.0, 1e300, 1.7e308, math.inf, -1.0],
    "schedule": ["constant", "cosine", "onecycle", "one cycle", "nothing"],
    "steps": [0, 1, 2, 0.5, -1, 2.0, "3"],
    "epochs": [0, 1, 2, -1, "1.5"],
    "batch_size": [1, 5, 6, 7, 10**6, 2**62, 0],
    "shuffle": ["no", "maybe", 2],
    "validation": [0.0, 1e-300, 0.2, 0.999999, "99.9 %", 1.0, math.nan],
    "early_stopping": ["yes", "no", 1, 0, 10**9, "2.5"],
    "restarts": [1, 2, 10**12, 2**62, 0],
    "start": ["zeros", "normal 0", "normal 1e300", "uniform 1e308", "uniform 5e-324", "normal, zeros", "he", "nothing"],
    "seed": [0, 2**63 - 1, 2**63, -1, 1.5],
    "zero_gradients": ["no", "yes", "2"],
    "device": ["cpu", "cuda", "tpu"],
    "precision": ["float32", "float64", "half"],
    "compile": ["no"],
    "trust_formulas": ["yes", "perhaps"],
    "overwrite_formulas": ["yes", "perhaps"],
    "steps_per_second": [1e-300, 1e300, 0, -1],
} | {item.key: [*item.examples, *item.refused] for item in DECLARATIONS if item.refused}


ENDINGS = ("converged", "stalled", "steps", "diverged", "early", "time", "best found", "optimal")


def check_line(error: SgdSheetError) -> None:
    """It is one line, and says what to do."""
    assert "\n" not in str(error)
    assert error.remedy


def test_every_setting_is_tried() -> None:
    assert set(ODD) == {item.key for item in DECLARATIONS}


@pytest.fixture(scope="module")
def curve(tmp_path_factory: pytest.TempPathFactory) -> SheetModel:
    x, y = [-1.0, -0.5, 0.2, 0.5, 1.0, 1.5], [2.5, 0.9, 0.2, 0.1, 0.8, 2.0]
    return polynomial(tmp_path_factory.mktemp("odd"), x, y, [0.3, -0.4, 0.1])


@pytest.mark.parametrize("key", ODD)
@pytest.mark.parametrize("name", [AUTO, *OPTIMIZERS])
def test_training(curve: SheetModel, name: str, key: str) -> None:
    few = {} if key in ("steps", "epochs") else {"steps": 2}
    in_batches = key in ("schedule", "momentum", "shuffle", "validation", "early_stopping", "restarts")
    for value, more in product(ODD[key], ({}, {"batch_size": 4}) if in_batches else ({},)):
        curve.reset_parameters()
        options = {"optimizer": name, "schedule": "constant", **few, **more, key: value}
        try:
            session = Session(curve, combine((), options))  # type: ignore[arg-type]
            session.run()
        except SgdSheetError as error:
            check_line(error)
            continue
        assert session.loss <= session.loss_start, options
        assert all(map(math.isfinite, curve.parameter_cells().values())), options
        assert session.stopped in ENDINGS, options


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_finding_a_learning_rate(curve: SheetModel, name: str) -> None:
    for momentum in (None, 0.0, 0.5, 0.999999):
        curve.reset_parameters()
        try:
            found = find_learning_rate(curve, name, momentum=momentum)
        except SgdSheetError as error:
            check_line(error)
            continue
        assert 0 < found.suggestion < math.inf
        assert found.optimizer == name


def test_nesterov_without_momentum(tmp_path: Path) -> None:
    path = line_book(tmp_path)
    plain = run("find-lr", path, "--optimizer", "sgd", "--momentum", "0", "--json").json
    nesterov = run("find-lr", path, "--optimizer", "nesterov", "--momentum", "0", "--json").json
    assert nesterov["suggestion"] == plain["suggestion"]
    assert nesterov["losses"] == plain["losses"]


def test_momentum_where_there_is_none(tmp_path: Path) -> None:
    found = run("find-lr", line_book(tmp_path), "--optimizer", "adam", "--momentum", "0.5")
    assert (found.status, found.out) == (2, "")
    assert "momentum does not go with adam" in found.err
