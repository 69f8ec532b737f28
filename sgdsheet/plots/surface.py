"""The loss over one or two parameters as a picture, with the way that training took."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from sgdsheet.analysis.loss_surface import (
    LossSlice,
    LossSurface,
    Span,
    chosen_cells,
    loss_slice,
    loss_surface,
    losses_at,
    place_of,
    reach,
    unchanged,
)
from sgdsheet.analysis.trajectory import Trajectory, record_training
from sgdsheet.compiler.model import SheetModel
from sgdsheet.errors import SettingError, TrainingError
from sgdsheet.plots.look import (
    MUTED,
    TITLE_PAD,
    Picture,
    kind_of,
    legend_above,
    look,
    new_figure,
    rendered,
    write,
)
from sgdsheet.sheet.references import Cell
from sgdsheet.system.extras import optional
from sgdsheet.system.long_work import stage
from sgdsheet.train.session import Session
from sgdsheet.train.tensors import put

_SLICE, _SURFACE, _SURFACE_OF_SOURCE = 201, 61, 21
"""Values of each parameter that are tried."""

_MARGIN = 0.35
"""What is shown beyond the path, as a share of its extent."""

_WORSE = 3.0
"""How much worse than at the start, in units of what training gained, a point of the path may be and still be shown."""

_LEVELS = 18
_LOW, _PATH = "#27567F", "#C2570C"
_SIZE, _SLICE_SIZE = (6.6, 4.8), (7.2, 4.2)

Path_ = Sequence[tuple[float, ...]]
"""The values of the picture's parameters, step after step."""


def surface(
    model: SheetModel,
    params: str | None = None,
    output: str | Path | None = None,
    *,
    between: Sequence[Span] = (),
    path: Trajectory | bool = True,
    three_d: bool = False,
    session: Session | None = None,
    show: Callable[[int, float], None] | None = None,
    **options: Any,
) -> Picture:
    """The loss over one parameter (a slice with its tangent) or two (contours, or `three_d`).

    `params` names the cells, such as "F6" or "F6,G6"; it may be left out where there are no more than two. `between`
    has a span (low, high) for each; left out, the picture holds the path. `path` is a training that was recorded
    (what `animate(…).shows` is), True for a new one with these settings (or this `session`), False for none. A surface
    has the other parameters where the path ends, a slice has them where the model is; there, the path is only drawn if
    there is no other parameter. `output` ends in .png, .svg or .pdf; left out, the picture is only returned. The
    model stays as it was. Raises ProblemError, SettingError, FileError, and what `Session` raises.
    """
    kind = kind_of(output) if output is not None else ".png"
    optional("matplotlib", "plot")
    cells = chosen_cells(model, params)
    if between and len(between) != len(cells):
        raise SettingError(f"{len(cells)} parameters need {len(cells)} spans", remedy="Give one for each: --between")
    alone = len(model.parameter_cells()) == len(cells)
    with unchanged(model) as tensors:
        before = [tensor.clone() for tensor in tensors]
        wanted = path is not False and (len(cells) == 2 or alone)
        trajectory = path if isinstance(path, Trajectory) else None
        if wanted and trajectory is None:
            trajectory = record_training(session or Session(model, **options), show)
        way = _way(model, cells, trajectory) if wanted and trajectory is not None else []
        put(tensors, trajectory.snapshots[-1].parameters if way and trajectory and len(cells) == 2 else before)
        here = [model.parameter_cells()[cell] for cell in cells]
        heights = losses_at(model, cells, way) if way else []
        spans = list(between) or _spans(model, cells, here, way, heights)
        _check(spans)
        with stage("calculating the loss around it"):
            found = _calculated(model, cells, spans)
    session = trajectory.session if trajectory is not None else None
    better = session is not None and session.best_step < session.steps_taken
    with stage("drawing"), look():
        data = rendered(_drawn(found, way, heights, alone=alone, better=better, three_d=three_d), kind)
    return Picture(data, kind, found, write(output, data) if output is not None else None)


def _calculated(model: SheetModel, cells: Sequence[Cell], spans: Sequence[Span]) -> LossSlice | LossSurface:
    if len(cells) == 1:
        found: LossSlice | LossSurface = loss_slice(model, cells[0], spans[0], _SLICE)
    else:
        found = loss_surface(model, cells, spans, _SURFACE_OF_SOURCE if model.problem.origin else _SURFACE)
    if not np.isfinite(found.losses).any():
        raise TrainingError("the loss is a number nowhere there", cell=cells[0], remedy="Choose other spans: --between")
    return found


