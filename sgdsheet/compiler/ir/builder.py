"""What may happen to values: coercion as Excel does it, errors that spread, operations cell by cell and sums.

An error is NaN in the data. It must not leak through the gradient of what an IF hides: a gradient of 0 times NaN
is NaN. Therefore whatever makes an error cuts the gradient there, and so does `elementwise` for the other
operands.
"""

from __future__ import annotations

import math
import operator
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple

import torch
from torch import Tensor, fx

from sgdsheet.compiler.ir.numerals import text_number
from sgdsheet.compiler.ir.recording import TAKE_NUMBERS, TAKE_TENSORS, Data, Recorder
from sgdsheet.compiler.ir.tracing import is_operation
from sgdsheet.compiler.ir.values import UNSETTLED, Fault, Kind, Value, fault_codes, refuse_large, simplified
from sgdsheet.errors import FormulaError
from sgdsheet.sheet.excel_calendar import Calendar
from sgdsheet.system import memory

_SHARE = frozenset({torch.amax, torch.amin, torch.prod})
"""Reductions in which the gradient of one element depends on the others."""

_ADD = frozenset({operator.add, operator.sub, operator.neg})
"""Operations whose gradients do not depend on their operands."""

_PLAIN = re.compile(r"[A-Za-z0-9 ]*")
_TRUTHS = {"true": 1.0, "false": 0.0}

_COPIES = 3
"""How many times the memory of a tensor's numbers training takes: what is kept to go back, its gradient, and what comes
and goes."""

AXES = "RChwkl"
"""The axes in their order; k is what a matrix product sums over, k and l what a convolution does."""


class _Choice(NamedTuple):
    """Values of different kinds of which a condition chooses while the program runs."""

    condition: Value
    branches: tuple[Value, Value]
    axes: str
    sizes: tuple[int, ...]


