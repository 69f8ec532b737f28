"""Cells and rectangles of cells, and their A1 text.

Rows and columns count from 1, as on the sheet.
"""

from __future__ import annotations

import re
import unicodedata
from bisect import bisect_left
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from itertools import product
from typing import Generic, NamedTuple, TypeVar

from sgdsheet.errors import FormulaError

MAX_ROW = 1_048_576
MAX_COLUMN = 16_384

_PLAIN_SHEET = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_LOOKS_LIKE_CELL = re.compile(r"[A-Za-z]{1,3}[0-9]+|[Rr][0-9]*([Cc][0-9]*)?")
_CELL = re.compile(r"\$?([A-Za-z]{1,3})\$?([0-9]{1,7})")
_COLUMNS = re.compile(r"\$?([A-Za-z]{1,3}):\$?([A-Za-z]{1,3})")
_ROWS = re.compile(r"\$?([0-9]{1,7}):\$?([0-9]{1,7})")


def column_number(letters: str) -> int:
    """Number of a column: A is 1, XFD is 16384."""
    number = 0
    for letter in letters.upper():
        number = number * 26 + ord(letter) - 64
    return number


def column_letters(number: int) -> str:
    """Letters of a column: 1 is A."""
    letters = ""
    while number > 0:
        number, rest = divmod(number - 1, 26)
        letters = chr(65 + rest) + letters
    return letters


def address(row: int, column: int) -> str:
    """A1 text of a cell without its sheet."""
    return f"{column_letters(column)}{row}"


def quote_sheet(name: str) -> str:
    """Sheet name as a formula needs it: quoted unless it is a plain word."""
    if _PLAIN_SHEET.fullmatch(name) and not _LOOKS_LIKE_CELL.fullmatch(name):
        return name
    return "'" + name.replace("'", "''") + "'"


def _prefix(sheet: str) -> str:
    """A sheet as people know it: what follows a zero byte are sheets that only a compiled program has."""
    return quote_sheet(sheet.partition("\0")[0]) + "!"


class Cell(NamedTuple):
    """One cell."""

    sheet: str
    row: int
    column: int

    def __str__(self) -> str:
        return _prefix(self.sheet) + address(self.row, self.column)


class Range(NamedTuple):
    """A rectangle of cells, corners included."""

    sheet: str
    top: int
    left: int
    bottom: int
    right: int

    @property
    def height(self) -> int:
        return self.bottom - self.top + 1

    @property
    def width(self) -> int:
        return self.right - self.left + 1

    @property
    def size(self) -> int:
        return self.height * self.width

    @property
    def first(self) -> Cell:
        return Cell(self.sheet, self.top, self.left)

    @property
    def a1(self) -> str:
        """A1 text without the sheet: `B2`, `B2:C9`."""
        start = address(self.top, self.left)
        return start if self.size == 1 else f"{start}:{address(self.bottom, self.right)}"

    @property
    def absolute(self) -> str:
        """The range as a defined name has it: `'my sheet'!$A$1:$B$2`."""
        corners = [address(self.top, self.left), address(self.bottom, self.right)]
        start, end = (re.sub("([A-Z]+)([0-9]+)", r"$\1$\2", corner) for corner in corners)
        return _prefix(self.sheet) + (start if self.size == 1 else f"{start}:{end}")

    @property
    def identifier(self) -> str:
        """The range as a Python identifier, in the form that Python gives to it (NFKC): `nnet_AC4_AC715`."""
        corners = self.a1.replace(":", "_")
        letters = unicodedata.normalize("NFKC", self.sheet)
        known = "".join(letter if f"_{letter}".isidentifier() else " " for letter in letters)
        sheet = re.sub(" +", "_", known).strip("_") or "sheet"
        return f"{sheet}_{corners}" if sheet.isidentifier() else f"_{sheet}_{corners}"

    def __str__(self) -> str:
        return _prefix(self.sheet) + self.a1

    def cells(self) -> Iterator[Cell]:
        """All cells, row by row."""
        for row in range(self.top, self.bottom + 1):
            for column in range(self.left, self.right + 1):
                yield Cell(self.sheet, row, column)

    def positions(self) -> Iterator[tuple[int, int]]:
        """Row and column of all cells, row by row."""
        return product(range(self.top, self.bottom + 1), range(self.left, self.right + 1))

    def contains(self, other: Range) -> bool:
        return (
            self.sheet == other.sheet
            and self.top <= other.top
            and self.left <= other.left
            and self.bottom >= other.bottom
            and self.right >= other.right
        )

    def intersection(self, other: Range) -> Range | None:
        """The common cells, or None."""
        if self.sheet != other.sheet:
            return None
        top, left = max(self.top, other.top), max(self.left, other.left)
        bottom, right = min(self.bottom, other.bottom), min(self.right, other.right)
        return Range(self.sheet, top, left, bottom, right) if top <= bottom and left <= right else None

    def bounding_box(self, other: Range) -> Range:
        """The smallest rectangle around both (of one sheet)."""
        return Range(
            self.sheet,
            min(self.top, other.top),
            min(self.left, other.left),
            max(self.bottom, other.bottom),
            max(self.right, other.right),
        )

    @classmethod
    def of_cell(cls, cell: Cell) -> Range:
        return cls(cell.sheet, cell.row, cell.column, cell.row, cell.column)


