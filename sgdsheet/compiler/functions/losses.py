"""Losses and accuracy of predictions, in forms that neither overflow nor lose digits."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F

from sgdsheet.compiler.functions import operators
from sgdsheet.compiler.functions.neural import (
    along,
    as_row,
    constant_number,
    given,
    is_column,
    one_hot,
    shape_text,
)
from sgdsheet.compiler.functions.registry import (
    Argument,
    ArgumentKind,
    Context,
    Derivative,
    OverSamples,
    guarded,
    own_function,
)
from sgdsheet.compiler.ir.builder import Builder
from sgdsheet.compiler.ir.values import Kind, Value
from sgdsheet.errors import FormulaError

_PREDICTIONS = Argument("predictions", "What the model gives.")
_TARGETS = Argument("targets", "What it should give: as many cells as there are predictions.")
_PROBABILITIES = Argument(
    "probabilities",
    "TRUE if the scores are probabilities already; FALSE if left out.",
    ArgumentKind.SCALAR,
    optional=True,
)
_SMALLEST = math.exp(-100)
"""A probability of 0 costs as much as this one, 100; torch does the same."""


def _pair(context: Context, name: str, predictions: Value, targets: Value) -> tuple[Value, Value]:
    if any(predictions.size(axis) != targets.size(axis) for axis in "hw"):
        raise FormulaError(
            f"calls {name} with arrays of different sizes ({shape_text(predictions, targets)})",
            remedy="Make them the same size",
        )
    return context.builder.numbers(predictions), context.builder.numbers(targets)


@own_function(
    "SGD_MSE",
    [_PREDICTIONS, _TARGETS],
    gives_value=True,
    over_samples=OverSamples.MEAN,
    examples={"SGD_MSE({1,2;3,4},{1,4;0,4})": 3.25, "SGD_MSE(5,3)": 4},
)
def mean_squared_error(context: Context, predictions: Value, targets: Value) -> Value:
    """The mean of the squared differences."""
    builder = context.builder
    difference = operators.subtract(builder, *_pair(context, "SGD_MSE", predictions, targets))
    return builder.reduce(torch.mean, operators.power(builder, difference, builder.number(2.0)))


@own_function(
    "SGD_MAE",
    [_PREDICTIONS, _TARGETS],
    gives_value=True,
    derivative=Derivative.KINKED,
    over_samples=OverSamples.MEAN,
    examples={"SGD_MAE({1,2;3,5},{1.5,4;0,4})": 1.625, "SGD_MAE(5,3)": 2},
)
def mean_absolute_error(context: Context, predictions: Value, targets: Value) -> Value:
    """The mean of the absolute differences."""
    builder = context.builder
    difference = operators.subtract(builder, *_pair(context, "SGD_MAE", predictions, targets))
    return builder.reduce(torch.mean, builder.elementwise(torch.abs, difference))


@own_function(
    "SGD_BCE",
    [
        Argument("scores", "What the model gives before the sigmoid: any numbers."),
        Argument("targets", "0 or 1 (or a probability) for each score."),
        _PROBABILITIES,
    ],
    fixed_arguments=[2],
    gives_value=True,
    over_samples=OverSamples.MEAN,
    examples={
        "SGD_BCE(0,1)": math.log(2),
        "SGD_BCE({2;-1},{1;0})": (math.log1p(math.exp(-2)) + math.log1p(math.exp(-1))) / 2,
        "SGD_BCE({800;-800},{0;1})": 800,
        "SGD_BCE({0.75;0.5},{1;0},TRUE)": (math.log(4 / 3) + math.log(2)) / 2,
    },
)
def binary_cross_entropy(context: Context, scores: Value, targets: Value, probabilities: Value | None = None) -> Value:
    """The mean binary cross-entropy of scores (before the sigmoid) and targets of 0 and 1."""
    builder = context.builder
    scores, targets = _pair(context, "SGD_BCE", scores, targets)
    against = operators.subtract(builder, builder.number(1.0), targets)
    if _is_set(builder, probabilities):
        hit = operators.multiply(builder, targets, _log(builder, scores))
        opposite = operators.subtract(builder, builder.number(1.0), scores)
        miss = operators.multiply(builder, against, _log(builder, opposite))
        return operators.negate(builder, builder.reduce(torch.mean, operators.add(builder, hit, miss)))
    logarithm = builder.elementwise(F.logsigmoid, scores)
    loss = operators.subtract(builder, operators.multiply(builder, against, scores), logarithm)
    return builder.reduce(torch.mean, loss)


@own_function(
    "SGD_CROSSENTROPY",
    [
        Argument("scores", "What the model gives before the softmax: one row per sample, one column per class."),
        Argument("labels", "The class number of each sample, from 0 on, or a row of 0 and 1 for each sample."),
        _PROBABILITIES,
    ],
    fixed_arguments=[2],
    gives_value=True,
    over_samples=OverSamples.MEAN_OF_ROWS,
    examples={
        "SGD_CROSSENTROPY({0,0;5,5},{0;1})": math.log(2),
        "SGD_CROSSENTROPY({2,1,0},{0,1,0})": math.log(math.e**2 + math.e + 1) - 1,
        "SGD_CROSSENTROPY({2;1;0},1)": math.log(math.e**2 + math.e + 1) - 1,
        "SGD_CROSSENTROPY({1000,-1000;0,0},{1;0})": 1000 + math.log(2) / 2,
        "SGD_CROSSENTROPY({0.5,0.5;0.25,0.75},{0;1},TRUE)": (math.log(2) + math.log(4 / 3)) / 2,
    },
)
def cross_entropy(context: Context, scores: Value, labels: Value, probabilities: Value | None = None) -> Value:
    """The mean cross-entropy of scores (before the softmax) and the right classes."""
    builder = context.builder
    scores = builder.numbers(scores)
    if is_column(scores) and not labels.is_array:
        scores = as_row(scores)
    if "w" not in scores.axes:
        raise FormulaError("calls SGD_CROSSENTROPY with one score per row", remedy="It needs one column per class")
    targets = _one_hot_targets(builder, "SGD_CROSSENTROPY", scores, labels)
    if _is_set(builder, probabilities):
        logarithm = _log(builder, scores)
    else:
        logarithm = along(builder, torch.log_softmax, scores, "w")
    each = builder.reduce(torch.sum, operators.multiply(builder, targets, logarithm), "w")
    return operators.negate(builder, builder.reduce(torch.mean, each, "h"))


@own_function(
    "SGD_ACCURACY",
    [
        Argument("predictions", "One row of scores per sample, or one probability or class number per sample."),
        Argument("labels", "The class number of each sample, from 0 on, or a row of 0 and 1 for each sample."),
        Argument(
            "threshold",
            "For one prediction per sample: above it is class 1. If left out, predictions are rounded.",
            ArgumentKind.SCALAR,
            optional=True,
        ),
    ],
    gives_value=True,
    derivative=Derivative.ZERO,
    over_samples=OverSamples.MEAN,
    examples={
        "SGD_ACCURACY({0.1,0.9;0.8,0.2;0.3,0.7},{1;0;0})": 2 / 3,
        "SGD_ACCURACY({0.1,0.9;0.8,0.2},{0,1;0,1})": 0.5,
        "SGD_ACCURACY({0.2;0.7;0.5;0.4},{0;1;1;1})": 0.75,
        "SGD_ACCURACY({-3;0.2;5;2},{0;1;1;0},0)": 0.75,
        "SGD_ACCURACY({0.1;0.7;0.2},1)": 1,
    },
)
def accuracy(context: Context, predictions: Value, labels: Value, threshold: Value | None = None) -> Value:
    """The share of samples whose predicted class is the right one."""
    builder = context.builder
    predictions, labels, threshold = builder.numbers(predictions), builder.numbers(labels), given(threshold)
    if is_column(predictions) and not labels.is_array:
        predictions = as_row(predictions)
    wide = "w" in predictions.axes
    same = all(predictions.size(axis) == labels.size(axis) for axis in "hw")
    if not same and not (wide and labels.size("h") == predictions.size("h") and "w" not in labels.axes):
        raise _misfit("SGD_ACCURACY", predictions, labels)
    if wide:
        found, right = _largest(builder, predictions), _largest(builder, labels) if same else labels
    elif threshold is not None:
        above = builder.elementwise(torch.gt, predictions, builder.numbers(threshold), kind=Kind.BOOLEAN)
        found, right = builder.numbers(builder.spoiled(above, builder.errors_of(predictions))), labels
    else:
        half_up = operators.add(builder, predictions, builder.number(0.5))
        found, right = builder.elementwise(torch.floor, half_up), labels
    hits = builder.elementwise(torch.eq, found, right, kind=Kind.BOOLEAN)
    for value in (right, found):
        hits = builder.spoiled(hits, builder.errors_of(value))
    return builder.reduce(torch.mean, builder.numbers(hits))


def _largest(builder: Builder, value: Value) -> Value:
    """The position (from 0) of the largest number of each row."""
    errors, clean = builder.errors_of(value), builder.cleaned(value)
    at = clean.axes.index("w")
    data = builder.method("to", builder.call(torch.argmax, clean.data, dim=at), builder.dtype)
    result = Value(data, clean.axes.replace("w", ""), (*clean.sizes[:at], *clean.sizes[at + 1 :]))
    return result if errors is None else builder.spoiled(result, builder.any_error(errors, "w"))


def _one_hot_targets(builder: Builder, name: str, scores: Value, labels: Value) -> Value:
    if labels.size("h") != scores.size("h"):
        raise _misfit(name, scores, labels)
    if labels.size("w") == scores.size("w"):
        return builder.numbers(labels)
    if "w" in labels.axes:
        raise _misfit(name, scores, labels)
    return one_hot(builder, labels, scores.size("w"))


def _misfit(name: str, scores: Value, labels: Value) -> FormulaError:
    return FormulaError(
        f"calls {name} with predictions and labels that do not fit ({shape_text(scores, labels)})",
        remedy="Give it one label per row, or as many cells as there are predictions",
    )


def _is_set(builder: Builder, option: Value | None) -> bool:
    return constant_number(builder, option, 0.0, "the last argument (TRUE or FALSE)") != 0


def _log(builder: Builder, probability: Value) -> Value:
    """The logarithm of a probability, not below -100; an error outside of 0 to 1."""
    for inside, limit in ((torch.ge, 0.0), (torch.le, 1.0)):
        probability = guarded(builder, inside, probability, limit)
        builder.domains.suspect(probability.data)
    raised = builder.elementwise(torch.clamp_min, probability, builder.number(_SMALLEST))
    return builder.elementwise(torch.log, raised)
