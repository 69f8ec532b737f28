"""Excel on Windows and macOS, through xlwings (its BSD-licensed part).

Formulas, names, tables and writing use what xlwings offers on both systems; `com.py` and `mac.py` have
the rest. Every call waits while a person edits a cell, but not for ever: see `busy.py`.
"""

from __future__ import annotations

import re
import sys
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path

import xlwings as xw

from sgdsheet.errors import BookClosedError, HostBusyError, HostError, one_line, quoted
from sgdsheet.hosts.base import ReportSheet, Tone
from sgdsheet.hosts.excel.busy import Patience, Trouble, restrain_xlwings, trouble_of
from sgdsheet.hosts.excel.com import ComNative
from sgdsheet.hosts.excel.excel_reader import area_of, formulas_in, pieces, read_workbook, texts_of
from sgdsheet.hosts.excel.excel_sheets import ReportSheets
from sgdsheet.hosts.excel.excel_writer import check_area, check_sheet, covering, put_values
from sgdsheet.hosts.excel.mac import MacNative
from sgdsheet.hosts.excel.native import Grid, Native
from sgdsheet.hosts.excel.one_turn import OneTurn
from sgdsheet.hosts.refusals import no_sheet, not_open, refuse_unusable
from sgdsheet.sheet.references import Cell, Range, parse_range
from sgdsheet.sheet.workbook import Value, Workbook

_AT_ONCE = 0.2
"""Seconds to wait for Excel with what is not worth waiting for: the status bar."""
_LEFT_BEHIND = re.compile(
    r"(paused at )?step [\d,]+, loss |loss \S+ → |sgdsheet is starting|(reading|comparing|deriving) the [^\d…]+ …"
    r"|compiling [\d,]+ formulas …|stopped while "
)
"""What our own lines in the status bar look like, which a trainer that was killed could not take back."""
_LARGE = 20_000
"""Cells from which an area is first cut down to those that are in use."""


