"""The workbooks that the server has open, by the name that the page has for them. Paths never come from the page."""

from __future__ import annotations

import hashlib
import os
import threading
from pathlib import Path

from sgdsheet.apps.web.served_book import ServedBook
from sgdsheet.errors import FileError

_DIGITS = 12


class Bookshelf:
    """Open workbooks. Safe to use from any thread."""

    def __init__(self) -> None:
        self._books: dict[str, ServedBook] = {}
        self._lock = threading.RLock()

    def open(self, path: Path) -> ServedBook:
        """Open a workbook, or find it open already. Raises SgdSheetError."""
        full = Path(os.path.realpath(path))
        id = hashlib.sha256(os.fsencode(full)).hexdigest()[:_DIGITS]
        with self._lock:
            if id not in self._books:
                self._books[id] = ServedBook(id, full)
            return self._books[id]

    def book(self, id: str) -> ServedBook:
        """The open workbook of this name. Raises FileError."""
        with self._lock:
            if id not in self._books:
                raise FileError("this workbook is not open", remedy="Open it again from the start page")
            return self._books[id]

    def close(self) -> None:
        """Let go of all workbooks."""
        with self._lock:
            self._books.clear()
