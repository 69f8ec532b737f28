"""Losses that are likelihoods: known by the word beside the cell, and by the sum that they are."""

from __future__ import annotations

import math
import operator
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, fx

from sgdsheet.compiler.candidates.labels import Labels, words_of
from sgdsheet.problem.definition import Direction
from sgdsheet.sheet.references import Range
from sgdsheet.train.solution import Solution

_LIKELIHOODS = frozenset(
    {
        *("likelihood", "loglikelihood", "loglik", "negloglik", "llf", "ll", "lnl", "logl", "nll", "deviance"),
        *("crossentropy", "2ll", "2loglik", "2lnl"),
    }
)
"""Words that say that a number is a likelihood."""

_IN_TWO = ({"cross", "entropy"}, {"log", "loss"}, {"log", "lik"}, {"ln", "l"}, {"log", "l"})
_DOUBLED = frozenset({"deviance", "2ll", "2loglik", "2lnl", "2"})
_CROSS_ENTROPIES = (F.cross_entropy, F.nll_loss, F.binary_cross_entropy, F.binary_cross_entropy_with_logits)


@dataclass(frozen=True, slots=True)
class Likelihood:
    """A loss as a log-likelihood: that is minus `factor` times the objective, of `count` observations, if known.

    `label` is the text that says so.
    """

    factor: float
    count: int | None
    label: str


def likelihood_of(solution: Solution) -> Likelihood | str:
    """The loss as a log-likelihood; a sentence why not where its label says that it is one; empty if it does not."""
    problem = solution.model.problem
    label = _label(solution)
    if not label or problem.direction is Direction.VALUE:
        return ""
    output = next(node for node in solution.module.graph.nodes if node.op == "output").args[0]
    buffers = dict(solution.module.named_buffers())
    found = _terms(output, 1.0, buffers) if isinstance(output, fx.Node) else None
    words = set(words_of(label))
    doubled = bool(words & _DOUBLED)
    if found is None:
        if {"cross", "entropy"} <= words or "crossentropy" in words or {"log", "loss"} <= words:
            return f"“{label}” is no plain sum or mean over observations"
        return Likelihood(0.5 if doubled else 1.0, None, label)
    size, count = abs(found.factor), found.count
    if math.isclose(size, 2.0):
        return Likelihood(0.5, count, label)
    if math.isclose(size, 1.0):
        return Likelihood(0.5 if doubled else 1.0, count, label)
    for number in (found.count, found.averaged):
        if number and math.isclose(size * number, 1.0, rel_tol=1e-9):
            return Likelihood(number * (0.5 if doubled else 1.0), count, label)
    return f"“{label}” is {size:g} times a sum over observations, neither their sum nor their mean"


def _label(solution: Solution) -> str:
    """The text beside the loss cell that calls it a likelihood; empty if none does."""
    labels, cell = Labels(solution.model.workbook), solution.model.problem.loss
    for text in (labels.left(cell), labels.above(cell), labels.name(Range.of_cell(cell))):
        words = set(words_of(text))
        if words & _LIKELIHOODS or any(pair <= words for pair in _IN_TWO):
            return text
    return ""


@dataclass(frozen=True, slots=True)
class _Terms:
    """The loss is `factor` times a sum over `count` observations, plus a constant.

    `averaged` are the numbers of which the formula takes the mean, if it does: more than the observations where each of
    these has a number per class.
    """

    factor: float
    count: int | None
    averaged: int | None = None


def _terms(node: fx.Node, factor: float, buffers: dict[str, Tensor]) -> _Terms | None:
    """Looks for the sum over observations below a loss."""
    target, arguments = node.target, node.args

    def below(item: object, by: float) -> _Terms | None:
        return _terms(item, by, buffers) if isinstance(item, fx.Node) else None

    if target in (operator.neg, torch.neg):
        return below(arguments[0], -factor)
    if target in (torch.sum, torch.mean) and isinstance(arguments[0], fx.Node) and len(arguments) == 1:
        count = _count(arguments[0], buffers)
        if target is torch.sum:
            return _Terms(factor, count or None)
        size = _size(arguments[0])
        return _Terms(factor / size, count or None, size) if size else None
    if target in _CROSS_ENTROPIES:
        return _entropies(node, factor)
    if target in (operator.mul, torch.mul, operator.truediv, operator.add, operator.sub) and len(arguments) == 2:
        return _with_number(node, factor, buffers)
    if target in (torch.dot, torch.matmul, torch.inner):
        return _weighted(node, factor, buffers)
    if target is torch.where and len(arguments) == 3:  # an error instead, where one of the terms has none
        live = [item for item in arguments[1:] if isinstance(item, fx.Node)]
        numbers = [item for item in arguments[1:] if isinstance(item, float) and math.isnan(item)]
        return below(live[0], factor) if len(live) == 1 and numbers else None
    return None


