"""Corners of Excel's language that are easily got wrong without a word, each with what Excel says.

The same whether the numbers are constants or parameters: `P` stands for numbers that may be either, `K` for data that
stay as they are.
"""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from sgdsheet.compiler.calculated_references import planner_of
from sgdsheet.compiler.evaluation import evaluate
from sgdsheet.compiler.ir.builder import Builder
from sgdsheet.compiler.ir.values import Value
from sgdsheet.compiler.program import build_program
from sgdsheet.compiler.proof import required
from sgdsheet.errors import FormulaError, ProofError
from sgdsheet.sheet.references import Cell
from sgdsheet.sheet.workbook import ExcelError
from tests.errors import refusal
from tests.fuzz import engines
from tests.sheets import HOME, book, check, compiled, lowered, value, values
from tests.training_books import model

DIV0, NA, NAME, NULL, NUM, REF, VALUE = (
    getattr(ExcelError, name) for name in ("DIV0", "NA", "NAME", "NULL", "NUM", "REF", "VALUE")
)

CELLS: dict[str, Any] = {
    "P1:P4": [1, 2, 3, 4],
    "K1:K6": [10, "text", None, True, "5", -2],
    "L1:L4": [25, 38, 40, 41],
    "M1:M4": ["b", "A", "B", "a*"],
    "N1:N4": [DIV0, NA, 3, "x"],
    "O1:O4": [3, 1, 4, 2],
    "Q1:R3": [[1, 2], [3, 4], [5, 6]],
}

