"""Charts of .ods and .fods books: those of an .xlsx are the same in what LibreOffice makes of it."""

from __future__ import annotations

import zipfile
from dataclasses import replace
from pathlib import Path

import pytest
import xlsxwriter

import sgdsheet
from sgdsheet.analysis.observation import charts_of_fit
from sgdsheet.sheet.charts import Axis, Chart, ChartKind, Series, Words
from sgdsheet.sheet.references import Range, parse_range
from sgdsheet.sheet.workbook import Workbook
from tests.chart_books import charted
from tests.office import LibreOffice

DATA = "Bob's data & more"


def other_kinds(path: Path) -> Path:
    """Charts on one sheet of numbers on another, whose name needs quotes."""
    with xlsxwriter.Workbook(path) as book:
        page, sheet = book.add_worksheet("charts"), book.add_worksheet(DATA)
        for row in range(12):
            sheet.write_row(row, 0, [row * 0.5, 3.0 + row % 4, 2.0 - row % 3, 1.0 + row])
        sheet.write_row("A20", ["", "North", "South", "East"])
        sheet.write_row("A21", ["2025", 4, 5, 6])
        sheet.write_row("A22", ["2026", 7, 8, 9])
        across = {"categories": [DATA, 19, 1, 19, 3]}
        columns = [{"values": [DATA, 0, column, 11, column]} for column in (1, 2)]
        rows = [{"name": [DATA, row, 0], "values": [DATA, row, 1, row, 3], **across} for row in (20, 21)]
        x = {"categories": [DATA, 0, 0, 11, 0]}
        marked, unmarked = {"marker": {"type": "diamond"}}, {"marker": {"type": "none"}}
        kinds: list[tuple[dict[str, str], list[dict[str, object]]]] = [
            ({"type": "area", "subtype": "stacked"}, columns),
            ({"type": "area", "subtype": "percent_stacked"}, rows),
            ({"type": "column", "subtype": "stacked"}, rows),
            ({"type": "bar"}, rows),
            ({"type": "line", "subtype": "stacked"}, rows),
            ({"type": "line", "subtype": "percent_stacked"}, rows),
            ({"type": "line"}, [{**columns[0], **marked}, {**columns[1], **unmarked}]),
            ({"type": "scatter", "subtype": "straight"}, [{**x, **item, **unmarked} for item in columns]),
            ({"type": "scatter", "subtype": "straight_with_markers"}, [{**x, **item, **marked} for item in columns]),
            ({"type": "pie"}, rows[:1]),
            ({"type": "doughnut"}, rows),
        ]
        for place, (kind, series) in enumerate(kinds):
            chart = book.add_chart(kind)
            for item in series:
                chart.add_series(item)
            chart.set_title({"name": f"No. {place} <&>"})
            page.insert_chart(2 + 17 * place, 1, chart)  # LibreOffice 7 forgets empty cells before others
    return path


def told(words: Words, book: Workbook) -> str:
    """The text that a title shows: LibreOffice writes it where Excel's file has a reference."""
    return str(book.sheets[words.sheet].values[words.top, words.left]) if isinstance(words, Range) else words


def series_with(found: Series, wanted: Series) -> Series:
    """A series with the colours of another where that has some: LibreOffice writes those of the theme as well."""
    slices = tuple(
        ours if theirs is not None else None
        for ours, theirs in zip(found.slice_colours, wanted.slice_colours, strict=False)
    )
    return replace(found, colour=found.colour if wanted.colour else None, slice_colours=slices)


def as_in(found: Chart, wanted: Chart, book: Workbook) -> tuple[Chart, Chart]:
    def plain(axis: Axis) -> Axis:
        return replace(axis, title=told(axis.title, book))

    series = tuple(map(series_with, found.series, wanted.series))
    return replace(found, series=series), replace(
        wanted, title=told(wanted.title, book), x=plain(wanted.x), y=plain(wanted.y)
    )


@pytest.mark.parametrize("ending", ["ods", "fods"])
@pytest.mark.parametrize("build", [charted, other_kinds])
def test_the_charts_are_those_of_the_workbook(
    tmp_path: Path, converter: LibreOffice, build: object, ending: str
) -> None:
    source = build(tmp_path / "book.xlsx")  # type: ignore[operator]
    wanted = sgdsheet.load(source)
    found = sgdsheet.load(converter.convert(source, tmp_path / f"book.{ending}"))
    assert len(found.charts) == len(wanted.charts) >= 7
    for ours, theirs in zip(found.charts, wanted.charts, strict=True):
        assert len(ours.series) == len(theirs.series)
        left, right = as_in(ours, theirs, wanted)
        assert left == right


def test_training_moves_them(tmp_path: Path, converter: LibreOffice) -> None:
    path = converter.convert(charted(tmp_path / "book.xlsx"), tmp_path / "book.ods")
    kinds = [chart.series[0].kind for chart in charts_of_fit(sgdsheet.compile(sgdsheet.load(path)))]
    assert kinds == [ChartKind.SCATTER, ChartKind.LINE, ChartKind.BAR, ChartKind.DOUGHNUT]


