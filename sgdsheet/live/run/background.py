"""Training in a thread of its own, which never touches a spreadsheet; others ask it between two steps."""

from __future__ import annotations

import logging
import threading
from collections import deque
from collections.abc import Callable
from concurrent.futures import CancelledError, Future
from concurrent.futures import TimeoutError as TooLate
from contextlib import closing
from dataclasses import dataclass, replace
from time import perf_counter
from typing import Any, TypeVar

import torch

from sgdsheet.compiler.evaluation import one_thread
from sgdsheet.compiler.model import SheetModel
from sgdsheet.errors import Interrupted, ProofError, SgdSheetError, TrainingError
from sgdsheet.live.run import messages
from sgdsheet.live.run.failures import bug
from sgdsheet.live.run.trainable import Numbers, Trainable, for_spreadsheet, latest_numbers, put_numbers
from sgdsheet.problem.optimizers import Family
from sgdsheet.problem.settings import Settings
from sgdsheet.system.long_work import LongWork
from sgdsheet.system.processes import processors, waiting_threads_sleep
from sgdsheet.train.logbook import Record
from sgdsheet.train.run import Step
from sgdsheet.train.session import Session
from sgdsheet.train.thinning import ThinnedStream

Result = TypeVar("Result")

_LOG_ROWS = 600
"""Rows of the log sheet while it grows: a chart of more takes long to draw anew."""

_OTHERS = 1
"""Processors that are left to the spreadsheet, unless training is faster with all of them. That is tried only where
threads that wait for each other soon sleep: else two on one free processor take ten times as long as one thread."""

_SHARE = 0.03
"""Share of the time that calculating the loss cell may take, where the steps do not tell its value."""

log = logging.getLogger("sgdsheet.live")

LossAtStep = tuple[int, float]
"""A number of steps, and the value of the loss cell at the parameters after so many steps."""


@dataclass(frozen=True, slots=True)
class Progress:
    """Where a run stands between two steps: steps taken, the last step's loss, and seconds of training.

    `values` are the parameters in the order of their cells. `changes` is the number of the last change to the workbook
    (see `change`) that the run has taken up. `previous` is the value of the loss cell at the parameters of the progress
    that was asked for before, which are in the sheet now; None where it is not known.
    """

    step: int
    loss: float
    seconds: float
    values: list[float]
    changes: int
    previous: LossAtStep | None


@dataclass(frozen=True, slots=True)
class RunResult:
    """What a run came to: steps taken, losses, and seconds of training.

    `values` are the parameters that were kept, in the order of their cells; they were found at `best_step` and have the
    loss `loss`, while `loss_last` is that of the last step. `stopped` is how it ended, in a word (see
    `Session.stopped`), and `why` in a sentence. `changes` is as in `Progress`. With `of_batch`
    the losses at the end are those of the last batch only.
    """

    step: int
    loss_start: float
    loss: float
    seconds: float
    loss_last: float
    best_step: int
    values: list[float]
    stopped: str
    why: str
    changes: int
    of_batch: bool = False

    def as_sentence(self) -> str:
        """How the run went, for a person."""
        numbers = self.loss_start, self.loss, self.loss_last, self.best_step
        return messages.finished(*numbers, self.step, self.seconds, self.why, of_batch=self.of_batch)


