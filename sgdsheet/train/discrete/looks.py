"""What a search is allowed, and what it tells of where it stands."""

from __future__ import annotations

from dataclasses import dataclass

PROVED = "optimal"
"""Nothing better exists: that is proved."""
UNPROVED = "best found"
"""The search is over, and something better may exist."""
OUT_OF_TIME = "time"
"""The time limit has ended the search."""


SECONDS = 600.0
"""Seconds after which a search ends where nobody has set a time limit: its last stop only. What it tries, it counts."""


@dataclass(frozen=True, slots=True)
class Limits:
    """When a search ends: after so many seconds, or within the share `gap` of the best possible loss.

    Where nobody has said how many seconds (`timed` is false), a search counts the points, boxes or nodes that it tries
    instead of looking at the clock, which is its last stop only: a busy machine then finds what an idle one does.
    `population` is the number of points of an evolutionary search; None lets it choose. The same `seed` gives the same
    result, as long as no time limit strikes. `share` is the part of all points that a search which is only the
    beginning of another one may try.
    """

    seconds: float = SECONDS
    gap: float = 0.0
    seed: int = 0
    population: int | None = None
    timed: bool = False
    share: float = 1.0


@dataclass(frozen=True, slots=True)
class Look:
    """Where a search stands: the best `loss` so far, in the units of the loss cell, and what is proved of it.

    `bound` is what no point can be better than; None where nothing is known. `violation` is that of the constraint that
    is violated most, in the sheet's units. `outcome` is empty but for the last look: PROVED, UNPROVED or OUT_OF_TIME,
    with the `reason` in words.
    """

    loss: float
    violation: float
    bound: float | None = None
    outcome: str = ""
    reason: str = ""


def relative_gap(loss: float, bound: float) -> float:
    """How far a loss may be from the best possible, as a share of its size."""
    return abs(loss - bound) / max(abs(loss), 1e-9)


def in_words(loss: float, bound: float) -> str:
    """How good a loss is, for a person."""
    return f"within {100 * relative_gap(loss, bound):.2g} % of the best possible (no better than {bound:.6g})"
