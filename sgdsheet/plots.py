"""Pictures of a run, drawn by matplotlib (the extra `plot`) without a window."""

from __future__ import annotations

import math
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from sgdsheet.errors import FileError
from sgdsheet.extras import optional
from sgdsheet.logbook import COLUMNS, Column, Record, number, thin, wants_log_axis

_FEW = 40
"""Points up to which each is marked."""

_INK, _MUTED, _GRID = "#1F2937", "#6B7280", "#E5E7EB"
_LOOK = {
    "axes.edgecolor": "#9CA3AF",
    "axes.grid": True,
    "axes.grid.axis": "y",
    "axes.labelcolor": _MUTED,
    "axes.spines.right": False,
    "axes.spines.top": False,
    "axes.titlecolor": _INK,
    "axes.titlelocation": "left",
    "axes.titlesize": 12,
    "axes.titleweight": "bold",
    "axes.axisbelow": True,
    "font.size": 9,
    "grid.color": _GRID,
    "grid.linewidth": 0.8,
    "legend.frameon": False,
    "lines.linewidth": 1.6,
    "lines.markersize": 4,
    "lines.solid_joinstyle": "round",
    "savefig.dpi": 160,
    "svg.hashsalt": "sgdsheet",  # the same ids, so the same bytes, every time
    "xtick.color": "#9CA3AF",
    "xtick.labelcolor": _MUTED,
    "ytick.color": "#9CA3AF",
    "ytick.labelcolor": _MUTED,
}
_UNDATED: dict[str, dict[str, None]] = {".png": {}, ".svg": {"Date": None}, ".pdf": {"CreationDate": None}}
_COLUMN = {column.field: column for column in COLUMNS}


def save_plot(records: Sequence[Record], path: str | Path, title: str = "") -> None:
    """Training and validation loss over the steps; below them the learning rate and the gradient norm.

    The ending of `path` says how to draw: .png, .svg or .pdf. Of many records, some are drawn.
    """
    records = thin(records)
    with _figure(path, 4.6) as figure:
        upper, lower = figure.subplots(2, 1, sharex=True, gridspec_kw={"height_ratios": [3, 1.1]})
        upper.set_title(title or "Loss", parse_math=False)
        shown = [_draw(upper, records, _COLUMN[field]) for field in ("loss", "valid_loss")]
        _scale(upper, records, "loss", "valid_loss")
        upper.set_ylabel("loss")
        if any(shown):
            upper.legend(loc="best", labelcolor=_INK)
        _side_axis(lower, records, "learning_rate")
        lower.set_ylim(bottom=0)
        if any(number(record, "gradient_norm") is not None for record in records):
            twin = lower.twinx()
            twin.spines["right"].set_visible(True)
            twin.grid(False)
            _side_axis(twin, records, "gradient_norm")
            _scale(twin, records, "gradient_norm")
        lower.set_xlabel("step")
        lower.xaxis.set_major_formatter(lambda value, _: f"{value:,.10g}")
        lower.locator_params(axis="x", integer=True)
        lower.margins(x=0.02)
        if len(records) == 1:
            lower.set_xlim(records[0].step - 1, records[0].step + 1)
        figure.align_ylabels([upper, lower])


def save_learning_rate_plot(
    rates: Sequence[float], losses: Sequence[float], suggestion: float | None, path: str | Path
) -> None:
    """The loss over the learning rate (logarithmic), with the suggested rate marked."""
    points = [(rate, loss) for rate, loss in zip(rates, losses, strict=True) if rate > 0 and math.isfinite(loss)]
    with _figure(path, 3.6) as figure:
        axes = figure.subplots()
        axes.set_title("Learning rate finder")
        axes.plot(*zip(*points, strict=True) if points else ((), ()), color=_COLUMN["loss"].colour)
        axes.set_xscale("log")
        axes.set_xlabel("learning rate")
        axes.set_ylabel("training loss")
        if points:
            _cut_off_divergence(axes, points)
        if suggestion is not None and suggestion > 0:
            _mark(axes, points, suggestion)


def _cut_off_divergence(axes: Any, points: Sequence[tuple[float, float]]) -> None:
    """Past the best rate the loss shoots up; show the part that tells something."""
    losses = [loss for _, loss in points]
    low, start = min(losses), losses[0]
    height = start - low or abs(low) or 1.0
    if max(losses) > (top := start + height):
        axes.set_ylim(low - 0.1 * height, top)
        beyond = next((rate for rate, loss in points[losses.index(low) :] if loss > top), None)
        axes.set_xlim(right=1.5 * beyond if beyond is not None else None)


def _mark(axes: Any, points: Sequence[tuple[float, float]], suggestion: float) -> None:
    colour = _COLUMN["valid_loss"].colour
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


def _scale(axes: Any, records: Sequence[Record], *fields: str) -> None:
    if wants_log_axis([number(record, field) for record in records for field in fields]):
        axes.set_yscale("log")
    else:
        axes.ticklabel_format(axis="y", useOffset=False)


def _side_axis(axes: Any, records: Sequence[Record], field: str) -> None:
    """A line with an axis of its own, in its own colour."""
    column = _COLUMN[field]
    _draw(axes, records, column, slim=True)
    axes.set_ylabel(column.label, color=column.colour)
    axes.tick_params(axis="y", labelcolor=column.colour)


@contextmanager
def _figure(path: str | Path, height: float) -> Iterator[Any]:
    """An empty figure that is saved at the end."""
    path = Path(path)
    undated = _UNDATED.get(path.suffix.lower())
    if undated is None:
        remedy = f"Give it a name that ends in {', '.join(_UNDATED)}"
        raise FileError(f"“{path}” is not a kind of picture that can be written", remedy=remedy)
    matplotlib, drawing = optional("matplotlib", "plot"), optional("matplotlib.figure", "plot")
    with matplotlib.rc_context(), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # a title in a script that the font lacks
        matplotlib.rcdefaults()
        matplotlib.rcParams.update(_LOOK)
        figure = drawing.Figure(figsize=(7.2, height), layout="constrained")
        yield figure
        try:
            figure.savefig(path, metadata=undated)
        except OSError as error:
            reason = error.strerror or str(error)
            remedy = "Close it in other programs, or write somewhere else"
            raise FileError(f"“{path}” cannot be written: {reason}", remedy=remedy) from None
