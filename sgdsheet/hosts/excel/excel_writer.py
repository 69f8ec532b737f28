"""Values into cells of an open workbook: what must not be changed is refused before anything is."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import xlwings as xw

from sgdsheet.hosts.excel.excel_reader import area_of, formulas_in, merged, parts_where, texts_of
from sgdsheet.hosts.excel.native import Native
from sgdsheet.hosts.refusals import array_cell, formula_cell, merged_cell, protected_sheet
from sgdsheet.sheet.references import Cell, Range, rectangles
from sgdsheet.sheet.workbook import Value


def covering(cells: Iterable[Cell]) -> list[Range]:
    """Few rectangles that cover cells and nothing else."""
    positions: dict[str, list[tuple[int, int]]] = {}
    for cell in cells:
        positions.setdefault(cell.sheet, []).append((cell.row, cell.column))
    return [
        Range(sheet, top, left, top + height - 1, left + width - 1)
        for sheet, found in positions.items()
        for top, left, height, width in rectangles(found)
    ]


def check_sheet(sheet: xw.Sheet, area: Range, native: Native) -> None:
    """Raise HostError if the sheet is protected."""
    if native.protected(sheet):
        raise protected_sheet(area.first)


def check_area(sheet: xw.Sheet, area: Range, native: Native, *, replace: bool = False) -> None:
    """Raise HostError unless plain values can be put into all cells of an area; they may `replace` formulas."""
    for part in parts_where(sheet, area, native.holds_array):
        raise array_cell(part.first)
    texts = [] if replace else texts_of(sheet, area)
    if any(text.startswith("=") for row in texts for text in row):
        for position, _ in formulas_in(area, texts, native.values(sheet.range(area.a1))):
            raise formula_cell(Cell(area.sheet, *position))
    for part in parts_where(sheet, area, merged):
        for cell in part.cells():
            whole = area_of(sheet.range(Range.of_cell(cell).a1).merge_area, area.sheet)
            if whole.first != cell:
                raise merged_cell(cell)


def put_values(sheet: xw.Sheet, area: Range, values: Mapping[Cell, Value]) -> None:
    """Write an area that one call can carry."""
    put_rows(sheet, area, rows_in(area, values))


def rows_in(area: Range, values: Mapping[Cell, Value]) -> list[list[Value]]:
    """The values of an area's cells, row by row."""
    columns = range(area.left, area.right + 1)
    return [[values[Cell(area.sheet, row, column)] for column in columns] for row in range(area.top, area.bottom + 1)]


def put_rows(sheet: xw.Sheet, area: Range, rows: Sequence[Sequence[Value | None]]) -> None:
    """Write rows, which are as wide as the area; None leaves a cell empty."""
    content = content_of(rows)
    sheet.range(area.a1).raw_value = content if area.size > 1 else content[0][0]


def content_of(rows: Sequence[Sequence[Value | None]]) -> tuple[tuple[str | float | bool, ...], ...]:
    """Rows as Excel takes them."""
    return tuple(tuple(_content(value) for value in row) for row in rows)


def _content(value: Value | None) -> str | float | bool:
    """A value so that Excel neither calculates a text nor takes it for a date: an apostrophe makes it a plain one.

    Alone it would leave an empty text, which formulas cannot calculate with: the empty text empties the cell.
    """
    if value is None or value == "":
        return ""
    if isinstance(value, bool):
        return value
    return float(value) if isinstance(value, int | float) else f"'{value}"
