"""A report as it is printed, whatever program shows it: headings, sentences and tables of numbers and texts."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import Enum, auto

SHEET = "SGD report"
"""The name of the sheet that shows a report."""

WIDTHS = (20, 26, 15, 15, 15, 15, 15, 15)
"""The widths of the columns that all tables share, in characters."""

NO_LIMIT, UNKNOWN = "no limit", "–"
"""What stands in the place of an infinite number, and of one that is not known."""

Entry = str | float | None


class Kind(Enum):
    """How the entries of a column are shown."""

    TEXT = auto()
    NUMBER = auto()
    """Six digits."""
    SERIES = auto()
    """Six digits of the largest number of the column, with as many decimals in every row."""
    SHORT = auto()
    """Four digits, for what is an estimate itself."""
    RATIO = auto()
    """Three decimals."""
    PROBABILITY = auto()
    WORD = auto()
    """Text on the right side, among numbers."""


@dataclass(frozen=True, slots=True)
class Column:
    """A column of a table; `label` stands above it."""

    label: str
    kind: Kind = Kind.NUMBER


@dataclass(frozen=True, slots=True)
class Table:
    """Rows of entries under the labels of their columns, which are the page's first ones in this order.

    `title` stands above it. An entry is a number (infinite: no limit), a text, or None for what is not known.
    """

    title: str
    columns: Sequence[Column]
    rows: Sequence[Sequence[Entry]]


@dataclass(frozen=True, slots=True)
class Figures:
    """Single numbers beside what they are, two to a line."""

    entries: Sequence[tuple[str, Entry, Kind]]


@dataclass(frozen=True, slots=True)
class ResidualPlot:
    """A chart of residuals over fitted values: of the columns `x` and `y`, from 0, of the table with this title."""

    title: str
    table: str
    x: int
    y: int


@dataclass(frozen=True, slots=True)
class Note:
    """A sentence over the whole width."""

    text: str


Part = Table | Figures | ResidualPlot | Note


@dataclass(frozen=True, slots=True)
class Section:
    """A part of a report under a heading of its own."""

    title: str
    parts: list[Part] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Page:
    """A report."""

    title: str
    subtitle: str
    sections: Sequence[Section]


def entry(value: float | None) -> Entry:
    """A number for a table: infinite ones and unknown ones in words."""
    if value is None or math.isnan(value):
        return UNKNOWN
    return NO_LIMIT if math.isinf(value) else value + 0.0  # which has no negative zero


def number_format(value: float, kind: Kind) -> str:
    """The format of a spreadsheet that shows a number with as many digits as its kind wants."""
    if kind is Kind.PROBABILITY:
        return '[<0.0001]"< 0.0001";0.0000'
    if kind is Kind.RATIO:
        return "0.000" if abs(value) < 1000 else "#,##0"
    if value == round(value) and abs(value) < 1e9:
        return "#,##0"
    digits = 4 if kind is Kind.SHORT else 6
    power = math.floor(math.log10(abs(value)))
    if not -4 <= power < 9:
        return f"0.{'0' * (digits - 1)}E+00"
    decimals = max(0, digits - 1 - power)
    return "#,##0" + ("." + "0" * decimals if decimals else "")


def rows_of(page: Page) -> tuple[list[list[Entry]], list[int]]:
    """The page as plain rows, and the numbers (from 1) of those in bold type, for programs that show no more.

    All rows are as long as the longest. Sentences stand above the tables of their section: programs fit the width of a
    column to what stands below its head.
    """
    rows: list[list[Entry]] = [[page.title], [page.subtitle]]
    bold = [1]
    for section in page.sections:
        rows += [[], [section.title]]
        bold.append(len(rows))
        rows += ([part.text] for part in section.parts if isinstance(part, Note))
        for part in section.parts:
            if isinstance(part, Figures):
                rows += ([label, value] for label, value, _ in part.entries)
            elif isinstance(part, Table):
                rows += [[], [part.title], [column.label for column in part.columns]]
                bold += [len(rows) - 1, len(rows)]
                rows += (list(row) for row in part.rows)
    width = max(map(len, rows))
    return [[*row, *[None] * (width - len(row))] for row in rows], bold
