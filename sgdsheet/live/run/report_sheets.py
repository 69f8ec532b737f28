"""The sheets that belong to sgdsheet: the training log with its chart, the gradients as a heat map, the report."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from sgdsheet.analysis.reporting import page as report_pages
from sgdsheet.analysis.reporting.page import Page, laid_out
from sgdsheet.hosts.base import LineChart, ReportSheet
from sgdsheet.sheet.references import Cell, Range, address, column_letters
from sgdsheet.sheet.workbook import Value
from sgdsheet.train.logbook import COLUMNS, Record, number

LOG, GRADIENTS, REPORT = "SGD log", "SGD gradients", report_pages.SHEET
REPORT_SHEETS = (LOG, GRADIENTS, REPORT)

Row = list[Value | None]

_ALWAYS = ("step", "loss", "learning_rate")


def log_fields(records: Sequence[Record]) -> tuple[str, ...]:
    """The columns of the log: what is known at every step, then what was measured."""
    more = [name for name in ("valid_loss", "metric") if any(number(item, name) is not None for item in records)]
    return ("step", "loss", *more, "learning_rate")


def log_rows(records: Sequence[Record], fields: Sequence[str]) -> list[Row]:
    """The records as rows of the sheet."""
    return [[_plain(number(item, name)) for name in fields] for item in records]


def log_sheet(records: Sequence[Record], fields: Sequence[str], title: str) -> ReportSheet:
    """The log under its headings, with a chart of the losses."""
    labels = {column.field: column.label for column in COLUMNS}
    losses = tuple(fields.index(name) for name in ("loss", "valid_loss") if name in fields)
    head: Row = [labels[name] for name in fields]
    return ReportSheet(LOG, [head, *log_rows(records, fields)], bold=(1,), chart=LineChart(title, 0, losses))


def gradient_sheet(areas: Sequence[Range], gradients: Mapping[Cell, float], loss: Cell) -> ReportSheet:
    """The gradients of the loss, laid out like the parameters, with the letters and numbers of their cells."""
    rows: list[Row] = [[f"Gradient of {loss} with respect to each parameter"], []]
    bold, heat = [1], []
    for area in areas:
        bold += [len(rows) + 1, len(rows) + 2]
        rows.append([str(area)])
        rows.append([None, *(column_letters(column) for column in range(area.left, area.right + 1))])
        first = len(rows) + 1
        for row in range(area.top, area.bottom + 1):
            cells = (Cell(area.sheet, row, column) for column in range(area.left, area.right + 1))
            rows.append([float(row), *(_plain(gradients[cell]) for cell in cells)])
        heat.append(Range(GRADIENTS, first, 2, len(rows), area.width + 1))
        rows.append([])
    return ReportSheet(GRADIENTS, rows, bold=tuple(bold), heat=tuple(heat))


def report_sheet(page: Page) -> ReportSheet:
    """The report on a trained model."""
    laid = laid_out(page)
    chart = None
    if laid.plot is not None:
        plot, header, last = laid.plot
        chart = LineChart(plot.title, plot.x, (plot.y,), points=True, header=header, last=last)
    return ReportSheet(REPORT, laid.rows, bold=tuple(laid.bold), chart=chart, formats=_areas_of(laid.formats))


def _areas_of(formats: Mapping[tuple[int, int], str]) -> tuple[tuple[str, tuple[Range, ...]], ...]:
    """Formats by row and column, as areas of one column each: one for cells that stand below each other."""
    found: dict[str, list[Range]] = {}
    for (row, column), shown in sorted(formats.items(), key=lambda item: (item[0][1], item[0][0])):
        areas = found.setdefault(shown, [])
        if areas and (areas[-1].bottom, areas[-1].left) == (row - 1, column):
            areas[-1] = areas[-1]._replace(bottom=row)
        else:
            areas.append(Range(REPORT, row, column, row, column))
    return tuple((shown, tuple(areas)) for shown, areas in found.items())


def steepest(gradients: Mapping[Cell, float]) -> str:
    """The parameter that the loss depends on most, in words."""
    cell = max(gradients, key=lambda item: abs(gradients[item]))
    return f"steepest at {cell.sheet}!{address(cell.row, cell.column)}: {gradients[cell]:.4g}"


def _plain(value: float | None) -> float | None:
    """A number that every spreadsheet can hold."""
    return float(value) if value is not None and math.isfinite(value) else None
