"""Curvature and findings, on sheets where the answer is known."""

from __future__ import annotations

import json
import math
import time
from pathlib import Path

import numpy as np
import pytest
import torch

import sgdsheet
from sgdsheet.analysis.diagnosis import Finding, diagnose, explain_rise
from sgdsheet.analysis.diagnosis.curvature import (
    Hessian,
    largest_eigenvalue,
    lowest_eigenvalue,
    spectrum,
    stable_rate,
    stable_rate_ahead,
)
from sgdsheet.analysis.diagnosis.findings import rounded_down, short
from sgdsheet.apps.cli import main
from sgdsheet.compiler.model import SheetModel
from sgdsheet.sheet.references import Cell
from sgdsheet.sheet.workbook import DefinedName, Formula, Workbook
from tests.shared_data import GOLDEN, SOLVED, shared_data
from tests.sheets import HOME, compiled

ROOT = Path(__file__).parent.parent

X = [[1.0], [2.0], [-3.0]]
PREACTIVATION = "($A$1*C1+$A$2)"


def unit(formula: str, *, constant: float) -> SheetModel:
    """One unit `formula` of three rows, an output weight A3 and an output constant A4."""
    cells = {
        "A1:A4": [[1.0], [constant], [2.0], [1.0]],
        "C1": X,
        "D1:D3": formula,
        "E1:E3": "=($A$3*D1+$A$4-C1)^2",
        "Z1": "=AVERAGE(E1:E3)",
    }
    return compiled(cells, "A1:A4")


def kinds(findings: list[Finding]) -> list[str]:
    return [found.kind for found in findings]


def only(findings: list[Finding], kind: str) -> Finding:
    (found,) = [found for found in findings if found.kind == kind]
    return found


def set_parameters(model: SheetModel, numbers: object) -> None:
    (_, tensor), *rest = model.ranges()
    assert not rest
    with torch.no_grad():
        tensor.copy_(torch.as_tensor(numbers, dtype=tensor.dtype).reshape(tensor.shape))


# --- curvature --------------------------------------------------------------------------------------------


def quadratic(sheet: str) -> SheetModel:
    """The roller coaster with the numbers of the well-known notebook."""
    golden = json.loads((GOLDEN / "fastbook_quad.json").read_text(encoding="utf-8"))
    workbook = sgdsheet.load(ROOT / "workbooks" / "quadratic.xlsx")
    for row, speed in enumerate(golden["speed"], 8):
        workbook.sheets["raw"].values[row, 2] = speed
        workbook.sheets["centred"].values[row, 3] = speed
    for column, start in enumerate(golden["init"], 6):
        workbook.sheets["raw"].values[6, column] = start
    return sgdsheet.compile(workbook, sheet, trust_formulas=True)  # nobody has calculated since


@shared_data("golden", "workbooks")
def test_the_stuck_quadratic() -> None:
    model = quadratic("raw")
    assert float(model().detach()) == pytest.approx(25823.81, abs=0.01)
    found = spectrum(model)
    assert found.condition == pytest.approx(2.2e5, rel=0.01)
    assert found.steps(1e-5) == pytest.approx(387_000, rel=0.002)
    assert found.steps() == pytest.approx(found.condition / 2)
    assert found.stable_rate == pytest.approx(3.54e-5, rel=0.001)
    assert (str(found.steepest_cell), str(found.flattest_cell)) == ("raw!F6", "raw!H6")
    assert found.diagonal_ratio == pytest.approx(28_133.3)
    assert float(model().detach()) - found.potential == pytest.approx(7.305, abs=0.001)


@shared_data("golden", "workbooks")
def test_the_centred_quadratic() -> None:
    found = spectrum(quadratic("centred"))
    assert found.condition == pytest.approx(12.27, rel=0.001)
    assert found.stable_rate == pytest.approx(0.87, rel=0.001)
    assert not diagnose(quadratic("centred"))


