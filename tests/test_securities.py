"""Bonds and accrued interest beside what Excel gives, in every basis and frequency.

The values were recorded from Excel by the project ExcelFinancialFunctions; the bases are in the order 0 to 4.
"""

from __future__ import annotations

import pytest
import torch

from sgdsheet.compiler.evaluation import evaluate
from sgdsheet.errors import FormulaError
from sgdsheet.sheet.references import Cell
from sgdsheet.sheet.workbook import ExcelError
from tests.errors import refusal
from tests.sheets import HOME, book, check_gradients, compiled, lowered

ODD_FIRST = {
    1: (128.0105899192, 127.9949332833, 127.9031273745, 127.9949332833, 128.0003495968),
    2: (127.7269143198, 127.7049586143, 127.6193871525, 127.711344726, 127.7166093747),
    4: (127.5831938096, 127.5554755738, 127.4582533515, 127.5543521757, 127.5728561289),
}
ACCRUED = {
    1: (1401.944444444, 1400.0, 1400.0, 1400.0, 1400.0),
    2: (1401.944444444, 1398.076923077, 1394.166666667, 1399.04109589, 1400.0),
    4: (1401.944444444, 1390.277777778, 1390.277777778, 1397.602739726, 1400.0),
}
ACCRUED_LONG = {
    1: (1400.0, 1392.328767123, 1226.944444444, 1392.328767123, 1400.0),
    2: (1400.0, 1287.845303867, 1219.166666667, 1389.452054795, 1400.0),
    4: (1400.0, 1358.376068376, 1217.222222222, 1392.328767123, 1400.0),
}
PRICES = {
    1: (166.2470258354, None, None, None, 166.2470258354),
    2: (166.5994983696, 166.5941023036, 166.5884648952, 166.5954925345, 166.5994983696),
    4: (166.7776474557, 166.7776474557, 166.7776474557, 166.7777241209, 166.7776474557),
}
YIELDS = {
    1: (-0.0031021246331267, -0.0031064987589496, -0.0031199511936248, -0.0031087061343967, -0.0031021246331267),
    2: (-0.0030258167122240, -0.0030274290500874, -0.0030290782503273, -0.0030270225584361, -0.0030258167122240),
    4: (-0.0029740485112026, -0.0029757356763848, -0.0029774613977053, -0.0029753103213285, -0.0029740485112026),
}
PAID = {
    1: (366.196529252395, 366.203336587721, 366.224468960218, 366.206783824129, 366.196529252395),
    2: (365.403860405647, 365.405351560856, 365.406882720474, 365.404975081750, 365.403860405647),
    4: (364.906836773092, 364.908865080415, 364.910945487956, 364.908353195036, 364.906836773092),
}


def value(formula: str) -> object:
    return evaluate(lowered(book({"Z1": f"={formula}"}), [], "Z1")).values[Cell(HOME, 1, 26)]


@pytest.mark.parametrize("frequency", [1, 2, 4])
@pytest.mark.parametrize("basis", range(5))
def test_excels_own_results(frequency: int, basis: int) -> None:
    way = f"{frequency},{basis}"
    dates = "DATE(1999,2,28),DATE(2010,6,30),DATE(1998,2,28),DATE(2009,6,30)"
    assert value(f"ODDFPRICE({dates},0.07,0.03,100,{way})") == pytest.approx(ODD_FIRST[frequency][basis], rel=1e-11)
    for first, known in (("DATE(1993,3,31)", ACCRUED), ("DATE(2010,7,5)", ACCRUED_LONG)):
        formula = f"ACCRINT(DATE(1990,3,4),{first},DATE(1992,3,4),0.07,10000,{way})"
        assert value(formula) == pytest.approx(known[frequency][basis], rel=1e-11)
    paid, wanted = PAID[frequency][basis], YIELDS[frequency][basis]
    found = value(f"YIELD(DATE(1980,2,15),DATE(2010,6,30),0.07,{paid},130,{way})")
    assert found == pytest.approx(wanted, rel=1e-7)  # Excel ends its search so early
    if (known_price := PRICES[frequency][basis]) is not None:
        formula = f"PRICE(DATE(1980,2,15),DATE(2003,5,14),0.07,0.03,100,{way})"
        assert value(formula) == pytest.approx(known_price, rel=1e-11)


