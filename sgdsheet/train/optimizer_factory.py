"""From an optimizer's row and the settings to the optimizer itself: for runs, restarts and the learning-rate finder."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.optim.lr_scheduler import LRScheduler

from sgdsheet.problem.optimizers import Optimizer
from sgdsheet.problem.schedules import SCHEDULES
from sgdsheet.problem.settings import Settings
from sgdsheet.train.algorithms import OWN

_FUSED = {"Adam": torch._fused_adam_, "AdamW": torch._fused_adamw_}
"""Classes of `torch.optim` that take a step on the CPU in one operation, in half the time. It reads parameters and
gradients as they lie in memory."""


def build_optimizer(
    row: Optimizer,
    parameters: Iterable[Tensor],
    rate: float,
    settings: Settings,
    *,
    steps: int = 0,
    seed: int = 0,
    bounds: Sequence[tuple[Tensor, Tensor]] | None = None,
) -> torch.optim.Optimizer:
    """The optimizer of a row: its class of our own or of `torch.optim`, with its options and what the settings add.

    `steps` is the length of the run; `bounds` are the smallest and largest values of each parameter, of its shape.
    """
    options = {"lr": rate, **row.options, **row.momentum_options(settings.momentum)}
    if row.weight_decay and settings.weight_decay:
        options["weight_decay"] = settings.weight_decay
    held = list(parameters)
    plain = all(item.device.type == "cpu" and item.is_contiguous() for item in held)
    if row.class_name in _FUSED and plain and len({item.dtype for item in held}) == 1:
        options["fused"] = True
    run = {"steps": steps, "seed": seed, "bounds": bounds}
    options |= {name: run[name] for name in row.run_options}
    kind: type[torch.optim.Optimizer] = OWN.get(row.class_name) or getattr(torch.optim, row.class_name)
    fused = bool(options.get("fused"))
    built: torch.optim.Optimizer = _for_eager_steps(kind, fused)(held, **options)  # type: ignore[arg-type]  # classes have a hash
    return built


@functools.cache
def _for_eager_steps(kind: type[torch.optim.Optimizer], fused: bool) -> type[torch.optim.Optimizer]:
    """A class of optimizers without what torch wraps around its methods for `torch.compile` and its profiler.

    The wrappers import `torch._dynamo`, which takes as long as the rest of torch, and cost microseconds in each step.
    Nothing here compiles or profiles an optimizer. `inspect.unwrap` finds the methods as they were written; a step is
    written to run without gradients. Classes whose methods are not wrapped stay as they are in effect. A `fused` step
    calls its one operation without looking for it.
    """
    methods = ("add_param_group", "zero_grad", "state_dict", "load_state_dict")
    bare = {name: inspect.unwrap(getattr(kind, name)) for name in methods}
    step: Any = torch.no_grad()(_fused_step(kind) if fused else inspect.unwrap(kind.step))
    step.hooked = True  # torch puts the profiler's wrapper around the step of a class that does not say so
    return type(kind.__name__, (kind,), {**bare, "step": step, "__module__": kind.__module__})


def _fused_step(kind: type[torch.optim.Optimizer]) -> Callable[..., Any]:
    """A step of Adam or AdamW, on parameters of one data type, as `torch.optim` takes it with `fused`.

    Where a parameter moves for the first time, torch takes the step, and makes its state.
    """
    operation, usual = _FUSED[kind.__name__], inspect.unwrap(kind.step)

    def step(optimizer: torch.optim.Optimizer, closure: Callable[[], Any] | None = None) -> Any:
        loss = torch.enable_grad()(closure)() if closure is not None else None
        groups = [[item for item in group["params"] if item.grad is not None] for group in optimizer.param_groups]
        if not all(optimizer.state.get(item) for moved in groups for item in moved):
            usual(optimizer)
            return loss
        for group, moved in zip(optimizer.param_groups, groups, strict=True):
            if not moved:
                continue
            states = [optimizer.state[item] for item in moved]
            means, squares, counts = ([state[name] for state in states] for name in ("exp_avg", "exp_avg_sq", "step"))
            torch._foreach_add_(counts, 1)
            first, second = group["betas"]
            options = {name: group[name] for name in ("amsgrad", "lr", "weight_decay", "eps", "maximize")}
            gradients = [item.grad for item in moved]
            operation(moved, gradients, means, squares, [], counts, beta1=first, beta2=second, **options)
        return loss

    return step


def build_scheduler(optimizer: torch.optim.Optimizer, name: str, rate: float, steps: int) -> LRScheduler | None:
    """The scheduler of torch for a run of so many steps; None where the rate stays."""
    schedule = SCHEDULES[name]
    if not schedule.torch_name or steps == 0:
        return None
    options = dict(schedule.options(steps, rate))
    if schedule.torch_name == "OneCycleLR":  # it moves the momentum too, where there is any
        options["cycle_momentum"] = any(group.get("momentum") or "betas" in group for group in optimizer.param_groups)
    built: LRScheduler = getattr(torch.optim.lr_scheduler, schedule.torch_name)(optimizer, **options)
    return built
