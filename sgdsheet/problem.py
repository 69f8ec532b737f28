"""What is to be solved: the loss cell, the parameter cells, direction, bounds and constraints.

Read from the `sgd_*` names of a sheet, else from the hidden `solver_*` names that Excel's Solver leaves there, else
from what the caller says.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import Enum

from sgdsheet.errors import FormulaError, ProblemError
from sgdsheet.references import Cell, Range, parse_range, rectangles, split_areas
from sgdsheet.workbook import ExcelError, Sheet, Value, Workbook

_MOST_AREAS = 32


class Direction(Enum):
    """What is to become of the loss cell."""

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


@dataclass(frozen=True, slots=True)
class Constraint:
    """`left relation right`, cell by cell; `right` is a number or cells of the same count (or a single cell)."""

    left: Range
    relation: Relation
    right: float | Range

    def __str__(self) -> str:
        right = f"{self.right:g}" if isinstance(self.right, float) else str(self.right)
        return f"{self.left} {self.relation.sign} {right}"


@dataclass(frozen=True, slots=True)
class Setting:
    """A row of `sgd_settings`: where it stands, its name as written, and the value beside it."""

    cell: Cell
    name: str
    value: Value | None


@dataclass(frozen=True, slots=True)
class Problem:
    """One model of a workbook."""

    sheet: str
    loss: Cell
    parameters: tuple[Range, ...]
    source: str
    """Where it was found: "sgd_* names", "Solver" or "options"."""
    direction: Direction = Direction.MINIMISE
    target: float = 0.0
    constraints: tuple[Constraint, ...] = ()
    non_negative: bool = False
    data: Range | None = None
    valid: Range | None = None
    metric: Cell | None = None
    settings: tuple[Setting, ...] = field(default=())

    @property
    def parameter_count(self) -> int:
        return sum(area.size for area in self.parameters)


def find_problem(
    workbook: Workbook, sheet: str | None = None, loss: str | None = None, params: str | None = None
) -> Problem:
    """Find the model of a sheet and check it.

    `loss` and `params` are A1 references that take the place of the names. Raises ProblemError if there is no
    model, or more than one and no `sheet` to tell them apart.
    """
    if sheet is not None:
        found_sheet = workbook.sheet(sheet)
        if found_sheet is None:
            raise ProblemError(
                f"there is no sheet “{sheet}”", remedy=f"The workbook has {', '.join(workbook.sheets) or 'none'}"
            )
        sheet = found_sheet.name
    if loss is not None or params is not None:
        problem = _from_options(workbook, sheet, loss, params)
    else:
        problem = _from_names(workbook, sheet if sheet is not None else _only_sheet(workbook))
    check_problem(workbook, problem)
    return problem


def sheets_with_problem(workbook: Workbook) -> list[str]:
    """The sheets that hold a model."""
    return [name for name in workbook.sheets if _has(workbook, name, "sgd_loss") or _has(workbook, name, "solver_opt")]


def _only_sheet(workbook: Workbook) -> str:
    found = sheets_with_problem(workbook)
    if len(found) == 1:
        return found[0]
    if workbook.active in found:
        return str(workbook.active)
    if not found:
        raise ProblemError(
            "no loss cell was found",
            remedy="Name the loss cell sgd_loss and the parameter cells sgd_params, or say --loss REF --params REF",
        )
    raise ProblemError(f"there are models on several sheets ({', '.join(found)})", remedy="Choose one with --sheet")


def _name(workbook: Workbook, sheet: str, name: str) -> str | None:
    """The text of a name of this sheet, or of a name of the workbook that points to this sheet."""
    found = workbook.defined_name(name, sheet)
    if found is None:
        return None
    if found.sheet is None and not found.text.startswith("#"):
        try:
            if parse_range(split_areas(found.text)[0], sheet).sheet != sheet:
                return None
        except (FormulaError, IndexError):
            pass
    return found.text


def _has(workbook: Workbook, sheet: str, name: str) -> bool:
    return _name(workbook, sheet, name) is not None


def _areas(workbook: Workbook, text: str, sheet: str, what: str) -> tuple[Range, ...]:
    """The ranges that a reference text means; table columns and other names are looked up too."""
    if "#REF!" in text.upper():
        raise ProblemError(
            f"{what} points to cells that were deleted ({text})", remedy="Point it to existing cells again"
        )
    areas = []
    for part in split_areas(text):
        area = _area(workbook, part, sheet, what)
        found = workbook.sheet(area.sheet)
        if found is None:
            raise ProblemError(f"{what} points to a sheet that is not there ({part})", remedy="Mend the reference")
        rows, columns = found.extent
        clipped = area._replace(sheet=found.name, bottom=min(area.bottom, max(rows, area.top)))
        areas.append(clipped._replace(right=min(area.right, max(columns, area.left))))
    if not areas:
        raise ProblemError(f"{what} is empty", remedy="Point it to cells")
    return tuple(areas)


def _area(workbook: Workbook, part: str, sheet: str, what: str) -> Range:
    try:
        return parse_range(part, sheet)
    except FormulaError:
        named = workbook.defined_name(part.rpartition("!")[2], sheet)
        table, _, column = part.rstrip("]").partition("[")
        found = workbook.table(table)
        if named is not None and named.text != part:
            return _area(workbook, named.text, sheet, what)
        if found is not None:
            body = found.body
            if not column:
                return body
            folded = [name.casefold() for name in found.columns]
            if column.casefold() in folded:
                left = body.left + folded.index(column.casefold())
                return body._replace(left=left, right=left)
        raise ProblemError(
            f"{what} is not a range of cells ({part})", remedy="Write it like B2, B2:C9 or Sheet1!B2:C9"
        ) from None


def _single(workbook: Workbook, text: str, sheet: str, what: str) -> Cell:
    areas = _areas(workbook, text, sheet, what)
    if len(areas) != 1 or areas[0].size != 1:
        raise ProblemError(f"{what} must be one cell, not {text}", remedy="Point it to a single cell")
    return areas[0].first


def _from_options(workbook: Workbook, sheet: str | None, loss: str | None, params: str | None) -> Problem:
    home = sheet or workbook.active or next(iter(workbook.sheets))
    if loss is None:
        text = _name(workbook, home, "sgd_loss") or _name(workbook, home, "solver_opt")
        if text is None:
            raise ProblemError("no loss cell was given", remedy="Say --loss REF")
        loss = text
    if params is None:
        text = _name(workbook, home, "sgd_params") or _name(workbook, home, "solver_adj")
        if text is None:
            raise ProblemError("no parameter cells were given", remedy="Say --params REF")
        params = text
    cell = _single(workbook, loss, home, "the loss")
    areas = tidy_areas(_areas(workbook, params, home, "the parameters"))
    return Problem(cell.sheet, cell, areas, "options", **_extras(workbook, home))


def _from_names(workbook: Workbook, sheet: str) -> Problem:
    loss = _name(workbook, sheet, "sgd_loss")
    if loss is None:
        return _from_solver(workbook, sheet)
    params = _name(workbook, sheet, "sgd_params")
    if params is None:
        raise ProblemError(
            f"sheet {sheet} has a loss cell (sgd_loss) and no parameters", remedy="Name the parameter cells sgd_params"
        )
    cell = _single(workbook, loss, sheet, "the name sgd_loss")
    areas = tidy_areas(_areas(workbook, params, sheet, "the name sgd_params"))
    return Problem(sheet, cell, areas, "sgd_* names", **_extras(workbook, sheet))


def _extras(workbook: Workbook, sheet: str) -> dict[str, object]:
    """The optional names."""
    extras: dict[str, object] = {}
    for key in ("data", "valid"):
        text = _name(workbook, sheet, f"sgd_{key}")
        if text is not None:
            areas = _areas(workbook, text, sheet, f"the name sgd_{key}")
            box = areas[0]
            for area in areas[1:]:
                box = box.bounding_box(area)
            extras[key] = box
    text = _name(workbook, sheet, "sgd_metric")
    if text is not None:
        extras["metric"] = _single(workbook, text, sheet, "the name sgd_metric")
    text = _name(workbook, sheet, "sgd_settings")
    if text is not None:
        extras["settings"] = _settings(workbook, _areas(workbook, text, sheet, "the name sgd_settings"))
    return extras


def _settings(workbook: Workbook, areas: Sequence[Range]) -> tuple[Setting, ...]:
    found = []
    for area in areas:
        if area.width != 2:
            raise ProblemError(
                f"the name sgd_settings is {area.width} columns wide",
                cell=area,
                remedy="Point it to two columns: setting and value",
            )
        values = workbook.sheets[area.sheet].values
        for row in range(area.top, area.bottom + 1):
            name = values.get((row, area.left))
            if isinstance(name, str) and name.strip():
                cell = Cell(area.sheet, row, area.right)
                found.append(Setting(cell, name, values.get((row, area.right))))
    return tuple(found)


def tidy_areas(areas: Sequence[Range]) -> tuple[Range, ...]:
    """Areas without overlap, and not very many of them: overlapping or numerous ones are put together anew."""
    overlap = any(one.intersection(two) for index, one in enumerate(areas) for two in areas[:index])
    if not overlap and len(areas) <= _MOST_AREAS:
        return tuple(areas)
    tidy = []
    for sheet in dict.fromkeys(area.sheet for area in areas):
        cells = {(cell.row, cell.column) for area in areas if area.sheet == sheet for cell in area.cells()}
        for top, left, rows, columns in rectangles(cells):
            tidy.append(Range(sheet, top, left, top + rows - 1, left + columns - 1))
    return tuple(tidy)


# --- Solver ----------------------------------------------------------------------------------------------------


def _from_solver(workbook: Workbook, sheet: str) -> Problem:
    loss = _name(workbook, sheet, "solver_opt")
    params = _name(workbook, sheet, "solver_adj")
    if loss is None:
        raise ProblemError(
            f"sheet {sheet} has no loss cell",
            remedy="Name the loss cell sgd_loss and the parameter cells sgd_params, or say --loss REF --params REF",
        )
    if params is None:
        raise ProblemError(f"Solver's model on sheet {sheet} has no variable cells", remedy="Set them in Solver")
    cell = _single(workbook, loss, sheet, "Solver's objective")
    areas = tidy_areas(_areas(workbook, params, sheet, "Solver's variable cells"))
    direction = {1: Direction.MAXIMISE, 2: Direction.MINIMISE, 3: Direction.VALUE}.get(
        int(_solver_number(workbook, sheet, "solver_typ", 1)), Direction.MAXIMISE
    )
    return Problem(
        sheet,
        cell,
        areas,
        "Solver",
        direction,
        _solver_number(workbook, sheet, "solver_val", 0),
        _solver_constraints(workbook, sheet),
        _solver_number(workbook, sheet, "solver_neg", 1) == 1,
    )


def _solver_number(workbook: Workbook, sheet: str, name: str, default: float) -> float:
    text = _name(workbook, sheet, name)
    try:
        return float(text) if text is not None else default
    except ValueError:
        return default


def _solver_constraints(workbook: Workbook, sheet: str) -> tuple[Constraint, ...]:
    found = []
    for number in range(1, int(_solver_number(workbook, sheet, "solver_num", 0)) + 1):
        left = _name(workbook, sheet, f"solver_lhs{number}")
        right = _name(workbook, sheet, f"solver_rhs{number}")
        relation = _solver_number(workbook, sheet, f"solver_rel{number}", 1)
        what = f"Solver's constraint {number}"
        if left is None:
            continue
        try:
            kind = Relation(int(relation))
        except ValueError:
            raise ProblemError(f"{what} has an unknown relation ({relation:g})", remedy="Set it again") from None
        for area in _areas(workbook, left, sheet, what):
            found.append(Constraint(area, kind, _right_side(workbook, right, sheet, what, kind)))
    return tuple(found)


def _right_side(workbook: Workbook, text: str | None, sheet: str, what: str, kind: Relation) -> float | Range:
    if text is None or kind in (Relation.INTEGER, Relation.BINARY, Relation.ALL_DIFFERENT):
        return 0.0
    try:
        return float(text.removeprefix("="))
    except ValueError:
        return _areas(workbook, text, sheet, what)[0]


# --- checks ----------------------------------------------------------------------------------------------------


def check_problem(workbook: Workbook, problem: Problem) -> None:
    """Refuse a loss that is no formula and parameters that are no numbers, before anything is compiled."""
    loss = problem.loss
    home = workbook.sheets[loss.sheet]
    if (loss.row, loss.column) not in home.formulas and not _inside_array(home, loss):
        raise ProblemError(
            "the loss cell holds no formula", cell=loss, remedy="Point the loss to the cell that calculates it"
        )
    for area in problem.parameters:
        sheet = workbook.sheets[area.sheet]
        for cell in area.cells():
            _check_parameter(sheet, cell)


def _inside_array(sheet: Sheet, cell: Cell) -> bool:
    return any(
        formula.array is not None
        and formula.array[0] <= cell.row <= formula.array[2]
        and formula.array[1] <= cell.column <= formula.array[3]
        for formula in sheet.formulas.values()
    )


def _check_parameter(sheet: Sheet, cell: Cell) -> None:
    position = (cell.row, cell.column)
    value = sheet.values.get(position)
    if position in sheet.formulas:
        raise ProblemError(
            "a parameter cell holds a formula", cell=cell, remedy="Put a number there, or leave the cell out"
        )
    if isinstance(value, ExcelError):
        raise ProblemError(f"a parameter cell holds the error {value}", cell=cell, remedy="Put a number there")
    if isinstance(value, (str, bool)):
        raise ProblemError(f"a parameter cell holds “{value}” and not a number", cell=cell, remedy="Put a number there")
