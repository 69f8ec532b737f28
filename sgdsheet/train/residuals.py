"""The residuals of a least-squares problem, found in its program.

A loss that is a sum or mean of squares, times and plus constants, under a root or a logarithm, has the same minima
as the sum of squares of its residuals. What they are tells how far from a minimum a point is: see `convergence`.
"""

from __future__ import annotations

import math
import operator
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, fx
from torch.func import functional_call

from sgdsheet.problem.definition import Direction, Problem

_VIEWS = frozenset({"narrow", "select", "reshape", "view", "flatten", "squeeze", "unsqueeze", "transpose", "permute"})
"""Methods that pick elements, or arrange them anew."""

_PRODUCTS = (torch.matmul, torch.dot, torch.inner)


class _Squares(NamedTuple):
    """The sum of `weight * node²` over all elements; `scale` is a factor per element, or None."""

    node: fx.Node
    weight: float
    scale: fx.Node | None = None
    minus: fx.Node | Tensor | None = None
    """What is subtracted from `node` before it is squared; None if the residual is `node` itself."""
    masks: tuple[tuple[fx.Node, bool], ...] = ()
    """Constant conditions, each with the value under which an element counts; else there is 0 in its place."""
    views: tuple[tuple[str, tuple[int, ...]], ...] = ()
    """Which elements are summed: tensor methods such as `narrow`, applied one after the other, with their arguments."""


@dataclass(frozen=True, slots=True)
class Regression:
    """A problem of least squares as statistics sees it: the weighted sum of squares of observed minus fitted values.

    `residuals` calculates them from the parameters: the root of the weight times observed minus fitted value, or its
    negative [observations]. `weights` [observations] are 1 unless the sheet weighs; where they are 0, there is no
    observation. `observed` [observations] are the observed values, and `signs` [observations] tell which are negative;
    None where the formulas do not show what was observed. With `penalised`, some of the squares are a penalty.
    """

    residuals: Callable[..., Tensor]
    weights: Tensor
    observed: Tensor | None
    signs: Tensor
    penalised: bool


def residuals_of(module: fx.GraphModule, names: Sequence[str], problem: Problem) -> Callable[..., Tensor] | None:
    """A function of the parameters, in the order of `names`, that gives all residuals, flat; None if there are none.

    `module` calculates the loss cell. The gradient of the sum of their squares has the direction of the objective's.
    """
    if problem.direction is Direction.MAXIMISE:
        return None
    if problem.direction is Direction.VALUE:
        return lambda *values: (
            functional_call(module, dict(zip(names, values, strict=True)), ()) - problem.target
        ).reshape(1)
    output = next(node for node in module.graph.nodes if node.op == "output").args[0]
    buffers = dict(module.named_buffers())
    finder = _Finder(buffers)
    found = finder.below(output) if isinstance(output, fx.Node) else None
    if not found:
        return None
    return _program(module, names, found)


def regression_of(
    module: fx.GraphModule, names: Sequence[str], problem: Problem, values: Sequence[Tensor]
) -> Regression | None:
    """The problem as a regression; None if it is not one of least squares, or only some squares without observations.

    `module` calculates the loss cell, `names` are its parameters and `values` what they are now, which tells sizes.
    """
    output = next(node for node in module.graph.nodes if node.op == "output").args[0]
    if problem.direction is not Direction.MINIMISE or not isinstance(output, fx.Node):
        return None
    finder = _Finder(dict(module.named_buffers()))
    found = finder.below(output)
    if not found:
        return None
    parts = [item._replace(weight=item.weight / found[0].weight) for item in found]
    seen = [_seen(finder, part, _program(module, names, [part]), values) for part in parts]
    known = {item.observed is not None for item in seen}
    if known == {False} and all(len(item.weights) == 1 for item in seen):
        return None  # squares that somebody has added one by one, such as those of a distance
    penalised = len(known) > 1 or (known == {False} and any(part.weight != 1 for part in parts))
    observed = [item.observed for item in seen if item.observed is not None]
    return Regression(
        _program(module, names, parts),
        torch.cat([item.weights for item in seen]),
        torch.cat(observed) if len(observed) == len(seen) else None,
        torch.cat([item.signs for item in seen]),
        penalised,
    )


class _Seen(NamedTuple):
    """What a part of the squares shows: weights [residuals], observed values and their signs [residuals]."""

    weights: Tensor
    observed: Tensor | None
    signs: Tensor


