"""The thread of one open workbook. All that is asked of the spreadsheet program is asked here. No torch here."""

from __future__ import annotations

import importlib
import logging
import queue
import sys
import threading
import time
from collections.abc import Callable
from typing import Any

from sgdsheet.errors import BookClosedError, SgdSheetError, TrainingError
from sgdsheet.hosts.base import LiveHost
from sgdsheet.live.board import IDLE, STARTING, Board, Job, bug, refusal

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

    def __init__(self, connect: Callable[[], LiveHost], book: str) -> None:
        self._connect, self.book = connect, book
        self.board = Board()
        self._jobs: queue.SimpleQueue[Job | None] = queue.SimpleQueue()
        self._working = False
        self._leaving = False
        self._thread = threading.Thread(target=self._work, name="sgdsheet book", daemon=True)
        self._thread.start()

    @property
    def alive(self) -> bool:
        return self._thread.is_alive() and not self._leaving

    @property
    def busy(self) -> bool:
        """Whether something is being done or waits to be done."""
        return self._thread.is_alive() and (self._working or self.board.state != IDLE or not self._jobs.empty())

    def ask(self, command: str, sheet: str | None, options: dict[str, Any], wait: float) -> dict[str, Any]:
        """Have a command done; waits so many seconds for the reply."""
        if command == "stop" and self.board.halt is not None:
            self.board.halt()
        if command == "train" and self.board.state == IDLE:
            self.board.state = STARTING
        job = Job(command, sheet, options)
        self._jobs.put(job)
        reply = job.wait(wait if _warm.is_set() or wait >= 1.0 else 0.0)
        return reply if reply is not None else {**self.board.status(), "pending": True}

    def wake(self) -> None:
        """Have the thread look at its run now."""
        self._jobs.put(None)

    def close(self) -> None:
        """Stop training and let go of the workbook."""
        self._leaving = True
        if self.board.halt is not None:
            self.board.halt()
        self.wake()

    def join(self, seconds: float = 30.0) -> None:
        """Wait for the end."""
        self._thread.join(seconds)

    # --- the thread -------------------------------------------------------------------------------------

    def _work(self) -> None:
        try:
            book = self._start()
            while not self._leaving:
                self._next(book)
            self._guarded(book.close)
        finally:
            self._leaving = True
            self._turn_away()

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
        return _load().LiveBook(self._connect, self.book, self.board, self.wake, host)

    def _next(self, book: Any) -> None:
        """The next command, or what there is to do without one."""
        due = book.due()
        try:
            job = self._jobs.get(timeout=_RELEASED_AFTER if due is None else max(0.0, due))
        except queue.Empty:
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

    def _turn_away(self) -> None:
        """Whoever still waits for an answer gets one."""
        while not self._jobs.empty():
            job = self._jobs.get()
            if job is not None:
                job.answer(refusal(TrainingError("the background trainer is ending", remedy="Try again")))

    def _do(self, book: Any, job: Job) -> None:
        try:
            reply = {**self.board.status(), **book.do(job.command, job.sheet, job.options)}
            reply |= {"state": self.board.state, "can_undo": self.board.can_undo}
        except SgdSheetError as error:
            reply = self._failed(book, error)
        except Exception as error:
            log.exception("%s failed", job.command)
            reply = self._failed(book, bug(error))
        if self.board.state == STARTING and job.command != "stop":
            self.board.state = IDLE
        told = job.answer(reply)
        if not told and not reply["ok"]:
            self._guarded(lambda: book.tell(reply["error"]))

    def _failed(self, book: Any, error: SgdSheetError) -> dict[str, Any]:
        self.board.message = str(error)
        if isinstance(error, BookClosedError):
            self._guarded(book.release)
        return refusal(error)

    def _guarded(self, action: Callable[[], None]) -> None:
        """Do something for which nobody waits."""
        try:
            action()
        except SgdSheetError as error:
            self.board.message = str(error)
            log.warning("%s", error)
        except Exception:
            log.exception("the workbook's thread")


def _load() -> Any:
    """The module that does the work. It takes seconds to load, and so does what torch loads at its first use."""
    with _loading:
        module = importlib.import_module("sgdsheet.live.book")
        if not _warm.is_set():
            module.warm_up()
            _warm.set()
        return module
