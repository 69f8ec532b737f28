"""SCAN and REDUCE over many cells: one operation for all steps, with the values and gradients of step after step."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import torch

from sgdsheet.compiler import lambda_steps
from sgdsheet.compiler.ir.scan import Scan
from sgdsheet.errors import FormulaError
from tests.errors import refusal
from tests.sheets import book, lowered

COUNT = 300
X = np.random.default_rng(3).normal(size=COUNT)


def sheet(formula: str, cells: dict[str, Any] | None = None) -> dict[str, Any]:
    return {f"A1:A{COUNT}": [[float(x)] for x in X], "D1:D3": [[0.3], [0.8], [0.1]], "Z1": formula, **(cells or {})}


def outcome(cells: dict[str, Any], params: str = "D1:D3") -> tuple[float, list[float], bool]:
    """The loss Z1, its gradient, and whether all steps are one operation."""
    found = lowered(book(cells), params.split(","), "Z1")
    module = found.module(found.regions.read(found.results[-1][0].range).data)
    loss = module()
    gradients = torch.autograd.grad(loss, list(module.parameters()), allow_unused=True)
    flat = [value for item in gradients if item is not None for value in item.flatten().tolist()]
    return float(loss.detach()), flat, any(isinstance(node.target, Scan) for node in module.graph.nodes)


STEPS = [
    ("D1+D2*a+D3*x", lambda a, x, d: d[0] + d[1] * a + d[2] * x),
    ("D2*a+D1*x^2", lambda a, x, d: d[1] * a + d[0] * x**2),
    ("MAX(0,a*D2+x)", lambda a, x, d: torch.clamp(a * d[1] + x, min=0.0)),
    ("SQRT(a^2*D2+x^2+D1)", lambda a, x, d: torch.sqrt(a**2 * d[1] + x**2 + d[0])),
    ("IF(x>0,a*D2+x,a*D1)", lambda a, x, d: a * d[1] + x if x > 0 else a * d[0]),
    ("LET(n,a*D2+x,n/(1+ABS(n)))", lambda a, x, d: (a * d[1] + x) / (1 + (a * d[1] + x).abs())),
]


def by_hand(step: Any, *, every: bool) -> tuple[float, list[float]]:
    d = torch.tensor([0.3, 0.8, 0.1], dtype=torch.float64, requires_grad=True)
    a, total = d[2] * 1.0, torch.zeros((), dtype=torch.float64)
    for x in torch.from_numpy(X):
        a = step(a, x, d)
        total = total + a * a
    loss = total if every else a * a
    return float(loss.detach()), torch.autograd.grad(loss, d)[0].tolist()


@pytest.mark.parametrize(("text", "step"), STEPS, ids=[text for text, _ in STEPS])
@pytest.mark.parametrize("every", [True, False])
def test_as_one_step_after_another(text: str, step: Any, every: bool) -> None:
    name = "SCAN" if every else "REDUCE"
    loss, gradient, together = outcome(sheet(f"=SUMSQ({name}(D3,A1:A{COUNT},LAMBDA(a,x,{text})))"))
    expected, slopes = by_hand(step, every=every)
    assert together
    assert loss == pytest.approx(expected, rel=1e-12)
    assert gradient == pytest.approx(slopes, rel=1e-9, abs=1e-12)


def test_a_rectangle_row_by_row() -> None:
    cells = {
        "A1:C20": np.arange(60.0).reshape(20, 3).tolist(),
        "D1": 0.5,
        "Z1": "=SUMPRODUCT(SCAN(0,A1:C20,LAMBDA(a,x,D1*a+x)),A1:C20)",
    }
    total, above = 0.0, 0.0
    for x in range(60):
        above = 0.5 * above + x
        total += above * x
    loss, _, together = outcome(cells, "D1")
    assert together
    assert loss == pytest.approx(total, rel=1e-12)


def test_texts_and_blanks_go_step_by_step() -> None:
    cells = sheet(f"=REDUCE(D1,A1:A{COUNT},LAMBDA(a,x,IF(ISNUMBER(x),a*D2+x,a)))", {"A7": "n/a", "A9": None})
    loss, _, together = outcome(cells)
    a = 0.3
    for number, x in enumerate(X, 1):
        a = a if number in (7, 9) else a * 0.8 + x
    assert not together
    assert loss == pytest.approx(a, rel=1e-12)


def test_constants_are_calculated() -> None:
    cells = sheet(f"=D1*SUM(SCAN(0,A1:A{COUNT},LAMBDA(a,x,a/2+x)))")
    total = above = 0.0
    for x in X:
        above = above / 2 + x
        total += above
    assert outcome(cells)[0] == pytest.approx(0.3 * total, rel=1e-12)


def test_a_step_that_reads_nothing_before() -> None:
    loss, _, _ = outcome(sheet(f"=REDUCE(0,A1:A{COUNT},LAMBDA(a,x,D1*x))"))
    assert loss == pytest.approx(0.3 * X[-1], rel=1e-12)


def test_an_error_on_the_way_stays_one() -> None:
    cells = sheet(f"=IFERROR(REDUCE(0,A1:A{COUNT},LAMBDA(a,x,SQRT(a*D1+x))),7)+D2+D3")
    assert outcome(cells)[0] == pytest.approx(7.9, rel=1e-12)


def test_filled_down_each_copy_has_its_own_cells() -> None:
    cells = sheet(
        "=SUMSQ(F1:F3)",
        {f"F{row}": f"=REDUCE(0,A{row}:A{row + 40},LAMBDA(a,x,a*$D$2+x*$D$1+$D$3))" for row in (1, 2, 3)},
    )
    expected = 0.0
    for row in range(3):
        a = 0.0
        for x in X[row : row + 41]:
            a = a * 0.8 + x * 0.3 + 0.1
        expected += a * a
    assert outcome(cells)[0] == pytest.approx(expected, rel=1e-12)


def test_operations_do_not_grow_with_the_steps() -> None:
    def nodes(count: int) -> int:
        found = lowered(book(sheet(f"=SUMSQ(SCAN(0,A1:A{count},LAMBDA(a,x,D1+D2*a+D3*x^2)))")), ["D1:D3"], "Z1")
        return len(found.builder.graph.nodes)

    assert nodes(200) == nodes(20)


def test_many_cells_that_are_no_numbers_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lambda_steps, "_MOST", 100)
    cells = sheet(f"=REDUCE(D1,A1:A{COUNT},LAMBDA(a,x,IF(ISNUMBER(x),a*D2+x,a)))+D3", {"A7": "n/a"})
    with refusal(FormulaError, cell="Sheet1!Z1"):
        outcome(cells)
    assert math.isfinite(outcome(sheet(f"=REDUCE(D1,A1:A{COUNT},LAMBDA(a,x,a*D2+x))+D3"))[0])
