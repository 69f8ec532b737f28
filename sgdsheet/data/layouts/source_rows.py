"""The layout *rows of a source*: the sheet shows the first samples, one per row.

The formulas are cut to the size of a batch (see `data.slicing`). As a batch may have more rows than there is
room below the preview, the samples get a sheet of their own in the compiled program.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from copy import copy
from dataclasses import dataclass, field, replace

import torch
from torch import Tensor, fx

from sgdsheet.compiler.evaluation import evaluate
from sgdsheet.compiler.frontend.blocks import Block
from sgdsheet.compiler.frontend.dependence import OnSamples, on_samples, reached, read_by
from sgdsheet.compiler.frontend.planning import Plan
from sgdsheet.compiler.functions.registry import declared
from sgdsheet.compiler.ir.recording import Data
from sgdsheet.compiler.model import SheetModel
from sgdsheet.compiler.passes import simplify
from sgdsheet.compiler.program import Program, build_program
from sgdsheet.data.binding import Binding, unbound_column
from sgdsheet.data.column_statistics import is_own_cell, original_sheet, with_own_cells
from sgdsheet.data.layouts.layout import (
    Batch,
    BatchProgram,
    Closed,
    Translate,
    Whole,
    as_it_is,
    stacked_cells,
    twice,
    with_constants,
)
from sgdsheet.data.slicing import along_samples, cut_blocks
from sgdsheet.data.streamed import StreamedRows
from sgdsheet.data.streamed_statistics import without_samples
from sgdsheet.data.text_cells import texts_of
from sgdsheet.errors import DataError, FormulaError, ProblemError, in_full, quoted
from sgdsheet.sheet.references import Cell, Range, column_letters
from sgdsheet.sheet.syntax import Area, Call, Node, walk
from sgdsheet.sheet.workbook import Sheet, Value, Workbook

_SAMPLES = "\0"
"""The ending of the name of a sheet that only the program has: the samples of the sheet with the rest of the name lie
there."""


def _home(sheet: str) -> str:
    return sheet if sheet.endswith(_SAMPLES) else sheet + _SAMPLES


class SourceRows:
    """A sheet with one sample per row.

    `training` gives all samples of training; `judged` are those that sums are over: the sum over a batch is scaled to
    as many.
    """

    def __init__(
        self,
        model: SheetModel,
        data: Range,
        bindings: Sequence[Binding],
        source_name: str,
        training: Batch,
        judged: Whole,
    ) -> None:
        self.model = model
        self.data = data
        self.bindings = bindings
        self.source_name = source_name
        self.training = training
        self.judged = judged
        self.reads_training = False
        self.translate: Translate = as_it_is
        self.areas = [binding.area for binding in bindings]
        self.planner = model.planner.among([*model.problem.parameters, *self.areas])
        self._taken: dict[Hashable, list[Value | None]] = {}
        """Statistics of the samples that were taken already, by formula, place and samples: loss, metric and
        predictions read the same ones."""

    def reduction(self, cells: Sequence[Cell]) -> RowsReduction:
        return RowsReduction(self, tuple(cells))

    def each(self, areas: Sequence[Range]) -> EachRow:
        return EachRow(self, tuple(areas))

    def judging(self, whole: Whole) -> SourceRows:
        found = copy(self)
        found.judged = whole
        return found

    # --- programs ---------------------------------------------------------------------------------------

    def plan(self, targets: Sequence[Range]) -> tuple[Workbook, list[Block]]:
        """The blocks that a batch needs, and the workbook with all that is the same for every batch."""
        plan = self.planner.plan(targets).taken_apart()
        workbook = with_constants(self.model, plan)
        return self._with_statistics(workbook, plan.live)

    def build(self, workbook: Workbook, blocks: Sequence[Block], size: int, whole: int | None = None) -> Program:
        """The program for so many samples, or for the whole of so many; its arguments are the bindings' columns."""
        parameters = self.model.problem.parameters
        reduction, total = (self.areas, whole) if whole is not None else ((), self.judged.count)
        cut = list(cut_blocks(blocks, parameters, self.data, size, _home, reduction, total))
        self._check(cut)
        return build_program(
            workbook,
            parameters,
            Plan(cut, {id(block) for block in cut}),
            inputs={binding.name: self.samples_of(binding.area, size) for binding in self.bindings},
            dtype=self.model.dtype,
            shared=self.model.shared_parameters,
            generic=True,
        )

    def samples_of(self, area: Range, size: int) -> Range:
        """The cells in which the columns of an area of the preview lie for a batch."""
        return area._replace(sheet=_home(area.sheet), bottom=area.top + size - 1)

    def finished(self, program: Program, output: fx.Node, size: int) -> fx.GraphModule:
        """The program as a module of a batch's columns."""
        model = self.model
        device = next(iter(model.shared_parameters.values())).device
        examples = [
            torch.zeros([size, area.width] if area.width > 1 else [size], dtype=model.dtype, device=device)
            for area in self.areas
        ]
        return simplify(program.module(output).to(device), examples=examples)

    # --- what samples have in common --------------------------------------------------------------------

    def _with_statistics(self, workbook: Workbook, blocks: list[Block]) -> tuple[Workbook, list[Block]]:
        """The workbook with what sums up the data alone, and the blocks that are left."""
        parameters = self.model.problem.parameters
        fixed, along = _untrained(blocks, parameters), along_samples(blocks, self.data)
        statistics = [block for block in fixed if id(block) not in along]
        samples = [*self.areas, *(block.range for block in fixed if id(block) in along)]
        trained = [*parameters, *(block.range for block in blocks if block not in fixed)]
        blocks = with_own_cells(blocks, statistics, self.data, samples, trained)
        fixed, along = _untrained(blocks, parameters), along_samples(blocks, self.data)
        statistics = [block for block in fixed if id(block) not in along]
        if not statistics:
            return workbook, blocks
        own = {block.range.sheet: Sheet(block.range.sheet) for block in statistics}
        workbook = replace(workbook, sheets={**own, **workbook.sheets})
        common = read_by([block for block in blocks if id(block) in along], statistics)
        self.reads_training = self.reads_training or bool(common)
        if self.judged.batch is self.training:
            common = statistics
        known = self._evaluated(workbook, fixed, common, self.training)
        rest = [block for block in fixed if block not in common]
        known = self._evaluated(known, rest, [block for block in statistics if block not in common], self.judged.batch)
        return known, [block for block in blocks if block not in statistics]

    def _evaluated(
        self, workbook: Workbook, blocks: Sequence[Block], wanted: Sequence[Block], batch: Batch
    ) -> Workbook:
        """The workbook with the values of the wanted blocks over these samples."""
        keys = [_statistic(block, batch) for block in wanted]
        if all(key in self._taken for key in keys):
            known: dict[Cell, Value | None] = {}
            for block, key in zip(wanted, keys, strict=True):
                known.update(zip(block.range.cells(), self._taken[key], strict=True))
            return workbook.with_values({cell: value for cell, value in known.items() if value is not None})
        if isinstance(batch, StreamedRows):
            found = self._streamed(workbook, blocks, wanted, batch)
        else:
            found = self._over(workbook, blocks, batch)
        cells = {cell for block in wanted for cell in block.range.cells()}
        for block, key in zip(wanted, keys, strict=True):
            if key is not None:
                self._taken[key] = [found.get(cell) for cell in block.range.cells()]
        return workbook.with_values({cell: value for cell, value in found.items() if cell in cells})

    def _streamed(
        self, workbook: Workbook, blocks: Sequence[Block], wanted: Sequence[Block], rows: StreamedRows
    ) -> Mapping[Cell, Value]:
        """The values of the wanted blocks over samples that do not fit into memory."""
        along = along_samples(blocks, self.data)
        samples = [*self.areas, *(block.range for block in blocks if id(block) in along)]
        alone = without_samples(wanted, self.data, samples, lambda areas: self.each(areas).over, rows.portions())
        plan = Plan(alone, set())
        return evaluate(build_program(workbook, self.model.problem.parameters, plan, dtype=self.model.dtype)).values

    def _over(self, workbook: Workbook, blocks: Sequence[Block], batch: Batch) -> Mapping[Cell, Value]:
        """The values of blocks over these samples."""
        columns = batch()
        count = len(columns[0])
        if count == 1:
            if batch is self.training:
                raise DataError(
                    f"{quoted(self.source_name)} has a single sample, and a formula sums up a column of them",
                    cell=self.data,
                    remedy="Use a file with more samples",
                )
            columns = twice(columns)
        return evaluate(self.build(workbook, blocks, len(columns[0]), whole=count), columns).values

    def _check(self, blocks: Sequence[Block]) -> None:
        """Every cell of a sample that is read must be filled, and none may be one of the preview."""
        filled = [self.samples_of(area, 1) for area in self.areas]
        filled += [block.range for block in blocks if block.range.sheet.endswith(_SAMPLES)]
        for block in blocks:
            if block.range.sheet.endswith(_SAMPLES) and any(map(_tells_its_row, walk(block.tree))):
                raise FormulaError(
                    "the formula uses ROW, and most samples of a file have no row in the sheet",
                    cell=_shown(block.range).first,
                    remedy="Let the file have a field with the number",
                )
            for read in block.reads():
                if any(read.intersection(area) for area in self.areas):
                    raise FormulaError(
                        "the formula reads the data of several samples, of which a batch has others",
                        cell=_shown(block.range).first,
                        remedy="Let it read its own row; what sums up a column of data goes into a cell of its own",
                    )
                if read.sheet.endswith(_SAMPLES):
                    self._check_filled(block, read, filled)

    def _check_filled(self, block: Block, read: Range, filled: Sequence[Range]) -> None:
        first = read._replace(bottom=read.top)
        for column in range(read.left, read.right + 1):
            cell = first._replace(left=column, right=column)
            if any(area.contains(cell) for area in filled):
                continue
            if any(area.sheet == cell.sheet and area.left <= column <= area.right for area in filled):
                raise FormulaError(
                    "the formula reads the row of another sample, which a batch does not have",
                    cell=_shown(block.range).first,
                    remedy="Let it read its own row",
                )
            raise unbound_column(self.data._replace(sheet=_shown(read).sheet), column, self.source_name)


