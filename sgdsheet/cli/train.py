"""`sgdsheet train`: from a workbook to a trained workbook."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import click
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

import sgdsheet
from sgdsheet.cli.common import F, book_argument, console, count, figure, json_option, loss_option, params_option
from sgdsheet.cli.common import print_json, sheet_option
from sgdsheet.references import Cell
from sgdsheet.settings import DECLARATIONS, combine
from sgdsheet.workbook import Value

_REFRESH = 0.1


def settings_options(command: F) -> F:
    """One option per setting, from the one declaration of each."""
    for item in reversed(DECLARATIONS):
        help_text = f"{item.help} ({item.allowed})."
        command = click.option(item.flag, item.key, metavar="VALUE", help=help_text)(command)
    return command


@dataclass(slots=True)
class Outcome:
    """What a run came to, for people and for `--json`."""

    session: sgdsheet.Session
    output: Path
    interrupted: bool
    metric_start: Value | None = None
    metric: Value | None = None
    stale: list[str] = field(default_factory=list)


@click.command("train")
@book_argument
@sheet_option
@loss_option
@params_option
@settings_options
@click.option("-o", "--output", metavar="OUT", help="Where to write; BOOK-trained.xlsx unless given.")
@click.option("--in-place", is_flag=True, help="Write into BOOK itself.")
@json_option
def command(
    book: str,
    sheet: str | None,
    loss: str | None,
    params: str | None,
    output: str | None,
    in_place: bool,
    as_json: bool,
    **options: Any,
) -> None:
    """Train the parameters of BOOK and write a trained copy, with nothing else in the file changed."""
    if output is not None and in_place:
        raise click.UsageError("--output and --in-place exclude each other")
    combine((), options)  # a wrong flag is wrong usage, whatever the workbook holds
    host = sgdsheet.FileHost(book)
    workbook = host.read()
    path = Path(book)
    target = path if in_place else Path(output) if output else path.with_name(f"{path.stem}-trained{path.suffix}")
    host.check_output(target)
    model = sgdsheet.compile(workbook, sheet, loss=loss, params=params)
    session = sgdsheet.Session(model, combine(model.problem.settings, options))
    out = console()
    if not as_json:
        _announce(out, session)
    interrupted = _run(session, quiet=as_json)
    outcome = Outcome(session, target, interrupted)
    host.write(_results(session, outcome))
    host.save(None if in_place else target)
    if as_json:
        print_json(as_dict(outcome))
    else:
        _report(out, outcome)


def _run(session: sgdsheet.Session, *, quiet: bool) -> bool:
    """Take all steps; True if the user stopped it with Ctrl-C. The best parameters are in place either way."""
    steps = iter(session)
    try:
        with _progress(session, quiet) as show:
            for step in steps:
                show(step.number, step.loss)
    except KeyboardInterrupt:
        return True
    finally:
        steps.close()  # type: ignore[attr-defined]
    return False


@contextmanager
def _progress(session: sgdsheet.Session, quiet: bool) -> Iterator[Callable[[int, float], None]]:
    """A progress bar on a terminal, nothing elsewhere."""
    if quiet or not sys.stderr.isatty():
        yield lambda number, loss: None
        return
    columns = (
        BarColumn(),
        TextColumn("step {task.completed:,}/{task.total:,}"),
        TextColumn("loss {task.fields[loss]:.6g}"),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=Console(stderr=True), transient=True, refresh_per_second=1 / _REFRESH) as bar:
        task = bar.add_task("training", total=session.steps_planned, loss=session.loss_start)
        yield lambda number, loss: bar.update(task, completed=number, loss=loss)


def _results(session: sgdsheet.Session, outcome: Outcome) -> dict[Cell, Value]:
    """The new parameters, and the values of all formula cells that depend on them."""
    model = session.model
    cells = model.dependent_cells()
    outcome.stale = [str(block.range) for block, _ in cells.failures]
    metric = model.problem.metric
    if metric is not None:
        outcome.metric_start = model.workbook.sheets[metric.sheet].values.get(metric[1:])
        outcome.metric = cells.values.get(metric, outcome.metric_start)
    return {**cells.values, **model.parameter_cells()}


def as_dict(outcome: Outcome) -> dict[str, Any]:
    """The outcome with the keys of the contract."""
    session, problem = outcome.session, outcome.session.model.problem
    return {
        "sheet": problem.sheet,
        "loss_cell": str(problem.loss),
        "parameters": problem.parameter_count,
        "optimizer": session.optimizer.name,
        "learning_rate": session.learning_rate,
        "loss_start": session.loss_start,
        "loss": session.loss,
        "steps": session.steps_taken,
        "epochs": None,
        "seconds": session.seconds,
        "seconds_per_step": session.seconds / session.steps_taken if session.steps_taken else None,
        "metric": outcome.metric,
        "valid_loss": None,
        "stopped": "interrupted" if outcome.interrupted else session.stopped or None,
        "not_recalculated": outcome.stale,
        "output": str(outcome.output),
    }


def _announce(out: Console, session: sgdsheet.Session) -> None:
    problem = session.model.problem
    name, parameters = session.model.workbook.name, count(problem.parameter_count, "parameter")
    out.print(f"[bold]{name}[/bold], sheet [bold]{problem.sheet}[/bold]: {parameters}, loss {problem.loss}")
    out.print(f"optimizer {session.optimizer.name}, learning rate {session.learning_rate:g}")


def _report(out: Console, outcome: Outcome) -> None:
    session = outcome.session
    rate = f", {session.steps_taken / session.seconds:,.0f} steps/s" if session.seconds else ""
    steps = count(session.steps_taken, "step")
    out.print(
        f"loss {figure(session.loss_start)} → [bold]{figure(session.loss)}[/bold] in {steps},"
        f" {session.seconds:.2f} s{rate}"
    )
    if isinstance(outcome.metric, float) and isinstance(outcome.metric_start, float):
        metric = session.model.problem.metric
        out.print(f"metric {metric} {outcome.metric_start:.4g} → [bold]{outcome.metric:.4g}[/bold]")
    if outcome.interrupted:
        out.print("[yellow]Stopped by Ctrl-C; the best parameters so far were written.[/yellow]")
    elif session.stopped:
        out.print(f"Stopped early: {session.stopped}.")
    if outcome.stale:
        listed = ", ".join(outcome.stale[:4]) + (", …" if len(outcome.stale) > 4 else "")
        out.print(f"[yellow]Not recalculated here: {listed}. Recalculate in the spreadsheet (Ctrl+Alt+F9).[/yellow]")
    out.print(f"Wrote {outcome.output}")
