"""Operations on tensors whose memory never moves, recorded in order to be done again and again.

What an operation reads and writes is fixed: parameters are changed in place, and the result of each operation has
memory of its own. A view, such as a row or a transpose, is taken while recording and costs nothing later. What does not
depend on a parameter is calculated while recording.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

View = Callable[[Tensor], Tensor]
"""Takes the part of a tensor that an operation reads."""

_MOST = 1e6
"""The largest factor that waits, and one over the smallest."""

_FEW = 64
"""Numbers next to each other up to which their sum is a product with ones, which is several times faster and as exact.
"""


class NoRuleError(Exception):
    """There is no rule for an operation, or for the way in which it is called."""


class Part(NamedTuple):
    """A part of the gradient of an operand: a multiple of a tensor of its shape, or of the shape of a view of it."""

    view: View | None
    tensor: Tensor
    factor: float


@dataclass(eq=False, slots=True)
class Operand:
    """A tensor of the program, and what has been found of its gradient."""

    value: Tensor
    wanted: bool
    """Whether it depends on a parameter, with a gradient."""
    parts: list[Part] = field(default_factory=list)
    """What adds up to its gradient."""


@dataclass(slots=True)
class Operation:
    """One operation with all that it reads and writes.

    Without `out` it writes to its first argument. `copied` says that it cannot write to `out` by itself; one with
    several results never can.
    """

    function: Callable[..., Any]
    arguments: tuple[Any, ...]
    options: dict[str, Any]
    out: Tensor | list[Tensor] | None
    copied: bool = False

    def bound(self) -> Callable[[], Any]:
        """The operation as a function without arguments."""
        if self.out is None:
            return partial(self.function, *self.arguments, **self.options)
        if self.copied:
            out = [self.out] if isinstance(self.out, Tensor) else self.out
            return partial(_copy, out, partial(self.function, *self.arguments, **self.options))
        name = _OUT_NAMES.get(self.function, "out")
        return partial(self.function, *self.arguments, **self.options, **{name: self.out})

    @property
    def tensors(self) -> Iterator[Tensor]:
        """What it reads and writes."""
        yield from tensors_in(self.arguments)
        yield from tensors_in(self.out)

    @property
    def written(self) -> list[Tensor]:
        """What it writes."""
        return [self.arguments[0]] if self.out is None else list(tensors_in(self.out))

    def with_tensors(self, exchange: Callable[[Tensor], Tensor]) -> Operation:
        """This operation on other tensors."""
        arguments = _exchanged(self.arguments, exchange)
        return replace(self, arguments=arguments, out=_exchanged(self.out, exchange))


def _exchanged(item: Any, exchange: Callable[[Tensor], Tensor]) -> Any:
    if isinstance(item, Tensor):
        return exchange(item)
    return type(item)(_exchanged(part, exchange) for part in item) if isinstance(item, (list, tuple)) else item


def _copy(out: Sequence[Tensor], function: Callable[[], Tensor | Sequence[Tensor]]) -> None:
    results = function()
    for target, result in zip(out, [results] if isinstance(results, Tensor) else results, strict=True):
        target.copy_(result)


def broadcast_shapes(*shapes: Sequence[int]) -> torch.Size:
    """The shape of tensors of these shapes together; torch's own function loads sympy, which takes a second."""
    return torch.Size(np.broadcast_shapes(*map(tuple, shapes)))


def tensors_in(item: Any) -> Iterator[Tensor]:
    """The tensors in nested arguments."""
    if isinstance(item, Tensor):
        yield item
    elif isinstance(item, (list, tuple)):
        for part in item:
            yield from tensors_in(part)


aten = torch.ops.aten
_BACKWARD: dict[Any, Any] = {
    aten.threshold_backward.default: aten.threshold_backward.grad_input,
    aten.sigmoid_backward.default: aten.sigmoid_backward.grad_input,
    aten.tanh_backward.default: aten.tanh_backward.grad_input,
}
"""Operations whose form that writes to given memory has another name."""

_OUT_NAMES: dict[Any, str] = dict.fromkeys(_BACKWARD.values(), "grad_input")


ELEMENTWISE = frozenset(
    {
        *(torch.add, torch.sub, torch.mul, torch.div, torch.neg, torch.exp, torch.log, torch.sqrt, torch.tanh),
        *(
            torch.sigmoid,
            torch.clamp_min,
            torch.clamp_max,
            torch.sin,
            torch.cos,
            torch.abs,
            torch.sign,
            *_BACKWARD.values(),
        ),
    }
)
"""Operations on numbers one by one, which may write where they read."""


def storage_of(tensor: Tensor) -> int:
    """The address of a tensor's memory, which its views share."""
    return tensor.untyped_storage().data_ptr()


