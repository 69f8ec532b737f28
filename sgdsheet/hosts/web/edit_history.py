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


@dataclass(frozen=True, slots=True)
class Widths:
    """The widths of columns of a sheet in pixels, before a change and after it."""

    sheet: str
    before: dict[int, int]
    after: dict[int, int]


@dataclass(slots=True)
class Change:
    """One change: what the cells held before it, and after it. `command` tells a command's from a person's.

    `widths` are columns of a sheet with their widths in pixels, before and after, where those were changed.
    """

    label: str
    before: dict[Cell, Content]
    after: dict[Cell, Content]
    command: bool = False
    widths: Widths | None = None


@dataclass(slots=True)
class EditHistory:
    """The changes that can be taken back (the newest last), and those that were taken back and can be made again."""

    done: list[Change] = field(default_factory=list)
    undone: list[Change] = field(default_factory=list)
    _running: Change | None = None
    """The change of a command that goes on writing, as training does."""
    _written: tuple[Cell, ...] = ()

    @property
    def goes_on(self) -> bool:
        """Whether a command goes on writing."""
        return self._running is not None

    def add(self, change: Change) -> None:
        """Note a change that is made now."""
        self.done.append(change)
        del self.done[:-_MOST]
        self.undone.clear()

    def knows(self, cells: tuple[Cell, ...]) -> bool:
        """Whether a command that goes on writing has written these cells last: what they held before is known."""
        running = self._running
        return running is not None and self._written == cells and any(change is running for change in self.done)

    def wrote(self, before: Mapping[Cell, Content], *, going_on: bool) -> None:
        """Note what cells held before a command wrote to them. While that is `going_on`, all of it is one change.

        What they hold after it is entered when the change is taken back.
        """
        running = self._running
        if running is not None and any(change is running for change in self.done):
            running.before.update((cell, value) for cell, value in before.items() if cell not in running.before)
        else:
            self.add(Change("training", dict(before), {}, command=True))
            self._running = self.done[-1] if going_on else None
        self._written = tuple(before)

    def taken_back(self, values: Mapping[Cell, Value], *, together: int = 1) -> int:
        """How many of the newest changes, which commands have made, writing these values takes back; 0 if none.

        A run that has paused is one command and several changes; at most `together` are taken back at once.
        """
        wanted = {cell: None if value == "" else value for cell, value in values.items()}
        for count, change in enumerate(reversed(self.done[-together:]), 1):
            if not change.command or change.before.keys() != wanted.keys():
                break
            if change.before == wanted:
                return count
        return 0

    def took_back(self, held: Mapping[Cell, Content], count: int = 1) -> Change:
        """Note that so many of the newest changes are taken back as one, and what its cells `held` until now."""
        del self.done[len(self.done) - count + 1 :]
        change = self.done.pop()
        change.after = dict(held)
        self.undone.append(change)
        return change

    def ended(self) -> None:
        """Note that no command goes on writing."""
        self._running = None
