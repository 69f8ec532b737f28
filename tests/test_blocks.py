"""Cells that share a formula become blocks, blocks get an order, circles are errors."""

from __future__ import annotations

import time
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

import sgdsheet
from sgdsheet.compiler.calculated_references import block_table, planner_of
from sgdsheet.compiler.evaluation import evaluate
from sgdsheet.compiler.frontend.blocks import Block
from sgdsheet.compiler.frontend.planning import Plan
from sgdsheet.errors import CircularReference, FormulaError, UnsupportedFunction
from sgdsheet.sheet.references import Cell, parse_range
from sgdsheet.sheet.workbook import ExcelError
from tests.errors import refusal
from tests.sheets import HOME, book, check, compiled, lowered, values


def blocks(cells: dict[str, Any]) -> dict[str, Block]:
    return {block.range.a1: block for block in block_table(book(cells)).of_sheet(HOME)}


def planned(cells: dict[str, Any], params: str, target: str = "Z1") -> Plan:
    return planner_of(book(cells), [parse_range(params, HOME)]).plan([parse_range(target, HOME)])


def areas(plan: Plan) -> list[str]:
    return [block.range.a1 for block in plan.blocks]


# --- finding blocks ---------------------------------------------------------------------------------------


def test_fill_down_and_right() -> None:
    assert set(blocks({"B1:B9": "=A1*2"})) == {"B1:B9"}
    assert set(blocks({"B2:F2": "=B1*2"})) == {"B2:F2"}
    assert set(blocks({"B2:F9": "=B$1*$A2"})) == {"B2:F9"}


def test_cells_written_one_by_one_are_a_block_too() -> None:
    found = blocks({"B1": ["=A1*2", "=A2*2", "=A3*2"]})
    assert set(found) == {"B1:B3"}
    assert found["B1:B3"].text == "A1*2"


def test_gaps_and_corners_make_several_rectangles() -> None:
    assert set(blocks({"B1:B3": "=A1*2", "B5:B6": "=A5*2"})) == {"B1:B3", "B5:B6"}
    assert set(blocks({"B1:B3": "=$A1*2", "C1:C2": "=$A1*2"})) == {"B1:B3", "C1:C2"}


def test_different_formulas_are_different_blocks() -> None:
    assert set(blocks({"B1": ["=A1*2", "=A2*3", "=A3*2"]})) == {"B1", "B2", "B3"}
    assert set(blocks({"B1": ['=A1&"x"', '=A2&"y"']})) == {"B1", "B2"}


def test_siblings_are_merged() -> None:
    """Two units of a network, each filled down, are one block: absolute references move with the column."""
    cells = {"D1:D9": "=SUMPRODUCT($A1:$B1,$X$1:$Y$1)", "E1:E9": "=SUMPRODUCT($A1:$B1,$X$2:$Y$2)"}
    found = blocks(cells)
    assert set(found) == {"D1:E9"}
    assert [part.range.a1 for part in found["D1:E9"].parts] == ["D1:D9", "E1:E9"]
    stacked = {"A5:F5": "=SUM(A$1:A$3)*$X$1", "A6:F6": "=SUM(A$1:A$3)*$X$2", "A7:F7": "=SUM(A$1:A$3)*$X$3"}
    assert set(blocks(stacked)) == {"A5:F7"}


@pytest.mark.parametrize(
    "cells",
    [
        {"D1:D9": "=$A1*$X$1", "E1:E9": "=$A1+$X$2"},  # another operator
        {"D1:D9": "=$A1*$X$1", "F1:F9": "=$A1*$X$2"},  # not side by side
        {"D1:D9": "=$A1*$X$1*1", "E1:E9": "=$A1*$X$2*2"},  # another number
        {"D1:D9": "=SUM($A1*{1,2})*$X$1", "E1:E9": "=SUM($A1*{1;2})*$X$2"},  # another shape
        {"D1:D9": "=$A1*$X$1", "E1:E9": "=$A1*$D$1"},  # reads its sibling
        {"D1:D9": "=$A1*$X$2", "E1:E9": "=$A1*$X$1"},  # moves backwards
    ],
)
def test_what_is_no_sibling(cells: dict[str, Any]) -> None:
    assert set(blocks(cells)) == set(cells)


