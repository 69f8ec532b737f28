"""Windows, ranges and arrays as tensors: against numpy, against IronCalc, and gradients against differences."""

# ruff: noqa: E501 - one case per line reads better

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
import torch
from torch import fx

import sgdsheet
from sgdsheet.compiler.model import SheetModel
from sgdsheet.errors import DataError, FormulaError
from sgdsheet.sheet.workbook import ExcelError
from sgdsheet.train.constrained.constraints import no_constraints
from sgdsheet.train.constrained.flat_functions import FlatModel
from sgdsheet.train.discrete.population import Population
from tests.errors import refusal
from tests.oracle import agree, calculated
from tests.sheets import HOME, Cells, book, check, compiled, value, values

RANDOM = np.random.default_rng(0)


def numbers(rows: int, columns: int = 1) -> list[list[float]]:
    return RANDOM.normal(size=(rows, columns)).round(3).tolist()


def against_ironcalc(cells: Cells, params: str, *, loss: str = "Z1", **options: Any) -> SheetModel:
    """Every lowered cell has IronCalc's value, and the gradient is that of central differences."""
    model = check(cells, params, None, loss, **options)
    targets = [f"'{block.range.sheet}'!{block.range.a1}" for block in model.blocks]
    agree(model.lowered_cells().values, calculated(book(cells), *targets))
    return model


def operations(model: SheetModel) -> list[str]:
    return [str(getattr(node.target, "__name__", node.target)) for node in model.program.graph.nodes]


# --- fill-downs -------------------------------------------------------------------------------------------

