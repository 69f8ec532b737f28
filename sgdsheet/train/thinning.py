"""A few of many items, at equal distances: of a stream whose length nobody knows yet, or of a finished sequence."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Generic, TypeVar

Item = TypeVar("Item")


class ThinnedStream(Generic[Item]):
    """Every `stride`-th item of a stream, the first among them, and never more than `capacity` of them.

    The stride is 1 until the capacity is reached; then, and whenever it is reached again, every second of the kept
    items goes and the stride doubles. So at least half of the capacity is in use once it was reached. Adding costs
    the same however long the stream is. Raises ValueError for a capacity below 1.
    """

    def __init__(self, capacity: int) -> None:
        if capacity < 1:
            raise ValueError("a thinned stream keeps at least one item")
        self.capacity = capacity
        self.stride = 1
        self.kept: list[Item] = []
        """The kept items in their order. Thinning replaces the list, so a thread that reads it meanwhile sees all of
        the old one."""
        self._count = 0

    @property
    def due(self) -> bool:
        """Whether the next item may be kept. If not, it need not be made: `skip` is enough."""
        return self._count % self.stride == 0

    def add(self, item: Item) -> None:
        """Take the next item of the stream, and keep it if it is its turn."""
        if self.due and len(self.kept) >= self.capacity:
            self.kept = self.kept[::2]
            self.stride *= 2
        if self.due:
            self.kept.append(item)
        self._count += 1

    def skip(self) -> None:
        """Count the next item of the stream, which is not `due`."""
        self._count += 1


def evenly_spaced(items: Sequence[Item], count: int) -> list[Item]:
    """`count` of the items at equal distances, the first and (of two or more) the last among them; all if fewer."""
    if count >= len(items):
        return list(items)
    last = len(items) - 1
    return [items[round(place * last / max(1, count - 1))] for place in range(count)]
