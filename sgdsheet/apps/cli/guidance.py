"""What a command says where nobody has named a model, or where there are several: commands to copy."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Sequence
from shlex import quote
from typing import TYPE_CHECKING, Any

import click
from rich.console import Console

from sgdsheet.apps.cli.common import count, shown
from sgdsheet.apps.cli.model_choice import ModelChoice
from sgdsheet.errors import NoModelError, ProblemError, SeveralModelsError, one_line, quoted
from sgdsheet.problem.definition import (
    Direction,
    FoundModel,
    Problem,
    models_in,
    only_solver_left,
    sheets_with_problem,
)
from sgdsheet.sheet.references import Cell, Range
from sgdsheet.sheet.workbook import Workbook

if TYPE_CHECKING:
    from sgdsheet.analysis.trial import Goal, Suggestions
    from sgdsheet.compiler.candidates.missing_losses import MissingLoss
    from sgdsheet.compiler.candidates.ranking import Candidate

_DECLINED = 3
"""Cells that a person is told of although they cannot be trained."""

_NOTHING = "  No cell was found that looks like a loss and can be trained"
_AREAS = 4
"""Ranges that a line for people names."""


# --- commands to copy -------------------------------------------------------------------------------------


def shell_command(*words: str) -> str:
    """A command line that a shell reads as these words."""
    return subprocess.list2cmdline(words) if os.name == "nt" else " ".join(map(quote, words))


def path_word(book: str) -> str:
    """A path as a word of a command, which does not take it for an option."""
    return f"./{book}" if book.startswith("-") else book


def candidate_command(book: str, candidate: Candidate, *words: str) -> str:
    """`sgdsheet train BOOK --sheet S --loss REF --params REF,REF`, quoted for a shell."""
    sheet, loss = candidate.loss.sheet, Range.of_cell(candidate.loss).a1
    params = ",".join(area.a1 if area.sheet == sheet else str(area) for area in candidate.parameters)
    start = words or ("train", path_word(book))
    wish = ("--maximize",) if candidate.direction is Direction.MAXIMISE else ()
    return shell_command("sgdsheet", *start, "--sheet", sheet, "--loss", loss, "--params", params, *wish)


def goal_command(book: str, goal: Goal) -> str:
    """`sgdsheet train BOOK --sheet S --value-of REF=NUMBER --params REF`, quoted for a shell."""
    sheet, wanted = goal.cell.sheet, f"{Range.of_cell(goal.cell).a1}={goal.value:.12g}"
    params = _cells((goal.changed,), sheet)
    return shell_command(
        "sgdsheet", "train", path_word(book), "--sheet", sheet, "--value-of", wanted, "--params", params
    )


def _cells(cells: Sequence[Cell], sheet: str) -> str:
    """References to cells, without the sheet where it is this one."""
    areas = [Range.of_cell(cell) for cell in cells]
    return ",".join(area.a1 if area.sheet == sheet else str(area) for area in areas)


def inspect_command(book: str) -> str:
    """The command that shows more."""
    return shell_command("sgdsheet", "inspect", path_word(book))


# --- errors that say how to go on -------------------------------------------------------------------------


def find_model(
    workbook: Workbook,
    book: str,
    choice: ModelChoice,
    *,
    overwrite_formulas: bool | None = None,
    only_read: bool = False,
) -> Problem:
    """The model that options or names on the sheet say; errors say which commands would go on."""
    try:
        return choice.problem(workbook, overwrite_formulas=overwrite_formulas, only_read=only_read)
    except NoModelError as error:
        error.more = _best_candidate(workbook, book, choice.sheet)
        raise
    except SeveralModelsError as error:
        words = _running(book, without=("sheet",))
        error.more = [f"  {line}" for line in model_lines(models_in(workbook), words)]
        raise


def is_open(workbook: Workbook, error: ProblemError, sheet: str | None) -> bool:
    """Whether a command that only reads may go on without a model: nobody named one, or chose one.

    A model that cannot be used is an error, unless it is Solver's and nobody asked for its sheet.
    """
    if isinstance(error, NoModelError | SeveralModelsError):
        return True
    return sheet is None and only_solver_left(workbook) and bool(sheets_with_problem(workbook))


def _running(book: str, *, without: Sequence[str]) -> tuple[str, ...]:
    """The words of the command that runs, with the options that it was given, but some."""
    context = click.get_current_context()
    words = [str(context.info_name), path_word(book)]
    for parameter in context.command.params:
        name, value = str(parameter.name), context.params.get(str(parameter.name))
        given = context.get_parameter_source(name) is click.core.ParameterSource.COMMANDLINE
        if isinstance(parameter, click.Option) and given and name not in without:
            words += [parameter.opts[0]] if parameter.is_flag else [parameter.opts[0], str(value)]
    return tuple(words)


def _best_candidate(workbook: Workbook, book: str, sheet: str | None) -> list[str]:
    """The best candidate as a command, and where to see more."""
    found = _found(workbook, sheet)
    best = next(iter(found.offered), None)
    running = _running(book, without=("sheet", "loss", "params", "maximize"))
    if best is not None:
        if running[0] == "surface" and best.parameter_count > 2:
            running = ("train", path_word(book))
        first = f"  {one_line(_named(best))} looks like one: {candidate_command(book, best, *running)}"
    else:
        first = _nothing(found)
        if found.goals and running[0] == "train":
            goal = found.goals[0]
            first += f"; {one_line(_goal_in_words(goal))}: {goal_command(book, goal)}"
    return [first, f"  What is in the workbook: {inspect_command(book)}"]


def _found(workbook: Workbook, sheet: str | None) -> Suggestions:
    """The best candidate of a sheet, or of all."""
    from sgdsheet.analysis.trial import suggestions  # imports torch: not where a model was found

    chosen = workbook.sheet(sheet) if sheet is not None else None
    return suggestions(workbook, chosen.name if chosen else None, most=1)


def _nothing(found: Suggestions) -> str:
    """The line where no cell looks like a loss: what to write so that one does, if that can be told."""
    if not found.missing:
        return _NOTHING
    item = found.missing[0]
    return f"  No cell says yet how wrong the sheet is: write ={one_line(item.formula)} into {item.cell}"


def _goal_in_words(goal: Goal) -> str:
    """What a goal would change, and to what end."""
    place = _cells((goal.changed,), goal.cell.sheet)
    return f"{goal.cell} {quoted(goal.label)} comes to {goal.value:.12g} by changing {place}"


def candidate_to_mark(workbook: Workbook, book: str, sheet: str | None) -> list[str]:
    """The best candidate for a person who has the workbook open, and where to see more."""
    found = _found(workbook, sheet)
    offered = next(iter(found.offered), None)
    if offered is None:
        first = _nothing(found)
    else:
        cells = _listed(offered.parameters, offered.loss.sheet)
        first = f"  {one_line(_named(offered))} looks like one: Set loss on its cell, Set parameters on {cells}"
    return [first, f"  What is in the workbook, as it was saved: {inspect_command(book)}"]


def model_lines(models: Sequence[FoundModel], words: Sequence[str]) -> list[str]:
    """The models of a workbook, each with the command `words` for it."""
    lines = []
    for model in models:
        command = shell_command("sgdsheet", *words, "--sheet", model.sheet)
        if model.problem is None:
            lines.append(f"{quoted(model.sheet)} cannot be used: {model.error}")
        else:
            number = count(model.problem.parameter_count, "parameter")
            lines.append(f"{quoted(model.sheet)}, loss {model.problem.loss}, {number}: {command}")
    return lines


# --- candidates, for people and as data -------------------------------------------------------------------


def _named(candidate: Candidate) -> str:
    label = f" {quoted(candidate.label)}" if candidate.label else ""
    return f"{candidate.loss}{label} with {count(candidate.parameter_count, 'parameter')}"


def candidates_as_dict(book: str, found: Suggestions) -> dict[str, Any]:
    """The candidates that can be trained, and the others with what stands in the way."""
    return {
        "candidates": [
            {
                "loss_cell": str(item.loss),
                "label": item.label,
                "formula": "=" + item.formula,
                "direction": item.direction.value,
                "parameters": [str(area) for area in item.parameters],
                "parameter_count": item.parameter_count,
                "data": [str(area) for area in item.data],
                "command": candidate_command(book, item),
                "remark": item.remark,
            }
            for item in found.offered
        ],
        "declined": [
            {
                "loss_cell": str(item.candidate.loss),
                "label": item.candidate.label,
                "reason": one_line(str(item.error)),
            }
            for item in found.declined
        ],
        "missing": [
            {
                "loss_cell": str(item.cell),
                "formula": "=" + item.formula,
                "label": item.label,
                "parameters": [str(area) for area in item.candidate.parameters],
                "parameter_count": item.candidate.parameter_count,
                "command": candidate_command(book, item.candidate),
            }
            for item in found.missing
        ],
        "goal_seek": [
            {
                "cell": str(item.cell),
                "label": item.label,
                "present": item.present,
                "value": item.value,
                "parameter": str(item.changed),
                "others": [str(cell) for cell in item.others],
                "command": goal_command(book, item),
            }
            for item in found.goals
        ],
    }


def _listed(areas: Sequence[Range], sheet: str) -> str:
    names = [area.a1 if area.sheet == sheet else str(area) for area in areas[:_AREAS]]
    return ", ".join(names) + (", …" if len(areas) > _AREAS else "")


def show_candidates(out: Console, book: str, found: Suggestions, *, brief: bool = False) -> None:
    """What could be trained, the best first; in brief, only the best."""
    offered = found.offered[:1] if brief else found.offered
    if not offered:
        _show_none(out, book, found, brief=brief)
        return
    out.print(f"[bold]{'It could be trained' if brief else 'What could be trained, the likeliest first'}[/bold]")
    for number, item in enumerate(offered, 1):
        if not brief:
            out.print()
        _show_candidate(out, book, item, f"{number}  " if not brief else "   ")
    if brief and len(found.offered) > 1:
        out.print(
            f"   {count(len(found.offered) - 1, 'more candidate')}: {shown(inspect_command(book))}", soft_wrap=True
        )
    if not brief:
        out.print()
        _show_declined(out, found)
        out.print("Another cell? Say which: --loss is the cell, --params are the numbers that may change.")


def _show_candidate(out: Console, book: str, item: Candidate, mark: str) -> None:
    sheet = item.loss.sheet
    label = f"  {quoted(item.label)}" if item.label else ""
    wish = "as large" if item.direction is Direction.MAXIMISE else "as small"
    formula = f"={one_line(item.formula)}"
    out.print(f"{mark}[bold]{shown(item.loss)}[/bold]{shown(label)}  [dim]{shown(_cut(formula))}[/dim]")
    out.print(
        f"   {wish} as possible by changing {shown(_listed(item.parameters, sheet))}"
        f" ({count(item.parameter_count, 'number')})"
    )
    if item.remark:
        out.print(f"   [yellow]![/yellow] {shown(item.remark)}")
    if item.data:
        out.print(f"   [dim]over the data in {shown(_listed(item.data, sheet))}[/dim]")
    out.print(f"   [green]{shown(candidate_command(book, item))}[/green]", soft_wrap=True)


def _cut(text: str, most: int = 60) -> str:
    return text if len(text) <= most else text[: most - 1] + "…"


def _show_declined(out: Console, found: Suggestions) -> None:
    """Cells that look like a loss and cannot be trained, with what stands in the way."""
    for item in found.declined[:_DECLINED]:
        label = f" {quoted(item.candidate.label)}" if item.candidate.label else ""
        error = item.error
        where = f"{error.cell}: " if error.cell and error.cell != str(item.candidate.loss) else ""
        reason = one_line(where + error.cause + (f". {error.remedy}" if error.remedy else ""))
        text = f"[yellow]![/yellow] {shown(f'{item.candidate.loss}{label}')} cannot be trained: {shown(reason)}"
        out.print(text)


def _show_none(out: Console, book: str, found: Suggestions, *, brief: bool) -> None:
    if brief:
        out.print(shown(_nothing(found).strip()) + ".")
        return
    out.print("[bold]What could be trained[/bold]")
    if found.missing:
        for item in found.missing:
            _show_missing(out, book, item)
        return
    if found.declined:
        out.print("Nothing as it stands.")
        _show_declined(out, found)
    else:
        out.print(_NOTHING.strip() + ".")
    for goal in found.goals:
        _show_goal(out, book, goal)
    if found.declined or found.goals:
        return
    out.print()
    out.print("A loss is one cell that says how wrong the sheet is, such as =SUMXMY2(predictions, targets).")
    command = shell_command("sgdsheet", "train", path_word(book))
    out.print(f"Write one, then: {shown(command)} --sheet NAME --loss CELL --params CELLS", soft_wrap=True)


def _show_goal(out: Console, book: str, item: Goal) -> None:
    """A value that a result reaches (goal seek), and the command for it."""
    out.print()
    out.print(
        f"Goal seek: [bold]{shown(item.cell)}[/bold] {shown(quoted(item.label))} is {item.present:.6g};"
        f" it comes to {item.value:.12g}, or another value that you want, by changing one number:"
    )
    out.print(f"   [green]{shown(goal_command(book, item))}[/green]", soft_wrap=True)
    if item.others:
        out.print(f"   [dim]or instead {shown(_cells(item.others, item.cell.sheet).replace(',', ', '))}[/dim]")


def _show_missing(out: Console, book: str, item: MissingLoss) -> None:
    """The formula to write, and the command that then trains it."""
    label = f" {quoted(item.label)}" if item.label else ""
    where = f"{item.predictions}{label}"
    if item.data is None:
        out.print(f"{shown(where)} holds differences from data, and no cell sums them up.")
    else:
        out.print(f"{shown(where)} can be compared with the data in {item.data.a1}, and no cell does.")
    out.print(f"Write [bold]={shown(one_line(item.formula))}[/bold] into [bold]{shown(item.cell)}[/bold], then:")
    out.print(f"   [green]{shown(candidate_command(book, item.candidate))}[/green]", soft_wrap=True)
