"""How workbooks look: styles, sizes and conditional formats, beside what openpyxl reads."""

from __future__ import annotations

import time
from io import BytesIO
from pathlib import Path

import pytest
import xlsxwriter
from openpyxl import load_workbook
from openpyxl.cell.cell import MergedCell
from openpyxl.styles.borders import Side
from openpyxl.worksheet.worksheet import Worksheet

from sgdsheet.hosts.file import FileHost
from sgdsheet.hosts.xlsx.package import Package
from sgdsheet.sheet.appearance import Appearance, CellStyle
from sgdsheet.sheet.references import Range

ROOT = Path(__file__).parent.parent
BOOKS = ("titanic", "mnist_cnn", "gradient_descent", "linear_regression")


def looks(data: bytes) -> Appearance:
    return FileHost(data).appearance()


@pytest.mark.parametrize("name", BOOKS)
def test_styles_are_those_that_openpyxl_reads(name: str) -> None:
    path = ROOT / "workbooks" / f"{name}.xlsx"
    appearance = FileHost(path).appearance()
    book = load_workbook(path)
    for sheet in book.worksheets:
        look = appearance.sheet(sheet.title)
        styles = look.styles_in(Range(sheet.title, 1, 1, 80, 30))
        for row in sheet.iter_rows(1, 80, 1, 30):
            for cell in (cell for cell in row if not isinstance(cell, MergedCell)):
                found = appearance.styles[styles.get((cell.row, cell.column or 0), 0)]
                assert found.number_format == cell.number_format, cell.coordinate
                assert (found.bold, found.italic) == (bool(cell.font.b), bool(cell.font.i)), cell.coordinate
                assert found.size == cell.font.sz, cell.coordinate
                fill = cell.fill.fgColor.rgb[-6:].lower() if cell.fill.patternType == "solid" else None
                assert found.fill == (f"#{fill}" if fill else None), cell.coordinate
                sides = {side for side, *_ in found.border}
                assert sides == {side for side in ("top", "right", "bottom", "left") if _drawn(cell.border, side)}
                assert found.align == (cell.alignment.horizontal or ""), cell.coordinate
        assert look.frozen == _frozen(sheet)
        assert look.gridlines == (sheet.sheet_view.showGridLines is not False)


def _drawn(border: object, side: str) -> bool:
    line = getattr(border, side)
    return isinstance(line, Side) and line.style is not None


def _frozen(sheet: Worksheet) -> tuple[int, int]:
    pane = sheet.sheet_view.pane
    return (int(pane.ySplit or 0), int(pane.xSplit or 0)) if pane is not None else (0, 0)


@pytest.fixture(scope="module")
def drawn() -> Appearance:
    file = BytesIO()
    with xlsxwriter.Workbook(file, {"in_memory": True}) as book:
        sheet = book.add_worksheet("One")
        money = book.add_format({"num_format": "#,##0.00 $", "bold": True, "bg_color": "#FFEECC", "border": 2})
        sheet.write("B2", 3, money)
        sheet.set_column("C:C", 20)
        sheet.set_column("D:D", None, None, {"hidden": True})
        sheet.set_column("F:F", None, book.add_format({"italic": True}))
        sheet.set_row(4, 30)
        sheet.set_row(5, None, None, {"hidden": True})
        sheet.set_row(6, None, book.add_format({"underline": 1, "align": "center", "text_wrap": True}))
        sheet.freeze_panes(1, 2)
        sheet.hide_gridlines(2)
        sheet.set_tab_color("#FF0000")
        theme = book.add_format({"bg_color": "#112233", "pattern": 18})
        sheet.write("A9", 1, theme)
        for row in range(5):
            sheet.write(row, 7, float(row))
        sheet.conditional_format("H1:H5", {"type": "2_color_scale", "min_color": "#000000", "max_color": "#FFFFFF"})
        sheet.conditional_format("H1:H5", {"type": "cell", "criteria": ">", "value": 3, "format": money})
        hidden = book.add_worksheet("Two")
        hidden.hide()
    return looks(file.getvalue())


def test_a_cell(drawn: Appearance) -> None:
    style = drawn.styles[drawn.sheet("One").styles_in(Range("One", 2, 2, 2, 2))[2, 2]]
    assert style == CellStyle(
        number_format="#,##0.00 $",
        bold=True,
        font="Calibri",
        fill="#ffeecc",
        valign=style.valign,
        border=tuple((side, 2, "#000000") for side in ("top", "right", "bottom", "left")),
    )


def test_sizes(drawn: Appearance) -> None:
    look = drawn.sheet("One")
    assert (look.default_width, look.widths, look.hidden_columns) == (64, {3: 145}, {4})
    assert (look.default_height, look.heights, look.hidden_rows) == (20, {5: 40}, {6})
    assert (look.frozen, look.gridlines, look.tab, look.hidden) == ((1, 2), False, "#ff0000", False)
    assert drawn.sheet("Two").hidden


def test_empty_cells_have_the_style_of_their_row_or_column(drawn: Appearance) -> None:
    styles = drawn.sheet("One").styles_in(Range("One", 6, 5, 7, 6))
    assert drawn.styles[styles[6, 6]].italic
    assert drawn.styles[styles[7, 5]].underline
    assert drawn.styles[styles[7, 5]].align == "center"
    assert (6, 5) not in styles


def test_columns_that_overlap_are_no_more_work() -> None:
    file, part = BytesIO(), "xl/worksheets/sheet1.xml"
    with xlsxwriter.Workbook(file) as book:
        book.add_worksheet("S")
    package = Package("a.xlsx", file.getvalue())
    columns = b'<cols><col min="2" max="2" style="2"/>' + b'<col min="1" max="16384" style="1"/>' * 5_000 + b"</cols>"
    data = package.rewritten({part: package.part(part).data.replace(b"<sheetData", columns + b"<sheetData")})
    look, start = looks(data).sheet("S"), time.process_time()
    for _ in range(50):
        assert look.styles_in(Range("S", 1, 1, 60, 20))[60, 20] == 1
    assert time.process_time() - start < 10


def test_conditional_formats(drawn: Appearance) -> None:
    kinds = {rule.kind: rule for rule in drawn.sheet("One").rules}
    assert kinds["colorScale"].colours == ("#000000", "#ffffff")
    assert [mark.kind for mark in kinds["colorScale"].marks] == ["min", "max"]
    assert (kinds["cellIs"].operator, kinds["cellIs"].formulas) == ("greaterThan", ("3",))
    assert kinds["cellIs"].style is not None
    assert kinds["cellIs"].style.fill == "#ffeecc"


def test_other_kinds_of_files_look_plain(tmp_path: Path) -> None:
    path = tmp_path / "table.csv"
    path.write_text("a,b\n1,2\n")
    assert FileHost(path).appearance().sheet("table").heights == {}
