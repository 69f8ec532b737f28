"""The cells that a page looks at, as it gets them: texts, kinds, styles, and what conditional formats ask for."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from sgdsheet.apps.web.conditional_formats import Extra, conditional_formats
from sgdsheet.apps.web.rule_formulas import RuleFormulas
from sgdsheet.apps.web.rule_operands import ValuesIn
from sgdsheet.sheet.appearance import Appearance, CellStyle, SheetLook
from sgdsheet.sheet.displayed_text import GENERAL, displayed
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


class SheetView:
    """What a page sees of one sheet. Texts are made anew only for values that have changed."""

    def __init__(
        self,
        appearance: Appearance,
        look: Callable[[], SheetLook],
        sheet: str,
        date1904: bool,
        values_in: ValuesIn,
        number_formats: Mapping[Cell, str],
        formulas: RuleFormulas | None = None,
    ) -> None:
        self._formulas = formulas
        self._sheet, self._number_formats = sheet, number_formats
        self._appearance, self._look_now = appearance, look
        self._look = look()
        self._codes = [style.number_format for style in appearance.styles]
        self._date1904, self._values_in = date1904, values_in
        self._styles: dict[Range, Mapping[Position, int]] = {}
        """The styles of the areas that were looked at last, which never change."""
        self._values: dict[Position, Value] = {}
        self._plain: dict[Position, tuple[Entry, str | None]] = {}
        """The entries of the last look without conditional formats, and the colours of number formats."""

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
        found: dict[Position, Entry] = {}
        values: dict[Position, Value] = {}
        plain: dict[Position, tuple[Entry, str | None]] = {}
        given: dict[Position, Extra] = {}
        look = self._look_now()
        if look is not self._look:  # a report was made anew
            self._look, self._styles, self._plain = look, {}, {}
            self._codes = [style.number_format for style in self._appearance.styles]
        parts = self.areas(area)
        self._styles = {part: self._styles.get(part) or self._look.styles_in(part) for part in parts}
        for part in parts:
            own = dict(self._values_in(part))
            values.update(own)
            plain.update(self._plain_entries(part, own))
            for at in uncalculated(part):
                given[at] = {"uncalculated": 1}
        for at, extra in conditional_formats(self._look.rules, parts, self._values_in, self._formulas).items():
            given[at] = {**extra, **given.get(at, {})}
        for at, (entry, colour) in plain.items():
            found[at] = (*entry, {"color": colour}) if colour is not None else entry
        for at, extra in given.items():
            entry, colour = plain.get(at, (NOTHING, None))
            if (code := extra.pop("format", None)) is not None and at in values:
                shown = displayed(values[at], code, self._date1904)
                entry, colour = (shown.text, *entry[1:]), shown.colour or colour
            found[at] = (*entry, {"color": colour, **extra} if colour is not None else extra)
        self._values, self._plain = values, plain
        return found

    def _plain_entries(self, area: Range, values: Mapping[Position, Value]) -> dict[Position, tuple[Entry, str | None]]:
        styles, codes, before, known = self._styles[area], self._codes, self._values, self._plain
        found: dict[Position, tuple[Entry, str | None]] = {}
        for at, value in values.items():
            if at in known and (old := before.get(at)) == value and type(old) is type(value):
                found[at] = known[at]
                continue
            style = styles.get(at, 0)
            shown = displayed(value, codes[style] if style < len(codes) else codes[0], self._date1904)
            found[at] = (shown.text, kind_of(value), style), shown.colour
        for cell, code in list(self._number_formats.items()):  # typed dates, percentages and amounts
            if cell.sheet == self._sheet and (held := values.get(cell[1:])) is not None:
                style = styles.get(cell[1:], 0)
                if style >= len(codes) or codes[style] == GENERAL:
                    shown = displayed(held, code, self._date1904)
                    found[cell[1:]] = (shown.text, kind_of(held), style), shown.colour
        for at, style in styles.items():
            if at not in found:
                found[at] = ("", "", style), None
        return found


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
