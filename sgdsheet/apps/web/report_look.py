"""How the sheets of reports look, and their charts, while the file does not have them yet."""

from __future__ import annotations

from collections.abc import Callable

from sgdsheet.hosts.base import HEAT, ReportSheet
from sgdsheet.sheet.appearance import CellStyle, Mark, Rule, SheetLook
from sgdsheet.sheet.charts import Axis, Chart, ChartKind, Series
from sgdsheet.sheet.displayed_text import GENERAL, displayed
from sgdsheet.sheet.references import Range
from sgdsheet.sheet.workbook import Position

_PER_CHARACTER, _AIR, _NARROWEST, _WIDEST = 7, 10, 64, 280
"""Pixels of a character in a column, and of columns."""
_ROWS_MEASURED = 300
"""Rows whose texts tell how wide the columns are to be."""
_CHART_ROWS, _CHART_COLUMNS = 18, 8


def report_look(report: ReportSheet, number_of: Callable[[CellStyle], int]) -> SheetLook:
    """How a sheet looks; `number_of` gives the number of a style in its workbook."""
    codes = {at: code for code, areas in report.formats for area in areas for at in area.positions()}
    bold = frozenset(report.bold)
    header = max(bold, default=1)
    styles: dict[Position, int] = {}
    widths: dict[int, int] = {}
    for row, values in enumerate(report.rows, 1):
        if row > _ROWS_MEASURED and row not in bold and not codes:
            continue
        for column, value in enumerate(values, 1):
            if value is None:
                continue
            code = codes.get((row, column), GENERAL)
            if row in bold or code != GENERAL:
                styles[row, column] = number_of(CellStyle(bold=row in bold, number_format=code))
            if header <= row <= _ROWS_MEASURED:  # a title above the table may reach over several columns
                letters = len(displayed(value, code).text)
                widths[column] = max(widths.get(column, _NARROWEST), min(letters * _PER_CHARACTER + _AIR, _WIDEST))

    def styles_in(area: Range) -> dict[Position, int]:
        return {at: style for at, style in styles.items() if area.contains(Range(area.sheet, *at, *at))}

    return SheetLook(
        styles_in=styles_in,
        widths=widths,
        rules=tuple(_heat(report, area) for area in report.heat),
    )


def report_chart(report: ReportSheet) -> Chart | None:
    """The chart of a sheet, beside its last column; None if it has none, or nothing to show."""
    lines = report.chart
    if lines is None:
        return None
    header = lines.header or max(report.bold, default=1)
    last = lines.last or len(report.rows)
    if last <= header:
        return None

    def below(column: int) -> tuple[Range, ...]:
        return (Range(report.name, header + 1, column + 1, last, column + 1),)

    def title(column: int) -> Range:
        return Range(report.name, header, column + 1, header, column + 1)

    series = tuple(
        Series(
            ChartKind.SCATTER, title(column), below(lines.x), below(column), line=not lines.points, marker=lines.points
        )
        for column in lines.ys
    )
    left = max(map(len, report.rows), default=0) + 2
    anchor = Range(report.name, 2, left, 1 + _CHART_ROWS, left + _CHART_COLUMNS - 1)
    return Chart(report.name, lines.title, Axis(title(lines.x)), Axis(), series, anchor)


def _heat(report: ReportSheet, area: Range) -> Rule:
    """A scale of three colours, with zero in the middle."""
    cells = (item for row in report.rows[area.top - 1 : area.bottom] for item in row[area.left - 1 : area.right])
    reach = max((abs(item) for item in cells if type(item) is float), default=0.0) or 1.0
    marks = tuple(Mark("num", repr(place)) for place in (-reach, 0.0, reach))
    return Rule("colorScale", 1, (area,), marks=marks, colours=HEAT)
