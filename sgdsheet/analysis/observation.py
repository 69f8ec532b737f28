"""What cells of the sheet come to at given parameters: to watch a training from outside."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import torch
from torch import Tensor

from sgdsheet.compiler.evaluation import evaluate
from sgdsheet.compiler.model import SheetModel
from sgdsheet.compiler.program import build_program
from sgdsheet.sheet.charts import Chart
from sgdsheet.sheet.references import Cell, Range
from sgdsheet.sheet.workbook import ExcelError, Value, Workbook


class Observer:
    """The cells of some ranges, in float64 as a spreadsheet calculates, whatever the model is trained in."""

    def __init__(self, model: SheetModel, areas: Sequence[Range]) -> None:
        self._workbook, self._names = model.workbook, model.parameter_names
        self._parameters = {
            name: value.detach().to("cpu", torch.float64, copy=True) for name, value in model.shared_parameters.items()
        }
        wanted = model.workbook.trimmed(areas)
        program = build_program(
            model.workbook,
            model.problem.parameters,
            model.planner.plan(wanted),
            dtype=torch.float64,
            strict=False,
            shared=self._parameters,
        )
        seen = [item for item in program.results if any(item[0].range.intersection(area) for area in wanted)]
        self._program = replace(program, results=seen)
        self._unknown = {cell for block, _ in program.failures for cell in block.range.cells()}
        self._areas = model.problem.parameters

    def at(self, parameters: Sequence[Tensor]) -> Observation:
        """The cells at these parameters, one tensor per range."""
        own: dict[Cell, Value] = {}
        with torch.no_grad():
            for area, name, value in zip(self._areas, self._names, parameters, strict=True):
                self._parameters[name].copy_(value)
                own.update(zip(area.cells(), self._parameters[name].flatten().tolist(), strict=True))
        return Observation(self._workbook, {**evaluate(self._program).values, **own}, self._unknown)


class Observation:
    """Calculated cells; the others are as they were saved. What cannot be calculated, or is an error, is None."""

    def __init__(self, workbook: Workbook, values: dict[Cell, Value], unknown: set[Cell]) -> None:
        self._workbook, self._values, self._unknown = workbook, values, unknown

    def __call__(self, cell: Cell) -> Value | None:
        if cell in self._unknown:
            return None
        value = self._values.get(cell)
        if value is None:
            value = self._workbook.sheets[cell.sheet].values.get(cell[1:])
        return None if isinstance(value, ExcelError) else value


def charts_of_fit(model: SheetModel) -> list[Chart]:
    """The charts that training moves, those of the model's own sheet first."""
    charts = sorted(model.workbook.charts, key=lambda chart: chart.sheet != model.problem.sheet)
    return [chart for chart in charts if _moves(model, model.workbook.trimmed(chart.areas))]


def _moves(model: SheetModel, areas: Sequence[Range]) -> bool:
    if any(area.intersection(own) for area in areas for own in model.problem.parameters):
        return True
    return bool(model.planner.plan(areas).live)
