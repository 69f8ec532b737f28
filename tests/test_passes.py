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

WORKS = {each.name: each.works for each in PASSES}
NEAR = {each.name: each.near for each in PASSES}


def program(cells: Cells, params: str, passes: Sequence[Pass]) -> fx.GraphModule:
    found = lowered(book(cells), params.split(","), "Z1")
    return simplify(found.module(found.regions.read(found.results[-1][0].range).data), passes, frozen=True)


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
    assert all(each.near for each in PASSES), "give a new pass a sheet that only looks alike"


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