FILLED: list[tuple[str, Cells, str]] = [
    ("absolute and relative", {"A1:B5": numbers(5, 2), "C1:C5": "=$A$1*B1+A1*$B1+A$2", "Z1": "=SUMSQ(C1:C5)"}, "A1:A5"),
    ("a plane", {"A1:A4": numbers(4), "B5:E5": numbers(1, 4), "B1:E4": "=$A1*B$5+$A$1", "Z1": "=SUMSQ(B1:E4)"}, "A1:A4,B5:E5"),
    ("matrix times vector", {"A1:D6": numbers(6, 4), "F1:I1": numbers(1, 4), "E1:E6": "=SUMPRODUCT($A1:$D1,$F$1:$I$1)",
                             "Z1": "=SUMSQ(E1:E6)"}, "F1:I1"),
    ("rows against rows", {"A1:D6": numbers(6, 4), "F1:I6": numbers(6, 4), "E1:E6": "=SUMPRODUCT(A1:D1,F1:I1)",
                           "Z1": "=SUMSQ(E1:E6)"}, "F1:I6"),
    ("two units", {"A1:C5": numbers(5, 3), "X1:Z2": numbers(2, 3), "D1:D5": "=SUMPRODUCT($A1:$C1,$X$1:$Z$1)",
                   "E1:E5": "=SUMPRODUCT($A1:$C1,$X$2:$Z$2)", "F1": "=SUMSQ(D1:E5)"}, "X1:Z2"),
    ("units side by side", {"A1:C5": numbers(5, 3), "X1:Y3": numbers(3, 2), "D1:E5": "=SUMPRODUCT($A1:$C1,TRANSPOSE(X$1:X$3))",
                            "F1": "=SUMSQ(D1:E5)"}, "X1:Y3"),
    ("stacked siblings", {"A1:D1": numbers(1, 4), "A3:D5": numbers(3, 4), "F1:F3": numbers(3), "A7:D7": "=A$1*A3*$F$1",
                          "A8:D8": "=A$1*A4*$F$2", "A9:D9": "=A$1*A5*$F$3", "Z1": "=SUMSQ(A7:D9)"}, "A1:D1,F1:F3"),
    ("transposed siblings", {"A1:C1": numbers(1, 3), "B3:B5": numbers(3), "D3:D5": "=B3*$A$1", "E3:E5": "=B3*$B$1",
                             "F3:F5": "=B3*$C$1", "Z1": "=SUMPRODUCT(D3:F5,D3:F5)"}, "A1:C1,B3:B5"),
    ("a column read along a row", {"A1:A3": numbers(3), "C1:C3": numbers(3), "D1:D3": "=$A1*$C$1", "E1:E3": "=$A1*$C$2",
                                   "F1:F3": "=$A1*$C$3", "Z1": "=SUMSQ(D1:F3)+F1*D3"}, "A1:A3,C1:C3"),
    ("sliding windows", {"A1:A8": numbers(8), "B1:B6": "=SUM(A1:A3)*A2", "Z1": "=SUMSQ(B1:B6)"}, "A1:A8"),
    ("sliding averages", {"A1:H1": numbers(1, 8), "A2:F2": "=AVERAGE(A1:C1)-MAX(A1:C1)", "Z1": "=SUMSQ(A2:F2)"}, "A1:H1"),
    ("growing windows", {"A1:A6": numbers(6), "B1:B6": "=SUM($A$1:A1)+MAX(A1:A$6)", "Z1": "=SUMSQ(B1:B6)"}, "A1:A6"),
    ("growing to the right", {"A1:F1": numbers(1, 6), "A2:F2": "=AVERAGE($A1:A1)*PRODUCT(A1:$F1)", "Z1": "=SUMSQ(A2:F2)"}, "A1:F1"),
    ("growing in a plane", {"A1:D4": numbers(4, 4), "F1:I4": "=SUM($A$1:A1)", "Z1": "=SUMSQ(F1:I4)"}, "A1:D4"),
    ("growing products", {"A1:A5": numbers(5), "B1:B5": numbers(5), "C1:C5": "=SUMPRODUCT($A$1:A1,$B$1:B1)", "Z1": "=SUMSQ(C1:C5)"},
     "A1:A5"),
    ("growing expressions", {"A1:A5": numbers(5), "C1:C5": "=SUMPRODUCT($A$1:A1+1)", "Z1": "=SUMSQ(C1:C5)"}, "A1:A5"),
    ("growing sizes", {"A1:A5": numbers(5), "C1:C5": "=SUM($A$1:A1)/ROWS($A$1:A1)", "Z1": "=SUMSQ(C1:C5)"}, "A1:A5"),
    ("every copy, other offsets", {"A1:A9": numbers(9), "B2:B8": "=A1-2*A2+A3", "Z1": "=SUMSQ(B2:B8)"}, "A1:A9"),
    ("row and column numbers", {"A1:A4": numbers(4), "C3:E6": "=ROW()*$A$1+COLUMN()*$A$2+ROW(A1)*COLUMNS($A1:B1)",
                                "Z1": "=SUMSQ(C3:E6)+A3*A4"}, "A1:A4"),
    ("indexed", {"A1:C4": numbers(4, 3), "E1:E3": [2, 4, 1], "F1:F3": "=INDEX($A$1:$A$4,E1)", "G1:G3": "=INDEX($A$1:$C$4,E1,2)",
                 "H1": "=SUM(INDEX(A1:C4,0,3))+INDEX(A1:C4,4,3)+SUM(INDEX(A1:C4,2,0))", "Z1": "=SUMSQ(F1:H3)"}, "A1:C4"),
    ("other sheets", {"Data!A1:C5": numbers(5, 3), "my sheet!A1:A3": numbers(3),
                      "Data!D1:D5": "=SUMPRODUCT(A1:C1,TRANSPOSE('my sheet'!$A$1:$A$3))*Sheet1!$A$1", "A1": 0.5,
                      "Z1": "=SUMSQ(Data!D1:D5)"}, "A1,'my sheet'!A1:A3"),
    ("whole columns", {"A1:A5": numbers(5), "B1:B5": "=A1^2", "Z1": "=SUM(B:B)+SUM(A:A)*3"}, "A1:A5"),
    ("logistic regression", {"A1:B6": numbers(6, 2), "C1:C6": [0, 1, 1, 0, 1, 0], "E1:E3": numbers(3),
                             "D1:D6": "=1/(1+EXP(-($E$1+A1*$E$2+B1*$E$3)))",
                             "F1:F6": "=-(C1*LN(D1)+(1-C1)*LN(1-D1))", "Z1": "=AVERAGE(F1:F6)"}, "E1:E3"),
    ("softmax", {"A1:C4": numbers(4, 3), "E1:G4": "=EXP(A1)/SUM(EXP($A1),EXP($B1),EXP($C1))", "Z1": "=-SUM(LN(E1),LN(F2),LN(G3),LN(E4))"},
     "A1:C4"),
]  # fmt: skip


@pytest.mark.parametrize(("cells", "params"), [case[1:] for case in FILLED], ids=[case[0] for case in FILLED])
def test_filled(cells: Cells, params: str) -> None:
    loss = "Z1" if "Z1" in cells else "F1"
    against_ironcalc(cells, params, loss=loss)


# --- ranges that are put together -------------------------------------------------------------------------

