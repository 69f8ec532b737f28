"""A click on the ribbon, from the arguments that VBA gives to what reaches the trainer or the person."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sgdsheet.apps import examples
from sgdsheet.apps.excel_addin import ribbon
from sgdsheet.live.ipc import client
from sgdsheet.live.ipc.trainer import COMMANDS
from sgdsheet.system import state_folder

HOSTILE = "a'); __import__('os').system('echo owned'); ('"


def digits(text: str) -> str:
    return text.encode("utf-16-be").hex().upper()


def clicked(
    action: Any, book: str = "/b/a.xlsx", reply: dict[str, Any] | None = None
) -> tuple[list[dict[str, Any]], int]:
    """The requests that a click sends, and the exit status of its process."""
    sent: list[dict[str, Any]] = []

    def call(request: dict[str, Any]) -> dict[str, Any]:
        sent.append(request)
        return {"ok": True} if reply is None else reply

    try:
        ribbon.dispatch(action, ["-c", f"--book={digits(book)}", "--window=123"], call)
    except SystemExit as end:
        return sent, int(str(end.code))
    return sent, 0


@pytest.mark.parametrize("action", [name for name, command in ribbon.ACTIONS.items() if command])
def test_a_button_sends_its_command(action: str) -> None:
    sent, status = clicked(action, "/böok's/$(x) & 数.xlsx")
    assert status == 0
    (request,) = sent
    assert request["command"] == ribbon.ACTIONS[action]
    assert request["book"] == "/böok's/$(x) & 数.xlsx"
    assert request["host"] == "excel"
    assert request["options"] == {}


def test_the_trainer_knows_the_commands() -> None:
    assert set(ribbon.ACTIONS.values()) - {""} <= set(COMMANDS)


@given(st.text() | st.sampled_from(["Train", "train\n", "train;", HOSTILE, "__import__", "_", "", "example_"]))
def test_no_other_action_does_anything(action: str) -> None:
    if ribbon.ACTIONS.get(action) is None:
        assert clicked(action) == ([], ribbon.TOLD)


@given(st.text(max_size=100))
def test_names_of_books_arrive_as_they_are(book: str) -> None:
    book = book.encode("utf-16-be", errors="replace").decode("utf-16-be")
    assert ribbon.from_digits(digits(book)) == book


def test_errors_are_one_plain_line(capsys: pytest.CaptureFixture[str]) -> None:
    assert clicked("train", reply={"ok": False, "error": "Sheet1!B2: the loss\nis #N/A. Mend it"})[1] == ribbon.TOLD
    assert capsys.readouterr().err == "Sheet1!B2: the loss is #N/A. Mend it\n"
    assert clicked("train", book="") == ([], ribbon.TOLD)
    assert capsys.readouterr().err == "no workbook is open. Open one\n"


def test_never_a_traceback(capsys: pytest.CaptureFixture[str]) -> None:
    def broken(request: dict[str, Any]) -> dict[str, Any]:
        raise RuntimeError("the\nmatter")

    with pytest.raises(SystemExit):
        ribbon.dispatch("train", [f"--book={digits('a')}"], broken)
    assert capsys.readouterr().err == (
        "sgdsheet failed (RuntimeError: the matter). Run in a terminal: sgdsheet addin status\n"
    )


def test_excel_reads_the_reason_from_a_file(tmp_path: Path) -> None:
    """The file that VBA waits for, in UTF-16; VBA names it, and no other file is ever written."""
    path = tmp_path / "sgdsheet-1A2B.txt"
    with pytest.raises(SystemExit):
        ribbon.dispatch("nothing_like_it", [f"--reply={digits(str(path))}"])
    assert path.read_bytes().decode("utf-16").startswith("“nothing_like_it” is not a button")
    other = tmp_path / "mine.txt"
    with pytest.raises(SystemExit):
        ribbon.dispatch("nothing_like_it", [f"--reply={digits(str(other))}"])
    assert not other.exists()


def test_mac_paths(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "platform", "darwin")
    assert ribbon.posix_path("Macintosh HD:Documents:a.xlsx") == "/Documents/a.xlsx"
    assert ribbon.posix_path("/Documents/a:b.xlsx") == "/Documents/a:b.xlsx"
    assert ribbon.posix_path("Book1") == "Book1"


def test_examples_have_actions_of_their_own() -> None:
    actions = {ribbon.example_action(name) for name in examples.names()}
    assert len(actions) == len(examples.names())
    assert all(ribbon._PLAIN.fullmatch(action) for action in actions)


def test_an_example_opens_as_a_fresh_copy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "Documents").mkdir()
    monkeypatch.setattr(Path, "home", lambda: tmp_path)
    opened: list[Path] = []
    monkeypatch.setattr(ribbon, "_open", opened.append)
    for _ in range(2):
        ribbon.dispatch("example_quadratic", [])
    assert [path.name for path in opened] == ["quadratic.xlsx", "quadratic 2.xlsx"]
    assert all(path.read_bytes().startswith(b"PK") for path in opened)


def test_a_click_imports_nothing_slow() -> None:
    code = "import sys, sgdsheet.apps.excel_addin.ribbon; print(*sys.modules)"
    loaded = set(
        subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    )
    assert "sgdsheet.apps.excel_addin.ribbon" in loaded
    assert not loaded & {"torch", "numpy", "scipy", "xlwings", "xlsxwriter"}


def test_a_whole_click(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The command that VBA runs, with a real trainer behind it; which finds no Excel here, and says so."""
    monkeypatch.setenv(state_folder.VARIABLE, str(tmp_path / "state"))
    reply = tmp_path / "sgdsheet-1.txt"
    code = (
        "import sys; sys.path = [p for p in sys.path if p];"
        " from sgdsheet.apps.excel_addin.ribbon import dispatch; dispatch('step')"
    )
    (tmp_path / "sgdsheet.py").write_text("raise SystemExit('the module beside the workbook')")
    command = [sys.executable, "-B", "-c", code, f"--book={digits('nowhere.xlsx')}", "--window=1"]
    check = {"command": "check", "host": "excel", "book": "nowhere.xlsx", "where": "", "sheet": None, "options": {}}
    try:
        assert not client.call({**check, "wait": 60}, timeout=90)["ok"]  # it has started
        done = subprocess.run(
            [*command, f"--reply={digits(str(reply))}"], cwd=tmp_path, capture_output=True, check=False
        )
    finally:
        client.call({"command": "quit"}, start=False)
    assert (done.returncode, done.stdout, done.stderr) == (ribbon.TOLD, b"", b"")
    text = reply.read_bytes().decode("utf-16")
    assert len(text.splitlines()) == 1
    assert "Traceback" not in text
    assert "xcel" in text
