"""Memory for a tape's results: what is needed no longer gives its own to a later result, or to the next one at once."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Sequence
from typing import Any

import torch
from torch import Tensor

from sgdsheet.compiler.backward.tape import ELEMENTWISE, Operation, storage_of


class Buffers:
    """The tensors of a tape in memory that several of them share, one after the other.

    `kept` are tensors that are read after the last operation.
    """

    def __init__(self, operations: Sequence[Operation], kept: Iterable[Tensor]) -> None:
        self._last: dict[int, float] = {}
        made = [{storage_of(tensor) for tensor in operation.written} for operation in operations]
        for place, operation in enumerate(operations):
            self._last.update((storage_of(tensor), place) for tensor in operation.tensors)
        self._last.update((storage_of(tensor), math.inf) for tensor in kept)
        self._blocks: dict[int, torch.UntypedStorage] = {}
        self._known: dict[int, Tensor] = {}
        self.operations = self._placed(operations, made)

    def _placed(self, operations: Sequence[Operation], made: Sequence[set[int]]) -> list[Operation]:
        free: dict[int, list[torch.UntypedStorage]] = defaultdict(list)
        ending: dict[float, list[int]] = defaultdict(list)
        for storage in set().union(*made):
            ending[self._last[storage]].append(storage)
        found = []
        for place, operation in enumerate(operations):
            for tensor in operation.written:
                if (storage := storage_of(tensor)) not in self._blocks:
                    self._blocks[storage] = self._block(operation, place, tensor, made, free)
            found.append(operation.with_tensors(self.placed))
            for storage in ending[place]:
                block = self._blocks[storage]
                if not any(storage != other and self._blocks.get(other) is block for other in made[place]):
                    free[block.nbytes()].append(block)
        return found

    def _block(
        self, operation: Operation, place: int, out: Tensor, made: Sequence[set[int]], free: dict[int, Any]
    ) -> torch.UntypedStorage:
        """Memory for a result: that of an operand whose numbers are not needed any more, or what is free, or new."""
        size = out.untyped_storage().nbytes()
        if operation.function in ELEMENTWISE and not operation.copied:
            for tensor in operation.tensors:
                storage = storage_of(tensor)
                if self._last[storage] == place and storage in self._blocks and _same_layout(operation, tensor, out):
                    return self._blocks[storage]
        return free[size].pop() if free[size] else torch.empty(size, dtype=torch.uint8).untyped_storage()

    def placed(self, tensor: Tensor) -> Tensor:
        """A tensor in its new memory; one that no operation makes stays where it is."""
        block = self._blocks.get(storage_of(tensor))
        if block is None:
            return tensor
        if id(tensor) not in self._known:
            moved = torch.empty(0, dtype=tensor.dtype)
            moved.set_(block, tensor.storage_offset(), tensor.shape, tensor.stride())
            self._known[id(tensor)] = moved
        return self._known[id(tensor)]


def _same_layout(operation: Operation, tensor: Tensor, out: Tensor) -> bool:
    """Whether an operand is laid out like the result, and the operation reads its memory in no other way."""
    storage = storage_of(tensor)
    alike = [each for each in operation.tensors if storage_of(each) == storage]
    return storage != storage_of(out) and all(
        each.dtype == out.dtype
        and each.shape == out.shape
        and each.stride() == out.stride()
        and each.storage_offset() == out.storage_offset()
        and each.untyped_storage().nbytes() == out.untyped_storage().nbytes()
        for each in alike
    )
