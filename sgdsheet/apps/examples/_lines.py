"""Small pictures of our own for `neuron_zoo`: dark or light squares, and lines that lie or stand."""

from __future__ import annotations

from random import Random

from sgdsheet.apps.examples._digits import normal

SQUARE = 3  # pixels each way of the first ones
SIDE = 5  # and of the lines
EACH = 4  # pictures of each line

Picture = list[float]


def squares(count: int) -> list[Picture]:
    """Pictures of 9 pixels, black (1) or white (0): the first has none that is black, and each number comes up."""
    draw = Random(9)
    found = []
    for number in range(count):
        black = number * (SQUARE * SQUARE + 1) // count
        pixels = [1.0] * black + [0.0] * (SQUARE * SQUARE - black)
        draw.shuffle(pixels)
        found.append(pixels)
    return found


def lines() -> list[tuple[str, float, Picture]]:
    """Ten lines, four noisy pictures of each: the line's name, whether it lies, and 25 pixels from 0 to 1."""
    draw = Random(5)
    found = []
    for lies in (True, False):
        for place in range(SIDE):
            for _ in range(EACH):
                pixels = [
                    round(draw.uniform(0.7, 1.0) if (row if lies else column) == place else draw.uniform(0.0, 0.3), 1)
                    for row in range(SIDE)
                    for column in range(SIDE)
                ]
                found.append((f"{'row' if lies else 'col'} {place + 1}", float(lies), pixels))
    return found


def start(units: int) -> tuple[list[list[float]], list[float]]:
    """Start values of `units` hidden units: 25 weights of each, and their weights in the last sum."""
    hidden = normal(units * SIDE * SIDE, 0.3, seed=units + 40)
    size = SIDE * SIDE
    return [hidden[size * unit : size * unit + size] for unit in range(units)], normal(units, 0.5, seed=units + 60)
