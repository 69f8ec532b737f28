"""`sgdsheet export`: the sheet as PyTorch source."""

from __future__ import annotations

from pathlib import Path

import click

import sgdsheet
from sgdsheet.apps.cli.common import console, shown, trust_option
from sgdsheet.apps.cli.files import OutputFile, guard, read_book
from sgdsheet.apps.cli.guidance import find_model, path_word, shell_command
from sgdsheet.apps.cli.model_choice import ModelChoice, model_arguments
from sgdsheet.apps.cli.progress import working
from sgdsheet.errors import FileError
from sgdsheet.problem.settings import combine
from sgdsheet.system.outputs import MODULE

HELP_LINE, PLACE = "Write the sheet as stand-alone PyTorch", 90


@click.command("export")
@model_arguments
@click.option(
    "-o",
    "--output",
    type=OutputFile(MODULE),
    metavar="FILE",
    default="model.py",
    show_default=True,
    help="Where to write.",
)
@trust_option
def command(book: str, choice: ModelChoice, output: str, trust_formulas: bool | None) -> None:
    """Write the model of BOOK as readable PyTorch that imports torch only."""
    path = Path(output)
    from sgdsheet.compiler.proof import required
    from sgdsheet.compiler.torch_source import save_export  # imports torch: not for the help page

    workbook = read_book(book, quiet=False)
    guard(workbook)
    problem = find_model(workbook, book, choice, only_read=True)
    trust = combine(problem.settings, {"trust_formulas": trust_formulas}).trust_formulas
    try:
        with working("compiling", quiet=False):
            model = sgdsheet.compile(workbook, problem=problem, precision="float64", trust_formulas=trust)
            warnings = required(model, trust=trust).warnings
            written = save_export(model, path)
    except OSError as error:
        raise FileError(f"“{path}” cannot be written: {error.strerror}", remedy="Write somewhere else") from None
    out = console()
    for warning in warnings:
        out.print(f"[yellow]{shown(warning)}[/yellow]")
    run = shell_command("python", path_word(str(path)))
    out.print(shown(f"Wrote {' and '.join(str(item) for item in written)}. Run it: {run}"), soft_wrap=True)