MIXED: list[tuple[str, Cells, str]] = [
    ("constants beside parameters", {"A1:D3": numbers(3, 4), "Z1": "=SUMSQ(A1:D3)"}, "B1:C2"),
    ("several areas", {"A1:D3": numbers(3, 4), "E1:E3": "=SUM(A1:D1)", "Z1": "=SUMSQ(E1:E3)"}, "A1:A2,C1:D1,B3"),
    ("blocks below parameters", {"A1:B2": numbers(2, 2), "A3:B5": "=A1*B2+1", "Z1": "=SUMSQ(A1:B5)"}, "A1:B2"),
    ("parameters used in part", {"A1:A9": numbers(9), "B1:B4": "=A3*2", "Z1": "=SUMSQ(B1:B2)+A1+A2+SUM(A5:A9)"}, "A1:A9"),
    ("text and blanks between", {"A1:A6": [1.5, "x", None, True, 2.5, "7"], "B1:B6": "=A1", "Z1": "=SUM(A1:A6)*AVERAGE(A1:A6)"}, "A1,A5"),
    ("text in a filled row", {"A1:C4": [[1, "x", 3], [4, 5, 6], ["y", None, 9], [True, 2, 1]], "D1:D4": "=SUM(A1:C1)*$F$1",
                              "E1:E4": "=AVERAGE(A1:C1)*$F$1", "F1": 2, "Z1": "=SUMSQ(D1:E4)"}, "F1"),
    ("single cells with text", {"A1:A4": [1, "x", None, 4], "B1:B4": "=SUM(A1)*$C$1", "C1": 2, "Z1": "=SUM(B1:B4)"}, "C1"),
    ("every second row", {"A1:A6": [1, "x", 2, "y", 3, "z"], "C1": 2, "D1:D1": "=SUM(A1)*$C$1", "D2:D2": "=SUM(A3)*$C$1",
                          "D3:D3": "=SUM(A5)*$C$1", "Z1": "=SUM(D1:D3)"}, "C1"),
    ("blocks of booleans", {"A1:A4": numbers(4), "B1:B4": "=A1>0", "C1:C4": "=IF(B1,A1,-2*A1)", "D1:D4": "=AND(A1>0,B1)",
                            "Z1": "=SUM(C1:C4)+SUMPRODUCT(B1:B4*A1:A4)+COUNTIF(D1:D4,TRUE)+SUM(A1:D4)"}, "A1:A4"),
    ("a block seen through a hole", {"A1:A5": numbers(5), "B1:B5": "=A1*3", "C1:C5": "=SUM($B$1:$B$5)-B1", "Z1": "=PRODUCT(C1:C5)"},
     "A1:A5"),
]  # fmt: skip


@pytest.mark.parametrize(("cells", "params"), [case[1:] for case in MIXED], ids=[case[0] for case in MIXED])
def test_mixed(cells: Cells, params: str) -> None:
    against_ironcalc(cells, params)


# --- arrays against numpy ---------------------------------------------------------------------------------


def array(cells: Sequence[Sequence[float]]) -> np.ndarray[Any, np.dtype[np.float64]]:
    return np.array(cells)


def windows(image: np.ndarray[Any, Any], size: int) -> np.ndarray[Any, Any]:
    return np.lib.stride_tricks.sliding_window_view(image, (size, size))


@pytest.mark.parametrize(
    "formula", ["{=SUM(A1:C3*$I$1:$K$3)}", "=SUMPRODUCT(A1:C3*$I$1:$K$3)", "=SUMPRODUCT(A1:C3,$I$1:$K$3)"]
)
@pytest.mark.parametrize("image_trains", [True, False])
def test_convolution(formula: str, image_trains: bool) -> None:
    image, kernel = numbers(6, 7), numbers(3, 3)
    cells: dict[str, Any] = {"A1:G6": image, "I1:K3": kernel, "Z1": "=SUMSQ(M1:Q4)"}
    if formula.startswith("{"):
        cells |= {
            f"{c}{r}": formula.replace("A1:C3", f"{a}{r}:{b}{r + 2}")
            for c, a, b in zip("MNOPQ", "ABCDE", "CDEFG", strict=True)
            for r in range(1, 5)
        }
    else:
        cells["M1:Q4"] = formula
    expected = (windows(array(image), 3) * array(kernel)).sum((2, 3))
    model = check(cells, "I1:K3,A1:G6" if image_trains else "I1:K3", float((expected**2).sum()))
    assert len(model.blocks) == 2


def test_convolution_over_channels_and_pooling() -> None:
    red, green, kernel = numbers(5, 5), numbers(5, 5), numbers(3, 6)
    cells: dict[str, Any] = {
        "A1:E5": red, "F1:J5": green, "L1:Q3": kernel, "S1:U3": "=MAX(0,SUMPRODUCT(A1:C3,$L$1:$N$3)+SUMPRODUCT(F1:H3,$O$1:$Q$3))",
        "S5:T6": "=MAX(S1:T2)", "Z1": "=SUMSQ(S5:T6)",
    }  # fmt: skip
    plane = (windows(array(red), 3) * array(kernel)[:, :3] + windows(array(green), 3) * array(kernel)[:, 3:]).sum(
        (2, 3)
    )
    pooled = windows(np.maximum(plane, 0), 2).max((2, 3))
    check(cells, "L1:Q3", float((pooled**2).sum()))