def titanic_linear(*, raw: bool) -> SheetModel:
    workbook = sgdsheet.load(SOLVED)
    if raw:
        sheet = workbook.sheets["linear"]
        for row in range(4, 716):
            for column, name in ((9, "Age"), (10, "Fare")):
                sheet.formulas[row, column] = Formula(f"Table13[[#This Row],[{name}]]", row, column)
                del sheet.values[row, column]
    return sgdsheet.compile(workbook, "linear")


@shared_data("golden", "workbooks")
@pytest.mark.parametrize(("raw", "condition", "rate"), [(False, 484, 0.209), (True, 364_301, 0.000229)])
def test_titanic_scales(raw: bool, condition: float, rate: float) -> None:
    found = spectrum(titanic_linear(raw=raw))
    assert round(found.condition) == condition
    assert found.stable_rate == pytest.approx(rate, rel=0.003)


@shared_data("golden", "workbooks")
def test_titanic_raw_columns_are_named() -> None:
    model = titanic_linear(raw=True)
    found = only(diagnose(model), "feature scale")
    assert found.severity == "warning"
    assert found.cells == ("linear!T4:U4", "linear!I4:I715", "linear!J4:J715")
    assert "364,301" in found.message
    assert "0.000229" in found.message
    assert "linear!I4:I715 and J4:J715" in found.message
    assert "feature scale" not in kinds(diagnose(titanic_linear(raw=False)))


@pytest.mark.parametrize(("x", "curvature"), [(3.0, 72.0), (2.0, 12.0), (1.0, -24.0)])
def test_curvature_of_one_parameter(x: float, curvature: float) -> None:
    model = compiled({"A1": x, "Z1": "=(A1^2-9)^2"}, "A1")
    assert largest_eigenvalue(model) == pytest.approx(curvature)
    assert spectrum(model).eigenvalues.tolist() == pytest.approx([curvature])
    assert stable_rate(model) == pytest.approx(2 / curvature if curvature > 0 else math.inf)
    assert stable_rate_ahead(model) == pytest.approx(2 / 72, rel=1e-6)
    assert model.parameter_cells() == {Cell(HOME, 1, 1): x}


def test_lanczos_agrees_with_the_whole_matrix() -> None:
    rng = np.random.default_rng(1)
    data = rng.standard_normal((80, 60)).tolist()
    cells = {"A1": data, "A100": rng.standard_normal((60, 1)).tolist(), "CA1": "=SUM(BZ1:BZ80)"}
    model = compiled({**cells, "BZ1:BZ80": "=TANH(SUM(MMULT(A1:BH1,$A$100:$A$159)))^2"}, "A100:A159", "CA1")
    found = spectrum(model)
    assert largest_eigenvalue(model) == pytest.approx(found.largest, rel=1e-5)
    assert lowest_eigenvalue(model, tolerance=1e-8) == pytest.approx(found.lowest, rel=1e-5)
    vector = rng.standard_normal(60)
    hessian = Hessian(model)
    assert hessian.product(vector) == pytest.approx(hessian.matrix() @ vector)


def test_a_plane_has_no_curvature() -> None:
    model = compiled({"A1": 2.0, "A2": 3.0, "Z1": "=ABS(A1)+2*A2"}, "A1:A2")
    assert largest_eigenvalue(model) == 0
    assert stable_rate(model) == math.inf
    assert spectrum(model).eigenvalues.tolist() == [0, 0]
    assert not diagnose(model)


# --- dead units -------------------------------------------------------------------------------------------


RELUS = (
    f"=MAX(0,{PREACTIVATION})",
    f"=MAX({PREACTIVATION},0)",
    f"=IF({PREACTIVATION}<0,0,{PREACTIVATION})",
    f"=IF({PREACTIVATION}>0,{PREACTIVATION},0)",
    f"=IF(0>{PREACTIVATION},0,{PREACTIVATION})",
    f"={PREACTIVATION}*({PREACTIVATION}>0)",
    f"=MIN(6,MAX(0,{PREACTIVATION}))",
)
LEAKY = (
    f"=MAX(0.01*{PREACTIVATION},{PREACTIVATION})",
    f"=IF({PREACTIVATION}<0,0.01*{PREACTIVATION},{PREACTIVATION})",
)


