"""Wiggle: what one would do by hand, without a gradient."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import torch
from torch import Tensor

_SMALLEST = 1e-12

_DOUBLINGS = 7
"""How often the distance is doubled where a number does not change the loss, as on a plateau."""


class Wiggle(torch.optim.Optimizer):
    """Tries every number a little up and down and keeps what lowers the loss; if nothing does, halves the distance.

    Where a number does not change the loss at all, on a plateau of a loss with steps, it looks farther away. Known as
    coordinate (or compass) search: Kolda, Lewis and Torczon, “Optimization by direct search”, SIAM Review 45 (2003).
    The distance is the learning rate, in the units of the parameters. A step evaluates the loss once, and twice for
    each number of the parameters, or more often on a plateau.
    """

    stalled = False
    """Whether the distance has become so small that no step matters."""

    def __init__(self, params: Iterable[Tensor], lr: float = 0.1) -> None:
        super().__init__(params, {"lr": lr})

    @torch.no_grad()
    def step(self, closure: Callable[[], Tensor]) -> float:  # type: ignore[override]
        """Move once. `closure` calculates the loss; returns the loss before."""
        start = best = closure().item()
        for group in self.param_groups:
            for parameter in group["params"]:
                flat = parameter.view(-1)
                for index in range(flat.numel()):
                    best = _best_nearby(flat, index, group["lr"], best, closure)
        if not best < start:
            for group in self.param_groups:
                group["lr"] /= 2
            self.stalled = all(group["lr"] < _SMALLEST for group in self.param_groups)
        return start


def _best_nearby(flat: Tensor, index: int, distance: float, best: float, closure: Callable[[], Tensor]) -> float:
    """Leave a number where it is, a distance up or a distance down; returns the loss there."""
    middle = chosen = flat[index].item()
    before = best
    for step in (distance, -distance):
        for _ in range(1 + _DOUBLINGS):
            flat[index] = middle + step
            found = closure().item()
            if found < best:
                best, chosen = found, middle + step
            if found != before:
                break
            step *= 2
    flat[index] = chosen
    return best
