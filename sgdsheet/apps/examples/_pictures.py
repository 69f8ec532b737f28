"""Digits drawn with a pen: a few strokes, made to lean, swell and turn a little, on 28×28 pixels of ink.

They stand in a sheet as a preview until it is trained on real handwriting. Everything is drawn from a seed, with
the centre of the ink in the centre of the picture, as in MNIST.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from math import ceil, cos, floor, hypot, sin
from random import Random

SIDE = 28
PIXELS = SIDE * SIDE

Point = tuple[float, float]
Stroke = tuple[Point, ...]

_DETAIL = 6  # straight pieces between two points of a stroke
_TALL = 17.0  # pixels from the top of a digit to its foot
# Points (across, down) of each pen stroke; smooth curves go through them. A point that stands twice is a corner.
_STROKES: dict[int, tuple[Stroke, ...]] = {
    0: (((0.32, 0.0), (0.08, 0.2), (0.0, 0.52), (0.1, 0.85), (0.32, 1.0), (0.55, 0.83), (0.64, 0.5), (0.55, 0.17),
         (0.32, 0.0)),),
    1: (((0.1, 0.2), (0.3, 0.0), (0.3, 0.0), (0.28, 0.5), (0.26, 1.0)),),
    2: (((0.02, 0.22), (0.14, 0.04), (0.36, 0.0), (0.55, 0.14), (0.54, 0.36), (0.34, 0.64), (0.0, 0.97), (0.0, 0.97),
         (0.3, 0.95), (0.64, 0.97)),),
    3: (((0.04, 0.1), (0.28, 0.0), (0.52, 0.1), (0.52, 0.32), (0.22, 0.48), (0.22, 0.48), (0.52, 0.58), (0.6, 0.78),
         (0.4, 0.98), (0.16, 1.0), (0.0, 0.88)),),
    4: (((0.12, 0.0), (0.04, 0.3), (0.02, 0.54), (0.02, 0.54), (0.3, 0.57), (0.6, 0.5)),
        ((0.54, 0.04), (0.5, 0.5), (0.46, 1.0))),
    5: (((0.58, 0.0), (0.16, 0.03), (0.16, 0.03), (0.1, 0.42), (0.1, 0.42), (0.34, 0.38), (0.56, 0.52), (0.56, 0.78),
         (0.36, 0.98), (0.12, 1.0), (0.0, 0.9)),),
    6: (((0.48, 0.0), (0.2, 0.22), (0.03, 0.56), (0.08, 0.88), (0.32, 1.0), (0.53, 0.86), (0.52, 0.64), (0.32, 0.54),
         (0.1, 0.68)),),
    7: (((0.0, 0.06), (0.28, 0.04), (0.6, 0.02), (0.6, 0.02), (0.42, 0.42), (0.24, 1.0)),),
    8: (((0.52, 0.1), (0.28, 0.0), (0.06, 0.14), (0.14, 0.36), (0.42, 0.54), (0.56, 0.76), (0.4, 0.97), (0.14, 0.96),
         (0.04, 0.76), (0.2, 0.54), (0.46, 0.34), (0.56, 0.16), (0.5, 0.08)),),
    9: (((0.52, 0.3), (0.34, 0.48), (0.08, 0.42), (0.04, 0.18), (0.24, 0.0), (0.46, 0.04), (0.54, 0.28), (0.5, 0.62),
         (0.42, 1.0)),),
}  # fmt: skip


def draw(digit: int, seed: int) -> list[int]:
    """One handwritten digit: 784 bytes, row by row, 0 for paper and 255 for ink."""
    hand = Random(1000 * seed + digit)
    lean, turn = hand.uniform(-0.05, 0.3), hand.uniform(-0.12, 0.12)
    wide, pen = hand.uniform(0.85, 1.15), hand.uniform(1.05, 1.6)
    strokes = []
    for stroke in _STROKES[digit]:
        shaken = [(x + hand.uniform(-0.025, 0.025), y + hand.uniform(-0.025, 0.025)) for x, y in stroke]
        pieces = [(wide * x + lean * (0.5 - y), y) for x, y in _smooth(shaken)]
        strokes.append([(x * cos(turn) - y * sin(turn), x * sin(turn) + y * cos(turn)) for x, y in pieces])
    return _ink(_placed(strokes), pen)


def shuffled(digits: Sequence[int], count: int, seed: int) -> list[tuple[int, list[int]]]:
    """`count` labelled pictures, equally many of each digit, in a mixed order."""
    labels = [digits[number % len(digits)] for number in range(count)]
    Random(seed).shuffle(labels)
    return [(label, draw(label, seed + number)) for number, label in enumerate(labels)]


def _smooth(points: list[Point]) -> list[Point]:
    """A curve through the points (Catmull-Rom)."""
    extended = [points[0], *points, points[-1]]
    curve = []
    for number in range(len(points) - 1):
        before, start, end, after = extended[number : number + 4]
        for step in range(_DETAIL):
            t = step / _DETAIL
            curve.append((_blend(before[0], start[0], end[0], after[0], t),
                          _blend(before[1], start[1], end[1], after[1], t)))  # fmt: skip
    return [*curve, points[-1]]


def _blend(a: float, b: float, c: float, d: float, t: float) -> float:
    return 0.5 * (2 * b + (c - a) * t + (2 * a - 5 * b + 4 * c - d) * t * t + (3 * b - a - 3 * c + d) * t * t * t)


def _placed(strokes: list[list[Point]]) -> list[list[Point]]:
    """The strokes in pixels: as tall as a digit of MNIST, their middle in the middle of the picture."""
    ys = [y for stroke in strokes for _, y in stroke]
    scale = _TALL / (max(ys) - min(ys))
    weight, across, down = 0.0, 0.0, 0.0
    for stroke in strokes:
        for (x, y), (x2, y2) in pairwise(stroke):
            length = hypot(x2 - x, y2 - y)
            weight += length
            across += length * (x + x2) / 2
            down += length * (y + y2) / 2
    x0, y0 = across / weight, down / weight
    top = SIDE / 2 - scale * y0
    shift = max(0.0, 2.8 - (top + scale * min(ys))) - max(0.0, top + scale * max(ys) - (SIDE - 2.8))
    return [[(SIDE / 2 + scale * (x - x0), SIDE / 2 + scale * (y - y0) + shift) for x, y in stroke]
            for stroke in strokes]  # fmt: skip


def _ink(strokes: list[list[Point]], pen: float) -> list[int]:
    """Pixels by their distance from the nearest stroke."""
    nearest = [float(SIDE)] * PIXELS
    reach = pen + 1
    for stroke in strokes:
        for start, end in pairwise(stroke):
            rows = range(max(0, floor(min(start[1], end[1]) - reach)), min(SIDE, ceil(max(start[1], end[1]) + reach)))
            columns = range(
                max(0, floor(min(start[0], end[0]) - reach)), min(SIDE, ceil(max(start[0], end[0]) + reach))
            )
            for row in rows:
                for column in columns:
                    away = _distance((column + 0.5, row + 0.5), start, end)
                    nearest[row * SIDE + column] = min(nearest[row * SIDE + column], away)
    return [round(255 * min(1.0, max(0.0, pen + 0.5 - away))) for away in nearest]


def _distance(point: Point, start: Point, end: Point) -> float:
    """The distance of a point from a line through two others."""
    dx, dy = end[0] - start[0], end[1] - start[1]
    length = dx * dx + dy * dy
    along = ((point[0] - start[0]) * dx + (point[1] - start[1]) * dy) / length if length else 0.0
    along = min(1.0, max(0.0, along))
    return hypot(point[0] - start[0] - along * dx, point[1] - start[1] - along * dy)
