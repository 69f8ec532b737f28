"""What drives a run: gradient descent and its relatives, many starts at once, or the solver for constraints.

Each driver is a generator of steps that leaves its best parameters in the model, also when it is closed
early.
"""

from __future__ import annotations

import copy
import math
import time
from collections.abc import Generator, Sequence
from contextlib import closing
from dataclasses import replace
from itertools import islice
from typing import Any

import torch
from torch import Tensor

from sgdsheet.errors import TrainingError
from sgdsheet.problem.optimizers import Family
from sgdsheet.train.constrained.balanced_units import in_balanced_units
from sgdsheet.train.constrained.constraints import no_constraints
from sgdsheet.train.constrained.exact import BALANCED, unbalanced
from sgdsheet.train.constrained.flat_functions import FlatModel
from sgdsheet.train.constrained.impossible import WITHOUT_LIMIT, unlimited
from sgdsheet.train.constrained.solve import OPTIMAL, OUT_OF_STEPS, Progress, solve
from sgdsheet.train.convergence import Verdict
from sgdsheet.train.descent import Descent, descent_with
from sgdsheet.train.discrete.looks import SECONDS, Limits
from sgdsheet.train.discrete.search import Method, search
from sgdsheet.train.least_squares import SUM_ROUNDING
from sgdsheet.train.restarts import BatchedStarts, Distribution, best_of, default_start, draw_start
from sgdsheet.train.run import CONVERGED, DIVERGED, STALLED, STEPS, Run, Step
from sgdsheet.train.start_objectives import StartObjectives, VmapObjectives, exploring_objectives
from sgdsheet.train.step_objectives import AutogradObjective
from sgdsheet.train.tensors import copies, put

Steps = Generator[Step, None, None]

_STEPS_PER_START = 2000
"""Steps of the exact solver from each start of a run with restarts, at most."""


def descent_for(run: Run, parameters: Sequence[Tensor] | None = None) -> Descent:
    """The descent that the run's plan names, with its own parameters or with others."""
    plan, settings = run.plan, run.settings
    moved = run.parameters if parameters is None else parameters
    return descent_with(
        plan.optimizer, moved, plan.learning_rate, settings, plan.steps, settings.seed or 0, run.bounds()
    )


def rehearse(run: Run, state: dict[str, Any], *, step: bool) -> None:
    """Restore a descent, and take a step with copies of the parameters: a damaged state shows itself."""
    doubles = [torch.nn.Parameter(parameter.detach().clone()) for parameter in run.parameters]
    descent = descent_for(run, doubles)
    descent.restore(copy.deepcopy(state))
    float(descent.learning_rate)
    if step:
        squares = AutogradObjective(
            lambda: torch.stack([double.square().sum() for double in doubles]).sum(), lambda loss: loss, doubles
        )
        descent.step(squares, _ignore)


def descend(run: Run, descent: Descent, *, measure: bool) -> Steps:
    """One optimizer, from the present parameters."""
    keep = _ignore if run.plan.batched else run.keep_best
    batches = run.batches()
    run.last, first = None, None
    searching = run.plan.optimizer.family is Family.LINE_SEARCH
    try:
        while run.steps_taken < run.plan.steps and not run.stopped:
            started = time.perf_counter()
            batch, ends_epoch = next(batches)
            rate = descent.learning_rate
            objective = descent.step(run.objective(batch), keep, measure=measure)
            loss = descent.loss
            first = objective if first is None else first
            if searching and -math.inf < objective < -WITHOUT_LIMIT * (1 + abs(first)):
                raise _without_limit(run)
            if not math.isfinite(objective):
                what = f"the loss became {loss}" if not math.isfinite(loss) else "the loss has no finite gradient"
                run.end(DIVERGED, f"{what} at step {run.steps_taken}")
                return
            run.limit(run.parameters)
            run.steps_taken += 1
            run.validation_curve.add_training(objective)
            run.looked_last = (None, None)
            epoch, valid_loss, metric = run.end_epoch() if ends_epoch else (None, None, None)
            if descent.stalled and not run.stopped:
                if searching and run.training_objective() < -WITHOUT_LIMIT * (1 + abs(first)):
                    raise _without_limit(run)
                run.end_by(run.judged())
            seconds = time.perf_counter() - started
            yield Step(run.steps_taken, loss, rate, seconds, epoch, valid_loss, metric, descent.gradient_norm)
        if searching:
            run.end_out_of_steps()
        run.end(STEPS)
    finally:
        run.last = copies(run.parameters)  # a checkpoint goes on from here, not from the best
        run.choose()


