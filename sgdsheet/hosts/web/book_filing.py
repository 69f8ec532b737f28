"""How an open workbook gets into its file, and whether that is still the one that was read."""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path

from sgdsheet.hosts.file import FileHost
from sgdsheet.hosts.web.book_events import BookEvents, Event
from sgdsheet.hosts.web.unsaved import Unsaved
from sgdsheet.system.recovery import digest_of


class BookFiling:
    """Saves an open workbook. `tell` tells the file of all changes, while `turn` is held.

    Writing a large file takes seconds, in which others may go on: `turn` is held for telling only, and a lock of its
    own, which is taken before it, keeps others from the file.
    """

    def __init__(
        self,
        file: FileHost,
        unsaved: Unsaved,
        events: BookEvents,
        turn: AbstractContextManager[object],
        tell: Callable[[FileHost], None],
    ) -> None:
        self._file, self._unsaved, self._events, self._turn, self._tell = file, unsaved, events, turn, tell
        self._filing = threading.Lock()
        self.base = digest_of(file.data)
        """What tells the bytes of the file that was read, or saved in place, from others."""

    def save(self, path: Path | None = None) -> None:
        """Save the workbook, to `path` or in place. Raises FileError."""
        with self._filing:
            with self._turn:
                version = self._told()
                before, self._unsaved.original = self._unsaved.original, {}
            base, saved = self.base, False
            try:
                self._file.save(path)
                base, saved = digest_of(self._file.data), True
            finally:
                with self._turn:
                    if saved:
                        self._unsaved.dirty = self._unsaved.untold or version != self._events.version
                    if base == self.base:  # it was not saved in place
                        self._unsaved.original.update(before)
                    self.base = base
        self._events.tell(Event("saved"))

    def data(self) -> bytes:
        """The bytes of the file that saving would write now. Raises FileError."""
        with self._filing:
            self._told()
            return self._file.saved_bytes()

    def changed_on_disk(self, path: Path | None) -> bool:
        """Whether the file on disk is no longer the one that was read or saved, or is gone."""
        try:
            return path is not None and digest_of(path.read_bytes()) != self.base
        except OSError:
            return True

    def _told(self) -> int:
        """Tell the file of all changes until now; returns the version that it knows."""
        with self._turn:
            self._tell(self._file)
            return self._events.version
