"""What is in a workbook without (or with several) models: its sheets, what can be calculated, what could be trained."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.table import Table

from sgdsheet.apps.cli.common import count, shown
from sgdsheet.apps.cli.guidance import candidates_as_dict, model_lines, path_word, show_candidates
from sgdsheet.errors import one_line
from sgdsheet.problem.definition import FoundModel, models_in
from sgdsheet.sheet.references import Range
from sgdsheet.sheet.summary import SheetSummary, summaries
from sgdsheet.sheet.workbook import Workbook

if TYPE_CHECKING:
    from sgdsheet.analysis.checking import Report
    from sgdsheet.analysis.trial import Suggestions

_CAUSES = 8
"""Functions and causes that are listed for people."""

_SHEETS = 20


def models_as_dict(models: Sequence[FoundModel]) -> list[dict[str, Any]]:
    """The models by sheet; one that cannot be used has an error in place of its loss."""
    return [
        {
            "sheet": item.sheet,
            "loss_cell": str(item.problem.loss) if item.problem else None,
            "parameters": item.problem.parameter_count if item.problem else None,
            "source": item.problem.source if item.problem else None,
            "error": one_line(str(item.error)) if item.error else None,
        }
        for item in models
    ]


def unsupported_as_dict(report: Report) -> list[dict[str, Any]]:
    """What cannot be calculated: the cells, the function (or nothing), and the message."""
    return [
        {
            "cell": str(item.area.first),
            "range": str(item.area),
            "function": item.function,
            "message": one_line(str(item.error)),
        }
        for item in report.unsupported
    ]


def frozen_as_dict(report: Report) -> list[dict[str, Any]]:
    """What keeps its saved values: the cells, the function, and why."""
    return [
        {
            "cell": str(item.area.first),
            "range": str(item.area),
            "function": item.function.name,
            "message": f"{item.area.first}: keeps its saved value, for {item.function.name} is not calculated: "
            f"{item.function.reason}",
        }
        for item in report.frozen
    ]


def frozen_line(report: Report) -> str:
    """What keeps its saved values, in a line; empty if nothing does."""
    if not report.frozen:
        return ""
    cells = report.frozen_cells
    names = ", ".join(dict.fromkeys(item.function.name for item in report.frozen))
    keeps = "keeps its saved value" if cells == 1 else "keep their saved values"
    return f"{count(cells, 'formula cell')} {keeps} ({names}, in {report.frozen[0].area.first} first)"


def sheets_as_dict(workbook: Workbook) -> list[dict[str, Any]]:
    """The sheets with their sizes."""
    return [asdict(item) for item in summaries(workbook)]


def describe_book(workbook: Workbook, book: str, report: Report, found: Suggestions) -> dict[str, Any]:
    """A workbook without a model that was chosen, as plain data."""
    return {
        "book": workbook.name,
        "formulas": report.formulas,
        "supported": report.supported,
        "sheets": sheets_as_dict(workbook),
        "models": models_as_dict(models_in(workbook)),
        **candidates_as_dict(book, found),
        "unsupported": unsupported_as_dict(report),
        "frozen": frozen_as_dict(report),
    }


def show_sheets(out: Console, workbook: Workbook, sheet: str | None = None) -> None:
    """Show the sheets of a workbook to a person, and how many formulas they have, or that one; it takes no torch."""
    found = summaries(workbook)
    formulas = sum(item.formulas for item in found if sheet in (None, item.name))
    title = f"{count(len(found), 'sheet')}, {count(formulas, 'formula cell')}"
    title += "" if models_in(workbook) else "; no model is named yet"
    out.print(f"[bold]{shown(workbook.name)}[/bold]  {title}")
    out.print()
    _show_table(out, found)
    out.print()


def show_models(out: Console, workbook: Workbook, book: str, report: Report, found: Suggestions) -> None:
    """Show what can be calculated in a workbook, its models, and what could be one, to a person."""
    models = models_in(workbook)
    show_supported(out, report)
    out.print()
    if models:
        out.print("[bold]Models in this workbook[/bold]")
        for line in model_lines(models, ("train", path_word(book))):
            out.print(f"   {shown(line)}", soft_wrap=True)
    if not models or found.offered:
        show_candidates(out, book, found)


def _show_table(out: Console, sheets: Sequence[SheetSummary]) -> None:
    table = Table(box=None, pad_edge=False, header_style="bold", padding=(0, 3, 0, 0))
    table.add_column("sheet", overflow="fold")
    for title in ("rows", "columns", "formulas", "typed numbers"):
        table.add_column(title, justify="right")
    for item in sheets[:_SHEETS]:
        numbers = (item.rows, item.columns, item.formulas, item.numbers)
        table.add_row(shown(item.name), *(f"{number:,}" for number in numbers))
    out.print(table)
    if len(sheets) > _SHEETS:
        out.print(f"and {count(len(sheets) - _SHEETS, 'more sheet')}")


def show_supported(out: Console, report: Report) -> None:
    """How many formula cells can be calculated, and what is in the way of the others."""
    if not report.formulas:
        out.print("There are no formulas: nothing can be trained yet.")
        return
    if report.frozen:
        out.print(f"[yellow]![/yellow] {shown(frozen_line(report))}")
    if not report.unsupported:
        which = "the other" if report.frozen else "all"
        out.print(f"[green]✓[/green] {which} {count(report.supported, 'formula cell')} can be calculated")
        return
    out.print(
        f"[yellow]![/yellow] {report.supported:,} of {count(report.formulas, 'formula cell')} can be calculated."
        " In the way of the others:"
    )
    causes = _by_cause(report)
    table = Table(box=None, show_header=False, pad_edge=False, padding=(0, 2, 0, 0))
    for cause, areas in causes[:_CAUSES]:
        cells = count(sum(area.size for area in areas), "cell")
        where = f"{areas[0]}" + (", …" if len(areas) > 1 else "")
        table.add_row("  " + shown(one_line(cause)), cells, shown(where))
    out.print(table)
    if len(causes) > _CAUSES:
        out.print(f"  and {count(len(causes) - _CAUSES, 'more cause')}; --json lists them all")


def _by_cause(report: Report) -> list[tuple[str, list[Range]]]:
    """What is in the way, with its cells: what stops most of them first."""
    found: dict[str, list[Range]] = defaultdict(list)
    for item in report.unsupported:
        found[item.function or item.error.cause].append(item.area)
    return sorted(found.items(), key=lambda pair: -sum(area.size for area in pair[1]))
