"""Cells beside their saved values: which differ, and which of these are causes.

Where a program has another value for a cell than the workbook, the cell's formula is calculated once more from the
*saved* values that it reads: if that gives the saved value, the cell only follows from another difference, or from
rounding; if not, it is a cause.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TypeGuard

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, fx

from sgdsheet.compiler.evaluation import cell_values, evaluate
from sgdsheet.compiler.frontend.blocks import Block
from sgdsheet.compiler.frontend.planning import Plan
from sgdsheet.compiler.functions.registry import inexact, is_smooth
from sgdsheet.compiler.ir.values import Kind
from sgdsheet.compiler.ir.values import Value as Computed
from sgdsheet.compiler.program import Program, build_program
from sgdsheet.sheet.agreement import (
    ACCUMULATED,
    JUMP,
    NEGLIGIBLE,
    ROUNDING,
    SINGLE,
    SINGLE_LEAST,
    same_number,
    same_value,
    written_by_office,
)
from sgdsheet.sheet.references import Cell, Range
from sgdsheet.sheet.syntax import Binary, Call, Node, Number, transform
from sgdsheet.sheet.workbook import ExcelError, Value, Workbook
from sgdsheet.system.long_work import checkpoint

_ENOUGH = 20
"""Causes after which no more are looked for."""

_DRAWS, _LAST_DIGITS, _SLACK = 3, 1e-13, 64.0
"""How a formula's rounding is measured: it is calculated `_DRAWS` times with inputs, and results of smooth functions in
it, that are changed at random by the share `_LAST_DIGITS`; rounding explains a difference of up to `_SLACK` times what
that changes. So `SIN(PI())` may be 1.22515E-16, as Excel has it, or 1.22465E-16, as we have."""


@dataclass(frozen=True, slots=True)
class Mismatch:
    """A cell whose computed value is not the saved one."""

    cell: Cell
    saved: Value
    computed: Value

    @property
    def distance(self) -> float:
        numbers = [float(item) for item in (self.saved, self.computed) if is_number(item)]
        return abs(numbers[0] - numbers[1]) if len(numbers) == 2 else float("inf")


@dataclass(slots=True)
class Comparison:
    """Cells beside their saved values. `differences` are in the order of calculation, with the block of each."""

    workbook: Workbook
    cells: int = 0
    compared: int = 0
    zeros: int = 0
    """Cells that hold 0 or an empty text in a workbook that asks to be calculated: programs write that where they have
    not calculated."""
    differences: list[tuple[Block, list[Mismatch]]] = field(default_factory=list)
    computed: dict[Cell, Value] = field(default_factory=dict)
    """The calculated values of the cells for which the workbook has none."""
    by_office: list[Mismatch] = field(default_factory=list)
    """Cells that hold what LibreOffice saves for the calculated value, such as 1 for TRUE; they are not `compared`."""
    largest_difference: float = 0.0
    largest_number: float = 0.0
    single: bool = False
    """Whether the program calculates in float32."""
    watch: Callable[[Block], object] | None = None
    """Is told of each block that was compared."""
    astray: list[Mismatch] = field(default_factory=list)
    """Cells for which the program has another number than their formulas, one operation at a time: `saved` is what
    these give. There should be none; none of them is ever due to the workbook."""

    def run(self, program: Program, parameters: Mapping[str, Tensor] | None = None) -> None:
        """Compare all cells of a program, at these parameters, which the workbook has, or else at its own."""
        found = list(outcomes(program, program.parameters if parameters is None else parameters))
        unsure = program.builder.unsure or any(not bool(data.isfinite().all()) for _, _, data in found)
        if program.parameters and unsure:
            # Which error a cell holds, or if it is 1 or TRUE, is known where each operation runs at once.
            cells = program.parameter_cells() if parameters is None else {}
            plan = Plan([block for block, _ in program.results], set())
            workbook = self.workbook.with_values(cells)
            exact = build_program(workbook, [], plan, dtype=torch.float64, strict=False)
            self._compare_with_exact(program, found, exact)
            return
        for block, value, data in found:
            self.add(program, block, value, data)

    def _compare_with_exact(self, program: Program, found: Sequence[Outcome], exact: Program) -> None:
        """Compare the cells of an exact program, and the numbers of the program that is trained with them."""
        formulas: dict[Cell, Value] = {}
        for block, value, data in outcomes(exact, {}):
            self.add(exact, block, value, data)
            formulas.update(cell_values(exact, block, value, data))
        for block, value, data in found:
            if not isinstance(value.data, fx.Node):
                continue
            for cell, number in cell_values(program, block, value, data).items():
                if cell in formulas and isinstance(number, (bool, float)) and self._is_astray(number, formulas[cell]):
                    self.astray.append(Mismatch(cell, formulas[cell], number))

    def _is_astray(self, number: float, formula: Value) -> bool:
        """Whether a program's number is surely not what the formulas give; TRUE is 1 to it."""
        if not isinstance(formula, (bool, float)):
            return isinstance(formula, ExcelError)
        near = same_number(float(number), float(formula), ACCUMULATED)
        return not near and not same_number(float(number), float(formula), NEGLIGIBLE, self.largest_number)

    def add(self, program: Program, block: Block, value: Computed, data: Tensor) -> None:
        """Compare the cells of a block."""
        checkpoint()
        if self.watch is not None:
            self.watch(block)
        area = block.range
        saved = list(map(self.workbook.sheets[area.sheet].values.get, area.positions()))
        self.cells += len(saved)
        if value.kinds is Kind.NUMBER and set(map(type, saved)) == {float}:
            ours = data.detach().cpu().double().expand(value.sizes).reshape(-1).numpy()
            ours = np.broadcast_to(ours, len(saved)) if len(ours) == 1 else ours
            if np.isfinite(ours).all():
                self._add_numbers(block, np.array(saved), ours)
                return
        found: list[Mismatch] = []
        for (cell, computed), held in zip(cell_values(program, block, value, data).items(), saved, strict=True):
            zero = self.workbook.stale and not isinstance(held, bool) and held in (0.0, "")
            self.zeros += zero
            if held is None or (zero and not same_value(held, computed)):
                self.computed[cell] = computed
                continue
            mismatch = Mismatch(cell, held, computed)
            if self.workbook.from_office and written_by_office(held, computed):
                self.by_office.append(mismatch)
                continue
            self.compared += not zero
            if is_number(held) and is_number(computed):
                self.largest_difference = max(self.largest_difference, mismatch.distance)
                self.largest_number = max(self.largest_number, abs(float(computed)))
            if not same_value(held, computed):
                found.append(mismatch)
        if found:
            self.differences.append((block, found))

    def _add_numbers(self, block: Block, saved: NDArray[np.float64], ours: NDArray[np.float64]) -> None:
        distance, size = np.abs(saved - ours), np.maximum(np.abs(saved), np.abs(ours))
        largest = float(size.max())
        share, least = (SINGLE, SINGLE_LEAST * largest) if self.single else (ROUNDING, 0.0)
        (places,) = np.nonzero(distance > share * np.maximum(size, least))  # the rule of `same_number`
        if len(places):
            wrong = set(places.tolist())
            cells = (cell for place, cell in enumerate(block.range.cells()) if place in wrong)
            triples = zip(cells, saved[places].tolist(), ours[places].tolist(), strict=True)
            found = [Mismatch(*triple) for triple in triples]
            if self.workbook.stale:
                self.computed.update((item.cell, item.computed) for item in found if item.saved == 0.0)
                distance = np.where(saved == 0.0, 0.0, distance)
                found = [item for item in found if item.saved != 0.0]
            if found:
                self.differences.append((block, found))
        zeros = int((saved == 0.0).sum()) if self.workbook.stale else 0
        self.zeros += zeros
        self.compared += len(saved) - zeros
        self.largest_difference = max(self.largest_difference, float(distance.max()))
        self.largest_number = max(self.largest_number, largest)

    def causes(self, most: int = _ENOUGH) -> list[Mismatch]:
        """The first cells whose formula, from the saved values that it reads, does not give the saved value."""
        found: list[Mismatch] = []
        known = self.workbook
        if self.differences:
            # What reads a TRUE that is saved as 1 may count it, or not.
            meant = {item.cell: item.computed for item in self.by_office}
            known = known.with_values({**meant, **self.computed}) if meant or self.computed else known
        for block, mismatches in self.differences:
            found += _causes(known, block, mismatches)
            if len(found) >= most:
                break
        return found

    @property
    def placeholders(self) -> int:
        """How many of `computed` hold a placeholder."""
        values = self.workbook.sheets
        return sum(cell[1:] in values[cell.sheet].values for cell in self.computed)

    @property
    def never_calculated(self) -> bool:
        """Whether no cell has a value that somebody has calculated."""
        return bool(self.cells) and not self.compared and bool(self.computed)

    @property
    def mismatches(self) -> list[Mismatch]:
        """All cells with another value, consequences included; none if it is only rounding."""
        consequences = bool(self.differences and self.causes(1))
        return [*self.astray, *(item for _, items in self.differences if consequences for item in items)]