@pytest.mark.parametrize("formula", RELUS)
def test_dead_unit(formula: str) -> None:
    model = unit(formula, constant=-10.0)
    assert [slope for slope in model.gradients().values() if slope == 0] == [0, 0, 0]
    (found,) = diagnose(model)
    assert (found.kind, found.severity) == ("dead unit", "warning")
    assert found.cells == ("Sheet1!D1:D3", "Sheet1!A1:A2", "Sheet1!A3")
    assert "0 in all 3 rows" in found.message
    assert not diagnose(unit(formula, constant=0.5))


@pytest.mark.parametrize("formula", LEAKY)
def test_leaky_units_never_die(formula: str) -> None:
    assert "dead unit" not in kinds(diagnose(unit(formula, constant=-10.0)))


def test_one_formula_dies_in_training() -> None:
    """y = c·relu(a·x+b)+d, all 1: one step of the learner's size, and it never updates again."""
    cells = {
        "A1:A4": [[1.0]] * 4,
        "C1": [[1.0], [2.0], [3.0]],
        "D1:D3": "=-4000*C1",
        "E1:E3": "=($A$3*MAX(0,$A$1*C1+$A$2)+$A$4-D1)^2",
        "Z1": "=AVERAGE(E1:E3)",
    }
    model = compiled(cells, "A1:A4")
    assert "dead unit" not in kinds(diagnose(model))
    optimizer = torch.optim.SGD(model.parameters(), lr=1e-4)
    model().backward()
    optimizer.step()
    found = only(diagnose(model), "dead unit")
    assert found.cells == ("Sheet1!E1:E3", "Sheet1!A1:A2", "Sheet1!A3")
    assert [slope == 0 for slope in model.gradients().values()] == [True, True, True, False]


@shared_data("golden", "workbooks")
@pytest.mark.parametrize(
    ("dead", "loss", "cells"),
    [
        (1, 0.35285, ("nnet!AE4:AE715", "nnet!R4:AA4")),
        (2, 0.404494, ("nnet!AE4:AF715", "nnet!R4:AA5")),
    ],
)
def test_titanic_dead_units(dead: int, loss: float, cells: tuple[str, ...]) -> None:
    model = sgdsheet.compile(sgdsheet.load(SOLVED), "nnet")
    start = np.load(GOLDEN / "titanic_xl.npz")["nnet_init"]
    start[:dead, -1] = -10
    set_parameters(model, start)
    assert float(model().detach()) == pytest.approx(loss, abs=5e-6)
    found = only(diagnose(model), "dead unit")
    assert found.cells == cells
    assert "all 712 rows" in found.message


def test_units_in_rows_and_in_a_second_layer() -> None:
    """Samples lie across, units down; the second layer reads the first."""
    cells = {
        "B1": [[0.5, 1.0, 1.5, 2.0]],  # the samples
        "G2": [[1.0, 0.1], [1.0, -9.0], [0.5, 0.2]],  # weight and constant of each unit
        "B2:E4": "=MAX(0,$G2*B$1+$H2)",
        "G6": [[0.3, 0.3, 0.3], [-0.3, -0.3, -0.3]],
        "B6:E7": "=MAX(0,SUMPRODUCT(TRANSPOSE($G6:$I6),B$2:B$4))",
        "B8:E8": "=(B6+B7-B1)^2",
        "Z1": "=AVERAGE(B8:E8)",
    }
    found = [item for item in diagnose(compiled(cells, "G2:H4,G6:I7")) if item.kind == "dead unit"]
    assert [item.cells[:2] for item in found] == [
        ("Sheet1!B3:E3", "Sheet1!G3:H3"),
        ("Sheet1!B7:E7", "Sheet1!G7:I7"),
    ]


