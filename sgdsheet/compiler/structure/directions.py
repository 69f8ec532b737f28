"""In which direction the outputs of a program follow the values in it: never down, never up, or nobody knows."""

from __future__ import annotations

import operator
from collections.abc import Mapping
from enum import Enum
from typing import Any

import torch
import torch.nn.functional as F
from torch import fx

from sgdsheet.compiler.structure.function_analysis import FunctionAnalysis, extreme_choice, guarded_value
from sgdsheet.compiler.structure.rules import SAME_VALUES, flattened
from sgdsheet.compiler.structure.traits import Traits


class Follows(Enum):
    """How outputs follow a value: with `UP` they never fall when it grows, with `NOT` they do not depend on it."""

    NOT = 0
    UP = 1
    DOWN = -1
    UNKNOWN = 2

    def joined(self, other: Follows) -> Follows:
        """What is true of two ways to the outputs together."""
        if self is Follows.NOT or self is other:
            return other
        return self if other is Follows.NOT else Follows.UNKNOWN

    def after(self, inner: Follows) -> Follows:
        """How a function of a function follows: this one of what the inner one gives."""
        if Follows.NOT in (self, inner):
            return Follows.NOT
        if Follows.UNKNOWN in (self, inner):
            return Follows.UNKNOWN
        return Follows.UP if self is inner else Follows.DOWN


_RISING = frozenset(
    {
        *SAME_VALUES,
        *(torch.cat, torch.stack, torch.sum, "sum", torch.cumsum, torch.constant_pad_nd, torch.diag_embed),
        *(operator.add, torch.add, torch.exp, torch.expm1, torch.log, torch.log10, torch.log2, torch.log1p),
        *(torch.sqrt, torch.tanh, torch.erf, torch.sigmoid, torch.atan, torch.asinh, torch.sinh, F.softplus),
        *(F.logsigmoid, torch.relu, torch.maximum, torch.minimum, torch.clamp_min, torch.clamp_max, torch.amax),
        *(torch.amin, torch.deg2rad, torch.rad2deg, "clamp", torch.clamp),
    }
)
"""Operations that follow all of their operands upwards."""

_PRODUCTS = frozenset({operator.mul, torch.mul, torch.matmul, torch.tensordot, torch.dot, torch.inner})


def followed(analysis: FunctionAnalysis, outputs: Mapping[fx.Node, Follows]) -> dict[fx.Node, Follows]:
    """How what matters follows every node of a program.

    `outputs` are the nodes that matter: UP for one that has to become small, DOWN for one that has to become large, and
    UNKNOWN for one that has to be equal to something.
    """
    found = dict.fromkeys(analysis.module.graph.nodes, Follows.NOT)
    for node, wanted in outputs.items():
        found[node] = found[node].joined(wanted)
    for node in reversed(analysis.module.graph.nodes):
        if node.op == "output" or found[node] is Follows.NOT:
            continue
        for item, inner in _operands(analysis, node):
            if isinstance(item, fx.Node) and not analysis.of(item).constant:
                found[item] = found[item].joined(found[node].after(inner))
    return found


def _operands(analysis: FunctionAnalysis, node: fx.Node) -> list[tuple[Any, Follows]]:
    """The operands of an operation, and how it follows each."""
    target, arguments = node.target, node.args
    items = flattened(arguments)
    if target in _RISING:
        return [(item, Follows.UP) for item in items]
    if target in (operator.sub, torch.sub):
        return [(arguments[0], Follows.UP), (arguments[1], Follows.DOWN)]
    if target in (operator.neg, torch.neg):
        return [(arguments[0], Follows.DOWN)]
    if target in _PRODUCTS:
        left, right = arguments[:2]
        return [(left, _sign(analysis.of(right))), (right, _sign(analysis.of(left)))]
    if target is operator.truediv:
        above, below = analysis.of(arguments[0]), analysis.of(arguments[1])
        inverse = _sign(above).after(Follows.DOWN) if below.low > 0 or below.high < 0 else Follows.UNKNOWN
        return [(arguments[0], _sign(below)), (arguments[1], inverse)]
    if target in (operator.pow, torch.pow) and isinstance(arguments[1], (int, float)):
        return [(arguments[0], _power(analysis.of(arguments[0]), float(arguments[1])))]
    if target in (torch.abs, "abs", torch.cosh):
        return [(arguments[0], _sign(analysis.of(arguments[0])))]
    if target is torch.where:
        return _choice(analysis, node)
    return [(item, Follows.UNKNOWN) for item in items]


def _choice(analysis: FunctionAnalysis, node: fx.Node) -> list[tuple[Any, Follows]]:
    kept = guarded_value(node)
    if kept is not None:
        return [(kept, Follows.UP)]
    if analysis.of(node.args[0]).constant or extreme_choice(analysis, node) is not None:
        return [(item, Follows.UP) for item in node.args[1:3]]
    return [(item, Follows.UNKNOWN) for item in node.args]


def _sign(traits: Traits) -> Follows:
    if traits.low >= 0:
        return Follows.UP
    return Follows.DOWN if traits.high <= 0 else Follows.UNKNOWN


def _power(base: Traits, power: float) -> Follows:
    if power > 0 and (base.low >= 0 or power % 2 == 1):
        return Follows.UP
    if power > 0 and power % 2 == 0:
        return _sign(base)
    return Follows.DOWN if base.low > 0 and power < 0 else Follows.UNKNOWN
