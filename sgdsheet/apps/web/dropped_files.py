"""Files that were dropped on the start page: a copy of each is kept, so that it can be opened again from the list.

A page tells the name and the bytes of a file, not where it lies.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection
from contextlib import suppress
from pathlib import Path

from sgdsheet.system.atomic import write_atomically
from sgdsheet.system.state_folder import state_folder

_DIGITS = 24


def keep(name: str, data: bytes) -> Path:
    """Keep the bytes of a file; the same bytes under the same name are kept once. Raises HostError and FileError."""
    path = _folder() / hashlib.sha256(data).hexdigest()[:_DIGITS] / name
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    if not path.exists():
        write_atomically(path, data)
    return path


def is_kept(path: Path) -> bool:
    """Whether a path is that of a file that was dropped."""
    return path.parent.parent == _folder()


def key_of(path: Path) -> str:
    """What tells a file that was dropped from all other workbooks, also the next time."""
    return f"dropped {path.parent.name} {path.name}"


def forget_others(paths: Collection[Path]) -> None:
    """Forget all files but these."""
    with suppress(OSError):
        for path in [*_folder().glob("*/*")]:
            if path not in paths:
                path.unlink(missing_ok=True)
                with suppress(OSError):
                    path.parent.rmdir()


def _folder() -> Path:
    return state_folder() / "dropped"
