"""How workbooks look, beside LibreOffice: conditional formats, and all that its own files say of looks."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Callable
from datetime import date
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
import xlsxwriter  # type: ignore[import-untyped]

from sgdsheet.apps.web.rule_formulas import RuleFormulas
from sgdsheet.apps.web.sheet_view import SheetView
from sgdsheet.hosts.file import FileHost
from sgdsheet.hosts.libreoffice.programs import office_environment
from sgdsheet.hosts.web.open_book import OpenBook
from sgdsheet.sheet.appearance import Appearance
from sgdsheet.sheet.references import Range
from sgdsheet.sheet.workbook import Position, Value, Workbook
from tests.live_books import PATIENCE

OFFICE = shutil.which("soffice")
pytestmark = pytest.mark.skipif(OFFICE is None, reason="LibreOffice is not installed")

FILL = "#ff8800"
NUMBERS = [3.0, 14.0, -2.0, 7.5, 0.0, 7.5, 22.0, 5.0, 1.0, 9.0]
WORDS = ["apple", "Banana", "", "cherry pie", "apple", "date", "fig", "10", "grape", "lemon"]

RULES: dict[str, tuple[str, dict[str, Any]]] = {
    "a formula of the row": ("A", {"type": "formula", "criteria": "=$A2>AVERAGE($A$2:$A$11)"}),
    "a formula of the cell above": ("A", {"type": "formula", "criteria": "=AND(ROW()>2,A2>A1)"}),
    "a formula with columns": ("A", {"type": "formula", "criteria": "=MOD(ROW()+COLUMN(),3)=0"}),
    "a formula about another sheet": ("A", {"type": "formula", "criteria": "=A2>limits!$A$1"}),
    "a formula with texts": ("B", {"type": "formula", "criteria": '=LEN(B2)>LEN("apple")'}),
    "more than the cell beside": ("A", {"type": "cell", "criteria": ">", "value": "=C2"}),
    "between cells that move": ("A", {"type": "cell", "criteria": "between", "minimum": "=C2", "maximum": "=C2+5"}),
    "equal to a formula": ("A", {"type": "cell", "criteria": "==", "value": "=MAX(A$2:A$11)"}),
    "not between": ("A", {"type": "cell", "criteria": "not between", "minimum": 2, "maximum": 8}),
    "a text with": ("B", {"type": "text", "criteria": "containing", "value": "an"}),
    "a text that begins with": ("B", {"type": "text", "criteria": "begins with", "value": "a"}),
    "a text without": ("B", {"type": "text", "criteria": "not containing", "value": "e"}),
    "the three highest": ("A", {"type": "top", "value": 3}),
    "the lowest 20 %": ("A", {"type": "bottom", "value": 20, "criteria": "%"}),
    "above the average": ("A", {"type": "average", "criteria": "above"}),
    "what is there twice": ("A", {"type": "duplicate"}),
    "what is there once": ("A", {"type": "unique"}),
    "empty cells": ("B", {"type": "blanks"}),
    "yesterday": ("D", {"type": "time_period", "criteria": "yesterday"}),
    "the last week": ("D", {"type": "time_period", "criteria": "last 7 days"}),
}


class _Fills(HTMLParser):
    """The background colours of the cells of a page's tables, one for each sheet."""

    def __init__(self) -> None:
        super().__init__()
        self.fills: list[dict[Position, str]] = []
        self._row, self._column = 0, 0

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        if tag == "table":
            self.fills.append({})
            self._row = 0
        elif tag == "tr":
            self._row, self._column = self._row + 1, 0
        elif tag in ("td", "th"):
            self._column += 1
            if given.get("bgcolor"):
                self.fills[-1][self._row, self._column] = str(given["bgcolor"]).lower()


def converted(path: Path, ending: str) -> Path:
    """The file as LibreOffice saves it in another format."""
    profile = f"-env:UserInstallation={(path.parent / 'profile').as_uri()}"
    command = [str(OFFICE), profile, "--headless", "--convert-to", ending[1:], "--outdir", str(path.parent), str(path)]
    subprocess.run(command, check=True, capture_output=True, timeout=PATIENCE, env=office_environment())
    return path.with_suffix(ending)


def office_fills(path: Path) -> list[dict[Position, str]]:
    """The fills of each sheet's cells as LibreOffice shows them."""
    parser = _Fills()
    parser.feed(converted(path, ".html").read_text(encoding="utf-8"))
    return parser.fills


def own_fills(path: Path) -> list[dict[Position, str]]:
    """The fills of each sheet's cells as the page shows them."""
    book = OpenBook.from_bytes(path.name, path.read_bytes())
    book.prepare().join()
    found = [_fills(book, sheet) for sheet in book.workbook.sheets]
    book.close()
    return found