def identifiers(areas: Sequence[Range]) -> list[str]:
    """Each range's `identifier`, with a number behind it where another has the same: 'my sheet' and my_sheet."""
    found: list[str] = []
    for area in areas:
        name, number = area.identifier, 1
        while name in found:
            number += 1
            name = f"{area.identifier}_{number}"
        found.append(name)
    return found


def split_sheet(text: str) -> tuple[str | None, str]:
    """Split `'my sheet'!A1` into sheet name (unquoted, None where there is none) and the rest."""
    if text.startswith("'"):
        end = text.find("'!")
        if end > 0:
            return text[1:end].replace("''", "'"), text[end + 2 :]
    sheet, mark, rest = text.rpartition("!")
    return (sheet, rest) if mark else (None, text)


def parse_range(text: str, sheet: str) -> Range:
    """Read `A1`, `$A$1:B4`, `A:C`, `2:5` or any of them with a sheet.

    `sheet` is where a text without a sheet belongs. Raises FormulaError for anything else.
    """
    named, body = split_sheet(text.strip().removeprefix("="))
    sheet = named if named is not None else sheet
    if match := _COLUMNS.fullmatch(body):
        left, right = sorted(column_number(part) for part in match.groups())
        found = Range(sheet, 1, left, MAX_ROW, right)
    elif match := _ROWS.fullmatch(body):
        top, bottom = sorted(int(part) for part in match.groups())
        found = Range(sheet, top, 1, bottom, MAX_COLUMN)
    else:
        corners = [_CELL.fullmatch(part) for part in body.split(":")]
        if not 1 <= len(corners) <= 2 or not all(corners):
            raise FormulaError(f"“{text}” is not a range", remedy="Write it like A1, B2:C9 or 'my sheet'!B2:C9")
        rows = sorted(int(corner[2]) for corner in corners if corner)
        columns = sorted(column_number(corner[1]) for corner in corners if corner)
        found = Range(sheet, rows[0], columns[0], rows[-1], columns[-1])
    if found.top < 1 or found.bottom > MAX_ROW or found.left < 1 or found.right > MAX_COLUMN:
        raise FormulaError(f"“{text}” lies outside the grid", remedy=f"Excel ends at XFD{MAX_ROW}")
    return found


