"""Excel's rules, one by one: the same answers whether the numbers are constants or parameters."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch

from sgdsheet.sheet.references import Cell, Range, parse_range
from sgdsheet.sheet.workbook import ExcelError, Table
from tests.sheets import HOME, check, compiled, slope, value, values

CELLS: dict[str, Any] = {
    "A1": [0, -2, 3],
    "B1": ["x", True, None],
    "C1": ["5", "", ExcelError.NA],
    "D1": [1, 2, 3],
}
"""Column A becomes parameters; B has text, a boolean and a blank, C numeric text, empty text and an error."""

ERROR = object()

RULES: list[tuple[str, Any]] = [
    # operators
    ("=-A2^2", 4),
    ("=2^A3^2", 64),
    ("=A3%", 0.03),
    ("=A3%%", 0.0003),
    ("=-A3%", -0.03),
    ("=2^-1+A1", 0.5),
    ("=A3^A2", 1 / 9),
    ("=A2^3", -8),
    ("=A2^2", 4),
    ("=A2^A3", -8),
    ("=--A3", 3),
    ("=+A3", 3),
    ("=A3^2*2", 18),
    ("=A1^A1", ERROR),
    ("=A1^0", ERROR),
    ("=B3^B3+A3", ERROR),
    ("=A1^-1", ERROR),
    ("=A3^0", 1),
    ("=A1^A3", 0),
    ("=A2^0.5", ERROR),
    ("=10^400+A3", ERROR),
    ("=EXP(A3*1000)", ERROR),
    ("=1/EXP(A3*1000)", ERROR),
    ("=1/A1", ERROR),
    ("=1/(1+1/A1)", ERROR),
    ("=MIN(1/A1,5)", ERROR),
    ("=A3/B3", ERROR),
    ("=ATAN(1/A1)", ERROR),
    # logarithms
    ("=LOG(A3*100/3)", 2),
    ("=LOG10(A3*100/3)", 2),
    ("=LN(A3)", math.log(3)),
    ("=LOG(8,A3-1)", 3),
    ("=LN(A1)", ERROR),
    ("=LN(A2)", ERROR),
    ("=LOG(A2)", ERROR),
    ("=SQRT(A2)", ERROR),
    ("=SQRT(A1)", 0),
    ("=ASIN(A3)", ERROR),
    # blanks, text and booleans in operators
    ("=B3+A3", 3),
    ("=B3*A3", 0),
    ("=C1+A3", 8),
    ('="5"+A3', 8),
    ('="50%"*A3', 1.5),
    ("=C2+A3", ERROR),
    ("=B2+A3", 4),
    ("=TRUE+A3", 4),
    ("=B1*A3", ERROR),
    ('=(B3&"a"="a")*A3', 3),
    ('=(D1&"a"="1a")*A3', 3),
    # comparisons: numbers < text < booleans
    ("=(A3<B1)*1", 1),
    ("=(B1<B2)*1", 1),
    ("=(A3<B2)*1", 1),
    ("=(A3>C1)*1", 0),
    ('=("a"="A")*A3', 3),
    ('=("a"<"B")*A3', 3),
    ("=(B3=0)*A3", 3),
    ('=(B3="")*A3', 3),
    ("=(B3=FALSE)*A3", 3),
    ("=(C1=5)*A3", 0),
    ("=(A3>2)+0", 1),
    ("=(A1=B3)*1", 1),
    ("=((A3>2)=TRUE)*1", 1),
    ("=((A3>2)>A3)*1", 1),
    ("=(A3<>A3)*1", 0),
    ('=(IF(A3>0,"a","b")="A")*1', 1),
    ("=(C3=A3)*1", ERROR),
    ("=(1/A1=A3)*1", ERROR),
    # text, booleans and blanks in ranges
    ("=SUM(A1:B3)", 1),
    ("=AVERAGE(A1:B3)", 1 / 3),
    ("=MAX(A1:B3)", 3),
    ("=MIN(A2:B3)", -2),
    ("=COUNT(A1:C3)*A3", 9),
    ("=COUNTA(A1:C3)*A3", 24),
    ("=PRODUCT(A2:B3)", -6),
    ("=SUMSQ(A1:B3)", 13),
    ("=AVERAGE(A1:A3,B1:B3)", 1 / 3),
    ("=MAX(B1:B3)+A3", 3),
    ("=PRODUCT(B1:B3)+A3", 3),
    ("=SUM(B1:B3)+A3", 3),
    ("=AVERAGE(B1:B3)+A3", ERROR),
    ('=SUM(A3,TRUE,"2")', 6),
    ('=SUM(A3,"x")', ERROR),
    ("=SUM(B2,A3)", 3),
    ("=MAX(A2,B2)", -2),
    ("=MAX(A2,TRUE)", 1),
    ("=AVERAGE(A3,)", 1.5),
    ('=COUNT("x","5",TRUE,A3)*1', 3),
    ("=SUM(C1,A3)", 3),
    ("=SUM(C1:C3,A3)", ERROR),
    ("=VAR.S(A1:B3)", 19 / 3),
    ("=STDEV.P(A1:B3)", (38 / 9) ** 0.5),
    ("=DEVSQ(A1:B3)", 38 / 3),
    # SUMPRODUCT
    ("=SUMPRODUCT(A1:A3,D1:D3)", 5),
    ("=SUMPRODUCT(A1:A3,B1:B3)", 0),
    ("=SUMPRODUCT(A1:A3*B1:B3)", ERROR),
    ("=SUMPRODUCT(A2:A3*B2:B3)", -2),
    ("=SUMPRODUCT((D1:D3>1)*A1:A3)", 1),
    ("=SUMPRODUCT(--(A1:A3>0),D1:D3)", 3),
    ('=SUMPRODUCT((B1:B3="x")*(A1:A3+7))', 7),
    ("=SUMPRODUCT(A1:A3)", 1),
    ("=SUMPRODUCT(IFERROR(D1:D3/A1:A3,9))", 9),
    # errors
    ("=C3+A3", ERROR),
    ("=SUMPRODUCT(C3:C3,A3:A3)", ERROR),
    ("=IFERROR(C3,9)+A3", 12),
    ("=IFERROR(1/A1,9)+A3", 12),
    ("=IFERROR(LN(A2),A3)", 3),
    ("=IFERROR(A3,9)", 3),
    ("=IFERROR(A3/B3,9)", 9),
    ("=IF(C3,1,A3)", ERROR),
    ("=IF(LN(A2)>0,1,A3)", ERROR),
    ("=IF(1/A1>2,1,A3)", ERROR),
    ("=AND(C3,A3)*1", ERROR),
    ("=AND(A1,1/A1)*1", ERROR),
    ("=OR(A3,C3)*1", ERROR),
    ("=NOT(1/A1)*1", ERROR),
    ("=XOR(1/A1,A3)*1", ERROR),
    ("=SIGN(LN(A2))", ERROR),
    ("=#N/A+A3", ERROR),
    ("=IFERROR(#DIV/0!,A3)", 3),
    ("=IFERROR(NOT(LN(A2)>0),A3)+0", 3),
    # IF
    ("=IF(A1>0,LN(A1),7)", 7),
    ("=IF(A3,,5)+A3", 3),
    ("=IF(A1,5)+A3", 3),
    ("=IF(A3>2,A3)", 3),
    ("=IF(A1,1,)+A3", 3),
    ('=IF(B1="x",A3,0)', 3),
    ('=IF(B1="y",1/0,A3)', 3),
    ("=IF(A3>2,A2,1/A1)", -2),
    ("=IF(TRUE,A3,LAMBDA(1))", 3),
    ("=IFS(A1>0,1,A3>2,A3)", 3),
    ("=IFS(A1>0,1)+A3", ERROR),
    ("=IF(B1,A3,2)", ERROR),
    ("=IF(B3,1,A3)", 3),
    # logic
    ("=AND(A3,D1)*A3", 3),
    ("=OR(A1,B3)*1", 0),
    ("=AND(A2:A3)*1", 1),
    ("=AND(B1:B2,A3)*1", 1),
    ("=NOT(A1)*1", 1),
    ("=XOR(A2,A3)*1", 0),
    ("=XOR(B1:B3,A1)*1", 1),
    ("=AND(A1>=0,A2<0,A3>0)*1", 1),
    # rounding
    ("=INT(A2/4)", -1),
    ("=MOD(A2,3)", 1),
    ("=MOD(A3,-2)", -1),
    ("=ROUND(A3/2,0)", 2),
    ("=ROUND(A2*1.25,0)", -3),
    ("=ROUND(1.005+A1,2)", 1.01),
    ("=TRUNC(A2*1.25)", -2),
    ("=MOD(A3,0)", ERROR),
    # references
    ("=@A1:A3+A3", 3),
    ("=A1:A3*1+A3", 3),
    ("=SUM((A1:A2,A3))", 1),
    ("=SUM($A$1:$A$3 $A$3:$D$3)", 3),
    ("=SUM(A:A)", 1),
    ("=SUM(3:3)-C3", ERROR),
    ("=SUM(A1:A2:A3)", 1),
    ("=SUM(A3:A1)", 1),
    ("=SUM({1,-2;3,4})+A3", 9),
    ("=_xlfn.SINGLE(A3)", 3),
    ("=LET(x,A3,y,x+1,x*y)", 12),
    ("=_xlfn.LET(_xlpm.x,A3,_xlpm.x^2)", 9),
]


def same(found: Any, expected: Any) -> bool:
    if expected is ERROR:
        return isinstance(found, ExcelError)
    return isinstance(found, float) and math.isclose(found, expected, rel_tol=1e-12, abs_tol=1e-12)


@pytest.mark.parametrize(("formula", "expected"), RULES)
@pytest.mark.parametrize("params", [(), ("A1:A3",), ("A3",)], ids=["constants", "parameters", "mixed"])
def test_rule(formula: str, expected: Any, params: tuple[str, ...]) -> None:
    found = value(formula, CELLS, params=params)
    assert same(found, expected), found


@pytest.mark.parametrize("formula", [rule for rule, expected in RULES if expected is not ERROR])
def test_gradient_of_rule(formula: str) -> None:
    """Exact, and never NaN because of a value that was not chosen; LOG(x)'s slope has the ln 10 in it."""
    cells = {
        **CELLS,
        "A1": [0.1312, -2.21, 3.11],
        "E1": 0.5,
        "Z1": formula,
        "Z2": "=IFERROR(Z1,0)+E1*E1+0*SUM(A1:A3)",
    }
    check(cells, "E1,A1:A3", None, loss="Z2")