def test_partly_dead_unit_is_a_note() -> None:
    cells = {
        "A1:A3": [[1.0], [-98.5], [1.0]],
        "C1": [[float(number)] for number in range(1, 101)],
        "D1:D100": "=MAX(0,$A$1*C1+$A$2)+$A$3",
        "E1:E100": "=(D1-2)^2",
        "Z1": "=AVERAGE(E1:E100)",
    }
    found = only(diagnose(compiled(cells, "A1:A3")), "partly dead unit")
    assert found.severity == "note"
    assert "98.0% of the 100 rows" in found.message


def test_hinge_is_no_unit() -> None:
    cells = {"A1": 5.0, "C1": [[1.0], [2.0]], "D1:D2": "=MAX(0,1-$A$1*C1)", "Z1": "=AVERAGE(D1:D2)+A1^2"}
    assert not diagnose(compiled(cells, "A1"))


# --- saturated units --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "formula",
    [
        f"=TANH({PREACTIVATION})",
        f"=1/(1+EXP(-{PREACTIVATION}))",
        f"=1/(EXP(-{PREACTIVATION})+1)",
        f"=EXP({PREACTIVATION})/(1+EXP({PREACTIVATION}))",
        f"=(1+EXP(-{PREACTIVATION}))^-1",
        f"=1-1/(1+EXP({PREACTIVATION}))",
    ],
)
def test_saturated_unit(formula: str) -> None:
    found = only(diagnose(unit(formula, constant=-30.0)), "saturated unit")
    assert found.cells == ("Sheet1!D1:D3",)
    assert "saturated unit" not in kinds(diagnose(unit(formula, constant=0.1)))


def test_probabilities_in_a_logarithm_are_not_saturated() -> None:
    cells = {
        "A1:A2": [[1.0], [-30.0]],
        "C1": X,
        "D1:D3": f"=1/(1+EXP(-{PREACTIVATION}))",
        "Z1": "=-SUM(E1:E3)",
        "E1:E3": "=LN(D1)",
    }
    assert "saturated unit" not in kinds(diagnose(compiled(cells, "A1:A2")))


# --- slopes -----------------------------------------------------------------------------------------------


def test_a_column_of_zeros() -> None:
    cells = {
        "A1": [["size", "empty"]],
        "A2": [[1.0, 0.0], [2.0, 0.0]],
        "D1": [[0.1, 0.2]],
        "E2:E3": "=SUMPRODUCT(A2:B2,$D$1:$E$1)-3",
        "Z1": "=SUMSQ(E2:E3)",
    }
    found = only(diagnose(compiled(cells, "D1:E1")), "zero gradient")
    assert found.cells == ("Sheet1!E1",)
    assert "“empty” (Sheet1!B2:B3)" in found.message


def test_all_zeros_hold_each_other() -> None:
    cells = {"A1:A3": [[0.0], [0.0], [1.0]], "C1": X, "D1:D3": "=$A$1*TANH($A$2*C1)+$A$3-C1"}
    found = only(diagnose(compiled({**cells, "Z1": "=SUMSQ(D1:D3)"}, "A1:A3")), "zero gradient")
    assert found.cells == ("Sheet1!A1:A2",)
    assert "random" in found.message


@pytest.mark.parametrize(("x", "severity", "word"), [(3.0, "note", "minimum"), (0.0, "warning", "hilltop")])
def test_all_slopes_are_zero(x: float, severity: str, word: str) -> None:
    (found,) = diagnose(compiled({"A1": x, "Z1": "=(A1^2-9)^2"}, "A1"))
    assert (found.kind, found.severity) == ("zero gradient", severity)
    assert word in found.message


def test_parameters_whose_squares_overflow() -> None:
    """Their length is a number, and no warning of numpy's reaches a person."""
    diagnose(compiled({"A1": 1e300, "A2": -2e300, "Z1": "=A1/1E300+A2/1E300"}, "A1:A2"))


