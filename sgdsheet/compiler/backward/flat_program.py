"""The flat program of a recorded graph: its loss and its gradient, one operation after the other."""

from __future__ import annotations

import math
import operator
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from torch import Tensor, fx

from sgdsheet.compiler.backward import elementwise_derivatives, reduction_derivatives, shape_derivatives
from sgdsheet.compiler.backward.buffer_reuse import Buffers
from sgdsheet.compiler.backward.derivative_table import DERIVATIVES, Pullback, Rule
from sgdsheet.compiler.backward.scan_derivative import scanned
from sgdsheet.compiler.backward.tape import NoRuleError, Operand, Operation, Part, Tape, storage_of
from sgdsheet.compiler.ir.scan import Scan
from sgdsheet.system.long_work import checkpoint, stage

RULES = (elementwise_derivatives, reduction_derivatives, shape_derivatives)
"""The modules that fill the table."""

_ROUNDING = {torch.float64: 2e-10, torch.float32: 3e-4}
"""How far a flat program may be from autograd, as a share of the gradient's length: both round, and where large terms
cancel the last digits differ."""

_PUSH = 0.01
"""Share of their size, and distance in the sheet's units, by which parameters are moved to compare once more."""


@dataclass(frozen=True, slots=True)
class Record:
    """What a program does, in order, each operation with memory of its own.

    From the operation `first_backward` on, the gradients are calculated: tensors like the parameters, or None for one
    that the loss does not depend on.
    """

    operations: list[Operation]
    first_backward: int
    loss: Tensor
    objective: Tensor
    gradients: list[Tensor | None]


class FlatProgram:
    """Calculates a loss and its gradient in fixed memory, without autograd.

    `loss` and `objective` are scalars, `gradients` have the shapes of the parameters; None for one that the loss does
    not depend on. `forward` calculates loss and objective from the parameters as they are, and `backward` after that
    the gradients.
    """

    def __init__(self, parameters: Sequence[Tensor], record: Record) -> None:
        found = [gradient for gradient in record.gradients if gradient is not None]
        buffers = Buffers(record.operations, [record.loss, record.objective, *found])
        self.loss, self.objective = buffers.placed(record.loss), buffers.placed(record.objective)
        self.gradients = [None if gradient is None else buffers.placed(gradient) for gradient in record.gradients]
        self.operations = buffers.operations
        self._calls = tuple(operation.bound() for operation in self.operations)
        self._forward, self._backward = self._calls[: record.first_backward], self._calls[record.first_backward :]
        self._parameters = tuple(parameters)
        self._addresses = tuple(parameter.data_ptr() for parameter in parameters)

    @torch.inference_mode()
    def forward(self) -> None:
        """Calculate loss and objective."""
        for call in self._forward:
            call()

    @torch.inference_mode()
    def backward(self) -> None:
        """Calculate the gradients, at the parameters of the last `forward`."""
        for call in self._backward:
            call()

    def calculate(self) -> None:
        """Calculate loss, objective and gradients; in `torch.inference_mode` it is fastest."""
        for call in self._calls:
            call()

    @property
    def nbytes(self) -> int:
        """The memory of its results in bytes."""
        storages = {storage_of(tensor): tensor for operation in self.operations for tensor in operation.written}
        return sum(tensor.untyped_storage().nbytes() for tensor in storages.values())

    @property
    def fits(self) -> bool:
        """Whether the parameters still are where they were when the program was derived."""
        return tuple(parameter.data_ptr() for parameter in self._parameters) == self._addresses


def flat_program(
    module: fx.GraphModule,
    parameters: Sequence[Tensor],
    as_objective: Callable[[Any], Any],
    changing: Sequence[Tensor] = (),
) -> FlatProgram | None:
    """The flat program of a module that has no arguments; None where there is none.

    There is none if an operation has no rule, or if the gradient is not that of autograd at the present parameters.
    `as_objective` makes of the loss what has to become small, in Python's operators. `changing` are constants of the
    module whose memory gets other numbers later, such as those of a batch.
    """
    if any(parameter.device.type != "cpu" or not parameter.numel() for parameter in parameters):
        return None
    with stage("deriving the gradient"):
        try:
            with torch.no_grad():
                found = FlatProgram(parameters, recorded(module, parameters, as_objective, changing))
        except NoRuleError:
            return None
        return found if _agrees(found, module, parameters, as_objective) else None


def derived(module: fx.GraphModule, parameters: Sequence[Tensor], as_objective: Callable[[Any], Any]) -> FlatProgram:
    """The flat program as the table gives it; to be called without autograd. NoRuleError where there is none."""
    return FlatProgram(parameters, recorded(module, parameters, as_objective))


