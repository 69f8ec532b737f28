"""GROUPBY and PIVOTBY: groups of one column or several, as Microsoft's documentation describes them."""

from __future__ import annotations

from typing import Any

import pytest

from sgdsheet.errors import FormulaError
from sgdsheet.sheet.workbook import ExcelError
from tests.errors import refusal
from tests.sheets import value, values

CELLS: dict[str, Any] = {
    "A1": ["Year", 2021, 2022, 2021, 2020, 2022],
    "B1": ["Sales", 5, 7, 1, 10, 2],
    "C1": ["Who", "b", "a", "B", "c", "a"],
    "D1": [None, None, "=1/0", None, None, None],
}


@pytest.mark.parametrize(
    ("formula", "expected"),
    [
        ("GROUPBY(A1:A6,B1:B6,SUM)", [[2020, 10], [2021, 6], [2022, 9], ["Total", 25]]),
        ("GROUPBY(A1:A6,B1:B6,_xleta.SUM,3,0,-2)", [["Year", "Sales"], [2020, 10], [2022, 9], [2021, 6]]),
        ("GROUPBY(A1:A6,B1:B6,MIN,1,0)", [[2020, 10], [2021, 1], [2022, 2]]),
        ("GROUPBY(C2:C6,B2:B6,AVERAGE,,-1)", [["Total", 5], ["a", 4.5], ["b", 3], ["c", 10]]),
        ("GROUPBY(C2:C6,B2:B6,COUNT,0,1,-1)", [["c", 1], ["b", 2], ["a", 2], ["Total", 5]]),
        ("GROUPBY(C2:C6,B2:B6,SUM,,0,1,B2:B6>4)", [["a", 7], ["b", 5], ["c", 10]]),
        ("GROUPBY(C1:C6,B1:B6,PERCENTOF)", [["a", 0.36], ["b", 0.24], ["c", 0.4], ["Total", 1]]),
        ("GROUPBY(C2:C6,D2:D6,COUNTA,0,0)", [["a", 1], ["b", 0], ["c", 0]]),
    ],
)
def test_table(formula: str, expected: list[list[float | str]]) -> None:
    area = f"F1:G{len(expected)}"
    cells = [f"{column}{row}" for row in range(1, len(expected) + 1) for column in "FG"]
    found = values({**CELLS, area: f"{{={formula}}}"}, *cells)
    assert found == pytest.approx([item for row in expected for item in row])


def test_several_columns_of_values() -> None:
    found = values({**CELLS, "F1:H4": "{=GROUPBY(C2:C6,A2:B6,MAX,0)}"}, "F1", "G1", "H1", "F4", "G4", "H4")
    assert found == ["a", 2022, 7, "Total", 2022, 10]


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        (",,0", "a 2022 9, b 2020 1, b 2021 6, c 2020 10"),
        (",,1", "a 2022 9, b 2020 1, b 2021 6, c 2020 10, Total  26"),
        (",,-1", "Total  26, a 2022 9, b 2020 1, b 2021 6, c 2020 10"),
        (",,0,-1", "c 2020 10, b 2020 1, b 2021 6, a 2022 9"),
        (",,0,{-2,1}", "a 2022 9, b 2021 6, b 2020 1, c 2020 10"),
        (",,0,{-2,1},,1", "a 2022 9, b 2021 6, b 2020 1, c 2020 10"),
        (",,0,{2,-1},,1", "c 2020 10, b 2020 1, b 2021 6, a 2022 9"),
        (",,0,-3,,1", "c 2020 10, a 2022 9, b 2021 6, b 2020 1"),
        (",,0,2,F2:F7<>2022", "b 2020 1, b 2021 6, c 2020 10"),
    ],
)
def test_several_columns_of_groups(options: str, expected: str) -> None:
    """Groups in groups are a hierarchy, or with 1 as the last argument a table that is sorted as a whole."""
    cells = {"E1": ["Who", "b", "a", "B", "c", "a", "b"], "F1": ["Year", 2021, 2022, 2021, 2020, 2022, 2020]}
    cells["G1"] = ["Sales", 5, 7, 1, 10, 2, 1]
    rows = [row.split(" ") for row in expected.split(", ")]
    area = [f"{column}{row}" for row in range(1, len(rows) + 1) for column in "JKL"]
    found = values({**cells, f"J1:L{len(rows)}": f"{{=GROUPBY(E2:F7,G2:G7,SUM{options})}}"}, *area)
    assert [f"{item:g}" if isinstance(item, float) else item for item in found] == [
        item for row in rows for item in row
    ]


