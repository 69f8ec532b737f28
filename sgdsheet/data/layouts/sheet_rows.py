"""The layout *rows of the sheet*: all samples are in the sheet, one per row of `sgd_data`.

The sheet's own columns are the source. The loss over a batch is the same formulas cut to fewer rows (see
`data.slicing`), in a program whose arguments are the columns: whatever its formulas read that has one entry per sample
and depends on no parameter, calculated or not, numbers, texts or errors.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor, fx

from sgdsheet.compiler.frontend.planning import Plan
from sgdsheet.compiler.model import SheetModel
from sgdsheet.compiler.passes import simplify
from sgdsheet.compiler.program import build_program
from sgdsheet.data.arrays import SampleData
from sgdsheet.data.layouts.layout import (
    BatchProgram,
    Closed,
    Translate,
    Whole,
    as_it_is,
    stacked_cells,
    twice,
    with_constants,
    with_constants_for_arguments,
)
from sgdsheet.data.slicing import cut_blocks
from sgdsheet.sheet.references import Cell, Range

_FEW = 2
"""Rows of the smallest program: with one row, the dimension of the samples would be lost."""


class SheetRows:
    """The rows of `sgd_data`, in a model whose data are all in the sheet."""

    def __init__(self, model: SheetModel, rows: Range) -> None:
        self.model = model
        self.rows = rows
        self.translate: Translate = as_it_is

    def reduction(self, cells: Sequence[Cell]) -> SheetReduction:
        return SheetReduction(self, tuple(cells))

    def judging(self, whole: Whole) -> SheetRows:
        return self  # a sum is scaled to all rows of the sheet, whichever it is over


class SheetReduction:
    """Cells that sum up or average over the samples. A program is compiled once per size of a batch.

    `data` are the columns that the cells read. Raises FormulaError, with its cell, for a formula that ties samples
    together.
    """

    additive = False  # nobody has to ask: what fits into a sheet is evaluated in one piece

    def __init__(self, layout: SheetRows, cells: tuple[Cell, ...]) -> None:
        self.layout = layout
        self.cells = cells
        plan = layout.model.planner.plan([Range.of_cell(cell) for cell in cells]).taken_apart()
        self._workbook = with_constants(layout.model, plan)
        self._plan = Plan(plan.live, plan.depends)
        self._suspicious = False
        self._programs: dict[int, BatchProgram] = {}
        self._closed: dict[int, fx.GraphModule] = {}
        whole = dict(self._build(layout.rows.height).named_buffers())
        if any(bool(tensor.isnan().any()) for tensor in whole.values() if tensor.is_floating_point()):
            self._suspicious = True
            whole = dict(self._build(layout.rows.height).named_buffers())
        few = whole if layout.rows.height == _FEW else dict(self._build(_FEW).named_buffers())
        pairs = zip(whole.values(), few.values(), strict=True)
        self._dims = [_dimension(one, other, layout.rows.height) for one, other in pairs]
        columns = [
            tensor.movedim(dim, 0).contiguous()
            for tensor, dim in zip(whole.values(), self._dims, strict=True)
            if dim is not None
        ]
        columns = columns or [
            torch.zeros(layout.rows.height)
        ]  # cells that read no sample: of a batch they see the size
        self.data = SampleData(layout.rows.sheet, columns, None, torch.device("cpu"))

    def over(self, batch: Sequence[Tensor]) -> Callable[[], Tensor]:
        batch = twice(batch) if len(batch[0]) == 1 else batch
        return self._program(batch).over(batch)

    def numbers(self, batch: Sequence[Tensor]) -> int:
        return self._program(twice(batch) if len(batch[0]) == 1 else batch).numbers

    def module(self, batch: Sequence[Tensor]) -> fx.GraphModule:
        """The program of `over` as a module without arguments. It holds the batch until it is asked for the next."""
        batch = twice(batch) if len(batch[0]) == 1 else batch
        size = len(batch[0])
        if size not in self._closed:
            self._closed[size] = with_constants_for_arguments(self._program(batch).module, batch)
        for number, tensor in enumerate(batch):
            setattr(self._closed[size], f"{_COLUMN}{number}", tensor)
        return self._closed[size]

    def closed(self, batch: Sequence[Tensor]) -> Closed | None:
        return None if len(batch[0]) == 1 else Closed.around(self._program(batch).module, batch)

    # --- programs ---------------------------------------------------------------------------------------

    def _program(self, batch: Sequence[Tensor]) -> BatchProgram:
        """The program for batches of this size, which this one is an example of."""
        size = len(batch[0])
        if size not in self._programs:
            self._programs[size] = BatchProgram.of(self._compiled(size, batch), self.layout.translate)
        return self._programs[size]

    def _compiled(self, size: int, batch: Sequence[Tensor]) -> fx.GraphModule:
        module = self._build(size)
        names = (name for name, _ in module.named_buffers())
        columns = {name: dim for name, dim in zip(names, self._dims, strict=True) if dim is not None}
        return simplify(_with_arguments(module, columns), examples=batch)

    def _build(self, size: int) -> fx.GraphModule:
        """The cells for so many rows. Its buffers are the same ones, in the same order, for every size."""
        parameters = self.layout.model.problem.parameters
        blocks = list(cut_blocks(self._plan.blocks, parameters, self.layout.rows, size))
        program = build_program(
            self._workbook,
            parameters,
            Plan(blocks, {id(block) for block in blocks}),  # none of them may keep its saved values
            dtype=self.layout.model.dtype,
            shared=self.layout.model.shared_parameters,
            generic=True,
            suspicious=self._suspicious,
        )
        return program.module(stacked_cells(program, self.cells))


def _dimension(whole: Tensor, few: Tensor, height: int) -> int | None:
    """Which dimension of a constant is that of the samples, seen from two sizes of a batch; None if none is."""
    if height == _FEW:
        return next((dim for dim in range(whole.dim()) if whole.shape[dim] == height), None)
    return next((dim for dim in range(whole.dim()) if whole.shape[dim] != few.shape[dim]), None)


_COLUMN = "column_"


def _with_arguments(module: fx.GraphModule, columns: dict[str, int]) -> fx.GraphModule:
    """The program with an argument in place of each of these constants.

    `columns` are the constants' names with the dimension of the samples, which is the first one of the argument.
    """
    graph = fx.Graph()
    arguments = {name: graph.placeholder(f"{_COLUMN}{number}") for number, name in enumerate(columns or [""])}
    turned = {
        name: graph.call_method("movedim", (arguments[name], 0, dim)) if dim else arguments[name]
        for name, dim in columns.items()
    }
    copies: dict[fx.Node, fx.Node] = {}
    for node in module.graph.nodes:
        taken = turned.get(str(node.target)) if node.op == "get_attr" else None
        copies[node] = taken if taken is not None else graph.node_copy(node, copies.__getitem__)
    return fx.GraphModule(module, graph, "SheetModel")
