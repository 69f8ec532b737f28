"""Excel on Windows, through its COM objects (pywin32)."""

from __future__ import annotations

from typing import Any

import xlwings as xw

from sgdsheet.hosts.base import LineChart
from sgdsheet.hosts.excel.native import ArrayArea, Grid, chart_kind, rows_of
from sgdsheet.sheet.references import address, column_letters, parse_range, quote_sheet
from sgdsheet.sheet.workbook import ExcelError, Value

_ERRORS = {
    2000: ExcelError.NULL,
    2007: ExcelError.DIV0,
    2015: ExcelError.VALUE,
    2023: ExcelError.REF,
    2029: ExcelError.NAME,
    2036: ExcelError.NUM,
    2042: ExcelError.NA,
    2043: ExcelError.GETTING_DATA,
    2045: ExcelError.SPILL,
    2046: ExcelError.CONNECT,
    2047: ExcelError.BLOCKED,
    2048: ExcelError.UNKNOWN,
    2049: ExcelError.FIELD,
    2050: ExcelError.CALC,
}
"""Excel's XlCVError constants."""
_DONE = 0  # XlCalculationState.xlDone
_UNKNOWN_NAME = 0x80020006
_NUMBER = 0  # XlConditionValueTypes.xlConditionValueNumber


class ComNative:
    """See `native.Native`."""

    runs_procedures = True

    def grid(self, raw: Any, width: int) -> Grid:
        return [[_value(item) for item in row] for row in rows_of(raw, width)]

    def full_name(self, book: xw.Book) -> str:
        return str(book.api.FullName)  # xlwings translates web addresses, which fails for some

    def counts_from_1904(self, book: xw.Book) -> bool:
        return bool(book.api.Date1904)

    def as_displayed(self, book: xw.Book) -> bool:
        return bool(book.api.PrecisionAsDisplayed)

    def values(self, area: xw.Range) -> Grid:
        return self.grid(area.api.Value2, area.shape[1])  # Value would make dates and currencies of numbers

    def holds_array(self, area: xw.Range) -> bool | None:
        cells = area.api
        found = [_flag(cells, name) for name in ("HasArray", "SavedAsArray", "HasSpill")]
        return True if True in found else None if None in found else False

    def array_at(self, cell: xw.Range) -> ArrayArea | None:
        api = cell.api
        if _flag(api, "HasSpill"):
            return ArrayArea(_corners(api.SpillParent.SpillingToRange), True)
        if _flag(api, "HasArray"):
            return ArrayArea(_corners(api.CurrentArray), False)
        if _flag(api, "SavedAsArray"):
            return ArrayArea((cell.row, cell.column, cell.row, cell.column), True)
        return None

    def protected(self, sheet: xw.Sheet) -> bool:
        return bool(sheet.api.ProtectContents)

    def hidden_rows(self, area: xw.Range) -> bool | None:
        found = area.api.EntireRow.Hidden
        return None if found is None else bool(found)

    def filters(self, sheet: xw.Sheet) -> list[str] | None:
        tables = [table.api.AutoFilter for table in sheet.tables]
        active = [found for found in (sheet.api.AutoFilter, *tables) if found is not None and found.FilterMode]
        if sheet.api.FilterMode and not active:  # an advanced filter tells nobody where it is
            return None
        return [str(found.Range.Address) for found in active]

    def table_columns(self, table: xw.main.Table) -> list[str]:
        columns = table.api.ListColumns
        return [str(columns(number).Name) for number in range(1, columns.Count + 1)]

    def hidden(self, name: xw.Name) -> bool:
        return not name.api.Visible

    def hide(self, name: xw.Name) -> None:
        name.api.Visible = False

    def calculate_all(self, app: xw.App) -> None:
        app.api.CalculateFull()

    def settle(self, app: xw.App) -> None:
        if app.api.CalculationState != _DONE:  # a key press interrupts a calculation
            app.calculate()

    def ready(self, app: xw.App) -> bool:
        return bool(app.api.Ready)

    def selection(self, book: xw.Book) -> list[tuple[str, str]]:
        selected = book.api.Windows(1).RangeSelection  # the cells, also while a chart is selected
        sheet = str(selected.Worksheet.Name)
        areas = selected.Areas  # one by one: the address of all is cut off after 255 characters
        return [(sheet, str(areas(number).Address)) for number in range(1, areas.Count + 1)]

    def activate(self, sheet: xw.Sheet) -> None:
        sheet.api.Activate()

    def colour(self, area: xw.Range, low: str, middle: str, high: str, reach: float) -> None:
        scale = area.api.FormatConditions.AddColorScale(3)
        for number, (value, colour) in enumerate(((-reach, low), (0.0, middle), (reach, high)), start=1):
            criterion = scale.ColorScaleCriteria(number)
            criterion.Type = _NUMBER
            criterion.Value = value
            criterion.FormatColor.Color = _bgr(colour)

    def draw(self, sheet: xw.Sheet, chart: LineChart, place: xw.Range, header: int, last: int) -> Any:
        drawn = sheet.charts.add(place.left, place.top, 480, 290)
        drawn.chart_type = chart_kind(chart)
        native = drawn.api[1]
        series = native.SeriesCollection()
        while series.Count:  # Excel guesses some from the cells around the selection
            series(1).Delete()
        for column in chart.ys:
            series.NewSeries().Name = f"={quote_sheet(sheet.name)}!${column_letters(column + 1)}${header}"
        self.extend(sheet, chart, drawn.name, header, last)
        native.HasTitle = True
        native.ChartTitle.Text = chart.title
        native.HasLegend = len(chart.ys) > 1
        return drawn.name

    def extend(self, sheet: xw.Sheet, chart: LineChart, drawn: Any, header: int, last: int) -> None:
        series = sheet.charts[drawn].api[1].SeriesCollection()

        def cells(column: int) -> Any:
            return sheet.range(f"{address(header + 1, column + 1)}:{address(last, column + 1)}").api

        for number, column in enumerate(chart.ys, start=1):
            line = series(number)
            line.Values = cells(column)
            line.XValues = cells(chart.x)


def _value(item: Any) -> Value | None:
    if item is None or isinstance(item, (bool, float, str)):
        return item
    if isinstance(item, int):  # numbers are floats; an integer is the code of an error
        return _ERRORS.get(item & 0xFFFF, ExcelError.UNKNOWN)
    return float(item)


def _flag(cells: Any, name: str) -> bool | None:
    """A property that is None where it differs between cells; False where this Excel does not know it."""
    try:
        found = getattr(cells, name)
    except Exception as error:  # pywin32's AttributeError, or a COM error from xlwings
        if type(error) is AttributeError or getattr(error, "hresult", 0) & 0xFFFFFFFF == _UNKNOWN_NAME:
            return False
        raise
    return None if found is None else bool(found)


def _corners(cells: Any) -> tuple[int, int, int, int]:
    area = parse_range(str(cells.Address), "")
    return (area.top, area.left, area.bottom, area.right)


def _bgr(colour: str) -> int:
    red, green, blue = (int(colour[place : place + 2], 16) for place in (1, 3, 5))
    return red | green << 8 | blue << 16
