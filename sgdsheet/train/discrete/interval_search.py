"""Branch and bound for models that are not convex: boxes of parameters, and what interval arithmetic proves of each.

A population and descent find a good point first. Then the box of all points is cut in two, again and again: a box in
which nothing can be better than that point, or nothing can meet the constraints, is done with. Where none is left, the
point is the optimum; where time is up first, the lowest bound of those that are left says how good it is at worst. Land
and Doig, “An automatic method of solving discrete programming problems”, Econometrica 28 (1960); Falk and Soland, “An
algorithm for separable nonconvex programming problems”, Management Science 15 (1969).
"""

from __future__ import annotations

import math
import time
from collections.abc import Generator
from dataclasses import dataclass, field, replace

import numpy as np
import torch
from numpy.typing import NDArray

from sgdsheet.compiler.structure.intervals import NoRule
from sgdsheet.errors import SgdSheetError, TrainingError
from sgdsheet.problem.definition import Direction
from sgdsheet.train.constrained.constraints import Bounds, Discrete
from sgdsheet.train.constrained.flat_functions import FlatModel, Floats, objective_alone
from sgdsheet.train.constrained.solve import solve
from sgdsheet.train.discrete.boxes import Bounder, Boxes, LinearLimits
from sgdsheet.train.discrete.evolution import evolve
from sgdsheet.train.discrete.incumbent import Incumbent
from sgdsheet.train.discrete.integer_linear import coefficients
from sgdsheet.train.discrete.looks import OUT_OF_TIME, PROVED, UNPROVED, Limits, Look, in_words
from sgdsheet.train.discrete.points import Best, Box
from sgdsheet.train.discrete.population import Population

_SHARE, _SHARE_OF_POINTS = 0.3, 0.1
"""The share of the time limit, or of the points, that the search with a population may take."""

_AT_ONCE = 512
"""Boxes that are cut in one round."""

_MOST_BOXES = 500_000
"""Boxes that wait, at most."""

_MOST_DESCENTS, _STEPS = 60, 200
"""Descents from boxes whose whole numbers are fixed, at most, and their steps."""

_THIN = 1e-7
"""A box is not cut along a parameter that has less than this share of its first width."""

_ROUNDING, _NOTHING = 1e-9, 1e-15
"""A bound is as good as the best point up to this share of it, or of the objective at the start."""

_PATIENCE, _PATIENCE_BOXES, _PROGRESS = 5.0, 50_000, 0.02
"""After so many seconds, or boxes where there is no time limit, the search goes on as long as each half of it closes
this share of the gap."""

_MOST_LOOKED_AT, _MOST_NUMBERS = 3_000_000, 20_000_000_000
"""Boxes that are looked at where there is no time limit, and numbers read for them, at most."""


def branch_by_intervals(
    flat: FlatModel, discrete: Discrete, linear: NDArray[np.bool_], limits: Limits
) -> Generator[Look, None, None]:
    """The best point of a model that need not be convex; the model holds the best one so far at every yield.

    `linear` [residuals] tells which residuals are proved to be linear. Raises TrainingError if no point meets the
    constraints.
    """
    start, begun = flat.get(), time.monotonic()
    last, failure = None, None
    try:
        for look in evolve(flat, discrete, replace(limits, seconds=limits.seconds * _SHARE, share=_SHARE_OF_POINTS)):
            if look.outcome:
                last = look
            else:
                yield look
    except TrainingError as error:
        failure = error
    if last is not None and last.outcome == PROVED:
        yield last
        return
    found = _Branching(flat, discrete, linear, limits, begun, last, failure)
    flat_best = flat.get() if last is not None else None
    try:
        yield from found.run(flat_best, start)
    except NoRule:
        if failure is not None:
            raise failure from None
        assert last is not None
        flat.set(start if found.best is None else found.best.x)
        yield last


