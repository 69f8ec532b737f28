"""Cells that are to reach values: what they hold now, and which are missed."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from sgdsheet.compiler.model import SheetModel
from sgdsheet.problem.definition import Direction, Target
from sgdsheet.sheet.agreement import REACHED, same_number
from sgdsheet.sheet.references import Cell

_LISTED = 3
"""Cells that a sentence names."""

_BESIDE = 1e-6
"""Share of the largest miss below which another one is only what the search has left of it."""


@dataclass(frozen=True, slots=True)
class Goal:
    """A cell, the value that it is to reach, and the value that it has (NaN if it has no number)."""

    cell: Cell
    wanted: float
    found: float

    @property
    def reached(self) -> bool:
        """Whether the cell has the value, but for rounding."""
        return same_number(self.found, self.wanted, REACHED, 1.0)

    @property
    def missed_by(self) -> float:
        return abs(self.found - self.wanted)

    def __str__(self) -> str:
        return f"{self.cell} comes to {self.found:.10g}, {self.missed_by:.3g} away from {self.wanted:.10g}"


def goals_of(model: SheetModel) -> list[Goal]:
    """The goals of a model, at the present parameters: one if its loss cell is to reach a value."""
    problem = model.problem
    single = [Target(problem.loss, problem.target)] if problem.direction is Direction.VALUE else []
    found = [(item, model.value_of(item.cell)) for item in problem.targets or single]
    return [Goal(item.cell, item.value, value if isinstance(value, float) else math.nan) for item, value in found]


def missed(goals: Sequence[Goal]) -> str:
    """Which cells do not reach their values, and by how much, the worst first; empty text if all do."""
    shares = {goal: goal.missed_by / max(abs(goal.wanted), 1.0) for goal in goals if not goal.reached}
    worst = max((share for share in shares.values() if share < math.inf), default=0.0)
    rest = [goal for goal in shares if not shares[goal] < _BESIDE * worst]
    rest.sort(key=lambda goal: -shares[goal])
    more = f"; and {len(rest) - _LISTED} more" if len(rest) > _LISTED else ""
    return "; ".join(map(str, rest[:_LISTED])) + more
