"""The test functions of every textbook on optimisation, as sheets, with the settings that nobody touched."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from sgdsheet.train.session import Session
from tests.training_books import model, values

TWO = {"sgd_loss": "B1", "sgd_params": "A1:A2"}

ROSENBROCK = "=(1-A1)^2+100*(A2-A1^2)^2"
BEALE = "=(1.5-A1+A1*A2)^2+(2.25-A1+A1*A2^2)^2+(2.625-A1+A1*A2^3)^2"
HIMMELBLAU = "=(A1^2+A2-11)^2+(A1+A2^2-7)^2"
MINIMA = [(3.0, 2.0), (-2.805118, 3.131312), (-3.779310, -3.283186), (3.584428, -1.848126)]


@pytest.mark.parametrize("start", [(-1.2, 1.0), (0.0, 0.0), (3.0, -4.0), (-5.0, 20.0)])
def test_rosenbrock(tmp_path: Path, start: tuple[float, float]) -> None:
    """A bent valley: downhill is not where the minimum is."""
    trained = model(tmp_path, {"A1:A2": [[value] for value in start], "B1": ROSENBROCK}, TWO)
    session = Session(trained)
    assert session.run() < 1e-12
    assert values(trained) == pytest.approx([1, 1], abs=1e-6)
    assert session.stopped == "converged"


@pytest.mark.parametrize("size", [10, 100])
def test_rosenbrock_of_many(tmp_path: Path, size: int) -> None:
    cells: dict[str, Any] = {
        f"A1:A{size}": [[-1.2 if row % 2 == 0 else 1.0] for row in range(size)],
        f"C1:C{size - 1}": [[f"=100*(A{row + 1}-A{row}^2)^2+(1-A{row})^2"] for row in range(1, size)],
        "B1": f"=SUM(C1:C{size - 1})",
    }
    trained = model(tmp_path, cells, {"sgd_loss": "B1", "sgd_params": f"A1:A{size}"})
    assert Session(trained).run() < 1e-12
    assert values(trained) == pytest.approx([1] * size, abs=1e-6)


@pytest.mark.parametrize("start", [(1.0, 1.0), (0.0, 0.0), (2.0, -1.0)])
def test_beale(tmp_path: Path, start: tuple[float, float]) -> None:
    trained = model(tmp_path, {"A1:A2": [[value] for value in start], "B1": BEALE}, TWO)
    assert Session(trained).run() < 1e-12
    assert values(trained) == pytest.approx([3, 0.5], abs=1e-6)


@pytest.mark.parametrize("start", [(0.0, 0.0), (-1.0, 4.0), (-4.0, -4.0), (4.0, -3.0)])
def test_himmelblau(tmp_path: Path, start: tuple[float, float]) -> None:
    """Four minima, all 0: which one depends on the start."""
    trained = model(tmp_path, {"A1:A2": [[value] for value in start], "B1": HIMMELBLAU}, TWO)
    assert Session(trained).run() < 1e-12
    assert any(values(trained) == pytest.approx(known, abs=1e-6) for known in MINIMA)


@pytest.mark.parametrize(("size", "seed"), [(1, 0), (2, 0), (2, 1), (2, 2)])
def test_rastrigin(tmp_path: Path, size: int, seed: int) -> None:
    """Eleven minima along each axis; descent alone ends in the next best, restarts find the best."""
    cells: dict[str, Any] = {
        f"A1:A{size}": [[4.1] for _ in range(size)],
        f"C1:C{size}": "=A{r}^2-10*COS(2*PI()*A{r})+10",
        "B1": f"=SUM(C1:C{size})",
    }
    names = {"sgd_loss": "B1", "sgd_params": f"A1:A{size}"}
    alone = model(tmp_path, cells, names)
    assert Session(alone).run() > 0.9
    trained = model(tmp_path, cells, names)
    session = Session(trained, restarts=300, start="uniform 5.12", seed=seed)
    assert session.run() == pytest.approx(0, abs=1e-12)
    assert values(trained) == pytest.approx([0] * size, abs=1e-6)
    assert session.distribution is not None
    assert session.distribution.minima > 3