def test_matrix_products() -> None:
    left, right = numbers(4, 3), numbers(3, 2)
    cells: dict[str, Any] = {
        "A1:C4": left,
        "E1:F3": right,
        "H1:I4": "{=MMULT(A1:C4,E1:F3)}",
        "Z1": "=SUMSQ(H1:I4)",
    }
    expected = array(left) @ array(right)
    model = check(cells, "A1:C4,E1:F3", float((expected**2).sum()))
    assert "matmul" in operations(model)
    layers = "{=MMULT(TRANSPOSE(TANH(MMULT(A1:C4,E1:F3))),TANH(MMULT(A1:C4,E1:F3)))}"
    hidden = np.tanh(expected)
    check(
        {**cells, "H1:I2": layers, "H1:I4": None, "Z1": "=SUM(H1:I2)"},
        "E1:F3",
        float((hidden.T @ hidden).sum()),
    )
    each = {
        **cells,
        "H1:I4": None,
        **{f"H{r}": f"{{=SUM(MMULT(A{r}:C{r},TRANSPOSE(A{r}:C{r})))}}" for r in range(1, 5)},
    }
    check({**each, "Z1": "=SUM(H1:H4)"}, "A1:C4", float((array(left) ** 2).sum()))


def test_matrix_product_per_row() -> None:
    """A row of each copy times a fixed matrix, in array formulas that are filled down."""
    left, right = numbers(3, 2), numbers(2, 3)
    cells: dict[str, Any] = {"A1:B3": left, "D1:F2": right, "Z1": "=SUMSQ(H1:J3)"}
    cells |= {f"H{r}:J{r}": f"{{=MMULT(A{r}:B{r},$D$1:$F$2)}}" for r in (1, 2, 3)}
    model = check(cells, "A1:B3,D1:F2", float(((array(left) @ array(right)) ** 2).sum()))
    assert len(model.blocks) == 2


def test_broadcasting() -> None:
    column, row = numbers(3), numbers(1, 4)
    cells: dict[str, Any] = {
        "A1:A3": column,
        "C1:F1": row,
        "H1:K3": "{=A1:A3*C1:F1+A1:A3^2-{1,2,3,4}}",
        "Z1": "=SUMSQ(H1:K3)",
    }
    expected = array(column) * array(row) + array(column) ** 2 - np.arange(1, 5)
    check(cells, "A1:A3,C1:F1", float((expected**2).sum()))
    check({**cells, "Z1": "=SUMPRODUCT(A1:A3*C1:F1)"}, "A1:A3,C1:F1", float((array(column) * array(row)).sum()))


def test_arrays_that_do_not_fit() -> None:
    with refusal(DataError, cell="Sheet1!Z1", cause=r"^the formula .* different sizes \(3x1 and 2x1\)"):
        compiled({"A1:A3": numbers(3), "Z1": "=SUMPRODUCT(A1:A3*A1:A2)"}, "A1:A3")
    with refusal(DataError, cell="Sheet1!Z1", cause="whole range"):
        compiled({"A1:C3": numbers(3, 3), "Z1": "=A1:C3*2"}, "A1:C3")
    for formula, error in (("=SUM(MMULT(A1:A3,A1:A2))", "#VALUE!"), ("=INDEX(A1:A3,4)+SUM(A1:A3)", "#REF!")):
        with refusal(DataError, cell="Sheet1!Z1", cause=f"^the formula .* but {error}"):
            compiled({"A1:A3": numbers(3), "Z1": formula}, "A1:A3")
        assert str(value(formula, {"A1:A3": numbers(3)}, params=["A1:A3"])) == error


# --- conditional sums -------------------------------------------------------------------------------------

DATA: Cells = {
    "A1:A6": [1.5, -2, 3, 4, -5, 6], "B1:B6": ["male", "Female", "mule", None, "", "5"], "C1:C6": [1, 2, True, 5, "x", None],
    "D1:D6": [10, 20, 30, 40, 50, 60],
}  # fmt: skip
CRITERIA = ['"male"', '"MALE"', '"m*"', '"m?le"', '"*"', '"=m*"', "5", '"5"', '">1"', '">=2"', '"<0"', '"<>2"', '"<>"', '""',
            "TRUE", '">b"', '"x"', "B1", "C2", '">"&C1', '"~*"', "E9"]  # fmt: skip


@pytest.mark.parametrize("wanted", CRITERIA)
@pytest.mark.parametrize("area", ["A1:A6", "B1:B6", "C1:C6"])
def test_criteria(area: str, wanted: str) -> None:
    """Constant and parameter-dependent ranges, against IronCalc (which matches no number with text patterns)."""
    cells = {**DATA, "Z1": f"=COUNTIF({area},{wanted})", "Z2": f"=SUMIF({area},{wanted},D1:D6)",
             "Z3": f"=SUMIFS(D1:D6,{area},{wanted},A1:A6,\">0\")", "Z4": f"=AVERAGEIF({area},{wanted},D1:D6)"}  # fmt: skip
    expected = calculated(book(cells), "Z1:Z4")
    for params in ((), ("D1:D6",), ("A1:A6", "D1:D6")):
        found = values(cells, "Z1:Z4", params=params)
        for ours, theirs in zip(found, expected.values(), strict=True):
            assert isinstance(ours, ExcelError) if theirs is None else ours == pytest.approx(theirs), (
                found,
                expected,
            )


