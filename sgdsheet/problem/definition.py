"""What is to be solved: the loss cell, the parameter cells, direction, bounds and constraints.

Read from the `sgd_*` names of a sheet, else from the hidden `solver_*` names that Excel's Solver leaves
there, else from what the caller says.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from math import isfinite
from typing import Any, NamedTuple

from sgdsheet.errors import NoModelError, ProblemError, SettingError, SeveralModelsError, quoted
from sgdsheet.problem.named_constraints import named_constraints
from sgdsheet.problem.setting_row import Setting as Setting
from sgdsheet.problem.settings import overwrites_formulas
from sgdsheet.problem.solver_names import (
    KINDS_OF_NUMBERS,
    Constraint,
    Relation,
    SolverOptions,
    read_solver,
    refuse_constraints,
)
from sgdsheet.problem.solver_names import Direction as Direction
from sgdsheet.sheet.defined_names import areas_of, name_text, single_cell, tidy_areas
from sgdsheet.sheet.references import Cell, Range, address, rectangles
from sgdsheet.sheet.workbook import ExcelError, Sheet, Value, Workbook

SOLVER = "Solver"
"""The source of a problem that Excel's Solver left in the workbook."""

_INPUT = "sgd_input_"
_TARGETS = "sgd_targets"
_OBJECTIVES = ("sgd_loss", _TARGETS, "solver_opt")
"""Names that make a model of a sheet."""
_NAMED = 6
"""Ranges that a message names."""


@dataclass(frozen=True, slots=True)
class Input:
    """Cells that show a field of the source: `sgd_input_<field>`."""

    field: str
    area: Range


class Target(NamedTuple):
    """A cell that is to reach a value, in the cell's own units."""

    cell: Cell
    value: float


@dataclass(frozen=True, slots=True)
class Problem:
    """One model of a workbook.

    Where several cells are to reach values, `targets` has them, the objective is the sum of the squares of what they
    miss, and `loss` is the first of them.

    `origin` is the name or the path of the data that it is trained on, if they are not in the sheet; `inputs` are
    cells that show them, `outputs` those that hold predictions.
    """

    sheet: str
    loss: Cell
    parameters: tuple[Range, ...]
    source: str
    """Where loss and parameters were found: “sgd_* names”, “Solver” or “options”."""
    direction: Direction = Direction.MINIMISE
    target: float = 0.0
    targets: tuple[Target, ...] = ()
    constraints: tuple[Constraint, ...] = ()
    non_negative: bool = False
    solver: SolverOptions = field(default_factory=SolverOptions)
    data: Range | None = None
    valid: Range | None = None
    metric: Cell | None = None
    settings: tuple[Setting, ...] = field(default=())
    origin: str | None = None
    origin_cell: Cell | None = None
    origin_chosen: bool = False
    """Whether a person said the origin, and not the workbook."""
    inputs: tuple[Input, ...] = ()
    outputs: tuple[Range, ...] = ()
    overwritten: tuple[Range, ...] = ()
    """Parameter cells that hold formulas, which numbers are to replace."""

    @property
    def parameter_count(self) -> int:
        return sum(area.size for area in self.parameters)

    @property
    def discrete(self) -> bool:
        """Whether some parameters may take certain numbers only."""
        return any(constraint.relation in KINDS_OF_NUMBERS for constraint in self.constraints)

    @property
    def constrained(self) -> tuple[Range, ...]:
        """The cells that constraints compare, without parameters that are only held between numbers.

        Where several cells are to reach values, these come first.
        """
        found = [Range.of_cell(item.cell) for item in self.targets]
        for constraint in self.constraints:
            own = any(area.contains(constraint.left) for area in self.parameters)
            if not (own and isinstance(constraint.right, float)):
                found += constraint.ranges
        return tuple(found)


class Advice(NamedTuple):
    """What can be done about a model that was not found, by whoever asked for it.

    In `choose`, `{first}` stands for the first sheet that has a model.
    """

    mark: str
    choose: str
    other: str
    overwrite: str = ""
    """How to let numbers replace the formulas `{cells}`."""

    def or_other(self, sheets: Sequence[str]) -> str:
        """The end of a remedy: the sheets that have a model, if there are any."""
        return f", or {self.other} {' or '.join(map(quoted, sheets))}" if sheets else ""


