"""From a block's formula to torch operations."""

from __future__ import annotations

import itertools
import operator
import re
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

import torch
from torch import fx

from sgdsheet.compiler.frontend.blocks import Block, bounding_range, halves, single_copies, uncrossed
from sgdsheet.compiler.functions import REGISTRY
from sgdsheet.compiler.functions.absent import ABSENT
from sgdsheet.compiler.functions.literal_errors import literal_error
from sgdsheet.compiler.functions.operators import BINARY, COMPARISONS, UNARY, cancelled, compare
from sgdsheet.compiler.functions.picking import gathered
from sgdsheet.compiler.functions.plain import value_of_cells
from sgdsheet.compiler.functions.registry import Takes
from sgdsheet.compiler.functions.toolpak import refuses_range
from sgdsheet.compiler.functions.vanishing import is_whole
from sgdsheet.compiler.ir.builder import Builder
from sgdsheet.compiler.ir.values import MOST_CELLS, Fault, Kind, Value, simplified
from sgdsheet.compiler.ir.varying import varying
from sgdsheet.compiler.lambda_steps import lower_fold
from sgdsheet.compiler.regions import Regions, cut
from sgdsheet.errors import FormulaError, SgdSheetError, UnsupportedFunction
from sgdsheet.sheet.formula import formula_text, in_parentheses, parse
from sgdsheet.sheet.references import MAX_COLUMN, MAX_ROW, Cell
from sgdsheet.sheet.syntax import (
    Affine,
    Area,
    ArrayConstant,
    Binary,
    Boolean,
    Call,
    Chain,
    Element,
    ErrorConstant,
    Fold,
    Node,
    NotSupported,
    Number,
    Omitted,
    PartialArea,
    Picked,
    Shared,
    StepVariable,
    Text,
    Unary,
    Union,
    transform,
    walk,
)
from sgdsheet.sheet.workbook import Formula


class Uneven(FormulaError):
    """A formula of which some copies have to be lowered otherwise than others."""


def lower_block(block: Block, regions: Regions) -> Value:
    """Lower one block and let its result stand for its cells.

    Returns the result as a region (axes r and c). Raises FormulaError, with the block's first cell, for
    whatever cannot be compiled.
    """
    builder = regions.builder
    builder.scope, builder.area = f"{block.name}_1", block.range
    try:
        if block.error is not None:
            raise block.error
        lowering = BlockLowering(block, regions)
        lowering.check_deciders()
        value = lowering.result()
        result = _as_region(builder, block, _filled(value))
    except RecursionError:
        raise FormulaError(
            "the formula is nested too deep", cell=block.range.first, remedy="Put parts of it into cells"
        ) from None
    except SgdSheetError as error:
        if error.cell is not None:
            raise
        if isinstance(error, UnsupportedFunction):
            raise UnsupportedFunction(
                error.function, error.cause, cell=block.range.first, remedy=error.remedy
            ) from error
        raise type(error)(f"the formula {error.cause}", cell=block.range.first, remedy=error.remedy) from error
    except Exception as error:  # a fault of ours costs the cells of this formula, not the workbook
        raise FormulaError(
            f"the formula cannot be calculated: a fault of sgdsheet ({type(error).__name__})",
            cell=block.range.first,
            remedy="Please tell us the formula",
        ) from error
    if isinstance(result.data, fx.Node) and result.data.name.startswith(f"{block.name}_"):
        result.data._rename(block.name)  # the last operation bears the block's own name
    regions.provide(block.range, result)
    return result


def separated(block: Block) -> list[Block]:
    """The block, or its copies one by one where they work on arrays of different sizes.

    `SUM($A$1:A5)` filled down is lowered as one, with blanks beyond each copy's range; `ROWS($A$1:A5)` and
    `SUMPRODUCT($A$1:A5+1)` would see the blanks.
    """
    return [part for piece in uncrossed(block) for part in _fitting(piece)]


