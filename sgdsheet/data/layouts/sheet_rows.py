"""The layout *rows of the sheet*: all samples are in the sheet, one per row of `sgd_data`.

The sheet's own columns are the source. The loss over a batch is the same formulas cut to fewer rows (see
`data.slicing`), in a program whose arguments are the columns: whatever its formulas read that has one entry per sample
and depends on no parameter, calculated or not, numbers, texts or errors.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from itertools import zip_longest

import torch
from torch import Tensor, fx

from sgdsheet.compiler.frontend.blocks import Block, bounding_range
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
from sgdsheet.data.slicing import along_samples, cut_blocks, spans_samples
from sgdsheet.errors import FormulaError
from sgdsheet.sheet.references import MAX_COLUMN, Cell, Range
from sgdsheet.sheet.syntax import Area, walk
from sgdsheet.sheet.workbook import Sheet, Workbook

_FEW = 2
"""Rows of the smallest program: with one row, the dimension of the samples would be lost."""

_JUDGED = "\0judged"
"""The name of a sheet that only the program has, with the rows that are judged."""


class SheetRows:
    """The rows of `sgd_data`, in a model whose data are all in the sheet.

    Sums are scaled to all rows of the sheet, whichever they are over. Where rows are `judged`, those of validation by
    their indices [samples], what the loss divides by is over them as well; what a sample reads of a whole column stays
    that of all rows.
    """

    def __init__(self, model: SheetModel, rows: Range, judged: Tensor | None = None) -> None:
        self.model = model
        self.rows = rows
        self.judged = judged
        self.translate: Translate = as_it_is

    def reduction(self, cells: Sequence[Cell]) -> SheetReduction:
        return SheetReduction(self, tuple(cells))

    def judging(self, whole: Whole) -> SheetRows:
        return self

    def with_sums_of_data(self, plan: Plan, cells: Sequence[Cell]) -> list[Block]:
        """The blocks of a plan, with the cells that sum up data alone for the loss and its like, and for no sample."""
        planner = self.model.planner.among([*self.model.problem.parameters, *self._typed_columns()])
        every = planner.plan([Range.of_cell(cell) for cell in cells]).taken_apart().live
        along, live = along_samples(every, self.rows), {block.range: block for block in plan.live}
        of_samples: list[Range] = []  # what samples read, directly or not
        for block in reversed(every):
            if id(block) in along or any(map(block.range.intersection, of_samples)):
                of_samples += block.reads()
        return [
            live.get(block.range, block)
            for block in every
            if block.range in live or (self._sums_data(block) and not any(map(block.range.intersection, of_samples)))
        ]

    def with_judged(self, workbook: Workbook, size: int) -> Workbook:
        """The workbook with a sheet more: so many rows below each other, from the row of the first sample on.

        They are the judged ones; for other sizes, which only tell how the program looks, there are more or fewer.
        """
        assert self.judged is not None
        own = self.judged.tolist()
        indices = [*own, *(own if len(own) < _FEW else []), *sorted({*range(self.rows.height)} - {*own})][:size]
        values, (_, columns) = workbook.sheets[self.rows.sheet].values, workbook.sheets[self.rows.sheet].extent
        judged = Sheet(_JUDGED)
        for place, index in enumerate(indices):
            for column in range(1, columns + 1):
                value = values.get((self.rows.top + index, column))
                if value is not None:
                    judged.values[self.rows.top + place, column] = value
        return replace(workbook, sheets={**workbook.sheets, _JUDGED: judged})

    def _typed_columns(self) -> list[Range]:
        """The columns beside the samples that hold no formula and no parameter."""
        sheet = self.model.workbook.sheets[self.rows.sheet]
        columns = [self.rows._replace(left=column, right=column) for column in range(1, sheet.extent[1] + 1)]
        return [
            column
            for column in columns
            if not any(map(column.intersection, self.model.problem.parameters))
            and not any(place in sheet.formulas for place in column.positions())
        ]

    def _sums_data(self, block: Block) -> bool:
        """Whether a block is one cell that reads nothing of the samples but all of them."""
        areas = [part for part in walk(block.tree) if isinstance(part, Area) and part.sheet == self.rows.sheet]
        beside = self.rows._replace(left=1, right=MAX_COLUMN)
        return block.range.size == 1 and all(
            spans_samples(area, self.rows) or not bounding_range(area, 1, 1).intersection(beside) for area in areas
        )


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
        blocks = plan.live if layout.judged is None else layout.with_sums_of_data(plan, cells)
        self._plan = Plan(blocks, {id(block) for block in blocks})
        self._suspicious = False
        self._programs: dict[int, BatchProgram] = {}
        self._closed: dict[int, fx.GraphModule] = {}
        size = layout.rows.height
        module = self._build(size)
        if any(bool(tensor.isnan().any()) for tensor in module.buffers() if tensor.is_floating_point()):
            self._suspicious = True
            module = self._build(size)
        whole, self._operations = dict(module.named_buffers()), _operations(module)
        # Two judged rows may have nothing that can be divided by, where nearly all have.
        less = _FEW if layout.judged is None else max(size - 1, _FEW)
        few = whole if size == _FEW else dict(self._alike(self._build(less), less).named_buffers())
        pairs = zip(whole.values(), few.values(), strict=True)
        self._dims = [_dimension(one, other, size) for one, other in pairs]
        self._shapes = [_without(tensor, dim) for tensor, dim in zip(whole.values(), self._dims, strict=True)]
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
        buffers = dict(module.named_buffers())
        fits = len(buffers) == len(self._dims) and self._shapes == [
            _without(tensor, dim) for tensor, dim in zip(buffers.values(), self._dims, strict=True)
        ]
        if not fits:
            where, remedy = "the validation rows", "Choose other validation rows, or more of them"
            if self.layout.judged is None:
                where, remedy = f"{size:,} samples, but not over all", "Choose larger batches, or train on all rows"
            raise FormulaError(
                f"what it divides by, or calculates otherwise of the data alone, is an error over {where}",
                cell=self.cells[-1],
                remedy=remedy,
            )
        self._alike(module, size)
        columns = {name: dim for name, dim in zip(buffers, self._dims, strict=True) if dim is not None}
        return simplify(_with_arguments(module, columns), examples=batch)

    def _alike(self, module: fx.GraphModule, size: int) -> fx.GraphModule:
        """The program for so many rows, if it has the operations of that for all rows.

        Else FormulaError: it is not that of other samples, some of which hold text or nothing where its rows hold
        numbers.
        """
        pairs = zip_longest(_operations(module), self._operations)
        other = next((place for place, (own, whole) in enumerate(pairs) if own != whole), None)
        if other is None:
            return module
        nodes = list(module.graph.nodes)
        area: Range | None = nodes[min(other, len(nodes) - 1)].meta.get("area")
        raise FormulaError(
            f"what it reads is a number in each of the first {size:,} samples, or in none, and in some of all samples",
            cell=self.cells[-1] if area is None else area.first,
            remedy="Let numbers stand in place of texts, errors and blank cells, with 0 as the weight of these samples;"
            " or train on all rows at once",
        )

    def _build(self, size: int) -> fx.GraphModule:
        """The cells for so many rows. Its buffers are the same ones, in the same order, for every size."""
        layout, parameters, workbook, judged = self.layout, self.layout.model.problem.parameters, self._workbook, None
        if layout.judged is not None:
            workbook, judged = layout.with_judged(workbook, size), _JUDGED
        blocks = list(cut_blocks(self._plan.blocks, parameters, layout.rows, size, judged=judged))
        program = build_program(
            workbook,
            parameters,
            Plan(blocks, {id(block) for block in blocks}),  # none of them may keep its saved values
            dtype=layout.model.dtype,
            shared=layout.model.shared_parameters,
            generic=True,
            suspicious=self._suspicious,
        )
        return program.module(stacked_cells(program, self.cells))


def _without(tensor: Tensor, dim: int | None) -> list[int]:
    """The shape of a tensor without a dimension, if it has that."""
    return [size for place, size in enumerate(tensor.shape) if place != dim]


def _operations(module: fx.GraphModule) -> list[object]:
    """What a program does with what, but for numbers: these tell of sizes."""
    places: dict[object, object] = {name: f"buffer {place}" for place, (name, _) in enumerate(module.named_buffers())}
    found: list[object] = []

    def named(item: object) -> object:
        if isinstance(item, (tuple, list)):
            return tuple(map(named, item))
        if isinstance(item, dict):
            return tuple((key, named(part)) for key, part in item.items())
        return None if isinstance(item, (int, float)) else places.get(item, item)

    for place, node in enumerate(module.graph.nodes):
        target = places.get(node.target, node.target) if node.op == "get_attr" else node.target
        found.append((node.op, target, named(node.args), named(node.kwargs)))
        places[node] = place
    return found


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
