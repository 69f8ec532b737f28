"""Interval arithmetic: between which numbers every number of a program lies when its parameters lie between bounds.

Moore, Kearfott and Cloud, Introduction to Interval Analysis, 2009. Ends are not rounded outwards: whoever concludes
something from them allows for rounding. Errors are left out: what is said holds wherever a number is no error.
"""

from __future__ import annotations

import math
import operator
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, fx

from sgdsheet.compiler.structure.function_analysis import guarded_value
from sgdsheet.compiler.structure.rules import SAME_VALUES


class Interval(NamedTuple):
    """The smallest and the largest that each number of a tensor can be; of truth values, what is sure and possible."""

    low: Tensor
    high: Tensor


class NoRule(Exception):
    """An operation for which no rule of interval arithmetic is known."""


def outputs_between(module: fx.GraphModule, bounds: Mapping[str, Interval]) -> list[Interval]:
    """The intervals of the outputs of a program, whose parameters lie between these bounds, by name.

    It works within `torch.vmap`, for many boxes at once. Raises NoRule.
    """
    found: dict[fx.Node, Any] = {}

    def value(item: Any) -> Any:
        if isinstance(item, fx.Node):
            return found[item]
        if isinstance(item, (list, tuple)):
            return type(item)(value(part) for part in item)
        return item

    for node in module.graph.nodes:
        if node.op == "get_attr":
            found[node] = bounds[str(node.target)] if str(node.target) in bounds else _attribute(module, node)
        elif node.op == "output":
            flat = [found[part] for part in node.all_input_nodes]
            return [_of(part) for part in flat]
        elif node.op == "placeholder":
            raise NoRule(node.name)
        else:
            arguments = value(tuple(node.args))
            options = {name: value(part) for name, part in node.kwargs.items()}
            if not _has_interval((arguments, options)):
                found[node] = _called(node.target, arguments, options)
            else:
                found[node] = _clean(_calculated(node, arguments, options))
    raise NoRule("a program without output")


def _attribute(module: fx.GraphModule, node: fx.Node) -> Tensor:
    owner: Any = module
    for part in str(node.target).split("."):
        owner = getattr(owner, part)
    found: Tensor = owner.detach()
    return found


def _called(target: Any, arguments: tuple[Any, ...], options: Mapping[str, Any]) -> Any:
    if isinstance(target, str):
        return getattr(arguments[0], target)(*arguments[1:], **options)
    return target(*arguments, **options)


def _has_interval(item: Any) -> bool:
    if isinstance(item, Interval):
        return True
    if isinstance(item, dict):
        return any(map(_has_interval, item.values()))
    return isinstance(item, (list, tuple)) and any(map(_has_interval, item))


def _of(item: Any) -> Interval:
    """A constant as an interval."""
    if isinstance(item, Interval):
        return item
    tensor = item if isinstance(item, Tensor) else torch.as_tensor(item, dtype=torch.float64)
    return Interval(tensor, tensor)


def _clean(item: Interval) -> Interval:
    """An end that cannot be calculated, as of infinity minus infinity, is infinite."""
    if item.low.dtype is torch.bool or not item.low.is_floating_point():
        return item
    return Interval(
        torch.where(torch.isnan(item.low), -math.inf, item.low),
        torch.where(torch.isnan(item.high), math.inf, item.high),
    )


Operands = tuple[Any, ...]
Options = Mapping[str, Any]


def _calculated(node: fx.Node, arguments: Operands, options: Options) -> Interval:
    target = node.target
    if target in (torch.where, "where"):
        return _choice(node, arguments)
    if target in _SQUARES and node.args[0] is node.args[1]:
        return _summed_squares(target, arguments[0])
    if target in SAME_VALUES or target in _RISING:
        return _at_both_ends(target, arguments, options)
    rule = _RULES.get(target)
    if rule is None:
        raise NoRule(str(target))
    return rule(arguments, options)


def _at_both_ends(target: Any, arguments: Operands, options: Options) -> Interval:
    """What never falls when an operand grows."""
    return Interval(*(_called(target, _ends(arguments, side), _ends(dict(options), side)) for side in (0, 1)))