def _way(model: SheetModel, cells: Sequence[Cell], trajectory: Trajectory) -> list[tuple[float, ...]]:
    """The path in these cells, as far as it is finite."""
    places = [place_of(model, cell) for cell in cells]
    way = [
        tuple(float(snapshot.parameters[number].reshape(-1)[place]) for number, place in places)
        for snapshot in trajectory.snapshots
    ]
    return [point for point in way if all(math.isfinite(value) for value in point)]


def _spans(
    model: SheetModel, cells: Sequence[Cell], here: Sequence[float], way: Path_, heights: Sequence[float]
) -> list[Span]:
    """Axes that hold the path, without what is far worse than its start; without one, the surroundings."""
    worth = [model.as_objective(height) for height in heights]
    limit = worth[0] + _WORSE * abs(worth[0] - worth[-1]) if worth else 0.0
    kept = [point for point, value in zip(way, worth, strict=True) if value <= limit] or [tuple(here)]
    found = []
    for place, value in enumerate(here):
        low, high = min(point[place] for point in kept), max(point[place] for point in kept)
        margin = _MARGIN * (high - low) or reach(model, cells[place], value)
        found.append((low - margin, high + margin))
    return found


def _check(spans: Sequence[Span]) -> None:
    for low, high in spans:
        if not (math.isfinite(low) and math.isfinite(high) and low < high):
            raise SettingError(f"{low:g} to {high:g} is no span", remedy="Give the smaller number first")


def _drawn(
    found: LossSlice | LossSurface,
    way: Path_,
    heights: Sequence[float],
    *,
    alone: bool,
    better: bool,
    three_d: bool,
) -> Any:
    if isinstance(found, LossSlice):
        figure = new_figure(*_SLICE_SIZE)
        _draw_slice(figure.subplots(), found, way, heights)
        return figure
    figure = new_figure(*_SIZE)
    if three_d:
        optional("mpl_toolkits.mplot3d", "plot")
        _draw_relief(figure.add_subplot(projection="3d"), found, way, heights)
    else:
        _draw_contours(figure, figure.subplots(), found, way, better=better)
    axes = figure.axes[0]
    axes.set_title("Loss surface", pad=TITLE_PAD)
    note = "" if alone else "the others as training left them; the path seen from above" if way else "the others fixed"
    axes.annotate(
        note, (0, 1), xycoords="axes fraction", xytext=(0, 6), textcoords="offset points", fontsize=8, color=MUTED
    )
    return figure


# --- one parameter ----------------------------------------------------------------------------------------


def _draw_slice(axes: Any, found: LossSlice, way: Path_, heights: Sequence[float]) -> None:
    name = found.axis.title
    axes.set_title(f"Loss over {name}", parse_math=False, pad=TITLE_PAD)
    axes.plot(found.axis.values, found.losses, color=_LOW, linewidth=2, label="loss")
    known = [loss for loss in (*found.losses, *heights) if math.isfinite(loss)]
    low, high = min(known), max(known)
    room = 0.08 * (high - low) or 1.0
    if way:
        points = [(point[0], height) for point, height in zip(way, heights, strict=True)]
        axes.plot(*zip(*points, strict=True), color=MUTED, linewidth=0.8, marker="o", markersize=3.5, label="training")
    _draw_tangent(axes, found)
    axes.set_xlim(found.axis.values[0], found.axis.values[-1])
    axes.set_ylim(low - room, high + room)
    axes.set_xlabel(name, parse_math=False)
    axes.set_ylabel("loss")
    legend_above(axes)


def _draw_tangent(axes: Any, found: LossSlice) -> None:
    """The exact gradient as a line, and the finite difference as another, through its two points."""
    if not math.isfinite(found.loss):
        return
    reach = 0.22 * (found.axis.values[-1] - found.axis.values[0])
    ends = [found.at - reach, found.at + reach]
    if all(math.isfinite(loss) for loss in found.sides):
        middle = sum(found.sides) / 2
        rise = [middle + found.difference * (end - found.at) for end in ends]
        label = f"difference over ±{found.width:.3g}: {_short(found.difference)}"
        axes.plot(ends, rise, color="#6D4C9F", linewidth=1.4, linestyle=(0, (4, 2)), label=label, zorder=3)
        sides = [found.at - found.width, found.at + found.width]
        axes.plot(sides, found.sides, "s", color="#6D4C9F", markersize=4, zorder=4)
    tangent = [found.loss + found.gradient * (end - found.at) for end in ends]
    axes.plot(ends, tangent, color=_PATH, linewidth=1.6, label=f"exact gradient: {_short(found.gradient)}", zorder=3)
    axes.plot([found.at], [found.loss], "o", color=_PATH, markersize=7, zorder=5)


