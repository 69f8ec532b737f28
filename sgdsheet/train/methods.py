"""What moves the parameters: one class per family of optimizers.

A method's `step` gets a function that calculates what has to become small, and one to be told its value while
the parameters are still where they were; it then moves them once.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any, Protocol

import torch
from torch import Tensor

from sgdsheet.problem.optimizers import Family, Optimizer
from sgdsheet.problem.schedules import SCHEDULES
from sgdsheet.problem.settings import Settings

Loss = Callable[[], Tensor]
"""Calculates what has to become small, from the parameters as they are."""

Keep = Callable[[float], None]
"""Is told the objective at the present parameters, before they move."""

_STILL = 1e-13
_PATIENCE = 10
_COLDEST = 1e-4


class Method(Protocol):
    """Moves parameters step by step."""

    stalled: bool
    """Whether it does not get any further; whether that is a minimum is another question: see `convergence`."""
    gradient_norm: float | None
    looked: bool
    """Whether the last step asked for the objective; it always does, except on a GPU."""

    @property
    def learning_rate(self) -> float:
        """The size of the next step."""
        ...

    def step(self, loss: Loss, keep: Keep, *, measure: bool = False) -> float:
        """Move once; returns the objective before. Where that is not finite, nothing was moved.

        With `measure`, `gradient_norm` is the length of the gradient before the move.
        """
        ...

    def state(self) -> dict[str, Any]:
        """What the method remembers between steps."""
        ...

    def restore(self, state: dict[str, Any]) -> None:
        """Take up what another method of the same kind remembered."""
        ...


def build_method(
    row: Optimizer, parameters: Sequence[Tensor], rate: float, settings: Settings, steps: int, seed: int
) -> Method:
    """The method of an optimizer for a run of so many steps."""
    if row.family is Family.LINE_SEARCH:
        return LineSearch(row, parameters, rate)
    if row.family is Family.WIGGLE:
        return Wiggle(parameters, rate)
    if row.family is Family.ANNEALING:
        return Annealing(parameters, rate, steps, seed)
    return GradientDescent(row, parameters, rate, settings, steps)


def torch_optimizer(row: Optimizer, parameters: Sequence[Tensor], rate: float, **more: Any) -> torch.optim.Optimizer:
    """The optimizer of `torch.optim` that a row names."""
    built: torch.optim.Optimizer = getattr(torch.optim, row.torch_name)(
        list(parameters), **{"lr": rate, **row.options, **more}
    )
    return built


def gradient_options(row: Optimizer, settings: Settings) -> dict[str, Any]:
    """What the settings add to an optimizer's own options."""
    options = row.momentum_options(settings.momentum)
    if row.weight_decay and settings.weight_decay:
        options["weight_decay"] = settings.weight_decay
    return options


def build_scheduler(optimizer: torch.optim.Optimizer, name: str, rate: float, steps: int) -> Any:
    """The scheduler of torch for a run of so many steps; None where the rate stays."""
    schedule = SCHEDULES[name]
    if not schedule.torch_name or steps == 0:
        return None
    options = dict(schedule.options(steps, rate))
    if schedule.torch_name == "OneCycleLR":  # it moves the momentum too, where there is any
        options["cycle_momentum"] = any(group.get("momentum") or "betas" in group for group in optimizer.param_groups)
    return getattr(torch.optim.lr_scheduler, schedule.torch_name)(optimizer, **options)


class GradientDescent:
    """One gradient per step, by an optimizer of torch.

    A GPU goes on working while the next step is prepared, unless somebody asks for the loss: with `look_every`
    above 1 that happens at every so many steps only, and the objective of the others is the last one seen.
    """

    stalled = False
    look_every = 1

    def __init__(
        self, row: Optimizer, parameters: Sequence[Tensor], rate: float, settings: Settings, steps: int
    ) -> None:
        self.parameters = list(parameters)
        self.optimizer = torch_optimizer(row, parameters, rate, **gradient_options(row, settings))
        self.keep_gradients = row.accumulates or not settings.zero_gradients
        self.gradient_norm: float | None = None
        self.looked = True
        self._before = math.nan
        self._taken = 0
        self.steps = steps
        self.scheduler = build_scheduler(self.optimizer, settings.schedule, rate, steps)

    @property
    def learning_rate(self) -> float:
        return float(self.optimizer.param_groups[0]["lr"])

    def step(self, loss: Loss, keep: Keep, *, measure: bool = False) -> float:
        if not self.keep_gradients:
            self.optimizer.zero_grad()
        value = loss()
        self._taken += 1
        self.looked = self._taken % self.look_every == 0 or self._taken == 1
        if self.looked:
            self._before = value.item()
        before = self._before
        if math.isfinite(before):
            keep(before)
            value.backward()
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


def norm_of_gradient(parameters: Sequence[Tensor]) -> float:
    """Euclidean length of the gradient that backward left."""
    parts = [parameter.grad.norm() for parameter in parameters if parameter.grad is not None]
    return float(torch.stack(parts).norm().item()) if parts else 0.0


class _NoStartError(Exception):
    """The loss or its gradient is not finite where a line search would start."""


