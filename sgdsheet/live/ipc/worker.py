"""The thread of one open workbook. All that is asked of the spreadsheet program is asked here. No torch here."""

from __future__ import annotations

import importlib
import logging
import queue
import sys
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from sgdsheet.errors import BookClosedError, SgdSheetError, TrainingError
from sgdsheet.hosts.base import LiveHost
from sgdsheet.live.commands import COMMANDS
from sgdsheet.live.ipc import alert
from sgdsheet.live.ipc.buttons import Buttons, Tell
from sgdsheet.live.ipc.job import Job, refusal
from sgdsheet.live.run.status import IDLE, STARTING, Status, bug

_BREATH = 0.05
"""Seconds between a first request and the import of torch, which holds the interpreter's lock: the reply goes out
before."""

_SWITCH = 0.0005
"""Seconds after which a thread that calculates lets another one have the interpreter. The time between reading the
parameters and writing them anew, in which a person's edit would be lost, is several such turns long."""

_STARTING = "sgdsheet is starting, which takes a few seconds"

_RELEASED_AFTER = 30.0
"""Idle seconds after which the spreadsheet program is let go: as long as it is held, Excel cannot quit."""

log = logging.getLogger("sgdsheet.live")

_warm = threading.Event()
"""Set once torch is loaded."""

_loading = threading.Lock()


class Worker:
    """Does the commands of one workbook, one after the other, and keeps its training going in between."""

    def __init__(self, connect: Callable[[], LiveHost], book: str, tell_buttons: Tell | None = None) -> None:
        self._connect, self.book = connect, book
        self.status = Status()
        self._buttons = Buttons(tell_buttons) if tell_buttons is not None else None
        self._jobs: queue.SimpleQueue[Job | None] = queue.SimpleQueue()
        self._working = False
        self._leaving = False
        self._ended: SgdSheetError | None = None
        """Why nothing is done any more."""
        self._thread = threading.Thread(target=self._work, name="sgdsheet book", daemon=True)
        self._thread.start()

    @property
    def alive(self) -> bool:
        return self._thread.is_alive() and not self._leaving

    @property
    def busy(self) -> bool:
        """Whether something is being done or waits to be done."""
        return self._thread.is_alive() and (self._working or self.status.state != IDLE or not self._jobs.empty())

    def ask(self, command: str, sheet: str | None, options: dict[str, Any], wait: float) -> dict[str, Any]:
        """Have a command done; waits so many seconds for the reply."""
        if command == "stop" and self.status.halt is not None:
            self.status.halt()
        if command == "train" and self.status.state == IDLE:
            self.status.state = STARTING
        job = Job(command, sheet, options)
        self._jobs.put(job)
        if self._ended is not None:  # between the look whether it is alive and now
            self._turn_away(self._ended)
        reply = job.wait(wait if _warm.is_set() or wait >= 1.0 else 0.0)
        return reply if reply is not None else {**self.status.as_reply(), "pending": True}

    def wake(self) -> None:
        """Have the thread look at its run now."""
        self._jobs.put(None)

    def close(self) -> None:
        """Stop training and let go of the workbook."""
        self._leaving = True
        if self.status.halt is not None:
            self.status.halt()
        self.wake()

    def join(self, seconds: float = 30.0) -> None:
        """Wait for the end."""
        self._thread.join(seconds)

    # --- the thread -------------------------------------------------------------------------------------

    def _work(self) -> None:
        error: SgdSheetError = TrainingError("the background trainer is ending", remedy="Try again")
        try:
            book = self._start()
            while not self._leaving:
                self._next(book)
                self._show_state()
            self._guarded(book.close)
            self._show_state()
        except SgdSheetError as failure:
            error = failure
        except Exception as failure:
            log.exception("the workbook's thread")
            error = bug(failure)
        finally:
            self._leaving, self._ended = True, error
            self._turn_away(error)

    def _start(self) -> Any:
        """Load what is needed, saying in the workbook meanwhile why nothing happens yet."""
        sys.setswitchinterval(min(_SWITCH, sys.getswitchinterval()))
        host: LiveHost | None = None
        if not _warm.is_set():
            time.sleep(_BREATH)
            try:
                host = self._connect()
                host.status(_STARTING)
            except SgdSheetError as error:  # the command itself will tell
                log.info("%s", error)
        return _load().LiveBook(self._connect, self.book, self.status, self.wake, host)

    def _next(self, book: Any) -> None:
        """The next command, or what there is to do without one."""
        due = book.due()
        retry = self._buttons.due(self.status.state) if self._buttons is not None else None
        wait = min(_RELEASED_AFTER if due is None else max(0.0, due), _RELEASED_AFTER if retry is None else retry)
        try:
            job = self._jobs.get(timeout=wait)
        except queue.Empty:
            if retry is not None and (due is None or retry < due):
                return
            if due is None:
                self._guarded(book.release)
                job = self._jobs.get()
            else:
                job = None
        self._working = True
        try:
            if job is None:
                self._guarded(book.tick)
            else:
                self._do(book, job)
        finally:
            self._working = False

    def _show_state(self) -> None:
        if self._buttons is not None:
            self._buttons.follow(self.status.state)

    def _turn_away(self, error: SgdSheetError) -> None:
        """Whoever still waits for an answer gets one, and nobody is told that something is starting."""
        jobs = []
        with suppress(queue.Empty):
            while True:
                jobs.append(self._jobs.get_nowait())
        waiting = [job for job in jobs if job is not None]
        if waiting:
            self.status.message = str(error)
        self.status.state, self.status.halt = IDLE, None  # only now: whoever sees this looks for the reason
        for job in waiting:
            if not job.answer(refusal(error)):
                alert.show_soon(str(error))

    def _do(self, book: Any, job: Job) -> None:
        try:
            command = COMMANDS[job.command]
            done = book.do(command.do, job.sheet, job.options, writes=command.writes)
            reply = {**self.status.as_reply(), **done}
        except SgdSheetError as error:
            reply = self._failed(book, error)
        except Exception as error:
            log.exception("%s failed", job.command)
            reply = self._failed(book, bug(error))
        if self.status.state == STARTING and job.command == "train":
            self.status.state = IDLE
        if self._buttons is not None:
            self._buttons.after(job.command)
        told = job.answer(reply)
        if not told and not reply["ok"]:
            self._tell(book, reply["error"])

    def _failed(self, book: Any, error: SgdSheetError) -> dict[str, Any]:
        self.status.message = str(error)
        if isinstance(error, BookClosedError):
            self._guarded(book.release)
        return refusal(error)

    def _tell(self, book: Any, text: str) -> None:
        """Show an error for which nobody waits any more: in the workbook, or without it."""
        try:
            shown = book.tell(text)
        except Exception as error:
            log.warning("%s", error)
            shown = False
        if not shown:
            alert.show_soon(text)

    def _guarded(self, action: Callable[[], None]) -> None:
        """Do something for which nobody waits."""
        try:
            action()
        except SgdSheetError as error:
            self.status.message = str(error)
            log.warning("%s", error)
        except Exception:
            log.exception("the workbook's thread")


def _load() -> Any:
    """The module that does the work. It takes seconds to load, and so does what torch loads at its first use."""
    with _loading:
        module = importlib.import_module("sgdsheet.live.run.live_book")
        if not _warm.is_set():
            module.warm_up()
            _warm.set()
        return module
