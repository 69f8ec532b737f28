"""How often the sheet is refreshed while it trains."""

from __future__ import annotations

import pytest

from sgdsheet.live.run.refresh_rate import FASTEST, RefreshTimer


class Clock:
    """A clock that stands still until it is moved."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.mark.parametrize(("late", "rate"), [(0.0, 16.0), (0.01, 16.0), (0.2, 1 / (FASTEST / 2 + 0.2))])
def test_a_refresh_that_begins_late_does_not_delay_the_next(late: float, rate: float) -> None:
    """Unless it is so late that others need the time."""
    clock = Clock()
    timer = RefreshTimer(clock)
    steps = 0
    for _ in range(200):
        clock.now += timer.due + late
        steps += 10
        timer.begin(steps)
        clock.now += 0.002
        timer.end(steps)
    assert 200 / (clock.now - 100.0) == pytest.approx(rate, rel=0.02)
