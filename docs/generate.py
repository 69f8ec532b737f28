"""The pages that are written from what the package declares: a page per lesson, and the reference.

`conf.py` calls `write` whenever the documentation is built. Nothing of this stands anywhere else.
"""

from __future__ import annotations

import html
import re
from collections.abc import Iterable, Sequence
from importlib import import_module
from pathlib import Path

import click

import sgdsheet
from sgdsheet.apps import examples
from sgdsheet.apps.cli import COMMANDS, cli
from sgdsheet.apps.examples.lesson import Lesson, Training
from sgdsheet.apps.udf.declarations import declarations
from sgdsheet.compiler.functions import explanation
from sgdsheet.compiler.functions.absent import ABSENT
from sgdsheet.problem.initialisers import INITIALISERS
from sgdsheet.problem.optimizers import OPTIMIZERS
from sgdsheet.problem.schedules import SCHEDULES
from sgdsheet.problem.settings import DECLARATIONS, Settings
from sgdsheet.sheet.workbook import Workbook

ROOT = Path(__file__).parent.parent

_MARKUP = re.compile(r"([\\`*_{}\[\]<>#|$~])")


def write(docs: Path) -> None:
    """Write all generated pages below `docs`, and remove pages of what is gone."""
    pages = {f"lessons/{name}.md": lesson_page(name, docs) for name in examples.names()}
    pages["lessons/index.md"] = tour()
    pages |= functions()
    pages["reference/settings.md"] = settings()
    pages["reference/commands.md"] = commands()
    for folder in ("lessons", "reference"):
        (docs / folder).mkdir(exist_ok=True)
        for old in (docs / folder).glob("*.md"):
            if f"{folder}/{old.name}" not in pages:
                old.unlink()
    for name, text in pages.items():
        path = docs / name
        if not path.exists() or path.read_text(encoding="utf-8") != text:
            path.write_text(text, encoding="utf-8", newline="\n")


# --- lessons ----------------------------------------------------------------------------------------------


def tour() -> str:
    """The list of all lessons, in the order of the tour."""
    titles, descriptions = examples.titles(), examples.names()
    parts = ["# Lessons", (ROOT / "docs" / "tour.txt").read_text(encoding="utf-8").strip()]
    order: list[str] = []
    for heading, names in examples.tour().items():
        rows = [(f"[{plain(titles[name])}]({name}.md)", plain(descriptions[name])) for name in names]
        parts += [f"## {heading}", table(("lesson", "what it shows"), rows)]
        order += names
    parts.append("\n".join(["```{toctree}", ":hidden:", "", *order, "```"]))
    return page(*parts)


def lesson_page(name: str, docs: Path) -> str:
    """One lesson: its pictures, its words, its numbers and its questions."""
    workbook, lesson = load(name), lesson_of(name)
    parts = [f"# {plain(examples.titles()[name])}", plain(examples.names()[name]) + "."]
    if (docs / "pictures" / f"{name}.gif").is_file():
        parts.append(f"![The charts of the sheet and its loss while it trains](../pictures/{name}.gif)")
    if lesson is not None:
        parts += [plain(sentence) for sentence in lesson.about]
    parts.append(f"Download {{download}}`{name}.xlsx <../../workbooks/{name}.xlsx>`, or build it:")
    parts.append(f"```sh\nsgdsheet new {name}\n```")
    if lesson is not None:
        words = {"Press": lesson.press, "Watch": lesson.watch, "What goes wrong": lesson.wrong}
        parts += [f"{heading}\n: {plain(text)}" for heading, text in words.items()]
    if (docs / "pictures" / f"{name}.png").is_file():
        parts.append(f"![A sheet of the workbook {name}](../pictures/{name}.png)")
    parts += ["## The sheets", table(("sheet", "what it is about"), sheets(workbook))]
    if lesson is not None:
        parts += numbers(name, lesson)
        parts += ["## Questions", "Think first, then look."]
        parts += [question(asked, answer) for asked, answer in lesson.questions]
    return page(*parts)


