"""Charts are read from a workbook's parts and drawn with the numbers that its cells have."""

from __future__ import annotations

import math
import zipfile
from dataclasses import replace
from pathlib import Path

import openpyxl
import openpyxl.chart
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

import sgdsheet
from sgdsheet.analysis.observation import Observer, charts_of_fit
from sgdsheet.apps.web.chart_data import chart_for_page
from sgdsheet.plots.chart_drawing import ChartPainter, ChartReader, Curve
from sgdsheet.plots.look import look, new_figure
from sgdsheet.plots.painters import painter_of
from sgdsheet.plots.pie_drawing import shares
from sgdsheet.sheet.charts import Axis, Chart, ChartKind, Series, Stacking
from sgdsheet.sheet.references import MAX_COLUMN, MAX_ROW, Range, parse_range
from sgdsheet.sheet.workbook import Workbook
from tests.chart_books import X, Y, charted

SHEET = "line & co"


def area(text: str) -> Range:
    return parse_range(text, SHEET)


@pytest.fixture
def workbook(tmp_path: Path) -> Workbook:
    return sgdsheet.load(charted(tmp_path / "charts.xlsx"))


def test_scatter(workbook: Workbook) -> None:
    chart = workbook.charts[0]
    assert (chart.sheet, chart.title) == (SHEET, "A line & its points")
    assert chart.x == Axis(area("A1"), -1.0, 5.0)
    assert chart.y == Axis("y", reversed=True)
    points, fit = chart.series
    assert points == Series(ChartKind.SCATTER, area("B1"), (area("A2:A6"),), (area("B2:B6"),), line=False, marker=True)
    assert (fit.name, fit.colour, fit.line, fit.marker) == ("fit", "#1F6B48", True, False)


@pytest.mark.parametrize(
    ("kind", "made"),
    [
        ("radar", openpyxl.chart.RadarChart),
        ("bubble", openpyxl.chart.BubbleChart),
        ("stock", openpyxl.chart.StockChart),
        ("surface", openpyxl.chart.SurfaceChart),
    ],
)
def test_a_chart_that_is_not_drawn_is_known(tmp_path: Path, kind: str, made: type) -> None:
    book = openpyxl.Workbook()
    sheet = book["Sheet"]
    for row in range(1, 5):
        sheet.append([row, row * row, 1])
    chart = made()
    chart.title = "Shares"
    if kind == "bubble":
        places = [openpyxl.chart.Reference(sheet, min_col=column, min_row=1, max_row=4) for column in (1, 2, 3)]
        chart.series.append(openpyxl.chart.Series(places[1], places[0], places[2]))
    else:
        chart.add_data(openpyxl.chart.Reference(sheet, min_col=1, max_col=3, min_row=1, max_row=4))
    sheet.add_chart(chart, "E2")
    book.save(tmp_path / "book.xlsx")
    read = sgdsheet.load(tmp_path / "book.xlsx")
    assert read.charts == []
    assert [(chart.sheet, chart.kind, chart.title) for chart in read.undrawn_charts] == [("Sheet", kind, "Shares")]
    assert read.undrawn_charts[0].anchor is not None


def test_kinds(workbook: Workbook) -> None:
    assert [chart.series[0].kind for chart in workbook.charts] == [
        ChartKind.SCATTER,
        ChartKind.LINE,
        ChartKind.BAR,
        ChartKind.COLUMN,
        ChartKind.COLUMN,
        ChartKind.PIE,
        ChartKind.DOUGHNUT,
    ]
    assert [chart.series[0].stacking for chart in workbook.charts[2:5]] == [Stacking.SUM, Stacking.SHARE, Stacking.NONE]
    assert workbook.charts[2].series[1].colour == "#A02A38"
    assert workbook.charts[3].y.log
    assert workbook.charts[1].series[0].categories == (area("G2:G6"),)


def test_charts_of_another_program(tmp_path: Path) -> None:
    path = tmp_path / "openpyxl.xlsx"
    book = openpyxl.Workbook()
    sheet = book.active
    for row in ((1, 2.0), (2, 4.0), (3, 5.0)):
        sheet.append(row)
    chart = openpyxl.chart.BarChart()
    chart.type, chart.title = "bar", "Lying"
    chart.add_data(openpyxl.chart.Reference(sheet, min_col=2, min_row=1, max_row=3))
    chart.set_categories(openpyxl.chart.Reference(sheet, min_col=1, min_row=1, max_row=3))
    sheet.add_chart(chart, "D2")
    book.save(path)
    (found,) = sgdsheet.load(path).charts
    assert found.title == "Lying"
    assert found.series[0].kind is ChartKind.BAR
    assert found.series[0].values == (parse_range("B1:B3", "Sheet"),)
    assert found.series[0].categories == (parse_range("A1:A3", "Sheet"),)


