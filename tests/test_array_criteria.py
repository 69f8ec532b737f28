"""COUNTIF, SUMIF and their like with several criteria at once: one result for each."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from sgdsheet.compiler.calculated_references import planner_of
from sgdsheet.compiler.evaluation import evaluate
from sgdsheet.compiler.frontend.blocks import Block
from sgdsheet.compiler.program import build_program
from sgdsheet.sheet.formula import formula_text
from sgdsheet.sheet.references import Cell
from tests.sheets import HOME, book, check, value, values

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


GROWING = {
    "C": "=COUNTIF($A$1:A1,A1)",
    "D": '=COUNTIF($A$1:A1,"")',
    "E": '=COUNTIF($A$1:A1,"<>x")',
    "F": '=COUNTIFS($A$1:A1,"x",$B$1:B1,">0")',
    "G": '=SUMIF($A$1:A1,"x",$B$1:B1)',
    "H": '=SUMIFS($B$1:B1,$A$1:A1,"<>y")',
    "I": '=IFERROR(AVERAGEIF($A$1:A1,"<>x",$B$1:B1),-9)',
    "J": "=COUNTIF(A1:A$9,A1)",
    "K": '=COUNTIFS($A$1:A1,"<>",$B$1:B1,"<>")',
    "L": '=COUNTIF($A$1:A1,"<>"&A1)',
    "M": '=COUNTIFS($A$1:A1,"",$B$1:$B$9,1)',
    "N": "=SUMIF($A$1:A1,A1,$B$1)",
}


@pytest.mark.parametrize("column", GROWING)
def test_ranges_that_grow_down_a_column(column: str) -> None:
    """Filled down, they are calculated together; each comes to what it comes to alone."""
    data = {"A1:A9": ["x", None, "Y", "y", "", 1, "1", "x", True], "B1:B9": [1, 2, None, "t", -1, 3.5, 1, 4, 0]}
    together = values({**data, f"{column}1:{column}9": GROWING[column]}, f"{column}1:{column}9")
    workbook = book({**data, f"{column}1:{column}9": GROWING[column]})
    alone = [
        value("=" + formula_text(formula, row, place), data)
        for (row, place), formula in sorted(workbook.sheets[HOME].formulas.items())
    ]
    assert together == alone


def test_a_running_count_takes_time_in_proportion_to_its_cells() -> None:
    """Its copies are lowered together, in pieces that fit into memory, and not one by one."""
    rows = 6_000
    workbook = book({f"A1:A{rows}": [[float(row % 7)] for row in range(rows)], f"B1:B{rows}": "=COUNTIF($A$1:A1,A1)"})
    plan = planner_of(workbook, ()).plan_everything()
    lowered_blocks: list[Block] = []
    found = evaluate(build_program(workbook, (), plan, dtype=torch.float64, watch=lowered_blocks.append))
    assert len(lowered_blocks) <= 8
    assert [found.values[Cell(HOME, row, 2)] for row in (1, 8, rows)] == [1.0, 2.0, float((rows - 1) // 7 + 1)]
