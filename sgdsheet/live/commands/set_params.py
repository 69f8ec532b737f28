"""The command set-params: what training may change."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sgdsheet.live.commands.declaration import Button, Command, Group, Needs

if TYPE_CHECKING:
    from sgdsheet.live.run.live_book import LiveBook, Options, Reply


def set_params(book: LiveBook, sheet: str | None, options: Options) -> Reply:
    """Give the selection the name `sgd_params`."""
    from sgdsheet.live.run.naming import set_name

    return set_name(book, "sgd_params", sheet, options)


COMMAND = Command(
    "set-params",
    set_params,
    Button(
        group=Group.MODEL,
        place=20,
        label="Set parameters",
        tip="the selected cells hold the numbers that training may change",
        title="Set parameters",
        help=(
            "Select the cells that training may change: weights and biases, plain numbers without formulas. They get"
            " the name sgd_params."
        ),
        image="NameDefine",
        drawing=(
            '<path d="M4 7h16M4 12h16M4 17h16" stroke="#555"/>',
            '<circle cx="9" cy="7" r="2.5" fill="#1e66b8" stroke="none"/>',
            '<circle cx="16" cy="12" r="2.5" fill="#1e66b8" stroke="none"/>',
            '<circle cx="7" cy="17" r="2.5" fill="#1e66b8" stroke="none"/>',
        ),
        key="P",
        needs=Needs.WORKBOOK,
    ),
    writes=True,
)
