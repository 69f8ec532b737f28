"""Cells of an open spreadsheet, through UNO: reading and writing them in bulk. Part of the agent."""

from __future__ import annotations

import re
from array import array
from base64 import b64encode
from itertools import chain
from typing import Any

from com.sun.star.beans.PropertyState import AMBIGUOUS_VALUE as AMBIGUOUS  # type: ignore[import-not-found]
from com.sun.star.lang import Locale  # type: ignore[import-not-found]

CONTENT, FORMULAS = 1 | 2 | 4 | 16, 16  # com.sun.star.sheet.CellFlags
ASKED_ROWS = 2_000  # hidden rows that are asked for their filter, some 0.1 ms each
PER_AREA = 300  # cells that are read in the time that another area takes
FEW = 100  # cells that are asked one by one how they look, rather than to search all
LOGICAL = 1024  # com.sun.star.util.NumberFormat
CONSTANTS = {"=TRUE()", "=FALSE()"}  # what LibreOffice makes of a typed TRUE in an Excel file


class Refused(Exception):
    """A request that cannot be met: `reason` is known to `host.py`, `details` go into its message."""

    def __init__(self, reason: str, **details: Any) -> None:
        super().__init__(reason)
        self.reply = {"ok": False, "reason": reason, **details}


def rectangle(sheet: Any, area: list[int]) -> Any:
    """Cells by their corners (top, left, bottom, right), from 1."""
    top, left, bottom, right = area
    return sheet.getCellRangeByPosition(left - 1, top - 1, right - 1, bottom - 1)


def corners(address: Any) -> list[int]:
    """The corners (top, left, bottom, right; from 1) of an address: the opposite of `rectangle`."""
    return [address.StartRow + 1, address.StartColumn + 1, address.EndRow + 1, address.EndColumn + 1]


def size(area: list[int]) -> int:
    """How many cells there are in an area."""
    top, left, bottom, right = area
    return (bottom - top + 1) * (right - left + 1)


def a1(row: int, column: int) -> str:
    letters = ""
    while column > 0:
        column, rest = divmod(column - 1, 26)
        letters = chr(65 + rest) + letters
    return f"{letters}{row}"


def quoted(sheet: str) -> str:
    return "$'" + sheet.replace("'", "''") + "'"


def content_areas(sheet: Any) -> list[list[int]]:
    """Where anything stands: one area around it all, or several if these are read faster."""
    areas = [corners(address) for address in sheet.queryContentCells(CONTENT).RangeAddresses]
    if not areas:
        return []
    around = [fold(area[corner] for area in areas) for corner, fold in enumerate((min, min, max, max))]
    return [around] if size(around) <= sum(map(size, areas)) + PER_AREA * len(areas) else areas


def hidden_rows(sheet: Any) -> dict[str, Any]:
    """The rows that are hidden, as pairs of the first and the last one, and those of them that a filter hides.

    Which a filter hides has to be asked row by row: None if that would take too long.
    """
    cursor = sheet.createCursor()
    cursor.gotoEndOfUsedArea(False)
    last = cursor.RangeAddress.EndRow
    rows = sheet.getCellRangeByPosition(0, 0, sheet.Columns.Count - 1, last)
    shown = sorted({(area.StartRow, area.EndRow) for area in rows.queryVisibleCells().RangeAddresses})
    found, row = [], 0
    for start, end in [*shown, (last + 1, last + 1)]:
        if start > row:
            found.append([row + 1, start])
        row = max(row, end + 1)
    if sum(end - start + 1 for start, end in found) > ASKED_ROWS:
        return {"hidden": found, "filtered": None}
    numbers = [number for start, end in found for number in range(start, end + 1)]
    return {"hidden": found, "filtered": [number for number in numbers if sheet.Rows.getByIndex(number - 1).IsFiltered]}


def merged_areas(sheet: Any) -> list[list[int]]:
    """Merged cells. Cells of one format are merged or not together, so only one of each is asked."""
    found = []
    formats = sheet.UniqueCellFormatRanges
    for number in range(formats.Count):
        areas = [corners(address) for address in formats.getByIndex(number).RangeAddresses]
        top, left, _, _ = areas[0]
        if not rectangle(sheet, [top, left, top, left]).IsMerged:
            continue
        for top, left, bottom, right in areas:
            for row in range(top, bottom + 1):
                for column in range(left, right + 1):
                    cursor = sheet.createCursorByRange(rectangle(sheet, [row, column, row, column]))
                    cursor.collapseToMergedArea()
                    found.append(corners(cursor.RangeAddress))
    return sorted(found)


def read_block(document: Any, cells: Any, words: tuple[str, str], formulas: bool) -> dict[str, Any]:
    """All that is to be known of some cells; of formulas only where they are, unless they are asked for."""
    values = cells.getDataArray()
    binary = any(0.0 in row or 1.0 in row for row in values)
    unclear = any("" in row for row in values)
    found = read_cells(cells, values, words if binary else None, formulas or unclear)
    if any(None in row for row in values):
        found["errors"] = error_codes(document, cells, values)
    return found


