"""`sgdsheet new titanic --csv FILE`: the full sheets from a passenger file, and what is said of unusable files."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import openpyxl
import pytest
import torch

import sgdsheet
from sgdsheet.analysis import checking
from sgdsheet.analysis.diagnosis.curvature import spectrum
from sgdsheet.apps import examples
from sgdsheet.apps.cli import main
from sgdsheet.apps.examples._passengers import MOST, read
from sgdsheet.errors import SgdSheetError
from tests.errors import refusal
from tests.shared_data import DATA, WORKBOOKS, shared_data
from tests.test_lessons import same

HEADER = "PassengerId,Survived,Pclass,Name,Sex,Age,SibSp,Parch,Ticket,Fare,Cabin,Embarked"
ROWS = (
    '1,0,3,"Berg, Mr. Ole",male,22,1,0,A1,7.25,,S',
    '2,1,1,"Holm, Mrs. Ida",female,38,1,0,A2,71.28,C85,C',
    '3,1,2,"Lund, Miss. Eva",female,,0,2,A3,8.05,,Q',
    '4,0,3,"Dahl, Mr. Per",male,35,0,0,A4,8.05,,',
    '5,1,2,"Vik, Miss. Una",female,4,1,1,A5,16.7,,S',
)
SHEETS = ("linear", "nnet", "mmult", "raw")


def table(folder: Path, *rows: str, header: str = HEADER) -> Path:
    path = folder / "some.csv"
    path.write_text("\n".join([header, *rows]) + "\n", encoding="utf-8")
    return path


@pytest.fixture(scope="module")
def full(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The workbook of the well-known file."""
    path = tmp_path_factory.mktemp("titanic") / "titanic.xlsx"
    examples.build("titanic", path, csv=DATA / "titanic.csv")
    return path


# --- the well-known file ------------------------------------------------------------------------------------


@shared_data("titanic.csv", "workbooks")
def test_linear_sheet_of_the_lecture(full: Path) -> None:
    lecture = openpyxl.load_workbook(WORKBOOKS / "titanic_start.xlsx", data_only=True)["linear"]
    start = [lecture.cell(4, column).value for column in range(18, 28)]
    model = sgdsheet.compile(sgdsheet.load(full), "linear")
    ((_, weights),) = model.ranges()
    with torch.no_grad():
        weights.copy_(torch.tensor(start, dtype=torch.float64))
    assert float(model().detach()) == pytest.approx(0.9526760201487143, abs=1e-12)
    losses = [step.loss for step in sgdsheet.Session(model, optimizer="sgd", lr=0.1, steps=1001)]
    assert losses[:4] == pytest.approx([0.95268, 0.30826, 0.27515, 0.25144], abs=1e-5)
    assert [losses[10], losses[100]] == pytest.approx([0.18515, 0.15229], abs=1e-5)
    assert losses[1000] == pytest.approx(0.144255, abs=1e-6)
    assert sgdsheet.Session(model, optimizer="lbfgs", steps=500).run() == pytest.approx(0.1442271493, abs=1e-10)


@shared_data("titanic.csv", "workbooks")
@pytest.mark.parametrize(("sheet", "condition", "rate"), [("linear", 484, 0.209), ("raw", 364_301, 0.000229)])
def test_raw_and_scaled(full: Path, sheet: str, condition: float, rate: float) -> None:
    found = spectrum(sgdsheet.compile(sgdsheet.load(full), sheet))
    assert round(found.condition) == condition
    assert found.stable_rate == pytest.approx(rate, rel=0.003)


@shared_data("titanic.csv", "workbooks")
def test_network_with_validation_rows(full: Path) -> None:
    model = sgdsheet.compile(sgdsheet.load(full), "mmult")
    assert [tuple(parameter.shape) for _, parameter in model.ranges()] == [(10, 20), (20,), ()]
    session = sgdsheet.Session(model)
    session.run()
    assert session.sample_count == 712 - 142
    assert session.valid_loss is not None
    assert session.valid_loss < 0.15
    assert session.valid_metric is not None
    assert session.valid_metric > 0.8


@shared_data("titanic.csv", "workbooks")
def test_what_start_says_of_the_file(full: Path) -> None:
    book = openpyxl.load_workbook(full)
    assert book.sheetnames == ["Start", *SHEETS]
    said = str(book["Start"]["B2"].value)
    assert said.startswith("712 of the 891 passengers in the file titanic.csv")
    assert "Age is empty in 177, Embarked is empty in 2" in said


@shared_data("titanic.csv", "workbooks")
def test_every_cell_is_what_libreoffice_calculates(full: Path, tmp_path: Path) -> None:
    office = shutil.which("soffice")
    if office is None:
        pytest.skip("LibreOffice is not installed")
    openpyxl.load_workbook(full).save(tmp_path / "book.xlsx")  # without saved values
    profile = f"-env:UserInstallation={(tmp_path / 'profile').as_uri()}"
    command = [office, profile, "--headless", "--convert-to", "xlsx", "--outdir", str(tmp_path / "out")]
    subprocess.run([*command, str(tmp_path / "book.xlsx")], check=True, capture_output=True, timeout=300)
    theirs = openpyxl.load_workbook(tmp_path / "out" / "book.xlsx", data_only=True)
    for title in SHEETS:
        model = sgdsheet.compile(sgdsheet.load(full), title)
        report = checking.check_model(model)
        assert report.passed
        assert report.compared == report.formulas > 0
    for cell, value in model.dependent_cells(everything=True).values.items():
        assert same(value, theirs[cell.sheet].cell(cell.row, cell.column).value), cell


# --- other files --------------------------------------------------------------------------------------------


