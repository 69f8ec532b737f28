"""Files that are complete or untouched at any moment, and the end of what killed runs left behind."""

from __future__ import annotations

import hashlib
import os
import platform
import re
import secrets
import stat
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

LEFTOVER = re.compile(r"\.sgdsheet-(?:(?P<machine>[0-9a-f]{8})-(?P<process>[0-9]{1,9})-)?[0-9a-f]{16}\.tmp")
"""The names of files that are being written: by which process on which machine."""

_DEAD = 24 * 3600.0
"""Seconds without a change after which a file is no longer being written, wherever that was."""

_swept: set[Path] = set()


def write_atomically(path: Path, data: bytes, last_look: Callable[[], None] = lambda: None) -> None:
    """Write the file under another name beside it, then put it in place in one step. Raises OSError.

    See `replacing`.
    """
    with replacing(path, last_look) as temporary, temporary.open("r+b") as stream:
        stream.write(data)


@contextmanager
def replacing(path: Path, last_look: Callable[[], None] = lambda: None) -> Iterator[Path]:
    """The name of an empty file beside `path`, to be written; at the end it takes the place of `path` in one step.

    A file that is replaced hands on its permissions and its owner. A link is replaced, too: resolve the path to follow
    it. `last_look` is called when all is written: what it raises keeps the file that is there.
    """
    _sweep_once(path.parent)
    temporary = path.with_name(f".sgdsheet-{_machine()}-{os.getpid()}-{secrets.token_hex(8)}.tmp")
    try:
        # Never through a file or a link that lies there already, and never more readable than what it replaces.
        mode = stat.S_IMODE(path.stat().st_mode) | stat.S_IWUSR if path.exists() else 0o666
        os.close(os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode))
        yield temporary
        with temporary.open("r+b") as stream:
            os.fsync(stream.fileno())
        if path.exists():
            _hand_on(path.stat(), temporary)
        last_look()
        temporary.replace(path)
    finally:
        with suppress(OSError):
            temporary.unlink(missing_ok=True)


def _hand_on(old: os.stat_result, new: Path) -> None:
    if sys.platform != "win32" and (old.st_uid, old.st_gid) != (new.stat().st_uid, new.stat().st_gid):
        with suppress(OSError):  # only an administrator may give a file away
            os.chown(new, old.st_uid, old.st_gid)
    new.chmod(stat.S_IMODE(old.st_mode))


# --- what killed runs left ----------------------------------------------------------------------------------


def sweep(folder: Path) -> list[Path]:
    """Remove files that a killed run was writing into a folder; returns those removed.

    Only what bears our kind of name, belongs to this user, and was written by a process of this machine that is gone,
    or has not changed for a day.
    """
    removed = []
    with suppress(OSError):
        for entry in os.scandir(folder):
            if (match := LEFTOVER.fullmatch(entry.name)) and _is_left(entry, match):
                with suppress(OSError):  # Windows keeps what is still open
                    os.unlink(entry.path)
                    removed.append(Path(entry.path))
    return removed


def _sweep_once(folder: Path) -> None:
    if folder not in _swept:
        _swept.add(folder)
        sweep(folder)


def _is_left(entry: os.DirEntry[str], match: re.Match[str]) -> bool:
    try:
        found = entry.stat(follow_symlinks=False)
    except OSError:
        return False
    if not stat.S_ISREG(found.st_mode) or (sys.platform != "win32" and found.st_uid != os.getuid()):
        return False
    if match["machine"] == _machine() and not _lives(int(match["process"])):
        return True
    return time.time() - found.st_mtime > _DEAD


def _lives(process: int) -> bool:
    """Whether a process of this machine exists; on Windows, nobody may ask."""
    if sys.platform == "win32":
        return True
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except (OSError, OverflowError):
        return True
    return True


def _machine() -> str:
    """What tells apart machines, and containers on one, whose processes have the same numbers."""
    space = ""
    with suppress(OSError, AttributeError):
        space = os.readlink("/proc/self/ns/pid")
    return hashlib.sha256(f"{platform.node()} {space}".encode()).hexdigest()[:8]
