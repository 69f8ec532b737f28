"""In which layout a sheet shows its samples, and what does not go with data from a file."""

from __future__ import annotations

from collections.abc import Sequence

from sgdsheet.compiler.model import SheetModel
from sgdsheet.data.binding import Binding
from sgdsheet.data.layouts.example import OneExample
from sgdsheet.data.layouts.layout import Batch, SourceLayout, Whole
from sgdsheet.data.layouts.source_rows import SourceRows
from sgdsheet.errors import DataError, ProblemError
from sgdsheet.problem.definition import Problem
from sgdsheet.sheet.references import Range
from sgdsheet.system import processes


def layout_of(
    model: SheetModel, bindings: Sequence[Binding], source_name: str, training: Batch, judged: Whole
) -> SourceLayout:
    """The layout in which the sheet shows the samples of a source.

    `training` gives all samples of training, of which the means and the like are taken that single samples read;
    `judged` are the samples that loss and metric are over, often the same.
    """
    problem = model.problem
    _refuse_unfit(problem)
    layout: SourceLayout
    if problem.data is None:
        layout = OneExample(model, bindings)
    else:
        layout = SourceRows(model, problem.data, bindings, source_name, training, judged)
    plan = layout.planner.plan([Range.of_cell(problem.loss)])
    shown = [binding.area for binding in bindings]
    if not any(map(plan.reads, shown)):
        raise ProblemError(
            "the loss reads none of the cells that the file fills",
            cell=problem.loss,
            remedy=f"Let it depend on {', '.join(area.a1 for area in shown[:3])}",
        )
    return layout


def _refuse_unfit(problem: Problem) -> None:
    if problem.valid is not None:
        raise ProblemError(
            "sgd_valid marks rows of the sheet, and the data come from a file",
            cell=problem.valid,
            remedy="Delete the name, and use the setting validation or a file with a valid part",
        )
    if problem.data is not None and problem.data.height < 2:
        raise DataError(
            "the preview of the data is one row high", cell=problem.data, remedy="Show two samples at least"
        )
    if problem.constraints:
        raise ProblemError(
            "constraints do not go with data from a file", cell=problem.sheet, remedy="Delete them in Solver"
        )


def refuse_processes(problem: Problem, why: str) -> None:
    if processes.count() > 1:
        raise ProblemError(
            f"several processes cannot share this loss: {why}", cell=problem.loss, remedy="Start one without torchrun"
        )