def _statistic(block: Block, batch: Batch) -> Hashable:
    """What tells a statistic of these samples from any other: its formula, where that stands, and over what.

    None for one that reads a statistic with a cell of its own, whose number is another one each time.
    """
    if any(map(is_own_cell, block.reads())):
        return None
    return batch, original_sheet(block.range.sheet), block.range[1:], block.tree


def _untrained(blocks: Sequence[Block], parameters: Sequence[Range]) -> list[Block]:
    """The blocks that depend on no parameter."""
    trained = reached(blocks, parameters)
    return [block for block in blocks if id(block) not in trained]


def _tells_samples_apart(cell: Cell, samples: Sequence[Range]) -> bool:
    """Whether a cell is one of those that every sample has its own of."""
    return any(area.contains(Range.of_cell(cell)) for area in samples)


def _tells_its_row(node: Node) -> bool:
    """Whether a part of a sample's formula is the number of its row."""
    found = declared(node)
    if found is None or not found.tells_row or not isinstance(node, Call):
        return False
    return not all(isinstance(part, Area) and not part.top.down for part in node.arguments or (None,))


def _shown(area: Range) -> Range:
    return area._replace(sheet=area.sheet.removesuffix(_SAMPLES))


class RowsReduction:
    """Cells that sum up the samples. A program is compiled once per size of a batch."""

    def __init__(self, layout: SourceRows, cells: tuple[Cell, ...]) -> None:
        self.layout = layout
        self.cells = cells
        self._workbook, self._blocks = layout.plan([Range.of_cell(cell) for cell in cells])
        self._programs: dict[int, BatchProgram] = {}
        samples = [*layout.areas, *self._along()]
        for cell in cells:
            if _tells_samples_apart(cell, samples):
                raise ProblemError(
                    "the cell belongs to a single sample", cell=cell, remedy="Name a cell that averages over the rows"
                )
        how = (on_samples(cell, self._blocks, layout.areas) for cell in cells)
        self.additive = all(item in (OnSamples.FIXED, OnSamples.ADDITIVE) for item in how) and not self._counts()

    def _counts(self) -> bool:
        """Whether a mean leaves out samples that hold no number: more of them in one part than in another."""
        calls = (part.name for block in self._blocks for part in walk(block.tree) if isinstance(part, Call))
        return "AVERAGE" in calls and self.layout.build(self._workbook, self._blocks, 2).builder.counts_samples

    def _along(self) -> Iterator[Range]:
        along = along_samples(self._blocks, self.layout.data)
        return (block.range for block in self._blocks if id(block) in along)

    def over(self, batch: Sequence[Tensor]) -> Callable[[], Tensor]:
        batch = twice(batch) if len(batch[0]) == 1 else batch
        return self._program(len(batch[0])).over(batch)

    def closed(self, batch: Sequence[Tensor]) -> Closed | None:
        return None if len(batch[0]) == 1 else Closed.around(self._program(len(batch[0])).module, batch)

    def numbers(self, batch: Sequence[Tensor]) -> int:
        return self._program(max(2, len(batch[0]))).numbers

    def _program(self, size: int) -> BatchProgram:
        if size not in self._programs:
            self._programs[size] = BatchProgram.of(self._compiled(size), self.layout.translate)
        return self._programs[size]

    def _compiled(self, size: int) -> fx.GraphModule:
        program = self.layout.build(self._workbook, self._blocks, size)
        return self.layout.finished(program, stacked_cells(program, self.cells), size)


