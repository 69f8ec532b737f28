"""Charts of a package as plain data: lines, scatters, bars, columns, areas, pies. Of others, what they are.

A chart in three dimensions is read as its flat sister: the numbers are the same.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace

from sgdsheet.errors import FileError, FormulaError
from sgdsheet.hosts.xlsx.package import Package
from sgdsheet.hosts.xlsx.xml import Node, read_tree
from sgdsheet.sheet.charts import Axis, Chart, ChartKind, Series, Stacking, UndrawnChart, Words
from sgdsheet.sheet.number_format import finite_number
from sgdsheet.sheet.references import Range, parse_range, split_areas

_CACHES = frozenset(("numCache", "strCache", "multiLvlStrCache"))
"""Elements that hold copies of the cells' values. They are not read: the cells are."""

_KINDS = {
    "lineChart": ChartKind.LINE,
    "scatterChart": ChartKind.SCATTER,
    "barChart": ChartKind.COLUMN,
    "areaChart": ChartKind.AREA,
    "pieChart": ChartKind.PIE,
    "doughnutChart": ChartKind.DOUGHNUT,
    "line3DChart": ChartKind.LINE,
    "bar3DChart": ChartKind.COLUMN,
    "area3DChart": ChartKind.AREA,
    "pie3DChart": ChartKind.PIE,
    "ofPieChart": ChartKind.PIE,
}
_UNDRAWN = {
    "radarChart": "radar",
    "bubbleChart": "bubble",
    "stockChart": "stock",
    "surfaceChart": "surface",
    "surface3DChart": "surface",
}
_MOST_SLICES = 1_000
"""Slices whose own colours are read."""
_ROWS, _COLUMNS = 14, 7
"""Rows and columns that a chart is taken to cover where only its size in another unit is known."""

_COLOUR = re.compile(r"[0-9A-Fa-f]{6}")


def read_charts(package: Package, sheet: str, part: str) -> Iterator[Chart | UndrawnChart]:
    """The charts on a worksheet, in the order of its drawing. One that cannot be read is passed over."""
    for drawing in _targets(package, part, "drawing"):
        anchors = _anchors(package, drawing, sheet)
        for chart in _targets(package, drawing, "chart"):
            try:
                found = _chart(read_tree(package.part(chart), without=_CACHES), sheet)
            except FileError:  # the workbook is sound without it
                continue
            if found is not None:
                yield replace(found, anchor=anchors.get(chart))


def _anchors(package: Package, drawing: str, sheet: str) -> dict[str, Range]:
    """The cells that the charts of a drawing cover, by their parts."""
    try:
        root = read_tree(package.part(drawing))
        targets = {item.id: item.target for item in package.relationships(drawing)}
    except FileError:
        return {}
    found = {}
    for anchor in root.children:
        for node in anchor.all("graphicFrame", "graphic", "graphicData", "chart"):
            ends = [_place(place) for tag in ("from", "to") for place in anchor.all(tag)]
            if ends and len(ends) < 2:  # it has a size and no end
                ends += [(ends[0][0] + _ROWS, ends[0][1] + _COLUMNS) for _ in anchor.all("ext")]
            if len(ends) == 2 and (target := targets.get(node.attributes.get("id", ""))) is not None:
                (top, left), (bottom, right) = ends
                found[target] = Range(sheet, top, left, max(top, bottom), max(left, right))
    return found


def _place(node: Node) -> tuple[int, int]:
    """Row and column, which drawings count from 0."""
    row, column = (next((item.text.strip() for item in node.all(tag)), "0") for tag in ("row", "col"))
    return (int(row) if row.isdecimal() else 0) + 1, (int(column) if column.isdecimal() else 0) + 1


def _targets(package: Package, part: str, kind: str) -> list[str]:
    try:
        return [item.target for item in package.relationships(part) if item.kind == kind and item.target in package]
    except FileError:
        return []


def _chart(root: Node, sheet: str) -> Chart | UndrawnChart | None:
    plot = next(iter(root.all("chart", "plotArea")), None)
    if plot is None:
        return None
    groups = [group for group in plot.children if group.tag in _KINDS]
    series = [item for group in groups for node in group.all("ser") if (item := _series(group, node, sheet))]
    if not series:
        undrawn = next((_UNDRAWN[group.tag] for group in plot.children if group.tag in _UNDRAWN), None)
        return UndrawnChart(sheet, undrawn, _title(root.all("chart", "title"), sheet)) if undrawn else None
    series = [item for item in series if item.kind.is_round == series[0].kind.is_round]
    if series[0].kind is ChartKind.PIE:
        del series[1:]  # a pie has room for one, and spreadsheet programs show the first
    axes = {_value(node, "axId"): node for node in plot.children if node.tag in ("catAx", "dateAx", "valAx")}
    used = [axes[name] for node in groups[0].all("axId") if (name := node.attributes.get("val")) in axes]
    across, up = [_axis(node, sheet) for node in used[:2]] if len(used) >= 2 else (Axis(), Axis())
    title = _title(root.all("chart", "title"), sheet)
    if not title and len(series) == 1 and not _is_on(root.all("chart", "autoTitleDeleted")):
        title = series[0].name  # as spreadsheets do
    return Chart(sheet, title, across, up, tuple(series))


