"""The message `book`: what a page is told of a workbook first, and again when sheets, names or looks change."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sgdsheet.apps.web.command_list import choices, commands
from sgdsheet.apps.web.served_book import ServedBook
from sgdsheet.apps.web.sheet_view import look_for_page, style_for_page
from sgdsheet.errors import SgdSheetError
from sgdsheet.problem.definition import FoundModel, settings_areas
from sgdsheet.sheet.defined_names import area_of
from sgdsheet.sheet.references import Range
from sgdsheet.sheet.workbook import Position, Workbook


def book_message(served: ServedBook) -> dict[str, Any]:
    """All about a workbook but its cells."""
    book, workbook = served.book, served.book.workbook
    return {
        "type": "book",
        "id": served.id,
        "name": book.name,
        "path": str(book.path) if book.path is not None else None,
        "sheets": [
            {
                "name": sheet.name,
                "rows": sheet.extent[0],
                "columns": sheet.extent[1],
                "merged": [list(area[1:]) for area in sheet.merged],
                "protected": sheet.protected,
                "links": _links(workbook, sheet.name, served.look(sheet.name).links),
                **look_for_page(served.look(sheet.name)),
            }
            for sheet in list(workbook.sheets.values())
        ],
        "active": workbook.active or next(iter(workbook.sheets), None),
        "styles": [style_for_page(style) for style in served.appearance.styles],
        "models": {found.sheet: _model(served, workbook, found) for found in served.models()},
        "commands": commands(),
        "choices": choices(),
        "saved": not book.dirty,
        "can_undo": book.can_undo,
        "can_redo": book.can_redo,
        "recovery": served.recovery(),
    }


def _links(workbook: Workbook, sheet: str, links: Mapping[Position, str]) -> list[list[Any]]:
    """The links of a sheet: row, column, and the sheet and area that they lead to; those to nowhere are left out."""
    found: list[list[Any]] = []
    for (row, column), target in links.items():
        try:
            area = area_of(workbook, target, sheet, "the link")
        except SgdSheetError:
            continue
        if area.sheet in workbook.sheets:
            found.append([row, column, area.sheet, list(area[1:])])
    return found


def _model(served: ServedBook, workbook: Workbook, found: FoundModel) -> dict[str, Any]:
    """A model as the page gets it. Areas of other sheets are left out: they are not marked on this one."""
    problem, own = found.problem, found.sheet
    if problem is None:
        empty: dict[str, Any] = {"loss": None, "params": [], "data": [], "predictions": [], "metric": None}
        return {**empty, "settings": {}, "settings_area": None, "error": str(found.error)}

    def areas(*given: Range | None) -> list[list[int]]:
        return [list(area[1:]) for area in given if area is not None and area.sheet == own]

    settings, metric = settings_areas(workbook, own), problem.metric
    session = served.options.get(own, {})
    return {
        "loss": list(problem.loss[1:]) if problem.loss.sheet == own else None,
        "params": areas(*problem.parameters),
        "data": areas(problem.data),
        "predictions": areas(*problem.outputs),
        "metric": list(metric[1:]) if metric is not None and metric.sheet == own else None,
        "settings": {
            **{setting.name.strip(): setting.value for setting in problem.settings},
            **{key.replace("_", " "): value for key, value in session.items()},
        },
        "settings_area": list(settings[0][1:]) if settings else None,
        "source": problem.source,
    }
