"""`sgdsheet attach`: a workbook that is open in LibreOffice, from a terminal."""

from __future__ import annotations

import json
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from cli_books import run
from live_books import until
from office import LibreOffice, OfficeBook, available

from sgdsheet.live.places import VARIABLE
from sgdsheet.problem import find_problem
from sgdsheet.references import Range

ROOT = Path(__file__).parent.parent
SHEET = "nnet"

pytestmark = pytest.mark.skipif(not available(), reason="LibreOffice is not installed")


@pytest.fixture(scope="module")
def program() -> Iterator[LibreOffice]:
    office = LibreOffice()
    yield office
    office.stop()


@pytest.fixture
def book(program: LibreOffice, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[OfficeBook]:
    monkeypatch.setenv(VARIABLE, str(tmp_path / "state"))
    found = program.open(Path(shutil.copy(ROOT / "workbooks" / "titanic.xlsx", tmp_path / "titanic.xlsx")))
    yield found
    found.host.close()
    found.shut()


def where(program: LibreOffice) -> tuple[str, ...]:
    return ("--host", "libreoffice", "--where", program.office.pipe)


def loss(book: OfficeBook) -> float:
    cell = find_problem(book.host.read(), SHEET).loss
    value = book.host.read_values([Range.of_cell(cell)])[cell]
    assert isinstance(value, float)
    return value


def test_the_only_open_book(program: LibreOffice, book: OfficeBook) -> None:
    before = loss(book)
    found = run("attach", *where(program), "--sheet", SHEET, "--optimizer", "adam", "--lr", 0.01, "--steps", 40)
    assert (found.status, found.err) == (0, "")
    assert "titanic.xlsx in libreoffice" in found.out
    assert " in 40 steps" in found.out
    assert loss(book) < before


def test_json(program: LibreOffice, book: OfficeBook) -> None:
    found = run("attach", "titanic.xlsx", *where(program), "--sheet", SHEET, "--steps", 3, "--json")
    assert found.json["steps"] == 3
    assert found.json["book"] == book.host.key
    assert abs(found.json["loss"] - loss(book)) <= 1e-9


def test_ctrl_c_leaves_the_best(program: LibreOffice, book: OfficeBook) -> None:
    before = loss(book)
    options = ("--sheet", SHEET, "--optimizer", "adam", "--steps", "100000000", "--json")
    process = subprocess.Popen(
        [sys.executable, "-m", "sgdsheet", "attach", *where(program), *options], stdout=subprocess.PIPE, text=True
    )
    until(lambda: loss(book) < before, 60)
    process.send_signal(signal.SIGINT)
    out, _ = process.communicate(timeout=60)
    assert process.returncode == 0
    assert json.loads(out)["stopped"] == "interrupted"
    assert abs(json.loads(out)["loss"] - loss(book)) <= 1e-9


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        (("other.xlsx",), "“other.xlsx” is not open in a spreadsheet. Open there are "),
        (("titanic.xlsx", "--sheet", "nope"), "the workbook has no sheet “nope”"),
    ],
)
def test_what_is_not_there(program: LibreOffice, book: OfficeBook, arguments: tuple[str, ...], error: str) -> None:
    found = run("attach", *arguments, *where(program))
    assert found.status == 1
    assert error in found.err
    assert "Traceback" not in found.err


def test_no_book_at_all(program: LibreOffice) -> None:
    found = run("attach", *where(program))
    assert found.status == 1
    assert "no workbook is open. Open one in Excel or LibreOffice" in found.err
