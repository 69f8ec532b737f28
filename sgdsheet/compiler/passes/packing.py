"""The same calculation many times over, written once: eight kernels, sixteen feature maps.

Nodes that do the same with other operands are *packed*: one operation on their operands, stacked along a new first
dimension. Slices of one tensor at equal distances (the kernels of a parameter range) are stacked by a view.
Packing starts where several nodes are wanted together: by a `cat` or `stack`, or as the terms of a sum of
correlations, which is one correlation with several channels.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import Any, cast

import torch
from torch import fx

from sgdsheet.compiler.passes.shapes import known_shape, set_shape, shape_of
from sgdsheet.compiler.passes.windows import correlate, replace

_ELEMENTWISE = frozenset(
    {operator.add, operator.sub, operator.mul, operator.truediv, operator.neg, operator.pow}
    | {torch.relu, torch.exp, torch.log, torch.sqrt, torch.abs, torch.tanh, torch.sigmoid, torch.where}
    | {torch.maximum, torch.minimum, torch.clamp_min, torch.clamp_max}
    | {torch.le, torch.lt, torch.ge, torch.gt, torch.eq, torch.ne, torch.isnan, torch.logical_not}
)
_VIEWS = frozenset({"select", "narrow", "unfold", "unsqueeze", "permute"})
_REDUCTIONS = frozenset({torch.amax, torch.amin, torch.sum, torch.mean})

Members = tuple[fx.Node, ...]


def pack(graph: fx.Graph) -> None:
    """Pack what a graph calculates many times over. Graphs without correlations are left alone.

    Other sheets have their blocks in one piece already: only kernels beside each other come in pieces.
    """
    if any(node.target is correlate for node in graph.nodes):
        Packer(graph).pack_all()
        graph.eliminate_dead_code()


class Packer:
    """Packs nodes of one graph, whose shapes are noted; keeps the notes up to date."""

    def __init__(self, graph: fx.Graph) -> None:
        self.graph = graph
        self._packs: dict[Members, fx.Node | None] = {}
        self._stacks: dict[Members, fx.Node] = {}
        self._levels: dict[fx.Node, int] = {}

    # --- where packing starts ---------------------------------------------------------------------------

    def pack_all(self) -> None:
        """Pack sums of correlations, then what is put side by side."""
        self._merge_equal()
        for node in list(self.graph.nodes):
            self._pack_sum(node)
        for node in list(self.graph.nodes):
            if node.target in (torch.cat, torch.stack) and node not in self._stacks.values():
                self._pack_pieces(node)
        self._select_members()
        self._sort()

    def _pack_sum(self, node: fx.Node) -> None:
        """correlate(x1, k1) + correlate(x2, k2) + … + rest, as one with channels."""
        if node.target is not operator.add or any(user.target is operator.add for user in node.users):
            return
        terms = list(sum_terms(node))
        first = next((term for term in terms if term.target is correlate), None)
        if first is None:
            return
        alike = [term for term in terms if term.target is correlate and self._same_windows(term, first)]
        rest = [term for term in terms if term not in alike]
        if len(alike) < 2:
            return
        cells, kernels = (tuple(_node(term.args[index]) for term in alike) for index in (0, 1))
        with self.graph.inserting_before(node):
            summed = self._new(
                "call_function", correlate, (self.packed(cells), self.packed(kernels), first.args[2]), {}, node
            )
            for term in rest:
                summed = self._new("call_function", operator.add, (summed, term), {}, node)
        replace(self.graph, node, summed)

    def _same_windows(self, one: fx.Node, other: fx.Node) -> bool:
        return one.args[2] == other.args[2] and all(
            shape_of(_node(one.args[index])) == shape_of(_node(other.args[index]))
            and len(shape_of(_node(one.args[index]))) == 2
            for index in (0, 1)
        )

    def _pack_pieces(self, node: fx.Node) -> None:
        """cat and stack of packed nodes are the pack itself with its dimensions in another order."""
        items = node.args[0]
        assert isinstance(items, (list, tuple))
        members = tuple(item for item in items if isinstance(item, fx.Node))
        dim = node.kwargs.get("dim", node.args[1] if len(node.args) > 1 else 0)
        if len(members) != len(items) or len(members) < 2 or not isinstance(dim, int) or dim < 0:
            return
        with self.graph.inserting_before(node):
            pack = self._alike(members)
            if pack is None:
                return
            rank = len(shape_of(members[0]))
            order = [*range(1, dim + 1), 0, *range(dim + 1, rank + 1)]
            result = self._method("permute", pack, *order) if dim else pack
            if node.target is torch.cat:
                result = self._method("reshape", result, tuple(shape_of(node)))
        replace(self.graph, node, result)

    # --- packs ------------------------------------------------------------------------------------------

    def packed(self, members: Members) -> fx.Node:
        """The members along a new first dimension."""
        found = self._alike(members) or self._stacks.get(members)
        if found is None:
            found = self._stacks[members] = self.graph.call_function(torch.stack, (list(members),))
            set_shape(found, (len(members), *shape_of(members[0])))
        return found

    def _alike(self, members: Members) -> fx.Node | None:
        """A pack that calculates all members at once; None if they do different things."""
        if members not in self._packs:
            pack = self._sliced(members) or self._calculated(members)
            if pack is not None:
                set_shape(pack, (len(members), *shape_of(members[0])))
            self._packs[members] = pack
        return self._packs[members]

    def _sliced(self, members: Members) -> fx.Node | None:
        """Slices of one tensor at equal distances are a view of it."""
        first = members[0]
        if first.op != "call_method" or first.target not in ("select", "narrow"):
            return None
        if any(item.target != first.target or item.args[:2] != first.args[:2] for item in members):
            return None
        base, dim, starts = _node(first.args[0]), first.args[1], [_whole(item.args[2]) for item in members]
        lengths = {_whole(item.args[3]) if len(item.args) > 3 else 1 for item in members}
        steps = {after - before for before, after in pairwise(starts)}
        if len(lengths) != 1 or len(steps) != 1 or min(steps) < 1 or not isinstance(dim, int):
            return None
        length, step, rank = lengths.pop(), steps.pop(), len(shape_of(base))
        span = (len(members) - 1) * step + length
        if span != shape_of(base)[dim]:
            base = self._method("narrow", base, dim, starts[0], span)
        windows = self._method("unfold", base, dim, length, step)  # [..., members, ..., length]
        order = [dim, *(axis if axis != dim else rank for axis in range(rank))]
        if first.target == "select":
            windows, order = self._method("squeeze", windows, -1), [axis for axis in order if axis != rank]
        return windows if order == sorted(order) else self._method("permute", windows, *order)

    def _calculated(self, members: Members) -> fx.Node | None:
        first, count = members[0], len(members)
        same = all(self._kind(item) == self._kind(first) for item in members)
        if not same or len(set(members)) < count:
            return None
        columns = [[item.args[index] for item in members] for index in range(len(first.args))]
        if any(not isinstance(column[0], fx.Node) and column.count(column[0]) < count for column in columns):
            return None
        if first.target in _ELEMENTWISE:
            return self._elementwise(first, columns)
        if first.target is correlate:
            return self._correlated(first, columns)
        if first.target in _REDUCTIONS and "dim" in first.kwargs:
            dims: Any = first.kwargs["dim"]
            shifted = dims + 1 if isinstance(dims, int) else tuple(dim + 1 for dim in dims)
            operand = self._operand(columns[0])
            return self.graph.call_function(first.target, (operand,), {"dim": shifted})
        shift = _SHIFTED.get(str(first.target)) if first.op == "call_method" else None
        if shift is None or first.kwargs:
            return None
        return self._method(str(first.target), self._operand(columns[0]), *shift(count, first.args[1:]))

    def _kind(self, node: fx.Node) -> object:
        """What nodes that are packed together have in common."""
        return node.op, node.target, node.kwargs, len(node.args), known_shape(node), self._level(node)

    def _operand(self, column: Sequence[Any]) -> fx.Node:
        return self.packed(tuple(column))

    def _elementwise(self, first: fx.Node, columns: Sequence[Sequence[Any]]) -> fx.Node:
        rank = len(shape_of(first))
        operands = []
        for column in columns:
            if len(set(column)) == 1:
                operands.append(column[0])  # the same for all: it spreads over the new dimension
                continue
            pack, own = self._operand(column), len(shape_of(column[0]))
            if own < rank:
                shape = (len(column), *[1] * (rank - own), *shape_of(column[0]))
                pack = self._method("reshape", pack, shape)
            operands.append(pack)
        return self.graph.call_function(cast(Callable[..., Any], first.target), tuple(operands), dict(first.kwargs))

    def _correlated(self, first: fx.Node, columns: Sequence[Sequence[Any]]) -> fx.Node | None:
        """Several kernels over the same cells."""
        cells, kernels, stride = columns
        if len(set(cells)) > 1 or len(shape_of(first)) != 2:
            return None
        return self.graph.call_function(correlate, (cells[0], self._operand(kernels), stride[0]))

    def _new(self, op: str, target: Any, arguments: Any, options: Any, like: fx.Node) -> fx.Node:
        return set_shape(self.graph.create_node(op, target, arguments, options), shape_of(like))

    def _method(self, name: str, data: fx.Node, *arguments: Any) -> fx.Node:
        shape = getattr(torch.empty(shape_of(data), device="meta"), name)(*arguments).shape
        return set_shape(self.graph.call_method(name, (data, *arguments)), shape)

    # --- order ------------------------------------------------------------------------------------------

    def _level(self, node: fx.Node) -> int:
        """The length of the longest way to a node: what is on one level does not depend on each other."""
        if node not in self._levels:
            stack = [node]
            while stack:
                waiting = [item for item in stack[-1].all_input_nodes if item not in self._levels]
                if waiting:
                    stack += waiting
                else:
                    top = stack.pop()
                    self._levels[top] = 1 + max((self._levels[item] for item in top.all_input_nodes), default=0)
        return self._levels[node]

    def _select_members(self) -> None:
        """Let whatever reads a member of a pack read it from the pack."""
        for members, pack in self._packs.items():
            if pack is None or not pack.users:
                continue
            for index, member in enumerate(members):
                if member.target in ("select", "narrow") or not _is_read(member):
                    continue
                with self.graph.inserting_after(pack):
                    part = self._method("select", pack, 0, index)
                member.replace_all_uses_with(part)

    def _merge_equal(self) -> None:
        """Nodes that do the same with the same operands are one."""
        known: dict[object, fx.Node] = {}
        for node in list(self.graph.nodes):
            if node.op == "call_method" and node.target in _VIEWS and not node.kwargs:
                first = known.setdefault((node.target, node.args), node)
                if first is not node:
                    node.replace_all_uses_with(first)
                    self.graph.erase_node(node)

    def _sort(self) -> None:
        """Move each node behind what it reads; apart from that, the order stays."""
        placed: set[fx.Node] = set()
        ordered: list[fx.Node] = []
        for node in self.graph.nodes:
            waiting = [node]
            while waiting:
                missing = [item for item in waiting[-1].all_input_nodes if item not in placed]
                if missing:
                    waiting += reversed(missing)
                elif (top := waiting.pop()) not in placed:
                    placed.add(top)
                    ordered.append(top)
        for before, node in pairwise(ordered):
            before.append(node)


def _is_read(node: fx.Node) -> bool:
    """Whether anything that counts reads a node: not only nodes that nobody reads."""
    waiting, seen = [node], {node}
    while waiting:
        for user in waiting.pop().users:
            if user.op == "output":
                return True
            if user not in seen:
                seen.add(user)
                waiting.append(user)
    return False


def sum_terms(node: fx.Node) -> list[fx.Node]:
    """The terms of a sum that is not needed in parts."""
    found: list[fx.Node] = []
    waiting = [node]
    while waiting:  # sums of sums may be thousands deep
        part = waiting.pop()
        needed = part is not node and len(part.users) != 1
        is_sum = part.target is operator.add and all(isinstance(item, fx.Node) for item in part.args)
        if needed or not is_sum or part.args[0] is part.args[1]:  # x+x of y+y of …: ever twice as many terms
            found.append(part)
        else:
            waiting += reversed([_node(item) for item in part.args])
    return found


def _node(item: object) -> fx.Node:
    assert isinstance(item, fx.Node)
    return item


def _whole(item: object) -> int:
    assert isinstance(item, int)
    return item


def _dim_first(count: int, arguments: Any) -> tuple[Any, ...]:
    dim, *rest = arguments
    return (dim + 1 if dim >= 0 else dim, *rest)


def _dims(count: int, arguments: Any) -> tuple[Any, ...]:
    return (0, *[dim + 1 for dim in arguments])


def _shape(count: int, arguments: Any) -> tuple[Any, ...]:
    return ((count, *arguments[0]),)


_SHIFTED: dict[str, Callable[[int, Any], tuple[Any, ...]]] = {
    "unfold": _dim_first,
    "select": _dim_first,
    "narrow": _dim_first,
    "unsqueeze": _dim_first,
    "permute": _dims,
    "reshape": _shape,
    "expand": _shape,
}
"""Methods that look at a tensor in another way, and their arguments with one more dimension in front."""