@pytest.mark.parametrize(
    ("formula", "expected"),
    [("=COUNTIF(B1:B6,\"<>male\")", 5), ("=COUNTIF(A1:A6,\"<>male\")", 6), ("=COUNTIF(C1:C6,\"<>x\")", 5),
     ("=COUNTIF(B1:B6,\"=\")", 1), ("=COUNTIF(B1:B6,\"\")", 2), ("=SUMIF(B1:B6,\"<>m*\",D1:D6)", 170)],
)  # fmt: skip
def test_criteria_that_oracles_disagree_on(formula: str, expected: float) -> None:
    """<> is met by cells of any other kind, = by blank cells only, and "" by empty text as well."""
    for params in ((), ("A1:A6",)):
        assert value(formula, DATA, params=params) == expected


def test_group_by() -> None:
    cells: dict[str, Any] = {
        "A1:A6": numbers(6), "B1:B6": ["x", "y", "x", "z", "y", "x"], "C1:C6": [1, 2, 1, 1, 2, 2], "E1:E3": ["x", "y", "z"], "F1:F2": [1, 2],
        "G1:G3": "=SUMIF($B$1:$B$6,E1,$A$1:$A$6)", "H1:H2": "=AVERAGEIFS($A$1:$A$6,$C$1:$C$6,F1)",
        "I1:I6": "=COUNTIF($B$1:B1,B1)*A1+SUMIF($B$1:B1,\"x\",$A$1:A1)", "Z1": "=SUMSQ(G1:G3)+SUMSQ(H1:H2)+SUM(I1:I6)",
    }  # fmt: skip
    against_ironcalc(cells, "A1:A6")


def test_sums_of_chosen_parameters() -> None:
    cells: dict[str, Any] = {
        "A1:A6": numbers(6),
        "B1:B6": "=A1*2",
        "Z1": '=SUMIF(B1:B6,">0")+SUMIFS(B1:B6,A1:A6,"<0")*3+SUM(A1:A6)',
    }
    data = array(cells["A1:A6"])
    expected = 2 * data[data > 0].sum() + 6 * data[data < 0].sum() + data.sum()
    check(cells, "A1:A6", float(expected))
    check({"A1:A3": [1, 2, 3], "B1:B3": [1, ExcelError.NA, 0], "Z1": '=SUMIF(A1:A3,"<>2",B1:B3)*A1'}, "A1", 1)
    check({"A1:A3": [1, 2, 3], "B1:B6": [1, 2, 3, 4, 5, 6], "Z1": '=SUMIF(A1:A3,">1.5",B2)*A1'}, "A1", 0 + 3 + 4)


def test_criteria_that_differ_from_copy_to_copy() -> None:
    """Criteria of all sorts in one column come to what each comes to by itself."""
    wanted = ["male", '="=MALE"', "<>male", "m*", "<>m*", "m?le", "*", "~*", ">b", "<=m", "", '="="', "<>", 5, ">1", "<>2", True, "FALSE", "zz",
              None, ExcelError.NA]  # fmt: skip
    for area in ("A1:A6", "B1:B6", "C1:C6"):
        fixed = area.replace("A", "$A$").replace("B", "$B$").replace("C", "$C$")
        cells = {**DATA, f"K1:K{len(wanted)}": wanted, f"L1:L{len(wanted)}": f"=SUMIF({fixed},K1,$D$1:$D$6)"}
        for params in ((), ("A1:A6", "D1:D6")):
            together = values(cells, f"L1:L{len(wanted)}", params=params)
            alone = [value(f"=SUMIF({area},K{row},D1:D6)", cells, params=params) for row in range(1, len(wanted) + 1)]
            assert together == alone, area


@pytest.mark.parametrize(
    ("pattern", "text", "met"),
    [("*a*a*a*c", "aaaac", 1), ("*a*a*a*c", "aac", 0), ("a*", "a", 1), ("a*a", "a", 0), ("a**b", "AB", 1), ("*", "", 1), ("*ab*ba*", "aba", 0),
     ("*ab?ba*", "XabXBAx", 1), ("?", "", 0), ("a~*b", "a*b", 1), ("a~*b", "axb", 0), ("~~a*", "~abc", 1), ("a~b", "ab", 1), ("a~b", "a~b", 0), ("a.c*", "abc", 0),
     ("*\n*", "a\nb", 1), ("*a?c", "abcaxc", 1)],
)  # fmt: skip
def test_wildcards(pattern: str, text: str, met: float) -> None:
    assert value("=COUNTIF(A1:A2,B1)", {"A1": text, "B1": pattern}) == met