def test_same_bytes_every_time(tmp_path: Path) -> None:
    source = table(tmp_path, *ROWS)
    for name in ("one", "two"):
        examples.build("titanic", tmp_path / f"{name}.xlsx", csv=source)
    assert (tmp_path / "one.xlsx").read_bytes() == (tmp_path / "two.xlsx").read_bytes()


def test_incomplete_rows_are_left_out_and_counted(tmp_path: Path) -> None:
    found = read(table(tmp_path, *ROWS))
    assert [row.age for row in found.rows] == [22, 38, 4]
    assert found.total == 5
    assert {name: count for name, count in found.empty.items() if count} == {"Age": 1, "Embarked": 1}
    examples.build("titanic", tmp_path / "book.xlsx", csv=table(tmp_path, *ROWS))
    said = str(openpyxl.load_workbook(tmp_path / "book.xlsx")["Start"]["B2"].value)
    assert said.startswith("3 of the 5 passengers in the file some.csv")
    for title in SHEETS:
        model = sgdsheet.compile(sgdsheet.load(tmp_path / "book.xlsx"), title)
        assert checking.check_model(model, everything=True).passed
        assert sgdsheet.Session(model, steps=5).run() <= float(model().detach()) + 1e-12


def test_other_order_case_delimiter_and_words_for_nothing(tmp_path: Path) -> None:
    header = "sex;AGE;embarked;fare;pclass;parch;sibsp;survived;cat"
    rows = (
        "Male;22;s;7.5;3;0;1;0;x",
        "FEMALE;38.5;C;71.2;1;0;1;1;y",
        "female;NA;Q;8;3;0;0;1;z",
        "male;30;Q;9;2;1;0;0;",
    )
    found = read(table(tmp_path, *rows, header=header))
    assert [row.sex for row in found.rows] == ["male", "female", "male"]
    assert [(row.age, row.port) for row in found.rows] == [(22, "S"), (38.5, "C"), (30, "Q")]


@pytest.mark.parametrize(
    ("row", "words"),
    [
        ('9,0,3,"X",male,abc,0,0,A,7,,S', "line 7, column Age: “abc” cannot be used. Write a number from 0 to 150"),
        ('9,0,3,"X",male,-1,0,0,A,7,,S', "line 7, column Age: “-1” cannot be used"),
        ('9,2,3,"X",male,1,0,0,A,7,,S', "line 7, column Survived: “2” cannot be used. Write 0 or 1"),
        ('9,0,4,"X",male,1,0,0,A,7,,S', "line 7, column Pclass: “4” cannot be used. Write 1, 2 or 3"),
        ('9,0,2.5,"X",male,1,0,0,A,7,,S', "line 7, column Pclass: “2.5” cannot be used"),
        ('9,0,3,"X",man,1,0,0,A,7,,S', "line 7, column Sex: “man” cannot be used. Write male or female"),
        ('9,0,3,"X",male,1,0,0,A,free,,S', "line 7, column Fare: “free” cannot be used"),
        ('9,0,3,"X",male,1,0,0,A,inf,,S', "line 7, column Fare: “inf” cannot be used"),
        ('9,0,3,"X",male,1,0,0,A,7,,Dublin', "line 7, column Embarked: “Dublin” cannot be used. Write S, C or Q"),
        ('9,0,3,"X",male,1,x,0,A,7,,S', "line 7, column SibSp: “x” cannot be used. Write a whole number, 0 or more"),
    ],
)
def test_cells_that_cannot_be_used(tmp_path: Path, row: str, words: str) -> None:
    with pytest.raises(SgdSheetError) as caught:
        read(table(tmp_path, *ROWS, row))
    assert words in str(caught.value)


@pytest.mark.parametrize(
    ("header", "rows", "words"),
    [
        (
            HEADER.replace("Survived,", ""),
            [row[:2] + row[4:] for row in ROWS],
            "no column Survived. It seems to be the",
        ),
        (
            HEADER.replace("Age", "Years").replace("Fare", "Paid"),
            ROWS,
            "no column Age, Fare. Use a passenger file with",
        ),
        (HEADER, [ROWS[2], ROWS[3]], "has 0 complete rows; Age is empty in 1"),
        (HEADER, [ROWS[0].replace("22", "0"), ROWS[1].replace("38", "0")], "every age is 0"),
        (HEADER, [], "has a header but no rows"),
    ],
)
def test_files_that_cannot_be_used(tmp_path: Path, header: str, rows: list[str], words: str) -> None:
    with pytest.raises(SgdSheetError) as caught:
        read(table(tmp_path, *rows, header=header))
    assert words in str(caught.value)


def test_too_many_rows(tmp_path: Path) -> None:
    with refusal(SgdSheetError, cause="20,001 rows, too many for a sheet"):
        read(table(tmp_path, *[ROWS[0]] * (MOST + 1)))


# --- the command --------------------------------------------------------------------------------------------


def run(*arguments: object) -> int:
    try:
        main([str(argument) for argument in arguments])
    except SystemExit as end:
        return int(end.code or 0)
    return 0


def test_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "mine.xlsx"
    assert run("new", "titanic", "--csv", table(tmp_path, *ROWS), "-o", out) == 0
    assert "--sheet linear" in capsys.readouterr().out.replace("\n", " ")
    assert run("inspect", out, "--sheet", "linear") == 0
    capsys.readouterr()
    for status, arguments, words in (
        (1, ("titanic", "--csv", tmp_path / "none.csv"), "none.csv"),
        (2, ("quadratic", "--csv", tmp_path / "some.csv"), "the example “quadratic” takes no csv. It is for: titanic"),
    ):
        assert run("new", *arguments, "-o", tmp_path / "other.xlsx") == status
        said = capsys.readouterr().err
        assert words in said
        assert said.count("\n") == 1
        assert not (tmp_path / "other.xlsx").exists()