def _series(group: Node, node: Node, sheet: str) -> Series | None:
    kind, scatter = _KINDS[group.tag], group.tag == "scatterChart"
    if kind is ChartKind.COLUMN and _value(group, "barDir") == "bar":
        kind = ChartKind.BAR
    values = _areas(node.all("yVal" if scatter else "val"), sheet)
    if not values:
        return None
    bars = kind in (ChartKind.BAR, ChartKind.COLUMN)
    filled = bars or kind is ChartKind.AREA or kind.is_round
    stacking = next((item for item in Stacking if item.value == _value(group, "grouping")), Stacking.NONE)
    symbol = node.all("marker", "symbol")
    marked = symbol[0].attributes.get("val") != "none" if symbol else _marks_by_itself(group)
    return Series(
        kind,
        _name(node.all("tx"), sheet),
        _areas(node.all("xVal" if scatter else "cat"), sheet),
        values,
        _colour(node, filled=filled),
        line=not bars and not kind.is_round and not node.all("spPr", "ln", "noFill") and not _only_markers(group),
        marker=not filled and marked,
        stacking=stacking if filled or kind is ChartKind.LINE else Stacking.NONE,
        slice_colours=_slice_colours(node) if kind.is_round else (),
    )


def _slice_colours(node: Node) -> tuple[str | None, ...]:
    """The colours of a pie's slices, as far as they are told one by one."""
    found: dict[int, str | None] = {}
    for point in node.all("dPt"):
        place = _value(point, "idx")
        if place.isdecimal() and int(place) < _MOST_SLICES:
            found[int(place)] = _colour(point, filled=True)
    return tuple(found.get(place) for place in range(max(found, default=-1) + 1))


def _only_markers(group: Node) -> bool:
    return _value(group, "scatterStyle") in ("marker", "none")


def _marks_by_itself(group: Node) -> bool:
    if group.tag == "scatterChart":
        return _value(group, "scatterStyle") not in ("line", "smooth")
    return _is_on(group.all("marker"))


def _colour(node: Node, *, filled: bool) -> str | None:
    """The colour of a series: that of its line, else that of its markers; for bars and the like, their filling."""
    line, fill = ("spPr", "ln", "solidFill", "srgbClr"), ("spPr", "solidFill", "srgbClr")
    for path in (fill, line) if filled else (line, ("marker", *fill), ("marker", *line)):
        for found in node.all(*path):
            if _COLOUR.fullmatch(text := found.attributes.get("val", "")):
                return f"#{text.upper()}"
    return None


def _axis(node: Node, sheet: str) -> Axis:
    scaling = next(iter(node.all("scaling")), Node("scaling", {}))
    return Axis(
        _title(node.all("title"), sheet) if not _is_on(node.all("delete")) else "",
        finite_number(_value(scaling, "min")),
        finite_number(_value(scaling, "max")),
        bool(scaling.all("logBase")),
        _value(scaling, "orientation") == "maxMin",
    )


def _title(nodes: list[Node], sheet: str) -> Words:
    for node in nodes:
        paragraphs = node.all("tx", "rich", "p")
        text = " ".join("".join(run.text for run in paragraph.all("r", "t")) for paragraph in paragraphs).strip()
        return text or _name(node.all("tx"), sheet)
    return ""


def _name(nodes: list[Node], sheet: str) -> Words:
    for node in nodes:
        if areas := _references(node.all("strRef", "f"), sheet):
            return Range.of_cell(areas[0].first)
        return "".join(text.text for text in node.all("v"))
    return ""


def _areas(nodes: list[Node], sheet: str) -> tuple[Range, ...]:
    return tuple(
        area
        for node in nodes
        for kind in ("numRef", "strRef", "multiLvlStrRef")
        for area in _references(node.all(kind, "f"), sheet)
    )


def _references(nodes: list[Node], sheet: str) -> list[Range]:
    """The ranges that a chart names; none if it names something else, such as another workbook."""
    try:
        texts = [text for node in nodes for text in split_areas(node.text.strip().removeprefix("(").removesuffix(")"))]
        return [parse_range(text, sheet) for text in texts]
    except FormulaError:
        return []


def _value(node: Node, tag: str) -> str:
    return next((child.attributes.get("val", "") for child in node.all(tag)), "")


def _is_on(nodes: list[Node]) -> bool:
    return any(node.attributes.get("val", "1") in ("1", "true") for node in nodes)