def recorded(
    module: fx.GraphModule,
    parameters: Sequence[Tensor],
    as_objective: Callable[[Any], Any],
    changing: Sequence[Tensor] = (),
    *,
    by_columns: bool = False,
) -> Record:
    """Loss and gradient as the table gives them; to be called without autograd. NoRuleError where there is no rule.

    `changing` are constants of the module whose memory gets other numbers later, such as those of a batch.
    With `by_columns`, narrow products lie in memory column by column.
    """
    recording = _Recording(module, parameters, changing, by_columns=by_columns)
    loss = recording.result
    if not loss.wanted or loss.value.dim():
        raise NoRuleError
    objective: Operand = as_objective(_Recorded(loss, recording.calculated)).operand
    tape = recording.tape
    first_backward = len(tape.operations)
    objective.parts.append(Part(None, torch.ones((), dtype=objective.value.dtype), 1.0))
    for result, back in reversed(recording.order):
        checkpoint()
        tape.pull(result, back)
    gradients = _owned(tape, [recording.own[id(parameter)] for parameter in parameters])
    return Record(tape.operations, first_backward, loss.value, objective.value, gradients)


def recorded_values(module: fx.GraphModule, parameters: Sequence[Tensor]) -> Record:
    """The result of a module, a tensor of any shape, as loss and objective of a record without a gradient; to be called
    without autograd. NoRuleError where there is no rule."""
    recording = _Recording(module, parameters)
    operations, result = recording.tape.operations, recording.result.value
    return Record(operations, len(operations), result, result, [])


class _Recording:
    """The calls of a module's graph, done once on a tape."""

    def __init__(
        self,
        module: fx.GraphModule,
        parameters: Sequence[Tensor],
        changing: Sequence[Tensor] = (),
        *,
        by_columns: bool = False,
    ) -> None:
        plain = [parameter.detach() for parameter in parameters]
        self.tape = Tape([*plain, *changing], by_columns=by_columns)
        self.own = {id(parameter): Operand(tensor, True) for parameter, tensor in zip(parameters, plain, strict=True)}
        self.order: list[tuple[Operand, Pullback]] = []
        """Results that have a gradient, in order, with what pulls it back."""
        self.result = self._played(module)

    def calculated(self, target: Any, arguments: Sequence[Any], options: dict[str, Any]) -> Operand:
        """The result of an operation by its rule."""
        value, back = _rule(target)(self.tape, *arguments, **options)
        wanted = back is not None and any(item.wanted for item in _operands([arguments, options]))
        result = Operand(value, wanted)
        if wanted and back is not None:
            self.order.append((result, back))
        return result

    def _played(self, module: fx.GraphModule) -> Operand:
        known: dict[fx.Node, Any] = {}
        result: Any = None
        for node in module.graph.nodes:
            checkpoint()
            arguments, options = (fx.node.map_arg(item, known.__getitem__) for item in (node.args, node.kwargs))
            if node.op == "get_attr":
                tensor = getattr(module, str(node.target))
                known[node] = self.own.get(id(tensor)) or Operand(tensor.detach(), False)
            elif node.op in ("call_function", "call_method"):
                known[node] = self.calculated(node.target, arguments, options)
            elif node.op == "output":
                result = arguments[0]
            else:
                raise NoRuleError
        if not isinstance(result, Operand):
            raise NoRuleError
        return result


def _rule(target: Any) -> Rule:
    if isinstance(target, Scan):
        return partial(scanned, target)
    if target not in DERIVATIVES:
        raise NoRuleError
    return DERIVATIVES[target]


class _Recorded:
    """A loss as Python's operators see it: what is calculated from it belongs to the program."""

    def __init__(self, operand: Operand, calculated: Callable[..., Operand]) -> None:
        self.operand, self._calculated = operand, calculated

    def __neg__(self) -> _Recorded:
        return self._new(operator.neg, self)

    def __sub__(self, other: float) -> _Recorded:
        return self._new(operator.sub, self, other)

    def __mul__(self, other: object) -> _Recorded:
        return self._new(operator.mul, self, other)

    def _new(self, target: Callable[..., Any], *items: Any) -> _Recorded:
        operands = [item.operand if isinstance(item, _Recorded) else item for item in items]
        return _Recorded(self._calculated(target, operands, {}), self._calculated)


def _operands(item: Any) -> list[Operand]:
    if isinstance(item, Operand):
        return [item]
    if isinstance(item, dict):
        item = list(item.values())
    return [found for part in item for found in _operands(part)] if isinstance(item, (list, tuple)) else []


