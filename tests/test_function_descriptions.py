"""What `sgdsheet functions NAME` and the documentation say of functions, and those that keep their saved values."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest
import xlsxwriter  # type: ignore[import-untyped]

import sgdsheet
from sgdsheet.analysis.checking import check_workbook
from sgdsheet.apps.cli import function_index
from sgdsheet.compiler.evaluation import evaluate
from sgdsheet.compiler.functions import REGISTRY
from sgdsheet.compiler.functions.absent import ABSENT
from sgdsheet.compiler.functions.explanation import CATEGORIES, by_category, describe, names
from sgdsheet.compiler.functions.forms import FORMS
from sgdsheet.errors import FormulaError, UnsupportedFunction
from sgdsheet.sheet.references import Cell
from sgdsheet.sheet.workbook import Workbook
from tests.cli_books import run
from tests.errors import refusal
from tests.live_books import PATIENCE
from tests.sheets import HOME, book, compiled, lowered

HERE = Cell(HOME, 1, 26)


def index() -> str:
    """What `functions.json` is to hold: one function a line."""
    listed = [item for _, items in by_category() for item in items]
    listed += [found for name in sorted(ABSENT) if (found := describe(name)) is not None]
    rows = (json.dumps(asdict(item), ensure_ascii=False, default=dict) for item in listed)
    return "[\n" + ",\n".join(rows) + "\n]\n"


def test_the_index_of_the_command_line_is_current() -> None:
    """Else: `.venv/bin/python -m tests.test_function_descriptions`."""
    assert function_index.FILE.read_text(encoding="utf-8") == index()


def test_no_torch_is_needed_to_explain_a_function() -> None:
    script = (
        "import sys; from sgdsheet.apps.cli import main\n"
        "for given in (['functions'], ['functions', 'PMT'], ['functions', '--json']):\n"
        "    try: main(given)\n"
        "    except SystemExit as ended: assert not ended.code\n"
        "assert not {'torch', 'numpy', 'scipy'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", script], check=True, capture_output=True, timeout=PATIENCE)


def test_every_function_has_a_category_and_sentences() -> None:
    listed = [module for modules in CATEGORIES.values() for module in modules]
    assert len(listed) == len(set(listed))
    assert {item.category for item in REGISTRY.values()} <= set(listed)
    for name in names():
        found = describe(name)
        assert found is not None
        assert found.signature.startswith(f"{name}(")
        assert "given" not in found.signature, name
        assert found.help.endswith("."), name
        assert all(sentence.endswith(".") for sentence in (found.derivative, *found.notes)), name


def test_a_signature_shows_what_may_be_left_out() -> None:
    assert REGISTRY["PRICE"].signature == ("PRICE(settlement, maturity, rate, yielded, redemption, frequency, [basis])")
    assert REGISTRY["LARGE"].signature == "LARGE(numbers, place)"
    assert REGISTRY["FORECAST"].signature == "FORECAST(x, ys, xs)"
    assert REGISTRY["FVSCHEDULE"].signature == "FVSCHEDULE(principal, numbers)"
    assert REGISTRY["XIRR"].signature == "XIRR(payments, dates, [guess])"
    assert REGISTRY["IMSUM"].signature == "IMSUM(numbers, …)"


@pytest.mark.parametrize(("formula", "expected"), [pair for form in FORMS.values() for pair in form.examples.items()])
def test_examples_of_what_is_written_out(formula: str, expected: float) -> None:
    assert evaluate(lowered(book({"Z1": f"{{={formula}}}"}), [], "Z1")).values[HERE] == expected


def test_a_function_is_explained() -> None:
    shown = run("functions", "price").out
    for words in ("PRICE(settlement, maturity", "Finance", "94.63436162", "Must not depend on a parameter: settlement"):
        assert words in " ".join(shown.split())
    found = run("functions", "_xlfn.GAMMA.INV(", "--json").json
    assert found["name"] == "GAMMA.INV"
    assert found["category"] == "Statistics"
    assert found["derivative"] == "Exact."
    assert found["examples"]["GAMMA.INV(0.068094,9,2)"] == 10.0000112
    assert "keeps its saved value" in run("functions", "RAND").out


def test_an_unknown_name_gets_the_nearest_ones() -> None:
    found = run("functions", "VLOKUP")
    assert found.status == 2
    assert "There is no function VLOKUP. Did you mean VLOOKUP" in found.err
    assert "FORECAST" in function_index.nearest("FORECATS")
    assert function_index.nearest("FORECAST.L")[0] == "FORECAST.LINEAR"
    assert run("functions", "QQQQQQ").err.count("lists them all") == 1


def test_a_pattern_lists_what_fits() -> None:
    shown = run("functions", "sgd_*").out
    assert "SGD_GRAD(loss, params)" in shown
    assert "SUM" not in shown
    found = [item["name"] for item in run("functions", "*.INV", "--json").json["functions"]]
    assert "NORM.INV" in found
    assert all(name.endswith(".INV") for name in found)
    assert "No function fits QQ*" in run("functions", "QQ*").err


def test_absent_functions_are_not_supported_ones() -> None:
    assert not set(ABSENT) & set(names())


# --- frozen -----------------------------------------------------------------------------------------------


def saved(cells: dict[str, Any], values: dict[tuple[int, int], float]) -> Workbook:
    """A workbook with saved values for some of its formulas."""
    made = book(cells)
    made.sheets[HOME].values.update(values)
    return made


@pytest.mark.parametrize("call", ["RAND()", "TODAY()-40000", "RANDBETWEEN(1,6)", "NOW()", 'CUBEVALUE("a","b")'])
def test_a_frozen_formula_keeps_its_saved_value(call: str) -> None:
    made = saved({"A1": f"={call}", "B1": "=A1*2"}, {(1, 1): 5.0, (1, 2): 10.0})
    report = check_workbook(made)
    assert (report.formulas, report.supported, report.compared) == (2, 1, 1)
    assert report.passed
    assert not report.unsupported
    assert [(str(item.area), item.function.name) for item in report.frozen] == [(f"{HOME}!A1", call.split("(")[0])]


def test_without_a_saved_value_it_is_named() -> None:
    report = check_workbook(book({"A1": "=RAND()", "B1": "=A1*2"}))
    assert report.supported == 0
    assert [(str(item.area), item.function) for item in report.unsupported] == [(f"{HOME}!A1", "RAND")]
    with refusal(FormulaError, cell=f"{HOME}!A1", cause="RAND is not supported.*other numbers", remedy="paste them"):
        lowered(book({"A1": "=RAND()", "C1": 2, "Z1": "=A1*C1"}), ["C1"], "Z1")


@pytest.mark.parametrize("call", ["RAND()", "TODAY()", "B1*RANDBETWEEN(1,2)"])
def test_a_loss_that_changes_at_every_recalculation_is_refused(call: str) -> None:
    made = saved({"A1": f"={call}", "B1": 1, "C1": "=A1+1", "Z1": "=(B1-C1)^2"}, {(1, 1): 5.0, (1, 3): 6.0})
    name = call.removeprefix("B1*").partition("(")[0]
    with refusal(
        UnsupportedFunction, cell=f"{HOME}!A1", cause=f"depends on this {name}", remedy="paste them as values"
    ):
        sgdsheet.compile(made, loss=f"{HOME}!Z1", params=f"{HOME}!B1")


def test_what_the_loss_does_not_read_may_change() -> None:
    model = compiled({"A1": "=RAND()", "B1": 1.0, "B2": "=A1*B1", "Z1": "=(B1-3)^2"}, "B1")
    assert float(model().detach()) == 4.0


def test_data_from_outside_of_the_workbook_is_a_constant() -> None:
    made = saved({"A1": '=WEBSERVICE("x")', "B1": 1, "Z1": "=(B1-A1)^2"}, {(1, 1): 5.0})
    assert float(sgdsheet.compile(made, loss=f"{HOME}!Z1", params=f"{HOME}!B1")().detach()) == 16.0


def test_commands_say_what_is_frozen(tmp_path: Path) -> None:
    path = tmp_path / "frozen.xlsx"
    made = xlsxwriter.Workbook(path)
    sheet = made.add_worksheet("Sheet1")
    for row in range(3):
        sheet.write_formula(row, 0, "=RAND()", None, 0.25)
    sheet.write_formula("B1", "=A1*4", None, 1.0)
    made.close()
    for command in (("inspect", path), ("check", path, "--all")):
        assert "3 formula cells keep their saved values (RAND, in Sheet1!A1 first)" in run(*command).out
        found = run(*command, "--json").json
        assert (found["formulas"], found["supported"], found["unsupported"]) == (4, 1, [])
        assert [(item["range"], item["function"]) for item in found["frozen"]] == [("Sheet1!A1:A3", "RAND")]


if __name__ == "__main__":
    function_index.FILE.write_text(index(), encoding="utf-8")
