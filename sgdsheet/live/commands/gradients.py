"""The command gradients: a sheet with the gradient of the loss."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from sgdsheet.errors import TrainingError
from sgdsheet.live.commands.declaration import Button, Command, Group

if TYPE_CHECKING:
    from sgdsheet.live.run.live_book import LiveBook, Options, Reply

_LONG = 5.0
"""Seconds to wait for a training step to end."""


def gradients(book: LiveBook, sheet: str | None, options: Options) -> Reply:
    """Write the gradients of the loss to a sheet of their own, as a heat map; also of a run that is going on."""
    from sgdsheet.live.run.report_sheets import GRADIENTS, gradient_sheet, steepest
    from sgdsheet.train.session import threads

    options = dict(options)
    front = bool(options.pop("front", False))
    if book.run is not None:
        run = book.run.run
        trainable = book.run.trainable
        found = run.between_steps(lambda: run.model().gradients(), _LONG)
        if found is None:
            raise TrainingError("the training does not pause for the gradients", remedy="Stop the training first")
    else:
        trainable = book.read_trainable(sheet, options)
        model = trainable.proven()
        with threads(1):
            found = model.gradients()
    areas, loss = trainable.problem.parameters, trainable.problem.loss
    if set(found) != {cell for area in areas for cell in area.cells()}:
        raise TrainingError("the model has just changed", remedy="Ask for the gradients again")
    book.host.put_sheet(replace(gradient_sheet(areas, found, loss), front=front))
    return book.tell_idle(f"the gradients are on the sheet “{GRADIENTS}”, {steepest(found)}")


COMMAND = Command(
    "gradients",
    gradients,
    Button(
        group=Group.LEARN,
        place=20,
        label="Gradients",
        tip="a sheet with the gradient of the loss for each parameter",
        title="Show the gradients",
        help=(
            "Writes the gradient of the loss, a number for each parameter, to a sheet of its own, coloured: how much"
            " the loss changes when the parameter does."
        ),
        image="ConditionalFormattingColorScalesGallery",
        drawing=(
            '<path d="M3 4c2 10 8 16 18 16" stroke="#555"/>',
            '<path d="M6 6l8 10M14 16l.5-5M14 16l-5-1" stroke="#c0392b"/>',
        ),
        key="G",
    ),
    shows=True,
)
