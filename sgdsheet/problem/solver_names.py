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
from sgdsheet.sheet.references import Range, without
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


KINDS_OF_NUMBERS = {
    Relation.INTEGER: "whole numbers",
    Relation.BINARY: "only 0 and 1",
    Relation.ALL_DIFFERENT: "a different whole number in each cell",
}
"""Relations without a right side, and what they want of parameter cells."""

_UNSET = {"tim": (100, 32767, 2147483647), "tol": (0.01, 0.05)}
"""What Excel's versions write for options that nobody has set: seconds, and the share of “Integer Optimality”."""


@dataclass(frozen=True, slots=True)
class SolverOptions:
    """Options of Solver's dialog that a person has set; None where Excel's own default stands.

    Solver's default for `gap` is 1 %: it may stop at a solution that much worse than the best. Ours is none.
    """

    evolutionary: bool = False
    """Whether the Evolutionary method is chosen."""
    seconds: float | None = None
    gap: float | None = None
    seed: int | None = None
    population: int | None = None
    relaxed: bool = False
    """Whether “Ignore Integer Constraints” is on."""


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
        if self.relation in KINDS_OF_NUMBERS:
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
        "solver": _solver_options(workbook, sheet),
    }


def _solver_options(workbook: Workbook, sheet: str) -> SolverOptions:
    def said(name: str, least: float, most: float) -> float | None:
        """A number that a person has set; what is out of range is nothing that Excel has written."""
        number = _solver_number(workbook, sheet, f"solver_{name}", -1.0)
        return number if least <= number <= most and number not in _UNSET.get(name, ()) else None

    seed, population = said("rsd", 1, 2**31 - 1), said("ssz", 4, 100_000)
    return SolverOptions(
        evolutionary=said("eng", 1, 3) == 3,
        seconds=said("tim", 1, 1e9),
        gap=said("tol", 0, 1),
        seed=None if seed is None else int(seed),
        population=None if population is None else int(population),
        relaxed=said("rlx", 1, 2) == 1,
    )


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
    if kind in KINDS_OF_NUMBERS:
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


def refuse_constraints(constraints: Sequence[Constraint], variables: Sequence[Range]) -> None:
    """Refuse constraints that cannot be read, and those that want whole numbers of cells that are not variables."""
    for constraint in constraints:
        left, right, name = constraint.left, constraint.right, constraint.name
        numbers = KINDS_OF_NUMBERS.get(constraint.relation)
        if numbers is not None and (others := without((left,), variables)):
            raise ProblemError(
                f"{name} wants {numbers} here ({constraint.relation.sign}), and this is no parameter cell",
                cell=others[0].first,
                remedy="Let the constraint name parameter cells only",
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
