"""`sgdsheet new`: example workbooks."""

from __future__ import annotations

from pathlib import Path

import click

from sgdsheet.apps import examples
from sgdsheet.apps.cli.common import console, shown
from sgdsheet.apps.cli.files import InputFile, OutputFile, guard
from sgdsheet.apps.cli.guidance import path_word, shell_command
from sgdsheet.errors import FileError, quoted
from sgdsheet.system.outputs import EXAMPLE

HELP_LINE, PLACE = "Build an example workbook", 100


@click.command("new")
@click.argument("name", required=False)
@click.option(
    "-o", "--output", type=OutputFile(EXAMPLE), metavar="BOOK", help="Where to write; NAME.xlsx here unless given."
)
@click.option(
    "--csv",
    type=InputFile("the table"),
    metavar="FILE",
    help="Build it from this table (titanic: a passenger file such as train.csv).",
)
@click.option("--force", is_flag=True, help="Replace a file that exists.")
def command(name: str | None, output: str | None, csv: str | None, force: bool) -> None:
    """Build the example workbook NAME; without a name, list the examples."""
    out = console()
    if name is None:
        for known, description in examples.names().items():
            out.print(f"[bold]{shown(known)}[/bold]  {shown(description)}")
        return
    if name not in examples.names():
        raise click.BadParameter(f"there is no example {quoted(name)}; choose one of {', '.join(examples.names())}")
    path = Path(output if output is not None else f"{name}.xlsx")
    guard(output=path)
    _refuse_existing(path, force)
    try:
        options: dict[str, object] = {"csv": Path(csv)} if csv is not None else {}
        examples.build(name, path.resolve(), lambda: _refuse_existing(path, force), **options)
    except OSError as error:
        raise FileError(f"“{path}” cannot be written: {error.strerror}", remedy="Write somewhere else") from None
    models = dict.fromkeys(training.sheet for training in examples.lessons()[name].trainings)
    sheet = ("--sheet", next(iter(models))) if len(models) > 1 else ()
    out.print(
        shown(f"Wrote {path}. Look inside: {shell_command('sgdsheet', 'inspect', path_word(str(path)), *sheet)}"),
        soft_wrap=True,
    )


def _refuse_existing(path: Path, force: bool) -> None:
    if path.exists() and not force:
        raise FileError(f"“{path}” exists already", remedy="Choose another name with -o, or say --force")
