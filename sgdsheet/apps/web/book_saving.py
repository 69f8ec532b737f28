"""Where a workbook is saved: beside its file under another name, or in its place if a person asks for that."""

from __future__ import annotations

import re
from pathlib import Path

from sgdsheet.errors import FileError, HostError, SettingError, quoted
from sgdsheet.hosts.file import output_name
from sgdsheet.hosts.office_locks import holder_of
from sgdsheet.hosts.web.open_book import OpenBook
from sgdsheet.system.book_lock import lock_file

_NAME = re.compile(r"[^/\\\x00-\x1f:*?\"<>|]{1,200}")


def save_book(book: OpenBook, name: str | None = None, *, in_place: bool = False) -> Path:
    """Save a workbook and return where: `NAME-trained.xlsx` beside it, under `name` there, or in place.

    Raises FileError for what must not be written over: a file of another name that was there before, one that another
    program has open, and in place also a file that was changed since it was read.
    """
    if book.path is None:
        raise FileError(f"“{book.name}” has no place on this machine", remedy="Download it")
    target = book.path if in_place else book.path.parent / (name or _copy_of(book.path))
    if not in_place and name is not None:
        _check_name(name, target, book)
    holder = holder_of(target)
    if holder is not None:
        raise FileError(
            f"“{target.name}” is open in {holder.program}, which would save over it",
            remedy=f"Close it there. If it is not open at all, delete {holder.lock.name}",
        )
    try:
        lock = lock_file(target.resolve())
    except (HostError, OSError, RuntimeError):
        return _written(book, target, in_place=in_place)
    try:
        return _written(book, target, in_place=in_place)
    finally:
        lock.release()


def _written(book: OpenBook, target: Path, *, in_place: bool) -> Path:
    return book.save(None if in_place else target)


def _copy_of(path: Path) -> str:
    """The name that `sgdsheet train` gives to a trained copy, too."""
    stem = path.stem.removesuffix("-trained")
    return output_name(path.with_name(f"{stem}-trained{path.suffix}")).name


def _check_name(name: str, target: Path, book: OpenBook) -> None:
    if not _NAME.fullmatch(name) or name.strip(" .") != name:
        raise SettingError(f"{quoted(name)} cannot be the name of a file", remedy="Choose another name")
    own = book.path is not None and target.name in (book.path.name, _copy_of(book.path))
    if target.exists() and not own:
        raise FileError(f"“{name}” exists already", remedy="Choose another name")
    if book.path is not None and target.name == book.path.name:
        raise SettingError(f"“{name}” is the workbook itself", remedy="Save in place, or choose another name")
