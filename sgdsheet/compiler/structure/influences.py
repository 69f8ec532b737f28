"""Which parameters each number of a program depends on, at most: operations without a rule mix all that they read."""

from __future__ import annotations

import operator
from collections.abc import Callable, Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, fx

from sgdsheet.compiler.passes.shapes import known_shape

_ONE_BY_ONE: frozenset[Any] = frozenset(
    {
        *(operator.add, operator.sub, operator.mul, operator.truediv, operator.pow, operator.neg, operator.abs),
        *(torch.add, torch.sub, torch.mul, torch.div, torch.pow, torch.neg, torch.abs, torch.where, torch.maximum),
        *(torch.minimum, torch.clamp, torch.clamp_min, torch.clamp_max, torch.relu, F.relu, torch.sqrt, torch.exp),
        *(torch.log, torch.log1p, torch.expm1, torch.log10, torch.log2, torch.sin, torch.cos, torch.tan, torch.tanh),
        *(torch.sigmoid, torch.floor, torch.ceil, torch.round, torch.trunc, torch.sign, torch.remainder, torch.fmod),
        *(operator.mod, operator.floordiv, torch.eq, torch.ne, torch.lt, torch.le, torch.gt, torch.ge, torch.isnan),
        *(torch.isfinite, torch.logical_and, torch.logical_or, torch.logical_xor, torch.logical_not, operator.and_),
        *(operator.or_, operator.xor, operator.invert, operator.eq, operator.ne, operator.lt, operator.le),
        *(operator.gt, operator.ge, "to", "detach", "abs", "neg", "long", "clone", torch.ones_like, torch.zeros_like),
    }
)
"""Operations on numbers one by one, or side by side."""

_MOVES_AND_SUMS: frozenset[Any] = frozenset(
    {
        *("reshape", "select", "narrow", "unsqueeze", "squeeze", "expand", "permute", "transpose", "flip", "view"),
        *(torch.reshape, torch.unsqueeze, torch.squeeze, torch.permute, torch.transpose, torch.flip, torch.cat),
        *(torch.stack, torch.sum, "sum", torch.mean, "mean", torch.cumsum, "cumsum", "diagonal", torch.diagonal),
    }
)
"""Operations that put numbers elsewhere, or add them up: they do the same with what these depend on."""

_MATRIX_PRODUCTS = frozenset({torch.matmul, operator.matmul, torch.dot, torch.inner, torch.mm, torch.mv})


_Rule = Callable[[fx.Node, dict[fx.Node, Tensor], Sequence[fx.Node]], Tensor]


def influences(module: fx.GraphModule, names: Sequence[str]) -> dict[fx.Node, Tensor]:
    """What each node depends on: truth values [parameters, *shape of the node]; nodes that depend on none are left out.

    `names` are the parameter tensors, in whose order the parameters count. The shapes of the nodes are to be noted
    before (see `passes.shapes`); of a node without one, such as a pair, there is only [parameters].
    """
    own = dict(module.named_parameters())
    sizes = [own[name].numel() if name in own else 0 for name in names]
    starts = {name: sum(sizes[:place]) for place, name in enumerate(names)}
    count = sum(sizes)
    found: dict[fx.Node, Tensor] = {}
    for node in module.graph.nodes:
        if node.op == "get_attr" and node.target in own and node.target in starts:
            parameter = own[str(node.target)]
            rows = torch.zeros(count, parameter.numel(), dtype=torch.bool)
            places = torch.arange(parameter.numel())
            rows[starts[str(node.target)] + places, places] = True
            found[node] = rows.reshape(count, *parameter.shape)
        elif node.op.startswith("call") and any(item in found for item in node.all_input_nodes):
            found[node] = _of_operation(node, found, count)
    return found


def _of_operation(node: fx.Node, found: dict[fx.Node, Tensor], count: int) -> Tensor:
    shape = known_shape(node)
    live = [item for item in node.all_input_nodes if item in found]
    if shape is None or any(known_shape(item) is None for item in node.all_input_nodes):
        return _mixed(live, found, shape)
    rules: tuple[tuple[frozenset[Any], _Rule], ...] = (
        (_ONE_BY_ONE, _side_by_side),
        (_MOVES_AND_SUMS, _moved),
        (_MATRIX_PRODUCTS, _product),
        (frozenset({torch.index_select, "index_select"}), _selected),
        (frozenset({torch.gather, "gather"}), _gathered),
    )
    for targets, rule in rules:
        if node.target in targets:
            try:
                made = rule(node, found, live)
            except (RuntimeError, ValueError, TypeError, IndexError):  # an operation in a form that the rule is not for
                break
            return made.expand(count, *shape) if made.dim() == 1 + len(shape) else _mixed(live, found, shape)
    return _mixed(live, found, shape)


