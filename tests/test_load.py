"""What `sgdsheet.load` takes, and files that are no .xlsx: tables as text, and what only LibreOffice reads."""

from __future__ import annotations

import re
import subprocess
import sys
from io import BytesIO, StringIO
from pathlib import Path
from typing import Any

import openpyxl
import pytest

import sgdsheet
from sgdsheet.errors import FileError, HostError
from sgdsheet.hosts.file import FileHost, output_name
from sgdsheet.hosts.libreoffice import office_conversion
from sgdsheet.sheet.formula import formula_text
from sgdsheet.sheet.references import Cell, parse_range
from sgdsheet.sheet.workbook import Value
from tests import office
from tests.cli_books import run
from tests.errors import refusal
from tests.ods_parts import content, number, ods, row
from tests.office import LibreOffice
from tests.xlsb_parts import ADD, MULTIPLY, formula, real, reference, xlsb
from tests.xlsx_parts import zipped
from tests.xlwings_program import ExcelOverLibreOffice

WORKBOOKS = Path(__file__).parent.parent / "workbooks"
QUADRATIC = WORKBOOKS / "quadratic.xlsx"


def line_in_memory() -> openpyxl.Workbook:
    """A straight line through three points, as openpyxl makes it: formulas without values."""
    book = openpyxl.Workbook()
    page = book.active
    assert page is not None
    page.title = "line"
    for cells in (
        (1, 3.1, "=D$1*A1+E$1", 1, 0),
        (2, 4.9, "=D$1*A2+E$1"),
        (3, 7.0, "=D$1*A3+E$1"),
        ("=SUMXMY2(B1:B3,C1:C3)",),
    ):
        page.append(cells)
    return book


# --- sources ----------------------------------------------------------------------------------------------


def test_path_bytes_and_file_object() -> None:
    wanted = sgdsheet.load(str(QUADRATIC))
    data = QUADRATIC.read_bytes()
    with QUADRATIC.open("rb") as file:
        for source in (QUADRATIC, data, BytesIO(data), file):
            found = sgdsheet.load(source)
            assert found.sheets == wanted.sheets
            assert found.names == wanted.names


def test_a_file_object_is_read_once_and_saved_elsewhere(tmp_path: Path) -> None:
    host = FileHost(BytesIO(QUADRATIC.read_bytes()))
    assert host.read() == host.read()
    host.write({Cell("raw", 6, 6): 0.5})
    with refusal(FileError, cause="no place on disk", remedy="where to save"):
        host.save()
    host.save(tmp_path / "out.xlsx")
    assert sgdsheet.load(tmp_path / "out.xlsx").sheets["raw"].values[6, 6] == 0.5


def test_bytes_are_saved_in_their_own_format(tmp_path: Path) -> None:
    data = ods(tmp_path / "a.ods", content(row(number(1)))).read_bytes()
    host = FileHost(data)
    host.write({Cell("S1", 1, 1): 2.0})
    host.save(tmp_path / "out.ods")
    assert sgdsheet.load(tmp_path / "out.ods").sheets["S1"].values == {(1, 1): 2.0}
    with refusal(FileError, cause="of another kind", remedy=r"\.ods"):
        FileHost(data).check_output(tmp_path / "out.xlsx")


def test_an_openpyxl_workbook_is_calculated_here(tmp_path: Path) -> None:
    book = line_in_memory()
    workbook = sgdsheet.load(book)
    assert (4, 1) not in workbook.sheets["line"].values
    model = sgdsheet.compile(workbook, sheet="line", loss="A4", params="D1:E1")
    assert float(model().item()) == pytest.approx(2.1**2 + 2.9**2 + 4**2)
    host = FileHost(book)
    host.write(model.parameter_cells())
    host.save(tmp_path / "out.xlsx")
    assert book["line"]["D1"].value == 1


def test_what_is_no_workbook() -> None:
    wrong: list[Any] = [3, None, ["a.xlsx"]]
    for source in wrong:
        with pytest.raises(TypeError, match="a path, bytes, a file object, an openpyxl Workbook or an xlwings Book"):
            sgdsheet.load(source)
    with pytest.raises(TypeError, match="mode 'rb'"):
        sgdsheet.load(StringIO("text"))
    with refusal(FileError, cause="is empty"):
        sgdsheet.load(b"")


@pytest.mark.skipif(not office.available(), reason="LibreOffice is not installed")
def test_an_open_book_of_xlwings(tmp_path: Path) -> None:
    program = ExcelOverLibreOffice()
    try:
        path = tmp_path / "quadratic.xlsx"
        path.write_bytes(QUADRATIC.read_bytes())
        opened = program.open(path)
        found = sgdsheet.load(opened.host._book)
    finally:
        program.stop()
    wanted = sgdsheet.load(QUADRATIC)
    assert list(found.sheets) == list(wanted.sheets)
    assert found.sheets["raw"].formulas.keys() == wanted.sheets["raw"].formulas.keys()
    assert found.sheets["raw"].values[6, 4] == pytest.approx(wanted.sheets["raw"].values[6, 4])


