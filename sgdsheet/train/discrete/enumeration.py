"""Every point there is, where they are few: the best of them is the optimum."""

from __future__ import annotations

import time
from collections.abc import Generator, Iterator
from itertools import islice, permutations, product

import numpy as np

from sgdsheet.train.constrained.constraints import Discrete
from sgdsheet.train.constrained.flat_functions import FlatModel, Floats
from sgdsheet.train.discrete.looks import OUT_OF_TIME, PROVED, Limits, Look
from sgdsheet.train.discrete.points import Best, Box, box_of, infeasible, meets
from sgdsheet.train.discrete.population import Population

MOST_POINTS = 3_000_000
"""Points that are tried one and all."""

_AT_ONCE = 20_000
"""Points between two looks."""


def enumerate_points(flat: FlatModel, discrete: Discrete, limits: Limits) -> Generator[Look, None, None]:
    """Try every point; the model holds the best one so far at every yield, and at the end.

    Raises TrainingError if none meets the constraints.
    """
    start = flat.get()
    box = box_of(flat, discrete, start)
    best = Best(Population(flat), box)
    ends, complete = time.monotonic() + limits.seconds, False
    try:
        for points in _batches(box):
            best.energies(points)
            yield _look(best, start)
            if time.monotonic() >= ends:
                break
        else:
            complete = True
    finally:
        point = best.point() if best.x is not None else None
        found = point is not None and best.feasible and meets(point)
        flat.set(start if point is None or not found else point.x)
    assert point is not None
    if not found:
        error = infeasible(flat, best.point())
        flat.set(start)
        raise error
    number = f"{best.population.evaluated:,} of {int(box.count()):,} points"
    reason = f"all {int(box.count()):,} points were tried" if complete else f"{number} were tried"
    loss = point.loss
    yield Look(loss, point.violation, loss if complete else None, PROVED if complete else OUT_OF_TIME, reason)


def _look(best: Best, start: Floats) -> Look:
    point = best.point()
    if not (best.feasible and meets(point)):
        best.population.flat.set(start)
    return Look(point.loss, point.violation)


def _batches(box: Box) -> Iterator[Floats]:
    """All points [points, parameters] of a box, part after part."""
    singles = np.flatnonzero(~box.permuted)
    choices = [np.arange(box.lower[place], box.upper[place] + 1.0).tolist() for place in singles]
    orders = [permutations(np.arange(1.0, len(group) + 1).tolist()) for group in box.permutations]
    rows = product(*choices, *orders)
    while part := list(islice(rows, _AT_ONCE)):
        found = np.zeros((len(part), len(box.lower)))
        for column, place in enumerate(singles):
            found[:, place] = [row[column] for row in part]
        for number, group in enumerate(box.permutations):
            found[:, group] = [row[len(singles) + number] for row in part]
        yield found
