"""Watching a run from the terminal."""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

from sgdsheet.system.long_work import UNNOTICED, LongWork

_PER_SECOND = 10


@contextmanager
def progress_bar(total: int, loss: float, *, quiet: bool) -> Iterator[Callable[[int, float], None]]:
    """A progress bar on a terminal, nothing elsewhere. Yields a function to call with step and loss.

    Stages of work other than steps, such as drawing what the steps came to, are named when they take long.
    """
    if quiet or not sys.stderr.isatty():
        yield lambda number, loss: None
        return
    columns = (
        BarColumn(bar_width=30),
        TextColumn("step {task.completed:,}/{task.total:,}"),
        TextColumn("loss {task.fields[loss]:.6g}"),
        TimeRemainingColumn(compact=True),
        TextColumn("{task.description}"),
    )
    with Progress(*columns, console=Console(stderr=True), transient=True, refresh_per_second=_PER_SECOND) as bar:
        task = bar.add_task("", total=total, loss=loss)
        with LongWork(lambda text: bar.update(task, description=text)).under():
            yield lambda number, loss: bar.update(task, completed=number, loss=loss)


@contextmanager
def working(what: str, *, quiet: bool) -> Iterator[Callable[[float], None]]:
    """Show on a terminal that something is being done, once it has taken a second; nothing elsewhere.

    What the work says of its stages stands beside the bar. Yields a function to call with the share that is done, from
    0 to 1; until that is known the bar only moves.
    """
    if quiet or not sys.stderr.isatty():
        yield lambda share: None
        return
    columns = (TextColumn("{task.description}"), BarColumn(bar_width=30), TimeRemainingColumn(compact=True))
    bar = Progress(*columns, console=Console(stderr=True), transient=True, refresh_per_second=_PER_SECOND)
    task = bar.add_task(what, total=None)
    timer = threading.Timer(UNNOTICED, bar.start)
    timer.daemon = True
    work = LongWork(
        lambda _: bar.update(
            task,
            description=work.what or what,
            total=None if work.share is None else 1.0,
            completed=work.share or 0.0,
        )
    )
    timer.start()
    try:
        with work.under(), work.stage(what):
            yield work.done
    finally:
        timer.cancel()
        timer.join()
        bar.stop()