def _fills(book: OpenBook, sheet: str) -> dict[Position, str]:
    look = book.appearance()
    formulas = RuleFormulas(lambda asked: book.loose_values(sheet, asked), lambda: book.version)
    view = SheetView(look, lambda: look.sheet(sheet), sheet, False, book.values_in, {}, formulas)
    shown = view.entries(Range(sheet, 1, 1, 30, 20), lambda _: {})
    styles = {at: look.styles[entry[2]].fill for at, entry in shown.items()}
    given = {at: entry[3]["fill"] for at, entry in shown.items() if len(entry) > 3 and "fill" in entry[3]}
    return {at: fill for at, fill in {**styles, **given}.items() if fill is not None}


@pytest.mark.parametrize("ending", [".xlsx", ".ods", ".fods"])
def test_conditional_formats(tmp_path: Path, ending: str) -> None:
    path = tmp_path / "rules.xlsx"
    with xlsxwriter.Workbook(path) as book:
        fill = book.add_format({"bg_color": FILL})
        for number, (column, rule) in enumerate(RULES.values()):
            sheet = book.add_worksheet(f"rule {number}")
            sheet.write_row(0, 0, ["number", "text", "other", "date"])
            for row, (value, word) in enumerate(zip(NUMBERS, WORDS, strict=True), 1):
                sheet.write_number(row, 0, value)
                if word:
                    sheet.write_string(row, 1, word)
                sheet.write_number(row, 2, 10.0 - row)
                sheet.write_formula(row, 3, f"=TODAY()-{row - 2}", None, _today() - row + 2)
            sheet.conditional_format(f"{column}2:{column}11", {**rule, "format": fill})
        book.add_worksheet("limits").write_number(0, 0, 6.0)
    if ending != path.suffix:
        path = converted(path, ending)
    ours, theirs = own_fills(path), office_fills(path)
    different = {name: pair for name, *pair in zip(RULES, ours, theirs, strict=False) if pair[0] != pair[1]}
    assert different == {}
    assert sum(map(len, ours)) > 3 * len(RULES)


def _today() -> int:
    return (date.today() - date(1899, 12, 30)).days


CODES = (
    *("0.00", "#,##0", "0%", "0.00%", "yyyy-mm-dd", "d mmm yyyy", "dddd, mmmm d", "m/d/yy h:mm AM/PM", "hh:mm:ss"),
    *("[h]:mm", "mm:ss", "0.00E+00", "# ?/?", "# ??/16", "$#,##0.00", "#,##0.00 [$€-407]", "#,##0;[Red]-#,##0"),
    *('0.0" kg"', "General", "#,##0_);(#,##0)", "0.000", '"x"0', "#,##0,", "0.0##", "00000", "#,##0.0;(#,##0.0);\\-"),
    *('[>100]"big" 0;[<1]"small" 0.0;0.0', '[Blue]0.0;[Red]-0.0;"none"', "0-00-0"),
)
VALUES = (1234.5625, 0.25, 45000.75, 0.0)


class _Texts(HTMLParser):
    """What the cells of an .fods say: their texts in the order in which they stand there."""

    def __init__(self) -> None:
        super().__init__()
        self.rows: list[list[str]] = []
        self._is_text = False

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag == "table:table-row":
            self.rows.append([])
        elif tag == "table:table-cell":
            self.rows[-1] += [""] * int(dict(attrs).get("table:number-columns-repeated") or 1)
        self._is_text = self._is_text or tag == "text:p"

    def handle_endtag(self, tag: str) -> None:
        self._is_text = self._is_text and tag != "text:p"

    def handle_data(self, data: str) -> None:
        if self._is_text:
            self.rows[-1][-1] += data


def test_number_formats_of_an_open_document(tmp_path: Path) -> None:
    """Each text is the one that LibreOffice wrote into the file beside the number."""
    path = tmp_path / "numbers.xlsx"
    with xlsxwriter.Workbook(path) as book:
        sheet = book.add_worksheet("S")
        for row, code in enumerate(CODES):
            sheet.write_string(row, 0, code)
            for column, value in enumerate(VALUES, 1):
                sheet.write_number(row, column, value, book.add_format({"num_format": code}))
    flat = converted(path, ".fods")
    parser = _Texts()
    parser.feed(flat.read_text(encoding="utf-8"))
    theirs = [row[: len(VALUES) + 1] for row in parser.rows[: len(CODES)]]
    for name in (flat, converted(path, ".ods")):
        host = FileHost(name)
        workbook, look = host.read(), host.appearance()
        view = SheetView(look, lambda look=look: look.sheet("S"), "S", False, values_of(workbook), {})
        shown = view.entries(Range("S", 1, 1, len(CODES), len(VALUES) + 1), lambda _: {})
        ours = [[shown[row, column][0] for column in range(1, len(VALUES) + 2)] for row in range(1, len(CODES) + 1)]
        early = {(row, column) for row, code in enumerate(CODES) for column in (2, 4) if "yy" in code or "mmmm" in code}
        for row, column in early:  # before March 1900 Excel counts days in its own way
            ours[row][column] = theirs[row][column]
        spaced = [[[" ".join(text.split()) for text in row] for row in table] for table in (ours, theirs)]
        assert spaced[0] == spaced[1]