@pytest.mark.parametrize("part", ["xl/charts/chart1.xml", "xl/drawings/drawing1.xml"])
@pytest.mark.parametrize("content", ["", "<broken", "<!DOCTYPE x><x/>", "<x/>"])
def test_a_damaged_chart_does_not_stop_anybody(tmp_path: Path, part: str, content: str) -> None:
    whole, damaged = charted(tmp_path / "whole.xlsx"), tmp_path / "damaged.xlsx"
    with zipfile.ZipFile(whole) as old, zipfile.ZipFile(damaged, "w") as new:
        for name in old.namelist():
            new.writestr(name, content if name == part else old.read(name))
    found, sound = sgdsheet.load(damaged), sgdsheet.load(whole)
    assert found.sheets == sound.sheets
    unplaced = [replace(chart, anchor=None) for chart in sound.charts]
    assert found.charts == (sound.charts[1:] if "charts/" in part else unplaced)


def test_a_chart_knows_the_cells_that_it_covers(tmp_path: Path) -> None:
    charts = sgdsheet.load(charted(tmp_path / "whole.xlsx")).charts
    assert all(chart.anchor is not None and chart.anchor.sheet == chart.sheet for chart in charts)


def test_a_reference_to_nowhere(tmp_path: Path) -> None:
    whole, other = charted(tmp_path / "whole.xlsx"), tmp_path / "other.xlsx"
    with zipfile.ZipFile(whole) as old, zipfile.ZipFile(other, "w") as new:
        for name in old.namelist():
            content = old.read(name)
            if name == "xl/charts/chart1.xml":
                content = content.replace(b"$C$2:$C$6", b"#REF!").replace(b"'line &amp; co'!$B$2:$B$6", b"gone!$B:$B")
            new.writestr(name, content)
    workbook = sgdsheet.load(other)
    model = sgdsheet.compile(workbook)
    (series,) = workbook.charts[0].series
    assert series.values == (parse_range("gone!B:B", ""),)
    drawing = ChartReader(workbook.charts[0], workbook).drawing(
        Observer(model, workbook.charts[0].areas).at(start(model))
    )
    assert drawing.curves[0].y == []


def start(model: sgdsheet.SheetModel) -> list:  # type: ignore[type-arg]
    return [tensor.detach().clone() for _, tensor in model.ranges()]


def test_charts_that_training_moves(workbook: Workbook) -> None:
    model = sgdsheet.compile(workbook)
    assert charts_of_fit(model) == [*workbook.charts[:3], workbook.charts[6]]


def test_numbers_are_those_of_the_parameters(workbook: Workbook) -> None:
    model = sgdsheet.compile(workbook)
    charts = charts_of_fit(model)
    observer = Observer(model, [area for chart in charts for area in chart.areas])
    there = [start(model)[0].new_tensor([2.0, 1.0])]
    scatter, lines, bars, ring = (ChartReader(chart, workbook).drawing(observer.at(there)) for chart in charts)
    assert [curve.y for curve in scatter.curves] == [Y, Y]
    assert scatter.curves[1].x == X
    assert [curve.name for curve in scatter.curves] == ["y", "fit"]
    assert (scatter.x_title, scatter.y_title) == ("x", "y")
    assert lines.curves[0].labels == ["a", "b", "c", "d", "e"]
    assert lines.curves[0].x == [1.0, 2.0, 3.0, 4.0, 5.0]
    assert [curve.y for curve in bars.curves] == [curve.y for curve in ring.curves] == [Y, Y]


def test_an_error_is_a_gap(tmp_path: Path) -> None:
    path = charted(tmp_path / "gap.xlsx", formula="=$E$1*A{0}+$E$2*1/A{0}^0")
    workbook = sgdsheet.load(path)
    model = sgdsheet.compile(workbook, loss="C6", params="E1:E2")
    reader = ChartReader(workbook.charts[0], workbook)
    drawing = reader.drawing(Observer(model, workbook.charts[0].areas).at(start(model)))
    assert math.isnan(drawing.curves[1].y[0])  # 0^0 is #NUM!
    assert drawing.curves[1].y[1:] == [0.5, 1.0, 1.5, 2.0]


