"""Every pass: a sheet on which it works, with the same value and gradient, and one that only looks alike."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import fx

import sgdsheet
from sgdsheet.compiler.passes import PASSES, Pass, each_node, simplify
from sgdsheet.compiler.passes.layers import kernels_of_channels_last, pooling_of_channels_last
from sgdsheet.compiler.passes.shapes import known_shape, note_shapes, set_shape
from sgdsheet.data.layouts.example import OneExample
from sgdsheet.data.sample_choice import bind_samples
from sgdsheet.problem.settings import combine
from sgdsheet.sheet.references import Range
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


def test_images_are_calculated_in_few_passes(tmp_path: Path) -> None:
    """Of the convolutional lesson, whole maps are calculated by the convolutions, with their biases, and read by the
    poolings: activations and scales are of what is left, and of the kernels."""
    images = np.random.default_rng(1).integers(0, 255, (12, 28, 28)).astype(np.uint8)
    np.savez(tmp_path / "digits.npz", image=images, label=np.arange(12) % 10)
    model = sgdsheet.compile(sgdsheet.load("workbooks/mnist_cnn.xlsx"), source=tmp_path / "digits.npz")
    samples = bind_samples(model, combine(model.problem.settings, {}))
    assert samples is not None
    assert isinstance(samples.layout, OneExample)
    module = samples.layout.program([Range.of_cell(model.problem.loss)])
    activations = [known_shape(node) for node in module.graph.nodes if node.target is torch.relu]
    convolutions = [node for node in module.graph.nodes if node.target is torch.conv2d]
    maps = [node.target for node in module.graph.nodes if (known_shape(node) or torch.Size()).numel() == 8 * 24 * 24]
    assert activations == [torch.Size([8, 12, 12]), torch.Size([16, 4, 4])]
    assert [len(node.args) for node in convolutions] == [3, 3]
    assert set(maps) <= {torch.conv2d, "squeeze", "permute", "contiguous"}


def test_channels_last_in_memory() -> None:
    """A batch of maps is put so that torch pools all channels of a cell at once, with the same values and gradient."""
    graph = fx.Graph()
    image = set_shape(graph.placeholder("image"), (8, 6, 6))
    pooled = set_shape(graph.call_function(torch.nn.functional.max_pool2d, (image, (2, 2), (2, 2))), (8, 3, 3))
    graph.output(pooled)
    before = fx.GraphModule(torch.nn.Module(), graph)
    after = fx.GraphModule(torch.nn.Module(), fx.Graph())
    after.graph.output(after.graph.graph_copy(graph, {}))
    for node, like in zip(after.graph.nodes, graph.nodes, strict=True):
        if (shape := known_shape(like)) is not None:
            set_shape(node, shape)
    each_node(pooling_of_channels_last)(after.graph)
    after.recompile()
    assert "contiguous" in functions(after)
    images = torch.randn(5, 8, 6, 6, generator=torch.Generator().manual_seed(1), requires_grad=True)
    found = [torch.vmap(module.forward)(images) for module in (before, after)]
    gradients = [torch.autograd.grad(item.square().sum(), images)[0] for item in found]
    assert torch.equal(*found)
    assert torch.equal(*gradients)


def test_kernels_of_images_of_one_channel() -> None:
    """Their maps come with the channels side by side, with the same values and gradient, and pooling copies nothing."""
    graph = fx.Graph()
    image, kernels = (graph.placeholder(name) for name in ("image", "kernels"))
    set_shape(kernels, (8, 1, 3, 3))
    graph.output(graph.call_function(torch.conv2d, (image, kernels)))
    before = fx.GraphModule(torch.nn.Module(), graph)
    after = fx.GraphModule(torch.nn.Module(), fx.Graph())
    after.graph.output(after.graph.graph_copy(graph, {}))
    set_shape(next(node for node in after.graph.nodes if node.target == "kernels"), (8, 1, 3, 3))
    kernels_of_channels_last(after.graph)
    after.recompile()
    generator = torch.Generator().manual_seed(1)
    images = torch.randn(5, 1, 1, 6, 6, generator=generator)
    turned = torch.randn(3, 8, 1, 3, generator=generator).permute(1, 2, 0, 3)  # as kernels lie that a sheet holds
    weights = turned.clone(memory_format=torch.preserve_format).requires_grad_()
    found = [torch.vmap(module.forward, in_dims=(0, None))(images, weights) for module in (before, after)]
    gradients = [torch.autograd.grad(item.square().sum(), weights)[0] for item in found]
    torch.testing.assert_close(*found)
    torch.testing.assert_close(*gradients)
    assert found[1].squeeze(1).is_contiguous(memory_format=torch.channels_last)
    assert not found[0].squeeze(1).is_contiguous(memory_format=torch.channels_last)
