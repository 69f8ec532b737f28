"""How many threads a step of training gets, where other programs want a processor now and then.

With all processors a step is fastest as long as the others do little: a thread that is kept waiting keeps all of them
waiting. Which it is depends on the machine at this moment, so it is tried now and then.
"""

from __future__ import annotations

_TRIAL = 0.4
"""Seconds of steps that one number of threads is judged by."""

_FIRST, _LONGEST = 2.0, 30.0
"""Seconds of steps between two trials of the other number: at first and after all processors were chosen, where others
may have been quiet by chance; and at most, after trials that have changed nothing, or ended with fewer."""

_BETTER = 0.85
"""Share of the time that a step takes with fewer which it must not exceed with all processors, to get them."""


class ThreadCount:
    """The threads of the next step: `most`, or less by `left` processors, whichever takes less time now.

    It begins with fewer, and stays there where one processor is all that there is to take.
    """

    def __init__(self, most: int, left: int = 0) -> None:
        self._fewer, self._most = max(1, most - left), most
        self._takes_all = False
        self._rest = self._pause = _FIRST
        """Seconds of steps until the next trial, and how many there are between two."""
        self._usual = 0.0
        """Seconds of a step with the usual number, while the other one is tried; else 0."""
        self._spent, self._taken = 0.0, 0
        """Seconds and steps of what is measured now, but for its first step."""

    @property
    def now(self) -> int:
        """The threads of the next step."""
        return self._most if self._takes_all else self._fewer

    def took(self, seconds: float) -> None:
        """Note how long a step took with `now` threads."""
        if self._fewer == self._most:
            return
        if self._rest > 0:
            self._rest -= seconds
            return
        self._taken += 1
        self._spent += seconds if self._taken > 1 else 0.0
        if self._spent < _TRIAL:
            return
        measured = self._spent / (self._taken - 1)
        self._spent, self._taken = 0.0, 0
        if not self._usual:
            self._usual = measured
            self._takes_all = not self._takes_all
            return
        fewer, most = (self._usual, measured) if self._takes_all else (measured, self._usual)
        tried_all, self._takes_all = self._takes_all, most <= _BETTER * fewer
        self._pause = _FIRST if tried_all and self._takes_all else min(_LONGEST, 2 * self._pause)
        self._rest, self._usual = self._pause, 0.0
