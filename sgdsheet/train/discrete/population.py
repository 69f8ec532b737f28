"""Many points at once: the compiled programs of loss and constraints, evaluated for a whole population in one call."""

from __future__ import annotations

import warnings
from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor, fx
from torch.func import functional_call, vmap

from sgdsheet.compiler.backward.many_starts import ManyStarts, many_values
from sgdsheet.train.constrained.flat_functions import FlatModel, Floats

Calculate = Callable[[dict[str, Tensor]], Tensor]

_NUMBERS_AT_ONCE = 4_000_000
"""Intermediate numbers of the points that are evaluated at the same time."""


class Population:
    """Loss and residuals of many points; values only, so it takes programs without a gradient, too.

    `batched` tells whether the programs can be evaluated for many points at once; if not, it is one by one.
    """

    def __init__(self, flat: FlatModel) -> None:
        self.flat = flat
        self.batched = True
        self.evaluated = 0
        """How many points have been evaluated so far."""
        self._programs: dict[fx.GraphModule, ManyStarts | None] = {}
        """The flat program of each module for many points, where there is one."""
        self._names = flat.model.parameter_names
        self._sizes = [tensor.numel() for tensor in flat.tensors]
        self._chunk = max(1, _NUMBERS_AT_ONCE // max(1, flat.model.numbers_read()))

    def objectives(self, points: Floats) -> tuple[Floats, Floats]:
        """The objective [points] and the relative violation of the constraints [points] of points [points, parameters].

        Where something cannot be calculated both are infinite. The violation is the sum over all constraints.
        """
        losses, residuals = self.values(points)
        split, sizes = self.flat.split, self.flat.magnitudes
        with np.errstate(all="ignore"):
            violated = np.concatenate([np.maximum(residuals[:, :split], 0.0), np.abs(residuals[:, split:])], axis=1)
            violation = (violated / sizes).sum(axis=1)
            objective = self.flat.model.as_objective(torch.from_numpy(losses)).numpy()
        bad = ~np.isfinite(objective) | ~np.isfinite(violation)
        return np.where(bad, np.inf, objective), np.where(bad, np.inf, violation)

    def values(self, points: Floats) -> tuple[Floats, Floats]:
        """The loss cell [points] and the residuals [points, residuals]."""
        self.evaluated += len(points)
        found = [self._part(points[start : start + self._chunk]) for start in range(0, len(points), self._chunk)]
        losses, residuals = zip(*found, strict=True)
        return np.concatenate(losses), np.concatenate(residuals)

    def _part(self, points: Floats) -> tuple[Floats, Floats]:
        if self.batched:
            try:
                return self._at_once(points)
            except (RuntimeError, ValueError, NotImplementedError, IndexError):  # an operation that vmap does not know
                self.batched = False
        return self._one_by_one(points)

    def _at_once(self, points: Floats) -> tuple[Floats, Floats]:
        flat, start = self.flat, 0
        stacked: dict[str, Tensor] = {}
        for name, tensor, size in zip(self._names, flat.tensors, self._sizes, strict=True):
            part = torch.from_numpy(np.ascontiguousarray(points[:, start : start + size]))
            stacked[name] = part.reshape(len(points), *tensor.shape).to(tensor.dtype)
            start += size
        losses = self._results(flat.model.program, stacked)
        residuals = torch.zeros(len(points), 0)
        if flat.constraints.program is not None:
            residuals = self._results(flat.constraints.program, stacked)
        return losses.double().reshape(-1).numpy(), residuals.double().reshape(len(points), -1).numpy()

    def _results(self, module: fx.GraphModule, stacked: dict[str, Tensor]) -> Tensor:
        """The results of a module [points, …], whose parameters at the points [points, …] have these names."""
        own = dict(module.named_parameters())
        stacks = [stacked[name] for name in own]
        if module not in self._programs:
            self._programs[module] = many_values(module, list(own.values()), stacks)
        program = self._programs[module]
        if program is None:
            with torch.no_grad(), warnings.catch_warnings():
                warnings.simplefilter("ignore", UserWarning)  # of operations that are batched by a loop
                batched: Tensor = vmap(_called(module))(stacked)
            return batched
        count, found = len(stacks[0]), []
        for first in range(0, count, program.count):
            size = min(program.count, count - first)
            for place, values in zip(program.parameters, stacks, strict=True):
                place[..., :size] = values[first : first + size].movedim(0, -1)
            program.forward()  # the places behind the last point keep another one
            found.append(program.losses[..., :size].movedim(-1, 0).clone())
        return torch.cat(found)

    def _one_by_one(self, points: Floats) -> tuple[Floats, Floats]:
        found = [self.flat.at(point) for point in points]
        return np.array([point.loss for point in found]), np.array([point.residuals for point in found])


def _called(module: fx.GraphModule) -> Calculate:
    own = dict(module.named_parameters())

    def calculate(values: dict[str, Tensor]) -> Tensor:
        found: Tensor = functional_call(module, {name: value for name, value in values.items() if name in own}, ())
        return found

    return calculate
