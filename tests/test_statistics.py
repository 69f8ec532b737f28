"""Statistics of ranges: blanks and texts in them, copies of a formula, export, regressions beside NumPy's."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import xlsxwriter

import sgdsheet
from sgdsheet.compiler.torch_source import save_export
from sgdsheet.errors import FormulaError
from sgdsheet.sheet.workbook import ExcelError
from tests.errors import refusal
from tests.sheets import check, compiled, value, values

CELLS: dict[str, Any] = {
    "A1:A8": [4, None, 2.5, "text", 7, True, -1, 3],
    "B1:B8": [1, 9, 2, 3, "x", 5, 6.5, 4],
    "C1:C8": [0.3, 1.1, 2.7, 3.1, 4.9, 5.2, 6.6, 7.4],
    "D1:D8": [2.1, 0.4, 3.3, 1.9, 5.5, 4.1, 7.2, 6.0],
}


@pytest.mark.parametrize(
    ("formula", "expected"),
    [
        ("=MEDIAN(A1:A8)", 3),
        ("=LARGE(A1:A8,2)", 4),
        ("=SMALL(A1:A8,1)", -1),
        ("=COUNT(A1:A8)", 5),
        ("=CORREL(A1:A8,B1:B8)", np.corrcoef([4, 2.5, -1, 3], [1, 2, 6.5, 4])[0, 1]),
        ("=SLOPE(A1:A8,B1:B8)", np.polyfit([1, 2, 6.5, 4], [4, 2.5, -1, 3], 1)[0]),
        ("=AVERAGEA(A1:A8)", (4 + 2.5 + 0 + 7 + 1 - 1 + 3) / 7),
        ("=PERCENTILE(A1:A8,0.5)", 3),
        ("=SUM(LARGE(A1:A8,{1,2,3}))", 14),
        ("=RANK(7,A1:A8)", 1),
        ("=MEDIAN(A4)", ExcelError.NUM),
        ("=QUARTILE(A1:A8,5)", ExcelError.NUM),
        ("=STEYX(A1:A2,B1:B2)", ExcelError.DIV0),
        ("=CORREL(A1:A8,B1:B7)", ExcelError.NA),
        ("=LINEST(A1:A8,C1:C8)", ExcelError.VALUE),
    ],
)
def test_blanks_and_texts_do_not_count(formula: str, expected: float | ExcelError) -> None:
    found = value(formula, CELLS)
    assert found == (pytest.approx(expected, rel=1e-12) if isinstance(expected, float) else expected)


def test_copies_of_a_formula_have_their_own_numbers() -> None:
    """Each window has other cells that count."""
    found = values({**CELLS, "E3:E8": "=MEDIAN(A1:A3)"}, "E3:E8")
    assert found == [3.25, 2.5, 4.75, 7, 3, 1]


def test_an_error_in_the_range_is_the_result() -> None:
    assert value("=MEDIAN(A1:A3)", {"A1": 1, "A2": "=NA()", "A3": "=1/0"}) is ExcelError.NA
    assert value("=LARGE(A1:A2,1/0)", {"A1:A2": [1, 2]}) is ExcelError.DIV0


@pytest.mark.parametrize("call", ["LINEST(D1:D8,C1:C8)", "LINEST(D1:D8,C1:C8,TRUE,TRUE)", "TREND(D1:D8,C1:C8,C1:C8)"])
def test_a_regression_has_a_gradient(call: str) -> None:
    check({**CELLS, "Z1": f"=SUMPRODUCT(({call})^2)"}, "C1:D8", None)


def test_a_regression_of_several_columns_is_that_of_numpy() -> None:
    generator = np.random.default_rng(0)
    xs, ys = generator.normal(size=(12, 3)), generator.normal(size=12)
    cells = {"A1:C12": xs.tolist(), "D1:D12": ys.tolist(), "F1:I5": "{=LINEST(D1:D12,A1:C12,TRUE,TRUE)}"}
    table = np.array([item if isinstance(item, float) else np.nan for item in values(cells, "F1:I5")]).reshape(5, 4)
    design = np.column_stack([xs[:, ::-1], np.ones(12)])
    found, rest, _, _ = np.linalg.lstsq(design, ys, rcond=None)
    variance = rest[0] / 8
    errors = np.sqrt(np.diag(np.linalg.inv(design.T @ design)) * variance)
    total = ((ys - ys.mean()) ** 2).sum()
    np.testing.assert_allclose(table[0], found, rtol=1e-10)
    np.testing.assert_allclose(table[1], errors, rtol=1e-10)
    np.testing.assert_allclose(table[2, :2], [1 - rest[0] / total, variance**0.5], rtol=1e-10)
    np.testing.assert_allclose(table[3, :2], [(total - rest[0]) / 3 / variance, 8], rtol=1e-10)
    np.testing.assert_allclose(table[4, :2], [total - rest[0], rest[0]], rtol=1e-10)
    assert np.isnan(table[2:, 2:]).all()


COLLINEAR: dict[str, Any] = {
    "A1:A5": [3.1, 4.9, 7.2, 8.8, 11.1], "B1:B5": [1, 2, 3, 4, 5], "C1:C5": [2, 4, 6, 8, 10], "D1:D5": [7, 7, 7, 7, 7],
    "E1:E5": [4, 1, 0, 2, 2], "G1:I2": [[6, 12, 7], [6, 11, 7]],
}  # fmt: skip


@pytest.mark.parametrize("call", ["LINEST(A1:A5,B1:C5)", "LOGEST(A1:A5,B1:C5,,TRUE)", "LINEST(A1:A5,B1:D5)"])
def test_coefficients_of_regressors_that_depend_on_each_other_are_refused(call: str) -> None:
    """Which of them Excel leaves out is not documented."""
    with refusal(FormulaError, cell="Sheet1!Z1", cause="regressors that depend on each other"):
        value(f"=INDEX({call},1)", COLLINEAR)


def test_a_regressor_without_spread_has_the_coefficient_0() -> None:
    """As Excel's documentation of LINEST says: 0 for it and its error, and as many degrees of freedom more."""
    table = values({**COLLINEAR, "K1:M5": "{=LINEST(A1:A5,D1:E5,TRUE,TRUE)}"}, "K1:M5")
    alone = values({**COLLINEAR, "K1:L5": "{=LINEST(A1:A5,E1:E5,TRUE,TRUE)}"}, "K1:L5")
    for row in range(5):
        line, short = table[3 * row : 3 * row + 3], alone[2 * row : 2 * row + 2]
        if row < 2:
            assert line == [pytest.approx(short[0], rel=1e-12), 0.0, pytest.approx(short[1], rel=1e-12)]
        else:
            assert line[:2] == pytest.approx(short, rel=1e-12)
            assert line[2] is ExcelError.NA
    assert values({**COLLINEAR, "K1:L1": "{=LINEST(A1:A5,D1:D5)}"}, "K1:L1") == [0.0, pytest.approx(7.02)]
    assert value("=INDEX(LINEST({1;2;5},{0;0;0},FALSE),1)", {}) == 0.0


