"""Boxes of parameters: what interval arithmetic proves of a model in many of them at once, and how linear constraints
make them smaller.

Belotti, Lee, Liberti, Margot and Wächter, “Branching and bounds tightening techniques for non-convex MINLP”,
Optimization Methods and Software 24 (2009).
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from sgdsheet.compiler.structure.intervals import Interval, NoRule, names_of, outputs_between
from sgdsheet.problem.definition import Direction
from sgdsheet.train.constrained.constraints import HOLDS
from sgdsheet.train.constrained.flat_functions import FlatModel, Floats

_NUMBERS_AT_ONCE = 4_000_000
"""Intermediate numbers of the boxes that are looked at together."""

_ROUNDS = 3
"""How often linear constraints make boxes smaller, one after the other."""

_WHOLE = 1e-6
"""How near to a whole number an end of a box counts as one."""


class Boxes(NamedTuple):
    """Boxes between `low` and `high` [boxes, parameters]."""

    low: Floats
    high: Floats

    def taken(self, chosen: NDArray[np.bool_] | NDArray[np.int64]) -> Boxes:
        """Some of the boxes."""
        return Boxes(self.low[chosen], self.high[chosen])


@contextmanager
def _as_no_rule() -> Iterator[None]:
    """What an operation raises that cannot be calculated for many boxes at once is a missing rule, too."""
    try:
        yield
    except (RuntimeError, ValueError, TypeError, IndexError, AttributeError, NotImplementedError) as error:
        raise NoRule(str(error)) from error


def bound_of_loss(flat: FlatModel) -> float | None:
    """What no loss within the bounds of the parameters can be better than; None where nothing is proved."""
    problem = flat.model.problem
    if problem.direction is Direction.VALUE or not (np.isfinite(flat.lower) & np.isfinite(flat.upper)).all():
        return None
    try:
        lowest, _ = Bounder(flat).bounds(Boxes(flat.lower[None] * flat.units, flat.upper[None] * flat.units))
    except NoRule:
        return None
    found = float(lowest[0])
    if not math.isfinite(found):
        return None
    return -found if problem.direction is Direction.MAXIMISE else found


class Bounder:
    """What no point of a box can be better than, and whether one of its points may meet the constraints."""

    def __init__(self, flat: FlatModel) -> None:
        self.flat = flat
        model = flat.model
        self._loss = model.lowered.module([model.loss_node])
        self._names = model.parameter_names
        self._shapes = [tensor.shape for tensor in flat.tensors]
        self._sizes = [tensor.numel() for tensor in flat.tensors]
        self._chunk = int(np.clip(_NUMBERS_AT_ONCE // max(1, model.numbers_read()), 1, 4096))

    def bounds(self, boxes: Boxes) -> tuple[Floats, NDArray[np.bool_]]:
        """The lowest that the objective [boxes] can be, and which boxes [boxes] may hold a point. Raises NoRule."""
        lowest, possible = [], []
        with torch.no_grad(), _as_no_rule():
            for start in range(0, len(boxes.low), self._chunk):
                part = slice(start, start + self._chunk)
                found = torch.vmap(self._of_one)(torch.from_numpy(boxes.low[part]), torch.from_numpy(boxes.high[part]))
                lowest.append(found[0].double().numpy())
                possible.append(found[1].numpy())
        return np.concatenate(lowest), np.concatenate(possible)

    def _of_one(self, low: Tensor, high: Tensor) -> tuple[Tensor, Tensor]:
        bounds = names_of(self._names, self._parts(low), self._parts(high))
        objective = self._objective(outputs_between(self._loss, bounds)[0])
        program = self.flat.constraints.program
        if program is None:
            return objective, torch.ones((), dtype=torch.bool)
        residuals = outputs_between(program, bounds)[0]
        slack = HOLDS * torch.from_numpy(self.flat.magnitudes)
        split = self.flat.split
        loose = (residuals.low[:split] <= slack[:split]).all()
        tight = (residuals.low[split:] <= slack[split:]) & (residuals.high[split:] >= -slack[split:])
        return objective, loose & tight.all()

    def _objective(self, loss: Interval) -> Tensor:
        problem = self.flat.model.problem
        low, high = loss.low.reshape(()), loss.high.reshape(())
        if problem.direction is Direction.MAXIMISE:
            return -high
        if problem.direction is Direction.VALUE:
            apart = torch.maximum(low - problem.target, problem.target - high).clamp(min=0.0)
            return apart * apart
        return low

    def _parts(self, numbers: Tensor) -> list[Tensor]:
        return [part.reshape(shape) for part, shape in zip(numbers.split(self._sizes), self._shapes, strict=True)]


@dataclass(frozen=True, slots=True)
class LinearLimits:
    """Linear constraints: `rows` [rows, parameters] times the parameters are at most `limits` [rows]."""

    rows: Floats
    limits: Floats

    def narrowed(self, boxes: Boxes, whole: NDArray[np.bool_]) -> tuple[Boxes, NDArray[np.bool_]]:
        """The boxes without what no point can have, and which are not empty [boxes]; `whole` [parameters] are whole."""
        low, high = boxes
        for _ in range(_ROUNDS if len(self.limits) else 1):
            if len(self.limits):
                low, high = self._once(low, high)
            low = np.where(whole, np.ceil(low - _WHOLE), low)
            high = np.where(whole, np.floor(high + _WHOLE), high)
        reach = 1e-9 * (1 + np.abs(low))
        kept = np.asarray((low <= high + np.where(whole, 0.0, np.where(np.isfinite(reach), reach, 0.0))).all(axis=1))
        return Boxes(np.minimum(low, high), high), kept

    def _once(self, low: Floats, high: Floats) -> tuple[Floats, Floats]:
        """Each parameter may go as far as all others at their best leave room for it."""
        for row, limit in zip(self.rows, self.limits, strict=True):
            used = np.flatnonzero(row)
            factors = row[used]
            least = np.where(factors > 0, factors * low[:, used], factors * high[:, used])
            endless = np.isinf(least)
            finite = np.where(endless, 0.0, least)
            others = finite.sum(axis=1, keepdims=True) - finite
            known = endless.sum(axis=1, keepdims=True) - endless == 0
            slack = HOLDS * (1 + abs(limit))
            reach = np.where(known, (limit + slack - others) / factors, np.where(factors > 0, np.inf, -np.inf))
            high = high.copy()
            low = low.copy()
            high[:, used] = np.where(factors > 0, np.minimum(high[:, used], reach), high[:, used])
            low[:, used] = np.where(factors < 0, np.maximum(low[:, used], reach), low[:, used])
        return low, high
