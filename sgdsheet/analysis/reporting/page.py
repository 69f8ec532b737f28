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


@dataclass(slots=True)
class Laid:
    """A page as plain rows, for programs that show no more than these, their formats and a chart.

    All `rows` are as long as the longest. Rows and columns have numbers from 1. `bold` are rows in bold type, `formats`
    the formats of numbers by row and column, and `plot` is what shows residuals: itself, the row of its table's labels,
    and the table's last row.
    """

    rows: list[list[Entry]]
    bold: list[int] = field(default_factory=list)
    formats: dict[tuple[int, int], str] = field(default_factory=dict)
    plot: tuple[ResidualPlot, int, int] | None = None

    def add(self, *entries: Entry, bold: bool = False) -> int:
        """Add a row; returns its number."""
        self.rows.append(list(entries))
        if bold:
            self.bold.append(len(self.rows))
        return len(self.rows)


def laid_out(page: Page) -> Laid:
    """The page as plain rows.

    Sentences stand above the tables of their section: programs fit the width of a column to what stands below its head.
    """
    found, tables, plots = Laid([]), dict[str, tuple[int, int]](), list[ResidualPlot]()
    found.add(page.title, bold=True)
    found.add(page.subtitle)
    for section in page.sections:
        found.add()
        found.add(section.title, bold=True)
        for part in section.parts:
            if isinstance(part, Note):
                found.add(part.text)
            elif isinstance(part, ResidualPlot):
                plots.append(part)
        for part in section.parts:
            if isinstance(part, Figures):
                for label, value, kind in part.entries:
                    _note_format(found, found.add(label, value), 2, value, kind)
            elif isinstance(part, Table):
                tables[part.title] = _lay_table(found, part)
    plot = next((item for item in plots if item.table in tables), None)
    found.plot = (plot, *tables[plot.table]) if plot is not None else None
    width = max(map(len, found.rows))
    found.rows = [[*row, *[None] * (width - len(row))] for row in found.rows]
    return found


def _lay_table(found: Laid, table: Table) -> tuple[int, int]:
    """Lay out a table; returns the row of its labels and its last row."""
    found.add()
    found.add(table.title, bold=True)
    labels = found.add(*(column.label for column in table.columns), bold=True)
    largest = [largest_of(table.rows, place) for place in range(len(table.columns))]
    for row in table.rows:
        number = found.add(*row)
        for place, (column, value) in enumerate(zip(table.columns, row, strict=False)):
            _note_format(found, number, place + 1, value, column.kind, largest[place])
    return labels, len(found.rows)


def _note_format(found: Laid, row: int, column: int, value: Entry, kind: Kind, largest: float = 0.0) -> None:
    if isinstance(value, float):
        found.formats[row, column] = shown_as(value, kind, largest)


def shown_as(value: float, kind: Kind, largest: float) -> str:
    """The format of a number in a column of this kind, whose largest number is given."""
    return "#,##0" if kind is Kind.TEXT else number_format(largest if kind is Kind.SERIES else value, kind)


def largest_of(rows: Sequence[Sequence[Entry]], place: int) -> float:
    """The largest number of a column; one that is not whole, if there is any."""
    numbers = [abs(row[place]) for row in rows if len(row) > place and isinstance(row[place], float)]  # type: ignore[arg-type]
    broken = [number for number in numbers if number != round(number)]
    return max(numbers, default=0.0) + (0.5 if broken and max(numbers) == round(max(numbers)) else 0.0)
