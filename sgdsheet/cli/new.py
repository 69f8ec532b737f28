"""`sgdsheet new`: example workbooks."""

from __future__ import annotations

from pathlib import Path

import click

from sgdsheet import examples
from sgdsheet.cli.common import console
from sgdsheet.errors import FileError


@click.command("new")
@click.argument("name", required=False)
@click.option("-o", "--output", metavar="BOOK", help="Where to write; NAME.xlsx here unless given.")
@click.option("--force", is_flag=True, help="Replace a file that exists.")
def command(name: str | None, output: str | None, force: bool) -> None:
    """Build the example workbook NAME; without a name, list the examples."""
    out = console()
    if name is None:
        for known, description in examples.names().items():
            out.print(f"[bold]{known}[/bold]  {description}")
        return
    if name not in examples.names():
        raise click.BadParameter(f"there is no example “{name}”; choose one of {', '.join(examples.names())}")
    path = Path(output or f"{name}.xlsx")
    if path.exists() and not force:
        raise FileError(f"“{path}” exists already", remedy="Choose another name with -o, or say --force")
    try:
        examples.build(name, path)
    except OSError as error:
        raise FileError(f"“{path}” cannot be written: {error.strerror}", remedy="Write somewhere else") from None
    out.print(f"Wrote {path}. Look inside: sgdsheet inspect {path}")