def _seen(finder: _Finder, part: _Squares, program: Callable[..., Tensor], values: Sequence[Tensor]) -> _Seen:
    with torch.no_grad():
        sample = program(*[item.detach() for item in values])
    shape = part.node.meta.get("shape")
    like = sample.new_ones(shape if shape is not None else sample.shape)
    weights, wide, scale = like * part.weight, None, like
    for mask, kept in part.masks:
        weights = weights * (finder.buffers[str(mask.target)] == kept)
    found = finder.observed(part)
    try:
        if found is not None:
            wide, scale = (torch.as_tensor(item).to(like).expand(like.shape) for item in found)
    except RuntimeError:  # of other shapes than the residuals
        wide, scale = None, like
    for method, where in part.views:
        weights, scale = getattr(weights, method)(*where), getattr(scale, method)(*where)
        wide = getattr(wide, method)(*where) if wide is not None else None
    if part.scale is not None:
        weights = weights * finder.buffers[str(part.scale.target)]
    flat_weights = (weights * scale.square()).reshape(-1)
    if len(flat_weights) != len(sample):
        return _Seen(torch.ones_like(sample), None, torch.ones_like(sample))
    return _Seen(flat_weights, wide.reshape(-1) if wide is not None else None, scale.sign().reshape(-1))


def _program(module: fx.GraphModule, names: Sequence[str], found: list[_Squares]) -> Callable[..., Tensor]:
    """The module that calculates the residuals, with the parameters as arguments."""
    graph = fx.Graph()
    arguments = {name: graph.placeholder(name) for name in names}
    copies: dict[fx.Node, fx.Node] = {}
    for node in module.graph.nodes:
        if node.op == "get_attr" and node.target in arguments:
            copies[node] = arguments[str(node.target)]
        elif node.op != "output":
            copies[node] = graph.node_copy(node, lambda item: copies[item])
    parts = []
    for squares in found:
        part: fx.Node = copies[squares.node]
        if squares.minus is not None:
            other = copies[squares.minus] if isinstance(squares.minus, fx.Node) else squares.minus
            part = graph.call_function(operator.sub, (part, other))
        part = graph.call_function(operator.mul, (part, math.sqrt(squares.weight)))
        for mask, kept in squares.masks:
            sides = (part, 0.0) if kept else (0.0, part)
            part = graph.call_function(torch.where, (copies[mask], *sides))
        for method, where in squares.views:
            part = graph.call_method(method, (part, *where))
        if squares.scale is not None:
            part = graph.call_function(operator.mul, (part, graph.call_method("sqrt", (copies[squares.scale],))))
        parts.append(graph.call_method("reshape", (part, -1)))
    graph.output(graph.call_function(torch.cat, (parts,)))
    graph.eliminate_dead_code()
    made = fx.GraphModule(module, graph)
    return made.forward


