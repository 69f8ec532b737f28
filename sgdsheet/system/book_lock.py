"""One program at a time writes to a workbook: the toolbar's trainer or a terminal's, whichever comes first."""

from __future__ import annotations

import os
import time
from contextlib import suppress
from pathlib import Path

from filelock import FileLock, Timeout

from sgdsheet.errors import FileError, HostError, TrainingError
from sgdsheet.system import state_folder

_OLD = 7 * 24 * 3600.0
"""Seconds after which a lock file that nobody holds is removed."""


class BookLock:
    """Held while a workbook is trained or written to. The operating system releases it when its process crashes."""

    def __init__(self, path: Path) -> None:
        self._lock = FileLock(path, thread_local=False)

    def take(self) -> None:
        """Raises TrainingError if another trainer holds it, FileError if the file cannot be locked."""
        if self._lock.is_locked:
            return
        path = Path(self._lock.lock_file)
        try:
            path.parent.mkdir(mode=0o700, exist_ok=True)
            self._lock.acquire(blocking=False)
        except Timeout:
            raise TrainingError(
                "this workbook is being trained by another sgdsheet (a terminal with attach, or the toolbar)",
                remedy="Stop it there",
            ) from None
        except OSError as error:
            reason = error.strerror or str(error)
            raise FileError(f"the file {path} cannot be locked: {reason}", remedy="Mend that and try again") from None
        with suppress(OSError):
            os.utime(path)

    def release(self) -> None:
        """Let others write; nothing happens if it is not held."""
        self._lock.release(force=True)


def lock_file(path: Path) -> BookLock:
    """Lock a file that is to be written. A trainer that has the same workbook open takes the same lock.

    Raises TrainingError if another sgdsheet holds it, HostError if nothing can be locked here.
    """
    file = state_folder.book_file(str(path), ".lock")
    _clear(file.parent)
    lock = BookLock(file)
    try:
        lock.take()
    except TrainingError:
        raise TrainingError(
            f"“{path.name}” is being written by another sgdsheet (train, attach or a toolbar)",
            remedy="Wait for it or stop it, or write into another file",
        ) from None
    except FileError as error:
        raise HostError(error.cause) from None
    return lock


def _clear(folder: Path) -> None:
    """Remove the lock files that nobody has used for long."""
    for path in folder.glob("*.lock"):
        with suppress(OSError, Timeout):
            if time.time() - path.stat().st_mtime > _OLD:
                with FileLock(path, blocking=False):
                    path.unlink()
