"""`sgdsheet inspect`: what was found in a workbook."""

from __future__ import annotations

from typing import Any

import click
from rich.console import Console
from rich.table import Table

import sgdsheet
from sgdsheet.apps.cli.common import (
    console,
    count,
    figure,
    json_option,
    print_json,
    shown,
    with_source,
)
from sgdsheet.apps.cli.files import DATA, read_book
from sgdsheet.apps.cli.guidance import candidates_as_dict, is_open
from sgdsheet.apps.cli.model_choice import ModelChoice, model_and_target_arguments
from sgdsheet.apps.cli.overview import (
    describe_book,
    models_as_dict,
    sheets_as_dict,
    show_models,
    show_sheets,
    unsupported_as_dict,
)
from sgdsheet.apps.cli.progress import working
from sgdsheet.errors import ProblemError, one_line
from sgdsheet.problem.definition import Direction, Problem, models_in, sheets_with_problem
from sgdsheet.sheet.formula import formula_text
from sgdsheet.sheet.workbook import Workbook

_MODEL_KEYS = (
    *(
        "sheet",
        "source",
        "direction",
        "target",
        "targets",
        "loss_cell",
        "loss_formula",
        "loss_saved",
        "loss",
        "parameters",
    ),
    *("parameter_ranges", "constraints", "non_negative", "data", "samples", "file", "metric_cell", "settings"),
    *("unused_parameters", "overwritten_formulas", "problem", "blocks"),
)
"""What is only known of a model: null where there is none."""

_LISTED = 12
"""Fields of the source that are listed for people, at most."""


HELP_LINE, PLACE = "Show what was found: loss, parameters, blocks", 50


@click.command("inspect")
@model_and_target_arguments
@click.option("--source", type=DATA, metavar="FILE", help="The data; those that the sheet names unless given.")
@json_option
def command(
    book: str,
    choice: ModelChoice,
    source: str | None,
    as_json: bool,
) -> None:
    """Show what was found in BOOK: the loss, the parameters, the data, and the blocks between them.

    Where no model is named: its sheets, what can be calculated, and cells that look like a loss, with the commands to
    train them. What can be read off the workbook is shown at once, and the rest when torch is loaded.
    """
    workbook = read_book(book, quiet=as_json)
    try:
        problem = choice.problem(workbook, only_read=True)
    except ProblemError as error:
        if choice.is_new or not is_open(workbook, error, choice.sheet):
            raise
        _without_model(workbook, book, choice.sheet, as_json)
        return
    problem, out = with_source(problem, source), console()
    if not as_json:
        _show_named(out, named(workbook, problem))
    with working("compiling", quiet=as_json):
        model = sgdsheet.compile(workbook, problem=problem, precision="float64")
        compiled = calculated(model)
    if as_json:
        print_json({**named(workbook, model.problem), **compiled, **_elsewhere(workbook, book)})
    else:
        _show_calculated(out, problem, compiled)


def _without_model(workbook: Workbook, book: str, sheet: str | None, as_json: bool) -> None:
    out, chosen = console(), workbook.sheet(sheet) if sheet is not None else None
    name = chosen.name if chosen else None
    if not as_json:
        show_sheets(out, workbook, name)
    from sgdsheet.analysis.checking import check_workbook  # imports torch: what is shown before waits for nothing
    from sgdsheet.analysis.trial import Suggestions, suggestions
    from sgdsheet.compiler.calculated_references import block_table

    table = block_table(workbook)
    report = check_workbook(workbook, name, table=table)
    named = sheets_with_problem(workbook) if chosen is None else []
    found = Suggestions() if named else suggestions(workbook, name, table=table)
    if as_json:
        print_json({**dict.fromkeys(_MODEL_KEYS), **describe_book(workbook, book, report, found)})
    else:
        show_models(out, workbook, book, report, found)


def _elsewhere(workbook: Workbook, book: str) -> dict[str, Any]:
    """What cannot be calculated in the whole workbook, and what could be trained on sheets that have no model."""
    from sgdsheet.analysis.checking import check_workbook  # imports torch: not for the help page
    from sgdsheet.analysis.trial import Suggestions, suggestions
    from sgdsheet.compiler.calculated_references import block_table

    table, found = block_table(workbook), Suggestions()
    named = sheets_with_problem(workbook)
    for name, sheet in workbook.sheets.items():
        if name not in named and sheet.formulas:
            more = suggestions(workbook, name, table=table)
            found.offered += more.offered
            found.declined += more.declined
    unsupported = unsupported_as_dict(check_workbook(workbook, table=table))
    return {**candidates_as_dict(book, found), "unsupported": unsupported}


def named(workbook: Workbook, problem: Problem) -> dict[str, Any]:
    """What the workbook says of a model, as plain data: found without torch."""
    home = workbook.sheets[problem.loss.sheet]
    formula = home.formulas.get(problem.loss[1:])
    return {
        "book": workbook.name,
        "sheet": problem.sheet,
        "source": problem.source,
        "direction": problem.direction.value,
        "target": problem.target if problem.direction is Direction.VALUE else None,
        "targets": [{"cell": str(item.cell), "value": item.value} for item in problem.targets],
        "loss_cell": str(problem.loss),
        "loss_formula": "=" + formula_text(formula, *problem.loss[1:]) if formula else None,
        "loss_saved": home.values.get(problem.loss[1:]),
        "parameters": problem.parameter_count,
        "parameter_ranges": [{"range": str(area), "count": area.size} for area in problem.parameters],
        "overwritten_formulas": [str(area) for area in problem.overwritten],
        "constraints": [str(item) for item in problem.constraints],
        "non_negative": problem.non_negative,
        "data": str(problem.data) if problem.data else None,
        "samples": problem.data.height if problem.data else None,
        "metric_cell": str(problem.metric) if problem.metric else None,
        "settings": {item.name: item.value for item in problem.settings},
        "sheets": sheets_as_dict(workbook),
        "models": models_as_dict(models_in(workbook)),
    }


