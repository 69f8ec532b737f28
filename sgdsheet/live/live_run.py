"""A run as the spreadsheet sees it: refreshed many times a second, and watched for what a person changes."""

from __future__ import annotations

import logging
import math
from collections.abc import Mapping
from time import monotonic, perf_counter, sleep
from typing import Any

from sgdsheet.errors import BookClosedError, HostBusyError, HostError, ProblemError, SgdSheetError
from sgdsheet.hosts.base import LiveHost
from sgdsheet.live import words
from sgdsheet.live.background import BackgroundRun, Ending, Moment
from sgdsheet.live.board import IDLE, PAUSED, TRAINING, Board, bug
from sgdsheet.live.log_view import LogView
from sgdsheet.live.pace import Pace
from sgdsheet.live.prepared import Prepared, names_of, prepare
from sgdsheet.live.sheets import OWN_SHEETS
from sgdsheet.live.shown import ShownParameters
from sgdsheet.live.snapshots import History
from sgdsheet.live.watch import Watch
from sgdsheet.references import Cell, Range
from sgdsheet.workbook import Value, Workbook

log = logging.getLogger("sgdsheet.live")

_MOMENT = 0.2
"""Seconds to wait for the present step to end; longer ones are asked about again later."""

_BUSY_LIMIT = 30.0
_BUSY_PAUSE = 0.3
_STATUS_EVERY = 0.15
_LOSS_TOLERANCE = 1e-7
_TOLERANCE = 1e-9
"""How exactly the spreadsheet has to agree at the end."""


