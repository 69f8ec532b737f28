"""Whether an office has a file open: each leaves a small file beside it meanwhile."""

from __future__ import annotations

from contextlib import suppress
from os.path import lexists
from pathlib import Path
from typing import NamedTuple


class Holder(NamedTuple):
    """A program that has a file open, and the file by which it says so."""

    program: str
    lock: Path


def holder_of(path: Path) -> Holder | None:
    """The office that has a file open; None if none says so. One that crashed may have left its lock."""
    places = [path.absolute()]
    with suppress(OSError, RuntimeError):
        places.append(path.resolve())
    for place in dict.fromkeys(places):
        for program, name in (("Excel", f"~${place.name}"), ("LibreOffice", f".~lock.{place.name}#")):
            if lexists(lock := place.with_name(name)):
                return Holder(program, lock)
    return None
