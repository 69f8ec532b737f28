"""The samples of a source that does not fit into memory, as training sees them (see `streamed`).

What is said of a part is calculated in one pass over its blocks; of the training part, some samples are kept for that,
evenly spread. Each of several processes reads its share of the blocks.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
from torch import Tensor

from sgdsheet.compiler.model import SheetModel
from sgdsheet.data.arrays import SampleData
from sgdsheet.data.bad_sample import explain
from sgdsheet.data.distributed import average_of
from sgdsheet.data.layouts.layout import Closed, Reduction, Whole, evaluate
from sgdsheet.data.samples import JUDGED, Samples
from sgdsheet.data.streamed import KeptBack, StreamedData, StreamedRows, epoch_of, own_blocks
from sgdsheet.errors import DataError, SgdSheetError, quoted


@dataclass
class StreamedSamples(Samples):
    """The samples of a source of which at least the training part is read block by block."""

    training: KeptBack  # type: ignore[assignment]
    validation: KeptBack  # type: ignore[assignment]
    streams: Mapping[str, StreamedData] = field(default_factory=dict)
    """The parts, by name."""
    _judged_data: SampleData | None = field(default=None, init=False)

    @property
    def stream(self) -> StreamedData:
        """The training part."""
        return self.streams["train"]

    def _loss(self, indices: Tensor) -> Callable[[], Tensor]:
        return self.trained.over(self.stream.batch(indices))

    def closed(self, indices: Tensor) -> Closed | None:
        return None if self.share is not None else self.trained.closed(self.stream.batch(indices))

    def fill(self, columns: Sequence[Tensor], indices: Tensor) -> None:
        for column, values in zip(columns, self.stream.batch(indices), strict=True):
            column.copy_(values)

    def batches(self, size: int, *, shuffle: bool, generator: torch.Generator, skip: int = 0) -> Iterator[Tensor]:
        """The batches of one epoch after the first `skip`, whose samples are not read."""
        ready = None
        count, rank = (1, 0) if self.share is None else (self.share.processes, self.share.rank)
        epoch = epoch_of(self.stream, self.training, size, shuffle=shuffle, generator=generator, skip=skip)
        for indices, together in epoch:
            if together is not ready:
                ready = together
                own = np.arange(len(together)) % size % count == rank
                self.stream.hold(together[own] if own.any() else together[:1])
            yield indices

    @property
    def judged_samples(self) -> range:
        """Numbers for the training samples that the loss at the start and at the end of a run is over."""
        return range(-(-len(self.training) // self._every))

    @property
    def _every(self) -> int:
        return -(-len(self.training) // JUDGED)

    def some(self, count: int) -> Callable[[], Tensor]:
        data = self._judged()
        places = torch.arange(0, data.count, max(1, data.count // count))[:count]
        return self.trained.over(data.batch(places))

    def training_loss(self) -> float:
        data = self._judged()
        return _shared(self.trained, [data] if data.count else [])[0]

    def numbers(self, size: int) -> int:
        head = self.stream.head
        return self.trained.numbers(head.slice(0, min(size, head.count)))

    def validate(self) -> tuple[float, float | None]:
        return self._values(self._part("valid") or self.stream, self.validation)

    def test(self) -> tuple[float | None, float | None]:
        data = self._part("test")
        if data is None:
            return None, None
        return self._values(data, KeptBack(data.count, 0.0, 0, validation=False))

    def _part(self, name: str) -> StreamedData | None:
        return self.streams.get(name)

    def explain_bad_loss(self, model: SheetModel) -> SgdSheetError:
        assert self.source is not None
        bindings = self.source.bindings
        for number in range(self.stream.block_count):
            block = self.stream.block(number)

            def loss(start: int, stop: int, block: SampleData = block) -> float:
                return evaluate(self.trained, block.part(start, stop))[0]

            if not math.isfinite(loss(0, block.count)):
                return explain(model, bindings, block, loss, first=self.stream.first_of(number))
        return DataError(
            f"the loss over {quoted(self.data.name)} is not a number",
            cell=model.problem.loss,
            remedy="Check its formula",
        )

    # --- what is judged -------------------------------------------------------------------------------------

    def _judged(self) -> SampleData:
        """The training samples that are judged, as far as they are in this process's share: one pass over all.

        Raises DataError for a sample that formulas cannot calculate with.
        """
        if self._judged_data is None:
            before, every, found = 0, self._every, list[SampleData]()
            blocks = own_blocks(self.stream)
            for number in blocks:
                block, first = self.stream.block(number), self.stream.first_of(number)
                places = self.training.of(np.arange(first, first + block.count))
                numbers = before + np.arange(len(places))
                before += len(places)
                found.append(block.picked(places[numbers % every == 0]))
            self._judged_data = SampleData.joined(found) if found else self.stream.head.part(0, 0)
        return self._judged_data

    def _values(self, data: StreamedData, kept: KeptBack) -> tuple[float, float | None]:
        """Loss and metric over the samples of a part that `kept` keeps."""
        layout = self.layout.judging(whole_of(data, kept))
        reduction = self.judged if layout is self.layout else layout.reduction(self.cells)
        loss, *rest = value_over(reduction, data, kept)
        return loss, rest[0] if rest else None


def value_over(reduction: Reduction, data: StreamedData, kept: KeptBack) -> list[float]:
    """Cells over the samples of a part that `kept` keeps; what is no sum or average, such as the root of a mean, over
    so many of them as fit into memory, evenly spread."""
    if reduction.additive:
        return _shared(reduction, StreamedRows(data, kept).portions())
    return evaluate(reduction, SampleData.joined(list(_thinned(data, kept))))


def whole_of(data: StreamedData, kept: KeptBack) -> Whole:
    """All samples of a part that are meant."""
    return Whole(StreamedRows(data, kept), len(kept))


def _thinned(data: StreamedData, kept: KeptBack) -> Iterator[SampleData]:
    """Give JUDGED samples at most, evenly spread, of all blocks."""
    before, every = 0, -(-len(kept) // JUDGED)
    for number in range(data.block_count):
        block, first = data.block(number), data.first_of(number)
        places = kept.of(np.arange(first, first + block.count))
        numbers = before + np.arange(len(places))
        before += len(places)
        yield block.picked(places[numbers % every == 0])


def _shared(reduction: Reduction, portions: Iterable[SampleData]) -> list[float]:
    """Cells over the samples of all processes, of which this one has these portions."""
    total: Tensor | None = None
    count = 0
    for portion in portions:
        values = torch.tensor(evaluate(reduction, portion), dtype=torch.float64) * portion.count
        total = values if total is None else total + values
        count += portion.count
    return average_of(total, count)
