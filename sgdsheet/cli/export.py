"""`sgdsheet export`: the sheet as PyTorch source."""

from __future__ import annotations

from pathlib import Path
from shlex import quote

import click

import sgdsheet
from sgdsheet.cli.common import console, model_arguments, shown
from sgdsheet.errors import FileError


@click.command("export")
@model_arguments
@click.option("-o", "--output", metavar="FILE", default="model.py", show_default=True, help="Where to write.")
def command(book: str, sheet: str | None, loss: str | None, params: str | None, output: str) -> None:
    """Write the model of BOOK as readable PyTorch that imports torch only."""
    path = Path(output)
    if path.suffix != ".py":
        raise FileError(f"“{path}” is not a Python file name", remedy="Let it end with .py")
    if not path.parent.is_dir():
        raise FileError(f"“{path.parent}” is not a folder", remedy="Create it, or write somewhere else")
    from sgdsheet.export import save_export  # imports torch: not for the help page

    model = sgdsheet.compile(sgdsheet.load(book), sheet, loss=loss, params=params, precision="float64")
    try:
        written = save_export(model, path)
    except OSError as error:
        raise FileError(f"“{path}” cannot be written: {error.strerror}", remedy="Write somewhere else") from None
    console().print(shown(f"Wrote {' and '.join(str(item) for item in written)}. Run it: python {quote(str(path))}"))
