"""The numbers of a source as tensors, and batches of them.

They stay as they are stored (bytes stay bytes) until a batch is drawn; what is mapped from a file is not read into
memory. On a GPU all of them are copied there once, if they fit.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
from torch import Tensor

from sgdsheet.data.binding import Binding, Piece
from sgdsheet.data.formats import Source, check_finite
from sgdsheet.data.formats.source import Array
from sgdsheet.errors import DataError, one_line, quoted
from sgdsheet.sheet.references import Cell
from sgdsheet.sheet.workbook import Value

_LONGEST = 1000
"""Letters of a text that are shown in a cell."""
_SHARE_OF_GPU = 0.5
"""How much of a GPU's free memory the data may fill."""
_PLAIN = {"u2": "i4", "u4": "i8", "u8": "f8", "f2": "f4"}
"""Types of numbers that torch cannot index, or that are rare, and the wider ones in which they are stored."""


@dataclass(slots=True)
class SampleData:
    """One part of a source, or the rows of a sheet: the columns of samples, as tensors [samples, ...].

    Of a source there is one tensor per binding, shaped like the cells that show a sample.
    """

    name: str
    tensors: list[Tensor]
    dtype: torch.dtype | None
    """The type of a batch's numbers; None if they stay as they are stored."""
    device: torch.device
    texts: dict[str, Array] = field(default_factory=dict)
    """The fields that hold text, by name. No formula reads them: in the tensors they are zeros."""
    whole: dict[str, Array] = field(default_factory=dict)
    """The fields of whole numbers that may have more digits than a formula calculates with, by name."""

    @property
    def count(self) -> int:
        return len(self.tensors[0])

    @property
    def width(self) -> int:
        """How many numbers a sample has."""
        return sum(math.prod(tensor.shape[1:]) for tensor in self.tensors)

    def part(self, start: int, stop: int) -> SampleData:
        """The samples from `start` to before `stop`, which are not copied."""
        return self._with([tensor[start:stop] for tensor in self.tensors], lambda values: values[start:stop])

    def picked(self, places: Array) -> SampleData:
        """The samples at these places [samples]."""
        chosen = torch.from_numpy(places)
        return self._with([tensor.index_select(0, chosen) for tensor in self.tensors], lambda values: values[places])

    def _with(self, tensors: list[Tensor], choose: Callable[[Array], Array]) -> SampleData:
        texts, whole = ({name: choose(values) for name, values in own.items()} for own in (self.texts, self.whole))
        return SampleData(self.name, tensors, self.dtype, self.device, texts, whole)

    @staticmethod
    def joined(parts: Sequence[SampleData]) -> SampleData:
        """The samples of several parts, one after the other."""
        first = parts[0]
        if len(parts) == 1:
            return first
        tensors = [torch.cat(column) for column in zip(*(part.tensors for part in parts), strict=True)]
        texts = {name: np.concatenate([part.texts[name] for part in parts]) for name in first.texts}
        whole = {name: np.concatenate([part.whole[name] for part in parts]) for name in first.whole}
        return SampleData(first.name, tensors, first.dtype, first.device, texts, whole)

    def batch(self, indices: Tensor) -> list[Tensor]:
        """The arguments [batch, ...] of a program for the samples of these indices [batch], on the device."""
        chosen = (tensor.index_select(0, indices.to(tensor.device)) for tensor in self.tensors)
        return [tensor.to(self.device, self.dtype or tensor.dtype, non_blocking=True) for tensor in chosen]

    def fill(self, columns: Sequence[Tensor], indices: Tensor) -> None:
        """Put the `batch` of these indices [batch] into tensors that were made for one of this size."""
        for column, tensor in zip(columns, self.tensors, strict=True):
            if tensor.dtype == column.dtype and tensor.device == column.device:
                torch.index_select(tensor, 0, indices.to(tensor.device), out=column)
            else:
                column.copy_(tensor.index_select(0, indices.to(tensor.device)))

    def slice(self, start: int, stop: int) -> list[Tensor]:
        """The arguments [batch, ...] of a program for the samples from `start` to before `stop`, which costs less."""
        return [tensor[start:stop].to(self.device, self.dtype or tensor.dtype) for tensor in self.tensors]

    def first(self, bindings: Sequence[Binding], *, by_rows: bool) -> dict[Cell, Value]:
        """The values of the cells that show samples, for the first samples; what is missing leaves its cell empty."""
        found: dict[Cell, Value] = {}
        for binding, tensor in zip(bindings, self.tensors, strict=True):
            shown = (tensor[: binding.area.height] if by_rows else tensor[0]).reshape(-1).tolist()
            numbers = (float(number) if math.isfinite(number) else "" for number in shown)
            found.update(zip(binding.area.cells(), numbers, strict=False))
            for piece, cells in binding.columns():
                texts = (one_line(text)[:_LONGEST] for text in self.texts.get(piece.field, ()))
                found.update(zip(cells.cells(), texts, strict=False))
        return found