COMMAND_LINE = Advice(
    mark="Name the loss cell sgd_loss and the parameters sgd_params, or say --loss and --params",
    choose="Choose one with --sheet, first {first}",
    other="choose another sheet with a model: --sheet",
    overwrite="; train --overwrite-formulas replaces the formulas in {cells} by numbers",
)
SPREADSHEET = Advice(
    mark="Mark the loss cell with Set loss and the parameters with Set parameters, "
    "or name them sgd_loss and sgd_params",
    choose="Click on the sheet {first}, which is the first of them, and try again there",
    other="go to another sheet with a model:",
    overwrite="; with the setting “overwrite formulas”, numbers replace the formulas in {cells}",
)


def find_problem(
    workbook: Workbook,
    sheet: str | None = None,
    loss: str | None = None,
    params: str | None = None,
    *,
    maximize: bool = False,
    targets: Sequence[tuple[str, float]] = (),
    overwrite_formulas: bool | None = False,
    only_read: bool = False,
    advice: Advice = COMMAND_LINE,
) -> Problem:
    """Find the model of a sheet and check it.

    `loss` and `params` are A1 references that take the place of the names; with `maximize`, the loss cell is to
    become as large as possible. `targets` are references to cells and the values that they are to reach, in place of
    `loss`. Raises NoModelError if there is no model, SeveralModelsError if there are some and no
    `sheet` to tell them apart, ProblemError if it cannot be used; the remedy is taken from `advice`.

    Parameter cells that hold formulas are refused, unless `overwrite_formulas` says that numbers may replace them, or,
    if that is None, the sheet's setting. Solver replaces them unasked: where nothing is written (`only_read`), its
    models may have them.
    """
    if targets and (loss is not None or maximize):
        raise SettingError("cells are to reach values, and another one is the loss", remedy="Leave one of them out")
    if sheet is not None:
        found_sheet = workbook.sheet(sheet)
        if found_sheet is None:
            raise ProblemError(
                f"the workbook has no sheet “{sheet}”",
                remedy=f"Its sheets are {', '.join(workbook.sheets)}" if workbook.sheets else "",
            )
        sheet = found_sheet.name
    if loss is not None or params is not None or targets:
        problem = _from_options(workbook, sheet, targets[0][0] if targets else loss, params)
        if targets:
            problem = _reaching(problem, [_target(workbook, problem.sheet, *item) for item in targets])
    else:
        problem = _from_names(workbook, sheet if sheet is not None else _only_sheet(workbook, advice), advice)
    if maximize and problem.targets:
        raise SettingError(
            "cells are to reach values, and none of them is to be maximized", remedy="Say --loss REF, too"
        )
    if maximize:
        problem = replace(problem, direction=Direction.MAXIMISE, target=0.0)
    overwrite = overwrites_formulas(problem.settings) if overwrite_formulas is None else overwrite_formulas
    if overwrite or (only_read and problem.source == SOLVER):
        problem = replace(problem, overwritten=formula_cells(workbook, problem.parameters))
    try:
        check_problem(workbook, problem, advice)
    except ProblemError as error:
        others = [name for name in sheets_with_problem(workbook) if name != problem.sheet]
        if sheet is not None or loss is not None or not others:
            raise
        raise ProblemError(error.cause, cell=error.cell, remedy=error.remedy + advice.or_other(others)) from None
    return problem


def _target(workbook: Workbook, sheet: str, text: str, value: float) -> Target:
    if not isfinite(value):
        raise SettingError(f"{value} is no value that {text} could reach", remedy="Give a number")
    return Target(single_cell(workbook, text, sheet, f"the reference {text}"), value)


def _reaching(problem: Problem, targets: Sequence[Target]) -> Problem:
    """The problem with these targets: one is Solver's “Value Of”."""
    cells = [item.cell for item in targets]
    twice = next((cell for cell in cells if cells.count(cell) > 1), None)
    if twice is not None:
        raise ProblemError("this cell is to reach two values", cell=twice, remedy="Give it one")
    if len(targets) == 1:
        return replace(problem, loss=cells[0], direction=Direction.VALUE, target=targets[0].value)
    return replace(problem, loss=cells[0], direction=Direction.MINIMISE, targets=tuple(targets))


