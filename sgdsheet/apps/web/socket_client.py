"""One page that is connected: what it asks, and what it is sent, never more than it takes."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Awaitable, Callable
from typing import Any

from starlette.websockets import WebSocket, WebSocketDisconnect

from sgdsheet.apps.web.served_book import ServedBook
from sgdsheet.apps.web.sheet_view import MOST_CELLS, NOTHING, Entry, SheetView, area_of
from sgdsheet.errors import SettingError, SgdSheetError, quoted
from sgdsheet.sheet.references import Range
from sgdsheet.sheet.workbook import Position

log = logging.getLogger("sgdsheet.web")

_LARGEST = 1 << 20
"""Characters of a message that does not paste anything."""

_MALFORMED = "Reload the page; if that does not help, update sgdsheet"

Message = dict[str, Any]
Handler = Callable[[Message], Awaitable[Message]]


class SocketClient:
    """The server's end of one page's connection."""

    def __init__(self, book: ServedBook, socket: WebSocket) -> None:
        self._book, self._socket = book, socket
        self._handlers: dict[str, Handler] = {"view": self._view, "ack": self._ack, "ping": self._ping}
        self._area: Range | None = None
        self._sheet_view: SheetView | None = None
        self._fresh = True
        self._shown: dict[Position, Entry] = {}
        self._version = self._acknowledged = 0
        self._due = asyncio.Event()

    async def run(self) -> None:
        """Serve the page until it goes away."""
        await self._socket.accept()
        await self._send(self._book.description())
        sender = asyncio.create_task(self._keep_sending())
        try:
            while True:
                await self._receive(await self._socket.receive_text())
        except (WebSocketDisconnect, KeyError):  # KeyError: bytes instead of a text
            pass
        finally:
            sender.cancel()

    # --- what the page asks -------------------------------------------------------------------------------

    async def _receive(self, text: str) -> None:
        """Do what one message asks, and answer it if it wants an answer."""
        message: Any = None
        try:
            message = json.loads(text)
            reply = {"ok": True, **await self._handled(message, len(text))}
        except (ValueError, RecursionError) as error:
            reply = {"ok": False, "error": _told(SettingError(f"the request is malformed: {error}", remedy=_MALFORMED))}
        except SgdSheetError as error:
            reply = {"ok": False, "error": _told(error)}
        id = message.get("id") if isinstance(message, dict) else None
        if id is not None or not reply["ok"]:
            await self._send({"type": "reply", "id": id, **reply})

    async def _handled(self, message: Any, size: int) -> Message:
        if not isinstance(message, dict) or not isinstance(name := message.get("type"), str):
            raise ValueError("a message is an object with a type")
        if name not in self._handlers:
            raise SettingError(f"{quoted(name)} cannot be asked for", remedy=_MALFORMED)
        if size > _LARGEST and name != "edit":
            raise ValueError("it is too long")
        return await self._handlers[name](message)

    async def _view(self, message: Message) -> Message:
        """Show another area, or another sheet."""
        area = area_of(self._sheet(message), message.get("area"))
        if area.size > MOST_CELLS:
            raise ValueError("the area is too large")
        if self._area is None or area.sheet != self._area.sheet:
            self._sheet_view = await asyncio.to_thread(self._book.view, area.sheet)
        self._fresh = self._fresh or area != self._area
        self._area = area
        self._acknowledged = self._version  # who looks elsewhere has drawn what was there, or does not need it
        self._due.set()
        return {}

    async def _ack(self, message: Message) -> Message:
        version = message.get("version")
        if type(version) is not int:
            raise ValueError("a version is a whole number")
        self._acknowledged = max(self._acknowledged, min(version, self._version))
        self._due.set()
        return {}

    async def _ping(self, message: Message) -> Message:
        return {}

    def _sheet(self, message: Message) -> str:
        name = message.get("sheet")
        if not isinstance(name, str) or name not in self._book.workbook.sheets:
            raise SettingError(f"the workbook has no sheet {quoted(str(name))}", remedy="Choose one of its tabs")
        return name

    # --- what the page is sent ----------------------------------------------------------------------------

    async def _keep_sending(self) -> None:
        """Send the cells in view, and then what changes of them, whenever the page has drawn what it got."""
        while True:
            await self._due.wait()
            self._due.clear()
            view, area, full = self._sheet_view, self._area, self._fresh
            if view is None or area is None or self._acknowledged < self._version:
                continue
            shown = await asyncio.to_thread(view.entries, area, self._book.uncalculated)
            if area != self._area:
                self._due.set()
                continue
            self._fresh = False
            before = {} if full else self._shown
            cells: list[list[Any]] = [[*at, *entry] for at, entry in shown.items() if before.get(at) != entry]
            parts = view.areas(area)
            gone = (at for at in before.keys() - shown.keys() if any(_inside(at, part) for part in parts))
            cells += [[*at, *NOTHING] for at in gone]
            self._shown = shown
            if cells or full:
                self._version += 1
                await self._send(
                    {
                        "type": "cells",
                        "version": self._version,
                        "sheet": area.sheet,
                        "area": list(area[1:]),
                        "full": full,
                        "cells": cells,
                    }
                )

    async def _send(self, message: Message) -> None:
        await self._socket.send_text(json.dumps(message, ensure_ascii=False, separators=(",", ":")))


def _inside(at: Position, area: Range) -> bool:
    return area.top <= at[0] <= area.bottom and area.left <= at[1] <= area.right


def _told(error: SgdSheetError) -> Message:
    """An error as the page gets it."""
    return {"message": str(error), "cell": error.cell, "cause": error.cause, "remedy": error.remedy}
