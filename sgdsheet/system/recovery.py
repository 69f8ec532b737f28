"""What was not saved of an open workbook, kept in the state folder until it is saved: a crash loses nothing.

There is one such file per workbook: a line of JSON with what it is about, and behind it the bytes of the workbook as it
was. It is complete or not there, and says which bytes of the file on disk the changes were made to.
"""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from sgdsheet.errors import FileError
from sgdsheet.system.atomic import write_atomically
from sgdsheet.system.state_folder import recovery_file, recovery_folder

KEPT_FOR = 30 * 24 * 3600.0
"""Seconds after which nobody wants the file any more."""

_FORMAT = "sgdsheet recovery 1"
_LONGEST_HEAD = 1 << 20


@dataclass(frozen=True, slots=True)
class Recovery:
    """A workbook that was not saved: `book` is its key (the path of its file, if it has one).

    `base` is the digest of the file that was changed (see `digest_of`), and `kept` when it was kept, in seconds since
    1970.
    """

    book: str
    base: str
    kept: float
    path: Path
    digest: str

    def fits(self, data: bytes) -> bool:
        """Whether the changes were made to a file with these bytes, and not to an older or newer one."""
        return digest_of(data) == self.base

    def data(self) -> bytes:
        """The workbook's bytes. Raises FileError if they are damaged or gone."""
        try:
            found = self.path.read_bytes().partition(b"\n")[2]
        except OSError as error:
            raise _unusable(self.path, error.strerror or str(error)) from None
        if digest_of(found) != self.digest:
            raise _unusable(self.path, "it is damaged")
        return found


def digest_of(data: bytes) -> str:
    """What tells the bytes of one file from those of another."""
    return hashlib.sha256(data).hexdigest()


def keep(book: str, base: str, data: bytes) -> Recovery:
    """Keep the bytes of a workbook that is not saved, in the place of those that were kept before.

    Raises FileError where the disk is full, and HostError where the state folder cannot be used.
    """
    path = recovery_file(book)
    found = Recovery(book, base, time.time(), path, digest_of(data))
    head = {"format": _FORMAT, "book": book, "base": base, "kept": found.kept, "digest": found.digest}
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        write_atomically(path, json.dumps(head).encode() + b"\n" + data)
    except OSError as error:
        raise FileError(
            f"what is not saved cannot be kept in {path.parent}: {error.strerror or error}",
            remedy="Save the workbook, and free some space",
        ) from None
    return found


def find(book: str) -> Recovery | None:
    """What was kept of a workbook, if anything."""
    found = _read(recovery_file(book))
    return found if found is not None and found.book == book else None


def listed() -> list[Recovery]:
    """Everything that was kept, the newest first."""
    return sorted(_all(), key=lambda item: item.kept, reverse=True)


def set_aside(kept: Recovery, name: str) -> Path:
    """Put what was kept into a file of its own, called like `name`, which nothing takes the place of; returns its path.

    Raises FileError if it is damaged, or the disk is full.
    """
    data, own = kept.data(), Path(name)
    path = kept.path.with_name(f"{own.stem}-unsaved-{kept.digest[:8]}{own.suffix}")
    try:
        write_atomically(path, data)
    except OSError as error:
        raise FileError(f"“{path}” cannot be written: {error.strerror or error}", remedy="Free some space") from None
    discard(kept.book)
    return path


def discard(book: str) -> None:
    """Forget what was kept of a workbook, because it was saved or nobody wants it."""
    with suppress(OSError):
        recovery_file(book).unlink(missing_ok=True)


def expire(seconds: float = KEPT_FOR) -> list[Recovery]:
    """Forget what was kept so many seconds ago or earlier; returns what was forgotten."""
    old = [item for item in _all() if time.time() - item.kept >= seconds]
    for item in old:
        with suppress(OSError):
            item.path.unlink(missing_ok=True)
    return old


def _all() -> Iterator[Recovery]:
    folder = recovery_folder()
    for path in sorted(folder.glob("*.recovery")) if folder.is_dir() else ():
        if (found := _read(path)) is not None:
            yield found


def _read(path: Path) -> Recovery | None:
    """What a file says of itself; None for one that is not there, or no such file."""
    try:
        with path.open("rb") as stream:
            head = json.loads(stream.readline(_LONGEST_HEAD))
        if head["format"] != _FORMAT:
            return None
        book, base, digest = (str(head[name]) for name in ("book", "base", "digest"))
        return Recovery(book, base, float(head["kept"]), path, digest)
    except (OSError, ValueError, LookupError, TypeError):
        return None


def _unusable(path: Path, why: str) -> FileError:
    return FileError(f"what was kept of the workbook cannot be used ({path}): {why}", remedy="Open the workbook itself")
