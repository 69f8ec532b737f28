"""Which painter draws a chart."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sgdsheet.plots.chart_drawing import ChartPainter, Drawing
from sgdsheet.plots.pie_drawing import PiePainter


def painter_of(axes: Any, frames: Sequence[Drawing]) -> ChartPainter | PiePainter:
    """A chart drawn into axes, ready to be moved; `frames` are all drawings that will be shown."""
    return (PiePainter if frames[0].chart.is_round else ChartPainter)(axes, frames)
