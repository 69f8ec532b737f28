"""A sheet's charts drawn with matplotlib, and drawn again when its cells have other values."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from sgdsheet.plots.look import COLOURS, TITLE_PAD, legend_above
from sgdsheet.sheet.charts import Chart, ChartKind, Series, Stacking, Words
from sgdsheet.sheet.references import Cell, Range
from sgdsheet.sheet.workbook import Value, Workbook

Values = Callable[[Cell], Value | None]
"""What a cell holds; None if it is empty."""

_MOST = 4_000
"""Points of a series that are drawn: of more, evenly spread ones."""

_FEW_LABELS = 12
_LONG_LABELS = 40
"""Letters of all labels together that fit side by side."""

_ROOM = 0.06
"""Space between the numbers and the ends of an axis."""

_BEYOND = 0.5
"""How much of the height of what stays in place moving points may add above and below."""


@dataclass(slots=True)
class Curve:
    """The numbers of a series. Gaps are NaN. `x` are numbers for a scatter chart, else positions from 1."""

    series: Series
    name: str
    x: list[float]
    y: list[float]
    labels: list[str]


@dataclass(slots=True)
class Drawing:
    """A chart with the numbers that its cells have."""

    chart: Chart
    title: str
    x_title: str
    y_title: str
    curves: list[Curve]


class ChartReader:
    """Reads the numbers of a chart's cells; which cells these are is found once."""

    def __init__(self, chart: Chart, workbook: Workbook) -> None:
        self.chart = chart
        self._values = [_cells(series.values, workbook) for series in chart.series]
        self._categories = [[_cells([area], workbook) for area in series.categories] for series in chart.series]

    def drawing(self, values: Values) -> Drawing:
        """The chart with the values that its cells have."""
        chart = self.chart

        def words(item: Words) -> str:
            return _shown(values(item.first)) if isinstance(item, Range) else item

        curves = []
        for number, (series, cells, categories) in enumerate(
            zip(chart.series, self._values, self._categories, strict=True), 1
        ):
            name = words(series.name).strip() or f"series {number}"
            y = [_number(values(cell)) for cell in cells]
            x, labels = [float(place + 1) for place in range(len(y))], []
            if series.kind is not ChartKind.SCATTER:
                labels = [label for area in categories for label in _labels(area, values)]
            elif categories:
                x = [_number(values(cell)) for area in categories for cell in area]
            length = min(len(x), len(y))
            some = slice(0, length, 1 if series.kind.is_round else -(-length // _MOST) or 1)
            curves.append(Curve(series, name, x[some], y[some], labels[some]))
        return Drawing(chart, words(chart.title), words(chart.x.title), words(chart.y.title), curves)


def _cells(areas: Sequence[Range], workbook: Workbook) -> list[Cell]:
    """The cells of ranges, in their order."""
    return [cell for area in workbook.trimmed(areas) for cell in area.cells()]


def _labels(cells: Sequence[Cell], values: Values) -> list[str]:
    """One label per category; of several columns, their texts on top of each other."""
    columns = len({cell.column for cell in cells})
    step = columns if columns < len(cells) else 1  # a single row holds one category per cell
    texts = [_shown(values(cell)) for cell in cells]
    return ["\n".join(filter(None, texts[start : start + step])) for start in range(0, len(texts), step)]


def _number(value: Value | None) -> float:
    return float(value) if isinstance(value, int | float) and math.isfinite(value) else math.nan


def _shown(value: Value | None) -> str:
    if value is None:
        return ""
    return f"{value:.6g}" if isinstance(value, float) else str(value)


class ChartPainter:
    """Draws a chart into axes, and moves it when its numbers change.

    `frames` are all drawings that will be shown: the axes are chosen once, to hold them.
    """

    def __init__(self, axes: Any, frames: Sequence[Drawing]) -> None:
        self.axes, self.first = axes, frames[0]
        chart = self.first.chart
        self._upright = not any(series.kind is ChartKind.BAR for series in chart.series)
        self._artists: list[Any] = []
        axes.set_title(self.first.title, parse_math=False, pad=TITLE_PAD)
        titles = (self.first.x_title, self.first.y_title)
        axes.set_xlabel(titles[not self._upright], parse_math=False)
        axes.set_ylabel(titles[self._upright], parse_math=False)
        axes.grid(True, axis="y" if self._upright else "x")
        axes.grid(False, axis="x" if self._upright else "y")
        self._bars = [curve for curve in self.first.curves if curve.series.kind in (ChartKind.BAR, ChartKind.COLUMN)]
        self._paint(self.first)
        self._limit(frames)
        self._unclip(frames)
        if len(self.first.curves) > 1:
            legend_above(axes)

    def show(self, drawing: Drawing) -> None:
        """Move to these numbers."""
        bottoms = self._bottoms(drawing)
        for place, (artist, curve) in enumerate(zip(self._artists, drawing.curves, strict=True)):
            if place in bottoms:
                heights = self._heights(drawing, curve)
                for patch, height, bottom in zip(artist, heights, bottoms[place], strict=True):
                    if self._upright:
                        patch.set_y(bottom)
                        patch.set_height(height)
                    else:
                        patch.set_x(bottom)
                        patch.set_width(height)
            else:
                artist.set_data(curve.x, self._piled(drawing, place))

    @property
    def moving(self) -> list[Any]:
        """What `show` changes."""
        return [part for artist in self._artists for part in (artist if hasattr(artist, "patches") else [artist])]

    # --- painting -----------------------------------------------------------------------------------------

    def _paint(self, drawing: Drawing) -> None:
        bottoms = self._bottoms(drawing)
        stacked = any(curve.series.stacking is not Stacking.NONE for curve in self._bars)
        thick = 0.8 if stacked else 0.8 / max(1, len(self._bars))
        beside = 0
        for place, curve in enumerate(drawing.curves):
            series, colour = curve.series, curve.series.colour or COLOURS[place % len(COLOURS)]
            if place in bottoms:
                shift = 0.0 if stacked else (beside - (len(self._bars) - 1) / 2) * thick
                beside += 1
                draw = self.axes.bar if self._upright else self.axes.barh
                at, heights = [x + shift for x in curve.x], self._heights(drawing, curve)
                low = {"bottom" if self._upright else "left": bottoms[place]}
                self._artists.append(draw(at, heights, thick * 0.92, color=colour, label=_label(curve), **low))
            else:
                marker = "o" if series.marker else None
                size = 5 if len(curve.x) <= 60 else 2.5
                (line,) = self.axes.plot(
                    curve.x, self._piled(drawing, place), color=colour, label=_label(curve),
                    marker=marker, markersize=size,
                    linestyle="-" if series.line else "none", markeredgecolor="white", markeredgewidth=0.5,
                    linewidth=2, zorder=3 if series.line else 2,
                )  # fmt: skip
                self._artists.append(line)
        self._label_categories(drawing)

    def _label_categories(self, drawing: Drawing) -> None:
        curve = max(drawing.curves, key=lambda curve: len(curve.labels))
        if not curve.labels:
            return
        axis = self.axes.xaxis if self._upright else self.axes.yaxis
        stride = -(-len(curve.labels) // _FEW_LABELS)
        shown = curve.labels[::stride]
        axis.set_ticks(curve.x[::stride], shown)
        for label in axis.get_ticklabels():
            label.set_parse_math(False)
        if self._upright and sum(max(map(len, label.split("\n"))) for label in shown) > _LONG_LABELS:
            self.axes.tick_params(axis="x", rotation=35, labelsize=8)
        if not self._upright:
            self.axes.set_ylim(curve.x[0] - 0.6, curve.x[-1] + 0.6)
        if drawing.chart.x.reversed:
            (self.axes.invert_xaxis if self._upright else self.axes.invert_yaxis)()

    def _bottoms(self, drawing: Drawing) -> dict[int, list[float]]:
        """The height at which each bar begins, by the place of its series."""
        found: dict[int, list[float]] = {}
        above: dict[int, tuple[float, float]] = {}
        for place, curve in enumerate(drawing.curves):
            if curve.series.kind not in (ChartKind.BAR, ChartKind.COLUMN):
                continue
            if curve.series.stacking is Stacking.NONE:
                found[place] = [0.0] * len(curve.y)
                continue
            found[place] = []
            for index, height in enumerate(self._heights(drawing, curve)):
                up, down = above.get(index, (0.0, 0.0))
                found[place].append(up if height >= 0 else down)
                above[index] = (up + max(height, 0.0), down + min(height, 0.0))
        return found

    def _piled(self, drawing: Drawing, place: int) -> list[float]:
        """The heights of a line or an area: where they are stacked, each shows the sum of those up to it.

        Lines have gaps where their own cell is empty; an area goes on at the height of those below it.
        """
        curve = drawing.curves[place]
        if curve.series.stacking is Stacking.NONE:
            return list(curve.y)
        below = [other for other in drawing.curves[:place] if _is_piled(other)]
        piled = self._heights(drawing, curve)
        for other in below:
            for index, height in enumerate(self._heights(drawing, other)[: len(piled)]):
                piled[index] += height
        if curve.series.kind is ChartKind.AREA:
            return piled
        return [math.nan if math.isnan(own) else value for own, value in zip(curve.y, piled, strict=True)]

    def _heights(self, drawing: Drawing, curve: Curve) -> list[float]:
        heights = [0.0 if math.isnan(value) else value for value in curve.y]
        if curve.series.stacking is not Stacking.SHARE:
            return heights
        parts = [other.y for other in drawing.curves if other.series.stacking is Stacking.SHARE]
        sums = [
            sum(abs(part[index]) for part in parts if index < len(part) and math.isfinite(part[index]))
            for index in range(len(heights))
        ]
        return [height / total if total else 0.0 for height, total in zip(heights, sums, strict=True)]

    # --- axes ---------------------------------------------------------------------------------------------

    def _limit(self, frames: Sequence[Drawing]) -> None:
        chart, axes = self.first.chart, self.axes
        bars = bool(self._bars)
        log = chart.y.log and all(value > 0 for frame in frames for value in _finite(frame, "y"))
        low, high = self._extent(frames, "y", log=log)
        if bars:
            low, high = min(0.0, low), max(0.0, high)
        set_limits, set_scale = (axes.set_ylim, axes.set_yscale) if self._upright else (axes.set_xlim, axes.set_xscale)
        if log:
            set_scale("log")
        set_limits(
            chart.y.low if chart.y.low is not None else low,
            chart.y.high if chart.y.high is not None else high,
        )
        if chart.y.reversed:
            (axes.invert_yaxis if self._upright else axes.invert_xaxis)()
        if any(series.kind is ChartKind.SCATTER for series in chart.series):
            logarithmic = chart.x.log and all(value > 0 for frame in frames for value in _finite(frame, "x"))
            left, right = self._extent(frames, "x", log=logarithmic)
            if logarithmic:
                axes.set_xscale("log")
            else:
                axes.locator_params(axis="x", nbins=8, steps=[1, 2, 5, 10])
            axes.set_xlim(
                chart.x.low if chart.x.low is not None else left, chart.x.high if chart.x.high is not None else right
            )
            if chart.x.reversed:
                axes.invert_xaxis()

    def _unclip(self, frames: Sequence[Drawing]) -> None:
        """Markers that lie on the border are drawn whole, unless others of the series lie outside."""
        x, y = sorted(self.axes.get_xlim()), sorted(self.axes.get_ylim())
        for place, artist in enumerate(self._artists):
            curves = [frame.curves[place] for frame in frames]
            inside = all(
                not (across < x[0] or across > x[1] or up < y[0] or up > y[1])
                for curve in curves
                for across, up in zip(curve.x, curve.y, strict=True)
            )
            if inside and hasattr(artist, "set_data"):
                artist.set_clip_on(False)

    def _extent(self, frames: Sequence[Drawing], side: str, *, log: bool) -> tuple[float, float]:
        """The ends of an axis: what stays in place, and the end, are shown whole; what moves may be cut."""
        firm = [
            value for place, curve in enumerate(frames[-1].curves) for value in self._shown(frames[-1], curve, side)
        ]
        firm += [value for curve in frames[0].curves if _stays(frames, curve, side) for value in getattr(curve, side)]
        firm = [value for value in firm if math.isfinite(value)]
        moving = [value for frame in frames for curve in frame.curves for value in self._shown(frame, curve, side)]
        moving = [value for value in moving if math.isfinite(value)]
        if not firm:
            return 0.0, 1.0
        low, high = min(firm), max(firm)
        if log:
            return min(moving) / 1.2, max(moving) * 1.2
        height = high - low or abs(high) or 1.0
        low = max(min(moving, default=low), low - _BEYOND * height)
        high = min(max(moving, default=high), high + _BEYOND * height)
        room = _ROOM * (high - low or height)
        return low - room, high + room

    def _shown(self, frame: Drawing, curve: Curve, side: str) -> list[float]:
        if side == "x" or curve.series.stacking is Stacking.NONE:
            return list(getattr(curve, side))
        place = frame.curves.index(curve)
        if _is_piled(curve):
            return self._piled(frame, place)
        bottoms = self._bottoms(frame)[place]
        return [bottom + height for bottom, height in zip(bottoms, self._heights(frame, curve), strict=True)]


def _is_piled(curve: Curve) -> bool:
    """Whether a series is a line that shows the sum of those before it and of its own."""
    return curve.series.stacking is not Stacking.NONE and curve.series.kind not in (ChartKind.BAR, ChartKind.COLUMN)


def _label(curve: Curve) -> str:
    """The name in the legend, which leaves out what begins with an underscore."""
    return f" {curve.name}" if curve.name.startswith("_") else curve.name


def _finite(frame: Drawing, side: str) -> Iterator[float]:
    return (value for curve in frame.curves for value in getattr(curve, side) if math.isfinite(value))


def _stays(frames: Sequence[Drawing], curve: Curve, side: str) -> bool:
    last = getattr(frames[-1].curves[frames[0].curves.index(curve)], side)
    return all(now == then or now != now for now, then in zip(last, getattr(curve, side), strict=True))
