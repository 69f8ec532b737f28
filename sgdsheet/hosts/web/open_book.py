"""A workbook that is open in this process: its cells, what can be done to them, and what follows from that.

The workbook is held in memory over its file. What is typed, and what training writes, is followed by a recalculation
with the compiler's own evaluator. Opening needs no torch: it is loaded with `prepare`, or when something is calculated.
"""

from __future__ import annotations

import importlib
import logging
import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from math import isfinite
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sgdsheet.errors import CircularReference, FormulaError, HostError, SgdSheetError
from sgdsheet.hosts import refusals
from sgdsheet.hosts.base import ReportSheet
from sgdsheet.hosts.cell_edit import impossible
from sgdsheet.hosts.file import FileHost
from sgdsheet.hosts.web import open_books
from sgdsheet.hosts.web.book_events import BookEvents, Event
from sgdsheet.hosts.web.cell_store import CellStore
from sgdsheet.hosts.web.edit_history import Change, Content, EditHistory
from sgdsheet.hosts.web.typed_text import number_format, typed
from sgdsheet.hosts.web.unsaved import Unsaved
from sgdsheet.hosts.xlsx.file_formula import in_file
from sgdsheet.sheet.appearance import Appearance
from sgdsheet.sheet.references import (
    MAX_COLUMN,
    MAX_ROW,
    Cell,
    Range,
    areas_of_cells,
    without,
)
from sgdsheet.sheet.workbook import DefinedName, Formula, Position, Sheet, Value, Workbook
from sgdsheet.system.recovery import digest_of

if TYPE_CHECKING:
    from sgdsheet.compiler.recalculator import Recalculated, Recalculator

log = logging.getLogger("sgdsheet.web")

_RECALCULATOR = "sgdsheet.compiler.recalculator"


@dataclass(frozen=True, slots=True)
class Edit:
    """What a person's change was: its label, and the cells that it was made in."""

    label: str
    cells: tuple[Cell, ...]