CORNERS: list[tuple[str, Any]] = [
    # kinds of errors, and which of several wins
    ("=N1+N2", DIV0),
    ("=N2+N1", NA),
    ("=N2*0", NA),
    ("=SUM(N1:N3)", DIV0),
    ("=1/0", DIV0),
    ("=P1/(P1-1)", DIV0),
    ("=SQRT(-P1)", NUM),
    ("=LN(P1-1)", NUM),
    ("=ASIN(P2)", NUM),
    ("=EXP(P4*1000)", NUM),
    ("=10^(P4*100)", NUM),
    ("=K2+1", VALUE),
    ("=(P1-1)^(P1-1)", NUM),
    ("=(P1-1)^-P1", DIV0),
    ("=#REF!+1", REF),
    ("=IF(N2,1,2)", NA),
    ("=IF(P1>0,N2,N1)", NA),
    ("=IF(P1<0,N2,N1)", DIV0),
    ("=IFERROR(N1,P3)", 3),
    ("=IFNA(N2,P3)", 3),
    ("=IFNA(N1,P3)", DIV0),
    ("=IFNA(P2,N1)", 2),
    ("=ISERROR(N1)", True),
    ("=ISERROR(P1/(P1-1))", True),
    ("=ISERROR(K2)", False),
    ("=ISNA(N2)", True),
    ("=ISNA(N1)", False),
    ("=ISERR(N2)", False),
    ("=ISERR(P1)", False),
    ("=ERROR.TYPE(N2)", 7),
    ("=ERROR.TYPE(P1)", NA),
    ("=CHOOSE(9,P1)", VALUE),
    ("=SWITCH(7,1,P1)", NA),
    ("=IFS(P1>5,1)", NA),
    ("=SUM(Q1:Q3 R1:R3)", NULL),
    ("=N1&\"x\"", DIV0),
    ("=\"x\"&N2", NA),
    ("=N1=N2", DIV0),
    ("=AND(TRUE,N2)", NA),
    ("=NOT(N1)", DIV0),
    ("=AVERAGE(K2:K3)", DIV0),
    ("=COUNT(SQRT(-P1),P2)", 1),
    ("=COUNT(1/(P1:P4-1))", 0),
    ("=SUMPRODUCT(COUNT(SQRT(P1:P4-3)))", 2),
    ("=VLOOKUP(N2,Q1:R3,-1,FALSE)", NA),
    ("=VLOOKUP(N2,Q1:R3,N1,FALSE)", NA),
    ("=VLOOKUP(9,Q1:R3,N1,FALSE)", REF),
    ("=VLOOKUP(3,Q1:R3,\"two\",FALSE)", REF),
    ("=NORM.S.DIST(N1,N2)", DIV0),
    ("=NORM.DIST(P1,0,-1,N2)", NA),
    ("=VAR(P1)", DIV0),
    ("=STDEV.S(K1:K3)", DIV0),
    ("=DEVSQ(K2:K3)", NUM),
    # ROW and COLUMN of a range
    ("=SUMPRODUCT(ROW(P1:P3)*P1:P3)", 14),
    ("=SUMPRODUCT(COLUMN(Q1:R1)*Q1:R1)", 17 + 36),
    # of a range, the first cell
    ("=N(P1:P4)", 1),
    ("=SUM(N(P1:P4))", 1),
    ("=T(K1:K6)", ""),
    ("=T(K2:K6)", "text"),
    # sums over pairs
    ("=SUMXMY2(P1:P4,K1:K4)", 81),
    ("=SUMX2PY2(P1:P4,K1:K4)", 101),
    ("=SUMX2MY2(P1:P4,K1:K4)", -99),
    ("=SUMX2MY2(P1:P3,{1,2,4})", -7),
    ("=SUMX2MY2(P1:P3,{1,2})", NA),
    ("=SUMXMY2(P1:P3,{\"a\";\"b\";TRUE})", DIV0),
    ("=SUMXMY2(P1:P4,P1)", NA),
    ("=SUMX2MY2(P1:P3,{1;2;4})", -7),
    ("=SUMPRODUCT(P1:P4,P1:P3)", VALUE),
    ("=SUMPRODUCT(K2,P1)", VALUE),
    ("=SUMPRODUCT(K2:K2,P1:P1)", VALUE),
    ("=SUMPRODUCT(K1:K2,P1:P2)", 10),
    ("=RANK(P3,P1:P4)/10", 0.2),
    # whole columns and rows
    ("=ROWS(K:K)", 1048576),
    ("=COLUMNS(9:9)", 16384),
    ("=COUNTIF($Y:$Y,\"\")", 1048576),
    ("=COUNTIF(K:K,\"\")", 1048576 - 5),
    ("=COUNTIF(K:K,\"<>5\")", 1048576),
    ("=COUNTIF(K:K,\"=5\")", 1),
    ("=COUNTIF(K:K,\"<>10\")", 1048576 - 1),
    ("=COUNTIF(9:9,\"\")", 16384),
    ("=SUM(P:P)", 10),
    ("=AVERAGE(P:P)", 2.5),
    ("=SUMPRODUCT(P:P*P:P)", 30),
    ("=SUMPRODUCT((M:M=\"b\")*P:P)", 4),
    ("=SUMPRODUCT((M:M=M1)*P:P)", 4),
    ("=SUMPRODUCT((M:M=M1)*1)", 2),
    ("=SUMPRODUCT((Y:Y=Y1)*1)", 1048576),
    ("=SUMPRODUCT(P:P*P2)", 20),
    ("=SUMPRODUCT(P:P,P:P)", 30),
    ("=SUMPRODUCT((P:P<3)*1)", 1048574),
    ("=SUMIF(M:M,\"b\",P:P)", 4),
    ("=MATCH(3,O:O,0)", 1),
    ("=INDEX(P:P,3)", 3),
    ("=INDEX(P:P,1000)", 0),
    ("=SUM(MMULT(TRANSPOSE(K1:K2),P1:P2))", VALUE),
    # the corners of a range in any order, and ranges of ranges
    ("=INDEX(R3:Q1,2,1)", 3),
    ("=INDEX(Q3:R$1,2,1)", 3),
    ("=ROWS(Q3:R$1)", 3),
    ("=COLUMNS(R1:$Q2)", 2),
    ("=ROW(Q3:R$2)", 2),
    ("=SUM(Q1:R2:Q3)", 21),
    ("=SUM(Q3:Q1:R2)", 21),
    ("=SUM(R3:Q2 Q1:Q2)", 3),
    # looking things up
    ("=MATCH(40,L1:L4,-1)", NA),
    ("=MATCH(39,L1:L4,1)", 2),
    ("=MATCH(24,L1:L4,1)", NA),
    ("=MATCH(3,{3;1;4;2},1)", 2),
    ("=MATCH(2,{4;3;2;1},-1)", 3),
    ("=MATCH(2.5,{4;3;2;1},-1)", 2),
    ("=MATCH(1.625,{100;4.5;4.25;3;3;1.75;1;0.001;-1;-3.554;-4;-5},1)", NA),
    ("=MATCH(\"a~*\",M1:M4,0)", 4),
    ("=MATCH(\"?\",M1:M4,0)", 1),
    # ~ is never looked for itself, whatever comes after it
    ("=MATCH(\"~t\",{\"~t\";\"t\"},0)", 2),
    ("=IFERROR(VLOOKUP(\"a~b\",{\"a~b\",1},2,FALSE),0)", 0),
    ("=VLOOKUP(\"a~~b\",{\"a~b\",1},2,FALSE)", 1),
    ("=XLOOKUP(\"~t\",{\"~t\";\"t\"},{1;2},0,2)", 2),
    ("=XLOOKUP(\"~t\",{\"~t\";\"t\"},{1;2})", 1),
    ("=SEARCH(\"~t\",\"a~tt\")", 3),
    ("=MATCH(\"a\",M1:M4,0)", 2),
    ("=MATCH(TRUE,K1:K4,0)", 4),
    ("=MATCH(N1,L1:L4,0)", DIV0),
    ("=MATCH(99,L1:L4,0)", NA),
    ("=MATCH(0.3,{0.1;0.2;0.30000000000000004},0)", NA),
    ("=VLOOKUP(N2,Q1:R3,2,FALSE)", NA),
    ("=VLOOKUP(3,Q1:R3,3,FALSE)", REF),
    ("=VLOOKUP(3,Q1:R3,0,FALSE)", VALUE),
    ("=VLOOKUP(4,Q1:R3,2)", 4),
    ("=VLOOKUP(4,Q1:R3,2,FALSE)", NA),
    ("=VLOOKUP(4,Q1:R3,2,\"false\")", NA),
    ("=VLOOKUP(4,Q1:R3,2,\"true\")", 4),
    ("=NORM.S.DIST(P1*0,\"TRUE\")", 0.5),
    ("=NORM.S.DIST(P1,\"1\")", VALUE),
    ("=VLOOKUP(3,{1,7;3,8},2,FALSE)", 8),
    ("=HLOOKUP(2,Q1:R3,3,FALSE)", 6),
    ("=HLOOKUP(2,Q1:R3,4,FALSE)", REF),
    ("=INDEX(Q1:R3,4,1)", REF),
    ("=INDEX(Q1:R3,-1,1)", VALUE),
    ('=ADDRESS(2,3,,,"data")', "data!$C$2"),
    ("=ADDRESS(2,3,6,FALSE)", "R2C[3]"),
    ('=MODE(1,"1",2,2)', VALUE),
    ('=MODE({1,"1",2,2})', 2),
    ("=MODE(K2,2,2)", VALUE),
    ("=F.INV.RT(1E-100,1,1)/4.0528473456935109E+199", 1),
    ("=F.DIST.RT(F.INV.RT(1E-30,3,7),3,7)*1E+30", 1),
    ("=LARGE(P1:P4,0.99)", NUM),
    ("=LARGE(P1:P4,1.0000000001)", 3),
    ("=LARGE(P1:P4,1.9999999999)", 3),
    ("=LARGE(P1:P4,3.5)", 1),
    ("=LARGE(P1:P4,4.5)", NUM),
    ("=CHISQ.TEST(Y1:Y2,Q1:Q2)", DIV0),
    ("=INDEX(Q1:R3,1)", REF),
    ("=INDEX(Q1:R3,-1)", VALUE),
    ("=SUM(INDEX(Q1:R3,2))", REF),
    ("=SUM(INDEX({1,2;3,4},2))", 7),
    # what Excel finds in cells that are not in order: bisection passes over other kinds, and stops at the key
    ("=MATCH(5,{2;3;5;2;4;6;3;2;5;1},1)", 9),
    ('=MATCH(3,{1;"x";5;2},1)', 1),
    ('=LOOKUP(4,{1;"x";4;"y";9},{1;2;3;4;5})', 3),
    ("=MATCH(7,{7;7;7;9;7;7},1)", 3),
    ("=MATCH(0,{2;3;5;2;4;6;3;2;5;1},-1)", 10),
    ('=MATCH("green",{"black";"red";"green";"yellow"},-1)', NA),
    ('=MATCH("black",{"black";"red";"green";"yellow"},-1)', 1),
    ("=MATCH(5,{7;5;5;3},-1)", 2),
    ("=MATCH(5,{7;5;5;3},1)", 3),
    ("=MATCH(P3,{7;5;3;3;1},-1)", 3),
    ("=MATCH(P4,{7;5;3;3;1},-1)", 2),
    ("=INDEX(Q1:R3,1/0,9)", DIV0),
    ("=SUM(INDEX(Q1:R3,0,2))", 12),
    ("=SUM(INDEX(Q1:R3,2,0))", 7),
    ("=SUM(INDEX(Q1:R3,,1))", 9),
    ("=XLOOKUP(99,L1:L4,P1:P4)", NA),
    ("=XLOOKUP(99,L1:L4,P1:P4,7)", 7),
    ("=XLOOKUP(99,L1:L4,P1:P4,)", NA),
    ("=XLOOKUP(39,L1:L4,P1:P4,,-1)", 2),
    ("=XLOOKUP(39,L1:L4,P1:P4,,1)", 3),
    ("=XLOOKUP(39,L1:L4,P1:P4,0,0)", 0),
    ("=XLOOKUP(\"a*\",M1:M4,P1:P4,,0)", 4),
    ("=XLOOKUP(\"a?\",M1:M4,P1:P4,,2)", 4),
    ("=XLOOKUP(\"b\",M1:M4,P1:P4,,0,-1)", 3),
    ("=XLOOKUP(N2,L1:L4,P1:P4,7)", NA),
    ("=XLOOKUP(38,L1:L4,P1:P3)", VALUE),
    # domains
    ("=NORM.DIST(P1,0,-1,TRUE)", NUM),
    ("=NORM.DIST(P1,0,P1-1,FALSE)", NUM),
    ("=GAMMALN(-P1/2)", NUM),
    ("=GAMMALN(P1-1)", NUM),
    ("=NORM.S.DIST(P1,N2)", NA),
    ("=NORM.DIST(P1,0,1,N1)", DIV0),
    ("=CHOOSE(TRUE,P3)", 3),
    ("=ATAN2(P1-1,P1-1)", DIV0),
    ("=ATAN2(P1,P1-1)", 0),
    ("=ATAN2(-P1,P1-1)", math.pi),
    # matrices
    ("=SUM(MMULT(Q1:R2,P1:P2))", 16),
    ("=SUM(MMULT(Q1:R2,K1:K2))", VALUE),
    ("=SUM(MMULT(Q1:R2,K3:K4))", VALUE),
    ("=SUM(MMULT(Q1:R2,P1:P3))", VALUE),
    # conditions
    ("=IF(\"1\",P1,P2)", VALUE),
    ("=IF(\"true\",P1,P2)", 1),
    ("=IF(K2,P1,P2)", VALUE),
    ("=IF(K3,P1,P2)", 2),
    ("=AND(K2:K3)", VALUE),
    ("=OR(M1:M4)", VALUE),
    ("=XOR(K2:K3)", VALUE),
    ("=AND(K1:K4)*P1", 1),
    ("=AND(\"x\",TRUE)", VALUE),
    ("=AND(\"TRUE\",P1)*1", 1),
    ("=NOT(\"false\")*P1", 1),
    ("=NOT(\"0\")", VALUE),
    # criteria
    ("=COUNTIF(N1:N4,\"#N/A\")", 1),
    ("=COUNTIF(N1:N4,\"<>#N/A\")", 3),
    ("=COUNTIF(K1:K6,\">\")", 0),
    ("=COUNTIF(K1:K6,N2)", 0),
    ("=COUNTIF(N1:N4,N2)", 1),
    ("=SUMIF(N1:N4,1/0,P1:P4)", 1),
    ("=SUMIFS(P1:P4,N1:N4,SQRT(-1))", 0),
    ("=AVERAGEIF(N1:N4,NA(),P1:P4)", 2),
    ("=SUMIFS(P1:P4,P1:P3,1)", VALUE),
    ("=COUNTIFS(P1:P4,1,K1:K2,10)", VALUE),
    ("=SUMIF(M1:M4,\"B\",P1:P4)", 4),
    # texts
    ("=M1&M3", "bB"),
    ("=1/3&\"\"", "0.333333333333333"),
    ("=1E+20&\"\"", "1E+20"),
    ("=123456789012&\"\"", "123456789012"),
    ("=0/(-2)&\"\"", "0"),
    ("=\"1,000\"+P1", 1001),
    ("=\"(5)\"+P1", -4),
    ("=\"50%\"*P2", 1),
    ("=\"1_000\"+P1", VALUE),
    ("=\"1e400\"+P1", VALUE),
    ("=SUM({\"5\"})", 0),
    ("=AVERAGE({\"1e3\"})", DIV0),
    # an array stays one where all of it is the same
    ("=SUMPRODUCT(EXP(P1:P4)^0)", 4),
    ("=SUMPRODUCT((P1:P4<\"x\")*P1:P4)", 10),
    ("=SUMPRODUCT(ISNA(P1:P4)+1)", 4),
    ("=COLUMNS(P1/0)", DIV0),
    ("=ROWS(P1:P4/0)", 4),
    ("=ROWS({#N/A})", 1),
    ("=ROWS(#N/A)", NA),
    ("=MIN(K2:K4,M1)", 0),
    ("=MAX(K2:K4)", 0),
    # numbers
    ("=(0.1+0.2=0.3)*P1", 1),
    ("=(1=1.0000000001)*P1", 0),
    ("=INT(LOG(1000*P1,10))", 3),
    ("=POWER(-0.9,-P2)", (-0.9) ** -2),
    ("=POWER(-0.9,P3)", (-0.9) ** 3),
    ("=POWER(1/0,P1-1)", DIV0),
    ("=1^(1/(P1-1))", DIV0),
]  # fmt: skip


