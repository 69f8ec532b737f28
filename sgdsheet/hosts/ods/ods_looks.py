"""How the sheets of an OpenDocument file look, in a single pass of expat over its content.

Rows and cells that look alike are kept once, with their numbers, as they stand in the file.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Mapping
from dataclasses import dataclass, field

from sgdsheet.hosts.ods import content as odf
from sgdsheet.hosts.ods.ods_rules import areas_of, condition_rule, read_rules
from sgdsheet.hosts.ods.ods_styles import DEFAULT, Styles, colour
from sgdsheet.hosts.xlsx.xml import Node, Part, new_parser, run_parser
from sgdsheet.sheet.appearance import Appearance, Rule, SheetLook
from sgdsheet.sheet.references import MAX_COLUMN, MAX_ROW, Range
from sgdsheet.sheet.workbook import Position

_TREES = ("automatic-styles", "styles", "font-face-decls", "conditional-formats")
"""Elements that are kept as trees, by their local names."""
_COLUMN, _COLUMN_GROUP, _ROW_GROUP = (
    f"{odf.TABLE} {name}" for name in ("table-column", "table-column-group", "table-row-group")
)
_STYLE, _DEFAULT_CELLS = f"{odf.TABLE} style-name", f"{odf.TABLE} default-cell-style-name"
_MOST_COLUMNS, _MOST_ROWS = 1_000, 100_000
"""Columns and rows whose size is told one by one; what is said of more is said of the empty rest of the sheet."""
_DEEPEST = 64

Run = tuple[int, int, str | None]
"""First and last column, and the style."""


@dataclass(slots=True)
class _Table:
    """What is read of one sheet. `rows` are runs of cells by the first of the rows that have them."""

    name: str
    style: str
    columns: list[tuple[int, int, str, str, bool]] = field(default_factory=list)
    """First and last column, the column's style, that of its cells, and whether it is hidden."""
    starts: list[int] = field(default_factory=list)
    rows: list[tuple[Run, ...]] = field(default_factory=list)
    heights: dict[int, str] = field(default_factory=dict)
    hidden: set[int] = field(default_factory=set)
    row_levels: dict[int, int] = field(default_factory=dict)
    column_levels: dict[int, int] = field(default_factory=dict)
    row_styles: dict[str, int] = field(default_factory=dict)
    formats: list[Node] = field(default_factory=list)


def read_ods_appearance(content: Part, styles: Part | None, settings: Node | None) -> Appearance:
    """How an OpenDocument file looks. Raises FileError."""
    reader = _Reader(content)
    reader.run()
    trees = reader.trees
    if styles is not None:
        other = _Reader(styles)
        other.run()
        trees = [*other.trees, *trees]
    known = Styles(tree for tree in trees if tree.tag != "conditional-formats")
    views = view_settings(settings) if settings is not None else {}
    for table in reader.tables:  # all styles have their numbers before anybody asks for the list
        for name in {name for row in table.rows for *_, name in row if name is not None}:
            known.number(name)
        for *_, name, _ in table.columns:
            known.number(name)
    tables = {table.name: table for table in reader.tables}

    def read(name: str) -> SheetLook:
        table = tables.get(name)
        return _look(table, known, views.get(name, views.get("", {}))) if table is not None else SheetLook()

    return Appearance(tuple(known.list), read)


def view_settings(settings: Node) -> dict[str, dict[str, str]]:
    """What the file says of the view of each sheet by its name; without a name, of all others."""
    found: dict[str, dict[str, str]] = {}
    common: dict[str, str] = {}
    waiting = [settings]
    while waiting:
        node = waiting.pop()
        if node.tag == "config-item":
            common.setdefault(node.attributes.get("name", ""), node.text)
        if node.tag == "config-item-map-named" and node.attributes.get("name") == "Tables":
            for entry in node.all("config-item-map-entry"):
                items = {item.attributes.get("name", ""): item.text for item in entry.all("config-item")}
                found[entry.attributes.get("name", "")] = items
        else:
            waiting += node.children
    return {"": common, **{name: {**common, **items} for name, items in found.items()}}


