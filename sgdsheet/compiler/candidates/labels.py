"""The words that stand beside cells and say what they hold."""

from __future__ import annotations

import re
from bisect import bisect_left
from collections import defaultdict
from functools import cached_property

from sgdsheet.errors import FormulaError
from sgdsheet.sheet.references import Cell, Range, parse_range
from sgdsheet.sheet.workbook import Sheet, Workbook

_LEFT = 4
"""How many columns to the left of a cell its label may stand."""

_LONGEST = 60
"""A longer text is a remark, not a label."""

_UNIT = re.compile(r"[(\[][^()\[\]]*[)\]]")
_WORD = re.compile(r"[^\W_]+(?:[²0-9]*)", re.UNICODE)
_HUMP = re.compile(r"(?<=[a-zà-ÿ])(?=[A-Z])")


def words_of(label: str) -> tuple[str, ...]:
    """The words of a label, in lower case: `total_SSE`, `TotalSSE` and “Total SSE:” are the same."""
    return tuple(word.casefold() for word in _WORD.findall(_HUMP.sub(" ", label)))


def without_units(label: str) -> str:
    """A label without what stands in brackets: the m of “speed (m/s)” is no parameter."""
    return _UNIT.sub(" ", label)


class Labels:
    """Looks up labels in a workbook: to the left of a cell, above it, and the names that were defined for it."""

    def __init__(self, workbook: Workbook) -> None:
        self._workbook = workbook
        self._texts: dict[str, dict[tuple[int, int], str]] = {}
        self._columns: dict[str, dict[int, list[int]]] = {}

    def left(self, cell: Cell) -> str:
        """The nearest text to the left in the same row, unless another number stands in between."""
        sheet = self._workbook.sheets[cell.sheet]
        texts = self._texts_of(cell.sheet)
        for column in range(cell.column - 1, max(0, cell.column - 1 - _LEFT), -1):
            if (cell.row, column) in texts:
                return texts[cell.row, column]
            if (cell.row, column) in sheet.values or (cell.row, column) in sheet.formulas:
                return ""
        return ""

    def above(self, cell: Cell) -> str:
        """The text directly above, an empty row allowed."""
        texts, sheet = self._texts_of(cell.sheet), self._workbook.sheets[cell.sheet]
        for row in (cell.row - 1, cell.row - 2):
            if (row, cell.column) in texts:
                return texts[row, cell.column]
            if (row, cell.column) in sheet.values:
                return ""
        return ""

    def heading(self, cell: Cell) -> str:
        """The nearest text above in the same column, however far: what the column is about."""
        self._texts_of(cell.sheet)
        rows = self._columns[cell.sheet].get(cell.column, [])
        place = bisect_left(rows, cell.row)
        return self._texts[cell.sheet][rows[place - 1], cell.column] if place else ""

    def row_title(self, cell: Cell) -> str:
        """The first text to the left in the same row, whatever stands in between."""
        texts = self._texts_of(cell.sheet)
        found = [column for column in range(max(1, cell.column - 60), cell.column) if (cell.row, column) in texts]
        return texts[cell.row, found[-1]] if found else ""

    def name(self, area: Range) -> str:
        """A defined name for exactly these cells."""
        return self._names.get(area, "")

    def of_cell(self, cell: Cell) -> str:
        """What a person would call the cell: its name, or the text to its left or above."""
        return self.left(cell) or self.above(cell) or self.name(Range.of_cell(cell))

    def of_area(self, area: Range, *, in_rows: bool = True) -> tuple[tuple[str, float], ...]:
        """All texts that may say what an area holds, the closest first, with how much each says.

        Without `in_rows`, the titles of rows say nothing: in a long table they are about other columns.
        """
        first = area.first
        found = [(self.name(area), 3.0), (self.left(first), 3.0), (self.above(first), 3.0)]
        if area.top > 1 and area.left > 1 and min(area.height, area.width) > 1:
            found.append((self._texts_of(area.sheet).get((area.top - 1, area.left - 1), ""), 2.0))
        far = 0.5 if any(text for text, _ in found) else 1.5  # where a closer text says what it is
        found += [(self.row_title(first) if in_rows else "", far), (self.heading(first), far)]
        seen: dict[str, float] = {}
        for text, weight in found:
            if text:
                seen.setdefault(text, weight)
        return tuple(seen.items())

    @cached_property
    def _names(self) -> dict[Range, str]:
        """The names that a person has defined for cells; of a range, its single cells have none."""
        found: dict[Range, str] = {}
        for item in self._workbook.names:
            if item.hidden or item.name.casefold().startswith(("_", "sgd_", "solver_")):
                continue
            try:
                area = parse_range(item.text, item.sheet or "")
            except FormulaError:
                continue
            if (sheet := self._workbook.sheet(area.sheet)) is not None:
                found.setdefault(area._replace(sheet=sheet.name), item.name)
        return found

    def _texts_of(self, name: str) -> dict[tuple[int, int], str]:
        if name not in self._texts:
            self._texts[name] = dict(_texts(self._workbook.sheets[name]))
            columns: dict[int, list[int]] = defaultdict(list)
            for row, column in self._texts[name]:
                columns[column].append(row)
            for rows in columns.values():
                rows.sort()
            self._columns[name] = columns
        return self._texts[name]


def _texts(sheet: Sheet) -> list[tuple[tuple[int, int], str]]:
    """The texts of a sheet that may be labels: arrows and lines between cells say nothing."""
    found = []
    for place, value in sheet.values.items():
        if isinstance(value, str) and len(text := " ".join(value.split())) <= _LONGEST and _WORD.search(text):
            found.append((place, text))
    return found
