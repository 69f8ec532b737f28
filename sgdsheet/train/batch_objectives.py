"""Objectives over batches of samples: one flat program for each size of a batch, where there is one."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from torch import Tensor

from sgdsheet.compiler.backward.flat_program import flat_program
from sgdsheet.data.samples import Samples
from sgdsheet.train.step_objectives import AutogradObjective, FlatObjective, Objective

_SIZES = 8
"""Sizes of batches that get a flat program: mostly there are two, that of the batches and that of the last one."""


class _Filled(NamedTuple):
    """An objective whose batch is filled into columns."""

    objective: FlatObjective
    columns: list[Tensor]


class BatchObjectives:
    """What has to become small, over batches of the training samples."""

    def __init__(
        self, samples: Samples, parameters: Sequence[Tensor], as_objective: Callable[[Any], Any], *, flat: bool
    ) -> None:
        self._samples, self._parameters, self._as_objective = samples, parameters, as_objective
        self._flat = flat
        self._filled: dict[int, _Filled | None] = {}
        self._batch: Tensor | None = None

    def over(self, batch: Tensor) -> Objective:
        """The objective over the samples of these indices [batch], until the next batch is asked for."""
        self._batch = batch
        size = len(batch)
        if size not in self._filled and len(self._filled) < _SIZES:
            self._filled[size] = self._made(batch) if self._flat else None
        filled = self._filled.get(size)
        if filled is None:
            return self._plain()
        self._samples.fill(filled.columns, batch)
        return filled.objective

    def _plain(self) -> Objective:
        """The objective over the last batch whose gradient autograd calculates."""
        assert self._batch is not None
        return AutogradObjective(self._samples.loss(self._batch), self._as_objective, self._parameters)

    def _made(self, batch: Tensor) -> _Filled | None:
        closed = self._samples.closed(batch)
        if closed is None:
            return None
        program = flat_program(closed.module, self._parameters, self._as_objective, closed.columns)
        return (
            None if program is None else _Filled(FlatObjective(program, self._plain, self._parameters), closed.columns)
        )
