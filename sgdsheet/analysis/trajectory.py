"""A training that is written down: its records, and where the parameters were on the way."""

from __future__ import annotations

import math
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from typing import NamedTuple

from torch import Tensor

from sgdsheet.train.logbook import Logbook, Record
from sgdsheet.train.run import Step
from sgdsheet.train.session import Session
from sgdsheet.train.tensors import copies

_EACH = 40
"""Steps at the start of a run, of each of which a snapshot is kept."""

_GROWTH = 1.02
"""Ratio of the numbers of two steps whose snapshots are kept, later in the run."""

_NUMBERS = 20_000_000
"""Numbers that all snapshots of a run together may hold."""

_LEAST = 16
"""Snapshots that are kept at least, however many parameters there are."""


class Snapshot(NamedTuple):
    """The parameters after so many steps, one tensor per range."""

    step: int
    parameters: list[Tensor]


@dataclass(frozen=True, slots=True)
class Trajectory:
    """A finished training. The last snapshot is what it came to, which is where it was after `session.best_step`."""

    session: Session
    records: list[Record]
    snapshots: list[Snapshot]
    interrupted: bool


def record_training(session: Session, show: Callable[[int, float], None] | None = None) -> Trajectory:
    """Train, and keep snapshots: of every step at first, then at growing distances. Ctrl-C ends it early.

    `show` is told the number and the loss of every step.
    """
    tensors = [tensor for _, tensor in session.model.ranges()]
    limit = max(_LEAST, _NUMBERS // max(1, sum(tensor.numel() for tensor in tensors)))
    snapshots, due, growth = [Snapshot(0, copies(tensors))], 1.0, _GROWTH
    logbook, interrupted = Logbook(objective=session.model.as_objective), False
    with closing(iter(session)) as steps:  # type: ignore[type-var]
        try:
            for step in steps:
                if show is not None:
                    show(step.number, step.loss)
                logbook.add(record_of(session, step))
                if step.number >= due:
                    snapshots.append(Snapshot(step.number, copies(tensors)))
                    due = step.number + 1 if step.number < _EACH else step.number * growth
                if len(snapshots) > limit:
                    del snapshots[1::2]
                    growth *= growth
        except KeyboardInterrupt:
            interrupted = True
    logbook.add(last_record(session))
    if session.best_step == session.steps_taken == snapshots[-1].step and len(snapshots) > 1:
        snapshots.pop()  # the best parameters, which are appended next, are these
    snapshots.append(Snapshot(session.best_step, copies(tensors)))
    return Trajectory(session, logbook.records(), snapshots, interrupted)


def record_of(session: Session, step: Step) -> Record:
    """A step for the log, where the loss stands at the parameters that it is of: those before the step."""
    return Record(
        step.number - 1,
        step.epoch,
        step.loss,
        step.valid_loss,
        step.metric,
        step.learning_rate,
        step.gradient_norm,
        session.seconds,
    )


def last_record(session: Session) -> Record:
    """The record of the parameters after the last step, for the end of the log.

    Its loss is NaN where there are validation rows in the sheet: the loss cell is over these, too, so it is no training
    loss.
    """
    with_validation = session.valid_loss is not None and session.source is None
    return Record(
        session.steps_taken,
        session.epochs_done,
        math.nan if with_validation else session.loss_last,
        session.valid_last,
        session.metric_last,
        session.learning_rate,
        None,
        session.seconds,
    )
