"""What the `SGD report` sheet looks like: a page to print, as XlsxWriter writes it."""

from __future__ import annotations

from collections.abc import Mapping
from io import BytesIO
from typing import Any

import xlsxwriter  # type: ignore[import-untyped]

from sgdsheet.analysis.reporting.page import (
    WIDTHS,
    Entry,
    Figures,
    Kind,
    Note,
    Page,
    Part,
    ResidualPlot,
    Table,
    largest_of,
    shown_as,
)
from sgdsheet.hosts.xlsx.log_sheet import AXIS, GRID, INK, LINE, MUTED

_POINT = "#27567F"
_TEXTS = (Kind.TEXT, Kind.WORD)
_MAX_TEXT = 250
_LETTERS_PER_LINE = 128
"""Characters of a sentence that fit the width of the page."""

_ROW, _PLOT_ROWS = 20, 15
"""The height of a row, and the rows that a chart covers."""

_PAGE_ROWS = 70
"""Rows that fit a page of paper as wide as the report, a little fewer than there are."""

_PLOT_WIDTH = 960
_FEW = 300
"""Points up to which each is marked boldly."""


def draw_report(page: Page, sheet: str, font: Mapping[str, Any]) -> bytes:
    """A workbook of one sheet that shows the page. `font` is that of plain cells."""
    file = BytesIO()
    with xlsxwriter.Workbook(file, {"in_memory": True}) as book:
        drawing = _Drawing(book, book.add_worksheet(sheet), sheet, font)
        drawing.draw(page)
    return file.getvalue()


