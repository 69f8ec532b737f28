"""Rules of conditional formats that hold for a cell or not."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sgdsheet.apps.web.format_scales import numbers_of
from sgdsheet.apps.web.rule_operands import Numbers, Operands, ValuesIn
from sgdsheet.sheet.appearance import Rule
from sgdsheet.sheet.number_format import finite_number
from sgdsheet.sheet.references import Range
from sgdsheet.sheet.workbook import ExcelError, Position, Value

Test = Callable[[Position, Value | None], bool]


def condition(rule: Rule, operands: Operands, values_in: ValuesIn) -> Test | None:
    """What tells whether a rule holds for a cell; None for a rule that cannot be calculated."""
    if rule.kind == "cellIs":
        return _comparison(rule, operands)
    text = rule.attributes.get("text", "").casefold()
    simple: dict[str, Callable[[Value | None], bool]] = {
        "containsBlanks": lambda value: not _words(value).strip(),
        "notContainsBlanks": lambda value: bool(_words(value).strip()),
        "containsErrors": lambda value: isinstance(value, ExcelError),
        "notContainsErrors": lambda value: not isinstance(value, ExcelError),
    }
    if text:
        simple["containsText"] = lambda value: text in _words(value)
        simple["notContainsText"] = lambda value: text not in _words(value)
        simple["beginsWith"] = lambda value: _words(value).startswith(text)
        simple["endsWith"] = lambda value: _words(value).endswith(text)
    if (test := simple.get(rule.kind)) is not None:
        return lambda at, value: test(value)
    if rule.kind in ("top10", "aboveAverage"):
        return _among_numbers(rule, values_in)
    if rule.kind in ("duplicateValues", "uniqueValues"):
        counts = Counter(_folded(value) for area in rule.areas for value in _all_values(area, values_in))
        several = rule.kind == "duplicateValues"
        return lambda at, value: value not in (None, "") and (counts[_folded(value)] > 1) == several
    return _expression(rule, operands)


def _expression(rule: Rule, operands: Operands) -> Test | None:
    """A formula that is to be true, as other rules have one, too: for texts, and for dates such as “last week”."""
    holds = operands.operand(rule.formulas[0]) if rule.formulas else None
    return None if holds is None else lambda at, value: _is_true(holds(at))


def _is_true(value: Value | None) -> bool:
    return bool(value) if isinstance(value, bool | float) else False


def comparison_codes(rule: Rule, operands: Operands, numbers: list[Numbers]) -> list[NDArray[np.int64]] | None:
    """Where a comparison with numbers holds for numbers, 1 or 0; None for one with something else."""
    sides = [operands.constant(text) for text in rule.formulas]
    known = [side for side in sides if type(side) is float]
    if rule.operator not in _HOLDS or not known or len(known) < len(sides):
        return None
    holds, first, second = _HOLDS[rule.operator], known[0], known[-1]
    return [np.asarray(holds(np.sign(each - first), np.sign(each - second)), dtype=np.int64) for each in numbers]


_HOLDS: dict[str, Callable[[Any, Any], Any]] = {
    "equal": lambda first, _: first == 0,
    "notEqual": lambda first, _: first != 0,
    "greaterThan": lambda first, _: first > 0,
    "greaterThanOrEqual": lambda first, _: first >= 0,
    "lessThan": lambda first, _: first < 0,
    "lessThanOrEqual": lambda first, _: first <= 0,
    "between": lambda first, second: first * second <= 0,
    "notBetween": lambda first, second: first * second > 0,
}
"""Whether a comparison holds, of how values stand to its two sides (the same one twice where it has one): -1, 0 or 1,
as a number or as an array [values]."""


def _comparison(rule: Rule, operands: Operands) -> Test | None:
    sides = [operands.operand(text) for text in rule.formulas]
    known = [side for side in sides if side is not None]
    if not known or len(known) < len(sides):
        return None
    one, two = known[0], known[-1]
    test = _HOLDS.get(rule.operator)
    if test is None:
        return None

    def holds(at: Position, value: Value | None) -> bool:
        first, second = one(at), two(at)
        if first is None or second is None or any(isinstance(item, ExcelError) for item in (value, first, second)):
            return False
        return bool(test(_order(value, first), _order(value, second)))

    return holds


def _order(value: Value | None, other: Value | None) -> int:
    """-1, 0 or 1, as Excel orders values: numbers, then texts, then FALSE and TRUE."""
    one, two = _ranked(value, other), _ranked(other, value)
    return 0 if one == two else (-1 if one < two else 1)


def _ranked(value: Value | None, other: Value | None) -> tuple[int, Any]:
    if value is None and isinstance(other, str):
        return 1, ""  # an empty cell is like what it is compared with
    if isinstance(value, bool):
        return 2, value
    if isinstance(value, str):
        return 1, value.casefold()
    return (0, value or 0.0) if not isinstance(value, ExcelError) else (3, value.value)


def _among_numbers(rule: Rule, values_in: ValuesIn) -> Test | None:
    numbers = numbers_of(rule.areas, values_in)
    if not len(numbers):
        return None
    given = rule.attributes
    if rule.kind == "top10":
        rank = finite_number(given.get("rank", "10")) or 10.0
        count = max(1, int(len(numbers) * rank / 100)) if given.get("percent") in ("1", "true") else int(rank)
        ordered = np.sort(numbers)
        lowest = given.get("bottom") in ("1", "true")
        limit = float(ordered[min(count, len(ordered)) - 1] if lowest else ordered[-min(count, len(ordered))])
        return lambda at, value: type(value) is float and (value <= limit if lowest else value >= limit)
    above, equal = given.get("aboveAverage", "1") in ("1", "true"), given.get("equalAverage") in ("1", "true")
    spread = finite_number(given.get("stdDev", "0")) or 0.0
    step = spread * float(numbers.std(ddof=1)) if spread and len(numbers) > 1 else 0.0
    middle = float(numbers.mean()) + (step if above else -step)
    return lambda at, value: (
        type(value) is float and ((value > middle if above else value < middle) or (equal and value == middle))
    )


def _all_values(area: Range, values_in: ValuesIn) -> list[Value]:
    return [value for value in values_in(area).values() if value != ""]


def _words(value: Value | None) -> str:
    if isinstance(value, float):
        return f"{value:.15g}"
    return "" if value is None else str(value).casefold()


def _folded(value: Value | None) -> tuple[type, Any]:
    return type(value), value.casefold() if isinstance(value, str) else value
