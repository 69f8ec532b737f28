"""GROUPBY: sums and other totals of the values in each group, as a table."""

from __future__ import annotations

import math
import statistics
from collections.abc import Callable, Mapping, Sequence

from sgdsheet.compiler.functions.plain import Cell, Grid, is_number, plain
from sgdsheet.compiler.functions.reshaping import sorted_places
from sgdsheet.errors import FormulaError
from sgdsheet.sheet.workbook import ExcelError

_AUTOMATIC, _HIDDEN, _GENERATED, _SHOWN = -1, 1, 2, 3
"""What the argument for the headers says; 0 is that there are none."""

_Numbers = Sequence[float]


def _least(count: int, otherwise: Cell, total: Callable[[_Numbers], float]) -> Callable[[_Numbers], Cell]:
    """A total of at least so many numbers, and what it is of fewer."""
    return lambda numbers: total(numbers) if len(numbers) >= count else otherwise


TOTALS: Mapping[str, Callable[[_Numbers], Cell]] = {
    "SUM": math.fsum,
    "AVERAGE": _least(1, ExcelError.DIV0, statistics.fmean),
    "COUNT": lambda numbers: float(len(numbers)),
    "MAX": _least(1, 0.0, max),
    "MIN": _least(1, 0.0, min),
    "PRODUCT": _least(1, 0.0, math.prod),
    "MEDIAN": _least(1, ExcelError.NUM, statistics.median),
    "STDEV": _least(2, ExcelError.DIV0, statistics.stdev),
    "STDEV.S": _least(2, ExcelError.DIV0, statistics.stdev),
    "STDEV.P": _least(1, ExcelError.DIV0, statistics.pstdev),
    "VAR": _least(2, ExcelError.DIV0, statistics.variance),
    "VAR.S": _least(2, ExcelError.DIV0, statistics.variance),
    "VAR.P": _least(1, ExcelError.DIV0, statistics.pvariance),
}


@plain(
    "GROUPBY",
    arrays=True,
    left_out_is_default=True,
    takes_function=2,
    examples={
        "INDEX(GROUPBY(B1:B4,A1:A4,SUM),1,2)": 50,
        "INDEX(GROUPBY(B1:B4,A1:A4,SUM),2,1)": "male",
        "INDEX(GROUPBY(B1:B4,A1:A4,AVERAGE,,0,-2),1,2)": 25,
        "ROWS(GROUPBY(B1:B4,A1:A4,SUM,,,,A1:A4>15))": 3,
    },
    note="Totals by the name of a function, without subtotals; the last row is called “Total”, as in English.",
)
def groupby(
    fields: Grid,
    values: Grid,
    function: str,
    headers: float = _AUTOMATIC,
    totals: Cell = None,
    order: Grid | None = None,
    chosen: Grid | None = None,
    relation: float = 0.0,
) -> list[list[Cell]] | ExcelError:
    """A table of the totals of each group."""
    name, depth = function.upper(), _depth(totals, fields.width)
    if isinstance(depth, ExcelError):
        return depth
    if name not in (*TOTALS, "COUNTA", "PERCENTOF"):
        raise FormulaError(f"groups by {name}, which is not supported there", remedy=f"Use {', '.join(TOTALS)}")
    count, width = values.width, fields.width
    places = [1] if order is None else [math.trunc(item) if is_number(item) else 0 for item in order.cells()]
    marks = [True] * fields.height if chosen is None else list(map(is_set, chosen.cells()))
    if fields.height != values.height or len(marks) != fields.height or math.trunc(relation) not in (0, 1):
        return ExcelError.VALUE
    if not all(1 <= abs(place) <= width + count for place in places):
        return ExcelError.VALUE
    top = header_rows(values, math.trunc(headers))
    keys, rows = fields.rows[top:], values.rows[top:]
    groups = groups_of(keys, marks[top:])
    if not groups:
        return ExcelError.CALC
    listed = [number for numbers in groups for number in numbers]

    def line(first: Sequence[Cell], numbers: Sequence[int]) -> list[Cell]:
        columns = ([rows[number][column] for number in numbers] for column in range(count))
        whole = ([rows[number][column] for number in listed] for column in range(count))
        return [*first, *(total(name, part, every) for part, every in zip(columns, whole, strict=True))]

    found = [line(keys[numbers[0]], numbers) for numbers in groups]
    by = _order(places, width, is_table=math.trunc(relation) == 1)
    sorted_by = [[row[abs(place) - 1] for row in found] for place in by]
    table = [found[at] for at in sorted_places(found, sorted_by, [1 if place > 0 else -1 for place in by])]
    if depth:
        whole = line(["Total", *[""] * (width - 1)], listed)
        table = [whole, *table] if depth < 0 else [*table, whole]
    return [[*fields.rows[0], *values.rows[0]], *table] if math.trunc(headers) == _SHOWN else table


