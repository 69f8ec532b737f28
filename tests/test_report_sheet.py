"""The `SGD report` sheet: what stands on it, and that the rest of the file stays as it is."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from sgdsheet.analysis.reporting.page import (
    NO_LIMIT,
    UNKNOWN,
    Column,
    Kind,
    Note,
    Page,
    Section,
    Table,
    entry,
    number_format,
)
from sgdsheet.hosts.file import FileHost
from sgdsheet.sheet.workbook import Value
from tests import solver_models
from tests.analysts_solver import BOOKS as BOOKS_OF_ANALYSTS
from tests.cli_books import line_book, run
from tests.shared_data import SOLVED, shared_data
from tests.solver_models import AT_MOST, MAX, solver_names
from tests.test_estimates import fill, line_cells
from tests.test_log_sheet import LISTS, OWN, logged, members, records
from tests.test_ods import content, number, ods, row
from tests.training_books import write
from tests.xlsx_parts import member, openpyxl_book

SHEET = "SGD report"
BOOKS = [
    OWN / "quadratic.xlsx",
    OWN / "titanic.xlsx",
    OWN / "overfitting.xlsx",
    pytest.param(SOLVED, marks=shared_data("workbooks")),
]
PAGE = Page("A report", "of a test", [Section("Answer", [Note("All is well."), Table("T", (Column("x"),), [[1.5]])])])


def reported(source: Path, target: Path, page: Page = PAGE) -> dict[str, bytes]:
    host = FileHost(source)
    host.write_report(page)
    host.save(target)
    return members(target)


def rows(path: Path, sheet: str = SHEET) -> list[list[Value]]:
    """The cells of the report, row by row, without empty ones."""
    found: dict[int, list[tuple[int, Value]]] = {}
    for (line, column), value in FileHost(path).read().sheets[sheet].values.items():
        found.setdefault(line, []).append((column, value))
    return [[value for _, value in sorted(found[line], key=lambda item: item[0])] for line in sorted(found)]


def after(lines: list[list[Value]], *titles: str) -> list[list[Value]]:
    """The rows below a section's title, and in it below a table's title and its head."""
    for title in titles:
        lines = lines[lines.index([title]) + 1 :]
    return lines[1:] if len(titles) > 1 else lines


def product_mix(folder: Path) -> Path:
    cells: dict[str, Any] = {
        "A3": [["", "Doors", "Windows"], ["Batches", 0, 0], ["Profit per batch", 3000, 5000]],
        "A7": [["", "Used", "", "Available"], ["Plant 1", "=B4", None, 4], ["Plant 2", "=2*C4", None, 12]],
        "A10": [["Plant 3", "=3*B4+2*C4", None, 18]],
        "A12": [["Total profit", "=SUMPRODUCT(B4:C4,B5:C5)"]],
    }
    names = solver_names("B12", "B4:C4", MAX, [("B8:B10", AT_MOST, "D8:D10")])
    return solver_models.write(folder / "mix.xlsx", cells, names)


# --- the file ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", BOOKS, ids=lambda path: path.stem)
def test_everything_else_stays(tmp_path: Path, path: Path) -> None:
    before, now = members(path), reported(path, tmp_path / "out.xlsx")
    assert {name for name in before if now[name] != before[name]} == LISTS
    assert len(now.keys() - before.keys()) == 1
    old, book = FileHost(path).read(), FileHost(tmp_path / "out.xlsx").read()
    assert list(book.sheets) == [*old.sheets, SHEET]
    assert book.names[:-1] == old.names
    assert all(book.sheets[name].values == old.sheets[name].values for name in old.sheets)


def test_twice_is_once(tmp_path: Path) -> None:
    one, two = tmp_path / "one.xlsx", tmp_path / "two.xlsx"
    first = reported(OWN / "quadratic.xlsx", one)
    assert reported(one, two) == first
    changed = Page("Another", "one", [Section("Answer", [Note("Shorter.")])])
    reported(two, two, changed)
    assert rows(two) == [["Another"], ["one"], ["Answer"], ["Shorter."]]
    assert list(FileHost(two).read().sheets).count(SHEET) == 1


def test_a_persons_own_sheet_is_left_alone(tmp_path: Path) -> None:
    path = line_book(tmp_path, more={SHEET: {"A1": "my own notes"}})
    assert run("train", path, "--report", "--in-place").status == 0
    sheets = FileHost(path).read().sheets
    assert sheets[SHEET].values == {(1, 1): "my own notes"}
    assert "SGD report 2" in sheets
    assert run("train", path, "--report", "--in-place").status == 0
    assert list(FileHost(path).read().sheets) == list(sheets)


def test_beside_the_log(tmp_path: Path) -> None:
    path = line_book(tmp_path)
    assert run("train", path, "--report", "--log-sheet", "--in-place").status == 0
    first = FileHost(path).read()
    assert list(first.sheets)[-2:] == ["SGD log", SHEET]
    assert run("train", path, "--log-sheet", "--report", "--in-place").status == 0
    assert list(FileHost(path).read().sheets) == list(first.sheets)
    charts = [name for name in members(path) if name.startswith("xl/charts/")]
    assert len(charts) == 3  # loss, learning rate, residuals
    only = logged(path, tmp_path / "logged.xlsx", records(3))
    assert len([name for name in only if name.startswith("xl/charts/")]) == 4
    assert rows(tmp_path / "logged.xlsx") == rows(path)


def test_texts_are_texts(tmp_path: Path) -> None:
    odd = "=1+1 <&> näïve 日本"
    sections = [Section(odd, [Note(odd), Table(odd, (Column(odd, Kind.TEXT),), [[odd]])])]
    reported(line_book(tmp_path), tmp_path / "out.xlsx", Page(odd, odd, sections))
    sheet = FileHost(tmp_path / "out.xlsx").read().sheets[SHEET]
    assert not sheet.formulas
    assert rows(tmp_path / "out.xlsx") == [[odd]] * 7


def test_without_the_option_there_is_none(tmp_path: Path) -> None:
    path = line_book(tmp_path)
    run("train", path, "--in-place")
    assert SHEET not in FileHost(path).read().sheets


# --- what stands on it --------------------------------------------------------------------------------------


def test_a_linear_programme(tmp_path: Path) -> None:
    path = product_mix(tmp_path)
    assert run("train", path, "--report", "--in-place").status == 0
    found = rows(path)
    assert found[0] == ["Report: Total profit"]
    assert after(found, "Answer", "Objective (to become large)")[0] == ["B12", "Total profit", 0, 36000]
    variables = after(found, "Answer", "Variables")
    assert variables[0] == ["B4", "Batches, Doors", 0, pytest.approx(2), 0, NO_LIMIT]
    assert variables[1] == ["C4", "Batches, Windows", 0, pytest.approx(6), 0, NO_LIMIT]
    limits = after(found, "Answer", "Constraints")
    assert limits[0] == ["B8", "Plant 1", pytest.approx(2), "<= D8", 4, pytest.approx(2), "Not binding"]
    assert limits[1] == ["B9", "Plant 2", pytest.approx(12), "<= D9", 12, 0, "Binding"]
    ranges = after(found, "Sensitivity", "Variables")
    assert ranges[0] == ["B4", "Batches, Doors", *(pytest.approx(item) for item in (2, 0, 3000, 4500, 3000))]
    assert ranges[1][5:] == [NO_LIMIT, pytest.approx(3000)]
    prices = after(found, "Sensitivity", "Constraints")
    assert prices[1] == ["B9", "Plant 2", *(pytest.approx(item) for item in (12, 1500, 12, 6, 6))]
    assert ["Fit"] not in found


def test_a_fit(tmp_path: Path) -> None:
    cells = line_cells(B1="intercept", B2="slope", Y1="Sum of squares")
    path = write(tmp_path / "line.xlsx", cells, {"sgd_loss": "Z1", "sgd_params": "A1:A2"})
    assert run("train", path, "--report", "--in-place").status == 0
    found = rows(path)
    figures = after(found, "Fit")
    assert figures[0] == ["Observations", 8, "Residual sum of squares", pytest.approx(6 * 0.03246031746031746)]
    assert ["R²", pytest.approx(0.9988392866011389), "AIC", pytest.approx(6 - 2 * 3.5101677717568123)] in figures
    first, second = after(found, "Fit", "Estimates")[:2]
    assert first[0] == "A1"
    assert first[-6:] == [
        pytest.approx(item)
        for item in (0.035714285714, 0.140385362081, 0.254401777969, 0.807679667, -0.307796320489, 0.379224891918)
    ]
    assert second[-5] == pytest.approx(0.027800444267)
    assert after(found, "Fit", "Correlation of the estimates")[1][-2:] == [pytest.approx(-9 / 102**0.5), 1]
    residuals = after(found, "Residuals", "By observation")
    assert len(residuals) == 8
    assert residuals[0] == [1, 2.1, *(pytest.approx(item) for item in (2.0333333333, 0.0666666667))]
    chart = member(path, "xl/charts/chart1.xml").decode()
    assert "<c:scatterChart>" in chart
    assert "'SGD report'!$C$" in chart
    assert "'SGD report'!$D$" in chart


def test_a_chart_is_not_cut_by_the_end_of_a_page(tmp_path: Path) -> None:
    book = BOOKS_OF_ANALYSTS["dose_response"]()
    names = solver_names(book.loss, book.params, book.kind, book.constraints)
    path = solver_models.write(tmp_path / "dose.xlsx", book.cells, names)
    run("train", path, "--report", "--in-place")
    page = openpyxl_book(path)[SHEET]
    (chart,) = page._charts
    assert [item.id for item in page.row_breaks.brk] == [chart.anchor._from.row]
    last = max(cell.row for row in page.iter_rows(max_row=chart.anchor._from.row) for cell in row if cell.value)
    assert 55 < last <= chart.anchor._from.row


def test_looks(tmp_path: Path) -> None:
    """Widths, formats, paper; the report fits the width of one page."""
    path = write(tmp_path / "line.xlsx", line_cells(), {"sgd_loss": "Z1", "sgd_params": "A1:A2"})
    run("train", path, "--report", "--in-place")
    page = openpyxl_book(path)[SHEET]
    assert page.sheet_properties.pageSetUpPr.fitToPage
    assert (page.page_setup.fitToWidth, page.page_setup.fitToHeight) == (1, 0) or page.page_setup.fitToHeight == 0
    assert page["A1"].font.bold
    assert not page.sheet_view.showGridLines
    assert page.column_dimensions["A"].width > 15
    cells = {cell.value: cell for row in page.iter_rows() for cell in row if cell.value is not None}
    assert cells["P > |t|"].alignment.horizontal == "right"
    tail = next(cell for cell in cells.values() if isinstance(cell.value, float) and abs(cell.value - 0.8076797) < 1e-6)
    assert tail.number_format == '[<0.0001]"< 0.0001";0.0000'


@pytest.mark.parametrize(
    ("value", "kind", "expected"),
    [
        (0.0, Kind.NUMBER, "#,##0"),
        (36000.0, Kind.NUMBER, "#,##0"),
        (238.94213, Kind.NUMBER, "#,##0.000"),
        (5.5e-4, Kind.NUMBER, "#,##0.000000000"),
        (-1.4e-6, Kind.NUMBER, "0.00000E+00"),
        (1234567.8, Kind.NUMBER, "#,##0"),
        (2.7070075, Kind.SHORT, "#,##0.000"),
        (0.99912, Kind.RATIO, "0.000"),
    ],
)
def test_number_formats(value: float, kind: Kind, expected: str) -> None:
    assert number_format(value, kind) == expected


def test_entries() -> None:
    assert [entry(item) for item in (None, float("nan"), float("inf"), 2.5)] == [UNKNOWN, UNKNOWN, NO_LIMIT, 2.5]


def test_many_parameters_and_observations(tmp_path: Path) -> None:
    """The first of them, and some of the residuals; the table of correlations becomes a list."""
    count = 1500
    cells = {
        "A1": [[1.0]] * 8,
        "C1": [[float((7 * row) % 11), float(row % 5), float(row % 3)] for row in range(count)],
        **fill(f"G1:G{count}", "=C{r}-($A$1+$A$2*D{r}+$A$3*E{r}+$A$4*D{r}^2+$A$5*E{r}^2+$A$6*D{r}*E{r})"),
        "Z1": f"=SUMSQ(G1:G{count})",
    }
    path = write(tmp_path / "many.xlsx", cells, {"sgd_loss": "Z1", "sgd_params": "A1:A6"})
    assert run("train", path, "--report", "--in-place").status == 0
    found = rows(path)
    assert ["By observation (1,000 of 1,500)"] in found


def test_libreoffice_shows_the_report(tmp_path: Path) -> None:
    office = shutil.which("soffice")
    if office is None:
        pytest.skip("LibreOffice is not installed")
    path = product_mix(tmp_path)
    run("train", path, "--report", "--in-place")
    profile = f"-env:UserInstallation={(tmp_path / 'profile').as_uri()}"
    every_sheet = "csv:Text - txt - csv (StarCalc):44,34,76,1,,0,false,true,false,false,false,-1"
    command = [office, profile, "--headless", "--convert-to", every_sheet, path.name]
    subprocess.run(command, cwd=tmp_path, check=True, capture_output=True, timeout=120)
    lines = (tmp_path / "mix-SGD report.csv").read_text(encoding="utf-8").splitlines()
    assert lines[0].startswith("Report: Total profit")
    assert any(line.startswith("B9,Plant 2,12,1500,12,6,6") for line in lines), lines


def test_in_an_ods(tmp_path: Path) -> None:
    """Without a chart; a second one takes its place, the log and a person's sheet stay."""
    own = '<table:table table:name="SGD report"><table:table-row/></table:table>'
    path = ods(tmp_path / "a.ods", content(row(number(1)), more=own))
    for text in ("All is well.", "All is better."):
        host = FileHost(path)
        host.write_log(records(2), "A run")
        host.write_report(Page("A report", "of a test", [Section("Answer", [Note(text)])]))
        host.save()
    book = FileHost(path).read()
    assert list(book.sheets) == ["S1", SHEET, "SGD log", "SGD report 2"]
    assert [value for _, value in sorted(book.sheets["SGD report 2"].values.items())][-1] == "All is better."
    assert book.sheets["SGD log"].values[1, 1] == "A run"
