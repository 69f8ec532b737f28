"""A sheet's model as it was read from an open workbook, and how it differs from an earlier reading."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from threading import Lock
from typing import Any

import torch

from sgdsheet.compiler.model import SheetModel, compile
from sgdsheet.compiler.proof import RECALCULATE, required
from sgdsheet.errors import ProblemError, ProofError
from sgdsheet.live.run.messages import ALL_OF_IT
from sgdsheet.live.run.report_sheets import REPORT_SHEETS
from sgdsheet.problem.definition import (
    SPREADSHEET,
    Problem,
    find_problem,
    refuse_protected,
    refuse_unsupported,
)
from sgdsheet.problem.optimizers import normalised
from sgdsheet.problem.settings import Settings, combine
from sgdsheet.sheet.formula import relative_key
from sgdsheet.sheet.references import Cell, Range
from sgdsheet.sheet.workbook import DefinedName, Formula, Sheet, Value, Workbook
from sgdsheet.system.long_work import stage

Numbers = dict[Cell, float]


@dataclass(slots=True)
class Trainable:
    """The model of a sheet that can be trained: a workbook, the problem in it and its settings.

    It is compiled when it is first needed, once for each precision. Readings of one workbook with the same model share
    what is compiled.
    """

    workbook: Workbook
    problem: Problem
    settings: Settings
    _models: dict[tuple[str | None, bool], SheetModel] = field(default_factory=dict)
    _compiling: Lock = field(default_factory=Lock, compare=False)

    def model(self) -> SheetModel:
        """The compiled model. Its parameters are whatever they were last set to. Raises FormulaError."""
        precision, trust = self.settings.precision, self.settings.trust_formulas
        with self._compiling:  # two threads ask for it, and it has to be the same for both
            if (precision, trust) not in self._models:
                count = sum(len(sheet.formulas) for sheet in self.workbook.sheets.values())
                with stage(f"compiling {count:,} formulas"):
                    self._models[precision, trust] = compile(
                        self.workbook, problem=self.problem, precision=precision, trust_formulas=trust
                    )
            return self._models[precision, trust]

    def proven(self) -> SheetModel:
        """The compiled model, at the parameters that are in the sheet, after a comparison of every cell on the way.

        Raises ProofError if the sheet shows other values than its formulas give.
        """
        model = self.model()
        required(model, trust=self.settings.trust_formulas, workbook=self.workbook)
        put_numbers(model, self.start_values())
        return model

    def shares_model(self, other: Trainable) -> bool:
        """Whether the other reading has the same model, so that nothing has to be compiled again."""
        return self._models is other._models

    def start_values(self) -> Numbers:
        """The parameters as the workbook has them; empty cells count as 0."""
        return numbers(self.problem, self.workbook)

    def present_numbers(self) -> Numbers:
        """The parameters as the compiled model has them."""
        cells = (cell for area in self.problem.parameters for cell in area.cells())
        return dict(zip(cells, latest_numbers(self.model()), strict=True))

    def update(self, values: Mapping[Cell, Value]) -> None:
        """Put values that were written to the open workbook into this reading of it."""
        for cell, value in values.items():
            self.workbook.sheets[cell.sheet].values[cell.row, cell.column] = value

    def holds(self, cell: Cell, value: Value) -> bool:
        """Whether a cell holds exactly this value, as a constant: neither a formula nor part of an array formula."""
        sheet = self.workbook.sheets[cell.sheet]
        if sheet.values.get(cell[1:]) != value or cell[1:] in sheet.formulas:
            return False
        return not any(area.contains(Range.of_cell(cell)) for area in _arrays(sheet))

    def setting_cell(self, name: str) -> Cell | None:
        """The cell that holds a setting; None if the sheet does not have it."""
        wanted = normalised(name)
        return next((row.cell for row in self.problem.settings if normalised(row.name) == wanted), None)


def find_trainable(
    workbook: Workbook,
    sheet: str | None,
    options: Mapping[str, Any],
    known: Iterable[Trainable] = (),
    *,
    with_formulas: bool = False,
) -> Trainable:
    """Find and check the model of a sheet (None: the only one that has a model), with the settings of a request.

    With `with_formulas`, parameter cells may hold formulas where the setting says that numbers may replace them.

    If one of the readings `known` from before has the same model, what was compiled for it is used again. Raises
    SgdSheetError if the sheet cannot be trained.
    """
    overwrite = (options.get("overwrite_formulas") or None) if with_formulas else False
    problem = find_problem(workbook, sheet, advice=SPREADSHEET, overwrite_formulas=overwrite)
    refuse_protected(workbook, problem)
    refuse_unsupported(problem)
    if problem.targets:
        raise ProblemError(
            "several cells are to reach values on this sheet (sgd_targets), and there is no loss to be trained",
            cell=problem.loss,
            remedy="Press Goal seek",
        )
    settings = combine(problem.settings, options)
    fresh = Trainable(workbook, problem, settings)
    for other in known:
        if same_model(other, fresh):
            fresh._models, fresh._compiling = other._models, other._compiling
    return fresh


def same_model(one: Trainable, two: Trainable) -> bool:
    """Whether two readings of a workbook mean the same model, the parameters' values aside.

    The values of formulas are not compared: they follow from the rest, or come from RAND and the like.
    """
    if replace(one.problem, settings=()) != replace(two.problem, settings=()):
        return False
    ignored = _parameters_and_settings(one, two)
    first, second = one.workbook, two.workbook
    names = [name for name in first.sheets if name not in REPORT_SHEETS]
    return (
        names == [name for name in second.sheets if name not in REPORT_SHEETS]
        and names_of(first) == names_of(second)
        and first.tables == second.tables
        and all(_same_sheet(first.sheets[name], second.sheets[name], ignored) for name in names)
    )


def for_spreadsheet(error: ProofError) -> ProofError:
    """The error with what a person does about it whose workbook is open, rather than a file."""
    if error.remedy != RECALCULATE:
        return error
    trust = "to train on what the formulas give: the setting “trust formulas”, in attach --trust-formulas"
    return ProofError(error.cause, cell=error.cell, remedy=f"Recalculate {ALL_OF_IT} and try again; {trust}")


def names_of(workbook: Workbook) -> list[DefinedName]:
    """The defined names, without those that mark our own sheets."""
    return [item for item in workbook.names if item.sheet not in REPORT_SHEETS]


def changes(one: Trainable, two: Trainable) -> list[Cell]:
    """The cells in which two readings of a workbook have other data or formulas, without parameters and settings."""
    ignored = _parameters_and_settings(one, two)
    own = {name: sheet for name, sheet in two.workbook.sheets.items() if name not in REPORT_SHEETS}
    found = [
        cell
        for name, sheet in own.items()
        for cell in _differences(one.workbook.sheets.get(name, Sheet(name)), sheet, ignored)
    ]
    return sorted(found)


def _parameters_and_settings(*readings: Trainable) -> set[Cell]:
    """The cells whose values may change without another model: parameters and settings."""
    found = {cell for item in readings for area in item.problem.parameters for cell in area.cells()}
    return found | {row.cell for item in readings for row in item.problem.settings}


def _same_sheet(one: Sheet, two: Sheet, ignored: set[Cell]) -> bool:
    return one.merged == two.merged and next(_differences(one, two, ignored), None) is None


def _differences(one: Sheet, two: Sheet, ignored: set[Cell]) -> Iterator[Cell]:
    """The cells that hold another formula or another constant."""
    if one.formulas != two.formulas:
        same = _FormulaComparison()
        for position in one.formulas.keys() | two.formulas.keys():
            if not same(one.formulas.get(position), two.formulas.get(position)):
                yield Cell(one.name, *position)
    if one.values == two.values:
        return
    first, second = one.values.get, two.values.get
    positions = [position for position, value in two.values.items() if first(position) != value]
    positions += [position for position in one.values if second(position) is None]
    arrays = _arrays(one)
    for position in positions:
        if position in one.formulas or position in two.formulas:
            continue
        cell = Cell(one.name, *position)
        if cell not in ignored and not any(area.contains(Range.of_cell(cell)) for area in arrays):
            yield cell


class _FormulaComparison:
    """Whether two formulas of one cell are the same, also if each is shared with other cells."""

    def __init__(self) -> None:
        self._keys: dict[int, str] = {}

    def __call__(self, one: Formula | None, two: Formula | None) -> bool:
        if one is None or two is None or one == two:
            return one is two or one == two
        return one.array is None and two.array is None and self._key(one) == self._key(two)

    def _key(self, formula: Formula) -> str:
        found = self._keys.get(id(formula))
        if found is None:
            found = self._keys[id(formula)] = relative_key(formula.text, formula.row, formula.column)
        return found


def _arrays(sheet: Sheet) -> list[Range]:
    """The cells that array formulas fill."""
    return [Range(sheet.name, *item.array) for item in sheet.formulas.values() if item.array is not None]


def numbers(problem: Problem, workbook: Workbook) -> Numbers:
    """The values of a problem's parameters; empty cells count as 0."""
    found: Numbers = {}
    for area in problem.parameters:
        values = workbook.sheets[area.sheet].values
        for cell in area.cells():
            value = values.get(cell[1:])
            found[cell] = value if isinstance(value, float) else 0.0
    return found


def put_numbers(model: SheetModel, values: Mapping[Cell, float]) -> None:
    """Give the model's parameters these values."""
    with torch.no_grad():
        for area, tensor in model.ranges():
            new = [values[cell] for cell in area.cells()]
            tensor.copy_(torch.tensor(new, dtype=torch.float64).to(tensor.dtype).reshape(tensor.shape))


def latest_numbers(model: SheetModel) -> list[float]:
    """The parameters one after the other, in the order of the areas and their cells."""
    return [number for _, tensor in model.ranges() for number in tensor.detach().flatten().tolist()]