@dataclass(slots=True)
class _Branching(Incumbent):
    linear: NDArray[np.bool_]
    limits: Limits
    begun: float
    last: Look | None
    """How the search with a population has ended."""
    failure: TrainingError | None
    size: float = 1.0
    lowest: float = -math.inf
    """What no objective can be lower than."""
    looked_at: int = 0
    descents: int = 0
    _courses: list[tuple[float, float]] = field(default_factory=list)
    """The seconds, or boxes, and the gap at each round."""

    def run(self, best: Floats | None, start: Floats) -> Generator[Look, None, None]:
        """Cut boxes from the best known point on. Raises NoRule where nothing can be proved, and TrainingError."""
        flat = self.flat
        self.offer(best if best is not None else self.rounded(start))
        here = flat.at(start)
        self.size = abs(here.objective) if here.finite else 1.0
        bounder, narrow = Bounder(flat), self._limits()
        first, kept = narrow.narrowed(Boxes(flat.lower[None], flat.upper[None]), self.discrete.whole)
        if not kept.all():
            raise self._nothing()
        if not (np.isfinite(first.low).all() and np.isfinite(first.high).all()):
            raise NoRule("a parameter without bounds")
        try:
            outcome, reason = yield from self._rounds(bounder, narrow, first)
        finally:
            flat.set(start if self.best is None else self.best.x)
        if self.best is None:
            raise self._nothing()
        yield replace(self._look(), outcome=outcome, reason=reason)

    def _nothing(self) -> TrainingError:
        return self.failure or TrainingError(
            "no point that meets all constraints was found",
            cell=self.flat.model.problem.loss,
            remedy="Loosen a constraint, or start from other values",
        )

    def _limits(self) -> LinearLimits:
        """The linear constraints, equalities as two."""
        flat = self.flat
        chosen = np.flatnonzero(self.linear)
        if not len(chosen):
            return LinearLimits(np.zeros((0, len(flat.lower))), np.zeros(0))
        point = flat.at(flat.clipped(np.zeros(len(flat.lower))))
        rows = coefficients(flat).toarray()[chosen]
        limits = rows @ point.x - point.residuals[chosen]
        equal = chosen >= flat.split
        return LinearLimits(np.concatenate([rows, -rows[equal]]), np.concatenate([limits, -limits[equal]]))

    # --- rounds -------------------------------------------------------------------------------------------

    def _rounds(self, bounder: Bounder, narrow: LinearLimits, first: Boxes) -> Generator[Look, None, tuple[str, str]]:
        flat, widths = self.flat, np.maximum(first.high - first.low, 1e-300)[0]
        bounds, possible = bounder.bounds(first)
        boxes, bounds = first.taken(possible), bounds[possible]
        done = math.inf  # the lowest bound of boxes too thin to be cut
        box = Box(first.low[0], first.high[0], np.zeros(len(widths), np.bool_), self.discrete.whole)
        points = Best(Population(flat), box)
        while True:
            kept = bounds < self._worth()
            boxes, bounds = boxes.taken(kept), bounds[kept]
            self.lowest = min(float(bounds.min(initial=math.inf)), done, self._objective())
            if self._met():
                return self._proved()
            over = self._over(len(bounds))
            if over:
                return over
            if not len(bounds):
                return UNPROVED, f"{self._how_good()}, as far as interval arithmetic comes"
            order = np.argsort(bounds, kind="stable")[:_AT_ONCE]
            cut, places, thin = self._cut(boxes.taken(order), widths)
            done = min(done, float(bounds[order][thin].min(initial=math.inf)))
            rest = np.ones(len(bounds), np.bool_)
            rest[order] = False
            parts = self._halves(cut, places)
            parts, kept = narrow.narrowed(parts, self.discrete.whole)
            parts = parts.taken(kept)
            if len(parts.low):
                fresh, possible = bounder.bounds(parts)
                self.looked_at += len(fresh)
                fresh = np.maximum(fresh, np.repeat(bounds[order][~thin], 2)[kept])
                parts, fresh = parts.taken(possible), fresh[possible]
                self._try(points, parts, fresh)
                boxes = Boxes(*(np.concatenate([one[rest], two]) for one, two in zip(boxes, parts, strict=True)))
                bounds = np.concatenate([bounds[rest], fresh])
            else:
                boxes, bounds = boxes.taken(rest), bounds[rest]
            yield self._look()

    def _cut(self, boxes: Boxes, widths: Floats) -> tuple[Boxes, NDArray[np.int64], NDArray[np.bool_]]:
        """Boxes that are to be cut, along which parameter [boxes], and which [all boxes] are too thin for it."""
        spans = boxes.high - boxes.low
        shares = np.where(spans > np.where(self.discrete.whole, 0.5, _THIN * widths), spans / widths, 0.0)
        thin: NDArray[np.bool_] = np.asarray(shares.max(axis=1) <= 0)
        shares = shares * (1e-3 + self._weights(boxes))
        return boxes.taken(~thin), np.argmax(shares[~thin], axis=1), thin

    def _weights(self, boxes: Boxes) -> Floats:
        """How much the objective changes along each parameter [boxes, parameters], as a share of the largest change.

        It is measured at the middle of the first box, where there is a gradient: a rule of thumb.
        """
        spans = boxes.high - boxes.low
        middle = self.flat.clipped((boxes.low[0] + boxes.high[0]) / 2)
        try:
            _, gradient = self.flat.gradient(middle, objective_alone)
        except RuntimeError:  # no parameter has a gradient
            return np.ones_like(spans)
        changes = np.abs(gradient) * spans
        most = changes.max(axis=1, keepdims=True)
        known = np.isfinite(changes).all(axis=1, keepdims=True) & (most > 0)
        return np.where(known, changes / np.where(most > 0, most, 1.0), 1.0)

    def _halves(self, boxes: Boxes, places: NDArray[np.int64]) -> Boxes:
        """Each box cut in two: the lower half, then the upper one."""
        here, whole = np.arange(len(places)), self.discrete.whole[places]
        low, high = boxes.low[here, places], boxes.high[here, places]
        middle = (low + high) / 2
        left, right = boxes.high.copy(), boxes.low.copy()
        left[here, places] = np.where(whole, np.floor(middle), middle)
        right[here, places] = np.where(whole, np.floor(middle) + 1, middle)
        lows, highs = np.stack([boxes.low, right], axis=1), np.stack([left, boxes.high], axis=1)
        return Boxes(lows.reshape(-1, lows.shape[2]), highs.reshape(-1, highs.shape[2]))

    # --- points -------------------------------------------------------------------------------------------

    def _try(self, points: Best, boxes: Boxes, bounds: Floats) -> None:
        """Look at the middles of boxes, and descend where only whole numbers were left to choose."""
        if not len(bounds):
            return
        points.energies(points.box.decoded((boxes.low + boxes.high) / 2))
        if points.x is not None and points.feasible:
            self.offer(points.x)
        whole = self.discrete.whole
        if whole.all() or self.descents >= _MOST_DESCENTS:
            return
        fixed = np.flatnonzero((boxes.high - boxes.low)[:, whole].max(axis=1, initial=0.0) == 0)
        for place in fixed[np.argsort(bounds[fixed])][:1]:
            if bounds[place] < self._worth():
                self.descents += 1
                self._descend(boxes.low[place], boxes.high[place])

    def _descend(self, low: Floats, high: Floats) -> None:
        """Offer the best point nearby whose whole numbers are those of a box."""
        flat, whole = self.flat, self.discrete.whole
        lower, upper = np.where(whole, low, flat.lower), np.where(whole, high, flat.upper)
        dtype = flat.constraints.bounds.lower.dtype
        bounds = Bounds(torch.from_numpy(lower).to(dtype), torch.from_numpy(upper).to(dtype))
        flat.set((low + high) / 2)
        try:
            for _ in solve(flat.model, replace(flat.constraints, bounds=bounds, discrete=None), max_steps=_STEPS):
                if self._seconds() >= self.limits.seconds:
                    break
        except SgdSheetError:
            return
        self.offer(np.where(whole, low, flat.get()))

    # --- how it stands ------------------------------------------------------------------------------------

    def _objective(self) -> float:
        return self.best.objective if self.best is not None else math.inf

    def _allowed(self) -> float:
        """What the best point may be worse than the bound, by rounding."""
        found = self._objective()
        return max(_ROUNDING * abs(found), _NOTHING * self.size) if math.isfinite(found) else 0.0

    def _worth(self) -> float:
        """The bound below which a box may hold something better."""
        return self._objective() - self._allowed() if self.best is not None else math.inf

    def _met(self) -> bool:
        if self.best is None:
            return self.lowest == math.inf
        gap = self.best.objective - self.lowest
        return gap <= max(self._allowed(), self.limits.gap * abs(self.best.objective))

    def _seconds(self) -> float:
        return time.monotonic() - self.begun

    def _proved(self) -> tuple[str, str]:
        assert self.best is not None or self.lowest == math.inf
        if self.best is None:
            raise self._nothing()
        if self.best.objective - self.lowest <= self._allowed():
            return PROVED, f"proved by branch and bound with interval arithmetic, in {self.looked_at:,} boxes"
        return UNPROVED, f"{self._how_good()}, which the gap of {100 * self.limits.gap:g} % allows"

    def _how_good(self) -> str:
        assert self.best is not None
        if not math.isfinite(self.lowest):
            return "nothing proves that it is the optimum, and no bound is known"
        return in_words(self.best.loss, self._as_loss(self.lowest))

    def _over(self, waiting: int) -> tuple[str, str] | None:
        """How the search ends, if it is time; None if it goes on."""
        seconds = self._seconds()
        gap = self._objective() - self.lowest
        timed = self.limits.timed
        at = seconds if timed else float(self.looked_at)
        self._courses.append((at, gap))
        if seconds >= self.limits.seconds:
            return OUT_OF_TIME, f"{self._how_good()} after {self.limits.seconds:g} seconds" if self.best else ""
        first = self._courses[0][0]
        half = next(gap for then, gap in self._courses if then - first >= (at - first) / 2)
        patience = _PATIENCE if timed else _PATIENCE_BOXES
        slow = at - first >= patience and not gap < (1 - _PROGRESS) * half
        numbers = self.looked_at * self.flat.model.numbers_read()
        many = not timed and (self.looked_at >= _MOST_LOOKED_AT or numbers >= _MOST_NUMBERS)
        if many and self.best is None:
            return UNPROVED, ""
        if (slow or many or waiting > _MOST_BOXES) and self.best is not None:
            return UNPROVED, f"{self._how_good()}, as far as interval arithmetic comes in {self.looked_at:,} boxes"
        return None

    def _as_loss(self, objective: float) -> float:
        problem = self.flat.model.problem
        if problem.direction is Direction.MAXIMISE:
            return -objective
        return problem.target + math.sqrt(max(objective, 0.0)) if problem.direction is Direction.VALUE else objective

    def _look(self) -> Look:
        point = self.best
        if point is None:
            point = self.flat.at(self.flat.clipped(self.flat.get()))
        self.flat.set(point.x)
        bound = self._as_loss(self.lowest) if math.isfinite(self.lowest) else None
        return Look(point.loss, point.violation, bound)
