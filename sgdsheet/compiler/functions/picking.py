"""Taking one position along an axis, for each copy of a formula its own."""

from __future__ import annotations

import operator
from dataclasses import replace

import torch

from sgdsheet.compiler.ir.builder import Builder
from sgdsheet.compiler.ir.values import Fault, Kind, Value
from sgdsheet.errors import FormulaError


def gathered(builder: Builder, value: Value, axis: str, place: Value) -> Value:
    """One position (from 1) along `axis` for each copy of the formula; 0 means all of them."""
    if not place.constant:
        return picked_at(builder, value, axis, place)
    errors = builder.errors_of(place)
    numbers = builder.cleaned(place).tensor
    whole = bool((numbers == 0).all())
    if bool((numbers == 0).any()) and (place.is_array or not whole):
        raise FormulaError("calls INDEX with 0 here and there", remedy="Mend the position")
    if whole or axis not in value.axes:
        return builder.spoiled(value, errors)
    if axis in place.axes:  # several positions at once take the place of the axis
        value, axis = value.renamed({axis: "k"}), "k"
    found = _taken(builder, value, axis, replace(place, data=(numbers - 1).long()))
    return builder.spoiled(builder.canonical(found), errors)


def _taken(builder: Builder, value: Value, axis: str, place: Value) -> Value:
    at = value.axes.index(axis)
    where, before, after = place.tensor, value.sizes[:at], value.sizes[at + 1 :]
    if not place.axes:
        data = builder.method("select", value.data, at, int(where))
        axes = value.axes.replace(axis, "")
        return value.picked(data, axes, before + after, lambda kinds: kinds.select(at, int(where)))
    if len(place.axes) == 1 and place.axes not in value.axes:
        picks = (slice(None),) * at + (where,)
        data = builder.call(operator.getitem, value.data, picks)
        axes, sizes = value.axes.replace(axis, place.axes), before + place.sizes + after
        return value.picked(data, axes, sizes, lambda kinds: kinds[picks])
    return _taken_along(builder, value, axis, place)


def _taken_along(builder: Builder, value: Value, axis: str, place: Value) -> Value:
    """Where each copy has both its own range and its own position."""
    axes, sizes = builder.union_axes([value, place])
    at = axes.index(axis)
    whole = builder.expanded(value, axes, sizes)
    one = (*sizes[:at], 1, *sizes[at + 1 :])
    where = builder.expanded(Value(place.tensor, place.axes, place.sizes), axes, sizes).tensor.narrow(at, 0, 1)
    data = builder.method("select", builder.call(torch.take_along_dim, whole.data, where.expand(one), at), at, 0)
    return whole.picked(
        data,
        axes.replace(axis, ""),
        (*sizes[:at], *sizes[at + 1 :]),
        lambda kinds: torch.take_along_dim(kinds, where.expand(one), at).select(at, 0),
    )


def picked_at(builder: Builder, value: Value, axis: str, place: Value) -> Value:
    """Like `gathered` for a position that is known only when the program runs; beyond the range it is an error."""
    if not value.only(Kind.NUMBER, Kind.BOOLEAN, Kind.BLANK):
        raise FormulaError(
            "takes a cell at a position that data or parameters decide, and not all of the cells are numbers",
            remedy="Let the range hold numbers only",
        )
    value = replace(builder.stored(value), kinds=Kind.NUMBER)
    last = value.size(axis) + 1.0
    inside = builder.call(
        torch.logical_and, builder.call(torch.ge, place.data, 1.0), builder.call(torch.lt, place.data, last)
    )
    safe = builder.call(torch.where, inside, place.data, 1.0)
    where = replace(place, data=builder.method("to", builder.call(operator.sub, safe, 1.0), torch.long))
    found = _picked(builder, value, axis, where) if axis in value.axes else value
    outside = builder.call(torch.logical_not, inside)
    return builder.spoiled(builder.canonical(found), Value(outside, place.axes, place.sizes, Kind.BOOLEAN), Fault.REF)


def _picked(builder: Builder, value: Value, axis: str, where: Value) -> Value:
    if axis in where.axes:
        raise FormulaError("calls INDEX with several positions", remedy="Refer to the cells directly")
    if len(where.axes) < 2 and not set(where.axes) & set(value.axes):
        return _selected(builder, value, value.axes.index(axis), where)
    axes, sizes = builder.union_axes([value, where])
    at = axes.index(axis)
    whole = builder.expanded(value, axes, sizes)
    rest, left = axes.replace(axis, ""), (*sizes[:at], *sizes[at + 1 :])
    index = builder.method("unsqueeze", builder.expanded(where, rest, left).data, at)
    data = builder.method("select", builder.call(torch.gather, whole.data, at, index), at, 0)
    return replace(whole, data=data, axes=rest, sizes=left)


def _selected(builder: Builder, value: Value, at: int, where: Value) -> Value:
    """All copies share the cells, each takes its own position."""
    data = builder.call(torch.index_select, value.data, at, builder.method("reshape", where.data, (-1,)))
    if not where.axes:
        data = builder.method("select", data, at, 0)
    axes = value.axes[:at] + where.axes + value.axes[at + 1 :]
    return replace(value, data=data, axes=axes, sizes=(*value.sizes[:at], *where.sizes, *value.sizes[at + 1 :]))