def _ends(item: Any, side: int) -> Any:
    if isinstance(item, Interval):
        return item[side]
    if isinstance(item, dict):
        return {name: _ends(part, side) for name, part in item.items()}
    return type(item)(_ends(part, side) for part in item) if isinstance(item, (list, tuple)) else item


# --- choices and comparisons --------------------------------------------------------------------------------


def _choice(node: fx.Node, arguments: Operands) -> Interval:
    kept = guarded_value(node)
    if kept is not None:
        place = 1 if kept is node.args[1] else 2
        return _within(node, _of(arguments[place]), kept)
    condition, first, second = arguments[0], _of(arguments[1]), _of(arguments[2])
    if not isinstance(condition, Interval):
        return Interval(torch.where(condition, first.low, second.low), torch.where(condition, first.high, second.high))
    low, high = torch.minimum(first.low, second.low), torch.maximum(first.high, second.high)
    never = ~condition.high
    return Interval(
        torch.where(condition.low, first.low, torch.where(never, second.low, low)),
        torch.where(condition.low, first.high, torch.where(never, second.high, high)),
    )


def _within(node: fx.Node, item: Interval, kept: fx.Node) -> Interval:
    """What a guard against errors leaves of a value, as of x in where(x > 0, x, NaN)."""
    condition = node.args[0]
    if kept is not node.args[1] or not isinstance(condition, fx.Node) or len(condition.args) != 2:
        return item
    limit = condition.args[1]
    if condition.args[0] is not kept or not isinstance(limit, (int, float)):
        return item
    if condition.target in (torch.gt, torch.ge, operator.gt, operator.ge):
        return Interval(item.low.clamp(min=limit), item.high.clamp(min=limit))
    if condition.target in (torch.lt, torch.le, operator.lt, operator.le):
        return Interval(item.low.clamp(max=limit), item.high.clamp(max=limit))
    return item


def _compared(sure: Callable[..., Tensor], turned: bool) -> Rule:
    """The rule of `sure(a, b)`, which holds the more the larger a is, or with `turned` the larger b is."""

    def rule(arguments: Operands, options: Options) -> Interval:
        one, two = _of(arguments[0]), _of(arguments[1])
        if turned:
            return Interval(sure(one.high, two.low), sure(one.low, two.high))
        return Interval(sure(one.low, two.high), sure(one.high, two.low))

    return rule


def _equal(arguments: Operands, options: Options) -> Interval:
    one, two = _of(arguments[0]), _of(arguments[1])
    possible = (one.low <= two.high) & (two.low <= one.high)
    return Interval(possible & (one.low == one.high) & (two.low == two.high), possible)


def _not_equal(arguments: Operands, options: Options) -> Interval:
    return _negation((_equal(arguments, options),), options)


def _negation(arguments: Operands, options: Options) -> Interval:
    item = arguments[0]
    return Interval(~item.high.bool(), ~item.low.bool())


def _either(arguments: Operands, options: Options) -> Interval:
    one, two = (Interval(item.low.bool(), item.high.bool()) for item in map(_of, arguments[:2]))
    same = (one.low == one.high) & (two.low == two.high)
    return Interval(same & (one.low ^ two.low), ~same | (one.low ^ two.low))


def _perhaps(arguments: Operands, options: Options) -> Interval:
    item = _of(arguments[0])
    return Interval(torch.zeros_like(item.low, dtype=torch.bool), torch.ones_like(item.low, dtype=torch.bool))


# --- arithmetic ---------------------------------------------------------------------------------------------


def _negated(arguments: Operands, options: Options) -> Interval:
    return Interval(-arguments[0].high, -arguments[0].low)


def _difference(arguments: Operands, options: Options) -> Interval:
    one, two = _of(arguments[0]), _of(arguments[1])
    return Interval(one.low - two.high, one.high - two.low)


def _product(arguments: Operands, options: Options) -> Interval:
    one, two = _of(arguments[0]), _of(arguments[1])
    ends = [torch.nan_to_num(a * b, nan=0.0, posinf=math.inf, neginf=-math.inf) for a in one for b in two]
    low, high = ends[0], ends[0]
    for end in ends[1:]:
        low, high = torch.minimum(low, end), torch.maximum(high, end)
    return Interval(low, high)