def load(name: str) -> Workbook:
    return sgdsheet.load(ROOT / "workbooks" / f"{name}.xlsx")


def lesson_of(name: str) -> Lesson | None:
    """What the example declares, if it is a lesson."""
    found: Lesson | None = getattr(import_module(f"sgdsheet.apps.examples.{name}"), "LESSON", None)
    return found


def sheets(workbook: Workbook) -> list[tuple[str, str]]:
    """Every sheet with its title and its sentence."""
    found = []
    for sheet in workbook.sheets.values():
        if sheet.name != "Start":
            words = [sheet.values.get(place) for place in ((1, 1), (2, 1))]
            texts = [plain(word) for word in words if isinstance(word, str)]
            found.append(
                (f"`{sheet.name}`", " ".join(text if text.endswith((".", "?")) else f"{text}." for text in texts))
            )
    return found


def numbers(name: str, lesson: Lesson) -> list[str]:
    """What comes out, with the command that brings it about."""
    if not lesson.trainings:
        return []
    parts = ["## Numbers that come out", "They are part of the tests of sgdsheet."]
    for training in lesson.trainings:
        source = f" --source {training.needs}" if training.needs.isidentifier() else ""
        changed = " and ".join(f"{shown(value)} in {cell}" for cell, value in training.typed.items())
        before = f"With {plain(changed)} in the sheet `{training.sheet}`:" if changed else f"Sheet `{training.sheet}`:"
        parts.append(before)
        parts.append(f"```sh\nsgdsheet train {name}.xlsx --sheet {training.sheet}{source}\n```")
        parts.append(table(("", "value"), outcomes(training)))
    return parts


def outcomes(training: Training) -> list[tuple[str, str]]:
    rows = [
        (f"loss after {step:,} {'step' if step == 1 else 'steps'}" if step else "loss at the start", value)
        for step, value in training.losses.items()
    ]
    rows += [
        (label, value)
        for label, value in (
            ("loss in the end", training.best),
            ("loss of the validation rows", training.valid),
            ("metric", training.metric),
            ("it stops early", training.stopped),
            *((f"cell {cell}", value) for cell, value in training.cells.items()),
        )
        if value
    ]
    return [(plain(label), plain(value)) for label, value in rows]


def question(asked: str, answer: str) -> str:
    """A question whose answer opens with a click."""
    body = "\n\n".join(plain(part) for part in answer.split("\n") if part.strip())
    return f'<details class="question"><summary>{html.escape(asked)}</summary>\n\n{body}\n\n</details>'


# --- reference --------------------------------------------------------------------------------------------


def functions() -> dict[str, str]:
    """Every function that a formula may call: a page of all, and one for each category."""
    own = {item["name"] for item in declarations()}
    listed = [(title, [item for item in items if item.name not in own]) for title, items in explanation.by_category()]
    listed = [(title, items) for title, items in listed if items]
    count = sum(len(items) for _, items in listed)
    parts = [
        "# Functions",
        f"The {count} functions of Excel that sgdsheet calculates, from the registry that the compiler reads. "
        "`sgdsheet functions NAME` explains one in a terminal. What does not depend on a parameter keeps the value "
        "that the spreadsheet gave it, so there any function will do.",
    ]
    pages: dict[str, str] = {}
    for title, items in listed:
        name = page_name(title)
        rows = [(f"[`{item.name}`]({name}.md#{anchor(item.name)})", plain(item.help)) for item in items]
        parts += [f"## {title}", table(("function", "what it gives"), rows)]
        pages[f"reference/{name}.md"] = page(f"# {title}", *(explained(item) for item in items))
    parts += ["## Functions of our own", "They need the add-in or the extension; see [the guide](../guide.md)."]
    rows = []
    for each in declarations():
        arguments = [f"[{one['name']}]" if one["optional"] else one["name"] for one in each["arguments"]]
        rows.append((f"`{each['name']}({', '.join(arguments)})`", plain(each["help"])))
    parts.append(table(("function", "what it gives"), rows))
    parts += ["## Not calculated", "A formula with one of these keeps its saved value, or is refused, and is named."]
    parts.append(table(("function", "why not"), [(f"`{item.name}`", plain(item.reason)) for item in ABSENT.values()]))
    order = [page_name(title) for title, _ in listed]
    parts.append("\n".join(["```{toctree}", ":hidden:", "", *order, "```"]))
    return {"reference/functions.md": page(*parts), **pages}