def read_cells(cells: Any, values: Any, words: tuple[str, str] | None, formulas: bool) -> dict[str, Any]:
    """Values as LibreOffice gives them, and what is needed to tell booleans and empty texts from these."""
    found: dict[str, Any] = {"area": corners(cells.RangeAddress), **packed(values)}
    sheet = cells.Spreadsheet
    if formulas:
        areas = [corners(address) for address in cells.queryContentCells(FORMULAS).RangeAddresses]
        found["formula_areas"] = areas
        found["formulas"] = formula_texts(cells, areas)
        found["arrays"] = array_areas(sheet, areas, found["formulas"])
    if words is not None:
        found["booleans"] = boolean_areas(cells, values, words)
    return found


def packed(values: Any) -> dict[str, Any]:
    """Values row by row: the numbers as the bytes of doubles, and all others with their places among them.

    Numbers in digits would take longer than all else that is done with them.
    """
    flat = list(chain.from_iterable(values))
    others = [[place, value] for place, value in enumerate(flat) if value.__class__ is not float]
    for place, _ in others:
        flat[place] = 0.0
    return {"numbers": b64encode(array("d", flat).tobytes()).decode("ascii"), "others": others}


def formula_texts(cells: Any, areas: list[list[int]]) -> list[Any]:
    """The formulas of each of these areas of some cells, row by row; without the constants where that is faster."""
    around = corners(cells.RangeAddress)
    if size(around) > sum(map(size, areas)) + PER_AREA * len(areas):
        return [rectangle(cells.Spreadsheet, area).getFormulaArray() for area in areas]
    texts = cells.getFormulaArray() if areas else ()
    first_row, first, _, _ = around
    return [
        [row[left - first : right - first + 1] for row in texts[top - first_row : bottom - first_row + 1]]
        for top, left, bottom, right in areas
    ]


def boolean_areas(cells: Any, values: Any, words: tuple[str, str]) -> list[list[int]]:
    """The cells that show TRUE or FALSE: their values are 1 and 0."""
    binary = [
        (row, column)
        for row, line in enumerate(values)
        if 0.0 in line or 1.0 in line
        for column, value in enumerate(line)
        if value in (0.0, 1.0)
    ]
    if len(binary) <= FEW:  # to search the texts of all cells takes longer
        shown = [place for place in binary if cells.getCellByPosition(place[1], place[0]).String in words]
        top, left, _, _ = corners(cells.RangeAddress)
        return [[top + row, left + column, top + row, left + column] for row, column in shown]
    search = cells.createSearchDescriptor()
    search.SearchRegularExpression, search.SearchType = True, 1
    search.SearchString = f"^({'|'.join(map(re.escape, words))})$"
    booleans = cells.findAll(search)
    return [corners(address) for address in booleans.RangeAddresses] if booleans is not None else []


def error_codes(document: Any, cells: Any, values: Any) -> list[list[int]]:
    """The errors, which have no value, each with its code.

    To ask every cell takes long: the texts that the cells show come at once, and each stands for one code.
    """
    area = corners(cells.RangeAddress)
    place = f"{quoted(cells.Spreadsheet.Name)}.{a1(*area[:2])}:{a1(*area[2:])}"
    provider = document.createInstance("com.sun.star.chart2.data.DataProvider")
    texts = provider.createDataSequenceByRangeRepresentation(place).getTextualData()
    codes: dict[str, int] = {}
    found = []
    for row, line in enumerate(values):
        for column, value in enumerate(line):
            if value is None:
                text = texts[column * len(values) + row]
                if text not in codes:
                    codes[text] = cells.getCellByPosition(column, row).getError()
                found.append([area[0] + row, area[1] + column, codes[text]])
    return found


def array_areas(sheet: Any, areas: list[list[int]], texts: list[Any]) -> list[list[int]]:
    """The areas of array formulas, each once; `texts` are the formulas of each of the areas."""
    found: list[list[int]] = []
    covered: set[tuple[int, int]] = set()
    for number, (top, left, _, _) in enumerate(areas):
        for row, line in enumerate(texts[number], top):
            for column, text in enumerate(line, left):
                if text[:1] != "{" or (row, column) in covered:
                    continue
                cursor = sheet.createCursorByRange(rectangle(sheet, [row, column, row, column]))
                cursor.collapseToCurrentArray()
                found.append(corners(cursor.RangeAddress))
                first_row, first, last_row, last = found[-1]
                covered |= {(i, j) for i in range(first_row, last_row + 1) for j in range(first, last + 1)}
    return found


# --- writing ----------------------------------------------------------------------------------------------