Outcome = tuple[Block, Computed, Tensor]
"""A block, its value as a program has it, and the data that the program gives."""


def outcomes(program: Program, parameters: Mapping[str, Tensor]) -> Iterator[Outcome]:
    """Run a program once with these parameters, without making a module of it: each block with its data."""
    wanted = {value.data for _, value in program.results if isinstance(value.data, fx.Node)}
    attributes = {**program.builder.buffers, **parameters}
    environment: dict[fx.Node, Tensor] = {}
    waiting = {node: len(node.users) for node in program.builder.graph.nodes}
    with torch.no_grad():
        for node in program.builder.graph.nodes if wanted else ():
            if node.op == "get_attr":
                environment[node] = attributes[str(node.target)]
            elif node.op in ("call_function", "call_method"):
                args = fx.node.map_arg(node.args, environment.__getitem__)
                kwargs = fx.node.map_arg(node.kwargs, environment.__getitem__)
                if node.op == "call_function":
                    assert callable(node.target)
                    environment[node] = node.target(*args, **kwargs)
                else:
                    environment[node] = getattr(args[0], str(node.target))(*args[1:], **kwargs)
            for read in node.all_input_nodes:
                waiting[read] -= 1
                if waiting[read] == 0 and read not in wanted:
                    del environment[read]
    for block, value in program.results:
        yield block, value, environment[value.data] if isinstance(value.data, fx.Node) else value.data


