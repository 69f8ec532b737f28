"""`sgdsheet train` on whole workbooks: what was promised is written, and nothing else in the file changes."""

from __future__ import annotations

import re
import shutil
import zipfile
from collections.abc import Iterator
from pathlib import Path

import openpyxl
import pytest
import xlsxwriter

import sgdsheet
from sgdsheet.hosts.file import load
from sgdsheet.problem.definition import sheets_with_problem
from sgdsheet.sheet.references import Cell, parse_range
from sgdsheet.sheet.workbook import ExcelError, Value, Workbook
from tests import training_books
from tests.cli_books import NAMES, line_book, predictions, run
from tests.gallery import GALLERY
from tests.shared_data import SOLVED, WORKBOOKS, shared_data
from tests.solver_models import PORTFOLIO, ROSENBROCK, solver_names, write
from tests.xlsx_parts import openpyxl_book

EXAMPLES = [
    path
    for path in sorted((Path(__file__).parent.parent / "workbooks").glob("*.xlsx"))
    if not path.stem.startswith("mnist")  # their data are not in the sheet: see test_mnist_workbooks
]
SAVED = {"linear": 0.14422714931, "nnet": 0.14315209642, "mmult": 0.14315209641}  # what Solver reached
CELL = re.compile(rb"<((?:\w+:)?c)(\s[^>]*?)?(/>|>(.*?)</\1>)", re.DOTALL)
VALUE = re.compile(rb"<((?:\w+:)?)v\b[^>]*?(/>|>[^<]*</\1v>)|<((?:\w+:)?)is>.*?</\3is>", re.DOTALL)
PLACE = re.compile(rb"""\s*r=["']\w+["']""")
TYPE = re.compile(rb"""\st=("[^"]*"|'[^']*')""")


# --- what Excel's Solver left -------------------------------------------------------------------------------


@shared_data("workbooks")
@pytest.mark.parametrize("sheet", SAVED)
def test_solver_model_is_found(tmp_path: Path, sheet: str) -> None:
    saved = load(SOLVED)
    found = run("inspect", SOLVED, "--sheet", sheet, "--json").json
    home, cell = (
        saved.sheets[sheet],
        Cell(sheet, *{"linear": (7, 27), "nnet": (1, 34), "mmult": (1, 27)}[sheet]),
    )
    assert (found["source"], found["direction"], found["loss_cell"]) == ("Solver", "minimise", str(cell))
    assert found["loss_saved"] == home.values[cell[1:]]
    assert found["loss"] == pytest.approx(found["loss_saved"], rel=1e-12)
    assert found["loss_formula"].startswith("=AVERAGE(")
    assert found["parameters"] == sum(item["count"] for item in found["parameter_ranges"])
    assert found["parameters"] == (10 if sheet == "linear" else 20)
    assert found["formulas"] == sum(block["cells"] for block in found["blocks"]) > 1000
    assert len(found["blocks"]) < 12
    assert all(block["formula"].startswith("=") for block in found["blocks"])
    text = run("inspect", SOLVED, "--sheet", sheet).out
    for shown in (
        found["loss_formula"],
        found["loss_cell"],
        *(item["range"] for item in found["parameter_ranges"]),
    ):
        assert shown in text
    assert f"{found['formulas']:,} formula cells in {len(found['blocks'])} blocks" in text

    trained = run("train", SOLVED, "--sheet", sheet, "--json", "--steps", "20", "-o", tmp_path / "out.xlsx").json
    assert trained["loss_start"] == pytest.approx(found["loss_saved"], rel=1e-12)
    assert round(trained["loss_start"], 11) == SAVED[sheet]
    assert trained["loss"] <= trained["loss_start"]


def test_a_model_that_was_set_up_for_solver_just_trains(tmp_path: Path) -> None:
    """No flags at all; constraints are kept."""
    names = solver_names(PORTFOLIO["loss"], PORTFOLIO["params"], 2, PORTFOLIO["constraints"])
    book = write(tmp_path / "portfolio.xlsx", PORTFOLIO["cells"], names)
    found = run("train", book, "--json").json
    assert found["problem"] == run("inspect", book, "--json").json["problem"]
    assert found["constraint_violation"] < 1e-6
    trained = load(tmp_path / "portfolio-trained.xlsx").sheets["Model"].values
    assert sum(float(str(trained[row, 1])) for row in range(2, 6)) == pytest.approx(1, abs=1e-6)
    assert trained[7, 2] == pytest.approx(1, abs=1e-6)
    assert trained[9, 2] == found["loss"]
    text = run("train", book).out
    assert "all constraints hold (largest violation " in text


