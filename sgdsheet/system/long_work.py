"""Work that may take long, such as reading and compiling a workbook: what is being done, and how a person ends it.

Whoever begins such work makes a `LongWork` and does it `under` that. The code that does it says with `stage` what it is
doing, and passes a `checkpoint` wherever it can be ended without leaving something half done.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from time import monotonic

from sgdsheet.errors import Interrupted

UNNOTICED = 1.0
"""Seconds that work may take without being shown. What takes less is not ended, either: it is over before."""
_SHOWN_EVERY = 0.25
"""Seconds between two looks at how much of a stage is done, at least: showing it takes time."""


class LongWork:
    """One piece of work, in one thread; other threads may read `text` and call `stop`.

    `show` is called in the thread that works, at a checkpoint, with what is being done, and with an empty text when
    that is over. The time counts from when this was made: work that had to wait for other work is shown at once.
    """

    def __init__(self, show: Callable[[str], None] | None = None) -> None:
        self.show = show
        self._began = monotonic()
        self.what = ""
        """The present stage; empty between two of them."""
        self.share: float | None = None
        """How much of the present stage is done, from 0 to 1; None if that is not known."""
        self._shown = ""
        self._span = (0.0, 1.0)
        self._shown_at = -math.inf
        self._stopped = False
        self._kept = 0

    @property
    def text(self) -> str:
        """What is being done, once the work takes longer than a second; empty before that and between two stages."""
        return self._line if self._is_long else ""

    @property
    def _line(self) -> str:
        if not self.what:
            return ""
        share = self.share
        return f"{self.what} …" if share is None else f"{self.what} … {100 * share:.0f} %"

    @property
    def _is_long(self) -> bool:
        return monotonic() - self._began >= UNNOTICED

    def stop(self) -> None:
        """End the work at its next checkpoint, unless it is short or writes already."""
        self._stopped = True

    def keep(self) -> None:
        """Do the work to its end from now on, because it writes."""
        self._kept += 1

    @contextmanager
    def kept(self) -> Iterator[None]:
        """A part of the work that is done to its end, because half of it would be wrong."""
        self._kept += 1
        try:
            yield
        finally:
            self._kept -= 1

    @contextmanager
    def under(self) -> Iterator[None]:
        """What is done inside, in this thread, is this work. Raises Interrupted if it was stopped."""
        token = _WORK.set(self)
        try:
            yield
        finally:
            _WORK.reset(token)

    @contextmanager
    def stage(self, what: str, *, at_once: bool = False) -> Iterator[None]:
        """Do one part of the work, which is called `what`. It is shown `at_once` if it is known to take long."""
        before, self.what, self.share, self._span = (self.what, self.share, self._span), what, None, (0.0, 1.0)
        try:
            if at_once:
                self._tell(self._line)
            self.checkpoint()
            yield
            self.checkpoint()
        finally:
            self.what, self.share, self._span = before
            if self._shown and not self.what:
                self._tell("")

    def checkpoint(self) -> None:
        """Say what is being done if that has taken long by now. Raises Interrupted if the work was stopped."""
        if not self._is_long:
            return
        if self._stopped and not self._kept:
            raise Interrupted(f"stopped while {self.what}: nothing was written" if self.what else "stopped")
        line = self._line
        if line == self._shown:
            return
        if not self._shown.startswith(self.what) or monotonic() - self._shown_at >= _SHOWN_EVERY:
            self._tell(line)

    def done(self, share: float) -> None:
        """Note how much of the present part is done, from 0 to 1. Raises Interrupted if the work was stopped."""
        start, end = self._span
        self.share = start + share * (end - start)
        self.checkpoint()

    @contextmanager
    def part(self, start: float, end: float) -> Iterator[None]:
        """A part of the present stage, between two shares of it."""
        before, self._span = self._span, (start, end)
        try:
            yield
        finally:
            self._span = before

    def _tell(self, text: str) -> None:
        self._shown, self._shown_at = text, monotonic()
        if self.show is not None:
            self.show(text)


_WORK: ContextVar[LongWork | None] = ContextVar("sgdsheet_long_work", default=None)


@contextmanager
def stage(what: str, *, at_once: bool = False) -> Iterator[None]:
    """Do one part of the work that goes on in this thread, if any does. `what` is “reading the workbook” and the like.

    It is shown once the work has taken a second, or `at_once`.
    Raises Interrupted if the work was stopped.
    """
    work = _WORK.get()
    if work is None:
        yield
        return
    with work.stage(what, at_once=at_once):
        yield


@contextmanager
def kept() -> Iterator[None]:
    """A part of the work that goes on in this thread that is done to its end, because half of it would be wrong."""
    work = _WORK.get()
    if work is None:
        yield
        return
    with work.kept():
        yield


def checkpoint() -> None:
    """A place at which the work that goes on in this thread can end. Raises Interrupted if it was stopped."""
    work = _WORK.get()
    if work is not None:
        work.checkpoint()


@contextmanager
def part(start: float, end: float) -> Iterator[None]:
    """A part of the stage that goes on in this thread, between two shares of it."""
    work = _WORK.get()
    if work is None:
        yield
        return
    with work.part(start, end):
        yield


def done(share: float) -> None:
    """Note how much, from 0 to 1, of what goes on in this thread is done; a `checkpoint` as well."""
    work = _WORK.get()
    if work is not None:
        work.done(share)
