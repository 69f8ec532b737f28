"""SUBTOTAL and AGGREGATE beside rows that a person or a filter hides, and beside other subtotals."""

from __future__ import annotations

import shutil
import subprocess
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
import xlsxwriter  # type: ignore[import-untyped]

import sgdsheet
from sgdsheet.analysis.checking import check_workbook
from sgdsheet.compiler.evaluation import evaluate
from sgdsheet.errors import FormulaError
from sgdsheet.sheet.references import Cell
from sgdsheet.sheet.workbook import ExcelError, Workbook
from tests.errors import refusal
from tests.fuzz import engines
from tests.live_books import PATIENCE
from tests.office import LibreOffice, available
from tests.sheets import HOME, book, lowered
from tests.xlwings_program import ExcelOverLibreOffice

DATA: dict[str, Any] = {"A1": [1, 2, 4, 8, 16, 32], "B1": [3, "=1/0", 5, "x", None, 7]}


def value(formula: str, hidden: set[int], filtered: set[int] | None = frozenset(), **cells: Any) -> object:  # type: ignore[assignment]
    return evaluate(lowered(made(formula, hidden, filtered, **cells), [], "Z9")).values[Cell(HOME, 9, 26)]


def made(formula: str, hidden: set[int], filtered: set[int] | None, **cells: Any) -> Workbook:
    workbook = book({**DATA, **cells, "Z9": f"={formula}"})
    sheet = workbook.sheets[HOME]
    sheet.hidden_rows, sheet.filtered_rows = set(hidden), None if filtered is None else set(filtered)
    return workbook


@pytest.mark.parametrize(
    ("formula", "by_a_person", "by_a_filter"),
    [
        ("SUBTOTAL(9,A1:A6)", 63, 53),
        ("SUBTOTAL(109,A1:A6)", 53, 53),
        ("SUBTOTAL(1,A1:A6)", 10.5, 13.25),
        ("SUBTOTAL(2,A1:A6)", 6, 4),
        ("SUBTOTAL(103,A1:A6)", 4, 4),
        ("SUBTOTAL(104,A1:A4)", 4, 4),
        ("SUBTOTAL(106,A1:A6)", 2048, 2048),
        ("SUBTOTAL(109,A1:A2,A4:A6)", 49, 49),
        ("SUBTOTAL(109,A1:B1)", 4, 4),
        ("AGGREGATE(9,5,A1:A6)", 53, 53),
        ("AGGREGATE(9,4,A1:A6)", 63, None),
        ("AGGREGATE(9,7,B1:B6)", 15, 15),
        ("AGGREGATE(9,6,B1:B6)", 15, None),
        ("AGGREGATE(12,5,A1:A6)", 10, 10),
        ("AGGREGATE(14,5,A1:A6,2)", 16, 16),
        ("AGGREGATE(13,5,A1:A6)", ExcelError.NA, ExcelError.NA),
    ],
)
def test_hidden_rows(formula: str, by_a_person: float, by_a_filter: float | None) -> None:
    assert value(formula, {2, 4}) == by_a_person
    if by_a_filter is None:
        with refusal(FormulaError, cell="Sheet1!Z9", cause="rows that a filter hides"):
            value(formula, {2, 4}, {2, 4})
    else:
        assert value(formula, {2, 4}, {2, 4}) == by_a_filter


def test_a_filter_and_a_person_together() -> None:
    assert value("SUBTOTAL(9,A1:A6)", {2, 4, 5}, {2, 4}) == 53
    assert value("SUBTOTAL(109,A1:A6)", {2, 4, 5}, {2, 4}) == 37


def test_where_nobody_knows_who_hides() -> None:
    with refusal(FormulaError, cell="Sheet1!Z9", cause="whether a filter hides them", remedy="101"):
        value("SUBTOTAL(9,A1:A6)", {2}, None)
    assert value("SUBTOTAL(109,A1:A6)", {2}, None) == 61
    assert value("SUBTOTAL(9,A3:A6)", {2}, None) == 60
    workbook = made("SUBTOTAL(109,A1:A6)", set(), set())
    workbook.sheets[HOME].hidden_rows = None
    with refusal(FormulaError, cell="Sheet1!Z9", cause="rows that may be hidden"):
        lowered(workbook, [], "Z9")


def test_other_subtotals_do_not_count() -> None:
    parts = {"C1": [1, 2, "=SUBTOTAL(9,C1:C2)", 5, "=AGGREGATE(9,4,C4:C4)", "=SUM(C1:C2)"]}
    assert value("SUBTOTAL(9,C1:C6)", set(), **parts) == 11
    assert value("SUBTOTAL(109,C1:C6)", {1}, **parts) == 10
    assert value("AGGREGATE(9,0,C1:C6)", set(), **parts) == 11
    assert value("AGGREGATE(9,4,C1:C6)", set(), **parts) == 19
    with refusal(FormulaError, cell="Sheet1!Z9", cause="calculate with subtotals"):
        value("SUBTOTAL(9,C1:C2)", set(), C1=[1, "=SUBTOTAL(9,A1:A2)*2"])


