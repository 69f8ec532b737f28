"""Losses that get better for ever as parameters grow have no optimum, and the run says so, with the cells."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from sgdsheet.compiler.model import SheetModel
from sgdsheet.train.convergence import Place, judge
from sgdsheet.train.runaway import runaway
from sgdsheet.train.session import Session
from tests.sheets import compiled

NORMAL = (0.31, -1.2, 0.77, 0.05, -0.4, 1.6, -0.9, 0.2, -0.1, 1.1, -1.5, 0.6)
"""Numbers that have nothing to do with the outcome."""

FORMS = {
    "logit": "=LN(1+EXP(-(2*B#-1)*C#))",
    "two terms": "=-(B#*LN(1/(1+EXP(-C#)))+(1-B#)*LN(1-1/(1+EXP(-C#))))",
    "probit": "=-LN(IF(B#=1,NORM.S.DIST(C#,TRUE),1-NORM.S.DIST(C#,TRUE)))",
}


def regression(form: str, outcomes: list[int], regressors: list[float], *, penalty: str = "") -> SheetModel:
    """A regression of outcomes, 0 or 1, on two columns of numbers: H1 the constant, H2 and H3 the slopes."""
    cells: dict[str, Any] = {"H1:H3": 0.0}
    for row, (y, x, other) in enumerate(zip(outcomes, regressors, NORMAL, strict=False), 1):
        cells |= {f"A{row}": x, f"B{row}": y, f"E{row}": other, f"C{row}": f"=$H$1+$H$2*A{row}+$H$3*E{row}"}
        cells[f"D{row}"] = FORMS[form].replace("#", str(row))
    return compiled(cells | {"Z1": f"=SUM(D1:D{len(outcomes)}){penalty}"}, "H1:H3")


MIXED = [0, 1, 0, 1, 1, 0, 0, 1]
DUMMY = [1.0, 1.0, 1.0, 1.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0]
"""All of the first four have the outcome 1, of the others some have."""


@pytest.mark.parametrize("form", FORMS)
def test_quasi_complete_separation(form: str) -> None:
    """Only the dummy's slope runs away; the others have finite values, and the loss a limit that is not 0."""
    session = Session(regression(form, [1] * 4 + MIXED, DUMMY))
    session.run()
    assert session.stopped == "no finite optimum"
    assert "H2" in session.reason
    assert "rises" in session.reason
    assert "H1" not in session.reason
    assert "H3" not in session.reason


@pytest.mark.parametrize("form", ["logit", "probit"])
def test_complete_separation(form: str) -> None:
    session = Session(regression(form, [0] * 6 + [1] * 6, [float(x) for x in range(-6, 6)]))
    session.run()
    assert session.stopped == "no finite optimum"
    assert "H2" in session.reason


def test_classes() -> None:
    """Three classes, each with exponentials of its own, of which only the differences matter."""
    cells: dict[str, Any] = {"H1:I3": 0.1}
    for row in range(1, 13):
        cells[f"A{row}"], cells[f"B{row}"] = [-3.0, 0.0, 3.0][row % 3] + NORMAL[row - 1] / 2, row % 3 + 1
        cells[f"C{row}:E{row}"] = [[f"=EXP($H${k}+$I${k}*A{row})" for k in (1, 2, 3)]]
        cells[f"F{row}"] = f"=-LN(INDEX(C{row}:E{row},B{row})/SUM(C{row}:E{row}))"
    session = Session(compiled(cells | {"Z1": "=SUM(F1:F12)"}, "H1:I3"))
    session.run()
    assert session.stopped == "no finite optimum"


@pytest.mark.parametrize("form", FORMS)
def test_data_that_overlap_have_an_optimum(form: str) -> None:
    session = Session(regression(form, [0, 0, 1, 0, 1, 0, 1, 0, 1, 1, 0, 1], [float(x) for x in range(-6, 6)]))
    session.run()
    assert session.stopped == "converged"


def test_a_penalty_makes_an_optimum() -> None:
    separated = [0] * 6 + [1] * 6
    session = Session(regression("logit", separated, [float(x) for x in range(-6, 6)], penalty="+1E-6*SUMSQ(H1:H3)"))
    session.run()
    assert session.stopped == "converged"


@pytest.mark.parametrize("power", [4, 6, 8, 12, 16])
def test_a_flat_minimum_is_one(power: int) -> None:
    session = Session(compiled({"A1": 3.0, "A2": 2.0, "Z1": f"=(A1-1)^{power}+(A2-5)^2+1"}, "A1:A2"))
    session.run()
    assert session.stopped != "no finite optimum"
    assert session.loss == pytest.approx(1, abs=1e-6)


@pytest.mark.parametrize(("loss", "accelerates"), [("=EXP(-A1)+(A2-5)^2", False), ("=1/(1+A1)+(A2-5)^2+3", True)])
def test_how_fast_it_runs_away(loss: str, accelerates: bool) -> None:
    """Newton's steps are 1 along an exponential, half of the parameter along its reciprocal; the other one stays."""
    model = compiled({"A1": 30.0, "A2": 5.0, "Z1": loss}, "A1:A2")
    parameters = [tensor for _, tensor in model.ranges()]
    start = np.array([1.0, 1.0])
    found = runaway(model.objective, parameters, start)
    assert found is not None
    assert (found.places.tolist(), found.accelerating) == ([0], accelerates)
    assert found.steps[0] > 0
    assert [*parameters[0].flatten().tolist()] == [30, 5]
    assert runaway(model.objective, parameters, start, upper=np.array([1e9, np.inf])) is None


@pytest.mark.parametrize("steps", [2, 10])
def test_a_minimum_that_is_far_away_is_one(steps: int) -> None:
    """Far above it, Newton's steps down an exponential are all 1 long; the run only had too few steps."""
    session = Session(compiled({"A1": 30.0, "A2": 2.0, "Z1": "=EXP(A1)-1000*A1+(A2-5)^2"}, "A1:A2"), steps=steps)
    session.run()
    assert session.stopped == "steps"


def test_what_the_data_hardly_determine_is_named() -> None:
    """The two columns of a regression are the same to eight digits, and the best sum of the slopes is found."""
    x = torch.arange(1, 9, dtype=torch.float64)
    columns = torch.stack([x, x * (1 + 1e-8 * x)], dim=1)
    data = 2 * x + 0.3 * x**2
    slope = float((data @ x) / (x @ x))
    parameters = [torch.tensor([slope - 7, 7.0], dtype=torch.float64, requires_grad=True)]

    def residuals(values: torch.Tensor) -> torch.Tensor:
        return columns @ values - data

    start = [torch.zeros(2, dtype=torch.float64)]
    cells = ["Sheet1!H1", "Sheet1!H2"]
    place = Place(parameters, lambda: residuals(parameters[0]).square().sum(), start, residuals, cells=cells)
    verdict = judge(place)
    assert not verdict.converged
    assert "hardly determine" in verdict.reason
    assert all(cell in verdict.reason for cell in cells)
