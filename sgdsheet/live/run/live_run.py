"""A run as the spreadsheet sees it: refreshed many times a second, and watched for what a person changes."""

from __future__ import annotations

import logging
import math
from collections.abc import Mapping
from time import monotonic, perf_counter, sleep
from typing import Any

from sgdsheet.errors import BookClosedError, HostBusyError, HostError, ProblemError, SgdSheetError
from sgdsheet.hosts.base import LiveHost
from sgdsheet.live.run import messages
from sgdsheet.live.run.background import BackgroundRun, Ending, Known, Moment
from sgdsheet.live.run.explanations import edited_since, explained, loss_of, shows
from sgdsheet.live.run.log_view import LogView
from sgdsheet.live.run.own_sheets import OWN_SHEETS
from sgdsheet.live.run.prepared import Prepared, names_of, prepare
from sgdsheet.live.run.refresh_rate import Pace, Speed
from sgdsheet.live.run.shown import ShownParameters
from sgdsheet.live.run.status import IDLE, PAUSED, TRAINING, Status, bug
from sgdsheet.live.run.watch import Agreement, Watch
from sgdsheet.live.undo.snapshots import History
from sgdsheet.live.undo.tracking import follow_edits
from sgdsheet.sheet.references import Cell, Range
from sgdsheet.sheet.workbook import Workbook

log = logging.getLogger("sgdsheet.live")

_MOMENT = 0.2
"""Seconds to wait for the present step to end; longer ones are asked about again later."""

_BUSY_LIMIT = 30.0
_BUSY_PAUSE = 0.3
_STATUS_EVERY = 0.15

_PAUSED = 1.5
"""Seconds between two looks whether the workbook is still there, while the training waits."""

_ATTEMPTS = 3
"""To write at the end, while a person keeps changing the cells."""


