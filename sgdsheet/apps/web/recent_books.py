"""The workbooks that were open lately, kept in the folder of state."""

from __future__ import annotations

import json
import threading
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

from sgdsheet.apps.web import dropped_files
from sgdsheet.errors import FileError, HostError
from sgdsheet.system.atomic import write_atomically
from sgdsheet.system.state_folder import state_folder

MOST = 12


class RecentBooks:
    """Paths with the time when they were opened last, the newest first. A list that cannot be read is empty."""

    def __init__(self) -> None:
        self._lock = threading.Lock()

    def listed(self) -> list[dict[str, Any]]:
        """What the start page shows of them; those that are gone are left out."""
        found = []
        for index, (path, opened) in enumerate(self._read()):
            with suppress(OSError):
                if path.is_file():
                    folder = "dropped here" if dropped_files.is_kept(path) else str(path.parent)
                    found.append({"index": index, "name": path.name, "folder": folder, "opened": opened})
        return found

    def path(self, index: int) -> Path:
        """One of them by its number. Raises FileError."""
        known = self._read()
        if not 0 <= index < len(known):
            raise FileError("this workbook is not in the list any more", remedy="Reload the page")
        return known[index][0]

    def paths(self) -> list[Path]:
        """Where they lie."""
        return [path for path, _ in self._read()]

    def add(self, path: Path) -> None:
        """Put a workbook on top of the list. Where that cannot be written down, nothing happens."""
        with self._lock, suppress(HostError, FileError, OSError):
            others = [(known, opened) for known, opened in self._read() if known != path]
            rows = [(path, time.time()), *others][:MOST]
            text = json.dumps([{"path": str(known), "opened": opened} for known, opened in rows])
            write_atomically(_file(), text.encode("utf-8", "surrogateescape"))

    def _read(self) -> list[tuple[Path, float]]:
        with suppress(HostError, OSError, ValueError, TypeError, KeyError):
            rows = json.loads(_file().read_text(encoding="utf-8", errors="surrogateescape"))
            return [(Path(str(row["path"])), float(row["opened"])) for row in rows][:MOST]
        return []


def _file() -> Path:
    return state_folder() / "recent.json"
