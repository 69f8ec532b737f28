"""What the cells held before: on disk before the first write, so that it survives this process and the office."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from sgdsheet.errors import FileError, FormulaError, HostError, SgdSheetError
from sgdsheet.sheet.references import Cell, Range, parse_range
from sgdsheet.sheet.workbook import ExcelError, Value
from sgdsheet.system import state_folder
from sgdsheet.system.atomic import write_atomically

FORMAT = "sgdsheet snapshot 1"
_MOST_LEVELS = 50
_MOST_NUMBERS = 2_000_000
"""Over all levels: the oldest go first."""

Contents = dict[Cell, Value | None]
"""Values by cell; None stands for an empty cell."""

Areas = dict[str, tuple[Range, ...]]
"""Cells of a model by what they are to it (see `tracking`): they may move, and are known by that."""

Stamp = tuple[int, int, int]
"""What tells a state of the file from all others."""


@dataclass(slots=True)
class Level:
    """What one command changed: the cells as they were before it."""

    label: str
    before: Contents


@dataclass(slots=True)
class History:
    """The levels of one workbook, and how its cells were before the first of them.

    Levels found on disk stay good until something is written anew. If the cells then hold what was written last
    (`after`), they are continued; else the workbook was changed by others, and a new history begins. Other
    processes write the file, too (a terminal with attach, the toolbar): `refresh` reads what they left.

    All cells are where they were when `areas` was last brought up to date; `tracking` does that.
    """

    book: str
    path: Path
    original: Contents = field(default_factory=dict)
    levels: list[Level] = field(default_factory=list)
    after: Contents = field(default_factory=dict)
    areas: dict[str, Areas] = field(default_factory=dict)
    """By the model's sheet."""
    fresh: bool = True
    """Whether nothing was written since it was read from the disk."""
    _stamp: Stamp | None = None

    @classmethod
    def open(cls, book: str) -> History:
        """The history of a workbook; an empty one if there is none, or none that can be read."""
        history = cls(book, state_folder.book_file(book, ".json"))
        history.refresh()
        return history

    def refresh(self) -> None:
        """Read the file if another process has written it since."""
        stamp = _stamp(self.path)
        if stamp is None or stamp == self._stamp:
            return
        self._stamp, self.fresh = stamp, True
        try:
            self._load(json.loads(self.path.read_bytes()))
        except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError, SgdSheetError):
            self._clear()

    @property
    def can_undo(self) -> bool:
        return bool(self.levels)

    @property
    def sheets(self) -> set[str]:
        """The names of the sheets that it knows models or cells of."""
        return {*self.areas, *(cell.sheet for cells in self.contents for cell in cells)}

    @property
    def contents(self) -> tuple[Contents, ...]:
        """All that cells are known to have held."""
        return (self.original, self.after, *(level.before for level in self.levels))

    def begin(self, label: str, before: Contents, sheet: str = "", areas: Areas | None = None) -> None:
        """Note what the cells hold before a command writes to them. Raises FileError; then nothing may be written.

        `areas` say what the cells are to the model of `sheet`.
        """
        before = _storable(before)
        if self.fresh and any(not _same(self.after.get(cell, value), value) for cell, value in before.items()):
            self._clear()
        self.fresh = False
        if areas is not None:
            self.areas[sheet] = areas
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

    def extend(self, before: Contents, sheet: str, areas: Areas) -> None:
        """Have the newest level hold more cells: a command goes on with others than it began with.

        A disk that is full by now is no reason to fail.
        """
        level = self.levels[-1]
        new = {cell: value for cell, value in _storable(before).items() if cell not in level.before}
        for cell in before:
            self.after.pop(cell, None)
        if new or self.areas.get(sheet) != areas:
            level.before, self.original = {**level.before, **new}, {**new, **self.original}
            self.areas[sheet] = areas
            with suppress(FileError):
                self._save()

    def wrote(self, values: Mapping[Cell, Value]) -> None:
        """Note what a command left in the cells. A disk that is full by now is no reason to fail."""
        self.after.update(values)
        with suppress(FileError):
            self._save()

    def rename(self, names: Mapping[str, str]) -> None:
        """Note that sheets have other names now."""
        everything = {cell for cells in self.contents for cell in cells}
        self.move({cell: cell._replace(sheet=names[cell.sheet]) for cell in everything if cell.sheet in names})
        self.areas = {
            names.get(sheet, sheet): {
                what: tuple(area._replace(sheet=names.get(area.sheet, area.sheet)) for area in found)
                for what, found in areas.items()
            }
            for sheet, areas in self.areas.items()
        }
        with suppress(FileError):  # a disk that is full by now is no reason to fail
            self._save()

    def move(self, cells: Mapping[Cell, Cell]) -> None:
        """Note that what stood in cells stands in others now."""
        self.original, self.after = _moved(self.original, cells), _moved(self.after, cells)
        for level in self.levels:
            level.before = _moved(level.before, cells)

    def forget(self, cells: Collection[Cell]) -> None:
        """Cells are not what they were: what is known of them is worth nothing any more."""
        gone = set(cells)
        self.levels = [level for level in self.levels if gone.isdisjoint(level.before)]
        self.original = {cell: value for cell, value in self.original.items() if cell not in gone}
        self.after = {cell: value for cell, value in self.after.items() if cell not in gone}

    def pop(self) -> Level:
        """The newest level, for good."""
        if not self.levels:
            raise HostError("there is nothing to undo", remedy="Only what sgdsheet wrote can be undone here")
        self.fresh = False
        return self.levels.pop()

    def _size(self) -> int:
        return sum(len(level.before) for level in self.levels)

    def _clear(self) -> None:
        self.original, self.levels, self.after, self.areas = {}, [], {}, {}

    def _save(self) -> None:
        content = {
            "format": FORMAT,
            "book": self.book,
            "original": _encode(self.original),
            "levels": [{"label": level.label, "before": _encode(level.before)} for level in self.levels],
            "after": _encode(self.after),
            "areas": {
                sheet: {what: [str(area) for area in found] for what, found in areas.items()}
                for sheet, areas in self.areas.items()
            },
        }
        try:
            self.path.parent.mkdir(mode=0o700, exist_ok=True)
            write_atomically(self.path, json.dumps(content).encode("ascii"))
            self._stamp = _stamp(self.path)
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
        self.areas = {
            sheet: {what: tuple(parse_range(text, "") for text in found) for what, found in areas.items()}
            for sheet, areas in content.get("areas", {}).items()
        }


def _storable(before: Contents) -> Contents:
    return {cell: None if isinstance(value, ExcelError) else value for cell, value in before.items()}


def _stamp(path: Path) -> Stamp | None:
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_mtime_ns, found.st_size, found.st_ino


def _moved(contents: Contents, cells: Mapping[Cell, Cell]) -> Contents:
    """The same contents in other cells; what stood in those is somewhere else or gone."""
    moved = {cells[cell]: value for cell, value in contents.items() if cell in cells}
    return {**{cell: value for cell, value in contents.items() if cell not in cells}, **moved}


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
