"""Spreadsheet values as tensors with named axes, and the builder that records what happens to them.

The cells of a block are evaluated together. A `Value` stands for all of them and has up to four axes:

    R, C   the rows and columns of the block: one position per copy of the formula
    h, w   the rows and columns of the Excel array that each copy works on

An axis of length 1 is left out, so a filled-down column is a vector `R`, a parameter cell a scalar, and
`SUMPRODUCT($A2:$J2, $L$1:$U$1)` filled down a matrix `Rw` times a vector `w`: what one would write by hand.

A Value whose data is a tensor is a *constant*: operations on constants run at once. As soon as a parameter takes
part, the data is a node of a `torch.fx` graph and the operation is recorded.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from enum import IntEnum
from typing import Any

import torch
from torch import Tensor, fx

from sgdsheet.errors import FormulaError

AXES = "RChw"

_TAKE_NUMBERS = frozenset({operator.add, operator.sub, operator.mul, operator.truediv, operator.pow})
"""Operations whose first operand may be a plain number; the others want a tensor there."""

_TAKE_TENSORS = frozenset({torch.maximum, torch.minimum, torch.atan2, torch.logical_and, torch.logical_or})
"""Operations all of whose operands must be tensors."""


class Kind(IntEnum):
    """What a cell holds. Known when compiling: parameters only ever change numbers."""

    NUMBER = 0
    BOOLEAN = 1
    TEXT = 2
    BLANK = 3
    ERROR = 4


Data = Tensor | fx.Node


@dataclass(frozen=True, slots=True)
class Value:
    """All copies of one (sub-)expression of a block.

    `axes` names the dimensions of `data` in order, `sizes` their lengths. `kinds` is one Kind for everything or a
    tensor of kinds as large as the data. Booleans of one uniform kind are stored as torch.bool; otherwise
    everything is a number: 0 for blank, NaN for errors, and for text its index in the builder's `texts`.
    `reference` tells cells from calculated values: SUM and its like ignore text in the former.
    """

    data: Data
    axes: str = ""
    sizes: tuple[int, ...] = ()
    kinds: Kind | Tensor = Kind.NUMBER
    reference: bool = False

    @property
    def constant(self) -> bool:
        return isinstance(self.data, Tensor)

    @property
    def tensor(self) -> Tensor:
        """The data of a constant."""
        assert isinstance(self.data, Tensor)
        return self.data

    def size(self, axis: str) -> int:
        return self.sizes[self.axes.index(axis)] if axis in self.axes else 1

    @property
    def is_array(self) -> bool:
        return "h" in self.axes or "w" in self.axes

    def has(self, *kinds: Kind) -> bool:
        """Whether any cell is of one of these kinds."""
        if isinstance(self.kinds, Tensor):
            return bool(torch.isin(self.kinds, torch.tensor(kinds, dtype=torch.uint8)).any())
        return self.kinds in kinds

    def kind_tensor(self) -> Tensor:
        """The kinds, one per cell."""
        if isinstance(self.kinds, Tensor):
            return self.kinds
        return torch.full(self.sizes, int(self.kinds), dtype=torch.uint8)

    def renamed(self, mapping: dict[str, str]) -> Value:
        """The same data with other names for its axes."""
        return replace(self, axes="".join(mapping.get(axis, axis) for axis in self.axes))


def simplified(kinds: Tensor) -> Kind | Tensor:
    """One Kind where all cells agree."""
    first = int(kinds.flatten()[0]) if kinds.numel() else 0
    return Kind(first) if bool((kinds == first).all()) else kinds


def _contains_node(arguments: Iterable[Any]) -> bool:
    return any(
        isinstance(item, fx.Node) or (isinstance(item, (list, tuple)) and _contains_node(item)) for item in arguments
    )


@dataclass(slots=True)
class Builder:
    """Runs operations on constants and records the others in `graph`.

    `buffers` collects the constants that the graph needs, by name; `scope` is the name of the block being
    lowered and becomes the name of its nodes; `reserved` are names that no buffer may take; `guarded` asks for gradients that stay finite where an error is
    hidden by an IF.
    """

    dtype: torch.dtype = torch.float64
    graph: fx.Graph = field(default_factory=fx.Graph)
    buffers: dict[str, Tensor] = field(default_factory=dict)
    texts: list[str] = field(default_factory=list)
    scope: str = "value"
    guarded: bool = False
    reserved: set[str] = field(default_factory=set)
    _codes: dict[str, int] = field(default_factory=dict)
    _names: dict[int, str] = field(default_factory=dict)
    _attributes: dict[int, fx.Node] = field(default_factory=dict)
    _kept: list[Tensor] = field(default_factory=list)
    _nodes: list[tuple[Tensor, fx.Node]] = field(default_factory=list)

    # --- recording -------------------------------------------------------------------------------------------

    def call(self, function: Callable[..., Any], *arguments: Any, **options: Any) -> Data:
        """Apply a torch function: now if all is constant, else as a node."""
        if not _contains_node(arguments):
            result: Tensor = function(*arguments, **options)
            return result
        # An exported program may import nothing but torch.
        assert function.__module__ is None or function.__module__.partition(".")[0] in ("torch", "_operator"), function
        recorded = tuple(self._argument(item) for item in arguments)
        return self.graph.create_node("call_function", function, recorded, options, name=self.scope)

    def method(self, name: str, data: Data, *arguments: Any, **options: Any) -> Data:
        """Call a method of a tensor: now if it is constant, else as a node."""
        if isinstance(data, Tensor):
            result: Tensor = getattr(data, name)(*arguments, **options)
            return result
        return self.graph.create_node("call_method", name, (data, *arguments), options, name=self.scope)

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
            same = self._same_buffer(tensor)
            if same is not None:
                self._attributes[id(tensor)] = same
                self._kept.append(tensor)
                return same
            base = name = self._names.get(id(tensor), f"{self.scope}_constant")
            number = 1
            while name in self.buffers or name in self.reserved:
                number += 1
                name = f"{base}_{number}"
            self.buffers[name] = tensor.detach().clone(memory_format=torch.contiguous_format)
            self._kept.append(tensor)
            with self.graph.inserting_before(next(iter(self.graph.nodes), None)):
                node = self.graph.get_attr(name)
            self._attributes[id(tensor)] = node
            self._nodes.append((self.buffers[name], node))
        return self._attributes[id(tensor)]

    def _same_buffer(self, tensor: Tensor) -> fx.Node | None:
        """The node of a buffer with the same contents: sheets like to repeat their data."""
        for known, node in self._nodes:
            if known.dtype == tensor.dtype and known.shape == tensor.shape and torch.equal(known, tensor):
                return node
        return None

    # --- constants -------------------------------------------------------------------------------------------

    def number(self, value: float) -> Value:
        return Value(torch.tensor(value, dtype=self.dtype))

    def boolean(self, value: bool) -> Value:
        return Value(torch.tensor(value), kinds=Kind.BOOLEAN)

    def text(self, value: str) -> Value:
        return Value(torch.tensor(self.text_code(value), dtype=self.dtype), kinds=Kind.TEXT)

    def error(self) -> Value:
        return Value(torch.tensor(torch.nan, dtype=self.dtype), kinds=Kind.ERROR)

    def text_code(self, text: str) -> int:
        """The index that stands for a text; Excel compares without regard to case."""
        folded = text.casefold()
        if folded not in self._codes:
            self._codes[folded] = len(self.texts)
            self.texts.append(text)
        return self._codes[folded]

    # --- axes ------------------------------------------------------------------------------------------------

    def union_axes(self, values: Sequence[Value]) -> tuple[str, tuple[int, ...]]:
        """The axes that an elementwise operation on these values has; raises where arrays do not fit."""
        axes = "".join(axis for axis in AXES if any(axis in value.axes for value in values))
        sizes = []
        for axis in axes:
            lengths = {value.size(axis) for value in values if axis in value.axes}
            if len(lengths) > 1:
                shapes = " and ".join(f"{value.size('h')}x{value.size('w')}" for value in values)
                raise FormulaError(f"combines arrays of different sizes ({shapes})", remedy="Make them the same size")
            sizes.append(lengths.pop())
        return axes, tuple(sizes)

    def aligned(self, value: Value, axes: str) -> Data:
        """The data with its dimensions in the order of `axes`, ready to broadcast."""
        data, order = value.data, "".join(axis for axis in axes if axis in value.axes)
        if order != value.axes:
            data = self.method("permute", data, *[value.axes.index(axis) for axis in order])
        for position in range(len(axes) - 1, -1, -1):
            axis = axes[position]
            if axis not in value.axes and any(earlier in value.axes for earlier in axes[:position]):
                dimension = sum(1 for later in axes[position:] if later in value.axes)
                inserted = sum(1 for later in axes[position + 1 :] if later not in value.axes)
                data = self.method("unsqueeze", data, -1 - dimension - inserted)
        return data

    def expanded(self, value: Value, axes: str, sizes: tuple[int, ...]) -> Value:
        """The value repeated so that it has exactly these axes."""
        if value.axes == axes and value.sizes == sizes:
            return value
        data = self.method("expand", self.aligned(value, axes), sizes)
        kinds = value.kinds
        if isinstance(kinds, Tensor):
            carrier = Value(kinds, value.axes, value.sizes)
            aligned = self.aligned(carrier, axes)
            assert isinstance(aligned, Tensor)
            kinds = aligned.expand(sizes).contiguous()
        return replace(value, data=data, axes=axes, sizes=sizes, kinds=kinds)

    # --- coercion --------------------------------------------------------------------------------------------

    def numbers(self, value: Value) -> Value:
        """As arithmetic sees it: blank is 0, TRUE is 1, numeric text its number, other text an error."""
        if not isinstance(value.kinds, Tensor):
            if value.kinds is Kind.BOOLEAN:
                return replace(value, data=self.method("to", value.data, self.dtype), kinds=Kind.NUMBER)
            if value.kinds in (Kind.NUMBER, Kind.BLANK, Kind.ERROR):
                return value if value.kinds is Kind.ERROR else replace(value, kinds=Kind.NUMBER)
            return self._parsed_text(value, value.kind_tensor())
        if not value.has(Kind.TEXT):
            kinds = torch.where(value.kinds == Kind.ERROR, int(Kind.ERROR), int(Kind.NUMBER)).to(torch.uint8)
            return replace(value, kinds=simplified(kinds))
        return self._parsed_text(value, value.kinds)

    def _parsed_text(self, value: Value, kinds: Tensor) -> Value:
        if not isinstance(value.data, Tensor):
            raise FormulaError("calculates with text", remedy="Use numbers in the cells that it reads")
        is_text = kinds == Kind.TEXT
        data = value.data.clone()
        codes = data[is_text]
        data[is_text] = torch.tensor([_text_number(self.texts[int(code)]) for code in codes], dtype=self.dtype)
        bad = (is_text & data.isnan()) | (kinds == Kind.ERROR)
        return replace(value, data=data, kinds=simplified(torch.where(bad, int(Kind.ERROR), 0).to(torch.uint8)))

    def conditions(self, value: Value) -> Value:
        """As IF and AND see it: a number is true unless it is 0."""
        if value.kinds is Kind.BOOLEAN:
            return value
        number = self.numbers(value)
        errors = number.kind_tensor() == Kind.ERROR if number.has(Kind.ERROR) else None
        kinds = Kind.BOOLEAN if errors is None else torch.where(errors, int(Kind.ERROR), int(Kind.BOOLEAN))
        data = self.call(torch.ne, number.data, 0)
        if errors is not None:
            data = self.method("to", data, self.dtype)
            data = self.call(torch.where, errors, torch.tensor(torch.nan, dtype=self.dtype), data)
            assert isinstance(kinds, Tensor)
            kinds = simplified(kinds.to(torch.uint8))
        return replace(number, data=data, kinds=kinds)

    # --- operations ------------------------------------------------------------------------------------------

    def elementwise(self, function: Callable[..., Any], *values: Value, kind: Kind = Kind.NUMBER) -> Value:
        """Apply a torch function cell by cell; an error in any operand is an error in the result."""
        axes, sizes = self.union_axes(values)
        operands: list[Any] = [self.aligned(value, axes) for value in values]
        if not all(value.constant for value in values):
            if function not in _TAKE_TENSORS:
                operands = [operands[0], *map(self._scalar, operands[1:])]
            if function in _TAKE_NUMBERS:
                operands[0] = self._scalar(operands[0])
        data = self.call(function, *operands)
        result = Value(data, axes, sizes, kind)
        return self.with_errors(result, values)

    def _scalar(self, data: Data) -> Data | float:
        """A single constant, written into the program as a number."""
        if isinstance(data, Tensor) and data.dim() == 0:
            return bool(data) if data.dtype == torch.bool else float(data)
        return data

    def with_errors(self, result: Value, values: Sequence[Value]) -> Value:
        """The result with an error wherever one of the values has one."""
        faulty = [value for value in values if value.has(Kind.ERROR)]
        if not faulty:
            return result
        errors = torch.zeros(result.sizes, dtype=torch.bool)
        for value in faulty:
            carrier = Value(value.kind_tensor() == Kind.ERROR, value.axes, value.sizes)
            errors = errors | self.expanded(carrier, result.axes, result.sizes).tensor
        data = result.data
        if result.kinds is Kind.BOOLEAN:
            data = self.method("to", data, self.dtype)
        data = self.call(torch.where, errors, torch.tensor(torch.nan, dtype=self.dtype), data)
        kinds = torch.where(errors, int(Kind.ERROR), result.kind_tensor()).to(torch.uint8)
        return replace(result, data=data, kinds=simplified(kinds))

    def where(self, condition: Value, chosen: Value, other: Value) -> Value:
        """IF, cell by cell. The condition must be boolean."""
        values = (condition, chosen, other)
        axes, sizes = self.union_axes(values)
        kinds = self._chosen_kinds(condition, chosen, other, axes, sizes)
        if chosen.kinds is not Kind.BOOLEAN or other.kinds is not Kind.BOOLEAN:
            chosen, other = self._as_stored(chosen), self._as_stored(other)
        data = self.call(torch.where, *[self.aligned(value, axes) for value in (condition, chosen, other)])
        return Value(data, axes, sizes, kinds)

    def _as_stored(self, value: Value) -> Value:
        if value.kinds is Kind.BOOLEAN:
            return replace(value, data=self.method("to", value.data, self.dtype))
        return value

    def _chosen_kinds(
        self, condition: Value, chosen: Value, other: Value, axes: str, sizes: tuple[int, ...]
    ) -> Kind | Tensor:
        if not isinstance(chosen.kinds, Tensor) and chosen.kinds == other.kinds:
            return chosen.kinds
        first = self.expanded(Value(chosen.kind_tensor(), chosen.axes, chosen.sizes), axes, sizes).tensor
        second = self.expanded(Value(other.kind_tensor(), other.axes, other.sizes), axes, sizes).tensor
        if isinstance(condition.data, Tensor):
            taken = self.expanded(replace(condition, kinds=Kind.NUMBER), axes, sizes).tensor
            return simplified(torch.where(taken, first, second))
        if bool((first == second).all()):
            return simplified(first.contiguous())
        if chosen.has(Kind.TEXT) or other.has(Kind.TEXT):
            raise FormulaError(
                "gives text or a number depending on a parameter", remedy="Let both branches give numbers"
            )
        return Kind.NUMBER

    def reduce(self, function: Callable[..., Any], value: Value, axes: str = "hw") -> Value:
        """Apply a torch reduction such as torch.sum over some axes."""
        over = [value.axes.index(axis) for axis in axes if axis in value.axes]
        if not over:
            return value
        kept = [(axis, size) for axis, size in zip(value.axes, value.sizes, strict=True) if axis not in axes]
        if kept:
            data = self.call(function, value.data, dim=tuple(over) if len(over) > 1 else over[0])
        else:
            data = self.call(function, value.data)
        reduced = Value(data, "".join(axis for axis, _ in kept), tuple(size for _, size in kept))
        if value.has(Kind.ERROR):
            errors = (value.kind_tensor() == Kind.ERROR).amax(dim=tuple(over))
            reduced = replace(reduced, kinds=simplified(torch.where(errors, int(Kind.ERROR), 0).to(torch.uint8)))
        return reduced

    def contract(self, left: Value, right: Value, over: str) -> Value:
        """Multiply and sum over some axes: a matrix product where the axes allow it."""
        if left.has(Kind.ERROR) or right.has(Kind.ERROR):
            return self.reduce(torch.sum, self.elementwise(torch.mul, left, right), over)
        common = "".join(axis for axis in over if axis in left.axes and axis in right.axes)
        self.union_axes([_only(left, common), _only(right, common)])
        alone = "".join(axis for axis in over if axis not in common)
        left, right = self.reduce(torch.sum, left, alone), self.reduce(torch.sum, right, alone)
        shared = set(left.axes) & set(right.axes) - set(over)
        if shared or not common:
            return self.reduce(torch.sum, self.elementwise(torch.mul, left, right), over)
        return self._matrix_product(left, right, common)

    def _matrix_product(self, left: Value, right: Value, over: str) -> Value:
        kept = [
            [(axis, size) for axis, size in zip(value.axes, value.sizes, strict=True) if axis not in over]
            for value in (left, right)
        ]
        axes = "".join(axis for part in kept for axis, _ in part)
        sizes = tuple(size for part in kept for _, size in part)
        if len(over) == 1 and len(kept[0]) <= 1 and len(kept[1]) <= 1:
            first = self._ordered(left, kept[0], over, last=True)
            second = self._ordered(right, kept[1], over, last=False)
            return Value(self.call(torch.matmul, first, second), axes, sizes)
        dims = ([left.axes.index(axis) for axis in over], [right.axes.index(axis) for axis in over])
        return Value(self.call(torch.tensordot, left.data, right.data, dims=dims), axes, sizes)

    def _ordered(self, value: Value, kept: list[tuple[str, int]], over: str, *, last: bool) -> Data:
        """A matrix with the axis to be summed at the end (left factor) or at the start (right factor)."""
        order = kept[0][0] + over if kept and last else over + (kept[0][0] if kept else "")
        if order == value.axes:
            return value.data
        return self.method("t", value.data)

    def canonical(self, value: Value) -> Value:
        """The value with its axes in the order R, C, h, w."""
        axes = "".join(axis for axis in AXES if axis in value.axes)
        if axes == value.axes:
            return value
        order = [value.axes.index(axis) for axis in axes]
        kinds = value.kinds.permute(order) if isinstance(value.kinds, Tensor) else value.kinds
        sizes = tuple(value.sizes[index] for index in order)
        return replace(value, data=self.method("permute", value.data, *order), axes=axes, sizes=sizes, kinds=kinds)


def _only(value: Value, axes: str) -> Value:
    pairs = [(axis, size) for axis, size in zip(value.axes, value.sizes, strict=True) if axis in axes]
    return replace(value, axes="".join(a for a, _ in pairs), sizes=tuple(s for _, s in pairs), kinds=Kind.NUMBER)


def _text_number(text: str) -> float:
    """The number that arithmetic reads from text, NaN if there is none."""
    text = text.strip()
    try:
        if text.endswith("%"):
            return float(text[:-1]) / 100
        return float(text) if text[:1] in "+-.0123456789" and text else float("nan")
    except ValueError:
        return float("nan")
