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


_TOTALS: Mapping[str, Callable[[_Numbers], Cell]] = {
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
    note="Groups by one column and totals by the name of a function; the last row is called “Total”, as in English.",
)
def groupby(
    fields: Grid,
    values: Grid,
    function: str,
    headers: float = _AUTOMATIC,
    totals: float = 1.0,
    order: float = 1.0,
    chosen: Grid | None = None,
) -> list[list[Cell]] | ExcelError:
    """A table of the totals of each group."""
    name = function.upper()
    if fields.width > 1:
        raise FormulaError("groups by several columns", remedy="Group by one column")
    if name not in (*_TOTALS, "COUNTA", "PERCENTOF"):
        raise FormulaError(f"groups by {name}, which is not supported there", remedy=f"Use {', '.join(_TOTALS)}")
    count = values.width
    place, depth = math.trunc(order), math.trunc(totals)
    marks = [True] * fields.height if chosen is None else list(map(_is_set, chosen.cells()))
    if fields.height != values.height or len(marks) != fields.height or not 1 <= abs(place) <= 1 + count:
        return ExcelError.VALUE
    if depth not in (-1, 0, 1):
        return ExcelError.VALUE  # subtotals need groups in groups
    top = _header(values, math.trunc(headers))
    keys, rows = [row[0] for row in fields.rows[top:]], values.rows[top:]
    groups: dict[tuple[type, Cell], list[int]] = {}
    for number, (key, mark) in enumerate(zip(keys, marks[top:], strict=True)):
        if key is None or isinstance(key, ExcelError):
            raise FormulaError("groups by blank cells or errors", remedy="Fill them, or leave them out by the filter")
        if mark:
            groups.setdefault((type(key), key.casefold() if isinstance(key, str) else key), []).append(number)
    if not groups:
        return ExcelError.CALC
    listed = [number for numbers in groups.values() for number in numbers]

    def line(first: Cell, numbers: Sequence[int]) -> list[Cell]:
        columns = ([rows[number][column] for number in numbers] for column in range(count))
        whole = ([rows[number][column] for number in listed] for column in range(count))
        return [first, *(_total(name, part, every) for part, every in zip(columns, whole, strict=True))]

    found = [line(keys[numbers[0]], numbers) for numbers in groups.values()]
    by = [[row[abs(place) - 1] for row in found], [row[0] for row in found]]
    table = [found[at] for at in sorted_places(found, by, [1 if place > 0 else -1, 1])]
    if depth:
        whole = line("Total", listed)
        table = [whole, *table] if depth < 0 else [*table, whole]
    return [[fields.rows[0][0], *values.rows[0]], *table] if math.trunc(headers) == _SHOWN else table


def _header(values: Grid, headers: int) -> int:
    """How many rows are headers."""
    if headers == _GENERATED:
        raise FormulaError("makes up headers of groups, whose names differ by language", remedy="Write the headers")
    if headers == _AUTOMATIC:
        first = [row[0] for row in values.rows[:2]]
        return int(len(first) > 1 and isinstance(first[0], str) and is_number(first[1]))
    return int(headers in (_HIDDEN, _SHOWN))


def _is_set(mark: Cell) -> bool:
    return mark is True or (is_number(mark) and mark != 0.0)


def _total(name: str, cells: Sequence[Cell], every: Sequence[Cell]) -> Cell:
    """The total of some values; `every` are those of all groups."""
    if name == "COUNTA":
        return float(sum(item is not None for item in cells))
    if name != "COUNT" and (error := next((item for item in cells if isinstance(item, ExcelError)), None)):
        return error
    numbers = [item for item in cells if is_number(item)]
    if name == "PERCENTOF":
        whole = math.fsum(item for item in every if is_number(item))
        return math.fsum(numbers) / whole if whole else ExcelError.DIV0
    return _TOTALS[name](numbers)
