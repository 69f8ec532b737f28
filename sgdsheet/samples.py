"""Samples: the rows of `sgd_data`, and the loss over some of them.

The loss over a batch is the same formulas with fewer rows: blocks that are filled down along the samples are cut
down to as many rows as the batch has, and what sums or averages over the samples does so over the batch. Such a
program is compiled once per batch size; a batch is then a matter of putting the right rows into its constants.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace

import torch
from torch import Tensor, fx

from sgdsheet.blocks import Block, bounding_range
from sgdsheet.errors import DataError, FormulaError, ProblemError, SettingError
from sgdsheet.syntax import Area, Binary, Call, Node, Number, transform, walk
from sgdsheet.model import SheetModel, evaluate
from sgdsheet.planning import Plan
from sgdsheet.program import build_program
from sgdsheet.references import Cell, Range
from sgdsheet.rewrites import simplify
from sgdsheet.settings import Settings
from sgdsheet.workbook import Sheet, Workbook

_ADDITIVE = frozenset(
    ["SUM", "SUMSQ", "SUMPRODUCT", "SUMXMY2", "SUMX2PY2", "SUMX2MY2", "SUMIF", "SUMIFS", "COUNTIF", "COUNTIFS", "DEVSQ"]
)
"""Functions that grow with the number of samples: over a batch they are scaled up."""

_MEANS = frozenset(
    ["AVERAGE", "AVERAGEIF", "AVERAGEIFS", "MAX", "MIN", "AND", "OR"]
    + ["VAR", "VAR.S", "VARP", "VAR.P", "STDEV", "STDEV.S", "STDEVP", "STDEV.P"]
)
"""Functions that do not."""

_SIZES = frozenset(["ROWS", "COLUMNS", "COUNT", "COUNTA"])
"""Functions that tell how many samples there are: all of them, whatever the batch."""


@dataclass(slots=True)
class _Subset:
    """A cell's value over a fixed number of samples.

    `rows` are the constants that hold one entry per sample: name, contents for all samples, dimension of the samples.
    """

    module: fx.GraphModule
    rows: list[tuple[str, Tensor, int]]
    loaded: Tensor | None = None

    def load(self, indices: Tensor) -> None:
        """Choose the samples."""
        if indices is self.loaded:
            return
        self.loaded = indices
        for name, whole, dim in self.rows:
            setattr(self.module, name, whole.index_select(dim, indices))


@dataclass(slots=True)
class PooledCell:
    """A cell that sums or averages over the samples, as a function of which samples.

    Raises FormulaError, with its cell, for a formula that ties samples together.
    """

    model: SheetModel
    cell: Cell
    rows: Range
    _plan: Plan = field(init=False)
    _workbook: Workbook = field(init=False)
    _whole: list[tuple[str, Tensor]] = field(init=False)
    _subsets: dict[int, _Subset] = field(default_factory=dict)
    _suspicious: bool = False

    def __post_init__(self) -> None:
        plan = self.model.planner.plan([Range.of_cell(self.cell)])
        self._workbook = with_constants(self.model, plan)
        self._plan = Plan([block for block in plan.blocks if plan.is_live(block)], plan.depends)
        self._whole = list(self._build(self.rows.height).named_buffers())
        if any(bool(tensor.isnan().any()) for _, tensor in self._whole if tensor.is_floating_point()):
            self._suspicious = True
            self._whole = list(self._build(self.rows.height).named_buffers())

    def over(self, indices: Tensor) -> fx.GraphModule:
        """The program for these samples (rows of `sgd_data`, from 0): call it for the cell's value."""
        if len(indices) == 1:  # a single row would lose its dimension; twice the same row means the same
            indices = indices.repeat(2)
        found = self._subsets.get(len(indices))
        if found is None:
            found = self._subsets[len(indices)] = self._compiled(len(indices))
        found.load(indices)
        return found.module

    def _compiled(self, size: int) -> _Subset:
        module = self._build(size)
        rows = []
        for (name, part), (_, whole) in zip(list(module.named_buffers()), self._whole, strict=True):
            dims = [dim for dim in range(whole.dim()) if whole.shape[dim] != part.shape[dim]]
            if size == self.rows.height:
                dims = [dim for dim in range(whole.dim()) if whole.shape[dim] == size][:1]
            if dims:
                rows.append((name, whole, dims[0]))
        return _Subset(simplify(module), rows)

    def _build(self, size: int) -> fx.GraphModule:
        program = build_program(
            self._workbook,
            self.model.problem.parameters,
            Plan(list(cut_blocks(self._plan.blocks, self.rows, size)), self._plan.depends),
            dtype=self.model.dtype,
            shared=self.model.shared_parameters,
            generic=True,
            suspicious=self._suspicious,
        )
        return program.module(program.value_of(self.cell).data)


