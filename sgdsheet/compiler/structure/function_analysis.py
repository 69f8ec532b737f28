"""What is proved of the cells that a program calculates, and which cells are the reason where little is."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import torch
from torch import Tensor, fx

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
    traits: dict[fx.Node, Traits] = field(init=False, default_factory=dict)
    _constants: dict[str, Tensor] = field(init=False)

    def __post_init__(self) -> None:
        parameters = {name for name, _ in self.module.named_parameters()}
        self._constants = {name: tensor for name, tensor in self.module.named_buffers() if name not in parameters}
        for node in self.module.graph.nodes:
            if node.op == "get_attr":
                self.traits[node] = self._leaf(str(node.target))
            elif node.op == "placeholder":
                self.traits[node] = parameters_between(-math.inf, math.inf)
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
        if name in self._constants:
            return _range_of(self._constants[name])
        tensor = self.module.get_parameter(name) if name not in self.limits else None
        if tensor is not None:
            return parameters_between(-math.inf, math.inf)
        lower, upper = self.limits[name]
        return parameters_between(float(lower.min()), float(upper.max()))

    def _calculated(self, node: fx.Node) -> Traits:
        operands = Operands(node, self.of)
        if node.target in (torch.where, "where") and len(node.args) == 3:
            return self._choice(node)
        rule = RULES.get(node.target)
        return rule(operands) if rule is not None else unknown(operands.all)

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
        met = meeting(node, self._constants)
        if met is None:
            return stepped([self.of(condition), first, second], low, high)
        if met.meeting in (Meeting.MAXIMUM, Meeting.MINIMUM):
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


def _range_of(tensor: Tensor) -> Traits:
    if not tensor.numel():
        return number(0.0)
    numbers = tensor.double()
    return constant_between(float(numbers.min()), float(numbers.max()))


def guarded_value(node: fx.Node) -> fx.Node | None:
    """`where(inside, x, NaN)`, or x without its gradient instead of the NaN, is x wherever it is a number."""
    _, chosen, other = node.args
    for value, instead in ((chosen, other), (other, chosen)):
        bare = isinstance(instead, fx.Node) and instead.target == "detach" and instead.args[0] is value
        nothing = isinstance(instead, float) and math.isnan(instead)
        if isinstance(value, fx.Node) and (bare or nothing):
            return value
    return None