def _inverse(item: Interval) -> Interval:
    low, high = 1 / item.high, 1 / item.low
    apart = (item.low > 0) | (item.high < 0)
    above, below = item.low == 0, item.high == 0
    low = torch.where(apart | (above & ~below), low, -math.inf)
    high = torch.where(apart | (below & ~above), high, math.inf)
    return Interval(low, high)


def _quotient(arguments: Operands, options: Options) -> Interval:
    below = arguments[1]
    inverse = _inverse(below) if isinstance(below, Interval) else _of(1 / torch.as_tensor(below, dtype=torch.float64))
    return _product((arguments[0], inverse), options)


def _squared(item: Interval) -> Interval:
    nearest = torch.maximum(torch.maximum(item.low, -item.high), torch.zeros_like(item.low))
    return Interval(nearest * nearest, torch.maximum(item.low * item.low, item.high * item.high))


def _summed_squares(target: Any, item: Interval) -> Interval:
    """x times x: of numbers each for itself, of a vector their sum."""
    if target in (operator.mul, torch.mul):
        return _squared(item)
    if item.low.dim() != 1:
        return _matrix_product((item, item), {})
    return Interval(*(part.sum() for part in _squared(item)))


def _absolute(arguments: Operands, options: Options) -> Interval:
    item = arguments[0]
    nearest = torch.maximum(torch.maximum(item.low, -item.high), torch.zeros_like(item.low))
    return Interval(nearest, torch.maximum(item.low.abs(), item.high.abs()))


def _power(arguments: Operands, options: Options) -> Interval:
    base, exponent = arguments[:2]
    if isinstance(exponent, Tensor) and exponent.numel() == 1:
        exponent = float(exponent)
    if isinstance(exponent, (int, float)):
        return _constant_power(_of(base), float(exponent))
    base, exponent = _of(base), _of(exponent)
    positive = Interval(base.low.clamp(min=0.0), base.high.clamp(min=0.0))
    logarithms = Interval(positive.low.log(), positive.high.log())
    found = _product((exponent, logarithms), {})
    sure = base.low > 0
    return Interval(torch.where(sure, found.low.exp(), -math.inf), torch.where(sure, found.high.exp(), math.inf))


def _constant_power(base: Interval, power: float) -> Interval:
    if power < 0:
        return _inverse(_constant_power(base, -power))
    if power == 2:
        return _squared(base)
    if power % 2 == 0:
        return Interval(*(end**power for end in _absolute((base,), {})))
    if power % 1 == 0:
        return Interval(base.low**power, base.high**power)
    return Interval(base.low.clamp(min=0.0) ** power, base.high.clamp(min=0.0) ** power)


def _matrix_product(arguments: Operands, options: Options) -> Interval:
    left, right = arguments[:2]
    if isinstance(left, Interval) and isinstance(right, Interval):
        one = Interval(*(end.unsqueeze(-1) if right.low.dim() > 1 else end for end in left))
        two = Interval(*(end.unsqueeze(0) if end.dim() > 1 and left.low.dim() > 1 else end for end in right))
        if max(left.low.dim(), right.low.dim()) > 2:
            raise NoRule("a product of stacks of matrices")
        _refuse_large(left.low.numel() * (right.low.shape[-1] if right.low.dim() > 1 else 1))
        found = _product((one, two), {})
        axis = -2 if right.low.dim() > 1 else -1
        return Interval(found.low.sum(axis), found.high.sum(axis))
    if isinstance(left, Interval):
        above, below = right.clamp(min=0.0), right.clamp(max=0.0)
        return Interval(left.low @ above + left.high @ below, left.high @ above + left.low @ below)
    above, below = left.clamp(min=0.0), left.clamp(max=0.0)
    return Interval(above @ right.low + below @ right.high, above @ right.high + below @ right.low)


def _linear(arguments: Operands, options: Options) -> Interval:
    turned = arguments[1]
    turned = Interval(turned.low.t(), turned.high.t()) if isinstance(turned, Interval) else turned.t()
    found = _matrix_product((arguments[0], turned), {})
    return found if len(arguments) < 3 else _at_both_ends(torch.add, (found, arguments[2]), {})


