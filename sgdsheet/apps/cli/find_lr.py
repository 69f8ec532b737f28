"""`sgdsheet find-lr`: which learning rate suits a model."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import click
from rich.console import Console

import sgdsheet
from sgdsheet.apps.cli.common import console, json_option, print_json, shown, source_option, trust_option, with_source
from sgdsheet.apps.cli.files import OutputFile, guard, read_book
from sgdsheet.apps.cli.guidance import find_model
from sgdsheet.apps.cli.model_choice import ModelChoice, model_arguments
from sgdsheet.apps.cli.progress import working
from sgdsheet.apps.cli.sparkline import bars
from sgdsheet.plots.loss_curves import save_learning_rate_plot
from sgdsheet.problem.optimizers import OPTIMIZERS, Family
from sgdsheet.problem.settings import Settings, combine
from sgdsheet.system.extras import optional
from sgdsheet.system.outputs import PICTURE

if TYPE_CHECKING:
    from sgdsheet.analysis.diagnosis.lr_finder import LearningRates

_WIDTH = 60
_PER_DECADE = 2  # rows of the table for each power of ten
_SAMPLES = 2048  # samples of a source that every step looks at


HELP_LINE, PLACE = "Suggest a learning rate", 40


@click.command("find-lr")
@model_arguments
@source_option
@click.option("--optimizer", metavar="NAME", help="For which optimizer; the sheet's, or sgd, unless given.")
@click.option("--momentum", type=click.FloatRange(0, 1, max_open=True), metavar="VALUE", help="Its momentum.")
@trust_option
@click.option(
    "--plot",
    type=OutputFile(PICTURE),
    metavar="FILE",
    help="Draw the loss over the learning rate (.png, .svg or .pdf).",
)
@json_option
def command(
    book: str,
    choice: ModelChoice,
    source: str | None,
    optimizer: str | None,
    momentum: float | None,
    trust_formulas: bool | None,
    plot: str | None,
    as_json: bool,
) -> None:
    """Suggest a learning rate for BOOK: try larger and larger ones until the loss explodes. BOOK is only
    read."""
    from sgdsheet.analysis.diagnosis.lr_finder import find_learning_rate
    from sgdsheet.compiler.proof import required
    from sgdsheet.data.sample_choice import bind_samples  # imports torch: not for the help page
    from sgdsheet.train.session import threads

    workbook = read_book(book, quiet=as_json)
    problem = with_source(find_model(workbook, book, choice, only_read=True), source)
    guard(workbook, problem)
    if plot is not None:
        optional("matplotlib", "plot")
    settings = combine(problem.settings, {"device": "cpu", "trust_formulas": trust_formulas})
    with working("compiling", quiet=as_json):
        model = sgdsheet.compile(workbook, problem=problem, trust_formulas=settings.trust_formulas)
        proof = required(model, trust=settings.trust_formulas)
        bound = bind_samples(model, settings)
    if optimizer is None:
        optimizer = settings.optimizer if _has_rate(settings) else "sgd"
        momentum = settings.momentum if momentum is None and _has_rate(settings) else momentum
    with threads(1), working("trying learning rates", quiet=as_json):
        some = bound.some(_SAMPLES) if bound is not None else None
        found = find_learning_rate(model, optimizer, momentum=momentum, loss=some)
    if plot is not None:
        save_learning_rate_plot(found.rates, found.losses, found.suggestion, plot)
    if as_json:
        print_json({**as_dict(model, found, plot), "warnings": proof.warnings})
    else:
        for warning in proof.warnings:
            console().print(f"[yellow]{shown(warning)}[/yellow]")
        _show(console(), found)
        if plot is not None:
            console().print(f"Wrote {shown(plot)}")


def _has_rate(settings: Settings) -> bool:
    """Whether the sheet's optimizer has a learning rate to look for."""
    row = OPTIMIZERS.get(settings.optimizer)
    return row is not None and row.family is Family.GRADIENT and not row.accumulates


def as_dict(model: sgdsheet.SheetModel, found: LearningRates, plot: str | None) -> dict[str, Any]:
    """The sweep as JSON has it."""
    return {
        "sheet": model.problem.sheet,
        "loss_cell": str(model.problem.loss),
        "optimizer": found.optimizer,
        "suggestion": found.suggestion,
        "stable_rate": found.stable_rate,
        "exploded_at": found.exploded_at,
        "loss_start": found.loss_start,
        "rates": found.rates,
        "losses": found.losses,
        "plot": plot,
    }


def _show(out: Console, found: LearningRates) -> None:
    out.print(f"learning rate [bold]{found.suggestion:g}[/bold] for {shown(found.optimizer)}")
    if found.stable_rate is not None:
        out.print(f"plain gradient descent is stable below {found.stable_rate:.3g}")
    if not found.moves:
        out.print("[yellow]![/yellow] no step changes the loss here: “sgdsheet check” may tell why")
        return
    out.print()
    _draw(out, found)
    out.print()
    out.print("learning rate  loss after the step")
    for index in _table_rows(found):
        out.print(f"{found.rates[index]:13.2g}  {found.losses[index]:.6g}")


def _draw(out: Console, found: LearningRates) -> None:
    """The loss over the learning rate as a line of bars, with the suggestion marked below."""
    decades = math.log10(found.rates[-1] / found.rates[0])
    width = min(_WIDTH, len(found.rates))
    picked = [round(at * (len(found.rates) - 1) / (width - 1)) for at in range(width)]
    out.print("loss  " + _bars([found.losses[index] for index in picked], found.loss_start))
    at = round((width - 1) * math.log10(found.suggestion / found.rates[0]) / decades)
    if 0 <= at < width:
        out.print(" " * (6 + at) + "↑ suggestion")
    ends = f"{found.rates[0]:.2g}", f"{found.rates[-1]:.2g}"
    out.print("rate  " + ends[0] + " " * max(1, width - len("".join(ends))) + ends[1])


def _bars(losses: list[float], start: float) -> str:
    """One bar per loss; what is far above the start is cut off."""
    low = min(loss for loss in [*losses, start] if math.isfinite(loss))
    high = start + (abs(start) if start == low else 0.3 * (start - low))
    return bars(losses, low, high)


def _table_rows(found: LearningRates) -> range:
    """A few rows per power of ten."""
    decades = math.log10(found.rates[-1] / found.rates[0])
    return range(0, len(found.rates), max(1, round(len(found.rates) / decades / _PER_DECADE)))
