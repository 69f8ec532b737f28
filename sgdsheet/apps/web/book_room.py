"""The pages that look at one workbook, and what keeps them up to date. All of it happens in the server's event loop."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable
from typing import Any, Protocol

from sgdsheet.apps.web.served_book import ServedBook
from sgdsheet.errors import SgdSheetError
from sgdsheet.hosts.web.book_events import Event
from sgdsheet.live.ipc.worker import load
from sgdsheet.live.run.status import IDLE, TRAINING

log = logging.getLogger("sgdsheet.web")

_BEAT = 0.05
"""Seconds between two looks at the trainer's status."""
_STATUS_EVERY = 0.12
"""Seconds between two steps of a run that goes on which pages are told of."""
_GRADIENTS_EVERY = 0.4
"""Seconds between two looks at the gradients of a run that goes on."""
_QUIET, _LONG_QUIET = 0.15, 0.8
"""Seconds without a change after which gradients are looked at, and after which a model is diagnosed."""
_FILE_EVERY = 2.0
"""Seconds between two looks at the file on disk."""
_MOST_PARAMETERS = 20_000
"""Parameters of which the gradients are shown without being asked for."""
_MOST_IN_A_RUN = 500
"""Parameters of which the gradients are shown while they are trained: training waits while they are calculated."""


class Member(Protocol):
    """A page as the room sees it. `due` may be called with the same word again and again: it must cost nothing."""

    def due(self, what: str) -> None:
        """Something of this kind is to be sent: `book`, `cells`, `status`, `history`, `gradients` and so on."""
        ...

    def say(self, message: dict[str, Any]) -> None:
        """Send a message once."""
        ...

    @property
    def sheet(self) -> str | None:
        """The sheet that the page shows."""
        ...


