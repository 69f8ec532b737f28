"""The command undo: what cells held before the last command that wrote to them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sgdsheet.errors import HostError
from sgdsheet.live.commands.declaration import Button, Command, Group

if TYPE_CHECKING:
    from sgdsheet.live.run.live_book import LiveBook, Options, Reply


def undo(book: LiveBook, _sheet: str | None, _options: Options) -> Reply:
    """Write back the newest level of the history. Ends a run first, and then shows no other parameters before these."""
    from sgdsheet.live.undo.tracking import refuse_lost

    book.finish()
    if not book.history.levels:
        raise HostError("there is nothing to undo", remedy="Only what sgdsheet wrote can be undone here")
    workbook = book.read_noted()
    level = book.history.levels[-1]
    refuse_lost(book.history, workbook, level.before, "undo")
    book.restore(level.before, undo=True)
    return book.tell_idle(f"undone: {level.label}")


COMMAND = Command(
    "undo",
    undo,
    Button(
        group=Group.TRAIN,
        place=40,
        label="Undo",
        tip="takes back the last thing that changed the parameters",
        title="Undo the last training",
        help=("Brings back the parameters from before the last step or training. Excel's own undo does not know them."),
        image="Undo",
        drawing=(
            '<path d="M8 4L3 9l5 5" stroke="#1e66b8"/>',
            '<path d="M3 9h11a6 6 0 0 1 0 11H8" stroke="#1e66b8"/>',
        ),
        key="U",
    ),
    writes=True,
)
