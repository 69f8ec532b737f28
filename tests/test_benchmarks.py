"""The benchmark compares like with like."""

from __future__ import annotations

import runpy
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

        def run(self) -> None: ...

    monkeypatch.setattr(sgdsheet, "Session", Session)
    speed["restarts"]()
    assert made == [0, 64]