def test_wildcards_do_not_try_all_ways() -> None:
    began = time.process_time()
    assert value("=COUNTIF(A1,B1)", {"A1": "a" * 2000, "B1": "*a" * 100 + "*c"}) == 0
    assert time.process_time() - began < 10


def test_many_criteria_on_many_cells() -> None:
    """Time grows with rows times cells, not with rows times rows times cells."""
    count = 1000
    cells = {f"A1:A{count}": [f"team {i}" for i in range(count)], f"B1:B{count}": [float(i) for i in range(count)],
             f"C1:C{count}": f"=SUMIF($A$1:$A${count},A1,$B$1:$B${count})", "Z1": f"=SUMSQ(C1:C{count})"}  # fmt: skip
    began = time.process_time()
    model = compiled(cells, f"B1:B{count}")
    assert time.process_time() - began < 10
    assert float(model().detach()) == sum(i * i for i in range(count))


# --- the recorded program ---------------------------------------------------------------------------------


@pytest.mark.parametrize("case", [*FILLED, *MIXED], ids=[case[0] for case in [*FILLED, *MIXED]])
def test_the_program_needs_nothing_but_torch(case: tuple[str, Cells, str]) -> None:
    _, cells, params = case
    model = compiled(cells, params, "Z1" if "Z1" in cells else "F1")
    for node in model.program.graph.nodes:
        if node.op == "call_function":
            assert node.target.__module__ is None or node.target.__module__.partition(".")[0] in (
                "torch",
                "_operator",
            )
        else:
            assert node.op in ("get_attr", "call_method", "output")
    code = model.program.code
    assert isinstance(model.program, fx.GraphModule)
    assert "import" not in code
    again = torch.compile(model.program, backend="eager", fullgraph=True)
    assert float(again().detach()) == float(model().detach())


@pytest.mark.parametrize("outer", ["TANH({})", "EXP({})", "({})^2", "1/({})", "ABS({})", "MAX({},0)", "SIN({})*$F$2"])
@pytest.mark.parametrize("inner", ["LN($F$2-A1)-$F$3", "$F$3+SQRT($F$2-A1)", "$F$1*(LN($F$2-A1)-$F$3)"])
def test_a_hidden_error_leaves_the_gradient_of_what_is_added_to_it(outer: str, inner: str) -> None:
    cells: Cells = {
        "A1:A3": [1, 5, 2],
        "F1:F3": [0.3, 3.0, 0.2],
        "D1:D3": "=" + outer.format(inner),
        "E1:E3": "=IFERROR(D1,0.1*$F$3)",
        "Z1": "=SUM(E1:E3)+$F$1",
    }
    model = compiled(cells, "F1:F3")
    (parameter,) = model.parameters()
    (gradient,) = torch.autograd.grad(model(), parameter)
    for place in range(3):
        losses = []
        for step in (1e-6, -1e-6):
            with torch.no_grad():
                parameter[place] += step
                losses.append(model().item())
                parameter[place] -= step
        assert gradient[place].item() == pytest.approx((losses[0] - losses[1]) / 2e-6, rel=1e-6, abs=1e-8)


def test_plain_sheets_give_plain_programs() -> None:
    """What one would write by hand: no guards where nothing can go wrong, matrix products for sums of products."""
    cells: dict[str, Any] = {
        "A1:C6": numbers(6, 3),
        "E1:G1": numbers(1, 3),
        "D1:D6": "=1/(1+EXP(-SUMPRODUCT(A1:C1,$E$1:$G$1)))",
        "Z1": "=AVERAGE(D1:D6)",
    }
    found = operations(compiled(cells, "E1:G1"))
    assert found.count("matmul") == 1
    assert "isnan" not in found
    assert "unfold" not in found
    assert found.count("where") <= 1  # of EXP


def test_float32() -> None:
    cells: dict[str, Any] = {
        "A1:B6": numbers(6, 2),
        "C1:C6": '=IF(A1>0,LN(A1+$E$1^2),IFERROR(SQRT(B1),"none"))',
        "E1": 2,
        "Z1": "=SUM(C1:C6)+E1/0.3",
    }
    double = compiled(cells, "E1")
    single = sgdsheet.compile(book(cells), HOME, loss="Z1", params="E1", precision="float32")
    result = single()
    assert result.dtype == torch.float32
    torch.testing.assert_close(result.double(), double(), rtol=1e-5, atol=1e-5)


# --- lookups ----------------------------------------------------------------------------------------------

