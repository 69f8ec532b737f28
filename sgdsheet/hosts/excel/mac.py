"""Excel on macOS, through Apple events (appscript).

Apple events know neither spills nor serial numbers of dates, and give no error values: an error is what has no value
and shows an error's text.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

import xlwings as xw

from sgdsheet.hosts.base import LineChart
from sgdsheet.hosts.excel.native import ArrayArea, Grid, chart_kind, columns_of, rows_of
from sgdsheet.sheet.references import address, parse_range, split_areas
from sgdsheet.sheet.workbook import ExcelError, Value

_EPOCH = datetime(1899, 12, 30)
_EPOCH_1904 = datetime(1904, 1, 1)
_FIRST_OF_MARCH_1900 = 61


class MacNative:
    """See `native.Native`."""

    runs_procedures = False  # Apple events carry no rows

    def grid(self, raw: Any, width: int) -> Grid:
        return [[_value(item, "") for item in row] for row in rows_of(raw, width)]

    def full_name(self, book: xw.Book) -> str:
        return str(book.fullname)

    def counts_from_1904(self, book: xw.Book) -> bool:
        return book.api.date_1904.get() is True

    def as_displayed(self, book: xw.Book) -> bool:
        return book.api.precision_as_displayed.get() is True

    def values(self, area: xw.Range) -> Grid:
        width = area.shape[1]
        rows = rows_of(area.raw_value, width)
        if any(isinstance(item, datetime) for row in rows for item in row):
            epoch = _EPOCH_1904 if self.counts_from_1904(area.sheet.book) else _EPOCH
            rows = [[_serial(item, epoch) if isinstance(item, datetime) else item for item in row] for row in rows]
        if all(_plain(item) for row in rows for item in row):
            return [[_value(item, "") for item in row] for row in rows]
        texts = rows_of(area.api.string_value.get(), width)
        return [[_value(*pair) for pair in zip(*pairs, strict=True)] for pairs in zip(rows, texts, strict=True)]

    def holds_array(self, area: xw.Range) -> bool | None:
        found = area.has_array
        return found if isinstance(found, bool) else None

    def array_at(self, cell: xw.Range) -> ArrayArea | None:
        if cell.has_array is not True:
            return None
        area = parse_range(str(cell.api.current_array.get_address()), "")
        return ArrayArea((area.top, area.left, area.bottom, area.right), False)

    def protected(self, sheet: xw.Sheet) -> bool:
        return sheet.api.protect_contents.get() is True

    def hidden_rows(self, area: xw.Range) -> bool | None:
        found = area.api.entire_row.hidden.get()
        return found if isinstance(found, bool) else None

    def filters(self, sheet: xw.Sheet) -> list[str] | None:
        return None  # Apple events tell of the filter of a sheet, but not of those of its tables

    def table_columns(self, table: xw.main.Table) -> list[str]:
        names = table.api.list_columns.name.get()
        return [str(name) for name in names] if isinstance(names, list) else [str(names)]

    def hidden(self, name: xw.Name) -> bool:
        return name.api.visible.get() is False

    def hide(self, name: xw.Name) -> None:
        name.api.visible.set(False)

    def calculate_all(self, app: xw.App) -> None:
        app.calculate()

    def settle(self, app: xw.App) -> None:
        """Apple events are answered after the calculation."""

    def ready(self, app: xw.App) -> bool:
        return True  # Apple events do not tell

    def selection(self, book: xw.Book) -> list[tuple[str, str]]:
        selected = book.app.selection
        if selected is None or book.app.books.active.name != book.name:
            return []
        return [(selected.sheet.name, part) for part in split_areas(selected.address)]

    def activate(self, sheet: xw.Sheet) -> None:
        sheet.api.activate_object()

    def colour(self, area: xw.Range, low: str, middle: str, high: str, reach: float) -> None:
        formats = getattr(area, "conditional_formats", None)  # xlwings 0.37.5
        if formats is not None:
            formats.add_color_scale([low, middle, high], thresholds=[-reach, 0.0, reach])

    def draw(self, sheet: xw.Sheet, chart: LineChart, place: xw.Range, header: int, last: int) -> Any:
        drawn = sheet.charts.add(place.left, place.top, 480, 290)
        self.extend(sheet, chart, drawn.name, header, last)
        drawn.chart_type = chart_kind(chart)
        if hasattr(drawn, "title"):  # xlwings 0.37.3
            drawn.title = chart.title
        return drawn.name

    def extend(self, sheet: xw.Sheet, chart: LineChart, drawn: Any, header: int, last: int) -> None:
        columns = columns_of(chart)  # one rectangle: also the columns between
        area = f"{address(header, min(columns))}:{address(last, max(columns))}"
        sheet.charts[drawn].set_source_data(sheet.range(area))


def _plain(item: Any) -> bool:
    return isinstance(item, (bool, int, float, str))


def _value(item: Any, shown: str) -> Value | None:
    if isinstance(item, (bool, str)):
        return item if item != "" else None  # Apple events show no difference between empty and empty text
    if isinstance(item, (int, float)):
        return float(item)
    try:
        return ExcelError(shown)
    except ValueError:
        return ExcelError.UNKNOWN if shown else None


def _serial(moment: datetime, epoch: datetime) -> float:
    days = (moment.replace(tzinfo=None) - epoch).total_seconds() / 86400
    return days - 1 if epoch == _EPOCH and days < _FIRST_OF_MARCH_1900 else days  # Excel counts a 29 February 1900
