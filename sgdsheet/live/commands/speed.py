"""The command speed: how fast a run goes, from slow motion to as fast as it can. It has no button."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sgdsheet.errors import TrainingError
from sgdsheet.live.commands.declaration import Command

if TYPE_CHECKING:
    from sgdsheet.live.run.live_book import LiveBook, Options, Reply


def speed(book: LiveBook, _sheet: str | None, options: Options) -> Reply:
    """Take so many steps a second as the option `steps_per_second` says; None or nothing: as many as there can be."""
    from sgdsheet.problem.settings import combine

    wanted = combine([], {"steps_per_second": options.get("steps_per_second")}).steps_per_second
    if book.run is None:
        raise TrainingError("nothing is being trained", remedy="Press Train")
    book.run.run.hold_speed(wanted)
    return {"message": "as fast as it can" if wanted is None else f"{wanted:g} steps a second"}


COMMAND = Command("speed", speed)