@pytest.mark.parametrize("params", [(), ("P1:P4",)], ids=["constants", "parameters"])
@pytest.mark.parametrize(("formula", "expected"), CORNERS)
def test_corner(formula: str, expected: Any, params: tuple[str, ...]) -> None:
    found = value(formula, CELLS, params=params)
    if isinstance(expected, (int, float)) and not isinstance(expected, bool):
        assert found == pytest.approx(expected, rel=1e-12, abs=1e-12)
    else:
        assert found == expected


def test_a_kind_survives_a_column_of_formulas() -> None:
    """Through blocks, lookups and sums, whether a parameter is on the way or not."""
    cells = {
        "A1:A4": [0, 1, -1, 2],
        "B1:B4": "=1/A1", "C1:C4": "=SQRT(A1)", "D1:D4": "=B1+C1", "E1:E4": "=C1+B1", "F1:F4": '=IF(A1>5,A1,"x"+B1)',
        "G1": "=MAX(B1:B4)", "H1:H4": "=IFERROR(D1,-1)",
    }  # fmt: skip
    for params in ((), ("A1:A4",)):
        assert values(cells, "D1:D4", params=params) == [DIV0, 2, NUM, pytest.approx(0.5 + math.sqrt(2))]
        assert values(cells, "E1:E4", params=params)[:3] == [DIV0, 2, NUM]
        assert values(cells, "G1", params=params) == [DIV0]
        assert values(cells, "H1:H4", params=params)[:3] == [-1, 2, -1]