@pytest.mark.parametrize("filled", [False, True])
@pytest.mark.parametrize(
    ("inner", "outer"),
    [
        ("LN(A1)", "IF(A1>0,B1,0)"),
        ("1/A1", "IF(A1=0,0,B1)"),
        ("A1^-2", "IF(A1=0,0,B1)"),
        ("A1^0.5", "IF(A1>0,B1,0)"),
        ("SQRT(A1)", "IF(A1>0,B1,0)"),
        ("LN(A1)", "IFERROR(B1,0)"),
        ("A1/A1", "IFERROR(B1,0)"),
        ("EXP(1000*(1-A1))", "IF(A1>0.5,B1,0)"),
        ("ASIN(A1+1)", "IF(A1<0,B1,0)"),
        ("ACOSH(A1+1)", "IF(A1>0,B1,0)"),
        ("ATANH(A1-1)", "IF(A1>0,B1,0)"),
        ("GAMMALN(A1)", "IF(A1>0,B1,0)"),
        ("(A1-1)^(A1+0.5)", "IF(A1>0.5,B1,0)"),
        ("LOG(2,A1)", "IF(A1>0.5,B1,0)"),
        ("LN(A1)*A2", "IF(A1>0,B1,0)"),
        ("A2/A1", "IF(A1>0,B1,0)"),
        ("A2^LN(A1)", "IFERROR(B1,0)"),
        ("SUMPRODUCT(LN(A1:A2),A2:A3)", "IFERROR(B1,0)"),
        ("MAX(LN(A1),A2)*A2", "IFERROR(B1,0)"),
        ("MAX(A2:A3,1/A1)", "IFERROR(B1,0)"),
        ("PRODUCT(A2,LN(A1))", "IFERROR(B1,0)"),
        ("A2*(1/0)", "IFERROR(B1,0)"),
        ("(A2/0)*A2", "IFERROR(B1,0)"),
        ("AVERAGE(A1:A3)/STDEV.P(A1,A1)", "IFERROR(B1,0)"),
    ],
)
def test_no_slope_leaks_from_the_branch_not_taken(inner: str, outer: str, filled: bool) -> None:
    if filled:
        cells = {
            "A1": [0, 2, 0, 2, 2],
            "B1:B3": f"={inner}",
            "C1:C3": f"={outer}",
            "Z1": "=SUM(C1,C3)+SUMSQ(A1:A5)",
        }
        params, first = "A1:A5", (1, 3)
    else:
        text = outer.replace("B1", f"({inner})")
        cells = {"A1": [0, 2, 3], "Z1": f"={text}+SUM(A1:A3)"}
        params, first = "A1:A3", (1,)
    gradients = compiled(cells, params).gradients()
    assert all(math.isfinite(found) for found in gradients.values()), gradients
    for row in first:
        assert gradients[Cell(HOME, row, 1)] == (0 if filled else 1)


