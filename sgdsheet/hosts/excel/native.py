"""What xlwings has no common word for, in Excel's own objects: pywin32 on Windows, appscript on macOS.

Everything else goes through xlwings' public API. Here is what both platforms must offer; `com.py` and
`mac.py` offer it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple, Protocol

import xlwings as xw

from sgdsheet.hosts.base import LineChart
from sgdsheet.sheet.workbook import Value

Grid = list[list[Value | None]]
"""Rows of values; None stands for an empty cell."""


class ArrayArea(NamedTuple):
    """The cells that an array formula fills: corners as in `workbook.Formula`."""

    corners: tuple[int, int, int, int]
    dynamic: bool


class Native(Protocol):
    """Excel's own objects."""

    runs_procedures: bool
    """Whether a procedure of the add-in can be given rows of values, and returns them."""

    def grid(self, raw: Any, width: int) -> Grid:
        """Rows of values from what a procedure of the add-in returns."""
        ...

    def full_name(self, book: xw.Book) -> str:
        """Where the workbook was opened from: a path, an address on the web, or a title if it was never saved."""
        ...

    def counts_from_1904(self, book: xw.Book) -> bool:
        """Whether the workbook counts days from 1904."""
        ...

    def as_displayed(self, book: xw.Book) -> bool:
        """Whether Excel rounds the workbook's numbers to what is displayed."""
        ...

    def values(self, area: xw.Range) -> Grid:
        """Values with dates as serial numbers and errors as errors; a formula's empty text stays a text."""
        ...

    def holds_array(self, area: xw.Range) -> bool | None:
        """Whether all (True), no (False) or some cells belong to an array formula or to what one spills."""
        ...

    def array_at(self, cell: xw.Range) -> ArrayArea | None:
        """The array formula that fills a cell."""
        ...

    def protected(self, sheet: xw.Sheet) -> bool: ...

    def hidden_rows(self, area: xw.Range) -> bool | None:
        """Whether all (True), no (False) or some of the rows are hidden, by a filter or a person."""
        ...

    def filters(self, sheet: xw.Sheet) -> list[str] | None:
        """The addresses of the lists, headers included, of which a filter hides rows; None if that is not known."""
        ...

    def table_columns(self, table: xw.main.Table) -> list[str]: ...

    def hidden(self, name: xw.Name) -> bool: ...

    def hide(self, name: xw.Name) -> None: ...

    def calculate_all(self, app: xw.App) -> None:
        """Calculate all formulas, also those of which nothing has changed where that can be asked for."""
        ...

    def settle(self, app: xw.App) -> None:
        """Return when Excel has finished calculating."""
        ...

    def ready(self, app: xw.App) -> bool:
        """False while a person edits a cell."""
        ...

    def selection(self, book: xw.Book) -> list[tuple[str, str]]:
        """The areas that are selected in the workbook's window: sheet and address."""
        ...

    def activate(self, sheet: xw.Sheet) -> None:
        """Show the sheet in its workbook's window, without raising the window."""
        ...

    def colour(self, area: xw.Range, low: str, middle: str, high: str, reach: float) -> None:
        """Colour numbers from `-reach` over 0 to `reach`."""
        ...

    def draw(self, sheet: xw.Sheet, chart: LineChart, place: xw.Range, header: int, last: int) -> Any:
        """A line chart of the rows below `header` down to `last`; what `extend` needs to know it again."""
        ...

    def extend(self, sheet: xw.Sheet, chart: LineChart, drawn: Any, header: int, last: int) -> None:
        """Make the chart cover the rows down to `last`."""
        ...


def rows_of(raw: Any, width: int) -> list[list[Any]]:
    """Rows of cells from what Excel returns: a scalar for one cell, on macOS a flat list for one row or column."""
    if not isinstance(raw, (tuple, list)):
        return [[raw]]
    if raw and isinstance(raw[0], (tuple, list)):
        return [list(row) for row in raw]
    return [list(raw)] if len(raw) == width else [[value] for value in raw]


def columns_of(chart: LineChart) -> Sequence[int]:
    """Numbers of a chart's columns, from 1."""
    return [column + 1 for column in (chart.x, *chart.ys)]


def chart_kind(chart: LineChart) -> str:
    """What xlwings calls the kind of a chart."""
    return "xy_scatter" if chart.points else "xy_scatter_lines_no_markers"