ARRAYS: list[tuple[dict[str, Any], str, list[Any]]] = [
    # side by side: each copy has its own column of results
    ({"C5:C8": "{=$B5:$B8*C3*$J$1}", "D5:D8": "{=$B5:$B8*D3*$J$1}", "E5:E8": "{=$B5:$B8*E3*$J$1}"}, "C5:E8",
     [b * c * 10 for b in (1, 2, 3, 4) for c in (1, 2, 3)]),
    # one below the other, rows of results
    ({"D11:F11": "{=$B$5:$D$5*$J1}", "D12:F12": "{=$B$5:$D$5*$J2}"}, "D11:F12", None),
    ({"F5:F8": "{=ROW(B5:B8)}", "G5:G8": "{=ROW(C5:C8)}"}, "F5:G8", [5, 5, 6, 6, 7, 7, 8, 8]),
    ({"F5:G5": "{=COLUMN(B5:C5)}", "F6:G6": "{=COLUMN(B6:C6)}"}, "F5:G6", [2, 3, 2, 3]),
    ({"F5:F8": "{=INDEX($B$5:$C$8,0,1)}", "G5:G8": "{=INDEX($B$5:$C$8,0,2)}"}, "F5:G8", [1, 5, 2, 6, 3, 7, 4, 8]),
    ({"F5:G5": "{=INDEX($B$5:$C$8,2,0)}", "F6:G6": "{=INDEX($B$5:$C$8,3,0)}"}, "F5:G6", [2, 6, 3, 7]),
    ({"F5:F6": "{=VARP(B$5:B$8)*{1;2}}", "G5:G6": "{=VARP(C$5:C$8)*{1;2}}"}, "F5:G6", [1.25, 1.25, 2.5, 2.5]),
    ({"F5:F8": "{=MATCH(B5:B8,{4;3;2;1},0)}"}, "F5:F8", [4, 3, 2, 1]),
    ({"F5:F8": "{=ABS(B5:B8-2.5)}", "G5:G8": "{=ABS(C5:C8-2.5)}"}, "F5:G8", [1.5, 2.5, 0.5, 3.5, 0.5, 4.5, 1.5, 5.5]),
]  # fmt: skip


@pytest.mark.parametrize("params", [(), ("B5:C8",)], ids=["constants", "parameters"])
@pytest.mark.parametrize(("formulas", "area", "expected"), ARRAYS)
def test_array_formulas_side_by_side(
    formulas: dict[str, Any], area: str, expected: list[Any] | None, params: tuple[str, ...]
) -> None:
    cells = {"B5:C8": [[1, 5], [2, 6], [3, 7], [4, 8]], "C3": 1, "D3": 2, "E3": 3, "J1": 10, "J2": 20, **formulas}
    if expected is None:
        cells["D5"] = 9.0
        expected = [10, 50, 90, 20, 100, 180]
    assert values(cells, area, params=params) == pytest.approx(expected)


def test_growing_ranges_that_have_to_fit() -> None:
    """Lengthened by blanks, the first copies would fit where they do not."""
    cells = {
        "A1:A3": [1, 2, 3], "B1:B3": [4, 5, 6],
        "C1:C3": "=SUMPRODUCT($A$1:A1,$B$1:$B$3)", "D1:D3": "=SUMXMY2($A$1:A1,$B$1:$B$3)",
        "E1:E3": "=SUMPRODUCT($A$1:A1,$B$1:B1)", "F1:F3": "=SUMX2PY2($A$1:A1,$B$1:B1)", "G1:G3": "=MIN($A$3:A3,B1)",
    }  # fmt: skip
    for params in ((), ("A1:B3",)):
        assert values(cells, "C1:C3", params=params) == [VALUE, VALUE, 32]
        assert values(cells, "D1:D3", params=params) == [NA, NA, 27]
        assert values(cells, "E1:E3", params=params) == [4, 14, 32]
        assert values(cells, "F1:F3", params=params) == [17, 46, 91]


@pytest.mark.parametrize(
    ("formula", "expected"),
    [
        ("=SUM(A1:A$3)", [6, 5, 3, 7, 12]),
        ("=ROWS(A$3:A1)", [3, 2, 1, 2, 3]),
        ("=SUMPRODUCT(A1:A$3*2)", [12, 10, 6, 14, 24]),
        ('=SUMIF(A1:A$3,">0",B1)', [60, 50, 30, 90, 110]),
        ("=INDEX(A1:A$3,1)", [1, 2, 3, 3, 3]),
        ("=ROW(A1:A$3)", [1, 2, 3, 3, 3]),
    ],
)
def test_ranges_whose_ends_cross(formula: str, expected: list[float]) -> None:
    """Of A1:A$3 filled down the fourth copy reads A3:A4; filled across it is the same with columns."""
    cells = {"A1:A6": [1, 2, 3, 4, 5, 6], "B1:B6": [10, 20, 30, 40, 50, 60], "D1:D5": formula}
    across = formula.replace("A1:A$3", "A1:$C1").replace("A$3:A1", "$C1:A1").replace("B1", "A2")
    across = across.replace("ROWS", "COLUMNS").replace("ROW(", "COLUMN(")
    other = {"A1:F1": [[1, 2, 3, 4, 5, 6]], "A2:F2": [[10, 20, 30, 40, 50, 60]], "A4:E4": across}
    for params in ((), ("A1:A6",)):
        assert values(cells, "D1:D5", params=params) == expected
    for params in ((), ("A1:F1",)):
        assert values(other, "A4:E4", params=params) == expected


