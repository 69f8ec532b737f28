"""SGD_GRAD and SGD_STEP: the gradient of a cell of an open workbook.

A recalculation calls them again and again, so what was compiled is kept, and used again as long as the formulas
and the fixed numbers that it was compiled from are the same, and it gives the loss that the spreadsheet shows.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor

from sgdsheet.apps.udf.calls import Grid
from sgdsheet.compiler.calculated_references import planner_of
from sgdsheet.compiler.ir.values import UNSETTLED, Kind
from sgdsheet.compiler.passes import simplify
from sgdsheet.compiler.program import build_program
from sgdsheet.errors import DataError, ProblemError
from sgdsheet.hosts.base import LiveHost
from sgdsheet.problem.definition import Problem, check_problem
from sgdsheet.sheet.agreement import LEAST_IN_CELL, same_number
from sgdsheet.sheet.references import Cell, Range
from sgdsheet.sheet.workbook import Value, Workbook

_MOST_KEPT = 32
_LEARNING_RATE = 0.01


@dataclass(slots=True)
class CompiledGradient:
    """The way from some parameters to a loss, and the state of the sheet that it was compiled from."""

    loss: Cell
    params: Range
    read: tuple[Range, ...]
    """All cells from which the program was compiled, without the parameters."""
    live: tuple[Range, ...]
    """The cells among `read` that depend on the parameters."""
    parameter: Tensor
    module: torch.fx.GraphModule | None
    """The program from the parameters to the loss; None if the loss does not depend on them."""
    formulas: dict[Cell, str] = field(default_factory=dict)
    fixed: dict[Cell, Value] = field(default_factory=dict)

    def remember(self, host: LiveHost) -> None:
        """Note the formulas and the fixed values that it was compiled from."""
        self.formulas = host.read_formulas(self.read)
        self.fixed = self._fixed(host.read_values(self.read))

    def fits(self, host: LiveHost) -> bool:
        """Whether the sheet is still the one that it was compiled from, parameters apart."""
        if host.read_formulas([*self.read, self.params]) != self.formulas:
            return False
        return self._fixed(host.read_values(self.read)) == self.fixed

    def _fixed(self, values: dict[Cell, Value]) -> dict[Cell, Value]:
        live = {cell for area in (*self.live, self.params) for cell in area.cells()}
        return {cell: value for cell, value in values.items() if cell not in live}

    def load(self, values: dict[Cell, Value]) -> None:
        """Take over the parameters as they stand."""
        numbers = [parameter_number(cell, values.get(cell)) for cell in self.params.cells()]
        with torch.no_grad():
            self.parameter.copy_(torch.tensor(numbers, dtype=self.parameter.dtype).reshape(self.parameter.shape))

    def gradient(self) -> tuple[float | None, list[float]]:
        """The loss (None if it is fixed) and its derivatives, row by row."""
        if self.module is None:
            return None, [0.0] * self.params.size
        loss = self.module()
        (derivatives,) = (
            torch.autograd.grad(loss, [self.parameter], allow_unused=True) if loss.requires_grad else (None,)
        )
        if derivatives is None:
            return float(loss.detach()), [0.0] * self.params.size
        return float(loss.detach()), derivatives.flatten().tolist()


def parameter_number(cell: Cell, value: Value | None) -> float:
    if value is None:
        return 0.0
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise DataError("a parameter cell holds no number", cell=cell, remedy="Put a number there")
    return float(value)


def compile_gradient(workbook: Workbook, loss: Cell, params: Range) -> CompiledGradient:
    """Compile the formulas between a range and a cell. Unlike a model's, not all parameters need to matter."""
    check_problem(workbook, Problem(loss.sheet, loss, (params,), "function"))
    plan = planner_of(workbook, [params]).plan([Range.of_cell(loss)])
    program = build_program(workbook, [params], plan, dtype=torch.float64)
    value = program.value_of(loss)
    if not value.only(Kind.NUMBER, Kind.ERROR, *UNSETTLED):
        raise ProblemError("the loss cell holds no number", cell=loss, remedy="Let it calculate a number")
    live = tuple(block.range for block in plan.live)
    read = {area for block in plan.blocks for area in (block.range, *block.reads())} | {Range.of_cell(loss)}
    module = None if value.constant else simplify(program.module(value.data))
    (parameter,) = program.parameters.values()
    return CompiledGradient(loss, params, tuple(sorted(read - {params})), live, parameter, module)


@dataclass(slots=True)
class Gradients:
    """The compiled gradients of open workbooks, the most recently used ones."""

    compilations: int = 0
    _kept: dict[tuple[str, Cell, Range], CompiledGradient] = field(default_factory=dict)

    def gradient(self, host: LiveHost, loss: Cell, params: Range) -> list[list[float]]:
        """How fast the loss grows with each parameter cell, in the shape of the range."""
        return _rows(self._derivatives(host, loss, params), params.width)

    def step(self, host: LiveHost, params: Range, loss: Cell, learning_rate: float) -> list[list[float]]:
        """The parameters after one step of gradient descent."""
        if not math.isfinite(learning_rate):
            raise DataError("the learning rate is no number", remedy="Give it a number such as 0.01")
        derivatives = self._derivatives(host, loss, params)
        values = host.read_values([params])
        numbers = [parameter_number(cell, values.get(cell)) for cell in params.cells()]
        moved = [number - learning_rate * derivative for number, derivative in zip(numbers, derivatives, strict=True)]
        if not all(map(math.isfinite, moved)):
            raise DataError("the step leads to numbers that no cell can hold", remedy="Use a lower learning rate")
        return _rows(moved, params.width)

    def _derivatives(self, host: LiveHost, loss: Cell, params: Range) -> list[float]:
        key = (host.key, loss, params)
        known = self._kept.pop(key, None)
        derivatives = None if known is None else _derivatives_if_fresh(known, host)
        if known is None or derivatives is None:
            self.compilations += 1
            known = compile_gradient(host.read(), loss, params)
            known.remember(host)
            known.load(host.read_values([params]))
            _, derivatives = known.gradient()
        self._kept[key] = known  # the latest goes to the end
        while len(self._kept) > _MOST_KEPT:
            del self._kept[next(iter(self._kept))]
        if not all(map(math.isfinite, derivatives)):
            raise DataError("the gradient is not a finite number", cell=loss, remedy="Check the cells that it reads")
        return derivatives


def _derivatives_if_fresh(known: CompiledGradient, host: LiveHost) -> list[float] | None:
    """The derivatives; None if the sheet has changed since it was compiled, or shows another loss."""
    if not known.fits(host):
        return None
    known.load(host.read_values([known.params]))
    loss, derivatives = known.gradient()
    shown = host.read_values([Range.of_cell(known.loss)]).get(known.loss)
    if loss is None:
        return derivatives
    if not isinstance(shown, float) or not same_number(loss, shown, least=LEAST_IN_CELL):
        return None
    return derivatives


def _rows(flat: Sequence[float], width: int) -> list[list[float]]:
    return [list(flat[start : start + width]) for start in range(0, len(flat), width)]


def single_loss(area: Range) -> Cell:
    """The one cell that a reference to the loss has to be."""
    if area.size != 1:
        raise DataError("the loss has to be one cell", remedy="Point it to the cell that calculates the loss")
    return area.first


def learning_rate(grid: Grid | None) -> float:
    """The learning rate that a call gives, or the usual one."""
    if grid is None:
        return _LEARNING_RATE
    value = grid[0][0] if grid else None
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise DataError("the learning rate is no number", remedy="Give it a number such as 0.01")
    return float(value)
