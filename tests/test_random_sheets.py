"""Random small sheets: our values are IronCalc's, our gradients those of central differences."""

from __future__ import annotations

from typing import Any

import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sgdsheet.compiler.evaluation import evaluate
from sgdsheet.errors import FormulaError
from sgdsheet.sheet.references import address
from tests.oracle import agree, calculated
from tests.sheets import book, differences, lowered

LAST = 6
"""Rows of the sheet. Column A holds parameters, B data with a text or a blank; C to G are filled down."""

numbers = st.integers(-40, 40).map(lambda number: number / 8)
data = st.one_of(numbers, numbers, numbers, st.sampled_from(["x", "male", "7", None, True]))
COLUMNS = "ABCDEFG"
REFUSED = ("calculates with text", "gives text or a number", "compares cells of different kinds")
"""What sgdsheet may say of a random sheet: text that depends on a parameter."""


@st.composite
def cell(draw: st.DrawFn, column: int) -> str:
    """A cell to the left, as row 1 of this column would refer to it."""
    other = draw(st.integers(1, column - 1))
    row = draw(st.sampled_from([1, 1, 1, 2]))
    dollar = draw(st.sampled_from(["", "", "$"]))
    return f"${COLUMNS[other - 1]}{dollar}{row}" if draw(st.booleans()) else f"{COLUMNS[other - 1]}{dollar}{row}"


@st.composite
def area(draw: st.DrawFn, column: int) -> str:
    """A range to the left: fixed, sliding or growing."""
    other = COLUMNS[draw(st.integers(1, column - 1)) - 1]
    return draw(
        st.sampled_from(
            [
                f"{other}$1:{other}${LAST}",
                f"${other}$2:${other}$4",
                f"{other}1:{other}3",
                f"{other}$1:{other}1",
            ]
        )
    ).replace(f"{other}1:{other}3", f"$A1:{other}2")


def smooth(column: int) -> st.SearchStrategy[str]:
    leaf = st.one_of(cell(column), cell(column), st.sampled_from(["0.5", "2", "-1.25", "3"]))

    def bigger(part: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
        binary = st.tuples(part, st.sampled_from(["+", "-", "*", "/"]), part).map(lambda found: f"({''.join(found)})")
        unary = st.tuples(st.sampled_from(["TANH", "SIN", "ATAN", "ABS", "-", "N"]), part).map(
            lambda found: f"{found[0]}({found[1]})" if found[0] != "N" else f"({found[1]})^2"
        )
        choice = st.tuples(st.sampled_from(["<", ">=", "="]), part, part, part).map(
            lambda found: f"IF({found[1]}{found[0]}0.3,{found[2]},{found[3]})"
        )
        text = st.tuples(st.sampled_from(['B1="male"', 'B1="X"', "B1>0", "$B1<>7"]), part, part).map(
            lambda found: f"IF({found[0]},{found[1]},{found[2]})"
        )
        # What is put in the place of an error is a number: text there is an error of the loss.
        instead = st.sampled_from(["$A1", "0.5", "A$2*2"])
        caught = st.tuples(st.sampled_from(["LN", "SQRT", "1/"]), part, instead).map(
            lambda found: f"IFERROR({found[0]}({found[1]}),{found[2]})"
        )
        reduced = st.tuples(st.sampled_from(["SUM", "MAX", "MIN", "COUNT", "AVERAGE", "SUMSQ"]), area(column)).map(
            lambda found: f"{found[0]}({found[1]})"
        )
        products = area(column).map(lambda found: f"SUMPRODUCT({found},{found})")
        counted = st.tuples(area(column), st.sampled_from(['">0"', '"male"', "2", '"<=1"'])).map(
            lambda found: f"SUMIF({found[0]},{found[1]})"
        )
        return st.one_of(binary, binary, unary, choice, text, caught, reduced, products, counted)

    return st.recursive(leaf, bigger, max_leaves=6)


@st.composite
def sheets(draw: st.DrawFn) -> dict[str, Any]:
    found: dict[str, Any] = {
        f"A1:A{LAST + 1}": draw(st.lists(numbers, min_size=LAST + 1, max_size=LAST + 1)),
        f"B1:B{LAST + 1}": draw(st.lists(data, min_size=LAST + 1, max_size=LAST + 1)),
    }
    for number in range(3, draw(st.integers(3, len(COLUMNS))) + 1):
        last = LAST if draw(st.booleans()) else LAST + 1
        found[f"{address(1, number)}:{address(last, number)}"] = "=" + draw(smooth(number))
    return found


@settings(max_examples=150, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
@given(sheets(), st.sampled_from([["A1:A7"], ["A2:A4"], ["A1", "A5:A6"]]))
def test_random_sheet(cells: dict[str, Any], params: list[str]) -> None:
    workbook = book(cells)
    targets = [area for area, content in cells.items() if isinstance(content, str)]
    try:
        program = lowered(workbook, params, *targets)
    except FormulaError as error:
        if not any(cause in str(error) for cause in REFUSED):
            raise
        return
    found = evaluate(program).values
    agree(found, calculated(workbook, *targets))
    check_gradient(program, found)


def check_gradient(program: Any, found: dict[Any, Any]) -> None:
    """Of the last live column: a weighted sum of its numbers, where the slopes to both sides agree."""
    live = [(block, value) for block, value in program.results if isinstance(value.data, torch.fx.Node)]
    if not live:
        return
    block, value = live[-1]
    keep = [isinstance(found[cell], float) and abs(found[cell]) < 1e4 for cell in block.range.cells()]
    if not all(keep):
        return
    module = program.module(value.data)
    weights = torch.arange(1.0, len(keep) + 1, dtype=torch.float64)

    def loss() -> torch.Tensor:
        return (module().reshape(-1).to(torch.float64) * weights).sum()

    result = loss()
    if not result.requires_grad:
        return
    tensors = list(program.parameters.values())
    exact = torch.autograd.grad(result, tensors, allow_unused=True)
    right, left = differences(loss, tensors, 1e-6, (1, 0)), differences(loss, tensors, 1e-6, (0, -1))
    for slope, one, two in zip(exact, right, left, strict=True):
        slope = torch.zeros_like(one) if slope is None else slope
        assert bool(slope.isfinite().all())
        middle = (one + two) / 2
        regular = (one - two).abs() <= 1e-3 * (1 + middle.abs())  # not at a kink or a jump
        regular &= middle.abs() < 1e6
        close = (slope - middle).abs() <= 1e-3 * (1 + middle.abs())
        assert bool((close | ~regular).all()), (slope, middle)