def test_array_formulas() -> None:
    found = blocks({"B1:B3": "{=A1:A3*2}", "D1": "{=SUM(A1:B1)}", "D2": "{=SUM(A2:B2)}", "E1:F2": "{=A1:B2}"})
    assert set(found) == {"B1:B3", "D1:D2", "E1:F2"}
    assert (found["B1:B3"].rows, found["B1:B3"].height) == (1, 3)
    assert (found["D1:D2"].rows, found["D1:D2"].height) == (2, 1)
    repeated = blocks({"D1:E1": "{=$A1:$B1*2}", "D2:E2": "{=$A2:$B2*2}", "D3:E3": "{=$A3:$B3*2}"})
    assert set(repeated) == {"D1:E3"}
    assert (repeated["D1:E3"].rows, repeated["D1:E3"].columns, repeated["D1:E3"].width) == (3, 1, 2)


def test_shared_formulas_that_cross_their_own_ends() -> None:
    """`A1:A$5` filled down past row 5 reads A5:A6: a file may store it as one shared formula."""
    cells = {"A1:A8": [1, 2, 3, 4, 5, 6, 7, 8], "B1:B8": "=SUM(A1:A$5)", "Z1": "=SUMPRODUCT(B1:B8,A1:A8)"}
    expected = sum(sum(range(min(i, 5), max(i, 5) + 1)) * i for i in range(1, 9))
    check(cells, "A1:A8", expected)


# --- planning ---------------------------------------------------------------------------------------------


def test_only_what_is_needed_is_planned() -> None:
    cells = {"A1:A9": 1, "B1:B9": "=A1*2", "C1:C9": "=B1*2", "D1:D9": "=B1+C1", "Z1": "=SUM(C3:C5)"}
    plan = planned(cells, "A1:A9")
    assert areas(plan) == ["B3:B5", "C3:C5", "Z1"]
    assert all(plan.is_live(block) for block in plan.blocks)


def test_constants_are_not_calculated_where_values_are_saved() -> None:
    workbook = book({"A1": 2, "B1:B3": "=E1*2", "C1:C3": "=B1*$A$1", "Z1": "=SUM(C1:C3)"})
    for row in (1, 2, 3):
        workbook.sheets[HOME].values[row, 2] = 10.0 * row
    planner = planner_of(workbook, [parse_range("A1", HOME)])
    assert areas(planner.plan([parse_range("Z1", HOME)])) == ["C1:C3", "Z1"]
    del workbook.sheets[HOME].values[2, 2]
    assert areas(planner_of(workbook, planner.parameters).plan([parse_range("Z1", HOME)])) == [
        "B1:B3",
        "C1:C3",
        "Z1",
    ]


def test_other_sheets() -> None:
    cells = {"Data!A1": [1, 2, 3], "Data!B1:B3": f"=A1*{HOME}!$A$1", "A1": 5, "Z1": "=SUM(Data!B1:B3)"}
    check(cells, "A1", 30)


def test_running_total() -> None:
    cells = {"A1": [1, 2, 3, 4], "B1": "=A1", "B2:B4": "=B1*0.5+A2", "Z1": "=SUMSQ(B1:B4)"}
    check(cells, "A1:A4", 1 + 2.5**2 + 4.25**2 + 6.125**2)
    assert areas(planned(cells, "A1:A4")) == ["B1", "B2", "B3", "B4", "Z1"]


def test_mutual_recursion_down_the_rows() -> None:
    cells = {
        "A1": [0.5, 0.25], "C1": 1, "D1": 2, "C2:C6": "=C1+$A$1*D1", "D2:D6": "=D1-$A$2*C2", "Z1": "=C6*D6"
    }  # fmt: skip
    c, d = 1.0, 2.0
    for _ in range(5):
        c += 0.5 * d
        d -= 0.25 * c
    check(cells, "A1:A2", c * d)


def test_recursion_over_a_plane_goes_level_by_level() -> None:
    cells = {"A1:E1": 1, "A2:A5": 1, "B2:E5": "=B1*$G$1+A2*$G$2", "G1": [0.5, 0.3], "Z1": "=E5"}
    grid = [[1.0] * 5 for _ in range(5)]
    for i in range(1, 5):
        for j in range(1, 5):
            grid[i][j] = grid[i - 1][j] * 0.5 + grid[i][j - 1] * 0.3
    check(cells, "G1:G2", grid[4][4])


def test_merged_siblings_that_read_each_other_are_taken_apart() -> None:
    cells = {
        "A1:A3": [1, 2, 3],
        "D1:D3": "=$A1*$X$1",
        "E1:E3": "=$A1*$X$2",
        "X1": 2,
        "X2": "=SUM(D1:D3)",
        "Z1": "=SUM(E1:E3)",
    }
    check(cells, "A1:A3", 6 * 12)


