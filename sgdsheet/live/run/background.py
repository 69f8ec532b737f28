"""Training in a thread of its own, which never touches a spreadsheet: others ask it between two steps."""

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

from sgdsheet.compiler.model import SheetModel
from sgdsheet.errors import SgdSheetError, TrainingError
from sgdsheet.live.run import messages
from sgdsheet.live.run.prepared import Numbers, Prepared, latest_numbers, put_numbers
from sgdsheet.live.run.status import bug
from sgdsheet.problem.optimizers import Family
from sgdsheet.problem.settings import Settings
from sgdsheet.train.logbook import Record
from sgdsheet.train.run import Step
from sgdsheet.train.session import Session
from sgdsheet.train.thinning import ThinnedStream

Result = TypeVar("Result")

_LOG_ROWS = 600
"""Rows of the log sheet while it grows: a chart of more takes long to draw anew."""

_SHARE = 0.03
"""Of the time, what calculating the loss cell may take where the steps don't tell its value."""

log = logging.getLogger("sgdsheet.live")

Known = tuple[int, float]
"""The step of a moment that was told of, and the value of the loss cell at its parameters."""


@dataclass(frozen=True, slots=True)
class Moment:
    """Where a run stands between two steps; `values` are the parameters in the order of their cells.

    `known` is of the moment before, whose parameters are in the sheet now.
    """

    step: int
    loss: float
    seconds: float
    values: list[float]
    changes: int
    known: Known | None


