"""The table of derivatives: one rule per operation of the recorded graph."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from torch import Tensor

from sgdsheet.compiler.backward.tape import Operand, Tape

Pullback = Callable[[Tensor], None]
"""Is told the gradient of the result and gives its operands theirs (`Tape.give`)."""

Rule = Callable[..., tuple[Tensor, Pullback | None]]
"""Called with the tape and the operation's own arguments, in which an `Operand` stands for each tensor: the result, and
what pulls a gradient back. None instead of that where the result has no gradient, as that of a comparison."""

DERIVATIVES: dict[Any, Rule] = {}
"""The rules by what a node of the graph calls: a function, or the name of a method."""


def derivative(*targets: Any) -> Callable[[Rule], Rule]:
    """Declare the rule of an operation."""

    def declare(rule: Rule) -> Rule:
        for target in targets:
            assert target not in DERIVATIVES, target
            DERIVATIVES[target] = rule
        return rule

    return declare


def without_gradient(function: Callable[..., Tensor], *targets: Any) -> None:
    """Declare an operation whose result has no gradient."""

    def rule(tape: Tape, *arguments: Any, **options: Any) -> tuple[Tensor, None]:
        return tape(function, *values(arguments), **values(options)), None

    derivative(*targets)(rule)


def values(item: Any) -> Any:
    """Nested arguments with the tensors of their operands."""
    if isinstance(item, Operand):
        return item.value
    if isinstance(item, (list, tuple)):
        return type(item)(values(part) for part in item)
    if isinstance(item, dict):
        return {name: values(part) for name, part in item.items()}
    return item
