"""The sheet's own chart of the fit, with the numbers that the model's parameters give."""

from __future__ import annotations

from sgdsheet.analysis.observation import Observer, charts_of_fit
from sgdsheet.compiler.model import SheetModel
from sgdsheet.plots.chart_drawing import ChartReader, Drawing


def fit_of(model: SheetModel) -> Drawing | None:
    """The first chart that training moves, as it is now; None where the workbook has none."""
    for chart in charts_of_fit(model)[:1]:
        now = [tensor.detach() for _, tensor in model.ranges()]
        return ChartReader(chart, model.workbook).drawing(Observer(model, chart.areas).at(now))
    return None
