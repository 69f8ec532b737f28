"""The background trainer as a process: started on demand, one per user, ends by itself when it is idle."""

from __future__ import annotations

import argparse
import logging
import logging.handlers
import os
import secrets
import signal
import sys
import threading
import time
from collections.abc import Sequence
from contextlib import suppress
from typing import Any

from filelock import FileLock, Timeout

from sgdsheet import __version__
from sgdsheet.errors import HostError, one_line
from sgdsheet.hosts.live_hosts import connect, show_state
from sgdsheet.live.ipc.channel import Server, answers
from sgdsheet.live.ipc.client import OTHER_VERSION, last_service
from sgdsheet.live.ipc.trainer import Trainer
from sgdsheet.system import processes, state_folder

IDLE_MINUTES = 15.0
"""Minutes without work after which the service ends."""

_LOCK_SECONDS = 5.0
"""Seconds to wait for a service that is ending to release its lock."""

_LOCK_PAUSE = 0.1
"""Seconds between two attempts to take the lock."""

_TICK = 0.5
"""Seconds between two looks whether the service is idle."""

_LOG_BYTES = 500_000
"""Bytes of a log file, after which a new one is begun."""

_ANY_VERSION = ("stop", "status", "quit")
"""Commands that are done for programs of any version."""

log = logging.getLogger("sgdsheet.live.ipc.service")


class Service:
    """Hands requests to the trainer, and ends when it was told to or was idle for so many seconds."""

    def __init__(self, trainer: Trainer, idle_seconds: float) -> None:
        self._trainer, self._idle_seconds = trainer, idle_seconds
        self._last = time.monotonic()
        self._leave = threading.Event()

    def answer(self, request: dict[str, Any]) -> dict[str, Any]:
        """The reply to one request, whatever it is."""
        self._last = time.monotonic()
        command = request.get("command")
        log.info("%s %s", one_line(str(command)), one_line(str(request.get("book", ""))))
        version = request.get("version", __version__)
        if version != __version__ and command not in _ANY_VERSION:
            return self._other_version(str(version))
        reply = self._trainer.handle({key: value for key, value in request.items() if key != "version"})
        if not reply.get("ok"):
            log.warning("%s", one_line(str(reply.get("error"))))
        if command == "quit":
            self._leave.set()
        return reply

    def wait(self) -> None:
        """Return when the service was told to quit, or was idle for long."""
        while not self._leave.wait(_TICK):
            if self._trainer.busy:
                self._last = time.monotonic()
            elif time.monotonic() - self._last > self._idle_seconds:
                log.info("idle: leaving")
                return

    def leave(self) -> None:
        """Make `wait` return."""
        self._leave.set()

    def _other_version(self, version: str) -> dict[str, Any]:
        """The reply to a program of another version: after an upgrade, an idle service ends, for a new one to start."""
        leaving = not self._trainer.busy
        if leaving:
            self.leave()
        error = f"sgdsheet {__version__} is still training and you have {one_line(version)} now. Stop the training"
        return {"ok": False, "error": error, "kind": OTHER_VERSION, "leaving": leaving, "process": os.getpid()}


def main(arguments: Sequence[str] | None = None) -> None:
    """Serve until told to quit, or idle for long. Returns at once if another service runs already."""
    parser = argparse.ArgumentParser(prog="python -m sgdsheet.live.ipc.service", description=__doc__)
    parser.add_argument("--idle-minutes", type=float, default=IDLE_MINUTES, help="leave after so long without work")
    parser.add_argument("--after", help="end at once if another than this one was the last to start")
    options = parser.parse_args(arguments)
    processes.let_waiting_threads_sleep()
    lock = FileLock(state_folder.lock_path())
    if not _acquired(lock, last_service() if options.after is None else options.after):
        return
    try:
        _start_log()
        _serve(60 * options.idle_minutes)
    finally:
        lock.release()


def _acquired(lock: FileLock, last: str) -> bool:
    """Whether this process is to be the service: none runs, or the one that did is just ending.

    Not if another one has started since `last` did: whoever wanted a service had that one, even if it is gone again.
    """
    end = time.monotonic() + _LOCK_SECONDS
    while last_service() == last:
        try:
            lock.acquire(blocking=False)
        except Timeout:
            if answers(state_folder.address(), state_folder.key()) or time.monotonic() > end:
                return False
            time.sleep(_LOCK_PAUSE)
            continue
        if last_service() == last:
            return True
        lock.release()
    return False


def _serve(idle_seconds: float) -> None:
    trainer = Trainer(connect, show_state)
    service = Service(trainer, idle_seconds)
    signal.signal(signal.SIGTERM, lambda *_: service.leave())
    # Before anybody is answered: who was answered can then tell by whom.
    with suppress(OSError):  # a full disk: at worst, another one is started in vain
        state_folder.last_path().write_text(secrets.token_hex(8), encoding="ascii")
    log.info("sgdsheet %s starts, process %d", __version__, os.getpid())
    server = Server(state_folder.address(), state_folder.key(), service.answer)
    try:
        service.wait()
    finally:
        server.close()
        trainer.close()
        server.finish()
        log.info("left")


def _start_log() -> None:
    handler = logging.handlers.RotatingFileHandler(
        state_folder.log_path(), maxBytes=_LOG_BYTES, backupCount=2, encoding="utf-8"
    )
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(name)s: %(message)s"))
    logging.basicConfig(level=logging.INFO, handlers=[handler])


if __name__ == "__main__":
    try:
        main()
    except HostError as failure:
        print(failure, file=sys.stderr)
        sys.exit(1)
    processes.end(0)  # all is saved: no tidying up of torch
