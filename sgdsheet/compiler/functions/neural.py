"""Layers of neural networks, on whole arrays: a row is a sample, and a single column is one vector."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import torch
from torch import Tensor

from sgdsheet.compiler.functions import operators
from sgdsheet.compiler.functions.registry import (
    Argument,
    ArgumentKind,
    Context,
    Derivative,
    OverSamples,
    flat_at_zero,
    own_function,
)
from sgdsheet.compiler.ir.builder import Builder
from sgdsheet.compiler.ir.contraction import contract
from sgdsheet.compiler.ir.values import MOST_CELLS, Fault, Kind, Value
from sgdsheet.errors import FormulaError

INPUTS = Argument("inputs", "Numbers: one cell or a range.")
_LARGEST_SEED = 2**32 - 1


# --- arguments --------------------------------------------------------------------------------------------


def shape_text(*values: Value) -> str:
    return " and ".join(f"{value.size('h')}x{value.size('w')}" for value in values)


def is_column(value: Value) -> bool:
    return "h" in value.axes and "w" not in value.axes


def as_row(value: Value) -> Value:
    """A single column turned into a row; everything else as it is."""
    return value.renamed({"h": "w"}) if is_column(value) else value


def given(value: Value | None) -> Value | None:
    """None for an argument that was left out, as in `SGD_LINEAR(A1:B2,C1:D2,)`."""
    return None if value is None or value.kinds is Kind.BLANK else value


def constant_number(builder: Builder, value: Value | None, otherwise: float, what: str) -> float:
    """An option that must be one fixed number."""
    value = given(value)
    if value is None:
        return otherwise
    number = builder.numbers(value)
    if number.constant and not number.is_array and number.only(Kind.NUMBER):
        first = float(number.tensor.reshape(-1)[0])
        if bool((number.tensor == first).all()):  # for all copies of the formula
            return first
    raise FormulaError(f"needs one fixed number for {what}", remedy="Give it a number")


def whole_number(builder: Builder, value: Value | None, otherwise: int, what: str, least: int, most: int) -> int:
    """An option that must be a whole number between two others."""
    found = constant_number(builder, value, otherwise, what)
    if found != int(found) or not least <= found <= most:
        raise FormulaError(
            f"cannot use {found:g} for {what}", remedy=f"Give it a whole number from {least} to {most:,}"
        )
    return int(found)


def along(builder: Builder, operation: Callable[..., Tensor], value: Value, axis: str) -> Value:
    """Apply torch.softmax or its like along an axis; an error in a row makes the whole row an error."""
    errors, clean = builder.errors_of(value), builder.cleaned(value)
    at = clean.axes.index(axis)
    result = Value(builder.call(operation, clean.data, dim=at), clean.axes, clean.sizes)
    return result if errors is None else builder.spoiled(result, builder.any_error(errors, axis))


# --- activations ------------------------------------------------------------------------------------------


@own_function(
    "SGD_RELU",
    [INPUTS],
    derivative=Derivative.KINKED,
    over_samples=OverSamples.ELEMENTWISE,
    examples={"SGD_RELU(2.5)": 2.5, "SGD_RELU(-1)": 0, "SUM(SGD_RELU({-1,2;3,-4}))": 5},
)
def relu(context: Context, inputs: Value) -> Value:
    """The rectified linear unit: numbers below 0 become 0."""
    return context.builder.elementwise(torch.relu, context.builder.numbers(inputs))


@own_function(
    "SGD_SIGMOID",
    [INPUTS],
    over_samples=OverSamples.ELEMENTWISE,
    examples={"SGD_SIGMOID(0)": 0.5, "SGD_SIGMOID(LN(3))": 0.75, "SUM(SGD_SIGMOID({-2,2;-800,800}))": 2},
)
def sigmoid(context: Context, inputs: Value) -> Value:
    """The logistic function 1/(1+e^-x), a number between 0 and 1."""
    return context.builder.elementwise(torch.sigmoid, context.builder.numbers(inputs))


@own_function(
    "SGD_TANH",
    [INPUTS],
    over_samples=OverSamples.ELEMENTWISE,
    examples={"SGD_TANH(LN(2))": 0.6, "SUM(SGD_TANH({-1,2;1,-2}))": 0},
)
def tanh(context: Context, inputs: Value) -> Value:
    """The hyperbolic tangent, a number between -1 and 1."""
    return context.builder.elementwise(torch.tanh, context.builder.numbers(inputs))


@own_function(
    "SGD_SOFTMAX",
    [Argument("scores", "Numbers, one row per sample; a single column is taken as one vector.")],
    over_samples=OverSamples.ROWS,
    examples={
        "SUM(SGD_SOFTMAX({0.5,2,-1})*{1,0,0})": 1 / (1 + math.exp(1.5) + math.exp(-1.5)),
        "SUM(SGD_SOFTMAX({0;0;0;0})*{1;2;3;4})": 2.5,
        "SUM(SGD_SOFTMAX({1000,1000;5,5})*{1,3;2,7})": 6.5,
    },
)
def softmax(context: Context, scores: Value) -> Value:
    """Turn the scores of each row into probabilities that add up to 1."""
    builder = context.builder
    scores = builder.numbers(scores)
    if not scores.is_array:
        return builder.elementwise(torch.exp, operators.subtract(builder, scores, scores))
    return along(builder, torch.softmax, scores, "w" if "w" in scores.axes else "h")


# --- layers -----------------------------------------------------------------------------------------------


@own_function(
    "SGD_LINEAR",
    [
        Argument("inputs", "Numbers, one row per sample and one column per feature."),
        Argument("weights", "One row per feature and one column per output."),
        Argument("bias", "One number per output, added to it; 0 if left out.", optional=True),
    ],
    over_samples=OverSamples.FIRST,
    examples={
        "SUM(SGD_LINEAR({1,2;3,4},{5;6},7))": 70,
        "SUM(SGD_LINEAR({1,2},{3,4;5,6},{10,20})*{1,100})": 3623,
        "SUM(SGD_LINEAR({1,2},{3,4;5,6},{10;20})*{1,100})": 3623,
        "SGD_LINEAR(2,3)": 6,
    },
)
def linear(context: Context, inputs: Value, weights: Value, bias: Value | None = None) -> Value:
    """A dense layer: inputs times weights, plus the bias."""
    builder = context.builder
    left, right = builder.numbers(inputs), builder.numbers(weights)
    if left.size("w") != right.size("h"):
        raise FormulaError(
            f"calls SGD_LINEAR with inputs and weights that do not fit ({shape_text(left, right)})",
            remedy="The weights need one row for each column of the inputs",
        )
    result = builder.canonical(contract(builder, left.renamed({"w": "k"}), right.renamed({"h": "k"}), "k"))
    bias = given(bias)
    if bias is None:
        return result
    bias = as_row(builder.numbers(bias))
    if "h" in bias.axes or bias.size("w") not in (1, result.size("w")):
        raise FormulaError(
            f"calls SGD_LINEAR with a bias that does not fit ({shape_text(bias)} for {result.size('w')} outputs)",
            remedy="The bias needs one number per column of the weights",
        )
    return operators.add(builder, result, bias)


# --- data -------------------------------------------------------------------------------------------------


@own_function(
    "SGD_ONEHOT",
    [
        Argument("labels", "One label per sample: class numbers from 0 on, or names."),
        Argument("classes", "How many classes there are, or a range with their names."),
    ],
    derivative=Derivative.ZERO,
    over_samples=OverSamples.FIRST,
    fixed_arguments=[0, 1],
    examples={
        "SUM(SGD_ONEHOT({0;2;1},3)*{1,2,4;8,16,32;64,128,256})": 161,
        'SUM(SGD_ONEHOT(B1:B4,{"male","female"})*{1,10;2,20;4,40;8,80})': 69,
    },
)
def onehot(context: Context, labels: Value, classes: Value) -> Value:
    """A row for each label, with 1 in the column of its class and 0 elsewhere."""
    builder = context.builder
    if {"h", "w"} <= set(labels.axes):
        raise FormulaError(f"calls SGD_ONEHOT with a {shape_text(labels)} range of labels", remedy="Give it one column")
    labels = labels.renamed({"w": "h"})
    if not classes.is_array and classes.only(Kind.NUMBER):
        return one_hot(builder, labels, whole_number(builder, classes, 0, "the number of classes", 1, 16_384))
    names = as_row(classes)
    if "h" in names.axes:
        raise FormulaError(f"calls SGD_ONEHOT with a {shape_text(names)} range of classes", remedy="Give it one row")
    found = builder.numbers(operators.compare(builder, "=", labels, names))
    return _without_strangers(builder, found)


def one_hot(builder: Builder, labels: Value, count: int) -> Value:
    """Class numbers from 0 on as rows of 0 and 1; an error where there is no such class."""
    numbers = Value(torch.arange(count, dtype=builder.dtype), "w", (count,))
    same = builder.elementwise(torch.eq, builder.numbers(labels), numbers, kind=Kind.BOOLEAN)
    return _without_strangers(builder, builder.numbers(same))


def _without_strangers(builder: Builder, found: Value) -> Value:
    """The rows of 0 and 1 with an error where a label is none of the classes."""
    classes = builder.reduce(torch.sum, found, "w")
    strange = builder.elementwise(torch.eq, classes, builder.number(0.0), kind=Kind.BOOLEAN)
    return builder.spoiled(found, strange, Fault.VALUE)


@own_function(
    "SGD_NORMALIZE",
    [
        Argument("values", "Numbers, one column per feature; a single row is taken as one vector."),
        Argument(
            "mean",
            "What to subtract, such as the mean of the training data; each column's own if left out.",
            optional=True,
        ),
        Argument("deviation", "What to divide by; each column's own standard deviation if left out.", optional=True),
    ],
    examples={
        "SUM(SGD_NORMALIZE({1;2;6})*{1;0;0})": -2 / (14 / 3) ** 0.5,
        "SUM(SGD_NORMALIZE({1,7;5,7})*{1,2;30,40})": 29,
        "SUM(SGD_NORMALIZE({1,7;5,9},{1,2},4)*{1,10;100,1000})": 12.5 + 100 + 1750,
    },
)
def normalize(context: Context, values: Value, mean: Value | None = None, deviation: Value | None = None) -> Value:
    """Each column shifted and scaled to mean 0 and standard deviation 1 (of the population)."""
    builder = context.builder
    values, mean, deviation = builder.numbers(values), given(mean), given(deviation)
    axis = "h" if "h" in values.axes else "w"
    for option in (mean, deviation):
        if option is not None and ("h" in option.axes or option.size("w") not in (1, values.size("w"))):
            raise FormulaError(
                f"calls SGD_NORMALIZE with arrays that do not fit ({shape_text(values, option)})",
                remedy="Mean and deviation are one number, or one per column",
            )
    if mean is None:
        mean = builder.reduce(torch.mean, values, axis)
    centred = operators.subtract(builder, values, mean)
    if deviation is None:
        square = operators.power(builder, centred, builder.number(2.0))
        variance = builder.reduce(torch.mean, square, axis)
        deviation = builder.elementwise(torch.sqrt, flat_at_zero(builder, variance))
        still = builder.elementwise(torch.eq, deviation, builder.number(0.0), kind=Kind.BOOLEAN)
        deviation = builder.where(still, builder.number(1.0), deviation)  # a column of equal numbers becomes 0
    return operators.divide(builder, centred, deviation)


@own_function(
    "SGD_RANDN",
    [
        Argument("rows", "How many rows.", ArgumentKind.SCALAR),
        Argument("columns", "How many columns; 1 if left out.", ArgumentKind.SCALAR, optional=True),
        Argument("deviation", "The standard deviation; 1 if left out.", ArgumentKind.SCALAR, optional=True),
        Argument(
            "seed",
            "Which random numbers: another seed gives others; 0 if left out.",
            ArgumentKind.SCALAR,
            optional=True,
        ),
    ],
    over_samples=OverSamples.UNKNOWN,
    fixed_arguments=[0, 1, 3],
    examples={"SGD_RANDN(1)": 1.764052345967664, "SUM(SGD_RANDN(2,3,0.5,7)*{1,0,0;0,0,0})": 0.845262851900178},
)
def randn(
    context: Context,
    rows: Value,
    columns: Value | None = None,
    deviation: Value | None = None,
    seed: Value | None = None,
) -> Value:
    """Random numbers of the normal distribution with mean 0, the same ones for the same seed."""
    builder = context.builder
    height = whole_number(builder, rows, 1, "the number of rows", 1, 1_048_576)
    width = whole_number(builder, columns, 1, "the number of columns", 1, 16_384)
    if height * width > MOST_CELLS:
        raise FormulaError(f"asks for {height * width:,} random numbers", remedy="Ask for fewer")
    # The legacy generator: numpy promises that its numbers stay the same in all versions.
    stream = np.random.RandomState(whole_number(builder, seed, 0, "the seed", 0, _LARGEST_SEED))
    axes = "".join(axis for axis, size in (("h", height), ("w", width)) if size > 1)
    sizes = tuple(size for size in (height, width) if size > 1)
    numbers = Value(torch.tensor(stream.standard_normal(sizes), dtype=builder.dtype), axes, sizes)
    deviation = given(deviation)
    if deviation is None:
        return numbers
    if deviation.is_array:
        raise FormulaError("needs one number for the deviation", remedy="Give it one cell")
    return operators.multiply(builder, numbers, replace(deviation, reference=False))