def _with_number(node: fx.Node, factor: float, buffers: dict[str, Tensor]) -> _Terms | None:
    """A sum times a number, or plus one."""
    left, right = node.args[:2]
    one, other = _number(left, buffers), _number(right, buffers)
    multiplies, divides = node.target in (operator.mul, torch.mul), node.target is operator.truediv
    if (other == 0 and (multiplies or divides)) or (one == 0 and multiplies):
        return None
    if other is not None and isinstance(left, fx.Node):
        by = other if multiplies else 1 / other if divides else 1.0
        return _terms(left, factor * by, buffers)
    if one is not None and isinstance(right, fx.Node) and not divides:
        by = one if multiplies else -1.0 if node.target is operator.sub else 1.0
        return _terms(right, factor * by, buffers)
    return None


def _entropies(node: fx.Node, factor: float) -> _Terms | None:
    sizes = [_size(item) for item in node.args[:2] if isinstance(item, fx.Node)]
    count = min((size for size in sizes if size), default=0)
    if node.kwargs.get("reduction", "mean") == "sum":
        return _Terms(factor, count or None)
    return _Terms(factor / count, count) if count else None


def _weighted(node: fx.Node, factor: float, buffers: dict[str, Tensor]) -> _Terms | None:
    """Terms that are counted several times each: whole numbers are frequencies."""
    known = [buffers.get(str(item.target)) for item in node.args[:2] if isinstance(item, fx.Node)]
    weights = [item for item in known if item is not None]
    if len(weights) != 1 or weights[0].dim() != 1 or not bool((weights[0] >= 0).all()):
        return None
    return _Terms(factor, _frequencies(weights[0]) or None)


def _frequencies(weights: Tensor) -> int:
    """How many observations whole weights of one sign stand for; 0 where they are no frequencies."""
    one_sign = bool((weights >= 0).all()) or bool((weights <= 0).all())
    return int(weights.abs().sum()) if one_sign and bool((weights == weights.round()).all()) else 0


def _number(item: object, buffers: dict[str, Tensor]) -> float | None:
    if isinstance(item, (int, float)):
        return float(item)
    if isinstance(item, fx.Node) and item.op == "get_attr":
        tensor = buffers.get(str(item.target))
        return float(tensor) if tensor is not None and tensor.numel() == 1 else None
    return None


def _count(node: fx.Node, buffers: dict[str, Tensor]) -> int:
    """How many observations a sum is over: its terms without those that a constant condition makes 0, as in empty rows.

    Where constants are multiplied with terms, whole ones are frequencies; so a 1 for the observed class of each
    observation, and 0 for all others, counts the observations. It is 0 where the number is not known.
    """
    if node.target is torch.where and len(node.args) == 3:
        condition, one, other = (_constant(item, buffers) for item in node.args)
        if condition is not None and condition.dtype is torch.bool and condition.numel() == _size(node):
            for side, kept in ((other, True), (one, False)):
                if side is not None and bool(((side == 0) | (condition == kept)).all()):
                    return int((condition == kept).sum())
    if node.target in (operator.mul, torch.mul) and len(node.args) == 2:
        for weights in (_constant(item, buffers) for item in node.args):
            if weights is not None and 1 < weights.numel() == _size(node):
                return _frequencies(weights)
    return _size(node)


def _constant(item: object, buffers: dict[str, Tensor]) -> Tensor | None:
    if isinstance(item, (bool, int, float)):
        return torch.tensor(item)
    return buffers.get(str(item.target)) if isinstance(item, fx.Node) and item.op == "get_attr" else None


def _size(node: fx.Node) -> int:
    """How many numbers a node has; 0 where that is not known."""
    shape = node.meta.get("shape")
    return math.prod(shape) if shape is not None else 0
