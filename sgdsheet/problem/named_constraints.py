"""Constraints that names on a sheet say: `sgd_constraints`, `sgd_integer`, `sgd_binary`, `sgd_alldifferent`."""

from __future__ import annotations

from sgdsheet.errors import FormulaError, ProblemError
from sgdsheet.problem.solver_names import Constraint, Relation
from sgdsheet.sheet.defined_names import areas_of, name_text
from sgdsheet.sheet.formula import formula_text, parse, render
from sgdsheet.sheet.references import Cell, Range
from sgdsheet.sheet.syntax import Binary, Name, Node, Number, Reference, TableReference, Unary
from sgdsheet.sheet.workbook import Workbook

_NUMBERS = {
    "sgd_integer": Relation.INTEGER,
    "sgd_binary": Relation.BINARY,
    "sgd_alldifferent": Relation.ALL_DIFFERENT,
}
"""The names of parameter cells that hold certain numbers only."""

_RELATIONS = {"<=": Relation.AT_MOST, "=": Relation.EQUAL, ">=": Relation.AT_LEAST}
_TURNED = {Relation.AT_MOST: Relation.AT_LEAST, Relation.AT_LEAST: Relation.AT_MOST, Relation.EQUAL: Relation.EQUAL}


def named_constraints(workbook: Workbook, sheet: str) -> tuple[Constraint, ...]:
    """The constraints that the names of a sheet say.

    `sgd_constraints` are cells with comparisons, as `=D5<=E5` or `=SUM_OF_SHARES=1`, whose sides are cells or numbers.
    The other names are parameter cells: whole numbers, 0 or 1, and a permutation of 1 to their count. Raises
    ProblemError for what is no comparison.
    """
    found: list[Constraint] = []
    text = name_text(workbook, sheet, "sgd_constraints")
    for area in areas_of(workbook, text, sheet, f"the name sgd_constraints on sheet {sheet}") if text else ():
        formulas = workbook.sheets[area.sheet].formulas
        if area.size > len(formulas):
            places = sorted(place for place in formulas if area.contains(Range.of_cell(Cell(area.sheet, *place))))
        else:
            places = [place for place in area.positions() if place in formulas]
        found += [_comparison(workbook, Cell(area.sheet, *place)) for place in places]
    for name, relation in _NUMBERS.items():
        text = name_text(workbook, sheet, name)
        for area in areas_of(workbook, text, sheet, f"the name {name} on sheet {sheet}") if text else ():
            found.append(Constraint(area, relation, 0.0, name))
    return tuple(found)


def _comparison(workbook: Workbook, cell: Cell) -> Constraint:
    """The constraint that a cell's formula states."""
    formula = workbook.sheets[cell.sheet].formulas[cell[1:]]
    text = formula_text(formula, *cell[1:])
    try:
        tree = parse(text, *cell[1:])
    except FormulaError:
        tree = None
    if not isinstance(tree, Binary) or tree.operator not in _RELATIONS:
        raise ProblemError(
            f"the name sgd_constraints wants comparisons by <=, >= or =, and this is ={text}",
            cell=cell,
            remedy="Compare cells, as in =D5<=E5, or leave the cell out",
        )
    relation, name = _RELATIONS[tree.operator], f"the constraint in {cell}"
    left, right = (_side(workbook, part, cell, name) for part in (tree.left, tree.right))
    if isinstance(left, float):
        left, right, relation = right, left, _TURNED[relation]
    if isinstance(left, float):
        raise ProblemError("the constraint compares two numbers", cell=cell, remedy="Compare cells")
    return Constraint(left, relation, right, name)


def _side(workbook: Workbook, part: Node, cell: Cell, name: str) -> Range | float:
    """A side of a comparison: a number, or cells."""
    if isinstance(part, Number):
        return part.value
    if isinstance(part, Unary) and part.operator in "-+%" and isinstance(part.operand, Number):
        return part.operand.value * {"-": -1.0, "+": 1.0, "%": 0.01}[part.operator]
    if isinstance(part, Unary) and part.operator == "@":
        part = part.operand
    if isinstance(part, (Reference, Name, TableReference)):
        areas = areas_of(workbook, render(part, *cell[1:]), cell.sheet, name)
        if len(areas) == 1:
            return areas[0]
    raise ProblemError(
        f"the constraint compares {render(part, *cell[1:])}, which is neither a number nor cells",
        cell=cell,
        remedy="Put that formula into a cell of its own and compare the cell",
    )