def test_windows_filled_across() -> None:
    """A range where one value fits, filled across: each copy takes the cell of its own column."""
    cells = {"K7:N7": [[-1, 2, -3, 4]], "O7:Q7": [[-5, 6, -7]], "K8:N8": "=ABS(K7:N7)", "Z1": "=SUM(K8:N8)"}
    assert values(cells, "K8:N8", params=("K7:N7",)) == [1, 2, 3, 4]
    check(cells, "K7:N7", 10)


@pytest.mark.parametrize(
    ("formula", "cause"),
    [
        ('="1/2/2024"+1', "may be a date"),
        ('="25:30"*2', "may be a date"),
        ('="Jan 5"+1', "may be a date"),
        ("=(-8)^(1/3)", "odd root"),
        ('="über">"z"', "alphabetical order"),
        ("=XLOOKUP(K3,L1:L4,P1:P4)", "blank"),
        ("=XLOOKUP(3,O1:O4,P1:P4,,0,2)", "not supported"),
        ('=MATCH(3,{1;"x";5;2},-1)', "not sorted"),
        ("=0.00001&P1", "very small"),
        ("=ROUNDUP(P1,-999996)", "more digits"),
        ('=VLOOKUP(4,Q1:R3,2,"1")', "no single number"),
        ("=SUMPRODUCT(INDEX(Q1:Q3,{0;0},1))", "0 here and there"),
        ("=SUMPRODUCT(INDEX(Q1:R3,{0,0},1))", "0 here and there"),
    ],
)
def test_what_is_not_certain_is_refused(formula: str, cause: str) -> None:
    """A refusal that names the cell is no defect; a guess would be one."""
    with refusal(FormulaError, cell="Sheet1!Z1", cause=cause):
        value(formula, CELLS)


def test_texts_keep_their_case() -> None:
    cells = {"A1:A3": ["b", "B", "b"], "C1:C3": "=A1", "D1": '=IF(P1>0,"yes","YES")', "P1": -1, "E1": '=D1="Yes"'}
    for params in ((), ("P1",)):
        assert values(cells, "C1:C3", "D1", "E1", params=params) == ["b", "B", "b", "YES", True]


def test_a_boolean_or_a_number() -> None:
    """Which of the two it is may depend on a parameter: the cell holds TRUE then, and not 1."""
    cells = {"A1:A2": [1, -1], "B1:B2": "=IF(A1>0,TRUE,5)", "C1:C2": "=IFERROR(SQRT(A1),ISNA(A1))", "D1:D2": "=B1+1"}
    for params in ((), ("A1:A2",)):
        found = values(cells, "B1:B2", "C1:C2", "D1:D2", params=params)
        assert [(type(item), item) for item in found] == [
            *[(bool, True), (float, 5.0), (float, 1.0), (bool, False), (float, 2.0), (float, 6.0)]
        ]


def test_an_error_in_one_copy_says_nothing_of_the_others() -> None:
    cells = {"D1": True, "D2": "x", "D3": -6.0, "E1:E3": "=NORM.DIST(3.375,0.5,6,D1)"}
    with refusal(FormulaError, cell="Sheet1!E1", cause="cumulative"):
        values(cells, "E1:E3")
    assert [value(f"=NORM.DIST(3.375,0.5,6,D{row})", cells) for row in (1, 2, 3)] == [
        *(pytest.approx(0.68408996714767), VALUE, pytest.approx(0.68408996714767))
    ]


def test_beyond_all_numbers() -> None:
    """What is too large is an error, also where a program's infinity would come back to a number."""
    cells = {"A1": 1e200, "B1": "=A1*A1", "C1": "=1/B1", "D1": "=IFERROR(C1,5)"}
    for params in ((), ("A1",)):
        assert values(cells, "B1", "C1", "D1", params=params) == [NUM, NUM, 5]


def test_a_gradient_past_an_error_of_a_kind() -> None:
    """An IFERROR that hides an error hides its gradient, too."""
    cells = {"A1": 0.0, "A2": 2.0, "B1:B2": "=IFERROR(LN(A1)+1/A1,A1*3)", "Z1": "=SUM(B1:B2)"}
    model = check({**cells, "A1": -1.0}, "A1:A2", -3 + math.log(2) + 0.5)
    assert list(model.gradients().values()) == [3, 0.5 - 0.25]


@pytest.mark.parametrize(
    ("formula", "expected"),
    [
        ("=SMALL(A1:A3,B1)", VALUE),
        ("{=IFERROR(SMALL(A1:A3,B1),99)}", 99.0),
        ("{=SUM(IFERROR(LARGE(A1:A3,B1:B2),0))}", 5.0),
        ("{=SUM(IFERROR(FORECAST(B1:B2,A1:A3,A1:A3),0))}", 2.0),
        ("=PERCENTILE(A1:A3,B1)", VALUE),
        ("=RANK(B1,A1:A3)", VALUE),
        ('=SMALL(A1:A3,"2")', 5.0),
        ("=INDEX(TEXTSPLIT(B1,C1:C2),1)", NA),
    ],
)
def test_text_where_a_number_is_wanted_beside_a_range(formula: str, expected: object) -> None:
    cells = {"A1:A3": [[1.0], [5.0], [9.0]], "B1": "x", "B2": 2.0, "C1": ",", "C2": ExcelError.NA}
    assert value(formula, cells) == expected


# --- what an IF chooses while the program runs ------------------------------------------------------------

