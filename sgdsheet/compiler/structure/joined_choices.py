"""Calculations with conditions as one IF each, where its branches meet: IF(x>0, 0.8, -0.2)*x is IF(x>0, 0.8*x, -0.2*x).

Conditions, SIGN and ABS of the same x split the numbers into three: where x is positive, 0 and negative. Sums, products
and powers are calculated for each of the three. Where the results for positive and negative x meet at 0, and the one
for 0 agrees with them, the calculation is continuous, and an IF of the two takes its place. It serves analysis only.
"""

from __future__ import annotations

import operator
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

import torch
from torch import Tensor, fx

from sgdsheet.compiler.passes.shapes import known_shape, note_shapes, shape_of
from sgdsheet.compiler.structure.choices import Border, meeting
from sgdsheet.compiler.structure.rules import RULES
from sgdsheet.sheet.references import Range

_CONDITIONS: dict[Any, tuple[float, float, float]] = {
    **dict.fromkeys((torch.gt, operator.gt), (1.0, 0.0, 0.0)),
    **dict.fromkeys((torch.ge, operator.ge), (1.0, 1.0, 0.0)),
    **dict.fromkeys((torch.lt, operator.lt), (0.0, 0.0, 1.0)),
    **dict.fromkeys((torch.le, operator.le), (0.0, 1.0, 1.0)),
    **dict.fromkeys((torch.eq, operator.eq), (0.0, 1.0, 0.0)),
    **dict.fromkeys((torch.ne, operator.ne), (1.0, 0.0, 1.0)),
}
"""What a comparison gives where its left side is larger than its right side, equal to it, and smaller."""

_ABSOLUTE = frozenset({torch.abs, "abs", operator.abs})

_ARITHMETIC: dict[Any, Callable[..., Any]] = {
    **dict.fromkeys((operator.add, torch.add), operator.add),
    **dict.fromkeys((operator.sub, torch.sub), operator.sub),
    **dict.fromkeys((operator.mul, torch.mul), operator.mul),
    **dict.fromkeys((operator.truediv, torch.div), operator.truediv),
    **dict.fromkeys((operator.neg, torch.neg), operator.neg),
    **dict.fromkeys((operator.pow, torch.pow), operator.pow),
}
_TO_NUMBERS = frozenset({"to", "double", "float"})
_PRODUCTS = frozenset({torch.matmul, torch.dot, torch.inner, operator.matmul})


def with_joined_choices(module: fx.GraphModule) -> fx.GraphModule:
    """A module that calculates the same, wherever it gives no error, with one IF in the place of such calculations.

    The shapes of the nodes are to be noted before, and are noted of what it gives (see `passes.shapes`). The module
    itself stays as it is; without such calculations it is given back.
    """
    if not any(node.target in _CONDITIONS or node.target is torch.sign for node in module.graph.nodes):
        return module
    rewriting = _Rewriting(module)
    made = rewriting.rewritten()
    if not rewriting.joined:
        return module
    note_shapes(made)
    return made


@dataclass(frozen=True, slots=True)
class _Cases:
    """A calculation beside a border: what it gives above, on and below it. `joined`: it is one IF, or an ABS, already.

    The values are nodes and numbers; those of conditions are 1 and 0.
    """

    border: Border
    values: tuple[Any, Any, Any]
    joined: bool = False


