"""One open workbook: the connection to it, its run and its levels of undo. All of it happens in its own thread."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from contextlib import suppress
from time import perf_counter
from typing import Any

import torch

from sgdsheet.errors import ProofError, SgdSheetError, TrainingError
from sgdsheet.hosts.base import LiveHost, Tone
from sgdsheet.live.run.background import BackgroundRun
from sgdsheet.live.run.live_run import LiveRun, log_of
from sgdsheet.live.run.manual_run import ManualRun
from sgdsheet.live.run.report_sheets import REPORT_SHEETS
from sgdsheet.live.run.status import IDLE, Status
from sgdsheet.live.run.trainable import Trainable, find_trainable, for_spreadsheet
from sgdsheet.live.undo import tracking
from sgdsheet.live.undo.snapshots import Contents, History
from sgdsheet.problem.optimizers import OPTIMIZERS
from sgdsheet.problem.settings import Settings
from sgdsheet.sheet.references import Cell, Range
from sgdsheet.sheet.workbook import Value, Workbook
from sgdsheet.system.book_lock import BookLock
from sgdsheet.system.long_work import LongWork, stage
from sgdsheet.train.optimizer_factory import build_optimizer

Options = dict[str, Any]
Reply = dict[str, Any]

_MODELS_KEPT = 4
"""Models of one workbook that stay compiled."""

_LONG_READING = 0.5
"""Seconds. If reading the workbook took longer the last time, it is shown at once that it is being read."""


class LiveBook:
    """An open workbook as the commands see it. Connects to the workbook when a command first needs it.

    `connect` makes the connection, `wake` has the workbook's thread call `tick`, and `host` is a connection that is
    there already.
    """

    def __init__(
        self,
        connect: Callable[[], LiveHost],
        book: str,
        status: Status,
        wake: Callable[[], None],
        host: LiveHost | None = None,
    ) -> None:
        self._connect, self._wake = connect, wake
        self.status = status
        self.history = History.open(book)
        self.logging = False
        """Whether runs write the sheet `SGD log`."""
        self.manual_run: ManualRun | None = None
        self.replaced: tuple[Range, ...] = ()
        """Parameter cells in which the last command put numbers in the place of formulas."""
        self._host = host
        self._known: list[Trainable] = []
        self._last_reading = 0.0
        self._run: LiveRun | None = None
        self._last_run: BackgroundRun | None = None
        self._home: str | None = None
        """The sheet of the model that was used last, for commands that are given on a sheet of ours."""
        self._lock = BookLock(self.history.path.with_suffix(".lock"))
        status.can_undo = self.history.can_undo

    # --- for the worker -----------------------------------------------------------------------------------

    def do(
        self,
        command: Callable[[LiveBook, str | None, Options], Reply],
        sheet: str | None,
        options: Options,
        *,
        writes: bool,
        work: LongWork,
    ) -> Reply:
        """Do a command and return its reply. One that `writes` holds the workbook's lock.

        It is done under `work`. Raises SgdSheetError, and Interrupted if the work was stopped.
        """
        self.status.work = work
        try:
            if writes:
                self._lock.take()
                self.history.refresh()
            with work.under():
                reply = command(self, sheet, options)
        except ProofError as error:
            raise for_spreadsheet(error) from None
        finally:
            self._note_work()
            self._release_lock()
        self.status.can_undo = self.history.can_undo
        if "message" in reply:
            self.status.message = reply["message"]
        return {"ok": True, **reply}

    def due(self) -> float | None:
        """Seconds until the next `tick`; None if there is nothing to wait for."""
        return self._run.due() if self._run is not None else None

    def tick(self) -> None:
        """Keep a run going."""
        if self._run is not None:
            self._run.tick()
            if self._run.over:
                self._ended()
                self._release_lock()

    def tell(self, text: str) -> bool:
        """Show an error in the workbook, because whoever gave the command no longer waits; False if not connected."""
        if self._host is None:
            return False
        self._host.message(text, Tone.ERROR)
        return True

    def show(self, text: str) -> None:
        """Show a line in the status bar, if there is a connection and no run writes there."""
        if self._host is not None and self._run is None:
            with suppress(SgdSheetError):
                self._host.status(text)

    def release(self) -> None:
        """Disconnect from the workbook, until a command needs it again; not during a run."""
        if self._run is None and self._host is not None:
            host, self._host = self._host, None
            host.close()

    def close(self) -> None:
        """End a run, which leaves the best parameters in the sheet, and disconnect from the workbook."""
        try:
            self.finish()
            self.release()
        finally:
            self._release_lock()

    # --- for the commands ---------------------------------------------------------------------------------

    @property
    def host(self) -> LiveHost:
        """The connection to the workbook, made now if there is none. Raises HostError."""
        if self._host is None:
            self._host = self._connect()
        return self._host

    @property
    def run(self) -> LiveRun | None:
        """The run that is going on, or is paused."""
        return self._run

    def start(self, trainable: Trainable, options: Options, *, logged: bool) -> None:
        """Begin a run in the background. Raises SgdSheetError, and begins none, if the spreadsheet program refuses."""
        self.manual_run = None
        values = trainable.start_values()
        self.note("train", trainable.workbook, trainable.problem.sheet, values)
        self._keep()
        run = BackgroundRun(trainable, values, self._wake)
        log = log_of(run) if logged else None
        self._run = LiveRun(self.host, run, options, self.status, self.history, log)
        try:
            self._run.begin()
        except Exception:  # whatever it is: a run that was never started must not be waited for
            self._run = None
            self.status.state, self.status.halt = IDLE, None
            with suppress(SgdSheetError):
                self.host.quiet(False)
            raise

    def finish(self) -> None:
        """End the run, if there is one; the best parameters are in the sheet then."""
        if self._run is not None:
            self._run.finish_now()
            self._ended()

    def show_last_log(self) -> bool:
        """Write the log sheet of the last run, and bring it to the front; False if there was no run yet."""
        if self._last_run is None:
            return False
        log_of(self._last_run, front=True).finish(self.host, self._last_run)
        return True

    def refuse_while_training(self, what: str) -> None:
        """Raise TrainingError if a run is going on. `what` is what cannot be done meanwhile."""
        if self._run is not None:
            raise TrainingError(f"{what} is not possible during training", remedy="Stop the training first")

    def read_trainable(self, sheet: str | None, options: Options) -> Trainable:
        """Read the workbook and find the model of a sheet; compiled models are used again."""
        return self._trainable(self._read(), sheet, options)

    def read_to_change(self, sheet: str | None, options: Options) -> Trainable:
        """Read the workbook for a command that writes parameters.

        Where the setting `trust formulas` says so, the spreadsheet calculates all of them: it is to show what is
        trained, not what a file had saved.

        Where the setting `overwrite formulas` says so, the numbers that formulas in parameter cells give now take the
        place of these formulas.
        """
        workbook = self._read()
        found = self._trainable(workbook, sheet, options)
        if found.settings.trust_formulas:
            self.host.recalculate()
        self.replaced = areas = found.problem.overwritten
        if not areas:
            return found
        values = {cell: workbook.sheets[cell.sheet].values[cell[1:]] for area in areas for cell in area.cells()}
        self._keep()
        self.host.replace_formulas(values)
        return self.read_trainable(sheet, options)

    def write(self, label: str, trainable: Trainable, values: dict[Cell, Value]) -> None:
        """Write to cells as one level of undo. Raises SgdSheetError before anything is changed."""
        self._keep()
        self.note(label, trainable.workbook, trainable.problem.sheet, values)
        self.host.write(values)
        self.history.wrote(values)
        trainable.update(values)

    def read_tracked(self) -> Workbook:
        """The workbook as it is now; the history knows from then on where its cells and sheets are."""
        workbook = self._read()
        self._track(workbook)
        return workbook

    def read_noted(self) -> Workbook:
        """The workbook as `read_tracked` reads it, but of the cells only those that the history knows of."""
        workbook = self.host.read_part(lambda outline: tracking.noted_areas(self.history, outline))
        self._track(workbook)
        return workbook

    def note(self, label: str, workbook: Workbook, home: str | None, cells: Iterable[Cell]) -> None:
        """Note in the history what cells hold before a command writes to them. The model is on sheet `home`."""
        before = {cell: workbook.sheets[cell.sheet].values.get((cell.row, cell.column)) for cell in cells}
        self._track(workbook)
        if home is None:
            self.history.begin(label, before)
        else:
            tracking.forget_lost(self.history, workbook, home)
            self.history.begin(label, before, home, tracking.model_areas(workbook, home))

    def restore(self, before: Contents, *, undo: bool = False) -> None:
        """Write back what cells held before. With `undo`, that is the newest level of the history, which is removed.

        A cell that was empty gets the empty text, which programs show as empty.
        """
        values = {cell: "" if value is None else value for cell, value in before.items()}
        self.manual_run = None
        self._keep()
        self.host.write(values)
        if undo:
            self.history.pop()
        self.history.wrote(values)

    def tell_idle(self, text: str) -> Reply:
        """A reply with this message; the status bar shows it, too, unless a run writes there."""
        if self._run is None:
            self.host.status(text)
        return {"message": text}

    # --- helpers --------------------------------------------------------------------------------------------

    def _trainable(self, workbook: Workbook, sheet: str | None, options: Options) -> Trainable:
        """The model of a sheet in the workbook as it was just read; compiled models are used again."""
        if sheet is None and workbook.active in REPORT_SHEETS and self._home in workbook.sheets:
            sheet = self._home
        trainable = find_trainable(workbook, sheet, options, self._known, with_formulas=True)
        self._home = trainable.problem.sheet
        self._known = [trainable, *(item for item in self._known if not item.shares_model(trainable))][:_MODELS_KEPT]
        return trainable

    def _read(self) -> Workbook:
        """Read the whole workbook."""
        began, host = perf_counter(), self.host  # connected first: what is being done is shown there
        with stage("reading the workbook", at_once=self._last_reading > _LONG_READING):
            workbook = host.read()
        self._last_reading = perf_counter() - began
        return workbook

    def _keep(self) -> None:
        """What is being done now writes, so it goes on to its end."""
        if self.status.work is not None:
            self.status.work.keep()

    def _note_work(self) -> None:
        """What is being done from now on is the run, if there is one."""
        self.status.work = self._run.run.work if self._run is not None else None

    def _track(self, workbook: Workbook) -> None:
        tracking.follow_sheets(self.history, workbook, self.host.sheet_now)
        tracking.follow_cells(self.history, workbook)

    def _release_lock(self) -> None:
        """Another trainer may write to the workbook, unless a run is going on here."""
        if self._run is None:
            self._lock.release()

    def _ended(self) -> None:
        assert self._run is not None
        closed = self._run.error is not None
        self._last_run = self._run.run
        self._run = None
        self._note_work()
        if closed:
            self.release()


def warm_up() -> None:
    """Have torch load what it loads at the first use of an optimizer."""
    tensor = torch.nn.Parameter(torch.zeros(1))
    optimizer = build_optimizer(OPTIMIZERS["sgd"], [tensor], 1.0, Settings())
    tensor.sum().backward()
    optimizer.step()
