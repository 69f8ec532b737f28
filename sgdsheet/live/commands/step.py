"""The command step: single steps by hand."""

from __future__ import annotations

import math
from time import monotonic
from typing import TYPE_CHECKING

from sgdsheet.errors import BookClosedError, SettingError, TrainingError
from sgdsheet.live.commands.declaration import Button, Command, Group
from sgdsheet.system.long_work import checkpoint

if TYPE_CHECKING:
    from sgdsheet.live.run.live_book import LiveBook, Options, Reply
    from sgdsheet.live.run.manual_run import ManualRun
    from sgdsheet.live.run.trainable import Trainable
    from sgdsheet.train.run import Step

_MOST = 10_000


def step(book: LiveBook, sheet: str | None, options: Options) -> Reply:
    """Take a step, or as many as the option `steps` says. Goes on where the last click left off."""
    import torch

    from sgdsheet.live.run import messages

    book.refuse_while_training("a single step")
    options = dict(options)
    count = _whole(options.pop("steps", 1))
    run = _fitting_run(book, sheet, options)
    trainable = run.trainable
    book.manual_run = None  # until all has gone well
    last: Step | None = None
    for _ in range(count):
        checkpoint()
        taken = next(run.steps, None)
        if taken is None:
            break
        last = taken
    ended = last is None or bool(run.session.stopped)
    if ended:
        run.steps.close()  # type: ignore[attr-defined]
    if last is None:
        raise TrainingError(
            f"there is no step to take: {run.session.ending or 'the settings allow none'}",
            remedy="Change the parameters or the settings",
        )
    with torch.no_grad():
        loss = float(trainable.model()().item())
    numbers = trainable.present_numbers()
    book.write("step", trainable, dict(numbers))
    run.written, run.clicked_at = numbers, monotonic()
    run.loss = loss if trainable.model().dtype == torch.float64 else _shown_loss(book, trainable)
    book.manual_run = None if ended else run
    text = messages.progress(last.number, loss, None)
    book.status.step, book.status.loss = last.number, loss
    book.host.status(text)
    return {"message": text, "step": last.number, "loss": loss}


def _fitting_run(book: LiveBook, sheet: str | None, options: Options) -> ManualRun:
    """The run of the last click if nobody has changed the workbook since, else a new one."""
    from sgdsheet.live.run.manual_run import start_manual_run

    run = book.manual_run
    if run is not None and _fits_at_a_glance(run, book, sheet, options):
        return run
    trainable = book.read_to_change(sheet, options)
    if run is None or not run.fits(trainable):
        return start_manual_run(trainable)
    run.trainable = trainable
    return run


def _shown_loss(book: LiveBook, trainable: Trainable) -> float:
    """What the sheet calculates: in single precision, our own loss differs a little."""
    from sgdsheet.live.run.loss_check import loss_in_sheet

    value = loss_in_sheet(book.host, trainable)
    return value if isinstance(value, float) else math.nan


def _fits_at_a_glance(run: ManualRun, book: LiveBook, sheet: str | None, options: Options) -> bool:
    try:
        return run.fits_at_a_glance(book.host, sheet, options)
    except BookClosedError:  # perhaps it is only that the sheet has another name now
        return False


def _whole(value: object) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or not 1 <= value <= _MOST:
        raise SettingError(f"the number of steps has to be between 1 and {_MOST:,}", remedy="Use Train for more")
    return value


COMMAND = Command(
    "step",
    step,
    Button(
        group=Group.TRAIN,
        place=10,
        label="Step",
        tip="one step of gradient descent: each parameter moves a little downhill",
        title="One step",
        help=(
            "Calculates the gradient, which tells for each parameter which way the loss falls, and moves all"
            " parameters a little that way. Look at the loss before and after."
        ),
        image="MailMergeGoToNextRecord",
        drawing=(
            '<path d="M6 5l9 7-9 7z" fill="#2e8b57" stroke="#2e8b57"/>',
            '<path d="M19 5v14" stroke="#2e8b57" stroke-width="3"/>',
        ),
        key="S",
        large=True,
    ),
    writes=True,
)
