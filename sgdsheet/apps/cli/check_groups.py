"""What `check --all` found, by sheet, by formula and by function, for people and as data."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.table import Table

from sgdsheet.apps.cli.common import count, figure, shown
from sgdsheet.apps.cli.overview import frozen_line
from sgdsheet.errors import one_line, quoted

if TYPE_CHECKING:
    from sgdsheet.analysis.checking import Report
    from sgdsheet.analysis.tallies import Differing, Tally

_MOST = 8
"""Formulas, causes and functions that are listed for people, and formulas of one sheet."""
_LONGEST = 50


def value_text(value: object) -> str:
    """A cell's value as a person reads it."""
    if isinstance(value, bool):
        return str(value).upper()
    if isinstance(value, float):
        return figure(value)
    return quoted(value) if isinstance(value, str) else str(value)


def differ_line(report: Report) -> str:
    """How many cells differ."""
    differ = "differs from its saved value" if len(report.mismatches) == 1 else "differ from their saved values"
    return f"{len(report.mismatches):,} of {count(report.compared, 'cell')} {differ}"


def by_office_line(report: Report) -> str:
    """What LibreOffice saves in another way than Excel, in a line; empty if there is nothing of it."""
    if not report.by_office:
        return ""
    cells, first = len(report.by_office), report.by_office[0]
    holds = "holds" if cells == 1 else "hold"
    pair = f"{value_text(first.saved)} for {value_text(first.computed)}, in {first.cell}"
    more = " first" if cells > 1 else ""
    return f"{count(cells, 'cell')} {holds} the value as LibreOffice, which saved the file, writes it: {pair}{more}"


def groups_as_dict(report: Report) -> dict[str, Any]:
    """The counts by sheet and by function, and the formulas that differ, the worst first."""
    from sgdsheet.analysis.tallies import by_function, by_sheet, differing  # imports torch: not for the help page

    return {
        "sheets": [_tally(item) for item in by_sheet(report)],
        "functions": [_tally(item) for item in by_function(report)],
        "differing": [
            {
                "range": str(item.block.area),
                "formula": item.block.formula,
                "cells": len(item.block.mismatches),
                "worst_cell": str(item.worst.cell),
            }
            for item in differing(report)
        ],
    }


def _tally(item: Tally) -> dict[str, Any]:
    return {
        "name": item.name,
        "formulas": item.formulas,
        "supported": item.calculated,
        "mismatches": item.differing,
        "unsupported": item.unsupported,
    }


def show_groups(out: Console, report: Report) -> None:
    """Show what is not right, the worst first: the sheets, the formulas that differ, what cannot be calculated."""
    from sgdsheet.analysis.tallies import by_sheet, differing  # imports torch: not for the help page

    sheets = by_sheet(report)
    if len(sheets) > 1:
        _show_sheets(out, sheets)
    if report.mismatches:
        out.print(f"[red]✗[/red] {differ_line(report)}; the worst first:")
        _show_differing(out, differing(report))
        _show_functions(out, report)
    _show_causes(out, report)
    if report.frozen:
        out.print(f"[yellow]![/yellow] {shown(frozen_line(report))}")


def _show_sheets(out: Console, sheets: Sequence[Tally]) -> None:
    """The sheets on which something is not right first."""
    table = Table(box=None, pad_edge=False, header_style="bold", padding=(0, 3, 0, 0))
    table.add_column("sheet", overflow="fold")
    for title in ("formulas", "calculated", "differ", "not calculated"):
        table.add_column(title, justify="right")
    ordered = sorted(sheets, key=lambda item: (-item.worst, -item.differing, -item.unsupported))
    for item in ordered[: 2 * _MOST]:
        figures = (item.formulas, item.calculated, item.differing, item.unsupported)
        table.add_row(shown(item.name), *(f"{number:,}" if number else "–" for number in figures))
    out.print(table)
    if len(sheets) > 2 * _MOST:
        out.print(f"and {count(len(sheets) - 2 * _MOST, 'more sheet')}")


def _show_differing(out: Console, groups: Sequence[Differing]) -> None:
    for item in groups[:_MOST]:
        block, worst = item.block, item.worst
        cells = f"  {len(block.mismatches):,} of {count(block.area.size, 'cell')}" if block.area.size > 1 else ""
        formula = one_line(block.formula)
        formula = formula if len(formula) <= _LONGEST else formula[: _LONGEST - 1] + "…"
        where = f"{worst.cell}: " if block.area.size > 1 else ""
        out.print(f"    [bold]{shown(block.area)}[/bold]  {shown(formula)}[dim]{cells}[/dim]")
        out.print(f"        {shown(f'{where}saved {value_text(worst.saved)}, computed {value_text(worst.computed)}')}")
    if len(groups) > _MOST:
        out.print(f"    and {count(len(groups) - _MOST, 'more formula')}; --html and --json list them all")


def _show_functions(out: Console, report: Report) -> None:
    """The functions whose formulas differ, if there are several."""
    from sgdsheet.analysis.tallies import by_function  # imports torch: not for the help page

    wrong = [item for item in by_function(report) if item.differing]
    if len(wrong) > 1:
        named = ", ".join(f"{item.name} {item.differing:,}" for item in wrong[:_MOST])
        more = f" and {len(wrong) - _MOST:,} more" if len(wrong) > _MOST else ""
        out.print(f"    by function: {shown(named)}{more}")


def _show_causes(out: Console, report: Report) -> None:
    """Functions and causes that stand in the way, with the cells and the first message."""
    from sgdsheet.analysis.tallies import causes  # imports torch: not for the help page

    found = causes(report)
    for _, blocks in found[:_MOST]:
        size = sum(block.area.size for block in blocks)
        first = next(item for item in report.unsupported if item.area == blocks[0].area)
        others = f" (and {count(size - 1, 'cell')} like it)" if size > 1 else ""
        out.print(f"[yellow]![/yellow] {shown(one_line(str(first.error)))}[dim]{others}[/dim]")
    if len(found) > _MOST:
        out.print(f"    and {count(len(found) - _MOST, 'more cause')}; --html and --json list them all")