@pytest.mark.parametrize("unused", [0.0, -1.0])
def test_no_slope_leaks_from_a_copy_that_nothing_reads(unused: float) -> None:
    cells = {"A1": [2, unused, 3], "B1:B3": "=LN(A1)", "C1:C3": "=1/A1", "Z1": "=B1+B3+C1+C3+SUMSQ(A1:A3)"}
    gradients = compiled(cells, "A1:A3").gradients()
    assert gradients[Cell(HOME, 2, 1)] == 2 * unused


@pytest.mark.parametrize(
    ("formula", "at", "expected"),
    [
        ("=MAX(0,A1)", 0, 0),
        ("=MAX(A1,0)", 0, 0),
        ("=MAX(0,A1)", 1, 1),
        ("=MAX(0,A1)", -1, 0),
        ("=MIN(1,A1)", 0, 1),
        ("=ABS(A1)", 0, 0),
        ("=ABS(A1)", -2, -1),
        ("=IF(A1<0,0,A1)", 0, 1),
        ("=IF(A1>0,A1,0)", 0, 0),
        ("=IF(A1<=0,0,A1)", 0, 0),
        ("=IF(A1>=0,A1,0)", 0, 1),
        ("=IF(A1<0,0,2*A1)", 0, 2),
        ("=SQRT(A1)", 0, 0),
        ("=SQRT(A1)", 4, 0.25),
        ("=A1^0.5", 0, 0),
        ("=A1^2", 0, 0),
        ("=A1^3", -2, 12),
        ("=A1^1", 0, 1),
        ("=LOG(A1)", 2, 1 / (2 * math.log(10))),
        ("=MOD(A1,3)", 7, 1),
        ("=2^A1", 0, math.log(2)),
        ("=1/A1", 2, -0.25),
        ("=A1^A1", 2, 4 * (1 + math.log(2))),
        ("=STDEV.P(A1,3)", 3, 0),
    ],
)
def test_slope(formula: str, at: float, expected: float) -> None:
    assert slope(formula, at) == pytest.approx(expected, abs=1e-12)


