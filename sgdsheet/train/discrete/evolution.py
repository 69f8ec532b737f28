"""Searching with a population of points, for what has no gradient or many minima.

What comes of differential evolution is improved by steps to neighbouring whole numbers and permutations, and by descent
where there is a gradient.
"""

from __future__ import annotations

import math
import time
from collections.abc import Generator, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import torch

from sgdsheet.errors import SgdSheetError, TrainingError
from sgdsheet.train.constrained.constraints import HOLDS, Bounds, Discrete
from sgdsheet.train.constrained.flat_functions import FlatModel, Floats, Point
from sgdsheet.train.constrained.problem_kind import problem_kind
from sgdsheet.train.constrained.solve import solve
from sgdsheet.train.discrete.boxes import bound_of_loss
from sgdsheet.train.discrete.differential import Generations
from sgdsheet.train.discrete.looks import OUT_OF_TIME, PROVED, UNPROVED, Limits, Look
from sgdsheet.train.discrete.neighbours import improved
from sgdsheet.train.discrete.points import Best, Box, box_of, infeasible
from sgdsheet.train.discrete.population import Population

_FEWEST, _MOST, _PER_PARAMETER = 40, 400, 15
"""Points of a population: so many per parameter, at least and at most."""

_SPREAD = 1e-6
"""A population has come together when its objectives differ by no more than this share of their mean."""

_MOST_RUNS, _MOST_IDLE = 5, 2
"""Populations that evolve one after the other, at most: there are no more when two have brought nothing new."""

_NO_BETTER = 1e-9
"""A run has brought nothing new when the objective has fallen by less than this share."""

_ROUNDING, _NOTHING = 1e-9, 1e-15
"""A loss is as good as its bound up to this share of the bound, or up to this share of the loss at the start."""

_PATIENCE = 60
"""Generations without a better point after which a population is given up, and two more for each parameter."""

_LOOSE = 1e-3
"""How much equalities may be violated, relatively, on the way to a point that descent moves to where they hold."""

_AT_EDGE = 0.02
"""A best point that is nearer to a bound that nobody gave than this share of the box is no end: the box gets wider."""

_WIDER = 10.0
_MOST_WIDENINGS = 4

_POLISH_STEPS = 300
"""Steps of descent from a point, at most."""

_MOST_POINTS, _MOST_NUMBERS, _MOST_ALONE = 1_000_000, 6_000_000_000, 60_000
"""Where nobody has said how long to search: points that are tried, numbers read for all of them, and points that are
tried one by one. Each takes about a minute of one processor."""

_PROCESSOR_SECONDS = 240.0
"""Seconds of the processor after which such a search ends all the same: some functions cost a thousand times others."""


def evolve(flat: FlatModel, discrete: Discrete | None, limits: Limits) -> Generator[Look, None, None]:
    """Search with a population; the model holds the best point so far at every yield, and at the end.

    Raises TrainingError if no point is found that meets the constraints.
    """
    yield from _Evolution(flat, discrete, limits).run()


