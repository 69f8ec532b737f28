"""Where a key stands in a row or column: exactly, nearly, by a pattern, from either end."""

from __future__ import annotations

import operator
from collections.abc import Callable
from dataclasses import replace
from enum import Enum

import torch

from sgdsheet.compiler.functions import operators
from sgdsheet.compiler.functions.wildcards import has_wildcards, matching, pattern
from sgdsheet.compiler.ir.builder import Builder
from sgdsheet.compiler.ir.values import Fault, Kind, Value
from sgdsheet.compiler.ir.varying import varying
from sgdsheet.errors import FormulaError


class Way(Enum):
    """What is looked for."""

    EXACT = "="
    PATTERN = "= with wildcards"
    ASCENDING = "<="
    """Find the last cell that is not above the key, by bisection: the cells have to ascend."""
    DESCENDING = ">="
    """Find the first cell that is the key, else the last one that is not below it: the cells have to descend."""
    BELOW = "the key, else the largest below it"
    ABOVE = "the key, else the smallest above it"

    @property
    def worst(self) -> float:
        """What BELOW or ABOVE would take last."""
        return -torch.inf if self is Way.BELOW else torch.inf


def find(builder: Builder, key: Value, cells: Value, way: Way, *, last: bool = False) -> Value:
    """Where a key stands in fixed cells, from 1; #N/A where it does not. With `last` the last such place.

    A blank key is the number 0, and an error that error. Keys match cells of their own kind only. A number that depends
    on a parameter is looked for while the program runs; a key that depends on data, or is no number, is refused.
    """
    later = not key.constant and cells.constant and key.only(Kind.NUMBER) and _only_parameters(builder)
    if not later and (not cells.constant or not key.constant):
        raise varying(builder, "looks something up by a value that depends on", cells, key, remedy="Use fixed values")
    if "h" in cells.axes and "w" in cells.axes:
        return builder.error(Fault.NA)
    along = "h" if "h" in cells.axes else "w"
    cells = replace(cells, reference=False).renamed({along: "k"})
    if later:
        return _found_later(builder, key, cells, way, last=last)
    if way not in (Way.EXACT, Way.PATTERN):
        builder.check_order(key, cells)
    errors = builder.errors_of(key)
    key = builder.cleaned(key)
    kinds = key.kind_tensor()
    key = key.with_kinds(torch.where(kinds == Kind.BLANK, int(Kind.NUMBER), kinds).to(torch.uint8))
    if "k" not in cells.axes:
        cells = builder.expanded(cells, cells.axes + "k", (*cells.sizes, 1))
    if way is Way.ASCENDING:
        place = _bisected(builder, key, cells)
    elif way is Way.DESCENDING:
        place = _descended(builder, key, cells)
    else:
        place = _scanned(builder, key, cells, way, last=last)
    return builder.spoiled(place, errors)


def _only_parameters(builder: Builder) -> bool:
    """Whether what is not constant depends on parameters only, and constants stay what they are."""
    return not builder.generic and all(node.op != "placeholder" for node in builder.graph.nodes)


