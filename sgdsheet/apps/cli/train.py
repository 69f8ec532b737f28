"""`sgdsheet train`: from a workbook to a trained workbook."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import Any

import click

import sgdsheet
from sgdsheet.apps.cli.checkpointing import Checkpoints
from sgdsheet.apps.cli.common import (
    console,
    json_option,
    listed,
    print_json,
    with_source,
)
from sgdsheet.apps.cli.files import (
    DATA,
    InputFile,
    OutputFile,
    guard,
    hold,
    open_elsewhere,
    refuse_open,
    save,
)
from sgdsheet.apps.cli.guidance import find_model
from sgdsheet.apps.cli.model_choice import ModelChoice, model_and_target_arguments
from sgdsheet.apps.cli.outcome import Outcome, announce, as_dict, report
from sgdsheet.apps.cli.progress import progress_bar, working
from sgdsheet.apps.cli.setting_options import settings_options
from sgdsheet.errors import FileError, SettingError
from sgdsheet.hosts.file import output_name
from sgdsheet.plots.loss_curves import save_plot
from sgdsheet.problem.definition import (
    Problem,
    clipped_by_solver_neg,
    refuse_protected,
    sheets_with_problem,
)
from sgdsheet.problem.optimizers import Family
from sgdsheet.problem.settings import combine
from sgdsheet.sheet.agreement import same_value
from sgdsheet.sheet.references import Cell
from sgdsheet.sheet.workbook import ExcelError, Value, Workbook
from sgdsheet.system import processes
from sgdsheet.system.extras import optional
from sgdsheet.system.garbage import collect_as_usual
from sgdsheet.system.outputs import CHECKPOINT, EVENTS, LOG, PICTURE, WORKBOOK, same
from sgdsheet.train.logbook import Logbook, TensorBoardWriter, Writer, file_writer

_MOST_LOSSES = 100_000
"""Losses from the start on that are kept, to explain a rise by."""


HELP_LINE, PLACE = "Train the parameters of a workbook", 10


@click.command("train")
@model_and_target_arguments
@settings_options
@click.option(
    "--source",
    type=DATA,
    metavar="FILE",
    help="Train on data from a file: .npz, .csv, .parquet, MNIST IDX, or a dataset's name.",
)
@click.option("--preview", is_flag=True, help="Show the first samples of the source in the sheet.")
@click.option(
    "-o", "--output", type=OutputFile(WORKBOOK), metavar="OUT", help="Where to write; BOOK-trained.xlsx unless given."
)
@click.option("--in-place", is_flag=True, help="Write into BOOK itself.")
@click.option(
    "--log",
    "--log-file",
    "log",
    type=OutputFile(LOG),
    metavar="FILE",
    help="Write every step to a .csv or .jsonl file.",
)
@click.option("--log-sheet", is_flag=True, help="Add a sheet “SGD log” with a chart to the workbook.")
@click.option("--report", is_flag=True, help="Add a sheet “SGD report” to print: answer, sensitivity, fit.")
@click.option(
    "--plot", type=OutputFile(PICTURE), metavar="FILE", help="Draw the losses into a .png, .svg or .pdf (extra: plot)."
)
@click.option(
    "--tensorboard",
    type=OutputFile(EVENTS),
    metavar="FOLDER",
    help="Write events for TensorBoard (extra: tensorboard).",
)
@click.option(
    "--checkpoint",
    type=OutputFile(CHECKPOINT),
    metavar="FILE",
    help="Keep the run's state in a .json file, to go on later.",
)
@click.option(
    "--resume",
    type=InputFile("the checkpoint", continued=CHECKPOINT),
    metavar="FILE",
    help="Go on where a checkpoint stopped.",
)
@json_option
def command(book: str, choice: ModelChoice, chosen: dict[str, Any], as_json: bool, **options: Any) -> None:
    """Train the parameters of BOOK and write a trained copy, with nothing else in the file changed."""
    if options["output"] is not None and options["in_place"]:
        raise click.UsageError("--output and --in-place exclude each other")
    target = _target(Path(book), options)
    hold(target)  # before it is read: what another run is about to write must not be missed
    with working(f"reading {Path(book).name}", quiet=as_json):
        host = sgdsheet.FileHost(book)
        workbook = host.read()
    host.check_output(target)
    replaced = target.exists() and not options["in_place"]
    problem = find_model(workbook, book, choice, overwrite_formulas=chosen["overwrite_formulas"])
    problem = with_source(problem, options["source"])
    if not options["in_place"] and same(Path(book), target):
        raise SettingError(f"--output names the workbook “{target}” itself", remedy="Say --in-place if that is meant")
    if options["in_place"]:
        refuse_open(target)
    hold(*guard(workbook, problem, output=None if options["in_place"] else target))
    if options["plot"]:
        optional("matplotlib", "plot")
    refuse_protected(workbook, problem)
    settings = combine(problem.settings, chosen)
    with working("compiling", quiet=as_json):
        model = sgdsheet.compile(
            workbook, problem=problem, precision=settings.precision, trust_formulas=settings.trust_formulas
        )
    if options["preview"] and problem.origin is None:
        raise SettingError("--preview is for models whose data come from a file", remedy="Leave it out")
    watched = any(options[name] for name in ("log", "log_sheet", "plot", "tensorboard"))
    with working("comparing with the saved values" if problem.origin is None else "looking at the data", quiet=as_json):
        session = sgdsheet.Session(model, settings, measure_gradient=watched)
    preview = session.preview() if options["preview"] else {}
    if options["resume"]:
        from sgdsheet.train.checkpoints import read_checkpoint  # imports torch: not for the help page

        session.restore(read_checkpoint(Path(options["resume"])))
    if processes.rank():  # the first one talks and writes
        session.run()
        session.leave()
        return
    out = console()
    if not as_json:
        announce(out, session, [] if choice.sheet or choice.loss else sheets_with_problem(workbook))
    from sgdsheet.analysis.reporting.fitted_model import fitted_model  # imports torch: not for the help page
    from sgdsheet.analysis.reporting.solution_report import report_page
    from sgdsheet.analysis.trajectory import last_record
    from sgdsheet.train.run import CONVERGED

    with Logbook(_writers(options), objective=model.as_objective) as logbook:
        losses: list[float] = []
        metric_start = model.value_of(problem.metric) if problem.metric is not None else None
        checkpoints = Checkpoints(options["checkpoint"])
        interrupted = _run(session, logbook, losses, checkpoints, quiet=as_json)
        outcome = Outcome(session, target, interrupted, metric_start, replaced=replaced)
        logbook.add(last_record(session))
    session.leave()
    solution = session.solution()
    if session.stopped == CONVERGED or options["report"] or as_json:  # else there is hardly anything to be found
        outcome.fitted = fitted_model(solution)
    outcome.course = [item.loss for item in logbook.records() if item.step < session.steps_taken]
    outcome.findings = _overfitting(session) + _findings(session, losses)
    outcome.warnings += [*session.proof.warnings, *_clipped(problem, workbook), *_overwritten(problem)]
    outcome.warnings += _relaxed(problem)
    with working("calculating all cells that depend on it", quiet=as_json):
        results, uncalculated = _results(session, outcome, preview)
    host.write({**preview, **results})
    host.replace_formulas([cell for area in problem.overwritten for cell in area.cells()])
    host.mark_uncalculated(uncalculated)
    if options["log_sheet"]:
        host.write_log(logbook.records(), _title(session), [str(item) for item in outcome.findings])
    if options["report"]:
        host.write_report(report_page(solution, outcome.fitted or fitted_model(solution), datetime.now()))
    outcome.warnings += open_elsewhere(Path(book), target)
    with working(f"writing {target.name}", quiet=as_json):
        save(host, target, in_place=options["in_place"])
    _write_extras(session, logbook, checkpoints, outcome, options)
    if as_json:
        print_json(as_dict(outcome))
    else:
        report(out, outcome)


def _target(book: Path, options: dict[str, Any]) -> Path:
    if options["in_place"]:
        return book
    if options["output"] is not None:
        return Path(options["output"])
    return output_name(book.parent / f"{book.stem}-trained{book.suffix}")


def _clipped(problem: Problem, workbook: Workbook) -> list[str]:
    """A network's weights are negative as often as not: Solver's default would make it useless."""
    cells = clipped_by_solver_neg(problem, workbook)
    if not cells:
        return []
    listed = ", ".join(str(cell) for cell in cells[:3]) + (", …" if len(cells) > 3 else "")
    return [
        f"Solver's option “Make unconstrained variables non-negative” is on, and {listed} started below 0: switch it"
        " off in Solver if these are weights"
    ]


def _relaxed(problem: Problem) -> list[str]:
    """Whole numbers that Solver was told to ignore."""
    if not problem.solver.relaxed or not problem.discrete:
        return []
    return ["Solver's option “Ignore Integer Constraints” is on: parameters that should be whole may be any numbers"]


def _overwritten(problem: Problem) -> list[str]:
    """What became of formulas in parameter cells."""
    if not problem.overwritten:
        return []
    return [f"Numbers took the place of formulas: {listed(problem.overwritten)}"]


def _findings(session: sgdsheet.Session, losses: list[float]) -> list[sgdsheet.Finding]:
    """Whether the learning rate was too high, and what else stands in the way of training."""
    plan, model = session.plan, session.model
    if session.source is not None or plan.search is not None:
        return []  # what a few rows of a preview show says nothing about the data; a search needs no gradient
    if plan.solved and session.stopped == "converged" and session.reason:
        return []  # nothing better exists, or not nearby: a gradient at a kink says nothing about that
    found = sgdsheet.diagnose(model)
    alone = not plan.batched and not plan.solved and plan.search is None and not session.distribution
    climbed = not model.as_objective(session.loss_last) < model.as_objective(session.loss_start)
    if alone and plan.optimizer.family is Family.GRADIENT and climbed:
        rise = sgdsheet.explain_rise(losses, plan.learning_rate, model, optimizer=plan.optimizer.name)
        if rise is not None:  # which explains the large gradient as well
            found = [rise, *(item for item in found if item.kind != "exploding gradient")]
    return found


def _overfitting(session: sgdsheet.Session) -> list[sgdsheet.Finding]:
    """Whether the validation loss rose while training went on."""
    said, problem = session.overfitting, session.model.problem
    cell = str(problem.valid or problem.loss)
    return [sgdsheet.Finding("overfitting", "warning", (cell,), said[0].upper() + said[1:] + ".")] if said else []


def _run(
    session: sgdsheet.Session, logbook: Logbook, losses: list[float], checkpoints: Checkpoints, *, quiet: bool
) -> bool:
    """Take all steps; True if the user stopped it with Ctrl-C. The best parameters are in place either way."""
    from sgdsheet.analysis.trajectory import record_of  # imports torch: not for the help page

    steps = iter(session)
    collect_as_usual()
    try:
        with progress_bar(session.plan.steps, session.loss_start, quiet=quiet) as show:
            for step in steps:
                show(step.number, step.loss)
                if len(losses) < _MOST_LOSSES:
                    losses.append(step.loss)
                logbook.add(record_of(session, step))
                checkpoints.keep(session)
    except KeyboardInterrupt:
        return True
    finally:
        checkpoints.write(session)
        steps.close()  # type: ignore[attr-defined]
    return False


def _writers(options: dict[str, Any]) -> list[Writer]:
    writers: list[Writer] = []
    if options["log"]:
        writers.append(file_writer(options["log"]))
    if options["tensorboard"]:
        writers.append(TensorBoardWriter(options["tensorboard"]))
    return writers


def _title(session: sgdsheet.Session) -> str:
    problem = session.model.problem
    return f"Training of {problem.loss} with {session.plan.optimizer_name}"


def _results(
    session: sgdsheet.Session, outcome: Outcome, preview: dict[Cell, Value]
) -> tuple[dict[Cell, Value], set[Cell]]:
    """The new parameters, and the values of all formula cells that depend on them; and those that are not known."""
    model = session.model
    cells = model.dependent_cells(changed=preview)
    outcome.stale = [str(block.range) for block, _ in cells.failures]
    unknown = {cell for block, _ in cells.failures for cell in block.range.cells()}
    saved = {name: sheet.values for name, sheet in model.workbook.sheets.items()}
    results = {
        cell: value for cell, value in cells.values.items() if not _stays(saved[cell.sheet].get(cell[1:]), value)
    }
    loss, metric = model.problem.loss, model.problem.metric
    if isinstance(error := cells.values.get(loss), ExcelError) and model.problem.origin is None:
        outcome.warnings.append(
            f"{loss} is {error.value} in a spreadsheet, since a number on the way is beyond what it can hold; "
            "bounds or other start values keep clear of that"
        )
    if metric is not None:
        outcome.metric = None if metric in unknown else results.get(metric, saved[metric.sheet].get(metric[1:]))
    return {**results, **model.parameter_cells()}, unknown


def _stays(saved: Value | None, value: Value) -> bool:
    """Whether it is an error that the file has: the newer ones have metadata beside them, which stay as they are."""
    return isinstance(value, ExcelError) and isinstance(saved, ExcelError) and same_value(saved, value)


def _write_extras(
    session: sgdsheet.Session, logbook: Logbook, checkpoints: Checkpoints, outcome: Outcome, options: dict[str, Any]
) -> None:
    """The workbook is written by now: nothing else is worth failing for."""
    from sgdsheet.plots.fit import fit_of  # imports torch: not for the help page

    failures = {"checkpoint": checkpoints.failure, **logbook.failures}
    if options["plot"]:
        try:
            save_plot(
                logbook.records(),
                options["plot"],
                _title(session),
                best=session.best_step,
                fit=fit_of(session.model),
            )
        except FileError as error:
            failures["plot"] = error
    outcome.warnings += [str(error) for error in failures.values() if error is not None]
    kept = [name for name in ("log", "tensorboard", "checkpoint", "plot") if failures.get(name) is None]
    outcome.written += [options[name] for name in kept if options[name]]
