"""Watching a run from the terminal."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

_PER_SECOND = 10


@contextmanager
def progress_bar(total: int, loss: float, *, quiet: bool) -> Iterator[Callable[[int, float], None]]:
    """A progress bar on a terminal, nothing elsewhere. Yields a function to call with step and loss."""
    if quiet or not sys.stderr.isatty():
        yield lambda number, loss: None
        return
    columns = (
        BarColumn(bar_width=30),
        TextColumn("step {task.completed:,}/{task.total:,}"),
        TextColumn("loss {task.fields[loss]:.6g}"),
        TimeRemainingColumn(compact=True),
    )
    with Progress(*columns, console=Console(stderr=True), transient=True, refresh_per_second=_PER_SECOND) as bar:
        task = bar.add_task("training", total=total, loss=loss)
        yield lambda number, loss: bar.update(task, completed=number, loss=loss)
