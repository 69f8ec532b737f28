"""Database functions: what a column of a table comes to in the rows that meet a table of criteria.

Rows of criteria are alternatives; all cells of a row have to be met. A text is met by what begins with it; `="=text"`
asks for the text itself. Criteria that are formulas of their own (under a heading that the table does not have) are
refused.
"""

from __future__ import annotations

import math
import re
import statistics
from collections.abc import Callable, Mapping, Sequence

from sgdsheet.compiler.functions.plain import Cell, Grid, is_number, plain
from sgdsheet.compiler.functions.wildcards import pattern
from sgdsheet.compiler.ir.numerals import text_number
from sgdsheet.errors import FormulaError
from sgdsheet.sheet.workbook import ExcelError

_CRITERION = re.compile(r"(<=|>=|<>|<|>|=)?(.*)", re.DOTALL)
_TABLE = (
    '{"Tree","Height","Profit";"Apple",18,105;"Pear",12,96;"Cherry",13,105;"Apple",14,75;"Pear",9,76.8;"Apple",8,45}'
)


def _heading(cell: Cell) -> str:
    return str(cell).strip().casefold() if cell is not None else ""


def _meets(cell: Cell, criterion: Cell) -> bool:
    """Whether a cell meets a criterion; a blank criterion is always met, and an empty text by any text."""
    if criterion is None:
        return True
    if not isinstance(criterion, str):
        return _compared(cell, "=", criterion) if is_number(criterion) else cell is criterion
    match = _CRITERION.fullmatch(criterion)
    assert match is not None
    sign, operand = match[1] or "", match[2]
    number = text_number(operand)
    if number is not None:
        return _compared(cell, sign or "=", number)
    if sign in ("<", "<=", ">", ">="):
        raise FormulaError("compares texts by their order in a table of criteria", remedy="Compare numbers")
    if sign and operand == "":
        return (cell is None) if sign == "=" else (cell is not None)
    text = cell if isinstance(cell, str) else None
    wanted = pattern(operand if sign else f"{operand}*")
    found = text is not None and wanted.fullmatch(text) is not None
    return not found if sign == "<>" else found


def _compared(cell: Cell, sign: str, number: float) -> bool:
    """Whether a cell is to a number as a sign says; a text that is the number is equal to it, and unequal as well."""
    if not is_number(cell):
        return sign == "<>" or (sign == "=" and isinstance(cell, str) and text_number(cell) == number)
    results = {"=": cell == number, "<>": cell != number, "<": cell < number, ">": cell > number}
    return results.get(sign, cell <= number if sign == "<=" else cell >= number)


def _rows(table: Grid, criteria: Grid) -> list[tuple[Cell, ...]]:
    """The rows of the table that meet the criteria."""
    headings = [_heading(cell) for cell in table.rows[0]]
    wanted = [_heading(cell) for cell in criteria.rows[0]]
    if any(name and name not in headings for name in wanted):
        raise FormulaError("has a criterion under a heading that the table does not have", remedy="Mend the heading")
    columns = [headings.index(name) if name else None for name in wanted]
    return [
        row
        for row in table.rows[1:]
        if any(
            all(column is None or _meets(row[column], cell) for column, cell in zip(columns, line, strict=True))
            for line in criteria.rows[1:]
        )
    ]


def _column(table: Grid, field: Cell) -> int | None:
    """The position of a column, by its number or its heading."""
    if isinstance(field, str):
        headings = [_heading(cell) for cell in table.rows[0]]
        return headings.index(_heading(field)) if _heading(field) in headings else None
    if not is_number(field) or not 1 <= math.trunc(field) <= table.width:
        return None
    return math.trunc(field) - 1


_Reduction = Callable[[Sequence[float]], float | ExcelError]


def _declare(
    name: str, help_text: str, reduce: _Reduction, examples: Mapping[str, float | str | bool], *, counts: bool = False
) -> None:
    def implementation(table: Grid, field: Cell, criteria: Grid) -> Cell:
        column = _column(table, field)
        if isinstance(field, ExcelError):
            return field
        if column is None and not (counts and (field is None or field == "")):
            return ExcelError.VALUE
        rows = _rows(table, criteria)
        if column is None:
            return float(len(rows))
        cells = [row[column] for row in rows]
        error = next((cell for cell in cells if isinstance(cell, ExcelError)), None)
        if error is not None and not counts:
            return error
        return reduce([cell for cell in cells if is_number(cell)])

    implementation.__doc__ = help_text
    plain(name, examples=examples)(implementation)


