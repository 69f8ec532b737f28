"""What each recorded operation makes of what is known of its operands: one rule per operation."""

from __future__ import annotations

import math
import operator
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, fx

from sgdsheet.compiler.structure.traits import (
    Smoothness,
    Traits,
    added,
    any_smooth,
    composed,
    constant_between,
    joined,
    kinked,
    multiplied,
    negated,
    number,
    squared,
    stepped,
    summed,
)

INFINITE = math.inf


@dataclass(frozen=True, slots=True)
class Operands:
    """The operands of one operation: what is known of each, and the recorded node itself."""

    node: fx.Node
    lookup: Callable[[Any], Traits]

    def traits(self, place: int) -> Traits:
        """What is known of one operand."""
        return self.lookup(self.node.args[place])

    @property
    def all(self) -> list[Traits]:
        """What is known of all operands that are numbers."""
        return [self.lookup(item) for item in flattened((self.node.args, tuple(self.node.kwargs.values())))]


Rule = Callable[[Operands], Traits]


def flattened(item: Any) -> list[Any]:
    """The nodes, tensors and numbers in nested arguments."""
    if isinstance(item, (list, tuple)):
        return [part for piece in item for part in flattened(piece)]
    if isinstance(item, dict):
        return [part for piece in item.values() for part in flattened(piece)]
    return [item] if isinstance(item, (fx.Node, Tensor, float, int)) else []


# --- rules for operations of one operand --------------------------------------------------------------------


def _same(operands: Operands) -> Traits:
    return operands.traits(0)


def _curve(
    function: Callable[[float], float],
    *,
    convex: bool = False,
    concave: bool = False,
    rising: bool = False,
    low: float = -INFINITE,
    high: float = INFINITE,
) -> Rule:
    """The rule of a smooth function whose curvature and direction are everywhere the same."""

    def rule(operands: Operands) -> Traits:
        item = operands.traits(0)
        ends = (_value(function, item.low, low), _value(function, item.high, high)) if rising else (low, high)
        return composed(item, convex=convex, concave=concave, rising=rising, low=ends[0], high=ends[1])

    return rule


def _value(function: Callable[[float], float], there: float, otherwise: float) -> float:
    """A function's value at the end of a range; the end of its own range where there is none."""
    try:
        found = function(there) if math.isfinite(there) else otherwise
    except (ValueError, OverflowError, ZeroDivisionError):
        return otherwise
    return otherwise if math.isnan(found) else found


def _bent(*, low: float, high: float) -> Rule:
    """The rule of a rising odd function that is convex below 0 and concave above, such as tanh."""

    def rule(operands: Operands) -> Traits:
        item = operands.traits(0)
        return composed(item, convex=item.high <= 0, concave=item.low >= 0, rising=True, low=low, high=high)

    return rule


def _exponential(operands: Operands) -> Traits:
    item = operands.traits(0)
    ends = _value(math.exp, item.low, 0.0), _value(math.exp, item.high, INFINITE)
    return replace(composed(item, convex=True, rising=True, low=ends[0], high=ends[1]), log_convex=item.convex)


def _logarithm(function: Callable[[float], float]) -> Rule:
    def rule(operands: Operands) -> Traits:
        item = operands.traits(0)
        ends = _value(function, item.low, -INFINITE), _value(function, item.high, INFINITE)
        found = composed(item, concave=True, rising=True, low=ends[0], high=ends[1])
        return replace(found, convex=found.convex or item.log_convex)

    return rule


def _times(factor: float) -> Rule:
    return lambda operands: multiplied(operands.traits(0), number(factor))


def _root(operands: Operands) -> Traits:
    item = operands.traits(0)
    found = composed(item, concave=True, rising=True, low=0.0, high=_value(math.sqrt, item.high, INFINITE))
    return replace(found, convex=found.convex or item.squares)


def _sinh(operands: Operands) -> Traits:
    item = operands.traits(0)
    return composed(item, convex=item.low >= 0, concave=item.high <= 0, rising=True)


def _cosh(operands: Operands) -> Traits:
    item = operands.traits(0)
    return composed(item, convex=True, rising=item.low >= 0, falling=item.high <= 0, low=1.0)


