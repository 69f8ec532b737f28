"""Pies and doughnuts drawn with matplotlib, and drawn again when their cells have other values."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import accumulate
from typing import Any

from sgdsheet.plots.chart_drawing import Curve, Drawing
from sgdsheet.plots.look import COLOURS, TITLE_PAD, legend_above
from sgdsheet.sheet.charts import ChartKind
from sgdsheet.system.extras import optional

_MOST = 60
"""Slices that are drawn apart; what comes after them is one more."""
_HOLE = 0.5
"""The radius of a doughnut's hole, where its own is 1."""
_IN_LEGEND = 8


class PiePainter:
    """Draws a pie, or a doughnut with a ring per series, and moves its slices when their numbers change.

    Slices go clockwise from the top. As in spreadsheet programs, a number below 0 counts as its absolute value.
    """

    def __init__(self, axes: Any, frames: Sequence[Drawing]) -> None:
        self.axes, first = axes, frames[0]
        wedge = optional("matplotlib.patches", "plot").Wedge
        axes.set_title(first.title, parse_math=False, pad=TITLE_PAD)
        axes.set_axis_off()
        axes.set_aspect("equal")
        axes.set_xlim(-1.08, 1.08)
        axes.set_ylim(-1.08, 1.08)
        is_ring = first.chart.series[0].kind is ChartKind.DOUGHNUT
        hole = _HOLE if is_ring else 0.0
        width = (1.0 - hole) / len(first.curves)
        self._rings: list[list[Any]] = []
        for ring, curve in enumerate(first.curves):
            outer = hole + (ring + 1) * width
            slices = []
            for place in range(len(shares(curve))):
                colour = _colour(curve, place)
                label = _label(curve, place) if ring == 0 and place < _IN_LEGEND else None
                drawn = wedge((0, 0), outer, 90, 90, width=width, facecolor=colour, edgecolor="white", label=label)
                slices.append(axes.add_patch(drawn))
            self._rings.append(slices)
        if self._rings and self._rings[0]:
            legend_above(axes)
        self.show(first)

    def show(self, drawing: Drawing) -> None:
        """Move to these numbers."""
        for slices, curve in zip(self._rings, drawing.curves, strict=True):
            parts = shares(curve)
            ends = list(accumulate(parts, initial=0.0))
            for patch, start, end in zip(slices, ends, ends[1:], strict=False):
                patch.set_theta1(90 - 360 * end)
                patch.set_theta2(90 - 360 * start)
                patch.set_visible(end > start)

    @property
    def moving(self) -> list[Any]:
        """What `show` changes."""
        return [patch for slices in self._rings for patch in slices]


def shares(curve: Curve) -> list[float]:
    """The share of each slice in the circle, 0 where a number is missing; all are 0 if there is nothing to show."""
    sizes = [abs(value) if math.isfinite(value) else 0.0 for value in curve.y]
    if len(sizes) > _MOST:
        sizes = [*sizes[:_MOST], sum(sizes[_MOST:])]
    total = sum(sizes)
    return [size / total if total else 0.0 for size in sizes]


def _colour(curve: Curve, place: int) -> str:
    own = curve.series.slice_colours
    chosen = own[place] if place < min(len(own), _MOST) else None
    return chosen or curve.series.colour or COLOURS[place % len(COLOURS)]


def _label(curve: Curve, place: int) -> str:
    """The name of a slice in the legend, which leaves out what begins with an underscore."""
    name = curve.labels[place].replace("\n", " ") if place < len(curve.labels) else ""
    return (f" {name}" if name.startswith("_") else name) or str(place + 1)
