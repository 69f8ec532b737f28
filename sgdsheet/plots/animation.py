"""A training as a moving picture: the sheet's own charts, and the loss beside them."""

from __future__ import annotations

import io
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

from sgdsheet.analysis.observation import Observer, charts_of_fit
from sgdsheet.analysis.trajectory import Snapshot, Trajectory, record_training
from sgdsheet.compiler.model import SheetModel
from sgdsheet.errors import FileError, SettingError, quoted
from sgdsheet.plots.chart_drawing import ChartReader
from sgdsheet.plots.colours import in_palette, palette_of
from sgdsheet.plots.look import (
    COLUMN,
    GRID,
    INK,
    MUTED,
    TITLE_PAD,
    Picture,
    count_steps,
    kind_of,
    look,
    new_figure,
    scale,
    write,
)
from sgdsheet.plots.painters import painter_of
from sgdsheet.sheet.charts import Chart
from sgdsheet.system.extras import optional
from sgdsheet.system.long_work import done, stage
from sgdsheet.system.outputs import ANIMATION
from sgdsheet.train.logbook import Record, number, wants_log_axis
from sgdsheet.train.session import Session

_CHARTS = 2
"""Charts of the sheet that are shown, at most."""

_PER_SECOND = 12
_FRAMES = (12, 240)
_SECONDS = (1.0, 60.0)
_WIDTHS = (320, 1600)
_FIRST, _LAST = 0.8, 2.5
"""Seconds for which the first and the last frame stand still."""

_DRAWN = 0.8
"""The share of the time until the colours of the frames are reduced."""
_DOTS_PER_INCH = 100
_INCHES = {1: (8.0, 3.6), 2: (9.0, 3.7), 3: (12.0, 3.7)}
"""Size of the figure by its number of panels."""


def animate(
    model: SheetModel,
    output: str | Path | None = None,
    *,
    seconds: float = 6.0,
    width: int = 900,
    session: Session | None = None,
    show: Callable[[int, float], None] | None = None,
    **options: Any,
) -> Picture:
    """Train a model and draw it: the sheet's charts as they move, the loss beside them.

    `output` ends in .gif, or in .mp4 where ffmpeg is installed; left out, the picture is only returned (a notebook
    shows it). `seconds` is how long it moves, `width` how many pixels it is wide. The other keyword arguments are
    settings as for `Session` (or give a `session` of the model); one start is shown, so restarts are left out.
    `show` is told the number and the loss of every step. Afterwards the model has the parameters that the training
    came to, and the picture `shows` the trajectory. Raises SettingError, FileError, and what `Session` raises.
    """
    kind = check_request(output, seconds, width)
    drawing = optional("matplotlib.backends.backend_agg", "plot")
    session = session or Session(model, **options)
    if session.settings.restarts:
        session = Session(model, replace(session.settings, restarts=None))
    trajectory = record_training(session, show)
    frames = spread(trajectory.snapshots, round(seconds * _PER_SECOND))
    with stage("drawing the frames"), look():
        film = _Film(trajectory, frames)
        film.figure.set_dpi(_DOTS_PER_INCH * width / (film.figure.get_figwidth() * _DOTS_PER_INCH))
        canvas = drawing.FigureCanvasAgg(film.figure)
        data = _gif(film, canvas) if kind == ".gif" else _mp4(film, canvas)
    return Picture(data, kind, trajectory, write(output, data) if output is not None else None)


def check_request(output: str | Path | None, seconds: float, width: int) -> str:
    """The kind of file to make. Raises SettingError or FileError for what cannot be made, before any work is done."""
    kind = kind_of(output, ANIMATION) if output is not None else ".gif"
    for value, (low, high), what in ((seconds, _SECONDS, "seconds"), (width, _WIDTHS, "width")):
        if not low <= value <= high:
            raise SettingError(f"{value:g} is not possible for --{what}", remedy=f"Allowed: from {low:g} to {high:g}")
    optional("matplotlib", "plot")
    if kind == ".mp4":
        _ffmpeg()
    return kind


