"""`sgdsheet check`: proof that the compiled sheet is the sheet, and what stands in the way of training it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from rich.console import Console

import sgdsheet
from sgdsheet.apps.cli.check_groups import by_office_line, differ_line, groups_as_dict, show_groups, value_text
from sgdsheet.apps.cli.common import (
    console,
    count,
    figure,
    json_option,
    print_json,
    shown,
)
from sgdsheet.apps.cli.files import OutputFile, guard, read_book
from sgdsheet.apps.cli.guidance import candidates_as_dict, is_open, model_lines, path_word, show_candidates
from sgdsheet.apps.cli.model_choice import ModelChoice, model_and_target_arguments
from sgdsheet.apps.cli.overview import frozen_as_dict, frozen_line, models_as_dict, unsupported_as_dict
from sgdsheet.apps.cli.progress import working
from sgdsheet.errors import DataError, FormulaError, ProblemError, SgdSheetError, one_line, quoted
from sgdsheet.problem.definition import Problem, models_in
from sgdsheet.sheet.workbook import Workbook
from sgdsheet.system.outputs import PAGE

if TYPE_CHECKING:
    from sgdsheet.analysis.checking import Report
    from sgdsheet.analysis.diagnosis import Finding
    from sgdsheet.compiler.comparison import Mismatch
    from sgdsheet.train.constrained.problem_kind import ProblemKind

_SHOWN = 8
_GOOD, _BAD, _NOTE = "[green]✓[/green]", "[red]✗[/red]", "[yellow]![/yellow]"


HELP_LINE, PLACE = "Prove values and gradients; find what hinders training", 30


@click.command("check")
@model_and_target_arguments
@click.option(
    "--all",
    "everything",
    is_flag=True,
    help="Check every formula of the workbook, not only the way to the loss; that takes no model.",
)
@click.option(
    "--html",
    "html",
    type=OutputFile(PAGE),
    metavar="FILE",
    help="Write all that was found as a page to keep, with every cell that differs.",
)
@json_option
def command(
    book: str,
    choice: ModelChoice,
    everything: bool,
    html: str | None,
    as_json: bool,
) -> None:
    """Compare every cell between the parameters and the loss of BOOK with its saved value, and the exact
    gradient with central differences; then say what stands in the way of training.

    Where no model is named, every formula of the workbook is compared, as with --all."""
    from sgdsheet.analysis import checking  # imports torch: not for the help page
    from sgdsheet.train.constrained.problem_kind import kind_of

    workbook = read_book(book, quiet=as_json)
    guard(workbook)
    findings: list[Finding] = []
    kind: ProblemKind | None = None
    try:
        problem = choice.problem(workbook, only_read=True)
    except ProblemError as error:
        if choice.is_new or not (everything or is_open(workbook, error, choice.sheet)):
            raise
        _check_without_model(workbook, book, choice.sheet, html, as_json)
        return
    with working("checking", quiet=as_json):
        try:
            model = sgdsheet.compile(workbook, problem=problem, precision="float64")
        except FormulaError as error:
            report = checking.check_formulas(workbook, problem, error)
            if not report.unsupported:
                raise
        else:
            report = checking.check_model(model, everything=everything)
            # What the few samples of a preview do to a unit says nothing about the data.
            findings = _diagnosed(model) if problem.origin is None else []
            findings += _left_alone(model)
            kind = kind_of(model)
    if html:
        _write_page(html, workbook, book, report, findings, f"{workbook.name}: {problem.loss}", quiet=as_json)
    if as_json:
        print_json(as_dict(problem, report, findings, kind))
    else:
        _show(console(), problem, report, findings, groups=everything)
        for line in kind.lines() if kind is not None else ():
            console().print(shown(line))
    _end(report, html, quiet=as_json, from_office=workbook.from_office)


def _check_without_model(workbook: Workbook, book: str, sheet: str | None, html: str | None, as_json: bool) -> None:
    from sgdsheet.analysis import checking  # imports torch: not for the help page
    from sgdsheet.analysis.trial import Suggestions, suggestions
    from sgdsheet.compiler.calculated_references import block_table

    chosen = None if sheet is None else workbook.sheet(sheet)
    if sheet is not None and chosen is None:
        raise ProblemError(
            f"the workbook has no worksheet {quoted(sheet)}", remedy=f"It has {', '.join(workbook.sheets)}"
        )
    name = chosen.name if chosen else None
    with working("checking", quiet=as_json) as watch:
        table = block_table(workbook)
        report = checking.check_workbook(workbook, name, table=table, watch=watch)
    models = models_in(workbook)
    with working("looking for what could be trained", quiet=as_json):
        found = Suggestions() if models else suggestions(workbook, name, table=table)
    where = workbook.name if chosen is None else f"{workbook.name}, sheet {chosen.name}"
    if html:
        _write_page(html, workbook, book, report, [], where, quiet=as_json)
    if as_json:
        print_json({**as_dict(None, report), "models": models_as_dict(models), **candidates_as_dict(book, found)})
    else:
        out = console()
        calculated = f"{report.supported:,} of {count(report.formulas, 'formula cell')} calculated"
        named = f"{count(len(models), 'model')}, see below" if models else "there is no model to train"
        out.print(f"[bold]{shown(where)}[/bold]  {calculated}; {named}")
        show_groups(out, report)
        _show_equal(out, report)
        for line in model_lines(models, ("check", path_word(book))):
            out.print(f"  {shown(line)}", soft_wrap=True)
        if not models and report.formulas:
            show_candidates(out, book, found, brief=True)
    _end(report, html, quiet=as_json, from_office=workbook.from_office)


def _end(report: Report, html: str | None, *, quiet: bool, from_office: bool) -> None:
    """Say where the page is; raise the worst of what was found."""
    if html and not quiet:
        console().print(f"Wrote {shown(html)}", soft_wrap=True)
    if not report.passed:
        raise _complaint(report, from_office=from_office)


def _write_page(
    html: str,
    workbook: Workbook,
    book: str,
    report: Report,
    findings: Sequence[Finding],
    title: str,
    *,
    quiet: bool,
) -> None:
    from sgdsheet.apps.cli.check_page import write_page  # imports torch: not for the help page

    with working(f"writing {Path(html).name}", quiet=quiet):
        write_page(Path(html), workbook, Path(book), report, findings, title)


def _diagnosed(model: sgdsheet.SheetModel) -> list[Finding]:
    from sgdsheet.analysis.diagnosis import diagnose  # imports torch: not for the help page
    from sgdsheet.train.session import threads

    with threads(1):
        return diagnose(model)


def _left_alone(model: sgdsheet.SheetModel) -> list[Finding]:
    """Solver's variables on which nothing depends."""
    from sgdsheet.analysis.diagnosis import Finding  # imports torch: not for the help page
    from sgdsheet.compiler.proof import left_alone

    cells = tuple(map(str, model.unused))
    return [Finding("unused variables", "note", cells, left_alone(model.unused) + ".")] if cells else []


