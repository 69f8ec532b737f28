"""How the sheets of a package look. The styles of cells are looked up row by row, when somebody looks at the rows."""

from __future__ import annotations

import re
from bisect import bisect_left
from collections.abc import Iterator
from dataclasses import replace

from sgdsheet.errors import FileError
from sgdsheet.hosts.xlsx.cell_links import read_links
from sgdsheet.hosts.xlsx.cell_styles import Palette, read_differences, read_styles
from sgdsheet.hosts.xlsx.format_rules import read_rules
from sgdsheet.hosts.xlsx.package import Package
from sgdsheet.hosts.xlsx.xlsx_reader import Outline
from sgdsheet.hosts.xlsx.xml import Node, Part, read_tree, truth
from sgdsheet.sheet.appearance import Appearance, CellStyle, SheetLook
from sgdsheet.sheet.references import MAX_COLUMN, Range, column_number
from sgdsheet.sheet.workbook import Position

_PER_CHARACTER, _PER_POINT = 7, 96 / 72
_MOST_COLUMNS = 1_000
"""Columns whose width is told; what is set for more is set for all the others of the sheet."""
_NO = ("0", "false")
_ROWS_KEPT = 20_000
_SHEET_DATA = re.compile(rb"<((?:\w+:)?)sheetData\b[^>]*?(/?)>")
_NUMBER, _STYLE = re.compile(rb'\br="(\d+)"'), re.compile(rb'\bs="(\d+)"')
_CUSTOM, _HIDDEN = re.compile(rb'\bcustomFormat="(?:1|true)"'), re.compile(rb'\bhidden="(?:1|true)"')
_HEIGHT, _COLUMN = re.compile(rb'\bht="([\d.]+)"'), re.compile(rb'\br="([A-Z]{1,3})\d+"')
_LEVEL = re.compile(rb'\boutlineLevel="(\d)"')
_LARGE = frozenset(("hyperlinks", "dataValidations", "mergeCells", "rowBreaks", "colBreaks", "protectedRanges"))


def read_appearance(package: Package, outline: Outline) -> Appearance:
    """How a package looks. What cannot be read of it looks plain."""
    try:
        theme_part, styles_part = outline.related("theme"), outline.related("styles")
        theme = read_tree(package.part(theme_part)) if theme_part and theme_part in package else None
        if not styles_part:
            return Appearance()
        styles = read_tree(package.part(styles_part))
    except FileError:
        return Appearance()
    palette = Palette(theme, styles)
    differences = read_differences(styles, palette)
    states = {node.attributes.get("name"): node.attributes.get("state") for node in outline.root.all("sheets", "sheet")}
    parts = {entry.name: entry.part for entry in outline.sheets}

    def read(name: str) -> SheetLook:
        part = parts.get(name)
        if part is None:
            return SheetLook()
        try:
            look = _look(name, package.part(part), palette, differences)
        except FileError:
            return SheetLook()
        look.hidden = states.get(name) in ("hidden", "veryHidden")
        return look

    return Appearance(read_styles(styles, palette), read)


def _look(name: str, part: Part, palette: Palette, differences: tuple[CellStyle, ...]) -> SheetLook:
    data = part.data
    start = _SHEET_DATA.search(data)
    prefix, head, end = b"", len(data), len(data)
    around = data
    if start is not None:
        prefix, head = start[1], start.end()
        end = head if start[2] else data.find(b"</" + prefix + b"sheetData>", head)
        end = end if end >= 0 else len(data)
        around = data[:head] + data[end:]
    root = read_tree(replace(part, data=around), without=_LARGE)
    look = SheetLook(links=read_links(data[end:]))
    _read_sizes(root, look)
    rows = _Rows(data, head, end, prefix, _column_styles(root))
    look.styles_in = rows.styles_in
    look.heights = {row: height for row, height in rows.heights.items() if height != look.default_height}
    look.sized_rows, look.hidden_rows, look.row_levels = rows.heights.keys(), rows.hidden, rows.levels
    look.rules = tuple(sorted(read_rules(root, name, palette, differences), key=lambda rule: rule.priority))
    for node in root.all("sheetPr", "outlinePr"):
        given = node.attributes
        look.summary = given.get("summaryBelow", "1") not in _NO, given.get("summaryRight", "1") not in _NO
    for node in root.all("sheetPr", "tabColor"):
        look.tab = palette.colour(node)
    for view in root.all("sheetViews", "sheetView")[:1]:
        look.gridlines = view.attributes.get("showGridLines", "1") not in ("0", "false")
        for pane in view.all("pane"):
            if pane.attributes.get("state") in ("frozen", "frozenSplit"):
                look.frozen = _whole(pane.attributes.get("ySplit")), _whole(pane.attributes.get("xSplit"))
    return look


