"""Every pass: a sheet on which it works, with the same value and gradient, and one that only looks alike."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest
import torch
from torch import fx

from sgdsheet.compiler.passes import PASSES, Pass, simplify
from sgdsheet.compiler.passes.shapes import known_shape, note_shapes
from tests.sheets import Cells, book, lowered

ROWS = [[0.5, -1.0], [2.0, 0.25], [-0.75, 1.5]]
GRID = [[0.1, 0.7, -0.3, 0.2], [0.5, -0.2, 0.9, 0.4], [-0.6, 0.3, 0.8, -0.1], [0.25, 0.65, 0.15, 0.35]]

ONE_KERNEL: Cells = {"A1:D4": GRID, "A6:B7": [[0.5, -1], [2, 0.3]], "F1:H3": "=SUMPRODUCT(A1:B2,$A$6:$B$7)"}
TWO_KERNELS: Cells = {**ONE_KERNEL, "C6:D7": [[1, 0.2], [-0.4, 0.7]], "I1:K3": "=SUMPRODUCT(A1:B2,$C$6:$D$7)"}
TWO_CHANNELS: Cells = {
    **TWO_KERNELS,
    "A10:D13": [row[::-1] for row in GRID],
    "F1:H3": "=SUMPRODUCT(A1:B2,$A$6:$B$7)+SUMPRODUCT(A10:B11,$C$6:$D$7)",
    "I1:K3": "=SUMPRODUCT(A1:B2,$C$6:$D$7)+SUMPRODUCT(A10:B11,$A$6:$B$7)",
}

WORKS: dict[str, tuple[Cells, str]] = {
    "correlations: windows times a kernel": ({**ONE_KERNEL, "Z1": "=SUMSQ(F1:H3)"}, "A1:D4,A6:B7"),
    "packing: the same calculation many times over": ({**TWO_CHANNELS, "Z1": "=SUMSQ(F1:K3)"}, "A1:D4,A6:D7,A10:D13"),
    "convolutions in torch's operation": ({**TWO_KERNELS, "Z1": "=SUMSQ(F1:K3)"}, "A1:D4,A6:D7"),
    "sum or mean of squared differences": ({"A1:B3": ROWS, "C1:C3": "=(A1-B1)^2", "Z1": "=AVERAGE(C1:C3)"}, "A1:A3"),
    "sum of a matrix's columns": ({"A1:B3": ROWS, "C1:C3": "=A1+B1", "Z1": "=SUMSQ(C1:C3)"}, "A1:B3"),
    "products of a matrix with several vectors": (
        {"A1:B3": ROWS, "X1:Y2": [[1, 2], [3, 4]], "C1:C3": "=SUMPRODUCT($A1:$B1,$X$1:$Y$1)",
         "D1:D4": "=SUMPRODUCT($A1:$B1,$X$2:$Y$2)", "Z1": "=SUMPRODUCT(C1:D3,C1:D3)"},
        "X1:Y2",
    ),
    "logarithm of a sum of exponentials": ({"A1:B3": ROWS, "Z1": "=LN(SUMPRODUCT(EXP(A1:B3)))"}, "A1:B3"),
    "largest of windows": (
        {"A1:D4": GRID, "F1": "=MAX(A1:B2)", "G1": "=MAX(C1:D2)", "F2": "=MAX(A3:B4)", "G2": "=MAX(C3:D4)",
         "Z1": "=SUMSQ(F1:G2)"},
        "A1:D4",
    ),
}  # fmt: skip

NEAR: dict[str, list[tuple[Cells, str]]] = {
    "correlations: windows times a kernel": [
        ({**ONE_KERNEL, "F1:H3": "=SUMPRODUCT(A1:B2,A2:B3)", "Z1": "=SUMSQ(F1:H2)"}, "A1:D4"),
        ({**ONE_KERNEL, "F1:H3": "=SUMPRODUCT(A1:B2+$A$6:$B$7)", "Z1": "=SUMSQ(F1:H3)"}, "A1:D4,A6:B7"),
    ],
    "packing: the same calculation many times over": [
        ({**ONE_KERNEL, "Z1": "=SUMSQ(F1:H3)"}, "A1:D4,A6:B7"),
        ({"A1:B3": ROWS, "D1:D3": "=EXP(A1)", "F1:F3": "=EXP(B1)", "Z1": "=SUM(D1:D3)*SUM(F1:F3)"}, "A1:B3"),
    ],
    "convolutions in torch's operation": [
        ({**ONE_KERNEL, "F1:H3": "=SUMPRODUCT(A1:B2^2)", "Z1": "=SUMSQ(F1:H3)"}, "A1:D4"),
    ],
    "sum or mean of squared differences": [
        ({"A1:B3": ROWS, "C1:C3": "=(A1-B1)^3", "Z1": "=AVERAGE(C1:C3)"}, "A1:A3"),
        ({"A1:B3": ROWS, "C1:C3": "=(A1+B1)^2", "Z1": "=AVERAGE(C1:C3)"}, "A1:A3"),
        ({"A1:B3": ROWS, "C1:C3": "=(A1-$B$1)^2", "Z1": "=AVERAGE(C1:C3)"}, "A1:A3,B1"),
        ({"A1:B3": ROWS, "C1:C3": "=(A1-B1)^2", "Z1": "=MAX(C1:C3)"}, "A1:A3"),
    ],
    "sum of a matrix's columns": [
        ({"A1:C3": [[*row, 3] for row in ROWS], "D1:D3": "=A1+B1", "Z1": "=SUMSQ(D1:D3)+C1+C2+C3"}, "A1:C3"),
        ({"A1:B3": ROWS, "C1:C3": "=A1+A1", "Z1": "=SUMSQ(C1:C3)+SUM(B1:B3)"}, "A1:B3"),
        ({"A1:B3": ROWS, "C1:C3": "=A1-B1", "Z1": "=SUMSQ(C1:C3)"}, "A1:B3"),
    ],
    "products of a matrix with several vectors": [
        ({"A1:B3": ROWS, "X1:Y3": [[1, 2], [3, 4], [5, 6]], "E1:E4": "=SUMPRODUCT($A1:$B1,$X$1:$Y$1)",
          "F1:F3": "=SUMPRODUCT($A1:$B1,$X$3:$Y$3)", "Z1": "=SUMPRODUCT(E1:F3,E1:F3)+X2+Y2"}, "X1:Y3"),
        ({"A1:B3": ROWS, "X1:Y2": [[1, 2], [3, 4]], "E1:E4": "=SUMPRODUCT($A1:$B1,$X$2:$Y$2)",
          "F1:F3": "=SUMPRODUCT($A1:$B1,$X$1:$Y$1)", "Z1": "=SUMPRODUCT(E1:F3,E1:F3)"}, "X1:Y2"),
    ],
    "logarithm of a sum of exponentials": [
        ({"A1:B3": ROWS, "Z1": "=LN(SUMPRODUCT(EXP(A1:B3))+1)"}, "A1:B3"),
        ({"A1:B3": ROWS, "Z1": "=LN(SUMPRODUCT(A1:B3^2))"}, "A1:B3"),
        ({"A1:B3": ROWS, "Z1": "=LOG10(SUMPRODUCT(EXP(A1:B3)))"}, "A1:B3"),
    ],
    "largest of windows": [
        ({"A1:D4": GRID, "F1": "=MIN(A1:B2)", "G1": "=MIN(C1:D2)", "F2": "=MIN(A3:B4)", "G2": "=MIN(C3:D4)",
          "Z1": "=SUMSQ(F1:G2)"}, "A1:D4"),
        ({"A1:D4": GRID, "F1:F3": "=MAX(A1:B2)", "Z1": "=SUMSQ(F1:F3)"}, "A1:B4"),
    ],
}  # fmt: skip


def program(cells: Cells, params: str, passes: Sequence[Pass]) -> fx.GraphModule:
    found = lowered(book(cells), params.split(","), "Z1")
    return simplify(found.module(found.regions.read(found.results[-1][0].range).data), passes)


def outcome(module: fx.GraphModule) -> tuple[torch.Tensor, ...]:
    loss = module()
    return loss.detach(), *torch.autograd.grad(loss, list(module.parameters()))


def functions(module: fx.GraphModule) -> list[Any]:
    return [node.target for node in module.graph.nodes if node.op.startswith("call")]


def same(one: fx.GraphModule, two: fx.GraphModule) -> None:
    for ours, theirs in zip(outcome(one), outcome(two), strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-12, atol=1e-12)


def up_to(wanted: Pass) -> Sequence[Pass]:
    """The passes before one: what it looks for may be their work."""
    return PASSES[: PASSES.index(wanted)]


def named(each: Pass) -> str:
    return each.name


def test_every_pass_is_tested() -> None:
    names = {each.name for each in PASSES}
    assert len(names) == len(PASSES)
    assert names == WORKS.keys(), "give a new pass a sheet in WORKS"
    assert names == NEAR.keys(), "give a new pass a sheet in NEAR"


@pytest.mark.parametrize("each", PASSES, ids=named)
def test_pass_works(each: Pass) -> None:
    cells, params = WORKS[each.name]
    before, after = program(cells, params, up_to(each)), program(cells, params, [*up_to(each), each])
    assert functions(before) != functions(after), "the pass did nothing"
    same(after, before)


LARGE_ONLY = ("packing: the same calculation many times over", "convolutions in torch's operation")
"""Passes that take a few operations more on a small sheet, and far fewer on a large one (see test_packing)."""


@pytest.mark.parametrize("each", [each for each in PASSES if each.name not in LARGE_ONLY], ids=named)
def test_pass_makes_it_no_longer(each: Pass) -> None:
    cells, params = WORKS[each.name]
    before, after = program(cells, params, up_to(each)), program(cells, params, [*up_to(each), each])
    assert len(functions(after)) <= len(functions(before))


NEAR_MISSES = [(each, cells, params) for each in PASSES for cells, params in NEAR[each.name]]


@pytest.mark.parametrize(("each", "cells", "params"), NEAR_MISSES)
def test_near_miss(each: Pass, cells: Cells, params: str) -> None:
    before, after = program(cells, params, up_to(each)), program(cells, params, [*up_to(each), each])
    assert functions(before) == functions(after), "the pass must leave this alone"
    same(after, before)


@pytest.mark.parametrize("name", WORKS)
def test_all_passes_together(name: str) -> None:
    cells, params = WORKS[name]
    same(program(cells, params, PASSES), program(cells, params, ()))


@pytest.mark.parametrize("name", WORKS)
def test_shapes_stay_true(name: str) -> None:
    """What is noted after all passes is what the program calculates."""
    cells, params = WORKS[name]
    module = program(cells, params, PASSES)
    noted = {node.name: known_shape(node) for node in module.graph.nodes}
    note_shapes(module)
    measured = {node.name: known_shape(node) for node in module.graph.nodes}
    assert {each: shape for each, shape in noted.items() if shape is not None}.items() <= measured.items()


def test_names_stay() -> None:
    """A node that takes another's place keeps its name, which tells the cells."""
    cells, params = WORKS["sum or mean of squared differences"]
    names = [node.name for node in program(cells, params, PASSES).graph.nodes]
    assert any("Z1" in name for name in names)