def _causes(workbook: Workbook, block: Block, mismatches: list[Mismatch]) -> list[Mismatch]:
    """The cells of a block that do not follow from the saved values that their formula reads."""
    area = Range.of_cell(mismatches[0].cell)
    for item in mismatches[1:]:
        area = area.bounding_box(Range.of_cell(item.cell))
    part = block.trimmed(area)
    own = _locally(workbook, part)
    relative = max(ROUNDING, inexact(block.tree))
    doubtful = [
        item for item in mismatches if item.cell not in own or not same_value(item.saved, own[item.cell], relative)
    ]
    if not doubtful or not any(is_number(item.saved) and is_number(own.get(item.cell)) for item in doubtful):
        return doubtful
    spread, largest = _rounding(workbook, part, own)
    return [item for item in doubtful if not _rounded(item, own.get(item.cell), spread, largest)]


def _rounded(item: Mismatch, own: Value | None, spread: Mapping[Cell, float], largest: float) -> bool:
    if not (is_number(item.saved) and is_number(own)):
        return False
    saved, local = float(item.saved), float(own)
    return abs(saved - local) <= _SLACK * spread[item.cell] and same_number(saved, local, JUMP, largest)


def _locally(workbook: Workbook, block: Block) -> dict[Cell, Value]:
    """The cells of a block, calculated from the values that the workbook has for what they read."""
    alone = replace(block, recurrence=None)
    return evaluate(build_program(workbook, [], Plan([alone], set()), dtype=torch.float64, strict=False)).values


def _rounding(workbook: Workbook, block: Block, own: Mapping[Cell, Value]) -> tuple[dict[Cell, float], float]:
    """How much the last digits of what a block reads and goes through change its cells, and the largest number read.

    The latter is 1 where it reads none.
    """
    read = {
        Cell(area.sheet, *place): value
        for area in block.reads()
        if area.sheet in workbook.sheets
        for place in area.positions()
        if is_number(value := workbook.sheets[area.sheet].values.get(place))
    }
    numbers = {cell: float(value) for cell, value in read.items()}
    generator = np.random.default_rng(0)
    spread = dict.fromkeys(own, 0.0)
    for _ in range(_DRAWS):
        changes = generator.uniform(-_LAST_DIGITS, _LAST_DIGITS, len(numbers)).tolist()
        # A whole number that somebody has typed is exact; one that a formula gave may have been 2.9999999999999.
        moved: dict[Cell, Value] = {
            cell: number * (1.0 + change)
            for (cell, number), change in zip(numbers.items(), changes, strict=True)
            if not number.is_integer() or cell[1:] in workbook.sheets[cell.sheet].formulas
        }
        unsteady = replace(block, tree=_unsteady(block.tree, generator))
        for cell, value in _locally(workbook.with_values(moved), unsteady).items():
            if is_number(value) and is_number(before := own.get(cell)):
                spread[cell] = max(spread[cell], abs(float(value) - float(before)))
    return spread, max(map(abs, numbers.values()), default=1.0)


def _unsteady(tree: Node, generator: np.random.Generator) -> Node:
    """The formula with the last digits of what its smooth functions give changed at random."""

    def change(node: Node) -> Node | None:
        if not (isinstance(node, Call) and is_smooth(node)):
            return None
        inner = replace(node, arguments=tuple(transform(argument, change) for argument in node.arguments))
        return Binary("*", inner, Number(1.0 + generator.uniform(-_LAST_DIGITS, _LAST_DIGITS)))

    return transform(tree, change)


def is_number(value: object) -> TypeGuard[float]:
    return isinstance(value, (int, float)) and not isinstance(value, bool)
