"""Convolution of an image with a kernel, both of them ranges."""

from __future__ import annotations

import torch

from sgdsheet.compiler.functions import operators
from sgdsheet.compiler.functions.neural import given, shape_text, whole_number
from sgdsheet.compiler.functions.registry import Argument, ArgumentKind, Context, own_function
from sgdsheet.compiler.ir.builder import Builder
from sgdsheet.compiler.ir.contraction import contract
from sgdsheet.compiler.ir.values import MOST_CELLS, Value
from sgdsheet.errors import FormulaError

_LARGEST_STEP = 10_000


@own_function(
    "SGD_CONV2D",
    [
        Argument("image", "The picture: one number per pixel."),
        Argument("kernel", "The weights of the window, such as 3x3 cells."),
        Argument("bias", "One number, added to all; 0 if left out.", optional=True),
        Argument("stride", "How far the window moves each time; 1 if left out.", ArgumentKind.SCALAR, optional=True),
        Argument(
            "padding", "Zeros around the picture, on each side; 0 if left out.", ArgumentKind.SCALAR, optional=True
        ),
    ],
    fixed_arguments=[3, 4],
    examples={
        "SUM(SGD_CONV2D({1,2,3;4,5,6;7,8,9},{1,0;0,2})*{1,10;100,1000})": 11 + 140 + 2000 + 23000,
        "SUM(SGD_CONV2D({1,2,3,4;5,6,7,8},{1,1},0.5,2)*{1,10})": 3.5 + 75,
        "SUM(SGD_CONV2D({1,2;3,4},{1,2,3;4,5,6;7,8,9},0,1,1)*{1,10;100,1000})": 77 + 670 + 4700 + 37000,
        "SGD_CONV2D({1,2;3,4},{1,10;100,1000},5)": 4326,
    },
)
def convolution(
    context: Context,
    image: Value,
    kernel: Value,
    bias: Value | None = None,
    stride: Value | None = None,
    padding: Value | None = None,
) -> Value:
    """The weighted sum of each window of the image: a convolution layer with one channel."""
    builder = context.builder
    step = whole_number(builder, stride, 1, "the stride", 1, _LARGEST_STEP)
    edge = whole_number(builder, padding, 0, "the padding", 0, _LARGEST_STEP)
    windows, kernel = builder.numbers(image), builder.numbers(kernel)
    for axis, window in (("h", "k"), ("w", "l")):
        length = kernel.size(axis)
        if length > windows.size(axis) + 2 * edge:
            raise FormulaError(
                f"calls SGD_CONV2D with a kernel larger than the image ({shape_text(kernel, image)})",
                remedy="Use a smaller kernel, or padding",
            )
        windows = _windows(builder, windows, axis, window, length, step, edge)
    if torch.Size(windows.sizes).numel() > MOST_CELLS:
        raise FormulaError("works on more numbers than can be handled", remedy="Use a smaller image or kernel")
    result = builder.canonical(contract(builder, windows, kernel.renamed({"h": "k", "w": "l"}), "kl"))
    bias = given(bias)
    if bias is None:
        return result
    if bias.is_array:
        raise FormulaError("calls SGD_CONV2D with several numbers for the bias", remedy="Give it one cell")
    return operators.add(builder, result, builder.numbers(bias))


def _windows(builder: Builder, value: Value, axis: str, window: str, length: int, step: int, edge: int) -> Value:
    """The value with an axis `window` for the places within a window, and `axis` for the windows."""
    if edge:
        value = _padded(builder, value, axis, edge)
    if axis not in value.axes:
        return value  # one window of one cell
    at = value.axes.index(axis)
    count = (value.size(axis) - length) // step + 1
    sizes = (*value.sizes[:at], count, *value.sizes[at + 1 :], length)
    data = builder.method("unfold", value.data, at, length, step)
    found = value.picked(data, value.axes + window, sizes, lambda kinds: kinds.unfold(at, length, step))
    for name in (axis, window):
        if found.size(name) == 1:
            found = _without(builder, found, name)
    return found


def _padded(builder: Builder, value: Value, axis: str, edge: int) -> Value:
    """The value with zeros at both ends of an axis."""
    if axis not in value.axes:
        value = builder.expanded(value, value.axes + axis, (*value.sizes, 1))
    at = value.axes.index(axis)
    widths = [0] * (2 * (len(value.axes) - 1 - at)) + [edge, edge]
    sizes = (*value.sizes[:at], value.sizes[at] + 2 * edge, *value.sizes[at + 1 :])
    data = builder.call(torch.constant_pad_nd, value.data, widths, 0)
    return value.picked(data, value.axes, sizes, lambda kinds: torch.constant_pad_nd(kinds, widths, 0))


def _without(builder: Builder, value: Value, axis: str) -> Value:
    """The value without an axis of length 1."""
    at = value.axes.index(axis)
    data = builder.method("select", value.data, at, 0)
    sizes = (*value.sizes[:at], *value.sizes[at + 1 :])
    return value.picked(data, value.axes.replace(axis, ""), sizes, lambda kinds: kinds.select(at, 0))
