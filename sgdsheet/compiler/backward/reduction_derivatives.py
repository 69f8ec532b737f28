"""Derivatives of operations that make few numbers of many: sums, products with matrices, extremes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from sgdsheet.compiler.backward.derivative_table import Pullback, derivative
from sgdsheet.compiler.backward.tape import NoRuleError, Operand, Tape, aten

_NARROW = 4
"""Columns of a product up to which it is kept column by column, where that is wanted."""

Found = tuple[Tensor, Pullback | None]


def _dims(dim: Any, x: Tensor) -> list[int]:
    """The dimensions that an operation names; all of them if it names none."""
    if dim is None:
        return list(range(x.dim()))
    return [item % max(x.dim(), 1) for item in (dim if isinstance(dim, (list, tuple)) else (dim,))]


def _spread(g: Tensor, x: Tensor, dims: Sequence[int], *, keepdim: bool) -> Tensor:
    """The gradient of a reduction at each of the numbers that it took."""
    if not keepdim:
        for place in sorted(dims):
            g = g.unsqueeze(place)
    return g.expand(x.shape)


@derivative(torch.sum)
def _sum(tape: Tape, x: Operand, dim: Any = None, keepdim: bool = False) -> Found:
    dims = _dims(dim, x.value)
    if not x.value.is_floating_point():  # it counts
        return tape(torch.sum, x.value, dims, keepdim=keepdim), None
    y = tape.sum(x.value, dims, keepdim=keepdim)
    return y, lambda g: tape.give(x, lambda: _spread(g, x.value, dims, keepdim=keepdim))


@derivative(torch.mean)
def _mean(tape: Tape, x: Operand, dim: Any = None, keepdim: bool = False) -> Found:
    dims = _dims(dim, x.value)
    count = 1
    for place in dims:
        count *= x.value.shape[place]
    y = tape(torch.mean, x.value, dims, keepdim=keepdim)
    return y, lambda g: tape.give(x, lambda: _spread(g, x.value, dims, keepdim=keepdim), factor=1 / count)


@derivative(F.mse_loss)
def _mse_loss(tape: Tape, x: Operand, y: Operand, reduction: str = "mean") -> Found:
    difference = tape(torch.sub, x.value, y.value)
    flat = tape.reshaped(difference, (-1,))
    factor = 1 / len(flat) if reduction == "mean" else 1.0

    def back(g: Tensor) -> None:
        share = tape.product(g, difference)
        tape.give(x, lambda: share, factor=2 * factor)
        tape.give(y, lambda: share, factor=-2 * factor)

    return tape.scaled(tape(torch.dot, flat, flat), factor), back


@derivative(torch.logsumexp)
def _logsumexp(tape: Tape, x: Operand, dim: Any, keepdim: bool = False) -> Found:
    dims = _dims(dim, x.value)
    y = tape(torch.logsumexp, x.value, dims, keepdim=keepdim)

    def back(g: Tensor) -> None:
        whole = _spread(y, x.value, dims, keepdim=keepdim)
        share = tape(torch.exp, tape(torch.sub, x.value, whole))
        tape.give(x, lambda: tape.product(_spread(g, x.value, dims, keepdim=keepdim), share))

    return y, back


def _extreme(function: Callable[..., Tensor]) -> None:
    """Declare the largest or smallest of numbers: those that are equal to it share its gradient."""

    @derivative(function)
    def rule(tape: Tape, x: Operand, dim: Any = None, keepdim: bool = False) -> Found:
        dims = _dims(dim, x.value)
        y = tape(function, x.value, dims, keepdim=keepdim)

        def local(g: Tensor) -> Tensor:
            chosen = tape(torch.eq, x.value, _spread(y, x.value, dims, keepdim=keepdim))
            ones = tape(torch.Tensor.to, chosen, x.value.dtype)
            count = tape.sum(ones, dims, keepdim=True)
            return tape(torch.div, tape.product(_spread(g, x.value, dims, keepdim=keepdim), ones), count)

        return y, lambda g: tape.give(x, lambda: local(g))


_extreme(torch.amax)
_extreme(torch.amin)


@derivative(torch.cumsum)
def _cumsum(tape: Tape, x: Operand, dim: int) -> Found:
    def back(g: Tensor) -> None:
        tape.give(x, lambda: tape(torch.flip, tape(torch.cumsum, tape(torch.flip, g, [dim]), dim), [dim]))

    return tape(torch.cumsum, x.value, dim), back


@derivative(torch.prod)
def _prod(tape: Tape, x: Operand, dim: int | None = None, keepdim: bool = False) -> Found:
    """The gradient of a factor is the product of those before it and those after it, also where one of them is 0."""
    whole = tape.reshaped(x.value, (-1,)) if dim is None else x.value
    place = 0 if dim is None else dim % whole.dim()
    count = whole.shape[place]

    def before(factors: Tensor) -> Tensor:
        first = factors.narrow(place, 0, 1)
        ones = torch.ones(first.shape, dtype=first.dtype)
        return tape(torch.cat, [ones, tape(torch.cumprod, factors.narrow(place, 0, count - 1), place)], place)

    def back(g: Tensor) -> None:
        share = _spread(g, whole, [place], keepdim=keepdim)
        if count > 1:
            after = tape(torch.flip, before(tape(torch.flip, whole, [place])), [place])
            share = tape.product(share, tape(torch.mul, before(whole), after))
        tape.give(x, lambda: tape.reshaped(share, x.value.shape))

    return tape(torch.prod, whole, place, keepdim=keepdim), back


# --- products ---------------------------------------------------------------------------------------------


def _product(tape: Tape, a: Tensor, b: Tensor) -> Tensor:
    """The matrix product of two tensors of at least two dimensions."""
    if a.dim() == b.dim() == 2 and b.shape[1] == 1 and b.shape[0] > 1:
        return tape(torch.mv, a, b[:, 0]).unsqueeze(1)
    if a.dim() == b.dim() == 2 and a.shape[0] == 1 and a.shape[1] > 1:
        return tape(torch.mv, b.t(), a[0]).unsqueeze(0)
    if tape.by_columns and a.dim() == b.dim() == 2 and b.shape[1] <= _NARROW < a.shape[0]:
        return tape(torch.mm, b.t(), a.t()).t()
    return tape(torch.mm if a.dim() == b.dim() == 2 else torch.matmul, a, b)


@derivative(torch.matmul)
def _matmul(tape: Tape, a: Operand, b: Operand) -> Found:
    row, column = a.value.dim() == 1, b.value.dim() == 1
    left = a.value.unsqueeze(0) if row else a.value
    right = b.value.unsqueeze(1) if column else b.value

    def as_given(product: Tensor) -> Tensor:
        product = product.squeeze(-2) if row else product
        return product.squeeze(-1) if column else product

    def back(g: Tensor) -> None:
        g = g.unsqueeze(-1) if column else g
        g = g.unsqueeze(-2) if row else g
        tape.give(a, lambda: _narrowed(_product(tape, g, right.mT), row, 0))
        tape.give(b, lambda: _narrowed(_product(tape, left.mT, g), column, -1))

    return as_given(_product(tape, left, right)), back


def _narrowed(product: Tensor, single: bool, dim: int) -> Tensor:
    """The gradient of a vector that stood for a matrix; with more dimensions in front, they are summed later."""
    return product.squeeze(dim if product.dim() == 2 or dim == -1 else -2) if single else product


@derivative(F.linear)
def _linear(tape: Tape, x: Operand, weights: Operand, bias: Operand | None = None) -> Found:
    if x.value.dim() < 2 or weights.value.dim() != 2:
        raise NoRuleError
    rows = tape.reshaped(x.value, (-1, x.value.shape[-1]))
    product = _product(tape, rows, weights.value.t())
    if bias is not None:
        product = tape(torch.add, product, bias.value)

    def back(g: Tensor) -> None:
        flat = tape.reshaped(g, product.shape)
        tape.give(x, lambda: _product(tape, flat, weights.value).view(x.value.shape))
        tape.give(weights, lambda: _product(tape, flat.t(), rows))
        if bias is not None:
            tape.give(bias, lambda: flat)

    return tape.reshaped(product, (*x.value.shape[:-1], product.shape[1])), back


@derivative(torch.tensordot)
def _tensordot(tape: Tape, a: Operand, b: Operand, dims: Any = 2) -> Found:
    """A matrix product, with the dimensions that are summed last in one and first in the other."""
    if not isinstance(dims, (list, tuple)):
        raise NoRuleError
    summed = [[place % each.value.dim() for place in own] for each, own in zip((a, b), dims, strict=True)]
    kept = [
        [place for place in range(each.value.dim()) if place not in own]
        for each, own in zip((a, b), summed, strict=True)
    ]
    orders = [*kept[0], *summed[0]], [*summed[1], *kept[1]]
    turned = [each.value.permute(order) for each, order in zip((a, b), orders, strict=True)]
    shape = [a.value.shape[place] for place in kept[0]], [b.value.shape[place] for place in kept[1]]
    inner = turned[0].shape[len(kept[0]) :].numel()
    left, right = tape.reshaped(turned[0], (-1, inner)), tape.reshaped(turned[1], (inner, -1))

    def returned(product: Tensor, place: int) -> Tensor:
        order = orders[place]
        whole = product.view(turned[place].shape)
        return whole.permute(sorted(range(len(order)), key=order.__getitem__))

    def back(g: Tensor) -> None:
        flat = tape.reshaped(g, (left.shape[0], right.shape[1]))
        tape.give(a, lambda: returned(_product(tape, flat, right.t()), 0))
        tape.give(b, lambda: returned(_product(tape, left.t(), flat), 1))

    return _product(tape, left, right).view([*shape[0], *shape[1]]), back


# --- operations that torch has a backward of its own for --------------------------------------------------


def _softmax_like(function: Callable[..., Tensor], backward: Callable[..., Tensor]) -> None:
    @derivative(function)
    def rule(tape: Tape, x: Operand, dim: int = -1) -> Found:
        y = tape(function, x.value, dim)
        return y, lambda g: tape.give(x, lambda: tape(backward, g, y, dim, x.value.dtype))


_softmax_like(torch.softmax, aten._softmax_backward_data.default)
_softmax_like(torch.log_softmax, aten._log_softmax_backward_data.default)


@derivative(torch.conv2d)
def _conv2d(tape: Tape, x: Operand, kernels: Operand, bias: Operand | None = None, **options: Any) -> Found:
    """A convolution of a single group."""
    unknown = options.keys() - {"stride", "padding"}
    stride, padding = (_two(options.get(name, default)) for name, default in (("stride", 1), ("padding", 0)))
    if unknown or x.value.dim() != 4:
        raise NoRuleError
    given = None if bias is None else bias.value
    wanted = [x.wanted, kernels.wanted, bias is not None and bias.wanted]
    y = tape(torch.conv2d, x.value, kernels.value, given, stride, padding)

    def pulled(g: Tensor, inputs: Tensor, weights: Tensor) -> list[Tensor]:
        shape = None if given is None else list(given.shape)
        parts = aten.convolution_backward(g, inputs, weights, shape, stride, padding, [1, 1], False, [0, 0], 1, wanted)
        return [part for part, each in zip(parts, wanted, strict=True) if each]

    def back(g: Tensor) -> None:
        parts = iter(tape.several(pulled, g, x.value, kernels.value))
        for operand, each in zip((x, kernels, bias), wanted, strict=True):
            if each and operand is not None:
                part = next(parts)
                tape.give(operand, lambda part=part: part)  # type: ignore[misc]

    return y, back


def _two(item: Any) -> list[int]:
    return list(item) if isinstance(item, (list, tuple)) else [int(item)] * 2


@derivative(F.max_pool2d)
def _max_pool2d(tape: Tape, x: Operand, size: Any, stride: Any = None, **options: Any) -> Found:
    if any(options.values()):
        raise NoRuleError
    window, step = _two(size), _two(size if stride is None else stride)
    y, places = tape.several(lambda value: aten.max_pool2d_with_indices(value, window, step), x.value)

    def pulled(g: Tensor, value: Tensor, indices: Tensor) -> Tensor:
        found: Tensor = aten.max_pool2d_with_indices_backward(g, value, window, step, [0, 0], [1, 1], False, indices)
        return found

    return y, lambda g: tape.give(x, lambda: tape(pulled, g, x.value, places))
