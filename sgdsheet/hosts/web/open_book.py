"""A workbook that is open in this process: its cells, what can be done to them, and what follows from that.

The workbook is held in memory over its file. What is typed, and what training writes, is followed by a recalculation
with the compiler's own evaluator. Opening needs no torch: it is loaded with `prepare`, or when something is calculated.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from math import isfinite
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from sgdsheet.errors import FormulaError, HostError, SgdSheetError
from sgdsheet.hosts import refusals
from sgdsheet.hosts.base import ReportSheet
from sgdsheet.hosts.file import FileHost
from sgdsheet.hosts.web import open_books
from sgdsheet.hosts.web.book_events import BookEvents, Event
from sgdsheet.hosts.web.book_filing import BookFiling
from sgdsheet.hosts.web.calculation import Calculation
from sgdsheet.hosts.web.cell_store import CellStore, StoredValues
from sgdsheet.hosts.web.changeable_cells import ChangeableCells
from sgdsheet.hosts.web.edit_history import Change, Content, EditHistory, Widths
from sgdsheet.hosts.web.typed_text import number_format, typed
from sgdsheet.hosts.web.unsaved import Unsaved
from sgdsheet.sheet.appearance import Appearance, LooseFormula
from sgdsheet.sheet.held_numbers import HeldNumbers, held_numbers
from sgdsheet.sheet.references import Cell, Range, areas_of_cells
from sgdsheet.sheet.workbook import DefinedName, Position, Sheet, Value, Workbook

_NARROWEST, _WIDEST = 1, 1_790
"""Pixels of a column; Excel has 255 characters at most."""
_SHORT = 0.05
"""Seconds that a page waits for its turn, where it can do without."""

log = logging.getLogger("sgdsheet.web")


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
        self.events = BookEvents()
        self.selected: tuple[Range, ...] = ()
        self.status = ""
        self.report_sheets: dict[str, ReportSheet] = {}
        self.number_formats: dict[Cell, str] = {}
        """The formats that typed dates, percentages and amounts bring along, for cells that have no format."""
        self.undo_command: Callable[[], None] | None = None
        self._undoing = False
        self.closed = False
        self.edits = 0
        """How often something else than `write` and `write_numbers` has changed cells or names."""
        self.workbook: Workbook = file.read()
        """Names, formulas, and what else the workbook holds. Values are asked for with `values_in`."""
        self._file = file
        self._appearance: Appearance | None = None
        self._store = CellStore(self.workbook)
        self._history = EditHistory()
        self._unsaved = Unsaved()
        self._calculation = Calculation(self.workbook, self._store, self._unsaved, self.events)
        self._cells = ChangeableCells(self.workbook, self.report_sheets.keys())
        self._filing = BookFiling(file, self._unsaved, self.events, self.turn, self._tell_file)
        self._accepted: dict[tuple[Cell, ...], tuple[Range, ...]] = {}
        """Cells that may be written to, as they were written before, and as areas."""
        self._cells_of: dict[tuple[Range, ...], tuple[Cell, ...]] = {}
        """The cells of areas whose numbers are written as arrays: the same objects each time, which compare fast."""

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
    def from_bytes(cls, name: str, data: bytes, key: str | None = None) -> OpenBook:
        """Open the bytes of a workbook file that has no place on this machine. Raises FileError.

        With a `key`, what was not saved of it is found again the next time.
        """
        file = FileHost(data)
        file.path = Path(name)
        book = cls(file, key or f"{name} {id(file):x}")
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

    @property
    def dirty(self) -> bool:
        """Whether anything has changed since the workbook was opened, or saved last."""
        return self._unsaved.dirty

    @property
    def base(self) -> str:
        """What tells the bytes of the file that was read, or saved in place, from others."""
        return self._filing.base

    def changed_since(self, version: int) -> set[tuple[str, Range]] | None:
        """The sheets and areas that have changed since a version; None if it may be anything."""
        return self.events.changed_since(version)

    def subscribe(self, callback: Callable[[Event], None]) -> Callable[[], None]:
        """Have a function called with each event, in whichever thread it happens. Returns what ends that."""
        return self.events.subscribe(callback)

    def values_in(self, area: Range) -> dict[Position, Value]:
        """The values that cells show; empty ones are left out. Never waits for a calculation."""
        return self._store.values_in(area)

    def values_at_once(self) -> StoredValues:
        """The values that cells show now, all of one moment. Never waits for a calculation."""
        return self._store.at_once()

    def numbers_in(self, areas: Sequence[Range]) -> HeldNumbers:
        """What the cells of areas hold, as arrays; waits for a calculation as `calculated_in` does."""
        with self.turn:
            self._ready()
            return self._store.numbers_in(areas)

    def appearance(self) -> Appearance:
        """How the workbook looks: as in its file, but for columns that got another width since."""
        if self._appearance is None:
            self._appearance = self._file.appearance()
        return self._appearance

    def value_of(self, cell: Cell) -> Value | None:
        """The value that a cell shows; None if it is empty."""
        return self._store.value_of(cell)

    def calculated_in(self, area: Range) -> dict[Position, Value]:
        """The values of cells as `values_in` has them, but for those that are out of date; waits for a calculation."""
        with self.turn:
            self._ready()
            return self._store.values_in(area, outdated=False)

    def loose_values(self, sheet: str, formulas: Sequence[LooseFormula]) -> list[dict[Position, Value]] | None:
        """What formulas that stand in no cell come to; None while nothing is calculated yet, or others calculate."""
        if not self._calculation.is_ready or not self.turn.acquire(timeout=_SHORT):
            return None
        try:
            return self._calculation.loose_values(self.sheet(sheet).name, formulas)
        finally:
            self.turn.release()

    @property
    def uncalculated(self) -> dict[Cell, str]:
        """The cells that show their last value because they cannot be calculated, each with the reason."""
        return {cell: reason for area, reason in self._calculation.uncalculated for cell in area.cells()}

    def uncalculated_in(self, area: Range) -> dict[Position, str]:
        """The cells of an area that show their last value because they cannot be calculated, each with the reason."""
        parts = [(own.intersection(area), reason) for own, reason in self._calculation.uncalculated]
        return {place: reason for part, reason in parts if part is not None for place in part.positions()}

    def snapshot(self) -> Workbook:
        """The workbook as it is now. Cells whose value is out of date, and cannot be calculated, have none."""
        with self.turn:
            self.refuse_closed()
            return self._calculation.snapshot()

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
                self._cells.refuse(self.sheet(cell.sheet), cell, replace=True)
                self._cells.refuse_unsaveable(cell, content, typed_in=typed_in)
            self._store.settle()
            before = {cell: self.content(cell) for cell in changes}
            new = {cell: content for cell, content in changes.items() if not _same(before[cell], content)}
            if new:
                self._apply(new, typed_in=typed_in)
                self._history.add(Change(label, {cell: before[cell] for cell in new}, new))
                self.events.tell(Event("history"))
        return Edit(label, tuple(changes))

    def set_widths(self, sheet: str, columns: Iterable[int], pixels: int) -> None:
        """Give columns of a sheet a width in pixels. Raises HostError for a sheet that must not be changed."""
        if not _NARROWEST <= pixels <= _WIDEST:
            raise HostError(f"a column is {_NARROWEST} to {_WIDEST} pixels wide", remedy="Choose a width between them")
        with self.turn:
            own = self.sheet(sheet)
            self._cells.refuse_sheet(own)
            look = self.appearance().sheet(own.name)
            before = {column: look.widths.get(column, look.default_width) for column in columns}
            widths = Widths(own.name, before, dict.fromkeys(before, pixels))
            if widths.after != widths.before:
                self._show_widths(widths.sheet, widths.after)
                self._history.add(Change("column width", {}, {}, widths=widths))
                self.events.tell(Event("history"))

    def content(self, cell: Cell) -> Content:
        """The formula or the value that a cell holds; None if it is empty."""
        return self._store.content(cell._replace(sheet=self.sheet(cell.sheet).name))

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
            if change.widths is not None:
                self._show_widths(change.widths.sheet, change.widths.before)
                self._history.took_back({})
                self.events.tell(Event("history"))
                return change.label
            if not (change.command and self.undo_command is not None):
                held = {cell: self.content(cell) for cell in change.before}
                self._apply(change.before)
                self._history.took_back(held)
                self.events.tell(Event("history"))
                return change.label
        with self.command_undone():
            self.undo_command()  # not in turn: the trainer writes in a thread of its own
        return change.label

    @contextmanager
    def command_undone(self) -> Iterator[None]:
        """What is written meanwhile takes back what a command has written last, a run with all its pauses."""
        self._undoing = True
        try:
            yield
        finally:
            self._undoing = False

    def redo(self) -> str:
        """Make the change again that was taken back last, and return its label. Raises HostError if there is none."""
        with self.turn:
            if not self._history.undone:
                raise HostError("there is nothing to make again")
            change = self._history.undone[-1]
            if change.widths is not None:
                self._show_widths(change.widths.sheet, change.widths.after)
            else:
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
                    self._cells.refuse(self.sheet(cell.sheet), cell)
                areas = self._accepted[cells] = areas_of_cells(cells)
            if not all(type(value) is float and isfinite(value) for value in values.values()):
                refusals.refuse_unusable(values.items())
            self._store.settle_written()
            before = {cell: self.workbook.sheets[cell.sheet].values.get(cell[1:]) for cell in cells}
            if not self._history.knows(cells):
                self._unsaved.held(before)
            held = {cell: value for cell, value in before.items() if value is not None}
            if self._history.knows(cells):
                self._calculation.write(values, areas, going_on=going_on)
                return held
            together = len(self._history.done) if self._undoing else 1
            taken_back = self._history.taken_back(values, together=together)
            self._calculation.write(values, areas, going_on=going_on)
            if taken_back:
                self._history.took_back(before, taken_back)
            else:
                self._history.wrote(before, going_on=going_on)
        self.events.tell(Event("history"))
        return held

    def write_numbers(
        self, areas: tuple[Range, ...], numbers: NDArray[np.float64], *, going_on: bool = False
    ) -> HeldNumbers:
        """Write finite numbers [cells] as `write` does to all cells of areas, and return what stood there.

        Quick where the same areas were written before, and nothing else since.
        """
        with self.turn:
            cells = self._cells_of.get(areas)
            if cells is not None and self._history.knows(cells):
                before = self.numbers_in(areas)
                if not before.others and self._calculation.write_numbers(cells, areas, numbers):
                    return before
            if cells is None:
                cells = self._cells_of[areas] = tuple(cell for area in areas for cell in area.cells())
            held = self.write(dict(zip(cells, numbers.tolist(), strict=True)), going_on=going_on)
            return held_numbers(map(held.get, cells))

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
            self._unsaved.dirty = True
            self.edits += 1
            self._calculation.mentioned(name)
        self.events.tell(Event("names"))

    def put_sheet(self, report: ReportSheet) -> None:
        """Make a sheet of ours behind all others, or make it anew. Raises HostError if another sheet bears its name."""
        with self.turn:
            self.refuse_closed()
            taken = self.workbook.sheet(report.name)
            if taken is not None and not self._cells.is_ours(taken.name):
                raise refusals.report_sheet_taken(report.name)
            self._ready()
            self._store.settle()
            if taken is not None:
                del self.workbook.sheets[taken.name]
            self.workbook.sheets[report.name] = Sheet(report.name)
            self.report_sheets[report.name] = replace(report, rows=[])
            self.append(report.name, 1, report.rows)
            self._calculation.mentioned(report.name)
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
            self._unsaved.dirty = True
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
        self._filing.save(path)
        target = path or self.path
        assert target is not None
        return target

    def data(self) -> bytes:
        """The bytes of the file that saving would write now. Raises FileError."""
        return self._filing.data()

    def changed_on_disk(self) -> bool:
        """Whether the file on disk is no longer the one that was read or saved, or is gone."""
        return self._filing.changed_on_disk(self.path)

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

    def _ready(self) -> None:
        """Have what has no value yet calculated. Raises BookClosedError."""
        self.refuse_closed()
        self._calculation.calculator()

    def _apply(self, changes: Mapping[Cell, Content], *, typed_in: bool = False) -> None:
        """Let cells hold other contents, and recalculate. Raises SgdSheetError and changes nothing if that fails."""
        self.refuse_closed()
        self.edits += 1
        self._accepted.clear()  # a cell that got a formula is to be refused
        self._cells_of.clear()
        self._calculation.apply(changes, typed_in=typed_in)

    def _show_widths(self, sheet: str, widths: Mapping[int, int]) -> None:
        look = self.appearance().sheet(sheet)
        look.widths.update(widths)
        look.hidden_columns.difference_update(widths)
        self._unsaved.widths.setdefault(sheet, {}).update(widths)
        self._unsaved.dirty = True
        self.events.tell(Event("sheets"))

    def _tell_file(self, file: FileHost) -> None:
        self._store.settle()
        self._unsaved.tell(file, self.workbook, self.number_formats, self.report_sheets)

    def _prepare(self) -> None:
        try:
            with self.turn:
                self._ready()
            self._calculation.look_for_uncalculable(self.turn)
        except SgdSheetError as error:
            if not self.closed:
                self.events.tell(Event("message", text=str(error)))
        except Exception:
            log.exception("preparing")
            self.events.tell(Event("message", text="The workbook cannot be calculated. Please tell us"))


def _same(one: Content, other: Content) -> bool:
    return type(one) is type(other) and one == other
