"""The sheets of ours in a workbook that was kept for after a crash, as they can be made anew."""

from __future__ import annotations

from collections.abc import Iterator

from sgdsheet.hosts import refusals
from sgdsheet.hosts.base import LineChart, ReportSheet
from sgdsheet.sheet.appearance import Appearance, CellStyle
from sgdsheet.sheet.charts import Chart, ChartKind
from sgdsheet.sheet.displayed_text import GENERAL
from sgdsheet.sheet.references import Range
from sgdsheet.sheet.workbook import Position, Sheet, Workbook


def kept_sheets(now: Workbook, kept: Workbook, look: Appearance) -> list[ReportSheet]:
    """The sheets of ours of a kept workbook that the present one lacks, or has with other cells."""
    ours = {item.sheet for item in kept.names if item.name.casefold() == refusals.MARK}
    found = []
    for name, sheet in kept.sheets.items():
        own = now.sheets.get(name)
        if name in ours and (own is None or own.values != sheet.values):
            found.append(_report(sheet, look, next((item for item in kept.charts if item.sheet == name), None)))
    return found


def _report(sheet: Sheet, look: Appearance, chart: Chart | None) -> ReportSheet:
    rows, columns = sheet.extent
    own = look.sheet(sheet.name)
    numbers = own.styles_in(Range(sheet.name, 1, 1, max(rows, 1), max(columns, 1)))
    styles = {place: look.styles[number] for place, number in numbers.items() if place in sheet.values}
    return ReportSheet(
        sheet.name,
        [[sheet.values.get((row, column)) for column in range(1, columns + 1)] for row in range(1, rows + 1)],
        bold=tuple(sorted({row for (row, _), style in styles.items() if style.bold})),
        heat=tuple(area for rule in own.rules if rule.kind == "colorScale" for area in rule.areas),
        chart=_line_chart(chart) if chart is not None else None,
        formats=tuple((code, tuple(areas)) for code, areas in _formats(sheet.name, styles)),
    )


def _line_chart(chart: Chart) -> LineChart | None:
    """A chart that one of our sheets has: columns over a column."""
    series = [item for item in chart.series if len(item.values) == 1 and len(item.categories) == 1]
    if not series or not isinstance(chart.title, str):
        return None
    first = series[0]
    values = first.values[0]
    points = first.kind is ChartKind.SCATTER and first.marker and not first.line
    columns = tuple(item.values[0].left - 1 for item in series)
    whole = None if not points else values.bottom
    header = None if not points else values.top - 1
    return LineChart(chart.title, first.categories[0].left - 1, columns, points=points, header=header, last=whole)


def _formats(sheet: str, styles: dict[Position, CellStyle]) -> Iterator[tuple[str, list[Range]]]:
    """Number formats, each with its areas, of one column each."""
    found: dict[str, list[Range]] = {}
    for (row, column), style in sorted(styles.items(), key=lambda item: (item[0][1], item[0][0])):
        if style.number_format == GENERAL:
            continue
        areas = found.setdefault(style.number_format, [])
        if areas and (areas[-1].bottom, areas[-1].left) == (row - 1, column):
            areas[-1] = areas[-1]._replace(bottom=row)
        else:
            areas.append(Range(sheet, row, column, row, column))
    yield from found.items()
