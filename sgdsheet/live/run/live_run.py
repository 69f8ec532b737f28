"""A run in an open workbook: shows its progress there many times a second, and takes up what a person changes."""

from __future__ import annotations

import logging
import math
from collections.abc import Mapping
from time import monotonic, perf_counter, sleep
from typing import Any

from sgdsheet.errors import BookClosedError, HostBusyError, HostError, ProblemError, SgdSheetError
from sgdsheet.hosts.base import LiveHost, Tone
from sgdsheet.live.run import messages
from sgdsheet.live.run.background import BackgroundRun, LossAtStep, Progress, RunResult
from sgdsheet.live.run.change_detector import ChangeDetector
from sgdsheet.live.run.failures import bug, explained
from sgdsheet.live.run.log_view import LogView
from sgdsheet.live.run.loss_check import LossCheck, edited_since, loss_agrees, loss_in_sheet
from sgdsheet.live.run.parameter_cells import ParameterCells
from sgdsheet.live.run.refresh_rate import FASTEST, GENTLE, RefreshTimer, StepRate
from sgdsheet.live.run.report_sheets import REPORT_SHEETS
from sgdsheet.live.run.status import IDLE, PAUSED, TRAINING, Status
from sgdsheet.live.run.trainable import Trainable, find_trainable, names_of
from sgdsheet.live.undo.snapshots import History
from sgdsheet.live.undo.tracking import follow_edits
from sgdsheet.sheet.references import Cell, Range
from sgdsheet.sheet.workbook import Workbook

log = logging.getLogger("sgdsheet.live")

_STEP_PATIENCE = 0.2
"""Seconds to wait for the present step to end; where it takes longer, the sheet is refreshed later."""

_BUSY_LIMIT = 30.0
"""Seconds after which a run ends because the program takes no calls: a dialog is open, or a cell is being edited."""

_BUSY_PAUSE = 0.3
"""Seconds between two calls to a program that is busy."""

_STATUS_EVERY = 0.15
"""Seconds between two texts in the status bar."""

_PAUSED = 1.5
"""Seconds between two looks whether the workbook is still open, while its training is paused."""

_ATTEMPTS = 3
"""Attempts to write the best parameters at the end of a run, while a person keeps changing the cells."""


def log_of(run: BackgroundRun, *, front: bool = False) -> LogView:
    """The log sheet of a run; it may come to the front when it is made."""
    return LogView(f"Training of {run.trainable.problem.loss}", front=front)


