"""A learning rate for a model: try larger and larger ones until the loss explodes, and stay well below.

The sweep takes one step with each rate, from the present parameters on: the range test of L. N. Smith, “Cyclical
learning rates for training neural networks”, WACV 2017. Where the curvature is known, half of the largest stable rate
is better than what can be read off a sweep. Either way the suggestion is then tried out: steps with it have to bring
the loss down.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import torch

from sgdsheet.analysis.diagnosis.curvature import MOST_EXACT, kept_parameters, stable_rate_ahead
from sgdsheet.analysis.diagnosis.findings import rounded_down
from sgdsheet.analysis.diagnosis.units import MOST_NUMBERS
from sgdsheet.compiler.model import SheetModel
from sgdsheet.errors import SettingError, TrainingError
from sgdsheet.problem.optimizers import OPTIMIZERS, Family, Optimizer, normalised
from sgdsheet.problem.settings import Settings
from sgdsheet.system.long_work import done
from sgdsheet.train.optimizer_factory import build_optimizer

_LOWEST, _HIGHEST = 1e-8, 10.0
_POINTS_PER_DECADE = 16
_SMOOTHING = 0.6  # weight of the old value in the exponential moving average of the losses
_EXPLODED = 3.0
"""The loss has exploded where it is above its lowest value by so many times that value, and also by half of what was
gained until then."""
_SAFE = 10.0  # how many times below the rate at which the loss turns up the suggestion may be, at most
_HALF = 0.5  # share of the largest stable rate of plain gradient descent that is suggested
_TRIAL = 50  # steps that the suggestion has to prove itself in
_MOST_HALVINGS = 20

Make = Callable[[float], torch.optim.Optimizer]
Loss = Callable[[], torch.Tensor]


@dataclass(frozen=True, slots=True)
class LearningRates:
    """What a sweep found: `losses[i]` is the loss after the step with `rates[i]`.

    `suggestion` is the rate to use. `stable_rate` is the largest stable rate of plain gradient descent; None where it
    is too expensive to work out. `exploded_at` is the rate at which the sweep ended because the loss exploded; None if
    it did not.
    """

    optimizer: str
    rates: list[float]
    losses: list[float]
    loss_start: float
    suggestion: float
    stable_rate: float | None
    exploded_at: float | None

    @property
    def moves(self) -> bool:
        """Whether any step changed the loss noticeably; at a minimum or on a plateau none does."""
        return any(not math.isclose(loss, self.loss_start, rel_tol=1e-9) for loss in self.losses)


def find_learning_rate(
    model: SheetModel,
    optimizer: str = "sgd",
    *,
    momentum: float | None = None,
    lowest: float | None = None,
    highest: float | None = None,
    loss: Loss | None = None,
) -> LearningRates:
    """Sweep the learning rate of an optimizer from `lowest` to `highest`; the parameters stay as they are.

    `loss` calculates the loss over some samples of a source; the sheet's own cells are the model unless it is given.
    Raises SettingError for an optimizer without a learning rate to choose, ProblemError if a parameter has no gradient,
    TrainingError if the loss is not finite or no rate brings it down.
    """
    row = _row(optimizer)
    model.require_gradient()
    make = _maker(model, row, momentum)
    program = loss or model.program
    with torch.no_grad():
        start = program().item()
    if not math.isfinite(start):
        raise model.explain_bad_loss()
    stable = _stable(model) if loss is None else None
    limit = _limit(row, make, stable)
    bottom, top = (
        lowest or (1e-4 * limit if limit else _LOWEST),
        highest or (100 * limit if limit else _HIGHEST),
    )
    rates, losses, exploded = _sweep(model, program, make, bottom, top)
    candidate = _HALF * limit if limit else _candidate(rates, _objectives(model, [start, *losses]))
    if candidate is not None:
        candidate = min(max(candidate, lowest or 0.0), highest or math.inf)
    monotone = row.class_name == "SGD" and make(1.0).defaults["momentum"] == 0
    suggestion = _proven(model, program, make, candidate or row.learning_rate, monotone=monotone)
    return LearningRates(row.name, rates, losses, start, suggestion, stable, exploded)


def _row(name: str) -> Optimizer:
    row = OPTIMIZERS.get(normalised(name))
    if row is None:
        raise SettingError(f"“{name}” is not an optimizer", remedy=f"Optimizers are {', '.join(OPTIMIZERS)}")
    if row.family is not Family.GRADIENT or row.accumulates:
        raise SettingError(f"{row.name} is not for a sweep of learning rates", remedy="Try sgd, momentum or adam")
    return row


def _maker(model: SheetModel, row: Optimizer, momentum: float | None) -> Make:
    if momentum and not row.momentum:
        raise SettingError(f"momentum does not go with {row.name}", remedy="Leave it out, or choose sgd")
    return lambda rate: build_optimizer(row, model.parameters(), rate, Settings(momentum=momentum))


def _stable(model: SheetModel) -> float | None:
    """The largest stable rate of plain gradient descent from here to the minimum, where that is cheap."""
    if model.problem.parameter_count > MOST_EXACT or model.numbers_read() > MOST_NUMBERS:
        return None
    found = stable_rate_ahead(model)
    return found if 0 < found < math.inf else None


def _limit(row: Optimizer, make: Make, stable: float | None) -> float | None:
    """The largest stable rate for this optimizer if it is gradient descent: momentum m makes steps 1 / (1 − m) as long.

    `stable` is that of plain gradient descent. None for other optimizers, or if `stable` is None.
    """
    if stable is None or row.class_name != "SGD":
        return None
    return stable * (1 - float(make(1.0).defaults["momentum"]))


def _objectives(model: SheetModel, losses: list[float]) -> list[float]:
    found: list[float] = model.as_objective(torch.tensor(losses, dtype=torch.float64)).tolist()
    return found


def _steps(model: SheetModel, loss: Loss, optimizer: torch.optim.Optimizer) -> Iterator[float]:
    """The value of the loss cell before the first step and after each."""
    while True:
        optimizer.zero_grad()
        value = loss()
        yield value.item()
        objective = model.as_objective(value)
        if objective.requires_grad:
            objective.backward()
        optimizer.step()


def _sweep(
    model: SheetModel, loss: Loss, make: Make, bottom: float, top: float
) -> tuple[list[float], list[float], float | None]:
    """Take one step with each rate until the loss explodes: the rates, the losses after them, and the rate at which.

    The last is None if the loss did not explode. Raises SettingError unless 0 < `bottom` < `top`.
    """
    if not 0 < bottom < top:
        raise SettingError("the lowest learning rate has to be above 0 and below the highest one")
    count = max(2, round(_POINTS_PER_DECADE * math.log10(top / bottom)))
    optimizer = make(bottom)
    rates: list[float] = []
    losses: list[float] = []
    with kept_parameters(model):
        steps = _steps(model, loss, optimizer)
        start = low = _objectives(model, [next(steps)])[0]
        for rate in np.geomspace(bottom, top, count).tolist():
            for group in optimizer.param_groups:
                group["lr"] = rate
            losses.append(next(steps))
            rates.append(rate)
            done(len(rates) / count)
            objective = _objectives(model, losses[-1:])[0]
            if not objective <= low + max(_EXPLODED * abs(low), 0.5 * (start - low)):
                return rates, losses, rate
            low = min(low, objective)
    return rates, losses, None


def _candidate(rates: list[float], objectives: list[float]) -> float | None:
    """The rate at which the loss falls fastest, but not far below where it turns up; None if it does not fall."""
    finite = [value for value in objectives if math.isfinite(value)]
    smooth, average = [finite[0]], finite[0]
    for value in finite[1:]:
        average = _SMOOTHING * average + (1 - _SMOOTHING) * value
        smooth.append(average)
    lowest = int(np.argmin(smooth))
    if smooth[0] - smooth[lowest] <= 1e-9 * abs(smooth[0]):
        return None
    falls = np.diff(smooth[: lowest + 1])
    return max(rates[int(np.argmin(falls))], rates[lowest - 1] / _SAFE)


def _proven(model: SheetModel, loss: Loss, make: Make, rate: float, *, monotone: bool) -> float:
    """The rate, or the next smaller one with which steps bring the loss down."""
    rate = rounded_down(rate)
    for _ in range(_MOST_HALVINGS):
        with kept_parameters(model):
            steps = _steps(model, loss, make(rate))
            losses = [next(steps) for _ in range(_TRIAL + 1)]
        if _goes_down(_objectives(model, losses), monotone=monotone):
            return rate
        rate = rounded_down(rate / 2)
    raise TrainingError("no learning rate brings the loss down", remedy="See what “sgdsheet check” finds")


def _goes_down(objectives: list[float], *, monotone: bool) -> bool:
    start = objectives[0]
    if monotone:
        return all(after <= before + 1e-9 * abs(before) for before, after in pairwise(objectives))
    return objectives[-1] <= start + 1e-6 * abs(start) and max(objectives) <= start + 0.5 * abs(start)
