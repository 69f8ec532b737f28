"""`sgdsheet functions`: what is supported, and one function explained."""

from __future__ import annotations

from fnmatch import fnmatchcase
from typing import Any

import click
from rich.console import Console
from rich.table import Table
from rich.text import Text

from sgdsheet.apps.cli import function_index
from sgdsheet.apps.cli.common import console, json_option, print_json, shown
from sgdsheet.apps.cli.function_index import Description
from sgdsheet.problem.optimizers import OPTIMIZERS
from sgdsheet.problem.settings import DECLARATIONS

HELP_LINE, PLACE = "List the Excel functions, or explain one; optimizers and settings", 140

_WIDTH = 14
"""Columns for the labels beside a function's explanation."""
_WIDEST = 34
"""Columns for how functions are called, beside what they give."""


@click.command("functions")
@click.argument("name", required=False, metavar="[NAME]")
@json_option
def command(name: str | None, as_json: bool) -> None:
    """Explain the Excel function NAME: its arguments, examples, its derivative, what differs from Excel.

    A NAME with * lists the functions that fit, such as "SGD_*". Without NAME, list all functions that formulas may
    call, the optimizers and the settings."""
    if name is not None and "*" not in name:
        _explain(name, as_json)
        return
    if name is not None:
        _list_fitting(name, as_json)
        return
    content = describe()
    if as_json:
        print_json(content)
        return
    out = console()
    _list_functions(out, content["functions"])
    for title, key, columns in (
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


def _list_functions(out: Console, functions: list[dict[str, Any]]) -> None:
    """All functions by category, each with its line."""
    width = max(len(item["name"]) for item in functions)
    for category in dict.fromkeys(item["category"] for item in function_index.calculated()):
        table = Table(title=f"{category}", title_justify="left", title_style="bold", box=None, show_header=False)
        table.add_column(style="bold", no_wrap=True, min_width=width)
        table.add_column()
        for item in functions:
            if item["category"] == category:
                table.add_row(shown(item["name"]), shown(item["help"]))
        out.print(table)
        out.print()
    out.print(f"{len(functions)} functions. “sgdsheet functions NAME” explains one.")
    out.print()


def _list_fitting(pattern: str, as_json: bool) -> None:
    found = [item for item in describe()["functions"] if fnmatchcase(item["name"], pattern.upper())]
    if not found:
        raise click.UsageError(f"No function fits {pattern.upper()}. “sgdsheet functions” lists them all")
    if as_json:
        print_json({"functions": found})
        return
    table = Table(box=None, show_header=False)
    table.add_column(style="bold", max_width=_WIDEST)
    table.add_column()
    for item in found:
        table.add_row(shown(item["signature"]), shown(item["help"]))
    console().print(table)


def _explain(name: str, as_json: bool) -> None:
    found = function_index.described(name)
    if found is None:
        near = ", ".join(function_index.nearest(name))
        instead = f"Did you mean {near}?" if near else "“sgdsheet functions” lists them all"
        raise click.UsageError(f"There is no function {name.upper()}. {instead}")
    if as_json:
        print_json(found)
    else:
        _show(console(), found)


def _show(out: Console, found: Description) -> None:
    """One function for a person."""
    category = f"  [dim]{found['category']}[/dim]" if found["category"] else ""
    out.print(f"[bold]{shown(found['signature'])}[/bold]{category}")
    if found["help"]:
        out.print(shown(found["help"]))
    out.print()
    facts = Table.grid(padding=(0, 2))
    facts.add_column(no_wrap=True, style="dim", min_width=_WIDTH)
    facts.add_column()
    for number, (formula, result) in enumerate(found["examples"].items()):
        facts.add_row("examples" if number == 0 else "", Text(f"={formula}  →  {_result(result)}"))
    for label, text in (("derivative", found["derivative"]), ("in batches", found["samples"])):
        if text:
            facts.add_row(label, shown(text))
    for number, note in enumerate(found["notes"]):
        facts.add_row("note" if number == 0 else "", shown(note))
    out.print(facts)


def _result(value: float | str | bool) -> str:
    """A result as a cell shows it."""
    if isinstance(value, bool):
        return str(value).upper()
    if isinstance(value, str):
        return value if value.startswith("#") else f'"{value}"'
    return f"{value:.10g}"


def describe() -> dict[str, list[dict[str, Any]]]:
    """Everything by name, as plain data."""
    return {
        "functions": [
            {key: value for key, value in item.items() if key != "supported"}
            for item in sorted(function_index.calculated(), key=lambda item: str(item["name"]))
        ],
        "optimizers": [
            {"name": item.name, "help": item.help, "learning_rate": item.learning_rate} for item in OPTIMIZERS.values()
        ],
        "settings": [
            {"name": item.label, "flag": item.flag, "allowed": item.allowed, "help": item.help} for item in DECLARATIONS
        ],
    }
