"""Operations on tensors: run at once where all operands are known, else recorded in a `torch.fx` graph."""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, fx

from sgdsheet.compiler.ir.domains import Domains
from sgdsheet.compiler.ir.tracing import is_operation, traced
from sgdsheet.sheet.references import Range

Data = Tensor | fx.Node
"""A constant, or a node of the graph."""

TAKE_NUMBERS = frozenset({operator.add, operator.sub, operator.mul, operator.truediv, operator.pow})
"""Operations whose first operand may be a plain number; the others want a tensor there."""

TAKE_TENSORS = frozenset(
    {torch.maximum, torch.minimum, torch.atan2, torch.logical_and, torch.logical_or, torch.logical_xor}
)
"""Operations all of whose operands must be tensors."""


def _contains_node(arguments: Iterable[Any]) -> bool:
    return any(
        isinstance(item, fx.Node) or (isinstance(item, (list, tuple)) and _contains_node(item)) for item in arguments
    )


@dataclass(slots=True)
class Recorder:
    """Runs operations on constants and records the others in `graph`.

    `buffers` collects the constants that the graph needs, by name; `scope` is the name of the block being
    lowered and becomes the name of its nodes, `area` are its cells, which each node keeps as `meta["area"]`;
    `reserved` are names that no buffer may take; `domains` knows what the nodes' numbers can be. In a `generic`
    program the constants stand for others of the same shape (other samples), so nothing is concluded from their
    contents; `suspicious` says that there are errors among them.
    """

    dtype: torch.dtype = torch.float64
    graph: fx.Graph = field(default_factory=fx.Graph)
    buffers: dict[str, Tensor] = field(default_factory=dict)
    scope: str = "value"
    area: Range | None = None
    reserved: set[str] = field(default_factory=set)
    generic: bool = False
    suspicious: bool = False
    domains: Domains = field(default_factory=Domains)
    constant: dict[fx.Node, bool] = field(default_factory=dict)
    """Whether nodes are made of constants alone, of those that were asked for (`tracing.is_constant`)."""
    _names: dict[int, str] = field(default_factory=dict)
    _attributes: dict[int, fx.Node] = field(default_factory=dict)
    _kept: list[Tensor] = field(default_factory=list)
    _alike: dict[object, list[tuple[Tensor, fx.Node]]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.domains.generic = self.generic

    def call(self, function: Callable[..., Any], *arguments: Any, **options: Any) -> Data:
        """Apply a torch function, or one that is written in them: now if all is constant, else as nodes."""
        if not _contains_node(arguments):
            result: Tensor = function(*arguments, **options)
            return result
        if not is_operation(function):  # an exported program may import nothing but torch
            recorded_result: Data = traced(self, function, arguments)
            return recorded_result
        recorded = tuple(self._argument(item) for item in arguments)
        node = self.graph.create_node("call_function", function, recorded, options, name=self.scope)
        node.meta["area"] = self.area
        self.domains.note(node, arguments)
        return node

    def method(self, name: str, data: Data, *arguments: Any, **options: Any) -> Data:
        """Call a method of a tensor: now if it is constant, else as a node."""
        if isinstance(data, Tensor):
            result: Tensor = getattr(data, name)(*arguments, **options)
            return result
        node = self.graph.create_node("call_method", name, (data, *arguments), options, name=self.scope)
        node.meta["area"] = self.area
        self.domains.note(node, (data,))
        return node

    def _argument(self, item: Any) -> Any:
        if isinstance(item, Tensor):
            return self.attribute(item)
        if isinstance(item, (list, tuple)):
            return type(item)(self._argument(part) for part in item)
        return item

    def name_constant(self, tensor: Tensor, name: str) -> None:
        """Give a constant the name that it will have as a buffer."""
        self._names[id(tensor)] = name
        self._kept.append(tensor)

    def attribute(self, tensor: Tensor) -> fx.Node:
        """The node of a constant, registered as a buffer once."""
        if id(tensor) not in self._attributes:
            self._kept.append(tensor)
            self._attributes[id(tensor)] = self._same_buffer(tensor) or self._new_buffer(tensor)
        return self._attributes[id(tensor)]

    def _new_buffer(self, tensor: Tensor) -> fx.Node:
        base = name = self._names.get(id(tensor), f"{self.scope}_constant")
        number = 1
        while name in self.buffers or name in self.reserved:
            number += 1
            name = f"{base}_{number}"
        self.buffers[name] = tensor.detach().clone(memory_format=torch.contiguous_format)
        with self.graph.inserting_before(next(iter(self.graph.nodes), None)):
            node = self.graph.get_attr(name)
        if not self.generic:
            self.domains.lower[node] = self.domains.at_least(tensor)
        if self.suspicious or self.domains.may_be_error(tensor):
            self.domains.risky.add(node)
        self._alike.setdefault(_likeness(tensor), []).append((self.buffers[name], node))
        return node

    def _same_buffer(self, tensor: Tensor) -> fx.Node | None:
        """The node of a buffer with the same contents: sheets like to repeat their data."""
        known = () if self.generic else self._alike.get(_likeness(tensor), ())
        return next((node for other, node in known if torch.equal(other, tensor)), None)


def _likeness(tensor: Tensor) -> object:
    """What tensors with the same contents have in common, and few others: comparing all of them is slow."""
    sample = tensor.reshape(-1)[:8].tolist()
    return tensor.dtype, tensor.shape, tuple(sample)
