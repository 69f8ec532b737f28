"""What the trainer tells when nobody waits for an answer any more, and what it tells a program's buttons."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

import sgdsheet
from sgdsheet.errors import BookClosedError
from sgdsheet.live.ipc import notification, worker
from sgdsheet.live.ipc.button_state import RETRY, ButtonState
from sgdsheet.live.ipc.trainer import Trainer
from sgdsheet.live.run.status import IDLE, PAUSED, STARTING, TRAINING
from sgdsheet.sheet.references import Cell
from sgdsheet.system.state_folder import VARIABLE
from tests.live_books import LOSS, PATIENCE, SHEET, Desk, line_host, until
from tests.memory_host import MemoryHost


@pytest.fixture(autouse=True)
def state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(VARIABLE, str(tmp_path / "state"))


@pytest.fixture
def shown(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What a person sees outside of the workbook."""
    found: list[str] = []
    monkeypatch.setattr(notification, "show_soon", found.append)
    return found


def closed(host: str, book: str, where: str) -> MemoryHost:
    raise BookClosedError(f"“{book}” is not open", remedy="Open it")


def test_an_error_for_which_nobody_waits_is_shown(shown: list[str]) -> None:
    trainer = Trainer(closed)
    assert trainer.handle({"command": "step", "host": "memory", "book": "a.xlsx", "wait": 0.0})["pending"]
    until(lambda: shown != [])
    trainer.close()
    assert shown == ["“a.xlsx” is not open. Open it"]


def test_an_error_that_was_the_answer_is_not_shown_again(shown: list[str]) -> None:
    trainer = Trainer(closed)
    reply = trainer.handle({"command": "step", "host": "memory", "book": "a.xlsx", "wait": PATIENCE})
    trainer.close()
    assert reply["error"] == "“a.xlsx” is not open. Open it"
    assert shown == []


def test_an_error_is_shown_in_the_workbook_if_there_is_one(shown: list[str]) -> None:
    host = line_host({"steps": "many"})
    with Desk(host) as desk:
        desk.ask("step", wait=0.0)
        until(lambda: bool(host.messages))
    assert "steps" in host.messages[-1]
    assert shown == []


def test_a_trainer_that_cannot_load_says_so(shown: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    def broken() -> None:
        raise ImportError("no module named torch")

    monkeypatch.setattr(worker, "load", broken)
    with Desk(line_host()) as desk:
        reply = desk.ask("step", wait=0.0)
        until(lambda: bool(shown) != bool(reply.get("error")))
    text = reply.get("error") or shown[0]
    assert re.fullmatch(r"sgdsheet failed: ImportError \(no module named torch\)\. .*", text)


@pytest.mark.skipif(sys.platform != "linux", reason="the notifications of Linux desktops")
def test_a_notification(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program = tmp_path / "notify-send"
    program.write_text(f"#!/bin/sh\nprintf '%s\\n' \"$@\" > '{tmp_path / 'seen'}'\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    notification.show("--help; $(touch x)")
    assert (tmp_path / "seen").read_text() == "--app-name=sgdsheet\n--\nsgdsheet\n--help; $(touch x)\n"
    monkeypatch.setenv("PATH", "")
    notification.show("nowhere to show it")


# --- buttons ------------------------------------------------------------------------------------------------


def test_buttons_are_told_of_changes_only() -> None:
    told: list[str] = []
    buttons = ButtonState(lambda state: told.append(state) or True)  # type: ignore[func-returns-value]
    for now in (IDLE, STARTING, TRAINING, TRAINING, PAUSED, TRAINING, IDLE, IDLE):
        buttons.follow(now)
        assert buttons.due(now) is None
    assert told == [TRAINING, PAUSED, TRAINING, IDLE]
    for command in ("check", "set-loss"):
        buttons.after(command)
    assert buttons.due(IDLE) is not None
    for _ in range(2):
        buttons.follow(IDLE)
    assert told[4:] == [IDLE]


def test_a_busy_program_is_told_later_but_not_for_ever() -> None:
    tries: list[str] = []
    ready = False

    def tell(state: str) -> bool:
        tries.append(state)
        return ready

    buttons = ButtonState(tell)
    buttons.follow(TRAINING)
    assert buttons.due(TRAINING) == RETRY
    ready = True
    buttons.follow(TRAINING)
    assert (tries, buttons.due(TRAINING)) == ([TRAINING] * 2, None)
    ready = False
    while buttons.due(IDLE) is not None:
        buttons.follow(IDLE)
        assert len(tries) < 1000


def test_the_program_is_told_what_happens_to_its_workbook() -> None:
    host, told = line_host(), list[tuple[str, ...]]()

    def show_state(*what: str) -> bool:
        told.append(what)
        if len(told) == 3:
            raise OSError("not even this stops the training")
        return len(told) != 1  # busy at first

    trainer = Trainer(lambda *_: host, show_state)
    ask = {"host": "memory", "book": "line.xlsx", "where": "12", "wait": PATIENCE}
    assert trainer.handle({**ask, "command": "train"})["ok"]
    until(lambda: len(told) == 2)
    assert trainer.handle({**ask, "command": "stop"})["ok"]
    until(lambda: len(told) == 3)
    trainer.close()
    head = ("memory", "line.xlsx", "12")
    assert told == [(*head, TRAINING), (*head, TRAINING), (*head, IDLE)]


def test_the_program_is_told_when_its_model_has_another_loss() -> None:
    """The reply may come before it is done; only then can Step and Train be pressed."""
    host, told = line_host(), list[str]()
    trainer = Trainer(lambda *_: host, lambda *what: told.append(what[-1]) or True)  # type: ignore[func-returns-value]
    ask = {"host": "memory", "book": "line.xlsx", "sheet": SHEET, "wait": 0.0}
    trainer.handle({**ask, "command": "set-loss", "options": {"areas": [str(LOSS)]}})
    until(lambda: told == [IDLE])
    trainer.close()


# --- export -------------------------------------------------------------------------------------------------


def test_export_beside_the_workbook(tmp_path: Path) -> None:
    host = line_host()
    host.workbook.folder = tmp_path
    (tmp_path / "line_Model.pt").write_bytes(b"a person's")
    with Desk(host) as desk:
        written = tmp_path / "line_Model_2.py"
        assert desk.done("export")["files"] == [str(written)]
        host.write({Cell("Model", 1, 5): 1.75})
        assert desk.done("export")["files"] == [str(written)]
        aim = tmp_path / "aim"
        written.unlink()
        written.symlink_to(aim)
        assert desk.done("export")["files"] == [str(tmp_path / "line_Model_3.py")]
        (tmp_path / "gone").mkdir()
        host.workbook.folder = tmp_path / "gone" / "for good"
        assert "is not a folder" in desk.ask("export")["error"]
    assert not aim.exists()
    assert host.messages[-1].startswith(f"the model was written to {tmp_path / 'line_Model_3.py'}")
    done = subprocess.run([sys.executable, tmp_path / "line_Model_3.py"], capture_output=True, text=True, check=True)
    loss = sgdsheet.compile(host.read(), "Model")().item()
    assert float(done.stdout.split(",")[0].split()[1]) == pytest.approx(loss, rel=1e-12)


def test_export_of_an_unsaved_workbook_goes_to_the_documents(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Path, "home", lambda: tmp_path)
    with Desk(line_host()) as desk:
        assert desk.done("export")["files"] == [str(tmp_path / "line_Model.py")]
        (tmp_path / "Documents").mkdir()
        assert desk.done("export")["files"] == [str(tmp_path / "Documents" / "line_Model.py")]
