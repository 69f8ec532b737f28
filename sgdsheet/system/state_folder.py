"""Where the background trainer keeps its files: key, socket, lock, log and snapshots, for this user only."""

from __future__ import annotations

import hashlib
import os
import secrets
import stat
import sys
import tempfile
from contextlib import suppress
from pathlib import Path

import platformdirs

from sgdsheet.errors import HostError

VARIABLE = "SGDSHEET_STATE_DIR"
"""The environment variable that moves the files elsewhere."""

_LONGEST_SOCKET = 100
"""Unix sockets have short paths: 108 bytes on Linux, 104 on a Mac."""

_KEY_BYTES = 32


def state_folder() -> Path:
    """The folder of all state, made if it is missing. Raises HostError."""
    folder = Path(os.environ.get(VARIABLE) or platformdirs.user_state_dir("sgdsheet", appauthor=False))
    return _private(folder.absolute())


def snapshot_folder() -> Path:
    """The folder of the snapshots; it need not exist yet."""
    return state_folder() / "snapshots"


def recovery_folder() -> Path:
    """The folder of what is not saved of open workbooks; it need not exist yet."""
    return state_folder() / "recovery"


def recovery_file(book: str) -> Path:
    """The path of the file with what is not saved of a workbook."""
    return recovery_folder() / f"{_digest(book)}.recovery"


def book_file(book: str, ending: str) -> Path:
    """The path of the file with what is kept of a workbook, whose key is the full path of its file, if it has one."""
    return snapshot_folder() / f"{_digest(book)}{ending}"


def _digest(book: str) -> str:
    return hashlib.sha256(book.encode("utf-8", "surrogatepass")).hexdigest()[:32]


def lock_path() -> Path:
    """Whoever holds the lock on this file is the service."""
    return state_folder() / "service.lock"


def log_path() -> Path:
    """What the service writes down."""
    return state_folder() / "service.log"


def last_path() -> Path:
    """A name for the service that was the last to start, which no other one has."""
    return state_folder() / "service.last"


def error_path() -> Path:
    """What Python itself complained about when the service was last started."""
    return state_folder() / "service.err"


def address() -> str:
    """Where the service listens: a named pipe on Windows, a Unix socket elsewhere."""
    folder = state_folder()
    digest = hashlib.sha256(os.fsencode(folder)).hexdigest()[:16]
    if sys.platform == "win32":
        return rf"\\.\pipe\sgdsheet-{digest}"
    path = folder / "service.socket"
    if len(os.fsencode(path)) > _LONGEST_SOCKET:
        path = _private(Path(tempfile.gettempdir()) / f"sgdsheet-{os.getuid()}-{digest}") / "service.socket"
    return str(path)


def key() -> bytes:
    """The secret that tells this user's programs from others; made on first use, readable by the user only."""
    path = state_folder() / "key"
    try:
        if not path.exists():
            _make_key(path)
        found = bytes.fromhex(path.read_text(encoding="ascii"))
        if sys.platform != "win32" and stat.S_IMODE(path.stat().st_mode) & 0o077:
            path.chmod(0o600)
    except (OSError, ValueError) as error:
        raise HostError(f"the key file {path} cannot be used: {error}", remedy="Delete it and try again") from None
    if len(found) != _KEY_BYTES:
        raise HostError(f"the key file {path} is damaged", remedy="Delete it and try again")
    return found


def _make_key(path: Path) -> None:
    """Complete or not there: it is written under another name, and the first of two writers wins."""
    temporary = path.with_name(f".key-{secrets.token_hex(8)}")
    try:
        with os.fdopen(os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as stream:
            stream.write(secrets.token_hex(_KEY_BYTES))
        with suppress(FileExistsError):
            if sys.platform == "win32":
                temporary.rename(path)
            else:
                os.link(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


def _private(folder: Path) -> Path:
    """The folder, made for this user only. Raises HostError if it is somebody else's."""
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        if sys.platform != "win32":
            found = folder.lstat()
            if found.st_uid != os.getuid() or not stat.S_ISDIR(folder.stat().st_mode):
                raise HostError(f"the folder {folder} belongs to somebody else", remedy=f"Set {VARIABLE} to another")
            if stat.S_IMODE(folder.stat().st_mode) & 0o077:
                folder.chmod(0o700)
    except OSError as error:
        reason = error.strerror or str(error)
        raise HostError(f"the folder {folder} cannot be used: {reason}", remedy=f"Set {VARIABLE} to another") from None
    return folder
