"""Start values for parameter ranges, by name: one row each.

No torch here, so that the command line can list the names: a row says which distribution and how wide. `kaiming` is
from He, Zhang, Ren and Sun, “Delving deep into rectifiers”, ICCV 2015, and `xavier` from Glorot and Bengio,
“Understanding the difficulty of training deep feedforward neural networks”, AISTATS 2010.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

Shape = Sequence[int]


def _inputs(shape: Shape) -> int:
    """Inputs of a unit: the rows of a weight matrix (as in MMULT(inputs, weights)), the length of a vector."""
    return shape[0] if shape else 1


def _outputs(shape: Shape) -> int:
    return shape[1] if len(shape) == 2 else 1


@dataclass(frozen=True, slots=True)
class Initialiser:
    """One way to draw start values.

    `width` gives the half width of a uniform, or the standard deviation of a normal distribution, from the range's
    shape (rows, columns; without dimensions of length 1) and the scale that the user gave (or None).
    """

    name: str
    distribution: str
    width: Callable[[Shape, float | None], float]
    help: str


_ROWS = (
    Initialiser("keep", "keep", lambda shape, scale: 0.0, "The values that are in the sheet"),
    Initialiser("zeros", "zeros", lambda shape, scale: 0.0, "All 0"),
    Initialiser("uniform", "uniform", lambda shape, scale: scale or 0.5, "Between -0.5 and 0.5, or the scale given"),
    Initialiser("normal", "normal", lambda shape, scale: scale or 1.0, "Normal with deviation 1, or the scale given"),
    Initialiser(
        "kaiming", "uniform", lambda shape, scale: math.sqrt(6 / _inputs(shape)), "For ReLU units: by the inputs"
    ),
    Initialiser(
        "xavier",
        "uniform",
        lambda shape, scale: math.sqrt(6 / (_inputs(shape) + _outputs(shape))),
        "For tanh and sigmoid units: by inputs and outputs",
    ),
)

INITIALISERS: dict[str, Initialiser] = {row.name: row for row in _ROWS}


@dataclass(frozen=True, slots=True)
class StartValues:
    """An initialiser with its scale, as a setting says it: `uniform`, `normal 0.1`."""

    initialiser: Initialiser
    scale: float | None = None

    def __str__(self) -> str:
        return self.initialiser.name + (f" {self.scale:g}" if self.scale is not None else "")


def parse_start_values(text: str) -> tuple[StartValues, ...]:
    """Read `uniform 0.5` or, one per parameter range, `kaiming, zeros`. Raises ValueError."""
    found = []
    for part in text.split(","):
        name, _, scale = part.strip().casefold().partition(" ")
        if name not in INITIALISERS:
            raise ValueError(name)
        width = float(scale) if scale.strip() else None
        if width is not None and not (0 < width < math.inf):
            raise ValueError(scale)
        found.append(StartValues(INITIALISERS[name], width))
    return tuple(found)
