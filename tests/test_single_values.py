"""Ranges in the place of single values: a plain formula takes the cell in its own row, an array formula all cells."""

from __future__ import annotations

from typing import Any

import pytest

from sgdsheet.compiler.evaluation import evaluate
from sgdsheet.sheet.references import Cell
from sgdsheet.sheet.workbook import ExcelError
from tests.sheets import HOME, book, lowered, value, values

CELLS = {"A1": [10, 20, 30, 40], "B1": [1, 2, 3, 4], "C1": [0.1, 0.2, 0.3, 0.4]}


@pytest.mark.parametrize(
    ("formula", "single"),
    [
        ("LARGE($A$1:$A$4,$B$1:$B$4)", "LARGE($A$1:$A$4,B{row})"),
        ("SMALL($A$1:$A$4,$B$1:$B$4)", "SMALL($A$1:$A$4,B{row})"),
        ("PERCENTILE($A$1:$A$4,$C$1:$C$4)", "PERCENTILE($A$1:$A$4,C{row})"),
        ("QUARTILE($A$1:$A$4,$B$1:$B$4)", "QUARTILE($A$1:$A$4,B{row})"),
        ("RANK($A$1:$A$4,$A$1:$A$4)", "RANK(A{row},$A$1:$A$4)"),
        ("NPV($C$1:$C$4,$A$1:$A$4)", "NPV(C{row},$A$1:$A$4)"),
        ("FORECAST($B$1:$B$4,$A$1:$A$4,$C$1:$C$4)", "FORECAST(B{row},$A$1:$A$4,$C$1:$C$4)"),
        ("MIRR($A$1:$A$4-25,$C$1:$C$4,0.1)", "MIRR($A$1:$A$4-25,C{row},0.1)"),
        ("LARGE($A$1:$A$4,INDEX($B$1:$B$4,0))", "LARGE($A$1:$A$4,B{row})"),
    ],
)
def test_the_cell_in_the_formulas_own_row(formula: str, single: str) -> None:
    cells = dict(CELLS)
    if formula.startswith("MIRR"):
        cells["A1"] = [-70, 20, 30, 40]
        formula, single = formula.replace("-25", ""), single.replace("-25", "")
    expected = [values({**cells, "E1": "=" + single.format(row=row)}, "E1")[0] for row in (2, 3)]
    assert values({**cells, "E2:E3": f"={formula}"}, "E2:E3") == expected
    assert values({**cells, "E9": f"={formula}"}, "E9") == [ExcelError.VALUE]


def test_an_array_formula_and_an_array_constant_take_them_all() -> None:
    assert values({**CELLS, "E1": "=SUM(LARGE(A1:A4,{1,2}))"}, "E1") == [70]
    assert values({**CELLS, "E1": "=SUMPRODUCT(LARGE(A1:A4,B1:B2))"}, "E1") == [70]
    assert values({**CELLS, "E1:E4": "{=LARGE(A1:A4,B1:B4)}"}, "E1:E4") == [40, 30, 20, 10]


def test_a_range_that_begins_as_one_cell() -> None:
    cells = {"H1": [7, 6, 5, 4, 3, 2, 1], "U3:U6": "=$H$3:$H3+1", "W3:W4": "=$H$5:$H5+1"}
    assert values(cells, "U3:U6", "W3:W4") == [6, 5, 4, 3, 4, ExcelError.VALUE]


@pytest.mark.parametrize(
    "formula", ["NPV(D1,A1:A4)", "XNPV(D1,A1:A4,B1:B4)", "XIRR(A1:A4,B1:B4,D1)", "IRR(A1:A4,D1)", "LARGE(A1:A4,D1)"]
)
def test_a_text_is_no_number(formula: str) -> None:
    cells = {**CELLS, "A1": [-70, 20, 30, 40], "D1": "x", "E1": f"={formula}"}
    assert values(cells, "E1") == [ExcelError.VALUE]


@pytest.mark.parametrize(
    ("formula", "expected"),
    [
        ("SUMPRODUCT(--(WEEKNUM(A1:A3)=1))", ExcelError.VALUE),
        ("SUMPRODUCT(--(WEEKNUM(+A1:A3)=1))", 3),
        ("SUMPRODUCT(--ISODD(A1:A3))", ExcelError.VALUE),
        ("SUMPRODUCT(--ISODD(A1:A3*1))", 2),
        ("SUMPRODUCT(EDATE({1,2},0))", 3),
        ("SUMPRODUCT(EOMONTH(A1,A1:A3))", ExcelError.VALUE),
        ("SUMPRODUCT(MROUND(A1,A2)*A1:A3)", 12),
        ("SUMPRODUCT(NETWORKDAYS(A1,A3,A1:A3)*1)", 0),
        ("SUMPRODUCT(NETWORKDAYS(A1:A3,A3))", ExcelError.VALUE),
        ("SUM(MAP(A1:A3,LAMBDA(x,QUOTIENT(x,2))))", 2),
        ("LET(x,A1:A3,SUMPRODUCT(QUOTIENT(x,2)))", ExcelError.VALUE),
    ],
)
def test_functions_of_the_former_toolpak_take_no_ranges_in_arrays(formula: str, expected: float | ExcelError) -> None:
    """So it is in Excel; LibreOffice takes them, and what it has saved or has open is calculated as it does."""
    cells: dict[str, Any] = {"A1:A3": [1, 2, 3]}
    assert value(f"={formula}", cells) == expected
    workbook = book({**cells, "Z9": f"={formula}"})
    workbook.from_office = True
    found = evaluate(lowered(workbook, [], "Z9")).values[Cell(HOME, 9, 26)]
    assert not isinstance(found, ExcelError)
