"""Models as analysts write them: likelihoods, annuities, yields and regressions, trained through the functions."""

from __future__ import annotations

import math
from typing import Any

import pytest

import sgdsheet
from sgdsheet.analysis.checking import check_workbook
from sgdsheet.train.session import Session
from tests.sheets import HOME, book, check, compiled

DATA = [1.2, 0.7, 2.9, 1.9, 3.4, 0.4, 2.2, 1.1, 1.6, 2.7]
FLOWS = [-1000, 300, 340, 410, 280]

MODELS: dict[str, tuple[dict[str, Any], str]] = {
    "normal likelihood, by its old name": (
        {"A1:A10": DATA, "B1:B2": [1.0, 1.5], "C1:C10": "=-LN(NORMDIST(A1,$B$1,$B$2,FALSE))", "Z1": "=SUM(C1:C10)"},
        "B1:B2",
    ),
    "gamma likelihood": (
        {
            "A1:A10": DATA,
            "B1:B2": [2.0, 1.1],
            "C1:C10": "=-LN(GAMMA.DIST(A1,$B$1,$B$2,FALSE))",
            "Z1": "=AVERAGE(C1:C10)",
        },
        "B1:B2",
    ),
    "censored Weibull likelihood": (
        {
            "A1:A10": DATA,
            "B1:B2": [1.3, 2.0],
            "C1:C10": "=IF(A1>2.5,LN(1-WEIBULL(2.5,$B$1,$B$2,TRUE)),LN(WEIBULL(A1,$B$1,$B$2,FALSE)))",
            "Z1": "=-SUM(C1:C10)",
        },
        "B1:B2",
    ),
    "Student's t with a location and a scale": (
        {
            "A1:A10": DATA,
            "B1:B2": [1.5, 0.9],
            "C1:C10": "=LN(T.DIST((A1-$B$1)/$B$2,4,FALSE)/$B$2)",
            "Z1": "=-SUM(C1:C10)",
        },
        "B1:B2",
    ),
    "distribution functions beside shares": (
        {
            "A1:A3": [0.8, 1.7, 2.6],
            "B1:B2": [1.4, 1.2],
            "C1:C3": [0.2, 0.5, 0.8],
            "D1:D3": "=(GAMMADIST(A1,$B$1,$B$2,TRUE)-C1)^2+(BETA.DIST(A1/4,$B$1,$B$2,TRUE)-C1)^2",
            "Z1": "=SUM(D1:D3)",
        },
        "B1:B2",
    ),
    "a price at which the internal rate of return is 12 %": (
        {"A1:A5": FLOWS, "Z1": "=(IRR(A1:A5)-0.12)^2*1000"},
        "A1",
    ),
    "the rate of a loan": (
        {"A1": 0.01, "Z1": "=(PMT(A1,48,8000)+200)^2+(RATE(48,-200,8000+1000*A1)-0.008)^2"},
        "A1",
    ),
    "a yield curve": (
        {
            "A1:A4": [1, 2, 5, 10],
            "B1:B4": [96.9, 93.5, 83.0, 66.0],
            "C1:C3": [0.03, 0.01, 1.5],
            "D1:D4": "=PV($C$1+$C$2*(1-EXP(-A1/$C$3)),A1,0,-100)",
            "Z1": "=SUMXMY2(B1:B4,D1:D4)",
        },
        "C1:C3",
    ),
    "a regression within the loss": (
        {
            "A1:A6": [1, 2, 3, 4, 5, 6],
            "B1:B6": [2.1, 4.4, 9.3, 15.8, 26.1, 35.2],
            "C1": 1.7,
            "D1:D6": "=A1^$C$1",
            "Z1": "=INDEX(LINEST(B1:B6,D1:D6,TRUE,TRUE),5,2)",
        },
        "C1",
    ),
    "a median and percentiles": (
        {"A1:A10": DATA, "B1": 0.3, "C1:C10": "=ABS(A1-$B$1)^1.5", "Z1": "=MEDIAN(C1:C10)+PERCENTILE(C1:C10,0.9)"},
        "B1",
    ),
    "a correlation": (
        {
            "A1:A6": [1, 2, 3, 4, 5, 6],
            "B1:B6": [1, 1.9, 2.4, 3.1, 3.3, 3.7],
            "C1": 1.2,
            "D1:D6": "=A1^$C$1",
            "Z1": "=1-CORREL(D1:D6,B1:B6)",
        },
        "C1",
    ),
    "value at risk": (
        {"A1:A2": [0.02, 0.15], "Z1": "=(NORM.INV(0.05,A1,A2)+0.2)^2+(LOGNORM.INV(0.95,A1,A2)-1.3)^2"},
        "A1:A2",
    ),
}


@pytest.mark.parametrize("name", MODELS)
def test_gradient(name: str) -> None:
    cells, params = MODELS[name]
    check(cells, params, None, tolerance=1e-5)


@pytest.mark.parametrize("name", MODELS)
def test_training_lowers_the_loss(name: str) -> None:
    cells, params = MODELS[name]
    model = compiled(cells, params)
    start = float(model().detach())
    for _ in Session(model, optimizer="adam", lr=0.003, steps=40, trust_formulas=True):
        pass
    end = float(model().detach())
    assert math.isfinite(end)
    assert end < start


@pytest.mark.parametrize("name", MODELS)
def test_in_single_precision_it_is_the_same(name: str) -> None:
    cells, params = MODELS[name]
    double = compiled(cells, params)
    single = sgdsheet.compile(book(cells), HOME, loss="Z1", params=params, precision="float32")
    assert float(single().detach()) == pytest.approx(float(double().detach()), rel=2e-3, abs=1e-4)
    assert str(single().dtype) == "torch.float32"


@pytest.mark.parametrize(("saved", "agrees"), [(0.373362534523, True), (0.3733635, False)])
def test_a_rate_agrees_as_far_as_excel_searches(saved: float, agrees: bool) -> None:
    """Excel's own XIRR is wrong in the ninth digit; what depends on it follows from what it saved."""
    cells = {
        "A1:A5": [-10000, 2750, 4250, 3250, 2750],
        "B1:B5": [39448, 39508, 39751, 39859, 39904],
        "C1": "=XIRR(A1:A5,B1:B5)",
        "C2": "=C1*100",
    }
    workbook = book(cells)
    workbook.sheets[HOME].values |= {(1, 3): saved, (2, 3): saved * 100}
    report = check_workbook(workbook)
    assert (report.supported, report.compared) == (2, 2)
    assert bool(report.mismatches) != agrees
