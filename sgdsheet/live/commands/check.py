"""The command check: the model against the sheet."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sgdsheet.errors import FormulaError
from sgdsheet.live.commands.declaration import Button, Command, Group

if TYPE_CHECKING:
    from sgdsheet.live.run.live_book import LiveBook, Options, Reply

_MOST_TOLD = 3


def check(book: LiveBook, sheet: str | None, _options: Options) -> Reply:
    """Compare the model with the sheet, cell by cell, and the gradients with central differences."""
    from sgdsheet.analysis.checking import check_formulas, check_model
    from sgdsheet.analysis.diagnosis import diagnose
    from sgdsheet.hosts.base import Tone
    from sgdsheet.live.run import messages
    from sgdsheet.live.run.trainable import put_numbers
    from sgdsheet.train.session import threads

    book.refuse_while_training("a check")
    trainable = book.read_trainable(sheet, {"precision": "float64"})  # in single precision, all cells differ a little
    findings: list[str] = []
    with threads(1):
        try:
            model = trainable.model()
        except FormulaError as error:
            report = check_formulas(trainable.workbook, trainable.problem, error)
            if not report.unsupported:
                raise
        else:
            model.workbook = trainable.workbook  # the values to compare with are the present ones
            put_numbers(model, trainable.start_values())
            report = check_model(model)
            findings = [item.message for item in diagnose(model)]
    text = "\n".join([messages.checked(report), *findings[:_MOST_TOLD]])
    book.host.message(text, Tone.INFO if report.passed else Tone.WARNING)
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


COMMAND = Command(
    "check",
    check,
    Button(
        group=Group.MODEL,
        place=50,
        label="Check",
        tip="compares values and gradients with the sheet, and finds what hinders training",
        title="Check the model",
        help=(
            "Compares the values that sgdsheet calculates with those of the sheet, and each gradient with small"
            " changes of the cells, and says what would hinder training."
        ),
        image="ErrorChecking",
        drawing=('<path d="M4 13l5 6L20 5" stroke="#2e8b57" stroke-width="3"/>',),
        key="C",
        large=True,
    ),
)
