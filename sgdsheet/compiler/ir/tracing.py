"""Formulas written as Python functions of tensors, recorded operation by operation.

A function such as `lambda x, rate: rate * torch.exp(-rate * x)` runs at once on constants. Where a parameter takes
part it is called with stand-ins, and each torch operation that it applies to them becomes a node of the program: an
exported program knows nothing of the function, only of what it did.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Protocol

from torch import Tensor, fx


class Records(Protocol):
    """What records operations."""

    graph: fx.Graph
    buffers: dict[str, Tensor]
    constant: dict[fx.Node, bool]

    def call(self, function: Callable[..., Any], *arguments: Any, **options: Any) -> Tensor | fx.Node: ...

    def method(self, name: str, data: Tensor | fx.Node, *arguments: Any, **options: Any) -> Tensor | fx.Node: ...

    def attribute(self, tensor: Tensor) -> fx.Node: ...


def is_operation(function: Callable[..., Any]) -> bool:
    """Whether a function is one of torch's own operations (or Python's operators), which a program may hold."""
    module = getattr(function, "__module__", None)
    return module is None or module.partition(".")[0] in ("torch", "_operator")


def traced(recorder: Records, function: Callable[..., Any], arguments: Sequence[Any]) -> Any:
    """What a function of tensors gives, recorded. The arguments are nodes, tensors or plain values."""
    tracer = _Tracer(recorder)

    def stand_in(item: Any) -> Any:
        if isinstance(item, Tensor):
            item = recorder.attribute(item)
        return fx.Proxy(item, tracer) if isinstance(item, fx.Node) else item

    return _without_stand_ins(function(*map(stand_in, arguments)))


def is_constant(item: object) -> bool:
    """Whether an argument of a traced function is a constant or made of constants, and needs no derivative."""
    if not isinstance(item, fx.Proxy):
        return True
    assert isinstance(item.tracer, _Tracer)
    recorder, waiting = item.tracer.recorder, [item.node]
    known = recorder.constant
    while waiting:
        node = waiting[-1]
        unknown = [other for other in node.all_input_nodes if other not in known]
        if node not in known and unknown:
            waiting += unknown
            continue
        varies = node.op == "placeholder" or (node.op == "get_attr" and str(node.target) not in recorder.buffers)
        known[waiting.pop()] = not varies and all(known[other] for other in node.all_input_nodes)
    return known[item.node]


def _without_stand_ins(item: Any) -> Any:
    return fx.node.map_aggregate(item, lambda part: part.node if isinstance(part, fx.Proxy) else part)


class _Tracer(fx.proxy.GraphAppendingTracer):
    """Hands every operation on a stand-in to the recorder."""

    def __init__(self, recorder: Records) -> None:
        super().__init__(recorder.graph)
        self.recorder = recorder

    def create_proxy(self, kind: str, target: Any, args: Any, kwargs: Any, *_: Any, **__: Any) -> Any:
        operands, options = _without_stand_ins(args), _without_stand_ins(kwargs)
        if kind == "call_method":
            data, *others = operands
            data = self.recorder.attribute(data) if isinstance(data, Tensor) else data
            result = self.recorder.method(target, data, *others, **options)
        else:
            result = self.recorder.call(target, *operands, **options)
        return fx.Proxy(result, self) if isinstance(result, fx.Node) else result