class LiveRun:
    """Belongs to the workbook's thread, which calls `tick` when `due` says so, until `over`."""

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
        self.prepared: Prepared = run.prepared
        self.error: SgdSheetError | None = None
        self.over = False
        self._shown = ShownParameters(self.prepared)
        self._agreement = Agreement(self.prepared.settings.precision)
        self._changes = 0
        self._edited: set[Cell] = set()
        """Parameters that a person has edited, until the run has taken them up."""
        self._pace, self._speed = Pace(), Speed()
        self._watch: Watch | None = None
        self._busy_since: float | None = None
        self._shown_at = self._looked_at = -math.inf

    # --- the run ----------------------------------------------------------------------------------------

    def begin(self) -> None:
        """Start. From now on, the spreadsheet is written to."""
        self.status.state, self.status.step, self.status.loss, self.status.steps_per_second = TRAINING, 0, None, None
        self.status.halt, self.status.failed, self.status.steps, self.status.stopped = self.run.halt, "", None, ""
        self.host.quiet(True)
        self.run.start()

    def due(self) -> float:
        """Seconds until the next tick."""
        if self.run.over:
            return _BUSY_PAUSE if self._busy_since is not None else 0.0
        if self._busy_since is not None:
            return _BUSY_PAUSE
        return max(0.0, self._looked_at + _PAUSED - monotonic()) if self.run.paused else self._pace.due

    def tick(self) -> None:
        """Refresh the sheet, or finish."""
        try:
            if self.run.over:
                self._finish()
            elif self.run.paused:
                self._look_for_workbook()
            elif self._pace.due <= 0:
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
        """Wait with the parameters of the present step in the sheet, or go on."""
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

    def write_log(self, on: bool) -> None:
        """Write the sheet `SGD log` from now on, or no more."""
        if not on:
            self.log = None
        elif self.log is None:
            self.log = LogView(f"Training of {self.prepared.problem.loss}")

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
        self._pace.begin(self.run.step)
        moment = self.run.moment(_MOMENT)
        if moment is not None and moment.changes == self._changes:
            self._edited.clear()
            self._measure(moment)
            if not self._taken_up(moment.known) and not self.run.over:
                self._write(moment)
                self._show()
                self._grow_log(final=final)
                if moment.changes == self._changes:  # else the model is not compiled yet
                    self._look_around()
        self._pace.end(self.run.step)

    def _write(self, moment: Moment) -> None:
        self._agreement.step = None
        if self._shown.write(self.host, moment.values):
            self._reread()
        else:
            self._agreement.step = moment.step

    def _measure(self, moment: Moment) -> None:
        self.status.steps = self.run.planned
        self.status.step, self.status.loss = moment.step, moment.loss if math.isfinite(moment.loss) else None
        speed = self._speed.at(moment.step)
        if speed is not None:
            self.status.steps_per_second = speed

    def _start_afresh(self) -> None:
        """What was measured says nothing about what comes."""
        self._pace.restart()
        self._speed.restart()

    def _show(self) -> None:
        if monotonic() - self._shown_at >= _STATUS_EVERY:
            self._shown_at = monotonic()
            self.host.status(messages.progress(self.status.step, self.status.loss, self.status.steps_per_second))

    # --- what a person changes ----------------------------------------------------------------------------

    def _taken_up(self, known: Known | None) -> bool:
        """Whether the cells hold something else than they should: then a person has been there.

        A parameter is not what was written, the loss is not what the model has for these parameters, or a setting is
        another.
        """
        problem = self.prepared.problem
        settings = self._watch.settings if self._watch is not None else []
        found = self.host.read_values([*problem.parameters, Range.of_cell(problem.loss), *settings])
        as_left = len(self._shown.untouched(found)) == len(self._shown.cells)
        as_set = self._watch is None or not self._watch.settings_changed(found)
        if as_left and as_set and self._agreement.holds(found.get(problem.loss), known):
            return False
        changed = self._reread()
        if as_left and as_set and not changed:
            self._agreement.was_false_alarm()
        return changed

    def _look_for_workbook(self) -> None:
        """While the training waits. What is changed meanwhile counts when it goes on."""
        self._looked_at = monotonic()
        self.host.read_values([Range.of_cell(self.prepared.problem.loss)])

    def _look_around(self) -> None:
        watch = self._watch = self._watch or Watch(self.prepared)
        if watch.changed(self.host):
            started = perf_counter()
            self._reread()
            watch.charge(perf_counter() - started)

    def _reread(self, sheet: str | None = None) -> bool:
        """Read the whole workbook and go on with what it says now; whether that is something else."""
        before = self.prepared
        self._shown.give_back(self.host)
        fresh = prepare(self._read(sheet), sheet or before.problem.sheet, self.options, [before])
        if self._shown.retract(self.host, fresh):
            fresh = prepare(self._read(sheet), sheet or before.problem.sheet, self.options, [before])
        shown = ShownParameters(fresh)
        edits = self._shown.edits(shown.numbers)
        same = fresh.shares_model(before) and fresh.settings == before.settings
        if same and not edits:
            return False
        written = dict(zip(self._shown.cells, self._shown.numbers, strict=True))
        follow_edits(self.history, written, fresh.workbook, fresh.problem.sheet, shown.cells)
        self.prepared, self._shown = fresh, shown
        self._changes = self.run.change(fresh, edits)
        self._edited |= {shown.cells[place] for place in edits}
        if not same:
            self._watch = None
        self._agreement = Agreement(fresh.settings.precision)
        self._start_afresh()
        return True

    def _read(self, sheet: str | None = None) -> Workbook:
        workbook = self.host.read()
        sheet = sheet or self.prepared.problem.sheet
        if workbook.sheet(sheet) is None:
            raise ProblemError(
                f"sheet {sheet} is gone, or has another name now: training has stopped",
                remedy="Open the sheet and press Train to go on",
            )
        return workbook

    def _moved(self, error: SgdSheetError) -> bool:
        """Whether training goes on after a refusal to write to a cell, because the parameters are elsewhere now."""
        if not isinstance(error, HostError) or error.cell is None or self.error is not None:
            return False
        before = self._shown.cells
        try:
            return self._reread() and self._shown.cells != before
        except HostBusyError as busy:
            self._be_patient(busy)
            return True
        except SgdSheetError:
            return False

    def _followed(self, error: SgdSheetError) -> bool:
        """Whether training goes on after an error, because sheets only have other names now."""
        if not isinstance(error, BookClosedError) or self.error is not None:
            return False
        try:
            sheets = [name for name in self.prepared.workbook.sheets if name not in OWN_SHEETS]
            now = {name: self.host.sheet_now(name) for name in sheets}
            moved = {name: new for name, new in now.items() if new is not None and new != name}
            if not moved:
                return False
            self.history.rename(moved)
            self._shown.rename(moved)
            self._edited = {cell._replace(sheet=moved.get(cell.sheet, cell.sheet)) for cell in self._edited}
            return self._reread(moved.get(self.prepared.problem.sheet))
        except HostBusyError as busy:
            self._be_patient(busy)
            return True
        except SgdSheetError:
            return False

    # --- the end ------------------------------------------------------------------------------------------

    def _finish(self) -> None:
        """Put the best parameters into the sheet, exactly, and say how it went."""
        ending, error = self.run.ending, self.error or self.run.error
        if ending is not None and not isinstance(error, BookClosedError):
            text = self._leave(ending, error)
            if not text:
                text = ending.told()
                self.status.loss = ending.loss
            self.status.step, self.status.stopped = ending.step, ending.stopped
        else:
            text = ""
        self._over(error if error is not None else text)

    def _leave(self, ending: Ending, error: SgdSheetError | None) -> str:
        """Write all that is safe to write; what a person has just typed stays. Returns what is odd."""
        if error is not None and names_of(self.host.read()) != names_of(self.prepared.workbook):
            return ""  # cells may have moved: better the last refresh than a number in the wrong place
        self._shown.give_back(self.host)
        best = self._put_best(ending, follow=error is None)
        if best:
            self.history.wrote(best)
            self._finish_log()
        return "" if error is not None else self._doubt(ending, best)

    def _put_best(self, ending: Ending, *, follow: bool) -> dict[Cell, float]:
        """Write the best parameters where a person has typed nothing; if wanted, wherever the cells are by now."""
        best: dict[Cell, float] = {}
        for _ in range(_ATTEMPTS):
            if len(ending.values) != len(self._shown.cells):
                return {}
            best = dict(zip(self._shown.cells, ending.values, strict=True))
            found = self.host.read_values(self.prepared.problem.parameters)
            untouched = self._shown.untouched(found)
            if follow and len(untouched) < len(best) and self._reread():
                continue
            late = self._edited if ending.changes != self._changes else ()  # typed when the last step had been taken
            new = {cell: best[cell] for cell in untouched if best[cell] != found.get(cell) and cell not in late}
            if not self._shown.replace(self.host, new) or not follow or not self._reread():
                break
        return best

    def _doubt(self, ending: Ending, best: Mapping[Cell, float]) -> str:
        """Why the sheet shows another loss than the run came to, if it does."""
        if self.prepared.problem.origin is not None and ending.changes == self._changes:
            return ""  # the sheet shows a few rows, the loss is over all data
        if shows(self.host, self.prepared, ending.loss):
            return ""
        now = prepare(self._read(), self.prepared.problem.sheet, self.options, [self.run.prepared])
        if shows(self.host, now, ending.loss):
            return ""
        office = loss_of(self.host, now)
        self.status.loss = office if isinstance(office, float) else None
        edited = edited_since(self.run.prepared, now, best)
        if edited is None:
            return messages.differs(office, ending.loss)
        return messages.changed(edited, office, ending.loss, ending.step)

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

    def _over(self, outcome: str | SgdSheetError) -> None:
        self.over = True
        text, alarm = str(outcome), not isinstance(outcome, str)
        self.status.message, self.status.failed = text, type(outcome).__name__ if alarm else ""
        self.status.halt = None
        self.status.steps_per_second = None
        self.status.can_undo = self.history.can_undo
        try:
            self.host.quiet(False)
            self.host.status(text)
            if alarm:
                self.host.message(text)
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
        """End the run because of an error. If it is the second, nothing more can be done in the workbook."""
        error = explained(
            error, lambda: prepare(self._read(), self.prepared.problem.sheet, self.options, [self.prepared])
        )
        if self.error is not None or self.run.over:
            self._over(self.error or error)
            return
        self.error = error
        self._busy_since = None
        self.run.halt()
