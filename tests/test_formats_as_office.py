"""How workbooks look, beside LibreOffice: what it makes of conditional formats."""

from __future__ import annotations

import shutil
import subprocess
from datetime import date
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
import xlsxwriter  # type: ignore[import-untyped]

from sgdsheet.apps.web.rule_formulas import RuleFormulas
from sgdsheet.apps.web.sheet_view import SheetView
from sgdsheet.hosts.libreoffice.programs import office_environment
from sgdsheet.hosts.web.open_book import OpenBook
from sgdsheet.sheet.references import Range
from sgdsheet.sheet.workbook import Position
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


def office_fills(path: Path, folder: Path) -> list[dict[Position, str]]:
    """The fills of each sheet's cells as LibreOffice shows them."""
    profile = f"-env:UserInstallation={(folder / 'profile').as_uri()}"
    command = [str(OFFICE), profile, "--headless", "--convert-to", "html", "--outdir", str(folder), str(path)]
    subprocess.run(command, check=True, capture_output=True, timeout=PATIENCE, env=office_environment())
    parser = _Fills()
    parser.feed(path.with_suffix(".html").read_text(encoding="utf-8"))
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


def test_conditional_formats(tmp_path: Path) -> None:
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
    ours, theirs = own_fills(path), office_fills(path, tmp_path)
    different = {name: pair for name, *pair in zip(RULES, ours, theirs, strict=False) if pair[0] != pair[1]}
    assert different == {}
    assert sum(map(len, ours)) > 3 * len(RULES)


def _today() -> int:
    return (date.today() - date(1899, 12, 30)).days
