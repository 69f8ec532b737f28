"""The command report: a sheet to print, with the answer, the sensitivity and the fit."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from sgdsheet.live.commands.declaration import Button, Command, Group

if TYPE_CHECKING:
    from sgdsheet.live.run.live_book import LiveBook, Options, Reply

_TRAINED = ("train", "step")
"""Labels of the levels of Undo that hold the values before a training."""


def report(book: LiveBook, sheet: str | None, options: Options) -> Reply:
    """Write the report on the values that are in the sheet; those before the last training stand beside them."""
    from datetime import datetime

    from sgdsheet.analysis.reporting.fitted_model import fitted_model
    from sgdsheet.analysis.reporting.solution_report import report_page, with_start
    from sgdsheet.live.run.report_sheets import REPORT, report_sheet
    from sgdsheet.train.session import Session, threads

    options = dict(options)
    front = bool(options.pop("front", False))
    book.refuse_while_training("a report")
    trainable = book.read_trainable(sheet, options)
    level = next((item for item in reversed(book.history.levels) if item.label in _TRAINED), None)
    with threads(1, solving=True):
        session = Session(trainable.proven(), trainable.settings, workbook=trainable.workbook)
        solution = with_start(session.solution(), level.before if level is not None else {})
        fitted = fitted_model(solution)
        page = report_page(solution, fitted, datetime.now())
    book.host.put_sheet(replace(report_sheet(page), front=front))
    return book.tell_idle(f"the report is on the sheet “{REPORT}”")


COMMAND = Command(
    "report",
    report,
    Button(
        group=Group.LEARN,
        place=40,
        label="Report",
        tip="a sheet to print: the answer, what it depends on, and how sure the estimates are",
        title="Report on the result",
        help=(
            "Writes a sheet to print: variables before and after, constraints with their slack, shadow prices or"
            " multipliers, and for a fit the standard errors, intervals and R²."
        ),
        image="AcceptTask",
        drawing=(
            '<path d="M5 2h10l5 5v15H5z" stroke="#555"/>',
            '<path d="M9 17v-4M13 17V9M17 17v-6" stroke="#1e66b8"/>',
        ),
        key="I",
    ),
    shows=True,
)
