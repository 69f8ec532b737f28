"""Training step by step: a run that goes on with every click, so that momentum and the like are kept."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from time import monotonic
from typing import Any

from sgdsheet.hosts.base import LiveHost
from sgdsheet.live.run.trainable import Numbers, Trainable
from sgdsheet.problem.settings import Settings, combine
from sgdsheet.sheet.agreement import LEAST, same_number
from sgdsheet.sheet.references import Range
from sgdsheet.train.run import Step
from sgdsheet.train.session import Session

_FRESH = 10.0
"""Seconds since the last click in which nobody can have redefined a name: a few cells then tell whether anything has
changed, and the whole workbook need not be read."""


@dataclass(slots=True)
class ManualRun:
    """A training session between two clicks.

    `written` are the parameters that the last click wrote, `loss` is what the loss cell then showed, and `clicked_at`
    the time (of `monotonic`).
    """

    trainable: Trainable
    settings: Settings
    session: Session
    steps: Iterator[Step]
    written: Numbers
    loss: float = math.nan
    clicked_at: float = -math.inf

    def fits(self, trainable: Trainable) -> bool:
        """Whether the workbook, as it was read just now, is as the last click left it."""
        same = trainable.shares_model(self.trainable) and trainable.settings == self.settings
        return same and trainable.start_values() == self.written

    def fits_at_a_glance(self, host: LiveHost, sheet: str | None, options: Mapping[str, Any]) -> bool:
        """Whether parameters, loss and settings are as the last click left them, and that was only just now.

        Reads these cells only, where `fits` needs the whole workbook, which takes long to read.
        """
        problem = self.trainable.problem
        if monotonic() - self.clicked_at > _FRESH or combine(problem.settings, options) != self.settings:
            return False
        if sheet is None:
            selected = host.selection()
            sheet = selected[0].sheet if selected else None
        settings = [Range.of_cell(row.cell) for row in problem.settings]
        found = host.read_values([*problem.parameters, Range.of_cell(problem.loss), *settings])
        loss = found.get(problem.loss)
        return (
            sheet == problem.sheet
            and all(found.get(cell) == value for cell, value in self.written.items())
            and isinstance(loss, float)
            and same_number(loss, self.loss, least=LEAST)
            and all(found.get(row.cell) == row.value for row in problem.settings)
        )


def start_manual_run(trainable: Trainable) -> ManualRun:
    """A run that starts with the parameters that are in the sheet. Raises ProofError as `Trainable.proven` does."""
    session = Session(trainable.proven(), trainable.settings, workbook=trainable.workbook)
    return ManualRun(trainable, trainable.settings, session, iter(session), {})