def groups_of(keys: Sequence[Sequence[Cell]], marks: Sequence[bool]) -> list[list[int]]:
    """The rows of each group, of those that are marked."""
    groups: dict[tuple[tuple[type, Cell], ...], list[int]] = {}
    for number, (key, mark) in enumerate(zip(keys, marks, strict=True)):
        if any(item is None or isinstance(item, ExcelError) for item in key):
            raise FormulaError("groups by blank cells or errors", remedy="Fill them, or leave them out by the filter")
        if mark:
            known = tuple((type(item), item.casefold() if isinstance(item, str) else item) for item in key)
            groups.setdefault(known, []).append(number)
    return list(groups.values())


def _depth(totals: Cell, width: int) -> int | ExcelError:
    """Where the row of totals stands: 1 below, -1 above, 0 nowhere."""
    if totals is None:
        if width > 1:  # “and, where possible, subtotals”: where that is, and how they are called, is not documented
            raise FormulaError("groups by several columns without saying which totals", remedy="Say 0, 1 or -1")
        return 1
    if isinstance(totals, ExcelError):
        return totals
    depth = math.trunc(totals) if is_number(totals) else 0
    if abs(depth) > width or not is_number(totals):
        return ExcelError.VALUE  # subtotals need groups in groups
    if abs(depth) > 1:
        raise FormulaError("gives subtotals of groups, whose names are not documented", remedy="Say 0, 1 or -1")
    return depth


def _order(places: Sequence[int], width: int, *, is_table: bool) -> list[int]:
    """The columns by which the groups are sorted, the first one first; downwards where they are negative.

    In a hierarchy each column of groups is sorted within the one before it. By which totals Excel would sort groups in
    groups is not documented: FormulaError.
    """
    rest = [column for column in range(1, width + 1) if column not in map(abs, places)]
    if width == 1 or is_table:
        return [*places, *rest]
    if any(abs(place) > width for place in places):
        raise FormulaError("sorts groups in groups by their totals", remedy="Sort by the columns of groups")
    return sorted([*places, *rest], key=abs)


def header_rows(values: Grid, headers: int) -> int:
    """How many rows are headers."""
    if headers == _GENERATED:
        raise FormulaError("makes up headers of groups, whose names differ by language", remedy="Write the headers")
    if headers == _AUTOMATIC:
        first = [row[0] for row in values.rows[:2]]
        return int(len(first) > 1 and isinstance(first[0], str) and is_number(first[1]))
    return int(headers in (_HIDDEN, _SHOWN))


def is_set(mark: Cell) -> bool:
    """Whether a filter keeps a row."""
    return mark is True or (is_number(mark) and mark != 0.0)


def total(name: str, cells: Sequence[Cell], every: Sequence[Cell]) -> Cell:
    """The total of some values; `every` are those of all groups."""
    if name == "COUNTA":
        return float(sum(item is not None for item in cells))
    if name != "COUNT" and (error := next((item for item in cells if isinstance(item, ExcelError)), None)):
        return error
    numbers = [item for item in cells if is_number(item)]
    if name == "PERCENTOF":
        whole = math.fsum(item for item in every if is_number(item))
        return math.fsum(numbers) / whole if whole else ExcelError.DIV0
    return TOTALS[name](numbers)