def moving_charts(model: SheetModel) -> list[Chart]:
    """The charts that an animation shows."""
    return charts_of_fit(model)[:_CHARTS]


def spread(snapshots: Sequence[Snapshot], count: int) -> list[Snapshot]:
    """So many of the snapshots, in their order: the first, the last, and between them more of the early steps.

    Snapshots lie ever farther apart, so evenly chosen ones are dense where most happens.
    """
    count = max(_FRAMES[0], min(_FRAMES[1], count))
    if len(snapshots) <= count:
        return list(snapshots)
    last = len(snapshots) - 1
    return [snapshots[round(place * last / (count - 1))] for place in range(count)]


class _Film:
    """The figure, and what its frames show."""

    def __init__(self, trajectory: Trajectory, frames: Sequence[Snapshot]) -> None:
        model = trajectory.session.model
        self.frames, self._trajectory = frames, trajectory
        charts = moving_charts(model)
        observer = Observer(model, [*(area for chart in charts for area in chart.areas)])
        seen = [observer.at(frame.parameters) for frame in frames]
        readers = [ChartReader(chart, model.workbook) for chart in charts]
        self._drawings = [[reader.drawing(values) for values in seen] for reader in readers]
        self.figure = new_figure(*_INCHES[1 + len(charts)])
        panels = self.figure.subplots(1, 1 + len(charts), squeeze=False)[0]
        self._painters = [painter_of(axes, drawn) for axes, drawn in zip(panels, self._drawings, strict=False)]
        self._loss = LossPanel(panels[-1], trajectory.records)

    def pictures(self, canvas: Any) -> Iterator[Any]:
        """Every frame as an image. What does not move is drawn once."""
        image = optional("PIL.Image", "plot")
        self.show(len(self.frames) - 1)
        canvas.draw()  # chooses where everything stands
        self.figure.set_layout_engine("none")
        moving = [*(artist for painter in self._painters for artist in painter.moving), *self._loss.moving]
        for artist in moving:
            artist.set_animated(True)
        canvas.draw()
        still = canvas.copy_from_bbox(self.figure.bbox)
        for index in range(len(self.frames)):
            self.show(index)
            canvas.restore_region(still)
            for artist in sorted(moving, key=lambda artist: float(artist.get_zorder())):
                artist.axes.draw_artist(artist)
            yield image.frombytes("RGBA", canvas.get_width_height(), bytes(canvas.buffer_rgba())).convert("RGB")

    def show(self, index: int) -> None:
        """Move everything to a frame."""
        for painter, drawings in zip(self._painters, self._drawings, strict=True):
            painter.show(drawings[index])
        step, session = self.frames[index].step, self._trajectory.session
        if index == len(self.frames) - 1:  # what the training came to
            best = session.best_step < session.steps_taken
            self._loss.show(session.best_step, session.steps_taken, best=best)
        else:
            self._loss.show(step, step)


