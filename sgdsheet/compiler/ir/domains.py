"""What is known about the numbers of a recorded program before it runs: how low, and if errors can occur.

A division needs no guard where its divisor cannot be 0 (`1+EXP(-x)`), and a comparison need not look for
errors where its operands have none. Both are read off the operations as they are recorded.
"""

from __future__ import annotations

import math
import operator
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, fx

_MAKE_ERRORS = frozenset(
    {
        torch.sqrt,
        torch.asin,
        torch.acos,
        torch.acosh,
        torch.atanh,
        torch.lgamma,
        torch.log,
        torch.log10,
        torch.pow,
    }
)
"""Operations that turn some numbers into NaN all by themselves."""

_NO_ERRORS = frozenset({torch.isnan, torch.isfinite})

_KEEP = frozenset(
    {
        "select",
        "narrow",
        "unfold",
        "permute",
        "reshape",
        "expand",
        "unsqueeze",
        "t",
        "to",
        "detach",
        operator.getitem,
    }
    | {torch.select, torch.amax, torch.amin, torch.mean, torch.stack, torch.cat, torch.maximum, torch.relu}
)
"""Operations whose results are not below all of their operands."""


@dataclass(slots=True)
class Domains:
    """Lower bounds of nodes (where there is one) and the nodes that may hold an error.

    In a `generic` program a constant may be exchanged for that of other samples, so it has no bound.
    """

    generic: bool = False
    lower: dict[fx.Node, float] = field(default_factory=dict)
    risky: set[fx.Node] = field(default_factory=set)

    def note(self, node: fx.Node, arguments: Sequence[Any]) -> None:
        """Learn the lower bound of a new node, and whether it may be an error; `arguments` are its operands."""
        parts = _flat(arguments)
        if node.target not in _NO_ERRORS and (
            node.target in _MAKE_ERRORS
            or (node.target is operator.pow and not _is_whole(arguments[1]))
            or any(self.may_be_error(part) for part in parts)
        ):
            self.risky.add(node)
        bound = self._bound(node.target, arguments, parts)
        if bound > -math.inf:
            self.lower[node] = bound

    def forgive(self, item: Any) -> None:
        """Forget that a node may hold an error, because it is known elsewhere."""
        self.risky.discard(item)

    def suspect(self, item: Any) -> None:
        """Remember that a node may hold an error."""
        if isinstance(item, fx.Node):
            self.risky.add(item)

    def may_be_error(self, item: Any) -> bool:
        """Whether NaN can occur."""
        if isinstance(item, fx.Node):
            return item in self.risky
        if isinstance(item, Tensor):
            return item.is_floating_point() and bool(item.isnan().any())
        return isinstance(item, float) and math.isnan(item)

    def at_least(self, item: Any) -> float:
        """A number that no element is below (errors apart)."""
        if isinstance(item, fx.Node):
            return self.lower.get(item, -math.inf)
        if isinstance(item, Tensor):
            if not item.is_floating_point() or not item.numel():
                return 0.0
            if self.generic and item.numel() > 1:
                return -math.inf
            return float(item.nan_to_num(nan=math.inf, posinf=math.inf, neginf=-math.inf).min())
        return float(item) if isinstance(item, (int, float)) and not math.isnan(item) else math.inf

    def _bound(self, target: Any, arguments: Sequence[Any], parts: Sequence[Any]) -> float:
        lows = [self.at_least(part) for part in parts if isinstance(part, (fx.Node, Tensor))]
        if target in (torch.exp, torch.abs):
            return 0.0
        if target is operator.pow:
            even = isinstance(arguments[1], float) and arguments[1] % 2 == 0
            return 0.0 if even or min(lows) >= 0 else -math.inf
        if target in _KEEP:
            return max(min(lows), 0.0) if target is torch.relu else min(lows)
        if target is torch.clamp_min:
            return self.at_least(arguments[1])
        if target is torch.where:
            return min(self.at_least(arguments[1]), self.at_least(arguments[2]))
        if target in (operator.add, operator.mul, operator.truediv):
            left, right = (self.at_least(item) for item in arguments)
            return _COMBINED[target](left, right)
        if target in (torch.sum, torch.sqrt, torch.matmul):
            return 0.0 if min(lows) >= 0 else -math.inf
        return -math.inf


def _product(left: float, right: float) -> float:
    return left * right if left > 0 and right > 0 else (0.0 if left >= 0 and right >= 0 else -math.inf)


def _quotient(left: float, right: float) -> float:
    return 0.0 if left >= 0 and right >= 0 else -math.inf


_COMBINED: dict[Any, Callable[[float, float], float]] = {
    operator.add: operator.add,
    operator.mul: _product,
    operator.truediv: _quotient,
}


def _flat(arguments: Sequence[Any]) -> list[Any]:
    found: list[Any] = []
    for item in arguments:
        found += _flat(item) if isinstance(item, (list, tuple)) else [item]
    return found


def _is_whole(exponent: Any) -> bool:
    """Whether a power with this exponent is defined for all numbers (0 apart)."""
    if isinstance(exponent, Tensor):
        return bool((exponent == exponent.round()).all())
    return isinstance(exponent, (int, float)) and float(exponent).is_integer()
