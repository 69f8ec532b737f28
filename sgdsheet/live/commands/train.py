"""The command train: many steps in the background."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sgdsheet.errors import TrainingError
from sgdsheet.live.commands.declaration import Button, Command, Group

if TYPE_CHECKING:
    from sgdsheet.live.run.live_book import LiveBook, Options, Reply


def train(book: LiveBook, sheet: str | None, options: Options) -> Reply:
    """Start a run, or go on with one that is paused."""
    if book.run is not None:
        if not book.run.run.paused:
            raise TrainingError("this workbook is being trained already", remedy="Stop it first")
        book.run.pause(False)
        return {"message": "training goes on"}
    options = dict(options)
    logged = bool(options.pop("log", book.logging))
    trainable = book.read_to_change(sheet, options)
    book.start(trainable, options, logged=logged)
    return {"message": f"training {trainable.problem.sheet}", "replaced": [str(area) for area in book.replaced]}


COMMAND = Command(
    "train",
    train,
    Button(
        group=Group.TRAIN,
        place=20,
        label="Train",
        tip="many steps, with the sheet showing how it goes; Stop ends it",
        title="Train",
        help="Takes many steps in the background. The sheet follows a few times a second, and you can go on working.",
        image="MacroPlay",
        drawing=(
            '<path d="M4 5l8 7-8 7z" fill="#2e8b57" stroke="#2e8b57"/>',
            '<path d="M13 5l8 7-8 7z" fill="#2e8b57" stroke="#2e8b57"/>',
        ),
        key="T",
        large=True,
    ),
    writes=True,
)
