"""How often the sheet is refreshed: sixteen times a second, or less where that would slow the training down.

A training that takes all processors is slowed down by everything that a refresh makes others do: then ten times.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from statistics import median
from time import perf_counter

FASTEST = 1 / 16
"""Seconds between two refreshes, at least."""

GENTLE = 1 / 10.5
"""Seconds between two refreshes, at least, of a training that takes all processors."""

_SLOWEST = 2.0
"""Seconds between two refreshes, at most."""

_SHARE = 0.25
"""Share of the training's speed that refreshing may cost."""

_SMOOTHING = 0.7
"""Weight of the old value in the exponential moving averages of the speeds."""

_REMEMBERED = 7
"""Refreshes whose median length is the length of a refresh: a single long one, which read more than others, has no
effect on it."""

_LEAST, _MOST = 0.25, 1.0
"""Seconds over which the speed is measured, at least and at most."""


class RefreshTimer:
    """Says when to refresh, by comparing the speed of training during refreshes with the speed in between.

    `clock` gives seconds, and `fastest` is the time between two refreshes, at least.
    """

    def __init__(self, clock: Callable[[], float] = perf_counter) -> None:
        self._clock = clock
        self.fastest = FASTEST
        self._next = self._asked = clock()
        """When the next refresh is due, and when the last one was, which begins a little later if others are busy."""
        self._rate_inside: float | None = None
        self._rate_outside: float | None = None
        self._recent: deque[float] = deque(maxlen=_REMEMBERED)
        self._began: tuple[float, int] | None = None
        self._ended: tuple[float, int] | None = None

    @property
    def due(self) -> float:
        """Seconds until the next refresh."""
        return max(0.0, self._next - self._clock())

    def begin(self, step: int) -> None:
        """Note that a refresh begins, at this step of the training."""
        now = self._clock()
        self._asked = max(self._next, now - self.fastest / 2)
        if self._ended is not None:
            self._rate_outside = _blend(self._rate_outside, _rate(self._ended, (now, step)))
        self._began = (now, step)

    def end(self, step: int) -> None:
        """Note that the refresh has ended, at this step of the training."""
        now = self._clock()
        if self._began is None:  # it was restarted meanwhile
            return
        began = self._began[0]
        self._rate_inside = _blend(self._rate_inside, _rate(self._began, (now, step)))
        self._recent.append(now - began)
        self._ended = (now, step)
        self._next = max(min(self._asked, began) + self.interval, now)

    def restart(self) -> None:
        """Forget at which step the training was: it has paused or was changed."""
        self._began = self._ended = None
        self._next = self._clock()

    @property
    def interval(self) -> float:
        """Seconds from the start of a refresh to that of the next."""
        inside, outside = self._rate_inside, self._rate_outside
        if not inside or not outside or inside >= outside:
            lost = 0.0 if inside and outside else 0.5
        else:
            lost = 1 - inside / outside
        busy = median(self._recent) if self._recent else 0.0
        return min(_SLOWEST, max(self.fastest, busy * lost / _SHARE))


class StepRate:
    """Steps a second, over about the last second. `clock` gives seconds."""

    def __init__(self, clock: Callable[[], float] = perf_counter) -> None:
        self._clock = clock
        self._mark: tuple[float, int] | None = None

    def restart(self) -> None:
        """Forget at which step the training was."""
        self._mark = None

    def at(self, step: int) -> float | None:
        """Steps a second up to this step, which the training has reached; None until it was measured long enough."""
        now = self._clock()
        if self._mark is None or step < self._mark[1]:
            self._mark = (now, step)
        seconds, steps = now - self._mark[0], step - self._mark[1]
        if seconds <= _LEAST:
            return None
        if seconds > _MOST:
            self._mark = (now, step)
        return steps / seconds


def _rate(start: tuple[float, int], end: tuple[float, int]) -> float | None:
    seconds, steps = end[0] - start[0], end[1] - start[1]
    return steps / seconds if seconds > 1e-3 and steps >= 0 else None


def _blend(old: float | None, new: float | None) -> float | None:
    if old is None or new is None:
        return old if new is None else new
    return _SMOOTHING * old + (1 - _SMOOTHING) * new
