"""LAMBDA: called directly, by a name, and for each cell of an array."""

from __future__ import annotations

from typing import Any

import pytest

from sgdsheet.errors import FormulaError
from sgdsheet.sheet.syntax import Number, Shared, Unary
from tests.sheets import check, compiled, value, values

CELLS: dict[str, Any] = {"A1:B3": [[1, 4], [2, 5], [3, 6]], "C1": 10}


@pytest.mark.parametrize(
    ("formula", "expected"),
    [
        ("=LAMBDA(x,y,x*y+1)(A2,B1)", 9),
        ("=SUM(MAP(A1:A3,B1:B3,LAMBDA(a,b,a*b)))", 32),
        ("=SUM(MAP(A1:A3,LAMBDA(a,IF(AND(a>1,a<3),a,0))))", 2),
        ("=REDUCE(0,A1:B3,LAMBDA(s,x,s+x^2))", 91),
        ("=INDEX(SCAN(1,A1:A3,LAMBDA(p,x,p*x)),3)", 6),
        ("=SUM(BYROW(A1:B3,LAMBDA(r,MAX(r)-MIN(r))))", 9),
        ("=INDEX(BYCOL(A1:B3,LAMBDA(c,SUM(c))),2)", 15),
        ("=SUM(MAKEARRAY(2,3,LAMBDA(i,j,i*10+j)))", 102),
        ("=LET(k,C1,SUM(MAP(A1:A3,LAMBDA(a,a+k))))", 36),
        ('=INDEX(MAP(A1:A3,LAMBDA(a,IF(a>1,"big","small"))),1)', "small"),
    ],
)
def test_values(formula: str, expected: float | str) -> None:
    assert value(formula, CELLS) == expected


def test_a_name_that_is_a_lambda() -> None:
    names = {"SOFTMAX": "_xlfn.LAMBDA(_xlpm.x,_xlfn.LET(_xlpm.s,SUM(EXP(_xlpm.x)),EXP(_xlpm.x)/_xlpm.s))"}
    found = values({**CELLS, "E1:E3": "{=SOFTMAX(A1:A3)}"}, "E1:E3", names=names)
    assert sum(found) == pytest.approx(1)
    assert found[2] / found[1] == pytest.approx(2.718281828459045)


def test_filled_down_each_copy_has_its_own_cells() -> None:
    cells = {"A1:A4": [1, 2, 3, 4], "C2:C4": "=SUM(MAP(A1:A2,LAMBDA(x,x*10)))"}
    assert values(cells, "C2:C4") == [30, 50, 70]


@pytest.mark.parametrize(
    "formula",
    [
        "=SUM(MAP(A1:A3,B1:B3,LAMBDA(a,b,(a*b-2)^2)))",
        "=REDUCE(0,A1:A3,LAMBDA(s,x,0.5*s+x^2))",
        "=SUMSQ(BYROW(A1:B3,LAMBDA(r,SUMPRODUCT(r,r))))",
        "=SUM(SCAN(0,A1:A3,LAMBDA(s,x,0.9*s+x))^2)",
    ],
)
def test_gradient(formula: str) -> None:
    check({**CELLS, "Z1": formula}, "A1:A3", None)


def test_many_steps() -> None:
    """More than Python can nest: each step is a part of its own."""
    model = compiled({"A1:A1200": 1.5, "Z1": "{=REDUCE(0,A1:A1200,LAMBDA(a,b,a+b^2))}"}, "A1:A1200")
    assert float(model().detach()) == pytest.approx(1200 * 2.25)
    assert set(model.gradients().values()) == {3.0}


@pytest.mark.parametrize("formula", ["LAMBDA(x,x(x))(LAMBDA(x,x(x)))", "LET(f,LAMBDA(g,n,n*g(g,n-1)),f(f,5))"])
def test_a_recursion_without_end_is_refused(formula: str) -> None:
    with pytest.raises(FormulaError, match=r"Sheet1!Z1: the formula (is nested too deep|grows too large)"):
        value(f"{{={formula}}}")


def test_a_lambda_that_calls_itself_is_refused() -> None:
    with pytest.raises(FormulaError, match="Sheet1!Z1: the formula calls a LAMBDA that calls itself"):
        value("=FIB(5)", names={"FIB": "LAMBDA(n,IF(n<2,n,FIB(n-1)+FIB(n-2)))"})


def test_an_array_of_unknown_size_is_refused() -> None:
    with pytest.raises(FormulaError, match="whose size is not known"):
        compiled({**CELLS, "D1:D3": "=A1>1", "Z1": "=SUM(MAP(FILTER(A1:A3,D1:D3),LAMBDA(x,x)))"}, "A1:A3")
    with pytest.raises(FormulaError, match=r"Sheet1!Y1: .* arrays? .*of (several sizes|one size)"):
        compiled({**CELLS, "Y1:Y3": "=SUM(MAP(SEQUENCE(A1),LAMBDA(x,x*$B$1)))", "Z1": "=SUM(Y1:Y3)"}, "B1")


NAMED = {"DOUBLE": "LAMBDA(x,x*2)", "ADD": "_xlfn.LAMBDA(_xlpm.x,_xlpm.y,_xlpm.x+_xlpm.y)"}


