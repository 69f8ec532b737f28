"""Talks with LibreOffice on our behalf: runs under LibreOffice's own Python and needs nothing but that.

`Agent.answer` takes a request and gives a reply, both plain JSON. As a program it reads requests from its standard
input, one a line; the LibreOffice extension calls it inside the office. UNO is never imported where torch is: it
replaces Python's import statement, and belongs to another Python. Everything that is not UNO (formulas, values,
the texts of errors) is left to `host.py`, so that this package stays small.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import nullcontext, suppress
from functools import partial
from typing import Any, TypeVar

import uno  # type: ignore[import-not-found]
from com.sun.star.connection import NoConnectException  # type: ignore[import-not-found]
from com.sun.star.table import CellAddress  # type: ignore[import-not-found]

from sgdsheet.hosts.libreoffice.agent.bars import ENDED, OURS, Bars
from sgdsheet.hosts.libreoffice.agent.calc_sheets import (
    add_chart,
    extend_chart,
    fit_columns,
    properties,
    report_sheet,
    show_numbers,
)
from sgdsheet.hosts.libreoffice.agent.cells import (
    OneUndo,
    Refused,
    Settled,
    Unrecorded,
    boolean_words,
    corners,
    put,
    put_at,
    read_block,
    recalculate,
    rectangle,
    refuse,
)
from sgdsheet.hosts.libreoffice.agent.exclusive import undisturbed
from sgdsheet.hosts.libreoffice.agent.reading import WorkbookReader
from sgdsheet.system.json_messages import Message, encode_line, read_messages

T = TypeVar("T")

_UNNOTICED = 1.0
"""Seconds that reading may take without being shown."""


class Agent:
    """Answers requests about the open spreadsheets of one office."""

    _reader = WorkbookReader
    _shows_reading = True

    def __init__(self, context: Any) -> None:
        self._services = context.ServiceManager
        self._context = context
        self._desktop = self._service("com.sun.star.frame.Desktop")
        self._books: dict[str, Any] = {}
        self._sheets: dict[tuple[str, str], Any] = {}
        self._indicators: dict[str, Any] = {}
        self._bars = Bars()
        self._truths: tuple[str, str] | None = None

    def answer(self, request: dict[str, Any]) -> dict[str, Any]:
        """What the request asks for, as `{"ok": true, "result": …}`, or why not. Never raises."""
        book = request.get("book", "")
        try:
            action: Callable[..., Any] = getattr(self, "do_" + request["do"])
            arguments = {name: value for name, value in request.items() if name not in ("do", "id")}
            return {"ok": True, "result": action(**arguments)}
        except Refused as refused:
            return refused.reply
        except Exception as error:  # UNO raises whatever it likes when something is gone
            gone = book in self._books and not self._is_open(self._books[book])
            message = str(getattr(error, "Message", "") or error)
            return {"ok": False, "reason": "closed" if gone else "failed", "text": f"{type(error).__name__}: {message}"}

    # --- books ---------------------------------------------------------------------------------------------

    def do_books(self) -> list[str]:
        """The keys of all open spreadsheets."""
        return [key_of(document) for document in self._documents()]

    def do_attach(self, book: str) -> str:
        """The key of an open spreadsheet; without a name, the one in front."""
        for document in self._documents():
            if same_file(key_of(document), book) or document.Title == book:
                self._give_back(key_of(document))  # of a window that was closed meanwhile
                return self._keep(document)
        raise Refused("not open", book=book)

    def do_detach(self, book: str) -> None:
        """Forget which document a key stands for: the document has another name now."""
        self._books.pop(book, None)
        self._sheets = {key: sheet for key, sheet in self._sheets.items() if key[0] != book}

    def do_open(self, path: str, hidden: bool) -> str:
        """Open a file; the key."""
        url = uno.systemPathToFileUrl(path)
        document = self._desktop.loadComponentFromURL(url, "_blank", 0, properties(Hidden=hidden))
        if document is None:
            raise Refused("locked", book=path)
        if not is_spreadsheet(document):
            document.close(True)
            raise Refused("no spreadsheet", book=path)
        return self._keep(document)

    def do_close(self, book: str) -> None:
        """Close a document without saving it."""
        self._book(book).close(True)

    def do_try_extension(self, handler: str, address: str, function: str) -> list[Any]:
        """Whether an extension's service answers a button's address, and what one of its functions gives in a cell."""
        url = uno.createUnoStruct("com.sun.star.util.URL")
        url.Complete = address
        answers = self._service(handler).queryDispatch(url, "_self", 0) is not None
        value = self._service("com.sun.star.sheet.FunctionAccess").callFunction(function, ())
        return [answers, value]

    def do_quit(self) -> None:
        """End the office."""
        for document in self._documents():
            document.close(True)
        self._desktop.terminate()

    def _documents(self) -> Iterator[Any]:
        components = self._desktop.Components.createEnumeration()
        while components.hasMoreElements():
            component = components.nextElement()
            if is_spreadsheet(component):
                yield component

    def _keep(self, document: Any) -> str:
        key = key_of(document)
        self._books[key] = document
        return key

    def _give_back(self, book: str) -> None:
        """Leave the status bar to the office."""
        try:
            indicator = self._indicators.pop(book, None)
            if indicator is not None:
                indicator.end()
        except Exception:  # its window is gone
            pass

    def leave(self) -> None:
        """Whoever asked is gone: leave nothing behind, but say so where a workbook was being trained."""
        for book in list(self._indicators):
            self._give_back(book)
        for book in self._bars.trained():
            with suppress(Exception):  # its window is gone, too
                self._exclusively(partial(self._show_bar, book, ENDED, "error", ("undo",)))

    def _is_open(self, document: Any) -> bool:
        try:
            return document.RuntimeUID in [item.RuntimeUID for item in self._documents()]
        except Exception:
            return False

    def _book(self, book: str) -> Any:
        if book not in self._books:
            self.do_attach(book)
        return self._books[book]

    def _writable(self, book: str) -> Any:
        document = self._book(book)
        if document.isReadonly():
            raise Refused("read only")
        return document

    def _sheet(self, book: str, name: str) -> Any:
        sheet = self._sheets.get((book, name))  # finding a sheet takes longer than writing to it
        try:
            if sheet is not None and sheet.Name == name:
                return sheet
        except Exception:  # the sheet is gone; maybe another has its name now
            self._sheets.pop((book, name), None)
        sheets = self._book(book).Sheets
        if not sheets.hasByName(name):
            raise Refused("no sheet", sheet=name)
        self._sheets[book, name] = sheets.getByName(name)
        return self._sheets[book, name]

    def do_sheet_now(self, book: str, name: str) -> str | None:
        """What the sheet is called now that had this name when it was last used."""
        try:
            return str(self._sheets[book, name].Name)
        except Exception:  # it is gone, or was never used
            return None

    def _service(self, name: str) -> Any:
        return self._services.createInstanceWithContext(name, self._context)

    # --- reading -------------------------------------------------------------------------------------------

    def _exclusively(self, work: Callable[[], T]) -> T:
        """Do some work while nobody changes the workbook. Not for a thread that the office waits for."""
        return undisturbed(self._context, work)

    def do_read(self, book: str, only: list[list[Any]] | None = None) -> dict[str, Any]:
        """All sheets, names and tables; with `only`, no other cells than those of these areas (sheet and corners)."""
        document = self._book(book)
        reader = self._reader(document, self._words(document), self._exclusively, only)
        began = time.monotonic()
        shows = self._shows_reading and book not in self._indicators  # what a run shows there stays

        def told(share: float) -> None:
            if shows and time.monotonic() - began > _UNNOTICED:
                self._exclusively(lambda: self._show_line(book, f"reading the workbook … {100 * share:.0f} %"))

        reader.told = told
        try:
            return reader.read()
        finally:
            if shows and book in self._indicators:
                self._exclusively(lambda: self._give_back(book))

    def do_read_areas(self, book: str, areas: list[list[Any]], formulas: bool) -> list[dict[str, Any]]:
        """Some areas as `read` gives them, all of one moment, recalculated; with formulas if these are asked for."""
        document = self._book(book)
        words = self._words(document)

        def read() -> list[dict[str, Any]]:
            recalculate(document)
            blocks = [rectangle(self._sheet(book, name), area) for name, *area in areas]
            return [read_block(document, cells, words, formulas) for cells in blocks]

        return self._exclusively(read)

    def do_recalculate(self, book: str) -> None:
        """Calculate all formulas, also those of which nothing has changed."""
        self._exclusively(self._book(book).calculateAll)

    def _words(self, document: Any) -> tuple[str, str]:
        """TRUE and FALSE in the person's language."""
        if self._truths is None:
            self._truths = boolean_words(self._service("com.sun.star.util.NumberFormatter"), document)
        return self._truths

    # --- writing -------------------------------------------------------------------------------------------

    def do_write(
        self, book: str, blocks: list[list[Any]], undo: bool, tell: bool = False, replace: bool = False
    ) -> list[list[Any]] | None:
        """Put rows of values at (sheet, top, left); nothing is written unless everything can be.

        With `tell`, returns what stood there just before, block by block; None for an error. With `replace`, values
        take the place of formulas.
        """
        document = self._writable(book)

        def exchange() -> list[list[Any]] | None:
            targets = []
            for name, top, left, rows in blocks:
                area = [top, left, top + len(rows) - 1, left + len(rows[0]) - 1]
                cells = rectangle(self._sheet(book, name), area)
                refuse(cells.Spreadsheet, cells, area, replace)
                targets.append((cells, rows))
            before = [list(map(list, cells.getDataArray())) for cells, _ in targets] if tell else None
            with OneUndo(document) if undo else nullcontext():
                for cells, rows in targets:
                    put(document, cells, rows, undo)
            return before

        return self._exclusively(exchange)

    def do_define_name(self, book: str, name: str, sheet: str, content: str) -> None:
        """A name of a sheet, instead of what it meant before."""
        names = self._sheet(book, sheet).NamedRanges
        for known in names.ElementNames:
            if known.lower() == name.lower():
                names.removeByName(known)
        names.addNewByName(name, content, CellAddress(), 0)

    # --- what a person sees --------------------------------------------------------------------------------

    def do_status(self, book: str, text: str, training: bool = False) -> None:
        """A line in the status bar, or none; also in a bar on top of the sheet, of a training and of how it ended."""

        def show() -> None:
            controller = self._book(book).CurrentController
            if controller is not None:
                self._bars.follow(book, controller, text, training)
            if not text or controller is None:
                self._give_back(book)
                return
            self._show_line(book, text)

        self._exclusively(show)  # LibreOffice crashes if its window is closed while a bar is put there

    def _show_line(self, book: str, text: str) -> None:
        controller = self._book(book).CurrentController
        if controller is not None:
            if book not in self._indicators:
                self._indicators[book] = controller.Frame.createStatusIndicator()
            self._indicators[book].start(text, 0)  # not setText: LibreOffice may have ended it, as when it saves

    def do_message(self, book: str, text: str, tone: str = "info") -> None:
        """A bar on top of the sheet, which a person can close; nothing waits for that."""
        self._exclusively(lambda: self._show_bar(book, text, tone))

    def _show_bar(self, book: str, text: str, tone: str, actions: tuple[str, ...] = ()) -> None:
        controller = self._book(book).CurrentController
        if controller is not None:
            self._bars.show(book, controller, text, tone, actions)

    def do_selection(self, book: str) -> list[list[Any]]:
        """The selected areas: sheet and corners."""
        document = self._book(book)
        chosen = document.CurrentSelection
        if hasattr(chosen, "RangeAddresses"):
            areas = chosen.RangeAddresses
        else:
            areas = [chosen.RangeAddress] if hasattr(chosen, "RangeAddress") else []
        return [[document.Sheets.getByIndex(area.Sheet).Name, *corners(area)] for area in areas]

    def do_select(self, book: str, areas: list[list[Any]]) -> None:
        """Select areas as a person would."""
        document = self._book(book)
        chosen = document.createInstance("com.sun.star.sheet.SheetCellRanges")
        for name, *area in areas:
            chosen.addRangeAddress(rectangle(self._sheet(book, name), area).RangeAddress, False)
        document.CurrentController.setActiveSheet(self._sheet(book, areas[0][0]))
        document.CurrentController.select(chosen)

    # --- report sheets ----------------------------------------------------------------------------------------

    def do_put_sheet(self, book: str, name: str, mark: str, front: bool = False, **content: Any) -> None:
        """Make a sheet of our own, marked by a name of its own, or make ours anew; in front, if it is asked for."""
        document = self._writable(book)
        controller = document.CurrentController
        active = None if controller is None else name if front else controller.ActiveSheet.Name
        with Settled(document), OneUndo(document):
            sheet = report_sheet(document, self._desktop, self._service, name, mark, content["heat"])
            rows = content["rows"]
            put_at(document, sheet, 1, rows, True)
            for row in content["bold"]:
                sheet.Rows.getByIndex(row - 1).CharWeight = 150.0
            show_numbers(document, sheet, content["formats"])
            fit_columns(sheet, rows)
            if content["chart"]:
                add_chart(sheet, content["chart"], max(content["bold"], default=0), rows)
        if active is not None and controller.ActiveSheet.Name != active and document.Sheets.hasByName(active):
            controller.setActiveSheet(document.Sheets.getByName(active))

    def do_append(self, book: str, name: str, mark: str, undo: bool, first_row: int, rows: list[list[Any]]) -> None:
        """More rows for a sheet of our own; its chart reaches to the last of them."""
        sheet = self._sheet(book, name)
        if not sheet.NamedRanges.hasByName(mark):
            raise Refused("report sheet", sheet=name)
        document = self._writable(book)

        def append() -> None:
            with Settled(document), OneUndo(document) if undo else nullcontext():
                put_at(document, sheet, first_row, rows, undo)
                with Unrecorded(document, undo):
                    extend_chart(sheet, first_row + len(rows) - 1)

        self._exclusively(append)

    def do_chart_areas(self, book: str, name: str) -> list[list[int]]:
        """What the chart of a report sheet shows."""
        return [corners(area) for area in self._sheet(book, name).Charts.getByName(OURS).getRanges()]


