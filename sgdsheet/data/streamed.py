"""Samples that do not fit into memory: read a block at a time, shuffled in a buffer, and judged by some of them.

An epoch goes through the blocks in an order that is drawn anew, in several lanes at a time; of each lane some blocks
are in the buffer, and their samples are shuffled. A batch has as many samples of one lane as of another. So each of
several processes reads the lanes of its share of each batch only, while all batches are those that one would draw.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import islice

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from sgdsheet.data.arrays import SampleData, load
from sgdsheet.data.binding import Binding
from sgdsheet.data.formats import Source
from sgdsheet.data.formats.source import Array
from sgdsheet.errors import DataError, quoted
from sgdsheet.sheet.references import Cell
from sgdsheet.sheet.workbook import Value
from sgdsheet.system import processes

LANES = 8
"""Places of the data from which a batch's samples come. Fixed, so that a batch does not depend on how many processes
there are."""

_BUFFER = 48 << 20
"""Bytes of samples that are shuffled together, about."""

_SHUFFLED = 1 << 18
"""Samples that are shuffled together, at most: their numbers take memory as well."""

_PORTION = 1 << 20
"""Numbers that are evaluated at a time."""

Rows = NDArray[np.int64]


class StreamedData:
    """One part of a source as `SampleData` is, of which a few blocks are in memory."""

    def __init__(
        self, source: Source, bindings: Sequence[Binding], *, by_rows: bool, dtype: torch.dtype, device: torch.device
    ) -> None:
        assert source.stream is not None
        self.name, self.dtype, self.device = source.name, dtype, device
        self.count = source.stream.count
        self._stream, self._bindings, self._by_rows = source.stream, bindings, by_rows
        self._starts = np.array([*source.stream.starts, source.stream.count])
        self.head = self._loaded(source)
        self._held: dict[int, SampleData] = {}
        self._first = np.full(len(self._starts) - 1, -1)
        self._buffer = [tensor[:0] for tensor in self.head.tensors]
        self.blocks_read = 0

    # --- blocks -----------------------------------------------------------------------------------------

    @property
    def block_count(self) -> int:
        return len(self._starts) - 1

    def block(self, number: int) -> SampleData:
        """The samples of a block. DataError for what is no finite number where formulas read it."""
        self.blocks_read += 1
        return self._loaded(self._stream.block(number))

    def by_groups(self, draw: np.random.Generator) -> Rows:
        """All blocks: groups in an order that is drawn, and the blocks of a group one after the other."""
        groups = np.array(self._stream.groups)
        places = draw.permutation(int(groups.max()) + 1)
        return np.argsort(places[groups], kind="stable")

    def first_of(self, number: int) -> int:
        """The number of a block's first sample."""
        return int(self._starts[number])

    def _loaded(self, block: Source) -> SampleData:
        found = load(block, self._bindings, by_rows=self._by_rows, dtype=self.dtype, device=torch.device("cpu"))
        found.device = self.device
        head = getattr(self, "head", found)
        for binding, one, other in zip(self._bindings, found.tensors, head.tensors, strict=True):
            if one.shape[1:] != other.shape[1:]:
                fields = " and ".join(quoted(piece.field) for piece in binding.pieces[:2])
                cause = f"{fields} of {quoted(block.name)} are not everywhere of the same length"
                raise DataError(cause, remedy="Make them equally long, or leave them out")
        return found

    def blocks_of(self, rows: Rows) -> Rows:
        """The block of each sample."""
        return np.searchsorted(self._starts, rows, side="right") - 1

    def hold(self, rows: Rows) -> None:
        """Read the blocks of these samples, and let go of all others."""
        wanted = np.unique(self.blocks_of(rows)).tolist()
        self._held = {number: self._held[number] for number in wanted if number in self._held}
        for number in wanted:
            if number not in self._held:
                self._held[number] = self.block(number)
        self._first[:] = -1
        self._first[wanted] = np.cumsum([0, *(self._held[number].count for number in wanted)])[:-1]
        columns = zip(*(self._held[number].tensors for number in wanted), strict=True)
        self._buffer = [torch.cat(column) for column in columns]
        for number in wanted:  # what is held is the buffer: nothing is there twice
            first = int(self._first[number])
            own = self._held[number]
            own.tensors = [tensor[first : first + own.count] for tensor in self._buffer]

    # --- as SampleData ----------------------------------------------------------------------------------

    @property
    def width(self) -> int:
        return self.head.width

    @property
    def texts(self) -> dict[str, Array]:
        return self.head.texts

    def batch(self, indices: Tensor) -> list[Tensor]:
        """The arguments [batch, ...] of a program for the samples of these indices [batch]."""
        rows = indices.cpu().numpy()
        blocks = self.blocks_of(rows)
        if (self._first[blocks] < 0).any():
            self.hold(rows)
        places = torch.from_numpy(self._first[blocks] + rows - self._starts[blocks])
        chosen = (tensor.index_select(0, places) for tensor in self._buffer)
        return [tensor.to(self.device, self.dtype or tensor.dtype, non_blocking=True) for tensor in chosen]

    def slice(self, start: int, stop: int) -> list[Tensor]:
        """The arguments [batch, ...] of a program for the samples from `start` to before `stop`."""
        return self.batch(torch.arange(start, stop))

    def first(self, bindings: Sequence[Binding], *, by_rows: bool) -> dict[Cell, Value]:
        """The values of the cells that show samples, for the first samples."""
        return self.head.first(bindings, by_rows=by_rows)

    def portions(self) -> Iterator[tuple[int, SampleData]]:
        """All samples in their order, as many at a time as are evaluated at once, with the number of the first."""
        return self.chosen_portions(range(self.block_count), None)

    def chosen_portions(self, blocks: Sequence[int], kept: KeptBack | None) -> Iterator[tuple[int, SampleData]]:
        """The samples of some blocks that `kept` keeps, in portions of one size but for the last."""
        size, waiting = max(1, _PORTION // max(1, self.width)), list[SampleData]()
        start = None
        for number in blocks:
            found, first = self.block(number), self.first_of(number)
            if kept is not None:
                found = found.picked(kept.of(np.arange(first, first + found.count)))
            start = first if start is None else start
            waiting.append(found)
            while sum(each.count for each in waiting) >= size:
                whole = SampleData.joined(waiting)
                yield start, whole.part(0, size)
                start, waiting = start + size, [whole.part(size, whole.count)]
        rest = SampleData.joined(waiting) if waiting else None
        if rest is not None and rest.count and start is not None:
            yield start, rest


@dataclass(frozen=True, slots=True)
class KeptBack:
    """Which samples are for validation, a random share; or all others, for training. A rule: there are too many for a
    list."""

    count: int
    share: float
    seed: int
    validation: bool
    _known: dict[str, int] = field(default_factory=dict, compare=False)

    def marks(self, rows: Rows) -> NDArray[np.bool_]:
        """Which of these samples [samples] are meant."""
        if not self.share:
            return np.full(len(rows), not self.validation)
        found: NDArray[np.bool_] = (_uniform(rows, self.seed) < self.share) == self.validation
        return found

    def of(self, rows: Rows) -> Rows:
        """The places, among these samples, of those that are meant."""
        return np.flatnonzero(self.marks(rows))

    def __len__(self) -> int:
        if not self.share:
            return 0 if self.validation else self.count
        if "length" not in self._known:
            spans = ((start, min(start + (1 << 20), self.count)) for start in range(0, self.count, 1 << 20))
            self._known["length"] = sum(int(self.marks(np.arange(*span)).sum()) for span in spans)
        return self._known["length"]


def _uniform(rows: Rows, seed: int) -> NDArray[np.float64]:
    """A number from 0 to 1 for each sample, by its own number and the seed.

    Source: Steele, Lea and Flood, “Fast splittable pseudorandom number generators”, OOPSLA 2014 (SplitMix64).
    """
    with np.errstate(over="ignore"):
        z = rows.astype(np.uint64) + np.uint64(seed) * np.uint64(0x9E3779B97F4A7C15)
        z = (z + np.uint64(1)) * np.uint64(0x9E3779B97F4A7C15)
        z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        z = z ^ (z >> np.uint64(31))
    found: NDArray[np.float64] = (z >> np.uint64(11)).astype(np.float64) / float(1 << 53)
    return found


@dataclass(frozen=True, slots=True)
class StreamedRows:
    """All samples of a part for what sums them up: `Whole.batch` where they do not fit into memory."""

    data: StreamedData
    kept: KeptBack

    def __call__(self) -> list[Tensor]:
        raise DataError(
            f"{quoted(self.data.name)} does not fit into memory, and a formula needs all its samples at once",
            remedy="Let it calculate AVERAGE, SUM, COUNT, MIN, MAX, VAR or STDEV of a column",
        )

    def portions(self) -> Iterator[SampleData]:
        """The samples of this process's share of the blocks, some at a time."""
        for _, portion in self.data.chosen_portions(own_blocks(self.data), self.kept):
            yield portion


def own_blocks(data: StreamedData) -> range:
    """The blocks that this process reads where each reads some of them."""
    count, rank = processes.count(), processes.rank()
    return range(data.block_count * rank // count, data.block_count * (rank + 1) // count)


# --- the order of an epoch --------------------------------------------------------------------------------


def epoch_of(
    data: StreamedData, kept: KeptBack, size: int, *, shuffle: bool, generator: torch.Generator, skip: int
) -> Iterator[tuple[Tensor, Rows]]:
    """The batches of an epoch after the first `skip`: indices [size], and all those that are in the buffer with them.

    The last batch may be smaller.
    """
    rounds = _shuffled(data, kept, generator) if shuffle else _in_order(data, kept)
    left, number = np.empty(0, np.int64), 0
    for rows in rounds:
        rows = np.concatenate([left, rows])
        whole = len(rows) // size * size
        ready = rows[:whole]
        for place in range(0, whole, size):
            number += 1
            if number > skip:
                yield torch.from_numpy(ready[place : place + size]), ready
        left = rows[whole:]
    if len(left) and number >= skip:
        yield torch.from_numpy(left), left


def _in_order(data: StreamedData, kept: KeptBack) -> Iterator[Rows]:
    per_round = max(1, _blocks_held(data))
    for start in range(0, data.block_count, per_round):
        stop = min(start + per_round, data.block_count)
        rows = np.arange(data.first_of(start), data.count if stop == data.block_count else data.first_of(stop))
        yield rows[kept.of(rows)]


def _blocks_held(data: StreamedData) -> int:
    sizes = [tensor.numel() * tensor.element_size() for tensor in data.head.tensors]
    by_count = _SHUFFLED // max(1, data.head.count)
    return max(LANES, min(by_count, _BUFFER // max(1, sum(sizes))))


def _shuffled(data: StreamedData, kept: KeptBack, generator: torch.Generator) -> Iterator[Rows]:
    """The samples in the order of an epoch, as many at a time as are in the buffer together."""
    draw = np.random.default_rng(int(torch.randint(1 << 62, (), generator=generator)))
    order = data.by_groups(draw)
    sizes = np.diff([*(data.first_of(number) for number in range(data.block_count)), data.count])[order]
    ends = np.cumsum(sizes)
    per_lane = max(1, _blocks_held(data) // LANES)
    edges = [data.count * lane // LANES for lane in range(LANES + 1)]
    lanes = [
        _lane(data, kept, order, ends, edges[lane], edges[lane + 1], per_lane, int(draw.integers(1 << 62)))
        for lane in range(LANES)
    ]
    window = data.head.count * per_lane
    waiting = [np.empty(0, np.int64) for _ in lanes]
    while True:
        for lane, rows in enumerate(lanes):
            while len(waiting[lane]) < window and (found := next(rows, None)) is not None:
                waiting[lane] = np.concatenate([waiting[lane], found])
        even = min(map(len, waiting))
        if not even:
            break
        yield np.stack([rows[:even] for rows in waiting], axis=1).reshape(-1)
        waiting = [rows[even:] for rows in waiting]
    while any(map(len, waiting)):  # lanes that have more samples of a share than others
        yield np.concatenate([rows[:window] for rows in waiting])
        more = [[rows[window:], *islice(lane, 1)] for rows, lane in zip(waiting, lanes, strict=True)]
        waiting = [np.concatenate(rows) for rows in more]


def _lane(
    data: StreamedData, kept: KeptBack, order: Rows, ends: Rows, first: int, last: int, per_window: int, seed: int
) -> Iterator[Rows]:
    """The samples of a lane from one place to another of the blocks' order, some shuffled blocks at a time."""
    draw = np.random.default_rng(seed)
    blocks = range(int(np.searchsorted(ends, first, side="right")), int(np.searchsorted(ends, last, side="left")) + 1)
    numbers = iter(blocks if last > first else ())
    while window := list(islice(numbers, per_window)):
        pieces = []
        for place in window:
            block = int(order[place])
            start = int(ends[place - 1]) if place else 0
            own = np.arange(max(first, start), min(last, int(ends[place]))) - start + data.first_of(block)
            pieces.append(own[kept.of(own)])
        rows = np.concatenate(pieces)
        draw.shuffle(rows)
        if len(rows):
            yield rows