def test_neither_xlwings_nor_openpyxl_is_imported() -> None:
    """They are not among the requirements of the package."""
    code = (
        "import sys, sgdsheet; sgdsheet.load(sys.argv[1]);"
        "print([name for name in ('xlwings', 'openpyxl', 'torch') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code, str(QUADRATIC)], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


# --- tables as text ---------------------------------------------------------------------------------------

TABLE = 'x,y,fit,slope,loss\n1,3.1,=$D$2*A2,1,"=SUMXMY2(B2:B3,C2:C3)"\n2,4.9,=$D$2*A3,,\n'


ODD = ("1_0", "nan", "inf", "1e999", "0x1", "=")
ROW = [(1, column) for column in range(1, len(ODD) + 1)]


def table(folder: Path, text: str | bytes, name: str = "line.csv") -> Path:
    path = folder / name
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


def test_a_table_is_a_workbook_of_one_sheet(tmp_path: Path) -> None:
    book = sgdsheet.load(table(tmp_path, TABLE))
    page = book.sheets["line"]
    assert page.values[1, 2] == "y"
    assert page.values[2, 2] == 3.1
    assert {place: formula_text(formula, *place) for place, formula in page.formulas.items()} == {
        (2, 3): "$D$2*A2",
        (2, 5): "SUMXMY2(B2:B3,C2:C3)",
        (3, 3): "$D$2*A3",
    }
    assert not book.has_results(parse_range("C2:C3", "line"))


@pytest.mark.parametrize(
    ("text", "name", "values"),
    [
        ("1;2,5\n", "a.csv", {(1, 1): 1.0, (1, 2): 2.5}),
        ("1,5;2,5;x,y\n\n", "a.csv", {(1, 1): 1.5, (1, 2): 2.5, (1, 3): "x,y"}),
        ("1;2.5;3,x\n", "a.csv", {(1, 1): 1.0, (1, 2): 2.5, (1, 3): "3,x"}),
        ("1\t2\n", "a.tsv", {(1, 1): 1.0, (1, 2): 2.0}),
        ('"a,""b""", -1e3 ,true\n', "a.csv", {(1, 1): 'a,"b"', (1, 2): -1000.0, (1, 3): True}),
        ("1_0,nan,inf,1e999,0x1,=\n", "a.csv", dict(zip(ROW, ODD, strict=True))),
        ("\n\n5\n", "a.csv", {(3, 1): 5.0}),
        ("é,1\n".encode("cp1252"), "a.csv", {(1, 1): "é", (1, 2): 1.0}),
        ("é,1\n".encode("utf-16"), "a.csv", {(1, 1): "é", (1, 2): 1.0}),
        ("é,1\n".encode("utf-8-sig"), "a.csv", {(1, 1): "é", (1, 2): 1.0}),
    ],
)
def test_cells_of_a_table(tmp_path: Path, text: str | bytes, name: str, values: dict[Any, Value]) -> None:
    assert sgdsheet.load(table(tmp_path, text, name)).sheets["a"].values == values


@pytest.mark.parametrize(
    ("text", "cause"), [(b"", "is empty"), (b"a\0b", "is not text"), (b'"' + b"x" * 200_000, "no proper table")]
)
def test_what_is_no_table(tmp_path: Path, text: bytes, cause: str) -> None:
    with refusal(FileError, cause=cause):
        sgdsheet.load(table(tmp_path, text))


def test_a_text_that_is_too_long_is_not_cut(tmp_path: Path) -> None:
    assert sgdsheet.load(table(tmp_path, "1," + "x" * 32_767)).sheets["line"].values[1, 2] == "x" * 32_767
    with refusal(FileError, cell="line!B2", cause="longer than 32,767", remedy="Shorten"):
        sgdsheet.load(table(tmp_path, "1,2\n1," + "x" * 32_768))


def test_a_newer_function_has_the_name_that_excel_knows_in_a_file(tmp_path: Path) -> None:
    found = sgdsheet.load(table(tmp_path, '1,"=ifs(A1>0,2)",=SUM(A1),"=IFS("')).sheets["line"].formulas
    assert [found[1, column].text for column in (2, 3, 4)] == ["_xlfn.IFS(A1>0,2)", "SUM(A1)", "IFS("]


def test_a_sheet_of_any_file_name(tmp_path: Path) -> None:
    assert list(sgdsheet.load(table(tmp_path, "1", "a[1] 'x' " + "y" * 40 + ".csv")).sheets) == ["a_1_ 'x' " + "y" * 22]


def test_train_a_table(tmp_path: Path) -> None:
    path = table(tmp_path, TABLE)
    before = path.read_bytes()
    done = run("train", path, "--loss", "E2", "--params", "D2", "--json")
    assert done.status == 0, done.err
    assert done.json["output"] == str(tmp_path / "line-trained.xlsx")
    best = (1 * 3.1 + 2 * 4.9) / 5
    page = openpyxl.load_workbook(tmp_path / "line-trained.xlsx")["line"]
    assert page["D2"].value == pytest.approx(best)
    assert page["C3"].value == "=$D$2*A3"
    assert path.read_bytes() == before
    for output in (["--in-place"], ["-o", tmp_path / "x.csv"]):
        refused = run("train", path, "--loss", "E2", "--params", "D2", *output)
        assert refused.status == 1
        assert "can be read from .csv files, but not written to them. Write to an .xlsx" in refused.err


def test_inspect_and_check_a_table(tmp_path: Path) -> None:
    found = run("inspect", table(tmp_path, TABLE), "--json").json
    assert (found["formulas"], found["supported"]) == (3, 3)
    assert found["candidates"][0]["loss_cell"] == "line!E2"
    assert run("check", table(tmp_path, TABLE), "--all").status == 0


# --- what only an office reads ----------------------------------------------------------------------------

_OLD = bytes.fromhex("d0cf11e0a1b11ae1") + "Workbook".encode("utf-16-le")


def test_without_an_office_the_old_format_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def missing() -> Path:
        raise HostError("LibreOffice was not found")

    monkeypatch.setattr(office_conversion, "soffice", missing)
    for name, data in (("old.xls", _OLD), ("b.xlsb", zipped({"xl/workbook.bin": b""}))):
        (tmp_path / name).write_bytes(data)
        with refusal(FileError, cause="only where LibreOffice is installed", remedy=r"Save it as \.xlsx"):
            sgdsheet.load(tmp_path / name)


def test_an_office_that_hangs_is_ended(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    script = tmp_path / "soffice"
    script.write_text("#!/bin/sh\nsleep 100\n")
    script.chmod(0o755)
    monkeypatch.setattr(office_conversion, "soffice", lambda: script)
    monkeypatch.setattr(office_conversion, "PATIENCE", 0.1)
    with refusal(FileError, cause="took more than 0.1 seconds", remedy=r"Save it as \.xlsx"):
        sgdsheet.load(_OLD)


def test_train_the_old_format(tmp_path: Path, converter: LibreOffice) -> None:
    path = converter.convert(QUADRATIC, tmp_path / "quadratic.xls")
    before = {item.name for item in tmp_path.iterdir()}
    found, wanted = sgdsheet.load(path), sgdsheet.load(QUADRATIC)
    assert found.sheets["raw"].formulas.keys() == wanted.sheets["raw"].formulas.keys()
    assert {item.name for item in tmp_path.iterdir()} == before
    assert output_name(path) == tmp_path / "quadratic.xlsx"
    done = run("train", path, "--sheet", "raw", "--json")
    assert done.status == 0, done.err
    assert done.json["output"] == str(tmp_path / "quadratic-trained.xlsx")
    assert done.json["loss"] == pytest.approx(641.6849962)
    with refusal(FileError, cause="LibreOffice cannot read"):
        sgdsheet.load(_OLD[:8] + bytes(5000))


def test_train_the_binary_format(tmp_path: Path, converter: LibreOffice) -> None:
    """A real .xlsb, made by its specification: (A1 + 1)² in C1, by way of B1."""
    cells = (real(0, 3.0), formula(1, 4.0, reference(0, 0), reference(1, 0), ADD))
    square = formula(2, 16.0, reference(0, 1), reference(0, 1), MULTIPLY)
    path = xlsb(tmp_path / "square.xlsb", (*cells, square), (real(0, 1.0),))
    sheet = sgdsheet.load(path).sheets["S"]
    assert {place: item.text for place, item in sheet.formulas.items()} == {(1, 2): "A1+A2", (1, 3): "B1*B1"}
    assert sheet.values == {(1, 1): 3.0, (1, 2): 4.0, (1, 3): 16.0, (2, 1): 1.0}
    assert run("check", path, "--all").status == 0
    done = run("train", path, "--loss", "C1", "--params", "A1", "--json")
    assert done.status == 0, done.err
    assert done.json["output"] == str(tmp_path / "square-trained.xlsx")
    assert sgdsheet.load(tmp_path / "square-trained.xlsx").sheets["S"].values[1, 1] == pytest.approx(-1.0, abs=1e-3)


def test_macros_and_links_are_switched_off(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What the office is started with; it works on a copy, in a folder that is gone afterwards."""
    script, seen = tmp_path / "soffice", tmp_path / "seen"
    script.write_text(f'#!/bin/sh\necho "$@" > {seen}\ncat "${{5#-env:UserInstallation=file://}}"/user/* >> {seen}\n')
    script.chmod(0o755)
    monkeypatch.setattr(office_conversion, "soffice", lambda: script)
    with refusal(FileError, cause="cannot read"):
        sgdsheet.load(_OLD)
    command, *settings = seen.read_text().splitlines()
    profile = re.search(r"UserInstallation=file://(\S+)", command)
    assert profile is not None
    assert not Path(profile[1]).exists()
    assert "--headless" in command
    assert "--infilter=MS Excel 97" in command
    text = " ".join(settings)
    assert re.search(r'"DisableMacrosExecution" oor:op="fuse"> <value>true<', text)
    assert re.search(r'"Link" oor:op="fuse"> <value>2<', text)