class LiveRun:
    """Belongs to the workbook's thread, which calls `tick` when `due` says so, until `over`."""

    def __init__(
        self,
        host: LiveHost,
        run: BackgroundRun,
        options: Mapping[str, Any],
        board: Board,
        history: History,
        log: LogView | None,
    ) -> None:
        self.host, self.run, self.board, self.history = host, run, board, history
        self.options, self.log = options, log
        self.prepared: Prepared = run.prepared
        self.error: SgdSheetError | None = None
        self.over = False
        self._shown = ShownParameters(self.prepared)
        self._written_step: int | None = None
        self._comparing = True
        self._changes = 0
        self._edited: set[Cell] = set()
        """Parameters that a person has edited, until the run has taken them up."""
        self._pace = Pace()
        self._watch: Watch | None = None
        self._busy_since: float | None = None
        self._shown_at = -math.inf
        self._mark: tuple[float, int] | None = None

    # --- the run ----------------------------------------------------------------------------------------

    def begin(self) -> None:
        """Start. From now on, the spreadsheet is written to."""
        self.board.state, self.board.step, self.board.loss, self.board.steps_per_second = TRAINING, 0, None, None
        self.board.halt, self.board.failed, self.board.steps = self.run.halt, "", None
        self.host.quiet(True)
        self.run.start()

    def due(self) -> float:
        """Seconds until the next tick."""
        if self.run.over:
            return _BUSY_PAUSE if self._busy_since is not None else 0.0
        if self._busy_since is not None:
            return _BUSY_PAUSE
        return 3600.0 if self.run.paused else self._pace.due

    def tick(self) -> None:
        """Refresh the sheet, or finish."""
        try:
            if self.run.over:
                self._finish()
            elif not self.run.paused and self._pace.due <= 0:
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
        self.board.state = PAUSED if on else TRAINING
        self._pace.restart()
        self._mark = None
        try:
            self.host.quiet(not on)
            if on:
                self._refresh(final=True)
                self.host.status(f"paused at {words.progress(self.board.step, self.board.loss, None)}")
        except HostBusyError:
            pass
        except SgdSheetError as error:
            self._meet(error)

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
            if not self._taken_up() and not self.run.over:
                self._write(moment)
                self._show()
                self._grow_log(final=final)
                self._look_around()
        self._pace.end(self.run.step)

    def _write(self, moment: Moment) -> None:
        self._written_step = None
        if self._shown.write(self.host, moment.values):
            self._reread()
        else:
            self._written_step = moment.step

    def _measure(self, moment: Moment) -> None:
        """The speed over about a second."""
        now = perf_counter()
        self.board.steps = self.run.planned
        self.board.step, self.board.loss = moment.step, moment.loss if math.isfinite(moment.loss) else None
        if self._mark is None or moment.step < self._mark[1]:
            self._mark = (now, moment.step)
        elif now - self._mark[0] > 0.25:
            self.board.steps_per_second = (moment.step - self._mark[1]) / (now - self._mark[0])
            if now - self._mark[0] > 1.0:
                self._mark = (now, moment.step)

    def _show(self) -> None:
        if monotonic() - self._shown_at >= _STATUS_EVERY:
            self._shown_at = monotonic()
            self.host.status(words.progress(self.board.step, self.board.loss, self.board.steps_per_second))

    # --- what a person changes ----------------------------------------------------------------------------

    def _taken_up(self) -> bool:
        """Whether the cells hold something else than they should: then a person has been there.

        A parameter is not what was written, or the loss is not what the model has for these parameters.
        """
        problem = self.prepared.problem
        found = self.host.read_values([*problem.parameters, Range.of_cell(problem.loss)])
        as_left = len(self._shown.untouched(found)) == len(self._shown.cells)
        if as_left and self._loss_agrees(found.get(problem.loss)):
            return False
        changed = self._reread()
        self._comparing = self._comparing and (changed or not as_left)
        return changed

    def _loss_agrees(self, office: Value | None) -> bool:
        known = self.run.known
        if not self._comparing or known is None or known[0] != self._written_step or not math.isfinite(known[1]):
            return True
        return isinstance(office, float) and abs(office - known[1]) <= _LOSS_TOLERANCE * max(1e-6, abs(known[1]))

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
        shown = ShownParameters(fresh)
        edits = self._shown.edits(shown.numbers)
        same = fresh.shares_model(before) and fresh.settings == before.settings
        if same and not edits:
            return False
        self.prepared, self._shown = fresh, shown
        self._changes = self.run.change(fresh, edits)
        self._edited |= {shown.cells[place] for place in edits}
        if not same:
            self._watch = None
        self._written_step, self._comparing = None, True
        self._pace.restart()
        self._mark = None
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
            self._shown.rename(moved)
            self._edited = {cell._replace(sheet=moved.get(cell.sheet, cell.sheet)) for cell in self._edited}
            if not self._reread(moved.get(self.prepared.problem.sheet)):
                return False
        except HostBusyError as busy:
            self._be_patient(busy)
            return True
        except SgdSheetError:
            return False
        self.history.rename(moved)
        return True

    # --- the end ------------------------------------------------------------------------------------------

    def _finish(self) -> None:
        """Put the best parameters into the sheet, exactly, and say how it went."""
        ending, error = self.run.ending, self.error or self.run.error
        if ending is not None and not isinstance(error, BookClosedError):
            text = self._leave(ending, error)
            if not text:
                text = words.finished(ending.loss_start, ending.loss, ending.step, ending.seconds, ending.stopped)
                self.board.loss = ending.loss
            self.board.step = ending.step
        else:
            text = ""
        if error is not None:
            self._over(error)
        else:
            self._over(text)

    def _leave(self, ending: Ending, error: SgdSheetError | None) -> str:
        """Write all that is safe to write; what a person has just typed stays. Returns what is odd."""
        workbook = self.host.read() if error is not None else None
        if workbook is not None and names_of(workbook) != names_of(self.prepared.workbook):
            return ""  # cells may have moved: better the last refresh than a number in the wrong place
        cells, values = self._shown.cells, ending.values
        if len(values) != len(cells):
            return ""
        self._shown.give_back(self.host)
        found = self.host.read_values(self.prepared.problem.parameters)
        untouched = self._shown.untouched(found)
        if error is None and len(untouched) < len(cells):
            self._read_names()
        best = dict(zip(cells, values, strict=True))
        late = self._edited if ending.changes != self._changes else ()  # typed when the last step had been taken
        new = {cell: best[cell] for cell in untouched if best[cell] != found.get(cell) and cell not in late}
        edited = self._shown.replace(self.host, new) or late or len(untouched) < len(cells)
        self.history.wrote(best)
        self._finish_log()
        return "" if error is not None or edited else self._doubt(ending.loss)

    def _read_names(self) -> None:
        """A person has edited parameters at the last moment: make sure that they are where they were."""
        fresh = prepare(self._read(), self.prepared.problem.sheet, self.options, [self.prepared])
        if fresh.problem.parameters != self.prepared.problem.parameters:
            raise ProblemError(
                "the parameter cells were moved while training ended",
                cell=fresh.problem.parameters[0],
                remedy="Press Undo, or train again",
            )

    def _doubt(self, ours: float) -> str:
        if self.prepared.problem.origin is not None:  # the sheet shows a few rows, the loss is over all data
            return ""
        cell = self.prepared.problem.loss
        office = self.host.read_values([Range.of_cell(cell)]).get(cell)
        tolerance = _TOLERANCE if self.prepared.settings.precision != "float32" else 1e-4
        if isinstance(office, float) and abs(office - ours) <= tolerance * max(1.0, abs(ours)):
            return ""
        return words.differs(office, ours)

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
        self.board.message, self.board.failed = text, type(outcome).__name__ if alarm else ""
        self.board.halt = None
        self.board.steps_per_second = None
        self.board.can_undo = self.history.can_undo
        try:
            self.host.quiet(False)
            self.host.status(text)
            if alarm:
                self.host.message(text)
        except HostError:  # there is nobody left to tell
            pass
        self.board.state = IDLE

    # --- what goes wrong ----------------------------------------------------------------------------------

    def _be_patient(self, error: HostBusyError) -> None:
        self._busy_since = self._busy_since if self._busy_since is not None else monotonic()
        if monotonic() - self._busy_since > _BUSY_LIMIT:
            self._fail(
                HostError(
                    "the spreadsheet was busy for too long: training has stopped",
                    remedy="Leave the cell that you edit, or close the dialog, and train again",
                )
            )

    def _meet(self, error: SgdSheetError) -> None:
        if not self._followed(error):
            self._fail(error)

    def _fail(self, error: SgdSheetError) -> None:
        """End the run because of an error. If it is the second, nothing more can be done in the workbook."""
        error = self._explained(error)
        if self.error is not None or self.run.over:
            self._over(self.error or error)
            return
        self.error = error
        self._busy_since = None
        self.run.halt()

    def _explained(self, error: SgdSheetError) -> SgdSheetError:
        """What a refusal of the spreadsheet really means: is the sheet gone, or the workbook?"""
        if not isinstance(error, HostError):
            return error
        try:
            prepare(self._read(), self.prepared.problem.sheet, self.options, [self.prepared])
        except HostBusyError:
            return error
        except BookClosedError:
            return BookClosedError(
                "the workbook was closed: training has stopped",
                remedy="Open it and press Train to go on, or Undo to go back",
            )
        except SgdSheetError as better:
            return better
        return error
