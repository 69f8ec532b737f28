"""`sgdsheet addin verify`: its checklist, its walk without Excel, and its probes over LibreOffice in Excel's place.

That Excel behaves as LibreOffice does here, only the command itself shows, where there is an Excel.
"""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import click
import pytest
import xlwings as xw
from click.testing import CliRunner

from sgdsheet.apps.cli import addin
from sgdsheet.apps.excel_addin import excel_desk, probes, verification
from sgdsheet.apps.excel_addin.addin_install import Status
from sgdsheet.apps.excel_addin.checklist import Line, numbered, printed
from sgdsheet.apps.excel_addin.excel_desk import Desk, Different, find_excel
from sgdsheet.apps.excel_addin.probes import HERE, IN_EXCEL, Here
from sgdsheet.apps.excel_addin.verification import Answer, Came, Outcome, Walk, report, summary
from sgdsheet.errors import HostError
from sgdsheet.sheet.references import Cell
from sgdsheet.system import state_folder
from tests import office
from tests.addin_parts import addin as built_addin
from tests.errors import refusal
from tests.excel_chain import Chain
from tests.live_books import most

NUMBERS = {line.probe: number for number, _, line in numbered() if line.probe}
OF_WINDOWS_ONLY = {"version", "softmax", "relu", "grad"}
"""The worksheet functions: no xlwings serves them in LibreOffice."""


def here() -> Here:
    return Here(built_addin, None)


def no_excel() -> Desk:
    raise HostError("there is no Excel on this system", remedy="Take another")


# --- the checklist ----------------------------------------------------------------------------------------


def test_the_printed_checklist_is_that_of_the_command() -> None:
    """To print it anew, write what `sgdsheet.apps.excel_addin.checklist.printed()` returns into the file."""
    path = Path(__file__).parents[1] / "addin" / "CHECKLIST.md"
    assert path.read_text(encoding="utf-8") == printed()


def test_every_probe_has_its_line() -> None:
    probed = [line.probe for _, _, line in numbered() if line.probe]
    assert sorted(probed) == sorted([*HERE, *IN_EXCEL])


def test_every_line_says_what_to_do_and_what_to_expect() -> None:
    for _, _, line in numbered():
        assert line.do, line
        assert len(line.expect) > 5, line
        assert "|" not in line.do + line.expect, line  # it stands in a table
        assert set(line.systems) <= {"win32", "darwin"}
    assert len({line.do for _, _, line in numbered()}) == len(list(numbered()))


# --- the walk ---------------------------------------------------------------------------------------------


def test_without_excel_it_does_what_it_can(tmp_path: Path) -> None:
    path = tmp_path / "seen.md"
    command = [sys.executable, "-m", "sgdsheet", "addin", "verify", "--alone", "-o", str(path)]
    done = subprocess.run(command, capture_output=True, text=True, encoding="utf-8", check=False)
    assert (done.returncode, done.stderr) == (0, "")
    lines = done.stdout.splitlines()
    assert [line.split()[1] for line in lines[:2]] == ["good", "good"]  # it was built, and Python answers
    assert sum("What is missing here is Excel" in line for line in lines) == 1
    assert len(lines) == 5
    text = path.read_text(encoding="utf-8")
    assert text.startswith(verification.TITLE)
    assert len(re.findall(r"^\| \d+ \| ", text, re.MULTILINE)) == len(list(numbered()))
    again = CliRunner().invoke(addin.command, command[4:])
    assert again.exit_code == 0  # its own report may be replaced
    path.write_text("mine")
    assert CliRunner().invoke(addin.command, command[4:]).exit_code == 1
    assert path.read_text() == "mine"


