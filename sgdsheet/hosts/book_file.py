"""What a kind of workbook file must offer, so that `FileHost` can read it and save values into it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple, Protocol

from sgdsheet.analysis.reporting.page import Page
from sgdsheet.hosts.base import ReportSheet
from sgdsheet.hosts.cell_edit import Changes
from sgdsheet.sheet.appearance import Appearance
from sgdsheet.sheet.references import Range
from sgdsheet.sheet.workbook import Workbook
from sgdsheet.train.logbook import Record

Names = Mapping[tuple[str, str], Sequence[Range]]
"""What names stand for, by their sheet and the name; nothing for a name that goes."""

LOG = "SGD log"
"""The name of the sheet that shows the log of a training."""


class TrainingLog(NamedTuple):
    """What the sheet `SGD log` shows."""

    records: Sequence[Record]
    title: str
    notes: tuple[str, ...]


OwnSheets = Mapping[str, TrainingLog | Page | ReportSheet]
"""What the sheets of ours show, by their names."""


Widths = Mapping[str, Mapping[int, int]]
"""The widths of columns in pixels, by their sheet and their number."""


class BookFile(Protocol):
    """A workbook file, held in memory from the first use on."""

    ending: str
    """How the names of such files end, where nothing else says it."""

    @property
    def data(self) -> bytes:
        """The bytes that were read."""
        ...

    def read(self) -> Workbook:
        """Values, formulas, names and tables. Raises FileError."""
        ...

    def appearance(self) -> Appearance:
        """How the workbook looks, as far as that is known; what is in it is not read again."""
        ...

    def sheets(self) -> Mapping[str, bool]:
        """The sheets by name, and whether they have cells that can be written."""
        ...

    def saved(self, changes: Changes, names: Names, own: OwnSheets, widths: Widths) -> bytes:
        """The file with its cells, names and columns changed. Raises SgdSheetError for what cannot be done to a cell.

        Everything else stays byte for byte, but for the sheets of ours, which are put in.
        """
        ...
