"""`sgdsheet check`: values against saved ones, gradients against differences, what is not supported."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from openpyxl import load_workbook

from sgdsheet.hosts.file import load
from sgdsheet.problem.definition import sheets_with_problem
from tests.cli_books import NAMES, SHEET, Run, line_book, line_cells, predictions, run, write_book
from tests.shared_data import SOLVED, shared_data
from tests.training_books import write

EXAMPLES = sorted((Path(__file__).parent.parent / "workbooks").glob("*.xlsx"))
MODELS = [(path, sheet) for path in EXAMPLES for sheet in sheets_with_problem(load(path))]
GRADIENT_TOLERANCE = 1e-6


def check(path: Path, *arguments: str) -> dict[str, Any]:
    """The report of a check that passed."""
    found = run("check", path, *arguments, "--json")
    assert (found.status, found.err) == (0, "")
    assert found.json["passed"] is True
    return found.json


def failed(path: Path, *arguments: str) -> tuple[dict[str, Any], str]:
    """The report of a check that did not, and its line on stderr."""
    found = run("check", path, *arguments, "--json")
    assert found.status == 1
    assert found.json["passed"] is False
    (line,) = found.err.splitlines()
    return found.json, line.removeprefix("sgdsheet: ")


# --- workbooks that are right -------------------------------------------------------------------------------


@shared_data("workbooks")
@pytest.mark.parametrize("sheet", ["linear", "nnet", "mmult"])
def test_titanic_solved_by_excel(sheet: str) -> None:
    report = check(SOLVED, "--sheet", sheet)
    assert report["formulas"] == report["supported"] == report["compared"] > 1000
    assert report["mismatches"] == report["unsupported"] == []
    assert len(report["dead_parameters"]) == (0 if sheet == "linear" else 2)  # a column of 0 where a unit is open
    assert report["largest_difference"] < 1e-9
    assert report["loss_computed"] == pytest.approx(report["loss_saved"], rel=1e-12)
    assert report["gradient_max_error"] <= GRADIENT_TOLERANCE
    assert report["gradients_checked"] == (10 if sheet == "linear" else 20)


@pytest.mark.parametrize(("path", "sheet"), MODELS, ids=[f"{path.stem}-{sheet}" for path, sheet in MODELS])
def test_examples(path: Path, sheet: str) -> None:
    report = check(path, "--sheet", sheet, "--all")
    assert report["mismatches"] == report["unsupported"] == []
    assert report["compared"] == report["formulas"]
    assert report["gradient_max_error"] <= GRADIENT_TOLERANCE


def test_text(tmp_path: Path) -> None:
    found = run("check", line_book(tmp_path))
    assert (found.status, found.err) == (0, "")
    lines = found.out.splitlines()
    assert lines[:2] == [
        "Model!E4  computed 18.6745, saved 18.6745",
        "✓ 11 cells equal their saved values (largest difference 0.0e+00)",
    ]
    assert lines[2].startswith("✓ 2 gradients agree with central differences to ")


@pytest.mark.parametrize(
    ("formula", "saved"),
    [
        ('=IF(E4>0,"Steep","flat")', "steep"),  # Excel does not tell capitals apart
        ("=E4>1", True),
        ("=1/(E4-E4)", "#DIV/0!"),
        ("=E4*2", 37.349000000000004),
        ('=""&F8', ""),
    ],
)
def test_values_of_other_kinds(tmp_path: Path, formula: str, saved: Any) -> None:
    assert check(line_book(tmp_path, {"G9": (formula, saved)}), "--all")["formulas"] == 12


# --- workbooks that are not ---------------------------------------------------------------------------------


def test_wrong_saved_value(tmp_path: Path) -> None:
    report, line = failed(line_book(tmp_path, {"C4": ("=$E$1*A4+$E$2", 1.5)}))
    assert report["mismatches"] == [{"cell": "Model!C4", "saved": 1.5, "computed": 1.25}]
    assert (report["worst_cell"], report["largest_difference"]) == ("Model!C4", 0.25)
    assert line == (
        "Model!C4: saved as 1.5 but calculated as 1.25. Recalculate and save the workbook; "
        "if they still differ, this is a bug of sgdsheet's"
    )


def test_worst_of_several(tmp_path: Path) -> None:
    wrong = {"C2": ("=$E$1*A2+$E$2", 0.3), "C5": ("=$E$1*A5+$E$2", -8.0), "D3": ("=(C3-B3)^2", 4.7)}
    path = line_book(tmp_path, wrong)
    report, line = failed(path)
    assert [item["cell"] for item in report["mismatches"]] == ["Model!C5", "Model!D3", "Model!C2"]
    assert "Model!C5: saved as -8 but calculated as 1.75, and 2 more cells likewise. Recalc" in line
    text = run("check", path).out
    assert "✗ 3 of 11 cells differ from their saved values; the worst first:\n    Model!C5  saved -8" in text


@pytest.mark.parametrize(("formula", "saved"), [("=E4*2", "many"), ("=E4>1", False), ("=E4/0", 3.0), ("=E4*2", "#N/A")])
def test_value_of_another_kind(tmp_path: Path, formula: str, saved: Any) -> None:
    report, line = failed(line_book(tmp_path, {"G9": (formula, saved)}), "--all")
    assert report["worst_cell"] == "Model!G9"
    assert line.startswith("Model!G9: saved as ")


def test_off_the_path_with_all(tmp_path: Path) -> None:
    """A wrong value that the loss does not read is none of training's business."""
    path = line_book(tmp_path, {"G9": ("=SUM(A2:A6)", 11.0), "G10": ("=G9+E1", 11.5)})
    assert check(path)["formulas"] == 11
    report, line = failed(path, "--all")
    assert report["formulas"] == 13
    assert report["worst_cell"] == "Model!G9"
    assert line.startswith("Model!G9: saved as 11 but calculated as 10")


