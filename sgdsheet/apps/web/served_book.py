"""One workbook as the pages see it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from sgdsheet.apps.web.sheet_view import Entry, entries
from sgdsheet.hosts.file import FileHost
from sgdsheet.sheet.references import Range
from sgdsheet.sheet.workbook import Position, Value


class ServedBook:
    """A workbook that pages show."""

    def __init__(self, id: str, path: Path) -> None:
        self.id, self.path, self.name = id, path, path.name
        self.workbook = FileHost(path).read()

    def description(self) -> dict[str, Any]:
        """What a page is told first: the sheets, their layout and their models."""
        sheets = self.workbook.sheets
        return {
            "type": "book",
            "id": self.id,
            "name": self.name,
            "path": str(self.path),
            "sheets": [
                {
                    "name": sheet.name,
                    "rows": sheet.extent[0],
                    "columns": sheet.extent[1],
                    "default_width": 64,
                    "widths": {},
                    "heights": {},
                    "frozen": [0, 0],
                    "merged": [list(area[1:]) for area in sheet.merged],
                    "gridlines": True,
                    "tab": None,
                    "hidden": False,
                }
                for sheet in sheets.values()
            ],
            "active": self.workbook.active or next(iter(sheets), None),
            "styles": [{}],
            "models": {},
            "commands": [],
            "choices": {},
            "saved": True,
            "can_undo": False,
            "can_redo": False,
            "recovery": None,
        }

    def entries(self, area: Range) -> dict[Position, Entry]:
        """The cells of an area that hold something."""
        return entries(self._values_in(area))

    def _values_in(self, area: Range) -> dict[Position, Value]:
        values = self.workbook.sheets[area.sheet].values
        return {at: values[at] for at in area.positions() if at in values}
