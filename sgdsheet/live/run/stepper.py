"""A run by hand: it goes on with every click, so that momentum and the like are kept."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from time import monotonic
from typing import Any

from sgdsheet.hosts.base import LiveHost
from sgdsheet.live.run.prepared import Numbers, Prepared
from sgdsheet.problem.settings import Settings, combine
from sgdsheet.sheet.agreement import LEAST, same_number
from sgdsheet.sheet.references import Range
from sgdsheet.train.run import Step
from sgdsheet.train.session import Session

_FRESH = 10.0
"""Seconds in which nobody redefines a name and clicks again: until then, a few cells tell whether all is as it was."""


@dataclass(slots=True)
class Stepper:
    """A session between two clicks: what the last one left in the cells, and when."""

    prepared: Prepared
    settings: Settings
    session: Session
    steps: Iterator[Step]
    left: Numbers
    loss: float = math.nan
    when: float = -math.inf

    def fits(self, prepared: Prepared) -> bool:
        """Whether nobody has changed anything since the last click."""
        same = prepared.shares_model(self.prepared) and prepared.settings == self.settings
        return same and prepared.start_values() == self.left

    def fits_still(self, host: LiveHost, sheet: str | None, options: Mapping[str, Any]) -> bool:
        """The same, from the parameters, the loss and the settings alone: a whole workbook takes long to read."""
        problem = self.prepared.problem
        if monotonic() - self.when > _FRESH or combine(problem.settings, options) != self.settings:
            return False
        if sheet is None:
            selected = host.selection()
            sheet = selected[0].sheet if selected else None
        settings = [Range.of_cell(row.cell) for row in problem.settings]
        found = host.read_values([*problem.parameters, Range.of_cell(problem.loss), *settings])
        loss = found.get(problem.loss)
        return (
            sheet == problem.sheet
            and all(found.get(cell) == value for cell, value in self.left.items())
            and isinstance(loss, float)
            and same_number(loss, self.loss, least=LEAST)
            and all(found.get(row.cell) == row.value for row in problem.settings)
        )


def start_stepper(prepared: Prepared) -> Stepper:
    """A run from the values that are in the sheet."""
    session = Session(prepared.proven(), prepared.settings, workbook=prepared.workbook)
    return Stepper(prepared, prepared.settings, session, iter(session), {})