def test_exploding_gradient() -> None:
    found = only(diagnose(compiled({"A1": 1000.0, "Z1": "=(A1^2-9)^2"}, "A1")), "exploding gradient")
    assert found.severity == "warning"
    assert found.cells == ("Sheet1!A1",)


def test_loss_that_is_no_number() -> None:
    (found,) = diagnose(compiled({"A1": -1.0, "Z1": "=LN(A1)"}, "A1"))
    assert found.kind == "not finite"


def test_saddle() -> None:
    cells = {"A1:A2": [[1e-9], [0.0]], "Z1": "=1000+A2^2-A1^2+A1^4"}
    found = only(diagnose(compiled(cells, "A1:A2")), "plateau")
    assert "saddle" in found.message


@shared_data("golden", "workbooks")
def test_stalled_run() -> None:
    model = quadratic("raw")
    session = sgdsheet.Session(model, optimizer="sgd", lr=1e-5, steps=60)
    history = [step.loss for step in session]
    assert history[:3] == pytest.approx([25823.81, 5435.54, 1577.45], abs=0.01)
    found = only(diagnose(model, history=history), "plateau")
    assert "669 is left" in found.message
    assert "plateau" not in kinds(diagnose(model, history=history[:10]))


def test_nearly_equal_columns() -> None:
    rng = np.random.default_rng(0)
    column = rng.standard_normal(50)
    twin = column + 1e-4 * rng.standard_normal(50)
    cells = {
        "A1": np.stack([column, twin, rng.standard_normal(50)], axis=1).tolist(),
        "E1:G1": [[0.1, 0.2, 0.3]],
        "H1:H50": "=SUMPRODUCT(A1:C1,$E$1:$G$1)-1",
        "Z1": "=SUMSQ(H1:H50)",
    }
    found = only(diagnose(compiled(cells, "E1:G1")), "nearly equal features")
    assert found.cells == ("Sheet1!E1:F1",)


def test_scale_of_many_columns() -> None:
    rng = np.random.default_rng(0)
    data = rng.standard_normal((20, 250))
    data[:, 7] *= 1e5
    cells = {
        "A1": data.tolist(),
        "A30": [rng.standard_normal(250).tolist()],
        "IZ1:IZ20": "=SUMPRODUCT(A1:IP1,$A$30:$IP$30)",
        "JA1": "=SUMSQ(IZ1:IZ20)",
    }
    found = only(diagnose(compiled(cells, "A30:IP30", "JA1")), "feature scale")
    assert found.cells[0] == "Sheet1!H1:H20"


@shared_data("golden", "workbooks")
def test_solved_sheets_have_no_warnings_and_it_is_fast() -> None:
    workbook = sgdsheet.load(SOLVED)
    for sheet in ("linear", "nnet", "mmult"):
        model = sgdsheet.compile(workbook, sheet)
        before = model.parameter_cells()
        started = time.process_time()
        found = diagnose(model)
        assert time.process_time() - started < 10
        assert not [item for item in found if item.severity == "warning"]
        assert model.parameter_cells() == before
        assert all(tensor.grad is None for tensor in model.parameters())


# --- a rising loss ----------------------------------------------------------------------------------------


def test_learning_rate_too_high() -> None:
    model = compiled({"A1": 2.0, "Z1": "=(A1^2-9)^2"}, "A1")
    losses = [step.loss for step in sgdsheet.Session(model, optimizer="sgd", lr=0.1, steps=3)]
    assert losses[:2] == pytest.approx([25, 729])
    expected = (
        "The learning rate 0.1 is too high: the loss rose from 25 to 729 in 1 step."
        " Plain gradient descent is stable here below 0.0278; try 0.01."
    )
    assert str(explain_rise(losses[:2], 0.1, model)) == expected
    assert explain_rise(losses[:1], 0.1, model) is None
    set_parameters(model, 81048.0)  # in the middle of a run nothing has been put back yet
    assert str(explain_rise(losses, 0.1, model)) == expected
    assert model.parameter_cells() == {Cell(HOME, 1, 1): 81048.0}
    adam = explain_rise(losses, 0.1, model, optimizer="adam")
    assert adam is not None
    assert adam.message.endswith("Try 0.01.")
    absurd = explain_rise(losses, 1e6, model, optimizer="adam")
    assert absurd is not None
    assert absurd.message.endswith("Try 0.01.")  # its default, not a tenth


