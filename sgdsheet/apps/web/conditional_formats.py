"""Conditional formats: which colours, bars, icons and styles the values of cells ask for.

Scales, bars and icons are in `format_scales`, rules that hold or not in `format_conditions`. Formulas of rules are
calculated by the compiler's own evaluator, if it is there: without it, the cells look as they would without the rule.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sgdsheet.apps.web.format_conditions import comparison_codes, condition
from sgdsheet.apps.web.format_scales import bars, filled, icons, scale, scale_codes
from sgdsheet.apps.web.rule_operands import Evaluate, Operands, ValuesIn, arrays_in, operands_of, reads_cells
from sgdsheet.sheet.appearance import CellStyle, Rule
from sgdsheet.sheet.displayed_text import GENERAL
from sgdsheet.sheet.references import Range
from sgdsheet.sheet.workbook import Position

Extra = dict[str, Any]
"""What a cell gets beside its style: `fill`, `color`, `bold` …, a bar of the length `bar` (0 to 1), an icon."""

_Given = Iterable[tuple[Position, Extra]]
_ShownAs = Callable[[Rule, Operands, list[Range], ValuesIn], _Given]
_SCALES: dict[str, _ShownAs] = {"colorScale": scale, "dataBar": bars, "iconSet": icons}


class ConditionalFormats:
    """What the rules of a sheet give to cells. A rule is looked at again only where something may have changed."""

    def __init__(self, values_in: ValuesIn, evaluate: Evaluate | None = None) -> None:
        self._values_in, self._evaluate = values_in, evaluate
        self._met: list[tuple[Rule, list[Range]]] = []
        self._given: list[dict[Position, Extra]] = []
        self._coded: list[_Coded | None] = []
        """What the rules gave as arrays at the last look, where they did."""
        self._rules_at: dict[Position, list[int]] = {}
        """The places of the rules that are seen in cells."""
        self._again: dict[frozenset[Range], list[int]] = {}
        """The places of the rules that are looked at again after the last changes: training changes the same cells."""

    def look(self, rules: Iterable[Rule], areas: Sequence[Range], changed: frozenset[Range] | None) -> set[Position]:
        """Look at the rules that are seen in areas; returns the cells to which they may give something else now.

        `changed` are the areas of cells that have changed since the last look, if nothing but these has.
        """
        if changed is None:
            self._met = [(rule, seen) for rule in rules if (seen := _seen(rule, areas))]
            self._given = [{} for _ in self._met]
            self._coded = [None for _ in self._met]
            self._again, self._rules_at = {}, {}
            again = list(range(len(self._met)))
        elif changed in self._again:
            again = self._again[changed]
        else:
            again = [place for place, (rule, _) in enumerate(self._met) if reads_cells(rule) or _meets(rule, changed)]
            self._again = {changed: again}
        different: set[Position] = set()
        met = [self._met[place] for place in again]
        for place, (rule, seen), operands in zip(
            again, met, operands_of(met, self._values_in, self._evaluate), strict=True
        ):
            coded, known = _coded(rule, operands, seen, self._values_in), self._coded[place]
            self._coded[place] = coded
            if coded is not None and known is not None and len(coded.codes) == len(known.codes):
                different.update(_take_codes(self._given[place], seen, known, coded))
                continue
            before, now = self._given[place], dict(_given(rule, operands, seen, self._values_in))
            different.update(at for at, extra in now.items() if before.get(at) != extra)
            different.update(before.keys() - now.keys())
            self._given[place] = now
        return different

    def extras(self, among: Collection[Position] | None = None) -> dict[Position, Extra]:
        """What the rules give to all cells, or to some; of several that give the same thing, the first one decides."""
        if not self._rules_at:
            for place, (_, seen) in enumerate(self._met):
                for part in seen:
                    for at in part.positions():
                        self._rules_at.setdefault(at, []).append(place)
        found: dict[Position, Extra] = {}
        for at in self._rules_at if among is None else among:
            for place in self._rules_at.get(at, ()):
                extra = self._given[place].get(at)
                if extra is None:
                    continue
                found[at] = {**extra, **found[at]} if at in found else extra
                if self._met[place][0].stop:
                    break
        return found


@dataclass(frozen=True, slots=True)
class _Coded:
    """What a rule gives to cells that hold nothing but numbers: a code for each cell of the areas that it is seen in.

    `codes` are as [rows, columns], and `extra` is what a code stands for.
    """

    codes: list[NDArray[np.int64]]
    extra: Callable[[int], Extra | None]


def _coded(rule: Rule, operands: Operands, seen: list[Range], values_in: ValuesIn) -> _Coded | None:
    """What a rule gives as arrays; None where it, or what the cells hold, is of another kind."""
    if rule.kind not in ("colorScale", "cellIs") or (arrays := arrays_in(seen, values_in)) is None:
        return None
    if rule.kind == "colorScale":
        return _Coded(scale_codes(rule, operands, arrays, values_in), filled)
    codes = comparison_codes(rule, operands, arrays) if rule.style is not None else None
    if codes is None or rule.style is None:
        return None
    changes = _changes(rule.style)
    return _Coded(codes, lambda code: changes if code else None)


def _take_codes(given: dict[Position, Extra], seen: list[Range], before: _Coded, now: _Coded) -> Iterator[Position]:
    """Bring what a rule gives up to date where the codes are others than before; those cells."""
    for part, old, new in zip(seen, before.codes, now.codes, strict=True):
        rows, columns = np.nonzero(new != old)
        for at, code in zip(
            zip((rows + part.top).tolist(), (columns + part.left).tolist(), strict=True),
            new[rows, columns].tolist(),
            strict=True,
        ):
            extra = now.extra(code)
            if extra is None:
                given.pop(at, None)
            else:
                given[at] = extra
            yield at


def conditional_formats(
    rules: Iterable[Rule], areas: Sequence[Range], values_in: ValuesIn, evaluate: Evaluate | None = None
) -> dict[Position, Extra]:
    """What the rules give to the cells of areas; of several rules that give the same thing, the first one decides."""
    formats = ConditionalFormats(values_in, evaluate)
    formats.look(rules, areas, None)
    return formats.extras()


def _seen(rule: Rule, areas: Sequence[Range]) -> list[Range]:
    return [part for own in rule.areas for area in areas if (part := own.intersection(area)) is not None]


def _meets(rule: Rule, changed: Iterable[Range]) -> bool:
    return any(own.intersection(area) is not None for area in changed for own in rule.areas)


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
    found["paper"] = 1 if style.fill else 0
    found["format"] = style.number_format if style.number_format != GENERAL else ""
    return {name: value for name, value in found.items() if value}
