"""A convolution with what stands around it in a network: its scale, its bias, and the activation before a pooling.

correlate(x, kernels) / 255         one kernel has far fewer numbers than what it makes of an image
conv2d(x, kernels) + bias           torch adds a bias while it calculates the convolution
max_pool2d(relu(x))                 of four cells, the activation is needed for the largest only
"""

from __future__ import annotations

import operator

import torch
import torch.nn.functional as F
from torch import fx

from sgdsheet.compiler.passes.shapes import known_shape, set_shape, shape_of
from sgdsheet.compiler.passes.windows import correlate

_SCALES = 1e-9, 1e9
"""The smallest and the largest factor that goes into a kernel: numbers must not overflow there, nor become 0."""

_CHANNELS = 4
"""Channels from which on torch looks for the largest cells of several of them at a time."""


def scaled_kernels(graph: fx.Graph, node: fx.Node) -> fx.Node | None:
    """A correlation that is multiplied or divided by a number is one with such a multiple of the kernels."""
    if node.target not in (operator.mul, operator.truediv):
        return None
    first, factor = node.args
    if node.target is operator.mul and isinstance(factor, fx.Node):
        first, factor = factor, first
    found = _read_here_only(first, correlate)
    if found is None or not isinstance(factor, (int, float)) or not _SCALES[0] <= abs(factor) <= _SCALES[1]:
        return None
    cells, kernels, *rest = found.args
    assert isinstance(kernels, fx.Node)
    if shape_of(kernels).numel() >= shape_of(node).numel():
        return None
    scaled = set_shape(graph.call_function(node.target, (kernels, factor)), shape_of(kernels))
    return graph.call_function(correlate, (cells, scaled, *rest))


def convolution_with_bias(graph: fx.Graph, node: fx.Node) -> fx.Node | None:
    """A number for each channel that is added to a convolution is its bias."""
    if node.target is not operator.add or len(shape_of(node)) != 3:
        return None
    for found, bias in (node.args, node.args[::-1]):
        single = _read_here_only(found, "squeeze")
        convolution = _read_here_only(single.args[0], torch.conv2d) if single is not None else None
        if convolution is None or not isinstance(bias, fx.Node) or len(convolution.args) != 2:
            continue
        channels = shape_of(node)[0]
        if tuple(shape_of(bias)) == (channels, 1, 1):
            flat = set_shape(graph.call_method("reshape", (bias, (channels,))), (channels,))
            result = graph.call_function(torch.conv2d, (*convolution.args, flat), dict(convolution.kwargs))
            return graph.call_method("squeeze", (set_shape(result, (1, *shape_of(node))), 0))
    return None


def activation_after_pooling(graph: fx.Graph, node: fx.Node) -> fx.Node | None:
    """The largest of what ReLU gives is what ReLU gives for the largest, with the same gradient: where all cells are
    negative, that is 0."""
    if node.target is not F.max_pool2d:
        return None
    image = _read_here_only(node.args[0], "unsqueeze")  # of a single channel
    activation = _read_here_only(node.args[0] if image is None else image.args[0], torch.relu)
    if activation is None:
        return None
    cells = activation.args[0]
    if image is not None:
        cells = set_shape(graph.call_method("unsqueeze", (cells, *image.args[1:])), (1, *shape_of(activation)))
    pooled = set_shape(graph.call_function(F.max_pool2d, (cells, *node.args[1:])), shape_of(node))
    return graph.call_function(torch.relu, (pooled,))


def pooling_of_channels_last(graph: fx.Graph, node: fx.Node) -> fx.Node | None:
    """Cells whose channels lie side by side in memory: torch pools many of these at once.

    For programs that are batched: of a single image [channels, rows, columns] torch would put them back.
    """
    cells = node.args[0] if node.target is F.max_pool2d else None
    if not isinstance(cells, fx.Node) or len(shape_of(cells)) != 3 or shape_of(cells)[0] < _CHANNELS:
        return None
    channels, rows, columns = shape_of(cells)
    shape = rows, columns, channels
    moved = set_shape(graph.call_method("permute", (cells, 1, 2, 0)), shape)
    together = set_shape(graph.call_method("contiguous", (moved,)), shape)
    back = set_shape(graph.call_method("permute", (together, 2, 0, 1)), shape_of(cells))
    return graph.call_function(F.max_pool2d, (back, *node.args[1:]))


def kernels_of_channels_last(graph: fx.Graph) -> None:
    """Let kernels for images of one channel lie in memory as if there were several.

    Torch then makes its channels side by side, and `pooling_of_channels_last` has nothing to move.
    """
    for node in graph.nodes:
        kernels = node.args[1] if node.target is torch.conv2d else None
        shape = known_shape(kernels) if isinstance(kernels, fx.Node) else None
        if shape is None or len(shape) != 4 or shape[1] != 1 or shape[0] < _CHANNELS:
            continue
        with graph.inserting_before(node):
            flat = graph.call_method("reshape", (kernels, (shape[0], *shape[2:], 1)))
            together = graph.call_method("contiguous", (flat,))
            node.update_arg(1, set_shape(graph.call_method("permute", (together, 0, 3, 1, 2)), shape))


def _read_here_only(item: object, target: object) -> fx.Node | None:
    """The node of an operation, if one other node reads it and no more; else None."""
    found = isinstance(item, fx.Node) and item.target == target and len(item.users) == 1
    return item if found else None  # type: ignore[return-value]
