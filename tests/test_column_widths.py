"""Widths of columns that are dragged in the page: into the file and nothing else, back by Undo, and after a crash."""

from __future__ import annotations

import shutil
import subprocess
import zipfile
from io import BytesIO
from pathlib import Path

import openpyxl  # type: ignore[import-untyped]
import pytest
import xlsxwriter  # type: ignore[import-untyped]

from sgdsheet.errors import HostError
from sgdsheet.hosts.base import ReportSheet
from sgdsheet.hosts.libreoffice.programs import office_environment
from sgdsheet.hosts.web.autosave import Autosave, recover
from sgdsheet.hosts.web.open_book import OpenBook
from sgdsheet.sheet.references import Cell
from tests.errors import refusal
from tests.live_books import PATIENCE

pytestmark = pytest.mark.usefixtures("state")

OFFICE = shutil.which("soffice")
CHARACTER = 7
"""Pixels of a character of the usual font."""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    target = tmp_path / "book.xlsx"
    with xlsxwriter.Workbook(target) as book:
        sheet = book.add_worksheet("S")
        sheet.set_column("B:E", 20, book.add_format({"bold": True}))
        sheet.set_column("G:G", 5, None, {"hidden": True})
        sheet.write_row(0, 0, range(8))
        book.add_worksheet("plain").write(0, 0, "no widths")
    return target


def widths(data: bytes, sheet: str) -> dict[str, float]:
    """The widths of columns in characters as openpyxl reads them."""
    found = openpyxl.load_workbook(BytesIO(data))[sheet].column_dimensions
    return {letter: round(item.width, 2) for letter, item in found.items()}


def test_a_width_is_saved_and_nothing_else_changes(path: Path) -> None:
    book = OpenBook.open(path)
    book.set_widths("S", [3, 8], 70)
    book.set_widths("plain", [1, 2], 35)
    data = book.data()
    with zipfile.ZipFile(path) as before, zipfile.ZipFile(BytesIO(data)) as after:
        assert before.namelist() == after.namelist()
        changed = [name for name in before.namelist() if before.read(name) != after.read(name)]
    assert changed == ["xl/worksheets/sheet1.xml", "xl/worksheets/sheet2.xml"]
    found = openpyxl.load_workbook(BytesIO(data))["S"].column_dimensions
    runs = {letter: (item.min, item.max, round(item.width)) for letter, item in found.items()}
    assert runs == {"B": (2, 2, 21), "C": (3, 3, 10), "D": (4, 5, 21), "G": (7, 7, 6), "H": (8, 8, 10)}
    assert found["C"].font.bold
    assert found["G"].hidden
    assert widths(data, "plain") == {"A": 5, "B": 5}
    book.close()


def test_undo_redo_and_saving_in_place(path: Path) -> None:
    book = OpenBook.open(path)
    look = book.appearance().sheet("S")
    first = look.widths[3]
    book.set_widths("S", [3], 70)
    assert book.dirty
    book.edit([(Cell("S", 2, 1), "5")])
    book.save()
    assert book.undo() == "typing"
    assert book.undo() == "column width"
    assert look.widths[3] == first
    book.save()
    assert widths(path.read_bytes(), "S")["C"] == pytest.approx(first / CHARACTER, abs=0.01)
    assert book.redo() == "column width"
    assert look.widths[3] == 70
    book.set_widths("S", [3], 70)
    assert not book.can_redo or book.redo() == "typing"
    book.close()


def test_a_hidden_column_that_gets_a_width_is_shown(path: Path) -> None:
    book = OpenBook.open(path)
    book.set_widths("S", [7], 77)
    assert not openpyxl.load_workbook(BytesIO(book.data()))["S"].column_dimensions["G"].hidden
    book.close()


def test_what_must_not_be_changed(path: Path) -> None:
    book = OpenBook.open(path)
    book.put_sheet(ReportSheet("SGD log", [["step"]]))
    with refusal(HostError, cell="'SGD log'!A1", remedy="your own"):
        book.set_widths("SGD log", [1], 50)
    with refusal(HostError, cause="pixels wide"):
        book.set_widths("S", [1], 5_000)
    book.close()


def test_widths_outlive_a_crash(path: Path) -> None:
    book = OpenBook.open(path)
    keeper = Autosave(book, pause=0.05)
    book.set_widths("S", [1, 3], 99)
    keeper.close()
    book.close()
    again = OpenBook.open(path)
    assert recover(again) == 2
    assert {column: again.appearance().sheet("S").widths[column] for column in (1, 2, 3)} == {1: 99, 2: 145, 3: 99}
    again.close()


@pytest.mark.skipif(OFFICE is None, reason="LibreOffice is not installed")
@pytest.mark.parametrize("ending", ["ods", "fods"])
def test_an_open_document_as_libreoffice_reads_it(path: Path, ending: str) -> None:
    def converted(source: Path, kind: str) -> Path:
        profile = f"-env:UserInstallation={(path.parent / 'profile').as_uri()}"
        command = [str(OFFICE), profile, "--headless", "--convert-to", kind, "--outdir", str(path.parent), str(source)]
        subprocess.run(command, check=True, capture_output=True, timeout=PATIENCE, env=office_environment())
        return source.with_suffix(f".{kind}")

    document = converted(path, ending)
    book = OpenBook.open(document)
    before = dict(book.appearance().sheet("S").widths)
    book.set_widths("S", [3, 9], 140)
    wider = path.with_name(f"wider.{ending}")
    book.save(wider)
    book.close()
    again = OpenBook.open(wider)
    look = again.appearance().sheet("S")
    assert {**before, 3: 140, 9: 140} == {column: look.widths[column] for column in {*before, 3, 9}}
    again.close()
    found = openpyxl.load_workbook(converted(wider, "xlsx"))["S"].column_dimensions
    runs = {item.min: (item.max, item.width) for item in found.values()}
    assert runs[3][0] == 3
    assert runs[3][1] == pytest.approx(140 / CHARACTER, rel=0.06)
    assert runs[9][1] == pytest.approx(140 / CHARACTER, rel=0.06)
    assert runs[2][1] == pytest.approx(20.7, rel=0.06)
