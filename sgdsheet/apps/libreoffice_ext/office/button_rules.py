"""Which buttons are enabled while a workbook is trained, and who has to be told when that changes."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable

IDLE, STARTING, PAUSED = "idle", "starting", "paused"


class Button(NamedTuple):
    """A button, or an entry of a menu, in one window."""

    listener: Any
    """The object of the office that is told."""

    command: str
    book: Callable[[], str]
    """Gives the workbook in the window of the button."""

    tell: Callable[[bool], None]
    """Tells the button whether it is enabled."""


class ButtonRules:
    """The states of training of all workbooks, and the buttons in all windows.

    `rules` are those of `actions.rules`, by the name of the command.
    """

    def __init__(self, rules: dict[str, dict[str, Any]]) -> None:
        self._rules = rules
        self._states: dict[str, str] = {}
        self._buttons: list[Button] = []
        self._lock = threading.Lock()

    def shows(self, command: str) -> bool:
        """Whether a click on the command brings a sheet of ours to the front."""
        return bool(self._rules.get(command, {}).get("shows"))

    def enabled(self, command: str, book: str) -> bool:
        """Whether a command can be given now."""
        when, state = self._rules.get(command, {}).get("when", "always"), self._states.get(book, IDLE)
        if when == "training":
            return state != IDLE
        return when == "always" or state == IDLE or (command == "train" and state == PAUSED)

    def trained(self) -> list[str]:
        """The workbooks that are being trained, as far as is known."""
        return [book for book, state in self._states.items() if state != IDLE]

    def state(self, book: str) -> str:
        return self._states.get(book, IDLE)

    def set_state(self, book: str, state: str) -> None:
        """Note a workbook's state, and tell all its buttons."""
        self._states[book] = state
        with self._lock:
            buttons = list(self._buttons)
        for button in buttons:
            try:
                if button.book() == book:
                    button.tell(self.enabled(button.command, book))
            except Exception:  # its window is gone
                self.remove(button.listener, button.command)

    def add(self, button: Button) -> None:
        """Tell a button whether it can be pressed, now and whenever that changes."""
        with self._lock:
            self._buttons.append(button)
        button.tell(self.enabled(button.command, button.book()))

    def remove(self, listener: Any, command: str) -> None:
        """Tell a button no more."""
        with self._lock:
            self._buttons = [
                button for button in self._buttons if button.command != command or button.listener != listener
            ]
