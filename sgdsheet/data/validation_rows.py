"""Which samples are for validation: the rows that the sheet marks, or a random share."""

from __future__ import annotations

import torch
from torch import Tensor

from sgdsheet.compiler.model import SheetModel
from sgdsheet.data.layouts.layout import with_constants
from sgdsheet.errors import DataError, ProblemError
from sgdsheet.problem.settings import Settings
from sgdsheet.sheet.references import Range


def kept_back(count: int, settings: Settings, generator: torch.Generator) -> Tensor:
    """Which of so many samples are for validation: a random share, if the settings ask for one."""
    marked = torch.zeros(count, dtype=torch.bool)
    if settings.validation:
        marked[torch.randperm(count, generator=generator)[: max(1, round(count * settings.validation))]] = True
    return marked


def marked_rows(model: SheetModel, valid: Range, data: Range) -> Tensor:
    """Which rows of `data` the column `valid` marks, with TRUE or FALSE, 1 or 0. ProblemError or DataError, with the
    cell, where it does not."""
    if valid.width != 1 or valid.top > data.top or valid.bottom < data.bottom:
        raise ProblemError(
            "sgd_valid must be one column beside all rows of sgd_data",
            cell=valid,
            remedy=f"The samples are {data}",
        )
    plan = model.planner.plan([valid])
    if plan.live:
        raise ProblemError(
            "which rows are for validation depends on the parameters", cell=valid, remedy="Mark fixed rows"
        )
    values = with_constants(model, plan).sheets[valid.sheet].values
    marks = []
    for row in range(data.top, data.bottom + 1):
        value = values.get((row, valid.left))
        if value is not None and not isinstance(value, (bool, float)):
            cell = Range(valid.sheet, row, valid.left, row, valid.left)
            raise DataError(f"“{value}” does not mark a row", cell=cell, remedy="Write TRUE or FALSE, 1 or 0")
        marks.append(bool(value))
    return torch.tensor(marks)