CHOSEN = {
    "A1": 1.0,
    "B1:B3": [[0.5], [2.0], [3.0]],
    "C1:C3": [[10.0], [20.0], [40.0]],
    "F1:F3": "=IF(B1>$A$1,C1)",
    "G1:G3": "=IF(B1>$A$1,C1,E1)",
}
LEFT_OUT: dict[str, float] = {
    "{=AVERAGE(IF(B1:B3>A1,C1:C3))}": 30,
    "{=AVERAGE(IF(B1:B3>A1,C1:C3,E1:E3))}": 30,
    "{=AVERAGE(IF(B1:B3>A1,IF(C1:C3<30*A1,C1:C3)))}": 20,
    "{=COUNT(IF(B1:B3>A1,C1:C3))}": 2,
    "{=MIN(IF(B1:B3>A1,C1:C3))}": 20,
    "{=MAX(IF(B1:B3>A1,-C1:C3))}": -20,
    "{=MAX(IF(B1:B3>9*A1,-C1:C3))}": 0,
    "{=PRODUCT(IF(B1:B3>A1,C1:C3))}": 800,
    "{=STDEV(IF(B1:B3>A1,C1:C3))}": 200**0.5,
    "{=DEVSQ(IF(B1:B3>A1,C1:C3))}": 200,
    "{=SUM(IF(B1:B3>A1,C1:C3))}": 60,
    "{=SUM(IF(B1:B3>A1,C1:C3,TRUE))}": 60,
    "{=SUMSQ(IF(B1:B3>A1,C1:C3,E1:E3))}": 2000,
    "=SUMPRODUCT(IF(B1:B3>A1,C1:C3,TRUE),C1:C3)": 2000,
    "=AVERAGE(F1:F3)": 30,
    "=AVERAGE(G1:G3)": 20,  # what a formula reads from a blank cell is 0 in its own
    "=COUNT(F1:F3)": 2,
    "=SUM(F1:F3)+F1": 60,
    "=COUNTA(F1:F3)": 3,
    "=F2+G1+AND(F1:F3)": 20,
}


@pytest.mark.parametrize("formula", LEFT_OUT)
def test_what_is_no_number_is_left_out_while_the_program_runs(formula: str) -> None:
    """Whether a cell holds a number, FALSE or nothing depends on a parameter: the program asks each time."""
    workbook = book({**CHOSEN, "Z1": formula})
    program = lowered(workbook, ["A1"], "Z1")
    result = program.results[-1][1].data
    found = float(result if isinstance(result, torch.Tensor) else program.module(result)())
    assert found == pytest.approx(LEFT_OUT[formula], rel=1e-12)
    assert value(formula, CHOSEN) == pytest.approx(LEFT_OUT[formula], rel=1e-12)


@pytest.mark.parametrize(
    "formula",
    [
        "=AVERAGE(F1:F2)+F3",
        "=MEDIAN(F1:F3)",
        "=IF(F1>100,1,2)",
        "=SUMIF(F1:F3,0)",
        "=COUNTA(IF(A1>0,E1,1))",
        "=SUM(IF(A1>0,TRUE,5),2)",
        "=SUMXMY2(F1:F3,C1:C3)",
        "=SUM(MMULT(TRANSPOSE(F1:F3),C1:C3))",
    ],
)
def test_where_nobody_knows_it_is_refused(formula: str) -> None:
    with pytest.raises(FormulaError):
        value(formula, CHOSEN, params=["A1"])