def test_powers_of_negative_parameters_have_slopes() -> None:
    check({"A1": -2, "B1": [[1, 2, 3]], "Z1": "=SUMPRODUCT(A1^B1:D1)"}, "A1", -2 + 4 - 8)
    check(
        {"A1": [-2, 0.5], "B1:D2": [[1, 2, 3], [0, 2, 1.5]], "E1:G2": "=$A1^B1", "Z1": "=SUM(E1:G2)"},
        "A1:A2",
        None,
    )


def test_text_where_an_error_would_be_is_an_error_of_the_loss_only_when_it_happens() -> None:
    cells = {"B1": [1, 2], "C1:C2": '=IFERROR(LN(A1)*B1,"")', "Z1": "=SUM(C1:C2)"}
    check({**cells, "A1": [2, 3]}, "A1:A2", math.log(2) + 2 * math.log(3))
    assert math.isnan(compiled({**cells, "A1": [2, -3]}, "A1:A2")().item())


def test_constant_errors_are_replaced_for_good() -> None:
    cells = {"A1": [2, 3], "B1": [0, 5], "C1:C2": '=IFERROR(A1/B1,"none")', "Z1": "=SUM(C1:C2)+A1"}
    check(cells, "A1:A2", 3 / 5 + 2)
    check({**cells, "Z1": "=AVERAGE(C1:C2)+A1"}, "A1:A2", 3 / 5 + 2)


def test_a_formula_makes_a_number_of_a_blank_cell() -> None:
    check({"A1": 3, "B1": [None, 6], "C1:C2": "=B1", "Z1": "=AVERAGE(C1:C2)*A1"}, "A1", 9)


def test_booleans_that_become_errors() -> None:
    cells = {"A1": [1, -1], "B1:B2": "=LN(A1)<1", "C1:C2": "=IF(B1,A1,0)"}
    assert values(cells, "C1:C2", params=["A1:A2"]) == [1, ExcelError.NUM]
    assert values({**cells, "D1": "=IF(B1,5,6)"}, "D1", params=["A1:A2"]) == [5]
    assert values({**cells, "D1": "=AND(B1:B2)", "D2": "=AND(B1,1)"}, "D1:D2", params=["A1:A2"])[1] is True


def test_implicit_intersection() -> None:
    cells = {
        "A1": [1, 2, 3],
        "B1": [[10, 20, 30]],
        "C1:C3": "=$A$1:$A$3*2",
        "D3": "=A2:A3",
        "Z1": "=SUM(C1:C3)+D3",
    }
    check(cells, "A1:A3", 15)
    check({"A1:C1": [[1, 2, 3]], "A2:C2": "=$A$1:$C$1^2", "Z1": "=SUM(A2:C2)"}, "A1:C1", 14)
    check({"A1": [1, 2, 3], "C1:C3": "=A$1:A$3+A1:A3", "Z1": "=SUM(C1:C2)"}, "A1:A2", 6)
    check({"A1": [1, 2, 3], "B1": [1, 2, 3], "C2:C3": "=SUM(A1:A3*B1:B3)", "Z1": "=C2+C3"}, "A1:A3", 13)