@pytest.mark.parametrize(
    ("formula", "error"),
    [
        ("GROUPBY(C2:C6,B2:B5,SUM)", ExcelError.VALUE),
        ("GROUPBY(C2:C6,B2:B6,SUM,,2)", ExcelError.VALUE),
        ("GROUPBY(C2:C6,B2:B6,SUM,,,3)", ExcelError.VALUE),
        ("GROUPBY(C2:C6,B2:B6,SUM,,,,B2:B6>99)", ExcelError.CALC),
        ("INDEX(GROUPBY(C2:C6,D2:D6,SUM,0),1,2)", ExcelError.DIV0),
    ],
)
def test_errors(formula: str, error: ExcelError) -> None:
    assert value(f"={formula}", CELLS) is error


@pytest.mark.parametrize(
    ("formula", "cause"),
    [
        ("GROUPBY(A2:C6,B2:B6,SUM)", "groups by several columns"),
        ("GROUPBY(A2:C6,B2:B6,SUM,,2)", "gives subtotals"),
        ("GROUPBY(A2:C6,B2:B6,SUM,,0,4)", "sorts groups in groups"),
        ("GROUPBY(C2:C6,B2:B6,SKEW)", "groups by SKEW"),
        ("GROUPBY(D2:D6,B2:B6,SUM)", "blank cells or errors"),
        ("GROUPBY(C2:C6,B2:B6,SUM,2)", "makes up headers"),
    ],
)
def test_what_is_refused(formula: str, cause: str) -> None:
    with refusal(FormulaError, cell="Sheet1!Z1", cause=cause):
        value(f"={formula}", CELLS)


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ("SUM", " 2020 2021 2022 Total, a   9 9, b  6  6, c 10   10, Total 10 6 9 25"),
        ("SUM,,0,-1,0,-1", " 2022 2021 2020, c   10, b  6 , a 9  "),
        ("COUNT,,-1,1,-1", " Total 2020 2021 2022, Total 5 1 2 2, a 2   2, b 2  2 , c 1 1  "),
        ("_xleta.MAX,1,1,1,0,1,B1:B6>4", " 2020 2021 2022, a   7, b  5 , c 10  , Total 10 5 7"),
    ],
)
def test_pivoted_table(options: str, expected: str) -> None:
    """Rows, columns and totals where Microsoft's documentation puts them; a pair without values is empty."""
    lines = [line.split(" ") for line in expected.split(", ")]
    area = f"F1:{'FGHIJ'[len(lines[0]) - 1]}{len(lines)}"
    found = values({**CELLS, area: f"{{=PIVOTBY(C1:C6,A1:A6,B1:B6,{options})}}"}, area)
    assert [f"{item:g}" if isinstance(item, float) else item for item in found] == [
        cell for line in lines for cell in line
    ]


@pytest.mark.parametrize(
    ("call", "cause"),
    [
        ("PIVOTBY(A2:C6,C2:C6,B2:B6,SUM)", "several columns"),
        ("PIVOTBY(A2:A6,C2:C6,B2:B6,SUM,3)", "headers"),
        ("PIVOTBY(A2:A6,C2:C6,B2:B6,SUM,,2)", "totals of another depth"),
        ("PIVOTBY(A2:A6,C2:C6,B2:B6,SUM,,,2)", "by their totals"),
        ("PIVOTBY(A2:A6,C2:C6,B2:B6,PERCENTOF)", "PERCENTOF"),
        ("PIVOTBY(A2:A6,C2:C6,B2:B6,HSTACK(SUM,MAX))", "several functions at once"),
        ("GROUPBY(A2:A6,B2:B6,HSTACK(SUM,MAX))", "several functions at once"),
    ],
)
def test_what_is_not_documented_in_detail_is_refused(call: str, cause: str) -> None:
    with refusal(FormulaError, cell="Sheet1!Z1", cause=cause):
        value(f"=INDEX({call},1,1)", CELLS)


def test_a_pivoted_table_of_columns_of_other_lengths() -> None:
    assert value("=INDEX(PIVOTBY(A2:A6,C2:C5,B2:B6,SUM),1,1)", CELLS) is ExcelError.VALUE
    assert value("=INDEX(PIVOTBY(A2:A6,C2:C6,B2:B6,SUM,,,,,,A2:A6>9999),1,1)", CELLS) is ExcelError.CALC
