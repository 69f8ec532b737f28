"""Simulated annealing."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import torch
from torch import Tensor

_COLDEST = 1e-5
"""The last temperature, as a share of the first."""

_PROBES, _PROBE_LENGTH = 20, 10.0
"""Moves from which the first temperature is taken, and how many times longer than others they are."""

_FIRST_SHARE = 0.3
"""The first temperature, as a share of what such a move changes the loss by."""

_MOST_MOVES = 20
"""Moves in a step, at most: where there are more numbers than that, a move changes several."""

_ACCEPTED = 0.2
"""Share of the moves that should be kept: with more, moves get longer, with fewer, shorter."""

_ADAPTATION = 0.1
"""How fast moves get longer or shorter, as a power of e."""


class Annealing(torch.optim.Optimizer):
    """Random moves; one that raises the loss by d is kept with probability e^(-d/T), where T falls from step to step.

    Kirkpatrick, Gelatt and Vecchi, “Optimization by simulated annealing”, Science 220 (1983). Moves are mostly short
    and now and then very long (Szu and Hartley, “Fast simulated annealing”, Physics Letters A 122, 1987). Their length
    for each number follows from how many are kept (Corana and others, “Minimizing multimodal functions of continuous
    variables with the simulated annealing algorithm”, ACM Transactions on Mathematical Software 13, 1987).

    A step moves each number once, or a twentieth of them at a time. The learning rate is the length of the first moves,
    as a share of each number's size, which counts as 1 at least. T starts at the changes of the loss that long moves
    bring, and after `steps` steps it is a hundred-thousandth of that. `bounds` are the smallest and the largest values
    of the parameters, two tensors of each one's shape.
    """

    def __init__(
        self,
        params: Iterable[Tensor],
        lr: float = 0.1,
        steps: int = 1000,
        seed: int = 0,
        bounds: Sequence[tuple[Tensor, Tensor]] | None = None,
    ) -> None:
        generator = torch.Generator().manual_seed(seed)
        # What changes from step to step stands in the group and the state, where `state_dict` finds it.
        super().__init__(params, {"lr": lr, "temperature": None, "generator": generator.get_state()})
        self.cooling = _COLDEST ** (1 / max(steps, 1))
        self.bounds = None
        if bounds is not None:
            self.bounds = [torch.cat([side.reshape(-1) for side in sides]) for sides in zip(*bounds, strict=True)]

    @torch.no_grad()
    def step(self, closure: Callable[[], Tensor]) -> float:  # type: ignore[override]
        """Try a move of each number. `closure` calculates the loss; returns the loss before."""
        loss = before = closure().item()
        (group,) = self.param_groups
        generator = torch.Generator()
        generator.set_state(group["generator"])
        place = torch.cat([parameter.reshape(-1) for parameter in group["params"]])
        lengths = self._lengths(place)
        parts = torch.arange(len(place)).tensor_split(min(len(place), _MOST_MOVES))
        if group["temperature"] is None:
            group["temperature"] = self._first_temperature(closure, loss, place, lengths, parts, generator)
        temperature = group["temperature"]
        for part in parts:
            moved = self._moved(place, part, lengths, generator)
            self._put(moved)
            found = closure().item()
            chance = torch.rand((), generator=generator).item()
            # Not kept either where the loss is NaN.
            kept = found <= loss or chance < math.exp(-min((found - loss) / temperature, 700.0))
            if kept:
                place, loss = moved, found
            lengths[part] *= math.exp(_ADAPTATION * (float(kept) - _ACCEPTED))
        self._put(place)
        self._keep_lengths(lengths)
        group.update(temperature=temperature * self.cooling, generator=generator.get_state())
        return before

    def _moved(self, place: Tensor, part: Tensor, lengths: Tensor, generator: torch.Generator) -> Tensor:
        """A place nearby, or, by chance, far away; what would leave the bounds goes anywhere between them."""

        moved = place.clone()
        moved[part] += (
            lengths[part] * _normal(len(part), place, generator) / _normal(1, place, generator).abs().clamp_min(1e-6)
        )
        if self.bounds is None:
            return moved
        lower, upper = (side[part] for side in self.bounds)
        share = torch.rand(len(part), generator=generator, dtype=place.dtype).to(place.device)
        inside = torch.where((upper - lower).isfinite(), lower + share * (upper - lower), moved[part])
        outside = (moved[part] < lower) | (moved[part] > upper)
        moved[part] = torch.where(outside, inside, moved[part]).clamp(lower, upper)
        return moved

    def _first_temperature(
        self,
        closure: Callable[[], Tensor],
        loss: float,
        place: Tensor,
        lengths: Tensor,
        parts: Sequence[Tensor],
        generator: torch.Generator,
    ) -> float:
        changes = []
        for number in range(_PROBES):
            part = parts[number % len(parts)]
            probe = place.clone()
            probe[part] += _PROBE_LENGTH * lengths[part] * _normal(len(part), place, generator)
            if self.bounds is not None:
                probe = probe.clamp(*self.bounds)
            self._put(probe)
            changes.append(abs(closure().item() - loss))
        finite = [change for change in changes if math.isfinite(change)]
        typical = sum(finite) / len(finite) if finite else abs(loss)
        return max(_FIRST_SHARE * typical, 1e-12 * abs(loss), 1e-300)

    def _put(self, place: Tensor) -> None:
        """Give the parameters the numbers of one vector."""
        start = 0
        for parameter in self.param_groups[0]["params"]:
            parameter.copy_(place[start : start + parameter.numel()].reshape(parameter.shape))
            start += parameter.numel()

    def _lengths(self, place: Tensor) -> Tensor:
        """The lengths of moves, in the order of the numbers."""
        states: list[dict[str, Any]] = [self.state[parameter] for parameter in self.param_groups[0]["params"]]
        if all("length" in state for state in states):
            return torch.cat([state["length"].reshape(-1) for state in states])
        return place.abs().clamp_min(1.0) * float(self.param_groups[0]["lr"])

    def _keep_lengths(self, lengths: Tensor) -> None:
        start = 0
        for parameter in self.param_groups[0]["params"]:
            self.state[parameter]["length"] = (
                lengths[start : start + parameter.numel()].reshape(parameter.shape).clone()
            )
            start += parameter.numel()


def _normal(count: int, like: Tensor, generator: torch.Generator) -> Tensor:
    """Random numbers [count] of the normal distribution."""
    return torch.randn(count, generator=generator, dtype=like.dtype).to(like.device)
