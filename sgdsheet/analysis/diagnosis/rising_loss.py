"""Why the loss climbs: nearly always the learning rate."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch

from sgdsheet.analysis.diagnosis.curvature import MOST_EXACT, kept_parameters, stable_rate_ahead
from sgdsheet.analysis.diagnosis.findings import WARNING, Finding, rounded_down, short
from sgdsheet.analysis.diagnosis.units import MOST_NUMBERS
from sgdsheet.compiler.model import SheetModel
from sgdsheet.problem.optimizers import OPTIMIZERS

_PLAIN = ("sgd", "momentum", "nesterov", "asgd", "accumulate")
"""Optimizers that diverge where plain gradient descent does."""

_CLIMB, _ABOVE_START = 4.0, 1.5
"""A run has climbed where its loss is `_CLIMB` times the lowest one before, and `_ABOVE_START` times the first."""


def explain_rise(
    losses: Sequence[float], learning_rate: float, model: SheetModel, *, optimizer: str = "sgd"
) -> Finding | None:
    """What to say where the losses of a run climb; None for ordinary noise and small bumps.

    `losses` are values of the loss cell, one per step. Where there are few parameters the largest stable
    learning rate is worked out, which takes some milliseconds. The parameters are left as they are.
    """
    objectives = model.as_objective(torch.tensor(list(losses), dtype=torch.float64)).tolist()
    climb = _climb(objectives)
    if climb is None:
        return None
    message = f"The learning rate {short(learning_rate)} is too high: {_told(losses, *climb)}."
    stable = _stable(model, objectives[0]) if optimizer in _PLAIN else math.inf
    if stable < learning_rate:
        message += f" Plain gradient descent is stable here below {short(stable)};"
        message += f" try {rounded_down(stable / 2):g}."
    else:
        message += f" Try {_smaller(learning_rate, optimizer):g}."
    return Finding("learning rate", WARNING, (str(model.problem.loss),), message)


def _smaller(learning_rate: float, optimizer: str) -> float:
    """A tenth of a learning rate that is too high, or the optimizer's default if that is much less still."""
    usual = OPTIMIZERS[optimizer].learning_rate
    return usual if learning_rate > 100 * usual else rounded_down(learning_rate / 10)


def _told(losses: Sequence[float], start: int, end: int) -> str:
    count = f"{end - start:,} step{'' if end - start == 1 else 's'}"
    if not math.isfinite(losses[end]):
        return f"{count} after it was {short(losses[start])}, the loss is no finite number any more"
    verb = "rose" if losses[end] > losses[start] else "fell"
    return f"the loss {verb} from {short(losses[start])} to {short(losses[end])} in {count}"


def _climb(objectives: Sequence[float]) -> tuple[int, int] | None:
    """The steps between which the loss climbed far above its low point and its start; None if it did not."""
    if not objectives or not math.isfinite(objectives[0]):
        return None
    start = objectives[0]
    lowest = 0
    for step, objective in enumerate(objectives):
        if not math.isfinite(objective):
            return lowest, step
        if objective < objectives[lowest]:
            lowest = step
        low = objectives[lowest]
        if objective > low + (_CLIMB - 1) * abs(low) and objective > start + (_ABOVE_START - 1) * abs(start):
            return _last_ascent(objectives, step), step
    return None


def _last_ascent(objectives: Sequence[float], top: int) -> int:
    """The step at which the climb that has its top at step `top` began."""
    bottom = top
    while bottom > 0 and objectives[bottom - 1] < objectives[bottom]:
        bottom -= 1
    return bottom


def _stable(model: SheetModel, first: float) -> float:
    """The largest stable rate of plain gradient descent on the way down.

    From the present parameters if the loss is lower there than it was `first`, else from those at the start. Infinite
    where it is too expensive to work out.
    """
    if model.problem.parameter_count > MOST_EXACT or model.numbers_read() > MOST_NUMBERS:
        return math.inf
    with kept_parameters(model):
        with torch.no_grad():
            here = model.objective().item()
        if not here <= first:
            model.reset_parameters()
        return stable_rate_ahead(model)
