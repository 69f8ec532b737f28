"""A sheet as a `torch.nn.Module`."""

from __future__ import annotations

import math
import operator
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import islice
from pathlib import Path
from types import MappingProxyType
from typing import TypeVar

import torch
from torch import Tensor, fx, nn

from sgdsheet.compiler.bad_loss import explain
from sgdsheet.compiler.calculated_references import planner_of
from sgdsheet.compiler.candidates.ranking import candidates_of
from sgdsheet.compiler.evaluation import CellValues, evaluate
from sgdsheet.compiler.frontend.block_table import BlockTable
from sgdsheet.compiler.frontend.blocks import Block
from sgdsheet.compiler.frontend.dependence import check_reach, unreached
from sgdsheet.compiler.frontend.planning import Plan
from sgdsheet.compiler.ir.recording import Data
from sgdsheet.compiler.ir.values import UNSETTLED, Kind, Value
from sgdsheet.compiler.passes import simplify
from sgdsheet.compiler.program import Program, build_program, parameter_tensor
from sgdsheet.compiler.recalculator import Recalculator
from sgdsheet.errors import (
    DataError,
    NoModelError,
    ProblemError,
    SettingError,
    SgdSheetError,
    UnsupportedFunction,
    quoted,
)
from sgdsheet.problem.chosen_source import with_source
from sgdsheet.problem.definition import SOLVER, Direction, Problem, find_problem, without_formulas
from sgdsheet.problem.settings import trusts_formulas
from sgdsheet.sheet.references import Cell, Range, identifiers, rectangles, without
from sgdsheet.sheet.workbook import ExcelError, Workbook
from sgdsheet.sheet.workbook import Value as CellValue

_MOST_SEARCHED, _MOST_TRIED = 20_000, 3
"""Formulas of a workbook in which a model is looked for, and candidates that are compiled."""

Losses = TypeVar("Losses", float, Tensor)


