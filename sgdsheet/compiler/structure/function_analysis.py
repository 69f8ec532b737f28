"""What is proved of the cells that a program calculates, and which cells are the reason where little is."""

from __future__ import annotations

import math
import operator
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import torch
from torch import Tensor, fx

from sgdsheet.compiler.ir.scan import Scan
from sgdsheet.compiler.structure.choices import Meeting, meeting
from sgdsheet.compiler.structure.rules import RULES, Operands
from sgdsheet.compiler.structure.traits import (
    Smoothness,
    Traits,
    constant_between,
    joined,
    kinked,
    number,
    parameters_between,
    stepped,
    unknown,
)
from sgdsheet.sheet.references import Range

Limits = Mapping[str, tuple[Tensor, Tensor]]
"""The lower and upper bounds of parameters, by the names of their tensors."""


@dataclass(slots=True)
class FunctionAnalysis:
    """What is proved of every node of a program. `limits` are bounds that its parameters keep to.

    The shapes of the nodes are to be noted before (see `passes.shapes`).
    """

    module: fx.GraphModule
    limits: Limits = field(default_factory=dict)
    choosing: frozenset[Range] | None = None
    """The cells whose formulas choose themselves, as with IF; None if all may do so. What chooses elsewhere is the
    inside of a function, as of PMT where the rate is 0, and nothing is said of whether that jumps."""
    arguments: Sequence[Traits] = ()
    """What is known of the module's arguments; nothing, unless given."""
    traits: dict[fx.Node, Traits] = field(init=False, default_factory=dict)
    constants: dict[str, Tensor] = field(init=False)

    def __post_init__(self) -> None:
        parameters = {name for name, _ in self.module.named_parameters()}
        self.constants = {name: tensor for name, tensor in self.module.named_buffers() if name not in parameters}
        arguments = iter(self.arguments)
        for node in self.module.graph.nodes:
            if node.op == "get_attr":
                self.traits[node] = self._leaf(str(node.target))
            elif node.op == "placeholder":
                self.traits[node] = next(arguments, None) or self._parameter(str(node.target))
            elif node.op != "output":
                self.traits[node] = self._calculated(node)

    def of(self, item: Any) -> Traits:
        """What is proved of a node, a constant or a number."""
        if isinstance(item, fx.Node):
            return self.traits[item]
        if isinstance(item, Tensor):
            return _range_of(item)
        return number(float(item)) if isinstance(item, (int, float)) and not math.isnan(item) else _ANY

    def causes(self, output: fx.Node, guilty: Callable[[Traits], bool]) -> list[Range]:
        """The cells that make a property of an output fail: `guilty` of them, and not of what they read."""
        found: dict[Range, None] = {}
        waiting, seen = [output], {output}
        while waiting:
            node = waiting.pop()
            if not guilty(self.traits[node]):
                continue
            read = [item for item in node.all_input_nodes if guilty(self.traits[item])]
            if not read and (area := node.meta.get("area")) is not None:
                found[area] = None
            fresh = [item for item in read if item not in seen]
            seen.update(fresh)
            waiting += fresh
        return sorted(found)

    # --- nodes ------------------------------------------------------------------------------------------

    def _leaf(self, name: str) -> Traits:
        if name in self.constants:
            return _range_of(self.constants[name])
        return self._parameter(name)

    def _parameter(self, name: str) -> Traits:
        if name not in self.limits:
            return parameters_between(-math.inf, math.inf)
        lower, upper = self.limits[name]
        return parameters_between(float(lower.min()), float(upper.max()))

    def _calculated(self, node: fx.Node) -> Traits:
        operands = Operands(node, self.of)
        if node.target in (torch.where, "where") and len(node.args) == 3:
            return self._choice(node)
        if isinstance(node.target, Scan):
            return self._recurrence(node.target, operands)
        rule = RULES.get(node.target)
        return rule(operands) if rule is not None else unknown(operands.all)

    def _recurrence(self, scan: Scan, operands: Operands) -> Traits:
        """Rows that are linear in the rows above and in what they read are linear in that, by induction."""
        found = operands.all
        firsts, rest = found[: scan.columns], found[scan.columns :]
        if all(item.constant for item in found):
            return unknown(found)
        step = FunctionAnalysis(scan.step, arguments=[*(_ANY_PARAMETERS for _ in scan.before), *rest])
        outputs = next(node for node in scan.step.graph.nodes if node.op == "output").args[0]
        whole = joined([*map(step.of, outputs), *firsts])
        if whole.linear:
            return _ANY_PARAMETERS
        return Traits(None, smoothness=whole.smoothness)

    def _choice(self, node: fx.Node) -> Traits:
        """IF, and what guards against errors."""
        condition, chosen, other = node.args
        first, second = self.of(chosen), self.of(other)
        if self.of(condition).constant:
            return joined([first, second])
        kept = guarded_value(node)
        if kept is not None:
            return self.of(kept)
        low, high = min(first.low, second.low), max(first.high, second.high)
        if isinstance(condition, fx.Node) and condition.target in (torch.isnan, "isnan"):
            return replace(joined([first, second]), degree=None, convex=False, concave=False, piecewise=False)
        met = meeting(node, self.constants)
        if met is None and (self.choosing is None or node.meta.get("area") in self.choosing):
            return stepped([self.of(condition), first, second], low, high)
        if met is None:
            roughness = max(first.smoothness, second.smoothness, Smoothness.UNKNOWN)
            return Traits(None, low=low, high=high, smoothness=roughness)
        if met.meeting in (Meeting.MAXIMUM, Meeting.MINIMUM):
            extreme = max if met.meeting is Meeting.MAXIMUM else min
            low, high = extreme(first.low, second.low), extreme(first.high, second.high)
            return kinked([first, second], convex=met.meeting is Meeting.MAXIMUM, rising=True, low=low, high=high)
        found = joined([first, second, replace(self.of(condition), smoothness=Smoothness.SMOOTH)])
        if met.meeting is Meeting.KINKED:
            return Traits(
                None,
                low=low,
                high=high,
                smoothness=max(found.smoothness, Smoothness.KINKED),
                piecewise=first.piecewise and second.piecewise,
            )
        smoothness = max(first.smoothness, second.smoothness)
        if met.away_from_zero is not None:
            smoothness = self.of(met.away_from_zero.args[0]).smoothness
        return Traits(None, first.convex and second.convex, first.concave and second.concave, low, high, smoothness)


