"""Samples: the rows of `sgd_data`, and the loss over some of them.

The loss over a batch is the same formulas with fewer rows, see `cutting`. Such a program is compiled once per
batch size; a batch is then a matter of putting the right rows into its constants.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol

import torch
from torch import Tensor, fx

from sgdsheet.compiler.evaluation import evaluate
from sgdsheet.compiler.frontend.planning import Plan
from sgdsheet.compiler.model import SheetModel
from sgdsheet.compiler.passes import simplify
from sgdsheet.compiler.program import build_program
from sgdsheet.data.slicing import cut_blocks
from sgdsheet.errors import DataError, ProblemError, SettingError
from sgdsheet.problem.settings import Settings
from sgdsheet.sheet.references import Cell, Range
from sgdsheet.sheet.workbook import Workbook


@dataclass(slots=True)
class _Subset:
    """A cell's value over a fixed number of samples.

    `rows` are the constants that hold one entry per sample: name, contents for all samples, dimension of the
    samples.
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
        self._plan = Plan(plan.live, plan.depends)
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
        parts = list(module.named_buffers())
        if size == self.rows.height and size > 2:  # which dimension is that of the samples shows at another size
            parts = list(self._build(2).named_buffers())
        rows = []
        for (name, part), (_, whole) in zip(parts, self._whole, strict=True):
            dims = [dim for dim in range(whole.dim()) if whole.shape[dim] != part.shape[dim]]
            if size == self.rows.height == 2:
                dims = [dim for dim in range(whole.dim()) if whole.shape[dim] == size][:1]
            if dims:
                rows.append((name, whole, dims[0]))
        return _Subset(simplify(module), rows)

    def _build(self, size: int) -> fx.GraphModule:
        parameters = self.model.problem.parameters
        blocks = list(cut_blocks(self._plan.blocks, parameters, self.rows, size))
        program = build_program(
            self._workbook,
            parameters,
            Plan(blocks, {id(block) for block in blocks}),  # none of them may keep its saved values
            dtype=self.model.dtype,
            shared=self.model.shared_parameters,
            generic=True,
            suspicious=self._suspicious,
        )
        return program.module(program.value_of(self.cell).data)


class Samples(Protocol):
    """The samples of a model, in the sheet or in a file: the loss over any of them, and which are for training."""

    training: Tensor
    validation: Tensor

    def loss(self, indices: Tensor) -> Callable[[], Tensor]:
        """A function that calculates the loss over these samples."""
        ...

    def training_loss(self) -> float:
        """The loss over all training samples."""
        ...

    def validate(self) -> tuple[float, float | None]:
        """Loss and metric over the validation samples."""
        ...


def batches(samples: Samples, size: int, *, shuffle: bool, generator: torch.Generator) -> tuple[Tensor, ...]:
    """One epoch of batches; the last one may be smaller."""
    order = samples.training
    if shuffle:
        order = order[torch.randperm(len(order), generator=generator).to(order.device)]
    found: tuple[Tensor, ...] = order.split(size)
    return found


@dataclass(slots=True)
class SheetSamples:
    """The rows of `sgd_data`."""

    pooled: PooledCell
    metric: PooledCell | None
    training: Tensor
    validation: Tensor

    def module(self, indices: Tensor | None = None) -> fx.GraphModule:
        """The program for these samples, or for all that are for training."""
        return self.pooled.over(self.training if indices is None else indices)

    def loss(self, indices: Tensor) -> Callable[[], Tensor]:
        forward: Callable[[], Tensor] = self.module(indices).forward  # its own __call__ only looks for hooks
        return forward

    def training_loss(self) -> float:
        with torch.no_grad():
            return float(self.module()().item())

    def validate(self) -> tuple[float, float | None]:
        with torch.no_grad():
            loss = self.pooled.over(self.validation)().item()
            metric = self.metric.over(self.validation)().item() if self.metric is not None else None
        return loss, metric


def with_constants(model: SheetModel, plan: Plan) -> Workbook:
    """The workbook with the saved values that the plan's constant blocks lack."""
    if not plan.constant:
        return model.workbook
    program = build_program(model.workbook, model.problem.parameters, Plan(plan.constant, set()), dtype=model.dtype)
    return model.workbook.with_values(evaluate(program).values)


# --- which samples --------------------------------------------------------------------------------------


def split_samples(model: SheetModel, settings: Settings, generator: torch.Generator) -> SheetSamples | None:
    """The samples of a model, if the settings or the sheet ask for batches, epochs or validation; else None.

    `sgd_valid` marks the validation rows, else a random share of all is kept back. Raises ProblemError,
    DataError or SettingError where that makes no sense.
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
    marked = kept_back(count, settings, generator)
    if problem.valid is not None:
        marked = _marks(model, problem.valid, problem.data)
    if bool(marked.all()):
        raise ProblemError("all samples are validation rows", cell=problem.valid, remedy="Keep some for training")
    loss = PooledCell(model, problem.loss, problem.data)
    metric = PooledCell(model, problem.metric, problem.data) if problem.metric is not None else None
    return SheetSamples(loss, metric, torch.nonzero(~marked).flatten(), torch.nonzero(marked).flatten())


def kept_back(count: int, settings: Settings, generator: torch.Generator) -> Tensor:
    """Which of so many samples are for validation: a random share, if the settings ask for one."""
    marked = torch.zeros(count, dtype=torch.bool)
    if settings.validation:
        marked[torch.randperm(count, generator=generator)[: max(1, round(count * settings.validation))]] = True
    return marked


def _marks(model: SheetModel, valid: Range, data: Range) -> Tensor:
    if valid.width != 1 or valid.top > data.top or valid.bottom < data.bottom:
        raise ProblemError(
            "sgd_valid must be one column beside all rows of sgd_data",
            cell=valid,
            remedy=f"The samples are {data}",
        )
    plan = model.planner.plan([valid])
    if plan.live:
        raise ProblemError(
            "which rows are for validation depends on the parameters", cell=valid, remedy="Mark fixed rows"
        )
    values = with_constants(model, plan).sheets[valid.sheet].values
    marks = []
    for row in range(data.top, data.bottom + 1):
        value = values.get((row, valid.left))
        if value is not None and not isinstance(value, (bool, float)):
            cell = Range(valid.sheet, row, valid.left, row, valid.left)
            raise DataError(f"“{value}” does not mark a row", cell=cell, remedy="Write TRUE or FALSE, 1 or 0")
        marks.append(bool(value))
    return torch.tensor(marks)
