"""What a run will do: `auto` made concrete, defaults filled in, settings that do not go together refused."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

from sgdsheet.compiler.model import SheetModel
from sgdsheet.data.samples import Samples
from sgdsheet.errors import SettingError
from sgdsheet.problem.definition import Direction
from sgdsheet.problem.optimizers import AUTO, OPTIMIZERS, Family, Optimizer
from sgdsheet.problem.settings import Settings
from sgdsheet.system import memory
from sgdsheet.train.constrained.constraints import ConstraintModel
from sgdsheet.train.constrained.solve import DESCENT
from sgdsheet.train.discrete.search import Search
from sgdsheet.train.restarts import default_start, refuse_many

_STEPS = 1000
"""Steps of a run without batches, by default."""

_BOUND_BATCH = 256
"""Samples of a batch of a source, by default."""

_EPOCHS = 20
"""Epochs of a run with batches, by default."""

_RESTART_STEPS = 1000
"""Steps of every start of a run with restarts, by default."""

_RESTART_RATE = 0.1
"""The learning rate of restarts, as a share of the width of the start values, by default."""

_POLISHED = 5
"""Best starts that are trained on, one by one, after the restarts."""

_POLISH_STEPS = 300
"""Steps that each of the best starts is trained on, at most."""

_SOLVER_STEPS = 10_000
"""Steps of the exact solver for bounds and constraints, at most."""

_LARGE_STEPS = 200
"""Steps of least squares by products with the Jacobian, by default: each costs as much as many of another method."""

_SMALL_BATCH = 2_048
"""Samples of a batch up to which it is not asked whether they fit into memory."""

_FEW = 64
"""Samples by which the memory of one sample is estimated."""

_COPIES = 3
"""How many times the memory of the program's numbers a step takes: what is kept to go back, its gradient, and what
comes and goes."""


class Method(NamedTuple):
    """What an exact solver takes, by the name that people call it, and why, in words."""

    name: str
    why: str


_EXACT = Method(DESCENT, "an exact method for bounds and constraints")


@dataclass(frozen=True, slots=True)
class RunPlan:
    """The choices for a run; `why` says in words how an optimizer was picked.

    With `solved`, an exact solver minds bounds, constraints and kinks, and not the optimizer.
    """

    optimizer: Optimizer
    learning_rate: float
    schedule: str
    steps: int
    batch_size: int | None
    polisher: Optimizer
    polished: int
    polish_steps: int
    why: str
    solved: Method | None = None
    fitted: bool = False
    """Whether the residuals are fitted by least squares, and not by the optimizer."""
    search: Search | None = None
    """What searches for whole numbers, or among the points of a population, and not the optimizer."""

    @property
    def batched(self) -> bool:
        """Whether a step sees some of the samples only."""
        return self.batch_size is not None

    @property
    def optimizer_name(self) -> str:
        """What people call it."""
        if self.search is not None:
            return self.search.method.value
        if self.solved is not None:
            return self.solved.name
        return "least squares" if self.fitted else self.optimizer.name


def plan_run(
    model: SheetModel,
    settings: Settings,
    samples: Samples | None,
    parameters: Sequence[Tensor],
    constraints: ConstraintModel | None,
    *,
    fit: bool = False,
    search: Search | None = None,
    in_units: bool = False,
    large: bool = False,
    method: Method | None = None,
) -> RunPlan:
    """Make the choices. Raises SettingError, naming the sheet, where settings exclude each other.

    `fit` says that the loss is one of least squares, `method` what an exact solver takes, and `search` what has to be
    searched for and cannot be descended to. With `in_units`, restarts are trained in units of each parameter's own
    width, and with `large`, least squares are solved by products with the Jacobian.
    """
    size = settings.batch_size
    if size is None and model.problem.origin is not None:
        size = _BOUND_BATCH
    batched = size is not None
    optimizer, why = _optimizer(settings, batched, fit)
    _refuse(model, settings, samples, parameters, optimizer)
    if search is not None:
        _refuse_search(model, settings, batched)
    elif optimizer.family in (Family.GRADIENT, Family.LINE_SEARCH):
        model.require_gradient()
    fitted = fit and not settings.restarts
    solved = None
    if not fitted and search is None and not batched:
        solved = _solver(model, settings, constraints, method)
    if fitted:
        why = "values to be reached" if _is_goal(model) else "a sum of squares"
    if solved is not None:
        why = solved.why
    if search is not None:
        why = search.why
    if constraints is not None and constraints.labels and batched:
        raise SettingError(
            "constraints need all samples at once",
            cell=model.problem.sheet,
            remedy="Leave the batch size out",
        )
    automatic = settings.optimizer == AUTO
    rate = settings.learning_rate or optimizer.learning_rate
    schedule = settings.schedule
    if settings.restarts and automatic:
        schedule = "cosine" if settings.schedule == "constant" else settings.schedule
        if settings.learning_rate is None and in_units:
            rate = _RESTART_RATE  # in units of the widths
        elif settings.learning_rate is None:
            start = settings.start or default_start(parameters)
            rate = _RESTART_RATE * max(item.initialiser.width((), item.scale) or 0.5 for item in start)
    steps = _steps(settings, size, samples)
    exact = solved is not None or fitted or search is not None
    if exact and settings.steps is None and settings.epochs is None and not settings.restarts:
        steps = _LARGE_STEPS if fitted and large else _SOLVER_STEPS
    return RunPlan(
        optimizer,
        rate,
        schedule,
        steps,
        size,
        OPTIMIZERS["lbfgs"],
        0 if batched else _POLISHED if automatic else 1,
        _POLISH_STEPS,
        why,
        solved,
        fitted,
        search,
    )


def _is_goal(model: SheetModel) -> bool:
    """Whether cells are to reach values."""
    return model.problem.direction is Direction.VALUE or bool(model.problem.targets)


def refuse_large_batch(model: SheetModel, samples: Samples, size: int) -> None:
    """SettingError for a batch that does not fit into memory, with the size that does."""
    size = min(size, len(samples.training))
    if size <= _SMALL_BATCH:
        return
    device = samples.data.device
    free = memory.room() if device.type == "cpu" else torch.cuda.mem_get_info(device)[0]
    each = samples.numbers(_FEW) / min(_FEW, samples.data.count) * model.dtype.itemsize * _COPIES
    most = int(free / each)
    if size > most:
        raise SettingError(
            f"a batch of {size:,} samples needs {memory.gigabytes(size * each)} of memory",
            cell=model.problem.sheet,
            remedy=f"{most:,} fit; some hundred are mostly better",
        )


def _solver(
    model: SheetModel, settings: Settings, constraints: ConstraintModel | None, method: Method | None
) -> Method | None:
    """The exact solver that takes over: for constraints and kinks, and for bounds unless a method was named."""
    if constraints is None:
        return method
    named = settings.optimizer not in (AUTO, "lbfgs")
    if constraints.labels and named:
        raise SettingError(
            f"{settings.optimizer} cannot keep constraints",
            cell=model.problem.sheet,
            remedy="Leave the optimizer to auto",
        )
    if constraints.labels or (constraints.bounds.count > 0 and not named):
        return method or _EXACT
    return None if named else method


def _refuse_search(model: SheetModel, settings: Settings, batched: bool) -> None:
    """What belongs to descent does not go with a search."""
    sheet = model.problem.sheet
    searches = (AUTO, *(row.name for row in OPTIMIZERS.values() if row.family is Family.POPULATION))
    refused = {
        "batches": (batched, "Leave the batch size out"),
        "restarts": (bool(settings.restarts), "Leave them out: the search looks everywhere"),
        "early stopping": (settings.early_stopping is not None, "Leave it out"),
        "validation rows": (bool(settings.validation) or model.problem.valid is not None, "Leave them out"),
        "start values": (bool(settings.start), "Leave them out: the search looks everywhere"),
        "a learning rate": (settings.learning_rate is not None, "Leave it out"),
        "torch.compile": (settings.compile, "Leave it out"),
        f"the optimizer {settings.optimizer}": (settings.optimizer not in searches, "Leave the optimizer to auto"),
    }
    for what, (asked, remedy) in refused.items():
        if asked:
            why = "cannot keep parameters whole numbers" if model.problem.discrete else "cannot be used in a search"
            raise SettingError(f"{what} {why}", cell=sheet, remedy=remedy)


def _optimizer(settings: Settings, batched: bool, fit: bool) -> tuple[Optimizer, str]:
    if settings.optimizer != AUTO:
        return OPTIMIZERS[settings.optimizer], ""
    if settings.restarts and batched:
        return OPTIMIZERS["adam"], f"{_starts(settings)}, in batches"
    if settings.restarts:
        polish = "least squares and L-BFGS" if fit else "L-BFGS"
        return OPTIMIZERS["adam"], f"{_starts(settings)}, then {polish} from the best"
    if batched:
        return OPTIMIZERS["adam"], "for mini-batches"
    return OPTIMIZERS["lbfgs"], "for all samples at once"


def _starts(settings: Settings) -> str:
    return "one start" if settings.restarts == 1 else f"{settings.restarts} starts at once"


def _steps(settings: Settings, size: int | None, samples: Samples | None) -> int:
    per_epoch = 1
    if samples is not None and size is not None:
        per_epoch = -(-len(samples.training) // size)
    limits = [] if settings.steps is None else [settings.steps]
    if settings.epochs is not None:
        limits.append(settings.epochs * per_epoch)
    if limits:
        return min(limits)  # whichever comes first
    if settings.restarts:
        return _RESTART_STEPS
    return _EPOCHS * per_epoch if size is not None else _STEPS


def _refuse(
    model: SheetModel,
    settings: Settings,
    samples: Samples | None,
    parameters: Sequence[Tensor],
    optimizer: Optimizer,
) -> None:
    sheet = model.problem.sheet
    if model.problem.origin is not None:
        _refuse_bound(settings, optimizer, sheet)
    if settings.batch_size is not None and optimizer.family is Family.LINE_SEARCH:
        raise SettingError(
            "L-BFGS needs all samples at once", cell=sheet, remedy="Leave the batch size out, or choose adam"
        )
    if settings.compile and (settings.restarts or (samples is not None and model.problem.origin is None)):
        raise SettingError(
            "compile goes with neither restarts nor batches of rows in the sheet", cell=sheet, remedy="Leave it out"
        )
    if settings.restarts and optimizer.family is not Family.GRADIENT:
        raise SettingError(
            f"restarts do not go with {optimizer.name}", cell=sheet, remedy="Leave the optimizer to auto"
        )
    _refuse_unused(settings, optimizer, sheet)
    if settings.restarts:
        refuse_many(settings.restarts, parameters, sheet)
    if settings.restarts and settings.early_stopping is not None:
        raise SettingError("early stopping does not go with restarts", cell=sheet, remedy="Leave one of them out")
    if settings.early_stopping is not None and (samples is None or not len(samples.validation)):
        raise SettingError(
            "early stopping needs validation rows",
            cell=sheet,
            remedy="Name them sgd_valid, or set validation 0.2",
        )
    if len(settings.start) not in (0, 1, len(parameters)):
        raise SettingError(
            f"start has {len(settings.start)} entries for {len(parameters)} parameter ranges",
            cell=sheet,
            remedy="Give one entry, or one per range",
        )


def _refuse_bound(settings: Settings, optimizer: Optimizer, sheet: str) -> None:
    """What needs all samples at once, or many copies of a batch, does not go with data that are too large for it."""
    if settings.restarts:
        raise SettingError("restarts do not go with data from a file", cell=sheet, remedy="Leave them out")
    if optimizer.family is not Family.GRADIENT:
        raise SettingError(
            f"{optimizer.name} does not go with data from a file", cell=sheet, remedy="Choose adam or sgd"
        )


def _refuse_unused(settings: Settings, optimizer: Optimizer, sheet: str) -> None:
    """A setting that the optimizer has no use for would be a promise that nobody keeps."""
    descends = optimizer.family is Family.GRADIENT
    remedies = {
        "momentum": (bool(settings.momentum) and not optimizer.momentum, "choose sgd"),
        "weight decay": (bool(settings.weight_decay) and not optimizer.weight_decay, "choose sgd or adamw"),
        "a schedule": (settings.schedule != "constant" and not descends, "choose sgd or adam"),
        "keeping gradients": (not settings.zero_gradients and not descends, "choose sgd"),
    }
    for what, (unused, choice) in remedies.items():
        if unused:
            raise SettingError(
                f"{what} does not go with {optimizer.name}", cell=sheet, remedy=f"Leave it out, or {choice}"
            )
    if settings.restarts and (optimizer.accumulates or not settings.zero_gradients):
        raise SettingError("keeping gradients does not go with restarts", cell=sheet, remedy="Leave one of them out")
