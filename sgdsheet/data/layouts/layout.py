"""What every layout of samples is for training: cells as a function of a batch.

A layout says how a sheet shows samples: one per row (`source_rows`, `sheet_rows`), or one example at a time
(`example`). A batch is a list of tensors, one per column or group of columns of the source, [samples, ...].
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Protocol

import torch
from torch import Tensor, fx

from sgdsheet.compiler.evaluation import evaluate as evaluate_program
from sgdsheet.compiler.frontend.planning import Plan, Planner
from sgdsheet.compiler.model import SheetModel
from sgdsheet.compiler.passes.shapes import known_shape
from sgdsheet.compiler.program import Program, build_program
from sgdsheet.data.arrays import SampleData
from sgdsheet.data.binding import Binding
from sgdsheet.sheet.references import Cell, Range
from sgdsheet.sheet.workbook import Workbook

_AT_ONCE = 1 << 20
"""Numbers of a source that are evaluated at a time."""


Translate = Callable[[Callable[..., Tensor]], Callable[..., Tensor]]
"""Makes a function of tensors faster, such as `torch.compile`; or returns it as it is."""


def as_it_is(function: Callable[..., Tensor]) -> Callable[..., Tensor]:
    return function


Batch = Callable[[], list[Tensor]]
"""Gives the arguments of a program for some samples, when they are needed."""


@dataclass(frozen=True, slots=True)
class Whole:
    """All the samples that a cell is over, and how many they are."""

    batch: Batch
    count: int


class Reduction(Protocol):
    """Cells that sum up or average over the samples."""

    additive: bool
    """Whether the mean over parts of the samples is the value over all of them: so for an average, but not for its
    root."""

    def over(self, batch: Sequence[Tensor]) -> Callable[[], Tensor]:
        """A function that calculates the cells for a batch [samples, ...]: a scalar, or if they are several [cells]."""
        ...

    def closed(self, batch: Sequence[Tensor]) -> Closed | None:
        """The program of `over` for batches of this size, which holds this one; None where there is none."""
        ...

    def numbers(self, batch: Sequence[Tensor]) -> int:
        """How many numbers `over` calculates for a batch, counting all that is calculated on the way."""
        ...


@dataclass(frozen=True, slots=True)
class Closed:
    """A program without arguments: the batch is in constants of it, whose memory stays, to be filled with the next one.

    `columns` are these constants, in the order of the batch.
    """

    module: fx.GraphModule
    columns: list[Tensor]

    @classmethod
    def around(cls, module: fx.GraphModule, batch: Sequence[Tensor]) -> Closed:
        """The program of a batch's columns with a copy of this batch in place of its arguments."""
        columns = [column.clone() for column in batch]
        return cls(with_constants_for_arguments(module, columns), columns)


def with_constants_for_arguments(module: fx.GraphModule, columns: Sequence[Tensor]) -> fx.GraphModule:
    """The program with a constant in place of each argument: these tensors, for as many arguments as there are."""
    graph = fx.Graph()
    attributes: dict[str, Tensor] = {**dict(module.named_parameters()), **dict(module.named_buffers())}
    copies: dict[fx.Node, fx.Node] = {}
    given = iter(columns)
    for node in module.graph.nodes:
        if node.op == "placeholder":
            attributes[str(node.target)] = next(given)
            copies[node] = graph.create_node("get_attr", str(node.target))
            copies[node].meta = dict(node.meta)
        else:
            copies[node] = graph.node_copy(node, copies.__getitem__)
    return fx.GraphModule(attributes, graph, "SheetModel")


class Each(Protocol):
    """Cells of which every sample has its own."""

    @property
    def texts(self) -> Mapping[int, Sequence[str]]:
        """The texts that the numbers of a cell stand for, by the cell's number; known once a batch was evaluated."""
        ...

    def over(self, batch: Sequence[Tensor]) -> Tensor:
        """The values of the cells for a batch [samples, ...]: [samples, cells]."""
        ...