def _fitting(block: Block) -> list[Block]:
    """The block, or its copies one by one, for `separated`."""
    if block.rows == block.columns == 1:
        return [block]
    ragged = [part for part in walk(block.tree) if isinstance(part, Area) and _is_ragged(part, block)]
    cells = sum(bounding_range(area, block.rows, block.columns).size for area in ragged)
    too_many = cells * block.rows * block.columns > MOST_CELLS
    if not ragged:
        return [block]
    if any(_is_ragged(part, block) for part in _strict(block.tree)):
        return single_copies(block)
    return [part for half in halves(block) for part in _fitting(half)] if too_many else [block]


def _strict(node: Node) -> Iterator[Area]:
    """The references of a formula that must not be lengthened by blanks."""
    skipped = {
        id(part)
        for call in walk(node)
        if isinstance(call, Call) and _skips_blanks(call)
        for place, part in enumerate(call.arguments)
        if isinstance(part, Area) and _may_be_longer(call, place)
    }
    for part in walk(node):
        if isinstance(part, Area) and id(part) not in skipped:
            yield part


def _may_be_longer(call: Call, place: int) -> bool:
    """Whether a function that skips blanks does so in this argument: not in one of which it takes a single cell."""
    found = REGISTRY[call.name]
    return place not in found.single_arguments and (not found.range_arguments or place in found.range_arguments)


def _skips_blanks(call: Call) -> bool:
    """Whether blanks at the end of its ranges make no difference: not where these have to be of one size."""
    found = REGISTRY.get(call.name)
    if found is None or not found.skips_blanks:
        return False
    areas = [item for item in call.arguments if isinstance(item, Area)]
    if found.range_arguments:  # of one size each, or a formula has #VALUE!
        ranges = [item for place, item in enumerate(call.arguments) if place in found.range_arguments]
        known = [_lengths(item) for item in ranges if isinstance(item, Area)]
        return len(known) == len(ranges) and len(set(known)) == 1
    alike = found.takes is not Takes.ARRAYS or len(call.arguments) == 1 or len(areas) == len(call.arguments)
    return alike and (found.takes is not Takes.ARRAYS or len({_lengths(area) for area in areas}) <= 1)


def _lengths(area: Area) -> tuple[tuple[int, ...], ...]:
    """Rows and columns of a reference, and how they change from copy to copy."""
    pairs = ((area.top, area.bottom), (area.left, area.right))
    return tuple(tuple(last - first for first, last in zip(start, end, strict=True)) for start, end in pairs)


def _is_ragged(area: Area, block: Block) -> bool:
    """Whether the range has another size for each copy of the formula."""
    last = block.rows - 1, block.columns - 1
    return any(
        end.at(*last) - start.at(*last) != end.base - start.base
        for start, end in ((area.top, area.bottom), (area.left, area.right))
    )


def unsupported(function: str, cell: Cell | None = None, on_the_way: bool = True) -> UnsupportedFunction:
    """The error for a function that is not in the registry."""
    where = " on the way from the parameters to the loss" if on_the_way else ""
    remedy = "Rewrite it with functions that “sgdsheet functions” lists; what is constant may stand in its own cell"
    if not on_the_way:
        remedy = "The cell keeps its saved value until a spreadsheet recalculates it"
    known = ABSENT.get(function)
    reason = "" if known is None else f": {known.reason}"
    if known is not None and known.frozen:
        remedy = "Copy its cells and paste them as values"
    return UnsupportedFunction(function, f"{function} is not supported{where}{reason}", cell=cell, remedy=remedy)


def _filled(value: Value) -> Value:
    """A formula never leaves its cell blank: what it reads from a blank cell is 0."""
    if not value.has(Kind.BLANK, Kind.MAYBE_BLANK):
        return value
    kinds = value.kind_tensor()
    blank = (kinds == Kind.BLANK) | (kinds == Kind.MAYBE_BLANK)
    return value.with_kinds(torch.where(blank, int(Kind.NUMBER), kinds).to(torch.uint8))


