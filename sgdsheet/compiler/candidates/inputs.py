"""The typed numbers that flow into a cell, and whether formulas read them as parameters or as data are read.

A parameter is read again and again: `$B$1` by each of a hundred rows. Data are read row by row: A5 by row 5 alone.
Where that does not decide, the words beside the cells do, and what the numbers look like.
"""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import NamedTuple

from sgdsheet.compiler.candidates import vocabulary
from sgdsheet.compiler.candidates.labels import Labels, without_units, words_of
from sgdsheet.compiler.frontend.block_table import BlockTable
from sgdsheet.compiler.frontend.blocks import Block, bounding_range
from sgdsheet.sheet.references import Cell, Range, rectangles
from sgdsheet.sheet.syntax import Area, walk
from sgdsheet.sheet.workbook import Position, Sheet, Workbook

MOST_CELLS = 200_000
"""Numbers of one reference that are looked at one by one; more are data."""

_MOST_VISITS = 4
"""How often a block is cut down anew to what is wanted of it, at most; after that, all of it is taken."""

_FEW = 2_000
"""Numbers up to which each is looked at with the words beside it."""

_LONG = 8
"""Copies of a formula, each reading its own cell, from which on the cells are read row by row."""


class Reading(NamedTuple):
    """How one reference reads some cells: each by so many copies, and in how long a series of their own."""

    reuse: int
    series: int


@dataclass(slots=True)
class Input:
    """Typed numbers that flow into a cell. `score` tells how much they look like parameters: above 0, they do."""

    area: Range
    readings: list[Reading] = field(default_factory=list)
    labels: tuple[str, ...] = ()
    score: float = 0.0

    @property
    def reuse(self) -> int:
        return max((reading.reuse for reading in self.readings), default=1)

    @property
    def series(self) -> int:
        return max((reading.series for reading in self.readings), default=1)

    @property
    def is_data(self) -> bool:
        """Whether each row has its own of these numbers."""
        return self.series >= _LONG or max(self.area.height, self.area.width) >= _LONG


def upstream(table: BlockTable, target: Range) -> list[Block]:
    """The blocks that flow into some cells, cut down to what flows there, in no particular order."""
    wanted: dict[int, tuple[Block, Range]] = {}
    visits: Counter[int] = Counter()
    waiting = [target]
    while waiting:
        area = waiting.pop()
        for block in table.overlapping(area):
            part = block.range.intersection(area)
            assert part is not None
            known = wanted.get(id(block))
            if known is not None:
                if known[1].contains(part):
                    continue
                part = known[1].bounding_box(part)
            visits[id(block)] += 1
            if visits[id(block)] > _MOST_VISITS:  # a recursion comes back again and again
                part = block.range
            wanted[id(block)] = block, part
            waiting += block.trimmed(part).reads()
    return [block.trimmed(part) for block, part in wanted.values()]


def inputs_of(workbook: Workbook, blocks: Iterable[Block], labels: Labels) -> list[Input]:
    """The typed numbers that these blocks read, in areas that are read alike, with their scores."""
    readings: dict[Range, list[Reading]] = defaultdict(list)
    extents = {name: sheet.extent for name, sheet in workbook.sheets.items()}
    for block in blocks:
        for part in walk(block.tree):
            if isinstance(part, Area) and part.sheet in extents:
                area = _trimmed(bounding_range(part, block.rows, block.columns), extents[part.sheet])
                if area is not None:
                    readings[area].append(_reading(part, block))
    found = [Input(area, kinds) for area, kinds in _apart(workbook, readings, labels)]
    for item in found:
        item.labels = labels.of_area(item.area)
        item.score = _score(item, workbook.sheets[item.area.sheet])
    return found


def _trimmed(area: Range, extent: Position) -> Range | None:
    bottom, right = min(area.bottom, extent[0]), min(area.right, extent[1])
    return area._replace(bottom=bottom, right=right) if area.top <= bottom and area.left <= right else None


def _reading(part: Area, block: Block) -> Reading:
    reuse = series = 1
    for copies, ends in (
        (block.rows, (part.top.down, part.left.down)),
        (block.columns, (part.top.across, part.left.across)),
    ):
        if any(ends):
            series = max(series, copies)
        else:
            reuse *= copies
    return Reading(reuse, series)


