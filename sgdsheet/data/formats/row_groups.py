"""Row groups of Parquet files, read a block of samples at a time: what does not fit into memory as a whole.

A row group may be larger than the memory that is meant for it, so it is neither read nor decoded as a whole: the reader
of its pages goes on from block to block, for several groups at a time. (A scanner of `pyarrow.dataset` has six times as
much in memory.)
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np

from sgdsheet.data.formats.parquet_columns import LIMITS, array_of, readable, texts_in
from sgdsheet.data.formats.source import Array, Source
from sgdsheet.system.extras import optional

_BLOCK = 2 << 20
"""Bytes of a block, about."""

_FEWEST, _MOST = 4, 16_384
"""Samples of a block."""

_OPEN = 12
"""Row groups that are read at a time, at most."""

_READ_AHEAD = 1 << 18
"""Bytes of a column that are read from a file at a time."""


@dataclass(frozen=True, slots=True)
class Group:
    """A row group of a file."""

    path: Path
    number: int
    above: int
    """Rows of the file above its first."""
    stored: int
    """Rows in the file."""
    rows: int
    """Rows that are wanted."""
    width: int
    """Bytes of a row in memory, about."""

    @property
    def block(self) -> int:
        """Rows of each of its blocks but the last."""
        return min(max(_BLOCK // max(1, self.width), _FEWEST), _MOST)


@dataclass(frozen=True, slots=True)
class _Block:
    """A block of samples: some rows of a group, counted from its first one that is wanted."""

    group: int
    place: int
    """Which block of its group it is."""


class RowGroups:
    """The samples of row groups, in their order. `keep` tells which rows [rows] are wanted by the values of a field."""

    def __init__(
        self,
        name: str,
        part: str,
        groups: Sequence[Group],
        first_row: int | None,
        keep: tuple[str, Callable[[Array], Array]] | None = None,
    ) -> None:
        self._name, self._part, self._groups, self._first_row, self._keep = name, part, groups, first_row, keep
        self._readers: OrderedDict[_Block, Iterator[tuple[int, dict[str, Array]]]] = OrderedDict()
        """What reads on, by the block that it reads next."""
        self._blocks, starts, count = list[_Block](), list[int](), 0
        for number, group in enumerate(groups):
            for place, first in enumerate(range(0, group.rows, group.block)):
                self._blocks.append(_Block(number, place))
                starts.append(count + first)
            count += group.rows
        self.starts, self.count = tuple(starts), count
        self.groups = tuple(block.group for block in self._blocks)

    def block(self, number: int) -> Source:
        """The samples of a block; the rest of its row group is read on from there if it is asked for next."""
        wanted = self._blocks[number]
        group = self._groups[wanted.group]
        reader = self._readers.pop(wanted, None)
        with readable(group.path):
            if reader is None:
                reader = islice(self._reader(group), wanted.place, None)
            first, fields = next(reader)
        if (wanted.place + 1) * group.block < group.rows:
            self._readers[replace(wanted, place=wanted.place + 1)] = reader
        while len(self._readers) > _OPEN:
            self._readers.popitem(last=False)
        name = self._name if self._first_row is not None else f"{self._name}/{group.path.name}"
        row = None if self._keep is not None else group.above + first + 1
        return Source(name, self._part, fields, tuple(fields), first_row=row)

    def where(self, field: str, among: Callable[[Array], Array]) -> RowGroups:
        """The samples for whose field `among` says so: it is counted how many these are in each row group."""
        counted = []
        for group in self._groups:
            with readable(group.path) as arrow:
                wanted = sum(int(among(fields[field]).sum()) for _, fields in self._batches(arrow, group, [field]))
            counted.append(replace(group, rows=wanted))
        return RowGroups(self._name, self._part, counted, self._first_row, (field, among))

    def _reader(self, group: Group) -> Iterator[tuple[int, dict[str, Array]]]:
        """The blocks of a row group, each with the number of its first row (if all rows are wanted)."""
        size, first = group.block, 0
        waiting: list[dict[str, Array]] = []
        with readable(group.path) as arrow:
            for _, fields in self._batches(arrow, group, None):
                if self._keep is not None:
                    kept = np.flatnonzero(self._keep[1](fields[self._keep[0]]))
                    fields = {name: values[kept] for name, values in fields.items()}
                waiting.append(fields)
                while sum(map(_length, waiting)) >= size:
                    whole = _together(waiting)
                    waiting = [{name: values[size:] for name, values in whole.items()}]
                    yield first, {name: values[:size] for name, values in whole.items()}
                    first += size
        rest = _together(waiting)
        if _length(rest):
            yield first, rest

    def _batches(self, arrow: Any, group: Group, columns: list[str] | None) -> Iterator[tuple[int, dict[str, Array]]]:
        """The rows of a row group, some at a time, as pages have them, with the number of the first."""
        parquet = optional("pyarrow.parquet", "parquet")
        with parquet.ParquetFile(group.path, **LIMITS) as file:
            texts = texts_in(file)
        first = 0
        reading = {"read_dictionary": texts, "pre_buffer": False, "buffer_size": _READ_AHEAD, **LIMITS}
        with parquet.ParquetFile(group.path, **reading) as file:
            for batch in file.iter_batches(group.block, [group.number], columns, use_threads=False):
                table = arrow.Table.from_batches([batch])
                yield first, {name: array_of(group.path, arrow, name, table[name]) for name in table.column_names}
                first += len(batch)


def _length(fields: dict[str, Array]) -> int:
    return len(next(iter(fields.values())))


def _together(pieces: Sequence[dict[str, Array]]) -> dict[str, Array]:
    if len(pieces) == 1:
        return pieces[0]
    return {name: np.concatenate([piece[name] for piece in pieces]) for name in pieces[0]}
