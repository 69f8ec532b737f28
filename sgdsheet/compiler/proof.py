"""Proof before training: what the program makes of every cell on the way, beside what the workbook holds.

The workbook's own values are the only independent witness that there is: nothing is trained while they differ from
what the formulas give here, unless a person says that the formulas are right.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from weakref import WeakKeyDictionary

import torch
from torch import Tensor

from sgdsheet.compiler.comparison import Comparison, Mismatch, is_number
from sgdsheet.compiler.model import SheetModel
from sgdsheet.compiler.program import build_program, linked_files, parameter_tensor
from sgdsheet.errors import ProofError, quoted
from sgdsheet.sheet.agreement import ACCUMULATED, NEGLIGIBLE, same_number
from sgdsheet.sheet.references import Cell, Range
from sgdsheet.sheet.workbook import Value, Workbook
from sgdsheet.system.long_work import stage

NEVER_CALCULATED = "the file was never calculated: calculated here"

RECALCULATE = (
    "Recalculate it in a spreadsheet and save it; to train on what the formulas give: --trust-formulas,"
    " or the setting “trust formulas”"
)
"""The remedy where a file's saved values are not those of its formulas."""

_NAMED = 3
"""Cells that a refusal names with both values."""


@dataclass(slots=True)
class Proof:
    """What a comparison before training came to. `mismatches` are the causes, in the order of calculation."""

    cells: int
    compared: int
    uncalculated: list[Cell]
    mismatches: list[Mismatch]
    differing: int
    """Cells with another value, consequences included."""
    never_calculated: bool
    constants: bool
    """Whether a formula that no parameter reaches is among the mismatches."""
    astray: list[Mismatch]
    """Cells for which the program that would be trained has another number than their formulas."""
    unused: tuple[Range, ...] = ()
    """Solver's variables that are left alone."""
    linked: tuple[str, ...] = ()
    """Other workbooks of which saved values were used."""

    @property
    def warnings(self) -> list[str]:
        """Sentences that a person should read although training goes on."""
        found = []
        if self.unused:
            found.append(left_alone(self.unused))
        if self.linked:
            found.append(saved_elsewhere(self.linked))
        if self.never_calculated:
            found.append(NEVER_CALCULATED)
        elif self.uncalculated:
            first, count = self.uncalculated[0], len(self.uncalculated)
            were = "formula on the way was" if count == 1 else "formulas on the way were"
            found.append(f"{count:,} {were} never calculated ({first} first): calculated here")
        if self.mismatches:
            found.append(f"trained on what the formulas give: {self.mismatches[0].cell}: {self.complaint}")
        return found

    @property
    def complaint(self) -> str:
        """How the first cells differ from what their formulas give, and how many more differ, in words."""
        first, *others = self.mismatches
        text = f"saved as {_pair(first)[0]}, but its formula gives {_pair(first)[1]}"
        named = others[: _NAMED - 1]
        if named:
            pairs = ((item.cell, *_pair(item)) for item in named)
            text += "; likewise " + ", ".join(f"{cell} ({saved}, not {ours})" for cell, saved, ours in pairs)
        more = self.differing - 1 - len(named)
        return text + (f"; {more:,} more {'differs' if more == 1 else 'differ'}" if more > 0 else "")

    def refusal(self) -> ProofError:
        """The error for a person."""
        return ProofError(
            f"{self.complaint}. Either the workbook was changed without being recalculated, or sgdsheet calculates"
            " this otherwise",
            cell=self.mismatches[0].cell,
            remedy=RECALCULATE,
        )


def left_alone(unused: Sequence[Range]) -> str:
    """What is said of Solver's variables that nothing depends on."""
    count = sum(area.size for area in unused)
    listed = ", ".join(map(str, unused[:_NAMED])) + (", …" if len(unused) > _NAMED else "")
    if count == 1:
        return f"Solver's variable {listed} is not used by the objective or a constraint: it stays as it is"
    return f"{count:,} of Solver's variables are not used by the objective or a constraint: {listed} stay as they are"


def saved_elsewhere(linked: Sequence[str]) -> str:
    """What is said of values that come from other workbooks."""
    files = ", ".join(linked[:_NAMED]) + (", …" if len(linked) > _NAMED else "")
    return f"values of {files} are used as this workbook saved them; update the links in a spreadsheet if they changed"


_PROOFS: WeakKeyDictionary[SheetModel, tuple[Workbook, Proof]] = WeakKeyDictionary()