def values_of(workbook: Workbook) -> Callable[[Range], dict[Position, Value]]:
    """The values of a workbook's cells, as a view asks for them."""
    return lambda area: {
        at: item
        for at, item in workbook.sheets[area.sheet].values.items()
        if area.contains(Range(area.sheet, *at, *at))
    }


def test_styles_of_an_open_document_are_those_of_the_workbook(tmp_path: Path) -> None:
    """A workbook, and what LibreOffice makes of it: the same types, colours, lines, sizes, folds and hidden cells."""
    path = tmp_path / "looks.xlsx"
    with xlsxwriter.Workbook(path) as book:
        sheet = book.add_worksheet("Looks")
        sheet.set_tab_color("#ff0000")
        title = {"bold": True, "font_size": 18, "font_color": "#ffffff", "bg_color": "#1f4e79", "align": "center"}
        sheet.merge_range("A1:D1", "A title", book.add_format({**title, "valign": "vcenter"}))
        sheet.set_row(0, 36)
        sheet.write_string(1, 0, "wrapped", book.add_format({"text_wrap": True, "valign": "top", "border": 1}))
        sheet.write_string(
            2, 0, "italic", book.add_format({"italic": True, "underline": 1, "font_name": "Courier New"})
        )
        sheet.write_string(3, 0, "strike", book.add_format({"font_strikeout": True, "align": "right", "bottom": 5}))
        sheet.write_string(4, 0, "in", book.add_format({"indent": 2, "top": 2, "top_color": "#00ff00", "rotation": 45}))
        sheet.set_column("B:B", 30)
        sheet.set_column("C:D", 12, book.add_format({"bg_color": "#ffffcc"}))
        sheet.set_column("E:E", 10, None, {"hidden": True})
        sheet.set_column("G:H", 5, None, {"level": 1, "hidden": True})
        sheet.set_row(10, None, None, {"hidden": True})
        sheet.set_row(11, 20, book.add_format({"bg_color": "#ccffcc"}))
        for row in range(20, 25):
            sheet.set_row(row, None, None, {"level": 1 + (row > 22)})
        book.add_worksheet("Hidden").hide()
    looks = [FileHost(name).appearance() for name in (path, converted(path, ".ods"), converted(path, ".fods"))]
    one = looks[0]
    for other in looks[1:]:
        for name in ("Looks", "Hidden"):
            mine, theirs = one.sheet(name), other.sheet(name)
            area = Range(name, 1, 1, 15, 8)
            assert cells_of(one, area) == cells_of(other, area)
            assert (mine.hidden, mine.tab) == (theirs.hidden, theirs.tab)
            assert mine.hidden_columns == theirs.hidden_columns
            assert mine.hidden_rows == theirs.hidden_rows
            assert mine.row_levels == theirs.row_levels
            assert mine.column_levels == theirs.column_levels
            for column in range(1, 9):
                widths = [item.widths.get(column, item.default_width) for item in (mine, theirs)]
                assert widths[0] == pytest.approx(widths[1], rel=0.08, abs=4)
            assert theirs.heights.get(1, theirs.default_height) == mine.heights.get(1, mine.default_height)


def cells_of(look: Appearance, area: Range) -> dict[Position, tuple[object, ...]]:
    """What is to be the same of each cell."""
    plain = look.styles[0]
    found = {}
    for at, number in look.sheet(area.sheet).styles_in(area).items():
        style = look.styles[number]
        kept = (style.bold, style.italic, style.underline, style.strike, style.size, style.colour, style.fill)
        box = (
            style.align or "left",
            style.valign or "bottom",
            style.wrap,
            bool(style.indent),
            style.rotation,
            style.border,
        )
        font = style.font if style.font != plain.font else ""
        if style.fill or style.border or kept[:4] != (False,) * 4 or style.indent:
            found[at] = (*kept, *box, font)
    return found
