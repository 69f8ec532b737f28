"""SCAN and REDUCE: a LAMBDA that is called for one cell after the other, with what it gave before.

Where all that goes through it is numbers, the steps are a recurrence as that of cells below each other, and one
operation (`ir/scan.py`): the LAMBDA is lowered once for all steps. Else it is lowered step by step.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Protocol

import torch
from torch import Tensor, fx

from sgdsheet.compiler.frontend.blocks import Block
from sgdsheet.compiler.ir.builder import Builder
from sgdsheet.compiler.ir.scan import Before, Scan
from sgdsheet.compiler.ir.values import Kind, Value
from sgdsheet.compiler.scan_recording import NotAlike, RiskyRows, constants, erase, recorded_scan
from sgdsheet.errors import FormulaError, SgdSheetError
from sgdsheet.sheet.syntax import Fold, Node, StepVariable


class Lowering(Protocol):
    """What lowers the formula of a block."""

    block: Block
    array: bool

    @property
    def builder(self) -> Builder: ...

    def lower(self, node: Node, *, array: bool) -> Value:
        """Evaluate a part of the formula."""
        ...

    def with_variables(self, step: Node, variables: Mapping[StepVariable, Value]) -> Value:
        """Evaluate a step for these values of its variables."""
        ...

    def cell_of(self, value: Value, row: int, column: int) -> Value:
        """Give one cell, counted from 0, of an array."""
        ...

    def array_of(self, items: Sequence[Value], height: int, width: int) -> Value:
        """Put values together, row by row, as an array."""
        ...


_MOST = 5_000
"""Steps that are lowered one by one."""

_ABOVE = Before(0, 1)


def lower_fold(lowering: Lowering, node: Fold) -> Value:
    """What the last step gives, or all of them: an array like that of the cells."""
    builder, block = lowering.builder, lowering.block
    start, cells = lowering.lower(node.start, array=lowering.array), lowering.lower(node.array, array=True)
    if block.rows == block.columns == 1 and not builder.generic and not builder.suspicious:
        for risky in (False, True):
            attempt = _AllSteps(lowering, node, start, cells, risky)
            try:
                return attempt.run()
            except RiskyRows:
                continue
            except (NotAlike, SgdSheetError):
                break
            finally:
                erase(builder, attempt.placeholders.values())
    return _step_by_step(lowering, node, start, cells)


class _AllSteps:
    """One attempt to lower all steps at once. With `risky`, what a step gives may be an error."""

    def __init__(self, lowering: Lowering, node: Fold, start: Value, cells: Value, risky: bool) -> None:
        self.lowering, self.node, self.start, self.risky = lowering, node, start, risky
        self.builder, self.count = lowering.builder, node.height * node.width
        self.cells = cells
        self.placeholders: dict[Before, fx.Node] = {}

    def run(self) -> Value:
        builder = self.builder
        for value in (self.start, self.cells):
            if not value.only(Kind.NUMBER) or value.is_bits:
                raise NotAlike
            if not self.risky and not value.constant and builder.domains.may_be_error(value.data):
                raise RiskyRows
        if self.start.axes:
            raise NotAlike
        placeholder = builder.graph.create_node("placeholder", "above", name="above_0_1")
        self.placeholders[_ABOVE] = placeholder
        if self.risky:
            builder.domains.suspect(placeholder)
        column = self._lowered(placeholder)
        if not self.risky and not column.constant and builder.domains.may_be_error(column.data):
            raise RiskyRows
        scan, rest = recorded_scan(builder, self.placeholders, [column.data], self.count, self.lowering.block.name)
        erase(builder, self.placeholders.values())
        self.placeholders.clear()
        first = builder.method("reshape", builder.stored(self.start).data, (-1,))
        known = constants(builder, [first, *rest])
        if known is not None:
            return self._shaped(self._checked(scan, known))
        arguments = builder.attribute(first) if isinstance(first, Tensor) else first
        data = builder.graph.create_node("call_function", scan, (arguments, *rest), name=builder.scope)
        data.meta["area"] = builder.area
        if self.risky:
            builder.domains.suspect(data)
        return self._shaped(Value(builder.method("select", data, 1, 0), "R", (self.count,)))

    def _lowered(self, above: fx.Node | Tensor) -> Value:
        """What the LAMBDA gives at all steps, from what stands above each of them."""
        builder, count = self.builder, self.count
        cells = builder.canonical(builder.stored(self.cells))
        data = builder.method("reshape", cells.data, (count,))
        items = replace(cells.picked(data, "R", (count,), lambda kinds: kinds.reshape((count,))), reference=True)
        value = self.lowering.with_variables(
            self.node.step, {self.node.total: Value(above, "R", (count,)), self.node.item: items}
        )
        value = builder.stored(builder.canonical(value))
        if not value.only(Kind.NUMBER) or value.is_array:
            raise NotAlike
        return builder.expanded(value, "R", (count,))

    def _checked(self, scan: Scan, known: list[Tensor]) -> Value:
        """The steps of constants: solved, and calculated from what is above each. NotAlike where that differs."""
        found = scan(*known)
        column = self._lowered(scan.above(found, known[:1])[0])
        near = torch.isclose(column.tensor, found[:, 0], rtol=1e-13, atol=0.0) | (column.tensor == found[:, 0])
        if not bool((near & found[:, 0].isfinite()).all()):
            raise NotAlike
        return column

    def _shaped(self, column: Value) -> Value:
        builder, node = self.builder, self.node
        if not node.every:
            return Value(builder.method("select", column.data, 0, self.count - 1), "", ())
        pairs = [(axis, size) for axis, size in (("h", node.height), ("w", node.width)) if size > 1]
        sizes = tuple(size for _, size in pairs)
        return Value(builder.method("reshape", column.data, sizes), "".join(axis for axis, _ in pairs), sizes)


def _step_by_step(lowering: Lowering, node: Fold, start: Value, cells: Value) -> Value:
    count = node.height * node.width
    if count > _MOST:
        raise FormulaError(
            f"calls a LAMBDA for {count:,} cells one after the other, which are not all numbers",
            remedy="Put the steps into cells",
        )
    found, before = [], start
    for row in range(node.height):
        for column in range(node.width):
            item = lowering.cell_of(cells, row, column)
            before = lowering.with_variables(node.step, {node.total: before, node.item: item})
            found.append(before)
    return lowering.array_of(found, node.height, node.width) if node.every else before