class _Drawing:
    """Writes a page from top to bottom; `row` is the next free row, from 0."""

    def __init__(self, book: Any, sheet: Any, name: str, font: Mapping[str, Any]) -> None:
        self.book, self.sheet, self.name, self.font = book, sheet, name, font
        self.row = 0
        self._formats: dict[tuple[tuple[str, Any], ...], Any] = {}
        self._tables: dict[str, tuple[int, int]] = {}
        self._plots: list[tuple[int, ResidualPlot]] = []

    def draw(self, page: Page) -> None:
        """Write everything, and set up the paper."""
        size = self.font.get("font_size", 11)
        for place, width in enumerate(WIDTHS):
            self.sheet.set_column(place, place, width, self._look())
        self._text(0, page.title[:_MAX_TEXT], bold=True, font_size=size + 5, font_color=INK)
        self.sheet.set_row(self.row, 26)
        self.row += 1
        self._text(0, page.subtitle[:_MAX_TEXT], font_color=MUTED)
        self.row += 2
        for section in page.sections:
            for place in range(len(WIDTHS)):
                self._text(place, section.title if not place else "", bold=True, font_size=size + 2, font_color=INK,
                           bottom=2, bottom_color=INK)  # fmt: skip
            self.sheet.set_row(self.row, 22)
            self.row += 1
            before: Part | None = None
            for part in section.parts:
                if isinstance(part, Note | ResidualPlot) and not isinstance(before, Note | None):
                    self.row += 1
                self._part(part)
                before = part
            self.row += 1
        breaks = [row for row, _ in self._plots if row // _PAGE_ROWS < (row + _PLOT_ROWS) // _PAGE_ROWS]
        self.sheet.set_h_pagebreaks(breaks)  # no chart is cut in two
        for row, plot in self._plots:
            if plot.table in self._tables:
                options = {"object_position": 2, "x_offset": 4, "y_offset": 6}
                self.sheet.insert_chart(row, 0, self._chart(plot), options)
        self.sheet.hide_gridlines(2)
        self.sheet.set_paper(9)
        self.sheet.set_margins(left=0.5, right=0.5, top=0.6, bottom=0.7)
        self.sheet.fit_to_pages(1, 0)
        self.sheet.set_footer("&L&8&F&R&8&P / &N")

    def _part(self, part: Part) -> None:
        if isinstance(part, Table):
            self._table(part)
        elif isinstance(part, Figures):
            self._figures(part)
        elif isinstance(part, Note):
            self._note(part.text)
        else:
            self._plots.append((self.row, part))
            self.row += _PLOT_ROWS + 1

    def _note(self, text: str) -> None:
        wrapped = self._look(font_color=INK, text_wrap=True, valign="top")
        self.sheet.merge_range(self.row, 0, self.row, len(WIDTHS) - 1, "", wrapped)
        self.sheet.write_string(self.row, 0, text, wrapped)
        lines = -(-len(text) // _LETTERS_PER_LINE)
        if lines > 1:
            self.sheet.set_row(self.row, 15 * lines + 2)
        self.row += 1

    def _figures(self, part: Figures) -> None:
        half = -(-len(part.entries) // 2)
        for place, (label, value, kind) in enumerate(part.entries):
            row, column = self.row + 1 + place % half, 4 * (place // half)
            self.sheet.write_string(row, column, label, self._look(font_color=INK))
            self._entry(row, column + 2, value, kind)
        self.row += half + 2

    def _table(self, part: Table) -> None:
        self.row += 1
        if part.title:
            self._text(0, part.title, bold=True, font_color=INK)
            self.row += 1
        for place, column in enumerate(part.columns):
            self._text(place, column.label, bold=True, align="left" if column.kind is Kind.TEXT else "right",
                       bottom=1, bottom_color=LINE, bg_color="#F3F4F6", font_color=INK)  # fmt: skip
        self._tables[part.title] = (self.row, len(part.rows))
        largest = [largest_of(part.rows, place) for place in range(len(part.columns))]
        for row in part.rows:
            self.row += 1
            for place, (column, value) in enumerate(zip(part.columns, row, strict=False)):
                self._entry(self.row, place, value, column.kind, largest[place])
        self.row += 1

    def _entry(self, row: int, column: int, value: Entry, kind: Kind, largest: float = 0.0) -> None:
        if value is None:
            return
        if isinstance(value, str):
            aligned = "left" if kind is Kind.TEXT else "right"
            look = {"align": aligned} if kind in _TEXTS else {"align": aligned, "font_color": MUTED}
            self.sheet.write_string(row, column, value[:_MAX_TEXT], self._look(**look))
        else:
            shown = shown_as(value, kind, largest)
            look = {"num_format": shown, "align": "left"} if kind is Kind.TEXT else {"num_format": shown}
            self.sheet.write_number(row, column, value, self._look(**look))

    def _text(self, column: int, text: str, **look: Any) -> None:
        if text:
            self.sheet.write_string(self.row, column, text, self._look(**look))
        else:
            self.sheet.write_blank(self.row, column, None, self._look(**look))

    def _look(self, **look: Any) -> Any:
        key = tuple(sorted(look.items()))
        if key not in self._formats:
            self._formats[key] = self.book.add_format({**self.font, **look})
        return self._formats[key]

    def _chart(self, plot: ResidualPlot) -> Any:
        header, count = self._tables[plot.table]
        chart = self.book.add_chart({"type": "scatter"})
        fill = {"color": _POINT}
        chart.add_series(
            {
                "name": [self.name, header, plot.y],
                "categories": [self.name, header + 1, plot.x, header + count, plot.x],
                "values": [self.name, header + 1, plot.y, header + count, plot.y],
                "marker": {"type": "circle", "size": 5 if count <= _FEW else 3, "fill": fill, "border": fill},
            }
        )
        plain = {"num_format": "General", "label_position": "low"}
        label = plot.title.rpartition(" by ")[2]
        chart.set_x_axis(AXIS | plain | {"name": label, "major_gridlines": {"visible": False}})
        faint = {"visible": True, "line": {"color": GRID, "width": 0.75}}
        chart.set_y_axis(AXIS | plain | {"name": "residual", "crossing": "min", "major_gridlines": faint})
        chart.set_title({"name": plot.title, "overlay": False, "name_font": {"size": 12, "color": INK}})
        chart.set_legend({"none": True})
        chart.set_chartarea({"border": {"color": "#D1D5DB"}, "fill": {"color": "#FFFFFF"}})
        chart.set_size({"width": _PLOT_WIDTH, "height": _PLOT_ROWS * _ROW})
        return chart