def _absolute(operands: Operands) -> Traits:
    item = operands.traits(0)
    if item.low >= 0:
        return item
    if item.high <= 0:
        return negated(item)
    high = max(abs(item.low), abs(item.high))
    return kinked([item], convex=True, rising=False, low=0.0, high=high)


def _relu(operands: Operands) -> Traits:
    return _largest([operands.traits(0), number(0.0)])


def _smooth(low: float = -INFINITE, high: float = INFINITE) -> Rule:
    return lambda operands: any_smooth(operands.all, low, high)


def _step(operands: Operands) -> Traits:
    return stepped(operands.all)


def _rounded(by: Callable[[float], float]) -> Rule:
    """What rounds in a way that never falls."""

    def rule(operands: Operands) -> Traits:
        item = operands.traits(0)
        low, high = (float(by(end)) if math.isfinite(end) else end for end in (item.low, item.high))
        return stepped([item], low, high)

    return rule


def _sign(operands: Operands) -> Traits:
    return stepped(operands.all, -1.0, 1.0)


def _truth(operands: Operands) -> Traits:
    return stepped(operands.all, 0.0, 1.0)


# --- rules for several operands -----------------------------------------------------------------------------


def _add(operands: Operands) -> Traits:
    return added(operands.traits(0), operands.traits(1))


def _subtract(operands: Operands) -> Traits:
    return added(operands.traits(0), negated(operands.traits(1)))


def _negate(operands: Operands) -> Traits:
    return negated(operands.traits(0))


def _multiply(operands: Operands) -> Traits:
    if operands.node.args[0] is operands.node.args[1]:
        return squared(operands.traits(0))
    return multiplied(operands.traits(0), operands.traits(1))


def _divide(operands: Operands) -> Traits:
    return multiplied(operands.traits(0), _reciprocal(operands.traits(1)))


def _reciprocal(item: Traits) -> Traits:
    if item.low > 0 or item.high < 0:
        low, high = 1 / item.high, 1 / item.low  # of an infinite end, 0
    else:
        low, high = -INFINITE, INFINITE
    if item.constant:
        return constant_between(low, high)
    positive = item.low >= 0
    return composed(
        item, convex=positive, concave=item.high <= 0, falling=True, low=0.0 if positive else low, high=high
    )


def _sum(operands: Operands) -> Traits:
    return summed(operands.traits(0))


def _clamped(operands: Operands) -> Traits:
    limits = [*operands.node.args[1:3], None, None][:2]
    low, high = (operands.node.kwargs.get(name, limits[at]) for at, name in enumerate(("min", "max")))
    found = operands.traits(0)
    if low is not None:
        found = _largest([found, operands.lookup(low)])
    return found if high is None else _smallest([found, operands.lookup(high)])


def _matrix_product(operands: Operands) -> Traits:
    left, right = operands.node.args[:2]
    if left is right and isinstance(left, fx.Node) and len(left.meta.get("shape", (0, 0))) == 1:
        return summed(squared(operands.traits(0)))
    return summed(multiplied(operands.traits(0), operands.traits(1)))


def _power(operands: Operands) -> Traits:
    base, exponent = operands.traits(0), operands.traits(1)
    if not exponent.constant or exponent.low != exponent.high:
        if base.constant and base.low > 0 and exponent.smoothness is Smoothness.SMOOTH:
            rising, falling = base.low >= 1, base.high <= 1
            found = composed(exponent, convex=True, rising=rising, falling=falling, low=0.0)
            return replace(found, log_convex=exponent.linear)
        return any_smooth(operands.all, 0.0 if base.low >= 0 else -INFINITE)
    return _constant_power(base, exponent.low)


def _constant_power(base: Traits, power: float) -> Traits:
    if power == 1:
        return base
    if power == 0:
        return number(1.0)
    if power == 2:
        return squared(base)
    above, below, even, odd = base.low >= 0, base.high <= 0, power % 2 == 0, power % 2 == 1
    if above and power < 1:  # also negative powers
        ends = (0.0, _value(lambda end: end**power, base.high if power > 0 else base.low, INFINITE))
        shape = {"convex": power < 0, "concave": power > 0, "rising": power > 0, "falling": power < 0}
        return replace(composed(base, low=ends[0], high=ends[1], **shape), log_convex=base.log_convex and power > 0)
    if power > 1:
        low = 0.0 if above or even else -INFINITE
        high = _value(lambda end: end**power, base.high, INFINITE) if above else INFINITE
        found = composed(
            base,
            convex=even or above,
            concave=odd and below,
            rising=above or odd,
            falling=even and below,
            low=low,
            high=high,
        )
        return replace(found, log_convex=base.log_convex)
    return any_smooth([base], 0.0 if even else -INFINITE)


