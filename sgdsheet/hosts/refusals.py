"""Why a spreadsheet program's cells cannot be written to, in the same words for every live host."""

from __future__ import annotations

import math
from collections.abc import Iterable

from sgdsheet.errors import BookClosedError, HostBusyError, HostError, one_line
from sgdsheet.hosts.xlsx.own_sheet import MARK as MARK  # the name by which a report sheet is known as ours
from sgdsheet.sheet.references import MAX_COLUMN, MAX_ROW, Cell
from sgdsheet.sheet.workbook import ExcelError, Value

_ELSEWHERE = "Only cells without a formula can be changed"


def formula_cell(cell: Cell) -> HostError:
    return HostError("a formula stands there", cell=cell, remedy=_ELSEWHERE)


def array_cell(cell: Cell) -> HostError:
    return HostError("an array formula fills this cell", cell=cell, remedy=_ELSEWHERE)


def merged_cell(cell: Cell) -> HostError:
    return HostError(
        "the cell is merged with others and is not the first of them", cell=cell, remedy="Split the merged cells"
    )


def protected_sheet(cell: Cell) -> HostError:
    return HostError("the sheet is protected", cell=cell, remedy="Unprotect the sheet")


def unusable_value(cell: Cell, value: Value) -> HostError | None:
    """Why a value cannot stand in a cell, if so."""
    if not (1 <= cell.row <= MAX_ROW and 1 <= cell.column <= MAX_COLUMN):
        return HostError("the cell lies outside the grid", cell=cell)
    if isinstance(value, ExcelError):
        return HostError(f"the error {value} cannot be written", cell=cell, remedy="Write a number")
    if isinstance(value, float) and not math.isfinite(value):
        return HostError(f"{value} is not a number that a cell can hold", cell=cell, remedy="Use a lower learning rate")
    return None


def refuse_unusable(values: Iterable[tuple[Cell, Value]]) -> None:
    """Raise HostError for the first value that no cell can hold."""
    for cell, value in values:
        if (error := unusable_value(cell, value)) is not None:
            raise error


def no_sheet(name: str) -> BookClosedError:
    return BookClosedError(f"the sheet “{one_line(name)}” is gone", remedy="It was renamed or deleted: start again")


def report_sheet_taken(name: str) -> HostError:
    return HostError(f"the sheet “{one_line(name)}” is not one of sgdsheet's", remedy="Rename it, then try again")


def not_open(book: str, program: str) -> BookClosedError:
    return BookClosedError(f"“{one_line(book)}” is not open in {program}", remedy="Open it there, then try again")


def refused(program: str, why: str) -> HostError:
    """The error for a refusal of which the program itself gives the reason."""
    return HostError(
        f"{program} refuses: {one_line(why).rstrip('.')}", remedy=f"Check the sheet in {program}, then try again"
    )


def cells_move(program: str) -> HostBusyError:
    return HostBusyError(f"cells are being moved in {program}", remedy="Try again when you are done")


def book_closed(name: str) -> BookClosedError:
    return BookClosedError(f"“{one_line(name)}” is no longer open", remedy="Open it again")


def program_gone(program: str) -> BookClosedError:
    return BookClosedError(f"{program} is gone", remedy="Start it again")


def read_only(name: str) -> HostError:
    return HostError(f"“{one_line(name)}” is open for reading only", remedy="Save a copy, and open that")