class LiveRun:
    """The run of one workbook. Its methods are called in the workbook's thread only.

    That thread calls `tick` whenever the seconds of `due` have passed, until the run is `over`. `run` trains in a
    thread of its own; `options` are those of the request, `history` is what Undo knows, and `log` the log sheet, if one
    is wanted.
    """

    def __init__(
        self,
        host: LiveHost,
        run: BackgroundRun,
        options: Mapping[str, Any],
        status: Status,
        history: History,
        log: LogView | None,
    ) -> None:
        self.host, self.run, self.status, self.history = host, run, status, history
        self.options, self.log = options, log
        self.trainable: Trainable = run.trainable
        self.error: SgdSheetError | None = None
        self.over = False
        self._cells = ParameterCells(self.trainable)
        self._loss_check = LossCheck(self.trainable.settings.precision)
        self._changes = 0
        self._edited: set[Cell] = set()
        """Parameters that a person has edited, until the run has taken them up."""
        self._timer, self._step_rate = RefreshTimer(), StepRate()
        self._detector: ChangeDetector | None = None
        self._busy_since: float | None = None
        self._shown_at = self._looked_at = -math.inf

    # --- the run ----------------------------------------------------------------------------------------

    def begin(self) -> None:
        """Start. From now on, the spreadsheet is written to."""
        self.status.state, self.status.step, self.status.loss, self.status.steps_per_second = TRAINING, 0, None, None
        self.status.halt, self.status.failed, self.status.steps, self.status.stopped = self.run.halt, "", None, ""
        self.status.undo_comes = False
        self.status.sheet, self.status.records = self.trainable.problem.sheet, self.run.records
        self.host.quiet(True)
        self.run.start()

    def due(self) -> float:
        """Seconds until the next tick."""
        if self.run.over:
            return _BUSY_PAUSE if self._busy_since is not None else 0.0
        if self._busy_since is not None:
            return _BUSY_PAUSE
        return max(0.0, self._looked_at + _PAUSED - monotonic()) if self.run.paused else self._timer.due

    def tick(self) -> None:
        """Refresh the sheet, or finish."""
        try:
            if self.run.over:
                self._finish()
            elif self.run.paused:
                self._look_for_workbook()
            elif self._timer.due <= 0:
                self._refresh()
            self._busy_since = None
        except HostBusyError as error:
            self._be_patient(error)
        except SgdSheetError as error:
            self._meet(error)
        except Exception as error:
            log.exception("refreshing failed")
            self._fail(bug(error))

    def pause(self, on: bool) -> None:
        """Pause, with the parameters of the present step in the sheet, or go on."""
        self.run.pause(on)
        self.status.state = PAUSED if on else TRAINING
        self._start_afresh()
        try:
            self.host.quiet(not on)
            if on:
                self._refresh(final=True)
                self.host.status(f"paused at {messages.progress(self.status.step, self.status.loss, None)}")
        except HostBusyError:
            pass
        except SgdSheetError as error:
            self._meet(error)

    def write_log(self, on: bool, *, front: bool = False) -> None:
        """Switch on or off that the sheet `SGD log` is written from now on; it may come to the front with that."""
        if not on:
            self.log = None
        elif self.log is None:
            self.log = log_of(self.run, front=front)

    def finish_now(self) -> None:
        """End the run, and return when the best parameters are in the sheet."""
        self.run.halt()
        self.run.join()
        while not self.over:
            self.tick()
            if not self.over:
                sleep(_BUSY_PAUSE)

    # --- refreshing -------------------------------------------------------------------------------------

    def _refresh(self, *, final: bool = False) -> None:
        self._timer.fastest = GENTLE if self.run.takes_all_processors else FASTEST
        self._timer.begin(self.run.step)
        progress = self.run.progress(_STEP_PATIENCE)
        if progress is None and (doing := self.run.work.text):
            self._tell(doing)
        if progress is not None and progress.changes == self._changes:
            self._edited.clear()
            self._measure(progress)
            if not self._taken_up(progress.previous) and not self.run.over:
                self._write(progress)
                self._show()
                self._grow_log(final=final)
                if progress.changes == self._changes:  # else the model is not compiled yet
                    self._detect_changes()
        self._timer.end(self.run.step)

    def _write(self, progress: Progress) -> None:
        self._loss_check.step = None
        if self._cells.write(self.host, progress.values):
            self._reread()
        else:
            self._loss_check.step = progress.step

    def _measure(self, progress: Progress) -> None:
        self.status.steps = self.run.planned
        self.status.step, self.status.loss = progress.step, progress.loss if math.isfinite(progress.loss) else None
        speed = self._step_rate.at(progress.step)
        if speed is not None:
            self.status.steps_per_second = speed

    def _start_afresh(self) -> None:
        """Forget the measured speeds: the training has paused or was changed."""
        self._timer.restart()
        self._step_rate.restart()

    def _show(self) -> None:
        self._tell(messages.progress(self.status.step, self.status.loss, self.status.steps_per_second))

    def _tell(self, text: str) -> None:
        """Show a line in the status bar, if the last one has been there long enough to be read."""
        if monotonic() - self._shown_at >= _STATUS_EVERY:
            self._shown_at = monotonic()
            self.host.status(text)

    # --- what a person changes ----------------------------------------------------------------------------

    def _taken_up(self, known: LossAtStep | None) -> bool:
        """Whether a person has changed the workbook and the run goes on with the change.

        Looked at are the parameters (do they hold what was written?), the loss (is it what the model has for these
        parameters, as far as that is known?) and the settings.
        """
        problem = self.trainable.problem
        settings = self._detector.settings if self._detector is not None else []
        as_left, found = self._cells.look(self.host, [Range.of_cell(problem.loss), *settings])
        as_set = self._detector is None or not self._detector.settings_changed(found)
        if as_left and as_set and self._loss_check.holds(found.get(problem.loss), known):
            return False
        changed = self._reread()
        if as_left and as_set and not changed:
            self._loss_check.note_false_alarm()
        return changed

    def _look_for_workbook(self) -> None:
        """Find out whether the workbook is still open; what a person changes in a pause is taken up after it."""
        self._looked_at = monotonic()
        self.host.read_values([Range.of_cell(self.trainable.problem.loss)])

    def _detect_changes(self) -> None:
        detector = self._detector = self._detector or ChangeDetector(self.trainable)
        if detector.changed(self.host):
            started = perf_counter()
            self._reread()
            detector.charge(perf_counter() - started)

    def _reread(self, sheet: str | None = None) -> bool:
        """Read the whole workbook and go on with what it holds now; whether that differs from what was trained."""
        before = self.trainable
        self._cells.give_back(self.host)
        fresh = find_trainable(self._read(sheet), sheet or before.problem.sheet, self.options, [before])
        if self._cells.retract(self.host, fresh):
            fresh = find_trainable(self._read(sheet), sheet or before.problem.sheet, self.options, [before])
        shown = ParameterCells(fresh)
        edits = self._cells.edits(shown.numbers)
        same = fresh.shares_model(before) and fresh.settings == before.settings
        if same and not edits:
            return False
        written = dict(zip(self._cells.cells, self._cells.numbers.tolist(), strict=True))
        follow_edits(self.history, written, fresh.workbook, fresh.problem.sheet, shown.cells)
        self.trainable, self._cells = fresh, shown
        self._changes = self.run.change(fresh, edits)
        self._edited |= {shown.cells[place] for place in edits}
        if not same:
            self._detector = None
        self._loss_check = LossCheck(fresh.settings.precision)
        self._start_afresh()
        return True

    def _read(self, sheet: str | None = None) -> Workbook:
        workbook = self.host.read()
        sheet = sheet or self.trainable.problem.sheet
        if workbook.sheet(sheet) is None:
            raise ProblemError(
                f"sheet {sheet} is gone, or has another name now: training has stopped",
                remedy="Open the sheet and press Train to go on",
            )
        return workbook

    def _moved(self, error: SgdSheetError) -> bool:
        """Whether a write was refused because the parameters have moved to other cells, and training goes on there."""
        if not isinstance(error, HostError) or error.cell is None or self.error is not None:
            return False
        before = self._cells.cells
        try:
            return self._reread() and self._cells.cells != before
        except HostBusyError as busy:
            self._be_patient(busy)
            return True
        except SgdSheetError:
            return False

    def _followed(self, error: SgdSheetError) -> bool:
        """Whether an error is explained by sheets that were renamed, and training goes on with their new names."""
        if not isinstance(error, BookClosedError) or self.error is not None:
            return False
        try:
            sheets = [name for name in self.trainable.workbook.sheets if name not in REPORT_SHEETS]
            now = {name: self.host.sheet_now(name) for name in sheets}
            moved = {name: new for name, new in now.items() if new is not None and new != name}
            if not moved:
                return False
            self.history.rename(moved)
            self._cells.rename(moved)
            self._edited = {cell._replace(sheet=moved.get(cell.sheet, cell.sheet)) for cell in self._edited}
            return self._reread(moved.get(self.trainable.problem.sheet))
        except HostBusyError as busy:
            self._be_patient(busy)
            return True
        except SgdSheetError:
            return False

    # --- the end ------------------------------------------------------------------------------------------

    def _finish(self) -> None:
        """Put the best parameters into the sheet, exactly, and say how it went."""
        result, error = self.run.result, self.error or self.run.error
        if result is not None and not isinstance(error, BookClosedError):
            undone = error is None and self.status.undo_comes
            text = self._forsake() if undone else self._leave(result, error)
            doubtful = bool(text)
            if not doubtful:
                text = result.as_sentence()
                self.status.loss = result.loss
            self.status.step, self.status.stopped = result.step, result.stopped
        else:
            text, doubtful = self.run.interrupted, False
            self.status.stopped = "stopped" if text and error is None else ""
        self._over(error if error is not None else text, doubtful=doubtful)

    def _leave(self, result: RunResult, error: SgdSheetError | None) -> str:
        """Write the best parameters where that is safe; what a person has just typed stays.

        Returns a sentence if the sheet then shows another loss than the run came to; empty text if all is well.
        """
        if error is not None and names_of(self.host.read()) != names_of(self.trainable.workbook):
            return ""  # cells may have moved: better the last refresh than a number in the wrong place
        self._cells.give_back(self.host)
        best = self._put_best(result, follow=error is None)
        if best:
            self.history.wrote(best)
            self._finish_log()
        return "" if error is not None else self._doubt(result, best)

    def _forsake(self) -> str:
        """Leave the parameters as the last refresh has shown them: they are undone next, and must not move before."""
        self._cells.give_back(self.host)
        self.history.wrote(dict(zip(self._cells.cells, self._cells.numbers, strict=True)))
        return ""

    def _put_best(self, result: RunResult, *, follow: bool) -> dict[Cell, float]:
        """Write the best parameters where a person has typed nothing; with `follow`, also to cells that have moved.

        Returns the best parameters by cell; empty if there are more or fewer parameters by now.
        """
        best: dict[Cell, float] = {}
        for _ in range(_ATTEMPTS):
            if len(result.values) != len(self._cells.cells):
                return {}
            best = dict(zip(self._cells.cells, result.values, strict=True))
            found = self.host.read_values(self.trainable.problem.parameters)
            untouched = self._cells.untouched(found)
            if follow and len(untouched) < len(best) and self._reread():
                continue
            late = self._edited if result.changes != self._changes else ()  # typed when the last step had been taken
            new = {cell: best[cell] for cell in untouched if best[cell] != found.get(cell) and cell not in late}
            if not self._cells.replace(self.host, new) or not follow or not self._reread():
                break
        return best

    def _doubt(self, result: RunResult, best: Mapping[Cell, float]) -> str:
        """Why the sheet shows another loss than the run came to; empty text if it shows the same."""
        if self.trainable.problem.origin is not None and result.changes == self._changes:
            return ""  # the sheet shows a few rows, the loss is over all data
        if loss_agrees(self.host, self.trainable, result.loss):
            return ""
        now = find_trainable(self._read(), self.trainable.problem.sheet, self.options, [self.run.trainable])
        if loss_agrees(self.host, now, result.loss):
            return ""
        shown = loss_in_sheet(self.host, now)
        self.status.loss = shown if isinstance(shown, float) else None
        edited = edited_since(self.run.trainable, now, best)
        if edited is None:
            return messages.differs(shown, result.loss, trusted=self.trainable.settings.trust_formulas)
        return messages.changed(edited, shown, result.loss, result.step)

    def _grow_log(self, *, final: bool) -> None:
        try:
            if self.log is not None:
                self.log.grow(self.host, self.run, final=final)
        except BookClosedError:  # a person has removed the log; if the workbook is gone, the next call says so
            self.log = None

    def _finish_log(self) -> None:
        try:
            if self.log is not None:
                self.log.finish(self.host, self.run)
        except BookClosedError:
            self.log = None

    def _over(self, outcome: str | SgdSheetError, *, doubtful: bool = False) -> None:
        """Note and show how the run ended: by an error, or in words, which are a warning if they are `doubtful`."""
        self.over = True
        text, alarm = str(outcome), not isinstance(outcome, str)
        self.status.message, self.status.failed = text, type(outcome).__name__ if alarm else ""
        self.status.halt = None
        self.status.steps_per_second = None
        self.status.can_undo = self.history.can_undo
        try:
            self.host.quiet(False)
            self.host.status(text)
            if alarm or doubtful:
                self.host.message(text, Tone.ERROR if alarm else Tone.WARNING)
        except HostError:  # there is nobody left to tell
            pass
        self.status.state = IDLE

    # --- what goes wrong ----------------------------------------------------------------------------------

    def _be_patient(self, error: HostBusyError) -> None:
        if self.run.paused and not self.run.over:  # a person works in the workbook
            return
        self._busy_since = self._busy_since if self._busy_since is not None else monotonic()
        if monotonic() - self._busy_since > _BUSY_LIMIT:
            self._fail(
                HostError(
                    "the spreadsheet was busy for too long: training has stopped",
                    remedy="Leave the cell that you edit, or close the dialog, and train again",
                )
            )

    def _meet(self, error: SgdSheetError) -> None:
        if not self._followed(error) and not self._moved(error):
            self._fail(error)

    def _fail(self, error: SgdSheetError) -> None:
        """End the run because of an error: at first in an orderly way; at the second error, without the workbook."""
        error = explained(
            error, lambda: find_trainable(self._read(), self.trainable.problem.sheet, self.options, [self.trainable])
        )
        if self.error is not None or self.run.over:
            self._over(self.error or error)
            return
        self.error = error
        self._busy_since = None
        self.run.halt()
