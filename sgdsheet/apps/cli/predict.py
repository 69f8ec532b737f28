"""`sgdsheet predict`: what a trained sheet says about every sample of a file."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import click

import sgdsheet
from sgdsheet.apps.cli.common import (
    console,
    count,
    figure,
    json_option,
    print_json,
    shown,
    trust_option,
    with_source,
)
from sgdsheet.apps.cli.files import DATA, OutputFile, guard, read_book
from sgdsheet.apps.cli.guidance import find_model
from sgdsheet.apps.cli.model_choice import ModelChoice, model_arguments
from sgdsheet.apps.cli.progress import working
from sgdsheet.problem.settings import combine
from sgdsheet.sheet.defined_names import areas_of
from sgdsheet.system.outputs import TABLE

HELP_LINE, PLACE = "Evaluate a trained sheet on every sample of a file", 20


@click.command("predict")
@model_arguments
@click.option("--source", type=DATA, metavar="FILE", help="The data; those that the sheet names unless given.")
@click.option("--part", type=click.Choice(["train", "valid", "test"]), help="Which part; test, if there is one.")
@click.option("--cells", metavar="REF", help="The cells to write; those named sgd_output unless given.")
@click.option("--device", metavar="VALUE", help="Where to calculate (auto, cpu or cuda).")
@trust_option
@click.option(
    "-o",
    "--output",
    type=OutputFile(TABLE),
    default="predictions.csv",
    show_default=True,
    metavar="OUT",
    help="A .csv or .parquet file.",
)
@json_option
def command(book: str, choice: ModelChoice, as_json: bool, **options: Any) -> None:
    """Evaluate BOOK on all samples of its source, and write each sample's predictions into a file."""
    from sgdsheet.compiler.proof import required
    from sgdsheet.data.predictions import predict
    from sgdsheet.data.splits import origin_of  # imports torch: not for the help page
    from sgdsheet.data.tables import table_writer

    output = Path(options["output"])
    workbook = read_book(book, quiet=as_json)
    own = find_model(workbook, book, choice, only_read=True)
    problem = with_source(own, options["source"])
    origin_of(problem)
    guard(workbook, problem)
    areas = areas_of(workbook, options["cells"], problem.sheet, "--cells") if options["cells"] else ()
    settings = combine(problem.settings, {key: options[key] for key in ("device", "trust_formulas")})
    settings, trust = replace(settings, batch_size=None), settings.trust_formulas
    with working("compiling", quiet=as_json):
        model = sgdsheet.compile(workbook, problem=problem, precision=settings.precision, trust_formulas=trust)
        required(model, trust=trust)
        trained_on = own.origin if options["source"] else None
        found = predict(model, settings, part=options["part"], areas=areas, trained_on=trained_on)
    with table_writer(output, found.columns) as write, working("predicting", quiet=as_json) as watch:
        done = 0
        for columns in found.table():
            write(columns)
            done += len(columns[0])
            watch(done / found.count)
    if as_json:
        print_json(
            {
                "sheet": problem.sheet,
                "source": found.data.name,
                "part": found.part,
                "samples": found.count,
                "loss": found.loss,
                "metric": found.metric,
                "notes": found.notes,
                "columns": found.columns,
                "output": str(output),
            }
        )
        return
    out = console()
    out.print(f"{shown(found.data.name)}, {found.part}: {count(found.count, 'sample')}")
    if found.loss is not None:
        metric = f", metric [bold]{found.metric:.4g}[/bold]" if found.metric is not None else ""
        out.print(f"loss {figure(found.loss)}{metric}")
    for note in found.notes:
        out.print(f"[yellow]![/yellow] {shown(note)}")
    out.print(f"Wrote {shown(output)}: {shown(', '.join(found.columns[:8]))}{', …' if len(found.columns) > 8 else ''}")
