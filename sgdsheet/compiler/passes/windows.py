"""Sliding windows: what a sheet writes as SUMPRODUCT or MAX over a window is a convolution or a pooling.

    tensordot(x.unfold(0, 5, 1).unfold(1, 5, 1), kernel)    a correlation of the cells x with a kernel
    amax(x.unfold(0, 2, 2).unfold(1, 2, 2), dim=(2, 3))     the largest of each 2 x 2 window

Between recognising a correlation and writing it as `conv2d`, it is one node with the target `correlate`: sums of
several become one with several channels, and several over the same cells one with several results (see `packing`).
"""

from __future__ import annotations

from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, fx

from sgdsheet.compiler.passes.shapes import set_shape, shape_of


def correlate(cells: Tensor, kernels: Tensor, stride: tuple[int, int]) -> Tensor:
    """Windows of `cells` times a kernel, summed.

    cells [rows, columns] and kernels [h, w]; or with channels [channel, ...] in both; kernels may have one more
    axis in front, for as many results: [result, row, column] instead of [row, column].
    """
    several = kernels.dim() > cells.dim()
    images = cells.reshape(1, -1, *cells.shape[-2:])
    weights = kernels.reshape(len(kernels) if several else 1, -1, *kernels.shape[-2:])
    found = F.conv2d(images, weights, stride=stride).squeeze(0)
    return found if several else found.squeeze(0)


class _Windows(NamedTuple):
    cells: fx.Node
    dims: tuple[int, int]
    sizes: tuple[int, int]
    strides: tuple[int, int]


def _windows(node: object) -> _Windows | None:
    """The two unfolds of neighbouring dimensions that make two-dimensional windows."""
    if not isinstance(node, fx.Node) or node.op != "call_method" or node.target != "unfold":
        return None
    inner = node.args[0]
    if not isinstance(inner, fx.Node) or inner.op != "call_method" or inner.target != "unfold":
        return None
    _, second, width, across = node.args
    cells, first, height, down = inner.args
    numbers = (first, second, height, width, down, across)
    if not isinstance(cells, fx.Node) or not all(isinstance(number, int) for number in numbers) or second != first + 1:  # type: ignore[operator]
        return None
    return _Windows(cells, (first, second), (height, width), (down, across))  # type: ignore[arg-type]


def find_correlations(graph: fx.Graph) -> None:
    """Write products of windows with a kernel as `correlate`."""
    for node in list(graph.nodes):
        if node.target is not torch.functional.tensordot or len(node.args) != 2:
            continue
        windows = _windows(node.args[0])
        kernel = node.args[1]
        if windows is None or windows.dims != (0, 1) or not isinstance(kernel, fx.Node):
            continue
        if (
            node.kwargs.get("dims") != ([2, 3], [0, 1])
            or len(shape_of(kernel)) != 2
            or len(shape_of(windows.cells)) != 2
        ):
            continue
        with graph.inserting_before(node):
            new = graph.call_function(correlate, (windows.cells, kernel, windows.strides))
        replace(graph, node, new)


def write_convolutions(graph: fx.Graph) -> None:
    """Write `correlate` as torch's conv2d."""
    for node in list(graph.nodes):
        if node.target is not correlate:
            continue
        cells, kernels, stride = node.args
        assert isinstance(cells, fx.Node)
        assert isinstance(kernels, fx.Node)
        channels, several = len(shape_of(cells)) == 3, len(shape_of(node)) == 3
        with graph.inserting_before(node):
            image = graph.call_method("unsqueeze", (cells, 0))
            weights = kernels
            if not channels:
                image = graph.call_method("unsqueeze", (image, 0))
                place, shape = int(several), shape_of(kernels)
                weights = graph.call_method("unsqueeze", (weights, place))
                set_shape(weights, (*shape[:place], 1, *shape[place:]))
            if not several:
                weights = graph.call_method("unsqueeze", (weights, 0))
            options = {} if stride == (1, 1) else {"stride": stride}
            result = graph.call_method("squeeze", (graph.call_function(F.conv2d, (image, weights), options), 0))
            if not several:
                result = graph.call_method("squeeze", (result, 0))
        replace(graph, node, result)


def max_pooling(graph: fx.Graph, node: fx.Node) -> fx.Node | None:
    """The largest of each window is a max-pooling."""
    if node.target is not torch.amax:
        return None
    windows = _windows(node.args[0])
    if windows is None:
        return None
    rank = len(shape_of(windows.cells))
    dims = node.kwargs.get("dim", node.args[1] if len(node.args) > 1 else None)
    if rank not in (2, 3) or windows.dims != (rank - 2, rank - 1) or dims != (rank, rank + 1):
        return None
    if rank == 3:
        return graph.call_function(F.max_pool2d, (windows.cells, windows.sizes, windows.strides))
    image = set_shape(graph.call_method("unsqueeze", (windows.cells, 0)), (1, *shape_of(windows.cells)))
    pooled = graph.call_function(F.max_pool2d, (image, windows.sizes, windows.strides))
    return graph.call_method("squeeze", (set_shape(pooled, (1, *shape_of(node))), 0))


def replace(graph: fx.Graph, node: fx.Node, new: fx.Node) -> None:
    """Put a node in another's place: its name, which tells the cells, and its shape."""
    name = node.name
    set_shape(new, shape_of(node))
    node.replace_all_uses_with(new)
    graph.erase_node(node)
    new._rename(name)
