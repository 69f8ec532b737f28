"""Calculations with conditions as one IF each, where its branches meet: IF(x>0, 0.8, -0.2)*x is IF(x>0, 0.8*x, -0.2*x).

Conditions, SIGN and ABS of the same x split the numbers into three: where x is positive, 0 and negative. Sums, products
and powers are calculated for each of the three. Where the results for positive and negative x meet at 0, and the one
for 0 agrees with them, the calculation is continuous, and an IF of the two takes its place. Several thresholds of the
same x, as of a tariff with tiers, split the numbers into more; where the results meet at each of them, the lowest one
and what each threshold adds take the place: IF(x<1, x, IF(x<2, 2*x-1, 3*x-3)) is x+IF(x>1, x-1, 0)+IF(x>2, x-2, 0). It
serves analysis only.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Mapping, Sequence
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

_ABSOLUTE: frozenset[Any] = frozenset({torch.abs, "abs", operator.abs})

_ARITHMETIC: dict[Any, Callable[..., Any]] = {
    **dict.fromkeys((operator.add, torch.add), operator.add),
    **dict.fromkeys((operator.sub, torch.sub), operator.sub),
    **dict.fromkeys((operator.mul, torch.mul), operator.mul),
    **dict.fromkeys((operator.truediv, torch.div), operator.truediv),
    **dict.fromkeys((operator.neg, torch.neg), operator.neg),
    **dict.fromkeys((operator.pow, torch.pow), operator.pow),
}
_NEVER_FAIL = _ABSOLUTE | {torch.sign, torch.sum, torch.maximum, torch.minimum, torch.relu, torch.logical_and}
_NEVER_FAIL |= {torch.logical_not, "to", "double", "float", "select", "narrow", "reshape", "expand", "unsqueeze"}
"""Operations that give numbers for all numbers; so do sums, differences, products and comparisons."""

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


_MOST_BORDERS = 32
"""Thresholds of one expression that are told apart, at most."""


@dataclass(frozen=True, slots=True)
class _Cases:
    """A calculation beside parallel borders, the highest first: what it gives above the first, on it, below it (which
    is above the second), on the second, and so on. `joined`: it consists of continuous IFs, or an ABS, already.

    The values are nodes and numbers; those of conditions are 1 and 0.
    """

    borders: tuple[Border, ...]
    values: tuple[Any, ...]
    joined: bool = False

    def turned(self) -> _Cases:
        """The calculation with the sides of all borders turned round."""
        borders = tuple(Border(border.right, border.left) for border in reversed(self.borders))
        return replace(self, borders=borders, values=self.values[::-1])

    def along(self, borders: Sequence[Border]) -> tuple[Any, ...]:
        """The values beside more borders, of which its own are some."""
        place, found = 0, [self.values[0]]
        for border in borders:
            own = border in self.borders
            found += [self.values[place + own], self.values[place + 2 * own]]
            place += 2 * own
        return tuple(found)

    def beside(self, other: _Cases, constants: Mapping[str, Tensor]) -> _Cases | None:
        """Another calculation, with borders that are the same objects as here where they are the same; None if they
        are not all proved to be parallel, and to lie in one order."""
        first = self.borders[0].towards(other.borders[0], constants)
        if first is None:
            return None
        found = other if first[0] > 0 else other.turned()
        own = {}
        for border in found.borders:
            ways = [(mine, mine.towards(border, constants)) for mine in self.borders]
            if any(way is None for _, way in ways):
                return None
            own[border] = next((mine for mine, way in ways if way is not None and way[1] == 0), border)
        return replace(found, borders=tuple(own[border] for border in found.borders))

    def merged(self, other: _Cases, constants: Mapping[str, Tensor]) -> tuple[Border, ...] | None:
        """The borders of both, the highest first; None where there are too many. `other` is beside this one."""
        found = list(self.borders)
        for border in other.borders:
            if border not in found:
                ways = [mine.towards(border, constants) for mine in found]
                found.insert(sum(way is None or way[1] < 0 for way in ways), border)
        return tuple(found) if len(found) <= _MOST_BORDERS else None


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
                self.cases[choice] = replace(found, joined=True)
                return choice
        if node.target not in _PRODUCTS:
            self.cases[copy] = found
        return copy

    def _choice(self, found: _Cases, copy: fx.Node) -> fx.Node | None:
        """A recorded `where` of the values on both sides of the border, or a sum of what each of several borders adds,
        if the values meet at all of them; else None."""
        if not any(isinstance(item, fx.Node) and item in self.moving for item in found.values[::2]):
            return None
        steps = [(border, found.values[2 * place : 2 * place + 3]) for place, border in enumerate(found.borders)]
        if not all(border.agree(on, (above, below), self.constants) for border, (above, on, below) in steps):
            return None
        steps = [(border, values) for border, values in steps if values[0] is not values[2]]
        if not steps:
            return None
        alone = len(steps) == 1
        if not alone and not self._without_errors(found):
            return None
        choice = found.values[-1]
        for border, (above, _, below) in reversed(steps):
            sides = (above, below) if alone else (self._arithmetic(operator.sub, (above, below)), 0.0)
            number = not isinstance(border.left, fx.Node)
            condition = (
                self._call(torch.lt, border.right, border.left)
                if number
                else self._call(torch.gt, border.left, border.right)
            )
            added = self._call(torch.where, condition, *sides)
            shapes = [known_shape(item) for item in (condition, *sides) if isinstance(item, fx.Node)]
            if any(shape is None for shape in shapes) or meeting(added, self.constants) is None:
                return None
            choice = added if alone else self._arithmetic(operator.add, (choice, added))
        wanted = known_shape(copy.args[0]) if copy.target in _PRODUCTS else known_shape(copy)  # type: ignore[arg-type]
        if wanted is None or known_shape(choice) != wanted:
            return None
        self.joined = True
        return choice  # type: ignore[no-any-return]

    def _without_errors(self, found: _Cases) -> bool:
        """Whether the values have no errors where a border has none: a sum of them needs them in other places, too."""
        sides = [item for border in found.borders for item in (border.left, border.right)]
        waiting = [item for item in sides if isinstance(item, fx.Node)]
        seen: set[fx.Node] = set()
        while waiting:
            node = waiting.pop()
            if node not in seen:
                seen.add(node)
                waiting += node.all_input_nodes
        waiting = [item for item in found.values if isinstance(item, fx.Node)]
        while waiting:
            node = waiting.pop()
            if node in seen:
                continue
            seen.add(node)
            if node.op.startswith("call") and not self._never_fails(node):
                return False
            waiting += node.all_input_nodes
        return True

    def _never_fails(self, node: fx.Node) -> bool:
        """Whether an operation gives numbers for all numbers."""
        if node.target in _ARITHMETIC and _ARITHMETIC[node.target] in (operator.truediv, operator.pow):
            second = node.args[1]
            if isinstance(second, fx.Node) and second.op == "get_attr":
                second = self.constants.get(str(second.target))
            if _ARITHMETIC[node.target] is operator.pow:
                return second in (1, 2, 3, 4)
            return isinstance(second, (int, float, Tensor)) and bool(torch.as_tensor(second != 0).all())
        if node.target is torch.where:
            return not any(isinstance(item, float) and item != item for item in node.args)
        return node.target in _ARITHMETIC or node.target in _CONDITIONS or node.target in _NEVER_FAIL

    # --- the cases of one operation -------------------------------------------------------------------------

    def _cases(self, node: fx.Node) -> _Cases | None:
        """What an operation gives on both sides of a border, and on it; None if it is not known, or has no border."""
        target, first = node.target, node.args[0] if node.args else None
        if node.kwargs:
            return None
        if target in _CONDITIONS:
            left, right = node.args[:2]
            return _Cases((Border(left, right),), _CONDITIONS[target])
        if not isinstance(first, fx.Node):
            return self._calculated(node) if target in _ARITHMETIC else None
        if target is torch.sign:
            return _Cases((Border(first, 0.0),), (1.0, 0.0, -1.0))
        if target in _ABSOLUTE and first not in self.cases:
            values = (first, 0.0, self._call(operator.neg, first))
            return _Cases((Border(first, 0.0),), values, joined=True)
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
        """A function of items, for each case. Those that have no cases on parallel borders are the same in all."""
        known = [self.cases[item] for item in items if isinstance(item, fx.Node) and item in self.cases]
        if not known:
            return None
        whole = next((item for item in known if not item.joined), known[0])
        several, borders = not whole.joined, whole.borders
        columns: list[_Cases | None] = []
        for item in items:
            cases = self.cases.get(item) if isinstance(item, fx.Node) else None
            beside = None if cases is None else replace(whole, borders=borders).beside(cases, self.constants)
            if beside is not None and not several and set(beside.borders) != set(borders):
                beside = None  # sums of what is continuous are so already
            if cases is not None and beside is None and not cases.joined:
                return None
            columns.append(beside)
            if beside is not None:
                merged = replace(whole, borders=borders).merged(beside, self.constants)
                if merged is None:
                    return None
                borders = merged
        values = [
            [item] * (2 * len(borders) + 1) if cases is None else cases.along(borders)
            for item, cases in zip(items, columns, strict=True)
        ]
        return _Cases(borders, tuple(function(*column) for column in zip(*values, strict=True)))

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
