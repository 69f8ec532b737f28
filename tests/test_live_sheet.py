"""The sheets of live commands, saved into the file: `SGD log`, `SGD gradients`, `SGD report`."""

from __future__ import annotations

from pathlib import Path

import pytest
import xlsxwriter

from sgdsheet.hosts.base import LineChart, ReportSheet
from sgdsheet.hosts.cell_edit import Constant, FormulaEdit
from sgdsheet.hosts.file import FileHost, load
from sgdsheet.sheet.charts import Chart
from sgdsheet.sheet.references import Cell, Range, parse_range
from sgdsheet.sheet.workbook import ExcelError
from tests.test_log_sheet import OWN, assert_consistent, members
from tests.xlsx_parts import book_file, openpyxl_book, sheet

LOG = ReportSheet(
    "SGD log",
    [["step", "training loss", "validation loss"], [1.0, 0.5, 0.75], [2.0, 0.25, None], [3.0, 0.125, 0.5]],
    bold=(1,),
    chart=LineChart("Loss", 0, (1, 2)),
)
GRADIENTS = ReportSheet(
    "SGD gradients",
    [["Gradient of S1!A1"], [], [None, "A", "B"], [1.0, -2.0, 0.5], [2.0, "=1+1", True]],
    bold=(1, 3),
    heat=(Range("SGD gradients", 4, 2, 5, 3),),
)
BOOKS = [OWN / "quadratic.xlsx", OWN / "titanic.xlsx", OWN / "overfitting.xlsx"]


@pytest.mark.parametrize("path", BOOKS, ids=lambda path: path.stem)
def test_both_sheets_together_with_edits_and_names(tmp_path: Path, path: Path) -> None:
    """Twice gives the same sheets: the second ones take the place of the first."""
    before = load(path)
    name = next(iter(before.sheets))
    source = path
    for _ in range(2):
        host = FileHost(source)
        host.put_sheet(LOG)
        host.put_sheet(GRADIENTS)
        host.edit({Cell(name, 1, 30): Constant(7.0), Cell(name, 2, 30): FormulaEdit("AD1*2", 14.0)})
        host.define_name("sgd_new", [parse_range("AD1", name)])
        source = tmp_path / "out.xlsx"
        host.save(source)
        after = load(source)
        assert list(after.sheets) == [*before.sheets, "SGD log", "SGD gradients"]
        assert_consistent(members(source))
    for own in (LOG, GRADIENTS):
        wanted = {
            (row, column): value
            for row, values in enumerate(own.rows, 1)
            for column, value in enumerate(values, 1)
            if value is not None
        }
        assert after.sheets[own.name].values == wanted
        assert not after.sheets[own.name].formulas
    assert after.sheets[name].values == {**before.sheets[name].values, (1, 30): 7.0, (2, 30): 14.0}
    assert after.defined_name("sgd_new", name) is not None
    known = [item for item in after.names if item.name not in ("sgd_log", "sgd_new")]
    assert known == [item for item in before.names if item.name != "sgd_log"]


def test_how_they_look(tmp_path: Path) -> None:
    book = xlsxwriter.Workbook(tmp_path / "book.xlsx")
    book.add_worksheet("S1")
    book.close()
    host = FileHost(tmp_path / "book.xlsx")
    host.put_sheet(LOG)
    host.put_sheet(GRADIENTS)
    host.save(tmp_path / "out.xlsx")
    (chart,) = load(tmp_path / "out.xlsx").charts
    assert isinstance(chart, Chart)
    assert chart.title == "Loss"
    assert [series.name for series in chart.series] == [parse_range("B1", "SGD log"), parse_range("C1", "SGD log")]
    assert chart.series[1].values == (parse_range("C2:C4", "SGD log"),)
    page = openpyxl_book(tmp_path / "out.xlsx")["SGD gradients"]
    assert [row for row in range(1, 6) if page.cell(row, 2).font.b or page.cell(row, 1).font.b] == [1, 3]
    ((area, rules),) = page.conditional_formatting._cf_rules.items()
    assert str(area.sqref) == "B4:C5"
    assert [(item.type, float(item.val)) for item in rules[0].colorScale.cfvo] == [("num", -2), ("num", 0), ("num", 2)]


def test_a_sheet_of_a_persons_own_is_kept(tmp_path: Path) -> None:
    path = book_file(tmp_path, sheet('<row r="1"><c r="A1"><v>1</v></c></row>'))
    host = FileHost(path)
    host.put_sheet(ReportSheet("S1", [["ours", ExcelError.NA]]))
    host.put_sheet(ReportSheet("s1", [["newer"]]))
    host.save()
    found = load(path).sheets
    assert {name: item.values for name, item in found.items()} == {"S1": {(1, 1): 1.0}, "s1 2": {(1, 1): "newer"}}


def test_a_formula_may_refer_to_a_sheet_that_is_new(tmp_path: Path) -> None:
    host = FileHost(book_file(tmp_path, sheet()))
    host.put_sheet(LOG)
    host.edit({Cell("S1", 1, 1): FormulaEdit("MIN('sgd log'!B2:B4)", 0.125)})
    host.save()
    assert load(tmp_path / "book.xlsx").sheets["S1"].formulas[1, 1].text == "MIN('sgd log'!B2:B4)"


def test_an_empty_report(tmp_path: Path) -> None:
    host = FileHost(book_file(tmp_path, sheet()))
    host.put_sheet(ReportSheet("SGD log", [["step", "loss"]], bold=(1,), chart=LineChart("Loss", 0, (1,))))
    host.put_sheet(ReportSheet("SGD report", []))
    host.save()
    book = load(tmp_path / "book.xlsx")
    assert list(book.sheets) == ["S1", "SGD log", "SGD report"]
    assert not book.charts