_ANY = constant_between(-math.inf, math.inf)
_ANY_PARAMETERS = parameters_between(-math.inf, math.inf)


def _range_of(tensor: Tensor) -> Traits:
    if not tensor.numel():
        return number(0.0)
    numbers = tensor.double()
    return constant_between(float(numbers.min()), float(numbers.max()))


_IS_ERROR = frozenset({torch.isnan, "isnan"})
_ANY_OF = frozenset({torch.any, "any", torch.logical_or, operator.or_, "reshape", "unsqueeze", "expand", "permute"})
"""Operations that are true where one of their operands is."""


def guarded_value(node: fx.Node) -> fx.Node | None:
    """What a recorded `where` gives wherever it is a number, if that is always the same operand; else None.

    That is x of `where(inside, x, NaN)` and `where(inside, x, x without its gradient)`, and of
    `where(isnan(x), 1, x)` if what is calculated from it is an error where x is one.
    """
    condition, chosen, other = node.args
    for value, instead in ((chosen, other), (other, chosen)):
        bare = isinstance(instead, fx.Node) and instead.target == "detach" and instead.args[0] is value
        if isinstance(value, fx.Node) and (bare or _is_nan(instead)):
            return value
    asked = isinstance(condition, fx.Node) and condition.target in _IS_ERROR and condition.args[0] is other
    return other if asked and isinstance(other, fx.Node) and _spoiled_later(node, other) else None


def _is_nan(item: object) -> bool:
    return isinstance(item, float) and math.isnan(item)


def _spoiled_later(node: fx.Node, value: fx.Node) -> bool:
    """Whether all that is calculated from a node becomes an error where a value is one."""
    waiting, seen = [node], {node}
    while waiting:
        for user in waiting.pop().users:
            if user.op == "output":
                return False
            if user in seen or (user.target is torch.where and _spoils(user, value)):
                continue
            seen.add(user)
            waiting.append(user)
    return True


def _spoils(node: fx.Node, value: fx.Node) -> bool:
    """Whether a `where` gives an error wherever a value is one."""
    if not _is_nan(node.args[1]):
        return False
    waiting = [node.args[0]]
    while waiting:
        item = waiting.pop()
        if isinstance(item, fx.Node) and item.target in _IS_ERROR and item.args[0] is value:
            return True
        if isinstance(item, fx.Node) and item.target in _ANY_OF:
            waiting += item.args
    return False


def extreme_choice(analysis: FunctionAnalysis, node: fx.Node) -> Meeting | None:
    """MAXIMUM or MINIMUM if an IF on the parameters always gives the larger or smaller of its branches, else None."""
    if len(node.args) != 3 or analysis.of(node.args[0]).constant or guarded_value(node) is not None:
        return None
    met = meeting(node, analysis.constants)
    return met.meeting if met is not None and met.meeting in (Meeting.MAXIMUM, Meeting.MINIMUM) else None
