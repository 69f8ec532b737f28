"""What a host must offer: a place where a workbook lives (a file, Excel, LibreOffice)."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING, Protocol, runtime_checkable

from sgdsheet.sheet.references import Cell, Range
from sgdsheet.sheet.workbook import Value, Workbook

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from sgdsheet.sheet.held_numbers import HeldNumbers


class Host(Protocol):
    """Reads a workbook as plain data and takes values back."""

    def read(self) -> Workbook:
        """Values, formulas, names and tables, all at once."""
        ...

    def write(self, values: Mapping[Cell, Value]) -> None:
        """Put values into cells, in bulk: one call per rectangle, not per cell.

        A formula stays a formula. In a file it is its saved result that changes; a spreadsheet program
        calculates results itself, so there only cells without a formula can be written (else HostError), and the
        empty text empties a cell.
        """
        ...

    def close(self) -> None:
        """Let go of the workbook. A book that a person has open stays open."""
        ...


class Tone(Enum):
    """How a message is meant: as an answer, as something to look at, or as something that went wrong."""

    INFO = "info"
    WARNING = "warning"
    ERROR = "error"


HEAT = ("#5B8BD0", "#FFFFFF", "#E0695F")
"""The colours of a heat map, for its lowest number, for zero, and for its highest number."""


@dataclass(frozen=True, slots=True)
class LineChart:
    """A line chart of columns of a report sheet: `x` and `ys` are numbers of columns, from 0.

    With `points` it shows points and no lines. It covers the rows from the one of the labels, `header`, to the `last`
    (from 1); without these, from the last bold row to the end of the sheet.
    """

    title: str
    x: int
    ys: tuple[int, ...]
    points: bool = False
    header: int | None = None
    last: int | None = None


@dataclass(frozen=True, slots=True)
class ReportSheet:
    """A sheet that belongs to sgdsheet, such as `SGD log`: what stands in it and how it is shown.

    `rows` start at A1; None leaves a cell empty. `bold` are row numbers (from 1) in bold type; `heat` are areas
    coloured from low (blue) over zero (white) to high (red); `formats` are formats of numbers, as Excel writes them in
    English, each with the areas that it is for; with `front`, the sheet becomes the active one, where the program and
    not each of its pages says which that is; a chart stands to the right of the last column and covers as many rows
    as there are, also those that `append` adds, unless it says which.
    """

    name: str
    rows: Sequence[Sequence[Value | None]]
    bold: tuple[int, ...] = ()
    heat: tuple[Range, ...] = ()
    chart: LineChart | None = None
    front: bool = False
    formats: tuple[tuple[str, tuple[Range, ...]], ...] = ()


class LiveHost(Host, Protocol):
    """A workbook that is open in a spreadsheet program, which recalculates and redraws by itself.

    All methods raise BookClosedError when the workbook, its window or the program is gone, HostBusyError when
    the program keeps refusing (a person is editing a cell or has a dialog open), and HostError for whatever
    else goes wrong. A host is used from one thread at a time.
    """

    @property
    def key(self) -> str:
        """What tells the workbook from all others on this machine, such as its full path."""
        ...

    def read_part(self, choose: Callable[[Workbook], Sequence[Range] | None]) -> Workbook:
        """Read as `read` does, but of the cells only those that are chosen; others, and what is merged, may be missing.

        `choose` gets all sheets, names and tables without cells, or the whole workbook where a program is not quicker
        for it. Where it returns None, the workbook is read whole.
        """
        ...

    def read_values(self, areas: Sequence[Range]) -> dict[Cell, Value]:
        """The values of some cells, recalculated; empty cells are left out. One call per area."""
        ...

    def recalculate(self) -> None:
        """Calculate all formulas anew where the program can: what a file had saved of them, which may be old, goes."""
        ...

    def exchange(self, values: Mapping[Cell, Value]) -> dict[Cell, Value]:
        """Write as `write` does, and return what stood in the cells at that moment; empty ones are left out.

        What a person has typed since the cells were last read is overwritten, but not lost: whoever asked can put
        it back. A host reads as shortly before it writes as it can, and says what may happen in between.
        """
        ...

    def replace_formulas(self, values: Mapping[Cell, Value]) -> None:
        """Write as `write` does, with numbers taking the place of formulas; only array formulas are refused.

        Where the program has an undo of its own, this is an entry of it, quiet or not.
        """
        ...

    def read_formulas(self, areas: Sequence[Range]) -> dict[Cell, str]:
        """The formulas of some cells, for noticing a change: those of `read` after a `=`; others are left out.

        An array formula may be given for all cells that it fills, and in braces.
        """
        ...

    def sheet_now(self, name: str) -> str | None:
        """The present name of the sheet that bore this name when it was last used here.

        None if it is gone, if it was never used, or if the program knows sheets by their names only.
        """
        ...

    def status(self, text: str) -> None:
        """Show a line in the status bar; the empty text gives the status bar back."""
        ...

    def message(self, text: str, tone: Tone = Tone.INFO) -> None:
        """Show a message in the workbook's own window, in its tone where the program has some.

        Does not wait for an answer.
        """
        ...

    def selection(self) -> tuple[Range, ...]:
        """The cells that the person has selected."""
        ...

    def define_name(self, name: str, areas: Sequence[Range]) -> None:
        """Give a sheet-scoped name (on the sheet of the first area) to areas, instead of what it meant before."""
        ...

    def put_sheet(self, sheet: ReportSheet) -> None:
        """Make a sheet behind all others, or make it anew if sgdsheet made one of that name.

        Raises HostError, and changes nothing, if a person's own sheet bears the name. The active sheet stays active,
        unless this one is to come to the front.
        """
        ...

    def append(self, name: str, first_row: int, rows: Sequence[Sequence[Value | None]]) -> None:
        """Put more rows into a report sheet, from `first_row` (from 1) on; its chart grows with them."""
        ...

    def quiet(self, on: bool) -> None:
        """While on: no write raises an event, and each is part of one undo entry or none, so that writing is fast.

        Turning it off restores whatever the person had. `close` turns it off, too.
        """
        ...


@runtime_checkable
class ArrayHost(Protocol):
    """A live host that also reads and writes numbers as arrays, and knows of every edit: runs use it where it is there.

    Both methods take areas that do not overlap, and arrays [cells] in the order of the areas and of their cells.
    """

    @property
    def edits(self) -> int:
        """How often something else than `write`, `exchange` and `exchange_numbers` has changed the workbook."""
        ...

    def edits_when_read(self, workbook: Workbook) -> int | None:
        """What `edits` was when `read` has given a workbook; None where that is not known any more."""
        ...

    def read_numbers(self, areas: Sequence[Range]) -> HeldNumbers:
        """What cells hold, as `read_values` tells it."""
        ...

    def exchange_numbers(self, areas: Sequence[Range], numbers: NDArray[np.float64]) -> HeldNumbers:
        """Write finite numbers to cells as `exchange` does, and return what stood there at that moment."""
        ...