def written(path: Path, content: str, chart: str | None) -> Path:
    """An .ods file whose sheet holds one frame with an object."""
    spaces = " ".join(
        f'xmlns:{prefix}="urn:oasis:names:tc:opendocument:xmlns:{name}:1.0"'
        for prefix, name in {
            **{name: name for name in ("office", "table", "text", "chart", "style")},
            "draw": "drawing",
            "svg": "svg-compatible",
        }.items()
    ) + ' xmlns:xlink="http://www.w3.org/1999/xlink"'  # fmt: skip
    with zipfile.ZipFile(path, "w") as package:
        package.writestr("mimetype", "application/vnd.oasis.opendocument.spreadsheet")
        package.writestr(
            "content.xml",
            f"<office:document-content {spaces}><office:body><office:spreadsheet>{content}"
            "</office:spreadsheet></office:body></office:document-content>",
        )
        if chart is not None:
            package.writestr(
                "Chart/content.xml",
                f"<office:document-content {spaces}><office:body><office:chart>{chart}"
                "</office:chart></office:body></office:document-content>",
            )
    return path


FRAME = '<draw:frame svg:width="5in" svg:height="3in"><draw:object xlink:href="./Chart"/></draw:frame>'
CELLS = '<table:table-cell office:value-type="float" office:value="{}"/>'
ROWS = "".join(f"<table:table-row>{CELLS.format(number)}</table:table-row>" for number in (1, 2, 4))
IN_CELL = (
    f'<table:table table:name="S">{ROWS}<table:table-row><table:table-cell/>'
    f'<table:table-cell office:value-type="string">{FRAME}'
    '<text:p>beside</text:p></table:table-cell></table:table-row></table:table>'
)  # fmt: skip
ON_PAGE = f'<table:table table:name="S"><table:shapes>{FRAME}</table:shapes>{ROWS}</table:table>'
CHART = (
    '<chart:chart chart:class="chart:{}"><chart:plot-area><chart:series'
    ' chart:values-cell-range-address="{}"/></chart:plot-area></chart:chart>'
)


@pytest.mark.parametrize(
    ("content", "anchor"), [(IN_CELL, Range("S", 4, 2, 21, 8)), (ON_PAGE, None)], ids=["cell", "page"]
)
@pytest.mark.parametrize("address", ["S.A1:S.A3", "$S.$A$1:.$A$3", "S.A1:.A2 S.A3", "$'S'.A1:'S'.A3"])
def test_spellings_of_other_programs(tmp_path: Path, content: str, anchor: Range | None, address: str) -> None:
    book = sgdsheet.load(written(tmp_path / "book.ods", content, CHART.format("line", address)))
    (chart,) = book.charts
    (series,) = chart.series
    assert chart.anchor == anchor
    assert series.kind is ChartKind.LINE
    assert [cell for area in series.values for cell in area.cells()] == list(parse_range("S!A1:A3", "").cells())
    values = {(1, 1): 1.0, (2, 1): 2.0, (3, 1): 4.0}
    assert book.sheets["S"].values == (values | {(4, 2): "beside"} if anchor else values)


@pytest.mark.parametrize(
    "chart",
    [
        None,
        CHART.format("radar", "S.A1:S.A3"),
        CHART.format("line", "local-table.A1:local-table.A3"),
        CHART.format("line", "S.A1:T.A3"),
        CHART.format("line", "nonsense"),
        CHART.format("line", ""),
        "<chart:chart/>",
        "",
        "<chart:chart",
        '<chart:chart chart:class="chart:line">' + "<chart:plot-area>" * 100 + "</chart:plot-area>" * 100,
    ],
)
def test_what_is_no_chart_of_these_cells_is_passed_over(tmp_path: Path, chart: str | None) -> None:
    book = sgdsheet.load(written(tmp_path / "book.ods", IN_CELL, chart))
    assert book.charts == []
    assert len(book.sheets["S"].values) == 4


def test_frames_in_frames_and_texts_in_them(tmp_path: Path) -> None:
    """The text of a box is no text of its cell, and a table in it is no sheet."""
    deep = "<draw:g>" * 500 + "</draw:g>" * 500
    table = f'<table:table table:name="inside">{ROWS}</table:table>'
    box = f"<draw:frame><draw:text-box><text:p>in the box</text:p>{table}</draw:text-box>{FRAME}{deep}</draw:frame>"
    content = IN_CELL.replace(FRAME, box + FRAME)
    book = sgdsheet.load(written(tmp_path / "book.ods", content, CHART.format("bar", "S.A1:S.A3")))
    assert list(book.sheets) == ["S"]
    assert book.sheets["S"].values[4, 2] == "beside"
    assert [chart.series[0].kind for chart in book.charts] == [ChartKind.COLUMN]
