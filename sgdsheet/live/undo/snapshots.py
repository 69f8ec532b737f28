"""What cells held before commands wrote to them: on disk before the first write, so it outlives every process."""

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
"""Levels that are kept; the oldest are dropped first."""

_MOST_NUMBERS = 2_000_000
"""Cells of all levels together that are kept; the oldest levels are dropped first."""

Contents = dict[Cell, Value | None]
"""Values by cell; None stands for an empty cell."""

Areas = dict[str, tuple[Range, ...]]
"""Cells of a model by their role in it, such as `parameters` (see `tracking`): they are known by it when they move."""

Stamp = tuple[int, int, int]
"""Time of change (nanoseconds), size (bytes) and inode of a file: they differ whenever the file was written anew."""


@dataclass(slots=True)
class Level:
    """What one command changed: the cells as they were before it."""

    label: str
    before: Contents


@dataclass(slots=True)
class History:
    """The levels of Undo of one workbook (`levels`, the newest last), and what its cells held before all of them.

    `original` is what cells held before the first command wrote to them, and `after` what the last command left there.
    When a command writes to a workbook whose history was read from the disk, its cells are compared with `after`: if
    they hold that, the history goes on; if not, others have changed the workbook, and a new history begins. Other
    processes (a terminal with `attach`, the toolbar) write the same file: `refresh` reads what they left.

    The cells of all these are where `tracking` has last found them, which it notes in `areas`.
    """

    book: str
    path: Path
    original: Contents = field(default_factory=dict)
    levels: list[Level] = field(default_factory=list)
    after: Contents = field(default_factory=dict)
    areas: dict[str, Areas] = field(default_factory=dict)
    """The cells of each model, by the name of its sheet."""
    fresh: bool = True
    """Whether no command has written to cells since this history was read from the disk."""
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
        """The names of the sheets of all models and cells in this history."""
        return {*self.areas, *(cell.sheet for cells in self.contents for cell in cells)}

    @property
    def contents(self) -> tuple[Contents, ...]:
        """What cells held at each time that is known of: originally, after the last command, and before each level."""
        return (self.original, self.after, *(level.before for level in self.levels))

    def begin(self, label: str, before: Contents, sheet: str = "", areas: Areas | None = None) -> None:
        """Add a level: what cells hold before a command writes to them.

        `areas` are the cells of the model on `sheet`. Raises FileError if the level cannot be saved; then nothing may
        be written to the workbook.
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
        """Add cells to the newest level, because its command goes on with more cells than it began with.

        If the disk is full by now, the level is not saved, and that is no error.
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
        """Note what a command has left in the cells. If the disk is full by now, that is not saved, and is no error."""
        self.after.update(values)
        with suppress(FileError):
            self._save()

    def rename(self, names: Mapping[str, str]) -> None:
        """Note that sheets have new names, given by their old ones."""
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
        """Note that cells have moved: what stood in each of these stands in its value now."""
        self.original, self.after = _moved(self.original, cells), _moved(self.after, cells)
        for level in self.levels:
            level.before = _moved(level.before, cells)

    def forget(self, cells: Collection[Cell]) -> None:
        """Drop what is known of cells that cannot be found any more, and every level that wrote to one of them."""
        gone = set(cells)
        self.levels = [level for level in self.levels if gone.isdisjoint(level.before)]
        self.original = {cell: value for cell, value in self.original.items() if cell not in gone}
        self.after = {cell: value for cell, value in self.after.items() if cell not in gone}

    def let_go(self, sheet: str, role: str) -> None:
        """Note that a person has given the name of a role to other cells: it does not tell where the old ones are."""
        if self.areas.get(sheet, {}).pop(role, None) is not None:
            with suppress(FileError):  # a disk that is full by now is no reason to fail
                self._save()

    def pop(self) -> Level:
        """Remove the newest level and return it. Raises HostError if there is none."""
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


def carry_over(book: str, other: str) -> None:
    """Give the history of a workbook to the name under which a person has saved it, in place of any that was there.

    The file of the old name keeps its own. Raises FileError if it cannot be written.
    """
    history = History.open(book)
    history.book, history.path = other, state_folder.book_file(other, ".json")
    if history.original:
        history._save()
    else:
        history.path.unlink(missing_ok=True)


def _storable(before: Contents) -> Contents:
    return {cell: None if isinstance(value, ExcelError) else value for cell, value in before.items()}


def _stamp(path: Path) -> Stamp | None:
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_mtime_ns, found.st_size, found.st_ino


def _moved(contents: Contents, cells: Mapping[Cell, Cell]) -> Contents:
    """The contents with what stood in the keys of `cells` in their values; what stood there is dropped."""
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
