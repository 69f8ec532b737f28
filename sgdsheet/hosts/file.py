"""Workbook files: an .xlsx is read as data and patched in place, never written anew.

Only the values that were changed differ in the saved file; charts, pivot tables, macros and whatever else the
package holds are copied byte for byte. A training log adds a sheet of its own and leaves the others alone.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from sys import float_info

from sgdsheet.errors import FileError
from sgdsheet.hosts.xlsx.log_parts import add_log
from sgdsheet.hosts.xlsx.package import MAX_FILE, Package
from sgdsheet.hosts.xlsx.patch import Replaced, patch_sheet
from sgdsheet.hosts.xlsx.recalculation import ask_for_calculation
from sgdsheet.hosts.xlsx.replaced_formulas import chain_without, replaced_in
from sgdsheet.hosts.xlsx.xlsx_reader import Outline, read_outline, read_workbook
from sgdsheet.sheet.references import MAX_COLUMN, MAX_ROW, Cell
from sgdsheet.sheet.workbook import ExcelError, Position, Value, Workbook
from sgdsheet.system.atomic import write_atomically
from sgdsheet.train.logbook import Record, thin

MAX_TEXT = 32_767
"""Characters that Excel allows in a cell."""

_ELSEWHERE = "Save somewhere else, or free some space"
_SPREADSHEETS = frozenset((".xlsx", ".xlsm", ".xltx", ".xltm", ".xlsb", ".xls", ".ods", ".csv"))


class FileHost:
    """An .xlsx or .xlsm file.

    The file is held in memory from the first use on: what is saved is what was read, plus the written values.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        self._package: Package | None = None
        self._outline: Outline | None = None
        self._changes: dict[str, dict[Position, Value | None]] = {}
        self._replaced: dict[str, set[Position]] = {}
        self._log: tuple[list[Record], str, tuple[str, ...]] | None = None

    def read(self) -> Workbook:
        """Read the file afresh; values that were written but not saved are not part of it."""
        self._load()
        return replace(read_workbook(self._loaded()[0]), folder=self.path.absolute().parent)

    def write(self, values: Mapping[Cell, Value]) -> None:
        """Collect new values for cells; the file changes only when it is saved."""
        names = self._sheet_names(values)
        for cell, value in values.items():
            _check(cell, value)
        for cell, value in values.items():
            self._changes.setdefault(names[cell.sheet], {})[cell[1:]] = value

    def mark_uncalculated(self, cells: Collection[Cell]) -> None:
        """Take away the saved values of formulas that are out of date, and have the workbook calculated when opened."""
        names = self._sheet_names(cells)
        for cell in cells:
            self._changes.setdefault(names[cell.sheet], {})[cell[1:]] = None

    def replace_formulas(self, cells: Collection[Cell]) -> None:
        """Let the values that are written to these cells take the place of their formulas when the file is saved."""
        names = self._sheet_names(cells)
        for cell in cells:
            self._replaced.setdefault(names[cell.sheet], set()).add(cell[1:])

    def write_log(self, records: Sequence[Record], title: str, notes: Sequence[str] = ()) -> None:
        """Add a sheet `SGD log` with a table of the records, charts and notes when the workbook is saved.

        It takes the place of the sheet that an earlier run left, never of anyone else's. Of more than 2,000
        records some are shown, spread evenly; without records no sheet is written.
        """
        self._log = (thin(records), title, tuple(notes)) if records else None

    def save(self, output: str | Path | None = None) -> None:
        """Save the workbook with the written values to `output`, or in place.

        The file is complete or untouched at any moment. Saving in place is refused if the file on disk is no
        longer the one that was read.
        """
        package, outline = self._loaded()
        target = _target(self.path if output is None else Path(output), self.path)
        in_place = output is None or _same_file(target, self.path)

        def look() -> None:
            if in_place and self._read_bytes() != package.data:
                raise FileError(
                    f"“{self.path.name}” was changed by another program since it was read",
                    remedy="Run again, or save to another file",
                )

        look()
        if in_place and not self._changes and self._log is None:
            return
        parts = {entry.name: entry.part for entry in outline.sheets}
        patched: dict[str, bytes | None] = {}
        going = self._going()
        for name, values in self._changes.items():
            if (part := parts[name]) is not None:
                patched[part] = patch_sheet(package.part(part), values, going.get(name))
        chain = outline.related("calcChain")
        if going and chain is not None and chain in package:
            ids = {entry.id: going[entry.name].cells for entry in outline.sheets if entry.name in going}
            patched[chain] = chain_without(package.part(chain), ids)
        if self._log is not None:
            patched.update(add_log(package, outline, *self._log))
        if any(None in values.values() for values in self._changes.values()):
            book = patched.get(outline.part.name)
            whole = outline.part if book is None else replace(outline.part, data=book)
            patched[outline.part.name] = ask_for_calculation(whole)
        data = package.rewritten(patched) if patched else package.data
        with _file_errors(target, "written", _ELSEWHERE):
            write_atomically(target, data, look)  # again, when the new file is on the disk already
        if in_place:
            self._package, self._outline = Package(self.path.name, data), None
            self._changes, self._log, self._replaced = {}, None, {}

    def _going(self) -> dict[str, Replaced]:
        """The formulas that give way, by the name of their sheet."""
        if not self._replaced:
            return {}
        sheets = read_workbook(self._loaded()[0]).sheets
        return {name: replaced_in(sheets[name], cells) for name, cells in self._replaced.items()}

    def check_output(self, output: str | Path | None = None) -> None:
        """Raise FileError now if `save(output)` could not write there."""
        _target(self.path if output is None else Path(output), self.path)

    def close(self) -> None:
        """Forget the file and all values that were not saved."""
        self._package, self._outline, self._changes, self._log = None, None, {}, None
        self._replaced = {}

    def _sheet_names(self, cells: Iterable[Cell]) -> dict[str, str]:
        """The worksheets of cells as they are spelled. Raises FileError if there is none of a name."""
        parts = {entry.name: entry.part for entry in self._loaded()[1].sheets}
        folded = {name.casefold(): name for name in parts}
        found: dict[str, str] = {}
        for cell in cells:
            if cell.sheet not in found:
                name = cell.sheet if cell.sheet in parts else folded.get(cell.sheet.casefold(), cell.sheet)
                if parts.get(name) is None:
                    raise FileError(f"“{self.path.name}” has no worksheet {cell.sheet!r}", cell=cell)
                found[cell.sheet] = name
        return found

    def _load(self) -> Package:
        self._package, self._outline = Package(self.path.name, self._read_bytes()), None
        return self._package

    def _loaded(self) -> tuple[Package, Outline]:
        package = self._package or self._load()
        if self._outline is None:
            self._outline = read_outline(package)
        return package, self._outline

    def _read_bytes(self) -> bytes:
        with _file_errors(self.path, "read", "Check the file name"):
            status = self.path.stat()
            if stat.S_ISDIR(status.st_mode):
                raise FileError(f"“{self.path}” is a folder", remedy="Give the name of an .xlsx file")
            if not stat.S_ISREG(status.st_mode):  # a pipe would make us wait
                raise FileError(f"“{self.path}” is not a file", remedy="Give the name of an .xlsx file")
            if status.st_size > MAX_FILE:
                raise FileError(f"“{self.path}” is larger than 4 GiB", remedy="Split the workbook")
            return self.path.read_bytes()