def _found_later(builder: Builder, key: Value, cells: Value, way: Way, *, last: bool) -> Value:
    """Where a number stands that is known when the program runs; only numbers match it.

    Cells that are not in order are refused where Excel bisects: what it meets there depends on the number.
    """
    if way in (Way.ASCENDING, Way.DESCENDING) and not _is_sorted(builder, cells, way):
        raise FormulaError(
            "looks a parameter up in cells that are not sorted", remedy="Sort them, or look for the exact key"
        )
    if "k" not in cells.axes:
        cells = builder.expanded(cells, cells.axes + "k", (*cells.sizes, 1))
    own = Value(cells.kind_tensor() == Kind.NUMBER, cells.axes, cells.sizes, Kind.BOOLEAN)
    numbers = Value(_ordered(builder, cells).tensor, cells.axes, cells.sizes)

    def which(operation: Callable[..., object], other: Value) -> Value:
        met = builder.elementwise(operation, numbers, other, kind=Kind.BOOLEAN)
        return builder.elementwise(torch.logical_and, met, own, kind=Kind.BOOLEAN)

    if way is Way.ASCENDING:
        place = _end_later(builder, which(torch.le, key), last=True)
    else:
        place = _end_later(builder, which(torch.eq, key), last=last)
    if way is Way.DESCENDING:
        there = builder.elementwise(torch.gt, place, builder.number(0.0), kind=Kind.BOOLEAN)
        place = builder.where(there, place, _end_later(builder, which(torch.ge, key), last=True))
    if way in (Way.BELOW, Way.ABOVE):
        beyond = which(torch.lt if way is Way.BELOW else torch.gt, key)
        candidates = builder.where(beyond, numbers, builder.number(way.worst))
        best = builder.reduce(torch.amax if way is Way.BELOW else torch.amin, candidates, "k")
        nearest = builder.elementwise(torch.logical_and, which(torch.eq, best), beyond, kind=Kind.BOOLEAN)
        exact = builder.elementwise(torch.gt, place, builder.number(0.0), kind=Kind.BOOLEAN)
        place = builder.where(exact, place, _end_later(builder, nearest, last=last))
    missing = builder.elementwise(torch.eq, place, builder.number(0.0), kind=Kind.BOOLEAN)
    return builder.spoiled(builder.spoiled(place, missing, Fault.NA), builder.errors_of(key))


def _end_later(builder: Builder, found: Value, *, last: bool) -> Value:
    """The first or last place along k that is found while the program runs, from 1; 0 where there is none."""
    size = found.size("k")
    count = torch.arange(1.0, size + 1, dtype=builder.dtype)
    places = Value(count if last else size + 1 - count, "k", (size,))
    end = builder.reduce(torch.amax, builder.where(found, places, builder.number(0.0)), "k")
    if last:
        return end
    turned = builder.elementwise(operator.sub, builder.number(size + 1.0), end)
    there = builder.elementwise(torch.gt, end, builder.number(0.0), kind=Kind.BOOLEAN)
    return builder.where(there, turned, builder.number(0.0))


def _scanned(builder: Builder, key: Value, cells: Value, way: Way, *, last: bool) -> Value:
    found = _equal(builder, key, cells, pattern_too=way is Way.PATTERN)
    place = _end(builder, found, last=last)
    if way in (Way.EXACT, Way.PATTERN):
        return _or_missing(builder, place)
    beyond = operators.compare(builder, "<" if way is Way.BELOW else ">", cells, key)
    same_kind = _same_kind(builder, key, cells)
    beyond = builder.elementwise(torch.logical_and, builder.conditions(beyond), same_kind, kind=Kind.BOOLEAN)
    numbers = builder.where(beyond, _ordered(builder, cells), builder.number(way.worst))
    best = builder.reduce(torch.amax if way is Way.BELOW else torch.amin, numbers, "k")
    nearest = builder.elementwise(torch.eq, numbers, best, kind=Kind.BOOLEAN)
    nearest = builder.elementwise(torch.logical_and, nearest, beyond, kind=Kind.BOOLEAN)
    other = _end(builder, nearest, last=last)
    exact = builder.elementwise(torch.gt, place, builder.number(0.0), kind=Kind.BOOLEAN)
    return _or_missing(builder, builder.where(exact, place, other))


def _equal(builder: Builder, key: Value, cells: Value, *, pattern_too: bool) -> Value:
    """Which cells are the key, to the last digit: lookups do not round as `=` does."""
    same = builder.elementwise(torch.eq, _ordered(builder, cells), _ordered(builder, key), kind=Kind.BOOLEAN)
    same = builder.elementwise(torch.logical_and, same, _same_kind(builder, key, cells), kind=Kind.BOOLEAN)
    is_text = key.kind_tensor() == Kind.TEXT
    codes = torch.unique(key.tensor[is_text].long()).tolist() if pattern_too else []
    wild = [code for code in codes if has_wildcards(builder.texts[code])]
    if not wild:
        return same
    numbers, chosen = torch.zeros(key.sizes, dtype=torch.long), torch.zeros(key.sizes, dtype=torch.bool)
    for place, code in enumerate(wild):
        here = is_text & (key.tensor == code)
        numbers[here], chosen[here] = place, True
    patterns = [pattern(builder.texts[code]) for code in wild]
    found = matching(builder, cells, Value(numbers, key.axes, key.sizes), patterns)
    by_pattern = Value(chosen, key.axes, key.sizes, Kind.BOOLEAN)
    return builder.elementwise(torch.where, by_pattern, found, same, kind=Kind.BOOLEAN)