class ExcelHost:
    """A workbook that is open in Excel."""

    def __init__(self, app: xw.App, book: xw.Book, key: str, native: Native) -> None:
        self._app, self._book, self._key, self._native = app, book, key, native
        self._call = Patience(self._state, key)
        self._own = ReportSheets(book, native, self._call)
        self._one_turn = OneTurn(app, book, native)
        self._owed: dict[str, object] = {}
        self._quiet = False
        self._status: object = None
        self._used_sheets: dict[str, xw.Sheet] = {}
        self._messages = _Messages(app.pid)
        self.recalculates = True
        """Whether to wait for a recalculation; False where Excel calls us in the middle of one."""

    @property
    def key(self) -> str:
        return self._key

    @property
    def patience(self) -> float:
        """Seconds that a call waits while Excel is busy."""
        return self._call.seconds

    @patience.setter
    def patience(self, seconds: float) -> None:
        self._call.seconds = seconds

    def read(self) -> Workbook:
        """Values, formulas, names and tables; recalculated."""
        self._calculated()
        workbook = self._call(read_workbook, self._book, self._native)
        path = Path(self._key)
        workbook.folder = path.parent if path.is_absolute() else None
        return workbook

    def read_part(self, choose: Callable[[Workbook], Sequence[Range] | None]) -> Workbook:
        return self.read()

    def read_values(self, areas: Sequence[Range]) -> dict[Cell, Value]:
        self._calculated()
        found: dict[Cell, Value] = {}
        for area in areas:
            sheet = self._sheet(area.sheet)
            for part in self._used(sheet, area):
                found.update(_filled(part, self._call(self._values, sheet, part)))
        return found

    def read_formulas(self, areas: Sequence[Range]) -> dict[Cell, str]:
        found: dict[Cell, str] = {}
        for area in areas:
            sheet = self._sheet(area.sheet)
            for part in self._used(sheet, area):
                texts = self._call(texts_of, sheet, part)
                if any(text.startswith("=") for row in texts for text in row):
                    values = self._call(self._values, sheet, part)
                    for position, text in formulas_in(part, texts, values):
                        found[Cell(part.sheet, *position)] = text
        return found

    def write(self, values: Mapping[Cell, Value]) -> None:
        """Put values into cells; HostError, and nothing is changed, if one of them cannot be written."""
        self._put(values, lambda sheet, area: put_values(sheet, area, values))

    def replace_formulas(self, values: Mapping[Cell, Value]) -> None:
        """Write as `write` does, over formulas as well."""
        self._put(values, lambda sheet, area: put_values(sheet, area, values), replace=True)

    def recalculate(self) -> None:
        """Calculate all formulas of all open workbooks anew: Excel has no other way. On macOS only what has changed."""
        self._call(self._native.calculate_all, self._app)

    def exchange(self, values: Mapping[Cell, Value]) -> dict[Cell, Value]:
        """Write, and return what stood there just before.

        Where the add-in is open on Windows, one call of it reads and writes a rectangle in one turn of Excel, and
        refuses a formula that has come in since the cells were checked. Else each rectangle is read by one call and
        written by the next. While a person types, Excel rejects both; one that begins to type in between has the write
        rejected, and then the rectangle is read again. What stays are a paste, a Delete or an undo that fall into the
        millisecond between the two calls: these are lost, and so is a formula that is entered after the check.
        """
        found: dict[Cell, Value] = {}

        def exchange(sheet: xw.Sheet, area: Range) -> None:
            before = self._one_turn.exchange(sheet, area, values)
            if before is None:
                before = self._values(sheet, area)
                put_values(sheet, area, values)
            found.update(_filled(area, before))

        self._put(values, exchange)
        return found

    def _put(
        self, values: Mapping[Cell, Value], put: Callable[[xw.Sheet, Range], None], *, replace: bool = False
    ) -> None:
        """Call `put` with each rectangle of cells, once it is certain that all of them can be written to.

        Values may `replace` formulas.
        """
        refuse_unusable(values.items())
        areas = covering(values)
        sheets = {name: self._sheet(name) for name in dict.fromkeys(area.sheet for area in areas)}
        firsts = {area.sheet: area for area in reversed(areas)}
        for name, area in firsts.items():
            self._call(check_sheet, sheets[name], area, self._native)
        for area in areas:
            self._call(partial(check_area, sheets[area.sheet], area, self._native, replace=replace))
        once = {"screen_updating": False, "calculation": "manual"} if len(areas) > 1 else {}
        with self._changed(once):
            for area in areas:
                for part in pieces(area):
                    self._call(put, sheets[area.sheet], part)

    def sheet_now(self, name: str) -> str | None:
        """On Windows, an object of Excel's stays the same sheet; on macOS it is the name that it was asked for by."""
        sheet = self._used_sheets.get(name)
        try:
            found = self._call(lambda: sheet.name) if sheet is not None else None
        except HostBusyError:
            raise
        except HostError:
            return None
        return found if isinstance(found, str) else None

    def status(self, text: str) -> None:
        with self._call.at_most(_AT_ONCE):
            if self._status is None:
                self._status = self._persons_status()
            self._set("status_bar", text or self._status)
        if not text:
            self._status = None

    def _persons_status(self) -> object:
        """What a macro of the person's own shows in the status bar; False where Excel has it for itself."""
        found = self._call(getattr, self._app, "status_bar")
        own = isinstance(found, str) and sys.platform != "darwin" and not _LEFT_BEHIND.match(found)
        return found if own else False

    def message(self, text: str, tone: Tone = Tone.INFO) -> None:
        self._messages.show(text)

    def selection(self) -> tuple[Range, ...]:
        areas = self._call(self._native.selection, self._book)
        return tuple(parse_range(text, sheet) for sheet, text in areas)

    def define_name(self, name: str, areas: Sequence[Range]) -> None:
        sheet = self._sheet(areas[0].sheet)
        text = "=" + ",".join(area.absolute for area in areas)

        def define() -> None:
            for known in sheet.names:
                if known.name.rpartition("!")[2].casefold() == name.casefold():
                    known.refers_to = text
                    return
            sheet.names.add(name, text)

        self._call(define)

    def put_sheet(self, sheet: ReportSheet) -> None:
        with self._changed({"screen_updating": False}):
            self._own.put(sheet)

    def append(self, name: str, first_row: int, rows: Sequence[Sequence[Value | None]]) -> None:
        with self._changed({"screen_updating": False}):
            self._own.append(name, first_row, rows)

    def quiet(self, on: bool) -> None:
        """Events are off only while something is written: nobody would switch them on if we were killed."""
        self._quiet = on

    def close(self) -> None:
        """Let go of the workbook; whatever was switched off is on again."""
        with suppress(BookClosedError):
            self.quiet(False)
            self._pay()
            if self._status is not None:
                self._set("status_bar", self._status)
                self._status = None

    def _sheet(self, name: str) -> xw.Sheet:
        try:
            sheet = self._call(lambda: self._book.sheets[name])
            self._call(lambda: sheet.name)
        except (BookClosedError, HostBusyError):
            raise
        except (HostError, KeyError) as error:
            raise no_sheet(name) from error
        self._used_sheets[name] = sheet
        return sheet

    def _values(self, sheet: xw.Sheet, area: Range) -> Grid:
        return self._native.values(sheet.range(area.a1))

    def _used(self, sheet: xw.Sheet, area: Range) -> Iterator[Range]:
        """The parts of an area to ask for."""
        if area.size > _LARGE:
            within = area.intersection(self._call(lambda: area_of(sheet.used_range, area.sheet)))
            if within is None:
                return
            area = within
        yield from pieces(area)

    def _calculated(self) -> None:
        if not self.recalculates:
            return
        if self._call(lambda: self._app.calculation) == "manual":
            self._call(self._app.calculate)
        self._call(self._native.settle, self._app)

    @contextmanager
    def _changed(self, settings: Mapping[str, object]) -> Iterator[None]:
        """Change settings of Excel for a while. What cannot be restored at the end is restored later."""
        self._pay()
        try:
            for name, value in {**settings, **({"enable_events": False} if self._quiet else {})}.items():
                before = self._call(getattr, self._app, name)
                if before != value:
                    self._owed[name] = before
                    self._set(name, value)
            yield
        finally:
            with suppress(HostBusyError, BookClosedError):
                self._pay()

    def _pay(self) -> None:
        """Restore what is still as we set it."""
        for name in reversed(list(self._owed)):
            self._set(name, self._owed[name])
            del self._owed[name]

    def _set(self, name: str, value: object) -> None:
        self._call(setattr, self._app, name, value)

    def _state(self) -> Trouble | None:
        """Whether the workbook is gone or busy, asked after an error that may mean either."""
        try:
            ready = self._native.ready(self._app)
            self._book.name  # noqa: B018
        except Exception as error:
            found = trouble_of(error)
            return Trouble.GONE if found is Trouble.REFUSED else found
        return None if ready else Trouble.BUSY


