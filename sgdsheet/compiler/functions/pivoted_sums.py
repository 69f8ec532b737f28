"""PIVOTBY: totals of the values in each pair of groups, as a table of rows and columns."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TypeVar

from sgdsheet.compiler.functions.grouped_sums import TOTALS, groups_of, header_rows, is_set, total
from sgdsheet.compiler.functions.plain import Cell, Grid, is_number, plain
from sgdsheet.compiler.functions.reshaping import sorted_places
from sgdsheet.errors import FormulaError
from sgdsheet.sheet.workbook import ExcelError

_T = TypeVar("_T")

_AUTOMATIC, _GENERATED, _SHOWN = -1, 2, 3


@plain(
    "PIVOTBY",
    arrays=True,
    left_out_is_default=True,
    takes_function=3,
    examples={
        'INDEX(PIVOTBY({"a";"b";"a";"b"},{1;1;2;2},{5;6;7;8},SUM),2,4)': 12,
        'INDEX(PIVOTBY({"a";"b";"a";"b"},{1;1;2;2},{5;6;7;8},SUM),1,3)': 2,
        'INDEX(PIVOTBY({"a";"b";"a";"b"},{1;1;2;2},{5;6;7;8},MAX,,0,-1,0),2,2)': 6,
    },
    note="One column of rows, of columns and of values each, totals by the name of a function, and no headers; the last"
    " row and column are called “Total”, as in English.",
)
def pivotby(
    rows: Grid,
    columns: Grid,
    values: Grid,
    function: str,
    headers: float = _AUTOMATIC,
    row_totals: Cell = None,
    row_order: float = 1.0,
    column_totals: Cell = None,
    column_order: float = 1.0,
    chosen: Grid | None = None,
    relative: Cell = None,
) -> list[list[Cell]] | ExcelError:
    """A table of the totals of each pair of groups, one of the rows and one of the columns."""
    name = function.upper()
    if name not in TOTALS or relative is not None:
        raise FormulaError(f"pivots by {name}, which is not supported there", remedy=f"Use {', '.join(TOTALS)}")
    if max(rows.width, columns.width, values.width) > 1:
        raise FormulaError(
            "pivots by several columns, whose headers and totals are not documented in enough detail",
            remedy="Give it one column each",
        )
    if math.trunc(headers) in (_GENERATED, _SHOWN):
        raise FormulaError("shows headers whose places in the table are not documented", remedy="Say 0 or 1")
    marks = [True] * rows.height if chosen is None else list(map(is_set, chosen.cells()))
    if not rows.height == columns.height == values.height == len(marks):
        return ExcelError.VALUE
    below, beside = _place_of_totals(row_totals), _place_of_totals(column_totals)
    top = header_rows(values, math.trunc(headers))
    numbers, marked = [row[0] for row in values.rows[top:]], marks[top:]
    across = _sorted_groups(columns.rows[top:], marked, column_order)
    down = _sorted_groups(rows.rows[top:], marked, row_order)
    if not across:
        return ExcelError.CALC
    everything = [at for _, places in down for at in places]
    table: list[list[Cell]] = [["", *_with_total([title for title, _ in across], "Total", beside)]]
    for title, places in _with_total(down, ("Total", everything), below):
        cells: list[Cell] = []
        for _, others in across:
            common = sorted(set(places) & set(others))
            cells.append(total(name, [numbers[at] for at in common], numbers) if common else "")
        table.append([title, *_with_total(cells, total(name, [numbers[at] for at in places], numbers), beside)])
    return table


def _place_of_totals(totals: Cell) -> int:
    """Where the totals stand: 1 behind the others, -1 before them, 0 nowhere. Subtotals need groups in groups."""
    if totals is None:
        return 1
    if not is_number(totals) or abs(totals) >= 2:
        raise FormulaError("wants totals of another depth than 0, 1 or -1", remedy="Say 0, 1 or -1")
    return math.trunc(totals)


def _with_total(items: Sequence[_T], whole: _T, place: int) -> list[_T]:
    """The items with their total, where it stands."""
    return [whole] * (place < 0) + [*items] + [whole] * (place > 0)


def _sorted_groups(keys: Sequence[Sequence[Cell]], marks: Sequence[bool], order: float) -> list[tuple[Cell, list[int]]]:
    """The groups in their order, each with the places of its values."""
    if math.trunc(order) not in (1, -1):
        raise FormulaError("sorts groups of a pivoted table by their totals", remedy="Sort by 1 or -1")
    found = groups_of(keys, marks)
    titles = [keys[places[0]] for places in found]
    by = sorted_places(titles, [[title[0] for title in titles]], [math.trunc(order)])
    return [(titles[at][0], found[at]) for at in by]
