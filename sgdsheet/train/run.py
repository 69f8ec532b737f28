"""A training run's state: losses, bounds, batches, the best parameters. What drives it is in `drivers`."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import torch
from torch import Tensor, fx, nn

from sgdsheet.compiler.backward.flat_program import FlatProgram, flat_program
from sgdsheet.compiler.close_numbers import compares_close_numbers
from sgdsheet.compiler.model import SheetModel
from sgdsheet.data.sample_choice import samples_of
from sgdsheet.errors import TrainingError
from sgdsheet.problem.definition import Direction
from sgdsheet.problem.optimizers import AUTO
from sgdsheet.problem.settings import Settings
from sgdsheet.sheet.agreement import ACCUMULATED, same_number, share_for
from sgdsheet.train.batch_objectives import BatchObjectives
from sgdsheet.train.constrained.balanced_units import in_balanced_units
from sgdsheet.train.constrained.constraints import HOLDS, compile_constraints, no_constraints
from sgdsheet.train.constrained.exact import BALANCED, unbalanced
from sgdsheet.train.constrained.flat_functions import FlatModel
from sgdsheet.train.constrained.kinkless_model import KinklessModel, kinkless
from sgdsheet.train.constrained.problem_kind import problem_kind
from sgdsheet.train.constrained.solve import HIGHS, SEQUENTIAL
from sgdsheet.train.convergence import Place, Verdict, judge
from sgdsheet.train.discrete.search import chosen_search
from sgdsheet.train.goals import goals_of, missed
from sgdsheet.train.least_squares import LeastSquares
from sgdsheet.train.residuals import residuals_of
from sgdsheet.train.restarts import Distribution
from sgdsheet.train.run_plan import Method, RunPlan, plan_run, refuse_large_batch
from sgdsheet.train.start_ranges import start_ranges
from sgdsheet.train.step_objectives import AutogradObjective, FlatObjective, Objective
from sgdsheet.train.tensors import copies, put
from sgdsheet.train.validation_curve import ValidationCurve

CONVERGED, STALLED, STEPS, DIVERGED, EARLY = "converged", "stalled", "steps", "diverged", "early"
ENDLESS = "no finite optimum"
"""How a run ends: at a minimum, as a criterion says (converged); where nothing moves any more, but no criterion holds
(stalled); with all steps used up (steps); with a loss that is not finite, or far above that at the start (diverged); or
because validation got no better (early); or with a loss that gets better for ever as parameters grow (no finite
optimum). A search ends with an optimum that is proved (optimal), or without a proof
(best found); and every run may end with the time limit (time): see `discrete.looks`."""

_LISTED = 3
"""Ranges that a sentence names."""

_FAR = 10.0
"""A loss that is so many times its size above the start has diverged."""


class Step(NamedTuple):
    """One update.

    `loss` is the loss before it (over the batch, if there are batches; of the best start, if there are
    restarts). `epoch` counts finished passes over the samples; at the end of each, `valid_loss` and `metric`
    are those of the validation rows. `seconds` is the time that the step took.
    """

    number: int
    loss: float
    learning_rate: float
    seconds: float
    epoch: int | None = None
    valid_loss: float | None = None
    metric: float | None = None
    gradient_norm: float | None = None


@dataclass(slots=True)
class Patience:
    """Counts epochs without progress on the validation rows."""

    limit: int | None
    best: float = math.inf
    waited: int = 0

    def improved(self, objective: float) -> bool:
        better = objective < self.best
        self.best = min(self.best, objective)
        self.waited = 0 if better else self.waited + 1
        return better

    @property
    def exhausted(self) -> bool:
        return self.limit is not None and self.waited >= self.limit


class Run:
    """What the drivers of a run share. Objectives are what has to become small, losses what cells show."""

    def __init__(self, model: SheetModel, settings: Settings) -> None:
        self.model = model
        self.settings = settings
        self.names = model.parameter_names
        self.parameters: list[nn.Parameter] = [tensor for _, tensor in model.ranges()]
        self.generator = torch.Generator().manual_seed(settings.seed or 0)
        self.samples = samples_of(model, settings, self.generator)
        self.bound = self.samples if self.samples is not None and self.samples.source is not None else None
        """The samples, where they come from a source."""
        self.constraints = compile_constraints(model)
        self.fit = self._fit()
        """The problem as one of least squares, if it is one, and small enough."""
        bounds = self.constraints.bounds if self.constraints is not None else None
        drawn = settings.restarts is not None and not settings.start
        self.ranges = start_ranges(self.parameters, bounds, model.objective) if drawn else None
        """Where restarts are drawn, if one width does not suit all parameters."""
        self.units = self.ranges.widths if self.ranges is not None and settings.optimizer == AUTO else None
        """The units in which restarts are trained, if not those of the cells."""
        self.kinks: KinklessModel | None = None
        """The problem without its kinks, where variables can stand for them."""
        self.method = self._method()
        """What an exact solver takes, if there is a choice."""
        restricted = self.constraints is not None or self.kinks is None
        self.solvable = self.constraints if restricted else no_constraints(model)
        """What the exact solver keeps to; None where it is not needed."""
        self.plan: RunPlan = plan_run(
            model,
            settings,
            self.samples,
            self.parameters,
            self.constraints,
            fit=self.fit is not None,
            large=self.fit is not None and self.fit.large,
            search=chosen_search(model, self.constraints, settings),
            in_units=self.units is not None,
            method=self.method,
        )
        if self.bound is not None and self.plan.batch_size is not None:
            refuse_large_batch(model, self.bound, self.plan.batch_size)
        self.steps_taken = 0
        self.epochs_done = 0
        self.stopped = ""
        self.reason = ""
        self.loss_last: float | None = None
        self.best_step = 0
        self.validation_curve = ValidationCurve()
        self.violation: float | None = None
        self.constraints_hold = True
        self.loss_bound: float | None = None
        """What is proved to be the best possible loss, or better than that; None where nothing is known."""
        self.valid_loss: float | None = None
        self.valid_metric: float | None = None
        self.looked_last: tuple[float | None, float | None] = (None, None)
        """Validation loss and metric after the last step, if it ended an epoch; else None."""
        self.test_loss: float | None = None
        self.test_metric: float | None = None
        self._forward: Callable[[], Tensor] | None = None
        self._objective: Objective | None = None
        self.distribution: Distribution | None = None
        self.patience = Patience(settings.early_stopping)
        self.start = copies(self.parameters)
        self.best = copies(self.parameters)
        self._present = [parameter.detach() for parameter in self.parameters]
        self.best_objective = math.inf
        self.last: list[Tensor] | None = None
        self.epoch_state = self.generator.get_state()
        self.batches_done = 0

    def _fit(self) -> LeastSquares | None:
        problem, settings = self.model.problem, self.settings
        gradual = settings.batch_size is not None or settings.early_stopping is not None or self.bound is not None
        if settings.optimizer != AUTO or gradual:
            return None
        constraints = self.constraints
        restricted = constraints is not None and (constraints.labels or constraints.discrete is not None)
        if problem.direction is Direction.MAXIMISE or restricted:
            return None
        residuals = residuals_of(self.module(), self.names, problem)
        if residuals is None:
            return None
        bounds = self.constraints.bounds if self.constraints is not None else None
        lower, upper = (
            (None, None) if bounds is None else (bounds.lower.double().numpy(), bounds.upper.double().numpy())
        )
        equations = problem.direction is Direction.VALUE or bool(problem.targets)
        found = LeastSquares(residuals, self.parameters, lower, upper, equations)
        return found if found.suits() else None

    def _method(self) -> Method | None:
        """What an exact solver takes, and why, where all samples count at once and nobody has chosen a method."""
        settings, samples, constraints = self.settings, self.samples, self.constraints
        gradual = settings.batch_size is not None or settings.early_stopping is not None or self.bound is not None
        apart = samples is not None and len(samples.validation) > 0
        discrete = constraints is not None and constraints.discrete is not None
        if settings.optimizer != AUTO or gradual or apart or discrete:
            return None
        kind = problem_kind(self.model, constraints)
        if constraints is not None and kind.linear:
            return Method(HIGHS, "a linear programme")
        self.kinks = kinkless(self.model, constraints or no_constraints(self.model), kind)
        if self.kinks is None:
            return None
        linear = self.kinks.linear
        why = "linear but for its kinks, as of ABS and MAX" if linear else "kinks, as of ABS and MAX"
        return Method(HIGHS if linear else SEQUENTIAL, why)

    # --- losses -----------------------------------------------------------------------------------------

    def whole_loss(self) -> float:
        """The value of the loss cell at the present parameters: over all rows, or the training samples of a source."""
        if self.bound is not None:
            return self.bound.training_loss()
        with torch.no_grad():
            return float(self.model().item())

    def module(self, batch: Tensor | None = None) -> fx.GraphModule:
        """The program for a batch, or for all training rows, of a model whose data are in the sheet."""
        if self.samples is None:
            return self.model.program
        return self.samples.module(self.samples.training if batch is None else batch)

    def loss(self, batch: Tensor | None = None) -> Callable[[], Tensor]:
        """A function that calculates the loss over a batch, or over all training rows."""
        if self.samples is not None and batch is not None:
            return self.samples.loss(batch)
        if self._forward is None and self.samples is not None:
            self._forward = self.samples.loss(self.samples.training)
        elif self._forward is None:
            forward = self.model.program.forward  # the module's own __call__ only looks for hooks
            self._forward = torch.compile(forward) if self.settings.compile else forward
        return self._forward

    def objective(self, batch: Tensor | None = None) -> Objective:
        """What has to become small, over a batch, or over all training rows."""
        if batch is not None:
            return self._batches.over(batch)
        if self._objective is None:
            plain = AutogradObjective(self.loss(), self.model.as_objective, self.parameters)
            flat = self._flat_program()
            self._objective = plain if flat is None else FlatObjective(flat, lambda: plain, self.parameters)
        return self._objective

    @cached_property
    def _batches(self) -> BatchObjectives:
        assert self.samples is not None
        return BatchObjectives(self.samples, self.parameters, self.model.as_objective, flat=not self.settings.compile)

    def _flat_program(self) -> FlatProgram | None:
        """Loss and gradient over all training rows without autograd, where there is such a program."""
        if self.settings.compile or self.bound is not None:
            return None
        return flat_program(self.module(), self.parameters, self.model.as_objective)

    def training_objective(self) -> float:
        """The objective over all training rows."""
        if self.samples is not None:
            return self.model.as_objective(self.samples.training_loss())
        with torch.no_grad():
            return float(self.model.as_objective(self.model.program()).item())

    # --- batches ----------------------------------------------------------------------------------------

    def batches(self) -> Iterator[tuple[Tensor | None, bool]]:
        """Batches for ever, each with whether it ends its epoch; None stands for all samples at once."""
        size = self.plan.batch_size
        while self.samples is None or size is None:
            yield None, True
        skipped = self.batches_done
        while True:
            self.epoch_state = self.generator.get_state()
            shuffle, last = self.settings.shuffle, -(-len(self.samples.training) // size)
            epoch = self.samples.batches(size, shuffle=shuffle, generator=self.generator, skip=skipped)
            for number, batch in enumerate(epoch, skipped + 1):
                self.batches_done = number % last
                if number == last:
                    self.epoch_state = self.generator.get_state()
                yield batch, number == last
            skipped = 0

    def end_epoch(self) -> tuple[int | None, float | None, float | None]:
        """Count the epoch and calculate the validation rows: returns the number of epochs, their loss and metric.

        Each is None where there is none. Early stopping keeps the best parameters here, or ends the run.
        """
        if self.samples is None:
            return None, None, None
        self.epochs_done += 1
        if not len(self.samples.validation):
            return self.epochs_done, None, None
        self.valid_loss, self.valid_metric = self.samples.validate()
        objective = self.model.as_objective(self.valid_loss)
        self.looked_last = self.valid_loss, self.valid_metric
        self.validation_curve.add_validation(self.steps_taken, objective)
        if self.patience.limit is not None:
            if self.patience.improved(objective):
                self.best_objective, self.best_step = objective, self.steps_taken
                put(self.best, self.parameters)
            elif self.patience.exhausted:
                self.end(EARLY, f"validation got no better for {self.patience.limit} epochs")
        return self.epochs_done, self.valid_loss, self.valid_metric

    # --- bounds -----------------------------------------------------------------------------------------

    def limit(self, tensors: Sequence[Tensor]) -> None:
        """Put parameters [of each range's shape], or stacks of them [starts, …], back between their bounds."""
        with torch.no_grad():
            for tensor, (lower, upper) in zip(tensors, self.bounds() or (), strict=False):
                tensor.copy_(torch.minimum(torch.maximum(tensor, lower), upper))

    def bounds(self) -> list[tuple[Tensor, Tensor]] | None:
        """The smallest and the largest values of each range of parameters, of its shape; None if there are none."""
        if self.constraints is None or not self.constraints.bounds.count:
            return None
        sizes = [own.numel() for own in self.parameters]
        sides = [side.split(sizes) for side in (self.constraints.bounds.lower, self.constraints.bounds.upper)]
        shapes = [own.shape for own in self.parameters]
        return [(low.view(shape), high.view(shape)) for low, high, shape in zip(*sides, shapes, strict=True)]

    def largest_violation(self) -> float | None:
        """How much the constraint is violated that is violated most, in the sheet's units; None without constraints.

        Whether that is too much depends on the size of its numbers: see `constraints_hold`.
        """
        if self.constraints is None:
            return None
        with torch.no_grad():
            violations = self.constraints.violations(self.constraints.residuals())
        self.constraints_hold = bool((violations <= HOLDS * self.constraints.magnitudes).all())
        return float(violations.max()) if len(violations) else 0.0

    # --- the best ---------------------------------------------------------------------------------------

    def keep_best(self, objective: float, slack: float = 0.0) -> None:
        """Remember the present parameters if they are the best so far, up to a share `slack` of the objective."""
        limit = self.best_objective + slack * abs(self.best_objective) if slack else self.best_objective
        if objective < limit and self.settings.early_stopping is None:
            self.best_objective, self.best_step = min(objective, self.best_objective), self.steps_taken
            for best, present in zip(self.best, self._present, strict=True):
                best.copy_(present)

    def choose(self) -> None:
        """Put the parameters that are to be kept into the model.

        These are the best; the last if there are batches; those at the start if nothing was better. To judge by a whole
        source would take as long as training on it: there, the last ones only have to be finite.
        """
        if self.bound is not None and self.settings.early_stopping is None:
            finite = all(bool(torch.isfinite(parameter).all()) for parameter in self.parameters)
            if not finite or self.stopped == DIVERGED:
                self.loss_last, self.best_step = math.nan, 0
                put(self.parameters, self.start)
            return
        self.loss_last = self.whole_loss()
        compared = self.settings.early_stopping is not None or self.settings.restarts is not None
        if not compared and self.plan.batched:
            self.best_step = self.steps_taken
        else:
            last = self.training_objective()
            if math.isfinite(last):
                self.keep_best(last)
            if math.isfinite(self.best_objective):
                put(self.parameters, self.best)
        chosen, end = copies(self.parameters), self.training_objective()
        put(self.parameters, self.start)
        self.limit(self.parameters)
        if math.isfinite(end) and end <= self.training_objective():
            put(self.parameters, chosen)
        else:
            self.best_step = 0

    # --- the end ----------------------------------------------------------------------------------------

    def end(self, how: str, reason: str = "") -> None:
        """Say how the run ended, unless that was said before."""
        if not self.stopped:
            self.stopped, self.reason = how, reason

    def end_by(self, verdict: Verdict) -> None:
        """Say that the run ended because nothing moves any more: at a minimum if the verdict is so, else stalled."""
        self.end(CONVERGED if verdict.converged else ENDLESS if verdict.endless else STALLED, verdict.reason)

    def end_out_of_steps(self) -> None:
        """Say that all steps are used up, or that no number of them would have been enough."""
        verdict = self.judged() if not self.stopped else Verdict(False)
        self.end(ENDLESS if verdict.endless else STEPS, verdict.reason if verdict.endless else "")

    def judged(self, known: Verdict | None = None) -> Verdict:
        """Whether the present parameters are at a minimum of the objective over all training rows.

        `known` is what a solver has found out already. Of values that are sought, the reason tells which are missed,
        and by how much. Under constraints, the conditions of Karush, Kuhn and Tucker tell it, where one of them holds
        with equality.
        """
        found = known if known is not None else self._judged_by_derivatives()
        lacking = missed(goals_of(self.model))
        if not lacking:
            return found
        problem = self.model.problem
        kind = problem_kind(self.model, self.constraints) if problem.targets else None
        nearby = "" if kind is not None and kind.convex else "nearby "
        return Verdict(found.converged, f"nothing {nearby}comes closer to what is wanted: {lacking}")

    def _judged_by_derivatives(self) -> Verdict:
        """Whether the criteria for a minimum hold."""
        if self.model.stepped is not None:
            return Verdict(False, "no step brings anything any more, and a loss with steps has no gradient to judge by")
        module, model = self.module(), self.model
        if self.constraints is not None and self.constraints.labels:
            flat = in_balanced_units(FlatModel(model, self.constraints))
            point = flat.at(flat.get())
            if point.excess > HOLDS:
                return Verdict(False, "a constraint does not hold")
            if unbalanced(flat, point) <= BALANCED:
                return Verdict(True)
        bounds = self.constraints.bounds if self.constraints is not None else None
        with torch.enable_grad():
            found = judge(
                Place(
                    self.parameters,
                    lambda: model.as_objective(module.forward()),
                    self.start,
                    residuals_of(module, self.names, model.problem),
                    None if bounds is None else bounds.lower.double().numpy(),
                    None if bounds is None else bounds.upper.double().numpy(),
                    model.numbers_read(),
                    [cell for area, _ in model.ranges() for cell in area.cells()],
                )
            )
        return found if found.converged or found.endless else Verdict(False, self._roughness() or found.reason)

    def _roughness(self) -> str:
        """Which cells make it impossible to judge by derivatives, in words; empty where none do."""
        kind = problem_kind(self.model, self.constraints).objective
        rough = dict.fromkeys((*kind.stepped_cells, *kind.kinked_cells))
        if not rough:
            return ""
        listed = ", ".join(map(str, list(rough)[:_LISTED])) + (", …" if len(rough) > _LISTED else "")
        what = "may jump or have kinks" if kind.stepped_cells else "have kinks"
        return f"no step brings anything any more, and no derivative tells whether this is a minimum: {listed} {what}"

    def conclude(self, loss_start: float, loss: float) -> None:
        """Note the loss of the last step; if it is far above that at the start, the run has diverged."""
        if self.loss_last is None:
            self.loss_last = loss
            if self.bound is not None:
                self.best_step = self.steps_taken
        start, last = self.model.as_objective(loss_start), self.model.as_objective(self.loss_last)
        if self.stopped == STEPS and not last <= start + _FAR * abs(start):
            self.stopped, self.reason = DIVERGED, f"the loss went from {loss_start:.4g} to {self.loss_last:.4g}"

    def final_loss(self) -> float:
        """The value of the loss cell at the parameters that were kept.

        Also calculates validation, test and violation there. Raises TrainingError if the loss is not finite.
        """
        loss = self.whole_loss()
        if not math.isfinite(loss):
            put(self.parameters, self.start)
            raise TrainingError("no parameters gave a finite loss", remedy="Start from other values")
        if self.bound is None and compares_close_numbers(self.model.lowered):
            self._refuse_other_loss(loss)
        self.violation = self.largest_violation()
        if self.samples is not None and len(self.samples.validation):
            self.valid_loss, self.valid_metric = self.samples.validate()
        if self.samples is not None:
            self.test_loss, self.test_metric = self.samples.test()
        return loss

    def _refuse_other_loss(self, loss: float) -> None:
        """Raise TrainingError if a spreadsheet calculates another loss: it compares numbers by 15 digits."""
        cell = self.model.problem.loss
        shown = self.model.value_of(cell)
        if isinstance(shown, float) and not same_number(shown, loss, share_for(self.settings.precision, ACCUMULATED)):
            put(self.parameters, self.start)
            raise TrainingError(
                f"at the parameters that were found the loss is {loss:.10g}, and {shown:.10g} in a spreadsheet, which"
                " takes numbers for equal of which only the last digits differ",
                cell=cell,
                remedy="Let conditions compare with numbers between those that occur, or ROUND what they compare",
            )