def without_values(path: Path) -> Path:
    load_workbook(path).save(path)  # openpyxl saves no values of formulas
    return path


def test_no_saved_values(tmp_path: Path) -> None:
    path = without_values(line_book(tmp_path))
    report = check(path)
    assert (report["compared"], report["loss_saved"], report["formulas"]) == (0, None, 11)
    assert report["loss_computed"] == pytest.approx(18.6745, rel=1e-12)
    assert report["gradient_max_error"] <= GRADIENT_TOLERANCE
    text = run("check", path).out
    assert "computed 18.6745, no saved value" in text
    assert "! the file has no saved values to compare with: open and save it in a spreadsheet" in text


def test_jump(tmp_path: Path) -> None:
    """Where the loss jumps the gradient is no help, and check says where."""
    path = without_values(line_book(tmp_path, {"E4": "=AVERAGE(D2:D6)+INT($E$2*1E9)"}))
    report, line = failed(path)
    assert report["gradient_max_error"] > 1
    assert report["gradient_worst_cell"] == "Model!E2"
    assert line.startswith("Model!E2: the gradient differs from central differences by ")
    assert "✗ the gradient differs from central differences by " in run("check", path).out


# --- kinks and flat places ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "formula",
    [
        "=MAX(0,E1)",
        "=MIN(E1,0)",
        "=ABS(E1)",
        "=IF(E1>0,E1,0)",
        "=IF(E1>=0,E1,0.1*E1)",
        "=MAX(E1,-E1)",
        "=E1*ABS(E1)",
    ],
)
def test_exactly_on_a_kink(tmp_path: Path, formula: str) -> None:
    """Any slope between those to the left and to the right is right."""
    cells = {"E1": 0.0, "E2": 1.0, "E4": f"{formula}+E2^2"}
    report = check(without_values(write_book(tmp_path / "kink.xlsx", cells, NAMES)))
    assert report["gradient_max_error"] <= GRADIENT_TOLERANCE


def test_dead_parameters(tmp_path: Path) -> None:
    """A ReLU that is shut: nothing it reads has a slope."""
    path = without_values(line_book(tmp_path, {**predictions("=MAX(0,$E$1*A#+$E$2)"), "E1": -1.0, "E2": -0.5}))
    report = check(path)
    assert report["dead_parameters"] == ["Model!E1", "Model!E2"]
    assert report["findings"]
    assert {"kind", "severity", "cells", "message"} <= report["findings"][0].keys()
    assert f"! {report['findings'][0]['message']}" in run("check", path).out


# --- what is not supported ----------------------------------------------------------------------------------

UNSUPPORTED = {
    "C3": "=BESSELQ($E$1,1)+BESSELR(E2,1)",
    "D4": "=FOO(C4)-B4",
    "D5": "=(C5-B5)^2+E2&E1",
    "E4": "=SKEWX(D2:D6)",
}


def test_all_unsupported_formulas_on_the_path(tmp_path: Path) -> None:
    path = line_book(tmp_path, UNSUPPORTED)
    report, line = failed(path)
    found = [(item["cell"], item["function"]) for item in report["unsupported"]]
    assert sorted(found) == [
        ("Model!C3", "BESSELQ"),
        ("Model!C3", "BESSELR"),
        ("Model!D4", "FOO"),
        ("Model!D5", ""),
        ("Model!E4", "SKEWX"),
    ]
    assert report["loss_computed"] is report["gradient_max_error"] is None
    assert report["formulas"] == 11
    assert report["supported"] == 6  # not D3, which reads C3, but D2 in the same block
    functions = {item["function"]: item["message"] for item in report["unsupported"]}
    assert functions["FOO"].startswith("Model!D4: FOO is not supported on the way from the parameters to the loss. ")
    assert "joins text" in functions[""]
    assert line in functions.values()
    text = run("check", path)
    assert text.status == 1
    assert text.out.startswith("Model!E4  cannot be calculated, saved 0\n✗ Model!")
    assert all(f"✗ {message}" in text.out for message in functions.values())


def test_unsupported_column(tmp_path: Path) -> None:
    """A formula that was filled down is told once."""
    path = line_book(tmp_path, predictions("=BESSELQ($E$1,A#)+$E$2"))
    report, _ = failed(path)
    ((cell, area),) = [(item["cell"], item["range"]) for item in report["unsupported"]]
    assert (cell, area) == ("Model!C2", "Model!C2:C6")
    assert "in its own cell (and 4 cells like it)" in run("check", path).out


