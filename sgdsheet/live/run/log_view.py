"""The sheet `SGD log`, which grows while a model is trained."""

from __future__ import annotations

from dataclasses import replace
from time import monotonic, perf_counter

from sgdsheet.hosts.base import LiveHost
from sgdsheet.live.run.background import BackgroundRun
from sgdsheet.live.run.report_sheets import LOG, log_fields, log_rows, log_sheet
from sgdsheet.train.logbook import Record

_EVERY = 0.25
"""Seconds between two updates of the chart, at least."""

_SHARE = 0.1
"""Share of the time that drawing the chart may take."""


class LogView:
    """Appends the new records of a run to the sheet; where the run has thinned its records, it makes the sheet anew.

    It comes to the `front` when it is made first, if that is wanted.
    """

    def __init__(self, title: str, *, front: bool = False) -> None:
        self._title, self._front = title, front
        self._fields: tuple[str, ...] | None = None
        self._shown: list[Record] = []
        self._next = monotonic()

    def grow(self, host: LiveHost, run: BackgroundRun, *, final: bool = False) -> None:
        """Show the steps so far, unless the last update was just now; with `final`, in any case."""
        if monotonic() < self._next and not final:
            return
        records = list(run.records.kept)
        if not records:
            return
        started = perf_counter()
        self._show(host, records)
        cost = perf_counter() - started
        self._next = monotonic() + max(_EVERY, cost / _SHARE)

    def finish(self, host: LiveHost, run: BackgroundRun) -> None:
        """Show all records of a run that is over, with its result as the last row."""
        records = list(run.records.kept)
        if run.result is not None:
            last = records[-1] if records else None
            records.append(
                Record(
                    run.result.step, None, run.result.loss, None, None, last.learning_rate if last else 0.0, None,
                    run.result.seconds,
                )
            )  # fmt: skip
        if records:
            self._show(host, records)

    def _show(self, host: LiveHost, records: list[Record]) -> None:
        fields = log_fields(records)
        old = len(self._shown)
        if fields != self._fields or records[:old] != self._shown:
            host.put_sheet(replace(log_sheet(records, fields, self._title), front=self._front))
            self._front = False  # who has gone to another sheet since stays there
        elif records[old:]:
            host.append(LOG, old + 2, log_rows(records[old:], fields))
        self._fields, self._shown = fields, records
