"""Sheets of our own in an open spreadsheet, with heat maps and charts. Part of the agent."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any

import uno  # type: ignore[import-not-found]
from com.sun.star.awt import Rectangle, Size  # type: ignore[import-not-found]
from com.sun.star.beans import PropertyValue  # type: ignore[import-not-found]
from com.sun.star.chart.ChartAxisLabelPosition import OUTSIDE_START as BELOW  # type: ignore[import-not-found]
from com.sun.star.drawing.FillStyle import NONE as NO_FILL  # type: ignore[import-not-found]
from com.sun.star.drawing.LineStyle import NONE as NO_LINE  # type: ignore[import-not-found]
from com.sun.star.lang import Locale  # type: ignore[import-not-found]
from com.sun.star.table import CellAddress  # type: ignore[import-not-found]

from sgdsheet.hosts.libreoffice.agent.bars import OURS
from sgdsheet.hosts.libreoffice.agent.cells import Refused, a1, quoted, rectangle

EVERYTHING = 1023  # com.sun.star.sheet.CellFlags
NO_SYMBOL, CIRCLE = -3, 8  # com.sun.star.chart.ChartSymbolType, and one of its standard symbols
# 1/100 mm
CHART_SIZE = (16_000, 9_000)
NUMBER_WIDTH, LETTER_WIDTH = 2_800, 190
LINE_WIDTH = 60
POINT = 140
GREY = 0xD1D5DB
COLOURS = (0x2563EB, 0xEA580C, 0x059669, 0x9333EA)

# A sheet with colour scales, which no call can make: it is loaded as a document, and its sheet imported.
SCALES = """<?xml version="1.0" encoding="UTF-8"?>
<office:document xmlns:office="urn:oasis:names:tc:opendocument:xmlns:office:1.0"
 xmlns:table="urn:oasis:names:tc:opendocument:xmlns:table:1.0"
 xmlns:calcext="urn:org:documentfoundation:names:experimental:calc:xmlns:calcext:1.0"
 office:version="1.3" office:mimetype="application/vnd.oasis.opendocument.spreadsheet"><office:body>
