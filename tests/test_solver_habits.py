"""What Excel's Solver lets pass: variables that nothing uses or that hold formulas, names that are out of date."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import xlsxwriter

from sgdsheet.hosts.file import FileHost, load
from sgdsheet.problem.definition import SPREADSHEET, models_in
from sgdsheet.sheet.formula import moved
from sgdsheet.sheet.references import Cell
from tests.cli_books import fill, run
from tests.xlsx_parts import MAIN, RELATIONSHIPS, member, parts, sheet, zipped

CELLS: Mapping[str, Any] = {
    "A1": 3.0, "A2": -1.0, "A3": 7.0, "A4": 5.0,
    "B1": ("=(A1-1)^2", 4.0), "B2": ("=(A2-2)^2", 9.0), "B4": ("=SUM(B1:B2)", 13.0), "C4": ("=A4*2", 10.0),
}  # fmt: skip
MODEL = {"opt": "Model!$B$4", "adj": "Model!$A$1:$A$4", "typ": "2", "neg": "2"}


def solver_book(folder: Path, cells: Mapping[str, Any] = CELLS, more: tuple[str, ...] = (), **changes: str) -> Path:
    path = folder / "solver.xlsx"
    with xlsxwriter.Workbook(str(path)) as book:
        fill(book.add_worksheet("Model"), cells)
        for name in more:
            fill(book.add_worksheet(name), CELLS)
        for name, text in {**MODEL, **changes}.items():
            book.define_name(f"Model!solver_{name}", f"={text}")
    return path


def refusal(path: Path, *arguments: str) -> str:
    found = run("train", path, *arguments)
    assert (found.status, found.out) == (1, "")
    (line,) = found.err.splitlines()
    return line.removeprefix("sgdsheet: ")


# --- variables that nothing uses --------------------------------------------------------------------------


def test_unused_variables_are_left_alone(tmp_path: Path) -> None:
    path = solver_book(tmp_path)
    found = run("train", path, "-o", tmp_path / "out.xlsx", "--json").json
    assert found["parameters"] == 2
    assert found["loss"] == pytest.approx(0, abs=1e-9)
    assert found["warnings"] == [
        "2 of Solver's variables are not used by the objective or a constraint: Model!A3:A4 stay as they are"
    ]
    trained = load(tmp_path / "out.xlsx").sheets["Model"].values
    assert (trained[3, 1], trained[4, 1]) == (7.0, 5.0)
    assert (trained[1, 1], trained[2, 1]) == pytest.approx((1.0, 2.0), abs=1e-5)
    assert run("inspect", path, "--json").json["unused_parameters"] == ["Model!A3:A4"]
    assert "Model!A3:A4 are used by neither" in run("inspect", path).out
    assert "Model!A3:A4 stay as they are" in run("check", path).out


def test_one_unused_variable(tmp_path: Path) -> None:
    found = run("train", solver_book(tmp_path, adj="Model!$A$1:$A$3"), "--json").json
    assert found["warnings"] == [
        "Solver's variable Model!A3 is not used by the objective or a constraint: it stays as it is"
    ]


def test_a_variable_of_a_constraint_is_used(tmp_path: Path) -> None:
    path = solver_book(tmp_path, num="1", lhs1="Model!$C$4", rel1="3", rhs1="12")
    found = run("train", path, "-o", tmp_path / "out.xlsx", "--json").json
    assert found["parameters"] == 3
    assert load(tmp_path / "out.xlsx").sheets["Model"].values[4, 1] > 6 - 1e-6


def test_no_variable_is_used(tmp_path: Path) -> None:
    line = refusal(solver_book(tmp_path, adj="Model!$A$3:$A$4"))
    assert line.startswith("Model!A3: the loss Model!B4 does not depend on this parameter. ")


# --- variables that hold formulas -------------------------------------------------------------------------

FORMULAS = {**CELLS, "D1": 2.5, "A1": ("=D1+0.5", 3.0), "E1": ("=A1*10", 30.0)}


def test_formulas_are_only_overwritten_when_asked(tmp_path: Path) -> None:
    path = solver_book(tmp_path, FORMULAS, adj="Model!$A$1:$A$2")
    before = path.read_bytes()
    assert refusal(path) == (
        "Model!A1: a parameter cell holds a formula. Put a number there, or leave the cell out; "
        "train --overwrite-formulas replaces the formulas in A1 (1 cell) by numbers"
    )
    output = tmp_path / "out.xlsx"
    found = run("train", path, "--overwrite-formulas", "-o", output, "--json").json
    assert found["loss_start"] == 13.0  # the formulas' present values are the start
    assert found["loss"] == pytest.approx(0, abs=1e-9)
    assert "Numbers took the place of formulas: Model!A1 (1 cell)" in found["warnings"]
    trained = load(output).sheets["Model"]
    assert (1, 1) not in trained.formulas
    assert trained.values[1, 1] == pytest.approx(1.0, abs=1e-5)
    assert trained.values[1, 5] == pytest.approx(10.0, abs=1e-4)
    assert trained.formulas.keys() == load(path).sheets["Model"].formulas.keys() - {(1, 1)}
    assert path.read_bytes() == before


def test_what_only_reads_needs_no_permission(tmp_path: Path) -> None:
    path = solver_book(tmp_path, FORMULAS, adj="Model!$A$1:$A$2")
    found = run("inspect", path, "--json").json
    assert (found["overwritten_formulas"], found["loss"]) == (["Model!A1"], 13.0)
    assert "Model!A1 hold formulas, which train --overwrite-formulas" in run("inspect", path).out
    assert run("check", path, "--json").json["gradient_max_error"] < 1e-6


def test_the_setting_of_a_sheet(tmp_path: Path) -> None:
    path = tmp_path / "named.xlsx"
    with xlsxwriter.Workbook(str(path)) as book:
        fill(book.add_worksheet("Model"), {**FORMULAS, "G1": "overwrite formulas", "H1": "yes"})
        for name, area in (("loss", "$B$4"), ("params", "$A$1:$A$2"), ("settings", "$G$1:$H$1")):
            book.define_name(f"Model!sgd_{name}", f"=Model!{area}")
    assert run("train", path, "-o", tmp_path / "out.xlsx", "--json").json["loss"] == pytest.approx(0, abs=1e-9)
    assert (1, 1) not in load(tmp_path / "out.xlsx").sheets["Model"].formulas
    assert [model.error for model in models_in(load(path))] == [None]


def test_an_open_workbook_is_told_of_the_setting(tmp_path: Path) -> None:
    """Options of commands are no help to somebody who has the sheet in front of them."""
    (model,) = models_in(load(solver_book(tmp_path, FORMULAS, adj="Model!$A$1:$A$2")), SPREADSHEET)
    assert model.error is not None
    assert "with the setting “overwrite formulas”, numbers replace the formulas in A1" in str(model.error)
    assert "--" not in str(model.error)


def test_a_formula_that_was_never_calculated_is_no_start(tmp_path: Path) -> None:
    path = solver_book(tmp_path, {**FORMULAS, "A1": "=D1+0.5"}, adj="Model!$A$1:$A$2")
    assert refusal(path, "--overwrite-formulas").startswith(
        "Model!A1: this formula is to be replaced by a number, and it was never calculated. Calculate the workbook"
    )


ROWS = (
    '<row r="1"><c r="A1"><f t="shared" ref="A1:A3" si="0">D1+0.5*$D$1</f><v>1.5</v></c><c r="D1"><v>1</v></c></row>'
    '<row r="2"><c r="A2"><f t="shared" si="0"/><v>2.5</v></c><c r="D2"><v>2</v></c></row>'
    '<row r="3"><c r="A3"><f t="shared" si="0"/><v>3.5</v></c><c r="D3"><v>3</v></c></row>'
)
CHAIN = f'<calcChain xmlns="{MAIN}"><c r="A1" i="1" l="1"/><c r="A2"/><c r="A3"/></calcChain>'


@pytest.fixture
def filled_down(tmp_path: Path) -> Path:
    """A formula as Excel writes what was filled down, in a workbook with a chain of calculation."""
    content = parts(sheet(ROWS))
    links = str(content["xl/_rels/workbook.xml.rels"])
    link = f'<Relationship Id="rId9" Type="{RELATIONSHIPS}/calcChain" Target="calcChain.xml"/>'
    content["xl/_rels/workbook.xml.rels"] = links.replace("</Relationships>", f"{link}</Relationships>")
    content["xl/calcChain.xml"] = CHAIN
    path = tmp_path / "shared.xlsx"
    path.write_bytes(zipped(content))
    return path


@pytest.mark.parametrize(
    ("gone", "kept", "chain"),
    [
        (
            (1,),
            '<c r="A2"><f t="shared" ref="A2:A3" si="0">D2+0.5*$D$1</f><v>2.5</v></c>|'
            '<c r="A3"><f t="shared" si="0"/><v>9</v></c>',
            '<c i="1" r="A2"/><c r="A3"/>',
        ),
        (
            (2,),
            '<c r="A1"><f t="shared" ref="A1:A3" si="0">D1+0.5*$D$1</f><v>1.5</v></c>|'
            '<c r="A3"><f t="shared" si="0"/><v>9</v></c>',
            '<c r="A1" i="1" l="1"/><c r="A3"/>',
        ),
        ((1, 2), '<c r="A3"><f>D3+0.5*$D$1</f><v>9</v></c>', '<c i="1" r="A3"/>'),
    ],
)
def test_the_others_of_a_shared_formula_keep_theirs(
    filled_down: Path, gone: tuple[int, ...], kept: str, chain: str
) -> None:
    host = FileHost(filled_down)
    host.read()
    host.write({Cell("S1", row, 1): 9.0 for row in (*gone, 3)})
    host.replace_formulas([Cell("S1", row, 1) for row in gone])
    host.save()
    written = member(filled_down).decode()
    for text in (*(f'<c r="A{row}"><v>9</v></c>' for row in gone), *kept.split("|")):
        assert text in written
    assert member(filled_down, "xl/calcChain.xml").decode() == CHAIN[: CHAIN.index("<c r")] + chain + "</calcChain>"
    after = load(filled_down).sheets["S1"]
    assert after.formulas.keys() == {(row, 1) for row in (1, 2, 3)} - {(row, 1) for row in gone}


def test_a_formula_moved() -> None:
    text = "SUM($A1:B$2)+'my A1'!C3*Table1[A1]&\"A1\"+_xlfn.NORM.DIST(D4,LOG10(2),$E$5,1)+F:F+$3:4"
    moved_text = "SUM($A2:D$2)+'my A1'!E4*Table1[A1]&\"A1\"+_xlfn.NORM.DIST(F5,LOG10(2),$E$5,1)+H:H+$3:5"
    assert moved(text, 1, 1, 2, 3) == moved_text


# --- names that are out of date ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"opt": "Model!$A$3"}, "Model!A3: Solver's objective holds no formula, but the number 7. Set the objective"),
        ({"opt": "Model!$Z$9"}, "Model!Z9: Solver's objective holds no formula, but nothing. Set the objective"),
        ({"opt": "#REF!"}, "Solver's objective on sheet Model points to cells that were deleted (#REF!). Point it"),
        ({"adj": "Model!#REF!,Model!$A$1"}, "Solver's list of variable cells on sheet Model points to cells that were"),
        ({"adj": "Gone!$A$1"}, "Solver's list of variable cells on sheet Model points to a sheet that is not there"),
        (
            {"opt": "Other!$B$4"},
            "Other!B4: Solver's model on sheet Model points to another sheet, as in a copy of one. Set it up in Solver",
        ),
        (
            {"num": "1", "lhs1": "#REF!", "rel1": "1", "rhs1": "4"},
            "Solver's constraint 1 points to cells that were del",
        ),
    ],
)
def test_stale_names(tmp_path: Path, changes: dict[str, str], words: str) -> None:
    path = solver_book(tmp_path, more=("Other",), **changes)
    assert refusal(path).startswith(words)
    found = run("inspect", path)  # nobody may know of Solver's names any more: it says so and goes on
    assert (found.status, found.err) == (0, "")
    assert "“Model” cannot be used" in found.out
    assert run("check", path).status == 0
