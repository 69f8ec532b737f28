"""The sheet `SGD log` while it grows."""

from __future__ import annotations

from time import monotonic, perf_counter

from sgdsheet.hosts.base import LiveHost
from sgdsheet.live.run.background import BackgroundRun
from sgdsheet.live.run.own_sheets import LOG, log_fields, log_rows, log_sheet
from sgdsheet.train.logbook import Record

_EVERY = 0.25
"""Seconds between two looks at the chart, at least."""

_SHARE = 0.1
"""Of the time, what drawing the chart may take."""


class LogView:
    """Appends what has come since the last look; when the records were thinned, makes the sheet anew."""

    def __init__(self, title: str) -> None:
        self._title = title
        self._fields: tuple[str, ...] | None = None
        self._shown: list[Record] = []
        self._next = monotonic()

    def grow(self, host: LiveHost, run: BackgroundRun, *, final: bool = False) -> None:
        """Show the steps so far, if it is time."""
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
        """Show all that is known at the end, the end itself included."""
        records = list(run.records.kept)
        if run.ending is not None:
            last = records[-1] if records else None
            records.append(
                Record(
                    run.ending.step, None, run.ending.loss, None, None, last.learning_rate if last else 0.0, None,
                    run.ending.seconds,
                )
            )  # fmt: skip
        if records:
            self._show(host, records)

    def _show(self, host: LiveHost, records: list[Record]) -> None:
        fields = log_fields(records)
        old = len(self._shown)
        if fields != self._fields or records[:old] != self._shown:
            host.put_sheet(log_sheet(records, fields, self._title))
        elif records[old:]:
            host.append(LOG, old + 2, log_rows(records[old:], fields))
        self._fields, self._shown = fields, records