@dataclass
class EachRow:
    """Cells of which every sample has its own, named by where the preview shows them."""

    layout: SourceRows
    areas: tuple[Range, ...]
    texts: dict[int, Sequence[str]] = field(default_factory=dict)
    _modules: dict[int, fx.GraphModule] = field(default_factory=dict)

    def __post_init__(self) -> None:
        rows = self.layout.data
        for area in self.areas:
            if (area.top, area.bottom) != (rows.top, rows.bottom):
                raise ProblemError(
                    "the cells have other rows than the samples", cell=area, remedy=f"Name columns beside {rows.a1}"
                )
        self._workbook, self._blocks = self.layout.plan(self.areas)
        along = along_samples(self._blocks, rows)
        filled = [*self.layout.areas, *(block.range for block in self._blocks if id(block) in along)]
        for area in self.areas:
            for cell in area._replace(bottom=area.top).cells():
                if not _tells_samples_apart(cell, filled):
                    raise ProblemError(
                        f"column {column_letters(cell.column)} has no formula that follows from a sample",
                        cell=cell,
                        remedy=f"Name columns that are calculated from {in_full(self.layout.source_name)}",
                    )

    def over(self, batch: Sequence[Tensor]) -> Tensor:
        single = len(batch[0]) == 1
        batch = twice(batch) if single else batch
        size = len(batch[0])
        if size not in self._modules:
            self._modules[size] = self._compiled(size)
        with torch.no_grad():
            found: Tensor = self._modules[size](*batch)
        return found[:1] if single else found

    def _compiled(self, size: int) -> fx.GraphModule:
        program = self.layout.build(self._workbook, self._blocks, size)
        builder, columns = program.builder, list[Data]()
        for area in self.areas:
            first = sum(other.width for other in self.areas[: len(columns)])
            value = program.regions.read(self.layout.samples_of(area, size))
            texts = texts_of(value, area._replace(bottom=area.top + size - 1), area.width, builder)
            self.texts.update((first + place, found) for place, found in texts.items())
            columns.append(builder.method("reshape", builder.stored(value).data, (size, area.width)))
        data = builder.call(torch.cat, columns, dim=1)
        if isinstance(data, Tensor):
            data = builder.attribute(data)
        return self.layout.finished(program, data, size)
