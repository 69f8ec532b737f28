"""One workbook that pages show: what is known of it, and what is asked of its trainer. Knows nothing of connections.

Methods may wait for a calculation or for the trainer, so the server calls them in threads of its own.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from typing import Any

from sgdsheet.apps.web.chart_data import chart_for_page, undrawn_for_page
from sgdsheet.apps.web.live_curves import LossCurve
from sgdsheet.apps.web.report_look import report_chart, report_look
from sgdsheet.apps.web.rule_formulas import RuleFormulas
from sgdsheet.apps.web.sheet_view import SheetView
from sgdsheet.errors import HostError, SgdSheetError
from sgdsheet.hosts.base import ReportSheet
from sgdsheet.hosts.web.autosave import Autosave, kept_of, recover, set_aside
from sgdsheet.hosts.web.book_events import Event
from sgdsheet.hosts.web.open_book import OpenBook
from sgdsheet.live.ipc.trainer import Trainer
from sgdsheet.live.run.status import IDLE
from sgdsheet.problem.definition import SPREADSHEET, FoundModel, Problem, models_in
from sgdsheet.sheet.appearance import SheetLook
from sgdsheet.sheet.references import Cell, Range, parse_range

HOST = "web"
"""What the trainer calls the program in which these workbooks are open."""

PATIENCE = 120.0
"""Seconds that a page waits for a command; one that takes longer goes on all the same."""

_WITH_SETTINGS = ("train", "step", "find-lr", "gradients", "report", "export", "gradient-values", "findings")
"""Commands whose options may be settings."""

_PATH_POINTS = 2_000


class ServedBook:
    """A workbook, its trainer's part in it, and what was learned of its models."""

    def __init__(self, id: str, book: OpenBook, trainer: Trainer) -> None:
        self.id, self.book, self.trainer = id, book, trainer
        self.appearance = book.appearance()
        self.curves: dict[str, LossCurve] = {}
        self.gradients: dict[str, list[list[Any]]] = {}
        """Row, column and gradient of parameter cells by the sheet of their model."""
        self.findings: dict[str, list[dict[str, Any]]] = {}
        self.options: dict[str, dict[str, Any]] = {}
        """Settings of this session by sheet, of sheets that have no place for them."""
        self.path: deque[tuple[float, float]] = deque(maxlen=_PATH_POINTS)
        """Where the two parameters of `traced` have been."""
        self.traced: tuple[Cell, Cell] | None = None
        self._report_looks: dict[str, tuple[ReportSheet, SheetLook]] = {}
        self._charts: dict[str, tuple[int, list[dict[str, Any]]]] = {}
        self._models: tuple[tuple[object, ...], list[FoundModel]] | None = None
        self.recovered: float | None = None
        """When what was taken up from an earlier session was kept."""
        self._autosave: Autosave | None = None
        self._stamp, self._changed_on_disk = _stamp(book), False
        book.undo_command = self._undo_command

    # --- what pages look at -------------------------------------------------------------------------------

    def view(self, sheet: str) -> SheetView:
        """What a page sees of a sheet."""
        book = self.book
        return SheetView(
            self.appearance,
            lambda: self.look(sheet),
            sheet,
            book.workbook.date1904,
            book.values_in,
            book.number_formats,
            RuleFormulas(lambda asked: book.loose_values(sheet, asked), lambda: book.version),
            book,
            book.values_at_once,
        )

    def look(self, sheet: str) -> SheetLook:
        """How a sheet looks: as in the file, or as a report that was made since."""
        report = self.book.report_sheets.get(sheet)
        if report is None:
            return self.appearance.sheet(sheet)
        known = self._report_looks.get(sheet)
        if known is None or known[0] is not report:
            known = self._report_looks[sheet] = report, report_look(report, self.appearance.number_of)
        return known[1]

    def models(self) -> list[FoundModel]:
        """The models of all sheets; found anew when names or formulas have changed."""
        workbook = self.book.workbook
        state = (tuple(workbook.names), tuple(workbook.sheets), self.book.version if not self.training else None)
        if self._models is None or self._models[0] != state:
            self._models = state, models_in(workbook, SPREADSHEET)
        return self._models[1]

    def problem(self, sheet: str) -> Problem | None:
        """The model of a sheet, if it has one that can be used."""
        return next((found.problem for found in self.models() if found.sheet == sheet), None)

    def charts(self, sheet: str) -> list[dict[str, Any]]:
        """The charts of a sheet, with the present values. Asked again before anything changes, it is the same list."""
        version = self.book.version
        known = self._charts.get(sheet)
        if known is not None and known[0] == version:
            return known[1]
        report = self.book.report_sheets.get(sheet)
        own = [chart for chart in self.book.workbook.charts if chart.sheet == sheet]
        if report is not None:
            own = [chart for chart in [report_chart(report)] if chart is not None]
        found = [chart_for_page(chart, self.book.values_in) for chart in own if chart.series]
        undrawn = [chart for chart in self.book.workbook.undrawn_charts if chart.sheet == sheet]
        found += [undrawn_for_page(chart, self.book.values_in) for chart in undrawn]
        self._charts[sheet] = version, found
        return found

    # --- the trainer --------------------------------------------------------------------------------------

    def ask(
        self, name: str, sheet: str | None, options: Mapping[str, Any] | None = None, wait: float = PATIENCE
    ) -> dict[str, Any]:
        """Have the trainer do a command, and return its reply; its refusals are replies, too."""
        known = self.options.get(sheet or "", {}) if name in _WITH_SETTINGS else {}
        request = {
            "command": name,
            "host": HOST,
            "book": self.book.key,
            "sheet": sheet,
            "options": {**known, **(options or {})},
            "wait": wait,
        }
        with self.book.command_undone() if name == "undo" else nullcontext():
            reply = self.trainer.handle(request)
        if name == "step" and reply.get("ok") and isinstance(reply.get("loss"), float) and sheet is not None:
            self.curves.setdefault(sheet, LossCurve()).stepped(reply["step"], reply["loss"])
        return reply

    def done(self, name: str, sheet: str | None, options: Mapping[str, Any] | None = None) -> dict[str, Any]:
        """The reply to a command that has to succeed. Raises HostError."""
        reply = self.ask(name, sheet, options)
        if not reply["ok"]:
            raise HostError(str(reply["error"]).rstrip("."))
        return reply

    def status(self) -> dict[str, Any]:
        """What the trainer does with the workbook."""
        reply = self.trainer.handle({"command": "status", "host": HOST, "book": self.book.key})
        return {key: value for key, value in reply.items() if key != "ok"}

    @property
    def training(self) -> bool:
        """Whether a run is going on, is paused or starts."""
        status = self.trainer.status_of(HOST, self.book.key)
        return status is not None and status.state != IDLE

    @property
    def run_sheet(self) -> str | None:
        """The sheet of the run that goes on, or went on last."""
        status = self.trainer.status_of(HOST, self.book.key)
        return status.sheet or None if status is not None else None

    def follow_run(self) -> bool:
        """Take up what the newest run has written down; whether there is anything new."""
        status = self.trainer.status_of(HOST, self.book.key)
        if status is None or status.records is None or not status.sheet:
            return False
        return self.curves.setdefault(status.sheet, LossCurve()).follow(status.records)

    def look_at_gradients(self, sheet: str, wait: float = PATIENCE) -> bool:
        """Have the gradients of a sheet's model calculated; whether they are others than before."""
        reply = self.ask("gradient-values", sheet, wait=wait)
        if reply.get("pending"):
            return False
        found = [item[1:] for item in reply["gradients"] if item[0] == sheet] if reply["ok"] else []
        changed = self.gradients.get(sheet) != found
        self.gradients[sheet] = found
        return changed

    def look_for_findings(self, sheet: str) -> bool:
        """Have a sheet's model diagnosed; whether something else is found than before."""
        reply = self.ask("findings", sheet)
        if reply.get("pending"):
            return False
        found = [_finding(item, sheet) for item in reply["findings"]] if reply["ok"] else []
        changed = self.findings.get(sheet) != found
        self.findings[sheet] = found
        return changed

    def trace(self, cells: tuple[Cell, Cell] | None) -> None:
        """Keep note of where two parameters go, from now on."""
        if cells != self.traced:
            self.traced = cells
            self.path.clear()
        self.follow_path()

    def follow_path(self) -> None:
        """Take note of where the traced parameters are."""
        if self.traced is None:
            return
        x, y = map(self.book.value_of, self.traced)
        if type(x) is float and type(y) is float and (not self.path or self.path[-1] != (x, y)):
            self.path.append((x, y))

    def _undo_command(self) -> None:
        self.done("undo", None)

    def changed_on_disk(self) -> bool:
        """Whether another program has changed the file since it was read or saved."""
        stamp = _stamp(self.book)
        if stamp != self._stamp:  # else nobody has written to it
            self._stamp = stamp
            self._changed_on_disk = self.book.changed_on_disk()
        return self._changed_on_disk

    # --- what is kept for after a crash -------------------------------------------------------------------

    def take_up(self) -> int:
        """Take up what an earlier session left unsaved, and keep from now on what is not saved; returns how much.

        It is a change that can be taken back. This loads what calculates. What cannot be taken up, because another
        program has changed the file since, becomes a workbook of its own, and pages are told where. Raises
        SgdSheetError.
        """
        if self._autosave is not None:
            return 0
        kept, taken = kept_of(self.book), 0
        try:
            if kept is not None and (taken := recover(self.book)):
                self.recovered = kept.kept
            elif kept is None and (place := set_aside(self.book)) is not None:
                text = f"The file was changed after what was not saved last time. That is in {place}"
                self.book.events.tell(Event("message", text=text))
        finally:
            self._autosave = Autosave(self.book)
        return taken

    def recovery(self) -> dict[str, Any] | None:
        """When what was taken up from an earlier session was kept; None if there was nothing, or it is saved now."""
        if self.recovered is None or not self.book.dirty:
            return None
        return {"when": time.strftime("%d %B, %H:%M", time.localtime(self.recovered)).lstrip("0")}

    # --- the end ------------------------------------------------------------------------------------------

    def close(self) -> None:
        """Let go of the workbook; what was not saved is kept for the next time."""
        if self._autosave is not None:
            self._autosave.close()
        elif self.book.dirty:
            Autosave(self.book).close()
        self.book.close()


def _stamp(book: OpenBook) -> tuple[int, int] | None:
    """Time of change and size of a workbook's file; None if it has none."""
    try:
        status = book.path.stat() if book.path is not None else None
    except OSError:
        return 0, 0
    return (status.st_mtime_ns, status.st_size) if status is not None else None


def _finding(item: Mapping[str, Any], sheet: str) -> dict[str, Any]:
    """A finding as the page gets it: with the first of its cells that lie on a sheet."""
    from_cells = _first_area(item["cells"], sheet)
    return {
        "text": item["text"],
        "kind": item["kind"],
        "level": "warning" if item["severity"] == "warning" else "info",
        "sheet": from_cells.sheet if from_cells is not None else sheet,
        "area": list(from_cells[1:]) if from_cells is not None else None,
    }


def _first_area(texts: Sequence[str], sheet: str) -> Range | None:
    for text in texts:
        try:
            return parse_range(text, sheet)
        except SgdSheetError:
            continue
    return None
