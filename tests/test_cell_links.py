"""Links of cells that lead to a place in the workbook, as the page is told of them."""

from __future__ import annotations

import time
from pathlib import Path

import openpyxl
import xlsxwriter
from openpyxl.worksheet.hyperlink import Hyperlink

from sgdsheet.hosts.file import FileHost
from sgdsheet.hosts.xlsx.cell_links import read_links


def links(path: Path, sheet: str) -> dict[tuple[int, int], str]:
    return dict(FileHost(path).appearance().sheet(sheet).links)


def test_places_of_the_workbook_are_read_and_the_rest_of_the_world_is_not(tmp_path: Path) -> None:
    path = tmp_path / "links.xlsx"
    with xlsxwriter.Workbook(path) as book:
        first = book.add_worksheet("one & all")
        book.add_worksheet("it's two")
        book.define_name("target", "='it''s two'!$B$3")
        first.write_url("A1", "internal:'it''s two'!C4:D5", string="there")
        first.write_url("A2", "internal:target", string="a name")
        first.write_url("A3", "https://example.org/#A1", string="outside")
        first.write_url("A4", "external:other.xlsx#Sheet1!A1", string="another file")
    assert links(path, "one & all") == {(1, 1): "'it''s two'!C4:D5", (2, 1): "target"}
    assert links(path, "it's two") == {}


def test_links_as_another_program_writes_them(tmp_path: Path) -> None:
    path = tmp_path / "links.xlsx"
    book = openpyxl.Workbook()
    sheet = book.active
    assert sheet is not None
    sheet["A1"] = "there"
    sheet["A1"].hyperlink = Hyperlink(ref="A1", location="Sheet!Z9")
    book.save(path)
    assert links(path, "Sheet") == {(1, 1): "Sheet!Z9"}
    several = b'<hyperlinks><hyperlink ref="A1:B2" location="Sheet!Z9"/></hyperlinks>'
    assert read_links(several) == dict.fromkeys([(1, 1), (1, 2), (2, 1), (2, 2)], "Sheet!Z9")


def test_odd_links_are_left_out() -> None:
    data = b"""<hyperlinks><hyperlink ref="A1"/><hyperlink ref="nowhere" location="A1"/><hyperlink location="A1"/>
    <x:hyperlink ref='B1' location='#S!A1' display="a > b"/><hyperlink ref="A:A" location="A1"/></hyperlinks>"""
    found = read_links(data)
    assert found[1, 2] == "S!A1"
    assert len(found) <= 101
    many = b"".join(b'<hyperlink ref="A%d" location="A1"/>' % row for row in range(1, 9_000))
    assert 0 < len(read_links(many)) <= 5_000


def test_links_as_large_as_the_sheet_are_no_more_work() -> None:
    start = time.process_time()
    assert len(read_links(b'<hyperlink ref="A1:XFD1048576" location="A1"/>' * 4_000)) == 100
    assert time.process_time() - start < 10
