"""Reading rectangles of cells: constants, parameters and results of blocks put together into one tensor."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from itertools import pairwise

import torch

from sgdsheet.compiler.ir.builder import Builder
from sgdsheet.compiler.ir.values import MOST_CELLS, Fault, Kind, Value, simplified
from sgdsheet.errors import FormulaError
from sgdsheet.sheet.references import Range, RangeIndex
from sgdsheet.sheet.workbook import ExcelError, Position, Sheet, Workbook
from sgdsheet.sheet.workbook import Value as CellValue

# Within a region the axes are called r and c: its rows and columns.


@dataclass(slots=True)
class Regions:
    """The cells of a workbook as tensors. `sources` are what parameters and lowered blocks provide."""

    workbook: Workbook
    builder: Builder
    sources: RangeIndex[Value] = field(default_factory=RangeIndex)
    _constants: dict[Range, Value] = field(default_factory=dict)
    _extents: dict[str, Position] = field(default_factory=dict)
    _cache: dict[Range, tuple[list[Range], Value]] = field(default_factory=dict)

    def provide(self, area: Range, value: Value) -> None:
        """Let `value` (axes r and c) stand for the cells of `area` from now on."""
        self.sources.add(area, value)
        if area.sheet in self._extents:
            row, column = self._extents[area.sheet]
            self._extents[area.sheet] = max(row, area.bottom), max(column, area.right)

    def extent(self, name: str) -> Position:
        """The last row and column of a sheet in which something stands, or that a parameter or a block fills."""
        if name not in self._extents:
            sheet = self.workbook.cells_of(name) or Sheet(name)
            areas = self.sources.on_sheet(name)
            row, column = sheet.extent
            self._extents[name] = (
                max([row, *(area.bottom for area in areas)]),
                max([column, *(area.right for area in areas)]),
            )
        return self._extents[name]

    def read(self, area: Range) -> Value:
        """The cells of `area` as a Value with the axes r and c (without those of length 1).

        Raises FormulaError for more cells than fit into memory.
        """
        if area.size > MOST_CELLS:
            raise FormulaError(
                f"reads {area.size:,} cells ({area}), more than can be handled",
                remedy="Refer to the cells that are filled",
            )
        found = self.sources.overlapping(area)
        sources = [source for source, _ in found]
        known = self._cache.get(area)
        if known is None or known[0] != sources:
            parts = [(part, source, value) for source, value in found if (part := source.intersection(area))]
            known = self._cache[area] = (sources, self._assembled(area, parts))
        return replace(known[1], reference=True)

    def _assembled(self, area: Range, parts: list[tuple[Range, Range, Value]]) -> Value:
        if not parts:
            return self.constant(area)
        if len(parts) == 1 and parts[0][0] == area:
            _, source, value = parts[0]
            return self._slice(value, source, area)
        bands = []
        waiting = sorted(parts, key=lambda item: item[0].top, reverse=True)
        row: list[tuple[Range, Range, Value]] = []
        for top, bottom in _spans(area.top, area.bottom, [(part.top, part.bottom) for part, _, _ in parts]):
            row = [item for item in row if item[0].bottom >= bottom]
            while waiting and waiting[-1][0].top <= top:
                row.append(waiting.pop())
            pieces = []
            for left, right in _spans(area.left, area.right, [(part.left, part.right) for part, _, _ in row]):
                piece = Range(area.sheet, top, left, bottom, right)
                found = next((item for item in row if item[1].contains(piece)), None)
                pieces.append(self.constant(piece) if found is None else self._slice(found[2], found[1], piece))
            bands.append(self._joined(pieces, "c", bottom - top + 1))
        return self._joined(bands, "r", area.width)

    def _joined(self, pieces: list[Value], along: str, other_size: int) -> Value:
        """Lay pieces side by side (along c) or one below the other (along r)."""
        if len(pieces) == 1:
            return pieces[0]
        length = sum(piece.size(along) for piece in pieces)
        sizes: tuple[int, ...] = (other_size, length) if along == "c" else (length, other_size)
        axes = "rc"
        if other_size == 1:
            axes, sizes = along, (length,)
        at = axes.index(along)
        kinds = torch.cat([self._with_axes(piece, axes).kind_tensor() for piece in pieces], dim=at)
        if all(piece.size(along) == 1 for piece in pieces):
            data = self.builder.call(torch.stack, [self.builder.stored(piece).data for piece in pieces], dim=at)
        else:
            whole = [self._with_axes(self.builder.stored(piece), axes).data for piece in pieces]
            data = self.builder.call(torch.cat, whole, dim=at)
        return Value(data, axes, sizes).with_kinds(kinds)

    def _with_axes(self, piece: Value, axes: str) -> Value:
        data, kinds = piece.data, piece.kind_tensor()
        sizes = tuple(piece.size(axis) for axis in axes)
        if piece.axes != axes:
            data = self.builder.method("reshape", data, sizes)
            kinds = kinds.reshape(sizes)
        return Value(data, axes, sizes, kinds)

    def _slice(self, value: Value, source: Range, area: Range) -> Value:
        spans = {
            "r": (area.top - source.top, area.height),
            "c": (area.left - source.left, area.width),
        }
        for axis, (start, length) in spans.items():
            if axis in value.axes and length != value.size(axis):
                value = cut(self.builder, value, axis, start, length)
        return value

    def constant(self, area: Range) -> Value:
        """The saved values of `area`."""
        if area not in self._constants:
            self._constants[area] = self._read_constant(area)
        return self._constants[area]

    def _read_constant(self, area: Range) -> Value:
        sheet = self.workbook.cells_of(area.sheet) or Sheet(area.sheet)
        axes, sizes = _region_axes(area)
        if area.size <= len(sheet.values):
            held = list(map(sheet.values.get, area.positions()))
            if set(map(type, held)) == {float}:  # as in most columns of data
                tensor = torch.tensor(held, dtype=self.builder.dtype).reshape(sizes)
                self.builder.name_constant(tensor, area.identifier)
                return Value(tensor, axes, sizes, Kind.NUMBER)
        tensor = torch.zeros(area.height, area.width, dtype=self.builder.dtype)
        kinds = torch.full((area.height, area.width), int(Kind.BLANK), dtype=torch.uint8)
        places, numbers, found = [], [], []
        for (row, column), value in _filled(sheet, area):
            number, code = self._stored(value)
            places.append((row - area.top) * area.width + column - area.left)
            numbers.append(number)
            found.append(code)
        where = torch.tensor(places, dtype=torch.long)
        tensor.view(-1)[where] = torch.tensor(numbers, dtype=self.builder.dtype)
        kinds.view(-1)[where] = torch.tensor(found, dtype=torch.uint8)
        kind = simplified(kinds.reshape(sizes))
        tensor = tensor.reshape(sizes)
        if kind is Kind.BOOLEAN:
            tensor = tensor.bool()
        self.builder.name_constant(tensor, area.identifier)
        return Value(tensor, axes, sizes, kind)

    def _stored(self, value: CellValue) -> tuple[float, int]:
        """A cell's value as a number, and its kind."""
        if isinstance(value, bool):
            return float(value), Kind.BOOLEAN
        if isinstance(value, str):
            return self.builder.text_code(value), Kind.TEXT
        if isinstance(value, ExcelError):
            return Fault[value.name].nan, Kind.ERROR
        return float(value), Kind.NUMBER