@dataclass(slots=True)
class Builder(Recorder):
    """Records what happens to `Value`s. `texts` are the texts that occur, by their index; `kept` is the size of all
    results that depend on parameters. `unsure` says that some of them are a number or TRUE or FALSE, and which is not
    recorded. `of_batch` says that a function over the samples of a batch is lowered: what it sums up of constants is
    recorded, for other batches; `counts_samples` that some divide by how many of these are numbers. `calendar` says how
    texts are read as dates."""

    texts: list[str] = field(default_factory=list)
    kept: int = 0
    unsure: bool = False
    of_batch: bool = False
    counts_samples: bool = False
    calendar: Calendar = field(default_factory=Calendar)
    _codes: dict[str, int] = field(default_factory=dict)
    _choices: dict[fx.Node, _Choice] = field(default_factory=dict)
    _merged: dict[fx.Node, bool] = field(default_factory=dict)
    """Nodes of which it is known whether they merge errors with what has a gradient, see `_is_merged`."""

    # --- constants ----------------------------------------------------------------------------------------

    def number(self, value: float) -> Value:
        return Value(torch.tensor(value, dtype=self.dtype))

    def boolean(self, value: bool) -> Value:
        return Value(torch.tensor(value), kinds=Kind.BOOLEAN)

    def text(self, value: str) -> Value:
        return Value(torch.tensor(self.text_code(value), dtype=self.dtype), kinds=Kind.TEXT)

    def error(self, fault: Fault) -> Value:
        return Value(torch.tensor(fault.nan, dtype=self.dtype), kinds=Kind.ERROR)

    def text_code(self, text: str) -> int:
        """The index that stands for a text."""
        if text not in self._codes:
            self._codes[text] = len(self.texts)
            self.texts.append(text)
        return self._codes[text]

    def ranks(self) -> Tensor:
        """The place of each text, by its index, in the order of all texts: Excel compares without regard to case."""
        folded = [text.casefold() for text in self.texts]
        places = {text: place for place, text in enumerate(sorted(set(folded)))}
        return torch.tensor([places[text] for text in folded], dtype=self.dtype)

    def check_order(self, *values: Value) -> None:
        """Raise FormulaError for texts whose order depends on the country: only letters, digits and spaces are plain.

        A single text has no order.
        """
        codes = [value.tensor[value.kind_tensor() == Kind.TEXT] for value in values if value.constant]
        texts = [self.texts[code] for code in torch.cat(codes).unique().long().tolist()] if codes else []
        strange = next((text for text in texts if not _PLAIN.fullmatch(text)), None)
        if strange is not None and len(texts) > 1:
            raise FormulaError(
                f"asks for the alphabetical order of the text “{strange}”, which differs from country to country",
                remedy="Compare numbers, or texts of plain letters and digits",
            )

    # --- axes ---------------------------------------------------------------------------------------------

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
        refuse_large(math.prod(sizes))
        return axes, tuple(sizes)

    def fitted(self, *values: Value) -> list[Value]:
        """Arrays of different sizes with #N/A where one of them has no cell, as `{1,2,3}+{1,2}` is `{2,4,#N/A}`.

        One row or column alone is repeated.
        """
        fitting = list(values)
        for axis in "hw":
            longest = max(value.size(axis) for value in fitting)
            if any(1 < value.size(axis) < longest for value in fitting):
                fitting = [self.lengthened(value, axis, longest) for value in fitting]
        return fitting

    def lengthened(self, value: Value, axis: str, length: int) -> Value:
        """An array with #N/A behind its last row or column, up to a length; one without this axis stays."""
        missing = length - value.size(axis)
        if axis not in value.axes or not missing:
            return value
        whole, at = self.stored(value), value.axes.index(axis)
        sizes = (*value.sizes[:at], missing, *value.sizes[at + 1 :])
        refuse_large(math.prod(value.sizes) + math.prod(sizes))
        data = self.call(torch.cat, [whole.data, torch.full(sizes, Fault.NA.nan, dtype=self.dtype)], dim=at)
        kinds = torch.cat([value.kind_tensor(), torch.full(sizes, int(Kind.ERROR), dtype=torch.uint8)], dim=at)
        found = Value(data, value.axes, tuple(kinds.shape), reference=value.reference)
        return found.with_kinds(kinds)

    def count(self, result: Value) -> Value:
        """Take note of a result that training keeps until it has gone back; FormulaError if all do not fit."""
        if result.constant:
            return result
        self.kept += math.prod(result.sizes)
        size = self.kept * self.dtype.itemsize * _COPIES
        if size > memory.room():
            raise FormulaError(
                f"is one too many: with those before it, it needs some {memory.gigabytes(size)} of memory, and"
                f" {memory.gigabytes(memory.room())} are to be had",
                remedy="Use smaller ranges",
            )
        return result

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

    # --- coercion -----------------------------------------------------------------------------------------

    def stored(self, value: Value) -> Value:
        """The value with its booleans stored as numbers."""
        if not value.is_bits:
            return value
        return replace(value, data=self.method("to", value.data, self.dtype), wide=True)

    def numbers(self, value: Value) -> Value:
        """The value as arithmetic sees it: blank is 0, TRUE is 1, numeric text its number, other text an error."""
        if value.has(Kind.TEXT):
            return self._parsed_text(value)
        if isinstance(value.kinds, Tensor):
            kinds = torch.where(value.kinds == Kind.ERROR, int(Kind.ERROR), int(Kind.NUMBER)).to(torch.uint8)
            return value.with_kinds(kinds)
        if value.kinds in (Kind.NUMBER, Kind.ERROR):
            return value
        return self.stored(value).with_kinds(Kind.NUMBER)

    def _parsed_text(self, value: Value) -> Value:
        if not isinstance(value.data, Tensor):
            raise FormulaError("calculates with text", remedy="Use numbers in the cells that it reads")
        kinds = value.kind_tensor()
        is_text = kinds == Kind.TEXT
        data = value.data.clone()
        parsed = [text_number(self.texts[int(code)], calendar=self.calendar) for code in data[is_text]]
        data[is_text] = torch.tensor(
            [Fault.VALUE.nan if number is None else number for number in parsed], dtype=self.dtype
        )
        return replace(value, data=data).with_kinds(torch.where(data.isnan(), int(Kind.ERROR), 0).to(torch.uint8))

    def truths(self, value: Value) -> Value:
        """The value as a condition is read: of texts only “TRUE” and “FALSE” say something, the others are #VALUE!."""
        if not value.has(Kind.TEXT) or not isinstance(value.data, Tensor):
            return value
        kinds, data = value.kind_tensor(), value.data.clone()
        is_text = kinds == Kind.TEXT
        said = [_TRUTHS.get(self.texts[int(code)].casefold(), Fault.VALUE.nan) for code in data[is_text]]
        data[is_text] = torch.tensor(said, dtype=self.dtype)
        return replace(value, data=data).with_kinds(torch.where(data.isnan(), int(Kind.ERROR), 0).to(torch.uint8))

    def conditions(self, value: Value) -> Value:
        """The value as IF and AND see it: a number is true unless it is 0. `errors_of` the value tells its errors."""
        if value.is_bits:
            return value
        number = self.numbers(value)
        return Value(self.call(torch.ne, number.data, 0), value.axes, value.sizes, Kind.BOOLEAN)

    # --- errors -------------------------------------------------------------------------------------------

    def always(self, value: Value, test: Callable[[Tensor], Tensor]) -> bool:
        """Whether a constant passes a test in all its entries, whichever samples it stands for."""
        settled = value.constant and (not self.generic or value.tensor.numel() == 1)
        return settled and bool(test(value.tensor).all())

    def errors_of(self, value: Value) -> Value | None:
        """Which entries of the value are errors (text that is no number apart); None if none can be.

        Of a constant, the errors themselves among zeros; of what depends on a parameter, where they are. For
        `conditions` both are the same.
        """
        if not value.constant and self.domains.may_be_error(value.data):
            return Value(self.call(torch.isnan, value.data), value.axes, value.sizes, Kind.BOOLEAN)
        if not value.has(Kind.ERROR):
            return None
        known = value.kind_tensor() == Kind.ERROR
        if not value.constant:
            return Value(known, value.axes, value.sizes, Kind.BOOLEAN)
        return Value(torch.where(known, value.tensor.to(self.dtype), 0.0), value.axes, value.sizes)

    def spoiled(self, result: Value, errors: Value | None, fault: Fault | None = None) -> Value:
        """The result with an error wherever `errors` has one, or says so: this `fault`, or an unknown one."""
        if errors is None:
            return result
        there = self.conditions(errors)
        axes, sizes = self.union_axes([result, there])
        result = self.expanded(self.stored(result), axes, sizes)
        error: Data | float = torch.nan
        if result.constant and there.constant:
            unknown = torch.tensor(torch.nan if fault is None else fault.nan, dtype=self.dtype)
            error = unknown if errors.is_bits else self.aligned(errors, axes)
        data = self.call(torch.where, self.aligned(there, axes), error, result.data)
        self._keep_choice(result.data, data)
        if not there.constant:
            return replace(result, data=data)
        if not self.domains.may_be_error(result.data):
            self.domains.forgive(data)  # the kinds tell where these errors are
        kinds = torch.where(self.expanded(there, axes, sizes).tensor, int(Kind.ERROR), result.kind_tensor())
        return replace(result, data=data).with_kinds(kinds.to(torch.uint8))

    def _keep_choice(self, before: Data, after: Data) -> None:
        """What was known of a choice is known of the same values with errors among them."""
        if isinstance(before, fx.Node) and isinstance(after, fx.Node) and before in self._choices:
            self._choices[after] = self._choices[before]

    def with_errors(self, result: Value, values: Sequence[Value]) -> Value:
        """The result with an error wherever one of the values is known to have one: that of the first that has."""
        for value in reversed(values):
            if value.has(Kind.ERROR):
                known = Value(value.kind_tensor() == Kind.ERROR, value.axes, value.sizes, Kind.BOOLEAN)
                result = self.spoiled(result, self.errors_of(value) if value.constant else known)
        return result

    def any_error(self, errors: Value, axes: str = "hw") -> Value:
        """Errors as `errors_of` gives them, of a whole array at once: the first, row by row."""
        over = "".join(axis for axis in axes if axis in errors.axes)
        if errors.is_bits or not over:
            return self.reduced_bits(torch.any, errors, over) if over else errors
        kept = [(axis, size) for axis, size in zip(errors.axes, errors.sizes, strict=True) if axis not in over]
        order = [errors.axes.index(axis) for axis in "".join(axis for axis, _ in kept) + over]
        sizes = tuple(size for _, size in kept)
        rows = errors.tensor.permute(order).reshape(*sizes, -1)
        first = rows.isnan().to(torch.uint8).argmax(-1, keepdim=True)
        return Value(rows.gather(-1, first).squeeze(-1), "".join(axis for axis, _ in kept), sizes)

    def checked(self, result: Value) -> Value:
        """A calculated constant with an error wherever it is not a finite number: #NUM!, or the one that it says."""
        if not result.constant or result.kinds is not Kind.NUMBER:
            return result
        bad = ~result.tensor.isfinite()
        if not bool(bad.any()):
            return result
        said = result.tensor.isnan() & (fault_codes(result.tensor) != 0)
        errors = torch.where(said, result.tensor, Fault.NUM.nan).to(self.dtype)
        return self.spoiled(result, Value(torch.where(bad, errors, 0.0), result.axes, result.sizes))

    # --- operations ---------------------------------------------------------------------------------------

    def elementwise(self, function: Callable[..., Any], *values: Value, kind: Kind = Kind.NUMBER) -> Value:
        """Apply a torch function cell by cell; an error in any operand is an error in the result."""
        axes, sizes = self.union_axes(values)
        settled = [self._settled(function, value, values) for value in values]
        operands: list[Any] = [self.aligned(value, axes) for value in settled]
        if not all(value.constant for value in values):
            if function not in TAKE_TENSORS and is_operation(function):
                operands = [operands[0], *map(self._scalar, operands[1:])]
            # Python reads `-2.0 ** x` as -(2.0**x).
            if function in TAKE_NUMBERS and not (function is operator.pow and self.domains.at_least(operands[0]) < 0):
                operands[0] = self._scalar(operands[0])
        result = self.count(Value(self.call(function, *operands), axes, sizes, kind))
        self._note_merging(function, result.data, values)
        return self.with_errors(self.checked(result), values)

    def _settled(self, function: Callable[..., Any], value: Value, values: Sequence[Value]) -> Value:
        """An operand without known errors, and without a gradient where the derivative would be NaN.

        It would leak out of an IF that hides the error. The derivative of a product is the other factor; for others see
        `_is_merged`.
        """
        if value.constant:
            return self.cleaned(value)
        if function in _ADD:
            return value
        for other in values:
            own = other is value
            linear = function is operator.mul or (function is operator.truediv and value is values[0])
            if other.constant or (own and (linear or not self._is_merged(value.data))):
                continue
            errors = self.errors_of(other)
            if errors is not None:
                value = self.where(errors, replace(value, data=self.method("detach", value.data)), value)
        return value

    def _note_merging(self, function: Callable[..., Any], result: Data, values: Sequence[Value]) -> None:
        """Take note of sums of what depends on parameters with what may be an error, and of what cuts errors off."""
        if not isinstance(result, fx.Node):
            return
        live = [value for value in values if not value.constant]
        if function in _ADD and len(live) > 1 and any(self.domains.may_be_error(value.data) for value in live):
            self._merged[result] = True
        elif function not in _ADD and function not in (operator.mul, operator.truediv):
            self._merged[result] = False

    def _is_merged(self, data: Data) -> bool:
        """Whether errors among the data may come from a sum whose other parts have a gradient.

        Where an error was made, no gradient passes. But the derivative of TANH, say, is NaN where its operand is: with
        an operand like LN(A1)-A2 that would reach A2, although an IFERROR may hide the error.
        """
        waiting = [data] if isinstance(data, fx.Node) else []
        seen: set[fx.Node] = set()
        while waiting:
            node = waiting.pop()
            if self._merged.get(node, False):
                return True
            if node not in self._merged and self.domains.may_be_error(node):
                fresh = [item for item in node.all_input_nodes if item not in seen]
                seen.update(fresh)
                waiting += fresh
        return False

    def cleaned(self, value: Value) -> Value:
        """The value with the number 1 in the place of its errors."""
        errors = self.errors_of(value)
        if errors is None:
            return value
        data = self.call(torch.where, self.conditions(errors).data, 1.0, value.data)
        self.domains.forgive(data)
        kinds = torch.where(value.kind_tensor() == Kind.ERROR, int(Kind.NUMBER), value.kind_tensor())
        return replace(value, data=data).with_kinds(kinds.to(torch.uint8))

    def _scalar(self, data: Data) -> Data | float:
        """A single constant, written into the program as a number."""
        if isinstance(data, Tensor) and data.dim() == 0:
            return bool(data) if data.dtype == torch.bool else float(data)
        return data

    def where(self, condition: Value, chosen: Value, other: Value) -> Value:
        """IF, cell by cell; an error in the condition is an error in the result."""
        condition, chosen, other = self.fitted(condition, chosen, other)
        errors = None if condition.is_bits else self.errors_of(condition)
        condition = self.conditions(condition)
        values = (condition, chosen, other)
        axes, sizes = self.union_axes(values)
        kinds = self._chosen_kinds(condition, chosen, other, axes, sizes)
        branches = chosen, other
        if not (chosen.is_bits and other.is_bits):
            chosen, other = self.stored(chosen), self.stored(other)
        data = self.call(torch.where, *[self.aligned(value, axes) for value in (condition, chosen, other)])
        if chosen.has(Kind.ERROR) or other.has(Kind.ERROR):
            self.domains.suspect(data)
        found = self.count(Value(data, axes, sizes, kinds, wide=kinds is Kind.BOOLEAN and not chosen.is_bits))
        if isinstance(data, fx.Node) and found.has(*UNSETTLED):
            self._choices[data] = _Choice(condition, branches, axes, sizes)
        return self.spoiled(found, errors)

    def no_number(self, value: Value) -> Value | None:
        """Where a choice came out as TRUE, FALSE or nothing in place of a number; None if nobody knows any more.

        It is known of the choice itself, and of a block of cells that is read as a whole.
        """
        choice = self._choices.get(value.data) if isinstance(value.data, fx.Node) else None
        if choice is None:
            return None
        masks: list[Value] = []
        for branch in choice.branches:
            kinds = branch.kind_tensor()
            settled = (kinds == Kind.BOOLEAN) | (kinds == Kind.BLANK)
            mask = Value(settled, branch.axes, branch.sizes, Kind.BOOLEAN)
            known = self.no_number(branch) if branch.has(*UNSETTLED) else mask
            if known is None:
                return None
            masks.append(known)
        operands = (choice.condition, *masks)
        axes, sizes = self.union_axes(operands)
        data = self.call(torch.where, *[self.aligned(item, axes) for item in operands])
        whole = self.expanded(Value(data, axes, sizes, Kind.BOOLEAN), choice.axes, choice.sizes)
        return replace(whole, axes=value.axes)  # the same dimensions: cells are read under other names

    def _chosen_kinds(
        self, condition: Value, chosen: Value, other: Value, axes: str, sizes: tuple[int, ...]
    ) -> Kind | Tensor:
        if isinstance(chosen.kinds, Kind) and other.only(chosen.kinds):
            return chosen.kinds
        first = self.expanded(Value(chosen.kind_tensor(), chosen.axes, chosen.sizes), axes, sizes).tensor
        second = self.expanded(Value(other.kind_tensor(), other.axes, other.sizes), axes, sizes).tensor
        if isinstance(condition.data, Tensor):
            taken = self.expanded(replace(condition, kinds=Kind.NUMBER), axes, sizes).tensor
            chosen_kinds = torch.where(taken, first, second)
            return chosen_kinds if self.generic and axes else simplified(chosen_kinds)  # other samples choose otherwise
        if bool((first == second).all()):
            return simplified(first.contiguous())
        if chosen.has(Kind.TEXT) or other.has(Kind.TEXT):
            raise FormulaError(
                "gives text or a number depending on a parameter", remedy="Let both branches give numbers"
            )
        places = [self._unsettled(value, kind, axes, sizes) for value, kind in ((chosen, first), (other, second))]
        alike = (first == second) & (first != Kind.ERROR)
        kinds = torch.where(alike, first, torch.maximum(*places)).to(torch.uint8)
        self.unsure |= bool((kinds >= Kind.MAYBE_FALSE).any())
        return simplified(kinds)

    def _unsettled(self, value: Value, kinds: Tensor, axes: str, sizes: tuple[int, ...]) -> Tensor:
        """The kinds that a choice has where this branch is of `kinds`, and the other one's are others."""
        found = torch.where(kinds >= Kind.MAYBE_BLANK, kinds, int(Kind.NUMBER))
        found = torch.where(kinds == Kind.BLANK, int(Kind.MAYBE_BLANK), found)
        truth: Tensor | bool = True
        if value.constant:
            truth = self.expanded(replace(self.stored(value), kinds=Kind.NUMBER), axes, sizes).tensor != 0
        boolean = torch.where(torch.as_tensor(truth), int(Kind.MAYBE_TRUE), int(Kind.MAYBE_FALSE))
        return torch.where(kinds == Kind.BOOLEAN, boolean, found)

    def reduce(self, function: Callable[..., Any], value: Value, axes: str = "hw") -> Value:
        """Apply a torch reduction such as torch.sum over some axes."""
        over = [value.axes.index(axis) for axis in axes if axis in value.axes]
        if not over:
            return value
        if self.of_batch and value.constant:
            value = replace(value, data=self.attribute(value.tensor))
        if (function in _SHARE or value.constant) and (errors := self.errors_of(value)) is not None:
            clean = self.reduce(function, self.cleaned(value), axes)
            return self.spoiled(clean, self.any_error(errors, axes))
        kept = [(axis, size) for axis, size in zip(value.axes, value.sizes, strict=True) if axis not in axes]
        if kept:
            data = self.call(function, value.data, dim=tuple(over) if len(over) > 1 else over[0])
        else:
            data = self.call(function, value.data)
        reduced = Value(data, "".join(axis for axis, _ in kept), tuple(size for _, size in kept))
        if value.has(Kind.ERROR):
            bad = (value.kind_tensor() == Kind.ERROR).amax(dim=tuple(over))
            reduced = reduced.with_kinds(torch.where(bad, int(Kind.ERROR), 0).to(torch.uint8))
        return reduced

    def reduced_bits(self, function: Callable[..., Any], value: Value, axes: str = "wh") -> Value:
        """torch.any or torch.all over the array of each copy."""
        for axis in axes:
            value = replace(self.reduce(function, value, axis), kinds=Kind.BOOLEAN)
        return value

    def canonical(self, value: Value) -> Value:
        """The value with its axes in the order R, C, h, w."""
        axes = "".join(axis for axis in AXES if axis in value.axes)
        if axes == value.axes:
            return value
        order = [value.axes.index(axis) for axis in axes]
        kinds = value.kinds.permute(order) if isinstance(value.kinds, Tensor) else value.kinds
        sizes = tuple(value.sizes[index] for index in order)
        return replace(value, data=self.method("permute", value.data, *order), axes=axes, sizes=sizes, kinds=kinds)