class BackgroundRun(threading.Thread):
    """One run. `on_end` is called from its thread when it is over: `result`, `error` or `interrupted` is set then."""

    def __init__(self, trainable: Trainable, start: Numbers, on_end: Callable[[], None]) -> None:
        super().__init__(name="sgdsheet training", daemon=True)
        self.trainable = trainable
        self.records: ThinnedStream[Record] = ThinnedStream(_LOG_ROWS)
        self.result: RunResult | None = None
        self.error: SgdSheetError | None = None
        self.interrupted = ""
        """What is said of a run that was ended before its first step."""
        self.work = LongWork()
        """What is done before the first step: compiling, comparing, deriving."""
        self.step, self.loss, self.seconds = 0, float("nan"), 0.0
        self._start_values, self._on_end = start, on_end
        self._halted, self._paused, self._over, self._lingers = False, False, False, False
        self._inbox: deque[tuple[Callable[[], Any], Future[Any]]] = deque()
        self._wake = threading.Condition()
        self._session: Session | None = None
        self._speed: tuple[float | None] | None = None
        """The speed that was asked for since the run began, if any was."""
        self._change: tuple[Trainable, dict[int, float]] | None = None
        self._offset = 0
        self._changes_asked = self._changes_made = 0
        self._reported_step: int | None = None
        """The step of the last progress that was asked for, while the value of the loss cell there is not known."""
        self._steps_tell_loss = False
        self._calculate_from = 0.0
        """The time (of `perf_counter`) before which the loss cell is not calculated again."""
        self._reported_loss: LossAtStep | None = None
        """The value of the loss cell at the parameters of the last progress that was asked for, once it is known."""

    # --- for other threads ------------------------------------------------------------------------------

    def halt(self) -> None:
        """End after the present step; before the first one, as soon as possible if that takes long."""
        self._halted = True
        self.work.stop()
        with self._wake:
            self._wake.notify()

    def pause(self, on: bool) -> None:
        """Wait, or go on."""
        self._paused = on
        with self._wake:
            self._wake.notify()

    def hold_speed(self, steps_per_second: float | None) -> None:
        """Go on in slow motion, or as fast as it goes (None), whatever the settings say."""
        self._speed = (steps_per_second,)
        with self._wake:
            self._wake.notify()

    @property
    def planned(self) -> int | None:
        """How many steps the run will take if nothing stops it; None before it has begun."""
        return self._session.plan.steps + self._offset if self._session is not None else None

    @property
    def takes_all_processors(self) -> bool:
        """Whether a step takes all processors: whatever else is calculated then slows the training down."""
        return self._session is not None and 1 < processors() <= self._session.threads.now

    @property
    def paused(self) -> bool:
        return self._paused

    @property
    def over(self) -> bool:
        return self._over

    def between_steps(self, action: Callable[[], Result], seconds: float) -> Result | None:
        """Have an action done between two steps, and return what it returns; None if `seconds` pass before that.

        What the action raises is raised here.
        """
        future: Future[Result] = Future()
        with self._wake:
            if self._over:
                return None
            self._inbox.append((action, future))
            self._wake.notify()
        try:
            return future.result(seconds)
        except (TooLate, CancelledError):
            future.cancel()
            return None

    def progress(self, seconds: float) -> Progress | None:
        """Where the run stands; None if the present step takes longer than so many seconds."""
        return self.between_steps(self._progress, seconds)

    def model(self) -> SheetModel:
        """The model that is being trained; only for use between two steps."""
        return self.trainable.model()

    def change(self, trainable: Trainable, edits: dict[int, float]) -> int:
        """Go on with the workbook as it was read anew, and with parameters (by place) that a person has edited.

        Returns the number of this change, which `Progress.changes` has as soon as the run has taken it up.
        """
        with self._wake:
            earlier = self._change[1] if self._change is not None else {}
            self._change = (trainable, {**earlier, **edits})
            self._changes_asked += 1
            self._wake.notify()
            return self._changes_asked

    # --- the thread -------------------------------------------------------------------------------------

    def run(self) -> None:
        if not waiting_threads_sleep():
            torch.set_num_threads(max(1, min(torch.get_num_threads(), processors() - _OTHERS)))
        try:
            with self.work.under():
                self._train()
        except Interrupted as stop:
            self.interrupted = str(stop)
        except ProofError as error:
            self.error = for_spreadsheet(error)
        except SgdSheetError as error:
            self.error = error
        except Exception as error:
            log.exception("training failed")
            self.error = bug(error)
        finally:
            with self._wake:
                self._over = True
            self._serve(cancel=True)
            self._on_end()

    def _train(self) -> None:
        session = self._open(self.trainable, self._start_values)
        loss_start = session.loss_start
        while True:
            state, latest = self._descend(session)
            if self._change is None or self._halted:
                break
            with self._wake:
                (trainable, edits), self._change, asked = self._change, None, self._changes_asked
            for place, number in edits.items():
                latest[place] = number
            session = self._go_on(session, trainable, state, latest)
            self._changes_made, self._reported_step, self._reported_loss = asked, None, None
        model = self.model()
        values = latest_numbers(model)
        best = self._offset + session.best_step
        stopped = session.stopped or ("stopped" if self._halted else "")
        why = "; ".join(filter(None, [session.ending or stopped, session.overfitting]))
        self.result = RunResult(
            step=self.step,
            loss_start=loss_start,
            loss=session.loss,
            seconds=self.seconds,
            loss_last=session.loss_last,
            best_step=best,
            values=values,
            stopped=stopped,
            why=why,
            changes=self._changes_made,
            of_batch=session.loss_of_batch,
        )

    def _open(self, trainable: Trainable, values: Numbers) -> Session:
        model = trainable.model()
        put_numbers(model, values)
        self._session = Session(model, trainable.settings, workbook=trainable.workbook)
        self.loss = self._session.loss_start
        return self._session

    def _descend(self, session: Session) -> tuple[dict[str, Any] | None, list[float]]:
        """Take steps until the run is over or the workbook was changed.

        After a change, returns the state of the session (None if it has ended) and the parameters.
        """
        session.left = _OTHERS if waiting_threads_sleep() else 0
        steps = iter(session)
        self._steps_tell_loss = _steps_tell_loss(session)
        with closing(steps):  # type: ignore[type-var]
            for step in steps:
                if not self.step:
                    self.work.keep()  # from now on there is something to be kept
                if self._reported_step is not None and self._steps_tell_loss:
                    self._reported_loss = (self._reported_step, step.loss)
                self._reported_step = None
                self.step, self.loss = step.number + self._offset, step.loss
                self.seconds += step.seconds
                self._log(step)
                if self._inbox:
                    self._serve()
                if self._steps_per_second is not None:
                    self._linger(step.seconds)
                if self._paused and not self._halted:
                    self._rest()
                if self._halted:
                    session.end_soon()
                    return None, []
                if self._change is not None:
                    return session.state(), latest_numbers(session.model)
            if self._inbox:
                self._serve()
            if self._change is not None:
                return None, latest_numbers(session.model)
        return None, []

    def _go_on(self, old: Session, trainable: Trainable, state: dict[str, Any] | None, latest: list[float]) -> Session:
        """A session with the changed workbook: from the old one's state if that fits, else from its parameters."""
        cells = [cell for area in trainable.problem.parameters for cell in area.cells()]
        values = dict(zip(cells, latest, strict=True)) if len(cells) == len(latest) else trainable.start_values()
        trainable = replace(trainable, settings=replace(trainable.settings, start=()))
        session = self._open(trainable, values)
        self.trainable = trainable
        if state is not None and not trainable.settings.restarts:
            same = replace(old.settings, start=()) == trainable.settings
            try:
                session.restore(_edited(state, session, same=same))
            except TrainingError:
                pass
            else:
                return session
        self._offset = self.step
        left = max(0, session.plan.steps - self.step)
        rest: Settings = replace(trainable.settings, steps=left, epochs=None)
        self._session = Session(trainable.model(), rest, workbook=trainable.workbook)
        return self._session

    def _progress(self) -> Progress:
        previous, self._reported_loss = self._reported_loss, None
        if not self._steps_tell_loss or self._paused or self._lingers:
            self._calculate()
        self._reported_step = self.step if self._reported_loss is None else None
        values = latest_numbers(self.model())
        return Progress(self.step, self.loss, self.seconds, values, self._changes_made, previous)

    def _calculate(self) -> None:
        """Calculate the loss cell at the present parameters, unless that would take too much of the time."""
        started = perf_counter()
        if started < self._calculate_from:
            return
        with one_thread(), torch.no_grad():
            self._reported_loss = (self.step, float(self.model()().item()))
        ended = perf_counter()
        self._calculate_from = ended + (ended - started) / _SHARE

    def _log(self, step: Step) -> None:
        if not self.records.due:
            self.records.skip()
            return
        number = step.number + self._offset - 1
        self.records.add(
            Record(number, step.epoch, step.loss, step.valid_loss, step.metric, step.learning_rate, None, self.seconds)
        )

    @property
    def _steps_per_second(self) -> float | None:
        """The speed of slow motion; None for as fast as it goes."""
        return self._speed[0] if self._speed is not None else self.trainable.settings.steps_per_second

    def _linger(self, spent: float) -> None:
        """Slow motion: let time pass before the next step, and do meanwhile what other threads want.

        `spent` are the seconds that the last step took. Another speed counts at once.
        """
        began = perf_counter() - spent
        self._lingers = True
        while not self._wanted and (speed := self._steps_per_second) is not None:
            left = began + 1 / speed - perf_counter()
            if left <= 0:
                break
            self._serve()
            with self._wake:
                if not self._inbox and not self._wanted:
                    self._wake.wait(min(left, threading.TIMEOUT_MAX))
        self._lingers = False

    @property
    def _wanted(self) -> bool:
        """Whether a person wants something that slow motion must not delay."""
        return self._halted or self._paused or self._change is not None

    def _rest(self) -> None:
        """Wait until the run goes on or ends, and do meanwhile what other threads want."""
        while self._paused and not self._halted:
            self._serve()
            with self._wake:
                if not self._inbox and self._paused and not self._halted:
                    self._wake.wait()

    def _serve(self, *, cancel: bool = False) -> None:
        while self._inbox:
            action, future = self._inbox.popleft()
            if cancel:
                future.cancel()
            elif future.set_running_or_notify_cancel():
                try:
                    future.set_result(action())
                except Exception as error:
                    future.set_exception(error)


def _steps_tell_loss(session: Session) -> bool:
    """Whether the loss that a step returns is the value of the loss cell at the parameters before the step."""
    plan, problem, settings = session.plan, session.model.problem, session.settings
    whole = problem.origin is None and problem.valid is None and not settings.validation and not plan.batched
    return whole and not plan.solved and plan.search is None and not settings.restarts


def _edited(state: dict[str, Any], session: Session, *, same: bool) -> dict[str, Any]:
    """A state for a session whose workbook was changed: at the parameters of `session`, none of which is the best yet.

    `same` says whether the settings are the same. With other settings the optimizer starts afresh, and so does a line
    search, whose curvature is out of date.
    """
    present = {
        name: tensor.detach().clone()
        for name, tensor in zip(
            session.model.parameter_names, (tensor for _, tensor in session.model.ranges()), strict=True
        )
    }
    fresh = {**state, "parameters": present, "best": list(present.values()), "best_objective": float("inf")}
    if not same or session.plan.optimizer.family is Family.LINE_SEARCH:
        fresh["method"] = None
    return fresh
