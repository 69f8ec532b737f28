"""Conditional formats: which colours, bars and styles the values of cells ask for.

Calculated are scales, bars, and rules that compare a cell with numbers, texts, other cells or its neighbours. A rule
with a formula of its own is passed over: its cells look as they would without it.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import numpy as np

from sgdsheet.errors import FormulaError
from sgdsheet.sheet.appearance import CellStyle, Mark, Rule
from sgdsheet.sheet.references import Range, parse_range
from sgdsheet.sheet.workbook import ExcelError, Position, Value

Extra = dict[str, Any]
"""What a cell gets beside its style: `fill`, `color`, `bold` …, and a bar of the length `bar` (0 to 1)."""

ValuesIn = Callable[[Range], Mapping[Position, Value]]

_Test = Callable[[Value | None], bool]

_FIRST_BAR = "#638ec6"


def conditional_formats(rules: Iterable[Rule], area: Range, values_in: ValuesIn) -> dict[Position, Extra]:
    """What the rules give to the cells of an area; of several rules, the first one decides."""
    found: dict[Position, Extra] = {}
    stopped: set[Position] = set()
    for rule in rules:
        seen = [part for own in rule.areas if (part := own.intersection(area)) is not None]
        if not seen:
            continue
        for at, extra in _given(rule, seen, values_in):
            if at in stopped:
                continue
            found[at] = {**extra, **found.get(at, {})}
            if rule.stop:
                stopped.add(at)
    return found


def _given(rule: Rule, seen: list[Range], values_in: ValuesIn) -> Iterable[tuple[Position, Extra]]:
    if rule.kind == "colorScale":
        return _scale(rule, seen, values_in)
    if rule.kind == "dataBar":
        return _bars(rule, seen, values_in)
    if rule.style is None:
        return ()
    test = _test(rule, values_in)
    if test is None:
        return ()
    extra = _changes(rule.style)
    values = [(part, values_in(part)) for part in seen]
    return [(at, extra) for part, own in values for at in part.positions() if test(own.get(at))]


# --- scales and bars --------------------------------------------------------------------------------------


def _scale(rule: Rule, seen: list[Range], values_in: ValuesIn) -> Iterable[tuple[Position, Extra]]:
    """The colour between those of the marks around a number (ECMA-376, 18.3.1.16)."""
    marks = _places(rule, values_in)
    if marks is None or len(rule.colours) != len(marks):
        return ()
    places, numbers = _numbers(seen, values_in)
    colours = np.array([[int(colour[at : at + 2], 16) for at in (1, 3, 5)] for colour in rule.colours], dtype=float)
    order = np.argsort(marks, kind="stable")
    parts = [np.interp(numbers, marks[order], colours[order, channel]) for channel in range(3)]
    whole = np.rint(parts).astype(np.int64)
    codes = (whole[0] << 16 | whole[1] << 8 | whole[2]).tolist()
    return [(at, {"fill": f"#{code:06x}"}) for at, code in zip(places, codes, strict=True)]


def _bars(rule: Rule, seen: list[Range], values_in: ValuesIn) -> Iterable[tuple[Position, Extra]]:
    """Bars from zero, or from the lowest number where that is negative, to the highest one."""
    marks = _places(rule, values_in)
    if marks is None or len(marks) != 2:
        return ()
    low, high = float(marks[0]), float(marks[1])
    if rule.marks[0].kind == "min":
        low = min(0.0, low)
    if rule.marks[1].kind == "max":
        high = max(0.0, high)
    colour = rule.colours[0] if rule.colours else _FIRST_BAR
    places, numbers = _numbers(seen, values_in)
    shares = np.clip((numbers - low) / (high - low), 0.0, 1.0) if high > low else np.zeros(len(numbers))
    pairs = zip(places, shares.tolist(), strict=True)
    return [(at, {"bar": round(share, 4), "bar_color": colour}) for at, share in pairs]


def _numbers(areas: Iterable[Range], values_in: ValuesIn) -> tuple[list[Position], np.ndarray[Any, Any]]:
    found = {at: value for area in areas for at, value in values_in(area).items() if type(value) is float}
    return list(found), np.fromiter(found.values(), dtype=float, count=len(found))


def _places(rule: Rule, values_in: ValuesIn) -> np.ndarray[Any, Any] | None:
    """Where the marks lie; None if one cannot be told."""
    numbers: np.ndarray[Any, Any] | None = None
    found = []
    for mark in rule.marks:
        place: float | None
        if mark.kind in ("num", "formula"):
            place = _operand_number(mark, rule, values_in)
        else:
            if numbers is None:
                numbers = _numbers(rule.areas, values_in)[1]
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
    share = _as_number(mark.text)
    if share is None or not 0 <= share <= 100:
        return None
    return low + share / 100 * (high - low) if mark.kind == "percent" else float(np.percentile(numbers, share))


def _operand_number(mark: Mark, rule: Rule, values_in: ValuesIn) -> float | None:
    value = _operand(mark.text, rule, values_in)
    return value if type(value) is float else None


# --- rules that hold or not -------------------------------------------------------------------------------


def _test(rule: Rule, values_in: ValuesIn) -> _Test | None:
    """What tells whether the rule holds for a value; None for a rule that is not calculated."""
    if rule.kind == "cellIs":
        return _comparison(rule, values_in)
    text = rule.attributes.get("text", "").casefold()
    simple: dict[str, _Test] = {
        "containsText": lambda value: text in _words(value),
        "notContainsText": lambda value: text not in _words(value),
        "beginsWith": lambda value: _words(value).startswith(text),
        "endsWith": lambda value: _words(value).endswith(text),
        "containsBlanks": lambda value: not _words(value).strip(),
        "notContainsBlanks": lambda value: bool(_words(value).strip()),
        "containsErrors": lambda value: isinstance(value, ExcelError),
        "notContainsErrors": lambda value: not isinstance(value, ExcelError),
    }
    if rule.kind in simple:
        return simple[rule.kind]
    if rule.kind in ("top10", "aboveAverage"):
        return _among_numbers(rule, values_in)
    if rule.kind in ("duplicateValues", "uniqueValues"):
        counts = Counter(_folded(value) for area in rule.areas for value in values_in(area).values())
        several = rule.kind == "duplicateValues"
        return lambda value: value is not None and (counts[_folded(value)] > 1) == several
    return None


def _comparison(rule: Rule, values_in: ValuesIn) -> _Test | None:
    operands = [_operand(text, rule, values_in) for text in rule.formulas]
    if not operands or None in operands:
        return None
    first, second = operands[0], operands[-1]
    tests: dict[str, _Test] = {
        "equal": lambda value: _order(value, first) == 0,
        "notEqual": lambda value: _order(value, first) != 0,
        "greaterThan": lambda value: _order(value, first) > 0,
        "greaterThanOrEqual": lambda value: _order(value, first) >= 0,
        "lessThan": lambda value: _order(value, first) < 0,
        "lessThanOrEqual": lambda value: _order(value, first) <= 0,
        "between": lambda value: _order(value, first) >= 0 >= _order(value, second),
        "notBetween": lambda value: not _order(value, first) >= 0 >= _order(value, second),
    }
    test = tests.get(rule.operator)
    return None if test is None else lambda value: not isinstance(value, ExcelError) and test(value)


def _order(value: Value | None, other: Value | None) -> float:
    """Negative, 0 or positive, as Excel orders values: numbers, then texts, then FALSE and TRUE."""
    one, two = _ranked(value), _ranked(other)
    return 0 if one == two else (-1 if one < two else 1)


def _ranked(value: Value | None) -> tuple[int, Any]:
    if isinstance(value, bool):
        return 2, value
    if isinstance(value, str):
        return 1, value.casefold()
    return (0, value or 0.0) if not isinstance(value, ExcelError) else (3, value.value)


def _among_numbers(rule: Rule, values_in: ValuesIn) -> _Test | None:
    numbers = _numbers(rule.areas, values_in)[1]
    if not len(numbers):
        return None
    given = rule.attributes
    if rule.kind == "top10":
        rank = _as_number(given.get("rank", "10")) or 10.0
        count = max(1, int(len(numbers) * rank / 100)) if given.get("percent") in ("1", "true") else int(rank)
        ordered = np.sort(numbers)
        lowest = given.get("bottom") in ("1", "true")
        limit = float(ordered[min(count, len(ordered)) - 1] if lowest else ordered[-min(count, len(ordered))])
        return lambda value: type(value) is float and (value <= limit if lowest else value >= limit)
    above, equal = given.get("aboveAverage", "1") in ("1", "true"), given.get("equalAverage") in ("1", "true")
    spread = _as_number(given.get("stdDev", "0")) or 0.0
    step = spread * float(numbers.std(ddof=1)) if spread and len(numbers) > 1 else 0.0
    middle = float(numbers.mean()) + (step if above else -step)
    return lambda value: (
        type(value) is float and ((value > middle if above else value < middle) or (equal and value == middle))
    )


def _operand(text: str, rule: Rule, values_in: ValuesIn) -> Value | None:
    """A number, a text in quotes, TRUE or FALSE, or the value of a fixed cell; None for all else."""
    text = text.strip().removeprefix("=")
    if (number := _as_number(text)) is not None:
        return number
    if len(text) >= 2 and text.startswith('"') and text.endswith('"'):
        return text[1:-1].replace('""', '"')
    if text.upper() in ("TRUE", "FALSE"):
        return text.upper() == "TRUE"
    single = sum(area.size for area in rule.areas) == 1
    if not rule.areas or not (single or text.rpartition("!")[2].count("$") == 2):
        return None  # it moves with the cells
    try:
        area = parse_range(text, rule.areas[0].sheet)
        return values_in(area).get((area.top, area.left), 0.0) if area.size == 1 else None
    except (FormulaError, LookupError):
        return None


def _as_number(text: str) -> float | None:
    try:
        number = float(text)
    except ValueError:
        return None
    return number if math.isfinite(number) else None


def _words(value: Value | None) -> str:
    if isinstance(value, float):
        return f"{value:.15g}"
    return "" if value is None else str(value).casefold()


def _folded(value: Value) -> tuple[type, Any]:
    return type(value), value.casefold() if isinstance(value, str) else value


def _changes(style: CellStyle) -> Extra:
    """What a style of a conditional format changes."""
    found: Extra = {"fill": style.fill, "color": style.colour}
    found.update(bold=style.bold, italic=style.italic, underline=style.underline, strike=style.strike)
    return {name: value for name, value in found.items() if value}
