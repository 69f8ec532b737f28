"""The command gradient-values: the gradient of the loss, for whoever shows it beside the cells. It has no button."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sgdsheet.errors import TrainingError
from sgdsheet.live.commands.declaration import Command

if TYPE_CHECKING:
    from sgdsheet.live.run.live_book import LiveBook, Options, Reply

_LONG = 2.0
"""Seconds to wait for a training step to end."""


def gradient_values(book: LiveBook, sheet: str | None, options: Options) -> Reply:
    """The gradient for each parameter cell, at the present parameters; also of a run that is going on."""
    from sgdsheet.train.session import threads

    if book.run is not None:
        run, name = book.run.run, book.run.trainable.problem.sheet
        found = run.between_steps(lambda: run.model().gradients(), _LONG)
        if found is None:
            raise TrainingError("the training does not pause for the gradients", remedy="Stop the training first")
    else:
        trainable = book.read_trainable(sheet, options)
        model, name = trainable.proven(), trainable.problem.sheet
        with threads(1):
            found = model.gradients()
    return {"sheet": name, "gradients": [[*cell, gradient] for cell, gradient in found.items()]}


COMMAND = Command("gradient-values", gradient_values)
