"""The commands on one open workbook. All of it happens in the workbook's thread."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from contextlib import suppress
from time import perf_counter
from typing import Any

import torch

from sgdsheet.errors import HostError, SgdSheetError, TrainingError
from sgdsheet.hosts.base import LiveHost
from sgdsheet.live.commands import exporting, inspecting, naming, stepping
from sgdsheet.live.commands.context import Options, Reply
from sgdsheet.live.ipc.lock import Claim
from sgdsheet.live.ipc.status import IDLE, Board
from sgdsheet.live.run.background import BackgroundRun
from sgdsheet.live.run.live_run import LiveRun
from sgdsheet.live.run.log_view import LogView
from sgdsheet.live.run.prepared import Prepared, prepare
from sgdsheet.live.run.stepper import Stepper
from sgdsheet.live.undo import tracking
from sgdsheet.live.undo.snapshots import Contents, History
from sgdsheet.problem.definition import sheets_with_problem
from sgdsheet.sheet.references import Cell
from sgdsheet.sheet.workbook import Value, Workbook

_KEPT = 4
"""Compiled models of one workbook that are kept."""

_WRITING = frozenset({"train", "step", "undo", "reset", "randomize", "find-lr", "set-loss", "set-params", "set-data"})
"""Commands that only one trainer at a time may do."""

_LONG = 0.5
"""Seconds that reading a workbook has taken before, from which a person is told."""


class LiveBook:
    """Connects to the workbook when it has to, and knows what was done to it."""

    def __init__(
        self,
        connect: Callable[[], LiveHost],
        book: str,
        board: Board,
        wake: Callable[[], None],
        host: LiveHost | None = None,
    ) -> None:
        self._connect, self._wake = connect, wake
        self.board = board
        self.history = History.open(book)
        self.logging = False
        self.stepper: Stepper | None = None
        self._host = host
        self._known: list[Prepared] = []
        self._reading = 0.0
        self._run: LiveRun | None = None
        self._claim = Claim(self.history.path.with_suffix(".lock"))
        board.can_undo = self.history.can_undo

    # --- for the worker -----------------------------------------------------------------------------------

    def do(self, command: str, sheet: str | None, options: Options) -> Reply:
        """Do a command; the reply's own fields. Raises SgdSheetError."""
        actions: dict[str, Callable[[str | None, dict[str, Any]], Reply]] = {
            "train": self._train,
            "step": self._step,
            "stop": self._stop,
            "pause": self._pause,
            "undo": self._undo,
            "reset": self._reset,
            "log": self._log,
            "check": lambda sheet, options: inspecting.check(self, sheet),
            "find-lr": lambda sheet, options: inspecting.find_rate(self, sheet, options),
            "gradients": lambda sheet, options: inspecting.show_gradients(self, sheet, options),
            "export": lambda sheet, options: exporting.export(self, sheet, options),
            "randomize": lambda sheet, options: stepping.randomize(self, sheet, options),
            "set-loss": lambda sheet, options: naming.set_name(self, "loss", sheet, options),
            "set-params": lambda sheet, options: naming.set_name(self, "params", sheet, options),
            "set-data": lambda sheet, options: naming.set_name(self, "data", sheet, options),
        }
        try:
            if command in _WRITING:
                self._claim.take()
                self.history.refresh()
            reply = actions[command](sheet, options)
        finally:
            self._let_others()
        self.board.can_undo = self.history.can_undo
        if "message" in reply:
            self.board.message = reply["message"]
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
                self._let_others()

    def tell(self, text: str) -> bool:
        """Show an error in the workbook, when whoever gave the command has left; False if there is no workbook."""
        if self._host is None:
            return False
        self._host.message(text)
        return True

    def release(self) -> None:
        """Let go of the workbook until it is needed again."""
        if self._run is None and self._host is not None:
            host, self._host = self._host, None
            host.close()

    def close(self) -> None:
        """End a run, leaving the best parameters, and let go of the workbook."""
        try:
            self.finish()
            self.release()
        finally:
            self._let_others()

    # --- for the commands ---------------------------------------------------------------------------------

    @property
    def host(self) -> LiveHost:
        """The workbook; connects to it if that has not been done."""
        if self._host is None:
            self._host = self._connect()
        return self._host

    @property
    def run(self) -> LiveRun | None:
        """The run that is going on, or is paused."""
        return self._run

    def finish(self) -> None:
        """End the run, if there is one; the best parameters are in the sheet then."""
        if self._run is not None:
            self._run.finish_now()
            self._ended()

    def refuse_while_training(self, what: str) -> None:
        if self._run is not None:
            raise TrainingError(f"{what} is not possible during training", remedy="Stop the training first")

    def prepare(self, sheet: str | None, options: Options) -> Prepared:
        """Read the workbook and find the model of a sheet; compiled models are used again."""
        prepared = prepare(self._read(), sheet, options, self._known)
        self._known = [prepared, *(item for item in self._known if not item.shares_model(prepared))][:_KEPT]
        return prepared

    def write(self, label: str, prepared: Prepared, values: dict[Cell, Value]) -> None:
        """Write to cells as one level of undo. Raises SgdSheetError before anything is changed."""
        self._note(label, prepared.workbook, prepared.problem.sheet, values)
        self.host.write(values)
        self.history.wrote(values)
        prepared.update(values)

    # --- commands -----------------------------------------------------------------------------------------

    def _train(self, sheet: str | None, options: Options) -> Reply:
        if self._run is not None:
            if not self._run.run.paused:
                raise TrainingError("this workbook is being trained already", remedy="Stop it first")
            self._run.pause(False)
            return {"message": "training goes on"}
        options = dict(options)
        wants_log = bool(options.pop("log", self.logging))
        prepared = self.prepare(sheet, options)
        self.stepper = None
        values = prepared.start_values()
        self._note("train", prepared.workbook, prepared.problem.sheet, values)
        run = BackgroundRun(prepared, values, self._wake)
        title = f"Training of {prepared.problem.loss}"
        log = LogView(title) if wants_log else None
        self._run = LiveRun(self.host, run, options, self.board, self.history, log)
        try:
            self._run.begin()
        except Exception:  # whatever it is: a run that was never started must not be waited for
            self._run = None
            self.board.state, self.board.halt = IDLE, None
            with suppress(SgdSheetError):
                self.host.quiet(False)
            raise
        return {"message": f"training {prepared.problem.sheet}"}

    def _stop(self, sheet: str | None, options: Options) -> Reply:
        if self._run is None:
            return {"message": self.board.message or "nothing is being trained"}
        self.finish()
        return {"message": self.board.message, "step": self.board.step, "loss": self.board.loss}

    def _pause(self, sheet: str | None, options: Options) -> Reply:
        if self._run is None:
            raise TrainingError("nothing is being trained", remedy="Press Train")
        on = options.get("on", not self._run.run.paused)
        self._run.pause(bool(on))
        return {"message": f"paused at step {self.board.step:,}" if on else "training goes on"}

    def _step(self, sheet: str | None, options: Options) -> Reply:
        self.refuse_while_training("a single step")
        return stepping.step(self, sheet, options)

    def _undo(self, sheet: str | None, options: Options) -> Reply:
        self.finish()
        if not self.history.levels:
            raise HostError("there is nothing to undo", remedy="Only what sgdsheet wrote can be undone here")
        workbook = self._followed_read()
        level = self.history.levels[-1]
        tracking.refuse_lost(self.history, workbook, level.before, "undo")
        self._restore(level.before)
        self.history.pop()
        self.history.wrote(_filled(level.before))
        return self._told(f"undone: {level.label}")

    def _reset(self, sheet: str | None, options: Options) -> Reply:
        self.finish()
        if not self.history.original:
            raise HostError("nothing was changed yet", remedy="Reset goes back to before the first training")
        workbook = self._followed_read()
        home = _model_sheet(workbook, sheet)
        wanted = self._original_of(workbook, home) if home is not None else dict(self.history.original)
        tracking.refuse_lost(self.history, workbook, wanted, "reset")
        self._note("reset", workbook, home, wanted)
        self._restore(wanted)
        self.history.wrote(_filled(wanted))
        return self._told("the parameters are as they were before the first training")

    def _original_of(self, workbook: Workbook, home: str) -> Contents:
        """What the parameters of one sheet's model were at first. Raises HostError if nothing is known of that."""
        areas = tracking.model_areas(workbook, home).get(tracking.PARAMETERS, ())
        own = {cell for area in areas for cell in area.cells()}
        found = {cell: value for cell, value in self.history.original.items() if cell in own}
        if not found:
            for cell in self.history.original:
                if cell.sheet not in workbook.sheets:
                    raise tracking.sheet_gone(cell.sheet, "reset")
            raise HostError(f"sheet {home} was not changed yet", remedy="Choose another sheet")
        return found

    def _log(self, sheet: str | None, options: Options) -> Reply:
        self.logging = bool(options.get("on", not self.logging))
        if self._run is not None and self.logging and self._run.log is None:
            self._run.log = LogView(f"Training of {self._run.prepared.problem.loss}")
        elif self._run is not None and not self.logging:
            self._run.log = None
        return self._told("the sheet “SGD log” is written " + ("while training" if self.logging else "no more"))

    # --- helpers --------------------------------------------------------------------------------------------

    def _read(self) -> Workbook:
        """The whole workbook. Of a large one, the person sees why nothing happens for seconds."""
        tell = self._run is None and self._reading > _LONG
        started = perf_counter()
        if tell:
            self.host.status("sgdsheet is reading the workbook")
        workbook = self.host.read()
        self._reading = perf_counter() - started
        if tell:
            self.host.status("")
        return workbook

    def _followed_read(self) -> Workbook:
        """The workbook as it is now, in which the history knows its cells again."""
        workbook = self._read()
        tracking.follow_sheets(self.history, workbook, self.host.sheet_now)
        tracking.follow_cells(self.history, workbook)
        return workbook

    def _note(self, label: str, workbook: Workbook, home: str | None, cells: Iterable[Cell]) -> None:
        """Remember what cells hold before a command writes to them: those of the model on the sheet `home`."""
        before = {cell: workbook.sheets[cell.sheet].values.get((cell.row, cell.column)) for cell in cells}
        tracking.follow_sheets(self.history, workbook, self.host.sheet_now)
        tracking.follow_cells(self.history, workbook)
        if home is None:
            self.history.begin(label, before)
        else:
            tracking.forget_lost(self.history, workbook, home)
            self.history.begin(label, before, home, tracking.model_areas(workbook, home))

    def _let_others(self) -> None:
        """Another trainer may write to the workbook, unless one is going on here."""
        if self._run is None:
            self._claim.release()

    def _restore(self, before: Contents) -> None:
        self.stepper = None
        self.host.write(_filled(before))

    def _told(self, text: str) -> Reply:
        if self._run is None:
            self.host.status(text)
        return {"message": text}

    def _ended(self) -> None:
        assert self._run is not None
        closed = self._run.error is not None
        self._run = None
        if closed:
            self.release()


def warm_up() -> None:
    """Have torch load what it loads at the first use of an optimizer."""
    tensor = torch.nn.Parameter(torch.zeros(1))
    optimizer = torch.optim.SGD([tensor], lr=1.0)
    tensor.sum().backward()
    optimizer.step()


def _model_sheet(workbook: Workbook, sheet: str | None) -> str | None:
    """The sheet whose model is meant; None if it has none, or none is meant."""
    found = sheets_with_problem(workbook)
    if sheet is not None:
        named = workbook.sheet(sheet)
        return named.name if named is not None and named.name in found else None
    if workbook.active in found:
        return workbook.active
    return found[0] if len(found) == 1 else None


def _filled(before: Contents) -> dict[Cell, Value]:
    """Values that can be written: an empty cell becomes the empty text, which programs show as empty."""
    return {cell: "" if value is None else value for cell, value in before.items()}
