"""The cells that a page looks at, as it gets them: texts, kinds, styles, and what conditional formats ask for."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Protocol

import numpy as np

from sgdsheet.apps.web.conditional_formats import ConditionalFormats, Extra
from sgdsheet.apps.web.rule_formulas import RuleFormulas
from sgdsheet.apps.web.rule_operands import CellReader, Numbers, Stored, ValuesIn
from sgdsheet.sheet.appearance import Appearance, CellStyle, SheetLook
from sgdsheet.sheet.displayed_text import GENERAL, displayed, hides_numbers
from sgdsheet.sheet.references import MAX_COLUMN, MAX_ROW, Cell, Range
from sgdsheet.sheet.workbook import ExcelError, Position, Value

MOST_CELLS = 60_000
"""Cells that a page can look at, at once."""

_DEEPEST_GROUP = 8

Entry = tuple[Any, ...]
"""Text, kind, style of a cell, and what else there is to say of it."""

NOTHING: Entry = ("", "", 0)


def area_of(sheet: str, corners: Any) -> Range:
    """The area that a page asks for, clipped to the grid. Raises ValueError for what is none."""
    if not isinstance(corners, list) or len(corners) != 4 or not all(type(number) is int for number in corners):
        raise ValueError("an area is a list of four whole numbers")
    top, left, bottom, right = corners
    area = Range(sheet, max(1, top), max(1, left), min(MAX_ROW, bottom), min(MAX_COLUMN, right))
    if area.height < 1 or area.width < 1:
        raise ValueError("the area is empty")
    return area


def kind_of(value: Value) -> str:
    """The letter that the page has for a kind of value."""
    if isinstance(value, bool):
        return "b"
    if isinstance(value, ExcelError):
        return "e"
    return "t" if isinstance(value, str) else "n"


_Piece = tuple[Range, bool]


class Changes(Protocol):
    """What tells which cells of a workbook have changed."""

    @property
    def version(self) -> int:
        """How many times cells have changed."""
        ...

    def changed_since(self, version: int) -> set[tuple[str, Range]] | None:
        """The sheets and areas that have changed since a version; None if it may be anything."""
        ...


class SheetView:
    """What a page sees of one sheet. Only what has changed since the last look is looked at, if `changes` tells it."""

    def __init__(
        self,
        appearance: Appearance,
        look: Callable[[], SheetLook],
        sheet: str,
        date1904: bool,
        values_in: ValuesIn,
        number_formats: Mapping[Cell, str],
        formulas: RuleFormulas | None = None,
        changes: Changes | None = None,
        at_once: Callable[[], Stored] | None = None,
    ) -> None:
        self._formulas = formulas
        self._sheet, self._number_formats = sheet, number_formats
        self._appearance, self._look_now, self._changes = appearance, look, changes
        self._look = look()
        self._codes: list[str] = []
        self._hiding: set[int] = set()
        """The styles that show nothing of any number: pictures of pixels, in colours of a scale."""
        self._read_styles()
        self._date1904, self._reader = date1904, CellReader(values_in, at_once)
        self._formats = ConditionalFormats(self._reader, formulas)
        self._area: Range | None = None
        self._version = 0
        """The version of the cells at the last look."""
        self._typed: dict[Position, str] = {}
        """The number formats that typed dates, percentages and amounts have brought along."""
        self._styles: dict[Range, Mapping[Position, int]] = {}
        """The styles of the areas that were looked at last, which never change."""
        self._style_of: dict[Position, int] = {}
        self._values: dict[Position, Value] = {}
        """The values at the last look; of cells that show nothing of their numbers, those of some look."""
        self._arrays: dict[Range, Numbers] = {}
        """The numbers at the last look of the areas that had changed then, of those of nothing but numbers."""
        self._uncalculated: set[Position] = set()
        self._plain: dict[Position, tuple[Entry, str | None]] = {}
        """The entries of the last look without conditional formats, and the colours of number formats."""
        self._found: dict[Position, Entry] = {}
        self.base: Mapping[Position, Entry] | None = None
        """What the look before the last one gave, where it is known what differs from it since."""
        self.different: set[Position] = set()
        """The cells of which the last look may have given something else than `base` has."""
        self._known_pieces: dict[frozenset[Range], list[_Piece]] = {}

    def areas(self, area: Range) -> list[Range]:
        """The area, and the frozen rows and columns beside it, which are always in view."""
        rows, columns = self._look.frozen
        found = [area]
        if rows and area.top > 1:
            found.append(area._replace(top=1, bottom=min(rows, area.top - 1)))
        if columns and area.left > 1:
            right = min(columns, area.left - 1)
            found.append(area._replace(left=1, right=right))
            if rows and area.top > 1:
                found.append(area._replace(top=1, left=1, bottom=min(rows, area.top - 1), right=right))
        return found

    @property
    def is_behind(self) -> bool:
        """Whether formulas of conditional formats are to be calculated anew: look again soon."""
        return self._formulas is not None and self._formulas.is_behind

    def entries(self, area: Range, uncalculated: Callable[[Range], Mapping[Position, str]]) -> dict[Position, Entry]:
        """The cells of an area that hold something, or look like something."""
        look, typed = self._look_now(), self._typed_formats()
        if look is not self._look:  # a report was made anew
            self._look, self._area, self._styles, self._plain = look, None, {}, {}
            self._read_styles()
        changed = self._changed() if area == self._area and typed == self._typed else None
        if changed is None and self._changes is not None:
            self._version = self._changes.version
        self._reader.look()  # what has changed since the version is known is looked at once more
        parts = self.areas(area)
        if changed is None:
            self._area, self._typed, self._known_pieces = area, typed, {}
            different = self._look_at_all(parts)
        else:
            different = self._look_at(self._pieces(changed, parts))
        marked = {at for part in parts for at in uncalculated(part)}
        different |= self._formats.look(self._look.rules, parts, changed) | (marked ^ self._uncalculated)
        self._uncalculated = marked
        self.base, self.different = self._found if changed is not None else None, different
        found = dict(self._found) if changed is not None else {}
        given = self._formats.extras(None if changed is None else different)
        for at in different:
            entry = self._entry(at, given.get(at, {}))
            if entry is not None:
                found[at] = entry
            else:
                found.pop(at, None)
        self._found = found
        return found

    def _read_styles(self) -> None:
        self._codes = [style.number_format for style in self._appearance.styles]
        self._hiding = {number for number, code in enumerate(self._codes) if hides_numbers(code)}
        if any(rule.style is not None and rule.style.number_format != GENERAL for rule in self._look.rules):
            self._hiding = set()  # a conditional format may show the number

    def _changed(self) -> frozenset[Range] | None:
        """The areas of the sheet that have changed since the last look; None if it may be anything."""
        if self._changes is None:
            return None
        version = self._changes.version
        changed = self._changes.changed_since(self._version)
        self._version = version
        return None if changed is None else frozenset(area for sheet, area in changed if sheet == self._sheet)

    def _pieces(self, changed: frozenset[Range], parts: Sequence[Range]) -> list[_Piece]:
        """What is in view of areas, which are often the same ones again; and of which nothing but colours is seen."""
        if changed not in self._known_pieces:
            pieces = [piece for own in changed for part in parts if (piece := own.intersection(part)) is not None]
            colours = [{*map(self._style_of.get, piece.positions())} <= self._hiding for piece in pieces]
            self._known_pieces = {changed: list(zip(pieces, colours, strict=True))}
        return self._known_pieces[changed]

    def _look_at_all(self, parts: Sequence[Range]) -> set[Position]:
        """Look at all cells of areas; returns those that are shown somehow."""
        self._arrays = {}
        self._styles = {part: self._styles.get(part) or self._look.styles_in(part) for part in parts}
        self._style_of = {at: style for styles in self._styles.values() for at, style in styles.items()}
        before, known, self._plain = self._values, self._plain, {}
        self._values = {at: value for part in parts for at, value in self._reader(part).items()}
        for at in self._values.keys() | self._style_of.keys():
            value = self._values.get(at)
            same = at in known and at not in self._typed and value is not None and _same(before.get(at), value)
            self._plain[at] = known[at] if same else self._plain_entry(at, value)
        self._uncalculated = set()
        return {*self._plain}

    def _look_at(self, pieces: Sequence[_Piece]) -> set[Position]:
        """Look at the cells of areas that have changed; returns those that hold something else now."""
        different: set[Position] = set()
        if not pieces:
            return different
        arrays: dict[Range, Numbers] = {}
        known, self._arrays = self._arrays, arrays
        for piece, only_colours in pieces:
            array, before = self._reader.array(piece), known.get(piece)
            if array is not None:
                arrays[piece] = array
                if only_colours and (before is not None or _all_numbers(self._values, piece)):
                    continue
            if array is not None and before is not None:
                rows, columns = np.nonzero(array != before)
                places = zip((rows + piece.top).tolist(), (columns + piece.left).tolist(), strict=True)
                for at, number in zip(places, array[rows, columns].tolist(), strict=True):
                    self._hold(at, number)
                    different.add(at)
                continue
            now = self._reader(piece)
            for at in piece.positions():
                value = now.get(at)
                if not _same(self._values.get(at), value):
                    self._hold(at, value)
                    different.add(at)
        return different

    def _hold(self, at: Position, value: Value | None) -> None:
        """Take another value of a cell."""
        if value is not None:
            self._values[at] = value
        else:
            del self._values[at]
        if value is not None or at in self._style_of:
            self._plain[at] = self._plain_entry(at, value)
        else:
            self._plain.pop(at, None)

    def _plain_entry(self, at: Position, value: Value | None) -> tuple[Entry, str | None]:
        """A cell without conditional formats, and the colour of its number format."""
        style = self._style_of.get(at, 0)
        if value is None:
            return ("", "", style), None
        code = self._codes[style] if style < len(self._codes) else self._codes[0]
        if at in self._typed and (style >= len(self._codes) or code == GENERAL):
            code = self._typed[at]
        shown = displayed(value, code, self._date1904)
        return (shown.text, kind_of(value), style), shown.colour

    def _entry(self, at: Position, extra: Extra) -> Entry | None:
        """A cell as the page gets it; None if there is nothing of it."""
        if at in self._uncalculated:
            extra = {**extra, "uncalculated": 1}
        if at not in self._plain and not extra:
            return None
        entry, colour = self._plain.get(at, (NOTHING, None))
        if (code := extra.get("format")) is not None:
            extra = {name: item for name, item in extra.items() if name != "format"}
            if at in self._values:
                shown = displayed(self._values[at], code, self._date1904)
                entry, colour = (shown.text, *entry[1:]), shown.colour or colour
        if colour is not None:
            extra = {"color": colour, **extra}
        return (*entry, extra) if extra else entry

    def _typed_formats(self) -> dict[Position, str]:
        return {cell[1:]: code for cell, code in list(self._number_formats.items()) if cell.sheet == self._sheet}


def _all_numbers(values: Mapping[Position, Value], area: Range) -> bool:
    """Whether all cells of an area hold numbers."""
    return {*map(type, map(values.get, area.positions()))} == {float}


def _same(one: Value | None, other: Value | None) -> bool:
    return type(one) is type(other) and one == other


def style_for_page(style: CellStyle) -> dict[str, Any]:
    """A style as the page gets it: what is as usual is left out."""
    found: dict[str, Any] = {
        "bold": style.bold,
        "italic": style.italic,
        "underline": style.underline,
        "strike": style.strike,
        "size": style.size,
        "font": style.font,
        "color": style.colour,
        "fill": style.fill,
        "align": style.align,
        "valign": style.valign,
        "wrap": style.wrap,
        "indent": style.indent,
        "rotation": style.rotation,
        "general": style.number_format == GENERAL,
        "border": {side: [width, colour] for side, width, colour in style.border},
    }
    return {name: value for name, value in found.items() if value}


def look_for_page(look: SheetLook) -> dict[str, Any]:
    """How a sheet looks, as the page gets it; what is hidden or grouped as runs, from the first to the last."""
    return {
        "default_width": look.default_width,
        "default_height": look.default_height,
        "widths": look.widths,
        "heights": look.heights,
        "sized_rows": _runs(look.sized_rows),
        "hidden_columns": _runs(look.hidden_columns),
        "hidden_rows": _runs(look.hidden_rows),
        "column_groups": _groups(look.column_levels),
        "row_groups": _groups(look.row_levels),
        "summary": list(look.summary),
        "frozen": list(look.frozen),
        "gridlines": look.gridlines,
        "tab": look.tab,
        "hidden": look.hidden,
    }


def _groups(levels: Mapping[int, int]) -> list[list[int]]:
    """The groups of each depth: first, last and depth."""
    deepest = max(levels.values(), default=0)
    return [
        [*run, depth]
        for depth in range(1, min(deepest, _DEEPEST_GROUP) + 1)
        for run in _runs(place for place, level in levels.items() if level >= depth)
    ]


def _runs(places: Iterable[int]) -> list[list[int]]:
    """Numbers that follow each other as their first and last."""
    found: list[list[int]] = []
    for place in sorted(places):
        if found and found[-1][1] == place - 1:
            found[-1][1] = place
        else:
            found.append([place, place])
    return found
