"""Why the loss over a source is not a number: the first sample that makes it so, looked at in the sheet's own cells."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import replace

import torch

from sgdsheet.compiler.model import SheetModel
from sgdsheet.data.arrays import SampleData
from sgdsheet.data.binding import Binding
from sgdsheet.errors import DataError, SgdSheetError, quoted
from sgdsheet.sheet.references import Cell

Loss = Callable[[int, int], float]
"""The loss over the samples from one number up to, but not including, another."""


def explain(model: SheetModel, bindings: Sequence[Binding], data: SampleData, loss: Loss, first: int = 0) -> DataError:
    """The error for a loss that is not finite over all samples; `first` is the number of the first of them."""
    number = _first_bad(loss, data.count)
    if number is None:
        return DataError(
            f"the loss over {quoted(data.name)} is not a number", cell=model.problem.loss, remedy="Check its formula"
        )
    found = _in_the_sheet(model, bindings, data, number)
    where = f"for sample {first + number + 1:,} of {quoted(data.name)}, "
    if found is None:
        return DataError(
            where + "the loss is not a number", cell=model.problem.loss, remedy="Check the formulas that it reads"
        )
    return DataError(where + found.cause, cell=found.cell, remedy=found.remedy)


def _first_bad(loss: Loss, count: int) -> int | None:
    """The number of the first sample without a finite loss, found by halving; None if each sample has one."""
    start, stop = 0, count
    while stop - start > 1:
        middle = (start + stop) // 2
        if math.isfinite(loss(start, middle)):
            start = middle
        else:
            stop = middle
    return None if math.isfinite(loss(start, stop)) else start


def _in_the_sheet(
    model: SheetModel, bindings: Sequence[Binding], data: SampleData, number: int
) -> SgdSheetError | None:
    """What is wrong with the sheet when it shows this sample (in every row, if it has rows); None if nothing is."""
    shown: dict[Cell, float] = {}
    for binding, column in zip(bindings, data.slice(number, number + 1), strict=True):
        numbers: list[float] = column.reshape(-1).tolist()
        repeated = numbers * (binding.area.size // len(numbers))
        shown.update(zip(binding.area.cells(), repeated, strict=True))
    try:
        alone = SheetModel(model.workbook.with_values(shown), replace(model.problem, origin=None), dtype=model.dtype)
        present = {name: value.detach().cpu() for name, value in model.shared_parameters.items()}
        with torch.no_grad():
            for name, value in alone.shared_parameters.items():
                value.copy_(present[name])
            return None if math.isfinite(float(alone())) else alone.explain_bad_loss()
    except SgdSheetError as error:
        return error
