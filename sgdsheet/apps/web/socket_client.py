"""One page that is connected: what it asks, and what it is sent, never more than it takes.

What a page is to be sent is a set of words (`due`), not a queue of messages: however slow a page is, each kind of thing
waits for it once, and it gets the newest.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import math
import time
from collections import deque
from collections.abc import Iterable, Mapping
from typing import Any

from starlette.websockets import WebSocket, WebSocketDisconnect

from sgdsheet.apps.web.book_message import book_message
from sgdsheet.apps.web.book_room import BookRoom
from sgdsheet.apps.web.live_curves import SentCurve
from sgdsheet.apps.web.page_requests import REQUESTS, sheet_of
from sgdsheet.apps.web.sheet_view import MOST_CELLS, NOTHING, Entry, SheetView, area_of
from sgdsheet.errors import SettingError, SgdSheetError, quoted
from sgdsheet.live.run.status import IDLE
from sgdsheet.sheet.references import Range
from sgdsheet.sheet.workbook import Position

log = logging.getLogger("sgdsheet.web")

_LARGEST = 1 << 20
"""Characters of a message that does not paste anything."""
_MOST_WAITING = 50
"""Messages for people that wait for a slow page; the oldest are dropped first."""
_MOST_ASKED = 16
"""Requests of one page that are being done at once."""
_PAUSES = {"cells": 1 / 40, "charts": 1 / 8, "history": 1 / 8, "path": 1 / 8}
"""Seconds between two messages of this kind, at least."""

_AGAIN = 0.4
"""Seconds after which conditional formats are looked at again that could not be calculated at once."""

_ORDER = ("status", "book", "state", "file", "cells", "gradients", "findings", "charts", "history", "path")
"""The kinds of what is due, in the order in which they are sent."""

_MALFORMED = "Reload the page; if that does not help, update sgdsheet"

Message = dict[str, Any]


class SocketClient:
    """The server's end of one page's connection."""

    def __init__(self, room: BookRoom, socket: WebSocket) -> None:
        self._room, self._served, self._socket = room, room.served, socket
        self._area: Range | None = None
        self._sheet_view: SheetView | None = None
        self._fresh = True
        self._shown: dict[Position, Entry] = {}
        self._version = self._acknowledged = 0
        self._curves: dict[str, SentCurve] = {}
        self._charts: dict[str, Any] = {}
        self._due = {"book", "status", "file"}
        self._waiting: deque[Message] = deque(maxlen=_MOST_WAITING)
        self._wake = asyncio.Event()
        self._sending = asyncio.Lock()
        self._sent_at = dict.fromkeys(_PAUSES, 0.0)
        self._asked: set[asyncio.Task[None]] = set()
        self._order = asyncio.Lock()

    @property
    def sheet(self) -> str | None:
        return self._area.sheet if self._area is not None else None

    def due(self, what: str) -> None:
        self._due.add(what)
        self._wake.set()

    def say(self, message: Message) -> None:
        self._waiting.append(message)
        self._wake.set()

    async def run(self) -> None:
        """Serve the page until it goes away."""
        await self._socket.accept()
        self._room.join(self)
        sender = asyncio.create_task(self._keep_sending())
        self._wake.set()
        try:
            while True:
                text = await self._socket.receive_text()
                while len(self._asked) >= _MOST_ASKED:
                    await asyncio.wait(self._asked, return_when=asyncio.FIRST_COMPLETED)
                self._receive(text)
        except (WebSocketDisconnect, KeyError, RuntimeError):  # KeyError: bytes instead of a text
            pass
        finally:
            sender.cancel()
            self._room.leave(self)

    # --- what the page asks -------------------------------------------------------------------------------

    def _receive(self, text: str) -> None:
        """Do what one message asks, in its turn."""
        try:
            message: Any = json.loads(text)
            if not isinstance(message, dict) or not isinstance(name := message.get("type"), str):
                raise ValueError("a message is an object with a type")
            if len(text) > _LARGEST and name != "edit":
                raise ValueError("it is too long")
            if name == "ack":
                self._ack(message)
                return
        except (ValueError, RecursionError) as error:
            message, name = {"malformed": str(error)}, ""
        task = asyncio.create_task(self._answer(name, message))
        self._asked.add(task)
        task.add_done_callback(self._asked.discard)

    async def _answer(self, name: str, message: Message) -> None:
        id = message.get("id")
        try:
            reply = await self._done(name, message)
        except ValueError as error:
            reply = _refusal(SettingError(f"the request is malformed: {error}", remedy=_MALFORMED))
        except SgdSheetError as error:
            reply = _refusal(error)
        except Exception:
            log.exception("a request: %s", name)
            reply = _refusal(SettingError("this went wrong inside sgdsheet", remedy="Please tell us what you did"))
        if id is not None or not reply["ok"]:
            with contextlib.suppress(WebSocketDisconnect, RuntimeError):
                await self._send({"type": "reply", "id": id, **reply})

    async def _done(self, name: str, message: Message) -> Message:
        if "malformed" in message and not name:
            raise ValueError(message["malformed"])
        if name == "ping":
            return {"ok": True}
        if name == "view":
            await self._view(message)
            return {"ok": True}
        if name not in REQUESTS:
            raise SettingError(f"{quoted(name)} cannot be asked for", remedy=_MALFORMED)
        if name in ("edit", "fill", "widths", "undo", "redo", "settings"):
            async with self._order:  # as they were typed
                reply = await asyncio.to_thread(REQUESTS[name], self._served, message)
        else:
            reply = await asyncio.to_thread(REQUESTS[name], self._served, message)
        if name in ("edit", "undo", "redo"):
            self._room.all_due("cells")  # formats of typed dates and amounts come after the values
        if name == "settings":
            self._room.all_due("book")
        if name == "command" and message.get("name") == "step":
            self._room.all_due("history")
        return _told(reply)

    async def _view(self, message: Message) -> None:
        """Show another area, or another sheet."""
        area = area_of(sheet_of(self._served, message), message.get("area"))
        if area.size > MOST_CELLS:
            raise ValueError("the area is too large")
        if self._area is None or area.sheet != self._area.sheet:
            self._sheet_view = await asyncio.to_thread(self._served.view, area.sheet)
            self._due |= {"charts", "history", "gradients", "findings"}
            self._charts.pop(area.sheet, None)
        self._fresh = self._fresh or area != self._area
        self._area = area
        self._acknowledged = self._version  # who looks elsewhere has drawn what was there, or does not need it
        self.due("cells")

    def _ack(self, message: Message) -> None:
        version = message.get("version")
        if type(version) is not int:
            raise ValueError("a version is a whole number")
        self._acknowledged = max(self._acknowledged, min(version, self._version))
        self._wake.set()

    # --- what the page is sent ----------------------------------------------------------------------------

    async def _keep_sending(self) -> None:
        """Send what is due, the newest of each kind."""
        try:
            while True:
                wait = self._next_wait()
                if wait:
                    with contextlib.suppress(asyncio.TimeoutError):
                        await asyncio.wait_for(self._wake.wait(), None if math.isinf(wait) else wait)
                self._wake.clear()
                while self._waiting:
                    await self._send(self._waiting.popleft())
                for what in _ORDER:
                    if what in self._due and self._may_send(what):
                        await self._send_due(what)
        except (WebSocketDisconnect, RuntimeError):  # the page has gone
            pass
        except Exception:
            log.exception("sending to a page")
            await self._socket.close(1011)

    def _next_wait(self) -> float:
        """Seconds until something may be sent that has to wait only for its time; infinity if nothing has."""
        if "status" in self._due and self._may_send("status"):  # it has waited for cells, and there was nothing to send
            return 0.0
        now, found = time.monotonic(), math.inf
        for what, pause in _PAUSES.items():
            if what in self._due and self._takes(what):
                found = min(found, max(0.0, self._sent_at[what] + pause - now))
        return found

    def _takes(self, what: str) -> bool:
        """Whether the page can be sent this: cells, and what goes with them, when it has drawn what it got last."""
        drawn = self._area is not None and self._acknowledged >= self._version
        return drawn or what not in _PAUSES or what == "history"

    def _may_send(self, what: str) -> bool:
        if what == "status" and self._room.status["state"] == IDLE and self._area is not None and "cells" in self._due:
            return False  # whoever sees that training has ended sees what it came to
        pause = _PAUSES.get(what, 0.0)
        rested = not pause or time.monotonic() - self._sent_at[what] >= pause - 1e-3
        return rested and self._takes(what)

    async def _send_due(self, what: str) -> None:
        self._due.discard(what)
        sheet = self.sheet
        if what == "book":
            await self._send(await asyncio.to_thread(book_message, self._served))
        elif what == "state":
            book = self._served.book
            state = {"saved": not book.dirty, "can_undo": book.can_undo, "can_redo": book.can_redo}
            await self._send({"type": "state", **state})
        elif what == "status":
            await self._send({"type": "status", **self._room.status, "sheet": self._served.run_sheet})
        elif what == "file":
            await self._send({"type": "file", "changed": self._room.file_changed})
        elif what == "cells":
            await self._send_cells()
        elif what == "history":
            await self._send_history()
        elif sheet is None:
            return
        elif what == "gradients":
            await self._send({"type": "gradients", "sheet": sheet, "cells": self._served.gradients.get(sheet, [])})
        elif what == "findings":
            await self._send({"type": "findings", "sheet": sheet, "findings": self._served.findings.get(sheet, [])})
        elif what == "charts":
            await self._send_charts(sheet)
        elif what == "path" and self._served.traced is not None:
            self._sent_at["path"] = time.monotonic()
            cells = [list(cell[1:]) for cell in self._served.traced]
            sheet = self._served.traced[0].sheet
            await self._send({"type": "path", "sheet": sheet, "cells": cells, "points": list(self._served.path)})

    async def _send_cells(self) -> None:
        """Send the cells in view, all of them or what has changed."""
        view, area, full = self._sheet_view, self._area, self._fresh
        if view is None or area is None:
            return
        shown = await asyncio.to_thread(view.entries, area, self._served.book.uncalculated_in)
        if area != self._area:
            self._due.add("cells")
            self._wake.set()
            return
        if view.is_behind:
            asyncio.get_running_loop().call_later(_AGAIN, self.due, "cells")
        self._fresh = False
        news = _news({} if full else self._shown, shown, view)
        self._shown = shown
        if full or any(news.values()):
            self._room.look_at_status()
            if "status" in self._due and self._room.status["state"] != IDLE:  # no cell of a run comes before it
                await self._send_due("status")
            self._version += 1
            self._sent_at["cells"] = time.monotonic()
            head = {"type": "cells", "version": self._version, "sheet": area.sheet, "area": list(area[1:])}
            await self._send({**head, "full": full, **news})
            self._room.shown()

    async def _send_history(self) -> None:
        self._sent_at["history"] = time.monotonic()
        for sheet, curve in list(self._served.curves.items()):
            news = self._curves.setdefault(sheet, SentCurve()).news(sheet, curve)
            if news is not None:
                await self._send(news)

    async def _send_charts(self, sheet: str) -> None:
        charts = await asyncio.to_thread(self._served.charts, sheet)
        self._sent_at["charts"] = time.monotonic()
        if self._charts.get(sheet) != charts:
            self._charts[sheet] = charts
            await self._send({"type": "charts", "sheet": sheet, "charts": charts})

    async def _send(self, message: Message) -> None:
        try:
            text = json.dumps(message, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
        except ValueError:
            text = json.dumps(_finite(message), ensure_ascii=False, separators=(",", ":"))
        async with self._sending:
            await self._socket.send_text(text)


def _news(before: Mapping[Position, Entry], now: Mapping[Position, Entry], view: SheetView) -> dict[str, list[Any]]:
    """What a page that has the cells `before` lacks. The view knows what has changed since its look before the last.

    Pixels of pictures come in `pixels` as row, column, style and colour, one after the other; other cells in `cells`.
    """
    places: Iterable[Position] = view.different if before is view.base else before.keys() | now.keys()
    cells: list[list[Any]] = []
    pixels: list[int] = []
    for at in places:
        entry = now.get(at, NOTHING)
        if before.get(at) == entry or (entry is NOTHING and at not in before):
            continue
        if len(entry) == 4 and not entry[0] and entry[1] == "n" and len(entry[3]) == 1 and "fill" in entry[3]:
            pixels += (*at, entry[2], int(entry[3]["fill"][1:], 16))
        else:
            cells.append([*at, *entry])
    return {"cells": cells, "pixels": pixels} if pixels else {"cells": cells}


def _finite(value: Any) -> Any:
    """A message with None for the numbers that JSON does not have."""
    if isinstance(value, dict):
        return {key: _finite(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _told(reply: Message) -> Message:
    """A reply as the page gets it: the trainer's refusals look like all others."""
    if reply.get("ok", True):
        return {**reply, "ok": True}
    text = str(reply.get("error", ""))
    return {**reply, "error": {"message": text, "cell": None, "cause": text, "remedy": ""}}


def _refusal(error: SgdSheetError) -> Message:
    return {
        "ok": False,
        "error": {"message": str(error), "cell": error.cell, "cause": error.cause, "remedy": error.remedy},
    }
