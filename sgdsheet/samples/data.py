"""The numbers of a source as tensors, and batches of them.

They stay as they are stored (bytes stay bytes) until a batch is drawn; what is mapped from a file is not read into
memory. On a GPU all of them are copied there once, if they fit.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from sgdsheet.errors import DataError, quoted
from sgdsheet.samples.binding import Binding, Piece
from sgdsheet.sources import Source, check_finite
from sgdsheet.sources.registry import Array

_SHARE_OF_GPU = 0.5
"""How much of a GPU's free memory the data may fill."""
_PLAIN = {"u2": "i4", "u4": "i8", "u8": "f8", "f2": "f4"}
"""Types that torch cannot index or that are rare: stored in a wider one."""


@dataclass(slots=True)
class BoundData:
    """One part of a source: a tensor per binding, [samples, ...], shaped like the cells that show a sample."""

    name: str
    tensors: list[Tensor]
    dtype: torch.dtype
    device: torch.device

    @property
    def count(self) -> int:
        return len(self.tensors[0])

    def batch(self, indices: Tensor) -> list[Tensor]:
        """The arguments of a program for these samples."""
        return [
            tensor.index_select(0, indices.to(tensor.device)).to(self.device, self.dtype, non_blocking=True)
            for tensor in self.tensors
        ]

    def slice(self, start: int, stop: int) -> list[Tensor]:
        """The same for neighbouring samples, which costs less."""
        return [tensor[start:stop].to(self.device, self.dtype) for tensor in self.tensors]


def load(
    source: Source, bindings: Sequence[Binding], *, by_rows: bool, dtype: torch.dtype, device: torch.device
) -> BoundData:
    """The bound fields of a source. DataError for text and for what is not a finite number."""
    fields = {piece.field for binding in bindings for piece in binding.pieces}
    for name in fields:
        if source.fields[name].dtype.kind not in "buif":
            raise DataError(
                f"the field {quoted(name)} of {quoted(source.name)} holds text",
                remedy="Write its values as numbers, or leave the column out of the formulas",
            )
    check_finite(source, sorted(fields))
    tensors = []
    for binding in bindings:
        tensor = torch.cat(parts, dim=1) if len(parts := _parts(source, binding.pieces)) > 1 else parts[0]
        area = binding.area
        sizes = (area.width,) if by_rows else (area.height, area.width)
        tensors.append(tensor.reshape(len(tensor), *(size for size in sizes if size > 1)))
    return BoundData(source.name, _placed(tensors, device), dtype, device)


def _parts(source: Source, pieces: Sequence[Piece]) -> list[Tensor]:
    found = []
    for piece in pieces:
        values = source.fields[piece.field]
        flat = _tensor(values.reshape(len(values), -1))
        found.append(flat if piece.width == flat.shape[1] else flat.narrow(1, piece.first, piece.width))
    if len({part.dtype for part in found}) > 1:
        found = [part.double() for part in found]
    return found


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