def _same_kind(builder: Builder, key: Value, cells: Value) -> Value:
    kinds = [Value(value.kind_tensor().to(torch.int64), value.axes, value.sizes) for value in (cells, key)]
    return builder.elementwise(torch.eq, *kinds, kind=Kind.BOOLEAN)


def _ordered(builder: Builder, value: Value) -> Value:
    """Numbers that are in the order of the values of each kind: texts by their place in the alphabet."""
    is_text = value.kind_tensor() == Kind.TEXT
    data = value.tensor.to(builder.dtype)
    if bool(is_text.any()):
        data = torch.where(is_text, builder.ranks()[torch.where(is_text, data, 0.0).long()], data)
    return Value(data.nan_to_num(nan=0.0), value.axes, value.sizes)


def _end(builder: Builder, found: Value, *, last: bool) -> Value:
    """The first or last place along k that is found, from 1; 0 where there is none."""
    at = found.axes.index("k")
    size = found.sizes[at]
    count = torch.arange(1, size + 1).reshape([-1 if axis == "k" else 1 for axis in found.axes])
    places = torch.where(found.tensor, count if last else size + 1 - count, 0).amax(dim=at)
    places = places if last else torch.where(places > 0, size + 1 - places, 0)
    return Value(places.to(builder.dtype), found.axes.replace("k", ""), (*found.sizes[:at], *found.sizes[at + 1 :]))


def _or_missing(builder: Builder, place: Value) -> Value:
    missing = Value(place.tensor == 0, place.axes, place.sizes, Kind.BOOLEAN)
    return builder.spoiled(place, missing, Fault.NA) if bool(missing.tensor.any()) else place


def _bisected(builder: Builder, key: Value, cells: Value) -> Value:
    """As Excel looks in sorted cells; in others it finds what bisection happens to meet, and so do we."""
    if _is_sorted(builder, cells, Way.ASCENDING) or _is_beyond_all(builder, key, cells, Way.ASCENDING):
        met = operators.compare(builder, "<=", cells, key)
        found = builder.elementwise(torch.logical_and, builder.conditions(met), _same_kind(builder, key, cells))
        return _or_missing(builder, _end(builder, replace(found, kinds=Kind.BOOLEAN), last=True))
    return _row_by_row(builder, key, cells, _bisection)


def _descended(builder: Builder, key: Value, cells: Value) -> Value:
    """As Excel looks in cells that descend: one after the other, up to the key or the first one below it."""
    kinds = {kind for value in (key, cells) for kind in value.kind_tensor().unique().tolist()}
    if len(kinds) == 1:
        return _row_by_row(builder, key, cells, _descent)
    if not (_is_sorted(builder, cells, Way.DESCENDING) or _is_beyond_all(builder, key, cells, Way.DESCENDING)):
        raise FormulaError(
            "looks something up in cells that are not sorted", remedy="Sort them, or look for the exact key"
        )
    place = _end(builder, _equal(builder, key, cells, pattern_too=False), last=False)
    met = operators.compare(builder, ">=", cells, key)
    above = builder.elementwise(torch.logical_and, builder.conditions(met), _same_kind(builder, key, cells))
    other = _end(builder, replace(above, kinds=Kind.BOOLEAN), last=True)
    exact = builder.elementwise(torch.gt, place, builder.number(0.0), kind=Kind.BOOLEAN)
    return _or_missing(builder, builder.where(exact, place, other))


