"""The functions of Excel's cells with ranges of a live spreadsheet: LibreOffice, which xlwings takes for Excel."""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
import xlwings as xw
import xlwings.conversion

import sgdsheet
from sgdsheet.apps.udf import xlwings_functions
from sgdsheet.sheet.references import Cell
from tests import office
from tests.training_books import write
from tests.xlwings_program import ExcelBook, ExcelOverLibreOffice

pytestmark = pytest.mark.skipif(not office.available(), reason="LibreOffice is not installed")

CELLS = {
    "A1:B3": [[0.5, -1.0], [0.25, 2.0], [1.5, 0.75]],
    "D1:F4": torch.randn(4, 3, generator=torch.Generator().manual_seed(1), dtype=torch.float64).tolist(),
    "H1:I4": "{=TANH(MMULT(D1:F4,A1:B3))}",
    "K1:K4": "=1/(1+EXP(H{r}-I{r}))*L$1",
    "L1": "=L2*2",
    "L2": 0.75,
    "N1:P1": [[1.5, "text", True]],
    "Z1": "=SUMXMY2(K1:K4,D1:D4)/4",
}


@pytest.fixture(scope="module")
def opened(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ExcelBook]:
    program = ExcelOverLibreOffice()
    found = program.open(write(tmp_path_factory.mktemp("udfs") / "live.xlsx", CELLS, {}))
    yield found
    found.host.close()
    program.stop()


def cells(opened: ExcelBook, reference: str) -> xw.Range:
    return next(iter(xw.apps)).books[Path(opened.host.key).name].sheets["Model"].range(reference)


def argument(opened: ExcelBook, reference: str) -> Any:
    """What xlwings makes of a range for an argument that is an array."""
    return xlwings.conversion.read(cells(opened, reference), None, xlwings_functions.ARRAY_OPTIONS)


@pytest.mark.parametrize(
    ("reference", "wanted"),
    [
        ("A1:B3", [[0.5, 0.0], [0.25, 2.0], [1.5, 0.75]]),
        ("A1:B1", [[0.5, 0.0]]),
        ("A1:A3", [[0.5], [0.25], [1.5]]),
        ("B1", [[0.0]]),
        ("N1:Q1", [[1.5, "#VALUE!", 1.0, 0.0]]),
    ],
)
def test_ranges(opened: ExcelBook, reference: str, wanted: list[list[float]]) -> None:
    assert xlwings_functions.answer("SGD_RELU", [argument(opened, reference)]) == wanted


def test_the_gradient_is_the_models(opened: ExcelBook) -> None:
    xlwings_functions._gradients.compilations = 0
    loss, params = cells(opened, "Z1"), cells(opened, "A1:B3")
    for number in (0.5, -0.5, 2.0):
        opened.host.write({Cell("Model", 1, 1): number})
        slopes = sgdsheet.compile(opened.host.read(), "Model", loss="Z1", params="A1:B3").gradients()
        found = xlwings_functions.answer("SGD_GRAD", [loss, params])
        assert isinstance(found, list), found
        for row, line in enumerate(found, 1):
            for column, slope in enumerate(line, 1):
                exact = slopes[Cell("Model", row, column)]
                assert exact != 0
                assert math.isclose(slope, exact, rel_tol=1e-12), (row, column)
    assert xlwings_functions._gradients.compilations == 1
    step = xlwings_functions.answer("SGD_STEP", [params, loss, [[0.1]]])
    assert step[0][0] == 2.0 - 0.1 * found[0][0]


def test_a_change_of_a_formula_is_noticed(opened: ExcelBook) -> None:
    loss, params = cells(opened, "Z1"), cells(opened, "A1:B3")
    before = xlwings_functions.answer("SGD_GRAD", [loss, params])
    opened.host.write({Cell("Model", 2, 12): 1.5})
    after = xlwings_functions.answer("SGD_GRAD", [loss, params])
    assert before != after
    slopes = sgdsheet.compile(opened.host.read(), "Model", loss="Z1", params="A1:B3").gradients()
    assert math.isclose(after[2][1], slopes[Cell("Model", 3, 2)], rel_tol=1e-12)


def test_refusals_name_the_cell(opened: ExcelBook) -> None:
    found = xlwings_functions.answer("SGD_GRAD", [cells(opened, "Z1"), cells(opened, "K1:K4")])
    assert found == "#SGD! Model!K1: a parameter cell holds a formula. Put a number there, or leave the cell out"