def test_flags_take_the_place_of_names(tmp_path: Path) -> None:
    names = solver_names(ROSENBROCK["loss"], ROSENBROCK["params"], 2, [], neg=2)
    book = write(tmp_path / "rosenbrock.xlsx", ROSENBROCK["cells"], names)
    found = run("train", book, "--params", "A1", "--loss", "Model!A2", "--json").json
    assert (found["parameters"], found["loss_cell"]) == (1, "Model!A2")
    trained = load(tmp_path / "rosenbrock-trained.xlsx").sheets["Model"].values
    assert trained[1, 2] == 1.0  # B1 stays


# --- settings -----------------------------------------------------------------------------------------------


def test_flags_overrule_the_sheet(tmp_path: Path) -> None:
    settings = {"G1": "Optimizer", "H1": "adam", "G2": "LEARNING RATE", "H2": 0.125, "G3": "steps", "H3": 7.0}
    book = line_book(tmp_path, settings, {"sgd_settings": "Model!$G$1:$H$3"})
    found = run("train", book, "--json").json
    assert (found["optimizer"], found["learning_rate"], found["steps"]) == ("adam", 0.125, 7)
    found = run("train", book, "--steps", "3", "--optimizer", "sgd", "--lr", "0.01", "--json").json
    assert (found["optimizer"], found["learning_rate"], found["steps"]) == ("sgd", 0.01, 3)


def test_epochs_and_batches(tmp_path: Path) -> None:
    book = line_book(tmp_path, names={"sgd_data": "Model!$A$2:$D$6"})
    arguments = ("--batch-size", "2", "--epochs", "3", "--optimizer", "sgd", "--lr", "0.01", "--json")
    found = run("train", book, *arguments, "--seed", "1").json
    assert (found["steps"], found["epochs"]) == (9, 3)
    assert found["loss"] < found["loss_start"]
    assert run("train", book, *arguments, "--seed", "1").json["loss"] == found["loss"]
    assert run("train", book, *arguments, "--seed", "2").json["loss"] != found["loss"]


def test_restarts(tmp_path: Path) -> None:
    book = line_book(tmp_path, predictions("=MAX(0,$E$1*A#+$E$2)"))
    found = run("train", book, "--restarts", "8", "--steps", "100", "--seed", "3", "--device", "cpu", "--json").json
    assert found["restarts"]["starts"] == 8
    assert found["loss"] <= found["restarts"]["best"] + 1e-6


def test_metric(tmp_path: Path) -> None:
    book = line_book(tmp_path, {"G9": ("=SQRT(E4)", 4.32)}, {"sgd_metric": "Model!$G$9"})
    found = run("train", book, "--json").json
    assert found["metric"] == pytest.approx(found["loss"] ** 0.5, rel=1e-12)
    assert load(tmp_path / "line-trained.xlsx").sheets["Model"].values[9, 7] == found["metric"]
    assert "metric Model!G9 4.321 → 0.1463" in run("train", book).out


def test_no_steps_change_no_parameter(tmp_path: Path) -> None:
    book = line_book(tmp_path)
    before = load(book).sheets["Model"].values
    found = run("train", book, "--steps", "0", "--in-place", "--json").json
    assert found["loss"] == found["loss_start"]
    assert found["seconds_per_step"] is None
    assert load(book).sheets["Model"].values == pytest.approx(before)


# --- what changes in the file -------------------------------------------------------------------------------


def without_values(part: bytes) -> bytes:
    """A sheet's XML without the values of its cells and their types."""

    def bare(match: re.Match[bytes]) -> bytes:
        tag, attributes, inside = (
            match[1],
            TYPE.sub(b"", match[2] or b"").rstrip(),
            VALUE.sub(b"", match[4] or b""),
        )
        if PLACE.fullmatch(attributes) and not inside:
            return b""  # a cell of an array formula, perhaps, that had no value before
        return b"<" + tag + attributes + b">" + inside + b"</" + tag + b">"

    return CELL.sub(bare, part)


def differences(before: Path, after: Path) -> Iterator[str]:
    """The members that differ; all else about the packages has to be the same."""
    with zipfile.ZipFile(before) as old, zipfile.ZipFile(after) as new:
        assert new.testzip() is None
        assert new.namelist() == old.namelist()
        for info in old.infolist():
            other = new.getinfo(info.filename)
            assert (other.date_time, other.compress_type) == (info.date_time, info.compress_type)
            one, two = old.read(info), new.read(other)
            if one != two:
                assert without_values(one) == without_values(two)
                yield info.filename