class LossPanel:
    """The losses up to a step; the axes have room for all of them."""

    def __init__(self, axes: Any, records: Sequence[Record]) -> None:
        axes.set_title("Loss", pad=TITLE_PAD)
        self._lines = []
        shown = [field for field in ("loss", "valid_loss") if any(number(item, field) is not None for item in records)]
        for field in shown:
            points = [(item.step, value) for item in records if (value := number(item, field)) is not None]
            axes.plot(*zip(*points, strict=True), color=GRID, linewidth=1.4, zorder=1)
            (line,) = axes.plot([], [], color=COLUMN[field].colour, label=COLUMN[field].label)
            self._lines.append((line, points))
        colour = COLUMN["loss"].colour
        (self._dot,) = axes.plot([], [], "o", color=colour, markersize=6, zorder=3)
        above = {"xycoords": "axes fraction", "textcoords": "offset points", "xytext": (0, 6), "va": "bottom"}
        self._caption = axes.annotate("", (0, 1), color=MUTED, **above)
        self._note = axes.annotate("best", (1, 1), color=colour, fontweight="bold", ha="right", **above)
        log = wants_log_axis([number(item, field) for item in records for field in shown])
        scale(axes, log=log)
        axes.set_ylabel("loss (logarithmic)" if log else "loss")
        count_steps(axes)
        if len(shown) > 1:
            axes.legend(loc="best", labelcolor=INK)

    @property
    def moving(self) -> list[Any]:
        """What `show` changes."""
        return [*(line for line, _ in self._lines), self._dot, self._caption, self._note]

    def show(self, step: int, reached: int, *, best: bool = False) -> None:
        """Mark a step, and draw the lines as far as the training has come."""
        for line, points in self._lines:
            known = [point for point in points if point[0] <= reached]
            line.set_data([place for place, _ in known], [value for _, value in known])
        here = [point for point in self._lines[0][1] if point[0] <= step][-1:] if self._lines else []
        self._dot.set_data([place for place, _ in here], [value for _, value in here])
        self._caption.set_text(f"step {step:,}" + "".join(f", loss {value:.6g}" for _, value in here))
        self._note.set_text("best" if best else "")


def _durations(count: int) -> list[float]:
    """Seconds of each frame."""
    return [_FIRST, *[1 / _PER_SECOND] * (count - 2), _LAST][-count:]


def _gif(film: _Film, canvas: Any) -> bytes:
    """All frames with the colours of the last, which has everything; what stays the same is stored once."""
    pictures = []
    for picture in film.pictures(canvas):
        pictures.append(picture)
        done(_DRAWN * len(pictures) / len(film.frames))
    palette = palette_of([pictures[0], pictures[len(pictures) // 2], pictures[-1]])
    frames = []
    for picture in pictures:
        frames.append(in_palette(picture, palette))
        done(_DRAWN + (1 - _DRAWN) * len(frames) / len(pictures))
    stream = io.BytesIO()
    times = [round(1000 * seconds) for seconds in _durations(len(frames))]
    frames[0].save(
        stream,
        "GIF",
        save_all=True,
        append_images=frames[1:],
        duration=times,
        loop=0,
        optimize=True,
        comment=b"sgdsheet",
    )
    return stream.getvalue()


def _mp4(film: _Film, canvas: Any) -> bytes:
    width, height = canvas.get_width_height()
    raw = ["-f", "rawvideo", "-pix_fmt", "rgb24", "-s", f"{width}x{height}", "-r", str(_PER_SECOND), "-i", "-"]
    with tempfile.TemporaryDirectory(prefix="sgdsheet-") as folder:
        target = Path(folder) / "film.mp4"
        command = [_ffmpeg(), "-v", "error", *raw, *_PLAYABLE, str(target)]
        with subprocess.Popen(command, stdin=subprocess.PIPE, stderr=subprocess.PIPE) as process:
            assert process.stdin is not None
            with suppress(BrokenPipeError):  # it has given up, and says why
                for picture, seconds in zip(film.pictures(canvas), _durations(len(film.frames)), strict=True):
                    process.stdin.write(picture.tobytes() * round(seconds * _PER_SECOND))
            _, said = process.communicate()
        if process.returncode or not target.is_file():
            reason = said.decode("utf-8", "replace").strip().partition("\n")[0] or f"exit status {process.returncode}"
            raise FileError(f"ffmpeg cannot make an .mp4 file: {quoted(reason)}", remedy="Write a .gif")
        return target.read_bytes()


_PLAYABLE = [
    "-vf",
    "pad=ceil(iw/2)*2:ceil(ih/2)*2:color=white",
    "-pix_fmt",
    "yuv420p",
    "-movflags",
    "+faststart",
    "-metadata",
    "comment=sgdsheet",
]
"""Options of ffmpeg for a film that every player can show: its pictures have an even number of pixels each way."""


def _ffmpeg() -> str:
    found = shutil.which("ffmpeg")
    if found is None:
        raise FileError("ffmpeg is not installed, and an .mp4 file needs it", remedy="Install it, or write a .gif")
    return found
