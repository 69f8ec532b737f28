"""How the operations of a record are done for many starts at once: one form per operation.

Starts are the last dimension of every tensor that depends on a parameter: [rows, columns] becomes [rows, columns,
starts]. So a product of data and parameters is one matrix product for all starts, dimensions keep their numbers, and
what is the same for all starts, a constant, is repeated along the last dimension.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from sgdsheet.compiler.backward.tape import (
    ELEMENTWISE,
    NoRuleError,
    Operation,
    broadcast_shapes,
    storage_of,
    tensors_in,
)

_FEW = 4
"""Numbers of each start whose sum is taken one by one, as a sum over a dimension in the middle is slower; and columns
whose products are taken one by one if they do not lie beside each other."""


class Starts:
    """The tensors of a record, those that differ between starts with one dimension more."""

    def __init__(self, count: int, differing: set[int]) -> None:
        self.count = count
        self._differing = differing
        self._memory: dict[int, Tensor] = {}

    def differs(self, tensor: Tensor) -> bool:
        """Whether a tensor has other numbers in each start."""
        return storage_of(tensor) in self._differing

    def of(self, tensor: Tensor) -> Tensor:
        """A tensor that differs between starts: [..., starts]."""
        place = storage_of(tensor)
        if place not in self._memory:
            numbers = tensor.untyped_storage().nbytes() // tensor.element_size()
            self._memory[place] = torch.empty(numbers * self.count, dtype=tensor.dtype)
        strides = [stride * self.count for stride in tensor.stride()]
        offset = tensor.storage_offset() * self.count
        return self._memory[place].as_strided([*tensor.shape, self.count], [*strides, 1], offset)

    def beside(self, item: Any) -> Any:
        """An operand beside others that differ between starts; a single number fits any of them."""
        if not isinstance(item, Tensor):
            return [self.beside(part) for part in item] if isinstance(item, (list, tuple)) else item
        if self.differs(item):
            return self.of(item)
        return item.unsqueeze(-1) if item.dim() else item

    def repeated(self, tensor: Tensor) -> Tensor:
        """An operand in its whole shape: [..., starts]."""
        if self.differs(tensor):
            return self.of(tensor)
        return tensor.unsqueeze(-1).expand(*tensor.shape, self.count)


Form = Callable[[Starts, Operation], Iterable[Operation]]
FORMS: dict[Any, Form] = {}
"""The forms by the function of an operation."""


def form(*functions: Any) -> Callable[[Form], Form]:
    """Declare how an operation is done for many starts."""

    def declare(found: Form) -> Form:
        for function in functions:
            assert function not in FORMS, function
            FORMS[function] = found
        return found

    return declare


def batched_operations(starts: Starts, operation: Operation) -> Iterator[Operation]:
    """An operation for many starts; it stays as it is where nothing differs. NoRuleError where there is no form."""
    if not any(map(starts.differs, operation.tensors)):
        yield operation
        return
    if operation.function not in FORMS:
        raise NoRuleError
    yield from FORMS[operation.function](starts, operation)


def _out(starts: Starts, operation: Operation) -> Tensor:
    assert isinstance(operation.out, Tensor)
    return starts.of(operation.out)


def _made(operation: Operation, arguments: Sequence[Any], out: Tensor) -> Operation:
    return replace(operation, arguments=tuple(arguments), out=out)


# --- numbers one by one -----------------------------------------------------------------------------------


def elementwise(*functions: Any) -> None:
    """Declare operations on numbers one by one; those with a derivative are declared with their rule."""
    for function in functions:
        FORMS[function] = _elementwise


def _elementwise(starts: Starts, operation: Operation) -> Iterator[Operation]:
    yield _made(operation, [starts.beside(item) for item in operation.arguments], _out(starts, operation))


elementwise(*ELEMENTWISE, torch.digamma, torch.Tensor.to)


@form(torch.Tensor.copy_, torch.Tensor.add_, torch.Tensor.zero_)
def _write(starts: Starts, operation: Operation) -> Iterator[Operation]:
    target, *rest = operation.arguments
    yield replace(operation, arguments=(starts.of(target), *(starts.beside(item) for item in rest)))


# --- along dimensions -------------------------------------------------------------------------------------


@form(torch.sum)
def _sum(starts: Starts, operation: Operation) -> Iterator[Operation]:
    x, dims = operation.arguments
    whole, out = starts.of(x), _out(starts, operation)
    if len(dims) == 1 and operation.options == {"keepdim": True} and whole.dtype == out.dtype:
        yield from _summed(whole, dims[0], out)
    else:
        yield _made(operation, [whole, dims], out)


def _summed(whole: Tensor, dim: int, out: Tensor) -> Iterator[Operation]:
    """The sum over one dimension, which `out` keeps with length 1."""
    if not 2 <= whole.shape[dim] <= _FEW:
        yield Operation(torch.sum, (whole, [dim]), {"keepdim": True}, out)
        return
    parts = [whole.narrow(dim, place, 1) for place in range(whole.shape[dim])]
    yield Operation(torch.add, (parts[0], parts[1]), {}, out)
    for part in parts[2:]:
        yield Operation(torch.Tensor.add_, (out, part), {}, None)


@form(torch.mean, torch.logsumexp, torch.amax, torch.amin)
def _reduction(starts: Starts, operation: Operation) -> Iterator[Operation]:
    x, dims = operation.arguments
    if not dims:
        raise NoRuleError
    yield _made(operation, [starts.of(x), dims], _out(starts, operation))


@form(torch.any, torch.all)
def _all(starts: Starts, operation: Operation) -> Iterator[Operation]:
    (x,) = operation.arguments if len(operation.arguments) == 1 else (None,)
    if x is None or operation.options or not x.dim():
        raise NoRuleError
    yield _made(operation, [starts.of(x), tuple(range(x.dim()))], _out(starts, operation))


@form(torch.softmax, torch.log_softmax, torch.cumsum, torch.cumprod, torch.prod)
def _along(starts: Starts, operation: Operation) -> Iterator[Operation]:
    x, dim, *rest = operation.arguments
    if not x.dim():
        raise NoRuleError
    yield _made(operation, [starts.of(x), dim % x.dim(), *rest], _out(starts, operation))


@form(torch.argmax)
def _argmax(starts: Starts, operation: Operation) -> Iterator[Operation]:
    (x,), options = operation.arguments, operation.options
    if options.get("dim") is None or not x.dim():
        raise NoRuleError
    found = _made(operation, [starts.of(x)], _out(starts, operation))
    yield replace(found, options={**options, "dim": options["dim"] % x.dim()})


@form(torch.ops.aten._softmax_backward_data.default, torch.ops.aten._log_softmax_backward_data.default)
def _softmax_backward(starts: Starts, operation: Operation) -> Iterator[Operation]:
    g, y, dim, dtype = operation.arguments
    yield _made(operation, [starts.repeated(g), starts.of(y), dim % y.dim(), dtype], _out(starts, operation))


@form(torch.flip)
def _flip(starts: Starts, operation: Operation) -> Iterator[Operation]:
    x, dims = operation.arguments
    yield _made(operation, [starts.of(x), [dim % x.dim() for dim in dims]], _out(starts, operation))


@form(torch.stack, torch.cat)
def _joined(starts: Starts, operation: Operation) -> Iterator[Operation]:
    items, dim = operation.arguments
    dims = items[0].dim() + (operation.function is torch.stack)
    yield _made(operation, [[starts.repeated(item) for item in items], dim % dims], _out(starts, operation))


@form(torch.gather, torch.scatter_add)
def _picked(starts: Starts, operation: Operation) -> Iterator[Operation]:
    x, dim, *rest = operation.arguments
    found = [starts.repeated(item) for item in rest]
    yield _made(operation, [starts.repeated(x), dim % max(x.dim(), 1), *found], _out(starts, operation))


@form(torch.index_select, torch.index_add)
def _rows(starts: Starts, operation: Operation) -> Iterator[Operation]:
    x, dim, index, *rest = operation.arguments
    if starts.differs(index):
        raise NoRuleError
    found = [starts.repeated(item) for item in rest]
    yield _made(operation, [starts.repeated(x), dim % max(x.dim(), 1), index, *found], _out(starts, operation))


# --- products ---------------------------------------------------------------------------------------------


@form(torch.dot)
def _dot(starts: Starts, operation: Operation) -> Iterator[Operation]:
    first, second = map(starts.beside, operation.arguments)
    yield from _products_summed(first, second, 0, _out(starts, operation))


def _products_summed(first: Tensor, second: Tensor, dim: int, out: Tensor) -> Iterator[Operation]:
    """The sum of products over one dimension: `torch.linalg.vecdot`, with memory that others use as well."""
    products = torch.empty(broadcast_shapes(first.shape, second.shape), dtype=out.dtype)
    yield Operation(torch.mul, (first, second), {}, products)
    yield from _summed(products, dim, out.unsqueeze(dim))


@form(torch.mv)
def _mv(starts: Starts, operation: Operation) -> Iterator[Operation]:
    matrix, vector = operation.arguments
    out = _out(starts, operation)
    if not starts.differs(matrix):
        yield Operation(torch.mm, (matrix, starts.of(vector)), {}, out)
    elif not starts.differs(vector) and bool((vector == 1).all()):
        yield from _summed(starts.of(matrix), 1, out.unsqueeze(1))
    else:
        yield from _products_summed(starts.of(matrix), starts.beside(vector).unsqueeze(0), 1, out)


@form(torch.mm)
def _mm(starts: Starts, operation: Operation) -> Iterator[Operation]:
    first, second = operation.arguments
    out = _out(starts, operation)
    if not starts.differs(first):
        yield from _shared_first(first, starts.of(second), out)
    elif not starts.differs(second):  # A B is the transpose of B' A'
        yield from _shared_first(second.t(), starts.of(first).transpose(0, 1), out.transpose(0, 1))
    else:
        yield from _each_its_own(starts.of(first), starts.of(second), out)


def _shared_first(shared: Tensor, each: Tensor, out: Tensor) -> Iterator[Operation]:
    """A matrix [rows, inner] times one of each start [inner, columns, starts]: one product for all starts."""
    right, left = _flattened(each), _flattened(out)
    if (right is None or left is None) and each.shape[1] <= _FEW:  # column by column
        if out.transpose(0, 1).is_contiguous():
            factors = shared.expand(each.shape[1], *shared.shape), each.transpose(0, 1)
            yield Operation(torch.bmm, factors, {}, out.transpose(0, 1))
            return
        for place in range(each.shape[1]):
            yield Operation(torch.mm, (shared, each[:, place]), {}, out[:, place])
        return
    if right is None:
        copy = torch.empty(each.shape, dtype=each.dtype)
        yield Operation(torch.Tensor.copy_, (copy, each), {}, None)
        right = _flattened(copy)
    if left is not None:
        yield Operation(torch.mm, (shared, right), {}, left)
        return
    product = torch.empty(out.shape, dtype=out.dtype)
    yield Operation(torch.mm, (shared, right), {}, _flattened(product))
    yield Operation(torch.Tensor.copy_, (out, product), {}, None)


def _flattened(tensor: Tensor) -> Tensor | None:
    """[rows, columns, starts] as [rows, columns x starts]: a view; None where there is none."""
    try:
        return tensor.view(tensor.shape[0], -1)
    except RuntimeError:
        return None


def _each_its_own(first: Tensor, second: Tensor, out: Tensor) -> Iterator[Operation]:
    """The product of two matrices of each start."""
    yield Operation(torch.bmm, (first.movedim(-1, 0), second.movedim(-1, 0)), {}, out.movedim(-1, 0), copied=True)


@form(torch.matmul)
def _matmul(starts: Starts, operation: Operation) -> Iterator[Operation]:
    """Products of stacks of matrices, each with at least two dimensions; starts are the first dimension here."""
    most = max(item.dim() for item in operation.arguments)
    turned = []
    for item in operation.arguments:
        found = starts.of(item).movedim(-1, 0) if starts.differs(item) else item.unsqueeze(0)
        turned.append(found.reshape(found.shape[0], *[1] * (most - item.dim()), *item.shape))
    out = _out(starts, operation).movedim(-1, 0)
    yield Operation(torch.matmul, tuple(turned), {}, out, copied=True)


def differing(operations: Sequence[Operation], parameters: Sequence[Tensor]) -> set[int]:
    """The memory that differs between starts: the parameters, and whatever is calculated from them."""
    found = {storage_of(parameter) for parameter in parameters}
    before = -1
    while len(found) > before:  # an operation that writes into memory of others may come before what makes it differ
        before = len(found)
        for operation in operations:
            if any(storage_of(tensor) in found for tensor in tensors_in(operation.arguments)):
                found.update(storage_of(tensor) for tensor in operation.written)
    return found
