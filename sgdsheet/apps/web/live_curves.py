"""The loss as it fell: of runs in the background, and of steps that were taken by hand."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from sgdsheet.train.logbook import Record
    from sgdsheet.train.thinning import ThinnedStream

Point = tuple[int, float, float | None, float | None]
"""Step, loss, validation loss and learning rate; None for what was not measured."""


class LossCurve:
    """The curve of one sheet: of its newest run, whose number is `run`."""

    def __init__(self) -> None:
        self.run = 0
        self.points: list[Point] = []
        """Replaced, not changed, when it is thinned: whoever holds the old list can go on reading it."""
        self._records: ThinnedStream[Record] | None = None
        self._kept: list[Record] | None = None

    def follow(self, records: ThinnedStream[Record]) -> bool:
        """Take what a run has written down since; whether that is anything."""
        if records is not self._records:
            self._begin()
            self._records = records
        kept = records.kept
        if kept is not self._kept:
            self._kept, self.points = kept, []
        fresh = kept[len(self.points) :]
        self.points += [(item.step, item.loss, item.valid_loss, item.learning_rate) for item in fresh]
        return bool(fresh)

    def stepped(self, step: int, loss: float) -> None:
        """Take note of a step by hand."""
        if self._records is not None or (self.points and step <= self.points[-1][0]):
            self._begin()
        self.points.append((step, loss, None, None))

    def _begin(self) -> None:
        self.run += 1
        self.points, self._records, self._kept = [], None, None


class SentCurve:
    """How much of a curve a page has."""

    def __init__(self) -> None:
        self._run, self._list, self._count = -1, list[Point](), 0

    def news(self, sheet: str, curve: LossCurve) -> dict[str, Any] | None:
        """The message with what the page lacks; None if it has all."""
        points = curve.points
        reset = curve.run != self._run or points is not self._list
        start = 0 if reset else self._count
        if not reset and start == len(points):
            return None
        self._run, self._list, self._count = curve.run, points, len(points)
        fresh = points[start : self._count]
        return {"type": "history", "sheet": sheet, "run": curve.run, "points": fresh, "reset": reset}