def test_pies(workbook: Workbook) -> None:
    pie, ring = workbook.charts[5:]
    assert pie.is_round
    assert pie.series == (
        Series(ChartKind.PIE, "", (area("G2:G6"),), (area("B2:B6"),), line=False, slice_colours=("#A02A38",)),
    )
    assert [item.values for item in ring.series] == [(area("B2:B6"),), (area("C2:C6"),)]


def test_slices_move(workbook: Workbook) -> None:
    chart = workbook.charts[6]
    readings = [{area("C2").first._replace(row=2 + row): value for row, value in enumerate(ys)} for ys in ([1.0], Y)]
    first, last = (ChartReader(chart, workbook).drawing(values.get) for values in readings)
    with look():
        painter = painter_of(Figure().subplots(), [first, last])
    whole, *others = painter.moving[5:]  # the second ring
    assert whole.theta2 - whole.theta1 == 360
    assert not any(patch.get_visible() for patch in others)
    painter.show(last)
    angles = [patch.theta2 - patch.theta1 for patch in painter.moving[5:]]
    assert angles == pytest.approx([360 * value / sum(Y) for value in Y])
    assert painter.moving[5].theta2 == 90  # clockwise from the top


def test_a_pie_of_many_slices_keeps_its_shares() -> None:
    curve = Curve(Series(ChartKind.PIE, "", (), ()), "", [], [-1.0] * 50 + [2.0] * 50 + [math.nan], [])
    assert shares(curve) == pytest.approx([1 / 150] * 50 + [2 / 150] * 10 + [80 / 150])
    assert shares(replace(curve, y=[0.0, math.nan])) == [0.0, 0.0]


def moved(workbook: Workbook, index: int, to: list[float]) -> ChartPainter:
    model = sgdsheet.compile(workbook)
    chart = workbook.charts[index]
    observer, reader = Observer(model, chart.areas), ChartReader(chart, workbook)
    first = reader.drawing(observer.at(start(model)))
    last = reader.drawing(observer.at([start(model)[0].new_tensor(to)]))
    with look():
        painter = ChartPainter(Figure().subplots(), [first, last])
        painter.show(last)
    return painter


@pytest.mark.parametrize("title", ["", "A line & its points"])
def test_the_legend_is_within_the_picture(workbook: Workbook, title: str) -> None:
    drawing = ChartReader(workbook.charts[0], workbook).drawing(lambda cell: 1.0)
    drawing.title = title
    with look():
        figure = new_figure(5, 4)
        axes = ChartPainter(figure.subplots(), [drawing]).axes
        FigureCanvasAgg(figure).draw()
    assert axes.get_legend().get_window_extent().y1 < figure.bbox.y1


def test_a_drawn_line_moves(workbook: Workbook) -> None:
    painter = moved(workbook, 0, [2.0, 1.0])
    points, fit = painter.axes.lines
    assert list(points.get_ydata()) == list(fit.get_ydata()) == Y
    assert (points.get_linestyle(), fit.get_linestyle()) == ("None", "-")
    assert painter.axes.get_xlim() == (-1, 5)
    low, high = painter.axes.get_ylim()
    assert low > 9 > 1 > high  # upside down, as the chart asks for
    assert (painter.axes.get_title(loc="left"), painter.axes.get_xlabel()) == ("A line & its points", "x")


def test_drawn_bars_move_and_stand_on_each_other(workbook: Workbook) -> None:
    painter = moved(workbook, 2, [2.0, 1.0])
    below, above = painter.axes.containers
    assert [bar.get_width() for bar in below] == [bar.get_width() for bar in above] == Y
    assert [bar.get_x() for bar in below] == [0.0] * 5
    assert [bar.get_x() for bar in above] == Y
    assert painter.axes.get_xlim()[1] > 18