@pytest.mark.parametrize(
    ("cells", "cell", "cause"),
    [
        ({"A1": 1, "Z1": "=Z1+A1"}, "Z1", "^the formula depends on its own cell"),
        ({"A1": 1, "B1": "=C1+A1", "C1": "=B1", "Z1": "=C1"}, "B1", "B1, C1 depend on each other"),
        ({"A1": 1, "B1:B5": "=SUM($B$1:$B$5)+$A$1", "Z1": "=B1"}, "B1", "B1, B2, B3, B4, B5 depend"),
        ({"A1": 1, "B1:B9": "=B2+$A$1", "B10": "=B1", "Z1": "=B1"}, "B1", "B1, B2, B3, B4, B5, B6, … depend"),
    ],
)
def test_circles_name_their_cells(cells: dict[str, Any], cell: str, cause: str) -> None:
    with refusal(CircularReference, cell=f"Sheet1!{cell}", cause=cause):
        compiled(cells, "A1")


def test_a_circle_off_the_path_does_not_matter() -> None:
    check({"A1": 2, "B1": "=C1+A1", "C1": "=B1", "Z1": "=A1*3"}, "A1", 6)


# --- what cannot be compiled ------------------------------------------------------------------------------


def test_an_unsupported_function_on_the_path_names_its_first_cell() -> None:
    cells = {"A1": [1, 2, 3], "B1:B3": "=CUBEVALUE(A1,1)", "Z1": "=SUM(B2:B3)+A1"}
    with refusal(UnsupportedFunction, cell="Sheet1!B2", cause="^CUBEVALUE is not supported") as caught:
        compiled(cells, "A1:A3")
    assert caught.value.function == "CUBEVALUE"


def test_an_unsupported_function_off_the_path_does_not_matter() -> None:
    cells = {"A1": [1, 2], "B1:B2": "=CUBEVALUE(A1,1)", "C1": 3, "Z1": "=SUM(A1:A2)*C1"}
    check(cells, "A1:A2", 9)
    workbook = book({**cells, "C1": "=CUBEVALUE(3,1)"})
    workbook.sheets[HOME].values[1, 3] = 3.0
    program = lowered(workbook, ["A1:A2"], "Z1")
    assert program.failures == []


@pytest.mark.parametrize(
    ("formula", "names", "expected"),
    [
        ("=OFFSET($D$1,1,0)", {}, 2),
        ('=INDIRECT("D2")', {}, 2),
        ("=SUM(OFFSET($D$1,0,0,2,1))", {}, 3),
        ("=SUM(moving)", {"moving": f"OFFSET({HOME}!$D$1,0,0,2,1)"}, 3),
    ],
)
def test_functions_that_find_their_cells_when_calculated(formula: str, names: dict[str, str], expected: float) -> None:
    """OFFSET and INDIRECT may read parameters though their text does not: never take their saved value."""
    workbook = book({"A1": 1, "B1": formula, "D1": [1, "=A1*2"], "Z1": "=B1+A1*0"}, names=names)
    workbook.sheets[HOME].values |= {(1, 2): 7.0, (2, 4): 2.0}
    program = lowered(workbook, ["A1"], "B1")
    assert evaluate(program).values[Cell(HOME, 1, 2)] == expected
    assert [block.range.a1 for block, value in program.results if not value.constant] == ["D2", "B1"]


def from_model(workbook: Any) -> None:
    sgdsheet.compile(workbook, HOME, loss="Z1", params="A1")


@pytest.mark.parametrize("formula", ["=SUM(A1:SUM(A2))", "=SUM(A1"])
def test_formulas_whose_cells_cannot_be_told(formula: str) -> None:
    workbook = book({"A1": 1, "B1": formula, "Z1": "=B1+A1"})
    workbook.sheets[HOME].values[1, 2] = 2.0
    with refusal(FormulaError, cell="Sheet1!B1"):
        lowered(workbook, ["A1"], "Z1")


def test_another_file_is_a_constant() -> None:
    workbook = book({"A1": 1, "B1": "=[1]Sheet1!A1", "Z1": "=B1+A1"})
    workbook.sheets[HOME].values[1, 2] = 2.0
    assert lowered(workbook, ["A1"], "Z1").failures == []
    del workbook.sheets[HOME].values[1, 2]
    with refusal(FormulaError, cell="Sheet1!B1", cause="another file"):
        lowered(workbook, ["A1"], "Z1")


