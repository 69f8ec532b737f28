"""Simulated annealing."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable

import torch
from torch import Tensor

_COLDEST = 1e-4
"""The last temperature, as a share of the first."""


class Annealing(torch.optim.Optimizer):
    """Random moves; one that raises the loss by d is kept with probability e^(-d/T), where T falls from step to step.

    Kirkpatrick, Gelatt and Vecchi, “Optimization by simulated annealing”, Science 220 (1983). The learning rate is the
    standard deviation of a move, in the units of the parameters. T starts at the size of the loss, in its units, and
    after `steps` steps it is a ten-thousandth of that.
    """

    def __init__(self, params: Iterable[Tensor], lr: float = 0.1, steps: int = 1000, seed: int = 0) -> None:
        generator = torch.Generator().manual_seed(seed)
        # What changes from step to step stands in the group, where `state_dict` finds it.
        super().__init__(params, {"lr": lr, "temperature": None, "generator": generator.get_state()})
        self.cooling = _COLDEST ** (1 / max(steps, 1))

    @torch.no_grad()
    def step(self, closure: Callable[[], Tensor]) -> float:  # type: ignore[override]
        """Move once, or not at all. `closure` calculates the loss; returns the loss before."""
        start, group = closure().item(), self.param_groups[0]
        temperature = max(abs(start), 1e-6) if group["temperature"] is None else group["temperature"]
        generator = torch.Generator()
        generator.set_state(group["generator"])
        parameters = group["params"]
        before = [parameter.clone() for parameter in parameters]
        for parameter in parameters:
            noise = torch.randn(parameter.shape, generator=generator, dtype=parameter.dtype)
            parameter += group["lr"] * noise.to(parameter.device)
        rise = closure().item() - start
        chance = torch.rand((), generator=generator).item()
        if not (rise <= 0 or chance < math.exp(-rise / temperature)):  # also where the loss is NaN
            for parameter, old in zip(parameters, before, strict=True):
                parameter.copy_(old)
        group.update(temperature=temperature * self.cooling, generator=generator.get_state())
        return start
