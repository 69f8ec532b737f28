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

from sgdsheet.errors import BookClosedError, Interrupted, SgdSheetError, TrainingError
from sgdsheet.hosts.base import LiveHost
from sgdsheet.live.commands import COMMANDS
from sgdsheet.live.ipc import notification
from sgdsheet.live.ipc.button_state import ButtonState, SendState
from sgdsheet.live.ipc.pending_request import PendingRequest, refusal
from sgdsheet.live.run.failures import bug
from sgdsheet.live.run.status import IDLE, STARTING, Status

_BREATH = 0.05
"""Seconds between the first request and the import of torch: the import holds the interpreter's lock, and the reply has
to go out before."""

_SWITCH = 0.0005
"""Seconds after which a thread that calculates lets another one have the interpreter. That happens several times
between reading the parameters and writing new ones, and what a person types in that time would be lost."""

_STARTING = "sgdsheet is starting, which takes a few seconds"

_RELEASED_AFTER = 30.0
"""Idle seconds after which we disconnect from the spreadsheet program: while we are connected, Excel cannot quit."""

log = logging.getLogger("sgdsheet.live")

_warm = threading.Event()
"""Set as soon as torch is loaded."""

_loading = threading.Lock()
"""Held by the thread that loads torch."""


class Worker:
    """Does the commands of one workbook, one after the other, and keeps its training going in between."""

    def __init__(self, connect: Callable[[], LiveHost], book: str, send_state: SendState | None = None) -> None:
        self._connect, self.book = connect, book
        self.status = Status()
        self._buttons = ButtonState(send_state) if send_state is not None else None
        self._requests: queue.SimpleQueue[PendingRequest | None] = queue.SimpleQueue()
        self._working = False
        self._unanswered: list[PendingRequest] = []
        """What was asked for and is not done yet: any thread may add one."""
        self._leaving = False
        self._ended: SgdSheetError | None = None
        """Why the thread has ended, for requests that come too late; None while it is alive."""
        self._thread = threading.Thread(target=self._work, name="sgdsheet book", daemon=True)
        self._thread.start()

    @property
    def alive(self) -> bool:
        return self._thread.is_alive() and not self._leaving

    @property
    def busy(self) -> bool:
        """Whether something is being done or waits to be done."""
        return self._thread.is_alive() and (self._working or self.status.state != IDLE or bool(self._unanswered))

    def ask(self, command: str, sheet: str | None, options: dict[str, Any], wait: float) -> dict[str, Any]:
        """Have a command done; waits so many seconds for the reply."""
        if command in ("stop", "undo") and self.status.halt is not None:
            self.status.undo_comes = self.status.undo_comes or command == "undo"
            self.status.halt()
        request = PendingRequest(command, sheet, options)
        if command == "stop":
            self._stop()
        elif COMMANDS[command].button is not None:
            self.status.asked.append(request.work)
        if command == "train" and self.status.state == IDLE:
            self.status.state = STARTING
        self._unanswered.append(request)
        self._requests.put(request)
        if self._ended is not None:  # between the look whether it is alive and now
            self._turn_away(self._ended)
        reply = request.wait(wait if _warm.is_set() or wait >= 1.0 else 0.0)
        return reply if reply is not None else {**self.status.as_pending_reply(), "pending": True}

    def _stop(self) -> None:
        """End what is being done, and what a person has given before and waits for that, where it takes long."""
        work = self.status.work
        for each in [*self.status.asked, *([work] if work is not None else [])]:
            each.stop()

    def wake(self) -> None:
        """Have the thread look at its run now."""
        self._requests.put(None)

    def close(self) -> None:
        """Have the thread stop training, disconnect from the workbook, and end."""
        self._leaving = True
        if self.status.halt is not None:
            self.status.halt()
        self.wake()

    def join(self, seconds: float = 30.0) -> None:
        """Wait for the thread to end, but no longer than so many seconds."""
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
        loaded = load()
        if host is not None:
            with suppress(SgdSheetError):
                host.status("")
        return loaded.LiveBook(self._connect, self.book, self.status, self.wake, host)

    def _next(self, book: Any) -> None:
        """Do the next command, or what a run or the buttons need while no command comes."""
        due = book.due()
        retry = self._buttons.due(self.status.state) if self._buttons is not None else None
        wait = min(_RELEASED_AFTER if due is None else max(0.0, due), _RELEASED_AFTER if retry is None else retry)
        try:
            request = self._requests.get(timeout=wait)
        except queue.Empty:
            if retry is not None and (due is None or retry < due):
                return
            if due is None:
                self._guarded(book.release)
                request = self._requests.get()
            else:
                request = None
        self._working = True
        try:
            if request is None:
                self._guarded(book.tick)
            else:
                self._do(book, request)
        finally:
            self._working = False

    def _show_state(self) -> None:
        if self._buttons is not None:
            self._buttons.follow(self.status.state_now)

    def _turn_away(self, error: SgdSheetError) -> None:
        """Answer all requests that wait with this error, and take back that training is starting."""
        requests = []
        with suppress(queue.Empty):
            while True:
                requests.append(self._requests.get_nowait())
        waiting = [request for request in requests if request is not None]
        if waiting:
            self.status.message = str(error)
        self.status.state, self.status.halt = IDLE, None  # only now: whoever sees this looks for the reason
        for request in waiting:
            self._forget(request)
            if not request.answer(refusal(error)):
                notification.show_soon(str(error))

    def _do(self, book: Any, request: PendingRequest) -> None:
        try:
            command = COMMANDS[request.command]
            request.work.show = lambda text: self._show_work(book, text)
            done = book.do(command.do, request.sheet, request.options, writes=command.writes, work=request.work)
            reply = {**self.status.as_reply(), **done}
        except Interrupted as stop:
            reply = self._interrupted(book, str(stop))
        except SgdSheetError as error:
            reply = self._failed(book, error)
        except Exception as error:
            log.exception("%s failed", request.command)
            reply = self._failed(book, bug(error))
        self._forget(request)
        if self.status.state == STARTING and request.command == "train":
            self.status.state = IDLE
        if request.command == "undo":
            self.status.undo_comes = False
        if self._buttons is not None:
            self._buttons.after(request.command)
        told = request.answer(reply)
        if not told and not reply["ok"]:
            self._tell(book, reply["error"])

    def _forget(self, request: PendingRequest) -> None:
        """Note that nobody waits for a request any more."""
        with suppress(ValueError):
            self.status.asked.remove(request.work)
        with suppress(ValueError):
            self._unanswered.remove(request)

    def _show_work(self, book: Any, text: str) -> None:
        """Show what is being done, or nothing any more; the buttons follow, since Stop can end it."""
        book.show(text)
        self._show_state()

    def _interrupted(self, book: Any, text: str) -> dict[str, Any]:
        self.status.message = text
        self._guarded(lambda: book.show(text))
        return {"ok": True, "message": text, "stopped": "stopped"}

    def _failed(self, book: Any, error: SgdSheetError) -> dict[str, Any]:
        self.status.message = str(error)
        if isinstance(error, BookClosedError):
            self._guarded(book.release)
        return refusal(error)

    def _tell(self, book: Any, text: str) -> None:
        """Show an error for which nobody waits any more: in the workbook, or else on the desktop."""
        try:
            shown = book.tell(text)
        except Exception as error:
            log.warning("%s", error)
            shown = False
        if not shown:
            notification.show_soon(text)

    def _guarded(self, action: Callable[[], None]) -> None:
        """Do something for which nobody waits: errors go to the status and the log."""
        try:
            action()
        except SgdSheetError as error:
            self.status.message = str(error)
            log.warning("%s", error)
        except Exception:
            log.exception("the workbook's thread")


def load() -> Any:
    """The module that does the work. It takes seconds to load, and so does what torch loads at its first use."""
    with _loading:
        module = importlib.import_module("sgdsheet.live.run.live_book")
        if not _warm.is_set():
            module.warm_up()
            _warm.set()
        return module
