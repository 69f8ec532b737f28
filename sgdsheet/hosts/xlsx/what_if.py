"""What-if data tables of an Excel file, as the formulas that LibreOffice writes for them.

The file has one entry for a whole table: its area and the one or two input cells, which a table's cell replaces by what
stands beside it and above it while the result is calculated (ECMA-376 part 1, 18.3.1.40). As
`MULTIPLE.OPERATIONS(result, input, value)` it is seen what each cell depends on.
"""

from __future__ import annotations

from collections.abc import Mapping

from sgdsheet.errors import FileError
from sgdsheet.hosts.xlsx.xml import truth
from sgdsheet.sheet.references import Cell, Range, column_letters, parse_range
from sgdsheet.sheet.workbook import Formula

MOST_CELLS = 500_000
"""Cells of all tables of a sheet, at most: a few bytes could name more than any memory has."""

_GONE, _NAME = "#REF!", "MULTIPLE.OPERATIONS"


def table_formulas(area: Range, attributes: Mapping[str, str]) -> dict[tuple[int, int], Formula]:
    """The formula of each cell of a table, one object for all."""
    first = _input(attributes, "1")
    above, beside = _place(area.top - 1, area.left, fixed="row"), _place(area.top, area.left - 1, fixed="column")
    if truth(attributes.get("dt2D")):
        corner = _place(area.top - 1, area.left - 1, fixed="row and column")
        words = [corner, first, above, _input(attributes, "2"), beside]
    elif truth(attributes.get("dtr")):
        words = [beside, first, above]
    else:
        words = [above, first, beside]
    formula = Formula(f"{_NAME}({','.join(words)})", area.top, area.left)
    return dict.fromkeys(area.positions(), formula)


def fills(formula: Formula | None) -> bool:
    """Whether a cell with this formula is one of a what-if data table."""
    return formula is not None and formula.text.startswith(_NAME)


def filled_by_table(cell: Cell) -> FileError:
    """The error for an edit of a table's cell."""
    return FileError(
        "a what-if data table fills this cell", cell=cell, remedy="Change the table in a spreadsheet program"
    )


def _input(attributes: Mapping[str, str], number: str) -> str:
    """An input cell; #REF! if it was deleted."""
    text = attributes.get(f"r{number}", "")
    if truth(attributes.get(f"del{number}")) or not text:
        return _GONE
    cell = parse_range(text, "").first
    return _place(cell.row, cell.column, fixed="row and column")


def _place(row: int, column: int, *, fixed: str) -> str:
    """A reference to a cell, of which the row, the column or both stand still; #REF! beyond the sheet."""
    if row < 1 or column < 1:
        return _GONE
    return f"{'$' * ('column' in fixed)}{column_letters(column)}{'$' * ('row' in fixed)}{row}"