<office:spreadsheet><table:table table:name="S"><table:table-column/><table:table-row><table:table-cell/>
</table:table-row><calcext:conditional-formats>%s</calcext:conditional-formats></table:table></office:spreadsheet>
</office:body></office:document>"""
SCALE = """<calcext:conditional-format calcext:target-range-address="%s"><calcext:color-scale>
<calcext:color-scale-entry calcext:value="0" calcext:type="minimum" calcext:color="#5a8ac6"/>
<calcext:color-scale-entry calcext:value="0" calcext:type="number" calcext:color="#ffffff"/>
<calcext:color-scale-entry calcext:value="0" calcext:type="maximum" calcext:color="#f8696b"/>
</calcext:color-scale></calcext:conditional-format>"""


def report_sheet(
    document: Any, desktop: Any, service: Callable[[str], Any], name: str, mark: str, heat: list[list[int]]
) -> Any:
    """An empty sheet of ours. One that is there is emptied, not removed: formulas may refer to it."""
    sheets = document.Sheets
    if sheets.hasByName(name):
        sheet = sheets.getByName(name)
        if not sheet.NamedRanges.hasByName(mark):
            raise Refused("report sheet", sheet=name)
        if not heat and not sheet.ConditionalFormats.Length:
            sheet.clearContents(EVERYTHING)
            for chart in sheet.Charts.ElementNames:
                sheet.Charts.removeByName(chart)
            return sheet
        sheets.removeByName(name)
    if heat:
        sheet = _with_scales(desktop, service, sheets, heat)
        sheet.Name = name
    else:
        sheets.insertNewByName(name, sheets.Count)
        sheet = sheets.getByName(name)
    sheet.NamedRanges.addNewByName(mark, f"{quoted(name)}.$A$1", CellAddress(), 0)
    return sheet


def _with_scales(desktop: Any, service: Callable[[str], Any], sheets: Any, heat: list[list[int]]) -> Any:
    """A new last sheet, with areas coloured from low over zero to high."""
    scales = [SCALE % f"S.{a1(top, left)}:S.{a1(bottom, right)}" for top, left, bottom, right in heat]
    stream = service("com.sun.star.io.SequenceInputStream")
    stream.initialize((uno.ByteSequence((SCALES % "".join(scales)).encode()),))
    loading = properties(InputStream=stream, Hidden=True, FilterName="OpenDocument Spreadsheet Flat XML")
    source = desktop.loadComponentFromURL("private:stream", "_blank", 0, loading)
    try:
        number = sheets.importSheet(source, "S", sheets.Count)
    finally:
        source.close(True)
    return sheets.getByIndex(number)


def fit_columns(sheet: Any, rows: list[list[Any]]) -> None:
    """Make columns as wide as their texts; numbers show as many digits as there is room for.

    A text that stands alone in its row is a title, which runs over the cells beside it.
    """
    begun = [row for row in rows if row and isinstance(row[0], str) and row[0]]
    titled = any(len(row) > 1 and not any(row[1:]) for row in begun)
    longest = max((len(row[0]) for row in begun if any(row[1:])), default=0)
    for number, column in enumerate(zip(*rows)):  # noqa: B905 (not in Python 3.8)
        found = sheet.Columns.getByIndex(number)
        found.OptimalWidth = True
        if (titled and not number) or any(isinstance(value, float) and not value.is_integer() for value in column):
            found.Width = NUMBER_WIDTH if number else max(NUMBER_WIDTH, longest * LETTER_WIDTH)


def show_numbers(document: Any, sheet: Any, formats: list[tuple[str, list[list[int]]]]) -> None:
    """Give formats, as Excel writes them in English, to the numbers of areas."""
    english = Locale("en", "US", "")
    for shown, areas in formats:
        key = document.NumberFormats.queryKey(shown, english, False)
        if key < 0:
            key = document.NumberFormats.addNew(shown, english)
        for area in areas:
            rectangle(sheet, area).NumberFormat = key


def add_chart(sheet: Any, chart: dict[str, Any], header: int, rows: list[list[Any]]) -> None:
    """A chart to the right of all columns, of the rows from the header (0: there is none) to the last."""
    header = chart["header"] or header
    first, width = max(header, 1), max(map(len, rows), default=1)
    last = chart["last"] or max(len(rows), first)
    areas = [rectangle(sheet, [first, item + 1, last, item + 1]) for item in (chart["x"], *chart["ys"])]
    corner = sheet.getCellByPosition(width + 1, first - 1).Position
    place = Rectangle(corner.X, corner.Y, *CHART_SIZE)
    sheet.Charts.addNewByName(OURS, place, tuple(area.RangeAddress for area in areas), header > 0, True)
    drawn = sheet.Charts.getByName(OURS).EmbeddedObject
    diagram = drawn.createInstance("com.sun.star.chart.XYDiagram")
    drawn.setDiagram(diagram)
    diagram.Lines, diagram.SymbolType = not chart["points"], CIRCLE if chart["points"] else NO_SYMBOL
    drawn.HasMainTitle, drawn.Title.String, drawn.Title.CharHeight = True, chart["title"], 12
    drawn.HasLegend = len(chart["ys"]) > 1
    for part in (drawn.Legend, diagram.Wall):
        part.FillStyle, part.LineStyle = NO_FILL, NO_LINE
    diagram.YMainGrid.LineColor = diagram.XAxis.LineColor = diagram.YAxis.LineColor = GREY
    if header and rows[first - 1][chart["x"]]:
        diagram.HasXAxisTitle, diagram.XAxisTitle.String = True, str(rows[first - 1][chart["x"]])
    kind = drawn.getFirstDiagram().CoordinateSystems[0].ChartTypes[0]
    for colour, line in zip(itertools.cycle(COLOURS), kind.DataSeries):
        line.Color = colour
        if chart["points"]:
            symbol = line.Symbol
            symbol.Size, symbol.FillColor, symbol.BorderColor = Size(POINT, POINT), colour, colour
            line.Symbol, line.LineStyle = symbol, NO_LINE
        else:
            line.LineWidth = LINE_WIDTH
    if chart["points"]:  # the labels stand below all points, also where these lie below zero
        diagram.XAxis.LabelPosition = BELOW
        diagram.HasYAxisTitle, diagram.YAxisTitle.String = True, str(rows[first - 1][chart["ys"][0]])


def extend_chart(sheet: Any, last: int) -> None:
    """Let the chart of a report sheet reach to a row."""
    if sheet.Charts.hasByName(OURS):
        chart = sheet.Charts.getByName(OURS)
        areas = chart.getRanges()
        for area in areas:
            area.EndRow = last - 1
        chart.setRanges(areas)


def properties(**values: Any) -> tuple[Any, ...]:
    return tuple(PropertyValue(name, 0, value, 0) for name, value in values.items())