def test_a_person_is_asked_what_only_they_can_see() -> None:
    asked: list[int] = []

    def ask(number: int, line: Line) -> Answer:
        asked.append(number)
        assert not line.probe
        return (Answer(True), Answer(False, "a red | square"), Answer(None))[len(asked) % 3]

    class Stand:
        """An Excel of which nothing is asked."""

        app = type("App", (), {"version": "16.0"})
        closed = False

        def close(self) -> None:
            self.closed = True

    stand = Stand()
    manual = [number for number, _, line in numbered() if not line.probe and line.systems != ("darwin",)]
    heard: list[Outcome] = []
    walk = Walk(here(), lambda: stand, ask, heard.append, "win32")  # type: ignore[arg-type,return-value]
    outcomes = walk.go([*manual, NUMBERS["built"]])
    assert asked == manual
    assert heard == outcomes
    assert stand.closed
    came = [outcome.came for outcome in outcomes if not outcome.line.probe]
    expected = (Came.DIFFERENT, Came.LEFT_OUT, Came.GOOD)
    assert came == [expected[place % 3] for place in range(len(manual))]
    text = report(outcomes, walk.excel())
    assert "Excel 16.0" in text
    assert "a red \\| square" in text
    assert summary(outcomes) in text


@pytest.mark.parametrize(
    ("typed", "answer"),
    [("y\n", Answer(True)), ("n\na red square\n", Answer(False, "a red square")), ("\n", Answer(None))],
)
def test_the_command_asks(typed: str, answer: Answer) -> None:
    @click.command()
    def asking() -> None:
        click.echo(repr(addin._ask(Answer, 7, Line("Look [there]", "A square"))))

    done = CliRunner().invoke(asking, input=typed)
    assert "7 Do: Look [there]" in done.output
    assert "Expect: A square" in done.output
    assert done.output.splitlines()[-1] == repr(answer)


def test_lines_of_another_system_are_left_out() -> None:
    for system, other in (("win32", "darwin"), ("darwin", "win32"), ("linux", "win32")):
        outcomes = Walk(here(), no_excel, None, lambda outcome: None, system).go()
        foreign = [outcome for outcome in outcomes if outcome.line.systems == (other,)]
        assert {(outcome.came, outcome.seen) for outcome in foreign} == {(Came.LEFT_OUT, "for another system")}
        assert len(outcomes) == len(list(numbered()))


def test_the_report_does_not_tell_the_home_folder() -> None:
    outcome = Outcome(1, Line("do", "expect"), Came.GOOD, f"wrote {Path.home() / 'x'}")
    assert str(Path.home()) not in report([outcome], "Excel")
    assert str(Path("~") / "x") in report([outcome], "Excel")


def test_numbers_of_lines(tmp_path: Path) -> None:
    for text, status in (("1,3-4", 0), ("0", 2), ("999", 2), ("a", 2), ("3-", 0)):
        arguments = ["verify", "--alone", "--only", text, "-o", str(tmp_path / "seen.md")]
        done = CliRunner().invoke(addin.command, arguments)
        assert done.exit_code == status, done.output


