"""NIST's regressions from both starts, with nothing said: the certified digits, and a word that holds."""

from __future__ import annotations

import pytest

from sgdsheet.analysis.reporting.fitted_model import fitted_model
from sgdsheet.train.session import Session
from tests.certified_curves import CURVES
from tests.sheets import compiled
from tests.test_endings import digits


@pytest.mark.parametrize("start", [1, 2])
@pytest.mark.parametrize("name", CURVES)
def test_certified(name: str, start: int) -> None:
    curve = CURVES[name]
    session = Session(compiled(*curve.cells(start)))
    session.run()
    assert session.ending == "converged"
    assert session.plan.optimizer_name == "least squares"
    assert digits(list(session.model.parameter_cells().values()), curve.parameters) >= 8
    assert session.loss == pytest.approx(curve.squares, rel=1e-9, abs=1e-24)
    statistics = fitted_model(session.solution()).statistics
    if curve.deviations:  # those of an exact fit are rounding
        assert statistics is not None
        errors = [item.standard_error for item in statistics.estimates]
        assert errors == pytest.approx(curve.deviations, rel=1e-8)


@pytest.mark.parametrize("start", [1, 2])
@pytest.mark.parametrize("name", CURVES)
def test_l_bfgs_calls_nothing_converged_that_is_not(name: str, start: int) -> None:
    curve = CURVES[name]
    session = Session(compiled(*curve.cells(start)), optimizer="lbfgs")
    session.run()
    found = digits(list(session.model.parameter_cells().values()), curve.parameters)
    assert session.stopped != "converged" or found >= 6
