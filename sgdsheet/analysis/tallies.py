"""What `check` found, by sheet, by function and by formula: the worst first."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from sgdsheet.analysis.checking import BlockCheck, Report
from sgdsheet.compiler.comparison import Mismatch

ARITHMETIC = "+ − × ÷ and references"
"""What formulas without any function are listed under."""


@dataclass(slots=True)
class Tally:
    """Formula cells of one sheet, or of those that call one function: how many there are, and what is not right."""

    name: str
    formulas: int = 0
    differing: int = 0
    unsupported: int = 0
    worst: float = 0.0
    """The largest difference from a saved value; infinite where the values are of different kinds."""

    @property
    def calculated(self) -> int:
        return self.formulas - self.unsupported

    def add(self, block: BlockCheck) -> None:
        """Count the cells of copies of one formula."""
        self.formulas += block.area.size
        self.differing += len(block.mismatches)
        self.unsupported += block.area.size if block.error is not None else 0
        self.worst = max(self.worst, *(item.distance for item in block.mismatches), 0.0)


@dataclass(frozen=True, slots=True)
class Differing:
    """Copies of one formula of which some have another value than the file, and the worst of them."""

    block: BlockCheck
    worst: Mismatch


def by_sheet(report: Report) -> list[Tally]:
    """The sheets that have formulas, in the order of the workbook."""
    found: dict[str, Tally] = {}
    for block in report.blocks:
        found.setdefault(block.area.sheet, Tally(block.area.sheet)).add(block)
    return list(found.values())


def by_function(report: Report) -> list[Tally]:
    """The functions that formulas call, those with the most cells that are not right first."""
    found: dict[str, Tally] = {}
    for block in report.blocks:
        for name in block.functions or (ARITHMETIC,):
            found.setdefault(name, Tally(name)).add(block)
    return sorted(found.values(), key=lambda item: (-item.differing, -item.unsupported, -item.formulas, item.name))


def differing(report: Report) -> list[Differing]:
    """The formulas whose values differ, by sheet: the sheet with the worst cell first, and its worst formula first."""
    groups = [
        Differing(block, max(block.mismatches, key=lambda item: item.distance))
        for block in report.blocks
        if block.mismatches
    ]
    worst = {tally.name: tally.worst for tally in by_sheet(report)}
    return sorted(groups, key=lambda item: (-worst[item.block.area.sheet], item.block.area.sheet, *_badness(item)))


def _badness(item: Differing) -> tuple[float, int]:
    return -item.worst.distance, -len(item.block.mismatches)


def causes(report: Report) -> list[tuple[str, Sequence[BlockCheck]]]:
    """What stands in the way of calculating cells, a function or a cause, with the formulas: the most cells first."""
    found: dict[str, list[BlockCheck]] = {}
    for block in report.blocks:
        if block.error is not None and block.cause:
            found.setdefault(block.cause, []).append(block)
    return sorted(found.items(), key=lambda pair: -sum(block.area.size for block in pair[1]))