@dataclass(slots=True)
class Samples:
    """The samples of a model: the loss and the metric over any of them, and which are for training."""

    loss: PooledCell
    metric: PooledCell | None
    training: Tensor
    validation: Tensor

    def validate(self) -> tuple[float, float | None]:
        """Loss and metric over the validation rows."""
        with torch.no_grad():
            loss = self.loss.over(self.validation)().item()
            metric = self.metric.over(self.validation)().item() if self.metric is not None else None
        return loss, metric

    def batches(self, size: int, *, shuffle: bool, generator: torch.Generator) -> Iterator[Tensor]:
        """One epoch of batches; the last one may be smaller."""
        order = self.training
        if shuffle:
            order = order[torch.randperm(len(order), generator=generator)]
        yield from order.split(size)


def with_constants(model: SheetModel, plan: Plan) -> Workbook:
    """The workbook with the saved values that the plan's constant blocks lack."""
    constant = [block for block in plan.blocks if not plan.is_live(block)]
    if not constant:
        return model.workbook
    program = build_program(model.workbook, model.problem.parameters, Plan(constant, set()), dtype=model.dtype)
    sheets = dict(model.workbook.sheets)
    for cell, value in evaluate(program).values.items():
        if sheets[cell.sheet] is model.workbook.sheets[cell.sheet]:
            known = sheets[cell.sheet]
            sheets[cell.sheet] = Sheet(known.name, dict(known.values), known.formulas, known.merged, known.protected)
        sheets[cell.sheet].values[cell.row, cell.column] = value
    return replace(model.workbook, sheets=sheets)


# --- which samples ---------------------------------------------------------------------------------------------


def split_samples(model: SheetModel, settings: Settings, generator: torch.Generator) -> Samples | None:
    """The samples of a model, if the settings or the sheet ask for batches, epochs or validation; else None.

    `sgd_valid` marks the validation rows, else a random share of all is kept back. Raises ProblemError, DataError
    or SettingError where that makes no sense.
    """
    problem = model.problem
    wanted = settings.batch_size is not None or settings.validation or problem.valid is not None
    if problem.data is None:
        if wanted:
            raise SettingError(
                "batches and validation need samples, and the sheet names none",
                cell=problem.valid or problem.sheet,
                remedy="Name the sample rows sgd_data",
            )
        return None
    if not wanted:
        return None
    count = problem.data.height
    marked = torch.zeros(count, dtype=torch.bool)
    if problem.valid is not None:
        marked = _marks(model, problem.valid, problem.data)
    elif settings.validation:
        marked[torch.randperm(count, generator=generator)[: max(1, round(count * settings.validation))]] = True
    if bool(marked.all()):
        raise ProblemError("all samples are validation rows", cell=problem.valid, remedy="Keep some for training")
    loss = PooledCell(model, problem.loss, problem.data)
    metric = PooledCell(model, problem.metric, problem.data) if problem.metric is not None else None
    return Samples(loss, metric, torch.nonzero(~marked).flatten(), torch.nonzero(marked).flatten())


def _marks(model: SheetModel, valid: Range, data: Range) -> Tensor:
    if valid.width != 1 or valid.top > data.top or valid.bottom < data.bottom:
        raise ProblemError(
            "sgd_valid must be one column beside all rows of sgd_data", cell=valid, remedy=f"The samples are {data}"
        )
    values = model.workbook.sheets[valid.sheet].values
    marks = []
    for row in range(data.top, data.bottom + 1):
        value = values.get((row, valid.left))
        if value is not None and not isinstance(value, (bool, float)):
            cell = Range(valid.sheet, row, valid.left, row, valid.left)
            raise DataError(f"“{value}” does not mark a row", cell=cell, remedy="Write TRUE or FALSE, 1 or 0")
        marks.append(bool(value))
    return torch.tensor(marks)


# --- cutting formulas down to a batch --------------------------------------------------------------------------


def cut_blocks(blocks: Sequence[Block], rows: Range, size: int) -> Iterator[Block]:
    """The blocks for `size` of the samples. Raises FormulaError, with its cell, where that is not possible."""
    along = _along_samples(blocks, rows)
    for block in blocks:
        start = along.get(id(block))
        yield _Cutter(block, along, blocks, rows, size).cut(start)


