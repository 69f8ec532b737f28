"""Long work in a terminal: a bar says what is being done, and Ctrl-C ends it with one line and no file changed."""

from __future__ import annotations

import importlib
import os
import signal
import subprocess
import sys
import threading
import time
from contextlib import suppress
from pathlib import Path

import pytest

from sgdsheet.apps import cli
from sgdsheet.system import interruption
from tests.live_books import PATIENCE
from tests.training_books import ROOT, write

if sys.platform == "win32":
    pytest.skip("terminals of Unix", allow_module_level=True)

import pty

ROWS = 12_000
COMMAND = "from sgdsheet.apps.cli import main, progress; progress.UNNOTICED = 0.1; main()"
"""Sgdsheet, with a bar after a tenth of the usual time: reading takes longer than that on any machine."""


@pytest.fixture(scope="module")
def large(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A workbook that takes some tenths of a second to be read, and to be compiled."""
    cells = {f"A{row}": float(row % 97) for row in range(1, ROWS)}
    cells |= {
        f"{column}{row}": f"=A{row}*$H$1+{number}" for row in range(1, ROWS) for number, column in enumerate("BCD")
    }
    cells |= {f"E{row}": f"=LN(B{row}^2+{row}.5)" for row in range(1, 2_000)}  # as many blocks
    cells |= {"H1": 0.5, "H2": f"=SUMSQ(B1:D{ROWS - 1})/{ROWS}+SUM(E1:E1999)"}
    path = tmp_path_factory.mktemp("large") / "book.xlsx"
    return write(path, cells, {"sgd_loss": "H2", "sgd_params": "H1"})


@pytest.mark.parametrize("stage", ["reading book.xlsx", "compiling"])
def test_a_bar_and_one_line(large: Path, stage: str) -> None:
    kept, target = large.read_bytes(), large.with_name("book-trained.xlsx")
    target.unlink(missing_ok=True)
    main, terminal = pty.openpty()
    command = [sys.executable, "-c", COMMAND, "train", str(large), "--steps", "5"]
    environment = {**os.environ, "TERM": "xterm", "COLUMNS": "100"}
    running = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=terminal, cwd=ROOT, env=environment)
    os.close(terminal)
    shown, sent, end = "", False, time.monotonic() + PATIENCE
    try:
        while time.monotonic() < end:
            try:
                piece = os.read(main, 4096)
            except OSError:  # the program has closed the terminal
                break
            if not piece:
                break
            shown += piece.decode("utf-8", "replace")
            if stage in shown and not sent:
                running.send_signal(signal.SIGINT)
                sent = True
        assert sent, shown
        assert running.wait(PATIENCE) == interruption.STATUS
    finally:
        running.kill()
        running.wait()
        os.close(main)
        if running.stdout is not None:
            running.stdout.close()
    assert "sgdsheet: interrupted: no workbook was written" in shown
    assert "Traceback" not in shown
    assert large.read_bytes() == kept
    assert not target.exists()


@pytest.mark.parametrize("pressed", [True, False])
def test_ctrl_c_that_a_library_swallows(
    pressed: bool, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Half of the library is there then, and what uses it fails; a failure without Ctrl-C stays one."""

    def fail(**_: object) -> None:
        if pressed:
            with suppress(KeyboardInterrupt):
                signal.raise_signal(signal.SIGINT)
        raise AttributeError("half a library")

    monkeypatch.setattr(cli, "cli", fail)
    with pytest.raises(SystemExit if pressed else AttributeError) as ended:
        cli.main(["inspect"])
    if pressed:
        assert ended.value.code == interruption.STATUS
        assert capsys.readouterr().err == "sgdsheet: interrupted: no workbook was written\n"
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


@pytest.mark.parametrize("times", [1, 2])
def test_ctrl_c_waits_for_a_library(
    times: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """One that would swallow it is loaded as a whole, and then the command ends; pressed twice, it ends at once."""
    (tmp_path / f"greedy{times}.py").write_text(
        "import signal\n"
        "try:\n    signal.raise_signal(signal.SIGINT)\nexcept BaseException:\n    pass\n"
        + "signal.raise_signal(signal.SIGINT)\n" * (times - 1)
        + "LOADED = True\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    loaded = []

    def load_and_work(**_: object) -> None:
        loaded.append(importlib.import_module(f"greedy{times}").LOADED)
        threading.Event().wait(PATIENCE)
        pytest.fail("Ctrl-C was lost")

    monkeypatch.setattr(cli, "cli", load_and_work)
    begun = time.monotonic()
    with pytest.raises(SystemExit) as ended:
        cli.main(["inspect"])
    assert ended.value.code == interruption.STATUS
    assert time.monotonic() - begun < PATIENCE / 2, "Ctrl-C came when the wait was over"
    assert loaded == [True] * (times == 1)
    assert capsys.readouterr().err == "sgdsheet: interrupted: no workbook was written\n"


@pytest.mark.parametrize("when", ["before the command line is loaded", "when the command is done"])
def test_ctrl_c_before_and_after_a_command(when: str) -> None:
    """There is one line and the status, not a traceback or a killed process."""
    program = """
import signal, sys
from sgdsheet import __main__ as program
from sgdsheet.system import interruption
if "before" in sys.argv[1]:
    class Finder:
        def find_spec(self, name, *_):
            if name == "click":
                signal.raise_signal(signal.SIGINT)
    sys.meta_path.insert(0, Finder())
    sys.argv[1:] = ["--help"]
    program.main()
else:
    sys.argv[1:] = ["--version"]
    try:
        program.main()
    except SystemExit:
        signal.raise_signal(signal.SIGINT)
"""
    found = subprocess.run([sys.executable, "-c", program, when], cwd=ROOT, capture_output=True, text=True)
    assert found.stderr == "sgdsheet: interrupted: no workbook was written\n"
    assert found.returncode == interruption.STATUS
