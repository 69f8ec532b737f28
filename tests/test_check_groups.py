"""`check --all` by sheet, formula and function: in a terminal, as data, and as a page to keep."""

from __future__ import annotations

import re
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
import xlsxwriter

from tests.cli_books import run

COSTS, SALES = "Costs", "My <b>sales & co"
ROWS = 40


@pytest.fixture(scope="module")
def book(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two sheets with wrong saved values, one without; cells that cannot be calculated, and some that read them."""
    path = tmp_path_factory.mktemp("check") / "bad.xlsx"
    with xlsxwriter.Workbook(path) as written:
        for name, off in ((COSTS, 1), (SALES, 1000), ("Fine", 0)):
            page = written.add_worksheet(name)
            for row in range(1, ROWS + 1):
                wrong = off if row % 7 == 3 else 0
                page.write_number(row - 1, 0, row)
                page.write_formula(
                    row - 1, 1, f"=A{row}*2+SUM(A$1:A{row})", None, row * 2 + row * (row + 1) / 2 + wrong
                )
                page.write_formula(row - 1, 2, f'=IF(A{row}>9,"<i>","no")', None, "<i>" if row > 9 else "no")
                if name == COSTS:
                    page.write_formula(row - 1, 3, f'=CUBEVALUES("<script>",A{row})', None, 1)
                    page.write_formula(row - 1, 4, f"=D{row}+1", None, 2)
        page.write_formula(0, 6, '=IF(A1>9,"a","b")', None, "<u>c</u>")
    return path


def test_data(book: Path) -> None:
    found = run("check", book, "--all", "--json")
    assert found.status == 1
    report = found.json
    wrong = len(range(3, ROWS + 1, 7))
    names = ("name", "formulas", "supported", "mismatches", "unsupported")
    assert report["sheets"] == [
        dict(zip(names, row, strict=True))
        for row in (
            (COSTS, 4 * ROWS, 3 * ROWS, wrong, ROWS),
            (SALES, 2 * ROWS, 2 * ROWS, wrong, 0),
            ("Fine", 2 * ROWS + 1, 2 * ROWS + 1, 1, 0),
        )
    ]
    assert sum(item["formulas"] for item in report["sheets"]) == report["formulas"]
    assert sum(item["supported"] for item in report["sheets"]) == report["supported"]
    assert sum(item["mismatches"] for item in report["sheets"]) == len(report["mismatches"])
    functions = {item["name"]: item for item in report["functions"]}
    assert list(functions)[:3] == ["SUM", "IF", "CUBEVALUES"]
    assert functions["SUM"]["mismatches"] == 2 * wrong
    assert functions["CUBEVALUES"]["unsupported"] == ROWS
    assert [(item["range"], item["cells"], item["worst_cell"]) for item in report["differing"]] == [
        ("Fine!G1", 1, "Fine!G1"),
        (f"'{SALES}'!B1:B{ROWS}", wrong, f"'{SALES}'!B3"),
        (f"{COSTS}!B1:B{ROWS}", wrong, f"{COSTS}!B3"),
    ]


def test_terminal(book: Path) -> None:
    out = run("check", book, "--all").out
    lines = [re.sub(" +", " ", line).strip() for line in out.splitlines()]
    wrong = len(range(3, ROWS + 1, 7))
    assert lines[2:5] == [
        f"Fine {2 * ROWS + 1} {2 * ROWS + 1} 1 –",
        f"{SALES} {2 * ROWS} {2 * ROWS} {wrong} –",
        f"{COSTS} {4 * ROWS} {3 * ROWS} {wrong} {ROWS}",
    ]
    place = lines.index(f"'{SALES}'!B1:B{ROWS} =A1*2+SUM(A$1:A1) {wrong} of {ROWS} cells")
    assert lines[place + 1] == f"'{SALES}'!B3: saved 1012, computed 12"
    assert f"by function: SUM {2 * wrong}, IF 1" in lines
    assert any("CUBEVALUES is not supported" in line and f"{ROWS - 1} cells like it" in line for line in lines)


_TAGS = {
    *("html", "head", "meta", "title", "style", "body", "h1", "h2", "p", "ul", "li", "b", "div", "code", "details"),
    *("table", "thead", "tbody", "tr", "th", "td", "summary"),
}
"""None of these runs or fetches anything."""


class _Page(HTMLParser):
    """What a browser would take from a page."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.attributes: set[str] = set()
        self.words = ""
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, Any]]) -> None:
        self.tags.add(tag)
        self.attributes.update(name for name, _ in attrs)

    def handle_data(self, data: str) -> None:
        self.words += data


def test_page(book: Path, tmp_path: Path) -> None:
    found = run("check", book, "--all", "--html", tmp_path / "page.html")
    assert found.status == 1
    assert found.out.endswith(f"Wrote {tmp_path / 'page.html'}\n")
    text = (tmp_path / "page.html").read_text(encoding="utf-8")
    page = _Page(text)
    assert page.tags <= _TAGS
    assert page.attributes <= {"lang", "charset", "name", "content", "http-equiv", "class"}
    assert "://" not in text
    assert "prefers-color-scheme: dark" in text
    for words in (f"'{SALES}'!B3 is saved as 1012, computed 12", '=CUBEVALUES("<script>",A1)', "“<u>c</u>”", SALES):
        assert words in page.words
    assert run("check", book, "--all", "--html", tmp_path / "page.html").status == 1  # an older one may be replaced


def test_page_of_a_model(tmp_path: Path) -> None:
    book = Path(__file__).parent.parent / "workbooks" / "quadratic.xlsx"
    assert run("check", book, "--sheet", "raw", "--html", tmp_path / "page.html", "--json").json["passed"]
    words = _Page((tmp_path / "page.html").read_text(encoding="utf-8")).words
    assert "All 41 compared cells equal their saved values" in words
    assert "against central differences3 gradients" in words
    assert "divide raw!A8:A27 by its maximum" in words


def test_a_page_of_a_person_stays(book: Path, tmp_path: Path) -> None:
    (tmp_path / "mine.html").write_text("<!doctype html><p>mine")
    found = run("check", book, "--html", tmp_path / "mine.html")
    assert found.status == 1
    assert "exists and is not a page written by sgdsheet" in found.err
    assert (tmp_path / "mine.html").read_text() == "<!doctype html><p>mine"
