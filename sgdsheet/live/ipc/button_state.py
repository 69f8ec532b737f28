"""Tells a spreadsheet program the state of training, by which it greys the buttons that cannot be pressed now."""

from __future__ import annotations

import logging
from collections.abc import Callable

from sgdsheet.live.commands import COMMANDS
from sgdsheet.live.run.status import IDLE, STARTING

RETRY = 0.5
"""Seconds between two attempts to tell a program that is busy."""

_MOST_TRIES = 240
"""Attempts after which a program is no longer told of a state: two minutes."""

log = logging.getLogger("sgdsheet.live")

SendState = Callable[[str], bool]
"""Tells the program a state; False if the program is busy."""


class ButtonState:
    """What the program has been told. Used in the workbook's thread only.

    An error of the program is logged, and does the training no harm.
    """

    def __init__(self, send: SendState) -> None:
        self._send = send
        self._told = IDLE
        self._tries = 0

    def after(self, command: str) -> None:
        """Note that a command is done. If it writes, the next `follow` tells the state again, even if it is the same:
        buttons and boxes may depend on what stands in the cells.
        """
        if COMMANDS[command].writes:
            self._told = ""

    def follow(self, state: str) -> None:
        """Tell the program this state, if it does not know it yet."""
        if not self._is_news(state):
            return
        try:
            told = self._send(state)
        except Exception:
            log.exception("the buttons")
            told = True
        self._tries = 0 if told else self._tries + 1
        if told or self._tries >= _MOST_TRIES:
            self._told, self._tries = state, 0

    def due(self, state: str) -> float | None:
        """Seconds until `follow` has to try again; None if the program knows this state."""
        return RETRY if self._is_news(state) else None

    def _is_news(self, state: str) -> bool:
        return state not in (self._told, STARTING)