def _filled(area: Range, rows: Grid) -> dict[Cell, Value]:
    """The values of an area by cell, without the empty ones."""
    values = (item for row in rows for item in row)
    return {cell: value for cell, value in zip(area.cells(), values, strict=True) if value is not None}


class _Messages:
    """Message boxes in a thread of their own, one after the other: a box waits for a person, we do not."""

    def __init__(self, pid: int) -> None:
        self._pid = pid
        self._lock = threading.Lock()
        self._next = ""
        self._open = False

    def show(self, text: str) -> None:
        with self._lock:
            self._next = text  # a later message is worth more than those still waiting
            if not self._open:
                self._open = True
                threading.Thread(target=self._run, name="sgdsheet message", daemon=True).start()

    def _run(self) -> None:
        while True:
            with self._lock:
                text, self._next = self._next, ""
                self._open = bool(text)
            if not text:
                return
            with suppress(Exception):  # there is nobody left to tell
                xw.apps[self._pid].alert(text, "sgdsheet", "ok", "info")  # an object of this thread's own


def connect(book: str, where: str = "") -> ExcelHost:
    """The workbook of this path, address or name; `where` is the process id of its Excel, empty to look in all."""
    known = list(_open(where))
    exact = [item for item in known if _folded(item[2]) == _folded(book)]
    found = exact or [item for item in known if _may_be(item[1].name, item[2], book)]
    if not found:
        raise not_open(book, "Excel")
    if len(found) > 1:
        raise HostError(f"“{one_line(book)}” is open in more than one Excel", remedy="Close all but one")
    app, candidate, key = found[0]
    return ExcelHost(app, app.books[candidate.name], key, _native())  # on macOS, books are numbered until named


def host_of(book: xw.Book) -> ExcelHost:
    """The workbook of an xlwings `Book`."""
    restrain_xlwings()
    native = _native()
    return ExcelHost(book.app, book, native.full_name(book), native)


def open_books(where: str = "") -> list[str]:
    """Keys of the workbooks that are open in Excel."""
    return [key for _, book, key in _open(where) if not book.name.casefold().startswith("personal.xls")]


def _open(where: str) -> Iterator[tuple[xw.App, xw.Book, str]]:
    if xw.engines.active is None:
        raise HostError("there is no Excel on this system", remedy="Use the file, or LibreOffice")
    if where and not where.isdecimal():
        raise HostError(f"{quoted(where)} is not the number of an Excel process", remedy="Leave it out to look in all")
    restrain_xlwings()
    call, native = Patience(), _native()
    for pid in call(lambda: list(xw.apps.keys())):
        if not where or pid == int(where):
            yield from call(_books, pid, native)


def _books(pid: int, native: Native) -> list[tuple[xw.App, xw.Book, str]]:
    app = xw.apps[pid]
    return [(app, book, native.full_name(book)) for book in app.books]


def _native() -> Native:
    return MacNative() if sys.platform == "darwin" else ComNative()


def _folded(path: str) -> str:
    return path.replace("\\", "/").casefold()


def _may_be(name: str, key: str, book: str) -> bool:
    """Whether a book is meant by its name, or by the local path of what Excel opened from the web."""
    plain = _folded(book)
    return name.casefold() == plain or ("://" in key and plain.endswith("/" + name.casefold()))
