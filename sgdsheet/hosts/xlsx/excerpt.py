"""The rows of a worksheet that a change concerns, cut out so that a large sheet need not be parsed for a few cells."""

from __future__ import annotations

import re
from bisect import bisect_left, bisect_right
from collections.abc import Iterable
from itertools import accumulate, pairwise
from typing import NamedTuple

from sgdsheet.hosts.xlsx.plain_rows import layout_of

_ROW = re.compile(rb'<row r="([1-9][0-9]{0,6})"')
_ANY_ROW = re.compile(rb"<row[\s/>]")
_AREA = re.compile(rb"""\st=["'](?:array|dataTable)["']""")
"""A formula whose area reaches into other rows."""

_FEW = 0.5
"""The share of a sheet from which on cutting it out is not worth while."""


class Excerpt(NamedTuple):
    """A worksheet with some of its rows: its bytes, and where each of its pieces begins in it and in the whole."""

    data: bytes
    starts: list[int]
    places: list[int]

    def place(self, position: int) -> int:
        """A position of the excerpt in the whole sheet; where two pieces meet, that of the later one."""
        piece = bisect_right(self.starts, position) - 1
        return self.places[piece] + position - self.starts[piece]


def excerpt(data: bytes, wanted: Iterable[int]) -> Excerpt | None:
    """The rows of these numbers, or the next ones where there are none, and those with areas; None for the whole.

    A sheet that is not written as most programs write it is to be parsed as a whole.
    """
    layout = layout_of(data)
    if layout is None:
        return None
    found = [(int(match[1]), match.start()) for match in _ROW.finditer(data, layout.start, layout.end)]
    numbers, starts = [number for number, _ in found], [start for _, start in found]
    count = sum(1 for _ in _ANY_ROW.finditer(data, layout.start, layout.end))
    if not found or count != len(found) or any(one >= two for one, two in pairwise(numbers)):
        return None
    rows = {bisect_left(numbers, number) for number in wanted} - {len(numbers)}
    rows |= {bisect_right(starts, match.start()) - 1 for match in _AREA.finditer(data, layout.start, layout.end)}
    if len(rows) > _FEW * len(numbers):
        return None
    ends = [*starts[1:], layout.end]
    pieces = [(0, starts[0]), *((starts[row], ends[row]) for row in sorted(rows)), (layout.end, len(data))]
    positions = [0, *accumulate(end - start for start, end in pieces)]
    return Excerpt(b"".join(data[start:end] for start, end in pieces), positions[:-1], [start for start, _ in pieces])