def test_predictions_by_regressors_that_depend_on_each_other() -> None:
    """A line is one line, however it is divided among B, C = 2B and the constant D: at 6 it is 1.05 + 1.99 6."""
    found = values({**COLLINEAR, "K1:K5": "{=TREND(A1:A5,B1:D5)}"}, "K1:K5")
    assert found == pytest.approx([1.05 + 1.99 * x for x in range(1, 6)], rel=1e-12)
    assert value("=TREND(A1:A5,B1:D5,G1:I1)", COLLINEAR) == pytest.approx(1.05 + 1.99 * 6, rel=1e-12)
    assert value("=GROWTH({2;4;8},{1,2;2,4;3,6},{4,8})", {}) == pytest.approx(16, rel=1e-12)
    with refusal(FormulaError, cell="Sheet1!Z1", cause="at places where these do not"):
        value("=TREND(A1:A5,B1:D5,G2:I2)", COLLINEAR)


def test_regressors_that_parameters_make_depend_on_each_other() -> None:
    cells = {**COLLINEAR, "F1:F5": "=B1*$G$1", "Z1": "=INDEX(LINEST(A1:A5,CHOOSE({1,2},B1:B5,F1:F5)),1)"}
    assert values(cells, "Z1", params=["G1"]) == [ExcelError.NUM]


def test_the_exported_program_needs_torch_alone(tmp_path: Path) -> None:
    loss = "=MEDIAN(A1:A3)+NORM.INV(0.3,A1,2)+T.DIST(A2,5,TRUE)+INDEX(LINEST(A1:A3,B1:B3),1)"
    model = compiled({"A1:A3": [0.5, 0.7, 0.2], "B1:B3": [1, 2, 4], "Z1": loss}, "A1:A3")
    save_export(model, tmp_path / "model.py")
    source = (tmp_path / "model.py").read_text(encoding="utf-8")
    assert "torch._C" not in source
    names: dict[str, Any] = {"__name__": "exported"}
    exec(compile(source, "model.py", "exec"), names)  # our own program
    assert float(names["SheetModel"]()().detach()) == pytest.approx(float(model().detach()), rel=1e-12)


def test_hidden_rows_are_read_from_the_file(tmp_path: Path) -> None:
    written = xlsxwriter.Workbook(str(tmp_path / "hidden.xlsx"))
    page = written.add_worksheet()
    for row in range(4):
        page.write(row, 0, row)
    page.set_row(2, None, None, {"hidden": True})
    written.close()
    (read,) = sgdsheet.load(tmp_path / "hidden.xlsx").sheets.values()
    assert read.hidden_rows == {3}