class _Reader:
    """Reads the styles as trees, and of the sheets what they look like."""

    def __init__(self, part: Part) -> None:
        self._part = part
        self.trees: list[Node] = []
        self.tables: list[_Table] = []
        self._stack: list[Node] = []
        self._text: list[str] = []
        self._table: _Table | None = None
        self._nested = 0
        self._row, self._rows, self._column = 1, 1, 1
        self._row_style = ""
        self._row_default: str | None = None
        self._runs: list[Run] = []
        self._seen: dict[tuple[Run, ...], tuple[Run, ...]] = {}
        self._row_level = self._column_level = 0
        self._next_column = 1

    def run(self) -> None:
        parser = new_parser(self._part)
        parser.StartElementHandler, parser.EndElementHandler = self._start, self._end
        parser.CharacterDataHandler = self._characters
        run_parser(parser, self._part)

    def _characters(self, piece: str) -> None:
        if self._stack:
            self._text.append(piece)

    def _start(self, tag: str, attributes: dict[str, str]) -> None:
        local = tag.rpartition(" ")[2]
        if self._stack or local in _TREES:
            if len(self._stack) > _DEEPEST:
                raise self._part.error("is nested too deeply")
            names = sorted(attributes, key=_foreign, reverse=True)
            node = Node(local, {name.rpartition(" ")[2]: attributes[name] for name in names})
            if self._stack:
                self._stack[-1].children.append(node)
            self._stack.append(node)
            self._text.clear()
        elif tag == odf.SHEET:
            self._nested += 1
            if self._nested == 1:
                self._open(attributes)
        elif self._nested == 1 and self._table is not None:
            self._inside(self._table, tag, attributes)

    def _end(self, tag: str) -> None:
        if self._stack:
            node = self._stack.pop()
            node.text = "".join(self._text)
            self._text.clear()
            if not self._stack:
                if node.tag == "conditional-formats" and self._table is not None:
                    self._table.formats.append(node)
                else:
                    self.trees.append(node)
        elif tag == odf.SHEET:
            self._nested -= 1
            if self._nested == 0:
                self._table = None
        elif self._nested != 1:
            return
        elif tag == odf.ROW and self._table is not None:
            self._end_row(self._table)
        elif tag == _ROW_GROUP:
            self._row_level -= 1
        elif tag == _COLUMN_GROUP:
            self._column_level -= 1

    def _open(self, attributes: Mapping[str, str]) -> None:
        self._table = _Table(attributes.get(odf.NAME, ""), attributes.get(_STYLE, ""))
        self.tables.append(self._table)
        self._row, self._next_column, self._row_level, self._column_level = 1, 1, 0, 0

    def _inside(self, table: _Table, tag: str, attributes: Mapping[str, str]) -> None:
        if tag == odf.ROW:
            self._rows, self._column = _count(attributes.get(odf.ROWS_REPEATED)), 1
            self._row_style, self._row_default = attributes.get(_STYLE, ""), attributes.get(_DEFAULT_CELLS)
            last = min(self._row + self._rows - 1, MAX_ROW)
            few = self._rows <= _MOST_ROWS
            if attributes.get(odf.VISIBILITY, "visible") != "visible" and few:
                table.hidden.update(range(self._row, last + 1))
            if self._row_level and few:
                table.row_levels.update(dict.fromkeys(range(self._row, last + 1), self._row_level))
        elif tag in (odf.CELL, odf.COVERED):
            count = _count(attributes.get(odf.COLUMNS_REPEATED))
            style = attributes.get(_STYLE, self._row_default)
            before = self._runs[-1] if self._runs else None
            if before is not None and before[2] == style:
                self._runs[-1] = before[0], self._column + count - 1, style
            else:
                self._runs.append((self._column, self._column + count - 1, style))
            self._column += count
        elif tag == _COLUMN:
            first, count = self._next_column, _count(attributes.get(odf.COLUMNS_REPEATED))
            hidden = attributes.get(odf.VISIBILITY, "visible") != "visible"
            last_column = first + count - 1
            names = attributes.get(_STYLE, ""), attributes.get(_DEFAULT_CELLS, DEFAULT)
            inside = first <= MAX_COLUMN
            if inside:
                table.columns.append((first, last_column, *names, hidden))
            if self._column_level and inside:
                few_columns = range(first, min(last_column, first + _MOST_COLUMNS) + 1)
                table.column_levels.update(dict.fromkeys(few_columns, self._column_level))
            self._next_column += count
        elif tag == _ROW_GROUP:
            self._row_level += 1
        elif tag == _COLUMN_GROUP:
            self._column_level += 1

    def _end_row(self, table: _Table) -> None:
        runs = tuple(run for run in self._runs if run[2] is not None)
        table.starts.append(self._row)
        table.rows.append(self._seen.setdefault(runs, runs))
        if self._row_style:
            table.row_styles[self._row_style] = table.row_styles.get(self._row_style, 0) + self._rows
            if self._rows <= _MOST_ROWS:
                rows = range(self._row, min(self._row + self._rows - 1, MAX_ROW) + 1)
                table.heights.update(dict.fromkeys(rows, self._row_style))
        self._row += self._rows
        self._runs = []


