"""What the lessons' sentences say of cells that a person changes: the workbooks calculate it."""

from __future__ import annotations

from pathlib import Path

import sgdsheet
from sgdsheet.problem.definition import find_problem
from sgdsheet.sheet.references import Cell, parse_range
from sgdsheet.sheet.workbook import Value

WORKBOOKS = Path(__file__).parent.parent / "workbooks"


def shown(name: str, model: str, typed: dict[str, Value], *cells: str) -> list[float]:
    """Cells (`sheet!A1`) of a lesson after a person has typed into others."""
    book = sgdsheet.load(WORKBOOKS / f"{name}.xlsx")
    book = book.with_values({cell(address): value for address, value in typed.items()})
    compiled = sgdsheet.compile(book, problem=find_problem(book, model))
    values = compiled.dependent_cells(everything=True).values
    found = [values[cell(address)] for address in cells]
    assert all(isinstance(value, float) for value in found)
    return found  # type: ignore[return-value]


def cell(address: str) -> Cell:
    sheet, _, place = address.partition("!")
    return parse_range(place, sheet).first


def test_sgd_explodes_at_five_times_the_learning_rate() -> None:
    (a,) = shown("optimizers", "data", {"sgd!P6": 0.0005}, "sgd!R108")
    assert abs(a) > 1e6


def test_gradients_by_hand_are_those_by_differences() -> None:
    exact = shown("optimizers", "data", {}, *(f"sgd!{letter}{row}" for row in range(9, 109) for letter in "NO"))
    near = shown("optimizers", "data", {}, *(f"sgd!{letter}{row}" for row in range(9, 109) for letter in "PQ"))
    assert all(abs(one - other) < 1e-7 * max(1.0, abs(one)) for one, other in zip(exact, near, strict=True))


def test_batches_of_all_rows_do_not_see_the_order() -> None:
    ends = [
        shown("mini_batches", "data", {f"{sheet}!A6": 32.0}, f"{sheet}!V104", f"{sheet}!W104", f"{sheet}!B9")
        for sheet in ("sorted", "shuffled")
    ]
    assert all(abs(one - other) < 1e-12 for one, other in zip(*ends, strict=True))
    assert ends[0][2] == 1  # step per epoch


def test_the_last_batch_may_be_smaller() -> None:
    steps, rows = shown("mini_batches", "data", {"sorted!A6": 5.0}, "sorted!B9", "sorted!T40")
    assert (steps, rows) == (7, 2)


def test_one_minus_p_is_not_out_after_200_steps_from_minus_3() -> None:
    book = sgdsheet.load(WORKBOOKS / "cross_entropy.xlsx")
    book = book.with_values({cell("one_minus_p!C6"): -3.0})
    model = sgdsheet.compile(book, problem=find_problem(book, "one_minus_p"), trust_formulas=True)
    session = sgdsheet.Session(model, steps=200)
    session.run()
    assert session.loss > 0.8


def test_every_weight_of_a_head_without_mask_is_above_0() -> None:
    hidden, seen = (shown("attention", "sentence", {"sentence!C6": mask}, "sentence!AG13")[0] for mask in (1.0, 0.0))
    assert hidden == 0 < seen
