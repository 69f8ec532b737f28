"""Connections that ask for nothing: they are ended after a while, and the oldest make way for new ones.

Any program of this machine can connect, and send half a request and then nothing. Some hundred of them would lock out
those who have a key to the page.
"""

from __future__ import annotations

import asyncio
from typing import ClassVar

from uvicorn.protocols.http.h11_impl import H11Protocol

PATIENCE = 10.0
"""Seconds in which a request has to be there, from the connection on, or from the answer to the one before."""

MOST_WAITING = 100
"""Connections that may wait at once."""


class WaitingProtocol(H11Protocol):
    """HTTP as uvicorn speaks it, with connections that do not wait for ever."""

    _waiting: ClassVar[dict[WaitingProtocol, asyncio.TimerHandle]] = {}
    """The connections that wait, the oldest first, each with what ends it."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._wait()

    def connection_lost(self, exc: Exception | None) -> None:
        self._go_on()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        answering = self.cycle is not None and not self.cycle.response_complete
        if answering or self.transport.get_protocol() is not self:  # it is a WebSocket now
            self._go_on()

    def on_response_complete(self) -> None:
        super().on_response_complete()
        if not self.transport.is_closing():
            self._wait()

    def _wait(self) -> None:
        self._go_on()
        while len(self._waiting) >= MOST_WAITING:
            next(iter(self._waiting))._end()
        self._waiting[self] = self.loop.call_later(PATIENCE, self._end)

    def _go_on(self) -> None:
        timer = self._waiting.pop(self, None)
        if timer is not None:
            timer.cancel()

    def _end(self) -> None:
        self._go_on()
        self.transport.close()