@dataclass(frozen=True, slots=True)
class Ending:
    """What a run came to.

    `values` are the parameters that were kept, found at `best_step`; `why` says how it ended, in words; `changes` is
    the last change that it took up.
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

    def told(self) -> str:
        """The same for a person."""
        numbers = self.loss_start, self.loss, self.loss_last, self.best_step
        return messages.finished(*numbers, self.step, self.seconds, self.why)


class BackgroundRun(threading.Thread):
    """One run. `on_end` is called from the thread when it is over; then `ending` or `error` is there."""

    def __init__(self, prepared: Prepared, start: Numbers, on_end: Callable[[], None]) -> None:
        super().__init__(name="sgdsheet training", daemon=True)
        self.prepared = prepared
        self.records: ThinnedStream[Record] = ThinnedStream(_LOG_ROWS)
        self.ending: Ending | None = None
        self.error: SgdSheetError | None = None
        self.step, self.loss, self.seconds = 0, float("nan"), 0.0
        self._start_values, self._on_end = start, on_end
        self._halted, self._paused, self._over, self._lingers = False, False, False, False
        self._inbox: deque[tuple[Callable[[], Any], Future[Any]]] = deque()
        self._wake = threading.Condition()
        self._session: Session | None = None
        self._change: tuple[Prepared, dict[int, float]] | None = None
        self._offset = 0
        self._asked = self._made = 0
        self._asked_at: int | None = None
        self._plain = False
        self._calculate_from = 0.0
        self.known: Known | None = None
        """Of the last moment, as soon as that is known."""

    # --- for other threads ------------------------------------------------------------------------------

    def halt(self) -> None:
        """End after the present step."""
        self._halted = True
        with self._wake:
            self._wake.notify()

    def pause(self, on: bool) -> None:
        """Wait, or go on."""
        self._paused = on
        with self._wake:
            self._wake.notify()

    @property
    def planned(self) -> int | None:
        """How many steps the run will take, if nothing stops it."""
        return self._session.plan.steps + self._offset if self._session is not None else None

    @property
    def paused(self) -> bool:
        return self._paused

    @property
    def over(self) -> bool:
        return self._over

    def between_steps(self, action: Callable[[], Result], seconds: float) -> Result | None:
        """What an action returns that is done between two steps; None if there is no such moment in time."""
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

    def moment(self, seconds: float) -> Moment | None:
        """Where the run stands."""
        return self.between_steps(self._moment, seconds)

    def model(self) -> SheetModel:
        """The model that is being trained; only for use between two steps."""
        return self.prepared.model()

    def change(self, prepared: Prepared, edits: dict[int, float]) -> int:
        """Go on with another reading of the workbook, and with parameters (by place) that a person has edited.

        Returns the number that a moment's `changes` has from then on.
        """
        with self._wake:
            earlier = self._change[1] if self._change is not None else {}
            self._change = (prepared, {**earlier, **edits})
            self._asked += 1
            self._wake.notify()
            return self._asked

    # --- the thread -------------------------------------------------------------------------------------

    def run(self) -> None:
        try:
            self._train()
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
        session = self._open(self.prepared, self._start_values)
        loss_start = session.loss_start
        while True:
            state, latest = self._descend(session)
            if self._change is None or self._halted:
                break
            with self._wake:
                (prepared, edits), self._change, asked = self._change, None, self._asked
            for place, number in edits.items():
                latest[place] = number
            session = self._go_on(session, prepared, state, latest)
            self._made, self._asked_at, self.known = asked, None, None
        model = self.model()
        values = latest_numbers(model)
        best = self._offset + session.best_step
        stopped = session.stopped or ("stopped" if self._halted else "")
        why = "; ".join(filter(None, [session.ending or stopped, session.overfitting]))
        self.ending = Ending(
            self.step, loss_start, session.loss, self.seconds, session.loss_last, best, values, stopped, why, self._made
        )

    def _open(self, prepared: Prepared, values: Numbers) -> Session:
        model = prepared.model()
        put_numbers(model, values)
        self._session = Session(model, prepared.settings, workbook=prepared.workbook)
        self.loss = self._session.loss_start
        return self._session

    def _descend(self, session: Session) -> tuple[dict[str, Any] | None, list[float]]:
        """Take steps until the run is over, or something was changed; then also where it stood."""
        steps = iter(session)
        self._plain = _is_plain(session)
        with closing(steps):  # type: ignore[type-var]
            for step in steps:
                if self._asked_at is not None and self._plain:
                    self.known = (self._asked_at, step.loss)
                self._asked_at = None
                self.step, self.loss = step.number + self._offset, step.loss
                self.seconds += step.seconds
                self._note(step)
                if self._inbox:
                    self._serve()
                if self.prepared.settings.steps_per_second is not None:
                    self._linger(1 / self.prepared.settings.steps_per_second - step.seconds)
                if self._paused and not self._halted:
                    self._rest()
                if self._halted:
                    return None, []
                if self._change is not None:
                    return session.state(), latest_numbers(session.model)
            if self._inbox:
                self._serve()
            if self._change is not None:
                return None, latest_numbers(session.model)
        return None, []

    def _go_on(self, old: Session, prepared: Prepared, state: dict[str, Any] | None, latest: list[float]) -> Session:
        """The session that goes on with what was changed, if it can where the old one stood."""
        cells = [cell for area in prepared.problem.parameters for cell in area.cells()]
        values = dict(zip(cells, latest, strict=True)) if len(cells) == len(latest) else prepared.start_values()
        prepared = replace(prepared, settings=replace(prepared.settings, start=()))
        session = self._open(prepared, values)
        self.prepared = prepared
        if state is not None and not prepared.settings.restarts:
            same = replace(old.settings, start=()) == prepared.settings
            try:
                session.restore(_edited(state, session, same=same))
            except TrainingError:
                pass
            else:
                return session
        self._offset = self.step
        left = max(0, session.plan.steps - self.step)
        rest: Settings = replace(prepared.settings, steps=left, epochs=None)
        self._session = Session(prepared.model(), rest, workbook=prepared.workbook)
        return self._session

    def _moment(self) -> Moment:
        known, self.known = self.known, None
        if not self._plain or self._paused or self._lingers:
            self._calculate()
        self._asked_at = self.step if self.known is None else None
        return Moment(self.step, self.loss, self.seconds, latest_numbers(self.model()), self._made, known)

    def _calculate(self) -> None:
        """The value of the loss cell at the present parameters, unless that would take too much of the time."""
        started = perf_counter()
        if started < self._calculate_from:
            return
        threads = torch.get_num_threads()
        torch.set_num_threads(1)
        try:
            with torch.no_grad():
                self.known = (self.step, float(self.model()().item()))
        finally:
            torch.set_num_threads(threads)
        ended = perf_counter()
        self._calculate_from = ended + (ended - started) / _SHARE

    def _note(self, step: Step) -> None:
        number = step.number + self._offset - 1
        self.records.add(
            Record(number, step.epoch, step.loss, step.valid_loss, step.metric, step.learning_rate, None, self.seconds)
        )

    def _linger(self, seconds: float) -> None:
        """Slow motion: let so much time pass before the next step, and do meanwhile what others want."""
        due = perf_counter() + seconds
        self._lingers = True
        while not self._wanted and (left := due - perf_counter()) > 0:
            self._serve()
            with self._wake:
                if not self._inbox and not self._wanted:
                    self._wake.wait(left)
        self._lingers = False

    @property
    def _wanted(self) -> bool:
        """Whether a person wants something that slow motion must not delay."""
        return self._halted or self._paused or self._change is not None

    def _rest(self) -> None:
        """Wait until the run goes on or ends, and do meanwhile what others want."""
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


def _is_plain(session: Session) -> bool:
    """Whether the loss that a step tells is the value of the loss cell before it."""
    plan, problem, settings = session.plan, session.model.problem, session.settings
    whole = problem.origin is None and problem.valid is None and not settings.validation and not plan.batched
    return whole and not plan.solved and not settings.restarts


def _edited(state: dict[str, Any], session: Session, *, same: bool) -> dict[str, Any]:
    """The state of a session at the parameters of another: nothing is best yet.

    With other settings the optimizer starts afresh, and so does a line search, whose curvature is out of date.
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
