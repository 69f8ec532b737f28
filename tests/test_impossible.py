"""Problems without a solution: the line that says so names the cells that make them so."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from sgdsheet.compiler.model import SheetModel, compile
from sgdsheet.errors import TrainingError
from sgdsheet.train.session import Session
from tests.errors import ANYWHERE, refusal
from tests.solver_models import AT_LEAST, AT_MOST, EQUAL, MAX, MIN, workbook

PLANE = {"A1": [[1, 1]], "C1": "=A1+2*B1", "D1": "=A1+B1", "D2": "=A1-B1", "D3": "=A1^2+B1^2"}
CONVEX = PLANE | {"C1": "=(A1-3)^2+(B1-2)^2"}


def model(folder: Path, cells: dict[str, Any], kind: int, *constraints: Any, **more: Any) -> SheetModel:
    return compile(workbook(folder, cells, "C1", "A1:B1", kind, constraints, **more))


def start_of(trained: SheetModel) -> list[float]:
    return list(trained.parameter_cells().values())


EXCLUDED = {
    "two constraints": (
        (PLANE, MIN, ("D1", AT_MOST, 4.0), ("D2", AT_LEAST, 1.0), ("D1", AT_LEAST, 10.0)),
        r"constraint 3, Model!D1 >= 10, cannot be met together with Solver's constraint 1 \(Model!D1\): .* 5.17",
    ),
    "three constraints": (
        (PLANE, MIN, ("D1", AT_LEAST, 10.0), ("D2", EQUAL, 0.0), ("D3", AT_MOST, 2.0)),
        r"cannot be met together with .*Model!D[13]\)",
    ),
    "bounds": (
        (PLANE, MAX, ("A1:B1", AT_MOST, 1.0), ("D1", AT_LEAST, 5.0)),
        r"constraint 2, Model!D1 >= 5, cannot be met together with the bounds of Model!A1 and Model!B1: .* 3",
    ),
    "a bound": (
        (PLANE, MAX, ("A1", AT_MOST, 1.0), ("D2", AT_LEAST, 2.0)),
        r"cannot be met together with the bounds of Model!A1 and Model!B1: at best it is violated by 1",
    ),
    "curved": (
        (CONVEX, MIN, ("D3", AT_MOST, 1.0), ("D1", AT_LEAST, 5.0)),
        r"cannot be met together with Solver's constraint [12] \(Model!D[13]\)",
    ),
}


@pytest.mark.parametrize("name", EXCLUDED)
def test_what_excludes_each_other_is_named(name: str, tmp_path: Path) -> None:
    (cells, kind, *constraints), cause = EXCLUDED[name]
    trained = model(tmp_path, cells, kind, *constraints)
    with refusal(TrainingError, cell=ANYWHERE, cause=cause, remedy="Loosen a constraint"):
        Session(trained, trust_formulas=True).run()
    assert start_of(trained) == [1, 1], "nothing was changed"


ENDLESS = {
    "one variable": ((PLANE, MAX, ("D2", EQUAL, 0.0)), "grow without limit by Model!A1 and Model!B1"),
    "the other is bounded": ((PLANE, MAX, ("A1", AT_MOST, 4.0)), "grow without limit by Model!B1$"),
    "downwards": ((PLANE, MIN, ("D2", AT_MOST, 3.0)), "fall without limit by Model!A1 and Model!B1"),
    "without bounds": ((PLANE | {"C1": "=A1^3-B1"}, MIN), "fall without limit by Model!A1"),
    "curved": ((PLANE | {"C1": "=A1-B1^2"}, MIN, ("A1", AT_LEAST, 0.0)), "fall without limit by Model!B1$"),
}


@pytest.mark.parametrize("name", ENDLESS)
def test_what_has_no_end_is_named(name: str, tmp_path: Path) -> None:
    (cells, kind, *constraints), cause = ENDLESS[name]
    trained = model(tmp_path, cells, kind, *constraints, neg=2)
    with refusal(TrainingError, cell="Model!C1", cause=cause, remedy="Add the bound or constraint"):
        Session(trained, trust_formulas=True).run()
    assert start_of(trained) == [1, 1]


@pytest.mark.parametrize("start", [(100.0, -100.0), (-5.0, 0.0), (0.0, 0.0)])
def test_a_start_that_meets_no_constraint(start: tuple[float, float], tmp_path: Path) -> None:
    """The nearest point to (3, 2) on the disc around (0, 0) with radius 1 and above the line x + y = 1."""
    cells = CONVEX | {"A1": [list(start)]}
    trained = model(tmp_path, cells, MIN, ("D3", AT_MOST, 1.0), ("D1", AT_LEAST, 1.0), neg=2)
    session = Session(trained, trust_formulas=True)
    session.run()
    assert session.stopped == "converged"
    assert start_of(trained) == pytest.approx([3 / 13**0.5, 2 / 13**0.5], abs=1e-6)
