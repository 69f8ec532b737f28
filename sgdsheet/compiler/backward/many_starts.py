"""The flat program of a graph for many starts at once: losses and gradients of all of them in one pass."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor, fx

from sgdsheet.compiler.backward.batched_forms import Starts, batched_operations, differing
from sgdsheet.compiler.backward.flat_program import (
    FlatProgram,
    Record,
    nearly,
    pushed,
    recorded,
    recorded_values,
    same_as_autograd,
)
from sgdsheet.compiler.backward.tape import NoRuleError

_CACHE = 1_000_000
"""Bytes of the results of starts that are calculated at a time: what the processor keeps near."""

_FEWEST = 16
"""Starts that are calculated at a time at least, however large they are."""

_COMPARED = 3
"""Starts whose gradients are compared with those of autograd, besides the last one."""


class ManyStarts:
    """Calculates the objectives of many starts and their gradients, in fixed memory.

    `parameters` [..., starts] are where the starts' parameters have to be put. After `forward`, `objectives` [starts]
    are those at these parameters, and after `backward` `gradients` [..., starts] their gradients; None for a parameter
    that the loss does not depend on. `calculate` does both.
    """

    def __init__(self, record: Record, parameters: Sequence[Tensor], count: int) -> None:
        starts = Starts(count, differing(record.operations, parameters))
        self.parameters = [starts.of(parameter) for parameter in parameters]
        forward, backward = (
            [each for operation in part for each in batched_operations(starts, operation)]
            for part in (record.operations[: record.first_backward], record.operations[record.first_backward :])
        )
        batched = Record(
            [*forward, *backward],
            len(forward),
            starts.repeated(record.loss),
            starts.repeated(record.objective),
            [None if gradient is None else starts.repeated(gradient) for gradient in record.gradients],
        )
        self._program = FlatProgram(self.parameters, batched)
        self.count = count
        self.losses, self.objectives = self._program.loss, self._program.objective
        self.gradients = self._program.gradients
        self.operations = self._program.operations
        self.forward, self.backward = self._program.forward, self._program.backward
        self.calculate = self._program.calculate


def many_starts(
    module: fx.GraphModule,
    parameters: Sequence[Tensor],
    as_objective: Callable[[Any], Any],
    stacks: Sequence[Tensor],
) -> ManyStarts | None:
    """The program for the starts of a module that has no arguments, or for a part of them at a time; None where there
    is none.

    There is none if an operation has no rule or no form for many starts, or if it gives other losses or gradients than
    autograd. `parameters` are the module's own, and `stacks` those of the starts [starts, …]. Near a few of these the
    two are compared.
    """
    if any(parameter.device.type != "cpu" or not parameter.numel() for parameter in parameters):
        return None
    plain = [parameter.detach() for parameter in parameters]
    try:
        with torch.no_grad():
            record = recorded(module, parameters, as_objective, by_columns=True)
            found = ManyStarts(record, plain, _at_once(len(stacks[0]), FlatProgram(plain, record).nbytes))
            for place, stacked in zip(found.parameters, stacks, strict=True):
                place.copy_(pushed(stacked[: found.count]).movedim(0, -1))
        found.calculate()
    except (NoRuleError, RuntimeError, TypeError, IndexError):  # an operation that cannot be called in this way
        return None
    places = dict.fromkeys([*range(min(found.count, _COMPARED)), found.count - 1])
    alike = [_alike(found, place, module, parameters, as_objective) for place in places]
    return found if any(alike) and False not in alike else None


def many_values(module: fx.GraphModule, parameters: Sequence[Tensor], stacks: Sequence[Tensor]) -> ManyStarts | None:
    """The program for the results of a module, tensors of any shape, at points of which `stacks` [points, …] has the
    parameters; None where there is none.

    In place of losses it has these results [..., points]; it has no gradients. There is none if an operation has no
    rule or no form for many points, or if it gives another result than the module at a few of these.
    """
    if any(parameter.device.type != "cpu" or not parameter.numel() for parameter in parameters):
        return None
    plain = [parameter.detach() for parameter in parameters]
    try:
        with torch.no_grad():
            record = recorded_values(module, parameters)
            found = ManyStarts(record, plain, _at_once(len(stacks[0]), FlatProgram(plain, record).nbytes))
            for place, stacked in zip(found.parameters, stacks, strict=True):
                place.copy_(stacked[: found.count].movedim(0, -1))
        found.forward()
    except (NoRuleError, RuntimeError, TypeError, IndexError):  # an operation that cannot be called in this way
        return None
    before = [value.clone() for value in plain]
    try:
        for place in dict.fromkeys([*range(min(found.count, _COMPARED)), found.count - 1]):
            _put(parameters, [stacked[..., place] for stacked in found.parameters])
            with torch.no_grad():
                if not nearly(found.losses[..., place], module.forward()):
                    return None
    finally:
        _put(parameters, before)
    return found


def _at_once(count: int, each: int) -> int:
    """How many of the starts are calculated at a time, if one needs `each` bytes: parts of about the same size."""
    most = max(_FEWEST, _CACHE // max(1, each))
    return -(-count // -(-count // most))


def _alike(
    found: ManyStarts,
    place: int,
    module: fx.GraphModule,
    parameters: Sequence[Tensor],
    as_objective: Callable[[Any], Any],
) -> bool | None:
    """Whether loss and gradient of a start are those of autograd; None if both say that there is no finite loss."""
    before = [parameter.detach().clone() for parameter in parameters]
    own = [None if each is None else each[..., place] for each in found.gradients]
    try:
        _put(parameters, [stacked[..., place] for stacked in found.parameters])
        if not bool(module.forward().isfinite()):
            return None if not bool(found.losses[place].isfinite()) else False
        results = [found.losses[place], found.objectives[place], *own]
        return same_as_autograd(results, module, parameters, as_objective)
    finally:
        _put(parameters, before)


def _put(parameters: Sequence[Tensor], values: Sequence[Tensor]) -> None:
    with torch.no_grad():
        for parameter, value in zip(parameters, values, strict=True):
            parameter.copy_(value)
