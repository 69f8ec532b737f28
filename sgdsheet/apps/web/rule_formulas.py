"""Calculates the formulas of conditional formats for one page, in a small share of the time."""

from __future__ import annotations

import time
from collections.abc import Callable

from sgdsheet.sheet.appearance import LooseFormula
from sgdsheet.sheet.workbook import Position, Value

_SHARE = 0.1
"""The share of the time that this may take while cells change all the time."""

Found = list[dict[Position, Value]]


class RuleFormulas:
    """What formulas came to last. `calculate` gives None where nothing can be calculated at the moment."""

    def __init__(
        self, calculate: Callable[[tuple[LooseFormula, ...]], Found | None], version: Callable[[], int]
    ) -> None:
        self._calculate, self._version_now = calculate, version
        self._asked: tuple[LooseFormula, ...] = ()
        self._version = -1
        self._found: Found = []
        self._next = 0.0
        self.is_behind = False
        """Whether what was given last is older than the cells: it is to be asked for again."""

    def __call__(self, asked: tuple[LooseFormula, ...]) -> Found:
        """What the formulas come to; if it is not time for that yet, what they came to before."""
        version, now = self._version_now(), time.monotonic()
        same = asked == self._asked
        self.is_behind = False
        if same and version == self._version:
            return self._found
        if same and now < self._next:
            self.is_behind = True
            return self._found
        found = self._calculate(asked)
        if found is None:
            self.is_behind = True
            return self._found if same else []
        taken = time.monotonic() - now
        self._asked, self._version, self._found = asked, version, found
        self._next = now + taken / _SHARE
        return found
