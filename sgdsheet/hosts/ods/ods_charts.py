"""Charts of an OpenDocument spreadsheet as plain data: lines, scatters, bars, columns, areas, pies. Others are passed
over.

Each stands in a frame on a sheet: as a document of its own, `Object 1/content.xml`, or in a flat file in the frame
itself (OpenDocument 1.3, part 3, chapter 11). Its style `ch5` of a part says what is not the default.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence

from sgdsheet.errors import FileError, FormulaError
from sgdsheet.hosts.ods.drawn_frames import Frame
from sgdsheet.hosts.xlsx.xml import Node, Part, read_tree
from sgdsheet.sheet.charts import Axis, Chart, ChartKind, Series, Stacking, Words
from sgdsheet.sheet.number_format import finite_number
from sgdsheet.sheet.references import MAX_COLUMN, MAX_ROW, Range, parse_range

_KINDS = {
    "line": ChartKind.LINE,
    "scatter": ChartKind.SCATTER,
    "bar": ChartKind.COLUMN,
    "area": ChartKind.AREA,
    "circle": ChartKind.PIE,
    "ring": ChartKind.DOUGHNUT,
}
_COPIES = frozenset(("table",))
"""Elements that hold copies of the cells' values. They are not read: the cells are."""
_ADDRESS = re.compile(
    r"""
    \$?(?P<sheet>'(?:[^']|'')*'|[^\s'.:!]+)\.(?P<first>\$?[A-Z]+\$?\d+|\$?[A-Z]+|\$?\d+)
    (?::(?:\$?(?P<other>'(?:[^']|'')*'|[^\s'.:!]*))?\.(?P<last>\$?[A-Z]+\$?\d+|\$?[A-Z]+|\$?\d+))?
    """,
    re.VERBOSE,
)
_PARTS = re.compile(r"(?:'(?:[^']|'')*'|[^\s'])+")
_COLOUR = re.compile(r"#[0-9A-Fa-f]{6}")
_LENGTH = re.compile(r"([0-9.]+)(in|cm|mm|pt|pc|px)")
_INCHES = {"in": 1.0, "cm": 1 / 2.54, "mm": 1 / 25.4, "pt": 1 / 72, "pc": 1 / 6, "px": 1 / 96}
_ROW_HEIGHT, _COLUMN_WIDTH = 0.178, 0.889
"""Inches of a row and a column of LibreOffice that nobody has changed."""
_MOST_SLICES = 1_000
"""Slices whose own colours are read."""

Styles = dict[str, dict[str, str]]
"""What each style of a chart says, by its name."""


def read_ods_charts(frames: Sequence[Frame], part: Callable[[str], Part | None], sheets: Sequence[str]) -> list[Chart]:
    """The charts in these frames, in their order. One that cannot be read is passed over.

    `part` gives another part of the document, None if it is not there.
    """
    found = []
    for frame in frames:
        for item in frame.tree.all("object"):
            try:
                document = _document(item, part)
            except FileError:  # the workbook is sound without it
                continue
            if document is not None and (chart := _chart(document, frame, frozenset(sheets))) is not None:
                found.append(chart)
    return found


def _document(item: Node, part: Callable[[str], Part | None]) -> Node | None:
    """The document of an object: in it, or a part of its own."""
    for inside in item.all("document"):
        return inside
    name = item.attributes.get("href", "").removeprefix("./").rstrip("/")
    content = part(f"{name}/content.xml") if name else None
    return read_tree(content, without=_COPIES) if content is not None else None


def _chart(document: Node, frame: Frame, sheets: frozenset[str]) -> Chart | None:
    chart = next(iter(document.all("body", "chart", "chart")), None)
    plot = next(iter(chart.all("plot-area")), None) if chart is not None else None
    if chart is None or plot is None:
        return None
    series = _Plot(document, chart, plot, sheets).series()
    if not series:
        return None
    styles = _styles(document)
    if series[0].kind.is_round:  # its axes only tell that slices go clockwise
        return Chart(frame.sheet, _title(chart), Axis(), Axis(), tuple(series), _anchor(frame))
    axes = {node.attributes.get("dimension"): node for node in reversed(plot.all("axis"))}
    across, up = (_axis(axes[name], styles) if name in axes else Axis() for name in ("x", "y"))
    return Chart(frame.sheet, _title(chart), across, up, tuple(series), _anchor(frame))


