"""Every rule: a sheet on which it works, with the same value and gradient, and one that only looks alike."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from sheets import Cells, book, lowered
from torch import fx

from sgdsheet.compiler.passes import rewrites
from sgdsheet.compiler.passes.rewrites import RULES, Rule, simplify

ROWS = [[0.5, -1.0], [2.0, 0.25], [-0.75, 1.5]]
GRID = [[0.1, 0.7, -0.3, 0.2], [0.5, -0.2, 0.9, 0.4], [-0.6, 0.3, 0.8, -0.1], [0.25, 0.65, 0.15, 0.35]]

WORKS: dict[str, tuple[Cells, str]] = {
    "_mean_squared_error": ({"A1:B3": ROWS, "C1:C3": "=(A1-B1)^2", "Z1": "=AVERAGE(C1:C3)"}, "A1:A3"),
    "_sum_of_columns": ({"A1:B3": ROWS, "C1:C3": "=A1+B1", "Z1": "=SUMSQ(C1:C3)"}, "A1:B3"),
    "_stacked_products": (
        {"A1:B3": ROWS, "X1:Y2": [[1, 2], [3, 4]], "C1:C3": "=SUMPRODUCT($A1:$B1,$X$1:$Y$1)",
         "D1:D4": "=SUMPRODUCT($A1:$B1,$X$2:$Y$2)", "Z1": "=SUMPRODUCT(C1:D3,C1:D3)"},
        "X1:Y2",
    ),
    "_log_sum_exp": ({"A1:B3": ROWS, "Z1": "=LN(SUMPRODUCT(EXP(A1:B3)))"}, "A1:B3"),
    "largest_of_windows": (
        {"A1:D4": GRID, "F1": "=MAX(A1:B2)", "G1": "=MAX(C1:D2)", "F2": "=MAX(A3:B4)", "G2": "=MAX(C3:D4)",
         "Z1": "=SUMSQ(F1:G2)"},
        "A1:D4",
    ),
}  # fmt: skip

NEAR: dict[str, list[tuple[Cells, str]]] = {
    "_mean_squared_error": [
        ({"A1:B3": ROWS, "C1:C3": "=(A1-B1)^3", "Z1": "=AVERAGE(C1:C3)"}, "A1:A3"),
        ({"A1:B3": ROWS, "C1:C3": "=(A1+B1)^2", "Z1": "=AVERAGE(C1:C3)"}, "A1:A3"),
        ({"A1:B3": ROWS, "C1:C3": "=(A1-$B$1)^2", "Z1": "=AVERAGE(C1:C3)"}, "A1:A3,B1"),
        ({"A1:B3": ROWS, "C1:C3": "=(A1-B1)^2", "Z1": "=MAX(C1:C3)"}, "A1:A3"),
    ],
    "_sum_of_columns": [
        ({"A1:C3": [[*row, 3] for row in ROWS], "D1:D3": "=A1+B1", "Z1": "=SUMSQ(D1:D3)+C1+C2+C3"}, "A1:C3"),
        ({"A1:B3": ROWS, "C1:C3": "=A1+A1", "Z1": "=SUMSQ(C1:C3)+SUM(B1:B3)"}, "A1:B3"),
        ({"A1:B3": ROWS, "C1:C3": "=A1-B1", "Z1": "=SUMSQ(C1:C3)"}, "A1:B3"),
    ],
    "_stacked_products": [
        ({"A1:B3": ROWS, "X1:Y3": [[1, 2], [3, 4], [5, 6]], "E1:E4": "=SUMPRODUCT($A1:$B1,$X$1:$Y$1)",
          "F1:F3": "=SUMPRODUCT($A1:$B1,$X$3:$Y$3)", "Z1": "=SUMPRODUCT(E1:F3,E1:F3)+X2+Y2"}, "X1:Y3"),
        ({"A1:B3": ROWS, "X1:Y2": [[1, 2], [3, 4]], "E1:E4": "=SUMPRODUCT($A1:$B1,$X$2:$Y$2)",
          "F1:F3": "=SUMPRODUCT($A1:$B1,$X$1:$Y$1)", "Z1": "=SUMPRODUCT(E1:F3,E1:F3)"}, "X1:Y2"),
    ],
    "_log_sum_exp": [
        ({"A1:B3": ROWS, "Z1": "=LN(SUMPRODUCT(EXP(A1:B3))+1)"}, "A1:B3"),
        ({"A1:B3": ROWS, "Z1": "=LN(SUMPRODUCT(A1:B3^2))"}, "A1:B3"),
        ({"A1:B3": ROWS, "Z1": "=LOG10(SUMPRODUCT(EXP(A1:B3)))"}, "A1:B3"),
    ],
    "largest_of_windows": [
        ({"A1:D4": GRID, "F1": "=MIN(A1:B2)", "G1": "=MIN(C1:D2)", "F2": "=MIN(A3:B4)", "G2": "=MIN(C3:D4)",
          "Z1": "=SUMSQ(F1:G2)"}, "A1:D4"),
        ({"A1:D4": GRID, "F1:F3": "=MAX(A1:B2)", "Z1": "=SUMSQ(F1:F3)"}, "A1:B4"),
    ],
}  # fmt: skip


def program(cells: Cells, params: str, rules: tuple[Rule, ...]) -> fx.GraphModule:
    found = lowered(book(cells), params.split(","), "Z1")
    return simplify(found.module(found.regions.read(found.results[-1][0].range).data), rules)


def outcome(module: fx.GraphModule) -> tuple[torch.Tensor, ...]:
    loss = module()
    return loss.detach(), *torch.autograd.grad(loss, list(module.parameters()))


def functions(module: fx.GraphModule) -> list[Any]:
    return [node.target for node in module.graph.nodes if node.op.startswith("call")]


def same(one: fx.GraphModule, two: fx.GraphModule) -> None:
    for ours, theirs in zip(outcome(one), outcome(two), strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-12, atol=1e-12)


def test_every_rule_is_tested() -> None:
    names = {rule.__name__ for rule in RULES}
    assert names <= WORKS.keys(), "give a new rule a sheet in WORKS"
    assert names <= NEAR.keys(), "give a new rule a sheet in NEAR"


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.__name__)
def test_rule_works(rule: Rule) -> None:
    cells, params = WORKS[rule.__name__]
    before, after = program(cells, params, ()), program(cells, params, (rule,))
    assert functions(before) != functions(after), "the rule did nothing"
    assert len(functions(after)) <= len(functions(before))
    same(after, before)


NEAR_MISSES = [(rule, cells, params) for rule in RULES for cells, params in NEAR[rule.__name__]]


@pytest.mark.parametrize(("rule", "cells", "params"), NEAR_MISSES)
def test_near_miss(rule: Rule, cells: Cells, params: str) -> None:
    before, after = program(cells, params, ()), program(cells, params, (rule,))
    assert functions(before) == functions(after), "the rule must leave this alone"
    same(after, before)


@pytest.mark.parametrize("name", WORKS)
def test_all_rules_together(name: str) -> None:
    cells, params = WORKS[name]
    same(program(cells, params, RULES), program(cells, params, ()))


def test_names_stay() -> None:
    """A node that takes another's place keeps its name, which tells the cells."""
    cells, params = WORKS["_mean_squared_error"]
    names = [node.name for node in program(cells, params, rewrites.RULES).graph.nodes]
    assert any("Z1" in name for name in names)
