"""Long work in an open workbook: what is being done is shown, and Stop ends it with nothing written."""

from __future__ import annotations

import math
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import xlsxwriter

from sgdsheet.compiler.model import compile
from sgdsheet.errors import Interrupted
from sgdsheet.hosts.file import load
from sgdsheet.live.run.status import IDLE, STARTING, TRAINING, WORKING
from sgdsheet.sheet.references import Cell
from sgdsheet.sheet.workbook import DefinedName, Formula, Sheet, Workbook
from sgdsheet.system import long_work
from sgdsheet.system.long_work import LongWork, checkpoint, done, kept, part, stage
from sgdsheet.train.session import Session
from tests.live_books import PATIENCE, SHEET, Desk, line_host, until
from tests.memory_host import MemoryHost

STAGES = {
    "reading the workbook": "step",
    "compiling 11 formulas": "check",
    "comparing the formulas with the workbook's values": "step",
    "deriving the gradient": "step",
}


class Gate:
    """Holds the work at the first checkpoint of a stage, as one that takes long would be, until it is opened.

    Threads that tests before have left behind, and that still look at their own workbooks, pass.
    """

    def __init__(self, at: str) -> None:
        self.at = at
        self.others = set(threading.enumerate())
        self.reached, self.opened = threading.Event(), threading.Event()

    def hold(self, work: LongWork) -> None:
        own = threading.current_thread() not in self.others
        if own and work.text == f"{self.at} …" and not self.reached.is_set():
            self.reached.set()
            assert self.opened.wait(PATIENCE)


