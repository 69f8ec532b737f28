"""The training loop: a generator of steps. It never sees a host."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from sgdsheet.errors import TrainingError
from sgdsheet.model import SheetModel
from sgdsheet.optimizers import AUTO, OPTIMIZERS, Family, Optimizer
from sgdsheet.settings import Settings, combine

_SMALL_MODEL = 2_000_000
"""Numbers read per step below which one thread is fastest."""

_DEFAULT_STEPS = 1000


@dataclass(frozen=True, slots=True)
class Step:
    """One update. `loss` is the value of the loss cell before it; `learning_rate` the size of the step taken."""

    number: int
    loss: float
    learning_rate: float
    seconds: float


class Session:
    """Trains a model: iterate over it to take steps.

    Keyword arguments are settings as in `sgd_settings` (learning_rate, also as `lr`, steps, seed, …); the sheet's
    own settings fill the gaps. After the last step, or when the loss stops being finite, the parameters with the
    lowest loss seen are put back.
    """

    def __init__(self, model: SheetModel, settings: Settings | None = None, **options: Any) -> None:
        if "lr" in options:
            options["learning_rate"] = options.pop("lr")
        self.model = model
        self.settings = settings if settings is not None else combine(model.problem.settings, options)
        self.optimizer = choose_optimizer(self.settings)
        self.learning_rate = self.settings.learning_rate or self.optimizer.learning_rate
        self.steps_planned = self.settings.steps if self.settings.steps is not None else _DEFAULT_STEPS
        self.parameters: list[nn.Parameter] = list(model.parameters())
        self.steps_taken = 0
        self.seconds = 0.0
        self.stopped = ""
        self._best_loss = math.inf
        self._best = [parameter.detach().clone() for parameter in self.parameters]
        self._torch_optimizer = self._build()
        with torch.no_grad():
            self.loss_start = float(model())
        if not math.isfinite(self.loss_start):
            raise model.explain_bad_loss()
        self.loss = self.loss_start

    def _build(self) -> torch.optim.Optimizer:
        row = self.optimizer
        options: dict[str, Any] = {"lr": self.learning_rate, **row.options}
        if row.momentum and self.settings.momentum is not None:
            options["momentum"] = self.settings.momentum
        if row.weight_decay and self.settings.weight_decay:
            options["weight_decay"] = self.settings.weight_decay
        built: torch.optim.Optimizer = getattr(torch.optim, row.torch_name)(self.parameters, **options)
        return built

    def __iter__(self) -> Iterator[Step]:
        if self.settings.seed is not None:
            torch.manual_seed(self.settings.seed)
        with threads(self._thread_count()):
            try:
                yield from self._steps()
            finally:
                self.finish()

    def run(self) -> float:
        """Take all steps; returns the final value of the loss cell."""
        for _ in self:
            pass
        return self.loss

    def _thread_count(self) -> int:
        numbers = sum(tensor.numel() for tensor in [*self.model.program.buffers(), *self.parameters])
        return 1 if numbers < _SMALL_MODEL else torch.get_num_threads()

    def _steps(self) -> Iterator[Step]:
        take = self._line_search_step if self.optimizer.family is Family.LINE_SEARCH else self._gradient_step
        while self.steps_taken < self.steps_planned:
            started = time.perf_counter()
            loss = take()
            if not math.isfinite(loss):
                self.stopped = f"the loss became {loss} at step {self.steps_taken}"
                return
            self.steps_taken += 1
            elapsed = time.perf_counter() - started
            self.seconds += elapsed
            yield Step(self.steps_taken, loss, self.learning_rate, elapsed)
            if self.stopped:
                return

    def _gradient_step(self) -> float:
        """One loss, one gradient, one update; returns the loss before it."""
        if self.settings.zero_gradients:
            self._torch_optimizer.zero_grad()
        value = self.model.program()
        loss = value.item()
        if math.isfinite(loss):
            self.model.as_objective(value).backward()
            self._keep_best(loss)
            self._torch_optimizer.step()
        return loss

    def _line_search_step(self) -> float:
        first: list[float] = []

        def closure() -> Tensor:
            self._torch_optimizer.zero_grad()
            value = self.model.program()
            objective = self.model.as_objective(value)
            objective.backward()
            if not first:
                first.append(value.item())
            return objective

        before = [parameter.detach().clone() for parameter in self.parameters]
        self._torch_optimizer.step(closure)
        loss = first[0]
        if math.isfinite(loss):
            self._keep_best(loss, before)
            if all(torch.equal(old, new) for old, new in zip(before, self.parameters, strict=True)):
                self.stopped = "converged"
        return loss

    def _keep_best(self, loss: float, values: list[Tensor] | None = None) -> None:
        """Remember the parameters that gave the lowest objective so far."""
        objective = float(self.model.as_objective(torch.tensor(loss, dtype=torch.float64)))
        if objective < self._best_loss:
            self._best_loss = objective
            torch._foreach_copy_(self._best, values if values is not None else [p.detach() for p in self.parameters])

    def finish(self) -> None:
        """Settle on the better of the last and the best parameters."""
        with torch.no_grad():
            loss = float(self.model())
            if math.isfinite(loss):
                self._keep_best(loss)
            for parameter, best in zip(self.parameters, self._best, strict=True):
                parameter.copy_(best)
            self.loss = float(self.model())
        if not math.isfinite(self.loss):
            raise TrainingError("no parameters gave a finite loss", remedy="Start from other values")


def choose_optimizer(settings: Settings) -> Optimizer:
    """The optimizer that was asked for, or what suits a full batch: L-BFGS."""
    return OPTIMIZERS["lbfgs" if settings.optimizer == AUTO else settings.optimizer]


@contextmanager
def threads(count: int) -> Iterator[None]:
    """Use so many threads meanwhile: two on a small model can be 100 times slower than one."""
    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)



