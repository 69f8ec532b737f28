"""The server's process: its port, its start, and its end, at which nothing is lost."""

from __future__ import annotations

import errno
import logging
import secrets
import socket
import sys
from collections.abc import Callable

import uvicorn

from sgdsheet.apps.web.access import NAMES, Access
from sgdsheet.apps.web.bookshelf import Bookshelf
from sgdsheet.apps.web.pages import application
from sgdsheet.apps.web.waiting_connections import WaitingProtocol
from sgdsheet.errors import SettingError, TrainingError

FIRST_PORT = 8473
"""The port that is tried first where none is asked for."""

_PORTS_TRIED = 20
_LARGEST_MESSAGE = 20 << 20
"""Bytes of a message from the page: what is pasted may be large."""

_MOST_CONNECTIONS = 400
"""Connections at once; those that ask for nothing are fewer, see `waiting_connections`."""
_ENDING = 5
"""Seconds that open connections have at the end."""


class Server:
    """One server: bound to its port when it is made, so that its address is known; `run` serves until Ctrl+C."""

    def __init__(self, shelf: Bookshelf, port: int | None = None) -> None:
        self._shelf = shelf
        self._socket = _bound(port)
        self.port: int = self._socket.getsockname()[1]
        self._token = secrets.token_urlsafe(24)

    def url(self, path: str = "/") -> str:
        """The address that lets in whoever opens it."""
        return f"http://{NAMES[0]}:{self.port}{path}?token={self._token}"

    def run(self, started: Callable[[], None]) -> None:
        """Serve until the process is told to end; `started` is called when requests are answered."""
        app = Access(application(self._shelf, started), self.port, self._token)
        config = uvicorn.Config(
            app,
            loop="asyncio",
            http=WaitingProtocol,
            ws="auto",
            lifespan="on",
            log_level=logging.WARNING,
            access_log=False,
            server_header=False,
            proxy_headers=False,
            ws_max_size=_LARGEST_MESSAGE,
            ws_max_queue=8,
            ws_per_message_deflate=False,  # nothing leaves the machine: packing costs more than it saves
            limit_concurrency=_MOST_CONNECTIONS,
            timeout_graceful_shutdown=_ENDING,
        )
        uvicorn.Server(config).run(sockets=[self._socket])

    def close(self) -> None:
        """Let go of the port."""
        self._socket.close()


def _bound(port: int | None) -> socket.socket:
    """A socket of this machine: of the port that is asked for, or of the first one that is free.

    Raises SettingError for a port that is taken, TrainingError where none is free.
    """
    if port is not None:
        try:
            return _listening(port)
        except OSError as error:
            taken = error.errno == errno.EADDRINUSE
            reason = "is in use" if taken else f"cannot be used: {error.strerror or error}"
            raise SettingError(
                f"port {port} {reason}", remedy="Leave out --port to take the next free one, or choose another"
            ) from None
    for number in range(FIRST_PORT, FIRST_PORT + _PORTS_TRIED):
        try:
            return _listening(number)
        except OSError:
            continue
    try:
        return _listening(0)
    except OSError as error:
        raise TrainingError(
            f"no port of this machine can be used: {error.strerror or error}", remedy="Close other programs, try again"
        ) from None


def _listening(port: int) -> socket.socket:
    found = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    try:
        if sys.platform == "win32":
            found.setsockopt(socket.SOL_SOCKET, socket.SO_EXCLUSIVEADDRUSE, 1)
        else:
            found.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        found.bind((NAMES[0], port))
        found.listen(128)
    except OSError:
        found.close()
        raise
    return found
