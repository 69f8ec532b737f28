"""Blocks lowered, in order, into one `torch.fx` graph."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType

import torch
from torch import Tensor, fx, nn

from sgdsheet.compiler.frontend.blocks import Block, Recurrence, columns_with, halves
from sgdsheet.compiler.frontend.planning import Plan
from sgdsheet.compiler.frontend.recurrences import taken_apart
from sgdsheet.compiler.functions.absent import Absent, frozen_call
from sgdsheet.compiler.ir.builder import Builder
from sgdsheet.compiler.ir.recording import Data
from sgdsheet.compiler.ir.values import Kind, Value
from sgdsheet.compiler.lowering import Uneven, lower_block, separated
from sgdsheet.compiler.recurrence_lowering import lower_recurrence
from sgdsheet.compiler.regions import Regions
from sgdsheet.errors import FormulaError, SgdSheetError, UnsupportedFunction
from sgdsheet.sheet.date_order import is_day_first
from sgdsheet.sheet.excel_calendar import FROM_1904, Calendar
from sgdsheet.sheet.references import Cell, Range, RangeIndex, identifiers
from sgdsheet.sheet.workbook import Sheet, Workbook
from sgdsheet.system.long_work import checkpoint

_MOST_HALVED = 1_000
"""Blocks that are cut in two in search of the copies that cannot be lowered: each costs time."""


@dataclass(slots=True)
class Program:
    """The lowered blocks: their values as graph nodes or constants, and what could not be lowered.

    `areas` are the parameters' ranges and `parameters` tensors shaped like them, without dimensions of length 1: a cell
    is a scalar, a row or column a vector.
    """

    workbook: Workbook
    areas: Sequence[Range]
    parameters: dict[str, Tensor]
    builder: Builder
    regions: Regions
    results: list[tuple[Block, Value]] = field(default_factory=list)
    failures: list[tuple[Block, SgdSheetError]] = field(default_factory=list)
    frozen: list[tuple[Block, Absent]] = field(default_factory=list)
    """Constant blocks that keep their saved values, with the function that is the reason."""

    @property
    def blocks(self) -> list[Block]:
        """The blocks that were lowered, and those that could not be."""
        return [block for block, _ in (*self.results, *self.failures)]

    def parameter_cells(self) -> dict[Cell, float]:
        """The parameters' present values by cell."""
        found: dict[Cell, float] = {}
        for area, name in zip(self.areas, identifiers(self.areas), strict=True):
            found.update(zip(area.cells(), self.parameters[name].detach().cpu().flatten().tolist(), strict=True))
        return found

    def value_of(self, cell: Cell) -> Value:
        """The value of one cell."""
        return self.regions.read(Range.of_cell(cell))

    def module(self, outputs: Data | Sequence[Data]) -> fx.GraphModule:
        """A module that computes these nodes and nothing else, with this program's parameters and buffers."""
        graph = fx.Graph()
        copies: dict[fx.Node, fx.Node] = {}
        graph.graph_copy(self.builder.graph, copies)

        def translated(item: Data) -> Data:
            return copies[item] if isinstance(item, fx.Node) else item

        single = isinstance(outputs, (fx.Node, Tensor))
        graph.output(translated(outputs) if single else tuple(translated(item) for item in outputs))  # type: ignore[arg-type, union-attr]
        graph.eliminate_dead_code()
        targets = {str(node.target) for node in graph.nodes if node.op == "get_attr"}
        attributes: dict[str, Tensor] = {**self.parameters, **self.builder.buffers}
        return fx.GraphModule({name: attributes[name] for name in attributes if name in targets}, graph, "SheetModel")


def linked_files(workbook: Workbook, blocks: Iterable[Block]) -> tuple[str, ...]:
    """The other workbooks of which blocks read saved values, by name."""
    read = (area.sheet for block in blocks for area in block.reads() if area.sheet.startswith("["))
    links = (link for sheet in dict.fromkeys(read) if (link := workbook.link(sheet)) is not None)
    return tuple(dict.fromkeys(link.name for link in links))


def parameter_tensor(sheet: Sheet, area: Range, dtype: torch.dtype) -> Tensor:
    """The saved numbers of a parameter range; blank cells are 0."""
    numbers = [sheet.values.get((cell.row, cell.column), 0.0) for cell in area.cells()]
    shape = [size for size in (area.height, area.width) if size > 1]
    return torch.tensor([float(number) for number in numbers], dtype=dtype).reshape(shape)  # type: ignore[arg-type]