def changed_cells(before: Workbook, after: Workbook) -> set[Cell]:
    assert {name: sheet.formulas for name, sheet in after.sheets.items()} == {
        name: sheet.formulas for name, sheet in before.sheets.items()
    }
    assert (after.names, after.tables) == (before.names, before.tables)
    return {
        Cell(name, *position)
        for name, sheet in before.sheets.items()
        for position in sheet.values.keys() | after.sheets[name].values.keys()
        if sheet.values.get(position) != after.sheets[name].values.get(position)
    }


def read(book: Workbook, cell: Cell) -> Value | None:
    return book.sheets[cell.sheet].values.get(cell[1:])


def same(one: Value | None, two: Value | None) -> bool:
    if isinstance(one, float) and isinstance(two, float):
        return one == pytest.approx(two, rel=1e-9, abs=1e-12)
    return one == two


def train_in_place(path: Path, *sheets: str, steps: int = 10) -> dict[Cell, float]:
    """Train the models of a workbook and compare everything in it; returns the last one's parameters."""
    original = path.with_name(f"original-{path.name}")
    shutil.copy(path, original)
    done = [run("train", path, "--sheet", name, "--in-place", "--json", "--steps", steps) for name in sheets]
    assert [(found.status, found.err) for found in done] == [(0, "")] * len(sheets)
    before, after = load(original), load(path)
    changed = changed_cells(before, after)
    members = list(differences(original, path))
    assert members
    unknown = [text for found in done for text in found.json["not_recalculated"]]
    marked = {"xl/workbook.xml"} if unknown else set()
    assert all(re.fullmatch(r"xl/worksheets/sheet\d+\.xml", name) for name in members if name not in marked)
    depending = {cell for text in unknown for cell in parse_range(text, "").cells()}
    assert not any(cell[1:] in after.sheets[cell.sheet].values for cell in depending)
    for found in done:
        model = sgdsheet.compile(after, found.json["sheet"])
        expected = {**model.dependent_cells().values, **model.parameter_cells()}
        depending |= expected.keys()
        moved = found.json["best_step"] > 0  # else the start was the best, and stayed
        assert bool(changed & model.parameter_cells().keys()) == moved
        for cell, value in expected.items():  # also on other sheets, and off the way to the loss
            assert same(read(after, cell), value), cell
        assert read(after, model.problem.loss) == pytest.approx(found.json["loss"], rel=1e-12)
        assert model().item() == pytest.approx(found.json["loss"], rel=1e-12)
    assert changed <= depending
    return model.parameter_cells()


@pytest.mark.parametrize("name", GALLERY)
def test_gallery(tmp_path: Path, name: str) -> None:
    path = GALLERY[name](tmp_path / f"{name}.xlsx")
    parameters = train_in_place(path, "S1" if name == "hand" else "Model", steps=1000)
    other = openpyxl_book(path, values=True)
    for cell, value in parameters.items():
        assert other[cell.sheet].cell(*cell[1:]).value == value


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_examples(tmp_path: Path, path: Path) -> None:
    copy = shutil.copy(path, tmp_path)
    train_in_place(Path(copy), *sheets_with_problem(load(path)))


@shared_data("workbooks")
@pytest.mark.parametrize(("name", "sheets"), [("titanic_solved.xlsx", list(SAVED)), ("titanic_start.xlsx", ["linear"])])
def test_titanic(tmp_path: Path, name: str, sheets: list[str]) -> None:
    train_in_place(Path(shutil.copy(WORKBOOKS / name, tmp_path)), *sheets)


def test_training_again_goes_on(tmp_path: Path) -> None:
    """Two runs in place: the second starts where the first ended."""
    book = line_book(tmp_path)
    arguments = ("--optimizer", "sgd", "--lr", "0.01", "--steps", "5", "--in-place", "--json")
    first, second = run("train", book, *arguments).json, run("train", book, *arguments).json
    assert second["loss_start"] == pytest.approx(first["loss"], rel=1e-12)
    assert second["loss"] < first["loss"] < first["loss_start"]


