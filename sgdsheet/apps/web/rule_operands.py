"""What the rules of conditional formats compare with: numbers, texts, cells, and formulas that move with the cells."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from sgdsheet.errors import FormulaError
from sgdsheet.sheet.appearance import LooseFormula, Rule
from sgdsheet.sheet.number_format import finite_number
from sgdsheet.sheet.references import Range, parse_range
from sgdsheet.sheet.workbook import Position, Value

ValuesIn = Callable[[Range], Mapping[Position, Value]]
Evaluate = Callable[[tuple[LooseFormula, ...]], list[dict[Position, Value]]]
"""What formulas come to at the cells that they are wanted at; cells of which that is not known are left out."""

Operand = Callable[[Position], Value | None]
"""What a rule compares a cell with; None where that is not known."""

Numbers = NDArray[np.float64]
"""Numbers of cells [rows, columns]."""


class Stored(Protocol):
    """The values of cells at one moment."""

    def __call__(self, area: Range) -> Mapping[Position, Value]:
        """The values that cells show; empty ones are left out."""
        ...

    def array(self, area: Range) -> NDArray[Any] | None:
        """The numbers [rows, columns] of an area, where they stand in one array of nothing but numbers; else None."""
        ...


class CellReader:
    """Reads cells: as they are at each call, or, where `at_once` is there, all of them as they were at one moment."""

    def __init__(self, values_in: ValuesIn, at_once: Callable[[], Stored] | None = None) -> None:
        self._values_in, self._at_once = values_in, at_once
        self._stored: Stored | None = None

    def look(self) -> None:
        """Read the cells as they are now, from now on."""
        self._stored = self._at_once() if self._at_once is not None else None

    def __call__(self, area: Range) -> Mapping[Position, Value]:
        """The values that cells show; empty ones are left out."""
        return self._values_in(area) if self._stored is None else self._stored(area)

    def array(self, area: Range) -> Numbers | None:
        """The numbers [rows, columns] of an area, where they stand in one array of nothing but numbers; else None."""
        return None if self._stored is None else self._stored.array(area)


def arrays_in(areas: Iterable[Range], values_in: ValuesIn) -> list[Numbers] | None:
    """The numbers of areas, where each is one array of nothing but numbers; else None."""
    if not isinstance(values_in, CellReader):
        return None
    found = []
    for area in areas:
        if (array := values_in.array(area)) is None:
            return None
        found.append(array)
    return found


_FIXED = re.compile(r"(?:(?:'(?:[^']|'')+'|[\w.]+)!)?\$[A-Za-z]{1,3}\$\d{1,7}")
_MOST_CELLS = 20_000
"""Cells of a rule whose formula is calculated at once; a rule that is seen in more is passed over."""


class Operands:
    """The operands of one rule. `calculated` is what its formulas come to, by their texts."""

    def __init__(self, rule: Rule, values_in: ValuesIn, calculated: Mapping[str, Mapping[Position, Value]]) -> None:
        self._rule, self._values_in, self._calculated = rule, values_in, calculated

    def operand(self, text: str) -> Operand | None:
        """What a text of the rule stands for; None for what cannot be told."""
        value = _plain(text, self._rule, self._values_in)
        if value is not None:
            return lambda at: value
        known = self._calculated.get(text)
        return None if known is None else known.get

    def constant(self, text: str) -> Value | None:
        """What a text stands for at each cell alike; None where that is not the case, or cannot be told."""
        return _plain(text, self._rule, self._values_in)

    def number(self, text: str) -> float | None:
        """The number that a text stands for, at whichever cell."""
        operand = self.operand(text)
        value = operand(home_of(self._rule)) if operand is not None else None
        return value if type(value) is float else None


def operands_of(
    rules: Sequence[tuple[Rule, list[Range]]], values_in: ValuesIn, evaluate: Evaluate | None
) -> list[Operands]:
    """The operands of rules, each with the areas in which it is seen; their formulas are calculated together."""
    wanted: dict[tuple[int, str], LooseFormula] = {}
    for number, (rule, seen) in enumerate(rules):
        small = sum(area.size for area in seen) <= _MOST_CELLS
        for text in _formulas_of(rule) if small else ():
            if _plain(text, rule, values_in) is None:
                areas = (_first(rule),) if rule.marks else tuple(seen)
                wanted[number, text] = LooseFormula(text.strip().removeprefix("="), home_of(rule), areas)
    found = evaluate(tuple(wanted.values())) if wanted and evaluate is not None else []
    calculated: list[dict[str, Mapping[Position, Value]]] = [{} for _ in rules]
    for (number, text), values in zip(wanted, found, strict=False):
        calculated[number][text] = values
    return [Operands(rule, values_in, known) for (rule, _), known in zip(rules, calculated, strict=True)]


def reads_cells(rule: Rule) -> bool:
    """Whether the rule compares with anything but numbers, texts, TRUE and FALSE: with what cells hold."""
    return any(_constant(text) is None for text in _formulas_of(rule))


def _formulas_of(rule: Rule) -> list[str]:
    """The texts of a rule that may be formulas."""
    return [*rule.formulas, *(mark.text for mark in rule.marks if mark.kind in ("num", "formula") and mark.text)]


def home_of(rule: Rule) -> Position:
    """The cell that the formulas of a rule are written for."""
    if rule.home is not None or not rule.areas:
        return rule.home or (1, 1)
    return min(area.top for area in rule.areas), min(area.left for area in rule.areas)


def _first(rule: Rule) -> Range:
    row, column = home_of(rule)
    return Range(rule.areas[0].sheet, row, column, row, column)


def _plain(text: str, rule: Rule, values_in: ValuesIn) -> Value | None:
    """A number, a text in quotes, TRUE or FALSE, or the value of a fixed cell; None for all else."""
    if (value := _constant(text)) is not None:
        return value
    text = text.strip().removeprefix("=")
    if not rule.areas or not _FIXED.fullmatch(text):
        return None
    try:
        area = parse_range(text, rule.areas[0].sheet)
        return values_in(area).get((area.top, area.left), 0.0) if area.size == 1 else None
    except (FormulaError, LookupError):
        return None


def _constant(text: str) -> Value | None:
    """A number, a text in quotes, TRUE or FALSE; None for all else."""
    text = text.strip().removeprefix("=")
    if (number := finite_number(text)) is not None:
        return number
    if len(text) >= 2 and text.startswith('"') and text.endswith('"') and '"' not in text[1:-1].replace('""', ""):
        return text[1:-1].replace('""', '"')
    if text.upper() in ("TRUE", "FALSE"):
        return text.upper() == "TRUE"
    return None
