"""Whatever happens, a workbook is not left in a state that nobody gets it out of, and every request is answered."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import pytest

from sgdsheet.live.ipc import notification, worker
from sgdsheet.live.ipc.trainer import Trainer
from sgdsheet.live.run.background import BackgroundRun
from sgdsheet.live.run.status import IDLE, Status
from sgdsheet.sheet.workbook import ExcelError, Workbook
from sgdsheet.system.json_messages import encode
from sgdsheet.system.state_folder import VARIABLE
from tests.live_books import LOSS, SHEET, START, Desk, calculate, line_host, parameters, rename
from tests.memory_host import MemoryHost


@pytest.fixture(autouse=True)
def state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(VARIABLE, str(tmp_path / "state"))
    monkeypatch.setattr(notification, "show_soon", lambda text: None)


def test_a_trainer_that_cannot_load_is_not_starting_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken() -> None:
        raise ImportError("no module named torch")

    monkeypatch.setattr(worker, "load", broken)
    with Desk(line_host()) as desk:
        desk.ask("train", wait=0.0)
        assert "no module named torch" in desk.until_idle()["message"]
        assert not desk.trainer.busy


def test_asked_when_the_thread_has_just_ended() -> None:
    """Between the look whether it is alive and the command's arrival."""
    found = worker.Worker(line_host, "line.xlsx")
    found.close()
    found.join()
    reply = found.ask("train", None, {}, 5.0)
    assert "is ending" in reply["error"]
    assert found.status.state == "idle"


class Watched(Status):
    """A board that somebody reads again and again: what it says whenever it comes to say that nothing is done."""

    seen: tuple[str, ...] = ()

    def __setattr__(self, name: str, value: Any) -> None:
        super().__setattr__(name, value)
        if (name, value) == ("state", IDLE):
            super().__setattr__("seen", (*self.seen, getattr(self, "message", "")))


def test_idle_is_told_with_its_reason() -> None:
    found = worker.Worker(line_host, "line.xlsx")
    found.close()
    found.join()
    found.status = Watched()
    found.ask("train", None, {}, 5.0)
    assert "is ending" in found.status.seen[-1]


class Reluctant(BackgroundRun):
    """A thread that the system refuses to start."""

    def start(self) -> None:
        raise RuntimeError("can't start new thread")


def test_a_run_that_does_not_begin(monkeypatch: pytest.MonkeyPatch) -> None:
    host = line_host()
    with Desk(host) as desk:
        with monkeypatch.context() as patched:
            patched.setattr("sgdsheet.live.run.live_book.BackgroundRun", Reluctant)
            assert "can't start new thread" in desk.ask("train")["error"]
        assert desk.ask("status")["state"] == "idle"
        assert not host.is_quiet
        assert desk.done("stop")
        desk.done("train")
        desk.until_step(5)
        desk.done("stop")
        desk.done("undo")
    assert parameters(host) == START


@pytest.mark.parametrize("command", ["undo", "reset"])
def test_back_to_the_start_on_a_renamed_sheet(command: str) -> None:
    host = line_host()
    with Desk(host) as desk:
        desk.done("step")
        rename(host, "Another name")
        desk.done(command)
        assert parameters(host, "Another name") == START


def test_levels_from_before_and_after_a_renaming() -> None:
    host = line_host()
    with Desk(host) as desk:
        desk.done("step")
        rename(host, "Another name")
        desk.done("step")
        desk.done("undo")
        assert parameters(host, "Another name") != START
        desk.done("undo")
        assert parameters(host, "Another name") == START


def far(workbook: Workbook) -> None:
    """Calculates as a spreadsheet does where the numbers become too large."""
    try:
        calculate(workbook)
    except OverflowError:
        workbook.sheets[SHEET].values[LOSS[1:]] = ExcelError.NUM


def test_a_step_too_far_is_answered() -> None:
    """Its loss is no number that JSON has."""
    twin = line_host({"learning rate": 1e200})
    host = MemoryHost(twin.workbook, far, twin.key)
    with Desk(host) as desk:
        reply = desk.done("step")
        assert reply["loss"] is None
        for message in (reply, desk.ask("status"), desk.ask("check"), desk.ask("step"), desk.done("undo")):
            assert encode(message)
    assert parameters(host) == START


@pytest.mark.parametrize("wait", [float("inf"), float("nan"), 1e300, -1.0, "long", True])
def test_an_impossible_wait(wait: Any) -> None:
    with Desk(line_host()) as desk:
        reply = desk.trainer.handle({"command": "check", "host": "memory", "book": "line.xlsx", "wait": wait})
    assert reply["kind"] == "SettingError"


def test_whatever_goes_wrong_is_answered(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise RuntimeError("can't start new thread")

    trainer = Trainer(lambda host, book, where: line_host())
    monkeypatch.setattr(threading.Thread, "start", refuse)
    reply = trainer.handle({"command": "step", "host": "memory", "book": "line.xlsx"})
    assert reply["error"].startswith("sgdsheet failed: RuntimeError (can't start new thread)")
