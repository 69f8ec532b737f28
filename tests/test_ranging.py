"""Sensitivities: of textbook linear programmes, and of others against small changes of the problem itself."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest

from sgdsheet.analysis.reporting.sensitivity import Sensitivity, sensitivity
from sgdsheet.compiler.model import compile
from sgdsheet.train.session import Session
from tests import solver_models as models
from tests.solver_models import AT_LEAST, AT_MOST, EQUAL, MAX, MIN, workbook

INFINITE = math.inf


def solved(folder: Path, *arguments: Any, **more: Any) -> tuple[Sensitivity | str, float]:
    session = Session(compile(workbook(folder, *arguments, **more)))
    session.run()
    return sensitivity(session.solution()), session.loss


def found(folder: Path, *arguments: Any, **more: Any) -> Sensitivity:
    result = solved(folder, *arguments, **more)[0]
    assert isinstance(result, Sensitivity), result
    return result


def variables(of: Sensitivity) -> list[tuple[Any, ...]]:
    return [(item.value, item.gradient, item.allowable.rise, item.allowable.fall) for item in of.variables]


def constraints(of: Sensitivity) -> list[tuple[Any, ...]]:
    return [(item.price, item.allowable.rise, item.allowable.fall) for item in of.constraints]


def close(rows: list[tuple[Any, ...]], expected: list[tuple[Any, ...]]) -> None:
    assert [item for row in rows for item in row] == pytest.approx([item for row in expected for item in row], abs=1e-7)


WYNDOR = (
    {"A1": [[0, 0]], "C1": "=3*A1+5*B1", "D1": [["=A1"], ["=2*B1"], ["=3*A1+2*B1"]], "E1": [[4], [12], [18]]},
    "C1",
    "A1:B1",
    MAX,
    [("D1:D3", AT_MOST, "E1:E3")],
)


def test_product_mix(tmp_path: Path) -> None:
    """Wyndor Glass (Hillier and Lieberman, Introduction to Operations Research): c1 from 0 to 7.5, c2 from 2 upwards;
    b1 from 2 upwards, b2 from 6 to 18, b3 from 12 to 24."""
    result = found(tmp_path, *WYNDOR)
    assert result.linear
    close(variables(result), [(2, 0, 4.5, 3), (6, 0, INFINITE, 3)])
    close(constraints(result), [(0, INFINITE, 2), (1.5, 6, 6), (1, 6, 6)])
    assert [item.coefficient for item in result.variables] == [3, 5]
    assert result.notes == []


def test_least_cost(tmp_path: Path) -> None:
    """min 0.6 x + 0.35 y, 5 x + 7 y >= 8, 4 x + 2 y >= 15, 2 x + y >= 3: x = 3.75, y = 0 and a price of 0.15.

    The reduced cost of y is 0.35 - 2 * 0.15 = 0.05; x stays as long as its cost is at most twice that of y, 0.7.
    """
    cells = {"A1": [[1, 1]], "C1": "=0.6*A1+0.35*B1", "E1": [[8], [15], [3]]}
    cells["D1"] = [["=5*A1+7*B1"], ["=4*A1+2*B1"], ["=2*A1+B1"]]
    result = found(tmp_path, cells, "C1", "A1:B1", MIN, [("D1:D3", AT_LEAST, "E1:E3")])
    close(variables(result), [(3.75, 0, 0.1, 0.6), (0, 0.05, INFINITE, 0.05)])
    close(constraints(result), [(0, 10.75, INFINITE), (0.15, INFINITE, 8.6), (0, 4.5, INFINITE)])


def test_bounds_on_both_sides_and_an_equality(tmp_path: Path) -> None:
    """min 2 a + 3 b + c, a + b + c = 10, all up to 6: c = 6 by its bound, a = 4."""
    cells = {"A1": [[0, 0, 0]], "D1": "=2*A1+3*B1+C1", "E1": "=A1+B1+C1"}
    limits = [("E1", EQUAL, 10.0), ("A1:C1", AT_MOST, 6.0)]
    result = found(tmp_path, cells, "D1", "A1:C1", MIN, limits)
    close(variables(result), [(4, 0, 1, 1), (0, 1, INFINITE, 1), (6, -1, 1, INFINITE)])
    close(constraints(result), [(2, 2, 4)])


@pytest.mark.parametrize("place", ["limit", "cost"])
def test_ranges_are_where_prices_change(place: str, tmp_path: Path) -> None:
    """Inside a range the prices, or the values, are the same, and just outside they are not."""
    cells, loss, params, kind, limits = WYNDOR
    base, loss_base = solved(tmp_path, *WYNDOR)
    assert isinstance(base, Sensitivity)
    for sign, name in ((1, "rise"), (-1, "fall")):
        reach = getattr(base.constraints[2].allowable if place == "limit" else base.variables[0].allowable, name)
        for share, same in ((0.99, True), (1.01, False)):
            step = sign * share * reach
            changed = dict(cells)
            if place == "limit":
                changed["E1"] = [[4], [12], [18 + step]]
            else:
                changed["C1"] = f"={3 + step}*A1+5*B1"
            now, loss_now = solved(tmp_path, changed, loss, params, kind, limits)
            assert isinstance(now, Sensitivity)
            if place == "limit":
                assert (now.constraints[2].price == pytest.approx(1.0)) == same
                assert (loss_now == pytest.approx(loss_base + step)) == same
            else:
                assert ([item.value for item in now.variables] == pytest.approx([2, 6])) == same


def test_degenerate(tmp_path: Path) -> None:
    """max 3 x + 9 y, x + 4 y <= 8, x + 2 y <= 4 (Hamdy Taha, Operations Research): three lines meet in (0, 2)."""
    cells = {"A1": [[0, 0]], "C1": "=3*A1+9*B1", "D1": [["=A1+4*B1"], ["=A1+2*B1"]], "E1": [[8], [4]]}
    result = found(tmp_path, cells, "C1", "A1:B1", MAX, [("D1:D2", AT_MOST, "E1:E2")])
    assert [item.value for item in result.variables] == pytest.approx([0, 2])
    prices = [item.price for item in result.constraints]
    assert 8 * prices[0] + 4 * prices[1] == pytest.approx(18)  # the dual's objective
    assert prices[0] + prices[1] >= 3 - 1e-9
    assert 4 * prices[0] + 2 * prices[1] >= 9 - 1e-9
    assert len(result.notes) == 1
    assert result.notes[0].startswith("The optimum is degenerate at Model!")


def test_a_constraint_that_is_there_twice(tmp_path: Path) -> None:
    cells = {"A1": [[0, 0]], "C1": "=A1+2*B1", "D1": [["=A1+B1"], ["=2*A1+2*B1"]], "E1": [[4], [8]]}
    result = found(tmp_path, cells, "C1", "A1:B1", MAX, [("D1:D2", EQUAL, "E1:E2")])
    assert [item.value for item in result.variables] == pytest.approx([0, 4])
    prices = [item.price for item in result.constraints]
    assert 4 * prices[0] + 8 * prices[1] == pytest.approx(8)


def test_other_optima_are_named(tmp_path: Path) -> None:
    cells = {"A1": [[0, 0]], "C1": "=A1+B1", "D1": "=A1+B1"}
    result = found(tmp_path, cells, "C1", "A1:B1", MAX, [("D1", AT_MOST, 3.0)])
    assert any(note.startswith("There are other optima: Model!") for note in result.notes)


def test_without_constraints_there_are_none(tmp_path: Path) -> None:
    cells = {"A1": 1, "C1": "=(A1-3)^2"}
    assert solved(tmp_path, cells, "C1", "A1", MIN, [], neg=2)[0] == ""


CURVED = {"A1": [[1, 1]], "C1": "=(A1-3)^2+(B1-2)^2", "D1": "=A1^2+B1^2"}


def test_multipliers_are_derivatives(tmp_path: Path) -> None:
    """Of the optimum by a right side, and by a bound."""
    limits = [("D1", AT_MOST, 4.0), ("B1", AT_MOST, 0.5)]
    base, loss = solved(tmp_path, CURVED, "C1", "A1:B1", MIN, limits)
    assert isinstance(base, Sensitivity)
    assert not base.linear
    step = 1e-5
    changed = [("D1", AT_MOST, 4.0 + step), ("B1", AT_MOST, 0.5)]
    assert base.constraints[0].price == pytest.approx(
        (solved(tmp_path, CURVED, "C1", "A1:B1", MIN, changed)[1] - loss) / step, rel=1e-4
    )
    changed = [("D1", AT_MOST, 4.0), ("B1", AT_MOST, 0.5 + step)]
    assert base.variables[1].gradient == pytest.approx(
        (solved(tmp_path, CURVED, "C1", "A1:B1", MIN, changed)[1] - loss) / step, rel=1e-4
    )
    assert base.variables[0].gradient == 0


@pytest.mark.parametrize(("kind", "relation", "expected"), [(MIN, AT_MOST, -2.0), (MIN, EQUAL, -2.0)])
def test_a_projection(kind: int, relation: int, expected: float, tmp_path: Path) -> None:
    """The nearest point to (3, 2) with x + y <= 3 is (2, 1); its distance² falls by 2 per unit of the right side."""
    cells = {"A1": [[1, 1]], "C1": "=(A1-3)^2+(B1-2)^2", "D1": "=A1+B1"}
    result = found(tmp_path, cells, "C1", "A1:B1", kind, [("D1", relation, 3.0)])
    assert [item.value for item in result.variables] == pytest.approx([2, 1], abs=1e-6)
    assert result.constraints[0].price == pytest.approx(expected, rel=1e-5)


def test_the_other_way_round(tmp_path: Path) -> None:
    """Maximise, and the constraint as >=: the signs are those of the loss cell and the right side."""
    cells = {"A1": [[1, 1]], "C1": "=0-(A1-3)^2-(B1-2)^2", "D1": "=-A1-B1"}
    result = found(tmp_path, cells, "C1", "A1:B1", MAX, [("D1", AT_LEAST, -3.0)])
    assert result.constraints[0].price == pytest.approx(-2.0, rel=1e-5)  # a higher right side leaves less room


def test_published_multipliers(tmp_path: Path) -> None:
    """Problem 71 of Hock and Schittkowski, with the multipliers that Ipopt's documentation prints."""
    session = Session(models.model(tmp_path, **models.HS71), trust_formulas=True)
    session.run()
    result = sensitivity(session.solution())
    assert isinstance(result, Sensitivity)
    assert [abs(item.price) for item in result.constraints] == pytest.approx([0.5522936594, 0.1614685642], rel=1e-5)
    assert [item.gradient for item in result.variables] == pytest.approx([1.0878712258, 0, 0, 0], rel=1e-5)
