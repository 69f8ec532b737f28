"""Arrays that do not fit: where one of them has no cell there is #N/A, as in Excel."""

from __future__ import annotations

from typing import Any

import pytest

from sgdsheet.compiler.functions import REGISTRY
from sgdsheet.errors import DataError, FormulaError
from sgdsheet.sheet.workbook import ExcelError
from tests.errors import refusal
from tests.oracle import calculated
from tests.sheets import book, check, compiled, value, values

CELLS: dict[str, Any] = {"A1:A3": [1, 2, 3], "B1:B2": [10, 20], "C1:D1": [[5, 6]], "E1:E2": ["a", "b"]}

FORMULAS: dict[str, float | str] = {
    "INDEX(A1:A3+B1:B2,2)": 22,
    "INDEX(A1:A3+B1:B2,3)": "#N/A",
    "SUM(IFERROR(A1:A3+B1:B2,0))": 33,
    "SUM(IFERROR(A1:A3*C1:D1,0))": 66,
    "SUM(IFERROR({1,2,3}+{1,2},100))": 106,
    "SUM(IFERROR(POWER(A1:A3,B1:B2),0))": 1048577,
    "INDEX(IF(A1:A3>1,B1:B2,0),2)": 20,
    "INDEX(IF(A1:A3>1,B1:B2,0),3)": "#N/A",
    "SUM(IF(B1:B2>0,A1:A3,0))": "#N/A",
    "INDEX(A1:A3&E1:E2,2)": "2b",
    "SUMPRODUCT(A1:A3*B1:B2)": "#N/A",
    "SUMPRODUCT(A1:A3,B1:B2)": "#VALUE!",
}
STACKED: dict[str, float | str] = {
    "INDEX(VSTACK(A1:A3,C1:D1),1,2)": "#N/A",
    "INDEX(VSTACK(A1:A3,C1:D1),4,2)": 6,
    "SUM(IFERROR(HSTACK(A1:A3,B1:B2),100))": 136,
    "INDEX(HSTACK(A1:A3,B1:B2,7),1,3)": 7,
    'INDEX(VSTACK(A1:A3,E1:E2),5)&"!"': "b!",
}


@pytest.mark.parametrize("formula", [*FORMULAS, *STACKED])
def test_value(formula: str) -> None:
    found = value(f"{{={formula}}}", CELLS)
    expected = {**FORMULAS, **STACKED}[formula]
    assert found == pytest.approx(expected) if isinstance(found, float) else str(found) == expected


def test_values_are_those_of_ironcalc() -> None:
    """LibreOffice calculates over what the arrays have in common."""
    made = book({**CELLS, **{f"H{row}": f"{{={formula}}}" for row, formula in enumerate(FORMULAS, start=1)}})
    theirs = calculated(made, f"H1:H{len(FORMULAS)}")
    assert list(theirs.values()) == [None if str(item).startswith("#") else item for item in FORMULAS.values()]


def test_cells_beyond_the_array_of_their_formula() -> None:
    """A row or column alone is repeated."""
    missing = ExcelError.NA
    assert values({**CELLS, "H1:H4": "{=A1:A3+B1:B2}"}, "H1:H4") == [11, 22, missing, missing]
    assert values({**CELLS, "H1:I4": "{=A1:A3*2}"}, "H1:I4") == [2, 2, 4, 4, 6, 6, missing, missing]
    assert values({**CELLS, "H1:I2": "{=A1:A3*2}"}, "H1:I2") == [2, 2, 4, 4]


def test_gradient_of_what_fits() -> None:
    check({**CELLS, "Z1": "{=SUM(IFERROR(A1:A3*B1:B2,0)^2)}"}, "A1:A2", 100 + 1600)
    check({**CELLS, "Z1": "{=SUM(IFERROR(VSTACK(A1:A3*2,C1:D1),0)^2)}"}, "A1:A3", 4 * 14 + 61)


def test_a_loss_over_arrays_that_do_not_fit_says_so() -> None:
    with refusal(DataError, cell="Sheet1!Z1", cause=r"combines arrays of different sizes \(3x1 and 2x1\)"):
        compiled({**CELLS, "Z1": "{=SUM(A1:A3*B1:B2)}"}, "A1:A3")


@pytest.mark.parametrize(
    "name",
    [name for name, found in REGISTRY.items() if found.skips_blanks and found.single_arguments and name != "SERIESSUM"],
)
def test_a_growing_array_where_one_value_is_wanted(name: str) -> None:
    """`{=LARGE($A$1:$A$6,$B$1:$B1)}` and its copy below: the first has one result, for all of its cells."""
    function = REGISTRY[name]
    least = max(function.arguments[0], min(function.single_arguments) + 1)
    cells = {"A1:A6": [0.1, 0.5, 0.2, 0.3, 0.7, 0.4], "B1:B4": [0.4, 0.1, 0.3, 0.2], "C1": 1}
    cells |= {"B1:B4": [1, 2, 3, 1]} if name in ("LARGE", "SMALL") else {}
    grown = min(function.single_arguments)

    def formula(area: str) -> str:
        given = ["C1" if place in function.single_arguments else "A1:A6" for place in range(least)]
        return f"{{={name}({','.join(area if place == grown else item for place, item in enumerate(given))})}}"

    one, many = {"E1:E3": formula("$B$1:$B1")}, {"E4:E6": formula("$B$1:$B4")}
    together = values({**cells, **one, **many}, *(f"E{row}" for row in range(1, 7)))
    alone = values({**cells, **one}, "E1", "E2", "E3") + values({**cells, **many}, "E4", "E5", "E6")
    assert together == alone
    assert together[0] == together[1] == together[2]


def test_a_unit_matrix_that_no_memory_holds_is_refused() -> None:
    with refusal(FormulaError, cell="Sheet1!Z1", cause="a unit matrix of 100,000 rows"):
        value("=SUM(MUNIT(100000))")