def _as_region(builder: Builder, block: Block, value: Value) -> Value:
    """Put the copies' results side by side: axes R and h become r, C and w become c."""
    if block.range.size > MOST_CELLS:
        raise FormulaError(f"fills {block.range.size:,} cells, more than can be handled", remedy="Make it smaller")
    axes, sizes = [], []
    for axis, size in (("R", block.rows), ("C", block.columns), ("h", block.height), ("w", block.width)):
        found = value.size(axis)
        if axis in "hw" and found > size:
            value = cut(builder, value, axis, 0, size)  # it shows as much of its array as it has cells
        elif found not in (1, size):
            value = builder.lengthened(value, axis, size)  # beyond its array there is #N/A
        if size > 1:
            axes.append(axis)
            sizes.append(size)
    value = builder.expanded(builder.canonical(value), "".join(axes), tuple(sizes))
    # Their own axes, in an order that is not that of rows and columns: `{=$B5:$B8*C3}` filled across has C before h.
    if {"R", "h"} <= set(axes) or {"C", "w"} <= set(axes) or axes == ["C", "h"]:
        return _interleaved(builder, block, value)
    return value.renamed({"R": "r", "h": "r", "C": "c", "w": "c"})


def _interleaved(builder: Builder, block: Block, value: Value) -> Value:
    order = [axis for axis in "RhCw" if axis in value.axes]
    places = [value.axes.index(axis) for axis in order]
    sizes = (block.rows * block.height, block.columns * block.width)
    axes = "".join(axis for axis, size in zip("rc", sizes, strict=True) if size > 1)
    shape = tuple(size for size in sizes if size > 1)
    data = value.data
    if places != sorted(places):
        data = builder.method("permute", data, *places)
    data = builder.method("reshape", data, shape)
    return value.picked(data, axes, shape, lambda kinds: kinds.permute(places).reshape(shape))


def _is_call(formula: Formula, names: Collection[str]) -> bool:
    """Whether a formula is a call of one of some functions. FormulaError if it calls one within something else."""
    if not any(f"{name}(" in formula.text.upper() for name in names):
        return False
    tree = parse(formula.text, formula.row, formula.column)
    if isinstance(tree, Call) and tree.name in names:
        return True
    raise FormulaError("has a subtotal of cells that calculate with subtotals", remedy="Add up the parts with SUM")


def _written(formula: Formula, position: tuple[int, int]) -> str:
    """A formula as the formula bar shows it."""
    text = _PREFIX.sub("", formula_text(formula, *position))
    return f"{{={text}}}" if formula.array is not None and not formula.dynamic else f"={text}"


_PREFIX = re.compile(r"\b_xl(?:fn|ws|pm|udf)\.(?:_xlws\.)?")
"""What a file writes before newer functions, and nobody sees."""


