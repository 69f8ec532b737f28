"""The benchmark compares like with like."""

from __future__ import annotations

import runpy
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

import sgdsheet
from tests.cli_books import line_book


@pytest.fixture(scope="module")
def speed() -> dict[str, Any]:
    return runpy.run_path(str(Path(__file__).parent.parent / "benchmarks" / "speed.py"))


@pytest.mark.parametrize("loss", [1.0, torch.nan])
def test_other_losses_are_refused(tmp_path: Path, speed: dict[str, Any], loss: float) -> None:
    model = sgdsheet.compile(sgdsheet.load(line_book(tmp_path)))
    with pytest.raises(SystemExit, match="line: the losses differ"):
        speed["compared"]("line", model, lambda: torch.tensor(loss), [])


def test_one_session_per_run(speed: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[int] = []

    class Session:
        def __init__(self, model: object, *, restarts: int = 0, **options: object) -> None:
            made.append(restarts)

        def __iter__(self) -> Iterator[int]:
            return iter(range(1000))

    monkeypatch.setattr(sgdsheet, "Session", Session)
    speed["restarts"]()
    assert made == [0, 64] * 5


@pytest.fixture(scope="module")
def solving() -> dict[str, Any]:
    return runpy.run_path(str(Path(__file__).parent.parent / "benchmarks" / "solving.py"))


def test_right_digits(solving: dict[str, Any]) -> None:
    digits = solving["digits"]
    assert digits(1.0001, 1.0) == pytest.approx(4)
    assert digits([1.0, 2.02], [1.0, 2.0]) == pytest.approx(2)
    assert digits(1e-7, 0.0) == pytest.approx(7)
    assert digits(3.0, 3.0) == 11
    assert digits(float("nan"), 3.0) == 0
    assert solving["as_function"]("x1^2+EXP(x2)-1")([3.0, 0.0]) == 9


def test_what_is_not_met_is_said(solving: dict[str, Any]) -> None:
    row, result = solving["Row"], solving["Result"]
    rows = [
        row("linear", "one", result(9.5, 0.1), "HiGHS", None, None, 10.0),
        row("linear", "two", result(10.5, 0.1), "HiGHS", None, None, 10.0),
    ]
    assert solving["missing"](rows) == ["linear, one: 9.5 digits and not 10"]


def test_linear_models_come_out(solving: dict[str, Any], tmp_path: Path) -> None:
    assert solving["missing"](solving["linear"](tmp_path)) == []
