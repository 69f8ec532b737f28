"""One at a time writes to a workbook: the toolbar's trainer or a terminal's, whichever comes first."""

from __future__ import annotations

from pathlib import Path

from filelock import FileLock, Timeout

from sgdsheet.errors import FileError, TrainingError


class Claim:
    """Held while something is trained or written. The system itself takes it from a process that has crashed."""

    def __init__(self, path: Path) -> None:
        self._lock = FileLock(path, thread_local=False)

    def take(self) -> None:
        """Raises TrainingError if another trainer holds it."""
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

    def release(self) -> None:
        """Let others write; nothing happens if it is not held."""
        self._lock.release(force=True)
