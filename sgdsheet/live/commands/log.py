"""The command log: whether training writes the sheet `SGD log`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sgdsheet.live.commands.declaration import Button, Command, Group, When

if TYPE_CHECKING:
    from sgdsheet.live.run.live_book import LiveBook, Options, Reply


def log(book: LiveBook, _sheet: str | None, options: Options) -> Reply:
    """Switch the log as the option `on` says; without it, to the other of the two. Also of a run that is going on.

    Where none is going on, the log that is switched on is that of the last run.
    """
    book.logging, front = bool(options.get("on", not book.logging)), bool(options.get("front"))
    if book.run is not None:
        book.run.write_log(book.logging, front=front)
    elif book.logging and front and book.show_last_log():
        return book.tell_idle("the sheet “SGD log” has the last training, and is written while training from now on")
    return book.tell_idle("the sheet “SGD log” is written " + ("while training" if book.logging else "no more"))


COMMAND = Command(
    "log",
    log,
    Button(
        group=Group.LEARN,
        place=30,
        label="Log",
        tip="while training, a sheet with the loss of each step and a chart; a second click ends it",
        title="Log the training",
        help="Switches the log on or off: a sheet with the loss after each step, and a chart of it.",
        image="ChartTypeLineInsertGallery",
        drawing=(
            '<path d="M4 3v17h17" stroke="#555"/>',
            '<path d="M7 6c2 8 6 10 13 11" stroke="#1e66b8"/>',
        ),
        key="O",
        when=When.ALWAYS,
    ),
    shows=True,
)
