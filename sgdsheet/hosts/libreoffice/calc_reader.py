"""From what the agent reads in LibreOffice to plain data: values with their types, formulas, names, tables."""

from __future__ import annotations

from array import array
from base64 import b64decode
from collections.abc import Iterator, Mapping, Sequence
from itertools import chain, product
from pathlib import Path
from typing import Any

from sgdsheet.hosts.libreoffice.filled_down import FilledDown, Formulas
from sgdsheet.hosts.libreoffice.notation import to_excel
from sgdsheet.sheet.references import Range
from sgdsheet.sheet.workbook import DefinedName, ExcelError, Formula, Position, Sheet, Table, Value, Workbook

_ERRORS = {
    32767: ExcelError.NA,
    503: ExcelError.NUM,
    519: ExcelError.VALUE,
    521: ExcelError.NULL,
    523: ExcelError.NUM,  # no convergence
    524: ExcelError.REF,
    525: ExcelError.NAME,
    532: ExcelError.DIV0,
}
_CONSTANTS = {"TRUE", "FALSE", *(error.value for error in ExcelError)}


def workbook(key: str, read: Mapping[str, Any], known: Formulas | None = None, met: Formulas | None = None) -> Workbook:
    """The whole workbook. `known` and `met` are the formulas of an earlier reading and of this one (`FilledDown`)."""
    path = Path(key)
    sheets = {item["name"]: _sheet(item, FilledDown(known, met)) for item in read["sheets"]}
    names = [DefinedName(name, to_excel(content), scope) for name, scope, content in read["names"]]
    tables = [_table(sheets, *table) for table in read["tables"]]
    return Workbook(
        name=path.name,
        sheets=sheets,
        names=names,
        tables={table.name: table for table in tables},
        active=read["active"],
        from_office=True,
        date1904=read["date1904"],
        as_displayed=read["as_displayed"],
        folder=path.parent if path.is_absolute() else None,
    )


def _sheet(read: Mapping[str, Any], filled: FilledDown) -> Sheet:
    name = read["name"]
    sheet = Sheet(name, merged=[Range(name, *area) for area in read["merged"]], protected=read["protected"])
    rows = read.get("rows") or {}
    sheet.hidden_rows, sheet.filtered_rows = _rows(rows.get("hidden")), rows.get("filtered")
    if sheet.filtered_rows is not None:
        sheet.filtered_rows = set(sheet.filtered_rows)
    for block in read["blocks"]:
        sheet.values.update(values(block))
        sheet.formulas.update(formulas(block, filled))
    return sheet


def _rows(pairs: Sequence[Sequence[int]] | None) -> set[int] | None:
    """The numbers of rows from pairs of the first and the last one; None if nobody has looked."""
    return None if pairs is None else {row for first, last in pairs for row in range(first, last + 1)}


def values(block: Mapping[str, Any]) -> dict[Position, Value]:
    """The values of a block of cells. LibreOffice gives booleans as numbers, errors as nothing, and nothing as ''."""
    given = _unpacked(block)
    found: dict[Position, Value] = dict(zip(_positions([block["area"]]), given, strict=True))
    if None in given:
        errors = {(row, column): code for row, column, code in block.get("errors", ())}
        for place in [place for place, value in found.items() if value is None]:
            found[place] = _ERRORS.get(errors.get(place, 0), ExcelError.VALUE)
    if "" in given:
        empty = {place for place, value in found.items() if value == ""}
        for place in empty.difference(_positions(block.get("formula_areas", ()))):
            del found[place]
    for position in _positions(block.get("booleans", ())):
        if isinstance(value := found.get(position), float):
            found[position] = value != 0
    return found


def _unpacked(block: Mapping[str, Any]) -> list[Any]:
    """The values of a block row by row, as the agent has packed them."""
    numbers = array("d")
    numbers.frombytes(b64decode(block["numbers"]))
    found: list[Any] = numbers.tolist()
    for place, value in block["others"]:
        found[place] = value
    return found


def formulas(block: Mapping[str, Any], filled: FilledDown | None = None) -> dict[Position, Formula]:
    """The formulas of a block, as Excel writes them. A lone TRUE or #N/A is a value, not a formula.

    With `filled`, which knows the blocks above, cells that a formula was filled down into share one object.
    """
    filled = filled or FilledDown()
    arrays = {
        position: (area[0], area[1], area[2], area[3])
        for area in block.get("arrays", ())
        for position in _positions([area])
    }
    found: dict[Position, Formula] = {}
    for area, rows in zip(block.get("formula_areas", ()), block.get("formulas", ()), strict=True):
        top, left, _, _ = area
        if arrays:
            found.update(_with_arrays(area, rows, arrays, filled))
            continue
        columns = [filled.column(texts, top, column) for column, texts in enumerate(zip(*rows, strict=True), left)]
        found.update(zip(_positions([area]), chain.from_iterable(zip(*columns, strict=True)), strict=True))
    constants = {id(formula) for formula in found.values() if formula.text in _CONSTANTS}
    return {place: formula for place, formula in found.items() if id(formula) not in constants} if constants else found


def _with_arrays(
    area: Sequence[int],
    rows: Sequence[Sequence[str]],
    arrays: Mapping[Position, tuple[int, int, int, int]],
    filled: FilledDown,
) -> Iterator[tuple[Position, Formula]]:
    """The formulas of an area, those of arrays at their first cells only: all of their cells have the same text."""
    texts = chain.from_iterable(rows)
    for (row, column), text in zip(_positions([area]), texts, strict=True):
        array = arrays.get((row, column))
        if array is None:
            yield (row, column), filled.column((text,), row, column)[0]
        elif (row, column) == array[:2]:
            yield (row, column), Formula(to_excel(text), row, column, array)


def _positions(areas: Sequence[Sequence[int]]) -> Iterator[Position]:
    """The cells of areas, row by row."""
    return chain.from_iterable(
        product(range(top, bottom + 1), range(left, right + 1)) for top, left, bottom, right in areas
    )


def _table(sheets: Mapping[str, Sheet], name: str, sheet: str, *rest: int) -> Table:
    top, left, bottom, right, header, totals = rest
    heads = [sheets[sheet].values.get((top, column)) for column in range(left, right + 1)]
    columns = tuple(
        str(head) if header and head is not None else f"Column{number}" for number, head in enumerate(heads, 1)
    )
    return Table(name, Range(sheet, top, left, bottom, right), columns, int(header), int(totals))