def test_the_proof_looks_at_the_program_itself(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Were the program to take FALSE for 0, it would be refused, although its cells come out right one by one."""

    def forgetful(self: Builder, value: Value, kinds: torch.Tensor, axes: str, sizes: tuple[int, ...]) -> torch.Tensor:
        self.unsure = True
        return torch.zeros(sizes, dtype=torch.uint8)

    cells = {**CHOSEN, "Z1": "{=A1+AVERAGE(IF(B1:B3>A1,C1:C3))}"}
    required(model(tmp_path, cells, {"sgd_params": "A1", "sgd_loss": "Z1"}))
    monkeypatch.setattr(Builder, "_unsettled", forgetful)
    with pytest.raises(ProofError) as refused:
        required(model(tmp_path, cells, {"sgd_params": "A1", "sgd_loss": "Z1"}), trust=True)
    assert refused.value.cell is not None
    assert refused.value.cell.endswith("Z1")


@pytest.mark.parametrize("formula", ["=SQRTPI(LN(A1))", "=SQRTPI(B1+LOGNORMDIST(A1,2,-6))", "=ERF.PRECISE(LN(A1))"])
def test_errors_go_through_formulas_of_torch_operations(formula: str) -> None:
    """A comparison with an error is false, and another branch would be taken."""
    cells = {"A1": 0.0, "B1": 0.0}
    assert value(formula, cells) is value(formula, cells, params=["A1"]) is ExcelError.NUM
    program = lowered(book({**cells, "Z1": formula}), ["A1"], "Z1")
    result = program.results[-1][1].data
    assert not isinstance(result, torch.Tensor)
    assert math.isnan(float(program.module(result)().detach()))


@pytest.mark.parametrize(
    ("formula", "expected"),
    [
        ("=SUM(TREND(A1:A3))", [-5.0, VALUE, VALUE]),
        ("=SUM(LINEST(A1:A3))", [0.5 - 8 / 3, VALUE, VALUE]),
        ("=MDETERM(A1:B2)", [-2.0, 0.0, VALUE]),
        ("=INDEX(MINVERSE(A1:B2),1,1)", [-1.0, NUM, VALUE]),
    ],
)
def test_an_error_in_one_copy_says_nothing_of_the_other_copies(formula: str, expected: list[Any]) -> None:
    """Of formulas that were filled down, each has a result of its own; together they are refused."""
    cells = {"A1:B5": [[-2.0, 1.0], [-2.0, 2.0], [-1.0, 1.0], ["x", 0.0], [1.0, 1.0]], "D1:D3": formula}
    with refusal(FormulaError, cell="Sheet1!D1", cause="in some of its copies only"):
        values(cells, "D1:D3")
    alone = engines.ours(book(cells), HOME)[0]
    for row, wanted in enumerate(expected, 1):
        found = alone[Cell(HOME, row, 4)]
        assert found is wanted if isinstance(wanted, ExcelError) else found == pytest.approx(wanted, abs=1e-12)


def test_iso_weeks_by_excels_own_weekdays() -> None:
    """Excel counts a 29 February 1900, so that its weekdays before are one off: its 1 January is a Sunday."""
    found = [value(f"=ISOWEEKNUM({day})") for day in (1, 2, 8, 9, 60, 61)]
    assert found == [52.0, 1.0, 1.0, 2.0, 9.0, 9.0]
    with refusal(FormulaError, cell="Sheet1!Z1", cause="before 1900"):
        value("=ISOWEEKNUM(A1)", {"B1": 1.0})


@pytest.mark.parametrize(
    ("formula", "expected"),
    [
        # a text that is a number is formatted like one
        ('=TEXT("7","000")', "007"),
        ('=TEXT(MID("AB20240229X",3,8),"0000-00-00")', "2024-02-29"),
        ('=TEXT("2024-02-29","d mmm yyyy")', "29 Feb 2024"),
        ('=TEXT("7","@")', "7"),
        ('=TEXT("seven","000")', "seven"),
        ('=TEXT("50%","0.00")', "0.50"),
        ('=TEXT(2.5,"0.0x")', "2.5x"),
        ('=TEXT(36.6,"0.0°")', "36.6°"),
        ('=TEXT(12345,"##0.0E+0")', "12.3E+3"),
        ('=TEXT(DATE(2024,2,29),"d.m.yyyy")', "29.2.2024"),
        ('=TEXT(DATE(2024,2,29),"[$-409]mmmm d, yyyy")', "February 29, 2024"),
        ('=TEXT(1234.5,"[$€-2] #,##0.00")', "€ 1,234.50"),
        ('=TEXT(15,"[<10]""few"";[<20]""some"";""many""")', "some"),
        ('=TEXT(0.375,"# ?/8")', " 3/8"),
        ('=TEXT(-2.25,"# ??/??")', "-2  1/4 "),
        ('=TEXT(2,"# ?/?")', "2    "),
        ('=TEXT(0.123456,"h:mm:ss.000")', "2:57:46.598"),
        ('=TEXT(0.12346,"h:mm:ss")', "2:57:47"),
        ('=TEXT(5,"General"" kg""")', "5 kg"),
        # times are taken to the nearest second
        ("=SECOND(0.4006770834)", 59.0),
        ("=MINUTE(TIME(0,59,59)+0.7/86400)", 0.0),
        ("=HOUR(TIME(0,59,59)+0.7/86400)", 1.0),
        ('=TIMEVALUE("22-Aug-2011 6:35 AM")', 395 / 1440),
        ('=DATEVALUE("2011-08-22 18:35")', 40777.0),
        # holidays may be texts
        ('=NETWORKDAYS(DATE(2006,1,1),DATE(2006,1,31),{"2006-01-02","2006-01-16"})', 20.0),
        ('=WORKDAY(DATE(2006,1,1),1,"2 Jan 2006")', 38720.0),
        ('=WORKDAY(DATE(2006,1,1),1,"soon")', VALUE),
        # as many digits as are asked for
        ("=FIXED(10001,36)", "10,001." + 36 * "0"),
        ("=FIXED(1234567,-400)", "0"),
    ],
)
def test_texts_and_times(formula: str, expected: Any) -> None:
    found = value(formula)
    assert found == (pytest.approx(expected, abs=1e-12) if isinstance(expected, float) else expected)


@pytest.mark.parametrize(
    ("formula", "cause"),
    [
        ('=TEXT(1,"[$-407]mmmm")', "number format"),
        ('=TEXT(1,"* 0")', "number format"),
        ('=TEXT(-1,"[<5]0;0.0")', "number format"),
        ('=TEXT("1/2/2024","0")', "may be a date"),
        ('=DATEVALUE("5-Jul")', "without its year"),
    ],
)
def test_what_depends_on_the_country_is_refused(formula: str, cause: str) -> None:
    with refusal(FormulaError, cell="Sheet1!Z1", cause=cause):
        value(formula)


def test_a_fault_of_ours_costs_one_formula(monkeypatch: pytest.MonkeyPatch) -> None:
    """The other cells are calculated, and no traceback is read."""

    def broken(*_: object) -> None:
        raise IndexError("list index out of range")

    monkeypatch.setattr("sgdsheet.compiler.functions.text.rounded_text", broken)
    workbook = book({"A1": "=FIXED(1,2)", "A2": "=1+1", "A3": "=A1&1"})
    plan = planner_of(workbook, ()).plan_everything()
    found = evaluate(build_program(workbook, (), plan, dtype=torch.float64, strict=False))
    assert found.values == {Cell(HOME, 2, 1): 2.0}
    assert {str(error.cell): "a fault of sgdsheet (IndexError)" in error.cause for _, error in found.failures} == {
        "Sheet1!A1": True,
        "Sheet1!A3": False,
    }


@pytest.mark.parametrize(
    ("formula", "expected"),
    [
        ("=DATE(1904,1,2)", 1.0),
        ("=DATE(1903,12,31)", NUM),
        ("=DATE(4,1,2)", 1.0),
        ("=YEAR(43830)", 2024.0),
        ("=YEAR(A1)", 1904.0),
        ("=YEAR(-1)", NUM),
        ("=MONTH(43889)", 2.0),
        ("=DAY(43889)", 29.0),
        ("=WEEKDAY(43889)", 5.0),
        ("=EOMONTH(43889,0)", 43889.0),
        ("=EDATE(43889,12)", 44254.0),
        ("=WORKDAY(43889,1,43890)", 43893.0),
        ("=NETWORKDAYS(43885,43889,{43885;43886})", 3.0),
        ("=DAYS(43889,43830)", 59.0),
        ('=DATEDIF(0,43889,"y")', 120.0),
        ("=YEARFRAC(43830,43889)", 58 / 360),
        ("=HOUR(43889.75)", 18.0),
        ('=DATEVALUE("2024-02-29")', 43889.0),
        ('=TEXT(43889,"yyyy-mm-dd")', "2024-02-29"),
        ('=TEXT(43889,"0")', "43889"),
        ('=TEXT(-1,"yyyy")', VALUE),
        ('=VALUE("12")', 12.0),
    ],
)
def test_a_workbook_that_counts_from_1904(formula: str, expected: Any) -> None:
    made = replace(book({"Z1": formula}), date1904=True)
    found = evaluate(lowered(made, (), "Z1")).values[Cell(HOME, 1, 26)]
    assert found == (pytest.approx(expected) if isinstance(expected, float) else expected)


