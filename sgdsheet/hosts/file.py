"""Workbook files: read as data and patched in place, never written anew.

Only what was changed differs in the saved file: values, cells that a person edited, names; charts, pivot tables, macros
and whatever else the package holds are copied byte for byte. A training log adds a sheet of its own and leaves the
others alone.

    .xlsx, .xlsm     patched
    .ods, .fods      patched
    .csv, .tsv       read as a workbook of one sheet, which is saved as an .xlsx
    .xls, .xlsb      converted by LibreOffice, if it is installed; saved as an .xlsx
"""

from __future__ import annotations

import os
import stat
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from io import BytesIO
from pathlib import Path
from typing import IO, Any, Protocol, runtime_checkable

from sgdsheet.analysis.reporting.page import SHEET as REPORT
from sgdsheet.analysis.reporting.page import Page
from sgdsheet.errors import FileError
from sgdsheet.hosts.base import ReportSheet
from sgdsheet.hosts.book_file import LOG, BookFile, OwnSheets, TrainingLog
from sgdsheet.hosts.cell_edit import (
    CellEdit,
    Change,
    Changes,
    Cleared,
    gives_way,
    impossible,
    with_value,
    without_result,
)
from sgdsheet.hosts.libreoffice.office_conversion import converted
from sgdsheet.hosts.live_hosts import read_open_book
from sgdsheet.hosts.ods.fods_file import FodsFile, is_flat_document
from sgdsheet.hosts.ods.ods_file import OdsFile
from sgdsheet.hosts.text_table import ENDINGS as TEXT_ENDINGS
from sgdsheet.hosts.text_table import as_xlsx
from sgdsheet.hosts.xlsx.package import MAX_FILE, Package, is_old_format
from sgdsheet.hosts.xlsx.xlsx_file import XlsxFile
from sgdsheet.sheet.appearance import Appearance
from sgdsheet.sheet.references import Cell, Range
from sgdsheet.sheet.workbook import Position, Value, Workbook
from sgdsheet.system.atomic import write_atomically
from sgdsheet.train.logbook import Record, thin

_ELSEWHERE = "Save somewhere else, or free some space"
_CONVERTED = (*TEXT_ENDINGS, ".xls", ".xlt", ".xlsb")
"""Endings of files that are read, and saved as an .xlsx."""
_SPREADSHEETS = frozenset((".xlsx", ".xlsm", ".xltx", ".xltm", ".ods", ".ots", ".fods", *_CONVERTED))


@runtime_checkable
class SavesItself(Protocol):
    """A workbook in memory that can write itself into a file object, such as openpyxl's."""

    def save(self, filename: Any) -> None: ...


Source = str | Path | bytes | IO[bytes] | SavesItself
"""Where a workbook file is: its path, its bytes, a file object opened for reading bytes, or an openpyxl `Workbook`."""