def test_text_conditions_and_errors_in_data() -> None:
    cells = {
        "A1": [2, 3], "B1": ["male", "female", "Male"], "C1": [1, 2, ExcelError.NA],
        "D1:D3": '=IF(B1="male",$A$1,$A$2)*CUBEVALUE(C1,1)', "Z1": "=SUM(D1:D2)",
    }  # fmt: skip
    with refusal(UnsupportedFunction, cell="Sheet1!D1", cause="CUBEVALUE"):
        compiled(cells, "A1:A2")
    cells["D1:D3"] = '=IF(B1="male",$A$1,$A$2)*IFERROR(C1,10)'
    check({**cells, "Z1": "=SUM(D1:D3)"}, "A1:A2", 2 + 6 + 20)
    assert values({**cells, "D1:D3": "=C1*$A$1"}, "D1:D3", params=["A1:A2"]) == [2, 4, ExcelError.NA]


@settings(max_examples=30)
@given(st.integers(1, 4), st.integers(1, 4), st.integers(1, 4), st.integers(1, 4), st.data())
def test_trimmed_blocks_calculate_the_same(
    rows: int, columns: int, down: int, across: int, data: st.DataObject
) -> None:
    """What a block gives for a part of it is what the whole gives there."""
    area = f"C3:{'CDEF'[columns - 1]}{rows + 2}"
    cells = {
        "A1:F2": [[1, 2, 3, 4, 5, 6], [7, 8, 9, 10, 11, 12]],
        "A3:B6": 2.5,
        area: "=SUM($A3:B3)*C$1+A1+$B$2",
    }
    whole = values(cells, area, params=["A1:F2"])
    top, left = data.draw(st.integers(3, rows + 2)), data.draw(st.integers(1, columns))
    bottom, right = min(rows + 2, top + down - 1), min(columns, left + across - 1)
    part = f"{'CDEF'[left - 1]}{top}:{'CDEF'[right - 1]}{bottom}"
    expected = torch.tensor(whole).reshape(rows, columns)[top - 3 : bottom - 2, left - 1 : right].flatten().tolist()
    assert values(cells, part, params=["A1:F2"]) == pytest.approx(expected)


# --- speed ------------------------------------------------------------------------------------------------


def seconds_to_plan(cells: dict[str, Any]) -> float:
    workbook = book(cells)
    start = time.process_time()
    plan = planner_of(workbook, [parse_range("A1", HOME)]).plan([parse_range("Z1", HOME)])
    assert plan.blocks[-1].range.a1 == "Z1"
    return time.process_time() - start


def test_large_sheets_are_planned_fast() -> None:
    """A hundred thousand cells in ten columns, and five thousand formulas all of which differ."""
    filled = {f"{'CDEFGHIJKL'[i]}1:{'CDEFGHIJKL'[i]}10000": f"={'BCDEFGHIJK'[i]}1*$A$1+{i}" for i in range(10)}
    assert seconds_to_plan({"A1": 1, "B1:B10000": 2, **filled, "Z1": "=SUM(L1:L10000)"}) < 10
    different = {f"B{i}": f"=$A$1*{i}+SIN({i}*$A$1)" for i in range(1, 5001)}
    assert seconds_to_plan({"A1": 1, **different, "Z1": "=SUM(B1:B5000)"}) < 20


def test_the_text_is_that_of_the_first_cell() -> None:
    """Also where a block was cut down: only the last rows are needed."""
    made = compiled({"A1": 2, "B1:B9": "=$A$1*ROW()+C1", "Z1": "=SUM(B7:B9)"}, "A1")
    assert [(block.range.a1, block.text) for block in made.blocks] == [("B7:B9", "$A$1*ROW()+C7"), ("Z1", "SUM(B7:B9)")]


@pytest.mark.parametrize("circle", ["=D2+1", "=D2+A1"], ids=["apart from the parameter", "on the parameter"])
def test_a_circle_elsewhere_stops_no_training(circle: str) -> None:
    """Cells in a circle have no value, and what reads them; the others are calculated."""
    cells = {"A1": 3, "Z1": "=(A1-1)^2", "B1": "=Z1*2", "D1": circle, "D2": "=D1-1", "E1": "=D1+A1"}
    found = compiled(cells, "A1").dependent_cells()
    assert found.values == {Cell(HOME, 1, 26): 4.0, Cell(HOME, 1, 2): 8.0}
    assert {cell for block, _ in found.failures for cell in block.range.cells()} == {
        Cell(HOME, *place) for place in ((1, 4), (2, 4), (1, 5))
    }
