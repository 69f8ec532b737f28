"""Where a workbook is saved: beside its file under another name, or in its place if a person asks for that."""

from __future__ import annotations

import re
import zipfile
from collections.abc import Mapping
from io import BytesIO
from pathlib import Path

from sgdsheet.errors import FileError, HostError, SettingError, quoted
from sgdsheet.hosts.file import output_name
from sgdsheet.hosts.office_locks import holder_of
from sgdsheet.hosts.web.open_book import OpenBook
from sgdsheet.system.book_lock import BookLock, lock_file

_NAME = re.compile(r"[^/\\\x00-\x1f:*?\"<>|]{1,200}")


def save_book(book: OpenBook, name: str | None = None, *, in_place: bool = False, training: bool = False) -> Path:
    """Save a workbook and return where: `NAME-trained.xlsx` beside it, under `name` there, or in place.

    `training` says that this process trains the workbook, and so keeps other writers away from its file.

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
    lock = None if in_place and training else _locked(target)
    try:
        return book.save(None if in_place else target)
    finally:
        if lock is not None:
            lock.release()


def bytes_of(book: OpenBook) -> tuple[str, bytes]:
    """The name and the bytes of the file that saving would write now."""
    name = output_name(book.path or Path(book.name))
    if not name.suffix:
        name = name.with_suffix(".xlsx")
    return name.name, book.data()


def packed(files: Mapping[str, bytes]) -> tuple[str, bytes]:
    """The name and the bytes of one file; of several, of an archive of them."""
    first = next(iter(files))
    if len(files) == 1:
        return first, files[first]
    found = BytesIO()
    with zipfile.ZipFile(found, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in files.items():
            archive.writestr(name, data)
    return Path(first).with_suffix(".zip").name, found.getvalue()


def _locked(target: Path) -> BookLock | None:
    """Keep other writers away from a file, where files can be locked. Raises TrainingError if one is writing."""
    try:
        return lock_file(target.resolve())
    except (HostError, OSError, RuntimeError):
        return None


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
