"""The other end of the extension's two pipes, see `office/child.py`: JSON lines from and to the office."""

from __future__ import annotations

import itertools
import logging
import queue
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import BinaryIO

from sgdsheet.apps.libreoffice_ext.office.chosen_python import PROTOCOL
from sgdsheet.errors import BookClosedError
from sgdsheet.system.json_messages import Message, encode_line, read_messages

log = logging.getLogger("sgdsheet.apps.libreoffice_ext")

_DEEPEST = 32
"""Threads for functions in cells: so many functions may wait for each other's results."""


class Link:
    """Asks the office, from any thread, and hands what the office wants to `commands` and `calls`.

    The thread that reads never does anything else: a function call is answered even while training waits for the
    office, which may be waiting for that very function.
    """

    def __init__(self, source: BinaryIO, target: BinaryIO) -> None:
        self._source, self._target = source, target
        self._lock = threading.Lock()
        self._numbers = itertools.count(1)
        self._waiting: dict[int, queue.SimpleQueue[Message | None]] = {}
        self._closed = False

    def channel(self, call: int = 0) -> Channel:
        """A channel for asking the office; `call` is the number of the function call on whose behalf, 0 for none."""
        return Channel(self, call)

    def ask(self, request: Message, call: int = 0) -> Message:
        """What the office answers. Raises BookClosedError when it is gone."""
        number, mailbox = next(self._numbers), queue.SimpleQueue[Message | None]()
        self._waiting[number] = mailbox
        self.send({"ask": number, "request": request, **({"for": call} if call else {})})
        reply = None if self._closed else mailbox.get()
        self._waiting.pop(number, None)
        if reply is None:
            raise BookClosedError("LibreOffice is gone")
        return reply

    def serve(self, command: Callable[[Message], Message], call: Callable[[Message], Message]) -> None:
        """Answer the office until it closes the pipe."""
        commands = _worker(command, self.send)
        # More than one thread: to read a cell for one function, the office may have to calculate another one first.
        calls = ThreadPoolExecutor(_DEEPEST, "sgdsheet function")
        self.send({"hello": PROTOCOL})
        for message in read_messages(self._source):
            if "answer" in message:
                mailbox = self._waiting.get(message["answer"])
                if mailbox is not None:
                    mailbox.put(message["reply"])
            elif "call" in message:
                calls.submit(_reply, message, call, self.send)
            else:
                commands.put(message)
        self._closed = True
        for mailbox in list(self._waiting.values()):
            mailbox.put(None)
        calls.shutdown(wait=False)

    def send(self, message: Message) -> None:
        line = encode_line(message)
        try:
            with self._lock:
                self._target.write(line)
                self._target.flush()
        except OSError:  # the office has ended; the end of its other pipe tells `serve`
            self._closed = True


@dataclass(frozen=True)
class Channel:
    """What a LibreOfficeHost asks through."""

    link: Link
    call: int = 0

    def ask(self, request: Message) -> Message:
        return self.link.ask(request, self.call)

    def close(self) -> None:
        """The link outlives every workbook."""


def _reply(message: Message, answer: Callable[[Message], Message], send: Callable[[Message], None]) -> None:
    """Answer one message; whatever happens, nobody waits in vain."""
    try:
        send({"id": message["id"], "reply": answer(message)})
    except Exception as error:
        log.exception("a message")
        text = f"sgdsheet failed: {type(error).__name__} ({error})"
        send({"id": message["id"], "reply": {"ok": False, "error": text, "kind": "TrainingError"}})


def _worker(answer: Callable[[Message], Message], send: Callable[[Message], None]) -> queue.SimpleQueue[Message]:
    """A thread that answers messages in their order."""
    messages: queue.SimpleQueue[Message] = queue.SimpleQueue()

    def work() -> None:
        while True:
            _reply(messages.get(), answer, send)

    threading.Thread(target=work, name="sgdsheet extension", daemon=True).start()
    return messages