def page_name(title: str) -> str:
    """The name of the page of a category."""
    return "functions-" + title.lower().replace(" ", "-")


def anchor(name: str) -> str:
    """What the address of a function ends with."""
    return "function-" + name.lower().replace(".", "-").replace("_", "-")


def explained(item: explanation.Description) -> str:
    """One function: how it is called, what it gives, examples, its derivative, what differs from Excel."""
    parts = [f"({anchor(item.name)})=\n## {plain(item.name)}", f"`{item.signature}`", plain(item.help)]
    rows = [(f"`={formula.replace('|', chr(92) + '|')}`", result(value)) for formula, value in item.examples.items()]
    if rows:
        parts.append(table(("example", "result"), rows))
    parts.append(f"Derivative\n: {plain(item.derivative)}")
    if item.samples:
        parts.append(f"In batches\n: {plain(item.samples)}")
    if item.notes:
        parts.append(f"Note\n: {plain(' '.join(item.notes))}")
    return "\n\n".join(parts)


def result(value: float | str | bool) -> str:
    """A result as a cell shows it."""
    if isinstance(value, bool):
        return str(value).upper()
    if isinstance(value, str):
        return plain(value) if value.strip() else "an empty text" if not value else f"{len(value)} spaces"
    return f"{value:.10g}"


def settings() -> str:
    """Settings, optimizers, schedules and start values."""
    usual = Settings()
    parts = ["# Settings", (ROOT / "docs" / "settings.txt").read_text(encoding="utf-8").strip()]
    rows = [
        (item.label, f"`{item.flag}`", f"{plain(item.help)}. Allowed: {plain(item.allowed)}", default(usual, item.key))
        for item in DECLARATIONS
    ]
    parts.append(table(("setting", "flag", "what it does", "if left out"), rows))
    optimizers = [(f"`{row.name}`", plain(row.help), f"{row.learning_rate:g}") for row in OPTIMIZERS.values()]
    parts += ["## Optimizers", table(("name", "how it moves", "learning rate"), optimizers)]
    schedules = [(f"`{row.name}`", plain(row.help)) for row in SCHEDULES.values()]
    parts += ["## Schedules", table(("name", "how the learning rate changes"), schedules)]
    starts = [(f"`{row.name}`", plain(row.help)) for row in INITIALISERS.values()]
    parts += ["## Start values", table(("name", "what it draws"), starts)]
    return page(*parts)


def default(usual: Settings, key: str) -> str:
    """The default of a setting, as a person would write it."""
    value = getattr(usual, key)
    if isinstance(value, bool):
        return "yes" if value else "no"
    return "" if value is None or value == () else shown(value)


def shown(value: float | str) -> str:
    """A value as a cell shows it."""
    return f"{value:g}" if isinstance(value, float) else str(value)


def commands() -> str:
    """What `--help` says, for every command."""
    parts = ["# Commands", "Each has `--help`, which is what follows; most have `--json`."]
    for name, text in COMMANDS.items():
        parts += [f"## sgdsheet {name}", f"{text}.", f"```text\n{usage(name)}\n```"]
    return page(*parts)


def usage(name: str) -> str:
    found = cli.get_command(click.Context(cli), name)
    assert found is not None
    context = click.Context(found, info_name=f"sgdsheet {name}", max_content_width=100, terminal_width=100)
    return found.get_help(context).strip()


# --- Markdown ---------------------------------------------------------------------------------------------


def page(*parts: str) -> str:
    return "\n\n".join(parts) + "\n"


def plain(text: str) -> str:
    """Text in which nothing is markup; cells and formulas in backquotes stay as they are."""
    return _MARKUP.sub(r"\\\1", " ".join(text.split()))


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(cell.replace(chr(10), ' ') for cell in line)} |" for line in lines)
