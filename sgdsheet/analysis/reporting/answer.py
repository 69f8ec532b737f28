"""The answer: the objective, the variables before and after, and the constraints with their slack."""

from __future__ import annotations

from sgdsheet.analysis.reporting.page import UNKNOWN, Column, Entry, Kind, Section, Table, entry
from sgdsheet.compiler.candidates.labels import Labels
from sgdsheet.problem.solver_names import Constraint, Relation
from sgdsheet.sheet.references import Cell, Range
from sgdsheet.sheet.workbook import Value
from sgdsheet.train.constrained.constraints import HOLDS
from sgdsheet.train.solution import Solution

MOST_ROWS = 1_000
"""Rows of a table, at most."""

_TEXT = Kind.TEXT
_WHOLE = {Relation.INTEGER: "whole number", Relation.BINARY: "0 or 1", Relation.ALL_DIFFERENT: "all different"}


class Names:
    """What people call cells: the texts beside and above them; cells of the model's own sheet go without its name."""

    def __init__(self, solution: Solution) -> None:
        problem = solution.model.problem
        self._labels = Labels(solution.model.workbook)
        self._home = problem.sheet
        areas = [*problem.parameters, *(item.left for item in problem.constraints)]
        self._wide = [area for area in areas if area.width > 1]

    def of(self, cell: Cell) -> str:
        """The text that says what a cell holds; empty if there is none. In a table, that of the row and the column."""
        labels = self._labels
        left, top = labels.left(cell) or labels.row_title(cell), labels.above(cell) or labels.heading(cell)
        if own := labels.name(Range.of_cell(cell)):
            return own
        if left and top and any(area.contains(Range.of_cell(cell)) for area in self._wide):
            return f"{left}, {top}"
        return left or top

    def place(self, cell: Cell | Range) -> str:
        """The cell as a person writes it."""
        text = str(cell)
        return text.rpartition("!")[2] if cell.sheet == self._home else text


def answer(solution: Solution, names: Names) -> Section:
    """The section *Answer*."""
    problem = solution.model.problem
    loss = problem.loss
    labels = {"minimise": "to become small", "maximise": "to become large", "reach a value": "to reach a value"}
    aim = labels[problem.direction.value]
    section = Section("Answer")
    if problem.targets:
        section.parts.append(_targets(solution, names))
    else:
        section.parts.append(
            Table(
                f"Objective ({aim})",
                (Column("Cell", _TEXT), Column("Name", _TEXT), Column("Before"), Column("After")),
                [(names.place(loss), names.of(loss), entry(solution.loss_start), entry(solution.loss))],
            )
        )
    section.parts.append(_variables(solution, names))
    if problem.constraints:
        section.parts.append(_constraints(solution, names))
    return section


def _targets(solution: Solution, names: Names) -> Table:
    """The cells that are to reach values."""
    rows = []
    for item in solution.model.problem.targets:
        value = solution.model.value_of(item.cell)
        found = entry(value) if isinstance(value, float) else None
        rows.append((names.place(item.cell), names.of(item.cell), entry(item.value), found))
    columns = (Column("Cell", _TEXT), Column("Name", _TEXT), Column("Wanted"), Column("After"))
    return Table("Values to be reached", columns, rows)


def shortened(title: str, rows: list[list[Entry]]) -> tuple[str, list[list[Entry]]]:
    """A table's title and rows: of very many rows the first ones, which the title says."""
    if len(rows) <= MOST_ROWS:
        return title, rows
    return f"{title} (the first {MOST_ROWS:,} of {len(rows):,})", rows[:MOST_ROWS]


def _variables(solution: Solution, names: Names) -> Table:
    cells = [cell for area, _ in solution.model.ranges() for cell in area.cells()]
    shown = cells[:MOST_ROWS]
    columns = [Column("Cell", _TEXT), Column("Name", _TEXT), Column("Before"), Column("After")]
    before, after = solution.before.tolist(), solution.values.tolist()
    rows: list[list[Entry]] = [
        [names.place(cell), names.of(cell), entry(before[place]), entry(after[place])]
        for place, cell in enumerate(shown)
    ]
    bounds = solution.constraints.bounds if solution.constraints is not None else None
    if bounds is not None and bounds.count:
        columns += [Column("Lower bound"), Column("Upper bound")]
        sides = zip(bounds.lower.tolist(), bounds.upper.tolist(), strict=True)
        for row, (lower, upper) in zip(rows, sides, strict=False):
            row += [entry(lower), entry(upper)]
    title = "Variables" if len(shown) == len(cells) else f"Variables (the first {MOST_ROWS:,} of {len(cells):,})"
    return Table(title, columns, rows)


def _constraints(solution: Solution, names: Names) -> Table:
    problem = solution.model.problem
    values = solution.model.values_of([area for item in problem.constraints for area in item.ranges])
    rows: list[list[Entry]] = []
    for constraint in problem.constraints:
        right = list(constraint.right.cells()) if isinstance(constraint.right, Range) else []
        for place, cell in enumerate(constraint.left.cells()):
            other = right[place if len(right) > 1 else 0] if right else None
            rows.append(_constraint(constraint, cell, other, values, names))
    title, rows = shortened("Constraints", rows)
    columns = (
        *(Column("Cell", _TEXT), Column("Name", _TEXT), Column("Value"), Column("Constraint", Kind.WORD)),
        *(Column("Right side"), Column("Slack"), Column("Status", Kind.WORD)),
    )
    return Table(title, columns, rows)


def _constraint(
    constraint: Constraint, cell: Cell, other: Cell | None, values: dict[Cell, Value | None], names: Names
) -> list[Entry]:
    start: list[Entry] = [names.place(cell), names.of(cell)]
    left = _number(values.get(cell))
    shown: Entry = UNKNOWN if left is None else left
    if constraint.relation in _WHOLE:
        return [*start, shown, _WHOLE[constraint.relation], None, None, None]
    right = _number(values.get(other)) if other is not None else _number(constraint.right)
    said = f"{constraint.relation.sign} {names.place(other)}" if other is not None else constraint.relation.sign
    if left is None or right is None:
        return [*start, shown, said, UNKNOWN if right is None else right, UNKNOWN, UNKNOWN]
    excess = left - right
    slack = excess if constraint.relation is Relation.AT_LEAST else -excess
    if constraint.relation is Relation.EQUAL:
        slack = -abs(excess)
    reach = HOLDS * max(1.0, abs(right))
    status = "Violated" if slack < -reach else "Binding" if slack <= reach else "Not binding"
    return [*start, left, said, right, 0.0 if abs(slack) <= reach else slack, status]


def _number(value: object) -> float | None:
    return float(value) if isinstance(value, (int, float)) else None