def _look(table: _Table, styles: Styles, view: Mapping[str, str]) -> SheetLook:
    look = SheetLook()
    properties = styles.table(table.style)
    look.tab = colour(properties.get("tab-color"))
    look.hidden = properties.get("display") == "false"
    look.gridlines = view.get("ShowGrid", "true") != "false"
    look.frozen = _frozen(view)
    _read_widths(table, styles, look)
    if table.row_styles:
        usual = max(table.row_styles, key=lambda name: table.row_styles[name])
        look.default_height = styles.height(usual) or look.default_height
    look.sized_rows = table.heights.keys()
    for row, name in table.heights.items():
        height = styles.height(name)
        if height is not None and height != look.default_height:
            look.heights[row] = height
    look.hidden_rows, look.row_levels, look.column_levels = table.hidden, table.row_levels, table.column_levels
    look.styles_in = _Cells(table, styles).styles_in
    look.rules = tuple(_rules(table, styles))
    return look


def _read_widths(table: _Table, styles: Styles, look: SheetLook) -> None:
    if table.columns:
        widest = max(table.columns, key=lambda item: item[1] - item[0])
        look.default_width = styles.width(widest[2]) or look.default_width
    for first, last, name, _, hidden in table.columns:
        width = styles.width(name)
        told = range(first, min(last, first + _MOST_COLUMNS) + 1)
        if hidden and last < MAX_COLUMN:
            look.hidden_columns.update(told)
        if width is not None and width != look.default_width:
            look.widths.update(dict.fromkeys(told, width))


def _frozen(view: Mapping[str, str]) -> Position:
    """Rows and columns that stay in view: LibreOffice counts them where the mode is 2."""

    def count(direction: str) -> int:
        text = view.get(f"{direction}SplitPosition", "")
        return int(text) if view.get(f"{direction}SplitMode") == "2" and text.isdecimal() else 0

    return count("Vertical"), count("Horizontal")


class _Cells:
    """The styles of the cells of a sheet."""

    def __init__(self, table: _Table, styles: Styles) -> None:
        self._table, self._styles = table, styles
        self._columns = [(first, last, styles.number(cells)) for first, last, _, cells, _ in table.columns]

    def styles_in(self, area: Range) -> dict[Position, int]:
        found: dict[Position, int] = {}
        columns = {
            column: style
            for first, last, style in self._columns
            for column in range(max(first, area.left), min(last, area.right) + 1)
            if style
        }
        rows, starts = self._table.rows, self._table.starts
        for row in range(area.top, area.bottom + 1):
            found.update({(row, column): style for column, style in columns.items()})
            place = bisect_right(starts, row) - 1
            for first, last, name in rows[place] if place >= 0 else ():
                style = self._styles.number(name or DEFAULT)
                for column in range(max(first, area.left), min(last, area.right) + 1):
                    found[row, column] = style
        return {at: style for at, style in found.items() if style}


def _rules(table: _Table, styles: Styles) -> list[Rule]:
    """The conditional formats of a sheet: LibreOffice's own list, or else the conditions of styles."""
    found = [rule for formats in table.formats for rule in read_rules(formats, table.name, styles.difference)]
    if found or table.formats:
        return found
    areas: dict[str, list[Range]] = {}
    for place, runs in enumerate(table.rows):
        top = table.starts[place]
        bottom = table.starts[place + 1] - 1 if place + 1 < len(table.starts) else top
        for first, last, name in runs:
            if name is not None and bottom - top < _MOST_ROWS:
                areas.setdefault(name, []).append(Range(table.name, top, first, bottom, min(last, MAX_COLUMN)))
    for name, own in areas.items():
        for given in styles.maps(name):
            base = areas_of(given.get("base-cell-address", ""), table.name)
            home = (base[0].top, base[0].left) if base else None
            style = styles.difference(given.get("apply-style-name", ""))
            rule = condition_rule(given.get("condition", ""), tuple(own), len(found) + 1, style, home)
            found += [rule] if rule is not None else []
    return found


def _foreign(name: str) -> bool:
    """Whether an attribute is one of a program's own, which makes way for that of the standard with the same name."""
    return "openoffice" not in name and "oasis" not in name


def _count(text: str | None) -> int:
    return max(1, int(text)) if text is not None and text.isdecimal() else 1
