"""The trainer's process, seen from the office: JSON lines through its two pipes, in both directions.

    office → trainer    {"id": 1, "command": {…}}                        a button
                        {"id": 2, "call": "SGD_RELU", "arguments": […]}  a function in a cell
                        {"answer": 7, "reply": {…}}
    trainer → office    {"hello": 1}                                     the first line: the protocol's version
                        {"id": 1, "reply": {…}}
                        {"ask": 7, "request": {…}}                       read or write cells

Nothing here may lock the office up. A function is called by a thread that holds the office's own lock until it returns,
so one thread only reads lines and never calls the office; what the trainer asks for is answered by another one, which
may have to wait for the lock. What the trainer asks on behalf of a function is answered by the thread that called it.
"""

from __future__ import annotations

import os
import queue
import subprocess
import threading
from collections import deque
from contextlib import suppress
from typing import IO, TYPE_CHECKING

from sgdsheet.apps.libreoffice_ext.office.chosen_python import (
    INSTALL,
    PROTOCOL,
    CannotStart,
    read_settings,
    settings_file,
)
from sgdsheet.system.json_messages import Message, encode_line, read_messages

if TYPE_CHECKING:
    from collections.abc import Callable

_MODULE = "sgdsheet.apps.libreoffice_ext.child_process"
GONE: Message = {"ok": False, "error": "sgdsheet's process has ended. Try again: it starts anew", "kind": "HostError"}
_NO_WINDOW = 0x0800_0000 if os.name == "nt" else 0  # subprocess.CREATE_NO_WINDOW, which only Windows has
_START = 60.0  # seconds: the first import of torch from a slow disk


class Child:
    """One process. `answer` answers what it asks of the office, `answer_call` what it asks for a function's sake.

    `on_end` is called when it has ended although nobody closed it, after the last of its requests: nothing that it
    asked for is done later.
    """

    def __init__(
        self,
        answer: Callable[[Message], Message],
        answer_call: Callable[[Message], Message],
        on_end: Callable[[], None] = lambda: None,
    ) -> None:
        self._answer, self._answer_call, self._on_end = answer, answer_call, on_end
        self._closed = self._over = False
        self._python = read_settings().python
        self._process = _spawn(self._python)
        self._waiting: dict[int, queue.SimpleQueue[Message]] = {}
        self._lock = threading.Lock()
        self._last = 0
        self._asked: queue.SimpleQueue[Message | None] = queue.SimpleQueue()
        self._hello: queue.SimpleQueue[Message] = queue.SimpleQueue()
        self._complaints: deque[str] = deque(maxlen=20)
        self._errors = _thread(self._read_errors)
        _thread(self._read)
        _thread(self._answer_all)
        self._greet()

    def alive(self) -> bool:
        return self._process.poll() is None

    def ask(self, message: Message, timeout: float) -> Message:
        """Send a command or a call, and wait for its reply. Answers what is asked on its behalf meanwhile."""
        mailbox: queue.SimpleQueue[Message] = queue.SimpleQueue()
        with self._lock:
            self._last += 1
            number = self._last
            self._waiting[number] = mailbox
        try:
            if self._over or not self._send(encode_line({"id": number, **message})):
                return GONE
            while True:
                received = mailbox.get(timeout=timeout)
                if "ask" not in received:
                    return received
                self._reply_to(received, self._answer_call)
        except queue.Empty:
            return {"ok": False, "error": f"no answer within {timeout:g} seconds", "kind": "HostBusyError"}
        finally:
            self._waiting.pop(number, None)

    def close(self) -> None:
        """End the process: it saves what it has to when its input ends."""
        self._closed = True
        self._asked.put(None)
        try:
            if self._process.stdin is not None:
                self._process.stdin.close()
            self._process.wait(timeout=5)
        except (OSError, subprocess.TimeoutExpired):
            self._process.kill()
            self._process.wait()

    # --- threads ------------------------------------------------------------------------------------------

    def _read(self) -> None:
        """Sort what arrives. Never calls the office: a function that waits for its reply holds the office's lock."""
        with _stream(self._process.stdout) as lines, suppress(ValueError, KeyError, TypeError):
            for message in read_messages(lines):  # an error is not what our own process says
                self._sort(message)
        if not self._closed:
            self._process.kill()
            self._process.wait()
        self._over = True
        self._hello.put({})
        for mailbox in list(self._waiting.values()):
            mailbox.put(GONE)
        self._asked.put(None)

    def _sort(self, message: Message) -> None:
        if "hello" in message:
            self._hello.put(message)
        elif "ask" in message:
            mailbox = self._waiting.get(message.get("for", 0))
            (self._asked if mailbox is None else mailbox).put(message)
        elif (mailbox := self._waiting.get(message["id"])) is not None:
            mailbox.put(message["reply"])

    def _answer_all(self) -> None:
        while (message := self._asked.get()) is not None:
            if not self._over:
                self._reply_to(message, self._answer)
        if not self._closed:
            self._on_end()

    def _read_errors(self) -> None:
        with _stream(self._process.stderr) as lines:
            for line in lines:
                self._complaints.append(line.decode("utf-8", errors="replace").rstrip())

    # --- in and out ---------------------------------------------------------------------------------------

    def _reply_to(self, message: Message, answer: Callable[[Message], Message]) -> None:
        number = message["ask"]
        try:
            line = encode_line({"answer": number, "reply": answer(message["request"])})
        except Exception as error:  # a trainer that waits for an answer must get one
            line = encode_line({"answer": number, "reply": {"ok": False, "reason": "failed", "text": str(error)}})
        self._send(line)

    def _send(self, line: bytes) -> bool:
        """Whether the line was written: not to a process that has ended."""
        try:
            with self._lock:
                pipe = self._process.stdin
                assert pipe is not None
                pipe.write(line)
                pipe.flush()
        except (OSError, ValueError):  # the latter: its pipe was closed
            return False
        return True

    def _greet(self) -> None:
        """Wait until the process says that it runs; otherwise say why it does not."""
        try:
            hello = self._hello.get(timeout=_START)
        except queue.Empty:
            self.close()
            raise CannotStart(f"sgdsheet did not start within {_START:g} seconds. {INSTALL}") from None
        if hello.get("hello") == PROTOCOL:
            return
        self.close()
        if hello:
            raise CannotStart(f"The extension and the installed sgdsheet are of different versions. {INSTALL}")
        raise CannotStart(f"{self._python} cannot run sgdsheet: {self._last_complaint()}. {INSTALL}")

    def _last_complaint(self) -> str:
        self._errors.join(timeout=1)
        return next((line for line in reversed(self._complaints) if line.strip()), "it ended at once").rstrip(".")


def _thread(work: Callable[[], None]) -> threading.Thread:
    thread = threading.Thread(target=work, name=f"sgdsheet {work.__name__}", daemon=True)
    thread.start()
    return thread


def _spawn(python: str) -> subprocess.Popen[bytes]:
    """The user's own Python, untouched by what the office sets for its own one, in a folder without workbooks."""
    environment = {key: value for key, value in os.environ.items() if not key.startswith(("PYTHON", "__PYVENV"))}
    try:
        return subprocess.Popen(
            [python, "-m", _MODULE],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            cwd=settings_file().parent,
            env=environment,
            creationflags=_NO_WINDOW,
        )
    except OSError as error:
        raise CannotStart(f"{python} cannot be started ({error.strerror}). {INSTALL}") from None


def _stream(pipe: IO[bytes] | None) -> IO[bytes]:
    assert pipe is not None  # all three are pipes
    return pipe
