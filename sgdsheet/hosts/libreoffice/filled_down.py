"""Formulas that were filled down, met in LibreOffice's way of writing: translated once, and shared by their cells.

To translate every formula of a large sheet, and to find out that all of them are copies, would take longer than all
else that is done with it.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import repeat

from sgdsheet.hosts.libreoffice.notation import to_excel
from sgdsheet.sheet.formula import filled_down
from sgdsheet.sheet.workbook import Formula

_REFERENCES = re.compile(
    r"""
    "(?:[^"]|"")*"                                                              # text
    |'(?:[^']|'')*'                                                             # sheet or file
    |\[(?:[^\[\]]|\[[^\[\]]*\])*\]                                              # table
    |(?<![\w\\$])(\$?[A-Za-z]{1,3})(\$?)([1-9][0-9]{0,6})(?![\w.(\[!\\])        # A1, also behind a sheet's name
    |(?<![\w.\\$:])(\$?)([1-9][0-9]{0,6}):(\$?)([1-9][0-9]{0,6})(?![\w.(\[!\\])  # 2:5
    """,
    re.VERBOSE,
)


Formulas = dict[Formula, Formula]
"""Formulas, each by itself."""


@dataclass(slots=True)
class _Run:
    """Cells below each other with one formula. `text` is what the last of them, in `row`, shows.

    `layout % tuple(row + offset for offset in offsets)` is what the cell in a row of the run shows. `layout` is None
    while there is only one cell, and empty if the formula cannot be followed.
    """

    text: str
    row: int
    formula: Formula
    layout: str | None = None
    offsets: tuple[int, ...] = ()

    def copies(self, texts: Sequence[str], start: int) -> int:
        """How many of the texts, from one on, are what the next cells of the run show. They belong to the run then.

        They are compared by ever more at once: a column of copies is done in a few turns, and one of formulas of which
        each is another takes no longer than by one at a time.
        """
        if self.layout is None:
            self.layout, self.offsets = _layout(self.text, self.row, self.formula.text)
        count, at_once = 0, 1
        while self.layout and (given := texts[start + count : start + count + at_once]):
            expected = self._below(count, len(given))
            same = len(given)
            if expected != tuple(given):
                same = next(place for place, text in enumerate(given) if text != expected[place])
            count, at_once = count + same, 2 * at_once
            if same < len(given):
                break
        if count:
            self.row, self.text = self.row + count, texts[start + count - 1]
        return count

    def _below(self, skipped: int, count: int) -> tuple[str, ...]:
        """What the cells below show, after some that are skipped."""
        assert self.layout is not None
        if not self.offsets:
            return (self.layout % (),) * count
        first = self.row + 1 + skipped
        rows = (range(first + offset, first + offset + count) for offset in self.offsets)
        return tuple(map(self.layout.__mod__, zip(*rows, strict=True)))


class FilledDown:
    """The formulas of one sheet, to be met from top to bottom in each column.

    `known` are formulas of an earlier reading: those that are met again are these objects, so that two readings of a
    large sheet are compared quickly. `met` are the formulas of this reading.
    """

    def __init__(self, known: Formulas | None = None, met: Formulas | None = None) -> None:
        self._runs: dict[int, _Run] = {}
        self._known = {} if known is None else known
        self.met = {} if met is None else met

    def column(self, texts: Sequence[str], row: int, column: int) -> list[Formula]:
        """What the cells from one in a row downwards hold, of which LibreOffice gives texts such as `=$A1*2`."""
        found: list[Formula] = []
        while len(found) < len(texts):
            start, here = len(found), row + len(found)
            run = self._runs.get(column)
            copies = run.copies(texts, start) if run is not None and run.row == here - 1 else 0
            if run is None or not copies:
                run, copies = self._begin(texts[start], here, column), 1
            found += repeat(run.formula, copies)
        return found

    def _begin(self, text: str, row: int, column: int) -> _Run:
        formula = Formula(to_excel(text), row, column)
        formula = self.met[formula] = self._known.get(formula, formula)
        run = self._runs[column] = _Run(text, row, formula)
        return run


def _layout(text: str, row: int, translated: str) -> tuple[str, tuple[int, ...]]:
    """How the formula of a row reads in other rows, see `_Run`.

    Empty if in the formula as Excel writes it, which all cells will share, other rows would move.
    """
    offsets: list[int] = []

    def moving(dollar: str, number: str) -> str:
        if dollar:
            return f"${number}"
        offsets.append(int(number) - row)
        return "%d"

    def replace(match: re.Match[str]) -> str:
        column, dollar, number, first_dollar, first, last_dollar, last = match.groups()
        if number:
            return f"{column}{moving(dollar, number)}"
        if first:
            return f"{moving(first_dollar, first)}:{moving(last_dollar, last)}"
        return match.group()

    layout = _REFERENCES.sub(replace, text.replace("%", "%%"))
    return (layout, tuple(offsets)) if tuple(offsets) == filled_down(translated, row)[1] else ("", ())
