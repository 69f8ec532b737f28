"""What a person is told who has pressed Ctrl-C: files are complete or as they were, and which of them are."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType

_saved: list[Path] = []
_pressed = threading.Event()


@contextmanager
def watched() -> Iterator[None]:
    """Take note of Ctrl-C: a library that is being loaded may swallow it, and then fails for being half loaded."""
    _pressed.clear()
    usual = signal.getsignal(signal.SIGINT)
    if usual is not signal.default_int_handler or threading.current_thread() is not threading.main_thread():
        yield
        return

    def note(number: int, frame: FrameType | None) -> None:
        _pressed.set()
        signal.default_int_handler(number, frame)

    signal.signal(signal.SIGINT, note)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, usual)


def was_pressed() -> bool:
    """Whether Ctrl-C was pressed since the command began."""
    return _pressed.is_set()


def note_saved(path: Path) -> None:
    """Remember that a workbook has been written."""
    _saved.append(path)


def forget_saved() -> None:
    """Begin anew, for another command."""
    _saved.clear()


def what_was_written() -> str:
    """What has become of the workbooks, in words."""
    return f"“{_saved[-1]}” has been written" if _saved else "no workbook was written"