def _along_samples(blocks: Sequence[Block], rows: Range) -> dict[int, int]:
    """The blocks that have one row per sample, and the row of their first sample."""
    along: dict[int, int] = {}
    for block in blocks:
        own = block.range
        if own.height != rows.height:
            continue
        slides = any(
            isinstance(part, Area) and part.top.down == 1 and _is_along(part.sheet, part.top.base, blocks, along, rows)
            for part in walk(block.tree)
        )
        if (own.sheet == rows.sheet and own.top == rows.top) or slides:
            along[id(block)] = own.top
    return along


def _is_along(sheet: str, top: int, blocks: Sequence[Block], along: dict[int, int], rows: Range) -> bool:
    if sheet == rows.sheet and top == rows.top:
        return True
    return any(block.range.sheet == sheet and along.get(id(block)) == top for block in blocks)


@dataclass(slots=True)
class _Cutter:
    """Cuts one block down."""

    block: Block
    along: dict[int, int]
    blocks: Sequence[Block]
    rows: Range
    size: int

    def cut(self, start: int | None) -> Block:
        block = self.block
        if start is None:
            return replace(block, tree=self._pooled(block.tree))
        own = block.range._replace(bottom=start + self.size - 1)
        if block.height == self.rows.height and block.rows == 1:
            return replace(block, range=own, height=self.size, tree=self._shortened(block.tree))
        for part in walk(block.tree):
            if isinstance(part, Area):
                self._refuse_ties(part)
        trimmed = block.trimmed(own)
        return replace(trimmed, tree=self._pooled(trimmed.tree))

    def _refuse_ties(self, area: Area) -> None:
        """A sample's formula may read its own row, and all rows together, but not another row's result."""
        read = bounding_range(area, self.block.rows, self.block.columns)
        for other in self.blocks:
            start = self.along.get(id(other))
            if start is None or not other.range.intersection(read):
                continue
            own_row = area.top == area.bottom and area.top.down == 1 and area.top.base == start
            if not own_row and not self._spans(area):
                raise self._tied("reads the result of another sample")

    def _tied(self, cause: str) -> FormulaError:
        return FormulaError(
            f"the formula {cause}, so it cannot be trained in batches",
            cell=self.block.range.first,
            remedy="Let each sample's row read only its own row, or train on all rows at once",
        )

    def _spans(self, area: Area) -> bool:
        """Whether the area is exactly all samples."""
        slides = self.block.rows > 1 and (area.top.down or area.bottom.down)
        if slides or area.bottom.base - area.top.base + 1 != self.rows.height:
            return False
        return _is_along(area.sheet, area.top.base, self.blocks, self.along, self.rows)

    def _reads_samples(self, node: Node) -> bool:
        """Whether something calculated per sample is read: all of it, or (an error) a part."""
        found = False
        for part in walk(node):
            if not isinstance(part, Area) or (self.block.rows > 1 and part.top == part.bottom and part.top.down):
                continue
            read = bounding_range(part, 1, 1)
            if any(id(other) in self.along and other.range.intersection(read) for other in self.blocks):
                if not self._spans(part):
                    raise self._tied("reads the results of some of the samples")
                found = True
        return found

    def _pooled(self, node: Node) -> Node:
        """Sums and averages over the samples, made to be over the batch."""

        handled = False

        def change(part: Node) -> Node | None:
            nonlocal handled
            if isinstance(part, Call) and part.name in _SIZES:
                handled = True
                return part
            if not isinstance(part, Call) or part.name not in _ADDITIVE | _MEANS or not self._reads_samples(part):
                return None
            if not all(self._reads_samples(item) or self._spans_somewhere(item) for item in part.arguments[:1]):
                raise self._tied("mixes samples and other values in one sum")
            handled = True
            cut = self._shortened(part)
            if part.name in _MEANS:
                return cut
            return Binary("*", cut, Number(self.rows.height / self.size))

        pooled = transform(node, change)
        if not handled and self._reads_samples(node):
            raise self._tied("uses the results of all samples other than by SUM, AVERAGE and their like")
        return pooled

    def _spans_somewhere(self, node: Node) -> bool:
        return any(isinstance(part, Area) and self._spans(part) for part in walk(node))

    def _shortened(self, node: Node) -> Node:
        """References to all samples, cut to the first `size`."""

        def change(part: Node) -> Node | None:
            if isinstance(part, Area) and self._spans(part):
                return replace(part, bottom=part.bottom._replace(base=part.top.base + self.size - 1))
            return None

        return transform(node, change)
