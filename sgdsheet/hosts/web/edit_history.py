"""What was changed in an open workbook, in order: what a person typed, and what commands of training wrote."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from sgdsheet.sheet.references import Cell
from sgdsheet.sheet.workbook import Formula, Value

_MOST = 200
"""Changes that are kept; the oldest are dropped first."""

Content = Value | Formula | None
"""What a cell holds: a value, a formula, or nothing."""


@dataclass(slots=True)
class Change:
    """One change: what the cells held before it, and after it. `command` tells a command's from a person's."""

    label: str
    before: dict[Cell, Content]
    after: dict[Cell, Content]
    command: bool = False


@dataclass(slots=True)
class EditHistory:
    """The changes that can be taken back (the newest last), and those that were taken back and can be made again."""

    done: list[Change] = field(default_factory=list)
    undone: list[Change] = field(default_factory=list)
    _running: Change | None = None
    """The change of a command that goes on writing, as training does."""

    def add(self, change: Change) -> None:
        """Note a change that is made now."""
        self.done.append(change)
        del self.done[:-_MOST]
        self.undone.clear()

    def wrote(self, before: Mapping[Cell, Content], after: Mapping[Cell, Value], *, going_on: bool) -> None:
        """Note that a command has written. While it is `going_on`, all that it writes is one change.

        A command that writes back what stood there before the newest change takes that change back.
        """
        now = {cell: None if value == "" else value for cell, value in after.items()}
        running = self._running
        if running is not None and running in self.done:
            running.before.update((cell, value) for cell, value in before.items() if cell not in running.before)
            running.after.update(now)
            return
        newest = self.done[-1] if self.done else None
        if newest is not None and newest.command and newest.before == now:
            self.undone.append(self.done.pop())
            return
        self.add(Change("training", dict(before), dict(now), command=True))
        self._running = self.done[-1] if going_on else None

    def ended(self) -> None:
        """Note that no command goes on writing."""
        self._running = None
