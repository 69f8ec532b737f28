"""Keeps a program's buttons in step with the training: what cannot be pressed now is grey."""

from __future__ import annotations

import logging
from collections.abc import Callable

from sgdsheet.live.commands import COMMANDS
from sgdsheet.live.run.status import IDLE, STARTING

RETRY = 0.5
"""Seconds until a program that is busy is told again."""

_MOST_TRIES = 240

log = logging.getLogger("sgdsheet.live")

Tell = Callable[[str], bool]
"""Tells a state; False if the program is busy."""


class Buttons:
    """Belongs to the workbook's thread. A program that cannot be told does no harm to the training."""

    def __init__(self, tell: Tell) -> None:
        self._tell = tell
        self._told = IDLE
        self._tries = 0

    def after(self, command: str) -> None:
        """Buttons and boxes may depend on what a command wrote: the next `follow` tells the state, even an old one."""
        if COMMANDS[command].writes:
            self._told = ""

    def follow(self, state: str) -> None:
        """Tell the program of a state that it does not know yet."""
        if not self._owed(state):
            return
        try:
            told = self._tell(state)
        except Exception:
            log.exception("the buttons")
            told = True
        self._tries = 0 if told else self._tries + 1
        if told or self._tries >= _MOST_TRIES:
            self._told, self._tries = state, 0

    def due(self, state: str) -> float | None:
        """Seconds until the next try; None if the program knows all."""
        return RETRY if self._owed(state) else None

    def _owed(self, state: str) -> bool:
        return state not in (self._told, STARTING)
