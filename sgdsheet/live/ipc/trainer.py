"""Hands each request to the worker of its workbook. Knows nothing of how requests arrive. No torch here."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from typing import Any

from sgdsheet.errors import SettingError, SgdSheetError, quoted
from sgdsheet.hosts.base import LiveHost
from sgdsheet.live.commands import COMMANDS
from sgdsheet.live.ipc.button_state import SendState
from sgdsheet.live.ipc.pending_request import finite, refusal
from sgdsheet.live.ipc.worker import Worker
from sgdsheet.live.run.failures import bug
from sgdsheet.live.run.status import Status
from sgdsheet.live.undo.snapshots import History, carry_over

log = logging.getLogger("sgdsheet.live")

Connect = Callable[[str, str, str], LiveHost]

ShowState = Callable[[str, str, str, str], bool]
"""Tells a program (host, book, where) the state of training, for its buttons; False if the program is busy."""

PATIENCE = 0.08
"""Seconds that a caller waits for a reply, unless the request says `wait`. A command that takes longer goes on."""

_LONGEST_WAIT = 86_400.0
"""Seconds that `wait` may be, at most."""


class Trainer:
    """Trains open workbooks, several at once. Safe to call from any thread."""

    def __init__(self, connect: Connect, show_state: ShowState | None = None) -> None:
        self._connect, self._show_state = connect, show_state
        self._workers: dict[tuple[str, str], Worker] = {}
        self._lock = threading.Lock()

    def handle(self, request: dict[str, Any]) -> dict[str, Any]:
        """The reply to a request. Never raises.

        A command that takes longer than `wait` seconds goes on after the reply, which then has `pending`; what
        comes of it is shown in the spreadsheet.
        """
        try:
            reply: dict[str, Any] = finite(self._handle(request))
        except SgdSheetError as error:
            return refusal(error)
        except Exception as error:
            log.exception("a request")
            return refusal(bug(error))
        return reply

    def status_of(self, host: str, book: str) -> Status | None:
        """What a workbook's thread is doing, to be read only; None if nothing was asked of it yet."""
        with self._lock:
            worker = self._workers.get((host, book))
        return worker.status if worker is not None else None

    @property
    def busy(self) -> bool:
        """Whether anything is being done."""
        with self._lock:
            return any(worker.busy for worker in self._workers.values())

    def saved_as(self, host: str, old: str, new: str) -> dict[str, Any]:
        """End the training of a workbook that a person has saved under another name; its history goes with it.

        The reply tells whether the history could be written. Never raises.
        """
        with self._lock:
            workers = [self._workers.pop((host, book), None) for book in (old, new)]
        for worker in workers:
            if worker is not None:
                worker.close()
                worker.join()
        try:
            carry_over(old, new)
        except SgdSheetError as error:
            return refusal(error)
        return {"ok": True}

    def close(self) -> None:
        """Stop all training, leaving the best parameters in the sheets, and let go of all workbooks."""
        with self._lock:
            workers = list(self._workers.values())
            self._workers.clear()
        for worker in workers:
            worker.close()
        for worker in workers:
            worker.join()

    def _handle(self, request: dict[str, Any]) -> dict[str, Any]:
        command, book, host = request.get("command"), request.get("book", ""), request.get("host", "")
        if command == "quit":
            self.close()
            return {"ok": True, "state": "idle"}
        if command not in (*COMMANDS, "status"):
            known = ", ".join([*COMMANDS, "status"])
            raise SettingError(f"{quoted(str(command))} is not a command", remedy=f"Commands are {known}")
        options, wait = request.get("options") or {}, request.get("wait", PATIENCE)
        sheet, where = request.get("sheet"), request.get("where") or ""
        texts = (book, host, where, sheet or "")
        if not all(isinstance(text, str) for text in texts) or not isinstance(options, dict):
            raise SettingError("the request is malformed", remedy="Update sgdsheet and its add-in")
        if not isinstance(wait, (int, float)) or isinstance(wait, bool) or not 0 <= wait <= _LONGEST_WAIT:
            raise SettingError("the request is malformed", remedy="Update sgdsheet and its add-in")
        if command == "status":
            return self._status(host, book)
        return self._worker(host, book, where).ask(command, sheet, options, float(wait))

    def _status(self, host: str, book: str) -> dict[str, Any]:
        """The status of a workbook, also of one that nothing has been done to."""
        with self._lock:
            worker = self._workers.get((host, book))
        status = worker.status if worker is not None else Status(can_undo=History.open(book).can_undo)
        return status.as_reply()

    def _worker(self, host: str, book: str, where: str) -> Worker:
        with self._lock:
            worker = self._workers.get((host, book))
            if worker is None or not worker.alive:
                worker = Worker(lambda: self._connect(host, book, where), book, self._state_sender(host, book, where))
                self._workers[host, book] = worker
            return worker

    def _state_sender(self, host: str, book: str, where: str) -> SendState | None:
        show = self._show_state
        return None if show is None else lambda state: show(host, book, where, state)