def _complaint(report: Report, *, from_office: bool) -> SgdSheetError:
    """The worst of what was found, for stderr. Where LibreOffice saved the file, Excel may have another value."""
    if report.fault is not None:
        return report.fault
    if report.mismatches:
        worst, others = report.mismatches[0], len(report.mismatches) - 1
        more = f", and {count(others, 'more cell')} likewise" if others else ""
        again = "Recalculate and save the workbook" + (" in Excel: LibreOffice saved it" if from_office else "")
        return DataError(
            f"saved as {value_text(worst.saved)} but calculated as {value_text(worst.computed)}{more}",
            cell=worst.cell,
            remedy=f"{again}; if they still differ, this is a bug of sgdsheet's",
        )
    return DataError(
        f"the gradient differs from central differences by {report.gradient_max_error or 0.0:.1e}",
        cell=report.gradient_worst_cell,
        remedy="If the loss has no jump there, this is a bug of sgdsheet's",
    )


def as_dict(
    problem: Problem | None, report: Report, findings: Sequence[Finding] = (), kind: ProblemKind | None = None
) -> dict[str, Any]:
    """The report with the keys of the contract; without a model there is no sheet and no loss."""
    worst = report.mismatches[0] if report.mismatches else None
    return {
        "sheet": problem.sheet if problem else None,
        "loss_cell": str(problem.loss) if problem else None,
        "formulas": report.formulas,
        "supported": report.supported,
        "compared": report.compared,
        "mismatches": [_mismatch(item) for item in report.mismatches],
        "by_office": [_mismatch(item) for item in report.by_office],
        "worst_cell": str(worst.cell) if worst else None,
        "largest_difference": report.largest_difference,
        "unsupported": unsupported_as_dict(report),
        "frozen": frozen_as_dict(report),
        "loss_saved": report.loss_saved,
        "loss_computed": report.loss_computed,
        "gradient_max_error": report.gradient_max_error,
        "gradient_worst_cell": str(report.gradient_worst_cell) if report.gradient_worst_cell else None,
        "gradients_checked": report.gradient_checked,
        "linked": list(report.linked),
        "dead_parameters": [str(cell) for cell in report.dead_parameters],
        "findings": [asdict(finding) for finding in findings],
        "problem": kind.as_dict() if kind is not None else None,
        "passed": report.passed,
        **groups_as_dict(report),
    }


