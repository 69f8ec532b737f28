"""Commands that look at a model: check, find-lr, gradients."""

from __future__ import annotations

from dataclasses import replace

from sgdsheet.analysis.checking import check_formulas, check_model
from sgdsheet.analysis.diagnosis import diagnose
from sgdsheet.analysis.diagnosis.lr_finder import find_learning_rate
from sgdsheet.data.bound import bind_samples
from sgdsheet.errors import FormulaError, TrainingError
from sgdsheet.live.commands.context import Desk, Options, Reply
from sgdsheet.live.run import messages
from sgdsheet.live.run.own_sheets import GRADIENTS, gradient_sheet, steepest
from sgdsheet.live.run.prepared import put_numbers
from sgdsheet.problem.optimizers import OPTIMIZERS, Family
from sgdsheet.train.session import threads

_MOST_TOLD = 3
_SAMPLES = 2048
"""Of a source, that every step of a search for a learning rate looks at."""
_LONG = 5.0
"""Seconds to wait for a training step to end."""


def check(book: Desk, sheet: str | None) -> Reply:
    """Compare the model with the sheet, cell by cell, and the gradients with differences."""
    book.refuse_while_training("a check")
    prepared = book.prepare(sheet, {"precision": "float64"})  # in single precision, all cells differ a little
    findings: list[str] = []
    with threads(1):
        try:
            model = prepared.model()
        except FormulaError as error:
            report = check_formulas(prepared.workbook, prepared.problem, error)
            if not report.unsupported:
                raise
        else:
            model.workbook = prepared.workbook  # the values to compare with are the present ones
            put_numbers(model, prepared.start_values())
            report = check_model(model)
            findings = [item.message for item in diagnose(model)]
    text = "\n".join([messages.checked(report), *findings[:_MOST_TOLD]])
    book.host.message(text)
    return {
        "message": text,
        "passed": report.passed,
        "details": {
            "compared": report.compared,
            "mismatches": [str(item.cell) for item in report.mismatches[:100]],
            "unsupported": [str(item.error) for item in report.unsupported[:100]],
            "largest_difference": report.largest_difference,
            "gradient_max_error": report.gradient_max_error,
            "gradients_checked": report.gradient_checked,
            "dead_parameters": [str(cell) for cell in report.dead_parameters[:100]],
            "loss_saved": report.loss_saved,
            "loss_computed": report.loss_computed if report.fault is None else None,
            "findings": findings,
        },
    }


def find_rate(book: Desk, sheet: str | None, options: Options) -> Reply:
    """Suggest a learning rate, and write it beside the setting if the sheet has one."""
    book.refuse_while_training("the search for a learning rate")
    prepared = book.prepare(sheet, options)
    row = OPTIMIZERS.get(prepared.settings.optimizer)
    optimizer = row.name if row is not None and row.family is Family.GRADIENT and not row.accumulates else "sgd"
    model = prepared.proven()
    momentum = prepared.settings.momentum if row is not None else None
    bound = bind_samples(model, replace(prepared.settings, device="cpu"))
    if bound is not None:  # steps by hand may have been on another device
        book.stepper = None
    with threads(1):
        some = bound.some(_SAMPLES) if bound is not None else None
        found = find_learning_rate(model, optimizer, momentum=momentum, loss=some)
    text = f"learning rate {found.suggestion:g} for {found.optimizer}"
    cell = prepared.setting_cell("learning rate")
    if cell is not None:
        book.write("find-lr", prepared, {cell: found.suggestion})
        text += f", written to {cell}"
    if optimizer != prepared.settings.optimizer:
        text += f" (set the optimizer to {optimizer} to use it)"
    book.host.message(text)
    return {"message": text, "suggestion": found.suggestion, "optimizer": found.optimizer}


def show_gradients(book: Desk, sheet: str | None, options: Options) -> Reply:
    """Write the gradients of the loss to a sheet of their own, as a heat map."""
    if book.run is not None:
        run = book.run.run
        prepared = book.run.prepared
        gradients = run.between_steps(lambda: run.model().gradients(), _LONG)
        if gradients is None:
            raise TrainingError("the training does not pause for the gradients", remedy="Stop the training first")
    else:
        prepared = book.prepare(sheet, options)
        model = prepared.proven()
        with threads(1):
            gradients = model.gradients()
    areas, loss = prepared.problem.parameters, prepared.problem.loss
    if set(gradients) != {cell for area in areas for cell in area.cells()}:
        raise TrainingError("the model has just changed", remedy="Ask for the gradients again")
    book.host.put_sheet(gradient_sheet(areas, gradients, loss))
    text = f"the gradients are on the sheet “{GRADIENTS}”, {steepest(gradients)}"
    if book.run is None:
        book.host.status(text)
    return {"message": text}
