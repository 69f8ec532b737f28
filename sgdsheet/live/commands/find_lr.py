"""The command find-lr: a good learning rate."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from sgdsheet.live.commands.declaration import Button, Command, Group

if TYPE_CHECKING:
    from sgdsheet.live.run.live_book import LiveBook, Options, Reply

_SAMPLES = 2048
"""How many samples of a bound dataset each step of the search looks at."""


def find_lr(book: LiveBook, sheet: str | None, options: Options) -> Reply:
    """Suggest a learning rate, and write it beside the setting if the sheet has one."""
    from sgdsheet.analysis.diagnosis.lr_finder import find_learning_rate
    from sgdsheet.data.sample_choice import bind_samples
    from sgdsheet.problem.optimizers import OPTIMIZERS, Family
    from sgdsheet.train.session import threads

    book.refuse_while_training("the search for a learning rate")
    trainable = book.read_trainable(sheet, options)
    row = OPTIMIZERS.get(trainable.settings.optimizer)
    optimizer = row.name if row is not None and row.family is Family.GRADIENT and not row.accumulates else "sgd"
    model = trainable.proven()
    momentum = trainable.settings.momentum if row is not None else None
    bound = bind_samples(model, replace(trainable.settings, device="cpu"))
    if bound is not None:  # steps by hand may have been on another device
        book.manual_run = None
    with threads(1):
        some = bound.some(_SAMPLES) if bound is not None else None
        found = find_learning_rate(model, optimizer, momentum=momentum, loss=some)
    text = f"learning rate {found.suggestion:g} for {found.optimizer}"
    cell = trainable.setting_cell("learning rate")
    if cell is not None:
        book.write("find-lr", trainable, {cell: found.suggestion})
        text += f", written to {cell}"
    if optimizer != trainable.settings.optimizer:
        text += f" (set the optimizer to {optimizer} to use it)"
    book.host.message(text)
    return {"message": text, "suggestion": found.suggestion, "optimizer": found.optimizer}


COMMAND = Command(
    "find-lr",
    find_lr,
    Button(
        group=Group.LEARN,
        place=10,
        label="Find learning rate",
        tip="tries larger and larger steps until the loss explodes",
        title="Find a learning rate",
        help=(
            "Tries learning rates from tiny to huge and suggests one: large enough to learn fast, small enough that"
            " the loss does not explode."
        ),
        image="ChartTrendline",
        drawing=(
            '<path d="M3 6c5 0 4 12 8 12s3-10 10-14" stroke="#1e66b8"/>',
            '<circle cx="11" cy="18" r="2.5" fill="#c0392b" stroke="none"/>',
        ),
        key="F",
        large=True,
    ),
    writes=True,
)
