"""The look of all pictures, and how they become files."""

from __future__ import annotations

import base64
import io
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from sgdsheet.errors import FileError
from sgdsheet.system.atomic import write_atomically
from sgdsheet.system.extras import optional
from sgdsheet.system.outputs import ANIMATION, PICTURE, Product, ready
from sgdsheet.train.logbook import COLUMNS

INK, MUTED, GRID = "#1F2937", "#6B7280", "#E5E7EB"
COLOURS = ("#27567F", "#1F6B48", "#C2570C", "#6D4C9F", "#A02A38", "#8F5F00")
"""The colours, in turn, of series that name none."""

TITLE_PAD = 20
"""Points between a chart and its title, where a line below the title has room."""

_LETTERS = 66
"""Letters of a legend that fit into a row."""

_ROW = 11.0

COLUMN = {column.field: column for column in COLUMNS}

_LOOK = {
    "axes.edgecolor": "#9CA3AF",
    "axes.grid": True,
    "axes.grid.axis": "y",
    "axes.labelcolor": MUTED,
    "axes.spines.right": False,
    "axes.spines.top": False,
    "axes.titlecolor": INK,
    "axes.titlelocation": "left",
    "axes.titlesize": 12,
    "axes.titleweight": "bold",
    "axes.axisbelow": True,
    "font.size": 9,
    "grid.color": GRID,
    "grid.linewidth": 0.8,
    "legend.frameon": False,
    "lines.linewidth": 1.6,
    "lines.markersize": 4,
    "lines.solid_joinstyle": "round",
    "savefig.dpi": 160,
    "svg.hashsalt": "sgdsheet",  # the same ids, so the same bytes, every time
    "xtick.color": "#9CA3AF",
    "xtick.labelcolor": MUTED,
    "ytick.color": "#9CA3AF",
    "ytick.labelcolor": MUTED,
}
_METADATA: dict[str, dict[str, str | None]] = {
    ".png": {"Software": "sgdsheet"},
    ".svg": {"Creator": "sgdsheet", "Date": None},
    ".pdf": {"Creator": "sgdsheet", "CreationDate": None},
}
"""What is written into the files of pictures: who made them, so that they may be replaced, and no date, so that their
bytes are the same every time."""

_MIME = {".png": "image/png", ".svg": "image/svg+xml", ".pdf": "application/pdf"}


@dataclass(frozen=True, slots=True)
class Picture:
    """A finished picture: its bytes, their kind (`.png`, `.gif`, …), and the file it was written to, if any.

    A notebook shows it. `shows` is what it was drawn from.
    """

    data: bytes = field(repr=False)
    kind: str
    shows: Any = field(repr=False)
    path: Path | None = None

    def _repr_mimebundle_(self, **_: object) -> dict[str, str]:
        if self.kind == ".svg":
            return {"image/svg+xml": self.data.decode("utf-8")}
        text = base64.b64encode(self.data).decode("ascii")
        if self.kind == ".gif":
            return {"text/html": f'<img alt="the training, animated" src="data:image/gif;base64,{text}">'}
        if self.kind == ".mp4":
            return {"text/html": f'<video controls loop src="data:video/mp4;base64,{text}"></video>'}
        return {_MIME[self.kind]: text}


@contextmanager
def look() -> Iterator[None]:
    """Draw as all our pictures are drawn, whatever the caller has set."""
    matplotlib = optional("matplotlib", "plot")
    with matplotlib.rc_context(), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # a title in a script that the font lacks
        matplotlib.rcdefaults()
        matplotlib.rcParams.update(_LOOK)
        yield


def new_figure(width: float, height: float) -> Any:
    """An empty figure without a window, in inches."""
    return optional("matplotlib.figure", "plot").Figure(figsize=(width, height), layout="constrained")


def kind_of(path: str | Path, product: Product = PICTURE) -> str:
    """The kind of picture that a file's name asks for. FileError if it cannot be written."""
    ready(Path(path), product)
    return Path(path).suffix.lower()


def rendered(figure: Any, kind: str) -> bytes:
    """The picture's bytes: the same figure gives the same ones."""
    stream = io.BytesIO()
    figure.savefig(stream, format=kind.removeprefix("."), metadata=_METADATA[kind])
    return stream.getvalue()


def write(path: str | Path, data: bytes) -> Path:
    """Write a finished picture, complete or not at all. FileError if that is impossible."""
    target = Path(path)
    try:
        product = PICTURE if target.suffix.lower() in PICTURE.endings else ANIMATION
        write_atomically(ready(target, product), data)
    except OSError as error:
        reason = error.strerror or str(error)
        remedy = "Close it in other programs, or write somewhere else"
        raise FileError(f"“{path}” cannot be written: {reason}", remedy=remedy) from None
    return target


@contextmanager
def saved_figure(path: str | Path, height: float, width: float = 7.2) -> Iterator[Any]:
    """An empty figure that is saved at the end."""
    kind = kind_of(path)
    with look():
        figure = new_figure(width, height)
        yield figure
        write(path, rendered(figure, kind))


def scale(axes: Any, *, log: bool) -> None:
    """A logarithmic axis, or plain numbers on a linear one."""
    if log:
        axes.set_yscale("log")
    else:
        axes.ticklabel_format(axis="y", useOffset=False)


def legend_above(axes: Any) -> None:
    """The legend between the title and the axes, where it hides nothing and never moves."""
    names = axes.get_legend_handles_labels()[1]
    rows = -(-sum(len(name) + 6 for name in names) // _LETTERS)
    columns = -(-len(names) // rows)
    legend = axes.legend(
        loc="lower left",
        bbox_to_anchor=(-0.01, 0.985),
        ncols=columns,
        labelcolor=INK,
        fontsize=8,
        handlelength=1.4,
        handletextpad=0.5,
        columnspacing=1.2,
        labelspacing=0.2,
        borderaxespad=0.2,
    )
    for text in legend.get_texts():
        text.set_parse_math(False)
    legend.set_in_layout(False)  # a long one must not make the axes small
    axes.set_title(
        axes.get_title(loc="left") or " ",
        loc="left",
        parse_math=False,
        pad=TITLE_PAD + _ROW * (-(-len(names) // columns) - 1),
    )


def count_steps(axes: Any) -> None:
    """Whole numbers of steps along an axis, with commas."""
    axes.set_xlabel("step")
    axes.xaxis.set_major_formatter(lambda value, _: f"{value:,.10g}")
    axes.locator_params(axis="x", integer=True)
    axes.margins(x=0.02)
