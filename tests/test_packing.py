"""Convolutions in cells: kernels over windows, channels and feature maps, against the program as it was recorded."""

from __future__ import annotations

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import fx

from sgdsheet.compiler.passes import simplify
from sgdsheet.compiler.passes.packing import Packer
from sgdsheet.compiler.passes.shapes import set_shape
from sgdsheet.compiler.passes.windows import correlate
from sgdsheet.sheet.references import column_letters
from tests.sheets import Cells, book, lowered

SIZE, KERNEL = 9, 3


def grid(rows: int, columns: int, seed: int) -> list[list[float]]:
    return np.random.default_rng(seed).normal(size=(rows, columns)).round(3).tolist()


def network(kernels: int = 4, second: int = 3, *, uneven: bool = False) -> tuple[Cells, list[str]]:
    """An image, `kernels` feature maps side by side, pooled, and `second` maps that sum over all of those."""
    cells: Cells = {"A1:I9": grid(SIZE, SIZE, 0)}  # the image
    parameters = ["A1:I9"]
    width = KERNEL * kernels
    first = f"A12:{column_letters(width)}14"
    cells[first] = grid(KERNEL, width, 1)
    biases = f"A16:{column_letters(kernels)}16"
    cells[biases] = grid(1, kernels, 2)
    deeper = f"A20:{column_letters(width)}{19 + 2 * second}"
    parameters += [first, biases, deeper]
    cells[deeper] = grid(2 * second, width, 3)
    pooled = []
    for number in range(kernels):
        left = 40 + 10 * number
        a, b = column_letters(1 + KERNEL * number), column_letters(KERNEL * (number + 1))
        bias = f"${column_letters(number + 1)}$16"
        function = "ABS" if uneven and number == 1 else "MAX"
        inner = f"SUMPRODUCT(A1:C3,${a}$12:${b}$14)+{bias}"
        text = f"=ABS({inner})" if function == "ABS" else f"=MAX(0,{inner})"
        cells[f"{column_letters(left)}1:{column_letters(left + 6)}7"] = text
        for row in range(3):
            for column in range(3):
                x, y = column_letters(left + 2 * column), column_letters(left + 2 * column + 1)
                place = f"{column_letters(left + column)}{20 + row}"
                cells[place] = f"=MAX({x}{1 + 2 * row}:{y}{2 + 2 * row})"
        pooled.append(left)
    for number in range(second):
        left = 40 + 2 * number
        terms = []
        for index, source in enumerate(pooled):
            window = f"{column_letters(source)}20:{column_letters(source + 1)}21"
            a, b = column_letters(1 + KERNEL * index), column_letters(2 + KERNEL * index)
            terms.append(f"SUMPRODUCT({window},${a}${20 + 2 * number}:${b}${21 + 2 * number})")
        for row in range(2):
            for column in range(2):
                moved = [
                    term.replace(
                        f"{column_letters(source)}20:{column_letters(source + 1)}21",
                        f"{column_letters(source + column)}{20 + row}:{column_letters(source + column + 1)}{21 + row}",
                    )
                    for term, source in zip(terms, pooled, strict=True)
                ]
                cells[f"{column_letters(left + column)}{40 + row}"] = "=" + "+".join(moved)
    cells["Z99"] = f"=SUMSQ({column_letters(40)}40:{column_letters(39 + 2 * second)}41)"
    return cells, parameters


def program(cells: Cells, parameters: list[str], *, packed: bool) -> fx.GraphModule:
    found = lowered(book(cells), parameters, "Z99")
    module = found.module(found.results[-1][1].data)
    return simplify(module) if packed else simplify(module, ())


def outcome(module: fx.GraphModule) -> list[torch.Tensor]:
    loss = module()
    return [loss.detach(), *torch.autograd.grad(loss, list(module.parameters()))]


def count(module: fx.GraphModule, target: object) -> int:
    return sum(node.target is target for node in module.graph.nodes)


@pytest.mark.parametrize(("kernels", "second"), [(4, 3), (2, 2), (5, 2)])
def test_a_network_is_two_convolutions(kernels: int, second: int) -> None:
    cells, parameters = network(kernels, second)
    before, after = program(cells, parameters, packed=False), program(cells, parameters, packed=True)
    for ours, theirs in zip(outcome(after), outcome(before), strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-12, atol=1e-12)
    assert count(before, F.conv2d) == 0
    assert count(after, F.conv2d) == 2
    assert count(after, F.max_pool2d) == 1
    assert count(after, torch.stack) == 0
    assert len(after.graph.nodes) < len(before.graph.nodes)


def test_what_differs_is_stacked() -> None:
    """One map of four is not rectified: its sum still is one convolution."""
    cells, parameters = network(4, 2, uneven=True)
    before, after = program(cells, parameters, packed=False), program(cells, parameters, packed=True)
    for ours, theirs in zip(outcome(after), outcome(before), strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-12, atol=1e-12)
    assert count(after, torch.stack) >= 1
    assert count(after, correlate) == 0


def test_equal_slices_are_a_view() -> None:
    """Every second row of a matrix, and pairs of columns, without copying."""
    graph = fx.Graph()
    matrix = graph.placeholder("matrix")
    rows = [graph.call_method("select", (matrix, 0, index)) for index in (0, 2, 4)]
    pairs = [graph.call_method("narrow", (matrix, 1, index, 2)) for index in (1, 3)]
    for nodes, shape in (([matrix], (6, 6)), (rows, (6,)), (pairs, (6, 2))):
        for node in nodes:
            set_shape(node, shape)
    packer = Packer(graph)
    graph.output((packer.packed(tuple(rows)), packer.packed(tuple(pairs))))
    data = torch.arange(36.0).reshape(6, 6)
    one, two = fx.GraphModule({}, graph)(data)
    assert torch.equal(one, data[0:5:2])
    assert torch.equal(two, torch.stack([data[:, 1:3], data[:, 3:5]]))
    assert not any(node.target is torch.stack for node in graph.nodes)