KEYS: dict[str, Any] = {
    "A1:A4": ["one", "two", "three", "four"], "B1:B4": numbers(4), "C1:C4": [1, 2, 4, 8], "D1:D3": ["three", "one", "Two"],
    "E1:E3": [2, 7.5, 8],
}  # fmt: skip


@pytest.mark.parametrize(
    "formula",
    [
        "=VLOOKUP(D1,$A$1:$B$4,2,FALSE)", "=INDEX($B$1:$B$4,MATCH(D1,$A$1:$A$4,0))", "=INDEX($B$1:$B$4,MATCH(E1,$C$1:$C$4))",
        "=INDEX(B1:B2,MATCH(\"x\",A1:A2,0)+1)", "=IFERROR(VLOOKUP(\"none\",$A$1:$B$4,2,FALSE),$B$4*3)",
        "=CHOOSE(E1/2,$B$1,$B$2,$B$3,$B$4)", "=CHOOSE(9,$B$1)",
        "=MATCH(E1,$C$1:$C$4)*$B$1", "=INDEX(B1:B2,E1/E1)",
    ],
)  # fmt: skip
def test_lookups(formula: str) -> None:
    cells = {**KEYS, "F1:F3": formula, "Z1": "=IFERROR(SUMSQ(F1:F3),0)+SUMSQ(B1:B4)"}
    against_ironcalc(cells, "B1:B4")


@pytest.mark.parametrize(
    ("formula", "places"),
    [
        ("=_xlfn.XLOOKUP(D1,$A$1:$A$4,$B$1:$B$4)", (2, 0, 1)),
        ("=_xlfn.XLOOKUP(D1,$A$2:$A$4,$B$2:$B$4,$B$4)", (2, 3, 1)),
        ('=_xlfn.SWITCH(D1,"one",$B$1,"two",$B$2,$B$3)', (2, 0, 1)),
    ],
)
def test_newer_lookups(formula: str, places: tuple[int, ...]) -> None:
    cells = {**KEYS, "F1:F3": formula, "Z1": "=SUMSQ(F1:F3)+SUMSQ(B1:B4)"}
    assert values(cells, "F1:F3", params=["B1:B4"]) == [KEYS["B1:B4"][place][0] for place in places]
    check(cells, "B1:B4", None)


@pytest.mark.parametrize(
    ("formula", "error"),
    [
        ("=VLOOKUP(D1,$A$1:$B$4,3,FALSE)", ExcelError.REF),
        ("=VLOOKUP(D1,$A$1:$B$4,0,FALSE)", ExcelError.VALUE),
        ("=VLOOKUP(D1,$A$1:$B$4,-0.5,FALSE)", ExcelError.VALUE),
        ("=VLOOKUP(D1,$A$1:$A$4,2,FALSE)", ExcelError.REF),
        ("=HLOOKUP(1,$C$1:$D$4,5)", ExcelError.REF),
        ("=HLOOKUP(1,$C$1:$D$4,0)", ExcelError.VALUE),
        ("=_xlfn.XLOOKUP(D1,$A$1:$A$4,$B$1:$B$3)", ExcelError.VALUE),
        ("=INDEX($B$1:$B$4,-1)", ExcelError.VALUE),
        ("=INDEX($B$1:$B$4,5)", ExcelError.REF),
    ],
)
def test_lookups_outside_of_the_table(formula: str, error: ExcelError) -> None:
    """An error value, of Excel's kind, that IFERROR catches."""
    cells = {**KEYS, "F1:F3": formula, "G1:G3": f"=IFERROR({formula[1:]},7)", "Z1": "=SUMSQ(B1:B4)+SUM(G1:G3)"}
    for params in ((), ("B1:B4",)):
        assert values(cells, "F1:F3", params=params) == [error] * 3
    check(cells, "B1:B4", None)


@pytest.mark.parametrize("position", ['"x"', "1/0", "$A$1", "D1"])
def test_a_position_that_is_no_number_is_an_error(position: str) -> None:
    for formula in (f"=INDEX($B$1:$B$4,{position})", f"=INDEX($B$1:$C$4,2,{position})"):
        cells = {**KEYS, "F1:F3": formula, "G1": f"=IFERROR({formula[1:]},7)", "Z1": "=SUMSQ(B1:B4)"}
        *found, instead = values(cells, "F1:F3", "G1", params=["B1:B4"])
        assert all(isinstance(item, ExcelError) for item in found)
        assert instead == 7


