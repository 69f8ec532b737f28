"""The typed numbers that flow into a cell, and whether formulas read them as parameters or as data are read.

A parameter is read again and again: `$B$1` by each of a hundred rows. Data are read row by row: A5 by row 5 alone.
Where that does not decide, the words beside the cells do, and what the numbers look like.
"""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Hashable, Iterable, Sequence
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
    """How one reference reads some cells: each by `reuse` copies, in a `series` of so many that have their own."""

    reuse: int
    series: int
    length: int
    """How long a range each copy reads."""


@dataclass(slots=True)
class Input:
    """Typed numbers that flow into a cell. `score` tells how much they look like parameters: above 0, they do."""

    area: Range
    readings: list[Reading] = field(default_factory=list)
    labels: tuple[tuple[str, float], ...] = ()
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


def inputs_of(workbook: Workbook, blocks: Iterable[Block], labels: Labels, *, gain: bool = False) -> list[Input]:
    """The typed numbers that these blocks read, in areas that are read alike, with their scores.

    For a `gain` a price is something to choose, otherwise it was observed.
    """
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
        item.labels = labels.of_area(item.area, in_rows=not _in_series(item.readings))
        item.score = _score(item, workbook.sheets[item.area.sheet])
        if gain and not item.is_data and any(set(words_of(text)) & vocabulary.PRICE for text, _ in item.labels[:1]):
            item.score = 3.0
        if _stands_for_the_bias(item.area, workbook.sheets[item.area.sheet], readings):
            item.score = -4.5
    return found


def _stands_for_the_bias(area: Range, sheet: Sheet, readings: Iterable[Range]) -> bool:
    """Whether cells are the ones beside calculated numbers that a matrix product multiplies the biases by."""
    if area.size > _FEW or any(sheet.values[place] != 1.0 for place in area.positions()):
        return False
    around = [other for other in readings if other.intersection(area)]
    return all(other != area and any(place in sheet.formulas for place in other.positions()) for other in around)


def _trimmed(area: Range, extent: Position) -> Range | None:
    bottom, right = min(area.bottom, extent[0]), min(area.right, extent[1])
    return area._replace(bottom=bottom, right=right) if area.top <= bottom and area.left <= right else None


def _in_series(readings: Iterable[Reading]) -> bool:
    return any(max(reading.series, reading.length) >= _LONG for reading in readings)


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
    height, width = part.bottom.base - part.top.base + 1, part.right.base - part.left.base + 1
    return Reading(reuse, series, max(height, width))


def _apart(
    workbook: Workbook, readings: dict[Range, list[Reading]], labels: Labels
) -> list[tuple[Range, list[Reading]]]:
    """The typed numbers among what is read, as areas whose cells are read and called alike."""
    ways: dict[Cell, list[tuple[Range, Reading]]] = defaultdict(list)
    large: list[tuple[Range, list[Reading]]] = []
    for area, kinds in readings.items():
        if area.size > MOST_CELLS:
            large.append((area, kinds))
            continue
        for place in typed_numbers(workbook.sheets[area.sheet], area):
            ways[Cell(area.sheet, *place)] += ((area, kind) for kind in kinds)
    few = len(ways) <= _FEW
    alike: dict[tuple[str, Hashable], dict[Position, set[Reading]]] = defaultdict(dict)
    for cell, known in ways.items():
        kind = _kind(cell, known, labels if few else None)
        alike[cell.sheet, kind][cell[1:]] = {reading for _, reading in known}
    found = []
    for (sheet, _), places in alike.items():
        for top, left, rows, columns in rectangles(places):
            area = Range(sheet, top, left, top + rows - 1, left + columns - 1)
            found.append((area, sorted(set().union(*(places[place] for place in area.positions())))))
    return sorted([*found, *large], key=lambda item: item[0])


def _kind(cell: Cell, known: Sequence[tuple[Range, Reading]], labels: Labels | None) -> Hashable:
    """What cells have in common that are one thing: the ranges that they are read in, else what they are called."""
    read = frozenset((reading.reuse > 1, reading.series >= _LONG) for _, reading in known)
    ranges = frozenset(area for area, reading in known if reading.length > 1)
    if ranges or labels is None:
        return read, ranges
    score = word_score(labels.of_area(Range.of_cell(cell), in_rows=not _in_series(reading for _, reading in known)))
    return read, (score > 0) - (score < 0)


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
    score = min(score, 3.5 if _in_series(item.readings) else 4.0)
    if item.series >= _LONG:
        score -= 3.0 if item.reuse > 1 else 4.5
    elif item.series > 2 and item.reuse == 1:
        score -= 1.0
    if item.area.size > 64 and item.reuse == 1:
        score -= 2.0
    if item.reuse == 1 and _is_part_of_column(item.area, sheet):
        score -= 8.0
    words = word_score(item.labels)
    if item.area.size > 1 and words > 0 and set(words_of(item.labels[0][0])) & vocabulary.OF_EACH:
        words = -words
    if words < 0 and item.reuse >= _LONG and not _in_series(item.readings) and not is_setting(item.labels):
        words /= 2  # the weight of the feature “age” stands below “age”
    return score + words + _number_score(item, sheet)


def _is_part_of_column(area: Range, sheet: Sheet) -> bool:
    """Whether an area is a piece of a long column of typed numbers, of which a formula reads only some."""
    if area.width > 1 or area.height >= _LONG:
        return False
    first, last = max(1, area.top - _LONG), area.bottom + _LONG
    around = typed_numbers(sheet, Range(area.sheet, first, area.left, last, area.left))
    run = [row for row, _ in sorted(around)]
    before = next((far for far in range(1, _LONG + 1) if area.top - far not in run), _LONG) - 1
    after = next((far for far in range(1, _LONG + 1) if area.bottom + far not in run), _LONG) - 1
    return before + after + 1 >= _LONG


def is_setting(labels: Sequence[tuple[str, float]]) -> bool:
    """Whether the closest text is about how to calculate: “learning rate”, “use the bias?”."""
    closest = labels[0][0] if labels else ""
    return closest.endswith("?") or bool(set(words_of(without_units(closest))) & vocabulary.SETTING)


def word_score(labels: Sequence[tuple[str, float]]) -> float:
    """What the words beside some cells say: the closest text that says something counts."""
    if is_setting(labels):
        return -4.5
    for label, weight in labels:
        words = _with_stems(words_of(without_units(label)))
        parameters, data = len(words & vocabulary.PARAMETER), len(words & vocabulary.DATA)
        if parameters != data:
            if data > parameters:
                return -weight
            return weight / 2 if max(map(len, words)) <= 2 else weight  # b may be anything
    return 0.0


def _with_stems(words: Iterable[str]) -> set[str]:
    """Words, and those that stand before a number: of x1 it is x."""
    return {stem for word in words for stem in (word, word.rstrip("0123456789")) if stem}


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
