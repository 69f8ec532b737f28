"""Reads a workbook while it is being calculated: for SGD_GRAD and its like, whose cells are themselves formulas."""

from __future__ import annotations

from typing import Any

from sgdsheet.hosts.libreoffice.agent.agent import Agent
from sgdsheet.hosts.libreoffice.agent.cells import corners, read_cells, rectangle

_CONSTANTS, _FORMULAS = 1 | 2 | 4, 16  # com.sun.star.sheet.CellFlags


class StillAgent(Agent):
    """Reads a whole workbook without asking any formula for its result.

    Calc would calculate the result there and then: of the cell whose function is asking, or of cells that depend on
    it, which would be left with the error of a circular reference.
    """

    def _read_sheet(self, sheet: Any, words: tuple[str, str]) -> dict[str, Any]:
        constants = [rectangle(sheet, area) for area in _areas(sheet, _CONSTANTS)]
        formulas = [rectangle(sheet, area) for area in _areas(sheet, _FORMULAS)]
        return {
            "name": sheet.Name,
            "protected": False,
            "merged": [],
            "blocks": [
                *(read_cells(cells, cells.getDataArray(), None, False) for cells in constants),
                *(read_cells(cells, _nothing(cells), None, True) for cells in formulas),
            ],
        }


def _areas(sheet: Any, flags: int) -> list[list[int]]:
    return [corners(address) for address in sheet.queryContentCells(flags).RangeAddresses]


def _nothing(cells: Any) -> list[list[str]]:
    top, left, bottom, right = corners(cells.RangeAddress)
    return [[""] * (right - left + 1)] * (bottom - top + 1)