def build_program(
    workbook: Workbook,
    parameters: Sequence[Range],
    plan: Plan,
    *,
    inputs: Mapping[str, Range] = MappingProxyType({}),
    dtype: torch.dtype,
    strict: bool = True,
    shared: dict[str, Tensor] | None = None,
    generic: bool = False,
    suspicious: bool = False,
    on_saved: bool = False,
    watch: Callable[[Block], object] | None = None,
) -> Program:
    """Lower the plan's blocks. With `strict` the first block that cannot be lowered raises; else it is noted, cut down
    to those of its copies that it is the matter with.

    A constant block that cannot be lowered keeps its saved values, if it has any. `inputs` are cells whose
    numbers are arguments of the module, by name and in this order.
    Without `strict`, constant blocks that call a function such as RAND or TODAY are left out: they keep their values.
    With `on_saved`, what reads cells that could not be calculated takes their saved values.
    `shared` are parameters that exist already; in a `generic` program constants may be exchanged for others,
    with errors among them if it is `suspicious`. `watch` is told of each block before it is lowered.
    """
    calendar = Calendar(FROM_1904 if workbook.date1904 else 0.0, lambda: is_day_first(workbook))
    builder = Builder(dtype=dtype, generic=generic, suspicious=suspicious, calendar=calendar)
    regions = Regions(workbook, builder)
    tensors: dict[str, Tensor] = dict(shared or {})
    for area, name in zip(parameters, identifiers(parameters), strict=True):
        if name not in tensors:
            tensors[name] = nn.Parameter(parameter_tensor(workbook.sheets[area.sheet], area, dtype))
        builder.reserved.add(name)
        regions.provide(area, _value_of_cells(builder.graph.get_attr(name), area))
    for name, area in inputs.items():
        builder.reserved.add(name)
        regions.provide(area, _value_of_cells(builder.graph.placeholder(name), area))
    program = Program(workbook, parameters, tensors, builder, regions)
    if workbook.as_displayed:
        _refuse_rounded(program, plan, strict)
        return program
    program.failures += plan.circles
    unknown: RangeIndex[None] = RangeIndex()  # what could not be calculated
    for block, _ in plan.circles:
        if not (on_saved and workbook.has_values(block.range)):
            unknown.add(block.range, None)
    waiting = deque((copy, plan.is_live(whole)) for whole in _in_turn(plan.blocks) for copy in _separated(whole))
    halved = 0
    while waiting:
        checkpoint()
        block, live = waiting.popleft()
        if watch is not None:
            watch(block)
        if block.recurrence is not None:
            if not _read_unknown(block.recurrence, unknown) and (found := lower_recurrence(block.recurrence, regions)):
                program.results += found
            else:
                apart = [copy for whole in taken_apart(columns_with(block)) for copy in separated(whole)]
                waiting.extendleft((copy, live) for copy in reversed(apart))
            continue
        if not (strict or live) and (absent := frozen_call(block.tree)) and workbook.has_values(block.range):
            program.frozen.append((block, absent))
            continue
        failed = next((area for read in block.reads() for area, _ in unknown.overlapping(read)), None)
        try:
            if failed is not None:
                raise FormulaError(f"reads {failed}, which cannot be calculated here", cell=block.range.first)
            program.results.append((block, lower_block(block, regions)))
        except SgdSheetError as error:
            if isinstance(error, Uneven):
                waiting.extendleft((half, live) for half in reversed(_halves(block, error)))
                continue
            if strict and not live and workbook.has_results(block.range):
                continue
            if strict:
                raise
            if halved < _MOST_HALVED and (parts := _halves(block, error)):
                halved += 1
                waiting.extendleft((half, live) for half in reversed(parts))
                continue
            if not (on_saved and workbook.has_values(block.range)):
                unknown.add(block.range, None)
            program.failures.append((block, error))
    return program


def _refuse_rounded(program: Program, plan: Plan, strict: bool) -> None:
    """Refuse every formula of a workbook that calculates with numbers as displayed: formats round each of them.

    With `strict`, constants keep their saved values.
    """
    for block in plan.blocks:
        if strict and not plan.is_live(block) and program.workbook.has_results(block.range):
            continue
        error = FormulaError(
            "the workbook calculates with the numbers as displayed: each is rounded to its format",
            cell=block.range.first,
            remedy="Turn off “Set precision as displayed” (Excel: File, Options, Advanced) or “Precision as shown” "
            "(LibreOffice: Tools, Options, LibreOffice Calc, Calculate), and save the workbook",
        )
        if strict:
            raise error
        program.failures.append((block, error))
    program.failures += plan.circles


def _in_turn(blocks: Iterable[Block]) -> Iterator[Block]:
    """The blocks, of each recurrence one, which stands for all of its columns."""
    blocks = list(blocks)
    there = set(map(id, blocks))
    for block in blocks:
        columns = columns_with(block)
        if not all(id(other) in there for other in columns):
            raise FormulaError(
                "is calculated together with other cells, which are missing here",
                cell=block.range.first,
                remedy="Please tell us",
            )
        if block is columns[0]:
            yield block


def _separated(block: Block) -> list[Block]:
    return [block] if block.recurrence is not None else separated(block)


def _read_unknown(recurrence: Recurrence, unknown: RangeIndex[None]) -> bool:
    """Whether a recurrence reads cells that could not be calculated."""
    reads = (read for block in recurrence.members for read in block.reads())
    return any(True for read in reads for _ in unknown.overlapping(read))


def _halves(block: Block, error: SgdSheetError) -> list[Block]:
    """The two halves of a block of which perhaps only one copy cannot be lowered; none if it is all of them."""
    if block.error is not None or isinstance(error, UnsupportedFunction) or block.rows == block.columns == 1:
        return []
    return halves(block)


def _value_of_cells(node: fx.Node, area: Range) -> Value:
    pairs = [(axis, size) for axis, size in (("r", area.height), ("c", area.width)) if size > 1]
    return Value(node, "".join(axis for axis, _ in pairs), tuple(size for _, size in pairs), Kind.NUMBER)
