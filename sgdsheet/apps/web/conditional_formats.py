"""Conditional formats: which colours, bars, icons and styles the values of cells ask for.

Scales, bars and icons are in `format_scales`, rules that hold or not in `format_conditions`. Formulas of rules are
calculated by the compiler's own evaluator, if it is there: without it, the cells look as they would without the rule.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from sgdsheet.apps.web.format_conditions import condition
from sgdsheet.apps.web.format_scales import bars, icons, scale
from sgdsheet.apps.web.rule_operands import Evaluate, Operands, ValuesIn, operands_of
from sgdsheet.sheet.appearance import CellStyle, Rule
from sgdsheet.sheet.displayed_text import GENERAL
from sgdsheet.sheet.references import Range
from sgdsheet.sheet.workbook import Position

Extra = dict[str, Any]
"""What a cell gets beside its style: `fill`, `color`, `bold` …, a bar of the length `bar` (0 to 1), an icon."""

_Given = Iterable[tuple[Position, Extra]]
_ShownAs = Callable[[Rule, Operands, list[Range], ValuesIn], _Given]
_SCALES: dict[str, _ShownAs] = {"colorScale": scale, "dataBar": bars, "iconSet": icons}


def conditional_formats(
    rules: Iterable[Rule], areas: Sequence[Range], values_in: ValuesIn, evaluate: Evaluate | None = None
) -> dict[Position, Extra]:
    """What the rules give to the cells of areas; of several rules that give the same thing, the first one decides."""
    met = [(rule, seen) for rule in rules if (seen := _seen(rule, areas))]
    found: dict[Position, Extra] = {}
    stopped: set[Position] = set()
    for (rule, seen), operands in zip(met, operands_of(met, values_in, evaluate), strict=True):
        for at, extra in _given(rule, operands, seen, values_in):
            if at in stopped:
                continue
            found[at] = {**extra, **found.get(at, {})}
            if rule.stop:
                stopped.add(at)
    return found


def _seen(rule: Rule, areas: Sequence[Range]) -> list[Range]:
    return [part for own in rule.areas for area in areas if (part := own.intersection(area)) is not None]


def _given(rule: Rule, operands: Operands, seen: list[Range], values_in: ValuesIn) -> _Given:
    if rule.kind in _SCALES:
        return _SCALES[rule.kind](rule, operands, seen, values_in)
    if rule.style is None:
        return ()
    test = condition(rule, operands, values_in)
    if test is None:
        return ()
    extra = _changes(rule.style)
    values: list[tuple[Range, Mapping[Position, Any]]] = [(part, values_in(part)) for part in seen]
    return [(at, extra) for part, own in values for at in part.positions() if test(at, own.get(at))]


def _changes(style: CellStyle) -> Extra:
    """What a style of a conditional format changes."""
    found: Extra = {"fill": style.fill, "color": style.colour}
    found.update(bold=style.bold, italic=style.italic, underline=style.underline, strike=style.strike)
    found["border"] = {side: [width, colour] for side, width, colour in style.border}
    found["format"] = style.number_format if style.number_format != GENERAL else ""
    return {name: value for name, value in found.items() if value}