def _over(numbers: Sequence[float], calculate: Callable[[Sequence[float]], float], least: int) -> float | ExcelError:
    return float(calculate(numbers)) if len(numbers) >= least else ExcelError.DIV0


_APPLES = '{"Tree";"=Apple"}'
_declare(
    "DSUM", "Sum of the numbers in the rows that meet criteria.", math.fsum, {f'DSUM({_TABLE},"Profit",{_APPLES})': 225}
)
_declare(
    "DAVERAGE",
    "Mean of the numbers in the rows that meet criteria.",
    lambda numbers: _over(numbers, statistics.fmean, 1),
    {f"DAVERAGE({_TABLE},2,{_APPLES})": 40 / 3, f'DAVERAGE({_TABLE},2,{{"Tree";"Fig"}})': "#DIV/0!"},
)
_declare(
    "DCOUNT",
    "How many numbers there are in the rows that meet criteria.",
    lambda numbers: float(len(numbers)),
    {f'DCOUNT({_TABLE},"Height",{{"Tree","Height";"=Apple",">10"}})': 2},
    counts=True,
)
_declare(
    "DMAX",
    "Largest number in the rows that meet criteria.",
    lambda numbers: max(numbers, default=0.0),
    {f'DMAX({_TABLE},"Profit",{{"Tree","Tree";"=Apple","";"","=Pear"}})': 105},
)
_declare(
    "DMIN",
    "Smallest number in the rows that meet criteria.",
    lambda numbers: min(numbers, default=0.0),
    {f'DMIN({_TABLE},"Profit",{_APPLES})': 45},
)
_declare(
    "DPRODUCT",
    "Product of the numbers in the rows that meet criteria.",
    lambda numbers: math.prod(numbers) if numbers else 0.0,
    {f'DPRODUCT({_TABLE},"Profit",{{"Tree","Height";"=Apple",">10"}})': 7875},
)
_declare(
    "DSTDEV",
    "Standard deviation of a sample in the rows that meet criteria.",
    lambda numbers: _over(numbers, statistics.stdev, 2),
    {f'DSTDEV({_TABLE},"Profit",{{"Tree";"=Apple";"=Pear"}})': 23.1315369139},
)
_declare(
    "DSTDEVP",
    "Standard deviation of a whole population in the rows that meet criteria.",
    lambda numbers: _over(numbers, statistics.pstdev, 1),
    {f'ROUND(DSTDEVP({_TABLE},"Profit",{{"Tree";"=Apple";"=Pear"}}),3)': 20.689},
)
_declare(
    "DVAR",
    "Variance of a sample in the rows that meet criteria.",
    lambda numbers: _over(numbers, statistics.variance, 2),
    {f'ROUND(DVAR({_TABLE},"Profit",{{"Tree";"=Apple";"=Pear"}}),1)': 535.1},
)
_declare(
    "DVARP",
    "Variance of a whole population in the rows that meet criteria.",
    lambda numbers: _over(numbers, statistics.pvariance, 1),
    {f'ROUND(DVARP({_TABLE},"Profit",{{"Tree";"=Apple";"=Pear"}}),1)': 428.1},
)


@plain(
    "DCOUNTA",
    examples={
        f'DCOUNTA({_TABLE},"Tree",{{"Height";">10"}})': 4,
        f'DCOUNTA({_TABLE},,{{"Height";">10"}})': 4,
    },
)
def dcounta(table: Grid, field: Cell, criteria: Grid) -> float | ExcelError:
    """How many cells are not blank in the rows that meet criteria."""
    column = _column(table, field)
    if isinstance(field, ExcelError):
        return field
    if column is None and not (field is None or field == ""):
        return ExcelError.VALUE
    return float(sum(column is None or row[column] is not None for row in _rows(table, criteria)))


@plain(
    "DGET",
    examples={f'DGET({_TABLE},"Height",{{"Tree";"=Cherry"}})': 13, f'DGET({_TABLE},"Height",{_APPLES})': "#NUM!"},
)
def dget(table: Grid, field: Cell, criteria: Grid) -> Cell:
    """The one cell that holds something in the rows that meet criteria."""
    column = _column(table, field)
    if column is None:
        return ExcelError.VALUE
    found = [row[column] for row in _rows(table, criteria) if row[column] not in (None, "")]
    return found[0] if len(found) == 1 else ExcelError.NUM if found else ExcelError.VALUE
