"""Single steps by hand, and new start values."""

from __future__ import annotations

import math
import secrets
from time import monotonic

import torch

from sgdsheet.errors import BookClosedError, SettingError, TrainingError
from sgdsheet.live.commands.context import Desk, Options, Reply
from sgdsheet.live.run import messages
from sgdsheet.live.run.prepared import Numbers, Prepared, latest_numbers
from sgdsheet.live.run.stepper import Stepper, start_stepper
from sgdsheet.sheet.references import Cell, Range
from sgdsheet.sheet.workbook import Value
from sgdsheet.train.restarts import default_start, draw_start
from sgdsheet.train.run import Step
from sgdsheet.train.session import threads
from sgdsheet.train.tensors import put

_MOST = 10_000


def step(book: Desk, sheet: str | None, options: Options) -> Reply:
    """Take a step, or as many as the option `steps` says."""
    options = dict(options)
    count = _whole(options.pop("steps", 1))
    stepper = book.stepper
    if stepper is not None and _fits_still(stepper, book, sheet, options):
        prepared = stepper.prepared
    else:
        prepared = book.prepare(sheet, options)
        if stepper is None or not stepper.fits(prepared):
            stepper = start_stepper(prepared)
    book.stepper = None  # until all has gone well
    last: Step | None = None
    for _ in range(count):
        taken = next(stepper.steps, None)
        if taken is None:
            break
        last = taken
    ended = last is None or bool(stepper.session.stopped)
    if ended:
        stepper.steps.close()  # type: ignore[attr-defined]
    if last is None:
        raise TrainingError(
            f"there is no step to take: {stepper.session.ending or 'the settings allow none'}",
            remedy="Change the parameters or the settings",
        )
    with torch.no_grad():
        loss = float(prepared.model()().item())
    values: dict[Cell, Value] = dict(_numbers(prepared))
    book.write("step", prepared, values)
    stepper.left, stepper.prepared, stepper.when = _numbers(prepared), prepared, monotonic()
    stepper.loss = loss if prepared.model().dtype == torch.float64 else _shown_loss(book, prepared)
    book.stepper = None if ended else stepper
    text = messages.progress(last.number, loss, None)
    book.board.step, book.board.loss = last.number, loss
    book.host.status(text)
    return {"message": text, "step": last.number, "loss": loss}


def _shown_loss(book: Desk, prepared: Prepared) -> float:
    """What the sheet calculates: in single precision, our own loss differs a little."""
    cell = prepared.problem.loss
    value = book.host.read_values([Range.of_cell(cell)]).get(cell)
    return value if isinstance(value, float) else math.nan


def _fits_still(stepper: Stepper, book: Desk, sheet: str | None, options: Options) -> bool:
    try:
        return stepper.fits_still(book.host, sheet, options)
    except BookClosedError:  # perhaps it is only that the sheet has another name now
        return False


def _numbers(prepared: Prepared) -> Numbers:
    cells = (cell for area in prepared.problem.parameters for cell in area.cells())
    return dict(zip(cells, latest_numbers(prepared.model()), strict=True))


def _whole(value: object) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or not 1 <= value <= _MOST:
        raise SettingError(f"the number of steps has to be between 1 and {_MOST:,}", remedy="Use Train for more")
    return value


def randomize(book: Desk, sheet: str | None, options: Options) -> Reply:
    """Draw new start values, as the setting `start` says, else small uniform ones."""
    book.refuse_while_training("drawing start values")
    prepared = book.prepare(sheet, options)
    settings, model = prepared.settings, prepared.proven()
    seed = settings.seed if settings.seed is not None else secrets.randbits(31)
    parameters = [tensor for _, tensor in model.ranges()]
    start = settings.start or default_start(parameters)
    if len(start) not in (1, len(parameters)):
        raise SettingError(
            f"start has {len(start)} entries for {len(parameters)} parameter ranges",
            cell=prepared.problem.sheet,
            remedy="Give one entry, or one per range",
        )
    with threads(1):
        put(parameters, draw_start(parameters, start, torch.Generator().manual_seed(seed)))
        loss = float(model().item())
    book.write("randomize", prepared, dict(_numbers(prepared)))
    book.board.loss = loss
    text = f"start values: {', '.join(str(item) for item in start)}; loss {messages.figure(loss)}"
    book.host.status(text)
    return {"message": text, "loss": loss}