TABLE: dict[str, Any] = {
    "A1:A7": ["from", 0, 10, 10, 25, 50, 100], "B1:B7": ["gives", 5, 4, 3.5, 3, 2, 1],
    "C1:C6": [90, 40, 40, 20, 5, -1], "E1:E7": [7, 3, 9, 3, None, 1, True], "F1:F7": [1, 2, 3, 4, 5, 6, 7],
}  # fmt: skip
KEYED = (
    *("VLOOKUP(D1,$A$1:$B$7,2)", "VLOOKUP(D1,$A$2:$B$7,2,FALSE)", "HLOOKUP(D1,{0,10,25;7,8,9},2)"),
    *("MATCH(D1,$A$1:$A$7)", "MATCH(D1,$A$1:$A$7,0)", "MATCH(D1,$C$1:$C$6,-1)", "MATCH(D1,$E$1:$E$7,0)"),
    *("LOOKUP(D1,$A$2:$A$7,$B$2:$B$7)", "LOOKUP(D1,$A$2:$B$7)", "INDEX($B$2:$B$7,MATCH(D1,$A$2:$A$7,0))"),
    *("XLOOKUP(D1,$A$1:$A$7,$F$1:$F$7)", "XLOOKUP(D1,$E$1:$E$7,$F$1:$F$7,-1)", "XLOOKUP(D1,$E$1:$E$7,$F$1:$F$7,,-1)"),
    *("XLOOKUP(D1,$E$1:$E$7,$F$1:$F$7,-7,1,-1)", "XMATCH(D1,$E$1:$E$7,0,-1)", "XMATCH(D1,$A$1:$A$7,-1)"),
    *("XMATCH(D1,$C$3:$C$6,0,-2)", "IFERROR(VLOOKUP(D1*2-1,$A$1:$B$7,2,0),-3)"),
)


@pytest.mark.parametrize("formula", KEYED)
def test_keys_that_parameters_decide(formula: str) -> None:
    """While the program runs, for many keys at once, it finds what is found for fixed keys."""
    keys = [-2.0, 0.0, 1.0, 3.0, 5.0, 5.5, 9.0, 10.0, 12.5, 20.0, 24.999, 25.0, 40.0, 90.0, 100.0, 1e6]
    cells = {**TABLE, "D1": 3.0, "Z1": f"={formula}+D1*0"}
    model = compiled(cells, "D1")
    found, _ = Population(FlatModel(model, no_constraints(model))).values(np.array(keys)[:, None])
    for key, live in zip(keys, found.tolist(), strict=True):
        (fixed,) = values({**cells, "D1": key}, "Z1")
        assert math.isnan(live) if isinstance(fixed, ExcelError) else live == fixed, key


def test_unsorted_keys_of_a_parameter() -> None:
    """What bisection meets there depends on the key."""
    with refusal(FormulaError, cell="Sheet1!Z1", cause="looks a parameter up in cells that are not sorted"):
        compiled({**TABLE, "D1": 3.0, "Z1": "=VLOOKUP(D1,E1:F4,2)+D1"}, "D1")


def test_a_parameter_finds_numbers_only() -> None:
    with refusal(FormulaError, cell="Sheet1!Z1", cause="and not all of the cells are numbers"):
        compiled({**KEYS, "G1": 2.0, "Z1": "=LEN(XLOOKUP(G1,C1:C4,A1:A4))+G1"}, "G1")


def test_cells_that_are_searched_are_fixed() -> None:
    for formula in ("=MATCH(B1,$B$1:$B$4,0)", "=VLOOKUP($B$1,$B$1:$C$4,2,0)"):
        with refusal(FormulaError, cell="Sheet1!F1", cause="^the formula looks something up by a value that depends"):
            compiled({**KEYS, "F1:F3": formula, "Z1": "=SUM(F1:F3)+SUM(B1:B4)"}, "B1:B4")


def test_a_position_that_a_parameter_decides() -> None:
    """INDEX picks as IF does: the slope is that of the cell that was picked."""
    cells = {"A1": 10, "A2": 20, "A3": 30, "D1": 2, "B1": "=INDEX(A1:A3,D1)", "Z1": "=B1^2+D1"}
    model = compiled(cells, "A1:A3,D1")
    assert model().item() == 402
    assert list(model.gradients().values()) == [0, 40, 0, 1]
    beyond = {**cells, "D1": 4, "Z1": "=IFERROR(B1,7)+SUM(A1:A3)+D1"}
    assert compiled(beyond, "A1:A3,D1")().item() == 71


def test_the_whole_of_a_column() -> None:
    cells = {"A1": 1, "B1": 2, "A2": 3, "B2": 4, "Z1": "=SUM(INDEX(A1:B2,0,2))"}
    assert values(cells, "Z1", params=["A1"]) == [6]


def test_many_growing_windows() -> None:
    """Too many to blow up: one by one."""
    cells: dict[str, Any] = {"A1:A6000": 0.5, "B1:B6000": "=SUM($A$1:A1)", "Z1": "=B5999+B6000"}
    model = compiled({**cells, "Z1": "=SUM(B5990:B6000)+SUM(A1:A6000)"}, "A1:A6000")
    assert model().item() == pytest.approx(0.5 * sum(range(5990, 6001)) + 3000)