def fit(run: Run, *, measure: bool) -> Steps:
    """Least squares, from the present parameters; where that ends at a kink, what is made for these goes on."""
    assert run.fit is not None
    run.last = None
    points, handed_on = run.fit.steps(), False
    try:
        while run.steps_taken < run.plan.steps and not run.stopped:
            started = time.perf_counter()
            loss = float(run.loss()().detach())
            run.keep_best(run.model.as_objective(loss))
            point = next(points, None)
            if point is None:
                run.keep_best(run.model.as_objective(loss), SUM_ROUNDING)  # the last digits do not show in the sum
                verdict = run.judged()
                if verdict.converged:
                    run.end_by(verdict)
                    return
                handed_on = True
                if run.kinks is not None:
                    run.plan = replace(run.plan, solved=run.method)
                    yield from constrained(run, run.plan.steps)
                else:
                    yield from descend(run, descent_for(run), measure=measure)
                return
            put(run.parameters, run.fit.shaped(point))
            run.steps_taken += 1
            run.validation_curve.add_training(run.model.as_objective(loss))
            run.looked_last = (None, None)
            epoch, valid_loss, metric = run.end_epoch()
            yield Step(run.steps_taken, loss, 1.0, time.perf_counter() - started, epoch, valid_loss, metric)
        run.end_out_of_steps()
    finally:
        points.close()
        if not handed_on:
            run.last = copies(run.parameters)
            run.choose()


def _without_limit(run: Run) -> TrainingError:
    """The error for a loss that has fallen beyond all measure; the parameters are those at the start again."""
    flat = FlatModel(run.model, run.constraints if run.constraints is not None else no_constraints(run.model))
    reached = flat.get()
    put(run.parameters, run.start)
    put(run.best, run.start)
    run.best_objective = math.inf
    return unlimited(flat, reached - flat.get())


def _ignore(objective: float) -> None:
    """Keep no best parameters: with batches, the loss of one batch says little about them."""


def constrained(run: Run, steps: int) -> Steps:
    """The exact solver for bounds and constraints, from the present parameters."""
    assert run.solvable is not None
    started = time.perf_counter()
    for progress in solve(run.model, run.solvable, max_steps=steps):
        run.steps_taken += 1
        run.violation = progress.violation
        if progress.outcome:
            run.stopped = ""  # of an earlier start
            _end_solution(run, progress)
        yield Step(run.steps_taken, progress.loss, 1.0, time.perf_counter() - started)
        started = time.perf_counter()


def searched(run: Run) -> Steps:
    """A search for whole numbers or among the points of a population, which no descent finds."""
    chosen, settings, solver = run.plan.search, run.settings, run.model.problem.solver
    assert chosen is not None
    limits = Limits(
        settings.time_limit or solver.seconds or SECONDS,
        settings.gap if settings.gap is not None else solver.gap or 0.0,
        settings.seed if settings.seed is not None else solver.seed or 0,
        solver.population,
        timed=bool(settings.time_limit or solver.seconds),
    )
    counted = settings.steps is not None or settings.epochs is not None or chosen.method is Method.EVOLUTION
    most = run.plan.steps if counted else math.inf
    with closing(search(run.model, run.constraints, chosen, limits)) as looks:
        while run.steps_taken < most:
            started = time.perf_counter()
            look = next(looks, None)
            if look is None:
                return
            run.steps_taken += 1
            run.best_step = run.steps_taken
            run.violation, run.loss_bound = look.violation, look.bound
            if look.outcome:
                run.end(look.outcome, look.reason)
            yield Step(run.steps_taken, look.loss, 1.0, time.perf_counter() - started)
    run.end(STEPS)


def _end_solution(run: Run, progress: Progress) -> None:
    """What the solver's own word comes to: it calls an optimum where a descent gave up in a valley, too."""
    assert run.solvable is not None
    run.best_step = run.steps_taken
    if run.plan.solved is not None:
        run.plan = replace(run.plan, solved=run.plan.solved._replace(name=progress.method))
    if progress.outcome == OUT_OF_STEPS:
        run.end(STEPS)
    elif progress.outcome != OPTIMAL:
        left = f"; about {progress.promised:.2g} may be left to gain" if progress.promised > 0 else ""
        run.end(STALLED, f"no better point was found, and it is not sure that there is none{left}")
    elif progress.proof:
        run.end(CONVERGED, progress.proof)
    else:
        flat = in_balanced_units(FlatModel(run.model, run.solvable))
        balanced = bool(flat.count) and unbalanced(flat, flat.at(flat.get())) <= BALANCED
        run.end_by(run.judged(Verdict(True) if balanced else None))