def test_shares_add_up_to_one(workbook: Workbook) -> None:
    chart = workbook.charts[2]
    shares = Chart(
        chart.sheet, "", Axis(), Axis(),
        tuple(Series(ChartKind.COLUMN, "", (), item.values, stacking=Stacking.SHARE) for item in chart.series),
    )  # fmt: skip
    values = {area("B2").first._replace(row=row): Y[row - 2] for row in range(2, 7)}
    values |= {area("C2").first._replace(row=row): 3 * Y[row - 2] for row in range(2, 7)}
    painter = ChartPainter(Figure().subplots(), [ChartReader(shares, workbook).drawing(values.get)])
    below, above = painter.axes.containers
    assert [bar.get_height() for bar in below] == [0.25] * 5
    assert [bar.get_y() + bar.get_height() for bar in above] == [1.0] * 5


@pytest.mark.parametrize("kind", [ChartKind.LINE, ChartKind.AREA])
@pytest.mark.parametrize(("stacking", "sums"), [(Stacking.SUM, [-2 * y for y in Y]), (Stacking.SHARE, [-0.5] * 5)])
def test_stacked_lines_show_sums(workbook: Workbook, kind: ChartKind, stacking: Stacking, sums: list[float]) -> None:
    parts = tuple(Series(kind, "", (), item.values, stacking=stacking) for item in workbook.charts[2].series)
    chart = Chart(workbook.charts[2].sheet, "", Axis(), Axis(), parts)
    values = {area("B2").first._replace(row=row): Y[row - 2] for row in range(2, 7)}
    values |= {area("C2").first._replace(row=row): -3 * Y[row - 2] for row in range(2, 7)}
    painter = ChartPainter(Figure().subplots(), [ChartReader(chart, workbook).drawing(values.get)])
    first, both = painter.axes.lines
    assert list(first.get_ydata()) == (Y if stacking is Stacking.SUM else [0.25] * 5)
    assert list(both.get_ydata()) == sums
    low, high = painter.axes.get_ylim()
    assert low < min(sums) < max(first.get_ydata()) < high


@pytest.mark.parametrize(("kind", "seen"), [(ChartKind.LINE, [Y[1], math.nan, Y[3]]), (ChartKind.AREA, Y[1:4])])
def test_a_gap_in_what_is_stacked(workbook: Workbook, kind: ChartKind, seen: list[float]) -> None:
    """A line is broken where its cell is empty; an area goes on as high as the one below it."""
    parts = tuple(Series(kind, "", (), item.values, stacking=Stacking.SUM) for item in workbook.charts[2].series)
    chart = Chart(workbook.charts[2].sheet, "", Axis(), Axis(), parts)
    values = {area("B2").first._replace(row=row): Y[row - 2] for row in range(2, 7)}
    values |= {area("C2").first._replace(row=row): 0.0 for row in (3, 5)}
    painter = ChartPainter(Figure().subplots(), [ChartReader(chart, workbook).drawing(values.get)])
    assert list(painter.axes.lines[1].get_ydata())[1:4] == pytest.approx(seen, nan_ok=True)


def test_what_diverges_does_not_flatten_the_rest(workbook: Workbook) -> None:
    painter = moved(workbook, 0, [2.0, 1.0])
    wide = moved(workbook, 0, [2e6, 1.0])
    assert painter.axes.get_ylim()[0] < 12
    assert wide.axes.get_ylim()[0] > 1e6  # where the training ends is always whole


def test_a_chart_of_a_whole_sheet_has_as_many_points_as_a_column() -> None:
    whole = Range(SHEET, 1, 1, MAX_ROW, MAX_COLUMN)
    chart = Chart(SHEET, "", Axis(), Axis(), (Series(ChartKind.LINE, "", (), (whole,)),))
    shown = chart_for_page(chart, lambda _: {(1, 1): 2.0, (MAX_ROW, MAX_COLUMN): 1.0})
    assert shown["series"][0]["y"][0] == 2.0
    assert shown["series"][0]["x"][-1] == MAX_ROW


@pytest.mark.parametrize("name", ["quadratic", "titanic", "mnist_cnn"])
def test_charts_of_our_workbooks(name: str) -> None:
    workbook = sgdsheet.load(Path(__file__).parent.parent / "workbooks" / f"{name}.xlsx")
    assert workbook.charts
    for chart in workbook.charts:
        drawing = ChartReader(chart, workbook).drawing(lambda cell: workbook.sheets[cell.sheet].values.get(cell[1:]))
        assert drawing.title
        for curve in drawing.curves:
            assert curve.name
            assert len(curve.x) == len(curve.y) > 5
            assert all(math.isfinite(number) for number in (*curve.x, *curve.y))
