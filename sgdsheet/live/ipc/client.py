"""Asks the background trainer, and starts it if none runs. Imports nothing heavy: a click has to be instant."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from typing import Any

from sgdsheet import __version__
from sgdsheet.errors import HostError
from sgdsheet.live.ipc.channel import AbsentError, ChannelError, ask
from sgdsheet.system import state_folder

_PAUSE = 0.02
"""Seconds between two attempts to reach a trainer that is just starting."""

OTHER_VERSION = "OtherVersion"
"""The `kind` of a reply from a service of another version. It ends itself then, if it has nothing to do."""


def call(request: dict[str, Any], *, start: bool = True, timeout: float = 10.0) -> dict[str, Any]:
    """Send a request to the background trainer and return its reply.

    Starts the trainer if none runs (unless `start` is false). Never raises for what a person can mend:
    such a reply is `{"ok": False, "error": "one line", "kind": "HostError"}`.
    """
    try:
        return _call({**request, "version": __version__}, start, timeout)
    except HostError as error:
        return {"ok": False, "error": str(error), "kind": type(error).__name__}


def _call(request: dict[str, Any], start: bool, timeout: float) -> dict[str, Any]:
    address, key = state_folder.address(), state_folder.key()
    end = time.monotonic() + timeout
    started: subprocess.Popen[bytes] | None = None
    old: int | None = None
    of_old = ""
    while True:
        last = last_service()  # before it is asked: see `start_service`
        try:
            reply = ask(address, key, request, max(0.1, end - time.monotonic()))
        except AbsentError as error:
            problem = str(error)
        except ChannelError as error:
            if old is None or last_service() != of_old:  # it may have been done: asking again could do it twice
                raise _silent(str(error)) from None
            problem = str(error)  # the one that leaves does nothing any more
        else:
            if reply.get("kind") != OTHER_VERSION or not reply.get("leaving"):
                return reply
            if old is not None and reply.get("process") != old:
                raise HostError(
                    "the background trainer is of another version than this program",
                    remedy="Restart the spreadsheet after an upgrade of sgdsheet",
                )
            old, of_old, problem = reply.get("process"), last, "the old one does not end"
        if not start:
            raise HostError("the background trainer is not running", remedy="Press Train")
        if started is None or started.poll() is not None:  # lost the race against another, or against one that ends
            started = start_service("--after", last)
        if time.monotonic() > end:
            raise _silent(problem)
        time.sleep(_PAUSE)


def _silent(problem: str) -> HostError:
    return HostError(
        f"the background trainer does not answer: {problem}",
        remedy=f"Try again; what it did is in {state_folder.log_path()}",
    )


def last_service() -> str:
    """Which service was the last to start; empty if none ever did."""
    try:
        return state_folder.last_path().read_text(encoding="ascii")
    except (OSError, ValueError):
        return ""


def start_service(*arguments: str) -> subprocess.Popen[bytes]:
    """Start the service as a process that outlives this one.

    With `--after` and the `last_service`, it ends at once if another one has started since: nobody needs it then,
    also if the other was told to quit in the meantime.
    """
    options: dict[str, Any] = {"start_new_session": True}
    if sys.platform == "win32":
        options = {"creationflags": subprocess.CREATE_NO_WINDOW | subprocess.CREATE_NEW_PROCESS_GROUP}
    command = [sys.executable, "-m", "sgdsheet.live.ipc.service", *arguments]
    try:
        with state_folder.error_path().open("wb") as errors:
            # Python looks for modules in the folder that it starts in: one that only the user can write to.
            # A relative path in the environment would mean another folder there.
            folder = state_folder.state_folder()
            environment = {**os.environ, state_folder.VARIABLE: str(folder)}
            process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=errors,
                stderr=errors,
                cwd=folder,
                env=environment,
                **options,
            )
    except OSError as error:
        raise HostError(f"the background trainer cannot be started: {error}", remedy="Check the disk") from None
    threading.Thread(target=process.wait, name="sgdsheet service", daemon=True).start()  # leaves no zombie
    return process