def calculated(model: sgdsheet.SheetModel) -> dict[str, Any]:
    """What is known of a model once it is compiled, as plain data."""
    from sgdsheet.data.description import described  # imports torch: not for the help page
    from sgdsheet.train.constrained.problem_kind import kind_of

    return {
        "loss": float(model().item()),
        "unused_parameters": [str(area) for area in model.unused],
        "problem": kind_of(model).as_dict(),
        "file": described(model),
        "formulas": sum(block.range.size for block in model.blocks),
        "blocks": [
            {"range": str(block.range), "cells": block.range.size, "formula": "=" + block.text}
            for block in model.blocks
        ],
    }


_WISH = {
    Direction.MINIMISE: "to be minimised",
    Direction.MAXIMISE: "to be maximised",
    Direction.VALUE: "to reach a value",
}


_REMARKS = {
    "unused_parameters": "are used by neither the objective nor a constraint: they stay as they are",
    "overwritten_formulas": "hold formulas, which train --overwrite-formulas replaces by numbers",
}
"""What is remarkable about parameters, by the key of their ranges."""


def _facts() -> Table:
    """A table of facts; those that are printed one after the other have columns of one width."""
    facts = Table.grid(padding=(0, 2))
    facts.add_column(min_width=len("constraints"))
    facts.add_column()
    return facts


def _show_named(out: Console, content: dict[str, Any]) -> None:
    book, sheet = shown(content["book"]), shown(content["sheet"])
    out.print(f"[bold]{book}[/bold], sheet [bold]{sheet}[/bold] (found by {shown(content['source'])})")
    out.print()
    facts = _facts()
    for number, item in enumerate(content["targets"]):
        facts.add_row(
            "targets" if number == 0 else "", f"[bold]{shown(item['cell'])}[/bold] is to reach {item['value']:g}"
        )
    if not content["targets"]:
        facts.add_row(
            "loss", f"[bold]{shown(content['loss_cell'])}[/bold]  {shown(one_line(content['loss_formula'] or ''))}"
        )
    for number, item in enumerate(content["parameter_ranges"]):
        facts.add_row("parameters" if number == 0 else "", f"[bold]{shown(item['range'])}[/bold]  {item['count']:,}")
    _add_remark(facts, content, "overwritten_formulas")
    for number, text in enumerate(content["constraints"]):
        facts.add_row("constraints" if number == 0 else "", shown(text))
    if content["non_negative"]:
        facts.add_row("", "all parameters at least 0 (Solver's setting)")
    if content["data"]:
        facts.add_row("sample rows", f"{shown(content['data'])}  {count(content['samples'], 'row')}")
    if content["metric_cell"]:
        facts.add_row("metric", shown(content["metric_cell"]))
    if content["settings"]:
        listed = ", ".join(f"{name} {_value(value)}" for name, value in content["settings"].items())
        facts.add_row("settings", shown(listed))
    out.print(facts)


def _show_calculated(out: Console, problem: Problem, content: dict[str, Any]) -> None:
    facts = _facts()
    if not problem.targets:
        value = f"{figure(content['loss'])}, {_WISH[problem.direction]}"
        facts.add_row("loss now", value + (f": {problem.target:g}" if problem.direction is Direction.VALUE else ""))
    _add_remark(facts, content, "unused_parameters")
    for number, line in enumerate(content["problem"]["lines"]):
        facts.add_row("problem" if number == 0 else "", shown(line))
    if content["file"]:
        _add_file(facts, content["file"])
    out.print(facts)
    out.print()
    table = Table(box=None, pad_edge=False, header_style="bold", padding=(0, 2, 0, 0))
    table.add_column("block", no_wrap=True)
    table.add_column("cells", justify="right")
    table.add_column("formula of the first cell", overflow="fold")
    for block in content["blocks"]:
        table.add_row(shown(block["range"]), f"{block['cells']:,}", shown(one_line(block["formula"])))
    out.print(table)
    out.print()
    blocks, cells = count(len(content["blocks"]), "block"), count(content["formulas"], "formula cell")
    out.print(f"{cells} in {blocks} between the parameters and the loss.")


def _add_remark(facts: Table, content: dict[str, Any], key: str) -> None:
    if content[key]:
        facts.add_row("", f"[yellow]![/yellow] {shown(', '.join(content[key][:_LISTED]))} {_REMARKS[key]}")


def _add_file(facts: Table, file: dict[str, Any]) -> None:
    """The source, its fields, and the cells that show them."""
    number = f"  {count(file['samples'], 'sample')}" if file["samples"] else ""
    facts.add_row("source", f"[bold]{shown(file['name'])}[/bold]{number}")
    for item in file["fields"][:_LISTED]:
        shape = " x ".join(map(str, item["shape"])) + " " if item["shape"] else ""
        cells = ", ".join(cell["range"] for cell in file["cells"] if cell["field"] == item["name"])
        facts.add_row(
            "", f"{shown(one_line(item['name']))}: {shape}{item['type']}{shown(f' in {cells}' if cells else '')}"
        )
    if len(file["fields"]) > _LISTED:
        facts.add_row("", f"and {len(file['fields']) - _LISTED:,} fields more")
    if file["error"]:
        facts.add_row("", f"[yellow]![/yellow] {shown(one_line(file['error']))}")


def _value(value: object) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)