def _apart(
    workbook: Workbook, readings: dict[Range, list[Reading]], labels: Labels
) -> list[tuple[Range, list[Reading]]]:
    """The typed numbers among what is read, as areas whose cells are read and called alike."""
    ways: dict[Cell, set[Reading]] = defaultdict(set)
    large: list[tuple[Range, list[Reading]]] = []
    for area, kinds in readings.items():
        if area.size > MOST_CELLS:
            large.append((area, kinds))
            continue
        for place in typed_numbers(workbook.sheets[area.sheet], area):
            ways[Cell(area.sheet, *place)].update(kinds)
    few = len(ways) <= _FEW
    alike: dict[tuple[str, frozenset[tuple[bool, bool]], float], dict[Position, set[Reading]]] = defaultdict(dict)
    for cell, known in ways.items():
        kind = frozenset((way.reuse > 1, way.series >= _LONG) for way in known)
        called = (
            math.copysign(1.0, score) if few and (score := word_score(labels.of_area(Range.of_cell(cell)))) else 0.0
        )
        alike[cell.sheet, kind, called][cell[1:]] = known
    found = []
    for (sheet, _, _), places in alike.items():
        for top, left, rows, columns in rectangles(places):
            area = Range(sheet, top, left, top + rows - 1, left + columns - 1)
            found.append((area, sorted(set().union(*(places[place] for place in area.positions())))))
    return sorted([*found, *large], key=lambda item: item[0])


def typed_numbers(sheet: Sheet, area: Range) -> list[tuple[int, int]]:
    """The cells of an area that hold a number and no formula, nor a part of an array formula's result."""
    values, formulas = sheet.values, sheet.formulas
    found = [place for place in area.positions() if type(values.get(place)) is float and place not in formulas]
    arrays = [Range(sheet.name, *formula.array) for formula in formulas.values() if formula.array is not None]
    arrays = [array for array in arrays if array.size > 1 and array.intersection(area)]
    if not arrays:
        return found
    filled = {place for array in arrays for place in array.positions()}
    return [place for place in found if place not in filled]


# --- parameter or data ------------------------------------------------------------------------------------


def _score(item: Input, sheet: Sheet) -> float:
    """How much some numbers look like parameters."""
    score = 1.5 * math.log2(item.reuse) / 2 if item.reuse > 1 else 0.0
    score = min(score, 4.0)
    if item.series >= _LONG:
        score -= 3.0 if item.reuse > 1 else 4.5
    if item.area.size > 64 and item.reuse == 1:
        score -= 2.0
    return score + word_score(item.labels) + _number_score(item, sheet)


def word_score(labels: Sequence[str]) -> float:
    """What the words beside some cells say: the closest text counts most."""
    for label, weight in zip(labels, (3.0, 2.0, 1.0), strict=False):
        words = set(words_of(without_units(label)))
        if words & vocabulary.SETTING:
            return -1.5 * weight
        parameters, data = len(words & vocabulary.PARAMETER), len(words & vocabulary.DATA)
        if parameters != data:
            return weight if parameters > data else -weight
    return 0.0


def _number_score(item: Input, sheet: Sheet) -> float:
    """What the numbers themselves say: 1, 2, 3 … are counted, years are data, small fractions were fitted."""
    if item.area.size > 10_000:
        return -1.0
    numbers = [float(sheet.values[place]) for place in item.area.positions()]  # type: ignore[arg-type]
    whole = all(number.is_integer() for number in numbers)
    if len(numbers) >= 3 and whole and len({b - a for a, b in pairwise(numbers)}) == 1:
        return -2.0 if numbers[0] != numbers[1] else 0.5  # 1, 2, 3 …, or all the same: a start
    if whole and all(1800 <= number <= 2200 or number > 30_000 for number in numbers):
        return -2.0
    return 0.0 if whole else 0.5


# --- put together -----------------------------------------------------------------------------------------


def joined(inputs: Sequence[Input]) -> list[Range]:
    """The areas of some inputs, those side by side as one."""
    found: list[Range] = []
    for sheet in dict.fromkeys(item.area.sheet for item in inputs):
        large = [item.area for item in inputs if item.area.sheet == sheet and item.area.size > MOST_CELLS]
        cells = {
            place
            for item in inputs
            if item.area.sheet == sheet and item.area.size <= MOST_CELLS
            for place in item.area.positions()
        }
        found += [Range(sheet, top, left, top + h - 1, left + w - 1) for top, left, h, w in rectangles(cells)]
        found += large
    return found
