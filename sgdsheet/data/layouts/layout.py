"""What both forms of a bound dataset are for training: cells as a function of a batch of samples."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Protocol

import torch
from torch import Tensor, fx

from sgdsheet.compiler.frontend.planning import Planner
from sgdsheet.compiler.passes.shapes import known_shape
from sgdsheet.data.arrays import BoundData
from sgdsheet.data.binding import Binding
from sgdsheet.sheet.references import Cell, Range

_AT_ONCE = 1 << 20
"""Numbers of a source that are evaluated at a time."""


Translate = Callable[[Callable[..., Tensor]], Callable[..., Tensor]]
"""Makes a function faster: `torch.compile`, or nothing at all."""


def numbers_in(module: fx.GraphModule) -> int:
    """How many numbers the results of a program's operations have, together."""
    return sum(shape.numel() for shape in map(known_shape, module.graph.nodes) if shape is not None)


def as_it_is(function: Callable[..., Tensor]) -> Callable[..., Tensor]:
    return function


Batch = Callable[[], list[Tensor]]
"""Gives the arguments of a program for some samples, when they are needed."""


@dataclass(frozen=True, slots=True)
class Whole:
    """All the samples that a cell is over, and how many they are."""

    batch: Batch
    count: int


class Pooled(Protocol):
    """Cells that sum up or average over the samples."""

    additive: bool
    """Whether the mean over parts of the samples is that over all of them (an average is, its root is not)."""

    def over(self, batch: Sequence[Tensor]) -> Callable[[], Tensor]:
        """A function that calculates the cells for a batch: a scalar, or for several cells a vector."""
        ...

    def numbers(self, batch: Sequence[Tensor]) -> int:
        """How many numbers that takes, with all that is calculated on the way."""
        ...


class Each(Protocol):
    """Cells that every sample has its own of."""

    @property
    def texts(self) -> Mapping[int, Sequence[str]]:
        """For the cells that are text, the texts that their numbers stand for; known once a batch was evaluated."""
        ...

    def over(self, batch: Sequence[Tensor]) -> Tensor:
        """Their values for a batch: [samples, cells]."""
        ...


class Form(Protocol):
    """How a sheet shows samples. Both methods raise FormulaError, with its cell, for what cannot be batched."""

    translate: Translate
    bindings: Sequence[Binding]
    planner: Planner
    reads_training: bool
    """Whether a sample's cells depend on what was taken from all samples of training, such as a column's mean."""

    def pooled(self, cells: Sequence[Cell]) -> Pooled:
        """Cells over all samples, such as the loss."""
        ...

    def each(self, areas: Sequence[Range]) -> Each:
        """Cells of one sample, such as a prediction."""
        ...

    def judging(self, whole: Whole) -> Form:
        """The same for cells over other samples than those of training.

        What each sample reads of all samples together, such as the mean of a column, stays that of training.
        """
        ...


def evaluate(pooled: Pooled, data: BoundData, indices: Tensor | None = None) -> list[float]:
    """The cells over all samples of a part of the source, or over some."""
    total: Tensor | None = None
    count = data.count if indices is None else len(indices)
    with torch.no_grad():
        for start, stop in spans(data, count, whole=not pooled.additive):
            batch = data.slice(start, stop) if indices is None else data.batch(indices[start:stop])
            values = pooled.over(batch)().double() * ((stop - start) / count)
            total = values if total is None else total + values
    assert total is not None
    found: list[float] = total.reshape(-1).tolist()
    return found


def spans(data: BoundData, count: int, *, whole: bool = False) -> list[tuple[int, int]]:
    """So many samples in portions of nearly the same size."""
    per_sample = sum(tensor[0].numel() for tensor in data.tensors)
    portions = 1 if whole else -(-count * per_sample // _AT_ONCE)
    edges = [count * index // portions for index in range(portions + 1)]
    return list(pairwise(edges))
