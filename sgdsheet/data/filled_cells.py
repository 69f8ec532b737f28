"""Which of the cells that a source fills are used, and cells that it must not fill.

A column that no formula reads may hold anything: names, gaps. It is only shown.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import combinations

from sgdsheet.compiler.frontend.planning import Planner
from sgdsheet.errors import ProblemError
from sgdsheet.problem.definition import Problem
from sgdsheet.sheet.references import Cell, Range
from sgdsheet.sheet.workbook import Workbook


def reader_of(
    planner: Planner, problem: Problem, filled: Sequence[Range], wanted: Sequence[Range]
) -> Callable[[Range], bool]:
    """A function that says whether cells are read on the way to the loss, the metric or what else is wanted."""
    cells = [problem.loss] if problem.metric is None else [problem.loss, problem.metric]
    targets = [*map(Range.of_cell, cells), *problem.outputs, *wanted]
    plan = planner.among([*problem.parameters, *filled]).plan(targets)
    return lambda area: plan.reads(area) or any(map(area.intersection, targets))


def refuse_overlaps(workbook: Workbook, problem: Problem, filled: Sequence[tuple[str, Range]]) -> None:
    """Data go into cells that hold neither parameters nor formulas, and one field into each. `filled` have names."""
    for name, area in filled:
        parameters = next(filter(None, map(area.intersection, problem.parameters)), None)
        if parameters is not None:
            raise ProblemError(
                f"{name} fills cells that are parameters", cell=parameters, remedy="Let them be different cells"
            )
        formula = _formula_in(workbook, area)
        if formula is not None:
            raise ProblemError(
                f"{name} fills a cell that holds a formula",
                cell=formula,
                remedy="Point it to cells without formulas, or delete the formula",
            )
    for (name, area), (other_name, other) in combinations(filled, 2):
        common = area.intersection(other)
        if common is not None:
            raise ProblemError(
                f"{name} and {other_name} fill the same cells", cell=common, remedy="Give each field cells of its own"
            )


def _formula_in(workbook: Workbook, area: Range) -> Cell | None:
    """The first cell of an area that a formula fills."""
    for (row, column), formula in workbook.sheets[area.sheet].formulas.items():
        common = area.intersection(Range(area.sheet, *(formula.array or (row, column, row, column))))
        if common is not None:
            return common.first
    return None
