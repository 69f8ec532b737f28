"""Better points among the neighbours of a point: whole numbers one up or down, permutations with two places changed.

For permutations the moves are those of local search for the travelling salesman: two places exchanged, a part turned
round, one place put elsewhere; where none helps, a few parts are exchanged at random, and on from there (Lourenço,
Martin and Stützle, “Iterated local search”, in Handbook of Metaheuristics, 2003).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Generator
from functools import cache

import numpy as np
from numpy.typing import NDArray

from sgdsheet.train.constrained.flat_functions import Floats
from sgdsheet.train.discrete.looks import Look
from sgdsheet.train.discrete.points import Best

_MOST_NEIGHBOURS = 20_000
"""Neighbours of a point that are tried at most: of more, a random part."""

_MOST_PAIRED = 100
"""Whole numbers up to which two of them are moved at once."""

_KICKS = 30
"""Random moves away from the best permutation, after each of which it is improved anew."""


def improved(
    best: Best, is_time: Callable[[], bool], seed: int, look: Callable[[], Look]
) -> Generator[Look, None, None]:
    """Improve the best point by moves to its best neighbour, until none is better or it is time.

    Yields a look after each move.
    """
    random = np.random.default_rng(seed)
    yield from _descended(best, best.x, is_time, random, look)
    groups = [group for group in best.box.permutations if len(group) > 3]
    for _ in range(_KICKS if groups else 0):
        if is_time() or best.x is None:
            return
        x = best.x.copy()
        for group in groups:
            cuts = np.sort(random.choice(np.arange(1, len(group)), 3, replace=False))
            a, b, c, d = np.split(x[group], cuts)
            x[group] = np.concatenate([a, c, b, d])  # the double bridge, which single moves don't undo
        yield from _descended(best, x, is_time, random, look)


def _descended(
    best: Best, x: Floats | None, is_time: Callable[[], bool], random: np.random.Generator, look: Callable[[], Look]
) -> Generator[Look, None, None]:
    """Steepest descent from a point among neighbours."""
    if x is None or not best.box.whole.any():
        return
    energy = float(best.energies(x[None, :])[0])
    while not is_time():
        around = _neighbours(best, x, random)
        if not len(around):
            return
        energies = best.energies(around)
        place = int(np.argmin(energies))
        if not energies[place] < energy:
            return
        x, energy = around[place], float(energies[place])
        yield look()


def _neighbours(best: Best, x: Floats, random: np.random.Generator) -> Floats:
    """The neighbours of a point [neighbours, parameters], or some of them if they are very many."""
    box = best.box
    singles = np.flatnonzero(box.whole & ~box.permuted)
    found = [x + steps for steps in _steps(singles, len(x), float((box.upper - box.lower)[singles].max(initial=0.0)))]
    for group in box.permutations:
        orders = _orders(len(group))
        moved = np.tile(x, (len(orders), 1))
        moved[:, group] = x[group][orders]
        found.append(moved)
    around = np.concatenate(found)
    inside = np.all((around >= box.lower) & (around <= box.upper), axis=1)
    around = around[inside]
    if len(around) > _MOST_NEIGHBOURS:
        around = around[random.choice(len(around), _MOST_NEIGHBOURS, replace=False)]
    return around


def _steps(places: NDArray[np.int64], width: int, reach: float) -> list[Floats]:
    """One parameter up or down, and where they are not too many, one up and another down [steps, parameters].

    A step is 1 long, or 10, 100 and so on up to `reach`.
    """
    single = np.zeros((len(places), width))
    single[np.arange(len(places)), places] = 1.0
    lengths = [10.0**power for power in range(1 + int(math.log10(max(reach, 1.0))))]
    found = [sign * length * single for length in lengths for sign in (1.0, -1.0)]
    if len(places) <= _MOST_PAIRED:
        pairs = (single[:, None, :] - single[None, :, :]).reshape(-1, width)
        found.append(pairs[pairs.any(axis=1)])
    return found


@cache
def _orders(size: int) -> NDArray[np.int64]:
    """The orders [orders, size] near 0, 1, 2 …: two places exchanged, a part turned round, one place put elsewhere."""
    found, order = [], np.arange(size)
    for i in range(size):
        for j in range(i + 1, size):
            exchanged = order.copy()
            exchanged[[i, j]] = j, i
            turned = order.copy()
            turned[i : j + 1] = turned[i : j + 1][::-1]
            later = np.concatenate([order[:i], order[i + 1 : j + 1], order[i : i + 1], order[j + 1 :]])
            earlier = np.concatenate([order[:i], order[j : j + 1], order[i:j], order[j + 1 :]])
            found += [exchanged, turned, later, earlier]
    return np.unique(np.array(found, dtype=np.int64).reshape(-1, size), axis=0)