class Tape:
    """Records operations, and adds up gradients. To be used without autograd.

    With `by_columns`, narrow products lie in memory column by column, which suits many starts at once.
    """

    def __init__(self, parameters: Sequence[Tensor], *, by_columns: bool = False) -> None:
        self.operations: list[Operation] = []
        self.by_columns = by_columns
        self._varying = {storage_of(tensor) for tensor in parameters}
        self._factor = 1.0
        """What the gradients that are given now still have to be multiplied by."""

    def varies(self, tensor: Tensor) -> bool:
        """Whether a tensor depends on a parameter."""
        return storage_of(tensor) in self._varying

    def __call__(self, function: Callable[..., Tensor], *arguments: Any, **options: Any) -> Tensor:
        """The result of an operation that is no view."""
        out = function(*arguments, **options)
        if not any(self.varies(tensor) for tensor in tensors_in(arguments)):
            return out
        operation = Operation(_BACKWARD.get(function, function), arguments, options, out)
        try:
            operation.bound()()
        except (TypeError, RuntimeError):
            operation = Operation(function, arguments, options, out, copied=True)
        self._record(operation, out)
        return out

    def several(self, function: Callable[..., Sequence[Tensor]], *arguments: Any) -> list[Tensor]:
        """The results of an operation that has several, none of them a view."""
        out = [result.clone(memory_format=torch.contiguous_format) for result in function(*arguments)]
        if any(self.varies(tensor) for tensor in tensors_in(arguments)):
            self._record(Operation(function, arguments, {}, out, copied=True), *out)
        return out

    def write(self, function: Callable[..., Any], target: Tensor, *arguments: Any, **options: Any) -> None:
        """An operation that changes its first argument, memory that was made by `empty`."""
        function(target, *arguments, **options)
        self._record(Operation(function, (target, *arguments), options, None), target)

    def _record(self, operation: Operation, *out: Tensor) -> None:
        self.operations.append(operation)
        self._varying.update(storage_of(tensor) for tensor in out)

    # --- values -----------------------------------------------------------------------------------------

    def pair(self, first: Any, second: Any) -> tuple[Operand, Operand]:
        """Two operands of which one may be a plain number."""
        if isinstance(first, Operand) and isinstance(second, Operand):
            return first, second
        if isinstance(first, Operand):
            return first, self._number(second, first)
        return self._number(first, second), second

    def _number(self, number: float, beside: Operand) -> Operand:
        return Operand(torch.tensor(number, dtype=torch.result_type(beside.value, number)), False)

    def uniform(self, tensor: Tensor) -> float | None:
        """The number that a constant consists of, if its memory holds just one."""
        moving = any(step and size > 1 for step, size in zip(tensor.stride(), tensor.shape, strict=True))
        constant = tensor.numel() > 0 and not moving and not self.varies(tensor)
        return float(tensor.reshape(-1)[0]) if constant else None

    def product(self, first: Tensor, second: Tensor) -> Tensor:
        """The product of two tensors, elementwise."""
        shape = broadcast_shapes(first.shape, second.shape)
        for one, other in ((first, second), (second, first)):
            if self.uniform(one) == 1.0 and one.dtype == other.dtype:
                return other.expand(shape)
        if (number := self.uniform(first)) is not None and second.shape == shape:
            first = torch.tensor(number, dtype=first.dtype)
        if (number := self.uniform(second)) is not None and first.shape == shape:
            second = torch.tensor(number, dtype=second.dtype)
        return self(torch.mul, first, second)

    def scaled(self, tensor: Tensor, factor: float) -> Tensor:
        """A multiple of a tensor."""
        if self.uniform(tensor) is not None:
            return (tensor.as_strided((), ()) * factor).expand(tensor.shape)
        return tensor if factor == 1.0 else self(torch.mul, tensor, torch.tensor(factor, dtype=tensor.dtype))

    def contiguous(self, tensor: Tensor) -> Tensor:
        """The numbers of a tensor, next to each other in memory."""
        if tensor.is_contiguous():
            return tensor
        out = torch.empty(tensor.shape, dtype=tensor.dtype)
        if not self.varies(tensor):
            return out.copy_(tensor)
        self.write(torch.Tensor.copy_, out, tensor)
        return out

    def reshaped(self, tensor: Tensor, shape: Sequence[int]) -> Tensor:
        """The numbers of a tensor in another shape: a view where that is possible."""
        try:
            return tensor.view(shape)
        except RuntimeError:
            return self.contiguous(tensor).view(shape)

    def sum(self, tensor: Tensor, dims: Sequence[int], *, keepdim: bool = False) -> Tensor:
        """The sum over some dimensions."""
        dims = sorted(dim % max(tensor.dim(), 1) for dim in dims)
        repeated = [dim for dim in dims if tensor.stride(dim) == 0 and tensor.shape[dim] > 1]
        factor = 1.0
        for dim in repeated:  # the same numbers over and over
            factor *= tensor.shape[dim]
            tensor = tensor.narrow(dim, 0, 1)
        if all(tensor.shape[dim] == 1 for dim in dims):
            found = tensor
        elif dims == [tensor.dim() - 1] and tensor.is_contiguous() and tensor.dim() > 1 and tensor.shape[-1] <= _FEW:
            ones = torch.ones(tensor.shape[-1], dtype=tensor.dtype)
            found = self(torch.mv, tensor.view(-1, tensor.shape[-1]), ones).view(*tensor.shape[:-1], 1)
        else:
            found = self(torch.sum, tensor, dims, keepdim=True)
        found = self.scaled(found, factor)
        return found if keepdim else found.squeeze(dims)

    # --- gradients --------------------------------------------------------------------------------------

    def pull(self, operand: Operand, back: Callable[[Tensor], None]) -> None:
        """Give the gradient of a result, if it has one, to what the result was calculated from.

        Gradients are linear: a factor waits until few numbers are left, mostly those of the parameters.
        """
        part = self._total(operand)
        if part is not None:
            self._factor = part.factor
            back(part.tensor)
            self._factor = 1.0

    def give(
        self, operand: Operand, gradient: Callable[[], Tensor], view: View | None = None, factor: float = 1.0
    ) -> None:
        """Add `factor` times a tensor to the gradient of an operand, if it is wanted: of the whole of it, or of a view.

        The tensor may have a larger shape, if the operand was repeated along some dimensions.
        """
        if not operand.wanted:
            return
        found = gradient()
        if found.dtype != operand.value.dtype:
            raise NoRuleError
        shape = operand.value.shape if view is None else view(operand.value).shape
        part = Part(view, self.summed_to(found, shape), factor * self._factor)
        if not 1 / _MOST <= abs(part.factor) <= _MOST or self.uniform(part.tensor) is not None:
            part = Part(view, self.scaled(part.tensor, part.factor), 1.0)
        operand.parts.append(part)

    def summed_to(self, gradient: Tensor, shape: Sequence[int]) -> Tensor:
        """The gradient of what was repeated along dimensions to fit another operand."""
        lead = gradient.dim() - len(shape)
        dims = [*range(lead), *(lead + at for at, size in enumerate(shape) if size == 1 != gradient.shape[lead + at])]
        if dims:
            gradient = self.sum(gradient, dims, keepdim=True)
        return gradient.squeeze(tuple(range(lead)))

    def gradient(self, operand: Operand) -> Tensor | None:
        """The gradient of an operand, all of whose parts are known by now; None if it has none."""
        part = self._total(operand)
        return None if part is None else self.scaled(part.tensor, part.factor)

    def _total(self, operand: Operand) -> Part | None:
        """The gradient as a single part of the whole."""
        parts = sorted(operand.parts, key=lambda part: part.view is not None)  # those of the whole come first
        if not parts or (len(parts) == 1 and parts[0].view is None):
            return parts[0] if parts else None
        if not any(self.varies(part.tensor) for part in parts):
            return self._constant_sum(operand, parts)
        first, rest = parts[0], parts[1:]
        if len(parts) == 2 and rest[0].view is None:
            ratio = rest[0].factor / first.factor
            options = {} if ratio == 1.0 else {"alpha": ratio}
            return Part(None, self(torch.add, first.tensor, rest[0].tensor, **options), first.factor)
        total = torch.empty(operand.value.shape, dtype=operand.value.dtype)
        if first.view is None:
            self.write(torch.Tensor.copy_, total, first.tensor)
        elif _tiled(total, [part.view for part in parts if part.view is not None]):
            for part in parts:
                assert part.view is not None
                tensor = self.scaled(part.tensor, part.factor / first.factor)
                self.write(torch.Tensor.copy_, part.view(total), tensor)
            return Part(None, total, first.factor)
        else:
            self.write(torch.Tensor.zero_, total)
            rest = parts
        for part in rest:
            ratio = part.factor / first.factor
            options = {} if ratio == 1.0 else {"alpha": ratio}
            self.write(torch.Tensor.add_, total if part.view is None else part.view(total), part.tensor, **options)
        return Part(None, total, first.factor)

    def _constant_sum(self, operand: Operand, parts: Sequence[Part]) -> Part:
        total = torch.zeros(operand.value.shape, dtype=operand.value.dtype)
        for part in parts:
            (total if part.view is None else part.view(total)).add_(part.tensor, alpha=part.factor)
        return Part(None, total, 1.0)


def _tiled(whole: Tensor, views: Sequence[View]) -> bool:
    """Whether views take each number of a tensor exactly once."""
    count = torch.zeros(whole.shape, dtype=torch.int32)
    for view in views:
        view(count).add_(1)
    return bool((count == 1).all())
