"""When two numbers of a cell are the same: one rule, and the shares that it is used with stand in one place."""

from __future__ import annotations

import ast
import math
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sgdsheet.sheet.agreement import LEAST, ROUNDING, RUNNING, SINGLE, same_number, same_value, share_for
from sgdsheet.sheet.workbook import ExcelError, Value

PACKAGE = Path(__file__).parent.parent / "sgdsheet"
READ_WORKBOOKS = ("live/commands", "live/run", "live/undo", "apps/udf", "compiler/proof.py")
"""Where numbers of a workbook are compared with ours."""

shares = st.sampled_from([ROUNDING, RUNNING, SINGLE])
finite = st.floats(allow_nan=False, allow_infinity=False, width=32)


@given(one=finite, other=finite, share=shares, least=st.sampled_from([0.0, LEAST]))
def test_same_number(one: float, other: float, share: float, least: float) -> None:
    same = same_number(one, other, share, least)
    assert same == same_number(other, one, share, least)
    assert same == same_number(-one, -other, share, least)
    assert same_number(one, one, share, least)
    if abs(one - other) > share * max(abs(one), abs(other), least):
        assert not same


@pytest.mark.parametrize("share", [ROUNDING, RUNNING, SINGLE])
@pytest.mark.parametrize("number", [1.0, -3e8, 2e-3])
def test_the_share_is_of_the_larger_number(number: float, share: float) -> None:
    assert same_number(number, number * (1 + 0.9 * share), share)
    assert not same_number(number, number * (1 + 1.1 * share), share)


def test_what_is_left_of_a_difference_counts_as_nothing_where_a_least_size_is_given() -> None:
    assert not same_number(0.0, 1e-16)
    assert same_number(0.0, 1e-16, least=LEAST)
    assert not same_number(0.0, 1e-14, least=LEAST)


def test_what_is_not_finite() -> None:
    assert same_number(math.inf, math.inf)
    assert not same_number(math.inf, -math.inf)
    assert not same_number(math.inf, 1.0)
    assert not same_number(1.0, -math.inf, SINGLE, LEAST)
    assert not same_number(math.nan, math.nan)
    assert not same_number(math.nan, 1.0)


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        (1.0, 1.0 + 1e-12, True),
        (1.0, True, False),
        (0.0, False, False),
        (True, True, True),
        ("Adam", "ADAM", True),
        ("1", 1.0, False),
        (ExcelError.SPILL, ExcelError.VALUE, True),
        (ExcelError.NUM, ExcelError.VALUE, False),
    ],
)
def test_same_value(one: Value, other: Value, same: bool) -> None:
    assert same_value(one, other) is same
    assert same_value(other, one) is same


def test_share_for_a_precision() -> None:
    assert share_for("float32") == share_for("float32", RUNNING) == SINGLE
    assert share_for("float64") == share_for(None) == ROUNDING
    assert share_for(None, RUNNING) == RUNNING


def test_no_module_that_reads_workbooks_has_a_share_of_its_own() -> None:
    paths = [path for name in READ_WORKBOOKS for path in [PACKAGE / name, *(PACKAGE / name).rglob("*.py")]]
    found = [
        f"{path.relative_to(PACKAGE)}:{node.lineno}: {node.value} belongs to sheet/agreement.py"
        for path in paths
        if path.is_file()
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Constant) and isinstance(node.value, float) and 0 < node.value < 1e-3
    ]
    assert not found
