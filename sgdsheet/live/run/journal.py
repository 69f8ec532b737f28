"""The steps of a run that its log sheet shows while it grows: every n-th, n doubling as the run gets longer."""

from __future__ import annotations

from sgdsheet.train.logbook import Record

ROOM = 600
"""Rows of the growing sheet: a chart of more takes long to draw anew."""


class Journal:
    """Written by the training thread, read by the workbook's; `thin` may only be called between two steps."""

    def __init__(self, room: int = ROOM) -> None:
        self.kept: list[Record] = []
        self.stride = 1
        self._room = room

    def wants(self, number: int) -> bool:
        """Whether the step of this number (from 1) is to be kept."""
        return (number - 1) % self.stride == 0

    def add(self, record: Record) -> None:
        """Keep a step; when the room is full, every second of those kept so far goes."""
        if len(self.kept) >= self._room:
            self.stride *= 2
            # A new list: whoever reads the old one meanwhile still sees whole rows.
            self.kept = [item for item in self.kept if item.step % self.stride == 0]
            if record.step % self.stride:
                return
        self.kept.append(record)