# --- documents and connections ----------------------------------------------------------------------------


def key_of(document: Any) -> str:
    """The path of a document's file, or its title while it has none."""
    url = str(document.URL)
    return str(uno.fileUrlToSystemPath(url) if url.startswith("file:") else url or document.Title)


def same_file(one: str, other: str) -> bool:
    return os.path.normcase(os.path.realpath(one)) == os.path.normcase(os.path.realpath(other))


def is_spreadsheet(component: Any) -> bool:
    return hasattr(component, "supportsService") and component.supportsService("com.sun.star.sheet.SpreadsheetDocument")


def connect(pipe: str, patience: float) -> Any:
    """The component context of the office that listens on a pipe; waits for an office that is just starting."""
    local = uno.getComponentContext()
    resolver = local.ServiceManager.createInstanceWithContext("com.sun.star.bridge.UnoUrlResolver", local)
    end = time.monotonic() + patience
    while True:
        try:
            return resolver.resolve(f"uno:pipe,name={pipe};urp;StarOffice.ComponentContext")
        except NoConnectException:
            if time.monotonic() > end:
                raise Refused("no office", pipe=pipe) from None
            time.sleep(0.05)


def main(pipe: str, patience: str) -> None:
    """Answer the requests on standard input, one a line, until it ends."""
    reply: Message = {"ok": True}
    try:
        agent = Agent(connect(pipe, float(patience)))
    except Refused as refused:
        reply = refused.reply
    _send(encode_line(reply))
    if not reply["ok"]:
        return
    try:
        for request in read_messages(sys.stdin.buffer):
            _send(_reply_line(request.get("id"), agent.answer(request)))
    except (ValueError, BrokenPipeError):  # whoever asked was killed in the middle of a request
        pass
    finally:
        agent.leave()


def _reply_line(number: Any, reply: Message) -> bytes:
    """The reply to the request of this number; a refusal instead of one that cannot be sent."""
    try:
        return encode_line({"id": number, **reply})
    except ValueError as error:
        return encode_line({"id": number, "ok": False, "reason": "failed", "text": str(error)})


def _send(line: bytes) -> None:
    sys.stdout.buffer.write(line)
    sys.stdout.buffer.flush()
