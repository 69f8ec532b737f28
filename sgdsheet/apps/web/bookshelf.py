"""The workbooks that the server has open, by the name that the page has for them. Paths never come from the page."""

from __future__ import annotations

import hashlib
import os
import threading
from pathlib import Path

from sgdsheet.apps import examples
from sgdsheet.apps.web import dropped_files
from sgdsheet.apps.web.recent_books import RecentBooks
from sgdsheet.apps.web.served_book import HOST, ServedBook
from sgdsheet.errors import FileError, SettingError, SgdSheetError, quoted
from sgdsheet.hosts.base import LiveHost
from sgdsheet.hosts.live_hosts import connect
from sgdsheet.hosts.web.open_book import OpenBook
from sgdsheet.live.ipc.trainer import Trainer
from sgdsheet.system.outputs import documents

MOST_OPEN = 40
"""Workbooks that are open at once."""

_DIGITS = 12


class Bookshelf:
    """Open workbooks, and the trainer of them all. Safe to use from any thread."""

    def __init__(self) -> None:
        self.recent = RecentBooks()
        self._trainer = Trainer(_connect)
        self._books: dict[str, ServedBook] = {}
        self._lock = threading.RLock()

    def open(self, path: Path) -> ServedBook:
        """Open a workbook, or find it open already. Raises SgdSheetError."""
        full = Path(os.path.realpath(path))
        id = hashlib.sha256(os.fsencode(full)).hexdigest()[:_DIGITS]
        with self._lock:
            if id not in self._books:
                self._add(id, OpenBook.open(full))
                self.recent.add(full)
            return self._books[id]

    def open_example(self, name: str) -> ServedBook:
        """Open an example: a copy of its own among the person's documents, the one from before if there is one."""
        if name not in examples.names():
            raise SettingError(f"there is no example {quoted(name)}", remedy="Choose one of the start page")
        folder = documents() / "sgdsheet"
        path = folder / f"{name}.xlsx"
        if not path.exists():
            try:
                folder.mkdir(parents=True, exist_ok=True)
            except OSError as error:
                reason = error.strerror or str(error)
                raise FileError(f"“{folder}” cannot be made: {reason}", remedy=f"Run: sgdsheet new {name}") from None
            examples.build(name, path)
        return self.open(path)

    def open_recent(self, index: int) -> ServedBook:
        """Open one of the recent workbooks again."""
        path = self.recent.path(index)
        if not dropped_files.is_kept(path):
            return self.open(path)
        try:
            return self.upload(path.name, path.read_bytes())
        except OSError as error:
            raise FileError(f"“{path.name}” cannot be read: {error.strerror}", remedy="Drop the file again") from None

    def upload(self, name: str, data: bytes) -> ServedBook:
        """Open the bytes of a workbook file, which has no place on this machine. Raises FileError.

        The same file is the same workbook: if it is open, that one, with all that was changed; after a crash, what was
        not saved of it is found again.
        """
        plain = name.replace("\\", "/").rpartition("/")[2]
        known = "".join(letter for letter in plain if letter.isprintable())[-60:].strip(" .") or "book"
        id = hashlib.sha256(known.encode("utf-8", "surrogatepass") + b"\0" + data).hexdigest()[:_DIGITS]
        with self._lock:
            if id not in self._books:
                kept = _kept(known, data)
                self._add(id, OpenBook.from_bytes(known, data, dropped_files.key_of(kept) if kept else None))
                if kept is not None:
                    self.recent.add(kept)
                    dropped_files.forget_others(self.recent.paths())
            return self._books[id]

    def book(self, id: str) -> ServedBook:
        """The open workbook of this name. Raises FileError."""
        with self._lock:
            if id not in self._books:
                raise FileError("this workbook is not open", remedy="Open it again from the start page")
            return self._books[id]

    def close(self) -> None:
        """Stop all training, which leaves the best parameters in the cells, and let go of all workbooks."""
        self._trainer.close()
        with self._lock:
            for served in self._books.values():
                served.close()
            self._books.clear()

    def _add(self, id: str, book: OpenBook) -> None:
        if len(self._books) >= MOST_OPEN:
            raise FileError(f"{MOST_OPEN} workbooks are open", remedy="End sgdsheet with Ctrl-C, and start it again")
        self._books[id] = ServedBook(id, book, self._trainer)


def _kept(name: str, data: bytes) -> Path | None:
    """Where a dropped file is kept; None where that is not possible, as on a full disk."""
    try:
        return dropped_files.keep(name, data)
    except (SgdSheetError, OSError, ValueError):
        return None


def _connect(host: str, book: str, where: str) -> LiveHost:
    """The trainer's way to the workbooks of this process, and to no other program's."""
    if host != HOST:
        raise SettingError(f"{quoted(host)} is not served here")
    return connect(host, book, where)


def start_page(shelf: Bookshelf) -> dict[str, object]:
    """What the start page shows: the examples in the order of the tour, and the workbooks that were open lately."""
    titles, descriptions = examples.titles(), examples.names()
    return {
        "examples": [
            {
                "name": name,
                "title": titles[name],
                "chapter": chapter,
                "description": descriptions[name],
                "picture": f"/api/picture/{name}" if picture_of(name) is not None else None,
            }
            for chapter, names in examples.tour().items()
            for name in names
        ],
        "recent": shelf.recent.listed(),
    }


def picture_of(example: str) -> Path | None:
    """The picture of an example's sheet: in the package, or in the repository that it runs from."""
    for folder in (Path(__file__).parent / "pictures", Path(__file__).parents[3] / "docs" / "pictures"):
        path = folder / f"{example}.png"
        if example in examples.names() and path.is_file():
            return path
    return None