def targets_in(workbook: Workbook, areas: Sequence[Range]) -> list[Target]:
    """The targets in ranges of two columns: cells with formulas, and beside each the value that it is to reach."""
    found: list[Target] = []
    for area in areas:
        if area.width != 2:
            raise ProblemError(
                f"targets stand in two columns, the calculated cells and their values, and here are {area.width}",
                cell=area,
                remedy="Choose the cells with the formulas and those with the wanted values beside them",
            )
        values = workbook.sheets[area.sheet].values
        for row in range(area.top, area.bottom + 1):
            cell, wanted = Cell(area.sheet, row, area.left), values.get((row, area.right))
            if wanted is None and not _calculated(workbook, cell):
                continue  # an empty row
            if isinstance(wanted, bool) or not isinstance(wanted, float):
                raise ProblemError(
                    "here is no number that the cell to the left could reach",
                    cell=Cell(area.sheet, row, area.right),
                    remedy="Write the wanted value there",
                )
            found.append(Target(cell, wanted))
    if not found:
        raise ProblemError("there are no targets here", cell=areas[0] if areas else None, remedy="Write some there")
    return found


def _calculated(workbook: Workbook, cell: Cell) -> bool:
    home = workbook.sheets[cell.sheet]
    return cell[1:] in home.formulas or home.values.get(cell[1:]) is not None


@dataclass(frozen=True, slots=True)
class FoundModel:
    """A sheet that has a model, and the model; or why it cannot be used."""

    sheet: str
    problem: Problem | None = None
    error: ProblemError | None = None


def models_in(workbook: Workbook, advice: Advice = COMMAND_LINE) -> list[FoundModel]:
    """The models of all sheets, in the order of the sheets, as the sheets' settings have them."""
    found = []
    for sheet in sheets_with_problem(workbook):
        try:
            problem = find_problem(workbook, sheet, overwrite_formulas=None, advice=advice)
            found.append(FoundModel(sheet, problem))
        except ProblemError as error:
            found.append(FoundModel(sheet, error=error))
    return found


def only_solver_left(workbook: Workbook) -> bool:
    """Whether all models are Solver's: hidden names, which nobody may know of any more."""
    return not any(_has(workbook, name, own) for own in ("sgd_loss", _TARGETS) for name in workbook.sheets)


def sheets_with_problem(workbook: Workbook) -> list[str]:
    """The sheets that hold a model."""
    return [name for name in workbook.sheets if any(_has(workbook, name, own) for own in _OBJECTIVES)]


def _only_sheet(workbook: Workbook, advice: Advice) -> str:
    found = sheets_with_problem(workbook)
    if len(found) == 1:
        return found[0]
    if workbook.active in found:
        return str(workbook.active)
    if not found:
        raise NoModelError("no loss cell was found", remedy=advice.mark)
    raise SeveralModelsError(
        f"there are models on several sheets ({', '.join(found)})", remedy=advice.choose.format(first=quoted(found[0]))
    )


def _has(workbook: Workbook, sheet: str, name: str) -> bool:
    return name_text(workbook, sheet, name) is not None


def _from_options(workbook: Workbook, sheet: str | None, loss: str | None, params: str | None) -> Problem:
    home = sheet or workbook.active or next(iter(workbook.sheets), None)
    if home is None:
        raise ProblemError("the workbook has no worksheet", remedy="Use a workbook with one")
    if loss is None:
        text = name_text(workbook, home, "sgd_loss") or name_text(workbook, home, "solver_opt")
        if text is None:
            raise ProblemError("no loss cell was given", remedy="Say --loss REF")
        loss = text
    if params is None:
        text = name_text(workbook, home, "sgd_params") or name_text(workbook, home, "solver_adj")
        if text is None:
            raise ProblemError("no parameter cells were given", remedy="Say --params REF")
        params = text
    cell = single_cell(workbook, loss, home, "the reference to the loss")
    areas = tidy_areas(areas_of(workbook, params, home, "the reference to the parameters"))
    return Problem(cell.sheet, cell, areas, "options", **_extras(workbook, home))


