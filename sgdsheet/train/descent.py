"""How a run takes steps with an optimizer: one gradient per step, or a closure that is called several times."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any, Protocol

import torch
from torch import Tensor

from sgdsheet.problem.optimizers import Family, Optimizer
from sgdsheet.problem.settings import Settings
from sgdsheet.train.algorithms.guarded_lbfgs import GuardedLBFGS
from sgdsheet.train.constrained.curvature_scales import curvature_scales
from sgdsheet.train.optimizer_factory import build_optimizer, build_scheduler
from sgdsheet.train.step_objectives import Objective
from sgdsheet.train.tensors import norm_of_gradient

Keep = Callable[[float], None]
"""A function that is told the objective at the present parameters, before they move."""

_LOOK_EVERY = 20
"""Steps on a GPU after which the objective is asked for, which waits for all of them."""


class Descent(Protocol):
    """Moves parameters step by step."""

    gradient_norm: float | None
    loss: float
    """The loss before the last step; on a GPU, that of the last one at which it was asked for."""

    @property
    def stalled(self) -> bool:
        """Whether no step gets any further. Whether that is a minimum is another question: see `convergence`."""
        ...

    @property
    def learning_rate(self) -> float:
        """The learning rate of the next step."""
        ...

    def step(self, objective: Objective, keep: Keep, *, measure: bool = False) -> float:
        """Take a step; returns the objective before it. If that is not finite, nothing was moved.

        `keep` is told it before the parameters move. With `measure`, `gradient_norm` is
        the Euclidean length of the gradient before the move.
        """
        ...

    def state(self) -> dict[str, Any]:
        """What the optimizer remembers between steps, for `restore`."""
        ...

    def restore(self, state: dict[str, Any]) -> None:
        """Take up what another descent with the same optimizer remembered."""
        ...


def descent_with(
    row: Optimizer,
    parameters: Sequence[Tensor],
    rate: float,
    settings: Settings,
    steps: int,
    seed: int,
    bounds: Sequence[tuple[Tensor, Tensor]] | None = None,
) -> Descent:
    """A run of so many steps with an optimizer; `bounds` are those of each parameter, tensors of its shape."""
    optimizer = build_optimizer(row, parameters, rate, settings, steps=steps, seed=seed, bounds=bounds)
    if row.family is not Family.GRADIENT:
        return ClosureDescent(optimizer, parameters, gradients=row.family is Family.LINE_SEARCH)
    keep_gradients = row.accumulates or not settings.zero_gradients
    return GradientDescent(optimizer, parameters, settings.schedule, steps, keep_gradients=keep_gradients)


class GradientDescent:
    """One gradient per step.

    A GPU goes on working while the next step is prepared, unless somebody asks for the loss. There that happens at
    every so many steps only, and the objective of the others is the last one seen.
    """

    stalled = False

    def __init__(
        self,
        optimizer: torch.optim.Optimizer,
        parameters: Sequence[Tensor],
        schedule: str,
        steps: int,
        *,
        keep_gradients: bool,
    ) -> None:
        self.parameters = list(parameters)
        self.optimizer = optimizer
        self.steps = steps
        self.scheduler = build_scheduler(optimizer, schedule, self.learning_rate, steps)
        self.keep_gradients = keep_gradients
        self.gradient_norm: float | None = None
        self.loss = math.nan
        self._look_every = _LOOK_EVERY if self.parameters[0].is_cuda else 1
        self._before = math.nan
        self._taken = 0

    @property
    def learning_rate(self) -> float:
        return float(self.optimizer.param_groups[0]["lr"])

    def step(self, objective: Objective, keep: Keep, *, measure: bool = False) -> float:
        value = objective.value()
        self._taken += 1
        if self._taken % self._look_every == 0 or self._taken == 1:
            self._before, self.loss = value.item(), objective.loss.item()
        before = self._before
        if math.isfinite(before):
            keep(before)
            objective.backward(add=self.keep_gradients)
            if measure:
                self.gradient_norm = norm_of_gradient(self.parameters)
            self.optimizer.step()
            if self.scheduler is not None:
                self.scheduler.step()
        return before

    def state(self) -> dict[str, Any]:
        gradients = [parameter.grad for parameter in self.parameters] if self.keep_gradients else []
        scheduler = self.scheduler.last_epoch if self.scheduler is not None else 0
        return {"optimizer": self.optimizer.state_dict(), "scheduler": scheduler, "gradients": gradients}

    def restore(self, state: dict[str, Any]) -> None:
        if self.scheduler is not None:  # a schedule is a function of the step: walk to where it was
            for _ in range(min(int(state["scheduler"]), self.steps)):
                self.optimizer.step()
                self.scheduler.step()
        self.optimizer.load_state_dict(state["optimizer"])
        for index, memory in state["optimizer"]["state"].items():  # torch has made all of it float64 or float32
            for key, value in memory.items():
                if isinstance(value, Tensor):
                    self.optimizer.state[self.parameters[index]][key] = value.clone()
        for parameter, gradient in zip(self.parameters, state["gradients"], strict=False):
            parameter.grad = gradient.clone() if gradient is not None else None


class ClosureDescent:
    """The optimizer evaluates the loss several times per step, with gradients or without."""

    def __init__(self, optimizer: torch.optim.Optimizer, parameters: Sequence[Tensor], *, gradients: bool) -> None:
        self.optimizer = optimizer
        self.parameters = list(parameters)
        self.gradients = gradients
        self.gradient_norm: float | None = None
        self.loss = math.nan

    @property
    def stalled(self) -> bool:
        return getattr(self.optimizer, "stalled", False)

    @property
    def learning_rate(self) -> float:
        return float(self.optimizer.param_groups[0]["lr"])

    def step(self, objective: Objective, keep: Keep, *, measure: bool = False) -> float:
        first = True
        if isinstance(self.optimizer, GuardedLBFGS) and self.optimizer.wants_units:
            self.optimizer.rescale(curvature_scales(objective, self.parameters))

        def closure() -> Tensor:
            nonlocal first
            value = objective.value()
            if self.gradients:
                objective.backward()
            if first:
                first = False
                self.loss = objective.loss.item()
                if math.isfinite(before := value.item()):
                    keep(before)
                if measure and self.gradients:
                    self.gradient_norm = norm_of_gradient(self.parameters)
            return value

        return float(self.optimizer.step(closure))  # type: ignore[arg-type]  # ours want the loss as a tensor

    def state(self) -> dict[str, Any]:
        return {"optimizer": self.optimizer.state_dict()}

    def restore(self, state: dict[str, Any]) -> None:
        self.optimizer.load_state_dict(state["optimizer"])
