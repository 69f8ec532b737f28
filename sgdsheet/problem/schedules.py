"""Learning-rate schedules by name: one row each, all from torch.optim.lr_scheduler.

`cosine` and `warmrestarts` are from Loshchilov and Hutter, “SGDR: stochastic gradient descent with warm restarts”, ICLR
2017, and `onecycle` from Smith and Topin, “Super-convergence: very fast training of neural networks using large
learning rates”, 2018.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

_DECAY = 0.01
"""Share of the learning rate that is left at the end of the exponential schedule."""

_WARM_RESTARTS = 4
"""Half cosines of the schedule `warmrestarts`."""


@dataclass(frozen=True, slots=True)
class Schedule:
    """One schedule: its name on the sheet, its class in torch, and one line of help.

    `options` gives the options of the class for a run of so many steps with a learning rate.
    """

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
