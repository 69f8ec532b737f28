"""COUNTIF, SUMIF and their like with several criteria at once: one result for each."""

from __future__ import annotations

from typing import Any

import pytest

from tests.sheets import check, value, values

CELLS: dict[str, Any] = {
    "A1:A5": ["a", "b", "a", None, "c*"],
    "B1:B5": [1, 2, 3, 4, 5],
    "C1:C2": ["a", "b"],
    "D1:D3": [1, 2, 7],
    "E1:E6": [5, 5, 2, 5, 2, 9],
}


@pytest.mark.parametrize(
    ("formula", "expected"),
    [
        ("SUMPRODUCT(1/COUNTIF(E1:E6,E1:E6))", 3),
        ('SUMPRODUCT((A1:A5<>"")/COUNTIF(A1:A5,A1:A5&""))', 3),
        ('SUM(COUNTIF(A1:A5,{"a","b"}))', 3),
        ('SUM(SUMIFS(B1:B5,A1:A5,{"a","b"},B1:B5,">1"))', 5),
        ('SUM(COUNTIFS(A1:A5,{"a","b"},B1:B5,{1;2;3}))', 3),
        ('SUM(AVERAGEIF(A1:A5,{"a","b"},B1:B5))', 4),
        ('MAX(MAXIFS(B1:B5,A1:A5,{"a","b"}))', 3),
        ('SUM(COUNTIF(A1:A5,{"a*","~*","c~*",""}))', 4),
        ("SUMPRODUCT(SUMIF(A1:A5,C1:C2,B1:B5)^2)", 20),
        ("SUMPRODUCT(--(COUNTIF(D1:D3,B1:B5)>0))", 2),
        ("SUMPRODUCT(COUNTIF(A:A,C1:C2))", 3),
        ("INDEX(COUNTIF(E1:E6,{2,5,9}),1,2)", 3),
    ],
)
def test_value(formula: str, expected: float) -> None:
    assert value(f"={formula}", CELLS) == pytest.approx(expected)


def test_array_formula_and_one_value() -> None:
    """Entered over cells there is one result for each criterion; in an ordinary formula that of the own row."""
    assert values({**CELLS, "F1:F2": "{=COUNTIF(A1:A5,C1:C2)}"}, "F1:F2") == [2, 1]
    assert values({**CELLS, "F1:F2": "=COUNTIF($A$1:$A$5,$C$1:$C$2)"}, "F1:F2") == [2, 1]
    assert value("=SUM(COUNTIF(A1:A5,C1:C2))", CELLS) == 2


def test_gradient() -> None:
    cells = {"A1:A5": ["a", "b", "a", "b", "b"], "B1:B5": [1, 2, 3, 4, 5], "C1:C2": ["a", "b"]}
    check({**cells, "Z1": "=SUMPRODUCT(SUMIF(A1:A5,C1:C2,B1:B5)^2)"}, "B1:B5", 16 + 121)
