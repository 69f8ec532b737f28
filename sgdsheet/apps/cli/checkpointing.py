"""When the checkpoints of a run are written."""

from __future__ import annotations

import time
from pathlib import Path

import sgdsheet
from sgdsheet.errors import FileError

_FIRST, _LONGEST = 1.0, 30.0
"""Seconds from the first checkpoint to the second, each pause twice the one before, and the longest pause."""

_SHARE = 19.0
"""A pause is at least so many times as long as the last checkpoint took: a twentieth of the time is for them."""


class Checkpoints:
    """Keeps the state of a run in a file, from the first step on. Nothing happens without a path.

    A checkpoint that cannot be written does not end the run: `failure` is what came of the last one.
    """

    def __init__(self, path: str | None) -> None:
        self._path = Path(path) if path else None
        self._due, self._pause = 0.0, _FIRST
        self.failure: FileError | None = None

    def keep(self, session: sgdsheet.Session) -> None:
        """Write one if it is time."""
        if self._path is not None and time.monotonic() >= self._due:
            started = time.monotonic()
            self.write(session)
            now = time.monotonic()
            self._due = now + max(self._pause, _SHARE * (now - started))
            self._pause = min(2 * self._pause, _LONGEST)

    def write(self, session: sgdsheet.Session) -> None:
        """Write one now."""
        if self._path is None:
            return
        from sgdsheet.train.checkpoints import write_checkpoint  # imports torch: not for the help page

        self.failure = None
        try:
            write_checkpoint(self._path, session.state())
        except FileError as error:
            self.failure = error
