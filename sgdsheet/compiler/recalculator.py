"""Bringing a workbook's values up to date after some of its cells have changed.

What depends on the changed cells is calculated, and what has no value; all else keeps its value. Where the same numbers
are written again and again, as training does, the calculation is recorded once and run again with other numbers, see
`repeated_program`.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, fx

from sgdsheet.compiler.calculated_references import block_table
from sgdsheet.compiler.evaluation import one_thread, values_of_block
from sgdsheet.compiler.frontend.block_table import BlockTable
from sgdsheet.compiler.frontend.blocks import areas_of
from sgdsheet.compiler.frontend.planning import Plan, Planner
from sgdsheet.compiler.lowering import BlockLowering
from sgdsheet.compiler.program import Program, build_program
from sgdsheet.compiler.repeated_program import RepeatedProgram, repeated
from sgdsheet.errors import FormulaError, SgdSheetError
from sgdsheet.sheet.agreement import same_value
from sgdsheet.sheet.block_values import BlockValues
from sgdsheet.sheet.formula import formula_text, relative_key
from sgdsheet.sheet.references import Cell, Range, areas_of_cells, rectangles
from sgdsheet.sheet.workbook import Workbook

_MOST_PLANS = 64
_MOST_PROGRAMS = 4
_MOST_LOOKED_AT = 50
"""Formulas of different forms that are looked at, of those that are typed at once."""

_SEEN = 16
"""How many of the last sets of cells are remembered, to know one that comes again."""


@dataclass(slots=True)
class Recalculated:
    """What was calculated: the values of areas, and what could not be calculated, with the reason.

    `affected` are cells that depend on what has changed, and `kept` cells that do not, but that can be calculated by
    a spreadsheet only: their values stay as they are.
    """

    results: list[BlockValues] = field(default_factory=list)
    affected: list[tuple[Range, SgdSheetError]] = field(default_factory=list)
    kept: list[tuple[Range, str]] = field(default_factory=list)

    @property
    def areas(self) -> list[Range]:
        """The areas whose cells may show something else."""
        return [*(result.area for result in self.results), *(area for area, _ in self.affected)]


class Recalculator:
    """Recalculates one workbook, whose values are brought up to date between calls by whoever asks.

    Before each call the workbook's sheets hold all values that are known, and none for cells of which they are out of
    date. Not safe to be called from several threads at once.
    """

    def __init__(self, workbook: Workbook) -> None:
        self.workbook = workbook
        self._table: BlockTable | None = None
        self._decided: list[Range] | None = None
        self._plans: dict[tuple[tuple[Range, ...], tuple[Range, ...]], Plan] = {}
        self._programs: list[RepeatedProgram] = []
        self._seen: list[frozenset[Cell]] = []
        self._tried: RepeatedProgram | None = None
        """The program that has just been run, and came to something that is not finite: it knows the new numbers."""

    def missing(self, *, everything: bool = False) -> Recalculated:
        """Calculate what has no value; with `everything`, all formulas.

        What cannot be calculated keeps the value that it has, if any.
        """
        planner = Planner(self.workbook, (), self._blocks())
        plan = planner.plan_everything() if everything else planner.plan_affected(self._formula_areas())
        found = self._calculated(plan, on_saved=True)
        held = [(area, error) for area, error in found.affected if self.workbook.has_values(area)]
        found.kept += [(area, error.cause) for area, error in held]
        found.affected = [pair for pair in found.affected if pair not in held]
        self._plans = {}
        return found

    def uncalculable(self) -> list[tuple[Range, str]]:
        """The cells that cannot be calculated, each with the reason: all of the workbook is calculated for this."""
        plan = Planner(self.workbook, (), self._blocks()).plan_everything()
        program = build_program(self.workbook, (), plan, dtype=torch.float64, strict=False, on_saved=True)
        return [*_failed(program), *_frozen(program)]

    def formulas_changed(self, cells: Collection[Cell], clear: Callable[[Sequence[Range]], None]) -> Recalculated:
        """Recalculate after cells got formulas, or lost them; those with a new formula have no value any more.

        See `changed` for `clear`.
        """
        self.forget()
        return self.changed(cells, clear, known=False)

    def changed(
        self, cells: Collection[Cell], clear: Callable[[Sequence[Range]], None], *, known: bool = True
    ) -> Recalculated:
        """Recalculate after cells got other values.

        Where the place of calculated references depends on these cells, `clear` is called with areas of formulas: it
        has to take away their values, which are out of date. With `known`, formulas are as they were before.
        """
        areas = areas_of_cells(cells)
        plan = self._plan(areas, () if known else areas)
        if self._decides(plan, areas):
            outdated = [block.range for block in plan.live] + [block.range for block, _ in plan.circles]
            clear(outdated)
            self.forget()
            plan = self._plan(areas, tuple(dict.fromkeys([*outdated, *areas])))
        found = self._calculated(plan)
        changed = [*areas, *found.areas]
        self._programs = [item for item in self._programs if item is self._tried or not item.reads(changed)]
        self._tried = None
        if found.affected:
            self._plans = {}  # what they do not know yet: some cells have no values any more
        return found

    def refuse_arrays(self, cells: Iterable[Cell], found: Recalculated) -> None:
        """Raise FormulaError for a formula that Excel would let fill several cells, or calculate with whole ranges.

        Without braces, such a formula of a file takes from each range the cell in its own row or column: what is
        typed as `=SUM(A1:A3*2)` would be another number than Excel shows. `found` is what the formulas came to.
        """
        program = build_program(self.workbook, (), Plan([], set()), dtype=torch.float64)
        forms: set[str] = set()
        for cell in cells:
            formula, own = self.workbook.sheets[cell.sheet].formulas[cell[1:]], Range.of_cell(cell)
            plain = next((item for item in found.results if item.area.contains(own)), None)
            key = relative_key(formula_text(formula, cell.row, cell.column), cell.row, cell.column)
            if plain is None or key in forms or len(forms) >= _MOST_LOOKED_AT:
                continue
            forms.add(key)
            block = self._blocks().overlapping(own)[0].trimmed(own)
            try:
                value = BlockLowering(block, program.regions).lower(block.tree, array=True)
            except SgdSheetError:
                continue
            if value.is_array:
                raise FormulaError(
                    "the formula gives several values, and has one cell", cell=cell, remedy="Let it give one value"
                )
            ((_, here),) = plain.values_in(own)
            ((_, whole),) = values_of_block(program, block, value, value.tensor).values_in(own)
            if type(here) is not type(whole) or not same_value(here, whole):
                raise FormulaError(
                    "the formula calculates with whole ranges, which it does in Excel only as an array formula",
                    cell=cell,
                    remedy="Use SUMPRODUCT, or calculate the range in cells of its own",
                )

    def repeated(self, cells: tuple[Cell, ...], numbers: NDArray[np.float64]) -> list[BlockValues] | None:
        """The results after numbers [cells] were written to cells, if these were written before, alone or with others.

        None where that has to be calculated in another way.
        """
        for place, program in enumerate(self._programs):
            if program.takes(cells):
                with one_thread():
                    found = program.run(cells, numbers)
                if found is None:
                    self._tried = program
                    return None
                self._programs.insert(0, self._programs.pop(place))
                self._programs = [item for item in self._programs if item is program or item.is_independent_of(program)]
                return found
        return None

    def worth_recording(self, cells: Collection[Cell], *, surely: bool = False) -> frozenset[Cell]:
        """The cells to which numbers seem to be written again and again: these and those of an earlier time.

        There are none if nothing like that was written before, unless it is known that it `surely` goes on. The cells
        are remembered.
        """
        now = frozenset(cells)
        alike = next((seen for seen in self._seen if 2 * len(seen & now) >= len(now)), frozenset[Cell]())
        both = now | alike if alike else now
        self._seen = [both, *(seen for seen in self._seen if seen is not alike and seen != both)][:_SEEN]
        return both if alike or surely else frozenset()

    def record(self, cells: Collection[Cell]) -> None:
        """Record what depends on cells, all of which hold numbers, to be run again."""
        areas = areas_of_cells(cells)
        plan = self._plan(areas, ())
        found = self._calculated(plan)
        program = repeated(self.workbook, areas, plan, found.results, {area for area, _ in found.affected})
        if program is not None:
            kept = [item for item in self._programs if not item.places.keys() <= program.places.keys()]
            self._programs = [program, *kept][:_MOST_PROGRAMS]

    def forget(self) -> None:
        """Forget all that depends on the formulas, names and tables of the workbook."""
        self._table, self._decided, self._plans, self._programs, self._seen = None, None, {}, [], []
        self._tried = None

    # --- helpers ------------------------------------------------------------------------------------------

    def _blocks(self) -> BlockTable:
        if self._table is None:
            self._table = block_table(self.workbook)
        return self._table

    def _plan(self, areas: tuple[Range, ...], also: tuple[Range, ...]) -> Plan:
        key = areas, also
        if key not in self._plans:
            if len(self._plans) >= _MOST_PLANS:
                self._plans.pop(next(iter(self._plans)))
            self._plans[key] = Planner(self.workbook, areas, self._blocks()).plan_affected(also)
        return self._plans[key]

    def _decides(self, plan: Plan, areas: Iterable[Range]) -> bool:
        """Whether cells that have changed, or will, decide where a calculated reference lies."""
        if self._decided is None:
            table = self._blocks()
            blocks = [block for name in self.workbook.sheets for block in table.of_sheet(name)]
            self._decided = [area for block in blocks for part in block.deciders for area in areas_of(part, block)]
        changing = [*areas, *(block.range for block in plan.live)] if self._decided else []
        return any(area.intersection(other) for area in changing for other in self._decided)

    def _calculated(self, plan: Plan, *, on_saved: bool = False) -> Recalculated:
        with one_thread():
            program = build_program(self.workbook, (), plan, dtype=torch.float64, strict=False, on_saved=on_saved)
        results = [
            values_of_block(program, block, value, value.data)
            for block, value in program.results
            if isinstance(value.data, Tensor)
        ]
        assert not any(isinstance(value.data, fx.Node) for _, value in program.results)
        failures = [(block.range, error) for block, error in program.failures]
        return Recalculated(results, failures, _frozen(program))

    def _formula_areas(self) -> list[Range]:
        return [
            Range(sheet.name, top, left, top + rows - 1, left + columns - 1)
            for sheet in self.workbook.sheets.values()
            if sheet.formulas
            for top, left, rows, columns in rectangles(sheet.formulas)
        ]


def _failed(program: Program) -> list[tuple[Range, str]]:
    return [(block.range, error.cause) for block, error in program.failures]


def _frozen(program: Program) -> list[tuple[Range, str]]:
    return [(block.range, f"{absent.name} keeps its saved value: {absent.reason}") for block, absent in program.frozen]