@pytest.mark.parametrize(
    ("formula", "expected"),
    [
        ("LET(f,LAMBDA(x,x+1),f(3))", 4),
        ("LET(a,1,f,LAMBDA(x,x+a),f(f(3)))", 5),
        ("LET(f,LAMBDA(x,x+1),x,5,f(x))", 6),
        ("LET(x,1,f,LAMBDA(x,x*10),f(x+1))", 20),
        ("LET(f,LAMBDA(x,x+1),SUM(MAP(A1:A3,f)))", 9),
        ("LET(g,LAMBDA(k,LAMBDA(x,x*k)),g(2)(5))", 10),
        ("LAMBDA(x,LAMBDA(y,x+y))(1)(2)", 3),
        ("LAMBDA(x,[y],IF(ISOMITTED(y),x,x+y))(3)", 3),
        ("LAMBDA(x,[y],IF(ISOMITTED(y),x,x+y))(3,4)", 7),
        ("SUM(BYROW(A1:B3,SUM))", 21),
        ("SUM(BYROW(A1:B3,_xleta.MAX))", 15),
        ("SUM(SCAN(0,A1:A3,_xleta.SUM))", 10),
        ("REDUCE(1,A1:A3,_xleta.PRODUCT)", 6),
        ("SUM(MAP(A1:A3,B1:B3,_xleta.PRODUCT))", 32),
        ("SUM(MAKEARRAY(2,2,_xleta.SUM))", 12),
        ("SUM(MAP(A1:A3,DOUBLE))", 12),
        ("REDUCE(0,A1:A3,ADD)", 6),
        ("LET(h,DOUBLE,h(4))", 8),
        ("SUM(MAP(SEQUENCE(3),LAMBDA(i,i^2)))", 14),
        ("SUM(MAP(SEQUENCE(A3),LAMBDA(i,i^2)))", 14),
        ("SUM(MAP(A1:A3*2,LAMBDA(i,i^2)))", 56),
        ("SUM(MAP(FILTER(A1:A3,A1:A3>1),LAMBDA(i,i^2)))", 13),
        ("REDUCE(1,SEQUENCE(5),LAMBDA(a,b,a*b))", 120),
        ("SUM(SCAN(0,SEQUENCE(4),LAMBDA(a,b,a+b)))", 20),
        ("SUM(MAP(UNIQUE(A1:A3),LAMBDA(u,COUNTIF(A1:A3,u))))", 3),
        ("SUM(BYROW(A1:B3*2,LAMBDA(r,MAX(r))))", 30),
    ],
)
def test_functions_as_values_and_calculated_arrays(formula: str, expected: float) -> None:
    assert value(f"{{={formula}}}", CELLS, names=NAMED) == expected


def test_gradients_through_calculated_arrays() -> None:
    cells = {"A1:A3": [1, 2, 3], "B1:B3": "=A1^2", "Z1": "{=SUM(MAP(B1:B3*2,LAMBDA(x,x^2)))}"}
    check(cells, "A1:A3", 4 * (1 + 16 + 81))
    check({"A1:A3": [1, 2, 3], "Z1": "{=REDUCE(0,SEQUENCE(3),LAMBDA(s,i,s*A1+INDEX(A1:A3,i)^2))}"}, "A1:A3", 14)


@pytest.mark.parametrize(
    "formula",
    [
        "SUM(SCAN(B2,F1:F40,LAMBDA(s,y,s+B1*(y-s)))^2)",
        "REDUCE(B2,F1:F40,LAMBDA(s,y,IF(y>0,s+B1*(y-s),s*0.9)))",
        "LET(a,B1+B2,b,a*a+a,c,b*b+b,d,c*c+c,e,d*d+d,f,e*e+e,g,f*f+f,h,g*g+g,LN(h*h+h))",
    ],
)
def test_long_recursions_do_not_double_at_each_step(formula: str) -> None:
    """A variable that stands twice in the formula of each step is calculated once."""
    cells = {"B1": 0.3, "B2": 1, "F1:F40": [[(i * 7) % 13 - 3] for i in range(40)], "Z1": f"{{={formula}}}"}
    model = check(cells, "B1:B2", None)
    assert len(model.program.graph.nodes) < 150


def test_a_long_recursion_is_that_of_cells() -> None:
    values = [[(i * 5) % 11 - 4] for i in range(300)]
    steps = {"G1": "=B2+B1*(F1-B2)", "G2:G300": "=G1+$B$1*(F2-G1)"}
    in_cells = compiled({"B1": 0.3, "B2": 1, "F1:F300": values, **steps, "Z1": "=SUMSQ(G1:G300)"}, "B1:B2")
    scan = "{=SUMSQ(SCAN(B2,F1:F300,LAMBDA(s,y,s+B1*(y-s))))}"
    in_one = compiled({"B1": 0.3, "B2": 1, "F1:F300": values, "Z1": scan}, "B1:B2")
    assert float(in_one().detach()) == pytest.approx(float(in_cells().detach()), rel=1e-13)
    assert in_one.gradients() == pytest.approx(in_cells.gradients(), rel=1e-12)


def test_parts_that_are_calculated_once_are_equal_to_themselves_only() -> None:
    one, other = Shared(Number(1.0)), Shared(Number(2.0))
    assert one == one
    assert one != other
    assert Unary("-", one) != Unary("-", other)
    assert len({one, other, Shared(Number(1.0))}) == 3
