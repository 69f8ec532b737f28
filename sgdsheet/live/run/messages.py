"""What is said about a run, in the status bar and in messages."""

from __future__ import annotations

import math
from collections.abc import Sequence

from sgdsheet.analysis.checking import GRADIENT_TOLERANCE, Report
from sgdsheet.sheet.references import Cell


def number_text(value: float | None) -> str:
    """A loss as the status bar shows it."""
    return f"{value:.4g}" if value is not None and math.isfinite(value) else "not a number"


def progress(step: int, loss: float | None, rate: float | None) -> str:
    """`step 340, loss 0.1312, 912 steps/s`."""
    return f"step {step:,}, loss {number_text(loss)}" + (f", {speed(rate)}" if rate else "")


def speed(rate: float) -> str:
    return f"{rate:,.0f} steps/s" if rate >= 10 else f"{rate:.2g} steps/s"


def count(number: int, noun: str) -> str:
    """`1 step`, `20 steps`."""
    return f"{number:,} {noun}" if number == 1 else f"{number:,} {noun}s"


def finished(
    start: float, loss: float, last: float, best: int, steps: int, seconds: float, why: str, *, of_batch: bool = False
) -> str:
    """How a run went: the loss at the start, of the parameters that were kept (of the step `best`), and at its end.

    With `of_batch`, the loss at the end is that of the last batch.
    """
    rate = f" ({speed(steps / seconds)})" if seconds > 0.05 and steps else ""
    true = "" if last == loss else f"; last {number_text(last)}, best {number_text(loss)} at step {best:,} (kept)"
    better = "" if loss != start or not steps else "; no step made it better: the parameters are as they were"
    how = f"; {why}" if why else ""
    took = f"{count(steps, 'step')}, {seconds:.1f} s{rate}"
    batch = " (the last batch)" if of_batch else ""
    return f"loss {number_text(start)} → {number_text(loss)}{batch} in {took}{true}{better}{how}"


ALL_OF_IT = "all of it (LibreOffice: Ctrl+Shift+F9, Excel: Ctrl+Alt+F9)"
"""What a person has to recalculate where a spreadsheet still shows what a file had saved, and the keys for it."""


def differs(found: object, ours: float, *, trusted: bool = False) -> str:
    """Says that the spreadsheet shows another loss (`found`) than we calculate, although nothing was changed.

    Where the formulas are `trusted`, those that depend on no parameter may still show what was saved of them.
    """
    shown = number_text(found) if isinstance(found, float) else str(found)
    trust = f"recalculate {ALL_OF_IT}; if that does not help, " if trusted else ""
    remedy = f"{trust}press Check to see which cells differ"
    return f"the spreadsheet calculates {shown} where sgdsheet has {ours:.10g}: {remedy}"


def changed(where: Sequence[Cell], found: object, ours: float, steps: int) -> str:
    """Says that the spreadsheet shows another loss (`found`) than a run came to, because cells were changed."""
    shown = number_text(found) if isinstance(found, float) else str(found if found is not None else "nothing")
    cells = str(where[0]) if where else "the model"
    more = f" and {count(len(where) - 1, 'other cell')}" if where[1:] else ""
    return (
        f"changed since the last step: {cells}{more}. The spreadsheet calculates {shown} now, where training had come"
        f" to {number_text(ours)} in {count(steps, 'step')}"
    )


def checked(report: Report) -> str:
    """What a check found, in words."""
    lines = []
    if report.fault is not None:
        lines.append(str(report.fault))
    if report.mismatches:
        worst = report.mismatches[0]
        lines.append(
            f"{len(report.mismatches):,} of {count(report.compared, 'cell')} differ from what the spreadsheet"
            f" calculates, the worst is {worst.cell}: {worst.saved} there, {worst.computed} here"
        )
    elif report.compared:
        equal = "equals what" if report.compared == 1 else "equal what"
        lines.append(
            f"{count(report.compared, 'cell')} {equal} the spreadsheet calculates (largest difference"
            f" {report.largest_difference:.1e})"
        )
    for item in report.unsupported[:5]:
        lines.append(str(item.error))
    if report.gradient_max_error is not None:
        good = report.gradient_max_error <= GRADIENT_TOLERANCE
        verdict = "agree with" if good else "differ from"
        gradients = count(report.gradient_checked, "gradient")
        lines.append(f"{gradients} {verdict} central differences (to {report.gradient_max_error:.1e})")
    if report.dead_parameters:
        cells = ", ".join(str(cell) for cell in report.dead_parameters[:3])
        more = ", …" if len(report.dead_parameters) > 3 else ""
        lines.append(f"{count(len(report.dead_parameters), 'parameter')} without any gradient: {cells}{more}")
    return "\n".join(lines)
