"""What a kind of workbook file must offer, so that `FileHost` can read it and save values into it."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import NamedTuple, Protocol

from sgdsheet.sheet.workbook import Position, Value, Workbook
from sgdsheet.train.logbook import Record

Changes = Mapping[str, Mapping[Position, Value | None]]
"""New values by the name of the sheet; None takes the saved value of a formula away."""


class TrainingLog(NamedTuple):
    """What the sheet `SGD log` shows."""

    records: Sequence[Record]
    title: str
    notes: tuple[str, ...]


class BookFile(Protocol):
    """A workbook file, held in memory from the first use on."""

    @property
    def data(self) -> bytes:
        """The bytes that were read."""
        ...

    def read(self) -> Workbook:
        """Values, formulas, names and tables. Raises FileError."""
        ...

    def sheets(self) -> Mapping[str, bool]:
        """The sheets by name, and whether they have cells that can be written."""
        ...

    def saved(self, changes: Changes, replaced: Mapping[str, Collection[Position]], log: TrainingLog | None) -> bytes:
        """The file with new values; the formulas of the cells in `replaced` give way to them.

        Everything else stays byte for byte, but for the sheet `SGD log`, which is put in if there is a log.
        """
        ...
