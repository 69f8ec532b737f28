"""The report on a trained model, from the solution that a run left."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime

import torch

from sgdsheet.analysis.reporting.answer import Names, answer
from sgdsheet.analysis.reporting.fitted_model import FittedModel
from sgdsheet.analysis.reporting.page import Note, Page
from sgdsheet.analysis.reporting.sections import fit_sections, sensitivity_section
from sgdsheet.analysis.reporting.sensitivity import sensitivity
from sgdsheet.sheet.references import Cell
from sgdsheet.sheet.workbook import Value
from sgdsheet.train.constrained.problem_kind import kind_of
from sgdsheet.train.solution import Solution
from sgdsheet.train.tensors import put


def report_page(solution: Solution, fitted: FittedModel, when: datetime | None = None) -> Page:
    """The report on a solution, as it is printed; `when` is the time that stands on it."""
    problem = solution.model.problem
    names = Names(solution)
    values = solution.model.values_of([area for item in problem.constraints for area in item.ranges])
    first = answer(solution, names)
    first.parts.insert(0, Note(_ended(solution)))
    if not solution.partial:
        first.parts.extend(Note(line) for line in kind_of(solution.model).lines())
    middle = sensitivity_section(sensitivity(solution), names, values)
    sections = [first, *([middle] if middle is not None else []), *fit_sections(fitted, names)]
    title = names.of(problem.loss) or str(problem.loss)
    stamp = f", {when.day} {when:%B %Y, %H:%M}" if when is not None else ""
    return Page(f"Report: {title}", f"{solution.model.workbook.name}, {problem.loss}{stamp}", sections)


def with_start(solution: Solution, before: Mapping[Cell, Value | None]) -> Solution:
    """The solution with other values before it, by cell; as it is unless all parameters are among them."""
    numbers = [[before.get(cell) for cell in area.cells()] for area, _ in solution.model.ranges()]
    if not all(isinstance(value, float) for row in numbers for value in row):
        return solution
    parameters = list(solution.parameters)
    start = [torch.tensor(row).to(item).reshape(item.shape) for row, item in zip(numbers, parameters, strict=True)]
    now = [item.detach().clone() for item in parameters]
    put(parameters, start)
    with torch.no_grad():
        loss = float(solution.model())
    put(parameters, now)
    return replace(solution, start=start, loss_start=loss)


def _ended(solution: Solution) -> str:
    ending = solution.ending or ("at a minimum" if solution.verdict.converged else solution.verdict.reason)
    if not solution.steps:
        return f"The values as they stand in the sheet{': ' + ending if ending else ''}."
    steps = "1 step" if solution.steps == 1 else f"{solution.steps:,} steps"
    return f"{solution.method[0].upper()}{solution.method[1:]}, {steps} in {solution.seconds:.2f} s: {ending}."
