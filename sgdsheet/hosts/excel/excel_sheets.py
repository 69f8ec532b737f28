"""Sheets of sgdsheet's own in an open workbook, such as `SGD log`: rows, colours and a chart that grows.

A sheet is ours if it has a hidden name of its own that only we give; any other sheet is a person's.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import xlwings as xw

from sgdsheet.errors import HostError
from sgdsheet.hosts.base import HEAT, LineChart, ReportSheet
from sgdsheet.hosts.excel.busy import Patience
from sgdsheet.hosts.excel.excel_writer import check_sheet, put_rows
from sgdsheet.hosts.excel.native import Native
from sgdsheet.hosts.refusals import MARK, no_sheet, report_sheet_taken
from sgdsheet.sheet.references import Range, column_letters, quote_sheet, split_sheet
from sgdsheet.sheet.workbook import Value


@dataclass
class _Drawn:
    """A chart on one of our sheets: `name` is None until there are rows to show."""

    chart: LineChart
    header: int
    name: Any = None


class ReportSheets:
    """The sheets that sgdsheet made in one workbook."""

    def __init__(self, book: xw.Book, native: Native, patience: Patience) -> None:
        self._book = book
        self._native = native
        self._call = patience
        self._drawn: dict[str, _Drawn] = {}

    def put(self, own: ReportSheet) -> None:
        """Make a sheet, or make it anew."""
        sheet = self._call(find_sheet, self._book, own.name)
        if sheet is None:
            sheet = self._add(own.name)
        elif not self._call(_is_ours, sheet):
            raise report_sheet_taken(own.name)
        else:
            self._call(check_sheet, sheet, Range(own.name, 1, 1, 1, 1), self._native)
            self._call(_empty, sheet)
        width = max((len(row) for row in own.rows), default=0)
        self._write(sheet, own.name, 1, own.rows, width)
        self._decorate(sheet, own, width)
        self._drawn.pop(own.name, None)
        if own.front:
            self._call(sheet.activate)
        if own.chart is not None:
            self._drawn[own.name] = _Drawn(own.chart, own.chart.header or max(own.bold, default=0))
            self._grow(sheet, own.name, own.chart.last or len(own.rows), width)

    def append(self, name: str, first_row: int, rows: Sequence[Sequence[Value | None]]) -> None:
        """Put more rows into a sheet."""
        sheet = self._call(find_sheet, self._book, name)
        if sheet is None:
            raise no_sheet(name)
        if not self._call(_is_ours, sheet):
            raise report_sheet_taken(name)
        width = max((len(row) for row in rows), default=0)
        self._write(sheet, name, first_row, rows, width)
        if name in self._drawn:
            self._grow(sheet, name, first_row + len(rows) - 1, width)

    def _write(
        self, sheet: xw.Sheet, name: str, first: int, rows: Sequence[Sequence[Value | None]], width: int
    ) -> None:
        if rows and width:
            area = Range(name, first, 1, first + len(rows) - 1, width)
            full = [[*row, *[None] * (width - len(row))] for row in rows]
            self._call(put_rows, sheet, area, full)

    def _add(self, name: str) -> xw.Sheet:
        book, native, call = self._book, self._native, self._call
        before = call(lambda: book.sheets.active)
        sheet = call(lambda: book.sheets.add(after=book.sheets[len(book.sheets) - 1]))
        try:
            call(setattr, sheet, "name", name)
            mark = call(lambda: sheet.names.add(MARK, f"={quote_sheet(name)}!$A$1"))
            call(native.hide, mark)
        except Exception:
            with suppress(HostError):
                call(sheet.delete)
            raise
        finally:
            call(native.activate, before)
        return sheet

    def _decorate(self, sheet: xw.Sheet, own: ReportSheet, width: int) -> None:
        call, last = self._call, column_letters(max(width, 1))
        for row in own.bold:
            call(setattr, sheet.range(f"A{row}:{last}{row}").font, "bold", True)
        for shown, areas in own.formats:
            for area in areas:
                call(setattr, sheet.range(area.a1), "number_format", shown)
        for area in own.heat:
            call(self._heat, sheet.range(area.a1))
        if own.rows and width:  # a title above the table may reach over several columns
            call(sheet.range(f"A{max(own.bold, default=1)}:{last}{len(own.rows)}").columns.autofit)

    def _heat(self, cells: xw.Range) -> None:
        numbers = [abs(item) for row in self._native.values(cells) for item in row if type(item) is float]
        if reach := max(numbers, default=0.0):
            self._native.colour(cells, *HEAT, reach)

    def _grow(self, sheet: xw.Sheet, name: str, last: int, width: int) -> None:
        drawn, native = self._drawn[name], self._native
        if last <= drawn.header:
            return  # Excel refuses series without cells
        if drawn.name is None:
            place = self._call(lambda: sheet.range(f"{column_letters(width + 2)}2"))
            drawn.name = self._call(native.draw, sheet, drawn.chart, place, drawn.header, last)
        else:
            self._call(native.extend, sheet, drawn.chart, drawn.name, drawn.header, last)


def find_sheet(book: xw.Book, name: str) -> xw.Sheet | None:
    """A sheet by its name, without regard to case."""
    folded = name.casefold()
    return next((sheet for sheet in book.sheets if sheet.name.casefold() == folded), None)


def _is_ours(sheet: xw.Sheet) -> bool:
    return any(split_sheet(name.name)[1].casefold() == MARK for name in sheet.names)


def _empty(sheet: xw.Sheet) -> None:
    for chart in list(sheet.charts):
        chart.delete()
    sheet.clear()