@dataclass(slots=True)
class BlockLowering:
    """Lowers the formula of one block; the `Context` that functions see."""

    block: Block
    regions: Regions
    array: bool = False
    above: Callable[[Block, Area], Value | None] | None = None
    """What references to cells stand for that are calculated together with the block, row by row."""
    _known: dict[tuple[int, bool], Value] = field(default_factory=dict)
    _variables: Mapping[StepVariable, Value] = field(default_factory=dict)

    @property
    def builder(self) -> Builder:
        return self.regions.builder

    @property
    def date1904(self) -> bool:
        return self.regions.workbook.date1904

    def result(self) -> Value:
        """What the formula comes to.

        Where its last operation is a + or −, and is not in parentheses, Excel makes 0 of what only rounding has left:
        `=0.5-0.4-0.1` is 0, and `=(0.5-0.4-0.1)` is not. What depends on a parameter keeps it, with its derivative.
        """
        tree, array = self.block.tree, self.block.array
        if not (isinstance(tree, Binary) and tree.operator in ("+", "-")) or in_parentheses(self.block.formula.text):
            return self.lower(tree, array=array)
        operands = (self.lower(part, array=array) for part in (tree.left, tree.right))
        left, right = self.builder.fitted(*operands)
        value = BINARY[tree.operator](self.builder, left, right)
        return cancelled(self.builder, value, left, right)

    def lower(self, node: Node, *, array: bool) -> Value:
        """Evaluate a part of the formula; outside of arrays a range means its cell in this row or column."""
        before, self.array = self.array, array
        try:
            return self._lower(node)
        finally:
            self.array = before

    def _lower(self, node: Node) -> Value:
        builder = self.builder
        match node:
            case Number():
                return builder.number(node.value)
            case Text():
                return builder.text(node.value)
            case Boolean():
                return builder.boolean(node.value)
            case ErrorConstant():
                return builder.error(Fault[node.value.name])
            case Omitted():
                return Value(torch.zeros((), dtype=builder.dtype), kinds=Kind.BLANK)
            case ArrayConstant():
                return self._array_constant(node)
            case Area():
                cells = node if self.array else self._intersected(node)
                return builder.error(Fault.VALUE) if cells is None else self.read(cells)
            case Shared():
                return self._shared(node)
            case Element():
                return self._element(node)
            case Chain():
                *before, last = node.steps
                for step in before:
                    self._lower(step)
                return self._lower(last)
            case Fold():
                return lower_fold(self, node)
            case StepVariable():
                return self._variables[node]
            case Picked():
                return self._picked(node)
            case Union():
                return self._union(node)
            case Unary(operator="@"):
                return self.lower(node.operand, array=False)
            case Unary(operator="+"):
                return self._lower(node.operand)
            case Unary():
                return UNARY[node.operator](builder, self._lower(node.operand))
            case Binary() if node.operator in COMPARISONS:
                return compare(builder, node.operator, *builder.fitted(self._lower(node.left), self._lower(node.right)))
            case Binary() if node.operator in BINARY:
                operands = builder.fitted(self._lower(node.left), self._lower(node.right))
                return BINARY[node.operator](builder, *operands)
            case Call():
                return self._call(node)
            case NotSupported():
                raise FormulaError(node.cause, remedy=node.remedy)
            case _:
                raise FormulaError(f"uses {type(node).__name__}, which is not supported", remedy="Rewrite it")

    def _shared(self, node: Shared) -> Value:
        key = id(node), self.array
        if key not in self._known:
            self._known[key] = self._lower(node.meaning)
        return self._known[key]

    def with_variables(self, step: Node, variables: Mapping[StepVariable, Value]) -> Value:
        """A step of a fold, for these values of its variables."""
        known, outer = self._known, self._variables
        self._known, self._variables = dict(known), {**outer, **variables}
        try:
            return self._lower(step)
        finally:
            self._known, self._variables = known, outer

    def cell_of(self, value: Value, row: int, column: int) -> Value:
        """One cell, counted from 0, of an array."""
        for axis, place in (("h", row), ("w", column)):
            if axis in value.axes:
                value = cut(self.builder, value, axis, place, 1)
        return value

    def array_of(self, items: Sequence[Value], height: int, width: int) -> Value:
        """Values, row by row, as an array."""
        return self._array_of(items, height, width)

    def _element(self, node: Element) -> Value:
        value = self.lower(node.array, array=True)
        if (value.size("h"), value.size("w")) != (node.height, node.width):
            raise FormulaError(
                "calls a LAMBDA for each cell of an array that is not always of one size",
                remedy="Put the array into cells",
            )
        for axis, place in (("h", node.row), ("w", node.column)):
            if axis in value.axes:
                value = cut(self.builder, value, axis, place - 1, 1)
        return value

    def _call(self, node: Call) -> Value:
        found = REGISTRY.get(node.name)
        if found is None:
            raise unsupported(node.name)
        least, most = found.arguments
        if not least <= len(node.arguments) <= most:
            raise FormulaError(f"calls {node.name} with {len(node.arguments)} arguments", remedy="Mend the formula")
        if self.array and not self.regions.workbook.from_office and refuses_range(node.name, node.arguments):
            return self.builder.error(Fault.VALUE)
        if (error := literal_error(found, node)) is not None:
            return self.builder.error(Fault[error.name])
        before, self.builder.of_batch = self.builder.of_batch, node.of_batch
        try:
            return found.evaluate(self, node)
        finally:
            self.builder.of_batch = before

    def _array_constant(self, node: ArrayConstant) -> Value:
        items = [self._lower(item) for row in node.rows for item in row]
        if any(item.axes or not item.constant for item in items):
            return self._array_of(items, len(node.rows), len(node.rows[0]))
        pairs = [(axis, size) for axis, size in (("h", len(node.rows)), ("w", len(node.rows[0]))) if size > 1]
        axes, sizes = "".join(axis for axis, _ in pairs), tuple(size for _, size in pairs)
        kinds = simplified(torch.stack([item.kind_tensor() for item in items]).reshape(sizes))
        data = torch.stack([item.tensor.to(self.builder.dtype) for item in items]).reshape(sizes)
        # A single value in braces is an array, too: SUM ignores its text as it does that of cells.
        return Value(data.bool() if kinds is Kind.BOOLEAN else data, axes, sizes, kinds, reference=not axes)

    def _array_of(self, items: Sequence[Value], height: int, width: int) -> Value:
        """An array of calculated values, one for each copy of the formula."""
        builder = self.builder
        if any(item.is_array for item in items):
            raise FormulaError("has an array within an array", remedy="Let each LAMBDA give one value")
        axes, sizes = builder.union_axes(items)
        whole = [builder.expanded(builder.stored(item), axes, sizes) for item in items]
        pairs = [(axis, size) for axis, size in (("h", height), ("w", width)) if size > 1]
        shape = (*sizes, *(size for _, size in pairs))
        data = builder.call(torch.stack, [item.data for item in whole], dim=len(axes))
        kinds = torch.stack([item.kind_tensor() for item in whole], dim=len(axes)).reshape(shape)
        axes += "".join(axis for axis, _ in pairs)
        found = Value(builder.method("reshape", data, shape), axes, shape, reference=not pairs)
        return builder.canonical(found.with_kinds(kinds))

    # --- references ---------------------------------------------------------------------------------------

    def check_deciders(self) -> None:
        """Raise FormulaError if a parameter, or a sample's data, decides where a calculated reference lies."""
        for node in self.block.deciders:
            value = self.lower(node, array=self.block.array)
            if not value.constant:
                cause = "refers to cells that are found by something that depends on"
                raise varying(self.builder, cause, value, remedy="Let fixed cells decide where it refers to")

    def _picked(self, node: Picked) -> Value:
        """One cell for each copy of the formula, each at its own place."""
        builder, area = self.builder, node.area
        value = self.read(area)
        places = torch.tensor(node.places, dtype=builder.dtype)  # [rows, columns, row and column]
        pairs = [(axis, size) for axis, size in (("R", self.block.rows), ("C", self.block.columns)) if size > 1]
        axes, sizes = "".join(axis for axis, _ in pairs), tuple(size for _, size in pairs)
        for axis, number, first in (("h", 0, area.top.base), ("w", 1, area.left.base)):
            place = Value((places[..., number] - first + 1).reshape(sizes), axes, sizes)
            value = gathered(builder, value, axis, place)
        return replace(value, reference=True)

    def _union(self, node: Union) -> Value:
        """Several ranges as one column of cells."""
        builder = self.builder
        parts = [self._list(self.lower(item, array=True)) for item in node.areas]
        axes, sizes = builder.union_axes([replace(part, axes=part.axes[:-1], sizes=part.sizes[:-1]) for part in parts])
        whole = [builder.expanded(part, axes + "h", (*sizes, part.sizes[-1])) for part in parts]
        kinds = torch.cat([part.kind_tensor() for part in whole], dim=len(axes))
        data = builder.call(torch.cat, [part.data for part in whole], dim=len(axes))
        found = Value(data, axes + "h", (*sizes, kinds.shape[-1]), reference=True)
        return found.with_kinds(kinds)

    def _list(self, value: Value) -> Value:
        """The cells of a range as one column, whose axis comes last; a single cell is a column, too."""
        builder = self.builder
        value = builder.canonical(builder.stored(value))
        kept = [(axis, size) for axis, size in zip(value.axes, value.sizes, strict=True) if axis not in "hw"]
        sizes = tuple(size for _, size in kept)
        shape = (*sizes, value.size("h") * value.size("w"))
        data, axes = builder.method("reshape", value.data, shape), "".join(axis for axis, _ in kept) + "h"
        return value.picked(data, axes, shape, lambda kinds: kinds.reshape(shape))

    def _intersected(self, area: Area) -> Area | None:
        """The cell of a range in the formula's own row and column; None where there is none, which is #VALUE!.

        That is implicit intersection, which a formula does that was not entered as an array formula. Raises Uneven if
        some copies of the formula have such a cell, and others none.
        """
        own, last = self.block.range, (self.block.rows - 1, self.block.columns - 1)
        row, column = Affine(own.top, down=self.block.height), Affine(own.left, across=self.block.width)
        corners = [(i, j) for i in {0, last[0]} for j in {0, last[1]}]
        uneven = Uneven(
            "uses a whole range where one value fits, and not all copies have a cell beside it",
            remedy="Refer to one cell, or enter it as an array formula",
        )
        found, pairs = [], []
        for start, end, line in ((area.top, area.bottom, row), (area.left, area.right, column)):
            single = {start.at(*copy) == end.at(*copy) for copy in corners}
            if single == {True, False}:
                raise uneven  # `$H$5:$H5` filled down is one cell at first, and then a range
            found.append(start if single == {True} else line)
            pairs += [] if single == {True} else [(start, end, line)]

        def is_inside(copy: tuple[int, int]) -> bool:
            return all(start.at(*copy) <= line.at(*copy) <= end.at(*copy) for start, end, line in pairs)

        if not all(map(is_inside, corners)):
            copies = ((i, j) for i in range(self.block.rows) for j in range(self.block.columns))
            if not any(map(is_inside, copies)):
                return None
            raise uneven
        top, left = found
        return Area(area.sheet, top, left, top, left)

    def read(self, area: Area) -> Value:
        """The cells that each copy of the formula reads."""
        block = self.block
        if min(area.top.at(0, 0), area.left.at(0, 0)) < 1:
            raise FormulaError("refers to cells above or left of the sheet", remedy="Mend the reference")
        if self.above is not None and (found := self.above(block, area)) is not None:
            return found
        source = bounding_range(area, block.rows, block.columns)
        value = self.regions.read(source)
        copies = {"down": ("R", block.rows), "across": ("C", block.columns)}
        masks = []
        for axis, start, end, window in (
            ("r", area.top, area.bottom, "h"),
            ("c", area.left, area.right, "w"),
        ):
            for direction, (copy_axis, count) in copies.items():
                step, end_step = getattr(start, direction), getattr(end, direction)
                if count == 1 or (step == 0 and end_step == 0):
                    continue
                if step != end_step:
                    masks.append(self._growing(start, end, direction, copy_axis, count, window))
                else:
                    value = self._slid(value, axis, copy_axis, count, step, end.base - start.base + 1, window)
                break
        value = self.builder.canonical(value.renamed({"r": "h", "c": "w"}))
        for mask in masks:
            value = self._blanked(value, mask)
        return self._without(value, area) if isinstance(area, PartialArea) else value

    def _without(self, value: Value, area: PartialArea) -> Value:
        """The cells of an area with blanks in the place of those that do not count."""
        if area.top[1:] != area.bottom[1:] or area.left[1:] != area.right[1:]:
            raise FormulaError("has a subtotal of hidden rows in ranges that grow", remedy="Enter it cell by cell")
        block, builder = self.block, self.builder
        down, across = (torch.arange(count) for count in (block.rows, block.columns))
        height, width = area.bottom.base - area.top.base + 1, area.right.base - area.left.base + 1
        rows, columns = (
            start.base
            + (start.down * down).reshape(-1, 1, 1, 1)
            + (start.across * across).reshape(1, -1, 1, 1)
            + torch.arange(count).reshape(shape)
            for start, count, shape in ((area.top, height, (1, 1, -1, 1)), (area.left, width, (1, 1, 1, -1)))
        )
        seen = ~torch.isin(rows, torch.tensor(sorted(area.rows), dtype=torch.long))
        if area.cells:
            codes = torch.tensor([row * (MAX_COLUMN + 1) + column for row, column in area.cells])
            seen = seen & ~torch.isin(rows * (MAX_COLUMN + 1) + columns, codes)
        pairs = [(axis, size) for axis, size in zip("RChw", seen.shape, strict=True) if size > 1]
        axes, sizes = "".join(axis for axis, _ in pairs), tuple(size for _, size in pairs)
        counted = Value(seen.reshape(sizes), axes, sizes)
        axes, sizes = builder.union_axes([value, counted])
        whole = builder.stored(builder.expanded(value, axes, sizes))
        kept = builder.expanded(counted, axes, sizes).tensor
        kinds = torch.where(kept, whole.kind_tensor(), int(Kind.BLANK)).to(torch.uint8)
        data = builder.call(torch.where, kept, whole.data, 0.0)
        return replace(whole, data=data, reference=True).with_kinds(kinds)

    def _slid(self, value: Value, axis: str, copy: str, count: int, step: int, length: int, window: str) -> Value:
        """One window per copy along an axis; a window of one cell needs no axis of its own."""
        at = value.axes.index(axis)
        builder = self.builder
        axes, sizes = value.axes.replace(axis, copy), (*value.sizes[:at], count, *value.sizes[at + 1 :])
        if length == 1:
            if step == 1:
                return value.renamed({axis: copy})
            picks = (slice(None),) * at + (slice(None, None, step),)
            data = builder.call(operator.getitem, value.data, picks)
            return value.picked(data, axes, sizes, lambda kinds: kinds[picks])
        data = builder.method("unfold", value.data, at, length, step)
        # Inside a region the window's axis keeps a name of its own until both axes are done.
        return value.picked(data, axes + window, (*sizes, length), lambda kinds: kinds.unfold(at, length, step))

    def _growing(
        self, start: Affine, end: Affine, direction: str, copy_axis: str, count: int, window: str
    ) -> tuple[str, str, torch.Tensor]:
        """Which cells of the largest window each copy sees, as in `SUM($A$1:A5)` filled down."""
        index = torch.arange(count)
        first = start.base + getattr(start, direction) * index
        last = end.base + getattr(end, direction) * index
        position = torch.arange(int(first.min()), int(last.max()) + 1)
        inside = (position >= first[:, None]) & (position <= last[:, None])
        return copy_axis, window, inside

    def _blanked(self, value: Value, mask: tuple[str, str, torch.Tensor]) -> Value:
        copy_axis, window, inside = mask
        outside = Value(inside, copy_axis + window, tuple(inside.shape))
        axes, sizes = self.builder.union_axes([value, outside])
        whole = self.builder.stored(self.builder.expanded(value, axes, sizes))
        seen = self.builder.expanded(outside, axes, sizes).tensor
        kinds = torch.where(seen, whole.kind_tensor(), int(Kind.BLANK)).to(torch.uint8)
        data = self.builder.call(torch.where, seen, whole.data, 0.0)
        return replace(whole, data=data, reference=True).with_kinds(kinds)

    # --- what functions ask about references --------------------------------------------------------------

    def shape(self, node: Node) -> tuple[int, int] | None:
        if not isinstance(node, Area):
            return None
        return node.bottom.base - node.top.base + 1, node.right.base - node.left.base + 1

    def position(self, node: Node | None) -> tuple[Value, Value]:
        own, height, width = self.block.range, 1, 1
        top, left = Affine(own.top, down=self.block.height), Affine(own.left, across=self.block.width)
        if isinstance(node, Area):
            top, left = node.top, node.left
            if self.array:
                height, width = node.bottom.base - top.base + 1, node.right.base - left.base + 1
        elif node is None and self.block.array:
            height, width = self.block.height, self.block.width
        elif node is not None:
            raise FormulaError("asks for the row or column of something that is no reference", remedy="Mend it")
        return self._numbers(top, "h", height), self._numbers(left, "w", width)

    def _numbers(self, start: Affine, window: str, length: int) -> Value:
        """The row or column numbers of an area, for each copy of the formula."""
        builder = self.builder
        result = builder.number(float(start.base))
        steps = (("R", start.down, self.block.rows), ("C", start.across, self.block.columns), (window, 1, length))
        for axis, step, count in steps:
            if step and count > 1:
                moved = Value(step * torch.arange(count, dtype=builder.dtype), axis, (count,))
                result = builder.elementwise(operator.add, result, moved)
        return result

    def filled(self, *nodes: Node) -> list[Node]:
        whole = [part for node in nodes for part in walk(node) if isinstance(part, Area) and is_whole(part)]
        ends = [self.regions.extent(area.sheet) for area in whole]
        bottom, right = (max((end[way] for end in ends), default=1) for way in (0, 1))

        def cut(area: Node) -> Node | None:
            if not isinstance(area, Area):
                return None
            top, left = (start.at(self.block.rows - 1, self.block.columns - 1) for start in (area.top, area.left))
            if area.bottom == Affine(MAX_ROW):
                area = replace(area, bottom=Affine(max(bottom, top)))
            if area.right == Affine(MAX_COLUMN):
                area = replace(area, right=Affine(max(right, left)))
            return area

        return [transform(node, cut) for node in nodes]

    def visible(self, area: Area, *, shown_only: bool, but_calls: Collection[str]) -> Area:
        sheet = self.regions.workbook.cells_of(area.sheet)
        read = bounding_range(area, self.block.rows, self.block.columns)
        if sheet is None or sheet.hidden_rows is None:
            raise FormulaError("has a subtotal of rows that may be hidden", remedy="Use SUM, or train the saved file")
        hidden = {row for row in sheet.hidden_rows if read.top <= row <= read.bottom}
        if hidden and not shown_only:
            if sheet.filtered_rows is None:
                cause = "has a subtotal of hidden rows, and whether a filter hides them is not known"
                raise FormulaError(cause, remedy="Show them, or use a code from 101 on")
            hidden &= sheet.filtered_rows
        cells = {
            place
            for place, formula in (sheet.formulas.items() if but_calls else ())
            if read.top <= place[0] <= read.bottom
            and read.left <= place[1] <= read.right
            and _is_call(formula, but_calls)
        }
        if not hidden and not cells:
            return area
        return PartialArea(
            area.sheet, area.top, area.left, area.bottom, area.right, frozenset(hidden), frozenset(cells)
        )

    def filtered(self, area: Area) -> bool:
        sheet = self.regions.workbook.cells_of(area.sheet)
        read = bounding_range(area, self.block.rows, self.block.columns)
        if sheet is None or sheet.filtered_rows is None:
            return True
        return any(read.top <= row <= read.bottom for row in sheet.filtered_rows)

    def formulas(self, area: Area) -> Value:
        sheet = self.regions.workbook.cells_of(area.sheet)
        block, cells = self.block, []
        height, width = self.shape(area) or (1, 1)
        if sheet is None or area.sheet not in self.regions.workbook.sheets:
            raise FormulaError("asks for a formula of another workbook", remedy="Write it down")
        places = itertools.product(range(block.rows), range(block.columns), range(height), range(width))
        for i, j, down, across in places:
            position = area.top.at(i, j) + down, area.left.at(i, j) + across
            formula = sheet.formulas.get(position)
            cells.append("" if formula is None else _written(formula, position))
        sizes = (block.rows, block.columns, height, width)
        pairs = [(axis, size) for axis, size in zip("RChw", sizes, strict=True) if size > 1]
        return value_of_cells(self.builder, cells, "".join(axis for axis, _ in pairs), tuple(size for _, size in pairs))

    def sheet_numbers(self) -> tuple[int, Mapping[str, int]]:
        numbers = {name.upper(): number for number, name in enumerate(self.regions.workbook.sheets, 1)}
        return numbers[self.block.range.sheet.upper()], numbers

    def part(self, node: Node, row: int, column: int) -> Node | None:
        if not isinstance(node, Area):
            return None
        top, left, bottom, right = node.top, node.left, node.bottom, node.right
        if row:
            top = bottom = top._replace(base=top.base + row - 1)
        if column:
            left = right = left._replace(base=left.base + column - 1)
        return Area(node.sheet, top, left, bottom, right)