def test_filled_across_and_down() -> None:
    cells = {"A1": [[1, 10, 100], [2, 20, 200], [4, 40, 400], [8, 80, 800]], "F1:H1": "=SUBTOTAL(109,A1:A4)"}
    cells |= {"J1:J3": "=SUBTOTAL(109,A1:A2)", "Z9": "=SUM(F1:H1,J1:J3)"}
    workbook = book(cells)
    workbook.sheets[HOME].hidden_rows = {2}
    found = evaluate(lowered(workbook, [], "Z9")).values
    assert [found[Cell(HOME, 1, column)] for column in (6, 7, 8)] == [13, 130, 1300]
    assert [found[Cell(HOME, row, 10)] for row in (1, 2, 3)] == [1, 4, 12]


def test_the_gradient_leaves_out_what_is_hidden() -> None:
    program = lowered(made("SUBTOTAL(109,A1:A6)^2", {2, 4}, set()), ["A1:A6"], "Z9")
    result = program.value_of(Cell(HOME, 9, 26))
    program.module(result.data)().backward()
    (tensor,) = program.parameters.values()
    assert tensor.grad is not None
    torch.testing.assert_close(tensor.grad, torch.tensor([106.0, 0, 106, 0, 106, 106], dtype=torch.float64))


FORMULAS = [f"SUBTOTAL({code},A2:A7)" for code in (*range(1, 12), *range(101, 112))]


def filtered_file(path: Path) -> None:
    """A list of which a filter hides two rows, with a hidden row below it."""
    written = xlsxwriter.Workbook(str(path))
    page = written.add_worksheet(HOME)
    for row, number in enumerate((2, 3, 5, 7, 11, 13)):
        page.write(row + 1, 0, number)
    page.write(0, 0, "n")
    page.autofilter("A1:A6")
    page.filter_column("A", "x > 3")
    for row in (1, 2):
        page.set_row(row, None, None, {"hidden": True})
    page.set_row(6, None, None, {"hidden": True})
    for place, formula in enumerate(FORMULAS):
        page.write_formula(place, 3, f"={formula}")
    written.close()


def replaced(path: Path, part: str, old: bytes, new: bytes) -> None:
    """Write other bytes into a part of a file."""
    with zipfile.ZipFile(path) as package:
        contents = {name: package.read(name) for name in package.namelist()}
    assert old in contents[part]
    contents[part] = contents[part].replace(old, new)
    with zipfile.ZipFile(path, "w") as package:
        for name, content in contents.items():
            package.writestr(name, content)


def test_a_filtered_file_beside_libreoffice(tmp_path: Path) -> None:
    path = tmp_path / "filtered.xlsx"
    filtered_file(path)
    workbook = sgdsheet.load(path)
    sheet = workbook.sheets[HOME]
    assert (sheet.hidden_rows, sheet.filtered_rows) == ({2, 3, 7}, {2, 3})
    program = lowered(workbook, [], *[f"D{place + 1}" for place in range(len(FORMULAS))])
    ours = evaluate(program).values
    assert ours[Cell(HOME, 9, 4)] == 36  # 5 + 7 + 11 + 13: what a person hides counts
    assert ours[Cell(HOME, 20, 4)] == 23
    office = shutil.which("soffice")
    if office is None:
        pytest.skip("LibreOffice is not there")
    replaced(path, "xl/worksheets/sheet1.xml", b"</f><v>0</v>", b"</f>")  # else it takes them for results
    profile = f"-env:UserInstallation={(tmp_path / 'profile').as_uri()}"
    command = [office, profile, "--headless", "--convert-to", "fods", "--outdir", str(tmp_path), str(path)]
    subprocess.run(command, check=True, capture_output=True, timeout=PATIENCE)
    theirs = dict(engines.flat_cells(path.with_suffix(".fods"), [HOME]))
    for place in range(len(FORMULAS)):
        cell = Cell(HOME, place + 1, 4)
        assert ours[cell] == pytest.approx(theirs[cell]), FORMULAS[place]


def test_an_advanced_filter_is_not_guessed(tmp_path: Path) -> None:
    path = tmp_path / "filtered.xlsx"
    filtered_file(path)
    workbook = sgdsheet.load(path)
    workbook.sheets[HOME].filtered_rows = None
    report = check_workbook(workbook)
    assert report.supported == 11
    assert {item.error.cause.partition(",")[0] for item in report.unsupported} == {
        "the formula has a subtotal of hidden rows"
    }