def _mixed(live: Sequence[fx.Node], found: dict[fx.Node, Tensor], shape: torch.Size | None) -> Tensor:
    """Every number depends on all that is read."""
    any_of = torch.stack([found[item].reshape(len(found[item]), -1).any(1) for item in live])
    flags = any_of.any(0)
    return flags if shape is None else flags.reshape(-1, *(1 for _ in shape)).expand(-1, *shape)


def _aligned(rows: Tensor, rank: int) -> Tensor:
    """Rows [parameters, *shape] with so many axes behind the first, new ones in front of the others."""
    return rows.reshape(rows.shape[0], *(1 for _ in range(rank - rows.dim() + 1)), *rows.shape[1:])


def _side_by_side(node: fx.Node, found: dict[fx.Node, Tensor], live: Sequence[fx.Node]) -> Tensor:
    rank = len(node.meta["shape"])
    made = _aligned(found[live[0]], rank)
    for item in live[1:]:
        made = made | _aligned(found[item], rank)
    return made


def _moved(node: fx.Node, found: dict[fx.Node, Tensor], live: Sequence[fx.Node]) -> Tensor:
    def of_one(*rows: Tensor) -> Tensor:
        values = dict(zip(live, rows, strict=True))

        def value(item: fx.Node) -> Tensor:
            return values[item] if item in values else torch.zeros(item.meta["shape"])

        arguments: Any = fx.map_arg(tuple(node.args), value)
        options: Any = fx.map_arg(dict(node.kwargs), value)
        if isinstance(node.target, str):
            made: Tensor = getattr(arguments[0], node.target)(*arguments[1:], **options)
        else:
            assert callable(node.target)
            made = node.target(*arguments, **options)
        return made

    return torch.vmap(of_one)(*(found[item].float() for item in live)) > 0


def _product(node: fx.Node, found: dict[fx.Node, Tensor], live: Sequence[fx.Node]) -> Tensor:
    """All numbers of a row with all of a column: that some factors may be 0 is left out."""
    first, second = node.args
    assert isinstance(first, fx.Node)
    assert isinstance(second, fx.Node)
    parts = []
    for side, other, turned in ((first, second, False), (second, first, True)):
        if side in found:
            ones = torch.ones(other.meta["shape"])

            def of_one(rows: Tensor, ones: Tensor = ones, turned: bool = turned) -> Tensor:
                return torch.matmul(ones, rows) if turned else torch.matmul(rows, ones)

            parts.append(torch.vmap(of_one)(found[side].float()) > 0)
    return parts[0] if len(parts) == 1 else parts[0] | parts[1]


def _selected(node: fx.Node, found: dict[fx.Node, Tensor], live: Sequence[fx.Node]) -> Tensor:
    """Rows of a table at places: each depends on its place, and on the whole column if the table depends on any."""
    source, dim, places = node.args
    assert isinstance(dim, int)
    if not isinstance(places, fx.Node) or places not in found:
        return _mixed(live, found, node.meta["shape"])
    rank = len(node.meta["shape"])
    axes = [1] * rank
    axes[dim] = -1
    made = found[places].reshape(found[places].shape[0], *axes)
    if isinstance(source, fx.Node) and source in found:
        made = made | found[source].any(dim=1 + dim % rank, keepdim=True)
    return made


def _gathered(node: fx.Node, found: dict[fx.Node, Tensor], live: Sequence[fx.Node]) -> Tensor:
    """Numbers of a table at places: each depends on its place, and on all numbers that lie along it."""
    source, dim, places = node.args
    assert isinstance(dim, int)
    assert isinstance(places, fx.Node)
    shape = node.meta["shape"]
    made = found[places] if places in found else torch.zeros(1, *shape, dtype=torch.bool)
    if isinstance(source, fx.Node) and source in found:
        along = found[source].any(dim=1 + dim % len(shape), keepdim=True)
        for axis, size in enumerate(shape):
            if axis != dim % len(shape):
                along = along.narrow(1 + axis, 0, size)
        made = made | along
    return made