def _owned(tape: Tape, operands: Sequence[Operand]) -> list[Tensor | None]:
    """The gradients of parameters, each in memory of its own that is laid out like the parameter."""
    found = [(operand.value, tape.gradient(operand)) for operand in operands]
    uses = Counter(storage_of(tensor) for operation in tape.operations for tensor in operation.tensors)
    gradients: list[Tensor | None] = []
    for value, gradient in found:
        if gradient is None or (uses[storage_of(gradient)] == 1 and gradient.stride() == value.stride()):
            gradients.append(gradient)
            continue
        out = torch.empty_like(value)
        if tape.varies(gradient):
            tape.write(torch.Tensor.copy_, out, gradient)
        gradients.append(out if tape.varies(gradient) else out.copy_(gradient))
    return gradients


def _agrees(
    found: FlatProgram, module: fx.GraphModule, parameters: Sequence[Tensor], as_objective: Callable[[Any], Any]
) -> bool:
    """Whether loss and gradient are those of autograd at the present parameters.

    At a minimum the gradient is nothing but rounding: there, they also have to be those of autograd nearby.
    """
    distances, lengths = _compared(found, module, parameters, as_objective)
    if _small(distances, lengths):
        return True
    before = [parameter.detach().clone() for parameter in parameters]
    generator = torch.Generator().manual_seed(0)
    try:
        with torch.no_grad():
            for parameter in parameters:
                parameter.copy_(pushed(parameter, generator))
        nearby, lengths_nearby = _compared(found, module, parameters, as_objective)
    finally:
        with torch.no_grad():
            for parameter, value in zip(parameters, before, strict=True):
                parameter.copy_(value)
    return _small(nearby, lengths_nearby) and _small(distances, [*map(max, lengths, lengths_nearby)])


def pushed(tensor: Tensor, generator: torch.Generator | None = None) -> Tensor:
    """Numbers near those of a tensor: away from a minimum, where a gradient is nothing but rounding."""
    push = torch.rand(tensor.shape, generator=generator or torch.Generator().manual_seed(0), dtype=tensor.dtype)
    return tensor * (1 + _PUSH * push) + _PUSH * push


def _small(distances: Sequence[float], lengths: Sequence[float]) -> bool:
    return all(distance <= length for distance, length in zip(distances, lengths, strict=True))


def _compared(
    found: FlatProgram, module: fx.GraphModule, parameters: Sequence[Tensor], as_objective: Callable[[Any], Any]
) -> tuple[list[float], list[float]]:
    """`_beside_autograd` of a program at the present parameters."""
    found.calculate()
    return _beside_autograd([found.loss, found.objective, *found.gradients], module, parameters, as_objective)


def _beside_autograd(
    ours: Sequence[Tensor | None],
    module: fx.GraphModule,
    parameters: Sequence[Tensor],
    as_objective: Callable[[Any], Any],
) -> tuple[list[float], list[float]]:
    """How far loss, objective and gradients are from autograd's, in units of what rounding may do to a length of one,
    and how long these are. Infinity for what differs in kind."""
    with torch.enable_grad():
        loss = module.forward()
        objective = as_objective(loss)
        gradients = torch.autograd.grad(objective, list(parameters), allow_unused=True)
    theirs = [loss, objective, *gradients]
    return [_distance(*pair) for pair in zip(ours, theirs, strict=True)], [_length(each) for each in theirs]


def nearly(ours: Tensor, theirs: Tensor) -> bool:
    """Whether two results are the same up to rounding."""
    return _distance(ours, theirs) <= _length(theirs)


def same_as_autograd(
    ours: Sequence[Tensor | None],
    module: fx.GraphModule,
    parameters: Sequence[Tensor],
    as_objective: Callable[[Any], Any],
) -> bool:
    """Whether loss, objective and gradients are those of autograd at the present parameters, up to rounding."""
    return _small(*_beside_autograd(ours, module, parameters, as_objective))


def _distance(ours: Tensor | None, theirs: Tensor | None) -> float:
    if ours is None or theirs is None:
        return 0.0 if ours is theirs else math.inf
    whole = theirs.detach()
    if ours.dtype != whole.dtype or ours.shape != whole.shape or whole.dtype not in _ROUNDING:
        return math.inf
    if not bool(whole.isfinite().all()):
        if not torch.equal(ours.isfinite(), whole.isfinite()):
            return math.inf
        ours, whole = ours[ours.isfinite()], whole[whole.isfinite()]
    return float((ours - whole).norm()) / _ROUNDING[whole.dtype]


def _length(tensor: Tensor | None) -> float:
    return 0.0 if tensor is None else float(tensor.detach()[tensor.isfinite()].norm())