class _Plot:
    """The series of a chart, with what they share."""

    def __init__(self, document: Node, chart: Node, plot: Node, sheets: frozenset[str]) -> None:
        self._styles, self._plot, self._sheets = _styles(document), plot, sheets
        self._class = chart.attributes.get("class", "")
        self._own = _style(plot, self._styles)
        self._categories = self._first(plot.all("axis", "categories"))
        self._domain: tuple[Range, ...] = ()  # of the first series: others may leave theirs out

    def series(self) -> list[Series]:
        """The series that show cells of this workbook."""
        found = [item for node in self._plot.all("series") if (item := self._one(node)) is not None]
        found = [item for item in found if item.kind.is_round == found[0].kind.is_round]
        return found[:1] if found and found[0].kind is ChartKind.PIE else found

    def _one(self, node: Node) -> Series | None:
        kind = _KINDS.get(node.attributes.get("class", self._class).rpartition(":")[2])
        if kind is ChartKind.PIE and self._class.endswith(":ring"):
            kind = ChartKind.DOUGHNUT
        self._domain = self._first(node.all("domain")) or self._domain
        values = self._areas(node.attributes.get("values-cell-range-address", ""))
        if kind is None or not values:
            return None
        if kind is ChartKind.COLUMN and self._own.get("vertical") == "true":
            kind = ChartKind.BAR
        style = _style(node, self._styles)
        filled = kind not in (ChartKind.LINE, ChartKind.SCATTER)
        symbol = style.get("symbol-type", self._own.get("symbol-type", "none"))
        return Series(
            kind,
            self._name(node),
            self._domain if kind is ChartKind.SCATTER else self._categories,
            values,
            _colour(style, filled=filled),
            line=kind is ChartKind.AREA or (not filled and style.get("stroke") != "none"),
            marker=not filled and symbol != "none",
            stacking=Stacking.NONE if kind is ChartKind.SCATTER or kind.is_round else self._stacking(),
            slice_colours=self._slice_colours(node) if kind.is_round else (),
        )

    def _stacking(self) -> Stacking:
        if self._own.get("percentage") == "true":
            return Stacking.SHARE
        return Stacking.SUM if self._own.get("stacked") == "true" else Stacking.NONE

    def _name(self, node: Node) -> Words:
        if areas := self._areas(node.attributes.get("label-cell-address", "")):
            return Range.of_cell(areas[0].first)
        return node.attributes.get("label-string", "").removeprefix('"').removesuffix('"')

    def _slice_colours(self, node: Node) -> tuple[str | None, ...]:
        found: list[str | None] = []
        for point in node.all("data-point"):
            count = point.attributes.get("repeated", "1")
            times = min(int(count), _MOST_SLICES) if count.isdecimal() else 1
            found += [_colour(_style(point, self._styles), filled=True)] * times
        while found and found[-1] is None:
            found.pop()
        return tuple(found[:_MOST_SLICES])

    def _first(self, nodes: Sequence[Node]) -> tuple[Range, ...]:
        return self._areas(nodes[0].attributes.get("cell-range-address", "")) if nodes else ()

    def _areas(self, text: str) -> tuple[Range, ...]:
        """The ranges of a list such as `Sheet1.A1:Sheet1.B2 'my sheet'.D1`; none if one is not in this workbook."""
        areas = _addresses(text)
        return areas if all(area.sheet in self._sheets for area in areas) else ()


def _addresses(text: str) -> tuple[Range, ...]:
    """The ranges of a list; none if one of them is no range on one sheet."""
    matches = [_ADDRESS.fullmatch(part) for part in _PARTS.findall(text)]
    try:
        return (
            tuple(
                parse_range(f"{match['sheet']}!{match['first']}" + (f":{match['last']}" if match["last"] else ""), "")
                for match in matches
                if match is not None
            )
            if all(match is not None and match["other"] in (None, "", match["sheet"]) for match in matches)
            else ()
        )
    except FormulaError:
        return ()


def _styles(document: Node) -> Styles:
    found: Styles = {}
    for style in document.all("automatic-styles", "style"):
        own = found.setdefault(style.attributes.get("name", ""), {})
        for kind in ("chart-properties", "graphic-properties"):
            for properties in style.all(kind):
                own.update(properties.attributes)
    return found


def _style(node: Node, styles: Styles) -> dict[str, str]:
    return styles.get(node.attributes.get("style-name", ""), {})


def _colour(style: dict[str, str], *, filled: bool) -> str | None:
    """The colour of a line, else that of its markers; for bars and the like, that of their filling."""
    names = ["fill-color"] if filled or style.get("stroke") == "none" else ["stroke-color", "fill-color"]
    return next((style[name].upper() for name in names if _COLOUR.fullmatch(style.get(name, ""))), None)


def _axis(node: Node, styles: Styles) -> Axis:
    own = _style(node, styles)
    return Axis(
        _title(node),
        finite_number(own.get("minimum", "")),
        finite_number(own.get("maximum", "")),
        own.get("logarithmic") == "true",
        own.get("reverse-direction") == "true",
    )


def _title(node: Node) -> str:
    paragraphs = [_text(paragraph) for title in node.all("title")[:1] for paragraph in title.all("p")]
    return " ".join(filter(None, paragraphs))


def _text(node: Node) -> str:
    return node.text + "".join(map(_text, node.children))


def _anchor(frame: Frame) -> Range | None:
    """The cells that a frame covers, from the cell that holds it."""
    if frame.place is None:
        return None
    top, left = frame.place
    end = next(iter(_addresses(frame.tree.attributes.get("end-cell-address", ""))), None)
    if end is not None:
        bottom, right = end.bottom, end.right
    else:
        bottom = top + round(_inches(frame.tree.attributes.get("height", "")) / _ROW_HEIGHT)
        right = left + round(_inches(frame.tree.attributes.get("width", "")) / _COLUMN_WIDTH)
    bottom, right = min(max(top, bottom), MAX_ROW), min(max(left, right), MAX_COLUMN)
    return Range(frame.sheet, top, left, bottom, right)


def _inches(text: str) -> float:
    match = _LENGTH.fullmatch(text)
    number = finite_number(match[1]) if match else None
    return min(number, 10_000) * _INCHES[match[2]] if match and number is not None else 3.0
