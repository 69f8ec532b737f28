"""Removes what the background trainer leaves in its folder of state: a key, a log, and the snapshots for Undo."""

from __future__ import annotations

import re
from contextlib import suppress
from pathlib import Path

from filelock import FileLock, Timeout

from sgdsheet.errors import FileError, HostError
from sgdsheet.live.ipc import client
from sgdsheet.system import state_folder
from sgdsheet.system.atomic import LEFTOVER

_PATIENCE = 20.0  # seconds for a trainer to put the best parameters into the sheets and to leave
_OURS = re.compile(r"key|\.key-[0-9a-f]+|service\.[a-z]+(\.\d+)?")
_SNAPSHOT = re.compile(rf"[0-9a-f]{{32}}\.[a-z]+|{LEFTOVER.pattern}")


def stop_trainer() -> bool:
    """End the background trainer if one runs, which leaves the best parameters in the sheets.

    False if it is still running after 20 seconds.
    """
    lock = state_folder.lock_path()
    if not lock.exists():
        return True
    client.call({"command": "quit"}, start=False, timeout=_PATIENCE)
    try:
        with FileLock(lock, timeout=_PATIENCE):
            return True
    except Timeout:
        return False


def state_files() -> list[Path]:
    """The trainer's files. The person may have chosen any folder for them, so only files with our names are listed."""
    folders = ((state_folder.state_folder(), _OURS), (state_folder.snapshot_folder(), _SNAPSHOT))
    found = [
        path for folder, ours in folders if folder.is_dir() for path in folder.iterdir() if ours.fullmatch(path.name)
    ]
    if not found:
        _remove_folders()
    return sorted(found)


def remove_state() -> list[str]:
    """Remove the files, and the folders if they are empty then; returns a line for each folder cleared."""
    if not stop_trainer():
        raise HostError("the background trainer is still at work", remedy="Close the spreadsheet, then try again")
    files = state_files()
    for path in files:
        try:
            path.unlink(missing_ok=True)
        except OSError as error:
            raise FileError(f"{path} cannot be removed: {error.strerror}", remedy="Try again") from None
    folders = sorted({path.parent for path in files})
    _remove_folders()
    return [f"Removed what was in {folder}" for folder in folders]


def _remove_folders() -> None:
    for folder in (state_folder.snapshot_folder(), state_folder.state_folder()):
        with suppress(OSError):  # not there, or not empty
            folder.rmdir()