class Layout(Protocol):
    """How a sheet shows samples. `reduction` raises FormulaError, with its cell, for what cannot be batched."""

    translate: Translate

    def reduction(self, cells: Sequence[Cell]) -> Reduction:
        """Cells over all samples, such as the loss."""
        ...

    def judging(self, whole: Whole) -> Layout:
        """The layout for cells over other samples than those of training, such as validation.

        What each sample reads of all samples together, such as the mean of a column, stays that of training.
        """
        ...


class SourceLayout(Layout, Protocol):
    """How a sheet shows the samples of a source, of which each has predictions as well."""

    bindings: Sequence[Binding]
    planner: Planner
    reads_training: bool
    """Whether a sample's cells depend on what was taken from all samples of training, such as a column's mean."""

    def each(self, areas: Sequence[Range]) -> Each:
        """Cells of one sample, such as a prediction. Raises FormulaError, with its cell, for what is no sample's."""
        ...

    def judging(self, whole: Whole) -> SourceLayout:
        """The layout for cells over other samples than those of training; see `Layout.judging`."""
        ...


# --- programs of a batch --------------------------------------------------------------------------------


@dataclass(slots=True)
class BatchProgram:
    """A program for batches of one size; its arguments are the batch."""

    call: Callable[..., Tensor]
    numbers: int
    """How many numbers the results of its operations have, together."""
    module: fx.GraphModule

    @classmethod
    def of(cls, module: fx.GraphModule, translate: Translate = as_it_is) -> BatchProgram:
        """`translate` makes the program's function faster."""
        return cls(translate(module.forward), numbers_in(module), module)  # its own __call__ only looks for hooks

    def over(self, batch: Sequence[Tensor]) -> Callable[[], Tensor]:
        """The program as a function of the parameters alone."""
        call = self.call
        return lambda: call(*batch)


def stacked_cells(program: Program, cells: Sequence[Cell]) -> fx.Node:
    """A program's result for a cell: a scalar; for several cells a vector."""
    builder = program.builder
    values = [builder.stored(program.value_of(cell)).data for cell in cells]
    data = values[0] if len(values) == 1 else builder.call(torch.stack, values)
    return builder.attribute(data) if isinstance(data, Tensor) else data


def numbers_in(module: fx.GraphModule) -> int:
    """How many numbers the results of a program's operations have, together."""
    return sum(shape.numel() for shape in map(known_shape, module.graph.nodes) if shape is not None)


def twice(batch: Sequence[Tensor]) -> list[Tensor]:
    """A batch [2, ...] for one of a single sample [1, ...]: a single row would lose its dimension in the formulas.

    Twice the same row has the same mean.
    """
    return [column.repeat_interleave(2, dim=0) for column in batch]


def with_constants(model: SheetModel, plan: Plan) -> Workbook:
    """The workbook with the saved values that the plan's constant blocks lack."""
    if not plan.constant:
        return model.workbook
    program = build_program(model.workbook, model.problem.parameters, Plan(plan.constant, set()), dtype=model.dtype)
    return model.workbook.with_values(evaluate_program(program).values)


# --- over many samples ----------------------------------------------------------------------------------


def evaluate(reduction: Reduction, data: SampleData, indices: Tensor | None = None) -> list[float]:
    """The cells over all samples of a part of the source, or over some."""
    total: Tensor | None = None
    count = data.count if indices is None else len(indices)
    with torch.no_grad():
        for start, stop in spans(data, count, whole=not reduction.additive):
            batch = data.slice(start, stop) if indices is None else data.batch(indices[start:stop])
            values = reduction.over(batch)().double() * ((stop - start) / count)
            total = values if total is None else total + values
    assert total is not None
    found: list[float] = total.reshape(-1).tolist()
    return found


def spans(data: SampleData, count: int, *, whole: bool = False) -> list[tuple[int, int]]:
    """The numbers from 0 to `count` in spans of nearly the same size, each with its first and its end."""
    per_sample = data.width
    portions = 1 if whole else -(-count * per_sample // _AT_ONCE)
    edges = [count * index // portions for index in range(portions + 1)]
    return list(pairwise(edges))