class FileHost:
    """A workbook file: an .xlsx, .xlsm, .ods or .fods; and, to be saved as an .xlsx, a .csv, .tsv, .xls or .xlsb.

    The file is held in memory from the first use on: what is saved is what was read, plus the written values.

    What comes as bytes, as a file object or as an openpyxl `Workbook` has no place of its own: `save` needs an output
    then. The file of an openpyxl `Workbook` is what openpyxl makes of it; the `Workbook` itself stays as it is. Such a
    file has formulas without saved values, so the values are calculated here.
    """

    def __init__(self, source: Source) -> None:
        self._source = source
        self.path = Path(source) if isinstance(source, str | Path) else Path(_name_of(source))
        self._file: BookFile | None = None
        self._data = b""
        self._changes: dict[str, dict[Position, Change]] = {}
        self._replaced: dict[str, set[Position]] = {}
        self._names: dict[tuple[str, str], tuple[Range, ...]] = {}
        self._widths: dict[str, dict[int, int]] = {}
        self._own: OwnSheets = {}
        """The sheets of ours that are to be in the file, by their names."""

    @property
    def has_place(self) -> bool:
        """Whether the workbook is a file on disk, which can be saved in place."""
        return isinstance(self._source, str | Path)

    @property
    def data(self) -> bytes:
        """The bytes of the file that was read, or saved in place."""
        self._loaded()
        return self._data

    def read(self) -> Workbook:
        """Read the file afresh; values that were written but not saved are not part of it."""
        book = self._load().read()
        return replace(book, folder=self.path.absolute().parent) if self.has_place else book

    def appearance(self) -> Appearance:
        """How the workbook that was read looks."""
        return self._loaded().appearance()

    def write(self, values: Mapping[Cell, Value]) -> None:
        """Collect new values for cells; the file changes only when it is saved."""
        names = self._sheet_names(values)
        for cell, value in values.items():
            _check(cell, value)
        for cell, value in values.items():
            known = self._changes.setdefault(names[cell.sheet], {})
            known[cell[1:]] = with_value(known.get(cell[1:]), value)

    def mark_uncalculated(self, cells: Collection[Cell]) -> None:
        """Take away the saved values of formulas that are out of date, and have the workbook calculated when opened."""
        names = self._sheet_names(cells)
        for cell in cells:
            known = self._changes.setdefault(names[cell.sheet], {})
            known[cell[1:]] = without_result(known.get(cell[1:]))

    def edit(self, edits: Mapping[Cell, CellEdit]) -> None:
        """Collect what a person typed or cleared: numbers, texts, booleans and formulas take the place of anything.

        The format of a cell stays, and a cell that is new gets that of its row or column. What is written to the cell
        of a formula afterwards is its result. Raises FileError, with the cell, for what no cell can hold; `save` also
        for a part of an array formula, a cell that is hidden in a merged area, and the header of a table.
        """
        names = self._sheet_names(edits)
        for cell, item in edits.items():
            _check_edit(cell, item)
        for cell, item in edits.items():
            self._changes.setdefault(names[cell.sheet], {})[cell[1:]] = item

    def leave(self, cells: Collection[Cell]) -> None:
        """Forget what was collected for cells: they stay as they are in the file."""
        names = self._sheet_names(cells)
        for cell in cells:
            self._changes.get(names[cell.sheet], {}).pop(cell[1:], None)
            self._replaced.get(names[cell.sheet], set()).discard(cell[1:])

    def define_name(self, name: str, areas: Sequence[Range]) -> None:
        """Give a name of the sheet of the first area to areas, instead of what it meant before."""
        sheets = self._sheet_names([area.first for area in areas])
        spelled = tuple(area._replace(sheet=sheets[area.sheet]) for area in areas)
        self._names[spelled[0].sheet, name] = spelled

    def set_widths(self, sheet: str, widths: Mapping[int, int]) -> None:
        """Give columns of a sheet, by their numbers, widths in pixels, of which an inch has 96."""
        name = self._sheet_names([Cell(sheet, 1, 1)])[sheet]
        self._widths.setdefault(name, {}).update(widths)

    def remove_name(self, name: str, sheet: str) -> None:
        """Take a name of a sheet away, if there is one."""
        self._names[self._sheet_names([Cell(sheet, 1, 1)])[sheet], name] = ()

    def replace_formulas(self, cells: Collection[Cell]) -> None:
        """Let the values that are written to these cells take the place of their formulas when the file is saved."""
        names = self._sheet_names(cells)
        for cell in cells:
            self._replaced.setdefault(names[cell.sheet], set()).add(cell[1:])

    def write_log(self, records: Sequence[Record], title: str, notes: Sequence[str] = ()) -> None:
        """Add a sheet `SGD log` with a table of the records, charts and notes when the workbook is saved.

        It takes the place of the sheet that an earlier run left, never of anyone else's. Of more than 2,000
        records some are shown, spread evenly; without records no sheet is written. An .ods gets no charts.
        """
        others = {name: content for name, content in self._own.items() if name != LOG}
        self._own = {**others, LOG: TrainingLog(thin(records), title, tuple(notes))} if records else others

    def write_report(self, page: Page) -> None:
        """Add a sheet `SGD report` that shows the page when the workbook is saved. An .ods gets no charts.

        It takes the place of the sheet that an earlier run left, never of anyone else's.
        """
        self._own = {**self._own, REPORT: page}

    def put_sheet(self, sheet: ReportSheet) -> None:
        """Add a sheet that a live command made, such as `SGD gradients`, when the workbook is saved.

        It takes the place of the sheet of ours with that name, never of anyone else's. An .ods gets no chart.
        """
        others = {name: content for name, content in self._own.items() if name.casefold() != sheet.name.casefold()}
        self._own = {**others, sheet.name: sheet}

    def saved_bytes(self) -> bytes:
        """The bytes of the file that `save` would write: what was read, with all changes."""
        return self._loaded().saved(self._all_changes(), self._names, self._own, self._widths)

    def save(self, output: str | Path | None = None) -> None:
        """Save the workbook with the written values to `output`, or in place.

        The file is complete or untouched at any moment. Saving in place is refused if the file on disk is no
        longer the one that was read.
        """
        self._loaded()
        target = self._target(output)
        in_place = self.has_place and (output is None or _same_file(target, self.path))

        def look() -> None:
            if in_place and self._read_bytes() != self._data:
                raise FileError(
                    f"“{self.path.name}” was changed by another program since it was read",
                    remedy="Run again, or save to another file",
                )

        look()
        if in_place and not (self._changes or self._names or self._own or self._widths):
            return
        data = self.saved_bytes()
        with _file_errors(target, "written", _ELSEWHERE):
            write_atomically(target, data, look)  # again, when the new file is on the disk already
        if in_place:
            self._data, self._file = data, _opened(self.path.name, data)
            self._forget_changes()

    def check_output(self, output: str | Path | None = None) -> None:
        """Raise FileError now if `save(output)` could not write there."""
        self._target(output)

    def close(self) -> None:
        """Forget the file and all values that were not saved."""
        self._file, self._data = None, b""
        self._forget_changes()

    def _forget_changes(self) -> None:
        self._changes, self._replaced, self._names, self._own, self._widths = {}, {}, {}, {}, {}

    def _all_changes(self) -> Changes:
        """The changes of cells, with the values that take the place of formulas."""
        found = {name: dict(changes) for name, changes in self._changes.items()}
        for name, places in self._replaced.items():
            changes = found.get(name, {})
            changes.update({place: gives_way(changes[place]) for place in places if place in changes})
        return found

    def _target(self, output: str | Path | None) -> Path:
        is_named = self.has_place or self.path.suffix
        kept = output_name(self.path) if is_named else self.path.with_suffix(self._loaded().ending)
        wanted = Path(output) if output is not None else self.path
        if wanted.suffix.lower() in _CONVERTED and kept != self.path:
            raise FileError(
                f"a workbook can be read from {self.path.suffix.lower()} files, but not written to them",
                remedy=f"Write to an .xlsx, such as {kept.with_stem(kept.stem + '-trained').name}",
            )
        if output is None and not self.has_place:
            raise FileError(f"“{self.path.name}” has no place on disk", remedy="Say where to save it")
        return _target(wanted, kept)

    def _sheet_names(self, cells: Iterable[Cell]) -> dict[str, str]:
        """The worksheets of cells as they are spelled. Raises FileError if there is none of a name."""
        known = self._loaded().sheets()
        folded = {name.casefold(): name for name in known}
        found: dict[str, str] = {}
        for cell in cells:
            if cell.sheet not in found:
                name = cell.sheet if cell.sheet in known else folded.get(cell.sheet.casefold(), cell.sheet)
                if not known.get(name):
                    raise FileError(f"“{self.path.name}” has no worksheet {cell.sheet!r}", cell=cell)
                found[cell.sheet] = name
        return found

    def _load(self) -> BookFile:
        self._data = self._read_bytes()
        self._file = _opened(self.path.name, self._data)
        return self._file

    def _loaded(self) -> BookFile:
        return self._file or self._load()

    def _read_bytes(self) -> bytes:
        source = self._source
        if isinstance(source, bytes):
            return source
        if not isinstance(source, str | Path):
            return self._data or _bytes_of(source)
        with _file_errors(self.path, "read", "Check the file name"):
            status = self.path.stat()
            if stat.S_ISDIR(status.st_mode):
                raise FileError(f"“{self.path}” is a folder", remedy="Give the name of an .xlsx file")
            if not stat.S_ISREG(status.st_mode):  # a pipe would make us wait
                raise FileError(f"“{self.path}” is not a file", remedy="Give the name of an .xlsx file")
            if status.st_size > MAX_FILE:
                raise FileError(f"“{self.path}” is larger than 4 GiB", remedy="Split the workbook")
            return self.path.read_bytes()


