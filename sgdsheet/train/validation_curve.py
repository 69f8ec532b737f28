"""The validation losses of a run, and whether they rose while the training losses fell: overfitting."""

from __future__ import annotations

import math
from statistics import fmean

import numpy as np

from sgdsheet.train.thinning import ThinnedStream

_CAPACITY = 2_000
"""Points of the curve that are kept."""

_FEWEST = 6
"""Points below which nothing is said."""

_WINDOW = 12
"""The moving average is over one in so many of the points."""

_LATEST = 0.8
"""Share of the run after which the lowest loss lies too late to say that the loss has risen since."""

_RISE = 0.02
"""Share of the lowest validation loss, or of what was gained until then, by which the loss has to rise."""

_TREND, _NEARLY_ALL = 4.0, 0.95
"""Later losses have to be larger more often than smaller: by `_TREND` standard deviations of what chance gives, or in
`_NEARLY_ALL` of all pairs, where the points are few."""


class ValidationCurve:
    """The objective over the training and over the validation rows at the end of each epoch, and at which step."""

    def __init__(self) -> None:
        self._stream: ThinnedStream[tuple[int, float, float]] = ThinnedStream(_CAPACITY)
        self._sum, self._count = 0.0, 0

    @property
    def points(self) -> list[tuple[int, float, float]]:
        """Step, mean training objective and validation objective at the end of each epoch, of at most 2,000 epochs."""
        return self._stream.kept

    def add_training(self, objective: float) -> None:
        """Take note of the objective at a training step."""
        if math.isfinite(objective):
            self._sum, self._count = self._sum + objective, self._count + 1

    def add_validation(self, step: int, objective: float) -> None:
        """Take note of the objective over the validation rows at the end of an epoch; left out if it is not finite."""
        training = self._sum / self._count if self._count else math.nan
        self._sum, self._count = 0.0, 0
        if math.isfinite(objective):
            self._stream.add((step, training, objective))

    def rose_after(self) -> int | None:
        """The step after which the validation loss rose for good while the training loss fell; None if it did not.

        Averages over neighbouring epochs are compared, so that noise does not look like a rise.
        """
        if len(self.points) < _FEWEST:
            return None
        steps, training, validation = (list(column) for column in zip(*self.points, strict=True))
        width = max(1, len(self.points) // _WINDOW)
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
    """Whether later numbers are larger more often than chance explains.

    The test for a trend of H. B. Mann, Nonparametric tests against trend, Econometrica 13 (1945), with the variance
    of Kendall's rank correlation.
    """
    count = len(numbers)
    if count < _FEWEST:
        return False
    values = np.asarray(numbers)
    pairs = sum(int(np.sign(values[at + 1 :] - values[at]).sum()) for at in range(count - 1))
    deviation = math.sqrt(count * (count - 1) * (2 * count + 5) / 18)
    most = count * (count - 1) / 2
    return pairs >= min(_TREND * deviation, _NEARLY_ALL * most)
