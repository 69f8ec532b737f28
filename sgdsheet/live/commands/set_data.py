"""The command set-data: the samples of which batches are made."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sgdsheet.live.commands.declaration import Button, Command, Group, Needs

if TYPE_CHECKING:
    from sgdsheet.live.run.live_book import LiveBook, Options, Reply


def set_data(book: LiveBook, sheet: str | None, options: Options) -> Reply:
    """Give the selection the name `sgd_data`."""
    from sgdsheet.live.run.naming import set_name

    return set_name(book, "sgd_data", sheet, options)


COMMAND = Command(
    "set-data",
    set_data,
    Button(
        group=Group.MODEL,
        place=30,
        label="Set data rows",
        tip="the selected rows are the examples that batches are taken from",
        title="Set data rows",
        help=(
            "Select the rows of samples. Then training can work on a few rows at a time (a batch). They get the name"
            " sgd_data."
        ),
        image="TableInsertExcel",
        drawing=(
            '<rect x="3" y="9" width="18" height="6" fill="#cfe3f7" stroke="none"/>',
            '<path d="M3 4h18v16H3zM3 9h18M3 15h18M9 4v16" stroke="#555" stroke-width="1.5"/>',
        ),
        key="D",
        needs=Needs.WORKBOOK,
    ),
    writes=True,
)
