"""What Ctrl-C does to a command: it ends with one line that says what was written, and with the status 130.

A library that is being loaded has no use for a KeyboardInterrupt: it swallows it, fails in its own words, or is half
there afterwards. So Ctrl-C waits until it is loaded. This module is the first that the program loads: it is small, and
so is what it loads.
"""

from __future__ import annotations

import _thread
import atexit
import os
import signal
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

STATUS = 130
"""The exit status of a command that Ctrl-C ended, as shells have it: 128 and the signal's number."""

_AGAIN = 0.05
"""Seconds after which it is looked again whether a library is loaded."""

_IMPORTING = "<frozen importlib._bootstrap>"
"""Where Python says that its own code for imports is."""

_saved: list[os.PathLike[str]] = []


class _Press:
    """What is known of Ctrl-C while a command runs."""

    def __init__(self) -> None:
        self.watching = False
        self.pressed = False
        self.due = False
        """Whether the signal that comes next was sent by ourselves, for a Ctrl-C that waits."""


_press = _Press()


def end_at_once() -> None:
    """Let Ctrl-C end this process without more ado: for the time before and after a command, when nothing is open.

    At the very end, when Python forgets its handlers, Ctrl-C does nothing.
    """
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, _end)
        atexit.register(signal.signal, signal.SIGINT, signal.SIG_IGN)


def _end(number: int, frame: FrameType | None) -> None:
    os.write(2, (message() + "\n").encode(errors="replace"))
    os._exit(STATUS)


@contextmanager
def watched() -> Iterator[None]:
    """Let Ctrl-C raise KeyboardInterrupt, as soon as no library is being loaded; pressed once more, at once."""
    _press.pressed = False
    usual = signal.getsignal(signal.SIGINT)
    if usual not in (signal.default_int_handler, _end) or threading.current_thread() is not threading.main_thread():
        yield
        return
    outside = _imports(sys._getframe())

    def note(number: int, frame: FrameType | None) -> None:
        first = _press.due or not _press.pressed
        _press.pressed, _press.due = True, False
        if first and _imports(frame) > outside:
            _thread.start_new_thread(_press_again, ())
        else:
            signal.default_int_handler(number, frame)

    signal.signal(signal.SIGINT, note)
    _press.watching = True
    try:
        yield
    finally:
        _press.watching = False
        signal.signal(signal.SIGINT, usual)


def _press_again() -> None:
    time.sleep(_AGAIN)
    if _press.watching:
        _press.due = True
        if sys.platform == "win32":
            _thread.interrupt_main()
        else:  # a signal, which also ends a wait of the main thread
            signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGINT)


def _imports(frame: FrameType | None) -> int:
    """How many imports are under way."""
    found = 0
    while frame is not None:
        found += frame.f_code.co_filename == _IMPORTING and frame.f_code.co_name == "_find_and_load"
        frame = frame.f_back
    return found


def was_pressed() -> bool:
    """Whether Ctrl-C was pressed since the command began."""
    return _press.pressed


def note_saved(path: os.PathLike[str]) -> None:
    """Remember that a workbook has been written."""
    _saved.append(path)


def forget_saved() -> None:
    """Begin anew, for another command."""
    _saved.clear()


def message() -> str:
    """The one line: that the command was interrupted, and what has become of the workbooks."""
    return f"sgdsheet: interrupted: {f'“{_saved[-1]}” has been written' if _saved else 'no workbook was written'}"
