"""The command set-loss: what training makes small."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sgdsheet.live.commands.declaration import Button, Command, Group, Needs

if TYPE_CHECKING:
    from sgdsheet.live.run.live_book import LiveBook, Options, Reply


def set_loss(book: LiveBook, sheet: str | None, options: Options) -> Reply:
    """Give the selection the name `sgd_loss`."""
    from sgdsheet.live.run.naming import set_name

    return set_name(book, "sgd_loss", sheet, options)


COMMAND = Command(
    "set-loss",
    set_loss,
    Button(
        group=Group.MODEL,
        place=10,
        label="Set loss",
        tip="the selected cell is what training makes as small as possible",
        title="Set loss",
        help=(
            "Select the one cell that measures how wrong the model is, then press this. Training makes it small. The"
            " cell gets the name sgd_loss."
        ),
        image="FunctionWizard",
        drawing=(
            '<circle cx="12" cy="12" r="9" stroke="#c0392b"/>',
            '<circle cx="12" cy="12" r="5" stroke="#c0392b"/>',
            '<circle cx="12" cy="12" r="1.5" fill="#c0392b" stroke="none"/>',
        ),
        key="L",
        large=True,
        needs=Needs.WORKBOOK,
    ),
    writes=True,
)
