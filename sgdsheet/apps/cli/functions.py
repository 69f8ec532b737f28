"""`sgdsheet functions`: what is supported."""

from __future__ import annotations

from typing import Any

import click
from rich.table import Table

from sgdsheet.apps.cli.common import console, json_option, print_json, shown
from sgdsheet.problem.optimizers import OPTIMIZERS
from sgdsheet.problem.settings import DECLARATIONS

HELP_LINE, PLACE = "List the Excel functions, optimizers and settings", 140


@click.command("functions")
@json_option
def command(as_json: bool) -> None:
    """List the Excel functions that may stand between parameters and loss, the optimizers and the settings."""
    content = describe()
    if as_json:
        print_json(content)
        return
    out = console()
    for title, key, columns in (
        ("Excel functions", "functions", ("name", "help", "derivative")),
        ("Optimizers", "optimizers", ("name", "help")),
        ("Settings", "settings", ("name", "flag", "allowed")),
    ):
        table = Table(title=title, title_justify="left", title_style="bold", box=None, header_style="dim")
        for number, column in enumerate(columns):
            table.add_column(
                "what it does" if column == "help" else column,
                style="bold" if number == 0 else None,
                no_wrap=number == 0,
            )
        for item in content[key]:
            table.add_row(*(shown(item[column]) for column in columns))
        out.print(table)
        out.print()


def describe() -> dict[str, list[dict[str, Any]]]:
    """Everything by name, as plain data."""
    from sgdsheet.compiler.functions import REGISTRY  # imports torch: not for the help page

    return {
        "functions": [
            {
                "name": item.name,
                "category": item.category,
                "help": item.help,
                "derivative": item.derivative.value,
                "examples": dict(item.examples),
            }
            for item in sorted(REGISTRY.values(), key=lambda item: item.name)
        ],
        "optimizers": [
            {"name": item.name, "help": item.help, "learning_rate": item.learning_rate} for item in OPTIMIZERS.values()
        ],
        "settings": [
            {"name": item.label, "flag": item.flag, "allowed": item.allowed, "help": item.help} for item in DECLARATIONS
        ],
    }
