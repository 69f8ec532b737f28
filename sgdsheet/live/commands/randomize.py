"""The command randomize: new start values."""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING

from sgdsheet.errors import SettingError
from sgdsheet.live.commands.declaration import Button, Command, Group

if TYPE_CHECKING:
    from sgdsheet.live.run.live_book import LiveBook, Options, Reply


def randomize(book: LiveBook, sheet: str | None, options: Options) -> Reply:
    """Draw new start values, as the setting `start` says, else small uniform ones."""
    import torch

    from sgdsheet.live.run import messages
    from sgdsheet.train.restarts import default_start, draw_start
    from sgdsheet.train.session import threads
    from sgdsheet.train.tensors import put

    book.refuse_while_training("drawing start values")
    trainable = book.read_to_change(sheet, options)
    settings, model = trainable.settings, trainable.proven()
    seed = settings.seed if settings.seed is not None else secrets.randbits(31)
    parameters = [tensor for _, tensor in model.ranges()]
    start = settings.start or default_start(parameters)
    if len(start) not in (1, len(parameters)):
        raise SettingError(
            f"start has {len(start)} entries for {len(parameters)} parameter ranges",
            cell=trainable.problem.sheet,
            remedy="Give one entry, or one per range",
        )
    with threads(1):
        put(parameters, draw_start(parameters, start, torch.Generator().manual_seed(seed)))
        loss = float(model().item())
    book.write("randomize", trainable, dict(trainable.present_numbers()))
    book.status.loss = loss
    text = f"start values: {', '.join(str(item) for item in start)}; loss {messages.number_text(loss)}"
    book.host.status(text)
    return {"message": text, "loss": loss}


COMMAND = Command(
    "randomize",
    randomize,
    Button(
        group=Group.TRAIN,
        place=60,
        label="Randomize",
        tip="new random starting values for the parameters",
        title="Random start values",
        help=(
            "Fills the parameters with small random numbers. Equal weights would all learn the same; random ones"
            " become different."
        ),
        image="CalculateNow",
        drawing=(
            '<rect x="3.5" y="3.5" width="17" height="17" rx="3" stroke="#d9822b"/>',
            '<circle cx="8.5" cy="8.5" r="1.7" fill="#d9822b" stroke="none"/>',
            '<circle cx="15.5" cy="8.5" r="1.7" fill="#d9822b" stroke="none"/>',
            '<circle cx="12" cy="12" r="1.7" fill="#d9822b" stroke="none"/>',
            '<circle cx="8.5" cy="15.5" r="1.7" fill="#d9822b" stroke="none"/>',
            '<circle cx="15.5" cy="15.5" r="1.7" fill="#d9822b" stroke="none"/>',
        ),
        key="M",
    ),
    writes=True,
)
