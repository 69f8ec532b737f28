"""The command goal-seek: cells reach the values that are wanted of them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sgdsheet.live.commands.declaration import Button, Command, Group, Needs

if TYPE_CHECKING:
    from sgdsheet.live.run.live_book import LiveBook, Options, Reply


def goal_seek(book: LiveBook, sheet: str | None, options: Options) -> Reply:
    """Change cells so that others reach the values that stand beside them."""
    from sgdsheet.live.run.goal_seeking import seek_goal

    return seek_goal(book, sheet, options)


COMMAND = Command(
    "goal-seek",
    goal_seek,
    Button(
        group=Group.TRAIN,
        place=70,
        label="Goal seek",
        tip="calculated cells reach the values to their right, by changing other cells",
        title="Goal seek",
        help=(
            "Select a calculated cell together with the wanted value to its right, then hold Ctrl and select the cells"
            " that may change, and press this. Several rows are solved at once. Nothing has to be named."
        ),
        image="AddToFavorites",
        drawing=(
            '<path d="M5 21V4" stroke="#555555"/>',
            '<path d="M5 4h12l-3 4 3 4H5" fill="#c0392b" stroke="#c0392b"/>',
        ),
        key="Q",
        needs=Needs.WORKBOOK,
    ),
    writes=True,
)
