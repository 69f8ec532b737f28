"""What the cells held before: on disk before the first write, so that it survives this process and the office."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from sgdsheet.atomic import write_atomically
from sgdsheet.errors import FileError, FormulaError, HostError, SgdSheetError
from sgdsheet.live import places
from sgdsheet.references import Cell, parse_range
from sgdsheet.workbook import ExcelError, Value

FORMAT = "sgdsheet snapshot 1"
_MOST_LEVELS = 50
_MOST_NUMBERS = 2_000_000
"""Over all levels: the oldest go first."""

Contents = dict[Cell, Value | None]
"""Values by cell; None stands for an empty cell."""


@dataclass(slots=True)
class Level:
    """What one command changed: the cells as they were before it."""

    label: str
    before: Contents


@dataclass(slots=True)
class History:
    """The levels of one workbook, and how its cells were before the first of them.

    Levels found on disk stay good until something is written anew. If the cells then hold what was written last
    (`after`), they are continued; else the workbook was changed by others, and a new history begins.
    """

    book: str
    path: Path
    original: Contents = field(default_factory=dict)
    levels: list[Level] = field(default_factory=list)
    after: Contents = field(default_factory=dict)
    _fresh: bool = True

    @classmethod
    def open(cls, book: str) -> History:
        """The history of a workbook; an empty one if there is none, or none that can be read."""
        folder = places.snapshot_folder()
        history = cls(book, folder / f"{hashlib.sha256(book.encode('utf-8', 'surrogatepass')).hexdigest()[:32]}.json")
        try:
            history._load(json.loads(history.path.read_bytes()))
        except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError, SgdSheetError):
            history._clear()
        return history

    @property
    def can_undo(self) -> bool:
        return bool(self.levels)

    @property
    def sheets(self) -> set[str]:
        """The names of the sheets that it knows cells of."""
        return {cell.sheet for cells in (self.original, *(level.before for level in self.levels)) for cell in cells}

    def begin(self, label: str, before: Contents) -> None:
        """Note what the cells hold before a command writes to them. Raises FileError; then nothing may be written."""
        before = {cell: None if isinstance(value, ExcelError) else value for cell, value in before.items()}
        if self._fresh and any(not _same(self.after.get(cell, value), value) for cell, value in before.items()):
            self._clear()
        self._fresh = False
        for cell in before:  # from now on unknown, until the command is through
            self.after.pop(cell, None)
        self.original = {**before, **self.original}
        self.levels.append(Level(label, before))
        while len(self.levels) > 1 and (len(self.levels) > _MOST_LEVELS or self._size() > _MOST_NUMBERS):
            del self.levels[0]
        try:
            self._save()
        except FileError:
            self.levels.pop()
            raise

    def wrote(self, values: Mapping[Cell, Value]) -> None:
        """Note what a command left in the cells. A disk that is full by now is no reason to fail."""
        self.after.update(values)
        with suppress(FileError):
            self._save()

    def rename(self, names: Mapping[str, str]) -> None:
        """Note that sheets have other names now."""

        def moved(cells: Mapping[Cell, Any]) -> dict[Cell, Any]:
            return {cell._replace(sheet=names.get(cell.sheet, cell.sheet)): value for cell, value in cells.items()}

        self.original, self.after = moved(self.original), moved(self.after)
        self.levels = [Level(level.label, moved(level.before)) for level in self.levels]
        with suppress(FileError):  # a disk that is full by now is no reason to fail
            self._save()

    def pop(self) -> Level:
        """The newest level, for good."""
        if not self.levels:
            raise HostError("there is nothing to undo", remedy="Only what sgdsheet wrote can be undone here")
        self._fresh = False
        return self.levels.pop()

    def _size(self) -> int:
        return sum(len(level.before) for level in self.levels)

    def _clear(self) -> None:
        self.original, self.levels, self.after = {}, [], {}

    def _save(self) -> None:
        content = {
            "format": FORMAT,
            "book": self.book,
            "original": _encode(self.original),
            "levels": [{"label": level.label, "before": _encode(level.before)} for level in self.levels],
            "after": _encode(self.after),
        }
        try:
            self.path.parent.mkdir(mode=0o700, exist_ok=True)
            write_atomically(self.path, json.dumps(content).encode("ascii"))
        except OSError as error:
            reason = error.strerror or str(error)
            raise FileError(
                f"the snapshot {self.path} cannot be written: {reason}",
                remedy="Nothing was changed in the sheet. Free some space on the disk and try again",
            ) from None

    def _load(self, content: dict[str, Any]) -> None:
        if content["format"] != FORMAT or content["book"] != self.book:
            raise ValueError("another format")
        self.original, self.after = _decode(content["original"]), _decode(content["after"])
        self.levels = [Level(str(item["label"]), _decode(item["before"])) for item in content["levels"]]


def _same(one: Value | None, two: Value | None) -> bool:
    return one == two or (one in (None, "", 0.0) and two in (None, "", 0.0))


def _encode(cells: Contents) -> list[list[Any]]:
    return [[str(cell), value] for cell, value in cells.items()]


def _decode(pairs: list[list[Any]]) -> Contents:
    """Cells and their values, or ValueError: the file may have been edited."""
    found: Contents = {}
    for text, value in pairs:
        try:
            area = parse_range(text, "")
        except FormulaError:
            raise ValueError("cell") from None
        if area.size != 1 or not (value is None or isinstance(value, (str, bool, float, int))):
            raise ValueError("value")
        found[area.first] = float(value) if isinstance(value, int) and not isinstance(value, bool) else value
    return found