class SheetModel(nn.Module):
    """The formulas between the parameter cells and the loss cell.

    `model()` is the value of the loss cell, a scalar tensor with a graph for backward (where several cells are to reach
    values, the sum of the squares of what they miss); `objective()` is what an
    optimizer has to minimise (the negative loss where the sheet asks for a maximum). The parameters are named
    after their ranges and shaped like them, without dimensions of length 1.
    """

    def __init__(
        self,
        workbook: Workbook,
        problem: Problem,
        *,
        dtype: torch.dtype = torch.float64,
        table: BlockTable | None = None,
    ) -> None:
        super().__init__()
        if problem.overwritten:
            workbook, table = without_formulas(workbook, problem.overwritten), None
        self.workbook = workbook
        self.dtype = dtype
        self.trusted = False
        """Whether a person has said that the formulas are right where the saved values are not."""
        # Inputs are constants here: the cells as they stand.
        self.planner = planner_of(workbook, problem.parameters, table)
        self.unused: tuple[Range, ...] = ()
        """Solver's variables on which neither the objective nor a constraint depends: they are left alone."""
        read = [Range.of_cell(problem.loss), *problem.constrained]
        if problem.source == SOLVER:
            self.unused = unreached(problem, self.planner.plan(read).blocks).unused
            used = without(problem.parameters, self.unused)
            if self.unused and used:
                problem = replace(problem, parameters=used)
                self.planner = self.planner.among(used)
        self.stepped = check_reach(problem, self.planner.plan(read).blocks)
        """The error for those that need a gradient where there is none; None if there is one."""
        self._refuse_changing(problem, read)
        self.problem = problem
        cells = [item.cell for item in problem.targets] or [problem.loss]
        self.plan: Plan = self.planner.plan([Range.of_cell(cell) for cell in cells])
        self._lowered = build_program(workbook, problem.parameters, self.plan, dtype=dtype)
        for cell in cells:
            self._check_loss(cell, self._lowered.value_of(cell))
        self.loss_node: Data = self._sum_of_misses() if problem.targets else self._lowered.value_of(problem.loss).data
        """The loss in the program with all its cells, see `lowered`."""
        module = self._lowered.module(self.loss_node)
        self.program: fx.GraphModule = simplify(module, frozen=True)

    def _refuse_changing(self, problem: Problem, read: Sequence[Range]) -> None:
        """FormulaError for a loss that is another number after every recalculation."""
        found = self.planner.changing(read)
        if found is not None:
            block, function = found
            raise UnsupportedFunction(
                function.name,
                f"the loss {problem.loss} depends on this {function.name}, and {function.reason}",
                cell=block.range.first,
                remedy="Copy its cells and paste them as values",
            )

    def _sum_of_misses(self) -> Data:
        """The sum of the squares of what the targets miss, each as a share of its present or wanted value."""
        builder, targets = self._lowered.builder, self.problem.targets
        cells = [self._lowered.value_of(item.cell).data for item in targets]
        with torch.no_grad():
            present = [float(value) for value in self._lowered.module(cells)()]
        total: Data | None = None
        for data, item, now in zip(cells, targets, present, strict=True):
            size = max(abs(item.value), abs(now) if math.isfinite(now) else 0.0) or 1.0
            miss = builder.call(operator.sub, data, item.value)
            square = builder.call(operator.pow, builder.call(operator.truediv, miss, size), 2.0)
            total = square if total is None else builder.call(operator.add, total, square)
        assert total is not None
        return total

    def _check_loss(self, cell: Cell, loss: Value) -> None:
        if loss.kinds is Kind.ERROR:
            raise self.explain_bad_loss()
        if loss.constant:
            raise ProblemError(
                "the loss does not depend on any parameter", cell=cell, remedy="Let its formula read the parameters"
            )
        if not loss.only(Kind.NUMBER, *UNSETTLED):
            what = "text" if loss.kinds is Kind.TEXT else "TRUE or FALSE"
            raise ProblemError(
                f"the loss cell gives {what} and not a number", cell=cell, remedy="Let it calculate a number"
            )

    @property
    def blocks(self) -> list[Block]:
        """The lowered blocks, in order of evaluation."""
        return self.plan.blocks

    def forward(self) -> Tensor:
        """The value of the loss cell."""
        result: Tensor = self.program()
        return result

    def objective(self) -> Tensor:
        """The scalar that has to become small: the loss, its negative, or its squared distance from the target."""
        return self.as_objective(self.forward())

    def as_objective(self, loss: Losses) -> Losses:
        """Turn values of the loss cell (a number, or a tensor of any shape) into what has to become small."""
        if self.problem.direction is Direction.MAXIMISE:
            return -loss
        if self.problem.direction is Direction.VALUE:
            distance = loss - self.problem.target
            return distance * distance  # which overflows to infinity, where ** raises for plain numbers
        return loss

    def require_gradient(self) -> None:
        """Raise ProblemError, with the cell, if a parameter has no gradient because the loss depends on it in steps."""
        if self.stepped is not None:
            raise self.stepped

    def numbers_read(self) -> int:
        """How many numbers one evaluation reads: what it costs, roughly."""
        return sum(tensor.numel() for tensor in [*self.program.buffers(), *self.parameters()])

    def value_of(self, cell: Cell) -> CellValue | None:
        """The value of a cell at the present parameters; None if it is empty, an error, or not calculated here."""
        found = self.values_of([Range.of_cell(cell)])[cell]
        return None if isinstance(found, ExcelError) else found

    def values_of(self, areas: Sequence[Range]) -> dict[Cell, CellValue | None]:
        """The values of cells at the present parameters; None for those that are empty or cannot be calculated here."""
        program = self._exact(self.planner.plan(list(areas)))
        found = self._with_the_rest(evaluate(program), self.workbook)
        known = {**found.values, **self.parameter_cells()}
        unknown = {cell for block, _ in found.failures for cell in block.range.cells()}
        values: dict[Cell, CellValue | None] = {}
        for cell in (cell for area in areas for cell in area.cells()):
            saved = self.workbook.sheets[cell.sheet].values.get(cell[1:])
            values[cell] = None if cell in unknown else known.get(cell, saved)
        return values

    def from_objective(self, objective: float) -> float:
        """The loss that an objective stands for (of the two that lie as far from a target, the upper one)."""
        if self.problem.direction is Direction.MAXIMISE:
            return -objective
        if self.problem.direction is Direction.VALUE:
            return float(self.problem.target + max(objective, 0.0) ** 0.5)
        return objective

    @property
    def lowered(self) -> Program:
        """The program with all its cells, before it was rewritten for speed."""
        return self._lowered

    @property
    def shared_parameters(self) -> dict[str, Tensor]:
        """The parameters by name, for other programs over the same cells."""
        return self._lowered.parameters

    def ranges(self) -> Iterator[tuple[Range, nn.Parameter]]:
        """The parameter ranges with their tensors."""
        for area, name in zip(self.problem.parameters, self.parameter_names, strict=True):
            tensor = self._lowered.parameters[name]
            assert isinstance(tensor, nn.Parameter)
            yield area, tensor

    @property
    def parameter_names(self) -> list[str]:
        """The names of the parameter ranges in the program, in their order."""
        return identifiers(self.problem.parameters)

    def parameter_cells(self) -> dict[Cell, float]:
        """The parameters' present values by cell."""
        return self._lowered.parameter_cells()

    def reset_parameters(self) -> None:
        """Give the parameters the values that the workbook had when it was compiled."""
        with torch.no_grad():
            for area, tensor in self.ranges():
                tensor.copy_(parameter_tensor(self.workbook.sheets[area.sheet], area, self.dtype))

    def gradients(self) -> dict[Cell, float]:
        """The derivative of the loss cell with respect to each parameter cell, in units of the loss per unit of it."""
        self.require_gradient()
        pairs = list(self.ranges())
        gradients = torch.autograd.grad(self(), [tensor for _, tensor in pairs], allow_unused=True)
        found: dict[Cell, float] = {}
        for (area, tensor), gradient in zip(pairs, gradients, strict=True):
            flat = (gradient if gradient is not None else torch.zeros_like(tensor)).flatten().tolist()
            found.update(zip(area.cells(), flat, strict=True))
        return found

    def lowered_cells(self) -> CellValues:
        """The values of all cells between the parameters and the loss."""
        return evaluate(self._lowered)

    def everything(self) -> Program:
        """All formula cells of the workbook, as far as they can be calculated, as a program."""
        return self._exact(self.planner.plan_everything())

    def dependent_cells(
        self, *, everything: bool = False, changed: Mapping[Cell, CellValue] = MappingProxyType({})
    ) -> CellValues:
        """The values of all formula cells of the workbook that depend on a parameter (or of all formula cells).

        `changed` are other cells with new values: what depends on them is calculated, too. What has no place in a
        model, such as a look-up of what training moves, or texts made of it, is calculated with the present parameters
        as constants.
        """
        if not changed:
            plan = None if everything else self.planner.plan_affected()
            found = evaluate(self.everything() if plan is None else self._exact(plan))
            return self._with_the_rest(found, self.workbook)
        workbook, areas = self.workbook.with_values(changed), list(self.problem.parameters)
        for sheet in dict.fromkeys(cell.sheet for cell in changed):
            for top, left, rows, columns in rectangles({cell[1:] for cell in changed if cell.sheet == sheet}):
                areas.append(Range(sheet, top, left, top + rows - 1, left + columns - 1))
        found = evaluate(self._exact(self.planner.on(workbook, areas).plan_affected(), workbook))
        return self._with_the_rest(found, workbook)

    def _with_the_rest(self, found: CellValues, workbook: Workbook) -> CellValues:
        """The values, with those of blocks that could not be calculated but can where all else is constant."""
        unknown = {cell for block, _ in found.failures for cell in block.range.cells()}
        if not unknown:
            return found
        known = {**dict.fromkeys(unknown, 0.0), **found.values, **self.parameter_cells()}
        settled = replace(workbook.with_values(known), stale=False)  # a copy of each sheet that is changed below
        for cell in unknown:
            settled.sheets[cell.sheet].values.pop(cell[1:], None)
        more = {
            cell: value
            for result in Recalculator(settled).missing().results
            for place, value in result.values_in(result.area)
            if (cell := Cell(result.area.sheet, *place)) in unknown
        }
        left = [pair for pair in found.failures if not all(cell in more for cell in pair[0].range.cells())]
        without_value = {cell for block, _ in left for cell in block.range.cells()}
        return CellValues(
            {**found.values, **{cell: value for cell, value in more.items() if cell not in without_value}}, left
        )

    def _exact(self, plan: Plan, workbook: Workbook | None = None) -> Program:
        """A program in float64, as a spreadsheet calculates, whatever the model is trained in."""
        shared = {name: value.detach().to("cpu", torch.float64) for name, value in self.shared_parameters.items()}
        return build_program(
            workbook or self.workbook, self.problem.parameters, plan, dtype=torch.float64, strict=False, shared=shared
        )

    def explain_bad_loss(self) -> DataError:
        """The error that says why the loss is not finite: the first cell that is not, and what it reads."""
        values = self.lowered_cells().values
        bad = (item.cell for item in self.problem.targets if isinstance(values.get(item.cell), ExcelError))
        cell = next(bad, self.problem.loss)
        return explain(self.workbook, self.plan, cell, values)


