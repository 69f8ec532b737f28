"""Reads a workbook while it is being calculated: for SGD_GRAD and its like, whose cells are themselves formulas."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sgdsheet.hosts.libreoffice.agent.cells import corners, read_cells
from sgdsheet.hosts.libreoffice.agent.reading import WorkbookReader
from sgdsheet.hosts.libreoffice.agent.requests import Agent

if TYPE_CHECKING:
    from collections.abc import Callable

_CONSTANTS, _FORMULAS = 1 | 2 | 4, 16  # com.sun.star.sheet.CellFlags


class _CalculatingReader(WorkbookReader):
    """Reads a whole workbook without asking any formula for its result.

    Calc would calculate the result there and then: of the cell whose function is asking, or of cells that depend on
    it, which would be left with the error of a circular reference.
    """

    def areas(self, sheet: Any) -> list[list[int]]:
        return _areas(sheet, _CONSTANTS) + _areas(sheet, _FORMULAS)

    def merged(self, _sheet: Any) -> list[list[int]]:
        return []

    def block(self, cells: Any) -> dict[str, Any]:
        if _areas(cells, _FORMULAS):
            return read_cells(cells, _nothing(cells), None, True)
        return read_cells(cells, cells.getDataArray(), None, False)


class CalculatingAgent(Agent):
    """Answers in the thread that calculates: the office waits for it, so it must not wait for the office."""

    _reader = _CalculatingReader
    _shows_reading = False

    def _exclusively(self, work: Callable[[], Any]) -> Any:
        return work()


def _areas(cells: Any, flags: int) -> list[list[int]]:
    return [corners(address) for address in cells.queryContentCells(flags).RangeAddresses]


def _nothing(cells: Any) -> list[list[str]]:
    top, left, bottom, right = corners(cells.RangeAddress)
    return [[""] * (right - left + 1)] * (bottom - top + 1)