def load(source: Source | Any) -> Workbook:
    """Read a workbook: its values, formulas, names and tables.

    `source` is the path of a file, the bytes of one, a file object opened for reading bytes, an openpyxl `Workbook`, or
    an xlwings `Book` that is open in Excel. See `FileHost` for the kinds of files. Raises FileError.
    """
    if type(source).__module__.partition(".")[0] == "xlwings":
        return read_open_book("excel", source)
    return FileHost(source).read()


def output_name(path: Path) -> Path:
    """The name under which a workbook is saved: with the ending .xlsx if its own format can only be read."""
    return path.with_suffix(".xlsx") if path.suffix.lower() in _CONVERTED else path


def _opened(name: str, data: bytes) -> BookFile:
    """The file in its format, which its contents tell; only a text table is known by its name."""
    if name.lower().endswith(TEXT_ENDINGS) and data and not data.startswith(b"PK\3\4"):
        return XlsxFile(Package(name, as_xlsx(name, data)))
    if is_old_format(data):
        return XlsxFile(Package(name, converted(name, data, ".xls")))
    if is_flat_document(data):
        return FodsFile(name, data)
    package = Package(name, data)
    if package.is_binary:
        return XlsxFile(Package(name, converted(name, data, ".xlsb")))
    if package.is_open_document:
        return OdsFile(package)
    package.refuse_others()
    return XlsxFile(package)


def _name_of(source: bytes | IO[bytes] | SavesItself) -> str:
    """What a workbook without a path is called in messages."""
    name = getattr(source, "name", None)
    return Path(name).name if isinstance(name, str) and name else "workbook"


def _bytes_of(source: IO[bytes] | SavesItself) -> bytes:
    if hasattr(source, "read"):
        data = source.read(MAX_FILE + 1)
        if not isinstance(data, bytes):
            raise TypeError("the file object gives text: open it for reading bytes, with mode 'rb'")
        return data
    if not isinstance(source, SavesItself):
        kinds = "a path, bytes, a file object, an openpyxl Workbook or an xlwings Book"
        raise TypeError(f"a workbook is given as {kinds}, not as {type(source).__name__}")
    file = BytesIO()
    source.save(file)
    return file.getvalue()


def _check(cell: Cell, value: Value) -> None:
    if (cause := impossible(cell, value)) is not None:
        raise ValueError(f"{cell}: {cause}")


def _check_edit(cell: Cell, edit: CellEdit) -> None:
    value = None if isinstance(edit, Cleared) else edit.value
    if (cause := impossible(cell, 0.0 if value is None else value)) is not None:
        raise FileError(cause, cell=cell, remedy="Type something else")


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
