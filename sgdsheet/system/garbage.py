"""How often Python looks for cycles of objects that nobody uses: rarely while a program starts, and not when it ends.

Importing torch and reading a workbook make some hundred thousand objects that all stay. To look through them again and
again takes a fifth of the time until a command has done its work, and to look once more at the end another fifth.
"""

from __future__ import annotations

import atexit
import gc
from collections.abc import Iterator
from contextlib import contextmanager

_WHILE_STARTING = 100_000
"""Objects that may be new before Python looks for cycles; its own rule is 700."""

_usual = gc.get_threshold()


def collect_rarely() -> None:
    """For the start of a program: what it makes now, it needs until its end."""
    gc.set_threshold(_WHILE_STARTING, *_usual[1:])
    atexit.register(gc.freeze)


def collect_as_usual() -> None:
    """For a long loop, such as training: what is there stays, and what is new is looked through as always."""
    gc.freeze()
    gc.set_threshold(*_usual)


@contextmanager
def no_collection() -> Iterator[None]:
    """A context in which nobody looks for garbage: for work that makes a great many objects and throws none away."""
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()
