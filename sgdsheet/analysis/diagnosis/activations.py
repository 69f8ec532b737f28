"""Formulas that bend (ReLU, TANH, sigmoid), recognised in a compiled program however they were written."""

from __future__ import annotations

import math
import operator
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, fx

FLAT = 1e-3
"""A unit whose TANH or sigmoid has a gradient below this passes next to nothing on: it is saturated."""

COMPARISONS = frozenset({torch.lt, torch.le, torch.gt, torch.ge})
_LINEAR = frozenset({torch.mean, torch.sum, operator.add, operator.sub, operator.neg, "select", "reshape", "expand"})
_SCALING = frozenset({operator.mul, operator.truediv})
_LOG_STEPS = 6


@dataclass(frozen=True, slots=True)
class Activation:
    """A formula that bends. `flat` tells from the values of `watched` where its gradient is (next to) 0."""

    name: str
    node: fx.Node
    watched: fx.Node
    flat: Callable[[Tensor], Tensor]
    ends: str = "0 or 1"
    """The values of the formula near which it has hardly any gradient, in words."""

    @property
    def is_relu(self) -> bool:
        return self.name == "ReLU"


def find_activations(program: fx.GraphModule) -> list[Activation]:
    """The bent formulas of a program, but for terms of the loss such as the hinge `MAX(0, 1-y*p)`."""
    rules = (_relu, _chosen, _gated, _tanh, _sigmoid)
    found = []
    for node in program.graph.nodes:
        match = next((made for rule in rules if (made := rule(program, node)) is not None), None)
        if match is not None and not _is_term_of_the_loss(node) and not _feeds_logarithm(node):
            found.append(match)
    return found


def _relu(program: fx.GraphModule, node: fx.Node) -> Activation | None:
    if node.target in (torch.relu, F.relu):
        return Activation("ReLU", node, _operand(node), lambda x: x <= 0)
    if node.target is torch.clamp_min and node.args[1] == 0:
        return Activation("ReLU", node, _operand(node), lambda x: x < 0)
    return None


def _chosen(program: fx.GraphModule, node: fx.Node) -> Activation | None:
    """`IF(condition, 0, x)` and `IF(condition, x, 0)`, where the condition depends on a parameter."""
    if node.target is not torch.where:
        return None
    condition, first, second = node.args
    if not isinstance(condition, fx.Node) or condition.target not in COMPARISONS:
        return None
    if _is_number(program, first, 0) and _is_calculated(second):
        return Activation("ReLU", node, condition, lambda taken: taken)
    if _is_number(program, second, 0) and _is_calculated(first):
        return Activation("ReLU", node, condition, torch.logical_not)
    return None


def _gated(program: fx.GraphModule, node: fx.Node) -> Activation | None:
    """`x*(x>0)`."""
    if node.target is not operator.mul:
        return None
    for gate, other in (node.args, node.args[::-1]):
        if isinstance(gate, fx.Node) and gate.target == "to" and _is_calculated(other):
            condition = gate.args[0]
            if isinstance(condition, fx.Node) and condition.target in COMPARISONS:
                return Activation("ReLU", node, condition, torch.logical_not)
    return None


def _tanh(program: fx.GraphModule, node: fx.Node) -> Activation | None:
    if node.target is not torch.tanh:
        return None
    return Activation("TANH", node, node, lambda y: 1 - y * y < FLAT, "-1 or 1")


def _sigmoid(program: fx.GraphModule, node: fx.Node) -> Activation | None:
    """`1/(1+EXP(-x))`, `EXP(x)/(1+EXP(x))`, `(1+EXP(-x))^-1`."""
    found = node.target is torch.sigmoid
    if node.target is operator.truediv:
        over, under = node.args
        over_fits = _is_number(program, over, 1) or _is_exponential(over)
        found = over_fits and _is_one_plus_exponential(program, under)
    elif node.target is operator.pow:
        found = _is_number(program, node.args[1], -1) and _is_one_plus_exponential(program, node.args[0])
    return Activation("sigmoid", node, node, lambda y: y * (1 - y) < FLAT) if found else None


def _operand(node: fx.Node) -> fx.Node:
    found = node.args[0]
    assert isinstance(found, fx.Node)
    return found


def _is_calculated(item: Any) -> bool:
    return isinstance(item, fx.Node) and item.op != "get_attr"


def _is_number(program: fx.GraphModule, item: Any, number: float) -> bool:
    if isinstance(item, fx.Node) and item.op == "get_attr":
        item = getattr(program, str(item.target))
        single = isinstance(item, Tensor) and not item.requires_grad and item.numel() == 1
        return single and item.item() == number
    return isinstance(item, (int, float)) and item == number


def _unguarded(item: Any) -> Any:
    """The node, without the `where` around it that only keeps the gradient of an error from spreading."""
    while isinstance(item, fx.Node) and item.target is torch.where:
        _, first, second = item.args
        if isinstance(first, fx.Node) and first.target == "detach":
            item = second
        elif isinstance(second, float) and math.isnan(second):
            item = first
        else:
            break
    return item


def _is_exponential(item: Any) -> bool:
    item = _unguarded(item)
    return isinstance(item, fx.Node) and item.target is torch.exp


def _is_one_plus_exponential(program: fx.GraphModule, item: Any) -> bool:
    item = _unguarded(item)
    if not isinstance(item, fx.Node) or item.target is not operator.add:
        return False
    one, other = item.args
    return any(_is_number(program, a, 1) and _is_exponential(b) for a, b in ((one, other), (other, one)))


def _is_term_of_the_loss(node: fx.Node) -> bool:
    """Whether the node is only added up on its way to the loss; then it is good if it is 0."""
    for user in node.users:
        scaled = user.target in _SCALING and not all(_is_calculated(item) for item in user.args)
        if user.op != "output" and not ((user.target in _LINEAR or scaled) and _is_term_of_the_loss(user)):
            return False
    return True


def _feeds_logarithm(node: fx.Node, steps: int = _LOG_STEPS) -> bool:
    """Whether the node is a probability whose logarithm is in the loss: then it has a gradient where it saturates."""
    if node.target is torch.log or node.target is torch.log10:
        return True
    users = [user for user in node.users if user.target is not torch.matmul]
    return steps > 0 and any(_feeds_logarithm(user, steps - 1) for user in users)
