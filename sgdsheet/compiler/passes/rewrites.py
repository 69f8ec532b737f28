"""Small rewrites of the recorded graph: the same values and gradients with fewer operations.

Each is one function that looks at one node and may give another one for its place. Beside the pattern each looks at
shapes and at guards, which `torch.fx.subgraph_rewriter`'s patterns cannot say.
"""

from __future__ import annotations

import operator
from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from torch import fx

from sgdsheet.compiler.passes.packing import sum_terms
from sgdsheet.compiler.passes.shapes import shape_of


def mean_squared_error(graph: fx.Graph, node: fx.Node) -> fx.Node | None:
    """mean((a - b) ^ 2) is one operation in torch."""
    if node.target not in (torch.mean, torch.sum) or node.kwargs or len(node.args) != 1:
        return None
    square = node.args[0]
    if not isinstance(square, fx.Node) or square.target is not operator.pow or square.args[1] != 2.0:
        return None
    difference = square.args[0]
    if not isinstance(difference, fx.Node) or difference.target is not operator.sub:
        return None
    left, right = difference.args
    if not isinstance(left, fx.Node) or not isinstance(right, fx.Node) or shape_of(left) != shape_of(right):
        return None
    reduction = "mean" if node.target is torch.mean else "sum"
    return graph.call_function(F.mse_loss, (left, right), {"reduction": reduction})


def sum_of_columns(graph: fx.Graph, node: fx.Node) -> fx.Node | None:
    """x[:, 0] + x[:, 1] of a matrix with two columns is the sum over its columns."""
    terms = sum_terms(node)
    first = terms[0]
    if len(terms) < 2 or any(term.op != "call_method" or term.target != "select" for term in terms):
        return None
    matrix, dim = first.args[0], first.args[1]
    assert isinstance(matrix, fx.Node)
    assert isinstance(dim, int)
    wanted = [(matrix, dim, index) for index in range(shape_of(matrix)[dim])]
    if sorted(str(term.args) for term in terms) != sorted(str(item) for item in wanted):
        return None
    return graph.call_function(torch.sum, (matrix,), {"dim": dim})


def stacked_products(graph: fx.Graph, node: fx.Node) -> fx.Node | None:
    """The products of one matrix with each row of another, side by side, are one product."""
    if node.target is not torch.stack or node.kwargs.get("dim") != 1:
        return None
    items = node.args[0]
    assert isinstance(items, (list, tuple))
    pairs = [item.args for item in items if isinstance(item, fx.Node) and item.target is torch.matmul]
    if len(pairs) != len(items) or len({first for first, _ in pairs}) != 1:
        return None
    rows = [second for _, second in pairs if isinstance(second, fx.Node) and second.target == "select"]
    if len(rows) != len(items) or len({row.args[0] for row in rows}) != 1:
        return None
    matrix = rows[0].args[0]
    assert isinstance(matrix, fx.Node)
    if len(shape_of(matrix)) != 2:
        return None
    for dim in (0, 1):
        if [row.args[1:] for row in rows] == [(dim, index) for index in range(shape_of(matrix)[dim])]:
            operation = F.linear if dim == 0 else torch.matmul
            return graph.call_function(operation, (pairs[0][0], matrix))
    return None


def log_sum_exp(graph: fx.Graph, node: fx.Node) -> fx.Node | None:
    """log(sum(exp(x))) without overflow on the way; where a spreadsheet's EXP overflows, it stays an error.

    Blanchard, Higham and Higham, “Accurately computing the log-sum-exp and softmax functions”, IMA Journal of Numerical
    Analysis 41 (2021).
    """
    if node.target is not torch.log:
        return None
    total = _guarded(node.args[0], torch.gt)
    if total is None or total.target is not torch.sum or not isinstance(total.args[0], fx.Node):
        return None
    powers = total.args[0]
    if powers.target is not torch.exp:
        return None
    exponents = _guarded(powers.args[0], torch.le)
    if exponents is None:
        return None
    every = tuple(range(len(shape_of(exponents))))
    dim: Any = total.kwargs.get("dim", every)
    result = graph.call_function(torch.logsumexp, (exponents, dim))
    limit = _limit(powers.args[0])
    if limit is None:
        return result
    largest = graph.call_function(torch.amax, (exponents, dim))
    fits = graph.call_function(torch.le, (largest, limit))
    return graph.call_function(torch.where, (fits, result, torch.nan))


def _guarded(item: object, comparison: Callable[..., object]) -> fx.Node | None:
    """x of where(comparison(x, limit), x, nan), or x itself."""
    if not isinstance(item, fx.Node):
        return None
    if item.target is not torch.where:
        return item
    condition, chosen, other = item.args
    guard = isinstance(condition, fx.Node) and condition.target is comparison and condition.args[0] is chosen
    is_nan = isinstance(other, float) and other != other
    return chosen if guard and is_nan and isinstance(chosen, fx.Node) else None


def _limit(item: object) -> Any:
    """The limit of a guard."""
    if not isinstance(item, fx.Node) or item.target is not torch.where:
        return None
    condition = item.args[0]
    assert isinstance(condition, fx.Node)
    return condition.args[1]
