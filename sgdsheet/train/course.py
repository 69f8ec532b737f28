"""What a run's validation losses did: whether they rose while the training losses fell."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from statistics import fmean

import numpy as np

_MOST = 2_000
"""Looks that are kept; of more, every second, fourth, … one."""
_FEWEST = 6
_WINDOW = 12  # of the looks, one part in so many is averaged
_LATEST = 0.8  # of the run: a best place after that is no rise yet
_RISE = 0.02  # of the best validation loss, or of what was gained until then
_TREND = 4.0  # standard deviations of what Kendall's rank correlation is by chance
_NEARLY_ALL = 0.95  # of the largest that it can be, where the looks are few


@dataclass(slots=True)
class Course:
    """The objectives over the training and the validation rows at the end of each epoch, and at which step."""

    looks: list[tuple[int, float, float]] = field(default_factory=list)
    _stride: int = 1
    _seen: int = 0
    _sum: float = 0.0
    _count: int = 0

    def trained(self, objective: float) -> None:
        """Take note of a step's objective."""
        if math.isfinite(objective):
            self._sum, self._count = self._sum + objective, self._count + 1

    def looked(self, step: int, objective: float) -> None:
        """Take note of what the validation rows say after so many steps."""
        training = self._sum / self._count if self._count else math.nan
        self._sum, self._count = 0.0, 0
        if self._seen % self._stride == 0 and math.isfinite(objective):
            self.looks.append((step, training, objective))
            if len(self.looks) > _MOST:
                del self.looks[1::2]
                self._stride *= 2
        self._seen += 1

    def rose_after(self) -> int | None:
        """After which step the validation loss rose for good, while training went on to fall; None if it did not.

        Averages are compared, so that noise does not look like a rise.
        """
        if len(self.looks) < _FEWEST:
            return None
        steps, training, validation = ([look[part] for look in self.looks] for part in range(3))
        width = max(1, len(self.looks) // _WINDOW)
        smooth = _averages(validation, width)
        best = min(range(len(smooth)), key=smooth.__getitem__)
        if best > _LATEST * (len(smooth) - 1):
            return None
        end, low = fmean(validation[-width:]), smooth[best]
        gained = max(smooth[0] - low, 0.0)
        if end - low <= _RISE * max(abs(low), gained) or not _climbs(validation[best + 1 :]):
            return None
        fell = _averages(training, width)
        return int(steps[best]) if fell[-1] < fell[best] else None


def _averages(numbers: list[float], width: int) -> list[float]:
    """The average of each number and its neighbours."""
    half = width // 2
    return [fmean(numbers[max(0, at - half) : at + half + 1]) for at in range(len(numbers))]


def _climbs(numbers: list[float]) -> bool:
    """Whether later numbers are larger more often than chance explains (Mann and Kendall)."""
    count = len(numbers)
    if count < _FEWEST:
        return False
    values = np.asarray(numbers)
    pairs = sum(int(np.sign(values[at + 1 :] - values[at]).sum()) for at in range(count - 1))
    deviation = math.sqrt(count * (count - 1) * (2 * count + 5) / 18)
    most = count * (count - 1) / 2
    return pairs >= min(_TREND * deviation, _NEARLY_ALL * most)
