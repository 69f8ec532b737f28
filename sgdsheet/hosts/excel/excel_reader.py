"""An open workbook in Excel, read as plain data: few calls, each for many cells."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import xlwings as xw

from sgdsheet.hosts.excel.native import Grid, Native, rows_of
from sgdsheet.sheet.references import Range, address, parse_range, split_sheet
from sgdsheet.sheet.workbook import DefinedName, Formula, Position, Sheet, Table, Workbook
from sgdsheet.system.long_work import checkpoint, done

_MOST_CELLS = 400_000
"""Cells that one call may carry."""
_BUILT_IN = {"Print_Area", "Print_Titles", "Extract", "Criteria", "Database", "Consolidate_Area"}


def read_workbook(book: xw.Book, native: Native) -> Workbook:
    """Values, formulas, names and tables."""
    workbook = Workbook(book.name, date1904=native.counts_from_1904(book), as_displayed=native.as_displayed(book))
    sheets = list(book.sheets)
    for place, sheet in enumerate(sheets):
        done(place / len(sheets))
        workbook.sheets[sheet.name] = _read_sheet(sheet, native)
        for table in sheet.tables:
            read = _read_table(table, sheet.name, native)
            workbook.tables[read.name] = read
    workbook.names = list(_names(book, native))
    active = book.sheets.active.name
    workbook.active = active if active in workbook.sheets else None
    return workbook


def area_of(area: xw.Range, sheet: str) -> Range:
    """Where a range of Excel's stands."""
    (height, width), top, left = area.shape, area.row, area.column
    return Range(sheet, top, left, top + height - 1, left + width - 1)


def pieces(area: Range) -> Iterator[Range]:
    """An area in parts that one call can carry."""
    height = max(1, _MOST_CELLS // area.width)
    for top in range(area.top, area.bottom + 1, height):
        yield area._replace(top=top, bottom=min(top + height - 1, area.bottom))


def texts_of(sheet: xw.Sheet, area: Range) -> list[list[str]]:
    """What stands in cells, formulas as Excel writes them and constants as text."""
    rows = rows_of(sheet.range(area.a1).formula, area.width)
    return [[item if isinstance(item, str) else "" for item in row] for row in rows]


def formulas_in(area: Range, texts: list[list[str]], values: Grid) -> Iterator[tuple[Position, str]]:
    """The formulas among the texts. A text that merely begins with = is its own value."""
    for row, (line, shown) in enumerate(zip(texts, values, strict=True), start=area.top):
        for column, (text, value) in enumerate(zip(line, shown, strict=True), start=area.left):
            if text.startswith("=") and text != value and len(text) > 1:
                yield (row, column), text


def parts_where(sheet: xw.Sheet, area: Range, test: Callable[[xw.Range], bool | None]) -> Iterator[Range]:
    """The parts of an area for which a test holds, if it answers None where it holds for some cells only."""
    found = test(sheet.range(area.a1))
    if found is True:
        yield area
    elif found is None and area.size > 1:
        if area.height >= area.width:
            middle = (area.top + area.bottom) // 2
            halves = (area._replace(bottom=middle), area._replace(top=middle + 1))
        else:
            middle = (area.left + area.right) // 2
            halves = (area._replace(right=middle), area._replace(left=middle + 1))
        for half in halves:
            yield from parts_where(sheet, half, test)


def merged(cells: xw.Range) -> bool | None:
    """Whether all, no or some cells are merged."""
    found = cells.merge_cells
    return found if isinstance(found, bool) else None


def _read_sheet(sheet: xw.Sheet, native: Native) -> Sheet:
    read = Sheet(sheet.name, protected=native.protected(sheet))
    used = area_of(sheet.used_range, sheet.name)
    _read_hidden(sheet, used, read, native)
    for part in pieces(used):
        checkpoint()
        values, texts = native.values(sheet.range(part.a1)), texts_of(sheet, part)
        for position, text in formulas_in(part, texts, values):
            read.formulas[position] = Formula(text[1:], *position)
        for row, (line, shown) in enumerate(zip(values, texts, strict=True), start=part.top):
            for column, (value, text) in enumerate(zip(line, shown, strict=True), start=part.left):
                if value is None and text.startswith("=") and (row, column) in read.formulas:
                    value = ""
                if value is not None:
                    read.values[row, column] = value
    if read.formulas:
        _read_arrays(sheet, used, read, native)
    for part in parts_where(sheet, used, merged):
        seen = list(read.merged)
        for cell in part.cells():
            if not any(area.contains(Range.of_cell(cell)) for area in seen):
                whole = sheet.range(address(cell.row, cell.column)).merge_area
                read.merged.append(area_of(whole, sheet.name))
                seen.append(read.merged[-1])
    return read


def _read_hidden(sheet: xw.Sheet, used: Range, read: Sheet, native: Native) -> None:
    """Which rows are hidden, and which of them a filter hides."""
    rows = used._replace(right=used.left)
    read.hidden_rows = {cell.row for part in parts_where(sheet, rows, native.hidden_rows) for cell in part.cells()}
    if read.hidden_rows:
        filters = native.filters(sheet)
        for area in filters or ():
            read.filter_rows(parse_range(area, sheet.name))
        read.filtered_rows = None if filters is None else read.filtered_rows


def _read_arrays(sheet: xw.Sheet, used: Range, read: Sheet, native: Native) -> None:
    """Array formulas belong to their first cell; Excel shows them in every cell that they fill."""
    done: set[Position] = set()
    for part in parts_where(sheet, used, native.holds_array):
        for cell in part.cells():
            position = (cell.row, cell.column)
            if position in done or (array := native.array_at(sheet.range(address(*position)))) is None:
                continue
            corners = array.corners
            formula = read.formulas.get(corners[:2])
            for covered in Range(read.name, *corners).cells():
                done.add((covered.row, covered.column))
                read.formulas.pop((covered.row, covered.column), None)
            if formula is not None:
                read.formulas[corners[:2]] = Formula(formula.text, *corners[:2], corners, array.dynamic)


def _read_table(table: xw.main.Table, sheet: str, native: Native) -> Table:
    header, totals = table.header_row_range, table.totals_row_range
    return Table(
        table.display_name,
        area_of(table.range, sheet),
        tuple(native.table_columns(table)),
        1 if header is not None else 0,
        1 if totals is not None else 0,
    )


def _names(book: xw.Book, native: Native) -> Iterator[DefinedName]:
    for name in book.names:
        sheet, plain = split_sheet(name.name)
        text = name.refers_to
        if not isinstance(text, str):
            continue
        if plain in _BUILT_IN:
            plain = f"_xlnm.{plain}"
        yield DefinedName(plain, text.removeprefix("="), sheet, native.hidden(name))
