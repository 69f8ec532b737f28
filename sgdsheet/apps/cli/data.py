"""`sgdsheet data`: datasets that sheets can train on."""

from __future__ import annotations

from pathlib import Path

import click

from sgdsheet.apps.cli.common import console, json_option, print_json, shown
from sgdsheet.apps.cli.files import InputFile
from sgdsheet.data import datasets
from sgdsheet.errors import quoted

HELP_LINE, PLACE = "Fetch a dataset, or list them", 110


@click.command("data")
@click.argument("name", required=False)
@click.option(
    "--from",
    "origin",
    type=InputFile("the files"),
    metavar="DIR",
    help="Take the files from this folder instead of the web.",
)
@json_option
def command(name: str | None, origin: str | None, as_json: bool) -> None:
    """Fetch the dataset NAME, verified, and say where it is; without a name, list the datasets."""
    if name is None:
        if origin is not None:
            raise click.UsageError("--from needs the name of a dataset")
        _list(as_json)
        return
    if name not in datasets.DATASETS:
        raise click.BadParameter(f"there is no dataset {quoted(name)}; choose one of {', '.join(datasets.DATASETS)}")
    dataset = datasets.find(name)
    out = console()
    if origin is not None:
        path = datasets.copy_from(dataset, Path(origin).expanduser())
    else:
        from sgdsheet.data import download  # imports requests: not for the list and the help page

        path = download.fetch(dataset, lambda line: None if as_json else out.print(shown(line)))
    if as_json:
        print_json({"name": name, "path": str(path), "description": dataset.description})
        return
    out.print(shown(f"{name} is in {path}"))
    out.print(f"Name it in a sheet's sgd_source, or on the command line: --source {name}")


def _list(as_json: bool) -> None:
    rows = [(dataset, datasets.cached(dataset)) for dataset in datasets.DATASETS.values()]
    if as_json:
        known = [
            {"name": row.name, "description": row.description, "path": str(path) if path else None}
            for row, path in rows
        ]
        print_json({"datasets": known})
        return
    out = console()
    for dataset, path in rows:
        out.print(f"[bold]{shown(dataset.name)}[/bold]  {shown(dataset.description)}")
        out.print(shown(f"  in {path}" if path else f"  not fetched yet: sgdsheet data {dataset.name}"))