def test_a_mistake_in_one_line_does_not_end_the_others(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(here: Here) -> str:
        raise ZeroDivisionError("oh")

    monkeypatch.setitem(HERE, "built", broken)
    outcomes = Walk(here(), no_excel, None, lambda outcome: None).go([NUMBERS["built"], NUMBERS["answers"]])
    assert [outcome.came for outcome in outcomes] == [Came.DIFFERENT, Came.GOOD]
    assert outcomes[0].seen == "ZeroDivisionError: oh"


def test_what_is_wrong_before_excel_is_told(tmp_path: Path) -> None:
    def status(**changed: object) -> Status:
        fields = {"installed": True, "current": True, "addin": "x", "interpreter": sys.executable}
        return Status(**{**fields, "interpreter_exists": True, **changed})  # type: ignore[arg-type]

    assert sys.executable in probes.installed(Here(built_addin, status()))
    with pytest.raises(Different, match="Run: sgdsheet addin install"):
        probes.installed(Here(built_addin, status(current=False)))
    changing = iter(range(9))
    with pytest.raises(Different, match="two builds"):
        probes.built(Here(lambda: bytes(next(changing)), None))
    silent = tmp_path / "python"
    silent.write_text("#!/bin/sh\nexit 0\n")
    silent.chmod(0o755)
    with pytest.raises(Different, match="ended with 0"):
        probes.answers(Here(built_addin, status(interpreter=str(silent))))
    with pytest.raises(Different, match="does not answer"):
        probes.answers(Here(built_addin, status(interpreter=str(tmp_path / "gone"))))
    with pytest.raises(Different, match="neither in"):
        probes.library(Here(built_addin, status(interpreter=str(silent))))


@pytest.mark.skipif(sys.platform in ("win32", "darwin"), reason="there may be an Excel")
def test_there_is_no_excel_to_find(tmp_path: Path) -> None:
    with refusal(HostError, cause="no Excel on this system"):
        find_excel(tmp_path)


# --- the probes -------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def chain(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Chain]:
    if not office.available():
        pytest.skip("LibreOffice is not installed")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(state_folder.VARIABLE, str(tmp_path_factory.mktemp("state")))
        found = Chain(tmp_path_factory.mktemp("chain"))
        try:
            found.start_service()
            found.engine.shell = found.run_pressed
            found.engine.shown = found.folder / "status"
            yield found
        finally:
            found.stop()


def desk_in(folder: Path) -> Desk:
    return Desk(next(iter(xw.apps)), folder)


def test_the_probes_over_libreoffice(chain: Chain, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """All that need no worksheet function, in the order of the checklist."""
    monkeypatch.setattr(probes, "_QUICK", most(3.0, 30.0))  # it is three processes here, and no Excel's own
    monkeypatch.setattr(probes, "_TO_STOP", most(5.0, 30.0))
    monkeypatch.setattr(excel_desk, "_TO_ANSWER", most(30.0, 120.0))
    wanted = [NUMBERS[name] for name in IN_EXCEL if name not in OF_WINDOWS_ONLY]
    walk = Walk(here(), lambda: desk_in(tmp_path), None, lambda outcome: None, "win32")
    outcomes = walk.go(wanted)
    assert {outcome.line.probe: outcome.seen for outcome in outcomes if outcome.came is not Came.GOOD} == {}
    assert len(outcomes) == len(IN_EXCEL) - len(OF_WINDOWS_ONLY)
    assert chain.engine.macros.count("SgdPress") >= 10
    assert walk.excel() == "Excel 16.0"


def test_the_probes_notice(chain: Chain, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A button that does nothing, a procedure that does something else, a formula that gives something."""
    monkeypatch.setattr(excel_desk, "_TO_ANSWER", 0.5)
    monkeypatch.setattr(probes, "_LONG", 0.5)
    desk = desk_in(tmp_path)
    try:
        monkeypatch.setattr(chain.engine, "shell", None)
        for probe in (probes.step, probes.train, probes.undo, probes.sheets, probes.hostile_name, probes.stranger):
            with pytest.raises(Different):
                probe(desk)
        desk.open(excel_desk.write_model(tmp_path / "another.xlsx"))
        for answer in ("formula", ((9.0,), (9.0,))):
            monkeypatch.setattr(desk, "procedure", lambda *_, answer=answer: answer)
            with pytest.raises(Different):
                probes.one_turn(desk)
        with pytest.raises(Different, match="the cell holds"):
            probes.decimal_mark(desk)
        monkeypatch.setattr(desk, "press", lambda action: 3.0)
        with pytest.raises(Different, match="after 3"):
            probes.quick(desk)
        for probe in (probes.version, probes.relu, probes.grad, probes.closed):
            monkeypatch.setattr(desk, "formula", lambda cell, text: 1.0)
            with pytest.raises(Different):
                probe(desk)
        with pytest.raises(Different):
            probes.softmax(desk)
    finally:
        desk.close()
    assert not any(book.name in ("another.xlsx", "sgdsheet verify.xlsx") for book in desk.app.books)


def test_workbooks_of_the_person_stay(chain: Chain, tmp_path: Path) -> None:
    path = excel_desk.write_model(tmp_path / "mine.xlsx")
    chain.office.open(path)
    folder = tmp_path / "folder"
    folder.mkdir()
    desk = desk_in(folder)
    desk.host.write({Cell(excel_desk.SHEET, 9, 9): 1.0})
    desk.close()
    assert [book.name for book in desk.app.books if book.name == "mine.xlsx"] == ["mine.xlsx"]