_Search = Callable[[list[float], list[bool], float], int]


def _row_by_row(builder: Builder, key: Value, cells: Value, search: _Search) -> Value:
    """Where a search through single cells ends, for each copy of the formula."""
    length = cells.size("k")
    axes, sizes = builder.union_axes([key, replace(cells, axes=cells.axes.replace("k", ""), sizes=_without_k(cells))])
    same = _same_kind(builder, key, cells)
    own, rows = (
        builder.expanded(value, axes + "k", (*sizes, length)).tensor.reshape(-1, length).tolist()
        for value in (same, _ordered(builder, cells))
    )
    keys = builder.expanded(_ordered(builder, key), axes, sizes).tensor.reshape(-1).tolist()
    places = [float(search(row, fits, wanted)) for row, fits, wanted in zip(rows, own, keys, strict=True)]
    return _or_missing(builder, Value(torch.tensor(places, dtype=builder.dtype).reshape(sizes), axes, sizes))


def _is_beyond_all(builder: Builder, key: Value, cells: Value, way: Way) -> bool:
    """Whether no cell of its kind stands behind a key or beside it: the search then ends at the last of them.

    `LOOKUP(9E+307,A:A)` is the last number of a column, whatever their order and what else is there.
    """
    beyond = operators.compare(builder, "<" if way is Way.ASCENDING else ">", cells, key)
    others = builder.elementwise(torch.logical_not, _same_kind(builder, key, cells), kind=Kind.BOOLEAN)
    return bool(builder.elementwise(torch.logical_or, builder.conditions(beyond), others).tensor.all())


def _without_k(value: Value) -> tuple[int, ...]:
    return tuple(size for axis, size in zip(value.axes, value.sizes, strict=True) if axis != "k")


def _bisection(row: list[float], fits: list[bool], wanted: float) -> int:
    """The place, from 1, at which Excel's bisection ends; 0 if below all that it meets.

    A cell of another kind than the key is passed over towards the end. At a cell that is the key the search stops, and
    takes the last of those that follow and are the key, too.
    """
    low, high = -1, len(row)
    while high - low > 1:
        middle = (low + high) // 2
        there = middle
        while there < high and not fits[there]:
            there += 1
        if there == high or (there > middle and there == high - 1 and row[there] > wanted):
            high = middle
        elif row[there] > wanted:
            high = there
        elif row[there] < wanted:
            low = there
        else:
            while there + 1 < high and fits[there + 1] and row[there + 1] == wanted:
                there += 1
            return there + 1
    return low + 1


def _descent(row: list[float], fits: list[bool], wanted: float) -> int:
    """The place, from 1, of the first cell that is the key, or of the last one before the first below it."""
    for place, (number, _) in enumerate(zip(row, fits, strict=True)):
        if number <= wanted:
            return place + (number == wanted)
    return len(row)


def _is_sorted(builder: Builder, cells: Value, way: Way) -> bool:
    """Whether the cells of each kind are in order, along k."""
    at, kinds = cells.axes.index("k"), cells.kind_tensor()
    numbers = _ordered(builder, cells).tensor * (1.0 if way is Way.ASCENDING else -1.0)
    for kind in (Kind.NUMBER, Kind.TEXT, Kind.BOOLEAN):
        own = kinds == kind
        highest = torch.where(own, numbers, -torch.inf).cummax(dim=at).values
        if bool((own & (numbers < highest)).any()):
            return False
    return True


def ascends_strictly(builder: Builder, cells: Value, *, down: bool) -> bool:
    """Whether a row or column is of one kind and each cell above the one before it (below it with `down`).

    Then bisection finds what any search finds.
    """
    along = "h" if "h" in cells.axes else "w"
    if along not in cells.axes:
        return True
    kinds = cells.kind_tensor()
    steps = _ordered(builder, replace(cells, reference=False)).tensor.diff(dim=cells.axes.index(along))
    return bool((kinds == kinds.reshape(-1)[0]).all()) and bool(((steps < 0) if down else (steps > 0)).all())
