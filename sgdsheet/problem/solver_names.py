"""Excel's Solver: the hidden `solver_*` names in which it keeps its model, and what cannot be made of one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum
from math import isfinite
from shlex import quote
from typing import Any

from sgdsheet.errors import ProblemError
from sgdsheet.sheet.defined_names import areas_of, name_text, single_cell, tidy_areas
from sgdsheet.sheet.references import Range
from sgdsheet.sheet.workbook import Workbook


class Direction(Enum):
    """What Solver is to make of the loss cell: the smallest value, the largest, or a given one."""

    MINIMISE = "minimise"
    MAXIMISE = "maximise"
    VALUE = "reach a value"


class Relation(Enum):
    """Solver's relations, by Solver's numbers."""

    AT_MOST = 1
    EQUAL = 2
    AT_LEAST = 3
    INTEGER = 4
    BINARY = 5
    ALL_DIFFERENT = 6

    @property
    def sign(self) -> str:
        return {1: "<=", 2: "=", 3: ">=", 4: "int", 5: "bin", 6: "alldifferent"}[self.value]


_KINDS_OF_NUMBERS = {
    Relation.INTEGER: "whole numbers",
    Relation.BINARY: "only 0 and 1",
    Relation.ALL_DIFFERENT: "a different whole number in each cell",
}


@dataclass(frozen=True, slots=True)
class Constraint:
    """`left relation right`, cell by cell.

    `right` is a number, or cells of the same count, or a single cell; text is what could not be read as
    either. `name` is what messages call it.
    """

    left: Range
    relation: Relation
    right: float | Range | str
    name: str = "the constraint"

    def __str__(self) -> str:
        if self.relation in _KINDS_OF_NUMBERS:
            return f"{self.left} {self.relation.sign}"
        right = f"{self.right:g}" if isinstance(self.right, float) else str(self.right)
        return f"{self.left} {self.relation.sign} {right}"

    @property
    def ranges(self) -> tuple[Range, ...]:
        """The cells of both sides."""
        return (self.left, self.right) if isinstance(self.right, Range) else (self.left,)


def read_solver(workbook: Workbook, sheet: str, objective: str) -> dict[str, Any]:
    """The fields of a Problem that Solver's names on a sheet make; `objective` is a reference to its cell."""
    params = name_text(workbook, sheet, "solver_adj")
    if params is None:
        raise ProblemError(f"Solver's model on sheet {sheet} has no variable cells", remedy="Set them in Solver")
    cell = single_cell(workbook, objective, sheet, f"Solver's objective on sheet {sheet}")
    areas = tidy_areas(areas_of(workbook, params, sheet, f"Solver's list of variable cells on sheet {sheet}"))
    for area in (Range.of_cell(cell), *areas):
        if area.sheet != sheet:
            raise ProblemError(
                f"Solver's model on sheet {sheet} points to another sheet, as in a copy of one",
                cell=area,
                remedy=f"Set it up in Solver on sheet {sheet} again, or choose the other: --sheet {quote(area.sheet)}",
            )
    direction = {1: Direction.MAXIMISE, 2: Direction.MINIMISE, 3: Direction.VALUE}.get(
        int(_solver_number(workbook, sheet, "solver_typ", 1)), Direction.MAXIMISE
    )
    return {
        "loss": cell,
        "parameters": areas,
        "direction": direction,
        "target": _solver_number(workbook, sheet, "solver_val", 0),
        "constraints": _solver_constraints(workbook, sheet),
        "non_negative": _solver_number(workbook, sheet, "solver_neg", 1) == 1,
    }


def _solver_number(workbook: Workbook, sheet: str, name: str, default: float) -> float:
    text = name_text(workbook, sheet, name)
    try:
        return float(text) if text is not None else default
    except ValueError:
        return default


def _solver_constraints(workbook: Workbook, sheet: str) -> tuple[Constraint, ...]:
    found: list[Constraint] = []
    for number in range(1, int(_solver_number(workbook, sheet, "solver_num", 0)) + 1):
        left = name_text(workbook, sheet, f"solver_lhs{number}")
        relation = _solver_number(workbook, sheet, f"solver_rel{number}", 1)
        what = f"Solver's constraint {number}"
        if left is None:
            raise ProblemError(f"{what} has no cells", remedy="Set it again in Solver")
        try:
            kind = Relation(int(relation))
        except ValueError:
            raise ProblemError(f"{what} has an unknown relation ({relation:g})", remedy="Set it again") from None
        areas = areas_of(workbook, left, sheet, what)
        right = name_text(workbook, sheet, f"solver_rhs{number}")
        sides = _right_sides(workbook, right, sheet, areas, kind, what)
        found += [Constraint(area, kind, side, what) for area, side in zip(areas, sides, strict=True)]
    return tuple(found)


def _right_sides(
    workbook: Workbook, text: str | None, sheet: str, areas: tuple[Range, ...], kind: Relation, what: str
) -> Sequence[float | Range | str]:
    """What stands on the right of each area; what cannot be read stays text, so that it can be shown."""
    if kind in _KINDS_OF_NUMBERS:
        return [0.0] * len(areas)
    text = "" if text is None else text.strip().removeprefix("=").strip()
    try:
        number = float(text[:-1]) / 100 if text.endswith("%") else float(text)
        if isfinite(number):
            return [number] * len(areas)
    except ValueError:
        pass
    try:
        sides = areas_of(workbook, text, sheet, what)
    except ProblemError:
        if "#REF!" in text.upper():
            raise
        return [text] * len(areas)
    if len(sides) == 1 and (sides[0].size == 1 or len(areas) == 1):
        return [sides[0]] * len(areas)
    fits = [side.size for side in sides] == [area.size for area in areas]
    return sides if fits else [text] * len(areas)


def refuse_constraints(constraints: Sequence[Constraint]) -> None:
    """Refuse constraints that gradients cannot keep to, and those that cannot be read."""
    for constraint in constraints:
        left, right, name = constraint.left, constraint.right, constraint.name
        numbers = _KINDS_OF_NUMBERS.get(constraint.relation)
        if numbers is not None:
            raise ProblemError(
                f"{name} wants {numbers} here ({constraint.relation.sign}), and gradients give any number",
                cell=left,
                remedy="Delete the constraint, or replace it by bounds and round afterwards",
            )
        if isinstance(right, str):
            raise ProblemError(
                f"the right side of {name} ({right or 'nothing'}) is neither a number nor as many cells",
                cell=left,
                remedy="Put the formula into a cell and let the constraint refer to that cell",
            )
        if isinstance(right, Range) and right.size not in (1, left.size):
            raise ProblemError(
                f"{name} compares {left.size} cells with the {right.size} of {right}",
                cell=left,
                remedy="Give both sides the same number of cells",
            )