def split_areas(text: str) -> list[str]:
    """Split a multi-area reference at its commas, leaving quoted sheet names whole."""
    areas, current, quoted = [], "", False
    for character in text.strip().removeprefix("="):
        if character == "'":
            quoted = not quoted
        if character == "," and not quoted:
            areas.append(current)
            current = ""
        else:
            current += character
    areas.append(current)
    return [area.strip() for area in areas if area.strip()]


def rectangles(
    positions: Iterable[tuple[int, int]], height: int = 1, width: int = 1
) -> list[tuple[int, int, int, int]]:
    """Cover positions, each `height` x `width` cells, by rectangles: (top, left, rows, columns) in copies."""
    columns: dict[int, list[int]] = defaultdict(list)
    for row, column in positions:
        columns[column].append(row)
    runs: dict[tuple[int, int], list[int]] = defaultdict(list)
    for column, rows in columns.items():
        rows.sort()
        if height == 1 and rows[-1] - rows[0] == len(rows) - 1:  # they are one run: no position comes twice
            runs[rows[0], len(rows)].append(column)
            continue
        start = previous = rows[0]
        for row in [*rows[1:], 0]:
            if row != previous + height:
                runs[start, (previous - start) // height + 1].append(column)
                start = row
            previous = row
    found = []
    for (top, count), lefts in runs.items():
        lefts.sort()
        start = previous = lefts[0]
        for left in [*lefts[1:], 0]:
            if left != previous + width:
                found.append((top, start, count, (previous - start) // width + 1))
                start = left
            previous = left
    return sorted(found)


def areas_of_cells(cells: Iterable[Cell]) -> tuple[Range, ...]:
    """Cells as rectangles, as few as possible."""
    sheets: dict[str, set[tuple[int, int]]] = defaultdict(set)
    for cell in cells:
        sheets[cell.sheet].add(cell[1:])
    return tuple(
        Range(name, top, left, top + rows - 1, left + columns - 1)
        for name, places in sheets.items()
        for top, left, rows, columns in rectangles(places)
    )


def without(areas: Iterable[Range], others: Sequence[Range]) -> tuple[Range, ...]:
    """What is left of ranges when the cells of others are taken out."""
    found: list[Range] = []
    for area in areas:
        removed = [shared for other in others if (shared := area.intersection(other)) is not None]
        if not removed:
            found.append(area)
            continue
        gone = {place for shared in removed for place in shared.positions()}
        left = rectangles(place for place in area.positions() if place not in gone)
        found += [Range(area.sheet, top, start, top + h - 1, start + w - 1) for top, start, h, w in left]
    return tuple(found)


Item = TypeVar("Item")


class RangeIndex(Generic[Item]):
    """Finds, among ranges that do not overlap each other, those that overlap a range."""

    def __init__(self) -> None:
        self._columns: dict[tuple[str, int], list[tuple[int, int, int]]] = defaultdict(list)
        self._entries: list[tuple[Range, Item]] = []
        self._unsorted: set[tuple[str, int]] = set()

    def add(self, area: Range, item: Item) -> None:
        for column in range(area.left, area.right + 1):
            self._columns[area.sheet, column].append((area.bottom, area.top, len(self._entries)))
            self._unsorted.add((area.sheet, column))
        self._entries.append((area, item))

    def on_sheet(self, sheet: str) -> list[Range]:
        """The ranges on a sheet."""
        return [area for area, _ in self._entries if area.sheet == sheet]

    def overlapping(self, wanted: Range) -> list[tuple[Range, Item]]:
        """The entries that overlap, in the order in which they were added."""
        found: set[int] = set()
        for column in range(wanted.left, wanted.right + 1):
            key = (wanted.sheet, column)
            spans = self._columns.get(key)
            if not spans:
                continue
            if key in self._unsorted:
                self._unsorted.remove(key)
                spans.sort()
            for _, top, number in spans[bisect_left(spans, (wanted.top,)) :]:
                if top > wanted.bottom:
                    break
                found.add(number)
        return [self._entries[number] for number in sorted(found)]
