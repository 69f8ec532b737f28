"""One row of the settings that stand on a sheet."""

from __future__ import annotations

from dataclasses import dataclass

from sgdsheet.sheet.references import Cell
from sgdsheet.sheet.workbook import Value


@dataclass(frozen=True, slots=True)
class Setting:
    """A row of `sgd_settings`: where it stands, its name as written, and the value beside it."""

    cell: Cell
    name: str
    value: Value | None