class OpenBook:
    """An open workbook. All methods may be called from any thread; those that change it hold `turn`.

    `undo_command` takes back what a command of training has written last; whoever has the trainer sets it.
    `selected` are the cells that the person has selected.
    """

    def __init__(self, file: FileHost, key: str, path: Path | None = None) -> None:
        self.key, self.path, self.name = key, path, file.path.name
        self.turn = threading.RLock()
        self._filing = threading.Lock()
        self.events = BookEvents()
        self.selected: tuple[Range, ...] = ()
        self.status = ""
        self.report_sheets: dict[str, ReportSheet] = {}
        self.number_formats: dict[Cell, str] = {}
        """The formats that typed dates, percentages and amounts bring along, for cells that have no format."""
        self.undo_command: Callable[[], None] | None = None
        self.closed = False
        self.dirty = False
        self.workbook: Workbook = file.read()
        """Names, formulas, and what else the workbook holds. Values are asked for with `values_in`."""
        self._file = file
        self._store = CellStore(self.workbook)
        self._history = EditHistory()
        self._recalculator: Recalculator | None = None
        self._uncalculated: list[tuple[Range, str]] = []
        self._accepted: dict[tuple[Cell, ...], tuple[Range, ...]] = {}
        """Cells that may be written to, as they were written before, and as areas."""
        self._known_arrays: dict[str, frozenset[tuple[int, int, int, int]]] = {}
        self._unsaved = Unsaved()
        self.base = digest_of(file.data)
        """What tells the bytes of the file that was read, or saved in place, from others."""

    @classmethod
    def open(cls, path: Path) -> OpenBook:
        """Open a workbook file; one that is open already is that one. Raises FileError."""
        key = str(path.resolve())
        known = open_books.find(key)
        if isinstance(known, OpenBook):
            return known
        book = cls(FileHost(path), key, path)
        open_books.register(book)
        return book

    @classmethod
    def from_bytes(cls, name: str, data: bytes) -> OpenBook:
        """Open the bytes of a workbook file that has no place on this machine. Raises FileError."""
        file = FileHost(data)
        file.path = Path(name)
        book = cls(file, f"{name} {id(file):x}")
        open_books.register(book)
        return book

    def close(self) -> None:
        """Close the workbook: it is not found any more, and nothing can be done to it."""
        with self.turn:
            self.closed = True
            open_books.unregister(self)
        self.events.tell(Event("closed"))

    # --- what it holds ------------------------------------------------------------------------------------

    @property
    def version(self) -> int:
        """How many times cells have changed."""
        return self.events.version

    def changed_since(self, version: int) -> set[tuple[str, Range]] | None:
        """The sheets and areas that have changed since a version; None if it may be anything."""
        return self.events.changed_since(version)

    def subscribe(self, callback: Callable[[Event], None]) -> Callable[[], None]:
        """Have a function called with each event, in whichever thread it happens. Returns what ends that."""
        return self.events.subscribe(callback)

    def values_in(self, area: Range) -> dict[Position, Value]:
        """The values that cells show; empty ones are left out. Never waits for a calculation."""
        return self._store.values_in(area)

    def appearance(self) -> Appearance:
        """How the workbook looks in its file."""
        return self._file.appearance()

    def value_of(self, cell: Cell) -> Value | None:
        """The value that a cell shows; None if it is empty."""
        return self._store.value_of(cell)

    def calculated_in(self, area: Range) -> dict[Position, Value]:
        """The values of cells as `values_in` has them, but for those that are out of date; waits for a calculation."""
        with self.turn:
            self._calculator()
            return self._store.values_in(area, outdated=False)

    @property
    def uncalculated(self) -> dict[Cell, str]:
        """The cells that show their last value because they cannot be calculated, each with the reason."""
        return {cell: reason for area, reason in list(self._uncalculated) for cell in area.cells()}

    def uncalculated_in(self, area: Range) -> dict[Position, str]:
        """The cells of an area that show their last value because they cannot be calculated, each with the reason."""
        parts = [(own.intersection(area), reason) for own, reason in list(self._uncalculated)]
        return {place: reason for part, reason in parts if part is not None for place in part.positions()}

    def snapshot(self) -> Workbook:
        """The workbook as it is now. Cells whose value is out of date, and cannot be calculated, have none."""
        with self.turn:
            self._calculator()
            self._store.settle()
            sheets = {
                name: replace(sheet, values=dict(sheet.values), formulas=dict(sheet.formulas), merged=[*sheet.merged])
                for name, sheet in self.workbook.sheets.items()
            }
            return replace(self.workbook, sheets=sheets, names=[*self.workbook.names])

    def prepare(self) -> threading.Thread:
        """Load what calculates, in the background: values that are missing or out of date are calculated then."""
        thread = threading.Thread(target=self._prepare, name=f"prepare {self.name}", daemon=True)
        thread.start()
        return thread

    # --- changes by a person ------------------------------------------------------------------------------

    def edit(self, entries: Sequence[tuple[Cell, str]], label: str = "typing") -> Edit:
        """Take texts as they are typed in a spreadsheet. Raises SgdSheetError before anything is changed."""
        changes: dict[Cell, Content] = {}
        for cell, text in entries:
            try:
                changes[cell] = typed(text, cell.row, cell.column, date1904=self.workbook.date1904)
            except FormulaError as error:
                raise FormulaError(error.cause, cell=cell, remedy=error.remedy) from None
        formats = {cell: number_format(text) for cell, text in entries if type(changes[cell]) is float}
        with self.turn:
            found = self.change(changes, label, typed_in=True)
            self.number_formats.update((cell, kept) for cell, kept in formats.items() if kept is not None)
        return found

    def change(self, changes: Mapping[Cell, Content], label: str, *, typed_in: bool = False) -> Edit:
        """Let cells hold other values or formulas; None empties one. Raises SgdSheetError, and changes nothing then.

        Formulas that are `typed_in` have to mean the same in Excel, where they are array formulas if they can be.
        """
        with self.turn:
            for cell, content in changes.items():
                self._refuse(cell, replace=True)
                self._refuse_unsaveable(cell, content, typed_in=typed_in)
            self._store.settle()
            before = {cell: self.content(cell) for cell in changes}
            new = {cell: content for cell, content in changes.items() if not _same(before[cell], content)}
            if new:
                self._apply(new, typed_in=typed_in)
                self._history.add(Change(label, {cell: before[cell] for cell in new}, new))
                self.events.tell(Event("history"))
        return Edit(label, tuple(changes))

    def content(self, cell: Cell) -> Content:
        """The formula or the value that a cell holds; None if it is empty."""
        sheet = self.sheet(cell.sheet)
        formula = sheet.formulas.get(cell[1:])
        return formula if formula is not None else self._store.value_of(cell)

    @property
    def can_undo(self) -> bool:
        return bool(self._history.done)

    @property
    def can_redo(self) -> bool:
        return bool(self._history.undone)

    def undo(self) -> str:
        """Take back the newest change, and return its label. Raises HostError if there is none."""
        with self.turn:
            if not self._history.done:
                raise HostError("there is nothing to undo")
            change = self._history.done[-1]
            if not (change.command and self.undo_command is not None):
                held = {cell: self.content(cell) for cell in change.before}
                self._apply(change.before)
                self._history.took_back(held)
                self.events.tell(Event("history"))
                return change.label
        self.undo_command()  # not in turn: the trainer writes in a thread of its own
        return change.label

    def redo(self) -> str:
        """Make the change again that was taken back last, and return its label. Raises HostError if there is none."""
        with self.turn:
            if not self._history.undone:
                raise HostError("there is nothing to make again")
            change = self._history.undone[-1]
            self._apply(change.after)
            self._history.undone.pop()
            self._history.done.append(replace(change, command=False))
            self.events.tell(Event("history"))
            return change.label

    # --- changes by commands ------------------------------------------------------------------------------

    def write(self, values: Mapping[Cell, Value], *, going_on: bool = False) -> dict[Cell, Value]:
        """Write values to cells that hold no formulas, as a command does; the empty text empties a cell.

        With `going_on` more will be written, and all of it is one change. Returns what stood in the cells; empty ones
        are left out. Raises HostError before anything is changed.
        """
        with self.turn:
            if not values:
                return {}
            cells = tuple(values)
            if (areas := self._accepted.get(cells)) is None:
                for cell in cells:
                    self._refuse(cell)
                areas = self._accepted[cells] = areas_of_cells(cells)
            if not all(type(value) is float and isfinite(value) for value in values.values()):
                refusals.refuse_unusable(values.items())
            before = {cell: self.workbook.sheets[cell.sheet].values.get(cell[1:]) for cell in cells}
            if not self._history.knows(cells):
                self._unsaved.held(before)
            held = {cell: value for cell, value in before.items() if value is not None}
            if self._history.knows(cells):
                self._write(values, areas, going_on=going_on)
                return held
            taking_back = self._history.is_taking_back(values)
            self._write(values, areas, going_on=going_on)
            if taking_back:
                self._history.took_back(before)
            else:
                self._history.wrote(before, going_on=going_on)
        self.events.tell(Event("history"))
        return held

    def replace_formulas(self, values: Mapping[Cell, Value]) -> None:
        """Write as `write` does, also to cells with formulas. Raises HostError before anything is changed."""
        with self.turn:
            refusals.refuse_unusable(values.items())
            self.change({cell: None if value == "" else value for cell, value in values.items()}, "values for formulas")

    def define_name(self, name: str, areas: Sequence[Range]) -> None:
        """Give a name, on the sheet of the first area, to areas, instead of what it meant before."""
        with self.turn:
            sheet, folded = self.sheet(areas[0].sheet).name, name.casefold()
            text = ",".join(area.absolute for area in areas)
            kept = [item for item in self.workbook.names if (item.name.casefold(), item.sheet) != (folded, sheet)]
            self.workbook.names = [*kept, DefinedName(name, text, sheet)]
            self._unsaved.names[sheet, folded] = (name, tuple(areas))
            self.dirty = True
            self._mentioned(name)
        self.events.tell(Event("names"))

    def put_sheet(self, report: ReportSheet) -> None:
        """Make a sheet of ours behind all others, or make it anew. Raises HostError if another sheet bears its name."""
        with self.turn:
            self.refuse_closed()
            taken = self.workbook.sheet(report.name)
            if taken is not None and not self._is_ours(taken.name):
                raise refusals.report_sheet_taken(report.name)
            self._calculator()
            self._store.settle()
            if taken is not None:
                del self.workbook.sheets[taken.name]
            self.workbook.sheets[report.name] = Sheet(report.name)
            self.report_sheets[report.name] = replace(report, rows=[])
            self.append(report.name, 1, report.rows)
            self._mentioned(report.name)
        self.events.tell(Event("sheets"))

    def append(self, name: str, first_row: int, rows: Sequence[Sequence[Value | None]]) -> None:
        """Put more rows into a sheet of ours."""
        with self.turn:
            sheet = self.sheet(name)
            if name not in self.report_sheets:
                raise refusals.report_sheet_taken(name)
            for row, line in enumerate(rows, first_row):
                sheet.values.update({(row, column): value for column, value in enumerate(line, 1) if value is not None})
            own = self.report_sheets[name]
            self.report_sheets[name] = replace(own, rows=[*own.rows[: first_row - 1], *rows])
            self._unsaved.reports.add(name)
            self.dirty = True
        width = max(map(len, rows), default=0)
        if width:
            self.events.cells_changed([Range(name, first_row, 1, first_row + len(rows) - 1, width)])

    @property
    def is_trained(self) -> bool:
        """Whether a command goes on writing, as training does."""
        return self._history.goes_on

    def command_ended(self) -> None:
        """Note that no command goes on writing."""
        with self.turn:
            self._history.ended()

    # --- the file -----------------------------------------------------------------------------------------

    def save(self, path: Path | None = None) -> Path:
        """Save the workbook, to `path` or in place, and return where. Raises FileError."""
        with self._filing:
            with self.turn:
                version = self._tell_file()
                before, self._unsaved.original = self._unsaved.original, {}
            base = self.base
            try:
                self._file.save(path)
                base = digest_of(self._file.data)
                self.dirty = version != self.version
            finally:
                with self.turn:
                    if base == self.base:  # it was not saved in place
                        self._unsaved.original.update(before)
                    self.base = base
        self.events.tell(Event("saved"))
        target = path or self.path
        assert target is not None
        return target

    def data(self) -> bytes:
        """The bytes of the file that saving would write now. Raises FileError."""
        with self._filing:
            self._tell_file()
            return self._file.saved_bytes()

    def changed_on_disk(self) -> bool:
        """Whether the file on disk is no longer the one that was read or saved, or is gone."""
        try:
            return self.path is not None and digest_of(self.path.read_bytes()) != self.base
        except OSError:
            return True

    def _tell_file(self) -> int:
        """Tell the file of all changes until now; returns the version that it knows.

        Writing a large file takes seconds, in which others may go on: `turn` is held for this only, and `_filing`,
        which is taken before it, keeps others from the file.
        """
        with self.turn:
            self._store.settle()
            self._unsaved.tell(self._file, self.workbook, self.number_formats, self.report_sheets)
            return self.version

    # --- helpers ------------------------------------------------------------------------------------------

    def sheet(self, name: str) -> Sheet:
        """A sheet. Raises BookClosedError if it, or the workbook, is gone."""
        self.refuse_closed()
        sheet = self.workbook.sheet(name)
        if sheet is None:
            raise refusals.no_sheet(name)
        return sheet

    def refuse_closed(self) -> None:
        """Raise BookClosedError if the workbook is closed."""
        if self.closed:
            raise refusals.book_closed(self.name)

    def _refuse(self, cell: Cell, *, replace: bool = False) -> None:
        """Raise HostError for a cell that must not be written to."""
        sheet = self.sheet(cell.sheet)
        if not (1 <= cell.row <= MAX_ROW and 1 <= cell.column <= MAX_COLUMN):
            raise HostError("the cell lies outside the grid", cell=cell)
        if sheet.name in self.report_sheets:
            raise HostError("the sheet is made anew by sgdsheet", cell=cell, remedy="Type into a sheet of your own")
        if sheet.protected:
            raise refusals.protected_sheet(cell)
        formula = sheet.formulas.get(cell[1:])
        if formula is not None and formula.array is None and not replace:
            raise refusals.formula_cell(cell)
        for area in self._arrays(sheet):
            if area[0] <= cell.row <= area[2] and area[1] <= cell.column <= area[3]:
                raise refusals.array_cell(cell)
        own = Range.of_cell(cell)
        if any(area.contains(own) and area.first != cell for area in sheet.merged):
            raise refusals.merged_cell(cell)

    def _refuse_unsaveable(self, cell: Cell, content: Content, *, typed_in: bool) -> None:
        """Raise HostError or FileError for what a file cannot hold, or must not."""
        own = Range.of_cell(cell)
        for table in (table for table in self.workbook.tables.values() if table.area.contains(own)):
            if not table.body.contains(own):
                raise HostError(
                    f"the cell is in the header or the totals of the table {table.name}, which formulas refer to",
                    cell=cell,
                    remedy="Change it in Excel",
                )
        if isinstance(content, Formula):
            if typed_in:
                tables = (table.name for table in self.workbook.tables.values() if table.area.contains(own))
                in_file(content.text, cell, next(tables, None), self.workbook)
        elif content is not None and (why := impossible(cell, content)) is not None:
            raise HostError(why, cell=cell, remedy="Type something else")

    def _is_ours(self, name: str) -> bool:
        """Whether a sheet was made by sgdsheet, now or in an earlier session."""
        marked = (item for item in self.workbook.names if item.name.casefold() == refusals.MARK)
        return name in self.report_sheets or any(item.sheet == name for item in marked)

    def _arrays(self, sheet: Sheet) -> frozenset[tuple[int, int, int, int]]:
        """The areas of array formulas, which nobody can change."""
        if sheet.name not in self._known_arrays:
            found = frozenset(item.array for item in sheet.formulas.values() if item.array is not None)
            self._known_arrays[sheet.name] = found
        return self._known_arrays[sheet.name]

    def _calculator(self) -> Recalculator:
        """What calculates; with the first call, what has no value yet is calculated."""
        self.refuse_closed()
        if self._recalculator is None:
            module: Any = importlib.import_module(_RECALCULATOR)
            found: Recalculator = module.Recalculator(self.workbook)
            self._recalculator = found
            stale, self.workbook.stale = self.workbook.stale, False
            if stale:
                self._clear(_placeholders(self.workbook))
            missing = found.missing(everything=stale)
            self._take(missing)
            self._unsaved.calculated.update(missing.areas)
        return self._recalculator

    def _prepare(self) -> None:
        try:
            with self.turn:
                self._calculator()
                workbook, version = self.snapshot(), self.version
            module: Any = importlib.import_module(_RECALCULATOR)
            unknown = module.Recalculator(workbook).uncalculable()  # not in turn: edits do not wait for it
            with self.turn:
                changed = self.changed_since(version)
                if changed is None:
                    return
                known = [*(area for area, _ in self._uncalculated), *(area for _, area in changed)]
                found = [(part, why) for area, why in unknown for part in without([area], known)]
                self._uncalculated += found
            if found:
                self.events.tell(Event("uncalculated", tuple(area for area, _ in found)))
        except SgdSheetError as error:
            if not self.closed:
                self.events.tell(Event("message", text=str(error)))
        except Exception:
            log.exception("preparing")
            self.events.tell(Event("message", text="The workbook cannot be calculated. Please tell us"))

    def _write(self, values: Mapping[Cell, Value], areas: Sequence[Range], *, going_on: bool) -> None:
        """Write to cells without formulas, and recalculate: quickly, if the same cells were written before."""
        calculator = self._calculator()
        are_numbers = all(type(value) is float for value in values.values())
        if are_numbers and (found := calculator.repeated(values)) is not None:  # type: ignore[arg-type]
            self._store.set(values)
            self._store.put(found)
            self._unsaved.edited.update(areas)
            self._told(areas, [result.area for result in found])
            return
        self._store.settle()
        old = {cell: self.workbook.sheets[cell.sheet].values.get(cell[1:]) for cell in values}
        self._store.set({cell: None if value == "" else value for cell, value in values.items()})
        try:
            result = calculator.changed(values.keys(), self._clear)
        except BaseException:
            self._store.set(old)
            calculator.forget()
            raise
        self._take(result)
        if are_numbers and (again := calculator.worth_recording(values.keys(), surely=going_on)):
            self._store.settle()
            if all(type(self.workbook.sheets[cell.sheet].values.get(cell[1:])) is float for cell in again):
                calculator.record(again)
        self._unsaved.edited.update(areas)
        self._told(areas, result.areas)

    def _apply(self, changes: Mapping[Cell, Content], *, typed_in: bool = False) -> None:
        """Let cells hold other contents, and recalculate. Raises SgdSheetError and changes nothing if that fails."""
        calculator = self._calculator()
        self._store.settle()
        old = {cell: self.content(cell) for cell in changes}
        self._unsaved.held(old)
        formulas = any(isinstance(item, Formula) for contents in (old, changes) for item in contents.values())
        self._hold(changes)
        try:
            if formulas:
                self._accepted.clear()
                found = calculator.formulas_changed(changes.keys(), self._clear)
                self._refuse_circle(changes, found)
            else:
                found = calculator.changed(changes.keys(), self._clear)
            self._take(found)
            if typed_in and formulas:
                self._store.settle()
                calculator.refuse_arrays((cell for cell, item in changes.items() if isinstance(item, Formula)), found)
        except BaseException:
            self._hold(old)
            self._take(calculator.formulas_changed(changes.keys(), self._clear))
            raise
        areas = areas_of_cells(changes)
        self._unsaved.edited.update(areas)
        self._told(areas, found.areas)

    def _hold(self, contents: Mapping[Cell, Content]) -> None:
        values: dict[Cell, Value | None] = {}
        for cell, content in contents.items():
            formulas = self.workbook.sheets[cell.sheet].formulas
            if isinstance(content, Formula):
                formulas[cell[1:]] = content
                values[cell] = None
            else:
                formulas.pop(cell[1:], None)
                values[cell] = content
        self._store.set(values)

    def _refuse_circle(self, changes: Mapping[Cell, Content], found: Recalculated) -> None:
        """Raise CircularReference if one of these formulas is part of a circle."""
        typed_in = [Range.of_cell(cell) for cell, content in changes.items() if isinstance(content, Formula)]
        for area, error in found.affected:
            if isinstance(error, CircularReference) and any(area.intersection(cell) for cell in typed_in):
                raise error

    def _clear(self, areas: Sequence[Range]) -> None:
        self._store.mark_outdated(areas)

    def _take(self, found: Recalculated) -> None:
        """Take the results of a recalculation."""
        self._store.put(found.results)
        self._store.mark_outdated(area for area, _ in found.affected)
        if self._uncalculated or found.affected or found.kept:
            changed = found.areas
            kept = [(part, why) for area, why in self._uncalculated for part in without([area], changed)]
            affected = [(area, _reason(error)) for area, error in found.affected]
            fresh = [(part, why) for area, why in found.kept for part in without([area], [old for old, _ in kept])]
            self._uncalculated = [*kept, *affected, *fresh]

    def _told(self, written: Iterable[Range], calculated: Iterable[Range]) -> None:
        self.dirty = True
        areas = [*written, *calculated]
        self._unsaved.calculated.update(areas)
        self.events.cells_changed(areas)

    def _mentioned(self, word: str) -> None:
        """Recalculate the formulas that mention a name or a sheet, whose meaning has changed."""
        calculator, folded = self._calculator(), word.casefold()
        cells = [
            Cell(name, *place)
            for name, sheet in self.workbook.sheets.items()
            for place, formula in sheet.formulas.items()
            if folded in formula.text.casefold()
        ]
        self._store.settle()
        calculator.forget()
        if cells:
            self._clear([Range.of_cell(cell) for cell in cells])
            found = calculator.formulas_changed(cells, self._clear)
            self._take(found)
            self._told((), found.areas)


def _placeholders(workbook: Workbook) -> list[Range]:
    """The formula cells of a workbook that asks to be calculated which hold what stands for no value."""
    return [
        Range(sheet.name, *place, *place)
        for sheet in workbook.sheets.values()
        for place in sheet.formulas
        if (value := sheet.values.get(place)) in (0.0, "") and not isinstance(value, bool)
    ]


def _same(one: Content, other: Content) -> bool:
    return type(one) is type(other) and one == other


def _reason(error: SgdSheetError) -> str:
    return f"{error.cell}: {error.cause}" if error.cell is not None else error.cause