@pytest.mark.parametrize(
    ("formula", "error"),
    [
        ("PRICE(40000,40000,0.05,0.05,100,2)", ExcelError.NUM),
        ("PRICE(40000,45000,0.05,0.05,100,3)", ExcelError.NUM),
        ("PRICE(40000,45000,0.05,0.05,100,2,5)", ExcelError.NUM),
        ("PRICE(40000,45000,0.05,0.05,0,2)", ExcelError.NUM),
        ("PRICE(40000,45000,TRUE,0.05,100,2)", ExcelError.VALUE),
        ('PRICE("x",45000,0.05,0.05,100,2)', ExcelError.VALUE),
        ("PRICE(NA(),45000,0.05,0.05,100,2)", ExcelError.NA),
        ("COUPNUM(-1,45000,2)", ExcelError.NUM),
        ("TBILLPRICE(40000,40400,0.05)", ExcelError.NUM),
        ("ODDFPRICE(40000,45000,39900,40050,0.05,0.05,100,2)", ExcelError.NUM),
    ],
)
def test_impossible_arguments_are_excels_errors(formula: str, error: ExcelError) -> None:
    assert value(formula) is error


def test_each_copy_of_a_formula_has_its_own_dates() -> None:
    cells = {"A1": [40000, 40500, 41000, 50000], "B1:B4": "=YIELD(A1,45000,0.05,98,100,2)", "Z1": "=COUNT(B1:B4)"}
    found = evaluate(lowered(book(cells), [], "Z1")).values
    alone = [value(f"YIELD({settlement},45000,0.05,98,100,2)") for settlement in (40000, 40500, 41000, 50000)]
    together = [found[Cell(HOME, row, 2)] for row in range(1, 5)]
    assert together[:3] == pytest.approx(alone[:3], rel=1e-13)  # several at once may round the last digit otherwise
    assert together[3] is alone[3] is ExcelError.NUM


def test_a_yield_is_trained_to_a_price() -> None:
    cells = {"A1": 0.05, "B1": "=PRICE(DATE(2008,2,15),DATE(2016,11,15),0.0575,A1,100,2,0)", "Z1": "=(B1-95.04287)^2"}
    model = compiled(cells, "A1")
    ((_, tensor),) = model.ranges()
    for _ in range(20):  # Newton's method on the price, by the gradient of its square
        loss = model()
        loss.backward()
        assert tensor.grad is not None
        step = 2.0 * loss.detach() / tensor.grad
        with torch.no_grad():
            tensor -= step if float(loss.detach()) else 0.0
        tensor.grad = None
    assert float(tensor.detach()) == pytest.approx(0.065, abs=1e-7)


@pytest.mark.parametrize(
    ("formula", "cause"),
    [
        ("=PRICE(A1,45000,0.05,0.05,100,2)", "dates that depend on a parameter"),
        ("=PRICE(40000,45000,0.05,0.05,100,A1)", "dates that depend on a parameter"),
        ("=VDB(A1,300,10,0,A1)", "periods that depend on a parameter"),
        ("=VDB(A1,300,10,6.5,8)", "starts within a period"),
        ("=VDB(2400,A1/100,10,0,10)+VDB(2400,300,10,6.5,8)", "starts within a period late in the life"),
        ("=ACCRINT(39508,39691,39750,A1,1000,2)", "beyond the first coupon date"),
    ],
)
def test_what_is_refused_names_its_cell(formula: str, cause: str) -> None:
    with refusal(FormulaError, cell="Sheet1!Z1", cause=cause):
        lowered(book({"A1": 40000, "Z1": formula}), ["A1"], "Z1")


@pytest.mark.parametrize(
    ("formula", "flat"),
    [
        ("DDB(A1,A2,A3,1,A4)", 1),
        ("DDB(A1,A2,A3,4,A4)", 1),
        ("DDB(A1,A2+200,A3,7,A4)", 0),
        ("DB(A1,A2,A3,1,7)", 2),
        ("DB(A1,A2,A3,5)", 2),
        ("VDB(A1,A2,A3,0,1,A4)", 1),
        ("VDB(A1,A2,A3,1,2.25,A4)", 1),
        ("VDB(A1,A2,A3,1,7,A4)", 0),
        ("VDB(A1,A2,A3-A3/9,2,6.5,A4)", 0),
        ("VDB(A1,A2,A3,1,3,A4,TRUE)", 1),
    ],
)
def test_depreciation_is_differentiated(formula: str, flat: int) -> None:
    """In cost, salvage value, life and factor; the rate of DB is rounded, so that only the cost moves it."""
    cells = {"A1": [2400.0, 310.0, 8.3, 1.7], "Z1": f"=({formula}-200)^2"}
    found = check_gradients(compiled(cells, "A1:A4" if "A4" in formula else "A1:A3"))
    assert sum(gradient == 0 for gradient in found.values()) == flat