def _from_names(workbook: Workbook, sheet: str, advice: Advice) -> Problem:
    loss = name_text(workbook, sheet, "sgd_loss")
    targets = name_text(workbook, sheet, _TARGETS) if loss is None else None
    if targets is not None:
        return _from_targets(workbook, sheet, targets)
    if loss is None:
        objective = name_text(workbook, sheet, "solver_opt")
        if objective is None:
            remedy = advice.mark + advice.or_other(sheets_with_problem(workbook))
            raise NoModelError(f"sheet {sheet} has no loss cell", remedy=remedy)
        return Problem(sheet, source=SOLVER, **read_solver(workbook, sheet, objective))
    params = name_text(workbook, sheet, "sgd_params")
    if params is None:
        raise ProblemError(
            f"sheet {sheet} has a loss cell (sgd_loss) and no parameters",
            remedy="Name the parameter cells sgd_params",
        )
    cell = single_cell(workbook, loss, sheet, f"the name sgd_loss on sheet {sheet}")
    areas = tidy_areas(areas_of(workbook, params, sheet, f"the name sgd_params on sheet {sheet}"))
    return Problem(sheet, cell, areas, "sgd_* names", **_extras(workbook, sheet))


def _from_targets(workbook: Workbook, sheet: str, text: str) -> Problem:
    targets = targets_in(workbook, areas_of(workbook, text, sheet, f"the name {_TARGETS} on sheet {sheet}"))
    params = name_text(workbook, sheet, "sgd_params")
    if params is None:
        raise ProblemError(
            f"sheet {sheet} has cells that are to reach values ({_TARGETS}) and no parameters",
            remedy="Name the cells that may change sgd_params",
        )
    areas = tidy_areas(areas_of(workbook, params, sheet, f"the name sgd_params on sheet {sheet}"))
    found = Problem(targets[0].cell.sheet, targets[0].cell, areas, "sgd_* names", **_extras(workbook, sheet))
    return _reaching(found, targets)


def _extras(workbook: Workbook, sheet: str) -> dict[str, Any]:
    """The optional names."""
    extras: dict[str, Any] = {}
    for key in ("data", "valid"):
        text = name_text(workbook, sheet, f"sgd_{key}")
        if text is not None:
            areas = areas_of(workbook, text, sheet, f"the name sgd_{key} on sheet {sheet}")
            box = areas[0]
            for area in areas[1:]:
                box = box.bounding_box(area)
            extras[key] = box
    text = name_text(workbook, sheet, "sgd_metric")
    if text is not None:
        extras["metric"] = single_cell(workbook, text, sheet, f"the name sgd_metric on sheet {sheet}")
    extras["settings"] = settings_in(workbook, settings_areas(workbook, sheet))
    text = name_text(workbook, sheet, "sgd_output")
    if text is not None:
        extras["outputs"] = areas_of(workbook, text, sheet, f"the name sgd_output on sheet {sheet}")
    extras["inputs"] = _inputs(workbook, sheet)
    extras["constraints"] = named_constraints(workbook, sheet)
    return {**extras, **named_origin(workbook, sheet)}


def named_origin(workbook: Workbook, sheet: str) -> dict[str, Any]:
    """`sgd_source`: a cell with the name of the data, or the name itself as text."""
    text = name_text(workbook, sheet, "sgd_source")
    if text is None:
        return {}
    if text.startswith('"') and text.endswith('"') and len(text) > 2:
        return {"origin": text[1:-1].replace('""', '"')}
    cell = single_cell(workbook, text, sheet, f"the name sgd_source on sheet {sheet}")
    value = workbook.sheets[cell.sheet].values.get(cell[1:])
    if value is None or value == "":
        return {}
    if not isinstance(value, str):
        raise ProblemError(
            "the cell that sgd_source points to holds no text",
            cell=cell,
            remedy="Write the name of a file or of a dataset there, or clear it to train on the sheet's own data",
        )
    return {"origin": value, "origin_cell": cell}