def _read_sizes(root: Node, look: SheetLook) -> None:
    for node in root.all("sheetFormatPr"):
        base = 7 * (_whole(node.attributes.get("baseColWidth")) or 8) + 5
        width = _float(node.attributes.get("defaultColWidth"))
        look.default_width = round(width * _PER_CHARACTER) if width else -(-base // 8) * 8
        height = _float(node.attributes.get("defaultRowHeight"))
        look.default_height = round(height * _PER_POINT) if height else look.default_height
    for first, last, node in _columns(root):
        width = _float(node.attributes.get("width"))
        pixels = round(width * _PER_CHARACTER) if width else look.default_width
        columns = range(first, min(last, first + _MOST_COLUMNS) + 1)
        if truth(node.attributes.get("hidden")):
            look.hidden_columns.update(columns)
        if level := _whole(node.attributes.get("outlineLevel")):
            look.column_levels.update(dict.fromkeys(columns, level))
        if last >= MAX_COLUMN and last - first >= _MOST_COLUMNS:
            look.default_width = pixels
        elif pixels != look.default_width:
            look.widths.update(dict.fromkeys(columns, pixels))


def _column_styles(root: Node) -> list[tuple[int, int, int]]:
    """First and last column, and the style, of the columns whose empty cells have one."""
    styles = ((first, last, _whole(node.attributes.get("style"))) for first, last, node in _columns(root))
    return [item for item in styles if item[2]]


def _columns(root: Node) -> Iterator[tuple[int, int, Node]]:
    """The runs of columns, each with its first and last; of those that overlap, which no program writes, the first."""
    runs = [
        (_whole(node.attributes.get("min")), _whole(node.attributes.get("max")), node)
        for node in root.all("cols", "col")
    ]
    end = 0
    for first, last, node in sorted(runs, key=lambda run: run[0]):
        if end < first <= last:
            end = min(last, MAX_COLUMN)
            yield first, end, node


class _Rows:
    """The rows of a sheet's XML, and the styles of their cells."""

    def __init__(self, data: bytes, start: int, end: int, prefix: bytes, columns: list[tuple[int, int, int]]) -> None:
        self._data, self._end, self._columns = data, end, columns
        self._cell = re.compile(b"<" + prefix + rb"c\b([^>]*)>")
        self._numbers: list[int] = []
        self._places: list[tuple[int, int]] = []
        """Where the tag of a row begins, and where it ends."""
        self.heights: dict[int, int] = {}
        self.hidden: set[int] = set()
        self.levels: dict[int, int] = {}
        self._known: dict[int, dict[int, int]] = {}
        number = 0
        for match in re.compile(b"<" + prefix + rb"row\b([^>]*)>").finditer(data, start, end):
            attributes = match[1]
            found = _NUMBER.search(attributes)
            number = int(found[1]) if found else number + 1
            self._numbers.append(number)
            self._places.append(match.span())
            if b"ht=" in attributes and (height := _HEIGHT.search(attributes)):
                self.heights[number] = round(float(height[1]) * _PER_POINT)
            if b"hidden=" in attributes and _HIDDEN.search(attributes):
                self.hidden.add(number)
            if b"outlineLevel=" in attributes and (level := _LEVEL.search(attributes)) and level[1] != b"0":
                self.levels[number] = int(level[1])

    def styles_in(self, area: Range) -> dict[Position, int]:
        found: dict[Position, int] = {}
        for first, last, style in self._columns:
            for column in range(max(first, area.left), min(last, area.right) + 1):
                found.update({(row, column): style for row in range(area.top, area.bottom + 1)})
        place = bisect_left(self._numbers, area.top)
        while place < len(self._numbers) and (row := self._numbers[place]) <= area.bottom:
            styles = self._row(place)
            if whole := styles.get(0):
                found.update({(row, column): whole for column in range(area.left, area.right + 1)})
            for column, style in styles.items():
                if area.left <= column <= area.right:
                    found[row, column] = style
            place += 1
        return {at: style for at, style in found.items() if style}

    def _row(self, place: int) -> dict[int, int]:
        """The styles of the cells of a row by their columns; that of the whole row is that of column 0."""
        known = self._known.get(place)
        if known is not None:
            return known
        start, inside = self._places[place]
        end = self._places[place + 1][0] if place + 1 < len(self._places) else self._end
        tag = self._data[start:inside]
        styles: dict[int, int] = {}
        if _CUSTOM.search(tag) and (style := _STYLE.search(tag)):
            styles[0] = int(style[1])
        column = 0
        for attributes in self._cell.findall(self._data, inside, end):
            reference, style = _COLUMN.search(attributes), _STYLE.search(attributes)
            column = column_number(reference[1].decode()) if reference else column + 1
            styles[column] = int(style[1]) if style else 0
        if len(self._known) > _ROWS_KEPT:
            self._known.clear()
        self._known[place] = styles
        return styles


def _whole(text: str | None) -> int:
    return int(_float(text))


def _float(text: str | None) -> float:
    try:
        found = float(text or 0)
    except ValueError:
        return 0.0
    return found if 0 <= found < 1e7 else 0.0
