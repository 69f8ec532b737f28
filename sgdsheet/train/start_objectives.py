"""Objectives and gradients of many starts at once: by a flat program where there is one, else by `torch.vmap`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol

import torch
from torch import Tensor, fx, nn
from torch.func import functional_call, vmap

from sgdsheet.compiler.backward.many_starts import ManyStarts, many_starts
from sgdsheet.train.vectorized import for_vmap, in_float32

AsObjective = Callable[[Tensor], Tensor]

_NUMBERS_AT_ONCE = 30_000_000
"""Intermediate numbers of the starts that vmap takes at the same time: more starts than fit are taken group by group.
"""


class StartObjectives(Protocol):
    """Objectives of starts, whose parameters are stacked along a first dimension [starts, …]."""

    def values(self, stacks: Sequence[Tensor]) -> Tensor:
        """The objective of each start [starts]."""
        ...

    def with_gradients(self, stacks: Sequence[Tensor]) -> tuple[Tensor, list[Tensor | None]]:
        """The objectives [starts] and their gradients, like `stacks`; the next call may take their place.

        None stands for the gradient of a parameter that the loss does not depend on. That of a start without a finite
        objective does not count.
        """
        ...

    def places(self, count: int) -> list[Tensor] | None:
        """Where so many starts may keep their parameters [starts, …], of which a call takes no copy then.

        Starts are the last dimension in memory. None where it makes no difference.
        """
        ...


class VmapObjectives:
    """Objectives of a module whose gradients autograd calculates. `names` are those of its parameters."""

    def __init__(self, module: fx.GraphModule, names: Sequence[str], as_objective: AsObjective) -> None:
        self._module, self._names, self._as_objective = module, list(names), as_objective
        numbers = sum(buffer.numel() for buffer in module.buffers())
        self._group = max(1, _NUMBERS_AT_ONCE // max(numbers, 1))

    def values(self, stacks: Sequence[Tensor]) -> Tensor:
        with torch.no_grad():
            return torch.cat([self._objectives(part) for part in self._parts(stacks)])

    @torch.inference_mode(False)
    def with_gradients(self, stacks: Sequence[Tensor]) -> tuple[Tensor, list[Tensor | None]]:
        leaves = [stacked.detach().clone().requires_grad_() for stacked in stacks]
        found = []
        for part in self._parts(leaves):
            objectives = self._objectives(part)
            torch.where(torch.isfinite(objectives), objectives, 0.0).sum().backward()
            found.append(objectives.detach())
        return torch.cat(found), [leaf.grad for leaf in leaves]

    def places(self, count: int) -> list[Tensor] | None:
        return None

    def _parts(self, stacks: Sequence[Tensor]) -> list[list[Tensor]]:
        starts = range(0, len(stacks[0]), self._group)
        return [[stacked[first : first + self._group] for stacked in stacks] for first in starts]

    def _objectives(self, part: Sequence[Tensor]) -> Tensor:
        def one(values: dict[str, Tensor]) -> Tensor:
            result: Tensor = functional_call(self._module, values, ())
            return result

        losses: Tensor = vmap(one)(dict(zip(self._names, part, strict=True)))
        return self._as_objective(losses)


class FlatObjectives:
    """Objectives that a flat program calculates, as many starts at a time as it was made for, at most as there are.

    The last group takes some starts of the one before it again, if they do not divide.
    """

    def __init__(self, program: ManyStarts) -> None:
        self._program = program
        self._places = [parameter.movedim(-1, 0) for parameter in program.parameters]
        self._found = [None if each is None else each.movedim(-1, 0) for each in program.gradients]

    def values(self, stacks: Sequence[Tensor]) -> Tensor:
        found = torch.empty(len(stacks[0]), dtype=self._program.objectives.dtype)
        for part in self.groups(len(found)):
            self._put([stacked[part] for stacked in stacks])
            self._program.forward()
            found[part] = self._program.objectives
        return found

    def places(self, count: int) -> list[Tensor] | None:
        alone = count == self._program.count and all(each.is_contiguous() for each in self._program.parameters)
        return self._places if alone else None

    def with_gradients(self, stacks: Sequence[Tensor]) -> tuple[Tensor, list[Tensor | None]]:
        program = self._program
        if len(stacks[0]) == program.count:
            self._put(stacks)
            program.calculate()
            return program.objectives, list(self._found)
        return self._by_groups(stacks)

    def _by_groups(self, stacks: Sequence[Tensor]) -> tuple[Tensor, list[Tensor | None]]:
        objectives = torch.empty(len(stacks[0]), dtype=self._program.objectives.dtype)
        gradients = [
            None if each is None else torch.empty_like(stacked)
            for each, stacked in zip(self._found, stacks, strict=True)
        ]
        for part in self.groups(len(objectives)):
            self._put([stacked[part] for stacked in stacks])
            self._program.calculate()
            objectives[part] = self._program.objectives
            for whole, own in zip(gradients, self._found, strict=True):
                if whole is not None and own is not None:
                    whole[part] = own
        return objectives, gradients

    def groups(self, count: int) -> list[slice]:
        """The parts of so many starts that are calculated at a time."""
        size = self._program.count
        firsts = [min(first, count - size) for first in range(0, count, size)]
        return [slice(first, first + size) for first in firsts]

    def _put(self, stacks: Sequence[Tensor]) -> None:
        """Put parameters where the program reads them, unless they are kept there."""
        for place, stacked in zip(self._places, stacks, strict=True):
            if place.data_ptr() != stacked.data_ptr():
                place.copy_(stacked)


def exploring_objectives(
    module: fx.GraphModule, names: Sequence[str], as_objective: AsObjective, stacks: Sequence[Tensor]
) -> StartObjectives:
    """Objectives in float32 of starts, whose parameters `stacks` [starts, …] has, as the cells hold them.

    `names` are those of the module's parameters.
    """
    single = in_float32(module)
    found = flat_objectives(single, names, as_objective, stacks)
    return VmapObjectives(for_vmap(single), names, as_objective) if found is None else found


def flat_objectives(
    module: fx.GraphModule, names: Sequence[str], as_objective: AsObjective, stacks: Sequence[Tensor]
) -> FlatObjectives | None:
    """Objectives of starts by a flat program that calculates like the module; None where there is none."""
    own = dict(module.named_parameters())
    spare = [nn.Parameter(stacked[0].detach().clone()) for stacked in stacks]
    parameters = [own.get(name, other) for name, other in zip(names, spare, strict=True)]
    program = many_starts(module, parameters, as_objective, [stacked.detach() for stacked in stacks])
    return None if program is None else FlatObjectives(program)
