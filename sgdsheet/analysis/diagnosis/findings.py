"""What a diagnosis is made of, and how its sentences name cells and numbers."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

from sgdsheet.sheet.references import Cell, Range, rectangles

Kind = Literal[
    "dead unit",
    "partly dead unit",
    "saturated unit",
    "zero gradient",
    "exploding gradient",
    "feature scale",
    "nearly equal features",
    "plateau",
    "steps",
    "learning rate",
    "not finite",
    "overfitting",
    "unused variables",
]

NOTE: Literal["note"] = "note"
WARNING: Literal["warning"] = "warning"


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that a learner should know: what it is, where, and what to do, in one or two sentences."""

    kind: Kind
    severity: Literal["note", "warning"]
    cells: tuple[str, ...]
    message: str

    def __str__(self) -> str:
        return self.message


def ranges_of(cells: Iterable[Cell]) -> list[Range]:
    """Cells put together into rectangles."""
    by_sheet: dict[str, list[tuple[int, int]]] = {}
    for cell in cells:
        by_sheet.setdefault(cell.sheet, []).append((cell.row, cell.column))
    return [
        Range(sheet, top, left, top + rows - 1, left + columns - 1)
        for sheet, places in by_sheet.items()
        for top, left, rows, columns in rectangles(places)
    ]


def listed(ranges: Sequence[Range], most: int = 4) -> str:
    """`nnet!R4:AA4 and S5`: the sheet where it changes, and not all of many."""
    names: list[str] = []
    sheet = None
    for area in ranges[:most]:
        names.append(str(area) if area.sheet != sheet else area.a1)
        sheet = area.sheet
    if len(ranges) > most:
        return ", ".join(names) + f" and {len(ranges) - most:,} more"
    return " and ".join([", ".join(names[:-1]), names[-1]]) if len(names) > 1 else "".join(names)


def texts(ranges: Iterable[Range]) -> tuple[str, ...]:
    return tuple(map(str, ranges))


def short(number: float) -> str:
    """Three digits, without an exponent where that is readable: `0.0278`, `25.8`, `1,190`, `1.19e+07`."""
    if not math.isfinite(number):
        return "infinity" if number == math.inf else str(number)
    if 1000 <= abs(number) < 1e6:
        return f"{float(f'{number:.3g}'):,.0f}"
    if 1e-5 <= abs(number) < 1:
        return f"{number:.{2 - math.floor(math.log10(abs(number)))}f}".rstrip("0")
    return f"{number:.3g}"


def rounded_down(rate: float) -> float:
    """The next smaller of 1, 2, 3, 5 times a power of ten: a learning rate that can be remembered."""
    power = 10.0 ** math.floor(math.log10(rate))
    digit = max(digit for digit in (1, 2, 3, 5) if digit * power <= rate * (1 + 1e-9))
    return float(f"{digit * power:.0e}")
