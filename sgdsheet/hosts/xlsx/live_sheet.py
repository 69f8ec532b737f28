"""What the sheets of live commands look like in a file: rows, colours and a chart, as XlsxWriter writes them.

In a spreadsheet program the same `ReportSheet` is put into the open workbook.
"""

from __future__ import annotations

from collections.abc import Mapping
from io import BytesIO
from typing import Any

import xlsxwriter  # type: ignore[import-untyped]

from sgdsheet.hosts.base import HEAT, LineChart, ReportSheet
from sgdsheet.hosts.xlsx.log_sheet import AXIS, GRID, INK
from sgdsheet.sheet.references import Range
from sgdsheet.sheet.workbook import ExcelError, Value

_WIDEST = 40
"""Characters of the widest column."""


_NO_REFERENCE = "!\u2060"
"""An exclamation mark with a word joiner: the writer takes a title such as `Training of Model!E4` for a reference."""


def draw_live(own: ReportSheet, sheet: str, font: Mapping[str, Any]) -> bytes:
    """A workbook of one sheet that shows what the live command made. `font` is that of plain cells."""
    file = BytesIO()
    with xlsxwriter.Workbook(file, {"in_memory": True}) as book:
        page = book.add_worksheet(sheet)
        looks = _Looks(book, own, font)
        header = max(own.bold, default=1)
        widths: dict[int, int] = {}
        for number, row in enumerate(own.rows, start=1):
            for column, value in enumerate(row):
                if value is not None:
                    _write(page, number - 1, column, value, looks.at(number, column + 1))
                    if number >= header:  # a title above the table may reach over several columns
                        widths[column] = max(widths.get(column, 0), _width(value))
        for column, width in widths.items():
            page.set_column(column, column, min(max(width + 1, 9), _WIDEST))
        for area in own.heat:
            if reach := _reach(own, area):
                page.conditional_format(area.a1, _heat(reach))
        last = max(map(len, own.rows), default=0)
        if own.chart is not None and len(own.rows) > header:
            head, end = own.chart.header or header, own.chart.last or len(own.rows)
            page.insert_chart(1, last + 1, _chart(book, own.chart, sheet, head, end))
    return file.getvalue()


class _Looks:
    """The formats of cells: bold in some rows, and numbers as the sheet says."""

    def __init__(self, book: Any, own: ReportSheet, font: Mapping[str, Any]) -> None:
        self._book, self._font, self._bold = book, font, frozenset(own.bold)
        self._codes = {at: code for code, areas in own.formats for area in areas for at in area.positions()}
        self._known: dict[tuple[bool, str], Any] = {}

    def at(self, row: int, column: int) -> Any:
        """The format of a cell."""
        bold, code = row in self._bold, self._codes.get((row, column), "")
        if (bold, code) not in self._known:
            more = ({"bold": True} if bold else {}) | ({"num_format": code} if code else {})
            self._known[bold, code] = self._book.add_format({**self._font, **more})
        return self._known[bold, code]


def _write(page: Any, row: int, column: int, value: Value, look: Any) -> None:
    """A cell; a text is no formula and no link, whatever it looks like."""
    if isinstance(value, bool):
        page.write_boolean(row, column, value, look)
    elif isinstance(value, str | ExcelError):
        page.write_string(row, column, str(value), look)
    else:
        page.write_number(row, column, value, look)


def _width(value: Value) -> int:
    return len(f"{value:.10g}") if isinstance(value, float) else len(str(value))


def _reach(own: ReportSheet, area: Range) -> float:
    """The largest size of a number in an area."""
    cells = (item for row in own.rows[area.top - 1 : area.bottom] for item in row[area.left - 1 : area.right])
    return max((abs(item) for item in cells if type(item) is float), default=0.0)


def _heat(reach: float) -> dict[str, Any]:
    """A scale of three colours, with zero in the middle."""
    scale: dict[str, Any] = {"type": "3_color_scale"}
    for place, value, colour in zip(("min", "mid", "max"), (-reach, 0.0, reach), HEAT, strict=True):
        scale |= {f"{place}_type": "num", f"{place}_value": value, f"{place}_color": colour}
    return scale


def _chart(book: Any, lines: LineChart, sheet: str, header: int, last: int) -> Any:
    chart = book.add_chart({"type": "scatter", **({} if lines.points else {"subtype": "straight"})})
    for column in lines.ys:
        chart.add_series(
            {
                "name": [sheet, header - 1, column],
                "categories": [sheet, header, lines.x, last - 1, lines.x],
                "values": [sheet, header, column, last - 1, column],
                **({} if lines.points else {"marker": {"type": "none"}, "line": {"width": 1.5}}),
            }
        )
    chart.set_title(
        {"name": lines.title.replace("!", _NO_REFERENCE), "overlay": False, "name_font": {"size": 13, "color": INK}}
    )
    chart.set_x_axis(AXIS | {"major_gridlines": {"visible": False}})
    chart.set_y_axis(AXIS | {"crossing": "min", "major_gridlines": {"visible": True, "line": {"color": GRID}}})
    chart.set_legend({"position": "top"} if len(lines.ys) > 1 else {"none": True})
    return chart