def test_the_filter_of_a_table(tmp_path: Path) -> None:
    path = tmp_path / "table.xlsx"
    written = xlsxwriter.Workbook(str(path))
    page = written.add_worksheet(HOME)
    page.add_table("A2:A6", {"columns": [{"header": "n"}], "data": [[1], [2], [3], [4]]})
    for row in (2, 8):
        page.set_row(row, None, None, {"hidden": True})
    written.close()
    assert sgdsheet.load(path).sheets[HOME].filtered_rows == set()
    part = "xl/tables/table1.xml"
    condition = b'<filterColumn colId="0"><filters><filter val="2"/></filters></filterColumn>'
    replaced(path, part, b'<autoFilter ref="A2:A6"/>', b'<autoFilter ref="A2:A6">' + condition + b"</autoFilter>")
    assert sgdsheet.load(path).sheets[HOME].filtered_rows == {3}


# --- in an open spreadsheet -------------------------------------------------------------------------------


@pytest.fixture(scope="module", params=["libreoffice", "excel"])
def opener(request: pytest.FixtureRequest) -> Iterator[LibreOffice | ExcelOverLibreOffice]:
    if not available():
        pytest.skip("LibreOffice or its Python bridge is not installed")
    running = LibreOffice() if request.param == "libreoffice" else ExcelOverLibreOffice()
    yield running
    running.stop()


def test_an_open_spreadsheet_tells_its_hidden_rows(opener: LibreOffice | ExcelOverLibreOffice, tmp_path: Path) -> None:
    """All codes, beside the results of LibreOffice, which has the sheet open; and the same as from the file."""
    path = tmp_path / "filtered.xlsx"
    filtered_file(path)
    replaced(path, "xl/worksheets/sheet1.xml", b"</f><v>0</v>", b"</f>")
    opened = opener.open(path)
    workbook = opened.host.read()
    sheet = workbook.sheets[HOME]
    assert (sheet.hidden_rows, sheet.filtered_rows) == ({2, 3, 7}, {2, 3})
    report = check_workbook(workbook)
    assert (report.supported, report.compared, report.mismatches) == (22, 22, [])
    opened.host.close()


def test_a_table_in_an_open_spreadsheet(opener: LibreOffice | ExcelOverLibreOffice, tmp_path: Path) -> None:
    """A table's own filter hides one row, a person another one; rows outside of it are never of a filter."""
    path = tmp_path / "table.xlsx"
    with xlsxwriter.Workbook(str(path)) as written:
        page = written.add_worksheet(HOME)
        page.add_table("A1:A5", {"columns": [{"header": "n"}], "data": [[1], [2], [4], [8]], "name": "T"})
        page.write_column("A6", [16, 32])
        page.write_formula("C1", "=SUBTOTAL(9,A2:A7)", None, "")
        page.write_formula("C8", "=SUBTOTAL(109,A2:A7)", None, "")
        page.set_row(2, None, None, {"hidden": True})
        page.set_row(6, None, None, {"hidden": True})
    replaced(path, "xl/tables/table1.xml", b'<autoFilter ref="A1:A5"/>', _FILTERED)
    opened = opener.open(path)
    workbook = opened.host.read()
    sheet = workbook.sheets[HOME]
    assert (sheet.hidden_rows, sheet.filtered_rows) == ({3, 7}, {3})
    report = check_workbook(workbook)
    assert (report.compared, report.mismatches) == (2, [])
    opened.host.close()


_FILTERED = (
    b'<autoFilter ref="A1:A5"><filterColumn colId="0"><customFilters><customFilter operator="notEqual" val="2"/>'
    b"</customFilters></filterColumn></autoFilter>"
)


@pytest.mark.parametrize("opener", ["libreoffice"], indirect=True)
def test_where_no_subtotal_stands_nobody_looks(opener: LibreOffice, tmp_path: Path) -> None:
    """LibreOffice is asked for its hidden rows only where they matter; in a name, too."""
    for content, looked in (("=SUM(A1:A2)", None), ("=total", {2})):
        path = tmp_path / f"{content[1:4]}.xlsx"
        with xlsxwriter.Workbook(str(path)) as written:
            page = written.add_worksheet(HOME)
            page.write_column("A1", [1, 2])
            page.write_formula("A3", content)
            page.set_row(1, None, None, {"hidden": True})
            if looked:
                written.define_name("total", f"=SUBTOTAL(109,{HOME}!$A$1:$A$2)")
        opened = opener.open(path)
        assert opened.host.read().sheets[HOME].hidden_rows == looked
        opened.host.close()
