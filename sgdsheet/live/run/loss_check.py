"""Whether the loss in the sheet is what the model has for the parameters there, and if not, which cells differ."""

from __future__ import annotations

import math
from collections.abc import Mapping

from sgdsheet.hosts.base import LiveHost
from sgdsheet.live.run.parameter_cells import is_written
from sgdsheet.live.run.trainable import Trainable, changes
from sgdsheet.sheet.agreement import LEAST, RUNNING, same_number, share_for
from sgdsheet.sheet.references import Cell, Range
from sgdsheet.sheet.workbook import Value

_MOST_FALSE_ALARMS = 2
"""False alarms of a run after which its loss is compared no more: some sheets calculate with RAND, or otherwise than
we do."""


class LossCheck:
    """Compares the loss in the sheet with the model's, while a run writes its parameters there.

    They differ where a person has changed a formula or a number that the loss depends on.
    """

    def __init__(self, precision: str | None) -> None:
        self.step: int | None = None
        """The step whose parameters the sheet holds; None where it may hold others."""
        self._share = share_for(precision, RUNNING)
        self._false_alarms = 0

    def holds(self, shown: Value | None, known: tuple[int, float] | None) -> bool:
        """Whether the loss cell, which shows this value, may be right: False only if it is known to be another.

        `known` is a step, and the model's loss at the parameters of that step.
        """
        if known is None or known[0] != self.step or not math.isfinite(known[1]):
            return True
        if self._false_alarms >= _MOST_FALSE_ALARMS:
            return True
        return isinstance(shown, float) and same_number(shown, known[1], self._share, LEAST)

    def note_false_alarm(self) -> None:
        """Count that the losses differed although nobody has changed the workbook."""
        self._false_alarms += 1


def loss_in_sheet(host: LiveHost, trainable: Trainable) -> Value | None:
    """The value that the loss cell shows now; None if it is empty."""
    cell = trainable.problem.loss
    return host.read_values([Range.of_cell(cell)]).get(cell)


def loss_agrees(host: LiveHost, trainable: Trainable, ours: float) -> bool:
    """Whether the loss cell shows the loss that a run came to; an error there agrees with a loss that is not finite."""
    shown = loss_in_sheet(host, trainable)
    if not isinstance(shown, float) or not math.isfinite(ours):
        return not isinstance(shown, float) and not math.isfinite(ours)
    return same_number(shown, ours, share_for(trainable.settings.precision), LEAST)


def edited_since(trained: Trainable, now: Trainable, written: Mapping[Cell, float]) -> list[Cell] | None:
    """The cells in which the workbook differs from what was trained, and from the parameters that were written last.

    None if it is the same workbook; an empty list if only its names differ.
    """
    values = now.start_values()
    found = [cell for cell, number in written.items() if not is_written(values.get(cell), number)]
    found += changes(trained, now)
    return found if found or not now.shares_model(trained) else None