class LineSearch:
    """L-BFGS: each step evaluates the loss several times and never goes up.

    Where the loss is not finite, a bowl around the step's start sends the line search back.
    """

    looked = True

    def __init__(self, row: Optimizer, parameters: Sequence[Tensor], rate: float) -> None:
        self.parameters = list(parameters)
        self.learning_rate = rate
        self.optimizer = torch_optimizer(row, parameters, rate)
        self.stalled = False
        self.gradient_norm: float | None = None
        self._recent: list[float] = []

    def step(self, loss: Loss, keep: Keep, *, measure: bool = False) -> float:
        first: list[float] = []
        before = [parameter.detach().clone() for parameter in self.parameters]
        fresh = not self.optimizer.state

        def closure() -> Tensor:
            self.optimizer.zero_grad()
            value = loss()
            value.backward()
            now, gradient = value.item(), norm_of_gradient(self.parameters)
            finite = math.isfinite(now) and math.isfinite(gradient)
            if not first:
                first.append(now if finite else math.nan)
                if math.isfinite(now):
                    keep(now)
                if not finite:
                    raise _NoStartError
                if measure:
                    self.gradient_norm = gradient
            elif not finite:
                return self._bowl(before, first[0]).to(value)
            return value

        try:
            self.optimizer.step(closure)  # type: ignore[arg-type]  # LBFGS wants the loss as a tensor
        except _NoStartError:
            return first[0]
        if not all(bool(torch.isfinite(parameter).all()) for parameter in self.parameters):
            put(self.parameters, before)
        self._watch(first[0], before, fresh)
        return first[0]

    def _bowl(self, centre: Sequence[Tensor], lowest: float) -> Tensor:
        height = max(1.0, abs(lowest))
        ways = [parameter.detach() - middle for parameter, middle in zip(self.parameters, centre, strict=True)]
        square = sum(float(way.square().sum()) for way in ways)
        for parameter, way in zip(self.parameters, ways, strict=True):
            parameter.grad = way * (2 * height / max(square, 1e-300))
        return torch.tensor(lowest + height)

    def state(self) -> dict[str, Any]:
        return {"optimizer": self.optimizer.state_dict(), "recent": self._recent}

    def restore(self, state: dict[str, Any]) -> None:
        self.optimizer.load_state_dict(state["optimizer"])
        self._recent = [float(loss) for loss in state["recent"]]

    def _watch(self, loss: float, before: Sequence[Tensor], fresh: bool) -> None:
        """Stalled: the steepest way moves nothing either, or ten steps together brought nothing."""
        self._recent = [*self._recent[-_PATIENCE:], loss]
        still = all(torch.equal(old, new) for old, new in zip(before, self.parameters, strict=True))
        gain = self._recent[0] - loss
        if still and not fresh:
            self.optimizer.state.clear()  # the next step forgets the curvature, which may be what is wrong
            still = False
        if still or (len(self._recent) > _PATIENCE and gain <= _STILL * max(abs(loss), 1e-300)):
            self.stalled = True


class Wiggle:
    """Tries every parameter a little up and down, keeps what helps; if nothing does, halves the distance."""

    looked = True
    gradient_norm: float | None = None
    _SMALLEST = 1e-12

    def __init__(self, parameters: Sequence[Tensor], distance: float) -> None:
        self.flat = [parameter.detach().view(-1) for parameter in parameters]
        self.learning_rate = distance
        self.stalled = False

    def step(self, loss: Loss, keep: Keep, *, measure: bool = False) -> float:
        with torch.no_grad():
            start = best = loss().item()
            keep(start)
            for flat in self.flat:
                for index in range(flat.numel()):
                    best = self._try(flat, index, best, loss)
        if not best < start:
            self.learning_rate /= 2
            self.stalled = self.learning_rate < self._SMALLEST
        return start

    def state(self) -> dict[str, Any]:
        return {"distance": self.learning_rate}

    def restore(self, state: dict[str, Any]) -> None:
        self.learning_rate = float(state["distance"])

    def _try(self, flat: Tensor, index: int, best: float, loss: Loss) -> float:
        middle = chosen = flat[index].item()
        for place in (middle + self.learning_rate, middle - self.learning_rate):
            flat[index] = place
            found = loss().item()
            if found < best:
                best, chosen = found, place
        flat[index] = chosen
        return best


class Annealing:
    """Simulated annealing: a move that raises the loss by d is kept with probability e^(-d/T), T falls."""

    looked = True
    gradient_norm: float | None = None
    stalled = False

    def __init__(self, parameters: Sequence[Tensor], distance: float, steps: int, seed: int) -> None:
        self.parameters = [parameter.detach() for parameter in parameters]
        self.learning_rate = distance
        self.generator = torch.Generator().manual_seed(seed)
        self.cooling = _COLDEST ** (1 / max(steps, 1))
        self.temperature: float | None = None

    def step(self, loss: Loss, keep: Keep, *, measure: bool = False) -> float:
        with torch.no_grad():
            start = loss().item()
            keep(start)
            if self.temperature is None:
                self.temperature = max(abs(start), 1e-6)
            before = [parameter.clone() for parameter in self.parameters]
            for parameter in self.parameters:
                noise = torch.randn(parameter.shape, generator=self.generator, dtype=parameter.dtype)
                parameter += self.learning_rate * noise.to(parameter.device)
            rise = loss().item() - start
            chance = torch.rand((), generator=self.generator).item()
            if not (rise <= 0 or chance < math.exp(-rise / self.temperature)):  # also where the loss is NaN
                put(self.parameters, before)
            self.temperature *= self.cooling
        return start

    def state(self) -> dict[str, Any]:
        return {"temperature": self.temperature, "generator": self.generator.get_state()}

    def restore(self, state: dict[str, Any]) -> None:
        self.temperature = state["temperature"]
        self.generator.set_state(state["generator"])


def put(targets: Sequence[Tensor], values: Sequence[Tensor]) -> None:
    """Overwrite tensors, parameters among them."""
    with torch.no_grad():
        for target, value in zip(targets, values, strict=True):
            target.copy_(value)
