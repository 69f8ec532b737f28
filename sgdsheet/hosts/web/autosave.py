"""Keeps what is not saved of an open workbook, so that a crash loses little, and takes it up again the next time.

See `system.recovery` for where.
"""

from __future__ import annotations

import logging
import threading
from contextlib import suppress
from pathlib import Path
from time import monotonic

from sgdsheet.errors import FormulaError, SgdSheetError
from sgdsheet.hosts.file import FileHost, output_name
from sgdsheet.hosts.web.book_events import Event
from sgdsheet.hosts.web.kept_sheets import kept_sheets
from sgdsheet.hosts.web.open_book import OpenBook
from sgdsheet.hosts.web.unsaved import differences
from sgdsheet.sheet.appearance import Appearance
from sgdsheet.sheet.displayed_text import GENERAL
from sgdsheet.sheet.references import Range, parse_range
from sgdsheet.system import recovery
from sgdsheet.system.recovery import Recovery

log = logging.getLogger("sgdsheet.web")

PAUSE = 3.0
"""Seconds from a change until the workbook is kept."""

_RUN = 30.0
"""Seconds that a run is not disturbed: while a file is written, training and what it shows have half the speed."""

_SHARE = 0.05
"""The share of the time that keeping a workbook may take, while it changes all the time."""


def kept_of(book: OpenBook) -> Recovery | None:
    """What was kept of an earlier session that ended without saving, if it fits the file as it is."""
    found = recovery.find(book.key)
    return found if found is not None and found.base == book.base else None


def set_aside(book: OpenBook) -> Path | None:
    """Put what was kept of an earlier session into a workbook of its own, whose path is returned; None if nothing was.

    For what cannot be taken up: else what is changed next would take its place. Raises FileError.
    """
    found = recovery.find(book.key)
    return recovery.set_aside(found, output_name(Path(book.name)).name) if found is not None else None


def recover(book: OpenBook) -> int:
    """Take up what was kept; returns in how many cells. Raises SgdSheetError.

    It is one change that can be taken back, but for names and the sheets of ours, which are made anew by commands.
    """
    found = kept_of(book)
    if found is None:
        return 0
    file = FileHost(found.data())
    kept = file.read()
    look = file.appearance()
    with book.turn:
        now = book.snapshot()
        reports = {report.name: report for report in kept_sheets(now, kept, look)}
        changes = {
            cell: item
            for cell, item in differences(now, kept).items()
            if cell.sheet not in reports and not now.sheets[cell.sheet].protected
        }
        book.change(changes, "recovery")
        for cell in (cell for cell, item in changes.items() if type(item) is float):
            style = look.sheet(cell.sheet).styles_in(Range.of_cell(cell)).get(cell[1:], 0)
            if (number_format := look.styles[style].number_format) != GENERAL:
                book.number_formats[cell] = number_format
        for name in kept.names:
            known = name in book.workbook.names or name.sheet in reports
            if name.sheet is not None and not known and name.sheet in book.workbook.sheets:
                with suppress(FormulaError):  # a name that is no area was never given here
                    book.define_name(name.name, [parse_range(part, name.sheet) for part in name.text.split(",")])
        for report in reports.values():
            book.put_sheet(report)
        resized = sum(
            _recover_widths(book, title, look)
            for title, sheet in now.sheets.items()
            if title in kept.sheets and title not in reports and not sheet.protected
        )
    return (
        len(changes)
        + resized
        + sum(item is not None for report in reports.values() for row in report.rows for item in row)
    )


def _recover_widths(book: OpenBook, sheet: str, kept: Appearance) -> int:
    """Take up the widths of columns that were dragged; returns how many."""
    count = 0
    now, other = book.appearance().sheet(sheet), kept.sheet(sheet)
    for column in {*now.widths, *other.widths}:
        width = other.widths.get(column, other.default_width)
        if width != now.widths.get(column, now.default_width):
            book.set_widths(sheet, [column], width)
            count += 1
    return count


class Autosave:
    """Keeps a workbook some seconds after it has changed, until it is saved. In a thread of its own."""

    def __init__(self, book: OpenBook, pause: float = PAUSE) -> None:
        self._book, self._pause = book, pause
        self._changed, self._ended = threading.Event(), threading.Event()
        self._failed = False
        self._unsubscribe = book.subscribe(self._heard)
        if book.dirty:  # what was changed before is to be kept, too
            self._changed.set()
        self._thread = threading.Thread(target=self._run, name=f"autosave {book.name}", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """End, and keep what is not saved by now; call it before the workbook is closed."""
        self._unsubscribe()
        self._ended.set()
        self._thread.join()
        if self._book.dirty:
            self._keep()

    def _heard(self, event: Event) -> None:
        if event.kind in ("cells", "names", "sheets") and self._book.dirty:
            self._changed.set()
        elif event.kind == "saved":
            self._changed.clear()
            recovery.discard(self._book.key)

    def _run(self) -> None:
        while not self._ended.is_set():
            if not self._changed.wait(0.5):
                continue
            if self._ended.wait(self._pause) or not self._waited_for_run():
                return
            if self._changed.is_set():
                self._changed.clear()
                started = monotonic()
                self._keep()
                self._ended.wait(min((monotonic() - started) / _SHARE, 60.0))

    def _waited_for_run(self) -> bool:
        """Wait for the end of a run, but not for long; False if the workbook is closed meanwhile."""
        end = monotonic() + _RUN
        while self._book.is_trained and monotonic() < end:
            if self._ended.wait(self._pause):
                return False
        return True

    def _keep(self) -> None:
        try:
            if self._book.dirty and not self._book.closed:
                base = self._book.base
                recovery.keep(self._book.key, base, self._book.data())
                if not self._book.dirty or self._book.base != base:  # it was saved meanwhile
                    recovery.discard(self._book.key)
            self._failed = False
        except SgdSheetError as error:
            if not self._failed:  # a full disk is told once
                self._failed = True
                self._book.events.tell(Event("message", text=str(error)))
        except Exception:
            log.exception("autosave")
