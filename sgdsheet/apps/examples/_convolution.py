"""What the cells of a convolutional network come to, in plain Python."""

from __future__ import annotations

from collections.abc import Sequence

from sgdsheet.apps.examples._digits import Row, dot

Picture = Sequence[Sequence[float]]


def kernels_of(weights: Row, count: int, side: int) -> list[Picture]:
    """The first weights as square kernels."""
    size = side * side
    return [[weights[size * number + side * row :][:side] for row in range(side)] for number in range(count)]


def convolved(maps: Sequence[Picture], kernels: Sequence[Picture]) -> Picture:
    """Each kernel slides over its map; the sum of all, cut off at zero."""
    side = len(maps[0]) - len(kernels[0]) + 1
    flat = [weight for kernel in kernels for row in kernel for weight in row]
    reach = len(kernels[0])
    return [
        [
            max(0.0, dot(flat, [pixel for one in maps for line in one[row : row + reach]
                                for pixel in line[column : column + reach]]))
            for column in range(side)
        ]
        for row in range(side)
    ]  # fmt: skip


def maximum_of_squares(values: Picture) -> Picture:
    """The largest of each 2×2."""
    half = range(len(values) // 2)
    return [
        [max(values[2 * row + down][2 * column + across] for down in (0, 1) for across in (0, 1)) for column in half]
        for row in half
    ]
