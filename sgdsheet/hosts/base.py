"""What a host must offer: a place where a workbook lives (a file, Excel, LibreOffice)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

from sgdsheet.references import Cell
from sgdsheet.workbook import Value, Workbook


class Host(Protocol):
    """Reads a workbook as plain data and takes values back."""

    def read(self) -> Workbook:
        """Values, formulas, names and tables, all at once."""
        ...

    def write(self, values: Mapping[Cell, Value]) -> None:
        """Put values into cells, in bulk. A formula stays: it is its saved result that changes."""
        ...

    def close(self) -> None:
        """Let go of the workbook."""
        ...