def _largest(parts: Sequence[Traits]) -> Traits:
    """The rule of a maximum: one of the parts where that is never below the others."""
    for part in parts:
        if all(part.low >= other.high for other in parts if other is not part):
            return part
    low, high = max(part.low for part in parts), max(part.high for part in parts)
    return kinked(parts, convex=True, rising=True, low=low, high=high)


def _smallest(parts: Sequence[Traits]) -> Traits:
    return negated(_largest([negated(part) for part in parts]))


def _maximum(operands: Operands) -> Traits:
    return _largest(operands.all)


def _minimum(operands: Operands) -> Traits:
    return _smallest(operands.all)


def _greatest(operands: Operands) -> Traits:
    item = operands.traits(0)
    return kinked([item], convex=True, rising=True, low=item.low, high=item.high)


def _least(operands: Operands) -> Traits:
    return negated(
        kinked(
            [negated(operands.traits(0))],
            convex=True,
            rising=True,
            low=-operands.traits(0).high,
            high=-operands.traits(0).low,
        )
    )


def _sorted(operands: Operands) -> Traits:
    item = operands.traits(0)
    return (
        item
        if item.constant
        else replace(
            item,
            degree=None,
            convex=False,
            concave=False,
            smoothness=max(item.smoothness, Smoothness.KINKED),
            squares=False,
            log_convex=False,
        )
    )


def _picked(operands: Operands) -> Traits:
    """Numbers at places: of known places the numbers themselves, at others what may jump."""
    places = joined([operands.lookup(item) for item in flattened(operands.node.args[1:])])
    item, source = operands.traits(0), operands.node.args[0]
    if isinstance(source, fx.Node) and source.target in (torch.sort, "sort") and operands.node.args[1] == 1:
        return stepped([item])  # the places of sorted numbers
    return item if places.constant else stepped([item, places], item.low, item.high)


def _made(operands: Operands) -> Traits:
    return constant_between(-INFINITE, INFINITE)


def _ones(operands: Operands) -> Traits:
    return number(1.0)


def _zeros(operands: Operands) -> Traits:
    return number(0.0)


def _side_by_side(operands: Operands) -> Traits:
    return joined([operands.lookup(item) for item in flattened(operands.node.args[0])])


def _padded(operands: Operands) -> Traits:
    return joined([operands.traits(0), number(0.0)])


def _product_of_all(operands: Operands) -> Traits:
    item = operands.traits(0)
    return replace(any_smooth([item], 0.0 if item.low >= 0 else -INFINITE), log_convex=item.log_convex)


