"""Analysts' models from files that LibreOffice calculated: clean, with exact gradients, trained to SciPy's optimum."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy import optimize

import sgdsheet
from sgdsheet.analysis.checking import check_model, check_workbook
from sgdsheet.sheet.references import parse_range
from sgdsheet.train.session import Session
from tests.analysts_models import MODELS, AnalystModel
from tests.office import LibreOffice
from tests.sheets import check_gradients
from tests.training_books import HOME, write

CLOSE = 1e-6


def written_out(cells: dict[str, Any]) -> dict[str, Any]:
    """The cells with the formulas of a range row by row: `{r}` is the row, `{p}` the one before, `{s}` four up."""
    found = dict(cells)
    for reference, content in cells.items():
        area = parse_range(reference, HOME)
        if isinstance(content, str) and content.startswith("="):
            rows = range(area.top, area.bottom + 1)
            found[reference] = [
                [content.replace("{r}", str(row)).replace("{p}", str(row - 1)).replace("{s}", str(row - 4))]
                for row in rows
            ]
    return found


def saved(model: AnalystModel, folder: Path, office: LibreOffice) -> Path:
    """The workbook as a file, calculated by LibreOffice if that knows its functions."""
    names = {"sgd_loss": model.loss, "sgd_params": model.params, **model.names}
    path = write(folder / "plain.xlsx", written_out(model.cells), names)
    return office.convert(path, folder / "calculated" / "book.xlsx") if model.office else path


@pytest.fixture(params=list(MODELS))
def model(request: pytest.FixtureRequest) -> AnalystModel:
    return MODELS[request.param]()


def optimum(model: AnalystModel) -> tuple[float, np.ndarray]:
    """SciPy's optimum of the NumPy model, by a method that knows no gradient, polished by another."""
    best = np.array(model.near or model.exact or model.start)
    for _ in range(3):
        options = {"xatol": 1e-11, "fatol": 1e-13, "maxiter": 20_000, "maxfev": 20_000}
        best = optimize.minimize(model.objective, best, method="Nelder-Mead", options=options).x
    return model.objective(best), best


def test_model(model: AnalystModel, tmp_path: Path, converter: LibreOffice) -> None:
    workbook = sgdsheet.load(saved(model, tmp_path, converter))
    everything = check_workbook(workbook)
    assert everything.passed
    assert not everything.unsupported
    assert everything.supported == everything.formulas
    assert not model.office or everything.compared == everything.formulas
    compiled = sgdsheet.compile(workbook)
    report = check_model(compiled)
    assert report.passed
    assert report.loss_computed == pytest.approx(model.objective(np.array(model.start)), rel=1e-9)
    check_gradients(compiled, 1e-5)
    session = Session(compiled, **model.settings)
    for _ in session:
        pass
    least, where = optimum(model)
    assert math.isfinite(session.loss)
    reached = float(compiled().detach())
    assert reached <= least + CLOSE * max(abs(least), 1e-3), (session.stopped, reached, least)
    assert list(compiled.parameter_cells().values()) == pytest.approx(list(where), rel=2e-3, abs=2e-4), session.stopped
