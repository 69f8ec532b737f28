"""Formulas that were filled down, met in LibreOffice's way of writing: translated once, and shared by their cells.

To translate every formula of a large sheet, and to find out that all of them are copies, would take longer than all
else that is done with it.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

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


class FilledDown:
    """The formulas of one sheet, to be met from top to bottom in each column."""

    def __init__(self) -> None:
        self._runs: dict[int, _Run] = {}

    def formula(self, text: str, row: int, column: int) -> Formula:
        """What the cell holds, of which LibreOffice gives the text `=$A1*2`; no array formula."""
        run = self._runs.get(column)
        if run is not None and run.row == row - 1:
            if run.layout is None:
                run.layout, run.offsets = _layout(run.text, run.row, run.formula.text)
            if run.layout and run.layout % tuple([row + offset for offset in run.offsets]) == text:
                run.row, run.text = row, text
                return run.formula
        found = Formula(to_excel(text), row, column)
        self._runs[column] = _Run(text, row, found)
        return found


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
