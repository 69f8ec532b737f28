"""Where references lie that formulas calculate: OFFSET, INDIRECT, `A1:INDEX(…)`, and intersections.

They are settled before anything is planned, from the saved values of the cells that decide about them, or from
calculated ones where there are none. What is left is an ordinary formula: `OFFSET(B9,-$D$1,0)` becomes B8, filled down
like any reference, with a gradient to the cells that it reads. The deciding parts stay with the block, and are refused
there should they depend on a parameter (`lowering.lower_block`).
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace

import torch
from torch import Tensor

from sgdsheet.compiler.frontend.block_table import BlockTable
from sgdsheet.compiler.frontend.blocks import Block, areas_of
from sgdsheet.compiler.frontend.grouping import instantiate
from sgdsheet.compiler.frontend.planning import Plan, Planner
from sgdsheet.compiler.frontend.resolve import Resolver
from sgdsheet.compiler.functions.each_reference import for_each_reference
from sgdsheet.compiler.functions.places import (
    Places,
    calculated,
    common,
    deciding,
    hull,
    located,
    no_reference,
    reference_function,
)
from sgdsheet.compiler.functions.plain import cells_of
from sgdsheet.compiler.functions.registry import Takes, declared
from sgdsheet.compiler.ir.values import Fault, Kind, Value, fault_codes
from sgdsheet.compiler.lowering import BlockLowering
from sgdsheet.compiler.program import build_program
from sgdsheet.errors import FormulaError, SgdSheetError
from sgdsheet.sheet.formula import parse
from sgdsheet.sheet.references import MAX_COLUMN, MAX_ROW, Range, rectangles, split_sheet
from sgdsheet.sheet.syntax import (
    Affine,
    Area,
    Binary,
    Call,
    ErrorConstant,
    Node,
    Picked,
    Reference,
    children,
    transform,
    walk,
)
from sgdsheet.sheet.workbook import ExcelError, Formula, Workbook

_MOST_COPIES = 5_000
"""Copies of one formula that are taken apart, because each of them reads a range of its own."""


def block_table(workbook: Workbook) -> BlockTable:
    """The blocks of a workbook, with the references that they calculate settled."""
    return BlockTable(workbook, _settled, _measured)


def planner_of(workbook: Workbook, parameters: Iterable[Range], table: BlockTable | None = None) -> Planner:
    """The planner over a workbook. `table` are its blocks, if they are known."""
    return Planner(workbook, parameters, table or block_table(workbook))


def _settled(workbook: Workbook, table: BlockTable, block: Block) -> list[Block]:
    """The block with areas in place of its calculated references, taken apart where these follow no one rule.

    References that decide where others are come first.
    """
    try:
        parts = _first_parts(block.tree)
        deciders = tuple(node for part in parts for node in deciding(part))
        read = [area for node in deciders for area in areas_of(node, block)]
        plan = Planner(workbook, (), table).plan(read)
        program = build_program(workbook, (), plan, dtype=torch.float64)
        placer = _Placer(block, BlockLowering(block, program.regions), Resolver(workbook))
        in_arrays = _in_arrays(block.tree)
        each = for_each_reference(block.tree, parts, placer.lowering, None if block.array else in_arrays)
        if each is not None:
            return _settled(workbook, table, replace(block, tree=each))
        found = [placer.of_part(part, array=block.array or id(part) in in_arrays) for part in parts]
        reading = tuple(node for node in deciders if any(isinstance(item, Area) for item in walk(node)))
        settled = replace(block, deciders=(*block.deciders, *reading))
        pieces = [piece for area in _alike(found) for piece in _pieces(settled, found, area)]
    except SgdSheetError as error:
        cell = block.range.first if error.cell is None else error.cell
        cause = error.cause if error.cell is not None else f"the formula {error.cause}"
        return [replace(block, tree=Node(), error=FormulaError(cause, cell=cell, remedy=error.remedy))]
    left = [next(calculated(piece.tree), None) is not None for piece in pieces]
    return [
        final
        for piece, more in zip(pieces, left, strict=True)
        for final in (_settled(workbook, table, piece) if more else [piece])
    ]


def _first_parts(tree: Node) -> list[Node]:
    """The calculated references of a formula, or those by which the places of others are decided."""
    parts = list(calculated(tree))
    while inner := [found for part in parts for node in deciding(part) for found in calculated(node)]:
        parts = list({id(part): part for part in inner}.values())
    return parts


_ARRAYS = ("INDEX", "LOOKUP", "MATCH", "XLOOKUP", "XMATCH", "FILTER", "SORT", "SORTBY", "UNIQUE")
"""Functions that decide themselves what they evaluate, and calculate arrays."""


def _in_arrays(tree: Node) -> set[int]:
    """The ids of the parts of a formula that stand in a function which calculates arrays, such as SUMPRODUCT."""
    seen: set[tuple[int, bool]] = set()
    waiting = [(tree, False)]
    while waiting:
        node, array = waiting.pop()
        if (id(node), array) not in seen:
            seen.add((id(node), array))
            found = declared(node)
            array = array or (found is not None and (found.takes is Takes.ARRAYS or found.name in _ARRAYS))
            waiting += [(part, array) for part in children(node)]
    return {key for key, array in seen if array}


# --- sizes of arrays --------------------------------------------------------------------------------------


def _measured(workbook: Workbook, node: Node, sheet: str, row: int, column: int) -> tuple[int, int] | None:
    """Rows and columns of a calculated array, as one cell has it; None if that depends on cells without values."""
    place = Range(sheet, row, column, row, column)
    block = Block(place, 1, 1, 1, 1, instantiate(node, row, column, 1, 1), True, Formula("", row, column))
    unknown = {f"unknown{number}": area for number, area in enumerate(_without_values(workbook, block))}
    try:
        program = build_program(workbook, (), Plan([], set()), inputs=unknown, dtype=torch.float64)
        value = BlockLowering(block, program.regions).lower(block.tree, array=True)
    except SgdSheetError:
        return None
    return value.size("h"), value.size("w")


def _without_values(workbook: Workbook, block: Block) -> Iterator[Range]:
    """The cells with formulas that a block reads and for which there is no saved value, or none to be trusted."""
    for area in workbook.trimmed(block.reads()):
        sheet = workbook.sheets[area.sheet]
        places = (place for place in area.positions() if place in sheet.formulas)
        missing = [place for place in places if workbook.stale or place not in sheet.values]
        for top, left, rows, columns in rectangles(missing):
            yield Range(area.sheet, top, left, top + rows - 1, left + columns - 1)


# --- from places to areas ---------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Copies:
    """A rectangle of the copies of a formula: rows and columns, from 0, the last ones included."""

    top: int
    left: int
    bottom: int
    right: int

    def of(self, tensor: Tensor) -> Tensor:
        """What a tensor [rows, columns] of copies has for these."""
        return tensor[self.top : self.bottom + 1, self.left : self.right + 1]


def _alike(found: Sequence[Places]) -> list[_Copies]:
    """Copies whose references are errors alike, and lie on the same sheets."""
    keys = torch.stack([number for places in found for number in (places.fault, _sheets(places))])
    different, inverse = torch.unique(keys.flatten(1), dim=1, return_inverse=True)
    shape = found[0].fault.shape
    if different.shape[1] == 1:
        return [_Copies(0, 0, shape[0] - 1, shape[1] - 1)]
    positions: dict[int, list[tuple[int, int]]] = defaultdict(list)
    for place, group in enumerate(inverse.tolist()):
        positions[group].append(divmod(place, shape[1]))
    boxes = [box for group in positions.values() for box in rectangles(group)]
    return [_Copies(top, left, top + rows - 1, left + columns - 1) for top, left, rows, columns in sorted(boxes)]


def _sheets(places: Places) -> Tensor:
    """The sheets, where there is a reference."""
    return torch.where(places.fault == 0, places.sheet, 0)


def _pieces(block: Block, found: Sequence[Places], copies: _Copies) -> list[Block]:
    own = block.range
    cut = own._replace(
        top=own.top + copies.top * block.height,
        bottom=own.top + (copies.bottom + 1) * block.height - 1,
        left=own.left + copies.left * block.width,
        right=own.left + (copies.right + 1) * block.width - 1,
    )
    piece = replace(block.trimmed(cut), parts=())
    parts, wanted = _first_parts(piece.tree), located(piece.tree)
    nodes = [_node(places, copies) for places in found]
    whole = (not isinstance(node, Picked) or id(part) not in wanted for part, node in zip(parts, nodes, strict=True))
    if all(node is not None for node in nodes) and all(whole):
        settled = {id(part): node for part, node in zip(parts, nodes, strict=True)}
        return [replace(piece, tree=transform(piece.tree, lambda part: settled.get(id(part))))]
    if piece.rows * piece.columns > _MOST_COPIES:
        raise FormulaError(
            f"refers to another range in each of more than {_MOST_COPIES:,} cells", remedy="Refer to the cells directly"
        )
    rows, columns = range(copies.top, copies.bottom + 1), range(copies.left, copies.right + 1)
    singles = (_Copies(row, column, row, column) for row in rows for column in columns)
    return [single for one in singles for single in _pieces(block, found, one)]


def _node(places: Places, copies: _Copies) -> Node | None:
    """The reference of some copies as a part of their formula; None if they follow no rule."""
    fault = int(copies.of(places.fault)[0, 0])
    if fault:
        return ErrorConstant(ExcelError[Fault(fault).name])
    sheet = places.sheets[int(copies.of(places.sheet)[0, 0])]
    ends = [copies.of(end) for end in (places.top, places.left, places.bottom, places.right)]
    top, left, bottom, right = map(_line, ends)
    if top is not None and left is not None and bottom is not None and right is not None:
        moving = [
            {way for way in ("down", "across") for end in pair if getattr(end, way)}
            for pair in ((top, bottom), (left, right))
        ]
        if all(len(ways) < 2 for ways in moving) and (not moving[0] or moving[0] != moving[1]):
            return Area(sheet, top, left, bottom, right)
    if bool((ends[0] == ends[2]).all()) and bool((ends[1] == ends[3]).all()):
        pairs = zip(ends[0].tolist(), ends[1].tolist(), strict=True)
        return Picked(sheet, tuple(tuple(zip(rows, columns, strict=True)) for rows, columns in pairs))
    return None


def _line(end: Tensor) -> Affine | None:
    """A corner's row or column as it moves from copy to copy, if it does so evenly and never backwards."""
    base = int(end[0, 0])
    down = int(end[1, 0]) - base if end.shape[0] > 1 else 0
    across = int(end[0, 1]) - base if end.shape[1] > 1 else 0
    rows, columns = torch.arange(end.shape[0])[:, None], torch.arange(end.shape[1])[None, :]
    even = bool((end == base + down * rows + across * columns).all())
    return Affine(base, down, across) if even and down >= 0 and across >= 0 else None


