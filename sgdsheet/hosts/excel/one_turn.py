"""Reading and writing in one turn of Excel, by a procedure of the add-in (`SgdExchange` in addin/vba/SgdCells.bas).

Two calls from outside leave a moment between them in which a person's paste, Delete or undo would be lost. While a
procedure of VBA runs, Excel takes none of these. It needs Windows, since Apple events carry no rows of numbers, and the
add-in; without them, whoever asks must do it by two calls.
"""

from __future__ import annotations

from collections.abc import Mapping

import xlwings as xw

from sgdsheet.errors import HostError
from sgdsheet.hosts.excel.busy import Trouble, trouble_of
from sgdsheet.hosts.excel.excel_writer import check_area, content_of, rows_in
from sgdsheet.hosts.excel.installed_addin import run
from sgdsheet.hosts.excel.native import Grid, Native
from sgdsheet.hosts.refusals import refused
from sgdsheet.sheet.references import Cell, Range
from sgdsheet.sheet.workbook import Value

_HAS_FORMULA = "formula"
_TRIES = 3


class OneTurn:
    """The exchanges of a workbook, as long as its Excel has the add-in."""

    def __init__(self, app: xw.App, book: xw.Book, native: Native) -> None:
        self._app, self._book, self._native = app, book, native
        self._possible = native.runs_procedures

    def exchange(self, sheet: xw.Sheet, area: Range, values: Mapping[Cell, Value]) -> Grid | None:
        """Write, and return the rows that stood there; None, and nothing is written, if it takes two calls here.

        Raises HostError, and writes nothing, if a formula has come into the cells.
        """
        content = content_of(rows_in(area, values))
        for _ in range(_TRIES):
            if not self._possible:
                return None
            try:
                name = str(self._book.name), str(sheet.name), area.a1
                found = run(self._app, "SgdExchange", *name, content if area.size > 1 else content[0][0])
            except Exception as error:
                if trouble_of(error) is Trouble.REFUSED or isinstance(error, KeyError):
                    self._possible = False  # no add-in, an older one, or one whose macros are not allowed
                    return None
                raise
            if not isinstance(found, str):
                return self._native.grid(found, area.width)
            if found != _HAS_FORMULA:
                raise refused("Excel", found.removeprefix("Excel: "))
            check_area(sheet, area, self._native)  # says which cell; else the formula has just gone
        raise HostError(f"{area}: its formulas change all the time", remedy="Wait until they stand still")
