"""`sgdsheet surface`: the loss over one or two parameters as a picture."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import click

import sgdsheet
from sgdsheet.apps.cli.common import console, json_option, print_json, shown, source_option, with_source
from sgdsheet.apps.cli.files import BOOK, OutputFile, guard, read_book
from sgdsheet.apps.cli.guidance import find_model
from sgdsheet.apps.cli.model_choice import ModelChoice
from sgdsheet.apps.cli.progress import progress_bar, working
from sgdsheet.apps.cli.setting_options import settings_options
from sgdsheet.problem.settings import combine
from sgdsheet.system.outputs import PICTURE

if TYPE_CHECKING:
    from sgdsheet.analysis.loss_surface import LossSlice, LossSurface


HELP_LINE, PLACE = "Draw the loss over one or two parameters", 70


@click.command("surface")
@click.argument("book", type=BOOK)
@click.option("--sheet", "-s", metavar="NAME", help="The sheet, if several have a model.")
@click.option(
    "--loss", metavar="REF", help="The loss cell, if the sheet does not name one; --params then goes with it."
)
@click.option("--params", metavar="REF", help="One or two parameter cells, such as F6 or F6,G6.")
@settings_options
@click.option(
    "-o", "--output", type=OutputFile(PICTURE), metavar="FILE", required=True, help="A .png, .svg or .pdf file."
)
@click.option("--between", metavar="LOW:HIGH", help="What to show of each parameter, such as -4:4 or -4:4,0:10.")
@click.option("--no-path", is_flag=True, help="Don't train: show no path.")
@click.option("--three-d", is_flag=True, help="As a relief instead of contours.")
@source_option
@json_option
def command(
    book: str,
    sheet: str | None,
    loss: str | None,
    params: str | None,
    chosen: dict[str, Any],
    as_json: bool,
    output: str,
    **options: Any,
) -> None:
    """Draw the loss of BOOK over one parameter, with its tangent, or over two, with the path of a training.

    BOOK is only read. The tangent is where the sheet's value is; its slope is the exact gradient, beside that by finite
    differences. The path is trained anew from BOOK's values, and a training repeats exactly: after train BOOK, which
    writes another file, the same settings show the path of that training.
    """
    from sgdsheet.plots.surface import surface  # imports torch: not for the help page

    between = _spans(options["between"])
    workbook = read_book(book, quiet=as_json)
    choice = ModelChoice(sheet, loss, params if loss is not None else None)
    problem = find_model(workbook, book, choice, overwrite_formulas=chosen["overwrite_formulas"])
    problem = with_source(problem, options["source"])
    settings = combine(problem.settings, chosen)
    guard(workbook, problem)
    with working("compiling", quiet=as_json):
        model = sgdsheet.compile(workbook, problem=problem, precision=settings.precision)
        session = sgdsheet.Session(model, replace(settings, restarts=None))
    with progress_bar(session.plan.steps, session.loss_start, quiet=as_json) as show:
        picture = surface(
            model,
            params,
            output,
            between=between,
            path=not options["no_path"],
            three_d=options["three_d"],
            session=session,
            show=show,
        )
    if as_json:
        print_json({"sheet": problem.sheet, "loss_cell": str(problem.loss), **as_dict(picture.shows), "output": output})
        return
    out, content = console(), as_dict(picture.shows)
    if "gradient" in content:
        out.print(f"at {shown(content['parameters'][0])} = {content['at']:g} the loss is {content['loss']:.10g}")
        out.print(f"exact gradient {content['gradient']:.10g}, by differences {content['difference']:.10g}")
    out.print(f"Wrote {shown(output)}")


def as_dict(found: LossSlice | LossSurface) -> dict[str, Any]:
    """What was drawn, as JSON has it."""
    from sgdsheet.analysis.loss_surface import LossSlice  # imports torch: not for the help page

    if isinstance(found, LossSlice):
        return {
            "parameters": [str(found.axis.cell)],
            "values": [found.axis.values],
            "losses": found.losses,
            "at": found.at,
            "loss": found.loss,
            "gradient": found.gradient,
            "difference": found.difference,
            "width": found.width,
        }
    axes = (found.x, found.y)
    return {
        "parameters": [str(axis.cell) for axis in axes],
        "values": [axis.values for axis in axes],
        "losses": found.losses,
    }


def _spans(text: str | None) -> list[tuple[float, float]]:
    """Spans from the command line: LOW:HIGH for each parameter."""
    found = []
    for part in text.split(",") if text is not None else ():
        try:
            low, high = (float(number) for number in part.split(":"))
        except ValueError:
            raise click.UsageError(f"--between has {part!r} instead of two numbers such as -4:4") from None
        found.append((low, high))
    return found
