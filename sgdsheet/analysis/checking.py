"""Compares the compiled sheet with the workbook: values with the saved ones, gradients with finite differences."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field

import torch
from torch import Tensor

from sgdsheet.compiler.calculated_references import planner_of
from sgdsheet.compiler.comparison import Comparison, Mismatch, is_number
from sgdsheet.compiler.frontend.block_table import BlockTable
from sgdsheet.compiler.frontend.blocks import Block
from sgdsheet.compiler.frontend.planning import Plan
from sgdsheet.compiler.functions import REGISTRY
from sgdsheet.compiler.functions.absent import Absent
from sgdsheet.compiler.lowering import unsupported
from sgdsheet.compiler.model import SheetModel
from sgdsheet.compiler.program import Program, build_program, linked_files
from sgdsheet.errors import SgdSheetError
from sgdsheet.problem.definition import Problem
from sgdsheet.sheet.references import Cell, Range, RangeIndex
from sgdsheet.sheet.syntax import Call, walk
from sgdsheet.sheet.workbook import Workbook

GRADIENT_TOLERANCE = 1e-6
_MOST_DIFFERENCES = 200
_STEPS = (1e-3, 1e-4, 1e-5, 1e-6)


@dataclass(frozen=True, slots=True)
class Unsupported:
    """Cells of one formula that cannot be calculated, because of a function or (empty) for another reason."""

    area: Range
    function: str
    error: SgdSheetError


@dataclass(frozen=True, slots=True)
class BlockCheck:
    """Copies of one formula, side by side: which functions they call, and what is not right.

    `error` says why they cannot be calculated; `cause` is the function or the reason, and empty where they only read a
    cell that cannot be calculated. `formula` is that of the first cell, where something is not right.
    """

    area: Range
    functions: tuple[str, ...]
    formula: str = ""
    mismatches: tuple[Mismatch, ...] = ()
    error: SgdSheetError | None = None
    cause: str = ""


@dataclass(frozen=True, slots=True)
class Frozen:
    """Cells of one formula that keep their saved values because of a function that is not calculated."""

    area: Range
    function: Absent


@dataclass(slots=True)
class Report:
    """What `check` found.

    `gradient_max_error` is the largest distance between a gradient and its central difference, as a share of the
    largest gradient or of the loss, whichever is larger; None where gradients were not compared. `largest_difference`
    is in the units of its cell.
    """

    formulas: int = 0
    supported: int = 0
    compared: int = 0
    mismatches: list[Mismatch] = field(default_factory=list)
    by_office: list[Mismatch] = field(default_factory=list)
    """What LibreOffice, which saved the file, writes in another way: neither compared nor a mismatch."""
    unsupported: list[Unsupported] = field(default_factory=list)
    frozen: list[Frozen] = field(default_factory=list)
    """What keeps its saved values: formulas, but neither supported nor unsupported."""
    fault: SgdSheetError | None = None
    """Why the loss cannot be calculated; None if it can."""
    loss_saved: float | None = None
    loss_computed: float | None = None
    gradient_max_error: float | None = None
    gradient_worst_cell: Cell | None = None
    gradient_checked: int = 0
    dead_parameters: list[Cell] = field(default_factory=list)
    linked: tuple[str, ...] = ()
    """Other workbooks of which saved values were used, by name."""
    largest_difference: float = 0.0
    blocks: list[BlockCheck] = field(default_factory=list)
    """All formulas, in the order of the sheets and of the places on them."""

    @property
    def frozen_cells(self) -> int:
        """How many cells keep their saved values."""
        return sum(item.area.size for item in self.frozen)

    @property
    def passed(self) -> bool:
        gradients = self.gradient_max_error is None or self.gradient_max_error <= GRADIENT_TOLERANCE
        return self.fault is None and not self.mismatches and gradients


Watch = Callable[[float], object]
"""Is told, again and again, which share of the work is done, from 0 to 1."""


def check_model(model: SheetModel, *, everything: bool = False) -> Report:
    """Compare the cells on the way to the loss, or with `everything` all formula cells, and the gradient.

    The parameters stay as they are.
    """
    report = Report()
    program = model.everything() if everything else model.lowered
    compare_values(report, model.workbook, program, on_the_way=not everything)
    saved = model.workbook.sheets[model.problem.loss.sheet].values.get(model.problem.loss[1:])
    report.loss_saved = float(saved) if is_number(saved) and not model.problem.targets else None
    with torch.no_grad():
        report.loss_computed = float(model())
    if math.isfinite(report.loss_computed):
        compare_gradients(report, model)
    else:
        report.fault = model.explain_bad_loss()
    return report


def check_workbook(
    workbook: Workbook, sheet: str | None = None, *, table: BlockTable | None = None, watch: Watch | None = None
) -> Report:
    """Compare all formula cells of a workbook, or of one sheet of it, with their saved values: that takes no model."""
    report = Report()
    plan = planner_of(workbook, (), table).plan_everything(None if sheet is None else (sheet,))
    lowered, compared = (_half(plan, watch, start) for start in (0.0, 0.5))
    program = build_program(workbook, (), plan, dtype=torch.float64, strict=False, on_saved=True, watch=lowered)
    compare_values(report, workbook, program, on_the_way=False, watch=compared)
    return report


def check_formulas(workbook: Workbook, problem: Problem, fault: SgdSheetError) -> Report:
    """The report for a sheet that cannot be compiled: the formulas on the way to the loss that are the reason."""
    report = Report(fault=fault)
    plan = planner_of(workbook, problem.parameters).plan([Range.of_cell(problem.loss)])
    program = build_program(workbook, problem.parameters, plan, dtype=torch.float64, strict=False)
    compare_values(report, workbook, program)
    saved = workbook.sheets[problem.loss.sheet].values.get(problem.loss[1:])
    report.loss_saved = float(saved) if is_number(saved) else None
    return report


def _half(plan: Plan, watch: Watch | None, start: float) -> Callable[[Block], object] | None:
    """Tells of one of two passes over all cells, which begins at the share `start` of the work."""
    if watch is None:
        return None
    total, done = max(1, sum(block.range.size for block in plan.blocks)), 0

    def tell(block: Block) -> None:
        nonlocal done
        done += block.range.size
        watch(start + 0.5 * min(1.0, done / total))

    return tell


def compare_values(
    report: Report,
    workbook: Workbook,
    program: Program,
    *,
    on_the_way: bool = True,
    watch: Callable[[Block], object] | None = None,
) -> None:
    """Enter differences from the saved values, the largest first, and what cannot be calculated."""
    found = Comparison(workbook, watch=watch)
    found.run(program)
    report.supported += found.cells
    left_out = [block for block, _ in (*program.failures, *program.frozen)]
    report.formulas += found.cells + sum(block.range.size for block in left_out)
    report.frozen += [Frozen(block.range, function) for block, function in program.frozen]
    report.compared += found.compared + (0 if found.never_calculated else found.zeros - found.placeholders)
    report.largest_difference = found.largest_difference
    report.mismatches = sorted(found.mismatches, key=lambda item: -item.distance)
    report.by_office += found.by_office
    report.unsupported += _unsupported(program.failures, on_the_way)
    report.linked = linked_files(workbook, program.blocks)
    report.blocks += _blocks(workbook, program, found, report)


def _blocks(workbook: Workbook, program: Program, found: Comparison, report: Report) -> list[BlockCheck]:
    """Every formula with what is not right about it."""
    wrong = {id(block): items for block, items in found.differences} if report.mismatches else {}
    astray = found.astray if report.mismatches else []
    reasons: dict[Range, str] = {}
    for item in report.unsupported:
        reasons.setdefault(item.area, item.function or item.error.cause)
    checked = []
    for block, _ in program.results:
        items = (
            *wrong.get(id(block), ()),
            *(item for item in astray if block.range.contains(Range.of_cell(item.cell))),
        )
        checked.append(BlockCheck(block.range, _functions(block), f"={block.text}" if items else "", items))
    for block, error in program.failures:
        cause = reasons.get(block.range, "")
        checked.append(BlockCheck(block.range, _functions(block), f"={block.text}", (), error, cause))
    order = {name: place for place, name in enumerate(workbook.sheets)}
    return sorted(checked, key=lambda item: (order.get(item.area.sheet, 0), item.area[1:]))


def _functions(block: Block) -> tuple[str, ...]:
    return tuple(dict.fromkeys(part.name for part in walk(block.tree) if isinstance(part, Call)))


def _unsupported(failures: list[tuple[Block, SgdSheetError]], on_the_way: bool) -> list[Unsupported]:
    """The formulas that have to be changed.

    These are all with unknown functions, and others that fail, but not those that only read a cell which cannot be
    calculated.
    """
    found: list[Unsupported] = []
    failed: RangeIndex[None] = RangeIndex()
    for block, error in failures:
        names = [part.name for part in walk(block.tree) if isinstance(part, Call) and part.name not in REGISTRY]
        for name in dict.fromkeys(names):
            found.append(Unsupported(block.range, name, unsupported(name, block.range.first, on_the_way)))
        if not names and not any(map(failed.overlapping, block.reads())):
            found.append(Unsupported(block.range, "", error))
        failed.add(block.range, None)
    return found


def compare_gradients(report: Report, model: SheetModel) -> None:
    """Compare the exact gradient with central differences, for all parameters or for an even selection of many."""
    gradients = model.gradients()
    report.dead_parameters = [cell for cell, gradient in gradients.items() if gradient == 0.0]
    scale = max(max(map(abs, gradients.values()), default=0.0), abs(report.loss_computed or 0.0), 1e-12)
    cells = list(gradients)
    chosen = set(cells[:: max(1, len(cells) // _MOST_DIFFERENCES)])
    worst, worst_cell = 0.0, None
    for area, tensor in model.ranges():
        flat = tensor.detach().view(-1)
        for index, cell in enumerate(area.cells()):
            if cell not in chosen:
                continue
            error, around = _smallest_error(model, flat, index, gradients[cell])
            scale = max(scale, around)  # where the fit is perfect, gradients and loss are 0, and differences are not
            report.gradient_checked += 1
            if worst_cell is None or error > worst:
                worst, worst_cell = error, cell
    report.gradient_max_error, report.gradient_worst_cell = worst / scale, worst_cell


def _smallest_error(model: SheetModel, flat: Tensor, index: int, gradient: float) -> tuple[float, float]:
    """The smallest distance of a derivative from finite differences of several widths, and the size of the loss nearby.

    `flat` [parameters of the range] is moved and put back. The difference is the five-point central difference, whose
    error falls with the fourth power of the width: large widths are exact for smooth losses, small ones do not jump
    over kinks. Exactly on a kink, as of MAX(0, x) at 0, any derivative between those to the left and to the right is
    right.
    """
    best, around = float("inf"), 0.0
    start = float(flat[index])

    def loss_at(distance: float) -> float:
        with torch.no_grad():
            flat[index] = start + distance
            loss = float(model())
            flat[index] = start
        return loss

    for relative in _STEPS:
        step = relative * max(1.0, abs(start))
        far_left, left, right, far_right = (loss_at(factor * step) for factor in (-2, -1, 1, 2))
        central = (8 * (right - left) - (far_right - far_left)) / (12 * step)
        here = loss_at(0.0)
        from_right = (4 * right - 3 * here - far_right) / (2 * step)
        from_left = (3 * here + far_left - 4 * left) / (2 * step)
        between = max(min(from_left, from_right) - gradient, gradient - max(from_left, from_right), 0.0)
        kinked = abs(from_right - from_left) > 1e-4 * max(abs(from_left), abs(from_right))
        around = max(around, *map(abs, (left, right)))
        best = min(best, abs(central - gradient), between if kinked else float("inf"))
        if best < 1e-10 * max(1.0, abs(gradient)):
            break
    return best, around
