"""Reads a whole workbook in short turns of the office, between which a person can work. Part of the agent."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

from sgdsheet.hosts.libreoffice.agent.cells import (
    Refused,
    content_areas,
    corners,
    hidden_rows,
    merged_areas,
    read_block,
    recalculate,
    rectangle,
    size,
)

Exclusively = Callable[[Callable[[], Any]], Any]
"""Calls a function while nobody else changes the workbook, and returns its result."""

_ATTEMPTS = 5
_AT_ONCE = 20_000  # cells: read within some 0.05 s, so long a person's window stands still


class WorkbookReader:
    """Reads all sheets, names and tables of a document. What it calls `exclusively`, nobody comes between.

    With `only`, the cells of these areas (sheet and corners) are read and no others.
    """

    def __init__(
        self, document: Any, words: tuple[str, str], exclusively: Exclusively, only: list[list[Any]] | None = None
    ) -> None:
        self._document, self._words, self._exclusively, self._only = document, words, exclusively, only
        self._cells = self._read = 0
        self.told: Callable[[float], None] = lambda share: None
        """Called after each piece of a large workbook, with the share that is read."""

    def read(self) -> dict[str, Any]:
        """The workbook: one that is small at once, a large one in pieces."""
        found: dict[str, Any] = self._exclusively(self._small) or self._large()
        return found

    def _small(self) -> dict[str, Any] | None:
        layout = self._layout()
        if sum(size(area) for _, areas in layout["sheets"] for area in areas) > _AT_ONCE:
            return None
        return self._filled(layout, lambda work: work())

    def _large(self) -> dict[str, Any]:
        """Read a large workbook in pieces, and again if cells were moved meanwhile: some were met twice, or never."""
        for _ in range(_ATTEMPTS):
            layout = self._exclusively(self._layout)
            self._cells, self._read = sum(size(area) for _, areas in layout["sheets"] for area in areas), 0
            found = self._filled(layout, self._exclusively)
            if self._exclusively(self._layout) == layout:
                return found
        raise Refused("moving")

    def _filled(self, layout: dict[str, Any], exclusively: Exclusively) -> dict[str, Any]:
        sheets = [self._sheet(name, areas, exclusively) for name, areas in layout["sheets"]]
        if any(map(_has_subtotal, sheets)) or any(_is_subtotal(content) for _, _, content in layout["names"]):
            for sheet in sheets:
                sheet["rows"] = self._now(sheet["name"], hidden_rows, exclusively)
        return {**layout, "sheets": sheets, "active": self._active()}

    def _layout(self) -> dict[str, Any]:
        """All that changes when cells are moved: where anything stands, and where names and tables are."""
        document = self._document
        sheets = [document.Sheets.getByName(name) for name in document.Sheets.ElementNames]
        names = [(None, document.NamedRanges)] + [(sheet.Name, sheet.NamedRanges) for sheet in sheets]
        recalculate(document)
        return {
            "sheets": [[sheet.Name, self._chosen(sheet)] for sheet in sheets],
            "names": [
                [name, scope, item.getByName(name).Content] for scope, item in names for name in item.ElementNames
            ],
            "tables": [
                [name, sheets[area.Sheet].Name, *corners(area), table.ContainsHeader, table.TotalsRow]
                for name in document.DatabaseRanges.ElementNames
                for table in [document.DatabaseRanges.getByName(name)]
                for area in [table.DataArea]
            ],
            "as_displayed": document.CalcAsShown,
            "date1904": document.NullDate.Year == 1904,
        }

    def _chosen(self, sheet: Any) -> list[list[int]]:
        if self._only is None:
            return self.areas(sheet)
        return [area for name, *area in self._only if name == sheet.Name]

    def _sheet(self, name: str, areas: list[list[int]], exclusively: Exclusively) -> dict[str, Any]:
        now = partial(self._now, name, exclusively=exclusively)
        return {
            "name": name,
            **now(lambda sheet: {"protected": sheet.isProtected(), "merged": self._merged_in(sheet)}),
            "blocks": [self._piece(piece, now) for area in areas for piece in _pieces(area)],
        }

    def _piece(self, area: list[int], now: Callable[[Callable[[Any], Any]], Any]) -> Any:
        found = now(partial(self._block_at, area))
        if self._cells:
            self._read += size(area)
            self.told(self._read / self._cells)
        return found

    def _now(self, name: str, look: Callable[[Any], dict[str, Any]], exclusively: Exclusively) -> Any:
        """What is found in a sheet now; nothing if the sheet has been removed."""
        sheets = self._document.Sheets
        return exclusively(lambda: look(sheets.getByName(name)) if sheets.hasByName(name) else {})

    def _block_at(self, area: list[int], sheet: Any) -> dict[str, Any]:
        return self.block(rectangle(sheet, area))

    def _active(self) -> str | None:
        controller = self._document.CurrentController
        return controller.ActiveSheet.Name if controller is not None else None

    def _merged_in(self, sheet: Any) -> list[list[int]]:
        return self.merged(sheet) if self._only is None else []

    # --- what a reader may do in its own way ------------------------------------------------------------------

    def areas(self, sheet: Any) -> list[list[int]]:
        """The areas of a sheet that are read."""
        return content_areas(sheet)

    def merged(self, sheet: Any) -> list[list[int]]:
        """Merged cells of a sheet."""
        return merged_areas(sheet)

    def block(self, cells: Any) -> dict[str, Any]:
        """What stands in some cells."""
        return read_block(self._document, cells, self._words, True)


def _has_subtotal(sheet: dict[str, Any]) -> bool:
    """Whether it matters for a formula of a sheet which rows are hidden."""
    lines = (line for block in sheet["blocks"] for rows in block.get("formulas", ()) for line in rows)
    return any(_is_subtotal(text) for line in lines for text in line)


def _is_subtotal(formula: str) -> bool:
    return "SUBTOTAL(" in formula or "AGGREGATE(" in formula


def _pieces(area: list[int]) -> Iterator[list[int]]:
    """An area in slices of rows."""
    top, left, bottom, right = area
    rows = max(1, _AT_ONCE // (right - left + 1))
    for start in range(top, bottom + 1, rows):
        yield [start, left, min(bottom, start + rows - 1), right]
