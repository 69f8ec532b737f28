"""Messages between a user's own programs: JSON objects over a local, authenticated connection.

Never pickles: a message is bytes of JSON with a maximum length. Whoever does not know the key is cut off, and so
is whoever says nothing for a while. Built on `multiprocessing.connection`, whose handshake proves the key to both
sides without sending it.
"""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from multiprocessing import AuthenticationError
from multiprocessing.connection import Client as connect_to
from multiprocessing.connection import Connection, Listener, answer_challenge, deliver_challenge
from pathlib import Path
from typing import Any

from sgdsheet.system.json_messages import Message, decode, encode

Answer = Callable[[Message], Message]

LONGEST_REQUEST = 1_000_000
"""Bytes of a request at most; none of ours comes near."""

LONGEST_REPLY = 50_000_000
"""Bytes of a reply at most."""

_HANDSHAKE = 5.0
"""Seconds that the other side may take for each message of the handshake."""

_SILENCE = 60.0
"""Seconds after which a silent client is cut off."""

_MOST_CLIENTS = 32
"""Clients that are served at the same time; more are cut off at once."""
_FAMILY = "AF_PIPE" if sys.platform == "win32" else "AF_UNIX"


class ChannelError(Exception):
    """The other side is not there, does not know the key, or does not speak as agreed."""


class AbsentError(ChannelError):
    """Nobody listens, or stopped to before the message was sent."""


class _WithTimeout:
    """A connection for the handshake, which raises ChannelError if the other side says nothing for so many seconds."""

    def __init__(self, connection: Connection, seconds: float) -> None:
        self._connection, self._seconds = connection, seconds
        self.send_bytes = connection.send_bytes

    def recv_bytes(self, maxlength: int | None = None) -> bytes:
        if not self._connection.poll(self._seconds):
            raise ChannelError("no answer")
        return self._connection.recv_bytes(maxlength)


def ask(address: str, key: bytes, message: Message, timeout: float) -> Message:
    """Send one message and wait for the reply. Raises ChannelError."""
    with _greeted(address, key, min(timeout, _HANDSHAKE)) as connection:
        try:
            connection.send_bytes(encode(message))
            if not connection.poll(timeout):
                raise ChannelError("no answer in time")
            return decode(connection.recv_bytes(LONGEST_REPLY))
        except (OSError, EOFError, ValueError) as error:
            raise ChannelError(f"the connection failed ({type(error).__name__})") from None


def answers(address: str, key: bytes) -> bool:
    """Whether somebody listens at the address who knows the key."""
    try:
        _greeted(address, key, _HANDSHAKE).close()
    except ChannelError:
        return False
    return True


def _greeted(address: str, key: bytes, seconds: float) -> Connection:
    """A connection on which both sides have shown that they know the key."""
    try:
        connection = connect_to(address, family=_FAMILY)
    except (OSError, EOFError):
        raise AbsentError("nobody listens") from None
    try:
        bounded: Any = _WithTimeout(connection, seconds)
        answer_challenge(bounded, key)
        deliver_challenge(bounded, key)
    except AuthenticationError:
        connection.close()
        raise ChannelError("it was started with another key") from None
    except (OSError, EOFError, ChannelError):
        connection.close()
        raise AbsentError("it hung up") from None
    return connection


class Server:
    """Listens at an address and answers clients, each in a thread of its own, until it is closed.

    Raises OSError if the address cannot be listened at.
    """

    def __init__(self, address: str, key: bytes, answer: Answer) -> None:
        self.address, self._key, self._answer = address, key, answer
        if _FAMILY == "AF_UNIX":
            with suppress(FileNotFoundError):  # left behind by a service that was killed
                os.unlink(address)
        self._listener = Listener(address, family=_FAMILY, backlog=16)
        if _FAMILY == "AF_UNIX":
            Path(address).chmod(0o600)
        self._room = threading.Semaphore(_MOST_CLIENTS)
        self._closed = False
        self._answering = 0
        self._answered = threading.Condition()
        self._thread = threading.Thread(target=self._accept, name="sgdsheet accept", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Stop listening. Clients that are being answered still get their answer; `finish` waits for that."""
        self._closed = True
        with suppress(OSError, EOFError):  # wakes the thread that waits for clients
            connect_to(self.address, family=_FAMILY).close()
        self._thread.join(2.0)
        with suppress(OSError):
            self._listener.close()

    def finish(self, seconds: float = 5.0) -> None:
        """Wait for the answers that are on their way, before the process ends."""
        with self._answered:
            self._answered.wait_for(lambda: self._answering == 0, seconds)

    def _accept(self) -> None:
        while not self._closed:
            try:
                connection = self._listener.accept()
            except (OSError, EOFError):  # a client that was gone again at once
                continue
            if self._closed or not self._room.acquire(blocking=False):
                connection.close()
                continue
            threading.Thread(target=self._serve, args=(connection,), name="sgdsheet client", daemon=True).start()

    def _serve(self, connection: Connection) -> None:
        try:
            with connection, suppress(OSError, EOFError, ValueError, ChannelError, AuthenticationError):
                bounded: Any = _WithTimeout(connection, _HANDSHAKE)
                deliver_challenge(bounded, self._key)
                answer_challenge(bounded, self._key)
                while connection.poll(_SILENCE):
                    with self._counted():
                        message = decode(connection.recv_bytes(LONGEST_REQUEST))
                        connection.send_bytes(encode(self._answer(message)))
        finally:
            self._room.release()

    @contextmanager
    def _counted(self) -> Iterator[None]:
        """While a client is being answered."""
        with self._answered:
            self._answering += 1
        try:
            yield
        finally:
            with self._answered:
                self._answering -= 1
                self._answered.notify_all()
