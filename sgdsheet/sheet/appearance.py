"""How a workbook looks, as plain data: styles of cells, sizes of columns and rows, conditional formats.

Colours are `#rrggbb`; None is the colour that the reader's page has for it. Sizes on the screen are in pixels, of which
an inch has 96.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field

from sgdsheet.sheet.displayed_text import GENERAL
from sgdsheet.sheet.references import Range
from sgdsheet.sheet.workbook import Position

DEFAULT_WIDTH, DEFAULT_HEIGHT = 64, 20


@dataclass(frozen=True, slots=True)
class CellStyle:
    """The style of a cell: its number format, its type, and what is around it.

    `size` is in points; `border` has the lines by their side (top, right, bottom, left) with width and colour.
    """

    number_format: str = GENERAL
    bold: bool = False
    italic: bool = False
    underline: bool = False
    strike: bool = False
    size: float = 11.0
    font: str = ""
    colour: str | None = None
    fill: str | None = None
    align: str = ""
    valign: str = ""
    wrap: bool = False
    indent: int = 0
    rotation: int = 0
    border: tuple[tuple[str, int, str], ...] = ()


@dataclass(frozen=True, slots=True)
class Mark:
    """Where a colour of a scale, or an end of a bar, lies: at a number, a share of the way, a percentile, a cell."""

    kind: str
    """`min`, `max`, `num`, `percent`, `percentile` or `formula`."""
    text: str = ""
    above: bool = False
    """Whether a number at the mark itself still gets the icon before: the number has to lie above the mark."""


@dataclass(frozen=True, slots=True)
class LooseFormula:
    """A formula that stands in no cell: as it is written for the cell `home`, and the areas in which it is wanted."""

    text: str
    home: Position
    areas: tuple[Range, ...]


@dataclass(frozen=True, slots=True)
class Rule:
    """A rule of a conditional format. Of several that give the same thing, that of the smallest `priority` counts."""

    kind: str
    """As in an .xlsx: `colorScale`, `dataBar`, `iconSet`, `cellIs`, `expression`, `top10` and so on."""
    priority: int
    areas: tuple[Range, ...]
    style: CellStyle | None = None
    """What a rule that holds does to the cell; of a style, what is not as usual."""
    stop: bool = False
    operator: str = ""
    formulas: tuple[str, ...] = ()
    marks: tuple[Mark, ...] = ()
    colours: tuple[str, ...] = ()
    attributes: Mapping[str, str] = field(default_factory=dict)
    """What else the rule says, as in the file."""
    home: Position | None = None
    """The cell that formulas are written for; None is the first one of all areas."""


@dataclass(slots=True)
class SheetLook:
    """How one sheet looks. `styles_in` gives the numbers of the styles of an area's cells, without those of style 0."""

    styles_in: Callable[[Range], Mapping[Position, int]] = lambda area: {}
    default_width: int = DEFAULT_WIDTH
    default_height: int = DEFAULT_HEIGHT
    widths: dict[int, int] = field(default_factory=dict)
    """Columns that are not of the default width."""
    heights: dict[int, int] = field(default_factory=dict)
    """Rows that are not of the default height."""
    sized_rows: Collection[int] = ()
    """Rows whose height stands in the file; the height of others follows from their texts."""
    hidden_columns: set[int] = field(default_factory=set)
    hidden_rows: set[int] = field(default_factory=set)
    column_levels: dict[int, int] = field(default_factory=dict)
    """The depth of columns that are grouped, from 1: a group can be folded."""
    row_levels: dict[int, int] = field(default_factory=dict)
    summary: tuple[bool, bool] = (True, True)
    """Whether what sums a group up stands below its rows, and to the right of its columns."""
    frozen: Position = (0, 0)
    """Rows and columns that stay in view."""
    gridlines: bool = True
    tab: str | None = None
    hidden: bool = False
    rules: tuple[Rule, ...] = ()
    links: Mapping[Position, str] = field(default_factory=dict)
    """Where the links of cells lead to in this workbook: a range with or without its sheet, or a defined name."""


class Appearance:
    """How a workbook looks: the styles by their numbers, and each sheet, read when it is first asked for."""

    def __init__(
        self, styles: tuple[CellStyle, ...] = (CellStyle(),), read: Callable[[str], SheetLook] | None = None
    ) -> None:
        self.styles = styles
        self._read = read
        self._sheets: dict[str, SheetLook] = {}
        self._numbers: dict[CellStyle, int] = {}

    def sheet(self, name: str) -> SheetLook:
        """How a sheet looks; one that the file does not have looks plain."""
        found = self._sheets.get(name)
        if found is None:
            found = self._sheets[name] = self._read(name) if self._read is not None else SheetLook()
        return found

    def number_of(self, style: CellStyle) -> int:
        """The number of a style, which is added if there is none like it."""
        if style not in self._numbers:
            self._numbers = {known: number for number, known in reversed([*enumerate(self.styles)])}
        if style not in self._numbers:
            self.styles = (*self.styles, style)
            self._numbers[style] = len(self.styles) - 1
        return self._numbers[style]