def test_log_sheet_is_an_addition(tmp_path: Path) -> None:
    """With --log-sheet the package grows; the parts that were there stay, but for the lists of parts."""
    book = GALLERY["xlsxwriter"](tmp_path / "book.xlsx")
    assert run("train", book, "--log-sheet", "--steps", "5").status == 0
    with zipfile.ZipFile(book) as old, zipfile.ZipFile(tmp_path / "book-trained.xlsx") as new:
        assert set(old.namelist()) < set(new.namelist())
        changed = {name for name in old.namelist() if old.read(name) != new.read(name)}
    sheets = {name for name in changed if name.startswith("xl/worksheets/sheet")}
    lists = {
        "[Content_Types].xml",
        "xl/workbook.xml",
        "xl/_rels/workbook.xml.rels",
        "xl/styles.xml",
        "docProps/app.xml",
    }
    assert changed - sheets <= lists
    names = {item.name: item.text for item in load(tmp_path / "book-trained.xlsx").names}
    assert names.items() >= dict(NAMES).items()


def test_placeholders_are_not_trusted(tmp_path: Path) -> None:
    """XlsxWriter saves 0 for every formula and asks for a recalculation; so the zeros are no constants."""
    path = tmp_path / "zeros.xlsx"
    with xlsxwriter.Workbook(path) as book:
        page = book.add_worksheet("Model")
        page.write("A1", 3.0)
        page.write_formula("A2", "=A1*2")  # constant, and saved as 0
        page.write_formula("A3", "=BESSELQ(A1,0)", None, 7.0)  # constant, and cannot be calculated here
        page.write("B1", 1.0)
        page.write_formula("C1", "=(A2*B1-A3)^2")
        book.define_name("Model!sgd_loss", "=Model!$C$1")
        book.define_name("Model!sgd_params", "=Model!$B$1")
    model = sgdsheet.compile(sgdsheet.load(path))
    assert model().item() == pytest.approx((6 * 1 - 7) ** 2)
    assert sgdsheet.Session(model).run() == pytest.approx(0, abs=1e-12)


def test_workbook_that_openpyxl_cannot_load(tmp_path: Path) -> None:
    """A font family beyond 14 occurs in real files; openpyxl gives up on it. Nothing of ours looks at it."""
    good, path = line_book(tmp_path), tmp_path / "odd.xlsx"
    with zipfile.ZipFile(good) as source, zipfile.ZipFile(path, "w") as target:
        for member in source.infolist():
            data = source.read(member)
            if member.filename == "xl/styles.xml":
                data, changed = re.subn(rb'<family val="\d+"/>', b'<family val="34"/>', data)
                assert changed
            target.writestr(member, data)
    with pytest.raises(ValueError, match="could not read stylesheet"):
        openpyxl.load_workbook(path)
    with zipfile.ZipFile(path) as before:
        kept = {name: before.read(name) for name in before.namelist() if "worksheets" not in name}
    found = run("train", path, "--in-place", "--json").json
    assert found["loss"] < found["loss_start"]
    with zipfile.ZipFile(path) as after:
        assert {name: after.read(name) for name in after.namelist() if "worksheets" not in name} == kept
    assert sgdsheet.compile(load(path))().item() == pytest.approx(found["loss"], abs=1e-12)


def test_starts_in_one_valley_ended_in_one_minimum(tmp_path: Path) -> None:
    """A line through points has one; where Adam's starts stand when its steps are used up is no other."""
    found = run("train", line_book(tmp_path), "--restarts", "10", "--seed", "1", "--steps", "5", "--json")
    quartiles = found.json["restarts"]["quartiles"]
    assert quartiles[2] > 1.01 * quartiles[0]
    assert found.json["restarts"]["minima"] == 1
    said = " ".join(run("train", line_book(tmp_path), "--restarts", "10", "--seed", "1", "--steps", "5").out.split())
    assert "10 starts ended in the one valley that there is, at different heights: best" in said


def test_a_loss_that_is_an_error_in_a_spreadsheet_is_said_to_be_one(tmp_path: Path) -> None:
    """All powers of e underflow there; the program adds them up by their logarithms."""
    cells = {"A1": [[1.0], [2.0]], "B1": "=LN(SUMPRODUCT(EXP(A1:A2)))"}
    book = training_books.write(tmp_path / "book.xlsx", cells, {"sgd_loss": "B1", "sgd_params": "A1:A2"})
    model = ("train", book, "--optimizer", "sgd", "--json")
    found = run(*model, "--lr", "50", "--steps", "40").json
    assert any("B1 is #NUM! in a spreadsheet" in text for text in found["warnings"])
    assert load(found["output"]).sheets[training_books.HOME].values[1, 2] is ExcelError.NUM
    assert not any("spreadsheet" in text for text in run(*model, "--lr", "1", "--steps", "5").json["warnings"])
