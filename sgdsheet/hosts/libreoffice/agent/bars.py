"""Bars on top of a sheet: how a training goes, how it ended, and messages. Part of the agent.

A person can close a bar. Unlike the status bar, no other part of the office writes there.
"""

from __future__ import annotations

from typing import Any

from com.sun.star.beans import StringPair  # type: ignore[import-not-found]

OURS = "sgdsheet"
"""The name of the bar, and what stands before its text."""

ENDED = (
    "The program that trained this workbook has ended. The parameters are those that were shown last. Undo in the"
    " toolbar SGD, or sgdsheet attach --undo in a terminal, brings back those from before."
)

_TONES = {"info": 0, "warning": 2, "error": 3}  # com.sun.star.frame.InfobarType


class Bars:
    """The bars of an office's workbooks, one for each.

    `actions` are labels and addresses of buttons, by the name of the command; none where nobody answers these.
    """

    def __init__(self, actions: dict[str, tuple[str, str]] | None = None) -> None:
        self._actions = actions or {}
        self._trained: set[str] = set()
        """The workbooks that are being trained."""
        self._ended: set[str] = set()
        """The workbooks whose bar says how their training ended."""

    def trained(self) -> list[str]:
        """The workbooks of which the last thing that was heard is that they are being trained."""
        return list(self._trained)

    def follow(self, book: str, controller: Any, text: str, training: bool) -> None:
        """Show how a training goes. Its last text stays; one that a person has closed does not come again."""
        if training and text:
            if book not in self._trained:
                self.show(book, controller, text, "info", ("stop",))
                self._trained.add(book)
            elif controller.hasInfobar(OURS):
                controller.updateInfobar(OURS, OURS, text, _TONES["info"])
        elif book in self._trained:
            there = controller.hasInfobar(OURS)
            self._trained.discard(book)
            if there and text:
                self.show(book, controller, text, "info", ("undo",))
                self._ended.add(book)
            elif there:
                controller.removeInfobar(OURS)
        elif book in self._ended and text:  # something else was done since
            self._ended.discard(book)
            if controller.hasInfobar(OURS):
                controller.removeInfobar(OURS)

    def show(self, book: str, controller: Any, text: str, tone: str, actions: tuple[str, ...] = ()) -> None:
        """Show a message in place of what was there."""
        self._trained.discard(book)
        self._ended.discard(book)
        if controller.hasInfobar(OURS):
            controller.removeInfobar(OURS)
        buttons = tuple(StringPair(*self._actions[name]) for name in actions if name in self._actions)
        controller.appendInfobar(OURS, OURS, text, _TONES[tone], buttons, True)
