"""What the commands share: options, output, wording."""

from __future__ import annotations

import json
import math
import sys
from collections.abc import Sequence
from typing import Any

import click
from rich.console import Console
from rich.markup import escape

from sgdsheet.apps.cli.files import DATA
from sgdsheet.errors import printable
from sgdsheet.problem import chosen_source
from sgdsheet.problem.definition import Problem
from sgdsheet.sheet.references import Range

json_option = click.option("--json", "as_json", is_flag=True, help="Print one JSON object and nothing else.")
source_option = click.option(
    "--source", type=DATA, metavar="FILE", help="Data from a file; those that the sheet names unless given."
)

trust_option = click.option(
    "--trust-formulas", is_flag=True, default=None, help="Go on although saved values are not what they give."
)


def with_source(problem: Problem, source: str | None) -> Problem:
    """The problem with the data that --source names."""
    if source is None:
        return problem
    if not source.strip():
        raise click.UsageError("--source is empty")
    return chosen_source.with_source(problem, source)


def console() -> Console:
    """A console for people: colours on a terminal, plain text into files and pipes."""
    return Console(highlight=False, emoji=False, soft_wrap=not sys.stdout.isatty())


def shown(text: object) -> str:
    """Text that is not ours as it may stand in rich's markup: no tags, and nothing that a terminal obeys.

    Spaces stay as they are, so that names and paths can be copied; for a formula's line breaks see `one_line`.
    """
    return escape(printable(str(text)))


def print_json(content: dict[str, Any]) -> None:
    """One JSON object on stdout. Numbers that JSON does not have become null."""
    unicode = (sys.stdout.encoding or "").lower().replace("-", "").startswith("utf")
    text = json.dumps(_plain(content), ensure_ascii=not unicode, indent=2, default=str)
    # Unless all is ASCII, json leaves DEL, U+009B and their like as they are, which a terminal obeys.
    print("\n".join(_json_escaped(line) for line in text.split("\n")))


def _json_escaped(line: str) -> str:
    return line if line.isprintable() else "".join(c if c.isprintable() else json.dumps(c)[1:-1] for c in line)


def _plain(value: Any) -> Any:
    if isinstance(value, float) and not math.isfinite(value):
        return None
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    return value


def count(number: int, noun: str) -> str:
    """`1 parameter`, `20 parameters`."""
    return f"{number:,} {noun}" if number == 1 else f"{number:,} {noun}s"


def listed(areas: Sequence[Range], most: int = 6) -> str:
    """Ranges for people: the first of them, and how many cells they are in all."""
    names = ", ".join(map(str, areas[:most])) + (", …" if len(areas) > most else "")
    return f"{names} ({count(sum(area.size for area in areas), 'cell')})"


def figure(value: float) -> str:
    """A loss as a person reads it."""
    return f"{value:.10g}" if math.isfinite(value) else "not a number"