# --- two parameters ---------------------------------------------------------------------------------------


def _draw_contours(figure: Any, axes: Any, found: LossSurface, way: Path_, *, better: bool) -> None:
    losses = np.ma.masked_invalid(np.array(found.losses))
    levels, log = _levels(losses)
    colours = optional("matplotlib.colors", "plot")
    norm = colours.LogNorm(levels[0], levels[-1]) if log else colours.PowerNorm(0.5, levels[0], levels[-1])
    filled = axes.contourf(found.x.values, found.y.values, losses, levels, cmap="Blues", norm=norm)
    axes.contour(found.x.values, found.y.values, losses, levels, colors="white", linewidths=0.6, alpha=0.8)
    bar = figure.colorbar(filled, ax=axes, pad=0.02, aspect=30, format=lambda value, _: _short(value, 3))
    bar.set_label("loss (logarithmic)" if log else "loss")
    bar.outline.set_visible(False)
    axes.grid(False)
    if way:
        steps = way[:-1] if better else way  # training went on from there, and came back at the end
        axes.plot(*zip(*steps, strict=True), color=_PATH, linewidth=1.3, marker="o", markersize=2.6)
        ends = {"start": way[0], "best" if better else "end": way[-1]}
        for (word, point), shape in zip(ends.items(), ("o", "*"), strict=True):
            axes.plot(*point, shape, color="white", markeredgecolor=_PATH, markersize=7 if shape == "o" else 13)
            axes.annotate(
                word, point, xytext=(8, 6), textcoords="offset points", color=_PATH, fontweight="bold",
                bbox={"boxstyle": "round,pad=0.15", "facecolor": "white", "edgecolor": "none", "alpha": 0.75},
            )  # fmt: skip
    axes.set_xlim(found.x.values[0], found.x.values[-1])
    axes.set_ylim(found.y.values[0], found.y.values[-1])
    axes.set_xlabel(found.x.title, parse_math=False)
    axes.set_ylabel(found.y.title, parse_math=False)


def _short(value: float, digits: int = 5) -> str:
    """A number as a person reads it."""
    text = f"{value:,.0f}" if 10 ** (digits - 1) <= abs(value) < 1e7 else f"{value:.{digits}g}"
    return text.replace("-", "−")


def _levels(losses: Any) -> tuple[list[float], bool]:
    """The losses at which contours run: denser near the minimum, where the eye looks; and whether by factors."""
    low, high = float(losses.min()), float(losses.max())
    if high <= low:
        high = low + max(1e-9, abs(low) * 1e-9)
    if low > 0 and high / low > 30:
        return [float(level) for level in np.geomspace(low, high, _LEVELS)], True
    return [low + (high - low) * (place / (_LEVELS - 1)) ** 2 for place in range(_LEVELS)], False


def _draw_relief(axes: Any, found: LossSurface, way: Path_, heights: Sequence[float]) -> None:
    across, up = np.meshgrid(found.x.values, found.y.values)
    losses = np.array(found.losses)
    axes.computed_zorder = False  # else the path, which lies on the surface, would be under it
    axes.plot_surface(across, up, losses, cmap="Blues", linewidth=0.2, edgecolor="#FFFFFF80", alpha=0.95, zorder=1)
    inside = [
        (*point, height)
        for point, height in zip(way, heights, strict=True)
        if found.x.values[0] <= point[0] <= found.x.values[-1] and found.y.values[0] <= point[1] <= found.y.values[-1]
    ]
    if inside:
        axes.plot(*zip(*inside, strict=True), color=_PATH, linewidth=1.5, marker="o", markersize=2.6, zorder=2)
    axes.set_xlabel(found.x.title, parse_math=False)
    axes.set_ylabel(found.y.title, parse_math=False)
    axes.set_zlabel("loss")
    axes.view_init(elev=32, azim=-58)