@pytest.mark.parametrize(
    ("formula", "expected"),
    [
        ("=LOOKUP(9.99E+307,A1:A7)", 3.0),
        ("=MATCH(1E+306,A:A)", 6.0),
        ('=LOOKUP("zzz",A1:A7)', "m"),
        ('=MATCH("zzz",A1:A7,1)', 7.0),
        ("=MATCH(-1E+306,A1:A7,-1)", 6.0),
        ("=INDEX(A:A,MATCH(9.99E+307,A:A))", 3.0),
    ],
)
def test_the_last_of_a_column(formula: str, expected: Any) -> None:
    """Where no cell is beyond the key, its order does not matter: how people ask for the last number or text."""
    assert value(formula, {"A1:A7": [7, "z", 1, None, True, 3, "m"]}) == expected


def test_all_sheets_are_counted() -> None:
    assert value("=SHEETS()", {"Other!A1": 1}) == 2.0


@pytest.mark.parametrize(
    "formula",
    [
        *('COUNTIF({0},"x")', "SUMIF({0},1,A1:A3)", "SUMIF(A1:A3,1,{0})", "SUMIFS({0},A1:A3,1)", "SUMIFS(A1:A3,{0},1)"),
        *("COUNTIFS(A1:A3,1,{0},2)", "AVERAGEIF({0},1)", "COUNTBLANK({0})", "SUBTOTAL(9,{0})", "AGGREGATE(9,6,{0})"),
        *("VLOOKUP(1,{0},2,0)", "HLOOKUP(1,{0},1)", "MATCH(1,{0},0)", "LOOKUP(1,{0})", "XLOOKUP(1,{0},A1:A3)"),
        *("INDEX({0},1)", "OFFSET({0},1,1)", "ROW({0})", "COLUMNS({0})", "DSUM({0},1,A1:A3)", "SUMPRODUCT({0},A1:A3)"),
        *("CORREL({0},A1:A3)", "SLOPE(A1:A3,{0})", "LINEST({0},A1:A3)", "MMULT({0},A1:A3)", "XNPV(0.1,{0},A1:A3)"),
        *("SUMXMY2({0},A1:A3)", "MAXIFS({0},A1:A3,1)", "A1:{0}", "SUM(A1:{0})", "AREAS({0})", "RANK(1,{0})"),
        *("VLOOKUP(1,{0},2,FALSE)+1", "IF(COUNTIF({0},1)>0,1,2)"),
    ],
)
@pytest.mark.parametrize("written", ["#REF!", "Gone!#REF!"])
def test_a_reference_that_was_deleted(formula: str, written: str) -> None:
    """A row or sheet that was deleted leaves #REF! in formulas: they come to it, and so does what reads them."""
    assert value(f"={formula.format(written)}", {"A1:A3": [1, 2, 3]}) is REF


@pytest.mark.parametrize(
    ("formula", "expected"),
    [
        ("IFERROR(VLOOKUP(1,#REF!,2,0),7)", 7),
        ("COUNT(#REF!,1)", 1),
        ("COUNTA(#REF!,1)", 2),
        ("ISERROR(#REF!)", True),
        ("IF(TRUE,1,#REF!)", 1),
        ("CHOOSE(2,#REF!,5)", 5),
        ("XLOOKUP(9,A1:A3,A1:A3,#N/A)", NA),
        ("XLOOKUP(2,A1:A3,A1:A3,#N/A)", 2),
        ("SUM(IFERROR(EXPAND({1,2},1,3,#N/A),0))", 3),
        ("TYPE(#REF!)", 16),
    ],
)
def test_errors_that_are_asked_for(formula: str, expected: Any) -> None:
    assert value(f"={formula}", {"A1:A3": [1, 2, 3]}) == expected


@pytest.mark.parametrize(
    ("formula", "expected"),
    [
        # examples that people report of Excel: only the last + or - is rounded to 0, and not in parentheses
        ("0.5-0.4-0.1", 0.0),
        ("(0.5-0.4-0.1)", 0.5 - 0.4 - 0.1),
        ("52.8-8.8*6", 0.0),
        ("(52.8-8.8*6)", 52.8 - 8.8 * 6),
        ("70.4-8.8-61.6", 0.0),
        ("1.333+1.225-1.333-1.225", 0.0),
        ("115-113.2-1.8", 115 - 113.2 - 1.8),
        ("(43.1-43.2)+1", 43.1 - 43.2 + 1),
        ("SUM(A1:A2)-A3", 0.0),
        ("(A1+A2)-(A3)", 0.0),
        ("SUM(A1,A2,-A3)", 0.1 + 0.2 - 0.3),
        ('IF(A1+A2-A3=0,"nothing","something")', "something"),
        ('"a"-1', VALUE),
        ("1/0-1/0", DIV0),
    ],
)
def test_what_rounding_leaves_of_a_difference(formula: str, expected: Any) -> None:
    assert value(f"={formula}", {"A1:A3": [0.1, 0.2, 0.3]}) == expected


def test_a_balance_that_is_nothing_is_nothing_to_its_readers() -> None:
    cells = {"A1:A3": [0.1, 0.2, 0.3], "B1": "=A1+A2-A3", "C1": '=IF(B1=0,"balanced","off")', "D1:D3": [0.1, 0.2, -0.3]}
    assert values({**cells, "E1": "=D1", "E2:E3": "=E1+D2", "F1": "=E3=0"}, "C1", "F1") == ["balanced", True]


def test_a_parameter_keeps_its_derivative_where_a_difference_is_nothing() -> None:
    built = compiled({"A1": 0.3, "B1:B2": [0.1, 0.2], "Z1": "=B1+B2-A1"}, "A1")
    built().backward()
    (parameter,) = built.parameters()
    assert parameter.grad is not None
    assert parameter.grad.item() == -1.0