class BookRoom:
    """One workbook and the pages that show it."""

    def __init__(self, served: ServedBook) -> None:
        self.served = served
        self.status: dict[str, Any] = {}
        self.file_changed = False
        self._members: list[Member] = []
        self._tasks: list[asyncio.Task[None]] = []
        self._unsubscribe: Callable[[], None] | None = None
        self._looked: dict[str, tuple[int, float]] = {}
        """The version that gradients were last looked at by sheet, and when."""
        self._diagnosed: dict[str, int] = {}
        self._changed_at = self._told_at = 0.0
        self._prepared = False
        self._preparing: asyncio.Task[None] | None = None

    def join(self, member: Member) -> None:
        """A page has come."""
        self._members.append(member)
        self._take(self.served.status())
        if not self._tasks:
            loop = asyncio.get_running_loop()

            def heard(event: Event) -> None:
                loop.call_soon_threadsafe(self._heard, event)

            self._unsubscribe = self.served.book.subscribe(heard)
            self._tasks = [asyncio.create_task(task) for task in (self._follow(), self._look(), self._watch_file())]

    def leave(self, member: Member) -> None:
        """A page has gone. What the trainer does goes on without pages."""
        self._members.remove(member)
        if not self._members:
            for task in self._tasks:
                task.cancel()
            self._tasks = []
            if self._unsubscribe is not None:
                self._unsubscribe()

    def shown(self) -> None:
        """The first cells are out: load what calculates, which takes seconds."""
        if not self._prepared:
            self._prepared = True
            asyncio.get_running_loop().run_in_executor(None, load)
            self._preparing = asyncio.create_task(self._prepare())

    async def _prepare(self) -> None:
        """Calculate what is missing, and take up what was left unsaved."""
        prepared = self.served.book.prepare()
        await asyncio.to_thread(prepared.join)
        try:
            taken = await asyncio.to_thread(self.served.take_up)
        except SgdSheetError as error:
            self._say(f"What was not saved last time cannot be taken up: {error}", "warning")
            return
        if taken:
            self.all_due("book")

    def _say(self, text: str, level: str) -> None:
        for member in self._members:
            member.say({"type": "message", "text": text, "level": level, "cell": None})

    def all_due(self, what: str) -> None:
        """Something is to be sent to all pages."""
        for member in self._members:
            member.due(what)

    # --- what happens -------------------------------------------------------------------------------------

    def _heard(self, event: Event) -> None:
        """An event of the workbook."""
        if event.kind in ("cells", "uncalculated"):
            self._changed_at = time.monotonic()
            self.served.follow_path()
            self.all_due("cells")
            self.all_due("charts")
            if self.served.traced is not None:
                self.all_due("path")
        elif event.kind in ("names", "sheets"):
            self._changed_at = time.monotonic()
            self.all_due("book")
            self.all_due("cells")
        elif event.kind == "saved" and self.served.recovered is not None:
            self.all_due("book")
        elif event.kind in ("saved", "history"):
            self.all_due("state")
        elif event.kind == "message":
            self._say(event.text, "info")

    async def _follow(self) -> None:
        """Tell what the trainer does."""
        while True:
            status = self.served.status()
            await asyncio.sleep(0)  # what was written to cells before is heard of first
            self._take(status)
            if self.served.follow_run():
                self.all_due("history")
            await asyncio.sleep(_BEAT)

    def look_at_status(self) -> None:
        """Take note at once of a run that has begun: pages hear of it before they get its cells."""
        status = self.served.status()
        if status["state"] != IDLE:
            self._take(status)

    def _take(self, status: dict[str, Any]) -> None:
        now, before = time.monotonic(), self.status.get("state")
        goes_on = status["state"] == TRAINING == before
        if status == self.status or (goes_on and now - self._told_at < _STATUS_EVERY):
            return
        ended = before in (TRAINING, "starting") and status["state"] == IDLE
        self.status, self._told_at = status, now
        self.all_due("status")
        if ended:
            self._ended(status)

    def _ended(self, status: dict[str, Any]) -> None:
        self._changed_at = time.monotonic()
        self._diagnosed.clear()
        level = "error" if status.get("failed") else "info"
        if status.get("message"):
            self._say(status["message"], level)

    async def _look(self) -> None:
        """Have gradients and findings calculated for the sheets that are shown, when there is time for it."""
        while True:
            await asyncio.sleep(_BEAT)
            if not self._prepared:
                continue
            try:
                for sheet in {member.sheet for member in self._members if member.sheet is not None}:
                    await self._look_at(sheet)
            except SgdSheetError as error:
                log.info("%s", error)
            except Exception:
                log.exception("looking at the model")
                await asyncio.sleep(5.0)

    async def _look_at(self, sheet: str) -> None:
        served, now, version = self.served, time.monotonic(), self.served.book.version
        known, looked_at = self._looked.get(sheet, (-1, 0.0))
        state = self.status.get("state")
        if state not in (IDLE, TRAINING) or known == version:
            if state == IDLE and now - self._changed_at > _LONG_QUIET and self._diagnosed.get(sheet) != version:
                await self._diagnose(sheet, version)
            return
        pause = _GRADIENTS_EVERY if state == TRAINING else _QUIET
        if now - (looked_at if state == TRAINING else self._changed_at) < pause:
            return
        if state == TRAINING and self.served.run_sheet != sheet:
            return
        problem = await asyncio.to_thread(served.problem, sheet)
        most = _MOST_IN_A_RUN if state == TRAINING else _MOST_PARAMETERS
        if problem is None or problem.parameter_count > most:
            changed = bool(served.gradients.pop(sheet, None))
        else:
            changed = await asyncio.to_thread(served.look_at_gradients, sheet)
        self._looked[sheet] = version, time.monotonic()
        if changed:
            self.all_due("gradients")

    async def _diagnose(self, sheet: str, version: int) -> None:
        self._diagnosed[sheet] = version
        if await asyncio.to_thread(self.served.problem, sheet) is None:
            changed = bool(self.served.findings.pop(sheet, None))
        else:
            changed = await asyncio.to_thread(self.served.look_for_findings, sheet)
        if changed:
            self.all_due("findings")

    async def _watch_file(self) -> None:
        """Tell when another program has changed the file."""
        while True:
            changed = await asyncio.to_thread(self.served.changed_on_disk)
            if changed != self.file_changed:
                self.file_changed = changed
                self.all_due("file")
            await asyncio.sleep(_FILE_EVERY)
