"""One workbook as the pages see it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from sgdsheet.apps.web.sheet_view import SheetView, look_for_page, style_for_page
from sgdsheet.hosts.file import FileHost
from sgdsheet.problem.definition import Problem, models_in, settings_areas
from sgdsheet.sheet.references import Range
from sgdsheet.sheet.workbook import Position, Value


class ServedBook:
    """A workbook that pages show."""

    def __init__(self, id: str, path: Path) -> None:
        self.id, self.path, self.name = id, path, path.name
        file = FileHost(path)
        self.workbook = file.read()
        self.appearance = file.appearance()

    def view(self, sheet: str) -> SheetView:
        """What a page sees of a sheet."""
        return SheetView(self.appearance, sheet, self.workbook.date1904, self._values_in)

    def uncalculated(self, area: Range) -> Mapping[Position, str]:
        """The cells of an area that show an old value, with the reasons."""
        return {}

    def description(self) -> dict[str, Any]:
        """What a page is told first: the sheets, their looks and their models."""
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
                    "merged": [list(area[1:]) for area in sheet.merged],
                    **look_for_page(self.appearance.sheet(sheet.name)),
                }
                for sheet in sheets.values()
            ],
            "active": self.workbook.active or next(iter(sheets), None),
            "styles": [style_for_page(style) for style in self.appearance.styles],
            "models": {
                found.sheet: self._model(found.problem) if found.problem is not None else {"error": str(found.error)}
                for found in models_in(self.workbook)
            },
            "commands": [],
            "choices": {},
            "saved": True,
            "can_undo": False,
            "can_redo": False,
            "recovery": None,
        }

    def _model(self, problem: Problem) -> dict[str, Any]:
        """A model as the page gets it; areas of other sheets are left out, where the page cannot show them."""
        own = problem.sheet

        def areas(found: tuple[Range, ...]) -> list[list[int]]:
            return [list(area[1:]) for area in found if area.sheet == own]

        settings = settings_areas(self.workbook, own)
        metric = problem.metric
        return {
            "loss": list(problem.loss[1:]) if problem.loss.sheet == own else None,
            "params": areas(problem.parameters),
            "data": areas((problem.data,)) if problem.data is not None else [],
            "predictions": areas(problem.outputs),
            "metric": list(metric[1:]) if metric is not None and metric.sheet == own else None,
            "settings": {setting.name: setting.value for setting in problem.settings},
            "settings_area": list(settings[0][1:]) if settings else None,
        }

    def _values_in(self, area: Range) -> dict[Position, Value]:
        values = self.workbook.sheets[area.sheet].values
        if area.size > len(values):
            rows, columns = range(area.top, area.bottom + 1), range(area.left, area.right + 1)
            return {at: value for at, value in values.items() if at[0] in rows and at[1] in columns}
        return {at: values[at] for at in area.positions() if at in values}