class _Finder:
    """Walks from the loss towards the parameters."""

    def __init__(self, buffers: dict[str, Tensor]) -> None:
        self.buffers = buffers

    def below(self, node: fx.Node) -> list[_Squares] | None:
        """The node under functions that grow with the sum of squares, such as a root: it has the same minima."""
        target, arguments = node.target, node.args
        if target in (torch.sqrt, torch.log):
            return self._inner(arguments[0])
        if target is operator.pow and isinstance(arguments[1], (int, float)) and 0 < arguments[1] != 2:
            found = self._inner(arguments[0])
            return found if found is not None else self.total(node)
        if target in (operator.add, operator.sub) and self._number(arguments[1]) is not None:
            return self._inner(arguments[0])
        if target is operator.add and self._number(arguments[0]) is not None:
            return self._inner(arguments[1])
        factor = self._factor(node)
        if factor is not None:
            return self._inner(factor[0]) if factor[1] > 0 else None
        guarded = self._guarded(node)
        return self._inner(guarded) if guarded is not None else self.total(node)

    def _inner(self, item: object) -> list[_Squares] | None:
        return self.below(item) if isinstance(item, fx.Node) else None

    def _guarded(self, node: fx.Node) -> fx.Node | None:
        """`where(x > 0, x, NaN)`, or x without its gradient instead of the NaN, is x wherever there is a minimum.
        So are `where(error, NaN, x)` and `where(isnan(x), 1, x)`.
        """
        if node.target is not torch.where or len(node.args) != 3:
            return None
        condition, value, other = node.args
        if _is_nan(value) or _asks_for_errors(condition, other):
            value, other = other, torch.nan
        bare = isinstance(other, fx.Node) and other.target == "detach" and other.args[0] is value
        return value if isinstance(value, fx.Node) and (bare or _is_nan(other)) else None

    def _number(self, item: object) -> float | None:
        """A constant number; None for what is none, or more than one."""
        if isinstance(item, (int, float)):
            return float(item)
        if isinstance(item, fx.Node) and item.op == "get_attr":
            tensor = self.buffers.get(str(item.target))
            return float(tensor) if tensor is not None and tensor.numel() == 1 else None
        return None

    def _factor(self, node: fx.Node) -> tuple[fx.Node, float] | None:
        """What a constant multiplies or divides, and that constant."""
        if node.target not in (operator.mul, operator.truediv, torch.mul):
            return None
        left, right = node.args[:2]
        number = self._number(right)
        if number is not None and number != 0 and isinstance(left, fx.Node):
            return left, 1 / number if node.target is operator.truediv else number
        number = self._number(left)
        if number is not None and isinstance(right, fx.Node) and node.target is not operator.truediv:
            return right, number
        return None

    def total(self, node: fx.Node, weight: float = 1.0) -> list[_Squares] | None:
        """A number that is a sum of squares."""
        target, arguments = node.target, node.args
        factor = self._factor(node)
        if factor is not None:
            return self.total(factor[0], weight * factor[1]) if factor[1] > 0 else None
        if target is operator.add and all(isinstance(item, fx.Node) for item in arguments):
            parts = [self.total(item, weight) for item in arguments if isinstance(item, fx.Node)]
            return parts[0] + parts[1] if parts[0] is not None and parts[1] is not None else None
        if target is F.mse_loss:
            return self._distance(node, weight)
        if target in (torch.sum, torch.mean) and isinstance(arguments[0], fx.Node):
            if target is torch.sum:
                return self.each(arguments[0], weight)
            size = _size(arguments[0])
            return self.each(arguments[0], weight / size) if size else None
        if target in _PRODUCTS:
            return self._product(node, weight)
        return self.each(node, weight)

    def _distance(self, node: fx.Node, weight: float) -> list[_Squares] | None:
        first, second = node.args[:2]
        left, right = (first, second) if isinstance(first, fx.Node) else (second, first)
        if not isinstance(left, fx.Node) or not isinstance(right, (fx.Node, Tensor)):
            return None
        size = _size(left) if node.kwargs.get("reduction") != "sum" else 1
        return [_Squares(left, weight / size, minus=right)] if size else None

    def _product(self, node: fx.Node, weight: float) -> list[_Squares] | None:
        """`x · x`, or `weights · x²`."""
        left, right = node.args[:2]
        if left is right and isinstance(left, fx.Node):
            return [self._square(left, weight)]
        for scale, squares in ((left, right), (right, left)):
            if isinstance(scale, fx.Node) and isinstance(squares, fx.Node) and self._positive(scale):
                found = self.each(squares, weight)
                if found is not None and len(found) == 1 and found[0].scale is None:
                    return [found[0]._replace(scale=scale)]
        return None

    def _positive(self, node: fx.Node) -> bool:
        """Whether these are constant weights."""
        tensor = self.buffers.get(str(node.target)) if node.op == "get_attr" else None
        return tensor is not None and bool((tensor >= 0).all())

    def each(self, node: fx.Node, weight: float) -> list[_Squares] | None:
        """Numbers that are squares, each by itself."""
        target, arguments = node.target, node.args
        if target in (operator.pow, torch.pow) and arguments[1] == 2 and isinstance(arguments[0], fx.Node):
            return [self._square(arguments[0], weight)]
        if target in (torch.square, "square") and isinstance(arguments[0], fx.Node):
            return [self._square(arguments[0], weight)]
        if target in (operator.mul, torch.mul) and arguments[0] is arguments[1] and isinstance(arguments[0], fx.Node):
            return [self._square(arguments[0], weight)]
        factor = self._factor(node)
        if factor is not None and factor[1] > 0:
            return self.each(factor[0], weight * factor[1])
        guarded = self._guarded(node)
        if guarded is not None:
            return self.each(guarded, weight)
        if target in _VIEWS and isinstance(arguments[0], fx.Node) and not node.kwargs:
            return self._viewed(node, weight)
        masked = self._masked(node)
        if masked is None:
            return None
        value, condition, kept = masked
        found = self.each(value, weight)
        if not found or found[0].views:
            return None
        return [item._replace(masks=((condition, kept), *item.masks)) for item in found]

    def _viewed(self, node: fx.Node, weight: float) -> list[_Squares] | None:
        """Some of the squares, such as those of a part of a column."""
        inner, *where = node.args
        found = self.each(inner, weight) if isinstance(inner, fx.Node) else None
        whole = [item for item in where if isinstance(item, int)]
        if not found or len(whole) != len(where):
            return None
        return [item._replace(views=(*item.views, (str(node.target), tuple(whole)))) for item in found]

    def _square(self, node: fx.Node, weight: float) -> _Squares:
        """The squares of a node, without the elements that a condition makes 0."""
        masked = self._masked(node)
        if masked is None:
            return _Squares(node, weight)
        value, condition, kept = masked
        inner = self._square(value, weight)
        return inner._replace(masks=((condition, kept), *inner.masks))

    def _masked(self, node: fx.Node) -> tuple[fx.Node, fx.Node, bool] | None:
        """What counts only under a constant condition, that condition, and its value there; else there is 0."""
        if node.target is not torch.where or len(node.args) != 3:
            return None
        condition, one, other = node.args
        mask = self._constant(condition)
        if mask is None or mask.dtype is not torch.bool or not isinstance(condition, fx.Node):
            return None
        for value, nothing, kept in ((one, other, True), (other, one, False)):
            zeros = self._constant(nothing)
            if zeros is not None and isinstance(value, fx.Node) and bool(((zeros == 0) | (mask == kept)).all()):
                return value, condition, kept
        return None

    # --- what was observed ------------------------------------------------------------------------------

    def observed(self, part: _Squares) -> tuple[Tensor, Tensor | float] | None:
        """The observed values of residuals, and the factor: residual = factor · (observed - fitted).

        None where the formulas do not show which of their constants are the observed values.
        """
        if part.minus is not None:
            right, left = self._several(part.minus), self._several(part.node)
            if right is not None or left is not None:
                return (right, -1.0) if right is not None else (left, 1.0) if left is not None else None
            sides = [(part.node, 1.0), (part.minus, -1.0)]
            found = [self._difference(side, sign) for side, sign in sides if isinstance(side, fx.Node)]
            known = [item for item in found if item is not None]
            return known[0] if len(known) == 1 else None
        return self._difference(part.node, 1.0)

    def _difference(self, node: fx.Node, factor: Tensor | float) -> tuple[Tensor, Tensor | float] | None:
        """Looks through constant factors for a difference of constants and what depends on parameters."""
        target, arguments = node.target, node.args
        guarded = self._guarded(node)
        if guarded is not None:
            return self._difference(guarded, factor)
        if target in (operator.neg, torch.neg) and isinstance(arguments[0], fx.Node):
            return self._difference(arguments[0], -factor)
        if target in (operator.mul, torch.mul, operator.truediv):
            left, right = arguments[:2]
            known = self._constant(right)
            if known is not None and isinstance(left, fx.Node):
                return self._difference(left, factor / known if target is operator.truediv else factor * known)
            known = self._constant(left)
            if known is not None and isinstance(right, fx.Node) and target is not operator.truediv:
                return self._difference(right, factor * known)
            return None
        if target in (operator.sub, torch.sub):
            left, right = self._several(arguments[0]), self._several(arguments[1])
            further = self._difference(arguments[0], factor) if isinstance(arguments[0], fx.Node) else None
            if left is not None:
                return left, factor
            if right is not None:
                return (right, -factor) if further is None else None  # which of the two was observed?
            return further
        return None

    def _several(self, item: object) -> Tensor | None:
        """Constant numbers, more than one."""
        found = self._constant(item)
        return found if found is not None and found.numel() > 1 else None

    def _constant(self, item: object) -> Tensor | None:
        if isinstance(item, (bool, int, float)):
            return torch.tensor(item)
        if isinstance(item, Tensor):
            return item
        return self.buffers.get(str(item.target)) if isinstance(item, fx.Node) and item.op == "get_attr" else None


def _size(node: fx.Node) -> int:
    """How many numbers a node has; 0 where that is not known."""
    shape = node.meta.get("shape")
    return math.prod(shape) if shape is not None else 0


def _asks_for_errors(condition: object, value: object) -> bool:
    return isinstance(condition, fx.Node) and condition.target is torch.isnan and condition.args[0] is value


def _is_nan(item: object) -> bool:
    return isinstance(item, float) and math.isnan(item)