def _filled(sheet: Sheet, area: Range) -> Iterator[tuple[Position, CellValue]]:
    """The cells of the area that hold something: by looking at each, or at all that the sheet holds."""
    values = sheet.values
    if area.size <= len(values):
        for row in range(area.top, area.bottom + 1):
            for column in range(area.left, area.right + 1):
                value = values.get((row, column))
                if value is not None:
                    yield (row, column), value
        return
    for (row, column), value in values.items():
        if area.top <= row <= area.bottom and area.left <= column <= area.right:
            yield (row, column), value


def cut(builder: Builder, value: Value, axis: str, start: int, length: int) -> Value:
    """Some positions of an axis; of a single one the axis is left out."""
    at = value.axes.index(axis)
    before, after = value.sizes[:at], value.sizes[at + 1 :]
    if length == 1:
        data, axes = builder.method("select", value.data, at, start), value.axes.replace(axis, "")
        return value.picked(data, axes, before + after, lambda kinds: kinds.select(at, start))
    data = builder.method("narrow", value.data, at, start, length)
    return value.picked(data, value.axes, (*before, length, *after), lambda kinds: kinds.narrow(at, start, length))


def _region_axes(area: Range) -> tuple[str, tuple[int, ...]]:
    pairs = [(axis, size) for axis, size in (("r", area.height), ("c", area.width)) if size > 1]
    return "".join(axis for axis, _ in pairs), tuple(size for _, size in pairs)


def _spans(start: int, end: int, parts: list[tuple[int, int]]) -> list[tuple[int, int]]:
    """Cut start..end at the edges of the parts."""
    cuts = {start, end + 1}
    for first, last in parts:
        cuts.update((max(first, start), min(last, end) + 1))
    ordered = sorted(cuts)
    return [(one, two - 1) for one, two in pairwise(ordered)]
