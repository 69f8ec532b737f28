"""Learning-rate schedules by name: one row each, all from torch.optim.lr_scheduler."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

_DECAY = 0.01
"""What is left of the learning rate at the end of the exponential schedule."""

_WARM_RESTARTS = 4
"""How many times the warm restarts start."""


@dataclass(frozen=True, slots=True)
class Schedule:
    """One schedule: its name on the sheet, its class in torch, its options for a run of so many steps."""

    name: str
    torch_name: str
    options: Callable[[int, float], Mapping[str, Any]]
    help: str


_ROWS = (
    Schedule("constant", "", lambda steps, rate: {}, "The same rate all the time"),
    Schedule("cosine", "CosineAnnealingLR", lambda steps, rate: {"T_max": steps}, "Falls to 0 along a half cosine"),
    Schedule(
        "exponential",
        "ExponentialLR",
        lambda steps, rate: {"gamma": _DECAY ** (1 / steps)},
        "Falls by the same factor each step, to a hundredth",
    ),
    Schedule(
        "onecycle",
        "OneCycleLR",
        lambda steps, rate: {"max_lr": rate, "total_steps": steps + 1},
        "Rises to the rate and falls again",
    ),
    Schedule(
        "warmrestarts",
        "CosineAnnealingWarmRestarts",
        lambda steps, rate: {"T_0": max(1, -(-steps // _WARM_RESTARTS))},
        "Four half cosines, one after the other",
    ),
)

SCHEDULES: dict[str, Schedule] = {row.name: row for row in _ROWS}
