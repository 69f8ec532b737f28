"""What the `SGD log` sheet looks like: a table of records and its charts, as XlsxWriter writes them."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from io import BytesIO
from typing import Any

import xlsxwriter  # type: ignore[import-untyped]

from sgdsheet.train.logbook import COLUMNS, Column, Record, number, wants_log_axis

HEADER = 3
"""Row of the table's header, from 0."""

_FEW = 40
"""Points up to which each is marked."""

INK, MUTED, LINE, GRID = "#1F2937", "#6B7280", "#9CA3AF", "#E5E7EB"
"""The colours of text, of text that matters less, of lines, and of lines behind a chart."""

_NOTE_ROWS, _NOTE_COLUMNS = 5, 9
_WIDTHS = {"step": 10, "epoch": 9, "seconds": 10}
_MAX_TITLE = 200
AXIS: dict[str, Any] = {
    "num_font": {"color": MUTED},
    "name_font": {"color": MUTED, "bold": False},
    "line": {"color": LINE},
    "label_position": "low",
    "major_tick_mark": "outside",
    "minor_tick_mark": "none",
}


@dataclass(frozen=True, slots=True)
class _Table:
    """The columns that hold anything, and where they stand."""

    sheet: str
    records: Sequence[Record]
    columns: list[Column]
    values: dict[str, list[float | None]] = field(default_factory=dict)

    def area(self, name: str) -> list[Any]:
        place = [column.field for column in self.columns].index(name)
        return [self.sheet, HEADER + 1, place, HEADER + len(self.records), place]

    def label(self, name: str) -> list[Any]:
        return [self.sheet, HEADER, self.area(name)[2]]

    def known(self, name: str) -> list[float]:
        return [value for value in self.values.get(name, []) if value is not None]


def draw(
    records: Sequence[Record], title: str, sheet: str, font: Mapping[str, Any], notes: Sequence[str] = ()
) -> bytes:
    """A workbook of one sheet: the records, charts beside them, notes below those. `font` is that of plain cells."""
    values = {column.field: [number(record, column.field) for record in records] for column in COLUMNS}
    columns = [column for column in COLUMNS if any(value is not None for value in values[column.field])]
    table = _Table(sheet, records, columns, values)
    file = BytesIO()
    with xlsxwriter.Workbook(file, {"in_memory": True}) as book:
        page = book.add_worksheet(sheet)
        large = {"bold": True, "font_size": font.get("font_size", 11) + 3, "font_color": INK}
        page.write_string(0, 0, title[:_MAX_TITLE], book.add_format({**font, **large}))
        page.write_string(1, 0, _summary(records), book.add_format({**font, "font_color": MUTED}))
        _write_table(book, page, table, font)
        row = _add_charts(book, page, table)
        wrapped = book.add_format({**font, "font_color": INK, "text_wrap": True, "valign": "top"})
        for note in notes:
            place = len(columns) + 1
            page.merge_range(row, place, row + _NOTE_ROWS - 1, place + _NOTE_COLUMNS - 1, note, wrapped)
            row += _NOTE_ROWS + 1
        page.freeze_panes(HEADER + 1, 0)
        page.hide_gridlines(2)
        page.set_landscape()
        page.fit_to_pages(1, 0)
    return file.getvalue()


def _write_table(book: Any, page: Any, table: _Table, font: Mapping[str, Any]) -> None:
    look = {"bold": True, "align": "right", "bottom": 2, "bottom_color": LINE, "bg_color": "#F3F4F6"}
    head = book.add_format({**font, **look})
    for place, column in enumerate(table.columns):
        code = _number_format(column.field, table.known(column.field))
        cells = book.add_format({**font, "num_format": code})
        page.set_column(place, place, _WIDTHS.get(column.field, 16))
        page.write_string(HEADER, place, column.label, head)
        for row, value in enumerate(table.values[column.field], HEADER + 1):
            if value is not None:
                page.write_number(row, place, value, cells)


def _summary(records: Sequence[Record]) -> str:
    first, last = records[0], records[-1]
    shown = f" The table shows {len(records):,} of them." if len(records) < last.step else ""
    start, end = (f"{record.loss:.6g}" for record in (first, last))
    course = f"training loss {start} → {end}" if len(records) > 1 else f"training loss {end}"
    return f"{last.step:,} {'step' if last.step == 1 else 'steps'}, {course}.{shown}"


def _number_format(name: str, values: Sequence[float]) -> str:
    if name == "step":
        return "#,##0"
    if name in ("epoch", "seconds"):
        return "#,##0.00" if max(values) >= 10 else "0.000"
    if any(value < 0 for value in values):
        return "#,##0.000000"
    if max(values) >= 1e6:
        return "0.0000E+00"
    return "[>=0.0001]0.000000;0.0000E+00" if min(values) < 0.0001 else "#,##0.000000"


def _add_charts(book: Any, page: Any, table: _Table) -> int:
    """The loss above, the learning rate and the gradient norm below it, right of the table; the row below them."""
    place, row = len(table.columns) + 1, HEADER + 1
    for title, names, height in (
        ("Loss", ("loss", "valid_loss"), 340),
        ("Learning rate", ("learning_rate",), 220),
        ("Gradient norm", ("gradient_norm",), 220),
    ):
        present = [name for name in names if table.known(name)]
        if present:
            page.insert_chart(row, place, _chart(book, table, title, present, height), {"object_position": 2})
            row += math.ceil(height / 20) + 1
    return row


def _chart(book: Any, table: _Table, title: str, names: Sequence[str], height: int) -> Any:
    chart = book.add_chart({"type": "scatter", "subtype": "straight"})
    for name in names:
        column = next(column for column in table.columns if column.field == name)
        fill = {"color": column.colour}
        mark = {"type": "circle", "size": 4, "fill": fill, "border": fill}
        chart.add_series(
            {
                "name": table.label(name),
                "categories": table.area("step"),
                "values": table.area(name),
                "line": {"color": column.colour, "width": 1.5},
                "marker": mark if len(table.known(name)) <= _FEW else {"type": "none"},
            }
        )
    chart.set_x_axis(AXIS | _x_axis([record.step for record in table.records]))
    chart.set_y_axis(AXIS | _y_axis([table.known(name) for name in names], title.lower()))
    chart.set_title({"name": title, "overlay": False, "name_font": {"size": 13, "color": INK}})
    chart.set_legend({"position": "top"} if len(names) > 1 else {"none": True})
    chart.set_chartarea({"border": {"color": "#D1D5DB"}, "fill": {"color": "#FFFFFF"}})
    chart.show_blanks_as("span")
    chart.set_size({"width": 620, "height": height})
    return chart


def _x_axis(steps: Sequence[int]) -> dict[str, Any]:
    ends = {"min": 0 if steps[0] <= 1 else steps[0], "max": steps[-1]} if steps[-1] > steps[0] else {}
    return {"name": "step", "num_format": "#,##0", "major_gridlines": {"visible": False}, **ends}


def _y_axis(series: Sequence[Sequence[float]], name: str) -> dict[str, Any]:
    """Logarithmic where that shows more; never for zeros, about which Excel would complain."""
    faint = {"visible": True, "line": {"color": GRID, "width": 0.75}}
    axis: dict[str, Any] = {
        "name": name,
        "num_format": "General",
        "crossing": "min",
        "major_gridlines": faint,
    }
    values = [value for part in series for value in part]
    if name != "learning rate" and wants_log_axis(values):
        low, high = math.floor(math.log10(min(values))), math.ceil(math.log10(max(values)))
        axis |= {"log_base": 10, "min": float(f"1e{low}"), "max": float(f"1e{high}")}
    return axis