# --- where references lie ---------------------------------------------------------------------------------

_R1C1 = re.compile(r"(?:R(?:(\d+)|\[(-?\d+)\])?)?(?:C(?:(\d+)|\[(-?\d+)\])?)?", re.IGNORECASE)


@dataclass(slots=True)
class _Placer:
    """Works out where the references of one block lie, for all of its copies: a `Placer`."""

    block: Block
    lowering: BlockLowering
    resolver: Resolver
    array: bool = False
    _written: dict[tuple[str, int, int, bool], Range | ExcelError] = field(default_factory=dict)

    def of_part(self, node: Node, *, array: bool) -> Places:
        """Where a part of the formula lies; `array` says that it stands where arrays are calculated."""
        self.array = array
        return self.places(node)

    def places(self, node: Node) -> Places:
        if isinstance(node, Area):
            return self._of_area(node)
        if isinstance(node, ErrorConstant):
            return Places.errors(self._same(int(Fault[node.value.name])))
        if isinstance(node, Binary) and node.operator in (":", " "):
            both = hull if node.operator == ":" else common
            return both(self.places(node.left), self.places(node.right))
        found = reference_function(node)
        if found is None or not isinstance(node, Call):
            raise no_reference(node)
        return found.find(self, node.arguments)

    def numbers(self, node: Node) -> tuple[Tensor, Tensor]:
        builder = self.lowering.builder
        return self._by_copy(builder.numbers(self._value(node)))

    def truths(self, node: Node) -> tuple[Tensor, Tensor]:
        builder = self.lowering.builder
        numbers, fault = self._by_copy(builder.numbers(builder.truths(self._value(node))))
        return numbers != 0, fault

    def written(self, text: Node, in_a1: bool) -> Places:
        builder, block = self.lowering.builder, self.block
        value = self._value(text)
        _, fault = self._by_copy(value)
        texts = [str(item) if isinstance(item, str) else "" for item in cells_of(builder, self._expanded(value))]
        found = []
        for place, written in enumerate(texts):
            i, j = divmod(place, block.columns)
            row, column = block.range.top + i * block.height, block.range.left + j * block.width
            found.append(self._read(written, row, column, in_a1))
        areas = [item if isinstance(item, Range) else Range("", 1, 1, 1, 1) for item in found]
        sheets = tuple(dict.fromkeys(area.sheet for area in areas))
        numbers = torch.tensor([(sheets.index(area.sheet), *area[1:]) for area in areas])
        corners = [numbers[:, part].reshape(fault.shape) for part in range(5)]
        bad = torch.tensor([0 if isinstance(item, Range) else int(Fault.REF) for item in found]).reshape(fault.shape)
        sheet, top, left, bottom, right = corners
        return Places(sheets, sheet, top, left, bottom, right, fault).failing(bad)

    # --- values by copy -----------------------------------------------------------------------------------

    def _value(self, node: Node) -> Value:
        value = self.lowering.lower(node, array=self.array)
        if value.is_array:
            raise FormulaError(
                "refers to several ranges at once where one is wanted", remedy="Give one number for each reference"
            )
        return value

    def _expanded(self, value: Value) -> Value:
        pairs = [(axis, size) for axis, size in (("R", self.block.rows), ("C", self.block.columns)) if size > 1]
        axes, sizes = "".join(axis for axis, _ in pairs), tuple(size for _, size in pairs)
        builder = self.lowering.builder
        return builder.expanded(builder.stored(value), axes, sizes)

    def _by_copy(self, value: Value) -> tuple[Tensor, Tensor]:
        """The numbers of a value and the faults of its errors, each [rows, columns] of copies."""
        shape = self.block.rows, self.block.columns
        value = self._expanded(value)
        wrong = value.kind_tensor() == Kind.ERROR
        fault = torch.where(wrong, fault_codes(value.tensor), 0)
        return value.tensor.reshape(shape), fault.reshape(shape)

    def _same(self, number: int) -> Tensor:
        return torch.full((self.block.rows, self.block.columns), number)

    def _of_area(self, area: Area) -> Places:
        rows, columns = torch.arange(self.block.rows)[:, None], torch.arange(self.block.columns)[None, :]

        def corner(end: Affine) -> Tensor:
            return end.base + end.down * rows + end.across * columns

        top, left, bottom, right = map(corner, (area.top, area.left, area.bottom, area.right))
        lowest, highest = torch.minimum(top, bottom), torch.maximum(top, bottom)
        first, last = torch.minimum(left, right), torch.maximum(left, right)
        zero = self._same(0)
        return Places((area.sheet,), zero, lowest, first, highest, last, zero).inside()

    # --- texts --------------------------------------------------------------------------------------------

    def _read(self, text: str, row: int, column: int, in_a1: bool) -> Range | ExcelError:
        key = (text, row, column, in_a1)
        if key not in self._written:
            self._written[key] = self._parsed(text, row, column) if in_a1 else self._in_r1c1(text, row, column)
        return self._written[key]

    def _parsed(self, text: str, row: int, column: int) -> Range | ExcelError:
        try:
            node = self.resolver.resolve(parse(text, row, column), self.block.range.sheet, row, column)
        except FormulaError:
            return ExcelError.REF
        if not isinstance(node, Reference) or node.sheet is None:
            return ExcelError.REF
        rows = [axis.value + (row if axis.relative else 0) for axis in (node.top, node.bottom)]
        columns = [axis.value + (column if axis.relative else 0) for axis in (node.left, node.right)]
        return _range(node.sheet, rows, columns)

    def _in_r1c1(self, text: str, row: int, column: int) -> Range | ExcelError:
        sheet, body = split_sheet(text)
        found = self.resolver.workbook.sheet(self.block.range.sheet if sheet is None else sheet)
        corners = [_R1C1.fullmatch(part) for part in body.split(":")]
        if found is None or not body or len(corners) > 2:
            return ExcelError.REF
        rows, columns = [], []
        for match in corners:
            if match is None or not match.group():
                return ExcelError.REF
            has_row, has_column = match.group()[0] in "Rr", "C" in match.group().upper()
            rows += [_at(match[1], match[2], row)] if has_row else [1, MAX_ROW]
            columns += [_at(match[3], match[4], column)] if has_column else [1, MAX_COLUMN]
        return _range(found.name, rows, columns)


def _at(fixed: str | None, distance: str | None, here: int) -> int:
    return int(fixed) if fixed is not None else here + int(distance or 0)


def _range(sheet: str, rows: Sequence[int], columns: Sequence[int]) -> Range | ExcelError:
    found = Range(sheet, min(rows), min(columns), max(rows), max(columns))
    inside = found.top >= 1 and found.left >= 1 and found.bottom <= MAX_ROW and found.right <= MAX_COLUMN
    return found if inside else ExcelError.REF
