"""`sgdsheet attach`: a workbook that is open in LibreOffice, from a terminal."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from sgdsheet.hosts.libreoffice import libreoffice_host, office_process
from sgdsheet.hosts.libreoffice.office_process import invite, listening
from sgdsheet.hosts.libreoffice.programs import office_python, soffice
from sgdsheet.hosts.live_hosts import leave, open_books
from sgdsheet.problem.definition import find_problem, sheets_with_problem
from sgdsheet.sheet.references import Range
from sgdsheet.system.state_folder import VARIABLE
from tests.activated import empty_environment
from tests.cli_books import NAMES, line_cells, run, write_book
from tests.live_books import PATIENCE, until
from tests.office import LibreOffice, OfficeBook, available
from tests.small_titanic import some_of_the_titanic

SHEET = "nnet"

pytestmark = pytest.mark.skipif(not available(), reason="LibreOffice is not installed")


@pytest.fixture(scope="module", autouse=True)
def active(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """As in a person's terminal, an environment is active; one that would mislead LibreOffice's Python."""
    made = empty_environment(tmp_path_factory.mktemp("environment") / ".venv", office_python())
    with pytest.MonkeyPatch.context() as patch:
        for name, value in made.active(os.environ).items():
            patch.setenv(name, value)
        yield


@pytest.fixture(scope="module")
def program(active: None) -> Iterator[LibreOffice]:
    office = LibreOffice()
    yield office
    office.stop()


@pytest.fixture
def book(program: LibreOffice, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[OfficeBook]:
    monkeypatch.setenv(VARIABLE, str(tmp_path / "state"))
    found = program.open(some_of_the_titanic(tmp_path / "titanic.xlsx"))
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
        [sys.executable, "-m", "sgdsheet", "attach", *where(program), *options],
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    try:
        until(lambda: loss(book) < before)
        os.killpg(process.pid, signal.SIGINT)  # as a terminal does: its children get it, too
        out, _ = process.communicate(timeout=PATIENCE)
    finally:
        process.kill()
    assert process.returncode == 0
    assert json.loads(out)["stopped"] == "stopped"
    assert abs(json.loads(out)["loss"] - loss(book)) <= 1e-9


def test_the_sheet_says_so_when_the_terminal_is_killed(program: LibreOffice, book: OfficeBook) -> None:
    """The status bar is the office's again, a bar on top of the sheet tells what happened, and the next run works."""
    before, bar = loss(book), book.status_bar()
    told = "import json; print(json.dumps(document.CurrentController.hasInfobar('sgdsheet')))"
    assert not book.look(told)
    options = ("--sheet", SHEET, "--optimizer", "adam", "--steps", "100000000")
    process = subprocess.Popen(
        [sys.executable, "-m", "sgdsheet", "attach", *where(program), *options],
        stdout=subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        until(lambda: loss(book) < before)
        assert book.status_bar() != bar
    finally:
        process.kill()
        process.wait(PATIENCE)
    until(lambda: _still(book))
    assert book.look(told)
    undone = run("attach", *where(program), "--undo", "--json")
    assert undone.json["message"] == "undone: train"
    assert loss(book) == before
    assert run("attach", *where(program), "--undo").err.startswith("sgdsheet: there is nothing to undo")
    assert run("attach", *where(program), "--undo", "--steps", "1").status == 2
    assert run("attach", *where(program), "--undo", "--sheet", "Model").status == 2
    assert run("attach", *where(program), "--sheet", SHEET, "--steps", "1", "--json").json["steps"] == 1


def _still(book: OfficeBook) -> bool:
    """Whether the status bar shows the same for a moment."""
    shown = book.status_bar()
    return all(book.status_bar() == shown for _ in range(3))


def test_one_terminal_at_a_time(program: LibreOffice, book: OfficeBook) -> None:
    before = loss(book)
    command = [sys.executable, "-m", "sgdsheet", "attach", *where(program), "--sheet", SHEET, "--steps", "100000000"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    try:
        until(lambda: loss(book) < before)
        found = run("attach", *where(program), "--sheet", SHEET, "--steps", 3)
        assert found.status == 1
        assert "this workbook is being trained by another sgdsheet" in found.err
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=PATIENCE)
    finally:
        process.kill()
    assert process.returncode == 0
    assert run("attach", *where(program), "--sheet", SHEET, "--steps", 3).status == 0


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


def test_by_another_name(program: LibreOffice, book: OfficeBook, tmp_path: Path) -> None:
    link = tmp_path / "link.xlsx"
    link.symlink_to(book.host.key)
    found = run("attach", link, *where(program), "--sheet", SHEET, "--steps", 3, "--json")
    assert found.json["book"] == book.host.key


def test_a_sheet_without_a_model(program: LibreOffice, book: OfficeBook) -> None:
    """The remedies are ones that there are in a spreadsheet, and that this command has."""
    models = sheets_with_problem(book.host.read())
    book.look("document.Sheets.insertNewByName('Notes', 0)")
    found = run("attach", *where(program), "--sheet", "Notes")
    assert found.status == 1
    assert "sheet Notes has no loss cell. Mark the loss cell with Set loss and the parameters with" in found.err
    listed = " or ".join(f"“{name}”" for name in models)
    assert f"or go to another sheet with a model: {listed}" in found.err
    book.look("document.CurrentController.setActiveSheet(document.Sheets.getByName('Notes'))")
    found = run("attach", *where(program))
    assert f"there are models on several sheets ({', '.join(models)}). Click on the sheet “{models[0]}”" in found.err


def test_a_workbook_without_a_model(program: LibreOffice, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The best candidate is told in the words of the buttons, and where to see more."""
    monkeypatch.setenv(VARIABLE, str(tmp_path / "state"))
    path = write_book(tmp_path / "plain.xlsx", line_cells(), {})
    opened = program.open(path)
    found = run("attach", *where(program))
    opened.host.close()
    opened.shut()
    cause, candidate, more = found.err.splitlines()
    assert "no loss cell was found. Mark the loss cell with Set loss" in cause
    assert candidate.endswith("with 2 parameters looks like one: Set loss on its cell, Set parameters on E1:E2")
    assert more.endswith(f"sgdsheet inspect {path}")


def test_no_book_at_all(program: LibreOffice) -> None:
    pipe = program.office.pipe
    found = run("attach", *where(program))
    assert found.status == 1
    assert f"no workbook is open at “{pipe}”. Open one in Excel or LibreOffice there" in found.err
    found = run("attach", "--where", "nosuch")
    assert found.status == 1
    assert "no workbook is open at “nosuch”" in found.err
    assert "leave out --where to look everywhere" in found.err
    found = run("attach", "titanic.xlsx", "--host", "libreoffice", "--where", "nosuch")
    assert "“titanic.xlsx” is not open in a spreadsheet at “nosuch”" in found.err


def test_numbers_take_the_place_of_formulas(program: LibreOffice, tmp_path: Path) -> None:
    path = write_book(tmp_path / "line.xlsx", {**line_cells(), "E1": ("=1/2", 0.5)}, NAMES)
    opened = program.open(path)
    refused = run("attach", "line.xlsx", *where(program), "--steps", 3)
    assert (refused.status, refused.out.count("\n")) == (1, 1)
    assert "a parameter cell holds a formula" in refused.err
    found = run("attach", "line.xlsx", *where(program), "--steps", 3, "--overwrite-formulas")
    assert (found.status, found.err) == (0, "")
    assert "Numbers took the place of formulas: Model!E1" in found.out
    assert (1, 5) not in opened.host.read().sheets["Model"].formulas
    opened.shut()


def test_the_door_that_was_opened_for_us_is_closed(
    program: LibreOffice, book: OfficeBook, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`attach` asks the office of a person to listen, by a name that nobody can guess, and takes that back."""
    second = tmp_path / "soffice"  # as a person's second start, which finds the office by its profile
    profile = f"-env:UserInstallation={program.office.profile.as_uri()}"
    second.write_text(f'#!/bin/sh\nexec "{soffice()}" "{profile}" "$@"\n', encoding="utf-8")
    second.chmod(0o755)
    doors: list[str] = []

    def watched() -> str | None:
        door = invite()
        doors.extend(filter(None, [door]))
        return door

    monkeypatch.setattr(office_process, "soffice", lambda: second)
    monkeypatch.setattr(libreoffice_host, "invite", watched)
    monkeypatch.setattr(libreoffice_host, "listening", lambda: [pipe for pipe in listening() if pipe in doors])
    assert open_books("libreoffice") == open_books("libreoffice") == [book.host.key]
    assert len(doors) == 1  # who asks again finds the door open
    leave()
    until(lambda: doors[0] not in listening())
    assert run("attach", "titanic.xlsx", "--sheet", SHEET, "--steps", 3).status == 0
    assert len(set(doors)) == 2
    until(lambda: doors[1] not in listening())
    assert not [place for door in doors for place in Path("/tmp").glob(f"*{door}")]
