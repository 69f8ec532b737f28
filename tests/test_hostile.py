"""Workbooks that are made to hang, to run out of memory or to be misread."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

import pytest

import sgdsheet
from sgdsheet.compiler.model import SheetModel
from sgdsheet.errors import FormulaError, ProblemError, SettingError, SgdSheetError
from sgdsheet.sheet.workbook import Workbook
from tests.errors import ANYWHERE, refusal
from tests.sheets import book, compiled


@pytest.fixture(autouse=True)
def _quick() -> Iterator[None]:
    start = time.process_time()
    yield
    assert time.process_time() - start < 20


def doubled(count: int) -> dict[str, str]:
    """Names each of which uses the next one twice."""
    return {f"n_{number}": f"n_{number + 1}+n_{number + 1}" for number in range(count)} | {f"n_{count}": "Sheet1!$A$1"}


LET = ",".join(f"x_{number},x_{number - 1}+x_{number - 1}" for number in range(1, 40))


@pytest.mark.parametrize(
    ("cells", "names", "cause"),
    [
        ({"A1": 1, "Z1": "=n_0"}, doubled(40), "grows too large once its names are written out"),
        ({"A1": 1, "Z1": "=A1+circle"}, {"circle": "circle+circle"}, "names that refer to each other in a circle"),
        ({"A1": 1, "Z1": "=A1+SUM(C2:XFD1048576)"}, {}, "more than can be handled"),
        ({"A1": 1, "XFD1048576": 1, "Z1": "=A1+SUM(AB:XFD)"}, {}, "more than can be handled"),
        ({"A1": 1, "C1:C30000": 1, "Z1:Z1": "{=SUM(A1*C1:C30000*TRANSPOSE(C1:C30000))}"}, {}, "numbers at once"),
        ({"A1": 1, "AA1:XFD1048576": "{=A1*2}", "Z1": "=AA1"}, {}, "more than can be handled"),
        ({"A1": 1, "Z1": "=A1" + "+A1" * 300}, {}, "nested too deep, or has more than 256 terms"),
    ],
    ids=["names", "circle", "range", "extent", "array", "spill", "terms"],
)
def test_bombs(cells: dict[str, Any], names: dict[str, str], cause: str) -> None:
    with refusal(FormulaError, cell=ANYWHERE, cause=cause):
        compiled(cells, "A1", names=names)


def test_names_of_a_formula_that_double_are_calculated_once() -> None:
    assert compiled({"A1": 1, "Z1": f"=LET(x_0,A1,{LET},x_39)"}, "A1")().item() == 2.0**39


@pytest.mark.parametrize("params", ["AB:XFD", "A1,AB1:XFD1048576", "A1:XFD1048576,A1"])
def test_endless_parameters(params: str) -> None:
    with refusal(ProblemError, cell=ANYWHERE, cause="more than can be trained"):
        compiled({"A1": 1, "Z1": "=A1", "XFD1048576": 1}, params)


def test_sparse_columns() -> None:
    """A few cells in whole columns cost what they hold, not what they could."""
    model = compiled({"A1": 2, "AA1": 3, "AC900000": 4, "Z1": "=A1*SUM(AA:AC)"}, "A1")
    assert model().item() == 14


def test_names_that_look_alike() -> None:
    """'my sheet' and my_sheet are the same as a Python name, and two ranges all the same."""
    made = book({"'my sheet'!A1": 1, "my_sheet!A1": 5, "Z1": "='my sheet'!A1+10*my_sheet!A1"})
    model = sgdsheet.compile(made, "Sheet1", loss="Z1", params="'my sheet'!A1,my_sheet!A1")
    assert model().item() == 51
    assert list(model.gradients().values()) == [1, 10]
    assert len(set(model.parameter_names)) == 2


def at_two(formula: str) -> SheetModel:
    return compiled({"A1": 2, "Z1": f"={formula}"}, "A1")


@pytest.mark.parametrize(
    ("formula", "expected"),
    [
        ("LET(x,A1,LET(x,A1*2,x))", 4),
        ("LET(x,A1,x+LET(x,x*2,x))", 6),
        ("LET(x,A1,y,x*3,LET(z,y+1,x+z))", 9),
        ("LET(x,A1," * 22 + "x" + ")" * 22, 2),
    ],
)
def test_let_within_let(formula: str, expected: float) -> None:
    assert at_two(formula)().item() == expected


def test_let_of_no_variable_names_its_cause() -> None:
    with refusal(FormulaError, cell="Sheet1!Z1", cause="LET with something that is not a variable"):
        at_two("LET(3,A1,A1)")


def test_wrong_use() -> None:
    model = at_two("A1^2")
    with refusal(SettingError, cause="lr and learning_rate are the same"):
        sgdsheet.Session(model, lr=0.1, learning_rate=0.5)
    with refusal(SettingError, remedy="Allowed: float64, float32"):
        sgdsheet.compile(model.workbook, "Sheet1", loss="Z1", params="A1", precision="float16")
    with refusal(SgdSheetError, cause="no worksheet"):
        sgdsheet.compile(Workbook("empty.xlsx"), loss="A1", params="A2")
