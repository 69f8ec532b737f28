"""The charts of a workbook as plain data: which cells they show, and how."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from sgdsheet.sheet.references import Range

Words = str | Range
"""A text, or the cell that holds it."""


class ChartKind(Enum):
    """How a series is drawn. A bar lies, a column stands; a doughnut is a ring of slices, a pie is full."""

    LINE = "line"
    SCATTER = "scatter"
    BAR = "bar"
    COLUMN = "column"
    AREA = "area"
    PIE = "pie"
    DOUGHNUT = "doughnut"

    @property
    def is_round(self) -> bool:
        """Whether each value is a slice of a circle."""
        return self in (ChartKind.PIE, ChartKind.DOUGHNUT)


class Stacking(Enum):
    """Whether bars stand beside each other or on top of each other, and lines and areas add up."""

    NONE = "clustered"
    SUM = "stacked"
    SHARE = "percentStacked"


@dataclass(frozen=True, slots=True)
class Series:
    """One series: `values` over `categories` (the x values of a scatter chart), each in the order of their cells.

    `colour` is RRGGBB with a `#`, None where the program chooses. `slice_colours` are those of the slices of a pie, in
    their order, as far as the workbook chooses them.
    """

    kind: ChartKind
    name: Words
    categories: tuple[Range, ...]
    values: tuple[Range, ...]
    colour: str | None = None
    line: bool = True
    marker: bool = False
    stacking: Stacking = Stacking.NONE
    slice_colours: tuple[str | None, ...] = ()

    @property
    def areas(self) -> tuple[Range, ...]:
        """All cells that the series shows."""
        return (*self.categories, *self.values, *((self.name,) if isinstance(self.name, Range) else ()))


@dataclass(frozen=True, slots=True)
class Axis:
    """An axis: its title, and where it ends if that is fixed."""

    title: Words = ""
    low: float | None = None
    high: float | None = None
    log: bool = False
    reversed: bool = False


@dataclass(frozen=True, slots=True)
class UndrawnChart:
    """A chart on a sheet of a kind that is not drawn here, such as radar: its title, and the cells that it covers."""

    sheet: str
    kind: str
    title: Words
    anchor: Range | None = None


@dataclass(frozen=True, slots=True)
class Chart:
    """A chart on a sheet. `x` is the axis of the categories, also where it stands upright.

    `anchor` are the cells that it covers, None where that is not known.
    """

    sheet: str
    title: Words
    x: Axis
    y: Axis
    series: tuple[Series, ...]
    anchor: Range | None = None

    @property
    def is_round(self) -> bool:
        """Whether it is a pie or a doughnut."""
        return self.series[0].kind.is_round

    @property
    def areas(self) -> tuple[Range, ...]:
        """All cells that the chart shows."""
        words = [word for word in (self.title, self.x.title, self.y.title) if isinstance(word, Range)]
        return (*words, *(area for series in self.series for area in series.areas))