@pytest.fixture
def gate(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[Gate]:
    """A gate at the stage that the test asks for. All work counts as long."""
    found, pass_by = Gate(request.param), LongWork.checkpoint

    def held(work: LongWork) -> None:
        pass_by(work)  # which shows what is being done
        found.hold(work)
        pass_by(work)

    monkeypatch.setattr(long_work, "UNNOTICED", 0.0)
    monkeypatch.setattr(LongWork, "checkpoint", held)
    yield found
    found.opened.set()


def contents(host: MemoryHost) -> dict[str, dict[Any, Any]]:
    return {name: dict(sheet.values) for name, sheet in host.workbook.sheets.items()}


@pytest.mark.parametrize("gate", STAGES, indirect=True)
def test_a_command_says_what_it_does_and_can_be_stopped(gate: Gate) -> None:
    host = line_host()
    before, command = contents(host), STAGES[gate.at]
    with Desk(host) as desk:
        undoable = desk.ask("status")["can_undo"]
        replies: list[dict[str, Any]] = []
        asked = threading.Thread(target=lambda: replies.append(desk.ask(command)))
        asked.start()
        assert gate.reached.wait(PATIENCE)
        status = desk.ask("status")
        assert (status["state"], status["message"]) == (WORKING, f"{gate.at} …")
        assert host.status_bar == f"{gate.at} …"
        stopped = threading.Thread(target=desk.ask, args=("stop",))
        stopped.start()
        until(lambda: desk.trainer.status_of("memory", "line.xlsx").work._stopped)  # type: ignore[union-attr]
        gate.opened.set()
        asked.join(PATIENCE)
        stopped.join(PATIENCE)
        said = f"stopped while {gate.at}: nothing was written"
        assert (replies[0]["ok"], replies[0]["message"], replies[0]["stopped"]) == (True, said, "stopped")
        assert (desk.ask("status")["state"], desk.ask("status")["message"]) == (IDLE, said)
        assert host.status_bar == said
        assert not host.messages
        assert not host.writes
        assert contents(host) == before
        assert desk.ask("status")["can_undo"] == undoable
        assert desk.done("step")["step"] == 1  # and the next one is done


@pytest.mark.parametrize("gate", [stage for stage in STAGES if stage != "reading the workbook"], indirect=True)
def test_training_says_what_it_does_first_and_can_be_stopped(gate: Gate) -> None:
    host = line_host()
    before = contents(host)
    with Desk(host) as desk:
        desk.done("train")
        assert gate.reached.wait(PATIENCE)
        until(lambda: host.status_bar == f"{gate.at} …")
        status = desk.ask("status")
        assert (status["state"], status["message"]) == (TRAINING, f"{gate.at} …")
        desk.ask("stop", wait=0.0)
        gate.opened.set()
        status = desk.until_idle()
        assert status["message"] == f"stopped while {gate.at}: nothing was written"
        assert (status["stopped"], status["failed"], status["step"]) == ("stopped", None, 0)
        assert host.status_bar == status["message"]
        assert not host.messages
        assert not host.writes
        assert contents(host) == before


@pytest.mark.parametrize("gate", ["reading the workbook"], indirect=True)
def test_training_is_stopped_before_it_begins(gate: Gate) -> None:
    host = line_host()
    with Desk(host) as desk:
        desk.ask("train", wait=0.0)
        assert gate.reached.wait(PATIENCE)
        assert desk.ask("status")["state"] == STARTING
        desk.ask("stop", wait=0.0)
        gate.opened.set()
        assert desk.until_idle()["message"] == "stopped while reading the workbook: nothing was written"
        assert not host.writes


@pytest.mark.parametrize("gate", ["compiling 11 formulas"], indirect=True)
def test_what_nobody_waits_for_leaves_the_buttons_alone(gate: Gate) -> None:
    with Desk(line_host()) as desk:
        desk.ask("gradient-values", wait=0.0)
        assert gate.reached.wait(PATIENCE)
        status = desk.ask("status")
        assert (status["state"], status["message"]) == (IDLE, f"{gate.at} …")
        gate.opened.set()


@pytest.mark.parametrize("gate", ["compiling 11 formulas"], indirect=True)
def test_stop_ends_a_command_that_waits_for_what_nobody_waits_for(gate: Gate) -> None:
    host = line_host()
    with Desk(host) as desk:
        desk.ask("gradient-values", wait=0.0)
        assert gate.reached.wait(PATIENCE)
        desk.ask("step", wait=0.0)
        assert desk.ask("status")["state"] == WORKING
        desk.ask("stop", wait=0.0)
        gate.opened.set()
        until(lambda: not desk.trainer.busy)
        assert desk.ask("status")["message"] == "stopped while reading the workbook: nothing was written"
        assert not host.writes
        assert desk.done("step")["step"] == 1  # one that is given later is done


@pytest.mark.parametrize("gate", ["deriving the gradient"], indirect=True)
def test_the_buttons_are_told(gate: Gate) -> None:
    host, told = line_host(), []

    class Told(Desk):
        def __init__(self) -> None:
            super().__init__(host)
            self.trainer._show_state = lambda program, book, where, state: bool(told.append(state)) or True

    with Told() as desk:
        desk.ask("step", wait=0.0)
        assert gate.reached.wait(PATIENCE)
        assert told[-1] == WORKING
        gate.opened.set()
        until(lambda: desk.ask("status")["step"] == 1 and told[-1] == IDLE)


def test_short_work_is_neither_shown_nor_ended() -> None:
    shown: list[str] = []
    work = LongWork(shown.append)
    with work.under(), stage("reading"):
        work.stop()
        checkpoint()
    assert not shown
    assert not work.text


def test_how_much_is_done_is_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(long_work, "UNNOTICED", 0.0)
    monkeypatch.setattr(long_work, "_SHOWN_EVERY", 0.0)
    shown: list[str] = []
    with LongWork(shown.append).under(), stage("reading"):
        for place in range(2):
            with part(place / 2, (place + 1) / 2):
                done(0.5)
        with stage("settling"):
            done(1.0)
        checkpoint()
    assert shown == [
        "reading …",
        "reading … 25 %",
        "reading … 75 %",
        "settling …",
        "settling … 100 %",
        "reading … 75 %",
        "",
    ]


def test_not_every_share_is_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(long_work, "UNNOTICED", 0.0)
    monkeypatch.setattr(long_work, "_SHOWN_EVERY", math.inf)
    shown: list[str] = []
    with LongWork(shown.append).under(), stage("reading"):
        for place in range(1_000):
            done(place / 1_000)
    assert shown == ["reading …", ""]


def test_a_file_that_is_read_tells_how_much(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(long_work, "UNNOTICED", 0.0)
    monkeypatch.setattr(long_work, "_SHOWN_EVERY", 0.0)
    path = tmp_path / "book.xlsx"
    with xlsxwriter.Workbook(path) as book:
        for name in ("one", "two"):
            sheet = book.add_worksheet(name)
            for row in range(2_500):
                sheet.write_number(row, 0, row)
    shown: list[str] = []
    with LongWork(shown.append).under(), stage("reading"):
        load(path)
    shares = [int(text.split()[-2]) for text in shown if text.endswith("%")]
    assert shares == sorted(shares)
    assert len(shares) == 6  # after each thousand rows of each sheet
    assert 0 <= shares[0] < 5
    assert 50 <= shares[3] < 55
    assert 80 < shares[5] < 100


def test_work_that_writes_goes_on(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(long_work, "UNNOTICED", 0.0)
    shown: list[str] = []
    work = LongWork(shown.append)
    with work.under():
        with kept(), stage("settling"):
            work.stop()
            checkpoint()
        assert shown == ["settling …", ""]
        with pytest.raises(Interrupted, match="stopped while reading: nothing was written"), stage("reading"):
            pass
        work.keep()
        with stage("reading again"):
            checkpoint()


def _book(rows: int) -> Workbook:
    """Parameters A1 and A2, and as many different formulas as rows; half of them lie where cells say."""
    sheet = Sheet(SHEET, {(1, 1): 0.5, (2, 1): 0.25, (1, 2): 2.0})
    for row in range(1, rows + 1):
        text = f"$A$1*{row}+LN($A$2+{row}.5)" if row % 2 else f"OFFSET($A$1,$B$1-1,0)*{row}"
        sheet.formulas[row, 3] = Formula(text, row, 3)
    sheet.formulas[1, 5] = Formula(f"SUMSQ(C1:C{rows})", 1, 5)
    other = Sheet(
        "Other", {}, {(row, 1): Formula(f"OFFSET({SHEET}!$A$1,{SHEET}!$B$1-1,0)+{row}", row, 1) for row in (1, 2)}
    )
    names = [DefinedName("sgd_loss", f"{SHEET}!$E$1", SHEET), DefinedName("sgd_params", f"{SHEET}!$A$1:$A$2", SHEET)]
    return Workbook("book.xlsx", {SHEET: sheet, "Other": other}, names)


def test_whatever_is_interrupted_can_be_done_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every checkpoint on the way is one where it may end; what is kept between two commands is as before then."""
    monkeypatch.setattr(long_work, "UNNOTICED", 0.0)
    pass_by, passed, places = LongWork.checkpoint, 0, 0

    def counted(work: LongWork) -> None:
        nonlocal passed
        passed += 1
        if passed > places:
            work.stop()
        pass_by(work)

    monkeypatch.setattr(LongWork, "checkpoint", counted)
    expected = _results(compile(_book(6)))
    model = compile(_book(6))
    while True:
        work, passed = LongWork(), 0
        try:
            with work.under():
                found = _results(model)
        except Interrupted:
            places += 1
        else:
            break
        if not places % 7:
            assert _results(model) == expected
            model = compile(_book(6))
    assert places > 20
    assert found == expected


def _results(model: Any) -> tuple[dict[Cell, Any], float]:
    """The values of all cells, and the loss after two steps from the workbook's parameters."""
    model.reset_parameters()
    values = model.dependent_cells(everything=True).values
    session = Session(model, optimizer="sgd", learning_rate=1e-4, steps=2)
    session.run()
    model.reset_parameters()
    return values, session.loss_last
