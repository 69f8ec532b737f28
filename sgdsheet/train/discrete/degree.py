"""The degree of a recorded program as a polynomial in the parameters, proved from its operations."""

from __future__ import annotations

import math
import operator
from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from torch import fx

_KEEP = {
    *("reshape", "view", "permute", "expand", "unsqueeze", "squeeze", "select", "t", "contiguous", "flatten"),
    *("narrow", "sum", "mean", "clone", "transpose", "flip", "unflatten", "movedim"),
    *(torch.sum, torch.mean, torch.cat, torch.stack, torch.unsqueeze, torch.squeeze, torch.transpose, torch.flip),
    *(torch.select, torch.diag_embed, torch.cumsum, operator.neg, torch.neg, torch.reshape, torch.permute),
}
"""Operations that are linear in their first operand, or the parts of it; the others are fixed numbers."""

_SUMS = {operator.add, operator.sub, torch.add, torch.sub}
_PRODUCTS = {operator.mul, torch.mul, torch.matmul, torch.dot, torch.inner, torch.tensordot, F.linear}
_QUOTIENTS = {operator.truediv, torch.div}
_SQUARES = {torch.square, "square"}
_TENSORDOT = torch.functional.tensordot


def degree_of(module: fx.GraphModule) -> float:
    """0 for a constant, 1 for a linear function, 2 for a quadratic one; infinity for what is not known to be any.

    Proved from the operations, wherever no cell is an error: one that is not in this module's tables makes it infinite.
    """
    fixed = {name for name, _ in module.named_buffers()}
    degrees: dict[fx.Node, float] = {}

    def of(item: Any) -> float:
        if isinstance(item, fx.Node):
            return degrees[item]
        if isinstance(item, (list, tuple)):
            return max(map(of, item), default=0.0)
        return 0.0

    for node in module.graph.nodes:
        if node.op == "output":
            return of(node.args[0])
        if node.op == "get_attr":
            degrees[node] = 0.0 if str(node.target) in fixed else 1.0
        elif node.op == "placeholder":
            degrees[node] = math.inf
        else:
            degrees[node] = _of_operation(node, of)
    return math.inf


def _of_operation(node: fx.Node, of: Callable[[Any], float]) -> float:
    target, arguments = node.target, node.args
    parts = [of(item) for item in (*arguments, *node.kwargs.values())]
    if max(parts, default=0.0) == 0.0:
        return 0.0  # whatever it does to constants
    first, rest = parts[0], max(parts[1:], default=0.0)
    if target in _SUMS:
        return max(parts)
    if target in _PRODUCTS or target is _TENSORDOT:
        return first + rest if target is not F.linear else max(first + parts[1], of(arguments[2:]))
    if target in _QUOTIENTS:
        return first if rest == 0.0 else math.inf
    if target in _KEEP or (target is operator.getitem and rest == 0.0) or _converts(node):
        return first if rest == 0.0 else math.inf
    if target in (torch.index_select, torch.gather, torch.take_along_dim):
        return first if rest == 0.0 else math.inf
    if target in _SQUARES or (target in (operator.pow, torch.pow) and arguments[1] == 2):
        return 2 * first
    if target is F.mse_loss:
        return 2 * max(parts)
    if target is torch.where and parts[0] == 0.0:
        return max(parts)
    return math.inf


def _converts(node: fx.Node) -> bool:
    """Whether the node only gives numbers more or fewer digits."""
    return node.target == "to" and node.args[1] in (torch.float64, torch.float32)