def load(
    source: Source, bindings: Sequence[Binding], *, by_rows: bool, dtype: torch.dtype, device: torch.device
) -> SampleData:
    """Read the bound fields of a source into tensors.

    Raises DataError if one that formulas read holds text, or what is not a finite number.
    """
    bound = {piece.field for binding in bindings for piece in binding.pieces}
    read = {piece.field for binding in bindings for piece in binding.pieces if piece.read}
    texts = {name: source.fields[name] for name in bound & source.fields.keys() if _is_text(source.fields[name])}
    for name in sorted(read & texts.keys()):
        raise DataError(
            f"the field {quoted(name)} of {quoted(source.name)} holds text",
            remedy="Write its values as numbers, or leave the column out of the formulas",
        )
    check_finite(source, sorted(read))
    tensors = []
    for binding in bindings:
        tensor = torch.cat(parts, dim=1) if len(parts := _parts(source, binding.pieces)) > 1 else parts[0]
        area = binding.area
        sizes = (area.width,) if by_rows else (area.height, area.width)
        tensors.append(tensor.reshape(len(tensor), *(size for size in sizes if size > 1)))
    whole = {name: source.fields[name] for name in bound & source.fields.keys() if _is_long(source.fields[name])}
    return SampleData(source.name, _placed(tensors, device), dtype, device, texts, whole)


def _is_text(values: Array) -> bool:
    return values.dtype.kind not in "buif"


def _is_long(values: Array) -> bool:
    """Whether a field is one whole number per sample with up to 19 digits: float64 keeps 15."""
    return values.dtype.kind in "iu" and values.dtype.itemsize == 8 and values.size == len(values)


def _parts(source: Source, pieces: Sequence[Piece]) -> list[Tensor]:
    found = [_numbers(source, piece) for piece in pieces]
    if len({part.dtype for part in found}) > 1:
        found = [part.double() for part in found]
    return found


def _numbers(source: Source, piece: Piece) -> Tensor:
    """The columns of a piece [samples, columns]; zeros for what no formula reads and that is text, or is not there."""
    values = source.fields.get(piece.field)
    if values is None or _is_text(values) or values[0].size < piece.first + piece.width:
        return torch.zeros(source.count, piece.width, dtype=torch.uint8)
    flat = _tensor(values.reshape(len(values), -1))
    return flat if piece.width == flat.shape[1] else flat.narrow(1, piece.first, piece.width)


def _tensor(values: Array) -> Tensor:
    kind = values.dtype.str[1:]
    wanted = values.dtype.newbyteorder("=") if kind not in _PLAIN else np.dtype(_PLAIN[kind])
    values = values if values.dtype == wanted else values.astype(wanted)
    return torch.from_numpy(values if values.flags.writeable else values.copy())


def _placed(tensors: list[Tensor], device: torch.device) -> list[Tensor]:
    if device.type == "cpu":
        return tensors
    free, _ = torch.cuda.mem_get_info(device)
    if sum(tensor.numel() * tensor.element_size() for tensor in tensors) > _SHARE_OF_GPU * free:
        return tensors  # batches are drawn on the CPU and sent there
    return [tensor.to(device) for tensor in tensors]
