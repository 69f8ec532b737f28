"""Workbooks without a model: what is in them, what looks like a loss, and commands that run as they are printed."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import xlsxwriter
from openpyxl import Workbook

import sgdsheet
from sgdsheet.analysis.trial import suggestions
from sgdsheet.apps.cli.guidance import shell_command
from sgdsheet.compiler.candidates.labels import words_of
from sgdsheet.errors import NoModelError
from sgdsheet.hosts.file import load
from sgdsheet.problem.definition import find_problem
from tests.cli_books import NAMES, line_cells, run, write_book
from tests.shared_data import DATA, shared_data

ROOT = Path(__file__).parent.parent
STRANGERS = sorted(path for name in ("strangers", "formulas") for path in (DATA / name).glob("*.xls[xm]"))

Content = Mapping[str, Any]


def book(path: Path, **sheets: Content) -> Path:
    """A workbook with these cells and no names at all, written by a library that does not calculate."""
    made = Workbook()
    made.remove(made.active)
    for title, cells in sheets.items():
        sheet = made.create_sheet(title.replace("_", " "))
        for reference, value in cells.items():
            sheet[reference] = value
    made.save(path)
    return path


def column(letter: str, first: int, values: list[Any]) -> dict[str, Any]:
    return {f"{letter}{first + number}": value for number, value in enumerate(values)}


def filled(letter: str, first: int, count: int, formula: str) -> dict[str, str]:
    """A formula filled down; `#` stands for the row."""
    return {f"{letter}{row}": formula.replace("#", str(row)) for row in range(first, first + count)}


def candidates(path: Path, *arguments: str) -> list[dict[str, Any]]:
    found = run("inspect", path, "--json", *arguments)
    assert (found.status, found.err) == (0, "")
    return list(found.json["candidates"])


def trained(command: str, tmp_path: Path, *more: str) -> dict[str, Any]:
    """Run a printed command as a shell would, with few steps and the result elsewhere."""
    program, *words = shlex.split(command)
    assert (program, words[0]) == ("sgdsheet", "train")
    return run(*words, "--steps", "20", "-o", tmp_path / f"out{Path(words[1]).suffix}", "--json", *more).json


X = [0.0, 1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0, 9.0]
LINE: Content = {
    "A1": "x", "B1": "y", "C1": "predicted", "D1": "error",
    **column("A", 2, X), **column("B", 2, [2.1 * x + 1 + (-1) ** x * 0.2 for x in X]),
    **filled("C", 2, 10, "=$G$1*A#+$G$2"), **filled("D", 2, 10, "=(B#-C#)^2"),
    "F1": "slope", "G1": 1.0, "F2": "intercept", "G2": 0.0, "F4": "SSE", "G4": "=SUM(D2:D11)",
}  # fmt: skip
DECAY: Content = {
    "A3": "t", "B3": "measured", "C3": "model",
    **column("A", 4, X), **column("B", 4, [5 * 0.8**x for x in X]),
    **filled("C", 4, 10, "=$B$1*EXP(-$D$1*A#)"),
    "A1": "amplitude", "B1": 3.0, "C1": "rate", "D1": 0.1, "E3": "=SUMXMY2(B4:B13,C4:C13)",
}  # fmt: skip
LIKELIHOOD: Content = {
    "A1": "returns", **column("A", 2, [0.1, -0.2, 0.3, 0.05, -0.15, 0.2, 0.1, -0.1, 0.02, 0.07]),
    "B1": "log density", **filled("B", 2, 10, "=-0.5*LN(2*PI()*$E$2^2)-(A#-$E$1)^2/(2*$E$2^2)"),
    "D1": "mu", "E1": 0.0, "D2": "sigma", "E2": 0.5, "D4": "Log-likelihood", "E4": "=SUM(B2:B11)",
}  # fmt: skip
PRICE: Content = {
    "A1": "Price", "B1": 20.0, "A2": "Demand", "B2": "=500-12*B1", "A3": "Unit cost", "B3": 8.0,
    "A4": "Profit", "B4": "=B2*(B1-B3)",
}  # fmt: skip
MIX: Content = {
    "A1": "Product", "B1": "Units", "C1": "Margin", "D1": "Total",
    **column("A", 2, ["Chairs", "Tables", "Beds"]), **column("B", 2, [10.0, 5.0, 2.0]),
    **column("C", 2, [20.0, 35.0, 80.0]), **filled("D", 2, 3, "=B#*C#"), "A6": "Total profit", "D6": "=SUM(D2:D4)",
}  # fmt: skip


# --- what is offered --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("cells", "loss", "parameters", "direction"),
    [
        (LINE, "G4", ["G1:G2"], "minimise"),
        (DECAY, "E3", ["B1", "D1"], "minimise"),
        (LIKELIHOOD, "E4", ["E1:E2"], "maximise"),
    ],
    ids=["line", "decay", "likelihood"],
)
def test_the_best_candidate_is_the_model(
    tmp_path: Path, cells: Content, loss: str, parameters: list[str], direction: str
) -> None:
    path = book(tmp_path / "plain.xlsx", Sheet1=cells)
    best = candidates(path)[0]
    assert best["loss_cell"] == f"Sheet1!{loss}"
    assert best["parameters"] == [f"Sheet1!{area}" for area in parameters]
    assert best["direction"] == direction
    assert any("A" in area for area in best["data"])
    outcome = trained(best["command"], tmp_path)
    better = (
        outcome["loss"] > outcome["loss_start"] if direction == "maximise" else outcome["loss"] < outcome["loss_start"]
    )
    assert better


def test_a_profit_is_maximized(tmp_path: Path) -> None:
    best = candidates(book(tmp_path / "price.xlsx", Plan=PRICE))[0]
    assert (best["loss_cell"], best["label"], best["direction"]) == ("Plan!B4", "Profit", "maximise")
    assert best["command"].endswith(" --maximize")
    outcome = trained(best["command"], tmp_path)
    assert outcome["loss"] > outcome["loss_start"] == 260 * 12


def test_what_has_no_minimum_is_not_offered(tmp_path: Path) -> None:
    path = book(tmp_path / "mix.xlsx", Mix=MIX)
    found = run("inspect", path, "--json").json
    assert found["candidates"] == []
    (declined,) = [item for item in found["declined"] if item["loss_cell"] == "Mix!D6"]
    assert "linear in its parameters" in declined["reason"]
    assert "linear in its parameters" in run("inspect", path).out


def test_what_grows_without_end_is_not_offered(tmp_path: Path) -> None:
    cells: dict[str, Any] = {
        "A1": "Growth",
        "B1": 0.25,
        "B2": 100.0,
        **{f"B{row}": f"=B{row - 1}*(1+$B$1)" for row in (3, 4, 5)},
    }
    cells |= {"A7": "Profit", "B7": "=NPV(0.08,B3:B5)-B2"}
    found = run("inspect", book(tmp_path / "growth.xlsx", Plan=cells), "--json").json
    assert "Plan!B7" not in [item["loss_cell"] for item in found["candidates"]]
    assert any("gets better without end" in item["reason"] for item in found["declined"])


ORDERS: Content = {
    "A1": "Annual demand", "B1": 12000, "A2": "Order cost", "B2": 50, "A3": "Holding cost per unit", "B3": 2,
    "A4": "Order quantity", "B4": 500, "A6": "Ordering cost", "B6": "=B1/B4*B2", "A7": "Holding cost", "B7": "=B4/2*B3",
    "A8": "Total cost", "B8": "=B6+B7",
}  # fmt: skip
ELASTIC: Content = {
    "A1": "Price", "B1": 10, "A2": "Elasticity", "B2": -1.5, "A3": "Base demand", "B3": 1000, "A4": "Base price",
    "B4": 10, "A5": "Unit cost", "B5": 4, "A7": "Demand", "B7": "=B3*(B1/B4)^B2", "A8": "Revenue", "B8": "=B1*B7",
    "A9": "Cost", "B9": "=B5*B7", "A10": "Profit", "B10": "=B8-B9",
}  # fmt: skip
SHARPE: Content = {
    "A1": "Asset", "B1": "Weight", "C1": "Return", "D1": "Volatility",
    **column("A", 2, ["Stocks", "Bonds", "Gold"]), **column("B", 2, [0.5, 0.3, 0.2]),
    **column("C", 2, [0.08, 0.03, 0.04]), **column("D", 2, [0.18, 0.06, 0.15]),
    "A5": "Portfolio return", "B5": "=SUMPRODUCT(B2:B4,C2:C4)",
    "A6": "Portfolio volatility", "B6": "=SQRT(SUMPRODUCT((B2:B4*D2:D4)^2))",
    "A7": "Risk-free", "B7": 0.02, "A8": "Sharpe ratio", "B8": "=(B5-B7)/B6",
}  # fmt: skip


@pytest.mark.parametrize(
    ("cells", "loss", "parameters", "best"),
    [(ORDERS, "B8", ["S!B4"], 2 * (12000 * 50 * 2 / 2) ** 0.5), (ELASTIC, "B10", ["S!B1"], None)],
    ids=["order quantity", "price"],
)
def test_what_a_person_decides_is_changed(
    tmp_path: Path, cells: Content, loss: str, parameters: list[str], best: float | None
) -> None:
    """Costs have their least, and profits their most, between the ends: both by closed forms."""
    first = candidates(book(tmp_path / "book.xlsx", S=cells))[0]
    assert (first["loss_cell"], first["parameters"]) == (f"S!{loss}", parameters)
    price = 4 * 1.5 / 0.5  # the price of a constant elasticity
    wanted = best if best is not None else 1000 * (price / 10) ** -1.5 * (price - 4)
    assert run(*shlex.split(first["command"])[1:], "--json").json["loss"] == pytest.approx(wanted, rel=1e-9)


def test_a_number_that_would_go_on_without_end_stays(tmp_path: Path) -> None:
    """The lower the free rate, the higher the ratio: only the weights are to be changed."""
    cells = {**SHARPE, "A7": "sigma", "A8": "Sharpe ratio"}  # called like a parameter
    first = candidates(book(tmp_path / "book.xlsx", S=cells))[0]
    assert (first["loss_cell"], first["parameters"]) == ("S!B8", ["S!B2:B4"])
    first = candidates(book(tmp_path / "free.xlsx", S=SHARPE))[0]
    assert (first["loss_cell"], first["parameters"]) == ("S!B8", ["S!B2:B4"])
    assert "run on without end" in first["remark"]
    assert "come to 1 together" in first["remark"]
    assert candidates(book(tmp_path / "line.xlsx", S=LINE))[0]["remark"] == ""


LOAN: Content = {
    "A1": "Loan amount", "B1": 200000, "A2": "Annual rate", "B2": 0.045, "A3": "Years", "B3": 25,
    "A4": "Monthly payment", "B4": "=PMT(B2/12,B3*12,-B1)", "A5": "Total interest", "B5": "=B4*B3*12-B1",
}  # fmt: skip
EVEN: Content = {
    "A1": "Price", "B1": 25, "A2": "Unit cost", "B2": 15, "A3": "Fixed costs", "B3": 20000, "A4": "Units sold",
    "B4": 1500, "A6": "Revenue", "B6": "=B1*B4", "A7": "Total cost", "B7": "=B3+B2*B4", "A8": "Profit", "B8": "=B6-B7",
}  # fmt: skip
SAVINGS: Content = {
    "A1": "Starting balance", "B1": 5000, "A2": "Monthly deposit", "B2": 300, "A3": "Annual return", "B3": 0.05,
    "A4": "Years", "B4": 10, "A5": "Final balance", "B5": "=FV(B3/12,B4*12,-B2,-B1)",
}  # fmt: skip
HOURS: Content = {
    "A1": "Start", "B1": "End", "C1": "Hours", "D1": "Pay", **column("A", 2, [9.0, 8.5, 9.25] * 3),
    **column("B", 2, [17.0, 16.0, 18.0] * 3), **filled("C", 2, 9, "=B#-A#"), **filled("D", 2, 9, "=C#*$G$1"),
    "F1": "Hourly rate", "G1": 18.5, "A12": "Total", "C12": "=SUM(C2:C10)", "D12": "=SUM(D2:D10)",
}  # fmt: skip


@pytest.mark.parametrize(
    ("cells", "cell", "value", "parameter", "others"),
    [
        (LOAN, "B5", 150000.0, "B2", ["B3"]),
        (EVEN, "B8", 0.0, "B1", ["B4", "B2", "B3"]),
        (SAVINGS, "B5", 60000.0, "B2", ["B1", "B3", "B4"]),
        (HOURS, "D12", 1500.0, "G1", []),
    ],
    ids=["loan", "break-even", "savings", "hours"],
)
def test_a_value_to_reach_where_nothing_is_a_loss(
    tmp_path: Path, cells: Content, cell: str, value: float | None, parameter: str, others: list[str]
) -> None:
    """Goal seek: its command, as it is printed, makes the cell come to the value."""
    path = book(tmp_path / "plan.xlsx", S=cells)
    found = run("inspect", path, "--json").json
    assert (found["candidates"], found["missing"]) == ([], [])
    first = found["goal_seek"][0]
    assert (first["cell"], first["parameter"]) == (f"S!{cell}", f"S!{parameter}")
    assert first["others"] == [f"S!{other}" for other in others]
    assert value is None or first["value"] == value
    outcome = run(*shlex.split(first["command"])[1:], "--json").json
    assert outcome["loss"] == pytest.approx(first["value"], rel=1e-9, abs=1e-6)
    assert first["command"] in run("train", path).err


def test_a_budget_has_nothing_to_train(tmp_path: Path) -> None:
    """Sums of what was spent are no losses, and no number decides them: that is said, and no command."""
    spent = {f"{letter}{row}": 100.0 + row for letter in "BCD" for row in range(2, 6)}
    cells = {"A1": "Budget", **spent, **filled("E", 2, 4, "=SUM(B#:D#)"), "A6": "Total", "E6": "=SUM(E2:E5)"}
    found = run("inspect", book(tmp_path / "budget.xlsx", S=cells), "--json").json
    assert [found[key] for key in ("candidates", "missing", "goal_seek")] == [[], [], []]


def test_a_total_is_that_of_what_stands_above_it(tmp_path: Path) -> None:
    cells = {**MIX, "A6": "Total", "D1": "Profit"}
    found = run("inspect", book(tmp_path / "mix.xlsx", S=cells), "--json").json
    assert [item["loss_cell"] for item in found["declined"]] == ["S!D6"]


@pytest.mark.parametrize(
    ("label", "formula"),
    [
        *[(label, formula) for label in ("Stdev", "Variance", "") for formula in ("STDEV(B2:B31)", "VAR.P(B2:B31)")],
        *[(label, formula) for label in ("Spread", "") for formula in ("SUMSQ(B2:B6)", "SUM((B2:B31-51)^2)")],
    ],
)
def test_what_describes_typed_numbers_is_not_offered(tmp_path: Path, label: str, formula: str) -> None:
    """Grades with their deviation: that could be made 0 by changing the grades, which nobody wants."""
    grades = {f"B{row}": 50.0 + 7 * row % 40 for row in range(2, 32) if row != 9}
    cells = {"A1": "Name", "B1": "Grade", **grades, "A33": label or None, "B33": f"={formula}"}
    assert candidates(book(tmp_path / "grades.xlsx", Grades=cells)) == []


def test_a_piece_of_a_long_column_is_data(tmp_path: Path) -> None:
    """The squares of the first of thirty quantities could be made 0 by changing these, which nobody wants."""
    cells = {"A1": "quantity", **column("A", 2, [float(3 + row % 7) for row in range(30)]), "C1": "=SUMSQ(A2:A5)"}
    cells |= {"C2": "=SUM(A6:A8)^2", "C3": "=SUMSQ(A29:A31)"}
    assert candidates(book(tmp_path / "log.xlsx", S=cells)) == []


FITTED: Content = {key: value for key, value in LINE.items() if key[0] in "ABCFG" and key not in ("F4", "G4")}
"""A line beside its data: nothing says how far they are apart."""


@pytest.mark.parametrize(
    ("cells", "formula", "parameters"),
    [
        (FITTED, "=SUMXMY2(C2:C11,B2:B11)", ["S!G1:G2"]),
        ({**FITTED, "D1": "error", **filled("D", 2, 10, "=C#-B#")}, "=SUMSQ(D2:D11)", ["S!G1:G2"]),
        ({**FITTED, **filled("D", 2, 10, "=ABS(B#-C#)")}, "=SUMSQ(D2:D11)", ["S!G1:G2"]),
        ({**FITTED, **filled("D", 2, 10, "=(B#-($G$1*A#+$G$2))^2")}, "=SUM(D2:D11)", ["S!G1:G2"]),
    ],
    ids=["predictions beside data", "differences", "distances", "squares"],
)
def test_a_loss_that_is_missing_is_proposed(
    tmp_path: Path, cells: Content, formula: str, parameters: list[str]
) -> None:
    """The formula to write and its command: once it is written, the command trains."""
    path = book(tmp_path / "book.xlsx", S=cells)
    found = run("inspect", path, "--json").json
    assert found["candidates"] == []
    (proposed,) = found["missing"]
    assert (proposed["formula"], proposed["parameters"]) == (formula, parameters)
    place = proposed["loss_cell"].removeprefix("S!")
    assert place not in cells
    assert f"write {formula} into S!{place}" in run("train", path).err
    book(path, S={**cells, place: proposed["formula"]})
    data = np.array([LINE[f"B{row}"] for row in range(2, 12)])
    least = np.polyfit(X, data, 1, full=True)[1].item()
    assert trained(proposed["command"], tmp_path)["loss"] == pytest.approx(least, rel=1e-6)


def test_a_network_without_a_loss(tmp_path: Path) -> None:
    """Layers as matrix products: the ones below the activations stand for the biases and stay."""
    cells = {
        "A1": "X", **column("B", 1, [1.0, 2.0, 1.0]), **column("C", 1, [-1.0, 1.0, 1.0]),
        "E1": "W1", "E2": 0.5, "F2": -1.0, "G2": 0.2, "E3": 0.3, "F3": 0.7, "G3": -0.4,
        "E5": "W2", "E6": 0.6, "F6": -0.8, "G6": 0.1,
        **{f"{c}{r}": f"=$E{r - 4}*{s}$1+$F{r - 4}*{s}$2+$G{r - 4}*{s}$3" for c, s in ("IB", "JC") for r in (6, 7)},
        "I8": 1.0, "J8": 1.0,
        **{f"{c}10": f"=SUMPRODUCT(TRANSPOSE($E$6:$G$6),{c}6:{c}8)" for c in "IJ"},
        "H12": "target", "I12": 1.0, "J12": 0.0, "I14": "→", "I15": "=I10-I12", "J15": "=J10-J12",
    }  # fmt: skip
    (proposed,) = run("inspect", book(tmp_path / "book.xlsx", S=cells), "--json").json["missing"]
    assert (proposed["formula"], proposed["loss_cell"]) == ("=SUMSQ(I15:J15)", "S!J17")
    assert proposed["parameters"] == ["S!E2:G3", "S!E6:G6"]


@pytest.mark.parametrize(
    "cells",
    [
        {"A1": "sales", **column("A", 2, X), "B1": "above the mean", **filled("B", 2, 10, "=A#-AVERAGE($A$2:$A$11)")},
        {"A1": "plan", **column("A", 2, X), "B1": "actual", **column("B", 2, X), **filled("C", 2, 10, "=B#-A#")},
        {"A1": "price", **column("A", 2, X), "C1": "limit", "D1": 4.0, **filled("B", 2, 10, "=A#-$D$1")},
    ],
    ids=["from a mean", "of two typed columns", "from a limit"],
)
def test_differences_that_no_model_makes(tmp_path: Path, cells: Content) -> None:
    assert run("inspect", book(tmp_path / "book.xlsx", S=cells), "--json").json["missing"] == []


def test_a_mistrusted_value_is_not_offered(tmp_path: Path) -> None:
    """What training would refuse, because saved values differ, is said instead."""
    cells = dict(line_cells())
    cells["C2"] = (cells["C2"][0], 77.0)
    found = run("inspect", write_book(tmp_path / "changed.xlsx", cells, {}), "--json").json
    assert found["candidates"] == []
    assert "saved as 77" in found["declined"][0]["reason"]


def test_an_unknown_function_on_the_way_is_named(tmp_path: Path) -> None:
    cells = {**LINE, "C5": "=BESSELQ($G$1,1)*A5"}
    found = run("inspect", book(tmp_path / "odd.xlsx", Sheet1=cells), "--json").json
    assert [(item["cell"], item["function"]) for item in found["unsupported"]] == [("Sheet1!C5", "BESSELQ")]
    assert "BESSELQ" in found["declined"][0]["reason"]


def test_parameters_on_another_sheet(tmp_path: Path) -> None:
    cells = {key: value for key, value in LINE.items() if key not in ("F1", "G1", "F2", "G2")}
    cells |= filled("C", 2, 10, "='my weights'!$B$1*A#+'my weights'!$B$2")
    weights = {"A1": "weight", "B1": 1.0, "A2": "bias", "B2": 0.0}
    best = candidates(book(tmp_path / "two sheets.xlsx", the_fit=cells, my_weights=weights))[0]
    assert best["parameters"] == ["'my weights'!B1:B2"]
    outcome = trained(best["command"], tmp_path)
    assert outcome["loss"] < outcome["loss_start"]


@pytest.mark.parametrize("title", ["it's", 'a "b" c', "$HOME & `x`", "50% (a)", "-s", "Größe"])
def test_commands_survive_a_shell(tmp_path: Path, title: str) -> None:
    path = tmp_path / "my book.xlsx"
    best = candidates(book(path, **{title: LINE}))[0]
    words = shlex.split(best["command"])
    assert words[:4] == ["sgdsheet", "train", str(path), "--sheet"]
    assert words[4:] == [title, "--loss", "G4", "--params", "G1:G2"]
    assert trained(best["command"], tmp_path)["parameters"] == 2


def test_a_word_for_the_shell() -> None:
    assert shell_command("sgdsheet", "a b") in ("sgdsheet 'a b'", 'sgdsheet "a b"')


# --- no dead end ------------------------------------------------------------------------------------------


def test_inspect_shows_sheets_and_candidates(tmp_path: Path) -> None:
    path = book(tmp_path / "plain.xlsx", Sheet1=LINE, Notes={"A1": "nothing here"})
    found = run("inspect", path)
    assert (found.status, found.err) == (0, "")
    for text in ("2 sheets, 21 formula cells", "Notes", "all 21 formula cells can be calculated", "“SSE”", "2 numbers"):
        assert text in found.out
    content = run("inspect", path, "--json").json
    assert [(item["name"], item["formulas"], item["numbers"]) for item in content["sheets"]] == [
        ("Sheet1", 21, 22),
        ("Notes", 0, 0),
    ]
    assert content["models"] == content["unsupported"] == []
    assert content["loss_cell"] is None
    assert run("inspect", path, "--sheet", "notes", "--json").json["candidates"] == []


def test_inspect_of_a_model_has_the_same_keys(tmp_path: Path) -> None:
    named = run("inspect", write_book(tmp_path / "named.xlsx", line_cells(), NAMES), "--json").json
    plain = run("inspect", write_book(tmp_path / "plain.xlsx", line_cells(), {}), "--json").json
    assert named.keys() <= plain.keys() | {"blocks"}
    assert [item["loss_cell"] for item in named["models"]] == ["Model!E4"]
    assert named["candidates"] == []


@pytest.mark.parametrize("cells", [{}, {"A1": "only text"}, {"A1": 1.0, "A2": 2.0}], ids=["empty", "text", "numbers"])
def test_a_workbook_without_formulas(tmp_path: Path, cells: Content) -> None:
    path = book(tmp_path / "none.xlsx", Sheet1=cells)
    for command in ("inspect", "check"):
        found = run(command, path)
        assert (found.status, found.err) == (0, "")
    assert "There are no formulas" in run("inspect", path).out
    assert "No cell was found that looks like a loss" in run("train", path).err


@pytest.mark.parametrize("command", ["find-lr", "export", "predict", "train"])
def test_other_commands_say_their_own_command(tmp_path: Path, command: str) -> None:
    path = book(tmp_path / "plain.xlsx", Sheet1=LINE)
    found = run(command, path)
    assert (found.status, found.out) == (1, "")
    _, candidate, more = found.err.splitlines()
    assert candidate.partition(": ")[2] == f"sgdsheet {command} {path} --sheet Sheet1 --loss G4 --params G1:G2"
    assert more.endswith(f"sgdsheet inspect {path}")


def test_pictures_keep_their_output(tmp_path: Path) -> None:
    path, picture = book(tmp_path / "plain.xlsx", Sheet1=LINE), tmp_path / "a.png"
    for command, output in (("surface", picture), ("animate", picture.with_suffix(".gif"))):
        line = run(command, path, "-o", output).err.splitlines()[1]
        assert line.endswith(f"sgdsheet {command} {path} -o {output} --sheet Sheet1 --loss G4 --params G1:G2")


def test_several_models_are_listed_with_their_commands(tmp_path: Path) -> None:
    names = {
        f"{sheet}!{name}": text.replace("Model", sheet) for sheet in ("One", "Two") for name, text in NAMES.items()
    }
    path = write_book(tmp_path / "several.xlsx", {}, names, more={"One": line_cells(), "Two": line_cells()})
    found = run("inspect", path)
    assert (found.status, found.err) == (0, "")
    for name in ("One", "Two"):
        assert f"“{name}”, loss {name}!E4, 2 parameters: sgdsheet train {path} --sheet {name}" in found.out
    assert [item["sheet"] for item in run("inspect", path, "--json").json["models"]] == ["One", "Two"]
    assert run("check", path).status == 0


@shared_data("strangers", "formulas")
@pytest.mark.parametrize("path", STRANGERS, ids=lambda path: path.stem)
def test_every_stranger_opens(path: Path) -> None:
    inspected, checked = run("inspect", path, "--json"), run("check", path, "--json")
    assert (inspected.status, inspected.err) == (0, "")
    assert checked.status == (0 if checked.json["passed"] else 1)
    assert inspected.json["formulas"] == checked.json["formulas"] > 0 or not any(
        sheet.formulas for sheet in load(path).sheets.values()
    )


def test_words_of_labels() -> None:
    assert words_of("Total_SSE:") == words_of("TotalSSE") == words_of("total sse") == ("total", "sse")
    assert words_of("χ² per point") == ("χ²", "per", "point")


def test_compile_names_the_best_candidate(tmp_path: Path) -> None:
    plain = load(book(tmp_path / "plain.xlsx", Sheet1=LINE))
    with pytest.raises(NoModelError) as found:
        sgdsheet.compile(plain)
    assert found.value.remedy.endswith("; it may be compile(book, loss='Sheet1!G4', params='Sheet1!G1:G2')")
    assert sgdsheet.compile(plain, loss="Sheet1!G4", params="Sheet1!G1:G2").problem.parameter_count == 2
    with pytest.raises(NoModelError) as found:
        sgdsheet.compile(load(book(tmp_path / "none.xlsx", Sheet1={"A1": 1.0, "B1": "=A1*2"})))
    assert "it may be" not in found.value.remedy


# --- sheets of other kinds --------------------------------------------------------------------------------

BARE: Content = {
    "F1": 1.5, "F2": 0.25, "F4": "=SUMSQ(D1:D10)", **column("A", 1, X), **column("B", 1, [2 * x + 1 for x in X]),
    **filled("C", 1, 10, "=$F$1*A#+$F$2"), **filled("D", 1, 10, "=B#-C#"),
}  # fmt: skip
SMOOTHING: Content = {
    "A1": "Smoothing constant", "B1": 0.2, "A3": "Period", "B3": "Demand", "C3": "Forecast", "D3": "Abs error",
    **column("A", 4, [float(number) for number in range(1, 11)]),
    **column("B", 4, [50.0, 53.0, 51.0, 56.0, 58.0, 55.0, 60.0, 61.0, 59.0, 64.0]),
    "C4": "=B4", **{f"C{row}": f"=$B$1*B{row - 1}+(1-$B$1)*C{row - 1}" for row in range(5, 14)},
    **filled("D", 5, 9, "=ABS(B#-C#)"), "F3": "MAD", "G3": "=AVERAGE(D5:D13)",
}  # fmt: skip
ROW_OF_WEIGHTS: Content = {
    "A1": "weights", "B1": 0.5, "C1": 0.25, "D1": 1.0, "E1": "bias", "F1": 0.0,
    "A3": "id", "B3": "age", "C3": "fare", "D3": "rooms", "E3": "y", "F3": "pred", "G3": "loss",
    **column("A", 4, X), **column("B", 4, [1.5, 2.5, 0.5] * 3), **column("C", 4, [0.25, 1.25, 3.5] * 3),
    **column("D", 4, [2.0, 1.0, 3.0] * 3), **column("E", 4, X[:9]),
    **filled("F", 4, 9, "=SUMPRODUCT(B#:D#,$B$1:$D$1)+$F$1"), **filled("G", 4, 9, "=(E#-F#)^2"),
    "I1": "mean loss", "I2": "=AVERAGE(G4:G12)",
}  # fmt: skip
WAREHOUSE: Content = {
    "A1": "City", "B1": "X", "C1": "Y", "D1": "Trips", "E1": "Distance", **column("A", 2, ["A", "B", "C", "D"]),
    **column("B", 2, [0.0, 10.0, 4.0, 7.0]), **column("C", 2, [0.0, 3.0, 9.0, 6.0]),
    **column("D", 2, [5.0, 2.0, 7.0, 3.0]), **filled("E", 2, 4, "=SQRT((B#-$B$8)^2+(C#-$C$8)^2)"),
    "A8": "Warehouse", "B8": 1.0, "C8": 1.0, "A10": "Total distance", "B10": "=SUMPRODUCT(D2:D5,E2:E5)",
}  # fmt: skip
PORTFOLIO: Content = {
    "A1": "Asset", "B1": "Weight", "C1": "Return", **column("A", 2, ["Stocks", "Bonds", "Gold"]),
    **column("B", 2, [0.4, 0.4, 0.2]), **column("C", 2, [0.08, 0.03, 0.05]), "E1": "Covariance",
    **column("E", 2, [0.04, 0.006, 0.002]), **column("F", 2, [0.006, 0.01, 0.001]),
    **column("G", 2, [0.002, 0.001, 0.03]),
    "A7": "Portfolio variance", "B7": "=SUMPRODUCT(B2:B4,MMULT(E2:G4,B2:B4))",
}  # fmt: skip
FIT: Content = {
    "A1": "c0", "A2": "c1", "A3": "c2", **column("B", 1, [1.0, 1.0, 1.0]), "D1": "x", "E1": "y", "F1": "fit",
    **column("D", 2, X), **column("E", 2, [x * x - 2 * x + 1 for x in X]),
    **filled("F", 2, 10, "=$B$1+$B$2*D#+$B$3*D#^2"),
    "A6": "R squared", "B6": "=1-B7/DEVSQ(E2:E11)", "A7": "Sum of squared errors", "B7": "=SUMXMY2(E2:E11,F2:F11)",
}  # fmt: skip
GRADIENTS: Content = {
    **LINE, "F6": "gradient of the error", "G6": "=-2*SUMPRODUCT(B2:B11-C2:C11,A2:A11)",
    "F7": "learning rate", "G7": 0.001, "F8": "new slope", "G8": "=G1-G7*G6",
}  # fmt: skip


@pytest.mark.parametrize(
    ("cells", "loss", "parameters"),
    [
        (BARE, "F4", ["F1:F2"]),
        (SMOOTHING, "G3", ["B1"]),
        (ROW_OF_WEIGHTS, "I2", ["B1:D1", "F1"]),
        (WAREHOUSE, "B10", ["B8:C8"]),
        (PORTFOLIO, "B7", ["B2:B4"]),
        (FIT, "B7", ["B1:B3"]),
        (GRADIENTS, "G4", ["G1:G2"]),
    ],
    ids=["bare", "smoothing", "weights in a row", "warehouse", "portfolio", "beside R²", "gradients in cells"],
)
def test_other_sheets(tmp_path: Path, cells: Content, loss: str, parameters: list[str]) -> None:
    best = candidates(book(tmp_path / "sheet.xlsx", Sheet1=cells))[0]
    assert (best["loss_cell"], best["parameters"]) == (f"Sheet1!{loss}", [f"Sheet1!{area}" for area in parameters])
    outcome = trained(best["command"], tmp_path)
    assert outcome["loss"] < outcome["loss_start"]


LESSONS = {
    "linear_regression": "fit!E6", "quadratic": "raw!D6", "dead_relu": "alive!H6", "overfitting": "degree_2!E6",
    "convolution": "learn!A6", "collaborative_filtering": "factors!A6",
}  # fmt: skip


@pytest.mark.parametrize("name", LESSONS)
def test_lessons_without_their_names(tmp_path: Path, name: str) -> None:
    """What the lessons call their loss and parameters is found without their names, too."""
    path = ROOT / "workbooks" / f"{name}.xlsx"
    problem = find_problem(load(path), LESSONS[name].partition("!")[0])
    plain = replace(load(path), names=[])
    found = [item for item in suggestions(plain).offered if item.loss == problem.loss]
    cells = {cell for area in problem.parameters for cell in area.cells()}
    assert [{cell for area in item.parameters for cell in area.cells()} for item in found] == [cells]


def test_beside_a_model_the_other_sheets_are_looked_at(tmp_path: Path) -> None:
    """What cannot be calculated anywhere, and what could be trained on sheets that have no model."""
    path = tmp_path / "two.xlsx"
    with xlsxwriter.Workbook(path) as book:
        for name in ("one", "two"):
            page = book.add_worksheet(name)
            for row in range(6):
                page.write_row(row, 0, [row, 2 * row + 1])
                page.write_formula(row, 2, f"=$E$1*A{row + 1}+$E$2", None, row)
            page.write_column("E1", [1, 0])
            page.write("D3", "loss")
            page.write_formula("E3", "=SUMXMY2(B1:B6,C1:C6)", None, sum((row + 1) ** 2 for row in range(6)))
        page.write_formula("G1", "=BESSELQ(1)", None, 1)
        book.define_name("one!sgd_loss", "=one!$E$3")
        book.define_name("one!sgd_params", "=one!$E$1:$E$2")
    found = run("inspect", path, "--json").json
    assert found["loss_cell"] == "one!E3"
    assert [(item["cell"], item["function"]) for item in found["unsupported"]] == [("two!G1", "BESSELQ")]
    assert [(item["loss_cell"], item["parameters"]) for item in found["candidates"]] == [("two!E3", ["two!E1:E2"])]


def test_commands_to_copy_keep_the_options(tmp_path: Path) -> None:
    """Where there are several models, each line is the command that was given, with the sheet."""
    path = Path(__file__).parent.parent / "workbooks" / "titanic.xlsx"
    found = run("train", path, "--steps", "5", "--lr", "0.1", "--preview", "-o", tmp_path / "o.xlsx")
    assert found.status == 1
    given = f"sgdsheet train {path} --steps 5 --lr 0.1 --preview -o {tmp_path / 'o.xlsx'} --sheet linear"
    options = found.err.splitlines()[1].partition(": ")[2]
    assert sorted(options.split()) == sorted(given.split())


def test_the_command_for_a_new_example(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is copied from the line as a shell reads it, whatever the file's name."""
    monkeypatch.chdir(tmp_path)
    for name, word in (("my quadratic.xlsx", "my quadratic.xlsx"), ("-q.xlsx", "./-q.xlsx")):
        line = run("new", "quadratic", "-o", name).out.strip()
        assert shlex.split(line.partition("inside: ")[2]) == ["sgdsheet", "inspect", word, "--sheet", "raw"]


def test_the_command_for_one_of_several_models(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It names the file with every space, and is not taken for an option."""
    monkeypatch.chdir(tmp_path)
    for name, word in (("two  models.xlsx", "two  models.xlsx"), ("-2.xlsx", "./-2.xlsx")):
        run("new", "quadratic", "-o", name)
        for command, said in (("inspect", "train"), ("check", "check"), ("train", "train")):
            found = run(command, "--", name)
            lines = [line.partition("parameters: ")[2] for line in (found.out + found.err).splitlines()]
            commands = [shlex.split(line) for line in lines if line]
            assert commands == [["sgdsheet", said, word, "--sheet", sheet] for sheet in ("raw", "centred")]
