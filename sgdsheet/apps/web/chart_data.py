"""The workbook's own charts as the page draws them: texts and numbers in place of cells."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import islice
from typing import Any

from sgdsheet.apps.web.rule_operands import ValuesIn
from sgdsheet.sheet.charts import Chart, ChartKind, Series, UndrawnChart, Words
from sgdsheet.sheet.displayed_text import displayed
from sgdsheet.sheet.references import MAX_ROW, Range
from sgdsheet.sheet.workbook import Value
from sgdsheet.train.thinning import evenly_spaced

_MOST_POINTS = 600
"""Points of a series that are drawn."""
_MOST_SLICES = 60
"""Slices of a pie that are drawn apart; what comes after them is one more."""


def chart_for_page(chart: Chart, values_in: ValuesIn) -> dict[str, Any]:
    """A chart with the present values of its cells."""
    kinds = {series.kind for series in chart.series}
    kind = ChartKind.SCATTER if ChartKind.SCATTER in kinds else chart.series[0].kind
    return {
        "title": _words(chart.title, values_in),
        "kind": kind.value,
        "anchor": list(chart.anchor[1:]) if chart.anchor is not None else None,
        "x_title": _words(chart.x.title, values_in),
        "y_title": _words(chart.y.title, values_in),
        "log_x": chart.x.log,
        "log_y": chart.y.log,
        "reversed_x": chart.x.reversed,
        "reversed_y": chart.y.reversed,
        "x_range": [chart.x.low, chart.x.high],
        "y_range": [chart.y.low, chart.y.high],
        "stacking": chart.series[0].stacking.value,
        "series": [_series(series, number, values_in) for number, series in enumerate(chart.series, 1)],
    }


def undrawn_for_page(chart: UndrawnChart, values_in: ValuesIn) -> dict[str, Any]:
    """What the page tells in the place of a chart of a kind that it does not draw."""
    anchor = list(chart.anchor[1:]) if chart.anchor is not None else None
    empty: dict[str, Any] = {"x_title": "", "y_title": "", "log_x": False, "log_y": False, "series": []}
    return {"title": _words(chart.title, values_in), "kind": "undrawn", "what": chart.kind, "anchor": anchor, **empty}


def _series(series: Series, number: int, values_in: ValuesIn) -> dict[str, Any]:
    heights = [value if type(value) is float else None for value in _listed(series.values, values_in)]
    across = _listed(series.categories, values_in)[: len(heights)]
    across += [None] * (len(heights) - len(across))
    x: list[float | str | None]
    if series.kind is ChartKind.SCATTER and any(type(value) is float for value in across):
        x = [value if type(value) is float else None for value in across]
    elif any(value is not None for value in across):
        x = ["" if value is None else displayed(value).text for value in across]
    else:
        x = [float(place) for place in range(1, len(heights) + 1)]
    if series.kind.is_round and len(heights) > _MOST_SLICES:
        rest = sum(abs(value) for value in heights[_MOST_SLICES:] if value is not None)
        x, heights = [*x[:_MOST_SLICES], f"{len(heights) - _MOST_SLICES:,} others"], [*heights[:_MOST_SLICES], rest]
    elif len(heights) > _MOST_POINTS:
        kept = evenly_spaced(range(len(heights)), _MOST_POINTS)
        x, heights = [x[place] for place in kept], [heights[place] for place in kept]
    return {
        "name": _words(series.name, values_in) or f"Series {number}",
        "x": x,
        "y": heights,
        "color": series.colour,
        "lines": series.line,
        "markers": series.marker,
        "kind": series.kind.value,
        "slice_colors": list(series.slice_colours[:_MOST_SLICES]),
    }


def _listed(areas: Sequence[Range], values_in: ValuesIn) -> list[Value | None]:
    """The values of all cells, in their order: of an area that is larger than a column, as many as a column has."""
    found: list[Value | None] = []
    for area in areas:
        values = values_in(area)
        bottom = area.bottom if area.size <= 100_000 else max((row for row, _ in values), default=area.top)
        filled = area._replace(bottom=max(bottom, area.top))
        found += [values.get(at) for at in islice(filled.positions(), MAX_ROW)]
    return found


def _words(words: Words, values_in: ValuesIn) -> str:
    if isinstance(words, str):
        return words
    values = values_in(words)
    return " ".join(displayed(value).text for value in values.values())