def constrained_restarts(run: Run) -> Steps:
    """Train under constraints from one start after the other, the sheet's own values first."""
    best, failure, ending = copies(run.parameters), None, ("", "")
    found: list[float] = []
    count = run.settings.restarts or 1
    try:
        for number in range(count):
            put(run.parameters, _drawn(run) if number else run.start)
            try:
                yield from constrained(run, _STEPS_PER_START)
            except TrainingError as error:
                failure = failure or error
                continue
            objective = run.training_objective()
            if not found or objective < min(found):
                best, ending = copies(run.parameters), (run.stopped, run.reason)
            found.append(objective)
        run.stopped, run.reason = ending
    finally:
        put(run.parameters, best)
        run.distribution = Distribution(tuple(sorted(found)), count)
    if not found and failure is not None:
        raise failure


def _drawn(run: Run) -> list[Tensor]:
    """New values for each parameter range [of its shape], as the settings say, or as the values and bounds suggest."""
    if run.ranges is not None:
        return [values.to(own) for values, own in zip(run.ranges.draw(run.generator), run.parameters, strict=True)]
    return draw_start(run.start, run.settings.start or default_start(run.start), run.generator)


def restarts(run: Run) -> Steps:
    """All starts at once, then a polish of the best ones."""
    plan = run.plan
    assert run.settings.restarts is not None
    starts = BatchedStarts(
        run.parameters,
        lambda: _drawn(run),
        run.settings.restarts,
        run.limit if run.bounds() is not None else None,
        torch.float64 if plan.batched else torch.float32,
        keep_best=not plan.batched,
        units=run.units,
    )
    starts.prepare(plan.optimizer, plan.learning_rate, run.settings, plan.steps, plan.schedule)
    names, aim = run.names, run.model.as_objective
    exploring = None if plan.batched else exploring_objectives(run.module(), names, aim, starts.cells())

    def objectives(batch: Tensor | None = None) -> StartObjectives:
        return exploring or VmapObjectives(run.module(batch), names, aim)

    batches = run.batches()
    done = False
    try:
        while run.steps_taken < plan.steps:
            started = time.perf_counter()
            batch, ends_epoch = next(batches)
            starts.step(objectives(batch))
            run.steps_taken += 1
            run.epochs_done += int(ends_epoch and run.samples is not None)
            best = run.model.from_objective(starts.lowest_now)
            yield Step(run.steps_taken, best, starts.learning_rate, time.perf_counter() - started)
        done = True
    finally:
        # Interrupted or not, the best start is taken; only a complete run is polished.
        started = time.perf_counter()
        chosen, run.distribution = best_of(starts.losses(objectives()), max(1, plan.polished))
        _polish(run, [starts.values(index) for index in chosen], polish=done and plan.polished > 0)
        run.choose()
        run.loss_last = None  # what was kept is the last, too
    run.steps_taken += 1
    run.best_step = run.steps_taken
    verdict = run.judged() if plan.polished else Verdict(False)
    run.end(CONVERGED if verdict.converged else STEPS)
    yield Step(run.steps_taken, run.whole_loss(), starts.learning_rate, time.perf_counter() - started)


def _polish(run: Run, candidates: Sequence[Sequence[Tensor]], *, polish: bool) -> None:
    """L-BFGS from each candidate (between the bounds, if there are any); the best is kept."""
    for candidate in candidates:
        put(run.parameters, candidate)
        if polish and run.constraints is not None:
            taken = run.steps_taken
            for _ in constrained(run, run.plan.polish_steps):
                pass
            run.steps_taken = taken
        elif polish:
            if run.fit is not None:
                for point in islice(run.fit.steps(), run.plan.polish_steps):
                    put(run.parameters, run.fit.shaped(point))
            descent = descent_with(run.plan.polisher, run.parameters, 1.0, run.settings, run.plan.polish_steps, 0)
            for _ in range(run.plan.polish_steps):
                objective = descent.step(run.objective(), run.keep_best)
                if descent.stalled or not math.isfinite(objective):
                    break
        objective = run.training_objective()
        if math.isfinite(objective):
            run.keep_best(objective)