@dataclass(slots=True)
class _Rewriting:
    module: fx.GraphModule
    joined: bool = False
    graph: fx.Graph = field(init=False, default_factory=fx.Graph)
    constants: dict[str, Tensor] = field(init=False)
    copies: dict[fx.Node, fx.Node] = field(init=False, default_factory=dict)
    cases: dict[fx.Node, _Cases] = field(init=False, default_factory=dict)
    """The cases of the copies, by copy."""
    moving: set[fx.Node] = field(init=False, default_factory=set)
    """The copies that depend on parameters."""
    equal: dict[Any, fx.Node] = field(init=False, default_factory=dict)
    """The copies by what they calculate in the same cells."""
    area: Range | None = None
    """The cells that are being copied."""

    def __post_init__(self) -> None:
        parameters = {name for name, _ in self.module.named_parameters()}
        self.constants = {name: tensor for name, tensor in self.module.named_buffers() if name not in parameters}

    def rewritten(self) -> fx.GraphModule:
        for node in self.module.graph.nodes:
            self.area = node.meta.get("area")
            copy = self.copies[node] = self._copied(node)
            if node.op == "placeholder" or (node.op == "get_attr" and str(node.target) not in self.constants):
                self.moving.add(copy)
            elif any(item in self.moving for item in copy.all_input_nodes):
                self.moving.add(copy)
                found = self._cases(copy)
                if found is not None:
                    self.copies[node] = self._settled(node, copy, found)
        self.graph.eliminate_dead_code()
        return fx.GraphModule(self.module, self.graph)

    def _copied(self, node: fx.Node) -> fx.Node:
        """A copy of a node, or one that calculates the same in the same cells."""
        copy = self.graph.node_copy(node, lambda item: self.copies[item])
        if node.op != "get_attr" and node.target not in RULES:  # such as what draws random numbers
            return copy
        try:
            key = (copy.op, copy.target, copy.args, tuple(copy.kwargs.items()), node.meta.get("area"))
            before = self.equal.setdefault(key, copy)
        except TypeError:  # arguments that cannot be compared
            return copy
        if before is not copy:
            self.graph.erase_node(copy)
        return before

    def _settled(self, node: fx.Node, copy: fx.Node, found: _Cases) -> fx.Node:
        """What takes a node's place: one IF where the cases meet, else the copy itself."""
        if not found.joined:
            choice = self._choice(found, copy)
            if choice is not None:
                if node.target in _PRODUCTS:
                    return self._call(torch.sum, choice)
                self.cases[choice] = _Cases(found.border, found.values, joined=True)
                return choice
        if node.target not in _PRODUCTS:
            self.cases[copy] = found
        return copy

    def _choice(self, found: _Cases, copy: fx.Node) -> fx.Node | None:
        """A recorded `where` of the values on both sides of the border, if they meet there; else None."""
        above, on, below = found.values
        sides = [item for item in (above, below) if isinstance(item, fx.Node) and item in self.moving]
        if not sides or not found.border.agree(on, (above, below), self.constants):
            return None
        condition = self._call(torch.gt, found.border.left, found.border.right)
        choice = self._call(torch.where, condition, above, below)
        shapes = [known_shape(item) for item in (condition, above, below) if isinstance(item, fx.Node)]
        wanted = known_shape(copy.args[0]) if copy.target in _PRODUCTS else known_shape(copy)  # type: ignore[arg-type]
        if any(shape is None for shape in shapes) or wanted is None or known_shape(choice) != wanted:
            return None
        if meeting(choice, self.constants) is None:
            return None
        self.joined = True
        return choice

    # --- the cases of one operation -------------------------------------------------------------------------

    def _cases(self, node: fx.Node) -> _Cases | None:
        """What an operation gives on both sides of a border, and on it; None if it is not known, or has no border."""
        target, first = node.target, node.args[0] if node.args else None
        if node.kwargs:
            return None
        if target in _CONDITIONS:
            left, right = node.args[:2]
            return _Cases(Border(left, right), _CONDITIONS[target])
        if not isinstance(first, fx.Node):
            return self._calculated(node) if target in _ARITHMETIC else None
        if target is torch.sign:
            return _Cases(Border(first, 0.0), (1.0, 0.0, -1.0))
        if target in _ABSOLUTE and first not in self.cases:
            return _Cases(Border(first, 0.0), (first, 0.0, self._call(operator.neg, first)), joined=True)
        if target in _TO_NUMBERS:
            return self.cases.get(first)
        if target is torch.logical_not:
            return self._mapped([first], lambda value: float(not value)) if self._decided(first) else None
        if target is torch.logical_and:
            return self._both(*node.args[:2])
        if target is torch.where and len(node.args) == 3:
            return self._chosen(node)
        if target in _ARITHMETIC or (target in _PRODUCTS and self._is_dot(node)):
            return self._calculated(node)
        return None

    def _is_dot(self, node: fx.Node) -> bool:
        """Whether a product is the sum of the products of two vectors."""
        shapes = [known_shape(item) for item in node.args if isinstance(item, fx.Node)]
        return len(shapes) == 2 and shapes[0] == shapes[1] and shapes[0] is not None and len(shapes[0]) == 1

    def _both(self, one: Any, two: Any) -> _Cases | None:
        """What two conditions give that must both hold; one of them may be always true."""
        for item, other in ((one, two), (two, one)):
            if isinstance(item, fx.Node) and item.op == "get_attr" and item.target in self.constants:
                return self.cases.get(other) if bool(self.constants[str(item.target)].all()) else None
        if not self._decided(one) or not self._decided(two):
            return None
        return self._mapped([one, two], lambda left, right: float(left and right))

    def _decided(self, condition: Any) -> bool:
        """Whether it is known of a condition where it is true."""
        found = self.cases.get(condition) if isinstance(condition, fx.Node) else None
        return found is not None and all(isinstance(value, float) for value in found.values)

    def _chosen(self, node: fx.Node) -> _Cases | None:
        """An IF: by a condition on the border, between values that may have cases on the same border."""
        if not self._decided(node.args[0]):
            return None
        found = self._mapped(list(node.args), lambda asked, chosen, other: chosen if asked else other)
        return None if found is None else replace(found, joined=meeting(node, self.constants) is not None)

    def _calculated(self, node: fx.Node) -> _Cases | None:
        """A sum, product or power of what has cases."""
        known = [self.cases[item] for item in node.args if isinstance(item, fx.Node) and item in self.cases]
        function = operator.mul if node.target in _PRODUCTS else _ARITHMETIC[node.target]
        found = self._mapped(list(node.args), lambda *values: self._arithmetic(function, values))
        return replace(found, joined=True) if found is not None and all(item.joined for item in known) else found

    def _mapped(self, items: list[Any], function: Callable[..., Any]) -> _Cases | None:
        """A function of items, for each case. Those that have no cases on the same border are the same in all."""
        known = [self.cases[item] for item in items if isinstance(item, fx.Node) and item in self.cases]
        if not known:
            return None
        border = next((item.border for item in known if not item.joined), known[0].border)
        columns: list[tuple[Any, Any, Any]] = []
        for item in items:
            cases = self.cases.get(item) if isinstance(item, fx.Node) else None
            sign = None if cases is None else border.sign_of(cases.border, self.constants)
            if cases is None or sign is None:
                if cases is not None and not cases.joined:
                    return None
                columns.append((item, item, item))
            else:
                columns.append(cases.values if sign > 0 else cases.values[::-1])
        above, on, below = (function(*values) for values in zip(*columns, strict=True))
        return _Cases(border, (above, on, below))

    def _arithmetic(self, function: Callable[..., Any], values: tuple[Any, ...]) -> Any:
        if any(isinstance(item, fx.Node) for item in values):
            if function is operator.mul and any(not isinstance(item, fx.Node) and item == 0 for item in values):
                return 0.0
            return self._call(function, *values)
        try:
            return function(*values)
        except (ArithmeticError, TypeError, ValueError):
            return float("nan")

    def _call(self, function: Callable[..., Any], *arguments: Any) -> fx.Node:
        """A node with its shape: a new one, unless there is one that calculates the same."""
        key = ("call_function", function, arguments, (), self.area)
        if key in self.equal:
            return self.equal[key]
        node = self.equal[key] = self.graph.call_function(function, arguments)
        node.meta["area"] = self.area
        inputs = node.all_input_nodes
        if any(item in self.moving for item in inputs):
            self.moving.add(node)
        shapes = [known_shape(item) for item in inputs]
        if function is torch.sum:
            node.meta["shape"] = torch.Size()
        elif all(shape is not None for shape in shapes):
            node.meta["shape"] = torch.broadcast_shapes(*(shape_of(item) for item in inputs))
        return node
