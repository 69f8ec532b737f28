"""Conditional formats that show where a number lies among others: scales of colours, bars, icons."""

from __future__ import annotations

import math
from collections.abc import Iterable
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sgdsheet.apps.web.rule_operands import Numbers, Operands, ValuesIn, arrays_in
from sgdsheet.sheet.appearance import Mark, Rule
from sgdsheet.sheet.number_format import finite_number
from sgdsheet.sheet.references import Range
from sgdsheet.sheet.workbook import Position

_FIRST_BAR, _NEGATIVE_BAR = "#638ec6", "#ff0000"
_YES = ("1", "true")
_FIRST_SET = "3TrafficLights1"


def scale(
    rule: Rule, operands: Operands, seen: list[Range], values_in: ValuesIn
) -> Iterable[tuple[Position, dict[str, Any]]]:
    """The colour between those of the marks around a number (ECMA-376, 18.3.1.16)."""
    marks = _places(rule, operands, values_in)
    if marks is None or len(rule.colours) != len(marks):
        return ()
    places, numbers = numbers_in(seen, values_in)
    return zip(places, map(filled, _colours(rule, marks, numbers).tolist()), strict=True)


def scale_codes(rule: Rule, operands: Operands, numbers: list[Numbers], values_in: ValuesIn) -> list[NDArray[np.int64]]:
    """The colours of numbers as `filled` takes them; none where the marks cannot be told."""
    marks = _places(rule, operands, values_in)
    if marks is None or len(rule.colours) != len(marks):
        return []
    return [_colours(rule, marks, each) for each in numbers]


def _colours(rule: Rule, marks: Numbers, numbers: Numbers) -> NDArray[np.int64]:
    """The colours of numbers, as `filled` takes them."""
    colours = np.array([[int(colour[at : at + 2], 16) for at in (1, 3, 5)] for colour in rule.colours], dtype=float)
    order = np.argsort(marks, kind="stable")
    parts = [np.interp(numbers, marks[order], colours[order, channel]) for channel in range(3)]
    whole = np.rint(parts).astype(np.int64)
    codes: NDArray[np.int64] = whole[0] << 16 | whole[1] << 8 | whole[2]
    return codes


@lru_cache(maxsize=1 << 16)
def filled(code: int) -> dict[str, Any]:
    """A cell of a colour: red, green and blue in one number."""
    return {"fill": f"#{code:06x}"}


def bars(
    rule: Rule, operands: Operands, seen: list[Range], values_in: ValuesIn
) -> Iterable[tuple[Position, dict[str, Any]]]:
    """Bars from zero to the number, over the way from the lowest number to the highest one, zero included.

    Those of negative numbers go to the left of where zero is, in a colour of their own.
    """
    marks = _places(rule, operands, values_in)
    if marks is None or len(marks) != 2:
        return ()
    low, high = float(marks[0]), float(marks[1])
    if rule.marks[0].kind in ("min", "autoMin"):
        low = min(0.0, low)
    if rule.marks[1].kind in ("max", "autoMax"):
        high = max(0.0, high)
    colour = rule.colours[0] if rule.colours else _FIRST_BAR
    negative = rule.attributes.get("negative", _NEGATIVE_BAR)
    bare = {"bare": 1} if rule.attributes.get("showValue", "1") not in _YES else {}
    places, numbers = numbers_in(seen, values_in)
    shares = np.clip((numbers - low) / (high - low), 0.0, 1.0) if high > low else np.zeros(len(numbers))
    zero = min(1.0, max(0.0, -low / (high - low))) if high > low and low < 0 else 0.0
    found = []
    for at, share in zip(places, shares.tolist(), strict=True):
        extra: dict[str, Any] = {"bar": round(abs(share - zero), 4), "bar_color": colour if share >= zero else negative}
        if zero:
            extra["bar_from"] = round(min(share, zero), 4)
        found.append((at, {**extra, **bare}))
    return found


def icons(
    rule: Rule, operands: Operands, seen: list[Range], values_in: ValuesIn
) -> Iterable[tuple[Position, dict[str, Any]]]:
    """The icon of the highest mark that a number has reached: the name of its set, and its number in it, from 0."""
    marks = _places(rule, operands, values_in)
    if marks is None or not len(marks):
        return ()
    name = rule.attributes.get("iconSet", _FIRST_SET)
    bare = {"bare": 1} if rule.attributes.get("showValue", "1") not in _YES else {}
    turned = rule.attributes.get("reverse") in _YES
    found = []
    for at, number in zip(*numbers_in(seen, values_in), strict=True):
        reached = 0
        for place, mark in enumerate(rule.marks):
            if place and (number > marks[place] if mark.above else number >= marks[place]):
                reached = place
        found.append((at, {"icon": [name, len(marks) - 1 - reached if turned else reached], **bare}))
    return found


def numbers_in(areas: Iterable[Range], values_in: ValuesIn) -> tuple[list[Position], np.ndarray[Any, Any]]:
    """The cells of areas that hold numbers, and the numbers."""
    found = {at: value for area in areas for at, value in values_in(area).items() if type(value) is float}
    return list(found), np.fromiter(found.values(), dtype=float, count=len(found))


def numbers_of(areas: Iterable[Range], values_in: ValuesIn) -> Numbers:
    """The numbers in areas."""
    areas = list(areas)
    arrays = arrays_in(areas, values_in)
    if arrays is None:
        return numbers_in(areas, values_in)[1]
    return np.concatenate([array.ravel() for array in arrays]) if arrays else np.zeros(0)


def _places(rule: Rule, operands: Operands, values_in: ValuesIn) -> np.ndarray[Any, Any] | None:
    """Where the marks lie; None if one cannot be told."""
    numbers: np.ndarray[Any, Any] | None = None
    found = []
    for mark in rule.marks:
        place: float | None
        if mark.kind in ("num", "formula"):
            place = operands.number(mark.text)
        else:
            if numbers is None:
                numbers = numbers_of(rule.areas, values_in)
            place = _in_range(mark, numbers)
        if place is None or not math.isfinite(place):
            return None
        found.append(place)
    return np.array(found)


def _in_range(mark: Mark, numbers: np.ndarray[Any, Any]) -> float | None:
    if not len(numbers):
        return None
    low, high = float(numbers.min()), float(numbers.max())
    if mark.kind in ("min", "autoMin"):
        return low
    if mark.kind in ("max", "autoMax"):
        return high
    share = finite_number(mark.text)
    if share is None or not 0 <= share <= 100:
        return None
    return low + share / 100 * (high - low) if mark.kind == "percent" else float(np.percentile(numbers, share))