def _inputs(workbook: Workbook, sheet: str) -> tuple[Input, ...]:
    """The `sgd_input_<field>` names that this sheet sees."""
    found = []
    for name in workbook.names_beginning(_INPUT):
        text = name_text(workbook, sheet, name)
        if text is None:
            continue
        areas = areas_of(workbook, text, sheet, f"the name {name} on sheet {sheet}")
        if len(areas) > 1:
            raise ProblemError(f"the name {name} has several areas", cell=areas[1], remedy="Point it to one range")
        found.append(Input(name.removeprefix(_INPUT), areas[0]))
    return tuple(sorted(found, key=lambda item: item.field))


def settings_areas(workbook: Workbook, sheet: str) -> tuple[Range, ...]:
    """All of `sgd_settings`, the rows included that are still empty."""
    text = name_text(workbook, sheet, "sgd_settings")
    return areas_of(workbook, text, sheet, f"the name sgd_settings on sheet {sheet}") if text is not None else ()


def settings_in(workbook: Workbook, areas: Sequence[Range]) -> tuple[Setting, ...]:
    """The rows of `sgd_settings`, which stand in these areas."""
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


def formula_cells(workbook: Workbook, areas: Sequence[Range]) -> tuple[Range, ...]:
    """The cells of some areas that hold formulas, as ranges; results of array formulas are left out."""
    found: list[Range] = []
    for area in areas:
        formulas = workbook.sheets[area.sheet].formulas
        places = [place for place in area.positions() if place in formulas and formulas[place].array is None]
        found += [Range(area.sheet, top, left, top + h - 1, left + w - 1) for top, left, h, w in rectangles(places)]
    return tuple(found)


def check_problem(workbook: Workbook, problem: Problem, advice: Advice | None = None) -> None:
    """Refuse a loss that is no formula and parameters that are no numbers, before anything is compiled."""
    for cell in [item.cell for item in problem.targets] or [problem.loss]:
        check_loss(workbook, cell, problem.source)
    _check_calculated(workbook, problem.overwritten)
    check_parameters(without_formulas(workbook, problem.overwritten), problem.parameters, advice)


def without_formulas(workbook: Workbook, areas: Sequence[Range]) -> Workbook:
    """A workbook in which these cells hold the values of their formulas."""
    sheets = dict(workbook.sheets)
    for area in areas:
        gone = set(area.positions())
        kept = {place: formula for place, formula in sheets[area.sheet].formulas.items() if place not in gone}
        sheets[area.sheet] = replace(sheets[area.sheet], formulas=kept)
    return replace(workbook, sheets=sheets) if areas else workbook


def _check_calculated(workbook: Workbook, areas: Sequence[Range]) -> None:
    """Refuse formulas that are to be replaced by their values and have none."""
    for area in areas:
        for cell in area.cells():
            if not workbook.has_results(Range.of_cell(cell)):
                raise ProblemError(
                    "this formula is to be replaced by a number, and it was never calculated",
                    cell=cell,
                    remedy="Calculate the workbook in a spreadsheet and save it",
                )


def check_loss(workbook: Workbook, loss: Cell, source: str = "") -> None:
    """Refuse a loss that is no formula."""
    home = workbook.sheets[loss.sheet]
    if (loss.row, loss.column) not in home.formulas and not any(
        array.contains(Range.of_cell(loss)) for array in _arrays(home)
    ):
        if source == SOLVER:
            raise ProblemError(
                f"Solver's objective holds no formula, but {_held(home.values.get(loss[1:]))}",
                cell=loss,
                remedy="Set the objective in Solver to the cell that calculates it",
            )
        raise ProblemError(
            "the loss cell holds no formula",
            cell=loss,
            remedy="Point the loss to the cell that calculates it",
        )


def _held(value: Value | None) -> str:
    if value is None:
        return "nothing"
    if isinstance(value, bool):
        return str(value).upper()
    return f"the number {value:g}" if isinstance(value, float) else quoted(str(value))


def check_parameters(workbook: Workbook, parameters: Sequence[Range], advice: Advice | None = None) -> None:
    """Refuse parameters that are no numbers, or that nobody can type a number into."""
    arrays = {area.sheet: _arrays(workbook.sheets[area.sheet]) for area in parameters}
    for area in parameters:
        sheet = workbook.sheets[area.sheet]
        for cell in area.cells():
            if cell[1:] in sheet.formulas:
                raise _formula_as_parameter(workbook, parameters, cell, advice)
            _check_parameter(sheet, cell)
        _check_place(sheet, area, arrays[area.sheet])


