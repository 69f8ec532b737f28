"""The command stop: the end of a run."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sgdsheet.live.commands.declaration import Button, Command, Group, When

if TYPE_CHECKING:
    from sgdsheet.live.run.live_book import LiveBook, Options, Reply


def stop(book: LiveBook, _sheet: str | None, _options: Options) -> Reply:
    """End the run, with the best parameters in the sheet."""
    if book.run is None:
        return {"message": book.status.message or "nothing is being trained"}
    book.finish()
    return {"message": book.status.message, "step": book.status.step, "loss": book.status.loss}


COMMAND = Command(
    "stop",
    stop,
    Button(
        group=Group.TRAIN,
        place=30,
        label="Stop",
        tip="ends training and keeps the parameters",
        title="Stop training",
        help="Ends training and keeps the best parameters found so far. Undo brings the earlier ones back.",
        image="MacroRecorderStop",
        drawing=('<rect x="5" y="5" width="14" height="14" rx="1" fill="#c0392b" stroke="#c0392b"/>',),
        key="X",
        large=True,
        when=When.TRAINING,
    ),
)
