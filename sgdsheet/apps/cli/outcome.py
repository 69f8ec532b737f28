"""What a training run came to: for people, and for `--json`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.console import Console

import sgdsheet
from sgdsheet.apps.cli.common import count, figure, shown
from sgdsheet.apps.cli.estimates_table import as_json, as_lines
from sgdsheet.apps.cli.sparkline import sparkline
from sgdsheet.problem.definition import SOLVER
from sgdsheet.sheet.workbook import Value
from sgdsheet.system import processes

if TYPE_CHECKING:
    from sgdsheet.analysis.reporting.fitted_model import FittedModel

STOPPED = "stopped"
"""How a run ended that a person stopped."""


@dataclass(slots=True)
class Outcome:
    """A finished run and what became of it. `stale` are formula cells that could not be recalculated.

    `course` are the losses on the way, or some of them, evenly spread.
    """

    session: sgdsheet.Session
    output: Path
    interrupted: bool
    metric_start: Value | None = None
    replaced: bool = False
    metric: Value | None = None
    fitted: FittedModel | None = None
    """The statistics of the fit, if it is one."""
    stale: list[str] = field(default_factory=list)
    course: Sequence[float] = ()
    written: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    findings: list[sgdsheet.Finding] = field(default_factory=list)

    @property
    def all_warnings(self) -> list[str]:
        """What a person should know, and which cells have no value now."""
        if not self.stale:
            return self.warnings
        listed = ", ".join(self.stale[:4]) + (", …" if len(self.stale) > 4 else "")
        text = f"Not recalculated here: {listed}. They have no value until a spreadsheet opens the file and calculates"
        return [*self.warnings, text]


def as_dict(outcome: Outcome) -> dict[str, Any]:
    """The outcome with the keys of the contract."""
    from sgdsheet.train.constrained.problem_kind import kind_of  # imports torch: not for the help page
    from sgdsheet.train.goals import goals_of

    session, problem = outcome.session, outcome.session.model.problem
    spread = session.distribution
    return {
        "sheet": problem.sheet,
        "loss_cell": str(problem.loss),
        "parameters": problem.parameter_count,
        "problem": kind_of(session.model).as_dict(),
        "optimizer": session.plan.optimizer_name,
        "learning_rate": session.plan.learning_rate,
        "loss_start": session.loss_start,
        "loss": session.loss,
        "loss_last": session.loss_last,
        "best_step": session.best_step,
        "steps": session.steps_taken,
        "epochs": session.epochs_done,
        "seconds": session.seconds,
        "seconds_per_step": session.seconds / session.steps_taken if session.steps_taken else None,
        "metric": outcome.metric,
        "valid_loss": session.valid_loss,
        "valid_metric": session.valid_metric,
        "test_loss": session.test_loss,
        "test_metric": session.test_metric,
        "source": session.source,
        "samples": session.sample_count,
        "loss_samples": session.loss_samples,
        "loss_bound": session.loss_bound,
        "targets": [
            {"cell": str(goal.cell), "wanted": goal.wanted, "value": goal.found, "missed_by": goal.missed_by}
            for goal in goals_of(session.model)
        ],
        "constraint_violation": session.violation,
        "constraints_hold": session.constraints_hold if session.violation is not None else None,
        "restarts": None
        if spread is None
        else {
            "starts": spread.starts,
            "finite": len(spread.losses),
            "minima": _minima(session, spread.minima),
            "best": session.model.from_objective(spread.quantile(0.0)),
            "quartiles": [session.model.from_objective(spread.quantile(share)) for share in (0.25, 0.5, 0.75)],
        },
        "stopped": STOPPED if outcome.interrupted else session.stopped or None,
        "stopped_because": "Ctrl-C" if outcome.interrupted else session.reason or None,
        "warnings": outcome.all_warnings,
        "findings": [
            {"kind": item.kind, "severity": item.severity, "cells": list(item.cells), "message": item.message}
            for item in outcome.findings
        ],
        "not_recalculated": outcome.stale,
        "output": str(outcome.output),
        **as_json(outcome.fitted),
    }


def announce(out: Console, session: sgdsheet.Session, sheets: Sequence[str] = ()) -> None:
    """Tell what is about to happen; `sheets` are those that have a model, if nobody chose one of them."""
    problem, plan = session.model.problem, session.plan
    name, parameters = session.model.workbook.name, count(problem.parameter_count, "parameter")
    sheet, what = shown(problem.sheet), f"loss {shown(problem.loss)}"
    if problem.targets:
        what = f"{count(len(problem.targets), 'cell')} that are to reach values"
    out.print(f"[bold]{shown(name)}[/bold], sheet [bold]{sheet}[/bold]: {parameters}, {what}")
    without_rate = plan.solved or plan.fitted or plan.search is not None or plan.optimizer.name == "lbfgs"
    rate = "" if without_rate else f", learning rate {plan.learning_rate:g}"
    chosen = f" (chosen: {shown(plan.why)})" if plan.why else ""
    out.print(f"optimizer {shown(plan.optimizer_name)}{rate}{chosen}")
    if session.source is not None:
        size = f", {plan.batch_size:,} per step" if plan.batch_size is not None else ""
        several = f", shared by {processes.count()} processes" if processes.count() > 1 else ""
        samples = count(session.sample_count or 0, "sample")
        out.print(f"data {shown(session.source)}: {samples} for training{size}{several}")
        if session.loss_samples != session.sample_count:
            out.print(f"the losses at the start and the end are those of {session.loss_samples:,} of them")
    others = [shown(name) for name in sheets if name != problem.sheet]
    if others:
        out.print(f"there are models on other sheets too: {', '.join(others)} (choose with --sheet)")


def report(out: Console, outcome: Outcome) -> None:
    """What happened."""
    from sgdsheet.train.goals import goals_of  # imports torch: not for the help page

    session = outcome.session
    problem = session.model.problem
    rate = f", {session.steps_taken / session.seconds:,.0f} steps/s" if session.seconds > 0 else ""
    steps = count(session.steps_taken, "step")
    epochs = f" ({count(session.epochs_done, 'epoch')})" if session.epochs_done else ""
    final = f"loss {figure(session.loss_start)} → [bold]{figure(session.loss)}[/bold]"
    out.print(f"{final} in {steps}{epochs}, {session.seconds:.2f} s{rate}")
    if course := sparkline(outcome.course):
        out.print(f"     {course}")
    if session.loss_last != session.loss:
        last, best = figure(session.loss_last), figure(session.loss)
        out.print(f"last {last}, best {best} at step {session.best_step:,} (kept)")
    if session.loss == session.loss_start and session.steps_taken and not (session.plan.solved or session.plan.search):
        out.print("[yellow]No step made it better: the parameters are as they were.[/yellow]")
    for goal in goals_of(session.model):
        missed = "reached" if goal.reached else f"[yellow]missed by {goal.missed_by:.3g}[/yellow]"
        now = f"[bold]{figure(goal.found)}[/bold]"
        out.print(f"{shown(goal.cell)} wanted {figure(goal.wanted)}, now {now}: {missed}")
    if problem.source == SOLVER:
        saved = session.model.workbook.sheets[problem.loss.sheet].values.get(problem.loss[1:])
        if isinstance(saved, float) and not session.model.workbook.stale:
            out.print(f"saved in the sheet {figure(saved)}, now [bold]{figure(session.loss)}[/bold]")
    _report_details(out, outcome)
    if outcome.fitted is not None:
        for line in as_lines(outcome.fitted):
            out.print(line)
    for finding in outcome.findings:
        if finding.severity == "warning":
            out.print(f"[yellow]![/yellow] {shown(finding.message)}")
    for warning in outcome.all_warnings:
        out.print(f"[yellow]{shown(warning)}[/yellow]")
    if outcome.interrupted:
        out.print("[yellow]Stopped by Ctrl-C; the best parameters so far were written.[/yellow]")
    elif session.ending:
        out.print(shown(session.ending[0].upper() + session.ending[1:]) + ".")
    before = " (in place of an older one)" if outcome.replaced else ""
    out.print("Wrote " + shown(str(outcome.output)) + before + shown("".join(f", {path}" for path in outcome.written)))


def _minima(session: sgdsheet.Session, losses: int) -> int:
    """In how many minima the starts ended: in one where there is no other, at however many different losses."""
    from sgdsheet.train.constrained.problem_kind import kind_of  # imports torch: not for the help page

    return 1 if losses > 1 and kind_of(session.model).convex else losses


def _report_details(out: Console, outcome: Outcome) -> None:
    session = outcome.session
    spread = session.distribution
    if spread is not None and spread.losses and spread.starts > 1:
        low, middle, high = (session.model.from_objective(spread.quantile(share)) for share in (0.0, 0.5, 0.999))
        minima = _minima(session, spread.minima)
        ends = "one minimum" if minima == 1 else f"{minima:,} different minima"
        if minima < spread.minima:
            ends = "the one valley that there is, at different heights"
        out.print(f"{spread.starts:,} starts ended in {ends}: best {low:.6g}, median {middle:.6g}, worst {high:.6g}")
    if session.valid_loss is not None:
        metric = f", metric {session.valid_metric:.4g}" if session.valid_metric is not None else ""
        out.print(f"validation loss {figure(session.valid_loss)}{metric}")
    if session.test_loss is not None:
        metric = f", metric [bold]{session.test_metric:.4g}[/bold]" if session.test_metric is not None else ""
        out.print(f"test loss {figure(session.test_loss)}{metric}")
    if isinstance(outcome.metric, float) and isinstance(outcome.metric_start, float):
        where = " of the preview" if session.source is not None else ""
        cell = shown(session.model.problem.metric) + where
        out.print(f"metric {cell} {outcome.metric_start:.4g} → [bold]{outcome.metric:.4g}[/bold]")
    if outcome.interrupted and session.loss_bound is not None:
        out.print(f"no point can be better than {figure(session.loss_bound)}: that was proved so far")
    if session.violation is not None and session.model.problem.constraints:
        verdict = "all constraints hold" if session.constraints_hold else "constraints violated"
        out.print(f"{verdict} (largest violation {session.violation:.1e})")