@dataclass(slots=True)
class _Evolution:
    flat: FlatModel
    discrete: Discrete | None
    limits: Limits
    start: Floats = field(init=False)
    box: Box = field(init=False)
    best: Best = field(init=False)
    kept: Point | None = None
    """The best point that meets the constraints, as the compiled programs have it."""
    begun: float = field(init=False)
    used_before: float = field(init=False)
    """Seconds of the processor that this process had used when the search began."""
    numbers: int = field(init=False)
    """How many numbers are read for a point."""
    bound: float | None = field(init=False)
    """What no loss can be better than; None where nothing is proved."""
    size: float = 1.0
    """The size of the objective at the start."""

    def __post_init__(self) -> None:
        self.start = self.flat.get()
        self.bound = self._known_bound()
        self.box = box_of(self.flat, self.discrete, self.start)
        smooth = self._has_gradient()
        loose = _LOOSE if smooth and self.flat.split < self.flat.count else HOLDS
        self.best = Best(Population(self.flat), self.box, loose)
        self.begun, self.used_before = time.monotonic(), time.process_time()
        self.numbers = self.flat.model.numbers_read()

    def _known_bound(self) -> float | None:
        """The better one of two bounds: by the rules for whole tensors, and number by number between the bounds."""
        found = [problem_kind(self.flat.model, self.flat.constraints).loss_bound, bound_of_loss(self.flat)]
        known = [bound for bound in found if bound is not None]
        return max(known, key=self.flat.model.as_objective, default=None)

    def run(self) -> Generator[Look, None, None]:
        flat = self.flat
        try:
            self._keep(self.box.decoded(self.start[None, :])[0])
            self.size = abs(self._energy_of_kept()) if self.kept is not None else 1.0
            idle = 0
            for number in range(_MOST_RUNS):
                before = self._energy_of_kept()
                yield from self._run(number)
                yield from self._widened(number)
                yield from improved(self.best, self._is_time, self.limits.seed + number, self._look)
                self._polish()
                yield self._look()
                after = self._energy_of_kept()
                idle = idle + 1 if number and before - after <= _NO_BETTER * abs(after) else 0
                if self._over() or idle >= _MOST_IDLE:
                    break
        except SgdSheetError:
            self.kept = None
            raise
        finally:
            flat.set(self.start if self.kept is None else self.kept.x)
        if self.kept is None:
            error = infeasible(flat, self.best.point())
            flat.set(self.start)
            raise error
        yield self._end()

    def _over(self) -> bool:
        return self._is_time() or self._proved()

    def _is_time(self) -> bool:
        """Whether the search has had its time, or as many points as one without a time limit tries."""
        if self.limits.timed:
            return time.monotonic() - self.begun >= self.limits.seconds
        population = self.best.population
        tried = population.evaluated
        most = _MOST_POINTS if population.batched else _MOST_ALONE
        share = self.limits.share
        if tried >= share * most or tried * self.numbers >= share * _MOST_NUMBERS:
            return True
        return time.process_time() - self.used_before >= share * _PROCESSOR_SECONDS

    def _proved(self) -> bool:
        """Whether the point that is kept is as good as any can be, but for rounding."""
        if self.kept is None or self.bound is None:
            return False
        lowest = float(self.flat.model.as_objective(self.bound))
        return self.kept.objective - lowest <= max(_ROUNDING * abs(lowest), _NOTHING * self.size)

    def _end(self) -> Look:
        number = self.best.population.evaluated
        if self._proved():
            assert self.bound is not None
            reason = f"no point can be better than {self.bound:g}, as interval arithmetic over the formulas proves"
            return replace(self._look(), outcome=PROVED, reason=reason)
        searched = f"{number:,} points were tried, and nothing proves that it is the optimum"
        known = f"none can be better than {self.bound:.6g}" if self.bound is not None else "no bound is known"
        searched += f" ({known})"
        searched += self._said_of_bounds()
        if not self.best.population.batched:
            searched += "; they had to be tried one by one, which is slow"
        outcome = OUT_OF_TIME if self.limits.timed and self._is_time() else UNPROVED
        return replace(self._look(), outcome=outcome, reason=searched)

    def _said_of_bounds(self) -> str:
        derived = np.flatnonzero(self.box.derived)
        if not len(derived):
            return ""
        first = int(derived[0])
        others = f" and {len(derived) - 1} others" if len(derived) > 1 else ""
        low, high = self.box.lower[first], self.box.upper[first]
        return f"; {self.flat.cells[first]}{others} without bounds, searched from {low:g} to {high:g}"

    def _look(self) -> Look:
        """Where the search stands; the model gets the best parameters."""
        if self.best.energy < self._energy_of_kept():
            assert self.best.x is not None
            self._keep(self.best.x)
        if self.kept is None:
            point = self.best.point()
            self.flat.set(self.start)
        else:
            point = self.kept
            self.flat.set(point.x)
        return Look(point.loss, point.violation, self.bound)

    def _energy_of_kept(self) -> float:
        return self.kept.objective if self.kept is not None else math.inf

    def _keep(self, x: Floats) -> bool:
        """Keep a point if the compiled programs say that it is feasible and better than the one that is kept."""
        self.best.energies(x[None, :])
        point = self.flat.at(x)
        inside = bool(np.all(x >= self.flat.lower - HOLDS) and np.all(x <= self.flat.upper + HOLDS))
        if not (point.finite and inside and point.excess <= HOLDS):
            return False
        if self.kept is not None and point.objective >= self.kept.objective:
            return False
        self.kept = point
        return True

    # --- the population -----------------------------------------------------------------------------------

    def _run(self, number: int) -> Generator[Look, None, None]:
        """Let one population evolve until it has come together, or the best point gets no better."""
        box = self.box
        if box.permuted.all() and len(box.permutations) == 1:
            return  # moves to neighbours are better
        lower, upper = np.where(box.permuted, 0.0, box.lower), np.where(box.permuted, 1.0, box.upper)
        if not (upper > lower).any():
            return
        random = np.random.default_rng([self.limits.seed, number])
        first = self._population(lower, upper, random, number)
        population = Generations(lambda x: self.best.energies(box.decoded(x)), lower, upper, first, random)
        patience = (_PATIENCE + 2 * len(lower)) * (1 + number)
        course = [float(population.energies.min())]
        while not self._over():
            population.step()
            course.append(float(population.energies.min()))
            yield self._look()
            energies = population.energies
            if _together(energies) or not _falls(course, patience):
                return

    def _population(self, lower: Floats, upper: Floats, random: np.random.Generator, number: int) -> Floats:
        """The first points [points, parameters]: spread evenly, with the start and the best so far among them.

        Later populations know neither, and are larger each: they look for other minima (Auger and Hansen, “A restart
        CMA evolution strategy with increasing population size”, IEEE Congress on Evolutionary Computation, 2005).
        """
        count = len(lower)
        size = self.limits.population or int(np.clip(_PER_PARAMETER * count, _FEWEST, _MOST))
        size = max(size << number, 5)
        layers = random.permuted(np.tile(np.arange(size)[:, None], count), axis=0)  # a Latin hypercube
        found = lower + (upper - lower) * (layers + random.random((size, count))) / size
        for place, x in enumerate([self.start, self.best.x]):
            if x is not None and number == 0:
                found[place] = self._encoded(np.asarray(x), lower, upper)
        return found

    def _encoded(self, x: Floats, lower: Floats, upper: Floats) -> Floats:
        found = np.clip(x, lower, upper)
        for group in self.box.permutations:
            found[group] = (np.argsort(np.argsort(x[group], kind="stable")) + 0.5) / len(group)
        return found

    def _widened(self, number: int) -> Generator[Look, None, None]:
        """Search again in a wider box, as long as the best point lies at an edge that nobody has given.

        Raises TrainingError if it does so however wide the box is.
        """
        for times in range(_MOST_WIDENINGS + 1):
            box, x = self.box, self.best.x
            assert x is not None
            near = _AT_EDGE * (box.upper - box.lower)
            at_lower = ~np.isfinite(self.flat.lower) & (x <= box.lower + near)
            at_upper = ~np.isfinite(self.flat.upper) & (x >= box.upper - near)
            if not (at_lower | at_upper).any() or self._over():
                return
            if times == _MOST_WIDENINGS:
                place = int(np.flatnonzero(at_lower | at_upper)[0])
                raise TrainingError(
                    f"the loss gets better and better as this parameter goes to {x[place]:.3g} and beyond",
                    cell=self.flat.cells[place],
                    remedy="Give it a bound, or change the direction",
                )
            reach = (_WIDER - 1.0) * (box.upper - box.lower)
            lower = np.where(at_lower, box.lower - reach, box.lower)
            self.box = replace(box, lower=lower, upper=np.where(at_upper, box.upper + reach, box.upper))
            self.best.box = self.box
            yield from self._run(number)

    # --- the last digits ----------------------------------------------------------------------------------

    def _has_gradient(self) -> bool:
        """Whether the loss or a constraint has a derivative by a parameter that may be any number."""
        flat = self.flat
        whole = np.zeros(len(self.start), np.bool_) if self.discrete is None else self.discrete.whole
        if whole.all():
            return False
        with torch.enable_grad():
            return bool(flat.model().requires_grad)

    def _polish(self) -> None:
        """Descend from the best point, with the whole numbers as they are."""
        x = self.best.x
        if x is None or not self._has_gradient():
            return
        flat = self.flat
        whole = self.box.whole
        lower, upper = np.where(whole, x, flat.lower), np.where(whole, x, flat.upper)
        dtype = flat.constraints.bounds.lower.dtype
        bounds = Bounds(torch.from_numpy(lower).to(dtype), torch.from_numpy(upper).to(dtype))
        constraints = replace(flat.constraints, bounds=bounds, discrete=None)
        flat.set(x)
        try:
            for _ in solve(flat.model, constraints, max_steps=_POLISH_STEPS):
                if self._is_time():
                    break
        except SgdSheetError:
            return
        found = flat.get()
        self._keep(np.where(whole, x, found))


def _together(energies: Floats) -> bool:
    """Whether the points of a population are all as good; those that cannot be calculated are not."""
    if not np.isfinite(energies).all():
        return False
    return bool(np.ptp(energies) <= _SPREAD * abs(float(energies.mean())))


def _falls(course: Sequence[float], patience: int) -> bool:
    """Whether the energies of the best point have become lower in so many generations."""
    if len(course) <= patience:
        return True
    return course[-patience - 1] - course[-1] > _NO_BETTER * abs(course[-1])
