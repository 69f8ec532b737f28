"""The workbooks that are open in this process, by their keys."""

from __future__ import annotations

import threading
from typing import Protocol


class Keyed(Protocol):
    """A workbook that is open here."""

    @property
    def key(self) -> str:
        """What tells it from all others."""
        ...


_books: dict[str, Keyed] = {}
_lock = threading.Lock()


def register(book: Keyed) -> None:
    """Let a workbook be found by its key."""
    with _lock:
        _books[book.key] = book


def unregister(book: Keyed) -> None:
    """Let a workbook not be found any more."""
    with _lock:
        if _books.get(book.key) is book:
            del _books[book.key]


def find(key: str) -> Keyed | None:
    """The workbook with a key, if it is open."""
    with _lock:
        return _books.get(key)


def keys() -> list[str]:
    """The keys of all open workbooks."""
    with _lock:
        return list(_books)
