"""Which cells of an open workbook may be changed, and to what: whatever a file cannot hold is refused before."""

from __future__ import annotations

from collections.abc import Collection

from sgdsheet.errors import HostError
from sgdsheet.hosts import refusals
from sgdsheet.hosts.cell_edit import impossible
from sgdsheet.hosts.web.edit_history import Content
from sgdsheet.hosts.xlsx.file_formula import in_file
from sgdsheet.hosts.xlsx.what_if import filled_by_table, fills
from sgdsheet.sheet.references import MAX_COLUMN, MAX_ROW, Cell, Range
from sgdsheet.sheet.workbook import Formula, Sheet, Workbook


class ChangeableCells:
    """Tells what must not be done to the cells of a workbook; `reports` are the sheets that sgdsheet made."""

    def __init__(self, workbook: Workbook, reports: Collection[str]) -> None:
        self._workbook, self._reports = workbook, reports
        self._known_arrays: dict[str, frozenset[tuple[int, int, int, int]]] = {}

    def refuse(self, sheet: Sheet, cell: Cell, *, replace: bool = False) -> None:
        """Raise HostError for a cell that must not be written to; a formula makes way only to what may `replace` it."""
        if not (1 <= cell.row <= MAX_ROW and 1 <= cell.column <= MAX_COLUMN):
            raise HostError("the cell lies outside the grid", cell=cell)
        self.refuse_report(sheet, cell)
        if sheet.protected:
            raise refusals.protected_sheet(cell)
        formula = sheet.formulas.get(cell[1:])
        if formula is not None and formula.array is None and not replace:
            raise refusals.formula_cell(cell)
        if fills(formula):
            raise filled_by_table(cell)
        for area in self._arrays(sheet):
            if area[0] <= cell.row <= area[2] and area[1] <= cell.column <= area[3]:
                raise refusals.array_cell(cell)
        own = Range.of_cell(cell)
        if any(area.contains(own) and area.first != cell for area in sheet.merged):
            raise refusals.merged_cell(cell)

    def refuse_report(self, sheet: Sheet, cell: Cell) -> None:
        """Raise HostError for a cell of a sheet that sgdsheet made."""
        if sheet.name in self._reports:
            raise HostError("the sheet is made anew by sgdsheet", cell=cell, remedy="Type into a sheet of your own")

    def refuse_sheet(self, sheet: Sheet) -> None:
        """Raise HostError for a sheet whose columns must not be changed."""
        first = Cell(sheet.name, 1, 1)
        self.refuse_report(sheet, first)
        if sheet.protected:
            raise refusals.protected_sheet(first)

    def refuse_unsaveable(self, cell: Cell, content: Content, *, typed_in: bool) -> None:
        """Raise HostError or FileError for what a file cannot hold, or must not."""
        own = Range.of_cell(cell)
        for table in (table for table in self._workbook.tables.values() if table.area.contains(own)):
            if not table.body.contains(own):
                raise HostError(
                    f"the cell is in the header or the totals of the table {table.name}, which formulas refer to",
                    cell=cell,
                    remedy="Change it in Excel",
                )
        if isinstance(content, Formula):
            if typed_in:
                tables = (table.name for table in self._workbook.tables.values() if table.area.contains(own))
                in_file(content.text, cell, next(tables, None), self._workbook)
        elif content is not None and (why := impossible(cell, content)) is not None:
            raise HostError(why, cell=cell, remedy="Type something else")

    def is_ours(self, name: str) -> bool:
        """Whether a sheet was made by sgdsheet, now or in an earlier session."""
        marked = (item for item in self._workbook.names if item.name.casefold() == refusals.MARK)
        return name in self._reports or any(item.sheet == name for item in marked)

    def _arrays(self, sheet: Sheet) -> frozenset[tuple[int, int, int, int]]:
        """The areas of array formulas, which nobody can change."""
        if sheet.name not in self._known_arrays:
            found = frozenset(item.array for item in sheet.formulas.values() if item.array is not None)
            self._known_arrays[sheet.name] = found
        return self._known_arrays[sheet.name]