def test_unsupported_off_the_path(tmp_path: Path) -> None:
    path = line_book(tmp_path, {"G9": ("=BESSELQ(E1,1)", 0.2), "G10": ("=G9*2", 0.4)})
    assert check(path)["unsupported"] == []
    report = check(path, "--all")
    assert [(item["cell"], item["function"]) for item in report["unsupported"]] == [("Model!G9", "BESSELQ")]
    assert (report["formulas"], report["supported"]) == (13, 11)
    text = run("check", path, "--all").out
    assert "! Model!G9: BESSELQ is not supported. The cell keeps its saved value until a spreadsheet" in text


def test_circle_is_a_message_only(tmp_path: Path) -> None:
    found = run("check", line_book(tmp_path, {"C3": "=D3+E1+E2"}), "--json")
    assert found == Run(
        1,
        "",
        "sgdsheet: Model!C3: the formulas in C3, D3 depend on each other in a circle. "
        "Let one of them read other cells\n",
    )


def test_no_finite_loss(tmp_path: Path) -> None:
    cells = {**line_cells(slope=0.0), **predictions("=LN($E$1)*A#+$E$2")}
    report, line = failed(without_values(write_book(tmp_path / "log.xlsx", cells, NAMES)))
    assert report["loss_computed"] is report["gradient_max_error"] is None
    assert line == (
        "Model!C2: the formula =LN($E$1)*A2+$E$2 does not give a finite number, but #NUM!. "
        "Check the values that it reads"
    )


def test_sheet_is_chosen_without_regard_to_case(tmp_path: Path) -> None:
    assert check(line_book(tmp_path), "--sheet", SHEET.upper())["sheet"] == SHEET


def test_a_perfect_fit(tmp_path: Path) -> None:
    """Loss and slopes are 0: what is left of the differences is rounding, not a mistake."""
    cells = {
        "A2:B9": [[x, 3 * x + 2] for x in range(8)],
        "C2:C9": "=($F$2*A{r}+$G$2-B{r})^2",
        "F2:G2": [[3, 2]],
        "H2": "=AVERAGE(C2:C9)",
    }
    book = write(tmp_path / "line.xlsx", cells, {"sgd_loss": "H2", "sgd_params": "F2:G2"})
    done = run("check", book, "--json")
    assert done.status == 0
    assert done.json["loss_computed"] == 0
    assert done.json["gradient_max_error"] < 1e-9


# --- any workbook: --all takes no model -----------------------------------------------------------------------


def test_a_workbook_without_a_model(tmp_path: Path) -> None:
    """All formulas are compared; a circle and an unknown function refuse their own cells only."""
    cells = {
        "A1": 1, "A2": 2, "B1": ("=A1*2", 2), "B2": ("=A2*2", 4), "C1": ("=SUM(B1:B2)", 6),
        "D1": ("=E1+1", 3), "E1": ("=D1/2", 2), "F1": ("=D1*10", 30),
        "G1": ("=BESSELQ(A1,1)", 0.44), "H1": ("=G1*2", 0.88), "I1": ("=1/0", "#DIV/0!"),
    }  # fmt: skip
    path = write_book(tmp_path / "any.xlsx", cells, {}, more={"Other": {"A1": ("=Model!C1+1", 7)}})
    report = check(path, "--all")
    assert report["sheet"] is report["loss_cell"] is report["loss_saved"] is None
    assert (report["formulas"], report["supported"], report["compared"]) == (10, 7, 7)
    circle, bessel = sorted(report["unsupported"], key=lambda item: item["function"])
    assert "the formulas in D1, E1 depend on each other in a circle" in circle["message"]
    assert (bessel["cell"], bessel["function"]) == ("Model!G1", "BESSELQ")
    only = check(path, "--all", "--sheet", "other")
    assert (only["formulas"], only["supported"]) == (1, 1)
    text = run("check", path, "--all").out
    assert "7 of 10 formula cells calculated; there is no model to train" in text
    assert "BESSELQ" in text


def test_a_wrong_value_without_a_model(tmp_path: Path) -> None:
    cells = {"A1": 1, "B1": ("=A1*2", 5), "C1": ("=1/0", "#N/A"), "D1": ('=IF(A1,"yes",1)', "yes")}
    report, line = failed(write_book(tmp_path / "wrong.xlsx", cells, {}), "--all")
    assert [item["cell"] for item in report["mismatches"]] == ["Model!C1", "Model!B1"]
    assert "saved as #N/A but calculated as #DIV/0!" in line


def test_without_a_model_all_is_meant(tmp_path: Path) -> None:
    path = write_book(tmp_path / "any.xlsx", {"A1": 1, "B1": ("=A1*2", 2)}, {})
    found, everything = run("check", path), run("check", path, "--all")
    assert (found.status, found.err, found.out) == (0, "", everything.out)
    assert "1 of 1 formula cell calculated" in found.out
    found = run("check", path, "--all", "--sheet", "nowhere")
    assert found.status == 1
    assert "no worksheet “nowhere”" in found.err
