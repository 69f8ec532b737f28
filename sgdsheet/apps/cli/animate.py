"""`sgdsheet animate`: a training as a moving picture."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import click
from rich.console import Console

import sgdsheet
from sgdsheet.apps.cli.common import (
    console,
    count,
    figure,
    json_option,
    print_json,
    shown,
    source_option,
    with_source,
)
from sgdsheet.apps.cli.files import OutputFile, guard, read_book
from sgdsheet.apps.cli.guidance import find_model
from sgdsheet.apps.cli.model_choice import ModelChoice, model_arguments
from sgdsheet.apps.cli.progress import progress_bar, working
from sgdsheet.apps.cli.setting_options import settings_options
from sgdsheet.problem.settings import combine
from sgdsheet.system.outputs import ANIMATION

HELP_LINE, PLACE = "Draw the sheet's charts while it trains", 60


@click.command("animate")
@model_arguments
@settings_options
@click.option(
    "-o",
    "--output",
    type=OutputFile(ANIMATION),
    metavar="FILE",
    required=True,
    help="A .gif file, or .mp4 where ffmpeg is installed.",
)
@click.option("--seconds", type=float, default=6.0, metavar="N", show_default=True, help="How long it moves.")
@click.option("--width", type=int, default=900, metavar="N", show_default=True, help="How many pixels it is wide.")
@source_option
@json_option
def command(
    book: str,
    choice: ModelChoice,
    chosen: dict[str, Any],
    as_json: bool,
    output: str,
    **options: Any,
) -> None:
    """Train BOOK and draw its own charts as they move, with the loss beside them. BOOK is only read."""
    from sgdsheet.plots.animation import animate, check_request, moving_charts  # imports torch: not for the help page

    workbook = read_book(book, quiet=as_json)
    problem = with_source(
        find_model(workbook, book, choice, overwrite_formulas=chosen["overwrite_formulas"]), options["source"]
    )
    settings = combine(problem.settings, chosen)
    guard(workbook, problem)
    check_request(output, options["seconds"], options["width"])
    with working("compiling", quiet=as_json):
        model = sgdsheet.compile(workbook, problem=problem, precision=settings.precision)
        session = sgdsheet.Session(model, replace(settings, restarts=None))
    size = {"seconds": options["seconds"], "width": options["width"]}
    with progress_bar(session.plan.steps, session.loss_start, quiet=as_json) as show:
        picture = animate(model, output, session=session, show=show, **size)
    content = {
        "sheet": problem.sheet,
        "loss_cell": str(problem.loss),
        "loss_start": session.loss_start,
        "loss": session.loss,
        "steps": session.steps_taken,
        "charts": len(moving_charts(model)),
        "bytes": len(picture.data),
        "output": output,
    }
    if as_json:
        print_json(content)
    else:
        _show(console(), content, restarts=settings.restarts)


def _show(out: Console, content: dict[str, Any], *, restarts: int | None) -> None:
    losses = f"loss {figure(content['loss_start'])} → [bold]{figure(content['loss'])}[/bold]"
    out.print(f"{losses} in {count(content['steps'], 'step')}")
    if not content["charts"]:
        out.print("The workbook has no chart that training moves: the picture shows the loss alone.")
    if restarts:
        out.print("One start is shown: the restarts were left out.")
    out.print(f"Wrote {shown(content['output'])} ({content['bytes'] / 1000:,.0f} kB)")
