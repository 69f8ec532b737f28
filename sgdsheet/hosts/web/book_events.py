"""What happens to an open workbook, told to whoever shows it; and which of its cells have changed since when."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Literal

from sgdsheet.sheet.references import Range

_KEPT = 256
"""Changes that are remembered one by one."""

Happened = Literal["cells", "names", "sheets", "status", "message", "saved", "history", "uncalculated", "closed"]


@dataclass(frozen=True, slots=True)
class Event:
    """Something that has happened: cells have changed (`areas`), or a text is to be shown."""

    kind: Happened
    areas: tuple[Range, ...] = ()
    text: str = ""


class BookEvents:
    """Tells events, and counts changes of cells. Safe to be used from any thread; what listens must be quick."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._listeners: list[Callable[[Event], None]] = []
        self._version = 0
        self._changes: deque[tuple[int, tuple[Range, ...]]] = deque(maxlen=_KEPT)

    @property
    def version(self) -> int:
        """How many times cells have changed."""
        return self._version

    def changed_since(self, version: int) -> set[tuple[str, Range]] | None:
        """The areas that have changed since a version, with their sheets; None if that is not known any more."""
        with self._lock:
            if version >= self._version:
                return set()
            if not self._changes or self._changes[0][0] > version + 1:
                return None
            return {(area.sheet, area) for number, areas in self._changes if number > version for area in areas}

    def subscribe(self, listener: Callable[[Event], None]) -> Callable[[], None]:
        """Have a function called with each event, in whichever thread it happens. Returns what ends that."""
        with self._lock:
            self._listeners.append(listener)

        def end() -> None:
            with self._lock:
                if listener in self._listeners:
                    self._listeners.remove(listener)

        return end

    def cells_changed(self, areas: Iterable[Range]) -> None:
        """Count and tell that cells have changed."""
        changed = tuple(areas)
        with self._lock:
            self._version += 1
            self._changes.append((self._version, changed))
        self.tell(Event("cells", changed))

    def tell(self, event: Event) -> None:
        """Call whoever listens."""
        with self._lock:
            listeners = list(self._listeners)
        for listener in listeners:
            listener(event)