def test_array_formulas() -> None:
    cells = {"A1": [1, 2, 3], "B1": [4, 5, 6]}
    check({**cells, "Z1": "{=SUM(A1:A3*B1:B3)}"}, "A1:A3", 32)
    check({**cells, "C1:C3": "{=A1:A3*B1:B3}", "Z1": "=SUM(C1:C3)"}, "A1:A3", 32)
    check({**cells, "C1:C2": "{=A1:A3*B1:B3}", "Z1": "=SUM(C1#)"}, "A1:A2", 14)
    check({**cells, "C1:E1": "{=TRANSPOSE(A1:A3)}", "Z1": "=SUMPRODUCT(C1#,_xlfn.ANCHORARRAY(C1))"}, "A1:A3", 14)
    check({**cells, "C1:C3": "{=A1*2}", "Z1": "=SUM(C1:C3)"}, "A1", 6)
    check({**cells, "C1:D3": "{=A1:A3*{1,10}}", "Z1": "=SUM(C1:D3)"}, "A1:A3", 66)
    check({**cells, "C1:C3": "{=IF(A1:A3>1.5,LN(A1:A3),B1:B3)}", "Z1": "=SUM(C1:C3)"}, "A1:A3", 4 + math.log(6))
    check({**cells, "Z1": "{=SUM(IF(B1:B3>4,A1:A3))}"}, "A1:A3", 5)
    check({**cells, "Z1": "{=MAX(ABS(A1:A3-B1:B3)*A1:A3)}"}, "A1:A3", 9)
    check({**cells, "Z1": "{=AVERAGE(IF(B1:B3>4,A1:A3,FALSE))}"}, "A1:A3", 2.5)


def test_this_row_may_be_of_a_table_on_another_sheet() -> None:
    table = Table("Data", Range("Other", 1, 1, 4, 2), ("Age", "Fare"))
    cells = {
        "Other!A1:B4": [["Age", "Fare"], [1, 10], [2, 20], [3, 30]],
        "A1": [1, 1],
        "B2:B4": "=Data[[#This Row],[Age]]*$A$1+Data[@Fare]*$A$2",
        "Z1": "=SUM(B2:B4)+SUM(Data[Age])+SUM(Data[#Headers])+ROWS(Data)",
    }
    check(cells, "A1:A2", 6 + 60 + 6 + 3, tables=[table])


def test_defined_names() -> None:
    names = {
        "rate": f"{HOME}!$A$1",
        "data": f"{HOME}!$B$1:$B$3",
        "twice": "rate*2",
        "beside": f"{HOME}!B1",
        "half": "6.5",
    }
    cells = {"A1": 2, "B1": [1, 2, 3], "C1": "=beside*rate", "D1": 5, "Z1": "=SUM(data)*twice+C1+half"}
    check(cells, "A1", 24 + 10 + 6.5, names=names)
    assert value("=SUM(nothing)+1", cells, names={"nothing": "{1,2}"}) == 4.0


def test_names_may_point_to_the_left() -> None:
    """A name that means “the cell to the left” is written as the last column."""
    check({"A1": 3, "B1": "=left*2", "Z1": "=B1"}, "A1", 6, names={"left": f"{HOME}!XFD1"})


def test_values_behind_a_look_up_that_has_no_place_in_the_program() -> None:
    """The text that stands beside the nearest cell below a parameter, and what is made of it."""
    cells = {"A1": 2.5, "C1": [[1, "low"], [2, "mid"], [3, "high"]], "Z1": "=(A1-1)^2"}
    cells |= {"B1": "=VLOOKUP(A1,C1:D3,2)", "B2": "=UPPER(B1)", "B3": "=1/(A1-2.5)"}
    model = compiled(cells, "A1")
    found = model.values_of([parse_range("A1:B3", HOME)])
    assert [found[Cell(HOME, row, 2)] for row in (1, 2, 3)] == ["mid", "MID", ExcelError.DIV0]
    assert found[Cell(HOME, 1, 1)] == 2.5
    assert found[Cell(HOME, 2, 1)] is None
    assert [model.value_of(Cell(HOME, row, 2)) for row in (1, 2, 3)] == ["mid", "MID", None]
    with torch.no_grad():
        next(model.parameters()).fill_(3.5)
    assert model.value_of(Cell(HOME, 2, 2)) == "HIGH"
