"""Derivatives of operations that take, place or repeat numbers."""

from __future__ import annotations

import operator
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

from sgdsheet.compiler.backward.derivative_table import Pullback, derivative, values
from sgdsheet.compiler.backward.tape import NoRuleError, Operand, Tape, broadcast_shapes

Found = tuple[Tensor, Pullback | None]

Turned = Callable[..., Tensor]
"""Takes a gradient back through a view of the whole of a tensor, given the gradient, the operand and the arguments."""


def _turning(name: str, back: Turned, *functions: Any) -> None:
    """Declare a method that shows all numbers of a tensor in another shape, and how its gradient is shown back."""

    @derivative(name, getattr(Tensor, name), *functions)
    def rule(tape: Tape, x: Operand, *arguments: Any, **options: Any) -> Found:
        y = getattr(x.value, name)(*arguments, **options)
        return y, lambda g: tape.give(x, lambda: back(g, x.value, *arguments, **options))


_turning("t", lambda g, x: g.t())
_turning("unsqueeze", lambda g, x, dim: g.squeeze(dim), torch.unsqueeze)
_turning("squeeze", lambda g, x, *dims: _unsqueezed(g, x, dims), torch.squeeze)
_turning("transpose", lambda g, x, one, other: g.transpose(one, other), torch.transpose)
_turning("movedim", lambda g, x, one, other: g.movedim(other, one), torch.movedim)
_turning("expand", lambda g, x, *shape: g)  # a gradient that is too large is summed
_turning("permute", lambda g, x, *dims: g.permute(_inverse(dims, x.dim())), torch.permute)


@derivative(torch.flip)
def _flip(tape: Tape, x: Operand, dims: Sequence[int]) -> Found:
    return tape(torch.flip, x.value, dims), lambda g: tape.give(x, lambda: tape(torch.flip, g, dims))


def _unsqueezed(g: Tensor, x: Tensor, dims: Sequence[Any]) -> Tensor:
    """A gradient with the dimensions again that `squeeze` took away: those of length 1, of `dims` or of all."""
    named = dims[0] if dims and isinstance(dims[0], (list, tuple)) else dims or range(x.dim())
    for dim in sorted(dim % x.dim() for dim in named):
        if x.shape[dim] == 1:
            g = g.unsqueeze(dim)
    return g


def _inverse(dims: Sequence[Any], count: int) -> list[int]:
    order = list(dims[0]) if isinstance(dims[0], (list, tuple)) else list(dims)
    return sorted(range(count), key=lambda place: order[place] % count)


@derivative("reshape", torch.reshape)
def _reshape(tape: Tape, x: Operand, *shape: Any) -> Found:
    wanted = x.value.reshape(*shape).shape
    y = tape.reshaped(x.value, wanted)
    return y, lambda g: tape.give(x, lambda: tape.reshaped(g, x.value.shape))


def _taking(name: str, *functions: Any) -> None:
    """Declare a method that takes a part of a tensor, of which no two numbers are the same."""

    @derivative(name, *functions)
    def rule(tape: Tape, x: Operand, *arguments: Any, **options: Any) -> Found:
        def view(whole: Tensor) -> Tensor:
            part: Tensor = getattr(whole, name)(*arguments, **options)
            return part

        return view(x.value), lambda g: tape.give(x, lambda: g, view)


_taking("select", torch.select)
_taking("narrow", torch.narrow)


_PLACES = (int, slice, type(None), type(Ellipsis))


@derivative(operator.getitem)
def _getitem(tape: Tape, x: Operand, place: Any) -> Found:
    """Whole numbers, slices, … and new dimensions make a view; rows may be picked by a tensor of indices."""
    parts = place if isinstance(place, tuple) else (place,)
    if len(parts) == 1 and isinstance(parts[0], Operand):
        return _picked_rows(tape, x, parts[0])
    if not isinstance(x, Operand) or not all(isinstance(item, _PLACES) for item in parts):
        raise NoRuleError
    return x.value[place], lambda g: tape.give(x, lambda: g, lambda whole: whole[place])


