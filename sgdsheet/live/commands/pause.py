"""The command pause: a run waits, or goes on. It has no button."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sgdsheet.errors import TrainingError
from sgdsheet.live.commands.declaration import Command

if TYPE_CHECKING:
    from sgdsheet.live.run.live_book import LiveBook, Options, Reply


def pause(book: LiveBook, _sheet: str | None, options: Options) -> Reply:
    """Wait or go on, as the option `on` says; without it, the other of the two."""
    if book.run is None:
        raise TrainingError("nothing is being trained", remedy="Press Train")
    on = bool(options.get("on", not book.run.run.paused))
    book.run.pause(on)
    return {"message": f"paused at step {book.status.step:,}" if on else "training goes on"}


COMMAND = Command("pause", pause)
