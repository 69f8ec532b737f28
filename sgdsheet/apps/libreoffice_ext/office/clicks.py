"""What a click does: hand the command over, return at once, and show the reply when it says that something is wrong."""

from __future__ import annotations

import queue
import threading
from typing import TYPE_CHECKING, Any

from sgdsheet.apps.libreoffice_ext.office.chosen_python import CannotStart

if TYPE_CHECKING:
    from collections.abc import Callable

    Message = dict[str, Any]

PATIENCE = 90.0
"""Seconds for a reply, including the start of the process. Training goes on after its reply."""


class CommandQueue:
    """Sends commands in the order of the clicks, from a thread of its own: the office never waits."""

    def __init__(
        self, ask: Callable[[Message, float], Message], fail: Callable[[Message, str, str, str], None]
    ) -> None:
        """`fail` gets a message that was not obeyed, its workbook, what is wrong, and the tone of that."""
        self._ask = ask
        self._fail = fail
        self._clicks: queue.SimpleQueue[tuple[Message, str]] = queue.SimpleQueue()
        self._thread: threading.Thread | None = None

    def put(self, message: Message, book: str) -> None:
        """Queue a message about the workbook."""
        if self._thread is None:
            self._thread = threading.Thread(target=self._work, name="sgdsheet commands", daemon=True)
            self._thread.start()
        self._clicks.put((message, book))

    def _work(self) -> None:
        while True:
            message, book = self._clicks.get()
            try:
                reply = self._ask(message, PATIENCE)
            except CannotStart as error:
                reply = {"ok": False, "error": str(error)}
            except Exception as error:  # the next click must find this thread alive
                reply = {"ok": False, "error": f"sgdsheet failed: {error}"}
            if not reply.get("ok"):
                tone = "warning" if reply.get("kind") == "HostBusyError" else "error"
                self._fail(message, book, str(reply.get("error")), tone)