def refuse(sheet: Any, cells: Any, area: list[int], replace: bool = False) -> None:
    """Raise Refused if cells must not be written to: protected, merged, or a formula stands there.

    Values may `replace` formulas, but those of arrays.

    Every refresh while training asks this, so the usual case takes few calls.
    """
    name, (top, left, bottom, right) = sheet.Name, area
    if sheet.isProtected():
        raise Refused("protected", cell=[name, top, left])
    if any(text[:1] in ("=", "{") for line in cells.getFormulaArray() for text in line):  # or a text that looks so
        _refuse_formulas(sheet, cells, name, replace)
    cursor = sheet.createCursorByRange(cells)
    cursor.collapseToMergedArea()
    if corners(cursor.RangeAddress) == area and not cells.IsMerged:
        return
    for merged in merged_areas(sheet):
        for row in range(max(top, merged[0]), min(bottom, merged[2]) + 1):
            for column in range(max(left, merged[1]), min(right, merged[3]) + 1):
                if [row, column] != merged[:2]:
                    raise Refused("merged", cell=[name, row, column])


def _refuse_formulas(sheet: Any, cells: Any, name: str, replace: bool) -> None:
    for address in cells.queryContentCells(FORMULAS).RangeAddresses:
        area = corners(address)
        for row, line in enumerate(rectangle(sheet, area).getFormulaArray(), area[0]):
            for column, text in enumerate(line, area[1]):
                is_array = text[:1] == "{"
                if text not in CONSTANTS and (is_array or not replace):
                    raise Refused("array" if is_array else "formula", cell=[name, row, column])


def put_at(document: Any, sheet: Any, top: int, rows: list[list[Any]], undo: bool) -> None:
    """Put rows into a sheet, from the first column on."""
    if rows and rows[0]:
        put(document, rectangle(sheet, [top, 1, top + len(rows) - 1, len(rows[0])]), rows, undo)


def put(document: Any, cells: Any, rows: list[list[Any]], undo: bool) -> None:
    """Put numbers, texts, booleans and None (which empties a cell) into cells, as if they were typed."""
    for part in _booleans(document, cells):  # else 0.5 would be shown as TRUE
        with Unrecorded(document, undo):
            part.NumberFormat = 0
    with Unrecorded(document, undo):
        # LibreOffice itself crashes when it is given a boolean.
        cells.setDataArray(tuple(tuple(map(_plain, row)) for row in rows))
    for row, line in enumerate(rows):
        for column, value in enumerate(line):
            if isinstance(value, bool):
                logical = document.NumberFormats.getStandardFormat(LOGICAL, Locale())
                with Unrecorded(document, undo):
                    cells.getCellByPosition(column, row).NumberFormat = logical


def _plain(value: Any) -> Any:
    return "" if value is None else value if isinstance(value, str) else float(value)


def _booleans(document: Any, cells: Any) -> list[Any]:
    """The parts that show numbers as TRUE and FALSE. Formats are slow to ask for, so only where a 0 or a 1 stands."""
    if not any(value in (0.0, 1.0) for line in cells.getDataArray() for value in line):
        return []
    parts = [cells]
    if cells.getPropertyState("NumberFormat") == AMBIGUOUS:
        formats = cells.UniqueCellFormatRanges
        parts = [formats.getByIndex(number) for number in range(formats.Count)]
    kinds = document.NumberFormats
    return [part for part in parts if part.NumberFormat and kinds.getByKey(part.NumberFormat).Type & LOGICAL]


# Not @contextmanager: that stores a traceback in exceptions, and UNO's exceptions cannot take one.
class OneUndo:
    """All that is done meanwhile can be undone at once by the person."""

    def __init__(self, document: Any) -> None:
        self._manager = document.UndoManager

    def __enter__(self) -> None:
        self._manager.enterUndoContext("sgdsheet")

    def __exit__(self, *_: object) -> None:
        self._manager.leaveUndoContext()


class Unrecorded:
    """A single action that cannot be undone, unless `undo` is true: LibreOffice unlocks after the first by itself."""

    def __init__(self, document: Any, undo: bool) -> None:
        self._manager = None if undo else document.UndoManager

    def __enter__(self) -> None:
        if self._manager is not None:
            self._manager.lock()

    def __exit__(self, *_: object) -> None:
        if self._manager is not None:
            self._manager.unlock()


class Settled:
    """No formula waits to be calculated before and after what is done meanwhile.

    A chart learns of a change only from a formula that was up to date. One that nobody sees and nobody reads may
    be left waiting when sheets are made or filled; then its chart keeps what it shows, however often the formula's
    arguments change.
    """

    def __init__(self, document: Any) -> None:
        self._document = document

    def __enter__(self) -> None:
        self._document.calculate()

    def __exit__(self, *_: object) -> None:
        self._document.calculate()


def recalculate(document: Any) -> None:
    """Bring the formulas up to date, if the person has switched that off."""
    if not document.isAutomaticCalculationEnabled():
        document.calculate()


def boolean_words(formatter: Any, document: Any) -> tuple[str, str]:
    """TRUE and FALSE in the person's language."""
    formatter.attachNumberFormatsSupplier(document)
    logical = document.NumberFormats.getStandardFormat(LOGICAL, Locale())
    return formatter.convertNumberToString(logical, 1.0), formatter.convertNumberToString(logical, 0.0)