def refuse_protected(workbook: Workbook, problem: Problem) -> None:
    """Refuse parameters that the workbook's author has locked, before anything is written."""
    for area in problem.parameters:
        if workbook.sheets[area.sheet].protected:
            raise ProblemError(
                f"sheet {area.sheet} is protected, and its parameters are to be changed",
                cell=area,
                remedy="Unprotect the sheet (in Excel: Review, Unprotect Sheet) and save the workbook",
            )


def refuse_unsupported(problem: Problem, unused: Sequence[Range] = ()) -> None:
    """Refuse constraints that cannot be kept or cannot be read, before anything is trained.

    `unused` are variables that are no parameters any more, because nothing depends on them.
    """
    refuse_constraints(problem.constraints, (*problem.parameters, *unused))


def explicit_lower_bounds(problem: Problem) -> list[Range]:
    """The cells that have a lower bound of their own, so that Solver's general one of 0 leaves them alone."""
    return [
        constraint.left
        for constraint in problem.constraints
        if constraint.relation in (Relation.AT_LEAST, Relation.EQUAL, Relation.BINARY, Relation.ALL_DIFFERENT)
    ]


def clipped_by_solver_neg(problem: Problem, workbook: Workbook) -> list[Cell]:
    """The parameters that start below 0 and that Solver's general lower bound of 0 moves there."""
    if not problem.non_negative:
        return []
    bounded = explicit_lower_bounds(problem)
    found = []
    for area in problem.parameters:
        values = workbook.sheets[area.sheet].values
        for cell in area.cells():
            value = values.get((cell.row, cell.column))
            if isinstance(value, float) and value < 0 and not any(b.contains(Range.of_cell(cell)) for b in bounded):
                found.append(cell)
    return found


def _arrays(sheet: Sheet) -> list[Range]:
    """The cells that array formulas fill."""
    return [Range(sheet.name, *formula.array) for formula in sheet.formulas.values() if formula.array is not None]


def _check_place(sheet: Sheet, area: Range, arrays: Sequence[Range]) -> None:
    """Refuse cells that nobody can type a number into: filled by an array formula, or hidden in a merged cell."""
    for array in arrays:
        shared = array.intersection(area)
        if shared is not None:
            raise ProblemError(
                f"a parameter cell is filled by the array formula in {address(array.top, array.left)}",
                cell=shared.first,
                remedy="Choose a cell that holds a number",
            )
    for merged in sheet.merged:
        shared = merged.intersection(area)
        hidden = next((cell for cell in shared.cells() if cell != merged.first), None) if shared else None
        if hidden is not None:
            raise ProblemError(
                f"a parameter cell is hidden by the merged cells {merged.a1}",
                cell=hidden,
                remedy="Unmerge them, or choose only their upper left cell",
            )


def _formula_as_parameter(
    workbook: Workbook, parameters: Sequence[Range], cell: Cell, advice: Advice | None
) -> ProblemError:
    remedy = "Put a number there, or leave the cell out"
    if advice is not None and advice.overwrite:
        areas = formula_cells(workbook, parameters)
        count = sum(area.size for area in areas)
        listed = ", ".join(area.a1 for area in areas[:_NAMED]) + (", …" if len(areas) > _NAMED else "")
        remedy += advice.overwrite.format(cells=f"{listed} ({count:,} cell{'s' * (count > 1)})") if areas else ""
    return ProblemError("a parameter cell holds a formula", cell=cell, remedy=remedy)


def _check_parameter(sheet: Sheet, cell: Cell) -> None:
    value = sheet.values.get((cell.row, cell.column))
    if isinstance(value, ExcelError):
        raise ProblemError(f"a parameter cell holds the error {value}", cell=cell, remedy="Put a number there")
    if isinstance(value, (str, bool)):
        shown = str(value).upper() if isinstance(value, bool) else value
        raise ProblemError(
            f"a parameter cell holds {quoted(shown)} and not a number", cell=cell, remedy="Put a number there"
        )