def required(model: SheetModel, *, trust: bool = False, workbook: Workbook | None = None) -> Proof:
    """The proof of a model; raises ProofError if cells differ, unless the formulas are to be trusted.

    `workbook` is the workbook as it is now, if that is not what the model was compiled from.
    """
    proof = prove(model, workbook)
    if proof.astray:
        first = proof.astray[0]
        raise ProofError(
            f"its formula gives {_pair(first)[0]}, but the program that would be trained {_pair(first)[1]}:"
            " a defect of sgdsheet",
            cell=first.cell,
            remedy="Write the formula with other functions, and please tell us",
        )
    if proof.mismatches and not (trust or model.trusted):
        raise proof.refusal()
    if proof.constants and not model.workbook.stale:
        raise ProofError(
            f"{proof.complaint}, and the model was compiled with the saved value",
            cell=proof.mismatches[0].cell,
            remedy="Compile it with trust_formulas=True",
        )
    return proof


def prove(model: SheetModel, workbook: Workbook | None = None) -> Proof:
    """Compare every cell on the way from the parameters to the loss and the constraints with the workbook's own."""
    workbook = workbook or model.workbook
    known = _PROOFS.get(model)
    if known is None or known[0] is not workbook:
        with stage("comparing the formulas with the workbook's values"):
            known = _PROOFS[model] = (workbook, _proved(model, workbook))
    return known[1]


def _proved(model: SheetModel, workbook: Workbook) -> Proof:
    problem = model.problem
    targets = [Range.of_cell(problem.loss), *problem.constrained]
    constants = build_program(workbook, [], model.planner.plan_known(targets), dtype=torch.float64)
    found = Comparison(workbook)
    found.run(constants, {})
    fixed = len(found.differences)
    found = _with_dependents(model, targets, found)
    causes = found.causes()
    if not causes and _runs_away(model, found):
        causes = [next(item for _, items in found.differences for item in items if item.cell == problem.loss)]
    cells = {item.cell for _, items in found.differences[:fixed] for item in items}
    return Proof(
        found.cells,
        found.compared,
        list(found.computed),
        causes,
        sum(len(items) for _, items in found.differences),
        found.never_calculated,
        any(item.cell in cells for item in causes),
        found.astray,
        model.unused,
        linked_files(workbook, [*constants.blocks, *model.plan.blocks]),
    )


def _with_dependents(model: SheetModel, targets: list[Range], constants: Comparison) -> Comparison:
    """The comparison, with the cells that depend on a parameter.

    The model's own program will do if it has all of them, and calculates as a spreadsheet does. In float32 it may do,
    too; what then looks wrong is calculated once more in float64.
    """
    problem, workbook = model.problem, constants.workbook
    if len(targets) == 1:
        single = model.dtype != torch.float64
        found = replace(
            constants,
            single=single,
            differences=[*constants.differences],
            computed=dict(constants.computed),
            by_office=[*constants.by_office],
            astray=[*constants.astray],
        )
        found.run(model.lowered, _start(model, workbook, model.dtype))
        if not single or (len(found.differences) == len(constants.differences) and not found.astray):
            return found
    plan = model.planner.plan(targets)
    program = build_program(model.workbook, problem.parameters, plan, dtype=torch.float64)
    constants.run(program, _start(model, workbook, torch.float64))
    return constants


def _start(model: SheetModel, workbook: Workbook, dtype: torch.dtype) -> dict[str, Tensor]:
    """The parameters as a workbook has them, by name."""
    areas = model.problem.parameters
    tensors = (parameter_tensor(workbook.sheets[area.sheet], area, dtype) for area in areas)
    return dict(zip(model.parameter_names, tensors, strict=True))


def _runs_away(model: SheetModel, found: Comparison) -> bool:
    """Whether the loss is far from the saved one although each cell follows from the saved ones."""
    for _, items in found.differences:
        for item in items:
            if item.cell == model.problem.loss:
                if not (is_number(item.saved) and is_number(item.computed)):
                    return True
                near = same_number(item.saved, item.computed, ACCUMULATED)
                return not near and not same_number(item.saved, item.computed, NEGLIGIBLE, found.largest_number)
    return False


def _pair(item: Mismatch) -> tuple[str, str]:
    """The saved and the computed value, with as many digits as it takes to tell them apart."""
    pair = _shown(item.saved, 6), _shown(item.computed, 6)
    return pair if pair[0] != pair[1] else (_shown(item.saved, 17), _shown(item.computed, 17))


def _shown(value: Value, digits: int) -> str:
    if isinstance(value, bool):
        return str(value).upper()
    if isinstance(value, float):
        return f"{value:.{digits}g}"
    return quoted(value) if isinstance(value, str) else str(value)