def _squared_error(arguments: Operands, options: Options) -> Interval:
    found = _squared(_difference(arguments, {}))
    reduce = torch.sum if options.get("reduction") == "sum" else torch.mean
    return Interval(reduce(found.low), reduce(found.high))


def _product_of_all(arguments: Operands, options: Options) -> Interval:
    item, dim = arguments[0], options.get("dim", arguments[1] if len(arguments) > 1 else None)
    ends = [end.reshape(-1) if dim is None else end.movedim(dim, 0) for end in item]
    if ends[0].shape[0] > _MOST_FACTORS:
        raise NoRule("a product of many numbers")
    found = Interval(ends[0][0], ends[1][0])
    for place in range(1, ends[0].shape[0]):
        found = _product((found, Interval(ends[0][place], ends[1][place])), {})
    return found


def _refuse_large(numbers: int) -> None:
    if numbers > _MOST_NUMBERS:
        raise NoRule("a table of all products, or of all places, that is too large")


_MOST_NUMBERS = 5_000_000
"""Numbers of a table of all products, or of all places, at most."""

_MOST_FACTORS = 100
"""Factors of a PRODUCT, at most."""


# --- curves -------------------------------------------------------------------------------------------------


def _root(arguments: Operands, options: Options) -> Interval:
    return Interval(*(end.clamp(min=0.0).sqrt() for end in arguments[0]))


def _cosh(arguments: Operands, options: Options) -> Interval:
    return Interval(*(torch.cosh(end) for end in _absolute(arguments, options)))


def _falling(function: Callable[[Tensor], Tensor]) -> Rule:
    return lambda arguments, options: Interval(function(arguments[0].high), function(arguments[0].low))


def _wave(shift: float) -> Rule:
    """The rule of cos(x + shift), which is 1 at all whole multiples of 2 pi, and -1 half-way between."""

    def rule(arguments: Operands, options: Options) -> Interval:
        low, high = (arguments[0].low + shift) / (2 * math.pi), (arguments[0].high + shift) / (2 * math.pi)
        one, two = torch.cos(2 * math.pi * low), torch.cos(2 * math.pi * high)
        top = torch.ceil(low) <= high
        bottom = torch.ceil(low - 0.5) <= high - 0.5
        return Interval(
            torch.where(bottom, -1.0, torch.minimum(one, two)), torch.where(top, 1.0, torch.maximum(one, two))
        )

    return rule


def _remainder(arguments: Operands, options: Options) -> Interval:
    item, divisor = arguments[:2]
    if not isinstance(divisor, (int, float)) or divisor <= 0:
        raise NoRule("a remainder")
    item = _of(item)
    same = torch.floor(item.low / divisor) == torch.floor(item.high / divisor)
    low, high = torch.remainder(item.low, divisor), torch.remainder(item.high, divisor)
    return Interval(torch.where(same, low, 0.0), torch.where(same, high, float(divisor)))


# --- numbers at places --------------------------------------------------------------------------------------


def _selected(arguments: Operands, options: Options) -> Interval:
    source, dim, places = arguments[:3]
    if not isinstance(places, Interval):
        return Interval(*(torch.index_select(end, dim, places) for end in _of(source)))
    low, high = (end.movedim(dim, 0).unsqueeze(0) for end in _of(source))
    count, rest = low.shape[1], [1] * (low.dim() - 2)
    _refuse_large(places.low.numel() * low.numel())
    numbers = torch.arange(count)
    first, last = (end.reshape(-1, 1).clamp(0, count - 1) for end in places)
    inside = ((numbers >= first) & (numbers <= last)).reshape(-1, count, *rest)
    least = torch.where(inside, low, math.inf).amin(1)
    most = torch.where(inside, high, -math.inf).amax(1)
    return Interval(least.movedim(0, dim), most.movedim(0, dim))


def _gathered(arguments: Operands, options: Options) -> Interval:
    source, dim, places = (*arguments, options.get("dim"))[:3]
    if isinstance(places, int):  # take_along_dim has them the other way round
        dim, places = places, dim
    if isinstance(places, Interval):
        raise NoRule("numbers at places of a table")
    return Interval(*(torch.gather(end, dim, places) for end in _of(source)))