def test_rise_after_a_descent_and_no_number() -> None:
    model = compiled({"A1": 2.0, "Z1": "=(A1^2-9)^2"}, "A1")
    found = explain_rise([10, 5, 3, 2, 4, 8, 16, 32], 0.02, model)
    assert found is not None
    assert "rose from 2 to 16 in 3 steps" in found.message
    found = explain_rise([10, 5, math.nan], 0.5, model)
    assert found is not None
    assert "no finite number" in found.message


def noisy() -> list[float]:
    rng = np.random.default_rng(0)
    return [float(value) for value in (3 * 0.97 ** np.arange(200) + 0.2) * rng.uniform(0.6, 1.4, 200)]


@pytest.mark.parametrize(
    "losses",
    [
        [64.00, 52.67, 24.08, 0.57, 64.82, 30.03, 3.97, 37.33, 58.30, 64.21],  # gradients not zeroed
        [25, 10, 4, 1, 0.1, 0.4, 0.05, 0.3, 0.001, 0.02, 0.0001],  # bumps on the way down
        [0.4, 0.5, 0.45, 0.55, 0.35],
        noisy(),
        [],
    ],
)
def test_noise_and_bumps_are_no_rise(losses: list[float]) -> None:
    assert explain_rise(losses, 0.01, compiled({"A1": 2.0, "Z1": "=(A1^2-9)^2"}, "A1")) is None


def test_maximising_falls() -> None:
    workbook = compiled({"A1": 2.0, "Z1": "=-((A1^2-9)^2)"}, "A1").workbook
    named = {"solver_opt": "Sheet1!$Z$1", "solver_adj": "Sheet1!$A$1", "solver_typ": "1", "solver_neg": "2"}
    found = explain_rise([-25, -729], 0.1, sgdsheet.compile(_with_names(workbook, named), HOME))
    assert found is not None
    assert "fell from -25 to -729" in found.message
    assert "0.0278" in found.message


def _with_names(workbook: Workbook, names: dict[str, str]) -> Workbook:
    workbook.names = [DefinedName(name, text, HOME, True) for name, text in names.items()]
    return workbook


# --- words and the command line ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("number", "text"),
    [
        (0.02777, "0.0278"),
        (2.29e-4, "0.000229"),
        (729.0, "729"),
        (109_225.3, "109,000"),
        (1.19e7, "1.19e+07"),
    ],
)
def test_short_numbers(number: float, text: str) -> None:
    assert short(number) == text


@pytest.mark.parametrize(
    ("rate", "rounded"), [(0.0139, 0.01), (0.104, 0.1), (0.43, 0.3), (0.1, 0.1), (1.77e-5, 1e-5), (6.0, 5.0)]
)
def test_rates_that_can_be_remembered(rate: float, rounded: float) -> None:
    assert rounded_down(rate) == rounded


def test_check_prints_findings(capsys: pytest.CaptureFixture[str]) -> None:
    book = str(ROOT / "workbooks" / "quadratic.xlsx")
    main(["check", book, "--sheet", "raw", "--json"])
    found = json.loads(capsys.readouterr().out)["findings"]
    assert [item["kind"] for item in found] == ["exploding gradient", "feature scale"]
    assert set(found[0]) == {"kind", "severity", "cells", "message"}
    main(["check", book, "--sheet", "raw"])
    assert f"! {found[1]['message']}" in capsys.readouterr().out