def load(path: str | Path) -> Workbook:
    """Read a workbook file: its values, formulas, names and tables."""
    return FileHost(path).read()


def _check(cell: Cell, value: Value) -> None:
    if not (1 <= cell.row <= MAX_ROW and 1 <= cell.column <= MAX_COLUMN):
        raise ValueError(f"{cell} lies outside the grid")
    if isinstance(value, str):
        if len(value.encode("utf-16-le")) > 2 * MAX_TEXT:  # a lone surrogate raises a ValueError, too
            raise ValueError(f"{cell}: text is longer than {MAX_TEXT} characters")
    elif not isinstance(value, ExcelError) and not abs(value) <= float_info.max:  # false for NaN, too
        raise ValueError(f"{cell}: {value} is not a number that a cell can hold")


def _same_file(one: Path, other: Path) -> bool:
    try:
        return one.samefile(other)
    except OSError:
        return False


def _target(path: Path, source: Path) -> Path:
    """Where to write: links followed, and obstacles reported before any work is done."""
    with _file_errors(path, "written", _ELSEWHERE):
        target = path.resolve()
        suffix, expected = target.suffix.lower(), source.suffix.lower()
        if suffix == ".xlsx" and expected not in _SPREADSHEETS:
            expected = suffix
        if target.is_dir():
            raise FileError(f"“{path}” is a folder", remedy="Give a file name for the output")
        if suffix != expected:
            what = f"as {suffix}" if suffix else "without an ending"
            raise FileError(
                f"“{path}” cannot be saved {what}: “{source.name}” is of another kind",
                remedy=f"Give the output the ending {expected or '.xlsx'}",
            )
        if not target.parent.is_dir():
            raise FileError(f"“{target.parent}” is not a folder", remedy="Create it, or save somewhere else")
        if target.exists() and not target.is_file():
            raise FileError(f"“{path}” is not an ordinary file", remedy="Give another file name")
        if not os.access(target.parent, os.W_OK) or (target.exists() and not os.access(target, os.W_OK)):
            raise FileError(f"“{path}” cannot be written: it is protected", remedy="Save somewhere else")
    return target


@contextmanager
def _file_errors(path: Path, what: str, remedy: str) -> Iterator[None]:
    """Turn the operating system's errors into ours."""
    try:
        yield
    except FileNotFoundError:
        cause = f"“{path}” does not exist" if what == "read" else f"“{path}” cannot be {what} there"
        raise FileError(cause, remedy="Check the file name" if what == "read" else remedy) from None
    except PermissionError:
        access = "Close it in other programs, or check its permissions"
        raise FileError(f"“{path}” cannot be {what}: access is denied", remedy=access) from None
    except (OSError, RuntimeError) as error:  # a link to itself is a RuntimeError before Python 3.13
        reason = getattr(error, "strerror", None) or str(error)
        raise FileError(f"“{path}” cannot be {what}: {reason}", remedy=remedy) from None
