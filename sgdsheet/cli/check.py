"""`sgdsheet check`: proof that the compiled sheet is the sheet."""

from __future__ import annotations

import sys
from typing import Any

import click
from rich.console import Console

import sgdsheet
from sgdsheet import checking
from sgdsheet.cli.common import book_argument, console, count, figure, json_option, loss_option, params_option
from sgdsheet.cli.common import print_json, sheet_option

_SHOWN = 8


@click.command("check")
@book_argument
@sheet_option
@loss_option
@params_option
@click.option("--all", "everything", is_flag=True, help="Check every formula of the workbook, not only the way to the loss.")
@json_option
def command(
    book: str, sheet: str | None, loss: str | None, params: str | None, everything: bool, as_json: bool
) -> None:
    """Compare every cell between the parameters and the loss of BOOK with its saved value, and the exact gradient
    with central differences."""
    workbook = sgdsheet.load(book)
    model = sgdsheet.compile(workbook, sheet, loss=loss, params=params)
    report = checking.check_model(model, everything=everything)
    if as_json:
        print_json(as_dict(model, report))
    else:
        _show(console(), model, report)
    if not report.passed:
        sys.exit(1)


def as_dict(model: sgdsheet.SheetModel, report: checking.Report) -> dict[str, Any]:
    """The report with the keys of the contract."""
    worst = report.mismatches[0] if report.mismatches else None
    return {
        "sheet": model.problem.sheet,
        "loss_cell": str(model.problem.loss),
        "formulas": report.formulas,
        "supported": report.supported,
        "compared": report.compared,
        "mismatches": [
            {"cell": str(item.cell), "saved": _json(item.saved), "computed": _json(item.computed)}
            for item in report.mismatches
        ],
        "worst_cell": str(worst.cell) if worst else None,
        "largest_difference": report.largest_difference,
        "unsupported": [
            {"cell": str(cell), "function": function, "message": message}
            for cell, function, message in report.unsupported
        ],
        "loss_saved": report.loss_saved,
        "loss_computed": report.loss_computed,
        "gradient_max_error": report.gradient_max_error,
        "gradient_worst_cell": str(report.gradient_worst_cell) if report.gradient_worst_cell else None,
        "gradients_checked": report.gradient_checked,
        "dead_parameters": [str(cell) for cell in report.dead_parameters],
        "passed": report.passed,
    }


def _json(value: object) -> object:
    return value if isinstance(value, (int, float, str)) else str(value)


def _show(out: Console, model: sgdsheet.SheetModel, report: checking.Report) -> None:
    good, bad, note = "[green]✓[/green]", "[red]✗[/red]", "[yellow]![/yellow]"
    saved = "no saved value" if report.loss_saved is None else f"saved {figure(report.loss_saved)}"
    out.print(f"[bold]{model.problem.loss}[/bold]  computed {figure(report.loss_computed or 0.0)}, {saved}")
    cells = count(report.compared, "cell")
    if report.mismatches:
        out.print(f"{bad} {len(report.mismatches):,} of {cells} differ from their saved values; the worst first:")
        for item in report.mismatches[:_SHOWN]:
            out.print(f"    {item.cell}  saved {item.saved}, computed {item.computed}")
        out.print("    Recalculate and save the workbook; if they still differ, this is a bug of sgdsheet's.")
    elif report.compared:
        out.print(f"{good} {cells} equal their saved values (largest difference {report.largest_difference:.1e})")
    else:
        out.print(f"{note} the file has no saved values to compare with: open and save it in a spreadsheet")
    slopes = report.gradient_max_error or 0.0
    mark = good if slopes <= checking.GRADIENT_TOLERANCE else bad
    checked = count(report.gradient_checked, "slope")
    where = f", the worst at {report.gradient_worst_cell}" if report.gradient_worst_cell else ""
    out.print(f"{mark} {checked} agree with central differences to {slopes:.1e}{where}" if mark == good
              else f"{mark} the gradient differs from central differences by {slopes:.1e}{where}")  # fmt: skip
    for cell, _, message in report.unsupported[:_SHOWN]:
        del cell
        out.print(f"{note} {message}")
    if report.dead_parameters:
        names = ", ".join(str(cell) for cell in report.dead_parameters[:_SHOWN])
        more = ", …" if len(report.dead_parameters) > _SHOWN else ""
        out.print(f"{note} the slope is exactly 0 at {names}{more}: these parameters will not move")