def _mismatch(item: Mismatch) -> dict[str, object]:
    return {"cell": str(item.cell), "saved": _json(item.saved), "computed": _json(item.computed)}


def _json(value: object) -> object:
    return value if isinstance(value, (int, float, str)) else str(value)


def _show(out: Console, problem: Problem, report: Report, findings: Sequence[Finding], *, groups: bool = False) -> None:
    saved = "no saved value" if report.loss_saved is None else f"saved {figure(report.loss_saved)}"
    computed = "cannot be calculated" if report.loss_computed is None else f"computed {figure(report.loss_computed)}"
    if problem.targets:
        out.print(f"what {count(len(problem.targets), 'cell')} miss of their values, as shares, squared: {computed}")
    else:
        out.print(f"[bold]{shown(problem.loss)}[/bold]  {computed}, {saved}")
    if groups:
        show_groups(out, report)
    else:
        _show_unsupported(out, report, _BAD if report.loss_computed is None else _NOTE)
        _show_differing(out, report)
    _show_equal(out, report)
    if report.gradient_max_error is not None:
        _show_gradient(out, report)
    for finding in findings:
        out.print(f"{_NOTE} {shown(finding.message)}")


def _show_unsupported(out: Console, report: Report, mark: str) -> None:
    if report.frozen:
        out.print(f"{_NOTE} {shown(frozen_line(report))}")
    for item in report.unsupported[:_SHOWN]:
        cells = "" if item.area.size == 1 else f" (and {count(item.area.size - 1, 'cell')} like it)"
        out.print(f"{mark} {shown(one_line(str(item.error)))}{cells}")
    if len(report.unsupported) > _SHOWN:
        out.print(f"    and {len(report.unsupported) - _SHOWN:,} more; --json lists them all")


def _show_differing(out: Console, report: Report) -> None:
    if report.mismatches:
        out.print(f"{_BAD} {differ_line(report)}; the worst first:")
        for item in report.mismatches[:_SHOWN]:
            values = f"saved {value_text(item.saved)}, computed {value_text(item.computed)}"
            out.print(f"    {shown(f'{item.cell}  {values}')}")


def _show_equal(out: Console, report: Report) -> None:
    """Say that all is well, or that there is nothing to compare with, and which values are from other workbooks."""
    if report.linked:
        from sgdsheet.compiler.proof import saved_elsewhere  # imports torch: not for the help page

        out.print(f"{_NOTE} {shown(saved_elsewhere(report.linked))}")
    if report.by_office:
        out.print(f"{_NOTE} {shown(by_office_line(report))}")
    if report.compared and not report.mismatches:
        equal = "equals its saved value" if report.compared == 1 else "equal their saved values"
        cells = count(report.compared, "cell")
        out.print(f"{_GOOD} {cells} {equal} (largest difference {report.largest_difference:.1e})")
    elif not (report.compared or report.by_office) and report.supported:
        out.print(f"{_NOTE} the file has no saved values to compare with: open and save it in a spreadsheet")


def _show_gradient(out: Console, report: Report) -> None:
    from sgdsheet.analysis.checking import GRADIENT_TOLERANCE

    error = report.gradient_max_error or 0.0
    where = shown(f", the worst at {report.gradient_worst_cell}") if report.gradient_worst_cell else ""
    if error <= GRADIENT_TOLERANCE:
        checked, agree = (
            count(report.gradient_checked, "gradient"),
            "agrees" if report.gradient_checked == 1 else "agree",
        )
        out.print(f"{_GOOD} {checked} {agree} with central differences to {error:.1e}{where}")
    else:
        out.print(f"{_BAD} the gradient differs from central differences by {error:.1e}{where}")