def _picked_rows(tape: Tape, x: Operand, rows: Operand) -> Found:
    indices = rows.value
    if not x.wanted:
        return tape(operator.getitem, x.value, indices), None
    if tape.varies(indices) or indices.dtype != torch.int64 or bool((indices < 0).any()):
        raise NoRuleError
    y, back = _index_select(tape, x, 0, Operand(indices.reshape(-1), False))
    assert back is not None
    return y.view(indices.shape + x.value.shape[1:]), lambda g: back(tape.reshaped(g, y.shape))


@derivative("unfold")
def _unfold(tape: Tape, x: Operand, dim: int, size: int, step: int) -> Found:
    """Windows: a number may be in several of them."""
    shape = list(x.value.shape)

    def back() -> Callable[[Tensor], Tensor]:
        return lambda g: tape(torch.ops.aten.unfold_backward.default, g, shape, dim, size, step)

    return x.value.unfold(dim, size, step), lambda g: tape.give(x, lambda: back()(g))


@derivative("detach")
def _detach(tape: Tape, x: Operand) -> Found:
    return x.value, None


@derivative("to")
def _to(tape: Tape, x: Operand, dtype: Any) -> Found:
    """A type, or another tensor whose type it gets."""
    if isinstance(dtype, Operand):
        dtype = dtype.value.dtype
    if not isinstance(dtype, torch.dtype):
        raise NoRuleError
    if dtype == x.value.dtype:
        return x.value, lambda g: tape.give(x, lambda: g)
    y = tape(torch.Tensor.to, x.value, dtype)
    return y, (
        lambda g: tape.give(x, lambda: tape(torch.Tensor.to, g, x.value.dtype))
    ) if dtype.is_floating_point else None


# --- several tensors --------------------------------------------------------------------------------------


@derivative(torch.stack)
def _stack(tape: Tape, items: Sequence[Operand], dim: int = 0) -> Found:
    def back(g: Tensor) -> None:
        for number, item in enumerate(items):
            tape.give(item, lambda number=number: g.select(dim, number))  # type: ignore[misc]

    return tape(torch.stack, values(items), dim), back


@derivative(torch.cat)
def _cat(tape: Tape, items: Sequence[Operand], dim: int = 0) -> Found:
    def back(g: Tensor) -> None:
        start = 0
        for item in items:
            length = item.value.shape[dim]
            tape.give(item, lambda start=start, length=length: g.narrow(dim, start, length))  # type: ignore[misc]
            start += length

    return tape(torch.cat, values(items), dim), back


# --- numbers picked by indices ----------------------------------------------------------------------------


@derivative(torch.take_along_dim)
def _take_along(tape: Tape, x: Operand, indices: Operand, dim: int) -> Found:
    """Each tensor is repeated along the other dimensions to fit the other one."""
    shapes = [list(each.value.shape) for each in (x, indices)]
    for shape in shapes:
        shape[dim] = 1
    common = broadcast_shapes(*shapes)
    sizes = [[*common] for _ in shapes]
    for size, each in zip(sizes, (x, indices), strict=True):
        size[dim] = each.value.shape[dim]
    whole, places = x.value.expand(sizes[0]), indices.value.expand(sizes[1])

    def back(g: Tensor) -> None:
        tape.give(x, lambda: tape(torch.scatter_add, torch.zeros(sizes[0], dtype=g.dtype), dim, places, g))

    return tape(torch.gather, whole, dim, places), back


@derivative(torch.gather)
def _gather(tape: Tape, x: Operand, dim: int, indices: Operand) -> Found:
    def back(g: Tensor) -> None:
        tape.give(x, lambda: tape(torch.scatter_add, torch.zeros_like(x.value), dim, indices.value, g))

    return tape(torch.gather, x.value, dim, indices.value), back


@derivative(torch.index_select)
def _index_select(tape: Tape, x: Operand, dim: int, index: Operand) -> Found:
    def back(g: Tensor) -> None:
        tape.give(x, lambda: tape(torch.index_add, torch.zeros_like(x.value), dim, index.value, g))

    return tape(torch.index_select, x.value, dim, index.value), back
