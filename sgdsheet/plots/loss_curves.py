"""The course of a run as a picture, and that of the learning-rate finder."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from sgdsheet.plots.chart_drawing import Drawing
from sgdsheet.plots.look import COLUMN, INK, count_steps, saved_figure, scale
from sgdsheet.plots.painters import painter_of
from sgdsheet.train.logbook import Column, Record, number, thin, wants_log_axis

_FEW = 40
"""Points up to which each is marked."""

_LONG_RUN, _EARLY, _MOSTLY = 100, 0.04, 0.8
"""A run of at least `_LONG_RUN` steps is drawn on a logarithmic axis if the first `_EARLY` share of its steps has the
`_MOSTLY` share of what the loss does: else nobody would see it."""


def save_plot(
    records: Sequence[Record],
    path: str | Path,
    title: str = "",
    *,
    best: int | None = None,
    fit: Drawing | None = None,
) -> None:
    """Training and validation loss over the steps; below them the learning rate and the gradient norm.

    The step that was `best` is marked, and beside the losses stands a chart of the `fit`. The axes are logarithmic
    where that shows the losses better. The ending of `path` says how to draw: .png, .svg or .pdf. Of many records,
    some are drawn.
    """
    records = thin(records)
    with saved_figure(path, 4.6, 7.2 if fit is None else 11.6) as figure:
        left, right = (figure, None) if fit is None else figure.subfigures(1, 2, width_ratios=[1.35, 1])
        upper, lower = left.subplots(2, 1, sharex=True, gridspec_kw={"height_ratios": [3, 1.1]})
        upper.set_title(title or "Loss", parse_math=False)
        shown = [_draw(upper, records, COLUMN[field]) for field in ("loss", "valid_loss")]
        log = _scale(upper, records, "loss", "valid_loss")
        upper.set_ylabel("loss (logarithmic)" if log else "loss")
        _side_axis(lower, records, "learning_rate")
        lower.set_ylim(bottom=0)
        if any(number(record, "gradient_norm") is not None for record in records):
            twin = lower.twinx()
            twin.spines["right"].set_visible(True)
            twin.grid(False)
            _side_axis(twin, records, "gradient_norm")
            _scale(twin, records, "gradient_norm")
        count_steps(lower)
        if len(records) == 1:
            lower.set_xlim(records[0].step - 1, records[0].step + 1)
        elif _happens_early(records, log=log):
            lower.set_xscale("symlog", linthresh=1)
            lower.set_xlim(left=0)
            lower.set_xlabel("step (logarithmic)")
            lower.xaxis.set_major_formatter(lambda value, _: f"{value:,.10g}")
        if best is not None:
            _mark_best(upper, records, best)
        if any(shown):
            upper.legend(loc="best", labelcolor=INK)
        left.align_ylabels([upper, lower])
        if right is not None and fit is not None:
            painter_of(right.subplots(), [fit])


def _happens_early(records: Sequence[Record], *, log: bool) -> bool:
    """Whether most of what the loss does lies in so few steps that nobody would see it."""
    known = [(record.step, value) for record in records if (value := number(record, "loss")) is not None]
    if not known or known[-1][0] < _LONG_RUN:
        return False
    heights = [math.log(value) if log else value for _, value in known]
    limit = heights[0] + _MOSTLY * (min(heights) - heights[0])
    there = next(step for (step, _), height in zip(known, heights, strict=True) if height <= limit)
    return there < _EARLY * known[-1][0]


def _mark_best(axes: Any, records: Sequence[Record], best: int) -> None:
    """A dot at the step whose parameters were kept, and its number."""
    near = [record for record in records if number(record, "loss") is not None]
    if not near:
        return
    record = min(near, key=lambda item: abs(item.step - best))
    colour = COLUMN["loss"].colour
    axes.plot([record.step], [record.loss], "o", color=colour, markersize=7, markeredgecolor="white", zorder=4)
    late = record.step > 0.6 * near[-1].step
    axes.annotate(
        f"best: step {best:,}",
        (record.step, record.loss),
        xytext=(-4 if late else 4, 9),
        textcoords="offset points",
        ha="right" if late else "left",
        color=colour,
        fontweight="bold",
    )


def save_learning_rate_plot(
    rates: Sequence[float], losses: Sequence[float], suggestion: float | None, path: str | Path
) -> None:
    """The loss over the learning rate (logarithmic), with the suggested rate marked."""
    points = [(rate, loss) for rate, loss in zip(rates, losses, strict=True) if rate > 0 and math.isfinite(loss)]
    with saved_figure(path, 3.6) as figure:
        axes = figure.subplots()
        axes.set_title("Learning rate finder")
        axes.plot(*zip(*points, strict=True) if points else ((), ()), color=COLUMN["loss"].colour)
        axes.set_xscale("log")
        axes.set_xlabel("learning rate")
        axes.set_ylabel("training loss")
        if points:
            _cut_off_divergence(axes, points)
        if suggestion is not None and suggestion > 0:
            _mark(axes, points, suggestion)


def _cut_off_divergence(axes: Any, points: Sequence[tuple[float, float]]) -> None:
    """Show the part that tells something: past the best rate the loss shoots up."""
    losses = [loss for _, loss in points]
    low, start = min(losses), losses[0]
    height = start - low or abs(low) or 1.0
    if max(losses) > (top := start + height):
        axes.set_ylim(low - 0.1 * height, top)
        beyond = next((rate for rate, loss in points[losses.index(low) :] if loss > top), None)
        axes.set_xlim(right=1.5 * beyond if beyond is not None else None)


def _mark(axes: Any, points: Sequence[tuple[float, float]], suggestion: float) -> None:
    colour = COLUMN["valid_loss"].colour
    axes.axvline(suggestion, color=colour, linewidth=1, linestyle=(0, (4, 3)))
    if points:
        near = min(points, key=lambda point: abs(math.log(point[0] / suggestion)))
        axes.plot([suggestion], [near[1]], "o", color=colour, markersize=6)
    axes.annotate(
        f"suggested {suggestion:.3g}",
        (suggestion, 1),
        xycoords=("data", "axes fraction"),
        xytext=(6, -4),
        textcoords="offset points",
        va="top",
        color=colour,
        fontweight="bold",
    )


def _draw(axes: Any, records: Sequence[Record], column: Column, *, slim: bool = False) -> bool:
    """Draw what is known of a column; whether there was anything."""
    points = [(record.step, value) for record in records if (value := number(record, column.field)) is not None]
    if points:
        steps, values = zip(*points, strict=True)
        marker = "o" if len(points) <= _FEW else None
        label = f"{column.label}  {values[-1]:.4g}"
        width = 1.1 if slim else 1.4
        axes.plot(steps, values, color=column.colour, marker=marker, label=label, linewidth=width)
    return bool(points)


def _scale(axes: Any, records: Sequence[Record], *fields: str) -> bool:
    """Choose the axis for these columns; whether it is logarithmic."""
    log = wants_log_axis([number(record, field) for record in records for field in fields])
    scale(axes, log=log)
    return log


def _side_axis(axes: Any, records: Sequence[Record], field: str) -> None:
    """A line with an axis of its own, in its own colour."""
    column = COLUMN[field]
    _draw(axes, records, column, slim=True)
    axes.set_ylabel(column.label, color=column.colour)
    axes.tick_params(axis="y", labelcolor=column.colour)
