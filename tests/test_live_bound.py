"""A model that is trained on a file, live: the sheet shows a few samples, the losses of a run are over all of them."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from sgdsheet.data.samples import Samples
from sgdsheet.sheet.references import Range
from sgdsheet.sheet.workbook import DefinedName
from sgdsheet.system.state_folder import VARIABLE
from sgdsheet.train import session
from tests.live_books import LOSS, SHEET, START, Desk, calculate, line_workbook, parameters, until
from tests.memory_host import MemoryHost

SHOWN = 5


@pytest.fixture(autouse=True)
def state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(VARIABLE, str(tmp_path / "state"))


@pytest.fixture
def points(tmp_path: Path) -> dict[str, np.ndarray]:
    """The first samples lie on another line than the rest, so that a loss tells of what it is."""
    x = np.random.default_rng(0).normal(size=200)
    y = 2 * x + 1
    y[:SHOWN] = -3 * x[:SHOWN]
    np.savez(tmp_path / "points.npz", x=x, y=y)
    return {"x": x, "y": y}


@pytest.fixture
def host(tmp_path: Path, points: dict[str, np.ndarray]) -> MemoryHost:
    workbook = line_workbook({"steps": 300.0})
    values = workbook.sheets[SHEET].values
    for row in range(SHOWN):
        values[row + 2, 1], values[row + 2, 2] = float(points["x"][row]), float(points["y"][row])
    values[10, 1] = "points.npz"
    workbook.names += [
        DefinedName("sgd_source", f"{SHEET}!$A$10", SHEET),
        DefinedName("sgd_data", f"{SHEET}!$A$2:$D${SHOWN + 1}", SHEET),
    ]
    workbook.folder = tmp_path
    calculate(workbook)
    return MemoryHost(workbook, calculate, "line.xlsx")


@pytest.fixture
def desk(host: MemoryHost) -> Iterator[Desk]:
    with Desk(host) as desk:
        yield desk


def loss_of(points: dict[str, np.ndarray], slope: float, intercept: float) -> float:
    return float(np.mean((slope * points["x"] + intercept - points["y"]) ** 2))


def test_train(desk: Desk, host: MemoryHost, points: dict[str, np.ndarray]) -> None:
    desk.done("train")
    status = desk.until_idle()
    found = parameters(host)
    assert status["message"].startswith("loss ")  # and nothing of the sheet's own loss, which is another
    assert status["loss"] == pytest.approx(loss_of(points, *found), rel=1e-4)
    assert host.sheet(SHEET).values[LOSS[1:]] > 2 * status["loss"]
    assert found != START
    assert [float(np.float32(number)) for number in found] == list(found)


def test_an_edited_parameter_is_taken_up(desk: Desk, host: MemoryHost) -> None:
    host.sheet(SHEET).values[3, 8] = 1_000_000.0  # steps
    desk.done("train")
    desk.until_step(200)
    with host.turn:
        host.sheet(SHEET).values[1, 5] = 900.0
    until(lambda: parameters(host)[0] not in (900.0, START[0]) and abs(parameters(host)[0]) < 5)
    reply = desk.done("stop")
    assert reply["message"].startswith("loss ")
    assert not host.messages


def test_steps_and_undo(desk: Desk, host: MemoryHost, monkeypatch: pytest.MonkeyPatch) -> None:
    desk.done("step")
    with monkeypatch.context() as patched:  # the next clicks need not read the whole workbook
        patched.setattr(host, "read", None)
        host.selected = (Range.of_cell(LOSS),)
        assert [desk.done("step")["step"] for _ in range(2)] == [2, 3]
    for _ in range(3):
        desk.done("undo")
    assert parameters(host) == START


@pytest.mark.parametrize("precision", ["float32", "float64", None])
def test_check_compares_in_double_precision(precision: str | None, desk: Desk, host: MemoryHost) -> None:
    if precision is not None:
        host.sheet(SHEET).values[3, 7], host.sheet(SHEET).values[3, 8] = "precision", precision
    reply = desk.done("check")
    assert reply["passed"], reply["message"]
    assert reply["details"]["gradient_max_error"] < 1e-6


def test_the_learning_rate_suits_the_file(desk: Desk, host: MemoryHost, points: dict[str, np.ndarray]) -> None:
    """Rows whose numbers are a hundred times larger bear steps ten thousand times smaller; the preview has none."""
    points["x"][SHOWN:] *= 100
    points["y"][SHOWN:] = 2 * points["x"][SHOWN:]
    assert host.workbook.folder is not None
    np.savez(host.workbook.folder / "points.npz", **points)
    suggestion = desk.done("find-lr")["suggestion"]
    largest = 2 / np.linalg.eigvalsh(_hessian(points["x"])).max()
    assert 1e-3 * largest < suggestion < largest


def _hessian(x: np.ndarray) -> np.ndarray:
    return 2 * np.array([[np.mean(x * x), np.mean(x)], [np.mean(x), 1.0]])


def test_gradients_are_of_the_sheets_cell(desk: Desk, host: MemoryHost) -> None:
    desk.done("gradients")
    rows = host.report_sheets["SGD gradients"].rows
    shown = [value for row in rows[4:] for value in row[1:] if isinstance(value, float)]
    values = host.sheet(SHEET).values
    errors = [(START[0] * values[row, 1] + START[1] - values[row, 2], values[row, 1]) for row in range(2, SHOWN + 2)]
    exact = [2 * np.mean([e * x for e, x in errors]), 2 * np.mean([e for e, _ in errors])]
    assert all(math.isclose(one, two, rel_tol=1e-5) for one, two in zip(shown, exact, strict=True))


def test_a_source_that_is_gone(desk: Desk, host: MemoryHost) -> None:
    host.sheet(SHEET).values[10, 1] = "gone.npz"
    desk.done("train")
    assert "Model!A10" in desk.until_idle()["message"]
    assert parameters(host) == START
    assert "gone.npz" in host.messages[-1]


def test_stop_does_not_wait_for_the_loss_over_a_large_source(
    desk: Desk, host: MemoryHost, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What would take long is not calculated when a person waits: the message says which loss it tells instead."""
    monkeypatch.setattr(session, "_SOON", 0.0)
    looks: list[str] = []
    for name in ("training_loss", "validate", "test"):
        monkeypatch.setattr(Samples, name, _counted(looks, getattr(Samples, name)))
    values = host.sheet(SHEET).values
    values[3, 8], values[4, 7], values[4, 8] = 1_000_000.0, "batch size", 20.0
    host.workbook.names = [name for name in host.workbook.names if name.name != "sgd_settings"]
    host.workbook.names.append(DefinedName("sgd_settings", f"{SHEET}!$G$1:$H$4", SHEET))
    desk.done("train")
    desk.until_step(50)
    reply = desk.done("stop")
    assert "(the last batch)" in reply["message"], reply
    assert looks == ["training_loss"]  # at the start
    assert math.isfinite(reply["loss"])
    assert not host.messages


def test_a_small_source_is_judged_as_a_whole(desk: Desk, host: MemoryHost, points: dict[str, np.ndarray]) -> None:
    host.sheet(SHEET).values[3, 8] = 1_000_000.0  # steps
    desk.done("train")
    desk.until_step(50)
    reply = desk.done("stop")
    assert "last batch" not in reply["message"]
    assert reply["loss"] == pytest.approx(loss_of(points, *parameters(host)), rel=1e-4)


def _counted(looks: list[str], method: Callable[[Samples], Any]) -> Callable[[Samples], Any]:
    def counted(samples: Samples) -> Any:
        looks.append(method.__name__)
        return method(samples)

    return counted