def _item(arguments: Operands, options: Options) -> Interval:
    source, place = arguments
    if isinstance(place, Interval) or not isinstance(source, Interval):
        raise NoRule("numbers at places")
    return Interval(source.low[place], source.high[place])


def _like(arguments: Operands, options: Options) -> Interval:
    raise NoRule("a tensor like another one")


Rule = Callable[[Operands, Options], Interval]

_SQUARES = frozenset({operator.mul, torch.mul, torch.matmul, torch.dot, torch.inner, operator.matmul})

_RISING: frozenset[Any] = frozenset(
    {
        *(torch.cat, torch.stack, torch.sum, "sum", torch.cumsum, "cumsum", torch.constant_pad_nd, F.pad),
        *(operator.add, torch.add, "add", torch.exp, "exp", torch.expm1, torch.log, "log", torch.log10, torch.log2),
        *(torch.log1p, torch.tanh, torch.erf, torch.sigmoid, torch.atan, torch.asinh, torch.sinh, F.softplus),
        *(F.logsigmoid, torch.relu, "relu", F.relu, torch.maximum, torch.minimum, torch.clamp_min, torch.clamp_max),
        *(torch.amax, torch.amin, "amax", "amin", torch.deg2rad, torch.rad2deg, "clamp", torch.clamp, "clamp_min"),
        *(torch.floor, torch.ceil, torch.round, torch.trunc, "floor", "ceil", "round", "trunc", torch.sign),
        *(torch.logical_and, torch.logical_or, operator.and_, operator.or_, "logical_and", "logical_or"),
        *(torch.any, torch.all, "any", "all", torch.logsumexp, torch.special.ndtri, torch.diag_embed, "long"),
    }
)
"""Operations that follow all of their operands upwards; of truth values, towards what is true."""

_RULES: dict[Any, Rule] = {
    **dict.fromkeys((operator.sub, torch.sub, "sub"), _difference),
    **dict.fromkeys((operator.neg, torch.neg, "neg"), _negated),
    **dict.fromkeys((operator.mul, torch.mul, "mul"), _product),
    **dict.fromkeys((operator.truediv, torch.div, "div"), _quotient),
    **dict.fromkeys((operator.pow, torch.pow, "pow"), _power),
    **dict.fromkeys((torch.matmul, torch.dot, torch.inner, operator.matmul, torch.mm, torch.mv), _matrix_product),
    **dict.fromkeys((torch.abs, "abs", operator.abs), _absolute),
    **dict.fromkeys((torch.sqrt, "sqrt"), _root),
    **dict.fromkeys((torch.prod, "prod"), _product_of_all),
    **dict.fromkeys((torch.gt, operator.gt, "gt"), _compared(torch.gt, turned=False)),
    **dict.fromkeys((torch.ge, operator.ge, "ge"), _compared(torch.ge, turned=False)),
    **dict.fromkeys((torch.lt, operator.lt, "lt"), _compared(torch.lt, turned=True)),
    **dict.fromkeys((torch.le, operator.le, "le"), _compared(torch.le, turned=True)),
    **dict.fromkeys((torch.eq, operator.eq, "eq"), _equal),
    **dict.fromkeys((torch.ne, operator.ne, "ne"), _not_equal),
    **dict.fromkeys((torch.logical_not, operator.invert, "logical_not"), _negation),
    **dict.fromkeys((torch.logical_xor, operator.xor), _either),
    **dict.fromkeys((torch.isnan, "isnan", torch.isfinite, "isfinite"), _perhaps),
    **dict.fromkeys((torch.remainder, operator.mod), _remainder),
    **dict.fromkeys((torch.index_select, "index_select"), _selected),
    **dict.fromkeys((torch.gather, "gather", torch.take_along_dim), _gathered),
    F.mse_loss: _squared_error,
    F.linear: _linear,
    torch.cosh: _cosh,
    torch.erfc: _falling(torch.erfc),
    torch.cos: _wave(0.0),
    torch.sin: _wave(-math.pi / 2),
    operator.getitem: _item,
}


def names_of(bounds: Sequence[str], low: Sequence[Tensor], high: Sequence[Tensor]) -> dict[str, Interval]:
    """Bounds of parameters by name."""
    return {name: Interval(one, two) for name, one, two in zip(bounds, low, high, strict=True)}