_TABLE: dict[Rule, tuple[Any, ...]] = {
    _same: (
        *("select", "narrow", "unfold", "permute", "reshape", "expand", "unsqueeze", "squeeze", "transpose", "t"),
        *("to", "detach", "contiguous", "flatten", "view", "clone", "double", "float", "flip", "repeat", "diagonal"),
        *(torch.select, torch.unsqueeze, torch.squeeze, torch.transpose, torch.flip, torch.mean, torch.reshape),
        *(torch.permute, "mean", torch.diagonal, torch.clone, torch.narrow, torch.t, torch.broadcast_to),
    ),
    _add: (operator.add, torch.add, "add"),
    _subtract: (operator.sub, torch.sub, "sub"),
    _negate: (operator.neg, torch.neg, "neg"),
    _multiply: (operator.mul, torch.mul, "mul"),
    _divide: (operator.truediv, torch.div, "div"),
    _sum: (torch.sum, "sum", torch.cumsum, "cumsum"),
    _matrix_product: (torch.matmul, torch.tensordot, torch.dot, torch.inner, operator.matmul, torch.mm, torch.mv),
    _power: (operator.pow, torch.pow, "pow"),
    _exponential: (torch.exp, "exp"),
    _logarithm(math.log): (torch.log, "log"),
    _logarithm(math.log10): (torch.log10,),
    _logarithm(math.log2): (torch.log2,),
    _root: (torch.sqrt, "sqrt"),
    _absolute: (torch.abs, "abs", operator.abs),
    _relu: (torch.relu, "relu", F.relu),
    _maximum: (torch.maximum, torch.clamp_min),
    _minimum: (torch.minimum, torch.clamp_max),
    _clamped: (torch.clamp, "clamp", "clamp_min"),
    _greatest: (torch.amax, "amax"),
    _least: (torch.amin, "amin"),
    _sorted: (torch.sort, "sort"),
    _picked: (torch.gather, torch.take_along_dim, torch.index_select, operator.getitem, "index_select", "gather"),
    _made: (torch.full_like, torch.arange, torch.full),
    _ones: (torch.ones_like, torch.ones),
    _zeros: (torch.zeros_like, torch.zeros),
    _side_by_side: (torch.cat, torch.stack, torch.broadcast_tensors),
    _padded: (torch.constant_pad_nd, F.pad, torch.diag_embed),
    _product_of_all: (torch.prod, "prod"),
    _sinh: (torch.sinh,),
    _cosh: (torch.cosh,),
    _step: (torch.argmax, torch.remainder, torch.fmod, operator.mod, operator.floordiv, "long"),
    _sign: (torch.sign,),
    _rounded(math.floor): (torch.floor, "floor"),
    _rounded(math.ceil): (torch.ceil, "ceil"),
    _rounded(round): (torch.round, "round"),
    _rounded(math.trunc): (torch.trunc, "trunc"),
    _truth: (
        *(torch.eq, torch.ne, torch.lt, torch.le, torch.gt, torch.ge, torch.any, torch.all, torch.isnan),
        *(torch.isfinite, torch.isin, torch.logical_and, torch.logical_or, torch.logical_xor, torch.logical_not),
        *(operator.and_, operator.or_, operator.xor, operator.invert, operator.eq, operator.ne, operator.lt),
        *(operator.le, operator.gt, operator.ge, "any", "all", "isnan", "isfinite", "lt", "le", "gt", "ge"),
        *("eq", "ne", "logical_and", "logical_or", "logical_not"),
    ),
    _curve(math.expm1, convex=True, rising=True, low=-1.0): (torch.expm1,),
    _curve(math.log1p, concave=True, rising=True): (torch.log1p,),
    _curve(lambda x: math.log1p(math.exp(x)), convex=True, rising=True, low=0.0): (F.softplus,),
    _curve(lambda x: -math.log1p(math.exp(-x)), concave=True, rising=True, high=0.0): (F.logsigmoid,),
    _times(math.pi / 180): (torch.deg2rad,),
    _times(180 / math.pi): (torch.rad2deg,),
    _bent(low=-1.0, high=1.0): (torch.tanh, torch.erf),
    _bent(low=-math.pi / 2, high=math.pi / 2): (torch.atan,),
    _bent(low=-INFINITE, high=INFINITE): (torch.asinh,),
    _smooth(0.0, 1.0): (torch.sigmoid, torch.softmax, torch.special.gammainc, torch.special.gammaincc),
    _smooth(-1.0, 1.0): (torch.sin, torch.cos),
    _smooth(0.0, 2.0): (torch.erfc,),
    _smooth(): (
        *(torch.tan, torch.asin, torch.acos, torch.acosh, torch.atanh, torch.atan2, torch.lgamma, torch.log_softmax),
        *(torch.digamma, torch.special.ndtri, torch.linalg.det, torch.linalg.inv_ex, torch.linalg.solve_triangular),
        *(torch.linalg.qr, torch.linalg.solve, torch.linalg.inv, torch.logsumexp),
    ),
}

RULES: dict[Any, Rule] = {operation: rule for rule, operations in _TABLE.items() for operation in operations}
"""The rule of each operation: a function, or the name of a tensor's method."""

SAME_VALUES = frozenset(_TABLE[_same])
"""Operations whose numbers are those of their first operand, in another order, or their means."""