def _with_candidate(error: NoModelError, workbook: Workbook, sheet: str | None) -> NoModelError:
    """The error, with the best candidate that compiles in its remedy, where looking for one costs little."""
    found = workbook.sheet(sheet) if sheet is not None else None
    if sum(len(item.formulas) for item in workbook.sheets.values()) > _MOST_SEARCHED:
        return error
    for candidate in islice(candidates_of(workbook, found.name if found else None), _MOST_TRIED):
        params = ",".join(map(str, candidate.parameters))
        maximize = candidate.direction is Direction.MAXIMISE
        try:
            model = SheetModel(workbook, find_problem(workbook, None, str(candidate.loss), params, maximize=maximize))
        except SgdSheetError:
            continue
        if any(model.gradients().values()):
            call = f"compile(book, loss={str(candidate.loss)!r}, params={params!r}{', maximize=True' * maximize})"
            return NoModelError(error.cause, remedy=f"{error.remedy}; it may be {call}")
    return error


def compile(
    workbook: Workbook,
    sheet: str | None = None,
    *,
    loss: str | None = None,
    params: str | None = None,
    maximize: bool = False,
    problem: Problem | None = None,
    precision: str | None = None,
    source: str | Path | None = None,
    trust_formulas: bool | None = None,
    overwrite_formulas: bool | None = None,
) -> SheetModel:
    """Compile the model of a sheet.

    The problem is taken from the sheet's names (see `find_problem`), or `loss` and `params` are A1 references; with
    `maximize`, the loss cell is to become as large as possible.
    `precision` is float64, which Excel calculates in, or float32; left out, it is float32 only for a model that is
    trained on data from a file. `source` is that file, or the name of a dataset, in place of what the sheet names.
    With `trust_formulas` (the sheet's setting, unless given) no saved result is used that
    can be calculated: for workbooks whose saved values are out of date. With `overwrite_formulas` (likewise) parameter
    cells may hold formulas: their values are where training starts.
    Raises a subclass of SgdSheetError, with cell, cause and remedy, if the sheet cannot be trained.
    """
    try:
        problem = problem or find_problem(
            workbook, sheet, loss, params, maximize=maximize, overwrite_formulas=overwrite_formulas
        )
    except NoModelError as error:
        raise _with_candidate(error, workbook, sheet) from None
    if source is not None:
        problem = with_source(problem, source)
    dtypes = {"float64": torch.float64, "float32": torch.float32}
    precision = precision or ("float32" if problem.origin else "float64")
    if precision not in dtypes:
        raise SettingError(f"{quoted(precision)} is not possible for precision", remedy=f"Allowed: {', '.join(dtypes)}")
    if trusts_formulas(problem.settings) if trust_formulas is None else trust_formulas:
        model = SheetModel(replace(workbook, stale=True), problem, dtype=dtypes[precision])
        model.trusted = True
        return model
    return SheetModel(workbook, problem, dtype=dtypes[precision])
